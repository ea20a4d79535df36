//! Claude Code's transcripts: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod content;
mod context;
pub mod cost_screen;
pub mod foreign;
pub mod identity;
mod iterations;
mod line;
mod paths;
mod tasks;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use crate::clients::{Buffer, Fingerprint, Lines, ReadError};
use crate::domain::{
    AgentId, CompactionTrigger, ContextEntry, MessageId, ModelId, PicoUsd, RecordSource, ResponseRecord,
    SessionId, SessionKind, TaskChange, Timestamp, ToolUseId, Usage,
};
use crate::json;

pub use content::ContentReader;
pub use identity::{LastResponse, Note};
pub use paths::{
    AgentFile, AgentMeta, FoundFile, agent_file, agent_files, agents_folder, find_files, find_main,
    is_transcript, session_of_path, usual_agent_file,
};
pub use tasks::task_change;

/// The agent id of old clients' sidechain lines, which stand in the main file and name no run.
pub const UNNAMED_SIDECHAIN: &str = "sidechain";

/// How much is read before it is stored, in bytes: a process that is ended on its way loses no more than that.
const CHUNK_BYTES: u64 = 8 << 20;
/// How much of a transcript is read at once where the content is read, too, of which more is kept. In bytes.
const CONTENT_CHUNK_BYTES: u64 = 2 << 20;

/// The rank of a title that is only a number, for users who want no names kept: it replaces any other.
pub const NUMBERED_TOPIC_RANK: u8 = 9;

/// Where a transcript is to be read from.
#[derive(Debug, Clone)]
pub struct ReadFrom {
    /// The session whose folder the file stands in; lines usually name it themselves.
    pub session: SessionId,
    /// The subagent whose file it is; `None` for a main transcript.
    pub agent: Option<AgentId>,
    /// Where to go on, and how to tell that the file is still the same.
    pub progress: Option<Progress>,
    /// Counts the tokens of content, for responses of which the log has no final usage.
    pub count: fn(&str) -> u64,
    /// How content is measured; without it no [`Reading::entries`] are made.
    pub content: Option<ContentReader>,
}

/// How far a file was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// After the last whole line.
    pub offset: u64,
    /// The file's fingerprint then.
    pub fingerprint: Fingerprint,
    /// The time of the file's first dated record.
    pub file_start: Option<Timestamp>,
    /// Whether that record is the client's own note (`queue-operation`), and what this says of older ones after it.
    pub note: Note,
    /// The time of the latest dated record; `cost-state` records have none of their own.
    pub last_at: Option<Timestamp>,
    /// Whether the conversation's last record is an answer.
    pub answered: bool,
    /// The last response.
    pub last_response: Option<LastResponse>,
}

/// A turn's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The record's id; copies in a fork have the same.
    pub uuid: String,
    /// The session whose file it stands in.
    pub session: SessionId,
    /// The client's id of the prompt, which hooks get too.
    pub prompt_id: Option<String>,
    /// When it was submitted.
    pub at: Option<Timestamp>,
}

/// A compaction (`compact_boundary`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// The record's id.
    pub uuid: String,
    /// The session whose file it stands in.
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

/// The client's own total of a session and model (`cost-state`), since the session's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostState {
    /// The session.
    pub session: SessionId,
    /// The time of the last dated record before it.
    pub at: Option<Timestamp>,
    /// When the client says that it started; a fork goes on with its parent's.
    pub started_at: Option<Timestamp>,
    /// The model.
    pub model: ModelId,
    /// What it used.
    pub usage: Usage,
    /// Whether the record splits the cache writes; if not all of them stand as 5-minute ones.
    pub is_split: bool,
    /// What the client says that it cost.
    pub cost_usd: Option<PicoUsd>,
}

/// The content of responses that are not known to be complete.
///
/// Most are complete a few lines on, so their texts are kept until then and counted only if they must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Unfinished {
    /// Where the texts of each stand.
    responses: HashMap<MessageId, Vec<Range<usize>>>,
    texts: Vec<u8>,
}

impl Unfinished {
    fn note(&mut self, id: &MessageId, complete: bool, content: Option<&[u8]>) {
        if complete {
            if !self.responses.is_empty() && self.responses.remove(id).is_some() && self.responses.is_empty()
            {
                self.texts.clear();
            }
        } else if let Some(content) = content {
            let texts = self.responses.entry(id.clone()).or_default();
            if texts.iter().all(|text| self.texts[text.clone()] != *content) {
                texts.push(self.texts.len()..self.texts.len() + content.len());
                self.texts.extend_from_slice(content);
            }
        }
    }

