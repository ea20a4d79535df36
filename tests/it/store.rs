//! The ledger's file: many processes at once, and other releases of tallyhook.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Ledger, Ran, Session, answers};

/// Starts the real hook, which then waits for its payload.
fn start(ledger: &Ledger) -> Child {
    let pipe = Stdio::piped;
    ledger.command(&["hook"]).stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap()
}

/// Hands a waiting hook its payload.
fn send(child: &mut Child, payload: &Value) {
    child.stdin.take().unwrap().write_all(payload.to_string().as_bytes()).unwrap();
}

/// Hands payloads to as many real hooks, as nearly at once as can be, and waits for their silent end.
fn all_at_once(ledger: &Ledger, payloads: &[Value]) {
    let mut children: Vec<Child> = payloads.iter().map(|_| start(ledger)).collect();
    for (child, payload) in children.iter_mut().zip(payloads) {
        send(child, payload);
    }
    for child in children {
        Ran::end_of(child).assert_silent("one of many");
    }
    assert_eq!(ledger.faults(), "");
}

#[test]
fn sixty_four_first_events_at_once_are_sixty_four_rows() {
    const PROCESSES: usize = 64;
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let call = |number| session.tool("Bash", &format!("toolu_{number}"));
    all_at_once(&ledger, &(0..PROCESSES).map(call).collect::<Vec<_>>());
    let ids: BTreeSet<String> = ledger.calls().iter().map(|call| call["tool_use_id"].to_string()).collect();
    assert_eq!(ids.len(), PROCESSES);
    ledger.assert_sound();
}

#[test]
fn many_processes_can_make_one_ledger_at_once() {
    const PROCESSES: usize = 16;
    for _ledger in 0..12 {
        let ledger = Ledger::new();
        let session = Session::new(&ledger, "s");
        // A prompt needs no encoder, so that they meet where the ledger is made.
        let prompt = |number| session.prompt(&format!("prompt-{number}"));
        all_at_once(&ledger, &(0..PROCESSES).map(prompt).collect::<Vec<_>>());
        assert_eq!(ledger.report("s")["session"]["turns"], PROCESSES);
    }
}

#[test]
fn ends_of_a_turn_at_once_are_the_same_as_one() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 10),
        session.compaction(3, 900, 80),
    ]);
    session.subagent("subagents", "a1").write(&[session.answer_of("a1", "msg_2", 4, 20)]);
    all_at_once(&ledger, &vec![session.stop(); 12]);
    let report = ledger.report("s");
    assert_eq!((ledger.usage("s"), ledger.responses("s")), (answers(2, 30), 2));
    assert_eq!((&report["session"]["turns"], &report["session"]["compactions"]), (&1.into(), &1.into()));
}

#[test]
fn a_killed_hook_leaves_a_sound_ledger_and_what_was_acknowledged() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let mut acknowledged = 0;
    for number in 0..40 {
        let mut child = start(&ledger);
        send(&mut child, &session.prompt(&format!("prompt-{number}")));
        // A prompt takes a few milliseconds, so that the kills are spread over all that is done.
        std::thread::sleep(Duration::from_micros(500 * (number % 20)));
        child.kill().unwrap();
        acknowledged += u64::from(child.wait().unwrap().success());
    }
    ledger.assert_sound();
    let turns = ledger.report("s")["session"]["turns"].as_u64().unwrap_or(0);
    assert!(turns >= acknowledged, "{turns} of {acknowledged}");
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
    let mut child = start(&ledger);
    send(&mut child, &session.prompt("p1"));
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
