//! What clients send to their hooks and can be told, with nothing of how each of them writes it.

use std::borrow::Cow;

use crate::domain::{
    AgentId, CompactionTrigger, ModelId, SessionId, SessionKind, TaskChangeKind, Tool, ToolName, ToolUseId,
};
use crate::env::Env;
use crate::json::{Object, Raw};

/// Decodes the payloads of one client's hooks, and encodes what the client is to be told.
///
/// It is in the path of every tool call, so decoding looks at names and leaves values alone.
pub trait HookProtocol: Sync {
    /// The event that a payload is about; `None` for events that are not kept and for JSON that is no event. Odd members are
    /// taken to be absent.
    fn decode<'a>(&self, payload: &Object<'a>, env: &Env) -> Option<HookPayload<'a>>;

    /// Whether the client can be kept from going on after this event.
    fn can_stop(&self, _event: &HookEvent<'_>) -> bool {
        false
    }

    /// Whether the client tells of all calls of an answer together, once they are done. Where it does not, a budget that stops
    /// is asked before each of them.
    fn sends_batches(&self) -> bool {
        false
    }

    /// What goes to stdout; `None` if there is nothing to say.
    fn encode(&self, event: &HookEvent<'_>, answer: &HookAnswer) -> Option<String>;

    /// What a call does to the agent's list of tasks; `None` of other calls.
    fn task_change(
        &self,
        _tool: &ToolName,
        _input: Option<&Object<'_>>,
        _response: Option<&Object<'_>>,
    ) -> Option<TaskChangeKind> {
        None
    }
}

/// What the client is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAnswer {
    /// Mostly.
    Nothing,
    /// Lines for the user.
    Warning(String),
    /// The session is not to go on, and why.
    Stop(String),
}

impl HookAnswer {
    /// This answer with more lines for the user; a stop takes none.
    #[must_use]
    pub fn with(self, lines: &[String]) -> Self {
        match self {
            _ if lines.is_empty() => self,
            Self::Nothing => Self::Warning(lines.join("\n")),
            Self::Warning(own) => Self::Warning(format!("{own}\n{}", lines.join("\n"))),
            Self::Stop(_) => self,
        }
    }
}

/// One payload.
#[derive(Debug)]
pub struct HookPayload<'a> {
    /// The session; `None` if nothing names one.
    pub session: Option<SessionId>,
    /// Its main log.
    pub transcript: Option<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The folder that the client was started in, where it tells that apart from [`Self::cwd`].
    pub project: Option<String>,
    /// Who drives the session, where the environment tells.
    pub kind: Option<SessionKind>,
    /// The client's ID of the prompt that is being answered.
    pub prompt_id: Option<String>,
    /// The subagent that sends the event; `None` for the main conversation.
    pub agent: Option<AgentId>,
    /// Its type.
    pub agent_type: Option<String>,
    /// Its log, where the event is about it.
    pub agent_transcript: Option<String>,
    /// The model, where the payload names it.
    pub model: Option<ModelId>,
    /// What has happened.
    pub event: HookEvent<'a>,
}

/// What has happened.
#[derive(Debug)]
pub enum HookEvent<'a> {
    /// A session has started or goes on.
    SessionStart,
    /// The user has sent a prompt, which no request has followed yet.
    UserPromptSubmit {
        /// Its text.
        prompt: Option<Cow<'a, str>>,
    },
    /// A tool is about to run.
    ToolAsked(ToolPayload<'a>),
    /// A tool has run or failed.
    ToolFinished(ToolPayload<'a>),
    /// All calls of one response are done.
    ToolBatch(Vec<ToolPayload<'a>>),
    /// A subagent has started.
    SubagentStart,
    /// A subagent has ended.
    SubagentStop,
    /// A context is compacted.
    Compaction {
        /// What set it off.
        trigger: CompactionTrigger,
        /// Whether it begins or is done.
        begins: bool,
    },
    /// A turn has ended, well or not.
    TurnEnd {
        /// Whether jobs of the client's scheduler are set in this session.
        has_crons: bool,
    },
    /// The client has closed the session.
    SessionEnd {
        /// Why, in the client's words.
        reason: Option<String>,
    },
}

impl HookEvent<'_> {
    /// Whether it is recorded without a look into a log.
    #[must_use]
    pub fn is_brief(&self) -> bool {
        match self {
            Self::ToolAsked(tool) => !tool.starts_agents(),
            Self::ToolFinished(_) | Self::Compaction { .. } => true,
            _ => false,
        }
    }
}

/// A tool call in a payload.
#[derive(Debug)]
pub struct ToolPayload<'a> {
    /// The provider's ID of the call.
    pub id: Option<ToolUseId>,
    /// The tool.
    pub tool: ToolName,
    /// What the model has given it.
    pub input: Option<Raw<'a>>,
    /// What came of it.
    pub response: Option<Raw<'a>>,
    /// What went wrong.
    pub error: Option<Raw<'a>>,
    /// Whether it has failed.
    pub failed: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: Option<u64>,
}

impl ToolPayload<'_> {
    /// Whether agents start by it, or go on, whose requests come before any event that could stop them. What their caller
    /// has spent is read before, where a budget stops.
    #[must_use]
    pub fn starts_agents(&self) -> bool {
        Tool::named(self.tool.as_str()).is_some_and(|tool| tool.starts_agents)
    }
}
