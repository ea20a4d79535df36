//! Every tool call of the ledger, for `export`.

use std::collections::HashMap;
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::Records;
use super::queries::{optional_unsigned, unsigned};
use super::{Ledger, SessionRow, StoreError};
use crate::domain::Timestamp;

/// How much is kept of sessions at a time: changes of models and types of runs. A session has few of either, and calls that
/// follow each other are of few sessions.
const MAX_KEPT: usize = 50_000;

/// A tool call, for `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRecord<'r> {
    /// The provider's id.
    pub tool_use_id: Option<&'r str>,
    /// The session's row.
    pub session: SessionRow,
    /// Its id.
    pub session_id: &'r str,
    /// The subagent run; `None` for the main conversation.
    pub agent_id: Option<&'r str>,
    /// The run's type.
    pub agent_type: Option<&'r str>,
    /// The tool.
    pub tool: &'r str,
    /// When the hook heard of it.
    pub at: Timestamp,
    /// How long it ran.
    pub duration_ms: Option<u64>,
    /// Whether it succeeded.
    pub ok: bool,
    /// Tokens that the model wrote.
    pub generated: u64,
    /// Tokens that the model wrote, by the encoding's own count.
    pub raw_generated: u64,
    /// How they were counted.
    pub generated_method: &'r str,
    /// Tokens that the model read as the result.
    pub returned: u64,
    /// Tokens that the model read as the result, by the encoding's own count.
    pub raw_returned: u64,
    /// How they were counted.
    pub returned_method: &'r str,
    /// The input's keyed hash.
    pub input_hash: Option<i64>,
    /// What the call was for.
    pub action_type: &'r str,
    /// The agent's or skill's name.
    pub action_name: Option<&'r str>,
    /// The model that made the call.
    pub model: Option<&'r str>,
}

impl<L: Deref<Target = Ledger>> Records<L> {
    /// Hands every tool call to `each`, in the order in which they were recorded.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `each` returns.
    pub fn for_each_call<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(CallRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for_each(&self.0.conn, None, |call, _| each(call))
    }
}

/// The columns of [`CallSessions::call`], and the row.
macro_rules! calls {
    ($of:literal) => {
        concat!(
            "SELECT session, tool_use_id, agent_id, agent_type, tool, at, duration_ms, ok, generated_tokens,
            generated_method, returned_tokens, returned_method, input_hash, action_type, action_name, model,
            coalesce(raw_generated_tokens, generated_tokens), coalesce(raw_returned_tokens, returned_tokens), id
          FROM tool_calls WHERE ",
            $of,
            "ok IS NOT NULL ORDER BY id"
        )
    };
}

/// Hands tool calls and their rows to `each`, of one session or of all, in the order in which they were recorded.
pub(super) fn for_each<E: From<StoreError>>(
    conn: &Connection,
    of: Option<SessionRow>,
    mut each: impl FnMut(CallRecord<'_>, i64) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| E::from(StoreError::Query { what: "read the tool calls", source });
    let mut sessions = CallSessions::default();
    let sql = if of.is_some() { calls!("session = ?1 AND ") } else { calls!("") };
    let mut statement = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(of.map(|session| session.0))).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if let Some(call) = sessions.call(conn, row).map_err(failed)? {
            each(call, row.get(18).map_err(failed)?)?;
        }
    }
    Ok(())
}

/// What sessions tell of their calls. It is looked up once a session: asked for each call, the model alone took most of an
/// export's time, for between two answers of one agent there can be any number of others.
#[derive(Default)]
struct CallSessions {
    known: HashMap<i64, Option<Facts>>,
    kept: usize,
}

/// What a session tells of its calls.
struct Facts {
    id: String,
    is_scheduled: bool,
    model: Option<String>,
    /// The types of its subagents' runs.
    types: HashMap<String, String>,
    /// From when on which model answered in the main conversation, in the order of time.
    main_models: Vec<(i64, String)>,
    /// From when on which model answered in each agent run, by the id of its agent, in the order of time.
    run_models: HashMap<String, Vec<(i64, String)>>,
}

