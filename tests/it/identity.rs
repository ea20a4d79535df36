//! Which records are of one response, where ids do not tell: gateways with one id for all, sessions that count from 1, logs
//! without ids; and to which session, project and file what is read belongs.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Ledger, Session, With, answers, at};

/// Reads a session's lines in one go, line by line, and by an import; and says what it used.
fn assert_answers(lines: impl Fn(&Session) -> Vec<Value>, responses: u64, output: u64) {
    for way in ["whole", "line by line", "import"] {
        let ledger = Ledger::new();
        let session = Session::new(&ledger, "s");
        let lines = lines(&session);
        match way {
            "line by line" => {
                for line in lines {
                    session.transcript().append(&[line]);
                    ledger.hook(session.stop());
                }
            }
            "whole" => {
                session.transcript().write(&lines);
                ledger.hook(session.stop());
            }
            _ => {
                session.transcript().write(&lines);
                import(&ledger, &ledger.dir().join("projects"));
            }
        }
        assert_eq!(ledger.usage("s"), answers(responses, output), "{way}");
        assert_eq!(ledger.responses("s"), responses, "{way}");
    }
}

fn import(ledger: &Ledger, folder: &Path) -> Value {
    ledger.run(&["import", "--json", "--path", &folder.display().to_string()]).json()
}

#[test]
fn a_gateway_with_one_id_for_all_answers_counts_each() {
    let lines = |s: &Session| {
        let request = |number: u32| {
            s.answer("msg_gateway", 2 * number, u64::from(number) * 10)
                .with("requestId", format!("req_{number}"))
        };
        vec![s.says(1), request(1), s.says(3), request(2), s.says(5), request(3)]
    };
    assert_answers(lines, 3, 60);
}

#[test]
fn a_gateway_with_one_id_and_no_requests_counts_each_run() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    // What a run has read is more than the one before it has, and the lines of one response name the same.
    let run = |second: u32, read: u64, output: u64| {
        let answer = session.answer("msg", second, output).without("requestId");
        answer.with("message.usage.cache_read_input_tokens", read)
    };
    let begun = run(4, 200, 1).with("message.stop_reason", Value::Null);
    session.transcript().write(&[session.says(1), run(2, 100, 10), session.says(3), begun, run(5, 200, 20)]);
    ledger.hook(session.stop());
    assert_eq!((ledger.responses("s"), ledger.output("s")), (2, 30));
}

#[test]
fn a_side_question_that_is_read_from_within_a_response_repeats_it() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let begun = s.answer("msg", 2, 1).with("message.stop_reason", Value::Null);
    let lines =
        [begun, s.answer("msg", 3, 30), s.answer("msg", 4, 5).with("message.stop_reason", Value::Null)];
    let replay = lines
        .clone()
        .map(|line| line.with("requestId", "aside").with("isSidechain", true).with("agentId", "aside"));
    s.transcript().write(&[&[s.says(1)][..], &lines].concat());
    for part in replay.chunks(1) {
        s.subagent("subagents", "aside").append(part);
        ledger.hook(s.stop());
    }
    assert_eq!((ledger.responses("s"), ledger.output("s")), (1, 30));
    ledger.assert_sound();
}

#[test]
fn a_gateway_with_one_id_counts_the_same_however_it_is_read() {
    // More than are compared with each other, and a side question that repeats an early one with other requests.
    let lines = |s: &Session, id: &str| {
        let mut lines = Vec::new();
        for number in 1..=70_u32 {
            let answer = s.answer(id, 3 * number, 10).with("requestId", format!("req_{number}"));
            lines.extend([s.says(3 * number - 1), answer.with("message.usage.input_tokens", 100 + number)]);
        }
        for number in [3_u32, 4, 5] {
            let replay = s.answer(id, 300 + number, 10).with("message.usage.input_tokens", 100 + number);
            let replay = replay.with("requestId", format!("aside_{number}"));
            lines.push(replay.with("isSidechain", true).with("agentId", "aside"));
        }
        lines
    };
    for id in ["msg".to_owned(), "m".repeat(190), "m".repeat(900)] {
        for way in ["whole", "a few lines at a time", "import"] {
            let ledger = Ledger::new();
            let s = Session::new(&ledger, "s");
            for part in lines(&s, &id).chunks(if way == "a few lines at a time" { 5 } else { 1_000 }) {
                s.transcript().append(part);
                if way != "import" {
                    ledger.hook(s.stop());
                }
            }
            if way == "import" {
                import(&ledger, &ledger.dir().join("projects"));
            }
            assert_eq!((ledger.responses("s"), ledger.output("s")), (70, 700), "{way}");
            ledger.assert_sound();
        }
    }
}

