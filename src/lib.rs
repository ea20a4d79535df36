//! tallyhook: the token and cost ledger that lives in Claude Code's hooks.
//!
//! ```text
//! stdin JSON ─ clients (hooks) ─▶ HookPayload ─ hook ─▶ store::event ─▶ ledger.db ◀─ report ─ present ─ render
//!                                                          ▲
//! logs ─ clients (LogReader) ─▶ LogDelta ─ ingest ─▶ store::log (reconcile)
//! ```
//!
//! `ARCHITECTURE.md` has the whole picture and its invariants.

pub mod allocation;
pub mod attribution;
pub mod budget;
pub mod calendar;
pub mod child;
pub mod cli;
pub mod clients;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod env;
pub mod error;
pub mod estimate;
pub mod export;
pub mod hook;
pub mod ingest;
pub mod json;
pub mod platform;
pub mod present;
pub mod pricing;
pub mod reconcile;
pub mod regular;
pub mod render;
pub mod report;
pub mod setup;
pub mod statusline;
pub mod stdin;
pub mod store;
