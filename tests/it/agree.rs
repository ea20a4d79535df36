//! One ledger with a bit of everything, and every number in every face: it is what `cost --json` and `export` say.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tallyhook::domain::{PicoUsd, Timestamp, Usage, grouped};

use crate::bill::cost_state;
use crate::faces::{chrono_now, csv_rows};
use crate::support::{Example, Ledger, Ran, Session, With, usage};

const SONNET: &str = "claude-sonnet-4-5-20250929";
const BYS: [&str; 15] = [
    "day",
    "week",
    "month",
    "session",
    "project",
    "branch",
    "model",
    "client",
    "agent",
    "tool",
    "skill",
    "mcp",
    "step",
    "action",
    "file-type",
];
/// The clocks went back there in the night between the first and the second day.
const ZONE: &str = "Europe/Berlin";
pub(crate) const FIRST: &str = "aaaaaaaa-1111";
const SECOND: &str = "bbbbbbbb-2222";
const TODAY: &str = "cccccccc-3333";
/// What an agent without hooks has reported, in USD.
const REPORTED: &str = "0.25";

/// Sessions of two projects in the night when the clocks go back, a subagent, hidden calls, a skill, an MCP
/// server, an advisor and a model without a price.
pub(crate) fn two_projects() -> Ledger {
    let ledger = Ledger::new();
    let call = |id: &str, tool: &str, input: Value| json!([{ "type": "tool_use", "id": id, "name": tool, "input": input }]);
    let first = Session::new(&ledger, FIRST).in_folder(Path::new("/work/shop"));
    let of = |line: Value, at: &str| line.with("timestamp", at).with("gitBranch", "main");
    let sonnet = |line: Value| line.with("message.model", SONNET);
    let advice = json!([
        { "type": "message", "input_tokens": 3, "output_tokens": 70 },
        { "type": "advisor_message", "model": "claude-opus-4-1-20250805", "input_tokens": 40, "output_tokens": 200 },
    ]);
    let result = |id: &str, text: &str| {
        first
            .result(1)
            .with("message.content", json!([{ "type": "tool_result", "tool_use_id": id, "content": text }]))
    };
    first.transcript().write(&[
        of(first.says(1), "2025-10-25T20:00:00.000Z"),
        of(sonnet(first.answer("msg_1", 1, 70)), "2025-10-25T20:00:05.000Z")
            .with("message.content", call("toolu_1", "Read", json!({ "file_path": "/work/shop/a.rs" })))
            .with("message.stop_reason", "tool_use")
            .with("message.usage.iterations", advice),
        of(result("toolu_1", &"word ".repeat(900)), "2025-10-25T20:00:06.000Z"),
        of(sonnet(first.answer("msg_2", 1, 900)), "2025-10-26T00:30:00.000Z")
            .with("message.content", call("toolu_2", "Skill", json!({ "skill": "review" })))
            .with("message.stop_reason", "tool_use"),
        of(result("toolu_2", "Launching"), "2025-10-26T00:30:01.000Z"),
        of(sonnet(first.answer("msg_3", 1, 300)), "2025-10-26T01:30:00.000Z")
            .with("message.content", call("toolu_3", "mcp__tracker__get", json!({ "id": 5 })))
            .with("message.stop_reason", "tool_use"),
        of(result("toolu_3", &"issue ".repeat(300)), "2025-10-26T01:30:02.000Z"),
        of(sonnet(first.answer("msg_4", 1, 40)), "2025-10-26T22:30:00.000Z"),
        cost_state(
            FIRST,
            &[(
                SONNET,
                Usage {
                    input: 2_000,
                    output: 5_000,
                    cache_read: 900,
                    cache_write_5m: 90,
                    ..Usage::default()
                },
            )],
        )
        .with("startTime", Timestamp::parse("2025-10-25T19:59:59Z").unwrap().as_millis()),
    ]);
    first.subagent("subagents", "a1").meta("Explore").write(&[of(
        first.answer_of("a1", "msg_5", 1, 5_000).with("message.model", "claude-haiku-4-5-20251001"),
        "2025-10-26T00:10:00.000Z",
    )]);
    let second = Session::new(&ledger, SECOND).in_folder(Path::new("/work/blog"));
    second.transcript().write(&[
        of(second.says(1), "2025-10-26T10:00:00.000Z"),
        of(second.answer("msg_6", 1, 80).with("message.model", "house-model"), "2025-10-26T10:00:09.000Z"),
        of(sonnet(second.answer("msg_7", 1, 60)), "2025-10-26T10:01:09.000Z").with("gitBranch", "topic"),
    ]);
    ledger.import();
    ledger
}

