//! What a price costs: finding it under the names that logs use, and tokens times rates.
//!
//! `cargo bench --bench pricing`

use divan::{Bencher, black_box};
use tallyhook::domain::{Timestamp, Usage};
use tallyhook::pricing::{Modifiers, PriceTable};

/// As Claude Code writes it; as clouds and resellers do; a name that is nobody's.
const NAMES: [&str; 5] = [
    "claude-opus-5-5",
    "claude-sonnet-4-5-20250929",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "openrouter/anthropic/claude-opus-4.8",
    "no-such-model-2026-01-01",
];

const AT: Timestamp = Timestamp::from_millis(1_795_348_860_000);

fn main() {
    divan::main();
}

#[divan::bench(args = NAMES)]
fn class(bencher: Bencher<'_, '_>, name: &str) {
    let table = PriceTable::builtin();
    bencher.bench(|| table.class(black_box(name), AT, black_box(150_000), Modifiers::default()));
}

#[divan::bench]
fn rates_of_a_class(bencher: Bencher<'_, '_>) {
    let table = PriceTable::builtin();
    let class = table.class("claude-opus-5-5", AT, 150_000, Modifiers::default());
    bencher.bench(|| black_box(class).and_then(|class| table.rates(class)));
}

#[divan::bench]
fn cost_of_usage(bencher: Bencher<'_, '_>) {
    let rates = PriceTable::builtin().price("claude-opus-5-5", AT, 150_000, Modifiers::default());
    let usage =
        Usage { input: 3, output: 400, cache_read: 140_000, cache_write_1h: 9_000, ..Usage::default() };
    bencher.bench(|| black_box(rates).map(|rates| black_box(&usage).cost_at(&rates).total()));
}
