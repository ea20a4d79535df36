//! Payloads as clients send them, reduced to the events that the ledger keeps.
//!
//! Nothing here is an error: an unknown event is `None`, an odd field is absent. Payloads of all eras work
//! (`docs/facts.md#payloads-by-age`): 2025 has no `tool_use_id` and says `Task`, 2026 adds ids one by one.

use super::intake::LeftOut;
use super::lifting;
use crate::clients::claude_code::session_of_path;
use crate::domain::{
    AgentId, Client, CompactionTrigger, MAX_NAME_CHARS, ModelId, SessionId, SessionKind, Tool, ToolName,
    ToolUseId, clean_name, client_version, project_folder,
};
use crate::env::Env;
use crate::estimate::{CallView, Era};
use crate::json::{Object, Raw};
use crate::store::SessionObservation;

/// Under this id goes what names no session at all.
const NO_SESSION: &str = "unknown";
/// Most calls of a batch that are looked at: many times what a response makes. Each has an event of its own, too.
const MAX_BATCH: usize = 1_000;
/// Longest path that is kept, in characters.
const MAX_PATH_CHARS: usize = 4_096;

/// One payload.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) session: SessionId,
    pub(super) transcript: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) prompt_id: Option<String>,
    pub(super) agent: Option<AgentId>,
    pub(super) agent_type: Option<String>,
    pub(super) agent_transcript: Option<String>,
    pub(super) model: Option<ModelId>,
    pub(super) event: HookEvent<'a>,
}

/// What has happened.
#[derive(Debug)]
pub(super) enum HookEvent<'a> {
    SessionStart,
    /// `is_budget`: the prompt is a call of `tallyhook budget`, or asks for one by its words.
    UserPromptSubmit {
        is_budget: bool,
    },
    /// A tool is about to run.
    ToolAsked(ToolPayload<'a>),
    ToolFinished(ToolPayload<'a>),
    ToolBatch(Vec<ToolPayload<'a>>),
    SubagentStart,
    SubagentStop,
    Compaction {
        trigger: CompactionTrigger,
        begins: bool,
    },
    TurnEnd {
        has_crons: bool,
    },
    SessionEnd {
        reason: Option<String>,
    },
}

impl HookEvent<'_> {
    /// Whether it is recorded without a look into a transcript.
    pub(super) fn is_brief(&self) -> bool {
        match self {
            Self::ToolAsked(tool) => !tool.starts_agents(),
            Self::ToolFinished(_) | Self::Compaction { .. } => true,
            _ => false,
        }
    }
}

/// A tool call in a payload.
#[derive(Debug)]
pub(super) struct ToolPayload<'a> {
    pub(super) id: Option<ToolUseId>,
    pub(super) tool: ToolName,
    pub(super) input: Option<Raw<'a>>,
    pub(super) response: Option<Raw<'a>>,
    pub(super) error: Option<Raw<'a>>,
    pub(super) failed: bool,
    pub(super) duration_ms: Option<u64>,
    /// Bytes of its input and response that were passed over when the payload was read.
    pub(super) left_out: LeftOut,
}

