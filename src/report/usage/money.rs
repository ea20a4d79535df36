//! What a session spent, beside what its responses used.

use std::collections::BTreeMap;

use super::agent_names::AgentNames;
use super::{HiddenUsage, OutputShortfall};
use crate::domain::{CostParts, PicoUsd, Usage};
use crate::report::{CostSum, KnownCost, PricedSum};
use crate::store::{HIDDEN_AGENT, Ledger, SessionRow, SessionUsage, StoreError};

/// So many models of a session are told apart, the first in the order of time; what it spent on others is in one row,
/// [`OTHER`]. No session has so many; a log that somebody has made up can name any number.
const MOST_MODELS: usize = if cfg!(test) { 3 } else { 4_096 };
/// The model of what was spent on none of the first [`MOST_MODELS`].
const OTHER: &str = "(other)";

/// What some rows cost, and which part of them no line of a transcript shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SpendingSum {
    sum: PricedSum,
    pub(super) hidden: Usage,
    pub(super) responses: u64,
}

impl SpendingSum {
    fn add(&mut self, row: &SessionUsage<'_>) {
        self.sum.add_usage(&row.usage, row.cost);
        if row.agent_id == HIDDEN_AGENT {
            self.hidden += row.usage;
            self.responses += row.responses;
        }
    }

    /// The cost by class of what used `usage`: nothing if that is nothing, unknown if no row tells.
    pub(super) fn cost_parts(&self, usage: Usage) -> Option<CostParts> {
        self.sum.parts_of(&usage)
    }

    /// The cost of all classes together of what used `usage`: nothing if that is nothing, unknown if no row tells.
    pub(super) fn cost(&self, usage: Usage) -> Option<PicoUsd> {
        self.cost_parts(usage).map(|parts| parts.total())
    }

    /// The cost of what used `usage`, and whether there is more without a price.
    pub(super) fn known(&self, usage: Usage) -> KnownCost {
        KnownCost { amount: self.cost(usage), is_partial: self.sum.is_partial() }
    }
}

/// What a session spent, in all and by agent and model.
#[derive(Debug, Clone, Default)]
pub(super) struct Spending {
    total: CostSum,
    agents: BTreeMap<String, SpendingSum>,
    models: BTreeMap<String, SpendingSum>,
    hidden: SpendingSum,
    savings: PicoUsd,
    shortfall: OutputShortfall,
    is_known: bool,
}

impl Spending {
    /// Adds up the session's rows whose agent is `wanted`.
    pub(super) fn of(
        ledger: &Ledger,
        session: SessionRow,
        names: &AgentNames<'_>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let mut shortfall_cost = None;
        ledger.usage().for_each_session_usage(session, |row| {
            all.is_known = true;
            let agent = match row.agent_id {
                HIDDEN_AGENT => HIDDEN_AGENT,
                "" => names.of_run(None),
                run => names.of_run(Some(run)),
            };
            if !wanted(agent) {
                return;
            }
            let model = all.model_key(row.model);
            all.total.add_usage(model, &row.usage, row.cost);
            sum_of(&mut all.agents, agent).add(row);
            sum_of(&mut all.models, model).add(row);
            if agent == HIDDEN_AGENT {
                all.hidden.add(row);
            }
            all.savings += row.savings;
            all.shortfall.tokens += row.shortfall.tokens;
            all.shortfall.responses += row.shortfall.responses;
            if row.cost.is_some() {
                *shortfall_cost.get_or_insert(PicoUsd::ZERO) += row.shortfall.cost;
            }
        })?;
        let is_none = all.shortfall.tokens == 0;
        all.shortfall.cost_usd = shortfall_cost.or(is_none.then_some(PicoUsd::ZERO));
        Ok(all)
    }

    /// The name under which a model's sums stand.
    pub(super) fn model_key<'m>(&self, model: &'m str) -> &'m str {
        if self.models.len() < MOST_MODELS || self.models.contains_key(model) { model } else { OTHER }
    }

    pub(super) fn hidden_usage(&self) -> Usage {
        self.hidden.hidden
    }

    pub(super) fn hidden_responses(&self) -> u64 {
        self.hidden.responses
    }

    /// What is known of an agent.
    pub(super) fn agent(&self, name: &str) -> SpendingSum {
        self.agents.get(name).cloned().unwrap_or_default()
    }

    /// The models, and what is known of each; the empty name is the unknown one.
    pub(super) fn models(&self) -> &BTreeMap<String, SpendingSum> {
        &self.models
    }

    /// The cost by class of all that is wanted, which used `usage`: nothing if that is nothing, unknown if no row tells.
    pub(super) fn cost_parts(&self, usage: Usage) -> Option<CostParts> {
        self.total.priced_sum().parts_of(&usage)
    }

    /// The cost of all classes together of all that is wanted, which used `usage`.
    pub(super) fn cost(&self, usage: Usage) -> Option<PicoUsd> {
        self.cost_parts(usage).map(|parts| parts.total())
    }

    /// The models without a price, by name.
    pub(super) fn unpriced_models(&self) -> Vec<String> {
        self.total.unpriced_models()
    }

    pub(super) fn savings(&self) -> Option<PicoUsd> {
        self.total.priced().map(|_| self.savings)
    }

    /// The hidden part, once anything is known.
    pub(super) fn hidden(&self) -> Option<HiddenUsage> {
        let usage = self.hidden_usage();
        self.is_known.then(|| HiddenUsage { usage, cost_usd: self.hidden.cost(usage) })
    }

    /// What incomplete lines leave out, once anything is known.
    pub(super) fn shortfall(&self) -> Option<OutputShortfall> {
        self.is_known.then(|| self.shortfall.clone())
    }
}

/// The sum under a key, made if need be.
pub(super) fn sum_of<'s, T: Default>(sums: &'s mut BTreeMap<String, T>, key: &str) -> &'s mut T {
    sums.entry(key.to_owned()).or_default()
}

/// A sum for each of so many, to the nearest pico-dollar; `None` for none.
pub(super) fn share(sum: PicoUsd, count: u64) -> Option<PicoUsd> {
    let count = i128::from(count);
    (count > 0).then(|| PicoUsd::from_pico(sum.as_pico().saturating_add(count / 2).div_euclid(count)))
}
