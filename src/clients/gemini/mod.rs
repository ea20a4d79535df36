//! Gemini CLI's chats: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod hooks;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::line_log::{self, Answer, LineKind, LineLog};
use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{AgentId, Client, LogDelta, LoggedRun, PromptRecord, SessionId, Timestamp, Usage};
use crate::env::Env;
use crate::json::{self, Object, Raw};

pub(super) use hooks::Hooks;

/// The folder in which all chats of a project are.
const CHATS: &str = "chats";

/// The reader of Gemini CLI's chats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chats;

impl LogReader for Chats {
    fn client(&self) -> Client {
        Client::GeminiCli
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        env.home().map(|home| vec![home.join(".gemini/tmp")]).unwrap_or_default()
    }

    fn find(&self, root: &Path) -> FoundLogs {
        line_log::find(root, &log_at)
    }

    fn is_log(&self, path: &Path) -> bool {
        path.is_file() && log_at(path.to_path_buf()).is_some()
    }

    fn find_main(&self, folder: &Path, session: &SessionId) -> Option<PathBuf> {
        // Its name has the first digits of the session.
        let digits = session.as_str().get(..8)?.to_owned();
        let logs = self.find(folder).logs.into_iter().filter(|log| log.agent.is_none());
        let is_its = |log: &LogFile| {
            log.path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with(&digits))
        };
        logs.filter(is_its).map(|log| log.path).find(|path| session_within(path).as_ref() == Some(session))
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        session_within(main).or_else(|| Some(log_at(main.to_path_buf())?.session))
    }

    fn agents_folder(&self, main: &Path) -> PathBuf {
        let chats = main.parent().unwrap_or(main);
        session_within(main)
            .map(|session| chats.join(session.as_str()))
            .unwrap_or_else(|| chats.to_path_buf())
    }

    fn other_logs(&self, main: &Path, session: &SessionId, _version: Option<&str>) -> Vec<LogFile> {
        let Some(chats) = main.parent().filter(|_| !session.as_str().contains(['/', '\\', '.'])) else {
            return Vec::new();
        };
        self.find(&chats.join(session.as_str())).logs
    }

    fn agent_log(&self, main: &Path, session: &SessionId, agent: &AgentId, _: bool) -> Option<LogFile> {
        let mut logs = self.other_logs(main, session, None).into_iter();
        logs.find(|log| log.agent.as_ref() == Some(agent))
    }

    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        line_log::read(buffer, path, from, |log: &mut LineLog<()>, line| {
            line_log::with_object(line, |line| add(log, line, from)).unwrap_or(LineKind::Foreign)
        })
    }
}

/// A session's chat is `chats/session-<start>-<digits>.jsonl`, a subagent's `chats/<session>/<its id>.jsonl`.
fn log_at(path: PathBuf) -> Option<LogFile> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_suffix(".jsonl")?;
    let folder = path.parent()?;
    let folder_name = folder.file_name()?.to_str()?;
    if folder_name == CHATS {
        let session = SessionId::new(stem.starts_with("session-").then_some(stem)?)?;
        return Some(LogFile { session, agent: None, path });
    }
    let is_beside_chats = folder.parent()?.file_name() == Some(OsStr::new(CHATS));
    let session = SessionId::new(is_beside_chats.then_some(folder_name)?)?;
    Some(LogFile { session, agent: AgentId::new(stem), path })
}

/// The session that a chat's first line names.
fn session_within(path: &Path) -> Option<SessionId> {
    let head = line_log::beginning(path, 4_096)?;
    line_log::with_object(&head, |head| SessionId::new(&head.text("sessionId")?)).flatten()
}

fn add(log: &mut LineLog<()>, line: &Object<'_>, from: &ReadFrom) -> LineKind {
    // The first line, and one more at each resume.
    if let Some(session) = line.text("sessionId").and_then(|session| SessionId::new(&session)) {
        log.note_time(line_log::time(line, "startTime"));
        match AgentId::new(session.as_str()).filter(|_| from.agent.is_some()) {
            Some(id) => {
                log.delta.session = Some(from.session.clone());
                log.delta.run = Some(LoggedRun { id, agent_type: None, session: None, logged: None });
            }
            None => log.delta.session = Some(session),
        }
        let folder = line.array("directories").first().and_then(|folder| json::text(*folder));
        let folder = folder.and_then(|folder| crate::domain::clean_name(&folder, 1_000));
        log.facts.project = log.facts.project.take().or(folder);
        return add_messages(log, line.raw("messages"), from);
    }
    // A history that replaces what the client shows; what was billed before stays billed.
    if let Some(changed) = line.object("$set") {
        return add_messages(log, changed.raw("messages"), from);
    }
    if line.raw("$rewindTo").is_some() {
        return LineKind::Known;
    }
    add_message(log, line, from, true)
}

fn add_messages(log: &mut LineLog<()>, messages: Option<Raw<'_>>, from: &ReadFrom) -> LineKind {
    let mut kind = LineKind::Known;
    for message in messages.map(json::array).unwrap_or_default() {
        let Some(message) = Object::from_raw(message) else { continue };
        if add_message(log, &message, from, false) == LineKind::Unknown {
            kind = LineKind::Unknown;
        }
    }
    kind
}

/// Adds a message. `is_line` says that it is a line of its own and no part of a history.
fn add_message(log: &mut LineLog<()>, message: &Object<'_>, from: &ReadFrom, is_line: bool) -> LineKind {
    let (Some(kind), Some(id)) = (message.text("type"), message.text("id")) else { return LineKind::Foreign };
    let Some(session) = log.delta.session.clone() else { return LineKind::Foreign };
    let at = line_log::time(message, "timestamp");
    if is_line {
        log.note_time(at);
    }
    match kind.as_ref() {
        "user" if is_line && from.agent.is_none() => {
            log.is_answered = false;
            let uuid = id.into_owned();
            log.add_prompt(PromptRecord { uuid, session, prompt_id: None, at });
            LineKind::Known
        }
        "gemini" if is_line && message.object("tokens").is_none() => LineKind::Other,
        "gemini" => {
            let kind = add_answer(log, message, &id, from, at);
            // The answer that follows its tools' results is another one.
            log.is_answered &= message.array("toolCalls").is_empty();
            kind
        }
        "user" => LineKind::Known,
        _ => LineKind::Other,
    }
}

/// Adds an answer, if the message tells what it used: it comes once without its tools' results, and in histories without counts.
fn add_answer(
    log: &mut LineLog<()>,
    message: &Object<'_>,
    id: &str,
    from: &ReadFrom,
    at: Option<Timestamp>,
) -> LineKind {
    let Some(tokens) = message.object("tokens") else { return LineKind::Known };
    let (Some(input), Some(output)) = (tokens.count("input"), tokens.count("output")) else {
        return LineKind::Unknown;
    };
    let count = |name: &str| tokens.count(name).unwrap_or_default();
    let Some(session) = log.delta.session.clone() else { return LineKind::Foreign };
    log.add_answer(Answer {
        id,
        session: &session,
        agent: from.agent.clone(),
        model: message.text("model").as_deref(),
        at,
        usage: Usage {
            input: input.saturating_sub(count("cached")).saturating_add(count("tool")),
            output: output.saturating_add(count("thoughts")),
            cache_read: count("cached"),
            ..Usage::default()
        },
        branch: None,
        is_copy: false,
    })
}
