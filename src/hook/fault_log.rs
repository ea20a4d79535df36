//! The hook's own faults, in a small file beside the ledger. Lines have a time and a reason, and nothing of
//! a payload but paths. If even that fails, nobody is told: the client must go on.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::domain::{Timestamp, clean_name};
use crate::regular;

/// The file is started anew above this size; one earlier file is kept.
const MAX_BYTES: u64 = 64 * 1024;
const MAX_LINE_CHARS: usize = 400;

/// Where the log of `ledger` is.
#[must_use]
pub fn path_of(ledger: &Path) -> PathBuf {
    ledger.with_file_name("hook-errors.log")
}

/// Adds a line.
pub(super) fn append(ledger: &Path, at: Timestamp, fault: &str) {
    let path = path_of(ledger);
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_BYTES)
        && std::fs::rename(&path, path.with_extension("log.1")).is_err()
    {
        return;
    }
    let Some(fault) = clean_name(fault, MAX_LINE_CHARS) else { return };
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = regular::open_with(&path, &mut options).or_else(|error| {
        // The first event of all may be the one that cannot be stored.
        let folder = path.parent().filter(|_| error.kind() == std::io::ErrorKind::NotFound);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder.ok_or(error)?)?;
        regular::open_with(&path, &mut options)
    });
    if let Ok(mut file) = opened {
        // One write, so that lines of processes that fail at once stay whole. There is nobody left to tell.
        let _told = file.write_all(format!("{} {fault}\n", at.to_rfc3339()).as_bytes()).is_ok();
    }
}
