//! `Read`: numbered lines, images, PDFs, notebooks.

use std::fmt::Write as _;

use super::super::{CallView, Era, ModelInput, media};
use super::input_text;
use crate::domain::{Estimate, Method, Version};
use crate::json::{self, Object};

/// What the client says of a file that has no text.
const EMPTY_FILE: &str =
    "<system-reminder>Warning: the file exists but the contents are empty.</system-reminder>";
/// What the client says when the file has not changed since it was read.
const UNCHANGED: &str = "File unchanged since last read. The content from the earlier Read tool_result in this conversation is still current — refer to that instead of re-reading.";

/// What clients up to 2.1.38 add to every text file; later ones do so for older models only.
const MALWARE_REMINDER: &str = "\n\n<system-reminder>\nWhenever you read a file, you should consider whether it would be considered malware. You CAN and SHOULD provide analysis of malware, what it is doing. But you MUST refuse to improve or augment the code. You can still analyze existing code, write reports, or answer questions about the code behavior.\n</system-reminder>\n";
/// How many lines get their numbers: as many as are encoded at most, and more than a client hands on.
pub(super) const MAX_LINES: usize = 1 << 18;
/// The clients that add it to nothing.
const NO_REMINDER: Version = (2, 1, 39);

pub(super) fn reading<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    let file = response.object("file").unwrap_or_default();
    match response.text("type")?.as_ref() {
        "text" => {
            let content = file.text("content")?;
            if content.is_empty() {
                return Some(ModelInput::notice(EMPTY_FILE));
            }
            let mut text = numbered(&content, file.count("startLine").unwrap_or(1), call.era);
            if call.is_before(NO_REMINDER, &[Era::Early]) {
                text.push_str(MALWARE_REMINDER);
            }
            Some(ModelInput::text(text))
        }
        "image" => {
            let side = |name: &str| {
                let dimensions = file.object("dimensions")?;
                u32::try_from(dimensions.count(name)?).ok()
            };
            Some(match (side("displayWidth"), side("displayHeight")) {
                (Some(width), Some(height)) => {
                    ModelInput::tokens(media::image_tokens(width, height), Method::Image)
                }
                _ => ModelInput::media(media::base64_image(&file.text("base64").unwrap_or_default())),
            })
        }
        "pdf" => {
            let asked = input_text(call, "pages").and_then(|range| media::pages_in_range(&range));
            let Estimate { tokens, method } = match asked {
                Some(pages) => Estimate { tokens: media::pages_tokens(pages), method: Method::Pdf },
                None => media::base64_pdf(&file.text("base64").unwrap_or_default()),
            };
            let path = file.text("filePath").unwrap_or_default();
            let size = file.count("originalSize").unwrap_or(0);
            let header = format!("PDF file read: {path} ({size} bytes)");
            Some(ModelInput { tokens, ..ModelInput::text(header).with_method(method) })
        }
        // Pages of a PDF that the client took apart, each sent as an image.
        "parts" => {
            let pages = file.count("count").unwrap_or(1);
            Some(ModelInput::tokens(media::pages_tokens(pages), Method::Pdf))
        }
        "notebook" => Some(ModelInput::text(notebook(&file))),
        "file_unchanged" => Some(ModelInput::notice(UNCHANGED)),
        _ => None,
    }
}

/// Lines with their numbers, as the client of that time shows them. Those beyond the first 262,144 are left without.
pub(super) fn numbered(content: &str, first: u64, era: Era) -> String {
    let lines = content.matches('\n').count() + 1;
    let mut text = String::with_capacity(content.len() + lines.min(MAX_LINES) * 8);
    for (number, line) in (first..).zip(content.splitn(MAX_LINES, '\n')) {
        if number > first {
            text.push('\n');
        }
        // Writing into a String cannot fail.
        let _ignored = match era {
            Era::Current => write!(text, "{number}\t{line}"),
            Era::Early | Era::Middle => write!(text, "{number:>6}→{line}"),
        }
        .is_ok();
    }
    text
}

fn notebook(file: &Object<'_>) -> String {
    let mut text = String::new();
    for cell in file.array("cells").into_iter().filter_map(Object::from_raw) {
        let id = cell.text("cell_id").unwrap_or_default();
        let source = cell.text("source").unwrap_or_default();
        text.push_str(&format_cell(&id, &source));
        for output in cell.array("outputs").into_iter().filter_map(Object::from_raw) {
            text.push('\n');
            if let Some(output) = output.text("text") {
                text.push_str(&output);
            } else if let Some(raw) = output.raw("text") {
                json::for_each_scalar(raw, |scalar| {
                    if let json::Scalar::Text(line) = scalar {
                        text.push_str(&line);
                    }
                });
            }
        }
        text.push('\n');
    }
    text
}

fn format_cell(id: &str, source: &str) -> String {
    format!("<cell id=\"{id}\">{source}</cell id=\"{id}\">\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_as_the_client_of_the_time_does() {
        assert_eq!(numbered("one\ntwo\n", 1, Era::Current), "1\tone\n2\ttwo\n3\t");
        assert_eq!(numbered("a", 350, Era::Early), "   350→a");
    }
}
