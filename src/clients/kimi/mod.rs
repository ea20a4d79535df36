//! The sessions of Kimi Code, and of the Kimi CLI before it: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod cli;
mod code;
mod hooks;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::line_log;
use super::{AgentMeta, Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{AgentId, Client, LogDelta, MAX_NAME_CHARS, SessionId};
use crate::env::Env;
use crate::json::Object;
use crate::regular;

pub(super) use hooks::Hooks;

/// The name of every log.
const WIRE: &str = "wire.jsonl";
/// The folder of Kimi Code's logs within a session's.
const AGENTS: &str = "agents";
/// The folder of the old client's subagents within a session's.
const SUBAGENTS: &str = "subagents";
/// More than stands in any file beside a log.
const MAX_META_BYTES: u64 = 64 << 10;
/// The conversation with the user, among Kimi Code's agents.
const MAIN: &str = "main";

/// The reader of both clients' logs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wires;

impl LogReader for Wires {
    fn client(&self) -> Client {
        Client::Kimi
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        let own = |folder: &str| Some(env.home()?.join(folder));
        let code = env.place("KIMI_CODE_HOME").or_else(|| own(".kimi-code"));
        let cli = env.place("KIMI_SHARE_DIR").or_else(|| own(".kimi"));
        [code, cli].into_iter().flatten().map(|folder| folder.join("sessions")).collect()
    }

    fn find(&self, root: &Path) -> FoundLogs {
        line_log::find(root, &log_at)
    }

    fn is_log(&self, path: &Path) -> bool {
        path.file_name() == Some(OsStr::new(WIRE)) && path.is_file()
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        log_at(main.to_path_buf()).map(|log| log.session)
    }

    fn agents_folder(&self, main: &Path) -> PathBuf {
        agents_folder(main)
    }

    fn other_logs(&self, main: &Path, session: &SessionId, _version: Option<&str>) -> Vec<LogFile> {
        let mut logs = self.find(&agents_folder(main)).logs;
        logs.retain(|log| log.path != main && log.session == *session);
        logs
    }

    fn agent_log(&self, main: &Path, session: &SessionId, agent: &AgentId, _: bool) -> Option<LogFile> {
        // An id from a payload may say anything; as a name of a folder it stands for itself or not at all.
        if agent.as_str().contains(['/', '\\']) || agent.as_str() == ".." {
            return None;
        }
        let path = agents_folder(main).join(agent.as_str()).join(WIRE);
        let log = LogFile { path, session: session.clone(), agent: Some(agent.clone()) };
        self.is_log(&log.path).then_some(log)
    }

    // The old client's subagents have a file beside their log; those of Kimi Code say it in the log.
    fn agent_meta(&self, log: &LogFile) -> AgentMeta {
        let beside = log.path.with_file_name("meta.json");
        let text = regular::read_text(&beside, MAX_META_BYTES).unwrap_or_default();
        let meta = Object::parse(&text).unwrap_or_default();
        AgentMeta { agent_type: line_log::name(&meta, "subagent_type", MAX_NAME_CHARS), tool_use_id: None }
    }

    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        if is_of_kimi_code(path) { code::read(buffer, path, from) } else { cli::read(buffer, path, from) }
    }
}

/// Whether a log is Kimi Code's, by its place: `<session>/agents/<agent>/wire.jsonl`.
fn is_of_kimi_code(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::parent).and_then(Path::file_name);
    folder == Some(OsStr::new(AGENTS))
}

fn log_at(path: PathBuf) -> Option<LogFile> {
    if path.file_name() != Some(OsStr::new(WIRE)) {
        return None;
    }
    let name = |folder: &Path| Some(folder.file_name()?.to_str()?.to_owned());
    let own = path.parent()?;
    let above = own.parent()?;
    let above_name = name(above);
    let is_agent = matches!(above_name.as_deref(), Some(AGENTS | SUBAGENTS));
    let session = if is_agent { name(above.parent()?)? } else { name(own)? };
    let agent = if is_agent { Some(name(own)?).filter(|agent| agent != MAIN) } else { None };
    let agent = agent.as_deref().and_then(AgentId::new);
    Some(LogFile { session: SessionId::new(&session)?, agent, path })
}

/// The folder in which each subagent of a session has its own.
fn agents_folder(main: &Path) -> PathBuf {
    let own = main.parent().unwrap_or(main);
    if is_of_kimi_code(main) { own.parent().unwrap_or(own).to_path_buf() } else { own.join(SUBAGENTS) }
}
