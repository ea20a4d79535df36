//! What leaves the ledger: records of a few kinds, handed one by one to a sink.
//!
//! [`write_all`] hands every record of one kind to a [`RecordSink`]; what makes a file of them is a row of [`FORMATS`].
//! [`ChangeFeed`] hands what has changed since a [`Cursor`] to a [`ChangeSink`], which keeps a copy of the ledger elsewhere.
//! Sinks for databases belong in other crates: nothing here opens a connection, and nothing here knows a format but those in
//! the files beside it.
//!
//! Records are streamed. What is in memory is one session's record at most, and never all records of a kind.

mod all;
mod call;
mod changes;
mod columns;
mod csv;
mod cursor;
mod json;
mod jsonl;
mod records;

use std::io;

use serde::{Serialize, Serializer};

pub use all::{ExportOptions, write_all};
pub use call::ExportedCall;
pub use changes::{ChangeFeed, ChangeSink, ExportKey, KeyId, RecordChange};
pub use columns::{ColumnType, RecordColumn};
pub use cursor::{Cursor, CursorError};
pub use jsonl::JsonlChanges;
pub use records::{
    ChangedSession, ExportedCompaction, ExportedCost, ExportedDay, ExportedReport, ExportedResponse,
    ExportedSession, ExportedStep, RunTypes, SessionUse,
};

use crate::store::StoreError;

/// A kind of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Sessions, each with its usage, cost, agents and rates.
    Sessions,
    /// Tool calls.
    Calls,
    /// API responses.
    Responses,
    /// Days.
    Days,
    /// Steps.
    Steps,
    /// Compactions.
    Compactions,
    /// Reports by agents without hooks.
    Reports,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Sessions,
        Self::Calls,
        Self::Responses,
        Self::Days,
        Self::Steps,
        Self::Compactions,
        Self::Reports,
    ];

    /// The name of a list of such records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Calls => "calls",
            Self::Responses => "responses",
            Self::Days => "days",
            Self::Steps => "steps",
            Self::Compactions => "compactions",
            Self::Reports => "reports",
        }
    }
}

/// A record. It serializes as what it holds.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Record<'r> {
    Session(&'r ExportedSession),
    /// A session among changes, without what does not follow from its own rows.
    ChangedSession(&'r ChangedSession),
    Call(&'r ExportedCall<'r>),
    Response(&'r ExportedResponse),
    Day(&'r ExportedDay),
    Step(&'r ExportedStep<'r>),
    Compaction(&'r ExportedCompaction),
    Report(&'r ExportedReport),
}

impl Record<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Session(_) | Self::ChangedSession(_) => RecordKind::Sessions,
            Self::Call(_) => RecordKind::Calls,
            Self::Response(_) => RecordKind::Responses,
            Self::Day(_) => RecordKind::Days,
            Self::Step(_) => RecordKind::Steps,
            Self::Compaction(_) => RecordKind::Compactions,
            Self::Report(_) => RecordKind::Reports,
        }
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Session(record) => record.serialize(serializer),
            Self::ChangedSession(record) => record.serialize(serializer),
            Self::Call(record) => record.serialize(serializer),
            Self::Response(record) => record.serialize(serializer),
            Self::Day(record) => record.serialize(serializer),
            Self::Step(record) => record.serialize(serializer),
            Self::Compaction(record) => record.serialize(serializer),
            Self::Report(record) => record.serialize(serializer),
        }
    }
}

/// What takes all records of one kind, once.
pub trait RecordSink {
    /// Why it takes no more.
    type Error;

    /// Is told the kind before its first record; [`RecordKind::columns`] says what such a record is made of.
    ///
    /// # Errors
    /// If the sink fails. Nothing more is handed to it then.
    fn begin(&mut self, kind: RecordKind) -> Result<(), Self::Error>;

    /// Takes the next record.
    ///
    /// # Errors
    /// If the sink fails. Nothing more is handed to it then.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Self::Error>;

    /// Is told that there are no more.
    ///
    /// # Errors
    /// If the sink fails: what it took may not be whole.
    fn end(&mut self) -> Result<(), Self::Error>;
}

impl<S: RecordSink + ?Sized> RecordSink for Box<S> {
    type Error = S::Error;

    fn begin(&mut self, kind: RecordKind) -> Result<(), Self::Error> {
        (**self).begin(kind)
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Self::Error> {
        (**self).record(record)
    }

    fn end(&mut self) -> Result<(), Self::Error> {
        (**self).end()
    }
}

/// Takes text piece by piece, each whole in itself.
pub type TextWriter<'w> = Box<dyn FnMut(&str) -> io::Result<()> + 'w>;
/// A sink that writes a file.
pub type FileSink<'w> = Box<dyn RecordSink<Error = io::Error> + 'w>;

/// A format of files.
#[derive(Debug, Clone, Copy)]
pub struct FileFormat {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Makes its sink.
    pub sink: for<'w> fn(TextWriter<'w>) -> FileSink<'w>,
}

/// The formats of files. The first one is made where none is named.
pub const FORMATS: &[FileFormat] = &[
    FileFormat { name: "json", about: "One JSON document", sink: |out| Box::new(json::Json::new(out)) },
    FileFormat {
        name: "jsonl",
        about: "One JSON object per line",
        sink: |out| Box::new(jsonl::Jsonl::new(out)),
    },
    FileFormat { name: "csv", about: "CSV with a header line", sink: |out| Box::new(csv::Csv::new(out)) },
];

/// Why an export ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E> {
    /// The ledger could not be read, or could not be written where that is needed.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The cursor is none of this ledger's.
    #[error(transparent)]
    Cursor(CursorError),
    /// What changes is numbered in the ledger, and this is a copy, of which nothing lasts.
    #[error("the ledger can't be written, so changes can't be exported")]
    Unwritable,
    /// The sink failed.
    #[error("{0}")]
    Sink(E),
}
