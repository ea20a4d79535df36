//! What `init` and `uninstall` change, worked out before anything is written.

use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::other_clients::OtherClient;
use super::scope::SettingsScope;
use super::settings::{self, HookFormat, RegisteredHook, Registration, SettingsFault};
use super::{SetupError, files, hooks_file, statusline};
use crate::hook::manifest;

/// One file's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// Its text now; `None` if it is not there.
    pub before: Option<String>,
    /// Its text then; `None` if it is to be removed.
    pub after: Option<String>,
}

impl FileChange {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }
}

/// What `read` makes of a file, or of the file a moment later if it cannot be understood: one that is being written in place is
/// empty or half there for a moment.
///
/// # Errors
/// Whatever `read` fails with.
pub fn settled<T>(mut read: impl FnMut() -> Result<T, SetupError>) -> Result<T, SetupError> {
    for _ in 1..FEW_ATTEMPTS {
        match read() {
            Err(SetupError::Settings { .. }) => std::thread::sleep(HALF_WRITTEN),
            result => return result,
        }
    }
    read()
}

/// How often a change is worked out anew.
const MAX_ATTEMPTS: usize = 50;
/// How often a file that cannot be understood is read.
const FEW_ATTEMPTS: usize = 3;
/// How long a program takes to write a settings file.
const HALF_WRITTEN: Duration = Duration::from_millis(20);
/// What a new settings file starts from.
const EMPTY: &str = "{}\n";

/// The change that registers the hook in one file.
///
/// # Errors
/// If the file cannot be read, written, or added to without harm. Nothing is written.
pub fn registering(path: PathBuf, registration: &Registration<'_>) -> Result<FileChange, SetupError> {
    let before = files::read(&path)?;
    let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
    let after = settings::register(text, registration).map_err(|fault| located(&path, fault))?;
    let change = FileChange { path, before, after: Some(after) };
    if !change.is_empty() {
        files::check_writable(&change.path)?;
    }
    Ok(change)
}

/// The change that writes what is registered into the file that the client does not read. What others have put there stays.
///
/// # Errors
/// If the file cannot be read, written, or added to without harm. Nothing is written.
pub fn hooks_file(
    path: PathBuf,
    registered: &[RegisteredHook],
    registration: &Registration<'_>,
) -> Result<FileChange, SetupError> {
    let before = files::read(&path)?;
    if before.as_deref().is_some_and(|text| !hooks_file::is_ours_alone(text)) {
        return registering(path, registration);
    }
    let change = FileChange { path, before, after: Some(hooks_file::text(registered)) };
    if !change.is_empty() {
        files::check_writable(&change.path)?;
    }
    Ok(change)
}

/// The change that asks the client to ask us before each call of a tool, as long as a budget stops, or no longer; `None` if
/// no hook of ours is registered in the file. What is registered otherwise stays.
///
/// # Errors
/// If the file cannot be read, written, or changed without harm. Nothing is written.
pub fn gating(path: PathBuf, is_gated: bool) -> Result<Option<FileChange>, SetupError> {
    let Some(before) = files::read(&path)? else { return Ok(None) };
    let fault = |fault| located(&path, fault);
    if settings::registered(&before).map_err(fault)?.is_empty() {
        return Ok(None);
    }
    let mut after = settings::with_event(&before, &manifest::GATE, is_gated).map_err(fault)?;
    if after != before && is_hooks_file(&path) && hooks_file::is_ours_alone(&before) {
        after = hooks_file::text(&settings::registered(&after).map_err(fault)?);
    }
    let change = FileChange { path, before: Some(before), after: Some(after) };
    if !change.is_empty() {
        files::check_writable(&change.path)?;
    }
    Ok(Some(change))
}

fn is_hooks_file(path: &Path) -> bool {
    path.ends_with(Path::new("hooks").join("hooks.json"))
}

