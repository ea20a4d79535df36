//! `init` and `uninstall`: nothing foreign is ever changed, and the client always goes on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tallyhook::hook::manifest::EVENTS;
use tallyhook::setup::command::{Program, RegisteredCommand as Line, Target};
use tallyhook::setup::settings::{CLAUDE_CODE, Registration, register, registered, unregister};

use crate::support::{Ledger, Ran, without_folder};

/// What a registration of the binary in /opt is brought to.
fn target() -> Target {
    Target {
        program: Program::At("/opt/tallyhook".into()),
        client: None,
        ledger: None,
        config: None,
        is_for_any_shell: false,
    }
}

/// The line that is registered then.
fn line() -> String {
    Line::hook(&target()).command
}

/// The settings with all events registered.
fn registering(text: &str) -> String {
    register(text, &Registration { target: &target(), format: &CLAUDE_CODE, events: &EVENTS }).unwrap()
}

/// The commands of ours in settings.
fn commands(text: &str) -> Vec<String> {
    registered(text).unwrap().into_iter().map(|found| found.entry.command.command).collect()
}

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
                    entries.retain(|entry| entry["command"] != line());
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
        assert!(command.contains("exec tallyhook hook "), "{command}");
        assert!(!command.contains(env!("CARGO_MANIFEST_DIR")), "others have no such path: {command}");
    }
    assert_eq!(parsed(&read(&hooks_file(&ledger)))["hooks"], parsed(&text)["hooks"]);
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
        let text = text.replace(env!("CARGO_BIN_EXE_tallyhook"), "[binary]");
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
    assert!(ledger.run(&["init"]).text().contains("Tool calls (estimated)"));
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
fn folders_that_init_has_made_are_gone_after_uninstall_whatever_they_are_called() {
    let ledger = Ledger::new();
    for name in ["a\tb", "a b", "\u{202e}c"] {
        let folder = ledger.dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        for command in ["init", "uninstall"] {
            ledger.run_in(&folder, &[command]).text();
            assert_eq!(folder.join(".claude").exists(), command == "init", "{name:?} after {command}");
        }
    }
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
        ("{\n  \"a\": 1,\n  \"b\" 2\n}\n", ":3:", "isn't valid JSON"),
        ("{\n  // a comment\n  \"a\": 1\n}\n", ":2:", "isn't valid JSON"),
        ("{\"a\": 1,}\n", ":1:", "isn't valid JSON"),
        ("[]\n", ":1:1:", "aren't a JSON object"),
        ("{\n  \"hooks\": []\n}\n", ":2:3:", "isn't an object"),
        ("{\"hooks\": {\n \"Stop\": {}}}\n", ":2:2:", "aren't a list"),
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
    assert!(ran.code == Some(1) && ran.stderr.contains(":2:7: this isn't UTF-8"), "{ran:?}");
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
    let text = registering(&format!("{old:#}"));
    let found = commands(&text);
    assert_eq!(found.len(), EVENTS.len());
    assert!(found.iter().all(|command| *command == line()));
    let new = parsed(&text);
    let stop: Vec<&Value> = new["hooks"]["Stop"][0]["hooks"].as_array().unwrap().iter().collect();
    assert_eq!(stop[0]["command"], "before");
    assert_eq!((&stop[1]["command"], &stop[1]["timeout"]), (&json!(line()), &json!(60)));
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
    let with = registering(&text);
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
        {"type": "command", "command": "lint"}, {"type": "command", "command": line(), "timeout": 5},
    ]}]}});
    let with = parsed(&registering(&text.to_string()));
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
    command.args(["init", "--scope", "local"]).current_dir(ledger.project());
    assert_eq!(Ran::of(command.env_clear().env("HOME", ledger.home())).code, Some(0));
    let local = settings(&ledger).with_file_name("settings.local.json");
    assert!(read(&local).contains(link.to_str().unwrap()));
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
    assert!(ran.text().contains("Nothing was deleted"), "{ran:?}");
    assert!(ledger.path().exists());
    ledger.run(&["uninstall", "--purge", "--yes"]).text();
    assert!(!ledger.path().parent().unwrap().exists());
}

#[test]
fn a_client_without_hooks_is_named() {
    let ran = Ledger::new().run(&["init", "--client", "cursor"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("can't register with cursor"), "{ran:?}");
}

#[test]
fn completions_and_the_manual_name_the_commands() {
    let ledger = Ledger::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(ledger.run(&["completions", shell]).text().contains("show-usage"), "{shell}");
    }
    assert!(ledger.run(&["man"]).text().contains("show\\-usage"));
}

