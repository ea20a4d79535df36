//! Identifiers as checked newtypes.
//!
//! All of them come from payloads and logs, so they are hostile: a constructor refuses what cannot be an id
//! (empty, longer than [`MAX_ID_CHARS`], control characters). They are never used to build a path. A thousand records
//! name the same session, so copies share their text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Longest id that is taken, in characters; real ones have 20 to 60.
const MAX_ID_CHARS: usize = 200;

/// Longest name that is kept, in characters (`docs/guarantees.md#what-is-stored`).
pub const MAX_NAME_CHARS: usize = 80;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `text` if it can be an id: 1 to [`MAX_ID_CHARS`] characters, none of them a control character.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                let ok = !text.is_empty()
                    && text.len() <= MAX_ID_CHARS * 4
                    && (text.len() <= MAX_ID_CHARS || text.chars().count() <= MAX_ID_CHARS)
                    && is_safe(text);
                ok.then(|| Self(text.into()))
            }

            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::new(&text).ok_or_else(|| serde::de::Error::custom("no id"))
            }
        }
    };
}

id!(
    /// The client's id of a session (`session_id` in payloads, `sessionId` in transcripts).
    SessionId
);
impl SessionId {
    /// The session under which the ledger keeps what names none.
    #[must_use]
    pub fn unknown() -> Self {
        Self("unknown".into())
    }
}

id!(
    /// The provider's id of a tool call (`toolu_…`); unique in its session.
    ToolUseId
);
id!(
    /// The key under which an API response is kept: the provider's id (`msg_…`), what stands for one
    /// (`docs/facts.md#records-of-one-response`), or a variant of an id that is not unique.
    MessageId
);
id!(
    /// The client's id of one subagent run (`agent_id`).
    AgentId
);
id!(
    /// A model's id as the log gives it; never normalised when stored.
    ModelId
);

/// What stands between a response's id and the number of an advisor that was asked within it.
const ADVISOR: &str = "/advisor/";
/// What stands between a response's id and the number of an attempt of another model that was declined.
const ATTEMPT: &str = "/attempt/";
/// What stands before the mark of a [`MessageId::variant`], and how many digits that has.
const VARIANT: char = '#';
const VARIANT_DIGITS: usize = 16;

impl MessageId {
    /// The id under which the pass of an advisor is kept that was asked within this response, beside which it is billed.
    #[must_use]
    pub fn of_advisor(&self, number: usize) -> Option<Self> {
        Self::new(&format!("{self}{ADVISOR}{number}"))
    }

    /// The id under which an attempt of another model is kept that was declined before this response.
    #[must_use]
    pub fn of_attempt(&self, number: usize) -> Option<Self> {
        Self::new(&format!("{self}{ATTEMPT}{number}"))
    }

    /// Whether this is an advisor's pass.
    #[must_use]
    pub fn is_advisors(&self) -> bool {
        self.as_str().contains(ADVISOR)
    }

    /// The id under which another response is kept whose log gives it an id that is taken; `mark` tells them apart.
    #[must_use]
    pub fn variant(&self, mark: u64) -> Option<Self> {
        Self::new(&format!("{}{VARIANT}{mark:0VARIANT_DIGITS$x}", self.base()))
    }

    /// The id as the log gives it.
    #[must_use]
    pub fn base(&self) -> &str {
        let text = self.as_str();
        let Some(end) = text.len().checked_sub(VARIANT_DIGITS + 1) else { return text };
        let (head, tail) = text.as_bytes().split_at(end);
        let is_mark = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
        let is_variant = tail[0] == VARIANT as u8 && is_mark(&tail[1..]) && !head.is_empty();
        if is_variant { &text[..end] } else { text }
    }

    /// Whether this is the id of a [`Self::variant`].
    #[must_use]
    pub fn is_variant(&self) -> bool {
        self.base().len() < self.as_str().len()
    }
}

fn is_safe(text: &str) -> bool {
    if text.is_ascii() {
        !text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        !text.chars().any(is_unsafe)
    }
}

