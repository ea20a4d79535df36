//! Can nobody else read the ledger?

use super::{Check, Fix, Subject};
use crate::domain::OneLine as _;
use crate::platform::is_private;

const NAME: &str = "permissions";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    match is_private(subject.ledger_path) {
        None => Vec::new(),
        Some(true) => vec![Check::ok(NAME, "only you can read the ledger")],
        Some(false) => {
            let path = subject.ledger_path;
            let cure = format!("run `chmod go= {}`, or `tallyhook doctor --fix`", path.one_line());
            let found = "other users of this machine can read the ledger";
            vec![Check::warning(NAME, found, cure).with_fix(Fix::MakePrivate(path.to_path_buf()))]
        }
    }
}
