//! Do events arrive?

use super::{Check, Subject};
use crate::present::diagnosis::Diagnosis;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    vec![match ledger.last_event_at() {
        Ok(Some(at)) => Check::ok(Diagnosis::LastEvent(Some(subject.env.now().since(at).as_secs()))),
        Ok(None) => Check::warning(Diagnosis::LastEvent(None)),
        Err(error) => Check::failed(Diagnosis::LastEventUnknown(error.to_string())),
    }]
}
