//! Opening the ledger for those who only look: reports and the status line, also where it cannot be written (one of another
//! user, on a disk that is read-only or full).
//!
//! Reports bring the ledger up to date before they answer, which takes writing. Where that fails they do the same in a copy,
//! so that what they show is as true as ever; only that nothing of it is kept. A small ledger is copied into memory, one that
//! would fill it into a file without a name, in the folder for temporary ones, or, where that has no room, into memory after all.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::migrations::user_version;
use super::open::{
    COMMAND, CopiedFor, Deadlines, Header, Ledger, SCHEMA_VERSION, STATUS, StoreError, VIEW, check_is_file,
    prepare,
};
use super::view::{MOMENT, ViewState};
use super::{Spool, wal};

/// Up to this size a ledger is copied into memory, in bytes.
const MAX_IN_MEMORY: u64 = 16 << 20;
/// Up to this size, in bytes, a ledger is copied into memory where a temporary file cannot be written.
const MAX_IN_MEMORY_AT_NEED: u64 = 256 << 20;
/// Larger ledgers are not copied: in bytes, six times what a year of much work takes.
const MAX_COPIED: u64 = 2 << 30;
/// How long another process's write may keep the reading waiting.
const WAIT: Duration = Duration::from_secs(5);
const IN_MEMORY: &str = ":memory:";
/// SQLite removes a file without a name as soon as it has made it.
const IN_A_FILE: &str = "";
const READING: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
/// A way to the file without locks, which need writing.
const WITHOUT_LOCKS: &std::ffi::CStr = if cfg!(windows) { c"win32-none" } else { c"unix-none" };

impl Ledger {
    /// Opens the ledger as a hook does, if it is one of this release; `None` if there is none.
    pub(super) fn open_current(path: &Path) -> Result<Option<Self>, StoreError> {
        let found = Header::read(path);
        if !found.is_current() {
            return Ok(None);
        }
        let opened = Self::open(path, STATUS, found, true).and_then(|mut ledger| {
            // Checkpoints are left to the hooks, of which one comes soon.
            let _due =
                wal::checkpoint_seldom(&ledger.conn, path).map_err(StoreError::query("set up the ledger"))?;
            ledger.must_be_closed = false;
            Ok(ledger)
        });
        match opened {
            Err(error) if error.is_unwritable() => {
                let mut reading = Self::open_reading(path, STATUS).map_err(|_| error)?;
                reading.must_be_closed = false;
                Ok(Some(reading))
            }
            opened => opened.map(Some),
        }
    }

    /// Opens the ledger for a command that reads it (and completes it from transcripts). If another process holds it, what
    /// cannot be written is left out ([`Self::left_out`]). Where it cannot be written at all, or is of an older release and
    /// held, this is a copy ([`Self::copied`]); where that cannot be made either, the other process is waited for.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise as [`Self::open_for_hook`].
    pub fn open_for_reports(path: &Path) -> Result<Self, StoreError> {
        let was_current = Header::read(path).is_current();
        match Self::open_view(path, MOMENT) {
            Ok(ledger) if ledger.conn.is_readonly(rusqlite::MAIN_DB).unwrap_or(false) => {
                Self::open_copy(path, CopiedFor::Unwritable)
            }
            Err(error) if error.is_unwritable() => {
                Self::open_copy(path, CopiedFor::Unwritable).map_err(|second| error.unless_told_by(second))
            }
            Err(error) if error.is_busy() && !was_current => {
                // One that is only being made, or is current in the log alone, is waited for and not copied.
                let version = version_beside_writer(path);
                let is_older = version.is_ok_and(|version| 0 < version && version < SCHEMA_VERSION);
                let copy = is_older.then(|| Self::open_copy(path, CopiedFor::Held));
                match copy {
                    Some(Ok(copy)) => Ok(copy),
                    Some(Err(second)) => {
                        Self::open_view(path, VIEW.waiting).map_err(|error| error.unless_told_by(second))
                    }
                    None => Self::open_view(path, VIEW.waiting),
                }
            }
            opened => opened,
        }
    }

