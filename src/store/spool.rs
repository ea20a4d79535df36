//! Where events wait that could not be written into the ledger: a folder beside it, one file an event.
//!
//! A hook whose event does not reach the ledger, for whatever reason (another process holds it, the disk is full, it is
//! damaged, a newer release has made it), puts the event here and ends. The next writer that can applies what waits, oldest
//! first, before its own event and in the same transaction, and removes the files after the commit. A process that is
//! killed in between leaves files that were applied; their names are kept in the ledger (`applied_spool_files`) for as long
//! as the files are there, so nobody applies them again.
//!
//! Files hold what a row holds (sizes, names, ids, counts) and no content. Each is written whole and synced under another
//! name, then renamed. Names hold a random number: process ids repeat in containers that share a folder.
//!
//! If the folder belongs to somebody else, as one that `sudo` has left, events go to a second one.

use std::collections::HashSet;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::event::{Event, apply};
use crate::regular;

/// How many events one writer takes at most: it is a hook, and its client waits.
const MAX_AT_ONCE: usize = 500;
/// How many drafts of killed processes one writer removes at most.
const MAX_DRAFTS_AT_ONCE: usize = 2_000;
/// What a whole event's file name ends in.
const EXTENSION: &str = "json";
/// A draft that is older was left by a process that is gone: a hook ends within seconds.
const DEAD_DRAFT: Duration = Duration::from_secs(600);
/// Longest event that is read. What a hook writes is a few KB; a batch of 1,000 calls is below one MB.
const MAX_BYTES: u64 = 16 << 20;
/// More links in a row than any system follows.
const MAX_LINKS: usize = 40;

/// The spool of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// The usual folder, and the one for those who may not use it.
    folders: [PathBuf; 2],
    /// Where files are put that are no events; `doctor` tells of them.
    unreadable: PathBuf,
}

/// Files whose events are stored.
#[derive(Debug, Default)]
pub(super) struct Applied {
    files: Vec<PathBuf>,
    /// How many of them were not before.
    pub(super) new: usize,
}

/// What a look into the spool finds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// Events that wait.
    pub waiting: usize,
    /// Events and folders that this user may not read.
    pub forbidden: usize,
    /// Files that could not be understood.
    pub unreadable: usize,
}

/// What stands in the folders.
#[derive(Debug, Default)]
struct Listing {
    /// Whole events, the oldest first.
    events: Vec<PathBuf>,
    /// Drafts of processes that are gone.
    dead_drafts: Vec<PathBuf>,
    /// Folders that this user may not read.
    forbidden: usize,
}

impl Spool {
    /// The spool of the ledger at `path`: `<path>.spool`. If `path` is a link, that of the file it leads to, so that
    /// everybody who opens the ledger, by whatever name, finds the same.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut path = path.to_path_buf();
        for _ in 0..MAX_LINKS {
            let Ok(target) = std::fs::read_link(&path) else { break };
            path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
        }
        let beside = |ending: &str| {
            let mut name: OsString = path.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        Self { folders: [beside(".spool"), beside(".spool-2")], unreadable: beside(".spool-unreadable") }
    }

