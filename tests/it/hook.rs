//! `tallyhook hook`: every payload is taken, none is believed blindly, nothing is ever said.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    Example, Ledger, Ran, Session, With, answers, cases, expected_classes, four_classes, repository,
    shuffled, sum, usage,
};

/// Six tokens of cl100k and of o200k.
const SIX_TOKENS: &str = "tiktoken is great!";

// The recorded session.

#[test]
fn the_example_session_has_the_providers_own_numbers() {
    let example = Example::replayed();
    let (report, expected) = (example.report(), Example::expected());
    let actual = usage(&report["actual"]["usage"]);
    let (main, subagent) = (expected_classes(&expected["main"]), expected_classes(&expected["subagent"]));
    let compact = expected_classes(&expected["compact"]);
    assert_eq!(four_classes(&actual), sum(sum(main, subagent), compact));
    assert_eq!(four_classes(&usage(&report["actual"]["hidden"]["usage"])), compact);
    assert_eq!(report["actual"]["responses"], 20 + 11);
    assert_eq!(four_classes(&example.ledger.usage_of_agent(Example::SESSION, "main")), main);
    assert_eq!(report["session"]["tool_calls"], 28);
    assert_eq!(report["session"]["turns"], 4);
    assert_eq!(report["session"]["state"], "finalized");
    let compactions = report["compaction_events"].as_array().unwrap();
    assert_eq!(compactions.len(), 1);
    assert_eq!(compactions[0]["trigger"], "manual");
    for tokens in ["tokens_before", "tokens_after"] {
        assert!(compactions[0][tokens].as_u64() > Some(0), "{compactions:#?}");
    }
    assert_eq!(example.ledger.faults(), "");
}

#[test]
fn every_tool_of_the_example_session_has_its_calls() {
    let example = Example::replayed();
    let expected = Example::expected();
    let calls = example.ledger.calls();
    for (who, is_main) in [("tool_uses_main", true), ("tool_uses_subagent", false)] {
        for (tool, number) in expected[who].as_object().unwrap() {
            let of = |call: &&Value| call["tool"] == **tool && call["agent_id"].is_null() == is_main;
            assert_eq!(calls.iter().filter(of).count() as u64, number.as_u64().unwrap(), "{who} {tool}");
        }
    }
    let failed: Vec<_> = calls.iter().filter(|call| call["ok"] == false).map(|call| &call["tool"]).collect();
    assert_eq!(failed, ["Bash", "Read"]);
}

#[test]
fn replaying_everything_twice_changes_nothing() {
    let example = Example::replayed();
    let (report, calls) = (example.report(), example.ledger.calls());
    example.ledger.hooks(&example.payloads);
    assert_eq!(example.ledger.calls(), calls);
    // When hooks last spoke is news; nothing else is.
    let without_arrivals = |report: Value| report.without("session.ended_at");
    assert_eq!(without_arrivals(example.report()), without_arrivals(report));
}

/// What must not depend on the order of events.
fn figures(example: &Example) -> Value {
    let report = example.report();
    let mut calls: Vec<Value> = example
        .ledger
        .calls()
        .into_iter()
        .map(|call| {
            json!([
                call["tool_use_id"],
                call["tool"],
                call["agent"],
                call["ok"],
                // What was estimated depends on what had been learned by then; what was counted does not.
                call["raw_generated_tokens"],
                call["raw_returned_tokens"],
                call["method"],
                call["duration_ms"],
                call["action_type"],
                call["action_name"],
                call["model"],
            ])
        })
        .collect();
    calls.sort_by_key(|call| call[0].as_str().unwrap().to_owned());
    let agents = report["by_agent"].as_array().unwrap().iter();
    let agents: Vec<Value> =
        agents.map(|agent| json!([agent["agent"], agent["invocations"], agent["usage"]])).collect();
    let servers = report["by_mcp_server"].as_array().unwrap().iter();
    let servers: Vec<Value> =
        servers.map(|server| json!([server["mcp_server"], server["calls"], server["cost_usd"]])).collect();
    json!({
        "actual": report["actual"], "by_model": report["by_model"], "by_agent": agents,
        "by_skill": report["by_skill"], "by_mcp_server": servers,
        "turns": report["session"]["turns"], "tool_calls": report["session"]["tool_calls"],
        "context": report["context"], "calls": calls,
    })
}

