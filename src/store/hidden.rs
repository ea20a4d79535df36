//! Hidden calls: what the client's own totals (`cost-state`) have and no line shows.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;

use rusqlite::{Connection, Row, params};

use super::Witnesses;
use super::bucket_writer::BucketWriter;
use super::responses::iterations;
use super::writer::{SessionRow, signed};
use super::{Ledger, StoreError, columns};
use crate::domain::{ClientTotal, Modifiers, PicoUsd, Timestamp, Usage};
use crate::pricing::PriceTable;
use crate::reconcile::totals::{
    ModelName, Models, Session, ShownResponse, Total, TotalState, Totals, TotalsFindings,
};

/// Where a client's total has less than the lines show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The session.
    pub session_id: String,
    /// The model.
    pub model: String,
    /// By how much the lines have more.
    pub excess: Usage,
}

impl<L: Deref<Target = Ledger>> Witnesses<L> {
    /// The sessions whose lines show more than the client's own total has.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn disagreements(&self) -> Result<Vec<Disagreement>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Disagreement>> {
            let mut found = Vec::new();
            for row in with_states(&self.0.conn)? {
                let told = told(&self.0.conn, &self.0.prices, row)?;
                if told.excess.is_empty() {
                    continue;
                }
                let sql = "SELECT session_id FROM sessions WHERE id = ?1";
                let session_id: String = self.0.conn.query_row(sql, [row.0], |row| row.get(0))?;
                found.extend(told.excess.into_iter().map(|(model, excess)| Disagreement {
                    session_id: session_id.clone(),
                    model,
                    excess,
                }));
            }
            Ok(found)
        };
        read().map_err(StoreError::query("compare the client's totals"))
    }
}

/// Stores a total. Of two at one moment the later record counts, unless they are of processes that have counted apart.
pub(super) fn record(conn: &Connection, session: SessionRow, state: &ClientTotal) -> rusqlite::Result<()> {
    let usage = state.usage;
    let started_at = state.started_at.map(Timestamp::as_millis);
    let at = free_moment(conn, session, state.at.map_or(0, Timestamp::as_millis), started_at)?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO client_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        session.0,
        at,
        state.model.as_str(),
        started_at,
        signed(usage.input),
        signed(usage.output),
        signed(usage.cache_read),
        signed(usage.cache_write_5m),
        signed(usage.cache_write_1h),
        signed(usage.web_searches),
        state.is_split,
        state.cost_usd.map(|cost| cost.to_decimal()),
    ])?;
    Ok(())
}

/// The first millisecond from `at` on that no total of another start has: the table has one for each.
fn free_moment(
    conn: &Connection,
    session: SessionRow,
    at: i64,
    started_at: Option<i64>,
) -> rusqlite::Result<i64> {
    const SQL: &str =
        "SELECT at FROM client_totals WHERE session = ?1 AND at >= ?2 AND at < ?2 + 1000 AND started_at IS NOT ?3
         GROUP BY at ORDER BY at";
    let mut query = conn.prepare_cached(SQL)?;
    let mut taken = query.query(params![session.0, at, started_at])?;
    let mut free = at;
    while let Some(row) = taken.next()? {
        if row.get::<_, i64>(0)? > free {
            break;
        }
        free += 1;
    }
    Ok(free)
}

/// Whether a session's totals can tell something else since it has a record of that time (0 for a subagent's).
///
/// A total counts up to its time. After it the main conversation only tells which answers of subagents came later.
pub(super) fn can_change(conn: &Connection, session: SessionRow, first: i64) -> rusqlite::Result<bool> {
    let last: Option<i64> = conn
        .prepare_cached("SELECT max(at) FROM client_totals WHERE session = ?1")?
        .query_row([session.0], |row| row.get(0))?;
    match last {
        None => Ok(false),
        Some(last) if last == 0 || first <= last => Ok(true),
        Some(_) => conn
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM responses WHERE session = ?1 AND at > ?2 AND agent_id IS NOT NULL)",
            )?
            .query_row(params![session.0, first], |row| row.get(0)),
    }
}

/// Works a session's hidden calls out anew.
pub(super) fn refresh(
    conn: &Connection,
    prices: &PriceTable,
    session: SessionRow,
    spending: &mut BucketWriter,
) -> rusqlite::Result<()> {
    spending.remove_hidden(conn, session)?;
    add(conn, prices, session, spending)
}

