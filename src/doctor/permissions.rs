//! Can nobody else read the ledger?

use super::{Check, Fix, Subject};
use crate::platform::is_private;
use crate::present::diagnosis::Diagnosis;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    match is_private(subject.ledger_path) {
        None => Vec::new(),
        Some(true) => vec![Check::ok(Diagnosis::Private)],
        Some(false) => {
            let path = subject.ledger_path.to_path_buf();
            let found = Diagnosis::ReadableByOthers(path.clone());
            vec![Check::warning(found).with_fix(Fix::MakePrivate(path))]
        }
    }
}
