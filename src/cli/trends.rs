//! `tallyhook trends`.

use super::Context;
use super::args::{OutputFormat, TrendsArgs};
use super::cost::today;
use crate::error::Error;
use crate::render;
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
    let note = (!trends.unpriced_models.is_empty())
        .then(|| format!("not included, because there is no price: {}", trends.unpriced_models.join(", ")));
    context.show(&args.face, &trends, has_data, || vec![trends.table()], |_| note)?;
    if has_data && args.face.face() == OutputFormat::Text {
        context.print_painted(&format!("\n{}", render::pairs(&trends.lines(), context.style())))?;
    }
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
