//! `tallyhook prices`: what it prints, what it writes, how it fails. What the table itself says is tested beside it.

use std::path::PathBuf;

use serde_json::json;

use crate::support::{Example, Ledger, Session, With};

fn file(ledger: &Ledger) -> PathBuf {
    ledger.home().join(".config/tallyhook/prices.toml")
}

fn write(ledger: &Ledger, text: &str) {
    std::fs::create_dir_all(file(ledger).parent().unwrap()).unwrap();
    std::fs::write(file(ledger), text).unwrap();
}

/// Stderr without the temporary folder, and the exit code.
fn said(ledger: &Ledger, args: &[&str]) -> String {
    let ran = ledger.run(args);
    let said = ran.stderr.replace(ledger.dir().to_str().unwrap(), "[folder]");
    format!("{said}exit code {}\n", ran.code.unwrap())
}

#[test]
fn help_of_prices() {
    insta::assert_snapshot!(Ledger::new().run(&["prices", "--help"]).text());
}

#[test]
fn help_of_prices_set() {
    insta::assert_snapshot!(Ledger::new().run(&["prices", "set", "--help"]).text());
}

#[test]
fn prices_list() {
    let ledger = Ledger::new();
    insta::assert_snapshot!(ledger.run(&["prices", "list", "opus-4"]).text());
    let all = ledger.run(&["prices"]).text().to_owned();
    assert!(all.lines().count() > 200, "{all}");
    assert!(all.contains("\ngpt-5.4 ") && all.contains("\ngemini-2.5-pro "), "{all}");
}

#[test]
fn prices_list_all() {
    let ledger = Ledger::new();
    insta::assert_snapshot!(ledger.run(&["prices", "list", "--all", "gpt-5.6-sol"]).text());
}

#[test]
fn prices_show() {
    let ledger = Ledger::new();
    insta::assert_snapshot!(ledger.run(&["prices", "show", "us.anthropic.claude-opus-4-6-v1"]).text());
}

#[test]
fn json_has_every_price_and_what_it_holds_for() {
    let ledger = Ledger::new();
    let list = ledger.run(&["prices", "list", "claude", "--json"]).json();
    assert_eq!((&list["schema_version"], &list["date"]), (&json!(1), &json!("2026-11-22")));
    assert!(list["models"].as_array().unwrap().len() > 20);

    let model = &ledger.run(&["prices", "show", "claude-opus-4.6", "--json"]).json()["model"];
    assert_eq!(model["model"], "claude-opus-4-6");
    assert_eq!(model["window"], 1_000_000);
    assert_eq!(model["fast_multiplier"], 6);
    let tier = json!({
        "in_force": false, "from": null, "until": "2026-03-13", "over_tokens": 200_000, "hours_utc": [],
        "weekdays_only": false, "input_usd": 10, "output_usd": 37.5, "cache_read_usd": 1,
        "cache_write_5m_usd": 12.5, "cache_write_1h_usd": 20, "web_search_usd": 0.01,
    });
    assert_eq!(model["prices"][1], tier);
    assert_eq!(model["prices"][0]["in_force"], true);
}

#[test]
fn an_unknown_model_says_how_to_set_its_price() {
    let ledger = Ledger::new();
    insta::assert_snapshot!(said(&ledger, &["prices", "show", "house-model"]));
    let ran = ledger.run(&["prices", "show", "house-model", "--json"]);
    assert_eq!((ran.code, &ran.json()["model"]), (Some(4), &json!(null)));
    assert_eq!(ledger.run(&["prices", "list", "nobody's"]).code, Some(4));
}

