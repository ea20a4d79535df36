//! `trends`: the last days, what changed, and what the month will probably cost.
//!
//! # The forecast
//! What this month has cost so far, and for each day after today the mean of the whole days before today, at most
//! [`SAMPLE_DAYS`] of them. On the last day of a month nothing is left, so the forecast is what the month has cost. The
//! range holds four months out of five if days are as different from each other as they were: 1.28 standard deviations of
//! the sum that is left, the mean's own uncertainty included.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CostSum, KnownCost};
use crate::calendar::{Day, Days, Zone};
use crate::domain::{PicoUsd, Timestamp};
use crate::store::{BucketFilter, Grain, Ledger, QuarterHour, QuarterRange, SessionRow, StoreError};

/// Days that the forecast looks back.
const SAMPLE_DAYS: i32 = 28;
/// A normal distribution has 80% within so many standard deviations.
const RANGE: f64 = 1.281_551_565_545;
const DAY_MILLIS: f64 = 86_400_000.0;

/// `trends --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trends {
    /// Version of this structure.
    pub schema_version: u32,
    /// Every day, also those without usage; the last is today.
    pub days: Vec<TrendDay>,
    /// All days.
    pub total_usd: Option<PicoUsd>,
    /// All days' tokens.
    pub total_tokens: u64,
    /// A day.
    pub average_usd: Option<PicoUsd>,
    /// What the days of equal number before came to.
    pub previous_usd: Option<PicoUsd>,
    /// The change against them; null if there was nothing before.
    pub change_percent: Option<f64>,
    /// The day that cost most.
    pub most_expensive_day: Option<String>,
    /// The step of a session that cost most in these days.
    pub most_expensive_step: Option<TrendStep>,
    /// The step of a session that cost least in these days.
    pub least_expensive_step: Option<TrendStep>,
    /// What this month will probably cost; null if nothing is known of any day.
    pub forecast_month_usd: Option<Forecast>,
    /// Models without a price, whose cost is in none of these.
    pub unpriced_models: Vec<String>,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TrendDay {
    pub date: String,
    /// Of the models that have a price; null if none has.
    pub cost_usd: KnownCost,
    pub total_tokens: u64,
}

/// A step of a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TrendStep {
    pub cost_usd: PicoUsd,
    pub step: String,
    pub session_id: String,
}

/// A range that a sum will probably be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Forecast {
    pub low: PicoUsd,
    pub mid: PicoUsd,
    pub high: PicoUsd,
}

/// What some days used and cost.
#[derive(Debug, Clone, Default)]
struct DaySum {
    cost: CostSum,
    tokens: u64,
}

impl DaySum {
    fn merge(&mut self, other: &Self) {
        self.cost.merge(&other.cost);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }

    /// The cost as far as it is known.
    fn amount(&self) -> Option<PicoUsd> {
        self.cost.known().amount
    }
}

impl Trends {
    /// Reads the last `days` days up to now.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(
        ledger: Option<&Ledger>,
        zone: &Zone,
        now: Timestamp,
        today: Day,
        days: u16,
    ) -> Result<Self, StoreError> {
        let count = i32::from(days.max(1));
        let first = today.plus_days(1 - count);
        let before = first.plus_days(-count);
        let month = today.first_of_month();
        let sample = today.plus_days(-SAMPLE_DAYS);
        let sums = match ledger {
            Some(ledger) => sums(ledger, zone, before.min(month).min(sample))?,
            None => BTreeMap::new(),
        };
        let of = |from: Day, until: Day| {
            let mut sum = DaySum::default();
            sums.range(from..until).for_each(|(_, day)| sum.merge(day));
            sum
        };
        let steps = match ledger {
            Some(ledger) => steps(ledger, zone, first, today)?,
            None => Vec::new(),
        };
        let total = of(first, today.plus_days(1));
        let previous = of(before, first);
        let rows: Vec<TrendDay> = (0..count)
            .map(|number| {
                let day = first.plus_days(number);
                let sum = sums.get(&day).cloned().unwrap_or_default();
                TrendDay { date: day.to_string(), cost_usd: sum.cost.known(), total_tokens: sum.tokens }
            })
            .collect();
        let most = rows
            .iter()
            .filter(|day| day.cost_usd.amount > Some(PicoUsd::ZERO))
            .max_by_key(|day| (day.cost_usd.amount, std::cmp::Reverse(&day.date)))
            .map(|day| day.date.clone());
        let change = total.amount().zip(previous.amount().filter(|cost| *cost > PicoUsd::ZERO));
        Ok(Self {
            schema_version: 1,
            total_usd: total.amount(),
            total_tokens: total.tokens,
            average_usd: total.amount().map(|cost| {
                let count = i128::from(count);
                PicoUsd::from_pico((cost.as_pico() + count / 2).div_euclid(count))
            }),
            previous_usd: previous.amount(),
            change_percent: change.and_then(|(now, before)| (now - before).percent_of(before)),
            most_expensive_day: most,
            most_expensive_step: steps.iter().max().cloned(),
            least_expensive_step: steps.into_iter().min(),
            forecast_month_usd: forecast(&sums, zone, now, today),
            unpriced_models: total.cost.unpriced_models(),
            days: rows,
        })
    }

    /// Whether no day has any usage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.iter().all(|day| day.total_tokens == 0)
    }
}

