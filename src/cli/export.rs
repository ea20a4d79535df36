//! `tallyhook export`.

use std::io::{BufWriter, StdoutLock, Write as _};

use serde::Serialize;

use super::Context;
use super::args::{ExportArgs, ExportFormat, ExportWhat};
use super::cost::today;
use crate::error::Error;
use crate::render;
use crate::report::calendar::Zone;
use crate::report::calls::ExportedCall;
use crate::report::cost::{By, CostReport, Query};
use crate::report::export::{ExportedCompaction, ExportedResponse, ExportedSession, RunTypes, days};
use crate::store::Ledger;

/// Streams the records: a ledger may hold more than fits in memory.
pub(super) fn run(context: &Context, args: &ExportArgs) -> Result<(), Error> {
    let ledger = context.ledger()?;
    let mut out = Records::begin(args.format, args.what.name())?;
    if let Some(ledger) = ledger {
        write(context, args, &ledger, &mut out)?;
    }
    if out.finish()? == 0 {
        let what = format!("the ledger holds no {} yet", name(args.what));
        return Err(Error::NoData { what });
    }
    Ok(())
}

fn name(what: ExportWhat) -> &'static str {
    if what == ExportWhat::Calls { "tool calls" } else { what.name() }
}

fn write(context: &Context, args: &ExportArgs, ledger: &Ledger, out: &mut Records) -> Result<(), Error> {
    match args.what {
        ExportWhat::Calls => ledger.for_each_call(|call| out.push(&ExportedCall::from(call))),
        ExportWhat::Sessions => {
            let prices = context.prices()?;
            let mut records = ledger.recent_sessions(None, u32::MAX)?;
            records.sort_by_key(|record| record.row);
            for record in &records {
                if let Some(session) = ExportedSession::of(ledger, record, &prices)? {
                    out.push(&session)?;
                }
            }
            Ok(())
        }
        ExportWhat::Responses => {
            let (prices, types) = (context.prices()?, RunTypes::read(ledger)?);
            ledger.for_each_response(|message, session| {
                out.push(&ExportedResponse::of(&message, session, &types, &prices))
            })
        }
        ExportWhat::Days => {
            let zone = args.tz.clone().unwrap_or_else(Zone::of_system);
            let today = today(context, &zone)?;
            let query = Query {
                by: By::Day,
                since: None,
                until: None,
                projects: None,
                model: None,
                compare: false,
                today,
                zone,
            };
            days(CostReport::of(ledger, &query)?).try_for_each(|day| out.push(&day))
        }
        ExportWhat::Compactions => {
            let all = ledger.all_compactions()?.into_iter();
            all.map(ExportedCompaction::from).try_for_each(|compaction| out.push(&compaction))
        }
        // No table of this release holds any.
        ExportWhat::Steps | ExportWhat::Reports => Ok(()),
    }
}

/// Records on their way out.
struct Records {
    out: BufWriter<StdoutLock<'static>>,
    format: ExportFormat,
    count: u64,
}

impl Records {
    fn begin(format: ExportFormat, list: &str) -> Result<Self, Error> {
        let mut records = Self { out: BufWriter::new(std::io::stdout().lock()), format, count: 0 };
        if format == ExportFormat::Json {
            records.write(&format!("{{\n  \"schema_version\": 1,\n  \"{list}\": ["))?;
        }
        Ok(records)
    }

    fn push(&mut self, record: &impl Serialize) -> Result<(), Error> {
        let line = render::json_line(record).map_err(|source| Error::Output { source })?;
        self.count += 1;
        match self.format {
            ExportFormat::Json => {
                let before = if self.count == 1 { "\n    " } else { ",\n    " };
                self.write(before)?;
                self.write(&line)
            }
            ExportFormat::Jsonl => self.write(&(line + "\n")),
            ExportFormat::Csv => {
                let Some((names, values)) = render::csv_record(&line) else { return Ok(()) };
                if self.count == 1 {
                    self.write(&names)?;
                }
                self.write(&values)
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.out.write_all(text.as_bytes()).map_err(|source| Error::Output { source })
    }

    /// Returns how many there were.
    fn finish(mut self) -> Result<u64, Error> {
        if self.format == ExportFormat::Json {
            self.write(if self.count == 0 { "]\n}\n" } else { "\n  ]\n}\n" })?;
        }
        self.out.flush().map_err(|source| Error::Output { source })?;
        Ok(self.count)
    }
}
