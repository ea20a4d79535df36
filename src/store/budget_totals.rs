//! What was used of each budget: totals that every transaction adds to what it has changed, so that the hook adds up no
//! history. One that is void, or whose time is over, is made anew from the roll-ups.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Budgets;
use super::budgets;
use super::columns::bucket_columns;
use super::meta::ALERTS;
use super::quarter_hour::{HIDDEN_AGENT, QuarterHour};
use super::reports::{self, Report};
use super::writer::{signed, unsigned};
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{
    AgentId, Budget, BudgetSpan, BudgetState, Limit, MAIN_AGENT, ModelId, Per, PicoUsd, Scope, Timestamp,
    ToolUseId, UsedAmount,
};
use crate::pricing::PriceTable;

/// Estimates of contexts that nobody has heard of for so long are taken to have come to nothing.
pub(super) const PENDING_MILLIS: i64 = 86_400_000;
/// The columns that [`totals`] reads, of a table that is called `t`.
macro_rules! totals_columns {
    () => {
        "t.from_quarter_hour, t.until_quarter_hour, t.cost_pico, t.tokens, t.estimated_cost_pico, t.estimated_tokens,
         t.notified, t.stopped_at"
    };
}
pub(super) use totals_columns;

/// The rows of a session.
const OF_SESSION: &str = "usage_buckets WHERE session = ?1 AND ?2 <= ?3";

/// What is kept of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetTotals {
    /// The time that it counts.
    pub span: BudgetSpan,
    /// What was billed in it, with what was reported.
    pub used: UsedAmount,
    /// What the user was told of it; of a budget that is [`BudgetState::Ok`] nothing.
    pub told: BudgetState,
    /// When a session was stopped last.
    pub stopped_at: Option<Timestamp>,
}

/// What a context's last results are estimated to add to its next request.
#[derive(Debug, Clone, Copy)]
pub struct Pending<'a> {
    /// When they came.
    pub at: Timestamp,
    /// The subagent whose context it is; `None` for the main conversation.
    pub agent: Option<&'a AgentId>,
    /// The model that is taken to read them.
    pub model: Option<&'a ModelId>,
    /// What a token of them costs; nothing without a price.
    pub rate: u64,
    /// The calls that returned them.
    pub calls: &'a [ToolUseId],
}

/// A change of `usage_buckets`, or a row of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BucketChange<'a> {
    pub(super) quarter: i64,
    pub(super) session: i64,
    pub(super) agent: &'a str,
    pub(super) model: &'a str,
    pub(super) tokens: i64,
    pub(super) pico: i64,
}

impl<L: Deref<Target = Ledger>> Budgets<L> {
    /// The models without a price among what a budget counts.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn unpriced_of(
        &self,
        budget: &Budget,
        session: SessionRow,
        span: BudgetSpan,
    ) -> Result<BTreeSet<String>, StoreError> {
        const SQL: &str = "SELECT DISTINCT session, agent_id, model FROM usage_buckets
            WHERE NOT priced AND quarter_hour >= ?1 AND quarter_hour < ?2 AND (?3 = 0 OR session = ?3)";
        let run = || -> rusqlite::Result<BTreeSet<String>> {
            let session = if budget.per == Per::Session { session.0 } else { 0 };
            let (start, until) = bounds(span);
            let mut names = Names::new(&self.0.conn);
            let mut found = BTreeSet::new();
            let mut query = self.0.conn.prepare(SQL)?;
            let mut rows = query.query([start, until, session])?;
            while let Some(row) = rows.next()? {
                let (session, agent, model): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                if names.has(&budget.scope, session, &agent, &model)? {
                    found.insert(if model.is_empty() { "(none)".to_owned() } else { model });
                }
            }
            Ok(found)
        };
        run().map_err(StoreError::query("find models without a price"))
    }

    /// What a session has used, or one of its subagents' runs: the cost, of what has a price, and all tokens.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn used_by(&self, session: SessionRow, run: Option<&AgentId>) -> Result<UsedAmount, StoreError> {
        let mut sum = Sum::default();
        let mut add = |amount: BucketChange<'_>| {
            if run.is_none_or(|run| run.as_str() == amount.agent) {
                sum.add(Sum { pico: amount.pico, tokens: amount.tokens, ..Sum::default() });
            }
            Ok(())
        };
        read(&self.0.conn, OF_SESSION, (session.0, 0, 0), &mut add)
            .map_err(StoreError::query("add up the session's usage"))?;
        let cost = PicoUsd::from_pico(sum.pico.into());
        Ok(UsedAmount { cost, tokens: unsigned(sum.tokens), ..UsedAmount::default() })
    }

    /// When the first of what is spent since `from` was.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn first_spent(&self, from: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        let from = from.map_or(0, |from| QuarterHour::containing(from).0);
        self.0
            .conn
            .query_row(
                "SELECT min(quarter_hour) FROM usage_buckets WHERE quarter_hour >= ?1",
                [from],
                |row| Ok(row.get::<_, Option<i64>>(0)?.map(|quarter| QuarterHour(quarter).start())),
            )
            .map_err(StoreError::query("look up the first spending"))
    }
}

