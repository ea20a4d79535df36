//! Replacing a settings file so that it is the old or the new one, whole, whatever happens in between.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SetupError;
use crate::regular;

/// Largest file of settings that is read, in bytes. Nobody writes one of a tenth of it, and its tree takes a multiple.
const MAX_BYTES: u64 = 1 << 20;

/// How long a program that had a file open has to write into it, before it is taken to be at rest.
const SETTLING: Duration = Duration::from_millis(20);
/// A draft that is older was left by a run that was killed: a run takes no second.
const DEAD_DRAFT: Duration = Duration::from_secs(60);
/// How often a file is given back to programs that write it each time again.
const MAX_EXCHANGES: usize = 50;

/// Reads a settings file; `None` if there is none.
///
/// # Errors
/// If it is there but is no regular file of at most 1 MB that can be read as UTF-8 text.
pub fn read(path: &Path) -> Result<Option<String>, SetupError> {
    read_at_most(path, MAX_BYTES)
}

/// Reads any file of text of at most `most` bytes; `None` if there is none.
///
/// # Errors
/// If it is there but is no regular file of at most `most` bytes that can be read as UTF-8 text.
pub fn read_at_most(path: &Path, most: u64) -> Result<Option<String>, SetupError> {
    match regular::read(path, most) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
                let reason = "this isn't UTF-8 text".to_owned();
                Err(SetupError::Settings { path: path.to_path_buf(), line, column, reason })
            }
        },
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SetupError::Read { path: path.to_path_buf(), source }),
    }
}

/// Puts `after` in the place of `path`, which held `before` (`None`: it was not there): written to a file beside it, synced,
/// and exchanged with it. A link is followed, so that the file it names is replaced and not the link; the file's permissions
/// are kept.
///
/// Editors know of no lock. So what comes out by the exchange is compared with `before` once more, also after a moment, for
/// a program that had the file open by then. If it is something else, it is put back. Where a system cannot exchange two
/// files in one step, the comparison is made directly before the rename.
///
/// # Errors
/// [`SetupError::Changed`] if another program has written the file meanwhile; what it wrote is there. Otherwise if the file
/// is read-only or cannot be written; then it is as it was.
pub fn replace(path: &Path, before: Option<&str>, after: &str) -> Result<(), SetupError> {
    check_writable(path)?;
    let real = resolve(path);
    let fail = |source| SetupError::Write { path: path.to_path_buf(), source };
    let changed = || SetupError::Changed { path: path.to_path_buf() };
    if read(&real)?.as_deref() != before {
        return Err(changed());
    }
    let permissions = std::fs::metadata(&real).ok().map(|metadata| metadata.permissions());
    let folder = real.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    clear_drafts(&real, DEAD_DRAFT);
    let draft = folder.join(draft_name(&real));
    let write = || {
        let mut file = new_private(&draft)?;
        match permissions {
            Some(permissions) => file.set_permissions(permissions)?,
            None => set_usual_permissions(&file)?,
        }
        file.write_all(after.as_bytes())?;
        file.sync_all()
    };
    let put = write().and_then(|()| match before {
        Some(before) => exchange(&draft, &real, [before.as_bytes(), after.as_bytes()], settle),
        None => put_new(&draft, &real),
    });
    match put {
        Ok(Put::Done) => {}
        Ok(Put::Contested) | Err(_) => {
            let _gone = std::fs::remove_file(&draft).is_ok();
            return Err(put.err().map_or_else(changed, fail));
        }
        // What lies there is the only copy.
        Ok(Put::Endless) => return Err(changed()),
    }
    let _gone = std::fs::remove_file(&draft).is_ok();
    sync_folder(folder);
    Ok(())
}

/// How a file was put in its place.
enum Put {
    /// It is there.
    Done,
    /// Another program's is there.
    Contested,
    /// Others wrote each time again; the draft holds what one of them wrote.
    Endless,
}

