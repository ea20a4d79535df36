//! What is compared: strings that the patterns and the merge could stumble over, and files.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What runs are made of. Between them they reach every alternative of both patterns.
#[rustfmt::skip]
pub(crate) const UNITS: [&str; 36] = [
    "a", "A", "ab", "aB", "qz", "é", "ß", "я", "日", "ロ", "ロA", "한", "ا", "ǅ", "ʰ", "\u{301}", "a\u{301}",
    "A\u{903}", "1", "٣", "Ⅷ", " ", "\t", "\n", "\r\n", " \n", "\u{a0}", "\u{3000}", "\u{2028}", "=", "/",
    "-=", "'s", "'ſ", "😀", "👩\u{200d}👧",
];

/// Characters at which the patterns decide, and some of each class: contractions, letters of either case and of none,
/// marks, numbers, white space, newlines, symbols, and what is unassigned or private.
const DECIDING: &str = concat!(
    "''sSſtTrReEvVmMlLdDK\u{212a}axBZéÉßǅǈʰªロ日אا\u{301}\u{903}\u{20dd}\u{fe0f}09٣½Ⅷ①〇",
    "   \t\u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{3000}\u{180e}\u{200b}\r\n\n//!.-_=€😀\u{200d}🇩",
    "\0\u{7f}\u{ad}\u{378}\u{e000}\u{fffd}\u{ffff}\u{1d400}\u{1d41a}\u{10ffff}",
);

/// Strings of fewer than `most` characters of `alphabet`.
fn of(alphabet: &str, most: usize) -> BoxedStrategy<String> {
    vec(select(alphabet.chars().collect::<Vec<_>>()), 0..most).prop_map(String::from_iter).boxed()
}

/// Strings of fewer than `most` parts.
fn row(part: impl Strategy<Value = String> + 'static, most: usize) -> BoxedStrategy<String> {
    vec(part, 0..most).prop_map(|parts| parts.concat()).boxed()
}

/// Named strategies, each with its share of the strings.
pub(crate) fn strategies(tokens: &'static [String]) -> Vec<(&'static str, u32, BoxedStrategy<String>)> {
    let token = any::<Index>().prop_map(|index| index.get(tokens).clone());
    let part = (token.clone(), any::<Index>(), any::<Index>())
        .prop_map(|(token, from, to)| slice(&token, &from, &to));
    let run = (select(&UNITS[..]), 1_usize..40).prop_map(|(unit, times)| unit.repeat(times));
    let bytes = vec(any::<u8>(), 0..80).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    vec![
        ("deciding characters", 20, of(DECIDING, 24)),
        ("long strings of deciding characters", 3, of(DECIDING, 400)),
        ("any characters", 5, vec(any::<char>(), 0..60).prop_map(String::from_iter).boxed()),
        ("tokens in a row", 6, row(token.clone(), 12)),
        ("parts of tokens", 5, row(part, 8)),
        ("tokens and deciding characters", 5, row(prop_oneof![token, of(DECIDING, 3)], 20)),
        ("one word of few letters", 3, of("abAthe", 300)),
        ("one word of many letters", 3, "[a-zA-Z]{0,300}".boxed()),
        ("long words", 1, "[a-z]{300,1500}".boxed()),
        ("symbols", 3, of("=-*/# \n({\";", 300)),
        ("white space", 3, of("  \t\n\r\u{a0}\u{3000}a1!", 60)),
        ("scripts in turn", 3, of("日本语のンяжa한عหि", 120)),
        ("emoji", 2, of("😀👍\u{1f3fd}\u{200d}👩\u{fe0f}🇩🇪a ", 120)),
        ("runs", 3, row(run, 6)),
        ("bytes", 3, bytes.boxed()),
        ("base64 and JSON", 2, "[a-zA-Z0-9+/=\"{}:,\\\\ \n]{0,200}".boxed()),
    ]
}

/// A part of a token, cut between characters.
fn slice(token: &str, from: &Index, to: &Index) -> String {
    let length = token.chars().count() + 1;
    let (from, to) = (from.index(length), to.index(length));
    token.chars().skip(from.min(to)).take(from.abs_diff(to)).collect()
}

/// Texts of this repository; in the long form all of them, those of cargo's registry, and those of the folders in
/// `TALLYHOOK_PROOF_TEXTS`.
pub(crate) fn files(all: bool) -> Vec<String> {
    let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let transcripts = "tests/fixtures/claude-code/2.1.330/transcripts/resume";
    let short = ["src", "crates/counter", "tests/it", transcripts, "README.md", "Cargo.lock"];
    let mut roots: Vec<PathBuf> = short.iter().map(|path| here.join(path)).collect();
    if all {
        #[expect(
            clippy::disallowed_methods,
            reason = "where cargo keeps sources is told by the environment only"
        )]
        let variable = |name| std::env::var_os(name);
        let cargo = variable("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        roots.extend(cargo.map(|cargo| cargo.join("registry/src")));
        roots.push(here.join("tests/fixtures"));
        roots.extend(variable("TALLYHOOK_PROOF_TEXTS").iter().flat_map(std::env::split_paths));
    }
    let mut texts = Vec::new();
    while let Some(path) = roots.pop() {
        if let Ok(folder) = fs::read_dir(&path) {
            // What a fuzzer builds and finds comes and goes.
            let is_kept = |path: &PathBuf| !path.ends_with("crates/counter/fuzz");
            roots.extend(folder.flatten().map(|entry| entry.path()).filter(is_kept));
        } else if let Ok(bytes) = fs::read(&path) {
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    texts
}

/// `text` in parts of at most about `size` bytes.
pub(crate) fn parts(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = (size.min(rest.len())..).find(|&end| rest.is_char_boundary(end))?;
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}
