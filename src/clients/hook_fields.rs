//! What several clients write alike in the payloads of their hooks: many have copied Claude Code's.

use serde_json::json;

use super::{HookAnswer, HookEvent, HookPayload, ToolPayload};
use crate::domain::{
    AgentId, CompactionTrigger, MAX_NAME_CHARS, ModelId, SessionId, ToolName, ToolUseId, clean_name,
};
use crate::json::Object;

/// Most calls of a batch that are looked at: many times what a response makes. Each has an event of its own, too.
const MAX_BATCH: usize = 1_000;
/// Longest path that is kept, in characters.
pub(super) const MAX_PATH_CHARS: usize = 4_096;

/// How a client names the members of a tool call.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToolFields {
    /// Its ID.
    pub(super) id: &'static str,
    /// What came of it.
    pub(super) response: &'static str,
}

/// The event of a payload by Claude Code's name for it; `None` for one that is not kept.
pub(super) fn event<'a>(payload: &Object<'a>, event: &str, fields: &ToolFields) -> Option<HookEvent<'a>> {
    let call = |failed| tool_call(payload, fields, failed);
    Some(match event {
        "SessionStart" => HookEvent::SessionStart,
        "UserPromptSubmit" => HookEvent::UserPromptSubmit { prompt: payload.text("prompt") },
        "PreToolUse" => HookEvent::ToolAsked(call(false)),
        "PostToolUse" => HookEvent::ToolFinished(call(false)),
        "PostToolUseFailure" => HookEvent::ToolFinished(call(true)),
        "PostToolBatch" => HookEvent::ToolBatch(
            payload
                .array("tool_calls")
                .into_iter()
                .take(MAX_BATCH)
                .filter_map(Object::from_raw)
                .map(|call| tool_call(&call, fields, false))
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
        "SessionEnd" => HookEvent::SessionEnd { reason: name(payload, "reason") },
        _ => return None,
    })
}

fn tool_call<'a>(object: &Object<'a>, fields: &ToolFields, failed: bool) -> ToolPayload<'a> {
    ToolPayload {
        id: object.text(fields.id).and_then(|id| ToolUseId::new(&id)),
        tool: ToolName::new(&object.text("tool_name").unwrap_or_default()),
        input: object.raw("tool_input"),
        response: object.raw(fields.response),
        error: if failed { object.raw("error") } else { None },
        failed,
        duration_ms: object.count("duration_ms"),
    }
}

/// What most clients say with every event, named as Claude Code names it. Nothing is taken from the environment: what
/// Claude Code leaves there is not theirs.
pub(super) fn payload<'a>(object: &Object<'a>, event: HookEvent<'a>) -> HookPayload<'a> {
    HookPayload {
        session: object.text("session_id").and_then(|id| SessionId::new(&id)),
        transcript: path(object, "transcript_path"),
        cwd: path(object, "cwd"),
        project: None,
        kind: None,
        prompt_id: object.text("prompt_id").and_then(|id| clean_name(&id, 100)),
        agent: object.text("agent_id").and_then(|id| AgentId::new(&id)),
        agent_type: name(object, "agent_type"),
        agent_transcript: path(object, "agent_transcript_path"),
        model: object.text("model").and_then(|model| ModelId::new(&model)),
        event,
    }
}

/// A path as it is kept.
pub(super) fn path(object: &Object<'_>, name: &str) -> Option<String> {
    clean_name(&object.text(name)?, MAX_PATH_CHARS)
}

/// A name as it is kept.
pub(super) fn name(object: &Object<'_>, name: &str) -> Option<String> {
    clean_name(&object.text(name)?, MAX_NAME_CHARS)
}

/// An answer in Claude Code's words.
pub(super) fn answer(event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String> {
    let json = match (answer, event) {
        (HookAnswer::Nothing, _) => return None,
        (HookAnswer::Warning(lines), _) => json!({ "systemMessage": lines }),
        (HookAnswer::Stop(reason), HookEvent::UserPromptSubmit { .. }) => {
            json!({ "decision": "block", "reason": reason })
        }
        (HookAnswer::Stop(reason), HookEvent::ToolAsked(_)) => json!({ "hookSpecificOutput": {
            "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": reason } }),
        (HookAnswer::Stop(reason), _) => json!({ "continue": false, "stopReason": reason }),
    };
    Some(json.to_string())
}

/// A warning in Claude Code's words, of a client that can't be stopped.
pub(super) fn warning(answer: &HookAnswer) -> Option<String> {
    match answer {
        HookAnswer::Warning(lines) => Some(json!({ "systemMessage": lines }).to_string()),
        HookAnswer::Nothing | HookAnswer::Stop(_) => None,
    }
}
