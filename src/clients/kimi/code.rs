//! A log of Kimi Code.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clients::line_log::{self, Answer, LineKind, LineLog};
use crate::clients::{Buffer, ReadError, ReadFrom};
use crate::domain::{
    AgentId, CompactionRecord, CompactionTrigger, CopiedBefore, LogDelta, LoggedRun, MAX_NAME_CHARS,
    PromptRecord, Timestamp, Usage,
};
use crate::json::Object;

/// So many names of the user's for models are known; a session has one or two.
const MAX_ALIASES: usize = 8;

/// What the lines so far say of those that follow.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The models behind the names that the user's settings give them.
    #[serde(rename = "m", default, skip_serializing_if = "BTreeMap::is_empty")]
    models: BTreeMap<String, String>,
    /// Whether the compaction that has begun is the client's own idea.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    is_auto: Option<bool>,
}

pub(super) fn read(buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
    line_log::read(buffer, path, from, |log: &mut LineLog<State>, line| {
        line_log::with_object(line, |line| add(log, line, from)).unwrap_or(LineKind::Foreign)
    })
}

fn add(log: &mut LineLog<State>, line: &Object<'_>, from: &ReadFrom) -> LineKind {
    let time = |name: &str| line.raw(name)?.get().parse::<i64>().ok();
    let millis = time("time").or_else(|| time("created_at"));
    let (Some(kind), Some(millis)) = (line.text("type"), millis) else { return LineKind::Foreign };
    let at = Some(Timestamp::from_millis(millis));
    log.note_time(at);
    let session = log.delta.session.get_or_insert_with(|| from.session.clone()).clone();
    let is_main = from.agent.is_none();
    match kind.as_ref() {
        "usage.record" => return add_answer(log, line, from, at),
        "llm.request" => {
            log.is_answered = false;
            if let (Some(alias), Some(model)) = (line.text("modelAlias"), line.text("model"))
                && alias.len().max(model.len()) <= MAX_NAME_CHARS
                && (log.state.models.len() < MAX_ALIASES || log.state.models.contains_key(alias.as_ref()))
            {
                log.state.models.insert(alias.into_owned(), model.into_owned());
            }
        }
        "profile.bind" => {
            let place = line.object("environmentDisclosure");
            log.facts.project = place.and_then(|place| line_log::project(&place, "cwd"));
            let agent_type = line_log::name(line, "profileName", MAX_NAME_CHARS);
            log.delta.run =
                from.agent.clone().map(|id| LoggedRun { id, agent_type, session: None, logged: None });
        }
        "turn.prompt" if is_main => {
            if let Some(id) = line_log::id(line, "promptId") {
                log.add_prompt(PromptRecord { uuid: id.clone(), session, prompt_id: Some(id), at });
            }
        }
        "full_compaction.begin" => {
            log.state.is_auto = line.text("source").map(|source| source == "auto");
        }
        "context.apply_compaction" if is_main => {
            let trigger = match log.state.is_auto.take() {
                Some(true) => CompactionTrigger::Auto,
                Some(false) => CompactionTrigger::Manual,
                None => CompactionTrigger::Unknown,
            };
            log.add_compaction(CompactionRecord {
                uuid: format!("kimi/compaction/{millis}"),
                session,
                trigger,
                at,
                tokens_before: line.count("tokensBefore"),
                tokens_after: line.count("tokensAfter"),
            });
        }
        // All that stands before was copied from the session that this one was forked from.
        "forked" => {
            log.delta.responses.iter_mut().for_each(|response| response.copied = true);
            log.delta.prompts.clear();
            log.delta.compactions.clear();
            (log.facts.first_at, log.facts.model) = (at, None);
            if let Some(at) = at.filter(|_| log.delta.start > 0 && is_main) {
                log.delta.copied_before.push(CopiedBefore { at, has_responses: true });
            }
        }
        "context.append_loop_event"
        | "context.append_message"
        | "agent.message.appended"
        | "subagent.completed"
        | "turn.prompt"
        | "context.apply_compaction" => {}
        kind if kind.starts_with("token_counting.") => {}
        _ => return LineKind::Other,
    }
    LineKind::Known
}

fn add_answer(
    log: &mut LineLog<State>,
    line: &Object<'_>,
    from: &ReadFrom,
    at: Option<Timestamp>,
) -> LineKind {
    let usage = line.object("usage");
    let Some(usage) =
        usage.as_ref().filter(|usage| usage.count("inputOther").and(usage.count("output")).is_some())
    else {
        return LineKind::Unknown;
    };
    let count = |name: &str| usage.count(name).unwrap_or_default();
    let usage = Usage {
        input: count("inputOther"),
        output: count("output"),
        cache_read: count("inputCacheRead"),
        cache_write_5m: count("inputCacheCreation"),
        ..Usage::default()
    };
    // No line has an id of its answer. A copy in a fork has the same time and counts.
    let agent = from.agent.as_ref().map_or(super::MAIN, AgentId::as_str);
    let Usage { input, output, cache_read, cache_write_5m, .. } = usage;
    let millis = at.map_or(0, Timestamp::as_millis);
    let id = format!("kimi/{agent}/{millis}/{input}+{cache_read}+{cache_write_5m}+{output}");
    let alias = line.text("model");
    let known = alias.as_ref().and_then(|alias| log.state.models.get(alias.as_ref()).cloned());
    let model = known.or(alias.map(std::borrow::Cow::into_owned));
    let session = log.delta.session.clone().unwrap_or_else(|| from.session.clone());
    log.add_answer(Answer {
        id: &id,
        session: &session,
        agent: from.agent.clone(),
        model: model.as_deref(),
        at,
        usage,
        branch: None,
        is_copy: false,
    })
}
