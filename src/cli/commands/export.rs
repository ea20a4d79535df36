//! `tallyhook export`.

use std::io;

use super::Context;
use super::args::ExportArgs;
use super::cost::today;
use super::output::{Passes, Stdout};
use crate::error::Error;
use crate::export::{
    self, ChangeFeed, Cursor, ExportError, ExportOptions, JsonlChanges, RecordKind, RecordSink as _,
};
use crate::store::Ledger;

/// So many records are behind each line with a cursor, or a few more.
const RECORDS_A_PAGE: u64 = 10_000;

/// Streams the records: a ledger may hold more than fits in memory.
pub(super) fn run(context: &Context, args: &ExportArgs) -> Result<(), Error> {
    let mut ledger = context.ledger()?;
    if args.changes || args.since_cursor.is_some() {
        let Some(mut ledger) = ledger else { return Err(context.no_ledger()?) };
        return changes(context, &mut ledger, args.since_cursor.as_ref());
    }
    if let (Some(ledger), RecordKind::Sessions | RecordKind::Steps) = (&mut ledger, args.what) {
        context.refresh_allocations(ledger)?;
    }
    let kind = args.what;
    let mut out = context.console.stdout();
    let count = {
        let mut sink = (args.format.sink)(Box::new(|text| out.write(text, Passes::Text)));
        match &ledger {
            Some(ledger) => {
                // Days are asked for as of one moment by themselves.
                if kind != RecordKind::Days {
                    ledger.as_of_now()?;
                }
                let zone = args.tz.clone().unwrap_or_else(|| context.zone.clone());
                let options = ExportOptions { today: today(context, &zone)?, zone };
                export::write_all(ledger, kind, &options, &mut sink).map_err(failure)?
            }
            None => {
                sink.begin(kind).and_then(|()| sink.end()).map_err(output)?;
                0
            }
        }
    };
    out.finish().map_err(output)?;
    if ledger.is_none() {
        return Err(context.no_ledger()?);
    }
    if count == 0 {
        let name = if kind == RecordKind::Calls { "tool calls" } else { kind.name() };
        return Err(Error::NoData { what: format!("the ledger has no {name} yet") });
    }
    Ok(())
}

/// Streams what has changed since a cursor, and after each page the cursor from which to go on.
fn changes(context: &Context, ledger: &mut Ledger, since: Option<&Cursor>) -> Result<(), Error> {
    let mut feed = ChangeFeed::begin(ledger, since, context.env.now()).map_err(failure)?;
    let mut out: Stdout<'_> = context.console.stdout();
    {
        let mut sink = JsonlChanges::new(Box::new(|text| out.write(text, Passes::Text)));
        while feed.next_page(ledger, RECORDS_A_PAGE, &mut sink).map_err(failure)? {}
    }
    out.finish().map_err(output)
}

fn output(source: io::Error) -> Error {
    Error::Output { source }
}

fn failure(error: ExportError<io::Error>) -> Error {
    match error {
        ExportError::Ledger(error) => error.into(),
        ExportError::Sink(source) => output(source),
        ExportError::Cursor(error) => Error::Usage { what: error.to_string() },
        ExportError::Unwritable => Error::Unnumbered,
    }
}
