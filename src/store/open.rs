//! Opening the ledger: permissions, pragmas, schema.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::migrations::{MIGRATIONS, migrate, user_version};
use super::view::{MOMENT, ViewState};
use super::wal::is_busy;
use super::{Spool, refusal, wal};
use crate::domain::OneLine as _;
use crate::platform::is_on_network;
use crate::pricing::PriceTable;
use crate::regular;

/// The schema that this release writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a process may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// For other writers, all its waits together.
    pub(super) waiting: Duration,
    /// Until it reads no further piece of a long transcript.
    pub(super) working: Duration,
}

/// The client waits for the hook and gives up after 5 s. What the ledger has no time for goes to the spool.
const HOOK: Deadlines = Deadlines { waiting: Duration::from_secs(1), working: Duration::from_millis(3_500) };
/// The status line shows less rather than later.
pub(super) const STATUS: Deadlines =
    Deadlines { waiting: Duration::from_millis(100), working: Duration::from_millis(100) };
/// A view needs nothing but to read, and that nobody hinders for long.
pub(super) const VIEW: Deadlines =
    Deadlines { waiting: Duration::from_secs(5), working: Duration::from_secs(60) };
pub(super) const COMMAND: Deadlines =
    Deadlines { waiting: Duration::from_secs(60), working: Duration::from_secs(60) };
/// However long the waits before were, the next one is at least this long.
const LEAST_WAIT: Duration = Duration::from_millis(200);
/// How many statements a view keeps compiled: of each session an export asks some twenty questions.
const STATEMENTS: usize = 64;
/// Marks the file as a ledger of ours: "Tall".
pub(super) const APPLICATION_ID: i64 = 1_415_670_892;

/// The ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder of the ledger could not be made.
    #[error("can't create the folder {path} for the ledger: {source}", path = .path.one_line())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is there but cannot be opened as a ledger.
    #[error("can't open the ledger {path}: {source}", path = .path.one_line())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer release has written the ledger.
    #[error(
        "the ledger {path} was written by a newer tallyhook (schema {found}; this release supports {known}); \
         install the newer release, or choose another ledger with --db",
        path = .path.one_line()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// The file is a database of something else.
    #[error(
        "{path} isn't a tallyhook ledger, so it was left alone; choose another file with --db",
        path = .path.one_line()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// There is no ledger, where one was to be read.
    #[error("there is no ledger at {path} yet; the first hook event creates it", path = .path.one_line())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Something else is in the ledger's place: a folder, a pipe, a device.
    #[error("{path} isn't a regular file, so it can't be a ledger; choose another file with --db", path = .path.one_line())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// It cannot be written, and a copy of it would be too large.
    #[error(
        "the ledger {path} can't be written, and at {megabytes} MB it's too large for reports to work on a copy",
        path = .path.one_line()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What it holds.
        megabytes: u64,
    },
    /// A statement failed.
    #[error("can't {what}: {source}")]
    Query {
        /// What was being done.
        what: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Whether other processes held the ledger for longer than this one may wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Open { source, .. } | Self::Query { source, .. } if is_busy(source))
    }

    /// Whether SQLite calls the file damaged, or no database.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self, Self::Open { source, .. } | Self::Query { source, .. }
            if matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)))
    }

    /// Whether it passes without anybody's doing, or the user knows of it: nothing to note.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.is_busy() || matches!(self, Self::Newer { .. })
    }

    /// Wraps what went wrong while the ledger at `path` was opened.
    pub(super) fn opening(path: &Path) -> impl Fn(rusqlite::Error) -> Self + Copy {
        move |source| {
            let source = refusal::explained(without_sql(source), path);
            Self::Open { path: path.to_path_buf(), source }
        }
    }

    /// What a write is told that another process keeps from the ledger.
    pub(super) fn held(what: &'static str) -> Self {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Self::Query { what, source: rusqlite::Error::SqliteFailure(busy, None) }
    }

    /// Whether it was the writing that failed: a file or disk that is read-only, or one that is full.
    #[must_use]
    pub fn is_unwritable(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure};
        match self {
            Self::Open { source, .. } | Self::Query { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ReadOnly | DiskFull | CannotOpen | PermissionDenied | SystemIoFailure)
            ),
            Self::Folder { .. } => true,
            _ => false,
        }
    }

    /// The error of a ledger that cannot be written, unless that of reading it in a copy says more.
    #[must_use]
    pub fn unless_told_by(self, second: Self) -> Self {
        if matches!(second, Self::TooLarge { .. }) { second } else { self }
    }

    /// Wraps a failed statement.
    pub(super) fn query(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Query { what, source }
    }
}

