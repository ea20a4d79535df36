//! How long does the hook keep the client waiting? Each hook notes its own time up to its write.

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, Topic};

/// Above this people feel it at every tool call.
const SLOW_MICROS: u64 = 500_000;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let mut micros = match ledger.recent_hook_micros() {
        Ok(micros) if micros.is_empty() => return Vec::new(),
        Ok(micros) => micros,
        Err(error) => return vec![Check::unanswered(Topic::Latency, &error)],
    };
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100];
    let (median, p95) = (at(50), at(95));
    let is_slow = median >= SLOW_MICROS;
    let found = Diagnosis::Latency { median, p95, calls: micros.len(), is_slow };
    vec![if is_slow { Check::warning(found) } else { Check::ok(found) }]
}
