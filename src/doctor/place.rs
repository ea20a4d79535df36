//! Is the ledger on a local disk?

use super::{Check, Subject};
use crate::platform::is_on_network;

const NAME: &str = "file system";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    vec![match is_on_network(subject.ledger_path) {
        Some(true) => Check::warning(
            NAME,
            "the ledger is on a network mount, where writes are slow and locks aren't reliable",
            "move it to a local disk with TALLYHOOK_DB",
        ),
        Some(false) => Check::ok(NAME, "the ledger is on a local disk"),
        None => Check::ok(NAME, "this system doesn't say whether the disk is local"),
    }]
}
