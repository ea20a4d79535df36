//! What a client writes to a session's log after that one's last hook, as at `/clear`: whatever comes next reads it.

use serde_json::Value;
use tallyhook::domain::Usage;

use crate::bill::{OPUS, cost_state};
use crate::support::{Ledger, Session, With, answers};

/// What a compaction used, which no line shows.
const COMPACTION: Usage = Usage {
    input: 18_000,
    output: 251,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    web_searches: 0,
};

/// A session of one answer that was cleared, as far as its hooks go.
fn ended(id: &str) -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, id);
    session.transcript().write(&[session.says(1), session.answer("msg_1", 2, 10)]);
    ledger.hooks([session.start(), session.prompt("prompt-1"), session.stop()]);
    ledger.hook(session.end().with("reason", "clear"));
    (ledger, session)
}

/// The client's own total of it.
fn total(id: &str) -> Value {
    cost_state(id, &[(OPUS, answers(1, 10) + COMPACTION)])
}

/// How many totals of sessions the ledger holds, if nobody reads a transcript for the answer.
fn totals(ledger: &Ledger) -> i64 {
    ledger.sqlite().query_row("SELECT count(*) FROM client_totals", [], |row| row.get(0)).unwrap()
}

/// Whether a session is still to be looked at.
fn is_watched(ledger: &Ledger) -> bool {
    let sql = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'ended')";
    ledger.sqlite().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_total_that_comes_after_a_sessions_last_hook_is_read_at_the_next_event() {
    for event in ["SessionStart", "UserPromptSubmit", "Stop", "StopFailure", "SessionEnd"] {
        for folder in ["project", "home"] {
            let (ledger, first) = ended("first");
            first.transcript().append(&[total("first")]);
            let next = Session::new(&ledger, "next").in_folder(&ledger.dir().join(folder));
            assert_eq!(totals(&ledger), 0);
            ledger.hook(next.event(event).with("source", "clear"));
            assert_eq!(totals(&ledger), 1, "{event} in {folder}");
            assert_eq!(ledger.actual("first").hidden.usage, COMPACTION, "{event} in {folder}");
            assert_eq!(ledger.faults(), "");
        }
    }
}

#[test]
fn a_total_that_comes_while_the_next_session_works_is_read_at_the_end_of_its_turn() {
    let (ledger, first) = ended("first");
    let next = Session::new(&ledger, "next");
    ledger.hooks([next.start().with("source", "clear"), next.prompt("prompt-2")]);
    first.transcript().append(&[total("first")]);
    ledger.hook(next.tool("Bash", "toolu_1"));
    next.transcript().write(&[next.says(1), next.answer("msg_2", 2, 10)]);
    ledger.hook(next.stop());
    assert_eq!(totals(&ledger), 1);
}

#[test]
fn a_budget_stops_the_first_prompt_after_a_session_that_used_it_up_with_its_compaction() {
    let (ledger, first) = ended("first");
    assert_eq!(ledger.run(&["budget", "set", "10000", "--tokens", "--per", "total", "--stop"]).code, Some(0));
    let next = Session::new(&ledger, "next");
    ledger.hook(next.start().with("source", "clear"));
    assert_eq!(ledger.hook_answer(next.prompt("prompt-2")), Value::Null);
    first.transcript().append(&[total("first")]);
    assert_eq!(ledger.hook_answer(next.prompt("prompt-3"))["decision"], "block");
}

#[test]
fn a_total_that_comes_after_a_long_pause_is_read_at_the_first_event_after_it() {
    let (ledger, first) = ended("first");
    first.transcript().append(&[total("first")]);
    ledger.minutes_pass(60 * 14);
    ledger.hook(Session::new(&ledger, "next").stop());
    assert_eq!(totals(&ledger), 1);
}

#[test]
fn every_report_reads_what_came_after_a_sessions_end() {
    for args in [
        &["history", "--json"][..],
        &["cost", "--json"],
        &["dashboard", "--markdown", "note.md"],
        &["trends", "--json"],
        &["export", "--what", "sessions"],
        &["show-usage", "--session", "next", "--json"],
        &["budget", "status", "--json"],
    ] {
        let (ledger, first) = ended("first");
        ledger.hook(Session::new(&ledger, "next").start());
        first.transcript().append(&[total("first")]);
        let ran = ledger.run(args);
        assert_eq!((totals(&ledger), ran.stderr.contains("ended sessions")), (1, false), "{args:?}");
    }
}

#[test]
fn each_of_several_sessions_that_end_at_once_is_read_on() {
    let ledger = Ledger::new();
    let sessions: Vec<Session> = (0..5).map(|at| Session::new(&ledger, &format!("s{at}"))).collect();
    for (at, session) in sessions.iter().enumerate() {
        session.transcript().write(&[session.says(1), session.answer(&format!("msg_{at}"), 2, 10)]);
        ledger.hooks([session.start(), session.stop(), session.end()]);
    }
    for (at, session) in sessions.iter().enumerate() {
        session.transcript().append(&[total(&format!("s{at}"))]);
    }
    ledger.hook(Session::new(&ledger, "next").start());
    assert_eq!(totals(&ledger), 5);
}

#[test]
fn a_session_whose_end_waited_beside_the_ledger_is_read_on() {
    let (ledger, first) = Session::started();
    first.transcript().write(&[first.says(1), first.answer("msg_1", 2, 10)]);
    ledger.hook(first.stop());
    let holder = ledger.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    first.transcript().append(&[first.answer("msg_2", 3, 20), total("s")]);
    ledger.hook(first.end());
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(ledger.responses("s"), 1);
    ledger.hook(Session::new(&ledger, "next").stop());
    assert_eq!((ledger.responses("s"), totals(&ledger)), (2, 1));
}

#[test]
fn an_ended_session_is_watched_for_some_minutes_and_then_no_more() {
    let (ledger, first) = ended("first");
    let next = Session::new(&ledger, "next");
    ledger.hook(next.stop());
    assert!(is_watched(&ledger));
    ledger.minutes_pass(6).hook(next.stop());
    assert!(!is_watched(&ledger));
    first.transcript().append(&[total("first")]);
    ledger.hook(next.stop());
    assert_eq!(totals(&ledger), 0);
}

#[test]
fn a_session_that_goes_on_or_is_gone_is_watched_no_more() {
    let (ledger, first) = ended("first");
    ledger.hooks([first.start().with("source", "resume"), first.prompt("prompt-2"), first.stop()]);
    assert!(!is_watched(&ledger));
    let (ledger, first) = ended("first");
    std::fs::remove_file(first.transcript().path()).unwrap();
    let next = Session::new(&ledger, "next");
    ledger.hook(next.stop());
    ledger.minutes_pass(6).hook(next.stop());
    assert_eq!((is_watched(&ledger), ledger.faults()), (false, String::new()));
}

#[test]
fn of_many_sessions_that_have_ended_the_last_are_watched() {
    let ledger = Ledger::new();
    for at in 0..40 {
        let session = Session::new(&ledger, &format!("s{at}"));
        ledger.hooks([session.start(), session.end()]);
    }
    let noted: String = ledger
        .sqlite()
        .query_row("SELECT value FROM meta WHERE name = 'ended'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(noted.split(' ').count(), 8);
    assert!(noted.ends_with("40"));
}
