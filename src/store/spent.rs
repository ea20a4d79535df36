//! What was spent: the table `spent`, row by row in the order of its key.
//!
//! Rows are handed on as they are and added up by who asks: a day depends on a time zone, which SQL does not know, and
//! the sum of a column can go beyond the integers of SQLite, which would be an error there. Nor would SQLite be faster:
//! twelve sums for each quarter cost it as much as handing on the rows (`scripts/bench-reports.sh`).

use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::{Ledger, SessionRow, StoreError};
use crate::domain::{CostParts, PicoUsd, Timestamp, Usage};

/// From four weeks on the rows are read in two halves at once. Less is read before a thread has begun.
const WORTH_HALVING: i64 = 28 * 96;
/// For a second reader, which with WAL waits for nobody.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The run that stands for what no line of a transcript shows.
pub const HIDDEN_AGENT: &str = "(hidden)";

/// A quarter of an hour, the finest time that is kept of what was spent. All time zones begin their days at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter(i64);

impl Quarter {
    /// Its length.
    pub const MILLIS: i64 = 900_000;
    /// Stands for a time that is not known.
    const UNKNOWN: i64 = -1;

    /// The first one that does not begin before `at`.
    #[must_use]
    pub const fn from_time(at: Timestamp) -> Self {
        let millis = at.as_millis();
        Self(millis.div_euclid(Self::MILLIS) + (millis.rem_euclid(Self::MILLIS) > 0) as i64)
    }

    /// Its number since 1970.
    pub(super) const fn number(self) -> i64 {
        self.0
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(Self::MILLIS))
    }
}

/// Which rows are asked for; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpentFilter {
    /// From this quarter on. With a bound on either side, what has no time is left out.
    pub from: Option<Quarter>,
    /// Before this one.
    pub until: Option<Quarter>,
    /// Only these sessions.
    pub sessions: Option<Vec<SessionRow>>,
    /// Only models whose id contains this, in whatever case.
    pub model: Option<String>,
    /// Which names are left out of the rows.
    pub without: WithoutNames,
}

/// Names that nobody asks for: a fifth of what a row costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WithoutNames {
    /// Runs are empty where a quarter is known.
    pub runs: bool,
    /// Models are empty where they have a price.
    pub models: bool,
    /// Branches are empty.
    pub branches: bool,
}

impl SpentFilter {
    /// The first quarter, and the one after the last.
    fn bounds(&self) -> (i64, i64) {
        let is_bounded = self.from.or(self.until).is_some();
        let from = self.from.map_or(if is_bounded { 0 } else { i64::MIN }, |quarter| quarter.0);
        (from, self.until.map_or(i64::MAX, |quarter| quarter.0))
    }
}

/// Responses of one quarter, session, agent run, model and branch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpentRow<'r> {
    /// The quarter; `None` if no time is known.
    pub quarter: Option<Quarter>,
    /// The session.
    pub session: SessionRow,
    /// The run: empty for the main conversation, [`HIDDEN_AGENT`] for what no line shows.
    pub agent_id: &'r str,
    /// The model; empty if unknown.
    pub model: &'r str,
    /// The branch; empty if unknown.
    pub branch: &'r str,
    /// Responses.
    pub responses: u64,
    /// What they used.
    pub usage: Usage,
    /// What they cost; `None` if the model has no price.
    pub cost: Option<CostParts>,
}

/// What a run spent on a model within a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpent {
    /// The run, as in [`SpentRow`].
    pub agent_id: String,
    /// The model; empty if unknown.
    pub model: String,
    /// The quarter; `None` if no time is known.
    pub quarter: Option<Quarter>,
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

impl Ledger {
    /// Hands every row of what was spent to `each`, in the order of time and, within a quarter, of session, run, model
    /// and branch.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_spent(
        &self,
        filter: &SpentFilter,
        each: impl FnMut(&SpentRow<'_>),
    ) -> Result<(), StoreError> {
        let (from, until) = filter.bounds();
        read_rows(&self.conn, filter, from, until, each).map_err(StoreError::query("read what was spent"))
    }

