//! Counts tokens with tiktoken's encodings. The seam: callers see [`count`] and nothing of the engine behind it.
//!
//! The engine is tiktoken-rs, which builds its tables on first use (FACTS section 6: 134 to 346 ms). It panics on
//! extremely long runs of white space, so each call is guarded; a text that cannot be encoded is measured by its
//! length, and the result says so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::{Agent, ModelId};

/// Longest text without white space that is encoded, in bytes: the engine takes seconds for a megabyte of it
/// (FACTS section 6).
const MAX_PIECE_BYTES: usize = 256 << 10;

/// An encoding of tiktoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `cl100k_base`: used for Claude, whose own tokenizers are not public.
    Cl100kBase,
    /// `o200k_base`: OpenAI's models since GPT-4o.
    O200kBase,
}

impl Encoding {
    /// The encoding for a client's sessions, or for the session's model where that is known.
    ///
    /// Claude's text is predicted as well by `cl100k_base` as by `o200k_base` (FACTS section 6).
    #[must_use]
    pub fn of(client: Agent, model: Option<&ModelId>) -> Self {
        let openai = match model {
            Some(model) => {
                let id = model.as_str().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
                ["gpt-", "o1", "o3", "o4", "codex", "chatgpt"].iter().any(|start| id.starts_with(start))
            }
            None => client == Agent::Codex,
        };
        if openai { Self::O200kBase } else { Self::Cl100kBase }
    }
}

/// A number of tokens, and whether it is the encoding's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of tokens.
    pub tokens: u64,
    /// Whether the text was encoded; if not, the number is a quarter of its characters.
    pub exact: bool,
}

/// Counts the tokens of `text`; text that spells a special token counts as ordinary text.
///
/// A text of more than `limit` bytes, or one that the engine would take seconds for, is measured by its length.
#[must_use]
pub fn count(encoding: Encoding, text: &str, limit: usize) -> Count {
    if text.is_empty() {
        return Count { tokens: 0, exact: true };
    }
    if text.len() <= limit && !has_endless_piece(text) {
        let encode = || {
            let engine = match encoding {
                Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
                Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
            };
            engine.count_ordinary(text)
        };
        if let Ok(tokens) = catch_unwind(AssertUnwindSafe(encode)) {
            return Count { tokens: tokens as u64, exact: true };
        }
    }
    Count { tokens: by_characters(text), exact: false }
}

/// Whether one piece of the text, as the encoding splits it, may be longer than [`MAX_PIECE_BYTES`].
fn has_endless_piece(text: &str) -> bool {
    let is_space = |byte: &u8| byte.is_ascii_whitespace();
    text.len() > MAX_PIECE_BYTES
        && text.as_bytes().chunk_by(|a, b| is_space(a) == is_space(b)).any(|run| run.len() > MAX_PIECE_BYTES)
}

/// The fallback formula: 0.25 tokens per character, rounded up.
fn by_characters(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts_of_both_encodings() {
        assert_eq!(count(Encoding::Cl100kBase, "tiktoken is great!", 100), Count { tokens: 6, exact: true });
        assert_eq!(count(Encoding::O200kBase, "tiktoken is great!", 100), Count { tokens: 6, exact: true });
        assert_eq!(count(Encoding::Cl100kBase, "", 100).tokens, 0);
        assert!(count(Encoding::Cl100kBase, "<|endoftext|>", 100).tokens > 1);
    }

    #[test]
    fn a_text_too_long_to_encode_is_measured_and_says_so() {
        let measured = |text: &str, limit| count(Encoding::Cl100kBase, text, limit);
        assert_eq!(measured("four words of text", 10), Count { tokens: 5, exact: false });
        assert!(!measured(&" ".repeat(300_000), usize::MAX).exact);
        assert!(!measured(&"a".repeat(300_000), usize::MAX).exact);
        assert!(measured(&"ab ".repeat(100_000), usize::MAX).exact);
    }

    #[test]
    fn only_openai_models_take_o200k() {
        let of = |client, model: Option<&str>| Encoding::of(client, model.and_then(ModelId::new).as_ref());
        assert_eq!(of(Agent::ClaudeCode, None), Encoding::Cl100kBase);
        assert_eq!(of(Agent::ClaudeCode, Some("openai/gpt-5.4")), Encoding::O200kBase);
        assert_eq!(of(Agent::Codex, None), Encoding::O200kBase);
        assert_eq!(of(Agent::Codex, Some("claude-opus-5-5")), Encoding::Cl100kBase);
    }
}
