//! Content as the API defines it: a text, or blocks of text, images, documents.

use super::super::{ModelInput, media};
use crate::domain::{Estimate, Method};
use crate::json::{self, Object, Raw, Scalar};

/// Strings above this that hold nothing but base64 are taken for an attached file, not for text.
const BASE64_MIN_CHARS: usize = 4_096;

/// Reads a string, content blocks or one of them; of anything else all scalars.
pub(in super::super) fn content(raw: Raw<'_>) -> ModelInput<'_> {
    if let Some(text) = json::text(raw) {
        return ModelInput::text(text);
    }
    let mut reading = ModelInput::tokens(0, Method::PayloadText);
    let blocks = json::array(raw);
    if blocks.is_empty() {
        let is_block =
            |block: &Object<'_>| matches!(block.text("type").as_deref(), Some("text" | "image" | "document"));
        match Object::from_raw(raw).filter(is_block) {
            Some(block) => add_block(raw, &block, &mut reading),
            None => scalars(raw, &mut reading),
        }
    }
    for raw in blocks {
        match Object::from_raw(raw) {
            Some(block) => add_block(raw, &block, &mut reading),
            None => match json::text(raw) {
                Some(text) => reading.texts.push(text),
                None => scalars(raw, &mut reading),
            },
        }
    }
    reading
}

fn add_block<'a>(raw: Raw<'a>, block: &Object<'a>, reading: &mut ModelInput<'a>) {
    let source = block.object("source");
    let is_text = source.as_ref().and_then(|source| source.text("type")).as_deref() == Some("text");
    let data = source.and_then(|source| source.text("data")).or_else(|| block.text("data"));
    match (block.text("type").as_deref(), data) {
        (Some("text"), _) => reading.texts.extend(block.text("text")),
        (Some("image"), Some(data)) => {
            reading.push_media(media::base64_image(&data));
        }
        (Some("document"), Some(text)) if is_text => reading.texts.push(text),
        (Some("document"), Some(data)) => {
            reading.push_media(media::base64_pdf(&data));
        }
        _ => scalars(raw, reading),
    }
}

/// All scalars of a value, but files in base64 as what they are.
fn scalars<'a>(raw: Raw<'a>, reading: &mut ModelInput<'a>) {
    json::for_each_scalar(raw, |scalar| match scalar {
        Scalar::Text(text) if is_base64(&text) => match media::known_image_tokens(&text) {
            Some(tokens) => reading.push_media(Estimate { tokens, method: Method::Image }),
            None => reading.texts.push(text),
        },
        scalar => reading.push_scalar(scalar),
    });
}

fn is_base64(text: &str) -> bool {
    text.len() >= BASE64_MIN_CHARS
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}
