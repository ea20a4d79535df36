//! Gemini CLI's payloads: names of their own for the same events.

use crate::clients::hook_fields::{self, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol};
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named; it has no ID.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_use_id", response: "tool_response" };

/// The protocol of Gemini CLI's hooks.
#[derive(Debug, Clone, Copy)]
pub(in crate::clients) struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, object: &Object<'a>, _env: &Env) -> Option<HookPayload<'a>> {
        let name = object.text("hook_event_name")?;
        let event = match name.as_ref() {
            "BeforeAgent" => "UserPromptSubmit",
            "AfterAgent" => "Stop",
            "BeforeTool" => "PreToolUse",
            "AfterTool" => "PostToolUse",
            // `PreCompress` comes before every request, whether anything is compressed or not.
            name @ ("SessionStart" | "SessionEnd") => name,
            _ => return None,
        };
        Some(hook_fields::payload(object, hook_fields::event(object, event, &TOOL_FIELDS)?))
    }

    fn encode(&self, _event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String> {
        hook_fields::warning(answer)
    }
}
