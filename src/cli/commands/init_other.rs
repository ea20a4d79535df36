//! `tallyhook init --client NAME`: registers the hook with a client other than Claude Code, and proves that it works.

use std::path::PathBuf;

use super::args::{InitArgs, ScopeArg};
use super::init::{
    backup_line, finish, is_gated, line, make_link, named_ledger, note_on_ledger, note_on_program,
    note_on_shared_path, target, test,
};
use super::scopes::contested_note;
use super::{Context, diff};
use crate::domain::OneLine as _;
use crate::error::Error;
use crate::setup::command::{Program, RegisteredCommand, Target};
use crate::setup::other_clients::OtherClient;
use crate::setup::plan::{self, FileChange};
use crate::setup::scope::ScopeKind;
use crate::setup::settings::{self, Registration};
use crate::setup::{SetupError, files};

pub(super) fn run(context: &Context, args: &InitArgs, other: &OtherClient) -> Result<(), Error> {
    let client = other.client.title();
    let kind = match args.scope {
        ScopeArg::Project => ScopeKind::Project,
        ScopeArg::User => ScopeKind::User,
        ScopeArg::Local => return Err(SetupError::NoLocalScope { client }.into()),
    };
    let path = other.file_of(kind, &context.env).ok_or(SetupError::NoHomeOf { client })?;
    let planned = || OtherPlan::of(context, other, kind, path.clone());
    let headline = |plan: &OtherPlan, done: &str| {
        line(kind.name(), &format!("{done}: {} events of {client} in {}", plan.events, path.one_line()))
    };
    if args.dry_run {
        let plan = planned()?;
        let headline = headline(&plan, "no changes made (--dry-run)");
        return context.print(&(diff::unified(&plan.change) + &headline));
    }
    let backups = context.backups()?;
    let mut plan = plan::settled(planned)?;
    let mut first = Some(plan.change.clone());
    let made = plan::make(&backups, || match first.take() {
        Some(change) => Ok(Some(change)),
        None => planned().map(|plan| Some(plan.change)),
    })?;
    let is_contested = made.as_ref().is_some_and(|made| made.contested);
    if let Some(made) = made {
        plan.change = made.change;
    }
    make_link(context, &plan.command, &plan.binary)?;

    let changed = !plan.change.is_empty();
    let mut report = diff::unified(&plan.change);
    report.push_str(&headline(&plan, if changed { "registered" } else { "already registered" }));
    report.push_str(&backup_line(&plan.change, &backups));
    if is_contested {
        report.push_str(&line("note", &contested_note(&path)));
    }
    report.push_str(&note_on_program(context, &plan.command, &plan.binary));
    context.print(&report)?;
    let ledger = match &plan.ledger {
        Some(ledger) => ledger.clone(),
        None => context.ledger_path()?,
    };
    test(context, &plan.command, other.test_event, &ledger)?;
    let notes = [other.note.filter(|_| changed), other.project_note.filter(|_| kind == ScopeKind::Project)];
    for note in notes.into_iter().flatten() {
        context.print(&line("note", note))?;
    }
    note_on_ledger(context, plan.ledger.is_some(), other.client)?;
    if kind == ScopeKind::Project {
        note_on_shared_path(context, "user")?;
    }
    if args.statusline {
        let note = format!("{client} has no status line that tallyhook can add to");
        context.print(&line("status", &note))?;
    }
    finish(context, args, &ledger, Some(other.client))
}

/// What is to be done.
struct OtherPlan {
    change: FileChange,
    /// What runs at each event.
    command: RegisteredCommand,
    /// How many events there are.
    events: usize,
    /// The ledger that the command names.
    ledger: Option<PathBuf>,
    binary: PathBuf,
}

impl OtherPlan {
    /// The plan for the file of a scope. What earlier registrations name stays named, unless another ledger or settings file
    /// is given.
    fn of(
        context: &Context,
        other: &OtherClient,
        kind: ScopeKind,
        path: PathBuf,
    ) -> Result<Self, SetupError> {
        let binary = context.env.binary().ok_or(SetupError::NoBinary)?;
        let is_portable = other.is_constant || kind == ScopeKind::Project;
        let program = if is_portable { Program::OnPath } else { Program::At(binary.clone()) };
        let target =
            Target { is_for_any_shell: other.has_any_shell, ..target(context, program, Some(other.client)) };
        // The ledger that knows the budgets is the one that the hook is to write to.
        let now = files::read(&path)?;
        let now = now.and_then(|text| settings::model(&other.format.registered(&text).ok()?));
        let known =
            target.ledger.clone().or_else(|| named_ledger(context, now.map(|entry| entry.command).as_ref()));
        let events = other.events(is_gated(context, known.as_deref()));
        let registration = Registration { target: &target, format: &other.format, events: &events };
        let change = plan::registering(path, &registration)?;
        let registered = change.after.as_deref().and_then(|text| other.format.registered(text).ok());
        let command = registered
            .and_then(|found| settings::model(&found))
            .map_or_else(|| RegisteredCommand::hook(&target), |entry| entry.command);
        let ledger = named_ledger(context, Some(&command));
        Ok(Self { change, command, events: events.len(), ledger, binary })
    }
}