#[test]
fn a_price_that_was_set_is_shown_from_its_day_on() {
    let ledger = Ledger::new();
    let set = ["prices", "set", "claude-opus-4-5", "--input", "1", "--output", "2.5"];
    let ran = ledger.run(&[&set[..], &["--from", "2001-01-01"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("saved to ") && ran.stderr.contains("keep their ratio"), "{ran:?}");
    let shown = ledger.run(&["prices", "show", "claude-opus-4-5-20251101", "--json"]).json();
    let prices = shown["model"]["prices"].as_array().unwrap();
    assert_eq!((&shown["model"]["own"], prices.len()), (&json!(true), 2));
    assert_eq!((&prices[0]["input_usd"], &prices[0]["in_force"]), (&json!(5), &json!(false)));
    assert_eq!(
        (&prices[1]["from"], &prices[1]["input_usd"], &prices[1]["cache_read_usd"]),
        (&json!("2001-01-01"), &json!(1), &json!(0.1))
    );

    let again = ["prices", "set", "House Model", "--input", "0.000001", "--output", "0", "--json"];
    assert_eq!(ledger.run(&again).json()["model"]["prices"][0]["input_usd"], 0.000_001);
    insta::assert_snapshot!(std::fs::read_to_string(file(&ledger)).unwrap());
}

#[test]
fn prices_lie_beside_the_settings_file_that_is_named() {
    let ledger = Ledger::new();
    let config = ledger.dir().join("elsewhere/mine.toml");
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    let args = ["prices", "set", "x", "--input", "1", "--output", "2", "--config", config.to_str().unwrap()];
    assert_eq!(ledger.run(&args).code, Some(0));
    assert!(config.with_file_name("prices.toml").is_file() && !file(&ledger).exists());
}

#[test]
fn failure_with_wrong_prices() {
    let ledger = Ledger::new();
    let text = "[models.x]\nprices = [\n  { input = 1, outputs = 2 },\n]\n";
    write(&ledger, text);
    let list = said(&ledger, &["prices", "list"]);
    insta::assert_snapshot!(list);
    assert_eq!(said(&ledger, &["prices", "set", "y", "--input", "1", "--output", "2"]), list);
    assert_eq!(std::fs::read_to_string(file(&ledger)).unwrap(), text, "it is left alone");
}

#[test]
fn failure_with_a_price_that_is_none() {
    let ledger = Ledger::new();
    for (args, expected) in [
        (["--input", "-1", "--output", "2"], "it can't be negative"),
        (["--input", "0.0000001", "--output", "2"], "with at most six decimals"),
        (["--input", "3 dollars", "--output", "2"], "write 3, without a unit"),
        (["--input", "1", "--from", "2026-13-01"], "expected a day, such as 2026-11-01"),
    ] {
        let ran = ledger.run(&[&["prices", "set", "x"], &args[..]].concat());
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    assert!(!file(&ledger).exists());
}

#[test]
fn check_has_a_clear_word_where_nothing_is_missing() {
    let check = Ledger::new().run(&["prices", "check"]).text().to_owned();
    assert!(check.ends_with("the ledger has no responses yet\n"), "{check}");
    assert!(check.contains("the built-in prices are from 2026-11-22"), "{check}");
    let check = Example::replayed().ledger.run(&["prices", "check"]).text().to_owned();
    assert!(check.ends_with("the only model in the ledger has a price\n"), "{check}");
}

#[test]
fn check_names_the_models_without_a_price() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[
        session.answer("msg_1", 1, 5),
        session.answer("msg_2", 2, 7).with("message.model", "house-model"),
        session.answer("msg_3", 3, 9).with("message.model", "house-model"),
    ]);
    ledger.hook(session.stop());
    let ran = ledger.run(&["prices", "check"]);
    assert_eq!(ran.code, Some(1));
    let (_, table) = ran.stdout.split_once("\n\n").unwrap();
    insta::assert_snapshot!(format!("{table}{}", ran.stderr));

    let check = ledger.run(&["prices", "check", "--json"]).json();
    assert_eq!(check["models"], 2);
    assert_eq!(
        check["unpriced"],
        json!([{ "model": "house-model", "responses": 2, "total_tokens": 2 * 113 + 16 }])
    );
    let version = check["table_version"].clone();

    ledger.run(&["prices", "set", "house-model", "--input", "1", "--output", "2"]);
    let check = ledger.run(&["prices", "check", "--json"]).json();
    assert_eq!((&check["unpriced"], &check["own_prices"]), (&json!([]), &json!(1)));
    assert_ne!(check["table_version"], version);
}
