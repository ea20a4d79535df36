//! Are the hooks registered, once, current, and are all the client's events among them?

use super::{Check, Fix, Status, Subject};
use crate::domain::Version;
use crate::hook::manifest::{self, Subscription};
use crate::setup::client::Client;
use crate::setup::scope::Scope;
use crate::setup::settings::{self, Registration};
use crate::setup::{command, files};

const NAME: &str = "hooks";
/// From this version on the client passes over an event that it does not know; before, it drops the whole file.
const TOLERANT: Version = (2, 1, 101);
const MEND: &str = "mend the file; the client does not load it either";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let version = subject.client.as_ref().map(Client::number);
    let events = manifest::events_of(version, subject.is_gated());
    let mut checks: Vec<Check> =
        subject.scopes.iter().filter_map(|scope| of_scope(scope, &events, version)).collect();
    checks.extend(subject.scopes.iter().filter_map(of_local_settings));
    checks.extend(subject.scopes.iter().filter_map(switched_off));
    let is_registered = checks.iter().any(|check| check.status != Status::Failed);
    match (any_settings(subject, plugin_enabled), is_registered) {
        (true, true) => checks.push(Check::warning(
            format!("{NAME} (plugin)"),
            "the plugin is enabled too, so each event is recorded by two processes (and counted once)",
            "keep one way: run `tallyhook uninstall`, or disable the plugin",
        )),
        (true, false) => checks.push(Check::ok(format!("{NAME} (plugin)"), "registered by the plugin")),
        (false, _) if checks.is_empty() => {
            let cure = "run `tallyhook init` in a project, or `tallyhook init --scope user` for all of them";
            checks.push(Check::failed(NAME, "registered nowhere", cure));
        }
        (false, _) => {}
    }
    checks
}

fn of_scope(scope: &Scope, events: &[Subscription], version: Option<Version>) -> Option<Check> {
    let path = scope.settings();
    let name = format!("{NAME} ({})", scope.kind.name());
    let text = match files::read(&path) {
        Ok(text) => text?,
        Err(error) => return Some(Check::failed(name, error.to_string(), MEND)),
    };
    let found = match settings::registered(&text) {
        Ok(found) => found,
        Err(fault) => {
            let place = format!("{}:{}:{}: {}", path.display(), fault.line, fault.column, fault.reason);
            return Some(Check::failed(name, place, MEND));
        }
    };
    let first = found.first()?;
    let cure = format!("run `tallyhook init --scope {}`, or `tallyhook doctor --fix`", scope.kind.name());
    let fix = Fix::Register(scope.clone());
    let unknown: Vec<&str> = found
        .iter()
        .map(|hook| hook.event.as_str())
        .filter(|event| !events.iter().any(|subscription| subscription.event == *event))
        .collect();
    if !unknown.is_empty() {
        let found =
            format!("{} names events that this client does not know: {}", path.display(), unknown.join(", "));
        let is_fatal = version.is_some_and(|version| version < TOLERANT);
        let check =
            if is_fatal { Check::failed(name, found, cure) } else { Check::warning(name, found, cure) };
        return Some(check.with_fix(fix));
    }
    let registration =
        Registration { command: &first.command, events, timeout_seconds: manifest::TIMEOUT_SECONDS };
    let is_current = settings::register(&text, &registration).is_ok_and(|current| current == text)
        && command::parse(&first.command).is_some_and(|line| line.is_guarded);
    Some(if is_current {
        Check::ok(name, format!("{} events in {}", found.len(), path.display()))
    } else {
        let missing: Vec<&str> = events
            .iter()
            .map(|subscription| subscription.event)
            .filter(|event| !found.iter().any(|hook| hook.event == *event))
            .collect();
        let found = if missing.is_empty() {
            format!("{} has a registration that is not as `init` makes it", path.display())
        } else {
            format!("{} lacks {}", path.display(), missing.join(", "))
        };
        Check::warning(name, found, cure).with_fix(fix)
    })
}

/// A registration that somebody has put into the local settings, where `init` does not put it.
fn of_local_settings(scope: &Scope) -> Option<Check> {
    let path = scope.local_settings();
    let text = files::read(&path).ok()??;
    let found = settings::registered(&text).ok().filter(|found| !found.is_empty())?;
    let found = format!("{} events in {}", found.len(), path.display());
    Some(Check::ok(format!("{NAME} ({}, local)", scope.kind.name()), found))
}

/// Settings in which all hooks are switched off.
fn switched_off(scope: &Scope) -> Option<Check> {
    let path = [scope.settings(), scope.local_settings()]
        .into_iter()
        .find(|path| parse(path).is_some_and(|settings| settings["disableAllHooks"] == true))?;
    let found = format!("{} switches all hooks off (disableAllHooks)", path.display());
    Some(Check::failed(
        format!("{NAME} ({})", scope.kind.name()),
        found,
        "remove the line if events are to be recorded",
    ))
}

fn any_settings(subject: &Subject<'_>, is_so: fn(&serde_json::Value) -> bool) -> bool {
    let paths = subject.scopes.iter().flat_map(|scope| [scope.settings(), scope.local_settings()]);
    paths.filter_map(|path| parse(&path)).any(|settings| is_so(&settings))
}

fn parse(path: &std::path::Path) -> Option<serde_json::Value> {
    serde_json::from_str(files::read(path).ok()??.trim_start_matches('\u{feff}')).ok()
}

fn plugin_enabled(settings: &serde_json::Value) -> bool {
    settings["enabledPlugins"].as_object().is_some_and(|plugins| {
        plugins.iter().any(|(name, enabled)| name.split('@').next() == Some("tallyhook") && enabled == true)
    })
}
