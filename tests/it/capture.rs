//! `capture-cost`: what is read of a paste, what is kept, how it compares with the ledger.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tallyhook::clients::claude_code::cost_screen::parse;
use tallyhook::report::capture::CapturedFigures;
use unicode_width::UnicodeWidthStr as _;

use crate::material::{collected, with_extension};
use crate::support::{Example, Ledger, Ran, Session, With, repository};

fn reading(paste: &str) -> Value {
    let text = serde_json::to_string(&CapturedFigures::from(&parse(paste))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Whole numbers of dollars and seconds are equal however they are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fn fixture(name: &str) -> BTreeMap<String, Value> {
    let path = repository().join("tests/fixtures/cost-screen").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn assert_reads(name: &str, paste: &str, expected: &Value) {
    let found = reading(paste);
    assert!(same(&found, expected), "{name}: {found:#}\nexpected {expected:#}");
}

#[test]
#[ignore = "needs collected pastes: set TALLYHOOK_CORPUS to their folder"]
fn every_collected_paste_is_read_as_a_person_reads_it() {
    let expected = fixture("corpus.json");
    let files = with_extension(&collected("corpus/cost-output"), "txt");
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let expected = expected.get(name).unwrap_or_else(|| panic!("nothing is expected of {name}"));
        assert_reads(name, &std::fs::read_to_string(path).unwrap(), expected);
    }
    assert_eq!(files.len(), expected.len());
}

#[test]
fn pastes_of_all_shapes_are_read() {
    for (name, case) in fixture("own.json") {
        assert_reads(&name, case["paste"].as_str().unwrap(), &case["expected"]);
        let windows = case["paste"].as_str().unwrap().replace('\n', "\r\n");
        assert_reads(&name, &windows, &case["expected"]);
    }
}

fn capture(ledger: &Ledger, args: &[&str], paste: &str) -> Ran {
    ledger.run_with_input(&ledger.project(), &[&["capture-cost"], args].concat(), paste.as_bytes())
}

/// The session of two answers: 6 input, 50 output, 200 read, 20 written.
fn session() -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "8efa9846-317e-4207-a56e-a0276f6e897e");
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 40),
        session.answer("msg_2", 3, 10),
    ]);
    ledger.hook(session.start()).hook(session.prompt("prompt-1")).hook(session.stop());
    ledger
}

fn cost_of(ledger: &Ledger) -> f64 {
    ledger.run(&["cost", "--json"]).json()["total"]["cost_usd"].as_f64().unwrap()
}

#[test]
fn a_paste_that_is_right_agrees_and_is_kept_once() {
    let ledger = session();
    let cost = cost_of(&ledger);
    let paste = format!(
        "Total cost: ${cost:.4}\nUsage by model:\n claude-opus-5-5:  6 input, 50 output, 200 cache read, 20 cache write \
         (${cost:.4})\n"
    );
    let report = capture(&ledger, &["--json"], &paste).json();
    assert_eq!(
        (&report["kept"], &report["difference"]["agrees"]),
        (&json!(true), &json!(true)),
        "{report:#}"
    );
    assert_eq!(report["difference"]["by_model"][0]["ledger_models"], json!(["claude-opus-5-5"]));
    assert_eq!(report["difference"]["total_tokens"], 0);
    assert_eq!(report["estimate"], Value::Null);
    let again = capture(&ledger, &["--json"], &paste).json();
    assert_eq!(again["kept"], false);
    let kept: (i64, i64) = ledger
        .sqlite()
        .query_row(
            "SELECT count(*), sum(figures ->> '$.models[0].usage[0][0]') FROM captured_costs",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(kept, (1, 6));
}

#[test]
fn differences_are_told_by_model_and_in_all() {
    let ledger = session();
    let paste = "Total cost: $5.00\nUsage by model:\n claude-opus-5-5:  1.5k input, 50 output, 200 cache read, 20 cache write \
                 ($4.00)\n claude-haiku: 7 input, 0 output, 0 cache read, 0 cache write ($1.00)\n";
    let report = capture(&ledger, &["--json"], paste).json();
    let difference = &report["difference"];
    assert_eq!(difference["agrees"], false);
    assert_eq!(difference["total_tokens"], 1_501);
    assert_eq!(difference["by_model"][0]["total_tokens"], 1_494);
    assert_eq!(difference["by_model"][1]["cost_usd"], 1);
    assert!((difference["cost_usd"].as_f64().unwrap() - (5.0 - cost_of(&ledger))).abs() < 1e-9);
}

#[test]
fn a_cost_alone_is_an_estimate_of_tokens() {
    let ledger = session();
    let cost = cost_of(&ledger) * 10.0;
    let report = capture(&ledger, &["--json"], &format!("Total cost: ${cost:.6}\n")).json();
    let estimate = &report["estimate"];
    assert_eq!(estimate["basis"], "session");
    assert_eq!(estimate["usage"]["output_tokens"], 500);
    assert_eq!(estimate["total_tokens"], 2_760);

    // A session of which nothing is known borrows the ledger's mix.
    let empty = Session::new(&ledger, "empty");
    ledger.hook(empty.start());
    let report =
        capture(&ledger, &["--json", "--session", "empty"], &format!("Total cost: ${cost:.6}\n")).json();
    assert_eq!((&report["estimate"]["basis"], &report["session"]), (&json!("ledger"), &json!("empty")));
}

#[test]
fn what_is_no_cost_screen_or_has_no_session_says_so() {
    let ledger = session();
    let ran = capture(&ledger, &["--json"], "hello\n");
    assert_eq!((ran.code, ran.json()["captured"]["unread"][0]["text"].clone()), (Some(4), json!("hello")));
    let ran = capture(&Ledger::new(), &["--json"], "Total cost: $1.00\n");
    assert_eq!((ran.code, ran.json()["captured"]["total_usd"].clone()), (Some(4), json!(1)));
    let ran = capture(&ledger, &["nowhere.txt"], "");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("nowhere.txt"), "{}", ran.stderr);
}