#[test]
fn a_side_question_of_many_answers_with_one_id_repeats_them_whatever_is_read_first() {
    // The side question is read before the fork's copies: only these tell that it repeats what the parent has.
    for requests in ["each", "one"] {
        let ledger = Ledger::new();
        let [parent, fork] = ["parent", "fork"].map(|name| Session::new(&ledger, name));
        let request = |number: u32| if requests == "one" { 0 } else { number };
        let answer = |number: u32| {
            let answer = parent.answer("msg", number, 10).with("message.usage.input_tokens", 100 + number);
            answer.with("requestId", format!("req_{}", request(number)))
        };
        let asked: Vec<Value> = (1..=70).flat_map(|at| [parent.says(2 * at - 1), answer(2 * at)]).collect();
        let from = json!({ "sessionId": "parent" });
        let copies: Vec<Value> = asked
            .iter()
            .map(|line| line.clone().with("sessionId", "fork").with("forkedFrom", from.clone()))
            .collect();
        let aside = |line: &Value| {
            let line =
                line.clone().with("isSidechain", true).with("agentId", "aside").with("timestamp", at(300));
            line.with("uuid", "another").with("requestId", "aside")
        };
        parent.transcript().write(&asked);
        ledger.import();
        fork.subagent("subagents", "aside").write(&[aside(&copies[5])]);
        ledger.import();
        fork.transcript().write(&copies);
        ledger.import();
        assert_eq!((ledger.responses_of_all(), ledger.output("fork")), (70, 0), "requests: {requests}");
        assert_eq!(ledger.output("parent"), 700, "requests: {requests}");
        ledger.assert_sound();
    }
}

#[test]
fn what_a_session_paid_for_is_placed_though_another_has_its_ids() {
    let ledger = Ledger::new();
    for (name, second) in [("a", 1), ("b", 20)] {
        let s = Session::new(&ledger, name);
        let call = s.call_of("msg_1", second + 1, "toolu_1").with("requestId", "req_1");
        let answer = s.answer("msg_2", second + 3, 30).with("requestId", "req_2");
        s.transcript().write(&[s.says(second), call, s.result_of(second + 2, "toolu_1", "found"), answer]);
        ledger.hook(s.stop());
    }
    let of = |name: &str| ledger.run(&["show-usage", "--session", name, "--json"]).json()["by_tool"].clone();
    assert_eq!(of("a")[0]["tool"], "Bash", "{}", of("a"));
    assert_eq!(of("a"), of("b"));
}

#[test]
fn two_sessions_that_both_count_from_one_count_each() {
    for by_import in [false, true] {
        let ledger = Ledger::new();
        for (name, output) in [("a", 10), ("b", 20)] {
            let s = Session::new(&ledger, name);
            let second = u32::try_from(output).unwrap();
            let answer = s.answer("msg_1", second, output).with("requestId", "req_1");
            s.transcript().write(&[s.says(second - 1), answer]);
            if !by_import {
                ledger.hook(s.stop());
            }
        }
        if by_import {
            import(&ledger, &ledger.dir().join("projects"));
        }
        assert_eq!((ledger.usage("a"), ledger.usage("b")), (answers(1, 10), answers(1, 20)));
    }
}

