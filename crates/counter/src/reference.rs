//! tiktoken-rs itself: the oracle that the counter is compared with.
//!
//! Building an engine takes a tenth of a second or more, and 50 MB. The engine is built from
//! the counter's own table, so that the program holds each vocabulary once: tiktoken-rs's files stay out of it as
//! long as nothing but tests calls `tiktoken_rs::cl100k_base` and its like. Tests compare with those as well.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tiktoken_rs::CoreBPE;

use crate::{Encoding, vocabulary};

/// The pattern of `cl100k_base`; tiktoken-rs exports only that of `o200k_base`.
const CL100K_BASE_PATTERN: &str = concat!(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+",
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
);

/// Longest run of white space that the engine is given, in characters. Its regex engine gives up after a million
/// steps back, and tiktoken-rs panics then.
const MAX_SPACES: usize = 100_000;

/// An engine of tiktoken-rs for one encoding.
pub struct Reference {
    engine: CoreBPE,
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference").finish_non_exhaustive()
    }
}

impl Reference {
    /// Builds the engine from the counter's vocabulary and tiktoken's pattern.
    ///
    /// # Errors
    /// If tiktoken-rs refuses the pattern, which tests rule out for its present version.
    pub fn new(encoding: Encoding) -> Result<Self, ReferenceError> {
        let pattern = match encoding {
            Encoding::Cl100kBase => CL100K_BASE_PATTERN,
            Encoding::O200kBase => tiktoken_rs::O200K_BASE_PAT_STR,
        };
        // Special tokens are left out: text that spells one is ordinary text here.
        let special_tokens = std::iter::empty().collect();
        CoreBPE::new(vocabulary(encoding).collect(), special_tokens, pattern)
            .map(|engine| Self { engine })
            .map_err(|error| ReferenceError { reason: error.to_string() })
    }

    /// The ranks of the tokens of `text`, or `None` where tiktoken-rs cannot encode it.
    #[must_use]
    pub fn encode(&self, text: &str) -> Option<Vec<u32>> {
        encode_guarded(&self.engine, text)
    }
}

/// tiktoken-rs refused to build an engine.
#[derive(Debug, thiserror::Error)]
#[error("cannot build tiktoken-rs's engine: {reason}")]
pub struct ReferenceError {
    reason: String,
}

/// Encodes `text` as ordinary text with an engine of tiktoken-rs, or gives `None` where it would panic.
#[must_use]
pub fn encode_guarded(engine: &CoreBPE, text: &str) -> Option<Vec<u32>> {
    let mut spaces = 0;
    let too_many = text.chars().any(|character| {
        spaces = if character.is_whitespace() { spaces + 1 } else { 0 };
        spaces > MAX_SPACES
    });
    if too_many {
        return None;
    }
    // What is known is refused above, without the message that a panic prints; this is for the unknown.
    catch_unwind(AssertUnwindSafe(|| engine.encode_ordinary(text))).ok()
}
