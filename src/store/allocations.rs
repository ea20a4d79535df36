//! How sessions' usage is divided among what stood in their contexts: a cache, a row a session.
//!
//! The rows of a session are one value, because hooks read the schema and pay for each of its columns. It is a list of
//! names, then rows of 22 numbers (`codec`). Under the session's number with a minus stands the same once more, added
//! up over time, branches, steps, types of files and the runs of a type of subagent, which is a tenth: it is read for
//! questions that tell none of these apart, of all time or of a period that the session lies within.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::AllocationTable;
use super::codec::{Packer, Unpacker};
use super::growth::{self, Growth};
use super::quarter_hour::QuarterHour;
use super::writer::SessionRow;
use super::{BucketFilter, Ledger, StoreError, UsageBucket};
use crate::domain::{CostParts, Interner, MessageId, PicoUsd, ResponseRecord, Usage};

/// Whether a part of a cost was paid when its item was written and came in, or when it was read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It came in.
    Entry,
    /// It was read again.
    Carry,
    /// It belongs to no item.
    #[default]
    Unplaced,
}

/// What some items of one kind have paid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocationRow {
    /// The quarter; `None` if no time is known.
    pub quarter: Option<QuarterHour>,
    /// The run: empty for the main conversation, `(hidden)` for what no line shows. In rows that are added up it stands for
    /// all runs of a type ([`Self::agent_type`]), except those that nothing else tells of.
    pub agent_id: String,
    /// The model; empty if unknown.
    pub model: String,
    /// The branch; empty if unknown.
    pub branch: String,
    /// The tool's name, or a name in brackets for what is no tool.
    pub tool: String,
    /// The skill; empty if none.
    pub skill: String,
    /// The extension of files that were read or changed; empty if none.
    pub file_type: String,
    /// The step; empty if none is known.
    pub step: String,
    /// When it was paid.
    pub phase: Phase,
    /// Responses whose own output this is.
    pub responses: u64,
    /// Tool calls that came in.
    pub calls: u64,
    /// What was paid for.
    pub usage: Usage,
    /// What it cost; `None` if the model has no price.
    pub cost: Option<CostParts>,
}

impl AllocationRow {
    /// The type of the subagents' runs that a row was added up over, empty if it is not known; `None` in other rows.
    #[must_use]
    pub fn agent_type(&self) -> Option<&str> {
        self.agent_id.strip_prefix(RUNS_OF)
    }

    /// What is known of a row of `usage_buckets` that nothing else tells of, but for its branch; `tool` is a name in brackets.
    #[must_use]
    pub fn unplaced(row: &UsageBucket<'_>, tool: &str) -> Self {
        Self {
            quarter: row.quarter,
            agent_id: row.agent_id.to_owned(),
            model: row.model.to_owned(),
            // By branch nobody asks for where costs came from, and a log can name any number of them.
            branch: String::new(),
            tool: tool.to_owned(),
            skill: String::new(),
            file_type: String::new(),
            step: String::new(),
            phase: Phase::Unplaced,
            responses: row.responses,
            calls: 0,
            usage: row.usage,
            cost: row.cost,
        }
    }
}

/// The allocations of one session as the ledger keeps them: some 50 bytes a row.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Allocations {
    body: Vec<u8>,
}

impl Allocations {
    /// Hands each row to `each`, in the order in which they were written.
    pub fn for_each(&self, each: impl FnMut(&AllocationRow)) {
        decode(&self.body, each);
    }

    /// Their size in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.len()
    }
}

impl fmt::Debug for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        self.for_each(|row| {
            list.entry(row);
        });
        list.finish()
    }
}

/// Allocations in the making.
#[derive(Debug, Default)]
pub struct AllocationWriter {
    names: Interner,
    /// The rows, without the names before them.
    rows: Packer,
}

impl AllocationWriter {
    /// Adds a row.
    pub fn push(&mut self, row: &AllocationRow) {
        let mut name = |text| u64::from(self.names.number(text));
        let cost = row.cost.unwrap_or_default();
        let pico = |sum: PicoUsd| u64::try_from(sum.to_i64()).unwrap_or(0);
        let numbers: [u64; COLUMNS] = [
            row.quarter.map_or(NO_QUARTER, |quarter| quarter.to_number() + 1),
            name(&row.agent_id),
            name(&row.model),
            name(&row.branch),
            name(&row.tool),
            name(&row.skill),
            name(&row.file_type),
            name(&row.step),
            row.phase as u64 * 2 + u64::from(row.cost.is_some()),
            row.responses,
            row.calls,
            row.usage.input,
            row.usage.output,
            row.usage.cache_read,
            row.usage.cache_write_5m,
            row.usage.cache_write_1h,
            row.usage.web_searches,
            pico(cost.input),
            pico(cost.output),
            pico(cost.cache_read),
            pico(cost.cache_write),
            pico(cost.web_search),
        ];
        self.rows.numbers(numbers);
    }

