//! Lenient reading of JSON that others wrote: payloads and log lines.
//!
//! Nothing here recurses, so depth cannot exhaust the stack, and no value is decoded before it is asked for, so
//! one odd field cannot lose its neighbours: a lone surrogate, a count of `-1` or `1e3`, a string where an object
//! was expected all read as "absent" or as the nearest harmless value.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::MAX_COUNT;

const OTHER_VALUE: &str = "another kind of value";

/// Where a text stopped being JSON. It carries no part of the text, which may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object: {reason} at line {line}, column {column}")]
pub struct Malformed {
    /// The kind of fault.
    pub reason: &'static str,
    /// Line, from 1; 0 if unknown.
    pub line: usize,
    /// Column, from 1; 0 if unknown.
    pub column: usize,
}

impl Malformed {
    /// Whether the text is JSON, only no object.
    #[must_use]
    pub fn is_other_value(self) -> bool {
        self.reason == OTHER_VALUE
    }

    fn from_serde(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let reason = match error.classify() {
            Category::Eof => "it ends too early",
            Category::Syntax => "a syntax error",
            Category::Data => OTHER_VALUE,
            Category::Io => "it could not be read",
        };
        Self { reason, line: error.line(), column: error.column() }
    }
}

/// A JSON object of which only the names are decoded. Of members with the same name the last one counts.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads the members of the object that `text` is.
    ///
    /// # Errors
    /// If `text` is anything else than one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        serde_json::from_str(text).map_err(|error| Malformed::from_serde(&error))
    }

    /// The object that `text` starts with, and what follows it.
    #[must_use]
    pub fn parse_first(text: &'a str) -> Option<(Self, &'a str)> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Self>();
        let object = values.next()?.ok()?;
        let after = values.byte_offset();
        Some((object, &text[after..]))
    }

    /// The object that `raw` is, or `None` for any other value.
    #[must_use]
    pub fn from_raw(raw: &'a RawValue) -> Option<Self> {
        if raw.get().starts_with('{') { Self::parse(raw.get()).ok() } else { None }
    }

    /// The member's unparsed value; `null` counts as absent.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let (_, value) = self.members.iter().rfind(|(member, _)| member == name)?;
        (value.get() != "null").then_some(*value)
    }

    /// The member's text, if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?)
    }

    /// The member's count, if it can be read as one (see [`count`]).
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        count(self.raw(name)?)
    }

    /// Whether the member is `true`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "true")
    }

    /// The member, if it is an object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        Object::from_raw(self.raw(name)?)
    }

    /// The member's elements; none if it is no array.
    #[must_use]
    pub fn array(&self, name: &str) -> Vec<&'a RawValue> {
        self.raw(name).map(array).unwrap_or_default()
    }

    /// Names and unparsed values, in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    members.push((name.0, map.next_value()?));
                }
                Ok(Object { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The elements of the array that `raw` is; none for any other value.
#[must_use]
pub fn array(raw: &RawValue) -> Vec<&RawValue> {
    struct Elements<'a>(Vec<&'a RawValue>);

    impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;

            impl<'de> Visitor<'de> for Collect {
                type Value = Elements<'de>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an array")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                    let mut elements = Vec::new();
                    while let Some(element) = seq.next_element()? {
                        elements.push(element);
                    }
                    Ok(Elements(elements))
                }
            }

            deserializer.deserialize_seq(Collect)
        }
    }

    if raw.get().starts_with('[') {
        serde_json::from_str::<Elements<'_>>(raw.get()).map(|elements| elements.0).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// A string in which lone surrogates become U+FFFD, as they do when the client sends them to the model.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lossy;

        impl<'de> Visitor<'de> for Lossy {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(String::from_utf8_lossy(bytes).into_owned())))
            }
        }

        // Asking for bytes is what makes serde_json let lone surrogates through.
        deserializer.deserialize_bytes(Lossy)
    }
}

/// The text of the string that `raw` is.
#[must_use]
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    decode(raw.get())
}

