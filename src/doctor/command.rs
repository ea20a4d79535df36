//! Does the registered command name a binary that is there, answers, and is this one? And a ledger that we look at?

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Subject};
use crate::platform::is_executable;
use crate::setup::client::version_line;
use crate::setup::command::HookLine;
use crate::setup::{command, files, settings};

const NAME: &str = "binary";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let lines = registered_lines(subject);
    let binaries: BTreeSet<&str> = lines.iter().map(|line| line.binary.as_str()).collect();
    let mut checks: Vec<Check> = binaries.into_iter().map(|binary| of_binary(subject, binary)).collect();
    let ledgers: BTreeSet<&str> = lines.iter().filter_map(|line| line.ledger.as_deref()).collect();
    for ledger in ledgers.into_iter().filter(|ledger| Path::new(ledger) != subject.ledger_path) {
        let found = format!("the hook writes to {ledger}, not to the ledger looked at here");
        checks.push(Check::warning("ledger", found, format!("run `tallyhook --db {ledger} doctor`")));
    }
    checks
}

fn registered_lines(subject: &Subject<'_>) -> Vec<HookLine> {
    let paths = subject.scopes.iter().flat_map(|scope| [scope.settings(), scope.local_settings()]);
    let texts = paths.filter_map(|path| files::read(&path).ok().flatten());
    let found = texts.flat_map(|text| settings::registered(&text).unwrap_or_default());
    found.filter_map(|hook| command::parse(&hook.command)).collect()
}

fn of_binary(subject: &Subject<'_>, binary: &str) -> Check {
    let path = Path::new(binary);
    let cure = "install tallyhook there, or run `tallyhook init` from where it is now";
    if path.is_absolute() && !is_executable(path) {
        return Check::failed(
            NAME,
            format!("{binary} is registered but is not there, so nothing is recorded"),
            cure,
        );
    }
    let Some(says) = version_line(path).filter(|says| says.starts_with("tallyhook")) else {
        return Check::failed(
            NAME,
            format!("{binary} is registered but does not run, so nothing is recorded"),
            cure,
        );
    };
    match subject.env.binary() {
        Some(own) if path.is_absolute() && own.canonicalize().ok() != path.canonicalize().ok() => {
            let found = format!("{binary} ({says}) is registered, this is {}", own.display());
            Check::warning(NAME, found, "run `tallyhook init` if this one is to be used")
        }
        _ => Check::ok(NAME, format!("{binary} ({says})")),
    }
}
