//! What leaves the ledger: the schema of each kind, and copies that are kept up to date by changes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tallyhook::domain::{SessionId, Timestamp};
use tallyhook::export::{
    ChangeFeed, ChangeSink, ColumnType, Cursor, CursorError, ExportError, RecordChange, RecordKind,
};
use tallyhook::pricing::{PriceTable, read_user_prices};
use tallyhook::store;

use crate::bill::{OPUS, cost_state};
use crate::faces::csv_rows;
use crate::support::{Ledger, Session, answers, cases};

/// The members of a record laid flat, with their values.
fn flat(prefix: &str, record: &Value, into: &mut BTreeMap<String, Value>) {
    for (name, value) in record.as_object().unwrap() {
        let name = format!("{prefix}{name}");
        if value.is_object() {
            flat(&format!("{name}_"), value, into);
        } else {
            into.insert(name, value.clone());
        }
    }
}

/// What a value is in CSV, but for quotes.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn is_of(value: &Value, holds: ColumnType) -> bool {
    value.is_null()
        || match holds {
            ColumnType::Text => value.is_string(),
            ColumnType::Integer => value.is_u64(),
            ColumnType::Real | ColumnType::Money => value.is_number(),
            ColumnType::Boolean => value.is_boolean(),
            ColumnType::Time => value.as_str().is_some_and(|text| Timestamp::parse(text).is_some()),
            ColumnType::Json => value.is_array(),
        }
}

/// A ledger with something of each kind.
fn everything() -> Ledger {
    let ledger = Ledger::new();
    let happenings =
        [(0, 0, 1), (3, 0, 1), (4, 0, 0), (5, 0, 0), (6, 0, 0), (0, 1, 2), (8, 0, 1), (11, 0, 1), (11, 1, 3)];
    for (second, happening) in (1..).zip(happenings) {
        step(&ledger, second * 10, happening);
    }
    ledger
}

#[test]
fn records_have_the_columns_of_their_kind() {
    let ledger = everything();
    for kind in RecordKind::ALL {
        let records = exported(&ledger, kind.name());
        assert!(!records.is_empty(), "{kind:?}");
        let names: Vec<&str> = kind.columns().iter().map(|column| column.name).collect();
        let csv = ledger.run(&["export", "--what", kind.name(), "--format", "csv", "--tz", "UTC"]);
        let rows = csv_rows(csv.text());
        assert_eq!(rows[0], names, "{kind:?}");
        assert_eq!(rows.len(), records.len() + 1, "{kind:?}");
        for (record, row) in records.iter().zip(&rows[1..]) {
            let mut members = BTreeMap::new();
            flat("", record, &mut members);
            assert_eq!(members.len(), names.len(), "{kind:?}");
            for (column, text) in kind.columns().iter().zip(row) {
                let value = &members[column.name];
                assert!(is_of(value, column.holds), "{kind:?} {column:?} {value}");
                // Floats and lists are read in one way here and written in another there.
                if !matches!(column.holds, ColumnType::Real | ColumnType::Json) {
                    assert_eq!(*text, cell(value), "{kind:?} {column:?}");
                }
            }
        }
    }
}

