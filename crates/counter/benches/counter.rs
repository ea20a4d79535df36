//! How fast the token counter is, beside tiktoken-rs.
//!
//! - `cargo bench -p tallyhook-counter --bench counter` measures each kind of text with divan.
//! - `cargo bench -p tallyhook-counter --bench counter -- --ratios` runs both in turn and prints how much faster ours is, then the
//!   adversarial set. Goals: 3 times on prose, code and JSON; 1 MB/s on everything.
//! - `cargo bench -p tallyhook-counter --bench counter -- --cold` starts a process for each count of 9 KB, and so includes reading the
//!   tables' pages for the first time.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to a terminal")]

use std::fmt;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use divan::Bencher;
use divan::counter::BytesCount;
use tallyhook_counter::reference::Reference;
use tallyhook_counter::{self as counter, Encoding};

const ENCODINGS: [Encoding; 2] = [Encoding::Cl100kBase, Encoding::O200kBase];

/// Bytes of each adversarial text.
const MEGABYTE: usize = 1 << 20;

static REFERENCES: LazyLock<[Reference; 2]> =
    LazyLock::new(|| ENCODINGS.map(|encoding| Reference::new(encoding).unwrap()));

/// A text and the name of its kind.
struct Text {
    kind: &'static str,
    text: String,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    /// At least `bytes` of text made of `parts`.
    fn text(&mut self, parts: &[impl AsRef<str>], bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 32);
        while text.len() < bytes {
            text.push_str(parts[self.below(parts.len())].as_ref());
        }
        text
    }
}

