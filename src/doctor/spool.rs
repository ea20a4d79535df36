//! Do events wait for the ledger? The checks before have opened it, which stores what waits.

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, SpoolFinding};
use crate::store::{Spool, SpoolState};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let SpoolState { waiting, forbidden, unreadable } = Spool::of(subject.ledger_path).state();
    let found = if unreadable > 0 {
        SpoolFinding::Unreadable(unreadable)
    } else if forbidden > 0 {
        SpoolFinding::Forbidden(forbidden)
    } else if waiting > 0 {
        SpoolFinding::Waiting(waiting)
    } else {
        return vec![Check::ok(Diagnosis::Spool(SpoolFinding::Empty))];
    };
    vec![Check::warning(Diagnosis::Spool(found))]
}
