//! What people read of `dashboard`: a heading, tables, and what has no price.

use super::cells::{share_cell, share_head};
use super::{Block, Cell, Page, PageOptions, Present, Table};
use crate::calendar::Day;
use crate::domain::{PicoUsd, plural};
use crate::report::KnownCost;
use crate::report::cost::{CostFigures, CostReport, CostRow};
use crate::report::dashboard::{Dashboard, MONTHS, RECENT_DAYS, SPIKE_DAYS, SpikeDay, WEEKS};

/// The key of what the user calls by a name of its own.
const SKILL: &str = "skill";
/// Rows with a name of their own.
const NAMED: usize = 5;

impl Present for Dashboard {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let mut page = Page::of_tables([
            latest_first("Weeks", "week", &self.weeks, WEEKS),
            latest_first("Months", "month", &self.months, MONTHS),
        ]);
        let mut add = |table: Option<Table>| page.blocks.extend(table.map(Block::Table));
        self.recent_by.iter().for_each(|report| add(top(report)));
        add((!self.budgets.budgets.is_empty()).then(|| self.budgets.table()));
        add((!self.spikes.is_empty()).then(|| spike_table(&self.spikes)));
        page
    }
}

impl Dashboard {
    /// The heading of the note.
    #[must_use]
    pub fn heading(&self) -> String {
        format!("Coding agent costs through {}", self.today)
    }

    /// What the tables leave out: the words, and the models that they are about. `None` if every model has a price.
    #[must_use]
    pub fn left_out(&self) -> Option<(&'static str, &[String])> {
        let models = &self.months.total.sum.unpriced_models;
        (!models.is_empty())
            .then_some(("Not included, because these models have no price", models.as_slice()))
    }
}

fn cells(name: Cell, sum: &CostFigures) -> Vec<Cell> {
    vec![name, Cell::Count(sum.sessions), Cell::Count(sum.total_tokens), Cell::Cost(sum.known())]
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
fn top(report: &CostReport) -> Option<Table> {
    let by = report.by;
    let title = format!("Top {by}s, last {RECENT_DAYS} days");
    let whole = report.total.sum.whole();
    let shares = report.rows.iter().map(|row| whole.share(row.sum.cost_usd, row.sum.total_tokens));
    let mut table = Table::new(title, &[by, "sessions", "tokens", "cost", share_head(shares)]);
    let with_share = |mut cells: Vec<Cell>, cost: Option<PicoUsd>, tokens: u64| {
        cells.push(share_cell(whole.share(cost, tokens)));
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
        let name = if by == "project" { Cell::Path(row.key.clone()) } else { Cell::Text(row.key.clone()) };
        table.rows.push(with_share(cells(name, &row.sum), row.sum.cost_usd, row.sum.total_tokens));
    }
    let other = plural(others.len() as u64, "other");
    for (name, rows) in [(other, others), (format!("no {by}"), &unnamed)] {
        if rows.is_empty() {
            continue;
        }
        let mut cost = KnownCost::default();
        rows.iter().for_each(|row| cost.add(row.sum.known()));
        let tokens = rows.iter().map(|row| row.sum.total_tokens).sum();
        let row = vec![
            Cell::Text(name),
            // One session can be in several of them.
            Cell::Unknown,
            Cell::Count(tokens),
            Cell::Cost(cost),
        ];
        table.rows.push(with_share(row, cost.amount, tokens));
    }
    let total = &report.total.sum;
    table.total =
        Some(with_share(cells(Cell::Text("total".to_owned()), total), total.cost_usd, total.total_tokens));
    Some(table)
}

fn spike_table(spikes: &[SpikeDay]) -> Table {
    let mut table = Table::new(format!("Spikes, last {SPIKE_DAYS} days"), &["day", "cost", "usual"]);
    table.rows.extend(spikes.iter().map(|spike| {
        vec![Cell::Text(spike.day.clone()), Cell::usd(Some(spike.cost_usd)), Cell::usd(spike.usual_usd)]
    }));
    table
}
