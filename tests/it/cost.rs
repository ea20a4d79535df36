//! What was spent: `cost` and the money of `show-usage`. The rows of `usage_buckets` are put into the ledger as they would be
//! written, so that every figure is known.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::params;
use serde_json::{Value, json};
use tallyhook::calendar::{Day, Zone};
use tallyhook::domain::{PicoUsd, Timestamp, Usage};
use tallyhook::report::cost::{By, CostReport, Query};
use unicode_width::UnicodeWidthStr as _;

use crate::rollups::roll_up;
use crate::support::{Ledger, Session, cases, usage};

/// One dollar.
const USD: i64 = 1_000_000_000_000;

/// A row of `usage_buckets`: by default a response of the main conversation that cost a dollar.
#[derive(Debug, Clone)]
struct Spent {
    at: Option<&'static str>,
    session: i64,
    agent: &'static str,
    model: &'static str,
    branch: &'static str,
    priced: bool,
    responses: i64,
    tokens: i64,
    /// What input, output, cache reads, cache writes and searches cost.
    pico: [i64; 5],
    savings: i64,
    shortfall: [i64; 3],
}

impl Spent {
    fn at(at: &'static str) -> Self {
        Self {
            at: Some(at),
            session: 1,
            agent: "",
            model: "claude-opus-5-5",
            branch: "main",
            priced: true,
            responses: 1,
            tokens: 100,
            pico: [USD / 10, USD / 2, USD / 5, USD / 5, 0],
            savings: 0,
            shortfall: [0; 3],
        }
    }

    fn dollars(mut self, dollars: i64) -> Self {
        self.pico = [dollars * USD / 10, dollars * USD / 2, dollars * USD / 5, dollars * USD / 5, 0];
        self
    }

    fn unpriced(mut self, model: &'static str) -> Self {
        (self.model, self.priced, self.pico) = (model, false, [0; 5]);
        self
    }
}

/// A ledger with four sessions: two of the project `shop`, one of `shop/api`, one of Codex without a project.
fn ledger_with(rows: &[Spent]) -> Ledger {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "probe").start());
    let db = ledger.sqlite();
    db.execute("DELETE FROM sessions", []).unwrap();
    let sessions = [
        (1, "11111111-aaaa", "claude-code", Some("/work/shop"), Some("first things")),
        (2, "22222222-bbbb", "claude-code", Some("/work/shop"), None),
        (3, "33333333-cccc", "claude-code", Some("/work/shop/api"), None),
        (4, "44444444-dddd", "codex", None, None),
    ];
    for (row, id, client, project, topic) in sessions {
        db.execute(
            "INSERT INTO sessions (id, session_id, client, project, topic, last_seen_at, finalized_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?1, 1)",
            params![row, id, client, project, topic],
        )
        .unwrap();
    }
    for (session, agent, agent_type) in
        [(1, "a1", Some("Explore")), (2, "a2", Some("Explore")), (2, "a3", None)]
    {
        db.execute(
            "INSERT INTO agent_runs (session, agent_id, agent_type) VALUES (?1, ?2, ?3)",
            params![session, agent, agent_type],
        )
        .unwrap();
    }
    for row in rows {
        insert(&ledger, row);
    }
    roll_up(&ledger.sqlite());
    ledger
}

fn insert(ledger: &Ledger, row: &Spent) {
    let quarter = row.at.map_or(-1, |at| Timestamp::parse(at).unwrap().as_millis().div_euclid(900_000));
    let [input, output, read, write, search] = row.pico;
    let [responses, tokens, cost] = row.shortfall;
    ledger
        .sqlite()
        .execute(
            "INSERT INTO usage_buckets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
               ?15, ?16, ?17, ?18)",
            params![
                quarter, row.session, row.agent, row.model, row.branch, row.priced, row.responses, row.tokens,
                i64::from(search > 0), input, output, read, write, search, row.savings, responses, tokens, cost
            ],
        )
        .unwrap();
}

/// Some of everything, in three weeks of two months.
fn rich() -> Ledger {
    let at = Spent::at;
    ledger_with(&[
        at("2026-10-30T12:00:00Z").dollars(2),
        Spent { session: 2, ..at("2026-11-02T09:00:00Z").dollars(4) },
        Spent { session: 2, agent: "a2", ..at("2026-11-02T09:15:00Z") },
        Spent { session: 2, agent: "a3", model: "claude-haiku-5-5", ..at("2026-11-02T09:15:00Z").dollars(8) },
        Spent { session: 3, branch: "topic", ..at("2026-11-03T23:45:00Z").dollars(16) },
        Spent { session: 3, agent: "(hidden)", branch: "", ..at("2026-11-04T00:00:00Z").dollars(32) },
        Spent { session: 4, branch: "", ..at("2026-11-04T10:00:00Z").unpriced("house-model") },
        Spent { session: 4, branch: "", at: None, ..at("").dollars(64) },
        Spent { session: 1, agent: "a1", pico: [0, 0, 0, 0, USD / 100], ..at("2026-11-05T10:00:00Z") },
    ])
}

