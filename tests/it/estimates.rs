//! How far estimates are off on real transcripts: the replay of `benches/estimates`, with its targets.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares"
)]

#[path = "../../benches/estimates/fit.rs"]
mod fit;
#[path = "../../benches/estimates/replay.rs"]
mod replay;
#[path = "../../benches/estimates/transcript.rs"]
mod transcript;

use replay::{Learning, Outcome, Replay, gap_errors, quantile, sessions};

use crate::support::repository;

/// Median and 90th percentile of the sessions' errors, and the gaps' median.
fn errors(outcomes: &[Outcome], estimate: impl Fn(&Outcome) -> u64 + Copy) -> (f64, f64, f64) {
    let sessions: Vec<f64> = sessions(outcomes, estimate).iter().map(|row| row.4.abs()).collect();
    assert!(sessions.len() >= 8, "only {} sessions", sessions.len());
    (quantile(&sessions, 0.5), quantile(&sessions, 0.9), quantile(&gap_errors(outcomes, estimate), 0.5))
}

#[test]
fn estimates_of_real_sessions_are_near_what_contexts_grew_by() {
    let folder = repository().join("../shared/corpus/claude");
    if !folder.is_dir() {
        println!("skipped: ../shared is not here");
        return;
    }
    let files = transcript::files(&folder);
    let replay = Replay::new(&files);
    assert_eq!(replay.priors(None).len(), 2, "two tokenizers");
    let without_injected = |learning| {
        let mut outcomes = replay.play(learning);
        outcomes.retain(|outcome| !outcome.injected);
        outcomes
    };

    // The targets are for what tools return: gaps without the client's own words.
    let learned = without_injected(Learning::AtOnce);
    let (median, p90, gap) = errors(&learned, |outcome| outcome.estimated);
    assert!(median <= 0.03 && p90 <= 0.10 && gap <= 0.08, "learned: {median} {p90} {gap}");

    // Learning as the hook does, and not at all. Their own targets (3 % and 8 %) are not reached; these are the marks
    // that must not be lost again.
    let turns = without_injected(Learning::AtTurnEnds);
    let (median, p90, gap) = errors(&turns, |outcome| outcome.estimated);
    assert!(median <= 0.065 && p90 <= 0.10 && gap <= 0.10, "by turns: {median} {p90} {gap}");
    let cold = without_injected(Learning::Never);
    let (median, _, _) = errors(&cold, |outcome| outcome.estimated);
    assert!(median <= 0.10, "cold: {median}");

    // With the client's words in, sums need the surplus; and what others do is far off.
    let all = replay.play(Learning::AtOnce);
    let (median, p90, _) = errors(&all, |outcome| outcome.estimated + outcome.surplus);
    assert!(median <= 0.07 && p90 <= 0.10, "with surplus: {median} {p90}");
    assert!(errors(&all, |outcome| outcome.tiktoken).0 > 0.2);
    assert!(errors(&all, |outcome| outcome.quarter).0 > 0.2);
}
