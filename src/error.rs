//! The program's error: one variant per layer, and the only place that knows exit codes.

use crate::domain::OneLine as _;

/// Anything that ends a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The ledger could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The ledger did not take the event, and it could not be put beside it either.
    #[error("an event was lost: the ledger couldn't store it, and it couldn't be queued: {0}")]
    Spool(#[source] std::io::Error),
    /// The settings file could not be understood.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The user's prices could not be read or written.
    #[error(transparent)]
    Prices(#[from] crate::pricing::PriceTableError),
    /// A transcript could not be read.
    #[error(transparent)]
    Read(#[from] crate::clients::ReadError),
    /// The hook could not be registered or removed.
    #[error(transparent)]
    Setup(#[from] crate::setup::SetupError),
    /// A check of `doctor` has failed. The table says which.
    #[error("checks failed: {failures}; see above for what to do")]
    Unhealthy {
        /// How many.
        failures: usize,
    },
    /// Files could not be counted. What is wrong with each was said before.
    #[error("files that couldn't be counted: {failures}")]
    NotCounted {
        /// How many.
        failures: usize,
    },
    /// Folders could not be read by an import. What is wrong with each was said before.
    #[error("folders that couldn't be read: {folders}; everything else was imported")]
    NotImported {
        /// How many.
        folders: u64,
    },
    /// Models in the ledger have no price. The table says which.
    #[error(
        "models without a price: {models}; set one with `tallyhook prices set MODEL --input USD --output USD`"
    )]
    Unpriced {
        /// How many.
        models: usize,
    },
    /// A budget is used up. The table says which.
    #[error("budgets used up: {budgets}")]
    OverBudget {
        /// How many.
        budgets: usize,
    },
    /// A file that the user has named could not be read.
    #[error("can't read {path}: {source}", path = .path.one_line())]
    Input {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to show.
    #[error("{what}")]
    NoData {
        /// What was looked for, and what to do next.
        what: String,
    },
    /// What has changed is numbered in the ledger, which cannot be written.
    #[error(
        "can't number the ledger's changes because the ledger can't be written; run this as the user who owns it"
    )]
    Unnumbered,
    /// What was asked cannot be meant.
    #[error("{what}")]
    Usage {
        /// Why, and what to say instead.
        what: String,
    },
    /// A variable holds a relative path.
    #[error(transparent)]
    Misplaced(#[from] crate::env::Misplaced),
    /// Neither a variable nor an option says where the ledger is.
    #[error("can't find the ledger: set HOME, or choose a file with --db PATH or TALLYHOOK_DB")]
    NoLedgerPath,
    /// Neither a variable nor an option says where the settings are.
    #[error("can't find the settings: set HOME, or choose a file with --config PATH")]
    NoConfigPath,
    /// The result could not be written.
    #[error("can't write the output: {source}")]
    Output {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// 1 for a failure, 2 for wrong usage (mostly clap's), 3 over a budget that was to be checked, 4 where there was no data.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::OverBudget { .. } => 3,
            Self::NoData { .. } => 4,
            _ => 1,
        }
    }

    /// Whether the reader of our output went away, as in `tallyhook … | head`.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
