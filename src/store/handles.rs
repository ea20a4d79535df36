//! The ledger by concern: what can be asked and changed of each kind of thing, as `ledger.budgets().all()`, and
//! `ledger.budgets_mut()` for what writes. Where a concern's statements stand is said by the `impl`s of its handle.

use super::Ledger;

macro_rules! handles {
    ($($(#[$doc:meta])* $handle:ident: $read:ident, $write:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $handle<L>(pub(super) L);
        )*

        impl Ledger {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $read(&self) -> $handle<&Self> {
                    $handle(self)
                }

                $(#[$doc])*
                #[must_use]
                pub fn $write(&mut self) -> $handle<&mut Self> {
                    $handle(self)
                }
            )*
        }
    };
}

handles! {
    /// Runs of subagents.
    AgentRuns: agents, agents_mut;
    /// Which alerts are on, and what they remember.
    AlertTable: alerts, alerts_mut;
    /// Budgets, what was used of each, and what was told of it.
    Budgets: budgets, budgets_mut;
    /// What was used and spent, added up.
    UsageTables: usage, usage_mut;
    /// What costs are allocated to.
    AllocationTable: allocations, allocations_mut;
    /// What was learned of how models count, and the estimates that it applies to.
    CalibrationTable: calibrations, calibrations_mut;
    /// Sessions, their steps, turns, and models.
    Sessions: sessions, sessions_mut;
    /// What was read of logs, and how far.
    Logs: logs, logs_mut;
    /// What hooks have told.
    Events: events, events_mut;
    /// Everything one by one, for exports.
    Records: records, records_mut;
    /// Costs that the clients themselves tell, to compare with: they are added to nothing.
    Witnesses: witnesses, witnesses_mut;
}
