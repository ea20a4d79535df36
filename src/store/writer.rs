//! What every write of the ledger shares.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{Ledger, StoreError};
use crate::domain::{Agent, SessionId};

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
    client: Agent,
) -> rusqlite::Result<SessionRow> {
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
