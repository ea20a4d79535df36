//! A ledger that SQLite calls damaged: `doctor` says so, `doctor --fix` keeps what can be read and fills the rest.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::{Ledger, Session};

const PAGE: usize = 4096;
const RESPONSES: u64 = 450;
const CALLS: u64 = 120;

/// A ledger of several sessions with calls, responses, a freelist and two budgets, and the bytes of its file.
fn filled() -> (Ledger, Vec<Session>, Vec<u8>) {
    let ledger = Ledger::new();
    let sessions: Vec<Session> =
        (0..3).map(|number| Session::new(&ledger, &format!("session-{number}"))).collect();
    for (number, session) in sessions.iter().enumerate() {
        let lines: Vec<_> = (0..RESPONSES / 3)
            .map(|second| {
                session.answer(&format!("msg_{number}_{second:04}"), u32::try_from(second).unwrap() % 50, 10)
            })
            .collect();
        session.transcript().write(&lines);
        ledger.hook(session.start());
        ledger.hooks((0..CALLS / 3).map(|call| session.tool("Bash", &format!("toolu_{number}_{call}"))));
        ledger.hook(session.stop());
    }
    assert_eq!(ledger.run(&["budget", "set", "5", "--stop"]).code, Some(0));
    assert_eq!(ledger.run(&["budget", "set", "100", "--per", "day"]).code, Some(0));
    let conn = ledger.sqlite();
    conn.execute_batch(
        "CREATE TABLE filler (x); INSERT INTO filler SELECT randomblob(3000) FROM tool_calls LIMIT 20; DROP TABLE filler;
         PRAGMA wal_checkpoint(TRUNCATE);",
    )
    .unwrap();
    drop(conn);
    let bytes = std::fs::read(ledger.path()).unwrap();
    (ledger, sessions, bytes)
}

fn count(ledger: &Ledger, table: &str) -> u64 {
    let number: i64 =
        ledger.sqlite().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    number.cast_unsigned()
}

/// A page of a table or index: its root (`internal`), or what the first cell of that leads to (`leaf`), counted from 1.
fn pages(ledger: &Ledger, name: &str, kind: &str) -> Vec<usize> {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: i64 = ledger.sqlite().query_row(sql, [name], |row| row.get(0)).unwrap();
    let root = usize::try_from(root).unwrap();
    let bytes = std::fs::read(ledger.path()).unwrap();
    let page = &bytes[(root - 1) * PAGE..root * PAGE];
    if kind == "internal" || page[0] > 5 {
        return vec![root];
    }
    let cell = usize::from(u16::from_be_bytes([page[12], page[13]]));
    vec![u32::from_be_bytes(page[cell..cell + 4].try_into().unwrap()) as usize]
}

fn put(ledger: &Ledger, bytes: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let _gone =
            std::fs::remove_file(PathBuf::from(format!("{}{ending}", ledger.path().display()))).is_ok();
    }
    std::fs::write(ledger.path(), bytes).unwrap();
}

/// The files set aside.
fn set_aside(ledger: &Ledger) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(ledger.path().parent().unwrap()).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".db.damaged-"))
        .collect()
}

fn wiped(bytes: &[u8], pages: &[usize]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for page in pages {
        damaged[(page - 1) * PAGE..page * PAGE].fill(0x5a);
    }
    damaged
}

