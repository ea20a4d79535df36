//! The installed client: where it is, and which version.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Take};
use crate::domain::{Version, client_version};
use crate::env::Env;

/// How long the client may take to tell its version; old ones, written in JavaScript, take two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// An installed client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledClient {
    /// Its binary.
    pub path: PathBuf,
    /// Its version, as it says it.
    pub version: String,
}

impl InstalledClient {
    /// The version, comparable.
    #[must_use]
    pub fn number(&self) -> Version {
        client_version(&self.version)
    }
}

/// Finds the client that the user would start: on the `PATH`, else where its installers put it.
#[must_use]
pub fn find(env: &Env) -> Option<InstalledClient> {
    candidates(env).into_iter().find_map(|path| {
        let version = ask(&path)?;
        Some(InstalledClient { path, version })
    })
}

fn candidates(env: &Env) -> Vec<PathBuf> {
    let name = if cfg!(windows) { "claude.exe" } else { "claude" };
    let mut folders: Vec<PathBuf> =
        env.var("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Some(home) = env.home() {
        folders.push(home.join(".local").join("bin"));
        folders.push(home.join(".claude").join("local"));
    }
    folders.into_iter().map(|folder| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// Runs `claude --version`, which prints `2.1.330 (Claude Code)`.
fn ask(path: &Path) -> Option<String> {
    let text = says_version(path).ok()?;
    let version = text.split_whitespace().next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// What a program says to `--version`.
///
/// # Errors
/// If it cannot be run, or says nothing in time; in words.
pub fn says_version(path: &Path) -> Result<String, String> {
    let mut command = Command::new(path);
    command.arg("--version");
    let outcome = child::run(command, Vec::new(), Take::Output, PATIENCE)
        .map_err(|error| if is_foreign(&error) { FOREIGN.to_owned() } else { error.to_string() })?;
    let said = String::from_utf8_lossy(&outcome.output).lines().next().map(str::to_owned);
    said.ok_or_else(|| match outcome.status {
        Some(status) => format!("it exited with {status}"),
        None => format!("no answer within {} s", PATIENCE.as_secs()),
    })
}

const FOREIGN: &str = "it isn't built for this machine";

/// Whether the system knows no way to run a file.
fn is_foreign(error: &std::io::Error) -> bool {
    // ENOEXEC on every Unix, ERROR_BAD_EXE_FORMAT on Windows.
    error.raw_os_error() == Some(if cfg!(windows) { 193 } else { 8 })
}
