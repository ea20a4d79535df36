//! The sessions of GitHub's Copilot CLI: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod hooks;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::line_log::{self, Answer, LineKind, LineLog, MAX_BRANCH_CHARS};
use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{
    AgentId, Client, CompactionRecord, CompactionTrigger, LogDelta, MAX_NAME_CHARS, PromptRecord, SessionId,
    Timestamp,
};
use crate::env::Env;
use crate::json::Object;

pub(super) use hooks::Hooks;

/// So many models' totals are known of a session of an old client.
const MAX_TOTALS: usize = 6;

/// The reader of the Copilot CLI's events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Events;

impl LogReader for Events {
    fn client(&self) -> Client {
        Client::CopilotCli
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        let home = env.place("COPILOT_HOME").or_else(|| Some(env.home()?.join(".copilot")));
        home.map(|home| vec![home.join("session-state")]).unwrap_or_default()
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
            line_log::with_object(line, |line| add(log, line, from)).unwrap_or(LineKind::Foreign)
        })
    }
}

fn log_at(path: PathBuf) -> Option<LogFile> {
    let session = session_of(&path)?;
    Some(LogFile { path, session, agent: None })
}

/// A session's events lie in a folder named after it.
fn session_of(path: &Path) -> Option<SessionId> {
    if path.file_name() != Some(OsStr::new("events.jsonl")) {
        return None;
    }
    SessionId::new(path.parent()?.file_name()?.to_str()?)
}

/// What the lines so far say of those that follow.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The branch that was checked out.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// Whether the client writes a record for each answer, so that its totals tell nothing new.
    #[serde(rename = "r", default)]
    has_records: bool,
    /// The last totals of a client that writes no records, by model: input, cache reads and writes, output.
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    totals: BTreeMap<String, [u64; 4]>,
}

fn add(log: &mut LineLog<State>, line: &Object<'_>, from: &ReadFrom) -> LineKind {
    let (Some(kind), Some(data), Some(id)) = (line.text("type"), line.object("data"), line.text("id")) else {
        return LineKind::Foreign;
    };
    let at = line_log::time(line, "timestamp");
    log.note_time(at);
    let session = log.delta.session.get_or_insert_with(|| from.session.clone()).clone();
    let agent = line.text("agentId").and_then(|agent| AgentId::new(&agent));
    match kind.as_ref() {
        "session.start" | "session.resume" => {
            if let Some(named) = data.text("sessionId").and_then(|named| SessionId::new(&named)) {
                log.delta.session = Some(named);
            }
            let version = line_log::name(&data, "copilotVersion", MAX_NAME_CHARS);
            log.facts.client_version = version.or(log.facts.client_version.take());
            if let Some(place) = data.object("context") {
                let project = line_log::project(&place, "cwd");
                log.facts.project = log.facts.project.take().or(project);
                let branch = line_log::name(&place, "branch", MAX_BRANCH_CHARS);
                log.facts.git_branch.clone_from(&branch);
                log.state.branch = branch;
            }
        }
        "user.message" if agent.is_none() => {
            log.is_answered = false;
            let uuid = id.into_owned();
            log.add_prompt(PromptRecord { uuid, session, prompt_id: None, at });
        }
        "subagent.started" => {
            let agent_type = line_log::name(&data, "agentType", MAX_NAME_CHARS)
                .or_else(|| line_log::name(&data, "agentName", MAX_NAME_CHARS));
            if let Some(agent) = &agent {
                log.note_inner_run(agent, agent_type, at);
            }
        }
        "session.usage_record" => return add_record(log, &data, &session, agent, at),
        "session.compaction_complete" => return add_compaction(log, &data, &session, &id, agent, at),
        "session.shutdown" => return add_totals(log, &data, &session, &id, at),
        "tool.execution_start" => log.is_answered = false,
        "session.compaction_start" | "subagent.completed" | "user.message" => {}
        kind => {
            const PLAIN: [&str; 8] = [
                "hook.start",
                "hook.end",
                "system.message",
                "assistant.message",
                "assistant.turn_start",
                "assistant.turn_end",
                "tool.execution_complete",
                "subagent.configured",
            ];
            return if PLAIN.contains(&kind) { LineKind::Known } else { LineKind::Other };
        }
    }
    LineKind::Known
}

/// Input, cache reads and writes, and output. The input has both of the cache's, the output the reasoning.
fn counts(usage: &Object<'_>) -> Option<[u64; 4]> {
    let count = |name: &str| usage.count(name).unwrap_or_default();
    let input = usage.count("inputTokens")?;
    Some([input, count("cacheReadTokens"), count("cacheWriteTokens"), usage.count("outputTokens")?])
}

