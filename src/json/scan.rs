//! Finds where JSON values end. Strings, which are nearly all of a payload, are passed over 64 bytes at a time, many
//! times faster than by a parser that looks at each character.
//!
//! Names, commas and colons are checked where they are asked for: on the level that is read. Further inside only
//! strings, brackets and literals are, so that no depth costs more than its brackets.

use std::sync::OnceLock;

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x64};

use super::find::{self, LANES};

const OTHER_VALUE: &str = "another kind of value";
const TOO_EARLY: &str = "it ends too early";
const SYNTAX: &str = "a syntax error";

/// Where a text stopped being JSON. It carries no part of the text, which may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object: {reason} at line {line}, column {column}")]
pub struct Malformed {
    /// The kind of fault.
    pub reason: &'static str,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in bytes.
    pub column: usize,
}

impl Malformed {
    /// Whether the text is JSON, only no object.
    #[must_use]
    pub fn is_other_value(self) -> bool {
        self.reason == OTHER_VALUE
    }
}

/// Where bytes stop being JSON; at their end if they end too early. No more than that, so that a register hands it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FaultAt(usize);

impl FaultAt {
    pub(super) fn in_text(self, text: &str) -> Malformed {
        malformed(if self.0 < text.len() { SYNTAX } else { TOO_EARLY }, self.0, text)
    }
}

/// Why bytes are no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanFault {
    /// They are no JSON.
    At(FaultAt),
    /// They are another value, which ends there.
    OtherValue(usize),
}

impl From<FaultAt> for ScanFault {
    fn from(at: FaultAt) -> Self {
        Self::At(at)
    }
}

impl ScanFault {
    pub(super) fn in_text(self, text: &str) -> Malformed {
        match self {
            Self::At(at) => at.in_text(text),
            Self::OtherValue(end) => malformed(OTHER_VALUE, end, text),
        }
    }
}

fn malformed(reason: &'static str, at: usize, text: &str) -> Malformed {
    let at = at.min(text.len());
    let before = &text.as_bytes()[..at];
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    Malformed { reason, line: memchr::memchr_iter(b'\n', before).count() + 1, column: at - line_start + 1 }
}

/// Calls `member` with the literal of each name and the text of each value of the object that `text` starts with, and
/// returns where it ends.
pub(super) fn members_of<'a>(
    text: &'a str,
    mut member: impl FnMut(&'a str, &'a str),
) -> Result<usize, ScanFault> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        let end = value_end(bytes, at)?;
        return Err(ScanFault::OtherValue(end));
    }
    at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if bytes.get(at) != Some(&b'"') {
            return Err(FaultAt(at).into());
        }
        let name_end = string_end(bytes, at)?;
        let colon = skip_space(bytes, name_end);
        if bytes.get(colon) != Some(&b':') {
            return Err(FaultAt(colon).into());
        }
        let start = skip_space(bytes, colon + 1);
        let end = value_end(bytes, start)?;
        member(&text[at..name_end], &text[start..end]);
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(FaultAt(at).into()),
        }
    }
}

/// Takes the members of an object as [`walk`] comes to them.
pub(super) trait Visitor<'a> {
    /// Where the members end that begin at `at`, if the visitor has taken several as a whole.
    #[inline(always)]
    fn several(&mut self, _at: usize) -> Option<usize> {
        None
    }

    /// Where the value ends that starts at `start`, of the member that begins at `at`. `None` if it is malformed. The name
    /// goes to its first quote: one with escapes has a backslash, which whoever knows the name need not look for.
    fn member(&mut self, at: usize, name: &'a [u8], start: usize) -> Option<usize>;
}

