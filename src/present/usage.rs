//! What people read of `show-usage`. The lines above the tables are in `usage_head`.

use super::cells::{count_or_blank, phase_cells, share_cell, share_head};
use super::history::sessions_table;
use super::usage_head::head;
use super::{Block, Cell, Page, PageOptions, Present, Table};
use crate::domain::{PicoUsd, Usage, grouped};
use crate::report::KnownCost;
use crate::report::reported::ReportedAgent;
use crate::report::usage::{AllocatedUsage, SessionPart, ToolUsage, UsageReport};
use crate::store::HIDDEN_AGENT;

/// Headings short enough for a table with money to fit 80 columns: cache reads and writes.
const CACHE_READ: &str = "cache read";
const CACHE_WRITE: &str = "cache write";
/// So many compactions have rows of their own; the JSON has all. A table takes kilobytes a row to lay out, and no session has so
/// many.
const COMPACTIONS_SHOWN: usize = 1_000;

impl Present for UsageReport {
    fn has_data(&self) -> bool {
        self.session.is_some()
    }

    fn page(&self, options: &PageOptions<'_>) -> Page {
        let mut page = Page { blocks: vec![Block::Lines(head(self, options.zone))] };
        page = page.with_note(self.advice.clone());
        page.blocks.extend(self.tables(options.is_detailed).into_iter().map(Block::Table));
        if !self.reported.is_empty() {
            page.blocks.push(Block::Table(reported_table(&self.reported)));
        }
        page
    }
}

impl UsageReport {
    /// The tables for people. `detailed` adds those by model, skill and MCP server.
    fn tables(&self, detailed: bool) -> Vec<Table> {
        let mut tables = Vec::new();
        let is_within = self.part.as_ref().is_some_and(SessionPart::is_within_responses);
        let is_of_step = self.part.as_ref().is_some_and(|part| part.step.is_some());
        if !is_within && (self.actual.is_some() || !self.by_agent.is_empty()) {
            tables.push(self.agent_table());
        }
        if !is_within && detailed && !self.by_model.is_empty() {
            tables.push(self.model_table());
        }
        if !self.by_tool.is_empty() {
            tables.push(self.tool_table());
        }
        if (detailed && !self.by_step.is_empty()) || is_of_step {
            tables.push(self.step_table());
        }
        if detailed && !self.by_skill.is_empty() {
            tables.push(self.skill_table());
        }
        if detailed && !self.by_mcp_server.is_empty() {
            tables.push(self.mcp_table());
        }
        if self.part.is_none() && !self.compaction_events.is_empty() {
            tables.push(self.compaction_table());
        }
        let title = "Recent sessions of this project";
        tables.extend(self.history.as_deref().map(|rows| sessions_table(title, rows)));
        tables
    }