/// The same with a session of today, what hooks tell, a named step, a budget and a report.
fn busy() -> Ledger {
    // Where there is room, all digits are shown.
    let ledger = two_projects().with_var("COLUMNS", "200");
    let first = Session::new(&ledger, FIRST).in_folder(Path::new("/work/shop"));
    let sonnet = |line: Value| line.with("message.model", SONNET);
    let today = Session::new(&ledger, TODAY);
    let now = Timestamp::from_millis(chrono_now()).to_rfc3339();
    today.transcript().write(&[
        today.says(1).with("timestamp", &*now),
        sonnet(today.answer("msg_8", 1, 90_000)).with("timestamp", &*now),
    ]);
    // What a session has cost is not what the day has.
    let other = Session::new(&ledger, "dddddddd-4444");
    other.transcript().write(&[sonnet(other.answer("msg_9", 1, 1_237)).with("timestamp", &*now)]);
    ledger.import();
    ledger.it_is(&now);
    for session in [&first, &today] {
        ledger.hook(session.start()).hook(session.tool("Bash", "toolu_9")).hook(session.stop());
    }
    let done: [&[&str]; 3] = [
        &["budget", "set", "100", "--per", "total"],
        &["report-usage", "--agent-id", "nightly", "--cost", REPORTED],
        &["step", "start", "the release", "--session", TODAY],
    ];
    for args in done {
        let ran = ledger.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    ledger
}

fn pico(value: &Value) -> PicoUsd {
    if value.is_null() {
        PicoUsd::ZERO
    } else {
        PicoUsd::parse(&value.to_string()).unwrap_or_else(|| panic!("{value}"))
    }
}

/// A sum of money in JSON is exact to what a double holds.
#[track_caller]
fn assert_same(one: PicoUsd, other: PicoUsd, what: &str) {
    assert!((one - other).as_pico().unsigned_abs() < 1_000, "{what}: {one:?} is not {other:?}");
}

#[track_caller]
fn assert_equal(one: &Value, other: &Value, what: &str) {
    assert_eq!(one["total_tokens"], other["total_tokens"], "{what}");
    assert_same(pico(&one["cost_usd"]), pico(&other["cost_usd"]), what);
    if !one["usage"].is_null() && !other["usage"].is_null() {
        assert_eq!(usage(&one["usage"]), usage(&other["usage"]), "{what}");
    }
}

/// Fails unless a person reads `sum` in a text: the same digits, as many as are shown.
#[track_caller]
fn assert_reads(text: &str, sum: PicoUsd, what: &str) {
    let shown =
        text.trim_matches('*').trim().trim_start_matches(['≥', ' ', '\\', '$']).replace([',', '\\'], "");
    let decimals = shown.split_once('.').map_or(0, |(_, digits)| digits.len());
    let read = PicoUsd::parse(&shown).unwrap_or_else(|| panic!("{what}: {text:?} is no sum"));
    let step = PicoUsd::DOLLAR.as_pico() / 10_i128.pow(u32::try_from(decimals).unwrap());
    assert!((read - sum).as_pico().abs() * 2 <= step, "{what}: {text} is not {sum:?}");
}

fn keyed<'v>(report: &'v Value, rows: &str, key: &str) -> BTreeMap<String, &'v Value> {
    let rows = report[rows].as_array().unwrap();
    rows.iter().map(|row| (row[key].as_str().unwrap_or("(none)").to_owned(), row)).collect()
}

