//! Budgets and how they stand: the contract's JSON, and a table.

use std::time::Duration;

use serde::Serialize;

use super::calendar::Zone;
use super::{Cell, Table};
use crate::budget::{self, BudgetStatus, Course};
use crate::domain::{Limit, Mode, OneLine as _, PicoUsd, State, Timestamp, shell_word};

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
    pub work: Option<Work>,
}

/// What a session works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Work {
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

impl Work {
    /// `now: write it · 3 of 8 tasks done`, without the step where the session has ended; `None` where nothing is left to
    /// say.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let step = self.step.as_ref().filter(|_| self.is_live);
        let step = step.map(|step| format!("now: {}", step.one_line()));
        let tasks =
            (self.tasks_total > 0).then(|| format!("{} of {} tasks done", self.tasks_done, self.tasks_total));
        let parts: Vec<String> = step.into_iter().chain(tasks).collect();
        (!parts.is_empty()).then(|| parts.join(" · "))
    }
}

/// What can be done about a budget: command lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Options {
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
    /// From which session.
    pub session: Option<&'a str>,
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
    pub options: Options,
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
    /// Whether part of what was used is an estimate.
    #[serde(skip)]
    is_rough: bool,
    /// How it stands, as the value that `state` names.
    #[serde(skip)]
    pub standing: State,
    /// `$4.12 / $5.00 (82%)`, what is left, and the rate.
    #[serde(skip)]
    pub lines: [String; 3],
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
        let pause = seen.session.map(|session| format!("claude --resume {}", shell_word(session)));
        Self {
            left_usd: limit_usd.map(|limit| usd(limit - spent)),
            left_tokens: limit_tokens.map(|limit| limit.saturating_sub(tokens)),
            over_usd: limit_usd.map(|limit| usd(spent - limit)),
            over_tokens: limit_tokens.map(|limit| tokens.saturating_sub(limit)),
            at_completion_usd,
            at_completion_tokens,
            options: Options { add, override_for, pause, clear },
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
            is_rough: if limit_usd.is_some() {
                used.pending_cost != PicoUsd::ZERO
            } else {
                used.pending_tokens > 0
            },
            standing: standing.state(),
            runs_out_at: standing
                .lasts(since)
                .map(|lasts| now.plus(lasts))
                .filter(|at| until.is_none_or(|until| *at < until)),
            override_until: held.budget.free_until.filter(|until| *until > now),
            stopped_at: held.totals.stopped_at,
            unpriced_models: if limit_usd.is_some() { unpriced } else { Vec::new() },
            lines: [budget::used_line(held), budget::standing_line(held), budget::forecast(held, since)],
        }
    }

    /// `day (project /home/ana/shop)`: what tells it from others.
    fn name(&self) -> String {
        format!("{} ({})", self.per, self.scope)
    }

    /// Whether it is used up.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.standing == State::Exceeded
    }

    /// What is left of the limit; below nothing once it is exceeded.
    fn left_cell(&self) -> Cell {
        if let (Some(left), Some(over)) = (self.left_usd, self.over_usd) {
            return Cell::Usd { amount: Some(left - over), at_least: false };
        }
        let of = |tokens: Option<u64>| i64::try_from(tokens.unwrap_or(0)).unwrap_or(i64::MAX);
        match (self.left_tokens, of(self.over_tokens)) {
            (Some(left), 0) => Cell::Count(left),
            (_, over) => Cell::Difference(-over),
        }
    }

    /// `session: $4.12 / $5.00 (82%), $0.88 left, ~$13.20 when all tasks are done`.
    #[must_use]
    pub fn line(&self) -> String {
        let scope = if self.scope == "everything" { String::new() } else { format!(" ({})", self.scope) };
        let rest = self.at_completion().map(|sum| format!(", {sum}")).unwrap_or_default();
        format!("{}{scope}: {}, {}{rest}", self.per, self.lines[0], self.lines[1])
    }

    /// `~$13.20 when all tasks are done`.
    fn at_completion(&self) -> Option<String> {
        let usd = self.at_completion_usd.map(Limit::Usd);
        let sum = usd.or(self.at_completion_tokens.map(Limit::Tokens))?;
        Some(format!("~{} once all tasks are done", budget::amount(sum)))
    }

    /// What can be done, a line each, once it is to be warned of; nothing before.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        if self.standing == State::Ok {
            return Vec::new();
        }
        let Options { add, override_for, clear, .. } = &self.options;
        vec![
            format!("to raise it:  {add}"),
            format!("to pause it:  {override_for}"),
            format!("to clear it:  {clear}"),
        ]
    }
}

