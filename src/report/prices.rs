//! What `prices` shows: the price table, one model of it, and the ledger's models without a price.

use serde::Serialize;

use super::table::{Cell, Table};
use crate::domain::{PicoUsd, Timestamp};
use crate::pricing::{Found, Model, Modifiers, Percent, PriceTable, Row};
use crate::store::ModelUse;

/// `prices list --json`.
#[derive(Debug, Clone, Serialize)]
pub struct PriceList {
    schema_version: u32,
    /// When the built-in prices were looked up.
    date: String,
    models: Vec<PricedModel>,
}

/// `prices show --json`, and what `prices set` answers.
#[derive(Debug, Clone, Serialize)]
pub struct PriceDetail {
    schema_version: u32,
    date: String,
    model: Option<PricedModel>,
}

/// A model and its prices.
#[derive(Debug, Clone, Serialize)]
pub struct PricedModel {
    model: String,
    names: Vec<String>,
    provider: Option<String>,
    source: String,
    /// Whether the user has set a price of it.
    own: bool,
    released: Option<String>,
    window: Option<u64>,
    fast_multiplier: Option<PicoUsd>,
    fast_until: Option<String>,
    us_multiplier: Option<PicoUsd>,
    regional_multiplier: Option<PicoUsd>,
    batch_multiplier: Option<PicoUsd>,
    prices: Vec<PriceRow>,
}

/// Rates in dollars for a million tokens, and what they hold for.
#[derive(Debug, Clone, Serialize)]
struct PriceRow {
    in_force: bool,
    from: Option<String>,
    until: Option<String>,
    over_tokens: Option<u64>,
    hours_utc: Vec<String>,
    weekdays_only: bool,
    input_usd: PicoUsd,
    output_usd: PicoUsd,
    cache_read_usd: PicoUsd,
    cache_write_5m_usd: PicoUsd,
    cache_write_1h_usd: PicoUsd,
    /// A request, in dollars.
    web_search_usd: PicoUsd,
}

/// `prices check --json`.
#[derive(Debug, Clone, Serialize)]
pub struct PriceCheck {
    schema_version: u32,
    /// When the built-in prices were looked up.
    pub date: String,
    /// How old they are.
    pub age_days: u64,
    /// A number that changes with every change of the prices.
    table_version: String,
    /// Models with a price of the user's.
    pub own_prices: usize,
    /// Models in the ledger.
    pub models: usize,
    /// Those without a price.
    pub unpriced: Vec<UnpricedModel>,
}

/// A model without a price.
#[derive(Debug, Clone, Serialize)]
pub struct UnpricedModel {
    /// Its id as the log gives it; null where it gives none.
    pub model: Option<String>,
    /// Responses.
    pub responses: u64,
    /// Their tokens.
    pub total_tokens: u64,
}

/// The models whose id, name or provider contains `filter`.
#[must_use]
pub fn matching<'t>(prices: &'t PriceTable, filter: Option<&str>) -> Vec<Found<'t>> {
    let mut models = prices.models();
    if let Some(filter) = filter.map(str::to_lowercase) {
        models.retain(|found| {
            found.model.provider.contains(&filter)
                || found.model.id.to_lowercase().contains(&filter)
                || prices.names(found.model).iter().any(|name| name.contains(&filter))
        });
    }
    models
}