#[test]
fn events_in_reverse_order_give_the_same_figures() {
    let in_order = figures(&Example::replayed());
    let example = Example::new();
    example.ledger.hooks(example.payloads.iter().rev());
    assert_eq!(figures(&example), in_order);
}

#[test]
fn events_in_any_order_give_the_same_figures() {
    let in_order = figures(&Example::replayed());
    for seed in 0..6 {
        let example = Example::new();
        example.ledger.hooks(shuffled(&example.payloads, seed));
        assert_eq!(figures(&example), in_order, "seed {seed}");
    }
}

#[test]
fn every_example_payload_is_taken_in_silence() {
    let ledger = Ledger::new();
    let mut names: Vec<_> = std::fs::read_dir(repository().join("examples/payloads"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    let mut calls = 0;
    for path in &names {
        let payload = std::fs::read_to_string(path).unwrap();
        // The home that the examples name is nobody's here.
        let payload = payload.replace("/home/dev", ledger.home().to_str().unwrap());
        ledger.run_hook(&payload).assert_silent(&path.display().to_string());
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let event = payload["hook_event_name"].as_str().unwrap();
        calls += usize::from(matches!(event, "PostToolUse" | "PostToolUseFailure"));
    }
    assert_eq!(ledger.calls().len(), calls);
    assert_eq!(ledger.faults(), "");
}

// Clients of all times.

/// A payload of July 2025.
fn of_2025(tool: &str) -> Value {
    json!({
        "session_id": "5e052a87", "transcript_path": "/nowhere/5e052a87.jsonl", "cwd": "/nowhere",
        "hook_event_name": "PostToolUse", "tool_name": tool, "tool_input": { "description": "look" },
        "tool_response": "fine",
    })
}

#[test]
fn calls_of_2025_have_no_id_and_each_gets_a_row() {
    let ledger = Ledger::new();
    for tool in ["Task", "MultiEdit", "LS", "Bash", "Bash", "TodoWrite"] {
        ledger.hook(of_2025(tool));
    }
    let calls = ledger.calls();
    let tools: Vec<_> = calls.iter().map(|call| call["tool"].as_str().unwrap()).collect();
    assert_eq!(tools, ["Task", "MultiEdit", "LS", "Bash", "Bash", "TodoWrite"]);
    assert!(calls.iter().all(|call| call["tool_use_id"].is_null()), "{calls:#?}");
    assert_eq!(calls[0]["action_type"], "agent");
}

#[test]
fn calls_of_february_2026_have_an_id() {
    let ledger = Ledger::new();
    let payload = of_2025("Bash").with("permission_mode", "default").with("tool_use_id", "toolu_1");
    ledger.hook(&payload).hook(&payload);
    assert_eq!(ledger.call()["tool_use_id"], "toolu_1");
}

#[test]
fn a_response_of_any_shape_is_measured() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    for (id, response) in [
        ("object", json!({ "stdout": SIX_TOKENS })),
        ("string", json!(SIX_TOKENS)),
        ("array", json!([{ "type": "text", "text": SIX_TOKENS }])),
        ("null", Value::Null),
    ] {
        ledger.hook(session.tool("Bash", id).with("tool_response", response));
    }
    ledger.hook(session.tool("Bash", "missing").without("tool_response"));
    let returned: Vec<_> = ledger
        .calls()
        .iter()
        .map(|call| {
            (call["raw_returned_tokens"].as_u64().unwrap(), call["method"].as_str().unwrap().to_owned())
        })
        .collect();
    let text = (6, "payload_text".to_owned());
    let none = (50, "fallback_call".to_owned());
    assert_eq!(returned, [text.clone(), text.clone(), text, none.clone(), none]);
}

#[test]
fn one_odd_field_does_not_lose_the_event() {
    let odd: &[(&str, &str, &str)] = &[
        ("a negative duration", "\"duration_ms\":12", "\"duration_ms\":-12"),
        ("a huge duration", "\"duration_ms\":12", "\"duration_ms\":18446744073709551616"),
        ("an infinite duration", "\"duration_ms\":12", "\"duration_ms\":1e999"),
        ("a fraction of a millisecond", "\"duration_ms\":12", "\"duration_ms\":0.5"),
        ("a duration in words", "\"duration_ms\":12", "\"duration_ms\":\"long\""),
        ("a number for a tool", "\"tool_name\":\"Bash\"", "\"tool_name\":7"),
        ("an object for a tool", "\"tool_name\":\"Bash\"", "\"tool_name\":{\"a\":[]}"),
        ("no tool at all", "\"tool_name\":\"Bash\"", "\"tool_name\":null"),
        ("a string for the input", "{\"command\":\"true\"}", "\"true\""),
        ("no input", "{\"command\":\"true\"}", "null"),
        ("a lone surrogate in the input", "\"true\"", "\"\\ud800 x \\udc00\""),
        ("a lone surrogate as a name", "\"command\"", "\"\\udfff\""),
        ("a lone surrogate as a name of the payload", "\"permission_mode\"", "\"\\udc00\""),
        ("a lone surrogate in the response", "\"fine\"", "\"\\udbff\""),
        ("a NUL", "\"fine\"", "\"\\u0000\""),
        ("a name twice", "\"stderr\"", "\"stdout\""),
        ("an id of another kind", "\"prompt_id\":\"prompt-1\"", "\"prompt_id\":[1]"),
        ("an odd folder", "\"permission_mode\":\"default\"", "\"cwd\":{\"x\":1},\"agent_id\":false"),
    ];
    for (what, usual, odd) in odd {
        let ledger = Ledger::new();
        let payload = Session::new(&ledger, "s").tool("Bash", "toolu_1").to_string();
        assert!(payload.contains(usual), "{usual} is not in {payload}");
        ledger.hook(payload.replacen(usual, odd, 1));
        let call = ledger.call();
        assert_eq!((&call["tool_use_id"], &call["session_id"]), (&json!("toolu_1"), &json!("s")), "{what}");
        assert_eq!(ledger.faults(), "", "{what}");
    }
}

#[test]
fn a_lone_surrogate_is_measured_like_any_other_character() {
    let ledger = Ledger::new();
    let payload = Session::new(&ledger, "s").tool("Bash", "toolu_1").to_string();
    ledger.hook(
        payload.replace("fine", "one \\ud800 two three four five six").replace("true", "\\udc00 a b c d e f"),
    );
    let call = ledger.call();
    assert_eq!(call["method"], "payload_text");
    assert!(call["returned_tokens"].as_u64() >= Some(7), "{call}");
    assert!(call["generated_tokens"].as_u64() >= Some(7), "{call}");
}

#[test]
fn bytes_that_are_not_utf8_do_not_lose_the_event() {
    let ledger = Ledger::new();
    let payload = Session::new(&ledger, "s").tool("Bash", "toolu_1").to_string();
    let (before, after) = payload.split_once("fine").unwrap();
    ledger.hook([before.as_bytes(), b"\xff\xfe\xc3(", after.as_bytes()].concat());
    assert_eq!(ledger.call()["tool_use_id"], "toolu_1");
}

#[test]
fn without_a_session_id_the_transcript_names_the_session() {
    let ledger = Ledger::new();
    let tool = Session::new(&ledger, "8efa9846").tool("Bash", "toolu_1");
    ledger.hook(tool.with("session_id", Value::Null));
    assert_eq!(ledger.call()["session_id"], "8efa9846");
}

#[test]
fn a_count_can_be_written_in_many_ways() {
    for (duration, expected) in
        [("12", json!(12)), ("\"12\"", json!(12)), ("1.2e1", json!(12)), ("-1", Value::Null)]
    {
        let ledger = Ledger::new();
        let payload = Session::new(&ledger, "s").tool("Bash", "toolu_1").to_string();
        ledger.hook(payload.replace("\"duration_ms\":12", &format!("\"duration_ms\":{duration}")));
        assert_eq!(ledger.call()["duration_ms"], expected, "{duration}");
    }
}

// What the model really reads.

#[test]
fn a_batch_refines_its_calls_whether_it_comes_before_or_after() {
    let refined = |batch_first: bool| {
        let ledger = Ledger::new();
        let session = Session::new(&ledger, "s");
        let call =
            session.tool("Bash", "toolu_1").with("tool_response.stdout", "quite another text than that");
        let batch = session.batch(&[("Bash", "toolu_1", json!(SIX_TOKENS))]);
        if batch_first {
            ledger.hook(&batch).hook(&call)
        } else {
            ledger.hook(&call).hook(&batch)
        };
        let call = ledger.call();
        assert_eq!((&call["raw_returned_tokens"], &call["method"]), (&json!(6), &json!("exact_text")));
        assert_eq!((&call["duration_ms"], &call["ok"]), (&json!(12), &json!(true)));
        call.without("at").without("input_hash")
    };
    assert_eq!(refined(true), refined(false));
}

#[test]
fn a_repeated_event_does_not_undo_what_a_batch_refined() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let call = session.tool("Bash", "toolu_1").with("tool_response.stdout", "quite another text than that");
    ledger.hook(&call).hook(session.batch(&[("Bash", "toolu_1", json!(SIX_TOKENS))])).hook(&call);
    assert_eq!(ledger.call()["method"], "exact_text");
}

