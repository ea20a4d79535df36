//! Where events wait that the ledger had no time for: a folder beside it, one file an event.
//!
//! A hook that cannot get the write lock within its patience puts its event here and ends. The next writer applies
//! what waits, oldest first, before its own event and in the same transaction, and removes the files after the commit.
//! A process that is killed in between leaves files that were applied; their names are kept in the ledger
//! (`spooled`), so nobody applies them again.
//!
//! Files hold what a row holds (sizes, names, ids, counts) and no content. Each appears whole, by a rename.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::event::{Event, apply};

/// How many events one writer takes at most: it is a hook, and its client waits.
const MAX_AT_ONCE: usize = 500;
/// What a whole event's file name ends in.
const EXTENSION: &str = "json";
/// And that of a file that is no event; it is kept for `doctor` to tell of.
const UNREADABLE: &str = "unreadable";

/// The spool of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    folder: PathBuf,
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
    /// Files that could not be understood.
    pub unreadable: usize,
}

impl Spool {
    /// The spool of the ledger at `path`: `<path>.spool`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let mut folder = path.as_os_str().to_owned();
        folder.push(".spool");
        Self { folder: PathBuf::from(folder) }
    }

    /// Puts an event where the next writer finds it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put(&self, event: &Event) -> io::Result<()> {
        const ATTEMPTS: u32 = 20;
        for _ in 1..ATTEMPTS {
            // A writer that has emptied the folder removes it, even between our making it and using it.
            match self.try_put(event) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
        self.try_put(event)
    }

    fn try_put(&self, event: &Event) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Names sort by the event's time. One process puts one event, so its id makes the name the only one.
        let millis = event.sighting.at.as_millis().max(0);
        let name = format!("{millis:015}-{:010}", std::process::id());
        let (draft, whole) = (self.folder.join(&name), self.folder.join(format!("{name}.{EXTENSION}")));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&draft)?.write_all(&serde_json::to_vec(event)?)?;
        std::fs::rename(draft, whole)
    }

    /// What is in the spool.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        SpoolState { waiting: self.files(EXTENSION).len(), unreadable: self.files(UNREADABLE).len() }
    }

    /// Whether there may be something in it; costs a look at one name.
    pub(super) fn exists(&self) -> bool {
        self.folder.exists()
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut files: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        files.sort();
        files
    }

    /// Applies what waits, within the caller's transaction. The caller passes the result, the files that are stored now
    /// or were before, to [`Self::remove`] after its commit.
    pub(super) fn apply_waiting(&self, conn: &Connection) -> rusqlite::Result<Applied> {
        let mut files = self.files(EXTENSION);
        files.truncate(MAX_AT_ONCE);
        let mut applied = Applied::default();
        for file in files {
            // Another writer may have taken it between the look and the lock.
            let Ok(text) = std::fs::read(&file) else { continue };
            let Ok(event) = serde_json::from_slice::<Event>(&text) else {
                let _set_aside = std::fs::rename(&file, file.with_extension(UNREADABLE)).is_ok();
                continue;
            };
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if conn.execute("INSERT OR IGNORE INTO spooled VALUES (?1)", [name])? > 0 {
                apply(conn, &event)?;
                applied.new += 1;
            }
            applied.files.push(file);
        }
        Ok(applied)
    }

    /// Removes files that were applied, and the folder once it is empty.
    pub(super) fn remove(&self, applied: &Applied) {
        for file in &applied.files {
            // One that stays is known by its name.
            let _removed = std::fs::remove_file(file).is_ok();
        }
        let _removed = std::fs::remove_dir(&self.folder).is_ok();
    }
}
