//! The commands that change a budget, as they are to be typed.

use std::fmt::Write as _;

use super::BudgetStatus;
use crate::domain::{Limit, shell_word};

/// What can be done about a budget: command lines, in the order add, override, clear.
#[must_use]
pub fn options(held: &BudgetStatus) -> [String; 3] {
    let which = which(held);
    [
        format!("tallyhook budget add AMOUNT{which}"),
        format!("tallyhook budget override --for 1h{which}"),
        format!("tallyhook budget clear{which}"),
    ]
}

/// The options that tell this budget from others, each with a space before it.
#[must_use]
pub fn which(held: &BudgetStatus) -> String {
    let scope = &held.budget.scope;
    let mut options = format!(" --per {}", held.budget.per.name());
    for (name, value) in [("project", &scope.project), ("agent", &scope.agent), ("model", &scope.model)] {
        if let Some(value) = value {
            let _written = write!(options, " --{name} {}", shell_word(value)).is_ok();
        }
    }
    if matches!(held.standing.limit, Limit::Tokens(_)) {
        options.push_str(" --tokens");
    }
    options
}
