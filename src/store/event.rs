//! What hooks tell, as the ledger takes it: each event is one transaction, and can wait in the spool.

use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::Events;
use super::meta::{self, ALERTS, HASH_KEY, MetaKey};
use super::writer::{SessionRow, session_row, signed};
use super::{Ledger, Spool, StoreError, allocations, contexts, ended};
use crate::domain::{
    AgentId, Client, CompactionTrigger, ModelId, SessionId, SessionKind, TaskChange, TaskChangeKind,
    Timestamp, ToolCall, ToolOutcome, ToolUseId,
};
use crate::estimate::subagents::Defaults;

/// What is done when the spool is emptied.
pub(super) const STORE_WAITING: &str = "store queued events";

/// What every event says of its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionObservation {
    /// The session.
    pub id: SessionId,
    /// Its client.
    pub client: Client,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentObservation {
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

/// One event of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What it says of its session.
    pub observation: SessionObservation,
    /// What has happened.
    pub change: EventKind,
}

/// What has happened. Every one may come twice, late, or out of order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The session was heard of, and nothing else.
    Seen,
    /// `PostToolUse` or `PostToolUseFailure` told of a tool call. The same call twice is one row; what
    /// `PostToolBatch` said of it before is kept.
    ToolCall {
        /// The call.
        call: Box<ToolCall>,
        /// The subagent run it started.
        started: Option<AgentObservation>,
        /// What it does to the agent's list of tasks.
        #[serde(default)]
        task: Option<TaskChangeKind>,
    },
    /// `PostToolBatch` brings the exact texts of calls. Those whose own event is late or never comes are kept apart
    /// (`ok` is NULL) until it does.
    ToolBatch {
        /// The calls.
        calls: Vec<ToolCall>,
    },
    /// A prompt was submitted: a turn has begun.
    Prompt {
        /// The client's id of it.
        prompt_id: Option<String>,
    },
    /// A subagent run started or ended.
    AgentRun {
        /// The run.
        run: AgentObservation,
    },
    /// A compaction begins or has ended: `PreCompact` and `PostCompact` of one compaction are one row, which stands
    /// until the transcript's own record of it is read. An end makes a row only where none is known: its beginning
    /// came before, or the transcript will tell.
    Compaction {
        /// The client's id of the prompt it came with.
        prompt_id: Option<String>,
        /// What set it off.
        trigger: CompactionTrigger,
        /// Whether this is its beginning.
        begins: bool,
    },
    /// The client has closed the session.
    SessionEnd {
        /// Why, in the client's words.
        reason: Option<String>,
    },
}

/// What the ledger knows of a session before a call of it is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionKnowledge {
    /// The model of the main conversation; a session's first turn is over before its transcript tells.
    pub model: Option<ModelId>,
    /// That model, or while it is not known that of one of the newest sessions.
    pub likely_model: Option<ModelId>,
    /// The client's version.
    pub client_version: Option<String>,
    /// The key that makes input hashes this ledger's own; `None` while the ledger cannot be read.
    pub hash_key: Option<[u8; 16]>,
    /// What was learned of the model's tokens, as it is kept.
    pub calibration: Option<String>,
    /// Whether there are budgets.
    pub has_budgets: bool,
    /// The alerts that are switched on, as they are kept.
    pub alerts: Option<String>,
}

