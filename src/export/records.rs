//! The records: sessions, responses, days, steps, compactions and reports. What is not known is null; nothing is left out.
//!
//! `examples/export.schema.json` describes every member. Those of a session are the same that `show-usage` and `cost` show.

use std::collections::HashMap;

use serde::Serialize;

use crate::allocation::{self, Calibrations};
use crate::domain::{MAIN_AGENT, PicoUsd, ResponseRecord, Timestamp, Usage};
use crate::pricing::PriceTable;
use crate::report::SessionInfo;
use crate::report::cost::CostRow;
use crate::report::usage::{
    Actual, AgentUsage, Efficiency, EstimateInfo, HiddenUsage, ModelUsage, OutputShortfall, SessionFigures,
    SessionTotals, StepUsage, UNTYPED_AGENT,
};
use crate::store::{AgentRun, CompactionRow, Ledger, Report, SessionRecord, SessionRow, StoreError};

/// The complete record of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedSession {
    /// Whose, where, when and how much.
    #[serde(flatten)]
    pub used: SessionUse,
    /// Estimates of the tool calls.
    pub estimate: EstimateInfo,
    /// Rates.
    pub efficiency: Efficiency,
    /// Usage by agent.
    pub by_agent: Vec<AgentUsage>,
    /// Usage by model.
    pub by_model: Vec<ModelUsage>,
    /// Usage by step.
    pub by_step: Vec<StepUsage>,
}

/// What a session is and has used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionUse {
    /// Whose, where and when.
    #[serde(flatten)]
    pub session: SessionInfo,
    /// Tokens by class, subagents and hidden calls included.
    pub usage: Usage,
    /// All classes of tokens.
    pub total_tokens: u64,
    /// API responses.
    pub responses: u64,
    /// Cache reads as a share of the input side.
    pub cache_hit_rate: Option<f64>,
    /// Cost by class, of the models that have a price.
    pub cost: ExportedCost,
    /// Cost of all classes together, of the models that have a price; null if nothing has a price.
    pub cost_usd: Option<PicoUsd>,
    /// What the cache has saved.
    pub cache_savings_usd: Option<PicoUsd>,
    /// Models without a price.
    pub unpriced_models: Vec<String>,
    /// The part that no line of the transcript shows.
    pub hidden: HiddenUsage,
    /// What incomplete logs probably leave out: an estimate, in no total.
    pub output_shortfall: OutputShortfall,
}

/// Cost by class; null where nothing has a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ExportedCost {
    pub input_usd: Option<PicoUsd>,
    pub output_usd: Option<PicoUsd>,
    pub cache_read_usd: Option<PicoUsd>,
    pub cache_write_usd: Option<PicoUsd>,
    pub web_search_usd: Option<PicoUsd>,
}

impl SessionUse {
    fn new(session: SessionInfo, actual: Option<Actual>) -> Self {
        let actual = actual.unwrap_or(Actual {
            cost: None,
            usage: Usage::default(),
            total_tokens: 0,
            cost_usd: None,
            responses: 0,
            cache_hit_rate: None,
            cache_savings_usd: None,
            unpriced_models: Vec::new(),
            hidden: None,
            output_shortfall: None,
        });
        let parts = actual.cost;
        Self {
            session,
            usage: actual.usage,
            total_tokens: actual.total_tokens,
            responses: actual.responses,
            cache_hit_rate: actual.cache_hit_rate,
            cost: ExportedCost {
                input_usd: parts.map(|parts| parts.input),
                output_usd: parts.map(|parts| parts.output),
                cache_read_usd: parts.map(|parts| parts.cache_read),
                cache_write_usd: parts.map(|parts| parts.cache_write),
                web_search_usd: parts.map(|parts| parts.web_search),
            },
            cost_usd: actual.cost_usd,
            cache_savings_usd: actual.cache_savings_usd,
            unpriced_models: actual.unpriced_models,
            hidden: actual.hidden.unwrap_or_default(),
            output_shortfall: actual.output_shortfall.unwrap_or_default(),
        }
    }
}

impl ExportedSession {
    /// Reads a session's record.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(
        ledger: &Ledger,
        record: &SessionRecord,
        calibrations: &mut Calibrations,
    ) -> Result<Self, StoreError> {
        let timeline = allocation::timeline(ledger, record.row)?;
        let SessionFigures { totals, estimate, by_step } =
            SessionFigures::of(ledger, record, &timeline, calibrations)?;
        let SessionTotals { session, actual, by_model, by_agent, efficiency } = totals;
        Ok(Self { used: SessionUse::new(session, actual), estimate, efficiency, by_agent, by_model, by_step })
    }
}

/// The record of a session among changes: what follows from the session's own rows and the prices alone. Left out are
/// estimates, which what was learned elsewhere changes, and what views work out when they ask.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedSession {
    /// Whose, where, when and how much. Its tool calls are those that have records of their own.
    #[serde(flatten)]
    pub used: SessionUse,
    /// Rates.
    pub efficiency: Efficiency,
    /// Usage by agent.
    pub by_agent: Vec<AgentUsage>,
    /// Usage by model.
    pub by_model: Vec<ModelUsage>,
}

impl ChangedSession {
    /// Reads a session's record.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(ledger: &Ledger, record: &SessionRecord) -> Result<Self, StoreError> {
        let SessionTotals { session, actual, by_model, by_agent, efficiency } =
            SessionTotals::of(ledger, record)?;
        Ok(Self { used: SessionUse::new(session, actual), efficiency, by_agent, by_model })
    }
}

/// A step of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedStep<'a> {
    /// The session.
    pub session_id: &'a str,
    /// What it used.
    #[serde(flatten)]
    pub step: &'a StepUsage,
}

