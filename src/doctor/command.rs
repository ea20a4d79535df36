//! Does the registered command name a binary that is there, answers, and is this one? And a ledger that we look at?

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Subject};
use crate::platform::is_executable;
use crate::present::diagnosis::{BinaryState, Diagnosis, OtherLedger};
use crate::setup::client::says_version;
use crate::setup::command::Call;
use crate::setup::link;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let found = subject.view.files.iter().flat_map(|file| &file.found);
    let calls: Vec<Call> = found.filter_map(|found| found.entry.command.as_hook()).collect();
    let binaries: BTreeSet<&str> = calls.iter().map(|call| call.binary.as_str()).collect();
    let mut checks: Vec<Check> =
        binaries.into_iter().filter_map(|binary| of_binary(subject, binary)).collect();
    let ledgers: BTreeSet<&str> = calls.iter().filter_map(Call::ledger).collect();
    let other = ledgers.into_iter().filter_map(|ledger| of_ledger(subject, ledger));
    checks.extend(other.map(|other| Check::warning(Diagnosis::OtherLedger(other))));
    if calls.iter().any(|call| call.ledger().is_none()) {
        checks.extend(of_variable(subject));
    }
    checks
}

/// A ledger that a registered line names.
fn of_ledger(subject: &Subject<'_>, ledger: &str) -> Option<OtherLedger> {
    let path = subject.env.expand(Path::new(ledger));
    if path == subject.ledger_path {
        return None;
    }
    let is_relative = path.is_relative() && !ledger.contains('$');
    Some(if is_relative { OtherLedger::Relative(ledger.to_owned()) } else { OtherLedger::Named(path) })
}

/// A ledger that the client's settings name for the hook.
fn of_variable(subject: &Subject<'_>) -> Option<Check> {
    let (value, file) = subject.view.variable("TALLYHOOK_DB")?;
    let path = subject.env.expand(Path::new(value));
    let settings = file.to_path_buf();
    if path.is_relative() {
        let other = OtherLedger::RelativeVariable { value: value.to_owned(), settings };
        return Some(Check::failed(Diagnosis::OtherLedger(other)));
    }
    (path != subject.ledger_path)
        .then(|| Check::warning(Diagnosis::OtherLedger(OtherLedger::NamedByVariable { path, settings })))
}

fn of_binary(subject: &Subject<'_>, binary: &str) -> Option<Check> {
    let failed = |state: BinaryState| Some(Check::failed(Diagnosis::Binary(state)));
    let is_name = Path::new(binary).components().count() == 1;
    let path = if is_name {
        match link::find(subject.env) {
            Some(path) => path,
            None => return failed(BinaryState::NotOnPath(binary.to_owned())),
        }
    } else {
        subject.env.expand(Path::new(binary))
    };
    // Another variable than HOME only the client knows.
    if path.to_string_lossy().contains('$') {
        return None;
    }
    if !is_executable(&path) {
        return failed(BinaryState::Missing(path));
    }
    let version = match says_version(&path) {
        Ok(says) if says.starts_with("tallyhook") => says,
        Ok(_) => return failed(BinaryState::Foreign(path)),
        Err(reason) => return failed(BinaryState::Broken { path, reason }),
    };
    Some(match subject.env.binary() {
        Some(own) if own.canonicalize().ok() != path.canonicalize().ok() => {
            Check::warning(Diagnosis::Binary(BinaryState::Other { path, version, own }))
        }
        _ => Check::ok(Diagnosis::Binary(BinaryState::Own { path, version })),
    })
}
