//! The faces of one truth: history, trends and exports say what `cost` says, in every format, whatever names are in it.

use std::path::Path;

use serde_json::{Value, json};
use tallyhook::calendar::Zone;
use tallyhook::domain::{PicoUsd, Timestamp, Usage};
use tallyhook::report::trends::Trends;
use unicode_width::UnicodeWidthStr as _;

use crate::support::{Example, Ledger, Session, With, at, files_below, repository, usage};

const WHATS: [&str; 7] = ["sessions", "calls", "responses", "days", "steps", "compactions", "reports"];

fn schema() -> Value {
    serde_json::from_slice(&std::fs::read(repository().join("examples/export.schema.json")).unwrap()).unwrap()
}

/// What is wrong with a value by as much of JSON Schema as ours uses. The crates that know all of it turn on another way to
/// read numbers in serde_json, for the program under test too, which is not the one that people get.
fn faults(schema: &Value, root: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = name.trim_start_matches("#/").split('/').fold(root, |place, part| &place[part]);
        assert!(target.is_object(), "{name} leads nowhere");
        return faults(target, root, value, path, found);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |wanted: &Value| wanted == kind || kind == "integer" && wanted == "number";
    let fits = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is_kind),
        wanted => is_kind(wanted),
    };
    if !fits {
        found.push(format!("{path} is {kind}, not {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{path} is {value}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        found.push(format!("{path} is {number}"));
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
        && Timestamp::parse(text).is_none()
    {
        found.push(format!("{path} is no time: {text}"));
    }
    if let Some(items) = value.as_array() {
        for (at, item) in items.iter().enumerate() {
            faults(&schema["items"], root, item, &format!("{path}[{at}]"), found);
        }
    }
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, member) in members {
            match properties.get(name) {
                Some(schema) => faults(schema, root, member, &format!("{path}.{name}"), found),
                None => found.push(format!("{path}.{name} is not in the schema")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                found.push(format!("{path}.{name} is missing"));
            }
        }
    }
}

fn export(ledger: &Ledger, what: &str, format: &str) -> String {
    let ran = ledger.run(&["export", "--what", what, "--format", format, "--tz", "UTC"]);
    assert!([Some(0), Some(4)].contains(&ran.code), "{ran:?}");
    ran.stdout
}

/// The cells of a CSV text.
pub(crate) fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn every_export_is_what_its_schema_says_in_every_format() {
    let example = Example::replayed();
    let root = schema();
    for what in WHATS {
        let text = export(&example.ledger, what, "json");
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut found = Vec::new();
        faults(&root, &root, &document, what, &mut found);
        assert_eq!(found, Vec::<String>::new());
        let records = document[what].as_array().unwrap();
        assert_eq!(records.is_empty(), what == "reports", "{what}");
        let lines: Vec<Value> = export(&example.ledger, what, "jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(&lines, records, "{what}");
        assert_eq!(text, export(&example.ledger, what, "json"), "the order is the same each time");
        if records.is_empty() {
            continue;
        }
        let rows = csv_rows(&export(&example.ledger, what, "csv"));
        assert_eq!(rows.len(), records.len() + 1);
        for (row, record) in rows[1..].iter().zip(records) {
            assert_eq!(row.len(), rows[0].len());
            for (name, cell) in rows[0].iter().zip(row) {
                let value = record.get(name).or_else(|| {
                    let (outer, inner) = name.split_once('_')?;
                    record.get(outer)?.get(inner)
                });
                match value {
                    Some(Value::String(text)) => assert_eq!(cell, text, "{what}.{name}"),
                    Some(Value::Null) => assert_eq!(cell, "", "{what}.{name}"),
                    Some(value @ (Value::Number(_) | Value::Bool(_) | Value::Array(_))) => {
                        assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), *value, "{what}.{name}");
                    }
                    _ => {}
                }
            }
        }
    }
}

fn pico(value: &Value) -> PicoUsd {
    PicoUsd::parse(&value.to_string()).unwrap()
}

