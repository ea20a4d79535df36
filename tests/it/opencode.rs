//! OpenCode: what counts of its database and of its older files, whatever a client does with them. That the numbers of real
//! sessions are right is in `contract.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Ledger, Ran};

const SCHEMA: &str = "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;
    CREATE TABLE session (id TEXT PRIMARY KEY, parent_id TEXT, time_created INTEGER NOT NULL,
      directory TEXT NOT NULL, version TEXT NOT NULL, title TEXT NOT NULL);
    CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, time_created INTEGER NOT NULL,
      time_updated INTEGER NOT NULL, data TEXT NOT NULL);
    CREATE TABLE part (id TEXT PRIMARY KEY, message_id TEXT NOT NULL, data TEXT NOT NULL);";
/// A time in milliseconds, before that of any test.
const START: i64 = 1_780_000_000_000;

/// A client's folder with a database, and a ledger.
struct Client {
    ledger: Ledger,
    folder: PathBuf,
    conn: Connection,
}

impl Client {
    fn new() -> Self {
        let ledger = Ledger::on_disk();
        let folder = ledger.dir().join("opencode");
        std::fs::create_dir_all(&folder).unwrap();
        let conn = Connection::open(folder.join("opencode.db")).unwrap();
        conn.execute_batch(SCHEMA).unwrap();
        Self { ledger, folder, conn }
    }

    fn session(&self, id: &str, parent: Option<&str>, second: i64) -> &Self {
        let values = (id, parent, START + second * 1_000);
        self.conn
            .execute("INSERT INTO session VALUES (?1, ?2, ?3, '/code/app', '1.18.33', 'Title')", values)
            .unwrap();
        self
    }

    fn message(&self, id: &str, session: &str, second: i64, data: &Value) -> &Self {
        self.message_of(id, session, (second, second), data)
    }

    fn message_of(&self, id: &str, session: &str, (made, changed): (i64, i64), data: &Value) -> &Self {
        self.conn
            .execute(
                "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5)",
                (id, session, START + made * 1_000, START + changed * 1_000, data.to_string()),
            )
            .unwrap();
        self
    }

    fn part(&self, message: &str, data: &Value) -> &Self {
        let values = (format!("prt_{message}"), message, data.to_string());
        self.conn.execute("INSERT INTO part VALUES (?1, ?2, ?3)", values).unwrap();
        self
    }

    /// Imports as another process, as the client's database is open in this one.
    fn import(&self) -> Value {
        Ran::of(&mut self.ledger.command(&["import", "--json", "--path", self.folder.to_str().unwrap()]))
            .json()
    }

    /// Responses and output by session.
    fn output(&self) -> BTreeMap<String, (u64, u64)> {
        output(&self.ledger)
    }
}

fn output(ledger: &Ledger) -> BTreeMap<String, (u64, u64)> {
    let mut output: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in ledger.run(&["export", "--what", "responses", "--format", "jsonl"]).text().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let sum = output.entry(row["session_id"].as_str().unwrap().to_owned()).or_default();
        *sum = (sum.0 + 1, sum.1 + row["output_tokens"].as_u64().unwrap());
    }
    output
}

fn of(counts: &[(&str, u64, u64)]) -> BTreeMap<String, (u64, u64)> {
    counts.iter().map(|(session, responses, output)| ((*session).to_owned(), (*responses, *output))).collect()
}

/// An answer with so many tokens of output and one of reasoning; with none it is on its way.
fn answer(output: u64) -> Value {
    let reasoning = u64::from(output > 0);
    json!({
        "role": "assistant", "mode": "build", "agent": "build", "modelID": "m", "providerID": "p", "cost": 0.5,
        "tokens": {"input": output, "output": output, "reasoning": reasoning, "cache": {"read": 0, "write": 0}},
        "time": {"created": START},
    })
}

fn prompt() -> Value {
    json!({"role": "user", "time": {"created": START}})
}

/// Bytes and times of change of all files; read by another process, since closing a file here would end the locks that this one
/// has on it.
#[cfg(unix)]
fn seen(folder: &std::path::Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let of = |file: PathBuf| {
        let bytes = std::process::Command::new("cat").arg(&file).output().unwrap().stdout;
        let changed = std::fs::metadata(&file).unwrap().modified().unwrap();
        (file, (bytes, changed))
    };
    crate::support::files_below(folder).into_iter().map(of).collect()
}

#[cfg(unix)]
#[test]
fn nothing_changes_beside_a_client_that_has_its_database_open() {
    let client = Client::new();
    client.session("ses_a", None, 0).message("msg_1", "ses_a", 1, &answer(10));
    for number in 2..6 {
        let before = seen(&client.folder);
        assert_eq!(before.len(), 3, "{:?}", before.keys());
        let report = client.import();
        assert_eq!(report["skipped"], json!([]));
        assert_eq!(seen(&client.folder), before);
        let expected = u64::try_from(number - 1).unwrap();
        assert_eq!(client.output(), of(&[("ses_a", expected, 11 * expected)]));
        // In the middle of the client's own transaction, too.
        client.conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        client.message(&format!("msg_{number}"), "ses_a", number, &answer(10));
        client.import();
        client.conn.execute_batch("COMMIT").unwrap();
    }
}

