//! `tallyhook prices`.

use std::path::PathBuf;

use super::Context;
use super::args::{
    PricesArgs, PricesCheckArgs, PricesCommand, PricesListArgs, PricesSetArgs, PricesShowArgs,
};
use super::cost::today;
use super::suggest::did_you_mean;
use crate::domain::{OneLine as _, Timestamp, plural};
use crate::error::Error;
use crate::pricing::edit::{self, Filled, NewPrice};
use crate::pricing::{PriceTable, parse_user_prices, text_of};
use crate::render;
use crate::report::calendar::{AskedDay, Zone};
use crate::report::prices as report;
use crate::setup::files;

/// From this age on prices are probably out of date.
const OLD_DAYS: u64 = 90;

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
    if args.json {
        print_json(context, &report::list(&prices, &models, now))?;
    } else if !models.is_empty() {
        context
            .print_painted(&render::table(&report::list_table(&models, args.all, now), context.style()))?;
    }
    if models.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(Error::NoData { what: format!("no model name or provider contains {filter:?}") });
    }
    Ok(())
}

fn show(context: &Context, args: &PricesShowArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    print_model(context, &prices, &args.model, args.json)
}

fn print_model(context: &Context, prices: &PriceTable, model: &str, as_json: bool) -> Result<(), Error> {
    let now = context.env.now();
    let found = prices.find(model);
    if as_json {
        print_json(context, &report::detail(prices, found, now))?;
    } else if let Some(found) = found {
        let style = context.style();
        let lines = render::pairs(&report::detail_lines(prices, found), style);
        context.print_painted(
            &[&*lines, "\n", &render::table(&report::detail_table(found, now), style)].concat(),
        )?;
    }
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
    let path = prices_path(context)?;
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
        Filled::Nothing => {}
        Filled::AsBefore => context.say("cache prices you left out keep their ratio to the input price"),
        Filled::AsClaude => context.say(
            "cache prices you left out are Anthropic's usual multiples of the input price: 0.1 for reads, 1.25 for \
             5-minute writes, 2 for 1-hour writes",
        ),
    }
    let prices = PriceTable::with_overrides(parse_user_prices(&edited, &path)?);
    // Budgets that stop a session, and the status line, read no prices: what they show holds from now on.
    if let Err(error) = context.priced_ledger(&prices) {
        context.say(&format!("the ledger uses the old prices until the next command: {error}"));
    }
    print_model(context, &prices, args.model.as_str(), args.json)
}

fn check(context: &Context, args: &PricesCheckArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    let used = match context.ledger()? {
        Some(ledger) => ledger.models()?,
        None => Vec::new(),
    };
    let check = report::check(&prices, &used, context.env.now());
    if args.json {
        print_json(context, &check)?;
    } else {
        let own = match check.own_prices {
            0 => String::new(),
            own => format!(", {own} of them yours"),
        };
        let mut lines = vec![format!(
            "{} models have a price{own}; the built-in prices are from {} ({})",
            prices.models().len(),
            check.date,
            plural(check.age_days, "day") + " old"
        )];
        if check.age_days >= OLD_DAYS {
            lines.push("prices may have changed since; update tallyhook for newer ones".to_owned());
        }
        lines.push(match (check.models, check.unpriced.len()) {
            (0, _) => "the ledger has no responses yet".to_owned(),
            (1, 0) => "the only model in the ledger has a price".to_owned(),
            (models, 0) => format!("all {models} models in the ledger have a price"),
            _ => ["\n", render::table(&report::check_table(&check), context.style()).trim_end()].concat(),
        });
        context.print_painted(&(lines.join("\n") + "\n"))?;
    }
    match check.unpriced.len() {
        0 => Ok(()),
        models => Err(Error::Unpriced { models }),
    }
}

/// The user's file: beside the settings file that is in use.
pub(super) fn prices_path(context: &Context) -> Result<PathBuf, Error> {
    context.env.prices_path(context.options.config.as_deref()).ok_or(Error::NoConfigPath)
}

fn print_json(context: &Context, value: &impl serde::Serialize) -> Result<(), Error> {
    context.print_json(value)
}
