//! Laws of counting on generated trees: the ledger says what was true when the transcripts were made.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tallyhook::domain::{Timestamp, Usage};
use tallyhook::pricing::{Modifiers, PriceTable};
use tallyhook_testdata::prices::{Processing, plain};
use tallyhook_testdata::{Era, FEATURES, Figures, Prices, Recipe, Truth, make};

use crate::corpus::{count_independently, sum_of};
use crate::estimates::transcript;
use crate::material::{TREE, Tree, recipe, usage, with_extension};
use crate::rollups::assert_rolled_up;
use crate::support::{Ledger, Session, With};

/// Figures by key, as [`crate::bill::Bill::by_key`] has them.
type ByKey = BTreeMap<String, (Usage, u64, i128)>;

fn by_key<'f>(figures: impl Iterator<Item = (&'f String, &'f Figures)>) -> ByKey {
    let mut rows = ByKey::new();
    for (key, figures) in figures {
        // One model may have had two names.
        let row = rows.entry(plain(key).to_owned()).or_default();
        row.0 += usage(figures.usage);
        row.1 += figures.responses;
        row.2 += i128::try_from(figures.pico_usd).unwrap();
    }
    rows.retain(|_, row| *row != (Usage::default(), 0, 0));
    rows
}

/// The rows of `cost` under names without dates.
fn rows(ledger: &Ledger, by: &str) -> ByKey {
    let mut rows = ByKey::new();
    for (key, (usage, responses, pico)) in ledger.cost_by(by).by_key() {
        let row = rows.entry(plain(&key).to_owned()).or_default();
        *row = (row.0 + usage, row.1 + responses, row.2 + pico);
    }
    rows
}

/// Fails unless the ledger says what is true.
fn assert_true(ledger: &Ledger, truth: &Truth, how: &str) {
    assert_true_by(ledger, truth, &["session", "model", "agent", "day", "project"], how);
}

fn assert_true_by(ledger: &Ledger, truth: &Truth, views: &[&str], how: &str) {
    for by in views {
        let expected = match *by {
            "session" => by_key(truth.sessions.iter().map(|(id, session)| (id, &session.all))),
            "model" => by_key(truth.models.iter()),
            "agent" => by_key(truth.agents.iter()),
            "day" => by_key(truth.days.iter()),
            "project" => by_key(truth.projects.iter()),
            other => panic!("no truth by {other}"),
        };
        assert_eq!(rows(ledger, by), expected, "by {by}, {how}");
    }
}

fn imported(tree: &Tree) -> Ledger {
    let ledger = Ledger::new();
    ledger.import_from(&tree.projects());
    ledger
}

#[test]
fn a_tree_is_counted_as_it_was_made() {
    for seed in [1, 2] {
        let tree = Tree::of(&recipe(seed));
        let ledger = Ledger::new();
        let report = ledger.import_from(&tree.projects());
        let truth = &tree.truth;
        assert_eq!((&report["files"], &report["lines"]), (&truth.files.into(), &truth.lines.into()));
        assert_true(&ledger, truth, &format!("seed {seed}"));
        assert_rolled_up(&ledger, "imported");
        let history = ledger.run(&["history", "--all", "--json"]).json();
        for row in history["rows"].as_array().unwrap() {
            let session = &truth.sessions[row["id"].as_str().unwrap()];
            let found = ["turns", "compactions"].map(|name| row[name].as_u64().unwrap());
            assert_eq!(found, [session.turns, session.compactions], "{row:#}");
        }
    }
}

#[test]
fn each_call_of_a_tree_is_its_tools() {
    let ledger = imported(&TREE);
    let tools = ledger.run(&["tools", "--json"]).json();
    let rows = tools["rows"].as_array().unwrap().iter();
    let calls = rows.map(|row| (row["tool"].as_str().unwrap().to_owned(), row["calls"].as_u64().unwrap()));
    let calls: BTreeMap<String, u64> = calls.filter(|(_, calls)| *calls > 0).collect();
    assert_eq!(calls, TREE.truth.tools);
}

#[test]
fn a_tree_in_any_order_and_pieces_is_what_was_made() {
    // The file that names a subagent's type is there before its transcript; here it comes whenever it comes.
    let views = ["session", "model", "day", "project"];
    let ledger = Ledger::new();
    ledger.import_in_pieces(&TREE.projects(), 3, 60);
    ledger.import_in_pieces(&TREE.projects(), 11, 100);
    assert_true_by(&ledger, &TREE.truth, &views, "in pieces");
    ledger.import();
    assert_true_by(&ledger, &TREE.truth, &views, "in pieces and again");
}

#[test]
fn the_ends_of_a_trees_sessions_tell_what_an_import_does() {
    let ledger = Ledger::new();
    for file in with_extension(&TREE.projects(), "jsonl") {
        let id = file.file_stem().unwrap().to_str().unwrap();
        if let Some(truth) = TREE.truth.sessions.get(id) {
            let end = Session::new(&ledger, id).in_folder(Path::new(&truth.project)).end();
            ledger.hook(end.with("transcript_path", file.to_str().unwrap()));
        }
    }
    assert_eq!(ledger.faults(), "");
    assert_true(&ledger, &TREE.truth, "by hooks");
}

