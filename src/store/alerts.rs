//! What alerts remember from event to event: values of `meta`, for only who has switched them on has any, and a table more
//! would be read by every hook's process.

use std::ops::{Deref, DerefMut};

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, OptionalExtension as _};

use super::AlertTable;
use super::budget_totals;
use super::meta::{self, ALERT_MEMORY, ALERTS, MetaKey, StoredJson};
use super::writer::unsigned;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{AlertState, Alerts, Baseline, PicoUsd, SessionId};

/// What a session has used, when an alert looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAlertState {
    /// The session.
    pub session: SessionRow,
    /// The model of its main conversation.
    pub model: Option<String>,
    /// What it has cost: actual, of what has a price.
    pub cost: PicoUsd,
    /// Tokens of all classes.
    pub tokens: u64,
    /// What turns of its project cost.
    pub habit: Baseline,
}

impl<L: Deref<Target = Ledger>> AlertTable<L> {
    /// The alerts that are switched on.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn chosen(&self) -> Result<Alerts, StoreError> {
        let found = ALERTS.get(&self.0.conn).map_err(StoreError::query("look up the alerts"))?;
        Ok(Alerts::parse(found.as_deref().unwrap_or_default()))
    }

    /// Tokens in the context of a session's main conversation after its last response, and how many it had when the client
    /// compacted it by itself; `None` where that is not known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn context_of(&self, session: SessionRow) -> Result<(Option<u64>, Option<u64>), StoreError> {
        // Among the last responses there may be many of subagents; then the next event looks again.
        const LAST: &str = "SELECT input_tokens + output_tokens + cache_read_tokens + cache_write_5m_tokens
              + cache_write_1h_tokens
            FROM (SELECT * FROM responses WHERE session = ?1 ORDER BY at DESC LIMIT 64)
            WHERE agent_id IS NULL AND source = 0 LIMIT 1";
        const COMPACTED: &str =
            "SELECT max(tokens_before) FROM compactions WHERE session = ?1 AND trigger = 'auto'";
        let read = || -> rusqlite::Result<(Option<i64>, Option<i64>)> {
            let last =
                self.0.conn.prepare_cached(LAST)?.query_row([session.0], |row| row.get(0)).optional()?;
            let compacted =
                self.0.conn.prepare_cached(COMPACTED)?.query_row([session.0], |row| row.get(0))?;
            Ok((last, compacted))
        };
        let (last, compacted) = read().map_err(StoreError::query("look up the context"))?;
        Ok((last.map(unsigned), compacted.map(unsigned)))
    }
}

impl<L: DerefMut<Target = Ledger>> AlertTable<L> {
    /// Switches alerts.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn choose(&mut self, alerts: &Alerts) -> Result<(), StoreError> {
        let kept_as = alerts.to_string();
        self.0.write("change the alerts", |tx| {
            if kept_as.is_empty() {
                ALERTS.delete(tx)?;
                tx.execute("DELETE FROM meta WHERE name LIKE ?1", [ALERT_MEMORY])?;
                budget_totals::forget_sessions(tx)
            } else {
                ALERTS.put(tx, &kept_as)
            }
        })
    }

    /// Lets `look` change what is remembered of a session, and returns what it says. `None` if the session is not known.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn watch_calls<T>(
        &mut self,
        session: &SessionId,
        look: impl FnOnce(&mut AlertState) -> T,
    ) -> Result<Option<T>, StoreError> {
        self.0.write("watch the session", |tx| {
            let Some((row, ..)) = known(tx, session)? else { return Ok(None) };
            let key = meta::alert_state(row);
            let before = state(tx, &key)?;
            let mut watch = before.clone();
            let said = look(&mut watch);
            put_state(tx, &key, &before, &watch)?;
            Ok(Some(said))
        })
    }

    /// Lets `look` change what is remembered of a session, knowing what the session has used, and returns what it says.
    /// `None` if the session is not known. What its project's turns cost can be changed too.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn watch_costs<T>(
        &mut self,
        session: &SessionId,
        look: impl FnOnce(&mut AlertState, &mut StoredAlertState) -> T,
    ) -> Result<Option<T>, StoreError> {
        self.0.write("watch the session", |tx| {
            let Some((row, project, model)) = known(tx, session)? else { return Ok(None) };
            let (of_session, of_project) =
                (meta::alert_state(row), meta::baseline(&project.unwrap_or_default()));
            let used = budget_totals::of_session(tx, row)?;
            let (before, habit) = (state(tx, &of_session)?, state(tx, &of_project)?);
            let mut watch = before.clone();
            let mut watched =
                StoredAlertState { session: row, model, cost: used.cost, tokens: used.tokens, habit };
            let said = look(&mut watch, &mut watched);
            put_state(tx, &of_session, &before, &watch)?;
            put_state(tx, &of_project, &habit, &watched.habit)?;
            Ok(Some(said))
        })
    }
}

/// Forgets a session.
pub(super) fn forget(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    meta::alert_state(session).delete(conn)
}

type Known = (SessionRow, Option<String>, Option<String>);

fn known(conn: &Connection, session: &SessionId) -> rusqlite::Result<Option<Known>> {
    conn.prepare_cached("SELECT id, project, model FROM sessions WHERE session_id = ?1")?
        .query_row([session.as_str()], |row| Ok((SessionRow(row.get(0)?), row.get(1)?, row.get(2)?)))
        .optional()
}

/// What is remembered under a name; nothing, if it cannot be read.
fn state<T>(conn: &Connection, key: &MetaKey<StoredJson<T>>) -> rusqlite::Result<T>
where
    T: Default,
    StoredJson<T>: FromSql,
{
    Ok(key.get(conn)?.map(|StoredJson(state)| state).unwrap_or_default())
}

fn put_state<T>(conn: &Connection, key: &MetaKey<StoredJson<T>>, before: &T, now: &T) -> rusqlite::Result<()>
where
    T: Clone + PartialEq,
    StoredJson<T>: ToSql,
{
    if before == now { Ok(()) } else { key.put(conn, &StoredJson(now.clone())) }
}
