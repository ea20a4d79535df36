//! The installed client: where it is, and which version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::domain::{Version, client_version};
use crate::env::Env;

/// How long the client may take to tell its version; old ones, written in JavaScript, take two seconds.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// An installed client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its binary.
    pub path: PathBuf,
    /// Its version, as it says it.
    pub version: String,
}

impl Client {
    /// The version, comparable.
    #[must_use]
    pub fn number(&self) -> Version {
        client_version(&self.version)
    }
}

/// Finds the client that the user would start: on the `PATH`, else where its installers put it.
#[must_use]
pub fn find(env: &Env) -> Option<Client> {
    candidates(env).into_iter().find_map(|path| {
        let version = ask(&path)?;
        Some(Client { path, version })
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
    let text = version_line(path)?;
    let version = text.split_whitespace().next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// What a program says to `--version`; `None` if it cannot be run or does not answer in time.
#[must_use]
pub fn version_line(path: &Path) -> Option<String> {
    let mut child = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let start = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > PATIENCE {
            let _ended = child.kill().is_ok();
            return None;
        }
        std::thread::sleep(POLL);
    }
    let output = child.wait_with_output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}