fn column(rows: &[Vec<String>], name: &str) -> usize {
    rows[0].iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}: {:?}", rows[0]))
}

/// The cells of the last row of a Markdown table under a heading.
fn last_row<'t>(text: &'t str, heading: &str) -> Vec<&'t str> {
    let (_, table) = text.split_once(heading).unwrap_or_else(|| panic!("{heading}: {text}"));
    let rows =
        table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.last().unwrap().trim_matches('|').split('|').map(str::trim).collect()
}

/// Fails unless a CSV has the tokens, where it has any, and the cost of each row in their order, and of the total last.
#[track_caller]
fn assert_shows(csv: &[Vec<String>], mut rows: Vec<(u64, PicoUsd)>, total: (u64, PicoUsd), what: &str) {
    // One row alone has no total.
    if rows.len() > 1 || csv.len() > 2 {
        rows.push(total);
    }
    assert_eq!(csv.len() - 1, rows.len(), "{what}: {csv:?}");
    let cost = csv[0].iter().position(|name| name.starts_with("cost")).unwrap();
    let tokens = csv[0].iter().position(|name| ["tokens", "total"].contains(&&**name));
    for (shown, row) in csv[1..].iter().zip(&rows) {
        assert_same(PicoUsd::parse(&shown[cost]).unwrap_or_default(), row.1, what);
        if let Some(tokens) = tokens {
            assert_eq!(shown[tokens], row.0.to_string(), "{what}: {shown:?}");
        }
    }
}

/// Fails unless each line of a table reads the tokens and the cost of its row.
#[track_caller]
fn assert_reads_rows<'t>(
    lines: impl Iterator<Item = &'t str>,
    rows: impl Iterator<Item = (u64, PicoUsd)>,
    what: &str,
) {
    let (lines, rows): (Vec<_>, Vec<_>) = (lines.collect(), rows.collect());
    assert_eq!(lines.len(), rows.len(), "{what}: {lines:#?}");
    for (line, (tokens, cost)) in lines.into_iter().zip(rows) {
        assert!(
            line.split("  ").any(|cell| cell.trim() == grouped(tokens)),
            "{what}: {tokens} is not in {line}"
        );
        let reads = |cell: &str| {
            let shown = cell.trim_start_matches(['≥', ' ']);
            let (sum, low) = (shown.trim_start_matches(['<', '$']).replace(',', ""), shown.starts_with('<'));
            let decimals = sum.split_once('.').map_or(0, |(_, digits)| digits.len());
            let step = PicoUsd::DOLLAR.as_pico() / 10_i128.pow(u32::try_from(decimals).unwrap());
            PicoUsd::parse(&sum)
                .is_some_and(|read| if low { cost < read } else { (read - cost).as_pico().abs() * 2 <= step })
        };
        let mut sums = line.split("  ").map(str::trim).filter(|cell| cell.contains('$'));
        let is_unknown = cost == PicoUsd::ZERO && line.contains('?');
        assert!(is_unknown || sums.any(reads), "{what}: {cost:?} is not in {line}");
    }
}

fn run(ledger: &Ledger, args: &[&str]) -> Ran {
    let ran = ledger.run(&[args, &["--color", "never"]].concat());
    assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    ran
}

fn found_row<'v>(report: &'v Value, by: &str, key: &Value) -> &'v Value {
    report["rows"].as_array().unwrap().iter().find(|row| row[by] == *key).unwrap()
}

fn total_of(ledger: &Ledger) -> Value {
    run(ledger, &["cost", "--json", "--tz", ZONE]).json()["total"].clone()
}

fn export(ledger: &Ledger, what: &str) -> Vec<Value> {
    let text = run(ledger, &["export", "--what", what, "--tz", ZONE]).json();
    text[what].as_array().unwrap().clone()
}

