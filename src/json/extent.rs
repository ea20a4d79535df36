//! Where the first value of a stream ends, found out while the stream arrives.

use super::find;

/// Follows a JSON object or array chunk by chunk, to its closing bracket.
///
/// It counts brackets and passes over strings; whether the value is well-formed is for the parser to say. Anything that
/// is neither an object nor an array has no end of its own here.
#[derive(Debug, Default)]
pub struct ValueExtent {
    place: ScanState,
    depth: usize,
    /// Whether the next byte of a string follows a backslash.
    is_escaped: bool,
    /// Where in the last chunk a name or value of the outer one begins that is a string or has brackets of its own.
    inner: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ScanState {
    /// Before the value: white space, a byte order mark, NULs.
    #[default]
    Before,
    InValue,
    InString,
    /// The stream began with something else.
    OtherValue,
}

impl ValueExtent {
    /// Takes the next chunk. Once the value is whole: how many bytes of the chunk belong to it.
    pub fn follow(&mut self, chunk: &[u8]) -> Option<usize> {
        self.follow_out_to(0, chunk)
    }

    /// Takes the next chunk. Once no more than `depth` brackets are open: after how many bytes of the chunk.
    pub fn follow_out_to(&mut self, depth: usize, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.place == ScanState::InString {
                at = self.string_end(chunk, at)?;
            }
            let byte = *chunk.get(at)?;
            at += 1;
            match byte {
                b'"' if self.place == ScanState::InValue => {
                    self.place = ScanState::InString;
                    if self.depth == 1 {
                        self.inner = Some(at - 1);
                    }
                }
                b'{' | b'[' if self.place != ScanState::OtherValue => {
                    self.place = ScanState::InValue;
                    self.depth += 1;
                    if self.depth == 2 {
                        self.inner = Some(at - 1);
                    }
                }
                b'}' | b']' if self.place == ScanState::InValue => {
                    self.depth -= 1;
                    if self.depth == depth {
                        return Some(at);
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf => {}
                _ if self.place == ScanState::InValue => {}
                _ => {
                    self.place = ScanState::OtherValue;
                    return None;
                }
            }
        }
    }

    /// How many brackets are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Where in the last chunk the last name or value began that stands in the outer one and is a string or has brackets of
    /// its own. It is told once.
    pub fn take_inner(&mut self) -> Option<usize> {
        self.inner.take()
    }

    /// Whether what came ends within a string, and if so, whether just after a backslash.
    #[must_use]
    pub fn open_string(&self) -> Option<bool> {
        (self.place == ScanState::InString).then_some(self.is_escaped)
    }

    /// The rest of a string was taken out of the stream: the next chunk begins with its closing quote.
    pub fn at_closing_quote(&mut self) {
        self.is_escaped = false;
    }

    /// The index after the string's closing quote.
    fn string_end(&mut self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut at = from + usize::from(std::mem::take(&mut self.is_escaped));
        while let Some(found) = find::either(chunk, at, b'"', b'\\') {
            if chunk[found] == b'"' {
                self.place = ScanState::InValue;
                return Some(found + 1);
            }
            at = found + 2;
        }
        self.is_escaped = at > chunk.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where the value in `text` ends if it comes in pieces of `step` bytes.
    fn end(text: &[u8], step: usize) -> Option<usize> {
        let mut extent = ValueExtent::default();
        text.chunks(step).enumerate().find_map(|(piece, chunk)| Some(piece * step + extent.follow(chunk)?))
    }

    #[test]
    fn the_end_is_the_closing_bracket_wherever_the_chunks_end() {
        for (text, wanted) in [
            (r#"{}"#, Some(2)),
            (r#"{"a":"}\"}\\"}"#, Some(14)),
            ("\u{feff} \0{\"a\":[{},[]]} more }", Some(18)),
            (r#"[1,{"a":2}]{"b":3}"#, Some(11)),
            (r#"{"a":{"#, None),
            (r#"{"a":"\"#, None),
            (r#"5 {}"#, None),
            (r#""{}""#, None),
            ("", None),
        ] {
            for step in 1..=text.len().max(1) {
                assert_eq!(end(text.as_bytes(), step), wanted, "{text:?} by {step}");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_where_the_parser_says(
            name in "[a\"\\\\{}\\[\\]é]{0,6}", text in "[a\"\\\\{}\\[\\]\\n]{0,40}", step in 1_usize..9, after in ".{0,5}"
        ) {
            let object = serde_json::json!({ name: [text, {"x": 1}] }).to_string();
            prop_assert_eq!(end(format!("{object}{after}").as_bytes(), step), Some(object.len()));
        }
    }
}