#[test]
fn a_call_that_only_a_batch_tells_of_is_no_row() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.batch(&[("Read", "toolu_denied", json!("Permission denied"))]));
    assert_eq!(ledger.calls(), Vec::<Value>::new());
    let report = ledger.report("s");
    assert_eq!((&report["session"]["tool_calls"], &report["estimate"]["calls"]), (&json!(0), &json!(0)));
    assert_eq!(report["by_tool"], json!([]));
}

#[test]
fn the_same_event_three_times_is_one_row() {
    let ledger = Ledger::new();
    let call = Session::new(&ledger, "s").tool("Bash", "toolu_1");
    ledger.hook(&call).hook(&call).hook(&call);
    ledger.call();
}

#[test]
fn a_failed_call_is_a_call() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let failure = session
        .tool("Bash", "toolu_1")
        .without("tool_response")
        .with("hook_event_name", "PostToolUseFailure")
        .with("error", SIX_TOKENS);
    ledger.hook(failure);
    let call = ledger.call();
    assert_eq!((&call["ok"], &call["raw_returned_tokens"]), (&json!(false), &json!(6)));
    assert_eq!(ledger.report("s")["by_tool"][0]["failures"], 1);
}

#[test]
fn one_id_in_two_sessions_is_two_calls() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "a").tool("Bash", "toolu_1"));
    ledger.hook(Session::new(&ledger, "b").tool("Bash", "toolu_1"));
    assert_eq!(ledger.calls().len(), 2);
}