#[test]
fn the_ledger_has_a_bit_of_everything() {
    let ledger = busy();
    let keys = |by: &str| {
        let report = run(&ledger, &["cost", "--by", by, "--json", "--tz", ZONE]).json();
        keyed(&report, "rows", "key").into_keys().collect::<Vec<_>>()
    };
    let has = |by: &str, wanted: &[&str]| {
        let keys = keys(by);
        for key in wanted {
            assert!(keys.iter().any(|found| found == key), "{by}: {keys:?}");
        }
    };
    has("day", &["2025-10-25", "2025-10-26"]);
    has("model", &[SONNET, "house-model", "claude-haiku-4-5-20251001", "claude-opus-4-1-20250805"]);
    has("agent", &["main", "Explore", "(hidden)"]);
    has("tool", &["Read", "mcp__tracker__get", "Skill", "(hidden)"]);
    has("skill", &["review"]);
    has("mcp", &["tracker"]);
    has("file-type", &["rs"]);
    assert_eq!(total_of(&ledger)["unpriced_models"], json!(["house-model"]));
}

#[test]
fn cost_by_anything_is_the_total_in_every_format() {
    let ledger = busy();
    let total = total_of(&ledger);
    let cost = pico(&total["cost_usd"]);
    assert!(cost > PicoUsd::ZERO);
    for by in BYS {
        let ask = |more: &[&str]| run(&ledger, &[&["cost", "--by", by, "--tz", ZONE], more].concat());
        let report = ask(&["--json"]).json();
        assert_equal(&report["total"], &total, by);
        let rows = report["rows"].as_array().unwrap();
        assert_eq!(
            rows.iter().map(|row| usage(&row["usage"])).sum::<Usage>(),
            usage(&total["usage"]),
            "{by}"
        );
        assert_same(rows.iter().map(|row| pico(&row["cost_usd"])).sum(), cost, by);
        let csv = csv_rows(ask(&["--format", "csv"]).text());
        let of = |row: &Value| (row["total_tokens"].as_u64().unwrap(), pico(&row["cost_usd"]));
        assert_shows(&csv, rows.iter().map(of).collect(), of(&total), by);
        for (row, shown) in rows.iter().zip(&csv[1..]).filter(|_| !["session", "project"].contains(&by)) {
            assert_eq!(row["key"], *shown[0], "{by}");
        }
        for (name, member) in [("entry", "entry_cost_usd"), ("carry", "carry_cost_usd")] {
            let Some(at) = csv[0].iter().position(|column| column == name) else { continue };
            for (row, shown) in rows.iter().zip(&csv[1..]) {
                assert_same(PicoUsd::parse(&shown[at]).unwrap_or_default(), pico(&row[member]), by);
            }
        }
        let markdown = ask(&["--format", "markdown"]).stdout;
        let in_markdown = markdown.lines().filter(|line| line.starts_with('|')).count() - 2;
        assert_eq!(in_markdown, csv.len() - 1, "{by}: {markdown}");
        let cells = last_row(&markdown, "### Cost by");
        let shown =
            cells.iter().filter(|cell| cell.contains('$')).max_by_key(|cell| cell.contains('≥')).unwrap();
        assert_reads(shown, cost, by);
        let text = ask(&[]).stdout;
        let table = text.lines().skip(3).take_while(|line| !line.is_empty());
        assert_reads_rows(table, rows.iter().map(of).chain((rows.len() > 1).then(|| of(&total))), by);
        // One row alone has no total.
        let line = text.lines().rfind(|line| line.starts_with("total")).or(text.lines().nth(3)).unwrap();
        let (_, shown) = line.split_once('≥').unwrap_or_else(|| panic!("{by}: {line}"));
        assert_reads(shown.trim().split(' ').next().unwrap(), cost, by);
    }
    let csv = csv_rows(&run(&ledger, &["cost", "--detail", "--format", "csv", "--tz", ZONE]).stdout);
    let shown = csv.last().unwrap();
    for (name, member) in [
        ("input", "input_usd"),
        ("output", "output_usd"),
        ("cache read", "cache_read_usd"),
        ("cache write", "cache_write_usd"),
        ("web search", "web_search_usd"),
    ] {
        let own = PicoUsd::parse(&shown[column(&csv, name)]).unwrap();
        assert_same(own, pico(&total["cost"][member]), name);
    }
    assert_same(PicoUsd::parse(shown.last().unwrap()).unwrap(), cost, "in detail");
}

