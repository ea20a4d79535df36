//! Which client is installed, and which of our events does it give?

use super::{Check, Subject};
use crate::hook::manifest;

const NAME: &str = "client";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(client) = &subject.client else {
        let cure = "put `claude` on your PATH so that the hooks can be matched to its version";
        return vec![Check::warning(NAME, "Claude Code wasn't found", cure)];
    };
    let all = manifest::EVENTS.len();
    let missing: Vec<&str> = manifest::EVENTS
        .iter()
        .filter(|subscription| subscription.since > client.number())
        .map(|subscription| subscription.event)
        .collect();
    let name = format!("Claude Code {}", client.version);
    vec![if missing.is_empty() {
        Check::ok(NAME, format!("{name} supports all {all} events"))
    } else {
        let found = format!("{name} doesn't support {}", missing.join(", "));
        Check::warning(NAME, found, "update Claude Code; estimates are less accurate without these")
    }]
}
