//! Transcripts, payloads and price tables that somebody has collected. They are other people's work, so none of it is here.

use std::path::PathBuf;

/// The folder of collected material, where the environment names one.
#[must_use]
pub fn corpus() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests and benchmarks have no command line for it")]
    std::env::var_os("TALLYHOOK_CORPUS").map(PathBuf::from)
}

/// A folder of collected material.
///
/// # Panics
/// If the environment names no such folder: a test that needs it must not pass without.
#[must_use]
pub fn collected(folder: &str) -> PathBuf {
    let root = corpus().unwrap_or_else(|| panic!("set TALLYHOOK_CORPUS to the folder with {folder}"));
    let folder = root.join(folder);
    assert!(folder.is_dir(), "{} is not there", folder.display());
    folder
}
