//! What has changed since a cursor, for those who keep a copy of the ledger elsewhere.
//!
//! The unit is a session: one of which anything has changed is sent again as a whole, and after its records a deletion of all
//! that is of an earlier version and was not among them. So nobody has to remember which rows have gone, and a session that was
//! removed is a deletion alone.
//!
//! A copy is exact if it does three things, however often it is handed the same change:
//! - An upsert replaces what is kept under its kind and key, unless that has a higher version.
//! - A deletion takes away all records of the session, of any kind, whose version is lower than the one it names.
//! - The cursor is remembered with what came before it, or after that.
//!
//! Changes come at least once. Keys are the provider's and the client's ids; where a log gives none, the row's number stands in
//! for it, always together with the session. Where a session was changed while it was being read, it comes once more later.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{
    ChangedSession, Cursor, CursorError, ExportError, ExportedCall, ExportedCompaction, ExportedReport,
    ExportedResponse, Record, RunTypes,
};
use crate::allocation;
use crate::domain::Timestamp;
use crate::store::{ChangeEntry, ChangeNumber, ChangedItem, Ledger, LedgerId, SessionRow};

/// What names a record among those of its kind in a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportKey<'k> {
    /// The session, where the rest alone is not unique.
    pub session: Option<&'k str>,
    /// What names it there.
    pub id: KeyId<'k>,
}

/// The last part of a key. As JSON a text and a number differ, so that no id is taken for a row's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum KeyId<'k> {
    /// The provider's or the client's id.
    Id(&'k str),
    /// The number of the row, for what has no id.
    Row(i64),
}

impl<'k> ExportKey<'k> {
    const fn id(id: &'k str) -> Self {
        Self { session: None, id: KeyId::Id(id) }
    }
}

/// An array of its parts.
impl Serialize for ExportKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.session {
            Some(session) => (session, self.id).serialize(serializer),
            None => [self.id].serialize(serializer),
        }
    }
}

/// A change.
#[derive(Debug, Clone, Copy)]
pub enum RecordChange<'c> {
    /// A record is there, and this is what it holds.
    Upsert {
        /// What names it among the records of its kind.
        key: ExportKey<'c>,
        /// The session that it is sent with, and deleted with; `None` for reports.
        session_id: Option<&'c str>,
        /// Its version: a later one is higher.
        version: ChangeNumber,
        /// The record.
        record: Record<'c>,
    },
    /// All records that were sent with a session and are of a version before this one are gone.
    Delete {
        /// The session.
        session_id: &'c str,
        /// Records of this version and later ones stay.
        before: ChangeNumber,
    },
}

/// `{"op":"upsert","kind":…,"key":[…],"session_id":…,"version":…,"record":{…}}`, or
/// `{"op":"delete","session_id":…,"before":…}`.
impl Serialize for RecordChange<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Upsert { key, session_id, version, record } => {
                map.serialize_entry("op", "upsert")?;
                map.serialize_entry("kind", record.kind().name())?;
                map.serialize_entry("key", key)?;
                map.serialize_entry("session_id", session_id)?;
                map.serialize_entry("version", &version.get())?;
                map.serialize_entry("record", record)?;
            }
            Self::Delete { session_id, before } => {
                map.serialize_entry("op", "delete")?;
                map.serialize_entry("session_id", session_id)?;
                map.serialize_entry("before", &before.get())?;
            }
        }
        map.end()
    }
}

/// What keeps a copy of a ledger elsewhere.
pub trait ChangeSink {
    /// Why it takes no more.
    type Error;

    /// Takes the next change.
    ///
    /// # Errors
    /// If the sink fails. Nothing more is handed to it then.
    fn change(&mut self, change: &RecordChange<'_>) -> Result<(), Self::Error>;

    /// Is told that all up to `cursor` was handed to it, so that it can make that last and remember from where to go on.
    ///
    /// # Errors
    /// If the sink fails: all since the last call is to be handed to it again.
    fn commit(&mut self, cursor: &Cursor) -> Result<(), Self::Error>;
}

/// How many changes are looked up at once.
const ENTRIES: u32 = 256;

/// What has changed in a ledger since a cursor, up to the moment at which it was asked for.
#[derive(Debug)]
pub struct ChangeFeed {
    ledger: LedgerId,
    at: ChangeNumber,
    until: ChangeNumber,
}

impl ChangeFeed {
    /// Begins after a cursor; at the beginning of the ledger without one. Prices what is not priced by the ledger's own prices
    /// ([`Ledger::prices`]): every session whose figures that could change has changed.
    ///
    /// # Errors
    /// If the cursor is none of this ledger's, the ledger cannot be read, or there is something new and it cannot be written.
    pub fn begin<E>(
        ledger: &mut Ledger,
        since: Option<&Cursor>,
        now: Timestamp,
    ) -> Result<Self, ExportError<E>> {
        let id = ledger.records().ledger_id()?;
        let at = match since {
            None => ChangeNumber::default(),
            Some(cursor) if cursor.ledger != id => return Err(ExportError::Cursor(CursorError::OtherLedger)),
            Some(cursor) if cursor.number > ledger.records().last_change()? => {
                return Err(ExportError::Cursor(CursorError::Ahead));
            }
            Some(cursor) => cursor.number,
        };
        if ledger.copied().is_some() {
            return Err(ExportError::Unwritable);
        }
        ledger.reprice()?;
        let until = ledger.records_mut().number_changes(now)?;
        Ok(Self { ledger: id, at, until })
    }

