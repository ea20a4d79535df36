//! Codex's rollouts: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod hooks;
mod paths;
mod rollout;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom, line_log};
use crate::domain::{AgentId, Client, LogDelta, SessionId};
use crate::env::Env;

pub(super) use hooks::Hooks;

/// The reader of Codex's rollouts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rollouts;

impl LogReader for Rollouts {
    fn client(&self) -> Client {
        Client::Codex
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        let home = env.place("CODEX_HOME").or_else(|| Some(env.home()?.join(".codex")));
        home.map(|home| vec![home.join("sessions"), home.join("archived_sessions")]).unwrap_or_default()
    }

    fn find(&self, root: &Path) -> FoundLogs {
        line_log::find(root, &paths::log_at)
    }

    fn is_log(&self, path: &Path) -> bool {
        path.is_file() && paths::thread_of(path).is_some()
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        paths::thread_of(main)
    }

    fn agents_folder(&self, main: &Path) -> PathBuf {
        paths::sessions_folder(main)
    }

    fn other_logs(&self, main: &Path, session: &SessionId, _version: Option<&str>) -> Vec<LogFile> {
        paths::other_logs(main, session)
    }

    fn agent_log(&self, main: &Path, session: &SessionId, agent: &AgentId, quick: bool) -> Option<LogFile> {
        paths::agent_log(main, session, agent, quick)
    }

    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        rollout::read(buffer, path, from)
    }
}