/// Leads `visitor` through the object that starts at `at`, and returns where the object ends. `None` for what is no object
/// or malformed.
#[inline(always)]
pub(super) fn walk<'a>(bytes: &'a [u8], at: usize, visitor: &mut impl Visitor<'a>) -> Option<usize> {
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        let end = match visitor.several(at) {
            Some(end) => end,
            None => {
                if bytes.get(at) != Some(&b'"') {
                    return None;
                }
                let name_end = find::byte_nearby(bytes, at + 1, b'"')?;
                let colon = skip_space(bytes, name_end + 1);
                if bytes.get(colon) != Some(&b':') {
                    return None;
                }
                visitor.member(at, &bytes[at + 1..name_end], skip_space(bytes, colon + 1))?
            }
        };
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b'}') => return Some(at + 1),
            _ => return None,
        }
    }
}

/// If the beginning of an object ends within a string that is the value at `path`: where the string's contents start,
/// and the text of the member `beside` of the outer object, which must come before.
#[must_use]
pub fn open_string<'a>(beginning: &'a [u8], path: [&str; 2], beside: &str) -> Option<(usize, &'a str)> {
    let mut seen = None;
    let mut level = 0;
    let mut at = skip_space(beginning, 0);
    loop {
        // At a brace or a comma.
        at = skip_space(beginning, at + 1);
        let name_end = string_end(beginning, at).ok()?;
        let name = beginning.get(at + 1..name_end - 1)?;
        let start = skip_space(beginning, skip_space(beginning, name_end) + 1);
        let is_on_path = name == path[level].as_bytes();
        if is_on_path && level == 0 && beginning.get(start) == Some(&b'{') {
            (level, at) = (1, start);
            continue;
        }
        match value_end(beginning, start) {
            Ok(end) => {
                if level == 0 && name == beside.as_bytes() {
                    seen = str::from_utf8(beginning.get(start + 1..end - 1)?).ok();
                }
                at = skip_space(beginning, end);
            }
            Err(_) if is_on_path && level == 1 && beginning.get(start) == Some(&b'"') => {
                return Some((start + 1, seen?));
            }
            Err(_) => return None,
        }
        if beginning.get(at) != Some(&b',') {
            return None;
        }
    }
}

/// Calls `element` with the text of each element of the array that `text` is; other values have none.
pub(super) fn elements_of<'a>(text: &'a str, mut element: impl FnMut(&'a str)) -> Result<(), FaultAt> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'[') {
        return Ok(());
    }
    let mut at = skip_space(bytes, 1);
    if bytes.get(at) == Some(&b']') {
        return Ok(());
    }
    loop {
        let end = value_end(bytes, at)?;
        element(&text[at..end]);
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b']') => return Ok(()),
            _ => return Err(FaultAt(at)),
        }
    }
}

/// Nothing but white space may follow.
pub(super) fn expect_end(text: &str, at: usize) -> Result<(), Malformed> {
    let at = skip_space(text.as_bytes(), at);
    if at < text.len() { Err(FaultAt(at).in_text(text)) } else { Ok(()) }
}

#[inline(always)]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    // Logs have no white space: one comparison tells so.
    while bytes.get(at).is_some_and(|byte| *byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The index after the value that starts at `at`.
pub(super) fn value_end(bytes: &[u8], at: usize) -> Result<usize, FaultAt> {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at),
        Some(b'{' | b'[') => container_end(bytes, at),
        _ => literal_end(bytes, at),
    }
}

/// The index after the closing quote of the string that starts at `start`.
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Result<usize, FaultAt> {
    match short_end(bytes, start + 1) {
        Some(end) => Ok(end + 1),
        None => long_string_end(bytes, start + 1),
    }
}

/// The index after the closing quote of any string whose contents start at `from`.
fn long_string_end(bytes: &[u8], from: usize) -> Result<usize, FaultAt> {
    let level = LEVEL.get().copied().unwrap_or(Level::baseline());
    let contents = bytes.get(from..).unwrap_or_default();
    match dispatch!(level, simd => long_end(simd, contents)) {
        Some(end) => Ok(from + end + 1),
        None => Err(FaultAt(bytes.len())),
    }
}