    /// Puts an event where the next writer finds it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, event: &Event) -> io::Result<()> {
        let text = serde_json::to_vec(event)?;
        // Names sort by the event's time.
        let (millis, process) = (event.observation.at.as_millis().max(0), std::process::id());
        // The standard library's own source of randomness, which the system seeds in each process.
        let random = RandomState::new().hash_one(process);
        let name = format!("{millis:015}-{process:010}-{random:016x}");
        let [usual, second] = &self.folders;
        match put_into(usual, &name, &text) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => put_into(second, &name, &text),
            result => result,
        }
    }

    /// All its folders.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().chain([&self.unreadable]).map(PathBuf::as_path)
    }

    /// All files of ours in them: what waits, what could not be understood, and what a process has died over.
    #[must_use]
    pub fn all_files(&self) -> Vec<PathBuf> {
        let is_ours = |path: &PathBuf| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let mut parts = stem.split('-');
            let mut has_digits = |length: usize| {
                parts
                    .next()
                    .is_some_and(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
            };
            has_digits(15) && has_digits(10)
        };
        let entries = self.folders().filter_map(|folder| std::fs::read_dir(folder).ok());
        entries.flatten().flatten().map(|entry| entry.path()).filter(is_ours).collect()
    }

    /// What is in the spool.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        let listing = self.list();
        let is_forbidden = |path: &&PathBuf| {
            regular::open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let forbidden = listing.events.iter().filter(is_forbidden).count();
        let unreadable = std::fs::read_dir(&self.unreadable).map_or(0, Iterator::count);
        SpoolState {
            waiting: listing.events.len() - forbidden,
            forbidden: forbidden + listing.forbidden,
            unreadable,
        }
    }

    /// Whether there may be something in it; costs a look at two names.
    pub(super) fn exists(&self) -> bool {
        self.folders.iter().any(|folder| folder.exists())
    }

    fn list(&self) -> Listing {
        let mut listing = Listing::default();
        for folder in &self.folders {
            let entries = match std::fs::read_dir(folder) {
                Ok(entries) => entries,
                Err(error) => {
                    listing.forbidden += usize::from(error.kind() == io::ErrorKind::PermissionDenied);
                    continue;
                }
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    listing.events.push(path);
                } else if listing.dead_drafts.len() < MAX_DRAFTS_AT_ONCE && is_older(&path, DEAD_DRAFT) {
                    listing.dead_drafts.push(path);
                }
            }
        }
        listing.events.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
        listing
    }

    /// Applies what waits, within the caller's transaction. The caller passes the result, the files that are stored now
    /// or were before, to [`Self::remove`] after its commit.
    ///
    /// An event that the ledger refuses, though it can be written, is set aside: else it would keep out all that follow.
    pub(super) fn apply_waiting(&self, conn: &Connection) -> rusqlite::Result<Applied> {
        let Listing { mut events, dead_drafts, .. } = self.list();
        for draft in dead_drafts {
            // Who may not remove it leaves it to its owner.
            let _removed = std::fs::remove_file(draft).is_ok();
        }
        forget_removed(conn, &events)?;
        events.truncate(MAX_AT_ONCE);
        self.apply(events, conn, true)
    }

    /// Applies all that waits to a copy of the ledger. The files stay, each where it is.
    pub(super) fn apply_to_copy(&self, conn: &Connection) -> rusqlite::Result<Applied> {
        self.apply(self.list().events, conn, false)
    }

    fn apply(&self, events: Vec<PathBuf>, conn: &Connection, sets_aside: bool) -> rusqlite::Result<Applied> {
        let set_aside = |file: &Path| {
            if sets_aside {
                self.set_aside(file);
            }
        };
        let mut applied = Applied::default();
        for file in events {
            let text = match read_bounded(&file) {
                Ok(Some(text)) => text,
                Ok(None) => {
                    set_aside(&file);
                    continue;
                }
                // Another user's, or gone.
                Err(_) => continue,
            };
            let Ok(event) = serde_json::from_slice::<Event>(&text) else {
                set_aside(&file);
                continue;
            };
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            conn.execute_batch("SAVEPOINT waiting")?;
            let is_new = match store(conn, &name, &event) {
                Ok(is_new) => is_new,
                Err(error) if is_events_fault(&error) => {
                    conn.execute_batch("ROLLBACK TO waiting; RELEASE waiting")?;
                    set_aside(&file);
                    continue;
                }
                Err(error) => return Err(error),
            };
            conn.execute_batch("RELEASE waiting")?;
            applied.new += usize::from(is_new);
            applied.files.push(file);
        }
        Ok(applied)
    }

    /// Puts a file that is no event where no writer looks.
    fn set_aside(&self, file: &Path) {
        let Some(name) = file.file_name() else { return };
        let _moved = make_folder(&self.unreadable)
            .and_then(|()| std::fs::rename(file, self.unreadable.join(name)))
            .is_ok();
    }

    /// Removes files that were applied, and the folders once they are empty.
    pub(super) fn remove(&self, applied: &Applied) {
        for file in &applied.files {
            // One that stays is known by its name.
            let _removed = std::fs::remove_file(file).is_ok();
        }
        for folder in &self.folders {
            let _removed = std::fs::remove_dir(folder).is_ok();
        }
    }
}

/// Whether the event itself cannot be stored, in a ledger that can be written.
pub(super) fn is_events_fault(error: &rusqlite::Error) -> bool {
    !matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if !matches!(failure.code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig))
}

/// Stores an event, unless its file was stored before. Returns whether it was not.
fn store(conn: &Connection, name: &str, event: &Event) -> rusqlite::Result<bool> {
    let is_new = conn.execute("INSERT OR IGNORE INTO applied_spool_files VALUES (?1)", [name])? > 0;
    if is_new {
        apply(conn, event)?;
    }
    Ok(is_new)
}

/// Forgets the names of files that are gone: none of them comes again.
fn forget_removed(conn: &Connection, events: &[PathBuf]) -> rusqlite::Result<()> {
    let names: Vec<String> = conn
        .prepare_cached("SELECT name FROM applied_spool_files")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if names.is_empty() {
        return Ok(());
    }
    let there: HashSet<_> = events.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    for name in names.iter().filter(|name| !there.contains(name.as_str())) {
        conn.prepare_cached("DELETE FROM applied_spool_files WHERE name = ?1")?.execute([name])?;
    }
    Ok(())
}

/// Reads an event's file; `None` if it is no file that a hook has written.
fn read_bounded(file: &Path) -> io::Result<Option<Vec<u8>>> {
    // A hook writes no links.
    if !std::fs::symlink_metadata(file)?.is_file() {
        return Ok(None);
    }
    match regular::read(file, MAX_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn put_into(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    const ATTEMPTS: u32 = 20;
    for _ in 1..ATTEMPTS {
        // A writer that has emptied the folder removes it, even between our making it and using it.
        match try_put_into(folder, name, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    try_put_into(folder, name, text)
}

fn try_put_into(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    make_folder(folder)?;
    let (draft, whole) = (folder.join(name), folder.join(format!("{name}.{EXTENSION}")));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let written = file.write_all(text).and_then(|()| file.sync_data());
    let put = written.and_then(|()| std::fs::rename(&draft, whole));
    if put.is_err() {
        let _removed = std::fs::remove_file(&draft).is_ok();
    }
    put
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Whether a file was written that long ago, by the clock that also stamps files.
fn is_older(path: &Path, age: Duration) -> bool {
    let modified = std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|since| since > age))
}
