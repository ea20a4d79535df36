//! Do the lines of the transcripts and the client's own totals agree?

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, Topic};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let found = match ledger.witnesses().disagreements() {
        Ok(found) => found,
        Err(error) => return vec![Check::unanswered(Topic::Totals, &error)],
    };
    vec![match found.first() {
        None => Check::ok(Diagnosis::TotalsAgree),
        Some(first) => Check::warning(Diagnosis::TotalsDiffer {
            sessions: found.len(),
            tokens: found.iter().map(|disagreement| disagreement.excess.total()).sum(),
            session_id: first.session_id.clone(),
            model: first.model.clone(),
        }),
    }]
}