#[test]
fn a_gateway_with_one_id_and_one_request_counts_each_whole_answer() {
    for (uuid, request) in [("own", Some("req")), ("none", Some("req")), ("none", None), ("number", None)] {
        let lines = |s: &Session| {
            let answer = |second: u32, more: u64| {
                let answer = s.answer("msg", second, 10).with("message.usage.input_tokens", 3 + more);
                let answer = match request {
                    Some(request) => answer.with("requestId", request),
                    None => answer.without("requestId"),
                };
                match uuid {
                    "none" => answer.with("uuid", Value::Null),
                    "number" => answer.with("uuid", 7),
                    _ => answer,
                }
            };
            vec![s.says(1), answer(2, 100), s.says(3), answer(4, 200), s.says(5), answer(6, 300)]
        };
        for by_import in [false, true] {
            let ledger = Ledger::new();
            let s = Session::new(&ledger, "s");
            s.transcript().write(&lines(&s));
            if by_import {
                import(&ledger, &ledger.dir().join("projects"));
            } else {
                ledger.hook(s.stop());
            }
            let input = ledger.usage("s").input;
            assert_eq!((ledger.responses("s"), input), (3, 609), "{uuid} {request:?} {by_import}");
        }
    }
}

#[test]
fn without_any_ids_a_run_of_lines_is_one_response() {
    let lines = |s: &Session| {
        let plain = |line: Value| line.without("message.id").without("requestId");
        vec![
            s.says(1),
            plain(s.call("x", 2, 4)).with("message.stop_reason", Value::Null),
            plain(s.call("x", 3, 30)),
            s.result(4),
            plain(s.answer("y", 5, 50)),
        ]
    };
    assert_answers(lines, 2, 80);
}

#[test]
fn lines_without_any_id_of_their_own_are_known_by_what_they_say() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let bare = |second: u32, output: u64| {
        s.answer("x", second, output).without("message.id").without("requestId").without("uuid")
    };
    let lines = [s.says(1), bare(2, 10), s.says(3), bare(4, 20)];
    s.transcript().write(&lines);
    ledger.hook(s.stop());
    // The same file again, elsewhere.
    let copy = ledger.dir().join("backup");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(s.transcript().path(), copy.join("s.jsonl")).unwrap();
    import(&ledger, &copy);
    assert_eq!((ledger.responses("s"), ledger.output("s")), (2, 30));
}

#[test]
fn each_session_of_a_file_has_its_own_facts() {
    for by_import in [false, true] {
        let ledger = Ledger::new();
        let (old, new) = (ledger.dir().join("old"), ledger.dir().join("new"));
        let (a, b) = (Session::new(&ledger, "a").in_folder(&old), Session::new(&ledger, "b").in_folder(&new));
        let on = |branch: &'static str| move |line: Value| line.with("gitBranch", branch);
        let mut lines: Vec<Value> = [a.says(1), a.answer("msg_1", 2, 10)].map(on("main")).to_vec();
        lines.extend([b.says(10), b.answer("msg_2", 11, 20)].map(on("topic")));
        b.transcript().write(&lines);
        if by_import {
            import(&ledger, &ledger.dir().join("projects"));
        } else {
            ledger.hook(b.stop());
        }
        let rows = ledger.run(&["export", "--what", "sessions", "--format", "jsonl"]);
        let mut rows: Vec<Value> =
            rows.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        rows.sort_by_key(|row| row["id"].to_string());
        let told: Vec<Value> = rows
            .iter()
            .map(|row| json!([row["id"], row["project"], row["git_branch"], row["started_at"], row["turns"]]))
            .collect();
        let expected = [json!(["a", old, "main", at(1), 1]), json!(["b", new, "topic", at(10), 1])];
        assert_eq!(told, expected, "by import: {by_import}");
        for (folder, output) in [(&old, 10), (&new, 20)] {
            let cost = ledger.run(&["cost", "--json", "--project", &folder.display().to_string()]).json();
            assert_eq!(cost["total"]["usage"]["output_tokens"], output);
        }
    }
}

#[test]
fn a_project_that_appears_later_is_learned() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let bare = |line: Value| line.without("cwd");
    // A stub, and a hook that names no folder either.
    s.transcript()
        .write(&[json!({ "type": "ai-title", "aiTitle": "A stub", "sessionId": "s" }), bare(s.says(1))]);
    import(&ledger, &ledger.dir().join("projects"));
    s.transcript().append(&[bare(s.answer("msg_1", 2, 10)), s.answer("msg_2", 3, 20)]);
    import(&ledger, &ledger.dir().join("projects"));
    let cost = ledger.run(&["cost", "--json", "--by", "project"]).json();
    assert_eq!(cost["rows"][0]["key"], json!(ledger.project()));
    assert_eq!(cost["rows"][0]["usage"]["output_tokens"], 30);
}

