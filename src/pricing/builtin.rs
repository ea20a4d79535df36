//! The table that is part of the program, as `generate.rs` wrote it.

use std::borrow::Cow;

use super::model::{Model, Rates, Row};

include!(concat!(env!("OUT_DIR"), "/prices.rs"));