#[test]
fn sessions_are_the_same_in_history_show_usage_cost_and_export() {
    let ledger = busy();
    let total = total_of(&ledger);
    let report = run(&ledger, &["cost", "--by", "session", "--json", "--tz", ZONE]).json();
    let by_session = keyed(&report, "rows", "key");
    let history = run(&ledger, &["history", "--all", "--json"]).json();
    assert_equal(&history["totals"], &total, "history");
    let recent = keyed(&history, "rows", "id");
    let exported = export(&ledger, "sessions");
    let responses = export(&ledger, "responses");
    let steps = export(&ledger, "steps");
    for (id, spent) in &by_session {
        assert_equal(recent[id], spent, "history");
        let shown = run(&ledger, &["show-usage", "--session", id, "--history", "--json"]).json();
        assert_equal(&shown["actual"], spent, "show-usage");
        let own = shown["history"].as_array().unwrap().iter().find(|row| row["id"] == **id).unwrap();
        assert_equal(own, spent, "show-usage --history");
        let record = exported.iter().find(|record| record["id"] == **id).unwrap();
        assert_equal(record, spent, "export");
        for member in ["by_agent", "by_model", "by_step", "estimate"] {
            // What awaits the model is no part of a record.
            let without = |value: &Value| value.clone().with("pending", Value::Null);
            let is_estimate = member == "estimate";
            let (one, other) = (&record[member], &shown[member]);
            assert!(
                if is_estimate { without(one) == without(other) } else { one == other },
                "{member}: {one} {other}"
            );
        }
        for member in ["by_agent", "by_model", "by_step", "by_tool"] {
            let rows = shown[member].as_array().unwrap();
            let tokens: u64 = rows.iter().map(|row| row["total_tokens"].as_u64().unwrap()).sum();
            assert_eq!(tokens, spent["total_tokens"].as_u64().unwrap(), "{member}");
            assert_same(
                rows.iter().map(|row| pico(&row["cost_usd"])).sum(),
                pico(&spent["cost_usd"]),
                member,
            );
        }
        let of_session = |rows: &[Value]| -> u64 {
            let own = rows.iter().filter(|row| row["session_id"] == **id);
            own.map(|row| row["total_tokens"].as_u64().unwrap()).sum()
        };
        let hidden = usage(&record["hidden"]["usage"]).total();
        assert_eq!(of_session(&responses) + hidden, spent["total_tokens"].as_u64().unwrap(), "{id}");
        let own = responses.iter().filter(|row| row["session_id"] == **id);
        assert_same(
            own.map(|row| pico(&row["cost_usd"])).sum::<PicoUsd>() + pico(&record["hidden"]["cost_usd"]),
            pico(&spent["cost_usd"]),
            "responses and what is hidden",
        );
        assert_eq!(of_session(&steps), spent["total_tokens"].as_u64().unwrap(), "{id}");
        let text = run(&ledger, &["show-usage", "--session", id]).stdout;
        let line = text.lines().find(|line| line.starts_with("tokens ")).unwrap();
        let tokens = format!("{} billed", grouped(spent["total_tokens"].as_u64().unwrap()));
        assert_eq!(line[10..].split(" · ").next().unwrap(), tokens, "{id}");
        let line = text.lines().find(|line| line.starts_with("cost ")).unwrap();
        assert_reads(
            line[10..].trim_start_matches("≥ ").split(' ').next().unwrap(),
            pico(&spent["cost_usd"]),
            id,
        );
    }
    let of = |row: &Value| (row["total_tokens"].as_u64().unwrap(), pico(&row["cost_usd"]));
    let rows: Vec<_> = history["rows"].as_array().unwrap().iter().map(of).collect();
    let csv = csv_rows(&run(&ledger, &["history", "--all", "--format", "csv"]).stdout);
    assert_shows(&csv, rows.clone(), of(&total), "history");
    let text = run(&ledger, &["history", "--all"]).stdout;
    let table = text.lines().skip(3).take_while(|line| !line.is_empty());
    assert_reads_rows(table, rows.into_iter().chain([of(&total)]), "history");
}

