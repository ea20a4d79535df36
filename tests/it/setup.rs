//! `init` and `uninstall`: nothing foreign is ever changed, and the client always goes on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tallyhook::hook::manifest::EVENTS;
use tallyhook::setup::settings::{Registration, register, registered, unregister};

use crate::support::{Ledger, Ran, without_folder};

const COMMAND: &str = r#"[ -x "/opt/tallyhook" ] || exit 0; exec "/opt/tallyhook" hook"#;
const ALL: Registration<'_> = Registration { command: COMMAND, events: &EVENTS, timeout_seconds: 5 };

fn settings(ledger: &Ledger) -> PathBuf {
    ledger.project().join(".claude").join("settings.json")
}

fn hooks_file(ledger: &Ledger) -> PathBuf {
    ledger.project().join(".claude").join("hooks").join("hooks.json")
}

/// A ledger whose project has these settings.
fn with_settings(text: impl AsRef<[u8]>) -> Ledger {
    let ledger = Ledger::new();
    std::fs::create_dir_all(settings(&ledger).parent().unwrap()).unwrap();
    std::fs::write(settings(&ledger), text).unwrap();
    ledger
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

/// The settings without any entry of ours, as another reader of JSON sees them.
fn foreign_part(text: &str) -> Value {
    let mut value = parsed(text);
    if let Some(hooks) = value.get_mut("hooks").and_then(Value::as_object_mut) {
        for groups in hooks.values_mut() {
            let groups = groups.as_array_mut().unwrap();
            for group in groups.iter_mut() {
                if let Some(entries) = group.get_mut("hooks").and_then(Value::as_array_mut) {
                    entries.retain(|entry| entry["command"] != COMMAND);
                }
            }
            groups.retain(|group| {
                group["hooks"].as_array().is_none_or(|hooks| !hooks.is_empty())
                    || group.get("foreign").is_some()
            });
        }
    }
    value
}

#[test]
fn every_event_is_registered_once_and_again_changes_nothing() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    let text = read(&settings(&ledger));
    let hooks = parsed(&text)["hooks"].as_object().unwrap().clone();
    assert_eq!(hooks.len(), EVENTS.len());
    for subscription in EVENTS {
        let groups = hooks[subscription.event].as_array().unwrap();
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0]["hooks"][0]["timeout"], 5);
        let command = groups[0]["hooks"][0]["command"].as_str().unwrap();
        assert!(command.starts_with("[ -x \"/") && command.ends_with("\" hook"), "{command}");
    }
    assert_eq!(parsed(&read(&hooks_file(&ledger))), parsed(&text));
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    assert_eq!(read(&settings(&ledger)), text);
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    let ledger = with_settings("{\"model\": \"opus\"}\n");
    let ran = ledger.run(&["init", "--dry-run"]);
    assert!(ran.text().contains("+") && ran.text().contains("PostToolUse"), "{ran:?}");
    assert_eq!(read(&settings(&ledger)), "{\"model\": \"opus\"}\n");
    assert!(!hooks_file(&ledger).exists() && !ledger.path().exists());
}

#[test]
fn what_init_says() {
    let ledger = with_settings("{\"model\": \"opus\"}\n");
    let said = |args: &[&str]| {
        let text = without_folder(&ledger, ledger.run(args).text());
        // The registration itself is looked at elsewhere; a backup's name and the client are the machine's own.
        let is_shown =
            |line: &&str| !["+ ", "- ", "backup", "client "].iter().any(|start| line.starts_with(start));
        let lines = text.lines().filter(is_shown);
        lines.collect::<Vec<_>>().join("\n")
    };
    let all = [&["init", "--dry-run"][..], &["init"], &["init"], &["uninstall"]]
        .map(|args| format!("$ tallyhook {}\n{}\n", args.join(" "), said(args)));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_self_test_leaves_no_row() {
    let ledger = Ledger::new();
    let ran = ledger.run(&["init"]);
    assert!(ran.text().contains("self-test"), "{ran:?}");
    assert_eq!(ledger.calls(), [] as [Value; 0]);
    let sessions: i64 =
        ledger.sqlite().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 0);
}

