//! Members that objects repeat side by side, such as what each line of a log says of where it belongs.

use std::ops::Range;

use super::fields::{FieldReader, Fields, Nested};
use super::scan::{Visitor, walk};

/// Fewer members are read as fast one by one.
const MIN_MEMBERS: usize = 4;
/// More is not kept, in bytes: it is of somebody who repeats something else.
const MAX_BYTES: usize = 8 << 10;
/// Comparing this many bytes first rules them out at nearly every member.
const FIRST_BYTES: usize = 8;

/// Members side by side, as an object had them. They are taken as a whole from the next object that has the same bytes:
/// those are members with the same values, wherever they stand in an object. Its memory is used again for each object.
#[derive(Debug, Default)]
pub struct RepeatedFields {
    /// From the first name to the end of the last value.
    text: Vec<u8>,
    /// The places of the members, and where in `text` their values stand.
    values: Vec<Placed>,
    /// What the object that is being read has in their place: where it begins, and what it consists of so far.
    begins_at: usize,
    seen: Vec<Placed>,
    search: MemberSearch,
}

/// A member's place, and where its value stands.
type Placed = (usize, Range<usize>);

/// How the search for such members goes in the object that is being read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum MemberSearch {
    /// `seen` may grow.
    #[default]
    Open,
    /// `seen` is whole.
    Found,
    /// The object has those that are kept, or too many bytes of others.
    Over,
}

impl RepeatedFields {
    /// Notes a member, which `repeats` or not, of the object that is being read.
    #[inline(always)]
    fn note(&mut self, repeats: Option<usize>, at: usize, value: Range<usize>) {
        if self.search != MemberSearch::Open {
            return;
        }
        match repeats {
            Some(place) => {
                if self.seen.is_empty() {
                    self.begins_at = at;
                }
                if value.end - self.begins_at > MAX_BYTES {
                    self.end_search(MemberSearch::Over);
                } else {
                    self.seen.push((place, value));
                }
            }
            None if self.seen.len() < MIN_MEMBERS => self.seen.clear(),
            None => self.search = MemberSearch::Found,
        }
    }

    fn end_search(&mut self, search: MemberSearch) {
        self.seen.clear();
        self.search = search;
    }

    /// Whether the object that was read has the members that were kept.
    #[cfg(test)]
    pub(crate) fn were_taken(&self) -> bool {
        self.search == MemberSearch::Over
    }

