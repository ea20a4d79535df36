//! One log, read piece by piece from where it was left: the only place that asks a client's reader for records.

use std::time::Duration;

use crate::clients::{AgentMeta, Buffer, ContentReader, LogFile, LogReader, ReadError, ReadFrom};
use crate::config::Config;
use crate::domain::{LogDelta, LoggedRun, NUMBERED_TOPIC_RANK, SessionId, SessionKind, Timestamp};
use crate::env::Env;
use crate::estimate;
use crate::estimate::subagents::defaults_for;
use crate::store::{AgentObservation, Ledger, LogBatch, StoreError, TranscriptState};

/// Nobody has heard of a session for this long: it is taken to be over, though nobody said so.
pub(super) const ABANDONED: Duration = Duration::from_secs(30 * 60);

/// A log that is being read.
pub(super) struct LogSource<'a> {
    reader: &'static dyn LogReader,
    log: &'a LogFile,
    from: ReadFrom,
    /// The file's size and its time of change when it was last looked at.
    seen: (u64, Option<Timestamp>),
}

impl<'a> LogSource<'a> {
    /// A log that was read as far as `state` says, and looks as it was `seen`; `content` is how its content is measured, if that
    /// is read.
    pub(super) fn new(
        reader: &'static dyn LogReader,
        log: &'a LogFile,
        state: Option<&TranscriptState>,
        seen: (u64, Option<Timestamp>),
        content: Option<ContentReader>,
    ) -> Self {
        let from = ReadFrom {
            session: log.session.clone(),
            agent: log.agent.clone(),
            position: state.map(|state| state.position.clone()),
            count: estimate::written,
            content,
        };
        Self { reader, log, from, seen }
    }

    /// The log from its start, for its content alone.
    pub(super) fn of_content(
        reader: &'static dyn LogReader,
        log: &'a LogFile,
        content: ContentReader,
    ) -> Self {
        let mut source = Self::new(reader, log, None, (0, None), Some(content));
        source.from.count = |_| 0;
        source
    }

    /// Looks at the log once more; whether it has something new by its size, or by its time if it changes in place.
    pub(super) fn has_grown(&mut self) -> bool {
        let now = self.reader.look_at(&self.log.path);
        // One that was rewritten in its length keeps its old time here, so that the next look reads it.
        let has_grown = now.0 != self.seen.0 || self.reader.changes_in_place() && now != self.seen;
        if has_grown {
            self.seen = now;
        }
        has_grown
    }

    /// The next piece.
    pub(super) fn read(&mut self, buffer: &mut Buffer) -> Result<LogDelta, ReadError> {
        let delta = self.reader.read(buffer, &self.log.path, &self.from)?;
        self.from.position = Some(delta.position.clone());
        Ok(delta)
    }

    /// A piece as the ledger takes it, with what the user wants kept. `has_crons` says that jobs of the client's scheduler are
    /// set in the session.
    pub(super) fn batch(&self, mut delta: LogDelta, env: &Env, config: &Config, has_crons: bool) -> LogBatch {
        adjust_facts(&mut delta, env, config, has_crons);
        LogBatch {
            client: self.reader.client(),
            path: self.log.path.to_string_lossy().into_owned(),
            run: self.run(&delta, config),
            inner_runs: runs_of(&mut delta, config),
            size: self.seen.0,
            modified_at: self.seen.1,
            delta,
        }
    }

    /// The subagent run whose log it is.
    fn run(&self, delta: &LogDelta, config: &Config) -> Option<AgentObservation> {
        let told = delta.run.as_ref();
        let agent = self.log.agent.clone().or_else(|| told.map(|run| run.id.clone()))?;
        let AgentMeta { agent_type, tool_use_id } = self.reader.agent_meta(self.log);
        let agent_type = agent_type
            .or_else(|| told.and_then(|run| run.agent_type.clone()))
            .or_else(|| delta.agent_types.get(&agent).cloned());
        let run = LoggedRun { id: agent, agent_type, session: None, logged: delta.span() };
        Some(AgentObservation { tool_use_id, ..observation(run, config) })
    }
}

/// The subagent runs of which a main conversation's log tells, each with its session if that is not the log's.
fn runs_of(delta: &mut LogDelta, config: &Config) -> Vec<(Option<SessionId>, AgentObservation)> {
    let runs = delta.inner_runs.drain(..);
    runs.map(|mut run| (run.session.take(), observation(run, config))).collect()
}

/// A subagent run, as logs tell of it.
fn observation(run: LoggedRun, config: &Config) -> AgentObservation {
    let LoggedRun { id, agent_type, logged, .. } = run;
    AgentObservation {
        id,
        defaults: defaults_for(agent_type.as_deref(), &config.subagents),
        agent_type,
        tool_use_id: None,
        started_at: None,
        ended_at: None,
        logged,
    }
}

/// Whether a log is as it was, and was read to its end: it can be stored in part, by an import that was stopped or a hook that
/// ran out of time.
pub(super) fn is_unchanged(
    reader: &dyn LogReader,
    state: Option<&TranscriptState>,
    seen: (u64, Option<Timestamp>),
) -> bool {
    state.is_some_and(|state| {
        (state.size, state.modified_at) == seen && reader.is_at_end(&state.position, state.size)
    })
}

/// How content is measured here.
pub(super) fn content_reader(ledger: &Ledger) -> Result<ContentReader, StoreError> {
    Ok(ContentReader {
        written: estimate::written_block,
        read: estimate::read_by_model,
        hash_key: ledger.hash_key()?,
    })
}

/// Puts a number in the title's place if the user wants no names kept, tells scheduled runs from other headless ones,
/// and believes no time that has not come yet.
fn adjust_facts(delta: &mut LogDelta, env: &Env, config: &Config, has_crons: bool) {
    if !config.store_names {
        take_names(delta);
    }
    for (_, facts) in &mut delta.facts {
        if !config.store_names {
            facts.topic = Some((NUMBERED_TOPIC_RANK, String::new()));
        }
        if has_crons && facts.kind == Some(SessionKind::Headless) {
            facts.kind = Some(SessionKind::Scheduled);
        }
        facts.last_at = facts.last_at.map(|last| last.min(env.now()));
    }
}

/// Takes the names of tasks away.
pub(super) fn take_names(delta: &mut LogDelta) {
    delta.task_changes.iter_mut().for_each(|change| change.kind.take_names());
}