    /// The ledger itself, to be looked at. One that is not of this release is waited for as long as is said.
    fn open_view(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_path_buf() });
        }
        let found = Header::read(path);
        // A ledger of an older release is brought up to date before it can be read, or a copy of it is.
        let waiting = if found.is_current() { VIEW.waiting } else { patience };
        let mut ledger = Self::open(path, Deadlines { waiting, ..VIEW }, found, false)?;
        ledger.patience = VIEW;
        ledger.expect_questions()?;
        ledger.view = Some(ViewState::default());
        let emptied = ledger.events_mut().empty_spool();
        ledger.without_if_held(emptied)?;
        Ok(ledger)
    }

    /// A copy of the ledger, with what waits in the spool. Nothing that is done to it lasts.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or there is no room for a copy.
    pub fn open_copy(path: &Path, why: CopiedFor) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_path_buf() });
        }
        check_is_file(path)?;
        let open_error = StoreError::opening(path);
        let source = match why {
            CopiedFor::Unwritable => connect(path),
            // Somebody writes: without locks it would be read in the middle of that.
            CopiedFor::Held => connect_shared(path, MOMENT),
        };
        let source = source.map_err(open_error)?;
        // As it is at one moment: a copy that has to wait for a writer begins anew, without an end.
        source.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema").map_err(open_error)?;
        let size = size(&source).map_err(open_error)?;
        let too_large = || StoreError::TooLarge { path: path.to_path_buf(), megabytes: size >> 20 };
        if size > MAX_COPIED {
            return Err(too_large());
        }
        if size <= MAX_IN_MEMORY {
            return Self::copy_into(IN_MEMORY, &source, path, why);
        }
        match Self::copy_into(IN_A_FILE, &source, path, why) {
            Err(error) if is_of_reading(&error) => Err(error),
            Err(error) if error.is_unwritable() && size <= MAX_IN_MEMORY_AT_NEED => {
                Self::copy_into(IN_MEMORY, &source, path, why)
            }
            Err(error) if error.is_unwritable() => Err(too_large()),
            copied => copied,
        }
    }

    fn copy_into(place: &str, source: &Connection, path: &Path, why: CopiedFor) -> Result<Self, StoreError> {
        let open_error = StoreError::opening(path);
        let mut conn = Connection::open(place).map_err(open_error)?;
        if place == IN_MEMORY {
            // What it sorts, too: there may be no room for files.
            conn.pragma_update(None, "temp_store", "MEMORY").map_err(open_error)?;
        }
        Backup::new(source, &mut conn)
            .and_then(|backup| backup.run_to_completion(i32::MAX, Duration::ZERO, None))
            .map_err(open_error)?;
        prepare(&mut conn, path, std::time::Instant::now(), COMMAND.waiting)?;
        let mut ledger = Self::of_connection(conn, None, COMMAND);
        ledger.copied = Some(why);
        ledger.expect_questions()?;
        let spool = Spool::of(path);
        if spool.exists() {
            // The files stay for who can store them.
            ledger.write("read queued events", |tx| spool.apply_to_copy(tx))?;
        }
        Ok(ledger)
    }

    /// The ledger for questions that need no writing; what would write fails.
    fn open_reading(path: &Path, patience: Deadlines) -> Result<Self, StoreError> {
        let open_error = StoreError::opening(path);
        Ok(Self::of_connection(connect(path).map_err(open_error)?, None, patience))
    }

    /// Why it is a copy, if it is one.
    #[must_use]
    pub fn copied(&self) -> Option<CopiedFor> {
        self.copied
    }
}

/// The schema of a ledger that another process holds, as it has last been committed, be it in the log alone. 0 if it is only
/// being made.
fn version_beside_writer(path: &Path) -> rusqlite::Result<i64> {
    user_version(&connect_shared(path, MOMENT)?)
}

/// Whether the system could not read the ledger, whatever room there is for a copy.
fn is_of_reading(error: &StoreError) -> bool {
    use rusqlite::ffi;
    let (StoreError::Open { source, .. } | StoreError::Query { source, .. }) = error else { return false };
    let code = source.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS))
}

/// How many bytes all pages take, by which a file without a block can be large, too.
fn size(conn: &Connection) -> rusqlite::Result<u64> {
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(number("page_count")?) * u64::from(number("page_size")?))
}

/// Opens a file that may not be written, whatever lies beside it.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = READING;
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
    connect_shared(path, WAIT).or_else(|first| alone().or_else(|_| without_log()).map_err(|_| first))
}

/// Opens it as ever, beside others that may write. The log's index must be there, or can be made.
fn connect_shared(path: &Path, wait: Duration) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, READING)?;
    conn.busy_timeout(wait)?;
    look(conn)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, SeekFrom, Write as _};

    fn ledger_of(dir: &Path, megabytes: u32) -> std::path::PathBuf {
        let path = dir.join(format!("{megabytes}.db"));
        let ledger = Ledger::open_or_create(&path).unwrap();
        let sql = "CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(1048576 * MEGABYTES));
            PRAGMA wal_checkpoint(TRUNCATE)";
        ledger.conn.execute_batch(&sql.replace("MEGABYTES", &megabytes.to_string())).unwrap();
        path
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_lack_of_room() {
        use rusqlite::ffi;
        for (code, is_of_reading_it) in [
            (ffi::SQLITE_IOERR_READ, true),
            (ffi::SQLITE_IOERR_SHORT_READ, true),
            (ffi::SQLITE_IOERR_WRITE, false),
            (ffi::SQLITE_FULL, false),
            (ffi::SQLITE_CANTOPEN, false),
        ] {
            let source = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = StoreError::opening(Path::new("ledger.db"))(source);
            assert!(error.is_unwritable());
            assert_eq!(is_of_reading(&error), is_of_reading_it, "{code}");
        }
    }

    #[test]
    fn a_copy_has_all_wherever_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        for megabytes in [1, MAX_IN_MEMORY as u32 >> 20] {
            let copy = Ledger::open_copy(&ledger_of(dir.path(), megabytes), CopiedFor::Unwritable).unwrap();
            let length: u32 =
                copy.conn.query_row("SELECT length(bytes) FROM filler", [], |row| row.get(0)).unwrap();
            assert_eq!((length, copy.copied()), (megabytes << 20, Some(CopiedFor::Unwritable)));
        }
    }

    #[test]
    fn what_would_fill_a_disk_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let path = ledger_of(dir.path(), 1);
        // It says itself how many pages it has, and almost none of them takes a block.
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(MAX_COPIED * 2).unwrap();
        file.seek(SeekFrom::Start(28)).unwrap();
        file.write_all(&u32::try_from(MAX_COPIED * 2 / 4096).unwrap().to_be_bytes()).unwrap();
        drop(file);
        let refused = Ledger::open_copy(&path, CopiedFor::Unwritable).unwrap_err();
        assert!(matches!(refused, StoreError::TooLarge { megabytes: 4_096, .. }), "{refused}");
    }
}
