//! What usage cost: the dated price table, the user's own prices, and exact arithmetic between them and tokens.
//!
//! The table is `prices.toml`, data and no code. `build.rs` turns it into a constant (`generate.rs`), so a process
//! that wants a price parses nothing; a lookup is a binary search. The user's file has the same format, is read only by
//! who asks for it, and beats the table ([`PriceTable::with_overrides`]).
//!
//! # Classes
//! Two requests of one [`PriceClass`] are priced by the same [`Rates`]: same model, same dated row, same side of a
//! tier's threshold, same hours, same fast, batch and regional processing. So the sum of their usage can be priced as
//! one, to the pico-dollar. A class means something only together with the table's [`version`](PriceTable::version).
//!
//! # What would surprise
//! - A tier's price is that of the whole request, not of what lies above the threshold, and the prompt that is compared
//!   with it is input, cache reads and cache writes together.
//! - A response can take several requests ([`PriceTable::priced`]): two of 60,000 tokens are not one of 120,000.
//! - The first row of a model holds before its date too. A tier does not.
//! - A model that is not in the table has no price. It is never priced like a similar one, and never free.
//! - Usage that a `cost-state` sums over many requests has no prompt to compare with a threshold: pass 0.
//! - Clouds and resellers are priced like the maker, but for Bedrock's regional endpoints, which the id shows.

mod builtin;
pub mod edit;
mod file;
mod model;
mod model_id;
mod rates;
mod table;
#[cfg(test)]
mod tests;
mod user;

pub use crate::domain::Modifiers;
pub use model::{Model, Percent, Rates, Row};
pub use table::{Found, PriceClass, PriceTable};
pub use user::{PriceTableError, UserPrices, text_of};
