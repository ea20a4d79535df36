//! Logs of JSON lines whose reader needs to know a little of the lines before: what the readers of such logs share.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Buffer, Fingerprint, FoundLogs, Lines, LogFile, ReadError, ReadFrom};
use crate::domain::{
    AgentId, CompactionRecord, LineTag, LogDelta, LogPosition, LoggedRun, MessageId, ModelId, Modifiers,
    PromptRecord, RecordSource, ResponseRecord, SessionFacts, SessionId, Timestamp, Usage, clean_name,
};
use crate::json::{self, Object};
use crate::regular;

/// How much is read before it is stored, in bytes.
const CHUNK_BYTES: u64 = 8 << 20;
/// How many records are read before they are stored; a line can be short.
const CHUNK_RECORDS: usize = 16_384;
/// How many folders below the one that is given are searched for logs.
const MAX_DEPTH: usize = 12;
/// Longest ID that is kept for later lines, in bytes.
const MAX_KEPT_ID: usize = 100;
/// Longest name of a branch that is kept, in characters.
pub(super) const MAX_BRANCH_CHARS: usize = 200;
/// Longest path of a project that is kept, in characters.
pub(super) const MAX_PATH_CHARS: usize = 1_000;

/// What a line is to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    /// One of the client's records.
    Known,
    /// A record that says what was used, in a way that the reader does not know.
    Unknown,
    /// A record of a kind that the reader has no use for, as far as it knows: what it does not know of can say what was used.
    Other,
    /// No record of this client.
    Foreign,
}

/// A log while it is read by a reader that keeps `S`.
#[derive(Debug)]
pub(super) struct LineLog<S> {
    /// What its lines tell.
    pub(super) delta: LogDelta,
    /// What the reader keeps for the lines that follow.
    pub(super) state: S,
    /// What the lines say of the session.
    pub(super) facts: SessionFacts,
    /// Whether nothing has followed the last answer that another one must follow.
    pub(super) is_answered: bool,
}

/// One answer of the API, as a line tells it.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The key of the answer: the same in every file that repeats it, and no other answer's. A provider's ID alone is not enough,
    /// since some servers give the same one again.
    pub(super) id: &'a str,
    /// The session.
    pub(super) session: &'a SessionId,
    /// The subagent; `None` for the main conversation.
    pub(super) agent: Option<AgentId>,
    /// The model that answered.
    pub(super) model: Option<&'a str>,
    /// The time of the line.
    pub(super) at: Option<Timestamp>,
    /// What was used.
    pub(super) usage: Usage,
    /// The branch that was checked out.
    pub(super) branch: Option<String>,
    /// Whether it is known to be a fork's copy of another session's.
    pub(super) is_copy: bool,
}

impl<S> LineLog<S> {
    /// Adds an answer. One without an id that can be kept is a line that is not understood.
    pub(super) fn add_answer(&mut self, answer: Answer<'_>) -> LineKind {
        let Some(record) = record(answer, self.delta.file_start) else { return LineKind::Unknown };
        if record.agent.is_none() && !record.copied && record.model.is_some() {
            self.facts.model.clone_from(&record.model);
        }
        self.is_answered = true;
        self.delta.responses.push(record);
        LineKind::Known
    }

    /// Notes a subagent that has no log of its own.
    pub(super) fn note_inner_run(&mut self, id: &AgentId, agent_type: Option<String>, at: Option<Timestamp>) {
        let span = at.map(|at| (at, at));
        match self.delta.inner_runs.iter_mut().find(|run| run.id == *id) {
            Some(run) => {
                run.agent_type = run.agent_type.take().or(agent_type);
                run.logged = match (run.logged, span) {
                    (Some((first, last)), Some((at, _))) => Some((first.min(at), last.max(at))),
                    (known, new) => known.or(new),
                };
            }
            None => self.delta.inner_runs.push(LoggedRun {
                id: id.clone(),
                agent_type,
                session: None,
                logged: span,
            }),
        }
    }

    /// Adds a turn's beginning.
    pub(super) fn add_prompt(&mut self, prompt: PromptRecord) {
        if is_id(&prompt.uuid) {
            self.delta.prompts.push(prompt);
        }
    }

    /// Adds a compaction.
    pub(super) fn add_compaction(&mut self, compaction: CompactionRecord) {
        if is_id(&compaction.uuid) {
            self.delta.compactions.push(compaction);
        }
    }