/// Exchanges a draft with the file that held `before`. Afterwards the draft is nothing that anybody would miss.
/// `settle` waits until whoever had a file open has had time to write.
fn exchange(
    draft: &Path,
    real: &Path,
    [before, after]: [&[u8]; 2],
    mut settle: impl FnMut(),
) -> std::io::Result<Put> {
    match swap(draft, real) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Put::Contested),
        // Neither every system has it nor every file system.
        Err(_) if std::fs::read(real).is_ok_and(|text| text == before) => {
            return std::fs::rename(draft, real).map(|()| Put::Done);
        }
        Err(_) => return Ok(Put::Contested),
    }
    if settles_as(draft, before, &mut settle) {
        // An editor that had read the file before could have written it since.
        let is_ours = std::fs::read(real).is_ok_and(|text| text == after);
        return Ok(if is_ours { Put::Done } else { Put::Contested });
    }
    // Back again; and should another program have replaced ours by then, that is the newest.
    let mut placed = after.to_vec();
    for _ in 0..MAX_EXCHANGES {
        let placing = std::fs::read(draft)?;
        swap(draft, real)?;
        if settles_as(draft, &placed, &mut settle) {
            return Ok(Put::Contested);
        }
        placed = placing;
    }
    Ok(Put::Endless)
}

/// Whether a file that has just lost its name holds this, and still does when whoever had it open has had time to write.
fn settles_as(path: &Path, text: &[u8], settle: impl FnOnce()) -> bool {
    let is_same = || std::fs::read(path).is_ok_and(|found| found == text);
    is_same() && {
        settle();
        is_same()
    }
}

fn settle() {
    std::thread::sleep(SETTLING);
}

/// Puts a draft where nothing is. The draft stays, or is gone.
fn put_new(draft: &Path, real: &Path) -> std::io::Result<Put> {
    match std::fs::hard_link(draft, real) {
        Ok(()) => Ok(Put::Done),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::Contested),
        // Not every file system has links.
        Err(_) if std::fs::symlink_metadata(real).is_ok() => Ok(Put::Contested),
        Err(_) => std::fs::rename(draft, real).map(|()| Put::Done),
    }
}

/// Exchanges the names of two files in one step.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn swap(one: &Path, other: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn swap(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// A rename is safe without it; after a power cut the old file could come back. Some systems do not let a folder be synced.
fn sync_folder(folder: &Path) {
    let _synced = File::open(folder).and_then(|folder| folder.sync_all()).is_ok();
}

/// Removes drafts for `path` that were left by a run that was killed: those that nobody has touched for `age`.
fn clear_drafts(path: &Path, age: Duration) {
    let Some(folder) = path.parent() else { return };
    let start = draft_start(path);
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&*start));
        let is_draft = rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
        if is_draft
            && entry.metadata().is_ok_and(|metadata| metadata.is_file() && is_untouched(&metadata, age))
        {
            let _gone = std::fs::remove_file(entry.path()).is_ok();
        }
    }
}

/// Whether neither a file nor its name has changed for so long.
fn is_untouched(metadata: &std::fs::Metadata, age: Duration) -> bool {
    // By an exchange a draft becomes an old file, whose time of change tells nothing.
    #[cfg(unix)]
    let since = {
        let changed = u64::try_from(std::os::unix::fs::MetadataExt::ctime(metadata)).unwrap_or_default();
        std::time::SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(changed))
    };
    #[cfg(not(unix))]
    let since = metadata.modified().ok();
    since.and_then(|since| since.elapsed().ok()).is_some_and(|since| since >= age)
}

/// Refuses a file that the user has protected.
///
/// # Errors
/// If it is read-only.
pub fn check_writable(path: &Path) -> Result<(), SetupError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().readonly() => {
            Err(SetupError::ReadOnly { path: path.to_path_buf() })
        }
        _ => Ok(()),
    }
}

/// What a settings file that is new has: the user writes it, others may read it.
fn set_usual_permissions(file: &File) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(())
    }
}

/// A new file that only the user can read, where nothing was before.
fn new_private(path: &Path) -> std::io::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The file that `path` is in the end, also where links lead to a file that is not there yet.
fn resolve(path: &Path) -> PathBuf {
    let mut real = path.to_path_buf();
    for _ in 0..40 {
        let Ok(target) = std::fs::read_link(&real) else { break };
        real = real.parent().map_or(target.clone(), |folder| folder.join(&target));
    }
    real
}

/// What the names of all drafts for a file begin with.
fn draft_start(path: &Path) -> String {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    format!(".{name}.tallyhook-")
}

fn draft_name(path: &Path) -> String {
    // Process ids repeat in containers that share a folder. This is the standard library's own source of randomness.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}{}-{random:016x}", draft_start(path), std::process::id())
}

