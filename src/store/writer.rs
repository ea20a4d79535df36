//! What hooks and readers of logs write. Each public method is one transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{Ledger, StoreError};
use crate::agents::Fingerprint;
use crate::agents::claude_code::{Compaction, Facts, Progress, Prompt, Reading};
use crate::domain::{
    Agent, AgentId, CompactionTrigger, Message, MessageId, MessageSource, ModelId, SessionId, SessionKind,
    Timestamp, ToolCall, ToolOutcome, Usage,
};
use crate::estimate::subagents::Defaults;
use crate::reconcile;

/// A session's row in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRow(pub(super) i64);

/// What every event says of its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSighting {
    /// The session.
    pub id: SessionId,
    /// Its client.
    pub client: Agent,
    /// When the event came.
    pub at: Timestamp,
    /// The project's folder, and whether the client named it (else it is the event's working directory, which
    /// counts only until something better is known).
    pub project: Option<(String, bool)>,
    /// The main transcript.
    pub transcript: Option<String>,
    /// Who drives it, where the event tells.
    pub kind: Option<SessionKind>,
    /// The model, where the event tells.
    pub model: Option<ModelId>,
}

/// A subagent run as an event tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSighting {
    /// The run.
    pub id: AgentId,
    /// Its type.
    pub agent_type: Option<String>,
    /// The call that started it.
    pub tool_use_id: Option<String>,
    /// When it started, if this event is its start.
    pub started_at: Option<Timestamp>,
    /// When it ended, if this event is its end.
    pub ended_at: Option<Timestamp>,
    /// The first and last time in its transcript, if that is what tells of it.
    pub logged: Option<(Timestamp, Timestamp)>,
    /// What its type is taken to use.
    pub defaults: Defaults,
}

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
    /// The model of a session and its client's version, where they are known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_client(
        &self,
        session: &SessionId,
    ) -> Result<(Option<ModelId>, Option<String>), StoreError> {
        let found: Option<(Option<String>, Option<String>)> = self
            .conn
            .prepare_cached("SELECT model, client_version FROM sessions WHERE session_id = ?1")
            .and_then(|mut query| {
                query.query_row([session.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(StoreError::query("look up the session"))?;
        let (model, version) = found.unwrap_or_default();
        Ok((model.and_then(|model| ModelId::new(&model)), version))
    }

    /// The key that makes input hashes this ledger's own.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn hash_key(&self) -> Result<[u8; 16], StoreError> {
        self.conn
            .query_row("SELECT value FROM meta WHERE name = 'hash_key'", [], |row| row.get(0))
            .map_err(StoreError::query("read the ledger's key"))
    }

    /// Notes that a session was heard of, and nothing else.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_sighting(&mut self, sighting: &SessionSighting) -> Result<(), StoreError> {
        self.write("record the session", |tx| touch(tx, sighting).map(|_| ()))
    }

    /// Stores a tool call that `PostToolUse` or `PostToolUseFailure` told of, and the subagent run it started.
    ///
    /// The same call twice is one row. What `PostToolBatch` said of it before is kept.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_tool_call(
        &mut self,
        sighting: &SessionSighting,
        call: &ToolCall,
        started: Option<&AgentSighting>,
    ) -> Result<(), StoreError> {
        self.write("record the tool call", |tx| {
            let session = touch(tx, sighting)?;
            reopen(tx, session)?;
            insert_call(tx, session, call)?;
            if let Some(run) = started {
                upsert_run(tx, session, run)?;
            }
            Ok(())
        })
    }

    /// Refines calls by the exact texts that `PostToolBatch` brings; calls whose own event is late or never
    /// comes are kept apart (`ok` is NULL) until it does.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn refine_tool_calls(
        &mut self,
        sighting: &SessionSighting,
        calls: &[ToolCall],
    ) -> Result<(), StoreError> {
        self.write("refine the tool calls", |tx| {
            let session = touch(tx, sighting)?;
            reopen(tx, session)?;
            for call in calls {
                insert_call(tx, session, call)?;
            }
            Ok(())
        })
    }

    /// Stores that a prompt was submitted: a turn has begun.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_prompt(
        &mut self,
        sighting: &SessionSighting,
        prompt_id: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write("record the prompt", |tx| {
            let session = touch(tx, sighting)?;
            tx.prepare_cached(
                "UPDATE sessions SET finalized_at = NULL, ended_at = NULL, end_reason = NULL WHERE id = ?1",
            )?
            .execute([session.0])?;
            let known = match prompt_id {
                Some(_) => tx
                    .prepare_cached("SELECT 1 FROM prompts WHERE session = ?1 AND prompt_id = ?2")?
                    .exists(params![session.0, prompt_id])?,
                None => false,
            };
            if !known {
                tx.prepare_cached("INSERT INTO prompts (session, prompt_id, at) VALUES (?1, ?2, ?3)")?
                    .execute(params![session.0, prompt_id, sighting.at.as_millis()])?;
            }
            Ok(())
        })
    }

    /// Stores a subagent run's start or end.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_agent_run(
        &mut self,
        sighting: &SessionSighting,
        run: &AgentSighting,
    ) -> Result<(), StoreError> {
        self.write("record the subagent", |tx| {
            let session = touch(tx, sighting)?;
            reopen(tx, session)?;
            upsert_run(tx, session, run)
        })
    }

    /// Stores that a compaction begins or has ended: `PreCompact` and `PostCompact` of one compaction are one row.
    ///
    /// The row stands until the transcript's own record of the compaction is read. An end (`begins` false) makes
    /// a row only where none is known: its beginning came before, or the transcript will tell.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_compaction(
        &mut self,
        sighting: &SessionSighting,
        prompt_id: Option<&str>,
        trigger: CompactionTrigger,
        begins: bool,
    ) -> Result<(), StoreError> {
        self.write("record the compaction", |tx| {
            let session = touch(tx, sighting)?;
            let known = tx
                .prepare_cached(
                    "SELECT 1 FROM compactions WHERE session = ?1 AND trigger = ?2 \
                     AND (NOT ?4 OR (prompt_id IS ?3 AND uuid IS NULL))",
                )?
                .exists(params![session.0, trigger.name(), prompt_id, begins])?;
            if !known {
                tx.prepare_cached(
                    "INSERT INTO compactions (session, prompt_id, trigger, at) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    session.0,
                    prompt_id,
                    trigger.name(),
                    sighting.at.as_millis()
                ])?;
            }
            Ok(())
        })
    }

    /// Stores that the client has closed the session.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_session_end(
        &mut self,
        sighting: &SessionSighting,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write("record the session's end", |tx| {
            let session = touch(tx, sighting)?;
            tx.execute(
                "UPDATE sessions SET ended_at = ?2, end_reason = ?3 WHERE id = ?1",
                params![session.0, sighting.at.as_millis(), reason],
            )?;
            Ok(())
        })
    }

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

    fn write<T>(
        &mut self,
        what: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.limit_wait();
        let start = std::time::Instant::now();
        let run = || {
            let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = body(&tx)?;
            tx.commit()?;
            Ok(result)
        };
        let result = run().map_err(StoreError::query(what));
        self.waited += start.elapsed();
        result
    }
}

