//! Budgets and how they stand: the contract's JSON.

use std::time::Duration;

use serde::Serialize;

use crate::budget::{self, BudgetStatus, Course};
use crate::domain::{BudgetState, Client, Limit, PicoUsd, Timestamp};

/// `budget status --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// The budgets, in the order in which they were set.
    pub budgets: Vec<BudgetInfo>,
    /// The session that they are seen from; null without one.
    pub session_id: Option<String>,
    /// What it works on.
    pub work: Option<SessionWork>,
}

/// What a session works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionWork {
    /// The step in progress; null if nothing is known of the session's course.
    pub step: Option<String>,
    /// Tasks of the agent's own list that are done.
    pub tasks_done: u64,
    /// All of them.
    pub tasks_total: u64,
    /// Whether the session goes on: one that has ended works on nothing.
    #[serde(skip)]
    pub is_live: bool,
}

/// What can be done about a budget: command lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetCommands {
    /// Raises the limit.
    pub add: String,
    /// Lets sessions go on for a while.
    #[serde(rename = "override")]
    pub override_for: String,
    /// Goes on with the session later, once it was left; null without a session.
    pub pause: Option<String>,
    /// Removes the budget.
    pub clear: String,
}

/// From where budgets are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When.
    pub now: Timestamp,
    /// From which session, and of which client.
    pub session: Option<(Client, &'a str)>,
    /// How far that has come.
    pub course: &'a Course,
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetInfo {
    /// What it holds for: `everything`, or the names of a project, an agent, a model.
    pub scope: String,
    /// How long it lasts.
    pub per: &'static str,
    /// The limit in force, if it is one of money.
    pub limit_usd: Option<PicoUsd>,
    /// The limit in force, in tokens; null if it is one of money.
    pub limit_tokens: Option<u64>,
    /// What was used: actual and estimated.
    pub used_usd: PicoUsd,
    /// Billed by the provider, with what was reported.
    pub used_actual_usd: PicoUsd,
    /// What the last results are estimated to add.
    pub used_estimated_usd: PicoUsd,
    /// Tokens of all classes, with those estimated.
    pub used_tokens: u64,
    /// Of the limit.
    pub percent: f64,
    /// What is left of the limit, if it is one of money; 0 when it is used up.
    pub left_usd: Option<PicoUsd>,
    /// Tokens that are left of the limit; 0 when it is used up, null if it is one of money.
    pub left_tokens: Option<u64>,
    /// By how much a limit of money is exceeded; 0 if it is not, null if the limit is one of tokens.
    pub over_usd: Option<PicoUsd>,
    /// By how many tokens a limit of tokens is exceeded; 0 if it is not, null if the limit is one of money.
    pub over_tokens: Option<u64>,
    /// An estimate of what will have been used once the session's list of tasks is done; null if there is none, or none of it
    /// is done yet.
    pub at_completion_usd: Option<PicoUsd>,
    /// An estimate of the tokens that will have been used once the session's list of tasks is done; null if there is
    /// none, none of it is done yet, or the limit is one of money.
    pub at_completion_tokens: Option<u64>,
    /// What can be done.
    pub options: BudgetCommands,
    /// Where the user is warned.
    pub warn_percent: u8,
    /// What happens at the limit.
    pub mode: &'static str,
    /// How it stands.
    pub state: &'static str,
    /// When it is used up if it goes on like this; null if it does not, or is.
    pub runs_out_at: Option<Timestamp>,
    /// Nothing is stopped before then.
    pub override_until: Option<Timestamp>,
    /// When a session was stopped last.
    pub stopped_at: Option<Timestamp>,
    /// Models that have no price, which a limit of money therefore does not see.
    pub unpriced_models: Vec<String>,
    /// The budget itself, with its totals.
    #[serde(skip)]
    pub status: BudgetStatus,
    /// How long it has been used: what its rate is told from.
    #[serde(skip)]
    pub used_for: Duration,
}

impl BudgetInfo {
    /// A budget as it stands `now`, after having been used for so long.
    #[must_use]
    pub fn of(held: &BudgetStatus, since: Duration, unpriced: Vec<String>, seen: &Seen<'_>) -> Self {
        let now = seen.now;
        let (standing, used) = (held.standing, held.standing.used);
        let (limit_usd, limit_tokens) = match standing.limit {
            Limit::Usd(limit) => (Some(limit), None),
            Limit::Tokens(limit) => (None, Some(limit)),
        };
        let until = held.totals.span.until;
        let spent = used.cost + used.pending_cost;
        let tokens = used.tokens.saturating_add(used.pending_tokens);
        let usd = |sum: PicoUsd| sum.max(PicoUsd::ZERO);
        let (at_completion_usd, at_completion_tokens) = match budget::at_completion(held, seen.course) {
            Some(Limit::Usd(sum)) => (Some(sum), None),
            Some(Limit::Tokens(tokens)) => (None, Some(tokens)),
            None => (None, None),
        };
        let [add, override_for, clear] = budget::options(held);
        let pause = seen.session.and_then(|(client, session)| client.resume_command(session));
        Self {
            left_usd: limit_usd.map(|limit| usd(limit - spent)),
            left_tokens: limit_tokens.map(|limit| limit.saturating_sub(tokens)),
            over_usd: limit_usd.map(|limit| usd(spent - limit)),
            over_tokens: limit_tokens.map(|limit| tokens.saturating_sub(limit)),
            at_completion_usd,
            at_completion_tokens,
            options: BudgetCommands { add, override_for, pause, clear },
            scope: held.budget.scope.name(),
            per: held.budget.per.name(),
            limit_usd,
            limit_tokens,
            used_usd: spent,
            used_actual_usd: used.cost,
            used_estimated_usd: used.pending_cost,
            used_tokens: tokens,
            percent: (standing.percent() * 10.0).round() / 10.0,
            warn_percent: held.budget.warn_percent,
            mode: held.budget.mode.name(),
            state: standing.state().name(),
            runs_out_at: standing
                .lasts(since)
                .map(|lasts| now.plus(lasts))
                .filter(|at| until.is_none_or(|until| *at < until)),
            override_until: held.budget.free_until.filter(|until| *until > now),
            stopped_at: held.totals.stopped_at,
            unpriced_models: if limit_usd.is_some() { unpriced } else { Vec::new() },
            status: held.clone(),
            used_for: since,
        }
    }

    /// How it stands, as the value that `state` names.
    #[must_use]
    pub fn standing(&self) -> BudgetState {
        self.status.standing.state()
    }

    /// Whether it is used up.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.standing() == BudgetState::Exceeded
    }
}

impl BudgetsReport {
    /// How many are used up.
    #[must_use]
    pub fn exceeded(&self) -> usize {
        self.budgets.iter().filter(|budget| budget.is_exceeded()).count()
    }
}
