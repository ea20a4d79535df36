//! Hidden calls: what the client's own totals (`cost-state`) have and no line shows.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::spending::Spending;
use super::writer::{SessionRow, signed, unsigned};
use super::{Ledger, StoreError};
use crate::agents::claude_code::CostState;
use crate::domain::{PicoUsd, Timestamp, Usage};
use crate::pricing::PriceTable;
use crate::reconcile::{self, Total};

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

impl Ledger {
    /// The sessions whose lines show more than the client's own total has.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn disagreements(&self) -> Result<Vec<Disagreement>, StoreError> {
        let read = || -> rusqlite::Result<Vec<Disagreement>> {
            let mut found = Vec::new();
            for session in with_states(&self.conn)? {
                let Some((_, parts)) = parts(&self.conn, &self.prices, session)? else { continue };
                let session_id: String = self.conn.query_row(
                    "SELECT session_id FROM sessions WHERE id = ?1",
                    [session.0],
                    |row| row.get(0),
                )?;
                found.extend(parts.into_iter().filter(|(_, part)| part.excess != Usage::default()).map(
                    |(model, part)| Disagreement {
                        session_id: session_id.clone(),
                        model,
                        excess: part.excess,
                    },
                ));
            }
            Ok(found)
        };
        read().map_err(StoreError::query("compare the client's totals"))
    }
}

/// Stores a total. Of two at one moment the later record counts.
pub(super) fn record(conn: &Connection, session: SessionRow, state: &CostState) -> rusqlite::Result<()> {
    let usage = state.usage;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO cost_states VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        session.0,
        state.at.map_or(0, Timestamp::as_millis),
        state.model.as_str(),
        state.started_at.map(Timestamp::as_millis),
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

/// The time of a session's last total.
pub(super) fn last_state(conn: &Connection, session: SessionRow) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT max(at) FROM cost_states WHERE session = ?1")?
        .query_row([session.0], |row| row.get(0))
}

/// Works a session's hidden calls out anew.
pub(super) fn refresh(
    conn: &Connection,
    prices: &PriceTable,
    session: SessionRow,
    spending: &mut Spending,
) -> rusqlite::Result<()> {
    spending.remove_hidden(conn, session)?;
    add(conn, prices, session, spending)
}

/// Adds the hidden calls of all sessions.
pub(super) fn add_all(
    conn: &Connection,
    prices: &PriceTable,
    spending: &mut Spending,
) -> rusqlite::Result<()> {
    with_states(conn)?.into_iter().try_for_each(|session| add(conn, prices, session, spending))
}

fn add(
    conn: &Connection,
    prices: &PriceTable,
    session: SessionRow,
    spending: &mut Spending,
) -> rusqlite::Result<()> {
    let Some((at, parts)) = parts(conn, prices, session)? else { return Ok(()) };
    for (model, part) in parts {
        if part.hidden != Usage::default() {
            // Many requests in one sum: no prompt to compare with a tier.
            let rates = prices.price(&model, at, 0, Default::default());
            spending.add_hidden(session, at, &model, part.hidden, rates);
        }
    }
    Ok(())
}

fn with_states(conn: &Connection) -> rusqlite::Result<Vec<SessionRow>> {
    conn.prepare("SELECT DISTINCT session FROM cost_states")?
        .query_map([], |row| Ok(SessionRow(row.get(0)?)))?
        .collect()
}

/// The time of a session's last total, and what it comes to by model beside the lines up to then.
type Parts = (Option<Timestamp>, BTreeMap<String, reconcile::Hidden>);

