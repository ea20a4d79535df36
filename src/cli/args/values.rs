//! Values that several commands take.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::calendar::{AskedDay, Zone};
use crate::export::{Cursor, CursorError, FORMATS, FileFormat};

/// Reads a day that is asked for.
///
/// # Errors
/// If it has none of the forms, which the error names.
pub(in crate::cli) fn day(text: &str) -> Result<AskedDay, String> {
    AskedDay::parse(text).ok_or_else(|| format!("expected a day, such as {}", AskedDay::FORMS))
}

/// Reads a cursor of `export --changes`.
///
/// # Errors
/// If it is none.
pub(in crate::cli) fn cursor(text: &str) -> Result<Cursor, CursorError> {
    Cursor::parse(text)
}

/// Reads the name of one of [`FORMATS`].
pub(in crate::cli) fn file_format() -> impl TypedValueParser<Value = FileFormat> {
    let names = FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(names).map(|name| {
        // One of them is named, for no other name passes.
        *FORMATS.iter().find(|format| format.name == name).unwrap_or(&FORMATS[0])
    })
}

/// Reads the name of a time zone.
///
/// # Errors
/// If there is no such zone.
pub(in crate::cli) fn zone(name: &str) -> Result<Zone, String> {
    Zone::named(name).ok_or_else(|| "expected a time zone name, such as Europe/Berlin or UTC".to_owned())
}
