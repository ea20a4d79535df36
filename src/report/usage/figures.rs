//! What a session comes to as a whole, for lists of many: the parts of `show-usage` that an export has, read with as few
//! questions and copies as they need.

use super::agent_names::AgentNames;
use super::allocations::StepSums;
use super::money::{self, Spending};
use super::rollup::{self, UsageSums};
use super::{Actual, AgentUsage, Efficiency, EstimateInfo, ModelUsage, StepUsage, session_info};
use crate::allocation::{self, Calibrations};
use crate::domain::{PicoUsd, Timeline, Usage};
use crate::report::SessionInfo;
use crate::store::{AgentRun, Ledger, SessionCalls, SessionRecord, StoreError};

/// What a session is and has used, as its own rows and the prices tell.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "they are those of UsageReport")]
pub struct SessionTotals {
    pub session: SessionInfo,
    pub actual: Option<Actual>,
    pub by_model: Vec<ModelUsage>,
    pub by_agent: Vec<AgentUsage>,
    pub efficiency: Efficiency,
}

/// A session's figures.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "they are those of UsageReport")]
pub struct SessionFigures {
    pub totals: SessionTotals,
    pub estimate: EstimateInfo,
    pub by_step: Vec<StepUsage>,
}

impl SessionTotals {
    /// Reads them.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(ledger: &Ledger, record: &SessionRecord) -> Result<Self, StoreError> {
        let runs = ledger.sessions().agent_runs(record.row)?;
        Self::read(ledger, record, &runs, &AgentNames::of(&runs)).map(|(totals, _)| totals)
    }

    /// Reads them with the tool calls.
    fn read(
        ledger: &Ledger,
        record: &SessionRecord,
        runs: &[AgentRun],
        names: &AgentNames<'_>,
    ) -> Result<(Self, SessionCalls), StoreError> {
        let spending = Spending::of(ledger, record.row, names, &|_| true)?;
        let used = UsageSums::of(ledger, record.row, names, &|_| true, &spending)?;
        let calls = ledger.usage().session_calls(record.row, |run| used.last_response(run))?;
        let compactions = ledger.sessions().compactions(record.row)?.len() as u64;
        let session = session_info(ledger, record, &calls.groups, compactions)?;
        let total = used.total() + spending.hidden_usage();
        let lines = (calls.lines_added, calls.lines_removed);
        let is_open = record.ended_at.is_none();
        let totals = Self {
            actual: rollup::actual(&used, total, &spending),
            by_model: rollup::by_model(&used, &spending),
            by_agent: rollup::by_agent(&used, runs, names, session.turns, is_open, &|_| true, &spending),
            efficiency: Efficiency::of(total, &spending, session.duration_seconds, lines),
            session,
        };
        Ok((totals, calls))
    }
}

impl SessionFigures {
    /// Reads them. What was learned of models is looked up in `calibrations`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(
        ledger: &Ledger,
        record: &SessionRecord,
        timeline: &Timeline,
        calibrations: &mut Calibrations,
    ) -> Result<Self, StoreError> {
        let runs = ledger.sessions().agent_runs(record.row)?;
        let names = AgentNames::of(&runs);
        let (mut totals, calls) = SessionTotals::read(ledger, record, &runs, &names)?;
        let SessionCalls { groups: calls, has_ids, fingerprint, .. } = calls;
        let mut steps = StepSums::new(&names);
        let growth = ledger.allocations().for_each_of(record.row, |row| steps.add(row))?;
        if totals.session.tool_calls == 0 {
            // No hook has told of any: the session was imported.
            totals.session.tool_calls = steps.calls();
        }
        let error_percent = match growth.filter(|growth| growth.is_of(fingerprint)) {
            // What no hook has told of was not estimated: the session's files need no look.
            _ if !has_ids => None,
            Some(growth) => calibrations.error_percent(ledger, &growth)?,
            None => calibrations.error_percent(ledger, &allocation::growth(ledger, record.row)?)?,
        };
        let subagent_tokens = totals.by_agent.iter().map(|agent| agent.pending_tokens).sum();
        let mut estimate = EstimateInfo { error_percent, ..rollup::estimate(&calls, subagent_tokens) };
        let pending = &mut estimate.pending;
        pending.client_tokens = calibrations.foreseen(ledger, record.model.as_deref(), pending.calls)?;
        Ok(Self { totals, estimate, by_step: steps.rows(timeline, record.last_activity_at) })
    }
}

/// What a session used, by step, as far as the ledger has it allocated.
///
/// # Errors
/// If the ledger cannot be read.
pub fn steps_of(ledger: &Ledger, record: &SessionRecord) -> Result<Vec<StepUsage>, StoreError> {
    let timeline = allocation::timeline(ledger, record.row)?;
    let runs = ledger.sessions().agent_runs(record.row)?;
    let names = AgentNames::of(&runs);
    let mut steps = StepSums::new(&names);
    ledger.allocations().for_each_of(record.row, |row| steps.add(row))?;
    Ok(steps.rows(&timeline, record.last_activity_at))
}

impl Efficiency {
    /// The figures of what was used and spent in `seconds` of activity, for `lines` that were added or removed.
    pub(super) fn of(
        used: Usage,
        spending: &Spending,
        seconds: u64,
        (lines_added, lines_removed): (u64, u64),
    ) -> Self {
        let cost = spending.cost(used);
        let for_minutes = |cost: PicoUsd| PicoUsd::from_pico(cost.as_pico().saturating_mul(60));
        Self {
            tokens_per_minute: rollup::per_minute(used.total(), seconds),
            cost_per_minute_usd: cost.and_then(|cost| money::share(for_minutes(cost), seconds)),
            lines_added,
            lines_removed,
            cost_per_line_usd: cost.and_then(|cost| money::share(cost, lines_added + lines_removed)),
        }
    }
}
