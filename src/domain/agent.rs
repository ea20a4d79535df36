//! The coding agents whose usage the ledger keeps: the only list of them.

/// The name of a session's main conversation where agents are listed.
pub const MAIN_AGENT: &str = "main";

/// A coding agent (the client that runs a session), not one of its subagents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// Anthropic's Claude Code.
    #[default]
    ClaudeCode,
    /// OpenAI's Codex CLI.
    Codex,
    /// Google's Gemini CLI.
    GeminiCli,
    /// OpenCode.
    OpenCode,
    /// GitHub's Copilot CLI.
    CopilotCli,
}

impl Agent {
    /// Every agent, in the order of the documentation.
    pub const ALL: [Self; 5] =
        [Self::ClaudeCode, Self::Codex, Self::GeminiCli, Self::OpenCode, Self::CopilotCli];

    /// The name used on the command line, in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::OpenCode => "opencode",
            Self::CopilotCli => "copilot-cli",
        }
    }

    /// The agent of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|agent| agent.name() == name)
    }
}