#[test]
fn an_edit_is_measured_by_its_notice_not_by_the_file() {
    let ledger = Ledger::new();
    let file = "let x = 1;\n".repeat(20_000);
    let response = json!({ "filePath": "/p/x.rs", "originalFile": file, "newString": "b", "oldString": "a" });
    ledger.hook(Session::new(&ledger, "s").tool("Edit", "toolu_1").with("tool_response", response));
    let call = ledger.call();
    assert_eq!(call["method"], "notice");
    assert!(call["returned_tokens"].as_u64() < Some(60), "{call}");
}

#[test]
fn a_background_agent_has_its_tokens_by_the_defaults_table_until_its_transcript_is_there() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.event("SubagentStart").with("agent_id", "a1").with("agent_type", "Explore"));
    assert_eq!(ledger.report("s")["estimate"]["pending"]["subagent_tokens"], 5 * 74_000);
    session.transcript().write(&[session.says(1)]);
    session.subagent("subagents", "a1").write(&[session.answer_of("a1", "msg_1", 2, 7)]);
    ledger.hook(session.stop());
    assert_eq!(ledger.report("s")["estimate"]["pending"]["subagent_tokens"], 0);
    assert_eq!(ledger.usage_of_agent("s", "Explore"), answers(1, 7));
}

// Garbage.

