//! `tallyhook init`: registers the hook, proves that it works.

use std::path::{Path, PathBuf};

use super::args::{InitArgs, ScopeArg};
use super::scopes::contested_note;
use super::show_usage::show_newest;
use super::{Context, diff, import, init_other, report_usage};
use crate::domain::{Client, Mode, OneLine as _};
use crate::error::Error;
use crate::hook::manifest::{self, Subscription};
use crate::ingest::backfill::{count_files, usual_roots};
use crate::setup::SetupError;
use crate::setup::client::{self, InstalledClient};
use crate::setup::command::{Program, RegisteredCommand, Target};
use crate::setup::other_clients::{OTHER_CLIENTS, OtherClient};
use crate::setup::plan::{self, Backups, FileChange};
use crate::setup::scope::{ScopeKind, SettingsScope};
use crate::setup::settings::{self, CLAUDE_CODE, RegisteredHook, Registration};
use crate::setup::{files, link, self_test, statusline};
use crate::store::Ledger;

pub(super) fn run(context: &Context, args: &InitArgs) -> Result<(), Error> {
    if args.client == "generic" {
        return context.print(report_usage::INSTRUCTION);
    }
    let asked = Client::from_name(&args.client);
    if let Some(other) = asked.and_then(OtherClient::of) {
        return init_other::run(context, args, other);
    }
    if asked != Some(Client::ClaudeCode) {
        let names = [Client::ClaudeCode].into_iter().chain(OTHER_CLIENTS.iter().map(|other| other.client));
        let names: Vec<&str> = names.map(Client::name).chain(["generic"]).collect();
        let client = asked.map_or_else(|| args.client.one_line(), |client| client.title().to_owned());
        return Err(SetupError::UnknownClient { client, choices: names.join(", ") }.into());
    }
    let kind = match args.scope {
        ScopeArg::Project => ScopeKind::Project,
        ScopeArg::Local => ScopeKind::Local,
        ScopeArg::User => ScopeKind::User,
    };
    let scope = SettingsScope::of(kind, &context.env).ok_or(SetupError::NoHome)?;
    let client = client::find(&context.env);
    let hooks_file = if args.no_hooks_file { HooksFile::Leave } else { HooksFile::Write };
    let backups = context.backups()?;
    let diffs = |plan: &Plan| plan.changes.iter().map(diff::unified).collect::<String>();
    if args.dry_run {
        let plan = Plan::of(context, &scope, client.as_ref(), hooks_file)?;
        let headline = headline(&plan, "no changes made (--dry-run)");
        return context.print(&(diffs(&plan) + &headline));
    }
    let (plan, contested) = Plan::carry_out(context, &scope, client.as_ref(), hooks_file, &backups)?;
    let mut report = diffs(&plan);
    let changed = plan.changes.iter().any(|change| !change.is_empty());
    report.push_str(&headline(&plan, if changed { "registered" } else { "already registered" }));
    report.extend(plan.changes.iter().map(|change| backup_line(change, &backups)));
    if plan.changes.len() > 1 {
        let copy = "hooks/hooks.json lists the same hooks for reference; Claude Code reads settings.json";
        report.push_str(&line("copy", copy));
    }
    for path in &contested {
        report.push_str(&line("note", &contested_note(path)));
    }
    report.push_str(&note_on_program(context, &plan.command, &plan.binary));
    context.print(&report)?;

    let ledger = match &plan.ledger {
        Some(ledger) => ledger.clone(),
        None => context.ledger_path()?,
    };
    test(context, &plan.command, self_test::CLAUDE_CODE_EVENT, &ledger)?;
    context.print(&line("client", &client_line(client.as_ref(), plan.events.len())))?;
    note_on_ledger(context, plan.ledger.is_some(), Client::ClaudeCode)?;
    if scope.is_shared() {
        note_on_shared_path(context, "local")?;
    }
    offer_status_line(context, args, &scope, &plan, &backups)?;
    finish(context, args, &ledger, None)
}

