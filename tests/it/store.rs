//! The ledger's file: many processes at once, and other releases of tallyhook.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
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
    let before = std::fs::read(ledger.path()).unwrap();
    for payload in [session.start(), session.tool("Bash", "toolu_2"), session.stop(), session.end()] {
        ledger.run_hook(payload).assert_silent("a newer ledger");
    }
    assert!(std::fs::read(ledger.path()).unwrap() == before);
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
fn a_call_has_the_ledger_alone_if_nobody_else_has_it() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let shared_index = ledger.path().with_extension("db-shm");
    ledger.hook(session.tool("Bash", "toolu_1"));
    ledger.hook(session.tool("Bash", "toolu_2"));
    assert!(ledger.path().with_extension("db-wal").exists());
    assert!(!shared_index.exists());
    // Who comes while one has it alone waits, as for any lock.
    let other = ledger.sqlite();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT").unwrap();
    let mut child = start(&ledger);
    send(&mut child, &session.tool("Bash", "toolu_3"));
    std::thread::sleep(Duration::from_millis(300));
    drop(other);
    Ran::end_of(child).assert_silent("a ledger that was taken");
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
    assert_eq!(ledger.calls().len(), 3);
    ledger.assert_sound();
}

#[test]
fn a_usual_call_writes_three_pages() {
    const FRAME: u64 = 4_096 + 24;
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let log = ledger.path().with_extension("db-wal");
    let mut before = 0;
    for number in 0..5 {
        ledger.hook(session.tool("Bash", &format!("toolu_{number}")));
        let now = std::fs::metadata(&log).map_or(0, |log| log.len());
        // The session, the call and its index; the first two calls also make what is not there yet.
        assert!(number < 2 || now - before == 3 * FRAME, "{number}: {before} to {now} bytes");
        before = now;
    }
}

/// The files of the ledger's spool.
fn spooled(ledger: &Ledger) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(ledger.path().with_extension("db.spool")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Hands events to the hook while another writer holds the ledger for longer than a hook waits.
fn while_locked(ledger: &Ledger, payloads: &[Value]) {
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    ledger.hooks(payloads);
    writer.execute_batch("COMMIT").unwrap();
}

fn ids_in_the_order_of_their_rows(ledger: &Ledger) -> Vec<String> {
    let ledger = ledger.sqlite();
    let mut query = ledger.prepare("SELECT tool_use_id FROM tool_calls ORDER BY id").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_a_busy_ledger_has_no_time_for_is_stored_in_order_by_the_next_writer() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    while_locked(&ledger, &[session.tool("Bash", "toolu_1"), session.tool("Read", "toolu_2")]);
    assert_eq!(spooled(&ledger).len(), 2);
    ledger.hook(session.tool("Bash", "toolu_3"));
    assert_eq!(ids_in_the_order_of_their_rows(&ledger), ["toolu_1", "toolu_2", "toolu_3"]);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
    assert_eq!(ledger.faults(), "");
    // They are what they would have been without the wait.
    let other = Ledger::new();
    let session = Session::new(&other, "s");
    other.hooks([session.start(), session.tool("Bash", "toolu_1"), session.tool("Read", "toolu_2")]);
    let rows = |ledger: &Ledger| -> Vec<Value> {
        let tokens =
            |call: &Value| serde_json::json!([call["returned_tokens"], call["generated_tokens"], call["at"]]);
        ledger.calls().iter().take(2).map(tokens).collect()
    };
    assert_eq!(rows(&ledger), rows(&other));
}

#[test]
fn a_view_shows_what_waits_in_the_spool() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    while_locked(&ledger, &[session.prompt("p1")]);
    assert_eq!(ledger.report("s")["session"]["turns"], 1);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
}

#[test]
fn an_event_that_was_stored_by_a_killed_process_is_not_stored_again() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let mut call = session.tool("Bash", "");
    call.as_object_mut().unwrap().remove("tool_use_id");
    while_locked(&ledger, &[call]);
    let [file] = &*spooled(&ledger) else { panic!("one event waits") };
    let text = std::fs::read(file).unwrap();
    assert_eq!(ledger.calls().len(), 1);
    // The process died after its commit and before it removed the file.
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    assert_eq!(ledger.calls().len(), 1);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
}