fn cost(ledger: &Ledger, args: &[&str]) -> Value {
    let zone: &[&str] = if args.contains(&"--tz") { &[] } else { &["--tz", "UTC"] };
    let ran = ledger.run(&[&["cost", "--json"], zone, args].concat());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    let report = ran.json();
    assert_adds_up(&report);
    report
}

/// Keys and dollars of the rows.
fn rows(report: &Value) -> Vec<(String, Value)> {
    let rows = report["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["key"].as_str().unwrap().to_owned(), row["cost_usd"].clone())).collect()
}

fn keys(report: &Value) -> Vec<String> {
    rows(report).into_iter().map(|(key, _)| key).collect()
}

/// Money as it stands in the text, digit for digit; nothing for null.
fn pico(value: &Value) -> PicoUsd {
    if value.is_null() { PicoUsd::ZERO } else { PicoUsd::parse(&value.to_string()).unwrap() }
}

/// Fails unless the rows of a report are its total, in each class of tokens and of money.
fn assert_adds_up(report: &Value) {
    const PARTS: [&str; 5] =
        ["input_usd", "output_usd", "cache_read_usd", "cache_write_usd", "web_search_usd"];
    let (rows, total) = (report["rows"].as_array().unwrap(), &report["total"]);
    assert_eq!(rows.iter().map(|row| usage(&row["usage"])).sum::<Usage>(), usage(&total["usage"]));
    assert_eq!(rows.iter().map(|row| pico(&row["cost_usd"])).sum::<PicoUsd>(), pico(&total["cost_usd"]));
    for part in PARTS {
        let sum: PicoUsd = rows.iter().map(|row| pico(&row["cost"][part])).sum();
        assert_eq!(sum, pico(&total["cost"][part]), "{part}");
    }
    for row in rows.iter().chain([total]) {
        let parts: PicoUsd = PARTS.iter().map(|part| pico(&row["cost"][*part])).sum();
        assert_eq!(parts, pico(&row["cost_usd"]), "{row}");
        assert_eq!(row["total_tokens"], usage(&row["usage"]).total());
        assert_eq!(row["cost"].is_null(), row["cost_usd"].is_null());
    }
    for member in ["responses", "total_tokens"] {
        let sum: u64 = rows.iter().map(|row| row[member].as_u64().unwrap()).sum();
        assert_eq!(total[member], sum, "{member}");
    }
    let unpriced: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row["unpriced_models"].as_array().unwrap())
        .map(|model| model.as_str().unwrap())
        .collect();
    assert_eq!(total["unpriced_models"], json!(unpriced));
}

// Keys.

#[test]
fn a_row_has_every_member_of_the_contract() {
    let report = cost(&rich(), &["--by", "month", "--since", "2026-10-01", "--until", "2026-10-31"]);
    let sum = json!({
        "usage": { "input_tokens": 100, "output_tokens": 100, "cache_read_tokens": 100, "cache_write_5m_tokens": 100,
                   "cache_write_1h_tokens": 100, "web_searches": 0 },
        "cost": { "input_usd": 0.2, "output_usd": 1, "cache_read_usd": 0.4, "cache_write_usd": 0.4,
                  "web_search_usd": 0 },
        "total_tokens": 500, "cost_usd": 2, "unpriced_models": [], "sessions": 1, "responses": 1,
    });
    let mut row = sum.clone();
    row["key"] = json!("2026-10");
    let expected = json!({
        "schema_version": 1, "by": "month", "since": "2026-10-01", "until": "2026-10-31", "rows": [row], "total": sum,
    });
    assert_eq!(report, expected);
}

#[test]
fn by_day_week_and_month() {
    let ledger = rich();
    let days = cost(&ledger, &[]);
    assert_eq!(days["by"], "day");
    assert_eq!(
        rows(&days),
        [
            ("2026-10-30".to_owned(), json!(2)),
            ("2026-11-02".to_owned(), json!(13)),
            ("2026-11-03".to_owned(), json!(16)),
            ("2026-11-04".to_owned(), json!(32)),
            ("2026-11-05".to_owned(), json!(0.01)),
            ("(none)".to_owned(), json!(64)),
        ]
    );
    assert_eq!((&days["total"]["cost_usd"], &days["total"]["sessions"]), (&json!(127.01), &json!(4)));
    assert_eq!(days["rows"][3]["unpriced_models"], json!(["house-model"]), "the rest of that day is priced");
    assert_eq!(days["rows"][1]["sessions"], 1);
    assert_eq!(keys(&cost(&ledger, &["--by", "week"])), ["2026-W44", "2026-W45", "(none)"]);
    assert_eq!(keys(&cost(&ledger, &["--by", "month"])), ["2026-10", "2026-11", "(none)"]);
}

