//! Is everything understood that clients write into their logs?

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, Topic};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let found = match ledger.logs().unknown_lines() {
        Ok(found) => found,
        Err(error) => return vec![Check::unanswered(Topic::Logs, &error)],
    };
    let warning = |(client, version, lines): (crate::domain::Client, Option<String>, u64)| {
        Check::warning(Diagnosis::UnknownLines { client: client.title(), version, lines })
    };
    found.into_iter().map(warning).collect()
}