#[test]
fn init_ends_with_a_first_table_where_there_is_something_to_show() {
    let ledger = Ledger::new();
    let call = json!({
        "hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": "t", "tool_name": "Bash",
        "tool_input": {}, "tool_response": "x", "cwd": ledger.project(),
    });
    ledger.hook(call);
    assert!(ledger.run(&["init"]).text().contains("Tool calls, estimated"));
}

#[test]
fn the_users_scope_is_the_clients_own_folder() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    assert!(ledger.home().join(".claude").join("settings.json").exists());
    let folder = ledger.dir().join("elsewhere");
    let ledger = Ledger::new().with_var("CLAUDE_CONFIG_DIR", folder.to_str().unwrap());
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    assert!(folder.join("settings.json").exists());
    assert!(!ledger.home().join(".claude").exists());
}

#[test]
fn init_then_uninstall_gives_back_every_byte() {
    for text in [
        "{}",
        "{}\n",
        "{\"hooks\": {}}",
        "{\n  \"hooks\": {\n    \"Stop\": []\n  }\n}\n",
        "{\n\t\"model\": \"opus\",\n\t\"statusLine\": {\"type\":\"command\",\"command\":\"mine\"}\n}\n",
        "{\r\n    \"permissions\": {\r\n        \"allow\": [\"Bash(ls:*)\"]\r\n    }\r\n}\r\n",
        "\u{feff}{\n  \"model\": \"opus\"\n}\n",
        "{\"hooks\":{\"PostToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"say done\"}]}]},\"big\":12345678901234567890,\"f\":1.0}",
        "{ \"z\": 1,\n      \"a\": [ 1,2 ,3 ],\n\n  \"hooks\": { \"Stop\": [ { \"hooks\": [ { \"type\": \"command\", \"command\": \"x\" } ] } ] } }",
    ] {
        let ledger = with_settings(text);
        let ran = ledger.run(&["init"]);
        assert_eq!(ran.code, Some(0), "{text}: {ran:?}");
        assert_ne!(read(&settings(&ledger)), text);
        assert_eq!(ledger.run(&["uninstall"]).code, Some(0));
        assert_eq!(read(&settings(&ledger)), text);
        assert!(!hooks_file(&ledger).exists());
    }
}

#[test]
fn what_init_has_made_alone_is_gone_after_uninstall() {
    let ledger = Ledger::new();
    ledger.run(&["init"]);
    ledger.run(&["uninstall"]).text();
    assert!(!settings(&ledger).exists() && !hooks_file(&ledger).exists());
}