#[test]
fn a_first_reading_in_pieces_misses_nothing_and_rows_may_be_numbered_anew() {
    const MANY: i64 = 9_000;
    let client = Client::new();
    client.session("ses_a", None, 0).message("msg_on_its_way", "ses_a", 1, &answer(0));
    client
        .conn
        .execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO message SELECT 'msg_' || n, 'ses_a', ?2 + n, ?2 + n, ?3 FROM n",
            (MANY, START, answer(1).to_string()),
        )
        .unwrap();
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 9_000, 18_000)]));
    client
        .conn
        .execute(
            "UPDATE message SET data = ?1, time_updated = ?2 WHERE id = 'msg_on_its_way'",
            (answer(100).to_string(), START + 20_000),
        )
        .unwrap();
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 9_001, 18_101)]));
    client.conn.execute("DELETE FROM message WHERE id < 'msg_5'", []).unwrap();
    client.conn.execute_batch("VACUUM").unwrap();
    client.message("msg_last", "ses_a", 21, &answer(1_000));
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 9_002, 19_102)]));
    let again = client.import();
    assert_eq!((&again["files_unchanged"], &again["responses"]), (&json!(1), &json!(0)));
}

#[test]
fn a_clock_that_was_ahead_hides_nothing() {
    let client = Client::new();
    let century = 3_000_000_000;
    client.session("ses_a", None, 0).message_of("msg_1", "ses_a", (1, century), &answer(10));
    client.import();
    client.message("msg_2", "ses_a", 2, &answer(0));
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 1, 11)]));
    // By a clock that is right again.
    let now = std::fs::metadata(client.folder.join("opencode.db-wal")).unwrap().modified().unwrap();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let values = (answer(20).to_string(), i64::try_from(now).unwrap());
    client
        .conn
        .execute("UPDATE message SET data = ?1, time_updated = ?2 WHERE id = 'msg_2'", values)
        .unwrap();
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 2, 32)]));
}

#[test]
fn copies_count_once_and_subagents_for_the_session_that_all_began_with() {
    let client = Client::new();
    client.session("ses_a", None, 0).message("msg_a", "ses_a", 1, &answer(1));
    client.session("ses_fork", None, 10).message_of("msg_b", "ses_fork", (1, 10), &answer(1));
    client.message("msg_c", "ses_fork", 11, &answer(10));
    client.session("ses_fork2", None, 20).message_of("msg_d", "ses_fork2", (1, 20), &answer(1));
    client.message_of("msg_e", "ses_fork2", (11, 20), &answer(10));
    client.message("msg_f", "ses_fork2", 21, &answer(100));
    client.session("ses_child", Some("ses_fork"), 12).session("ses_grandchild", Some("ses_child"), 13);
    let explore = |output| {
        let mut answer = answer(output);
        answer["agent"] = json!("explore");
        answer
    };
    client.message("msg_p", "ses_child", 12, &prompt()).part("msg_p", &json!({"type": "text"}));
    client.message("msg_g", "ses_child", 12, &explore(1_000));
    client.message("msg_h", "ses_grandchild", 13, &explore(10_000));
    client.import();
    let expected = [("ses_a", 1, 2), ("ses_fork", 3, 11_013), ("ses_fork2", 1, 101)];
    assert_eq!(client.output(), of(&expected));
    let agents = client.ledger.run(&["agents", "--json"]).json();
    let runs = agents["rows"].as_array().unwrap().iter().find(|row| row["agent"] == "explore").unwrap();
    assert_eq!(runs["runs"], 2);
    let sessions = client.ledger.run(&["history", "--json"]).json();
    let turns = sessions["rows"].as_array().unwrap().iter().map(|row| row["turns"].as_u64().unwrap());
    assert_eq!(turns.sum::<u64>(), 0, "{sessions}");
}

#[test]
fn what_the_client_says_in_the_users_name_is_no_turn() {
    let client = Client::new();
    client.session("ses_a", None, 0);
    client.message("msg_1", "ses_a", 1, &prompt()).part("msg_1", &json!({"type": "text", "text": "hi"}));
    client.message("msg_2", "ses_a", 2, &answer(1));
    client
        .message("msg_3", "ses_a", 3, &prompt())
        .part("msg_3", &json!({"type": "compaction", "auto": false}));
    let mut summary = answer(10);
    summary["summary"] = json!(true);
    summary["parentID"] = json!("msg_3");
    client.message("msg_4", "ses_a", 4, &summary);
    client.message("msg_5", "ses_a", 5, &prompt()).part("msg_5", &json!({"type": "text", "synthetic": true}));
    client.message("msg_6", "ses_a", 6, &answer(100));
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 3, 114)]));
    let rows = client.ledger.run(&["history", "--json"]).json();
    let row = &rows["rows"][0];
    assert_eq!((&row["turns"], &row["compactions"]), (&json!(1), &json!(1)), "{row}");
    let about = (&row["project"], &row["client_version"], &row["topic"], &row["model"]);
    assert_eq!(about, (&json!("/code/app"), &json!("1.18.33"), &json!("Title"), &json!("m")));
    let trigger: String =
        client.ledger.sqlite().query_row("SELECT trigger FROM compactions", [], |row| row.get(0)).unwrap();
    assert_eq!(trigger, "manual");
}

