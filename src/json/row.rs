//! Members that objects repeat side by side, such as what each line of a log says of where it belongs.

use std::ops::Range;

use super::picked::{Inside, Picked, Picker};
use super::scan::{Visitor, walk};

/// A row of fewer members is read as fast one by one.
const MIN_MEMBERS: usize = 4;
/// A longer one is not kept, in bytes: it is of somebody who repeats something else.
const MAX_BYTES: usize = 8 << 10;
/// As many bytes tell at nearly all members that the row does not begin with them.
const FIRST_BYTES: usize = 8;

/// A row of members as an object had it. It is taken as a whole from the next object that has the same bytes: they are
/// members with the same values, wherever they stand in an object.
#[derive(Debug, Default)]
pub struct Row {
    /// From the first name to the end of the last value.
    text: Vec<u8>,
    /// The places of the members, and where in `text` their values stand.
    values: Vec<Placed>,
    /// The row of the object that is being read, if it has another one: where it begins, and what it consists of so far.
    begins_at: usize,
    seen: Vec<Placed>,
    /// Whether that is all of it, or the object has the row that is kept.
    is_done: bool,
}

/// A member's place, and where its value stands.
type Placed = (usize, Range<usize>);

impl Row {
    /// Keeps the row of the object that was read, if it has another one.
    fn keep(&mut self, bytes: &[u8]) {
        let start = self.begins_at;
        let last = self.seen.last().filter(|_| self.seen.len() >= MIN_MEMBERS);
        let text = last.and_then(|(_, value)| bytes.get(start..value.end));
        if let Some(text) = text.filter(|text| text.len() <= MAX_BYTES) {
            self.text.clear();
            self.text.extend_from_slice(text);
            self.values.clear();
            let placed = |(place, value): &Placed| (*place, value.start - start..value.end - start);
            self.values.extend(self.seen.iter().map(placed));
        }
    }
}

impl<'a, const N: usize> Picked<'a, N> {
    /// As [`Self::read`], for one of many objects that repeat a row of members. `row` keeps it from object to object; which
    /// members can be of it says `repeats`, by their places.
    pub fn read_repeating(
        &mut self,
        (bytes, at): (&'a [u8], usize),
        row: &mut Row,
        repeats: impl Fn(usize) -> bool,
        place: impl Fn(&[u8]) -> Option<usize>,
        inside: impl FnMut(usize, usize) -> Inside,
    ) -> Option<usize> {
        row.seen.clear();
        row.is_done = false;
        let picker = Picker { picked: self, bytes, place, inside };
        let end = walk(bytes, at, &mut RowPicker { picker, row, repeats })?;
        row.keep(bytes);
        Some(end)
    }
}

/// Picks the members that have a place, those of the row at once.
struct RowPicker<'p, 'a, P, I, R, const N: usize> {
    picker: Picker<'p, 'a, P, I, N>,
    row: &'p mut Row,
    repeats: R,
}

impl<'a, P, I, R, const N: usize> Visitor<'a> for RowPicker<'_, 'a, P, I, R, N>
where
    P: Fn(&[u8]) -> Option<usize>,
    I: FnMut(usize, usize) -> Inside,
    R: Fn(usize) -> bool,
{
    #[inline(always)]
    fn row(&mut self, at: usize) -> Option<usize> {
        let rest = self.picker.bytes.get(at..)?;
        let text = &self.row.text;
        if text.first_chunk::<FIRST_BYTES>()? != rest.first_chunk()? || !rest.starts_with(text) {
            return None;
        }
        // A last number may go on.
        if !matches!(rest.get(text.len()), Some(b',' | b'}')) {
            return None;
        }
        for (place, value) in &self.row.values {
            self.picker.picked.set(Some(*place), &rest[value.clone()]);
        }
        self.row.seen.clear();
        self.row.is_done = true;
        Some(at + text.len())
    }

    #[inline(always)]
    fn member(&mut self, at: usize, name: &'a [u8], start: usize) -> Option<usize> {
        let place = (self.picker.place)(name);
        let end = self.picker.pick(place, name, start)?;
        if !self.row.is_done {
            let seen = &mut self.row.seen;
            match place.filter(|place| (self.repeats)(*place)) {
                Some(place) => {
                    if seen.is_empty() {
                        self.row.begins_at = at;
                    }
                    seen.push((place, start..end));
                }
                None if seen.len() < MIN_MEMBERS => seen.clear(),
                None => self.row.is_done = true,
            }
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an object whose members `a` to `e` have places, of which `a` to `d` repeat. Returns what was picked, and
    /// whether the row was taken as a whole.
    fn read(text: &str, row: &mut Row) -> (Vec<Option<u64>>, bool) {
        let mut picked = Picked::<5>::default();
        let place = |name: &[u8]| b"abcde".iter().position(|letter| name == [*letter]);
        let end =
            picked.read_repeating((text.as_bytes(), 0), row, |place| place < 4, place, |_, _| Inside::Unread);
        assert_eq!(end, Some(text.len()));
        let taken = row.is_done && row.seen.is_empty();
        ((0..5).map(|place| picked.count(place)).collect(), taken)
    }

    #[test]
    fn a_row_is_taken_as_a_whole_wherever_it_stands() {
        let row = &mut Row::default();
        let expected = |e| [Some(1), Some(2), Some(3), Some(4), Some(e)].to_vec();
        assert_eq!(read(r#"{"e":5,"a":1,"b":2,"c":3,"d":4,"z":0}"#, row), (expected(5), false));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":67}"#, row), (expected(67), true));
        assert_eq!(read(r#"{"z":"a","e":7 , "a":1,"b":2,"c":3,"d":4}"#, row), (expected(7), true));
        // What comes later counts, and a row that is shorter is no row.
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"e":6}"#, row), (expected(6), true));
        assert_eq!(read(r#"{"d":1,"e":5,"a":1,"b":2,"c":3,"d":4}"#, row), (expected(5), true));
        assert_eq!(read(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"d":6}"#, row).0[3], Some(6));
        assert_eq!(read(r#"{"a":9}"#, row).0[0], Some(9));
        assert!(read(r#"{"a":1,"b":2,"c":3,"d":4}"#, row).1);
    }

    #[test]
    fn a_row_that_differs_in_its_last_byte_is_another_one() {
        let row = &mut Row::default();
        for (last, taken) in [("4", false), ("5", false), ("5", true), ("56", false), ("5", false)] {
            let (values, was_taken) = read(&format!(r#"{{"a":1,"b":2,"c":3,"d":{last}}}"#), row);
            assert_eq!(values[3], last.parse().ok(), "{last}");
            assert_eq!(was_taken, taken, "{last}");
        }
    }

    #[test]
    fn a_row_beyond_all_measure_is_not_kept() {
        let row = &mut Row::default();
        let text = format!(r#"{{"a":1,"b":2,"c":3,"x":"","d":{}}}"#, "0".repeat(MAX_BYTES));
        read(&text.replace(r#""x":"","#, ""), row);
        assert!(row.text.is_empty());
        // Nor one in parts.
        read(&text, row);
        assert!(row.text.is_empty());
    }
}
