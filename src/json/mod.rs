//! Lenient reading of JSON that others wrote: payloads and log lines.
//!
//! Nothing here recurses, so depth cannot exhaust the stack, and no value is decoded before it is asked for, so
//! one odd field cannot lose its neighbours: a lone surrogate, a count of `-1` or `1e3`, a string where an object
//! was expected all read as "absent" or as the nearest harmless value.

mod extent;
mod fields;
pub mod find;
mod repeated_fields;
mod scan;
mod unescape;

use std::borrow::Cow;

use crate::domain::MAX_COUNT;
pub use extent::ValueExtent;
pub use fields::{Fields, Nested, first_byte, into_text, is_end, lossy};
pub use repeated_fields::RepeatedFields;
pub use scan::{Malformed, open_string, use_whole_processor};
use scan::{members_of, skip_space, string_end, value_end};

/// Most members of an object that are kept, and most elements of an array: many times what any client writes. Of what has
/// more the first ones are read, so that a text of brackets and commas takes no multiple of its size in memory.
pub const MAX_PARTS: usize = 1 << 18;

/// A JSON value that was not looked into yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value that `text` is, white space around it allowed.
    ///
    /// # Errors
    /// If `text` is anything else than one JSON value.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let start = skip_space(text.as_bytes(), 0);
        let end = value_end(text.as_bytes(), start).map_err(|fault| fault.in_text(text))?;
        scan::expect_end(text, end)?;
        Ok(Self(&text[start..end]))
    }

    /// The value as it is written.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }
}

/// A JSON object of which only the names are decoded. Of members with the same name the last one counts, of more than
/// 262,144 the first ones do.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Object<'a> {
    /// Reads the members of the object that `text` is. What is inside of their values is checked only as far as it
    /// takes to find their ends.
    ///
    /// # Errors
    /// If `text` is anything else than one JSON object.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let (object, end) = Self::read(text).map_err(|fault| fault.in_text(text))?;
        scan::expect_end(text, end)?;
        Ok(object)
    }

    /// The object that `text` starts with, and what follows it.
    #[must_use]
    pub fn parse_first(text: &'a str) -> Option<(Self, &'a str)> {
        let (object, end) = Self::read(text).ok()?;
        Some((object, &text[end..]))
    }

    fn read(text: &'a str) -> Result<(Self, usize), scan::ScanFault> {
        let mut members = Vec::new();
        let end = members_of(text, |name, value| {
            if members.is_empty() {
                // At once for most objects; an empty one takes nothing, of which a text can hold a million.
                members.reserve_exact(16);
            }
            if members.len() < MAX_PARTS {
                members.push((decode(name).unwrap_or_default(), Raw(value)));
            }
        })?;
        Ok((Self { members }, end))
    }

    /// The object that `raw` is, or `None` for any other value.
    #[must_use]
    pub fn from_raw(raw: Raw<'a>) -> Option<Self> {
        if raw.get().starts_with('{') { Self::parse(raw.get()).ok() } else { None }
    }

    /// The member's unparsed value; `null` counts as absent.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<Raw<'a>> {
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
    pub fn array(&self, name: &str) -> Vec<Raw<'a>> {
        self.raw(name).map(array).unwrap_or_default()
    }

    /// Names and unparsed values, in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// The elements of the array that `raw` is, at most the first 262,144; none for any other value.
#[must_use]
pub fn array(raw: Raw<'_>) -> Vec<Raw<'_>> {
    let mut elements = Vec::new();
    let element = |element| {
        if elements.len() < MAX_PARTS {
            elements.push(Raw(element));
        }
    };
    match scan::elements_of(raw.get(), element) {
        Ok(()) => elements,
        Err(_) => Vec::new(),
    }
}

/// The text of the string that `raw` is. Lone surrogates become U+FFFD, as they do when the client sends them to the
/// model.
#[must_use]
pub fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    decode(raw.get())
}

fn decode(literal: &str) -> Option<Cow<'_, str>> {
    let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
    if find::byte(inside.as_bytes(), 0, b'\\').is_none() {
        return Some(Cow::Borrowed(inside));
    }
    unescape::unescape(inside).map(Cow::Owned)
}

/// Reads a count as clients really write them: `5`, `"5"`, `1e3`, `5.0`.
///
/// Negative numbers, fractions and anything above [`MAX_COUNT`] are faults of the log and give `None`.
#[must_use]
pub fn count(raw: Raw<'_>) -> Option<u64> {
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
pub fn for_each_scalar<'a>(raw: Raw<'a>, mut visit: impl FnMut(Scalar<'a>)) {
    let text = raw.get();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at).unwrap_or(bytes.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text).unwrap()
    }

    #[test]
    fn a_lone_surrogate_does_not_lose_its_neighbours() {
        let object = Object::parse(r#"{"a":"x\ud800y","\udc00":1,"b":2}"#).unwrap();
        assert_eq!(object.text("a").unwrap(), "x\u{fffd}y");
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
            assert_eq!(count(raw(literal)), expected, "{literal}");
        }
    }

    #[test]
    fn every_scalar_is_visited_once() {
        let raw = raw(r#"{"a b":"x\"y","n":[1, true,{"z":null}],"e":""}"#);
        let mut seen = Vec::new();
        for_each_scalar(raw, |scalar| seen.push(scalar));
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
    fn of_what_is_no_text_each_byte_is_a_question_mark() {
        for (bytes, text) in [
            (&b"a\xffb\xc3\xa9\xe2\x82"[..], "a?b\u{e9}??"),
            (b"\xf0\x9f\x8e", "???"),
            (b"plain", "plain"),
            (b"", ""),
        ] {
            assert_eq!(into_text(bytes.to_vec()), text);
        }
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
    fn of_more_parts_than_any_value_has_the_first_are_kept() {
        let many = "1,".repeat(MAX_PARTS);
        assert_eq!(array(raw(&format!("[{many}1]"))).len(), MAX_PARTS);
        let many = "\"a\":1,".repeat(MAX_PARTS);
        let object = format!("{{{many}\"b\":1}}");
        assert_eq!(Object::parse(&object).unwrap().members().count(), MAX_PARTS);
        assert!(Object::parse(&object[..object.len() - 1]).is_err());
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let object = Object::parse(r#"{"a":1,"a":2,"b":null}"#).unwrap();
        assert_eq!(object.count("a"), Some(2));
        assert!(object.raw("b").is_none());
    }
}
