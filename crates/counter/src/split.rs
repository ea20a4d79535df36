//! Cuts a text into the pieces that are encoded one by one: the encodings' patterns, written out by hand.
//!
//! Each function gives the end of the piece that starts at `at`. What the patterns say, as tiktoken-rs has them:
//!
//! ```text
//! cl100k_base                             o200k_base
//!   '(?i:[sdmt]|ll|ve|re)                   [^\r\n\p{L}\p{N}]?[U]*[W]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//!   [^\r\n\p{L}\p{N}]?+\p{L}++              [^\r\n\p{L}\p{N}]?[U]+[W]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//!   \p{N}{1,3}+                             \p{N}{1,3}
//!    ?[^\s\p{L}\p{N}]++[\r\n]*+              ?[^\s\p{L}\p{N}]+[\r\n/]*
//!   \s++$                                   \s*[\r\n]+
//!   \s*[\r\n]                               \s+(?!\S)
//!   \s+(?!\S)                               \s+
//!   \s
//!         U = \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}, W = \p{Ll}\p{Lm}\p{Lo}\p{M}
//! ```
//!
//! The first alternative that matches counts, even if a later one would match more. Every character is matched by
//! one of them, so the pieces are the whole text. No character is looked at more than a few times: where a pattern
//! would go back, the functions have kept the place it would go back to.
//!
//! What would surprise: `(?i:'s)` also matches `'ſ`. A mark (`\p{M}`) is no letter of `\p{L}`, but it is in `U`, in
//! `W`, and in the class of the optional first character. `U*` gives back what `W+` needs, so `ロA` is cut into `ロ`
//! and `A`.

// The flags of a character; a test compares them with the regex engine's classes.
const LETTER: u8 = 1;
const NUMBER: u8 = 1 << 1;
const SPACE: u8 = 1 << 2;
/// `\r` and `\n`, which are in `SPACE` too.
const NEWLINE: u8 = 1 << 3;
/// `[^\s\p{L}\p{N}]`.
const SYMBOL: u8 = 1 << 4;
/// `U` above.
const UPPER: u8 = 1 << 5;
/// `W` above.
const LOWER: u8 = 1 << 6;
/// In `ASCII`: the byte belongs to a longer character.
const WIDE: u8 = 1 << 7;

/// Characters in a block of `BLOCKS`.
const BLOCK: usize = 128;

/// The block of every 128 characters; equal blocks are stored once.
static INDEX: &[u8; 0x11_0000 / BLOCK] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.index"));
static BLOCKS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.blocks"));

/// The flags of the characters of one byte, apart from `INDEX`, as most text is made of them.
static ASCII: [u8; 256] = {
    let mut flags = [WIDE; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        flags[byte as usize] = match byte {
            b'a'..=b'z' => LETTER | LOWER,
            b'A'..=b'Z' => LETTER | UPPER,
            b'0'..=b'9' => NUMBER,
            b'\r' | b'\n' => SPACE | NEWLINE,
            b' ' | b'\t' | 0x0b | 0x0c => SPACE,
            _ => SYMBOL,
        };
        byte += 1;
    }
    flags
};

/// The flags and the length in bytes of the character at `at`; no flags at the end of the text.
#[inline(always)]
fn class(text: &[u8], at: usize) -> (u8, usize) {
    match text.get(at) {
        Some(&byte) => match ASCII[usize::from(byte)] {
            WIDE => wide(text, at),
            flags => (flags, 1),
        },
        None => (0, 0),
    }
}

/// The flags and the length in bytes of a character of several bytes. The text is valid UTF-8, so only the first byte
/// has to be examined.
fn wide(text: &[u8], at: usize) -> (u8, usize) {
    let bits = |offset: usize| text.get(at + offset).map_or(0, |&byte| usize::from(byte & 0x3f));
    let first = usize::from(text[at]);
    let (character, length) = match first {
        0..0xe0 => ((first & 0x1f) << 6 | bits(1), 2),
        0xe0..0xf0 => ((first & 0x0f) << 12 | bits(1) << 6 | bits(2), 3),
        _ => ((first & 0x07) << 18 | bits(1) << 12 | bits(2) << 6 | bits(3), 4),
    };
    let flags = INDEX
        .get(character / BLOCK)
        .and_then(|&block| BLOCKS.get(usize::from(block) * BLOCK + character % BLOCK))
        .copied()
        .unwrap_or(SYMBOL);
    (flags, length)
}

