//! What clients' logs have new goes into the ledger. Every log is read here, and by one way ([`source`]):
//!
//! - [`turn`]: what one session's logs have new, at its hooks and when a view asks for it;
//! - [`backfill`]: everything below a folder, by several threads;
//! - [`contents`]: the content of what was only back-filled, when a view first asks where costs came from.
//!
//! The first two store records and position in one transaction, so running one twice, or both beside each other or in any order,
//! comes to the same; contents are stored by the place in the log that they were read from.

pub mod backfill;
pub mod contents;
mod parallel;
mod source;
pub mod turn;
