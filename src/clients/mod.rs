//! The clients: readers of their logs and decoders of their hooks' payloads.
//!
//! [`CLIENTS`] is the one table of them. What a client knows of its own files stays in its folder; what comes out is the
//! domain's ([`LogDelta`]), and never content.

pub mod claude_code;
mod codex;
mod copilot;
mod gemini;
mod hook_fields;
mod hooks;
mod jsonl;
mod kimi;
mod line_log;
mod opencode;
mod pi;
mod qwen;
mod sqlite;

use std::path::{Path, PathBuf};

use crate::domain::{AgentId, Client, LogDelta, LogPosition, OneLine as _, SessionId, Timestamp};
use crate::env::Env;
use crate::json::{Object, Raw};

pub use hooks::{HookAnswer, HookEvent, HookPayload, HookProtocol, ToolPayload};
pub use jsonl::{Buffer, Fingerprint, Lines};

/// How one client is read.
#[derive(Clone, Copy)]
pub struct ClientAdapter {
    /// The client.
    pub client: Client,
    /// Its logs; `None` if it has none, or they are Claude Code's.
    pub logs: Option<&'static dyn LogReader>,
    /// Its hooks; `None` if it has none, or their payloads are Claude Code's.
    pub hooks: Option<&'static dyn HookProtocol>,
}

/// Every client of which something is read. Of several whose logs look alike from outside, the pickier ones come first.
pub const CLIENTS: &[ClientAdapter] = &[
    ClientAdapter { client: Client::Codex, logs: Some(&codex::Rollouts), hooks: Some(&codex::Hooks) },
    ClientAdapter { client: Client::GeminiCli, logs: Some(&gemini::Chats), hooks: Some(&gemini::Hooks) },
    ClientAdapter { client: Client::CopilotCli, logs: Some(&copilot::Events), hooks: Some(&copilot::Hooks) },
    ClientAdapter { client: Client::Qwen, logs: Some(&qwen::Chats), hooks: Some(&qwen::Hooks) },
    ClientAdapter { client: Client::Kimi, logs: Some(&kimi::Wires), hooks: Some(&kimi::Hooks) },
    ClientAdapter { client: Client::Pi, logs: Some(&pi::Sessions), hooks: None },
    ClientAdapter { client: Client::OpenCode, logs: Some(&opencode::SessionLogs), hooks: None },
    ClientAdapter {
        client: Client::ClaudeCode,
        logs: Some(&claude_code::Transcripts),
        hooks: Some(&claude_code::Hooks),
    },
];

/// The readers of all clients' logs.
pub fn log_readers() -> impl Iterator<Item = &'static dyn LogReader> {
    CLIENTS.iter().filter_map(|adapter| adapter.logs)
}

/// The reader of a client's logs. A client of which none is known is taken to have copied Claude Code's.
#[must_use]
pub fn reader_of(client: Client) -> &'static dyn LogReader {
    let adapter = CLIENTS.iter().find(|adapter| adapter.client == client);
    adapter.and_then(|adapter| adapter.logs).unwrap_or(&claude_code::Transcripts)
}

/// The protocol of a client's hooks. A client of which none is known is taken to have copied Claude Code's.
#[must_use]
pub fn hooks_of(client: Client) -> &'static dyn HookProtocol {
    let adapter = CLIENTS.iter().find(|adapter| adapter.client == client);
    adapter.and_then(|adapter| adapter.hooks).unwrap_or(&claude_code::Hooks)
}

/// The client that has sent a payload, which can be another one than the hook was registered for: the Copilot CLI runs the
/// hooks of a project's Claude Code settings, and clients that have copied its hooks may read its settings.
#[must_use]
pub fn sender(payload: &Object<'_>, env: &Env, registered: Client) -> Client {
    /// The variables that clients set for their hooks.
    const SIGNS: [(Client, &str); 3] = [
        (Client::CopilotCli, "COPILOT_CLI"),
        (Client::Qwen, "QWEN_CODE_SESSION_ID"),
        (Client::GeminiCli, "GEMINI_SESSION_ID"),
    ];
    if registered != Client::ClaudeCode {
        return registered;
    }
    if let Some(path) = payload.text("transcript_path") {
        // Claude Code itself names one with every event.
        return client_of_log(Path::new(path.as_ref())).unwrap_or(registered);
    }
    if payload.text("client_type").is_some_and(|kind| kind == "kimi_code_cli") {
        return Client::Kimi;
    }
    let by_env = SIGNS.iter().find(|(_, name)| env.var(name).is_some());
    by_env.map_or(registered, |(client, _)| *client)
}

/// The client, other than Claude Code, whose logs are named and placed like this one.
fn client_of_log(path: &Path) -> Option<Client> {
    let name = path.file_name()?.to_str()?;
    let folder = |up: usize| path.ancestors().nth(up)?.file_name()?.to_str();
    match name {
        "events.jsonl" if folder(2) == Some("session-state") => Some(Client::CopilotCli),
        "wire.jsonl" => Some(Client::Kimi),
        _ if name.starts_with("rollout-") && name.ends_with(".jsonl") => Some(Client::Codex),
        _ if folder(1) == Some("chats") && name.starts_with("session-") => Some(Client::GeminiCli),
        _ if folder(1) == Some("chats") && folder(3) == Some("projects") => Some(Client::Qwen),
        _ => None,
    }
}

/// Reads the logs of one client. It never writes to them.
///
/// A log is what one conversation writes: a session's main conversation, or a subagent. Reading is incremental: what is new
/// since a position, in pieces of a few megabytes, so that what a process holds and what a killed one loses has a bound. Reading
/// a log again, in other pieces, or while it is written, must come to the same records; a contract test has the rules
/// (`tests/it/contract.rs`).
pub trait LogReader: Sync {
    /// Whose logs it reads.
    fn client(&self) -> Client;

