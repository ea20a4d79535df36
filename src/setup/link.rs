//! Where a line that names no path finds the binary; and a link to it where it would not.
//!
//! A line in a project's shared settings says `tallyhook`, which is looked for on the `PATH`, where installers put it, and
//! last in a folder of our own. `init` puts a link there if this binary lies in none of the others.

use std::path::{Path, PathBuf};

use super::SetupError;
use crate::env::Env;
use crate::platform::is_executable;

const NAME: &str = if cfg!(windows) { "tallyhook.exe" } else { "tallyhook" };

/// Where a line finds the binary, as the shell looks for it; `None` if it does not.
#[must_use]
pub fn find(env: &Env) -> Option<PathBuf> {
    elsewhere(env).or_else(|| path(env).filter(|link| is_executable(link)))
}

/// Where a line finds the binary besides our own folder, as the shell looks for it; `None` if it does not.
#[must_use]
pub fn elsewhere(env: &Env) -> Option<PathBuf> {
    let path = env.var("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let installed = env
        .home()
        .into_iter()
        .flat_map(|home| [home.join(".cargo").join("bin"), home.join(".local").join("bin")]);
    folders.chain(installed).map(|folder| folder.join(NAME)).find(|path| is_executable(path))
}

/// The link's own place: it is part of the registered line, so no variable changes it.
#[must_use]
pub fn path(env: &Env) -> Option<PathBuf> {
    Some(env.home()?.join(".local").join("share").join("tallyhook").join("bin").join(NAME))
}

/// Makes the link to `binary`.
///
/// # Errors
/// If it cannot be made.
pub fn make(env: &Env, binary: &Path) -> Result<PathBuf, SetupError> {
    let link = path(env).ok_or(SetupError::NoHome)?;
    let fail = |source| SetupError::Write { path: link.clone(), source };
    if std::fs::read_link(&link).is_ok_and(|target| target == binary) {
        return Ok(link);
    }
    if let Some(folder) = link.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(fail)?;
    }
    #[cfg(unix)]
    {
        let draft = link.with_extension(std::process::id().to_string());
        clear_drafts(&link);
        std::os::unix::fs::symlink(binary, &draft)
            .and_then(|()| std::fs::rename(&draft, &link))
            .map_err(fail)?;
        Ok(link)
    }
    #[cfg(not(unix))]
    {
        let _ = binary;
        Err(fail(std::io::Error::other("put tallyhook on your PATH instead")))
    }
}

/// Removes the drafts of runs that were killed: links whose names end in a process's id. The folder is ours.
#[cfg(unix)]
fn clear_drafts(link: &Path) {
    let entries = link.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    for path in entries.into_iter().flatten().flatten().map(|entry| entry.path()) {
        let number = path.extension().and_then(|extension| extension.to_str()).unwrap_or("-");
        if path.file_stem() == link.file_name()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink())
        {
            let _gone = std::fs::remove_file(&path).is_ok();
        }
    }
}

/// Removes the link. Something else in its place stays.
pub fn remove(env: &Env) {
    let Some(link) = path(env) else { return };
    if std::fs::symlink_metadata(&link).is_ok_and(|metadata| metadata.is_symlink())
        && std::fs::remove_file(&link).is_ok()
        && let Some(folder) = link.parent()
    {
        // The folders go only if nothing else is in them.
        let _gone = std::fs::remove_dir(folder).is_ok()
            && folder.parent().is_some_and(|folder| std::fs::remove_dir(folder).is_ok());
    }
}