/// Counts are at most [`MAX_COUNT`](crate::domain::MAX_COUNT), far below `i64::MAX`.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn session_row(conn: &Connection, session: &SessionId, client: Agent) -> rusqlite::Result<SessionRow> {
    let found: Option<i64> = conn
        .prepare_cached("SELECT id FROM sessions WHERE session_id = ?1")?
        .query_row([session.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(SessionRow(id));
    }
    conn.prepare_cached("INSERT INTO sessions (session_id, client, last_seen_at) VALUES (?1, ?2, 0)")?
        .execute(params![session.as_str(), client.name()])?;
    Ok(SessionRow(conn.last_insert_rowid()))
}

/// Notes a sign of life. The project is the one that the client names, else the first folder that was seen.
fn touch(conn: &Connection, sighting: &SessionSighting) -> rusqlite::Result<SessionRow> {
    let row = session_row(conn, &sighting.id, sighting.client)?;
    let (project, named) = match &sighting.project {
        Some((project, named)) => (Some(project.as_str()), *named),
        None => (None, false),
    };
    conn.prepare_cached(
        "UPDATE sessions SET
           hook_first_at = coalesce(hook_first_at, ?2),
           hook_last_at = max(coalesce(hook_last_at, ?2), ?2),
           last_seen_at = max(last_seen_at, ?2),
           project = CASE WHEN ?4 THEN ?3 ELSE coalesce(project, ?3) END,
           project_named = max(project_named, ?4),
           transcript_path = coalesce(?5, transcript_path),
           kind = CASE WHEN kind = 'scheduled' THEN kind ELSE coalesce(?6, kind) END,
           model = coalesce(?7, model)
         WHERE id = ?1",
    )?
    .execute(params![
        row.0,
        sighting.at.as_millis(),
        project,
        named,
        sighting.transcript,
        sighting.kind.map(SessionKind::name),
        sighting.model.as_ref().map(ModelId::as_str),
    ])?;
    Ok(row)
}

