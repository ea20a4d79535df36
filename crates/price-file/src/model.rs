//! A model's prices as numbers.

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, Weekday};

/// What tokens of each class and a web search cost.
///
/// A dollar for a million tokens is a million pico-dollars a token, so six decimals of a price list are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rates {
    /// Input that was neither read from nor written to the cache, in pico-dollars a token.
    pub input: u64,
    /// Output, in pico-dollars a token.
    pub output: u64,
    /// Cache reads, in pico-dollars a token. Not always a tenth of the input.
    pub cache_read: u64,
    /// Cache writes for 5 minutes, in pico-dollars a token.
    pub cache_write_5m: u64,
    /// Cache writes for 1 hour, in pico-dollars a token.
    pub cache_write_1h: u64,
    /// A web search, in pico-dollars.
    pub web_search: u64,
}

/// Rates, and the requests that they hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    /// The first moment, in UTC milliseconds. A model's first row without `over` and `hours` holds before it too: the
    /// date is often that of the release, and clocks differ.
    pub from: Option<i64>,
    /// The first moment at which they hold no more.
    pub until: Option<i64>,
    /// Prompts longer than this many tokens, cached ones included. The whole request is then at these rates.
    pub over: u64,
    /// Quarters of the UTC day, the first in the lowest bit; 0 for all of them.
    pub hours: u128,
    /// Monday to Friday only.
    pub weekdays: bool,
    /// The rates.
    pub rates: Rates,
}

/// A factor in hundredths: 110 makes a price a tenth higher.
pub type Percent = u32;

/// A model: its prices and what changes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Model {
    /// Its usual id.
    pub id: Cow<'static, str>,
    /// Who sells it.
    pub provider: Cow<'static, str>,
    /// Where the prices were read.
    pub source: Cow<'static, str>,
    /// When it came out, in UTC milliseconds.
    pub released: Option<i64>,
    /// The longest prompt, in tokens.
    pub window: Option<u64>,
    /// The factor of fast or priority processing.
    pub fast: Option<Percent>,
    /// When fast processing was taken away, in UTC milliseconds.
    pub fast_until: Option<i64>,
    /// The factor of inference in the United States only.
    pub us: Option<Percent>,
    /// The factor of a cloud's regional endpoints (Bedrock's `us.anthropic.…`).
    pub regional: Option<Percent>,
    /// The factor of batch processing.
    pub batch: Option<Percent>,
    /// The rates, by `over`, `hours` and date.
    pub rows: Cow<'static, [Row]>,
}

const DAY: i64 = 86_400_000;
const QUARTER: i64 = 900_000;

impl Row {
    /// Whether it holds at every hour and for every prompt.
    #[must_use]
    pub const fn is_base(&self) -> bool {
        self.over == 0 && self.hours == 0 && !self.weekdays
    }

    /// What two rows share that differ by date only.
    #[must_use]
    pub const fn group(&self) -> (u64, bool, u128) {
        (self.over, self.weekdays, self.hours)
    }

    /// Whether it holds at that time of the day and of the week.
    fn holds_in_the_week(&self, at: i64) -> bool {
        let is_weekend = || {
            let day = DateTime::from_timestamp_millis(at).map(|at| at.weekday());
            matches!(day, Some(Weekday::Sat | Weekday::Sun))
        };
        let quarter = at.rem_euclid(DAY) / QUARTER;
        (self.hours == 0 || self.hours >> quarter & 1 == 1) && !(self.weekdays && is_weekend())
    }
}

impl Model {
    /// The row for a request at that time with that many tokens of prompt; `None` if there is none.
    #[must_use]
    pub fn row_at(&self, at: i64, prompt: u64) -> Option<usize> {
        let first_base = self.rows.iter().position(Row::is_base);
        let holds = |(index, row): &(usize, &Row)| {
            (row.over == 0 || prompt > row.over)
                && (row.from.is_none_or(|from| from <= at) || Some(*index) == first_base)
                && row.until.is_none_or(|until| at < until)
                && row.holds_in_the_week(at)
        };
        let rows = self.rows.iter().enumerate().filter(holds);
        rows.max_by_key(|(_, row)| (row.over, row.hours != 0 || row.weekdays, row.from))
            .map(|(index, _)| index)
    }

    /// The factor of fast processing at that time.
    #[must_use]
    pub fn fast_at(&self, at: i64) -> Option<Percent> {
        self.fast.filter(|_| self.fast_until.is_none_or(|until| at < until))
    }
}
