//! The status line: what it shows, what it never does, and how it is registered.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tallyhook::domain::Timestamp;
use tallyhook::env::Env;

use crate::support::{Ledger, Ran, Session, With, repository};

fn payload() -> Value {
    serde_json::from_slice(&std::fs::read(repository().join("examples/statusline.json")).unwrap()).unwrap()
}

fn shown(ledger: &Ledger, args: &[&str], payload: &str) -> String {
    let ran = Ran::with_stdin(&mut ledger.command(&[&["statusline"], args].concat()), payload.as_bytes());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    ran.stdout
}

/// A session of today's with two answers, and the payload of its status line.
fn session() -> (Ledger, Value) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "f179d91c-f680-4c56-bea5-13f33e26020d");
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 40_000),
        session.answer("msg_2", 3, 10_000),
    ]);
    ledger.hook(session.start()).hook(session.prompt("prompt-1")).hook(session.stop());
    (ledger, payload())
}

#[test]
fn without_a_ledger_the_clients_own_figures_are_shown() {
    let ledger = Ledger::new();
    let line = shown(&ledger, &[], &payload().to_string());
    assert_eq!(line, "Opus 5.5 · $0.0923 · ctx 18k of 1M (2%) · cache 0%\n");
    assert!(!ledger.path().exists(), "it makes no ledger");
}

#[test]
fn the_line_has_the_ledgers_cost_and_the_clients() {
    let (ledger, payload) = session();
    let limits = json!({ "five_hour": { "used_percentage": 83 }, "seven_day": { "used_percentage": 47.4 } });
    let line = shown(&ledger, &[], &payload.with("rate_limits", limits).to_string());
    let cost = ledger.run(&["show-usage", "--json"]).json()["actual"]["cost_usd"].as_f64().unwrap();
    let expected = format!("Opus 5.5 · ${cost:.2} (client $0.0923) · ctx 18k of 1M (2%)");
    assert!(line.starts_with(&expected), "{line}\n{expected}");
    assert!(line.ends_with(" · 5h 83% 7d 47%\n"), "{line}");
}

/// The line at a point in time, by the clock of a zone.
fn line_at(ledger: &Ledger, time: &str, zone: &str, template: &str) -> String {
    let env = Env::fixed(ledger.dir(), Timestamp::parse(time).unwrap(), &[("TZ", zone)]);
    let payload = payload().without("cost").to_string();
    tallyhook::statusline::line(&payload, &env, Some(&ledger.path()), Some(template)).0
}

#[test]
fn today_ends_today_and_begins_at_the_users_midnight() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "f179d91c-f680-4c56-bea5-13f33e26020d");
    let answer = |message: &str, at: &str| {
        session
            .answer(message, 2, 40_000)
            .with("timestamp", at)
            .with("message.usage", json!({ "input_tokens": 0, "output_tokens": 40_000 }))
    };
    // A dollar each, at 25 for a million. The last is of a clock that was ahead.
    session.transcript().write(&[
        answer("msg_1", "2026-11-29T18:29:00.000Z"),
        answer("msg_2", "2026-11-29T18:31:00.000Z"),
        answer("msg_3", "2026-11-30T12:00:00.000Z"),
        answer("msg_4", "2026-12-05T01:00:00.000Z"),
    ]);
    ledger.import();
    for (time, zone, today) in [
        ("2026-11-29T23:59:59Z", "UTC", "$1.60"),
        ("2026-11-30T00:00:00Z", "UTC", "$0.80"),
        ("2026-11-30T18:29:59Z", "Asia/Kolkata", "$1.60"),
        ("2026-11-30T18:30:00Z", "Asia/Kolkata", ""),
        ("2026-11-29T18:29:59Z", "Asia/Kolkata", "$0.80"),
        ("2026-12-05T00:00:00Z", "UTC", "$0.80"),
        // There it is still the evening before, and so it will be when that comes.
        ("2026-12-05T00:30:00Z", "America/New_York", "$0.80"),
        ("2026-12-04T23:59:59Z", "UTC", ""),
    ] {
        assert_eq!(line_at(&ledger, time, zone, "[{today}]"), today, "{time} {zone}");
    }
    // The session's own cost is all of it.
    assert_eq!(line_at(&ledger, "2026-11-30T12:00:00Z", "UTC", "{cost}"), "$3.20");
}