    /// Folds the rows: one fold for each of the two halves of the time, which are read at once, or one for all.
    ///
    /// The later half is read over a connection of its own. What is written in the meantime can be in it alone.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn fold_spent<T: Send>(
        &self,
        filter: &SpentFilter,
        start: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &SpentRow<'_>) + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let fold = |conn: &Connection, from, until| {
            let mut folded = start();
            read_rows(conn, filter, from, until, |row| each(&mut folded, row)).map(|()| folded)
        };
        let failed = StoreError::query("read what was spent");
        let (from, until) = filter.bounds();
        let second = self.spent_middle(from, until).and_then(|middle| Some((middle, self.second_reader()?)));
        let Some((middle, conn)) = second else {
            return Ok(vec![fold(&self.conn, from, until).map_err(failed)?]);
        };
        let (earlier, later) = std::thread::scope(|scope| {
            let later = scope.spawn(|| {
                // The thread owns it: a connection is of one thread at a time.
                let conn = conn;
                fold(&conn, middle, until)
            });
            (fold(&self.conn, from, middle), later.join())
        });
        let Ok(later) = later else { return Ok(vec![fold(&self.conn, from, until).map_err(failed)?]) };
        Ok(vec![earlier.map_err(failed)?, later.map_err(StoreError::query("read what was spent"))?])
    }

    /// The middle of the time in which something was spent; `None` if that is too short to be read in halves.
    fn spent_middle(&self, from: i64, until: i64) -> Option<i64> {
        const SQL: &str = "SELECT (SELECT min(quarter) FROM spent WHERE quarter >= ?1),
            (SELECT max(quarter) FROM spent WHERE quarter < ?2)";
        let bounds = (from.max(0), until);
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (first, last): (Option<i64>, Option<i64>) = self.conn.query_row(SQL, bounds, read).ok()?;
        let (first, last) = (first?, last?);
        (last.checked_sub(first)? >= WORTH_HALVING).then(|| first + (last - first) / 2)
    }

    /// Another connection to the same file; `None` if it cannot be had, or the ledger is in memory.
    fn second_reader(&self) -> Option<Connection> {
        let path = self.conn.path().filter(|path| !path.is_empty())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).ok()?;
        conn.busy_timeout(BUSY_TIMEOUT).ok()?;
        Some(conn)
    }

    /// What a session spent.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_spent(&self, session: SessionRow) -> Result<Vec<SessionSpent>, StoreError> {
        const SQL: &str = "SELECT quarter, session, agent_id, model, branch, priced, responses, input_tokens,
            output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, web_searches, input_pico,
            output_pico, cache_read_pico, cache_write_pico, web_search_pico, savings_pico, shortfall_responses,
            shortfall_tokens, shortfall_pico
          FROM spent WHERE session = ?1 ORDER BY quarter, agent_id, model, branch, priced";
        self.all("read what the session spent", SQL, [session.0], |row| {
            let spent = spent_row(row)?;
            Ok(SessionSpent {
                agent_id: spent.agent_id.to_owned(),
                model: spent.model.to_owned(),
                quarter: spent.quarter,
                responses: spent.responses,
                usage: spent.usage,
                cost: spent.cost,
                savings: pico(row, 18)?,
                shortfall: Shortfall {
                    responses: count(row, 19)?,
                    tokens: count(row, 20)?,
                    cost: pico(row, 21)?,
                },
            })
        })
    }

    /// Every session: whose it is and where it ran.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_places(&self) -> Result<Vec<SessionPlace>, StoreError> {
        const SQL: &str =
            "SELECT id, session_id, client, project, topic, coalesce(log_first_at, hook_first_at)
          FROM sessions ORDER BY id";
        self.all("list the sessions", SQL, [], |row| {
            Ok(SessionPlace {
                row: SessionRow(row.get(0)?),
                id: row.get(1)?,
                client: row.get(2)?,
                project: row.get(3)?,
                topic: row.get(4)?,
                started_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
            })
        })
    }

    /// The types of all subagent runs.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn run_types(&self) -> Result<Vec<RunType>, StoreError> {
        const SQL: &str = "SELECT session, agent_id, agent_type FROM agent_runs ORDER BY session, agent_id";
        self.all("list the subagents", SQL, [], |row| {
            Ok(RunType { session: SessionRow(row.get(0)?), agent_id: row.get(1)?, agent_type: row.get(2)? })
        })
    }
}

