//! Is the ledger there, ours, and sound? Can it be written?

use std::path::Path;

use super::{Check, Fix, Subject};
use crate::platform::{free_bytes, is_writable};
use crate::present::diagnosis::{Diagnosis, LedgerState, Topic};
use crate::store::SCHEMA_VERSION;

/// What a new ledger takes.
const NEEDED_BYTES: u64 = 256 << 10;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let mut checks = vec![of_ledger(subject)];
    if let Some(state) = unwritable(subject.ledger_path) {
        // That it will be made is not true then.
        checks.retain(|_| !matches!(subject.ledger, Ok(None)));
        checks.push(Check::failed(Diagnosis::Ledger(state)));
    }
    checks
}

/// Why a ledger cannot be made or written there.
fn unwritable(path: &Path) -> Option<LedgerState> {
    let mut parts = path.ancestors();
    let there = parts.find(|part| part.exists())?;
    // Beside a ledger its log is made, and above a missing one its folders are.
    let folder = if there == path { path.parent()? } else { there };
    let whole = || path.to_path_buf();
    if !folder.is_dir() {
        return Some(LedgerState::NotAFolder { path: whole(), part: folder.to_path_buf() });
    }
    if let Some(part) = [there, folder].into_iter().find(|part| is_writable(part) == Some(false)) {
        let part = part.to_path_buf();
        return Some(if there == path {
            LedgerState::ReadOnly(part)
        } else {
            LedgerState::FolderReadOnly { path: whole(), folder: part }
        });
    }
    free_bytes(folder)
        .is_some_and(|free| free < NEEDED_BYTES)
        .then(|| LedgerState::DiskFull(folder.to_path_buf()))
}

fn of_ledger(subject: &Subject<'_>) -> Check {
    let path = subject.ledger_path.to_path_buf();
    let damaged = |state| Check::failed(Diagnosis::Ledger(state)).with_fix(Fix::Recover);
    let ledger = match &subject.ledger {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return Check::ok(Diagnosis::Ledger(LedgerState::Absent(path))),
        Err(error) if error.is_damage() => return damaged(LedgerState::Unopened(error.to_string())),
        Err(error) => return Check::failed(Diagnosis::Ledger(LedgerState::Inaccessible(error.to_string()))),
    };
    match ledger.fault() {
        Ok(None) => {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            Check::ok(Diagnosis::Ledger(LedgerState::Intact { path, bytes, schema: SCHEMA_VERSION }))
        }
        Ok(Some(fault)) => damaged(LedgerState::Damaged { path, fault }),
        Err(error) if error.is_damage() => damaged(LedgerState::Unopened(error.to_string())),
        Err(error) => Check::unanswered(Topic::Ledger, &error),
    }
}
