//! `tallyhook cost`.

use std::path::{Component, Path, PathBuf};

use super::args::{CostArgs, CostBy, FormatArgs};
use super::{Context, Extent};
use crate::calendar::{AskedDay, Day, Zone};
use crate::domain::project_folder;
use crate::error::Error;
use crate::report::cost::{By, CostReport, Query};
use crate::store::{BucketFilter, Ledger};

pub(super) fn run(context: &Context, args: &CostArgs) -> Result<(), Error> {
    let query = query(context, args)?;
    let report = match context.priced_ledger(&context.prices()?)? {
        Some(mut ledger) => {
            if query.compare || matches!(query.by, By::AllocationKey(_)) {
                context.refresh_allocations(&mut ledger)?;
            }
            CostReport::of(&ledger, &query)?
        }
        None => CostReport::none(query.by),
    };
    let extent = Extent { is_detailed: args.detail, shows_all: args.all };
    context.show(args.output.format(), &report, extent)?;
    match (report.is_empty(), context.ledger_path()?.exists()) {
        (false, _) => Ok(()),
        (true, false) => Err(context.no_ledger()?),
        (true, true) => {
            let is_filtered = args.since.is_some()
                || args.until.is_some()
                || args.project.is_some()
                || args.model.is_some()
                || args.compare;
            Err(Error::NoData { what: nothing(is_filtered) })
        }
    }
}

/// Today, where the user is.
pub(super) fn today(context: &Context, zone: &Zone) -> Result<Day, Error> {
    zone.day_of(context.env.now())
        .ok_or_else(|| Error::Usage { what: "the system clock's date is invalid".to_owned() })
}

fn query(context: &Context, args: &CostArgs) -> Result<Query, Error> {
    let zone = args.tz.clone().unwrap_or_else(|| context.zone.clone());
    let today = today(context, &zone)?;
    let (since, until) = (args.since.map(|day| day.first(today)), args.until.map(|day| day.last(today)));
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        let what = format!("--since ({since}) is after --until ({until}); swap them");
        return Err(Error::Usage { what });
    }
    Ok(Query {
        by: args.by.into(),
        since,
        until,
        projects: args.project.as_ref().map(|project| folders(context.env.cwd(), project)),
        model: args.model.clone(),
        compare: args.compare,
        today,
        zone,
    })
}

/// Which part of the ledger is asked for.
pub(super) struct LedgerPart<'a> {
    pub(super) since: Option<AskedDay>,
    pub(super) until: Option<AskedDay>,
    pub(super) project: Option<&'a Path>,
    pub(super) model: Option<&'a str>,
    pub(super) tz: Option<&'a Zone>,
}

/// The part of the ledger that is asked for, as a filter that the ledger takes.
pub(super) fn filter(
    context: &Context,
    ledger: &Ledger,
    place: &LedgerPart<'_>,
) -> Result<BucketFilter, Error> {
    let args = CostArgs {
        by: CostBy::Day,
        since: place.since,
        until: place.until,
        project: place.project.map(Path::to_path_buf),
        model: place.model.map(str::to_owned),
        tz: place.tz.cloned(),
        compare: false,
        detail: false,
        all: false,
        output: FormatArgs::default(),
    };
    Ok(CostReport::filter(ledger, &query(context, &args)?)?)
}

/// The names under which the ledger may know a folder: as it was given, and without links.
pub(super) fn folders(cwd: &Path, given: &Path) -> Vec<PathBuf> {
    let mut plain = PathBuf::new();
    // What was recorded on Windows is absolute here too.
    let is_of_windows = given.to_str().is_some_and(
        |given| matches!(given.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic()),
    );
    let absolute = if is_of_windows { given.to_path_buf() } else { cwd.join(given) };
    for part in absolute.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    let real = plain.canonicalize().ok().filter(|real| *real != plain);
    // In the letter of a drive as the ledger has it.
    let named = |path: PathBuf| {
        path.into_os_string().into_string().map_or_else(PathBuf::from, |path| project_folder(path).into())
    };
    std::iter::once(plain).chain(real).map(named).collect()
}

/// Why there is nothing to show.
pub(super) fn nothing(is_filtered: bool) -> String {
    if is_filtered {
        "no matching spending; widen the dates, or leave out --project or --model".to_owned()
    } else {
        "the ledger has no usage yet; it is added when the first turn ends".to_owned()
    }
}