fn decode(literal: &str) -> Option<Cow<'_, str>> {
    if !literal.starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(literal).ok().map(|text| text.0)
}

/// Reads a count as clients really write them: `5`, `"5"`, `1e3`, `5.0`.
///
/// Negative numbers, fractions and anything above [`MAX_COUNT`] are faults of the log and give `None`.
#[must_use]
pub fn count(raw: &RawValue) -> Option<u64> {
    let literal = raw.get().trim_matches('"');
    let value = match literal.parse::<u64>() {
        Ok(value) => value,
        Err(_) => {
            let value = literal.parse::<f64>().ok().filter(|value| value.fract() == 0.0 && *value >= 0.0)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked: whole, not negative; too large ones saturate and are refused below"
            )]
            let value = value as u64;
            value
        }
    };
    (value <= MAX_COUNT).then_some(value)
}

/// One scalar of a JSON text.
#[derive(Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// The name of an object's member.
    Name(Cow<'a, str>),
    /// A string value.
    Text(Cow<'a, str>),
    /// A number, `true`, `false` or `null`, as written.
    Literal(&'a str),
}

/// Walks over all names and scalars of a JSON text, in its order, at any depth.
pub fn for_each_scalar<'a>(raw: &'a RawValue, mut visit: impl FnMut(Scalar<'a>)) {
    let text = raw.get();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at);
                let literal = &text[at..end];
                at = end;
                let after = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                if let Some(decoded) = decode(literal) {
                    let is_name = after == Some(&b':');
                    visit(if is_name { Scalar::Name(decoded) } else { Scalar::Text(decoded) });
                }
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            _ => {
                let length = bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
                    .unwrap_or(bytes.len() - at);
                visit(Scalar::Literal(&text[at..at + length]));
                at += length;
            }
        }
    }
}

/// The index after the closing quote of the string that starts at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at = (at + 2).min(bytes.len());
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_lone_surrogate_does_not_lose_its_neighbours() {
        let object = Object::parse(r#"{"a":"x\ud800y","\udc00":1,"b":2}"#).unwrap();
        assert_eq!(object.text("a").unwrap(), "x\u{fffd}\u{fffd}\u{fffd}y");
        assert_eq!(object.count("b"), Some(2));
    }

    #[test]
    fn counts_are_read_as_clients_write_them() {
        for (literal, expected) in [
            ("5", Some(5)),
            ("\"5\"", Some(5)),
            ("1e3", Some(1000)),
            ("5.0", Some(5)),
            ("-1", None),
            ("0.5", None),
            ("18446744073709551616", None),
            ("1e400", None),
            ("true", None),
            ("[]", None),
        ] {
            assert_eq!(count(&raw(literal)), expected, "{literal}");
        }
    }

    #[test]
    fn every_scalar_is_visited_once() {
        let raw = raw(r#"{"a b":"x\"y","n":[1, true,{"z":null}],"e":""}"#);
        let mut seen = Vec::new();
        for_each_scalar(&raw, |scalar| seen.push(scalar));
        assert_eq!(
            seen,
            [
                Scalar::Name("a b".into()),
                Scalar::Text("x\"y".into()),
                Scalar::Name("n".into()),
                Scalar::Literal("1"),
                Scalar::Literal("true"),
                Scalar::Name("z".into()),
                Scalar::Literal("null"),
                Scalar::Name("e".into()),
                Scalar::Text("".into()),
            ]
        );
    }

    #[test]
    fn a_million_brackets_are_no_problem() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let object = Object::parse(&deep).unwrap();
        let mut scalars = 0;
        for_each_scalar(object.raw("a").unwrap(), |_| scalars += 1);
        assert_eq!(scalars, 1);
        assert!(Object::parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let object = Object::parse(r#"{"a":1,"a":2,"b":null}"#).unwrap();
        assert_eq!(object.count("a"), Some(2));
        assert!(object.raw("b").is_none());
    }
}