/// Registers the status line if the user agrees. One that is there, in whatever settings of this project or user, is left
/// alone unless he asks for both.
fn offer_status_line(
    context: &Context,
    args: &InitArgs,
    scope: &SettingsScope,
    plan: &Plan,
    backups: &Backups,
) -> Result<(), Error> {
    if args.no_statusline {
        return Ok(());
    }
    let scopes = [ScopeKind::Local, ScopeKind::Project, ScopeKind::User];
    let files = scopes.into_iter().filter_map(|kind| Some(SettingsScope::of(kind, &context.env)?.settings()));
    let found = files.filter_map(|path| {
        let text = files::read(&path).ok()??;
        Some((statusline::registered(&text).ok()??, path))
    });
    let mut found: Vec<_> = found.collect();
    // The one in the file that would be written goes first.
    found.sort_by_key(|(_, path)| *path != scope.settings());
    let mut target = plan.target.clone();
    let mut is_wrapping = false;
    let command = match found.into_iter().next() {
        Some((line, path)) if line.ours.is_some() && path != scope.settings() => return Ok(()),
        // What the user has put in it stays: a template, another ledger, the line that it wraps.
        Some((statusline::Registered { command, ours: Some(call) }, _)) => {
            RegisteredCommand::line(command).renewed(&call, &target)
        }
        Some((_, path)) if !args.statusline => {
            let note = format!(
                "the status line in {} stays; `tallyhook init --statusline` adds tallyhook's below it",
                path.one_line()
            );
            return context.print(&line("status", &note));
        }
        Some((line, _)) => {
            target.ledger = plan.named_ledger.clone();
            let wrapped = Some(line.command).filter(|command| !command.is_empty());
            is_wrapping = wrapped.is_some();
            RegisteredCommand::status_line(&target, wrapped.as_deref())
        }
        None if args.statusline || context.confirms("Show the cost in Claude Code's status line? [y/N] ") => {
            target.ledger = plan.named_ledger.clone();
            RegisteredCommand::status_line(&target, None)
        }
        None => {
            return context
                .print(&line("status", "`tallyhook init --statusline` shows the cost in the status line"));
        }
    };
    let path = scope.settings();
    let made = plan::make(backups, || plan::status_line(path.clone(), &command.command).map(Some))?;
    let is_new = made.as_ref().is_some_and(|made| !made.change.is_empty());
    let what = match (is_new, is_wrapping) {
        (false, _) => "already registered".to_owned(),
        (true, false) => format!("registered in {}", path.one_line()),
        (true, true) => format!("registered in {}, below the existing one", path.one_line()),
    };
    context.print(&line("status", &what))?;
    if made.is_some_and(|made| made.contested) {
        context.print(&line("note", &contested_note(&path)))?;
    }
    Ok(())
}

/// Fills the ledger from the transcripts that the client has not deleted yet, if the user agrees.
fn offer_import(
    context: &Context,
    args: &InitArgs,
    ledger: &Path,
    only: Option<Client>,
) -> Result<(), Error> {
    let roots = usual_roots(&context.env, only);
    let files = count_files(&roots);
    if args.no_import || files == 0 {
        return Ok(());
    }
    let question = format!("Import {files} logs of earlier sessions? [y/N] ");
    if args.import || context.confirms(&question) {
        let report = import::read(context, ledger, &roots)?;
        return context.print(&line("import", import::summary(&report).trim_end()));
    }
    let narrowed = only.map(|client| format!(" --client {}", client.name())).unwrap_or_default();
    let note = format!("`tallyhook import{narrowed}` adds earlier sessions ({files} logs)");
    context.print(&line("history", &note))
}

/// Offers the import of earlier sessions, of one client or all, and ends with what there is to see.
pub(super) fn finish(
    context: &Context,
    args: &InitArgs,
    ledger: &Path,
    only: Option<Client>,
) -> Result<(), Error> {
    offer_import(context, args, ledger, only)?;
    context.print("\n")?;
    if !show_newest(context)? {
        context.print(
            "All set. `tallyhook show-usage` shows what a session has used; `tallyhook doctor` checks that everything \
             works.\n",
        )?;
    }
    Ok(())
}

/// Sends a made-up event through the registered command, and says that it arrived.
pub(super) fn test(
    context: &Context,
    command: &RegisteredCommand,
    event: &str,
    ledger: &Path,
) -> Result<(), Error> {
    self_test::run(command, event, ledger)?;
    context.print(&line("self-test", &format!("test event recorded in {}", ledger.one_line())))
}

