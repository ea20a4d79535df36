//! `init --client NAME` and `uninstall`: the hook in the files of other clients, with the care that Claude Code's get.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Ledger, Ran};

/// A client, where its hooks are, and a payload of it.
struct Case {
    name: &'static str,
    /// The file below the user's home folder, and below a project.
    files: [&'static str; 2],
    events: usize,
    payload: Value,
}

fn cases() -> [Case; 4] {
    let call = |event: &str| {
        json!({ "session_id": "s", "hook_event_name": event, "tool_name": "Bash", "tool_use_id": "t",
                "tool_input": { "command": "ls" }, "tool_response": "a\n", "cwd": "/p" })
    };
    [
        Case { name: "codex", files: [".codex/hooks.json"; 2], events: 10, payload: call("PostToolUse") },
        Case {
            name: "gemini-cli",
            files: [".gemini/settings.json"; 2],
            events: 5,
            payload: call("AfterTool"),
        },
        Case { name: "qwen", files: [".qwen/settings.json"; 2], events: 12, payload: call("PostToolUse") },
        Case {
            name: "copilot-cli",
            files: [".copilot/hooks/tallyhook.json", ".github/hooks/tallyhook.json"],
            events: 9,
            payload: json!({ "sessionId": "s", "cwd": "/p", "toolName": "bash", "toolArgs": { "command": "ls" },
                             "toolResult": { "resultType": "success", "textResultForLlm": "a\n" } }),
        },
    ]
}

impl Case {
    fn init(&self, ledger: &Ledger, more: &[&str]) -> Ran {
        ledger.run(&[&["init", "--client", self.name][..], more].concat())
    }

