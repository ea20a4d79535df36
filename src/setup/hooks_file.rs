//! `.claude/hooks/hooks.json`: the registration as a file of its own.
//!
//! The client reads its settings, and a plugin's file of this name, but not this one. It is where people look who know the
//! form from plugins, so `init` writes what is registered there too, one line an event, and says in it what it is for.

use super::settings::{self, Entry, RegisteredHook, SettingsFault};
use crate::hook::manifest::{EVENTS, GATE};

/// What the file says of itself.
pub const DESCRIPTION: &str = "What tallyhook has registered with Claude Code, to view or copy. Claude Code reads \
                               settings.json, not this file; tallyhook keeps them in sync.";

/// The file for what is registered in the settings.
#[must_use]
pub fn text(registered: &[RegisteredHook]) -> String {
    let mut events: Vec<&str> = registered.iter().map(|found| found.event.as_str()).collect();
    events.dedup();
    let lines: Vec<String> = events.iter().map(|event| line(event, registered)).collect();
    let hooks = if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n  }}", lines.join(",\n")) };
    format!("{{\n  \"description\": {},\n  \"hooks\": {hooks}\n}}\n", json(DESCRIPTION))
}

/// An event in one line.
fn line(event: &str, registered: &[RegisteredHook]) -> String {
    let entries = registered.iter().filter(|found| found.event == event);
    let entries: Vec<String> = entries.map(|found| entry(&found.entry)).collect();
    let by_tool = EVENTS.iter().chain([&GATE]).any(|known| known.event == event && known.by_tool);
    let matcher = if by_tool { "\"matcher\": \"*\", " } else { "" };
    format!("    {}: [{{ {matcher}\"hooks\": [{}] }}]", json(event), entries.join(", "))
}

fn entry(entry: &Entry) -> String {
    let mut members =
        vec!["\"type\": \"command\"".to_owned(), format!("\"command\": {}", json(&entry.command.command))];
    if let Some(args) = &entry.command.args {
        let args: Vec<String> = args.iter().map(|arg| json(arg)).collect();
        members.push(format!("\"args\": [{}]", args.join(", ")));
    }
    members.extend(entry.timeout.iter().map(|timeout| format!("\"timeout\": {timeout}")));
    format!("{{ {} }}", members.join(", "))
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether there is nothing in the file that we would not write.
#[must_use]
pub fn is_ours_alone(text: &str) -> bool {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(text.trim_start_matches('\u{feff}'))
    else {
        return text.trim().is_empty();
    };
    let is_own_description = members.get("description").is_none_or(|value| {
        value.as_str().is_some_and(|value| value.starts_with("What tallyhook has registered"))
    });
    let has_no_more = members.keys().all(|name| matches!(name.as_str(), "description" | "hooks"));
    let without = settings::unregister(text, None).ok().and_then(|text| serde_json::from_str(&text).ok());
    let is_empty = without.is_some_and(|rest: serde_json::Value| {
        rest.get("hooks").is_none_or(|hooks| hooks.as_object().is_some_and(serde_json::Map::is_empty))
    });
    is_own_description && has_no_more && is_empty
}

/// Whether the file says what is registered.
///
/// # Errors
/// If it is no settings file.
pub fn agrees(text: &str, registered: &[RegisteredHook]) -> Result<bool, SettingsFault> {
    let sorted = |found: &[RegisteredHook]| {
        let mut all: Vec<String> =
            found.iter().map(|found| format!("{} {}", found.event, entry(&found.entry))).collect();
        all.sort();
        all
    };
    Ok(sorted(&settings::registered(text)?) == sorted(registered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::command::{Program, Target};
    use crate::setup::settings::{CLAUDE_CODE, Registration, register, registered};

    #[test]
    fn the_file_has_a_line_for_each_event_and_says_what_it_is_for() {
        let target = Target {
            program: Program::OnPath,
            client: None,
            ledger: None,
            config: None,
            is_for_any_shell: false,
        };
        let settings =
            register("{}", &Registration { target: &target, format: &CLAUDE_CODE, events: &EVENTS }).unwrap();
        let found = registered(&settings).unwrap();
        let file = text(&found);
        assert_eq!(file.lines().count(), EVENTS.len() + 5, "{file}");
        assert!(file.contains("reads settings.json, not this file"), "{file}");
        assert_eq!(registered(&file).unwrap(), found);
        assert!(is_ours_alone(&file) && is_ours_alone(&settings) && is_ours_alone("{}") && is_ours_alone(""));
        assert_eq!(agrees(&file, &found), Ok(true));
        assert_eq!(agrees(&file, &found[1..]), Ok(false));
        for foreign in [
            file.replace("\"description\"", "\"mine\""),
            file.replace("What tallyhook", "How tallyhook"),
            "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}]}}"
                .to_owned(),
            "[1]".to_owned(),
        ] {
            assert!(!is_ours_alone(&foreign), "{foreign}");
        }
    }
}
