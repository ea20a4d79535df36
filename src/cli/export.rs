//! `tallyhook export`.

use std::io::{BufWriter, Write as _};

use super::Context;
use super::args::{ExportArgs, ExportFormat, ExportWhat};
use crate::error::Error;
use crate::render;
use crate::report::calls::ExportedCall;

/// Streams the records: a ledger may hold more than fits in memory.
pub(super) fn run(context: &Context, args: &ExportArgs) -> Result<(), Error> {
    let ExportWhat::Calls = args.what;
    let ledger = context.ledger()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let output = |source| Error::Output { source };
    let as_document = args.format == ExportFormat::Json;
    if as_document {
        out.write_all(b"{\n  \"schema_version\": 1,\n  \"calls\": [").map_err(output)?;
    }
    let mut count: u64 = 0;
    if let Some(ledger) = &ledger {
        ledger.for_each_call(|call| {
            let line = render::json_line(&ExportedCall::from(call)).map_err(output)?;
            let before = match (as_document, count) {
                (false, _) => "",
                (true, 0) => "\n    ",
                (true, _) => ",\n    ",
            };
            count += 1;
            write!(out, "{before}{line}").map_err(output)?;
            if as_document { Ok(()) } else { writeln!(out).map_err(output) }
        })?;
    }
    if as_document {
        out.write_all(if count == 0 { b"]\n}\n" } else { b"\n  ]\n}\n" }).map_err(output)?;
    }
    out.flush().map_err(output)?;
    if count == 0 {
        return Err(Error::NoData { what: "the ledger holds no tool calls yet".to_owned() });
    }
    Ok(())
}
