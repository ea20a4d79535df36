//! The ledger: every line of SQL, and nothing else.
//!
//! # Locking
//! Every write is one `BEGIN IMMEDIATE` transaction, and `busy_timeout` is set before anything else is said to
//! SQLite: with `DEFERRED` transactions 200 processes lost three quarters of their rows (FACTS section 7).
//!
//! # Compatibility
//! The schema's position is `user_version`. Migrations only add. A ledger of a newer release is refused by the
//! commands and left alone by the hook. A file of another program (by `application_id`) is refused by both.
//!
//! # Durability
//! WAL with `synchronous=NORMAL`: a killed process loses nothing that was acknowledged; a power cut may lose the
//! last commits.
//!
//! # File systems
//! WAL needs shared memory between the processes of one machine. On a network mount the ledger keeps the rollback
//! journal, which is slower and as safe.

mod migrations;
mod open;
mod queries;
mod writer;

pub use open::{Ledger, SCHEMA_VERSION, StoreError};
pub use queries::*;
pub use writer::*;
