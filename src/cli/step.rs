//! `tallyhook step`: names the work of a session.

use serde::Serialize;

use super::Context;
use super::args::{StepAction, StepArgs};
use super::session::refreshed;
use super::session::{find, not_found};
use crate::allocation;
use crate::domain::{MAX_NAME_CHARS, NamedStep, OneLine as _, Timestamp, clean_name, is_turn_name};
use crate::error::Error;
use crate::render;
use crate::report::allocations::phase_cells;
use crate::report::usage::{Basis, Filter, StepUsage, UsageReport};
use crate::report::{Cell, Share, Table};
use crate::store::{Ledger, SessionRecord};

/// `step list --json`.
#[derive(Serialize)]
struct List<'a> {
    schema_version: u32,
    /// Null if there is no such session.
    session_id: Option<&'a str>,
    steps: &'a [StepUsage],
    /// The step in progress; null if the session has not begun.
    current: Option<&'a str>,
    /// The agent's own list of tasks.
    tasks: Tasks,
}

#[derive(Serialize)]
struct Tasks {
    done: u64,
    total: u64,
}

pub(super) fn run(context: &Context, args: &StepArgs) -> Result<(), Error> {
    let Some(mut ledger) = context.ledger()? else { return nothing(context, args, context.no_ledger()?) };
    let Some(record) = find(context, &ledger, args.session.as_deref())? else {
        let what = not_found(context, Some(&ledger), args.session.as_deref())?;
        return nothing(context, args, Error::NoData { what });
    };
    let now = context.env.now();
    match &args.action {
        StepAction::Start { name } => start(context, &mut ledger, &record, name, now),
        StepAction::End { name } => {
            let Some(ended) = ledger.end_step(record.row, name.as_deref(), now)? else {
                let open = open_steps(&ledger.named_steps(record.row)?).join(", ");
                let what = match (name, open.is_empty()) {
                    (_, true) => "no step is open; start one with `tallyhook step start NAME`".to_owned(),
                    (Some(name), _) => format!("no step {name:?} is open; open steps: {open}"),
                    (None, _) => format!("nothing was ended; open steps: {open}"),
                };
                return Err(Error::NoData { what });
            };
            context.print(&format!("ended {}\n", ended.one_line()))
        }
        StepAction::List { json } => list(context, ledger, &record, *json),
    }
}

/// The answer where there is no session: the list's JSON all the same, and exit code 4.
fn nothing(context: &Context, args: &StepArgs, why: Error) -> Result<(), Error> {
    if let StepAction::List { json: true } = args.action {
        let tasks = Tasks { done: 0, total: 0 };
        let list = List { schema_version: 1, session_id: None, steps: &[], current: None, tasks };
        context.print_json(&list)?;
    }
    Err(why)
}

fn start(
    context: &Context,
    ledger: &mut Ledger,
    record: &SessionRecord,
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(mut name) = clean_name(name, MAX_NAME_CHARS) else {
        return Err(Error::Usage { what: "a step needs a name with visible characters".to_owned() });
    };
    if is_turn_name(&name) {
        let what =
            format!("`{name}` is what work without a named step is called; give the step another name");
        return Err(Error::Usage { what });
    }
    if !context.config(record.project.as_deref())?.store_names {
        name = format!("step {}", ledger.named_steps(record.row)?.len() + 1);
    }
    ledger.start_step(record.row, &name, now)?;
    context.print(&format!("started {name}\n"))
}

fn open_steps(steps: &[NamedStep]) -> Vec<&str> {
    steps.iter().filter(|step| step.ended_at.is_none()).map(|step| step.name.as_str()).collect()
}

fn list(context: &Context, mut ledger: Ledger, record: &SessionRecord, json: bool) -> Result<(), Error> {
    let record = refreshed(context, &mut ledger, record.clone())?;
    let allocations = context.session_allocations(&mut ledger, record.row)?;
    let timeline = allocation::timeline(&ledger, record.row)?;
    let prices = context.prices()?;
    let basis = Basis { timeline: &timeline, shares: &allocations.shares, prices: &prices };
    let report = UsageReport::of_session(&ledger, &record, &Filter::default(), basis)?;
    let current = timeline.spans().last().map(|span| span.name.as_str());
    let tasks = crate::domain::task_list(&ledger.task_changes(record.row)?);
    if json {
        let list = List {
            schema_version: 1,
            session_id: Some(&record.id),
            steps: &report.by_step,
            current,
            tasks: Tasks { done: tasks.done, total: tasks.total },
        };
        return context.print_json(&list);
    }
    if report.by_step.is_empty() && current.is_none() {
        return Err(Error::NoData { what: "the session has no steps yet".to_owned() });
    }
    let style = context.style();
    let mut text = render::table(&table(&report.by_step), style);
    if let Some(current) = current.filter(|_| record.finalized_at.is_none()) {
        text.push_str(&render::note(&format!("in progress: {}", current.one_line()), style));
    }
    if tasks.total > 0 {
        text.push_str(&render::note(&format!("tasks: {} of {} done", tasks.done, tasks.total), style));
    }
    context.print_painted(&text)
}

fn table(steps: &[StepUsage]) -> Table {
    let share = Share::heading(steps.iter().map(|step| step.paid.share));
    let columns = ["step", "times", "duration", "tokens", "first read", "re-reads", "cost", share];
    let mut table = Table::new("Steps", &columns);
    for step in steps {
        let [entry, carry] =
            phase_cells(step.paid.entry_cost_usd, step.paid.carry_cost_usd, step.paid.cost_usd);
        table.rows.push(vec![
            Cell::Text(step.step.clone()),
            if step.iterations == 0 { Cell::Text(String::new()) } else { Cell::Count(step.iterations) },
            step.duration_seconds.map_or(Cell::Unknown, Cell::Span),
            Cell::Count(step.paid.total_tokens),
            entry,
            carry,
            Cell::Usd { amount: step.paid.cost_usd, at_least: step.paid.is_partly_priced },
            step.paid.share.cell(),
        ]);
    }
    table
}