    /// Where it is.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor { ledger: self.ledger, number: self.at }
    }

    /// Hands over the next changes: whole sessions, until there are `at_least` so many records or no more. Then the sink is
    /// told where that is. Returns whether there is more.
    ///
    /// # Errors
    /// If the ledger cannot be read, or the sink fails. What was handed over since the last commit is handed over again.
    pub fn next_page<S: ChangeSink>(
        &mut self,
        ledger: &Ledger,
        at_least: u64,
        sink: &mut S,
    ) -> Result<bool, ExportError<S::Error>> {
        let (mut at, mut sent) = (self.at, 0);
        // All of a page as it is at one moment: else a response that moves from one session to another could be in neither.
        let is_more = ledger.at_one_moment(|ledger| {
            loop {
                let entries = ledger.records().changes_between(at, self.until, ENTRIES)?;
                if entries.is_empty() {
                    return Ok::<_, ExportError<S::Error>>(false);
                }
                for entry in entries {
                    sent += send(ledger, &entry, sink)?;
                    at = entry.number;
                    if sent >= at_least {
                        return Ok(true);
                    }
                }
            }
        })?;
        let next = if is_more { at } else { self.until.max(at) };
        sink.commit(&Cursor { ledger: self.ledger, number: next }).map_err(ExportError::Sink)?;
        self.at = next;
        Ok(is_more)
    }
}

/// Hands over one change; returns how many records that were.
fn send<S: ChangeSink>(
    ledger: &Ledger,
    entry: &ChangeEntry,
    sink: &mut S,
) -> Result<u64, ExportError<S::Error>> {
    let version = entry.number;
    match &entry.item {
        ChangedItem::Removed(session_id) => {
            sink.change(&RecordChange::Delete { session_id, before: version }).map_err(ExportError::Sink)?;
            Ok(1)
        }
        ChangedItem::Report(row) => {
            let Some((report, session)) = ledger.records().report(*row)? else { return Ok(0) };
            let id = report.event_id.as_deref().map_or(KeyId::Row(*row), KeyId::Id);
            let record = ExportedReport::of(&report, session.as_deref());
            sink.change(&RecordChange::Upsert {
                key: ExportKey { session: None, id },
                session_id: None,
                version,
                record: Record::Report(&record),
            })
            .map_err(ExportError::Sink)?;
            Ok(1)
        }
        ChangedItem::Session(row) => send_session(ledger, *row, version, sink),
    }
}

fn send_session<S: ChangeSink>(
    ledger: &Ledger,
    row: SessionRow,
    version: ChangeNumber,
    sink: &mut S,
) -> Result<u64, ExportError<S::Error>> {
    let Some(session) = ledger.session_of_row(row)? else { return Ok(0) };
    let session_id = session.id.as_str();
    let mut sent = 0;
    let mut push = |key: ExportKey<'_>, record: Record<'_>| {
        sent += 1;
        sink.change(&RecordChange::Upsert { key, session_id: Some(session_id), version, record })
            .map_err(ExportError::Sink)
    };
    push(ExportKey::id(session_id), Record::ChangedSession(&ChangedSession::of(ledger, &session)?))?;
    let types = RunTypes::of(row, ledger.sessions().agent_runs(row)?);
    ledger.records().for_each_response_of(row, |message| {
        let record = ExportedResponse::of(message, row, &types, ledger.prices());
        push(ExportKey::id(message.id.as_str()), Record::Response(&record))
    })?;
    let steps = allocation::timeline(ledger, row)?;
    ledger.records().for_each_call_of(row, |call, number| {
        let id = call.tool_use_id.map_or(KeyId::Row(number), KeyId::Id);
        let record = ExportedCall { step: steps.at(call.at), ..ExportedCall::from(call) };
        push(ExportKey { session: Some(session_id), id }, Record::Call(&record))
    })?;
    for stored in ledger.records().stored_compactions(row)? {
        let key = match &stored.uuid {
            Some(uuid) => ExportKey::id(uuid),
            None => ExportKey { session: Some(session_id), id: KeyId::Row(stored.row) },
        };
        let record = ExportedCompaction::of(session_id.to_owned(), stored.compaction);
        push(key, Record::Compaction(&record))?;
    }
    sink.change(&RecordChange::Delete { session_id, before: version }).map_err(ExportError::Sink)?;
    Ok(sent)
}
