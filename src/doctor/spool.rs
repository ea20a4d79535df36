//! Do events wait for the ledger? The checks before have opened it, which stores what waits.

use super::{Check, Subject};
use crate::store::{Spool, SpoolState};

const NAME: &str = "spool";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let SpoolState { waiting, forbidden, unreadable } = Spool::of(subject.ledger_path).state();
    if unreadable > 0 {
        let found = format!("queued events that couldn't be read: {unreadable}");
        return vec![Check::warning(
            NAME,
            found,
            "install the latest release, or remove the folder whose name ends in .spool-unreadable",
        )];
    }
    if forbidden > 0 {
        let found = format!("queued events or folders that belong to another user: {forbidden}");
        return vec![Check::warning(
            NAME,
            found,
            "change the owner of the folder whose name ends in .spool to yourself (chown -R); the next event then stores them",
        )];
    }
    if waiting > 0 {
        let found = format!("events queued: {waiting}");
        return vec![Check::warning(NAME, found, "check whether another program has the ledger locked")];
    }
    vec![Check::ok(NAME, "queue empty")]
}
