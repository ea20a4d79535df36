//! Reads `prices.toml`: what tokens of language models cost, by model and date.
//!
//! The table that is part of the program and the user's own file are read by the same code: the first when
//! `tallyhook-prices` is built, the second when the program runs. So this is a crate, and knows nothing of either.

mod file;
mod model;
mod model_id;

pub use file::{FileFault, FileModel, PriceFile, RowSpan, fingerprint, read};
pub use model::{Model, Percent, Rates, Row};
pub use model_id::Name;
