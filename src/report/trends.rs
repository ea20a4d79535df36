//! `trends`: the last days, what changed, and what the month will probably cost.
//!
//! # The forecast
//! What this month has cost so far, and for each day after today the mean of the whole days before today, at most
//! [`SAMPLE_DAYS`] of them. On the last day of a month nothing is left, so the forecast is what the month has cost. The
//! range holds four months out of five if days are as different from each other as they were: 1.28 standard deviations of
//! the sum that is left, the mean's own uncertainty included.

use std::collections::BTreeMap;

use serde::Serialize;

use super::calendar::{Day, Days, Zone};
use super::{Cell, Table};
use crate::domain::{PicoUsd, Timestamp, plural};
use crate::store::{Block, BucketFilter, Grain, Ledger, QuarterHour, SessionRow, StoreError};

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
    pub cost_usd: Option<PicoUsd>,
    pub total_tokens: u64,
    #[serde(skip)]
    is_partly_priced: bool,
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

/// What some time cost.
#[derive(Debug, Clone, Default)]
struct Sum {
    cost: PicoUsd,
    tokens: u64,
    is_priced: bool,
    unpriced: Vec<String>,
}

impl Sum {
    fn merge(&mut self, other: &Self) {
        self.cost += other.cost;
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.is_priced |= other.is_priced;
        for model in &other.unpriced {
            if !self.unpriced.contains(model) {
                self.unpriced.push(model.clone());
            }
        }
    }

    /// The cost of nothing is known.
    fn cost(&self) -> Option<PicoUsd> {
        (self.is_priced || self.unpriced.is_empty()).then_some(self.cost)
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
            let mut sum = Sum::default();
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
                TrendDay {
                    date: day.to_string(),
                    cost_usd: sum.cost(),
                    total_tokens: sum.tokens,
                    is_partly_priced: !sum.unpriced.is_empty(),
                }
            })
            .collect();
        let most = rows
            .iter()
            .filter(|day| day.cost_usd > Some(PicoUsd::ZERO))
            .max_by_key(|day| (day.cost_usd, std::cmp::Reverse(&day.date)))
            .map(|day| day.date.clone());
        let change = total.cost().zip(previous.cost().filter(|cost| *cost > PicoUsd::ZERO));
        let mut unpriced_models = total.unpriced.clone();
        unpriced_models.sort();
        Ok(Self {
            schema_version: 1,
            total_usd: total.cost(),
            total_tokens: total.tokens,
            average_usd: total.cost().map(|cost| {
                let count = i128::from(count);
                PicoUsd::from_pico((cost.as_pico() + count / 2).div_euclid(count))
            }),
            previous_usd: previous.cost(),
            change_percent: change.and_then(|(now, before)| (now - before).percent_of(before)),
            most_expensive_day: most,
            most_expensive_step: steps.iter().max().cloned(),
            least_expensive_step: steps.into_iter().min(),
            forecast_month_usd: forecast(&sums, zone, now, today),
            unpriced_models,
            days: rows,
        })
    }

    /// Whether no day has any usage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.iter().all(|day| day.total_tokens == 0)
    }

    /// The days with bars.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new(
            format!("Last {}", plural(self.days.len() as u64, "day")),
            &["day", "tokens", "cost", "bar<"],
        );
        let most = self.days.iter().filter_map(|day| day.cost_usd).max().unwrap_or_default();
        for day in &self.days {
            let share = day
                .cost_usd
                .filter(|_| most > PicoUsd::ZERO)
                .map_or(0.0, |cost| cost.to_f64() / most.to_f64());
            table.rows.push(vec![
                Cell::Text(day.date.clone()),
                Cell::Count(day.total_tokens),
                Cell::Usd { amount: day.cost_usd, at_least: day.is_partly_priced },
                Cell::Bar(share),
            ]);
        }
        table.total = Some(vec![
            Cell::Text("total".to_owned()),
            Cell::Count(self.total_tokens),
            Cell::Usd { amount: self.total_usd, at_least: !self.unpriced_models.is_empty() },
            Cell::Bar(0.0),
        ]);
        table
    }

    /// Names and values below the days.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, Cell)> {
        let usd = |amount: Option<PicoUsd>| amount.map_or("unknown".to_owned(), |amount| amount.to_string());
        let mut lines = vec![("average", Cell::Text(format!("{} per day", usd(self.average_usd))))];
        lines.push((
            "change",
            Cell::Text(match self.change_percent {
                Some(change) => {
                    let before = match self.days.len() {
                        1 => "the day before".to_owned(),
                        days => format!("the {days} days before"),
                    };
                    format!("{change:+.1}% vs. {before} ({})", usd(self.previous_usd))
                }
                None => "no earlier spending".to_owned(),
            }),
        ));
        let most = self.days.iter().find(|day| Some(&day.date) == self.most_expensive_day.as_ref());
        lines.extend(most.map(|day| ("peak", Cell::Text(format!("{}, {}", day.date, usd(day.cost_usd))))));
        let step = |step: &TrendStep| {
            let session: String = step.session_id.chars().take(8).collect();
            format!("{} in {session}, {}", step.step, step.cost_usd)
        };
        if let (Some(most), Some(least)) = (&self.most_expensive_step, &self.least_expensive_step) {
            lines.push(("costliest step", Cell::Text(step(most))));
            if least != most {
                lines.push(("cheapest step", Cell::Text(step(least))));
            }
        }
        lines.extend(self.forecast_month_usd.map(|forecast| {
            let Forecast { low, mid, high } = forecast;
            let range = if low == high {
                // Of one day, or equal ones, nothing tells how far others will be from it.
                String::new()
            } else {
                format!(", likely between {low} and {high}")
            };
            ("month-end forecast", Cell::Text(format!("~{mid}{range}")))
        }));
        lines
    }
}

