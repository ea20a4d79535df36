//! Answers as bytes: JSON and CSV for programs, text and Markdown for people. Only here times are those of a zone.

mod block;
mod capture;
mod csv;
mod json;
mod markdown;
mod number;
mod text;
mod usage;

pub use block::{BLOCK_END, BLOCK_START, with_block};
pub use capture::capture_header;
pub use csv::{csv, csv_json, csv_text};
pub use json::{harmless_json, push_json, write_json};
pub use markdown::{escaped, markdown};
pub use text::{Style, checks, note, pairs, table};
pub use usage::usage_header;
