//! Which client is installed, and which of our events does it give?

use super::{Check, Subject};
use crate::hook::manifest;

const NAME: &str = "client";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(client) = &subject.client else {
        let cure = "put `claude` on the PATH, so that hooks can be fitted to its version";
        return vec![Check::warning(NAME, "no Claude Code was found", cure)];
    };
    let all = manifest::EVENTS.len();
    let missing: Vec<&str> = manifest::EVENTS
        .iter()
        .filter(|subscription| subscription.since > client.number())
        .map(|subscription| subscription.event)
        .collect();
    let name = format!("Claude Code {}", client.version);
    vec![if missing.is_empty() {
        Check::ok(NAME, format!("{name} gives all {all} events"))
    } else {
        let found = format!("{name} does not know {}", missing.join(", "));
        Check::warning(NAME, found, "update Claude Code: estimates are less exact without these")
    }]
}
