//! `tallyhook tools`.

use super::Context;
use super::args::ToolsArgs;
use super::cost::{Place, filter};
use crate::error::Error;
use crate::report::tools::ToolsReport;

pub(super) fn run(context: &Context, args: &ToolsArgs) -> Result<(), Error> {
    let Some(mut ledger) = context.ledger()? else { return Err(context.no_ledger()?) };
    context.refresh_origins(&mut ledger)?;
    let place = Place {
        since: args.since,
        until: args.until,
        project: args.project.as_deref(),
        model: args.model.as_deref(),
        tz: args.tz.as_ref(),
    };
    let report = ToolsReport::of(&ledger, &filter(context, &ledger, &place)?)?;
    context.show(&args.face, &report, !report.is_empty(), || vec![report.table()], |_| None)?;
    if report.is_empty() {
        let what = "nothing was spent there; ask for a longer time, or leave out --project or --model";
        return Err(Error::NoData { what: what.to_owned() });
    }
    Ok(())
}