#[test]
fn a_transcript_that_has_moved_is_read_on() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    import(&ledger, &ledger.dir().join("projects"));
    let moved = ledger.dir().join("projects").join("-another");
    std::fs::create_dir_all(&moved).unwrap();
    let moved = moved.join("s.jsonl");
    std::fs::rename(s.transcript().path(), &moved).unwrap();
    let append = |lines: &[Value]| {
        let mut bytes = std::fs::read(&moved).unwrap();
        lines.iter().for_each(|line| bytes.extend(format!("{line}\n").into_bytes()));
        std::fs::write(&moved, bytes).unwrap();
    };
    append(&[s.says(3), s.answer("msg_2", 4, 20)]);
    import(&ledger, &ledger.dir().join("projects"));
    append(&[s.says(5), s.answer("msg_3", 6, 30)]);
    // A view reads on where the transcript is now.
    let view = ledger.run(&["show-usage", "--session", "s", "--json"]).json();
    assert_eq!((&view["actual"]["responses"], &view["session"]["turns"]), (&json!(3), &json!(3)));
}

#[test]
fn a_clock_that_was_set_back_makes_no_copies() {
    let lines = |s: &Session| {
        let note = json!({ "type": "queue-operation", "operation": "enqueue", "timestamp": at(500), "sessionId": "s" });
        // The clock goes back right after the client's own note.
        vec![note, s.says(1), s.answer("msg_1", 2, 10), s.says(3), s.answer("msg_2", 4, 20)]
    };
    assert_answers(lines, 2, 30);
}

#[cfg(unix)]
#[test]
fn links_are_followed_as_the_client_follows_them() {
    use std::os::unix::fs::symlink;
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    s.subagent("subagents", "x").write(&[s.answer_of("x", "msg_2", 3, 20)]);
    // The project's folder is a link, and another one's transcript is.
    let config = ledger.dir().join("config").join("projects");
    std::fs::create_dir_all(config.join("-other")).unwrap();
    symlink(ledger.dir().join("projects").join("-project"), config.join("-project")).unwrap();
    let other = Session::new(&ledger, "t");
    let elsewhere = ledger.dir().join("elsewhere.jsonl");
    std::fs::rename(
        other.transcript().write(&[other.says(5), other.answer("msg_3", 6, 40)]).path(),
        &elsewhere,
    )
    .unwrap();
    symlink(&elsewhere, config.join("-other").join("t.jsonl")).unwrap();
    // A link that leads back, one to nowhere, and one to a device.
    symlink(&config, config.join("-other").join("loop")).unwrap();
    symlink(ledger.dir().join("nowhere"), config.join("-other").join("gone.jsonl")).unwrap();
    symlink("/dev/zero", config.join("-other").join("zero.jsonl")).unwrap();
    let report = import(&ledger, &config);
    assert_eq!((ledger.usage("s"), ledger.usage("t")), (answers(2, 30), answers(1, 40)), "{report}");
    // Nothing is read twice, by another name either.
    let again = import(&ledger, &config);
    assert_eq!((&again["bytes"], &again["responses"]), (&json!(0), &json!(0)));
    assert_eq!(ledger.usage_of_all(), answers(3, 70));
}

