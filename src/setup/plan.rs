//! What `init` and `uninstall` change, worked out before anything is written.

use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

use super::scope::Scope;
use super::settings::{self, Fault, Registration};
use super::{SetupError, files};

/// One file's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its text now; `None` if it is not there.
    pub before: Option<String>,
    /// Its text then; `None` if it is to be removed.
    pub after: Option<String>,
}

impl Change {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }
}

/// What a new settings file starts from.
const EMPTY: &str = "{}\n";

/// The changes that register the hook in a scope: the registration as a file first, then the settings that the
/// client reads.
///
/// # Errors
/// If one of the files cannot be read, or added to without harm. Nothing is written.
pub fn registering(scope: &Scope, registration: &Registration<'_>) -> Result<Vec<Change>, SetupError> {
    [scope.hooks_file(), scope.settings()]
        .into_iter()
        .map(|path| {
            let before = files::read(&path)?;
            let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
            let after = settings::register(text, registration).map_err(|fault| located(&path, fault))?;
            Ok(Change { path, before, after: Some(after) })
        })
        .collect()
}

/// The changes that remove the hook from a scope. A file that `init` has made and that holds nothing else goes.
///
/// # Errors
/// If one of the files cannot be read or understood. Nothing is written.
pub fn unregistering(scope: &Scope, backups: &Backups) -> Result<Vec<Change>, SetupError> {
    let paths = [scope.settings(), scope.folder.join("settings.local.json"), scope.hooks_file()];
    let mut changes = Vec::new();
    for path in paths {
        let Some(before) = files::read(&path)? else { continue };
        let found = settings::registered(&before).map_err(|fault| located(&path, fault))?;
        if found.is_empty() {
            continue;
        }
        let original = backups.read(&path)?;
        let after =
            settings::unregister(&before, original.as_deref()).map_err(|fault| located(&path, fault))?;
        let is_ours_alone = original.is_none() && after.trim() == EMPTY.trim();
        changes.push(Change { path, before: Some(before), after: (!is_ours_alone).then_some(after) });
    }
    Ok(changes)
}

fn located(path: &Path, fault: Fault) -> SetupError {
    let Fault { line, column, reason } = fault;
    SetupError::Settings { path: path.to_path_buf(), line, column, reason }
}

/// Makes the changes. Each file is replaced whole; a backup of what was there before us comes first.
///
/// # Errors
/// If a file cannot be written. Files before it are changed, it and those after it are not.
pub fn apply(changes: &[Change], backups: &Backups) -> Result<(), SetupError> {
    for change in changes.iter().filter(|change| !change.is_empty()) {
        match &change.after {
            Some(after) => {
                if let Some(before) = &change.before {
                    backups.keep(&change.path, before)?;
                }
                files::replace(&change.path, after)?;
            }
            None => files::remove(&change.path)?,
        }
    }
    Ok(())
}

/// Copies of settings files as they were before the hook was registered. They lie beside the ledger, readable for
/// the user alone: settings can hold secrets, and a project's folder is no place for them.
#[derive(Debug, Clone)]
pub struct Backups {
    folder: PathBuf,
}

impl Backups {
    /// The backups of a ledger.
    #[must_use]
    pub fn beside(ledger: &Path) -> Self {
        Self { folder: ledger.with_file_name("backups") }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the copy of `path` is.
    #[must_use]
    pub fn path_of(&self, path: &Path) -> PathBuf {
        let mut hasher = SipHasher13::new();
        hasher.write(path.to_string_lossy().as_bytes());
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.folder.join(format!("{:016x}-{name}", hasher.finish()))
    }

    /// Keeps `text`, if it has no hook of ours: the copy is of the time before us.
    fn keep(&self, path: &Path, text: &str) -> Result<(), SetupError> {
        if settings::registered(text).is_ok_and(|found| !found.is_empty()) {
            return Ok(());
        }
        files::write_private(&self.path_of(path), text)
    }

    fn read(&self, path: &Path) -> Result<Option<String>, SetupError> {
        files::read(&self.path_of(path))
    }

    /// Forgets the copy of `path`.
    pub fn forget(&self, path: &Path) {
        // A copy that stays does no harm.
        let _gone = std::fs::remove_file(self.path_of(path)).is_ok();
    }
}
