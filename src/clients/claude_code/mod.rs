//! Claude Code's transcripts: where they are, how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod content;
mod context;
pub mod cost_screen;
mod foreign;
mod hooks;
mod identity;
mod iterations;
mod line;
mod paths;
mod tasks;
mod wire;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{
    AgentMeta, Buffer, ContentReader, Fingerprint, FoundLogs, Lines, LogFile, LogReader, ReadError, ReadFrom,
};
use crate::domain::{
    AgentId, Client, CopiedBefore, LogDelta, LogPosition, MessageId, RecordSource, ResponseRecord,
    SessionFacts, SessionId, Timestamp, ToolUseId, Version, client_version,
};
use crate::env::Env;
use crate::json;
use identity::{LastResponse, Note};

pub use hooks::Hooks;

/// The agent id of old clients' sidechain lines, which stand in the main file and name no run.
pub const UNNAMED_SIDECHAIN: &str = "sidechain";

/// How much is read before it is stored, in bytes: a process that is ended on its way loses no more than that.
const CHUNK_BYTES: u64 = 8 << 20;
/// How much of a transcript is read at once where the content is read, too, of which more is kept. In bytes.
const CONTENT_CHUNK_BYTES: u64 = 2 << 20;

/// First client version that lays no subagent transcripts beside the main one, for certain.
const NO_FLAT_AGENTS: Version = (2, 1, 100);

/// How far a transcript was read, and what that says of the lines that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Progress {
    /// After the last whole line, in bytes.
    offset: u64,
    /// The time of the file's first dated record.
    file_start: Option<Timestamp>,
    /// Whether that record is the client's own note (`queue-operation`), and what this says of older ones after it.
    note: Note,
    /// The time of the latest dated record; `cost-state` records have none of their own.
    last_at: Option<Timestamp>,
    /// Whether the conversation's last record is an answer.
    answered: bool,
    /// The last response.
    last_response: Option<LastResponse>,
}

impl Progress {
    /// As the ledger keeps it.
    fn position(&self, fingerprint: Fingerprint) -> LogPosition {
        let time = |at: Option<Timestamp>| at.map_or(i64::MIN, Timestamp::as_millis);
        let (start, last) = (time(self.file_start), time(self.last_at));
        let mut reader_state = format!("{} {start} {last}", self.note.rank());
        if let Some(last) = &self.last_response {
            reader_state.push(' ');
            reader_state.push_str(&last.to_text());
        }
        let Self { offset, answered, .. } = *self;
        LogPosition { offset, fingerprint: fingerprint.to_bits(), answered, reader_state }
    }

    /// From the ledger. What cannot be read there is not known.
    fn of(position: &LogPosition) -> Self {
        let mut parts = position.reader_state.splitn(4, ' ');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (note, start, last) = (number().unwrap_or_default(), number(), number());
        let time = |millis: Option<i64>| millis.filter(|at| *at != i64::MIN).map(Timestamp::from_millis);
        Self {
            offset: position.offset,
            file_start: time(start),
            note: Note::from_rank(note),
            last_at: time(last),
            answered: position.answered,
            last_response: parts.next().and_then(LastResponse::from_text),
        }
    }
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

/// A transcript while it is read: what its lines tell, and what later lines may refer to.
#[derive(Debug)]
struct TranscriptReading {
    delta: LogDelta,
    /// How far it is.
    progress: Progress,
    unfinished: Unfinished,
    /// What the lines say of the session of the last line.
    facts: SessionFacts,
    /// The session of the last line.
    facts_of: Option<SessionId>,
    /// Other sessions that lines of it name.
    facts_of_others: Vec<(SessionId, SessionFacts)>,
    /// Up to which time the session's lines are known to be copies, by their marks.
    copied_until: Option<Timestamp>,
    /// The key of the line that was read last, if it shows a response.
    line_key: Option<MessageId>,
    /// Whose the last entry is, if not the file's own.
    entries_of: Option<AgentId>,
    /// Calls that make an item of the list of tasks, and have no result yet.
    task_creates: HashSet<ToolUseId>,
    /// The skill that the last response has started.
    last_skill_call: Option<ToolUseId>,
}

impl TranscriptReading {
    /// Nothing yet, of a file that is read from `progress.offset` on.
    #[must_use]
    fn new(progress: Progress) -> Self {
        Self {
            delta: LogDelta { start: progress.offset, ..LogDelta::default() },
            progress,
            unfinished: Unfinished::default(),
            facts: SessionFacts::default(),
            facts_of: None,
            facts_of_others: Vec::new(),
            copied_until: None,
            line_key: None,
            entries_of: None,
            task_creates: HashSet::new(),
            last_skill_call: None,
        }
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
}

/// The reader of Claude Code's transcripts.
#[derive(Debug, Clone, Copy)]
pub struct Transcripts;

impl LogReader for Transcripts {
    fn client(&self) -> Client {
        Client::ClaudeCode
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        match env.place("CLAUDE_CONFIG_DIR") {
            Some(folder) => vec![folder.join("projects")],
            None => env
                .home()
                .map(|home| vec![home.join(".claude/projects"), home.join(".config/claude/projects")])
                .unwrap_or_default(),
        }
    }

    fn reads_content(&self) -> bool {
        true
    }

    fn find(&self, root: &Path) -> FoundLogs {
        paths::find(root)
    }

    fn is_log(&self, path: &Path) -> bool {
        paths::is_transcript(path)
    }

    fn find_main(&self, folder: &Path, session: &SessionId) -> Option<PathBuf> {
        paths::find_main(folder, session)
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        paths::session_of_path(main)
    }

    fn agents_folder(&self, main: &Path) -> PathBuf {
        paths::agents_folder(main)
    }