/// Runs the real program and looks whether the ledger is none the worse.
fn assert_survives(what: &str, payload: &[u8]) -> Ledger {
    let ledger = Ledger::new();
    ledger.run_hook(payload.to_vec()).assert_silent(what);
    ledger
}

#[test]
fn garbage_on_stdin_is_ignored_in_silence() {
    let session = Session::new(&Ledger::new(), "s");
    let whole = session.tool("Bash", "toolu_1").to_string();
    let cut = &whole.as_bytes()[..whole.len() / 2];
    let garbage: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("white space", b" \n\t "),
        ("cut JSON", cut),
        ("not UTF-8", b"\xff\xfe\x00\x80{"),
        ("null", b"null"),
        ("an array", b"[]"),
        ("a number", b"3"),
        ("an object that is no event", b"{}"),
        ("two payloads", b"{}{}"),
        ("a brace", b"{"),
        ("an unknown event", br#"{"hook_event_name":"TeatimeStart","session_id":"s"}"#),
        ("an event of another kind", br#"{"hook_event_name":7,"session_id":"s"}"#),
    ];
    for (what, bytes) in garbage {
        let ledger = assert_survives(what, bytes);
        assert_eq!(ledger.calls(), Vec::<Value>::new(), "{what}");
        ledger.assert_sound();
    }
}

#[test]
fn twenty_megabytes_of_garbage_are_ignored_in_silence() {
    assert_survives("20 MB of x", &vec![b'x'; 20 << 20]).assert_sound();
}

#[test]
fn twenty_megabytes_in_a_payload_are_one_row() {
    let session = Session::new(&Ledger::new(), "s");
    let payload = session.tool("Bash", "toolu_1").with("tool_response.stdout", "word ".repeat(4 << 20));
    let ledger = assert_survives("20 MB of output", payload.to_string().as_bytes());
    assert_eq!(ledger.call()["tool_use_id"], "toolu_1");
    ledger.assert_sound();
}

#[test]
fn brackets_within_brackets_do_not_exhaust_the_stack() {
    // Within a stack of 8 MB each would have 27 bytes.
    const DEEP: usize = 300_000;
    let session = Session::new(&Ledger::new(), "s");
    let open = "[".repeat(DEEP);
    assert_survives("only opened", open.as_bytes()).assert_sound();
    assert_survives("objects", "{\"a\":".repeat(DEEP).as_bytes()).assert_sound();
    let balanced = format!("{open}{}", "]".repeat(DEEP));
    for member in ["{\"command\":\"true\"}", "\"fine\"", "{\"stderr\":\"\",\"stdout\":\"fine\"}"] {
        let payload = session.tool("Bash", "toolu_1").to_string();
        assert!(payload.contains(member), "{payload}");
        let ledger = assert_survives(member, payload.replacen(member, &balanced, 1).as_bytes());
        ledger.call();
        ledger.assert_sound();
    }
}

#[test]
fn a_transcript_path_can_name_anything() {
    let ledger = Ledger::new();
    let folder = ledger.dir().join("folder.jsonl");
    std::fs::create_dir(&folder).unwrap();
    let paths = [
        folder.to_str().unwrap().to_owned(),
        ledger.path().to_str().unwrap().to_owned(),
        "/".to_owned(),
        "/dev/zero".to_owned(),
        "/nowhere/s.jsonl".to_owned(),
        "s.jsonl".to_owned(),
        String::new(),
        "\u{0}.jsonl".to_owned(),
        format!("/{}.jsonl", "x".repeat(9_000)),
    ];
    for path in paths {
        for event in ["Stop", "SessionEnd", "SubagentStop"] {
            let payload = Session::new(&ledger, "s")
                .event(event)
                .with("transcript_path", &*path)
                .with("agent_transcript_path", &*path)
                .with("agent_id", "a1")
                .with("agent_type", "Explore");
            ledger.run_hook(payload).assert_silent(&format!("{event} {path:.100}"));
        }
    }
    assert!(ledger.report("s")["actual"].is_null());
    ledger.assert_sound();
}

#[cfg(unix)]
#[test]
fn a_transcript_that_never_ends_is_not_read() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    std::os::unix::fs::symlink("/dev/zero", session.transcript().path()).unwrap();
    ledger.run_hook(session.stop()).assert_silent("a link to /dev/zero");
    std::fs::remove_file(session.transcript().path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(session.transcript().path()).status();
    assert!(made.unwrap().success());
    ledger.run_hook(session.stop()).assert_silent("a pipe that nobody writes to");
    assert!(ledger.report("s")["actual"].is_null());
}

#[test]
fn a_broken_settings_file_does_not_stop_the_hook() {
    let ledger = Ledger::new();
    let folder = ledger.home().join(".config").join("tallyhook");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "subagents = {{{").unwrap();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[session.answer("msg_1", 1, 5)]);
    ledger.hook(session.tool("Agent", "toolu_1")).hook(session.stop());
    assert_eq!((ledger.calls().len(), ledger.output("s")), (1, 5));
}

