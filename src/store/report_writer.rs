//! Storing what agents without hooks report, which budgets count right away.

use std::ops::DerefMut;

use super::{Ledger, Records, Report, StoreError, budget_totals, reports};

impl<L: DerefMut<Target = Ledger>> Records<L> {
    /// Stores a report and adds it to the budgets' totals; `false` if one of its id is there.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn add_report(&mut self, report: &Report) -> Result<bool, StoreError> {
        self.0.write("store the report", |tx| {
            let is_new = reports::insert(tx, report)?;
            if is_new {
                budget_totals::add_report(tx, report)?;
            }
            Ok(is_new)
        })
    }
}
