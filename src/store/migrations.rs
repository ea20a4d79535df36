//! The ordered list of migrations. Never change or remove an entry: somebody's ledger has run it.

use rusqlite::{Connection, TransactionBehavior};

/// One entry for each schema version, from 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    // So that unit tests have ledgers of an older schema, whatever the last migration is.
    #[cfg(test)]
    "CREATE INDEX sessions_by_kind ON sessions (kind)",
];

/// Brings the schema up to date. Safe for any number of processes that start on one fresh ledger at once: the
/// version is read again under the write lock.
pub(super) fn migrate(conn: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(conn, super::SCHEMA_VERSION)
}

/// Brings the schema up to that of an earlier release.
pub(super) fn migrate_to(conn: &mut Connection, last: i64) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = user_version(&tx)?;
    for (position, sql) in (1..).zip(MIGRATIONS) {
        if position > version && position <= last {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "user_version", position)?;
        }
    }
    tx.commit()
}

pub(super) fn user_version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// A ledger of the schema before this one, with the session `old`.
#[cfg(test)]
pub(crate) fn older_ledger(path: &std::path::Path) -> Connection {
    let mut conn = Connection::open(path).unwrap();
    migrate_to(&mut conn, super::SCHEMA_VERSION - 1).unwrap();
    let session = "INSERT INTO sessions (session_id, client, last_seen_at) VALUES ('old', 'claude-code', 1)";
    conn.execute(session, []).unwrap();
    conn
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::domain::Timestamp;
    use crate::store::{CopiedFor, Ledger, SCHEMA_VERSION};

    fn schema(conn: &Connection) -> Vec<String> {
        let mut query =
            conn.prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn version(path: &Path) -> i64 {
        user_version(&Connection::open(path).unwrap()).unwrap()
    }

    fn has_old(ledger: &Ledger) -> bool {
        ledger.sessions().find("old").unwrap().is_some()
    }

    #[test]
    fn an_older_ledger_is_brought_up_to_date_and_keeps_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let older = older_ledger(&path);
        let new = schema(&Ledger::in_memory().unwrap().conn);
        assert_ne!(schema(&older), new);
        drop(older);
        assert_eq!(version(&path), SCHEMA_VERSION - 1);
        let ledger = Ledger::open_for_hook(&path, true).unwrap();
        assert_eq!(schema(&ledger.conn), new);
        assert!(has_old(&ledger));
        assert_eq!(version(&path), SCHEMA_VERSION);
    }

    #[test]
    fn a_view_of_an_older_ledger_beside_a_writer_is_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let writer = older_ledger(&path);
        writer.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
        let view = Ledger::open_for_reports(&path).unwrap();
        assert_eq!(view.copied(), Some(CopiedFor::Held));
        assert!(has_old(&view));
        assert_eq!(version(&path), SCHEMA_VERSION - 1);
        drop(writer);
        let view = Ledger::open_for_reports(&path).unwrap();
        assert_eq!(view.copied(), None);
        assert!(has_old(&view));
    }

    #[test]
    fn an_older_ledger_without_wal_is_not_read_in_the_middle_of_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let writer = older_ledger(&path);
        // The write does not fit into the writer's memory, so a part of it is in the file.
        let write = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; BEGIN IMMEDIATE;
            DELETE FROM sessions; CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(1000000))";
        writer.execute_batch(write).unwrap();
        let view = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(900));
                writer.execute_batch("ROLLBACK").unwrap();
            });
            Ledger::open_for_reports(&path).unwrap()
        });
        assert_eq!(view.copied(), None);
        assert!(has_old(&view));
    }

    #[test]
    fn an_older_ledger_is_recovered_into_one_of_this_schema() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        drop(older_ledger(&path));
        let recovered = Ledger::recover(&path, true, Timestamp::from_millis(1)).unwrap();
        assert_eq!((recovered.kept, recovered.unreadable), (vec![("session", 1)], 0));
        assert_eq!(version(&path), SCHEMA_VERSION);
        assert!(has_old(&Ledger::open_for_reports(&path).unwrap()));
    }
}
