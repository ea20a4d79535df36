//! Reads of an object only the members that are asked for, in one pass over bytes that need not be UTF-8.
//!
//! A line of a log has some twenty members and several KB, of which a few short strings and counts matter. Nothing is
//! allocated for it, and only what is asked for is decoded.

use std::borrow::Cow;

use super::scan::{Visitor, skip_space, value_end, walk};
use super::{Object, Raw, count, decode, find};

/// The values of an object's members, by the place that a name has in a list of `N`. As in [`Object`], of members with the
/// same name the last one counts and `null` is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a, const N: usize>([&'a [u8]; N]);

impl<const N: usize> Default for Fields<'_, N> {
    fn default() -> Self {
        Self([&[]; N])
    }
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Picks from an object that was read already. `place` says where a name stands.
    #[must_use]
    pub fn of(object: &Object<'a>, place: impl Fn(&[u8]) -> Option<usize>) -> Self {
        let mut picked = Self::default();
        for (name, value) in object.members.iter() {
            picked.set(place(name.as_bytes()), value.get().as_bytes());
        }
        picked
    }

    /// Picks from the object that starts at `at` in `bytes` what was empty so far, and tells where it ends. `inside` is
    /// told of each member that has a place and may read what it holds, returning its end.
    ///
    /// `None` if the bytes have to be read by [`Object`], which is exact on everything: they are no object, malformed, or
    /// have a name with escapes. What is picked here [`Object`] would have given too.
    pub fn read(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        place: impl Fn(&[u8]) -> Option<usize>,
        inside: impl FnMut(usize, usize) -> Nested,
    ) -> Option<usize> {
        walk(bytes, at, &mut FieldReader { picked: self, bytes, place, inside })
    }

    pub(super) fn set(&mut self, place: Option<usize>, value: &'a [u8]) {
        if let Some(slot) = place.and_then(|place| self.0.get_mut(place)) {
            *slot = value;
        }
    }

    /// The member's unparsed value.
    #[must_use]
    pub fn bytes(&self, place: usize) -> Option<&'a [u8]> {
        self.0.get(place).copied().filter(|value| !value.is_empty() && *value != b"null")
    }

    /// Whether the member is a string that is written just like `text`. `false` tells nothing: it can be written in
    /// other ways.
    #[must_use]
    pub fn is_written(&self, place: usize, text: &str) -> bool {
        let contents = self.0.get(place).and_then(|value| contents(value));
        contents.is_some_and(|contents| contents == text.as_bytes() && is_plain(contents))
    }

    /// The member's text as bytes, if it is a string: what is no UTF-8 may be among them. For words that are only compared.
    #[must_use]
    pub fn word(&self, place: usize) -> Option<Cow<'a, [u8]>> {
        match contents(self.0.get(place)?).filter(|contents| is_plain(contents)) {
            Some(plain) => Some(Cow::Borrowed(plain)),
            None => Some(Cow::Owned(self.text(place)?.into_owned().into_bytes())),
        }
    }

    /// The member's text, if it is a string.
    #[must_use]
    pub fn text(&self, place: usize) -> Option<Cow<'a, str>> {
        let value = self.bytes(place)?;
        let plain = contents(value).filter(|contents| is_plain(contents));
        if let Some(text) = plain.and_then(|contents| str::from_utf8(contents).ok()) {
            return Some(Cow::Borrowed(text));
        }
        match lossy(value) {
            Cow::Borrowed(literal) => decode(literal),
            Cow::Owned(literal) => decode(&literal).map(|text| Cow::Owned(text.into_owned())),
        }
    }

    /// The member's count, if it can be read as one (see [`count`]).
    #[must_use]
    pub fn count(&self, place: usize) -> Option<u64> {
        let value = self.bytes(place)?;
        digits(value).or_else(|| count(Raw(&lossy(value))))
    }

    /// Whether the member is `true`.
    #[must_use]
    pub fn is_true(&self, place: usize) -> bool {
        self.bytes(place) == Some(b"true")
    }
}

/// Picks the members that have a place.
pub(super) struct FieldReader<'p, 'a, P, I, const N: usize> {
    pub(super) picked: &'p mut Fields<'a, N>,
    pub(super) bytes: &'a [u8],
    pub(super) place: P,
    pub(super) inside: I,
}

impl<P: Fn(&[u8]) -> Option<usize>, I: FnMut(usize, usize) -> Nested, const N: usize>
    FieldReader<'_, '_, P, I, N>
{
    /// Takes the member of that place and name and returns where its value ends.
    #[inline(always)]
    pub(super) fn pick(&mut self, place: Option<usize>, name: &[u8], start: usize) -> Option<usize> {
        if place.is_none() && find::has(name, b'\\') {
            return None;
        }
        let end = match place.map_or(Nested::Unread, |place| (self.inside)(place, start)) {
            Nested::Unread => value_end(self.bytes, start).ok()?,
            Nested::EndsAt(end) => end,
            Nested::Unknown => return None,
        };
        self.picked.set(place, &self.bytes[start..end]);
        Some(end)
    }
}

impl<'a, P: Fn(&[u8]) -> Option<usize>, I: FnMut(usize, usize) -> Nested, const N: usize> Visitor<'a>
    for FieldReader<'_, 'a, P, I, N>
{
    #[inline(always)]
    fn member(&mut self, _: usize, name: &'a [u8], start: usize) -> Option<usize> {
        self.pick((self.place)(name), name, start)
    }
}

/// What stands between the quotes of a string.
fn contents(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// Whether a string's contents have no escapes.
fn is_plain(contents: &[u8]) -> bool {
    !find::has(contents, b'\\')
}

/// `bytes` as text, with what is no UTF-8 replaced.
#[must_use]
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Checking all of it at once is faster than looking for the first fault.
    str::from_utf8(bytes).map_or_else(|_| without_faults(bytes).into(), Cow::Borrowed)
}

/// `bytes` as text in the very memory that they take. Of what is no UTF-8 each byte is a question mark.
#[must_use]
pub fn into_text(mut bytes: Vec<u8>) -> String {
    let mut start = 0;
    while let Err(fault) = str::from_utf8(&bytes[start..]) {
        let at = start + fault.valid_up_to();
        start = fault.error_len().map_or(bytes.len(), |length| at + length);
        bytes[at..start].fill(b'?');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// `bytes` as text that takes no more memory than they do: of what is no UTF-8 each part is a question mark. The usual
/// replacement takes three bytes for one.
fn without_faults(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('?');
        }
    }
    text
}

/// A count that is written as most are.
fn digits(value: &[u8]) -> Option<u64> {
    // Fifteen digits are below any bound.
    if value.len() > 15 {
        return None;
    }
    let mut count = 0;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        count = count * 10 + u64::from(digit);
    }
    Some(count)
}

/// What was found inside of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    /// It was not looked into.
    Unread,
    /// It was read to here.
    EndsAt(usize),
    /// It could not be read.
    Unknown,
}

/// Where the text in `bytes` starts that is not white space.
#[must_use]
pub fn first_byte(bytes: &[u8]) -> usize {
    skip_space(bytes, 0)
}

/// Whether nothing but white space follows.
#[must_use]
pub fn is_end(bytes: &[u8], end: usize) -> bool {
    skip_space(bytes, end) == bytes.len()
}