// The process.

#[test]
fn unknown_arguments_are_ignored_in_silence() {
    for args in [
        &["hook", "--nonsense"][..],
        &["hook", "--client"],
        &["hook", "--client", "never-heard-of"],
        &["hook", "--json", "--since=2026", "extra", "words"],
        &["--nonsense", "hook"],
        &["--color", "always", "hook", "--color"],
        &["hook", "--version"],
    ] {
        let ledger = Ledger::new();
        let payload = Session::new(&ledger, "s").start().to_string();
        Ran::with_stdin(&mut ledger.command(args), payload.as_bytes()).assert_silent(&format!("{args:?}"));
        assert_eq!(ledger.report("s")["session"]["id"], "s", "{args:?}");
    }
}

#[test]
fn the_ledger_can_be_named_by_an_option() {
    let ledger = Ledger::new();
    let other = ledger.dir().join("other.db");
    let args = ["hook", "--db", other.to_str().unwrap()];
    let payload = Session::new(&ledger, "s").start().to_string();
    Ran::with_stdin(&mut ledger.command(&args), payload.as_bytes()).assert_silent("--db");
    assert!(other.exists() && !ledger.path().exists());
}

#[test]
fn without_a_home_the_hook_does_nothing_in_silence() {
    let ledger = Ledger::new();
    let payload = Session::new(&ledger, "s").tool("Bash", "toolu_1").to_string();
    let mut command = ledger.command(&["hook"]);
    command.env_remove("HOME").env_remove("TALLYHOOK_DB");
    Ran::with_stdin(&mut command, payload.as_bytes()).assert_silent("no HOME");
    assert!(!ledger.path().exists());
}

#[test]
fn a_file_in_the_way_of_the_ledgers_folder_is_met_in_silence() {
    let ledger = Ledger::new();
    std::fs::write(ledger.path().parent().unwrap(), "in the way").unwrap();
    ledger.run_hook(Session::new(&ledger, "s").tool("Bash", "toolu_1")).assert_silent("a file in the way");
}

#[test]
fn a_folder_in_the_ledgers_place_is_met_in_silence() {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.path()).unwrap();
    ledger.run_hook(Session::new(&ledger, "s").tool("Bash", "toolu_1")).assert_silent("a folder");
}

#[test]
fn a_file_that_is_no_ledger_is_left_alone() {
    let ledger = Ledger::new();
    std::fs::create_dir(ledger.path().parent().unwrap()).unwrap();
    let text = "Dear diary, this is no database.\n".repeat(100);
    std::fs::write(ledger.path(), &text).unwrap();
    ledger.run_hook(Session::new(&ledger, "s").tool("Bash", "toolu_1")).assert_silent("no database");
    assert_eq!(std::fs::read_to_string(ledger.path()).unwrap(), text);
}