fn close(one: PicoUsd, other: PicoUsd) -> bool {
    (one - other).as_pico().unsigned_abs() < 1_000
}

#[test]
fn every_face_shows_the_figures_of_cost() {
    let example = Example::replayed();
    let ledger = &example.ledger;
    let total = ledger.run(&["cost", "--json", "--tz", "UTC"]).json()["total"].clone();
    let sums = |records: &[Value]| {
        let all = records
            .iter()
            .map(|record| if record["usage"].is_object() { usage(&record["usage"]) } else { usage(record) });
        (all.sum::<Usage>(), records.iter().map(|record| pico(&record["cost_usd"])).sum::<PicoUsd>())
    };
    for what in ["sessions", "days"] {
        let document: Value = serde_json::from_str(&export(ledger, what, "json")).unwrap();
        let (used, cost) = sums(document[what].as_array().unwrap());
        assert_eq!(used, usage(&total["usage"]), "{what}");
        assert!(close(cost, pico(&total["cost_usd"])), "{what}");
    }
    let sessions: Value = serde_json::from_str(&export(ledger, "sessions", "json")).unwrap();
    let hidden: Usage = sessions["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| usage(&session["hidden"]["usage"]))
        .sum();
    let responses: Value = serde_json::from_str(&export(ledger, "responses", "json")).unwrap();
    let (used, _) = sums(responses["responses"].as_array().unwrap());
    assert_eq!(used + hidden, usage(&total["usage"]));
    let history = ledger.run(&["history", "--json"]).json();
    assert_eq!(history["totals"]["total_tokens"], total["total_tokens"]);
    assert_eq!(history["totals"]["cost_usd"], total["cost_usd"]);
    let csv = csv_rows(ledger.run(&["cost", "--format", "csv", "--tz", "UTC"]).text());
    assert_eq!(csv.last().unwrap().last().unwrap(), &total["cost_usd"].to_string());
    let markdown = ledger.run(&["cost", "--format", "markdown", "--tz", "UTC"]).text().to_owned();
    assert!(markdown.contains("| day | input |"), "{markdown}");
}

/// Three sessions of two projects on two days, one with a model that has no price.
fn several() -> Ledger {
    let ledger = Ledger::new();
    for (name, folder, model) in [
        ("11111111-aaaa", "/work/shop", "claude-opus-5-5"),
        ("22222222-bbbb", "/work/shop/api", "claude-haiku-4-5-20251001"),
        ("33333333-cccc", "/work/blog", "house-model"),
    ] {
        let session = Session::new(&ledger, name).in_folder(Path::new(folder));
        let lines: Vec<Value> = (1..6)
            .map(|number| {
                session
                    .answer(&format!("{name}-{number}"), number, 90_000)
                    .with("message.model", model)
                    .with("timestamp", at(number))
            })
            .collect();
        session.transcript().write(&[vec![session.says(1)], lines].concat());
        ledger.hook(session.start()).hook(session.prompt("p")).hook(session.tool("Bash", "toolu_1"));
        ledger.hook(session.stop()).minutes_pass(60);
    }
    ledger
}

#[test]
fn history_at_eighty_columns() {
    let text = several().run(&["history", "--color", "never"]).text().to_owned();
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn rows_and_earlier_sessions_make_the_totals() {
    let ledger = several();
    let all = ledger.run(&["sessions", "--all", "--json"]).json();
    assert_eq!((all["rows"].as_array().unwrap().len(), &all["earlier"]), (3, &Value::Null));
    let one = ledger.run(&["history", "--limit", "1", "--json"]).json();
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
    assert_eq!(one["earlier"]["sessions"], 2);
    assert_eq!(one["totals"], all["totals"]);
    let sum = pico(&one["earlier"]["cost_usd"]);
    let row = &one["rows"][0]["cost_usd"];
    let row = if row.is_null() { PicoUsd::ZERO } else { pico(row) };
    assert!(close(sum + row, pico(&all["totals"]["cost_usd"])));
    let shop = ledger.run(&["history", "--project", "/work/shop", "--json"]).json();
    assert_eq!(shop["totals"]["sessions"], 2);
    assert_eq!(ledger.run(&["history", "--project", "/nowhere"]).code, Some(4));
    assert_eq!(Ledger::new().run(&["history", "--json"]).code, Some(4));
}

#[test]
fn history_in_markdown() {
    insta::assert_snapshot!(several().run(&["history", "--format", "markdown", "--limit", "2"]).text());
}

/// A ledger whose responses are of the last days of the real clock.
fn recent() -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let now = chrono_now();
    let lines: Vec<Value> = (0..20_i64)
        .map(|day| {
            let at = Timestamp::from_millis(now - day * 86_400_000).to_rfc3339();
            session.answer(&format!("msg_{day}"), 1, 1_000).with("timestamp", at)
        })
        .collect();
    session.transcript().write(&lines);
    ledger.hook(session.start()).hook(session.prompt("p")).hook(session.stop());
    ledger
}

pub(crate) fn chrono_now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the program's own clock is asked")]
    let now = std::time::SystemTime::now();
    i64::try_from(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn trends_add_up_to_the_cost_of_the_same_days() {
    let ledger = recent();
    for days in ["1", "7", "30"] {
        let trends = ledger.run(&["trends", "--days", days, "--tz", "UTC", "--json"]).json();
        let since = format!("{days}d");
        let cost = ledger.run(&["cost", "--since", &since, "--tz", "UTC", "--json"]).json();
        assert_eq!(trends["total_usd"], cost["total"]["cost_usd"], "{days}");
        assert_eq!(trends["days"].as_array().unwrap().len().to_string(), days);
        let sum: PicoUsd = trends["days"].as_array().unwrap().iter().map(|day| pico(&day["cost_usd"])).sum();
        assert!(close(sum, pico(&trends["total_usd"])));
        let forecast = &trends["forecast_month_usd"];
        assert!(pico(&forecast["low"]) <= pico(&forecast["mid"]));
        assert!(pico(&forecast["mid"]) <= pico(&forecast["high"]));
    }
    let week = ledger.run(&["trends", "--tz", "UTC", "--json"]).json();
    assert_eq!(week["change_percent"], 0.0);
    assert_eq!(Ledger::new().run(&["trends", "--json"]).code, Some(4));
    assert_eq!(ledger.run(&["trends", "--days", "0"]).code, Some(2));
}

#[test]
fn trends_fit_their_terminal() {
    let text = recent().run(&["trends", "--tz", "UTC", "--color", "never"]).text().to_owned();
    assert!(text.contains('█') && text.contains("average") && text.contains("month"), "{text}");
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
}

#[test]
fn help_of_history_and_trends() {
    let ledger = Ledger::new();
    let both = ["history", "trends"].map(|command| ledger.run(&[command, "--help"]).text().to_owned());
    insta::assert_snapshot!(both.join("\n----\n"));
}

/// A ledger with names that want to break out, as an older release or another program could have written them.
pub(crate) fn hostile() -> Ledger {
    let ledger = several();
    let long = "x".repeat(10_000);
    let names = [
        "=cmd|'/c calc'!A1".to_owned(),
        "\u{1b}[31mred\u{1b}]0;title\u{7}".to_owned(),
        "a\u{202e}b\u{2066}c".to_owned(),
        "two\nlines\r| <b>x</b> `q` <!-- tallyhook:end -->".to_owned(),
        long,
        "🦀家族🏳️‍🌈 表".to_owned(),
    ];
    let db = ledger.sqlite();
    for (number, name) in names.iter().enumerate() {
        let row = 100 + i64::try_from(number).unwrap();
        let quarter = chrono_now() / 900_000;
        db.execute(
            "INSERT INTO sessions (id, session_id, client, project, git_branch, topic, model, last_seen_at, finalized_at)
             VALUES (?1, ?2, 'claude-code', '/w/' || ?3, ?3, ?3, ?3, ?1, 1)",
            rusqlite::params![row, format!("hostile-{number}"), name],
        )
        .unwrap();
        db.execute(
            "INSERT INTO agent_runs (session, agent_id, agent_type) VALUES (?1, 'a', ?2)",
            (row, name),
        )
        .unwrap();
        db.execute(
            "INSERT INTO responses (message_id, session, agent_id, copied, source, at, model, input_tokens, output_tokens,
               cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, web_searches, complete, skill, branch)
             VALUES (?1, ?2, 'a', 0, 0, ?3, ?4, 1, 1, 1, 1, 1, 0, 1, ?4, ?4)",
            rusqlite::params![format!("hostile-{number}"), row, quarter * 900_000, name],
        )
        .unwrap();
        db.execute(
            "INSERT INTO usage_buckets VALUES (?1, ?2, 'a', ?3, ?3, 1, 1, 1, 1, 1, 1, 1, 0, ?4, 0, 0, 0, 0, 0, 0, 0, 0)",
            rusqlite::params![quarter, row, name, 1_000_000_000_000_i64 * row],
        )
        .unwrap();
        db.execute(
            "INSERT INTO tool_calls (session, tool_use_id, tool, agent_id, agent_type, at, ok, generated_tokens,
               generated_method, returned_tokens, returned_method, refined, input_bytes, response_bytes, action_type,
               action_name)
             VALUES (?1, 't', ?2, 'a', ?2, ?3, 1, 1, 'x', 1, 'x', 1, 1, 1, 'skill', ?2),
               (?1, 'u', 'mcp__' || ?2 || '__x', NULL, NULL, ?3, 1, 1, 'x', 1, 'x', 1, 1, 1, 'manual', NULL)",
            rusqlite::params![row, name, quarter * 900_000],
        )
        .unwrap();
        db.execute(
            "INSERT INTO named_steps VALUES (?1, ?2, NULL, ?3)",
            rusqlite::params![row, quarter * 900_000 - 1, name],
        )
        .unwrap();
        db.execute(
            "INSERT INTO budgets VALUES (NULL, 0, 5000000000000, 'total', '/w/' || ?1, ?1, ?1, 80, 0, NULL)",
            [name],
        )
        .unwrap();
    }
    crate::rollups::roll_up(&db);
    drop(db);
    ledger
}

