//! `dashboard`: weeks and months, what the money went to, budgets, and days that stand out.
//!
//! Every table is a cut of `cost`, and its rows make its total: what is not named is one row.

use std::cmp::Reverse;

use serde::Serialize;

use super::allocations::AllocationKey;
use super::budgets::BudgetsReport;
use super::cost::{By, CostReport, CostRow, Query};
use crate::calendar::{Day, Zone};
use crate::domain::PicoUsd;
use crate::store::{Ledger, StoreError};

/// Weeks that have a row.
pub const WEEKS: i32 = 8;
/// Months that have a row.
pub const MONTHS: i32 = 12;
/// Days that the tables by agent, model and project cover.
pub const RECENT_DAYS: i32 = 30;
/// Days that are looked at for spikes, each against so many before it.
pub const SPIKE_DAYS: i32 = 60;
const SPIKE_SAMPLE: i32 = 28;
/// A spike is so many standard deviations above the mean of the days before.
const SPIKE_DEVIATIONS: f64 = 2.0;
const SPIKES: usize = 5;

/// What the dashboard shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dashboard {
    /// The last day.
    pub today: String,
    /// The last [`WEEKS`] weeks.
    pub weeks: CostReport,
    /// The last [`MONTHS`] months.
    pub months: CostReport,
    /// The last [`RECENT_DAYS`] days by agent, skill, model, and project.
    pub recent_by: Vec<CostReport>,
    /// How all budgets stand.
    pub budgets: BudgetsReport,
    /// Days that cost far more than those before them, the most expensive first.
    pub spikes: Vec<SpikeDay>,
}

/// A day that cost far more than those before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpikeDay {
    /// The day.
    pub day: String,
    /// What it cost.
    pub cost_usd: PicoUsd,
    /// What the days before it cost on average.
    pub usual_usd: Option<PicoUsd>,
}

impl Dashboard {
    /// Asks the ledger, whose allocations are up to date; `None` if it holds nothing.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(
        ledger: &Ledger,
        zone: &Zone,
        today: Day,
        budgets: BudgetsReport,
    ) -> Result<Option<Self>, StoreError> {
        let ask = |by, since: Day| {
            let query = Query {
                by,
                since: Some(since),
                until: Some(today),
                projects: None,
                model: None,
                compare: false,
                today,
                zone: zone.clone(),
            };
            CostReport::of(ledger, &query)
        };
        let months = ask(By::Month, today.first_of_month().plus_months(1 - MONTHS))?;
        if months.is_empty() {
            return Ok(None);
        }
        let weeks = ask(By::Week, today.monday().plus_days(7 * (1 - WEEKS)))?;
        let recent = today.plus_days(1 - RECENT_DAYS);
        let mut recent_by = Vec::new();
        for by in [By::Agent, By::AllocationKey(AllocationKey::Skill), By::Model, By::Project] {
            recent_by.push(ask(by, recent)?);
        }
        let days = ask(By::Day, today.plus_days(1 - SPIKE_DAYS - SPIKE_SAMPLE))?;
        let spikes = spikes(&days.rows, today);
        Ok(Some(Self { today: today.to_string(), weeks, months, recent_by, budgets, spikes }))
    }
}

/// Days that cost far more than those before them.
fn spikes(rows: &[CostRow], today: Day) -> Vec<SpikeDay> {
    let cost = |day: Day| {
        let key = day.to_string();
        rows.iter().find(|row| row.key == key).and_then(|row| row.sum.cost_usd).unwrap_or_default()
    };
    let Some(first) = rows.iter().find_map(|row| Day::parse(&row.key)) else { return Vec::new() };
    let mut found = Vec::new();
    for back in 0..SPIKE_DAYS {
        let day = today.plus_days(-back);
        let before: Vec<f64> = (1..=SPIKE_SAMPLE)
            .map(|number| day.plus_days(-number))
            .filter(|before| *before >= first)
            .map(|before| cost(before).to_f64())
            .collect();
        // A week tells what is usual.
        if before.len() < 7 {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 28")]
        let count = before.len() as f64;
        let mean = before.iter().sum::<f64>() / count;
        let deviation = (before.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / count).sqrt();
        let own = cost(day);
        if own.to_f64() > mean + SPIKE_DEVIATIONS * deviation && own.to_f64() > mean * 1.5 {
            found.push((own, day, mean));
        }
    }
    found.sort_by_key(|(cost, day, _)| (Reverse(*cost), Reverse(*day)));
    found.truncate(SPIKES);
    let spike = |(cost_usd, day, mean): (PicoUsd, Day, f64)| SpikeDay {
        day: day.to_string(),
        cost_usd,
        usual_usd: PicoUsd::parse(&format!("{mean:.6}")),
    };
    found.into_iter().map(spike).collect()
}
