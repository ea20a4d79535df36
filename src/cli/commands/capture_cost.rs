//! `tallyhook capture-cost`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::args::CaptureCostArgs;
use super::session::{find, not_found};
use super::{Context, Extent};
use crate::clients::claude_code::cost_screen;
use crate::domain::CapturedCost;
use crate::error::Error;
use crate::ingest::turn;
use crate::report::capture::CaptureReport;

/// More than any screen has, in bytes. The rest is not read.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn run(context: &Context, args: &CaptureCostArgs) -> Result<(), Error> {
    let cost = cost_screen::parse(&read(context, args.file.as_deref())?);
    let mut report = CaptureReport::without_session(&cost);
    let mut missing = None;
    if cost.is_empty() {
        missing = Some("this doesn't look like the output of /cost or /usage".to_owned());
    } else if let Some(found) = compared(context, args, &cost)? {
        report = found;
    } else {
        let what = not_found(context, context.ledger()?.as_ref(), args.session.as_deref())?;
        missing = Some(format!("read but not saved: {what}"));
    }
    context.show(args.output.format(), &report, Extent::default())?;
    missing.map_or(Ok(()), |what| Err(Error::NoData { what }))
}

/// Keeps the reading and compares it; `None` if there is no such session.
fn compared(
    context: &Context,
    args: &CaptureCostArgs,
    cost: &CapturedCost,
) -> Result<Option<CaptureReport>, Error> {
    let Some(mut ledger) = context.ledger()? else { return Ok(None) };
    let Some(record) = find(context, &ledger, args.session.as_deref())? else { return Ok(None) };
    let config = context.config(record.project.as_deref())?;
    for fault in turn::catch_up(&mut ledger, &context.env, &config, &record)? {
        // What is in the ledger is still right, only not the newest.
        context.say(&format!("tallyhook: {fault}"));
    }
    let kept = ledger.witnesses_mut().keep_captured(record.row, cost, context.env.now())?;
    Ok(Some(CaptureReport { kept, ..CaptureReport::of(&ledger, &record, cost)? }))
}

fn read(context: &Context, file: Option<&Path>) -> Result<String, Error> {
    let file = file.filter(|file| *file != Path::new("-"));
    let mut bytes = Vec::new();
    let done = if let Some(file) = file {
        context.open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
    } else {
        if context.console.is_stdin_typed() {
            context.say("Paste the output of /cost, then press Ctrl-D.");
        }
        context.console.with_stdin(|stdin| stdin.take(MAX_BYTES).read_to_end(&mut bytes))
    };
    let path = || file.map_or_else(|| PathBuf::from("stdin"), |file| context.env.cwd().join(file));
    done.map_err(|source| Error::Input { path: path(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
