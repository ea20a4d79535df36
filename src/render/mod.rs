//! Pages as bytes: JSON and CSV for programs, text and Markdown for people. Only here the width of a terminal is known.

mod block;
mod csv;
mod json;
mod markdown;
mod page;
mod text;

pub use block::{BLOCK_END, BLOCK_START, with_block};
pub use csv::{csv_json, csv_text};
pub use json::{harmless_json, push_json, write_json};
pub use markdown::escaped;
pub use page::{csv, markdown, write_text};
pub use text::{Style, note};