#[test]
fn the_error_of_estimates_is_the_same_in_show_usage_and_export() {
    let example = Example::replayed();
    let exported = export(&example.ledger, "sessions");
    let record = exported.iter().find(|record| record["id"] == Example::SESSION).unwrap();
    let shown = run(&example.ledger, &["show-usage", "--session", Example::SESSION, "--json"]).json();
    assert!(shown["estimate"]["error_percent"].is_f64(), "{shown:#}");
    assert_eq!(record["estimate"]["error_percent"], shown["estimate"]["error_percent"]);
}

#[test]
fn exports_are_the_same_in_every_format() {
    let ledger = busy();
    let total = total_of(&ledger);
    for what in ["sessions", "days", "responses", "steps"] {
        let records = export(&ledger, what);
        let args = ["export", "--what", what, "--tz", ZONE, "--format"];
        let lines = run(&ledger, &[&args[..], &["jsonl"]].concat()).stdout;
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, records, "{what}");
        let csv = csv_rows(&run(&ledger, &[&args[..], &["csv"]].concat()).stdout);
        let (tokens, cost) = (column(&csv, "total_tokens"), column(&csv, "cost_usd"));
        for (row, record) in csv[1..].iter().zip(&records) {
            assert_eq!(row[tokens], record["total_tokens"].to_string(), "{what}");
            assert_same(PicoUsd::parse(&row[cost]).unwrap_or_default(), pico(&record["cost_usd"]), what);
        }
        if what != "responses" {
            assert_same(
                records.iter().map(|row| pico(&row["cost_usd"])).sum(),
                pico(&total["cost_usd"]),
                what,
            );
        }
    }
    let reports = export(&ledger, "reports");
    assert_same(
        reports.iter().map(|row| pico(&row["cost_usd"])).sum(),
        PicoUsd::parse(REPORTED).unwrap(),
        "reports",
    );
}

#[test]
fn agents_tools_and_trends_are_cuts_of_cost() {
    let ledger = busy();
    let total = total_of(&ledger);
    for (command, by) in [("agents", "agent"), ("tools", "tool")] {
        let report = run(&ledger, &[command, "--json"]).json();
        assert_equal(&report["total"], &total, command);
        let cost = run(&ledger, &["cost", "--by", by, "--json", "--tz", ZONE]).json();
        let expected = keyed(&cost, "rows", "key");
        let found = keyed(&report, "rows", by);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{command}");
        for (key, row) in found {
            assert_equal(row, expected[&key], &key);
        }
        for row in cost["rows"].as_array().unwrap().iter().filter(|_| by == "tool") {
            let own = found_row(&report, by, &row["key"]);
            for phase in ["entry_cost_usd", "carry_cost_usd"] {
                assert_same(pico(&own[phase]), pico(&row[phase]), phase);
            }
        }
        let of = |row: &Value| (row["total_tokens"].as_u64().unwrap(), pico(&row["cost_usd"]));
        let csv = csv_rows(&run(&ledger, &[command, "--format", "csv"]).stdout);
        assert_shows(&csv, report["rows"].as_array().unwrap().iter().map(of).collect(), of(&total), command);
        let text = run(&ledger, &[command]).stdout;
        let line = text.lines().find(|line| line.starts_with("total")).unwrap();
        let (_, shown) = line.split_once('≥').unwrap();
        assert_reads(shown.trim().split(' ').next().unwrap(), pico(&total["cost_usd"]), command);
    }
    let trends = run(&ledger, &["trends", "--days", "3660", "--tz", ZONE, "--json"]).json();
    let days = run(&ledger, &["cost", "--since", "3660d", "--tz", ZONE, "--json"]).json();
    assert_same(pico(&trends["total_usd"]), pico(&days["total"]["cost_usd"]), "trends");
    let of = |row: &Value| (row["total_tokens"].as_u64().unwrap(), pico(&row["cost_usd"]));
    let csv = csv_rows(&run(&ledger, &["trends", "--days", "3660", "--tz", ZONE, "--format", "csv"]).stdout);
    let shown = trends["days"].as_array().unwrap().iter().map(of).collect();
    assert_shows(&csv, shown, of(&days["total"]), "trends");
    let all = keyed(&trends, "days", "date");
    for (day, row) in keyed(&days, "rows", "key") {
        assert_equal(all[&day], row, &day);
    }
}