/// The change that makes `command` the status line of one file.
///
/// # Errors
/// If the file cannot be read, written, or added to without harm. Nothing is written.
pub fn status_line(path: PathBuf, command: &str) -> Result<FileChange, SetupError> {
    let before = files::read(&path)?;
    let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
    let after = statusline::register(text, command).map_err(|fault| located(&path, fault))?;
    let change = FileChange { path, before, after: Some(after) };
    if !change.is_empty() {
        files::check_writable(&change.path)?;
    }
    Ok(change)
}

/// The files of a scope that can hold a hook of ours.
#[must_use]
pub fn files_of(scope: &SettingsScope) -> [PathBuf; 3] {
    [scope.settings(), scope.local_settings(), scope.hooks_file()]
}

/// The change that removes the hook from one file; `None` if there is none of ours. A file that `init` has made and
/// that holds nothing else goes.
///
/// # Errors
/// If the file cannot be read, written or understood. Nothing is written.
pub fn unregistering(path: PathBuf, backups: &Backups) -> Result<Option<FileChange>, SetupError> {
    let Some(before) = files::read(&path)? else { return Ok(None) };
    let found = settings::registered(&before).map_err(|fault| located(&path, fault))?;
    let line = statusline::registered(&before).map_err(|fault| located(&path, fault))?;
    if found.is_empty() && line.is_none_or(|line| line.ours.is_none()) {
        return Ok(None);
    }
    let original = backups.read(&path)?;
    let after = statusline::unregister(&before, original.as_deref())
        .and_then(|text| settings::unregister(&text, original.as_deref()))
        .map_err(|fault| located(&path, fault))?;
    // One that says so is ours on whatever machine it was made.
    let is_our_file = is_hooks_file(&path) && hooks_file::is_ours_alone(&before) && original.is_none();
    without_ours(path, before, after, is_our_file, backups).map(Some)
}

/// The change that removes the hook from a file of another client, as [`unregistering`].
///
/// # Errors
/// If the file cannot be read, written or understood. Nothing is written.
pub fn unregistering_other(
    path: PathBuf,
    format: &HookFormat,
    backups: &Backups,
) -> Result<Option<FileChange>, SetupError> {
    let Some(before) = files::read(&path)? else { return Ok(None) };
    if format.registered(&before).map_err(|fault| located(&path, fault))?.is_empty() {
        return Ok(None);
    }
    let original = backups.read(&path)?;
    let after = format.unregister(&before, original.as_deref()).map_err(|fault| located(&path, fault))?;
    let is_our_file = OtherClient::is_own_file(&path) && original.is_none() && after.trim() == EMPTY.trim();
    without_ours(path, before, after, is_our_file, backups).map(Some)
}

/// The change from a file with hooks of ours to one without. It goes if it is ours alone.
fn without_ours(
    path: PathBuf,
    before: String,
    after: String,
    is_our_file: bool,
    backups: &Backups,
) -> Result<FileChange, SetupError> {
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
    let is_ours_alone =
        is_file && (is_our_file || (backups.made_by_us(&path) && after.trim() == EMPTY.trim()));
    files::check_writable(&path)?;
    Ok(FileChange { path, before: Some(before), after: (!is_ours_alone).then_some(after) })
}

pub(super) fn located(path: &Path, fault: SettingsFault) -> SetupError {
    let SettingsFault { line, column, reason } = fault;
    SetupError::Settings { path: path.to_path_buf(), line, column, reason }
}

/// Makes a change. The file is replaced whole; a backup of what was there before us comes first.
///
/// # Errors
/// [`SetupError::Changed`] if somebody else has written the file since it was read; otherwise if it cannot be written.
fn apply(change: &FileChange, backups: &Backups) -> Result<(), SetupError> {
    if change.is_empty() {
        return Ok(());
    }
    if files::read(&change.path)? != change.before {
        return Err(SetupError::Changed { path: change.path.clone() });
    }
    match (&change.before, &change.after) {
        (before, Some(after)) => {
            backups.keep(&change.path, before.as_deref())?;
            files::replace(&change.path, before.as_deref(), after)
        }
        (Some(before), None) => files::remove(&change.path, before, &backups.folders_made_for(&change.path)),
        (None, None) => Ok(()),
    }
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What has become of the file.
    pub change: FileChange,
    /// Whether another program wrote it at the same time, so that the change was worked out again for what that wrote.
    pub contested: bool,
}