#[test]
fn an_independent_reader_finds_in_a_trees_lines_what_was_made() {
    let files = with_extension(&TREE.projects(), "jsonl");
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let (responses, counts) = sum_of(count_independently(&text).values());
    let shown = TREE.truth.sessions.values().flat_map(|session| [session.main, session.subagents]);
    let (mut of_lines, mut made) = (Usage::default(), 0);
    for figures in shown {
        of_lines += usage(figures.usage);
        made += figures.responses;
    }
    assert_eq!((responses, counts), (made, crate::corpus::Counts::from(of_lines)));
}

#[test]
fn every_tool_call_of_generated_payloads_is_a_row() {
    // Clients before 2.1.30 send no ids of their calls.
    for (era, have_ids) in [(Era::Early, false), (Era::Current, true)] {
        let tree = Tree::of(&Recipe { eras: vec![era], bytes: 100_000, ..recipe(3) });
        let files = transcript::files(&tree.projects());
        let calls = files.iter().flat_map(|file| &file.gaps).flat_map(|gap| &gap.calls);
        let payloads: Vec<(&str, Value)> = calls
            .map(|call| (&*call.payload, serde_json::from_str::<Value>(&call.payload).unwrap()))
            .collect();
        assert!(payloads.len() > 10, "{era:?}: {}", payloads.len());
        assert!(
            payloads.iter().all(|(_, payload)| payload["tool_use_id"].is_string() == have_ids),
            "{era:?}"
        );
        crate::corpus::assert_each_call_is_a_row(payloads.into_iter());
    }
}

#[test]
fn a_tree_with_forks_made_in_a_terminal_is_counted_as_it_was_made() {
    for seed in [4, 6] {
        let tree = Tree::of(&Recipe { terminal_forks: true, ..recipe(seed) });
        assert_true(&imported(&tree), &tree.truth, &format!("seed {seed}"));
    }
}

#[test]
fn hidden_calls_stay_on_the_day_that_first_told_of_them() {
    for seed in [3, 4] {
        let tree = Tree::of(&Recipe { overnight: true, ..recipe(seed) });
        assert_true(&imported(&tree), &tree.truth, &format!("seed {seed}"));
    }
}

#[test]
fn hidden_calls_after_a_crash_are_counted() {
    let tree = Tree::of(&Recipe { crashes: true, ..recipe(4) });
    assert_true(&imported(&tree), &tree.truth, "seed 4");
}

// The generator itself.

#[test]
fn a_small_tree_has_every_feature() {
    for seed in 0..8 {
        let mut files = BTreeMap::new();
        let truth = make(&Recipe::small(seed), &Prices::list(), &mut files).unwrap();
        for (_, feature) in FEATURES {
            assert!(truth.made.contains_key(feature), "no {feature} in the tree of seed {seed}");
        }
        let bytes: usize = files.values().map(String::len).sum();
        assert!((200_000..2_000_000).contains(&bytes), "{bytes} bytes of seed {seed}");
    }
}

#[test]
fn a_recipe_gives_the_same_bytes_each_time() {
    let files = |seed| {
        let mut files = BTreeMap::new();
        make(&Recipe::small(seed), &Prices::list(), &mut files).unwrap();
        files
    };
    assert!(files(1) == files(1), "two trees of one seed");
    assert!(files(1) != files(2), "one tree of two seeds");
}

#[test]
fn the_parts_of_a_truth_are_its_whole() {
    let truth = &TREE.truth;
    let sum = |parts: &mut dyn Iterator<Item = Figures>| {
        parts.fold(Figures::default(), |mut sum, part| {
            sum += part;
            sum
        })
    };
    for session in truth.sessions.values() {
        let mut parts = [session.main, session.subagents, session.hidden].into_iter();
        assert_eq!(sum(&mut parts), session.all);
    }
    assert_eq!(sum(&mut truth.sessions.values().map(|session| session.all)), truth.total);
    for sums in [&truth.models, &truth.agents, &truth.days, &truth.projects] {
        assert_eq!(sum(&mut sums.values().copied()), truth.total);
    }
    assert!(truth.total.unlogged_output > 0 && truth.sessions.len() > 6);
}

#[test]
fn the_generators_prices_are_those_of_the_table() {
    let (theirs, ours) = (Prices::list(), PriceTable::builtin());
    let times =
        ["2025-06-01", "2026-03-12", "2026-03-13", "2026-07-23", "2026-07-24", "2026-10-06", "2026-10-07"];
    for model in theirs.models() {
        for at in times.map(|day| Timestamp::parse(&format!("{day}T12:00:00Z")).unwrap()) {
            for prompt in [0, 100_000, 100_001, 200_000, 200_001] {
                for (fast, us) in [(false, false), (true, false), (false, true)] {
                    let rates =
                        theirs.rates(&model.id, at.as_millis(), prompt, Processing { fast, us }).unwrap();
                    let found =
                        ours.price(&model.id, at, prompt, Modifiers { fast, us, batch: false }).unwrap();
                    assert_eq!(
                        [
                            found.input,
                            found.output,
                            found.cache_read,
                            found.cache_write_5m,
                            found.cache_write_1h
                        ],
                        [
                            rates.input,
                            rates.output,
                            rates.cache_read,
                            rates.cache_write_5m,
                            rates.cache_write_1h
                        ],
                        "{} at {at:?}, {prompt} tokens, fast {fast}, us {us}",
                        model.id
                    );
                }
            }
        }
    }
}
