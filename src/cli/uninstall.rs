//! `tallyhook uninstall`: removes what is ours, and nothing else.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use super::args::UninstallArgs;
use super::{Context, diff};
use crate::error::Error;
use crate::setup::SetupError;
use crate::setup::plan::{self, Backups};
use crate::setup::scope::{Scope, ScopeKind};

pub(super) fn run(context: &Context, args: &UninstallArgs) -> Result<(), Error> {
    let ledger = context.ledger_path()?;
    let backups = Backups::beside(&ledger);
    let mut first_error = None;
    let mut removed = 0;
    for scope in scopes(context) {
        match plan::unregistering(&scope, &backups) {
            Ok(changes) => {
                for change in &changes {
                    context.print(&diff::unified(change))?;
                }
                removed += changes.len();
                if !args.dry_run {
                    plan::apply(&changes, &backups)?;
                    changes.iter().for_each(|change| backups.forget(&change.path));
                }
            }
            // The other scopes are still to be cleaned.
            Err(error) => {
                context.say(&format!("tallyhook: {error}"));
                first_error.get_or_insert(error);
            }
        }
    }
    let done = match (removed, args.dry_run) {
        (0, _) => "no hook of tallyhook is registered\n".to_owned(),
        (files, true) => format!("would be removed from {files} files (--dry-run)\n"),
        (files, false) => format!("removed from {files} files\n"),
    };
    context.print(&done)?;
    if args.purge && !args.dry_run {
        purge(context, &ledger, &backups, args.yes)?;
    }
    match first_error {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Every scope that a hook of ours may be registered in: the user's, this project's, and those of all projects that
/// the ledger knows.
fn scopes(context: &Context) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = [ScopeKind::User, ScopeKind::Project]
        .into_iter()
        .filter_map(|kind| Scope::of(kind, &context.env))
        .collect();
    // A ledger that cannot be read must not keep anybody from leaving.
    let projects =
        context.ledger().ok().flatten().and_then(|ledger| ledger.projects().ok()).unwrap_or_default();
    scopes.extend(
        projects
            .into_iter()
            .map(|project| Scope { kind: ScopeKind::Project, folder: Path::new(&project).join(".claude") }),
    );
    let mut seen = BTreeSet::new();
    scopes.retain(|scope| seen.insert(scope.folder.clone()));
    scopes
}

/// Removes the ledger and the settings file, after asking.
fn purge(context: &Context, ledger: &Path, backups: &Backups, yes: bool) -> Result<(), Error> {
    let mut files: Vec<PathBuf> = ["", "-wal", "-shm", "-journal"]
        .iter()
        .map(|suffix| PathBuf::from(format!("{}{suffix}", ledger.display())))
        .collect();
    files.extend(["hook-errors.log", "hook-errors.log.1"].map(|name| ledger.with_file_name(name)));
    files.extend(context.env.config_path());
    files.retain(|path| path.is_file());
    if files.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = files.iter().map(|path| format!("  {}\n", path.display())).collect();
    context.print(&format!(
        "These files will be removed, and with them all that was recorded:\n{}",
        names.concat()
    ))?;
    if !yes && !confirmed() {
        return context.print("They were kept. Run it in a terminal, or with --yes.\n");
    }
    for path in files {
        std::fs::remove_file(&path).map_err(|source| SetupError::Write { path: path.clone(), source })?;
    }
    let _gone = std::fs::remove_dir_all(backups.folder()).is_ok();
    // These go only if nothing else is in them.
    for folder in
        [ledger.parent(), context.env.config_path().as_deref().and_then(Path::parent)].into_iter().flatten()
    {
        let _gone = std::fs::remove_dir(folder).is_ok();
    }
    context.print("removed\n")
}

/// Asks in the terminal; without one the answer is no.
fn confirmed() -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    let mut stdout = std::io::stdout();
    let asked = stdout.write_all(b"Remove them? [y/N] ").and_then(|()| stdout.flush());
    let mut answer = String::new();
    asked.is_ok() && stdin.lock().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
