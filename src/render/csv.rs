//! CSV by RFC 4180, but that lines end as on a terminal; safe for spreadsheets: a text that one would run as a formula gets an apostrophe.

use std::fmt::{Display, Write as _};
use std::io;

use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

use crate::domain::{OneLine as _, PicoUsd, clean_name};
use crate::json::Object;
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

/// Appends the values of a record as a line: members of inner objects are columns of their own (`usage_input_tokens`), lists
/// are JSON.
///
/// # Errors
/// If the record has values that no record of ours has, such as bytes.
pub fn push_csv(out: &mut String, record: &impl Serialize) -> Result<(), io::Error> {
    let start = out.len();
    if let Err(fault) = record.serialize(&mut Values { out }) {
        out.truncate(start);
        return Err(fault.into());
    }
    // The last value has a comma behind it.
    if out.len() > start {
        out.pop();
    }
    out.push('\n');
    Ok(())
}

/// Writes values, each with a comma behind it.
struct Values<'o> {
    out: &'o mut String,
}

impl Values<'_> {
    fn push(&mut self, value: &str) {
        self.out.push_str(value);
        self.out.push(',');
    }

    fn push_text(&mut self, text: &str) {
        if is_plain(text) { self.push(text) } else { self.push(&quoted(&guarded(text.one_line().trim()))) }
    }

    fn push_number(&mut self, number: impl Display) -> Result<(), serde_json::Error> {
        self.out.write_fmt(format_args!("{number},")).map_err(ser::Error::custom)
    }

    /// As JSON has it; what is no number is nothing.
    fn push_float(&mut self, number: &impl Serialize, is_finite: bool) -> Result<(), serde_json::Error> {
        let text = if is_finite { serde_json::to_string(number)? } else { String::new() };
        self.push(&text);
        Ok(())
    }

    /// A list. Its names are no longer than they are; within JSON a space stands for what is harmful.
    fn push_json(&mut self, json: &str) {
        self.push(&quoted(&clean_name(json, json.len()).unwrap_or_default()));
    }
}

/// Whether a text is written as it stands: it is empty, or of letters, digits and the like and begins with one of them, so that
/// nobody takes it for anything else.
fn is_plain(text: &str) -> bool {
    let is_plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'/' | b'-');
    let text = text.as_bytes();
    text.first().is_none_or(u8::is_ascii_alphanumeric) && text.iter().all(is_plain)
}

impl<'v, 'o> Serializer for &'v mut Values<'o> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = List<'v, 'o>;
    type SerializeTuple = List<'v, 'o>;
    type SerializeTupleStruct = Impossible<(), Self::Error>;
    type SerializeTupleVariant = Impossible<(), Self::Error>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Self::Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Self::Error> {
        self.push(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Self::Error> {
        self.push_number(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Self::Error> {
        self.push_float(&value, value.is_finite())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Self::Error> {
        self.push_float(&value, value.is_finite())
    }

    fn serialize_char(self, value: char) -> Result<(), Self::Error> {
        self.push_text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Self::Error> {
        self.push_text(value);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Self::Error> {
        Err(ser::Error::custom("no record holds bytes"))
    }

    fn serialize_none(self) -> Result<(), Self::Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Self::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Self::Error> {
        self.push("");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Self::Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Self::Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Self::Error> {
        Err(ser::Error::custom("no record holds variants with values"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'v, 'o>, Self::Error> {
        Ok(List { values: self, json: "[".to_owned() })
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'v, 'o>, Self::Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Self::Error> {
        Err(ser::Error::custom("no record holds structures without names"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Self::Error> {
        Err(ser::Error::custom("no record holds variants with values"))
    }

    /// A record with others within it (`serde(flatten)`) comes as a map.
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Self::Error> {
        Ok(self)
    }

    /// The number that a sum of money is comes as a structure with one text.
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Self::Error> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Self::Error> {
        Err(ser::Error::custom("no record holds variants with values"))
    }
}

impl SerializeStruct for &mut Values<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Self::Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl SerializeMap for &mut Values<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, _: &T) -> Result<(), Self::Error> {
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A list on its way into one value, as JSON.
struct List<'v, 'o> {
    values: &'v mut Values<'o>,
    json: String,
}

impl SerializeSeq for List<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        if self.json.len() > 1 {
            self.json.push(',');
        }
        self.json.push_str(&serde_json::to_string(value)?);
        Ok(())
    }

    fn end(mut self) -> Result<(), Self::Error> {
        self.json.push(']');
        self.values.push_json(&self.json);
        Ok(())
    }
}

impl SerializeTuple for List<'_, '_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Self::Error> {
        SerializeSeq::end(self)
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

    #[derive(Serialize)]
    struct Record {
        id: &'static str,
        cost: PicoUsd,
        none: Option<u64>,
        usage: Inner,
        list: (u8, &'static str),
        share: f64,
        #[serde(flatten)]
        more: More,
    }

    #[derive(Serialize)]
    struct Inner {
        input: i64,
        deep: Option<Deep>,
    }

    #[derive(Serialize)]
    struct Deep {
        is_so: bool,
    }

    #[derive(Serialize)]
    struct More {
        formula: &'static str,
        refund: PicoUsd,
    }

    #[test]
    fn a_record_is_a_line_with_its_members_in_order() {
        let money = |text| PicoUsd::parse(text).unwrap();
        let record = Record {
            id: "a,\"b\"",
            cost: money("1.5"),
            none: None,
            usage: Inner { input: -3, deep: Some(Deep { is_so: true }) },
            list: (1, "=x"),
            share: 1.0,
            more: More { formula: "=1", refund: money("-0.25") },
        };
        let (names, mut values) =
            (csv_names(&serde_json::to_string(&record).unwrap()).unwrap(), String::new());
        push_csv(&mut values, &record).unwrap();
        assert_eq!(names, "id,cost,none,usage_input,usage_deep_is_so,list,share,formula,refund\n");
        assert_eq!(values, "\"a,\"\"b\"\"\",1.5,,-3,true,\"[1,\"\"=x\"\"]\",1.0,'=1,-0.25\n");
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_nothing_of_itself() {
        struct Bytes;
        impl Serialize for Bytes {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(b"x")
            }
        }
        #[derive(Serialize)]
        struct Half {
            share: f32,
            bytes: Bytes,
        }
        let mut out = "1\n".to_owned();
        assert!(push_csv(&mut out, &Half { share: 0.1, bytes: Bytes }).is_err());
        assert_eq!(out, "1\n");
        push_csv(&mut out, &0.1_f32).unwrap();
        assert_eq!(out, "1\n0.1\n");
    }

    #[test]
    fn long_texts_are_whole_and_differ_where_they_differ() {
        let texts = ["a", "b"].map(|end| format!("/{}{end}", "x ".repeat(5_000)));
        let mut table = Table::new("t", &["name"]);
        let mut records = String::new();
        for text in &texts {
            push_csv(&mut records, &serde_json::json!({ "id": text })).unwrap();
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
