//! What readers of logs write: one transcript's new lines are one transaction.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::event::record_run;
use super::writer::{SessionRow, session_row, signed, unsigned};
use super::{AgentSighting, Ledger, StoreError};
use crate::agents::Fingerprint;
use crate::agents::claude_code::{Compaction, Facts, Progress, Prompt, Reading};
use crate::domain::{
    Agent, AgentId, Message, MessageId, MessageSource, ModelId, SessionId, SessionKind, Timestamp, Usage,
};
use crate::reconcile;

/// One transcript's new lines, to be stored together.
#[derive(Debug)]
pub struct LogBatch {
    /// The file.
    pub path: String,
    /// The subagent run whose file it is; `None` for a main transcript.
    pub run: Option<AgentSighting>,
    /// The file's size when it was read, in bytes.
    pub size: u64,
    /// And its time of change.
    pub modified_at: Option<Timestamp>,
    /// What was read.
    pub reading: Reading,
}

/// How far a transcript was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptState {
    /// Size when it was read, in bytes.
    pub size: u64,
    /// Its time of change then.
    pub modified_at: Option<Timestamp>,
    /// Where to go on.
    pub progress: Progress,
}

impl Ledger {
    /// Stores what a transcript told.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_log(
        &mut self,
        session: &SessionId,
        client: Agent,
        batch: LogBatch,
    ) -> Result<(), StoreError> {
        self.write("record the transcript", |tx| {
            let row = session_row(tx, session, client)?;
            record_batch(tx, row, client, batch)
        })
    }

    /// Stores that a turn has ended: all its tool calls were followed by a response. `complete` says that all
    /// transcripts were read to their ends, so that what only hooks told of was a repeat, or did not happen.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn finish_turn(
        &mut self,
        session: &SessionId,
        at: Timestamp,
        complete: bool,
    ) -> Result<(), StoreError> {
        self.write("record the turn's end", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(()) };
            if complete {
                tx.execute(
                    "DELETE FROM prompts WHERE session = ?1 AND uuid IS NULL AND prompt_id IS NULL",
                    [row],
                )?;
                tx.execute("DELETE FROM compactions WHERE session = ?1 AND uuid IS NULL", [row])?;
            }
            tx.execute(
                "UPDATE sessions SET finalized_at = ?2,
                   settled_call = coalesce((SELECT max(id) FROM tool_calls WHERE session = ?1), settled_call)
                 WHERE id = ?1",
                params![row, at.as_millis()],
            )?;
            Ok(())
        })
    }

    /// Removes a session and all of its rows; `false` if there is none.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn remove_session(&mut self, session: &SessionId) -> Result<bool, StoreError> {
        const ROWS: [&str; 6] = [
            "DELETE FROM tool_calls WHERE session = ?1",
            "DELETE FROM responses WHERE session = ?1",
            "DELETE FROM prompts WHERE session = ?1",
            "DELETE FROM compactions WHERE session = ?1",
            "DELETE FROM agent_runs WHERE session = ?1",
            "DELETE FROM transcripts WHERE session = ?1",
        ];
        self.write("remove the session", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(false) };
            for sql in ROWS {
                tx.execute(sql, [row])?;
            }
            tx.execute("DELETE FROM sessions WHERE id = ?1", [row])?;
            Ok(true)
        })
    }

    /// The transcripts below `folder` of subagents that have ended and whose last record is an answer.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn settled_agent_files(&self, folder: &Path) -> Result<HashSet<String>, StoreError> {
        const SQL: &str = "SELECT t.path FROM transcripts t
            JOIN agent_runs r ON r.session = t.session AND r.agent_id = t.agent_id
          WHERE t.path > ?1 AND t.path < ?1 || ?2 AND t.answered AND r.ended_at IS NOT NULL";
        // Paths below a folder are a range of the key; no path has a character above the last one there is.
        let below = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
        let read = || -> rusqlite::Result<HashSet<String>> {
            let mut query = self.conn.prepare(SQL)?;
            query.query_map([below.as_str(), "\u{10ffff}"], |row| row.get(0))?.collect()
        };
        read().map_err(StoreError::query("look up the subagents' transcripts"))
    }

    /// How far `path` was read.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn transcript_state(&self, path: &str) -> Result<Option<TranscriptState>, StoreError> {
        const SQL: &str = "SELECT offset, size, modified_at, fingerprint, file_start, starts_with_note, \
                           answered FROM transcripts WHERE path = ?1";
        self.conn
            .prepare_cached(SQL)
            .and_then(|mut query| {
                query
                    .query_row([path], |row| {
                        Ok(TranscriptState {
                            size: unsigned(row.get(1)?),
                            modified_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
                            progress: Progress {
                                offset: unsigned(row.get(0)?),
                                fingerprint: Fingerprint::from_bits(row.get::<_, i64>(3)?.cast_unsigned()),
                                file_start: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
                                starts_with_note: row.get(5)?,
                                answered: row.get(6)?,
                            },
                        })
                    })
                    .optional()
            })
            .map_err(StoreError::query("look up the transcript"))
    }
}