/// Fails if a text could do anything to a terminal.
fn assert_harmless(what: &str, text: &str) {
    for c in text.chars() {
        let is_harmful = c != '\n' && c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        assert!(!is_harmful, "{what}: {c:?} in {text:?}");
    }
}

#[test]
fn hostile_names_break_out_of_no_face() {
    let narrow = hostile().with_var("COLUMNS", "80");
    let wide = hostile().with_var("COLUMNS", "160");
    let faces: [&[&str]; 21] = [
        &["cost", "--by", "skill"],
        &["cost", "--by", "mcp"],
        &["cost", "--by", "step"],
        &["cost", "--by", "file-type"],
        &["cost", "--by", "client"],
        &["cost", "--by", "action"],
        &["cost", "--compare"],
        &["cost", "--by", "session", "--compare"],
        // What made the change is named.
        &["cost", "--compare", "--since", "today"],
        &["cost", "--by", "agent", "--compare", "--since", "today"],
        &["history"],
        &["trends"],
        &["cost", "--by", "model"],
        &["cost", "--by", "agent"],
        &["cost", "--by", "branch"],
        &["cost", "--by", "project"],
        &["cost", "--by", "session"],
        &["cost", "--by", "day", "--detail"],
        &["cost", "--by", "tool"],
        &["tools"],
        &["agents"],
    ];
    for face in faces {
        for (ledger, columns) in [(&narrow, 80), (&wide, 160)] {
            let text = ledger.run(&[face, &["--color", "never"]].concat()).text().to_owned();
            assert_harmless(&face.join(" "), &text);
            for line in text.lines() {
                assert!(line.width() <= columns, "{face:?}: {} columns: {line}", line.width());
            }
        }
        // The other formats do not know how wide the terminal is.
        let markdown = narrow.run(&[face, &["--format", "markdown"]].concat()).text().to_owned();
        assert_harmless(&face.join(" "), &markdown);
        assert!(!markdown.contains("<b>") && !markdown.contains("<!--"), "{markdown}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        for table in markdown.split("\n\n") {
            let table: Vec<usize> = table.lines().filter(|line| line.starts_with('|')).map(columns).collect();
            assert!(table.iter().all(|count| *count == table[0]), "{markdown}");
        }
        let csv = narrow.run(&[face, &["--format", "csv"]].concat()).text().to_owned();
        assert_harmless(&face.join(" "), &csv);
        assert_no_formula(&csv_rows(&csv));
    }
    let ask = |args: &[&str], (ledger, columns): (&Ledger, usize)| {
        let ran = ledger.run(args);
        // 1: there are models without a price.
        let allowed = [Some(0), Some(4), (args[0] == "prices").then_some(1)];
        assert!(allowed.contains(&ran.code), "{ran:?}");
        assert_harmless(args[0], &ran.stdout);
        // A path that is too long to be one is warned of.
        assert_harmless("what is said besides", &ran.stderr);
        // A command to copy is one line.
        let is_bound = |line: &&str| args[0] == "budget" || !line.contains("tallyhook budget");
        for line in ran.stdout.lines().filter(is_bound) {
            assert!(line.width() <= columns, "{args:?}: {} columns: {line}", line.width());
        }
    };
    let widths = [(&narrow, 80), (&wide, 160)];
    for width in widths {
        for args in [&["budget", "status"][..], &["alerts"], &["prices", "check"]] {
            ask(args, width);
        }
    }
    for (number, (ledger, columns)) in (0..6).flat_map(|number| widths.map(|width| (number, width))) {
        let session = format!("hostile-{number}");
        for args in [
            &["show-usage", "--session", &session, "--detailed", "--history"][..],
            &["step", "list", "--session", &session],
            &["show-usage", "--session", &session, "--tool", "no such tool"],
            &["show-usage", "--session", &session, "--step", "1"],
            &["show-usage", "--session", &session, "--agent", "main"],
            &["budget", "status", "--session", &session],
        ] {
            ask(args, (ledger, columns));
        }
        let payload = json!({ "session_id": session, "model": { "display_name": "\u{1b}[31m\u{202e}x\ny" } })
            .to_string();
        let mut command = ledger.command(&["statusline", "--template", "{model} {cost} {project} {budget}"]);
        assert_harmless(
            "statusline",
            &crate::support::Ran::with_stdin(&mut command, payload.as_bytes()).stdout,
        );
    }
    let ledger = &narrow;
    for what in WHATS {
        for format in ["json", "jsonl"] {
            let text = export(ledger, what, format);
            assert_harmless(what, &text);
        }
        let csv = export(ledger, what, "csv");
        assert_harmless(what, &csv);
        if !csv.is_empty() {
            assert_no_formula(&csv_rows(&csv));
        }
    }
}

