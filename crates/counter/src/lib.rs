//! Counts tokens exactly as tiktoken does, without its start-up: what it builds when it starts is compiled in.
//!
//! tiktoken-rs takes 134 to 346 ms and 53 MB to build an encoder (`docs/facts.md#tiktoken`); this crate's tables are
//! part of the program's image (`build.rs`, [`table`]), there is no regex to compile ([`split`]), and nothing is
//! allocated but for a single piece of more than 128 bytes ([`mod@merge`]). [`mod@reference`] is tiktoken-rs itself,
//! against which tests compare all this.
//!
//! A text is cut into pieces (words, numbers, runs of symbols or of white space), and each piece into tokens. Pieces
//! are independent, so the time is that of the pieces. Only one as long as no word ever is, a run of one kind of
//! character over [`MAX_EXACT_PIECE`] bytes, is not merged whole, and then the result says so.
//!
//! A program may build it for size, so what is called for each byte or pair says `inline(always)`.

mod hash;
mod merge;
pub mod reference;
mod split;
mod table;

use table::{NO_RANK, Table};

/// Longest single piece that is counted exactly, in bytes. Merging one takes time by its length times the logarithm
/// of that, and 20 bytes of memory for each byte; nobody wrote a run this long, it is padding or encoded data.
pub const MAX_EXACT_PIECE: usize = 256 << 10;

/// In parts of this many bytes a longer piece is counted instead: each part exactly, so that only the tokens at the
/// cuts are in doubt. Random letters gave 41 tokens too many with 255 cuts, one character repeated gave none.
const ESTIMATED_PART: usize = 4 << 10;

/// How much of a text that comes in parts is counted at once, in bytes (less in the tests of this file) ...
const COUNTED_PART: usize = if cfg!(test) { 1 << 17 } else { 1 << 20 };
/// ... and how much is held where it cannot be cut.
const MAX_HELD: usize = 4 * COUNTED_PART;

/// An encoding of tiktoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `cl100k_base`: OpenAI's models from GPT-3.5 to GPT-4.
    Cl100kBase,
    /// `o200k_base`: OpenAI's models since GPT-4o.
    O200kBase,
}

impl Encoding {
    /// All encodings.
    pub const ALL: [Self; 2] = [Self::Cl100kBase, Self::O200kBase];

    /// tiktoken's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
        }
    }
}

/// A number of tokens, and whether it is the encoding's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number of tokens.
    pub tokens: u64,
    /// Whether `tokens` is what tiktoken gives. What [`count`] gives is exact, but for a text with a piece over
    /// [`MAX_EXACT_PIECE`]: it may be off by about one token in 4 KB of that piece.
    pub exact: bool,
}

/// Counts the tokens of `text`; text that spells a special token counts as ordinary text.
#[must_use]
pub fn count(encoding: Encoding, text: &str) -> Count {
    let table = table_of(encoding);
    let mut count = Count { tokens: 0, exact: true };
    for_each_piece(encoding, text, |piece| {
        if piece.len() <= MAX_EXACT_PIECE {
            count.tokens += count_piece(table, piece);
        } else {
            count.tokens += piece.chunks(ESTIMATED_PART).map(|part| count_piece(table, part)).sum::<u64>();
            count.exact = false;
        }
    });
    count
}

/// Counts a text that comes in parts, of whatever length it is, and holds no more than a few megabytes of it.
#[derive(Debug)]
pub struct Counting {
    encoding: Encoding,
    /// The end of the text so far, which is not counted yet.
    held: String,
    count: Count,
}

impl Counting {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, held: String::new(), count: Count { tokens: 0, exact: true } }
    }

    /// The encoding that it counts in.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Takes the next part.
    pub fn push(&mut self, text: &str) {
        for part in parts(text, COUNTED_PART) {
            self.held.push_str(part);
            if self.held.len() < COUNTED_PART {
                continue;
            }
            let end = split::last_break(&self.held).or_else(|| split::break_in_numbers(&self.held));
            match end {
                Some(end) => self.count_to(end),
                None if self.held.len() < MAX_HELD => {}
                None => {
                    // Pieces go on behind the cut, or may do so.
                    self.count.exact = false;
                    self.count_to(self.held.len());
                }
            }
        }
    }

    /// The count of all that has come: that of [`count`], but that a text may count as inexact which has no place to cut it
    /// for 4 MB.
    #[must_use]
    pub fn finish(mut self) -> Count {
        self.count_to(self.held.len());
        self.count
    }

    fn count_to(&mut self, end: usize) {
        let part = count(self.encoding, &self.held[..end]);
        self.count.tokens += part.tokens;
        self.count.exact &= part.exact;
        self.held.drain(..end);
    }
}