    fn agent_table(&self) -> Table {
        let mut columns = vec!["agent", "runs", "input", "output", CACHE_READ, CACHE_WRITE, "total"];
        columns.extend(self.has_money().then_some("cost"));
        columns.push(share_head(self.by_agent.iter().map(|agent| agent.share)));
        let mut table = Table::new("Usage by agent", &columns);
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
            row.extend(self.money_cell(agent.cost_usd));
            row.push(share_cell(agent.share));
            table.rows.push(row);
        }
        if let Some(actual) = self.actual.as_ref().filter(|_| self.by_agent.len() > 1) {
            let mut total = vec![Cell::Text("total".to_owned()), Cell::Text(String::new())];
            total.extend(usage_cells(&actual.usage));
            total.extend(self.money_cell(actual.known_cost()));
            total.push(Cell::Text(String::new()));
            table.total = Some(total);
        }
        table
    }

    fn model_table(&self) -> Table {
        let mut columns = vec!["model", "responses", "input", "output", CACHE_READ, CACHE_WRITE, "total"];
        columns.extend(self.has_money().then_some("cost"));
        let mut table = Table::new("Usage by model", &columns);
        for model in &self.by_model {
            let name = model.model.clone().unwrap_or_else(|| "(unknown)".to_owned());
            let mut row = vec![Cell::Text(name), Cell::Count(model.responses)];
            row.extend(usage_cells(&model.usage));
            row.extend(self.money_cell(model.known_cost()));
            table.rows.push(row);
        }
        table
    }

    /// Whether anything is known of the cost, if only that a model has no price.
    fn has_money(&self) -> bool {
        let actual = self.actual.as_ref();
        actual.is_some_and(|actual| actual.cost_usd.is_some() || !actual.unpriced_models.is_empty())
    }

    fn money_cell(&self, cost: KnownCost) -> Option<Cell> {
        self.has_money().then_some(Cell::Cost(cost))
    }

    fn tool_table(&self) -> Table {
        let has_cost = self.has_allocations();
        let mut columns = vec!["tool", "calls", "failed"];
        columns.extend(if has_cost {
            &["returned", "first read", "re-reads", "cost"][..]
        } else {
            &["written", "returned", "total"]
        });
        columns.push(share_head(self.by_tool.iter().map(|tool| tool.paid.share)));
        let title = if has_cost { "Cost by tool" } else { "Tool calls (estimated)" };
        let mut table = Table::new(title, &columns);
        let blank = || Cell::Text(String::new());
        for tool in &self.by_tool {
            let is_tool = !tool.tool.starts_with('(');
            let estimated = tool.generated_tokens + tool.returned_tokens;
            let mut row = vec![
                Cell::Text(tool.tool.clone()),
                count_or_blank(tool.calls),
                count_or_blank(tool.failures),
            ];
            if has_cost {
                row.push(match (is_tool, estimated) {
                    (false, _) => blank(),
                    (true, 0) => Cell::Unknown,
                    (true, _) => Cell::Estimate(tool.returned_tokens),
                });
                row.extend(cost_cells(&tool.paid));
            } else {
                row.extend([tool.generated_tokens, tool.returned_tokens, estimated].map(Cell::Estimate));
            }
            row.push(share_cell(tool.paid.share));
            table.rows.push(row);
        }
        if self.by_tool.len() > 1 {
            let sum = |of: fn(&ToolUsage) -> u64| self.by_tool.iter().map(of).sum::<u64>();
            let mut total = vec![
                Cell::Text("total".to_owned()),
                Cell::Count(sum(|tool| tool.calls)),
                count_or_blank(sum(|tool| tool.failures)),
            ];
            if has_cost {
                let paid = || self.by_tool.iter().map(|tool| &tool.paid);
                let usd = |of: fn(&AllocatedUsage) -> Option<PicoUsd>| Some(paid().filter_map(of).sum());
                // Of a step no hook tells what its results were estimated to be.
                total.push(match sum(|tool| tool.returned_tokens) {
                    0 => Cell::Unknown,
                    returned => Cell::Estimate(returned),
                });
                total.extend(cost_cells(&AllocatedUsage {
                    entry_cost_usd: usd(|paid| paid.entry_cost_usd),
                    carry_cost_usd: usd(|paid| paid.carry_cost_usd),
                    cost_usd: KnownCost {
                        amount: usd(|paid| paid.cost_usd.amount),
                        is_partial: paid().any(|paid| paid.cost_usd.is_partial),
                    },
                    ..AllocatedUsage::default()
                }));
            } else {
                let estimate = &self.estimate;
                total.extend(
                    [estimate.generated_tokens, estimate.returned_tokens, estimate.total_tokens]
                        .map(Cell::Estimate),
                );
            }
            total.push(blank());
            table.total = Some(total);
        }
        table
    }

    /// Whether it is known where anything came from.
    fn has_allocations(&self) -> bool {
        self.by_tool.iter().any(|tool| tool.paid.total_tokens > 0)
    }

    fn step_table(&self) -> Table {
        let share = share_head(self.by_step.iter().map(|step| step.paid.share));
        let columns = ["step", "times", "duration", "agents<", "tokens", "cost", share];
        let mut table = Table::new("Steps", &columns);
        for step in &self.by_step {
            table.rows.push(vec![
                Cell::Text(step.step.clone()),
                count_or_blank(step.iterations),
                step.duration_seconds.map_or(Cell::Unknown, Cell::Span),
                Cell::Text(step.agents.join(", ")),
                Cell::Count(step.paid.total_tokens),
                Cell::Cost(step.paid.cost_usd),
                share_cell(step.paid.share),
            ]);
        }
        table
    }

    fn skill_table(&self) -> Table {
        let share = share_head(self.by_skill.iter().map(|skill| skill.paid.share));
        let columns = ["skill", "calls", "tokens", "first read", "re-reads", "cost", share];
        let mut table = Table::new("Cost by skill", &columns);
        for skill in &self.by_skill {
            let mut row = vec![
                Cell::Text(skill.skill.clone()),
                // Of sessions that were only imported no hook has told.
                if skill.invocations == 0 { Cell::Unknown } else { Cell::Count(skill.invocations) },
                Cell::Count(skill.paid.total_tokens),
            ];
            row.extend(cost_cells(&skill.paid));
            row.push(share_cell(skill.paid.share));
            table.rows.push(row);
        }
        table
    }

    fn mcp_table(&self) -> Table {
        let share = share_head(self.by_mcp_server.iter().map(|server| server.paid.share));
        let columns = ["MCP server", "calls", "failed", "returned", "first read", "re-reads", "cost", share];
        let mut table = Table::new("MCP servers", &columns);
        for server in &self.by_mcp_server {
            let mut row = vec![
                Cell::Text(server.mcp_server.clone()),
                Cell::Count(server.calls),
                Cell::Count(server.failures),
                match server.generated_tokens + server.returned_tokens {
                    0 => Cell::Unknown,
                    _ => Cell::Estimate(server.returned_tokens),
                },
            ];
            row.extend(cost_cells(&server.paid));
            row.push(share_cell(server.paid.share));
            table.rows.push(row);
        }
        table
    }

    fn compaction_table(&self) -> Table {
        let mut table = Table::new("Compactions", &["at", "trigger<", "tokens before", "tokens after"]);
        for event in self.compaction_events.iter().take(COMPACTIONS_SHOWN) {
            table.rows.push(vec![
                event.at.map_or(Cell::Unknown, Cell::Time),
                Cell::Text(event.trigger.clone()),
                Cell::count(event.tokens_before),
                Cell::count(event.tokens_after),
            ]);
        }
        let more = self.compaction_events.len().saturating_sub(COMPACTIONS_SHOWN);
        if more > 0 {
            let more = Cell::Text(format!("{} more", grouped(more as u64)));
            table.rows.push(vec![more, Cell::Text(String::new()), Cell::Unknown, Cell::Unknown]);
        }
        table
    }
}

/// Entry, carry and all of it.
fn cost_cells(paid: &AllocatedUsage) -> [Cell; 3] {
    let [entry, carry] = phase_cells(paid.entry_cost_usd, paid.carry_cost_usd, paid.cost_usd.amount);
    [entry, carry, Cell::Cost(paid.cost_usd)]
}

fn usage_cells(usage: &Usage) -> [Cell; 5] {
    [usage.input, usage.output, usage.cache_read, usage.cache_write(), usage.total()].map(Cell::Count)
}

/// What agents without hooks have reported meanwhile.
fn reported_table(agents: &[ReportedAgent]) -> Table {
    let columns = ["agent", "reports", "tokens", "estimated", "cost"];
    let mut table = Table::new("Reported by agents without hooks (not included above)", &columns);
    for agent in agents {
        table.rows.push(vec![
            Cell::Text(agent.agent.clone()),
            Cell::Count(agent.reports),
            Cell::Count(agent.tokens),
            match agent.estimated_tokens {
                0 => Cell::Text(String::new()),
                tokens => Cell::Estimate(tokens),
            },
            Cell::usd(agent.cost_usd),
        ]);
    }
    table
}
