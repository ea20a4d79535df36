//! Codex's payloads: Claude Code's names, with a turn's id, and a subagent's own rollout as the transcript.

use std::path::Path;

use super::paths;
use crate::clients::hook_fields::{self, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol};
use crate::domain::clean_name;
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_use_id", response: "tool_response" };

/// The protocol of Codex's hooks.
#[derive(Debug, Clone, Copy)]
pub(in crate::clients) struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, object: &Object<'a>, _env: &Env) -> Option<HookPayload<'a>> {
        let event = match object.text("hook_event_name")?.as_ref() {
            // No Stop comes after it.
            "Interrupt" => HookEvent::TurnEnd { has_crons: false },
            name => hook_fields::event(object, name, &TOOL_FIELDS)?,
        };
        let mut payload = hook_fields::payload(object, event);
        payload.prompt_id = object.text("turn_id").and_then(|id| clean_name(&id, 100));
        // In a subagent the transcript is its own, but at its end; and so it is in a review, which names no agent.
        let is_main = |path: &String| paths::thread_of(Path::new(path)) == payload.session;
        if !payload.transcript.as_ref().is_some_and(is_main) {
            let own = payload.transcript.take();
            payload.agent_transcript = payload.agent_transcript.or(own);
            payload.model = None;
        }
        if payload.agent.is_some() {
            payload.model = None;
        }
        Some(payload)
    }

    fn can_stop(&self, event: &HookEvent<'_>) -> bool {
        matches!(event, HookEvent::UserPromptSubmit { .. } | HookEvent::ToolAsked(_))
    }

    fn encode(&self, event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String> {
        hook_fields::answer(event, answer)
    }
}
