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

/// What stands before a call of ours in a line for a POSIX shell, and after it: if the binary is gone, or is not for this
/// machine, the line succeeds in silence. When `exec` fails, dash and its like leave by way of the trap, and bash goes on
/// behind it if it is told to. A second process would see the failure too, and cost as much as the hook itself.
pub const GUARD_START: &str = "trap 'exit 0' 0; [ $BASH_VERSION ] && shopt -s execfail; exec ";
/// See [`GUARD_START`].
pub const GUARD_END: &str = " 2>/dev/null; exit 0";

/// Makes a line find the binary on machines that differ: on the `PATH`, where installers put it, and where `init` puts a
/// link to it if it lies elsewhere. A client that was not started from a shell may have a short `PATH`.
pub const SEARCH: &str = "PATH=$PATH:$HOME/.cargo/bin:$HOME/.local/bin:$HOME/.local/share/tallyhook/bin; ";

/// The plugin's `hooks/hooks.json`: all events. A plugin cannot know where the binary was installed, so it looks for it,
/// like the line that `init` registers in a project.
#[must_use]
pub fn plugin_hooks() -> Value {
    let command = format!("{SEARCH}{GUARD_START}tallyhook hook{GUARD_END}");
    let mut hooks = Map::new();
    for subscription in EVENTS {
        let mut group = Map::new();
        if subscription.by_tool {
            group.insert("matcher".to_owned(), json!("*"));
        }
        group.insert(
            "hooks".to_owned(),
            json!([{ "type": "command", "command": command, "timeout": TIMEOUT_SECONDS }]),
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