/// Settings with lines of ours that were written by hand, each with arguments of its own.
fn with_own_lines() -> (Ledger, Value) {
    let settings = json!({
        "statusLine": {"type": "command", "command": "/old/tallyhook statusline --template \"{cost} today {today}\""},
        "hooks": {
            "PostToolUse": [{"matcher": "*", "hooks": [
                {"type": "command", "command": "/old/tallyhook hook --config /etc/team/t.toml", "timeout": 60}]}],
            "Stop": [{"hooks": [{"type": "command", "command": "/old/tallyhook hook --db \"$HOME/other.db\""}]}],
            "SessionEnd": [{"hooks": [
                {"type": "command", "command": "/old/tallyhook", "args": ["hook", "--db", "~/third.db"], "timeout": 9}]}],
        },
    });
    let ledger = Ledger::new();
    let path = user_settings(&ledger);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, settings.to_string()).unwrap();
    (ledger, settings)
}

fn user_settings(ledger: &Ledger) -> PathBuf {
    ledger.home().join(".claude").join("settings.json")
}

/// What stands for an event.
fn hooks<'v>(settings: &'v Value, event: &str) -> Vec<&'v Value> {
    let groups = settings["hooks"][event].as_array().unwrap();
    groups.iter().flat_map(|group| group["hooks"].as_array().unwrap()).collect()
}

#[test]
fn a_budget_that_stops_changes_no_line_that_is_there() {
    let (ledger, before) = with_own_lines();
    ledger.run(&["budget", "set", "5", "--stop"]).text();
    let mut after = parsed(&read(&user_settings(&ledger)));
    assert_eq!(hooks(&after, "PreToolUse"), hooks(&before, "PostToolUse"), "it asks with the same arguments");
    after["hooks"].as_object_mut().unwrap().remove("PreToolUse");
    assert_eq!(after, before);
    ledger.run(&["budget", "clear"]).text();
    assert_eq!(parsed(&read(&user_settings(&ledger))), before);
}

#[test]
fn init_and_doctor_keep_each_lines_own_arguments() {
    for command in [&["init", "--scope", "user"][..], &["doctor", "--fix"]] {
        let (ledger, before) = with_own_lines();
        ledger.run(command);
        let after = parsed(&read(&user_settings(&ledger)));
        let tool = hooks(&after, "PostToolUse")[0];
        assert!(tool["command"].as_str().unwrap().contains("hook --config /etc/team/t.toml 2>"), "{tool}");
        assert_eq!(tool["timeout"], 60);
        let stop = hooks(&after, "Stop")[0];
        assert!(stop["command"].as_str().unwrap().contains("hook --db \"$HOME/other.db\" 2>"), "{stop}");
        assert_eq!(stop.get("timeout"), None, "{stop}");
        // Without a shell it stays without one.
        let end = hooks(&after, "SessionEnd");
        let own = env!("CARGO_BIN_EXE_tallyhook");
        assert_eq!(
            end,
            [
                &json!({"type": "command", "command": own, "args": ["hook", "--db", "~/third.db"], "timeout": 9})
            ]
        );
        assert_eq!(commands(&read(&user_settings(&ledger))).len(), EVENTS.len());
        let status = after["statusLine"]["command"].as_str().unwrap();
        if command[0] == "init" {
            assert!(status.contains("statusline --template \"{cost} today {today}\" 2>"), "{status}");
        } else {
            assert_eq!(after["statusLine"], before["statusLine"]);
        }
        // Again nothing changes.
        let text = read(&user_settings(&ledger));
        ledger.run(command);
        assert_eq!(read(&user_settings(&ledger)), text);
    }
}