/// Why a report has a copy of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopiedFor {
    /// The ledger cannot be written.
    Unwritable,
    /// It is of an older release, and another process holds it, so it cannot be brought up to date.
    Held,
}

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    pub(super) conn: Connection,
    pub(super) spool: Option<Spool>,
    /// What responses are priced by when they are stored.
    pub(super) prices: PriceTable,
    opened_at: Instant,
    pub(super) patience: Deadlines,
    pub(super) must_be_closed: bool,
    /// Whether it is to store many responses at once.
    pub(super) expects_much: bool,
    /// Time spent in writing so far, which under load is time spent in waiting.
    pub(super) waited: Duration,
    /// Why it is a copy, of which nothing lasts, if it is one.
    pub(super) copied: Option<CopiedFor>,
    /// What it remembers if it is only looked at.
    pub(super) view: Option<ViewState>,
}

impl Ledger {
    /// Opens the ledger for a hook, making it if need be. What is `brief` reads no transcript and waits for nothing.
    ///
    /// # Errors
    /// If it cannot be made or opened, or a newer release has written it.
    pub fn open_for_hook(path: &Path, brief: bool) -> Result<Self, StoreError> {
        let found = Header::read(path);
        let mut ledger = Self::open(path, HOOK, found, brief)?;
        // A new ledger is closed in the usual way, which writes its header.
        if found.is_current() {
            ledger.must_be_closed =
                wal::checkpoint_seldom(&ledger.conn, path).map_err(StoreError::query("set up the ledger"))?;
        }
        Ok(ledger)
    }

    /// Makes room for what a report asks.
    pub(super) fn expect_questions(&self) -> Result<(), StoreError> {
        self.conn.set_prepared_statement_cache_capacity(STATEMENTS);
        // Else SQLite looks at the values that are bound when it plans a statement, and plans it anew whenever others are: for
        // each session most of what an export asks was compiled once more.
        self.conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(StoreError::query("set up the ledger"))?;
        // 16 MB: what one session has is found by an index, and lies anywhere.
        self.conn.pragma_update(None, "cache_size", -16_000).map_err(StoreError::query("set up the ledger"))
    }

    /// Gives the memory back that holds pages of the file, as before a large report is laid out. What is read after that is
    /// read from the file.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn release_pages(&self) -> Result<(), StoreError> {
        self.conn.release_memory().map_err(StoreError::query("release memory"))
    }

    /// Opens the ledger for a command that changes it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none; otherwise if it cannot be opened or written, a newer release has
    /// written it, or another process holds it for a minute.
    pub fn open_for_changes(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing { path: path.to_path_buf() });
        }
        let mut ledger = Self::open(path, COMMAND, Header::read(path), false)?;
        // What the user tells is in no log.
        ledger.sync_each()?;
        ledger.events_mut().empty_spool()?;
        Ok(ledger)
    }

    /// Opens the ledger for a command that fills it, making it if need be.
    ///
    /// # Errors
    /// If it cannot be made or opened, or a newer release has written it.
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        let mut ledger = Self::open(path, COMMAND, Header::read(path), false)?;
        // What the user tells is in no log.
        ledger.sync_each()?;
        ledger.events_mut().empty_spool()?;
        Ok(ledger)
    }

    /// A ledger in memory, for tests.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut conn = Connection::open_in_memory().map_err(StoreError::query("open a ledger in memory"))?;
        migrate(&mut conn).map_err(StoreError::query("set up the ledger"))?;
        Ok(Self::of_connection(conn, None, COMMAND))
    }

    pub(super) fn of_connection(conn: Connection, spool: Option<Spool>, patience: Deadlines) -> Self {
        Self {
            conn,
            spool,
            prices: PriceTable::builtin(),
            opened_at: Instant::now(),
            patience,
            must_be_closed: true,
            expects_much: false,
            waited: Duration::ZERO,
            copied: None,
            view: None,
        }
    }

    pub(super) fn open(
        path: &Path,
        patience: Deadlines,
        found: Header,
        brief: bool,
    ) -> Result<Self, StoreError> {
        let opened_at = Instant::now();
        let open_error = StoreError::opening(path);
        if !found.is_current() {
            check_is_file(path)?;
            make_private(path)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags).map_err(open_error)?;
        let alone = brief && found == Header::CurrentWithWal && wal::take_alone(&conn).map_err(open_error)?;
        if !alone {
            // First of all: without it every statement, the pragmas too, can fail at once.
            conn.busy_timeout(patience.waiting).map_err(open_error)?;
            if !found.is_current() {
                prepare(&mut conn, path, opened_at, patience.waiting)?;
            }
            wal::sync_seldom(&conn).map_err(open_error)?;
        }
        let waited = opened_at.elapsed();
        Ok(Self { opened_at, waited, ..Self::of_connection(conn, Some(Spool::of(path)), patience) })
    }

    /// Waits for the disk at each write from now on: a power cut takes none of them.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn sync_each(&self) -> Result<(), StoreError> {
        wal::sync_each(&self.conn).map_err(StoreError::query("set up the ledger"))
    }

    /// Whether it waits for the disk at each write.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn syncs_each(&self) -> Result<bool, StoreError> {
        const FULL: i64 = 2;
        let level = self.conn.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
        level.map(|level| level >= FULL).map_err(StoreError::query("check how the ledger is set up"))
    }

    /// Whether closing it has something to do. If not, a process may end with the ledger open.
    #[must_use]
    pub fn must_be_closed(&self) -> bool {
        self.must_be_closed
    }

    /// Lets the next statement wait for other writers no longer than the process has left to wait.
    pub(super) fn limit_wait(&self) {
        let wait = if self.view.is_some() { MOMENT } else { left_of(self.patience.waiting, self.waited) };
        // Should it fail, the wait is as long as the last one was allowed to be.
        let _limited = self.conn.busy_timeout(wait).is_ok();
    }

    /// Lets the next statement wait for as long as one that only reads may.
    pub(super) fn wait_for_reading(&self) {
        let _limited = self.conn.busy_timeout(self.patience.waiting).is_ok();
    }

    /// Notes time that was spent in waiting for something else, so that all waits together stay within bounds.
    pub fn note_waiting(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Whether there is time left for more than what must be done.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.opened_at.elapsed() < self.patience.working
    }
}

