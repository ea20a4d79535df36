//! Do events wait for the ledger? The checks before have opened it, which stores what waits.

use super::{Check, Subject};
use crate::store::{Spool, SpoolState};

const NAME: &str = "spool";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let SpoolState { waiting, forbidden, unreadable } = Spool::of(subject.ledger_path).state();
    if unreadable > 0 {
        let found = format!("{unreadable} events beside the ledger could not be understood");
        return vec![Check::warning(
            NAME,
            found,
            "install the newest release, or remove the folder whose name ends in .spool-unreadable",
        )];
    }
    if forbidden > 0 {
        let found = format!("{forbidden} events or folders beside the ledger belong to another user");
        return vec![Check::warning(
            NAME,
            found,
            "give the folder whose name ends in .spool to yourself with chown -R; the next event stores them",
        )];
    }
    if waiting > 0 {
        let found = format!("{waiting} events wait beside the ledger");
        return vec![Check::warning(NAME, found, "see whether another program holds the ledger")];
    }
    vec![Check::ok(NAME, "no event waits")]
}
