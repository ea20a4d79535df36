//! `show-usage`: one session as far as it is known.
//!
//! The structs are the contract's JSON (`docs/json.md#show-usage`), name for name. Parts add up: the agents' usage to the
//! session's, the models' too, the tools' estimates to the session's. What no line of a transcript shows is a row of its
//! own, `(hidden)`, among the agents.

mod agent_names;
mod allocations;
mod figures;
mod money;
mod rollup;

use serde::Serialize;

use crate::allocation::foreseen;
use crate::domain::{CostParts, MAIN_AGENT, PicoUsd, Timeline, Timestamp, Usage};
use crate::pricing::PriceTable;
use crate::report::allocations::{AllocationKey, AllocationSum};
use crate::report::budgets::{BudgetInfo, SessionWork};
use crate::report::history::HistoryRow;
use crate::report::reported::ReportedAgent;
use crate::report::{KnownCost, SessionInfo, Share};
use crate::store::{
    AllocationRow, Allocations, CallGroup, HIDDEN_AGENT, Ledger, SessionCalls, SessionCounts, SessionRecord,
    StoreError,
};
use agent_names::AgentNames;
use allocations::{AllocationSums, StepSums};
pub use figures::{SessionFigures, SessionTotals, steps_of};
use money::Spending;
use rollup::UsageSums;

/// What a subagent is called whose type nobody told.
pub const UNTYPED_AGENT: &str = "subagent";

/// Which part of a session is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this agent (`main` or a subagent's type).
    pub agent: Option<String>,
    /// Only this tool.
    pub tool: Option<String>,
    /// Only this step: its name, or its number in the order of time.
    pub step: Option<String>,
}

/// What a session's figures are worked out from beside the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// Its steps.
    pub timeline: &'a Timeline,
    /// Where its costs came from.
    pub allocations: &'a Allocations,
    /// The prices in force.
    pub prices: &'a PriceTable,
}

impl Filter {
    /// Of `calls` what hooks tell of the part that is asked for: nothing of a step, for no hook knows which one it is in.
    fn told<'c>(&self, calls: &'c [CallGroup]) -> &'c [CallGroup] {
        if self.step.is_some() { &[] } else { calls }
    }
}

/// The answer of `show-usage`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsageReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// The session; null if there is none.
    pub session: Option<SessionInfo>,
    /// The provider's own numbers; null before the first response is known.
    pub actual: Option<Actual>,
    /// Our estimates of the tool calls.
    pub estimate: EstimateInfo,
    /// Usage by model.
    pub by_model: Vec<ModelUsage>,
    /// Usage by agent, `main` first.
    pub by_agent: Vec<AgentUsage>,
    /// Estimates by tool, and what its calls and results cost; what is no tool stands in brackets.
    pub by_tool: Vec<ToolUsage>,
    /// Actual usage by step, in the order of time.
    pub by_step: Vec<StepUsage>,
    /// Actual usage by the skill that the client says it was for.
    pub by_skill: Vec<SkillUsage>,
    /// Estimates by MCP server.
    pub by_mcp_server: Vec<McpUsage>,
    /// The main conversation's context.
    pub context: Option<ContextUsage>,
    /// Compactions.
    pub compaction_events: Vec<CompactionEvent>,
    /// Rates.
    pub efficiency: Efficiency,
    /// The budgets that hold for the session.
    pub budgets: Vec<BudgetInfo>,
    /// What it works on.
    pub work: Option<SessionWork>,
    /// What agents without hooks have reported meanwhile; in none of the sums above.
    pub reported: Vec<ReportedAgent>,
    /// What the part that was asked for comes to; left out where the whole session was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<SessionPart>,
    /// What could be cheaper, where that is certain, in the words of `present::advice`; the command fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Recent sessions of the project, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HistoryRow>>,
}

/// The part of a session that was asked for: of an agent, a tool, a step, or of several of these at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SessionPart {
    pub agent: Option<String>,
    pub tool: Option<String>,
    pub step: Option<String>,
    /// What was paid for it.
    pub usage: Usage,
    #[serde(flatten)]
    pub paid: AllocatedUsage,
}

impl SessionPart {
    /// Whether the figures of the session's whole say nothing of it: no response is a tool's or, as a whole, a step's.
    #[must_use]
    pub const fn is_within_responses(&self) -> bool {
        self.tool.is_some() || self.step.is_some()
    }
}

