//! What lists of all sessions ask, and exports. One function per question; the SQL is a constant beside it.

use std::collections::HashMap;

use super::{CompactionRecord, Ledger, SessionRow, StoreError};
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

/// A compaction and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCompaction {
    /// The session's id.
    pub session_id: String,
    /// The compaction.
    pub compaction: CompactionRecord,
}

impl Ledger {
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
        let all = self.all("count what happened", SQL, [format!("[{}]", rows.join(","))], |row| {
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
        super::responses::for_each_response_in_order(&self.conn, |message, session| {
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

    /// All compactions, by session and time.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn all_compactions(&self) -> Result<Vec<SessionCompaction>, StoreError> {
        const SQL: &str = "SELECT s.session_id, c.at, c.trigger, c.tokens_before, c.tokens_after
          FROM compactions c JOIN sessions s ON s.id = c.session ORDER BY c.session, c.at, c.id";
        self.all("read the compactions", SQL, [], |row| {
            let tokens = |column: usize| -> rusqlite::Result<Option<u64>> {
                Ok(row.get::<_, Option<i64>>(column)?.and_then(|tokens| u64::try_from(tokens).ok()))
            };
            Ok(SessionCompaction {
                session_id: row.get(0)?,
                compaction: CompactionRecord {
                    at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
                    trigger: row.get(2)?,
                    tokens_before: tokens(3)?,
                    tokens_after: tokens(4)?,
                },
            })
        })
    }
}
