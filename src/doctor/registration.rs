//! Are the hooks registered, once, and are all the client's events among them?

use super::{Check, Fix, Status, Subject};
use crate::hook::manifest::{self, Subscription};
use crate::setup::client::Client;
use crate::setup::scope::Scope;
use crate::setup::{files, settings};

const NAME: &str = "hooks";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let events = manifest::events_of(subject.client.as_ref().map(Client::number));
    let mut checks: Vec<Check> = subject.scopes.iter().filter_map(|scope| of_scope(scope, &events)).collect();
    let has_plugin = plugin_enabled(subject);
    let registered = checks.iter().filter(|check| check.status != Status::Failed).count();
    if has_plugin && registered > 0 {
        checks.push(Check::warning(
            format!("{NAME} (plugin)"),
            "the plugin is enabled too, so each event is recorded by two processes (and counted once)",
            "keep one way: run `tallyhook uninstall`, or disable the plugin",
        ));
    } else if has_plugin {
        checks.push(Check::ok(format!("{NAME} (plugin)"), "registered by the plugin"));
    } else if checks.is_empty() {
        let cure = "run `tallyhook init` in a project, or `tallyhook init --scope user` for all of them";
        checks.push(Check::failed(NAME, "registered nowhere", cure));
    }
    checks
}

fn of_scope(scope: &Scope, events: &[Subscription]) -> Option<Check> {
    let path = scope.settings();
    let name = format!("{NAME} ({})", scope.kind.name());
    let text = match files::read(&path) {
        Ok(text) => text?,
        Err(error) => {
            return Some(Check::failed(
                name,
                error.to_string(),
                "mend the file; the client does not load it either",
            ));
        }
    };
    let found = match settings::registered(&text) {
        Ok(found) if found.is_empty() => return None,
        Ok(found) => found,
        Err(fault) => {
            let place = format!("{}:{}:{}: {}", path.display(), fault.line, fault.column, fault.reason);
            return Some(Check::failed(name, place, "mend the file; the client does not load it either"));
        }
    };
    let missing: Vec<&str> = events
        .iter()
        .map(|subscription| subscription.event)
        .filter(|event| !found.iter().any(|hook| hook.event == *event))
        .collect();
    let unknown: Vec<&str> = found
        .iter()
        .map(|hook| hook.event.as_str())
        .filter(|event| !events.iter().any(|subscription| subscription.event == *event))
        .collect();
    let cure = format!("run `tallyhook init --scope {}`, or `tallyhook doctor --fix`", scope.kind.name());
    Some(if !unknown.is_empty() {
        let found =
            format!("{} names events that this client does not know: {}", path.display(), unknown.join(", "));
        Check::failed(name, found, cure).with_fix(Fix::Register(scope.clone()))
    } else if missing.is_empty() {
        Check::ok(name, format!("{} events in {}", found.len(), path.display()))
    } else {
        let found = format!("{} lacks {}", path.display(), missing.join(", "));
        Check::warning(name, found, cure).with_fix(Fix::Register(scope.clone()))
    })
}

/// Whether the user has the plugin enabled in one of the settings that we look at.
fn plugin_enabled(subject: &Subject<'_>) -> bool {
    subject.scopes.iter().any(|scope| {
        let Ok(Some(text)) = files::read(&scope.settings()) else { return false };
        let Ok(settings) = serde_json::from_str::<serde_json::Value>(text.trim_start_matches('\u{feff}'))
        else {
            return false;
        };
        settings["enabledPlugins"].as_object().is_some_and(|plugins| {
            plugins
                .iter()
                .any(|(name, enabled)| name.split('@').next() == Some("tallyhook") && enabled == true)
        })
    })
}