/// Characters that could break out of a table cell, a terminal line or a reading direction.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with a space in place of each character that could do something to a terminal. Line breaks and tabs stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
    if is_plain(text.as_bytes()) || !text.contains(is_harmful) {
        return text.into();
    }
    text.chars().map(|c| if is_harmful(c) { ' ' } else { c }).collect::<String>().into()
}

/// Whether it is ASCII without control characters but line breaks and tabs. All that is printed is looked through, so it is
/// eight characters at once.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    let (eights, rest) = text.as_chunks::<8>();
    let are_plain = |eight: &[u8; 8]| {
        let bytes = u64::from_ne_bytes(*eight);
        // A borrow into the high bit tells of a byte below a space, or of one that is DEL. It can also reach the next byte:
        // then each is looked at by itself.
        let below_space = bytes.wrapping_sub(ONES * u64::from(b' '));
        let is_delete = (bytes ^ (ONES * 0x7f)).wrapping_sub(ONES);
        (bytes | below_space | is_delete) & HIGH == 0 || eight.iter().all(|byte| is_plain(*byte))
    };
    eights.iter().all(are_plain) && rest.iter().all(|byte| is_plain(*byte))
}

/// What has a name from outside that is shown within our own words.
pub trait OneLine {
    /// The name in one line, with a space in place of each character that could do something to a terminal, or begin a line
    /// that looks like one of ours.
    fn one_line(&self) -> String;
}

impl OneLine for std::path::Path {
    fn one_line(&self) -> String {
        self.to_string_lossy().one_line()
    }
}

impl OneLine for str {
    fn one_line(&self) -> String {
        self.chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect()
    }
}

/// Makes a name from outside harmless: no control or direction characters, at most `max` characters, trimmed.
///
/// `None` if nothing is left.
#[must_use]
pub fn clean_name(text: &str, max: usize) -> Option<String> {
    let mut name: String =
        text.trim().chars().take(max * 2).map(|c| if is_unsafe(c) { ' ' } else { c }).collect();
    if name.chars().count() > max {
        name = name.chars().take(max.saturating_sub(1)).collect();
        name.push('…');
    }
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The name under which a project's folder is known. Windows takes a drive's letter in either case, and so do its programs:
/// `c:\\app` and `C:\\app` are one project.
#[must_use]
pub fn project_folder(mut path: String) -> String {
    let is_drive = matches!(path.as_bytes(), [b'a'..=b'z', b':'] | [b'a'..=b'z', b':', b'\\' | b'/', ..]);
    if is_drive && let Some(letter) = path.get_mut(..1) {
        letter.make_ascii_uppercase();
    }
    path
}

/// Whether `text` is a word to every shell as it stands, without quotes.
#[must_use]
pub fn is_plain_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

/// The length in bytes of the `$NAME` or `${NAME}` that a shell line begins with, its name of characters for which `is_part`
/// holds; `None` if it begins with `$` and anything else, which the shell would work out.
#[must_use]
pub fn variable_length(line: &str, is_part: impl Fn(char) -> bool) -> Option<usize> {
    let inner = line.strip_prefix("${");
    let name = inner.or_else(|| line.strip_prefix('$'))?;
    let length = name.find(|c| !is_part(c)).unwrap_or(name.len());
    match inner {
        _ if length == 0 => None,
        Some(_) => name[length..].starts_with('}').then_some(length + 3),
        None => Some(length + 1),
    }
}

/// Writes `text` as one word of a POSIX shell, for command lines that people are told to copy. Names come from outside:
/// what the shell could read as anything but a letter is quoted, and what could do something to a terminal is a `?`.
#[must_use]
pub fn shell_word(text: &str) -> Cow<'_, str> {
    if is_plain_word(text) {
        return text.into();
    }
    let harmless: String = text.chars().map(|c| if is_unsafe(c) { '?' } else { c }).collect();
    if is_quoted_alike(&harmless) {
        format!("\"{harmless}\"").into()
    } else {
        single_quoted(&harmless).into()
    }
}

