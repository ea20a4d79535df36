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
pub(crate) mod transcript;

use replay::{Learning, Outcome, Replay, gap_errors, quantile, sessions};

use serde_json::{Value, json};
use tallyhook_testdata::{Era, Recipe};

use crate::material::{Tree, collected, recipe};
use crate::support::{Ledger, Session, With};

/// Median and 90th percentile of the sessions' errors, and the gaps' median.
fn errors(outcomes: &[Outcome], estimate: impl Fn(&Outcome) -> u64 + Copy) -> (f64, f64, f64) {
    let sessions: Vec<f64> = sessions(outcomes, estimate).iter().map(|row| row.4.abs()).collect();
    assert!(sessions.len() >= 8, "only {} sessions", sessions.len());
    (quantile(&sessions, 0.5), quantile(&sessions, 0.9), quantile(&gap_errors(outcomes, estimate), 0.5))
}

/// Sessions of models of both tokenizers, long enough to learn from.
fn generated() -> Tree {
    Tree::of(&Recipe {
        bytes: 4_000_000,
        eras: vec![Era::Middle, Era::Current],
        projects: 4,
        turns: 3,
        responses_a_turn: 8,
        result_bytes: 500,
        ..recipe(5)
    })
}

#[test]
fn estimates_of_generated_sessions_are_near_what_contexts_grew_by() {
    let tree = generated();
    let files = transcript::files(&tree.projects());
    let replay = Replay::new(&files);
    assert_eq!(replay.priors(None).len(), 2, "two tokenizers");

    let learned = replay.play(Learning::AsTheHook);
    let (median, p90, _) = errors(&learned, Outcome::foreseen);
    assert!(median <= 0.03 && p90 <= 0.10, "foreseen: {median} {p90}");
    let (median, p90, gap) = errors(&learned, Outcome::explained);
    assert!(median <= 0.03 && p90 <= 0.10 && gap <= 0.04, "as seen: {median} {p90} {gap}");
    // The tools of the generator differ by more than the priors can know.
    let cold = replay.play(Learning::Never);
    let (median, _, cold_gap) = errors(&cold, Outcome::explained);
    assert!(median <= 0.08 && gap < cold_gap * 0.7, "cold: {median} {cold_gap}, learned {gap}");
    assert_eq!(learned.len(), cold.len());
    assert!(learned.iter().any(|outcome| !outcome.alone), "notes of the client are in");
    let (median, p90, gap) = errors(&replay.play(Learning::AtTurnEnds), Outcome::explained);
    assert!(median <= 0.055 && p90 <= 0.10 && gap <= 0.06, "by turns: {median} {p90} {gap}");

    // What others do is far off.
    assert!(errors(&learned, |outcome| outcome.tiktoken).0 > 0.2);
    assert!(errors(&learned, |outcome| outcome.quarter).0 > 0.1);
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn estimates_of_collected_sessions_are_near_what_contexts_grew_by() {
    let files = transcript::files(&collected("corpus/claude"));
    let replay = Replay::new(&files);
    assert_eq!(replay.priors(None).len(), 2, "two tokenizers");

    // The targets: a session's sum as foreseen, a call by what is its own, both learning as the hook does; and what is
    // known before anything was learned.
    let learned = replay.play(Learning::AsTheHook);
    let (median, p90, _) = errors(&learned, Outcome::foreseen);
    assert!(median <= 0.03 && p90 <= 0.10, "foreseen: {median} {p90}");
    let (median, p90, gap) = errors(&learned, Outcome::explained);
    assert!(median <= 0.03 && p90 <= 0.10 && gap <= 0.08, "as seen: {median} {p90} {gap}");
    let cold = replay.play(Learning::Never);
    let (median, _, _) = errors(&cold, Outcome::explained);
    assert!(median <= 0.08, "cold: {median}");
    // No gap is left out for what the client added.
    assert_eq!(learned.len(), cold.len());
    assert!(learned.iter().any(|outcome| !outcome.alone), "notes of the client are in");

    // What a client without `PostToolBatch` gets: a mark that must not be lost again.
    let turns = replay.play(Learning::AtTurnEnds);
    let (median, p90, gap) = errors(&turns, Outcome::explained);
    assert!(median <= 0.055 && p90 <= 0.10 && gap <= 0.085, "by turns: {median} {p90} {gap}");

    // What others do is far off.
    let all = replay.play(Learning::AtOnce);
    assert!(errors(&all, |outcome| outcome.tiktoken).0 > 0.2);
    assert!(errors(&all, |outcome| outcome.quarter).0 > 0.2);
}

#[test]
fn a_session_of_a_client_that_logs_no_final_output_teaches_by_its_answers_of_calls_alone() {
    let learned = |text: bool| -> u64 {
        let ledger = Ledger::new();
        let s = Session::new(&ledger, "s");
        let mut lines = vec![s.says(0)];
        for number in 1..6_u32 {
            let call = format!("toolu_{number}");
            let mut answer = s
                .call_of(&format!("msg_{number}"), number * 2, &call)
                .with("message.stop_reason", Value::Null)
                .with("message.usage.output_tokens", 1)
                .with("message.usage.cache_read_input_tokens", 1_000 * number);
            if text {
                let blocks = answer["message"]["content"].as_array_mut().unwrap();
                blocks.insert(0, json!({ "type": "text", "text": "I look at it." }));
            }
            lines.extend([answer, s.result_of(number * 2 + 1, &call, &"a line of a log\n".repeat(90))]);
        }
        s.transcript().write(&lines);
        ledger.hook(s.start()).hook(s.stop());
        let sql = "SELECT value FROM meta WHERE name = 'calibration:claude-opus-5-5'";
        let found: Option<String> = ledger.sqlite().query_row(sql, [], |row| row.get(0)).ok();
        found.map_or(0, |text| serde_json::from_str::<Value>(&text).unwrap()["gaps"].as_u64().unwrap())
    };
    assert_eq!(learned(false), 4);
    assert_eq!(learned(true), 0, "how long its texts became nobody knows");
}
