//! What transcripts add to the contexts of their conversations, as it was read.

use std::ops::{Deref, DerefMut};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Logs;
use super::meta::{self, HASH_KEY, LINES_OF, LINES_OF_END};
use super::writer::{SessionRow, signed, unsigned};
use super::{Ledger, StoreError, calibrations};
use crate::domain::{
    AgentId, Client, ContextEntry, LogDelta, TaskChange, TaskChangeKind, Timestamp, ToolUseId,
};

/// What is done with content that was only imported.
pub(super) const RECORD: &str = "record the contexts";

/// So many changes of a session's list of tasks are looked at, so that the memory for them has a bound.
const MOST_CHANGES: i64 = 1 << 13;

/// A transcript of a session, and how much of its content is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTranscript {
    /// The session that has responses in it.
    pub session: SessionRow,
    /// The session that the file is kept for. What it says of tasks is that session's.
    pub home: SessionRow,
    /// The ID of that session.
    pub session_id: String,
    /// The client whose log it is.
    pub client: Client,
    /// The file.
    pub path: String,
    /// The run whose file it is.
    pub agent: Option<AgentId>,
    /// Up to where its responses were read, in bytes.
    pub offset: u64,
    /// Up to where its content was.
    pub content_offset: u64,
}

/// Where a reading comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContentSource<'a> {
    pub(super) session: SessionRow,
    pub(super) path: &'a str,
    /// Whether it is a main transcript: a session begins with it.
    pub(super) is_main: bool,
    /// Whether it was read before, so that it has taught already.
    pub(super) was_known: bool,
}

/// Notes that a file has responses of another session than the one that it is kept for.
pub(super) fn note_lines_of(conn: &Connection, session: SessionRow, path: &str) -> rusqlite::Result<()> {
    let key = meta::lines_of(session, path);
    if key.get(conn)?.is_some() { Ok(()) } else { key.put(conn, &session.0) }
}

/// Notes the same of a file that was kept for another session when its beginning was read.
pub(super) fn note_earlier_session(
    conn: &Connection,
    session: SessionRow,
    path: &str,
) -> rusqlite::Result<()> {
    let earlier: Option<i64> = conn
        .prepare_cached("SELECT session FROM transcripts WHERE path = ?1 AND session != ?2")?
        .query_row(params![path, session.0], |row| row.get(0))
        .optional()?;
    earlier.map_or(Ok(()), |earlier| note_lines_of(conn, SessionRow(earlier), path))
}

/// Of a session that has no responses yet, the other one whose responses its file has.
pub(super) fn first_to_have_lines_of(
    conn: &Connection,
    session: SessionRow,
    path: &str,
) -> rusqlite::Result<Option<SessionRow>> {
    conn.prepare_cached(
        "SELECT CAST(value AS INTEGER) FROM meta
         WHERE name >= ?3 AND name < ?4 AND substr(name, -length(?2) - 1) = ':' || ?2
           AND CAST(value AS INTEGER) != ?1 AND NOT EXISTS (SELECT 1 FROM responses WHERE session = ?1)
         LIMIT 1",
    )?
    .query_row(params![session.0, path, LINES_OF, LINES_OF_END], |row| row.get(0).map(SessionRow))
    .optional()
}

/// Whether anything of a transcript's content is kept.
pub(super) fn is_known(conn: &Connection, path: &str) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM context_parts WHERE path = ?1")?.exists([path])
}

/// Adds what a reading tells. A reading that does not go on where the last one ended is dropped: a view reads the file
/// anew.
pub(super) fn record(conn: &Connection, source: ContentSource<'_>, delta: &LogDelta) -> rusqlite::Result<()> {
    let ContentSource { session, path, is_main, was_known } = source;
    for change in &delta.task_changes {
        record_task_change(conn, session, change)?;
    }
    let goes_on = if delta.start == 0 {
        conn.prepare_cached("DELETE FROM context_parts WHERE path = ?1")?.execute([path])?;
        true
    } else {
        conn.prepare_cached("SELECT 1 FROM context_parts WHERE path = ?1 AND end_offset = ?2")?
            .exists(params![path, signed(delta.start)])?
    };
    if goes_on && delta.position.offset > delta.start {
        // Of two processes that have read the same lines at once the first has learned from them.
        let was_told = was_known
            || conn
                .prepare_cached("SELECT 1 FROM context_parts WHERE path = ?1 AND start_offset = ?2")?
                .exists(params![path, signed(delta.start)])?;
        if !was_told {
            let news = calibrations::News {
                session,
                entries: &delta.entries,
                messages: &delta.responses,
                is_start: is_main && delta.start == 0,
            };
            let before = if delta.start == 0 { Vec::new() } else { last_response(conn, path)? };
            calibrations::learn(conn, news, &before)?;
        }
        let entries = serde_json::to_string(&delta.entries)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        conn.prepare_cached("INSERT OR REPLACE INTO context_parts VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![path, signed(delta.start), signed(delta.position.offset), entries])?;
    }
    Ok(())
}

/// What a transcript's own conversation ends with, from the first entry of its last response on. It looks back over a
/// few readings, so it costs no more when a session is long; a response in more pieces than that teaches nothing.
fn last_response(conn: &Connection, path: &str) -> rusqlite::Result<Vec<ContextEntry>> {
    const MOST_READINGS: usize = 8;
    // What was read with much else would take a hook too long to look through.
    const LONGEST_BYTES: usize = 64 << 10;
    const SQL: &str = "SELECT entries FROM context_parts WHERE path = ?1 ORDER BY start_offset DESC";
    let mut query = conn.prepare_cached(SQL)?;
    let mut rows = query.query([path])?;
    let mut found: Vec<ContextEntry> = Vec::new();
    let mut readings = 0;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().unwrap_or_default();
        if text.len() > LONGEST_BYTES {
            break;
        }
        let mut part = of_the_file(serde_json::from_str(text).unwrap_or_default());
        part.append(&mut found);
        found = part;
        let mut responses = found.iter().filter_map(calibrations::response_of);
        let last = responses.next_back();
        let is_whole = responses.any(|id| Some(id) != last);
        readings += 1;
        if is_whole || readings == MOST_READINGS {
            break;
        }
    }
    let Some(last) = found.iter().rev().find_map(calibrations::response_of) else { return Ok(Vec::new()) };
    let start = found.iter().position(|entry| calibrations::response_of(entry) == Some(last)).unwrap_or(0);
    Ok(found.split_off(start))
}

