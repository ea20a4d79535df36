//! The files of versions before the database: `storage/session/<project>/<session>.json`, and in `storage/message/<session>` a
//! file for each message. A log is a session's file with its messages.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::logged::{LoggedMessage, LoggedSession, MessageReading, Parts, millis};
use crate::clients::line_log::LineKind;
use crate::clients::{LogFile, ReadError, ReadFrom};
use crate::domain::{AgentId, CompactionTrigger, LogDelta, LogPosition, SessionId, Timestamp};
use crate::json::{Object, lossy};
use crate::regular;

/// The longest file of a session or message, in bytes; a message's has the files' changes in it.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// How many messages are read before they are stored.
const FILES_AT_ONCE: usize = 8_192;
/// So many of the last messages may still be written to.
const UNFINISHED: usize = 8;
/// A subagent's subagents go no deeper.
const MAX_DEPTH: usize = 64;

/// Where a reading goes on. Its names are short, since it is kept with the log.
#[derive(Debug, Default, Serialize, Deserialize)]
struct FileCursor {
    /// The session.
    #[serde(rename = "h")]
    home: Option<SessionId>,
    /// The last message before those that may still be written to.
    #[serde(rename = "m")]
    settled: String,
    /// How the log looked: its size and its time of change, in milliseconds.
    #[serde(rename = "l")]
    look: (u64, Option<i64>),
}

/// Whether a folder is the one that holds sessions and messages.
pub(super) fn is_storage(folder: &Path) -> bool {
    folder.file_name() == Some(OsStr::new("storage"))
}

/// Whether a file lies where sessions' files do.
pub(super) fn is_session_file(path: &Path) -> bool {
    let is_json = path.extension() == Some(OsStr::new("json"));
    is_json && storage_of(path).is_some()
}

/// The folder that a session's file lies in: `storage/session/<project>/<session>.json`.
fn storage_of(path: &Path) -> Option<&Path> {
    let sessions = path.parent()?.parent()?;
    let storage = sessions.parent()?;
    (sessions.file_name() == Some(OsStr::new("session")) && is_storage(storage)).then_some(storage)
}

/// What a session's file says.
struct SessionFile {
    id: String,
    parent: Option<String>,
    created: Option<i64>,
    facts: crate::domain::SessionFacts,
}

impl SessionFile {
    /// `None` if it says nothing of a session.
    fn read(path: &Path) -> Result<Option<Self>, ReadError> {
        with_file(path, |object| {
            let text = |name: &str| object.text(name).unwrap_or_default().into_owned();
            let time = object.object("time")?;
            Some(Self {
                id: object.text("id")?.into_owned(),
                parent: object.text("parentID").map(std::borrow::Cow::into_owned),
                created: millis(&time, "created"),
                facts: LoggedSession::facts(&text("directory"), &text("version"), &text("title")),
            })
        })
        .map(Option::flatten)
    }

    /// The session with what it belongs to; a parent's file lies beside its own.
    fn session(self, path: &Path) -> Option<LoggedSession> {
        let Self { id, mut parent, created, mut facts } = self;
        let mut root = id.clone();
        for _ in 0..MAX_DEPTH {
            let Some(above) = parent.take() else { break };
            // An ID that leads out of the folder is none.
            let file = path.with_file_name(format!("{above}.json"));
            if file.parent() == path.parent()
                && let Ok(Some(found)) = Self::read(&file)
            {
                (parent, facts) = (found.parent, found.facts);
            }
            root = above;
        }
        let agent = if root == id { None } else { AgentId::new(&id) };
        Some(LoggedSession { root: SessionId::new(&root)?, agent, created, facts })
    }
}

