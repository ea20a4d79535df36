//! Alerts: off by default, said to the user once each time, and they stop nothing.

use serde_json::{Value, json};

use crate::support::{Ledger, Session, With};

/// The one line that the user is told; empty if nothing.
fn told(answer: &Value) -> String {
    assert!(answer.is_null() || answer.as_object().is_some_and(|answer| answer.len() == 1), "{answer}");
    answer["systemMessage"].as_str().unwrap_or_default().to_owned()
}

fn on(ledger: &Ledger, args: &[&str]) {
    ledger.run(&[&["alerts", "on"], args].concat()).text();
}

/// A session that has started, with alerts on.
fn watched_for(args: &[&str]) -> (Ledger, Session) {
    let (ledger, s) = Session::started();
    on(&ledger, args);
    (ledger, s)
}

#[test]
fn they_are_off_until_they_are_switched_on() {
    let (ledger, s) = Session::started();
    for number in 0..9 {
        assert_eq!(ledger.hook_answer(s.tool("Bash", &format!("toolu_{number}"))), Value::Null);
    }
    let states = || -> Vec<bool> {
        let report = ledger.run(&["alerts", "--json"]).json();
        report["alerts"].as_array().unwrap().iter().map(|alert| alert["on"].as_bool().unwrap()).collect()
    };
    assert_eq!(states(), [false; 4]);
    let rows = || -> i64 {
        let sql = "SELECT (SELECT count(*) FROM meta WHERE name LIKE 'alerts%') + (SELECT count(*) FROM budget_totals)";
        ledger.sqlite().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(rows(), 0);
    on(&ledger, &["spike", "loop", "--repeats", "9"]);
    assert_eq!(states(), [true, true, false, false]);
    on(&ledger, &[]);
    assert_eq!(states(), [true; 4]);
    assert!(ledger.run(&["alerts"]).text().contains("loop       on  the same call is made 9 times"));
    ledger.hooks([s.tool("Bash", "toolu_9"), s.batch(&[])]);
    assert!(rows() > 1);
    ledger.run(&["alerts", "off", "context"]).text();
    assert_eq!(states(), [true, true, false, true]);
    ledger.run(&["alerts", "off"]).text();
    assert_eq!((states(), rows()), (vec![false; 4], 0));
    assert_eq!(ledger.run(&["alerts", "on", "weather"]).code, Some(2));
}

#[test]
fn the_same_call_again_and_again_is_told_once() {
    let (ledger, s) = watched_for(&["loop", "--repeats", "3"]);
    let call = |id: &str| told(&ledger.hook_answer(s.tool("Bash", id)));
    assert_eq!((call("toolu_1"), call("toolu_2")), (String::new(), String::new()));
    assert_eq!(call("toolu_2"), "", "an event that comes twice counts once");
    assert!(call("toolu_3").contains("main has called Bash 3 times with the same input"));
    assert_eq!(call("toolu_4"), "");
    let other = s.tool("Bash", "toolu_5").with("tool_input", json!({ "command": "false" }));
    assert_eq!(told(&ledger.hook_answer(other)), "");
    // After a change it is another matter, and so it is for another agent and after a prompt.
    ledger.hook(s.tool("Edit", "toolu_6").with("tool_input", json!({ "file_path": "/a" })));
    assert_eq!((call("toolu_7"), call("toolu_8")), (String::new(), String::new()));
    assert_eq!(told(&ledger.hook_answer(s.tool("Bash", "toolu_9").with("agent_id", "a1"))), "");
    ledger.hook(s.prompt("prompt-2"));
    assert_eq!((call("toolu_10"), call("toolu_11")), (String::new(), String::new()));
    assert!(call("toolu_12").contains("3 times"));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn what_is_found_in_a_subagent_is_told_by_the_main_conversation() {
    let (ledger, s) = watched_for(&["loop", "spike", "--repeats", "2"]);
    let turn = |number: u32, event: Value, output: u64| {
        ledger.hook(s.prompt(&format!("prompt-{number}")));
        s.transcript().append(&[s.answer(&format!("msg_{number}"), number + 1, output)]);
        told(&ledger.hook_answer(event))
    };
    s.transcript().write(&[s.says(1)]);
    for number in 1..=6 {
        assert_eq!(turn(number, s.stop(), 4_000), "");
    }
    let inside = |event: Value| event.with("agent_id", "a1").with("agent_type", "Explore");
    assert_eq!(turn(7, inside(s.batch(&[])), 90_000), "");
    for id in ["toolu_1", "toolu_2", "toolu_3"] {
        assert_eq!(told(&ledger.hook_answer(inside(s.tool("Bash", id)))), "");
    }
    let line = told(&ledger.hook_answer(s.tool("Agent", "toolu_4")));
    assert!(line.contains("Explore has called Bash 2 times") && line.lines().count() == 1, "{line}");
    assert_eq!(told(&ledger.hook_answer(s.tool("Grep", "toolu_5"))), "");
    assert!(told(&ledger.hook_answer(s.batch(&[]))).contains("this turn has cost"));
    // If a prompt is what comes first, it says so.
    for id in ["toolu_6", "toolu_7"] {
        ledger.hook(s.tool("Read", id).with("agent_id", "a2"));
    }
    let line = told(&ledger.hook_answer(s.prompt("prompt-9")));
    assert!(line.contains("a subagent has called Read 2 times"), "{line}");
    assert_eq!(told(&ledger.hook_answer(s.prompt("prompt-10"))), "");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn of_sixteen_equal_calls_at_once_one_is_told() {
    let (ledger, s) = watched_for(&["loop", "--repeats", "10"]);
    let calls = (0..16).map(|number| s.tool("Bash", &format!("toolu_{number}")));
    assert_eq!(ledger.run_hooks_at_once(calls).len(), 1);
    assert_eq!(ledger.calls().len(), 16);
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_turn_that_costs_much_more_than_usual_is_told_once() {
    let (ledger, s) = watched_for(&["spike"]);
    s.transcript().write(&[s.says(1)]);
    let turn = |number: u32, output: u64| {
        assert_eq!(told(&ledger.hook_answer(s.prompt(&format!("prompt-{number}")))), "");
        s.transcript().append(&[s.answer(&format!("msg_{number}"), number + 1, output)]);
        told(&ledger.hook_answer(s.stop()))
    };
    for number in 1..=6 {
        assert_eq!(turn(number, 4_000), "");
    }
    assert_eq!(turn(7, 11_000), "");
    let line = turn(8, 20_000);
    assert!(line.contains("this turn has cost $0.4") || line.contains("this turn has cost $0.5"), "{line}");
    assert!(line.contains("in this session") && line.contains("in this project"), "{line}");
    assert_eq!(told(&ledger.hook_answer(s.stop())), "", "once a turn");
    // While a turn goes on it is told at the end of a batch; another session knows the project's habit.
    let two = Session::new(&ledger, "two");
    ledger.hooks([two.start(), two.prompt("prompt-20")]);
    two.transcript().write(&[two.says(30), two.call("msg_20", 31, 40_000)]);
    let line = told(&ledger.hook_answer(two.batch(&[])));
    assert!(line.contains("in this project") && !line.contains("in this session"), "{line}");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_context_that_is_nearly_full_is_told_once_until_it_was_compacted() {
    let (ledger, s) = watched_for(&["context"]);
    let mut number = 0;
    let mut holds = |tokens: u64| {
        number += 1;
        let answer = s
            .call(&format!("msg_{number}"), number + 1, 0)
            .with("message.model", "claude-sonnet-4-5")
            .with("message.usage.cache_read_input_tokens", tokens - 13);
        s.transcript().append(&[answer]);
        told(&ledger.hook_answer(s.batch(&[])))
    };
    assert_eq!(holds(150_000), "");
    assert_eq!(
        holds(165_000),
        "tallyhook: the context holds 165,000 tokens out of 200,000 (82%); a compaction is near"
    );
    assert_eq!(holds(168_000), "");
    s.transcript().append(&[s.compaction(40, 168_500, 9_000)]);
    assert_eq!(holds(20_000), "");
    // The client has compacted it earlier than its window would allow, and will again.
    assert!(holds(140_000).contains("140,000 tokens; an earlier compaction came at 168,500"));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn what_each_subagent_has_used_is_told_with_the_session_so_far() {
    let (ledger, s) = watched_for(&["subagents"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 87)]);
    ledger.hook(s.batch(&[]));
    let file = s.subagent("subagents", "a1");
    file.write(&[s.answer_of("a1", "msg_2", 3, 187)]);
    let stop = s
        .event("SubagentStop")
        .with("agent_id", "a1")
        .with("agent_type", "Explore")
        .with("agent_transcript_path", file.path().to_str().unwrap());
    // The client shows nobody what is said there.
    assert_eq!((told(&ledger.hook_answer(&stop)), told(&ledger.hook_answer(&stop))), Default::default());
    assert_eq!(told(&ledger.hook_answer(s.batch(&[]).with("agent_id", "a1"))), "");
    let line = told(&ledger.hook_answer(s.batch(&[])));
    assert!(line.starts_with("tallyhook: Explore used 300 tokens, $0.0"), "{line}");
    assert!(line.contains("session so far: 500 tokens, $0.0"), "{line}");
    assert_eq!(told(&ledger.hook_answer(s.batch(&[]))), "", "once");
    // What others write meanwhile is in the total: it is kept up, not added up.
    s.transcript().append(&[s.call("msg_3", 4, 387)]);
    ledger.run(&["show-usage", "--session", "s"]).text();
    file.append(&[s.answer_of("a1", "msg_4", 5, 87)]);
    ledger.hook(&stop);
    let line = told(&ledger.hook_answer(s.stop()));
    assert!(line.contains("Explore used 500 tokens") && line.contains("so far: 1,200 tokens"), "{line}");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_ledger_that_cannot_be_written_is_silence() {
    let (ledger, s) = watched_for(&["loop", "--repeats", "2"]);
    ledger.hook(s.tool("Bash", "toolu_1"));
    let lock = ledger.sqlite();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.run_hook(s.tool("Bash", "toolu_2")).assert_silent("a locked ledger");
}

#[test]
fn alerts_and_warnings_are_said_together() {
    let (ledger, s) = watched_for(&["context"]);
    ledger.run(&["budget", "set", "100", "--tokens"]).text();
    s.transcript().write(&[
        s.says(1),
        s.call("msg_1", 2, 0)
            .with("message.model", "claude-sonnet-4-5")
            .with("message.usage.cache_read_input_tokens", 190_000),
    ]);
    let lines = told(&ledger.hook_answer(s.batch(&[])));
    assert!(lines.lines().count() == 3 && lines.contains("over by") && lines.contains("context"), "{lines}");
}