#[test]
fn the_spool_holds_no_content_and_a_file_that_is_no_event_is_kept() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let mut call = session.tool("Bash", "toolu_1");
    call["tool_input"]["command"] = "echo top-secret".into();
    while_locked(&ledger, &[call]);
    let [file] = &*spooled(&ledger) else { panic!("one event waits") };
    assert!(!std::fs::read_to_string(file).unwrap().contains("secret"));
    std::fs::write(file.with_file_name("1.json"), "{").unwrap();
    assert_eq!(ledger.calls().len(), 1);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
    assert!(ledger.path().with_extension("db.spool-unreadable").join("1.json").exists());
    let checks = ledger.run(&["doctor", "--json"]).json();
    let spool = checks["checks"].as_array().unwrap().iter().find(|check| check["check"] == "spool").unwrap();
    assert_eq!(spool["status"], "warning");
}

#[test]
fn an_event_that_a_broken_ledger_cannot_take_is_stored_once_it_can() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let whole = std::fs::read(ledger.path()).unwrap();
    // Damaged in its middle: it can be opened, and not be written.
    let mut broken = whole.clone();
    broken[100..].fill(0xff);
    std::fs::write(ledger.path(), &broken).unwrap();
    ledger.hook(session.tool("Bash", "toolu_1"));
    // No database at all.
    std::fs::write(ledger.path(), "not a database, though it is as long as one may be ".repeat(100)).unwrap();
    ledger.hook(session.batch(&[("Bash", "toolu_1", "ok".into())]));
    ledger.hook(session.prompt("p1"));
    // Its tables are gone.
    std::fs::write(ledger.path(), &whole).unwrap();
    ledger.sqlite().execute_batch("ALTER TABLE tool_calls RENAME TO calls_of_before").unwrap();
    ledger.hook(session.tool("Read", "toolu_2"));
    assert_eq!(spooled(&ledger).len(), 4);
    assert!(ledger.faults().lines().count() >= 3, "{}", ledger.faults());
    ledger.sqlite().execute_batch("ALTER TABLE calls_of_before RENAME TO tool_calls").unwrap();
    ledger.hook(session.tool("Bash", "toolu_3"));
    assert_eq!(ids_in_the_order_of_their_rows(&ledger), ["toolu_1", "toolu_2", "toolu_3"]);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
    assert_eq!(ledger.report("s")["session"]["turns"], 1);
}

#[test]
fn events_wait_for_the_release_that_knows_their_ledger() {
    let ledger = newer_ledger();
    let session = Session::new(&ledger, "s");
    for number in 0..50 {
        ledger.hook(session.tool("Bash", &format!("toolu_{number:02}")));
    }
    assert_eq!(spooled(&ledger).len(), 50);
    assert_eq!(ledger.faults(), "");
    std::fs::remove_file(ledger.path()).unwrap();
    ledger.hook(session.tool("Bash", "toolu_50"));
    assert_eq!(ledger.calls().len(), 51);
    assert_eq!(spooled(&ledger), Vec::<PathBuf>::new());
}

#[test]
fn an_event_that_no_ledger_takes_does_not_keep_out_those_that_follow() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    while_locked(&ledger, &[session.tool("Bash", "toolu_1"), session.tool("Bash", "toolu_2")]);
    let db = ledger.sqlite();
    db.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON tool_calls WHEN new.tool_use_id = 'toolu_1'
         BEGIN SELECT raise(ABORT, 'refused'); END",
    )
    .unwrap();
    ledger.hook(session.tool("Bash", "toolu_3"));
    assert_eq!(ids_in_the_order_of_their_rows(&ledger), ["toolu_2", "toolu_3"]);
    assert_eq!(std::fs::read_dir(ledger.path().with_extension("db.spool-unreadable")).unwrap().count(), 1);
    ledger.assert_sound();
}

