//! The ledger's file: many processes at once, and other releases of tallyhook.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Ledger, Ran, Session, answers};

/// Starts the real hook and does not wait for it.
fn start(ledger: &Ledger, payload: &Value) -> Child {
    let mut child = ledger
        .command(&["hook"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is not read yet waits in the pipe: no process waits for another.
    child.stdin.take().unwrap().write_all(payload.to_string().as_bytes()).unwrap();
    child
}

#[test]
fn sixty_four_first_events_at_once_are_sixty_four_rows() {
    const PROCESSES: usize = 64;
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let start = |number| start(&ledger, &session.tool("Bash", &format!("toolu_{number}")));
    let children: Vec<Child> = (0..PROCESSES).map(start).collect();
    for child in children {
        Ran::end_of(child).assert_silent("one of many");
    }
    assert_eq!(ledger.faults(), "");
    let mut ids: Vec<Value> = ledger.calls().into_iter().map(|call| call["tool_use_id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), PROCESSES);
    ledger.assert_sound();
}

#[test]
fn turns_ends_at_once_are_the_same_as_one() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 10),
        session.compaction(3, 900, 80),
    ]);
    session.subagent("subagents", "a1").write(&[session.answer_of("a1", "msg_2", 4, 20)]);
    let children: Vec<Child> = (0..12).map(|_| start(&ledger, &session.stop())).collect();
    for child in children {
        Ran::end_of(child).assert_silent("one of many");
    }
    let report = ledger.report("s");
    assert_eq!((ledger.usage("s"), ledger.responses("s")), (answers(2, 30), 2));
    assert_eq!((&report["session"]["turns"], &report["session"]["compactions"]), (&1.into(), &1.into()));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_killed_hook_leaves_a_sound_ledger_and_what_was_acknowledged() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        let id = format!("prompt_{number}");
        // A prompt needs no encoder, so that the kills are spread over the writing.
        let mut child = start(&ledger, &session.prompt(&id));
        std::thread::sleep(Duration::from_micros(500 * (number % 20)));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            acknowledged.push(id);
        }
    }
    ledger.assert_sound();
    let known: u64 = ledger.report("s")["session"]["turns"].as_u64().unwrap_or(0);
    assert!(known >= acknowledged.len() as u64, "{known} of {acknowledged:?}");
}

/// A ledger as a later release would have left it.
fn newer_ledger() -> Ledger {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").tool("Bash", "toolu_1"));
    let conn = ledger.sqlite();
    conn.execute_batch("ALTER TABLE sessions ADD COLUMN mood TEXT").unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    ledger
}

#[test]
fn a_newer_ledger_is_refused_by_commands() {
    let ledger = newer_ledger();
    for args in [&["show-usage"][..], &["show-usage", "--json"], &["export"]] {
        let ran = ledger.run(args);
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{args:?}");
        assert!(ran.stderr.contains("newer") && ran.stderr.contains("999"), "{}", ran.stderr);
        assert!(ran.stderr.contains("--db"), "it says what to do: {}", ran.stderr);
    }
}

#[test]
fn a_newer_ledger_is_left_alone_by_the_hook() {
    let ledger = newer_ledger();
    let session = Session::new(&ledger, "s");
    let before = ledger.bytes();
    for payload in [session.start(), session.tool("Bash", "toolu_2"), session.stop(), session.end()] {
        ledger.run_hook(payload).assert_silent("a newer ledger");
    }
    assert_eq!(ledger.bytes(), before);
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_ledger_that_somebody_reads_takes_events() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.tool("Bash", "toolu_1"));
    let reader = ledger.sqlite();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tool_calls;").unwrap();
    ledger.hook(session.tool("Bash", "toolu_2"));
    drop(reader);
    assert_eq!(ledger.calls().len(), 2);
}

#[test]
fn an_event_waits_for_another_writer() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let child = start(&ledger, &session.prompt("p1"));
    std::thread::sleep(Duration::from_millis(300));
    writer.execute_batch("COMMIT").unwrap();
    Ran::end_of(child).assert_silent("a writer at work");
    assert_eq!(ledger.faults(), "");
    assert_eq!(ledger.report("s")["session"]["turns"], 1);
}

#[test]
fn the_schema_of_a_new_ledger_is_this_releases() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").start());
    let version: i64 = ledger.sqlite().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, tallyhook::store::SCHEMA_VERSION);
    let mode: String = ledger.sqlite().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