    fn other_logs(&self, main: &Path, session: &SessionId, version: Option<&str>) -> Vec<LogFile> {
        paths::agent_files(main, session, may_have_flat_agents(version))
    }

    fn agent_log(&self, main: &Path, session: &SessionId, agent: &AgentId, quick: bool) -> Option<LogFile> {
        let usual = paths::usual_agent_file(main, session, agent);
        usual.or_else(|| if quick { None } else { paths::deeper_agent_file(main, session, agent) })
    }

    fn agent_meta(&self, log: &LogFile) -> AgentMeta {
        paths::agent_meta(log)
    }

    fn read(&self, buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        let before = from.position.as_ref().map(Progress::of);
        let known =
            from.position.as_ref().map(|known| (known.offset, Fingerprint::from_bits(known.fingerprint)));
        let mut lines = Lines::open(buffer, path, known)?;
        // A file written anew is read from its start, and what was known of it is void.
        let resumed = before.filter(|progress| progress.offset == lines.start());
        let was_fork = resumed.as_ref().is_some_and(|before| before.note == Note::Copies);
        let mut reading =
            TranscriptReading::new(Progress { offset: lines.start(), ..resumed.unwrap_or_default() });
        let chunk = if from.content.is_some() { CONTENT_CHUNK_BYTES } else { CHUNK_BYTES };
        let mut repeated = json::RepeatedFields::default();
        while let Some(line) = lines.next_line()? {
            reading.delta.lines += 1;
            wire::add_line(line, from, &mut repeated, &mut reading);
            if lines.offset() - lines.start() >= chunk {
                reading.delta.has_more = true;
                break;
            }
        }
        reading.delta.has_more |= lines.is_within_line();
        reading.progress.offset = lines.offset();
        let fingerprint = lines.fingerprint()?;
        Ok(reading.finish(from, fingerprint, was_fork))
    }

    fn describe_foreign(&self, path: &Path) -> String {
        foreign::describe(path).to_owned()
    }

    fn is_beside_logs(&self, path: &Path) -> bool {
        path.components().any(|part| part.as_os_str() == OsStr::new("subagents"))
    }
}

impl TranscriptReading {
    /// What all lines have told. `was_fork` says whether the file was known before to begin with copies.
    fn finish(self, from: &ReadFrom, fingerprint: Fingerprint, was_fork: bool) -> LogDelta {
        let Self {
            mut delta, progress, unfinished, mut facts, facts_of, facts_of_others, copied_until, ..
        } = self;
        unfinished.count(&mut delta.responses, from.count);
        let file_start = progress.file_start;
        let own_start = file_start.filter(|_| progress.note == Note::Copies);
        let is_older = |at: Option<Timestamp>| at.zip(own_start).is_some_and(|(at, start)| at < start);
        for response in &mut delta.responses {
            response.file_start = file_start;
            response.copied |= response.source == RecordSource::Main && is_older(response.at);
        }
        // What a fork has copied is told by its parent's file.
        let is_copy = |at: Option<Timestamp>| {
            is_older(at) || at.zip(copied_until).is_some_and(|(at, until)| at <= until)
        };
        delta.prompts.retain(|prompt| !is_copy(prompt.at));
        delta.compactions.retain(|compaction| !is_copy(compaction.at));
        delta.client_totals.retain(|total| !is_older(total.at));
        if let Some(start) = own_start {
            for time in [&mut facts.first_at, &mut facts.last_at] {
                *time = time.map(|at| at.max(start));
            }
        }
        if from.agent.is_none() {
            let newly = own_start.filter(|_| !was_fork);
            delta.copied_before.extend(newly.map(|at| CopiedBefore { at, has_responses: true }));
            // Prompts have no marks: those of an earlier reading can be from before a response that has.
            let after = |until: Timestamp| Timestamp::from_millis(until.as_millis().saturating_add(1));
            let marked = copied_until.filter(|_| delta.start > 0).map(after);
            delta.copied_before.extend(marked.map(|at| CopiedBefore { at, has_responses: false }));
        }
        let others = facts_of_others.into_iter().map(|(session, facts)| (Some(session), facts));
        delta.facts = others.chain([(facts_of, facts)]).collect();
        delta.file_start = file_start;
        delta.has_content = from.content.is_some();
        delta.position = progress.position(fingerprint);
        delta
    }
}

/// Whether the session's client may be one that lays subagents' transcripts beside the main one. Looking there
/// costs a look into every project file, so it is done only where it can find something.
fn may_have_flat_agents(version: Option<&str>) -> bool {
    version.is_some_and(|version| client_version(version) < NO_FLAT_AGENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_clients_may_have_flat_agents() {
        assert!(may_have_flat_agents(Some("1.0.17")));
        assert!(may_have_flat_agents(Some("2.1.19")));
        assert!(!may_have_flat_agents(Some("2.1.330")));
        assert!(!may_have_flat_agents(Some("3.0.0")));
        assert!(!may_have_flat_agents(None));
    }

    #[test]
    fn progress_survives_the_ledger() {
        let last_response = LastResponse::from_text("5 -9223372036854775808 3 10 20 an id with spaces");
        assert!(last_response.is_some());
        let whole = Progress {
            offset: 7,
            file_start: Some(Timestamp::from_millis(-1)),
            note: Note::Older,
            last_at: Some(Timestamp::from_millis(12)),
            answered: true,
            last_response,
        };
        for progress in [Progress::default(), whole.clone(), Progress { last_response: None, ..whole }] {
            let position = progress.position(Fingerprint::from_bits(9));
            assert_eq!((Progress::of(&position), position.fingerprint), (progress, 9));
        }
        let odd = LogPosition { reader_state: "what is this".to_owned(), ..LogPosition::default() };
        assert_eq!(Progress::of(&odd), Progress::default());
    }
}