    /// Notes the time of a line.
    pub(super) fn note_time(&mut self, at: Option<Timestamp>) {
        self.facts.first_at = self.facts.first_at.or(at);
        self.facts.last_at = self.facts.last_at.max(at);
        self.delta.file_start = self.delta.file_start.or(at);
    }
}

/// Whether a text can be an ID: what a log says in its place is kept as it is.
fn is_id(text: &str) -> bool {
    MessageId::new(text).is_some()
}

/// An ID as a reader keeps it for later lines; `None` of a text that cannot be one.
pub(super) fn id(object: &Object<'_>, name: &str) -> Option<String> {
    object.text(name).filter(|text| text.len() <= MAX_KEPT_ID && is_id(text)).map(Cow::into_owned)
}

/// An answer as it is stored; `None` if its id cannot be one. The id says all of what it is, in whatever file it stands.
pub(super) fn record(answer: Answer<'_>, file_start: Option<Timestamp>) -> Option<ResponseRecord> {
    let Answer { id, session, agent, model, at, usage, branch, is_copy } = answer;
    Some(ResponseRecord {
        id: MessageId::new(id)?,
        request: None,
        line: Some(LineTag::of(id.as_bytes())),
        session: session.clone(),
        file_start,
        copied: is_copy,
        source: if agent.is_some() { RecordSource::Sidechain } else { RecordSource::Main },
        agent,
        model: model.and_then(ModelId::new),
        at,
        usage,
        iterations: None,
        complete: true,
        skill: None,
        branch,
        modifiers: Modifiers::default(),
        content_tokens: 0,
    })
}

/// What of a log is kept between two readings.
#[derive(Default, Serialize, Deserialize)]
struct SavedState<S> {
    /// Time of the first dated line, in milliseconds.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    start: Option<i64>,
    /// The session that the log says it belongs to.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    /// The subagent that the log says it is of, and its type.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    run: Option<(AgentId, Option<String>)>,
    #[serde(rename = "s")]
    state: S,
}

/// Reads what a log has new: `add` is given the state before a line, and the line.
///
/// # Errors
/// If the file cannot be opened or read.
pub(super) fn read<S: Serialize + DeserializeOwned + Default>(
    buffer: &mut Buffer,
    path: &Path,
    from: &ReadFrom,
    mut add: impl FnMut(&mut LineLog<S>, &[u8]) -> LineKind,
) -> Result<LogDelta, ReadError> {
    // What was kept in another form is of no use, and without it a log must be read from its start.
    let known = from.position.as_ref().and_then(|position| {
        let saved: SavedState<S> = serde_json::from_str(&position.reader_state).ok()?;
        Some((position, saved))
    });
    let place =
        known.as_ref().map(|(position, _)| (position.offset, Fingerprint::from_bits(position.fingerprint)));
    let mut lines = Lines::open(buffer, path, place)?;
    let known = known.filter(|(position, _)| position.offset == lines.start());
    let is_answered = known.as_ref().is_some_and(|(position, _)| position.answered);
    let SavedState { start, session, run, state } = known.map(|(_, saved)| saved).unwrap_or_default();
    let delta = LogDelta {
        start: lines.start(),
        file_start: start.map(Timestamp::from_millis),
        session,
        run: run.map(|(id, agent_type)| LoggedRun { id, agent_type, session: None, logged: None }),
        has_content: from.content.is_some(),
        ..LogDelta::default()
    };
    let mut log = LineLog { delta, state, facts: SessionFacts::default(), is_answered };
    while let Some(line) = lines.next_whole_line()? {
        log.delta.lines += 1;
        match add(&mut log, line) {
            LineKind::Known => log.delta.is_understood = true,
            LineKind::Other if !tells_usage(line) => log.delta.is_understood = true,
            LineKind::Other => log.delta.unknown_lines += 1,
            LineKind::Unknown => log.delta.unknown_lines += 1,
            LineKind::Foreign => log.delta.skipped_lines += u64::from(!line.trim_ascii().is_empty()),
        }
        let records = log.delta.responses.len() + log.delta.prompts.len() + log.delta.compactions.len();
        if lines.offset() - lines.start() >= CHUNK_BYTES || records >= CHUNK_RECORDS {
            log.delta.has_more = true;
            break;
        }
    }
    let LineLog { mut delta, state, facts, is_answered } = log;
    delta.has_more |= lines.is_within_line();
    delta.unknown_lines += lines.too_long();
    let saved = SavedState {
        start: delta.file_start.map(Timestamp::as_millis),
        session: delta.session.clone(),
        run: delta.run.clone().map(|run| (run.id, run.agent_type)),
        state,
    };
    delta.facts = vec![(delta.session.clone(), facts)];
    delta.position = LogPosition {
        offset: lines.offset(),
        answered: is_answered,
        reader_state: serde_json::to_string(&saved).unwrap_or_default(),
        fingerprint: 0,
    };
    delta.position.fingerprint = lines.fingerprint()?.to_bits();
    Ok(delta)
}

