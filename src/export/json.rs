//! One JSON document with a list of all records, each in a line of its own.

use std::io;

use super::{Record, RecordKind, RecordSink, TextWriter};
use crate::render::push_json;

pub(super) struct Json<'w> {
    out: TextWriter<'w>,
    is_first: bool,
    /// The record, written in the place of the last one.
    line: String,
}

impl<'w> Json<'w> {
    pub(super) fn new(out: TextWriter<'w>) -> Self {
        Self { out, is_first: true, line: String::new() }
    }
}

impl RecordSink for Json<'_> {
    type Error = io::Error;

    fn begin(&mut self, kind: RecordKind) -> io::Result<()> {
        (self.out)(&format!("{{\n  \"schema_version\": 1,\n  \"{}\": [", kind.name()))
    }

    fn record(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.line.clear();
        self.line.push_str(if self.is_first { "\n    " } else { ",\n    " });
        self.is_first = false;
        push_json(&mut self.line, record)?;
        (self.out)(&self.line)
    }

    fn end(&mut self) -> io::Result<()> {
        (self.out)(if self.is_first { "]\n}\n" } else { "\n  ]\n}\n" })
    }
}
