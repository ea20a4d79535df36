//! `tallyhook budget`: sets limits and shows how they stand.

use std::path::{Path, PathBuf};

use super::args::{BudgetAction, BudgetArgs, BudgetSetArgs, OutputFormat, Which};
use super::scopes::{contested_note, every_scope, other_files};
use super::session::refreshed;
use super::{Context, Extent, session};
use crate::allocation;
use crate::budget::{self, BudgetStatus, Course};
use crate::calendar::Zone;
use crate::config::Lowered;
use crate::domain::amount::{self, AmountFault};
use crate::domain::{
    Budget, Client, Limit, MAX_NAME_CHARS, Mode, OneLine as _, Scope, Timeline, clean_name, plural,
    project_folder, task_list,
};
use crate::error::Error;
use crate::present::budget_messages::amount_text;
use crate::report::budgets::{BudgetInfo, BudgetsReport, Seen, SessionWork};
use crate::setup::other_clients::{OTHER_CLIENTS, OtherClient};
use crate::setup::scope::{ScopeKind, SettingsScope};
use crate::setup::view::{Recording, SettingsView, Switch};
use crate::setup::{files, plan};
use crate::store::{BudgetQuery, Ledger, SessionRecord, StoreError};

pub(super) fn run(context: &Context, args: &BudgetArgs) -> Result<(), Error> {
    let now = context.env.now();
    match &args.action {
        BudgetAction::Set(args) => set(context, args),
        BudgetAction::Add { amount, which } => {
            let more = limit(amount, which.tokens)?;
            change(context, which, |budget| budget.limit.plus(more).map(|limit| Budget { limit, ..budget }))
        }
        BudgetAction::Warn { percent, which } => {
            change_all(context, which, |budget| Budget { warn_percent: *percent, ..budget })
        }
        BudgetAction::Override { time, which } => {
            change_all(context, which, |budget| Budget { free_until: Some(now.plus(*time)), ..budget })
        }
        BudgetAction::Clear { which } => {
            let mut ledger = open(context)?;
            let found = matching(context, &ledger, which)?;
            ledger.budgets_mut().clear(&found)?;
            register_gate(context, &ledger)?;
            context.print(&format!("{} removed\n", plural(found.len() as u64, "budget")))
        }
        BudgetAction::Status { check, session, output } => {
            status(context, session.as_deref(), *check, output.format())
        }
    }
}

fn set(context: &Context, args: &BudgetSetArgs) -> Result<(), Error> {
    let scope = scope(context, &args.which);
    let per = args.which.per.map(Into::into).unwrap_or_default();
    let budget = Budget {
        warn_percent: args.warn,
        mode: if args.stop { Mode::Stop } else { Mode::Warn },
        ..Budget::new(limit(&args.amount, args.which.tokens)?, per, scope)
    };
    let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
    ledger.budgets_mut().set(&budget)?;
    register_gate(context, &ledger)?;
    show(context, &mut ledger)?;
    let project = budget.scope.project.as_deref();
    warn_unless_heard(context, project, "this budget can't warn or stop anything");
    Ok(())
}

/// Whether a hook of ours is registered with another client that shows what it is told, in the project or anywhere.
fn others_hear(context: &Context, project: Option<&Path>) -> bool {
    let is_heard = |(path, other): (PathBuf, &OtherClient)| {
        let text = files::read(&path).ok().flatten();
        let found = text.and_then(|text| other.format.registered(&text).ok());
        other.warns && found.is_some_and(|found| !found.is_empty())
    };
    let Some(project) = project else {
        return other_files(context, &every_scope(context)).into_iter().any(is_heard);
    };
    OTHER_CLIENTS.iter().any(|other| {
        let user = other.file_of(ScopeKind::User, &context.env);
        user.into_iter().chain([other.project_file(project)]).any(|path| is_heard((path, other)))
    })
}

/// Says so, loudly, if no hook runs that could do what was asked for, in the project or anywhere.
pub(super) fn warn_unless_heard(context: &Context, project: Option<&str>, consequence: &str) {
    let here = match project {
        Some(project) => SettingsView::of_project(&context.env, Path::new(project)),
        None => SettingsView::of(&context.env),
    };
    let others = || {
        let scopes = every_scope(context).into_iter().filter(SettingsScope::is_shared);
        scopes.filter_map(|scope| Some(SettingsView::of_project(&context.env, scope.folder.parent()?)))
    };
    let runs = |view: &SettingsView| view.recording() == Recording::Runs;
    let hears = || others_hear(context, project.map(Path::new));
    if runs(&here) || (project.is_none() && others().any(|view| runs(&view))) || hears() {
        return;
    }
    let (why, cure) = match here.recording() {
        Recording::SwitchedOff(Switch { path, member }) => {
            (format!("hooks are turned off ({member} in {})", path.one_line()), "remove that line".to_owned())
        }
        Recording::Unread(path) => {
            let why =
                format!("the hook is registered only in {}, which Claude Code doesn't read", path.one_line());
            (why, "run `tallyhook init`".to_owned())
        }
        Recording::Nowhere | Recording::Runs => (
            "tallyhook's hook isn't registered".to_owned(),
            "run `tallyhook init` in the project, or `tallyhook init --scope user` for all projects"
                .to_owned(),
        ),
    };
    context.say(&format!("WARNING: {why}, so {consequence}\n{cure}; `tallyhook doctor` has details"));
}