/// Adds the hidden calls of all sessions.
pub(super) fn add_all(
    conn: &Connection,
    prices: &PriceTable,
    spending: &mut BucketWriter,
) -> rusqlite::Result<()> {
    with_states(conn)?.into_iter().try_for_each(|session| add(conn, prices, session, spending))
}

fn add(
    conn: &Connection,
    prices: &PriceTable,
    session: SessionRow,
    spending: &mut BucketWriter,
) -> rusqlite::Result<()> {
    for hidden in told(conn, prices, session)?.hidden {
        let ModelName { model, modifiers } = hidden.name;
        // Many requests in one sum: no prompt to compare with a tier.
        let rates = prices.price(&model, hidden.at, 0, modifiers);
        spending.add_hidden(session, hidden.at, &model, hidden.usage, rates);
    }
    Ok(())
}

fn with_states(conn: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
    conn.prepare("SELECT DISTINCT session FROM client_totals")?
        .query_map([], |row| Ok(SessionRow(row.get(0)?)))?
        .collect()
}

impl Models for PriceTable {
    fn name(&self, model: &str) -> (String, bool) {
        match self.find(model) {
            Some(found) => (found.model.id.to_string(), true),
            None => (Self::normal_form(model), false),
        }
    }

    fn cost(&self, model: &str, at: Option<Timestamp>, usage: &Usage) -> Option<PicoUsd> {
        Some(usage.cost_at(&self.price(model, at, 0, Modifiers::default())?).total())
    }
}

fn told(conn: &Connection, prices: &PriceTable, session: SessionRow) -> rusqlite::Result<TotalsFindings> {
    let states = states(conn, session)?;
    if states.is_empty() {
        return Ok(TotalsFindings::default());
    }
    let starts: BTreeSet<Option<Timestamp>> = states.iter().map(|state| state.started_at).collect();
    let mut inherited = BTreeMap::new();
    for start in &starts {
        let Some(own) = states.iter().find(|state| state.started_at == *start) else { continue };
        if let Some(totals) = parents_total(conn, session, *start, own)? {
            inherited.insert(*start, totals);
        }
    }
    let turns = conn
        .prepare_cached(
            "SELECT at FROM prompts WHERE session = ?1 AND uuid IS NOT NULL AND at NOT NULL ORDER BY at",
        )?
        .query_map([session.0], |row| row.get(0).map(Timestamp::from_millis))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut lines = SessionLines::default();
    lines.read(conn, "SELECT COLUMNS FROM responses r WHERE r.session = ?1", session)?;
    if inherited.len() < starts.len() {
        // A total that goes on from none of the parent's can have what the parent did before the fork.
        let before = "SELECT COLUMNS FROM sessions s JOIN responses r ON r.session = s.parent
            WHERE s.id = ?1 AND NOT r.copied
              AND r.at <= coalesce(s.forked_at, s.log_first_at)";
        lines.read(conn, before, session)?;
    }
    let (lines, names) = lines.told(&turns);
    Ok(Session { states, lines, names, turns, inherited }.told(prices))
}

/// Responses as they are read.
#[derive(Default)]
struct SessionLines {
    found: Vec<Found>,
    names: Vec<ModelName>,
    places: HashMap<(String, i64), usize>,
}

struct Found {
    line: ShownResponse,
    is_main: bool,
}

impl SessionLines {
    fn read(&mut self, conn: &Connection, sql: &str, session: SessionRow) -> rusqlite::Result<()> {
        const COLUMNS: &str = "r.session, r.agent_id IS NULL, r.copied, r.at, r.modifiers, coalesce(r.model, ''),
            r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_5m_tokens, r.cache_write_1h_tokens,
            r.web_searches, r.iterations, instr(r.message_id, '/advisor/') > 0";
        let mut query = conn.prepare_cached(&sql.replace("COLUMNS", COLUMNS))?;
        let mut rows = query.query([session.0])?;
        while let Some(row) = rows.next()? {
            let (owner, copied): (i64, bool) = (row.get(0)?, row.get(2)?);
            let usage = columns::usage(row, 6)?;
            let by_client = iterations(row, 12, &usage)?.map_or(usage, |iterations| iterations.by_client);
            let line = ShownResponse {
                at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
                told_at: None,
                name: self.name(row)?,
                usage: by_client,
                is_advice: row.get(13)?,
                is_before_fork: copied || owner != session.0,
            };
            self.found.push(Found { line, is_main: row.get(1)? });
        }
        Ok(())
    }

