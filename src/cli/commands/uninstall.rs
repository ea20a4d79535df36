//! `tallyhook uninstall`: removes what is ours, and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::args::UninstallArgs;
use super::scopes::{contested_note, every_scope, other_files};
use super::{Context, diff};
use crate::domain::{OneLine as _, plural};
use crate::error::Error;
use crate::setup::other_clients::OtherClient;
use crate::setup::plan::{self, Backups, Made};
use crate::setup::{SetupError, link};
use crate::store::Spool;

pub(super) fn run(context: &Context, args: &UninstallArgs) -> Result<(), Error> {
    let backups = context.backups()?;
    let mut first_error = None;
    let mut removed = 0;
    let scopes = every_scope(context);
    let own: BTreeSet<PathBuf> = scopes.iter().flat_map(plan::files_of).collect();
    let own = own.into_iter().map(|path| (path, None));
    let others = other_files(context, &scopes).into_iter().map(|(path, other)| (path, Some(other)));
    for (path, other) in own.chain(others) {
        match remove_from(context, &path, other, &backups, args.dry_run) {
            Ok(true) => removed += 1,
            Ok(false) => {}
            // The other files are still to be cleaned.
            Err(error) => {
                context.say(&format!("tallyhook: {error}"));
                first_error.get_or_insert(error);
            }
        }
    }
    match (removed, args.dry_run) {
        (0, _) if first_error.is_some() => {}
        (0, _) => context.print("tallyhook's hook isn't registered\n")?,
        (files, true) => {
            let files = plural(files, "file");
            context.print(&format!("would be removed from {files} (--dry-run)\n"))?;
        }
        (files, false) => context.print(&format!("removed from {}\n", plural(files, "file")))?,
    }
    if let Some(error) = first_error {
        // The ledger knows the projects that are still to be cleaned, so it stays.
        return Err(error);
    }
    if !args.dry_run {
        link::remove(&context.env);
        for folder in [Some(backups.folder()), backups.folder().parent()].into_iter().flatten() {
            // They go only if nothing is left in them.
            let _gone = std::fs::remove_dir(folder).is_ok();
        }
    }
    if args.purge && !args.dry_run {
        purge(context, &backups, args.yes)?;
    }
    Ok(())
}

/// Removes the hook from one file; `false` if there was none.
fn remove_from(
    context: &Context,
    path: &Path,
    other: Option<&OtherClient>,
    backups: &Backups,
    dry_run: bool,
) -> Result<bool, Error> {
    let unregistering = || match other {
        None => plan::unregistering(path.to_path_buf(), backups),
        Some(other) => plan::unregistering_other(path.to_path_buf(), &other.format, backups),
    };
    let made = if dry_run {
        unregistering()?.map(|change| Made { change, contested: false })
    } else {
        plan::make(backups, unregistering)?
    };
    let Some(Made { change, contested }) = made else { return Ok(false) };
    if !dry_run {
        backups.forget(&change.path);
    }
    context.print(&diff::unified(&change))?;
    if contested {
        context.print(&format!("{}\n", contested_note(&change.path)))?;
    }
    Ok(true)
}

/// Removes the ledger with what lies beside it, the backups, the settings file and the prices, after asking. A file that is
/// no ledger is not touched, nor is anything that others have put into our folders.
fn purge(context: &Context, backups: &Backups, yes: bool) -> Result<(), Error> {
    let ledger = context.ledger_path()?;
    let is_own_place = ledger.parent() == context.env.data_folder().as_deref();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut waiting = Vec::new();
    // It fails for a file that is something else, whoever named it as the ledger.
    if context.ledger()?.is_some() || is_own_place {
        files.extend(["", "-wal", "-shm", "-journal"].map(|suffix| {
            let mut name = ledger.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        }));
        files.extend(["hook-errors.log", "hook-errors.log.1"].map(|name| ledger.with_file_name(name)));
        waiting = Spool::of(&ledger).all_files();
    }
    files.extend(backups.files());
    files.extend(context.env.config_path());
    files.extend(context.env.prices_path(None));
    files.retain(|path| path.is_file());
    if files.is_empty() && waiting.is_empty() {
        return Ok(());
    }
    let mut names: Vec<String> = files.iter().map(|path| format!("  {}\n", path.one_line())).collect();
    if !waiting.is_empty() {
        names.push(format!("  {}\n", plural(waiting.len() as u64, "queued event")));
    }
    context.print(&format!(
        "These files will be removed, with everything recorded in them:\n{}",
        names.concat()
    ))?;
    if !yes && !context.confirms("Remove them? [y/N] ") {
        return context.print("Nothing was deleted. Run this in a terminal, or add --yes.\n");
    }
    for path in files.iter().chain(&waiting) {
        std::fs::remove_file(path).map_err(|source| SetupError::Write { path: path.clone(), source })?;
    }
    let config = context.env.config_path();
    let spool = Spool::of(&ledger);
    let folders = [
        Some(backups.folder()),
        ledger.parent(),
        backups.folder().parent(),
        config.as_deref().and_then(Path::parent),
    ];
    for folder in spool.folders().chain(folders.into_iter().flatten()) {
        // These go only if nothing else is in them.
        let _gone = std::fs::remove_dir(folder).is_ok();
    }
    context.print("removed\n")
}
