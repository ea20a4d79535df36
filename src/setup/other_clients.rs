//! Where the other clients read hooks from, and how they want them written: [`OTHER_CLIENTS`] is the one table.
//!
//! Each has a file for the user and one for the project. What was tried with which version is in `src/clients/<client>`.

use std::path::{Path, PathBuf};

use super::scope::{ScopeKind, project_root};
use super::settings::{HookFormat, HookLayout};
use crate::domain::Client;
use crate::env::Env;
use crate::hook::manifest::{GATE, Subscription, TIMEOUT_SECONDS};

/// How the hook is registered with a client other than Claude Code.
#[derive(Debug)]
pub struct OtherClient {
    /// The client.
    pub client: Client,
    /// The variable that moves the user's folder.
    variable: Option<&'static str>,
    /// The user's folder, below the home folder.
    user_folder: &'static str,
    /// The project's folder, below the project.
    project_folder: &'static str,
    /// The file in either of them.
    file: &'static str,
    /// How the file is written.
    pub format: HookFormat,
    /// The events.
    events: &'static [Subscription],
    /// Whether it shows the user what a budget has to say.
    pub warns: bool,
    /// Whether a budget can stop it before a tool.
    stops: bool,
    /// Whether the command must be the same in every version of ours, wherever that lies.
    pub is_constant: bool,
    /// Whether it hands commands to the user's shell, whichever that is.
    pub has_any_shell: bool,
    /// What the user has to know or do, whatever the scope.
    pub note: Option<&'static str>,
    /// What the user has to know or do of hooks in a project.
    pub project_note: Option<&'static str>,
    /// A made-up event as the client sends it, in the session [`TEST_SESSION`].
    pub test_event: &'static str,
}

/// The session of the made-up events.
pub const TEST_SESSION: &str = "tallyhook-self-test";

/// The Copilot CLI's file, which holds our hooks alone.
const OWN_FILE: &str = "hooks/tallyhook.json";

/// An event that every call of a tool can send: these clients need no matcher for that.
const fn event(event: &'static str) -> Subscription {
    Subscription { event, by_tool: false, since: (0, 0, 0) }
}

/// Settings with groups of hooks as Claude Code has them. A time limit is not set: its unit differs between clients, and the
/// hook limits itself.
const SETTINGS: HookFormat =
    HookFormat { layout: HookLayout::Groups, timeout: None, has_comments: true, has_switches: true };