#[test]
fn doctor_names_sessions_that_the_client_tells_otherwise() {
    let ledger = session();
    capture(&ledger, &[], "Total cost: $5.00\n");
    let report = ledger.run(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    let witness = checks.iter().find(|check| check["check"] == "client costs").unwrap();
    assert_eq!(witness["status"], "warning", "{witness:#}");
    assert!(witness["found"].as_str().unwrap().contains("8efa9846"), "{witness:#}");
}

#[test]
fn capture_cost() {
    let example = Example::replayed();
    let paste = "> /cost\n  ⎿  Total cost:            $0.9000\n     Total duration (API):  12.5s\n     Total duration (wall): 2m 3s\n     \
                 Total code changes:    20 lines added, 1 line removed\n     Usage by model:\n         claude-opus-5-5:  3.1k \
                 input, 2.3k output, 559.3k cache read, 142.3k cache write ($0.8832)\n          claude-haiku:  12 input, 9 \
                 output, 0 cache read, 0 cache write ($0.0100)\n     Total moons: 3\n";
    let file = example.ledger.project().join("paste.txt");
    std::fs::write(&file, paste).unwrap();
    let args = ["capture-cost", "paste.txt", "--session", "f7a1", "--color", "never"];
    let text = example.ledger.run(&args).text().to_owned();
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn capture_cost_of_a_cost_alone() {
    let example = Example::replayed();
    let paste = "Total cost: $0.61\nTotal duration (API): 5m 31.2s\nTotal duration (wall): 17m 18.7s\n";
    let ran = capture(&example.ledger, &["--session", "f7a1", "--color", "never"], paste);
    insta::assert_snapshot!(ran.text());
}

#[test]
fn capture_cost_of_a_subscription() {
    let ledger = session();
    let panel = fixture("own.json")["usage-panel"]["paste"].as_str().unwrap().to_owned();
    let notice = "With your Claude Max subscription, no need to monitor cost — your subscription includes Claude Code usage";
    let ran = capture(&ledger, &["--color", "never"], &format!("{panel}{notice}\n"));
    insta::assert_snapshot!(ran.text());
}

#[test]
fn help_of_capture_cost() {
    insta::assert_snapshot!(Ledger::new().run(&["capture-cost", "--help"]).text());
}

#[test]
fn the_session_is_the_newest_of_the_project_unless_told() {
    let ledger = session();
    let elsewhere = Session::new(&ledger, "elsewhere").in_folder(Path::new("/elsewhere"));
    ledger.hook(elsewhere.start());
    let newer = Session::new(&ledger, "newer");
    ledger.hook(newer.start().with("source", "resume"));
    let report = capture(&ledger, &["--json"], "Total cost: $1.00\n").json();
    assert_eq!(report["session"], "newer");
    let report = capture(&ledger, &["--json", "--session", "else"], "Total cost: $1.00\n").json();
    assert_eq!(report["session"], "elsewhere");
}