#[test]
fn by_session_project_branch_model_client_and_agent() {
    let ledger = rich();
    let by = |key: &str| rows(&cost(&ledger, &["--by", key]));
    let expect = |rows: &[(&str, Value)]| -> Vec<(String, Value)> {
        rows.iter().map(|(key, cost)| ((*key).to_owned(), cost.clone())).collect()
    };
    assert_eq!(
        by("session"),
        expect(&[
            ("11111111-aaaa", json!(2.01)),
            ("22222222-bbbb", json!(13)),
            ("33333333-cccc", json!(48)),
            ("44444444-dddd", json!(64))
        ])
    );
    assert_eq!(
        by("project"),
        expect(&[("(none)", json!(64)), ("/work/shop/api", json!(48)), ("/work/shop", json!(15.01))])
    );
    assert_eq!(
        by("branch"),
        expect(&[
            ("(none)", json!(64)),
            ("(hidden)", json!(32)),
            ("topic", json!(16)),
            ("main", json!(15.01))
        ])
    );
    assert_eq!(
        by("model"),
        expect(&[
            ("claude-opus-5-5", json!(119.01)),
            ("claude-haiku-5-5", json!(8)),
            ("house-model", Value::Null)
        ])
    );
    assert_eq!(by("client"), expect(&[("codex", json!(64)), ("claude-code", json!(63.01))]));
    assert_eq!(
        by("agent"),
        expect(&[
            ("main", json!(86)),
            ("(hidden)", json!(32)),
            ("subagent", json!(8)),
            ("Explore", json!(1.01))
        ])
    );
}

#[test]
fn what_is_hidden_and_has_no_time_stays_apart() {
    let ledger = ledger_with(&[
        Spent { at: None, agent: "(hidden)", branch: "", ..Spent::at("") },
        Spent { at: None, branch: "", model: "", ..Spent::at("") },
        Spent { session: 99, ..Spent::at("2026-11-02T09:00:00Z") },
    ]);
    assert_eq!(keys(&cost(&ledger, &[])), ["2026-11-02", "(hidden)", "(none)"]);
    assert_eq!(keys(&cost(&ledger, &["--by", "model"])), ["claude-opus-5-5", "(none)"]);
    assert_eq!(keys(&cost(&ledger, &["--by", "session"])), ["(none)", "11111111-aaaa"], "no such session");
    assert_eq!(keys(&cost(&ledger, &["--since", "2026-01-01"])), ["2026-11-02"]);
    assert_eq!(keys(&cost(&ledger, &["--until", "2026-12-31"])), ["2026-11-02"]);
}

// Days.

#[test]
fn a_day_is_that_of_the_time_zone() {
    let ledger = ledger_with(&[
        Spent::at("2026-03-28T22:45:00Z").dollars(1),
        Spent::at("2026-03-28T23:00:00Z").dollars(2),
        Spent::at("2026-03-29T21:45:00Z").dollars(4),
        Spent::at("2026-03-29T22:00:00Z").dollars(8),
        Spent::at("2026-10-24T22:00:00Z").dollars(16),
        Spent::at("2026-10-25T22:45:00Z").dollars(32),
        Spent::at("2026-10-25T23:00:00Z").dollars(64),
    ]);
    let by_day = |zone: &str, args: &[&str]| -> Vec<(String, i64)> {
        let report = cost(&ledger, &[&["--tz", zone][..], args].concat());
        rows(&report).into_iter().map(|(key, cost)| (key[5..].to_owned(), cost.as_i64().unwrap())).collect()
    };
    let expect = |rows: &[(&str, i64)]| -> Vec<(String, i64)> {
        rows.iter().map(|(day, cost)| ((*day).to_owned(), *cost)).collect()
    };
    // Sundays of 23 and of 25 hours.
    let berlin = [("03-28", 1), ("03-29", 6), ("03-30", 8), ("10-25", 48), ("10-26", 64)];
    assert_eq!(by_day("Europe/Berlin", &[]), expect(&berlin));
    assert_eq!(
        by_day("Europe/Berlin", &["--since", "2026-03-29", "--until", "2026-03-29"]),
        expect(&[("03-29", 6)])
    );
    assert_eq!(
        by_day("Europe/Berlin", &["--since", "2026-10-25", "--until", "2026-10-25"]),
        expect(&[("10-25", 48)])
    );
    assert_eq!(
        by_day("Asia/Kolkata", &[]),
        expect(&[("03-29", 3), ("03-30", 12), ("10-25", 16), ("10-26", 96)])
    );
    assert_eq!(
        by_day("Pacific/Auckland", &[]),
        expect(&[("03-29", 3), ("03-30", 12), ("10-25", 16), ("10-26", 96)])
    );
    assert_eq!(by_day("America/St_Johns", &["--until", "2026-03-28"]), expect(&[("03-28", 3)]));
    assert_eq!(by_day("Asia/Kathmandu", &["--since", "2026-10-26"]), expect(&[("10-26", 96)]));
}

#[test]
fn without_a_named_zone_it_is_that_of_the_system() {
    let ledger = ledger_with(&[Spent::at("2026-11-02T12:00:00Z")]);
    let key = |zone: &str| {
        let mut command = ledger.command(&["cost", "--json"]);
        keys(&crate::support::Ran::of(command.env("TZ", zone)).json())
    };
    assert_eq!(key("Pacific/Auckland"), ["2026-11-03"]);
    assert_eq!(key("UTC"), ["2026-11-02"]);
}

