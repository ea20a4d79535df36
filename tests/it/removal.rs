//! A session that is removed leaves nothing in any table, whatever tables there are.

use rusqlite::{Connection, types::Value};
use tallyhook::domain::{SessionId, Usage};
use tallyhook::store;

use crate::bill::{OPUS, cost_state};
use crate::rollups::assert_rolled_up;
use crate::support::{Ledger, Session, With, answers};

/// The session that goes. Its id is in the names of its transcripts, too, and nowhere else.
const REMOVED: &str = "session-that-goes";
/// Tables that hold nothing of any one session, but for the session's id or row in a name or a list: of a session that was
/// exported as a change, copies must hear that it is gone.
const OF_NO_SESSION: [&str; 4] = ["meta", "budgets", "applied_spool_files", "removed_sessions"];

fn texts(db: &Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn count(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn tables(db: &Connection) -> Vec<String> {
    texts(
        db,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
}

/// A column: its name, its type, and whether it is the row's number.
fn columns(db: &Connection, table: &str) -> Vec<(String, String, bool)> {
    let sql = "SELECT c.name, c.type, c.pk = 1 AND c.type = 'INTEGER' AND NOT t.wr
      FROM pragma_table_info(?1) c JOIN pragma_table_list t ON t.schema = 'main' AND t.name = ?1";
    let mut query = db.prepare(sql).unwrap();
    let rows = query.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Which rows of a table are of a session, as a condition; `None` if that is true of none.
fn rows_of(db: &Connection, table: &str, session: i64) -> Option<String> {
    let names: Vec<String> = columns(db, table).into_iter().map(|(name, ..)| name).collect();
    let has = |name: &str| names.iter().any(|known| known == name);
    match table {
        "sessions" => Some(format!("id = {session} OR parent = {session}")),
        // Sums of a session stand under its number with a minus.
        _ if has("session") => Some(format!("session IN ({session}, -{session})")),
        // What is kept of a file is of the session whose file it is.
        _ if has("path") => Some(format!("path LIKE '%{REMOVED}%'")),
        _ if OF_NO_SESSION.contains(&table) => None,
        _ => panic!(
            "{table} has neither a session nor a path: say how its rows are found, and remove them in src/store/removal.rs"
        ),
    }
}

/// Puts a row of a session into a table, whatever columns it has.
fn fill(db: &Connection, table: &str, session: i64) {
    let columns: Vec<_> = columns(db, table).into_iter().filter(|(.., is_rowid)| !is_rowid).collect();
    let values = columns.iter().map(|(name, kind, _)| match &**name {
        "session" => Value::Integer(session),
        _ if kind == "TEXT" => Value::Text(format!("/{REMOVED}/{name}")),
        _ => Value::Integer(1),
    });
    let names: Vec<&str> = columns.iter().map(|(name, ..)| &**name).collect();
    let places = vec!["?"; names.len()].join(", ");
    let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", names.join(", "));
    db.execute(&sql, rusqlite::params_from_iter(values)).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A ledger with a session that has all that sessions have, and a fork of it.
fn rich() -> Ledger {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, REMOVED);
    let fork = Session::new(&ledger, "fork");
    let common = [s.says(1), s.answer("msg_1", 2, 10)];
    s.transcript().write(&common);
    s.transcript().append(&[
        s.answer("msg_2", 2_000, 60).with("message.model", "house-model"),
        cost_state(REMOVED, &[(OPUS, answers(3, 190) + Usage { output: 500, ..Usage::default() })]),
    ]);
    s.subagent("subagents", "a1").meta("Explore").write(&[s.answer_of("a1", "msg_3", 2_500, 80)]);
    fork.transcript().write(&common.map(|line| line.with("sessionId", "fork")));
    fork.transcript().append(&[fork.says(3_000), fork.answer("msg_4", 3_001, 70)]);
    ledger.run(&["alerts", "on"]).text();
    ledger.run(&["budget", "set", "5", "--per", "session", "--stop"]).text();
    ledger.hook(s.start()).hook(s.prompt("p")).hook(s.tool("Bash", "toolu_1")).hook(s.stop());
    ledger.import();
    ledger.run(&["step", "start", "x", "--session", REMOVED]).text();
    let capture = ["capture-cost", "--session", REMOVED];
    let captured = ledger.run_with_input(&ledger.project(), &capture, b"Total cost: $1.25\n");
    assert_eq!(captured.code, Some(0), "{captured:?}");
    ledger.run(&["tools"]).text();
    ledger.hook(s.event("SessionEnd").with("reason", "clear"));
    ledger
}

#[test]
fn a_removed_session_leaves_nothing_in_any_table() {
    let ledger = rich();
    let db = ledger.sqlite();
    let session = count(&db, &format!("SELECT id FROM sessions WHERE session_id = '{REMOVED}'"));
    let of_fork =
        "SELECT count(*) FROM responses WHERE session = (SELECT id FROM sessions WHERE session_id = 'fork')";
    assert!(count(&db, of_fork) > 0);
    let mut made = Vec::new();
    for table in tables(&db) {
        let Some(rows) = rows_of(&db, &table, session) else { continue };
        let sql = format!("SELECT count(*) FROM {table} WHERE {rows}");
        if count(&db, &sql) == 0 {
            fill(&db, &table, session);
            made.push(table.clone());
        }
        assert!(count(&db, &sql) > 0, "{table} has no row to be removed");
    }
    assert!(made.len() < 8, "the session itself lacks {made:?}");

    let mut writer = store::Ledger::open_for_changes(&ledger.path()).unwrap();
    assert!(writer.sessions_mut().remove(&SessionId::new(REMOVED).unwrap()).unwrap());

    for table in tables(&db) {
        if let Some(rows) = rows_of(&db, &table, session) {
            assert_eq!(count(&db, &format!("SELECT count(*) FROM {table} WHERE {rows}")), 0, "{table}");
        }
        // Reports of agents without hooks are nobody's but their own, and stay.
        if table == "usage_reports" {
            continue;
        }
        // The tests' own ids of records have the name of the session that has made them, and the fork has some of these.
        let is_id = |column: &str| ["uuid", "key"].contains(&column);
        for (column, ..) in columns(&db, &table).into_iter().filter(|(column, ..)| !is_id(column)) {
            let named =
                format!("SELECT count(*) FROM {table} WHERE instr(CAST({column} AS TEXT), '{REMOVED}') > 0");
            assert_eq!(count(&db, &named), 0, "{table}.{column} names the session");
        }
    }
    let of_row = format!(
        "SELECT count(*) FROM meta WHERE name = 'alerts:{session}' OR name LIKE 'lines_of:{session}:%'
           OR name LIKE 'lines_of:%' AND value = {session}
           OR name = 'ended' AND instr(' ' || value || ' ', ' {session} ') > 0"
    );
    assert_eq!(count(&db, &of_row), 0);
    assert!(count(&db, of_fork) > 0, "what the fork has stays");
    assert_rolled_up(&ledger, "after the removal");
    ledger.assert_sound();
}
