//! `tallyhook init`: registers the hook, proves that it works.

use std::path::{Path, PathBuf};

use super::args::{InitArgs, ScopeArg};
use super::show_usage::show_newest;
use super::{Context, diff, import, report_usage};
use crate::domain::{Agent, Mode};
use crate::error::Error;
use crate::hook::manifest::{self, Subscription};
use crate::import::{count_files, usual_folders};
use crate::setup::SetupError;
use crate::setup::client::{self, Client};
use crate::setup::command::{self, registered};
use crate::setup::plan::{self, Backups, Change};
use crate::setup::scope::{Scope, ScopeKind};
use crate::setup::settings::{self, Registration};
use crate::setup::{files, self_test, statusline};
use crate::store::Ledger;

pub(super) fn run(context: &Context, args: &InitArgs) -> Result<(), Error> {
    if args.client == "generic" {
        return context.print(report_usage::INSTRUCTION);
    }
    if Agent::from_name(&args.client) != Some(Agent::ClaudeCode) {
        return Err(SetupError::UnknownClient { client: args.client.clone() }.into());
    }
    let kind = match args.scope {
        ScopeArg::Project => ScopeKind::Project,
        ScopeArg::User => ScopeKind::User,
    };
    let scope = Scope::of(kind, &context.env).ok_or(SetupError::NoHome)?;
    let client = client::find(&context.env);
    let plan = Plan::of(context, &scope, client.as_ref())?;
    let backups = context.backups()?;

    let mut report = String::new();
    for change in &plan.changes {
        report.push_str(&diff::unified(change));
    }
    if args.dry_run {
        report.push_str(&headline(&plan, "nothing was changed (--dry-run)"));
        return context.print(&report);
    }
    plan.carry_out(&backups)?;
    let changed = plan.changes.iter().any(|change| !change.is_empty());
    report.push_str(&headline(&plan, if changed { "registered" } else { "already registered" }));
    for change in plan.changes.iter().filter(|change| !change.is_empty() && change.before.is_some()) {
        let copy = backups.path_of(&change.path);
        if copy.exists() {
            report.push_str(&line("backup", &copy.display().to_string()));
        }
    }
    context.print(&report)?;

    let ledger = match &plan.ledger {
        Some(ledger) => ledger.clone(),
        None => context.ledger_path()?,
    };
    self_test::run(&plan.command, &ledger)?;
    context
        .print(&line("self-test", &format!("an event went through the hook into {}", ledger.display())))?;
    context.print(&line("client", &client_line(client.as_ref(), plan.events.len())))?;
    if plan.ledger.is_none() && context.env.var("TALLYHOOK_DB").is_some() {
        let note = "TALLYHOOK_DB is set here; the hook uses that ledger where the client has it set too (or give --db)";
        context.print(&line("note", note))?;
    }
    offer_status_line(context, args, &scope, &plan, &backups)?;
    offer_import(context, args, &ledger)?;
    context.print("\n")?;
    if !show_newest(context)? {
        context.print(
            "Work on as always. `tallyhook show-usage` shows what a session uses, `tallyhook doctor` whether all is \
             well.\n",
        )?;
    }
    Ok(())
}

/// Registers the status line if the user agrees. One that is there, in whatever settings of this project or user, is left
/// alone unless he asks for both.
fn offer_status_line(
    context: &Context,
    args: &InitArgs,
    scope: &Scope,
    plan: &Plan,
    backups: &Backups,
) -> Result<(), Error> {
    let Some(binary) = context.env.binary().filter(|_| !args.no_statusline) else { return Ok(()) };
    let scopes =
        [ScopeKind::Project, ScopeKind::User].into_iter().filter_map(|kind| Scope::of(kind, &context.env));
    let files = scopes.flat_map(|scope| [scope.local_settings(), scope.settings()]);
    let found = files.filter_map(|path| {
        let text = files::read(&path).ok()??;
        Some((statusline::registered(&text).ok()??, path))
    });
    let mut found: Vec<_> = found.collect();
    // The one in the file that would be written goes first.
    found.sort_by_key(|(_, path)| *path != scope.settings());
    let wrapped = match found.into_iter().next() {
        Some((line, path)) if line.ours.is_some() && path != scope.settings() => return Ok(()),
        Some((line, _)) if line.ours.is_some() => line.ours.and_then(|ours| ours.wrapped),
        Some((_, path)) if !args.statusline => {
            let note = format!(
                "the one in {} stays; `tallyhook init --statusline` puts ours below it",
                path.display()
            );
            return context.print(&line("status", &note));
        }
        Some((line, _)) => Some(line.command).filter(|command| !command.is_empty()),
        None if args.statusline || context.confirms("Show the cost in Claude Code's status line? [y/N] ") => {
            None
        }
        None => {
            return context
                .print(&line("status", "`tallyhook init --statusline` shows the cost in the status line"));
        }
    };
    let command = command::status_line(&binary, plan.ledger.as_deref(), wrapped.as_deref());
    let change = plan::status_line(scope.settings(), &command)?;
    let is_new = !change.is_empty();
    plan::apply(&change, backups)?;
    let what = match (is_new, wrapped) {
        (false, _) => "already registered".to_owned(),
        (true, None) => format!("registered in {}", change.path.display()),
        (true, Some(_)) => format!("registered in {}, below the one that was there", change.path.display()),
    };
    context.print(&line("status", &what))
}