/// What each day from `first` on has cost.
fn sums(ledger: &Ledger, zone: &Zone, first: Day) -> Result<BTreeMap<Day, DaySum>, StoreError> {
    let filter =
        BucketFilter { from: Some(QuarterHour::from_time(zone.start_of(first))), ..BucketFilter::default() };
    let mut days = Days::new(zone);
    let mut sums: BTreeMap<Day, DaySum> = BTreeMap::new();
    let mut cut = Days::new(zone);
    let is_split = |block: QuarterRange| {
        filter.from.is_some_and(|from| block.0 < from && from <= block.1)
            || cut.of(block.0.start()) != cut.of(block.1.start())
    };
    ledger.usage().for_each_bucket(&filter, Grain::Hour, is_split, |row| {
        let Some(day) = row.quarter.and_then(|quarter| days.of(quarter.start())) else { return };
        let sum = sums.entry(day).or_default();
        sum.tokens = sum.tokens.saturating_add(row.usage.total());
        sum.cost.add_if_used(row.model, &row.usage, row.cost);
    })?;
    Ok(sums)
}

/// What sessions' steps cost from a day on until the end of another one; those without a cost are left out.
fn steps(ledger: &Ledger, zone: &Zone, first: Day, last: Day) -> Result<Vec<TrendStep>, StoreError> {
    let start = |day| Some(QuarterHour::from_time(zone.start_of(day)));
    let filter =
        BucketFilter { from: start(first), until: start(last.plus_days(1)), ..BucketFilter::default() };
    let mut sums: BTreeMap<(SessionRow, String), PicoUsd> = BTreeMap::new();
    ledger.allocations().for_each(&filter, |session, share| {
        if !share.step.is_empty() {
            *sums.entry((session, share.step.clone())).or_default() += share.cost.unwrap_or_default().total();
        }
    })?;
    if sums.is_empty() {
        return Ok(Vec::new());
    }
    let places = ledger.usage().session_places()?.into_iter().map(|place| (place.row, place.id));
    let ids: BTreeMap<SessionRow, String> = places.collect();
    let step = |((session, step), cost_usd): ((SessionRow, String), PicoUsd)| {
        let session_id = ids.get(&session)?.clone();
        (cost_usd > PicoUsd::ZERO).then_some(TrendStep { cost_usd, step, session_id })
    };
    Ok(sums.into_iter().filter_map(step).collect())
}