/// The line on the copy of a file that was changed; empty if there is none.
pub(super) fn backup_line(change: &FileChange, backups: &Backups) -> String {
    let copy = backups.path_of(&change.path);
    let is_kept = !change.is_empty() && change.before.is_some() && copy.exists();
    if is_kept { line("backup", &copy.one_line()) } else { String::new() }
}

/// Says so if this shell names a ledger that the client's hooks may not know of.
pub(super) fn note_on_ledger(context: &Context, is_named: bool, client: Client) -> Result<(), Error> {
    let moves_ledger =
        ["TALLYHOOK_DB", "XDG_DATA_HOME"].into_iter().find(|name| context.env.var(name).is_some());
    let Some(name) = moves_ledger.filter(|_| !is_named) else { return Ok(()) };
    let note = format!(
        "{name} is set in this shell; the hook uses that ledger only if the variable is also set for {} (or pass --db)",
        client.title()
    );
    context.print(&line("note", &note))
}

/// Says so if a path of this machine has got into a file that others share. `scope` is one that keeps it private.
pub(super) fn note_on_shared_path(context: &Context, scope: &str) -> Result<(), Error> {
    if context.options.db.is_none() && context.options.config.is_none() {
        return Ok(());
    }
    let note = format!(
        "this path is now in a file that you share with others; use --scope {scope} to keep it private"
    );
    context.print(&line("note", &note))
}

/// What happens to the file that the client does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HooksFile {
    /// It is written.
    Write,
    /// It is brought up to date if it is there.
    Refresh,
    /// It is left alone.
    Leave,
}

/// What is to be done.
pub(super) struct Plan {
    /// The settings that the client reads, then the registration as a file.
    pub(super) changes: Vec<FileChange>,
    /// What runs after a tool's call.
    command: RegisteredCommand,
    target: Target,
    events: Vec<Subscription>,
    /// The ledger that the command writes to, if it is not the usual one, and as the command names it.
    ledger: Option<PathBuf>,
    named_ledger: Option<PathBuf>,
    scope: SettingsScope,
    binary: PathBuf,
}

impl Plan {
    /// The plan for a scope, with the events that the installed client knows. What earlier registrations name stays named,
    /// unless another ledger or settings file is given.
    pub(super) fn of(
        context: &Context,
        scope: &SettingsScope,
        client: Option<&InstalledClient>,
        hooks_file: HooksFile,
    ) -> Result<Self, SetupError> {
        let binary = context.env.binary().ok_or(SetupError::NoBinary)?;
        let program = if scope.is_shared() { Program::OnPath } else { Program::At(binary.clone()) };
        let target = target(context, program, None);
        let now = files::read(&scope.settings())?.and_then(|text| settings::registered(&text).ok());
        let now = now.as_deref().and_then(settings::model).map(|entry| entry.command);
        let ledger = target.ledger.clone().or_else(|| named_ledger(context, now.as_ref()));
        let events =
            manifest::events_of(client.map(InstalledClient::number), is_gated(context, ledger.as_deref()));
        let registration = Registration { target: &target, format: &CLAUDE_CODE, events: &events };
        let change = plan::registering(scope.settings(), &registration)?;
        let registered: Vec<RegisteredHook> =
            change.after.as_deref().and_then(|text| settings::registered(text).ok()).unwrap_or_default();
        let command = registered
            .iter()
            .find(|found| found.event == "PostToolUse")
            .map_or_else(|| RegisteredCommand::hook(&target), |found| found.entry.command.clone());
        let mut changes = vec![change];
        // The local scope is for one person, and that file for all.
        let is_wanted = scope.kind != ScopeKind::Local
            && match hooks_file {
                HooksFile::Write => true,
                HooksFile::Refresh => scope.hooks_file().exists(),
                HooksFile::Leave => false,
            };
        if is_wanted {
            match plan::hooks_file(scope.hooks_file(), &registered, &registration) {
                Ok(change) => changes.push(change),
                // The client does not read this one, so it is no reason to stop.
                Err(error) => context.say(&format!("tallyhook: {error}")),
            }
        }
        let ledger = named_ledger(context, Some(&command));
        let named = command.as_hook().and_then(|call| call.ledger().map(PathBuf::from));
        Ok(Self {
            changes,
            command,
            target,
            events,
            ledger,
            named_ledger: named,
            scope: scope.clone(),
            binary,
        })
    }

