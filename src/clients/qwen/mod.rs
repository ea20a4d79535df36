//! Qwen Code's chats: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod hooks;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::line_log::{self, Answer, LineKind, LineLog, MAX_BRANCH_CHARS};
use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{
    AgentId, Client, CompactionRecord, CompactionTrigger, LogDelta, MAX_NAME_CHARS, PromptRecord, SessionId,
    Timestamp,
};
use crate::env::Env;
use crate::json::Object;

pub(super) use hooks::Hooks;

/// The reader of Qwen Code's chats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chats;

impl LogReader for Chats {
    fn client(&self) -> Client {
        Client::Qwen
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        env.home().map(|home| vec![home.join(".qwen/projects")]).unwrap_or_default()
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
        line_log::read(buffer, path, from, |log: &mut LineLog<()>, line| {
            line_log::with_object(line, |line| add(log, line)).unwrap_or(LineKind::Foreign)
        })
    }
}

/// A chat is named after its session, in a folder `chats`.
fn log_at(path: PathBuf) -> Option<LogFile> {
    let session = session_of(&path)?;
    Some(LogFile { path, session, agent: None })
}

fn session_of(path: &Path) -> Option<SessionId> {
    let is_chat = path.parent()?.file_name() == Some(OsStr::new("chats"));
    let name = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    (is_chat && !name.starts_with("session-")).then(|| SessionId::new(name))?
}

fn add(log: &mut LineLog<()>, line: &Object<'_>) -> LineKind {
    let (Some(kind), Some(session)) = (line.text("type"), line.text("sessionId")) else {
        return LineKind::Foreign;
    };
    let Some(session) = SessionId::new(&session) else { return LineKind::Foreign };
    // Claude Code's lines look alike, but that their messages have a content and no parts.
    if line.object("message").is_some_and(|message| message.raw("content").is_some()) {
        return LineKind::Foreign;
    }
    let at = line_log::time(line, "timestamp");
    log.note_time(at);
    log.delta.session.get_or_insert_with(|| session.clone());
    let facts = &mut log.facts;
    facts.project = facts.project.take().or_else(|| line_log::project(line, "cwd"));
    facts.client_version = line_log::name(line, "version", MAX_NAME_CHARS).or(facts.client_version.take());
    facts.git_branch = line_log::name(line, "gitBranch", MAX_BRANCH_CHARS).or(facts.git_branch.take());
    match kind.as_ref() {
        "user" => {
            log.is_answered = false;
            let is_users = line.text("provenance").is_none_or(|by| by == "real_user");
            if let Some(uuid) = line.text("uuid").filter(|_| is_users) {
                let uuid = uuid.into_owned();
                log.add_prompt(PromptRecord { uuid, session, prompt_id: None, at });
            }
            LineKind::Known
        }
        "assistant" => LineKind::Known,
        "tool_result" => {
            log.is_answered = false;
            LineKind::Known
        }
        "system" => add_system(log, line, &session, at),
        _ => LineKind::Other,
    }
}

fn add_system(
    log: &mut LineLog<()>,
    line: &Object<'_>,
    session: &SessionId,
    at: Option<Timestamp>,
) -> LineKind {
    let payload = line.object("systemPayload");
    match line.text("subtype").as_deref() {
        Some("ui_telemetry") => {
            let Some(event) = payload.and_then(|payload| payload.object("uiEvent")) else {
                return LineKind::Unknown;
            };
            let is_answer = event.text("event.name").as_deref() == Some("qwen-code.api_response");
            if is_answer { add_answer(log, &event, session, at) } else { LineKind::Other }
        }
        Some("chat_compression") => {
            let Some(info) = payload.and_then(|payload| payload.object("info")) else {
                return LineKind::Unknown;
            };
            let uuid = line.text("uuid").map(std::borrow::Cow::into_owned);
            if info.count("compressionStatus").is_none_or(|status| status == 1)
                && let Some(uuid) = uuid
            {
                log.add_compaction(CompactionRecord {
                    uuid,
                    session: session.clone(),
                    trigger: match info.text("triggerReason").as_deref() {
                        Some("token_limit") => CompactionTrigger::Auto,
                        Some("manual") => CompactionTrigger::Manual,
                        _ => CompactionTrigger::Unknown,
                    },
                    at,
                    tokens_before: info.count("originalTokenCount"),
                    tokens_after: info.count("newTokenCount"),
                });
            }
            LineKind::Known
        }
        Some("attribution_snapshot") => LineKind::Known,
        _ => LineKind::Other,
    }
}

/// Adds an answer, whoever has asked: the conversation, a subagent, the extraction of memories, a compaction.
fn add_answer(
    log: &mut LineLog<()>,
    event: &Object<'_>,
    session: &SessionId,
    at: Option<Timestamp>,
) -> LineKind {
    let (Some(id), Some(input)) = (event.text("response_id"), event.count("input_token_count")) else {
        return LineKind::Unknown;
    };
    let count = |name: &str| event.count(name).unwrap_or_default();
    // On some wires the output is with the thoughts, on others without; the total always has them.
    let output = match event.count("total_token_count") {
        Some(total) => total.saturating_sub(input).max(count("output_token_count")),
        None => count("output_token_count").saturating_add(count("thoughts_token_count")),
    };
    let agent_type = line_log::name(event, "subagent_name", MAX_NAME_CHARS);
    // An agent that runs unasked has no id of its own, but its prompts have one.
    let by_prompt = || Some(event.text("prompt_id")?.split('#').nth(1)?.to_owned());
    let agent = agent_type.as_ref().and_then(|agent_type| {
        let id = event.text("subagent_id").map(std::borrow::Cow::into_owned).or_else(by_prompt);
        AgentId::new(&id.unwrap_or_else(|| agent_type.clone()))
    });
    if let Some(agent) = &agent {
        log.note_inner_run(agent, agent_type, at);
    }
    let branch = log.facts.git_branch.clone();
    log.add_answer(Answer {
        id: &format!("qwen/{session}/{}/{id}", at.map_or(0, Timestamp::as_millis)),
        session,
        agent,
        model: event.text("model").as_deref(),
        at,
        usage: line_log::usage_of_whole_input(input, count("cached_content_token_count"), 0, output),
        branch,
        is_copy: false,
    })
}
