//! The ordered list of migrations. Never change or remove an entry: somebody's ledger has run it.

use rusqlite::{Connection, TransactionBehavior};

/// One entry for each schema version, from 1.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_hook_duration.sql"),
    include_str!("migrations/0003_hot_path.sql"),
    include_str!("migrations/0004_money.sql"),
    include_str!("migrations/0005_spent_sums.sql"),
    include_str!("migrations/0006_origins.sql"),
    include_str!("migrations/0007_captured.sql"),
    include_str!("migrations/0008_budgets.sql"),
    include_str!("migrations/0010_reports.sql"),
    include_str!("migrations/0012_iterations.sql"),
    include_str!("migrations/0013_claims.sql"),
    include_str!("migrations/0014_growth.sql"),
    include_str!("migrations/0015_positions.sql"),
    include_str!("migrations/0016_changes.sql"),
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