    fn file(&self, ledger: &Ledger) -> PathBuf {
        ledger.project().join(self.files[1])
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The hooks in a file, whichever way they are written: event and command.
fn commands(text: &str) -> Vec<(String, String)> {
    let value: Value = serde_json::from_str(text).unwrap();
    let mut found = Vec::new();
    for (event, list) in value["hooks"].as_object().unwrap() {
        for element in list.as_array().unwrap() {
            let hooks = element["hooks"].as_array().cloned().unwrap_or_else(|| vec![element.clone()]);
            for hook in hooks {
                let command = hook.get("command").or_else(|| hook.get("bash")).unwrap();
                assert_eq!(hook["type"], "command");
                found.push((event.clone(), command.as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_client_gets_each_event_once_and_again_changes_nothing() {
    for case in cases() {
        let ledger = Ledger::new();
        let ran = case.init(&ledger, &[]);
        assert_eq!(ran.code, Some(0), "{}: {ran:?}", case.name);
        assert!(ran.text().contains("self-test test event recorded"), "{}: {ran:?}", case.name);
        let text = read(&case.file(&ledger));
        let found = commands(&text);
        assert_eq!(found.len(), case.events, "{text}");
        for (_, command) in &found {
            assert!(command.contains(&format!("tallyhook hook --client {} ", case.name)), "{command}");
            assert!(!command.contains(env!("CARGO_MANIFEST_DIR")), "others have no such path: {command}");
        }
        let again = case.init(&ledger, &[]);
        assert!(again.text().contains("already registered"), "{again:?}");
        assert_eq!(read(&case.file(&ledger)), text);
        assert_eq!(ledger.calls(), [] as [Value; 0], "the self-test leaves nothing");
    }
}

#[test]
fn the_registered_command_records_what_the_client_sends() {
    for case in cases() {
        for scope in ["project", "user"] {
            let ledger = Ledger::new();
            case.init(&ledger, &["--scope", scope]).text();
            let folder = if scope == "user" { ledger.home() } else { ledger.project() };
            let file = folder.join(case.files[usize::from(scope == "project")]);
            for (event, command) in commands(&read(&file)) {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &command]).env_clear();
                shell
                    .env("HOME", ledger.home())
                    .env("PATH", "/usr/bin:/bin")
                    .env("TALLYHOOK_DB", ledger.path());
                let ran = Ran::with_stdin(&mut shell, case.payload.to_string().as_bytes());
                ran.assert_silent(&format!("{} {event}", case.name));
            }
            let call = ledger.calls().into_iter().next().unwrap_or_else(|| panic!("{} {scope}", case.name));
            assert_eq!(call["session_id"], "s", "{call}");
            let sessions = ledger.run(&["export", "--what", "sessions", "--format", "jsonl"]);
            assert!(sessions.text().contains(&format!("\"{}\"", case.name)), "{sessions:?}");
        }
    }
}

#[test]
fn codex_gets_the_same_line_wherever_the_binary_is_and_whatever_the_scope() {
    let ledger = Ledger::new();
    for scope in ["project", "user"] {
        let ran = ledger.run(&["init", "--client", "codex", "--scope", scope]);
        assert!(ran.text().contains("asks you to trust the hook"), "{ran:?}");
    }
    let project = read(&ledger.project().join(".codex/hooks.json"));
    assert_eq!(project, read(&ledger.home().join(".codex/hooks.json")));
    // Trust hangs on it: whoever changes it makes every user trust the hook again.
    assert_eq!(
        commands(&project)[0].1,
        "exec /bin/sh -c 'PATH=$PATH:$HOME/.cargo/bin:$HOME/.local/bin:$HOME/.local/share/tallyhook/bin; \
         trap '\\''exit 0'\\'' 0; [ $BASH_VERSION ] && shopt -s execfail; \
         exec tallyhook hook --client codex 2>/dev/null; exit 0'"
    );
    let again = ledger.run(&["init", "--client", "codex"]);
    assert!(!again.text().contains("asks you to trust"), "{again:?}");
}

#[test]
fn a_variable_moves_the_users_files() {
    for (client, variable, file) in
        [("codex", "CODEX_HOME", "hooks.json"), ("copilot-cli", "COPILOT_HOME", "hooks/tallyhook.json")]
    {
        let ledger = Ledger::new();
        let moved = ledger.dir().join("moved");
        let ledger = ledger.with_var(variable, moved.to_str().unwrap());
        ledger.run(&["init", "--client", client, "--scope", "user"]).text();
        assert!(moved.join(file).exists(), "{client}");
        ledger.run(&["uninstall"]).text();
        assert!(!moved.exists(), "{client}");
    }
}

#[test]
fn a_dry_run_shows_the_change_and_makes_none() {
    for case in cases() {
        let ledger = Ledger::new();
        let ran = case.init(&ledger, &["--dry-run"]);
        assert!(ran.text().contains("+") && ran.text().contains("hook --client"), "{ran:?}");
        assert!(!case.file(&ledger).exists() && !ledger.path().exists());
    }
}

#[test]
fn init_then_uninstall_gives_back_every_byte() {
    let own =
        "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"say done\"}]}]},\"f\":1.0}";
    let commented = "{\n  // mine\n  \"theme\": \"dark\", /* stays */\n  \"hooks\": { \"enabled\": true, \"disabled\": [\"x\"] }\n}\n";
    let flat = "{\"version\":1,\"hooks\":{\"sessionEnd\":[{\"type\":\"command\",\"bash\":\"say done\",\"timeoutSec\":9}]}}\n";
    for case in cases() {
        let texts = match case.name {
            "gemini-cli" | "qwen" => vec!["{}", "{\n\t\"a\": [ 1 ,2 ]\r\n}\r\n", own, commented],
            "codex" => vec!["{}", "{ \"hooks\" : {} }", own],
            _ => vec!["{}", "{\n  \"version\": 1\n}\n", "{ \"hooks\": {} }", flat],
        };
        for text in texts {
            let ledger = Ledger::new();
            write(&case.file(&ledger), text);
            let ran = case.init(&ledger, &[]);
            assert_eq!(ran.code, Some(0), "{} {text}: {ran:?}", case.name);
            let with = read(&case.file(&ledger));
            for foreign in ["say done", "// mine", "/* stays */", "\"disabled\": [\"x\"]"] {
                assert_eq!(with.contains(foreign), text.contains(foreign), "{with}");
            }
            assert!(with.matches("hook --client").count() == case.events, "{with}");
            ledger.run(&["uninstall"]).text();
            assert_eq!(read(&case.file(&ledger)), text, "{}", case.name);
        }
    }
}

#[test]
fn what_init_has_made_alone_is_gone_after_uninstall_from_any_project_that_is_known() {
    for case in cases() {
        let ledger = Ledger::new();
        case.init(&ledger, &[]).text();
        case.init(&ledger, &["--scope", "user"]).text();
        let dry = ledger.run(&["uninstall", "--dry-run"]);
        assert!(dry.text().contains("would be removed from 2 files"), "{dry:?}");
        assert!(case.file(&ledger).exists());
        ledger.run(&["uninstall"]).text();
        let first = Path::new(case.files[1]).iter().next().unwrap();
        assert!(!ledger.project().join(first).exists(), "{}", case.name);
        let first = Path::new(case.files[0]).iter().next().unwrap();
        assert!(!ledger.home().join(first).exists(), "{}", case.name);
    }
    // Copilot's file is ours alone, also where somebody else has made it.
    let ledger = Ledger::new();
    let [.., copilot] = cases();
    copilot.init(&ledger, &[]).text();
    let text = read(&copilot.file(&ledger));
    let other = Ledger::new();
    write(&copilot.file(&other), &text);
    other.run(&["uninstall"]).text();
    assert!(!copilot.file(&other).exists());
}

#[test]
fn files_that_the_client_does_not_load_are_reported_and_left_alone() {
    for case in cases() {
        let event = if case.name == "copilot-cli" { "sessionStart" } else { "SessionStart" };
        let not_a_list = format!("{{\"hooks\": {{\n \"{event}\": {{}}}}}}\n");
        for (text, place, reason) in [
            ("{\n  \"a\": 1,\n  \"b\" 2\n}\n", ":3:", "isn't valid JSON"),
            ("{\"a\": 1,}\n", ":1:", "isn't valid JSON"),
            ("{'a': 1}\n", ":1:", "isn't valid JSON"),
            ("[]\n", ":1:1:", "aren't a JSON object"),
            ("{\n  \"hooks\": []\n}\n", ":2:3:", "isn't an object"),
            (not_a_list.as_str(), ":2:2:", "aren't a list"),
            ("{\"hooks\": {}, \"hooks\": {}}\n", ":1:2:", "twice"),
        ] {
            let ledger = Ledger::new();
            write(&case.file(&ledger), text);
            let ran = case.init(&ledger, &[]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{} {text}", case.name);
            assert!(ran.stderr.contains(place) && ran.stderr.contains(reason), "{text}: {}", ran.stderr);
            assert_eq!(read(&case.file(&ledger)), text);
        }
    }
    // Comments are for clients that take them.
    let ledger = Ledger::new();
    let [codex, ..] = cases();
    write(&codex.file(&ledger), "{\n  // a comment\n}\n");
    let ran = codex.init(&ledger, &[]);
    assert!(ran.code == Some(1) && ran.stderr.contains("isn't valid JSON"), "{ran:?}");
}

#[test]
fn what_can_t_be_registered_is_said() {
    let ledger = Ledger::new();
    for case in cases() {
        let ran = case.init(&ledger, &["--scope", "local"]);
        assert!(ran.code != Some(0) && ran.stderr.contains("no local settings"), "{ran:?}");
    }
    for (name, title) in [("kimi", "Kimi Code"), ("opencode", "OpenCode"), ("pi", "Pi"), ("cursor", "cursor")]
    {
        let ran = ledger.run(&["init", "--client", name]);
        assert_ne!(ran.code, Some(0));
        let wanted = format!("can't register with {title}; choose from: claude-code, codex, gemini-cli");
        assert!(ran.stderr.contains(&wanted), "{}", ran.stderr);
    }
    assert!(std::fs::read_dir(ledger.project()).unwrap().next().is_none());
}

#[test]
fn codex_is_asked_before_each_tool_only_while_a_budget_stops() {
    let ledger = Ledger::new();
    let events = || {
        let found = commands(&read(&ledger.project().join(".codex/hooks.json")));
        found.into_iter().map(|(event, _)| event).collect::<Vec<_>>()
    };
    for case in cases() {
        case.init(&ledger, &[]).text();
    }
    assert!(!events().contains(&"PreToolUse".to_owned()));
    ledger.run(&["budget", "set", "5", "--per", "session", "--stop"]).text();
    assert!(events().contains(&"PreToolUse".to_owned()), "{:?}", events());
    let qwen = read(&ledger.project().join(".qwen/settings.json"));
    assert!(!qwen.contains("PreToolUse"), "it can't be stopped there: {qwen}");
    let again = ledger.run(&["init", "--client", "codex"]);
    assert!(again.text().contains("already registered: 11 events"), "{again:?}");
    ledger.run(&["budget", "clear", "--per", "session"]).text();
    assert!(!events().contains(&"PreToolUse".to_owned()));
}

#[test]
fn a_budget_is_heard_by_every_client_that_shows_what_it_is_told() {
    let says_nothing = "this budget can't warn or stop anything";
    for case in cases() {
        let ledger = Ledger::new();
        case.init(&ledger, &["--scope", "user"]).text();
        let ran = ledger.run(&["budget", "set", "5", "--per", "session"]);
        assert_eq!(ran.stderr.contains(says_nothing), case.name == "copilot-cli", "{}: {ran:?}", case.name);
        // A hook in this project is not heard in another one.
        let ledger = Ledger::new();
        case.init(&ledger, &[]).text();
        let other = ledger.dir().join("other");
        std::fs::create_dir(&other).unwrap();
        let ran = ledger.run(&["budget", "set", "5", "--per", "day", "--project", other.to_str().unwrap()]);
        assert!(ran.stderr.contains(says_nothing), "{}: {ran:?}", case.name);
    }
}
