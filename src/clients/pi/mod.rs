//! Pi's sessions: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::line_log::{self, Answer, LineKind, LineLog};
use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{
    Client, CompactionRecord, CompactionTrigger, LogDelta, MAX_NAME_CHARS, PromptRecord, SessionId,
    Timestamp, Usage,
};
use crate::env::Env;
use crate::json::Object;

/// The reader of Pi's sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sessions;

impl LogReader for Sessions {
    fn client(&self) -> Client {
        Client::Pi
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        let own = || Some(env.home()?.join(".pi/agent/sessions"));
        env.place("PI_CODING_AGENT_SESSION_DIR").or_else(own).into_iter().collect()
    }

    fn find(&self, root: &Path) -> FoundLogs {
        line_log::find(root, &log_at)
    }

    fn is_log(&self, path: &Path) -> bool {
        path.is_file() && session_of(path).is_some()
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        session_of(main)
    }

    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        line_log::read(buffer, path, from, |log: &mut LineLog<State>, line| {
            line_log::with_object(line, |line| add(log, line)).unwrap_or(LineKind::Foreign)
        })
    }
}

fn log_at(path: PathBuf) -> Option<LogFile> {
    let session = session_of(&path)?;
    Some(LogFile { path, session, agent: None })
}

/// A session's file is named after when it began, and the session.
fn session_of(path: &Path) -> Option<SessionId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    let (time, session) = name.split_once('_')?;
    let is_time = time.len() >= 19 && time.as_bytes()[4] == b'-' && time.as_bytes()[10] == b'T';
    is_time.then(|| SessionId::new(session))?
}

/// What the lines so far say of those that follow.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The model that answers.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// When the session began, in milliseconds: what is older is copied from the session that it was forked from.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    began: Option<i64>,
}

fn add(log: &mut LineLog<State>, line: &Object<'_>) -> LineKind {
    let (Some(kind), Some(id)) = (line.text("type"), line.text("id")) else { return LineKind::Foreign };
    let at = line_log::time(line, "timestamp");
    if kind == "session" {
        let Some(session) = SessionId::new(&id) else { return LineKind::Foreign };
        log.delta.session.get_or_insert(session);
        log.note_time(at);
        log.facts.project = line_log::project(line, "cwd");
        log.state.began = at.map(Timestamp::as_millis);
        return LineKind::Known;
    }
    // The first line is the session's; without it this is a file of another kind.
    let Some(session) = log.delta.session.clone() else { return LineKind::Foreign };
    let is_copy = at.zip(log.state.began).is_some_and(|(at, began)| at.as_millis() < began);
    if !is_copy {
        log.note_time(at);
    }
    // Ids have eight digits, which more than one session can have.
    let key = || format!("pi/{id}/{}", at.map_or(0, Timestamp::as_millis));
    let message = line.object("message");
    let text = |object: &Object<'_>, name: &str| object.text(name).map(std::borrow::Cow::into_owned);
    let named = message.as_ref().and_then(|message| text(message, "model"));
    let model = named.or_else(|| text(line, "model")).or_else(|| text(line, "modelId"));
    if let Some(model) = model {
        log.state.model = Some(model).filter(|model| model.len() <= MAX_NAME_CHARS);
    }
    match kind.as_ref() {
        "message" => match message.as_ref().and_then(|message| message.text("role")).as_deref() {
            Some("user") => {
                log.is_answered = false;
                let uuid = key();
                if !is_copy {
                    log.add_prompt(PromptRecord { uuid, session: session.clone(), prompt_id: None, at });
                }
            }
            Some("assistant")
                if message.as_ref().is_some_and(|message| message.object("usage").is_none()) =>
            {
                return LineKind::Other;
            }
            None => return LineKind::Other,
            _ => {}
        },
        "compaction" if !is_copy => log.add_compaction(CompactionRecord {
            uuid: key(),
            session: session.clone(),
            trigger: CompactionTrigger::Unknown,
            at,
            tokens_before: line.count("tokensBefore"),
            tokens_after: None,
        }),
        "compaction"
        | "model_change"
        | "thinking_level_change"
        | "context_edit"
        | "branch_summary"
        | "usage"
        | "label"
        | "custom"
        | "custom_message"
        | "session_info"
        | "leaf" => {}
        _ => return LineKind::Other,
    }
    let usage = line.object("usage").or_else(|| message.as_ref()?.object("usage"));
    let Some(usage) = usage else { return LineKind::Known };
    let Some(usage) = usage_of(&usage) else { return LineKind::Unknown };
    // An attempt that failed before the API told anything.
    if usage == Usage::default() {
        return LineKind::Known;
    }
    let model = log.state.model.clone();
    log.add_answer(Answer {
        id: &key(),
        session: &session,
        agent: None,
        model: model.as_deref(),
        at,
        usage,
        branch: None,
        is_copy,
    })
}

/// `None` if it lacks input or output.
fn usage_of(usage: &Object<'_>) -> Option<Usage> {
    let count = |name: &str| usage.count(name).unwrap_or_default();
    usage.count("input").and(usage.count("output"))?;
    let cache_write_1h = count("cacheWrite1h").min(count("cacheWrite"));
    Some(Usage {
        input: count("input"),
        output: count("output"),
        cache_read: count("cacheRead"),
        cache_write_5m: count("cacheWrite") - cache_write_1h,
        cache_write_1h,
        web_searches: 0,
    })
}
