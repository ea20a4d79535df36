//! Is the ledger there, ours, and sound? Can it be written?

use std::path::Path;

use super::{Check, Fix, Subject};
use crate::domain::OneLine as _;
use crate::platform::{free_bytes, is_writable};
use crate::store::SCHEMA_VERSION;

const NAME: &str = "ledger";
/// What a new ledger takes.
const NEEDED_BYTES: u64 = 256 << 10;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let mut checks = of_ledger(subject);
    if let Some(reason) = unwritable(subject.ledger_path) {
        // That it will be made is not true then.
        checks.retain(|_| !matches!(subject.ledger, Ok(None)));
        let cure =
            "fix this, or choose another ledger with --db or TALLYHOOK_DB; until then, nothing is recorded";
        checks.push(Check::failed(NAME, reason, cure));
    }
    checks
}

/// Why a ledger cannot be made or written there.
fn unwritable(path: &Path) -> Option<String> {
    let mut parts = path.ancestors();
    let there = parts.find(|part| part.exists())?;
    // Beside a ledger its log is made, and above a missing one its folders are.
    let folder = if there == path { path.parent()? } else { there };
    if !folder.is_dir() {
        return Some(format!("{} can't be created: {} isn't a folder", path.one_line(), folder.one_line()));
    }
    if let Some(part) = [there, folder].into_iter().find(|part| is_writable(part) == Some(false)) {
        return Some(if there == path {
            format!("you don't have permission to write to {}, so nothing is recorded", part.one_line())
        } else {
            format!(
                "{} can't be created: you don't have permission to write to {}",
                path.one_line(),
                part.one_line()
            )
        });
    }
    free_bytes(folder)
        .is_some_and(|free| free < NEEDED_BYTES)
        .then(|| format!("the disk that holds {} is full", folder.one_line()))
}

fn of_ledger(subject: &Subject<'_>) -> Vec<Check> {
    let path = subject.ledger_path.one_line();
    let ledger = match &subject.ledger {
        Ok(Some(ledger)) => ledger,
        Ok(None) => {
            return vec![Check::ok(
                NAME,
                format!("{path} doesn't exist yet; the first hook event creates it"),
            )];
        }
        Err(error) if error.is_damage() => return vec![damaged(error.to_string())],
        Err(error) => {
            let cure = "make the file readable and writable, or choose another one with --db or TALLYHOOK_DB";
            return vec![Check::failed(NAME, error.to_string(), cure)];
        }
    };
    let size = std::fs::metadata(subject.ledger_path).map_or(0, |metadata| metadata.len());
    vec![match ledger.fault() {
        Ok(None) => {
            let size = match size.div_ceil(1024) {
                kb @ 0..10_000 => format!("{kb} KB"),
                kb => format!("{} MB", kb.div_ceil(1024)),
            };
            Check::ok(NAME, format!("{path} is intact ({size}, schema {SCHEMA_VERSION})"))
        }
        Ok(Some(fault)) => damaged(format!("{path} is damaged: {fault}")),
        Err(error) if error.is_damage() => damaged(error.to_string()),
        Err(error) => Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again"),
    }]
}

/// What to do about a ledger that SQLite calls damaged.
fn damaged(found: String) -> Check {
    let cure = "run `tallyhook doctor --fix`: it sets the file aside, keeps everything still readable, and rereads the \
                transcripts for the rest; until then, events are queued";
    Check::failed(NAME, found, cure).with_fix(Fix::Recover)
}