#[test]
fn a_read_only_ledger_is_met_in_silence() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let set_readonly = |readonly: bool| {
        for path in [ledger.path(), ledger.path().parent().unwrap().to_path_buf()] {
            let mut permissions = std::fs::metadata(&path).unwrap().permissions();
            #[cfg(unix)]
            std::os::unix::fs::PermissionsExt::set_mode(
                &mut permissions,
                if readonly { 0o500 } else { 0o700 },
            );
            #[cfg(not(unix))]
            permissions.set_readonly(readonly);
            std::fs::set_permissions(path, permissions).unwrap();
        }
    };
    set_readonly(true);
    // The superuser may write all the same.
    let refused = std::fs::OpenOptions::new().append(true).open(ledger.path()).is_err();
    ledger.run_hook(session.tool("Bash", "toolu_1")).assert_silent("a read-only ledger");
    set_readonly(false);
    assert_eq!(ledger.calls().len(), usize::from(!refused));
}

#[cfg(unix)]
#[test]
fn a_new_ledger_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let ledger = Ledger::new();
    ledger.run_hook(Session::new(&ledger, "s").tool("Bash", "toolu_1")).assert_silent("a first event");
    ledger.run_hook("{\"cut").assert_silent("a fault");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = ledger.path().parent().unwrap().to_path_buf();
    assert_eq!((mode(&folder), mode(&ledger.path())), (0o700, 0o600));
    assert_eq!(mode(&folder.join("hook-errors.log")), 0o600);
    // What SQLite keeps beside the file while it is open.
    let keep_open = ledger.sqlite();
    keep_open.execute_batch("BEGIN IMMEDIATE; UPDATE sessions SET kind = 'x'; COMMIT;").unwrap();
    for file in crate::support::files_below(&folder) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn the_log_of_faults_does_not_grow_without_end() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").start());
    let size = ledger.bytes().len();
    ledger.hooks(std::iter::repeat_n("{\"cut", 4_000));
    let faults = ledger.bytes().len() - size;
    assert!((10_000..200_000).contains(&faults), "{faults} bytes");
}

// Nothing private.

/// Members whose strings may be stored: names, ids, and the places of the session's own files.
const PUBLIC: [&str; 11] = [
    "session_id",
    "transcript_path",
    "agent_transcript_path",
    "cwd",
    "prompt_id",
    "agent_id",
    "agent_type",
    "hook_event_name",
    "tool_name",
    "tool_use_id",
    "model",
];

/// Collects the strings of a payload, each line by itself too, as private or public.
fn collect(value: &Value, member: &str, private: &mut BTreeSet<String>, public: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if PUBLIC.contains(&member) => {
            public.insert(text.clone());
        }
        Value::String(text) => {
            let lines = text.lines().map(str::trim).chain([text.as_str()]);
            private.extend(lines.filter(|line| line.chars().count() > 12).map(str::to_owned));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, member, private, public)),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| collect(value, name, private, public));
        }
        _ => {}
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

#[test]
fn nothing_private_is_stored() {
    let example = Example::new();
    let ledger = &example.ledger;
    ledger.hook(&example.payloads[0]);
    // With this the write-ahead log stays, and can be searched too.
    let keep_open = ledger.sqlite();
    let (mut private, mut public) = (BTreeSet::new(), BTreeSet::new());
    for payload in &example.payloads {
        ledger.hook(payload);
        // Cut, it is a fault, and of a fault no word may be kept either.
        ledger.hook(&payload[..payload.len() - 2]);
        collect(&serde_json::from_str(payload).unwrap(), "", &mut private, &mut public);
    }
    assert!(ledger.faults().lines().count() >= example.payloads.len(), "{}", ledger.faults());
    // Some tools return names and ids.
    public.extend(["claude-opus-5-5", "general-purpose"].map(str::to_owned));
    private.retain(|text| !public.contains(text));
    assert!(private.len() > 150, "{}", private.len());

    let bytes = ledger.bytes();
    assert!(contains(&bytes, "mcp__tracker__get_issue"), "the search finds nothing at all");
    let stored: Vec<_> = private.iter().filter(|text| contains(&bytes, text)).collect();
    assert_eq!(stored, Vec::<&String>::new());
    drop(keep_open);
    let bytes = ledger.bytes();
    let stored: Vec<_> = private.iter().filter(|text| contains(&bytes, text)).collect();
    assert_eq!(stored, Vec::<&String>::new());
}