/// Changes the one budget that is meant.
fn change(context: &Context, which: &Which, to: impl Fn(Budget) -> Option<Budget>) -> Result<(), Error> {
    let mut ledger = open(context)?;
    let mut found = matching(context, &ledger, which)?;
    found.retain(|budget| matches!(budget.limit, Limit::Tokens(_)) == which.tokens);
    let (Some(budget), true) = (found.pop(), found.is_empty()) else {
        let names: Vec<String> = ledger.budgets().all()?.iter().map(name).collect();
        let what = format!(
            "several budgets match; choose one with --per, --project, --agent, --model, or --tokens: {}",
            names.join("; ")
        );
        return Err(Error::Usage { what });
    };
    let changed =
        to(budget).ok_or_else(|| Error::Usage { what: "the new limit would be too large".to_owned() })?;
    ledger.budgets_mut().change(&changed)?;
    show(context, &mut ledger)
}

/// Changes all budgets that are meant.
fn change_all(context: &Context, which: &Which, to: impl Fn(Budget) -> Budget) -> Result<(), Error> {
    let mut ledger = open(context)?;
    for budget in matching(context, &ledger, which)? {
        ledger.budgets_mut().change(&to(budget))?;
    }
    show(context, &mut ledger)
}

fn status(context: &Context, id: Option<&str>, check: bool, format: OutputFormat) -> Result<(), Error> {
    let nothing = |why: Error| {
        if format == OutputFormat::Json {
            let none = BudgetsReport { schema_version: 1, budgets: Vec::new(), session_id: None, work: None };
            context.print_json(&none)?;
        }
        Err(why)
    };
    let mut ledger = match open(context) {
        Ok(ledger) => ledger,
        Err(error) => return nothing(error),
    };
    let record = match session::find(context, &ledger, id)? {
        Some(record) => Some(refreshed(context, &mut ledger, record)?),
        // Whoever asks about a session must not be told about none.
        None if id.is_some() => {
            let what = session::not_found(context, Some(&ledger), id)?;
            return nothing(Error::NoData { what });
        }
        None => None,
    };
    let report = report(context, &mut ledger, record.as_ref())?;
    let exceeded = report.exceeded();
    context.show(format, &report, Extent::default())?;
    if check && exceeded > 0 { Err(Error::OverBudget { budgets: exceeded }) } else { Ok(()) }
}

/// Shows all budgets after a change.
fn show(context: &Context, ledger: &mut Ledger) -> Result<(), Error> {
    let record = session::find(context, ledger, None)?;
    let report = report(context, ledger, record.as_ref())?;
    context.print_page(report.page_after_change(&context.page_options()))
}

/// How all budgets stand, those of sessions for this one.
pub(super) fn report(
    context: &Context,
    ledger: &mut Ledger,
    record: Option<&SessionRecord>,
) -> Result<BudgetsReport, Error> {
    let asked = match record {
        Some(record) => ledger.budgets().of_session(&record.id)?,
        None => None,
    };
    let asked = match asked {
        Some(asked) => asked,
        None => budget::of_no_session(ledger.budgets().all()?),
    };
    let session_id = record.map(|record| record.id.clone());
    let (course, work) = match record {
        Some(record) => {
            let (course, work) = course(ledger, record, &allocation::timeline(ledger, record.row)?)?;
            (course, Some(work))
        }
        None => (Course::default(), None),
    };
    let budgets = infos(context, ledger, asked, (record, &course), |_| true)?;
    Ok(BudgetsReport { schema_version: 1, budgets, session_id, work })
}

/// What a session has used and works on.
fn course(
    ledger: &Ledger,
    record: &SessionRecord,
    timeline: &Timeline,
) -> Result<(Course, SessionWork), StoreError> {
    let tasks = task_list(&ledger.logs().task_changes(record.row)?);
    let step = timeline.spans().last().map(|span| span.name.clone());
    let is_live = record.finalized_at.is_none();
    let work = SessionWork { step, tasks_done: tasks.done, tasks_total: tasks.total, is_live };
    Ok((Course { used: ledger.budgets().used_by(record.row, None)?, tasks }, work))
}

/// The budgets that hold for a session, as `show-usage` shows them, and what it works on.
pub(super) fn of_session(
    context: &Context,
    ledger: &mut Ledger,
    record: &SessionRecord,
    timeline: &Timeline,
) -> Result<(Vec<BudgetInfo>, SessionWork), Error> {
    let (course, work) = course(ledger, record, timeline)?;
    let Some(asked) = ledger.budgets().of_session(&record.id)? else { return Ok((Vec::new(), work)) };
    let project = record.project.as_deref();
    let is_own = |held: &BudgetStatus| held.budget.scope.has_project(project);
    Ok((infos(context, ledger, asked, (Some(record), &course), is_own)?, work))
}

