//! Opening and reading what should be a regular file, with a limit.
//!
//! Settings, transcripts and whatever else is read may come from a checkout or be named by a payload, and under any name there
//! can be something else: a pipe that nobody writes to, a device without an end, a file of the kernel's that waits, a link to
//! any of them, or a file of gigabytes. Everything that is read goes through here, so that none of them holds a hook up or
//! fills the memory.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// What is said of a pipe, a device, a folder, and of files that the kernel makes up.
const OTHER: &str = "it isn't a regular file";

/// Opens a file for reading. Neither that nor reading from it waits for anybody.
///
/// # Errors
/// If it is not there, cannot be opened, or is no regular file on a disk.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens a file as `options` ask for, which may make one that is not there. Neither that nor reading from it waits for anybody.
///
/// # Errors
/// If it cannot be opened or made as `options` ask for, or is no regular file on a disk.
pub fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening a device can do something, so it is asked first what it is; and once more of what was opened then.
    if is_something_else(path) {
        return Err(other());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() && !is_kernels(&file) { Ok(file) } else { Err(other()) }
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// If it is not there, cannot be read, is no regular file, or is larger.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= most {
        // It may grow while it is read.
        bytes.reserve_exact(usize::try_from(length + 1).unwrap_or(0));
        file.take(most + 1).read_to_end(&mut bytes)?;
    }
    if length > most || bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

/// Reads a text file of at most `most` bytes.
///
/// # Errors
/// If it is not there, cannot be read, is no regular file, is larger, or is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it isn't UTF-8 text"))
}

/// Whether something is there that is neither a regular file nor leads to one.
#[must_use]
pub fn is_something_else(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// What is said of a file of more than `most` bytes.
#[must_use]
pub fn too_large(most: u64) -> io::Error {
    let most = if most < 1 << 20 { format!("{} KB", most >> 10) } else { format!("{} MB", most >> 20) };
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most}"))
}

fn other() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, OTHER)
}

/// Whether the kernel makes the file up while it is read: it calls such files regular too, though they can wait
/// (`/proc/kmsg`), have no end, or do something.
fn is_kernels(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        /// `f_type` of proc, sysfs, debugfs and tracefs (statfs(2)).
        const KERNELS: [u32; 4] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163];
        rustix::fs::fstatfs(file).is_ok_and(|found| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the magic numbers have 32 bits; the field's type differs by architecture"
            )]
            let kind = found.f_type as u32;
            KERNELS.contains(&kind)
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = file;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_text(&path, 4).unwrap(), "1234");
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 4).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read(&dir.path().join("none"), 1).unwrap_err().kind(), ErrorKind::NotFound);
        // A file of a terabyte without a block.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().to_string(), "it is larger than 1 MB");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_has_no_end_or_waits_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let link = |name: &str, target: &str| {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink(target, &path).unwrap();
            path
        };
        let zero = link("zero", "/dev/zero");
        let kernels = link("kernels", "/proc/self/status");
        for path in [&pipe, &zero, &kernels, dir.path()] {
            assert_eq!(open(path).unwrap_err().to_string(), OTHER, "{}", path.display());
            assert!(open_with(path, OpenOptions::new().append(true)).is_err(), "{}", path.display());
        }
        assert!(is_something_else(&pipe) && is_something_else(&zero));
        std::fs::write(dir.path().join("real"), "x").unwrap();
        assert_eq!(read_text(&link("link", "real"), 1).unwrap(), "x");
    }
}
