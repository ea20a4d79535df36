//! What has changed since somebody last looked, for copies of the ledger elsewhere.
//!
//! A session is the unit: whatever is written of it, its row's `changed` says that it is to be sent again. That costs a writer
//! nothing, for it only turns the sign of a number in a row that it writes anyway. Whoever asks for changes gives out the
//! numbers ([`Records::number_changes`]): each session, report and removal that waits gets one that is higher than all before,
//! so that "what has a higher number than the last one that I have seen" misses nothing, whatever the clock says.
//!
//! `changed` is 0 while a row has no number, n above 0 if nothing has changed since it got the number n, and -n if something has.

use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, params};

use super::Records;
use super::meta::LEDGER_ID;
use super::writer::{SessionRow, session_id, unsigned};
use super::{CallRecord, CompactionRow, Ledger, Report, StoreError, calls, listing, reports, responses};
use crate::domain::{ResponseRecord, Timestamp};

const READ: &str = "read what has changed";

/// Which ledger it is: a random number that it got when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LedgerId([u8; 16]);

impl LedgerId {
    /// The ledger with that number.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits.to_be_bytes())
    }

    /// Its number.
    #[must_use]
    pub const fn to_bits(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

/// The place of a change among all changes of a ledger: the later, the higher. 0 stands before the first one. It is below 2^53,
/// so that programs that keep numbers as floats keep it exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeNumber(u64);

impl ChangeNumber {
    /// The place with that number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    fn to_sql(self) -> i64 {
        super::writer::signed(self.0)
    }
}

/// Something that has changed, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedItem {
    /// A session that was removed, by its id. It can be there again.
    Removed(String),
    /// A session with all that it has.
    Session(SessionRow),
    /// A report of an agent without hooks.
    Report(i64),
}

/// A change and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeEntry {
    /// Its place.
    pub number: ChangeNumber,
    /// What has changed.
    pub item: ChangedItem,
}

/// A compaction with what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCompaction {
    /// The transcript's id of its record; `None` while only hooks have told of it.
    pub uuid: Option<String>,
    /// Its row.
    pub row: i64,
    /// The compaction.
    pub compaction: CompactionRow,
}

/// Notes that what is known of a session has changed.
pub(super) fn note(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE sessions SET changed = -abs(changed) WHERE id = ?1")?.execute([session.0])?;
    Ok(())
}

/// Notes that all sessions have changed, as where they are priced anew.
pub(super) fn note_all(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute("UPDATE sessions SET changed = -changed WHERE changed > 0", [])?;
    Ok(())
}

/// Notes that a session is about to be removed. One that never had a number was never seen by anybody.
pub(super) fn note_removal(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR REPLACE INTO removed_sessions SELECT session_id, -abs(changed) FROM sessions
         WHERE id = ?1 AND changed != 0",
        [session.0],
    )?;
    // Its row's number can become that of another session.
    conn.execute(
        "UPDATE usage_reports SET session = NULL, changed = -abs(changed) WHERE session = ?1",
        [session.0],
    )?;
    Ok(())
}