/// What is made of the object that a file holds; `None` if it holds none.
fn with_file<T>(path: &Path, then: impl FnOnce(&Object<'_>) -> T) -> Result<Option<T>, ReadError> {
    let bytes = regular::read(path, MAX_FILE_BYTES)
        .map_err(|source| ReadError { path: path.to_path_buf(), source })?;
    let text = lossy(&bytes);
    Ok(Object::parse(&text).ok().map(|object| then(&object)))
}

/// The folder of a session's messages; `None` if there is none.
fn messages_folder(path: &Path) -> Option<PathBuf> {
    let named = SessionFile::read(path).ok().flatten()?.id;
    let messages = storage_of(path)?.join("message");
    let folder = messages.join(named);
    (folder.parent() == Some(messages.as_path()) && folder.is_dir()).then_some(folder)
}

/// The names of a session's messages, the oldest first: they begin with the time.
fn names_of(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Size and time of change of a session's file, of the folder of its messages, and of the last ones: older ones stay as they are.
pub(super) fn look_at(path: &Path) -> (u64, Option<Timestamp>) {
    let look = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        Some((size, metadata.modified().ok().map(Timestamp::from_system_time)))
    };
    let Some(mut all) = look(path) else { return (0, None) };
    let Some(folder) = messages_folder(path) else { return all };
    let names = names_of(&folder).unwrap_or_default();
    let last = names.iter().rev().take(UNFINISHED).map(|name| folder.join(name));
    for (size, changed) in last.chain([folder.clone()]).filter_map(|path| look(&path)) {
        all = (all.0 + size, all.1.max(changed));
    }
    // Each message has a size, so that more of them are more.
    (all.0 + names.len() as u64, all.1)
}

/// Whether a session has no messages yet.
pub(super) fn is_empty(path: &Path) -> bool {
    matches!(SessionFile::read(path), Ok(Some(_))) && messages_folder(path).is_none()
}

/// The logs of a session's subagents, which lie beside its own.
pub(super) fn subagents(main: &Path, session: &SessionId) -> Vec<LogFile> {
    let Some(folder) = main.parent() else { return Vec::new() };
    let names = names_of(folder).unwrap_or_default();
    let of_session = |name: String| {
        let path = folder.join(name);
        let found = SessionFile::read(&path).ok().flatten()?.session(&path)?;
        let agent = found.agent.filter(|_| found.root == *session)?;
        Some(LogFile { path, session: session.clone(), agent: Some(agent) })
    };
    names.into_iter().filter_map(of_session).collect()
}

/// Reads what a session has new.
pub(super) fn read(path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
    let look = look_at(path);
    let known: Option<FileCursor> =
        from.position.as_ref().and_then(|position| serde_json::from_str(&position.reader_state).ok());
    let start = if known.is_some() { from.position.as_ref().map_or(0, |known| known.offset) } else { 0 };
    let session = SessionFile::read(path)?.and_then(|file| file.session(path));
    let Some(session) = session else {
        let position = LogPosition { offset: look.0, ..LogPosition::default() };
        return Ok(LogDelta { start, skipped_lines: 1, position, ..LogDelta::default() });
    };
    let mut reading = MessageReading::default();
    let seen = (look.0, look.1.map(Timestamp::as_millis));
    let answered = from.position.as_ref().is_some_and(|position| position.answered);
    let is_same = known.as_ref().is_some_and(|known| known.look == seen);
    let (settled, before) = known.map(|known| (known.settled, known.look.1)).unwrap_or_default();
    let folder = messages_folder(path);
    let names = folder.as_deref().map(names_of).transpose();
    let names = names.map_err(|source| ReadError { path: path.to_path_buf(), source })?.unwrap_or_default();
    let new: Vec<&String> = names.iter().filter(|name| !is_same && **name > settled).collect();
    let has_more = new.len() > FILES_AT_ONCE;
    let look_at_end = if has_more { (0, before) } else { seen };
    let new = &new[..new.len().min(FILES_AT_ONCE)];
    for name in new {
        let file = folder.as_deref().unwrap_or(path).join(name);
        let kind = with_file(&file, |data| {
            let id = data.text("id").unwrap_or_default();
            let created = data.object("time").and_then(|time| millis(&time, "created"));
            let Some(created) = created else { return LineKind::Unknown };
            let message = LoggedMessage { id: &id, session: &session, created, data };
            match reading.add(&message, &mut NoParts) {
                Ok(kind) => kind,
                Err(never) => match never {},
            }
        })?;
        reading.delta.lines += 1;
        match kind {
            Some(LineKind::Known) => reading.delta.is_understood = true,
            // A file that is being written is whole when it is looked at the next time.
            None => {}
            // The last ones are read again, and are counted as often as they change.
            Some(_) => reading.delta.unknown_lines += u64::from(changed_at(&file) > before),
        }
    }
    let last_settled = match has_more {
        true => new.last().map(|name| (*name).clone()),
        false => names.iter().rev().nth(UNFINISHED).cloned(),
    };
    let cursor = FileCursor {
        home: Some(session.root.clone()),
        settled: last_settled.unwrap_or(settled),
        look: look_at_end,
    };
    let position = LogPosition {
        offset: if has_more { look.0.saturating_sub(1) } else { look.0 },
        answered: if new.is_empty() { answered } else { reading.is_answered },
        reader_state: serde_json::to_string(&cursor).unwrap_or_default(),
        fingerprint: 0,
    };
    let session = Some(session.root);
    let is_understood = reading.delta.is_understood || is_same;
    Ok(LogDelta { start, has_sessions: true, session, is_understood, has_more, position, ..reading.delta })
}

/// When a file was changed, in milliseconds.
fn changed_at(file: &Path) -> Option<i64> {
    let changed = std::fs::metadata(file).ok()?.modified().ok()?;
    Some(Timestamp::from_system_time(changed).as_millis())
}

/// Older versions' parts are not read.
struct NoParts;

impl Parts for NoParts {
    type Fault = Infallible;

    fn is_users(&mut self, _message: &str) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn trigger(&mut self, _message: &str) -> Result<CompactionTrigger, Infallible> {
        Ok(CompactionTrigger::Unknown)
    }
}
