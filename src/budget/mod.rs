//! How far what was used has come on the user's budgets: which time each counts, what a project's settings lower, and
//! which commands change it.
//!
//! The hook asks it at the events where a session can be stopped; the commands ask the same. What was used is kept in the
//! ledger (`store::budget_totals`): here nothing is added up but when a budget's time is over and it begins anew.

mod commands;

use std::time::Duration;

use crate::calendar::Zone;
use crate::config::Lowered;
use crate::domain::{
    Budget, BudgetSpan, BudgetState, Limit, Per, PicoUsd, Standing, TaskList, Timestamp, UsedAmount,
};
use crate::store::{BudgetQuery, BudgetTotals, Ledger, SessionRow, StoreError};

pub use commands::{options, which};

/// The shortest time that a rate is told from.
const SHORTEST: Duration = Duration::from_secs(60);

/// A budget and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetStatus {
    /// The budget.
    pub budget: Budget,
    /// What is kept of it.
    pub totals: BudgetTotals,
    /// What was used of its limit, which a project may have lowered.
    pub standing: Standing,
}

impl BudgetStatus {
    /// Whether it stops whom it holds for, now.
    #[must_use]
    pub fn stops(&self, now: Timestamp) -> bool {
        self.standing.state() == BudgetState::Exceeded && self.budget.stops(now)
    }
}

/// The time of a period that `now` is in.
#[must_use]
pub fn span(per: Per, now: Timestamp, zone: &Zone) -> BudgetSpan {
    let Some(today) = zone.day_of(now) else { return BudgetSpan::ALWAYS };
    let (first, next) = match per {
        Per::Session | Per::Total => return BudgetSpan::ALWAYS,
        Per::Day => (today, today.plus_days(1)),
        Per::Week => (today.monday(), today.monday().plus_days(7)),
        Per::Month => (today.first_of_month(), today.first_of_month().plus_months(1)),
    };
    BudgetSpan { from: Some(zone.start_of(first)), until: Some(zone.start_of(next)) }
}

/// How the budgets stand, seen from a session. What is void or over is made anew; the zone is asked for only then. A
/// project lowers only what holds for it.
///
/// # Errors
/// If the ledger cannot be read or written.
pub fn standings(
    ledger: &mut Ledger,
    query: BudgetQuery,
    now: Timestamp,
    zone: impl Fn() -> Zone,
    lowered: &Lowered,
) -> Result<Vec<BudgetStatus>, StoreError> {
    let mut query = query;
    for (budget, totals) in &mut query.budgets {
        if totals.is_none_or(|totals| !totals.span.has(now)) {
            let span = match budget.per {
                Per::Session | Per::Total => BudgetSpan::ALWAYS,
                per => span(per, now, &zone()),
            };
            *totals = Some(ledger.budgets_mut().count_anew(budget, query.session, span)?);
        }
    }
    ledger.budgets().add_pending(&mut query, now)?;
    let project = query.project.as_deref();
    Ok(query
        .budgets
        .into_iter()
        .filter_map(|(budget, totals)| {
            let totals = totals?;
            let is_own = budget.scope.has_project(project);
            let limit = if is_own { lowered.limit(budget.per, budget.limit) } else { budget.limit };
            let standing = Standing { limit, used: totals.used, warn_percent: budget.warn_percent };
            Some(BudgetStatus { budget, totals, standing })
        })
        .collect())
}

/// How the budgets stand, for commands, with all totals made anew: what they show is right whatever became of what was
/// kept.
///
/// # Errors
/// If the ledger cannot be read or written.
pub fn standings_anew(
    ledger: &mut Ledger,
    mut query: BudgetQuery,
    now: Timestamp,
    zone: &Zone,
    lowered: &Lowered,
) -> Result<Vec<BudgetStatus>, StoreError> {
    for (_, totals) in &mut query.budgets {
        *totals = None;
    }
    standings(ledger, query, now, || zone.clone(), lowered)
}

