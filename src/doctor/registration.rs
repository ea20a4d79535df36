//! Are the hooks registered where the client reads them, do they run, once, and are all the client's events among them?

use super::{Check, Fix, Subject};
use crate::domain::{OneLine as _, Version};
use crate::hook::manifest::{self, Subscription};
use crate::present::diagnosis::{Diagnosis, PluginState, RegistrationState};
use crate::setup::client::InstalledClient;
use crate::setup::command::{Program, RegisteredCommand, Target};
use crate::setup::scope::{ScopeKind, SettingsScope};
use crate::setup::settings::{self, RegisteredHook, Registration};
use crate::setup::view::{File, Layer, Recording, SettingsView, Switch};
use crate::setup::{SetupError, files, hooks_file};

/// From this version on the client passes over an event that it does not know; before, it drops the whole file.
const TOLERANT: Version = (2, 1, 101);

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let view = &subject.view;
    let version = subject.client.as_ref().map(InstalledClient::number);
    let events = manifest::events_of(version, subject.is_gated());
    let unreadable = |layer: Layer, error: &SetupError| {
        Check::failed(Diagnosis::SettingsUnreadable { layer: layer.name(), error: fault(error) })
    };
    let mut checks: Vec<Check> = view.faults.iter().map(|(layer, error)| unreadable(*layer, error)).collect();
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
        checks.push(Check::failed(Diagnosis::NotRegistered));
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

fn registered(file: &File, state: RegistrationState) -> Diagnosis {
    Diagnosis::Registered { layer: file.layer.name(), path: file.path.clone(), state }
}

fn current(file: &File) -> Check {
    Check::ok(registered(file, RegistrationState::Current(file.found.len() as u64)))
}

/// A registration that settings keep from running.
fn switched_off(view: &SettingsView, file: &File, switch: &Switch) -> Check {
    let others_run = view.recording() == Recording::Runs;
    let found = registered(
        file,
        RegistrationState::TurnedOff {
            events: file.found.len() as u64,
            member: switch.member,
            by: switch.path.clone(),
            others_run,
        },
    );
    if others_run { Check::warning(found) } else { Check::failed(found) }
}

fn of_file(subject: &Subject<'_>, file: &File, events: &[Subscription], version: Option<Version>) -> Check {
    let kind = match file.layer {
        Layer::Managed => return of_managed_file(file, events),
        Layer::Local => ScopeKind::Local,
        Layer::Project => ScopeKind::Project,
        Layer::User => ScopeKind::User,
    };
    let Some(state) = out_of_date(file, kind, events, version) else { return current(file) };
    let is_dropped = matches!(state, RegistrationState::Unsupported(_))
        && version.is_some_and(|version| version < TOLERANT);
    let found = registered(file, state);
    let check = if is_dropped { Check::failed(found) } else { Check::warning(found) };
    Check { fix: SettingsScope::of(kind, subject.env).map(Fix::Register), ..check }
}

/// What `init` would change in a file.
fn out_of_date(
    file: &File,
    kind: ScopeKind,
    events: &[Subscription],
    version: Option<Version>,
) -> Option<RegistrationState> {
    let names = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<String> {
        events_of(&file.found).filter(|event| is_wanted(event)).map(str::to_owned).collect()
    };
    if let Some(version) = version {
        let too_new = names(&|event| since(event).is_some_and(|since| since > version));
        if !too_new.is_empty() {
            return Some(RegistrationState::Unsupported(too_new));
        }
    }
    let unused = names(&|event| !events.iter().any(|subscription| subscription.event == event));
    if !unused.is_empty() {
        return Some(RegistrationState::Unused(unused));
    }
    let missing = missing(file, events);
    if !missing.is_empty() {
        return Some(RegistrationState::Missing(missing));
    }
    let calls = || file.found.iter().filter_map(|found| found.entry.command.as_hook());
    if kind == ScopeKind::Project && calls().any(|call| call.names_a_path()) {
        return Some(RegistrationState::OwnPath);
    }
    if calls().any(|call| !call.is_guarded()) {
        return Some(RegistrationState::Unguarded);
    }
    let target = Target {
        program: Program::AsItIs,
        client: None,
        ledger: None,
        config: None,
        is_for_any_shell: false,
    };
    let written = settings::register(
        &file.text,
        &Registration { target: &target, format: &settings::CLAUDE_CODE, events },
    );
    (!written.is_ok_and(|written| written == file.text)).then_some(RegistrationState::Differs)
}