#[test]
fn a_ledger_that_is_given_takes_the_place_of_those_that_are_named() {
    let (ledger, _) = with_own_lines();
    let given = ledger.dir().join("given.db");
    let ran = ledger.run(&["--db", given.to_str().unwrap(), "init", "--scope", "user", "--no-statusline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = read(&user_settings(&ledger));
    assert_eq!(text.matches("given.db").count(), EVENTS.len());
    assert!(
        !text.contains("other.db") && !text.contains("third.db") && text.contains("/etc/team/t.toml"),
        "{text}"
    );
}

#[test]
fn the_exec_form_is_recognised_not_doubled_and_uninstalled() {
    let entry = json!({"type": "command", "command": env!("CARGO_BIN_EXE_tallyhook"), "args": ["hook"]});
    let foreign = json!({"type": "command", "command": "/x/tallyhook", "args": ["cost"]});
    let ledger = Ledger::new();
    let path = user_settings(&ledger);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let text = json!({"hooks": {"PostToolUse": [{"matcher": "*", "hooks": [entry]}], "Stop": [{"hooks": [foreign]}]}});
    std::fs::write(&path, text.to_string()).unwrap();
    let doctor = ledger.run(&["doctor", "--json"]).json();
    assert!(!doctor.to_string().contains("not registered"), "{doctor:#}");
    assert_eq!(ledger.run(&["init", "--scope", "user"]).code, Some(0));
    let after = parsed(&read(&path));
    assert_eq!(hooks(&after, "PostToolUse"), [&entry]);
    assert_eq!(hooks(&after, "PreCompact")[0]["args"], json!(["hook"]), "new ones are like it");
    assert_eq!(ledger.run(&["uninstall"]).code, Some(0));
    assert_eq!(parsed(&read(&path)), json!({"hooks": {"Stop": [{"hooks": [foreign]}]}}));
}

#[test]
fn the_same_line_twice_is_one_and_other_arguments_are_another() {
    let entry = |command: &str| json!({"type": "command", "command": command});
    let text = json!({"hooks": {"Stop": [
        {"hooks": [entry("tallyhook hook"), entry("/y/tallyhook hook"), entry("tallyhook hook --db /second.db")]},
        {"hooks": [entry("mine")]},
    ]}});
    let after = registering(&text.to_string());
    let stop: Vec<Value> = hooks(&parsed(&after), "Stop").into_iter().cloned().collect();
    assert_eq!(stop.len(), 3, "{stop:#?}");
    assert_eq!(stop[0]["command"], line());
    assert!(stop[1]["command"].as_str().unwrap().contains("hook --db /second.db"));
    assert_eq!(registering(&after), after);
}

#[test]
fn a_line_in_a_shared_file_names_no_path_and_finds_the_binary_all_the_same() {
    let ledger = Ledger::new();
    // An older `init` had put this machine's path there.
    let own = format!("[ -x \"{0}\" ] || exit 0; exec \"{0}\" hook", env!("CARGO_BIN_EXE_tallyhook"));
    let old = json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": own, "timeout": 5}]}]}});
    std::fs::create_dir_all(settings(&ledger).parent().unwrap()).unwrap();
    std::fs::write(settings(&ledger), old.to_string()).unwrap();
    let report = ledger.run(&["doctor", "--json"]).json();
    assert!(report.to_string().contains("is missing"), "{report:#}");
    let ran = ledger.run(&["init"]);
    assert!(ran.text().contains("isn't on your PATH"), "{ran:?}");
    let shared = [read(&settings(&ledger)), read(&hooks_file(&ledger))].concat();
    assert!(!shared.contains(env!("CARGO_MANIFEST_DIR")) && !shared.contains(ledger.dir().to_str().unwrap()));
    let line = commands(&read(&settings(&ledger))).remove(0);
    let run = |path: &str| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &line]).env_clear().env("HOME", ledger.home()).env("TALLYHOOK_DB", ledger.path());
        let prompt = json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt_id": path});
        Ran::with_stdin(shell.env("PATH", path), prompt.to_string().as_bytes()).assert_silent(path);
        ledger.report("s")["session"]["turns"].as_u64().unwrap_or(0)
    };
    assert_eq!(run("/usr/bin"), 1, "by the link that `init` has made");
    ledger.run(&["uninstall"]).text();
    assert!(!ledger.home().join(".local/share/tallyhook").exists());
    assert_eq!(run("/bin"), 1, "on a machine without it the line does nothing");
    // One that is installed needs no link.
    let bin = ledger.dir().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tallyhook"), bin.join("tallyhook")).unwrap();
    let ran = Ran::of(ledger.command(&["init"]).env("PATH", &bin).stdin(Stdio::null()));
    assert!(ran.code == Some(0) && !ran.stdout.contains("isn't on your PATH"), "{ran:?}");
    assert!(!ledger.home().join(".local/share/tallyhook/bin").exists());
    assert_eq!(run(bin.to_str().unwrap()), 2);
}

#[test]
fn the_local_scope_is_the_users_own_file_in_the_project() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init", "--scope", "local"]).code, Some(0));
    let local = settings(&ledger).with_file_name("settings.local.json");
    assert_eq!(commands(&read(&local)).len(), EVENTS.len());
    assert!(!settings(&ledger).exists() && !hooks_file(&ledger).exists());
    let report = ledger.run(&["doctor", "--json"]).json();
    let check =
        report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "hooks (local)").unwrap();
    assert_eq!(check["status"], "ok", "{report:#}");
    ledger.run(&["uninstall"]).text();
    assert!(!local.exists());
}