    /// The place of a response's model and modifiers.
    fn name(&mut self, row: &Row<'_>) -> rusqlite::Result<usize> {
        let mode: i64 = row.get(4)?;
        let model = columns::name(row, 5)?;
        // Most have the name of the one before.
        let is_last = |name: &ModelName| name.model == model && name.modifiers == Modifiers::from_bits(mode);
        if let Some(last) = self.found.last().map(|found| found.line.name)
            && self.names.get(last).is_some_and(is_last)
        {
            return Ok(last);
        }
        let next = self.names.len();
        let place = *self.places.entry((model.to_owned(), mode)).or_insert(next);
        if place == next {
            self.names.push(ModelName { model: model.to_owned(), modifiers: Modifiers::from_bits(mode) });
        }
        Ok(place)
    }

    /// The lines in the order in which totals come to have them. A subagent can answer after the last dated line before a
    /// total, but not after the session has gone on: its answer is told with what the main conversation said last.
    fn told(self, turns: &[Timestamp]) -> (Vec<ShownResponse>, Vec<ModelName>) {
        let main = self.found.iter().filter(|found| found.is_main).filter_map(|found| found.line.at);
        let mut spoken: Vec<Timestamp> = main.chain(turns.iter().copied()).collect();
        spoken.sort_unstable();
        let told = |found: Found| {
            let told_at = match found.line.at {
                Some(at) if !found.is_main => {
                    spoken.partition_point(|spoken| *spoken < at).checked_sub(1).map(|last| spoken[last])
                }
                at => at,
            };
            ShownResponse { told_at, ..found.line }
        };
        let mut lines: Vec<ShownResponse> = self.found.into_iter().map(told).collect();
        lines.sort_by_key(|line| line.told_at);
        (lines, self.names)
    }
}

/// A session's totals, in the order of time.
fn states(conn: &Connection, session: SessionRow) -> rusqlite::Result<Vec<TotalState>> {
    const SQL: &str = concat!(
        "SELECT model, ",
        columns::usage_columns!(),
        ", cache_writes_split, cost_usd, at, started_at FROM client_totals WHERE session = ?1 ORDER BY at"
    );
    let mut query = conn.prepare_cached(SQL)?;
    let mut rows = query.query([session.0])?;
    let mut states: Vec<TotalState> = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (at, started_at): (i64, Option<i64>) = (row.get(9)?, row.get(10)?);
        if last != Some(at) {
            states.push(TotalState {
                at: (at != 0).then(|| Timestamp::from_millis(at)),
                started_at: started_at.map(Timestamp::from_millis),
                totals: Totals::new(),
            });
            last = Some(at);
        }
        if let Some(state) = states.last_mut() {
            let cost = row.get::<_, Option<String>>(8)?.and_then(|cost| PicoUsd::parse(&cost));
            state
                .totals
                .insert(row.get(0)?, Total { usage: columns::usage(row, 1)?, is_split: row.get(7)?, cost });
        }
    }
    Ok(states)
}

