//! Removing a session. `tests/it/removal.rs` looks at every table, so that none is forgotten.

use std::ops::DerefMut;

use rusqlite::OptionalExtension as _;

use super::Sessions;
use super::meta::PRICE_VERSION;
use super::{Ledger, SessionRow, StoreError, alerts, budget_totals, changes, ended};
use crate::domain::SessionId;

/// What goes before the session itself. What stands by the path of a transcript goes before the transcripts.
const ROWS: [&str; 21] = [
    "UPDATE sessions SET parent = NULL, revision = revision + 1, changed = -abs(changed) WHERE parent = ?1",
    "DELETE FROM shared_records WHERE session = ?1",
    "DELETE FROM meta WHERE name GLOB 'lines_of:' || ?1 || ':*'",
    "DELETE FROM meta WHERE name GLOB 'lines_of:*' AND substr(name, 10 + instr(substr(name, 10), ':'))
       IN (SELECT path FROM transcripts WHERE session = ?1)",
    "DELETE FROM context_parts WHERE path IN (SELECT path FROM transcripts WHERE session = ?1)",
    "DELETE FROM transcripts WHERE session = ?1",
    "DELETE FROM allocations WHERE session IN (?1, -?1)",
    "DELETE FROM pending_input WHERE session = ?1",
    "DELETE FROM budget_totals WHERE session = ?1",
    "DELETE FROM usage_buckets WHERE session = ?1",
    "DELETE FROM usage_rollups WHERE session = ?1",
    "DELETE FROM captured_costs WHERE session = ?1",
    "DELETE FROM status_line_costs WHERE session = ?1",
    "DELETE FROM client_totals WHERE session = ?1",
    "DELETE FROM task_changes WHERE session = ?1",
    "DELETE FROM named_steps WHERE session = ?1",
    "DELETE FROM tool_calls WHERE session = ?1",
    "DELETE FROM responses WHERE session = ?1",
    "DELETE FROM prompts WHERE session = ?1",
    "DELETE FROM compactions WHERE session = ?1",
    "DELETE FROM agent_runs WHERE session = ?1",
];

impl<L: DerefMut<Target = Ledger>> Sessions<L> {
    /// Removes a session and all of its rows; `false` if there is none.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn remove(&mut self, session: &SessionId) -> Result<bool, StoreError> {
        self.0.write("remove the session", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(false) };
            changes::note_removal(tx, SessionRow(row))?;
            // What it has only as a copy is added up under no session, and what its forks have hidden depends on its total.
            let is_in_other_sums: bool = tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM responses WHERE session = ?1 AND copied)
                     OR EXISTS (SELECT 1 FROM sessions WHERE parent = ?1)",
                [row],
                |row| row.get(0),
            )?;
            if is_in_other_sums {
                PRICE_VERSION.put(tx, &0)?;
            }
            for sql in ROWS {
                tx.execute(sql, [row])?;
            }
            tx.execute("DELETE FROM sessions WHERE id = ?1", [row])?;
            alerts::forget(tx, SessionRow(row))?;
            ended::forget(tx, &[SessionRow(row)])?;
            budget_totals::void(tx)?;
            Ok(true)
        })
    }
}