/// For how long a budget has been used: since its session, or what was spent first in its time, began.
///
/// # Errors
/// If the ledger cannot be read.
pub fn used_for(
    ledger: &Ledger,
    held: &BudgetStatus,
    session_start: Option<Timestamp>,
    now: Timestamp,
) -> Result<Duration, StoreError> {
    let first = match held.budget.per {
        Per::Session => session_start,
        _ => ledger.budgets().first_spent(held.totals.span.from)?.max(held.totals.span.from),
    };
    Ok(first.map_or(SHORTEST, |first| now.since(first)).max(SHORTEST))
}

/// What a session has used so far, and how far it has come with its tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// What it has used.
    pub used: UsedAmount,
    /// The agent's own list of tasks.
    pub tasks: TaskList,
}

/// What will have been used of a budget once the session's list of tasks is done, if each task that is left takes as much as
/// the finished ones did on average. A rough estimate; `None` before the first one is finished, and for budgets of an agent
/// or a model, of which the list says nothing.
#[must_use]
pub fn at_completion(held: &BudgetStatus, course: &Course) -> Option<Limit> {
    let (done, total) = (course.tasks.done, course.tasks.total);
    let is_of_all = held.budget.scope.agent.is_none() && held.budget.scope.model.is_none();
    if done == 0 || done > total || !is_of_all {
        return None;
    }
    let used = held.standing.used;
    Some(match held.standing.limit {
        Limit::Usd(_) => {
            let spent = course.used.cost.as_pico().max(0);
            let rest = spent.saturating_mul(i128::from(total - done)) / i128::from(done);
            Limit::Usd(used.cost + used.pending_cost + PicoUsd::from_pico(rest))
        }
        Limit::Tokens(_) => {
            let rest = u128::from(course.used.tokens) * u128::from(total - done) / u128::from(done);
            let spent = used.tokens.saturating_add(used.pending_tokens);
            Limit::Tokens(spent.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX)))
        }
    })
}

/// The budgets as they are seen from no session: those of sessions are not used at all.
#[must_use]
pub fn of_no_session(budgets: Vec<Budget>) -> BudgetQuery {
    BudgetQuery {
        session: SessionRow::NONE,
        project: None,
        model: None,
        budgets: budgets.into_iter().map(|budget| (budget, None)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(zone: &str, now: &str) -> Vec<String> {
        let (zone, now) = (Zone::named(zone).unwrap(), Timestamp::parse(now).unwrap());
        [Per::Day, Per::Week, Per::Month]
            .into_iter()
            .map(|per| {
                let span = span(per, now, &zone);
                assert!(span.has(now));
                format!("{} {}", span.from.unwrap().to_rfc3339(), span.until.unwrap().to_rfc3339())
            })
            .collect()
    }

    #[test]
    fn periods_are_those_of_the_users_calendar() {
        assert_eq!(
            spans("Europe/Berlin", "2026-11-22T23:30:00Z"),
            [
                "2026-11-22T23:00:00.000Z 2026-11-23T23:00:00.000Z",
                "2026-11-22T23:00:00.000Z 2026-11-29T23:00:00.000Z",
                "2026-10-31T23:00:00.000Z 2026-11-30T23:00:00.000Z",
            ]
        );
        assert_eq!(
            spans("UTC", "2026-11-22T23:30:00Z")[0],
            "2026-11-22T00:00:00.000Z 2026-11-23T00:00:00.000Z"
        );
    }

    #[test]
    fn days_with_a_change_of_the_clocks_are_whole() {
        let berlin = |now| spans("Europe/Berlin", now).swap_remove(0);
        assert_eq!(berlin("2026-10-25T12:00:00Z"), "2026-10-24T22:00:00.000Z 2026-10-25T23:00:00.000Z");
        assert_eq!(berlin("2026-03-29T12:00:00Z"), "2026-03-28T23:00:00.000Z 2026-03-29T22:00:00.000Z");
    }
}
