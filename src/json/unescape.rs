//! The text of a string literal that has escapes in it.
//!
//! `serde_json` looks for escapes with `memchr`, which asks the processor what it can do first (see [`super::find`]), and
//! gives three U+FFFD for a lone surrogate where the client sends one to the model.

use super::find;

/// What stands between the quotes, as the text it means; `None` if an escape is none of JSON's.
///
/// A lone surrogate becomes U+FFFD. Control characters may stand as they are, which JSON forbids but logs have.
pub(super) fn unescape(literal: &str) -> Option<String> {
    let mut text = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = find::byte(rest.as_bytes(), 0, b'\\') {
        text.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        // Not the start of a character only if a longer one was escaped, which is no escape of JSON's.
        rest = rest.get(at + 2..)?;
        text.push(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit;
                (unit, rest) = code_unit(rest)?;
                let low = rest.strip_prefix("\\u").and_then(code_unit);
                match (char::decode_utf16([unit]).next()?, low) {
                    (Ok(character), _) => character,
                    (Err(_), Some((low, after))) => match char::decode_utf16([unit, low]).next()? {
                        Ok(character) => {
                            rest = after;
                            character
                        }
                        Err(_) => char::REPLACEMENT_CHARACTER,
                    },
                    (Err(_), None) => char::REPLACEMENT_CHARACTER,
                }
            }
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The four hexadecimal digits that `text` starts with, and what follows them.
fn code_unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    // The parser would take a sign.
    let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((are_digits.then(|| u16::from_str_radix(digits, 16).ok())??, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lone_surrogate_is_one_replacement() {
        for (literal, text) in [
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"a\ud83db", "a\u{fffd}b"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(unescape(literal).as_deref(), Some(text), "{literal}");
        }
    }

    #[test]
    fn what_is_no_escape_is_no_text() {
        for literal in
            [r"\", r"\x41", r"\u12", r"\u+123", r"\u12g4", "\\é", r"\u00é", r"\ud83d\u12", r"\ud83d\"]
        {
            assert_eq!(unescape(literal), None, "{literal}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever was written is read again, however it was escaped.
        #[test]
        fn it_is_what_serde_json_reads(text in r#"(\\|"|/|\n|\t|[a-z]{0,40}|\PC|[\x00-\x1f]|.){0,40}"#, ascii: bool) {
            let mut literal = serde_json::to_string(&text).unwrap();
            if ascii {
                literal = literal.chars().map(|c| match c {
                    ' '..='~' => c.to_string(),
                    _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
                }).collect();
            }
            prop_assert_eq!(unescape(&literal[1..literal.len() - 1]), Some(text));
        }

        /// What serde_json refuses for its escapes is refused, and the rest is the same.
        #[test]
        fn it_refuses_what_serde_json_refuses(literal in r#"(\\[a-z"/\\0-9]|\\u[0-9a-fA-F]{0,4}|[a-zé]){0,12}"#) {
            let read: Option<String> = serde_json::from_str(&format!("\"{literal}\"")).ok();
            match (unescape(&literal), read) {
                (Some(text), None) => prop_assert!(text.contains(char::REPLACEMENT_CHARACTER), "{}", literal),
                (text, read) => prop_assert_eq!(text, read),
            }
        }
    }
}
