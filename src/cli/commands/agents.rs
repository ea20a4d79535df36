//! `tallyhook agents`.

use super::args::AgentsArgs;
use super::{Context, Extent};
use crate::error::Error;
use crate::report::agents::AgentsReport;

pub(super) fn run(context: &Context, args: &AgentsArgs) -> Result<(), Error> {
    let here = context.env.cwd().to_string_lossy().into_owned();
    let config = context.config(Some(&here))?;
    let mut ledger = context.ledger()?;
    let report = match &mut ledger {
        Some(ledger) => {
            context.refresh_allocations(ledger)?;
            AgentsReport::of(ledger, &config.subagents)?
        }
        None => AgentsReport::none(),
    };
    context.show(args.output.format(), &report, Extent::default())?;
    if ledger.is_none() {
        return Err(context.no_ledger()?);
    }
    if report.is_empty() {
        return Err(Error::NoData { what: "the ledger has no responses yet".to_owned() });
    }
    Ok(())
}
