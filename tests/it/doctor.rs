//! `doctor`: what it finds, and that `--fix` mends what it says.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{Ledger, without_folder};

/// The checks by name.
fn checks(ledger: &Ledger, args: &[&str]) -> (Option<i32>, Value) {
    let ran = ledger.run(&[&["doctor", "--json"], args].concat());
    (ran.code, ran.json())
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["checks"].as_array().unwrap();
    all.iter().find(|check| check["check"] == name).unwrap_or(&Value::Null)
}

/// A ledger with the hook registered in its project.
fn set_up() -> Ledger {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    ledger
}

fn call() -> Value {
    json!({
        "hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "t", "tool_name": "Bash",
        "tool_input": {"command": "ls"}, "tool_response": {"stdout": "x", "stderr": ""},
    })
}

#[test]
fn without_a_registration_it_says_so_and_fails() {
    let (code, report) = checks(&Ledger::new(), &[]);
    assert_eq!((code, &report["schema_version"]), (Some(1), &json!(1)));
    let hooks = check(&report, "hooks");
    assert_eq!(hooks["status"], "failed");
    assert!(hooks["cure"].as_str().unwrap().contains("tallyhook init"));
}

#[test]
fn after_init_and_an_event_all_is_well() {
    let ledger = set_up();
    ledger.run_hook(call()).assert_silent("a call");
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &report["failures"]), (Some(0), &json!(0)), "{report:#}");
    // How long the hook took is the machine's business.
    assert!(check(&report, "latency")["found"].as_str().unwrap().contains("median"), "{report:#}");
    for name in ["hooks (project)", "binary", "events", "ledger", "permissions", "file system", "faults"] {
        assert_eq!(check(&report, name)["status"], "ok", "{name}: {report:#}");
    }
    let text = ledger.run(&["doctor", "--color", "never"]);
    assert!(text.text().contains("ok    ledger"), "{text:?}");
}

/// What it says in a wide terminal, without what is the machine's own or changes with other things: its client, its times,
/// its disks, prices, and the ledger's size.
fn said(ledger: &Ledger) -> String {
    let own = ["binary", "client", "events", "latency", "prices", "file system"];
    let ran = ledger.run(&["doctor", "--color", "never"]);
    let text = without_folder(ledger, &ran.stdout);
    let mut is_own = false;
    let lines = text.lines().filter(|line| {
        if !line.starts_with(' ') {
            is_own = line[6..].split("  ").next().is_some_and(|check| own.contains(&check));
        }
        !is_own
    });
    lines.map(|line| line.split(" is sound (").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_doctor_says() {
    let ledger = Ledger::new().with_var("COLUMNS", "400");
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    ledger.run_hook(call()).assert_silent("a call");
    let well = said(&ledger);
    std::fs::write(ledger.project().join(".claude/settings.json"), "{").unwrap();
    std::fs::write(ledger.path(), "no ledger").unwrap();
    insta::assert_snapshot!(format!("# All is well\n\n{well}\n\n# It is not\n\n{}", said(&ledger)));
}

#[test]
fn a_missing_event_is_found_and_mended() {
    let ledger = set_up();
    let path = ledger.project().join(".claude").join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["hooks"].as_object_mut().unwrap().remove("PostToolBatch");
    std::fs::write(&path, settings.to_string()).unwrap();
    let (_, report) = checks(&ledger, &[]);
    let found = check(&report, "hooks (project)");
    assert!(
        found["status"] == "warning" && found["found"].as_str().unwrap().contains("PostToolBatch"),
        "{found}"
    );
    let (code, report) = checks(&ledger, &["--fix"]);
    assert_eq!((code, &check(&report, "hooks (project)")["status"]), (Some(0), &json!("ok")));
}

#[test]
fn a_binary_that_has_gone_is_a_failure() {
    let ledger = set_up();
    let path = ledger.project().join(".claude").join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(env!("CARGO_BIN_EXE_tallyhook"), "/nowhere/tallyhook")).unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &check(&report, "binary")["status"]), (Some(1), &json!("failed")), "{report:#}");
}

