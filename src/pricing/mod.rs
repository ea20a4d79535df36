//! What usage cost: the dated price table, the user's own prices, and exact arithmetic between them and tokens.
//!
//! The table itself, the rules by which a row is chosen, and the matching of names are the crate `tallyhook-prices`
//! (`crates/prices`, with a README); here it meets the program's own types and the user's file. The user's file has the same
//! format, is read only by who asks for it, and beats the table ([`PriceTable::with_overrides`]).
//!
//! # What would surprise
//! - A tier's price is that of the whole request, not of what lies above the threshold, and the prompt that is compared
//!   with it is input, cache reads and cache writes together.
//! - A response can take several requests ([`PriceTable::priced`]): two of 60,000 tokens are not one of 120,000.
//! - The first row of a model holds before its date too. A tier does not.
//! - A model that is not in the table has no price. It is never priced like a similar one, and never free.
//! - Usage that a `cost-state` sums over many requests has no prompt to compare with a threshold: pass 0.
//! - Clouds and resellers are priced like the maker, but for Bedrock's regional endpoints, which the id shows.

pub mod edit;
mod rates;
mod table;
#[cfg(test)]
mod tests;
mod user;

pub use tallyhook_prices::{Found, Model, Percent, PriceClass, Rates, Row, UserPrices};

pub use crate::domain::Modifiers;
pub use table::PriceTable;
pub use user::{PriceTableError, parse_user_prices, read_user_prices, text_of};
