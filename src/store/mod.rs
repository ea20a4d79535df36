//! The ledger: every line of SQL, and nothing else.
//!
//! # Locking
//! Every write is one `BEGIN IMMEDIATE` transaction, and `busy_timeout` is set before anything else is said to
//! SQLite: with `DEFERRED` transactions 200 processes lost three quarters of their rows (`docs/facts.md#sqlite-in-a-short-lived-process`). A
//! hook waits for other writers for one second; then its event goes to the [`Spool`], which the next writer empties. A view
//! waits for a moment and then does without what it cannot write (`view`).
//!
//! # Compatibility
//! The schema's position is `user_version`. Migrations only add. A ledger of a newer release is refused by the
//! commands and left alone by the hook. A file of another program (by `application_id`) is refused by both.
//!
//! # Durability
//! WAL with `synchronous=NORMAL`: a killed process loses nothing that was acknowledged; a power cut may lose the
//! last commits. `FULL`, which loses nothing, where a turn ends, where a command changes something, and if the settings say so.
//!
//! # File systems
//! WAL needs shared memory between the processes of one machine. On a network mount the ledger keeps the rollback
//! journal, which is slower and as safe.
//!
//! # Performance
//! A hook's process lives for a millisecond, so it asks SQLite as little as it can: one look at the file's header in
//! place of three statements, one read, one transaction of three pages in a ledger that it has alone, and a checkpoint only
//! now and then (`wal`).

mod agents;
mod alerts;
mod allocations;
mod bucket_writer;
mod buckets;
mod budget_query;
mod budget_totals;
mod budgets;
mod calibrations;
mod calls;
mod captured;
mod changes;
mod codec;
mod columns;
mod contexts;
mod ended;
mod event;
mod gather;
mod growth;
mod handles;
mod hidden;
mod listing;
mod log;
mod log_batch;
mod log_records;
mod log_writer;
mod meta;
mod migrations;
mod open;
mod owners;
mod quarter_hour;
mod queries;
mod reading;
mod recover;
mod refusal;
mod removal;
mod report_writer;
mod reports;
mod responses;
mod rollup;
mod session_sums;
mod spool;
mod status;
mod steps;
mod view;
mod wal;
mod writer;

pub use agents::{ObservedRun, RUNS_OF_A_TYPE};
pub use alerts::StoredAlertState;
pub use allocations::{AllocationRow, AllocationWriter, Allocations, Phase, StaleSession};
pub use buckets::{BucketFilter, RunType, SessionPlace, SessionUsage, Shortfall, UsageBucket};
pub use budget_query::BudgetQuery;
pub use budget_totals::{BudgetTotals, Pending};
pub use calibrations::Estimates;
pub use calls::CallRecord;
pub use captured::WitnessedCost;
pub use changes::{ChangeEntry, ChangeNumber, ChangedItem, LedgerId, StoredCompaction};
pub use contexts::SessionTranscript;
pub use event::{AgentObservation, Event, EventKind, SessionKnowledge, SessionObservation};
pub use growth::Growth;
pub use handles::{
    AgentRuns, AlertTable, AllocationTable, Budgets, CalibrationTable, Events, Logs, Records, Sessions,
    UsageTables, Witnesses,
};
pub use hidden::Disagreement;
pub use listing::SessionCounts;
pub use log::TranscriptState;
pub use log_batch::LogBatch;
#[cfg(test)]
pub(crate) use migrations::older_ledger;
pub use open::{CopiedFor, Ledger, SCHEMA_VERSION, StoreError};
pub use quarter_hour::{HIDDEN_AGENT, QuarterHour};
pub use queries::*;
pub use recover::Recovered;
pub use reports::Report;
pub use rollup::{Grain, QuarterRange};
pub use session_sums::{ResponseUsage, SessionCalls};
pub use spool::{Spool, SpoolState};
pub use status::{StatusFigures, StatusSum};
pub use view::{LeftOut, LeftOutPart};
pub use writer::SessionRow;