/// The list as JSON.
#[must_use]
pub fn list(prices: &PriceTable, models: &[Found<'_>], now: Timestamp) -> PriceList {
    let models = models.iter().map(|found| priced_model(prices, *found, now)).collect();
    PriceList { schema_version: 1, date: prices.date().to_date(), models }
}

/// One model as JSON; null if the table has no such model.
#[must_use]
pub fn detail(prices: &PriceTable, found: Option<Found<'_>>, now: Timestamp) -> PriceDetail {
    let model = found.map(|found| priced_model(prices, found, now));
    PriceDetail { schema_version: 1, date: prices.date().to_date(), model }
}

/// The ledger's models without a price.
#[must_use]
pub fn check(prices: &PriceTable, used: &[ModelUse], now: Timestamp) -> PriceCheck {
    let priced = |model: &str| prices.class(model, now, 0, Modifiers::default()).is_some();
    let unpriced = used.iter().filter(|used| used.tokens > 0 && !used.model.as_deref().is_some_and(priced));
    PriceCheck {
        schema_version: 1,
        date: prices.date().to_date(),
        age_days: now.since(prices.date()).as_secs() / 86_400,
        table_version: format!("{:016x}", prices.version()),
        own_prices: prices.models().iter().filter(|found| found.own).count(),
        models: used.len(),
        unpriced: unpriced
            .map(|used| UnpricedModel {
                model: used.model.clone(),
                responses: used.responses,
                total_tokens: used.tokens,
            })
            .collect(),
    }
}

fn priced_model(prices: &PriceTable, found: Found<'_>, now: Timestamp) -> PricedModel {
    let Model { id, provider, source: _, released, window, fast, fast_until, us, regional, batch, rows } =
        found.model;
    let in_force = found.model.row_at(now.as_millis(), 0);
    PricedModel {
        model: id.to_string(),
        names: prices.names(found.model).into_iter().map(str::to_owned).collect(),
        provider: (!provider.is_empty()).then(|| provider.to_string()),
        source: source_of(found),
        own: found.own,
        released: released.map(date),
        window: *window,
        fast_multiplier: fast.map(factor),
        fast_until: fast_until.map(date),
        us_multiplier: us.map(factor),
        regional_multiplier: regional.map(factor),
        batch_multiplier: batch.map(factor),
        prices: rows.iter().enumerate().map(|(at, row)| price_row(row, in_force == Some(at))).collect(),
    }
}

fn price_row(row: &Row, in_force: bool) -> PriceRow {
    let rates = &row.rates;
    PriceRow {
        in_force,
        from: row.from.map(date),
        until: row.until.map(date),
        over_tokens: (row.over > 0).then_some(row.over),
        hours_utc: hours(row.hours),
        weekdays_only: row.weekdays,
        input_usd: million(rates.input),
        output_usd: million(rates.output),
        cache_read_usd: million(rates.cache_read),
        cache_write_5m_usd: million(rates.cache_write_5m),
        cache_write_1h_usd: million(rates.cache_write_1h),
        web_search_usd: PicoUsd::times(1, rates.web_search),
    }
}

/// Names of a model that `prices show` lists; all of them are in its JSON.
const NAMES_SHOWN: usize = 6;

/// Columns of rates.
const RATES: [&str; 5] = ["input", "output", "read", "write 5m", "write 1h"];

/// The models and their prices now; with `all` every price they had, have and will have.
#[must_use]
pub fn list_table(models: &[Found<'_>], all: bool, now: Timestamp) -> Table {
    let mut table = Table::new(
        "Prices in USD per million tokens",
        &["model", RATES[0], RATES[1], RATES[2], RATES[3], RATES[4], if all { "when<" } else { "notes<" }],
    );
    for found in models {
        let model = found.model;
        let at = now.as_millis();
        let now = model.row_at(at, 0);
        let rows = model.rows.iter().enumerate().filter(|(index, _)| all || Some(*index) == now);
        table.rows.extend(rows.map(|(_, row)| {
            let last = if all { when(row, false) } else { more(*found, at) };
            let name = Cell::Text(model.id.to_string());
            std::iter::once(name).chain(rates(row)).chain([Cell::Text(last)]).collect()
        }));
    }
    table
}

/// All prices of one model.
#[must_use]
pub fn detail_table(found: Found<'_>, now: Timestamp) -> Table {
    let mut table = Table::new(
        "Prices in USD per million tokens",
        &["when", RATES[0], RATES[1], RATES[2], RATES[3], RATES[4], "search"],
    );
    let in_force = found.model.row_at(now.as_millis(), 0);
    table.rows.extend(found.model.rows.iter().enumerate().map(|(at, row)| {
        let when = Cell::Text(when(row, Some(at) == in_force));
        let search = Cell::Price(PicoUsd::times(1, row.rates.web_search));
        std::iter::once(when).chain(rates(row)).chain([search]).collect()
    }));
    table
}

/// What is to be said of a model above its prices, as name and value.
#[must_use]
pub fn detail_lines(prices: &PriceTable, found: Found<'_>) -> Vec<(&'static str, Cell)> {
    let model = found.model;
    let mut lines = vec![("model", Cell::Text(model.id.to_string()))];
    if !model.provider.is_empty() {
        lines.push(("provider", Cell::Text(model.provider.to_string())));
    }
    lines.push(("source", Cell::Text(source_of(found))));
    let names: Vec<_> = prices.names(model).into_iter().filter(|name| *name != model.id).collect();
    if !names.is_empty() {
        let mut shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
        if names.len() > NAMES_SHOWN {
            shown.push_str(" …");
        }
        lines.push(("aliases", Cell::Text(shown)));
    }
    lines.extend(model.released.map(|released| ("released", Cell::Text(date(released)))));
    lines.extend(model.window.map(|window| ("context", Cell::Count(window))));
    let times = |percent: Percent| factor(percent).to_decimal();
    let mut factors = Vec::new();
    factors.extend(model.fast.map(|fast| {
        let until = model.fast_until.map(|until| format!(" until {}", date(until))).unwrap_or_default();
        format!("fast × {}{until}", times(fast))
    }));
    for (name, percent) in [("US only", model.us), ("regional", model.regional), ("batch", model.batch)] {
        factors.extend(percent.map(|percent| format!("{name} × {}", times(percent))));
    }
    if !factors.is_empty() {
        lines.push(("multipliers", Cell::Text(factors.join(", "))));
    }
    lines
}

/// The models without a price, by their tokens.
#[must_use]
pub fn check_table(check: &PriceCheck) -> Table {
    let mut table = Table::new("Models without a price", &["model", "responses", "tokens"]);
    table.rows.extend(check.unpriced.iter().map(|unpriced| {
        let name = unpriced.model.as_deref().unwrap_or("(none)");
        vec![Cell::Text(name.to_owned()), Cell::Count(unpriced.responses), Cell::Count(unpriced.total_tokens)]
    }));
    table
}

fn rates(row: &Row) -> impl Iterator<Item = Cell> {
    let rates = row.rates;
    [rates.input, rates.output, rates.cache_read, rates.cache_write_5m, rates.cache_write_1h]
        .into_iter()
        .map(|rate| Cell::Price(million(rate)))
}

/// What a row holds for: `from 2026-10-07 (now)`, `> 200k until 2026-03-13`.
fn when(row: &Row, in_force: bool) -> String {
    let mut words = Vec::new();
    if row.over > 0 {
        words.push(format!("> {}k", row.over / 1_000));
    }
    if row.weekdays {
        words.push("Mon-Fri".to_owned());
    }
    words.extend(hours(row.hours));
    words.extend(row.from.map(|from| format!("from {}", date(from))));
    words.extend(row.until.map(|until| format!("until {}", date(until))));
    if in_force {
        words.push("(now)".to_owned());
    } else if words.is_empty() {
        words.push("-".to_owned());
    }
    words.join(" ")
}

/// What the list does not show of a model.
fn more(found: Found<'_>, now: i64) -> String {
    let model = found.model;
    let mut words = Vec::new();
    if found.own {
        words.push("yours".to_owned());
    }
    if let Some(over) = model.rows.iter().map(|row| row.over).find(|over| *over > 0) {
        words.push(format!("> {}k", over / 1_000));
    }
    if model.rows.iter().any(|row| row.hours != 0 || row.weekdays) {
        words.push("by hour".to_owned());
    }
    if model.rows.iter().any(|row| row.from.is_some()) {
        words.push("by date".to_owned());
    }
    words.extend(model.fast_at(now).map(|fast| format!("fast × {}", factor(fast).to_decimal())));
    words.join(", ")
}

fn source_of(found: Found<'_>) -> String {
    match (found.own, &*found.model.source) {
        (true, "") => "your prices.toml".to_owned(),
        (true, source) => format!("your prices.toml: {source}"),
        (false, source) => source.to_owned(),
    }
}

fn million(rate: u64) -> PicoUsd {
    PicoUsd::times(1_000_000, rate)
}

/// Hundredths as a number.
fn factor(percent: Percent) -> PicoUsd {
    PicoUsd::times(percent.into(), 10_000_000_000)
}

fn date(millis: i64) -> String {
    Timestamp::from_millis(millis).to_date()
}

/// Quarters of the day as spans: `01:00-04:00`.
fn hours(bits: u128) -> Vec<String> {
    let clock = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
    let holds = |quarter: u32| quarter < 96 && bits >> quarter & 1 == 1;
    let mut spans = Vec::new();
    let mut start = None;
    for quarter in 0..=96 {
        match (start, holds(quarter)) {
            (None, true) => start = Some(quarter),
            (Some(from), false) => {
                spans.push(format!("{}-{}", clock(from), clock(quarter)));
                start = None;
            }
            _ => {}
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_shown_as_they_are_written() {
        assert_eq!(hours(0b1111 << 4), ["01:00-02:00"]);
        assert_eq!(hours(1 << 95 | 1), ["00:00-00:15", "23:45-24:00"]);
        assert_eq!(hours(0), Vec::<String>::new());
    }

    #[test]
    fn what_used_no_tokens_needs_no_price() {
        let used =
            |model: Option<&str>, tokens| ModelUse { model: model.map(str::to_owned), responses: 1, tokens };
        let used = [
            used(Some("claude-opus-5-5"), 9),
            used(Some("<synthetic>"), 0),
            used(Some("x"), 5),
            used(None, 1),
        ];
        let now = Timestamp::parse_date("2026-12-02").unwrap();
        let check = check(&PriceTable::builtin(), &used, now);
        let unpriced: Vec<_> = check.unpriced.iter().map(|unpriced| unpriced.model.as_deref()).collect();
        assert_eq!(unpriced, [Some("x"), None]);
        assert_eq!(check.models, 4);
    }
}