fn record_batch(
    conn: &Connection,
    session: SessionRow,
    client: Agent,
    batch: LogBatch,
) -> rusqlite::Result<()> {
    let reading = batch.reading;
    let file_start = reading.progress.file_start;
    if let Some(run) = &batch.run {
        record_run(conn, session, run)?;
    } else {
        record_facts(conn, session, &reading.facts)?;
    }
    for (agent, agent_type) in &reading.agent_types {
        conn.prepare_cached(
            "UPDATE agent_runs SET agent_type = ?3 WHERE session = ?1 AND agent_id = ?2 AND agent_type IS NULL",
        )?
        .execute(params![session.0, agent.as_str(), agent_type])?;
    }
    for message in reconcile::merge_all(reading.messages) {
        record_message(conn, client, message)?;
    }
    for prompt in &reading.prompts {
        let owner = session_row(conn, &prompt.session, client)?;
        record_log_prompt(conn, owner, prompt, file_start)?;
    }
    for compaction in &reading.compactions {
        let owner = session_row(conn, &compaction.session, client)?;
        record_boundary(conn, owner, compaction, file_start)?;
    }
    let progress = reading.progress;
    conn.prepare_cached(
        "INSERT INTO transcripts (path, session, agent_id, offset, size, modified_at, fingerprint, file_start,
           starts_with_note, answered, skipped_lines)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (path) DO UPDATE SET
           session = excluded.session, agent_id = excluded.agent_id, offset = excluded.offset,
           size = excluded.size, modified_at = excluded.modified_at, fingerprint = excluded.fingerprint,
           file_start = excluded.file_start, starts_with_note = excluded.starts_with_note,
           answered = excluded.answered,
           skipped_lines = skipped_lines + excluded.skipped_lines",
    )?
    .execute(params![
        batch.path,
        session.0,
        batch.run.as_ref().map(|run| run.id.as_str()),
        signed(progress.offset),
        signed(batch.size),
        batch.modified_at.map(Timestamp::as_millis),
        progress.fingerprint.to_bits().cast_signed(),
        file_start.map(Timestamp::as_millis),
        progress.starts_with_note,
        progress.answered,
        signed(reading.skipped_lines),
    ])?;
    Ok(())
}

