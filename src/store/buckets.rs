//! What was spent: the tables of `store::rollup`, row by row in the order of time.
//!
//! Rows are handed on as they are and added up by who asks: a day depends on a time zone, which SQL does not know, and
//! the sum of a column can go beyond the integers of SQLite, which would be an error there.

use std::ops::Deref;

use rusqlite::{Connection, Row, params};

use super::UsageTables;
use super::columns::{bucket_columns, count, detail_columns, integer, name, usage};
use super::quarter_hour::QuarterHour;
use super::rollup::{Grain, QuarterRange};
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{CostParts, PicoUsd, Timestamp, Usage};

/// Which rows are asked for; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketFilter {
    /// From this quarter on. With a bound on either side, what has no time is left out.
    pub from: Option<QuarterHour>,
    /// Before this one.
    pub until: Option<QuarterHour>,
    /// Only these sessions.
    pub sessions: Option<Vec<SessionRow>>,
    /// Only models whose id contains this, in whatever case.
    pub model: Option<String>,
}

impl BucketFilter {
    /// The first quarter, and the one after the last.
    pub(super) fn bounds(&self) -> (i64, i64) {
        let from = self.from.map_or(if self.is_bounded() { 0 } else { i64::MIN }, |quarter| quarter.0);
        (from, self.until.map_or(i64::MAX, |quarter| quarter.0))
    }

    /// Whether only a period is asked for.
    pub(super) const fn is_bounded(&self) -> bool {
        self.from.is_some() || self.until.is_some()
    }

    /// Whether rows of that model are asked for.
    #[must_use]
    pub fn has_model(&self, model: &str) -> bool {
        let name = if model.is_empty() { "(none)" } else { model };
        self.model.as_ref().is_none_or(|part| name.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
    }

    /// Whether rows of that quarter are asked for.
    pub(super) fn has_quarter(&self, quarter: Option<QuarterHour>) -> bool {
        let (from, until) = self.bounds();
        let quarter = quarter.map_or(QuarterHour::UNKNOWN, |quarter| quarter.0);
        from <= quarter && quarter < until
    }

    /// The sessions as a list in JSON.
    pub(super) fn session_list(&self) -> Option<String> {
        let sessions = self.sessions.as_ref()?;
        let rows: Vec<String> = sessions.iter().map(|session| session.0.to_string()).collect();
        Some(format!("[{}]", rows.join(",")))
    }
}

/// Responses of one quarter, hour or day (or of all time), session, agent run, model and branch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UsageBucket<'r> {
    /// The first quarter; `None` if no time is known, and with [`Grain::Session`].
    pub quarter: Option<QuarterHour>,
    /// The session.
    pub session: SessionRow,
    /// The run: empty for the main conversation (with [`Grain::Hour`] and [`Grain::Session`] for subagents, too),
    /// [`HIDDEN_AGENT`](super::HIDDEN_AGENT) for what no line shows.
    pub agent_id: &'r str,
    /// The model; empty if unknown.
    pub model: &'r str,
    /// The branch; empty if unknown, and with [`Grain::Session`].
    pub branch: &'r str,
    /// Responses.
    pub responses: u64,
    /// What they used.
    pub usage: Usage,
    /// What they cost; `None` if the model has no price.
    pub cost: Option<CostParts>,
}

/// What a run spent on a model within a session, in one quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionUsage<'r> {
    /// The run, as in [`UsageBucket`].
    pub agent_id: &'r str,
    /// The model; empty if unknown.
    pub model: &'r str,
    /// Responses.
    pub responses: u64,
    /// What they used.
    pub usage: Usage,
    /// What they cost; `None` if the model has no price.
    pub cost: Option<CostParts>,
    /// What reading from the cache has saved; nothing without a price.
    pub savings: PicoUsd,
    /// What incomplete logs probably leave out.
    pub shortfall: Shortfall,
}

/// Output that is missing in the logs, estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Responses whose log has no final usage.
    pub responses: u64,
    /// Tokens that they probably wrote beyond what is logged.
    pub tokens: u64,
    /// What these cost; nothing without a price.
    pub cost: PicoUsd,
}