/// How to leave the session and go on with it later, if a budget is to be warned of.
#[must_use]
pub fn pause(budgets: &[BudgetInfo]) -> Option<String> {
    let warned = budgets.iter().find(|budget| budget.standing != State::Ok)?;
    Some(format!("to take a break, exit the session; to resume it:\n{}", warned.options.pause.as_ref()?))
}

impl BudgetsReport {
    /// How many are used up.
    #[must_use]
    pub fn exceeded(&self) -> usize {
        self.budgets.iter().filter(|budget| budget.is_exceeded()).count()
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let columns = ["for", "per<", "used", "limit", "of limit", "left", "warn at?", "action<", "state<"];
        let mut table = Table::new("Budgets", &columns);
        let usd = |amount: PicoUsd| Cell::Usd { amount: Some(amount), at_least: false };
        for budget in &self.budgets {
            let (used, limit) = match (budget.limit_usd, budget.limit_tokens.unwrap_or(0)) {
                (Some(limit), _) if budget.is_rough => (Cell::Rough(budget.used_usd), usd(limit)),
                (Some(limit), _) => (usd(budget.used_usd), usd(limit)),
                (None, limit) if budget.is_rough => (Cell::Estimate(budget.used_tokens), Cell::Tokens(limit)),
                (None, limit) => (Cell::Count(budget.used_tokens), Cell::Tokens(limit)),
            };
            table.rows.push(vec![
                Cell::Text(budget.scope.clone()),
                Cell::Text(budget.per.to_owned()),
                used,
                limit,
                Cell::Percent(budget.percent),
                budget.left_cell(),
                Cell::Percent(f64::from(budget.warn_percent)),
                Cell::Text(budget.mode.to_owned()),
                Cell::State(budget.standing),
            ]);
        }
        table
    }

    /// Until when budgets stop nobody, by the user's clock.
    #[must_use]
    pub fn pauses(&self, zone: &Zone, now: Timestamp) -> Vec<String> {
        let stopping = self.budgets.iter().filter(|budget| budget.mode == Mode::Stop.name());
        let paused = stopping.filter_map(|budget| Some((budget.name(), budget.override_until?)));
        paused.map(|(name, until)| format!("{name}: paused until {}", zone.clock(until, now))).collect()
    }

    /// What the table leaves out: rates, stops, overrides, models without a price. Times are those of the user's clock.
    #[must_use]
    pub fn notes(&self, zone: &Zone, now: Timestamp) -> Vec<String> {
        let mut notes: Vec<String> = self.work.iter().filter_map(|work| work.line()).collect();
        for budget in &self.budgets {
            let name = budget.name();
            if budget.used_tokens > 0 {
                notes.push(format!("{name}: {}", budget.lines[2]));
            }
            notes.extend(
                budget
                    .at_completion()
                    .map(|sum| format!("{name}: {sum}, if the rest cost as much as those done")),
            );
            if budget.stopped_at.is_some() {
                notes.push(format!("{name}: a session was stopped"));
            }
            let advice = budget.advice();
            if !advice.is_empty() {
                notes.push(format!("{name}: your options"));
                notes.extend(advice);
            }
            if !budget.unpriced_models.is_empty() {
                notes.push(format!(
                    "{name}: doesn't count {}, which has no price",
                    budget.unpriced_models.join(", ")
                ));
            }
        }
        notes.extend(self.pauses(zone, now));
        notes.extend(pause(&self.budgets));
        notes
    }
}
