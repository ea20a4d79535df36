//! The user's own `prices.toml`: where it is read, and what is said of one that cannot be used.

use std::path::{Path, PathBuf};

use tallyhook_prices::{FileFault, UserPrices};

use crate::domain::{OneLine as _, clean_name};
use crate::regular;

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
const MAX_REASON_CHARS: usize = 200;

/// A file of prices that cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum PriceTableError {
    /// The file is there but cannot be read.
    #[error("can't read the prices in {path}: {source}", path = .path.one_line())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file says something that is no price.
    #[error(
        "can't use the prices in {path}: line {line}, column {column}: {reason}; fix the line, or delete the file to go back to the built-in prices",
        path = .path.one_line()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// The file is laid out in a way that cannot be changed without harm.
    #[error(
        "{path} is laid out in a way that can't be edited safely; add this line to {model:?} by hand: {row}",
        path = .path.one_line()
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// The model.
        model: String,
        /// What would have been written.
        row: String,
    },
}

impl PriceTableError {
    pub(super) fn invalid(path: &Path, text: &str, fault: &FileFault) -> Self {
        let before = text.get(..fault.at).unwrap_or(text);
        Self::Invalid {
            path: path.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            reason: clean_name(&fault.reason, MAX_REASON_CHARS).unwrap_or_default(),
        }
    }
}

/// Reads the user's file; without one there are no prices in it.
///
/// # Errors
/// If the file is there but cannot be read or used.
pub fn read_user_prices(path: &Path) -> Result<UserPrices, PriceTableError> {
    match text_of(path)? {
        Some(text) => parse_user_prices(&text, path),
        None => Ok(UserPrices::default()),
    }
}

/// Reads the text of such a file; `path` is for the error.
///
/// # Errors
/// If it cannot be used.
pub fn parse_user_prices(text: &str, path: &Path) -> Result<UserPrices, PriceTableError> {
    UserPrices::parse(text).map_err(|fault| PriceTableError::invalid(path, text, &fault))
}

/// The text of a user's file; `None` if there is none. Only a regular file of a sensible size is read.
///
/// # Errors
/// If it is there but cannot be read.
pub fn text_of(path: &Path) -> Result<Option<String>, PriceTableError> {
    let fail = |source| PriceTableError::Read { path: path.to_path_buf(), source };
    match regular::read_text(path, MAX_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(fail(source)),
    }
}
