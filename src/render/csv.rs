//! CSV by RFC 4180, but that lines end as on a terminal; safe for spreadsheets: a text that one would run as a formula gets an apostrophe.

use std::borrow::Cow;

use crate::domain::{OneLine as _, PicoUsd, clean_name};
use crate::present::{Cell, Table};
use crate::report::KnownCost;

/// The rows of a table under its headings, its total last. Pictures are left out.
#[must_use]
pub(super) fn csv(table: &Table) -> String {
    let is_picture = |at: usize| table.rows.iter().any(|row| matches!(row[at], Cell::Bar(_)));
    let kept: Vec<usize> = (0..table.columns.len()).filter(|at| !is_picture(*at)).collect();
    let mut out = line(kept.iter().map(|at| quoted(table.columns[*at].name)));
    for row in table.rows.iter().chain(&table.total) {
        out.push_str(&line(kept.iter().map(|at| cell(&row[*at]))));
    }
    out
}

/// A text as a value: in one line, quoted where it must be, and no formula.
#[must_use]
pub fn csv_text(text: &str) -> Cow<'_, str> {
    if is_plain(text) { text.into() } else { quoted(&guarded(text.one_line().trim())).into() }
}

/// JSON as a value.
#[must_use]
pub fn csv_json(json: &str) -> String {
    // Its names are no longer than they are; within JSON a space stands for what is harmful.
    quoted(&clean_name(json, json.len()).unwrap_or_default())
}

/// Whether a text is written as it stands: it is empty, or of letters, digits and the like and begins with one of them, so that
/// nobody takes it for anything else.
fn is_plain(text: &str) -> bool {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-');
    let text = text.as_bytes();
    text.first().is_none_or(u8::is_ascii_alphanumeric) && text.iter().all(is_plain)
}

fn cell(cell: &Cell) -> String {
    let sum = |amount: PicoUsd| amount.to_decimal();
    match cell {
        Cell::Text(text) | Cell::Path(text) => csv_text(text).into_owned(),
        Cell::Count(value) | Cell::Tokens(value) | Cell::Estimate(value) | Cell::Span(value) => {
            value.to_string()
        }
        Cell::Price(amount)
        | Cell::Change(amount)
        | Cell::Rough(amount)
        | Cell::Cost(KnownCost { amount: Some(amount), .. }) => sum(*amount),
        Cell::State(state) => state.name().to_owned(),
        Cell::Cost(KnownCost { amount: None, .. }) | Cell::Unknown | Cell::Bar(_) => String::new(),
        Cell::Difference(more) => more.to_string(),
        Cell::ChangePercent(share) | Cell::Percent(share) => share.to_string(),
        Cell::Time(at) => at.to_rfc3339(),
    }
}

/// A text that no spreadsheet takes for a formula. A number stays one.
fn guarded(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_formula && !is_number { format!("'{text}") } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_as_it_stands_is_what_it_comes_to(text in "[-=+@, \"'\t.a-c0-9é]{0,8}") {
            if is_plain(&text) {
                prop_assert_eq!(&text, &quoted(&guarded(text.one_line().trim())));
            }
        }
    }

    #[test]
    fn formulas_are_texts_and_numbers_stay_numbers() {
        for (text, shown) in [
            ("=cmd()", "'=cmd()"),
            ("+1+1", "'+1+1"),
            ("-5", "-5"),
            ("-5.5e3", "-5.5e3"),
            ("-", "'-"),
            ("-inf", "'-inf"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("plain", "plain"),
        ] {
            assert_eq!(guarded(text), shown);
        }
    }

    #[test]
    fn long_texts_are_whole_and_differ_where_they_differ() {
        let texts = ["a", "b"].map(|end| format!("/{}{end}", "x ".repeat(5_000)));
        let mut table = Table::new("t", &["name"]);
        for text in &texts {
            table.rows.push(vec![Cell::Text(text.clone())]);
        }
        assert_eq!(csv(&table), format!("name\n{}", texts.map(|text| format!("{text}\n")).concat()));
    }

    #[test]
    fn a_table_is_its_rows_without_pictures() {
        let mut table = Table::new("t", &["name", "bar", "cost", "n"]);
        table.rows.push(vec![
            Cell::Text("-x\u{1b}[31m\ny".to_owned()),
            Cell::Bar(0.5),
            Cell::Cost(KnownCost { amount: PicoUsd::parse("0.123456789"), is_partial: true }),
            Cell::Difference(-3),
        ]);
        assert_eq!(csv(&table), "name,cost,n\n'-x [31m y,0.123456789,-3\n");
    }
}