/// An API response.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportedResponse {
    /// The provider's id, or what stands in for it.
    pub message_id: String,
    /// The session; null for a fork's copy whose original is not known.
    pub session_id: Option<String>,
    /// `main`, or the subagent's type.
    pub agent: String,
    /// The subagent run's id.
    pub agent_id: Option<String>,
    /// When the log says it was made.
    pub at: Option<Timestamp>,
    /// The model.
    pub model: Option<String>,
    /// The branch that was checked out.
    pub git_branch: Option<String>,
    /// The skill that the client says it was for.
    pub skill: Option<String>,
    /// Tokens by class.
    #[serde(flatten)]
    pub usage: Usage,
    /// All classes of tokens.
    pub total_tokens: u64,
    /// What it cost at the price of its time; null without one.
    pub cost_usd: Option<PicoUsd>,
    /// Whether its log has the final usage.
    pub complete: bool,
    /// Fast mode.
    pub fast: bool,
    /// Inference in the United States.
    pub us_inference: bool,
    /// Batch processing.
    pub batch: bool,
}

/// The types of subagent runs.
#[derive(Debug, Default)]
pub struct RunTypes(HashMap<(SessionRow, String), String>);

impl RunTypes {
    /// Reads all of them.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn read(ledger: &Ledger) -> Result<Self, StoreError> {
        let runs = ledger.usage().run_types()?.into_iter();
        Ok(Self(runs.filter_map(|run| Some(((run.session, run.agent_id), run.agent_type?))).collect()))
    }

    /// Those of one session.
    #[must_use]
    pub fn of(session: SessionRow, runs: Vec<AgentRun>) -> Self {
        let runs = runs.into_iter();
        Self(runs.filter_map(|run| Some(((session, run.agent_id), run.agent_type?))).collect())
    }
}

impl ExportedResponse {
    /// A response as it is exported.
    #[must_use]
    pub fn of(message: &ResponseRecord, session: SessionRow, types: &RunTypes, prices: &PriceTable) -> Self {
        let agent_id = message.agent.as_ref().map(|agent| agent.as_str().to_owned());
        let agent = match &agent_id {
            None => MAIN_AGENT.to_owned(),
            Some(id) => types.0.get(&(session, id.clone())).map_or(UNTYPED_AGENT, |name| name).to_owned(),
        };
        let model = message.model.as_ref().map(|model| model.as_str().to_owned());
        let cost = prices.cost_of(message);
        Self {
            message_id: message.id.as_str().to_owned(),
            session_id: (!message.copied).then(|| message.session.as_str().to_owned()),
            agent,
            agent_id,
            at: message.at,
            cost_usd: cost.parts().map(|parts| parts.total()),
            model,
            git_branch: message.branch.clone(),
            skill: message.skill.clone(),
            usage: message.usage,
            total_tokens: message.usage.total(),
            complete: message.complete,
            fast: message.modifiers.fast,
            us_inference: message.modifiers.us,
            batch: message.modifiers.batch,
        }
    }
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedDay {
    /// The date in the zone that was asked for; `(hidden)` and `(none)` for what has no time.
    pub date: String,
    /// Tokens by class.
    #[serde(flatten)]
    pub usage: Usage,
    /// All classes of tokens.
    pub total_tokens: u64,
    /// Cost of the models that have a price.
    pub cost_usd: Option<PicoUsd>,
    /// Models without a price.
    pub unpriced_models: Vec<String>,
    /// Sessions.
    pub sessions: u64,
    /// API responses.
    pub responses: u64,
}

impl From<CostRow> for ExportedDay {
    fn from(row: CostRow) -> Self {
        let sum = row.sum;
        Self {
            date: row.key,
            usage: sum.usage,
            total_tokens: sum.total_tokens,
            cost_usd: sum.cost_usd,
            unpriced_models: sum.unpriced_models,
            sessions: sum.sessions,
            responses: sum.responses,
        }
    }
}

/// A report of an agent without hooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ExportedReport {
    pub event_id: Option<String>,
    pub at: Option<Timestamp>,
    pub session_id: Option<String>,
    pub project: Option<String>,
    pub agent: Option<String>,
    pub task: Option<String>,
    pub model: Option<String>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub total_tokens: u64,
    pub cost_usd: Option<PicoUsd>,
    /// Whether it is an estimate of one operation and no count.
    pub is_estimate: bool,
}

impl ExportedReport {
    /// A report that was made in a session of that id.
    #[must_use]
    pub fn of(report: &Report, session_id: Option<&str>) -> Self {
        Self {
            event_id: report.event_id.clone(),
            at: report.at,
            session_id: session_id.map(str::to_owned),
            project: report.project.clone(),
            agent: report.agent.clone(),
            task: report.task.clone(),
            model: report.model.clone(),
            input_tokens: report.input,
            output_tokens: report.output,
            total_tokens: report.tokens,
            cost_usd: report.cost,
            is_estimate: report.is_estimate,
        }
    }
}

/// A compaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ExportedCompaction {
    pub session_id: String,
    pub at: Option<Timestamp>,
    pub trigger: String,
    pub tokens_before: Option<u64>,
    pub tokens_after: Option<u64>,
}

impl ExportedCompaction {
    /// A compaction of the session of that id.
    #[must_use]
    pub fn of(session_id: String, compaction: CompactionRow) -> Self {
        Self {
            session_id,
            at: compaction.at,
            trigger: compaction.trigger,
            tokens_before: compaction.tokens_before,
            tokens_after: compaction.tokens_after,
        }
    }
}
