//! `doctor`: what it finds, and that `--fix` mends what it says.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

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

/// One with it registered by its path, for its user alone, and the file that it is registered in.
fn set_up_by_path() -> (Ledger, PathBuf) {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    let path = ledger.home().join(".claude").join("settings.json");
    (ledger, path)
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
    for name in ["hooks (project)", "binary", "events", "ledger", "permissions", "file system", "hook errors"]
    {
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
    let (ledger, path) = set_up_by_path();
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
    let faults = check(&report, "hook errors")["found"].as_str().unwrap();
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
    let (ledger, path) = set_up_by_path();
    let fake = ledger.dir().join("tallyhook");
    std::fs::write(&fake, "garbage").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
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

/// The texts of all checks of that name.
fn all_of(report: &Value, name: &str) -> String {
    let all = report["checks"].as_array().unwrap();
    all.iter().filter(|check| check["check"] == name).map(|check| format!("{check}\n")).collect()
}

/// Writes a file below the ledger's folder.
fn write(ledger: &Ledger, name: &str, text: &str) {
    let path = ledger.dir().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn hooks_that_an_administrator_keeps_from_running_are_a_failure() {
    use tallyhook::doctor::{Subject, examine};
    use tallyhook::domain::Timestamp;
    use tallyhook::env::Env;
    use tallyhook::pricing::PriceTable;
    use tallyhook::setup::scope::{ScopeKind, SettingsScope};
    use tallyhook::setup::view::SettingsView;

    let (ledger, path) = set_up_by_path();
    let managed = ledger.dir().join("managed.json");
    let scope = |kind, folder: PathBuf| SettingsScope { kind, folder };
    for (text, wanted) in [
        ("{}", "ok"),
        ("{\"allowManagedHooksOnly\":true}", "failed"),
        ("{\"disableAllHooks\":true}", "failed"),
        ("{ broken", "ok"),
        (r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"tallyhook hook"}]}]}}"#, "ok"),
    ] {
        std::fs::write(&managed, text).unwrap();
        let user = scope(ScopeKind::User, path.parent().unwrap().to_path_buf());
        let project = scope(ScopeKind::Project, ledger.project().join(".claude"));
        let home = ledger.home();
        let env =
            Env::fixed(&ledger.project(), Timestamp::from_millis(0), &[("HOME", home.to_str().unwrap())]);
        let ledger_path = ledger.path();
        let subject = Subject {
            env: &env,
            ledger_path: &ledger_path,
            ledger: Ok(None),
            view: SettingsView::of_folders(Some(&user), Some(&project), std::slice::from_ref(&managed)),
            scopes: vec![user, project],
            config: None,
            client: None,
            prices: PriceTable::builtin(),
            prices_fault: None,
            verify: false,
        };
        let report: Value = serde_json::to_value(examine(&subject)).unwrap();
        assert_eq!(check(&report, "hooks (user)")["status"], wanted, "{text}: {report:#}");
        let found = check(&report, "hooks (managed)");
        assert_eq!(found["status"] == "failed", text.contains("broken"), "{report:#}");
        assert_eq!(found["status"] == "warning", text.contains("Stop"), "it lacks the others: {report:#}");
    }
}

#[test]
fn hooks_in_a_file_that_the_client_does_not_read_are_a_failure() {
    let line = r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"tallyhook hook"}]}]}}"#;
    for name in [
        "home/.claude/settings.local.json",
        "project/.claude/hooks/hooks.json",
        "home/.claude/hooks/hooks.json",
    ] {
        let ledger = Ledger::new();
        write(&ledger, name, line);
        let (code, report) = checks(&ledger, &[]);
        assert_eq!(code, Some(1));
        assert!(all_of(&report, "hooks").contains("doesn't read it"), "{name}: {report:#}");
    }
    // Beside hooks that run it is only worth a word.
    let ledger = set_up();
    write(&ledger, "home/.claude/settings.local.json", line);
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &check(&report, "hooks")["status"]), (Some(0), &json!("warning")), "{report:#}");
}

