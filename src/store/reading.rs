//! Reading a ledger that cannot be written: one of another user, on a disk that is read-only or full.
//!
//! Reports bring the ledger up to date before they answer, which takes writing. Where that fails they do the same in a copy
//! in memory, so that what they show is as true as ever; only that nothing of it is kept.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::Spool;
use super::open::{COMMAND, Ledger, Patience, StoreError, check_is_file, prepare};

/// How long another process's write may keep the reading waiting.
const WAIT: Duration = Duration::from_secs(5);
/// A way to the file without locks, which need writing.
const WITHOUT_LOCKS: &std::ffi::CStr = if cfg!(windows) { c"win32-none" } else { c"unix-none" };

impl Ledger {
    /// A copy of the ledger in memory, with what waits in the spool. Nothing that is done to it lasts.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn open_copy(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_path_buf() });
        }
        check_is_file(path)?;
        let open_error = StoreError::opening(path);
        let source = connect(path).map_err(open_error)?;
        let mut conn = Connection::open_in_memory().map_err(open_error)?;
        Backup::new(&source, &mut conn)
            .and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None))
            .map_err(open_error)?;
        prepare(&mut conn, path, std::time::Instant::now(), COMMAND.waiting)?;
        let mut ledger = Self::of_connection(conn, None, COMMAND);
        ledger.is_copy = true;
        ledger.expect_questions()?;
        let spool = Spool::of(path);
        if spool.exists() {
            // The files stay for who can store them.
            ledger.write("read the events that wait", |tx| spool.apply_to_copy(tx))?;
        }
        Ok(ledger)
    }

    /// The ledger for questions that need no writing; what would write fails.
    pub(super) fn open_reading(path: &Path, patience: Patience) -> Result<Self, StoreError> {
        let open_error = StoreError::opening(path);
        Ok(Self::of_connection(connect(path).map_err(open_error)?, None, patience))
    }

    /// Whether it is a copy in memory, for the ledger itself cannot be written.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.is_copy
    }
}

/// Opens a file that may not be written, whatever lies beside it.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let shared = || {
        // As ever, beside others that may write. The log's index must be there, or can be made.
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(WAIT)?;
        look(conn)
    };
    let alone = || {
        // The index is in this process's memory. Whoever could write would have to be somebody else at this moment.
        let conn = Connection::open_with_flags_and_vfs(path, flags, WITHOUT_LOCKS)?;
        conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        look(conn)
    };
    let without_log = || {
        let conn = Connection::open_with_flags(uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?;
        look(conn)
    };
    shared().or_else(|first| alone().or_else(|_| without_log()).map_err(|_| first))
}

/// The connection, if it can read.
fn look(conn: Connection) -> rusqlite::Result<Connection> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(conn)
}

/// The file as one that nobody changes.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    if cfg!(windows) {
        uri.push('/');
    }
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'\\' if cfg!(windows) => uri.push('/'),
            b'?' | b'#' | b'%' => {
                let _written = write!(uri, "%{byte:02x}").is_ok();
            }
            byte if byte.is_ascii_graphic() => uri.push(char::from(byte)),
            byte => {
                let _written = write!(uri, "%{byte:02x}").is_ok();
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}