/// The provider's own numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Actual {
    /// Cost by class, of the models that have a price; null if none has.
    pub cost: Option<CostParts>,
    /// Tokens by class.
    pub usage: Usage,
    /// All classes of tokens.
    pub total_tokens: u64,
    /// Cost of the models that have a price.
    pub cost_usd: Option<PicoUsd>,
    /// API responses.
    pub responses: u64,
    /// Cache reads as a share of the input side.
    pub cache_hit_rate: Option<f64>,
    /// What the cache has saved.
    pub cache_savings_usd: Option<PicoUsd>,
    /// Models without a price.
    pub unpriced_models: Vec<String>,
    /// The part that no line of the transcript shows; null while nothing is known of what was spent.
    pub hidden: Option<HiddenUsage>,
    /// What incomplete lines leave out.
    pub output_shortfall: Option<OutputShortfall>,
}

impl Actual {
    /// The cost, and whether there is more of models without a price.
    #[must_use]
    pub fn known_cost(&self) -> KnownCost {
        KnownCost { amount: self.cost_usd, is_partial: !self.unpriced_models.is_empty() }
    }
}

/// Usage that no line of the transcript shows: compaction, titles, permission checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct HiddenUsage {
    pub usage: Usage,
    pub cost_usd: Option<PicoUsd>,
}

/// Output that incomplete lines probably leave out: an estimate, in no total.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct OutputShortfall {
    pub tokens: u64,
    pub cost_usd: Option<PicoUsd>,
    pub responses: u64,
}

/// Estimates of all tool calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EstimateInfo {
    /// Calls.
    pub calls: u64,
    /// Tokens that the model wrote.
    pub generated_tokens: u64,
    /// Tokens that it read as results.
    pub returned_tokens: u64,
    /// Tokens that the model wrote and tokens that it read as results, together.
    pub total_tokens: u64,
    /// Tokens written and tokens read as results together, by the encoding's own count.
    pub raw_tokens: u64,
    /// How far off the results' estimates were on this session so far, in per cent of what its contexts have grown by; what
    /// the client put in of its own is taken as the transcript shows it.
    pub error_percent: Option<f64>,
    /// The calls that no known response follows.
    pub pending: PendingInfo,
}

/// Estimates of the calls after the last known response.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PendingInfo {
    /// Calls.
    pub calls: u64,
    /// Tokens that the model wrote.
    pub generated_tokens: u64,
    /// Tokens that it will read as results.
    pub returned_tokens: u64,
    /// Tokens that the model wrote and tokens that it will read as results, together.
    pub total_tokens: u64,
    /// Tokens written and tokens to be read as results together, by the encoding's own count.
    pub raw_tokens: u64,
    /// Beside these: what the client is foreseen to add of its own to what the model reads, by what came with the last calls.
    pub client_tokens: u64,
    /// Beside these: what the defaults table says of subagents of which no response is known yet.
    pub subagent_tokens: u64,
}

/// Usage of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct ModelUsage {
    pub model: Option<String>,
    pub usage: Usage,
    pub total_tokens: u64,
    pub cost_usd: Option<PicoUsd>,
    pub responses: u64,
}

impl ModelUsage {
    /// The cost: all of it or nothing has a price.
    #[must_use]
    pub fn known_cost(&self) -> KnownCost {
        KnownCost { amount: self.cost_usd, is_partial: self.cost_usd.is_none() }
    }
}

/// Usage of an agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct AgentUsage {
    pub agent: String,
    pub invocations: u64,
    pub usage: Usage,
    pub total_tokens: u64,
    pub cost_usd: KnownCost,
    #[serde(flatten)]
    pub share: Share,
    pub duration_seconds: Option<u64>,
    pub last_updated_at: Option<Timestamp>,
    /// What runs without a known response are taken to use, from the defaults table.
    pub pending_tokens: u64,
}

/// Estimates of a tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct ToolUsage {
    pub tool: String,
    pub calls: u64,
    pub failures: u64,
    pub generated_tokens: u64,
    pub returned_tokens: u64,
    #[serde(flatten)]
    pub paid: AllocatedUsage,
    pub duration_seconds: u64,
}

/// Usage of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct StepUsage {
    pub step: String,
    pub usage: Usage,
    #[serde(flatten)]
    pub paid: AllocatedUsage,
    /// How long it was worked on, all times together.
    pub duration_seconds: Option<u64>,
    /// The agents that answered in it.
    pub agents: Vec<String>,
    /// How often it was begun.
    pub iterations: u64,
}

