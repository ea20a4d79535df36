//! What a client's log tells, with nothing of how that client writes it: what readers of logs hand to the ledger.

use std::collections::BTreeMap;

use super::{
    AgentId, CompactionTrigger, ContextEntry, ModelId, PicoUsd, ResponseRecord, SessionId, SessionKind,
    TaskChange, Timestamp, Usage,
};

/// The rank of a title that is only a number, for users who want no names kept: it replaces any other.
pub const NUMBERED_TOPIC_RANK: u8 = 9;

/// How far a log was read, and what its reader needs to go on there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// Where to go on: in a file the byte after the last whole line, in a database the last change that was read.
    pub offset: u64,
    /// Tells a log that has grown from one that was written anew.
    pub fingerprint: u64,
    /// Whether the conversation's last record is an answer.
    pub answered: bool,
    /// What else its reader needs, in that reader's own words; a thousand bytes at most.
    pub reader_state: String,
}

/// A turn's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRecord {
    /// The record's ID; copies in a fork have the same.
    pub uuid: String,
    /// The session whose log it stands in.
    pub session: SessionId,
    /// The client's ID of the prompt, which hooks get too.
    pub prompt_id: Option<String>,
    /// When it was submitted.
    pub at: Option<Timestamp>,
}

/// A compaction of a conversation's context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionRecord {
    /// The record's ID; copies in a fork have the same.
    pub uuid: String,
    /// The session whose log it stands in.
    pub session: SessionId,
    /// What set it off.
    pub trigger: CompactionTrigger,
    /// When it was done.
    pub at: Option<Timestamp>,
    /// The context's size before, in tokens.
    pub tokens_before: Option<u64>,
    /// The context's size after, in tokens.
    pub tokens_after: Option<u64>,
}

/// A client's own total of a session and model, since the session's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTotal {
    /// The session.
    pub session: SessionId,
    /// The time of the last dated record before it.
    pub at: Option<Timestamp>,
    /// When the client says that the total begins; a fork's goes on with its parent's.
    pub started_at: Option<Timestamp>,
    /// The model.
    pub model: ModelId,
    /// What it used.
    pub usage: Usage,
    /// Whether cache writes are split by how long they are kept; if not, all of them stand as 5-minute writes.
    pub is_split: bool,
    /// What the client says that it cost.
    pub cost_usd: Option<PicoUsd>,
}

/// What a log says of a session as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFacts {
    /// Time of the first dated record of the session's own.
    pub first_at: Option<Timestamp>,
    /// Time of the last one.
    pub last_at: Option<Timestamp>,
    /// The client's version, from the last record that tells.
    pub client_version: Option<String>,
    /// The working directory of the first record that tells.
    pub project: Option<String>,
    /// The branch, from the last record that tells.
    pub git_branch: Option<String>,
    /// The session's title and how good a source it has (3 the user's, 2 the client's, 1 made up by the client). An empty
    /// title with [`NUMBERED_TOPIC_RANK`] stands for the session's number in the ledger.
    pub topic: Option<(u8, String)>,
    /// Who drove it.
    pub kind: Option<SessionKind>,
    /// The model of the last response of the main conversation.
    pub model: Option<ModelId>,
}

impl SessionFacts {
    /// These facts, and what later records say.
    #[must_use]
    fn join(self, later: Self) -> Self {
        Self {
            first_at: self.first_at.or(later.first_at),
            last_at: later.last_at.or(self.last_at),
            client_version: later.client_version.or(self.client_version),
            project: self.project.or(later.project),
            git_branch: later.git_branch.or(self.git_branch),
            topic: match (self.topic, later.topic) {
                (Some(earlier), Some(later)) if earlier.0 > later.0 => Some(earlier),
                (earlier, later) => later.or(earlier),
            },
            kind: self.kind.or(later.kind),
            model: later.model.or(self.model),
        }
    }
}

/// A subagent run, as its own log tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRun {
    /// The run.
    pub id: AgentId,
    /// Its type.
    pub agent_type: Option<String>,
    /// The session that it belongs to, if not the log's.
    pub session: Option<SessionId>,
    /// The first and last time at which it is told of, if not by a log of its own.
    pub logged: Option<(Timestamp, Timestamp)>,
}

/// Records of a log that have turned out, after they were read, to be copies of another session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedBefore {
    /// All records older than this are copies.
    pub at: Timestamp,
    /// Whether responses and totals are among them, or only prompts and compactions.
    pub has_responses: bool,
}

/// What a log has new since it was last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDelta {
    /// Records of responses, in the log's order; the same response can have several.
    pub responses: Vec<ResponseRecord>,
    /// Prompts, in the log's order.
    pub prompts: Vec<PromptRecord>,
    /// Compactions.
    pub compactions: Vec<CompactionRecord>,
    /// The client's own totals, in the log's order.
    pub client_totals: Vec<ClientTotal>,
    /// What the records add to the contexts of their conversations.
    pub entries: Vec<ContextEntry>,
    /// Changes of the agent's list of tasks; read with the entries.
    pub task_changes: Vec<TaskChange>,
    /// Subagents' types, where the records name them.
    pub agent_types: BTreeMap<AgentId, String>,
    /// What the records say of each session that they name, the last one's at the end. `None` is the session that the log
    /// belongs to by its place: so far no record names one.
    pub facts: Vec<(Option<SessionId>, SessionFacts)>,
    /// The session whose log it is: the one that the log is named after if a record names that, else the first that a
    /// record names.
    pub session: Option<SessionId>,
    /// The subagent whose log it is, where the records say so and not the log's place.
    pub run: Option<LoggedRun>,
    /// The subagents whose records stand in a main conversation's log, and have no log of their own.
    pub inner_runs: Vec<LoggedRun>,
    /// Whether the log is that of several sessions, as a database is, so that which of them has records in it tells nothing.
    pub has_sessions: bool,
    /// Whether any record is one of the client's.
    pub is_understood: bool,
    /// What was read before and is a copy.
    pub copied_before: Vec<CopiedBefore>,
    /// Time of the log's first dated record.
    pub file_start: Option<Timestamp>,
    /// Lines, or rows of a database.
    pub lines: u64,
    /// Lines that cannot be understood at all.
    pub skipped_lines: u64,
    /// Lines, or rows, of a kind that the reader does not know, or that lack what it looks for: a newer client's.
    pub unknown_lines: u64,
    /// Where reading began, as an offset.
    pub start: u64,
    /// Whether the content was read too, so that [`Self::entries`] tells all.
    pub has_content: bool,
    /// Whether the log has records that were not read yet.
    pub has_more: bool,
    /// Where to go on.
    pub position: LogPosition,
}