#[test]
fn the_status_line_the_dashboard_and_budgets_say_the_same() {
    let ledger = busy();
    let total = total_of(&ledger);
    let report = run(&ledger, &["cost", "--by", "session", "--json", "--tz", ZONE]).json();
    let by_session = keyed(&report, "rows", "key");
    let today = run(&ledger, &["cost", "--since", "today", "--json", "--tz", "UTC"]).json();
    let payload = json!({ "session_id": TODAY, "model": { "display_name": "x" } }).to_string();
    let mut command = ledger.command(&["statusline", "--template", "{cost}|{today}|{budget}"]);
    let line = Ran::with_stdin(command.env("TZ", "UTC"), payload.as_bytes()).stdout;
    let parts: Vec<&str> = line.trim().split('|').collect();
    assert_reads(parts[0], pico(&by_session[TODAY]["cost_usd"]), "the session");
    assert_reads(parts[1], pico(&today["total"]["cost_usd"]), "today");

    let budget = run(&ledger, &["budget", "status", "--json"]).json()["budgets"][0].clone();
    let used = pico(&total["cost_usd"]) + PicoUsd::parse(REPORTED).unwrap();
    assert_same(pico(&budget["used_actual_usd"]), used, "the budget");
    assert_eq!(parts[2], format!("{:.0}%", budget["percent"].as_f64().unwrap()));
    let text = run(&ledger, &["budget", "status"]).stdout;
    let (_, shown) = text.split_once('$').unwrap();
    assert_reads(shown.split(' ').next().unwrap(), pico(&budget["used_usd"]), "budget status");

    run(&ledger, &["dashboard", "--markdown", "d.md", "--tz", "UTC"]);
    let text = std::fs::read_to_string(ledger.project().join("d.md")).unwrap();
    // All that is within twelve months of today, and within thirty days, is today's.
    for heading in ["### Weeks", "### Top agents", "### Top models", "### Top projects"] {
        let cells = last_row(&text, heading);
        let shown = cells.iter().find(|cell| cell.contains('$')).unwrap();
        assert_reads(shown, pico(&today["total"]["cost_usd"]), heading);
        // The rows make it.
        let (_, table) = text.split_once(heading).unwrap();
        let table =
            table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let rows: Vec<&str> = table.skip(2).collect();
        let (_, rows) = rows.split_last().unwrap();
        let sums = rows.iter().filter_map(|row| {
            row.split("\\$").nth(1)?.split(' ').next()?.replace(',', "").parse::<f64>().ok()
        });
        let sum: f64 = sums.sum();
        assert!(
            (sum - pico(&today["total"]["cost_usd"]).to_f64()).abs() < 0.02,
            "{heading}: {sum} {rows:#?}"
        );
    }
    assert!(last_row(&text, "### Budgets").iter().any(|cell| cell.contains("100.00")), "{text}");
}
