//! What people read of `agents`.

use super::cells::{phase_cells, share_cell, share_head};
use super::{Cell, Page, PageOptions, Present, Table};
use crate::domain::PicoUsd;
use crate::report::agents::AgentsReport;
use crate::store::HIDDEN_AGENT;

impl Present for AgentsReport {
    fn has_data(&self) -> bool {
        !self.is_empty()
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        Page::of_tables(self.tables())
    }
}

impl AgentsReport {
    /// The tables for people.
    fn tables(&self) -> Vec<Table> {
        let share = share_head(self.rows.iter().map(|row| row.share));
        let mut costs = Table::new(
            "Agents",
            &["agent", "runs", "tokens", "first read", "re-reads", "cost", share, "per run"],
        );
        for row in &self.rows {
            let is_hidden = row.agent == HIDDEN_AGENT;
            let sum = &row.figures;
            let each = sum.cost_usd.amount.filter(|_| row.runs > 0 && !is_hidden);
            let each = each.map(|cost| PicoUsd::from_pico(cost.as_pico() / i128::from(row.runs)));
            let [entry, carry] = phase_cells(sum.entry_cost_usd, sum.carry_cost_usd, sum.cost_usd.amount);
            costs.rows.push(vec![
                Cell::Text(row.agent.clone()),
                if is_hidden { Cell::Text(String::new()) } else { Cell::Count(row.runs) },
                Cell::Count(sum.total_tokens),
                entry,
                carry,
                Cell::Cost(sum.cost_usd),
                share_cell(row.share),
                each.map_or(Cell::Text(String::new()), |each| Cell::usd(Some(each))),
            ]);
        }
        if self.rows.len() > 1 {
            let sum = &self.total.figures;
            costs.total = Some(vec![
                Cell::Text("total".to_owned()),
                Cell::Count(self.total.runs),
                Cell::Count(sum.total_tokens),
                Cell::usd(sum.entry_cost_usd),
                Cell::usd(sum.carry_cost_usd),
                Cell::Cost(sum.cost_usd),
                Cell::Text(String::new()),
                Cell::Text(String::new()),
            ]);
        }
        let columns = ["agent", "source<", "returned", "context", "billed", "runs"];
        let mut figures =
            Table::new("Assumed usage per run, until its transcript is read (* = in use)", &columns);
        for row in &self.rows {
            for (name, of) in [("default", row.default), ("learned", row.learned)] {
                let Some(of) = of else { continue };
                let mark = if row.in_force == Some(name) { " *" } else { "" };
                figures.rows.push(vec![
                    Cell::Text(row.agent.clone()),
                    Cell::Text(format!("{name}{mark}")),
                    of.returned_tokens.map_or(Cell::Unknown, Cell::Estimate),
                    of.final_context_tokens.map_or(Cell::Unknown, Cell::Estimate),
                    Cell::Estimate(of.billed_tokens),
                    Cell::Count(of.n),
                ]);
            }
        }
        if figures.rows.is_empty() { vec![costs] } else { vec![costs, figures] }
    }
}
