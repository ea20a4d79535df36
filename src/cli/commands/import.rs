//! `tallyhook import`.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::Context;
use super::args::ImportArgs;
use crate::domain::{Client, OneLine as _, grouped, plural};
use crate::error::Error;
use crate::ingest::backfill::{self, ClientReport, ImportProgress, ImportReport, LogRoot};
use crate::store::Ledger;

/// How many files with skipped lines are named.
const MAX_NAMED: usize = 10;
/// How often the progress is shown.
const PAUSE: Duration = Duration::from_millis(100);

/// The answer of `import --json`.
#[derive(Serialize)]
struct ImportAnswer<'a> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a ImportReport,
}

pub(super) fn run(context: &Context, args: &ImportArgs) -> Result<(), Error> {
    let client = Client::from_name(&args.client);
    let roots = match &args.path {
        Some(path) => vec![LogRoot { path: context.env.cwd().join(path), client }],
        None => backfill::usual_roots(&context.env, client),
    };
    let is_missing = |root: &&LogRoot| matches!(root.path.try_exists(), Ok(false));
    if let Some(missing) = args.path.as_ref().and(roots.iter().find(is_missing)) {
        if args.json {
            print_json(context, &ImportReport::default())?;
        }
        return Err(Error::NoData { what: format!("{} doesn't exist", missing.path.one_line()) });
    }
    let report = read(context, &context.ledger_path()?, &roots)?;
    if args.json {
        print_json(context, &report)?;
    } else {
        context.print(&summary(&report))?;
    }
    if report.unread_folders > 0 {
        return Err(Error::NotImported { folders: report.unread_folders });
    }
    if report.files > 0 && report.files_refused == report.files {
        let what = match client {
            Some(client) => format!("no logs of {} found; nothing was imported", client.title()),
            None => "no logs of a known client found; nothing was imported".to_owned(),
        };
        return Err(Error::NoData { what });
    }
    if report.files == 0 {
        let looked: Vec<String> = roots.iter().map(|root| root.path.one_line()).collect();
        let place = match (client, &args.path) {
            (None, None) => "the usual folders of any client".to_owned(),
            _ => looked.join(", "),
        };
        return Err(Error::NoData { what: format!("no logs in {place}; choose a folder with --path") });
    }
    Ok(())
}

fn print_json(context: &Context, report: &ImportReport) -> Result<(), Error> {
    let answer = ImportAnswer { schema_version: 1, report };
    context.print_json(&answer)
}

/// Imports all below `roots`, with the progress on stderr if that is a terminal.
pub(super) fn read(context: &Context, ledger: &Path, roots: &[LogRoot]) -> Result<ImportReport, Error> {
    let config = context.config(None)?;
    let mut ledger = Ledger::open_or_create(ledger)?;
    ledger.set_prices(context.prices()?);
    ledger.reprice()?;
    let is_watched = context.console.is_stderr_watched();
    let mut shown_at = std::time::Instant::now();
    let report = backfill::run(&mut ledger, &context.env, &config, roots, |progress| {
        if is_watched && shown_at.elapsed() >= PAUSE {
            shown_at = std::time::Instant::now();
            context.console.show_progress(&bar(progress));
        }
    })?;
    if is_watched {
        context.console.show_progress("");
    }
    Ok(report)
}

/// How far an import is, as a line of a terminal.
fn bar(progress: ImportProgress) -> String {
    const WIDTH: u64 = 24;
    let ImportProgress { files, bytes } = progress;
    let filled = usize::try_from(bytes.0.min(bytes.1) * WIDTH / bytes.1.max(1)).unwrap_or(0);
    let bar: String = (0..WIDTH as usize).map(|at| if at < filled { '#' } else { '.' }).collect();
    let mega = |bytes: u64| bytes / 1_000_000;
    format!("{bar} {} of {} files, {} of {} MB", files.0, files.1, mega(bytes.0), mega(bytes.1))
}

pub(super) fn summary(report: &ImportReport) -> String {
    let of = |client: &ClientReport| {
        format!(
            "{}: {} in {}, from {} ({} unchanged), {}, {:.1} MB",
            client.client.title(),
            plural(client.responses, "new response"),
            plural(client.sessions, "session"),
            plural(client.files, "file"),
            grouped(client.files_unchanged),
            plural(client.lines, "line"),
            client.bytes as f64 / 1e6,
        )
    };
    let mut lines: Vec<String> = report.clients.iter().map(of).collect();
    for skipped in report.skipped.iter().take(MAX_NAMED) {
        let file = crate::domain::clean_name(&skipped.file, 400).unwrap_or_default();
        lines.push(match skipped.lines {
            Some(1) => format!("skipped 1 line of {file}: {}", skipped.reason),
            Some(lines) => format!("skipped {lines} lines of {file}: {}", skipped.reason),
            None => format!("skipped {file}: {}", skipped.reason),
        });
    }
    if report.skipped.len() > MAX_NAMED {
        lines.push(format!("and {} more files (--json lists all)", report.skipped.len() - MAX_NAMED));
    }
    lines.push(String::new());
    lines.join("\n")
}