#[test]
fn a_cumulative_total_of_an_old_client_is_no_context() {
    let ledger = Ledger::new();
    let old = |version: &str, total: u64| {
        let context = json!({
            "total_input_tokens": total, "total_output_tokens": 90_000, "context_window_size": 200_000,
            "current_usage": null,
        });
        json!({ "version": version, "model": { "display_name": "Opus" }, "context_window": context })
            .to_string()
    };
    assert_eq!(shown(&ledger, &[], &old("2.0.70", 2_500_000)), "Opus\n");
    // Nor is one that would still fit.
    assert_eq!(shown(&ledger, &[], &old("2.1.131", 150_000)), "Opus\n");
    assert_eq!(shown(&ledger, &[], &old("2.1.132", 150_000)), "Opus · ctx 150k of 200k (75%)\n");
}

#[test]
fn without_a_model_the_line_begins_with_a_figure() {
    let ledger = Ledger::new();
    assert_eq!(shown(&ledger, &[], r#"{"cost":{"total_cost_usd":1}}"#), "$1.00\n");
    // What a template begins with is the user's business.
    assert_eq!(
        shown(&ledger, &["--template", " · {cost}"], r#"{"cost":{"total_cost_usd":1}}"#),
        " · $1.00\n"
    );
}

#[test]
fn the_clients_cost_is_kept_for_doctor() {
    let (ledger, payload) = session();
    for cost in ["5.5", "6.25"] {
        let number: Value = serde_json::from_str(cost).unwrap();
        shown(&ledger, &[], &payload.clone().with("cost.total_cost_usd", number).to_string());
    }
    let kept: i64 =
        ledger.sqlite().query_row("SELECT cost_pico FROM status_line_costs", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 6_250_000_000_000);
    let report = ledger.run(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    let witness = checks.iter().find(|check| check["check"] == "client costs").unwrap();
    assert!(witness["found"].as_str().unwrap().contains("$6.25"), "{witness}");
}

#[test]
fn a_template_names_its_fields() {
    let (ledger, payload) = session();
    let template = "{session} {project}[ · budget {budget}] {version} {lines_added}+ {nonsense}";
    let line = shown(&ledger, &["--template", template], &payload.to_string());
    assert_eq!(line, "f179d91c proj 2.1.330 0+ {nonsense}\n");
    let line = shown(&ledger, &["--template={model}"], &payload.to_string());
    assert_eq!(line, "Opus 5.5\n");
}

#[test]
fn nothing_makes_it_fail() {
    let (ledger, payload) = session();
    for odd in ["", "null", "[]", "{", "\u{feff}{}", "{\"cost\":5,\"model\":[]}", "\u{0}"] {
        assert_eq!(shown(&ledger, &[], odd), "\n", "{odd:?}");
    }
    shown(&ledger, &["--nonsense", "--template"], &payload.to_string());
    std::fs::write(ledger.path(), "no ledger at all").unwrap();
    let line = shown(&ledger, &[], &payload.to_string());
    assert!(line.contains("$0.0923"), "{line}");
    let line = shown(&ledger, &["--db", "/dev/null/x"], &payload.to_string());
    assert!(line.contains("$0.0923"), "{line}");
}

#[test]
fn names_from_the_payload_are_made_harmless() {
    let payload = payload().with("model.display_name", "\u{1b}[31mred\u{202e}\nx".repeat(1_000));
    let line = shown(&Ledger::new(), &[], &payload.to_string());
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.len() < 1_000 && !line.contains(['\u{1b}', '\u{202e}']), "{line}");
}

#[test]
fn a_ledger_that_is_locked_delays_nothing_for_long() {
    let (ledger, payload) = session();
    let other = ledger.sqlite();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let line = shown(&ledger, &[], &payload.to_string());
    assert!(line.starts_with("Opus 5.5 · $1."), "{line}");
}

#[cfg(unix)]
#[test]
fn another_status_line_is_wrapped() {
    let (ledger, payload) = session();
    let wrap = "grep -o '\"version\":\"[0-9.]*\"'; echo second";
    let text = shown(&ledger, &["--template", "{model}", "--wrap", wrap], &payload.to_string());
    assert_eq!(text, "\"version\":\"2.1.330\"\nsecond\nOpus 5.5\n");
    let text = shown(&ledger, &["--template", "{model}", "--wrap", "exit 3"], &payload.to_string());
    assert_eq!(text, "Opus 5.5\n");
    // One that reads nothing and one that is not there.
    for wrap in ["true", "/nowhere/line"] {
        assert_eq!(
            shown(&ledger, &["--template", "{model}", "--wrap", wrap], &payload.to_string()),
            "Opus 5.5\n"
        );
    }
}

#[test]
fn init_registers_it_only_where_that_is_asked() {
    let ledger = Ledger::new();
    let settings = ledger.project().join(".claude").join("settings.json");
    let read = || std::fs::read_to_string(&settings).unwrap();
    let ran = ledger.run(&["init", "--no-import"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!read().contains("statusLine") && ran.stdout.contains("--statusline"), "{ran:?}");
    let ran = ledger.run(&["init", "--no-import", "--statusline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let value: Value = serde_json::from_str(&read()).unwrap();
    let command = value["statusLine"]["command"].as_str().unwrap();
    assert!(command.contains("exec tallyhook statusline "), "{command}");
    let before = read();
    assert!(ledger.run(&["init", "--no-import", "--statusline"]).stdout.contains("already registered"));
    assert_eq!(read(), before);
    assert_eq!(ledger.run(&["uninstall"]).code, Some(0));
    assert!(!settings.exists(), "the file was made by init");
}

#[test]
fn a_foreign_status_line_is_never_replaced_unasked_and_comes_back() {
    let ledger = Ledger::new();
    let settings = ledger.project().join(".claude").join("settings.json");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    let foreign = "{\n  \"statusLine\": {\n    \"type\": \"command\",\n    \"command\": \"my-line --fancy 'x'\",\n    \"padding\": 1\n  }\n}\n";
    std::fs::write(&settings, foreign).unwrap();
    let read = || std::fs::read_to_string(&settings).unwrap();
    let command = || {
        let value: Value = serde_json::from_str(&read()).unwrap();
        value["statusLine"]["command"].as_str().unwrap().to_owned()
    };
    let ran = ledger.run(&["init", "--no-import"]);
    assert!(ran.stdout.contains("stays"), "{ran:?}");
    assert_eq!(command(), "my-line --fancy 'x'");
    let ran = ledger.run(&["init", "--no-import", "--statusline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(command().contains("statusline --wrap \"my-line --fancy 'x'\""), "{}", command());
    assert_eq!(ledger.run(&["uninstall"]).code, Some(0));
    assert_eq!(read(), foreign);
}

/// In a terminal of its own, which nobody types in.
#[cfg(target_os = "linux")]
#[test]
fn by_hand_it_says_what_it_is_for() {
    let terminal = std::fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    let ledger = Ledger::new();
    let mut command = ledger.command(&["statusline"]);
    let mut child = command.stdin(terminal).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ends = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > ends {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = Ran::end_of(child);
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{ran:?}");
    insta::assert_snapshot!(ran.stderr);
    // What it says to try shows a line.
    let (_, advice) = ran.stderr.split_once("echo '").unwrap();
    let (payload, _) = advice.split_once('\'').unwrap();
    assert_eq!(shown(&ledger, &[], payload).trim(), "Opus");
}

#[test]
fn help_of_statusline_names_every_field() {
    let help = Ledger::new().run(&["statusline", "--help"]).text().to_owned();
    for (field, meaning) in tallyhook::statusline::FIELDS {
        let is_named =
            |line: &str| line.trim().strip_prefix(field).is_some_and(|rest| rest.trim() == *meaning);
        assert!(help.lines().any(is_named), "{field}");
    }
    insta::assert_snapshot!(help);
}