/// The words of a text, or its characters.
fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn characters(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

/// The texts of all files below `path` that end in `ending`.
fn files(path: &Path, ending: &str) -> String {
    let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
        .iter()
        .map(|path| match path.is_dir() {
            true => files(path, ending),
            false if path.to_string_lossy().ends_with(ending) => fs::read_to_string(path).unwrap(),
            false => String::new(),
        })
        .collect()
}

/// Texts as tools return them. Prose, code and JSON are this repository's own.
fn usual() -> Vec<Text> {
    let here = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let code = files(&here.join("src"), ".rs");
    // Its comments, as there is more English in them than on its pages.
    let comments = code.lines().filter_map(|line| line.trim_start().strip_prefix("//")?.get(1..));
    let comments: String = comments.map(|line| format!("{}\n", line.trim_start())).collect();
    let prose = fs::read_to_string(here.join("ARCHITECTURE.md")).unwrap() + &comments;
    let mut numbers = Numbers(7);
    let cjk = words("这个函数返回 令牌的数量 今日はとても よい天気です 안녕하세요 그리고 ， 。 文件 を読む");
    let emoji = words("😀 🎉 🚀 ❤\u{fe0f} 👍🏽 👩\u{200d}💻 🇩🇪 ✅ ⚠\u{fe0f} done\n \tok");
    vec![
        Text { kind: "prose", text: prose },
        Text { kind: "code", text: code },
        Text {
            kind: "json",
            text: files(&here.join("examples"), ".jsonl") + &files(&here.join("examples"), ".json"),
        },
        Text { kind: "cjk", text: numbers.text(&cjk, 200_000) },
        Text { kind: "emoji", text: numbers.text(&emoji, 200_000) },
    ]
}

/// What a counter could be slow on: a megabyte each, in one piece and in pieces that are just not too long to be
/// merged whole.
fn adversarial() -> Vec<Text> {
    const PIECE: usize = counter::MAX_EXACT_PIECE - 64;
    let mut numbers = Numbers(11);
    let letters = String::from_iter('a'..='z');
    let base64 = characters(&format!("{letters}{}0123456789+/", letters.to_uppercase()));
    let minified =
        words("function ( ){ return } var = ; , !0 && || a b e t n r .call( this. === ? : [0] => exports");
    let letters = characters(&letters);
    let one = |character: &str| vec![character.to_owned()];
    let (emoji, marks) =
        (characters("😀😁🚀🎉🔥🧪🪝🧮"), characters("\u{300}\u{301}\u{308}\u{323}\u{903}\u{fe0f}"));
    let mut texts: Vec<Text> = [
        ("a", one("a")),
        ("spaces", one(" ")),
        ("=", one("=")),
        ("newlines", one("\n")),
        ("digits", characters("0123456789")),
        ("random letters", letters.clone()),
        ("emoji", emoji.clone()),
        ("combining marks", marks.clone()),
        ("base64", base64),
        ("minified js", minified.into_iter().map(str::to_owned).collect()),
        ("alternating scripts", characters("aя日ロA한عé1ि")),
    ]
    .into_iter()
    .map(|(kind, parts)| Text { kind, text: numbers.text(&parts, MEGABYTE) })
    .collect();
    for (kind, parts, end) in [
        ("a, 256 KB pieces", one("a"), " "),
        ("spaces, 256 KB pieces", one(" "), "a"),
        ("=, 256 KB pieces", one("="), "a"),
        ("newlines, 256 KB pieces", one("\n"), "a"),
        ("letters, 256 KB pieces", letters, " "),
        ("emoji, 256 KB pieces", emoji, "a1"),
        ("marks, 256 KB pieces", marks, "a1"),
    ] {
        let piece = numbers.text(&parts, PIECE) + end;
        texts.push(Text { kind, text: piece.repeat(MEGABYTE / PIECE) });
    }
    texts
}

fn ours(bencher: Bencher<'_, '_>, encoding: Encoding, text: &Text) {
    bencher.counter(BytesCount::of_str(&text.text)).bench(|| counter::count(encoding, black_box(&text.text)));
}

fn theirs(bencher: Bencher<'_, '_>, reference: usize, text: &Text) {
    let engine = &REFERENCES[reference];
    bencher.counter(BytesCount::of_str(&text.text)).bench(|| engine.encode(black_box(&text.text)));
}

#[divan::bench(args = usual(), sample_count = 20, sample_size = 1)]
fn cl100k_base(bencher: Bencher<'_, '_>, text: &Text) {
    ours(bencher, Encoding::Cl100kBase, text);
}

#[divan::bench(args = usual(), sample_count = 20, sample_size = 1)]
fn cl100k_base_tiktoken_rs(bencher: Bencher<'_, '_>, text: &Text) {
    theirs(bencher, 0, text);
}

#[divan::bench(args = usual(), sample_count = 20, sample_size = 1)]
fn o200k_base(bencher: Bencher<'_, '_>, text: &Text) {
    ours(bencher, Encoding::O200kBase, text);
}

#[divan::bench(args = usual(), sample_count = 20, sample_size = 1)]
fn o200k_base_tiktoken_rs(bencher: Bencher<'_, '_>, text: &Text) {
    theirs(bencher, 1, text);
}

#[divan::bench(args = adversarial(), sample_count = 5, sample_size = 1)]
fn cl100k_base_adversarial(bencher: Bencher<'_, '_>, text: &Text) {
    ours(bencher, Encoding::Cl100kBase, text);
}

#[divan::bench(args = adversarial(), sample_count = 5, sample_size = 1)]
fn o200k_base_adversarial(bencher: Bencher<'_, '_>, text: &Text) {
    ours(bencher, Encoding::O200kBase, text);
}

/// Megabytes a second, from the shortest of some runs: other processes only ever add time.
fn speed(bytes: usize, shortest: Duration) -> f64 {
    bytes as f64 / 1e6 / shortest.as_secs_f64()
}

fn time<T>(shortest: &mut Duration, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = black_box(run());
    *shortest = (*shortest).min(start.elapsed());
    result
}

fn print_ratios() {
    println!("{:<14}{:<26}{:>12}{:>14}{:>8}", "encoding", "text", "MB/s", "tiktoken-rs", "ratio");
    for (encoding, reference) in ENCODINGS.into_iter().zip(&*REFERENCES) {
        for (texts, runs) in [(usual(), 15), (adversarial(), 3)] {
            for Text { kind, text } in texts {
                let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
                let mut encoded = None;
                for _ in 0..runs {
                    let count = time(&mut ours, || counter::count(encoding, &text));
                    encoded = time(&mut theirs, || reference.encode(&text));
                    if let Some(encoded) = encoded.as_ref().filter(|_| count.exact) {
                        assert_eq!(count.tokens, encoded.len() as u64);
                    }
                }
                let (ours, theirs) = (speed(text.len(), ours), speed(text.len(), theirs));
                let (theirs, ratio) = match encoded {
                    Some(_) => (format!("{theirs:.1}"), format!("{:.1}", ours / theirs)),
                    None => ("panics".to_owned(), String::new()),
                };
                println!("{:<14}{kind:<26}{ours:>12.1}{theirs:>14}{ratio:>8}", format!("{encoding:?}"));
            }
        }
    }
}

/// The first 9 KB of a kind of text, as the child process of [`print_cold`] gets it.
fn nine_kilobytes(kind: &str) -> String {
    let text = usual().into_iter().find(|text| text.kind == kind).unwrap().text;
    let middle = text.len() / 2;
    text[middle..].chars().take(9 << 10).collect()
}

fn print_cold() {
    println!("{:<14}{:<8}{:>10}{:>10}{:>18}", "encoding", "text", "p50 µs", "p95 µs", "p50 again, µs");
    for encoding in ["cl100k_base", "o200k_base"] {
        for kind in ["prose", "code", "json"] {
            let mut runs: Vec<(u128, u128)> = (0..200)
                .map(|_| {
                    let child = Command::new(std::env::current_exe().unwrap())
                        .args(["--cold-child", encoding, kind])
                        .output()
                        .unwrap();
                    let printed = String::from_utf8(child.stdout).unwrap();
                    let (first, second) = printed.trim().split_once(' ').unwrap();
                    (first.parse().unwrap(), second.parse().unwrap())
                })
                .collect();
            runs.sort_unstable();
            let mut again: Vec<_> = runs.iter().map(|run| run.1).collect();
            again.sort_unstable();
            println!("{encoding:<14}{kind:<8}{:>10}{:>10}{:>18}", runs[100].0, runs[190].0, again[100]);
        }
    }
}

fn count_cold(encoding: &str, kind: &str) {
    let encoding = if encoding == "o200k_base" { Encoding::O200kBase } else { Encoding::Cl100kBase };
    let text = nine_kilobytes(kind);
    let (mut first, mut second) = (Duration::MAX, Duration::MAX);
    time(&mut first, || counter::count(encoding, &text));
    time(&mut second, || counter::count(encoding, &text));
    println!("{} {}", first.as_micros(), second.as_micros());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--ratios", ..] => print_ratios(),
        ["--cold", ..] => print_cold(),
        ["--cold-child", encoding, kind] => count_cold(encoding, kind),
        _ => divan::main(),
    }
}
