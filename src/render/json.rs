//! JSON, indented for documents and in one line for records.

use serde::Serialize;

/// A document, with a newline at its end.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn json(value: &impl Serialize) -> std::io::Result<String> {
    let mut text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    text.push('\n');
    Ok(text)
}

/// A record in one line, without a newline.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn json_line(value: &impl Serialize) -> std::io::Result<String> {
    serde_json::to_string(value).map_err(std::io::Error::other)
}
