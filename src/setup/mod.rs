//! The way in and out: registering the hook with the client, and removing it.
//!
//! Two rules stand above all others. A person's settings are never damaged: foreign entries, their order, comments
//! and white space stay, a file that cannot be understood is left alone, and a file is either the old or the new
//! one, whole. And the client always goes on working: the registered command fails open when the binary has gone.

pub mod client;
pub mod command;
pub mod files;
pub mod hooks_file;
pub mod link;
pub mod other_clients;
pub mod plan;
pub mod scope;
pub mod self_test;
pub mod settings;
pub mod statusline;
pub mod view;

use std::path::PathBuf;

use crate::domain::OneLine as _;

/// What keeps the hook from being registered or removed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file could not be read.
    #[error("can't read {path}: {source}", path = .path.one_line())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("can't write {path}: {source}; it was left unchanged", path = .path.one_line())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else has written the file meanwhile.
    #[error("{path} was being changed by another program, so it was left unchanged; try again", path = .path.one_line())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The user has protected the file.
    #[error("{path} is read-only, so it was left unchanged; make it writable and try again", path = .path.one_line())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is no settings file that we can add to without harm.
    #[error("{path}:{line}:{column}: {reason}; the file was left unchanged; fix it and try again", path = .path.one_line())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is no folder to write to.
    #[error("can't find Claude Code's settings: set HOME or CLAUDE_CONFIG_DIR")]
    NoHome,
    /// Our own path is unknown.
    #[error("can't find the tallyhook binary, so it can't be registered")]
    NoBinary,
    /// There is no folder of another client to write to.
    #[error("can't find {client}'s settings: set HOME")]
    NoHomeOf {
        /// The client.
        client: &'static str,
    },
    /// The client has no settings for one user in one project.
    #[error("{client} has no local settings; use --scope project or --scope user")]
    NoLocalScope {
        /// The client.
        client: &'static str,
    },
    /// There is no such client, or its hooks can't be registered.
    #[error("can't register with {client}; choose from: {choices}")]
    UnknownClient {
        /// What was asked for.
        client: String,
        /// The clients that there are.
        choices: String,
    },
    /// The hook was registered, but a test event did not arrive.
    #[error(
        "the hook is registered, but a test event didn't reach the ledger: {reason}; run `tallyhook doctor`"
    )]
    SelfTest {
        /// What happened.
        reason: String,
    },
}
