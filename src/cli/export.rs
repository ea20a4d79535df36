//! `tallyhook export`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Serialize;

use super::Context;
use super::args::{ExportArgs, ExportFormat, ExportWhat};
use super::cost::today;
use super::output::{Passes, Stdout};
use crate::allocation::{self, Calibrations};
use crate::domain::{Timeline, Timestamp};
use crate::error::Error;
use crate::render;
use crate::report::calls::ExportedCall;
use crate::report::cost::{By, CostReport, Query};
use crate::report::export::{
    ExportedCompaction, ExportedReport, ExportedResponse, ExportedSession, ExportedStep, RunTypes, days,
};
use crate::store::{Ledger, SessionRow, StoreError};

/// Streams the records: a ledger may hold more than fits in memory.
pub(super) fn run(context: &Context, args: &ExportArgs) -> Result<(), Error> {
    let mut ledger = context.ledger()?;
    if let (Some(ledger), ExportWhat::Sessions | ExportWhat::Steps) = (&mut ledger, args.what) {
        context.refresh_origins(ledger)?;
    }
    let mut out = Records::begin(context.console.stdout(), args.format, args.what.name())?;
    if let Some(ledger) = ledger {
        // Days are asked for as of one moment by themselves.
        if args.what != ExportWhat::Days {
            ledger.as_of_now()?;
        }
        write(context, args, &ledger, &mut out)?;
    }
    if out.finish()? == 0 {
        let what = format!("the ledger has no {} yet", name(args.what));
        return Err(Error::NoData { what });
    }
    Ok(())
}

fn name(what: ExportWhat) -> &'static str {
    if what == ExportWhat::Calls { "tool calls" } else { what.name() }
}

fn write(context: &Context, args: &ExportArgs, ledger: &Ledger, out: &mut Records<'_>) -> Result<(), Error> {
    match args.what {
        ExportWhat::Calls => {
            let mut steps = Steps::default();
            ledger.for_each_call(|call| {
                let step = steps.at(ledger, call.session, call.at)?;
                out.push(&ExportedCall { step, ..ExportedCall::from(call) })
            })
        }
        ExportWhat::Sessions => {
            let mut calibrations = Calibrations::default();
            for record in &ledger.sessions()? {
                out.push(&ExportedSession::of(ledger, record, &mut calibrations)?)?;
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
            let zone = args.tz.clone().unwrap_or_else(|| context.zone.clone());
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
        ExportWhat::Steps => {
            let mut calibrations = Calibrations::default();
            for record in &ledger.sessions()? {
                for step in &ExportedSession::of(ledger, record, &mut calibrations)?.by_step {
                    out.push(&ExportedStep { session_id: &record.id, step })?;
                }
            }
            Ok(())
        }
        ExportWhat::Reports => {
            ledger.for_each_report(|report, session| out.push(&ExportedReport::of(report, session)))
        }
    }
}

/// The steps of sessions, each session's read once.
#[derive(Default)]
struct Steps(HashMap<SessionRow, Timeline>);

impl Steps {
    fn at(
        &mut self,
        ledger: &Ledger,
        session: SessionRow,
        at: Timestamp,
    ) -> Result<Option<&str>, StoreError> {
        let timeline = match self.0.entry(session) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(allocation::timeline(ledger, session)?),
        };
        Ok(timeline.at(at))
    }
}

/// Records on their way out.
struct Records<'c> {
    out: Stdout<'c>,
    format: ExportFormat,
    count: u64,
    /// The record, written in the place of the last one.
    line: String,
}

impl<'c> Records<'c> {
    fn begin(out: Stdout<'c>, format: ExportFormat, list: &str) -> Result<Self, Error> {
        let mut records = Self { out, format, count: 0, line: String::new() };
        if format == ExportFormat::Json {
            records.write(&format!("{{\n  \"schema_version\": 1,\n  \"{list}\": ["))?;
        }
        Ok(records)
    }

    fn push(&mut self, record: &impl Serialize) -> Result<(), Error> {
        let failed = |source| Error::Output { source };
        self.count += 1;
        let is_first = self.count == 1;
        let line = &mut self.line;
        line.clear();
        match self.format {
            ExportFormat::Json => {
                line.push_str(if is_first { "\n    " } else { ",\n    " });
                render::push_json(line, record).map_err(failed)?;
            }
            ExportFormat::Jsonl => {
                render::push_json(line, record).map_err(failed)?;
                line.push('\n');
            }
            ExportFormat::Csv => {
                if is_first {
                    let mut json = String::new();
                    render::push_json(&mut json, record).map_err(failed)?;
                    line.extend(render::csv_names(&json));
                }
                render::push_csv(line, record).map_err(failed)?;
            }
        }
        self.out.write(line, Passes::Text).map_err(failed)
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.out.write(text, Passes::Text).map_err(|source| Error::Output { source })
    }

    /// Returns how many there were.
    fn finish(mut self) -> Result<u64, Error> {
        if self.format == ExportFormat::Json {
            self.write(if self.count == 0 { "]\n}\n" } else { "\n  ]\n}\n" })?;
        }
        self.out.finish().map_err(|source| Error::Output { source })?;
        Ok(self.count)
    }
}
