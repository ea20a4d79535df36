//! `PostToolUse`, `PostToolUseFailure`, `PostToolBatch`: estimate the calls, record them.

use std::hash::Hasher as _;

use serde_json::value::RawValue;
use siphasher::sip::SipHasher13;

use super::Hook;
use super::event::ToolPayload;
use crate::domain::{
    ActionType, AgentId, Estimate, MAX_NAME_CHARS, ModelId, ToolCall, ToolName, ToolOutcome, clean_name,
};
use crate::error::Error;
use crate::estimate::counter::Encoding;
use crate::estimate::subagents::defaults_for;
use crate::estimate::{self, CallView};
use crate::json::Object;
use crate::store::{AgentSighting, Ledger};

/// A tool has run, or has failed.
pub(super) fn finished(hook: &Hook<'_>, ledger: &mut Ledger, tool: &ToolPayload<'_>) -> Result<(), Error> {
    let known = Known::of(hook, ledger)?;
    let view = tool.view(hook.payload, known.version.as_deref());
    let outcome = if tool.failed { ToolOutcome::Failed } else { ToolOutcome::Ok };
    let returned = estimate::returned(known.encoding, &view, |agent_type| {
        defaults_for(agent_type, &hook.config().subagents).returned
    });
    let call = known.call(hook, tool, &view, outcome, returned);
    let run = started_run(hook, tool);
    Ok(ledger.record_tool_call(&hook.sighting, &call, run.as_ref())?)
}

/// All calls of one response are done; the batch has what the model reads of each.
pub(super) fn batch(hook: &Hook<'_>, ledger: &mut Ledger, tools: &[ToolPayload<'_>]) -> Result<(), Error> {
    let known = Known::of(hook, ledger)?;
    let calls: Vec<ToolCall> = tools
        .iter()
        // Without an id it cannot be told which call it is.
        .filter(|tool| tool.id.is_some())
        .filter_map(|tool| {
            let returned = estimate::delivered(known.encoding, tool.response?);
            Some(known.call(
                hook,
                tool,
                &tool.view(hook.payload, known.version.as_deref()),
                ToolOutcome::Unreported,
                returned,
            ))
        })
        .collect();
    Ok(ledger.refine_tool_calls(&hook.sighting, &calls)?)
}

/// What the ledger knows before the call.
struct Known {
    encoding: Encoding,
    model: Option<ModelId>,
    version: Option<String>,
    hash_key: [u8; 16],
}

impl Known {
    fn of(hook: &Hook<'_>, ledger: &Ledger) -> Result<Self, Error> {
        let (model, version) = ledger.session_client(&hook.payload.session)?;
        let encoding = Encoding::of(hook.options.client, model.as_ref());
        Ok(Self { encoding, model, version, hash_key: ledger.hash_key()? })
    }

    fn call(
        &self,
        hook: &Hook<'_>,
        tool: &ToolPayload<'_>,
        view: &CallView<'_>,
        outcome: ToolOutcome,
        returned: Estimate,
    ) -> ToolCall {
        let generated = estimate::generated(self.encoding, view);
        let (action, action_name) = action(hook, tool);
        let bytes = |raw: Option<&RawValue>| raw.map_or(0, |raw| raw.get().len() as u64);
        ToolCall {
            id: tool.id.clone(),
            tool: tool.tool.clone(),
            agent: hook.payload.agent.clone(),
            agent_type: hook.payload.agent_type.clone(),
            at: hook.sighting.at,
            duration_ms: tool.duration_ms,
            outcome,
            generated,
            returned,
            input_bytes: bytes(tool.input),
            response_bytes: bytes(tool.response.or(tool.error)),
            input_hash: tool.input.map(|input| keyed_hash(&self.hash_key, &tool.tool, input)),
            action,
            action_name,
            // A subagent can have a model of its own; it is known from its transcript.
            model: if hook.payload.agent.is_none() { self.model.clone() } else { None },
            lines: estimate::lines(view),
            hook_us: hook.env.elapsed_micros(),
        }
    }
}

fn keyed_hash(key: &[u8; 16], tool: &ToolName, input: &RawValue) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(tool.as_str().as_bytes());
    hasher.write_u8(0);
    hasher.write(input.get().as_bytes());
    hasher.finish()
}

/// What the call was made for: the subagent or the skill that it starts, else the subagent that makes it.
fn action(hook: &Hook<'_>, tool: &ToolPayload<'_>) -> (ActionType, Option<String>) {
    let input = |name: &str| {
        tool.input.and_then(Object::from_raw)?.text(name).and_then(|name| clean_name(&name, MAX_NAME_CHARS))
    };
    if tool.tool.is_subagent() {
        (ActionType::Agent, input("subagent_type"))
    } else if tool.tool.as_str() == "Skill" {
        // Clients of 2025 put the skill's name and its arguments in one text; only the name is kept.
        let name = input("skill").or_else(|| input("command"));
        (ActionType::Skill, name.and_then(|name| name.split_whitespace().next().map(str::to_owned)))
    } else if hook.payload.agent.is_some() {
        (ActionType::Agent, hook.payload.agent_type.clone())
    } else {
        (ActionType::Manual, None)
    }
}

/// The subagent run that a call of `Agent` or `Task` has started, where its response names it.
fn started_run(hook: &Hook<'_>, tool: &ToolPayload<'_>) -> Option<AgentSighting> {
    if !tool.tool.is_subagent() {
        return None;
    }
    let response = Object::from_raw(tool.response?)?;
    let id = AgentId::new(&response.text("agentId")?)?;
    let input = tool.input.and_then(Object::from_raw).unwrap_or_default();
    let agent_type = response
        .text("agentType")
        .or_else(|| input.text("subagent_type"))
        .and_then(|name| clean_name(&name, MAX_NAME_CHARS));
    let done = response.text("status").as_deref() == Some("completed");
    Some(AgentSighting {
        id,
        defaults: defaults_for(agent_type.as_deref(), &hook.config().subagents),
        agent_type,
        tool_use_id: tool.id.as_ref().map(|id| id.as_str().to_owned()),
        started_at: None,
        ended_at: done.then_some(hook.sighting.at),
        logged: None,
    })
}