/// The clients.
pub const OTHER_CLIENTS: &[OtherClient] = &[
    OtherClient {
        client: Client::Codex,
        variable: Some("CODEX_HOME"),
        user_folder: ".codex",
        project_folder: ".codex",
        file: "hooks.json",
        format: HookFormat { has_comments: false, has_switches: false, ..SETTINGS },
        events: &[
            event("SessionStart"),
            event("UserPromptSubmit"),
            event("PostToolUse"),
            event("SubagentStart"),
            event("SubagentStop"),
            event("PreCompact"),
            event("PostCompact"),
            event("Stop"),
            event("Interrupt"),
            event("SessionEnd"),
        ],
        warns: true,
        stops: true,
        // Trust hangs on a hash of it.
        is_constant: true,
        has_any_shell: true,
        note: Some(
            "Codex asks you to trust the hook when it starts next; until then `codex exec` skips it without a word",
        ),
        project_note: Some("Codex reads a project's hooks only in a project that you have marked as trusted"),
        test_event: r#"{"session_id": "tallyhook-self-test", "turn_id": "t", "hook_event_name": "PostToolUse",
            "tool_name": "Bash", "tool_use_id": "exec-self-test", "tool_input": {"command": "true"}, "tool_response": ""}"#,
    },
    OtherClient {
        client: Client::GeminiCli,
        variable: None,
        user_folder: ".gemini",
        project_folder: ".gemini",
        file: "settings.json",
        format: SETTINGS,
        events: &[
            event("SessionStart"),
            event("BeforeAgent"),
            event("AfterTool"),
            event("AfterAgent"),
            event("SessionEnd"),
        ],
        warns: true,
        stops: false,
        is_constant: false,
        has_any_shell: false,
        note: None,
        project_note: Some("Gemini CLI reads a project's hooks only in a folder that you trust"),
        test_event: r#"{"session_id": "tallyhook-self-test", "hook_event_name": "AfterTool",
            "tool_name": "run_shell_command", "tool_input": {"command": "true"}, "tool_response": {"llmContent": ""}}"#,
    },
    OtherClient {
        client: Client::CopilotCli,
        variable: Some("COPILOT_HOME"),
        user_folder: ".copilot",
        project_folder: ".github",
        file: OWN_FILE,
        format: HookFormat {
            layout: HookLayout::Flat,
            timeout: Some(TIMEOUT_SECONDS),
            has_comments: false,
            has_switches: false,
        },
        events: &[
            event("sessionStart"),
            event("userPromptSubmitted"),
            event("postToolUse"),
            event("postToolUseFailure"),
            event("agentStop"),
            event("subagentStart"),
            event("subagentStop"),
            event("preCompact"),
            event("sessionEnd"),
        ],
        warns: false,
        stops: false,
        is_constant: false,
        has_any_shell: false,
        note: None,
        project_note: Some("Copilot CLI reads a project's hooks only in a folder that you trust"),
        test_event: r#"{"sessionId": "tallyhook-self-test", "toolName": "bash", "toolArgs": {"command": "true"},
            "toolResult": {"resultType": "success", "textResultForLlm": ""}}"#,
    },
    OtherClient {
        client: Client::Qwen,
        variable: None,
        user_folder: ".qwen",
        project_folder: ".qwen",
        file: "settings.json",
        format: SETTINGS,
        events: &[
            event("SessionStart"),
            event("UserPromptSubmit"),
            event("PostToolUse"),
            event("PostToolUseFailure"),
            event("PostToolBatch"),
            event("SubagentStart"),
            event("SubagentStop"),
            event("PreCompact"),
            event("PostCompact"),
            event("Stop"),
            event("StopFailure"),
            event("SessionEnd"),
        ],
        warns: true,
        stops: false,
        is_constant: false,
        has_any_shell: false,
        note: None,
        project_note: Some("Qwen Code reads a project's hooks only in a folder that you trust"),
        test_event: r#"{"session_id": "tallyhook-self-test", "hook_event_name": "PostToolUse",
            "tool_name": "run_shell_command", "tool_use_id": "self_test", "tool_input": {"command": "true"},
            "tool_response": {"llmContent": ""}}"#,
    },
];

impl OtherClient {
    /// How the hook is registered with a client; `None` of Claude Code and of clients that it can't be registered with.
    #[must_use]
    pub fn of(client: Client) -> Option<&'static Self> {
        OTHER_CLIENTS.iter().find(|other| other.client == client)
    }

    /// The file of a scope; `None` without a home, and of a scope that the client does not have.
    #[must_use]
    pub fn file_of(&self, kind: ScopeKind, env: &Env) -> Option<PathBuf> {
        match kind {
            ScopeKind::Project => Some(self.project_file(&project_root(env))),
            ScopeKind::User => {
                let moved = self.variable.and_then(|name| env.place(name));
                Some(moved.or_else(|| Some(env.home()?.join(self.user_folder)))?.join(self.file))
            }
            ScopeKind::Local => None,
        }
    }

    /// The file of a project.
    #[must_use]
    pub fn project_file(&self, project: &Path) -> PathBuf {
        project.join(self.project_folder).join(self.file)
    }

    /// The events that are registered, while a budget stops or none does.
    #[must_use]
    pub fn events(&self, is_gated: bool) -> Vec<Subscription> {
        self.events.iter().copied().chain((is_gated && self.stops).then_some(GATE)).collect()
    }

    /// Whether the event before each tool is registered while a budget stops.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        self.stops
    }

    /// Whether a file is one that we alone write.
    pub(super) fn is_own_file(path: &Path) -> bool {
        path.ends_with(OWN_FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Object;

    #[test]
    fn every_client_has_its_own_files_and_a_test_event_of_the_session() {
        let mut files: Vec<PathBuf> =
            OTHER_CLIENTS.iter().map(|other| other.project_file(Path::new("/p"))).collect();
        files.dedup();
        assert_eq!(files.len(), OTHER_CLIENTS.len());
        for other in OTHER_CLIENTS {
            assert_eq!(OtherClient::of(other.client).map(|found| found.client), Some(other.client));
            let event = Object::parse(other.test_event).unwrap();
            let session = event.text("session_id").or_else(|| event.text("sessionId"));
            assert_eq!(session.as_deref(), Some(TEST_SESSION), "{:?}", other.client);
        }
        assert!(OtherClient::of(Client::ClaudeCode).is_none());
    }
}
