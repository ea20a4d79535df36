//! The token counter against tiktoken-rs: the same tokens for every text, in both encodings.
//!
//! `cargo test` runs a short form. `scripts/prove-counter.sh` sets `TALLYHOOK_PROOF=long` and runs the whole: every
//! character in every position, hundreds of thousands of random strings, all sources at hand; it adds up the
//! comparisons that each test prints.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "this is a test, and its figures are its result"
)]

mod texts;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use tallyhook_counter::reference::{self, Reference};
use tallyhook_counter::{self as counter, Encoding};
use tiktoken_rs::CoreBPE;

/// The engines as tiktoken-rs itself builds them, from its own files.
static ORACLES: LazyLock<[(Encoding, CoreBPE); 2]> = LazyLock::new(|| {
    [
        (Encoding::Cl100kBase, tiktoken_rs::cl100k_base().unwrap()),
        (Encoding::O200kBase, tiktoken_rs::o200k_base().unwrap()),
    ]
});

/// Whether the long form was asked for.
static LONG: LazyLock<bool> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no command line of its own")]
    let form = std::env::var("TALLYHOOK_PROOF");
    form.is_ok_and(|form| form == "long")
});

/// What was compared, and what differed.
#[derive(Clone, Copy, Default)]
struct Tally {
    comparisons: u64,
    bytes: u64,
    refused: u64,
    differences: u64,
}

impl Tally {
    /// Compares the tokens of `text` in both encodings: one comparison each.
    fn compare(&mut self, text: &str) {
        for (encoding, engine) in &*ORACLES {
            match difference(*encoding, engine, text) {
                Ok(true) => {
                    self.comparisons += 1;
                    self.bytes += text.len() as u64;
                }
                Ok(false) => self.refused += 1,
                Err(difference) => {
                    self.comparisons += 1;
                    self.differences += 1;
                    if self.differences <= 10 {
                        println!("{difference}");
                    }
                }
            }
        }
    }

    /// Prints the line that `scripts/prove-counter.sh` adds up.
    fn finish(self, what: &str) {
        println!(
            "{what}: {} comparisons, {} bytes, {} refused by tiktoken-rs, {} differences",
            self.comparisons, self.bytes, self.refused, self.differences
        );
        assert!(self.comparisons > 0);
        assert_eq!(self.differences, 0);
    }
}

/// Compares one text. `Ok(false)` if tiktoken-rs cannot encode it.
fn difference(encoding: Encoding, engine: &CoreBPE, text: &str) -> Result<bool, String> {
    let counted = counter::count(encoding, text);
    let encoded = counter::encode(encoding, text);
    let Some(expected) = reference::encode_guarded(engine, text) else { return Ok(false) };
    if encoded != expected {
        let start: String = text.chars().take(300).collect();
        return Err(format!(
            "{encoding:?} of {start:?} ({} bytes): {encoded:?} for {expected:?}",
            text.len()
        ));
    }
    if counted.exact && counted.tokens != expected.len() as u64 {
        return Err(format!("{encoding:?}: counted {} of {} tokens", counted.tokens, expected.len()));
    }
    if !counted.exact && text.len() <= counter::MAX_EXACT_PIECE {
        return Err(format!("{encoding:?}: {} bytes were not counted exactly", text.len()));
    }
    Ok(true)
}

/// All tokens of both vocabularies that are text.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut tokens: Vec<String> = ORACLES
        .iter()
        .zip([100_256, 199_998])
        .flat_map(|((_, engine), tokens)| (0..tokens).map(|rank| engine.decode_bytes(&[rank]).unwrap()))
        .filter_map(|token| String::from_utf8(token).ok())
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
});

#[test]
fn every_token_that_is_text() {
    let mut tally = Tally::default();
    for token in TOKENS.iter().step_by(if *LONG { 1 } else { 8 }) {
        tally.compare(token);
        if *LONG {
            for text in
                [format!(" {token}"), format!("{token}s"), format!("{token}\n"), format!("x{token}{token}")]
            {
                tally.compare(&text);
            }
        }
    }
    tally.finish("tokens of the vocabularies");
}