#[test]
fn the_copy_of_the_registration_is_explained_compact_and_can_be_left_out() {
    let ledger = Ledger::new();
    assert_eq!(ledger.run(&["init", "--no-hooks-file"]).code, Some(0));
    assert!(!hooks_file(&ledger).exists());
    assert_eq!(ledger.run(&["doctor", "--fix"]).code, Some(0));
    assert!(!hooks_file(&ledger).exists());
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    let text = read(&hooks_file(&ledger));
    let of_events = text.lines().filter(|line| line.contains("\"command\"")).count();
    assert_eq!(of_events, EVENTS.len(), "{text}");
    assert!(parsed(&text)["description"].as_str().unwrap().contains("reads settings.json"), "{text}");
    // It follows what a budget adds.
    ledger.run(&["budget", "set", "5", "--stop"]).text();
    assert!(read(&hooks_file(&ledger)).contains("PreToolUse"));
    // What others have put in it stays.
    std::fs::write(hooks_file(&ledger), "{\"description\": \"mine\", \"hooks\": {}}").unwrap();
    assert_eq!(ledger.run(&["init"]).code, Some(0));
    assert_eq!(parsed(&read(&hooks_file(&ledger)))["description"], "mine");
}

#[test]
fn a_folder_that_was_there_stays_and_one_that_was_made_goes() {
    for was_there in [true, false] {
        let ledger = Ledger::new();
        let folder = ledger.project().join(".claude");
        if was_there {
            std::fs::create_dir(&folder).unwrap();
        }
        assert_eq!(ledger.run(&["init"]).code, Some(0));
        ledger.run(&["uninstall"]).text();
        assert_eq!(folder.exists(), was_there);
        assert!(!folder.join("hooks").exists());
    }
}

#[test]
fn purging_removes_everything_that_is_ours_and_only_that() {
    let ledger = Ledger::new();
    let run = |args: &[&str]| {
        let mut command = ledger.command(args);
        Ran::of(command.env_remove("TALLYHOOK_DB").stdin(Stdio::null()))
    };
    assert_eq!(run(&["init"]).code, Some(0));
    assert_eq!(run(&["prices", "set", "my-model", "--input", "1", "--output", "2"]).code, Some(0));
    let (data, config) = (ledger.home().join(".local/share"), ledger.home().join(".config"));
    std::fs::write(config.join("tallyhook/config.toml"), "store_names = false\n").unwrap();
    let spool = data.join("tallyhook/ledger.db.spool");
    std::fs::create_dir(&spool).unwrap();
    std::fs::write(spool.join("000001700000000-0000000007.unreadable"), "x").unwrap();
    std::fs::write(data.join("tallyhook/hook-errors.log"), "x\n").unwrap();
    let ran = run(&["uninstall", "--purge", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(crate::support::files_below(&ledger.home()), [] as [PathBuf; 0]);
    assert!(data.exists() && !data.join("tallyhook").exists() && !config.join("tallyhook").exists());
    // What others have put beside it stays, and so does what is beside a ledger elsewhere.
    let foreign = config.join("tallyhook/notes.md");
    std::fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    std::fs::write(&foreign, "x").unwrap();
    let beside = ledger.path().with_file_name("prices.toml");
    std::fs::create_dir_all(beside.parent().unwrap()).unwrap();
    std::fs::write(&beside, "x").unwrap();
    ledger
        .run_hook(json!({"hook_event_name": "UserPromptSubmit", "session_id": "s"}))
        .assert_silent("a prompt");
    assert_eq!(ledger.run(&["uninstall", "--purge", "--yes"]).code, Some(0));
    assert!(foreign.exists() && beside.exists() && !ledger.path().exists());
}

#[test]
fn variables_that_move_the_ledger_are_noted() {
    let ledger = Ledger::new();
    let data = ledger.dir().join("xdg");
    let mut command = ledger.command(&["init"]);
    command.env_remove("TALLYHOOK_DB").env("XDG_DATA_HOME", &data);
    let ran = Ran::of(command.stdin(Stdio::null()));
    assert!(ran.text().contains("XDG_DATA_HOME is set in this shell"), "{ran:?}");
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
        let with = registering(&text);
        prop_assert_eq!(registered(&with).unwrap().len(), EVENTS.len());
        prop_assert_eq!(&registering(&with), &with);
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
