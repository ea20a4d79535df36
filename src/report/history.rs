//! `history`: sessions with what they used, the latest first, and what all of them come to.
//!
//! Only the rows that are shown are looked at closely; the others are one sum, so that rows and that sum make the totals.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Cell, SessionInfo, Table, add_known};
use crate::domain::{PicoUsd, Timestamp, Usage, grouped, plural};
use crate::store::{BucketFilter, Grain, Ledger, Phase, SessionRecord, SessionRow, StoreError};

/// Of a table of sessions; what they have used comes last.
const COLUMNS: [&str; 10] = [
    "session",
    "last activity<",
    "title<",
    "project<?",
    "time?",
    "model<",
    "turns?",
    "calls",
    "tokens",
    "cost",
];
/// Characters of a session's id that tell it from others.
const SHORT_ID: usize = 8;

/// `history --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// Version of this structure.
    pub schema_version: u32,
    /// Recent sessions.
    pub rows: Vec<HistoryRow>,
    /// The sessions that are not shown; null if all are.
    pub earlier: Option<Sum>,
    /// All sessions, shown or not.
    pub totals: Totals,
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
    pub cost_usd: Option<PicoUsd>,
    /// Whether part of it has no price.
    #[serde(skip)]
    is_partly_priced: bool,
    /// Whether its calls are known though no hook has told of any.
    #[serde(skip)]
    has_calls: bool,
}

/// Sessions together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sum {
    pub sessions: u64,
    pub total_tokens: u64,
    pub cost_usd: Option<PicoUsd>,
    #[serde(skip)]
    is_partly_priced: bool,
}

/// All sessions together, and the mean of those that have a cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Totals {
    #[serde(flatten)]
    pub sum: Sum,
    pub average_cost_usd: Option<PicoUsd>,
}

/// What a session used.
#[derive(Debug, Clone, Copy, Default)]
struct SessionSum {
    usage: Usage,
    cost: Option<PicoUsd>,
    is_partly_priced: bool,
}

impl SessionSum {
    fn add(&mut self, other: Self) {
        self.usage += other.usage;
        add_known(&mut self.cost, other.cost);
        self.is_partly_priced |= other.is_partly_priced;
    }

    /// The cost of nothing at all is known.
    fn known_cost(&self) -> Option<PicoUsd> {
        self.cost.or((!self.is_partly_priced).then_some(PicoUsd::ZERO))
    }
}

impl Sum {
    fn add(&mut self, spent: &SessionSum) {
        self.sessions += 1;
        self.total_tokens = self.total_tokens.saturating_add(spent.usage.total());
        add_known(&mut self.cost_usd, spent.known_cost());
        self.is_partly_priced |= spent.is_partly_priced;
    }

    fn cells(&self, name: String) -> Vec<Cell> {
        let blank = || Cell::Text(String::new());
        let cost = Cell::Usd { amount: self.cost_usd, at_least: self.is_partly_priced };
        let mut cells = vec![Cell::Text(name)];
        cells.resize_with(COLUMNS.len() - 2, blank);
        cells.extend([Cell::Count(self.total_tokens), cost]);
        cells
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
    pub fn of(ledger: &Ledger, sessions: &Sessions, limit: usize) -> Result<Self, StoreError> {
        let Sessions { records, spent, order } = sessions;
        let of = |record: &SessionRecord| spent.get(&record.row).copied().unwrap_or_default();
        let mut history = Self { order: *order, ..Self::none() };
        let mut totals = Sum::default();
        for record in records {
            totals.add(&of(record));
        }
        history.totals.average_cost_usd = totals.cost_usd.and_then(|cost| mean(cost, totals.sessions));
        history.totals.sum = totals;
        let (shown, hidden) = records.split_at(limit.min(records.len()));
        if !hidden.is_empty() {
            let mut earlier = Sum::default();
            hidden.iter().for_each(|record| earlier.add(&of(record)));
            history.earlier = Some(earlier);
        }
        history.rows = rows(ledger, shown, spent)?;
        Ok(history)
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let title = match self.order {
            Order::Time => "Recent sessions",
            Order::Cost => "Sessions by cost",
            Order::Tokens => "Sessions by tokens",
        };
        let mut table = sessions_table(title, &self.rows);
        if let Some(earlier) = &self.earlier {
            table.rows.push(earlier.cells(format!("{} more", grouped(earlier.sessions))));
        }
        if table.rows.len() > 1 {
            let mut total = self.totals.sum.cells("total".to_owned());
            total[2] = Cell::Text(plural(self.totals.sum.sessions, "session"));
            table.total = Some(total);
        }
        table
    }

    /// What is to be said below the table.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let average = self.totals.average_cost_usd.filter(|_| self.totals.sum.sessions > 1)?;
        let earlier = match &self.earlier {
            Some(earlier) => {
                format!("; {}, grouped (--all shows them)", plural(earlier.sessions, "more session"))
            }
            None => String::new(),
        };
        Some(format!("average cost per session: {average}{earlier}"))
    }
}

/// Sessions in some order, and what each has used.
#[derive(Debug, Default)]
pub struct Sessions {
    /// The sessions.
    pub records: Vec<SessionRecord>,
    spent: HashMap<SessionRow, SessionSum>,
    order: Order,
}