#[test]
fn what_a_newer_client_writes_is_counted_once_as_not_understood() {
    let client = Client::new();
    client.session("ses_a", None, 0).message("msg_1", "ses_a", 1, &answer(10));
    client.message("msg_2", "ses_a", 1, &json!({"role": "robot"}));
    client.message(
        "msg_3",
        "ses_a",
        1,
        &json!({"role": "assistant", "tokens": {"prompt": 5, "completion": 5}}),
    );
    client.conn.execute("INSERT INTO message VALUES ('msg_4', 'ses_a', ?1, ?1, '[1')", [START]).unwrap();
    assert_eq!(client.import()["unknown_lines"], 3);
    client.message("msg_5", "ses_a", 2, &answer(20));
    assert_eq!(client.import()["unknown_lines"], 0);
    assert_eq!(client.output(), of(&[("ses_a", 2, 32)]));
    client.conn.execute_batch("ALTER TABLE message RENAME COLUMN time_updated TO changed_at").unwrap();
    let report = client.import();
    assert_eq!(report["unknown_lines"], 1, "{report}");
    assert_eq!(report["skipped"][0]["reason"], "not understood; OpenCode may be newer than tallyhook");
    client.conn.execute_batch("ALTER TABLE message RENAME COLUMN changed_at TO time_updated").unwrap();
    client.message("msg_6", "ses_a", 3, &answer(30));
    client.import();
    assert_eq!(client.output(), of(&[("ses_a", 3, 63)]));
}

#[test]
fn other_databases_and_empty_ones_leave_nothing_behind() {
    let client = Client::new();
    client.session("ses_a", None, 0);
    let other = Connection::open(client.folder.join("opencode-other.db")).unwrap();
    other.execute_batch("CREATE TABLE message (id, data); CREATE TABLE session (id)").unwrap();
    let report = client.import();
    assert_eq!(report["skipped"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["skipped"][0]["reason"], "no database of OpenCode");
    let sessions: i64 =
        client.ledger.sqlite().query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(sessions, 0);
}

#[test]
fn files_of_older_versions_are_read() {
    let ledger = Ledger::new();
    let storage = ledger.dir().join("opencode/storage");
    let put = |path: &str, data: &Value| {
        let path = storage.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data.to_string()).unwrap();
    };
    let session = |id: &str, parent: Option<&str>, second: i64| {
        let time = START + second * 1_000;
        json!({"id": id, "version": "0.15.3", "projectID": "p", "directory": "/code/app", "parentID": parent,
            "title": "Title", "time": {"created": time, "updated": time}})
    };
    let message = |id: &str, session: &str, second: i64, mut data: Value| {
        data["id"] = json!(id);
        data["sessionID"] = json!(session);
        data["time"] = json!({"created": START + second * 1_000});
        put(&format!("message/{session}/{id}.json"), &data);
    };
    put("session/p/ses_a.json", &session("ses_a", None, 0));
    put("session/p/ses_b.json", &session("ses_b", Some("ses_a"), 5));
    message("msg_1", "ses_a", 1, prompt());
    message("msg_2", "ses_a", 2, answer(10));
    message("msg_3", "ses_a", 3, answer(0));
    message("msg_4", "ses_b", 6, answer(100));
    message("msg_0", "ses_b", 4, answer(1_000));
    put("part/msg_1/prt_1.json", &json!({"type": "text"}));
    let import =
        || ledger.run(&["import", "--json", "--path", storage.parent().unwrap().to_str().unwrap()]).json();
    let report = import();
    assert_eq!((&report["files"], &report["skipped"]), (&json!(2), &json!([])));
    assert_eq!(output(&ledger), of(&[("ses_a", 2, 112)]));
    assert_eq!(import()["files_unchanged"], 2);
    message("msg_3", "ses_a", 3, answer(20));
    message("msg_5", "ses_a", 4, json!({"role": "robot"}));
    assert_eq!(import()["unknown_lines"], 1);
    assert_eq!(output(&ledger), of(&[("ses_a", 3, 133)]));
    let row = &ledger.run(&["history", "--json"]).json()["rows"][0];
    let about = (&row["project"], &row["client_version"], &row["turns"]);
    assert_eq!(about, (&json!("/code/app"), &json!("0.15.3"), &json!(1)));
}
