//! Do events wait for the ledger? The checks before have opened it, which stores what waits.

use super::{Check, Subject};
use crate::store::{Spool, SpoolState};

const NAME: &str = "spool";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let SpoolState { waiting, forbidden, unreadable } = Spool::of(subject.ledger_path).state();
    if unreadable > 0 {
        let found = format!("{unreadable} queued events couldn't be read");
        return vec![Check::warning(
            NAME,
            found,
            "install the newest release, or remove the folder whose name ends in .spool-unreadable",
        )];
    }
    if forbidden > 0 {
        let found = format!("{forbidden} queued events or folders belong to another user");
        return vec![Check::warning(
            NAME,
            found,
            "take over the folder whose name ends in .spool with chown -R; the next event stores them",
        )];
    }
    if waiting > 0 {
        let found = format!("{waiting} events are queued");
        return vec![Check::warning(NAME, found, "check whether another program has the ledger locked")];
    }
    vec![Check::ok(NAME, "queue empty")]
}