    /// All rows that were added.
    #[must_use]
    pub fn finish(self) -> Allocations {
        let names = self.names.texts();
        let mut body = Packer::with_capacity(self.rows.len() + names.len() * 24);
        body.texts(names);
        body.append(&self.rows);
        Allocations { body: body.finish() }
    }
}

/// Stands before the type in rows that are added up over the runs of one, as it does in no id. Nothing comes after it if the
/// type is not known.
const RUNS_OF: char = '\n';
/// A number that changes with every change of what is kept of a session: allocations of another one are worked out anew.
const FORMAT: u64 = 3;

/// Numbers in a row.
const COLUMNS: usize = 22;
/// In place of a quarter that is not known; quarters are moved up by one.
const NO_QUARTER: u64 = 0;

/// Makes a view's own table of what the ledger has at that moment.
const OWN_ALLOCATIONS: &str =
    "CREATE TEMP TABLE allocations (session INTEGER PRIMARY KEY, revision, version, body, growth);
  INSERT INTO temp.allocations (session, revision, version, body, growth)
    SELECT session, revision, version, body, growth FROM main.allocations";

/// Says that what is known of a session's contexts has changed, so that its allocations are to be worked out anew.
pub(super) fn void(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE sessions SET revision = revision + 1 WHERE id = ?1")?.execute([session.0])?;
    Ok(())
}

/// Says that what is known of a session has changed, so that its allocations are to be worked out anew, and copies want it again.
pub(super) fn touch(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE sessions SET revision = revision + 1, changed = -abs(changed) WHERE id = ?1",
    )?
    .execute([session.0])?;
    Ok(())
}

/// A session whose allocations are to be worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleSession {
    /// The session.
    pub row: SessionRow,
    /// What its allocations are good for.
    stamp: i64,
}

impl StaleSession {
    /// In the place of a stamp, which no session has: they begin with 0 and grow.
    const NEVER: i64 = -1;

    /// The session itself if its allocations are what they should be; else one whose allocations add up, and stay stale.
    #[must_use]
    pub const fn good_if(self, is_good: bool) -> Self {
        if is_good { self } else { Self { stamp: Self::NEVER, ..self } }
    }
}

