//! One tool call, as a hook's payload tells it.

use serde::{Deserialize, Serialize};

use super::{AgentId, Estimate, ModelId, Timestamp, ToolUseId, clean_name};

/// Longest tool name that is kept, in characters; MCP tools have long ones (`mcp__server__tool`).
const MAX_TOOL_NAME_CHARS: usize = 160;

/// A tool's name, made harmless for tables and terminals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct ToolName(String);

impl From<String> for ToolName {
    fn from(name: String) -> Self {
        Self::new(&name)
    }
}

impl ToolName {
    /// Takes a name from a payload; without a usable one it is `unknown`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(clean_name(name, MAX_TOOL_NAME_CHARS).unwrap_or_else(|| "unknown".to_owned()))
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The MCP server in `mcp__server__tool`; `None` for a built-in tool.
    #[must_use]
    pub fn mcp_server(&self) -> Option<&str> {
        let (server, tool) = self.0.strip_prefix("mcp__")?.split_once("__")?;
        (!server.is_empty() && !tool.is_empty()).then_some(server)
    }
}

/// What a call was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// It starts a subagent, or was made inside of one.
    Agent,
    /// It starts a skill.
    Skill,
    /// Neither: the main conversation made it.
    Manual,
}

impl ActionType {
    /// The name in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Skill => "skill",
            Self::Manual => "manual",
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// `PostToolUse` told of it.
    Ok,
    /// `PostToolUseFailure` told of it.
    Failed,
    /// Only `PostToolBatch` told of it: the tool was refused before it ran, or its own event is late.
    Unreported,
}

/// Lines of files that a call added and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDelta {
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// Counts of an encoding, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawCounts {
    /// Of what the model wrote.
    pub generated: u64,
    /// Of what it reads as the result.
    pub returned: u64,
}

/// One tool call. It is never billed by itself: what the model *generated* was output, what the tool
/// *returned* is input of later responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id; clients of 2025 send none.
    pub id: Option<ToolUseId>,
    /// The tool.
    pub tool: ToolName,
    /// The subagent run that made the call; `None` in the main conversation.
    pub agent: Option<AgentId>,
    /// That run's type, such as `Explore`.
    pub agent_type: Option<String>,
    /// When the hook heard of it.
    pub at: Timestamp,
    /// How long the tool ran, in milliseconds, where the client says so.
    pub duration_ms: Option<u64>,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// Tokens the model wrote to make the call; billed as output.
    pub generated: Estimate,
    /// Tokens the model reads as its result; input of later responses.
    pub returned: Estimate,
    /// Generated and returned tokens as the encoding itself counts them, before calibration.
    #[serde(default)]
    pub raw: Option<RawCounts>,
    /// Size of the input in the payload, in bytes of JSON.
    pub input_bytes: u64,
    /// Size of the response in the payload, in bytes of JSON.
    pub response_bytes: u64,
    /// The input's keyed hash: equal inputs of one ledger can be told, inputs cannot be guessed.
    pub input_hash: Option<u64>,
    /// What it was made for.
    pub action: ActionType,
    /// The agent's or the skill's name.
    pub action_name: Option<String>,
    /// The model that made it, where the session's is known already.
    pub model: Option<ModelId>,
    /// Lines of files it changed.
    pub lines: LineDelta,
    /// How long the hook has run so far, in microseconds.
    pub hook_us: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mcp_tool_names_its_server() {
        let server = |name: &str| ToolName::new(name).mcp_server().map(str::to_owned);
        assert_eq!(server("mcp__mini__echo").as_deref(), Some("mini"));
        assert_eq!(server("mcp__a_b__c__d").as_deref(), Some("a_b"));
        assert_eq!(server("mcp__mini"), None);
        assert_eq!(server("Bash"), None);
        assert_eq!(ToolName::new("\u{1b}[2J").as_str(), "[2J");
        assert_eq!(ToolName::new("\n").as_str(), "unknown");
    }
}
