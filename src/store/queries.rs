//! What reports ask. One function per question; the SQL is a constant beside it.

use std::ops::Deref;

use rusqlite::{OptionalExtension as _, Row, params};

use super::Sessions;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{SessionId, Timestamp};

/// A session as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Its row.
    pub row: SessionRow,
    /// Its id.
    pub id: String,
    /// Its client's name.
    pub client: String,
    /// The client's version.
    pub client_version: Option<String>,
    /// Who drove it.
    pub kind: Option<String>,
    /// The project's folder.
    pub project: Option<String>,
    /// The branch.
    pub git_branch: Option<String>,
    /// The client's title of it.
    pub topic: Option<String>,
    /// The last model of the main conversation.
    pub model: Option<String>,
    /// The main transcript.
    pub transcript: Option<String>,
    /// First sign of it: the transcript's, else a hook's.
    pub started_at: Option<Timestamp>,
    /// Last sign of it.
    pub last_activity_at: Option<Timestamp>,
    /// When the client closed it.
    pub ended_at: Option<Timestamp>,
    /// When its figures were last the provider's up to the end; `None` while a turn is under way.
    pub finalized_at: Option<Timestamp>,
}

const SESSION: &str =
    "SELECT id, session_id, client, client_version, kind, project, git_branch, topic, model,
    transcript_path, coalesce(forked_at, log_first_at, hook_first_at) AS started_at,
    iif(finalized_at IS NULL, nullif(max(coalesce(hook_last_at, 0), coalesce(log_last_at, 0)), 0),
      coalesce(log_last_at, hook_last_at)) AS last_activity_at,
    ended_at, finalized_at
  FROM sessions ";

/// The latest first, as seen at `?1`. A sign of life a day after that came from a clock that was wrong: the session is as late
/// as what else is known of it.
const LATEST_FIRST: &str = "ORDER BY iif(last_seen_at <= ?1 + 86400000, last_seen_at,
    coalesce(iif(log_last_at <= ?1, log_last_at, NULL), iif(hook_first_at <= ?1, hook_first_at, NULL), 0)) DESC,
  last_seen_at DESC, id DESC";

fn session_record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        row: SessionRow(row.get(0)?),
        id: row.get(1)?,
        client: row.get(2)?,
        client_version: row.get(3)?,
        kind: row.get(4)?,
        project: row.get(5)?,
        git_branch: row.get(6)?,
        topic: row.get(7)?,
        model: row.get(8)?,
        transcript: row.get(9)?,
        started_at: time(row, 10)?,
        last_activity_at: time(row, 11)?,
        ended_at: time(row, 12)?,
        finalized_at: time(row, 13)?,
    })
}

/// A subagent run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRun {
    /// Its id.
    pub agent_id: String,
    /// Its type.
    pub agent_type: Option<String>,
    /// When it started: its transcript's first time, else the hook's.
    pub started_at: Option<Timestamp>,
    /// When it ended or was last heard of, likewise.
    pub ended_at: Option<Timestamp>,
    /// What the defaults table says of its type, over all its responses.
    pub default_billed_tokens: Option<u64>,
}

/// Calls of one tool by one agent within a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallGroup {
    /// The tool.
    pub tool: String,
    /// The subagent run; `None` for the main conversation.
    pub agent_id: Option<String>,
    /// The run's type, as the calls name it.
    pub agent_type: Option<String>,
    /// The skill, for calls that start one.
    pub skill: Option<String>,
    /// Calls, and of those the failed ones.
    pub calls: u64,
    /// Failed calls.
    pub failures: u64,
    /// Tokens that the model wrote.
    pub generated: u64,
    /// Tokens that it read as results.
    pub returned: u64,
    /// Tokens written and tokens read as results together, by the encoding's own count, before calibration.
    pub raw: u64,
    /// The calls among them that no known response follows.
    pub pending: PendingCalls,
    /// Time that the tool ran, in milliseconds.
    pub duration_ms: u64,
    /// The last call.
    pub last_at: Option<Timestamp>,
}

/// Calls after the last response that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PendingCalls {
    /// Calls.
    pub calls: u64,
    /// Tokens that the model wrote.
    pub generated: u64,
    /// Tokens that it will read.
    pub returned: u64,
    /// Tokens written and tokens to be read together, by the encoding's own count.
    pub raw: u64,
}

/// A compaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionRow {
    /// When.
    pub at: Option<Timestamp>,
    /// What set it off.
    pub trigger: String,
    /// The context before, in tokens; unknown until the transcript tells.
    pub tokens_before: Option<u64>,
    /// The context after, in tokens; unknown until the transcript tells.
    pub tokens_after: Option<u64>,
}

/// The last known size of the main conversation's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextSize {
    /// Tokens.
    pub tokens: u64,
    /// When it had that size.
    pub at: Option<Timestamp>,
}

