//! What people read of `tools`.

use super::cells::{count_or_blank, phase_cells, share_cell, share_head};
use super::{Cell, Page, PageOptions, Present, ROWS_SHOWN, Table, grouped_note};
use crate::report::Share;
use crate::report::tools::{ToolRow, ToolSum, ToolsReport};

impl Present for ToolsReport {
    fn has_data(&self) -> bool {
        !self.is_empty()
    }

    fn page(&self, options: &PageOptions<'_>) -> Page {
        let short = if options.shows_all { None } else { self.abridged() };
        let shown = short.as_ref().map_or(self, |(short, _)| short);
        Page::of_tables([shown.table()]).with_note(short.as_ref().map(|(_, over)| grouped_note(*over)))
    }
}

impl ToolSum {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.figures.add(&other.figures);
    }
}

impl ToolsReport {
    /// This report with so few tools that they can be looked over, the most expensive ones, and the others as one.
    /// Returns how many these are, too; `None` if all are there.
    fn abridged(&self) -> Option<(Self, usize)> {
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
        others.share = self.total.figures.whole().share(figures.cost_usd.amount, figures.total_tokens);
        short.rows.insert(ROWS_SHOWN, others);
        Some((short, over))
    }

    /// The table for people.
    fn table(&self) -> Table {
        let share = share_head(self.rows.iter().map(|row| row.share));
        let columns = ["tool", "calls", "tokens", "first read", "re-reads", "cost", share];
        let mut table = Table::new("Cost by tool", &columns);
        let cells = |name: &str, sum: &ToolSum, share: Cell| {
            let figures = &sum.figures;
            let [entry, carry] =
                phase_cells(figures.entry_cost_usd, figures.carry_cost_usd, figures.cost_usd.amount);
            vec![
                Cell::Text(name.to_owned()),
                count_or_blank(sum.calls),
                Cell::Count(figures.total_tokens),
                entry,
                carry,
                Cell::Cost(figures.cost_usd),
                share,
            ]
        };
        table.rows = self.rows.iter().map(|row| cells(&row.tool, &row.sum, share_cell(row.share))).collect();
        if self.rows.len() > 1 {
            table.total = Some(cells("total", &self.total, Cell::Text(String::new())));
        }
        table
    }
}
