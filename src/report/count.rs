//! What `count` shows.

use serde::Serialize;

/// Tokens of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountReport {
    /// Of the JSON.
    pub schema_version: u32,
    /// The encoding's name.
    pub encoding: &'static str,
    /// The model that `estimate_tokens` is for.
    pub model: Option<String>,
    /// The files, in the order they were named.
    pub files: Vec<CountedFile>,
    /// All files' tokens.
    pub total_tokens: u64,
    /// All files' estimates.
    pub total_estimate_tokens: Option<u64>,
}

/// Tokens of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountedFile {
    /// Its name as given; `-` is stdin.
    pub file: String,
    /// What tiktoken counts.
    pub tokens: u64,
    /// What the model is estimated to read; null without a model.
    pub estimate_tokens: Option<u64>,
    /// Its size.
    pub bytes: u64,
    /// Whether `tokens` is tiktoken's own number; not so where a word of more than 256 KB was counted in parts.
    pub exact: bool,
}

impl CountReport {
    /// The report of these files.
    #[must_use]
    pub fn new(encoding: &'static str, model: Option<String>, files: Vec<CountedFile>) -> Self {
        Self {
            schema_version: 1,
            encoding,
            total_tokens: files.iter().map(|file| file.tokens).sum(),
            total_estimate_tokens: model
                .is_some()
                .then(|| files.iter().filter_map(|file| file.estimate_tokens).sum()),
            model,
            files,
        }
    }
}
