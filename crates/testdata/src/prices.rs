//! What tokens cost, as whole pico-dollars (10^-12 USD): a small table of this crate's own, or one of the caller's.

use crate::clock::midnight;
use crate::truth::Usage;

/// Pico-dollars a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Price of an input token that no cache holds.
    pub input: u64,
    /// Price of an output token.
    pub output: u64,
    /// Price of an input token that is read from a cache.
    pub cache_read: u64,
    /// Price of an input token that is written to a cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Price of an input token that is written to a cache for 1 hour.
    pub cache_write_1h: u64,
}

impl Rates {
    /// Anthropic's usual rates for an input price in dollars for 1,000 million tokens: output is five times that, a cache
    /// read a tenth, a write 1.25 times or twice.
    #[must_use]
    pub const fn usual(input: u64) -> Self {
        let pico = input * 1_000;
        Self {
            input: pico,
            output: pico * 5,
            cache_read: pico / 10,
            cache_write_5m: pico + pico / 4,
            cache_write_1h: pico * 2,
        }
    }

    /// Replaces the price of a cache read, in dollars for 1,000 million tokens.
    #[must_use]
    pub const fn with_cache_read(self, cache_read: u64) -> Self {
        Self { cache_read: cache_read * 1_000, ..self }
    }

    /// The rates times `percent` / 100 for all that is read, and times `output_percent` / 100 for output.
    #[must_use]
    pub const fn times(self, percent: u64, output_percent: u64) -> Self {
        Self {
            input: self.input * percent / 100,
            output: self.output * output_percent / 100,
            cache_read: self.cache_read * percent / 100,
            cache_write_5m: self.cache_write_5m * percent / 100,
            cache_write_1h: self.cache_write_1h * percent / 100,
        }
    }
}

/// A price that holds for a time, or for long prompts.
#[derive(Debug, Clone, Copy)]
pub struct Price {
    /// The first millisecond at which it holds.
    pub from: i64,
    /// The first millisecond at which it no longer holds.
    pub until: i64,
    /// It holds for prompts of more tokens than this.
    pub above: u64,
    /// The rates.
    pub rates: Rates,
}

/// A model and its prices.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its id without a date.
    pub id: String,
    /// Its prices; the last one that holds for a request counts.
    pub prices: Vec<Price>,
    /// The factor of fast mode in percent, and the first millisecond without fast mode.
    pub fast: Option<(u64, i64)>,
    /// Whether inference in the United States costs a tenth more.
    pub us: bool,
}

/// How a request was processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processing {
    /// In fast mode.
    pub fast: bool,
    /// In the United States only.
    pub us: bool,
}

/// A table of prices.
#[derive(Debug, Clone)]
pub struct Prices {
    models: Vec<Model>,
    /// Pico-dollars a web search.
    web_search: u64,
}

const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

impl Prices {
    /// A table of these models. `web_search` is what a search costs in pico-dollars.
    #[must_use]
    pub fn new(models: Vec<Model>, web_search: u64) -> Self {
        Self { models, web_search }
    }

    /// The list prices of the models in generated trees, written down by hand from Anthropic's pricing page of 2026-11-22.
    #[must_use]
    pub fn list() -> Self {
        let price = |rates| Price { from: ALWAYS.0, until: ALWAYS.1, above: 0, rates };
        let model =
            |id: &str, rates| Model { id: id.to_owned(), prices: vec![price(rates)], fast: None, us: false };
        let long = |above, rates| Price { above, ..price(rates) };
        let end_of_tier = midnight(2026, 3, 13);
        let until = |price: Price| Price { until: end_of_tier, ..price };
        let with = |mut model: Model, tier| {
            model.prices.push(tier);
            model
        };
        let with_us = |model| Model { us: true, ..model };
        let with_fast = |model, percent, until| Model { fast: Some((percent, until)), ..model };
        let (opus, sonnet) = (Rates::usual(5_000), Rates::usual(3_000));
        let end_of_fast = midnight(2026, 7, 24);
        let sonnet_5_5 = Rates::usual(2_000);
        let models = vec![
            model("claude-3-5-haiku", Rates::usual(800)),
            model("claude-opus-4-1", Rates::usual(15_000)),
            with(model("claude-sonnet-4", sonnet), long(200_000, sonnet.times(200, 150))),
            with(model("claude-sonnet-4-5", sonnet), long(200_000, sonnet.times(200, 150))),
            model("claude-opus-4-5", opus),
            model("claude-haiku-4-5", Rates::usual(1_000)),
            with_us(with_fast(
                with(model("claude-opus-4-6", opus), until(long(200_000, opus.times(200, 150)))),
                600,
                ALWAYS.1,
            )),
            with_us(with(model("claude-sonnet-4-6", sonnet), until(long(200_000, sonnet.times(200, 150))))),
            with_us(with_fast(model("claude-opus-4-7", opus), 600, end_of_fast)),
            with_us(with_fast(model("claude-opus-4-8", opus), 200, ALWAYS.1)),
            with_us(with_fast(model("claude-opus-5", opus), 200, ALWAYS.1)),
            with_us(model("claude-sonnet-5", sonnet_5_5)),
            with_us(with_fast(
                model("claude-opus-5-5", Rates::usual(4_000).with_cache_read(200)),
                200,
                ALWAYS.1,
            )),
            with_us(with(
                model("claude-sonnet-5-5", sonnet_5_5),
                Price { from: midnight(2026, 10, 7), ..price(sonnet_5_5.with_cache_read(100)) },
            )),
            with_us(with(
                model("claude-haiku-5-5", Rates::usual(100)),
                long(100_000, Rates::usual(100).times(500, 500)),
            )),
        ];
        Self::new(models, 10_000_000_000)
    }

