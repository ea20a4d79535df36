//! The Copilot CLI's payloads, in its own words and in Claude Code's: it runs the hooks of a project's `.claude/settings.json`, too.

use std::path::Path;

use super::Events;
use crate::clients::hook_fields::{self, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol, LogReader as _, ToolPayload};
use crate::domain::{AgentId, CompactionTrigger, SessionId, ToolName};
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named in Claude Code's words; it has no ID.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_use_id", response: "tool_result" };

/// The protocol of the Copilot CLI's hooks.
#[derive(Debug, Clone, Copy)]
pub(in crate::clients) struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, object: &Object<'a>, env: &Env) -> Option<HookPayload<'a>> {
        let mut payload = match object.text("hook_event_name") {
            Some(name) => hook_fields::payload(object, hook_fields::event(object, &name, &TOOL_FIELDS)?),
            None => own_payload(object)?,
        };
        if payload.transcript.is_none() {
            payload.transcript = payload.session.as_ref().and_then(|session| log_of(session, env));
        }
        Some(payload)
    }

    fn encode(&self, _event: &HookEvent<'_>, _answer: &HookAnswer) -> Option<String> {
        None
    }
}

/// A payload in the client's own words, which do not name the event: each has members that no other has.
fn own_payload<'a>(object: &Object<'a>) -> Option<HookPayload<'a>> {
    let has = |name: &str| object.raw(name).is_some();
    let event = if has("toolName") {
        let call = ToolPayload {
            id: None,
            tool: ToolName::new(&object.text("toolName")?),
            input: object.raw("toolArgs"),
            response: object.raw("toolResult"),
            error: object.raw("error"),
            failed: has("error"),
            duration_ms: None,
        };
        let is_over = has("toolResult") || has("error");
        if is_over { HookEvent::ToolFinished(call) } else { HookEvent::ToolAsked(call) }
    } else if has("agentId") {
        if has("stopReason") { HookEvent::SubagentStop } else { HookEvent::SubagentStart }
    } else if has("stopReason") {
        HookEvent::TurnEnd { has_crons: false }
    } else if has("trigger") {
        let trigger = CompactionTrigger::from_name(&object.text("trigger").unwrap_or_default());
        HookEvent::Compaction { trigger, begins: true }
    } else if has("source") {
        HookEvent::SessionStart
    } else if has("prompt") {
        HookEvent::UserPromptSubmit { prompt: object.text("prompt") }
    } else if has("reason") {
        HookEvent::SessionEnd { reason: hook_fields::name(object, "reason") }
    } else {
        return None;
    };
    let mut payload = hook_fields::payload(object, event);
    payload.session = object.text("sessionId").and_then(|id| SessionId::new(&id));
    payload.transcript = hook_fields::path(object, "transcriptPath");
    payload.agent = object.text("agentId").and_then(|id| AgentId::new(&id));
    payload.agent_type = hook_fields::name(object, "agentType");
    Some(payload)
}

/// The log of a session, which most payloads do not name.
fn log_of(session: &SessionId, env: &Env) -> Option<String> {
    // An id from a payload may say anything; as a name of a folder it stands for itself or not at all.
    if session.as_str().contains(['/', '\\']) || session.as_str().starts_with('.') {
        return None;
    }
    let sessions = Events.folders(env).into_iter().next()?;
    let path = sessions.join(Path::new(session.as_str())).join("events.jsonl");
    Some(path.to_str()?.to_owned())
}
