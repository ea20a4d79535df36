//! `dashboard`: weeks and months, what the money went to, budgets, and days that stand out.
//!
//! Every table is a cut of `cost`, and its rows make its total: what is not named is one row.

use std::cmp::Reverse;

use super::allocations::AllocationKey;
use super::budgets::BudgetsReport;
use super::calendar::{Day, Zone};
use super::cost::{By, CostReport, CostRow, CostSum, Query};
use super::{Cell, Share, Table};
use crate::domain::{PicoUsd, plural};
use crate::store::{Ledger, StoreError};

/// What the user calls by a name of its own.
const SKILL: By = By::AllocationKey(AllocationKey::Skill);

/// Weeks and months that have a row.
const WEEKS: i32 = 8;
const MONTHS: i32 = 12;
/// Days that the tables by agent, model and project cover.
const RECENT_DAYS: i32 = 30;
/// Rows with a name of their own.
const NAMED: usize = 5;
/// Days that are looked at for spikes, each against so many before it.
const SPIKE_DAYS: i32 = 60;
const SPIKE_SAMPLE: i32 = 28;
/// A spike is so many standard deviations above the mean of the days before.
const SPIKE_DEVIATIONS: f64 = 2.0;
const SPIKES: usize = 5;

/// All tables of the dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// The last day.
    pub today: String,
    /// The tables.
    pub tables: Vec<Table>,
    /// Models without a price, in what the tables cover.
    pub unpriced_models: Vec<String>,
}

impl Dashboard {
    /// Asks the ledger, whose shares are up to date; `None` if it holds nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(
        ledger: &Ledger,
        zone: &Zone,
        today: Day,
        budgets: &BudgetsReport,
    ) -> Result<Option<Self>, StoreError> {
        let ask = |by, since: Day| {
            let query = Query {
                by,
                since: Some(since),
                until: Some(today),
                projects: None,
                model: None,
                compare: false,
                today,
                zone: zone.clone(),
            };
            CostReport::of(ledger, &query)
        };
        let months = ask(By::Month, today.first_of_month().plus_months(1 - MONTHS))?;
        if months.is_empty() {
            return Ok(None);
        }
        let weeks = ask(By::Week, today.monday().plus_days(7 * (1 - WEEKS)))?;
        let recent = today.plus_days(1 - RECENT_DAYS);
        let mut tables = vec![
            latest_first("Weeks", "week", &weeks, WEEKS),
            latest_first("Months", "month", &months, MONTHS),
        ];
        for by in [By::Agent, SKILL, By::Model, By::Project] {
            tables.extend(top(by, &ask(by, recent)?));
        }
        if !budgets.budgets.is_empty() {
            tables.push(budgets.table());
        }
        let days = ask(By::Day, today.plus_days(1 - SPIKE_DAYS - SPIKE_SAMPLE))?;
        tables.extend(spikes(&days.rows, today));
        Ok(Some(Self { today: today.to_string(), tables, unpriced_models: months.total.sum.unpriced_models }))
    }
}

fn cells(name: Cell, sum: &CostSum) -> Vec<Cell> {
    let cost = Cell::Usd { amount: sum.cost_usd, at_least: !sum.unpriced_models.is_empty() };
    vec![name, Cell::Count(sum.sessions), Cell::Count(sum.total_tokens), cost]
}

fn latest_first(title: &str, by: &'static str, report: &CostReport, count: i32) -> Table {
    let mut table = Table::new(format!("{title}, last {count}"), &[by, "sessions", "tokens", "cost"]);
    table.rows = report
        .rows
        .iter()
        .rev()
        .map(|row| {
            let dates = Day::dates_of_week(&row.key).map(|dates| format!(" ({dates})")).unwrap_or_default();
            cells(Cell::Text(row.key.clone() + &dates), &row.sum)
        })
        .collect();
    table.total = Some(cells(Cell::Text("total".to_owned()), &report.total.sum));
    table
}

