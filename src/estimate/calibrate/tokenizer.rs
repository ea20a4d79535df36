//! Whose tokenizer a model has, and the slopes by which it exceeds tiktoken until something was learned.
//!
//! Claude's tokenizers are not public and count more than tiktoken. The slopes here were fitted on real transcripts
//! (`docs/facts.md#claudes-tokenizers`): `1.16 × cl100k` for the models up to 4.6, `1.7 × cl100k` for the tokenizer that
//! came with Opus 4.7.

use tallyhook_counter::Encoding;

use super::super::encoding_of;
use crate::domain::{Client, ModelId};

/// Whose tokenizer a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// OpenAI's, which tiktoken is.
    Tiktoken,
    /// Claude's up to Opus 4.6, Sonnet 4.6 and Haiku 4.5.
    Claude4,
    /// Claude's since Opus 4.7. Models that nobody knows yet are taken to have the newest.
    Claude5,
}

impl Tokenizer {
    /// The tokenizer of a model.
    #[must_use]
    pub fn of(model: &ModelId) -> Self {
        const OLD: [&str; 10] = [
            "claude-2",
            "claude-3",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-2",
            "claude-opus-4-5",
            "claude-opus-4-6",
            "claude-sonnet-4",
            "claude-haiku-4",
            "claude-instant",
        ];
        let id = model.as_str().to_ascii_lowercase().replace(['.', '@'], "-");
        if encoding_of(Client::ClaudeCode, Some(model)) == Encoding::O200kBase {
            Self::Tiktoken
        } else if OLD.iter().any(|old| id.contains(old)) || id.ends_with("claude-opus-4") {
            Self::Claude4
        } else {
            Self::Claude5
        }
    }

    /// What the model reads of a text that tiktoken counts `tokens` in: an estimate.
    #[must_use]
    pub fn estimate(self, tokens: u64) -> u64 {
        let percent = match self {
            Self::Tiktoken => 100,
            Self::Claude4 => 116,
            Self::Claude5 => 170,
        };
        tokens.saturating_mul(percent).div_ceil(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_tokenizer_of_their_generation() {
        for (model, tokenizer) in [
            ("claude-3-5-sonnet-20241022", Tokenizer::Claude4),
            ("claude-opus-4-20250514", Tokenizer::Claude4),
            ("claude-opus-4-6", Tokenizer::Claude4),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Tokenizer::Claude4),
            ("anthropic/claude-sonnet-4.6", Tokenizer::Claude4),
            ("claude-haiku-4-5-20251001", Tokenizer::Claude4),
            ("claude-opus-4-7", Tokenizer::Claude5),
            ("claude-opus-5-5", Tokenizer::Claude5),
            ("claude-sonnet-5", Tokenizer::Claude5),
            ("claude-haiku-5-5", Tokenizer::Claude5),
            ("somebodys-model-9", Tokenizer::Claude5),
            ("gpt-5.4", Tokenizer::Tiktoken),
        ] {
            assert_eq!(Tokenizer::of(&ModelId::new(model).unwrap()), tokenizer, "{model}");
        }
        assert_eq!(Tokenizer::Claude4.estimate(1_000), 1_160);
        assert_eq!(Tokenizer::Claude5.estimate(1), 2);
    }
}
