//! What people read of `prices`.

use super::{Block, Cell, Fit, Page, PageLine, PageOptions, Present, Table};
use crate::domain::{PicoUsd, plural};
use crate::report::prices::{PriceCheck, PriceDetail, PriceList, PriceRow, PricedModel};

/// Names of a model that `prices show` lists; all of them are in its JSON.
const NAMES_SHOWN: usize = 6;
/// From this age on prices are probably out of date.
const OLD_DAYS: u64 = 90;
/// Columns of rates. Both writes are of the cache: with that word in their heads they take three lines at 80 columns.
const RATES: [&str; 5] = ["input", "output", "cache read", "write 5m", "write 1h"];
const TITLE: &str = "Prices in USD per million tokens";

/// The models and their prices now; in detail every price they had, have and will have.
impl Present for PriceList {
    fn has_data(&self) -> bool {
        !self.models.is_empty()
    }

    fn page(&self, options: &PageOptions<'_>) -> Page {
        let all = options.is_detailed;
        let last = if all { "when<" } else { "notes<" };
        let mut table = Table::new(TITLE, &[&["model"][..], &RATES, &[last]].concat());
        for model in &self.models {
            let rows = model.prices.iter().filter(|row| all || row.in_force);
            table.rows.extend(rows.map(|row| {
                let last = if all { when(row, false) } else { remarks(model) };
                let name = Cell::Text(model.model.clone());
                std::iter::once(name).chain(rates(row)).chain([Cell::Text(last)]).collect()
            }));
        }
        Page::of_tables([table])
    }
}

/// What is known of a model, above all its prices.
impl Present for PriceDetail {
    fn has_data(&self) -> bool {
        self.model.is_some()
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let Some(model) = &self.model else { return Page::default() };
        let mut table = Table::new(TITLE, &[&["when"][..], &RATES, &["web search"]].concat());
        table.rows.extend(model.prices.iter().map(|row| {
            let when = Cell::Text(when(row, row.in_force));
            std::iter::once(when).chain(rates(row)).chain([Cell::Price(row.web_search_usd)]).collect()
        }));
        Page { blocks: vec![Block::Pairs(facts(model)), Block::Table(table)] }
    }
}

/// How many models have a price, and those of the ledger that have none, by their tokens.
impl Present for PriceCheck {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let own = match self.own_prices {
            0 => String::new(),
            own => format!(", {own} of them set by you"),
        };
        let mut lines = vec![format!(
            "{} models have a price{own}; the built-in prices are from {} ({} old)",
            self.priced_models,
            self.date,
            plural(self.age_days, "day")
        )];
        if self.age_days >= OLD_DAYS {
            lines.push("prices may have changed since; update tallyhook for newer ones".to_owned());
        }
        match (self.models, self.unpriced.len()) {
            (0, _) => lines.push("the ledger has no responses yet".to_owned()),
            (1, 0) => lines.push("the only model in the ledger has a price".to_owned()),
            (models, 0) => lines.push(format!("all {models} models in the ledger have a price")),
            _ => {}
        }
        let lines = lines.into_iter().map(|line| PageLine::bare(vec![line.into()], Fit::Whole)).collect();
        let mut page = Page { blocks: vec![Block::Lines(lines)] };
        if !self.unpriced.is_empty() {
            page.blocks.push(Block::Table(unpriced_table(self)));
        }
        page
    }
}

fn unpriced_table(check: &PriceCheck) -> Table {
    let mut table = Table::new("Models without a price", &["model", "responses", "tokens"]);
    table.rows.extend(check.unpriced.iter().map(|unpriced| {
        let name = unpriced.model.as_deref().unwrap_or("(none)");
        vec![Cell::Text(name.to_owned()), Cell::Count(unpriced.responses), Cell::Count(unpriced.total_tokens)]
    }));
    table
}

/// What is to be said of a model above its prices, as name and value.
fn facts(model: &PricedModel) -> Vec<(&'static str, Cell)> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let mut facts = vec![("model", text(&model.model))];
    facts.extend(model.provider.as_ref().map(|provider| ("provider", text(provider))));
    facts.push(("source", text(&model.source)));
    let names: Vec<&str> =
        model.names.iter().map(String::as_str).filter(|name| *name != model.model).collect();
    if !names.is_empty() {
        let mut shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
        if names.len() > NAMES_SHOWN {
            shown.push_str(" …");
        }
        facts.push(("aliases", Cell::Text(shown)));
    }
    facts.extend(model.released.as_ref().map(|released| ("released", text(released))));
    facts.extend(model.window.map(|window| ("context", Cell::Count(window))));
    let mut factors = Vec::new();
    factors.extend(model.fast_multiplier.map(|fast| {
        let until = model.fast_until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        format!("{}{until}", times("fast", fast))
    }));
    for (name, factor) in [
        ("US only", model.us_multiplier),
        ("regional", model.regional_multiplier),
        ("batch", model.batch_multiplier),
    ] {
        factors.extend(factor.map(|factor| times(name, factor)));
    }
    if !factors.is_empty() {
        facts.push(("multipliers", Cell::Text(factors.join(", "))));
    }
    facts
}

fn rates(row: &PriceRow) -> impl Iterator<Item = Cell> {
    [row.input_usd, row.output_usd, row.cache_read_usd, row.cache_write_5m_usd, row.cache_write_1h_usd]
        .into_iter()
        .map(Cell::Price)
}

/// What a row holds for: `from 2026-10-07 (now)`, `> 200k until 2026-03-13`.
fn when(row: &PriceRow, in_force: bool) -> String {
    let mut words = Vec::new();
    words.extend(row.over_tokens.map(over));
    if row.weekdays_only {
        words.push("Mon-Fri".to_owned());
    }
    words.extend(row.hours_utc.iter().cloned());
    words.extend(row.from.as_ref().map(|from| format!("from {from}")));
    words.extend(row.until.as_ref().map(|until| format!("until {until}")));
    if in_force {
        words.push("(now)".to_owned());
    } else if words.is_empty() {
        words.push("-".to_owned());
    }
    words.join(" ")
}

/// What the list of prices now does not show of a model.
fn remarks(model: &PricedModel) -> String {
    let rows = &model.prices;
    let mut words = Vec::new();
    if model.own {
        words.push("yours".to_owned());
    }
    words.extend(rows.iter().find_map(|row| row.over_tokens).map(over));
    if rows.iter().any(|row| !row.hours_utc.is_empty() || row.weekdays_only) {
        words.push("by hour".to_owned());
    }
    if rows.iter().any(|row| row.from.is_some()) {
        words.push("by date".to_owned());
    }
    words.extend(model.fast_now.map(|fast| times("fast", fast)));
    words.join(", ")
}

/// `> 200k`.
fn over(tokens: u64) -> String {
    format!("> {}k", tokens / 1_000)
}

/// `fast × 2.5`.
fn times(what: &str, factor: PicoUsd) -> String {
    format!("{what} × {}", factor.to_decimal())
}
