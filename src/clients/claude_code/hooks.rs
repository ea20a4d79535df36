//! Claude Code's payloads, reduced to the events that the ledger keeps, and its words for what it is told.
//!
//! Nothing here is an error: an unknown event is `None`, an odd field is absent. Payloads of all eras work
//! (`docs/facts.md#payloads-by-age`): 2025 has no `tool_use_id` and says `Task`, 2026 adds ids one by one.

use std::path::Path;

use super::paths::session_of_path;
use super::tasks::task_change;
use crate::clients::hook_fields::{self, MAX_PATH_CHARS, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol};
use crate::domain::{AgentId, ModelId, SessionId, SessionKind, TaskChangeKind, ToolName, clean_name};
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_use_id", response: "tool_response" };

/// The protocol of Claude Code's hooks.
#[derive(Debug, Clone, Copy)]
pub struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, payload: &Object<'a>, env: &Env) -> Option<HookPayload<'a>> {
        let path = |name| hook_fields::path(payload, name);
        let event = hook_fields::event(payload, &payload.text("hook_event_name")?, &TOOL_FIELDS)?;
        let transcript = path("transcript_path");
        let session = payload
            .text("session_id")
            .and_then(|id| SessionId::new(&id))
            .or_else(|| session_of_path(Path::new(transcript.as_deref()?)))
            .or_else(|| SessionId::new(&env.var("CLAUDE_CODE_SESSION_ID")?));
        Some(HookPayload {
            session,
            transcript,
            cwd: path("cwd"),
            project: env.var("CLAUDE_PROJECT_DIR").and_then(|path| clean_name(&path, MAX_PATH_CHARS)),
            kind: env.var("CLAUDE_CODE_ENTRYPOINT").and_then(|name| SessionKind::from_entrypoint(&name)),
            prompt_id: payload.text("prompt_id").and_then(|id| clean_name(&id, 100)),
            agent: payload.text("agent_id").and_then(|id| AgentId::new(&id)),
            agent_type: hook_fields::name(payload, "agent_type"),
            agent_transcript: path("agent_transcript_path"),
            model: payload.text("model").and_then(|model| ModelId::new(&model)),
            event,
        })
    }

    fn sends_batches(&self) -> bool {
        true
    }

    fn can_stop(&self, event: &HookEvent<'_>) -> bool {
        // A turn has ended anyway; to answer there would make the model go on.
        matches!(
            event,
            HookEvent::UserPromptSubmit { .. } | HookEvent::ToolAsked(_) | HookEvent::ToolBatch(_)
        )
    }

    fn encode(&self, event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String> {
        hook_fields::answer(event, answer)
    }

    fn task_change(
        &self,
        tool: &ToolName,
        input: Option<&Object<'_>>,
        response: Option<&Object<'_>>,
    ) -> Option<TaskChangeKind> {
        task_change(tool, input, response)
    }
}
