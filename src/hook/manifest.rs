//! The events we ask the client for, and the registration as the client reads it.

use serde_json::{Map, Value, json};

/// A subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The event's name.
    pub event: &'static str,
    /// Whether the client matches it against a tool's name; such events take a `matcher`.
    pub by_tool: bool,
}

/// All events of `tallyhook hook`. `PreToolUse` is not among them: only a hard budget needs it.
pub const EVENTS: [Subscription; 12] = [
    Subscription { event: "SessionStart", by_tool: false },
    Subscription { event: "UserPromptSubmit", by_tool: false },
    Subscription { event: "PostToolUse", by_tool: true },
    Subscription { event: "PostToolUseFailure", by_tool: true },
    Subscription { event: "PostToolBatch", by_tool: false },
    Subscription { event: "SubagentStart", by_tool: false },
    Subscription { event: "SubagentStop", by_tool: false },
    Subscription { event: "PreCompact", by_tool: false },
    Subscription { event: "PostCompact", by_tool: false },
    Subscription { event: "Stop", by_tool: false },
    Subscription { event: "StopFailure", by_tool: false },
    Subscription { event: "SessionEnd", by_tool: false },
];

/// Seconds after which the client gives up waiting for the hook.
const TIMEOUT_SECONDS: u32 = 5;

/// The `hooks` member of the client's settings that runs `command` for every event.
#[must_use]
pub fn settings(command: &str) -> Value {
    let mut hooks = Map::new();
    for subscription in EVENTS {
        let mut entry = Map::new();
        if subscription.by_tool {
            entry.insert("matcher".to_owned(), json!("*"));
        }
        entry.insert(
            "hooks".to_owned(),
            json!([{ "type": "command", "command": command, "timeout": TIMEOUT_SECONDS }]),
        );
        hooks.insert(subscription.event.to_owned(), json!([entry]));
    }
    json!({ "hooks": hooks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snippet_in_the_repository_is_this_list() {
        let snippet = include_str!("../../hooks/claude-code.settings.json");
        let snippet: Value = serde_json::from_str(snippet).unwrap();
        assert_eq!(snippet, settings("tallyhook hook"));
    }
}
