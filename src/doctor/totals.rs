//! Do the lines of the transcripts and the client's own totals agree?

use super::{Check, Subject};

const NAME: &str = "totals";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    vec![match ledger.witnesses().disagreements() {
        Ok(found) if found.is_empty() => Check::ok(NAME, "totals match Claude Code's"),
        Ok(found) => {
            let tokens: u64 = found.iter().map(|disagreement| disagreement.excess.total()).sum();
            let first = &found[0];
            let found = format!(
                "sessions whose transcript shows more than Claude Code's total: {} ({tokens} tokens); the first: \
                 {} ({})",
                found.len(),
                first.session_id,
                first.model
            );
            Check::warning(
                NAME,
                found,
                "no action needed: tallyhook uses the transcript's numbers; a subagent that outlives its session can cause this",
            )
        }
        Err(error) => Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again"),
    }]
}
