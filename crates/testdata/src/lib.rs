//! Transcripts of Claude Code whose true usage and cost are known.
//!
//! A [`Recipe`] says what a tree of sessions is to be like; [`make`] and [`write()`] make it and return the [`Truth`]. The truth
//! is counted while the sessions are made. It is never read from their lines, and nothing here knows the program that is
//! tested against it.
//!
//! The trees have what real ones have: clients of four [`Era`]s, responses that are streamed over several lines, subagents in
//! files of every kind and in none, forks, resumed sessions, side questions, compactions, calls that no line shows, prices
//! with dates and tiers. [`FEATURES`] names all of it. A tree of all eras has each feature that its recipe allows.
//!
//! Contexts grow as they do for real: by what tools return, at so many tokens for a text as a made-up tokenizer of each
//! generation of models makes of it, so that estimates of tool calls can be tried on them.

mod chance;
pub mod clock;
mod collected;
mod log;
mod models;
pub mod prices;
mod session;
mod tools;
mod tree;
mod truth;
mod words;

pub use chance::Chance;
pub use collected::{collected, corpus};
pub use models::Era;
pub use prices::Prices;
pub use tree::{FEATURES, Feature, Folder, Recipe, Sink, make, write};
pub use truth::{Figures, HIDDEN, Session, Truth, Usage};
