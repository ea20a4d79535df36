//! The tables of `show-usage`, for people.

use super::UsageReport;
use crate::domain::{PicoUsd, Usage};
use crate::report::{Cell, Table};
use crate::store::HIDDEN_AGENT;

/// Headings short enough for a table with money to fit 80 columns: cache reads and writes.
const CACHE_READ: &str = "c. read";
const CACHE_WRITE: &str = "c. write";

impl UsageReport {
    /// The tables for people. `detailed` adds those by model, skill and MCP server.
    #[must_use]
    pub fn tables(&self, detailed: bool) -> Vec<Table> {
        let mut tables = Vec::new();
        if self.actual.is_some() || !self.by_agent.is_empty() {
            tables.push(self.agent_table());
        }
        if detailed && !self.by_model.is_empty() {
            tables.push(self.model_table());
        }
        if !self.by_tool.is_empty() {
            tables.push(self.tool_table());
        }
        if detailed && !self.by_skill.is_empty() {
            tables.push(self.skill_table());
        }
        if detailed && !self.by_mcp_server.is_empty() {
            tables.push(self.mcp_table());
        }
        if !self.compaction_events.is_empty() {
            tables.push(self.compaction_table());
        }
        tables.extend(self.history_table());
        tables
    }

    fn agent_table(&self) -> Table {
        let mut columns = vec!["agent", "runs", "input", "output", CACHE_READ, CACHE_WRITE, "total"];
        columns.extend(self.has_money().then_some("cost"));
        columns.push("share");
        let mut table = Table::new("Actual usage by agent", &columns);
        for agent in &self.by_agent {
            // What is hidden are no runs.
            let runs = if agent.agent == HIDDEN_AGENT {
                Cell::Text(String::new())
            } else {
                Cell::Count(agent.invocations)
            };
            let mut row = vec![Cell::Text(agent.agent.clone()), runs];
            if agent.total_tokens == 0 && agent.pending_tokens > 0 {
                row.extend([Cell::Unknown, Cell::Unknown, Cell::Unknown, Cell::Unknown]);
                row.push(Cell::Estimate(agent.pending_tokens));
            } else {
                row.extend(usage_cells(&agent.usage));
            }
            row.extend(self.money_cell(agent.cost_usd, agent.is_partly_priced));
            row.push(Cell::percent(agent.percent));
            table.rows.push(row);
        }
        if let Some(actual) = self.actual.as_ref().filter(|_| self.by_agent.len() > 1) {
            let mut total = vec![Cell::Text("total".to_owned()), Cell::Text(String::new())];
            total.extend(usage_cells(&actual.usage));
            total.extend(self.money_cell(actual.cost_usd, !actual.unpriced_models.is_empty()));
            total.push(Cell::Text(String::new()));
            table.total = Some(total);
        }
        table
    }

    fn model_table(&self) -> Table {
        let mut columns = vec!["model", "responses", "input", "output", CACHE_READ, CACHE_WRITE, "total"];
        columns.extend(self.has_money().then_some("cost"));
        let mut table = Table::new("Actual usage by model", &columns);
        for model in &self.by_model {
            let name = model.model.clone().unwrap_or_else(|| "(unknown)".to_owned());
            let mut row = vec![Cell::Text(name), Cell::Count(model.responses)];
            row.extend(usage_cells(&model.usage));
            row.extend(self.money_cell(model.cost_usd, model.cost_usd.is_none()));
            table.rows.push(row);
        }
        table
    }

    /// Whether anything is known of the cost, if only that a model has no price.
    fn has_money(&self) -> bool {
        let actual = self.actual.as_ref();
        actual.is_some_and(|actual| actual.cost_usd.is_some() || !actual.unpriced_models.is_empty())
    }

    fn money_cell(&self, amount: Option<PicoUsd>, at_least: bool) -> Option<Cell> {
        self.has_money().then_some(Cell::Usd { amount, at_least })
    }