    /// Gives each record of an incomplete response the tokens of what all of them wrote.
    fn count(self, messages: &mut [ResponseRecord], count: fn(&str) -> u64) {
        if self.responses.is_empty() {
            return;
        }
        let count = |text: Range<usize>| count(&json::lossy(&self.texts[text]));
        let counts = self.responses.into_iter().map(|(id, texts)| (id, texts.into_iter().map(count).sum()));
        let counts: HashMap<MessageId, u64> = counts.collect();
        for message in messages.iter_mut().filter(|message| !message.complete) {
            message.content_tokens = counts.get(&message.id).copied().unwrap_or_default();
        }
    }
}

/// What the lines say of the session as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Time of the first dated line of the session's own.
    pub first_at: Option<Timestamp>,
    /// Time of the last one.
    pub last_at: Option<Timestamp>,
    /// The client's version, from the last line that tells.
    pub client_version: Option<String>,
    /// The working directory of the first line that tells.
    pub project: Option<String>,
    /// The branch, from the last line that tells.
    pub git_branch: Option<String>,
    /// The session's title and how good a source it has (3 the user's, 2 the client's, 1 its slug). An empty title
    /// with [`NUMBERED_TOPIC_RANK`] stands for the session's number in the ledger.
    pub topic: Option<(u8, String)>,
    /// Who drove it.
    pub kind: Option<SessionKind>,
    /// The model of the last response of the main conversation.
    pub model: Option<ModelId>,
}

impl Facts {
    /// These, and what later lines say.
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

/// What a transcript's new lines tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Records of API responses; the same response can have several.
    pub messages: Vec<ResponseRecord>,
    /// Prompts, in the file's order.
    pub prompts: Vec<Prompt>,
    /// Compactions.
    pub compactions: Vec<Compaction>,
    /// The client's own totals, in the file's order.
    pub cost_states: Vec<CostState>,
    /// What the lines add to the contexts of their conversations.
    pub entries: Vec<ContextEntry>,
    /// Changes of the agent's list of tasks; read with the entries.
    pub task_changes: Vec<TaskChange>,
    /// Subagents' types, where the lines name them.
    pub agent_types: BTreeMap<AgentId, String>,
    /// The session whose file it is.
    pub facts: Facts,
    /// Other sessions that lines of it name.
    pub facts_of_others: Vec<(SessionId, Facts)>,
    /// The session whose file it is: the one that it is named after if a line names that, else the first that a line names.
    pub session: Option<SessionId>,
    /// Whether any line is one of this client's.
    pub is_understood: bool,
    /// Up to which time the session's lines are known to be copies, by their marks.
    pub copied_until: Option<Timestamp>,
    /// Whether it has turned out that what is older than the file is a copy.
    pub is_newly_fork: bool,
    /// Lines.
    pub lines: u64,
    /// Lines that are no JSON object.
    pub skipped_lines: u64,
    /// Where reading began.
    pub start: u64,
    /// Whether the content was read too, so that [`Self::entries`] tells all.
    pub has_content: bool,
    /// Whether the file has lines that were not read yet.
    pub has_more: bool,
    /// Where to go on.
    pub progress: Progress,
    unfinished: Unfinished,
    /// The session of the last line, and so of `facts`.
    facts_of: Option<SessionId>,
    /// The key of the line that was read last, if it shows a response.
    line_key: Option<MessageId>,
    /// Whose the last entry is, if not the file's own.
    entries_of: Option<AgentId>,
    /// Calls that make an item of the list of tasks, and have no result yet.
    task_creates: HashSet<ToolUseId>,
    /// The skill that the last response has started.
    last_skill_call: Option<ToolUseId>,
}

impl Reading {
    /// Nothing yet, of a file that is read from `progress.offset` on.
    #[must_use]
    fn new(progress: Progress) -> Self {
        Self {
            messages: Vec::new(),
            prompts: Vec::new(),
            compactions: Vec::new(),
            cost_states: Vec::new(),
            agent_types: BTreeMap::new(),
            facts: Facts::default(),
            facts_of_others: Vec::new(),
            session: None,
            is_understood: false,
            copied_until: None,
            is_newly_fork: false,
            facts_of: None,
            line_key: None,
            lines: 0,
            skipped_lines: 0,
            start: progress.offset,
            has_content: false,
            has_more: false,
            progress,
            unfinished: Unfinished::default(),
            entries: Vec::new(),
            task_changes: Vec::new(),
            entries_of: None,
            task_creates: HashSet::new(),
            last_skill_call: None,
        }
    }

