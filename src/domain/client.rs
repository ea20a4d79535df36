//! The clients (coding agents) whose usage the ledger keeps: the only list of them.

/// The name of a session's main conversation where agents are listed.
pub const MAIN_AGENT: &str = "main";

/// A client: the program that runs a session. An agent is its main conversation or a subagent.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Anthropic's Claude Code.
    #[default]
    ClaudeCode,
    /// OpenAI's Codex CLI.
    Codex,
    /// Google's Gemini CLI.
    GeminiCli,
    /// OpenCode.
    #[serde(rename = "opencode")]
    OpenCode,
    /// GitHub's Copilot CLI.
    CopilotCli,
    /// Alibaba's Qwen Code.
    Qwen,
    /// Moonshot's Kimi Code, and the Kimi CLI before it.
    Kimi,
    /// Pi.
    Pi,
}

impl Client {
    /// Every client, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::GeminiCli,
        Self::OpenCode,
        Self::CopilotCli,
        Self::Qwen,
        Self::Kimi,
        Self::Pi,
    ];

    /// The name used on the command line, in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::OpenCode => "opencode",
            Self::CopilotCli => "copilot-cli",
            Self::Qwen => "qwen",
            Self::Kimi => "kimi",
            Self::Pi => "pi",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::Codex => "Codex",
            Self::GeminiCli => "Gemini CLI",
            Self::OpenCode => "OpenCode",
            Self::CopilotCli => "Copilot CLI",
            Self::Qwen => "Qwen Code",
            Self::Kimi => "Kimi Code",
            Self::Pi => "Pi",
        }
    }

    /// The command that takes up a session again; `None` where none was seen to work with a session's id.
    #[must_use]
    pub fn resume_command(self, session: &str) -> Option<String> {
        let command = match self {
            Self::ClaudeCode => "claude --resume",
            Self::Codex => "codex resume",
            Self::CopilotCli => "copilot --resume",
            Self::Qwen => "qwen --resume",
            Self::Kimi => "kimi --session",
            Self::GeminiCli | Self::OpenCode | Self::Pi => return None,
        };
        Some(format!("{command} {}", super::shell_word(session)))
    }

    /// The client of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }
}