/// Usage of a skill.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct SkillUsage {
    pub skill: String,
    pub invocations: u64,
    pub usage: Usage,
    #[serde(flatten)]
    pub paid: AllocatedUsage,
}

/// Estimates of an MCP server's tools.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct McpUsage {
    pub mcp_server: String,
    pub calls: u64,
    pub failures: u64,
    pub generated_tokens: u64,
    pub returned_tokens: u64,
    #[serde(flatten)]
    pub paid: AllocatedUsage,
}

/// What was paid under one key that attribution has.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AllocatedUsage {
    /// Tokens that were paid for, all classes.
    pub total_tokens: u64,
    /// What they cost when they were written and came into the context; null if nothing has a price.
    pub entry_cost_usd: Option<PicoUsd>,
    /// What they cost each time they were read again; null if nothing has a price.
    pub carry_cost_usd: Option<PicoUsd>,
    /// All of it.
    pub cost_usd: KnownCost,
    /// Its share of the session, or of the part of it that was asked for. Where nothing is known of what was paid, its share of
    /// the tokens is that of the estimates.
    #[serde(flatten)]
    pub share: Share,
}

/// The main conversation's context.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContextUsage {
    /// Its size after the last known response, or after the compaction that followed it.
    pub tokens: u64,
    /// The model's window, where it is known.
    pub window: Option<u64>,
    /// The share of it that is used.
    pub used_percent: Option<f64>,
}

/// A compaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct CompactionEvent {
    pub at: Option<Timestamp>,
    pub trigger: String,
    pub tokens_before: Option<u64>,
    pub tokens_after: Option<u64>,
}

/// Rates of the session.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Efficiency {
    /// Actual tokens for each minute of the session.
    pub tokens_per_minute: Option<f64>,
    /// Cost for each minute.
    pub cost_per_minute_usd: Option<PicoUsd>,
    /// Lines of files that tool calls added.
    pub lines_added: u64,
    /// Lines of files that tool calls removed.
    pub lines_removed: u64,
    /// Cost for each line.
    pub cost_per_line_usd: Option<PicoUsd>,
}

impl UsageReport {
    /// The answer where no session is known.
    #[must_use]
    pub fn none() -> Self {
        Self {
            schema_version: 1,
            session: None,
            actual: None,
            estimate: EstimateInfo::default(),
            by_model: Vec::new(),
            by_agent: Vec::new(),
            by_tool: Vec::new(),
            by_step: Vec::new(),
            by_skill: Vec::new(),
            by_mcp_server: Vec::new(),
            context: None,
            compaction_events: Vec::new(),
            efficiency: Efficiency::default(),
            budgets: Vec::new(),
            work: None,
            reported: Vec::new(),
            part: None,
            advice: None,
            history: None,
        }
    }

