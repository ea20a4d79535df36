//! Budgets and how they stand: the contract's JSON, and a table.

use std::time::Duration;

use serde::Serialize;

use super::{Cell, Table};
use crate::budget::{self, Held};
use crate::domain::{Limit, PicoUsd, State, Timestamp};

/// `budget status --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// The budgets, in the order in which they were set.
    pub budgets: Vec<BudgetInfo>,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetInfo {
    /// What it holds for: `everything`, or the names of a project, an agent, a model.
    pub scope: String,
    /// How long it lasts.
    pub per: &'static str,
    /// The limit in force, if it is one of money.
    pub limit_usd: Option<PicoUsd>,
    /// The same, if it is one of tokens.
    pub limit_tokens: Option<u64>,
    /// What was used: actual and estimated.
    pub used_usd: PicoUsd,
    /// Billed by the provider, with what was reported.
    pub used_actual_usd: PicoUsd,
    /// What the last results are estimated to add.
    pub used_estimated_usd: PicoUsd,
    /// Tokens of all classes, with those estimated.
    pub used_tokens: u64,
    /// Of the limit.
    pub percent: f64,
    /// Where the user is warned.
    pub warn_percent: u8,
    /// What happens at the limit.
    pub mode: &'static str,
    /// How it stands.
    pub state: &'static str,
    /// When it is used up if it goes on like this; null if it does not, or is.
    pub runs_out_at: Option<Timestamp>,
    /// Nothing is stopped before then.
    pub override_until: Option<Timestamp>,
    /// When a session was stopped last.
    pub stopped_at: Option<Timestamp>,
    /// Models that have no price, which a limit of money therefore does not see.
    pub unpriced_models: Vec<String>,
    /// `$4.12 / $5.00 (82 %)`, what is left, and the rate.
    #[serde(skip)]
    pub lines: [String; 3],
}

impl BudgetInfo {
    /// A budget as it stands `now`, after having been used for so long.
    #[must_use]
    pub fn of(held: &Held, since: Duration, unpriced: Vec<String>, now: Timestamp) -> Self {
        let (standing, used) = (held.standing, held.standing.used);
        let (limit_usd, limit_tokens) = match standing.limit {
            Limit::Usd(limit) => (Some(limit), None),
            Limit::Tokens(limit) => (None, Some(limit)),
        };
        let until = held.kept.span.until;
        Self {
            scope: held.budget.scope.name(),
            per: held.budget.per.name(),
            limit_usd,
            limit_tokens,
            used_usd: used.cost + used.pending_cost,
            used_actual_usd: used.cost,
            used_estimated_usd: used.pending_cost,
            used_tokens: used.tokens.saturating_add(used.pending_tokens),
            percent: (standing.percent() * 10.0).round() / 10.0,
            warn_percent: held.budget.warn_percent,
            mode: held.budget.mode.name(),
            state: standing.state().name(),
            runs_out_at: standing
                .lasts(since)
                .map(|lasts| now.plus(lasts))
                .filter(|at| until.is_none_or(|until| *at < until)),
            override_until: held.budget.free_until.filter(|until| *until > now),
            stopped_at: held.kept.stopped_at,
            unpriced_models: if limit_usd.is_some() { unpriced } else { Vec::new() },
            lines: [budget::used_line(held), budget::standing_line(held), budget::forecast(held, since)],
        }
    }

    /// Whether it is used up.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.state == State::Exceeded.name()
    }

    /// `session: $4.12 / $5.00 (82 %), $0.88 left`.
    #[must_use]
    pub fn line(&self) -> String {
        let scope = if self.scope == "everything" { String::new() } else { format!(" ({})", self.scope) };
        format!("{}{scope}: {}, {}", self.per, self.lines[0], self.lines[1])
    }
}

impl BudgetsReport {
    /// How many are used up.
    #[must_use]
    pub fn exceeded(&self) -> usize {
        self.budgets.iter().filter(|budget| budget.is_exceeded()).count()
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new("Budgets", &["for", "per", "used", "left", "at", "then", "state"]);
        for budget in &self.budgets {
            table.rows.push(vec![
                Cell::Text(budget.scope.clone()),
                Cell::Text(budget.per.to_owned()),
                Cell::Text(budget.lines[0].clone()),
                Cell::Text(budget.lines[1].clone()),
                Cell::Text(format!("{} %", budget.warn_percent)),
                Cell::Text(budget.mode.to_owned()),
                Cell::Text(budget.state.to_owned()),
            ]);
        }
        table
    }

    /// What the table leaves out: rates, stops, overrides, models without a price.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for budget in &self.budgets {
            let name = format!("{} ({})", budget.per, budget.scope);
            if budget.used_tokens > 0 {
                notes.push(format!("{name}: {}", budget.lines[2]));
            }
            if budget.is_exceeded() {
                let stopped = if budget.stopped_at.is_some() { "a session was stopped; go" } else { "go" };
                notes.push(format!(
                    "{name}: {stopped} on with `tallyhook budget add AMOUNT`, `budget override --for 1h`, or \
                     `budget clear`, and `claude --resume`"
                ));
            }
            if let Some(until) = budget.override_until {
                notes.push(format!("{name}: nothing is stopped until {}", until.to_rfc3339()));
            }
            if !budget.unpriced_models.is_empty() {
                notes.push(format!(
                    "{name}: without a price, so not counted: {}",
                    budget.unpriced_models.join(", ")
                ));
            }
        }
        notes
    }
}