fn record_facts(conn: &Connection, session: SessionRow, facts: &Facts) -> rusqlite::Result<()> {
    let (topic_rank, topic) = match &facts.topic {
        Some((rank, topic)) => (*rank, Some(topic.as_str())),
        None => (0, None),
    };
    conn.prepare_cached(
        "UPDATE sessions SET
           client_version = coalesce(?2, client_version),
           kind = CASE WHEN ?3 = 'scheduled' THEN ?3 ELSE coalesce(kind, ?3) END,
           project = CASE WHEN project_named THEN project ELSE coalesce(?4, project) END,
           git_branch = coalesce(?5, git_branch),
           model = coalesce(?6, model),
           topic = CASE WHEN ?7 = 0 OR ?7 < topic_rank THEN topic WHEN ?8 = '' THEN 'session ' || id ELSE ?8 END,
           topic_rank = max(topic_rank, ?7),
           log_first_at = coalesce(min(log_first_at, ?9), log_first_at, ?9),
           log_last_at = coalesce(max(log_last_at, ?10), log_last_at, ?10),
           last_seen_at = max(last_seen_at, coalesce(?10, 0))
         WHERE id = ?1",
    )?
    .execute(params![
        session.0,
        facts.client_version,
        facts.kind.map(SessionKind::name),
        facts.project,
        facts.git_branch,
        facts.model.as_ref().map(ModelId::as_str),
        topic_rank,
        topic,
        facts.first_at.map(Timestamp::as_millis),
        facts.last_at.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

/// Joins a response with what is known of it and stores it.
fn record_message(conn: &Connection, client: Agent, message: Message) -> rusqlite::Result<()> {
    let known = conn
        .prepare_cached(
            "SELECT s.session_id, r.agent_id, r.source, r.file_start, r.at, r.model, r.input_tokens,
               r.output_tokens, r.cache_read_tokens, r.cache_write_5m_tokens, r.cache_write_1h_tokens,
               r.web_searches, r.complete, r.skill, r.copied
             FROM responses r JOIN sessions s ON s.id = r.session WHERE r.message_id = ?1",
        )?
        .query_row([message.id.as_str()], |row| known_message(&message.id, row))
        .optional()?
        .flatten();
    let merged = match &known {
        Some(known) => reconcile::merge(known.clone(), message),
        None => message,
    };
    if known.as_ref() == Some(&merged) {
        return Ok(());
    }
    let session = session_row(conn, &merged.session, client)?;
    let usage = merged.usage;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO responses (message_id, session, agent_id, copied, source, file_start, at, model,
           input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
           web_searches, complete, skill)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        merged.id.as_str(),
        session.0,
        merged.agent.as_ref().map(AgentId::as_str),
        merged.copied,
        merged.source as i64,
        merged.file_start.map(Timestamp::as_millis),
        merged.at.map(Timestamp::as_millis),
        merged.model.as_ref().map(ModelId::as_str),
        signed(usage.input),
        signed(usage.output),
        signed(usage.cache_read),
        signed(usage.cache_write_5m),
        signed(usage.cache_write_1h),
        signed(usage.web_searches),
        merged.complete,
        merged.skill,
    ])?;
    Ok(())
}

fn known_message(id: &MessageId, row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Message>> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    let Some(session) = SessionId::new(&row.get::<_, String>(0)?) else { return Ok(None) };
    Ok(Some(Message {
        id: id.clone(),
        session,
        file_start: time(3)?,
        copied: row.get(14)?,
        source: MessageSource::from_rank(row.get(2)?),
        agent: row.get::<_, Option<String>>(1)?.and_then(|agent| AgentId::new(&agent)),
        model: row.get::<_, Option<String>>(5)?.and_then(|model| ModelId::new(&model)),
        at: time(4)?,
        usage: Usage {
            input: unsigned(row.get(6)?),
            output: unsigned(row.get(7)?),
            cache_read: unsigned(row.get(8)?),
            cache_write_5m: unsigned(row.get(9)?),
            cache_write_1h: unsigned(row.get(10)?),
            web_searches: unsigned(row.get(11)?),
        },
        complete: row.get(12)?,
        skill: row.get(13)?,
    }))
}

/// Stores a prompt of the transcript; a hook's row of the same prompt becomes it.
fn record_log_prompt(
    conn: &Connection,
    session: SessionRow,
    prompt: &Prompt,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    take_place(conn, TAKE_PROMPT, session, &prompt.uuid, file_start)?;
    if let Some(prompt_id) = &prompt.prompt_id {
        conn.prepare_cached("DELETE FROM prompts WHERE session = ?1 AND prompt_id = ?2 AND uuid IS NULL")?
            .execute(params![session.0, prompt_id])?;
    }
    let inserted = conn
        .prepare_cached(
            "INSERT INTO prompts (session, uuid, prompt_id, at, file_start) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (uuid) DO NOTHING",
        )?
        .execute(params![
            session.0,
            prompt.uuid,
            prompt.prompt_id,
            prompt.at.map(Timestamp::as_millis),
            file_start.map(Timestamp::as_millis),
        ])?;
    if inserted > 0 && prompt.prompt_id.is_none() {
        // A client that names no prompts: the oldest prompt of the hook's is this one.
        conn.prepare_cached(
            "DELETE FROM prompts WHERE id = (SELECT min(id) FROM prompts \
             WHERE session = ?1 AND uuid IS NULL AND prompt_id IS NULL)",
        )?
        .execute([session.0])?;
    }
    Ok(())
}

/// Stores a compaction of the transcript; the hooks' rows before it become it.
fn record_boundary(
    conn: &Connection,
    session: SessionRow,
    compaction: &Compaction,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    take_place(conn, TAKE_COMPACTION, session, &compaction.uuid, file_start)?;
    let inserted = conn
        .prepare_cached(
            "INSERT INTO compactions (session, uuid, trigger, at, tokens_before, tokens_after, file_start)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (uuid) DO NOTHING",
        )?
        .execute(params![
            session.0,
            compaction.uuid,
            compaction.trigger.name(),
            compaction.at.map(Timestamp::as_millis),
            compaction.tokens_before.map(signed),
            compaction.tokens_after.map(signed),
            file_start.map(Timestamp::as_millis),
        ])?;
    if inserted > 0 {
        conn.prepare_cached("DELETE FROM compactions WHERE session = ?1 AND trigger = ?2 AND uuid IS NULL")?
            .execute(params![session.0, compaction.trigger.name()])?;
    }
    Ok(())
}

const TAKE_PROMPT: &str = "DELETE FROM prompts WHERE uuid = ?1 AND session != ?2 AND file_start > ?3";
const TAKE_COMPACTION: &str = "DELETE FROM compactions WHERE uuid = ?1 AND session != ?2 AND file_start > ?3";

/// Removes a copy of the record `uuid` that stands in a file which starts later than `file_start`.
fn take_place(
    conn: &Connection,
    sql: &str,
    session: SessionRow,
    uuid: &str,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute(params![uuid, session.0, file_start.map(Timestamp::as_millis)])?;
    Ok(())
}