/// `text` in parts of about `length` bytes, none of which ends within a character.
fn parts(mut text: &str, length: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = (length..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let (part, rest) = text.split_at(end);
        text = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// Measures `text` without encoding it: 0.25 tokens per character, rounded up.
#[must_use]
pub fn by_length(text: &str) -> Count {
    Count { tokens: (text.chars().count() as u64).div_ceil(4), exact: false }
}

/// The ranks of the tokens of `text`, as tiktoken's `encode_ordinary` gives them, whatever its pieces.
///
/// For comparisons: the hook only counts.
#[must_use]
pub fn encode(encoding: Encoding, text: &str) -> Vec<u32> {
    let table = table_of(encoding);
    let mut tokens = Vec::new();
    for_each_piece(encoding, text, |piece| match table.rank(piece) {
        NO_RANK => merge::merge(table, piece, |start, end| tokens.push(table.rank(&piece[start..end]))),
        rank => tokens.push(rank),
    });
    tokens
}

/// The vocabulary of `encoding`: the bytes of every token and its rank, in no particular order.
pub(crate) fn vocabulary(encoding: Encoding) -> impl Iterator<Item = (Vec<u8>, u32)> {
    table_of(encoding).iter()
}

fn table_of(encoding: Encoding) -> &'static Table {
    match encoding {
        Encoding::Cl100kBase => &table::CL100K,
        Encoding::O200kBase => &table::O200K,
    }
}

fn for_each_piece<'a>(encoding: Encoding, text: &'a str, visit: impl FnMut(&'a [u8])) {
    // One instance of the loop for each pattern, so that the splitter is compiled into it.
    fn walk<'a>(text: &'a [u8], next: impl Fn(&[u8], usize) -> usize, mut visit: impl FnMut(&'a [u8])) {
        let mut at = 0;
        while at < text.len() {
            let end = next(text, at);
            visit(&text[at..end]);
            at = end;
        }
    }
    match encoding {
        Encoding::Cl100kBase => walk(text.as_bytes(), split::cl100k, visit),
        Encoding::O200kBase => walk(text.as_bytes(), split::o200k, visit),
    }
}

/// How many tokens `piece` is. Most pieces are one.
#[inline(always)]
fn count_piece(table: &Table, piece: &[u8]) -> u64 {
    if piece.len() == 1 || table.rank(piece) != NO_RANK {
        return 1;
    }
    let mut tokens = 0;
    merge::merge(table, piece, |_, _| tokens += 1);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts_of_both_encodings() {
        assert_eq!(count(Encoding::Cl100kBase, "tiktoken is great!"), Count { tokens: 6, exact: true });
        assert_eq!(count(Encoding::O200kBase, "tiktoken is great!"), Count { tokens: 6, exact: true });
        assert_eq!(count(Encoding::Cl100kBase, "").tokens, 0);
        assert!(count(Encoding::Cl100kBase, "<|endoftext|>").tokens > 1);
    }

    #[test]
    fn a_text_in_parts_counts_as_the_whole() {
        let texts = [
            "fn main() {\n    println!(\"it's {}\", 12345);\n}\n\n\n",
            "{\"a\":[1,22,333,4444],\"b\":\"x'y\"},",
            "\u{4f60}\u{597d}\u{3002}\n\n  \u{30ed}A\u{301}b ",
            "0123456789",
        ];
        for encoding in Encoding::ALL {
            for text in texts {
                let text = text.repeat((COUNTED_PART + COUNTED_PART / 2) / text.len());
                let whole = count(encoding, &text);
                for step in [COUNTED_PART / 3 + 1, text.len()] {
                    let mut counting = Counting::new(encoding);
                    parts(&text, step).for_each(|part| counting.push(part));
                    assert!(counting.held.len() < COUNTED_PART);
                    assert_eq!(counting.finish(), whole, "{:?}", &text[..20]);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_cut_is_held_to_a_limit_and_says_so() {
        let mut counting = Counting::new(Encoding::Cl100kBase);
        let text = "a'".repeat(MAX_HELD / 2 + COUNTED_PART);
        parts(&text, COUNTED_PART).for_each(|part| {
            counting.push(part);
            assert!(counting.held.len() < MAX_HELD);
        });
        let (count, whole) = (counting.finish(), count(Encoding::Cl100kBase, &text));
        assert!(
            !count.exact && whole.exact && count.tokens.abs_diff(whole.tokens) <= 2,
            "{count:?} {whole:?}"
        );
    }

    #[test]
    fn a_text_that_is_not_encoded_is_measured_by_its_characters() {
        assert_eq!(by_length("four words of text"), Count { tokens: 5, exact: false });
        assert_eq!(by_length("\u{1f600}").tokens, 1);
    }

    #[test]
    fn a_long_text_of_ordinary_pieces_is_exact() {
        let expected = Count { tokens: 3 << 16, exact: true };
        assert_eq!(count(Encoding::Cl100kBase, &"one two\n".repeat(1 << 16)), expected);
    }

    #[test]
    fn a_piece_too_long_to_merge_is_estimated_and_says_so() {
        for (encoding, letters) in [(Encoding::Cl100kBase, "qzj"), (Encoding::O200kBase, "\u{1f600}")] {
            let whole = letters.repeat(MAX_EXACT_PIECE / letters.len());
            assert!(count(encoding, &whole).exact);

            let longer = whole + letters;
            let estimate = count(encoding, &longer);
            assert!(!estimate.exact);
            let exact = encode(encoding, &longer).len() as u64;
            let bound = (longer.len() / ESTIMATED_PART) as u64 + 1;
            assert!(estimate.tokens.abs_diff(exact) <= bound, "{letters}: {} for {exact}", estimate.tokens);
        }
    }
}
