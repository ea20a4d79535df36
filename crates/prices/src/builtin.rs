//! The table that is part of the program, as the build script wrote it.

use std::borrow::Cow;

use tallyhook_price_file::{Model, Name, Rates, Row};

include!(concat!(env!("OUT_DIR"), "/prices.rs"));

/// The built-in model of that very name.
pub(super) fn index_of(key: &str) -> Option<usize> {
    let at = NAMES.binary_search_by(|(name, _)| (*name).cmp(key)).ok()?;
    Some(NAMES[at].1.into())
}

/// The built-in model that an id leads to.
pub(super) fn model_of(id: &str) -> Option<(usize, &'static Model)> {
    let index = Name::new(id).candidates().find_map(index_of)?;
    Some((index, MODELS.get(index)?))
}