    /// The folders where the client keeps its logs, whether they are there or not.
    fn folders(&self, env: &Env) -> Vec<PathBuf>;

    /// All logs below `root`, which can be a log itself, in the order of their paths.
    fn find(&self, root: &Path) -> FoundLogs;

    /// Whether `path` can be a log of this client, by its name and kind; its content is not looked at.
    fn is_log(&self, path: &Path) -> bool;

    /// The log of a session's main conversation somewhere in a folder of the client, should it have moved.
    fn find_main(&self, folder: &Path, session: &SessionId) -> Option<PathBuf> {
        let mut logs = self.find(folder).logs.into_iter();
        logs.find_map(|log| (log.session == *session && log.agent.is_none()).then_some(log.path))
    }

    /// The session that a main log is named after.
    fn session_of(&self, main: &Path) -> Option<SessionId>;

    /// The folder of the logs of a session's subagents; the main log itself if what they use stands there.
    fn agents_folder(&self, main: &Path) -> PathBuf {
        main.to_path_buf()
    }

    /// The other logs of a session: its subagents', and what else there is of its main conversation, in the order of their
    /// paths. `version` is the client's, where it is known: where logs lie has changed.
    fn other_logs(&self, _main: &Path, _session: &SessionId, _version: Option<&str>) -> Vec<LogFile> {
        Vec::new()
    }

    /// The log of one subagent of a session. A `quick` look is one question to the file system, however many there are, and can
    /// miss what lies deeper.
    fn agent_log(
        &self,
        _main: &Path,
        _session: &SessionId,
        _agent: &AgentId,
        _quick: bool,
    ) -> Option<LogFile> {
        None
    }

    /// What the client keeps beside a subagent's log; empty if there is nothing.
    fn agent_meta(&self, _log: &LogFile) -> AgentMeta {
        AgentMeta::default()
    }

    /// Size and time of change of a log as far as they tell that it has something new; of one that is gone nothing.
    fn look_at(&self, path: &Path) -> (u64, Option<Timestamp>) {
        let Ok(metadata) = std::fs::metadata(path) else { return (0, None) };
        (metadata.len(), metadata.modified().ok().map(Timestamp::from_system_time))
    }

    /// Whether a log can change and be no longer than before, as a database can, so that its time of change tells that it has
    /// something new.
    fn changes_in_place(&self) -> bool {
        false
    }

    /// Whether it reads content, so that [`LogDelta::entries`] tells of it.
    fn reads_content(&self) -> bool {
        false
    }

    /// What a log has new, or as much of it as is to be stored together ([`LogDelta::has_more`] then says that there is more).
    /// `buffer` is memory that was used before.
    ///
    /// # Errors
    /// If the log cannot be opened or read; records that cannot be understood are counted and skipped.
    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError>;

    /// Whether all of a log of so many bytes was read up to a position.
    fn is_at_end(&self, position: &LogPosition, size: u64) -> bool {
        position.offset >= size
    }

    /// What a file is in which nothing was understood, for people.
    fn describe_foreign(&self, _path: &Path) -> String {
        format!("no log of {}", self.client().title())
    }

    /// Whether a file in which nothing was understood lies where the client itself puts such files beside its logs.
    fn is_beside_logs(&self, _path: &Path) -> bool {
        false
    }
}

/// A log of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file.
    pub path: PathBuf,
    /// The session that it belongs to by its place, should its records name none.
    pub session: SessionId,
    /// The subagent whose log it is; `None` of a main conversation.
    pub agent: Option<AgentId>,
}

/// What is below a folder.
#[derive(Debug, Default)]
pub struct FoundLogs {
    /// The logs.
    pub logs: Vec<LogFile>,
    /// The folders that could not be read. That the folder itself is not there is nothing wrong.
    pub unread: Vec<ReadError>,
}

/// What a client keeps of a subagent beside its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentMeta {
    /// The subagent's type.
    pub agent_type: Option<String>,
    /// The call that started it.
    pub tool_use_id: Option<String>,
}

/// Where a log is to be read from, and how.
#[derive(Debug, Clone)]
pub struct ReadFrom {
    /// The session that the log belongs to by its place; records usually name it themselves.
    pub session: SessionId,
    /// The subagent whose log it is; `None` of a main conversation.
    pub agent: Option<AgentId>,
    /// Where to go on, and how to tell that the log is still the same.
    pub position: Option<LogPosition>,
    /// Counts the tokens of content, for responses of which the log has no final usage.
    pub count: fn(&str) -> u64,
    /// How content is measured; without it no [`LogDelta::entries`] are made.
    pub content: Option<ContentReader>,
}

/// How content is measured.
#[derive(Debug, Clone, Copy)]
pub struct ContentReader {
    /// Counts a block that a model wrote, in tokens of `cl100k_base`.
    pub written: fn(Raw<'_>) -> u64,
    /// Counts what a model reads; `true` if it holds an image or a document, whose size is a guess.
    pub read: fn(Raw<'_>) -> (u64, bool),
    /// The ledger's key for hashes of paths.
    pub hash_key: Option<[u8; 16]>,
}

/// A log that could not be opened or read. Lines that cannot be understood are no error: they are skipped.
#[derive(Debug, thiserror::Error)]
#[error("can't read {path}: {source}", path = .path.one_line())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Gives a process that reads much the means for it; they take a while to get ready.
pub fn expect_much() {
    crate::json::use_whole_processor();
}
