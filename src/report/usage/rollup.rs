//! Rows of the ledger into the sums that `show-usage` shows. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actual, AgentUsage, EstimateInfo, ModelUsage, PendingInfo, UNTYPED_AGENT};
use crate::domain::{MAIN_AGENT, Timestamp, Usage};
use crate::report::Whole;
use crate::store::{AgentRun, CallGroup, HIDDEN_AGENT, PendingCalls, UsageGroup};

use super::money::Spending;

/// Which name a run's usage goes under.
pub(super) struct AgentNames<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> AgentNames<'a> {
    pub(super) fn of(runs: &'a [AgentRun]) -> Self {
        Self(
            runs.iter().filter_map(|run| Some((run.agent_id.as_str(), run.agent_type.as_deref()?))).collect(),
        )
    }

    pub(super) fn of_run(&self, agent_id: Option<&str>) -> &'a str {
        agent_id.map_or(MAIN_AGENT, |id| self.0.get(id).copied().unwrap_or(UNTYPED_AGENT))
    }

    pub(super) fn of_call<'c>(&self, call: &'c CallGroup) -> &'c str
    where
        'a: 'c,
    {
        match (&call.agent_id, &call.agent_type) {
            (Some(_), Some(agent_type)) if agent_type != MAIN_AGENT => agent_type,
            (agent_id, _) => self.of_run(agent_id.as_deref()),
        }
    }
}

pub(super) fn actual(usage: &[UsageGroup], total: Usage, spending: &Spending) -> Option<Actual> {
    if usage.is_empty() && spending.hidden_usage() == Usage::default() {
        return None;
    }
    let responses: u64 = usage.iter().map(|group| group.responses).sum();
    Some(Actual {
        cost: spending.total.cost_parts(total),
        usage: total,
        total_tokens: total.total(),
        cost_usd: spending.total.cost(total),
        responses: responses + spending.hidden_responses(),
        cache_hit_rate: total.cache_hit_rate(),
        cache_savings_usd: spending.savings(),
        unpriced_models: spending.total.unpriced.iter().cloned().collect(),
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

pub(super) fn by_model(usage: &[UsageGroup], spending: &Spending) -> Vec<ModelUsage> {
    let mut models: BTreeMap<Option<&str>, (Usage, u64)> = BTreeMap::new();
    for group in usage {
        let entry = models.entry(group.model.as_deref()).or_default();
        entry.0 += group.usage;
        entry.1 += group.responses;
    }
    for (model, sum) in spending.models() {
        if sum.hidden != Usage::default() {
            let entry = models.entry(Some(model.as_str()).filter(|model| !model.is_empty())).or_default();
            entry.0 += sum.hidden;
            entry.1 += sum.responses;
        }
    }
    let mut rows: Vec<ModelUsage> = models
        .into_iter()
        .map(|(model, (usage, responses))| ModelUsage {
            model: model.map(str::to_owned),
            usage,
            total_tokens: usage.total(),
            cost_usd: spending.models().get(model.unwrap_or_default()).and_then(|sum| sum.cost(usage)),
            responses,
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.total_tokens));
    rows
}

/// Usage and runs by agent: `main` first, then by tokens, at last what no line shows. While the session is open, a run of which no response is
/// known is taken to use what the defaults table says.
pub(super) fn by_agent(
    usage: &[UsageGroup],
    runs: &[AgentRun],
    names: &AgentNames<'_>,
    turns: u64,
    is_open: bool,
    wanted: &dyn Fn(&str) -> bool,
    spending: &Spending,
) -> Vec<AgentUsage> {
    #[derive(Default)]
    struct Sum {
        usage: Usage,
        runs: BTreeSet<String>,
        seconds: Option<u64>,
        last: Option<Timestamp>,
        pending: u64,
    }
    let mut agents: BTreeMap<&str, Sum> = BTreeMap::new();
    for group in usage {
        let sum = agents.entry(names.of_run(group.agent_id.as_deref())).or_default();
        sum.usage += group.usage;
        sum.last = sum.last.max(group.last_at);
        sum.runs.extend(group.agent_id.clone());
    }
    for run in runs {
        let name = names.of_run(Some(&run.agent_id));
        let answered = usage.iter().any(|group| group.agent_id.as_deref() == Some(run.agent_id.as_str()));
        if !wanted(name) {
            continue;
        }
        let sum = agents.entry(name).or_default();
        sum.runs.insert(run.agent_id.clone());
        if let (Some(start), Some(end)) = (run.started_at, run.ended_at) {
            sum.seconds = Some(sum.seconds.unwrap_or(0) + end.since(start).as_secs());
        }
        sum.last = sum.last.max(run.ended_at).max(run.started_at);
        if !answered && is_open && run.ended_at.is_none() {
            sum.pending += run.default_billed_tokens.unwrap_or(0);
        }
    }
    let main = || usage.iter().filter(|group| group.agent_id.is_none());
    let main_span = main()
        .filter_map(|group| group.first_at)
        .min()
        .zip(main().filter_map(|group| group.last_at).max())
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
            cost_usd: cost(agent, sum.usage),
            is_partly_priced: spending.agent(agent).is_partly_priced(),
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
