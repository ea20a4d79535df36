//! Are the hooks registered where the client reads them, do they run, once, and are all the client's events among them?

use super::{Check, Fix, Subject};
use crate::domain::{OneLine as _, Version, plural};
use crate::hook::manifest::{self, Subscription};
use crate::setup::client::InstalledClient;
use crate::setup::command::{Command, Program, Target};
use crate::setup::scope::{Scope, ScopeKind};
use crate::setup::settings::{self, Found, Registration};
use crate::setup::view::{File, Layer, Recording, Switch, View};
use crate::setup::{SetupError, files, hooks_file};

const NAME: &str = "hooks";
/// From this version on the client passes over an event that it does not know; before, it drops the whole file.
const TOLERANT: Version = (2, 1, 101);
const MEND: &str = "fix the file; Claude Code can't load it either";
const REGISTER: &str = "run `tallyhook init` in a project, or `tallyhook init --scope user` for all projects";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let view = &subject.view;
    let version = subject.client.as_ref().map(InstalledClient::number);
    let events = manifest::events_of(version, subject.is_gated());
    let mut checks: Vec<Check> =
        view.faults.iter().map(|(layer, error)| Check::failed(name(*layer), fault(error), MEND)).collect();
    let registered = || view.files.iter().filter(|file| !file.found.is_empty());
    checks.extend(registered().map(|file| match view.switch(file.layer) {
        Some(switch) => switched_off(view, file, &switch),
        None => of_file(subject, file, &events, version),
    }));
    checks.extend(plugin(view));
    checks.extend(twice(view));
    checks.extend(unread(view));
    checks.extend(subject.scopes.iter().filter_map(|scope| of_hooks_file(view, scope)));
    if view.recording() == Recording::Nowhere && view.faults.is_empty() {
        checks.push(Check::failed(NAME, "not registered", REGISTER));
    }
    checks
}

fn fault(error: &SetupError) -> String {
    match error {
        SetupError::Settings { path, line, column, reason } => {
            format!("{}:{line}:{column}: {reason}", path.one_line())
        }
        error => error.to_string(),
    }
}

fn name(layer: Layer) -> String {
    format!("{NAME} ({})", layer.name())
}

/// A registration that settings keep from running.
fn switched_off(view: &View, file: &File, switch: &Switch) -> Check {
    let (events, path) = (plural(file.found.len() as u64, "event"), file.path.one_line());
    let found = format!(
        "{events} in {path}, but hooks are turned off: {} in {}",
        switch.member,
        switch.path.one_line()
    );
    if view.recording() == Recording::Runs {
        return Check::warning(name(file.layer), found, "no action needed if the other hooks are enough");
    }
    let cure = match switch.member {
        "disableAllHooks" => "remove that line to record events; it also turns off the status line",
        _ => "ask whoever manages the settings to add tallyhook's hooks",
    };
    Check::failed(name(file.layer), found, cure)
}

fn of_file(subject: &Subject<'_>, file: &File, events: &[Subscription], version: Option<Version>) -> Check {
    let (path, count) = (file.path.one_line(), plural(file.found.len() as u64, "event"));
    let name = name(file.layer);
    let kind = match file.layer {
        Layer::Managed => return of_managed_file(name, file, events),
        Layer::Local => ScopeKind::Local,
        Layer::Project => ScopeKind::Project,
        Layer::User => ScopeKind::User,
    };
    let cure = format!("run `tallyhook init --scope {}`, or `tallyhook doctor --fix`", kind.name());
    let fix = Scope::of(kind, subject.env).map(Fix::Register);
    let check = |check: Check| Check { fix: fix.clone(), ..check };
    if let Some(version) = version {
        let too_new: Vec<&str> = events_of(&file.found)
            .filter(|event| since(event).is_some_and(|since| since > version))
            .collect();
        if !too_new.is_empty() {
            let found = format!(
                "{path} registers events that this version of Claude Code doesn't support: {}",
                too_new.join(", ")
            );
            return check(if version < TOLERANT {
                Check::failed(name, found, cure)
            } else {
                Check::warning(name, found, cure)
            });
        }
    }
    let unused: Vec<&str> = events_of(&file.found)
        .filter(|event| !events.iter().any(|subscription| subscription.event == *event))
        .collect();
    if !unused.is_empty() {
        let found = format!("{path} registers {}, which tallyhook doesn't use", unused.join(", "));
        return check(Check::warning(name, found, cure));
    }
    if let Some(missing) = missing(file, events) {
        return check(Check::warning(name, format!("{path} is missing {missing}"), cure));
    }
    let calls = || file.found.iter().filter_map(|found| found.entry.command.as_hook());
    if kind == ScopeKind::Project && calls().any(|call| call.names_a_path()) {
        let found = format!("{path} is shared but contains a path that exists only on this machine");
        return check(Check::warning(name, found, cure));
    }
    if calls().any(|call| !call.is_guarded()) {
        let found = format!("{path} has a command that fails where tallyhook isn't installed");
        return check(Check::warning(name, found, cure));
    }
    let target = Target { program: Program::AsItIs, ledger: None, config: None };
    let current = settings::register(&file.text, &Registration { target: &target, events });
    if current.is_ok_and(|current| current == file.text) {
        Check::ok(name, format!("{count} in {path}"))
    } else {
        let found = format!("{path} has a registration that differs from what `init` writes");
        check(Check::warning(name, found, cure))
    }
}