fn add_record(
    log: &mut LineLog<State>,
    data: &Object<'_>,
    session: &SessionId,
    agent: Option<AgentId>,
    at: Option<Timestamp>,
) -> LineKind {
    let Some(usage) = data.object("usage") else { return LineKind::Unknown };
    let Some(numbers) = counts(&usage) else { return LineKind::Unknown };
    log.state.has_records = true;
    let account = usage.object("accounting");
    let source = account.as_ref().and_then(|account| account.text("sourceSessionId"));
    let number = account.as_ref().and_then(|account| account.count("sequence"));
    let key = match (source, number) {
        (Some(source), Some(number)) => format!("copilot/{source}/{number}"),
        _ => match usage.text("apiCallId") {
            Some(call) => format!("copilot/{session}/{call}"),
            None => return LineKind::Unknown,
        },
    };
    if let Some(agent) = &agent {
        log.note_inner_run(agent, None, at);
    }
    add_answer(log, (&key, session, agent), usage.text("model").as_deref(), numbers, at)
}

/// Adds an answer with its key, and whose it is.
fn add_answer(
    log: &mut LineLog<State>,
    (id, session, agent): (&str, &SessionId, Option<AgentId>),
    model: Option<&str>,
    [input, cache_read, cache_write, output]: [u64; 4],
    at: Option<Timestamp>,
) -> LineKind {
    let branch = log.state.branch.clone();
    log.add_answer(Answer {
        id,
        session,
        agent,
        model,
        at,
        usage: line_log::usage_of_whole_input(input, cache_read, cache_write, output),
        branch,
        is_copy: false,
    })
}

fn add_compaction(
    log: &mut LineLog<State>,
    data: &Object<'_>,
    session: &SessionId,
    id: &str,
    agent: Option<AgentId>,
    at: Option<Timestamp>,
) -> LineKind {
    if agent.is_none() && data.is_true("success") {
        log.add_compaction(CompactionRecord {
            uuid: id.to_owned(),
            session: session.clone(),
            trigger: match data.text("trigger").as_deref() {
                Some("threshold") => CompactionTrigger::Auto,
                Some("manual") => CompactionTrigger::Manual,
                _ => CompactionTrigger::Unknown,
            },
            at,
            tokens_before: data.count("preCompactionTokens"),
            tokens_after: data.count("postCompactionTokens"),
        });
    }
    let Some(usage) = data.object("compactionTokensUsed") else { return LineKind::Other };
    if usage.count("requestCount") == Some(0) {
        return LineKind::Known;
    }
    let Some(numbers) = counts(&usage) else { return LineKind::Unknown };
    let key = format!("copilot/{session}/compaction/{id}");
    add_answer(log, (&key, session, agent), usage.text("model").as_deref(), numbers, at)
}

/// Adds what a session has used since its last end, of a client that writes no record for each answer.
fn add_totals(
    log: &mut LineLog<State>,
    data: &Object<'_>,
    session: &SessionId,
    id: &str,
    at: Option<Timestamp>,
) -> LineKind {
    let Some(models) = data.object("modelMetrics").filter(|_| !log.state.has_records) else {
        return LineKind::Known;
    };
    let mut kind = LineKind::Known;
    for (model, metrics) in models.members() {
        let usage = Object::from_raw(metrics).and_then(|metrics| metrics.object("usage"));
        let Some(total) = usage.and_then(|usage| counts(&usage)) else {
            kind = LineKind::Unknown;
            continue;
        };
        let totals = &mut log.state.totals;
        // What is not kept would be counted again with the next total.
        if totals.len() >= MAX_TOTALS && !totals.contains_key(model) || model.len() > MAX_NAME_CHARS {
            kind = LineKind::Unknown;
            continue;
        }
        let before = totals.insert(model.to_owned(), total).unwrap_or_default();
        // A total that has fallen begins anew.
        let is_grown = total.iter().zip(before).all(|(now, before)| *now >= before);
        let before = if is_grown { before } else { [0; 4] };
        let numbers: [u64; 4] = std::array::from_fn(|at| total[at] - before[at]);
        if numbers == [0; 4] {
            continue;
        }
        let key = format!("copilot/{session}/{id}/{model}");
        let added = add_answer(log, (&key, session, None), Some(model), numbers, at);
        if added == LineKind::Unknown {
            kind = added;
        }
    }
    kind
}
