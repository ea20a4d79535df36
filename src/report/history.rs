//! `history`: sessions with what they used, the latest first, and what all of them come to.
//!
//! Only the rows that are shown are looked at closely; the others are one sum, so that rows and that sum make the totals.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{KnownCost, PricedSum, SessionInfo};
use crate::domain::{PicoUsd, Timestamp, Usage};
use crate::store::{BucketFilter, Grain, Ledger, Phase, SessionRecord, SessionRow, StoreError};

/// `history --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// Version of this structure.
    pub schema_version: u32,
    /// Recent sessions.
    pub rows: Vec<HistoryRow>,
    /// The sessions that are not shown; null if all are.
    pub earlier: Option<SessionsFigures>,
    /// All sessions, shown or not.
    pub totals: HistoryTotals,
    /// What comes first among the rows.
    #[serde(skip)]
    pub order: Order,
}

/// A session and what it used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryRow {
    /// The session.
    #[serde(flatten)]
    pub session: SessionInfo,
    /// What it used, subagents and hidden calls included.
    pub usage: Usage,
    /// All classes of tokens.
    pub total_tokens: u64,
    /// Cost of the models that have a price; null if none has.
    pub cost_usd: KnownCost,
    /// Whether its calls are known though no hook has told of any.
    #[serde(skip)]
    pub(crate) has_calls: bool,
    /// As much of its ID as tells it from all others.
    #[serde(skip)]
    pub(crate) short_id: String,
}

/// Sessions together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SessionsFigures {
    pub sessions: u64,
    pub total_tokens: u64,
    pub cost_usd: KnownCost,
}

/// All sessions together, and the mean of those that have a cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct HistoryTotals {
    #[serde(flatten)]
    pub sum: SessionsFigures,
    pub average_cost_usd: Option<PicoUsd>,
}

/// So many sessions are looked at closely at once: of each, all that is known of it is in memory.
const SESSIONS_AT_ONCE: usize = if cfg!(test) { 2 } else { 1_024 };

/// What a session used.
#[derive(Debug, Clone, Copy, Default)]
struct SessionSum {
    usage: Usage,
    cost: PricedSum,
}

/// What each session used that used anything.
type SessionSums = BTreeMap<SessionRow, SessionSum>;

fn sum_of(sums: &SessionSums, session: SessionRow) -> SessionSum {
    sums.get(&session).copied().unwrap_or_default()
}

impl SessionsFigures {
    fn add(&mut self, spent: &SessionSum) {
        self.sessions += 1;
        self.total_tokens = self.total_tokens.saturating_add(spent.usage.total());
        self.cost_usd.add(spent.cost.known());
    }
}

impl History {
    /// The answer where there is no ledger.
    #[must_use]
    pub fn none() -> Self {
        let (rows, totals, order) = Default::default();
        Self { schema_version: 1, rows, earlier: None, totals, order }
    }

    /// What sessions have used; at most `limit` are rows.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(ledger: &Ledger, sessions: &ListedSessions, limit: usize) -> Result<Self, StoreError> {
        let (shown, hidden) = sessions.rows.split_at(sessions.first(limit).len());
        let mut history = Self { order: sessions.order, ..Self::none() };
        let mut totals = SessionsFigures::default();
        sessions.rows.iter().for_each(|row| totals.add(&sum_of(&sessions.spent, *row)));
        history.totals.average_cost_usd = totals.cost_usd.amount.and_then(|cost| mean(cost, totals.sessions));
        history.totals.sum = totals;
        if !hidden.is_empty() {
            let mut earlier = SessionsFigures::default();
            hidden.iter().for_each(|row| earlier.add(&sum_of(&sessions.spent, *row)));
            history.earlier = Some(earlier);
        }
        history.rows.reserve_exact(shown.len());
        for some in shown.chunks(SESSIONS_AT_ONCE) {
            let records = ledger.sessions().records(some)?;
            history.rows.extend(rows(ledger, records, &sessions.spent)?);
        }
        Ok(history)
    }
}

/// Sessions in some order, and what each has used. Their records, which take much more memory, are read for those alone that
/// are shown.
#[derive(Debug, Default)]
pub struct ListedSessions {
    rows: Vec<SessionRow>,
    spent: SessionSums,
    order: Order,
}

