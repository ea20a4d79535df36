//! The database with all sessions: which of its messages are new, and a cursor over them.
//!
//! A message's row is there while its answer is on its way and gets its numbers later, so what is new goes by the time of
//! change and not by the order of rows. No index has that, so each reading goes over the table, of which it looks at the times
//! alone but for rows that are new. Only a first reading finds so many that it is done in pieces, in the order of the rows.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Statement, params};
use serde::{Deserialize, Serialize};

use super::logged::{LoggedMessage, LoggedSession, MessageReading, Parts};
use crate::clients::line_log::LineKind;
use crate::clients::{ReadError, ReadFrom, sqlite};
use crate::domain::{AgentId, CompactionTrigger, LineTag, LogDelta, LogPosition, SessionId, Timestamp};
use crate::json::{Object, lossy};

/// How many messages are read before they are stored.
const ROWS_AT_ONCE: usize = 8_192;
/// What was committed later can have an earlier time, by so many milliseconds at most.
const OVERLAP_MILLIS: i64 = 2_000;
/// A subagent's subagents go no deeper.
const MAX_DEPTH: usize = 64;

/// What a message needs to be understood, by the tables that have it. Newer clients may have more.
const NEEDED: [(&str, &[&str]); 2] = [
    ("message", &["id", "session_id", "time_created", "time_updated", "data"]),
    ("session", &["id", "parent_id", "time_created", "directory", "version", "title"]),
];
const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1)";
const NEW_MESSAGES: &str = "SELECT rowid, id, session_id, time_created, time_updated, data FROM message
    WHERE rowid > ?1 AND time_updated >= ?2 ORDER BY rowid";
const SESSION: &str = "SELECT parent_id, time_created, directory, version, title FROM session WHERE id = ?1";
/// Whether a message has parts, and none but what the client itself has put there.
const IS_CLIENTS: &str = "SELECT count(*), coalesce(min(CASE WHEN json_valid(data)
      THEN data ->> '$.type' = 'compaction' OR coalesce(data ->> '$.synthetic', 0) = 1 ELSE 0 END), 0)
    FROM part WHERE message_id = ?1";
const TRIGGER: &str = "SELECT data ->> '$.auto' = 1 FROM part
    WHERE message_id = ?1 AND CASE WHEN json_valid(data) THEN data ->> '$.type' = 'compaction' ELSE 0 END";
/// Whether any message is its session's own.
const OWN_MESSAGES: &str = "SELECT 1 FROM message m LEFT JOIN session s ON s.id = m.session_id
    WHERE s.id IS NULL OR m.time_created >= s.time_created";

/// Where a reading goes on. Its names are short, since it is kept with the log.
#[derive(Debug, Default, Serialize, Deserialize)]
struct DatabaseCursor {
    /// The session whose log it is taken to be: the first that has a response.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    home: Option<SessionId>,
    /// All changes up to this time were read, in milliseconds.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    read_to: Option<i64>,
    /// Which messages have changed shortly before that time; `None` if that is not known.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    recent: Option<u64>,
    /// A reading that is not at its end yet.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pass: Option<Pass>,
}

/// A reading of the whole table that takes several pieces.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pass {
    /// The last row that was read.
    #[serde(rename = "r")]
    row: i64,
    /// The message in that row, to tell that rows have not been numbered anew.
    #[serde(rename = "i")]
    message: i64,
    /// The time of the last change when it began.
    #[serde(rename = "t")]
    to: i64,
}

impl DatabaseCursor {
    fn of(position: &LogPosition) -> Option<Self> {
        serde_json::from_str(&position.reader_state).ok()
    }
}

/// Whether a database was read in part.
pub(super) fn is_within_pass(position: &LogPosition) -> bool {
    DatabaseCursor::of(position).is_none_or(|cursor| cursor.pass.is_some())
}

/// Size and time of change of a database and its WAL together.
pub(super) fn look_at(path: &Path) -> (u64, Option<Timestamp>) {
    let look = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok().map(Timestamp::from_system_time)))
    };
    let Some((size, changed)) = look(path) else { return (0, None) };
    let (more, later) = look(&sqlite::beside(path, "-wal")).unwrap_or_default();
    (size + more, changed.max(later))
}

/// Whether a database has a session.
pub(super) fn holds(path: &Path, session: &SessionId) -> bool {
    let found = sqlite::read(path, |conn| {
        conn.prepare("SELECT 1 FROM session WHERE id = ?1")?.exists([session.as_str()])
    });
    matches!(found, Ok(Some(true)))
}

