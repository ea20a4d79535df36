//! A ledger of every schema before this one is brought up to date, with all that was in it.
//!
//! The fixture of a schema are the migrations up to it, which are never edited, and the rows that a ledger of today has in the
//! tables and columns that were there then.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tallyhook::store::SCHEMA_VERSION;

use crate::bill::{OPUS, cost_state};
use crate::rollups::assert_rolled_up;
use crate::support::{Ledger, Session, With, answers, repository};

/// The migrations in their order.
fn migrations() -> Vec<String> {
    files().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

fn files() -> Vec<PathBuf> {
    let folder = repository().join("src/store/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len() as i64, SCHEMA_VERSION);
    files
}

/// How many there are before the one in that file.
pub(crate) fn before(file: &str) -> usize {
    files().iter().position(|path| path.ends_with(file)).unwrap()
}

fn names(db: &Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Every table and index, as it was made.
fn schema(db: &Connection) -> Vec<String> {
    names(db, "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY type, name")
}

fn columns(db: &Connection, database: &str, table: &str) -> Vec<String> {
    names(db, &format!("SELECT name FROM pragma_table_info('{table}', '{database}')"))
}

/// A ledger with sessions, subagents, hidden calls, steps, a budget and what hooks tell.
pub(crate) fn today() -> Ledger {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "session");
    s.transcript().write(&[
        s.says(1),
        s.answer("msg_1", 2, 10),
        s.answer("msg_2", 2_000, 60).with("message.model", "house-model"),
        cost_state("session", &[(OPUS, answers(3, 190))]),
    ]);
    s.subagent("subagents", "a1").meta("Explore").write(&[s.answer_of("a1", "msg_3", 2_500, 80)]);
    ledger.hook(s.start()).hook(s.prompt("p")).hook(s.tool("Bash", "toolu_1")).hook(s.stop());
    ledger.import();
    for args in [
        &["budget", "set", "5", "--per", "total"][..],
        &["step", "start", "x", "--session", "session"],
        &["tools"],
    ] {
        assert_eq!(ledger.run(args).code, Some(0), "{args:?}");
    }
    ledger
}

/// The same rows in a ledger of an older schema.
pub(crate) fn of_schema(version: usize, today: &Path) -> Ledger {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.path().parent().unwrap()).unwrap();
    let old = ledger.sqlite();
    for sql in &migrations()[..version] {
        old.execute_batch(sql).unwrap();
    }
    old.pragma_update(None, "user_version", i64::try_from(version).unwrap()).unwrap();
    old.execute("ATTACH ?1 AS today", [today.to_str().unwrap()]).unwrap();
    let tables = "SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    for table in names(&old, tables) {
        let known = columns(&old, "today", &table);
        let mut both = columns(&old, "main", &table);
        both.retain(|column| known.contains(column));
        let both = both.join(", ");
        // By session it is added up only since a later schema.
        let which = if table == "spent_sums" { "WHERE grain > 0" } else { "" };
        let copy =
            format!("INSERT OR REPLACE INTO main.{table} ({both}) SELECT {both} FROM today.{table} {which}");
        old.execute(&copy, []).unwrap();
    }
    old.execute("DETACH today", []).unwrap();
    ledger
}

#[test]
fn a_ledger_of_any_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
    let today = today();
    today.sqlite().pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    let (new, calls) = (schema(&today.sqlite()), today.calls());
    assert!(calls.len() == 1 && new.len() > 30, "{new:#?}");
    for version in 1..migrations().len() {
        let old = of_schema(version, &today.path());
        assert_ne!(schema(&old.sqlite()), new, "schema {version} is today's");
        let session = Session::new(&old, "session");
        old.hook(session.tool("Read", "toolu_2"));
        assert_eq!(old.faults(), "", "schema {version}");
        assert_eq!(schema(&old.sqlite()), new, "schema {version}");
        let found = old.calls();
        assert_eq!(
            (found.len(), &found[0]["tool_use_id"]),
            (2, &calls[0]["tool_use_id"]),
            "schema {version}"
        );
        old.assert_sound();
    }
}

#[test]
fn reports_say_the_same_of_a_ledger_from_before_sums_by_session() {
    let today = today();
    today.sqlite().pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    let old = of_schema(before("0010_reports.sql"), &today.path());
    let shares = |ledger: &Ledger| -> i64 {
        ledger.sqlite().query_row("SELECT count(*) FROM shares", [], |row| row.get(0)).unwrap()
    };
    assert!(shares(&old) > 0);
    for args in [
        &["cost", "--json"][..],
        &["cost", "--by", "session", "--json"],
        &["cost", "--by", "tool", "--json"],
        &["history", "--json"],
        &["tools", "--json"],
        &["agents", "--json"],
        &["export", "--what", "sessions"],
    ] {
        assert_eq!(old.run(args).stdout, today.run(args).stdout, "{args:?}");
    }
    let used = |ledger: &Ledger| {
        ledger.run(&["budget", "status", "--json"]).json()["budgets"][0]["used_usd"].clone()
    };
    assert_eq!(used(&old), used(&today));
    assert_rolled_up(&old, "migrated");
    assert_eq!(shares(&old), shares(&today));
}
