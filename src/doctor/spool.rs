//! Do events wait for the ledger? The checks before have opened it, which stores what waits.

use super::{Check, Subject};
use crate::store::{Spool, SpoolState};

const NAME: &str = "spool";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let SpoolState { waiting, unreadable } = Spool::of(subject.ledger_path).state();
    if unreadable > 0 {
        let found = format!("{unreadable} events beside the ledger could not be understood");
        return vec![Check::warning(
            NAME,
            found,
            "install the newest release, or remove the *.unreadable files",
        )];
    }
    if waiting > 0 {
        let found = format!("{waiting} events wait beside the ledger");
        return vec![Check::warning(NAME, found, "see whether another program holds the ledger")];
    }
    vec![Check::ok(NAME, "no event waits")]
}