#[test]
fn a_plugin_that_the_project_switches_off_does_not_count() {
    let ledger = Ledger::new();
    write(&ledger, "home/.claude/settings.json", r#"{"enabledPlugins": {"tallyhook@m": true}}"#);
    assert_eq!(check(&checks(&ledger, &[]).1, "hooks (plugin)")["status"], "ok");
    write(&ledger, "project/.claude/settings.json", r#"{"enabledPlugins": {"tallyhook@m": false}}"#);
    let (code, report) = checks(&ledger, &[]);
    assert_eq!(
        (code, &check(&report, "hooks (plugin)")["status"]),
        (Some(1), &json!("failed")),
        "{report:#}"
    );
}

#[test]
fn a_local_file_that_switches_hooks_on_again_counts() {
    let ledger = set_up();
    let path = ledger.project().join(".claude/settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen('{', "{\"disableAllHooks\": true,", 1)).unwrap();
    let (code, report) = checks(&ledger, &[]);
    let found = check(&report, "hooks (project)");
    assert_eq!((code, &found["status"]), (Some(1), &json!("failed")), "{report:#}");
    assert!(found["found"].as_str().unwrap().contains("disableAllHooks"), "{found}");
    write(&ledger, "project/.claude/settings.local.json", "{\"disableAllHooks\": false}");
    assert_eq!(checks(&ledger, &[]).0, Some(0));
}

#[test]
fn the_same_event_by_two_lines_is_noticed() {
    let ledger = set_up();
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    let (code, report) = checks(&ledger, &[]);
    assert_eq!(code, Some(0));
    assert!(all_of(&report, "hooks").contains("registered in several files"), "{report:#}");
}

#[test]
fn a_folder_that_cannot_be_written_is_a_failure() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    std::fs::remove_dir_all(ledger.path().parent().unwrap()).unwrap();
    // A file where the folder belongs keeps even root from making it.
    std::fs::write(ledger.path().parent().unwrap(), "").unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!((code, &check(&report, "ledger")["status"]), (Some(1), &json!("failed")), "{report:#}");
    assert!(!report.to_string().contains("will be made"), "{report:#}");
}

#[test]
fn settings_and_prices_that_do_not_parse_are_failures() {
    for (name, text, wanted) in [
        ("home/.config/tallyhook/config.toml", "store_names = maybe", "settings"),
        ("home/.config/tallyhook/config.toml", "unknown = 1", "settings"),
        ("project/.claude/tallyhook.toml", "[budgets", "settings (project)"),
        ("home/.config/tallyhook/prices.toml", "[[model", "prices"),
    ] {
        let ledger = set_up();
        write(&ledger, name, text);
        let (code, report) = checks(&ledger, &[]);
        assert_eq!(code, Some(1), "{name}: {report:#}");
        assert!(all_of(&report, wanted).contains("\"failed\""), "{name}: {report:#}");
        assert!(check(&report, "ledger")["status"] == "ok", "it goes on: {report:#}");
    }
}

#[test]
fn estimates_that_are_far_off_are_not_well() {
    // The sample was recorded before a mock, whose tokens are not those of any model.
    let example = crate::support::Example::replayed();
    let (_, report) = checks(&example.ledger, &[]);
    let found = check(&report, "estimates");
    assert!(found["found"].as_str().unwrap().contains("off by "), "{found}");
    assert_eq!(found["status"], "warning", "{found}");
}

#[test]
fn an_event_that_tallyhook_has_no_use_for_is_not_one_that_the_client_does_not_know() {
    let ledger = Ledger::new();
    let bin = ledger.home().join(".local/bin");
    write(&ledger, "home/.local/bin/claude", "#!/bin/sh\necho '2.1.332 (Claude Code)'\n");
    std::fs::set_permissions(bin.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
    ledger.run(&["init", "--scope", "user"]);
    let path = ledger.home().join(".claude/settings.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for event in ["PreToolUse", "Notification", "PreSkillShellCommand"] {
        let mut settings: Value = serde_json::from_str(&text).unwrap();
        settings["hooks"][event] = settings["hooks"]["Stop"].clone();
        std::fs::write(&path, settings.to_string()).unwrap();
        let (code, report) = checks(&ledger, &[]);
        let found = check(&report, "hooks (user)")["found"].as_str().unwrap();
        assert!(code == Some(0) && !found.contains("does not know") && found.contains(event), "{found}");
    }
    // Nor to an old one, which may know it. One that came later it does not know.
    write(&ledger, "home/.local/bin/claude", "#!/bin/sh\necho '2.0.77 (Claude Code)'\n");
    let of = |event: &str| {
        let mut settings: Value = serde_json::from_str(&text).unwrap();
        let stop = settings["hooks"]["Stop"].clone();
        settings["hooks"] = json!({ "Stop": stop, event: stop });
        std::fs::write(&path, settings.to_string()).unwrap();
        let (code, report) = checks(&ledger, &[]);
        (code, check(&report, "hooks (user)")["found"].as_str().unwrap().to_owned())
    };
    let (code, found) = of("Notification");
    assert!(code == Some(0) && found.contains("doesn't use"), "{found}");
    let (code, found) = of("StopFailure");
    assert!(code == Some(1) && found.contains("doesn't support: StopFailure"), "{found}");
}

#[test]
fn a_binary_for_another_machine_is_named_as_such() {
    let (ledger, path) = set_up_by_path();
    write(&ledger, "tallyhook", "\u{7f}ELF\u{2}\u{1}\u{1}other machine");
    let other = ledger.dir().join("tallyhook");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(env!("CARGO_BIN_EXE_tallyhook"), other.to_str().unwrap())).unwrap();
    let (code, report) = checks(&ledger, &[]);
    let binary = check(&report, "binary");
    assert!(
        code == Some(1) && binary["found"].as_str().unwrap().contains("isn't built for this machine"),
        "{binary}"
    );
}

#[test]
fn a_copy_of_the_registration_that_says_something_else_is_found_and_mended() {
    let ledger = set_up();
    let file = ledger.project().join(".claude/hooks/hooks.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let without_one: String =
        text.lines().filter(|line| !line.contains("PreCompact")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, without_one).unwrap();
    let (code, report) = checks(&ledger, &[]);
    assert_eq!(
        (code, &check(&report, "hooks file (project)")["status"]),
        (Some(0), &json!("warning")),
        "{report:#}"
    );
    let (_, report) = checks(&ledger, &["--fix"]);
    assert_eq!(check(&report, "hooks file (project)"), &Value::Null, "{report:#}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_ledger_that_the_clients_settings_name_is_noticed() {
    for (value, wanted) in [("~/other.db", "warning"), ("other.db", "failed")] {
        let (ledger, path) = set_up_by_path();
        let text = std::fs::read_to_string(&path).unwrap();
        let env = format!("{{\"env\": {{\"TALLYHOOK_DB\": \"{value}\"}},");
        std::fs::write(&path, text.replacen('{', &env, 1)).unwrap();
        let (_, report) = checks(&ledger, &[]);
        let found = all_of(&report, "ledger");
        assert!(found.contains("TALLYHOOK_DB") && found.contains(wanted), "{value}: {found}");
    }
}

#[test]
fn a_budget_without_a_hook_says_so_loudly() {
    let set = |ledger: &Ledger, more: &[&str]| ledger.run(&[&["budget", "set", "5"], more].concat()).stderr;
    let ledger = Ledger::new();
    let said = set(&ledger, &[]);
    assert!(
        said.contains("WARNING") && said.contains("can't warn or stop") && said.contains("tallyhook init"),
        "{said}"
    );
    assert!(ledger.run(&["alerts", "on"]).stderr.contains("WARNING"));
    write(
        &ledger,
        "project/.claude/hooks/hooks.json",
        r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"tallyhook hook"}]}]}}"#,
    );
    assert!(set(&ledger, &[]).contains("doesn't read"));
    // With one it says nothing; and where it is switched off, who does that.
    let ledger = set_up();
    assert_eq!(set(&ledger, &[]), "");
    assert!(set(&ledger, &["--project", "/elsewhere"]).contains("WARNING"));
    write(&ledger, "home/.claude/settings.json", "{\"disableAllHooks\": true}");
    assert!(set(&ledger, &[]).contains("disableAllHooks"));
}
