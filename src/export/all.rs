//! All records of one kind, streamed from the ledger.

use std::collections::HashMap;

use super::{
    ExportError, ExportedCall, ExportedCompaction, ExportedDay, ExportedReport, ExportedResponse,
    ExportedSession, ExportedStep, Record, RecordKind, RecordSink, RunTypes,
};
use crate::allocation::{self, Calibrations};
use crate::calendar::{Day, Zone};
use crate::domain::{Timeline, Timestamp};
use crate::report::cost::{By, CostReport, Query};
use crate::report::usage::steps_of;
use crate::store::{Ledger, SessionRow, StoreError};

/// What an export is asked for beside its kind.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Whose days are counted.
    pub zone: Zone,
    /// Today in that zone.
    pub today: Day,
}

/// Steps of sessions are kept for calls while all of them together have no more parts than this.
const MAX_SPANS: usize = 50_000;

/// Hands every record of a kind to `sink`; returns how many there were. Of sessions and steps, what costs came from is what
/// [`allocation::refresh`] has brought up to date.
///
/// # Errors
/// If the ledger cannot be read, or the sink fails.
pub fn write_all<S: RecordSink>(
    ledger: &Ledger,
    kind: RecordKind,
    options: &ExportOptions,
    sink: &mut S,
) -> Result<u64, ExportError<S::Error>> {
    sink.begin(kind).map_err(ExportError::Sink)?;
    let mut count = 0;
    let mut push = |record: &Record<'_>| {
        count += 1;
        sink.record(record).map_err(ExportError::Sink)
    };
    match kind {
        RecordKind::Calls => {
            let mut steps = Steps::default();
            ledger.records().for_each_call(|call| {
                let step = steps.at(ledger, call.session, call.at)?;
                push(&Record::Call(&ExportedCall { step, ..ExportedCall::from(call) }))
            })?;
        }
        RecordKind::Sessions => {
            let mut calibrations = Calibrations::default();
            for record in &ledger.sessions().all()? {
                push(&Record::Session(&ExportedSession::of(ledger, record, &mut calibrations)?))?;
            }
        }
        RecordKind::Responses => {
            let types = RunTypes::read(ledger)?;
            ledger.records().for_each_response(|message, session| {
                let record = ExportedResponse::of(&message, session, &types, ledger.prices());
                push(&Record::Response(&record))
            })?;
        }
        RecordKind::Days => {
            let ExportOptions { zone, today } = options.clone();
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
            for row in CostReport::of(ledger, &query)?.rows {
                push(&Record::Day(&ExportedDay::from(row)))?;
            }
        }
        RecordKind::Steps => {
            for record in &ledger.sessions().all()? {
                for step in &steps_of(ledger, record)? {
                    push(&Record::Step(&ExportedStep { session_id: &record.id, step }))?;
                }
            }
        }
        RecordKind::Compactions => ledger.records().for_each_compaction(|session_id, compaction| {
            push(&Record::Compaction(&ExportedCompaction::of(session_id, compaction)))
        })?,
        RecordKind::Reports => ledger
            .records()
            .for_each_report(|report, session| push(&Record::Report(&ExportedReport::of(report, session))))?,
    }
    sink.end().map_err(ExportError::Sink)?;
    Ok(count)
}

/// The steps of sessions, each session's read once in a while.
#[derive(Default)]
struct Steps {
    known: HashMap<SessionRow, Timeline>,
    spans: usize,
}

impl Steps {
    fn at(
        &mut self,
        ledger: &Ledger,
        session: SessionRow,
        at: Timestamp,
    ) -> Result<Option<&str>, StoreError> {
        if !self.known.contains_key(&session) {
            let timeline = allocation::timeline(ledger, session)?;
            self.spans += 1 + timeline.spans().len();
            if self.spans > MAX_SPANS {
                self.known.clear();
                self.spans = 1 + timeline.spans().len();
            }
            self.known.insert(session, timeline);
        }
        Ok(self.known.get(&session).and_then(|timeline| timeline.at(at)))
    }
}