/// Makes the change that `plan` works out; worked out anew as often as another program has written the file meanwhile, within
/// bounds. `None` if there is nothing to be changed in the file.
///
/// # Errors
/// As `plan` and [`apply`].
pub fn make(
    backups: &Backups,
    mut plan: impl FnMut() -> Result<Option<FileChange>, SetupError>,
) -> Result<Option<Made>, SetupError> {
    let mut attempts = 0;
    loop {
        let Some(change) = settled(&mut plan)? else { return Ok(None) };
        attempts += 1;
        match apply(&change, backups) {
            Ok(()) => return Ok(Some(Made { change, contested: attempts > 1 })),
            Err(SetupError::Changed { .. }) if attempts < MAX_ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
}

/// Copies of settings files as they were before the hook was registered. They lie in tallyhook's data folder,
/// readable for the user alone: settings can hold secrets, and a project's folder is no place for them.
#[derive(Debug, Clone)]
pub struct Backups {
    folder: PathBuf,
}

impl Backups {
    /// The backups in that folder.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where the copy of `path` is.
    #[must_use]
    pub fn path_of(&self, path: &Path) -> PathBuf {
        let mut hasher = SipHasher13::new();
        hasher.write(path.to_string_lossy().as_bytes());
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.folder.join(format!("{:016x}-{name}", hasher.finish()))
    }

    /// The sign that `path` was not there before us.
    fn sign_of(&self, path: &Path) -> PathBuf {
        let mut copy = self.path_of(path).into_os_string();
        copy.push(".made-by-tallyhook");
        PathBuf::from(copy)
    }

    fn made_by_us(&self, path: &Path) -> bool {
        self.sign_of(path).is_file()
    }

    /// The folders that were made for `path`, the innermost first.
    fn folders_made_for(&self, path: &Path) -> Vec<PathBuf> {
        let sign = files::read(&self.sign_of(path)).ok().flatten().unwrap_or_default();
        // The sign is a file that anybody could have changed: only what holds `path` is its folder.
        sign.lines().map(PathBuf::from).filter(|folder| path.starts_with(folder)).collect()
    }

    /// Keeps what `path` was: of the time before us, if that can still be had.
    fn keep(&self, path: &Path, text: Option<&str>) -> Result<(), SetupError> {
        let copy = self.path_of(path);
        let Some(text) = text else {
            // One on a line, as it is. A folder with a line break in its name is left behind.
            let folders: Vec<String> = files::missing_folders(path)
                .iter()
                .map(|folder| folder.to_string_lossy().into_owned())
                .filter(|folder| !folder.contains(['\n', '\r']))
                .collect();
            return files::write_private(&self.sign_of(path), &folders.join("\n"));
        };
        if settings::holds_ours(text) && (copy.exists() || self.made_by_us(path)) {
            return Ok(());
        }
        files::write_private(&copy, text)
    }

    fn read(&self, path: &Path) -> Result<Option<String>, SetupError> {
        files::read(&self.path_of(path))
    }

    /// Forgets the copy of `path`.
    pub fn forget(&self, path: &Path) {
        // A copy that stays does no harm.
        for file in [self.path_of(path), self.sign_of(path)] {
            let _gone = std::fs::remove_file(file).is_ok();
        }
    }

    /// The copies that there are: files of the folder that are named as ours are.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let is_ours = |name: &str| {
            let (hash, rest) = name.split_at_checked(16).unwrap_or_default();
            hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.len() == 16 && rest.starts_with('-')
        };
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_ours))
            .map(|entry| entry.path())
            .filter(|path| path.is_file())
            .collect()
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
