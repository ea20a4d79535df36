//! What every write of the ledger shares.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{Ledger, StoreError, refusal};
use crate::domain::{Client, SessionId, Timestamp};

/// A session's row in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionRow(pub(super) i64);

impl SessionRow {
    /// No session's row.
    pub const NONE: Self = Self(0);
}

impl Ledger {
    /// Runs `body` in a transaction of its own, which holds the write lock from its start.
    pub(super) fn write<T>(
        &mut self,
        what: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let is_held = self.view.as_ref().is_some_and(|view| view.is_held);
        if is_held {
            // A view has waited once.
            return Err(StoreError::held(what));
        }
        self.limit_wait();
        let start = std::time::Instant::now();
        let run = || {
            let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = body(&tx)?;
            tx.commit()?;
            Ok(result)
        };
        let result = run().map_err(|error| {
            let source = match self.conn.path().filter(|path| !path.is_empty()) {
                Some(path) => refusal::explained(error, path.as_ref()),
                None => error,
            };
            StoreError::query(what)(source)
        });
        self.waited += start.elapsed();
        if let Some(view) = &mut self.view {
            view.is_held = result.as_ref().is_err_and(StoreError::is_busy);
            self.wait_for_reading();
        }
        result
    }
}

/// Counts are at most [`MAX_COUNT`](crate::domain::MAX_COUNT), far below `i64::MAX`.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The row of a session, made if need be.
pub(super) fn session_row(
    conn: &Connection,
    session: &SessionId,
    client: Client,
) -> rusqlite::Result<SessionRow> {
    session_row_and_own(conn, session, client).map(|(row, _)| row)
}

/// The row of a session, made if need be, and when it has its first record of its own if it shares some with others.
pub(super) fn session_row_and_own(
    conn: &Connection,
    session: &SessionId,
    client: Client,
) -> rusqlite::Result<(SessionRow, Option<Timestamp>)> {
    let found = conn
        .prepare_cached("SELECT id, first_own_at FROM sessions WHERE session_id = ?1")?
        .query_row([session.as_str()], |row| {
            let own_at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
            Ok((SessionRow(row.get(0)?), own_at))
        })
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    conn.prepare_cached("INSERT INTO sessions (session_id, client, last_seen_at) VALUES (?1, ?2, 0)")?
        .execute(params![session.as_str(), client.name()])?;
    Ok((SessionRow(conn.last_insert_rowid()), None))
}

/// The client's id of a session.
pub(super) fn session_id(conn: &Connection, session: SessionRow) -> rusqlite::Result<Option<SessionId>> {
    let id: Option<String> = conn
        .prepare_cached("SELECT session_id FROM sessions WHERE id = ?1")?
        .query_row([session.0], |row| row.get(0))
        .optional()?;
    Ok(id.and_then(|id| SessionId::new(&id)))
}