fn infos(
    context: &Context,
    ledger: &mut Ledger,
    asked: BudgetQuery,
    (record, course): (Option<&SessionRecord>, &Course),
    is_wanted: impl Fn(&BudgetStatus) -> bool,
) -> Result<Vec<BudgetInfo>, Error> {
    let now = context.env.now();
    let lowered = match record {
        Some(record) => context.config(record.project.as_deref())?.lowered,
        None => Lowered::default(),
    };
    let row = asked.session;
    let zone = Zone::of_user(&context.env);
    let session =
        record.map(|record| (Client::from_name(&record.client).unwrap_or_default(), record.id.as_str()));
    let seen = Seen { now, session, course };
    let mut infos = Vec::new();
    for held in
        budget::standings_anew(ledger, asked, now, &zone, &lowered)?.iter().filter(|held| is_wanted(held))
    {
        let since = budget::used_for(ledger, held, record.and_then(|record| record.started_at), now)?;
        let unpriced = ledger.budgets().unpriced_of(&held.budget, row, held.totals.span)?;
        infos.push(BudgetInfo::of(held, since, unpriced.into_iter().collect(), &seen));
    }
    Ok(infos)
}

/// Asks the clients to ask us before each call of a tool while a budget stops, and no longer. Where that cannot be
/// changed the session stops a little later: after the tools at hand.
fn register_gate(context: &Context, ledger: &Ledger) -> Result<(), Error> {
    let is_gated = ledger.budgets().all()?.iter().any(|budget| budget.mode == Mode::Stop);
    let backups = context.backups()?;
    let scopes = every_scope(context);
    let others = other_files(context, &scopes).into_iter();
    let others = others.filter_map(|(path, other)| other.is_gated().then_some(path));
    let mut files: Vec<_> = scopes.iter().flat_map(plan::files_of).chain(others).collect();
    files.sort();
    files.dedup();
    for path in files {
        match plan::make(&backups, || plan::gating(path.clone(), is_gated)) {
            Ok(Some(made)) if made.contested => {
                context.say(&format!("tallyhook: {}", contested_note(&made.change.path)));
            }
            Ok(_) => {}
            Err(error) => context.say(&format!("tallyhook: {error}")),
        }
    }
    Ok(())
}

fn open(context: &Context) -> Result<Ledger, Error> {
    match context.ledger()? {
        Some(ledger) => Ok(ledger),
        None => Err(context.no_ledger()?),
    }
}

/// The budgets that the options name; all of them if they name none.
fn matching(context: &Context, ledger: &Ledger, which: &Which) -> Result<Vec<Budget>, Error> {
    let wanted = scope(context, which);
    let per = which.per.map(Into::into);
    let budgets = ledger.budgets().all()?;
    if budgets.is_empty() {
        return Err(Error::NoData {
            what: "no budget is set; set one with `tallyhook budget set 5`".to_owned(),
        });
    }
    let is_meant = |budget: &Budget| {
        per.is_none_or(|per| budget.per == per)
            && (wanted.project.is_none() || budget.scope.project == wanted.project)
            && (wanted.agent.is_none() || budget.scope.agent == wanted.agent)
            && (wanted.model.is_none() || budget.scope.model == wanted.model)
            && (!which.tokens || matches!(budget.limit, Limit::Tokens(_)))
    };
    let names: Vec<String> = budgets.iter().map(name).collect();
    let found: Vec<Budget> = budgets.into_iter().filter(is_meant).collect();
    if found.is_empty() {
        return Err(Error::NoData { what: format!("no such budget; choose from: {}", names.join("; ")) });
    }
    Ok(found)
}

fn scope(context: &Context, which: &Which) -> Scope {
    let project = which.project.as_ref().map(|path| context.env.cwd().join(path));
    // As the client names it: without links and dots, where it is there.
    let folder = |path: PathBuf| path.canonicalize().unwrap_or(path).to_string_lossy().into_owned();
    let project = project.map(|path| project_folder(folder(path)));
    let name = |name: &Option<String>| name.as_ref().and_then(|name| clean_name(name, MAX_NAME_CHARS));
    Scope { project, agent: name(&which.agent), model: name(&which.model) }
}

fn limit(text: &str, is_tokens: bool) -> Result<Limit, Error> {
    let wrong = |what: &str, fault: AmountFault| {
        // `500k` without --tokens is most likely a number of tokens.
        let is_scaled = !is_tokens && text.ends_with(['k', 'K', 'm', 'M', 'b', 'B']);
        let hint = if is_scaled && amount::tokens(text).is_ok() { "; for tokens, add --tokens" } else { "" };
        Error::Usage { what: format!("{text:?} isn't {what}: {fault}{hint}") }
    };
    if is_tokens {
        amount::tokens(text).map(Limit::Tokens).map_err(|fault| wrong("a number of tokens", fault))
    } else {
        amount::usd(text).map(Limit::Usd).map_err(|fault| wrong("an amount in USD", fault))
    }
}

fn name(budget: &Budget) -> String {
    format!("{} per {} for {}", amount_text(budget.limit), budget.per.name(), budget.scope.name())
}