impl<L: Deref<Target = Ledger>> AllocationTable<L> {
    /// The sessions that have spent something and whose allocations are not what they should be: all, or one if it is such.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn stale_sessions(&self, only: Option<SessionRow>) -> Result<Vec<StaleSession>, StoreError> {
        // A session that has lost all of its responses to another one has allocations to lose.
        const STALE: &str = "(h.revision IS NULL OR h.revision != s.revision OR h.version != ?1)
            AND (h.session IS NOT NULL OR EXISTS (SELECT 1 FROM usage_buckets WHERE session = s.id))";
        const FROM: &str =
            "SELECT s.id, s.revision FROM sessions s LEFT JOIN allocations h ON h.session = s.id WHERE";
        let sql = match only {
            Some(_) => format!("{FROM} s.id = ?2 AND {STALE}"),
            None => format!("{FROM} (?2 IS NULL) AND {STALE} ORDER BY s.id"),
        };
        let version = self.0.allocations_version();
        self.0.all("find sessions to attribute", &sql, params![version, only.map(|row| row.0)], |row| {
            Ok(StaleSession { row: SessionRow(row.get(0)?), stamp: row.get(1)? })
        })
    }

    /// Hands the allocations to `each`, session by session. Those of sessions that were not worked out since they changed
    /// are as they were then.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each(
        &self,
        filter: &BucketFilter,
        each: impl FnMut(SessionRow, &AllocationRow),
    ) -> Result<(), StoreError> {
        // Asked for each row, be it in vain, whether sessions are given, it would read all of them.
        let of_sessions = match filter.sessions {
            Some(_) => "session IN (SELECT value FROM json_each(?1) WHERE value > 0)",
            None => "?1 IS NULL AND session > 0",
        };
        let sql = format!(
            "SELECT session, body FROM allocations WHERE {of_sessions}
               AND (NOT ?2 OR session IN
                 (SELECT session FROM usage_rollups WHERE grain = 96 AND quarter_hour > ?3 - 96 AND quarter_hour < ?4))
             ORDER BY session"
        );
        let (from, until) = filter.bounds();
        let params = params![filter.session_list(), filter.is_bounded(), from.max(0), until];
        self.0.read_allocations(filter, &sql, params, each)
    }

    /// Hands the allocations to `each`, for questions that tell no branches, steps, types of files or runs of a type apart:
    /// added up over these and over time, which is read sooner, where a session has spent nothing beyond the filter's
    /// bounds.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_summed(
        &self,
        filter: &BucketFilter,
        each: impl FnMut(SessionRow, &AllocationRow),
    ) -> Result<(), StoreError> {
        const ALL: &str =
            "SELECT session, body FROM allocations WHERE session < 0 AND ?1 IS NULL ORDER BY session DESC";
        // Asked for each row, be it in vain, whether sessions are given, it would read all of them.
        const OF_SESSIONS: &str = "SELECT session, body FROM allocations
          WHERE session IN (SELECT -value FROM json_each(?1) WHERE value > 0) ORDER BY session DESC";
        const IN_PERIOD: &str = "SELECT h.session, h.body FROM
            (SELECT DISTINCT session FROM usage_rollups WHERE grain = 96 AND quarter_hour > ?2 - 96 AND quarter_hour < ?3
               AND (?1 IS NULL OR session IN (SELECT value FROM json_each(?1)))) s
            JOIN allocations h ON h.session = s.session * iif(
              EXISTS (SELECT 1 FROM usage_buckets WHERE session = s.session AND quarter_hour < ?2)
                OR EXISTS (SELECT 1 FROM usage_buckets WHERE session = s.session AND quarter_hour >= ?3), 1, -1)
          ORDER BY s.session";
        let (from, until) = filter.bounds();
        if filter.is_bounded() {
            self.0.read_allocations(
                filter,
                IN_PERIOD,
                params![filter.session_list(), from.max(0), until],
                each,
            )
        } else {
            let sql = if filter.sessions.is_some() { OF_SESSIONS } else { ALL };
            self.0.read_allocations(filter, sql, params![filter.session_list()], each)
        }
    }

    /// The allocations of one session.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of_session(&self, session: SessionRow) -> Result<Allocations, StoreError> {
        let read = || {
            let mut query = self.0.conn.prepare_cached("SELECT body FROM allocations WHERE session = ?1")?;
            let read = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_blob().unwrap_or_default().to_vec());
            query.query_row([session.0], read).optional()
        };
        let body = read().map_err(StoreError::query("read where costs came from"))?.unwrap_or_default();
        Ok(Allocations { body })
    }

    /// Hands the allocations of one session to `each`, without a copy of them. Returns what its contexts have grown by, if that is
    /// kept and nothing that it follows from has changed since but perhaps the calls' estimates.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_of(
        &self,
        session: SessionRow,
        each: impl FnMut(&AllocationRow),
    ) -> Result<Option<Growth>, StoreError> {
        const SQL: &str = "SELECT h.body, iif(h.revision = s.revision AND h.version = ?2, h.growth, NULL)
          FROM allocations h JOIN sessions s ON s.id = h.session WHERE h.session = ?1";
        let read = || {
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let read = |row: &rusqlite::Row<'_>| {
                decode(row.get_ref(0)?.as_blob().unwrap_or_default(), each);
                Ok(growth::decode(row.get_ref(1)?.as_blob().unwrap_or_default()))
            };
            query.query_row(params![session.0, self.0.allocations_version()], read).optional()
        };
        read().map(Option::flatten).map_err(StoreError::query("read where costs came from"))
    }

    /// What a session has spent, by quarter, run, model and branch.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_bucket_of(
        &self,
        session: SessionRow,
        each: impl FnMut(&UsageBucket<'_>),
    ) -> Result<(), StoreError> {
        super::buckets::read_session(&self.0.conn, session, each)
            .map_err(StoreError::query("read the session's spending"))
    }

    /// The first responses of a session in the order of time, at most so many.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_responses(
        &self,
        session: SessionRow,
        at_most: usize,
    ) -> Result<Vec<ResponseRecord>, StoreError> {
        super::responses::responses_of(&self.0.conn, session, at_most)
            .map_err(StoreError::query("read the session's responses"))
    }

    /// A response, whosever it is.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn response(&self, id: &MessageId) -> Result<Option<ResponseRecord>, StoreError> {
        super::responses::known_message(&self.0.conn, id)
            .map(|found| found.map(|(message, _)| message))
            .map_err(StoreError::query("look up the response"))
    }

    /// Whether a session shares the response of that id with another one.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn has_as_copy(&self, id: &MessageId, session: SessionRow) -> Result<bool, StoreError> {
        super::owners::has(&self.0.conn, id.as_str(), session)
            .map_err(StoreError::query("find the session of the response"))
    }
}