/// What a file says in its header. If it does not say that it is a ledger of this release it may still be one: what has
/// changed last can be in the WAL alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// A ledger of this release that keeps a WAL, as all do but those on network file systems.
    CurrentWithWal,
    /// A ledger of this release.
    Current,
    /// Something else, or nothing.
    Other,
}

impl Header {
    pub(super) fn read(path: &Path) -> Self {
        const MAGIC: &[u8] = b"SQLite format 3\0";
        const READ_VERSION: usize = 19;
        const WAL: u8 = 2;
        const USER_VERSION: std::ops::Range<usize> = 60..64;
        const APPLICATION: std::ops::Range<usize> = 68..72;
        let mut header = [0; 100];
        let read = regular::open(path).and_then(|mut file| file.read_exact(&mut header));
        let number = |bytes: std::ops::Range<usize>| -> i64 {
            header[bytes].iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
        };
        let is_current = read.is_ok()
            && header.starts_with(MAGIC)
            && number(USER_VERSION) == SCHEMA_VERSION
            && number(APPLICATION) == APPLICATION_ID;
        match (is_current, header[READ_VERSION]) {
            (true, WAL) => Self::CurrentWithWal,
            (true, _) => Self::Current,
            (false, _) => Self::Other,
        }
    }

    pub(super) fn is_current(self) -> bool {
        self != Self::Other
    }
}

/// Looks closely at a file that is not yet known to be a ledger of this release, and makes it one.
pub(super) fn prepare(
    conn: &mut Connection,
    path: &Path,
    since: Instant,
    patience: Duration,
) -> Result<(), StoreError> {
    let open_error = StoreError::opening(path);
    let version = user_version(conn).map_err(open_error)?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_path_buf(), found: version, known: SCHEMA_VERSION });
    }
    if is_foreign(conn).map_err(open_error)? {
        return Err(StoreError::Foreign { path: path.to_path_buf() });
    }
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    if is_on_network(path) != Some(true) {
        enable_wal(conn, since + patience).map_err(open_error)?;
    }
    conn.busy_timeout(left_of(patience, since.elapsed())).map_err(open_error)?;
    migrate(conn).map_err(open_error)
}

/// Switches to WAL, which is kept in the file. Changing the mode needs the file alone, and SQLite's busy handler
/// is not asked for it, so with many processes on a fresh ledger it has to be tried again.
fn enable_wal(conn: &Connection, deadline: Instant) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(2);
    loop {
        match conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

fn left_of(patience: Duration, waited: Duration) -> Duration {
    patience.saturating_sub(waited).max(LEAST_WAIT)
}

/// Refuses what is there and no regular file: SQLite would wait for a pipe, and read a device without an end.
pub(super) fn check_is_file(path: &Path) -> Result<(), StoreError> {
    if regular::is_something_else(path) {
        return Err(StoreError::NoFile { path: path.to_path_buf() });
    }
    Ok(())
}

/// Whether the file has tables that are not ours. One statement, for the first processes on a fresh ledger may be
/// making it at this moment.
fn is_foreign(conn: &Connection) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_schema)
      AND (SELECT application_id FROM pragma_application_id) != ?1";
    conn.query_row(SQL, [APPLICATION_ID], |row| row.get(0))
}

/// The error without the statement, which may be long.
pub(super) fn without_sql(error: rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqlInputError { error, msg, .. } => rusqlite::Error::SqliteFailure(error, Some(msg)),
        error => error,
    }
}

/// Makes the ledger's folder (0700) and an empty ledger (0600) if they are not there; leaves existing ones alone.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|source| StoreError::Folder { path: folder.to_path_buf(), source })?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(StoreError::Folder { path: path.to_path_buf(), source }),
    }
}