impl<L: DerefMut<Target = Ledger>> Budgets<L> {
    /// Makes what is kept of a budget anew, for a session or for all, and for a time. What was said within it is kept.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn count_anew(
        &mut self,
        budget: &Budget,
        session: SessionRow,
        span: BudgetSpan,
    ) -> Result<BudgetTotals, StoreError> {
        const WHAT: &str = "add up the budget's usage";
        let session = if budget.per == Per::Session { session.0 } else { 0 };
        let totals = match self.0.write(WHAT, |tx| keep(tx, budget, session, span)) {
            // A view is as right without keeping it.
            Err(error) if error.is_busy() && self.0.view.is_some() => {
                unkept(&self.0.conn, budget, session, span).map_err(StoreError::query(WHAT))
            }
            totals => totals,
        };
        totals?.ok_or(StoreError::Query { what: WHAT, source: rusqlite::Error::QueryReturnedNoRows })
    }

    /// Notes that the user is told how a budget stands. `false` if he was told so before; of processes that ask at once one
    /// is the first.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn note_told(
        &mut self,
        budget: &Budget,
        session: SessionRow,
        told: BudgetState,
    ) -> Result<bool, StoreError> {
        self.0.write("record the warning", |tx| {
            let session = if budget.per == Per::Session { session.0 } else { 0 };
            let sql =
                "UPDATE budget_totals SET notified = ?3 WHERE budget = ?1 AND session = ?2 AND notified < ?3";
            Ok(tx.execute(sql, params![budget.id, session, told as u8])? > 0)
        })
    }

    /// Notes that a session was stopped, and if `is_heard` that the user is told so.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn note_stop(
        &mut self,
        budget: &Budget,
        session: SessionRow,
        at: Timestamp,
        is_heard: bool,
    ) -> Result<(), StoreError> {
        self.0.write("record the stop", |tx| {
            let session = if budget.per == Per::Session { session.0 } else { 0 };
            let sql =
                "UPDATE budget_totals SET stopped_at = ?3, notified = iif(?4, 2, notified) WHERE budget = ?1 AND session = ?2";
            tx.execute(sql, params![budget.id, session, at.as_millis(), is_heard])?;
            Ok(())
        })
    }
}

/// What is kept of a budget for a session, or for all (0).
const TOTALS: &str =
    concat!("SELECT ", totals_columns!(), " FROM budget_totals t WHERE t.budget = ?1 AND t.session = ?2");

fn keep(
    conn: &Connection,
    budget: &Budget,
    session: i64,
    span: BudgetSpan,
) -> rusqlite::Result<Option<BudgetTotals>> {
    let sum = add_up(conn, budget, session, span)?;
    let (start, until) = bounds(span);
    conn.execute(
        "INSERT INTO budget_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, NULL) ON CONFLICT DO UPDATE SET
           notified = iif(from_quarter_hour = ?3, notified, 0), stopped_at = iif(from_quarter_hour = ?3, stopped_at, NULL),
           from_quarter_hour = ?3, until_quarter_hour = ?4, cost_pico = ?5, tokens = ?6, estimated_cost_pico = ?7,
           estimated_tokens = ?8",
        params![budget.id, session, start, until, sum.pico, sum.tokens, sum.est_pico, sum.est_tokens],
    )?;
    conn.prepare_cached(TOTALS)?.query_row([budget.id, session], |row| totals(row, 0))
}

/// What [`keep`] would keep.
fn unkept(
    conn: &Connection,
    budget: &Budget,
    session: i64,
    span: BudgetSpan,
) -> rusqlite::Result<Option<BudgetTotals>> {
    const SQL: &str = "SELECT ?3, ?4, ?5, ?6, ?7, ?8,
        coalesce((SELECT notified FROM budget_totals WHERE budget = ?1 AND session = ?2 AND from_quarter_hour = ?3), 0),
        (SELECT stopped_at FROM budget_totals WHERE budget = ?1 AND session = ?2 AND from_quarter_hour = ?3)";
    let sum = add_up(conn, budget, session, span)?;
    let (start, until) = bounds(span);
    let values =
        params![budget.id, session, start, until, sum.pico, sum.tokens, sum.est_pico, sum.est_tokens];
    conn.query_row(SQL, values, |row| totals(row, 0))
}