impl<L: DerefMut<Target = Ledger>> AllocationTable<L> {
    /// Stores sessions' allocations, and what their contexts have grown by.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn store(&mut self, allocations: &[(StaleSession, Allocations, Growth)]) -> Result<(), StoreError> {
        const WHAT: &str = "store cost attribution";
        let version = self.0.allocations_version();
        match self.0.write(WHAT, |tx| store(tx, allocations, version)) {
            // A view is as right if it alone has them: a temporary table hides the ledger's own of that name.
            Err(error) if error.is_busy() && self.0.view.is_some() => {
                let mut keep = || {
                    let own = self.0.conn.savepoint()?;
                    if !own
                        .prepare("SELECT 1 FROM temp.sqlite_schema WHERE name = 'allocations'")?
                        .exists([])?
                    {
                        own.execute_batch(OWN_ALLOCATIONS)?;
                    }
                    store(&own, allocations, version)?;
                    own.commit()
                };
                keep().map_err(StoreError::query(WHAT))
            }
            stored => stored,
        }
    }
}

impl Ledger {
    /// What allocations are good for beside their session: the prices, and the form that they are kept in.
    fn allocations_version(&self) -> i64 {
        self.prices.version().wrapping_add(FORMAT << 48).cast_signed()
    }

    /// Hands on the allocations that a query has found. Those under a negative number are added up, of what is asked for alone.
    fn read_allocations(
        &self,
        filter: &BucketFilter,
        sql: &str,
        params: impl rusqlite::Params,
        mut each: impl FnMut(SessionRow, &AllocationRow),
    ) -> Result<(), StoreError> {
        let read = || -> rusqlite::Result<()> {
            let mut query = self.conn.prepare_cached(sql)?;
            let mut rows = query.query(params)?;
            while let Some(row) = rows.next()? {
                let number: i64 = row.get(0)?;
                let body = row.get_ref(1)?.as_blob().unwrap_or_default();
                decode(body, |row| {
                    if (number < 0 || filter.has_quarter(row.quarter)) && filter.has_model(&row.model) {
                        each(SessionRow(number.abs()), row);
                    }
                });
            }
            if filter.sessions.is_some() {
                return Ok(());
            }
            // Copies whose original is not known are in no session.
            super::buckets::read_session(&self.conn, SessionRow(0), |row| {
                if filter.has_quarter(row.quarter) && filter.has_model(row.model) {
                    each(row.session, &AllocationRow::unplaced(row, "(none)"));
                }
            })
        };
        read().map_err(StoreError::query("read where costs came from"))
    }
}