/// The total that a fork's first one of a start, `own`, went on from: its parent's last one before the fork that it covers. One
/// of another start was not gone on from; then a session that shares records can have had it, as where a fork of a fork has
/// gone back to what its parent's parent said. Where another fork of the parent stands between the two, its total is the one.
fn parents_total(
    conn: &Connection,
    session: SessionRow,
    start: Option<Timestamp>,
    own: &TotalState,
) -> rusqlite::Result<Option<Totals>> {
    const OF_PARENT: &str =
        "SELECT p.session, p.at FROM sessions s JOIN client_totals p ON p.session = s.parent
        WHERE s.id = ?1 AND coalesce(p.started_at = ?2, 1) AND p.at <= coalesce(s.forked_at, s.log_first_at)
        GROUP BY p.at ORDER BY p.at DESC";
    const OF_RELATIVES: &str = "SELECT p.session, p.at FROM sessions s JOIN client_totals p ON p.started_at = ?2
        WHERE s.id = ?1 AND p.session != ?1 AND p.at <= coalesce(s.forked_at, s.log_first_at) AND EXISTS
          (SELECT 1 FROM shared_records x JOIN shared_records y ON y.key = x.key WHERE x.session = ?1 AND y.session = p.session)
        GROUP BY p.session, p.at ORDER BY p.at DESC, p.session";
    const OF_SIBLINGS: &str = "SELECT p.session, p.at FROM sessions s JOIN sessions o ON o.parent = s.parent
          JOIN client_totals p ON p.session = o.id AND p.started_at = ?2
        WHERE s.id = ?1 AND o.id != ?1 AND p.at <= coalesce(s.forked_at, s.log_first_at)
        GROUP BY p.session, p.at ORDER BY p.at DESC, p.session";
    let mut read = HashMap::new();
    let mut found = |sql: &str| -> rusqlite::Result<Vec<Totals>> {
        let mut query = conn.prepare_cached(sql)?;
        let found = query.query_map(params![session.0, start.map(Timestamp::as_millis)], |row| {
            Ok((SessionRow(row.get(0)?), row.get::<_, i64>(1)?))
        })?;
        let mut totals = Vec::new();
        for found in found {
            let (other, at) = found?;
            let states = match read.entry(other) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => free.insert(states(conn, other)?),
            };
            let is_it = |state: &&TotalState| state.at.map_or(0, Timestamp::as_millis) == at;
            totals.extend(states.iter().find(is_it).map(|state| state.totals.clone()));
        }
        Ok(totals)
    };
    for sql in [OF_PARENT, OF_RELATIVES] {
        let mut totals = found(sql)?;
        let Some(at) = totals.iter().position(|total| covers(&own.totals, total)).or_else(|| {
            // None of them is covered: the last.
            (!totals.is_empty()).then_some(0)
        }) else {
            continue;
        };
        let inherited = totals.swap_remove(at);
        for sibling in found(OF_SIBLINGS)? {
            // The process has gone on from the parent to the sibling, and from there to this one. Where the two are of
            // processes that went on side by side, what is left of this one's total would not be all that its lines show.
            let is_between = covers(&sibling, &inherited) && covers(&own.totals, &sibling);
            if is_between && has_own_lines(conn, session, own, &sibling)? {
                return Ok(Some(sibling));
            }
        }
        return Ok(Some(inherited));
    }
    Ok(None)
}

/// Whether a total without another still has all that the session's own lines show up to it.
fn has_own_lines(
    conn: &Connection,
    session: SessionRow,
    own: &TotalState,
    without: &Totals,
) -> rusqlite::Result<bool> {
    const SQL: &str = concat!(
        "SELECT ",
        columns::usage_columns!(),
        ", iterations, coalesce(model, ''), instr(message_id, '/advisor/') > 0
         FROM responses WHERE session = ?1 AND NOT copied AND (at IS NULL OR at <= ?2)"
    );
    let until = own.at.map_or(i64::MAX, Timestamp::as_millis);
    let mut lines = Usage::default();
    let mut query = conn.prepare_cached(SQL)?;
    let mut rows = query.query([session.0, until])?;
    while let Some(row) = rows.next()? {
        // What the client itself adds to its total, which leaves an advisor's model out where it names no such model.
        let is_left_out = row.get(8)? && !own.totals.contains_key(columns::name(row, 7)?);
        if !is_left_out {
            let usage = columns::usage(row, 0)?;
            lines += iterations(row, 6, &usage)?.map_or(usage, |iterations| iterations.by_client);
        }
    }
    let all = |totals: &Totals| counts(&totals.values().map(|total| total.usage).sum());
    let (own, without, shown) = (all(&own.totals), all(without), counts(&lines));
    Ok((0..own.len()).all(|class| own[class].saturating_sub(without[class]) >= shown[class]))
}

/// Whether a total can have gone on from another: no count is less.
fn covers(own: &Totals, other: &Totals) -> bool {
    other.iter().all(|(model, total)| {
        own.get(model).is_some_and(|own| {
            counts(&own.usage).iter().zip(counts(&total.usage)).all(|(own, other)| *own >= other)
        })
    })
}

/// The classes that a total has in common with lines: it need not split cache writes.
fn counts(usage: &Usage) -> [u64; 5] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write(), usage.web_searches]
}

/// The sessions whose totals can have gone on from a session's.
pub(super) fn heirs(conn: &Connection, session: i64) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(
        "SELECT id FROM sessions WHERE parent = ?1 UNION SELECT b.session FROM client_totals a
           JOIN client_totals b ON b.started_at = a.started_at WHERE a.session = ?1 AND b.session != ?1",
    )?
    .query_map([session], |row| row.get(0))?
    .collect()
}