/// Fills the ledger from the transcripts that the client has not deleted yet, if the user agrees.
fn offer_import(context: &Context, args: &InitArgs, ledger: &Path) -> Result<(), Error> {
    let folders = usual_folders(&context.env);
    let files = count_files(&folders);
    if args.no_import || files == 0 {
        return Ok(());
    }
    let question = format!("Import the {files} transcripts of earlier sessions? [y/N] ");
    if args.import || context.confirms(&question) {
        let report = import::read(context, ledger, &folders)?;
        return context.print(&line("import", import::summary(&report).trim_end()));
    }
    let note = format!("`tallyhook import` reads the {files} transcripts of earlier sessions that are there");
    context.print(&line("history", &note))
}

/// What is to be done.
pub(super) struct Plan {
    /// The settings that the client reads, then the registration as a file.
    pub(super) changes: Vec<Change>,
    pub(super) command: String,
    events: Vec<Subscription>,
    ledger: Option<PathBuf>,
    scope: ScopeKind,
}

impl Plan {
    /// The plan for a scope, with the events that the installed client knows. A ledger that an earlier registration
    /// names stays named, unless another one is given.
    pub(super) fn of(context: &Context, scope: &Scope, client: Option<&Client>) -> Result<Self, Error> {
        let binary = context.env.binary().ok_or(SetupError::NoBinary)?;
        let given = context.options.db.as_ref().map(|path| context.env.cwd().join(path));
        let ledger = given.or_else(|| registered_ledger(scope));
        let command = registered(&binary, ledger.as_deref());
        let events = manifest::events_of(client.map(Client::number), is_gated(context, ledger.as_deref()));
        let registration =
            Registration { command: &command, events: &events, timeout_seconds: manifest::TIMEOUT_SECONDS };
        let mut changes = vec![plan::registering(scope.settings(), &registration)?];
        match plan::registering(scope.hooks_file(), &registration) {
            Ok(change) => changes.push(change),
            // The client does not read this one, so it is no reason to stop.
            Err(error) => context.say(&format!("tallyhook: {error}")),
        }
        Ok(Self { changes, command, events, ledger, scope: scope.kind })
    }

    /// Makes the changes.
    pub(super) fn carry_out(&self, backups: &Backups) -> Result<(), Error> {
        for change in &self.changes {
            plan::apply(change, backups)?;
        }
        Ok(())
    }

    fn settings(&self) -> Option<&Path> {
        self.changes.first().map(|change| change.path.as_path())
    }
}

/// Whether there is a budget that stops. A ledger that cannot be read has none.
fn is_gated(context: &Context, ledger: Option<&Path>) -> bool {
    let path = ledger.map(Path::to_path_buf).or_else(|| context.ledger_path().ok());
    path.and_then(|path| Ledger::open_for_reports(&path).ok()?.budgets().ok())
        .is_some_and(|budgets| budgets.iter().any(|budget| budget.mode == Mode::Stop))
}

/// The ledger that the scope's registration names.
fn registered_ledger(scope: &Scope) -> Option<PathBuf> {
    let text = files::read(&scope.settings()).ok()??;
    let found = settings::registered(&text).ok()?;
    found.iter().find_map(|hook| command::parse(&hook.command)?.ledger).map(PathBuf::from)
}

fn headline(plan: &Plan, done: &str) -> String {
    let settings = plan.settings().map(|path| path.display().to_string()).unwrap_or_default();
    line(plan.scope.name(), &format!("{done}: {} events in {settings}", plan.events.len()))
}

fn line(label: &str, text: &str) -> String {
    format!("{label:<10}{text}\n")
}

fn client_line(client: Option<&Client>, events: usize) -> String {
    match client {
        Some(client) => {
            format!("Claude Code {} ({}) knows {events} events", client.version, client.path.display())
        }
        None => "no Claude Code was found; run `tallyhook init` again if you install one older than 2.1.118"
            .to_owned(),
    }
}
