//! JSON, indented for documents and in one line for records.
//!
//! Characters that would turn a terminal's line around are escaped: programs read the same, people nothing wrong.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::domain::is_unsafe;

/// Hands a document to `each` piece by piece, with a newline at its end: a large one need not be in memory at once.
///
/// # Errors
/// If the value cannot be written as JSON, or `each` fails.
pub fn write_json(value: &impl Serialize, each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut pieces = Pieces { held: Vec::with_capacity(2 * PIECE_BYTES), each };
    serde_json::to_writer_pretty(&mut pieces, value)?;
    pieces.held.push(b'\n');
    pieces.flush()
}

/// So much is handed on at once, in bytes.
const PIECE_BYTES: usize = 1 << 15;

/// Text on its way, in pieces that end with a character.
struct Pieces<F> {
    held: Vec<u8>,
    each: F,
}

impl<F: FnMut(&str) -> io::Result<()>> Write for Pieces<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let end = match std::str::from_utf8(&self.held) {
            Ok(text) => text.len(),
            Err(fault) => fault.valid_up_to(),
        };
        let rest = self.held.split_off(end);
        let text = String::from_utf8(std::mem::replace(&mut self.held, rest)).map_err(io::Error::other)?;
        (self.each)(&harmless_json(text))
    }
}

/// Appends a record in one line, without a newline.
///
/// # Errors
/// If the value cannot be written as JSON. Then part of it may be there.
pub fn push_json(out: &mut String, value: &impl Serialize) -> io::Result<()> {
    let start = out.len();
    let mut bytes = std::mem::take(out).into_bytes();
    let written = serde_json::to_writer(&mut bytes, value);
    // It is a string, and JSON is too.
    *out = String::from_utf8(bytes).map_err(io::Error::other)?;
    written?;
    if !is_harmless_json(&out[start..]) {
        let record = out.split_off(start);
        out.push_str(&harmless_json(record));
    }
    Ok(())
}

/// Control and direction characters as escapes. Outside of strings JSON has none but line breaks, and within them those
/// are escaped already.
#[must_use]
pub fn harmless_json(text: String) -> String {
    if is_harmless_json(&text) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmful(c) {
            // All of them are of the first plane. Writing to a string does not fail.
            let _written = write!(out, "\\u{:04x}", u32::from(c)).is_ok();
        } else {
            out.push(c);
        }
    }
    out
}

fn is_harmful(c: char) -> bool {
    c != '\n' && is_unsafe(c)
}

fn is_harmless_json(text: &str) -> bool {
    text.is_ascii() && !text.contains('\u{7f}') || !text.contains(is_harmful)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_a_line_around_is_escaped_and_reads_the_same() {
        let name = "a\u{202e}b\u{7f}\u{9b}é\n";
        let mut text = "before ".to_owned();
        push_json(&mut text, &[name]).unwrap();
        let text = text.strip_prefix("before ").unwrap();
        assert_eq!(text, r#"["a\u202eb\u007f\u009bé\n"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(text).unwrap(), [name]);
    }

    #[test]
    fn a_document_comes_in_pieces_that_are_it_together() {
        for value in [vec!["x".to_owned()], vec!["é\u{202e}".repeat(40_000), "y".repeat(100_000)]] {
            let (mut text, mut pieces) = (String::new(), 0);
            write_json(&value, |piece| {
                text.push_str(piece);
                pieces += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(text, harmless_json(serde_json::to_string_pretty(&value).unwrap()) + "\n");
            assert!(pieces > text.len() / 300_000);
        }
        let full = |_: &str| Err(io::ErrorKind::StorageFull.into());
        assert_eq!(write_json(&["x"], full).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
