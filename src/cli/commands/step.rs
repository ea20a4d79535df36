//! `tallyhook step`: names the work of a session.

use super::args::{OutputFormat, StepAction, StepArgs};
use super::session::{find, not_found, refreshed};
use super::{Context, Extent};
use crate::allocation;
use crate::domain::{
    MAX_NAME_CHARS, NamedStep, OneLine as _, Timestamp, clean_name, is_turn_name, task_list,
};
use crate::error::Error;
use crate::present::Present as _;
use crate::report::steps::StepsReport;
use crate::report::usage::{Basis, Filter, UsageReport};
use crate::store::{Ledger, SessionRecord};

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
            let Some(ended) = ledger.sessions_mut().end_step(record.row, name.as_deref(), now)? else {
                let open = open_steps(&ledger.sessions().named_steps(record.row)?).join(", ");
                let what = match (name, open.is_empty()) {
                    (_, true) => "no step is open; start one with `tallyhook step start NAME`".to_owned(),
                    (Some(name), _) => format!("no step {name:?} is open; open steps: {open}"),
                    (None, _) => format!("no step was ended; open steps: {open}"),
                };
                return Err(Error::NoData { what });
            };
            context.print(&format!("ended {}\n", ended.one_line()))
        }
        StepAction::List { output } => list(context, ledger, &record, output.format()),
    }
}

/// The answer where there is no session: the list's JSON all the same, and exit code 4.
fn nothing(context: &Context, args: &StepArgs, why: Error) -> Result<(), Error> {
    if let StepAction::List { output } = &args.action {
        context.show(output.format(), &StepsReport::none(), Extent::default())?;
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
        return Err(Error::Usage {
            what: "a step needs a name with at least one visible character".to_owned(),
        });
    };
    if is_turn_name(&name) {
        let what = format!("`{name}` is reserved for work outside a named step; choose another name");
        return Err(Error::Usage { what });
    }
    if !context.config(record.project.as_deref())?.store_names {
        name = format!("step {}", ledger.sessions().named_steps(record.row)?.len() + 1);
    }
    ledger.sessions_mut().start_step(record.row, &name, now)?;
    context.print(&format!("started {name}\n"))
}

fn open_steps(steps: &[NamedStep]) -> Vec<&str> {
    steps.iter().filter(|step| step.ended_at.is_none()).map(|step| step.name.as_str()).collect()
}

fn list(
    context: &Context,
    mut ledger: Ledger,
    record: &SessionRecord,
    format: OutputFormat,
) -> Result<(), Error> {
    let record = refreshed(context, &mut ledger, record.clone())?;
    let allocations = context.session_allocations(&mut ledger, record.row)?;
    let timeline = allocation::timeline(&ledger, record.row)?;
    let prices = context.prices()?;
    let basis = Basis { timeline: &timeline, allocations: &allocations.rows, prices: &prices };
    let report = UsageReport::of_session(&ledger, &record, &Filter::default(), basis)?;
    let list = StepsReport {
        session_id: Some(record.id.clone()),
        steps: report.by_step,
        current: timeline.spans().last().map(|span| span.name.clone()),
        tasks: task_list(&ledger.logs().task_changes(record.row)?).into(),
        is_live: record.finalized_at.is_none(),
        ..StepsReport::none()
    };
    context.show(format, &list, Extent::default())?;
    if list.has_data() || format == OutputFormat::Json {
        return Ok(());
    }
    Err(Error::NoData { what: "the session has no steps yet".to_owned() })
}
