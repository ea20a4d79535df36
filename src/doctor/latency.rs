//! How long does the hook keep the client waiting? Each hook notes its own time up to its write.

use super::{Check, Subject};

const NAME: &str = "latency";
/// Above this people feel it at every tool call.
const SLOW_MICROS: u64 = 500_000;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let mut micros = match ledger.recent_hook_micros() {
        Ok(micros) if micros.is_empty() => return Vec::new(),
        Ok(micros) => micros,
        Err(error) => return vec![Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again")],
    };
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100];
    let (median, p95) = (at(50), at(95));
    let found = format!(
        "median {}, 95% below {} over the last {} tool calls",
        millis(median),
        millis(p95),
        micros.len()
    );
    vec![if median < SLOW_MICROS {
        Check::ok(NAME, found)
    } else {
        Check::warning(NAME, found, "check whether the machine or the ledger's disk is busy")
    }]
}

fn millis(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let millis = micros as f64 / 1_000.0;
    format!("{millis:.1} ms")
}
