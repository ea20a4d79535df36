//! Integration tests, one binary. They read as the contract: a payload comes in, the ledger says this.
//!
//! Every test owns a temporary folder with its home, ledger and transcripts. Nothing reads the real home, clock or
//! environment: in-process events have a fixed clock, and the real program is started without any variable.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod agree;
mod alerts;
mod allocations;
mod amounts;
mod batches;
mod bill;
mod bounds;
mod budgets;
mod capture;
mod cli;
mod contract;
mod corpus;
mod cost;
mod counting;
mod damage;
mod dates;
mod docs;
mod doctor;
mod editors;
mod ended;
mod estimates;
mod export;
mod faces;
mod facts;
mod forks;
mod generated;
mod growth;
mod guarantees;
mod held;
mod hook;
mod identity;
mod material;
mod opencode;
mod other_clients;
mod prices;
mod printed;
mod removal;
mod robustness;
mod rollups;
mod setup;
mod setup_others;
mod statusline;
mod store;
mod support;
mod tables;
mod tidy;
mod totals;
mod transcripts;
mod trees;
mod words;
