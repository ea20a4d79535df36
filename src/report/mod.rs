//! Questions to the ledger and their answers: structs that are the contract's JSON, name for name. What people read of them
//! is made by `present`; no sentence stands here.

pub mod advice;
pub mod agents;
pub mod alerts;
pub mod allocations;
pub mod budgets;
pub mod capture;
pub mod cost;
mod cost_sum;
pub mod count;
pub mod dashboard;
pub mod history;
pub mod prices;
pub mod reported;
mod session;
mod share;
pub mod steps;
pub mod tools;
pub mod trends;
pub mod usage;

use std::ops::AddAssign;

pub use cost_sum::{CostSum, KnownCost, PricedSum};
pub use session::SessionInfo;
pub use share::{Share, Whole};

/// Adds to a sum, of which nothing is known until something known is added.
pub(crate) fn add_known<T: Default + AddAssign>(sum: &mut Option<T>, more: Option<T>) {
    if let Some(more) = more {
        *sum.get_or_insert_default() += more;
    }
}