/// Removes a file that we made, if it still holds `before`, and those of the folders made for it that are left empty, the
/// innermost first.
///
/// # Errors
/// [`SetupError::Changed`] if another program has written it meanwhile; what it wrote is there. Otherwise if it cannot be
/// removed.
pub fn remove(path: &Path, before: &str, folders: &[PathBuf]) -> Result<(), SetupError> {
    check_writable(path)?;
    let fail = |source| SetupError::Write { path: path.to_path_buf(), source };
    let changed = || SetupError::Changed { path: path.to_path_buf() };
    if read(path)?.as_deref() != Some(before) {
        return Err(changed());
    }
    clear_drafts(path, DEAD_DRAFT);
    let draft = path.with_file_name(draft_name(path));
    std::fs::rename(path, &draft).map_err(fail)?;
    if !settles_as(&draft, before.as_bytes(), settle) {
        let put = put_new(&draft, path).map_err(fail)?;
        // If there is another by now, it is the newer one.
        if !matches!(put, Put::Endless) {
            let _gone = std::fs::remove_file(&draft).is_ok();
        }
        return Err(changed());
    }
    std::fs::remove_file(&draft).map_err(fail)?;
    for folder in folders {
        // It fails if something else is in there, which is what we want.
        let _gone = std::fs::remove_dir(folder).is_ok();
    }
    Ok(())
}

/// The folders that have to be made for a file, the innermost first.
#[must_use]
pub fn missing_folders(path: &Path) -> Vec<PathBuf> {
    let folders = path.ancestors().skip(1).take_while(|folder| !folder.exists());
    folders.filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_path_buf).collect()
}

/// Writes a file that only the user can read (0600), in a folder that only the user can enter (0700).
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), SetupError> {
    let fail = |source| SetupError::Write { path: path.to_path_buf(), source };
    if let Some(folder) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(fail)?;
    }
    let draft = path.with_file_name(draft_name(path));
    clear_drafts(path, DEAD_DRAFT);
    let write = || {
        let mut file = new_private(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().map_err(|source| {
        let _gone = std::fs::remove_file(&draft).is_ok();
        fail(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_another_program_wrote_meanwhile_stays() {
        let folder = folder();
        let path = folder.path().join("settings.json");
        std::fs::write(&path, "theirs").unwrap();
        let refused = replace(&path, Some("as it was read"), "ours").unwrap_err();
        assert!(matches!(refused, SetupError::Changed { .. }), "{refused}");
        let refused = replace(&path, None, "ours").unwrap_err();
        assert!(matches!(refused, SetupError::Changed { .. }), "{refused}");
        let refused = remove(&path, "as it was read", &[]).unwrap_err();
        assert!(matches!(refused, SetupError::Changed { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        replace(&path, Some("theirs"), "ours").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ours");
        remove(&path, "ours", &[]).unwrap();
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    /// The comparison before the exchange has passed by then.
    #[test]
    fn what_comes_out_by_the_exchange_is_compared_and_put_back() {
        let folder = folder();
        let (draft, real) = (folder.path().join("draft"), folder.path().join("real"));
        std::fs::write(&draft, "ours").unwrap();
        std::fs::write(&real, "theirs").unwrap();
        let put = exchange(&draft, &real, [b"as it was read", b"ours"], settle).unwrap();
        assert!(matches!(put, Put::Contested));
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "theirs");
        let put = put_new(&draft, &real).unwrap();
        assert!(matches!(put, Put::Contested));
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "theirs");
    }

    /// It writes into the file that has lost its name by then.
    #[test]
    fn what_a_program_writes_that_had_the_file_open_is_put_back() {
        let folder = folder();
        let (draft, real) = (folder.path().join("draft"), folder.path().join("real"));
        std::fs::write(&draft, "ours").unwrap();
        std::fs::write(&real, "read").unwrap();
        let mut open = std::fs::OpenOptions::new().append(true).open(&real).unwrap();
        let mut late = Some(b" and more");
        let writes = || {
            late.take().into_iter().for_each(|late| open.write_all(late).unwrap());
        };
        let put = exchange(&draft, &real, [b"read", b"ours"], writes).unwrap();
        assert!(matches!(put, Put::Contested));
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "read and more");
    }

    #[test]
    fn drafts_of_killed_runs_are_cleared_and_nothing_else() {
        let folder = folder();
        let path = folder.path().join("settings.json");
        let others = [".settings.json.swp", ".settings.json.tallyhook-mine", "settings.json"];
        for name in others.iter().chain(&[".settings.json.tallyhook-12", ".settings.json.tallyhook-7-0a"]) {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        clear_drafts(&path, DEAD_DRAFT);
        assert_eq!(names(folder.path()).len(), 5, "a draft of a run that goes on stays");
        clear_drafts(&path, Duration::ZERO);
        assert_eq!(names(folder.path()), others);
    }
}