/// Whether a line has a member that is named as clients name counts of tokens. Within a text its quotes would be escaped.
fn tells_usage(line: &[u8]) -> bool {
    const ENDS: [&[u8]; 5] = [b"okens\":", b"oken_count\":", b"okenCount\":", b"sage\":{", b"token_usage\":"];
    ENDS.iter().any(|end| memchr::memmem::find(line, end).is_some())
}

/// A line as an object; `None` if it is none.
pub(super) fn with_object<T>(line: &[u8], then: impl FnOnce(&Object<'_>) -> T) -> Option<T> {
    let text = json::lossy(line);
    Object::parse(&text).ok().map(|object| then(&object))
}

/// A time as text.
pub(super) fn time(object: &Object<'_>, name: &str) -> Option<Timestamp> {
    Timestamp::parse(&object.text(name)?)
}

/// A text as it is kept, at most `most` characters of it.
pub(super) fn name(object: &Object<'_>, name: &str, most: usize) -> Option<String> {
    clean_name(&object.text(name)?, most)
}

/// The path of a project, as it is kept.
pub(super) fn project(object: &Object<'_>, name: &str) -> Option<String> {
    clean_name(&object.text(name)?, MAX_PATH_CHARS)
}

/// What was used where the client's count of input includes what was read from the cache and what was written to it.
pub(super) fn usage_of_whole_input(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Usage {
    Usage {
        input: input.saturating_sub(cache_read).saturating_sub(cache_write),
        output,
        cache_read,
        cache_write_5m: cache_write,
        ..Usage::default()
    }
}

/// All files below `root` that `log_of` takes for logs, in the order of their paths; `root` can be a file, too. Links are not
/// followed: none of these clients makes any.
pub(super) fn find(root: &Path, log_of: &dyn Fn(PathBuf) -> Option<LogFile>) -> FoundLogs {
    find_within(root, log_of, &|_| false)
}

/// All files below `root` that `log_of` takes for logs, in the order of their paths, but in the folders that `is_left_out` names.
pub(super) fn find_within(
    root: &Path,
    log_of: &dyn Fn(PathBuf) -> Option<LogFile>,
    is_left_out: &dyn Fn(&Path) -> bool,
) -> FoundLogs {
    let mut found = FoundLogs::default();
    match std::fs::metadata(root) {
        Ok(metadata) if metadata.is_file() => found.logs.extend(log_of(root.to_path_buf())),
        Ok(metadata) if metadata.is_dir() => search(root, MAX_DEPTH, log_of, is_left_out, &mut found),
        _ => {}
    }
    found.logs.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn search(
    folder: &Path,
    depth: usize,
    log_of: &dyn Fn(PathBuf) -> Option<LogFile>,
    is_left_out: &dyn Fn(&Path) -> bool,
    found: &mut FoundLogs,
) {
    let unread = |source| ReadError { path: folder.to_path_buf(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) => return found.unread.push(unread(source)),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(source) => return found.unread.push(unread(source)),
        };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 && !is_left_out(&entry.path()) => {
                search(&entry.path(), depth - 1, log_of, is_left_out, found);
            }
            Ok(kind) if kind.is_file() => found.logs.extend(log_of(entry.path())),
            _ => {}
        }
    }
}

/// The first line of a file, or as much of it as its first `most` bytes have.
pub(super) fn beginning(path: &Path, most: usize) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let file = regular::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    let end = memchr::memchr(b'\n', &bytes).unwrap_or(bytes.len());
    bytes.truncate(end);
    Some(bytes)
}
