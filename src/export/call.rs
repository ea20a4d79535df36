//! The record of a tool call.

use serde::Serialize;

use crate::domain::{MAIN_AGENT, Timestamp, ToolName};
use crate::store::CallRecord;

/// A tool call as it is exported. Missing ids are null; nothing is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedCall<'c> {
    /// The provider's id; null for clients that send none.
    pub tool_use_id: Option<&'c str>,
    /// The session.
    pub session_id: &'c str,
    /// `main`, or the subagent's type.
    pub agent: &'c str,
    /// The subagent run's id.
    pub agent_id: Option<&'c str>,
    /// The tool.
    pub tool: &'c str,
    /// When the hook heard of it.
    pub at: Timestamp,
    /// How long the tool ran, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether it succeeded.
    pub ok: bool,
    /// Tokens that the model wrote to make the call.
    pub generated_tokens: u64,
    /// Tokens that it reads as the result.
    pub returned_tokens: u64,
    /// The encoding's own count of the tokens that the model wrote to make the call.
    pub raw_generated_tokens: u64,
    /// The encoding's own count of the tokens that the model reads as the result.
    pub raw_returned_tokens: u64,
    /// How the returned tokens were found.
    pub method: &'c str,
    /// How the generated tokens were found.
    pub generated_method: &'c str,
    /// The input's hash with the ledger's key, in hexadecimal; equal inputs have equal hashes.
    pub input_hash: Option<String>,
    /// `agent`, `skill`, `manual` or `scheduled`.
    pub action_type: &'c str,
    /// The agent's or skill's name.
    pub action_name: Option<&'c str>,
    /// The model.
    pub model: Option<&'c str>,
    /// The skill that the call starts.
    pub skill: Option<&'c str>,
    /// The MCP server that the tool belongs to.
    pub mcp_server: Option<String>,
    /// The step, where one was named.
    pub step: Option<&'c str>,
}

impl<'c> From<CallRecord<'c>> for ExportedCall<'c> {
    fn from(call: CallRecord<'c>) -> Self {
        let agent = match (call.agent_id, call.agent_type) {
            (None, _) => MAIN_AGENT,
            (Some(_), Some(agent_type)) if agent_type != MAIN_AGENT => agent_type,
            (Some(_), _) => crate::report::usage::UNTYPED_AGENT,
        };
        // Most tools are the client's own, and their names need no look.
        let mcp_tool = call.tool.contains("mcp__").then(|| ToolName::new(call.tool));
        Self {
            tool_use_id: call.tool_use_id,
            session_id: call.session_id,
            agent,
            agent_id: call.agent_id,
            at: call.at,
            duration_ms: call.duration_ms,
            ok: call.ok,
            generated_tokens: call.generated,
            returned_tokens: call.returned,
            raw_generated_tokens: call.raw_generated,
            raw_returned_tokens: call.raw_returned,
            method: call.returned_method,
            generated_method: call.generated_method,
            input_hash: call.input_hash.map(|hash| format!("{:016x}", hash.cast_unsigned())),
            skill: call.action_name.filter(|_| call.action_type == "skill"),
            action_type: call.action_type,
            action_name: call.action_name,
            model: call.model,
            mcp_server: mcp_tool.and_then(|tool| tool.mcp_server().map(str::to_owned)),
            step: None,
            tool: call.tool,
        }
    }
}