    /// What the lines say of each session that they name; `home` is the file's.
    pub fn facts_by_session<'r>(
        &'r self,
        home: &'r SessionId,
    ) -> impl Iterator<Item = (&'r SessionId, &'r Facts)> {
        let others = self.facts_of_others.iter().map(|(session, facts)| (session, facts));
        others.chain([(self.facts_of.as_ref().unwrap_or(home), &self.facts)])
    }

    /// The facts of all sessions.
    pub fn all_facts_mut(&mut self) -> impl Iterator<Item = &mut Facts> {
        self.facts_of_others.iter_mut().map(|(_, facts)| facts).chain([&mut self.facts])
    }

    /// Makes `facts` those of a session.
    fn turn_to(&mut self, session: &SessionId) {
        if self.facts_of.as_ref() == Some(session) {
            return;
        }
        let Some(left) = self.facts_of.replace(session.clone()) else { return };
        let known = self.facts_of_others.iter().position(|(other, _)| other == session);
        let facts = known.map(|at| self.facts_of_others.swap_remove(at).1).unwrap_or_default();
        let left_facts = std::mem::replace(&mut self.facts, facts);
        self.facts_of_others.push((left, left_facts));
    }

    /// This reading and one that went on where it ended.
    #[must_use]
    pub fn join(mut self, later: Self) -> Self {
        self.messages.extend(later.messages);
        self.prompts.extend(later.prompts);
        self.compactions.extend(later.compactions);
        self.cost_states.extend(later.cost_states);
        self.agent_types.extend(later.agent_types);
        if self.entries_of.is_some() {
            self.entries.push(ContextEntry::Of { agent: None });
        }
        self.entries.extend(later.entries);
        self.entries_of = later.entries_of;
        self.task_changes.extend(later.task_changes);
        let others = later.facts_of_others.into_iter().map(|(session, facts)| (Some(session), facts));
        for (session, facts) in others.chain([(later.facts_of, later.facts)]) {
            if let Some(session) = session {
                self.turn_to(&session);
            }
            let earlier = std::mem::take(&mut self.facts);
            self.facts = earlier.join(facts);
        }
        self.session = self.session.or(later.session);
        self.is_understood |= later.is_understood;
        self.copied_until = self.copied_until.max(later.copied_until);
        self.is_newly_fork |= later.is_newly_fork;
        self.lines += later.lines;
        self.skipped_lines += later.skipped_lines;
        self.has_more = later.has_more;
        self.progress = later.progress;
        self
    }
}

/// Reads the new lines of a transcript, or as many of them as are to be stored together
/// ([`Reading::has_more`] then says that there are more).
///
/// # Errors
/// If the file cannot be opened or read; lines that cannot be understood are counted and skipped.
pub fn read(path: &Path, from: &ReadFrom) -> Result<Reading, ReadError> {
    read_with(&mut Buffer::default(), path, from)
}

/// Reads the new lines of a transcript like [`read`], with memory that was used before.
///
/// # Errors
/// If the file cannot be opened or read; lines that cannot be understood are counted and skipped.
pub fn read_with(buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<Reading, ReadError> {
    let before = from.progress.as_ref();
    let mut lines =
        Lines::open(buffer, path, before.map(|progress| (progress.offset, progress.fingerprint)))?;
    // A file written anew is read from its start, and what was known of it is void.
    let resumed = before.filter(|progress| progress.offset == lines.start());
    let mut reading = Reading::new(Progress {
        offset: lines.start(),
        fingerprint: Fingerprint::default(),
        ..resumed.cloned().unwrap_or_default()
    });
    reading.has_content = from.content.is_some();
    let chunk = if reading.has_content { CONTENT_CHUNK_BYTES } else { CHUNK_BYTES };
    let mut repeated = json::Repeated::default();
    while let Some(line) = lines.next_line()? {
        reading.lines += 1;
        wire::add_line(line, from, &mut repeated, &mut reading);
        if lines.offset() - lines.start() >= chunk {
            reading.has_more = true;
            break;
        }
    }
    reading.has_more |= lines.is_within_line();
    std::mem::take(&mut reading.unfinished).count(&mut reading.messages, from.count);
    let file_start = reading.progress.file_start;
    let own_start = file_start.filter(|_| reading.progress.note == Note::Copies);
    let is_older = |at: Option<Timestamp>| at.zip(own_start).is_some_and(|(at, start)| at < start);
    reading.is_newly_fork = own_start.is_some() && resumed.is_none_or(|before| before.note != Note::Copies);
    for message in &mut reading.messages {
        message.file_start = file_start;
        message.copied |= message.source == RecordSource::Main && is_older(message.at);
    }
    // What a fork has copied is told by its parent's file.
    let copied_until = reading.copied_until;
    let is_copy =
        |at: Option<Timestamp>| is_older(at) || at.zip(copied_until).is_some_and(|(at, until)| at <= until);
    reading.prompts.retain(|prompt| !is_copy(prompt.at));
    reading.compactions.retain(|compaction| !is_copy(compaction.at));
    reading.cost_states.retain(|state| !is_older(state.at));
    if let Some(start) = own_start {
        for time in [&mut reading.facts.first_at, &mut reading.facts.last_at] {
            *time = time.map(|at| at.max(start));
        }
    }
    reading.progress.offset = lines.offset();
    reading.progress.fingerprint = lines.fingerprint()?;
    Ok(reading)
}