/// Whether a database is the client's and has no messages but copies.
pub(super) fn is_empty(path: &Path) -> bool {
    let found = sqlite::read(path, |conn| {
        Ok(Tables::of(conn)? == Tables::Known && !conn.prepare(OWN_MESSAGES)?.exists([])?)
    });
    matches!(found, Ok(Some(true)))
}

/// Whether a database is the client's.
pub(super) fn is_clients(path: &Path) -> bool {
    matches!(sqlite::read(path, Tables::of), Ok(Some(Tables::Known | Tables::Changed)))
}

/// What tables a database has.
#[derive(Debug, PartialEq, Eq)]
enum Tables {
    /// Those that are read.
    Known,
    /// Those that are read, without something that is looked for.
    Changed,
    /// Another program's.
    Foreign,
}

impl Tables {
    fn of(conn: &Connection) -> rusqlite::Result<Self> {
        let mut columns = conn.prepare(COLUMNS)?;
        let mut has_all = true;
        for (table, needed) in NEEDED {
            let found: Vec<String> =
                columns.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
            if found.is_empty() {
                return Ok(Self::Foreign);
            }
            has_all &= needed.iter().all(|needed| found.iter().any(|found| found == needed));
        }
        // Both names are common ones.
        let is_clients = columns.exists(["part"])? || columns.exists(["session_message"])?;
        Ok(match (has_all, is_clients) {
            (true, _) => Self::Known,
            (false, true) => Self::Changed,
            (false, false) => Self::Foreign,
        })
    }
}

/// Reads what a database has new.
pub(super) fn read(path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
    let look = look_at(path);
    let start = from.position.as_ref().map_or(0, |position| position.offset);
    let known = from.position.as_ref().and_then(DatabaseCursor::of);
    // Without what was kept of it a log is read from its start.
    let start = if known.is_some() { start } else { 0 };
    let answered = from.position.as_ref().is_some_and(|position| position.answered);
    let found = sqlite::read(path, |conn| match Tables::of(conn)? {
        Tables::Known => {
            let cursor = known.as_ref().map_or_else(DatabaseCursor::default, |known| DatabaseCursor {
                home: known.home.clone(),
                pass: known.pass.clone(),
                ..*known
            });
            DatabasePiece::read(conn, cursor, look).map(Some)
        }
        // What is said of it needs a session, which only one that was read before has.
        Tables::Changed => Ok(known.as_ref().map(|known| DatabasePiece::not_understood(known.home.clone()))),
        Tables::Foreign => Ok(None),
    })?;
    let base = LogDelta { start, has_sessions: true, ..LogDelta::default() };
    let Some(DatabasePiece { reading, cursor, share, rows }) = found.flatten() else {
        let position = LogPosition { offset: look.0, ..LogPosition::default() };
        return Ok(LogDelta { skipped_lines: 1, position, ..base });
    };
    let MessageReading { delta, is_answered, .. } = reading;
    // One whose messages are all copies is nobody's log.
    let is_understood = cursor.home.is_some();
    let session = cursor.home.clone();
    let position = LogPosition {
        offset: share.of(look.0),
        answered: if rows > 0 { is_answered } else { answered },
        reader_state: serde_json::to_string(&cursor).unwrap_or_default(),
        fingerprint: 0,
    };
    Ok(LogDelta {
        start,
        has_sessions: true,
        session,
        is_understood,
        lines: rows,
        has_more: cursor.pass.is_some(),
        position,
        ..delta
    })
}

/// How much of a table was read.
struct ReadShare {
    rows: i64,
    of_rows: i64,
}

impl ReadShare {
    const WHOLE: Self = Self { rows: 1, of_rows: 1 };

    /// So much of a size; less than all of it until all was read.
    fn of(&self, size: u64) -> u64 {
        if self.rows >= self.of_rows {
            return size;
        }
        let part = i128::from(size.saturating_sub(1)) * i128::from(self.rows) / i128::from(self.of_rows);
        u64::try_from(part).unwrap_or_default()
    }
}

/// What was read at once.
struct DatabasePiece {
    reading: MessageReading,
    cursor: DatabaseCursor,
    share: ReadShare,
    /// Messages that were read.
    rows: u64,
}

impl DatabasePiece {
    /// What is said of a database in which something that is looked for has another name.
    fn not_understood(home: Option<SessionId>) -> Self {
        let mut reading = MessageReading::default();
        reading.delta.unknown_lines = 1;
        // Whoever understands it reads it from its start.
        Self {
            reading,
            cursor: DatabaseCursor { home, ..DatabaseCursor::default() },
            share: ReadShare::WHOLE,
            rows: 0,
        }
    }

