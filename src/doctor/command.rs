//! Does the registered command name a binary that is there, answers, and is this one? And a ledger that we look at?

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Subject};
use crate::domain::OneLine as _;
use crate::platform::is_executable;
use crate::setup::client::says_version;
use crate::setup::command::Call;
use crate::setup::link;

const NAME: &str = "binary";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let found = subject.view.files.iter().flat_map(|file| &file.found);
    let calls: Vec<Call> = found.filter_map(|found| found.entry.command.as_hook()).collect();
    let binaries: BTreeSet<&str> = calls.iter().map(|call| call.binary.as_str()).collect();
    let mut checks: Vec<Check> =
        binaries.into_iter().filter_map(|binary| of_binary(subject, binary)).collect();
    let ledgers: BTreeSet<&str> = calls.iter().filter_map(Call::ledger).collect();
    checks.extend(ledgers.into_iter().filter_map(|ledger| of_ledger(subject, ledger)));
    if calls.iter().any(|call| call.ledger().is_none()) {
        checks.extend(of_variable(subject));
    }
    checks
}

/// A ledger that a registered line names.
fn of_ledger(subject: &Subject<'_>, ledger: &str) -> Option<Check> {
    let path = subject.env.expand(Path::new(ledger));
    if path == subject.ledger_path {
        return None;
    }
    if path.is_relative() && !ledger.contains('$') {
        let found = format!(
            "the hook writes to {ledger}, a relative path, so it writes to a different file in each folder"
        );
        return Some(Check::warning("ledger", found, "use an absolute path, or one that starts with ~/"));
    }
    let path = path.one_line();
    let found = format!("the hook writes to {path}, not to the ledger checked here");
    Some(Check::warning("ledger", found, format!("run `tallyhook --db {path} doctor`")))
}

/// A ledger that the client's settings name for the hook.
fn of_variable(subject: &Subject<'_>) -> Option<Check> {
    let (value, file) = subject.view.variable("TALLYHOOK_DB")?;
    let path = subject.env.expand(Path::new(value));
    let (file, shown) = (file.one_line(), path.one_line());
    if path.is_relative() {
        let found = format!("TALLYHOOK_DB is {value:?} in {file}: a relative path, so the hook ignores it");
        return Some(Check::failed("ledger", found, "use an absolute path, or one that starts with ~/"));
    }
    (path != subject.ledger_path).then(|| {
        let found = format!(
            "{file} sets TALLYHOOK_DB, so the hook writes to {shown}, not to the ledger checked here"
        );
        Check::warning("ledger", found, format!("run `tallyhook --db {shown} doctor`"))
    })
}

fn of_binary(subject: &Subject<'_>, binary: &str) -> Option<Check> {
    let cure = "install tallyhook there, or run `tallyhook init` again from its current location";
    let failed = |found: String| Some(Check::failed(NAME, found, cure));
    let is_name = Path::new(binary).components().count() == 1;
    let path = if is_name {
        match link::find(subject.env) {
            Some(path) => path,
            None => {
                return failed(format!(
                    "{binary} is registered by name but isn't on your PATH, so nothing is recorded"
                ));
            }
        }
    } else {
        subject.env.expand(Path::new(binary))
    };
    // Another variable than HOME only the client knows.
    if path.to_string_lossy().contains('$') {
        return None;
    }
    let shown = path.one_line();
    if !is_executable(&path) {
        return failed(format!("{shown} is registered but doesn't exist, so nothing is recorded"));
    }
    let says = match says_version(&path) {
        Ok(says) if says.starts_with("tallyhook") => says,
        Ok(_) => return failed(format!("{shown} is registered but isn't tallyhook, so nothing is recorded")),
        Err(reason) => {
            return failed(format!(
                "{shown} is registered but doesn't run ({reason}), so nothing is recorded"
            ));
        }
    };
    Some(match subject.env.binary() {
        Some(own) if own.canonicalize().ok() != path.canonicalize().ok() => {
            let found = format!("{shown} ({says}) is registered; this is {}", own.one_line());
            Check::warning(NAME, found, "run `tallyhook init` to use this one")
        }
        _ => Check::ok(NAME, format!("{shown} ({says})")),
    })
}
