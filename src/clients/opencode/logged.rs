//! One message, whether it is a row or a file: what of it counts, and for whom.

use std::collections::HashMap;

use crate::clients::line_log::{self, Answer, LineKind, MAX_PATH_CHARS};
use crate::domain::{
    AgentId, CompactionRecord, CompactionTrigger, LogDelta, LoggedRun, MAX_NAME_CHARS, PromptRecord,
    SessionFacts, SessionId, Timestamp, Usage, clean_name,
};
use crate::json::Object;

/// What the client calls a session until it has a title.
const UNTITLED: [&str; 2] = ["New session - ", "Child session - "];

/// A session of the client's.
#[derive(Debug, Clone)]
pub(super) struct LoggedSession {
    /// The session that all began with: this one, or the one whose subagent it is.
    pub(super) root: SessionId,
    /// The subagent, if it is one.
    pub(super) agent: Option<AgentId>,
    /// When it was made, in milliseconds; older messages are a fork's copies.
    pub(super) created: Option<i64>,
    /// What the client notes of the root session.
    pub(super) facts: SessionFacts,
}

impl LoggedSession {
    /// What is kept of what the client notes of a session.
    pub(super) fn facts(project: &str, version: &str, title: &str) -> SessionFacts {
        let title = Some(title).filter(|title| !UNTITLED.iter().any(|untitled| title.starts_with(untitled)));
        SessionFacts {
            project: clean_name(project, MAX_PATH_CHARS),
            client_version: clean_name(version, MAX_NAME_CHARS),
            topic: title.and_then(|title| clean_name(title, MAX_NAME_CHARS)).map(|title| (2, title)),
            ..SessionFacts::default()
        }
    }
}

/// A message.
pub(super) struct LoggedMessage<'a> {
    /// Its ID.
    pub(super) id: &'a str,
    /// The session that it stands in.
    pub(super) session: &'a LoggedSession,
    /// When it was made, in milliseconds.
    pub(super) created: i64,
    /// What it says.
    pub(super) data: &'a Object<'a>,
}

/// What stands beside messages.
pub(super) trait Parts {
    /// Why a part of a message can't be read.
    type Fault;

    /// Whether a user wrote a message, and not the client in the user's name.
    fn is_users(&mut self, message: &str) -> Result<bool, Self::Fault>;

    /// What set off the compaction that a message asks for.
    fn trigger(&mut self, message: &str) -> Result<CompactionTrigger, Self::Fault>;
}

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct MessageReading {
    pub(super) delta: LogDelta,
    /// Places of sessions in the facts.
    sessions: HashMap<SessionId, usize>,
    /// Places of runs among the runs.
    runs: HashMap<AgentId, usize>,
    /// Whether the last message is an answer that is whole.
    pub(super) is_answered: bool,
}

impl MessageReading {
    /// Adds a message.
    pub(super) fn add<P: Parts>(
        &mut self,
        message: &LoggedMessage<'_>,
        parts: &mut P,
    ) -> Result<LineKind, P::Fault> {
        let LoggedMessage { session, created, data, .. } = *message;
        if session.created.is_some_and(|since| created < since) {
            return Ok(LineKind::Known);
        }
        match data.text("role").as_deref() {
            Some("user") => self.add_prompt(message, parts),
            Some("assistant") => self.add_answer(message, parts),
            _ => Ok(LineKind::Unknown),
        }
    }

    fn add_prompt<P: Parts>(
        &mut self,
        message: &LoggedMessage<'_>,
        parts: &mut P,
    ) -> Result<LineKind, P::Fault> {
        let LoggedMessage { id, session, created, .. } = *message;
        let at = Timestamp::from_millis(created);
        self.is_answered = false;
        self.note(session, at, at);
        if session.agent.is_none() && parts.is_users(id)? {
            let session = session.root.clone();
            self.delta.prompts.push(PromptRecord {
                uuid: id.to_owned(),
                session,
                prompt_id: None,
                at: Some(at),
            });
        }
        Ok(LineKind::Known)
    }

