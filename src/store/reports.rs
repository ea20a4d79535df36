//! What agents without hooks have reported of themselves. It stands beside what is known from logs and is never added to it;
//! budgets count both.

use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Records;
use super::quarter_hour::QuarterHour;
use super::writer::{session_id, signed, unsigned};
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{PicoUsd, SessionId, Timestamp};

/// The query of [`report`]'s rows.
macro_rules! reports {
    () => {
        "SELECT event_id, at, session, project, agent, task, model, input_tokens, output_tokens, total_tokens, cost_pico,
           is_estimate FROM usage_reports"
    };
}

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What makes a repeat of it known.
    pub event_id: Option<String>,
    /// When it came.
    pub at: Option<Timestamp>,
    /// The session that it was made in.
    pub session: Option<SessionRow>,
    /// The folder that it was made in.
    pub project: Option<String>,
    /// Who reports.
    pub agent: Option<String>,
    /// What for, in the reporter's words.
    pub task: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Tokens of input.
    pub input: Option<u64>,
    /// Tokens of output.
    pub output: Option<u64>,
    /// Tokens of all classes.
    pub tokens: u64,
    /// What it cost, as reported or by the price table; unknown without a price.
    pub cost: Option<PicoUsd>,
    /// Whether it is an estimate of one operation and no count.
    pub is_estimate: bool,
}

impl<L: Deref<Target = Ledger>> Records<L> {
    /// Hands all reports to `each`, in the order in which they came, with the id of the session they were made in.
    ///
    /// # Errors
    /// If the ledger cannot be read, or `each` fails.
    pub fn for_each_report<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(&Report, Option<&str>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| E::from(StoreError::Query { what: "read the reports", source });
        let mut query =
            self.0.conn.prepare(concat!(reports!(), " WHERE at IS NOT NULL ORDER BY id")).map_err(failed)?;
        let mut rows = query.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let report = report(row).map_err(failed)?;
            let session = match report.session {
                Some(session) => session_id(&self.0.conn, session).map_err(failed)?,
                None => None,
            };
            each(&report, session.as_ref().map(SessionId::as_str))?;
        }
        Ok(())
    }
}

/// Stores a report; `false` if one of its id is there.
pub(super) fn insert(conn: &Connection, report: &Report) -> rusqlite::Result<bool> {
    const SQL: &str =
            "INSERT OR IGNORE INTO usage_reports (event_id, at, session, project, agent, task, model, input_tokens,
            output_tokens, total_tokens, cost_pico, is_estimate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let added = conn.execute(
        SQL,
        params![
            report.event_id,
            report.at.map(Timestamp::as_millis),
            report.session.map(|session| session.0),
            report.project,
            report.agent,
            report.task,
            report.model,
            report.input.map(signed),
            report.output.map(signed),
            signed(report.tokens),
            report.cost.map(PicoUsd::to_i64),
            report.is_estimate,
        ],
    )?;
    Ok(added > 0)
}

/// The reports of a time, given in quarters of an hour.
pub(super) fn read(conn: &Connection, (start, until): (i64, i64)) -> rusqlite::Result<Vec<Report>> {
    let millis = |quarter: i64| quarter.saturating_mul(QuarterHour::MILLIS);
    let mut query = conn.prepare_cached(concat!(reports!(), " WHERE at >= ?1 AND at < ?2 ORDER BY id"))?;
    let rows = query.query_map([millis(start), millis(until)], report)?;
    rows.collect()
}

/// The report of a row, if there is one.
pub(super) fn by_row(conn: &Connection, row: i64) -> rusqlite::Result<Option<Report>> {
    conn.prepare_cached(concat!(reports!(), " WHERE id = ?1"))?.query_row([row], report).optional()
}

fn report(row: &Row<'_>) -> rusqlite::Result<Report> {
    Ok(Report {
        event_id: row.get(0)?,
        at: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
        session: row.get::<_, Option<i64>>(2)?.map(SessionRow),
        project: row.get(3)?,
        agent: row.get(4)?,
        task: row.get(5)?,
        model: row.get(6)?,
        input: row.get::<_, Option<i64>>(7)?.map(unsigned),
        output: row.get::<_, Option<i64>>(8)?.map(unsigned),
        tokens: unsigned(row.get(9)?),
        cost: row.get::<_, Option<i64>>(10)?.map(|pico| PicoUsd::from_pico(pico.into())),
        is_estimate: row.get(11)?,
    })
}
