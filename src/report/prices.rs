//! What `prices` shows: the price table, one model of it, and the ledger's models without a price.

use serde::Serialize;

use crate::domain::{PicoUsd, Timestamp};
use crate::pricing::{Found, Model, Modifiers, Percent, PriceTable, Row};
use crate::store::ModelUse;

/// `prices list --json`.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct PriceList {
    pub schema_version: u32,
    /// When the built-in prices were looked up.
    pub date: String,
    pub models: Vec<PricedModel>,
}

/// `prices show --json`, and what `prices set` answers.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct PriceDetail {
    pub schema_version: u32,
    pub date: String,
    pub model: Option<PricedModel>,
}

/// A model and its prices.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct PricedModel {
    pub model: String,
    pub names: Vec<String>,
    pub provider: Option<String>,
    pub source: String,
    /// Whether the user has set a price of it.
    pub own: bool,
    pub released: Option<String>,
    pub window: Option<u64>,
    pub fast_multiplier: Option<PicoUsd>,
    pub fast_until: Option<String>,
    pub us_multiplier: Option<PicoUsd>,
    pub regional_multiplier: Option<PicoUsd>,
    pub batch_multiplier: Option<PicoUsd>,
    /// The multiplier of fast mode, where it holds now.
    #[serde(skip)]
    pub fast_now: Option<PicoUsd>,
    pub prices: Vec<PriceRow>,
}

/// Rates in dollars for a million tokens, and what they hold for.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct PriceRow {
    pub in_force: bool,
    pub from: Option<String>,
    pub until: Option<String>,
    pub over_tokens: Option<u64>,
    pub hours_utc: Vec<String>,
    pub weekdays_only: bool,
    pub input_usd: PicoUsd,
    pub output_usd: PicoUsd,
    pub cache_read_usd: PicoUsd,
    pub cache_write_5m_usd: PicoUsd,
    pub cache_write_1h_usd: PicoUsd,
    /// A request, in dollars.
    pub web_search_usd: PicoUsd,
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
    /// Models that have a price.
    #[serde(skip)]
    pub priced_models: usize,
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
        priced_models: prices.models().len(),
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
        fast_now: found.model.fast_at(now.as_millis()).map(factor),
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
