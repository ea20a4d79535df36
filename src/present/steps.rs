//! What people read of `step list`.

use super::cells::{count_or_blank, phase_cells, share_cell, share_head};
use super::{Block, Cell, Page, PageOptions, Present, Table};
use crate::domain::OneLine as _;
use crate::report::steps::StepsReport;

impl Present for StepsReport {
    fn has_data(&self) -> bool {
        !self.steps.is_empty() || self.current.is_some()
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let mut page = Page::of_tables([self.table()]);
        let current = self.current.as_ref().filter(|_| self.is_live);
        page.blocks.extend(current.map(|step| Block::Footnote(format!("in progress: {}", step.one_line()))));
        if self.tasks.total > 0 {
            let tasks = format!("tasks: {} of {} done", self.tasks.done, self.tasks.total);
            page.blocks.push(Block::Footnote(tasks));
        }
        page
    }
}

impl StepsReport {
    fn table(&self) -> Table {
        let share = share_head(self.steps.iter().map(|step| step.paid.share));
        let columns = ["step", "times", "duration", "tokens", "first read", "re-reads", "cost", share];
        let mut table = Table::new("Steps", &columns);
        for step in &self.steps {
            let paid = &step.paid;
            let [entry, carry] = phase_cells(paid.entry_cost_usd, paid.carry_cost_usd, paid.cost_usd.amount);
            table.rows.push(vec![
                Cell::Text(step.step.clone()),
                count_or_blank(step.iterations),
                step.duration_seconds.map_or(Cell::Unknown, Cell::Span),
                Cell::Count(paid.total_tokens),
                entry,
                carry,
                Cell::Cost(paid.cost_usd),
                share_cell(paid.share),
            ]);
        }
        table
    }
}
