//! What a session comes to as a whole, for lists of many: the parts of `show-usage` that an export has, read with as few
//! questions and copies as they need.

use super::allocations::StepSums;
use super::money::{self, Spending};
use super::rollup::{self, AgentNames, Used};
use super::{Actual, AgentUsage, Efficiency, EstimateInfo, ModelUsage, StepUsage, session_info};
use crate::allocation::{self, Calibrations};
use crate::domain::{PicoUsd, Timeline, Usage};
use crate::report::SessionInfo;
use crate::store::{Ledger, SessionCalls, SessionRecord, StoreError};

/// A session's figures.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "they are those of UsageReport")]
pub struct Figures {
    pub session: SessionInfo,
    pub actual: Option<Actual>,
    pub estimate: EstimateInfo,
    pub by_model: Vec<ModelUsage>,
    pub by_agent: Vec<AgentUsage>,
    pub by_step: Vec<StepUsage>,
    pub efficiency: Efficiency,
}

impl Figures {
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
        let runs = ledger.agent_runs(record.row)?;
        let names = AgentNames::of(&runs);
        let spending = Spending::of(ledger, record.row, &names, &|_| true)?;
        let used = Used::of(ledger, record.row, &names, &|_| true, &spending)?;
        let SessionCalls { groups: calls, lines_added, lines_removed, has_ids, fingerprint } =
            ledger.session_calls(record.row, |run| used.last_response(run))?;
        let compactions = ledger.compactions(record.row)?.len() as u64;
        let mut session = session_info(ledger, record, &calls, compactions)?;
        let total = used.total() + spending.hidden_usage();
        let mut steps = StepSums::new(&names);
        let growth = ledger.for_each_allocation_of(record.row, |share| steps.add(share))?;
        if session.tool_calls == 0 {
            // No hook has told of any: the session was imported.
            session.tool_calls = steps.calls();
        }
        let error_percent = match growth.filter(|growth| growth.is_of(fingerprint)) {
            // What no hook has told of was not estimated: the session's files need no look.
            _ if !has_ids => None,
            Some(growth) => calibrations.error_percent(ledger, &growth)?,
            None => calibrations.error_percent(ledger, &allocation::growth(ledger, record.row)?)?,
        };
        let is_open = record.ended_at.is_none();
        let by_agent = rollup::by_agent(&used, &runs, &names, session.turns, is_open, &|_| true, &spending);
        let subagent_tokens = by_agent.iter().map(|agent| agent.pending_tokens).sum();
        let mut estimate = EstimateInfo { error_percent, ..rollup::estimate(&calls, subagent_tokens) };
        let pending = &mut estimate.pending;
        pending.client_tokens = calibrations.foreseen(ledger, record.model.as_deref(), pending.calls)?;
        let lines = (lines_added, lines_removed);
        Ok(Self {
            actual: rollup::actual(&used, total, &spending),
            estimate,
            by_model: rollup::by_model(&used, &spending),
            by_agent,
            by_step: steps.rows(timeline, record.last_activity_at),
            efficiency: Efficiency::of(total, &spending, session.duration_seconds, lines),
            session,
        })
    }
}

impl Efficiency {
    /// The figures of what was used and spent in `seconds` of activity, for `lines` that were added or removed.
    pub(super) fn of(
        used: Usage,
        spending: &Spending,
        seconds: u64,
        (lines_added, lines_removed): (u64, u64),
    ) -> Self {
        let cost = spending.total.cost(used);
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
