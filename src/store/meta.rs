//! Values by name: every key of the table `meta`, what its value is and what it means. They stand there and in no table of
//! their own where there are few of them, or none at all for most people: every hook's process reads the schema.

use std::borrow::Cow;
use std::marker::PhantomData;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Serialize, de::DeserializeOwned};

use super::SessionRow;
use crate::domain::{AlertState, Baseline, ModelId};

/// A name in `meta`, and the type of its value.
#[derive(Debug)]
pub(super) struct MetaKey<V> {
    name: Cow<'static, str>,
    value: PhantomData<fn() -> V>,
}

/// The random key of this ledger, behind the hashes of inputs in `tool_calls`.
pub(super) const HASH_KEY: MetaKey<[u8; 16]> = MetaKey::fixed("hash_key");
/// The version of the price table by which `usage_buckets` and `usage_rollups` were priced; 0 is void.
pub(super) const PRICE_VERSION: MetaKey<i64> = MetaKey::fixed("price_version");
/// Which ledger it is: random, and another one once it was recovered, so that a place in its changes is not taken for one in
/// those of another ledger.
pub(super) const LEDGER_ID: MetaKey<[u8; 16]> = MetaKey::fixed("ledger_id");
/// The alerts that are on, as [`crate::domain::Alerts`] are written.
pub(super) const ALERTS: MetaKey<String> = MetaKey::fixed("alerts");
/// The rows of the sessions that have ended and were not looked at since, with spaces between them, the latest last.
pub(super) const ENDED: MetaKey<String> = MetaKey::fixed("ended");
/// What the names begin with under which it is kept what was learned of how a model counts.
pub(super) const CALIBRATIONS: &str = "calibration:";
/// What the names begin with of all that alerts remember, in SQL's `LIKE`.
pub(super) const ALERT_MEMORY: &str = "alerts:%";

/// What was learned of how a model counts (JSON).
pub(super) fn calibration(model: &ModelId) -> MetaKey<String> {
    MetaKey::made(format!("{CALIBRATIONS}{model}"))
}

/// What alerts remember of a session.
pub(super) fn alert_state(session: SessionRow) -> MetaKey<StoredJson<AlertState>> {
    MetaKey::made(format!("alerts:{}", session.0))
}

/// What turns of a project cost. A project is named by its path, which is no number as a session's row is; the empty one
/// stands for sessions without a project.
pub(super) fn baseline(project: &str) -> MetaKey<StoredJson<Baseline>> {
    MetaKey::made(format!("alerts:{project}"))
}

/// What the names of [`lines_of`] begin with, and the first name behind all of them.
pub(super) const LINES_OF: &str = "lines_of:";
pub(super) const LINES_OF_END: &str = "lines_of;";

/// That a file has responses of a session, though it is kept for another one; the value is that session's row. Few files do.
pub(super) fn lines_of(session: SessionRow, path: &str) -> MetaKey<i64> {
    MetaKey::made(format!("{LINES_OF}{}:{path}", session.0))
}

impl<V> MetaKey<V> {
    const fn fixed(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), value: PhantomData }
    }

    const fn made(name: String) -> Self {
        Self { name: Cow::Owned(name), value: PhantomData }
    }

    /// As it stands in the table.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Forgets the value.
    pub(super) fn delete(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([self.name()])?;
        Ok(())
    }
}

impl<V: FromSql> MetaKey<V> {
    /// The value, if there is one.
    pub(super) fn get(&self, conn: &Connection) -> rusqlite::Result<Option<V>> {
        conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?
            .query_row([self.name()], |row| row.get(0))
            .optional()
    }
}

impl<V: ToSql> MetaKey<V> {
    /// Stores a value in place of the one before.
    pub(super) fn put(&self, conn: &Connection, value: &V) -> rusqlite::Result<()> {
        conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
            .execute(params![self.name(), value])?;
        Ok(())
    }
}

/// A value that is stored as JSON. One that cannot be read is as good as none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StoredJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromSql for StoredJson<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str().unwrap_or_default();
        Ok(Self(serde_json::from_str(text).unwrap_or_default()))
    }
}

impl<T: Serialize> ToSql for StoredJson<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(ToSqlOutput::from(text))
    }
}