/// What each day from `first` on has cost.
fn sums(ledger: &Ledger, zone: &Zone, first: Day) -> Result<BTreeMap<Day, Sum>, StoreError> {
    let filter =
        BucketFilter { from: Some(QuarterHour::from_time(zone.start_of(first))), ..BucketFilter::default() };
    let mut days = Days::new(zone);
    let mut sums: BTreeMap<Day, Sum> = BTreeMap::new();
    let mut cut = Days::new(zone);
    let is_split = |block: Block| {
        filter.from.is_some_and(|from| block.0 < from && from <= block.1)
            || cut.of(block.0.start()) != cut.of(block.1.start())
    };
    ledger.for_each_bucket(&filter, Grain::Hour, is_split, |row| {
        let Some(day) = row.quarter.and_then(|quarter| days.of(quarter.start())) else { return };
        let sum = sums.entry(day).or_default();
        sum.tokens = sum.tokens.saturating_add(row.usage.total());
        match row.cost {
            Some(cost) => {
                sum.cost += cost.total();
                sum.is_priced = true;
            }
            None if row.usage.total() == 0 => {}
            None => {
                let model = if row.model.is_empty() { "(none)" } else { row.model };
                if !sum.unpriced.iter().any(|known| known == model) {
                    sum.unpriced.push(model.to_owned());
                }
            }
        }
    })?;
    Ok(sums)
}

/// What sessions' steps cost from a day on until the end of another one; those without a cost are left out.
fn steps(ledger: &Ledger, zone: &Zone, first: Day, last: Day) -> Result<Vec<TrendStep>, StoreError> {
    let start = |day| Some(QuarterHour::from_time(zone.start_of(day)));
    let filter =
        BucketFilter { from: start(first), until: start(last.plus_days(1)), ..BucketFilter::default() };
    let mut sums: BTreeMap<(SessionRow, String), PicoUsd> = BTreeMap::new();
    ledger.for_each_allocation(&filter, |session, share| {
        if !share.step.is_empty() {
            *sums.entry((session, share.step.clone())).or_default() += share.cost.unwrap_or_default().total();
        }
    })?;
    if sums.is_empty() {
        return Ok(Vec::new());
    }
    let places = ledger.session_places()?.into_iter().map(|place| (place.row, place.id));
    let ids: BTreeMap<SessionRow, String> = places.collect();
    let step = |((session, step), cost_usd): ((SessionRow, String), PicoUsd)| {
        let session_id = ids.get(&session)?.clone();
        (cost_usd > PicoUsd::ZERO).then_some(TrendStep { cost_usd, step, session_id })
    };
    Ok(sums.into_iter().filter_map(step).collect())
}

/// What the month will probably cost.
fn forecast(sums: &BTreeMap<Day, Sum>, zone: &Zone, now: Timestamp, today: Day) -> Option<Forecast> {
    let first_known = *sums.keys().next()?;
    let month = today.first_of_month();
    let so_far: PicoUsd = sums.range(month..=today).map(|(_, sum)| sum.cost).sum();
    let from = first_known.max(today.plus_days(-SAMPLE_DAYS));
    let cost_of = |day: Day| sums.get(&day).map_or(0.0, |sum| sum.cost.to_f64());
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

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn costs(days: &[(&str, &str)]) -> BTreeMap<Day, Sum> {
        days.iter()
            .map(|(date, cost)| {
                let cost = PicoUsd::parse(cost).unwrap();
                (day(date), Sum { cost, is_priced: true, ..Sum::default() })
            })
            .collect()
    }

    fn of(sums: &BTreeMap<Day, Sum>, now: &str) -> Forecast {
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
            let mut sums: BTreeMap<Day, Sum> = BTreeMap::new();
            for (number, cents) in days {
                let cost = PicoUsd::times(cents.into(), 10_000_000_000);
                sums.insert(first.plus_days(number), Sum { cost, is_priced: true, ..Sum::default() });
            }
            let today = first.plus_days(ahead);
            let zone = Zone::utc();
            let now = Timestamp::from_millis(zone.start_of(today).as_millis() + millis);
            let spent: PicoUsd = sums.range(today.first_of_month()..=today).map(|(_, sum)| sum.cost).sum();
            let Forecast { low, mid, high } = forecast(&sums, &zone, now, today).unwrap();
            prop_assert!(spent <= low && low <= mid && mid <= high, "{spent} {low} {mid} {high}");
        }
    }
}