/// Of which session, in a list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlace {
    /// Its row.
    pub row: SessionRow,
    /// Its id.
    pub id: String,
    /// Its client's name.
    pub client: String,
    /// The project's folder.
    pub project: Option<String>,
    /// The client's title of it.
    pub topic: Option<String>,
    /// Whether the client's scheduler drove it.
    pub is_scheduled: bool,
    /// First sign of it.
    pub started_at: Option<Timestamp>,
}

/// The type of a subagent run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunType {
    /// Its session.
    pub session: SessionRow,
    /// Its id.
    pub agent_id: String,
    /// The type, if it is known.
    pub agent_type: Option<String>,
}

impl<L: Deref<Target = Ledger>> UsageTables<L> {
    /// Hands what was spent to `each` in rows of a grain. Rows of which `is_split` says that their quarters must be told
    /// apart come in quarters, after the others, and with them what has no time.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_bucket(
        &self,
        filter: &BucketFilter,
        grain: Grain,
        is_split: impl FnMut(QuarterRange) -> bool,
        each: impl FnMut(&UsageBucket<'_>),
    ) -> Result<(), StoreError> {
        let read = || {
            // All of it as it is at one moment, whatever is written meanwhile.
            let snapshot = self.0.conn.unchecked_transaction()?;
            read_spent(&snapshot, filter, grain, is_split, each)
        };
        read().map_err(StoreError::query("read spending"))
    }

    /// Hands what a session spent to `each`, in the order of time.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_session_usage(
        &self,
        session: SessionRow,
        mut each: impl FnMut(&SessionUsage<'_>),
    ) -> Result<(), StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            bucket_columns!(),
            ", ",
            detail_columns!(),
            " FROM usage_buckets WHERE session = ?1 ORDER BY quarter_hour, agent_id, model, branch, priced"
        );
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let mut rows = query.query([session.0])?;
            while let Some(row) = rows.next()? {
                let spent = spent_row(row)?;
                each(&SessionUsage {
                    agent_id: spent.agent_id,
                    model: spent.model,
                    responses: spent.responses,
                    usage: spent.usage,
                    cost: spent.cost,
                    savings: pico(row, 18)?,
                    shortfall: Shortfall {
                        responses: count(row, 19)?,
                        tokens: count(row, 20)?,
                        cost: pico(row, 21)?,
                    },
                });
            }
            Ok(())
        };
        read().map_err(StoreError::query("read the session's spending"))
    }

    /// Every session: whose it is and where it ran.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_places(&self) -> Result<Vec<SessionPlace>, StoreError> {
        const SQL: &str =
            "SELECT id, session_id, client, project, topic, coalesce(forked_at, log_first_at, hook_first_at), kind IS 'scheduled'
          FROM sessions ORDER BY id";
        self.0.all("list the sessions", SQL, [], |row| {
            Ok(SessionPlace {
                row: SessionRow(row.get(0)?),
                id: row.get(1)?,
                client: row.get(2)?,
                project: row.get(3)?,
                topic: row.get(4)?,
                started_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
                is_scheduled: row.get(6)?,
            })
        })
    }

    /// The types of all subagent runs.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn run_types(&self) -> Result<Vec<RunType>, StoreError> {
        const SQL: &str = "SELECT session, agent_id, agent_type FROM agent_runs ORDER BY session, agent_id";
        self.0.all("list the subagents", SQL, [], |row| {
            Ok(RunType { session: SessionRow(row.get(0)?), agent_id: row.get(1)?, agent_type: row.get(2)? })
        })
    }
}