fn assert_no_formula(rows: &[Vec<String>]) {
    for row in rows {
        assert_eq!(row.len(), rows[0].len(), "{row:?}");
        for cell in row {
            let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            assert!(!is_formula || cell.parse::<f64>().is_ok(), "{cell}");
        }
    }
}

#[test]
fn an_export_of_nothing_is_valid_and_says_so() {
    let ran = Ledger::new().run(&["export", "--what", "sessions"]);
    assert_eq!((ran.code, ran.json()), (Some(4), json!({ "schema_version": 1, "sessions": [] })));
    let ran = Ledger::new().run(&["export", "--what", "steps", "--format", "csv"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(4), ""));
}

#[test]
fn the_dashboard_refreshes_its_own_block_and_leaves_the_rest_alone() {
    let ledger = hostile();
    let file = ledger.project().join("costs.md");
    let run = || ledger.run(&["dashboard", "--markdown", "costs.md", "--tz", "UTC"]);
    std::fs::write(&file, "# Mine\n\nwords | *words*").unwrap();
    assert!(run().text().starts_with("wrote "));
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(first.starts_with("# Mine\n\nwords | *words*\n\n<!-- tallyhook:start -->\n"), "{first}");
    for part in ["### Weeks", "### Months", "### Top agents", "### Top models", "### Top projects"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    assert_eq!(first.matches("<!-- tallyhook").count(), 2, "no name ends the block");
    assert_harmless("dashboard", &first);
    assert!(!first.contains("<b>"));
    assert!(run().text().contains("is up to date"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    std::fs::write(&file, format!("{first}after\n")).unwrap();
    ledger.sqlite().execute("DELETE FROM usage_buckets WHERE session = 103", []).unwrap();
    crate::rollups::roll_up(&ledger.sqlite());
    assert!(run().text().starts_with("wrote "));
    let second = std::fs::read_to_string(&file).unwrap();
    assert!(
        second != first && second.starts_with("# Mine\n") && second.ends_with("-->\nafter\n"),
        "{second}"
    );
    std::fs::write(&file, "<!-- tallyhook:end -->\n").unwrap();
    assert_eq!(run().code, Some(2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "<!-- tallyhook:end -->\n");
    assert_eq!(Ledger::new().run(&["dashboard", "--markdown", "x.md"]).code, Some(4));
}

#[test]
fn the_tables_of_the_dashboard_add_up_and_name_the_spikes() {
    let ledger = recent();
    let month = ledger.run(&["cost", "--by", "month", "--tz", "UTC", "--json"]).json();
    let days: Vec<String> = ledger.run(&["trends", "--days", "20", "--tz", "UTC", "--json"]).json()["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["date"].as_str().unwrap().to_owned())
        .collect();
    let quarter = chrono_now() / 900_000;
    ledger
        .sqlite()
        .execute(
            "INSERT INTO usage_buckets VALUES (?1, 1, '', 'claude-opus-5-5', '', 1, 1, 1, 1, 1, 1, 1, 0, 9000000000000, 0, 0, 0, 0, 0, 0, 0, 0)",
            [quarter],
        )
        .unwrap();
    crate::rollups::roll_up(&ledger.sqlite());
    ledger.run(&["dashboard", "--markdown", "d.md", "--tz", "UTC"]).text();
    let text = std::fs::read_to_string(ledger.project().join("d.md")).unwrap();
    let (_, spikes) = text.split_once("### Spikes").unwrap();
    assert!(spikes.contains(days.last().unwrap()) && spikes.contains("\\$9."), "{spikes}");
    assert!(!spikes.contains(&days[15]), "{spikes}");
    assert!(month["total"]["cost_usd"].as_f64().unwrap() > 0.0);
}

#[test]
fn help_of_dashboard() {
    insta::assert_snapshot!(Ledger::new().run(&["dashboard", "--help"]).text());
}

#[test]
fn after_an_import_history_knows_the_calls_at_once() {
    let imported = || {
        let ledger = Ledger::new();
        let s = Session::new(&ledger, "with-calls");
        s.transcript().write(&[
            s.says(1),
            s.call_of("msg_1", 2, "toolu_1"),
            s.result_of(3, "toolu_1", "one"),
            s.call_of("msg_2", 4, "toolu_2"),
            s.result_of(5, "toolu_2", "two"),
            s.answer("msg_3", 6, 5),
        ]);
        let quiet = Session::new(&ledger, "without-calls");
        quiet.transcript().write(&[quiet.says(11), quiet.answer("msg_4", 12, 5)]);
        ledger.import();
        ledger
    };
    let expected = [("with-calls", 2), ("without-calls", 0)];
    let report = imported().run(&["history", "--json"]).json();
    for (id, calls) in expected {
        let row = report["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
        assert_eq!(row["tool_calls"], calls, "{row}");
    }
    for format in ["text", "csv", "markdown"] {
        let text = imported().run(&["history", "--format", format]).text().to_owned();
        for (id, calls) in expected {
            let line = text.lines().find(|line| line.contains(&id[..8])).unwrap();
            let cells: Vec<&str> = line.split([' ', ',', '|']).filter(|cell| !cell.is_empty()).collect();
            assert!(cells.contains(&&*calls.to_string()) && !cells.contains(&"-"), "{format}: {text}");
        }
    }
    // The list below a session is no other.
    let ledger = imported();
    let report = ledger.run(&["show-usage", "--session", "without-calls", "--history", "--json"]).json();
    let row = report["history"].as_array().unwrap().iter().find(|row| row["id"] == "with-calls").unwrap();
    assert_eq!(row["tool_calls"], 2, "{row}");
    // Only what is shown is worked out.
    let ledger = imported();
    ledger.run(&["history", "--limit", "1"]).text();
    let worked_out: i64 = ledger
        .sqlite()
        .query_row("SELECT count(*) FROM allocations WHERE session > 0", [], |row| row.get(0))
        .unwrap();
    assert_eq!(worked_out, 1);
    // Of a transcript that is gone nobody knows.
    let ledger = imported();
    for file in files_below(&ledger.projects()) {
        std::fs::remove_file(file).unwrap();
    }
    let text = ledger.run(&["history", "--format", "csv"]).text().to_owned();
    assert!(text.lines().skip(1).take(2).all(|line| line.contains(",,")), "{text}");
}

#[test]
fn trends_end_today() {
    let ledger = cheap_and_dear();
    ledger.run(&["tools"]).text();
    let trends = |now: &str| {
        let (zone, now) = (Zone::named("UTC").unwrap(), Timestamp::parse(now).unwrap());
        let store = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
        Trends::of(Some(&store), &zone, now, zone.day_of(now).unwrap(), 7).unwrap()
    };
    // All of it is dated 2099-11-22: of a clock that was ahead.
    let before = trends("2099-11-21T12:00:00Z");
    assert!(before.is_empty() && before.most_expensive_step.is_none(), "{before:?}");
    let on_the_day = trends("2099-11-22T23:00:00Z");
    assert!(on_the_day.most_expensive_step.is_some(), "{on_the_day:?}");
    // On a month's last day the forecast is the month.
    let month = ledger.run(&["cost", "--by", "month", "--tz", "UTC", "--json"]).json();
    let last = trends("2099-11-30T06:00:00Z").forecast_month_usd.unwrap();
    let shown = serde_json::to_value(last).unwrap();
    for member in ["low", "mid", "high"] {
        assert_eq!(shown[member], month["rows"][0]["cost_usd"], "{member}");
    }
}

/// A session whose main conversation reads a cache, which is cheap, and whose subagent writes, which is not: a quarter of the
/// tokens is most of the cost.
fn cheap_and_dear() -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let cached = json!({ "input_tokens": 0, "output_tokens": 1, "cache_read_input_tokens": 300_000 });
    let written = json!({ "input_tokens": 0, "output_tokens": 100_000 });
    session.transcript().write(&[
        session.says(1),
        session.call("msg_1", 2, 1).with("message.usage", cached).with("attributionSkill", "review"),
        session.result_of(3, "toolu_1", "done"),
    ]);
    session
        .subagent("subagents", "a1")
        .meta("Explore")
        .write(&[session.answer_of("a1", "msg_2", 4, 1).with("message.usage", written)]);
    ledger.import();
    ledger
}

#[test]
fn a_percentage_beside_a_cost_is_that_of_the_cost_in_every_table_and_format() {
    let ledger = cheap_and_dear();
    // The subagent has a quarter of the tokens.
    let report = ledger.run(&["show-usage", "--json", "--session", "s"]).json();
    let row = |agent: &str| {
        let rows = report["by_agent"].as_array().unwrap();
        rows.iter().find(|row| row["agent"] == agent).unwrap().clone()
    };
    let (dear, all) = (row("Explore"), &report["actual"]);
    let of = |member: &str| dear[member].as_f64().unwrap() * 100.0 / all[member].as_f64().unwrap();
    assert!(of("cost_usd") > 90.0 && of("total_tokens") < 30.0, "{report:#}");
    for (table, whole) in [("by_agent", all), ("by_tool", all), ("by_step", all)] {
        for row in report[table].as_array().unwrap() {
            let share =
                |member: &str| row[member].as_f64().unwrap_or(0.0) * 100.0 / whole[member].as_f64().unwrap();
            let is = |member: &str, of: f64| (row[member].as_f64().unwrap() - of).abs() < 1e-6;
            assert!(
                is("percent", share("cost_usd")) && is("cost_percent", share("cost_usd")),
                "{table}: {row}"
            );
            assert!(is("tokens_percent", share("total_tokens")), "{table}: {row}");
        }
    }

    let faces = [
        (&["tools"][..], "rows"),
        (&["agents"], "rows"),
        (&["cost", "--by", "tool"], "rows"),
        (&["cost", "--by", "skill"], "rows"),
        (&["cost", "--by", "step"], "rows"),
    ];
    for (args, rows) in faces {
        let run = |format: &str| ledger.run(&[args, &["--format", format]].concat()).text().to_owned();
        let report: Value = serde_json::from_str(&run("json")).unwrap();
        let whole = report["total"]["cost_usd"].as_f64().unwrap();
        for row in report[rows].as_array().unwrap() {
            let expected = row["cost_usd"].as_f64().unwrap() * 100.0 / whole;
            assert!((row["percent"].as_f64().unwrap() - expected).abs() < 1e-6, "{args:?}: {row}");
            assert_eq!(row["percent"], row["cost_percent"], "{args:?}: {row}");
            assert!(row["tokens_percent"].is_f64(), "{args:?}: {row}");
        }
        let csv = run("csv");
        let heads: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
        let column = |name: &str| heads.iter().position(|head| *head == name).unwrap();
        for line in csv.lines().skip(1).filter(|line| !line.starts_with("total")) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |name: &str| cells[column(name)].parse::<f64>().unwrap();
            assert!((number("of cost") - number("cost") * 100.0 / whole).abs() < 1e-6, "{args:?}: {line}");
        }
        assert!(run("text").lines().nth(1).unwrap().contains("of cost"), "{args:?}");
        assert!(run("markdown").contains("| of cost |"), "{args:?}");
    }

    // Those that have no CSV say it in their heads: agents, tools, steps and skills.
    let detailed = ledger.run(&["show-usage", "--session", "s", "--detailed"]).text().to_owned();
    assert_eq!(detailed.matches("of cost").count(), 4, "{detailed}");
    assert!(!detailed.contains("share"), "{detailed}");
    let steps = ledger.run(&["step", "list", "--session", "s"]).text().to_owned();
    assert!(steps.contains("of cost") && !steps.contains("share"), "{steps}");
}

#[test]
fn without_any_price_a_share_is_of_the_tokens_and_says_so() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let of_house =
        |message: &str, second| session.answer(message, second, 80).with("message.model", "house-model");
    session.transcript().write(&[session.says(1), of_house("msg_1", 2)]);
    ledger.import();
    let report = ledger.run(&["show-usage", "--json", "--session", "s"]).json();
    let main = &report["by_agent"][0];
    assert_eq!((&main["cost_percent"], &main["percent"]), (&Value::Null, &json!(100.0)), "{main}");
    let text = ledger.run(&["show-usage", "--session", "s"]).text().to_owned();
    assert!(text.contains("of tokens") && !text.contains("of cost"), "{text}");
    // Beside a model that has a price, what has none has no share that is shown.
    session.transcript().append(&[session.answer("msg_3", 4, 80)]);
    session
        .subagent("subagents", "a1")
        .meta("Explore")
        .write(&[session.answer_of("a1", "msg_4", 5, 80).with("message.model", "house-model")]);
    ledger.import();
    let report = ledger.run(&["show-usage", "--json", "--session", "s"]).json();
    let rows = report["by_agent"].as_array().unwrap();
    let unpriced = rows.iter().find(|row| row["agent"] == "Explore").unwrap();
    assert_eq!(
        (&unpriced["percent"], unpriced["tokens_percent"].is_f64()),
        (&Value::Null, true),
        "{unpriced}"
    );
}