fn store(
    conn: &Connection,
    allocations: &[(StaleSession, Allocations, Growth)],
    version: i64,
) -> rusqlite::Result<()> {
    let mut insert = conn.prepare(
        "INSERT OR REPLACE INTO allocations (session, revision, version, body, growth) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut types = conn.prepare("SELECT agent_id, agent_type FROM agent_runs WHERE session = ?1")?;
    for (session, allocations, growth) in allocations {
        let types = types.query_map([session.row.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sums = added_up(allocations, &types.collect::<rusqlite::Result<_>>()?);
        insert.execute(params![
            session.row.0,
            session.stamp,
            version,
            allocations.body,
            growth::encode(growth)
        ])?;
        insert.execute(params![-session.row.0, session.stamp, version, sums.body, None::<Vec<u8>>])?;
    }
    Ok(())
}

/// Allocations without their time, branch, step and type of file, and with a run's type in its place.
fn added_up(allocations: &Allocations, types: &HashMap<String, Option<String>>) -> Allocations {
    #[derive(Default)]
    struct SumsByName {
        responses: u64,
        calls: u64,
        usage: Usage,
        cost: CostParts,
    }
    let mut texts = Interner::default();
    let mut sums: BTreeMap<([u32; 4], Phase, bool), SumsByName> = BTreeMap::new();
    allocations.for_each(|row| {
        let agent = match types.get(&row.agent_id) {
            Some(agent_type) => &format!("{RUNS_OF}{}", agent_type.as_deref().unwrap_or_default()),
            None => &row.agent_id,
        };
        let key = [agent, &row.model, &row.skill, &row.tool].map(|text| texts.number(text));
        let sum = sums.entry((key, row.phase, row.cost.is_some())).or_default();
        sum.responses += row.responses;
        sum.calls += row.calls;
        sum.usage += row.usage;
        sum.cost += row.cost.unwrap_or_default();
    });
    let mut writer = AllocationWriter::default();
    for ((key, phase, is_priced), sum) in sums {
        let [agent_id, model, skill, tool] = key.map(|number| texts.text(number).to_owned());
        let SumsByName { responses, calls, usage, cost } = sum;
        writer.push(&AllocationRow {
            agent_id,
            model,
            skill,
            tool,
            phase,
            responses,
            calls,
            usage,
            cost: is_priced.then_some(cost),
            ..AllocationRow::default()
        });
    }
    writer.finish()
}

/// Hands the rows that a [`AllocationWriter`] wrote to `each`: of a value that is none of ours those that are whole.
fn decode(body: &[u8], mut each: impl FnMut(&AllocationRow)) {
    let mut body = Unpacker::new(body);
    let Some(names) = body.texts() else { return };
    // Rows that follow each other share most of their names: one row is changed from each to the next.
    let mut row = AllocationRow::default();
    let mut named = [u64::MAX; COLUMNS];
    while let Some(n) = body.numbers::<COLUMNS>() {
        let texts = [
            &mut row.agent_id,
            &mut row.model,
            &mut row.branch,
            &mut row.tool,
            &mut row.skill,
            &mut row.file_type,
            &mut row.step,
        ];
        for (at, text) in (1..).zip(texts) {
            if n[at] != named[at] {
                let name = usize::try_from(n[at]).ok().and_then(|at| names.get(at));
                text.clear();
                text.push_str(name.copied().unwrap_or_default());
            }
        }
        named = n;
        let pico = |value: u64| PicoUsd::from_pico(value.into());
        row.quarter = n[0].checked_sub(1).map(QuarterHour::from_number);
        row.phase = match n[8] / 2 {
            0 => Phase::Entry,
            1 => Phase::Carry,
            _ => Phase::Unplaced,
        };
        (row.responses, row.calls) = (n[9], n[10]);
        row.usage = Usage {
            input: n[11],
            output: n[12],
            cache_read: n[13],
            cache_write_5m: n[14],
            cache_write_1h: n[15],
            web_searches: n[16],
        };
        row.cost = (n[8] % 2 == 1).then(|| CostParts {
            input: pico(n[17]),
            output: pico(n[18]),
            cache_read: pico(n[19]),
            cache_write: pico(n[20]),
            web_search: pico(n[21]),
        });
        each(&row);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::quarter_hour::HIDDEN_AGENT;
    use super::*;

    fn decoded(body: &[u8]) -> Vec<AllocationRow> {
        let mut rows = Vec::new();
        decode(body, |row| rows.push(row.clone()));
        rows
    }

    proptest! {
        #[test]
        fn bytes_that_nobody_has_written_are_no_more_rows_than_they_have_room_for(
            bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..200),
        ) {
            prop_assert!(decoded(&bytes).len() <= bytes.len() / COLUMNS);
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let row = AllocationRow {
            quarter: Some(QuarterHour::from_number(1_999_999)),
            agent_id: HIDDEN_AGENT.to_owned(),
            model: "claude-opus-5-5".to_owned(),
            branch: String::new(),
            tool: "Bash".to_owned(),
            skill: "review".to_owned(),
            file_type: String::new(),
            step: "turn 1".to_owned(),
            phase: Phase::Carry,
            responses: 1,
            calls: 2,
            usage: Usage {
                input: 0,
                output: u64::from(u32::MAX),
                cache_read: 127,
                cache_write_5m: 128,
                ..Usage::default()
            },
            cost: Some(CostParts { input: PicoUsd::from_pico(i64::MAX.into()), ..CostParts::default() }),
        };
        let unpriced = AllocationRow { cost: None, quarter: None, phase: Phase::Unplaced, ..row.clone() };
        let rows = vec![row, unpriced];
        let mut writer = AllocationWriter::default();
        rows.iter().for_each(|row| writer.push(row));
        let body = writer.finish().body;
        assert_eq!(decoded(&body), rows);
        for end in 0..body.len() {
            assert!(decoded(&body[..end]).len() < 2);
        }
    }
}
