//! What agents without hooks have reported while a session went on: shown apart, for it is in no sum of the ledger's own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{PicoUsd, Timestamp};
use crate::store::{Ledger, Report, SessionRecord, StoreError};

/// What one agent has reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReportedAgent {
    /// Who.
    pub agent: String,
    /// How often.
    pub reports: u64,
    /// Tokens that it has counted.
    pub tokens: u64,
    /// Tokens that were estimated from its operations.
    pub estimated_tokens: u64,
    /// What the counted ones cost, as reported or by the price table; null if nothing of it has a price.
    pub cost_usd: Option<PicoUsd>,
}

/// The reports made in a session, or outside of any in its project while it went on, by agent.
///
/// # Errors
/// If the ledger cannot be read.
pub fn reported(
    ledger: &Ledger,
    record: &SessionRecord,
    now: Timestamp,
) -> Result<Vec<ReportedAgent>, StoreError> {
    let until = record.ended_at.unwrap_or(now);
    let is_of = |report: &Report| match report.session {
        Some(session) => session == record.row,
        None => {
            report.project.is_some()
                && report.project == record.project
                && report.at.zip(record.started_at).is_some_and(|(at, start)| (start..=until).contains(&at))
        }
    };
    let mut agents: BTreeMap<String, ReportedAgent> = BTreeMap::new();
    ledger.records().for_each_report(|report, _| {
        if is_of(report) {
            let name = report.agent.clone().unwrap_or_default();
            let agent = agents.entry(name.clone()).or_default();
            agent.agent = name;
            agent.reports += 1;
            if report.is_estimate {
                agent.estimated_tokens = agent.estimated_tokens.saturating_add(report.tokens);
            } else {
                agent.tokens = agent.tokens.saturating_add(report.tokens);
                agent.cost_usd = match (agent.cost_usd, report.cost) {
                    (Some(sum), Some(cost)) => Some(sum + cost),
                    (sum, cost) => sum.or(cost),
                };
            }
        }
        Ok::<(), StoreError>(())
    })?;
    Ok(agents.into_values().collect())
}