/// Whether `text` has single quotes, which each shell has its own way to write in single quotes, and nothing that means
/// anything to a shell in double quotes. To PowerShell typographic quotes are quotes too.
fn is_quoted_alike(text: &str) -> bool {
    let has_quotes = text.chars().any(|c| matches!(c, '\'' | '\u{2018}'..='\u{201b}'));
    let is_special = |c: char| matches!(c, '"' | '$' | '`' | '!' | '\u{201c}'..='\u{201f}');
    has_quotes && !text.contains(is_special) && !text.contains(r"\\") && !text.ends_with('\\')
}

/// `text` to the letter in single quotes, in which nothing means anything to a POSIX shell.
#[must_use]
pub fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_eight_at_once_is_plain_one_by_one(text in "[ -~\t\n]{0,20}[\0-\u{ff}]?[ -~]{0,20}") {
            let one_by_one = text.chars().all(|c| matches!(c, ' '..='~' | '\n' | '\t'));
            prop_assert_eq!(is_plain(text.as_bytes()), one_by_one);
        }
    }

    #[test]
    fn a_name_is_one_word_to_the_shell() {
        assert_eq!(shell_word("/w/my-app"), "/w/my-app");
        assert_eq!(shell_word("/w/my app"), "'/w/my app'");
        assert_eq!(shell_word("'; rm -rf ~; '"), r#""'; rm -rf ~; '""#);
        assert_eq!(shell_word("'; rm -rf $HOME; '"), r"''\''; rm -rf $HOME; '\'''");
        assert_eq!(shell_word(r"C:\it's (1)"), r#""C:\it's (1)""#);
        assert_eq!(shell_word(r"C:\it's\"), r"'C:\it'\''s\'");
        assert_eq!(shell_word("$(make)"), "'$(make)'");
        assert_eq!(shell_word("a\u{1b}[31m"), "'a?[31m'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn a_drives_letter_is_the_same_in_either_case() {
        let folder = |path: &str| project_folder(path.to_owned());
        assert_eq!(folder(r"c:\Users\u"), r"C:\Users\u");
        assert_eq!(folder("d:/app"), "D:/app");
        assert_eq!((folder("c:"), folder("")), ("C:".to_owned(), String::new()));
        for other in ["c:app", "/c/app", "cd:/app", r"C:\c:\x"] {
            assert_eq!(folder(other), other);
        }
    }

    #[test]
    fn an_id_with_an_escape_sequence_is_refused() {
        assert!(SessionId::new("8efa9846-317e-4207-a56e-a0276f6e897e").is_some());
        assert!(SessionId::new("").is_none());
        assert!(SessionId::new("a\u{1b}[31m").is_none());
        assert!(SessionId::new(&"x".repeat(201)).is_none());
    }

    #[test]
    fn a_variant_of_an_id_knows_the_id() {
        let id = MessageId::new("msg_1").unwrap();
        let variant = id.variant(0xab).unwrap();
        assert_eq!(variant.as_str(), "msg_1#00000000000000ab");
        assert_eq!((variant.base(), id.base()), ("msg_1", "msg_1"));
        assert_eq!(variant.variant(1).unwrap().as_str(), "msg_1#0000000000000001");
        assert!(variant.is_variant() && !id.is_variant());
        for odd in ["#00000000000000ab", "é#0000000000000é", "a#b", "msg#00000000000000ag"] {
            assert!(!MessageId::new(odd).unwrap().is_variant(), "{odd}");
        }
    }

    #[test]
    fn a_name_cannot_turn_the_line_around() {
        assert_eq!(clean_name("  a\u{202e}b\nc ", 80).as_deref(), Some("a b c"));
        assert_eq!(clean_name(&"é".repeat(100), 80).map(|name| name.chars().count()), Some(80));
        assert_eq!(clean_name("\u{1b}\n", 80), None);
    }
}