/// Hands the rows from one quarter on and before another to `each`, in the order of the key.
fn read_rows(
    conn: &Connection,
    filter: &SpentFilter,
    from: i64,
    until: i64,
    mut each: impl FnMut(&SpentRow<'_>),
) -> rusqlite::Result<()> {
    const SQL: &str =
        "SELECT quarter, session, iif(?5 AND quarter >= 0, NULL, agent_id), iif(?6 AND priced, NULL, model),
        iif(?7, NULL, branch), priced, responses, input_tokens, output_tokens, cache_read_tokens,
        cache_write_5m_tokens, cache_write_1h_tokens, web_searches, input_pico, output_pico, cache_read_pico,
        cache_write_pico, web_search_pico
      FROM spent
      WHERE quarter >= ?1 AND quarter < ?2
        AND (?3 IS NULL OR session IN (SELECT value FROM json_each(?3)))
        AND (?4 IS NULL OR instr(iif(model = '', '(none)', lower(model)), ?4) > 0)
      ORDER BY quarter, session, agent_id, model, branch, priced";
    let sessions = filter.sessions.as_ref().map(|sessions| {
        let rows: Vec<String> = sessions.iter().map(|session| session.0.to_string()).collect();
        format!("[{}]", rows.join(","))
    });
    let model = filter.model.as_ref().map(|model| model.to_ascii_lowercase());
    let mut statement = conn.prepare(SQL)?;
    let WithoutNames { runs, models, branches } = filter.without;
    let mut rows = statement.query(params![from, until, sessions, model, runs, models, branches])?;
    while let Some(row) = rows.next()? {
        each(&spent_row(row)?);
    }
    Ok(())
}

/// The columns that both questions begin with.
fn spent_row<'r>(row: &'r Row<'_>) -> rusqlite::Result<SpentRow<'r>> {
    let quarter = row.get(0)?;
    let is_priced = count(row, 5)? != 0;
    Ok(SpentRow {
        quarter: (quarter != Quarter::UNKNOWN).then_some(Quarter(quarter)),
        session: SessionRow(row.get(1)?),
        agent_id: text(row, 2)?,
        model: text(row, 3)?,
        branch: text(row, 4)?,
        responses: count(row, 6)?,
        usage: Usage {
            input: count(row, 7)?,
            output: count(row, 8)?,
            cache_read: count(row, 9)?,
            cache_write_5m: count(row, 10)?,
            cache_write_1h: count(row, 11)?,
            web_searches: count(row, 12)?,
        },
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

/// A name, without a copy.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) => Ok(std::str::from_utf8(bytes).unwrap_or_default()),
        _ => Ok(""),
    }
}

fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(integer(row, column)?).unwrap_or(0))
}

fn pico(row: &Row<'_>, column: usize) -> rusqlite::Result<PicoUsd> {
    Ok(PicoUsd::from_pico(integer(row, column)?.into()))
}

fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Integer(value) => Ok(value),
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_inside_of_a_quarter_moves_to_the_next_one() {
        let quarter = |millis| Quarter::from_time(Timestamp::from_millis(millis));
        assert_eq!(quarter(0), Quarter(0));
        assert_eq!(quarter(1), Quarter(1));
        assert_eq!(quarter(900_000), Quarter(1));
        assert_eq!(quarter(-900_001), Quarter(-1));
        assert_eq!(quarter(900_000).start(), Timestamp::from_millis(900_000));
    }
}
