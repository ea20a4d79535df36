//! `agents`: subagents by type, what they cost, and what a run of each is taken to use.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Share;
use super::allocations::{AllocationFigures, AllocationSum, add_to};
use super::usage::UNTYPED_AGENT;
use crate::domain::MAIN_AGENT;
use crate::estimate::subagents::{Defaults, LEARNED_FROM, Overrides, defaults_for, median};
use crate::store::{BucketFilter, HIDDEN_AGENT, Ledger, ObservedRun, RUNS_OF_A_TYPE, StoreError};

/// `agents --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// By what they cost; what no line shows comes last.
    pub rows: Vec<AgentRow>,
    /// All rows together.
    pub total: AgentTotal,
}

/// All agents together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentTotal {
    /// Subagent runs and sessions.
    pub runs: u64,
    /// What they come to.
    #[serde(flatten)]
    pub figures: AllocationFigures,
}

/// An agent's type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentRow {
    /// `main`, or the type.
    pub agent: String,
    /// Subagent runs; sessions in the case of `main`.
    pub runs: u64,
    /// What they come to.
    #[serde(flatten)]
    pub figures: AllocationFigures,
    /// Its part of all agents.
    #[serde(flatten)]
    pub share: Share,
    /// What the table says of a run; null where there are no runs.
    pub default: Option<RunFigures>,
    /// The medians of the user's own runs, with their number; null if there are none.
    pub learned: Option<RunFigures>,
    /// Which of both tells what a run is billed until its transcript does: `default` or `learned`.
    pub in_force: Option<&'static str>,
}

/// What a run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RunFigures {
    /// Text that it returns, in tokens; null if not known.
    pub returned_tokens: Option<u64>,
    /// Its context at its end.
    pub final_context_tokens: Option<u64>,
    /// All tokens of all of its responses.
    pub billed_tokens: u64,
    /// Runs behind it; 0 for a row that nobody measured.
    pub n: u64,
}

impl From<Defaults> for RunFigures {
    fn from(defaults: Defaults) -> Self {
        Self {
            returned_tokens: Some(defaults.returned),
            final_context_tokens: Some(defaults.final_context),
            billed_tokens: defaults.billed,
            n: defaults.runs.into(),
        }
    }
}

impl AgentsReport {
    /// The answer where there is no ledger.
    #[must_use]
    pub fn none() -> Self {
        let total = AgentTotal { runs: 0, figures: AllocationFigures::default() };
        Self { schema_version: 1, rows: Vec::new(), total }
    }

    /// Asks the ledger, whose allocations are up to date. `overrides` are the user's own rows of the defaults table.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(ledger: &Ledger, overrides: &Overrides) -> Result<Self, StoreError> {
        let mut sums: BTreeMap<String, AllocationSum> = BTreeMap::new();
        let mut runs: BTreeMap<String, u64> = BTreeMap::new();
        let mut total_sum = AllocationSum::default();
        let mut last = (None, String::new());
        ledger.allocations().for_each_summed(&BucketFilter::default(), |session, row| {
            total_sum.add(row);
            let agent_type = row.agent_type().map(|name| if name.is_empty() { UNTYPED_AGENT } else { name });
            let agent = agent_type.unwrap_or(match row.agent_id.as_str() {
                "" => MAIN_AGENT,
                HIDDEN_AGENT => HIDDEN_AGENT,
                _ => UNTYPED_AGENT,
            });
            add_to(&mut sums, agent, row);
            // A session's allocations come agent by agent: each time it is another one it is a run that the ledger has no row of.
            // What is hidden is none, and of no session there is the main conversation alone: only that is copied.
            let is_run = agent_type.is_none() && row.agent_id != HIDDEN_AGENT;
            if is_run && (last.0 != Some(session) || last.1 != row.agent_id) {
                *runs.entry(agent.to_owned()).or_default() += 1;
                last = (Some(session), row.agent_id.clone());
            }
        })?;
        for (agent_type, known) in ledger.agents().runs_by_type()? {
            let agent = agent_type.unwrap_or_else(|| UNTYPED_AGENT.to_owned());
            // One that has spent nothing yet has a row, too.
            sums.entry(agent.clone()).or_default();
            *runs.entry(agent).or_default() += known;
        }
        let learned = learned(&ledger.agents().observed_runs()?);
        let total = AgentTotal { runs: runs.values().sum(), figures: (&total_sum).into() };
        let whole = total.figures.whole();
        let mut rows: Vec<AgentRow> = sums
            .into_iter()
            .map(|(agent, sum)| {
                let is_type = agent != MAIN_AGENT && agent != HIDDEN_AGENT;
                let learned = learned.get(&agent).copied();
                let is_learned = learned.is_some_and(|learned| learned.n >= LEARNED_FROM as u64);
                AgentRow {
                    runs: runs.get(&agent).copied().unwrap_or_default(),
                    figures: (&sum).into(),
                    share: whole.share(sum.known().amount, sum.usage.total()),
                    default: is_type.then(|| defaults_for(Some(&agent), overrides).into()),
                    learned: learned.filter(|_| is_type),
                    in_force: is_type.then_some(if is_learned { "learned" } else { "default" }),
                    agent,
                }
            })
            .collect();
        rows.sort_by_cached_key(|row| {
            let is_hidden = row.agent == HIDDEN_AGENT;
            (
                is_hidden,
                std::cmp::Reverse((row.figures.cost_usd.amount, row.figures.total_tokens)),
                row.agent.clone(),
            )
        });
        Ok(Self { schema_version: 1, rows, total })
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The medians of runs, by type.
fn learned(runs: &[ObservedRun]) -> BTreeMap<String, RunFigures> {
    let mut types: BTreeMap<&str, Vec<&ObservedRun>> = BTreeMap::new();
    for run in runs {
        let known = types.entry(&run.agent_type).or_default();
        // As many as a subagent's start looks at.
        if known.len() < RUNS_OF_A_TYPE as usize {
            known.push(run);
        }
    }
    types
        .into_iter()
        .filter_map(|(name, runs)| {
            let of = |value: fn(&ObservedRun) -> Option<u64>| {
                median(runs.iter().filter_map(|run| value(run)).collect())
            };
            let figures = RunFigures {
                returned_tokens: of(|run| run.returned),
                final_context_tokens: of(|run| run.final_context),
                billed_tokens: of(|run| Some(run.billed))?,
                n: runs.len() as u64,
            };
            Some((name.to_owned(), figures))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_what_is_known() {
        let run = |billed, returned| ObservedRun {
            agent_type: "Explore".to_owned(),
            billed,
            final_context: Some(billed / 5),
            returned,
        };
        let figures = learned(&[run(10, None), run(30, Some(7)), run(20, Some(3))])["Explore"];
        let expected =
            RunFigures { returned_tokens: Some(5), final_context_tokens: Some(4), billed_tokens: 20, n: 3 };
        assert_eq!(figures, expected);
    }
}
