//! Allocations of what was spent under the keys that attribution has: tools, skills, MCP servers, steps, actions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{KnownCost, PricedSum, Whole, add_known};
use crate::domain::{PicoUsd, ToolName, Usage};
use crate::store::{AllocationRow, HIDDEN_AGENT, Phase};

/// The key of what has none.
pub const NO_KEY: &str = "(none)";

/// What allocations are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationKey {
    /// Tools, and what is none in brackets.
    Tool,
    /// Skills.
    Skill,
    /// MCP servers.
    Mcp,
    /// Steps.
    Step,
    /// What set it off: an agent, a skill, the scheduler, or the user.
    Action,
    /// Extensions of files that tools have read or changed.
    FileType,
}

impl AllocationKey {
    /// The key of an allocation. `is_scheduled` tells whether the client's scheduler drove the session.
    #[must_use]
    pub fn key(self, row: &AllocationRow, is_scheduled: bool) -> Cow<'_, str> {
        fn or_none(name: &str, is_hidden: bool) -> &str {
            match name {
                "" if is_hidden => HIDDEN_AGENT,
                "" => NO_KEY,
                name => name,
            }
        }
        let is_hidden = row.agent_id == HIDDEN_AGENT;
        match self {
            Self::Tool => or_none(&row.tool, is_hidden).into(),
            Self::Skill => or_none(&row.skill, is_hidden).into(),
            Self::Mcp => {
                let tool = ToolName::new(&row.tool);
                or_none(tool.mcp_server().unwrap_or_default(), is_hidden).to_owned().into()
            }
            Self::Step => or_none(&row.step, is_hidden).into(),
            Self::FileType => or_none(&row.file_type, is_hidden).into(),
            Self::Action => {
                let name = if is_hidden {
                    HIDDEN_AGENT
                } else if !row.agent_id.is_empty() {
                    "agent"
                } else if !row.skill.is_empty() {
                    "skill"
                } else if is_scheduled {
                    "scheduled"
                } else {
                    "manual"
                };
                name.into()
            }
        }
    }
}

/// What some allocations come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllocationSum {
    /// Tool calls.
    pub calls: u64,
    /// What was used, all together.
    pub usage: Usage,
    /// When it came in.
    pub entry: Usage,
    /// When it was read again.
    pub carry: Usage,
    /// What all of it cost.
    pub cost: PricedSum,
    /// Of that, what coming in cost.
    pub entry_cost: PicoUsd,
    /// What being read again cost, of what all of it cost.
    pub carry_cost: PicoUsd,
}

impl AllocationSum {
    /// Adds an allocation.
    pub fn add(&mut self, row: &AllocationRow) {
        self.calls += row.calls;
        self.usage += row.usage;
        self.cost.add_part(row.cost);
        let cost = row.cost.unwrap_or_default().total();
        match row.phase {
            Phase::Entry => {
                self.entry += row.usage;
                self.entry_cost += cost;
            }
            Phase::Carry => {
                self.carry += row.usage;
                self.carry_cost += cost;
            }
            Phase::Unplaced => {}
        }
    }

    /// What its parts are of.
    #[must_use]
    pub fn whole(&self) -> Whole {
        Whole { cost: self.known().or_zero(), tokens: self.usage.total() }
    }

    /// The cost of a part; `None` if nothing of the whole has a price.
    #[must_use]
    pub fn known_part(&self, part: PicoUsd) -> Option<PicoUsd> {
        self.cost.priced().map(|_| part)
    }

    /// What all of it cost. Of no allocation at all nothing is known.
    #[must_use]
    pub fn known(&self) -> KnownCost {
        let amount = self.cost.priced().map(|cost| cost.total());
        KnownCost { amount, is_partial: self.cost.is_partial() }
    }
}

/// What an [`AllocationSum`] comes to, as reports tell it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AllocationFigures {
    /// What was used.
    pub usage: Usage,
    /// All classes.
    pub total_tokens: u64,
    /// Tokens of all classes that came into the contexts and were written there.
    pub entry_tokens: u64,
    /// Tokens of all classes that were read again by later responses.
    pub carry_tokens: u64,
    /// What the entry tokens cost; null if nothing has a price.
    pub entry_cost_usd: Option<PicoUsd>,
    /// What the carry tokens cost; null if nothing has a price.
    pub carry_cost_usd: Option<PicoUsd>,
    /// What has a price.
    pub cost_usd: KnownCost,
}

impl From<&AllocationSum> for AllocationFigures {
    fn from(sum: &AllocationSum) -> Self {
        Self {
            usage: sum.usage,
            total_tokens: sum.usage.total(),
            entry_tokens: sum.entry.total(),
            carry_tokens: sum.carry.total(),
            entry_cost_usd: sum.known_part(sum.entry_cost),
            carry_cost_usd: sum.known_part(sum.carry_cost),
            cost_usd: sum.known(),
        }
    }
}

impl AllocationFigures {
    /// These as a whole that others are parts of.
    #[must_use]
    pub fn whole(&self) -> Whole {
        Whole { cost: self.cost_usd.or_zero(), tokens: self.total_tokens }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.usage += other.usage;
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
        self.entry_tokens = self.entry_tokens.saturating_add(other.entry_tokens);
        self.carry_tokens = self.carry_tokens.saturating_add(other.carry_tokens);
        add_known(&mut self.entry_cost_usd, other.entry_cost_usd);
        add_known(&mut self.carry_cost_usd, other.carry_cost_usd);
        self.cost_usd.add(other.cost_usd);
    }
}

/// Adds an allocation under a key, of which most are there already.
pub(super) fn add_to(sums: &mut BTreeMap<String, AllocationSum>, key: &str, row: &AllocationRow) {
    match sums.get_mut(key) {
        Some(sum) => sum.add(row),
        None => sums.entry(key.to_owned()).or_default().add(row),
    }
}
