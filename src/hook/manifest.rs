//! The events we ask the client for, and the registration as the client reads it.

use serde_json::{Map, Value, json};

use crate::domain::Version;

/// A subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The event's name.
    pub event: &'static str,
    /// Whether the client matches it against a tool's name; such events take a `matcher`.
    pub by_tool: bool,
    /// The first client version that knows it. Clients before 2.1.101 drop a whole settings file for one unknown
    /// event, later ones show a warning (found by running them; the lists are in the binaries).
    pub since: Version,
}

/// The first version that knows all of the events that were there from the beginning.
const FIRST_HOOKS: Version = (1, 0, 85);

/// All events of `tallyhook hook`. `PreToolUse` is not among them: only a hard budget needs it ([`GATE`]).
pub const EVENTS: [Subscription; 12] = [
    Subscription { event: "SessionStart", by_tool: false, since: FIRST_HOOKS },
    Subscription { event: "UserPromptSubmit", by_tool: false, since: FIRST_HOOKS },
    Subscription { event: "PostToolUse", by_tool: true, since: FIRST_HOOKS },
    Subscription { event: "PostToolUseFailure", by_tool: true, since: (2, 0, 56) },
    Subscription { event: "PostToolBatch", by_tool: false, since: (2, 1, 118) },
    Subscription { event: "SubagentStart", by_tool: false, since: (2, 0, 44) },
    Subscription { event: "SubagentStop", by_tool: false, since: FIRST_HOOKS },
    Subscription { event: "PreCompact", by_tool: false, since: FIRST_HOOKS },
    Subscription { event: "PostCompact", by_tool: false, since: (2, 1, 77) },
    Subscription { event: "Stop", by_tool: false, since: FIRST_HOOKS },
    Subscription { event: "StopFailure", by_tool: false, since: (2, 1, 78) },
    Subscription { event: "SessionEnd", by_tool: false, since: FIRST_HOOKS },
];

/// What is asked for beside [`EVENTS`] while a budget stops: a process more for each call of a tool.
pub const GATE: Subscription = Subscription { event: "PreToolUse", by_tool: true, since: FIRST_HOOKS };

/// The events that a client of that version knows; all of them if the version is not known.
/// With a budget that stops also [`GATE`].
#[must_use]
pub fn events_of(version: Option<Version>, is_gated: bool) -> Vec<Subscription> {
    EVENTS
        .into_iter()
        .chain(is_gated.then_some(GATE))
        .filter(|subscription| version.is_none_or(|version| subscription.since <= version))
        .collect()
}

/// Seconds after which the client gives up waiting for the hook. At the session's end it would give up after 1.5 s
/// (`docs/facts.md#the-hook-process`) if this did not say otherwise.
pub const TIMEOUT_SECONDS: u32 = 5;

/// The plugin's command line. A plugin cannot know where the binary was installed, so it looks where installers put
/// it; without one it does nothing and succeeds, like the line that `init` registers.
const PLUGIN_COMMAND: &str = "for t in \"$(command -v tallyhook)\" \"$HOME/.cargo/bin/tallyhook\" \
    \"$HOME/.local/bin/tallyhook\"; do [ -x \"$t\" ] && exec \"$t\" hook; done; exit 0";

/// The plugin's `hooks/hooks.json`: all events, run by [`PLUGIN_COMMAND`].
#[must_use]
pub fn plugin_hooks() -> Value {
    let mut hooks = Map::new();
    for subscription in EVENTS {
        let mut group = Map::new();
        if subscription.by_tool {
            group.insert("matcher".to_owned(), json!("*"));
        }
        group.insert(
            "hooks".to_owned(),
            json!([{ "type": "command", "command": PLUGIN_COMMAND, "timeout": TIMEOUT_SECONDS }]),
        );
        hooks.insert(subscription.event.to_owned(), json!([group]));
    }
    json!({ "description": "Records the tokens of each tool call in tallyhook's local ledger", "hooks": hooks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_file_is_this_list() {
        let file: Value = serde_json::from_str(include_str!("../../hooks/hooks.json")).unwrap();
        assert_eq!(file, plugin_hooks(), "hooks/hooks.json should be:\n{:#}", plugin_hooks());
    }

    #[test]
    fn the_plugin_has_the_programs_version() {
        let plugin: Value = serde_json::from_str(include_str!("../../.claude-plugin/plugin.json")).unwrap();
        assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn a_client_is_asked_only_for_events_that_it_knows() {
        let count = |version| events_of(Some(version), false).len();
        assert_eq!(count((1, 0, 128)), 7);
        assert_eq!(count((2, 1, 110)), 11);
        assert_eq!(count((2, 1, 330)), EVENTS.len());
        assert_eq!(events_of(None, true).len(), EVENTS.len() + 1);
    }
}
