//! CSV by RFC 4180, but that lines end as on a terminal; safe for spreadsheets: a text that one would run as a formula gets an apostrophe.

use crate::domain::{OneLine as _, PicoUsd, clean_name};
use crate::json::{Malformed, Object, Raw, members, text};
use crate::report::{Cell, Table};

/// The rows of a table under its headings, its total last. Pictures are left out.
#[must_use]
pub fn csv(table: &Table) -> String {
    let is_picture = |at: usize| table.rows.iter().any(|row| matches!(row[at], Cell::Bar(_)));
    let kept: Vec<usize> = (0..table.columns.len()).filter(|at| !is_picture(*at)).collect();
    let mut out = line(kept.iter().map(|at| quoted(table.columns[*at].name)));
    for row in table.rows.iter().chain(&table.total) {
        out.push_str(&line(kept.iter().map(|at| cell(&row[*at]))));
    }
    out
}

/// The names of the values that [`push_csv`] makes of a record, as a line.
#[must_use]
pub fn csv_names(record: &str) -> Option<String> {
    let mut names = Vec::new();
    flatten("", &Object::parse(record).ok()?, &mut names);
    Some(line(names.into_iter()))
}

fn flatten(prefix: &str, object: &Object<'_>, names: &mut Vec<String>) {
    for (name, value) in object.members() {
        let name = format!("{prefix}{name}");
        match Object::from_raw(value) {
            Some(inner) => flatten(&format!("{name}_"), &inner, names),
            None => names.push(quoted(&name)),
        }
    }
}

/// Appends the values of a record that was written as a JSON object, as a line: members of inner objects are columns of
/// their own (`usage_input_tokens`), lists stay JSON. Of a text that is no such object nothing is appended.
pub fn push_csv(out: &mut String, record: &str) {
    let start = out.len();
    if push_values(out, record).is_err() {
        return out.truncate(start);
    }
    // The last value has a comma behind it.
    if out.len() > start {
        out.pop();
    }
    out.push('\n');
}

/// The values, each with a comma behind it. Nothing is copied that can be written as it stands.
fn push_values(out: &mut String, object: &str) -> Result<(), Malformed> {
    members(object, |_, value| {
        let start = out.len();
        if !value.get().starts_with('{') || push_values(out, value.get()).is_err() {
            out.truncate(start);
            match plain(value.get()) {
                Some(plain) => out.push_str(plain),
                None => out.push_str(&raw(value)),
            }
            out.push(',');
        }
    })
}

/// What the value is in CSV if that is a part of it: a number, a truth, or a text of letters, digits and the like that begins
/// with one of them, so that nobody takes it for anything else.
fn plain(value: &str) -> Option<&str> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-');
    match value.as_bytes() {
        b"null" => Some(""),
        [b'"', text @ .., b'"'] => {
            let begins_plainly = text.first().is_none_or(|first| first.is_ascii_alphanumeric());
            (begins_plainly && text.iter().all(|byte| is_plain(*byte))).then(|| &value[1..value.len() - 1])
        }
        all => all.iter().all(|byte| is_plain(*byte)).then_some(value),
    }
}

fn raw(value: Raw<'_>) -> String {
    match (text(value), value.get()) {
        (Some(text), _) => quoted(&guarded(text.one_line().trim())),
        (None, "null") => String::new(),
        // A list, whose names are no longer than they are. Within JSON a space stands for what is harmful.
        (None, other) => quoted(&clean_name(other, other.len()).unwrap_or_default()),
    }
}

fn cell(cell: &Cell) -> String {
    let sum = |amount: PicoUsd| amount.to_decimal();
    match cell {
        Cell::Text(text) | Cell::Path(text) => quoted(&guarded(text.one_line().trim())),
        Cell::Count(value) | Cell::Tokens(value) | Cell::Estimate(value) | Cell::Span(value) => {
            value.to_string()
        }
        Cell::Price(amount)
        | Cell::Change(amount)
        | Cell::Rough(amount)
        | Cell::Usd { amount: Some(amount), .. } => sum(*amount),
        Cell::State(state) => state.name().to_owned(),
        Cell::Usd { amount: None, .. } | Cell::Unknown | Cell::Bar(_) => String::new(),
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
        fn what_is_written_as_it_stands_is_what_it_comes_to(text in "[-=+@, \"'\t.a-c0-9é]{0,8}", number: f64) {
            for value in [serde_json::to_string(&text).unwrap(), serde_json::to_string(&number).unwrap()] {
                if let Some(plain) = plain(&value) {
                    prop_assert_eq!(plain, raw(Raw::parse(&value).unwrap()));
                }
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
    fn a_record_is_a_line_with_its_members_in_order() {
        let record = r#"{"id":"a,\"b\"","cost":1.50,"none":null,"usage":{"in":3,"deep":{"x":true}},"list":[1,"=x"],"f":"=1"}"#;
        let (names, mut values) = (csv_names(record).unwrap(), String::new());
        push_csv(&mut values, record);
        assert_eq!(names, "id,cost,none,usage_in,usage_deep_x,list,f\n");
        assert_eq!(values, "\"a,\"\"b\"\"\",1.50,,3,true,\"[1,\"\"=x\"\"]\",'=1\n");
    }

    #[test]
    fn long_texts_are_whole_and_differ_where_they_differ() {
        let texts = ["a", "b"].map(|end| format!("/{}{end}", "x ".repeat(5_000)));
        let mut table = Table::new("t", &["name"]);
        let mut records = String::new();
        for text in &texts {
            push_csv(&mut records, &serde_json::json!({ "id": text }).to_string());
            table.rows.push(vec![Cell::Text(text.clone())]);
        }
        assert_eq!(records, texts.map(|text| format!("{text}\n")).concat());
        assert_eq!(csv(&table), format!("name\n{records}"));
    }

    #[test]
    fn a_table_is_its_rows_without_pictures() {
        let mut table = Table::new("t", &["name", "bar", "cost", "n"]);
        table.rows.push(vec![
            Cell::Text("-x\u{1b}[31m\ny".to_owned()),
            Cell::Bar(0.5),
            Cell::Usd { amount: PicoUsd::parse("0.123456789"), at_least: true },
            Cell::Difference(-3),
        ]);
        assert_eq!(csv(&table), "name,cost,n\n'-x [31m y,0.123456789,-3\n");
    }
}