#[test]
fn days_can_be_counted_from_today() {
    let ledger = ledger_with(&[Spent::at("2001-01-01T12:00:00Z")]);
    // The real program has the real clock.
    let quarter = tallyhook::env::Env::from_process().now().as_millis() / 900_000;
    for (days, dollars) in [(0, 1), (1, 2), (6, 4), (7, 8)] {
        insert(&ledger, &Spent::at("2001-01-02T12:00:00Z").dollars(dollars));
        let sql = "UPDATE usage_buckets SET quarter_hour = ?1 WHERE quarter_hour = 978436800 / 900";
        ledger.sqlite().execute(sql, [quarter - days * 96]).unwrap();
    }
    roll_up(&ledger.sqlite());
    let total = |args: &[&str]| cost(&ledger, args)["total"]["cost_usd"].clone();
    assert_eq!(total(&["--since", "today"]), 1);
    assert_eq!(total(&["--since", "yesterday", "--until", "yesterday"]), 2);
    assert_eq!(total(&["--since", "7d"]), 7);
    assert_eq!(total(&["--until", "7d"]), 13);
}

// Filters.

#[test]
fn a_project_is_a_folder_and_what_lies_below() {
    let ledger = rich();
    let total = |project: &str| cost(&ledger, &["--project", project])["total"]["cost_usd"].clone();
    assert_eq!(total("/work/shop"), 63.01);
    assert_eq!(total("/work/shop/"), 63.01);
    assert_eq!(total("/work/shop/api/../api"), 48);
    let ran = ledger.run(&["cost", "--project", "/work/sho"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(4), ""));

    let project = ledger.project().canonicalize().unwrap();
    let sql = "UPDATE sessions SET project = ?1 WHERE id = 4";
    ledger.sqlite().execute(sql, [project.to_str().unwrap()]).unwrap();
    assert_eq!(total("."), 64);
    assert_eq!(total("../project"), 64);
}

#[test]
fn a_model_is_named_in_part() {
    let ledger = rich();
    assert_eq!(cost(&ledger, &["--model", "HAIKU"])["total"]["cost_usd"], 8);
    assert_eq!(cost(&ledger, &["--model", "claude-", "--by", "model"])["total"]["cost_usd"], 127.01);
    assert_eq!(
        cost(&ledger, &["--model", "haiku", "--project", "/work", "--since", "2026-11-02"])["total"]["sessions"],
        1
    );
    assert_eq!(ledger.run(&["cost", "--model", "gpt"]).code, Some(4));
}

// What has no price.

#[test]
fn what_has_no_price_is_unknown_and_named() {
    let ledger = ledger_with(&[Spent::at("2026-11-02T09:00:00Z").unpriced("house-model")]);
    let report = cost(&ledger, &[]);
    assert_eq!((&report["total"]["cost"], &report["total"]["cost_usd"]), (&Value::Null, &Value::Null));
    assert_eq!(report["total"]["unpriced_models"], json!(["house-model"]));
    assert_eq!(report["total"]["total_tokens"], 500);
    let text = ledger.run(&["cost"]).text().to_owned();
    assert!(text.contains("     ?\n") && !text.contains('$'), "{text}");
    assert!(text.contains("`tallyhook prices set house-model --input USD --output USD`"), "{text}");

    let nothing = Spent { tokens: 0, ..Spent::at("2026-11-02T09:00:00Z").unpriced("<synthetic>") };
    let report = cost(&ledger_with(&[nothing]), &[]);
    assert_eq!((&report["total"]["cost_usd"], &report["total"]["unpriced_models"]), (&json!(0), &json!([])));
}

#[test]
fn sums_beyond_the_integers_of_sqlite_are_exact() {
    let most = Spent { pico: [i64::MAX; 5], ..Spent::at("2026-11-02T09:00:00Z") };
    let ledger = ledger_with(&[most.clone(), Spent { session: 2, ..most }]);
    let text = ledger.run(&["cost", "--json"]).text().to_owned();
    // 10 × (2^63 - 1) pico-dollars.
    assert!(text.contains("\"cost_usd\": 92233720.36854775807"), "{text}");
}

// Nothing to show.

#[test]
fn an_empty_ledger_gives_valid_json_and_exit_code_4() {
    let ledger = Ledger::new();
    let empty = json!({
        "schema_version": 1, "by": "agent", "since": null, "until": null, "rows": [],
        "total": { "usage": Usage::default(), "cost": null, "total_tokens": 0, "cost_usd": null,
                   "unpriced_models": [], "sessions": 0, "responses": 0 },
    });
    let ask = || ledger.run(&["cost", "--by", "agent", "--json"]);
    assert_eq!((ask().code, ask().json()), (Some(4), empty.clone()));
    ledger.hook(Session::new(&ledger, "s").start());
    assert_eq!((ask().code, ask().json()), (Some(4), empty));
    let ran = ledger.run(&["cost", "--compare", "--json"]);
    assert_eq!((ran.code, &ran.json()["rows"]), (Some(4), &json!([])));
    let ran = ledger.run(&["cost"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(4), ""));
    assert!(ran.stderr.contains("no usage yet"), "{ran:?}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let ledger = rich();
    for (args, word) in [
        (&["--since", "2026-11-31"][..], "expected a day, such as"),
        (&["--until", "0d"], "expected a day, such as"),
        (&["--tz", "Mars/Olympus"], "expected a time zone name"),
        (&["--since", "2026-11-05", "--until", "2026-11-04"], "swap them"),
        (&["--by", "hammer"], "invalid value 'hammer'"),
    ] {
        let ran = ledger.run(&[&["cost"], args].concat());
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.contains(word), "{ran:?}");
    }
}

