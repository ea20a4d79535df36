//! One JSON object per line: records, or changes.

use std::io;

use serde::Serialize;

use super::{ChangeSink, Cursor, Record, RecordChange, RecordKind, RecordSink, TextWriter};
use crate::render::push_json;

pub(super) struct Jsonl<'w> {
    out: TextWriter<'w>,
    /// The record, written in the place of the last one.
    line: String,
}

impl<'w> Jsonl<'w> {
    pub(super) fn new(out: TextWriter<'w>) -> Self {
        Self { out, line: String::new() }
    }

    fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        push_json(&mut self.line, value)?;
        self.line.push('\n');
        (self.out)(&self.line)
    }
}

impl RecordSink for Jsonl<'_> {
    type Error = io::Error;

    fn begin(&mut self, _: RecordKind) -> io::Result<()> {
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.push(record)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Changes as lines: `upsert`, `delete`, and after each page `cursor`.
pub struct JsonlChanges<'w>(Jsonl<'w>);

/// A line that says from where to go on.
#[derive(Serialize)]
struct CursorLine<'c> {
    op: &'static str,
    cursor: &'c Cursor,
}

impl<'w> JsonlChanges<'w> {
    /// Writes them to `out`.
    #[must_use]
    pub fn new(out: TextWriter<'w>) -> Self {
        Self(Jsonl::new(out))
    }
}

impl ChangeSink for JsonlChanges<'_> {
    type Error = io::Error;

    fn change(&mut self, change: &RecordChange<'_>) -> io::Result<()> {
        self.0.push(change)
    }

    fn commit(&mut self, cursor: &Cursor) -> io::Result<()> {
        self.0.push(&CursorLine { op: "cursor", cursor })
    }
}