/// What the ledger holds of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUse {
    /// The model's id, as the log gives it; `None` where it gives none.
    pub model: Option<String>,
    /// Responses.
    pub responses: u64,
    /// Their tokens, of all classes.
    pub tokens: u64,
}

impl<L: Deref<Target = Ledger>> Sessions<L> {
    /// The session of that id, or of the only id that starts so.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        let exact = self
            .0
            .conn
            .query_row(&format!("{SESSION} WHERE session_id = ?1"), [id], session_record)
            .optional()
            .map_err(StoreError::query("look up the session"))?;
        if exact.is_some() || id.is_empty() {
            return Ok(exact);
        }
        let sql = format!("{SESSION} WHERE substr(session_id, 1, length(?1)) = ?1 LIMIT 2");
        let mut found = self.0.sessions_by(&sql, params![id])?;
        Ok(if found.len() == 1 { found.pop() } else { None })
    }

    /// The beginning of a session's ID that no other session's has: eight characters, or as many more as it takes. IDs that begin
    /// with the time are alike for a minute, and some clients put a word before each.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn short_id(&self, id: &str) -> Result<String, StoreError> {
        const LEAST: usize = 8;
        const NEIGHBORS: [&str; 2] = [
            "SELECT max(session_id) FROM sessions WHERE session_id < ?1",
            "SELECT min(session_id) FROM sessions WHERE session_id > ?1",
        ];
        let mut length = LEAST;
        for sql in NEIGHBORS {
            let other: Option<String> = self
                .0
                .conn
                .prepare_cached(sql)
                .and_then(|mut query| query.query_row([id], |row| row.get(0)))
                .map_err(StoreError::query("look up the session"))?;
            let common = other.map_or(0, |other| {
                id.chars().zip(other.chars()).take_while(|(one, another)| one == another).count()
            });
            length = length.max(common + 1);
        }
        Ok(id.chars().take(length).collect())
    }

    /// The session of a project with the latest sign of life, as seen at `now`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn newest_of(&self, project: &str, now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        Ok(self.0.sessions().recent(Some(project), 1, now)?.pop())
    }

    /// Sessions by their last sign of life, the latest first, as seen at `now`; of one project or of all.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn recent(
        &self,
        project: Option<&str>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let of_project = if project.is_some() { "project = ?3" } else { "?3 IS NULL" };
        let sql = format!("{SESSION} WHERE {of_project} {LATEST_FIRST} LIMIT ?2");
        self.0.sessions_by(&sql, params![now.as_millis(), limit, project])
    }

    /// The rows of all sessions by their last sign of life, the latest first, as seen at `now`; with `is_wanted` of those
    /// whose project it accepts.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn latest_first(
        &self,
        is_wanted: Option<&dyn Fn(&str) -> bool>,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        // SQLite keeps whatever is asked for in memory until it is sorted.
        let sql = format!("SELECT id, iif(?2, project, NULL) FROM sessions {LATEST_FIRST}");
        let read = || -> rusqlite::Result<Vec<SessionRow>> {
            let mut query = self.0.conn.prepare_cached(&sql)?;
            let mut rows = query.query(params![now.as_millis(), is_wanted.is_some()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let project = row.get_ref(1)?.as_str_or_null()?;
                if is_wanted.is_none_or(|is_wanted| project.is_some_and(is_wanted)) {
                    found.push(SessionRow(row.get(0)?));
                }
            }
            Ok(found)
        };
        read().map_err(StoreError::query("list the sessions"))
    }

    /// The records of some sessions, in the order of `sessions`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn records(&self, sessions: &[SessionRow]) -> Result<Vec<SessionRecord>, StoreError> {
        let read = || -> rusqlite::Result<Vec<SessionRecord>> {
            let mut query = self.0.conn.prepare_cached(&format!("{SESSION} WHERE id = ?1"))?;
            let mut records = Vec::with_capacity(sessions.len());
            for session in sessions {
                // Another process can have deleted it since its row was read.
                records.extend(query.query_row([session.0], session_record).optional()?);
            }
            Ok(records)
        };
        read().map_err(StoreError::query("list the sessions"))
    }

    /// All sessions, in the order in which they were first heard of.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn all(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.0.sessions_by(&format!("{SESSION} ORDER BY id"), [])
    }

    /// Sessions of a project that were never completed: no end, and no turn's end after their last event.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn unfinished(
        &self,
        project: &str,
        except: &SessionId,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let sql = format!(
            "{SESSION} WHERE project = ?1 AND session_id != ?2 AND finalized_at IS NULL \
             ORDER BY last_seen_at DESC LIMIT ?3"
        );
        self.0.sessions_by(&sql, params![project, except.as_str(), limit])
    }

    /// The projects that have sessions.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn projects(&self) -> Result<Vec<String>, StoreError> {
        self.0.all(
            "list the projects",
            "SELECT DISTINCT project FROM sessions WHERE project IS NOT NULL",
            [],
            |row| row.get(0),
        )
    }

    /// A session's subagent runs.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn agent_runs(&self, session: SessionRow) -> Result<Vec<AgentRun>, StoreError> {
        const SQL: &str = "SELECT agent_id, agent_type, coalesce(log_first_at, started_at),
            CASE WHEN log_last_at IS NULL THEN ended_at ELSE log_last_at END, default_billed_tokens
          FROM agent_runs WHERE session = ?1 ORDER BY 3, agent_id";
        self.0.all("read the session's subagents", SQL, [session.0], |row| {
            Ok(AgentRun {
                agent_id: row.get(0)?,
                agent_type: row.get(1)?,
                started_at: time(row, 2)?,
                ended_at: time(row, 3)?,
                default_billed_tokens: optional_unsigned(row, 4)?,
            })
        })
    }

    /// How many turns a session had.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn turns(&self, session: SessionRow) -> Result<u64, StoreError> {
        let count = || {
            self.0
                .conn
                .prepare_cached("SELECT count(*) FROM prompts WHERE session = ?1")?
                .query_row([session.0], |row| unsigned(row, 0))
        };
        count().map_err(StoreError::query("count the turns"))
    }

    /// A session's compactions.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn compactions(&self, session: SessionRow) -> Result<Vec<CompactionRow>, StoreError> {
        const SQL: &str = "SELECT at, trigger, tokens_before, tokens_after FROM compactions
          WHERE session = ?1 ORDER BY at, id";
        self.0.all("read the session's compactions", SQL, [session.0], |row| {
            Ok(CompactionRow {
                at: time(row, 0)?,
                trigger: row.get(1)?,
                tokens_before: optional_unsigned(row, 2)?,
                tokens_after: optional_unsigned(row, 3)?,
            })
        })
    }

    /// The context's size after the main conversation's last response.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn context_size(&self, session: SessionRow) -> Result<Option<ContextSize>, StoreError> {
        let last = super::responses::last_of(&self.0.conn, session)
            .map_err(StoreError::query("read the context's size"))?;
        Ok(last.map(|last| ContextSize { tokens: last.last_iteration().total(), at: last.at }))
    }

    /// The models that answered, by their tokens.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn models(&self) -> Result<Vec<ModelUse>, StoreError> {
        let mut models = Vec::new();
        self.0.sessions().for_each_model(|model| models.push(model))?;
        Ok(models)
    }

    /// Hands the models that answered to `each`, those with the most tokens first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_model(&self, mut each: impl FnMut(ModelUse)) -> Result<(), StoreError> {
        const SQL: &str = "SELECT nullif(model, ''), sum(responses), sum(input_tokens + output_tokens
            + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens) AS tokens
          FROM usage_buckets GROUP BY model ORDER BY tokens DESC, model";
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                each(ModelUse {
                    model: row.get(0)?,
                    responses: unsigned(row, 1)?,
                    tokens: unsigned(row, 2)?,
                });
            }
            Ok(())
        };
        read().map_err(StoreError::query("list the models"))
    }
}