/// The end of the longest run of characters with one of `flags` from `at` on.
#[inline(always)]
fn run(text: &[u8], mut at: usize, flags: u8) -> usize {
    loop {
        let (class, length) = class(text, at);
        if class & flags == 0 {
            return at;
        }
        at += length;
    }
}

/// The end of `(?i:'s|'t|'re|'ve|'m|'ll|'d)` at `at`, or `None`.
#[inline(always)]
fn contraction(text: &[u8], at: usize) -> Option<usize> {
    let [b'\'', rest @ ..] = text.get(at..)? else { return None };
    let length = match rest {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => 2,
        [b'l' | b'L', b'l' | b'L', ..] | [b'v' | b'V' | b'r' | b'R', b'e' | b'E', ..] => 3,
        // ſ, the long s, whose other case is S.
        [0xc5, 0xbf, ..] => 3,
        _ => return None,
    };
    Some(at + length)
}

/// The end of ` ?[^\s\p{L}\p{N}]+` at `at`, where a character of the class `first` is; `at` if there is none.
#[inline(always)]
fn symbols(text: &[u8], at: usize, first: u8) -> usize {
    let start = if text[at] == b' ' { at + 1 } else { at };
    if first & SYMBOL == 0 && start == at {
        return at;
    }
    match run(text, start, SYMBOL) {
        end if end > start => end,
        _ => at,
    }
}

/// Up to three numbers from `at` on.
#[inline(always)]
fn numbers(text: &[u8], mut at: usize) -> usize {
    for _ in 0..3 {
        let (class, length) = class(text, at);
        if class & NUMBER == 0 {
            break;
        }
        at += length;
    }
    at
}

/// White space that no other alternative took. The two encodings differ only where it reaches the end of the text:
/// `\s++$` takes all, `\s*[\r\n]+` comes first in o200k_base.
fn spaces(text: &[u8], start: usize, newline_first: bool) -> usize {
    let (mut at, mut last, mut after_newline) = (start, start, None);
    loop {
        let (class, length) = class(text, at);
        if class & SPACE == 0 {
            break;
        }
        last = at;
        at += length;
        if class & NEWLINE != 0 {
            after_newline = Some(at);
        }
    }
    let at_end = at == text.len();
    match after_newline {
        Some(after) if newline_first || !at_end => after,
        _ if at_end => at,
        // `\s+(?!\S)` leaves the last one to the word that follows.
        _ if last > start => last,
        _ => at,
    }
}

/// The last place in `text` where a piece ends in both encodings, whatever stands before it and follows behind the text:
/// the pieces of the two sides are those of the whole. `None` if no place is certain.
///
/// No pattern goes on from a number to anything else, nor from a letter to white space, a number, or a symbol but for the
/// apostrophe; marks are letters in one encoding. A line break goes with what stands before it.
pub(super) fn last_break(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut after = 0;
    for (at, character) in text.char_indices().rev() {
        let before = class(bytes, at).0;
        let is_mark = after & SYMBOL != 0 && after & (UPPER | LOWER) != 0;
        let end = at + character.len_utf8();
        let is_break = if before & NUMBER != 0 {
            after & NUMBER == 0
        } else if before & LETTER != 0 {
            after & LETTER == 0 && !is_mark && bytes.get(end) != Some(&b'\'')
        } else if before & NEWLINE != 0 {
            after & (LETTER | NUMBER) != 0
        } else {
            before & SYMBOL != 0 && after & NUMBER != 0
        };
        if is_break && end < text.len() {
            return Some(end);
        }
        after = before;
    }
    None
}