/// Entries without those of other conversations in the same file.
fn of_the_file(entries: Vec<ContextEntry>) -> Vec<ContextEntry> {
    let mut is_own = true;
    let mut own = Vec::with_capacity(entries.len());
    for entry in entries {
        if let ContextEntry::Of { agent } = &entry {
            is_own = agent.is_none();
        } else if is_own {
            own.push(entry);
        }
    }
    own
}

/// Stores a change of the list of tasks. Payload and transcript tell of the same one; the transcript knows its time.
fn record_task_change(conn: &Connection, session: SessionRow, change: &TaskChange) -> rusqlite::Result<()> {
    let kind = serde_json::to_string(&change.kind)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    conn.prepare_cached("INSERT OR REPLACE INTO task_changes VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        session.0,
        change.call.as_str(),
        change.at.map(Timestamp::as_millis),
        kind
    ])?;
    Ok(())
}

/// Stores a change as a payload tells of it, unless it is known already.
pub(super) fn note_task_change(
    conn: &Connection,
    session: SessionRow,
    change: &TaskChange,
) -> rusqlite::Result<()> {
    let is_known = conn
        .prepare_cached("SELECT 1 FROM task_changes WHERE session = ?1 AND tool_use_id = ?2")?
        .exists(params![session.0, change.call.as_str()])?;
    if is_known {
        return Ok(());
    }
    record_task_change(conn, session, change)?;
    super::allocations::touch(conn, session)
}

/// What costs of a file's sessions are allocated to must be worked out anew; nothing of what they used has changed.
fn void_allocations_of(conn: &Connection, file: &SessionTranscript) -> rusqlite::Result<()> {
    super::allocations::void(conn, file.home)?;
    if file.session == file.home { Ok(()) } else { super::allocations::void(conn, file.session) }
}

