//! `tallyhook prices`.

use super::args::{
    OutputFormat, PricesArgs, PricesCheckArgs, PricesCommand, PricesListArgs, PricesSetArgs, PricesShowArgs,
};
use super::cost::today;
use super::suggest::did_you_mean;
use super::{Context, Extent};
use crate::calendar::{AskedDay, Zone};
use crate::domain::{OneLine as _, Timestamp};
use crate::error::Error;
use crate::pricing::edit::{self, CachePriceSource, NewPrice};
use crate::pricing::{PriceTable, parse_user_prices, text_of};
use crate::report::prices as report;
use crate::setup::files;

pub(super) fn run(context: &Context, args: PricesArgs) -> Result<(), Error> {
    match args.command {
        None => list(context, &PricesListArgs::default()),
        Some(PricesCommand::List(args)) => list(context, &args),
        Some(PricesCommand::Show(args)) => show(context, &args),
        Some(PricesCommand::Set(args)) => set(context, &args),
        Some(PricesCommand::Check(args)) => check(context, &args),
    }
}

/// The first moment of a day that is asked for, in UTC, where prices begin.
fn start_of(context: &Context, day: AskedDay) -> Result<Timestamp, Error> {
    let utc = Zone::utc();
    Ok(utc.start_of(day.first(today(context, &utc)?)))
}

fn list(context: &Context, args: &PricesListArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    let now = context.env.now();
    let models = report::matching(&prices, args.filter.as_deref());
    let list = report::list(&prices, &models, now);
    context.show(args.output.format(), &list, Extent { is_detailed: args.all, ..Extent::default() })?;
    if models.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(Error::NoData { what: format!("no model name or provider contains {filter:?}") });
    }
    Ok(())
}

fn show(context: &Context, args: &PricesShowArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    print_model(context, &prices, &args.model, args.output.format())
}

fn print_model(
    context: &Context,
    prices: &PriceTable,
    model: &str,
    format: OutputFormat,
) -> Result<(), Error> {
    let now = context.env.now();
    let found = prices.find(model);
    context.show(format, &report::detail(prices, found, now), Extent::default())?;
    if found.is_none() {
        let models = prices.models();
        let near = did_you_mean(model, models.iter().map(|found| &*found.model.id));
        let what = format!(
            "{model:?} has no price{near}\nset one with `tallyhook prices set {model} --input USD --output USD`"
        );
        return Err(Error::NoData { what });
    }
    Ok(())
}

fn set(context: &Context, args: &PricesSetArgs) -> Result<(), Error> {
    let path = context.prices_path()?;
    let mut price = NewPrice {
        from: args.from.map(|day| start_of(context, day)).transpose()?,
        input: args.input,
        output: args.output,
        cache_read: args.cache_read,
        cache_write_5m: args.cache_write_5m,
        cache_write_1h: args.cache_write_1h,
    };
    let found = text_of(&path)?;
    let text = found.as_deref().unwrap_or_default();
    let before = PriceTable::with_overrides(parse_user_prices(text, &path)?);
    let filled = price.complete(&args.model, &before);
    let edited = edit::set(text, &args.model, &price, &path)?;
    files::replace(&path, found.as_deref(), &edited)?;
    context.say(&format!("saved to {}", path.one_line()));
    match filled {
        CachePriceSource::Nothing => {}
        CachePriceSource::AsBefore => context.say("cache prices you left out keep their ratio to the input price"),
        CachePriceSource::AsClaude => context.say(
            "cache prices you left out are Anthropic's usual multiples of the input price: 0.1 for reads, 1.25 for \
             5-minute writes, 2 for 1-hour writes",
        ),
    }
    let prices = PriceTable::with_overrides(parse_user_prices(&edited, &path)?);
    // Budgets that stop a session, and the status line, read no prices: what they show holds from now on.
    if let Err(error) = context.priced_ledger(&prices) {
        context.say(&format!("the ledger uses the old prices until the next command: {error}"));
    }
    let format = if args.json { OutputFormat::Json } else { OutputFormat::Text };
    print_model(context, &prices, args.model.as_str(), format)
}

fn check(context: &Context, args: &PricesCheckArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    let used = match context.ledger()? {
        Some(ledger) => ledger.sessions().models()?,
        None => Vec::new(),
    };
    let check = report::check(&prices, &used, context.env.now());
    context.show(args.output.format(), &check, Extent::default())?;
    match check.unpriced.len() {
        0 => Ok(()),
        models => Err(Error::Unpriced { models }),
    }
}
