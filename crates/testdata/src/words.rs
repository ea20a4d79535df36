//! Text of the kinds that a session is made of, in lines whose length in tokens is known.
//!
//! The tokens are those of a made-up tokenizer of this crate's own, which comes near to tiktoken's `cl100k_base`. How many
//! a model makes of them is the business of [`crate::models`].

use crate::chance::Chance;

/// Words that `cl100k_base` has as one token each, also after a space.
const WORDS: [&str; 64] = [
    "parser", "token", "session", "budget", "ledger", "widget", "cursor", "socket", "buffer", "vector",
    "matrix", "shader", "kernel", "router", "schema", "cache", "index", "query", "batch", "record", "value",
    "state", "error", "result", "input", "output", "header", "string", "number", "table", "column", "field",
    "method", "module", "library", "function", "request", "response", "message", "context", "event",
    "handler", "service", "client", "server", "thread", "process", "memory", "file", "folder", "commit",
    "branch", "version", "release", "test", "build", "target", "source", "option", "config", "filter",
    "window", "screen", "image",
];
const VERBS: [&str; 24] = [
    "load", "store", "merge", "split", "parse", "render", "emit", "trace", "commit", "flush", "apply",
    "resolve", "encode", "decode", "read", "write", "open", "close", "send", "find", "check", "update",
    "remove", "create",
];
/// Small words of prose.
const PARTICLES: [&str; 16] = [
    "the", "a", "of", "to", "in", "and", "is", "that", "for", "with", "as", "not", "by", "from", "which",
    "before",
];

/// What a text is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A source file.
    Code,
    /// Output of a command.
    Log,
    /// Places in files, as a search finds them.
    Places,
    /// Sentences.
    Prose,
    /// Records of a service.
    Records,
}

const KINDS: [Kind; 5] = [Kind::Code, Kind::Log, Kind::Places, Kind::Prose, Kind::Records];

/// A line of text without its newline.
#[derive(Debug)]
pub(crate) struct Line {
    /// As it stands between the quotes of a JSON string.
    pub(crate) escaped: String,
    /// A thousandth of a token each; the newline is one of its tokens.
    pub(crate) millitokens: u64,
}

/// Lines to take texts from.
#[derive(Debug)]
pub(crate) struct Words {
    pools: [Vec<Line>; KINDS.len()],
}

/// Lines of each kind.
const LINES: usize = 3_000;

impl Words {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        Self { pools: KINDS.map(|kind| (0..LINES).map(|_| line(kind, chance)).collect()) }
    }

    /// A passage of at least so many bytes, or of all lines there are.
    pub(crate) fn passage(&self, kind: Kind, bytes: u64, chance: &mut Chance) -> &[Line] {
        let pool = &self.pools[kind as usize];
        let start = chance.below(pool.len() as u64) as usize;
        // A line of most kinds has about 45 bytes.
        let start = start.min(pool.len().saturating_sub(bytes as usize / 24));
        let mut left = bytes as usize;
        let rest = &pool[start..];
        let end = rest.iter().position(|line| {
            let is_end = left <= line.escaped.len() + 2;
            left = left.saturating_sub(line.escaped.len() + 2);
            is_end
        });
        &rest[..end.map_or(rest.len(), |end| end + 1)]
    }

    /// One line of prose.
    pub(crate) fn sentence(&self, chance: &mut Chance) -> &Line {
        let pool = &self.pools[Kind::Prose as usize];
        &pool[chance.below(pool.len() as u64) as usize]
    }
}

/// A name for a file, a branch or a search.
pub(crate) fn name(chance: &mut Chance) -> String {
    format!("{}_{}", chance.pick(&VERBS), chance.pick(&WORDS))
}

/// One word.
pub(crate) fn word(chance: &mut Chance) -> &'static str {
    chance.pick(&WORDS)
}

/// Appends lines to a JSON string, with newlines between them.
pub(crate) fn push_lines(text: &mut String, lines: &[Line]) {
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            text.push_str("\\n");
        }
        text.push_str(&line.escaped);
    }
}

/// The tokens of lines, in thousandths.
pub(crate) fn millitokens(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.millitokens).sum()
}

fn line(kind: Kind, chance: &mut Chance) -> Line {
    let (a, b, v) = (chance.pick(&WORDS), chance.pick(&WORDS), chance.pick(&VERBS));
    let number = chance.below(9_999);
    let text = match (kind, chance.below(3)) {
        (Kind::Code, 0) => format!("        let {a}_{b} = self.{v}_{a}(&mut {b}, {number})?;"),
        (Kind::Code, 1) => format!("        if {a}.{v}() && !{b}.is_empty() {{ return Err(\"{a}: {b}\"); }}"),
        (Kind::Code, _) => format!("    // {}", prose(chance)),
        (Kind::Log, 0) => format!("   Compiling {a}-{b} v0.{}.{}", number % 40, number % 7),
        (Kind::Log, 1) => format!("test {a}::{v}_{b}_{} ... ok", number % 90),
        (Kind::Log, _) => format!("warning: unused {a}: `{v}_{b}` in src/{b}/{a}.rs"),
        (Kind::Places, _) => format!("src/{a}/{b}.rs:{}:    {v}_{a}({b})", number % 900),
        (Kind::Prose, _) => format!("{}.", prose(chance)),
        (Kind::Records, _) => {
            format!("{{\"{a}\": {number}, \"{b}\": \"{v} {a}\", \"path\": \"src/{b}.rs\"}}")
        }
    };
    let escaped = serde_json::Value::from(text.as_str()).to_string();
    let escaped = escaped[1..escaped.len() - 1].to_owned();
    Line { escaped, millitokens: approximate_millitokens(&text) + 1_000 }
}

fn prose(chance: &mut Chance) -> String {
    let words = chance.between(7, 15);
    let mut text = String::from("the ");
    text.push_str(chance.pick(&WORDS));
    for at in 0..words {
        text.push(' ');
        text.push_str(match at % 3 {
            0 => chance.pick(&PARTICLES),
            1 => chance.pick(&VERBS),
            _ => chance.pick(&WORDS),
        });
    }
    text
}

/// About what `cl100k_base` makes of a text, in thousandths: a token a word, one for three digits, and most of one for
/// other characters, of which some go together.
pub(crate) fn approximate_millitokens(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut sum, mut at) = (0, 0);
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    while let Some(byte) = bytes.get(at) {
        let (length, tokens) = if byte.is_ascii_alphabetic() {
            (run(at, u8::is_ascii_alphabetic), 1_000)
        } else if byte.is_ascii_digit() {
            let length = run(at, u8::is_ascii_digit);
            (length, 1_000 * length.div_ceil(3) as u64)
        } else if *byte == b' ' {
            // One blank belongs to the word behind it, more of them are a token.
            let length = run(at, |byte| *byte == b' ');
            (length, if length > 1 { 1_000 } else { 0 })
        } else {
            (1, 550)
        };
        sum += tokens;
        at += length;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_as_long_as_it_is_asked_for() {
        let mut chance = Chance::new(3);
        let words = Words::new(&mut chance);
        for kind in KINDS {
            for bytes in [1, 100, 5_000, 60_000] {
                let mut text = String::new();
                push_lines(&mut text, words.passage(kind, bytes, &mut chance));
                assert!(
                    text.len() as u64 + 2 >= bytes && text.len() as u64 <= bytes + 200,
                    "{kind:?}: {bytes}"
                );
                let json = format!("\"{text}\"");
                assert!(serde_json::from_str::<String>(&json).is_ok(), "{json}");
            }
        }
    }
}