fn read_spent(
    conn: &Connection,
    filter: &BucketFilter,
    grain: Grain,
    mut is_split: impl FnMut(QuarterRange) -> bool,
    mut each: impl FnMut(&UsageBucket<'_>),
) -> rusqlite::Result<()> {
    let (from, until) = filter.bounds();
    match grain {
        Grain::QuarterHour => return read_rows(conn, filter, grain, from, until, each),
        Grain::Session if filter.is_bounded() => {
            return read_spent(conn, filter, Grain::Hour, is_split, each);
        }
        Grain::Session => {
            read_rows(conn, filter, grain, 0, 1, |row| each(&UsageBucket { quarter: None, ..*row }))?;
            return read_rows(conn, filter, Grain::QuarterHour, from, 0, each);
        }
        Grain::Hour | Grain::Day => {}
    }
    let mut split = Vec::new();
    // The last block, and whether it is split.
    let mut known = None;
    let start = from.max(0);
    read_rows(conn, filter, grain, start - start % grain.quarters(), until, |row| {
        let Some(QuarterHour(first)) = row.quarter else { return };
        let is_known_split = match known {
            Some((known, is_split)) if known == first => is_split,
            _ => {
                let last = first + grain.quarters() - 1;
                let is_cut =
                    first < from || last >= until || is_split((QuarterHour(first), QuarterHour(last)));
                if is_cut {
                    split.push(first);
                }
                known = Some((first, is_cut));
                is_cut
            }
        };
        if !is_known_split {
            each(row);
        }
    })?;
    for first in split {
        let until = until.min(first + grain.quarters());
        read_rows(conn, filter, Grain::QuarterHour, from.max(first), until, &mut each)?;
    }
    read_rows(conn, filter, Grain::QuarterHour, from, until.min(0), each)
}

/// Hands the rows of a table from one quarter on and before another to `each`, in the order of the key.
fn read_rows(
    conn: &Connection,
    filter: &BucketFilter,
    grain: Grain,
    from: i64,
    until: i64,
    mut each: impl FnMut(&UsageBucket<'_>),
) -> rusqlite::Result<()> {
    let sessions = filter.session_list();
    let model = filter.model.as_ref().map(|model| model.to_ascii_lowercase());
    // Asked for each row, be it in vain.
    let of_sessions =
        if sessions.is_some() { "session IN (SELECT value FROM json_each(?3))" } else { "?3 IS NULL" };
    let of_model =
        if model.is_some() { "instr(iif(model = '', '(none)', lower(model)), ?4) > 0" } else { "?4 IS NULL" };
    let sql = format!(
        "SELECT {} {} quarter_hour >= ?1 AND quarter_hour < ?2 AND {of_sessions} AND {of_model}
         ORDER BY quarter_hour, session, agent_id, model, branch, priced",
        bucket_columns!(),
        grain.rows()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![from, until, sessions, model])?;
    while let Some(row) = rows.next()? {
        each(&spent_row(row)?);
    }
    Ok(())
}

/// Hands a session's rows to `each`, in the order of the key.
pub(super) fn read_session(
    conn: &Connection,
    session: SessionRow,
    mut each: impl FnMut(&UsageBucket<'_>),
) -> rusqlite::Result<()> {
    const SQL: &str = concat!(
        "SELECT ",
        bucket_columns!(),
        " FROM usage_buckets WHERE session = ?1 ORDER BY quarter_hour, agent_id, model, branch, priced"
    );
    let mut statement = conn.prepare_cached(SQL)?;
    let mut rows = statement.query([session.0])?;
    while let Some(row) = rows.next()? {
        each(&spent_row(row)?);
    }
    Ok(())
}

/// The columns of [`bucket_columns`], which all questions begin with.
fn spent_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<UsageBucket<'r>> {
    let quarter = row.get(0)?;
    let is_priced = count(row, 5)? != 0;
    Ok(UsageBucket {
        quarter: (quarter != QuarterHour::UNKNOWN).then_some(QuarterHour(quarter)),
        session: SessionRow(row.get(1)?),
        agent_id: name(row, 2)?,
        model: name(row, 3)?,
        branch: name(row, 4)?,
        responses: count(row, 6)?,
        usage: usage(row, 7)?,
        cost: if is_priced {
            Some(CostParts {
                input: pico(row, 13)?,
                output: pico(row, 14)?,
                cache_read: pico(row, 15)?,
                cache_write: pico(row, 16)?,
                web_search: pico(row, 17)?,
            })
        } else {
            None
        },
    })
}

fn pico(row: &Row<'_>, column: usize) -> rusqlite::Result<PicoUsd> {
    Ok(PicoUsd::from_pico(integer(row, column)?.unwrap_or(0).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_inside_of_a_quarter_moves_to_the_next_one() {
        let quarter = |millis| QuarterHour::from_time(Timestamp::from_millis(millis));
        assert_eq!(quarter(0), QuarterHour(0));
        assert_eq!(quarter(1), QuarterHour(1));
        assert_eq!(quarter(900_000), QuarterHour(1));
        assert_eq!(quarter(-900_001), QuarterHour(-1));
        assert_eq!(quarter(900_000).start(), Timestamp::from_millis(900_000));
    }
}