/// What the month will probably cost.
fn forecast(sums: &BTreeMap<Day, DaySum>, zone: &Zone, now: Timestamp, today: Day) -> Option<Forecast> {
    let first_known = *sums.keys().next()?;
    let month = today.first_of_month();
    let so_far: PicoUsd = sums.range(month..=today).map(|(_, sum)| sum.cost.known().or_zero()).sum();
    let from = first_known.max(today.plus_days(-SAMPLE_DAYS));
    let cost_of = |day: Day| sums.get(&day).map_or(0.0, |sum| sum.cost.known().or_zero().to_f64());
    let mut sample: Vec<f64> =
        (0..today.days_since(from).max(0)).map(|number| cost_of(from.plus_days(number))).collect();
    let tomorrow = zone.start_of(today.plus_days(1));
    #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
    let left_today = (tomorrow.since(now).as_millis() as f64 / DAY_MILLIS).min(1.0);
    if sample.is_empty() {
        // Today is all that is known: other days are as this one will have been, if it goes on as it went.
        sample.push(cost_of(today) / (1.0 - left_today).max(0.05));
    }
    let left = f64::from(today.last_of_month().days_since(today));
    #[expect(clippy::cast_precision_loss, reason = "at most 28")]
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let variance = sample.iter().map(|day| (day - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let spread = RANGE * (variance * (left + left * left / count)).sqrt();
    let after = |more: f64| {
        let more = PicoUsd::parse(&format!("{:.2}", more.max(0.0))).unwrap_or_default();
        so_far + more
    };
    let mid = mean * left;
    Some(Forecast { low: after(mid - spread), mid: after(mid), high: after(mid + spread) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::CostParts;

    fn sum(cost: PicoUsd) -> DaySum {
        let mut sum = DaySum::default();
        sum.cost.add_part("m", Some(CostParts { output: cost, ..CostParts::default() }));
        sum
    }

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn costs(days: &[(&str, &str)]) -> BTreeMap<Day, DaySum> {
        days.iter().map(|(date, cost)| (day(date), sum(PicoUsd::parse(cost).unwrap()))).collect()
    }

    fn of(sums: &BTreeMap<Day, DaySum>, now: &str) -> Forecast {
        let (zone, now) = (Zone::named("UTC").unwrap(), Timestamp::parse(now).unwrap());
        forecast(sums, &zone, now, zone.day_of(now).unwrap()).unwrap()
    }

    #[test]
    fn equal_days_make_a_forecast_without_a_range() {
        let sums =
            costs(&[("2026-11-19", "2"), ("2026-11-20", "2"), ("2026-11-21", "2"), ("2026-11-22", "1")]);
        let forecast = of(&sums, "2026-11-22T12:00:00Z");
        // Seven so far, and eight days at two dollars.
        let expected = PicoUsd::parse("23").unwrap();
        assert_eq!((forecast.low, forecast.mid, forecast.high), (expected, expected, expected));
    }

    #[test]
    fn the_range_is_around_the_middle_and_never_below_what_was_spent() {
        let sums = costs(&[("2026-11-01", "0"), ("2026-11-02", "50"), ("2026-11-03", "1")]);
        let forecast = of(&sums, "2026-11-03T12:00:00Z");
        assert!(forecast.low < forecast.mid && forecast.mid < forecast.high);
        assert!(forecast.low >= PicoUsd::parse("51").unwrap());
    }

    #[test]
    fn on_the_last_day_of_a_month_the_forecast_is_the_month() {
        let sums = costs(&[("2026-11-01", "0"), ("2026-11-02", "50"), ("2026-11-30", "1.2345")]);
        let month = PicoUsd::parse("51.2345").unwrap();
        for now in ["2026-11-30T00:00:00Z", "2026-11-30T12:00:00Z", "2026-11-30T23:59:59.999Z"] {
            let last = of(&sums, now);
            assert_eq!((last.low, last.mid, last.high), (month, month, month), "{now}");
        }
        // Nothing else is known, and what is dated after today is not of today.
        for (date, now) in [("2026-11-30", "2026-11-30T00:01:00Z"), ("2028-02-29", "2028-02-29T06:00:00Z")] {
            let only = of(&costs(&[(date, "3"), ("2099-01-01", "9")]), now);
            assert_eq!(
                (only.low, only.high),
                (PicoUsd::parse("3").unwrap(), PicoUsd::parse("3").unwrap()),
                "{date}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_forecast_has_an_order_and_is_not_below_what_was_spent(
            days in proptest::collection::vec((0..60_i32, 0..100_000_u32), 1..40),
            millis in 0..86_400_000_i64,
            ahead in 0..61_i32,
        ) {
            let first = day("2026-10-05");
            let mut sums: BTreeMap<Day, DaySum> = BTreeMap::new();
            for (number, cents) in days {
                let cost = PicoUsd::times(cents.into(), 10_000_000_000);
                sums.insert(first.plus_days(number), sum(cost));
            }
            let today = first.plus_days(ahead);
            let zone = Zone::utc();
            let now = Timestamp::from_millis(zone.start_of(today).as_millis() + millis);
            let spent: PicoUsd = sums.range(today.first_of_month()..=today).map(|(_, sum)| sum.cost.known().or_zero()).sum();
            let Forecast { low, mid, high } = forecast(&sums, &zone, now, today).unwrap();
            prop_assert!(spent <= low && low <= mid && mid <= high, "{spent} {low} {mid} {high}");
        }
    }
}
