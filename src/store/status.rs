//! What the status line asks: one statement, and at most one small write.

use std::path::Path;

use rusqlite::{OptionalExtension as _, Row, params};

use super::{Ledger, QuarterHour, SessionRow, StoreError};
use crate::domain::{PicoUsd, SessionId, Timestamp};

/// A session's sums by the index of sessions, a day's by the table's own key, and no row besides.
const STATUS: &str = "WITH s (id) AS MATERIALIZED (SELECT id FROM sessions WHERE session_id = ?1),
  own AS (SELECT sum(iif(priced, input_pico + output_pico + cache_read_pico + cache_write_pico
        + web_search_pico, NULL)) AS pico, min(priced) AS priced, sum(cache_read_tokens) AS read,
      sum(input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens) AS prompt
    FROM usage_buckets WHERE session = (SELECT id FROM s)),
  day AS (SELECT sum(iif(priced, input_pico + output_pico + cache_read_pico + cache_write_pico
        + web_search_pico, NULL)) AS pico, min(priced) AS priced
    FROM usage_buckets WHERE quarter_hour >= ?2 AND quarter_hour < ?3)
  SELECT (SELECT id FROM s), own.pico, own.priced, own.read, own.prompt, day.pico, day.priced,
    (SELECT cost_pico FROM status_line_costs WHERE session = (SELECT id FROM s))
  FROM own, day";

/// What some time or a session cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusSum {
    /// Of what has a price; `None` if nothing has.
    pub cost: Option<PicoUsd>,
    /// Whether there is more that has none.
    pub is_partly_priced: bool,
    /// Tokens read from the cache.
    pub cache_read: u64,
    /// Tokens of the whole input side.
    pub prompt: u64,
}

/// What the ledger has for the status line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusFigures {
    /// The session, if it is known.
    pub session: Option<SessionRow>,
    /// What it has cost.
    pub of_session: StatusSum,
    /// What all sessions have cost in a day.
    pub of_day: StatusSum,
    /// What the client said last that the session has cost.
    pub client_cost: Option<PicoUsd>,
}

impl Ledger {
    /// Opens the ledger for the status line, as a hook does; `None` if there is none that this release has written. It is
    /// neither made nor brought up to date.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open_for_status(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::open_current(path)
    }

    /// What `session` has cost, and all sessions from a quarter on until another one.
    ///
    /// The rows of a session and those of a day are found by the two keys of `usage_buckets`, so the history does not matter.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn status(&self, session: &SessionId, day: [QuarterHour; 2]) -> Result<StatusFigures, StoreError> {
        let pico = |row: &Row<'_>, column| -> rusqlite::Result<Option<PicoUsd>> {
            Ok(row.get::<_, Option<i64>>(column)?.map(|pico| PicoUsd::from_pico(pico.into())))
        };
        let count = |row: &Row<'_>, column| -> rusqlite::Result<u64> {
            Ok(row.get::<_, Option<i64>>(column)?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
        };
        let is_partly = |row: &Row<'_>, column| -> rusqlite::Result<bool> {
            Ok(row.get::<_, Option<bool>>(column)? == Some(false))
        };
        let bounds = params![session.as_str(), day[0].number(), day[1].number()];
        let found = self.conn.query_row(STATUS, bounds, |row| {
            Ok(StatusFigures {
                session: row.get::<_, Option<i64>>(0)?.map(SessionRow),
                of_session: StatusSum {
                    cost: pico(row, 1)?,
                    is_partly_priced: is_partly(row, 2)?,
                    cache_read: count(row, 3)?,
                    prompt: count(row, 4)?,
                },
                of_day: StatusSum {
                    cost: pico(row, 5)?,
                    is_partly_priced: is_partly(row, 6)?,
                    ..StatusSum::default()
                },
                client_cost: pico(row, 7)?,
            })
        });
        Ok(found.optional().map_err(StoreError::query("read the status"))?.unwrap_or_default())
    }

    /// Keeps what the client says that a session has cost.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_client_cost(
        &mut self,
        session: SessionRow,
        cost: PicoUsd,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write("save the client's cost", |tx| {
            tx.execute(
                "INSERT INTO status_line_costs VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET at = excluded.at, cost_pico = excluded.cost_pico",
                params![session.0, at.as_millis(), cost.to_i64()],
            )
            .map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_reads_by_keys_alone() {
        let ledger = Ledger::in_memory().unwrap();
        let mut statement = ledger.conn.prepare(&format!("EXPLAIN QUERY PLAN {STATUS}")).unwrap();
        let steps: Vec<String> =
            statement.query_map(params!["s", 0, 96], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let plan = steps.join("\n");
        assert!(
            plan.contains("SEARCH usage_buckets USING INDEX usage_buckets_by_session (session=?)"),
            "{plan}"
        );
        assert!(
            plan.contains("SEARCH usage_buckets USING PRIMARY KEY (quarter_hour>? AND quarter_hour<?)"),
            "{plan}"
        );
        assert!(!plan.contains("SCAN usage_buckets") && !plan.contains("SCAN sessions"), "{plan}");
    }
}
