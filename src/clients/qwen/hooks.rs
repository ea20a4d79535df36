//! Qwen Code's payloads: Claude Code's, but that an empty prompt comes before each request after a tool's result.

use crate::clients::hook_fields::{self, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol};
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_use_id", response: "tool_response" };

/// The protocol of Qwen Code's hooks.
#[derive(Debug, Clone, Copy)]
pub(in crate::clients) struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, object: &Object<'a>, _env: &Env) -> Option<HookPayload<'a>> {
        let event = hook_fields::event(object, &object.text("hook_event_name")?, &TOOL_FIELDS)?;
        if let HookEvent::UserPromptSubmit { prompt } = &event
            && prompt.as_ref().is_none_or(|prompt| prompt.is_empty())
        {
            return None;
        }
        let mut payload = hook_fields::payload(object, event);
        // The chat has no ids of prompts.
        payload.prompt_id = None;
        Some(payload)
    }

    fn encode(&self, _event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String> {
        hook_fields::warning(answer)
    }
}