impl<L: Deref<Target = Ledger>> Events<L> {
    /// What is known of a session, for an event of it.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_knowledge(&self, session: &SessionId) -> Result<SessionKnowledge, StoreError> {
        // Several small statements: one for all takes longer to compile than these together.
        const LIKELY: &str = "SELECT model FROM (SELECT model FROM sessions ORDER BY id DESC LIMIT 8)
          WHERE model IS NOT NULL LIMIT 1";
        const META: &str = "SELECT name, value FROM meta WHERE name IN (?1, ?2, ?3)";
        const BUDGETS: &str = "SELECT 1 FROM budgets LIMIT 1";
        let look_up = || -> rusqlite::Result<SessionKnowledge> {
            let model = |name: Option<String>| name.and_then(|name| ModelId::new(&name));
            let mut known = SessionKnowledge::default();
            if let Some((name, version)) = self.0.model_and_version(session)? {
                (known.model, known.client_version) = (model(name), version);
            }
            known.likely_model = match &known.model {
                Some(model) => Some(model.clone()),
                None => model(self.0.conn.query_row(LIKELY, [], |row| row.get(0)).optional()?),
            };
            let calibration = known.likely_model.as_ref().map(meta::calibration);
            let mut query = self.0.conn.prepare(META)?;
            let mut rows = query.query([
                Some(ALERTS.name()),
                Some(HASH_KEY.name()),
                calibration.as_ref().map(MetaKey::name),
            ])?;
            while let Some(row) = rows.next()? {
                let name = row.get_ref(0)?.as_str()?;
                if name == ALERTS.name() {
                    known.alerts = row.get(1)?;
                } else if name == HASH_KEY.name() {
                    known.hash_key = row.get(1)?;
                } else {
                    known.calibration = row.get(1)?;
                }
            }
            known.has_budgets = self.0.conn.prepare(BUDGETS)?.exists([])?;
            Ok(known)
        };
        look_up().map_err(StoreError::query("look up the session"))
    }

    /// The client's version, as the session's transcript names it.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn client_version(&self, session: &SessionId) -> Result<Option<String>, StoreError> {
        let known = self.0.model_and_version(session).map_err(StoreError::query("look up the session"))?;
        Ok(known.and_then(|(_, version)| version))
    }

    /// Which of these calls have a row, so that what the model wrote for them need not be counted again.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn has_call(&self, session: &SessionId, call: &ToolUseId) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT 1 FROM tool_calls WHERE tool_use_id = ?2 \
            AND session = (SELECT id FROM sessions WHERE session_id = ?1)";
        self.0
            .conn
            .prepare_cached(SQL)
            .and_then(|mut query| query.exists([session.as_str(), call.as_str()]))
            .map_err(StoreError::query("look up the tool call"))
    }
}

impl<L: DerefMut<Target = Ledger>> Events<L> {
    /// Stores an event, after those that wait in the spool.
    ///
    /// # Errors
    /// If the ledger cannot be written. If [`StoreError::is_busy`] it may go to the spool.
    pub fn record(&mut self, event: &Event) -> Result<(), StoreError> {
        self.0.record_with(|tx| apply(tx, event).map(|_| ()))
    }

    /// Stores all events that wait in the spool.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn empty_spool(&mut self) -> Result<(), StoreError> {
        while let Some(spool) = self.0.waiting_spool() {
            let applied = self.0.write(STORE_WAITING, |tx| spool.apply_waiting(tx))?;
            spool.remove(&applied);
            if applied.new == 0 {
                break;
            }
        }
        Ok(())
    }
}