/// What a session uses, kept like that of a budget (with the number 0) that asks for nothing else. Alerts need it; it is
/// there while they are on.
fn session_total() -> Budget {
    Budget::new(Limit::Tokens(u64::MAX), Per::Session, Scope::default())
}

/// What a session has used; made anew if it is not kept.
pub(super) fn of_session(conn: &Connection, session: SessionRow) -> rusqlite::Result<UsedAmount> {
    let known = conn
        .prepare_cached(TOTALS)?
        .query_row([session_total().id, session.0], |row| totals(row, 0))
        .optional()?
        .flatten();
    let totals = match known {
        Some(totals) => Some(totals),
        None => keep(conn, &session_total(), session.0, BudgetSpan::ALWAYS)?,
    };
    Ok(totals.map_or_else(UsedAmount::default, |totals| totals.used))
}

/// Forgets what sessions have used, for no alert asks for it any more.
pub(super) fn forget_sessions(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM budget_totals WHERE budget = ?1", [session_total().id])?;
    Ok(())
}

/// All budgets of which something is kept.
fn all(conn: &Connection) -> rusqlite::Result<Vec<Budget>> {
    let mut budgets = budgets::all(conn)?;
    if ALERTS.get(conn)?.is_some() {
        budgets.push(session_total());
    }
    Ok(budgets)
}

/// Adds changes of `usage_buckets` to what is kept. A budget of which nothing is kept, or of another time, is passed over: it is
/// made anew when it is asked for.
pub(super) fn add<'a>(
    conn: &Connection,
    changes: impl Iterator<Item = BucketChange<'a>>,
) -> rusqlite::Result<()> {
    const SQL: &str = "UPDATE budget_totals SET cost_pico = cost_pico + ?3, tokens = tokens + ?4
        WHERE budget = ?1 AND session = ?2 AND from_quarter_hour <= ?5 AND ?5 < until_quarter_hour";
    if !is_kept(conn)? {
        return Ok(());
    }
    let budgets = all(conn)?;
    let mut names = Names::new(conn);
    // By budget and session, for many changes are of few of them; quarters stay apart for the sake of the bounds.
    let mut sums: HashMap<(i64, i64, i64), (i64, i64)> = HashMap::new();
    for change in changes {
        for budget in &budgets {
            if names.has(&budget.scope, change.session, change.agent, change.model)? {
                let session = if budget.per == Per::Session { change.session } else { 0 };
                let sum = sums.entry((budget.id, session, change.quarter)).or_default();
                *sum = (sum.0.saturating_add(change.pico), sum.1.saturating_add(change.tokens));
            }
        }
    }
    let mut update = conn.prepare_cached(SQL)?;
    for ((budget, session, quarter), (pico, tokens)) in sums {
        update.execute(params![budget, session, pico, tokens, quarter])?;
    }
    Ok(())
}

/// Notes what the last results of a context will add; in place of what was noted before.
pub(super) fn note_pending(
    conn: &Connection,
    session: SessionRow,
    pending: &Pending<'_>,
) -> rusqlite::Result<()> {
    const RETURNED: &str = "SELECT returned_tokens FROM tool_calls WHERE session = ?1 AND tool_use_id = ?2";
    let mut query = conn.prepare_cached(RETURNED)?;
    let mut tokens = 0_u64;
    for call in pending.calls {
        let found: Option<i64> =
            query.query_row(params![session.0, call.as_str()], |row| row.get(0)).optional()?;
        tokens = tokens.saturating_add(found.map_or(0, unsigned));
    }
    let at = pending.at.as_millis();
    conn.execute("DELETE FROM pending_input WHERE at < ?1", [at - PENDING_MILLIS])?;
    conn.execute(
        "INSERT OR REPLACE INTO pending_input VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            session.0,
            pending.agent.map_or("", AgentId::as_str),
            at,
            pending.model.map(ModelId::as_str),
            signed(tokens),
            PicoUsd::times(tokens, pending.rate).to_i64(),
        ],
    )?;
    Ok(())
}