    /// Works the changes out and makes them. Returns what was done, and the files that other programs wrote meanwhile: their
    /// changes are kept.
    pub(super) fn carry_out(
        context: &Context,
        scope: &SettingsScope,
        client: Option<&InstalledClient>,
        hooks_file: HooksFile,
        backups: &Backups,
    ) -> Result<(Self, Vec<PathBuf>), Error> {
        let mut plan = plan::settled(|| Self::of(context, scope, client, hooks_file))?;
        let mut contested = Vec::new();
        for at in 0..plan.changes.len() {
            let mut first = plan.changes.get(at).cloned();
            let made = plan::make(backups, || match first.take() {
                Some(change) => Ok(Some(change)),
                None => Ok(Self::of(context, scope, client, hooks_file)?.changes.get(at).cloned()),
            })?;
            if let (Some(made), Some(change)) = (made, plan.changes.get_mut(at)) {
                contested.extend(made.contested.then(|| made.change.path.clone()));
                *change = made.change;
            }
        }
        make_link(context, &plan.command, &plan.binary)?;
        Ok((plan, contested))
    }

    fn settings(&self) -> Option<&Path> {
        self.changes.first().map(|change| change.path.as_path())
    }
}

/// What registered lines are brought to by the options of this call.
pub(super) fn target(context: &Context, program: Program, client: Option<Client>) -> Target {
    let given = |path: &Option<PathBuf>| path.as_ref().map(|path| context.env.cwd().join(path));
    Target {
        program,
        client,
        ledger: given(&context.options.db),
        config: given(&context.options.config),
        is_for_any_shell: false,
    }
}

/// Makes a link to this binary if a registered line would not find it without one.
pub(super) fn make_link(
    context: &Context,
    command: &RegisteredCommand,
    binary: &Path,
) -> Result<(), SetupError> {
    if names_no_path(command) && link::elsewhere(&context.env).is_none() {
        link::make(&context.env, binary)?;
    }
    Ok(())
}

fn names_no_path(command: &RegisteredCommand) -> bool {
    command.as_hook().is_some_and(|call| call.binary == "tallyhook")
}

/// What a line runs that names no path, where that is not plain.
pub(super) fn note_on_program(context: &Context, command: &RegisteredCommand, binary: &Path) -> String {
    if !names_no_path(command) {
        return String::new();
    }
    let is_this = |path: &Path| path.canonicalize().ok() == binary.canonicalize().ok();
    match (link::elsewhere(&context.env), link::path(&context.env)) {
        (Some(path), _) if is_this(&path) => String::new(),
        (Some(path), _) => line("note", &format!("the hook runs {}, not this binary", path.one_line())),
        (None, Some(path)) => line(
            "link",
            &format!(
                "{} points to {}, because `tallyhook` isn't on your PATH",
                path.one_line(),
                binary.one_line()
            ),
        ),
        (None, None) => String::new(),
    }
}

/// The ledger that a command names.
pub(super) fn named_ledger(context: &Context, command: Option<&RegisteredCommand>) -> Option<PathBuf> {
    let call = command?.as_hook()?;
    Some(context.env.cwd().join(context.env.expand(Path::new(call.ledger()?))))
}

/// Whether there is a budget that stops. A ledger that cannot be read has none.
pub(super) fn is_gated(context: &Context, ledger: Option<&Path>) -> bool {
    let path = ledger.map(Path::to_path_buf).or_else(|| context.ledger_path().ok());
    path.and_then(|path| Ledger::open_for_reports(&path).ok()?.budgets().all().ok())
        .is_some_and(|budgets| budgets.iter().any(|budget| budget.mode == Mode::Stop))
}

fn headline(plan: &Plan, done: &str) -> String {
    let settings = plan.settings().map(|path| path.one_line()).unwrap_or_default();
    line(plan.scope.kind.name(), &format!("{done}: {} events in {settings}", plan.events.len()))
}

pub(super) fn line(label: &str, text: &str) -> String {
    format!("{label:<10}{text}\n")
}

fn client_line(client: Option<&InstalledClient>, events: usize) -> String {
    match client {
        Some(client) => {
            format!("Claude Code {} ({}) supports {events} events", client.version, client.path.one_line())
        }
        None => {
            "Claude Code wasn't found, so all events were registered; if you install a version older than 2.1.118, run `tallyhook init` again"
                .to_owned()
        }
    }
}