impl Ledger {
    /// A session by its row; `None` if it is gone.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_of_row(&self, row: SessionRow) -> Result<Option<SessionRecord>, StoreError> {
        self.conn
            .prepare_cached(&format!("{SESSION} WHERE id = ?1"))
            .and_then(|mut query| query.query_row([row.0], session_record).optional())
            .map_err(StoreError::query("look up the session"))
    }

    /// When a hook last wrote.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn last_event_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.conn
            .query_row("SELECT max(hook_last_at) FROM sessions", [], |row| time(row, 0))
            .map_err(StoreError::query("look up the last event"))
    }

    /// How long the hooks of the last thousand tool calls took up to their writes, in microseconds.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn recent_hook_micros(&self) -> Result<Vec<u64>, StoreError> {
        const SQL: &str =
            "SELECT hook_us FROM (SELECT id, hook_us FROM tool_calls ORDER BY id DESC LIMIT 1000)
          WHERE hook_us IS NOT NULL";
        self.all("read the hook's times", SQL, [], |row| unsigned(row, 0))
    }

    /// What SQLite finds wrong with the file; `None` if it is sound.
    ///
    /// # Errors
    /// If the check cannot be run.
    pub fn fault(&self) -> Result<Option<String>, StoreError> {
        let verdict: String = self
            .conn
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .map_err(StoreError::query("check the ledger"))?;
        Ok((verdict != "ok").then_some(verdict))
    }

    fn sessions_by(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.all("list the sessions", sql, params, session_record)
    }

    pub(super) fn all<T>(
        &self,
        what: &'static str,
        sql: &str,
        params: impl rusqlite::Params,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run =
            || self.conn.prepare_cached(sql)?.query_map(params, each)?.collect::<rusqlite::Result<Vec<T>>>();
        run().map_err(StoreError::query(what))
    }
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

pub(super) fn optional_unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.and_then(|value| u64::try_from(value).ok()))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}
