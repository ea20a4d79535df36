//! What the user is told of a budget, by hooks and in reports. Pure, and each sentence made only when it is asked for.

use std::time::Duration;

use crate::budget::{BudgetStatus, which};
use crate::domain::{BudgetState, Client, Limit, PicoUsd, UsedAmount, grouped, plural};

/// Digits behind the point of a sum of money; small sums have more.
const CENTS: usize = 2;
const FINE: usize = 4;

/// `$4.12`, or `12,345 tokens`.
#[must_use]
pub fn amount_text(limit: Limit) -> String {
    match limit {
        Limit::Usd(sum) => dollars(sum),
        Limit::Tokens(tokens) => plural(tokens, "token"),
    }
}

/// `$4.12 / $5.00 (82%)`, with `~` while part of it is an estimate.
#[must_use]
pub fn used_line(held: &BudgetStatus) -> String {
    let standing = held.standing;
    format!(
        "{} / {} ({:.0}%)",
        used(standing.limit, standing.used),
        amount_text(standing.limit),
        standing.percent().floor()
    )
}

/// `$0.88 left`, or `over by $0.12`.
#[must_use]
pub fn standing_line(held: &BudgetStatus) -> String {
    let (limit, used) = (held.standing.limit, held.standing.used);
    let (left, over) = match limit {
        Limit::Usd(limit) => {
            let spent = used.cost + used.pending_cost;
            (Limit::Usd(limit - spent), Limit::Usd(spent - limit))
        }
        Limit::Tokens(limit) => {
            let spent = used.tokens.saturating_add(used.pending_tokens);
            (Limit::Tokens(limit.saturating_sub(spent)), Limit::Tokens(spent.saturating_sub(limit)))
        }
    };
    match held.standing.state() {
        BudgetState::Exceeded => format!("over by {}", amount_text(over)),
        BudgetState::Ok | BudgetState::Warning => format!("{} left", amount_text(left)),
    }
}

/// `$2.10 an hour; at this rate it lasts for about 25 min`, from what was used in `since`.
#[must_use]
pub fn forecast(held: &BudgetStatus, since: Duration) -> String {
    const HOUR: u128 = 3_600_000;
    let millis = since.as_millis().max(1);
    let used = held.standing.used;
    let rate = match held.standing.limit {
        Limit::Usd(_) => {
            let spent = (used.cost + used.pending_cost).as_pico().max(0).unsigned_abs();
            let pico = i128::try_from(spent.saturating_mul(HOUR) / millis).unwrap_or(i128::MAX);
            Limit::Usd(PicoUsd::from_pico(pico))
        }
        Limit::Tokens(_) => {
            let spent = u128::from(used.tokens.saturating_add(used.pending_tokens));
            Limit::Tokens(u64::try_from(spent.saturating_mul(HOUR) / millis).unwrap_or(u64::MAX))
        }
    };
    let lasts = held
        .standing
        .lasts(since)
        .map(|lasts| format!("; about {} left at this rate", duration(lasts)))
        .unwrap_or_default();
    format!("{} per hour{lasts}", amount_text(rate))
}

/// The warning: what was used of what, and below it the rate.
#[must_use]
pub fn warning(held: &BudgetStatus, since: Duration) -> String {
    format!(
        "tallyhook: {} used {}, {}\n{}",
        used_line(held),
        whose(held).trim_start_matches("for "),
        standing_line(held),
        forecast(held, since)
    )
}

/// The warning of a budget that stops others than the one who is told: what was used, and below it how they can go on.
#[must_use]
pub fn stopped_elsewhere(held: &BudgetStatus) -> String {
    format!(
        "tallyhook: {} used {}, {}\nThis budget stops sessions at the limit. To let them continue, run {}",
        used_line(held),
        whose(held).trim_start_matches("for "),
        standing_line(held),
        ways_on(held)
    )
}

/// Why a session is stopped, and how to go on.
#[must_use]
pub fn stop_reason(held: &BudgetStatus, client: Client, session: &str) -> String {
    let resume = client.resume_command(session);
    format!(
        "tallyhook: stopped because the budget {} is used up: {}, {}.\nTo continue, run {}; then send another message{}.",
        whose(held),
        used_line(held),
        standing_line(held),
        ways_on(held),
        resume.map(|command| format!(" or run `{command}`")).unwrap_or_default(),
    )
}

fn ways_on(held: &BudgetStatus) -> String {
    format!(
        "`tallyhook budget add AMOUNT{}`, `tallyhook budget override --for 1h`, or `tallyhook budget clear`",
        which(held)
    )
}

/// `for this session`, `for today (project x)`.
fn whose(held: &BudgetStatus) -> String {
    let scope = &held.budget.scope;
    let scope = if *scope == Default::default() { String::new() } else { format!(" ({})", scope.name()) };
    format!("for {}{scope}", held.budget.per.now())
}

fn used(limit: Limit, used: UsedAmount) -> String {
    let (text, is_rough) = match limit {
        Limit::Usd(_) => (dollars(used.cost + used.pending_cost), used.pending_cost != PicoUsd::ZERO),
        Limit::Tokens(_) => {
            (grouped(used.tokens.saturating_add(used.pending_tokens)), used.pending_tokens > 0)
        }
    };
    if is_rough { format!("~{text}") } else { text }
}

fn dollars(sum: PicoUsd) -> String {
    let is_small = sum.as_pico().unsigned_abs() < PicoUsd::DOLLAR.as_pico().unsigned_abs() / 10;
    sum.to_dollars(if is_small && sum != PicoUsd::ZERO { FINE } else { CENTS })
}

fn duration(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    match minutes {
        0..=90 => format!("{minutes} min"),
        91..=2_880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Budget, BudgetSpan, Mode, Per, Scope, Standing};
    use crate::store::BudgetTotals;

    fn held(limit: Limit, used: UsedAmount) -> BudgetStatus {
        let mut budget = Budget::new(limit, Per::Session, Scope::default());
        budget.mode = Mode::Stop;
        let totals = BudgetTotals { span: BudgetSpan::ALWAYS, used, told: BudgetState::Ok, stopped_at: None };
        BudgetStatus { budget, totals, standing: Standing { limit, used, warn_percent: 80 } }
    }

    fn usd(text: &str) -> PicoUsd {
        PicoUsd::parse(text).unwrap()
    }

    #[test]
    fn a_budget_is_told_in_a_line() {
        let used = UsedAmount { cost: usd("4.12"), ..UsedAmount::default() };
        let held = held(Limit::Usd(usd("5")), used);
        assert_eq!(used_line(&held), "$4.12 / $5.00 (82%)");
        assert_eq!(standing_line(&held), "$0.88 left");
        let hour = Duration::from_secs(3_600);
        assert_eq!(forecast(&held, 2 * hour), "$2.06 per hour; about 26 min left at this rate");
    }

    #[test]
    fn what_is_over_is_said_and_how_to_go_on() {
        let used = UsedAmount { tokens: 12_000, pending_tokens: 345, ..UsedAmount::default() };
        let held = held(Limit::Tokens(10_000), used);
        assert_eq!(used_line(&held), "~12,345 / 10,000 tokens (123%)");
        assert_eq!(standing_line(&held), "over by 2,345 tokens");
        let reason = stop_reason(&held, Client::ClaudeCode, "s1");
        assert!(
            reason.contains("budget add AMOUNT --per session --tokens") && reason.contains("--resume s1"),
            "{reason}"
        );
    }
}