/// The most expensive rows, and the others as one; `None` where nothing has a name, as where no skill was used.
fn top(by: By, report: &CostReport) -> Option<Table> {
    let title = format!("Top {}s, last {RECENT_DAYS} days", by.name());
    let whole = report.total.sum.whole();
    let shares = report.rows.iter().map(|row| whole.share(row.sum.cost_usd, row.sum.total_tokens));
    let mut table = Table::new(title, &[by.name(), "sessions", "tokens", "cost", Share::heading(shares)]);
    let with_share = |mut cells: Vec<Cell>, cost: Option<PicoUsd>, tokens: u64| {
        cells.push(whole.share(cost, tokens).cell());
        cells
    };
    let is_unnamed = |row: &&CostRow| by == SKILL && row.key.starts_with('(');
    let (unnamed, rows): (Vec<&CostRow>, Vec<&CostRow>) = report.rows.iter().partition(is_unnamed);
    // One row alone is named as well as another.
    let (named, others) = rows.split_at(if rows.len() > NAMED + 1 { NAMED } else { rows.len() });
    if named.is_empty() {
        return None;
    }
    for row in named {
        let name = if by == By::Project { Cell::Path(row.key.clone()) } else { Cell::Text(row.key.clone()) };
        table.rows.push(with_share(cells(name, &row.sum), row.sum.cost_usd, row.sum.total_tokens));
    }
    let other = plural(others.len() as u64, "other");
    for (name, rows) in [(other, others), (format!("no {}", by.name()), &unnamed)] {
        if rows.is_empty() {
            continue;
        }
        let cost = rows.iter().filter_map(|row| row.sum.cost_usd).reduce(|one, other| one + other);
        let at_least = rows.iter().any(|row| !row.sum.unpriced_models.is_empty());
        let tokens = rows.iter().map(|row| row.sum.total_tokens).sum();
        let row = vec![
            Cell::Text(name),
            // One session can be in several of them.
            Cell::Unknown,
            Cell::Count(tokens),
            Cell::Usd { amount: cost, at_least },
        ];
        table.rows.push(with_share(row, cost, tokens));
    }
    let total = &report.total.sum;
    table.total =
        Some(with_share(cells(Cell::Text("total".to_owned()), total), total.cost_usd, total.total_tokens));
    Some(table)
}

/// Days that cost far more than those before them; `None` if there are none.
fn spikes(rows: &[CostRow], today: Day) -> Option<Table> {
    let cost = |day: Day| {
        let key = day.to_string();
        rows.iter().find(|row| row.key == key).and_then(|row| row.sum.cost_usd).unwrap_or_default()
    };
    let first = rows.iter().find_map(|row| Day::parse(&row.key))?;
    let mut found = Vec::new();
    for back in 0..SPIKE_DAYS {
        let day = today.plus_days(-back);
        let before: Vec<f64> = (1..=SPIKE_SAMPLE)
            .map(|number| day.plus_days(-number))
            .filter(|before| *before >= first)
            .map(|before| cost(before).to_f64())
            .collect();
        // A week tells what is usual.
        if before.len() < 7 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 28")]
        let count = before.len() as f64;
        let mean = before.iter().sum::<f64>() / count;
        let deviation = (before.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / count).sqrt();
        let own = cost(day);
        if own.to_f64() > mean + SPIKE_DEVIATIONS * deviation && own.to_f64() > mean * 1.5 {
            found.push((own, day, mean));
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_by_key(|(cost, day, _)| (Reverse(*cost), Reverse(*day)));
    found.truncate(SPIKES);
    let mut table = Table::new(format!("Spikes, last {SPIKE_DAYS} days"), &["day", "cost", "usual"]);
    table.rows.extend(found.into_iter().map(|(cost, day, mean)| {
        let usual = PicoUsd::parse(&format!("{mean:.6}"));
        let usd = |amount| Cell::Usd { amount, at_least: false };
        vec![Cell::Text(day.to_string()), usd(Some(cost)), usd(usual)]
    }));
    Some(table)
}
