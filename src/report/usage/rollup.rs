//! Rows of the ledger into the sums that `show-usage` shows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actual, AgentUsage, EstimateInfo, ModelUsage, PendingInfo};
use crate::domain::{MAIN_AGENT, Timestamp, Usage};
use crate::report::Whole;
use crate::store::{AgentRun, CallGroup, HIDDEN_AGENT, Ledger, PendingCalls, SessionRow, StoreError};

use super::agent_names::AgentNames;
use super::money::{Spending, sum_of};

/// What a session's responses used, added up as they are read: by agent run, and by model of those that are wanted.
#[derive(Debug, Default)]
pub(super) struct UsageSums {
    main: Option<RunUse>,
    runs: BTreeMap<String, RunUse>,
    /// The unknown one has no name.
    models: BTreeMap<String, (Usage, u64)>,
    /// All that is wanted.
    total: Usage,
    responses: u64,
}

/// What an agent run, or the main conversation, used.
#[derive(Debug, Default)]
struct RunUse {
    usage: Usage,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
}

impl UsageSums {
    /// Reads it. Models stand under the names that they have in `spending`.
    pub(super) fn of(
        ledger: &Ledger,
        session: SessionRow,
        names: &AgentNames<'_>,
        wanted: &dyn Fn(&str) -> bool,
        spending: &Spending,
    ) -> Result<Self, StoreError> {
        let mut used = Self::default();
        ledger.usage().for_each_response_usage(session, |response| {
            let run = match response.agent_id {
                None => used.main.get_or_insert_default(),
                Some(run) => sum_of(&mut used.runs, run),
            };
            run.usage += response.usage;
            run.first_at = run.first_at.into_iter().chain(response.at).min();
            run.last_at = run.last_at.max(response.at);
            if wanted(names.of_run(response.agent_id)) {
                let model = spending.model_key(response.model.unwrap_or_default());
                let model = sum_of(&mut used.models, model);
                model.0 += response.usage;
                model.1 += 1;
                used.total += response.usage;
                used.responses += 1;
            }
        })?;
        Ok(used)
    }

    /// When an agent run, or the main conversation, answered last, in milliseconds since 1970; 0 if it did not.
    pub(super) fn last_response(&self, run: Option<&str>) -> i64 {
        let run = match run {
            None => self.main.as_ref(),
            Some(run) => self.runs.get(run),
        };
        run.and_then(|run| run.last_at).map_or(0, Timestamp::as_millis)
    }

    /// What the wanted agents used.
    pub(super) const fn total(&self) -> Usage {
        self.total
    }
}

pub(super) fn actual(used: &UsageSums, total: Usage, spending: &Spending) -> Option<Actual> {
    if used.responses == 0 && spending.hidden_usage() == Usage::default() {
        return None;
    }
    Some(Actual {
        cost: spending.cost_parts(total),
        usage: total,
        total_tokens: total.total(),
        cost_usd: spending.cost(total),
        responses: used.responses + spending.hidden_responses(),
        cache_hit_rate: total.cache_hit_rate(),
        cache_savings_usd: spending.savings(),
        unpriced_models: spending.unpriced_models(),
        hidden: spending.hidden(),
        output_shortfall: spending.shortfall(),
    })
}

pub(super) fn estimate(calls: &[CallGroup], subagent_tokens: u64) -> EstimateInfo {
    let sum = |value: fn(&CallGroup) -> u64| calls.iter().map(value).sum::<u64>();
    let (generated, returned) = (sum(|call| call.generated), sum(|call| call.returned));
    let pending = calls.iter().fold(PendingCalls::default(), |sum, call| PendingCalls {
        calls: sum.calls + call.pending.calls,
        generated: sum.generated + call.pending.generated,
        returned: sum.returned + call.pending.returned,
        raw: sum.raw + call.pending.raw,
    });
    EstimateInfo {
        calls: sum(|call| call.calls),
        generated_tokens: generated,
        returned_tokens: returned,
        total_tokens: generated + returned,
        raw_tokens: sum(|call| call.raw),
        error_percent: None,
        pending: PendingInfo {
            calls: pending.calls,
            generated_tokens: pending.generated,
            returned_tokens: pending.returned,
            total_tokens: pending.generated + pending.returned,
            raw_tokens: pending.raw,
            client_tokens: 0,
            subagent_tokens,
        },
    }
}