#[test]
fn logs_of_another_client_are_refused_by_name_and_nothing_is_stored() {
    // Types that are ours too, in lines that are not.
    let alike = [
        json!({ "type": "progress", "percent": 10 }),
        json!({ "type": "tag" }),
        json!({ "type": "summary", "value": 3 }),
        json!({ "type": "assistant", "message": { "role": "assistant", "content": [{ "type": "text", "text": "Hi" }] } }),
    ];
    let stream = [
        json!({ "type": "system", "subtype": "init", "session_id": "x", "cwd": "/p" }),
        json!({ "type": "user", "message": { "role": "user", "content": [] }, "session_id": "x" }),
        json!({ "type": "assistant", "message": { "role": "assistant", "content": [] }, "session_id": "x" }),
    ];
    let chat = [json!({ "sessionId": "x", "projectHash": "abc", "startTime": at(1), "messages": [] })];
    let logs = [
        ("session-1.jsonl", chat.to_vec()),
        ("alike.jsonl", alike.to_vec()),
        ("stream.jsonl", stream.to_vec()),
    ];
    for (name, lines) in logs {
        let ledger = Ledger::new();
        let folder = ledger.dir().join("others");
        std::fs::create_dir_all(&folder).unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.join(name), text).unwrap();
        let ran = ledger.run(&["import", "--json", "--path", &folder.display().to_string()]);
        assert_eq!(ran.code, Some(4), "{}", ran.stderr);
        assert_eq!(ran.json()["files_refused"], 1);
        assert!(ran.json()["skipped"].to_string().contains(name), "{}", ran.stdout);
        let sessions: i64 =
            ledger.sqlite().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!(sessions, 0, "{name}");
    }
}

#[test]
fn a_stream_that_was_saved_is_the_session_that_it_names() {
    let ledger = Ledger::new();
    for (folder, id, output) in [("one", "c1", 10), ("two", "c2", 20)] {
        let s = Session::new(&ledger, id);
        let stream = |line: Value| {
            let at = line["timestamp"].clone();
            line.without("sessionId").without("timestamp").with("session_id", id).with("_audit_timestamp", at)
        };
        let folder = ledger.dir().join("streams").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let lines = [stream(s.says(1)), stream(s.answer(&format!("msg_{id}"), 2, output))];
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(folder.join("audit.jsonl"), text).unwrap();
    }
    import(&ledger, &ledger.dir().join("streams"));
    assert_eq!((ledger.usage("c1"), ledger.usage("c2")), (answers(1, 10), answers(1, 20)));
}

#[test]
fn a_drive_has_one_letter() {
    let ledger = Ledger::new();
    for (name, folder, output) in [("a", r"c:\Users\me\app", 10), ("b", r"C:\Users\me\app", 20)] {
        let s = Session::new(&ledger, name);
        let there = |line: Value| line.with("cwd", folder);
        let message = format!("msg_{name}");
        s.transcript().write(&[there(s.says(1)), there(s.answer(&message, 2, output))]);
    }
    import(&ledger, &ledger.dir().join("projects"));
    let cost = ledger.run(&["cost", "--json", "--by", "project"]).json();
    assert_eq!(cost["rows"].as_array().unwrap().len(), 1, "{cost}");
    assert_eq!(cost["rows"][0]["key"], r"C:\Users\me\app");
    for folder in [r"c:\Users\me\app", r"C:\Users\me\app"] {
        let cost = ledger.run(&["cost", "--json", "--project", folder]).json();
        assert_eq!(cost["total"]["usage"]["output_tokens"], 30, "{folder}");
    }
}

#[test]
fn what_follows_a_whole_answer_with_another_prompt_is_another_whatever_it_is_called() {
    // A gateway with one id and one request for all, and a client that writes a response in several lines.
    let answer = |s: &Session, second: u32, output: u64, read: u64, ends: bool| {
        let line = s.answer("msg", second, output).with("requestId", "req");
        let line = line.with("message.usage.cache_read_input_tokens", read);
        if ends { line } else { line.with("message.stop_reason", Value::Null) }
    };
    let lines = |s: &Session| {
        [
            s.says(1),
            answer(s, 2, 100, 1_000, true),
            s.says(3),
            answer(s, 4, 1, 2_000, false),
            answer(s, 5, 200, 2_000, true),
            s.says(6),
            answer(s, 7, 1, 3_000, false),
            answer(s, 8, 300, 3_000, true),
        ]
    };
    for cut in 0..8 {
        let ledger = Ledger::new();
        let s = Session::new(&ledger, "s");
        let lines = lines(&s);
        s.transcript().write(&lines[..cut]);
        ledger.hook(s.stop());
        s.transcript().append(&lines[cut..]);
        ledger.hook(s.stop());
        assert_eq!((ledger.responses("s"), ledger.output("s")), (3, 600), "cut after {cut} lines");
    }
}
