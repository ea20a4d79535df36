//! Is the ledger on a local disk?

use super::{Check, Subject};
use crate::platform::is_on_network;
use crate::present::diagnosis::Diagnosis;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let is_on_network = is_on_network(subject.ledger_path);
    let found = Diagnosis::OnNetwork(is_on_network);
    vec![if is_on_network == Some(true) { Check::warning(found) } else { Check::ok(found) }]
}
