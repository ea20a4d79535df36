//! Rows of `responses`, written and read.

use std::collections::HashSet;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Statement, ToSql, params};

use super::columns;
use super::writer::{SessionRow, signed, unsigned};
use crate::domain::{
    AgentId, Iteration, Iterations, LineTag, MessageId, ModelId, Modifiers, RecordSource, RequestTag,
    ResponseRecord, SessionId, Timestamp, Usage,
};

/// The columns of a response, in the order of [`execute`]'s values and of [`read_message`].
macro_rules! response {
    () => {
        concat!(
            "message_id, session, agent_id, copied, source, file_started_at, at, model, ",
            columns::usage_columns!(),
            ", complete, skill, branch, modifiers, content_tokens, iterations, request_hash, line_hash"
        )
    };
}
/// How many columns these are.
const COLUMNS: usize = 22;
/// Their values.
macro_rules! values {
    () => {
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}
/// Stores a response that is not known.
pub(super) const INSERT: &str =
    concat!("INSERT OR IGNORE INTO responses (", response!(), ") VALUES ", values!());
/// Stores what is known of a response anew.
pub(super) const REPLACE: &str =
    concat!("INSERT OR REPLACE INTO responses (", response!(), ") VALUES ", values!());
/// How many [`insert_new`] stores by one statement. Of 8, 16 and 50 this takes the fewest instructions.
const ROWS: usize = 16;
/// The query of [`read_message`]'s rows.
macro_rules! responses {
    () => {
        concat!(
            "SELECT ",
            response!(),
            ", (SELECT session_id FROM sessions WHERE id = session) FROM responses"
        )
    };
}
const RESPONSES: &str = responses!();

/// Stores a response by [`INSERT`] or [`REPLACE`]. Returns the number of rows.
pub(super) fn execute(
    statement: &mut Statement<'_>,
    message: &ResponseRecord,
    session: SessionRow,
) -> rusqlite::Result<usize> {
    bind(statement, 0, message, session)?;
    statement.raw_execute()
}

/// Stores responses of which none is known, in the order of their ids, several by one statement: there one is put behind the
/// other without a look for its place. What is left over takes `one`, which is [`INSERT`].
pub(super) fn insert_new(
    conn: &Connection,
    one: &mut Statement<'_>,
    rows: &[(&ResponseRecord, SessionRow)],
) -> rusqlite::Result<()> {
    let (chunks, rest) = rows.as_chunks::<ROWS>();
    if !chunks.is_empty() {
        let sql = format!("{INSERT}{}", concat!(", ", values!()).repeat(ROWS - 1));
        let mut insert = conn.prepare(&sql)?;
        for chunk in chunks {
            for (at, (message, session)) in chunk.iter().enumerate() {
                bind(&mut insert, at * COLUMNS, message, *session)?;
            }
            insert.raw_execute()?;
        }
    }
    for (message, session) in rest {
        execute(one, message, *session)?;
    }
    Ok(())
}

/// Sets a row's values, the first `before` of the statement's being those of other rows.
fn bind(
    statement: &mut Statement<'_>,
    before: usize,
    message: &ResponseRecord,
    session: SessionRow,
) -> rusqlite::Result<()> {
    let usage = message.usage;
    let iterations = message.iterations.as_deref().map(text_of);
    let values: [&dyn ToSql; COLUMNS] = [
        &message.id.as_str(),
        &session.0,
        &message.agent.as_ref().map(AgentId::as_str),
        &message.copied,
        &(message.source as i64),
        &message.file_start.map(Timestamp::as_millis),
        &message.at.map(Timestamp::as_millis),
        &message.model.as_ref().map(ModelId::as_str),
        &signed(usage.input),
        &signed(usage.output),
        &signed(usage.cache_read),
        &signed(usage.cache_write_5m),
        &signed(usage.cache_write_1h),
        &signed(usage.web_searches),
        &message.complete,
        &message.skill,
        &message.branch,
        &message.modifiers.to_bits(),
        &signed(message.content_tokens),
        &iterations,
        &message.request.map(RequestTag::to_bits),
        &message.line.map(LineTag::to_bits),
    ];
    for (number, value) in (before + 1..).zip(values) {
        statement.raw_bind_parameter(number, value)?;
    }
    Ok(())
}

/// Removes one that is kept under another key, too.
pub(super) fn delete(conn: &Connection, id: &MessageId) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM responses WHERE message_id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

/// Whether the ledger holds none.
pub(super) fn is_without(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(!conn.prepare("SELECT 1 FROM responses LIMIT 1")?.exists([])?)
}

pub(super) fn known_message(
    conn: &Connection,
    id: &MessageId,
) -> rusqlite::Result<Option<(ResponseRecord, SessionRow)>> {
    const SQL: &str = concat!(responses!(), " WHERE message_id = ?1");
    let found = conn.prepare_cached(SQL)?.query_row([id.as_str()], read_message).optional()?;
    Ok(found.flatten())
}

/// The responses under the id of `message` that it could be of: the one that is kept under the id itself, and variants with
/// its request, its line, its time, or its prompt in the session ([`crate::reconcile::is_same`] joins no others).
pub(super) fn known_by_id(
    conn: &Connection,
    message: &ResponseRecord,
    session: SessionRow,
) -> rusqlite::Result<Vec<(ResponseRecord, SessionRow)>> {
    const SQL: &str = concat!(
        responses!(),
        " WHERE message_id = ?1 UNION ALL ",
        responses!(),
        " WHERE instr(message_id, '#') AND request_hash = ?2 UNION ALL ",
        responses!(),
        " WHERE instr(message_id, '#') AND line_hash = ?3 UNION ALL ",
        responses!(),
        " WHERE instr(message_id, '#') AND at = ?4 UNION ALL ",
        responses!(),
        " WHERE instr(message_id, '#') AND session = ?5
           AND input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens = ?6"
    );
    let mut query = conn.prepare_cached(SQL)?;
    let mut rows = query.query(params![
        message.id.base(),
        message.request.map(RequestTag::to_bits),
        message.line.map(LineTag::to_bits),
        message.at.map(Timestamp::as_millis),
        session.0,
        signed(message.usage.prompt()),
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(read_message(row)?.filter(|(known, _)| known.id.base() == message.id.base()));
    }
    Ok(found)
}

/// The variants of the id `base` that a session is known to have, to whomever they belong, and that have one of `prompts`
/// (in tokens). [`known_by_id`] finds those that belong to it.
pub(super) fn shared_variants(
    conn: &Connection,
    base: &str,
    session: SessionRow,
    prompts: &HashSet<u64>,
) -> rusqlite::Result<Vec<(ResponseRecord, SessionRow)>> {
    // By the range of the key, which all variants of an id begin alike: a session can share very many records.
    const SQL: &str = concat!(
        responses!(),
        " WHERE message_id IN (SELECT key FROM shared_records
            WHERE key > ?1 || '#' AND key < ?1 || '$' AND shared_records.session = ?2)"
    );
    let mut query = conn.prepare_cached(SQL)?;
    let mut rows = query.query(params![base, session.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if prompts.contains(&columns::usage(row, 8)?.prompt()) {
            found.extend(read_message(row)?.filter(|(known, _)| known.id.base() == base));
        }
    }
    Ok(found)
}

/// What a session's main conversation has from before a time, and is not known to be copied.
pub(super) fn main_responses_before(
    conn: &Connection,
    session: SessionRow,
    start: Timestamp,
) -> rusqlite::Result<Vec<MessageId>> {
    let mut query = conn.prepare_cached(
        "SELECT message_id FROM responses WHERE session = ?1 AND at < ?2 AND source = 0 AND NOT copied",
    )?;
    let ids = query.query_map(params![session.0, start.as_millis()], |row| row.get::<_, String>(0))?;
    ids.filter_map(|id| id.map(|id| MessageId::new(&id)).transpose()).collect()
}

/// The first responses of a session in the order of time, at most so many.
pub(super) fn responses_of(
    conn: &Connection,
    session: SessionRow,
    at_most: usize,
) -> rusqlite::Result<Vec<ResponseRecord>> {
    let sql = format!("{RESPONSES} WHERE session = ?1 ORDER BY at, message_id LIMIT ?2");
    let mut query = conn.prepare_cached(&sql)?;
    let mut rows = query.query(params![session.0, i64::try_from(at_most).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(read_message(row)?.map(|(message, _)| message));
    }
    Ok(found)
}

/// The last response of a session's main conversation; what other models did beside one is none.
pub(super) fn last_of(conn: &Connection, session: SessionRow) -> rusqlite::Result<Option<ResponseRecord>> {
    const SQL: &str = concat!(
        responses!(),
        " WHERE session = ?1 AND NOT copied AND agent_id IS NULL AND message_id NOT LIKE '%/advisor/%'
          AND message_id NOT LIKE '%/attempt/%' ORDER BY at DESC LIMIT 1"
    );
    let found = conn.query_row(SQL, [session.0], read_message).optional()?;
    Ok(found.flatten().map(|(message, _)| message))
}

/// Calls `each` with every response and its session, until it fails.
pub(super) fn for_each_response(
    conn: &Connection,
    mut each: impl FnMut(ResponseRecord, SessionRow) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut query = conn.prepare(RESPONSES)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some((message, session)) = read_message(row)? {
            each(message, session)?;
        }
    }
    Ok(())
}

/// Calls `each` with every response and its session, by session and time, until `each` has had enough.
pub(super) fn for_each_response_in_order(
    conn: &Connection,
    mut each: impl FnMut(ResponseRecord, SessionRow) -> bool,
) -> rusqlite::Result<()> {
    let mut query = conn.prepare(&format!("{RESPONSES} ORDER BY session, at, message_id"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if let Some((message, session)) = read_message(row)?
            && !each(message, session)
        {
            break;
        }
    }
    Ok(())
}

/// Calls `each` with every response of a session, by time, until `each` has had enough.
pub(super) fn for_each_response_of(
    conn: &Connection,
    session: SessionRow,
    mut each: impl FnMut(&ResponseRecord) -> bool,
) -> rusqlite::Result<()> {
    let mut query =
        conn.prepare_cached(concat!(responses!(), " WHERE session = ?1 ORDER BY at, message_id"))?;
    let mut rows = query.query([session.0])?;
    while let Some(row) = rows.next()? {
        if let Some((message, _)) = read_message(row)?
            && !each(&message)
        {
            break;
        }
    }
    Ok(())
}

/// The requests of a response as the ledger keeps them: an array of what the client itself counts and of each request, these
/// with a 1 behind the classes if it is a compaction.
fn text_of(iterations: &Iterations) -> String {
    let counts = |usage: &Usage| {
        let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = *usage;
        vec![input, output, cache_read, cache_write_5m, cache_write_1h, web_searches]
    };
    let mut rows = vec![counts(&iterations.by_client)];
    rows.extend(iterations.each.iter().map(|iteration| {
        let mut row = counts(&iteration.usage);
        row.extend(iteration.is_compaction.then_some(1));
        row
    }));
    serde_json::to_string(&rows).unwrap_or_default()
}

/// Reads them again. What does not come to the response's `usage` is none of ours and tells nothing.
pub(super) fn iterations(
    row: &rusqlite::Row<'_>,
    column: usize,
    usage: &Usage,
) -> rusqlite::Result<Option<Box<Iterations>>> {
    let text = match row.get_ref(column)? {
        ValueRef::Text(text) => text,
        _ => return Ok(None),
    };
    let rows: Vec<Vec<u64>> = serde_json::from_slice(text).unwrap_or_default();
    let mut iterations = rows.iter().filter_map(|row| {
        let [input, output, cache_read, cache_write_5m, cache_write_1h, web_searches, rest @ ..] = &row[..]
        else {
            return None;
        };
        let usage = Usage {
            input: *input,
            output: *output,
            cache_read: *cache_read,
            cache_write_5m: *cache_write_5m,
            cache_write_1h: *cache_write_1h,
            web_searches: *web_searches,
        };
        Some(Iteration { usage, is_compaction: rest == [1] })
    });
    let Some(Iteration { usage: by_client, .. }) = iterations.next() else { return Ok(None) };
    let each: Vec<Iteration> = iterations.collect();
    let is_whole = each.iter().map(|iteration| iteration.usage).sum::<Usage>() == *usage;
    Ok((is_whole && !each.is_empty()).then(|| Box::new(Iterations { each, by_client })))
}

fn read_message(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<(ResponseRecord, SessionRow)>> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    let id = |column: usize| row.get::<_, String>(column);
    let (Some(message_id), Some(session)) = (MessageId::new(&id(0)?), SessionId::new(&id(COLUMNS)?)) else {
        return Ok(None);
    };
    let usage = columns::usage(row, 8)?;
    let message = ResponseRecord {
        id: message_id,
        session,
        agent: row.get::<_, Option<String>>(2)?.and_then(|agent| AgentId::new(&agent)),
        copied: row.get(3)?,
        source: RecordSource::from_rank(row.get(4)?),
        file_start: time(5)?,
        at: time(6)?,
        model: row.get::<_, Option<String>>(7)?.and_then(|model| ModelId::new(&model)),
        usage,
        iterations: iterations(row, 19, &usage)?,
        complete: row.get(14)?,
        skill: row.get(15)?,
        branch: row.get(16)?,
        modifiers: Modifiers::from_bits(row.get(17)?),
        content_tokens: unsigned(row.get(18)?),
        request: row.get::<_, Option<i64>>(20)?.map(RequestTag::from_bits),
        line: row.get::<_, Option<i64>>(21)?.map(LineTag::from_bits),
    };
    Ok(Some((message, SessionRow(row.get(1)?))))
}
