//! Under which names agents stand in a session's report.

use std::collections::BTreeMap;

use super::UNTYPED_AGENT;
use crate::domain::MAIN_AGENT;
use crate::store::{AgentRun, CallGroup};

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