fn parts(conn: &Connection, prices: &PriceTable, session: SessionRow) -> rusqlite::Result<Option<Parts>> {
    let Some(at) = last_state(conn, session)? else { return Ok(None) };
    let (own, started_at) = states(conn, session, at)?;
    let inherited = match parent_state(conn, session, started_at)? {
        Some((parent, at)) => Some(states(conn, parent, at)?.0),
        None => None,
    };
    // The total without a time stands for all there is. A subagent can answer after the last dated line before the
    // total, but not after the session has gone on. Without its parent's total a fork's own covers those copies that
    // are younger than the client's start.
    let until = if at == 0 { i64::MAX } else { at };
    let mut lines: Vec<(String, Usage)> = conn
        .prepare_cached(
            "SELECT coalesce(model, ''), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
               sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(web_searches)
             FROM responses WHERE session = ?1 AND (NOT copied OR ?3 AND coalesce(at >= ?4, 1))
               AND coalesce(at, 0) <= CASE WHEN agent_id IS NULL THEN ?2 ELSE min(
                 coalesce((SELECT min(at) FROM responses WHERE session = ?1 AND at > ?2 AND agent_id IS NULL), 9e18),
                 coalesce((SELECT min(at) FROM prompts WHERE session = ?1 AND at > ?2 AND uuid IS NOT NULL), 9e18))
               END
             GROUP BY model",
        )?
        .query_map(params![session.0, until, inherited.is_none(), started_at], |row| {
            Ok((row.get(0)?, usage(row, 1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    if inherited.is_none() {
        lines.extend(lines_before_fork(conn, session, started_at)?);
    }
    let inherited = inherited.unwrap_or_default();
    let time = (at != 0).then(|| Timestamp::from_millis(at));
    let rates = |model: &str| prices.price(model, time, 0, Default::default());
    // Lines and totals may call one model by two names.
    let canonical =
        |model: &str| prices.find(model).map_or_else(|| model.to_owned(), |found| found.model.id.to_string());
    let parts = reconcile::hidden(&own, &inherited, &lines, canonical, |model, totals, lines| {
        totals.split(lines, rates(model).map(|rates| move |usage: &Usage| rates.cost(usage).total()))
    });
    Ok(Some((time, parts)))
}

/// A session's total at a moment, by model, and when the client says that it started.
fn states(
    conn: &Connection,
    session: SessionRow,
    at: i64,
) -> rusqlite::Result<(BTreeMap<String, Total>, Option<i64>)> {
    let mut started_at = None;
    let mut query = conn.prepare_cached(
        "SELECT model, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
           web_searches, split, cost_usd, started_at
         FROM cost_states WHERE session = ?1 AND at = ?2",
    )?;
    let states = query
        .query_map([session.0, at], |row| {
            started_at = row.get(9)?;
            let cost: Option<String> = row.get(8)?;
            let cost = cost.and_then(|cost| PicoUsd::parse(&cost));
            Ok((row.get(0)?, Total { usage: usage(row, 1)?, is_split: row.get(7)?, cost }))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok((states, started_at))
}

/// The total that a fork began with: its parent's last one before the fork, of the same start as far as that is known.
fn parent_state(
    conn: &Connection,
    session: SessionRow,
    started_at: Option<i64>,
) -> rusqlite::Result<Option<(SessionRow, i64)>> {
    conn.prepare_cached(
        "SELECT p.session, p.at FROM sessions s JOIN cost_states p ON p.session = s.parent
         WHERE s.id = ?1 AND coalesce(p.started_at = ?2, 1) AND p.at <= coalesce(s.forked_at, s.log_first_at) ORDER BY p.at DESC LIMIT 1",
    )?
    .query_row(params![session.0, started_at], |row| Ok((SessionRow(row.get(0)?), row.get(1)?)))
    .optional()
}

/// What the lines of a fork's parent show up to the fork: without a total of the parent's from then, the fork's own covers
/// those that are younger than the client's start, which is the fork's own if nothing was there to go on from.
fn lines_before_fork(
    conn: &Connection,
    session: SessionRow,
    started_at: Option<i64>,
) -> rusqlite::Result<Vec<(String, Usage)>> {
    conn.prepare_cached(
        "SELECT coalesce(r.model, ''), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens),
           sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(web_searches)
         FROM sessions s JOIN responses r ON r.session = s.parent
         WHERE s.id = ?1 AND NOT r.copied AND r.at <= coalesce(s.forked_at, s.log_first_at) AND coalesce(r.at >= ?2, 1) GROUP BY r.model",
    )?
    .query_map(params![session.0, started_at], |row| Ok((row.get(0)?, usage(row, 1)?)))?
    .collect()
}

fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    let count = |column: usize| row.get::<_, i64>(first + column).map(unsigned);
    Ok(Usage {
        input: count(0)?,
        output: count(1)?,
        cache_read: count(2)?,
        cache_write_5m: count(3)?,
        cache_write_1h: count(4)?,
        web_searches: count(5)?,
    })
}
