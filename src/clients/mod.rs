//! Readers of the clients' own logs. What they return is the domain's [`ResponseRecord`](crate::domain::ResponseRecord)s and
//! what else the ledger keeps of a session; never content.

pub mod claude_code;
mod jsonl;

use std::path::PathBuf;

use crate::domain::OneLine as _;

pub use jsonl::{Buffer, Fingerprint, Lines};

/// A log that could not be opened or read. Lines that cannot be understood are no error: they are skipped.
#[derive(Debug, thiserror::Error)]
#[error("can't read {path}: {source}", path = .path.one_line())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Gives a process that reads much the means for it; they take a while to get ready.
pub fn expect_much() {
    crate::json::use_whole_processor();
}