#[test]
fn equal_inputs_have_equal_hashes_in_one_ledger_and_not_in_another() {
    let hashes = || {
        let ledger = Ledger::new();
        let session = Session::new(&ledger, "s");
        ledger.hook(session.tool("Bash", "toolu_1")).hook(session.tool("Bash", "toolu_2"));
        let calls = ledger.calls();
        assert_eq!(calls[0]["input_hash"], calls[1]["input_hash"]);
        calls[0]["input_hash"].clone()
    };
    let (one, other) = (hashes(), hashes());
    assert!(one.is_string());
    assert_ne!(one, other);
}

// Laws.

/// Any JSON, with the names that the hook looks for.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "",
        "s",
        "a1",
        "toolu_1",
        "Bash",
        "Read",
        "Edit",
        "Agent",
        "Task",
        "Skill",
        "WebSearch",
        "Grep",
        "mcp__a__b",
        "text",
        "image",
        "pdf",
        "notebook",
        "completed",
        "async_launched",
        "Explore",
        "/",
        "/nowhere/s.jsonl",
        "x\u{1b}[2J",
        "\u{202e}",
        "content",
        "create",
        "1-9",
        "iVBORw0KGgo=",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "session_id",
        "transcript_path",
        "agent_transcript_path",
        "cwd",
        "prompt_id",
        "agent_id",
        "agent_type",
        "model",
        "tool_name",
        "tool_input",
        "tool_response",
        "tool_use_id",
        "tool_calls",
        "duration_ms",
        "error",
        "trigger",
        "reason",
        "source",
        "session_crons",
        "content",
        "type",
        "text",
        "file",
        "base64",
        "stdout",
        "stderr",
        "filePath",
        "structuredPatch",
        "lines",
        "originalFile",
        "newStart",
        "startLine",
        "mode",
        "filenames",
        "results",
        "agentId",
        "agentType",
        "status",
        "subagent_type",
        "skill",
        "cells",
        "count",
        "dimensions",
        "displayWidth",
        "displayHeight",
        "pages",
        "tasks",
        "data",
    ]);
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

/// An object with the names of an event, each with any value.
fn any_event() -> impl Strategy<Value = Value> {
    let event = prop::sample::select(vec![
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "PostToolUseFailure",
        "PostToolBatch",
        "SubagentStart",
        "SubagentStop",
        "PreCompact",
        "PostCompact",
        "Stop",
        "StopFailure",
        "SessionEnd",
        "Other",
    ]);
    let tool = prop::sample::select(vec![
        "Bash",
        "Read",
        "Edit",
        "MultiEdit",
        "Write",
        "NotebookEdit",
        "Grep",
        "Glob",
        "TodoWrite",
        "TaskUpdate",
        "Agent",
        "Task",
        "Skill",
        "WebFetch",
        "WebSearch",
        "mcp__a__b",
    ]);
    (event, tool, any_json(), any_json(), any_json(), prop::collection::vec(any_json(), 0..3)).prop_map(
        |(event, tool, input, response, members, calls)| {
            let mut payload = json!({
                "session_id": "s", "hook_event_name": event, "tool_name": tool, "tool_input": input,
                "tool_response": response, "tool_calls": calls,
            });
            if let (Some(payload), Value::Object(members)) = (payload.as_object_mut(), members) {
                payload.extend(members);
            }
            payload
        },
    )
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_json_is_taken_in_silence(payloads in prop::collection::vec(prop_oneof![any_json(), any_event()], 1..6)) {
        let ledger = Ledger::new();
        ledger.hooks(&payloads);
        prop_assert_eq!(ledger.faults(), "", "{}", json!(payloads));
        ledger.assert_sound();
    }
}
