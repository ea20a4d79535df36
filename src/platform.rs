//! What differs by platform, each with a fallback that works anywhere. Tried on Linux; the other branches were not.

use std::io;
use std::path::{Path, PathBuf};

/// `malloc` of SQLite's C, by the allocator below.
#[cfg(all(target_os = "linux", target_env = "musl"))]
use tinyrlibc as _;

/// The allocator of the static build. That of musl gives each size pages of its own, and returns them at once, so that a
/// hook touches 50 pages more; a page's first touch takes 3 to 10 µs in a virtual machine (scripts/bench-hook.sh).
#[cfg(all(target_os = "linux", target_env = "musl"))]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Whether `path` lies on a file system that is shared over a network. `None` if that cannot be told.
///
/// SQLite's WAL needs memory that all processes share, which a network does not give (`docs/facts.md#sqlite-in-a-short-lived-process`).
#[must_use]
pub fn is_on_network(path: &Path) -> Option<bool> {
    #[cfg(target_os = "linux")]
    {
        /// `f_type` of NFS, SMB, SMB2, CIFS, AFS, Coda, 9P, Ceph, FUSE (most often sshfs) and NCP (statfs(2)).
        const NETWORK: [u32; 10] = [
            0x6969,
            0x517b,
            0xfe53_4d42,
            0xff53_4d42,
            0x5346_414f,
            0x7375_7245,
            0x0102_1997,
            0x00c3_6400,
            0x6573_5546,
            0x564c,
        ];
        let mut path = path;
        loop {
            match rustix::fs::statfs(path) {
                Ok(found) => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "the magic numbers have 32 bits; the field's type differs by architecture"
                    )]
                    let kind = found.f_type as u32;
                    return Some(NETWORK.contains(&kind));
                }
                // What is not there yet will be where its folder is.
                Err(_) => path = path.parent().filter(|parent| !parent.as_os_str().is_empty())?,
            }
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// Lets a write that goes past a limit for the size of files fail like one on a full disk. The system's own answer is a
/// signal that ends the process. Whether there is such a limit is not asked: in a sandbox that forbids the question, asking
/// ends the process too, and a handler costs no more.
pub fn survive_file_size_limits() {
    #[cfg(unix)]
    {
        // Noted or not, the write fails by itself.
        let noted = std::sync::Arc::default();
        let _set = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noted).is_ok();
    }
}

/// Lets the process end with `code` where it would be aborted, which is what happens when no memory is to be had: the
/// standard library has said so on stderr by then.
pub fn end_instead_of_abort(code: i32) {
    #[cfg(unix)]
    {
        let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        // Without it the process is aborted.
        let _set =
            signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGABRT, code, always)
                .is_ok();
    }
    #[cfg(not(unix))]
    {
        let _ = code;
    }
}

/// A command line for the system's shell.
#[must_use]
pub fn shell(command: &str) -> std::process::Command {
    let (program, option) = if cfg!(windows) { ("cmd", "/C") } else { ("/bin/sh", "-c") };
    let mut shell = std::process::Command::new(program);
    shell.args([option, command]);
    shell
}

/// Where an administrator puts settings of Claude Code for all users of the machine; of two files that differ the later one
/// counts.
#[must_use]
pub fn managed_settings() -> Vec<PathBuf> {
    let folder = if cfg!(target_os = "macos") {
        Path::new("/Library/Application Support/ClaudeCode")
    } else if cfg!(windows) {
        Path::new("C:\\Program Files\\ClaudeCode")
    } else {
        Path::new("/etc/claude-code")
    };
    let mut parts: Vec<PathBuf> = std::fs::read_dir(folder.join("managed-settings.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    parts.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    parts.sort();
    parts.insert(0, folder.join("managed-settings.json"));
    parts
}

/// Whether the user may write the file, or make files in the folder; `None` where that cannot be told without trying.
#[must_use]
pub fn is_writable(path: &Path) -> Option<bool> {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        let wanted = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
        Some(access(path, wanted).is_ok())
    }
    #[cfg(not(unix))]
    {
        std::fs::metadata(path).ok().filter(|metadata| metadata.permissions().readonly()).map(|_| false)
    }
}

/// Bytes that the user can still write to the disk that holds `path`; `None` if that cannot be told.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Whether nobody but the user can read the file; `None` where files have no such permissions.
#[must_use]
pub fn is_private(path: &Path) -> Option<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o077 == 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Takes all permissions but the user's own from a file or folder.
///
/// # Errors
/// If they cannot be changed.
pub fn make_private(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut permissions = std::fs::metadata(path)?.permissions();
        permissions.set_mode(permissions.mode() & 0o7700);
        std::fs::set_permissions(path, permissions)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

/// Whether the user may run the file.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    {
        metadata.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_temp_folder_is_local_also_below_what_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(is_on_network(&dir.path().join("a").join("b")), Some(false));
    }
}