/// What strings are passed over by.
static LEVEL: OnceLock<Level> = OnceLock::new();

/// Lets strings be passed over by all that the processor can do, which is for who reads much: it has to be asked for
/// that, and a hook has no time for it (see [`find`]).
pub fn use_whole_processor() {
    LEVEL.get_or_init(Level::new);
}

/// The place of the quote that closes the string which `contents` begins within.
#[inline(always)]
fn long_end<S: Simd>(simd: S, contents: &[u8]) -> Option<usize> {
    let (blocks, rest) = contents.as_chunks::<BLOCK>();
    let mut escapes = Escapes::default();
    let mut at = 0;
    for block in blocks {
        let block = u8x64::simd_from(simd, *block);
        let places = |byte: u8| block.simd_eq(byte).to_bitmask();
        let ends = places(b'"') & !escapes.escaped(places(b'\\'));
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    let mut is_escaped = escapes.next_is_escaped;
    for byte in rest {
        match byte {
            b'"' if !is_escaped => return Some(at),
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
        at += 1;
    }
    None
}

/// Where a string ends whose contents start at `from`, if it is short and has no escapes, as most are: the place of its
/// closing quote.
#[inline(always)]
fn short_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..SHORT_BLOCKS {
        let block = bytes.get(at..)?.first_chunk::<LANES>()?;
        let ends = find::places(block, b'"');
        let marks = ends | find::places(block, b'\\');
        if marks != 0 {
            let first = marks & marks.wrapping_neg();
            return (ends & first != 0).then(|| at + marks.trailing_zeros() as usize);
        }
        at += LANES;
    }
    None
}

/// Ids and times are no longer.
const SHORT_BLOCKS: usize = 3;

/// How many bytes are looked at together: as many as a word has bits.
const BLOCK: usize = 64;

/// Which bytes of a string a backslash stands before that is not itself escaped, block by block.
#[derive(Default)]
struct Escapes {
    next_is_escaped: bool,
}

impl Escapes {
    /// The escaped bytes of the next block, by where its backslashes are. All are found at once by an addition, which
    /// carries through each row of backslashes: where a row begins at an even place and ends at an even one, or both
    /// are odd, its length is even and nothing is escaped behind it (as simdjson does it).
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let first = u64::from(self.next_is_escaped);
        let backslashes = backslashes & !first;
        let behind_one = backslashes << 1 | first;
        let odd_starts = backslashes & !EVEN & !behind_one;
        let (ends, overflow) = odd_starts.overflowing_add(backslashes);
        self.next_is_escaped = overflow;
        (EVEN ^ ends << 1) & behind_one
    }
}

/// The index after the bracket that closes the one at `start`.
fn container_end(bytes: &[u8], start: usize) -> Result<usize, FaultAt> {
    let mut open = Brackets::default();
    let mut at = start;
    loop {
        match bytes.get(at) {
            Some(b'"') => at = string_end(bytes, at)?,
            Some(&bracket @ (b'{' | b'[')) => {
                open.push(bracket == b'{');
                at += 1;
            }
            Some(&bracket @ (b'}' | b']')) => {
                if open.pop() != Some(bracket == b'}') {
                    return Err(FaultAt(at));
                }
                at += 1;
                if open.is_empty() {
                    return Ok(at);
                }
            }
            Some(b',' | b':' | b' ' | b'\t' | b'\r' | b'\n') => at += 1,
            _ => at = literal_end(bytes, at)?,
        }
    }
}

/// The index after the number, `true`, `false` or `null` that starts at `at`.
fn literal_end(bytes: &[u8], at: usize) -> Result<usize, FaultAt> {
    let mut end = at;
    while let Some(byte) = bytes.get(end)
        && IN_LITERALS[usize::from(*byte)]
    {
        end += 1;
    }
    match bytes.get(at..end) {
        Some([b'-' | b'0'..=b'9', ..] | b"true" | b"false" | b"null") => Ok(end),
        _ => Err(FaultAt(at)),
    }
}