impl Sessions {
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
        let mut records = ledger.recent_sessions(None, u32::MAX, now)?;
        if let Some(folders) = folders {
            records.retain(|record| {
                let project = record.project.as_deref().map(Path::new);
                project.is_some_and(|project| folders.iter().any(|folder| project.starts_with(folder)))
            });
        }
        let spent = spent(ledger, &BucketFilter::default())?;
        if order != Order::Time {
            records.sort_by_key(|record| {
                let spent = spent.get(&record.row).copied().unwrap_or_default();
                Reverse((spent.known_cost().filter(|_| order == Order::Cost), spent.usage.total()))
            });
        }
        Ok(Self { records, spent, order })
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
pub fn recent(ledger: &Ledger, records: &[SessionRecord]) -> Result<Vec<HistoryRow>, StoreError> {
    let sessions = records.iter().map(|record| record.row).collect();
    let spent = spent(ledger, &BucketFilter { sessions: Some(sessions), ..BucketFilter::default() })?;
    rows(ledger, records, &spent)
}

fn rows(
    ledger: &Ledger,
    records: &[SessionRecord],
    spent: &HashMap<SessionRow, SessionSum>,
) -> Result<Vec<HistoryRow>, StoreError> {
    let sessions: Vec<SessionRow> = records.iter().map(|record| record.row).collect();
    let mut counts = ledger.session_counts(&sessions)?;
    // Of sessions that were imported no hook has told; their shares know the calls.
    let untold = sessions.iter().filter(|row| counts.get(row).is_none_or(|counts| counts.tool_calls == 0));
    let untold: Vec<SessionRow> = untold.copied().collect();
    // Where nothing could be placed, the transcript is gone, and so is what it told of calls.
    let mut told: HashSet<SessionRow> = HashSet::new();
    ledger.for_each_allocation_summed(
        &BucketFilter { sessions: Some(untold), ..BucketFilter::default() },
        |session, share| {
            counts.entry(session).or_default().tool_calls += share.calls;
            if share.phase != Phase::Unplaced {
                told.insert(session);
            }
        },
    )?;
    let rows = records.iter().map(|record| {
        let spent = spent.get(&record.row).copied().unwrap_or_default();
        HistoryRow {
            session: SessionInfo::of(record, counts.get(&record.row).copied().unwrap_or_default()),
            usage: spent.usage,
            total_tokens: spent.usage.total(),
            cost_usd: spent.known_cost(),
            is_partly_priced: spent.is_partly_priced,
            has_calls: told.contains(&record.row),
        }
    });
    Ok(rows.collect())
}

/// A table of sessions.
pub(super) fn sessions_table(title: &str, rows: &[HistoryRow]) -> Table {
    let mut table = Table::new(title, &COLUMNS);
    let text = |text: Option<&str>| text.map_or(Cell::Unknown, |text| Cell::Text(text.to_owned()));
    table.rows.extend(rows.iter().map(|row| {
        let session = &row.session;
        let folder = session.project.as_deref().and_then(|project| Path::new(project).file_name());
        let about = session.topic.as_deref().or(folder.and_then(|folder| folder.to_str()));
        vec![
            Cell::Text(session.id.chars().take(SHORT_ID).collect()),
            session.last_activity_at.map_or(Cell::Unknown, Cell::Time),
            text(about),
            session.project.as_ref().map_or(Cell::Unknown, |project| Cell::Path(project.clone())),
            Cell::Span(session.duration_seconds),
            text(session.model.as_deref().map(short_model)),
            Cell::Count(session.turns),
            // An import alone knows no calls of a transcript that is gone.
            match session.tool_calls {
                0 if row.total_tokens > 0 && !row.has_calls => Cell::Unknown,
                calls => Cell::Count(calls),
            },
            Cell::Count(row.total_tokens),
            Cell::Usd { amount: row.cost_usd, at_least: row.is_partly_priced },
        ]
    }));
    table
}

/// A model's name without what all have: its maker's name before and its date behind.
fn short_model(model: &str) -> &str {
    let name = model.strip_prefix("claude-").unwrap_or(model);
    match name.rsplit_once('-') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}

fn mean(sum: PicoUsd, count: u64) -> Option<PicoUsd> {
    let count = i128::from(count);
    (count > 0).then(|| PicoUsd::from_pico((sum.as_pico() + count / 2).div_euclid(count)))
}

/// What sessions have used; what is kept of them needs no look at their hours.
fn spent(ledger: &Ledger, filter: &BucketFilter) -> Result<HashMap<SessionRow, SessionSum>, StoreError> {
    let mut sums: HashMap<SessionRow, SessionSum> = HashMap::new();
    ledger.for_each_bucket(
        filter,
        Grain::Session,
        |_| false,
        |row| {
            let is_priced = row.cost.is_some() || row.usage == Usage::default();
            sums.entry(row.session).or_default().add(SessionSum {
                usage: row.usage,
                cost: row.cost.map(|cost| cost.total()),
                is_partly_priced: !is_priced,
            });
        },
    )?;
    Ok(sums)
}
