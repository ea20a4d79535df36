//! Is the ledger on a local disk?

use super::{Check, Subject};
use crate::platform::is_on_network;

const NAME: &str = "file system";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    vec![match is_on_network(subject.ledger_path) {
        Some(true) => Check::warning(
            NAME,
            "the ledger lies on a network mount, where writing is slow and locks are not always kept",
            "put it on a local disk with TALLYHOOK_DB",
        ),
        Some(false) => Check::ok(NAME, "the ledger lies on a local disk"),
        None => Check::ok(NAME, "this system does not tell whether the disk is local"),
    }]
}
