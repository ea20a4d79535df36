//! What alerts remember from event to event: values of `meta`, for only who has switched them on has any, and a table more
//! would be read by every hook's process.

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Serialize, de::DeserializeOwned};

use super::budget_totals;
use super::writer::unsigned;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{AlertState, Alerts, Baseline, PicoUsd, SessionId};

/// Which alerts are on.
pub(super) const SETTINGS: &str = "alerts";

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

impl Ledger {
    /// The alerts that are switched on.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn alerts(&self) -> Result<Alerts, StoreError> {
        let found = text(&self.conn, SETTINGS).map_err(StoreError::query("look up the alerts"))?;
        Ok(Alerts::parse(found.as_deref().unwrap_or_default()))
    }

    /// Switches alerts.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn set_alerts(&mut self, alerts: &Alerts) -> Result<(), StoreError> {
        let kept_as = alerts.to_string();
        self.write("change the alerts", |tx| {
            if kept_as.is_empty() {
                tx.execute("DELETE FROM meta WHERE name = ?1 OR name LIKE 'alerts:%'", [SETTINGS])?;
                budget_totals::forget_sessions(tx)
            } else {
                put(tx, SETTINGS, &kept_as)
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
        self.write("watch the session", |tx| {
            let Some((row, ..)) = known(tx, session)? else { return Ok(None) };
            let name = of_session(row);
            let before: AlertState = state(tx, &name)?;
            let mut watch = before.clone();
            let said = look(&mut watch);
            put_state(tx, &name, &before, &watch)?;
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
        self.write("watch the session", |tx| {
            let Some((row, project, model)) = known(tx, session)? else { return Ok(None) };
            let (of_session, of_project) =
                (of_session(row), format!("{SETTINGS}:{}", project.unwrap_or_default()));
            let used = budget_totals::of_session(tx, row)?;
            let (before, habit): (AlertState, Baseline) = (state(tx, &of_session)?, state(tx, &of_project)?);
            let mut watch = before.clone();
            let mut watched =
                StoredAlertState { session: row, model, cost: used.cost, tokens: used.tokens, habit };
            let said = look(&mut watch, &mut watched);
            put_state(tx, &of_session, &before, &watch)?;
            put_state(tx, &of_project, &habit, &watched.habit)?;
            Ok(Some(said))
        })
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
            let last = self.conn.prepare_cached(LAST)?.query_row([session.0], |row| row.get(0)).optional()?;
            let compacted = self.conn.prepare_cached(COMPACTED)?.query_row([session.0], |row| row.get(0))?;
            Ok((last, compacted))
        };
        let (last, compacted) = read().map_err(StoreError::query("look up the context"))?;
        Ok((last.map(unsigned), compacted.map(unsigned)))
    }
}

/// The name under which a session is remembered. A project's is its path, which is no number.
fn of_session(session: SessionRow) -> String {
    format!("{SETTINGS}:{}", session.0)
}

/// Forgets a session.
pub(super) fn forget(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM meta WHERE name = ?1", [of_session(session)])?;
    Ok(())
}

type Known = (SessionRow, Option<String>, Option<String>);

fn known(conn: &Connection, session: &SessionId) -> rusqlite::Result<Option<Known>> {
    conn.prepare_cached("SELECT id, project, model FROM sessions WHERE session_id = ?1")?
        .query_row([session.as_str()], |row| Ok((SessionRow(row.get(0)?), row.get(1)?, row.get(2)?)))
        .optional()
}

fn text(conn: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

fn put(conn: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute([name, value])?;
    Ok(())
}

/// What is remembered under a name; nothing, if it cannot be read.
fn state<T: DeserializeOwned + Default>(conn: &Connection, name: &str) -> rusqlite::Result<T> {
    Ok(text(conn, name)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn put_state<T: Serialize + PartialEq>(
    conn: &Connection,
    name: &str,
    before: &T,
    now: &T,
) -> rusqlite::Result<()> {
    if before == now {
        return Ok(());
    }
    let text = serde_json::to_string(now)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    put(conn, name, &text)
}
