//! What `count` shows.

use serde::Serialize;

use super::table::{Cell, Table};
use crate::domain::clean_name;

/// Longest path that is shown, in characters.
const MAX_PATH_CHARS: usize = 400;

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

    /// The report as a table.
    #[must_use]
    pub fn table(&self) -> Table {
        let columns: &[&str] = if self.model.is_some() {
            &["file", "bytes", "tokens", "estimate"]
        } else {
            &["file", "bytes", "tokens"]
        };
        let title = match &self.model {
            Some(model) => format!("Tokens ({}), with an estimate for {model}", self.encoding),
            None => format!("Tokens ({})", self.encoding),
        };
        let mut table = Table::new(title, columns);
        let row = |name: &str, bytes, tokens, estimate: Option<u64>| {
            let mut row = vec![Cell::Text(name.to_owned()), Cell::Count(bytes), tokens];
            row.extend(estimate.map(Cell::Estimate));
            row
        };
        let tokens = |exact, tokens| if exact { Cell::Count(tokens) } else { Cell::Estimate(tokens) };
        for file in &self.files {
            let name = clean_name(&file.file, MAX_PATH_CHARS).unwrap_or_default();
            table.rows.push(row(&name, file.bytes, tokens(file.exact, file.tokens), file.estimate_tokens));
        }
        if self.files.len() > 1 {
            let bytes = self.files.iter().map(|file| file.bytes).sum();
            let exact = self.files.iter().all(|file| file.exact);
            table.total =
                Some(row("total", bytes, tokens(exact, self.total_tokens), self.total_estimate_tokens));
        }
        table
    }
}