pub(super) fn by_model(used: &UsageSums, spending: &Spending) -> Vec<ModelUsage> {
    let mut models: BTreeMap<&str, (Usage, u64)> =
        used.models.iter().map(|(model, sum)| (model.as_str(), *sum)).collect();
    for (model, sum) in spending.models() {
        if sum.hidden != Usage::default() {
            let entry = models.entry(model).or_default();
            entry.0 += sum.hidden;
            entry.1 += sum.responses;
        }
    }
    let mut rows: Vec<ModelUsage> = models
        .into_iter()
        .map(|(model, (usage, responses))| ModelUsage {
            model: Some(model.to_owned()).filter(|model| !model.is_empty()),
            usage,
            total_tokens: usage.total(),
            cost_usd: spending.models().get(model).and_then(|sum| sum.cost(usage)),
            responses,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.total_tokens));
    rows
}

/// Usage and runs by agent: `main` first, then by tokens, at last what no line shows. While the session is open, a run of which no response is
/// known is taken to use what the defaults table says.
pub(super) fn by_agent(
    used: &UsageSums,
    runs: &[AgentRun],
    names: &AgentNames<'_>,
    turns: u64,
    is_open: bool,
    wanted: &dyn Fn(&str) -> bool,
    spending: &Spending,
) -> Vec<AgentUsage> {
    #[derive(Default)]
    struct AgentSum<'r> {
        usage: Usage,
        runs: BTreeSet<&'r str>,
        seconds: Option<u64>,
        last: Option<Timestamp>,
        pending: u64,
    }
    let mut agents: BTreeMap<&str, AgentSum<'_>> = BTreeMap::new();
    let answered = used.runs.iter().map(|(run, used)| (Some(run.as_str()), used));
    for (run, used) in used.main.iter().map(|used| (None, used)).chain(answered) {
        let name = names.of_run(run);
        if !wanted(name) {
            continue;
        }
        let sum = agents.entry(name).or_default();
        sum.usage += used.usage;
        sum.last = sum.last.max(used.last_at);
        sum.runs.extend(run);
    }
    for run in runs {
        let name = names.of_run(Some(&run.agent_id));
        if !wanted(name) {
            continue;
        }
        let sum = agents.entry(name).or_default();
        sum.runs.insert(&run.agent_id);
        if let (Some(start), Some(end)) = (run.started_at, run.ended_at) {
            sum.seconds = Some(sum.seconds.unwrap_or(0) + end.since(start).as_secs());
        }
        sum.last = sum.last.max(run.ended_at).max(run.started_at);
        if !used.runs.contains_key(&run.agent_id) && is_open && run.ended_at.is_none() {
            sum.pending += run.default_billed_tokens.unwrap_or(0);
        }
    }
    let main_span = used
        .main
        .as_ref()
        .and_then(|main| main.first_at.zip(main.last_at))
        .map(|(first, last)| last.since(first).as_secs());
    if spending.hidden_usage() != Usage::default() {
        agents.entry(HIDDEN_AGENT).or_default().usage += spending.hidden_usage();
    }
    let cost = |agent: &str, usage| spending.agent(agent).cost(usage);
    let whole = Whole {
        cost: agents.iter().filter_map(|(agent, sum)| cost(agent, sum.usage)).sum(),
        tokens: agents.values().map(|sum| sum.usage.total()).sum(),
    };
    let mut rows: Vec<AgentUsage> = agents
        .into_iter()
        .map(|(agent, sum)| AgentUsage {
            agent: agent.to_owned(),
            invocations: if agent == MAIN_AGENT { turns } else { sum.runs.len() as u64 },
            usage: sum.usage,
            total_tokens: sum.usage.total(),
            cost_usd: spending.agent(agent).known(sum.usage),
            share: whole.share(cost(agent, sum.usage), sum.usage.total()),
            duration_seconds: if agent == MAIN_AGENT { main_span } else { sum.seconds },
            last_updated_at: sum.last,
            pending_tokens: sum.pending,
        })
        .collect();
    rows.sort_by_key(|row| {
        (row.agent == HIDDEN_AGENT, row.agent != MAIN_AGENT, std::cmp::Reverse(row.total_tokens))
    });
    rows
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people, not money")]
pub(super) fn per_minute(tokens: u64, seconds: u64) -> Option<f64> {
    (seconds > 0).then(|| tokens as f64 * 60.0 / seconds as f64)
}