    /// The models.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The row of a model, whose id may end with a date or with `[1m]`.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<&Model> {
        let id = plain(model);
        self.models.iter().find(|row| row.id == id)
    }

    /// The rates of a request with a prompt of so many tokens; `None` for a model without a price.
    #[must_use]
    pub fn rates(&self, model: &str, at: i64, prompt: u64, processing: Processing) -> Option<Rates> {
        let model = self.find(model)?;
        let holds = |price: &&Price| {
            (price.from..price.until).contains(&at) && prompt >= price.above + u64::from(price.above > 0)
        };
        let mut rates = model.prices.iter().rfind(holds)?.rates;
        if let Some((percent, until)) = model.fast
            && processing.fast
            && at < until
        {
            rates = rates.times(percent, percent);
        }
        if processing.us && model.us {
            rates = rates.times(110, 110);
        }
        Some(rates)
    }

    /// Pico-dollars of a request; `None` for a model without a price.
    #[must_use]
    pub fn cost(
        &self,
        model: &str,
        at: i64,
        prompt: u64,
        usage: &Usage,
        processing: Processing,
    ) -> Option<u128> {
        let rates = self.rates(model, at, prompt, processing)?;
        let parts = [
            (usage.input, rates.input),
            (usage.output, rates.output),
            (usage.cache_read, rates.cache_read),
            (usage.cache_write_5m, rates.cache_write_5m),
            (usage.cache_write_1h, rates.cache_write_1h),
            (usage.web_searches, self.web_search),
        ];
        Some(parts.into_iter().map(|(count, rate)| u128::from(count) * u128::from(rate)).sum())
    }
}

/// A model's id without what follows its version: a date, a mark of a long context.
#[must_use]
pub fn plain(model: &str) -> &str {
    let id = model.split_once('[').map_or(model, |(id, _)| id);
    match id.rsplit_once('-') {
        Some((start, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => start,
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prompt_puts_the_whole_request_on_the_higher_price() {
        let prices = Prices::list();
        let input = |prompt| {
            prices.rates("claude-sonnet-4-5-20250929", 0, prompt, Processing::default()).map(|r| r.input)
        };
        assert_eq!((input(200_000), input(200_001)), (Some(3_000_000), Some(6_000_000)));
        let opus = |at| prices.rates("claude-opus-4-6", at, 200_001, Processing::default()).map(|r| r.output);
        let end = midnight(2026, 3, 13);
        assert_eq!((opus(end - 1), opus(end)), (Some(37_500_000), Some(25_000_000)));
    }

    #[test]
    fn fast_mode_and_the_united_states_cost_more() {
        let prices = Prices::list();
        let output = |fast, us| {
            let processing = Processing { fast, us };
            prices.rates("claude-opus-5-5", midnight(2026, 10, 1), 0, processing).map(|rates| rates.output)
        };
        assert_eq!(output(true, false), Some(40_000_000));
        assert_eq!(output(false, true), Some(22_000_000));
        assert_eq!(prices.rates("house-model", 0, 0, Processing::default()), None);
    }
}