fn events_of(found: &[Found]) -> impl Iterator<Item = &str> {
    found.iter().map(|found| found.event.as_str())
}

/// The events that a file does not register.
fn missing(file: &File, events: &[Subscription]) -> Option<String> {
    let is_there = |event: &str| events_of(&file.found).any(|found| found == event);
    let missing: Vec<&str> =
        events.iter().map(|subscription| subscription.event).filter(|event| !is_there(event)).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// An administrator's file, which nobody else can change.
fn of_managed_file(name: String, file: &File, events: &[Subscription]) -> Check {
    let path = file.path.one_line();
    match missing(file, events) {
        Some(missing) => {
            let cure = "ask whoever manages the settings to add them";
            Check::warning(name, format!("{path} is missing {missing}"), cure)
        }
        None => Check::ok(name, format!("{} in {path}", plural(file.found.len() as u64, "event"))),
    }
}

/// The first client that knows an event; `None` if that is not known, as of all that tallyhook has no use for.
fn since(event: &str) -> Option<Version> {
    let known = manifest::EVENTS.iter().chain([&manifest::GATE]).find(|known| known.event == event)?;
    Some(known.since)
}

fn plugin(view: &View) -> Option<Check> {
    let name = format!("{NAME} (plugin)");
    let (is_enabled, file) = view.plugin()?;
    let path = file.path.one_line();
    let is_registered =
        view.files.iter().any(|file| !file.found.is_empty() && view.switch(file.layer).is_none());
    Some(match (is_enabled, view.switch(file.layer), is_registered) {
        (false, _, true) => return None,
        (false, _, false) => Check::failed(
            name,
            format!("the plugin is disabled in {path}"),
            "enable it, or run `tallyhook init`",
        ),
        (true, Some(switch), is_registered) => {
            let found =
                format!("the plugin's hooks are turned off: {} in {}", switch.member, switch.path.one_line());
            if is_registered {
                Check::warning(name, found, "no action needed if the other hooks are enough")
            } else {
                Check::failed(name, found, "remove that line, or ask whoever manages the settings")
            }
        }
        (true, None, true) => Check::warning(
            name,
            "the plugin is enabled too, so two processes record each event (it is counted once)",
            "keep one: run `tallyhook uninstall`, or disable the plugin",
        ),
        (true, None, false) => Check::ok(name, format!("registered by the plugin, enabled in {path}")),
    })
}

/// Registrations that run beside each other. The client itself runs a command once that stands in two files.
fn twice(view: &View) -> Option<Check> {
    let files: Vec<&File> = view
        .files
        .iter()
        .filter(|file| !file.found.is_empty() && view.switch(file.layer).is_none())
        .collect();
    let commands = |event: &str| {
        let mut commands: Vec<&Command> = files
            .iter()
            .flat_map(|file| &file.found)
            .filter(|found| found.event == event)
            .map(|found| &found.entry.command)
            .collect();
        commands.sort();
        commands.dedup();
        commands.len()
    };
    let is_double = files.len() > 1 && manifest::EVENTS.iter().any(|known| commands(known.event) > 1);
    is_double.then(|| {
        let names: Vec<&str> = files.iter().map(|file| file.layer.name()).collect();
        let found = format!(
            "registered in several files ({}), so several processes record each event (it is counted once)",
            names.join(", ")
        );
        Check::warning(NAME, found, "remove all but one of them")
    })
}

/// Registrations in files that the client does not read.
fn unread(view: &View) -> Vec<Check> {
    // Broken settings are what is to be mended first.
    let is_alone = matches!(view.recording(), Recording::Unread(_)) && view.faults.is_empty();
    let is_copy = |path: &std::path::Path| path.ends_with("hooks.json");
    // A copy beside settings is what `init` makes.
    let paths = view.unread.iter().filter(|path| is_alone || !is_copy(path));
    paths
        .map(|path| {
            let found = format!("{} has hooks, but Claude Code doesn't read it", path.one_line());
            if is_alone {
                Check::failed(NAME, found, REGISTER)
            } else {
                Check::warning(NAME, found, "remove the hooks from that file")
            }
        })
        .collect()
}

/// Whether the copy of the registration says what the settings say.
fn of_hooks_file(view: &View, scope: &Scope) -> Option<Check> {
    let path = scope.hooks_file();
    let text = files::read(&path).ok()??;
    if settings::registered(&text).ok()?.is_empty() {
        return None;
    }
    let in_settings = view.files.iter().find(|file| file.path == scope.settings());
    let registered = in_settings.map(|file| file.found.as_slice()).filter(|found| !found.is_empty())?;
    if hooks_file::agrees(&text, registered).unwrap_or(true) {
        return None;
    }
    let found = format!(
        "{} differs from {}, which is the one in effect",
        path.one_line(),
        scope.settings().one_line()
    );
    let cure = format!("run `tallyhook init --scope {}`, or `tallyhook doctor --fix`", scope.kind.name());
    let name = format!("hooks file ({})", scope.kind.name());
    Some(Check::warning(name, found, cure).with_fix(Fix::Register(scope.clone())))
}