/// Where `text` can be cut if it ends with numbers from its first one on: after as many of them as make whole pieces.
pub(super) fn break_in_numbers(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_number = |at: usize| class(bytes, at).0 & NUMBER != 0;
    let (first, _) = text.char_indices().find(|(at, _)| is_number(*at))?;
    let mut end = None;
    for (number, (at, _)) in text[first..].char_indices().enumerate() {
        if !is_number(first + at) {
            return None;
        }
        if number % 3 == 0 && number > 0 {
            end = Some(first + at);
        }
    }
    end
}

/// The end of the piece of cl100k_base that starts at `at`, which is before the end of the text.
#[inline(always)]
pub(super) fn cl100k(text: &[u8], at: usize) -> usize {
    if let Some(end) = contraction(text, at) {
        return end;
    }
    let (first, length) = class(text, at);
    if first & LETTER != 0 {
        return run(text, at + length, LETTER);
    }
    if first & NUMBER != 0 {
        return numbers(text, at);
    }
    if first & NEWLINE == 0 {
        let word = run(text, at + length, LETTER);
        if word > at + length {
            return word;
        }
        let symbols = symbols(text, at, first);
        if symbols > at {
            return run(text, symbols, NEWLINE);
        }
    }
    spaces(text, at, false)
}

/// How far `[U]*[W]+`, or else `[U]+`, matches.
enum Word {
    /// `[U]*[W]+` ends here.
    Lower(usize),
    /// Only `[U]+` matches, and ends here.
    Upper(usize),
    None,
}

#[inline(always)]
fn word(text: &[u8], start: usize) -> Word {
    // `U*` takes all it can. If nothing of `W` follows, it goes back to the last character that is in `W` too.
    let (mut at, mut after_both) = (start, None);
    loop {
        let (class, length) = class(text, at);
        if class & UPPER == 0 {
            break;
        }
        at += length;
        if class & LOWER != 0 {
            after_both = Some(at);
        }
    }
    match (run(text, at, LOWER), after_both) {
        (end, _) if end > at => Word::Lower(end),
        (_, Some(end)) => Word::Lower(end),
        _ if at > start => Word::Upper(at),
        _ => Word::None,
    }
}

