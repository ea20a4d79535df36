//! What a session spent, beside what its responses used.

use std::collections::{BTreeMap, BTreeSet};

use super::rollup::AgentNames;
use super::{Hidden, OutputShortfall};
use crate::domain::{CostParts, PicoUsd, Usage};
use crate::store::{HIDDEN_AGENT, Ledger, SessionRow, SessionUsage, StoreError};

/// So many models of a session are told apart, the first in the order of time; what it spent on others is in one row,
/// [`OTHER`]. No session has so many; a log that somebody has made up can name any number.
const MOST_MODELS: usize = if cfg!(test) { 3 } else { 16_384 };
/// The model of what was spent on none of the first [`MOST_MODELS`].
const OTHER: &str = "(other)";

/// What some rows cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    /// Of the rows that have a price; `None` if none has.
    pub(super) parts: Option<CostParts>,
    /// Whether some have none.
    is_partly_priced: bool,
    pub(super) hidden: Usage,
    pub(super) responses: u64,
}

impl Sum {
    fn add(&mut self, row: &SessionUsage<'_>) {
        match row.cost {
            Some(cost) => *self.parts.get_or_insert_default() += cost,
            // What used nothing cost nothing.
            None if row.usage == Usage::default() => {
                self.parts.get_or_insert_default();
            }
            None => self.is_partly_priced = true,
        }
        if row.agent_id == HIDDEN_AGENT {
            self.hidden += row.usage;
            self.responses += row.responses;
        }
    }

    /// The cost by class of what used `usage`: nothing if that is nothing, unknown if no row tells.
    pub(super) fn cost_parts(&self, usage: Usage) -> Option<CostParts> {
        match self.parts {
            None if !self.is_partly_priced && usage == Usage::default() => Some(CostParts::default()),
            parts => parts,
        }
    }

    /// The cost of all classes together of what used `usage`: nothing if that is nothing, unknown if no row tells.
    pub(super) fn cost(&self, usage: Usage) -> Option<PicoUsd> {
        self.cost_parts(usage).map(|parts| parts.total())
    }

    pub(super) fn is_partly_priced(&self) -> bool {
        self.is_partly_priced
    }
}

/// What a session spent, in all and by agent and model.
#[derive(Debug, Clone, Default)]
pub(super) struct Spending {
    pub(super) total: Sum,
    /// Models without a price.
    pub(super) unpriced: BTreeSet<String>,
    agents: BTreeMap<String, Sum>,
    models: BTreeMap<String, Sum>,
    hidden: Sum,
    savings: PicoUsd,
    shortfall: OutputShortfall,
    is_known: bool,
}

impl Spending {
    /// Of the session's rows whose agent is `wanted`.
    pub(super) fn of(
        ledger: &Ledger,
        session: SessionRow,
        names: &AgentNames<'_>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let mut shortfall_cost = None;
        ledger.for_each_session_usage(session, |row| {
            all.is_known = true;
            let agent = match row.agent_id {
                HIDDEN_AGENT => HIDDEN_AGENT,
                "" => names.of_run(None),
                run => names.of_run(Some(run)),
            };
            if !wanted(agent) {
                return;
            }
            all.total.add(row);
            if row.cost.is_none() && row.usage != Usage::default() {
                let model = if row.model.is_empty() { "(none)" } else { row.model };
                if !all.unpriced.contains(model) {
                    all.unpriced.insert(model.to_owned());
                }
            }
            sum_of(&mut all.agents, agent).add(row);
            let model = all.model_key(row.model);
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
    pub(super) fn agent(&self, name: &str) -> Sum {
        self.agents.get(name).cloned().unwrap_or_default()
    }

    /// The models, and what is known of each; the empty name is the unknown one.
    pub(super) fn models(&self) -> &BTreeMap<String, Sum> {
        &self.models
    }

    pub(super) fn savings(&self) -> Option<PicoUsd> {
        self.total.parts.map(|_| self.savings)
    }

    /// The hidden part, once anything is known.
    pub(super) fn hidden(&self) -> Option<Hidden> {
        let usage = self.hidden_usage();
        self.is_known.then(|| Hidden { usage, cost_usd: self.hidden.cost(usage) })
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