/// The highest number so far, and whether anything waits for one.
fn highest(conn: &Connection) -> rusqlite::Result<(i64, bool)> {
    const SQL: &str = "SELECT coalesce(max(abs(changed)), 0), coalesce(max(changed <= 0), 0) FROM
        (SELECT changed FROM sessions UNION ALL SELECT changed FROM removed_sessions
         UNION ALL SELECT changed FROM usage_reports)";
    conn.query_row(SQL, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

impl<L: Deref<Target = Ledger>> Records<L> {
    /// Which ledger it is.
    ///
    /// # Errors
    /// If the ledger cannot be read, or has none of its own.
    pub fn ledger_id(&self) -> Result<LedgerId, StoreError> {
        let id = LEDGER_ID.get(&self.0.conn).and_then(|id| id.ok_or(rusqlite::Error::QueryReturnedNoRows));
        id.map(LedgerId).map_err(StoreError::query("look up the ledger's id"))
    }

    /// The highest number that was given out so far; 0 before the first one.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn last_change(&self) -> Result<ChangeNumber, StoreError> {
        let (last, _) = highest(&self.0.conn).map_err(StoreError::query(READ))?;
        Ok(ChangeNumber(unsigned(last)))
    }

    /// The first changes after a place and up to another one, in their order; at most so many. What has changed once more
    /// since it got its number is left out: it waits for a higher one.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn changes_between(
        &self,
        after: ChangeNumber,
        until: ChangeNumber,
        at_most: u32,
    ) -> Result<Vec<ChangeEntry>, StoreError> {
        const SQL: &str = "SELECT changed, 0, id, NULL FROM sessions WHERE changed > ?1 AND changed <= ?2
          UNION ALL SELECT changed, 1, NULL, session_id FROM removed_sessions WHERE changed > ?1 AND changed <= ?2
          UNION ALL SELECT changed, 2, id, NULL FROM usage_reports WHERE changed > ?1 AND changed <= ?2
          ORDER BY 1 LIMIT ?3";
        self.0.all(READ, SQL, params![after.to_sql(), until.to_sql(), at_most], |row| {
            let item = match row.get(1)? {
                0 => ChangedItem::Session(SessionRow(row.get(2)?)),
                1 => ChangedItem::Removed(row.get(3)?),
                _ => ChangedItem::Report(row.get(2)?),
            };
            Ok(ChangeEntry { number: ChangeNumber(unsigned(row.get(0)?)), item })
        })
    }

    /// The responses of one session, in the order of time. Copies whose original is not known are among them.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `each` returns.
    pub fn for_each_response_of<E: From<StoreError>>(
        &self,
        session: SessionRow,
        mut each: impl FnMut(&ResponseRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = None;
        responses::for_each_response_of(&self.0.conn, session, |message| match each(message) {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        })
        .map_err(StoreError::query("read the session's responses"))?;
        failed.map_or(Ok(()), Err)
    }

    /// Hands the tool calls of one session and their rows to `each`, in the order in which they were recorded.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `each` returns.
    pub fn for_each_call_of<E: From<StoreError>>(
        &self,
        session: SessionRow,
        each: impl FnMut(CallRecord<'_>, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        calls::for_each(&self.0.conn, Some(session), each)
    }

    /// The compactions of one session, in the order of time, with what names them.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn stored_compactions(&self, session: SessionRow) -> Result<Vec<StoredCompaction>, StoreError> {
        const SQL: &str = "SELECT uuid, id, at, trigger, tokens_before, tokens_after FROM compactions
          WHERE session = ?1 ORDER BY at, id";
        self.0.all("read the session's compactions", SQL, [session.0], |row| {
            Ok(StoredCompaction {
                uuid: row.get(0)?,
                row: row.get(1)?,
                compaction: listing::compaction(row, 2)?,
            })
        })
    }

    /// A report, and the id of the session in which it was made.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn report(&self, row: i64) -> Result<Option<(Report, Option<String>)>, StoreError> {
        let read = || -> rusqlite::Result<_> {
            let Some(report) = reports::by_row(&self.0.conn, row)? else { return Ok(None) };
            let session = match report.session {
                Some(session) => session_id(&self.0.conn, session)?,
                None => None,
            };
            Ok(Some((report, session.map(|session| session.as_str().to_owned()))))
        };
        read().map_err(StoreError::query("read the report"))
    }
}

impl<L: DerefMut<Target = Ledger>> Records<L> {
    /// Gives numbers to all that has changed and has none; returns the highest number. It is kept through a power cut, so
    /// that it stays the highest for those that it was told.
    ///
    /// Where the ledger was put back from a backup, numbers go on from the time `now`, so that they are above those that were
    /// given out since.
    ///
    /// # Errors
    /// If the ledger cannot be read, or something waits for a number and it cannot be written.
    pub fn number_changes(&mut self, now: Timestamp) -> Result<ChangeNumber, StoreError> {
        let (last, is_waiting) = highest(&self.0.conn).map_err(StoreError::query(READ))?;
        if !is_waiting {
            return Ok(ChangeNumber(unsigned(last)));
        }
        self.0.sync_each()?;
        let last = self.0.write("number the changes", |tx| {
            let mut last = highest(tx)?.0.max(now.as_millis().saturating_mul(1_000));
            // Removals first: of a session that was removed and is there again, the one that is there is the later.
            for (waiting, number) in [
                (
                    "SELECT session_id FROM removed_sessions WHERE changed <= 0",
                    "UPDATE removed_sessions SET changed = ?2 WHERE session_id = ?1",
                ),
                (
                    "SELECT id FROM sessions WHERE changed <= 0 ORDER BY id",
                    "UPDATE sessions SET changed = ?2 WHERE id = ?1",
                ),
                (
                    "SELECT id FROM usage_reports WHERE changed <= 0 ORDER BY id",
                    "UPDATE usage_reports SET changed = ?2 WHERE id = ?1",
                ),
            ] {
                let mut query = tx.prepare(waiting)?;
                let keys = query.query_map([], |row| row.get::<_, rusqlite::types::Value>(0))?;
                let keys: Vec<_> = keys.collect::<rusqlite::Result<_>>()?;
                let mut update = tx.prepare(number)?;
                for key in keys {
                    last += 1;
                    update.execute(params![key, last])?;
                }
            }
            Ok(last)
        })?;
        Ok(ChangeNumber(unsigned(last)))
    }
}

impl Ledger {
    /// Answers all questions of `body` as of one moment.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what `body` returns.
    pub fn at_one_moment<T, E: From<StoreError>>(
        &self,
        body: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let snapshot = self.conn.unchecked_transaction().map_err(StoreError::query("read the ledger"))?;
        let result = body(self);
        drop(snapshot);
        result
    }
}
