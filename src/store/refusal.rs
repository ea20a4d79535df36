//! Why the system refuses what SQLite asks of it.
//!
//! SQLite says "unable to open database file" and "disk I/O error" of any fault, and keeps the system's own word to itself. So
//! the same is tried once more without it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::{Error, ErrorCode};

/// The error with the system's own word behind it, where that can be had: of the ledger at `path`, its log, or its folder.
pub(super) fn explained(error: Error, path: &Path) -> Error {
    let Error::SqliteFailure(failure, message) = error else { return error };
    let is_systems = matches!(
        failure.code,
        ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::DiskFull
    );
    let Some(refusal) = is_systems.then(|| refusal(path)).flatten() else {
        return Error::SqliteFailure(failure, message);
    };
    let said = message.unwrap_or_else(|| failure.to_string());
    Error::SqliteFailure(failure, Some(format!("{said}: {refusal}")))
}

/// What the system refuses of a ledger's files.
fn refusal(path: &Path) -> Option<io::Error> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let mut files = vec![path.to_path_buf()];
    files.extend(["-wal", "-shm", "-journal"].map(beside).into_iter().filter(|file| file.exists()));
    for file in files {
        if let Err(error) = OpenOptions::new().read(true).write(true).open(file) {
            return Some(error);
        }
    }
    // The log and the spool are made beside it. What the trial leaves is removed, or it is the same name the next time.
    let trial = beside("-trial");
    let tried = OpenOptions::new().write(true).create(true).truncate(true).open(&trial);
    let result = tried.and_then(|mut file| file.write_all(&[0; 4_096]).and_then(|()| file.sync_data()));
    let _removed = std::fs::remove_file(&trial).is_ok();
    result.err()
}