/// The end of the piece of o200k_base that starts at `at`, which is before the end of the text.
#[inline(always)]
pub(super) fn o200k(text: &[u8], at: usize) -> usize {
    let with_contraction = |end| contraction(text, end).unwrap_or(end);
    let (first, length) = class(text, at);
    if first & NUMBER != 0 {
        return numbers(text, at);
    }
    if first & LETTER != 0
        && let Word::Lower(end) | Word::Upper(end) = word(text, at)
    {
        return with_contraction(end);
    }
    if first & NEWLINE == 0 {
        match word(text, at + length) {
            Word::Lower(end) => return with_contraction(end),
            // A mark is in `W` itself: the first alternative does without the optional character.
            _ if first & LOWER != 0 => return with_contraction(at + length),
            Word::Upper(end) => return with_contraction(end),
            Word::None => {}
        }
        let symbols = symbols(text, at, first);
        if symbols > at {
            let more = text[symbols..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/'));
            return symbols + more.count();
        }
    }
    spaces(text, at, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(next: impl Fn(&[u8], usize) -> usize, text: &str) -> Vec<&str> {
        let mut at = 0;
        let mut pieces = Vec::new();
        while at < text.len() {
            let end = next(text.as_bytes(), at);
            pieces.push(&text[at..end]);
            at = end;
        }
        pieces
    }

    #[test]
    fn classes_are_those_of_the_regex_engine() {
        for (pattern, flag) in [
            (r"\p{L}", LETTER),
            (r"\p{N}", NUMBER),
            (r"\s", SPACE),
            (r"[\r\n]", NEWLINE),
            (r"[^\s\p{L}\p{N}]", SYMBOL),
            (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", UPPER),
            (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", LOWER),
        ] {
            let engine = regex::Regex::new(pattern).unwrap();
            for character in '\0'..=char::MAX {
                let mut buffer = [0; 4];
                let text = character.encode_utf8(&mut buffer);
                let (flags, length) = class(text.as_bytes(), 0);
                assert_eq!(length, text.len());
                assert_eq!(flags & flag != 0, engine.is_match(text), "{character:?} and {pattern}");
            }
        }
    }

    #[test]
    fn at_a_break_the_pieces_of_both_sides_are_those_of_the_whole() {
        // Characters of each class, and those that the patterns name.
        const PARTS: [&str; 18] = [
            "a",
            "B",
            "\u{1c5}",
            "\u{2b0}",
            "\u{30ed}",
            "\u{301}",
            "1",
            "\u{661}",
            " ",
            "\t",
            "\n",
            "\r",
            "'",
            "s",
            "\u{17f}",
            "!",
            "/",
            "\u{1f600}",
        ];
        let check = |text: &str| {
            let Some(at) = last_break(text) else { return };
            let (before, after) = text.split_at(at);
            assert!(!before.is_empty() && !after.is_empty());
            for next in [cl100k as fn(&[u8], usize) -> usize, o200k] {
                let both = [pieces(next, before), pieces(next, after)].concat();
                assert_eq!(both, pieces(next, text), "{text:?} at {at}");
            }
        };
        let of = |mut number: usize, length: u32| -> String {
            let mut text = String::new();
            for _ in 0..length {
                text.push_str(PARTS[number % PARTS.len()]);
                number /= PARTS.len();
            }
            text
        };
        for length in 1..=4 {
            (0..PARTS.len().pow(length)).for_each(|number| check(&of(number, length)));
        }
        // Longer ones here and there.
        for length in [5, 6, 8, 12] {
            (0..20_000_usize)
                .for_each(|seed| check(&of(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 4, length)));
        }
        assert_eq!(last_break("one two\n'\u{301}"), Some(7));
        assert_eq!(last_break("one'two\u{301}"), None);
        for (text, end) in
            [(" 12345", Some(4)), ("a123456", Some(4)), ("12", None), ("1a2", None), ("x", None)]
        {
            assert_eq!(break_in_numbers(text), end, "{text}");
        }
    }

    #[test]
    fn alternatives_are_tried_in_their_order() {
        for (text, expected_cl100k, expected_o200k) in [
            ("I'LL we'ſx", vec!["I", "'LL", " we", "'ſ", "x"], vec!["I'LL", " we'ſ", "x"]),
            ("ロA", vec!["ロA"], vec!["ロ", "A"]),
            ("HTTPServer", vec!["HTTPServer"], vec!["HTTPServer"]),
            ("camelCase", vec!["camelCase"], vec!["camel", "Case"]),
            ("a\u{301}b", vec!["a", "\u{301}b"], vec!["a\u{301}b"]),
            ("\u{301}A", vec!["\u{301}A"], vec!["\u{301}", "A"]),
            ("!\u{301}A", vec!["!\u{301}", "A"], vec!["!\u{301}", "A"]),
            ("12345", vec!["123", "45"], vec!["123", "45"]),
            ("a  b", vec!["a", " ", " b"], vec!["a", " ", " b"]),
            ("a \n\n  b", vec!["a", " \n\n", " ", " b"], vec!["a", " \n\n", " ", " b"]),
            ("a \n  ", vec!["a", " \n  "], vec!["a", " \n", "  "]),
            (" //\n/", vec![" //\n", "/"], vec![" //\n/"]),
            ("\ta\n1", vec!["\ta", "\n", "1"], vec!["\ta", "\n", "1"]),
            ("' 's''s", vec!["'", " '", "s", "''", "s"], vec!["'", " '", "s", "''", "s"]),
        ] {
            assert_eq!(pieces(cl100k, text), expected_cl100k, "cl100k_base of {text:?}");
            assert_eq!(pieces(o200k, text), expected_o200k, "o200k_base of {text:?}");
        }
    }
}
