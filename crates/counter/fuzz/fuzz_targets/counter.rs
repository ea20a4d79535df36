//! The token counter gives the tokens of tiktoken-rs for any text: `cargo xtask fuzz`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tallyhook_counter::reference::Reference;
use tallyhook_counter::{self as counter, Encoding};

static REFERENCES: LazyLock<[(Encoding, Reference); 2]> = LazyLock::new(|| {
    [Encoding::Cl100kBase, Encoding::O200kBase]
        .map(|encoding| (encoding, Reference::new(encoding).expect("the patterns are valid")))
});

fuzz_target!(|text: &str| {
    for (encoding, reference) in &*REFERENCES {
        let count = counter::count(*encoding, text);
        let tokens = counter::encode(*encoding, text);
        if count.exact {
            assert_eq!(count.tokens, tokens.len() as u64);
        }
        if let Some(expected) = reference.encode(text) {
            assert_eq!(tokens, expected);
        }
    }
});
