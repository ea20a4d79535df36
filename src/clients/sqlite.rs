//! Databases of clients, read without a trace: nothing in the client's folder is written, made, or removed, and no lock is
//! taken that its own writers would wait for.
//!
//! SQLite's read-only mode alone does not promise that. For a database with a write-ahead log (WAL) it makes the files `-wal` and
//! `-shm` if they are missing, and writes its marks into `-shm`. So the way in depends on what lies beside the database:
//!
//! - `-wal` and `-shm`: the client runs, or was killed. SQLite is told that `-shm` is read-only; it takes part in the locks of a
//!   client that runs, and makes an index of its own in memory if none does.
//! - `-wal` alone, as in a copy: nobody has the database open, since who does has a `-shm`. It is read without locks, with the index
//!   in memory.
//! - Neither: the database is whole in its one file, which is read as one that nobody changes.
//!
//! In the last two a client may start in the middle, so what was read counts only if the files still look the same afterwards.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::ReadError;
use crate::regular;

/// The longest wait for a client that keeps its database locked, which one with a WAL never does for long.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);
/// How often reading is begun again because a client started in the middle.
const ATTEMPTS: usize = 3;
/// What every database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header says how the database is written and read, and its value for a WAL.
const FORMAT: std::ops::Range<usize> = 18..20;
const WAL_FORMAT: u8 = 2;
/// SQLite's own way to open files without any locks.
const WITHOUT_LOCKS: &str = if cfg!(windows) { "win32-none" } else { "unix-none" };

/// A file as far as it can be told to have changed.
type Stamp = Option<(u64, Option<SystemTime>)>;

/// A file that lies beside a database, named after it.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The beginning of a database; `None` if the file is none.
fn header(path: &Path) -> io::Result<Option<[u8; FORMAT.end]>> {
    let mut header = [0; FORMAT.end];
    match regular::open(path)?.read_exact(&mut header) {
        Ok(()) => Ok(header.starts_with(MAGIC).then_some(header)),
        Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// With SQLite's locks for readers.
    Locked,
    /// Nobody has it open; with what its WAL holds.
    Resting,
    /// Nobody has it open, and there is no WAL.
    Whole,
}

impl Access {
    fn of(path: &Path, header: &[u8; FORMAT.end]) -> Self {
        let is_there = |ending: &str| beside(path, ending).exists();
        let has_wal = header[FORMAT].contains(&WAL_FORMAT);
        match (has_wal, is_there("-wal"), is_there("-shm")) {
            (false, ..) | (true, true, true) => Self::Locked,
            (true, true, false) => Self::Resting,
            (true, false, _) => Self::Whole,
        }
    }

    fn open(self, path: &Path) -> rusqlite::Result<Connection> {
        let how = match self {
            Self::Locked => "mode=ro&readonly_shm=1",
            Self::Resting => "mode=ro",
            Self::Whole => "mode=ro&immutable=1",
        };
        let address = format!("{}?{how}", address_of(path));
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = match self {
            Self::Resting => Connection::open_with_flags_and_vfs(address, flags, WITHOUT_LOCKS),
            Self::Locked | Self::Whole => Connection::open_with_flags(address, flags),
        }?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        // Closing must not move what the WAL holds into the client's database, and its schema is another program's.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        conn.pragma_update(None, "query_only", true)?;
        conn.pragma_update(None, "temp_store", "memory")?;
        if self == Self::Resting {
            // Alone of all modes this one has its index of the WAL in memory from the start.
            conn.pragma_update(None, "locking_mode", "exclusive")?;
        }
        Ok(conn)
    }
}

/// A file's path as an address that SQLite takes options with.
fn address_of(path: &Path) -> String {
    #[cfg(unix)]
    let bytes = {
        use std::os::unix::ffi::OsStrExt as _;
        path.as_os_str().as_bytes().to_vec()
    };
    #[cfg(not(unix))]
    let bytes = {
        let path = path.to_string_lossy().replace('\\', "/");
        if path.starts_with('/') { path.into_bytes() } else { format!("/{path}").into_bytes() }
    };
    let mut address = String::from("file:");
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.~:".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _written = write!(address, "%{byte:02X}");
        }
    }
    address
}

fn stamps(path: &Path) -> [Stamp; 3] {
    [path.to_path_buf(), beside(path, "-wal"), beside(path, "-shm")].map(|file| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.len(), metadata.modified().ok()))
    })
}

/// What `ask` finds in a database, all of it as it was at one time; `None` if the file is no database. `ask` can be called more than
/// once.
///
/// # Errors
/// If the database cannot be opened or read, or keeps changing.
pub(super) fn read<T>(
    path: &Path,
    mut ask: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, ReadError> {
    let unread = |source| ReadError { path: path.to_path_buf(), source };
    for _ in 0..ATTEMPTS {
        let before = stamps(path);
        let Some(header) = header(path).map_err(unread)? else { return Ok(None) };
        let access = Access::of(path, &header);
        let found = access.open(path).and_then(|conn| {
            // One transaction, so that all statements see the same.
            conn.execute_batch("BEGIN")?;
            ask(&conn)
        });
        if access == Access::Locked || stamps(path) == before {
            return found.map(Some).map_err(|fault| unread(io::Error::other(fault)));
        }
    }
    Err(unread(io::Error::other("the database was changed while it was read")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_opened_and_nothing_is_made_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        // The characters that mean something in an address, but for those that no name may have on Windows.
        let path = folder.path().join("a #%20&mode=rw;é.db");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (7)")
            .unwrap();
        writer.close().unwrap();
        let ask = |conn: &Connection| conn.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(read(&path, ask).unwrap(), Some(7));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let write = |conn: &Connection| conn.execute("INSERT INTO t VALUES (8)", []);
        assert!(read(&path, write).is_err());
        std::fs::write(&path, "no database").unwrap();
        assert!(read(&path, ask).unwrap().is_none());
    }
}
