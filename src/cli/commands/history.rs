//! `tallyhook history`.

use super::args::HistoryArgs;
use super::cost::folders;
use super::{Context, Extent};
use crate::domain::OneLine as _;
use crate::error::Error;
use crate::present::Present as _;
use crate::report::history::{History, ListedSessions};

pub(super) fn run(context: &Context, args: &HistoryArgs) -> Result<(), Error> {
    let folders = args.project.as_ref().map(|project| folders(context.env.cwd(), project));
    let limit = if args.all { usize::MAX } else { args.limit as usize };
    let mut ledger = context.ledger()?;
    let history = match &mut ledger {
        Some(ledger) => {
            let sessions =
                ListedSessions::of(ledger, folders.as_deref(), args.sort.into(), context.env.now())?;
            context.refresh_calls(ledger, sessions.first(limit))?;
            let history = History::of(ledger, &sessions, limit)?;
            ledger.release_pages()?;
            history
        }
        None => History::none(),
    };
    let has_data = history.has_data();
    context.show(args.output.format(), &history, Extent::default())?;
    if has_data {
        return Ok(());
    }
    if ledger.is_none() {
        return Err(context.no_ledger()?);
    }
    let what = match &args.project {
        Some(project) => format!("no sessions are recorded for {}", project.one_line()),
        None => {
            "the ledger has no sessions yet; the first hook event adds one, and `tallyhook import` adds earlier sessions"
                .to_owned()
        }
    };
    Err(Error::NoData { what })
}
