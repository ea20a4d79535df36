//! Which client is installed, and which of our events does it give?

use super::{Check, Subject};
use crate::hook::manifest;
use crate::present::diagnosis::Diagnosis;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(client) = &subject.client else { return vec![Check::warning(Diagnosis::NoClient)] };
    let unsupported: Vec<&str> = manifest::EVENTS
        .iter()
        .filter(|subscription| subscription.since > client.number())
        .map(|subscription| subscription.event)
        .collect();
    let is_well = unsupported.is_empty();
    let version = client.version.clone();
    let found = Diagnosis::Client { version, events: manifest::EVENTS.len(), unsupported };
    vec![if is_well { Check::ok(found) } else { Check::warning(found) }]
}
