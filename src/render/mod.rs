//! Answers as bytes: JSON for programs, text for people. Local time exists only here.

mod json;
mod number;
mod text;

pub use json::{json, json_line};
pub use number::grouped;
pub use text::{Style, checks, note, pairs, table, usage_header};