// Comparing.

#[test]
fn a_period_is_compared_with_the_one_before() {
    let ledger = rich();
    let period = ["--since", "2026-11-02", "--until", "2026-11-04", "--compare"];
    let report = cost(&ledger, &period);
    assert_eq!(report["compared_with"], json!({ "since": "2026-10-30", "until": "2026-11-01" }));
    let row = &report["rows"][0];
    assert_eq!(
        (&row["key"], &row["cost_usd"], &row["previous"]["cost_usd"]),
        (&json!("2026-11-02"), &json!(13), &json!(2))
    );
    assert_eq!((&row["change_usd"], &row["change_percent"]), (&json!(11), &json!(550.0)));
    assert_eq!(
        (&report["rows"][1]["change_usd"], &report["rows"][1]["change_percent"]),
        (&json!(16), &Value::Null)
    );
    assert_eq!(
        (&report["total"]["previous"]["cost_usd"], &report["total"]["change_usd"]),
        (&json!(2), &json!(59))
    );
    let changes = &report["changes"]["by_agent"];
    assert_eq!((&changes[0]["key"], &changes[0]["change_usd"]), (&json!("(hidden)"), &json!(32)));
    assert_eq!((&changes[1]["key"], &changes[1]["change_usd"]), (&json!("main"), &json!(18)));
    assert_eq!(report["changes"]["by_model"][0]["key"], "claude-opus-5-5");

    // What there was before and is no more has a row too, so that both sides add up.
    let report = cost(&ledger, &[&period[..], &["--by", "project"]].concat());
    let previous: PicoUsd =
        report["rows"].as_array().unwrap().iter().map(|row| pico(&row["previous"]["cost_usd"])).sum();
    assert_eq!(previous, pico(&report["total"]["previous"]["cost_usd"]));
}

#[test]
fn months_lie_on_months_and_weeks_on_weeks() {
    let ledger = rich();
    let report =
        cost(&ledger, &["--by", "month", "--since", "2026-11-01", "--until", "2026-11-30", "--compare"]);
    assert_eq!(report["compared_with"], json!({ "since": "2026-10-01", "until": "2026-10-31" }));
    assert_eq!(keys(&report), ["2026-11"]);
    assert_eq!(report["rows"][0]["previous"]["cost_usd"], 2);
    let report =
        cost(&ledger, &["--by", "week", "--since", "2026-11-02", "--until", "2026-11-04", "--compare"]);
    assert_eq!(report["compared_with"], json!({ "since": "2026-10-26", "until": "2026-10-28" }));
    assert_eq!(keys(&report), ["2026-W45"]);
}

#[test]
fn a_session_is_compared_with_the_one_before_in_its_project() {
    let ledger = rich();
    let report = cost(&ledger, &["--by", "session", "--compare"]);
    let row = |at: usize| &report["rows"][at];
    assert_eq!(row(0)["previous"], Value::Null);
    assert_eq!((&row(1)["previous"]["key"], &row(1)["change_usd"]), (&json!("11111111-aaaa"), &json!(10.99)));
    assert_eq!(row(2)["previous"], Value::Null, "the first one of another project");
    assert_eq!(report["total"]["previous"], Value::Null);

    let report =
        cost(&ledger, &["--by", "session", "--compare", "--project", "/work/shop", "--until", "2026-11-02"]);
    assert_eq!(report["total"]["change_usd"], Value::Null);
    assert_eq!(
        (&report["changes"]["key"], &report["changes"]["previous_key"]),
        (&json!("22222222-bbbb"), &json!("11111111-aaaa"))
    );
    let change = &report["changes"]["by_model"][0];
    assert_eq!((&change["key"], &change["change_usd"]), (&json!("claude-haiku-5-5"), &json!(8)));

    let late =
        cost(&ledger, &["--by", "session", "--compare", "--since", "2026-11-02", "--until", "2026-11-02"]);
    assert_eq!(late["rows"][0]["previous"]["key"], "11111111-aaaa", "which is older than the period");
}

// What people see.

/// Stdout of `cost`, which fits 80 columns.
fn shown(ledger: &Ledger, args: &[&str]) -> String {
    let text = ledger.run(&[&["cost", "--color", "never", "--tz", "UTC"], args].concat()).text().to_owned();
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
        assert_eq!(line, line.trim_end());
    }
    text
}

#[test]
fn cost_by_day() {
    insta::assert_snapshot!(shown(&rich(), &[]));
}