#[test]
fn every_character_in_every_position() {
    // The short form takes few beyond the scripts and the punctuation that most texts are made of.
    let chosen = |character: char| {
        *LONG
            || character < '\u{600}'
            || ('\u{2000}'..'\u{2100}').contains(&character)
            || u32::from(character) % 311 == 0
    };
    let mut tally = Tally::default();
    for c in ('\0'..=char::MAX).filter(|&character| chosen(character)) {
        tally.compare(c.encode_utf8(&mut [0; 4]));
        for text in [
            format!("a{c}"),
            format!("{c}a"),
            format!("A{c}B"),
            format!("7{c}7"),
            format!(" {c}"),
            format!("{c} "),
            format!("  {c}  a"),
            format!("\n{c}\n"),
            format!("{c}\n{c}/"),
            format!("'{c}"),
            format!("{c}'s"),
            format!("x'{c}e'l{c}"),
            format!("!{c}"),
            format!("ロ{c}A"),
            format!("{c}{c}{c}{c}"),
        ] {
            tally.compare(&text);
        }
    }
    tally.finish("characters in 16 positions");
}

#[test]
fn random_and_adversarial_strings() {
    let mut tally = Tally::default();
    for (name, share, strategy) in texts::strategies(&TOKENS) {
        let cases = if *LONG { share * 6_000 } else { share * 80 };
        // A string that fails is shrunk and printed; it then belongs into the tests of the module that was wrong.
        // The long form finds new ones each time, the short form is the same each time.
        let rng_seed = if *LONG { RngSeed::Random } else { RngSeed::Fixed(20_261_122) };
        let config = Config {
            cases,
            rng_seed,
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..Config::default()
        };
        let so_far = Cell::new(tally);
        let result = TestRunner::new(config).run(&strategy, |text| {
            let mut tally = so_far.get();
            for (encoding, engine) in &*ORACLES {
                let compared = difference(*encoding, engine, &text).map_err(TestCaseError::fail)?;
                tally.comparisons += u64::from(compared);
                tally.refused += u64::from(!compared);
                tally.bytes += text.len() as u64;
            }
            so_far.set(tally);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{name}: {failure}");
        }
        tally = so_far.get();
    }
    tally.finish("random strings");
}

#[test]
fn long_runs_around_every_bound() {
    let mut tally = Tally::default();
    // Around the lengths, in bytes of a piece, at which the merge changes its way or a token can be no longer.
    let short = (1..20).chain(126..132).collect();
    let lengths: Vec<usize> = if *LONG { (1..700).collect() } else { short };
    for unit in texts::UNITS {
        for &length in &lengths {
            let run = unit.repeat(length);
            tally.compare(&run);
            tally.compare(&format!("a{run}b"));
            tally.compare(&format!("\n{run}1"));
        }
        let long = if *LONG { 200_000 } else { 1_000 };
        tally.compare(&format!("{}.", unit.repeat(long / unit.len())));
    }
    tally.finish("runs");
}

#[test]
fn sources_and_transcripts() {
    let mut tally = Tally::default();
    for text in texts::files(*LONG) {
        for part in texts::parts(&text, 1 << 20) {
            tally.compare(part);
        }
        for line in text.split_inclusive('\n').filter(|_| *LONG) {
            tally.compare(line);
        }
    }
    tally.finish("files and their lines");
}

#[test]
fn the_reference_is_tiktoken_rs_itself() {
    for (encoding, engine) in &*ORACLES {
        let reference = Reference::new(*encoding).unwrap();
        for text in texts::files(false).into_iter().chain(TOKENS.iter().step_by(200).cloned()) {
            assert_eq!(reference.encode(&text), reference::encode_guarded(engine, &text));
        }
    }
}

#[test]
fn what_tiktoken_rs_cannot_encode_is_refused_without_a_panic_and_still_counted() {
    let spaces = " ".repeat(300_000);
    for (encoding, engine) in &*ORACLES {
        assert_eq!(reference::encode_guarded(engine, &spaces), None);
        let count = counter::count(*encoding, &spaces);
        assert!(!count.exact);
        // The longest token of blanks is 128 of them.
        assert!((2344..2500).contains(&count.tokens), "{}", count.tokens);
    }
}

#[test]
fn no_two_tokens_have_one_rank() {
    for (encoding, engine) in &*ORACLES {
        let mut ranks = HashMap::new();
        for token in TOKENS.iter().filter(|token| token.len() > 1).step_by(7) {
            if let [rank] = counter::encode(*encoding, token)[..] {
                assert_eq!(ranks.insert(rank, token), None);
                assert_eq!(engine.decode_bytes(&[rank]).unwrap(), token.as_bytes());
            }
        }
    }
}
