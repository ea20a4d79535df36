//! `tallyhook trends`.

use super::args::TrendsArgs;
use super::cost::today;
use super::{Context, Extent};
use crate::error::Error;
use crate::report::trends::Trends;

pub(super) fn run(context: &Context, args: &TrendsArgs) -> Result<(), Error> {
    let zone = args.tz.clone().unwrap_or_else(|| context.zone.clone());
    let today = today(context, &zone)?;
    let mut ledger = context.ledger()?;
    if let Some(ledger) = &mut ledger {
        context.refresh_allocations(ledger)?;
    }
    let trends = Trends::of(ledger.as_ref(), &zone, context.env.now(), today, args.days)?;
    let has_data = !trends.is_empty();
    context.show(args.output.format(), &trends, Extent::default())?;
    if has_data {
        return Ok(());
    }
    if ledger.is_none() {
        return Err(context.no_ledger()?);
    }
    let days = if args.days == 1 { "day".to_owned() } else { format!("{} days", args.days) };
    let what = format!("no spending in the last {days}; use --days for a longer period");
    Err(Error::NoData { what })
}
