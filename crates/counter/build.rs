//! Writes the counter's tables, so that a program finds them ready in its own image.
//!
//! Building tiktoken-rs's encoder takes 134 to 346 ms and 53 MB in each process. Here it is built once, at compile
//! time, and asked for the bytes of every rank. `src/table.rs` describes what comes out and reads it.
//!
//! Character classes are those of regex-syntax in the version that tiktoken-rs's patterns are compiled with, which
//! the lock file holds to one: another Unicode version would split new letters differently.

#![expect(clippy::expect_used, reason = "a build script fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use regex_syntax::hir::{Class, HirKind};
use tiktoken_rs::CoreBPE;

// The counter must look tokens up with the very hash that placed them here. One file has it for both: a crate of its own for
// these few lines would be a second one to publish and to trust for everybody who uses the counter.
#[path = "src/hash.rs"]
mod hash;

/// Marks an entry that is no token. No vocabulary is as large.
const NO_RANK: u32 = 0xff_ffff;

/// Characters in a block of the class table.
const BLOCK: usize = 128;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/hash.rs");
    #[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);

    let mut code = String::new();
    for (name, tokens, engine) in [
        ("cl100k", 100_256, tiktoken_rs::cl100k_base().expect("the vocabulary is part of tiktoken-rs")),
        ("o200k", 199_998, tiktoken_rs::o200k_base().expect("the vocabulary is part of tiktoken-rs")),
    ] {
        write_vocabulary(out, name, &vocabulary(&engine, tokens), &mut code);
    }
    fs::write(out.join("vocabularies.rs"), code).expect("OUT_DIR can be written");
    write_classes(out);
}

/// The bytes of every ordinary token, by rank.
fn vocabulary(engine: &CoreBPE, tokens: u32) -> Vec<Vec<u8>> {
    // The next rank is not used, or it is the first special token: the number of tokens above is right.
    let next = engine.decode_bytes(&[tokens]).unwrap_or_default();
    assert!(next.is_empty() || next == b"<|endoftext|>", "the vocabulary goes on after {tokens} tokens");
    let tokens: Vec<_> =
        (0..tokens).map(|rank| engine.decode_bytes(&[rank]).expect("ranks have no gaps")).collect();
    let single: HashSet<_> = tokens.iter().filter(|token| token.len() == 1).collect();
    assert_eq!(single.len(), 256, "every byte is a token, so every text can be encoded");
    tokens
}

/// Tokens of one length, placed by a perfect hash: bucket → pilot → slot.
struct Shelf {
    seed: u64,
    pilots: Vec<u8>,
    slots: Vec<Option<u32>>,
}

fn write_vocabulary(out: &Path, name: &str, tokens: &[Vec<u8>], code: &mut String) {
    let mut by_length: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let mut pairs = BTreeMap::new();
    for (rank, token) in (0..).zip(tokens) {
        match token[..] {
            [_] => {}
            [first, second] => {
                pairs.insert(usize::from(u16::from_be_bytes([first, second])), rank);
            }
            _ => by_length.entry(token.len()).or_default().push(rank),
        }
    }

    let singles: Vec<u32> = (0..=u8::MAX)
        .map(|byte| (0..).zip(tokens).find(|(_, token)| token[..] == [byte]).expect("checked above").0)
        .collect();
    let (mut pilots, mut entries, mut shelves) = (Vec::new(), Vec::new(), String::new());
    let longest = by_length.keys().last().copied().expect("there are tokens of 3 bytes");
    for length in 0..=longest {
        let ranks = by_length.get(&length).map_or(&[][..], Vec::as_slice);
        let shelf = place(tokens, ranks);
        writeln!(
            shelves,
            "    Shelf {{ seed: {:#x}, pilots_at: {}, buckets: {}, entries_at: {}, slots: {} }},",
            shelf.seed,
            pilots.len(),
            shelf.pilots.len(),
            entries.len(),
            shelf.slots.len(),
        )
        .expect("a string takes all");
        pilots.extend(shelf.pilots);
        for slot in shelf.slots {
            match slot {
                Some(rank) => entries.extend_from_slice(&tokens[rank as usize]),
                None => entries.resize(entries.len() + length, 0),
            }
            entries.extend_from_slice(&slot.unwrap_or(NO_RANK).to_le_bytes()[..3]);
        }
    }

    let (mut present, mut before) = (vec![0; (1 << 16) / 8], Vec::new());
    for word in 0..(1 << 16) / 64 {
        let count =
            u16::try_from(pairs.range(..word * 64).count()).expect("fewer pairs than 65,536 are tokens");
        before.extend(count.to_le_bytes());
    }
    for pair in pairs.keys() {
        present[pair / 8] |= 1 << (pair % 8);
    }
    let ranks: Vec<u32> = pairs.into_values().collect();
    for (kind, bytes) in [
        ("singles", three_bytes_each(&singles)),
        ("pairs.present", present),
        ("pairs.before", before),
        ("pairs.ranks", three_bytes_each(&ranks)),
        ("pilots", pilots),
        ("entries", entries),
    ] {
        fs::write(out.join(format!("{name}.{kind}")), bytes).expect("OUT_DIR can be written");
    }
    let constant = name.to_uppercase();
    write!(
        code,
        "pub(super) static {constant}: Table = Table {{
    singles: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.singles\")),
    pairs: Pairs {{
        present: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.pairs.present\")),
        before: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.pairs.before\")),
        ranks: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.pairs.ranks\")),
    }},
    pilots: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.pilots\")),
    entries: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.entries\")),
    shelves: &{constant}_SHELVES,
}};
static {constant}_SHELVES: [Shelf; {}] = [
{shelves}];
",
        longest + 1,
    )
    .expect("a string takes all");
}

