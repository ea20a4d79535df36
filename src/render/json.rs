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

/// Appends a record in one line, without a newline.
///
/// # Errors
/// If the value cannot be written as JSON. Then part of it may be there.
pub fn push_json(out: &mut String, value: &impl Serialize) -> std::io::Result<()> {
    let start = out.len();
    let mut bytes = std::mem::take(out).into_bytes();
    let written = serde_json::to_writer(&mut bytes, value);
    // It is a string, and JSON is too.
    *out = String::from_utf8(bytes).map_err(std::io::Error::other)?;
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
        assert_eq!(json(&["x"]).unwrap(), "[\n  \"x\"\n]\n");
    }
}
