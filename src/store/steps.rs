//! Steps that were named by hand.

use std::ops::{Deref, DerefMut};

use rusqlite::params;

use super::Sessions;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{NamedStep, Timestamp};

impl<L: Deref<Target = Ledger>> Sessions<L> {
    /// A session's steps, in the order of their starts.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn named_steps(&self, session: SessionRow) -> Result<Vec<NamedStep>, StoreError> {
        const SQL: &str =
            "SELECT name, started_at, ended_at FROM named_steps WHERE session = ?1 ORDER BY started_at, name";
        self.0.all("list the steps", SQL, [session.0], |row| {
            Ok(NamedStep {
                name: row.get(0)?,
                started_at: Timestamp::from_millis(row.get(1)?),
                ended_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
            })
        })
    }

    /// When a session's prompts were submitted, in the order of time: the first ones, at most so many.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn prompt_times(&self, session: SessionRow, at_most: usize) -> Result<Vec<Timestamp>, StoreError> {
        const SQL: &str = "SELECT at FROM prompts WHERE session = ?1 AND at IS NOT NULL ORDER BY at LIMIT ?2";
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        self.0
            .all("list the prompts", SQL, [session.0, at_most], |row| Ok(Timestamp::from_millis(row.get(0)?)))
    }
}

impl<L: DerefMut<Target = Ledger>> Sessions<L> {
    /// Starts a step.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn start_step(&mut self, session: SessionRow, name: &str, at: Timestamp) -> Result<(), StoreError> {
        self.0.write("start the step", |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO named_steps (session, started_at, name) VALUES (?1, ?2, ?3)",
                params![session.0, at.as_millis(), name],
            )?;
            super::allocations::touch(tx, session)
        })
    }

    /// Ends the open step that was started last, or the open one of that name. Returns its name; `None` if none is open.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn end_step(
        &mut self,
        session: SessionRow,
        name: Option<&str>,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        const OPEN: &str = "SELECT started_at, name FROM named_steps WHERE session = ?1 AND ended_at IS NULL
            AND (?2 IS NULL OR name = ?2) ORDER BY started_at DESC LIMIT 1";
        self.0.write("end the step", |tx| {
            let mut query = tx.prepare(OPEN)?;
            let mut rows = query.query(params![session.0, name])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (started_at, name): (i64, String) = (row.get(0)?, row.get(1)?);
            tx.execute(
                "UPDATE named_steps SET ended_at = max(?4, started_at)
                 WHERE session = ?1 AND started_at = ?2 AND name = ?3",
                params![session.0, started_at, name, at.as_millis()],
            )?;
            super::allocations::touch(tx, session)?;
            Ok(Some(name))
        })
    }
}