    fn tool_table(&self) -> Table {
        let columns = ["tool", "calls", "failed", "written", "returned", "total", "share"];
        let mut table = Table::new("Tool calls, estimated", &columns);
        for tool in &self.by_tool {
            table.rows.push(vec![
                Cell::Text(tool.tool.clone()),
                Cell::Count(tool.calls),
                if tool.failures == 0 { Cell::Text(String::new()) } else { Cell::Count(tool.failures) },
                Cell::Estimate(tool.generated_tokens),
                Cell::Estimate(tool.returned_tokens),
                Cell::Estimate(tool.generated_tokens + tool.returned_tokens),
                Cell::percent(tool.percent),
            ]);
        }
        if self.by_tool.len() > 1 {
            let failures: u64 = self.by_tool.iter().map(|tool| tool.failures).sum();
            table.total = Some(vec![
                Cell::Text("total".to_owned()),
                Cell::Count(self.estimate.calls),
                if failures == 0 { Cell::Text(String::new()) } else { Cell::Count(failures) },
                Cell::Estimate(self.estimate.generated_tokens),
                Cell::Estimate(self.estimate.returned_tokens),
                Cell::Estimate(self.estimate.total_tokens),
                Cell::Text(String::new()),
            ]);
        }
        table
    }

    fn skill_table(&self) -> Table {
        let columns = ["skill", "calls", "input", "output", CACHE_READ, CACHE_WRITE, "total", "share"];
        let mut table = Table::new("Actual usage by skill, as the client attributes it", &columns);
        for skill in &self.by_skill {
            let mut row = vec![Cell::Text(skill.skill.clone()), Cell::Count(skill.invocations)];
            row.extend(usage_cells(&skill.usage));
            row.push(Cell::percent(skill.percent));
            table.rows.push(row);
        }
        table
    }

    fn mcp_table(&self) -> Table {
        let columns = ["MCP server", "calls", "failed", "written", "returned", "share"];
        let mut table = Table::new("MCP servers, estimated", &columns);
        for server in &self.by_mcp_server {
            table.rows.push(vec![
                Cell::Text(server.mcp_server.clone()),
                Cell::Count(server.calls),
                Cell::Count(server.failures),
                Cell::Estimate(server.generated_tokens),
                Cell::Estimate(server.returned_tokens),
                Cell::percent(server.percent),
            ]);
        }
        table
    }

    fn compaction_table(&self) -> Table {
        let mut table = Table::new("Compactions", &["at", "trigger<", "tokens before", "tokens after"]);
        for event in &self.compaction_events {
            table.rows.push(vec![
                event.at.map_or(Cell::Unknown, Cell::Time),
                Cell::Text(event.trigger.clone()),
                Cell::count(event.tokens_before),
                Cell::count(event.tokens_after),
            ]);
        }
        table
    }

    fn history_table(&self) -> Option<Table> {
        let rows = self.history.as_ref()?;
        let mut columns = vec!["session", "last activity<", "model<", "turns", "calls", "total tokens"];
        let has_money =
            rows.iter().any(|row| row.total_tokens > 0 && row.cost_usd.is_some() || row.is_partly_priced);
        columns.extend(has_money.then_some("cost"));
        let mut table = Table::new("Recent sessions of this project", &columns);
        for row in rows {
            let session = &row.session;
            let id: String = session.id.chars().take(8).collect();
            let mut cells = vec![
                Cell::Text(id),
                session.last_activity_at.map_or(Cell::Unknown, Cell::Time),
                session.model.clone().map_or(Cell::Unknown, Cell::Text),
                Cell::Count(session.turns),
                Cell::Count(session.tool_calls),
                Cell::Count(row.total_tokens),
            ];
            let cost = Cell::Usd { amount: row.cost_usd, at_least: row.is_partly_priced };
            cells.extend(has_money.then_some(cost));
            table.rows.push(cells);
        }
        Some(table)
    }
}

fn usage_cells(usage: &Usage) -> [Cell; 5] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write(), usage.total()].map(Cell::Count)
}