#[test]
fn cost_by_session() {
    insta::assert_snapshot!(shown(&rich(), &["--by", "session"]));
}

#[test]
fn cost_by_agent_in_detail() {
    insta::assert_snapshot!(shown(&rich(), &["--by", "agent", "--detail", "--until", "2026-11-05"]));
}

#[test]
fn a_model_without_a_price_has_no_cost_where_changes_are_told_either() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    // What it wrote came to no token: a share of nothing, which is not free for that.
    let answer = session.answer("msg_1", 2, 0).with_model("house-model");
    session.transcript().write(&[session.says(1), answer]);
    ledger.import();
    let report =
        cost(&ledger, &["--by", "month", "--since", "2099-11-01", "--until", "2099-11-30", "--compare"]);
    for cause in ["by_model", "by_tool", "by_agent"] {
        for row in report["changes"][cause].as_array().unwrap() {
            assert_eq!(
                (&row["cost_usd"], &row["unpriced_models"]),
                (&Value::Null, &json!(["house-model"])),
                "{row}"
            );
        }
    }
    assert_eq!(report["changes"]["by_model"][0]["key"], "house-model", "{report:#}");
}

#[test]
fn cost_compared() {
    let period = ["--since", "2026-11-02", "--until", "2026-11-04", "--compare"];
    insta::assert_snapshot!(shown(&rich(), &period));
    insta::assert_snapshot!("cost_of_sessions_compared", shown(&rich(), &["--by", "session", "--compare"]));
}

#[test]
fn help_of_cost() {
    insta::assert_snapshot!(Ledger::new().run(&["cost", "--help"]).text());
}

#[test]
fn hostile_and_large_values_break_no_table() {
    let big = Spent {
        tokens: 1_000_000_000_000_000,
        pico: [9_000 * USD; 5],
        ..Spent::at("2026-11-02T09:00:00Z")
            .unpriced("x\u{1b}[31m\u{202e}\nmodel-of-a-very-long-name-that-goes-on-and-on-and-on-for-ever")
    };
    let ledger = ledger_with(&[
        big.clone(),
        Spent { priced: true, branch: "\u{7}|\t\n\u{1b}]0;title\u{7}", session: 2, ..big.clone() },
        Spent {
            priced: true,
            branch: "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字",
            session: 3,
            ..big
        },
        Spent { pico: [1_000_000, 0, 0, 0, 0], branch: "tiny", ..Spent::at("2026-11-02T09:00:00Z") },
    ]);
    let long = format!("/work/{}/end", "deep/".repeat(60));
    ledger.sqlite().execute("UPDATE sessions SET project = ?1, topic = ?1 WHERE id = 2", [&long]).unwrap();
    for by in ["day", "session", "project", "branch", "model", "client", "agent"] {
        for more in [&[][..], &["--detail"], &["--compare", "--since", "2026-11-01", "--until", "2026-11-05"]]
        {
            let text = shown(&ledger, &[&["--by", by], more].concat());
            assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text}");
            cost(&ledger, &[&["--by", by], more].concat());
        }
    }
    let projects = shown(&ledger, &["--by", "project"]);
    assert!(projects.contains("/end "), "a path is cut at its start: {projects}");
    assert!(shown(&ledger, &["--by", "branch"]).contains(" <$"), "little is not nothing");
}

// Laws.

fn query(by: By, zone: Zone) -> Query {
    let today = Day::parse("2026-11-22").unwrap();
    Query { by, since: None, until: None, projects: None, model: None, compare: false, today, zone }
}

