//! Does the client itself, in its status line or on a pasted cost screen, tell the same costs?

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, Topic};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let found = match ledger.witnesses().witnessed_otherwise() {
        Ok(found) => found,
        Err(error) => return vec![Check::unanswered(Topic::ClientCosts, &error)],
    };
    vec![match found.first() {
        None => Check::ok(Diagnosis::CostsAgree),
        Some(first) => Check::warning(Diagnosis::CostsDiffer {
            sessions: found.len(),
            session_id: first.session_id.clone(),
            client: first.client,
            ledger: first.ledger,
        }),
    }]
}
