//! Amounts that people type: one form everywhere, and whatever is not plainly in it is refused with the form that is meant.

use serde_json::json;

use crate::support::{Ledger, Ran, Session};

/// Every place where an amount of money is typed. `AMOUNT` stands for it.
const SUMS: [&str; 5] = [
    "budget set AMOUNT",
    "budget add AMOUNT",
    "report-usage --agent-id a --cost AMOUNT",
    "prices set m --input AMOUNT --output 1",
    "prices set m --input 1 --output 2 --cache-read AMOUNT",
];
/// The same of tokens and other whole numbers.
const COUNTS: [&str; 7] = [
    "budget set AMOUNT --tokens",
    "report-usage --agent-id a --tokens AMOUNT",
    "report-usage --agent-id a --input 1 --output AMOUNT",
    "report-usage --agent-id a --operation read --chars AMOUNT",
    "history --limit AMOUNT",
    "trends --days AMOUNT",
    "alerts on loop --repeats AMOUNT",
];
/// And of percentages and durations.
const OTHERS: [&str; 3] =
    ["budget set 5 --warn AMOUNT", "budget warn AMOUNT", "budget override --for AMOUNT"];

fn run(ledger: &Ledger, command: &str, amount: &str) -> Ran {
    let args: Vec<&str> =
        command.split(' ').map(|word| if word == "AMOUNT" { amount } else { word }).collect();
    ledger.run(&args)
}

fn assert_refused(ledger: &Ledger, command: &str, amount: &str, meant: &str) {
    let ran = run(ledger, command, amount);
    assert!(ran.code == Some(2) && ran.stderr.contains(meant), "{command} with {amount:?}: {ran:?}");
    assert!(!ran.stderr.contains("panicked") && ran.stdout.is_empty(), "{command} with {amount:?}: {ran:?}");
}

/// A ledger with a budget of $5 a session.
fn with_a_budget() -> Ledger {
    let ledger = Ledger::new();
    ledger.run(&["budget", "set", "5"]).text();
    ledger
}

#[test]
fn a_decimal_comma_is_never_a_thousands_separator() {
    let ledger = with_a_budget();
    for command in SUMS {
        assert_refused(&ledger, command, "2,50", "write 2.50");
        assert_refused(&ledger, command, "0,5", "write 0.5");
        assert_refused(&ledger, command, "1.234,56", "write 1234.56");
        assert_refused(&ledger, command, "1,2,3", "write it like");
        assert_refused(&ledger, command, "1,000", "it could mean 1000 or 1.000");
    }
    for command in COUNTS {
        assert_refused(&ledger, command, "1,5", "write it like");
        assert_refused(&ledger, command, "1,000", "it could mean 1000 or 1.000");
        assert_refused(&ledger, command, "1.500", "it could mean 1500 or 1.500");
    }
    assert_refused(&ledger, "budget set AMOUNT --tokens", "1,5M", "write 1.5M");
    assert_refused(&ledger, "budget override --for AMOUNT", "1,5h", "write 1.5h");
    assert_refused(&ledger, "budget warn AMOUNT", "79,5", "write it like 80");
    // Nothing has changed.
    let budgets = ledger.run(&["budget", "status", "--json"]).json()["budgets"].clone();
    assert_eq!(budgets.as_array().unwrap().len(), 1, "{budgets:#}");
    assert_eq!((&budgets[0]["limit_usd"], &budgets[0]["warn_percent"]), (&json!(5), &json!(80)));
    assert!(!ledger.home().join(".config/tallyhook/prices.toml").exists());
    let reports: i64 =
        ledger.sqlite().query_row("SELECT count(*) FROM usage_reports", [], |row| row.get(0)).unwrap();
    assert_eq!(reports, 0);
}

#[test]
fn what_is_not_plainly_a_number_is_refused_everywhere() {
    let ledger = with_a_budget();
    for command in SUMS.iter().chain(&COUNTS).chain(&OTHERS) {
        for amount in ["", " ", "nan", "NaN", "inf", "0x10", "٣", "２", "+5", "5 apples", "5.", "--", "1e400"]
        {
            let ran = run(&ledger, command, amount);
            assert!(ran.code == Some(2), "{command} with {amount:?}: {ran:?}");
        }
        assert_refused(&ledger, command, "-5", "it can't be negative");
    }
    assert_refused(
        &ledger,
        "budget set AMOUNT",
        "5k",
        "write 5000, without a unit; for tokens, add --tokens",
    );
    assert_refused(&ledger, "budget set AMOUNT", "5 USD", "write 5, without a unit");
    assert_refused(&ledger, "budget override --for AMOUNT", "30", "it needs a unit");
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused_and_not_clipped() {
    let ledger = Ledger::new();
    for amount in ["9300000", "20000000", "9223372.04", "1e40"] {
        assert_refused(&ledger, "budget set AMOUNT", amount, "the maximum is $9,223,372");
        assert_refused(
            &ledger,
            "report-usage --agent-id a --cost AMOUNT",
            amount,
            "the maximum is $9,223,372",
        );
    }
    assert_refused(&ledger, "budget set AMOUNT --tokens", "9999B", "the maximum is 1,000,000,000,000");
    assert_refused(&ledger, "prices set m --input AMOUNT --output 1", "1000001", "the maximum is $1,000,000");
    run(&ledger, "budget set AMOUNT", "9223372").text();
    // Nor does it grow to more than can be kept.
    assert_refused(&ledger, "budget add AMOUNT", "1", "the new limit would be too large");
    let budget = ledger.run(&["budget", "status", "--json"]).json()["budgets"][0].clone();
    assert_eq!(budget["limit_usd"], 9_223_372);
}

#[test]
fn amounts_are_kept_as_they_were_typed() {
    let limit = |amount: &str, name: &str, args: &[&str]| {
        let ledger = Ledger::new();
        ledger.run(&[&["budget", "set", amount], args].concat()).text();
        ledger.run(&["budget", "status", "--json"]).json()["budgets"][0][name].clone()
    };
    for (amount, usd) in [("2.50", 2.5), ("$0.25", 0.25), ("1,234.50", 1_234.5), (".5", 0.5)] {
        assert_eq!(limit(amount, "limit_usd", &[]), usd, "{amount}");
    }
    for (amount, tokens) in [("500k", 500_000), ("1.5M", 1_500_000), ("2B", 2_000_000_000), ("7", 7)] {
        assert_eq!(limit(amount, "limit_tokens", &["--tokens"]), tokens, "{amount}");
    }
    assert_eq!(limit("5", "warn_percent", &["--warn", "75%"]), 75);
}

#[test]
fn a_projects_file_with_a_decimal_comma_is_refused_with_its_line() {
    let (ledger, session) = Session::started();
    ledger.run(&["budget", "set", "5"]).text();
    let file = ledger.project().join(".claude/tallyhook.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (lower, limit) in [("\"2.50\"", 2.5), ("2.5", 2.5), ("\"2,50\"", 5.0), ("\"1,000\"", 5.0)] {
        std::fs::write(&file, format!("[budgets]\nsession = {{ usd = {lower} }}\n")).unwrap();
        let ran = ledger.run(&["budget", "status", "--json", "--session", "s"]);
        assert_eq!(ran.json()["budgets"][0]["limit_usd"].as_f64(), Some(limit), "{lower}: {ran:?}");
        let is_told = ran.stderr.contains("line 2, column") && ran.stderr.contains("write it like 2.50");
        assert_eq!(is_told, limit > 4.0, "{lower}: {ran:?}");
    }
    drop(session);
}