/// The records of an export, one by one.
fn exported(ledger: &Ledger, what: &str) -> Vec<Value> {
    let text = ledger.run(&["export", "--what", what, "--format", "jsonl", "--tz", "UTC"]).stdout;
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A copy of a ledger, kept as `docs/json.md` says.
#[derive(Debug, Default)]
struct Mirror {
    /// By kind and key: the session, the version and the record.
    kept: BTreeMap<(String, String), (Option<String>, u64, Value)>,
    cursor: Option<Cursor>,
    /// After so many changes it breaks down.
    lasts: usize,
    changes: usize,
}

/// The mirror has broken down.
#[derive(Debug)]
struct Broken;

impl ChangeSink for Mirror {
    type Error = Broken;

    fn change(&mut self, change: &RecordChange<'_>) -> Result<(), Broken> {
        self.lasts = self.lasts.checked_sub(1).ok_or(Broken)?;
        self.changes += 1;
        // Read as a line is: a float that is read can differ from the one that was written in its last bit.
        self.take(&serde_json::from_str(&serde_json::to_string(change).unwrap()).unwrap());
        Ok(())
    }

    fn commit(&mut self, cursor: &Cursor) -> Result<(), Broken> {
        self.lasts = self.lasts.checked_sub(1).ok_or(Broken)?;
        self.cursor = Some(Cursor::parse(&cursor.to_string()).unwrap());
        Ok(())
    }
}

impl Mirror {
    fn new() -> Self {
        Self { lasts: usize::MAX, ..Self::default() }
    }

    fn take(&mut self, change: &Value) {
        let session = change["session_id"].as_str().map(str::to_owned);
        if change["op"] == "delete" {
            let before = change["before"].as_u64().unwrap();
            self.kept.retain(|_, (of, version, _)| *of != session || *version >= before);
            return;
        }
        let key = (change["kind"].as_str().unwrap().to_owned(), change["key"].to_string());
        let version = change["version"].as_u64().unwrap();
        if self.kept.get(&key).is_none_or(|(_, kept, _)| *kept <= version) {
            self.kept.insert(key, (session, version, change["record"].clone()));
        }
    }

    /// Asks for what is new in pages of a size, until it has all or breaks down.
    fn pull(&mut self, ledger: &Ledger, page: u64) -> Result<(), ExportError<Broken>> {
        let mut store = opened(ledger);
        let mut feed = ChangeFeed::begin(&mut store, self.cursor.as_ref(), Timestamp::from_millis(1_000))?;
        while feed.next_page(&store, page, self)? {}
        assert_eq!(self.cursor, Some(feed.cursor()));
        Ok(())
    }

    /// The records of a kind, in some order.
    fn records(&self, kind: &str) -> Vec<String> {
        let of_kind = self.kept.iter().filter(|((of, _), _)| of == kind);
        let mut records: Vec<String> = of_kind.map(|(_, (_, _, record))| record.to_string()).collect();
        records.sort();
        records
    }
}

/// The ledger with the prices that the commands have.
fn opened(ledger: &Ledger) -> store::Ledger {
    let mut store = ledger.open();
    store.set_prices(PriceTable::with_overrides(read_user_prices(&prices(ledger)).unwrap()));
    store
}

fn prices(ledger: &Ledger) -> std::path::PathBuf {
    ledger.home().join(".config/tallyhook/prices.toml")
}

/// Compares a mirror with what exports say.
fn assert_exact(mirror: &Mirror, ledger: &Ledger) {
    for kind in ["responses", "calls", "compactions", "reports"] {
        let mut records: Vec<String> = exported(ledger, kind).iter().map(Value::to_string).collect();
        records.sort();
        assert_eq!(mirror.records(kind), records, "{kind}");
    }
    let mut sessions: Vec<Value> = exported(ledger, "sessions");
    let calls = exported(ledger, "calls");
    for session in &mut sessions {
        let of_session = calls.iter().filter(|call| call["session_id"] == session["id"]).count();
        let session = session.as_object_mut().unwrap();
        for left_out in ["estimate", "by_step"] {
            session.remove(left_out).unwrap();
        }
        session["tool_calls"] = json!(of_session);
    }
    let mut sessions: Vec<String> = sessions.iter().map(Value::to_string).collect();
    sessions.sort();
    assert_eq!(mirror.records("sessions"), sessions, "sessions");
}

const SESSIONS: [&str; 3] = ["a", "b", "c"];

/// Lets something happen that is told by a number for its kind and two for what it is of.
fn step(ledger: &Ledger, second: u32, (kind, of, other): (u8, usize, u32)) {
    let name = SESSIONS[of % SESSIONS.len()];
    let session = Session::new(ledger, name);
    let transcript = session.transcript();
    match kind {
        // A turn, or more of a response that is known.
        0..=2 => {
            let answer = session.answer(&format!("msg_{}", other % 12), second, u64::from(second));
            transcript.append(&[session.says(second), answer]);
            ledger.hook(session.prompt(&format!("p{second}"))).hook(session.stop());
        }
        3 => drop(ledger.hook(session.tool("Bash", &format!("toolu_{}", other % 6)))),
        4 => {
            transcript.append(&[session.compaction(second, 900, 100)]);
            ledger.hook(session.event("PreCompact"));
        }
        5 => {
            let agent = format!("a{}", other % 2);
            let file = session.subagent("subagents", &agent);
            if other % 3 == 0 {
                file.meta("Explore");
            }
            file.append(&[session.answer_of(&agent, &format!("sub_{}", other % 5), second, 30)]);
            ledger.import();
        }
        6 => {
            transcript.append(&[cost_state(name, &[(OPUS, answers(u64::from(second) * 20, 100_000))])]);
            ledger.import();
        }
        // A fork that has all lines of another session.
        7 => {
            let from = SESSIONS[other as usize % SESSIONS.len()];
            let lines =
                std::fs::read_to_string(Session::new(ledger, from).transcript().path()).unwrap_or_default();
            let (from, to) = (format!("\"sessionId\":\"{from}\""), format!("\"sessionId\":\"{name}\""));
            transcript.append_bytes(lines.replace(&from, &to).as_bytes());
            ledger.import();
        }
        8 => drop(ledger.run(&["step", "start", &format!("s{other}"), "--session", name])),
        9 => {
            let id = SessionId::new(name).unwrap();
            if ledger.path().exists() && other % 2 == 0 {
                opened(ledger).sessions_mut().remove(&id).unwrap();
            }
        }
        10 => {
            let price = format!("{}", other % 3 + 1);
            ledger.run(&["prices", "set", OPUS, "--input", &price, "--output", "7"]);
        }
        11 => {
            let mut store = store::Ledger::open_or_create(&ledger.path()).unwrap();
            let session = store.sessions().find(name).unwrap().map(|record| record.row);
            let event_id = (other % 3 > 0).then(|| format!("e{}", other % 4));
            let at = Some(Timestamp::from_millis(i64::from(second) * 1_000));
            let report = store::Report { event_id, at, session, tokens: 5, ..store::Report::default() };
            store.records_mut().add_report(&report).unwrap();
        }
        _ => drop(ledger.hook(session.end())),
    }
}

#[test]
fn a_copy_that_is_kept_by_changes_is_the_ledger_whatever_happens() {
    let happening = (0_u8..13, 0_usize..3, 0_u32..30);
    // How large pages are, after how many changes it breaks down, whether it has lost its last cursor.
    let pull = (1_u64..40, prop_oneof![Just(usize::MAX), 0_usize..30], any::<bool>());
    let course = prop::collection::vec((prop::collection::vec(happening, 0..5), pull), 1..7);
    proptest!(cases(40), |(course in course)| {
        let ledger = Ledger::new();
        let (mut mirror, mut before) = (Mirror::new(), None);
        let mut second = 0;
        for (happenings, (page, lasts, has_lost)) in course {
            for happening in happenings {
                second += 7;
                step(&ledger, second, happening);
            }
            if !ledger.path().exists() {
                continue;
            }
            let last = mirror.cursor;
            if has_lost {
                mirror.cursor = before;
            }
            mirror.lasts = lasts;
            let pulled = mirror.pull(&ledger, page);
            prop_assert!(matches!(pulled, Ok(()) | Err(ExportError::Sink(Broken))), "{pulled:?}");
            before = last;
        }
        if ledger.path().exists() {
            // Exports read what clients have written after sessions' ends.
            exported(&ledger, "sessions");
            mirror.lasts = usize::MAX;
            mirror.pull(&ledger, 3).unwrap();
            let (cursor, changes) = (mirror.cursor, mirror.changes);
            mirror.pull(&ledger, 3).unwrap();
            prop_assert_eq!((mirror.cursor, mirror.changes), (cursor, changes), "nothing is new");
            assert_exact(&mirror, &ledger);
            let mut fresh = Mirror::new();
            fresh.pull(&ledger, 1_000).unwrap();
            assert_exact(&fresh, &ledger);
        }
    });
}

#[test]
fn a_removed_session_is_a_deletion_and_comes_back_as_a_whole() {
    let ledger = everything();
    let mut mirror = Mirror::new();
    mirror.pull(&ledger, 5).unwrap();
    assert_exact(&mirror, &ledger);
    // Where costs came from was worked out for that, from what transcripts hold.
    mirror.pull(&ledger, 5).unwrap();
    let id = ledger.open().sessions().all().unwrap()[0].id.clone();
    assert!(opened(&ledger).sessions_mut().remove(&SessionId::new(&id).unwrap()).unwrap());
    let before = mirror.changes;
    mirror.pull(&ledger, 5).unwrap();
    assert!(mirror.kept.values().all(|(session, _, _)| session.as_ref() != Some(&id)));
    assert_eq!(mirror.changes - before, 2, "the deletion, and the report that was made in it");
    assert_exact(&mirror, &ledger);
}

#[test]
fn a_cursor_of_another_ledger_or_a_later_state_is_refused() {
    let (ledger, other) = (everything(), everything());
    let mut mirror = Mirror::new();
    mirror.pull(&ledger, 5).unwrap();
    let refused = mirror.pull(&other, 5).unwrap_err();
    assert!(matches!(refused, ExportError::Cursor(CursorError::OtherLedger)), "{refused:?}");
    let backup = other.dir().join("backup.db");
    other.sqlite().execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    let mut mirror = Mirror::new();
    mirror.pull(&other, 5).unwrap();
    std::fs::copy(&backup, other.path()).unwrap();
    for beside in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{beside}", other.path().display())).ok();
    }
    let refused = mirror.pull(&other, 5).unwrap_err();
    assert!(matches!(refused, ExportError::Cursor(CursorError::Ahead)), "{refused:?}");
}