#[test]
fn what_a_damaged_ledger_still_holds_is_kept_and_the_rest_comes_from_transcripts() {
    let (ledger, _sessions, bytes) = filled();
    let before = ledger.usage_of_all();
    let mut header = bytes.clone();
    header[..100].fill(0);
    let mut freelist = bytes.clone();
    freelist[32..40].copy_from_slice(&[0, 0, 0, 2, 0, 0, 0, 200]);
    let one = |name: &str, kind: &str| pages(&ledger, name, kind)[..1].to_vec();
    let cases = [
        ("header", header, 0),
        ("freelist", freelist, 0),
        ("first page", wiped(&bytes, &[1]), 0),
        ("interior page of responses", wiped(&bytes, &one("responses", "internal")), 0),
        ("leaf of responses", wiped(&bytes, &one("responses", "leaf")), 0),
        ("index of responses", wiped(&bytes, &one("responses_by_session", "internal")), 0),
        ("interior page of calls", wiped(&bytes, &one("tool_calls", "internal")), 0),
        ("leaf of calls", wiped(&bytes, &one("tool_calls", "leaf")), 60),
        ("sessions", wiped(&bytes, &one("sessions", "leaf")), 0),
        ("cut off", bytes[..bytes.len() / 2 / PAGE * PAGE].to_vec(), CALLS),
    ];
    for (what, damaged, lost_calls) in cases {
        put(&ledger, &damaged);
        let aside = set_aside(&ledger);
        let found = ledger.run(&["doctor"]);
        assert!(found.stdout.contains("doctor --fix"), "{what}: {found:?}");
        assert!(!found.stdout.contains("move it away"), "{what}");
        let fixed = ledger.run(&["doctor", "--fix"]);
        assert!(fixed.stderr.contains("The damaged ledger was moved to"), "{what}: {fixed:?}");
        let new: Vec<PathBuf> = set_aside(&ledger).difference(&aside).cloned().collect();
        assert!(new.iter().any(|path| std::fs::read(path).unwrap() == damaged), "{what}: {new:?}");
        let calls = count(&ledger, "tool_calls");
        let sessions = count(&ledger, "sessions");
        ledger.assert_sound();
        assert_eq!(ledger.usage_of_all(), before, "{what}: {fixed:?}");
        assert_eq!(count(&ledger, "responses"), RESPONSES, "{what}");
        assert!((CALLS - lost_calls..=CALLS).contains(&calls), "{what}: {calls} calls, {}", fixed.stderr);
        if what == "leaf of calls" {
            assert!(calls < CALLS && fixed.stderr.contains("tool calls"), "{what}: {}", fixed.stderr);
        }
        if what != "cut off" {
            assert_eq!(count(&ledger, "budgets"), 2, "{what}: {}", fixed.stderr);
        }
        assert_eq!(sessions, 3, "{what}: {}", fixed.stderr);
        let again = ledger.run(&["doctor"]);
        assert!(again.stdout.contains("/ledger.db is intact"), "{what}: {again:?}");
    }
}

/// Transcripts are deleted after some weeks; the ledger is all that is left then.
#[test]
fn without_transcripts_a_damaged_page_costs_what_was_on_it_and_no_more() {
    let (ledger, sessions, bytes) = filled();
    for session in &sessions {
        std::fs::remove_file(session.transcript().path()).unwrap();
    }
    for (what, name, kind) in [("leaf", "responses", "leaf"), ("the way to all", "responses", "internal")] {
        put(&ledger, &wiped(&bytes, &pages(&ledger, name, kind)[..1]));
        let fixed = ledger.run(&["doctor", "--fix"]);
        ledger.assert_sound();
        let left = count(&ledger, "responses");
        assert!(left > RESPONSES - 60 && left < RESPONSES, "{what}: {left}, {}", fixed.stderr);
        assert!(fixed.stderr.contains("Not kept"), "{what}: {}", fixed.stderr);
        assert_eq!(ledger.responses_of_all(), left, "{what}");
        put(&ledger, &bytes);
    }
}

/// What was committed last stands in the log beside the file alone.
#[test]
fn what_only_the_log_beside_a_damaged_ledger_has_is_kept() {
    let (ledger, sessions, bytes) = filled();
    put(&ledger, &bytes);
    let conn = ledger.sqlite();
    conn.query_row("SELECT count(*) FROM sessions", [], |_| Ok(())).unwrap();
    ledger.hook(sessions[0].tool("Read", "toolu_late"));
    let log = PathBuf::from(format!("{}-wal", ledger.path().display()));
    let late = std::fs::read(&log).unwrap();
    assert!(late.len() > PAGE);
    let damaged =
        wiped(&std::fs::read(ledger.path()).unwrap(), &pages(&ledger, "responses", "internal")[..1]);
    drop(conn);
    put(&ledger, &damaged);
    std::fs::write(&log, late).unwrap();
    let fixed = ledger.run(&["doctor", "--fix"]);
    assert_eq!(count(&ledger, "tool_calls"), CALLS + 1, "{fixed:?}");
    ledger.assert_sound();
}

/// It may be another program's, or a text that was named by mistake.
#[test]
fn a_file_that_is_no_ledger_is_left_alone_by_a_fix() {
    let ledger = Ledger::new();
    let notes = ledger.dir().join("notes.txt");
    let text = "my notes\n".repeat(1000);
    std::fs::write(&notes, &text).unwrap();
    let ran = ledger.run(&["--db", notes.to_str().unwrap(), "doctor", "--fix"]);
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), text, "{ran:?}");
    assert!(set_aside(&ledger).is_empty());
}
