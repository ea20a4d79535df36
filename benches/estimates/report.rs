//! The replay's figures, as a text.

use std::collections::BTreeSet;

use super::replay::{Learning, Outcome, Replay, gap_errors, quantile, sessions};

pub(crate) fn print(replay: &Replay<'_>) {
    let modes = [
        ("learning as the hook does, after each batch of calls", Learning::AsTheHook),
        ("priors of other repositories only", Learning::Never),
        ("learning when a turn ends", Learning::AtTurnEnds),
        ("learning from each gap at once", Learning::AtOnce),
    ];
    for (name, learning) in modes {
        let outcomes = replay.play(learning);
        let alone: Vec<Outcome> = outcomes.iter().filter(|outcome| outcome.alone).cloned().collect();
        println!("\n{name}");
        summary("  all that comes in, foreseen", &outcomes, Outcome::foreseen);
        summary("  calls foreseen, client's words as seen", &outcomes, Outcome::explained);
        summary("  calls alone, gaps without such words", &alone, |outcome| outcome.estimated);
        summary("  calls alone, all gaps", &outcomes, |outcome| outcome.estimated);
        if learning == Learning::Never {
            summary("  plain tiktoken", &outcomes, |outcome| outcome.tiktoken);
            summary("  characters / 4", &outcomes, |outcome| outcome.quarter);
        }
        let models: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.model.as_str()).collect();
        for model in models {
            let own: Vec<Outcome> =
                outcomes.iter().filter(|outcome| outcome.model == model).cloned().collect();
            summary(&format!("  {model}, foreseen"), &own, Outcome::foreseen);
            summary(&format!("  {model}, as seen"), &own, Outcome::explained);
        }
        let explained = sessions(&outcomes, Outcome::explained);
        let alone = sessions(&alone, |outcome| outcome.estimated);
        for (session, model, calls, growth, error) in sessions(&outcomes, Outcome::foreseen) {
            let of = |rows: &[(String, String, u64, u64, f64)]| {
                let row = rows.iter().find(|row| row.0 == session);
                row.map_or_else(|| "-".to_owned(), |row| format!("{:+.1} %", 100.0 * row.4))
            };
            println!(
                "    {session:.12} {model:26} {calls:4} calls {growth:8} tokens: foreseen {:+6.1} %, as seen {}, gaps alone {}",
                100.0 * error,
                of(&explained),
                of(&alone),
            );
        }
    }
    println!("\nfitted on all");
    for (tokenizer, line) in replay.priors(None) {
        println!("  {tokenizer}: {:.3} × tiktoken + {:.1} a call", line.slope, line.per_call);
    }
}

fn summary(name: &str, outcomes: &[Outcome], estimate: impl Fn(&Outcome) -> u64 + Copy) {
    let errors: Vec<f64> = sessions(outcomes, estimate).iter().map(|row| row.4.abs()).collect();
    let gaps = gap_errors(outcomes, estimate);
    println!(
        "{name:50} sessions {:2}: median {:5.1} %, p90 {:5.1} %; gaps {:4}: median {:5.1} %, p90 {:5.1} %",
        errors.len(),
        100.0 * quantile(&errors, 0.5),
        100.0 * quantile(&errors, 0.9),
        gaps.len(),
        100.0 * quantile(&gaps, 0.5),
        100.0 * quantile(&gaps, 0.9),
    );
}
