//! When a hook's process checkpoints the write-ahead log.
//!
//! By itself SQLite checkpoints when the last connection closes, which for processes that live a millisecond is each
//! of them, with three syncs. Without any checkpoint every process would read a log that only grows. So the log is
//! left alone until it has [`CLOSE_FRAMES`] pages, about twenty events; the process that finds it longer closes in the
//! usual way, which empties it. While others always have the ledger open that close does nothing, so from
//! [`LONG_FRAMES`] on the log is copied before (`docs/facts.md#sqlite-in-a-short-lived-process`).

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Takes the ledger for this process alone, if no other has it open at this moment; returns whether it does.
///
/// The index of the log is then in this process's memory. Else it is in a file of 32 KB that every first process makes
/// anew, maps and fills: a fifth of what a hook takes (scripts/bench-hook.sh). It holds others up until the connection
/// ends, so it is for those that are done within a millisecond. Who finds the ledger taken waits as for any other lock.
pub(super) fn take_alone(conn: &Connection) -> rusqlite::Result<bool> {
    conn.busy_timeout(Duration::ZERO)?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // The first statement that needs the file locks it.
    match sync_seldom(conn) {
        Err(error) if is_busy(&error) => {
            conn.pragma_update(None, "locking_mode", "NORMAL")?;
            Ok(false)
        }
        result => result.map(|()| true),
    }
}

/// Leaves syncing to the checkpoints and to who asks for it ([`sync_each`]): a process that is killed loses nothing, a power
/// cut perhaps the last events.
pub(super) fn sync_seldom(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "synchronous", "NORMAL")
}

/// Waits for the disk at each commit: not even a power cut takes it back, nor what was committed before.
pub(super) fn sync_each(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "synchronous", "FULL")
}

/// A page and its head in the log, in bytes.
const FRAME_BYTES: u64 = 4_096 + 24;
/// From this many pages on the log is emptied at close.
const CLOSE_FRAMES: u64 = 64;
/// From this many on it is copied into the ledger even while others have it open.
const LONG_FRAMES: u64 = 1_000;

/// Makes the connection checkpoint only if the log of the ledger at `path` has become long; returns whether it will when
/// it is closed.
pub(super) fn checkpoint_seldom(conn: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let frames = std::fs::metadata(log).map_or(0, |log| log.len() / FRAME_BYTES);
    if frames < CLOSE_FRAMES {
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    if frames < LONG_FRAMES {
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    }
    Ok(frames >= CLOSE_FRAMES)
}

/// Whether another process holds what is asked for.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}