impl CallSessions {
    /// A row of [`Records::for_each_call`]; `None` if there is no such session.
    fn call<'r>(
        &'r mut self,
        conn: &Connection,
        row: &'r Row<'_>,
    ) -> rusqlite::Result<Option<CallRecord<'r>>> {
        let session: i64 = row.get(0)?;
        if !self.known.contains_key(&session) {
            let facts = Facts::read(conn, session)?;
            self.kept += 1 + facts.as_ref().map_or(0, Facts::size);
            if self.kept > MAX_KEPT {
                self.known.clear();
                self.kept = 1 + facts.as_ref().map_or(0, Facts::size);
            }
            self.known.insert(session, facts);
        }
        let Some(Some(facts)) = self.known.get(&session) else { return Ok(None) };
        let text = |column: usize| -> rusqlite::Result<Option<&'r str>> {
            Ok(row.get_ref(column)?.as_str_or_null()?)
        };
        let name = |column: usize| -> rusqlite::Result<&'r str> { Ok(row.get_ref(column)?.as_str()?) };
        let (agent_id, agent_type, at) = (text(2)?, text(3)?, row.get(5)?);
        let model = match facts.model_at(agent_id, at) {
            Some(model) => Some(model),
            None => text(15)?.or_else(|| facts.model.as_deref().filter(|_| agent_id.is_none())),
        };
        let action_type = name(13)?;
        Ok(Some(CallRecord {
            tool_use_id: text(1)?,
            session: SessionRow(session),
            session_id: &facts.id,
            agent_type: agent_type.or_else(|| facts.types.get(agent_id?).map(String::as_str)),
            agent_id,
            tool: name(4)?,
            at: Timestamp::from_millis(at),
            duration_ms: optional_unsigned(row, 6)?,
            ok: row.get(7)?,
            generated: unsigned(row, 8)?,
            generated_method: name(9)?,
            returned: unsigned(row, 10)?,
            returned_method: name(11)?,
            input_hash: row.get(12)?,
            action_type: match action_type {
                "manual" if facts.is_scheduled => "scheduled",
                other => other,
            },
            action_name: text(14)?,
            model,
            raw_generated: unsigned(row, 16)?,
            raw_returned: unsigned(row, 17)?,
        }))
    }
}

impl Facts {
    fn read(conn: &Connection, session: i64) -> rusqlite::Result<Option<Self>> {
        const SESSION: &str = "SELECT session_id, kind IS 'scheduled', model FROM sessions WHERE id = ?1";
        const TYPES: &str =
            "SELECT agent_id, agent_type FROM agent_runs WHERE session = ?1 AND agent_type IS NOT NULL";
        // What other models did beside an answer is none.
        const MODELS: &str =
            "SELECT agent_id, at, model FROM responses WHERE session = ?1 AND model IS NOT NULL
            AND at IS NOT NULL AND message_id NOT LIKE '%/advisor/%' AND message_id NOT LIKE '%/attempt/%'
          ORDER BY at, message_id";
        let read = |row: &Row<'_>| -> rusqlite::Result<Self> {
            Ok(Self {
                id: row.get(0)?,
                is_scheduled: row.get(1)?,
                model: row.get(2)?,
                types: HashMap::new(),
                main_models: Vec::new(),
                run_models: HashMap::new(),
            })
        };
        let Some(mut facts) = conn.prepare_cached(SESSION)?.query_row([session], read).optional()? else {
            return Ok(None);
        };
        let mut types = conn.prepare_cached(TYPES)?;
        facts.types = types
            .query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut models = conn.prepare_cached(MODELS)?;
        let mut rows = models.query([session])?;
        while let Some(row) = rows.next()? {
            let at: i64 = row.get(1)?;
            let model = row.get_ref(2)?.as_str()?;
            let changes = match row.get_ref(0)?.as_str_or_null()? {
                None => &mut facts.main_models,
                Some(run) => facts.run_models.entry(run.to_owned()).or_default(),
            };
            match changes.last_mut() {
                Some((_, last)) if last == model => {}
                // Of answers at one moment the last one counts.
                Some((since, last)) if *since == at => model.clone_into(last),
                _ => changes.push((at, model.to_owned())),
            }
        }
        Ok(Some(facts))
    }

    /// The model of the agent's last answer by then.
    fn model_at(&self, agent: Option<&str>, at: i64) -> Option<&str> {
        let changes = match agent {
            None => &self.main_models,
            Some(run) => self.run_models.get(run)?,
        };
        let after = changes.partition_point(|(since, _)| *since <= at);
        changes.get(after.checked_sub(1)?).map(|(_, model)| model.as_str())
    }

    fn size(&self) -> usize {
        self.types.len() + self.main_models.len() + self.run_models.values().map(Vec::len).sum::<usize>()
    }
}
