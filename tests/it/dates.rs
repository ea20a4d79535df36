//! Days that people ask for: the same forms wherever a day is given, and a tip where the option was forgotten.

use serde_json::Value;

use crate::support::{Ledger, Session, With};

/// Every option that takes a day, with the others that its command needs.
const OPTIONS: [&str; 5] = [
    "cost --since DAY",
    "cost --until DAY",
    "tools --since DAY",
    "tools --until DAY",
    "prices set m --input 1 --output 2 --json --from DAY",
];

/// One answer on each of two days: Sunday, 2099-11-22, and the Monday after it.
fn two_days() -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[
        session.answer("msg_1", 1, 10).with("timestamp", "2099-11-22T23:30:00.000Z"),
        session.answer("msg_2", 2, 20).with("timestamp", "2099-11-23T00:30:00.000Z"),
    ]);
    ledger.import();
    ledger
}

fn output(ledger: &Ledger, args: &[&str]) -> Value {
    let ran = ledger.run(&[&["cost", "--json", "--tz", "UTC"], args].concat());
    ran.json()["total"]["usage"]["output_tokens"].clone()
}

#[test]
fn a_day_a_week_and_a_month_have_the_forms_that_reports_show() {
    let ledger = two_days();
    for (since, until, tokens) in [
        ("2099-11-22", "2099-11-22", 10),
        ("20991122", "20991122", 10),
        ("2099-11-23", "2099-11-23", 20),
        // A week ends on Sunday.
        ("2099-W47", "2099-W47", 10),
        ("2099-w48", "2099-w48", 20),
        ("2099-11", "2099-11", 30),
        ("2099-10", "2099-10", 0),
    ] {
        assert_eq!(output(&ledger, &["--since", since, "--until", until]), tokens, "{since} {until}");
    }
    // The keys that reports print can be asked for.
    for by in ["day", "week", "month"] {
        let report = ledger.run(&["cost", "--json", "--tz", "UTC", "--by", by]).json();
        for row in report["rows"].as_array().unwrap() {
            let key = row["key"].as_str().unwrap();
            assert_eq!(
                output(&ledger, &["--since", key, "--until", key]),
                row["usage"]["output_tokens"],
                "{key}"
            );
        }
    }
}

#[test]
fn every_option_takes_all_forms_and_refuses_the_same() {
    let ledger = two_days();
    let run = |option: &str, day: &str| {
        let args: Vec<&str> = option.split(' ').map(|word| if word == "DAY" { day } else { word }).collect();
        ledger.run(&args)
    };
    for option in OPTIONS {
        for day in [
            "today",
            "yesterday",
            "monday",
            "tue",
            "Sunday",
            "week",
            "month",
            "7d",
            "2w",
            "3m",
            "2026-11-01",
            "20261101",
            "2026-11",
            "2026-W47",
        ] {
            let ran = run(option, day);
            assert!(matches!(ran.code, Some(0 | 4)), "{option} {day}: {ran:?}");
        }
        for day in
            ["", "7", "+7d", "-7d", "٧d", "0d", "2026-02-30", "11/01/2026", "01.11.2026", "toady", "99999w"]
        {
            let ran = run(option, day);
            assert_eq!(ran.code, Some(2), "{option} {day}: {ran:?}");
        }
        let ran = run(option, "01.11.2026");
        let forms =
            "expected a day, such as 2026-11-01, today, yesterday, monday, week, month, 7d, 2w, or 3m";
        assert!(ran.stderr.contains(forms), "{option}: {ran:?}");
    }
    let help = ledger.run(&["cost", "--help"]).text().to_owned();
    assert!(help.contains("2026-11-01, today, yesterday, monday, week, month, or 7d, 2w, 3m"), "{help}");
}

#[test]
fn a_price_begins_on_the_day_that_is_meant() {
    for (from, first) in [("20991201", "2099-12-01"), ("2099-12", "2099-12-01"), ("2099-W47", "2099-11-16")] {
        let ledger = Ledger::new();
        let args = ["prices", "set", "m", "--input", "1", "--output", "2", "--json", "--from", from];
        assert_eq!(ledger.run(&args).json()["model"]["prices"][0]["from"], first, "{from}");
    }
}

#[test]
fn a_forgotten_option_is_suggested() {
    let ledger = Ledger::new();
    for (args, tips) in [
        (&["cost", "today"][..], &["cost --since today"][..]),
        (&["cost", "yesterday"], &["cost --since yesterday --until yesterday"]),
        (&["cost", "week"], &["cost --since week", "cost --by week"]),
        (&["cost", "model"], &["cost --by model"]),
        (&["tools", "7d"], &["tools --since 7d"]),
        (&["today"], &["cost --since today"]),
        (&["trends", "30"], &["trends --days 30"]),
        (&["budget", "5"], &["budget set 5"]),
    ] {
        let ran = ledger.run(args);
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{args:?}: {ran:?}");
        for tip in tips {
            assert!(
                ran.stderr.contains(&format!("you may have meant 'tallyhook {tip}'")),
                "{args:?}: {ran:?}"
            );
        }
    }
    // What was never meant as a day gets no tip.
    assert!(!ledger.run(&["cost", "everything"]).stderr.contains("may have meant"));
}
