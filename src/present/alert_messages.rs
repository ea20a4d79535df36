//! What alerts have to say in hooks: a line for the user. Pure.

use super::budget_messages::amount_text;
use crate::domain::{CallLoop, EndedRun, Limit, PicoUsd, Spike, grouped};

/// A subagent of which the client names no type.
pub const SUBAGENT: &str = "a subagent";

/// What is said when an agent makes the same call again and again.
#[must_use]
pub fn loop_line(CallLoop { who, tool, times }: CallLoop) -> String {
    format!(
        "tallyhook: {who} has called {tool} {times} times with the same input and no change in between; \
         it may be stuck in a loop"
    )
}

/// What is said of a turn that costs more than usual.
#[must_use]
pub fn spike_line(spike: Spike) -> String {
    let usd = |pico: i64| amount_text(Limit::Usd(PicoUsd::from_pico(pico.into())));
    let habits = [(spike.in_session, "in this session"), (spike.in_project, "in this project")];
    let habits: Vec<String> =
        habits.into_iter().filter_map(|(usual, place)| Some(format!("{} {place}", usd(usual?)))).collect();
    format!(
        "tallyhook: this turn has cost {} so far; turns usually cost {}",
        usd(spike.cost),
        habits.join(", ")
    )
}

/// What is said of a context of so many tokens that is nearly full. `most` is what it can hold: the model's window, or the
/// size at which it was compacted before.
#[must_use]
pub fn context_line(tokens: u64, most: u64, is_window: bool) -> String {
    let share = u128::from(tokens) * 100 / u128::from(most.max(1));
    let (tokens, most) = (grouped(tokens), grouped(most));
    let of = match is_window {
        true => format!(" out of {most} ({share}%); a compaction is near"),
        false => format!("; an earlier compaction came at {most} (now {share}% of that)"),
    };
    format!("tallyhook: the context holds {tokens} tokens{of}")
}

/// What subagents' runs have used that have ended, a line each, and what the session has used so far.
#[must_use]
pub fn ended_lines(ended: &[EndedRun], (total_cost, total_tokens): (PicoUsd, u64)) -> Vec<String> {
    let used = |cost: PicoUsd, tokens: u64| {
        let money = match cost > PicoUsd::ZERO {
            true => format!(", {}", amount_text(Limit::Usd(cost))),
            false => String::new(),
        };
        format!("{} tokens{money}", grouped(tokens))
    };
    let line = |run: &EndedRun| {
        let name = run.agent_type.as_deref().unwrap_or(SUBAGENT);
        format!("tallyhook: {name} used {}", used(PicoUsd::from_pico(run.cost.into()), run.tokens))
    };
    let mut lines: Vec<String> = ended.iter().map(line).collect();
    if let Some(last) = lines.last_mut() {
        last.push_str("; session so far: ");
        last.push_str(&used(total_cost, total_tokens));
    }
    lines
}
