//! Does the counter count what tiktoken-rs counts? Asked for with `--verify`, for building its engines takes a second.

use tallyhook_counter::{Encoding, count};

use super::{Check, Subject};
use crate::present::diagnosis::Diagnosis;
use tallyhook_counter::reference::Reference;

/// Texts of several kinds: what people read, code, and what the patterns treat in ways of their own.
const SAMPLES: &[&str] = &[
    include_str!("../../README.md"),
    include_str!("../json/scan.rs"),
    include_str!("../store/migrations/0001_initial.sql"),
    "I'LL say it's 12345678 o'clock; don\u{2019}t you'Ve it?  \r\n\r\n   \t end   ",
    "日本語のテキストと中文文本, 한국어 문장. ロA ﬁ ſ'ſ",
    "🧑\u{200d}🚀 e\u{301}\u{323} नमस्ते สวัสดี \u{1f1e9}\u{1f1ea}",
    "<|endoftext|><|fim_prefix|> =================------------........",
    "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ/aGVsbG8+d29ybGQ=",
];

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    if !subject.verify {
        return Vec::new();
    }
    Encoding::ALL
        .into_iter()
        .map(|encoding| {
            let reference = match Reference::new(encoding) {
                Ok(reference) => reference,
                Err(error) => return Check::failed(Diagnosis::CounterUnverified(error.to_string())),
            };
            let mut tokens = 0;
            let mut different = 0;
            for sample in SAMPLES.iter().flat_map(|sample| sample.lines().chain([*sample])) {
                let ours = count(encoding, sample).tokens;
                let theirs = reference.encode(sample).map(|ranks| ranks.len() as u64);
                tokens += ours;
                different += usize::from(theirs != Some(ours));
            }
            let found = Diagnosis::Counter { encoding: encoding.name(), different, tokens };
            if different == 0 { Check::ok(found) } else { Check::failed(found) }
        })
        .collect()
}