/// Prices anew what the last results are estimated to add.
pub(super) fn reprice_pending(conn: &Connection, prices: &PriceTable) -> rusqlite::Result<()> {
    let mut query = conn.prepare("SELECT session, agent_id, at, model, tokens FROM pending_input")?;
    let found: Vec<(i64, String, i64, Option<String>, i64)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (session, agent, at, model, tokens) in found {
        let at = Timestamp::from_millis(at);
        let rates = model.and_then(|model| prices.price(&model, at, 0, Default::default()));
        let pico = PicoUsd::times(unsigned(tokens), rates.map_or(0, |rates| rates.cache_write_5m)).to_i64();
        conn.execute(
            "UPDATE pending_input SET cost_pico = ?3 WHERE session = ?1 AND agent_id = ?2",
            params![session, agent, pico],
        )?;
    }
    Ok(())
}

/// Whether anything is; costs a look at two pages.
fn is_kept(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM budgets UNION ALL SELECT 1 FROM meta WHERE name = ?1 LIMIT 1")?
        .exists([ALERTS.name()])
}

/// Voids all that is kept, for what it was added up from has changed as a whole.
pub(super) fn void(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("UPDATE budget_totals SET until_quarter_hour = NULL", [])?;
    Ok(())
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    pico: i64,
    tokens: i64,
    est_pico: i64,
    est_tokens: i64,
}

impl Sum {
    fn of(report: &Report) -> Self {
        let (pico, tokens) = (report.cost.map_or(0, PicoUsd::to_i64), signed(report.tokens));
        if report.is_estimate {
            Self { est_pico: pico, est_tokens: tokens, ..Self::default() }
        } else {
            Self { pico, tokens, ..Self::default() }
        }
    }

    fn add(&mut self, other: Self) {
        self.pico = self.pico.saturating_add(other.pico);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.est_pico = self.est_pico.saturating_add(other.est_pico);
        self.est_tokens = self.est_tokens.saturating_add(other.est_tokens);
    }
}

/// Whether a budget counts a report.
fn has_report(budget: &Budget, report: &Report) -> bool {
    let scope = &budget.scope;
    scope.has_project(report.project.as_deref())
        && scope.has_agent(&[report.agent.as_deref()])
        && scope.has_model(report.model.as_deref())
}

/// Adds a report to what is kept.
pub(super) fn add_report(conn: &Connection, report: &Report) -> rusqlite::Result<()> {
    const SQL: &str = "UPDATE budget_totals SET cost_pico = cost_pico + ?3, tokens = tokens + ?4,
          estimated_cost_pico = estimated_cost_pico + ?6, estimated_tokens = estimated_tokens + ?7
        WHERE budget = ?1 AND session = ?2 AND from_quarter_hour <= ?5 AND ?5 < until_quarter_hour";
    let sum = Sum::of(report);
    let quarter = report.at.map_or(-1, |at| QuarterHour::containing(at).0);
    for budget in all(conn)?.iter().filter(|budget| has_report(budget, report)) {
        let session =
            if budget.per == Per::Session { report.session.map_or(-1, |session| session.0) } else { 0 };
        conn.execute(
            SQL,
            params![budget.id, session, sum.pico, sum.tokens, quarter, sum.est_pico, sum.est_tokens],
        )?;
    }
    Ok(())
}

/// What a budget counts, from the roll-ups and the reports.
fn add_up(conn: &Connection, budget: &Budget, session: i64, span: BudgetSpan) -> rusqlite::Result<Sum> {
    let (start, until) = bounds(span);
    let mut total = Sum::default();
    let mut names = Names::new(conn);
    let mut add = |amount: BucketChange<'_>| -> rusqlite::Result<()> {
        if names.has(&budget.scope, amount.session, amount.agent, amount.model)? {
            total.add(Sum { pico: amount.pico, tokens: amount.tokens, ..Sum::default() });
        }
        Ok(())
    };
    let from = match budget.per {
        Per::Session => OF_SESSION,
        Per::Day | Per::Week | Per::Month => {
            "usage_buckets WHERE quarter_hour >= ?2 AND quarter_hour < ?3 AND ?1 = 0"
        }
        // All there is: the days, and what has no time.
        Per::Total => "usage_rollups WHERE grain = 96 AND ?1 = 0 AND ?2 < ?3",
    };
    read(conn, from, (session, start, until), &mut add)?;
    if budget.per == Per::Total {
        read(
            conn,
            "usage_buckets WHERE quarter_hour < 0 AND ?1 = 0 AND ?2 < ?3",
            (session, start, until),
            &mut add,
        )?;
    }
    let is_own =
        |report: &Report| budget.per != Per::Session || report.session.is_some_and(|own| own.0 == session);
    for report in reports::read(conn, (start, until))? {
        if is_own(&report) && has_report(budget, &report) {
            total.add(Sum::of(&report));
        }
    }
    Ok(total)
}