    fn add_answer<P: Parts>(
        &mut self,
        message: &LoggedMessage<'_>,
        parts: &mut P,
    ) -> Result<LineKind, P::Fault> {
        let LoggedMessage { id, session, created, data } = *message;
        let at = Timestamp::from_millis(created);
        let completed = data.object("time").and_then(|time| millis(&time, "completed"));
        self.is_answered = completed.is_some();
        self.note(session, at, completed.map_or(at, |completed| at.max(Timestamp::from_millis(completed))));
        let usage = data.object("tokens").as_ref().and_then(usage_of);
        let Some(usage) = usage else { return Ok(LineKind::Unknown) };
        // It is still on its way, or has failed.
        if usage == Usage::default() {
            return Ok(LineKind::Known);
        }
        let model = data.text("modelID");
        let answer = Answer {
            id,
            session: &session.root,
            agent: session.agent.clone(),
            model: model.as_deref(),
            at: Some(at),
            usage,
            branch: None,
            is_copy: false,
        };
        let Some(record) = line_log::record(answer, None) else { return Ok(LineKind::Unknown) };
        let kind = if record.model.is_some() { LineKind::Known } else { LineKind::Unknown };
        if let Some(agent) = &session.agent {
            let name = |name: &str| line_log::name(data, name, MAX_NAME_CHARS);
            self.note_type(agent, name("agent").or_else(|| name("mode")));
        } else {
            if let Some(place) = self.sessions.get(&session.root) {
                self.delta.facts[*place].1.model.clone_from(&record.model);
            }
            if data.is_true("summary") {
                let asked = data.text("parentID");
                let trigger = asked.map_or(Ok(CompactionTrigger::Unknown), |asked| parts.trigger(&asked))?;
                self.delta.compactions.push(CompactionRecord {
                    uuid: id.to_owned(),
                    session: session.root.clone(),
                    trigger,
                    at: Some(at),
                    tokens_before: None,
                    tokens_after: None,
                });
            }
        }
        self.delta.responses.push(record);
        Ok(kind)
    }

    /// Notes that something happened in a session.
    fn note(&mut self, session: &LoggedSession, first: Timestamp, last: Timestamp) {
        let facts = &mut self.delta.facts;
        let place = *self.sessions.entry(session.root.clone()).or_insert_with(|| {
            facts.push((Some(session.root.clone()), session.facts.clone()));
            facts.len() - 1
        });
        let Some(agent) = &session.agent else {
            let facts = &mut facts[place].1;
            facts.first_at = Some(facts.first_at.map_or(first, |known| known.min(first)));
            facts.last_at = facts.last_at.max(Some(last));
            return;
        };
        let runs = &mut self.delta.inner_runs;
        let place = *self.runs.entry(agent.clone()).or_insert_with(|| {
            let session = Some(session.root.clone());
            runs.push(LoggedRun { id: agent.clone(), agent_type: None, session, logged: None });
            runs.len() - 1
        });
        let span = &mut runs[place].logged;
        let (known_first, known_last) = span.unwrap_or((first, last));
        *span = Some((known_first.min(first), known_last.max(last)));
    }

    fn note_type(&mut self, agent: &AgentId, agent_type: Option<String>) {
        if let Some(place) = self.runs.get(agent) {
            let run = &mut self.delta.inner_runs[*place];
            // A compaction of the run's is made by an agent of its own.
            run.agent_type = run.agent_type.take().or(agent_type);
        }
    }
}

/// A time in milliseconds.
pub(super) fn millis(object: &Object<'_>, name: &str) -> Option<i64> {
    // A count has an upper limit that times are beyond.
    object.raw(name)?.get().parse().ok()
}

/// `None` if input or output are missing, which no version leaves out.
fn usage_of(tokens: &Object<'_>) -> Option<Usage> {
    let cache = tokens.object("cache");
    let cached = |name: &str| cache.as_ref().and_then(|cache| cache.count(name)).unwrap_or_default();
    let output = tokens.count("output")?;
    Some(Usage {
        input: tokens.count("input")?,
        // Reasoning is billed as output and stands beside it.
        output: output.saturating_add(tokens.count("reasoning").unwrap_or_default()),
        cache_read: cached("read"),
        cache_write_5m: cached("write"),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(tokens: &str) -> Option<Usage> {
        usage_of(&Object::parse(tokens).unwrap())
    }

    #[test]
    fn reasoning_is_added_and_the_cache_stands_apart() {
        let tokens = r#"{"total":1,"input":5,"output":7,"reasoning":11,"cache":{"read":13,"write":17}}"#;
        let expected = Usage { input: 5, output: 18, cache_read: 13, cache_write_5m: 17, ..Usage::default() };
        assert_eq!(usage(tokens), Some(expected));
        assert_eq!(
            usage(r#"{"input":5,"output":7}"#),
            Some(Usage { input: 5, output: 7, ..Usage::default() })
        );
        assert_eq!(usage(r#"{"input_tokens":5,"output":7}"#), None);
    }

    #[test]
    fn a_session_without_a_title_has_none() {
        let topic = |title: &str| LoggedSession::facts("/p", "1.18.33", title).topic;
        assert_eq!(topic("New session - 2026-11-30T03:18:02.000Z"), None);
        assert_eq!(topic("Mine"), Some((2, "Mine".to_owned())));
    }
}