    /// `changed` is when the database was written last, by the clock that its times come from.
    fn read(
        conn: &Connection,
        cursor: DatabaseCursor,
        (_, changed): (u64, Option<Timestamp>),
    ) -> rusqlite::Result<Self> {
        let pass = cursor.pass.clone().filter(|pass| is_still_there(conn, pass).unwrap_or_default());
        let since = cursor.read_to.map_or(i64::MIN, |to| to.saturating_sub(OVERLAP_MILLIS));
        let mut reading = MessageReading::default();
        let mut sessions = SessionTable::of(conn)?;
        let mut parts = PartTable::of(conn)?;
        let mut query = conn.prepare(NEW_MESSAGES)?;
        let mut found = query.query([pass.as_ref().map_or(i64::MIN, |pass| pass.row), since])?;
        // Rows that were read, and when each was changed.
        let mut read: Vec<(i64, i64)> = Vec::new();
        let mut last = None;
        let mut is_whole = true;
        while let Some(row) = found.next()? {
            if read.len() >= ROWS_AT_ONCE {
                is_whole = false;
                break;
            }
            let (number, updated): (i64, i64) = (row.get(0)?, row.get(4)?);
            read.push((number, updated));
            let id = lossy(row.get_ref(1)?.as_bytes().unwrap_or_default()).into_owned();
            let session = lossy(row.get_ref(2)?.as_bytes().unwrap_or_default()).into_owned();
            let kind = match sessions.find(&session)? {
                Some(session) => {
                    let data = lossy(row.get_ref(5)?.as_bytes().unwrap_or_default());
                    match Object::parse(&data) {
                        Ok(data) => {
                            let message =
                                LoggedMessage { id: &id, session, created: row.get(3)?, data: &data };
                            reading.add(&message, &mut parts)?
                        }
                        Err(_) => LineKind::Unknown,
                    }
                }
                None => LineKind::Unknown,
            };
            // What was read before was counted then.
            let is_new = cursor.read_to.is_none_or(|to| updated > to);
            reading.delta.unknown_lines += u64::from(kind != LineKind::Known && is_new);
            last = Some((number, LineTag::of(id.as_bytes()).to_bits()));
        }
        drop(found);
        let newest = read.iter().map(|(_, updated)| *updated).max();
        let rows = read.len() as u64;
        if let Some((row, message)) = last.filter(|_| !is_whole) {
            let to = match &pass {
                Some(pass) => pass.to,
                None => conn.query_row("SELECT max(time_updated) FROM message", [], |row| row.get(0))?,
            };
            let of_rows = conn.query_row("SELECT max(rowid) FROM message", [], |row| row.get(0))?;
            let home = cursor.home.clone().or_else(|| home_of(&reading.delta));
            let cursor = DatabaseCursor { home, pass: Some(Pass { row, message, to }), ..cursor };
            return Ok(Self { reading, cursor, share: ReadShare { rows: row, of_rows }, rows });
        }
        // Of a reading in pieces, what has changed since it began is to be read once more.
        let to = pass.as_ref().map_or(newest, |pass| Some(pass.to)).max(cursor.read_to);
        // A clock that was ahead must not hide what comes after.
        let to = to.map(|to| changed.map_or(to, |changed| to.min(changed.as_millis())));
        let is_recent = |updated: i64| to.is_some_and(|to| updated >= to.saturating_sub(OVERLAP_MILLIS));
        let recent = pass.is_none().then(|| {
            let recent = read.iter().filter(|(_, updated)| is_recent(*updated));
            recent.fold(0, |sum: u64, row| sum.wrapping_add(mark_of(*row)))
        });
        let all = read.iter().fold(0, |sum: u64, row| sum.wrapping_add(mark_of(*row)));
        if pass.is_none() && cursor.read_to.is_some() && cursor.recent == Some(all) {
            return Ok(Self { reading: MessageReading::default(), cursor, share: ReadShare::WHOLE, rows: 0 });
        }
        let home = cursor.home.or_else(|| home_of(&reading.delta));
        let cursor = DatabaseCursor { home, read_to: to, recent, pass: None };
        Ok(Self { reading, cursor, share: ReadShare::WHOLE, rows })
    }
}

/// The session whose log a database is taken to be.
fn home_of(delta: &LogDelta) -> Option<SessionId> {
    let first = delta.responses.first().map(|response| response.session.clone());
    first.or_else(|| delta.facts.first().and_then(|(session, _)| session.clone()))
}

