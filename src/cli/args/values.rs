//! Values that several commands take.

use crate::report::calendar::{AskedDay, Zone};

/// Reads a day that is asked for.
///
/// # Errors
/// If it has none of the forms, which the error names.
pub(in crate::cli) fn day(text: &str) -> Result<AskedDay, String> {
    AskedDay::parse(text).ok_or_else(|| format!("expected a day, such as {}", AskedDay::FORMS))
}

/// Reads the name of a time zone.
///
/// # Errors
/// If there is no such zone.
pub(in crate::cli) fn zone(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| "expected a time zone name, such as Europe/Berlin or UTC".to_owned())
}