#[test]
fn processes_of_one_number_and_moment_overwrite_no_event() {
    // As in containers that share a folder: each has its process 1.
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let calls: Vec<Value> = (0..40).map(|number| session.tool("Bash", &format!("toolu_{number}"))).collect();
    let newer = "PRAGMA user_version = 999";
    let version: i64 = ledger.sqlite().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    ledger.sqlite().execute_batch(newer).unwrap();
    ledger.hooks(&calls);
    ledger.sqlite().pragma_update(None, "user_version", version).unwrap();
    assert_eq!(spooled(&ledger).len(), 40);
    assert_eq!(ledger.calls().len(), 40);
}

#[test]
fn drafts_of_killed_processes_and_names_of_stored_files_do_not_pile_up() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let folder = ledger.path().with_extension("db.spool");
    std::fs::create_dir(&folder).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for number in 0..50 {
        let draft = std::fs::File::create(folder.join(format!("000-{number}"))).unwrap();
        draft.set_modified(old).unwrap();
    }
    // One that somebody writes at this moment stays.
    std::fs::File::create(folder.join("001-young")).unwrap();
    ledger.hook(session.tool("Bash", "toolu_1"));
    assert_eq!(spooled(&ledger), [folder.join("001-young")]);
    std::fs::remove_file(folder.join("001-young")).unwrap();
    for number in 2..5 {
        while_locked(&ledger, &[session.tool("Bash", &format!("toolu_{number}"))]);
        ledger.hook(session.prompt("p1"));
    }
    let marks: i64 =
        ledger.sqlite().query_row("SELECT count(*) FROM applied_spool_files", [], |row| row.get(0)).unwrap();
    assert!(marks <= 1, "{marks}");
}

#[cfg(unix)]
#[test]
fn a_ledger_of_two_names_has_one_spool() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    let link = ledger.path().with_extension("link");
    std::os::unix::fs::symlink("ledger.db", &link).unwrap();
    assert_eq!(ledger.path().file_name().unwrap(), "ledger.db");
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut command = ledger.command(&["--db", link.to_str().unwrap(), "hook"]);
    Ran::with_stdin(&mut command, session.tool("Bash", "toolu_1").to_string().as_bytes())
        .assert_silent("hook");
    writer.execute_batch("COMMIT").unwrap();
    drop(writer);
    assert_eq!(spooled(&ledger).len(), 1);
    assert_eq!(ledger.calls().len(), 1);
}

#[test]
fn a_ledger_without_wal_that_is_locked_takes_nothing_but_the_spool_does() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start());
    // As on a network mount.
    ledger.sqlite().pragma_update(None, "journal_mode", "DELETE").unwrap();
    while_locked(&ledger, &[session.tool("Bash", "toolu_1")]);
    assert_eq!(ledger.faults(), "");
    assert_eq!(ledger.calls().len(), 1);
}

#[test]
fn the_log_stays_short_over_a_thousand_hooks() {
    const FRAME: u64 = 4_096 + 24;
    let frames = |ledger: &Ledger| {
        std::fs::metadata(ledger.path().with_extension("db-wal")).map_or(0, |log| log.len() / FRAME)
    };
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let mut longest = 0;
    let mut checkpoints = 0;
    let mut before = 0;
    for number in 0..1_000 {
        ledger.hook(session.tool("Bash", &format!("toolu_{number}")));
        let now = frames(&ledger);
        checkpoints += usize::from(now < before);
        longest = longest.max(now);
        before = now;
    }
    // 64 pages, and what the hook that finds them adds.
    assert!(longest <= 80, "{longest} pages");
    assert!((20..150).contains(&checkpoints), "{checkpoints} checkpoints");
    // With somebody who never closes the ledger it cannot be emptied, only copied now and then.
    let reader = ledger.sqlite();
    let _rows: i64 = reader.query_row("SELECT count(*) FROM tool_calls", [], |row| row.get(0)).unwrap();
    for number in 0..1_000 {
        ledger.hook(session.tool("Bash", &format!("toolu_more_{number}")));
    }
    assert!(frames(&ledger) < 1_200, "{} pages", frames(&ledger));
    assert_eq!(ledger.calls().len(), 2_000);
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