/// A number for a row as it is now; their sum stands for rows in any order.
fn mark_of((row, updated): (i64, i64)) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&row.to_le_bytes());
    bytes[8..].copy_from_slice(&updated.to_le_bytes());
    LineTag::of(&bytes).to_bits().cast_unsigned()
}

/// Whether the row that a reading has come to holds the same message as then.
fn is_still_there(conn: &Connection, pass: &Pass) -> rusqlite::Result<bool> {
    let id: Option<String> =
        conn.query_row("SELECT id FROM message WHERE rowid = ?1", [pass.row], |row| row.get(0)).optional()?;
    Ok(id.is_some_and(|id| LineTag::of(id.as_bytes()).to_bits() == pass.message))
}

/// The client's sessions, as far as they were asked for.
struct SessionTable<'c> {
    query: Statement<'c>,
    known: HashMap<String, Option<LoggedSession>>,
}

/// What the table has of a session.
struct ClientSession {
    parent: Option<String>,
    created: Option<i64>,
    project: String,
    version: String,
    title: String,
}

impl<'c> SessionTable<'c> {
    fn of(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self { query: conn.prepare(SESSION)?, known: HashMap::new() })
    }

    /// A session; `None` if its name cannot be one.
    fn find(&mut self, id: &str) -> rusqlite::Result<Option<&LoggedSession>> {
        if !self.known.contains_key(id) {
            let session = self.look_up(id)?;
            self.known.insert(id.to_owned(), session);
        }
        Ok(self.known.get(id).and_then(Option::as_ref))
    }

    fn look_up(&mut self, id: &str) -> rusqlite::Result<Option<LoggedSession>> {
        let own = self.row(id)?;
        let created = own.as_ref().and_then(|own| own.created);
        let (mut root, mut row) = (id.to_owned(), own);
        for _ in 0..MAX_DEPTH {
            let Some(parent) = row.as_mut().and_then(|row| row.parent.take()) else { break };
            row = self.row(&parent)?;
            root = parent;
        }
        let facts =
            row.map(|row| LoggedSession::facts(&row.project, &row.version, &row.title)).unwrap_or_default();
        let agent = if root == id { None } else { AgentId::new(id) };
        Ok(SessionId::new(&root).map(|root| LoggedSession { root, agent, created, facts }))
    }

    fn row(&mut self, id: &str) -> rusqlite::Result<Option<ClientSession>> {
        let text = |row: &rusqlite::Row<'_>, at: usize| -> rusqlite::Result<String> {
            Ok(lossy(row.get_ref(at)?.as_bytes_or_null().ok().flatten().unwrap_or_default()).into_owned())
        };
        let read = |row: &rusqlite::Row<'_>| {
            Ok(ClientSession {
                parent: Some(text(row, 0)?).filter(|parent| !parent.is_empty()),
                created: row.get(1)?,
                project: text(row, 2)?,
                version: text(row, 3)?,
                title: text(row, 4)?,
            })
        };
        self.query.query_row(params![id], read).optional()
    }
}

/// The parts of messages; a database of which this table was renamed has none.
struct PartTable<'c> {
    is_clients: Option<Statement<'c>>,
    trigger: Option<Statement<'c>>,
}

impl<'c> PartTable<'c> {
    fn of(conn: &'c Connection) -> rusqlite::Result<Self> {
        let mut columns = conn.prepare("SELECT 1 FROM pragma_table_info('part') WHERE name = ?1")?;
        if columns.exists(["message_id"])? && columns.exists(["data"])? {
            Ok(Self { is_clients: Some(conn.prepare(IS_CLIENTS)?), trigger: Some(conn.prepare(TRIGGER)?) })
        } else {
            Ok(Self { is_clients: None, trigger: None })
        }
    }
}

impl Parts for PartTable<'_> {
    type Fault = rusqlite::Error;

    fn is_users(&mut self, message: &str) -> rusqlite::Result<bool> {
        let Some(query) = &mut self.is_clients else { return Ok(true) };
        // Its parts come after the message; when the turn is over, the client changes the message once more.
        query.query_row([message], |row| Ok(row.get::<_, i64>(0)? > 0 && !row.get::<_, bool>(1)?))
    }

    fn trigger(&mut self, message: &str) -> rusqlite::Result<CompactionTrigger> {
        let Some(query) = &mut self.trigger else { return Ok(CompactionTrigger::Unknown) };
        let is_auto: Option<Option<bool>> = query.query_row([message], |row| row.get(0)).optional()?;
        Ok(match is_auto.flatten() {
            Some(true) => CompactionTrigger::Auto,
            Some(false) => CompactionTrigger::Manual,
            None => CompactionTrigger::Unknown,
        })
    }
}
