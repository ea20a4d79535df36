//! Does the client itself, in its status line or on a pasted cost screen, tell the same costs?

use super::{Check, Subject};

const NAME: &str = "client costs";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    vec![match ledger.witnesses().witnessed_otherwise() {
        Ok(found) if found.is_empty() => Check::ok(NAME, "costs match Claude Code's"),
        Ok(found) => {
            let first = &found[0];
            let found = format!(
                "sessions whose cost differs in Claude Code: {}; the largest difference is in {}: {} vs. {} in the ledger",
                found.len(),
                first.session_id,
                first.client,
                first.ledger
            );
            let cure = "compare with `tallyhook show-usage --session ID --detailed`; a figure captured mid-session is \
                        smaller, and Claude Code's own prices may be older";
            Check::warning(NAME, found, cure)
        }
        Err(error) => Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again"),
    }]
}
