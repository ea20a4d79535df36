//! Transcripts to test on: captured ones, generated ones, and those that somebody has collected elsewhere.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tallyhook::domain::Usage;
pub(crate) use tallyhook_testdata::collected;
use tallyhook_testdata::{Prices, Recipe, Truth, write};

use crate::support::{files_below, repository};

/// The folder of what the real client has written, version by version. `README.md` there says how.
pub(crate) fn captured() -> PathBuf {
    repository().join("tests/fixtures/claude-code")
}

/// The scenarios of all captured versions: each a `projects` folder beside what the provider had counted.
pub(crate) fn captured_sets() -> Vec<PathBuf> {
    let sets: Vec<PathBuf> =
        folders_in(&captured()).iter().flat_map(|client| folders_in(&client.join("transcripts"))).collect();
    assert!(sets.len() >= 18, "{sets:?}");
    sets
}

/// The folders directly below some.
pub(crate) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no folder in {}", folder.display());
    folders
}

/// The files below a folder with an extension; there is one at least.
pub(crate) fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    assert!(!files.is_empty(), "no .{extension} in {}", folder.display());
    files
}

/// A generated tree in a temporary folder, and what is true of it.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
    pub(crate) truth: Truth,
}

impl Tree {
    pub(crate) fn of(recipe: &Recipe) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let truth = write(recipe, &Prices::list(), folder.path()).unwrap();
        Self { folder, truth }
    }

    /// Where its transcripts are.
    pub(crate) fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }
}

/// A small tree with all that the ledger tells rightly. Three kinds of sessions are left out; tests of their own have them.
pub(crate) fn recipe(seed: u64) -> Recipe {
    Recipe { terminal_forks: false, overnight: false, crashes: false, ..Recipe::small(seed) }
}

/// The tree that tests have in common; none of them changes it.
pub(crate) static TREE: LazyLock<Tree> = LazyLock::new(|| Tree::of(&recipe(1)));

/// The usage as the program knows it.
pub(crate) fn usage(usage: tallyhook_testdata::Usage) -> Usage {
    let tallyhook_testdata::Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } =
        usage;
    Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches }
}