    /// Reads the answer for one session.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of_session(
        ledger: &Ledger,
        record: &SessionRecord,
        filter: &Filter,
        basis: Basis<'_>,
    ) -> Result<Self, StoreError> {
        let Basis { timeline, allocations, prices } = basis;
        let runs = ledger.sessions().agent_runs(record.row)?;
        let names = AgentNames::of(&runs);
        let wanted = |agent: &str| filter.agent.as_deref().is_none_or(|name| name == agent);
        let spending = Spending::of(ledger, record.row, &names, &wanted)?;
        let used = UsageSums::of(ledger, record.row, &names, &wanted, &spending)?;
        let SessionCalls { groups: mut calls, lines_added, lines_removed, .. } =
            ledger.usage().session_calls(record.row, |run| used.last_response(run))?;
        let compactions = ledger.sessions().compactions(record.row)?;
        let mut session = session_info(ledger, record, &calls, compactions.len() as u64)?;
        calls.retain(|call| wanted(names.of_call(call)));
        let total = used.total() + spending.hidden_usage();
        let mut all = AllocationSum::default();
        let mut steps = StepSums::new(&names);
        let (mut skills, mut tools) =
            (AllocationSums::new(AllocationKey::Skill), AllocationSums::new(AllocationKey::Tool));
        let mut servers = AllocationSums::new(AllocationKey::Mcp);
        allocations.for_each(|row| {
            all.add(row);
            let is_of_step = filter.step.as_deref().is_none_or(|step| row.step == step);
            if wanted(agent_of(row, &names)) && is_of_step {
                steps.add(row);
                skills.add(row);
                if filter.tool.as_deref().is_none_or(|tool| tool == row.tool) {
                    tools.add(row);
                    servers.add(row);
                }
            }
        });
        if session.tool_calls == 0 {
            // No hook has told of any: the session was imported.
            session.tool_calls = steps.calls();
        }
        let by_skill = allocations::by_skill(skills, filter.told(&calls));
        let by_step = steps.rows(timeline, record.last_activity_at);
        calls.retain(|call| filter.tool.as_deref().is_none_or(|tool| tool == call.tool));

        let part = (*filter != Filter::default()).then(|| {
            let (usage, paid) = tools.in_all(all.whole());
            let Filter { agent, tool, step } = filter.clone();
            SessionPart { agent, tool, step, usage, paid }
        });
        let lines = (lines_added, lines_removed);
        let efficiency = Efficiency::of(total, &spending, session.duration_seconds, lines);
        let is_open = record.ended_at.is_none();
        let by_agent = rollup::by_agent(&used, &runs, &names, session.turns, is_open, &wanted, &spending);
        let context_size = ledger.sessions().context_size(record.row)?;
        let compacted = compactions
            .last()
            .filter(|last| context_size.is_none_or(|size| last.at > size.at) && last.tokens_after.is_some());
        let context = compacted
            .and_then(|last| last.tokens_after)
            .or(context_size.map(|size| size.tokens))
            .filter(|_| wanted(MAIN_AGENT))
            .map(|tokens| context_of(tokens, record.model.as_deref(), prices));
        let subagent_tokens = by_agent.iter().map(|agent| agent.pending_tokens).sum();
        let mut estimate = rollup::estimate(&calls, subagent_tokens);
        let pending = &mut estimate.pending;
        pending.client_tokens = foreseen(ledger, record.model.as_deref(), pending.calls)?;
        Ok(Self {
            actual: rollup::actual(&used, total, &spending),
            estimate,
            by_model: rollup::by_model(&used, &spending),
            by_skill,
            by_agent,
            by_tool: allocations::by_tool(tools, filter.told(&calls)),
            by_mcp_server: allocations::by_mcp_server(servers, filter.told(&calls)),
            by_step,
            context,
            compaction_events: compactions
                .into_iter()
                .map(|compaction| CompactionEvent {
                    at: compaction.at,
                    trigger: compaction.trigger,
                    tokens_before: compaction.tokens_before,
                    tokens_after: compaction.tokens_after,
                })
                .collect(),
            efficiency: Efficiency {
                // Which agent changed a line is not known.
                cost_per_line_usd: efficiency.cost_per_line_usd.filter(|_| filter.agent.is_none()),
                ..efficiency
            },
            session: Some(session),
            part,
            ..Self::none()
        })
    }

    /// The names of the session's agents, for a message about one that is not there.
    #[must_use]
    pub fn agent_names(&self) -> Vec<&str> {
        self.by_agent.iter().map(|agent| agent.agent.as_str()).collect()
    }
}

/// The agent that it is of.
fn agent_of<'n>(row: &AllocationRow, names: &AgentNames<'n>) -> &'n str {
    match row.agent_id.as_str() {
        "" => MAIN_AGENT,
        HIDDEN_AGENT => HIDDEN_AGENT,
        run => names.of_run(Some(run)),
    }
}

/// The context and the window of the model that has it. A context that is larger than the window that is known shows that
/// it has another one.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn context_of(tokens: u64, model: Option<&str>, prices: &PriceTable) -> ContextUsage {
    let window = model.and_then(|model| prices.context_window(model)).filter(|window| *window >= tokens);
    let used = window.filter(|window| *window > 0).map(|window| tokens as f64 * 100.0 / window as f64);
    ContextUsage { tokens, window, used_percent: used }
}

fn session_info(
    ledger: &Ledger,
    record: &SessionRecord,
    calls: &[CallGroup],
    compactions: u64,
) -> Result<SessionInfo, StoreError> {
    let tool_calls = calls.iter().map(|call| call.calls).sum();
    Ok(SessionInfo::of(
        record,
        SessionCounts { turns: ledger.sessions().turns(record.row)?, tool_calls, compactions },
    ))
}