fn three_bytes_each(ranks: &[u32]) -> Vec<u8> {
    ranks.iter().flat_map(|rank| rank.to_le_bytes().into_iter().take(3)).collect()
}

/// Finds a seed and pilots under which no two tokens of one length share a slot.
fn place(tokens: &[Vec<u8>], ranks: &[u32]) -> Shelf {
    if ranks.is_empty() {
        return Shelf { seed: 0, pilots: Vec::new(), slots: Vec::new() };
    }
    (1..1000).find_map(|seed| try_place(tokens, ranks, seed)).expect("a seed without collisions")
}

fn try_place(tokens: &[Vec<u8>], ranks: &[u32], seed: u64) -> Option<Shelf> {
    // Two tokens to a pilot and one free slot in twenty: then the last buckets still find a place in 256 trials.
    let bucket_count = ranks.len() as u32 / 2 + 1;
    let slot_count = ranks.len() as u32 + ranks.len() as u32 / 20 + 1;

    let mut buckets = vec![Vec::new(); bucket_count as usize];
    for &rank in ranks {
        let token = &tokens[rank as usize];
        let hash = if token.len() <= hash::MAX_IN_WORDS {
            hash::of_words(hash::words(token), seed)
        } else {
            hash::of_long(token, seed)
        };
        buckets[hash::bucket(hash, bucket_count)].push((rank, hash));
    }
    let mut order: Vec<usize> = (0..buckets.len()).collect();
    order.sort_by_key(|&bucket| std::cmp::Reverse(buckets[bucket].len()));

    let mut shelf = Shelf { seed, pilots: vec![0; buckets.len()], slots: vec![None; slot_count as usize] };
    for bucket in order {
        let members = &buckets[bucket];
        let (pilot, places) = (0..=u8::MAX).find_map(|pilot| {
            let places: Vec<_> =
                members.iter().map(|&(_, hash)| hash::slot(hash, pilot, slot_count)).collect();
            let distinct = (1..places.len()).all(|i| !places[..i].contains(&places[i]));
            (distinct && places.iter().all(|&slot| shelf.slots[slot].is_none())).then_some((pilot, places))
        })?;
        shelf.pilots[bucket] = pilot;
        for (&(rank, _), slot) in members.iter().zip(places) {
            shelf.slots[slot] = Some(rank);
        }
    }
    Some(shelf)
}

/// Writes, for every character, which of the patterns' character classes it is in; equal blocks once.
fn write_classes(out: &Path) {
    // In the order of the flags in `split.rs`, which tests check against the regex engine.
    const LETTER: u8 = 1;
    const NUMBER: u8 = 1 << 1;
    const SPACE: u8 = 1 << 2;
    const NEWLINE: u8 = 1 << 3;
    const SYMBOL: u8 = 1 << 4;
    const UPPER: u8 = 1 << 5;
    const LOWER: u8 = 1 << 6;
    let mut flags = vec![0_u8; 0x11_0000];
    for (pattern, flag) in [
        (r"\p{L}", LETTER),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", NEWLINE),
        (r"[^\s\p{L}\p{N}]", SYMBOL),
        (r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", UPPER),
        (r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", LOWER),
    ] {
        let parsed = regex_syntax::parse(pattern).expect("the pattern is valid");
        let HirKind::Class(Class::Unicode(class)) = parsed.into_kind() else {
            panic!("{pattern} is not a class of characters");
        };
        for range in class.ranges() {
            for character in range.start()..=range.end() {
                flags[character as usize] |= flag;
            }
        }
    }

    let mut blocks: Vec<&[u8]> = Vec::new();
    let index: Vec<u8> = flags
        .chunks(BLOCK)
        .map(|block| {
            let known = blocks.iter().position(|known| *known == block).unwrap_or_else(|| {
                blocks.push(block);
                blocks.len() - 1
            });
            u8::try_from(known).expect("there are at most 256 different blocks")
        })
        .collect();
    fs::write(out.join("classes.index"), index).expect("OUT_DIR can be written");
    fs::write(out.join("classes.blocks"), blocks.concat()).expect("OUT_DIR can be written");
}