impl Ledger {
    fn model_and_version(
        &self,
        session: &SessionId,
    ) -> rusqlite::Result<Option<(Option<String>, Option<String>)>> {
        const SQL: &str = "SELECT model, client_version FROM sessions WHERE session_id = ?1";
        self.conn.query_row(SQL, [session.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    }

    /// Stores what waits in the spool, and after it what `body` writes, in one transaction.
    pub(super) fn record_with<T>(
        &mut self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let spool = self.waiting_spool();
        let (applied, result) = self.write("record the event", |tx| {
            let applied = spool.as_ref().map(|spool| spool.apply_waiting(tx)).transpose()?;
            Ok((applied, body(tx)?))
        })?;
        if let (Some(spool), Some(applied)) = (spool, applied) {
            spool.remove(&applied);
        }
        Ok(result)
    }

    fn waiting_spool(&self) -> Option<Spool> {
        self.spool.as_ref().filter(|spool| spool.exists()).cloned()
    }
}

/// Writes an event's rows; returns its session.
pub(super) fn apply(conn: &Connection, event: &Event) -> rusqlite::Result<SessionRow> {
    let session = touch(conn, &event.observation, &event.change)?;
    apply_change(conn, session, event)?;
    Ok(session)
}

fn apply_change(conn: &Connection, session: SessionRow, event: &Event) -> rusqlite::Result<()> {
    let observation = &event.observation;
    match &event.change {
        EventKind::Seen => Ok(()),
        EventKind::ToolCall { call, started, task } => {
            record_call(conn, session, call)?;
            if let (Some(kind), Some(id)) = (task, &call.id) {
                let change = TaskChange { call: id.clone(), at: Some(call.at), kind: kind.clone() };
                contexts::note_task_change(conn, session, &change)?;
            }
            started.as_ref().map_or(Ok(()), |run| record_run(conn, session, run))
        }
        EventKind::ToolBatch { calls } => calls.iter().try_for_each(|call| record_call(conn, session, call)),
        EventKind::Prompt { prompt_id } => record_prompt(conn, session, prompt_id.as_deref(), observation.at),
        EventKind::AgentRun { run } => record_run(conn, session, run),
        EventKind::Compaction { prompt_id, trigger, begins } => {
            record_compaction(conn, session, prompt_id.as_deref(), *trigger, *begins, observation.at)
        }
        EventKind::SessionEnd { reason } => {
            conn.execute(
                "UPDATE sessions SET ended_at = ?2, end_reason = ?3 WHERE id = ?1",
                params![session.0, observation.at.as_millis(), reason],
            )?;
            ended::note(conn, session)
        }
    }
}

/// Notes a sign of life. The project is the one that the client names, else the first folder that was seen.
///
/// Work sets a session that was final under way again. After the session's end it can only be a late event, but for
/// a prompt.
fn touch(
    conn: &Connection,
    observation: &SessionObservation,
    change: &EventKind,
) -> rusqlite::Result<SessionRow> {
    // A sign of life that is a day ahead of this one came from a clock that was wrong.
    // A statement that names an indexed column writes the index again, whether its value changes or not: the project
    // is named only where it is another one.
    const SEEN: &str = "UPDATE sessions SET
           hook_first_at = coalesce(hook_first_at, ?2),
           hook_last_at = iif(hook_last_at > ?2 + 86400000, ?2, max(coalesce(hook_last_at, ?2), ?2)),
           last_seen_at = iif(last_seen_at > ?2 + 86400000, ?2, max(last_seen_at, ?2)),
           transcript_path = coalesce(?5, transcript_path),
           kind = CASE WHEN kind = 'scheduled' THEN kind ELSE coalesce(?6, kind) END,
           model = coalesce(?7, model),
           finalized_at = iif(?8 AND ended_at IS NULL, NULL, finalized_at),
           changed = -abs(changed)
         WHERE session_id = ?1 AND iif(?4, project IS ?3 AND project_named, project IS NOT NULL OR ?3 IS NULL)
         RETURNING id";
    const PLACED: &str = "UPDATE sessions SET
           project = CASE WHEN ?3 THEN ?2 ELSE coalesce(project, ?2) END,
           project_named = max(project_named, ?3)
         WHERE session_id = ?1";
    let (project, named) = match &observation.project {
        Some((project, named)) => (Some(project.as_str()), *named),
        None => (None, false),
    };
    let reopens = matches!(
        change,
        EventKind::ToolCall { .. } | EventKind::ToolBatch { .. } | EventKind::AgentRun { .. }
    );
    let mut update = conn.prepare_cached(SEEN)?;
    let mut seen = || {
        update
            .query_row(
                params![
                    observation.id.as_str(),
                    observation.at.as_millis(),
                    project,
                    named,
                    observation.transcript,
                    observation.kind.map(SessionKind::name),
                    observation.model.as_ref().map(ModelId::as_str),
                    reopens,
                ],
                |row| row.get(0).map(SessionRow),
            )
            .optional()
    };
    if let Some(row) = seen()? {
        return Ok(row);
    }
    let row = session_row(conn, &observation.id, observation.client)?;
    conn.execute(PLACED, params![observation.id.as_str(), project, named])?;
    seen()?;
    Ok(row)
}

/// Inserts a call or joins it with what is known of it: an event of its own beats a batch in everything but the
/// returned tokens, where the batch has the exact text.
fn record_call(conn: &Connection, session: SessionRow, call: &ToolCall) -> rusqlite::Result<()> {
    let ok = match call.outcome {
        ToolOutcome::Ok => Some(true),
        ToolOutcome::Failed => Some(false),
        ToolOutcome::Unreported => None,
    };
    let inserted = conn
        .prepare_cached(
            // All columns in the table's order: to look 24 names up takes as long as all the rest of compiling it. One column
            // more, and SQLite refuses it.
            "INSERT OR IGNORE INTO tool_calls
             VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            session.0,
            call.id.as_ref().map(ToolUseId::as_str),
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
            call.raw.map(|raw| signed(raw.generated)),
            call.raw.map(|raw| signed(raw.returned)),
        ])?;
    if inserted == 0 {
        join_call(conn, session, call, ok)?;
    }
    Ok(())
}

/// Joins a call with the row that is there. A statement of its own, so that the usual call does not pay for it.
fn join_call(
    conn: &Connection,
    session: SessionRow,
    call: &ToolCall,
    ok: Option<bool>,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE tool_calls SET
           at = iif(ok IS NULL, ?3, at),
           duration_ms = coalesce(duration_ms, ?4),
           lines_added = iif(ok IS NULL, ?5, lines_added),
           lines_removed = iif(ok IS NULL, ?6, lines_removed),
           response_bytes = iif(ok IS NULL, ?7, response_bytes),
           returned_tokens = iif(?10 > refined OR (?10 AND raw_returned_tokens IS NOT ?12), ?8, returned_tokens),
           returned_method = iif(?10 >= refined, ?9, returned_method),
           raw_returned_tokens = iif(?10 >= refined, ?12, raw_returned_tokens),
           refined = max(refined, ?10),
           ok = coalesce(ok, ?11)
         WHERE session = ?1 AND tool_use_id = ?2",
    )?
    .execute(params![
        session.0,
        call.id.as_ref().map(ToolUseId::as_str),
        call.at.as_millis(),
        call.duration_ms.map(signed),
        signed(call.lines.added),
        signed(call.lines.removed),
        signed(call.response_bytes),
        signed(call.returned.tokens),
        call.returned.method.name(),
        call.outcome == ToolOutcome::Unreported,
        ok,
        call.raw.map(|raw| signed(raw.returned)),
    ])?;
    Ok(())
}