    /// Keeps what the object that was read has in place of what is kept.
    fn keep(&mut self, bytes: &[u8]) {
        let start = self.begins_at;
        let last = self.seen.last().filter(|_| self.seen.len() >= MIN_MEMBERS);
        if let Some(text) = last.and_then(|(_, value)| bytes.get(start..value.end)) {
            self.text.clear();
            self.text.extend_from_slice(text);
            self.values.clear();
            let placed = |(place, value): &Placed| (*place, value.start - start..value.end - start);
            self.values.extend(self.seen.iter().map(placed));
        }
    }
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Picks from the object that starts at `at` in `bytes` as [`Self::read`] does, for one of many objects that repeat
    /// members side by side. `repeated` keeps them from object to object; which ones can be of them says `repeats`, by
    /// their places. None of these may be one that `inside` reads.
    pub fn read_repeating(
        &mut self,
        (bytes, at): (&'a [u8], usize),
        repeated: &mut RepeatedFields,
        repeats: impl Fn(usize) -> bool,
        place: impl Fn(&[u8]) -> Option<usize>,
        inside: impl FnMut(usize, usize) -> Nested,
    ) -> Option<usize> {
        repeated.end_search(MemberSearch::Open);
        let picker = FieldReader { picked: self, bytes, place, inside };
        let end = walk(bytes, at, &mut RepeatedPicker { picker, repeated, repeats })?;
        repeated.keep(bytes);
        Some(end)
    }
}

/// Picks the members that have a place, those that are repeated at once.
struct RepeatedPicker<'p, 'a, P, I, R, const N: usize> {
    picker: FieldReader<'p, 'a, P, I, N>,
    repeated: &'p mut RepeatedFields,
    repeats: R,
}

impl<'a, P, I, R, const N: usize> Visitor<'a> for RepeatedPicker<'_, 'a, P, I, R, N>
where
    P: Fn(&[u8]) -> Option<usize>,
    I: FnMut(usize, usize) -> Nested,
    R: Fn(usize) -> bool,
{
    #[inline(always)]
    fn several(&mut self, at: usize) -> Option<usize> {
        let rest = self.picker.bytes.get(at..)?;
        let text = &self.repeated.text;
        if text.first_chunk::<FIRST_BYTES>()? != rest.first_chunk()? || !rest.starts_with(text) {
            return None;
        }
        // A last number may go on.
        if !matches!(rest.get(text.len()), Some(b',' | b'}')) {
            return None;
        }
        for (place, value) in &self.repeated.values {
            self.picker.picked.set(Some(*place), &rest[value.clone()]);
        }
        let end = at + text.len();
        self.repeated.end_search(MemberSearch::Over);
        Some(end)
    }

    #[inline(always)]
    fn member(&mut self, at: usize, name: &'a [u8], start: usize) -> Option<usize> {
        let place = (self.picker.place)(name);
        let end = self.picker.pick(place, name, start)?;
        self.repeated.note(place.filter(|place| (self.repeats)(*place)), at, start..end);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an object whose members `a` to `f` have places, of which `a` to `d` repeat. Returns what was picked, and
    /// whether the repeated ones were taken as a whole.
    fn read(text: &str, repeated: &mut RepeatedFields) -> (Vec<Option<u64>>, bool) {
        let mut picked = Fields::<6>::default();
        let place = |name: &[u8]| b"abcdef".iter().position(|letter| name == [*letter]);
        let end = picked.read_repeating(
            (text.as_bytes(), 0),
            repeated,
            |place| place < 4,
            place,
            |_, _| Nested::Unread,
        );
        assert_eq!(end, Some(text.len()));
        ((0..6).map(|place| picked.count(place)).collect(), repeated.were_taken())
    }

    #[test]
    fn they_are_taken_as_a_whole_wherever_they_stand() {
        let repeated = &mut RepeatedFields::default();
        let expected = |e| [Some(1), Some(2), Some(3), Some(4), Some(e), None].to_vec();
        assert_eq!(read(r#"{"e":5,"a":1,"b":2,"c":3,"d":4,"z":0}"#, repeated), (expected(5), false));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":67}"#, repeated), (expected(67), true));
        assert_eq!(read(r#"{"z":"a","e":7 , "a":1,"b":2,"c":3,"d":4}"#, repeated), (expected(7), true));
        // What comes later counts, and fewer members are not kept.
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"e":6}"#, repeated), (expected(6), true));
        assert_eq!(read(r#"{"d":1,"e":5,"a":1,"b":2,"c":3,"d":4}"#, repeated), (expected(5), true));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"d":6}"#, repeated).0[3], Some(6));
        assert_eq!(read(r#"{"a":9}"#, repeated).0[0], Some(9));
        assert!(read(r#"{"a":1,"b":2,"c":3,"d":4}"#, repeated).1);
    }

    #[test]
    fn others_between_them_are_not_passed_over() {
        for between in [r#""f":1"#, r#""z":1"#] {
            let repeated = &mut RepeatedFields::default();
            let text = format!(r#"{{"a":1,"b":2,{between},"c":3,"d":4,"e":5}}"#);
            for _ in 0..2 {
                let (values, taken) = read(&text, repeated);
                assert_eq!((values[3], values[5].is_some(), taken), (Some(4), between.contains('f'), false));
            }
            assert!(repeated.text.is_empty());
        }
    }

    #[test]
    fn those_that_differ_in_their_last_byte_are_others() {
        let repeated = &mut RepeatedFields::default();
        for (last, taken) in [("4", false), ("5", false), ("5", true), ("56", false), ("5", false)] {
            let (values, was_taken) = read(&format!(r#"{{"a":1,"b":2,"c":3,"d":{last}}}"#), repeated);
            assert_eq!(values[3], last.parse().ok(), "{last}");
            assert_eq!(was_taken, taken, "{last}");
        }
    }

    #[test]
    fn those_beyond_all_measure_are_not_kept() {
        for members in [
            format!(r#""a":1,"b":2,"c":3,"d":{}"#, "0".repeat(MAX_BYTES)),
            r#""a":1"#.to_owned() + &r#","a":1"#.repeat(MAX_BYTES),
        ] {
            let repeated = &mut RepeatedFields::default();
            read(&format!("{{{members}}}"), repeated);
            assert!(repeated.text.is_empty() && repeated.seen.capacity() <= MAX_BYTES);
        }
    }
}