impl<L: Deref<Target = Ledger>> Logs<L> {
    /// The transcripts of sessions, of all or of one: its own files, and others that hold responses of it.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_transcripts(
        &self,
        session: Option<SessionRow>,
    ) -> Result<Vec<SessionTranscript>, StoreError> {
        // Two statements: one that asks whether a session is given reads every row.
        let (of_files, of_lines) = match session {
            Some(_) => ("WHERE session = ?2", "m.name >= ?1 || ?2 || ':' AND m.name < ?1 || ?2 || ';'"),
            None => ("", "m.name >= ?1 AND m.name < ?2"),
        };
        let sql = format!(
            "SELECT t.session, t.path, t.agent_id, t.offset, t.home,
               (SELECT max(end_offset) FROM context_parts p WHERE p.path = t.path), s.session_id, s.client
             FROM (SELECT session, path, agent_id, offset, session AS home FROM transcripts {of_files}
               UNION ALL
               SELECT m.value, f.path, f.agent_id, f.offset, f.session FROM meta m
               JOIN transcripts f ON f.path = substr(m.name, length(?1 || m.value) + 2) AND f.session != m.value
               WHERE {of_lines}) t
             JOIN sessions s ON s.id = t.home
             ORDER BY t.session, t.path"
        );
        let second =
            session.map_or_else(|| Value::from(LINES_OF_END.to_owned()), |session| Value::from(session.0));
        let values = [Value::from(LINES_OF.to_owned()), second];
        self.0.all("list the transcripts", &sql, values, |row| {
            Ok(SessionTranscript {
                session: SessionRow(row.get(0)?),
                home: SessionRow(row.get(4)?),
                session_id: row.get(6)?,
                client: Client::from_name(row.get_ref(7)?.as_str()?).unwrap_or_default(),
                path: row.get(1)?,
                agent: row.get::<_, Option<String>>(2)?.and_then(|agent| AgentId::new(&agent)),
                offset: unsigned(row.get(3)?),
                content_offset: unsigned(row.get::<_, Option<i64>>(5)?.unwrap_or(0)),
            })
        })
    }

    /// Hands what a transcript adds to its contexts to `each`, in the order of its lines: the first entries, at most so many,
    /// each call of a response being eight more. Parts that nobody can read are left out.
    ///
    /// # Errors
    /// If the ledger cannot be read, or `each` fails.
    pub fn for_each_context_entry(
        &self,
        path: &str,
        at_most: usize,
        mut each: impl FnMut(&ContextEntry) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        const SQL: &str = "SELECT entries FROM context_parts WHERE path = ?1 ORDER BY start_offset";
        const WHAT: &str = "read the contexts";
        let mut query = self.0.conn.prepare_cached(SQL).map_err(StoreError::query(WHAT))?;
        let mut rows = query.query([path]).map_err(StoreError::query(WHAT))?;
        let mut left = at_most;
        while let Some(row) = rows.next().map_err(StoreError::query(WHAT))? {
            each(&ContextEntry::Of { agent: None })?;
            let text = row.get_ref(0).map_err(StoreError::query(WHAT))?.as_str().unwrap_or_default();
            for entry in serde_json::from_str::<Vec<ContextEntry>>(text).unwrap_or_default() {
                let calls = if let ContextEntry::Response { calls, .. } = &entry { calls.len() } else { 0 };
                let Some(rest) = left.checked_sub(1 + 8 * calls) else { return Ok(()) };
                left = rest;
                each(&entry)?;
            }
        }
        Ok(())
    }

    /// Changes of a session's list of tasks, in the order of time: the first [`MOST_CHANGES`].
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn task_changes(&self, session: SessionRow) -> Result<Vec<TaskChange>, StoreError> {
        const SQL: &str = "SELECT tool_use_id, at, change FROM task_changes WHERE session = ?1 ORDER BY at, tool_use_id LIMIT ?2";
        let found = self.0.all("read the tasks", SQL, [session.0, MOST_CHANGES], |row| {
            let call = ToolUseId::new(&row.get::<_, String>(0)?);
            let kind = serde_json::from_str::<TaskChangeKind>(&row.get::<_, String>(2)?).ok();
            let at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
            Ok(call.zip(kind).map(|(call, kind)| TaskChange { call, at, kind }))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Whether the last two parts of a transcript that were read make these calls: results can be in a part of their own.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn has_read_calls(&self, path: &str, calls: &[ToolUseId]) -> Result<bool, StoreError> {
        const SQL: &str =
            "SELECT entries FROM context_parts WHERE path = ?1 ORDER BY start_offset DESC LIMIT 2";
        let parts = self.0.all("read the contexts", SQL, [path], |row| row.get::<_, String>(0))?;
        let entries: Vec<ContextEntry> = parts
            .iter()
            .flat_map(|part| serde_json::from_str::<Vec<ContextEntry>>(part).unwrap_or_default())
            .collect();
        Ok(calls.iter().all(|call| entries.iter().any(|entry| entry.makes(call))))
    }
}

impl<L: DerefMut<Target = Ledger>> Logs<L> {
    /// Stores what was read of a transcript's content: from its start, which replaces all that is known of it, and then from
    /// where the reading before ended. `was_known` says whether anything was known before the first of these readings, for
    /// which it is `None`; it is returned.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn add_content(
        &mut self,
        of: &SessionTranscript,
        delta: &LogDelta,
        was_known: Option<bool>,
    ) -> Result<bool, StoreError> {
        self.0.write(RECORD, |tx| {
            let was_known = was_known.map_or_else(|| is_known(tx, &of.path), Ok)?;
            let source =
                ContentSource { session: of.home, path: &of.path, is_main: of.agent.is_none(), was_known };
            record(tx, source, delta)?;
            void_allocations_of(tx, of)?;
            if !delta.task_changes.is_empty() {
                super::changes::note(tx, of.home)?;
            }
            Ok(was_known)
        })
    }

    /// Notes that all of a transcript's content was read that can be.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn finish_content(&mut self, of: &SessionTranscript) -> Result<(), StoreError> {
        self.0.write(RECORD, |tx| {
            // Of a file that is gone nothing more will be known.
            tx.execute(
                "UPDATE context_parts SET end_offset = max(end_offset, ?2) WHERE path = ?1
                   AND start_offset = (SELECT max(start_offset) FROM context_parts WHERE path = ?1)",
                params![of.path, signed(of.offset)],
            )?;
            tx.execute(
                "INSERT OR IGNORE INTO context_parts SELECT ?1, 0, ?2, '[]'
                 WHERE NOT EXISTS (SELECT 1 FROM context_parts WHERE path = ?1)",
                params![of.path, signed(of.offset)],
            )?;
            void_allocations_of(tx, of)
        })
    }
}

impl Ledger {
    /// The key that makes hashes this ledger's own.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn hash_key(&self) -> Result<Option<[u8; 16]>, StoreError> {
        HASH_KEY.get(&self.conn).map_err(StoreError::query("read the ledger's key"))
    }
}