/// The bytes that numbers and the three names are made of.
static IN_LITERALS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.');
        byte += 1;
    }
    table
};

/// Which brackets are open; `true` stands for a brace. The first 64 cost no memory of the heap.
#[derive(Default)]
struct Brackets {
    bits: u64,
    depth: usize,
    deeper: Vec<u64>,
}

impl Brackets {
    fn push(&mut self, is_brace: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.deeper.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_brace);
        self.depth += 1;
    }

    fn pop(&mut self) -> Option<bool> {
        self.depth = self.depth.checked_sub(1)?;
        let is_brace = self.bits & 1 == 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.deeper.pop().unwrap_or_default();
        }
        Some(is_brace)
    }

    fn is_empty(&self) -> bool {
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let scalar = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[ -~\\n\"\\\\é😀]{0,12}".prop_map(Into::into),
        ];
        scalar.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map("[a-c\"\\\\]{0,3}", inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// What the processor has of what strings are passed over by.
    fn levels() -> Vec<Level> {
        let best = Level::new();
        let mut levels = vec![Level::baseline(), best];
        #[cfg(target_arch = "x86_64")]
        levels.extend(best.as_avx2().map(|avx2| avx2.level()));
        levels
    }

    proptest! {
        #[test]
        fn values_end_where_serde_json_says(value in any_value(), pretty in any::<bool>(), after in "[ ,\\]}x]{0,3}") {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let with_more = format!("{text} {after}");
            prop_assert_eq!(value_end(with_more.as_bytes(), 0), Ok(text.len()));
            let mut members = serde_json::Map::new();
            let read = members_of(&text, |name, value| {
                members.insert(serde_json::from_str(name).unwrap(), serde_json::from_str(value).unwrap());
            });
            prop_assert_eq!(read.is_ok(), value.is_object());
            if value.is_object() {
                prop_assert_eq!(serde_json::Value::Object(members), value);
            }
        }

        #[test]
        fn long_strings_end_at_their_first_quote_that_is_not_escaped(text in "[a\"\\\\]{0,300}", before in 0_usize..70) {
            let text = format!("{}{}", " ".repeat(before), serde_json::to_string(&text).unwrap());
            for after in ["", "\"", "\\\", \"and more than another block of sixty-four bytes, all of it behind the string's end"] {
                let with_more = format!("{text}{after}");
                prop_assert_eq!(string_end(with_more.as_bytes(), before), Ok(text.len()));
                for level in levels() {
                    let contents = &with_more.as_bytes()[before + 1..];
                    let end = dispatch!(level, simd => long_end(simd, contents));
                    prop_assert_eq!(end, Some(text.len() - before - 2), "by {:?}", level);
                }
            }
            prop_assert!(string_end(&text.as_bytes()[..text.len() - 1], before).is_err());
        }

        #[test]
        fn what_was_cut_or_changed_never_panics_and_a_cut_object_is_none(
            value in any_value(), cut in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let text = serde_json::to_string(&value).unwrap();
            let mut bytes = text.clone().into_bytes();
            let at = cut.index(bytes.len());
            bytes[at] = byte;
            let _ends = value_end(&bytes, 0);
            if value.is_object() {
                prop_assert!(value_end(&text.as_bytes()[..at], 0).is_err());
            }
        }
    }

    #[test]
    fn faults_have_a_place() {
        let fault =
            |text: &str| members_of(text, |_, _| {}).map_err(|fault| fault.in_text(text)).unwrap_err();
        assert_eq!(fault("{\n \"a\" 1}"), Malformed { reason: SYNTAX, line: 2, column: 6 });
        assert_eq!(fault("{\"a\":\"").reason, TOO_EARLY);
        assert_eq!(fault("{\"a\":[1}").reason, SYNTAX);
        assert_eq!(fault("{\"a\":tru}").reason, SYNTAX);
        assert!(fault("[1]").is_other_value());
    }
}