pub(super) fn record_run(
    conn: &Connection,
    session: SessionRow,
    run: &AgentObservation,
) -> rusqlite::Result<()> {
    // Allocations are added up by type of run.
    allocations::touch(conn, session)?;
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

fn record_prompt(
    conn: &Connection,
    session: SessionRow,
    prompt_id: Option<&str>,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE sessions SET finalized_at = NULL, ended_at = NULL, end_reason = NULL WHERE id = ?1",
        [session.0],
    )?;
    conn.execute(
        "INSERT INTO prompts (session, prompt_id, at) SELECT ?1, ?2, ?3 \
         WHERE ?2 IS NULL OR NOT EXISTS (SELECT 1 FROM prompts WHERE session = ?1 AND prompt_id = ?2)",
        params![session.0, prompt_id, at.as_millis()],
    )?;
    Ok(())
}

fn record_compaction(
    conn: &Connection,
    session: SessionRow,
    prompt_id: Option<&str>,
    trigger: CompactionTrigger,
    begins: bool,
    at: Timestamp,
) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO compactions (session, prompt_id, trigger, at) SELECT ?1, ?3, ?2, ?5 \
         WHERE NOT EXISTS (SELECT 1 FROM compactions WHERE session = ?1 AND trigger = ?2 \
           AND (NOT ?4 OR (prompt_id IS ?3 AND +uuid IS NULL)))",
        params![session.0, trigger.name(), prompt_id, begins, at.as_millis()],
    )?;
    Ok(())
}