#[test]
fn changes_are_lines_and_the_last_one_says_where_to_go_on() {
    let ledger = everything();
    let lines = |args: &[&str]| -> Vec<Value> {
        let ran = ledger.run(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = lines(&["export", "--changes"]);
    let mut mirror = Mirror::new();
    let (place, changes) = all.split_last().unwrap();
    changes.iter().for_each(|change| mirror.take(change));
    assert_eq!(place["op"], "cursor");
    let cursor = place["cursor"].as_str().unwrap();
    let again = lines(&["export", "--since-cursor", cursor]);
    assert_eq!(again, [json!({ "op": "cursor", "cursor": cursor })], "nothing is new");
    assert_exact(&mirror, &ledger);
    for (args, code) in [
        (&["export", "--since-cursor", "x"][..], 2),
        (&["export", "--since-cursor", "1.00000000000000000000000000000000.1"], 2),
        (&["export", "--changes", "--what", "calls"], 2),
    ] {
        let ran = ledger.run(args);
        assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{args:?} {}", ran.stderr);
    }
}

#[test]
fn a_long_text_in_place_of_a_cursor_is_not_repeated_whole() {
    let ledger = Ledger::new();
    let said = |text: &str| {
        let ran = ledger.run(&["export", "--since-cursor", text]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        ran.stderr
    };
    assert!(said(&"é".repeat(40)).contains(&format!("'{}'", "é".repeat(40))));
    assert!(said(&"é".repeat(10_000)).contains(&format!("'{}…'", "é".repeat(40))));
}

#[test]
fn of_a_ledger_that_cannot_be_written_no_changes_are_told() {
    let ledger = everything();
    let mut copy = store::Ledger::open_copy(&ledger.path(), store::CopiedFor::Unwritable).unwrap();
    let refused = ChangeFeed::begin::<Broken>(&mut copy, None, Timestamp::from_millis(0)).unwrap_err();
    assert!(matches!(refused, ExportError::Unwritable), "{refused:?}");
}