#[test]
fn what_was_added_after_init_stays() {
    let ledger = with_settings("{\n  \"a\": 1\n}\n");
    ledger.run(&["init"]);
    let text = read(&settings(&ledger)).replace("\"a\": 1", "\"a\": 1,\n  \"b\": 2");
    std::fs::write(settings(&ledger), text).unwrap();
    ledger.run(&["uninstall"]).text();
    assert_eq!(read(&settings(&ledger)), "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
}

#[test]
fn settings_that_the_client_does_not_load_are_reported_and_left_alone() {
    for (text, place, reason) in [
        ("{\n  \"a\": 1,\n  \"b\" 2\n}\n", ":3:", "not valid JSON"),
        ("{\n  // a comment\n  \"a\": 1\n}\n", ":2:", "not valid JSON"),
        ("{\"a\": 1,}\n", ":1:", "not valid JSON"),
        ("[]\n", ":1:1:", "not a JSON object"),
        ("{\n  \"hooks\": []\n}\n", ":2:3:", "not an object"),
        ("{\"hooks\": {\n \"Stop\": {}}}\n", ":2:2:", "not a list"),
        ("{\"hooks\": {}, \"hooks\": {}}\n", ":1:2:", "twice"),
    ] {
        let ledger = with_settings(text);
        let ran = ledger.run(&["init"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{text}");
        assert!(ran.stderr.contains(place) && ran.stderr.contains(reason), "{text}: {}", ran.stderr);
        assert_eq!(read(&settings(&ledger)), text);
        assert!(!hooks_file(&ledger).exists());
    }
    let ledger = with_settings(b"{\n\"a\": \"\xff\"}");
    let ran = ledger.run(&["init"]);
    assert!(ran.code == Some(1) && ran.stderr.contains(":2:7: this is not UTF-8"), "{ran:?}");
}

#[test]
fn an_empty_file_is_as_good_as_none() {
    for text in ["", " \n"] {
        let ledger = with_settings(text);
        assert_eq!(ledger.run(&["init"]).code, Some(0));
        assert_eq!(registered(&read(&settings(&ledger))).unwrap().len(), EVENTS.len());
    }
}

#[test]
fn a_link_to_a_dotfiles_folder_stays_a_link() {
    let ledger = Ledger::new();
    let real = ledger.dir().join("dotfiles").join("claude.json");
    std::fs::create_dir_all(real.parent().unwrap()).unwrap();
    std::fs::write(&real, "{\"a\":1}\n").unwrap();
    std::fs::create_dir_all(settings(&ledger).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("../../dotfiles/claude.json", settings(&ledger)).unwrap();
    ledger.run(&["init"]);
    assert!(std::fs::symlink_metadata(settings(&ledger)).unwrap().is_symlink());
    assert_eq!(registered(&read(&real)).unwrap().len(), EVENTS.len());
    ledger.run(&["uninstall"]);
    assert_eq!(read(&real), "{\"a\":1}\n");
}

#[test]
fn a_read_only_file_is_left_alone_and_permissions_are_kept() {
    let ledger = with_settings("{}");
    std::fs::set_permissions(settings(&ledger), std::fs::Permissions::from_mode(0o444)).unwrap();
    let ran = ledger.run(&["init"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("read-only"), "{ran:?}");
    assert_eq!(read(&settings(&ledger)), "{}");

    std::fs::set_permissions(settings(&ledger), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    assert_eq!(std::fs::metadata(settings(&ledger)).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn an_older_registration_is_brought_up_to_date_in_its_place() {
    let old = json!({"hooks": {
        "Stop": [{"hooks": [
            {"type": "command", "command": "before"},
            {"type": "command", "command": "/old/place/tallyhook hook", "timeout": 60},
            {"type": "command", "command": "after"},
        ]}],
        "Gone": [{"hooks": [{"type": "command", "command": "tallyhook hook"}]}],
        "PreCompact": [
            {"hooks": [{"type": "command", "command": "tallyhook hook"}]},
            {"hooks": [{"type": "command", "command": "/x/tallyhook hook"}]},
        ],
    }});
    let text = register(&format!("{old:#}"), &ALL).unwrap();
    let found = registered(&text).unwrap();
    assert_eq!(found.len(), EVENTS.len());
    assert!(found.iter().all(|hook| hook.command == COMMAND));
    let new = parsed(&text);
    let stop: Vec<&Value> = new["hooks"]["Stop"][0]["hooks"].as_array().unwrap().iter().collect();
    assert_eq!(stop[0]["command"], "before");
    assert_eq!((&stop[1]["command"], &stop[1]["timeout"]), (&json!(COMMAND), &json!(5)));
    assert_eq!(stop[2]["command"], "after");
    assert!(new["hooks"].get("Gone").is_none());
}

#[test]
fn a_line_in_which_the_shell_does_more_belongs_to_whoever_wrote_it() {
    let foreign = json!({"hooks": {"Stop": [
        {"hooks": [{"type": "command", "command": "tallyhook hook; /usr/local/bin/notify done"}]},
        {"hooks": [{"type": "command", "command": "test -f .off && exit 0; /home/u/tallyhook.sh hook"}]},
        {"note": "mine", "hooks": [{"type": "command", "command": "tallyhook hook | tee -a /tmp/log"}]},
    ]}});
    let text = format!("{foreign:#}");
    let with = register(&text, &ALL).unwrap();
    assert_eq!(registered(&with).unwrap().len(), EVENTS.len());
    assert_eq!(unregister(&with, None).unwrap(), text);
    let ledger = with_settings(&text);
    ledger.run(&["init"]);
    ledger.run(&["uninstall"]).text();
    assert_eq!(read(&settings(&ledger)), text);
}

#[test]
fn a_narrowed_registration_is_widened_beside_the_foreign_hooks_of_its_group() {
    let text = json!({"hooks": {"PostToolUse": [{"matcher": "Bash", "hooks": [
        {"type": "command", "command": "lint"}, {"type": "command", "command": COMMAND, "timeout": 5},
    ]}]}});
    let with = parsed(&register(&text.to_string(), &ALL).unwrap());
    let groups = with["hooks"]["PostToolUse"].as_array().unwrap();
    assert_eq!(groups[0], json!({"matcher": "Bash", "hooks": [{"type": "command", "command": "lint"}]}));
    assert_eq!(groups[1]["matcher"], "*");
}

#[test]
fn a_binary_of_another_name_is_known_again() {
    let ledger = Ledger::new();
    let renamed = ledger.dir().join("tallyhook-linux-x64");
    std::fs::copy(env!("CARGO_BIN_EXE_tallyhook"), &renamed).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&renamed);
        command.args(args).current_dir(ledger.project()).env_clear().env("HOME", ledger.home());
        Ran::of(command.env("TALLYHOOK_DB", ledger.path()).stdin(Stdio::null()))
    };
    assert_eq!(run(&["init"]).code, Some(0));
    assert_eq!(run(&["init"]).code, Some(0));
    assert_eq!(registered(&read(&settings(&ledger))).unwrap().len(), EVENTS.len());
    run(&["uninstall"]).text();
    assert!(!settings(&ledger).exists());
}

#[test]
fn the_path_that_the_binary_was_started_by_is_registered() {
    let ledger = Ledger::new();
    let link = ledger.dir().join("tallyhook");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tallyhook"), &link).unwrap();
    let mut command = Command::new(&link);
    command.arg("init").current_dir(ledger.project()).env_clear().env("HOME", ledger.home());
    assert_eq!(Ran::of(&mut command).code, Some(0));
    assert!(read(&settings(&ledger)).contains(link.to_str().unwrap()));
}

#[test]
fn a_link_whose_file_init_has_made_stays_a_link() {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.dir().join("dotfiles")).unwrap();
    std::fs::create_dir_all(settings(&ledger).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("../../dotfiles/claude.json", settings(&ledger)).unwrap();
    ledger.run(&["init"]);
    ledger.run(&["uninstall"]).text();
    assert!(std::fs::symlink_metadata(settings(&ledger)).unwrap().is_symlink());
    assert_eq!(registered(&read(&settings(&ledger))).unwrap().len(), 0);
}

#[test]
fn a_file_that_was_there_is_not_removed_whatever_the_ledger_is() {
    let ledger = with_settings("{}\n");
    let other = ledger.dir().join("other.db");
    ledger.run(&["--db", other.to_str().unwrap(), "init"]);
    ledger.run(&["uninstall"]).text();
    assert_eq!(read(&settings(&ledger)), "{}\n");
}

#[test]
fn one_bad_file_does_not_keep_the_others_registered() {
    let ledger = Ledger::new();
    ledger.run(&["init"]);
    ledger.run(&["init", "--scope", "user"]);
    let user = ledger.home().join(".claude").join("settings.json");
    std::fs::write(ledger.project().join(".claude").join("settings.local.json"), "{ broken").unwrap();
    std::fs::set_permissions(&user, std::fs::Permissions::from_mode(0o444)).unwrap();
    let ran = ledger.run(&["uninstall", "--purge", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(!settings(&ledger).exists() && user.exists() && ledger.path().exists(), "{ran:?}");
}

#[test]
fn purging_removes_nothing_foreign() {
    let ledger = Ledger::new();
    let notes = ledger.dir().join("notes.txt");
    std::fs::write(&notes, "precious\n").unwrap();
    let ran = ledger.run(&["--db", notes.to_str().unwrap(), "uninstall", "--purge", "--yes"]);
    assert_eq!((ran.code, read(&notes).as_str()), (Some(1), "precious\n"), "{ran:?}");
    let photo = ledger.path().parent().unwrap().join("backups").join("photo.jpg");
    ledger.run(&["init"]);
    std::fs::create_dir_all(photo.parent().unwrap()).unwrap();
    std::fs::write(&photo, "x").unwrap();
    ledger.run(&["uninstall", "--purge", "--yes"]).text();
    assert!(photo.exists() && !ledger.path().exists());
}

#[test]
fn a_hooks_file_of_another_kind_does_not_stop_init() {
    let ledger = with_settings("{}");
    std::fs::create_dir_all(hooks_file(&ledger).parent().unwrap()).unwrap();
    std::fs::write(hooks_file(&ledger), "[1]").unwrap();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    assert_eq!(read(&hooks_file(&ledger)), "[1]");
    assert_eq!(registered(&read(&settings(&ledger))).unwrap().len(), EVENTS.len());
}

#[test]
fn the_diff_shows_no_secret() {
    for text in [
        "{\n  \"env\": {\n    \"KEY\": \"sk-12345\"\n  }\n}\n",
        "{\"env\":{\"KEY\":\"sk-12345\"},\"apiKeyHelper\":\"sk-12345-helper\"}",
    ] {
        let ran = with_settings(text).run(&["init", "--dry-run"]);
        assert!(!ran.stdout.contains("sk-12345") && ran.stdout.contains("…"), "{}", ran.stdout);
    }
}

#[test]
fn a_client_gets_only_the_events_that_it_knows() {
    let ledger = Ledger::new();
    let bin = ledger.home().join(".local").join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("claude"), "#!/bin/sh\necho '2.0.77 (Claude Code)'\n").unwrap();
    std::fs::set_permissions(bin.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = ledger.run(&["init"]);
    assert!(ran.text().contains("Claude Code 2.0.77"), "{ran:?}");
    let events: Vec<String> =
        registered(&read(&settings(&ledger))).unwrap().into_iter().map(|hook| hook.event).collect();
    assert!(
        events.contains(&"SubagentStart".to_owned()) && events.contains(&"PostToolUseFailure".to_owned())
    );
    assert!(!events.iter().any(|event| ["PostToolBatch", "PostCompact", "StopFailure"].contains(&&**event)));
}

#[test]
fn the_registered_line_is_silent_when_the_binary_has_gone() {
    let ledger = Ledger::new();
    let line = r#"[ -x "/nowhere/tallyhook" ] || exit 0; exec "/nowhere/tallyhook" hook"#;
    Ran::with_stdin(Command::new("/bin/sh").args(["-c", line]).env_clear(), b"{}").assert_silent(line);
    let plugin: Value = parsed(include_str!("../../hooks/hooks.json"));
    let line = plugin["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).env_clear().env("HOME", ledger.home());
    Ran::with_stdin(&mut shell, b"{}").assert_silent(line);
}

#[test]
fn the_plugins_line_finds_the_binary() {
    let ledger = Ledger::new();
    let bin = ledger.home().join(".cargo").join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tallyhook"), bin.join("tallyhook")).unwrap();
    let plugin: Value = parsed(include_str!("../../hooks/hooks.json"));
    let line = plugin["hooks"]["UserPromptSubmit"][0]["hooks"][0]["command"].as_str().unwrap();
    let payload = json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt_id": "p"});
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).env_clear().env("HOME", ledger.home()).env("TALLYHOOK_DB", ledger.path());
    Ran::with_stdin(&mut shell, payload.to_string().as_bytes()).assert_silent(line);
    assert_eq!(ledger.report("s")["session"]["turns"], 1);
}

#[test]
fn killed_at_any_moment_the_settings_are_the_old_or_the_new_ones() {
    let ledger = with_settings("{\"model\":\"opus\"}\n");
    let old = read(&settings(&ledger));
    ledger.run(&["init"]);
    let new = read(&settings(&ledger));
    let (mut seen_old, mut seen_new) = (0, 0);
    for step in 0..60_u64 {
        std::fs::write(settings(&ledger), &old).unwrap();
        let mut child = ledger
            .command(&["init"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(step * 250));
        child.kill().unwrap();
        child.wait().unwrap();
        match read(&settings(&ledger)) {
            text if text == old => seen_old += 1,
            text if text == new => seen_new += 1,
            text => panic!("neither: {text}"),
        }
    }
    assert_eq!(seen_old + seen_new, 60);
}

#[test]
fn uninstall_cleans_every_project_that_the_ledger_knows() {
    let ledger = Ledger::new();
    let other = ledger.dir().join("other");
    std::fs::create_dir(&other).unwrap();
    assert_eq!(ledger.run_in(&other, &["init"]).code, Some(0));
    ledger.hook(json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "cwd": other}));
    ledger.run(&["uninstall"]).text();
    assert!(!other.join(".claude").join("settings.json").exists());
}

#[test]
fn purging_asks_first() {
    let ledger = Ledger::new();
    ledger.run(&["init"]);
    let ran = ledger.run(&["uninstall", "--purge"]);
    assert!(ran.text().contains("They were kept"), "{ran:?}");
    assert!(ledger.path().exists());
    ledger.run(&["uninstall", "--purge", "--yes"]).text();
    assert!(!ledger.path().parent().unwrap().exists());
}

#[test]
fn a_client_without_hooks_is_named() {
    let ran = Ledger::new().run(&["init", "--client", "cursor"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("cursor has no hooks"), "{ran:?}");
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    let ledger = Ledger::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(ledger.run(&["completions", shell]).text().contains("show-usage"), "{shell}");
    }
    assert!(ledger.run(&["man"]).text().contains("show\\-usage"));
}

/// Foreign settings: any members, and hooks of any foreign kind on our events and on others.
fn any_settings() -> impl Strategy<Value = Value> {
    let command =
        prop::sample::select(vec!["say done", "my-tallyhook hook", "echo tallyhook hook", "lint --fix"]);
    let entry = (command, any::<bool>()).prop_map(|(command, with_more)| {
        let mut entry = json!({"type": "command", "command": command});
        if with_more {
            entry["timeout"] = json!(7);
        }
        entry
    });
    let group =
        (prop::collection::vec(entry, 0..3), prop::option::of("[A-Z]{1,5}")).prop_map(|(hooks, matcher)| {
            let mut group = json!({"foreign": true, "hooks": hooks});
            if let Some(matcher) = matcher {
                group["matcher"] = json!(matcher);
            }
            group
        });
    let events =
        prop::sample::select(vec!["Stop", "PostToolUse", "PreToolUse", "Notification", "SessionEnd"]);
    let hooks = prop::collection::btree_map(events, prop::collection::vec(group, 0..3), 0..4);
    let other = prop::collection::btree_map(
        "[a-z]{1,6}",
        prop_oneof![
            Just(json!(null)),
            any::<i64>().prop_map(|n| json!(n)),
            ".{0,8}".prop_map(|s| json!(s)),
            Just(json!([1, {"x": []}]))
        ],
        0..4,
    );
    (prop::option::of(hooks), other).prop_map(|(hooks, other)| {
        let mut settings = json!(other);
        if let Some(hooks) = hooks {
            settings["hooks"] = json!(hooks);
        }
        settings
    })
}

/// The ways in which people's editors write JSON.
fn written(settings: &Value, way: u8) -> String {
    let pretty = format!("{settings:#}");
    match way {
        0 => settings.to_string(),
        1 => pretty + "\n",
        2 => pretty.replace('\n', "\r\n"),
        3 => format!("\u{feff}{pretty}"),
        4 => pretty.replace("  ", "\t"),
        _ => format!("\n\n  {}  \n", pretty.replace("\n", "\n\n")),
    }
}

proptest! {
    #[test]
    fn nothing_foreign_ever_changes(settings in any_settings(), way in 0_u8..6) {
        let text = written(&settings, way);
        let with = register(&text, &ALL).unwrap();
        prop_assert_eq!(registered(&with).unwrap().len(), EVENTS.len());
        prop_assert_eq!(&register(&with, &ALL).unwrap(), &with);
        let mut foreign = foreign_part(&with);
        // Lists that are there only for ours are ours.
        if let Some(hooks) = foreign["hooks"].as_object_mut() {
            hooks.retain(|event, groups| groups != &json!([]) || settings["hooks"].get(event).is_some());
            if hooks.is_empty() && settings.get("hooks").is_none() {
                foreign.as_object_mut().unwrap().remove("hooks");
            }
        }
        prop_assert_eq!(&foreign, &settings);
        let without = unregister(&with, Some(&text)).unwrap();
        prop_assert_eq!(parsed(&without), settings);
        prop_assert_eq!(without, text);
    }
}
