//! Replacing a settings file so that it is the old or the new one, whole, whatever happens in between.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::SetupError;
use crate::regular;

/// Largest file of settings that is read, in bytes. Nobody writes one of a tenth of it, and its tree takes a multiple.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a settings file; `None` if there is none.
///
/// # Errors
/// If it is there but is no regular file of at most 1 MB that can be read as UTF-8 text.
pub fn read(path: &Path) -> Result<Option<String>, SetupError> {
    read_at_most(path, MAX_BYTES)
}

/// The same of any file of text with another limit, in bytes.
///
/// # Errors
/// As [`read`].
pub fn read_at_most(path: &Path, most: u64) -> Result<Option<String>, SetupError> {
    match regular::read(path, most) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
                let reason = "this is not UTF-8 text".to_owned();
                Err(SetupError::Settings { path: path.to_path_buf(), line, column, reason })
            }
        },
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SetupError::Read { path: path.to_path_buf(), source }),
    }
}

/// Puts `text` in the place of `path`: written to a file beside it, synced, renamed. A link is followed, so that the
/// file it names is replaced and not the link; the file's permissions are kept.
///
/// # Errors
/// If the file is read-only or cannot be written; then it is as it was.
pub fn replace(path: &Path, text: &str) -> Result<(), SetupError> {
    check_writable(path)?;
    let real = resolve(path);
    let fail = |source| SetupError::Write { path: path.to_path_buf(), source };
    let permissions = std::fs::metadata(&real).ok().map(|metadata| metadata.permissions());
    let folder = real.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(fail)?;
    let temp = folder.join(temp_name(&real));
    let write = || {
        let mut file = new_private(&temp)?;
        match permissions {
            Some(permissions) => file.set_permissions(permissions)?,
            None => set_usual_permissions(&file)?,
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&temp, &real)?;
        // The rename itself is safe without it; after a power cut the old file could come back. Some systems do not
        // let a folder be synced.
        let _synced = File::open(folder).and_then(|folder| folder.sync_all()).is_ok();
        Ok(())
    };
    write().map_err(|source| {
        let _gone = std::fs::remove_file(&temp).is_ok();
        fail(source)
    })
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

fn temp_name(path: &Path) -> String {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    format!(".{name}.tallyhook-{}", std::process::id())
}

/// Removes a file that we made, and those of the folders made for it that are left empty, the innermost first.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(path: &Path, folders: &[PathBuf]) -> Result<(), SetupError> {
    check_writable(path)?;
    std::fs::remove_file(path).map_err(|source| SetupError::Write { path: path.to_path_buf(), source })?;
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
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(fail)
}
