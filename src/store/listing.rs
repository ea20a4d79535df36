//! What lists of all sessions ask, and exports. One function per question; the SQL is a constant beside it.

use std::collections::HashMap;
use std::ops::Deref;

use rusqlite::Row;

use super::Records;
use super::queries::optional_unsigned;
use super::{CompactionRow, Ledger, SessionRow, StoreError};
use crate::domain::{ResponseRecord, Timestamp};

/// How much happened in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Turns.
    pub turns: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Compactions.
    pub compactions: u64,
}

impl<L: Deref<Target = Ledger>> Records<L> {
    /// How much happened in each of some sessions.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_counts(
        &self,
        sessions: &[SessionRow],
    ) -> Result<HashMap<SessionRow, SessionCounts>, StoreError> {
        const SQL: &str = "SELECT value, (SELECT count(*) FROM prompts WHERE session = value),
            (SELECT count(*) FROM tool_calls WHERE session = value AND ok IS NOT NULL),
            (SELECT count(*) FROM compactions WHERE session = value)
          FROM json_each(?1)";
        let rows: Vec<String> = sessions.iter().map(|session| session.0.to_string()).collect();
        let all = self.0.all("count what happened", SQL, [format!("[{}]", rows.join(","))], |row| {
            let count = |column: usize| -> rusqlite::Result<u64> {
                Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
            };
            let counts = SessionCounts { turns: count(1)?, tool_calls: count(2)?, compactions: count(3)? };
            Ok((SessionRow(row.get(0)?), counts))
        })?;
        Ok(all.into_iter().collect())
    }

    /// Hands every response to `each`, by session and time.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `each` returns.
    pub fn for_each_response<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(ResponseRecord, SessionRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        super::responses::for_each_response_in_order(&self.0.conn, |message, session| {
            match each(message, session) {
                Ok(()) => true,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })
        .map_err(StoreError::query("read the responses"))?;
        failed.map_or(Ok(()), Err)
    }

    /// Hands every compaction and its session's id to `each`, by session and time.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `each` returns.
    pub fn for_each_compaction<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(String, CompactionRow) -> Result<(), E>,
    ) -> Result<(), E> {
        const SQL: &str = "SELECT s.session_id, c.at, c.trigger, c.tokens_before, c.tokens_after
          FROM compactions c JOIN sessions s ON s.id = c.session ORDER BY c.session, c.at, c.id";
        let failed = |source| E::from(StoreError::Query { what: "read the compactions", source });
        let mut query = self.0.conn.prepare(SQL).map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let session_id = row.get(0).map_err(failed)?;
            each(session_id, compaction(row, 1).map_err(failed)?)?;
        }
        Ok(())
    }
}

/// The compaction whose time, trigger and sizes stand in a row from the column `first` on.
pub(super) fn compaction(row: &Row<'_>, first: usize) -> rusqlite::Result<CompactionRow> {
    Ok(CompactionRow {
        at: row.get::<_, Option<i64>>(first)?.map(Timestamp::from_millis),
        trigger: row.get(first + 1)?,
        tokens_before: optional_unsigned(row, first + 2)?,
        tokens_after: optional_unsigned(row, first + 3)?,
    })
}