impl LogDelta {
    /// What the records say of each session that they name; `home` is the log's.
    pub fn facts_by_session<'d>(
        &'d self,
        home: &'d SessionId,
    ) -> impl Iterator<Item = (&'d SessionId, &'d SessionFacts)> {
        self.facts.iter().map(move |(session, facts)| (session.as_ref().unwrap_or(home), facts))
    }

    /// From the first to the last dated record of the session that the last record belongs to.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (_, facts) = self.facts.last()?;
        facts.first_at.zip(facts.last_at)
    }

    /// How much of the log was read: bytes of a file, changes of a database.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.position.offset.saturating_sub(self.start)
    }

    /// This delta and one that went on where it ended.
    #[must_use]
    pub fn join(mut self, later: Self) -> Self {
        // The log was written anew in between: what was read of it before is void.
        if later.start != self.position.offset {
            return later;
        }
        self.responses.extend(later.responses);
        self.prompts.extend(later.prompts);
        self.compactions.extend(later.compactions);
        self.client_totals.extend(later.client_totals);
        self.agent_types.extend(later.agent_types);
        let last_of = self.entries.iter().rev().find_map(|entry| match entry {
            ContextEntry::Of { agent } => Some(agent.is_some()),
            _ => None,
        });
        if last_of == Some(true) {
            self.entries.push(ContextEntry::Of { agent: None });
        }
        self.entries.extend(later.entries);
        self.task_changes.extend(later.task_changes);
        for (session, facts) in later.facts {
            self.join_facts(session, facts);
        }
        self.session = self.session.or(later.session);
        self.run = self.run.or(later.run);
        self.inner_runs.extend(later.inner_runs);
        self.has_sessions |= later.has_sessions;
        self.is_understood |= later.is_understood;
        self.copied_before.extend(later.copied_before);
        self.file_start = self.file_start.or(later.file_start);
        self.lines += later.lines;
        self.skipped_lines += later.skipped_lines;
        self.unknown_lines += later.unknown_lines;
        self.has_more = later.has_more;
        self.position = later.position;
        self
    }

    /// Adds later facts, which go to the end. A log that has named no session until then belongs to the first that it names.
    fn join_facts(&mut self, session: Option<SessionId>, facts: SessionFacts) {
        let place = match &session {
            Some(session) => {
                let named = self.facts.iter().position(|(known, _)| known.as_ref() == Some(session));
                named.or_else(|| self.facts.iter().position(|(known, _)| known.is_none()))
            }
            None => self.facts.len().checked_sub(1),
        };
        let (session, facts) = match place.map(|place| self.facts.remove(place)) {
            Some((known, earlier)) => (session.or(known), earlier.join(facts)),
            None => (session, facts),
        };
        self.facts.push((session, facts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(branch: &str) -> SessionFacts {
        SessionFacts { git_branch: Some(branch.to_owned()), ..SessionFacts::default() }
    }

    #[test]
    fn joined_facts_belong_to_the_session_that_is_named() {
        let session = |name: &str| SessionId::new(name);
        let delta = |facts: &[(Option<SessionId>, SessionFacts)]| LogDelta {
            facts: facts.to_vec(),
            ..LogDelta::default()
        };
        let unnamed = delta(&[(None, facts("a"))]);
        let joined = unnamed.join(delta(&[(session("one"), facts("b"))]));
        assert_eq!(joined.facts, [(session("one"), facts("b"))]);
        let joined = joined.join(delta(&[(session("two"), facts("c"))])).join(delta(&[(None, facts("d"))]));
        assert_eq!(joined.facts, [(session("one"), facts("b")), (session("two"), facts("d"))]);
        let joined = joined.join(delta(&[(session("one"), SessionFacts::default())]));
        assert_eq!(joined.facts.last(), Some(&(session("one"), facts("b"))));
    }

    #[test]
    fn what_goes_on_is_the_logs_own_conversation() {
        let of = |agent: Option<&str>| ContextEntry::Of { agent: agent.and_then(AgentId::new) };
        let delta = |entries: Vec<ContextEntry>| LogDelta { entries, ..LogDelta::default() };
        let joined =
            delta(vec![of(Some("a")), ContextEntry::Compaction]).join(delta(vec![ContextEntry::Compaction]));
        assert_eq!(joined.entries[2], of(None));
        let joined = delta(vec![ContextEntry::Compaction]).join(delta(vec![ContextEntry::Compaction]));
        assert_eq!(joined.entries.len(), 2);
    }
}
