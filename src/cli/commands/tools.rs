//! `tallyhook tools`.

use super::args::ToolsArgs;
use super::cost::{LedgerPart, filter, nothing};
use super::{Context, Extent};
use crate::error::Error;
use crate::report::tools::ToolsReport;

pub(super) fn run(context: &Context, args: &ToolsArgs) -> Result<(), Error> {
    let Some(mut ledger) = context.ledger()? else {
        context.show(args.output.format(), &ToolsReport::none(), Extent::default())?;
        return Err(context.no_ledger()?);
    };
    context.refresh_allocations(&mut ledger)?;
    let place = LedgerPart {
        since: args.since,
        until: args.until,
        project: args.project.as_deref(),
        model: args.model.as_deref(),
        tz: args.tz.as_ref(),
    };
    let report = ToolsReport::of(&ledger, &filter(context, &ledger, &place)?)?;
    let extent = Extent { shows_all: args.all, ..Extent::default() };
    context.show(args.output.format(), &report, extent)?;
    if report.is_empty() {
        let is_filtered =
            args.since.is_some() || args.until.is_some() || args.project.is_some() || args.model.is_some();
        return Err(Error::NoData { what: nothing(is_filtered) });
    }
    Ok(())
}