fn events_of(found: &[RegisteredHook]) -> impl Iterator<Item = &str> {
    found.iter().map(|found| found.event.as_str())
}

/// The events that a file does not register.
fn missing(file: &File, events: &[Subscription]) -> Vec<&'static str> {
    let is_there = |event: &str| events_of(&file.found).any(|found| found == event);
    events.iter().map(|subscription| subscription.event).filter(|event| !is_there(event)).collect()
}

/// An administrator's file, which nobody else can change.
fn of_managed_file(file: &File, events: &[Subscription]) -> Check {
    let missing = missing(file, events);
    if missing.is_empty() {
        return current(file);
    }
    Check::warning(registered(file, RegistrationState::Missing(missing)))
}

/// The first client that knows an event; `None` if that is not known, as of all that tallyhook has no use for.
fn since(event: &str) -> Option<Version> {
    let known = manifest::EVENTS.iter().chain([&manifest::GATE]).find(|known| known.event == event)?;
    Some(known.since)
}

fn plugin(view: &SettingsView) -> Option<Check> {
    let (is_enabled, file) = view.plugin()?;
    let others_run =
        view.files.iter().any(|file| !file.found.is_empty() && view.switch(file.layer).is_none());
    let plugin = |state| Diagnosis::Plugin { path: file.path.clone(), state };
    Some(match (is_enabled, view.switch(file.layer), others_run) {
        (false, _, true) => return None,
        (false, _, false) => Check::failed(plugin(PluginState::Disabled)),
        (true, Some(Switch { path: by, member }), others_run) => {
            let found = plugin(PluginState::TurnedOff { member, by, others_run });
            if others_run { Check::warning(found) } else { Check::failed(found) }
        }
        (true, None, true) => Check::warning(plugin(PluginState::Twice)),
        (true, None, false) => Check::ok(plugin(PluginState::Registers)),
    })
}

/// Registrations that run beside each other. The client itself runs a command once that stands in two files.
fn twice(view: &SettingsView) -> Option<Check> {
    let files: Vec<&File> = view
        .files
        .iter()
        .filter(|file| !file.found.is_empty() && view.switch(file.layer).is_none())
        .collect();
    let commands = |event: &str| {
        let mut commands: Vec<&RegisteredCommand> = files
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
        let layers = files.iter().map(|file| file.layer.name()).collect();
        Check::warning(Diagnosis::RegisteredTwice(layers))
    })
}

/// Registrations in files that the client does not read.
fn unread(view: &SettingsView) -> Vec<Check> {
    // Broken settings are what is to be mended first.
    let is_alone = matches!(view.recording(), Recording::Unread(_)) && view.faults.is_empty();
    let is_copy = |path: &std::path::Path| path.ends_with("hooks.json");
    // A copy beside settings is what `init` makes.
    let paths = view.unread.iter().filter(|path| is_alone || !is_copy(path));
    paths
        .map(|path| {
            let found = Diagnosis::Unread { path: path.clone(), is_alone };
            if is_alone { Check::failed(found) } else { Check::warning(found) }
        })
        .collect()
}

/// Whether the copy of the registration says what the settings say.
fn of_hooks_file(view: &SettingsView, scope: &SettingsScope) -> Option<Check> {
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
    let (settings, kind) = (scope.settings(), scope.kind.name());
    let found = Diagnosis::HooksFileDiffers { copy: path, settings, scope: kind };
    Some(Check::warning(found).with_fix(Fix::Register(scope.clone())))
}
