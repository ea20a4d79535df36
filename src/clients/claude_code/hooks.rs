//! Claude Code's payloads, reduced to the events that the ledger keeps, and its words for what it is told.
//!
//! Nothing here is an error: an unknown event is `None`, an odd field is absent. Payloads of all eras work
//! (`docs/facts.md#payloads-by-age`): 2025 has no `tool_use_id` and says `Task`, 2026 adds ids one by one.

use std::path::Path;

use serde_json::json;

use super::paths::session_of_path;
use super::tasks::task_change;
use crate::clients::{Answer, HookEvent, HookPayload, HookProtocol, ToolPayload};
use crate::domain::{
    AgentId, CompactionTrigger, MAX_NAME_CHARS, ModelId, SessionId, SessionKind, TaskChangeKind, ToolName,
    ToolUseId, clean_name,
};
use crate::env::Env;
use crate::json::Object;

/// Most calls of a batch that are looked at: many times what a response makes. Each has an event of its own, too.
const MAX_BATCH: usize = 1_000;
/// Longest path that is kept, in characters.
const MAX_PATH_CHARS: usize = 4_096;

/// The protocol of Claude Code's hooks.
#[derive(Debug, Clone, Copy)]
pub struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, payload: &Object<'a>, env: &Env) -> Option<HookPayload<'a>> {
        let path = |name: &str| payload.text(name).and_then(|path| clean_name(&path, MAX_PATH_CHARS));
        let name = |name: &str| payload.text(name).and_then(|name| clean_name(&name, MAX_NAME_CHARS));
        let event = match payload.text("hook_event_name")?.as_ref() {
            "SessionStart" => HookEvent::SessionStart,
            "UserPromptSubmit" => HookEvent::UserPromptSubmit { prompt: payload.text("prompt") },
            "PreToolUse" => HookEvent::ToolAsked(tool_call(payload, false)),
            "PostToolUse" => HookEvent::ToolFinished(tool_call(payload, false)),
            "PostToolUseFailure" => HookEvent::ToolFinished(tool_call(payload, true)),
            "PostToolBatch" => HookEvent::ToolBatch(
                payload
                    .array("tool_calls")
                    .into_iter()
                    .take(MAX_BATCH)
                    .filter_map(Object::from_raw)
                    .map(|call| tool_call(&call, false))
                    .collect(),
            ),
            "SubagentStart" => HookEvent::SubagentStart,
            "SubagentStop" => HookEvent::SubagentStop,
            name @ ("PreCompact" | "PostCompact") => HookEvent::Compaction {
                trigger: CompactionTrigger::from_name(&payload.text("trigger").unwrap_or_default()),
                begins: name == "PreCompact",
            },
            "Stop" | "StopFailure" => {
                HookEvent::TurnEnd { has_crons: !payload.array("session_crons").is_empty() }
            }
            "SessionEnd" => HookEvent::SessionEnd { reason: name("reason") },
            _ => return None,
        };
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
            agent_type: name("agent_type"),
            agent_transcript: path("agent_transcript_path"),
            model: payload.text("model").and_then(|model| ModelId::new(&model)),
            event,
        })
    }

    fn can_stop(&self, event: &HookEvent<'_>) -> bool {
        // A turn has ended anyway; to answer there would make the model go on.
        matches!(
            event,
            HookEvent::UserPromptSubmit { .. } | HookEvent::ToolAsked(_) | HookEvent::ToolBatch(_)
        )
    }

    fn encode(&self, event: &HookEvent<'_>, answer: &Answer) -> Option<String> {
        let json = match (answer, event) {
            (Answer::Nothing, _) => return None,
            (Answer::Warning(lines), _) => json!({ "systemMessage": lines }),
            (Answer::Stop(reason), HookEvent::UserPromptSubmit { .. }) => {
                json!({ "decision": "block", "reason": reason })
            }
            (Answer::Stop(reason), HookEvent::ToolAsked(_)) => json!({ "hookSpecificOutput": {
                "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": reason } }),
            (Answer::Stop(reason), _) => json!({ "continue": false, "stopReason": reason }),
        };
        Some(json.to_string())
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

fn tool_call<'a>(object: &Object<'a>, failed: bool) -> ToolPayload<'a> {
    ToolPayload {
        id: object.text("tool_use_id").and_then(|id| ToolUseId::new(&id)),
        tool: ToolName::new(&object.text("tool_name").unwrap_or_default()),
        input: object.raw("tool_input"),
        response: object.raw("tool_response"),
        error: if failed { object.raw("error") } else { None },
        failed,
        duration_ms: object.count("duration_ms"),
    }
}