#[test]
fn a_ledger_that_others_can_read_is_found_and_mended() {
    let ledger = set_up();
    std::fs::set_permissions(ledger.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, report) = checks(&ledger, &[]);
    assert_eq!(check(&report, "permissions")["status"], "warning");
    let (_, report) = checks(&ledger, &["--fix"]);
    assert_eq!(check(&report, "permissions")["status"], "ok");
    assert_eq!(std::fs::metadata(ledger.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_no_ledger_and_noted_faults_are_shown() {
    let ledger = set_up();
    std::fs::write(
        ledger.path().with_file_name("hook-errors.log"),
        "2026-11-22T10:00:00.000Z a\u{1b}[31m fault\n",
    )
    .unwrap();
    std::fs::write(ledger.path(), "this is no database, and it is long enough to be looked at as one")
        .unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &check(&report, "ledger")["status"]), (Some(1), &json!("failed")), "{report:#}");
    let faults = check(&report, "faults")["found"].as_str().unwrap();
    assert!(faults.contains("fault") && !faults.contains('\u{1b}'), "{faults}");
}

#[test]
fn plugin_and_settings_together_are_noticed_and_counted_once() {
    let ledger = set_up();
    let folder = ledger.home().join(".claude");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("settings.json"), "{\"enabledPlugins\": {\"tallyhook@market\": true}}")
        .unwrap();
    let (_, report) = checks(&ledger, &[]);
    assert_eq!(check(&report, "hooks (plugin)")["status"], "warning", "{report:#}");
    ledger.hook(call()).hook(call());
    assert_eq!(ledger.calls().len(), 1);
}

#[test]
fn a_ledger_of_the_first_schema_is_brought_up_to_date() {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.path().parent().unwrap()).unwrap();
    let old = ledger.sqlite();
    old.execute_batch(include_str!("../../src/store/migrations/0001_initial.sql")).unwrap();
    old.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO sessions (session_id, client, last_seen_at) VALUES ('old', 'claude-code', 1);
         INSERT INTO tool_calls (session, tool_use_id, tool, at, ok, generated_tokens, generated_method,
           returned_tokens, returned_method, refined, input_bytes, response_bytes, action_type)
         VALUES (1, 'toolu_old', 'Bash', 1, 1, 2, 'payload_text', 3, 'payload_text', 0, 0, 0, 'manual');",
    )
    .unwrap();
    drop(old);
    ledger.hook(call());
    assert_eq!(ledger.calls().len(), 2);
    assert_eq!(ledger.calls()[0]["tool_use_id"], "toolu_old");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn hooks_that_are_switched_off_or_narrowed_are_found() {
    let ledger = set_up();
    let path = ledger.project().join(".claude").join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen('{', "{\"disableAllHooks\": true,", 1)).unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!(code, Some(1), "{report:#}");

    std::fs::write(&path, text.replace("\"*\"", "\"Bash\"")).unwrap();
    let (_, report) = checks(&ledger, &[]);
    assert_eq!(check(&report, "hooks (project)")["status"], "warning", "{report:#}");
    let (_, report) = checks(&ledger, &["--fix"]);
    assert_eq!(check(&report, "hooks (project)")["status"], "ok", "{report:#}");
}

#[test]
fn a_registered_file_that_is_no_program_is_a_failure() {
    let ledger = set_up();
    let fake = ledger.dir().join("tallyhook");
    std::fs::write(&fake, "garbage").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = ledger.project().join(".claude").join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(env!("CARGO_BIN_EXE_tallyhook"), fake.to_str().unwrap())).unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &check(&report, "binary")["status"]), (Some(1), &json!("failed")), "{report:#}");
}

#[test]
fn a_ledger_that_the_registration_names_stays_named() {
    let ledger = Ledger::new();
    let other = ledger.dir().join("other.db");
    assert_eq!(ledger.run(&["--db", other.to_str().unwrap(), "init"]).code, Some(0));
    let path = ledger.project().join(".claude").join("settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["hooks"].as_object_mut().unwrap().remove("Stop");
    std::fs::write(&path, settings.to_string()).unwrap();
    let (_, report) = checks(&ledger, &["--fix"]);
    assert_eq!(check(&report, "hooks (project)")["status"], "ok", "{report:#}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("other.db").count(), tallyhook::hook::manifest::EVENTS.len());
    assert!(report.to_string().contains("other.db"), "{report:#}");
}