#[test]
fn rows_are_the_total_whatever_was_spent_and_wherever() {
    const ZONES: [&str; 6] = [
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Pacific/Auckland",
        "Australia/Lord_Howe",
        "America/St_Johns",
    ];
    const KEYS: [By; 9] = [
        By::Day,
        By::Week,
        By::Month,
        By::Session,
        By::Project,
        By::Branch,
        By::Model,
        By::Client,
        By::Agent,
    ];
    let ledger = ledger_with(&[]);
    let store = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
    let row = (
        (prop_oneof![Just(-1_i64), 1_960_000_i64..2_010_000], 1_i64..6, 0_usize..5, 0_usize..4, 0_usize..3),
        (any::<bool>(), 0_i64..1_000_000_000_000, 0_i64..i64::MAX, 0_i64..5_000_000_000_000),
    );
    let strategy = (proptest::collection::vec(row, 0..60), 0..ZONES.len(), 0..KEYS.len(), any::<bool>());
    proptest!(cases(60), |((rows, zone, by, compare) in strategy)| {
        let mut db = ledger.sqlite();
        let tx = db.transaction().unwrap();
        tx.execute("DELETE FROM usage_buckets", []).unwrap();
        let mut sessions = BTreeSet::new();
        for ((quarter, session, agent, model, branch), (priced, tokens, large, small)) in rows {
            // Reports add up in 128 bits, but no row of the ledger holds more than 64: one large sum a session and key.
            let is_first = quarter < 0 || sessions.insert((session, agent == 1, model, priced));
            let large = if is_first { large } else { small };
            let agent = ["", "(hidden)", "a1", "a3", "x"][agent];
            let model = ["", "claude-opus-5-5", "claude-haiku-5-5", "house-model"][model];
            let branch = ["", "main", "topic"][branch];
            tx.execute(
                "INSERT OR REPLACE INTO usage_buckets VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, ?7, ?7, ?7, 1, ?8, ?9, ?9, ?9, 0,
                   0, 0, 0, 0)",
                params![quarter, session, agent, model, branch, priced, tokens, large, small],
            ).unwrap();
        }
        roll_up(&tx);
        tx.commit().unwrap();
        let sum = |value: &str| -> i128 {
            let mut statement = db.prepare(&format!("SELECT {value} FROM usage_buckets WHERE priced")).unwrap();
            let values = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
            values.map(|value| i128::from(value.unwrap())).sum()
        };
        let mut query = query(KEYS[by], Zone::named(ZONES[zone]).unwrap());
        let report = CostReport::of(&store, &query).unwrap();
        let json: Value = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        let total = report.total.sum.cost_usd.unwrap_or_default();
        prop_assert_eq!(total.as_pico(), sum("input_pico") + sum("output_pico") + 2 * sum("cache_read_pico"));
        let rows = &report.rows;
        prop_assert_eq!(rows.iter().filter_map(|row| row.sum.cost_usd).sum::<PicoUsd>(), total);
        prop_assert_eq!(rows.iter().map(|row| row.sum.usage).sum::<Usage>(), report.total.sum.usage);
        prop_assert_eq!(json["rows"].as_array().unwrap().len(), rows.len());
        if compare {
            // A cut through the middle loses nothing either, and both sides of a comparison add up.
            query.since = Day::parse("2026-03-29");
            query.until = Day::parse("2026-08-15");
            let inside = CostReport::of(&store, &query).unwrap().total.sum;
            query.compare = true;
            let compared = CostReport::of(&store, &query).unwrap();
            prop_assert_eq!(&compared.total.sum.usage, &inside.usage);
            let previous = |change: &Option<tallyhook::report::cost::CostChange>| {
                change.as_ref().and_then(|change| change.previous.as_ref()).map(|previous| previous.sum.usage)
            };
            if query.by != By::Session {
                let before: Usage = compared.rows.iter().filter_map(|row| previous(&row.change)).sum();
                prop_assert_eq!(Some(before), previous(&compared.total.change));
            }
        }
    });
}

// The money of `show-usage`.

/// A session with responses, and what was spent for them.
fn session_with_money() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s").in_folder(Path::new("/work/shop"));
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 40),
        session.answer("msg_2", 90, 60).with_model("house-model"),
    ]);
    session.subagent("subagents", "a1").write(&[session.answer_of("a1", "msg_3", 7, 80)]).meta("Explore");
    ledger.hook(session.start()).hook(session.prompt("prompt-1")).hook(session.stop());
    ledger.sqlite().execute("DELETE FROM usage_buckets", []).unwrap();
    let hidden =
        Spent { agent: "(hidden)", branch: "", tokens: 1, responses: 0, ..Spent::at("2099-11-22T10:00:00Z") };
    for row in [
        Spent {
            savings: USD / 4,
            shortfall: [1, 50, USD / 100],
            ..Spent::at("2099-11-22T10:00:00Z").dollars(3)
        },
        Spent::at("2099-11-22T10:00:00Z").unpriced("house-model"),
        Spent { agent: "a1", savings: USD / 4, ..Spent::at("2099-11-22T10:00:00Z") },
        hidden,
    ] {
        insert(&ledger, &row);
    }
    roll_up(&ledger.sqlite());
    (ledger, session)
}

trait WithModel {
    fn with_model(self, model: &str) -> Value;
}

impl WithModel for Value {
    fn with_model(mut self, model: &str) -> Value {
        self["message"]["model"] = json!(model);
        self
    }
}

