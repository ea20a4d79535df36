//! What tokens of language models cost: the dated table, and which of its rates hold for a request.
//!
//! `prices.toml` is the table, data and no code. The build script turns it into a constant, so a process that wants a price
//! parses nothing; a lookup is a binary search. `README.md` has the rules and how the table is kept up.
//!
//! # Classes
//! Two requests of one [`PriceClass`] are priced by the same [`Rates`]: same model, same dated row, same side of a
//! tier's threshold, same hours, same fast, batch and regional processing. So the sum of their usage can be priced as
//! one, to the pico-dollar. A class means something only together with the table's [`version`](Prices::version).

mod builtin;
mod table;
#[cfg(test)]
mod tests;
mod user;

pub use table::{Found, PriceClass, Prices, Processing};
pub use tallyhook_price_file::{FileFault, FileModel, Model, Percent, PriceFile, Rates, Row, RowSpan, read};
pub use user::UserPrices;