impl<'a> Payload<'a> {
    /// Reduces a payload; `None` for events that are not kept and for JSON that is no event.
    /// `left_out` is what was passed over when it was read.
    pub(super) fn read(object: &Object<'a>, env: &Env, left_out: LeftOut) -> Option<Self> {
        let path = |name: &str| object.text(name).and_then(|path| clean_name(&path, MAX_PATH_CHARS));
        let name = |name: &str| object.text(name).and_then(|name| clean_name(&name, MAX_NAME_CHARS));
        let event = match object.text("hook_event_name")?.as_ref() {
            "SessionStart" => HookEvent::SessionStart,
            "UserPromptSubmit" => HookEvent::UserPromptSubmit {
                is_budget: object.text("prompt").is_some_and(|prompt| lifting::is_prompt(&prompt)),
            },
            "PreToolUse" => HookEvent::ToolAsked(ToolPayload::read(object, false, LeftOut::default())),
            "PostToolUse" => HookEvent::ToolFinished(ToolPayload::read(object, false, left_out)),
            "PostToolUseFailure" => HookEvent::ToolFinished(ToolPayload::read(object, true, left_out)),
            "PostToolBatch" => HookEvent::ToolBatch(
                object
                    .array("tool_calls")
                    .into_iter()
                    .take(MAX_BATCH)
                    .filter_map(Object::from_raw)
                    .map(|call| ToolPayload::read(&call, false, LeftOut::default()))
                    .collect(),
            ),
            "SubagentStart" => HookEvent::SubagentStart,
            "SubagentStop" => HookEvent::SubagentStop,
            name @ ("PreCompact" | "PostCompact") => HookEvent::Compaction {
                trigger: CompactionTrigger::from_name(&object.text("trigger").unwrap_or_default()),
                begins: name == "PreCompact",
            },
            "Stop" | "StopFailure" => {
                HookEvent::TurnEnd { has_crons: !object.array("session_crons").is_empty() }
            }
            "SessionEnd" => HookEvent::SessionEnd { reason: name("reason") },
            _ => return None,
        };
        let transcript = path("transcript_path");
        let session = object
            .text("session_id")
            .and_then(|id| SessionId::new(&id))
            .or_else(|| session_of_path(std::path::Path::new(transcript.as_deref()?)))
            .or_else(|| SessionId::new(&env.var("CLAUDE_CODE_SESSION_ID")?))
            .or_else(|| SessionId::new(NO_SESSION))?;
        Some(Self {
            session,
            transcript,
            cwd: path("cwd"),
            prompt_id: object.text("prompt_id").and_then(|id| clean_name(&id, 100)),
            agent: object.text("agent_id").and_then(|id| AgentId::new(&id)),
            agent_type: name("agent_type"),
            agent_transcript: path("agent_transcript_path"),
            model: object.text("model").and_then(|model| ModelId::new(&model)),
            event,
        })
    }

    /// What the event says of its session.
    pub(super) fn observation(&self, env: &Env, client: Client) -> SessionObservation {
        let named = env.var("CLAUDE_PROJECT_DIR").and_then(|path| clean_name(&path, MAX_PATH_CHARS));
        SessionObservation {
            id: self.session.clone(),
            client,
            at: env.now(),
            project: match named {
                Some(project) => Some((project_folder(project), true)),
                None => self.cwd.clone().map(|cwd| (project_folder(cwd), false)),
            },
            transcript: self.transcript.clone(),
            kind: env.var("CLAUDE_CODE_ENTRYPOINT").and_then(|name| SessionKind::from_entrypoint(&name)),
            model: self.model.clone(),
        }
    }
}

impl<'a> ToolPayload<'a> {
    fn read(object: &Object<'a>, failed: bool, left_out: LeftOut) -> Self {
        Self {
            id: object.text("tool_use_id").and_then(|id| ToolUseId::new(&id)),
            tool: ToolName::new(&object.text("tool_name").unwrap_or_default()),
            input: object.raw("tool_input"),
            response: object.raw("tool_response"),
            error: if failed { object.raw("error") } else { None },
            failed,
            duration_ms: object.count("duration_ms"),
            left_out,
        }
    }

    /// Whether agents start by it, or go on, whose requests come before any event that could stop them. What their caller
    /// has spent is read before, where a budget stops.
    pub(super) fn starts_agents(&self) -> bool {
        Tool::named(self.tool.as_str()).is_some_and(|tool| tool.starts_agents)
    }

    /// The call as the estimator sees it; `version` is the client's, where it is known.
    pub(super) fn view<'v>(&'v self, payload: &'v Payload<'_>, version: Option<&str>) -> CallView<'v>
    where
        'a: 'v,
    {
        CallView {
            tool: &self.tool,
            input: self.input,
            response: self.response,
            error: self.error,
            cwd: payload.cwd.as_deref(),
            version: version.map(client_version),
            era: match (&self.id, &payload.prompt_id) {
                (None, _) => Era::Early,
                (Some(_), None) => Era::Middle,
                (Some(_), Some(_)) => Era::Current,
            },
        }
    }
}