#[test]
fn a_session_shows_what_it_cost() {
    let (ledger, _) = session_with_money();
    let report = ledger.run(&["show-usage", "--session", "s", "--history", "--json"]).json();
    let actual = &report["actual"];
    assert_eq!((&actual["cost_usd"], &actual["cost"]["output_usd"]), (&json!(5), &json!(2.5)));
    assert_eq!(
        (&actual["cache_savings_usd"], &actual["unpriced_models"]),
        (&json!(0.5), &json!(["house-model"]))
    );
    assert_eq!(actual["output_shortfall"], json!({ "tokens": 50, "cost_usd": 0.01, "responses": 1 }));
    assert_eq!(
        (&actual["hidden"]["cost_usd"], &actual["hidden"]["usage"]["output_tokens"]),
        (&json!(1), &json!(1))
    );
    for (table, key) in [("by_agent", "agent"), ("by_model", "model")] {
        let rows = report[table].as_array().unwrap();
        assert_eq!(
            rows.iter().map(|row| usage(&row["usage"])).sum::<Usage>(),
            usage(&actual["usage"]),
            "{key}"
        );
        assert_eq!(
            rows.iter().map(|row| pico(&row["cost_usd"])).sum::<PicoUsd>(),
            pico(&actual["cost_usd"]),
            "{key}"
        );
    }
    let agents: Vec<&Value> =
        report["by_agent"].as_array().unwrap().iter().map(|row| &row["agent"]).collect();
    assert_eq!(agents, ["main", "Explore", "(hidden)"]);
    let spent = &ledger.run(&["cost", "--by", "session", "--json"]).json()["rows"][0];
    assert_eq!(spent["total_tokens"], report["history"][0]["total_tokens"]);
    assert_eq!(report["history"][0]["cost_usd"], 5);
    // 89 seconds; no lines were changed.
    assert_eq!(report["efficiency"]["cost_per_minute_usd"].to_string(), "3.370786516854");
    assert_eq!(report["efficiency"]["cost_per_line_usd"], Value::Null);
    let one = ledger.run(&["show-usage", "--session", "s", "--agent", "(hidden)", "--json"]).json();
    assert_eq!((&one["actual"]["cost_usd"], &one["actual"]["total_tokens"]), (&json!(1), &json!(5)));
}

#[test]
fn show_usage_with_money() {
    let (ledger, _) = session_with_money();
    let text = ledger.run(&["show-usage", "--session", "s", "--detailed", "--history"]).text().to_owned();
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_context_knows_its_window() {
    let (ledger, session) = session_with_money();
    session.transcript().append(&[session.answer("msg_4", 95, 9)]);
    let report = ledger.run(&["show-usage", "--session", "s", "--json"]).json();
    let context = &report["context"];
    let window = context["window"].as_f64().unwrap();
    assert_eq!(context["used_percent"], context["tokens"].as_f64().unwrap() * 100.0 / window);
}

// What is shown first.

#[test]
fn of_many_days_the_last_14_have_a_row_and_what_has_no_day_keeps_its_own() {
    let day = |number: u32| -> &'static str { format!("2026-11-{number:02}T12:00:00Z").leak() };
    let mut spent: Vec<Spent> = (1..=20).map(|number| Spent::at(day(number)).dollars(1)).collect();
    spent.push(Spent { at: None, ..Spent::at("").dollars(64) });
    let ledger = ledger_with(&spent);
    let shown = |args: &[&str]| ledger.run(&[&["cost", "--tz", "UTC"], args].concat()).text().to_owned();
    let days = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("2026-11-"));
        lines.map(|line| line[8..10].to_owned()).collect()
    };
    let all: Vec<String> = (1..=20).map(|number| format!("{number:02}")).collect();
    let short = shown(&[]);
    assert_eq!(days(&short), all[6..]);
    let row = |name: &str| short.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(row("6 earlier days").contains("$6.00"), "{short}");
    assert!(row("(none)").contains("$64.00"), "{short}");
    assert!(row("total").contains("$84.00"), "{short}");
    assert_eq!(days(&shown(&["--all"])), all);
    assert_eq!(days(&shown(&["--since", "2026-11-01"])), all, "who names a first day wants all");
    assert_eq!(keys(&cost(&ledger, &[])).len(), 21, "the JSON has all");
}

#[test]
fn sessions_come_in_the_order_that_is_asked_for() {
    let at = |session, tokens, dollars| Spent {
        session,
        tokens,
        ..Spent::at("2026-11-02T09:00:00Z").dollars(dollars)
    };
    let unpriced =
        Spent { session: 4, tokens: 500, ..Spent::at("2026-11-02T09:00:00Z").unpriced("house-model") };
    let ledger = ledger_with(&[at(1, 100, 2), at(2, 10, 8), at(3, 1_000, 1), unpriced]);
    for (order, title, expected) in [
        ("time", "Recent sessions", "4321"),
        ("cost", "Sessions by cost", "2134"),
        ("tokens", "Sessions by tokens", "3412"),
    ] {
        let first = |ran: &str| -> String {
            let is_row = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
            ran.lines().filter(is_row).map(|line| &line[..1]).collect()
        };
        let text = ledger.run(&["history", "--sort", order]).text().to_owned();
        assert_eq!((text.lines().next(), &*first(&text)), (Some(title), expected), "{text}");
        let json = ledger.run(&["history", "--sort", order, "--limit", "3", "--json"]).json();
        let ids = json["rows"].as_array().unwrap().iter().map(|row| &row["id"].as_str().unwrap()[..1]);
        assert_eq!(ids.collect::<String>(), expected[..3]);
        assert_eq!((&json["earlier"]["sessions"], &json["totals"]["sessions"]), (&json!(1), &json!(4)));
    }
}

#[test]
fn weeks_are_named_by_their_days() {
    for (week, days) in [
        ("2026-W47", Some("Nov 16–22")),
        ("2026-W49", Some("Nov 30–Dec 6")),
        ("2026-W53", Some("Dec 28–Jan 3")),
        ("2026-W54", None),
        ("2026-11-16", None),
    ] {
        assert_eq!(Day::dates_of_week(week).as_deref(), days, "{week}");
    }
}
