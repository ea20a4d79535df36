//! How values are packed into one column: the caches that a session's views read ([`super::allocations`], [`super::growth`])
//! are thousands of small numbers and a few names. A hook's process reads the schema, so columns and tables cost it more than
//! a packed value, which it never reads.
//!
//! Numbers are LEB128: seven bits a byte, the lowest first, and a high bit on all bytes but the last. A text has its length
//! in bytes before it, a list of texts their number. There is one way to pack a value, and bytes that are packed in no such
//! way are refused.

/// Packs values one behind the other.
#[derive(Debug, Default)]
pub(super) struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// Nothing yet, with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends a number.
    pub(super) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most seven bits are left")]
        self.bytes.push(number as u8);
    }

    /// Appends numbers, whose count is not stored: a reader knows it.
    pub(super) fn numbers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        numbers.into_iter().for_each(|number| self.number(number));
    }

    /// Appends a text.
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends a list of texts.
    pub(super) fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    /// Appends what another one has packed.
    pub(super) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All that was packed.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes packed values from the front of some bytes. After a `None` what is left has no meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unpacker<'b> {
    rest: &'b [u8],
}

impl<'b> Unpacker<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all was taken.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A number; `None` if none is there. Most are of one byte.
    #[inline]
    pub(super) fn number(&mut self) -> Option<u64> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        if *first < 0x80 { Some(u64::from(*first)) } else { self.long_number(*first) }
    }

    fn long_number(&mut self, first: u8) -> Option<u64> {
        let mut number = u64::from(first & 0x7f);
        for shift in (7..u64::BITS).step_by(7) {
            let (next, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(next & 0x7f);
            number |= bits << shift;
            if *next < 0x80 {
                // No bits beyond the number's, and none but those that it needs.
                let is_whole = bits << shift >> shift == bits;
                return (is_whole && bits > 0).then_some(number);
            }
        }
        None
    }

    /// So many numbers; `None` if there are fewer.
    pub(super) fn numbers<const COUNT: usize>(&mut self) -> Option<[u64; COUNT]> {
        let mut numbers = [0; COUNT];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Some(numbers)
    }

    /// A text; `None` if none is there.
    pub(super) fn text(&mut self) -> Option<&'b str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    /// A list of texts; `None` if none is there.
    pub(super) fn texts(&mut self) -> Option<Vec<&'b str>> {
        let mut texts = Vec::new();
        // One by one: a number that is none of ours can be larger than any memory.
        for _ in 0..self.number()? {
            texts.push(self.text()?);
        }
        Some(texts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> impl Strategy<Value = u64> {
        // Of each length, with the ends of the range.
        prop_oneof![
            (0..64_u32, any::<u64>()).prop_map(|(bits, number)| number >> bits),
            Just(0),
            Just(u64::MAX)
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            numbers in prop::collection::vec(numbers(), 0..20),
            texts in prop::collection::vec(".{0,200}", 0..8),
        ) {
            let mut packer = Packer::default();
            packer.texts(texts.iter().map(String::as_str));
            packer.numbers(numbers.iter().copied());
            let bytes = packer.finish();
            let mut unpacker = Unpacker::new(&bytes);
            prop_assert_eq!(unpacker.texts().unwrap(), texts);
            for number in numbers {
                prop_assert_eq!(unpacker.number(), Some(number));
            }
            prop_assert!(unpacker.is_empty());
            prop_assert_eq!(unpacker.number(), None);
        }

        /// Bytes are refused, or are what packing the value gives.
        #[test]
        fn bytes_that_nothing_was_packed_into_are_refused(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..4_u8, Just(0x80), Just(0xff)], 0..40),
        ) {
            let mut unpacker = Unpacker::new(&bytes);
            let mut packer = Packer::default();
            if let Some(texts) = unpacker.texts() {
                packer.texts(texts.into_iter());
                while let Some(number) = unpacker.number() {
                    packer.number(number);
                    let packed = bytes.len() - unpacker.rest.len();
                    prop_assert_eq!(packer.len(), packed);
                }
                let packed = packer.finish();
                prop_assert_eq!(&packed, &bytes[..packed.len()]);
            }
        }

        #[test]
        fn a_part_of_a_value_is_refused(number in numbers(), text in ".{1,40}") {
            let mut packer = Packer::default();
            packer.number(number);
            packer.text(&text);
            let bytes = packer.finish();
            for end in 0..bytes.len() {
                let mut unpacker = Unpacker::new(&bytes[..end]);
                let whole = unpacker.number().and_then(|_| unpacker.text());
                prop_assert_eq!(whole, None);
            }
        }
    }

    #[test]
    fn numbers_that_are_too_long_are_refused() {
        for bytes in [
            &[0x80][..],
            // Zero, and one, in two bytes.
            &[0x80, 0],
            &[0x81, 0],
            // A bit more than 64.
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0xff; 11],
        ] {
            assert_eq!(Unpacker::new(bytes).number(), None, "{bytes:?}");
        }
        // A list of more texts than there is memory.
        let mut packer = Packer::default();
        packer.number(u64::MAX);
        assert_eq!(Unpacker::new(&packer.finish()).texts(), None);
    }
}
