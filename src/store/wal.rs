//! When a hook's process checkpoints the write-ahead log.
//!
//! By itself SQLite checkpoints when the last connection closes, which for processes that live a millisecond is each
//! of them, with three syncs. Without any checkpoint every process would read a log that only grows. So the log is
//! left alone until it has [`CLOSE_FRAMES`] pages, about twenty events; the process that finds it longer closes in the
//! usual way, which empties it. While others always have the ledger open that close does nothing, so from
//! [`LONG_FRAMES`] on the log is copied before (FACTS section 7).

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

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
