//! JSON, indented for documents and in one line for records.
//!
//! Characters that would turn a terminal's line around are escaped: programs read the same, people nothing wrong.

use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::is_unsafe;

/// A document, with a newline at its end.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn json(value: &impl Serialize) -> std::io::Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    Ok(harmless_json(text) + "\n")
}

/// A record in one line, without a newline.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn json_line(value: &impl Serialize) -> std::io::Result<String> {
    serde_json::to_string(value).map(harmless_json).map_err(std::io::Error::other)
}

/// Control and direction characters as escapes. Outside of strings JSON has none but line breaks, and within them those
/// are escaped already.
#[must_use]
pub fn harmless_json(text: String) -> String {
    let is_harmful = |c: char| c != '\n' && is_unsafe(c);
    if text.is_ascii() && !text.contains('\u{7f}') || !text.contains(is_harmful) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_a_line_around_is_escaped_and_reads_the_same() {
        let name = "a\u{202e}b\u{7f}\u{9b}é\n";
        let text = json_line(&[name]).unwrap();
        assert_eq!(text, r#"["a\u202eb\u007f\u009bé\n"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [name]);
        assert_eq!(json(&["x"]).unwrap(), "[\n  \"x\"\n]\n");
    }
}