/// Work is under way again. After the session's end that can only be a late event, but for a prompt.
fn reopen(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE sessions SET finalized_at = NULL WHERE id = ?1 AND finalized_at IS NOT NULL AND ended_at IS NULL",
    )?
    .execute([session.0])?;
    Ok(())
}

/// Inserts a call or joins it with what is known of it: an event of its own beats a batch in everything but the
/// returned tokens, where the batch has the exact text.
fn insert_call(conn: &Connection, session: SessionRow, call: &ToolCall) -> rusqlite::Result<()> {
    let ok = match call.outcome {
        ToolOutcome::Ok => Some(true),
        ToolOutcome::Failed => Some(false),
        ToolOutcome::Unreported => None,
    };
    conn.prepare_cached(
        "INSERT INTO tool_calls (session, tool_use_id, tool, agent_id, agent_type, at, duration_ms, ok,
           generated_tokens, generated_method, returned_tokens, returned_method, refined, input_bytes,
           response_bytes, input_hash, action_type, action_name, model, lines_added, lines_removed,
           hook_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
           ?22)
         ON CONFLICT (session, tool_use_id) DO UPDATE SET
           at = CASE WHEN ok IS NULL THEN excluded.at ELSE at END,
           duration_ms = coalesce(duration_ms, excluded.duration_ms),
           lines_added = CASE WHEN ok IS NULL THEN excluded.lines_added ELSE lines_added END,
           lines_removed = CASE WHEN ok IS NULL THEN excluded.lines_removed ELSE lines_removed END,
           response_bytes = CASE WHEN ok IS NULL THEN excluded.response_bytes ELSE response_bytes END,
           returned_tokens = CASE WHEN excluded.refined >= refined
             THEN excluded.returned_tokens ELSE returned_tokens END,
           returned_method = CASE WHEN excluded.refined >= refined
             THEN excluded.returned_method ELSE returned_method END,
           refined = max(refined, excluded.refined),
           ok = coalesce(ok, excluded.ok)",
    )?
    .execute(params![
        session.0,
        call.id.as_ref().map(crate::domain::ToolUseId::as_str),
        call.tool.as_str(),
        call.agent.as_ref().map(AgentId::as_str),
        call.agent_type,
        call.at.as_millis(),
        call.duration_ms.map(signed),
        ok,
        signed(call.generated.tokens),
        call.generated.method.name(),
        signed(call.returned.tokens),
        call.returned.method.name(),
        call.outcome == ToolOutcome::Unreported,
        signed(call.input_bytes),
        signed(call.response_bytes),
        call.input_hash.map(u64::cast_signed),
        call.action.name(),
        call.action_name,
        call.model.as_ref().map(ModelId::as_str),
        signed(call.lines.added),
        signed(call.lines.removed),
        call.hook_us.map(signed),
    ])?;
    Ok(())
}

fn upsert_run(conn: &Connection, session: SessionRow, run: &AgentSighting) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT INTO agent_runs (session, agent_id, agent_type, tool_use_id, started_at, ended_at,
           default_billed_tokens, log_first_at, log_last_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (session, agent_id) DO UPDATE SET
           agent_type = coalesce(agent_type, excluded.agent_type),
           tool_use_id = coalesce(tool_use_id, excluded.tool_use_id),
           started_at = coalesce(min(started_at, excluded.started_at), started_at, excluded.started_at),
           ended_at = coalesce(max(ended_at, excluded.ended_at), ended_at, excluded.ended_at),
           log_first_at = coalesce(min(log_first_at, excluded.log_first_at), log_first_at, excluded.log_first_at),
           log_last_at = coalesce(max(log_last_at, excluded.log_last_at), log_last_at, excluded.log_last_at),
           default_billed_tokens = CASE WHEN agent_type IS NULL
             THEN excluded.default_billed_tokens ELSE default_billed_tokens END",
    )?
    .execute(params![
        session.0,
        run.id.as_str(),
        run.agent_type,
        run.tool_use_id,
        run.started_at.map(Timestamp::as_millis),
        run.ended_at.map(Timestamp::as_millis),
        signed(run.defaults.billed),
        run.logged.map(|(first, _)| first.as_millis()),
        run.logged.map(|(_, last)| last.as_millis()),
    ])?;
    Ok(())
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
        upsert_run(conn, session, run)?;
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