impl ListedSessions {
    /// All sessions, or those of some folders and what is below them.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(
        ledger: &Ledger,
        folders: Option<&[PathBuf]>,
        order: Order,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let is_below = |project: &str| {
            folders.iter().copied().flatten().any(|folder| Path::new(project).starts_with(folder))
        };
        let is_wanted: Option<&dyn Fn(&str) -> bool> = if folders.is_some() { Some(&is_below) } else { None };
        let mut rows = ledger.sessions().latest_first(is_wanted, now)?;
        let spent = spent(ledger, &BucketFilter::default())?;
        if order != Order::Time {
            rows.sort_by_key(|row| {
                let spent = sum_of(&spent, *row);
                Reverse((spent.cost.known().amount.filter(|_| order == Order::Cost), spent.usage.total()))
            });
        }
        Ok(Self { rows, spent, order })
    }

    /// The first of them, at most `limit`.
    #[must_use]
    pub fn first(&self, limit: usize) -> &[SessionRow] {
        &self.rows[..limit.min(self.rows.len())]
    }
}

/// What comes first in a list of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The latest activity.
    #[default]
    Time,
    /// The highest cost; then sessions whose cost is not known. Equal ones by their latest activity.
    Cost,
    /// The most tokens. Equal ones by their latest activity.
    Tokens,
}

/// Recent sessions, from their records.
///
/// # Errors
/// If the ledger cannot be read.
pub fn recent(ledger: &Ledger, records: Vec<SessionRecord>) -> Result<Vec<HistoryRow>, StoreError> {
    let sessions = records.iter().map(|record| record.row).collect();
    let spent = spent(ledger, &BucketFilter { sessions: Some(sessions), ..BucketFilter::default() })?;
    rows(ledger, records, &spent)
}

fn rows(
    ledger: &Ledger,
    records: Vec<SessionRecord>,
    spent: &SessionSums,
) -> Result<Vec<HistoryRow>, StoreError> {
    let sessions: Vec<SessionRow> = records.iter().map(|record| record.row).collect();
    let mut counts = ledger.records().session_counts(&sessions)?;
    // Of sessions that were imported no hook has told; their allocations know the calls.
    let untold = sessions.iter().filter(|row| counts.get(row).is_none_or(|counts| counts.tool_calls == 0));
    let untold: Vec<SessionRow> = untold.copied().collect();
    // Where nothing could be placed, the transcript is gone, and so is what it told of calls.
    let mut told: HashSet<SessionRow> = HashSet::new();
    ledger.allocations().for_each_summed(
        &BucketFilter { sessions: Some(untold), ..BucketFilter::default() },
        |session, row| {
            counts.entry(session).or_default().tool_calls += row.calls;
            if row.phase != Phase::Unplaced {
                told.insert(session);
            }
        },
    )?;
    let rows = records.into_iter().map(|record| {
        let spent = sum_of(spent, record.row);
        Ok(HistoryRow {
            short_id: ledger.sessions().short_id(&record.id)?,
            usage: spent.usage,
            total_tokens: spent.usage.total(),
            cost_usd: spent.cost.known(),
            has_calls: told.contains(&record.row),
            session: SessionInfo::of(&record, counts.get(&record.row).copied().unwrap_or_default()),
        })
    });
    rows.collect()
}

fn mean(sum: PicoUsd, count: u64) -> Option<PicoUsd> {
    let count = i128::from(count);
    (count > 0).then(|| PicoUsd::from_pico((sum.as_pico() + count / 2).div_euclid(count)))
}

/// What sessions have used; what is kept of them needs no look at their hours.
fn spent(ledger: &Ledger, filter: &BucketFilter) -> Result<SessionSums, StoreError> {
    let mut sums = SessionSums::new();
    ledger.usage().for_each_bucket(
        filter,
        Grain::Session,
        |_| false,
        |row| {
            let sum = sums.entry(row.session).or_default();
            sum.usage += row.usage;
            sum.cost.add_if_used(&row.usage, row.cost);
        },
    )?;
    Ok(sums)
}
