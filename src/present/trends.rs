//! What people read of `trends`.

use super::{Block, Cell, Page, PageOptions, Present, Table};
use crate::domain::{PicoUsd, plural};
use crate::report::KnownCost;
use crate::report::trends::{Forecast, TrendStep, Trends};

impl Present for Trends {
    fn has_data(&self) -> bool {
        !self.is_empty()
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let models = &self.unpriced_models;
        let note = format!("not included, because these models have no price: {}", models.join(", "));
        let mut page = Page::of_tables([self.table()]).with_note((!models.is_empty()).then_some(note));
        page.blocks.push(Block::Pairs(self.pairs()));
        page
    }
}

impl Trends {
    /// The days with bars.
    fn table(&self) -> Table {
        let mut table = Table::new(
            format!("Last {}", plural(self.days.len() as u64, "day")),
            &["day", "tokens", "cost", "bar<"],
        );
        let most = self.days.iter().filter_map(|day| day.cost_usd.amount).max().unwrap_or_default();
        for day in &self.days {
            let share = day
                .cost_usd
                .amount
                .filter(|_| most > PicoUsd::ZERO)
                .map_or(0.0, |cost| cost.to_f64() / most.to_f64());
            table.rows.push(vec![
                Cell::Text(day.date.clone()),
                Cell::Count(day.total_tokens),
                Cell::Cost(day.cost_usd),
                Cell::Bar(share),
            ]);
        }
        table.total = Some(vec![
            Cell::Text("total".to_owned()),
            Cell::Count(self.total_tokens),
            Cell::Cost(KnownCost { amount: self.total_usd, is_partial: !self.unpriced_models.is_empty() }),
            Cell::Bar(0.0),
        ]);
        table
    }

    /// Names and values below the days.
    fn pairs(&self) -> Vec<(&'static str, Cell)> {
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
        lines.extend(
            most.map(|day| ("peak", Cell::Text(format!("{}, {}", day.date, usd(day.cost_usd.amount))))),
        );
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
