//! CSV with a header line ([`crate::render::csv_text`] has the rules of its values): members of inner objects are columns of
//! their own, lists are JSON.

use std::fmt::{Display, Write as _};
use std::io;

use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple};
use serde::{Serialize, Serializer};

use super::{Record, RecordKind, RecordSink, TextWriter};
use crate::render::{csv_json, csv_text};

pub(super) struct Csv<'w> {
    out: TextWriter<'w>,
    /// The header line, until the first record is there: without any the file is empty.
    header: Option<String>,
    /// The record, written in the place of the last one.
    line: String,
}

impl<'w> Csv<'w> {
    pub(super) fn new(out: TextWriter<'w>) -> Self {
        Self { out, header: None, line: String::new() }
    }
}

impl RecordSink for Csv<'_> {
    type Error = io::Error;

    fn begin(&mut self, kind: RecordKind) -> io::Result<()> {
        let names: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
        self.header = Some(names.join(",") + "\n");
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.line.clear();
        self.line.extend(self.header.take());
        push_csv(&mut self.line, record)?;
        (self.out)(&self.line)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends the values of a record as a line: members of inner objects are columns of their own (`usage_input_tokens`), lists
/// are JSON.
fn push_csv(out: &mut String, record: &impl Serialize) -> Result<(), io::Error> {
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
        self.push(&csv_text(text));
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

    /// A list.
    fn push_json(&mut self, json: &str) {
        self.push(&csv_json(json));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PicoUsd;

    #[derive(Serialize)]
    struct Sample {
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
        let record = Sample {
            id: "a,\"b\"",
            cost: money("1.5"),
            none: None,
            usage: Inner { input: -3, deep: Some(Deep { is_so: true }) },
            list: (1, "=x"),
            share: 1.0,
            more: More { formula: "=1", refund: money("-0.25") },
        };
        let mut values = String::new();
        push_csv(&mut values, &record).unwrap();
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
        let mut records = String::new();
        for text in &texts {
            push_csv(&mut records, &serde_json::json!({ "id": text })).unwrap();
        }
        assert_eq!(records, texts.map(|text| format!("{text}\n")).concat());
    }
}