fn read(
    conn: &Connection,
    from: &str,
    params: (i64, i64, i64),
    each: &mut impl FnMut(BucketChange<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut query = conn.prepare(&format!("SELECT {} FROM {from}", bucket_columns!()))?;
    let mut rows = query.query(params)?;
    while let Some(row) = rows.next()? {
        let sum = |columns: std::ops::Range<usize>| -> rusqlite::Result<i64> {
            let mut sum = 0_i64;
            for column in columns {
                sum = sum.saturating_add(row.get(column)?);
            }
            Ok(sum)
        };
        let (agent, model): (String, String) = (row.get(2)?, row.get(3)?);
        each(BucketChange {
            quarter: row.get(0)?,
            session: row.get(1)?,
            agent: &agent,
            model: &model,
            tokens: sum(7..12)?,
            pico: sum(13..18)?,
        })?;
    }
    Ok(())
}

/// Whose sessions and runs are whose, looked up once each and only where a budget asks.
pub(super) struct Names<'c> {
    conn: &'c Connection,
    projects: HashMap<i64, Option<String>>,
    types: HashMap<(i64, String), Option<String>>,
}

impl<'c> Names<'c> {
    pub(super) fn new(conn: &'c Connection) -> Self {
        Self { conn, projects: HashMap::new(), types: HashMap::new() }
    }

    /// Whether a scope has what an agent of a session spent on a model.
    pub(super) fn has(
        &mut self,
        scope: &Scope,
        session: i64,
        agent: &str,
        model: &str,
    ) -> rusqlite::Result<bool> {
        if !scope.has_model(Some(model)) {
            return Ok(false);
        }
        if scope.agent.is_some() {
            let own = match agent {
                "" => Some(MAIN_AGENT),
                HIDDEN_AGENT => None,
                run => self.agent_type(session, run)?,
            };
            if !scope.has_agent(&[own, Some(agent)]) {
                return Ok(false);
            }
        }
        Ok(scope.project.is_none() || scope.has_project(self.project(session)?))
    }

    fn project(&mut self, session: i64) -> rusqlite::Result<Option<&str>> {
        if !self.projects.contains_key(&session) {
            let sql = "SELECT project FROM sessions WHERE id = ?1";
            let found = self.conn.prepare_cached(sql)?.query_row([session], |row| row.get(0)).optional()?;
            self.projects.insert(session, found.flatten());
        }
        Ok(self.projects.get(&session).and_then(Option::as_deref))
    }

    fn agent_type(&mut self, session: i64, agent: &str) -> rusqlite::Result<Option<&str>> {
        let key = (session, agent.to_owned());
        if !self.types.contains_key(&key) {
            let sql = "SELECT agent_type FROM agent_runs WHERE session = ?1 AND agent_id = ?2";
            let found = self.conn.prepare_cached(sql)?.query_row(params![session, agent], |row| row.get(0));
            self.types.insert(key.clone(), found.optional()?.flatten());
        }
        Ok(self.types.get(&key).and_then(Option::as_deref))
    }
}

/// A time in quarters of an hour. What has no time is in all time alone.
fn bounds(span: BudgetSpan) -> (i64, i64) {
    let quarter = |at: Timestamp| QuarterHour::containing(at).0;
    (span.from.map_or(i64::MIN, quarter), span.until.map_or(i64::MAX, quarter))
}

/// What is kept, from eight columns; `None` if it is void or not there.
pub(super) fn totals(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<BudgetTotals>> {
    let (start, until): (Option<i64>, Option<i64>) = (row.get(first)?, row.get(first + 1)?);
    let (Some(start), Some(until)) = (start, until) else { return Ok(None) };
    let time =
        |quarter: i64| (quarter != i64::MIN && quarter != i64::MAX).then(|| QuarterHour(quarter).start());
    let used = UsedAmount {
        cost: PicoUsd::from_pico(row.get::<_, i64>(first + 2)?.into()),
        tokens: unsigned(row.get(first + 3)?),
        pending_cost: PicoUsd::from_pico(row.get::<_, i64>(first + 4)?.into()),
        pending_tokens: unsigned(row.get(first + 5)?),
    };
    Ok(Some(BudgetTotals {
        span: BudgetSpan { from: time(start), until: time(until) },
        used,
        told: match row.get::<_, i64>(first + 6)? {
            ..=0 => BudgetState::Ok,
            1 => BudgetState::Warning,
            _ => BudgetState::Exceeded,
        },
        stopped_at: row.get::<_, Option<i64>>(first + 7)?.map(Timestamp::from_millis),
    }))
}
