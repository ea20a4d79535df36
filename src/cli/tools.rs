//! `tallyhook tools`.

use super::Context;
use super::args::{OutputFormat, ToolsArgs};
use super::cost::{Place, filter, nothing, others};
use crate::error::Error;
use crate::report::tools::ToolsReport;

pub(super) fn run(context: &Context, args: &ToolsArgs) -> Result<(), Error> {
    let Some(mut ledger) = context.ledger()? else {
        context.show(&args.face, &ToolsReport::none(), false, Vec::new, |_| None)?;
        return Err(context.no_ledger()?);
    };
    context.refresh_allocations(&mut ledger)?;
    let place = Place {
        since: args.since,
        until: args.until,
        project: args.project.as_deref(),
        model: args.model.as_deref(),
        tz: args.tz.as_ref(),
    };
    let report = ToolsReport::of(&ledger, &filter(context, &ledger, &place)?)?;
    let is_short = args.face.face() == OutputFormat::Text && !args.all;
    let short = if is_short { report.abridged() } else { None };
    let shown = short.as_ref().map_or(&report, |(short, _)| short);
    let note = short.as_ref().map(|(_, over)| others(*over));
    context.show(&args.face, &report, !report.is_empty(), || vec![shown.table()], |_| note)?;
    if report.is_empty() {
        let is_filtered =
            args.since.is_some() || args.until.is_some() || args.project.is_some() || args.model.is_some();
        return Err(Error::NoData { what: nothing(is_filtered) });
    }
    Ok(())
}
