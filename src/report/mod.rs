//! Questions to the ledger and their answers: data for JSON, [`Table`]s for people. No formatting here.

pub mod advice;
pub mod agents;
pub mod allocations;
pub mod budgets;
pub mod capture;
pub mod cost;
pub mod count;
pub mod dashboard;
pub mod history;
pub mod prices;
pub mod reported;
mod session;
mod share;
mod table;
pub mod tools;
pub mod trends;
pub mod usage;

use std::ops::AddAssign;

pub use crate::calendar;
pub use session::SessionInfo;
pub use share::{Share, Whole};
pub use table::{Align, Cell, Column, Table};

/// Most rows with names in a table for a terminal; what is over is one row.
pub const ROWS_SHOWN: usize = 40;

/// Adds to a sum, of which nothing is known until something known is added.
fn add_known<T: Default + AddAssign>(sum: &mut Option<T>, more: Option<T>) {
    if let Some(more) = more {
        *sum.get_or_insert_default() += more;
    }
}
