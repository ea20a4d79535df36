//! `tools`: what calls and their results cost, when they came in and each time they were read again.

use serde::Serialize;

use super::allocations::{AllocationFigures, AllocationKey, AllocationSum, add_to, phase_cells};
use super::{Cell, ROWS_SHOWN, Share, Table};
use crate::store::{BucketFilter, Ledger, StoreError};

/// `tools --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// By what they cost; what is no tool comes last, in brackets.
    pub rows: Vec<ToolRow>,
    /// All rows together.
    pub total: ToolSum,
}

/// A tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolRow {
    /// Its name.
    pub tool: String,
    /// What it comes to.
    #[serde(flatten)]
    pub sum: ToolSum,
    /// Its part of all tools.
    #[serde(flatten)]
    pub share: Share,
}

/// What calls come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ToolSum {
    /// Their number; 0 for what is no tool.
    pub calls: u64,
    /// What they and their results come to.
    #[serde(flatten)]
    pub figures: AllocationFigures,
}

impl From<&AllocationSum> for ToolSum {
    fn from(sum: &AllocationSum) -> Self {
        Self { calls: sum.calls, figures: sum.into() }
    }
}

impl ToolSum {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.figures.add(&other.figures);
    }
}

impl ToolsReport {
    /// The answer where there is no ledger.
    #[must_use]
    pub fn none() -> Self {
        Self { schema_version: 1, rows: Vec::new(), total: ToolSum::default() }
    }

    /// Asks the ledger.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(ledger: &Ledger, filter: &BucketFilter) -> Result<Self, StoreError> {
        let mut sums: std::collections::BTreeMap<String, AllocationSum> = std::collections::BTreeMap::new();
        let mut total = AllocationSum::default();
        ledger.for_each_allocation_summed(filter, |_, share| {
            add_to(&mut sums, &AllocationKey::Tool.key(share, false), share);
            total.add(share);
        })?;
        let total = ToolSum::from(&total);
        let whole = total.figures.whole();
        let mut rows: Vec<ToolRow> = sums
            .into_iter()
            .map(|(tool, sum)| ToolRow {
                tool,
                share: whole.share(sum.cost_usd(), sum.usage.total()),
                sum: (&sum).into(),
            })
            .collect();
        rows.sort_by_cached_key(|row| {
            let rank = std::cmp::Reverse((row.sum.figures.cost_usd, row.sum.figures.total_tokens));
            (row.tool.starts_with('('), rank, row.tool.clone())
        });
        Ok(Self { schema_version: 1, rows, total })
    }

    /// This report with so few tools that they can be looked over, the most expensive ones, and the others as one.
    /// Returns how many these are, too; `None` if all are there.
    #[must_use]
    pub fn abridged(&self) -> Option<(Self, usize)> {
        let tools = self.rows.iter().filter(|row| !row.tool.starts_with('(')).count();
        let over = tools.saturating_sub(ROWS_SHOWN);
        if over < 2 {
            return None;
        }
        let mut short = self.clone();
        let mut others =
            ToolRow { tool: format!("{over} others"), share: Share::default(), sum: ToolSum::default() };
        for row in short.rows.splice(ROWS_SHOWN..tools, []) {
            others.sum.add(&row.sum);
        }
        let figures = &others.sum.figures;
        others.share = self.total.figures.whole().share(figures.cost_usd, figures.total_tokens);
        short.rows.insert(ROWS_SHOWN, others);
        Some((short, over))
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let share = Share::heading(self.rows.iter().map(|row| row.share));
        let columns = ["tool", "calls", "tokens", "first read", "re-reads", "cost", share];
        let mut table = Table::new("Cost by tool", &columns);
        let cells = |name: &str, sum: &ToolSum, share: Cell| {
            let figures = &sum.figures;
            let [entry, carry] =
                phase_cells(figures.entry_cost_usd, figures.carry_cost_usd, figures.cost_usd);
            vec![
                Cell::Text(name.to_owned()),
                if sum.calls == 0 { Cell::Text(String::new()) } else { Cell::Count(sum.calls) },
                Cell::Count(figures.total_tokens),
                entry,
                carry,
                Cell::Usd { amount: figures.cost_usd, at_least: figures.is_partly_priced },
                share,
            ]
        };
        table.rows = self.rows.iter().map(|row| cells(&row.tool, &row.sum, row.share.cell())).collect();
        if self.rows.len() > 1 {
            table.total = Some(cells("total", &self.total, Cell::Text(String::new())));
        }
        table
    }
}
