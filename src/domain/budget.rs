//! Budgets: a limit, what it holds for, and how far what was used has come. Pure.

use std::path::Path;
use std::time::Duration;

use super::{MAX_COUNT, OneLine as _, PicoUsd, Timestamp};

/// The share of a limit, in per cent, at which the user is warned unless he says otherwise.
const USUAL_WARNING: u8 = 80;

/// What a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Money. Models without a price are not held against it.
    Usd(PicoUsd),
    /// Tokens of all classes.
    Tokens(u64),
}

impl Limit {
    /// The smaller one; of two kinds the first.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        match (self, other) {
            (Self::Usd(one), Self::Usd(two)) => Self::Usd(one.min(two)),
            (Self::Tokens(one), Self::Tokens(two)) => Self::Tokens(one.min(two)),
            _ => self,
        }
    }

    /// Raised by as much; `None` if that is of another kind, or the sum is more than the ledger can hold.
    #[must_use]
    pub fn plus(self, more: Self) -> Option<Self> {
        match (self, more) {
            (Self::Usd(one), Self::Usd(two)) => {
                one.checked_add(two).filter(|sum| *sum <= PicoUsd::MOST_KEPT).map(Self::Usd)
            }
            (Self::Tokens(one), Self::Tokens(two)) => {
                one.checked_add(two).filter(|sum| *sum <= MAX_COUNT).map(Self::Tokens)
            }
            _ => None,
        }
    }
}

/// How long a budget lasts until it begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Per {
    /// Each session has one of its own.
    #[default]
    Session,
    /// A day of the user's calendar.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
    /// It never does.
    Total,
}

impl Per {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Session, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The name on the command line, in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.name() == name)
    }

    /// `this session`, `today`: in a sentence on what was used.
    #[must_use]
    pub const fn now(self) -> &'static str {
        match self {
            Self::Session => "this session",
            Self::Day => "today",
            Self::Week => "this week",
            Self::Month => "this month",
            Self::Total => "all time",
        }
    }
}

/// What happens when a budget is used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The user is told.
    #[default]
    Warn,
    /// The session is stopped before its next request.
    Stop,
}

impl Mode {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Stop => "stop",
        }
    }
}

/// What a budget holds for; everything by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Sessions of this folder, or below it.
    pub project: Option<String>,
    /// An agent by its type or its id; `main` for the main conversation.
    pub agent: Option<String>,
    /// Models with this in their id.
    pub model: Option<String>,
}

impl Scope {
    /// Whether sessions of `project` are meant.
    #[must_use]
    pub fn has_project(&self, project: Option<&str>) -> bool {
        self.project.as_deref().is_none_or(|own| project.is_some_and(|path| Path::new(path).starts_with(own)))
    }

    /// Whether an agent of one of these names (its type, its id) is meant.
    #[must_use]
    pub fn has_agent(&self, names: &[Option<&str>]) -> bool {
        self.agent
            .as_deref()
            .is_none_or(|own| names.iter().flatten().any(|name| name.eq_ignore_ascii_case(own)))
    }

    /// Whether a model is meant.
    #[must_use]
    pub fn has_model(&self, model: Option<&str>) -> bool {
        self.model.as_deref().is_none_or(|own| {
            model.is_some_and(|model| model.to_ascii_lowercase().contains(&own.to_ascii_lowercase()))
        })
    }

    /// `project x, agent y`, or `everything`, in one line.
    #[must_use]
    pub fn name(&self) -> String {
        let parts = [("project", &self.project), ("agent", &self.agent), ("model", &self.model)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(kind, name)| name.as_ref().map(|name| format!("{kind} {}", name.one_line())))
            .collect();
        if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
    }
}

/// A budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its number in the ledger; 0 before it is there.
    pub id: i64,
    /// How much.
    pub limit: Limit,
    /// For how long.
    pub per: Per,
    /// For what.
    pub scope: Scope,
    /// The share of the limit at which the user is warned, in per cent.
    pub warn_percent: u8,
    /// What happens at the limit.
    pub mode: Mode,
    /// Nothing is stopped before then.
    pub free_until: Option<Timestamp>,
}

impl Budget {
    /// A budget that warns as usual.
    #[must_use]
    pub const fn new(limit: Limit, per: Per, scope: Scope) -> Self {
        Self { id: 0, limit, per, scope, warn_percent: USUAL_WARNING, mode: Mode::Warn, free_until: None }
    }

    /// Whether it stops what goes beyond it, now.
    #[must_use]
    pub fn stops(&self, now: Timestamp) -> bool {
        self.mode == Mode::Stop && self.free_until.is_none_or(|until| until <= now)
    }
}

/// The time that a budget counts, in the user's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSpan {
    /// From then on; `None` for ever.
    pub from: Option<Timestamp>,
    /// Before then; `None` for ever.
    pub until: Option<Timestamp>,
}

impl BudgetSpan {
    /// All time.
    pub const ALWAYS: Self = Self { from: None, until: None };

    /// Whether it is now.
    #[must_use]
    pub fn has(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// What was used: what the provider has billed, and beside it what the calls at hand are estimated to add.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsedAmount {
    /// Billed, of the models that have a price.
    pub cost: PicoUsd,
    /// Tokens, of all models and classes.
    pub tokens: u64,
    /// What comes to the cost: an estimate.
    pub pending_cost: PicoUsd,
    /// What comes to the tokens: an estimate.
    pub pending_tokens: u64,
}

/// How far a budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetState {
    /// Below the warning.
    Ok,
    /// Above it.
    Warning,
    /// Used up.
    Exceeded,
}

impl BudgetState {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Exceeded => "exceeded",
        }
    }
}

/// What was used of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit in force.
    pub limit: Limit,
    /// What was used.
    pub used: UsedAmount,
    /// The share at which the user is warned, in per cent.
    pub warn_percent: u8,
}

impl Standing {
    /// Used and limit, as two numbers of one unit: pico-dollars or tokens.
    fn amounts(&self) -> (i128, i128) {
        match self.limit {
            Limit::Usd(limit) => {
                (self.used.cost.as_pico().saturating_add(self.used.pending_cost.as_pico()), limit.as_pico())
            }
            Limit::Tokens(limit) => {
                (self.used.tokens.saturating_add(self.used.pending_tokens).into(), limit.into())
            }
        }
    }

    /// How far it is used. A limit is used up when it is reached, so that one of nothing is from the beginning.
    #[must_use]
    pub fn state(&self) -> BudgetState {
        let (used, limit) = self.amounts();
        if used >= limit {
            BudgetState::Exceeded
        } else if used.saturating_mul(100) >= limit.saturating_mul(self.warn_percent.into()) {
            BudgetState::Warning
        } else {
            BudgetState::Ok
        }
    }

    /// The share that is used, in per cent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn percent(&self) -> f64 {
        let (used, limit) = self.amounts();
        if limit == 0 { 100.0 } else { used as f64 * 100.0 / limit as f64 }
    }

    /// How long what is left lasts if it goes on as in the time `since` it began; `None` if nothing was used, nothing is
    /// left, or it would last for years.
    #[must_use]
    pub fn lasts(&self, since: Duration) -> Option<Duration> {
        const LONGEST_MILLIS: i128 = 1_000 * 86_400_000;
        let (used, limit) = self.amounts();
        if used <= 0 || used >= limit {
            return None;
        }
        let millis = i128::try_from(since.as_millis()).ok()?.saturating_mul(limit - used) / used;
        u64::try_from(millis).ok().filter(|_| millis < LONGEST_MILLIS).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(used: u64, limit: u64) -> Standing {
        let used = UsedAmount { tokens: used, ..UsedAmount::default() };
        Standing { limit: Limit::Tokens(limit), used, warn_percent: 80 }
    }

    #[test]
    fn a_limit_is_used_up_when_it_is_reached() {
        for (used, limit, state) in [
            (0, 100, BudgetState::Ok),
            (79, 100, BudgetState::Ok),
            (80, 100, BudgetState::Warning),
            (99, 100, BudgetState::Warning),
            (100, 100, BudgetState::Exceeded),
            (0, 0, BudgetState::Exceeded),
            (u64::MAX, u64::MAX - 1, BudgetState::Exceeded),
        ] {
            assert_eq!(standing(used, limit).state(), state, "{used} of {limit}");
        }
    }

    #[test]
    fn what_is_pending_counts() {
        let mut standing = standing(50, 100);
        standing.used.pending_tokens = 50;
        assert_eq!(standing.state(), BudgetState::Exceeded);
        assert!((standing.percent() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_left_lasts_in_proportion() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(standing(75, 100).lasts(hour), Some(hour / 3));
        assert_eq!(standing(100, 100).lasts(hour), None);
        assert_eq!(standing(0, 100).lasts(hour), None);
        assert_eq!(standing(1, u64::MAX).lasts(hour), None);
    }

    #[test]
    fn a_scope_has_what_it_names() {
        let scope = Scope {
            project: Some("/home/u/app".to_owned()),
            agent: Some("explore".to_owned()),
            model: Some("Opus".to_owned()),
        };
        assert!(scope.has_project(Some("/home/u/app/sub")) && !scope.has_project(Some("/home/u/app2")));
        assert!(!scope.has_project(None));
        assert!(scope.has_agent(&[None, Some("Explore")]) && !scope.has_agent(&[Some("main")]));
        assert!(scope.has_model(Some("claude-opus-5")) && !scope.has_model(None));
        assert_eq!(scope.name(), "project /home/u/app, agent explore, model Opus");
        assert_eq!(Scope::default().name(), "everything");
    }

    #[test]
    fn limits_of_two_kinds_do_not_mix() {
        let (usd, tokens) = (Limit::Usd(PicoUsd::DOLLAR), Limit::Tokens(5));
        assert_eq!(usd.plus(tokens), None);
        assert_eq!(usd.min(tokens), usd);
        assert_eq!(tokens.min(Limit::Tokens(3)), Limit::Tokens(3));
        assert_eq!(tokens.plus(tokens), Some(Limit::Tokens(10)));
        // A limit that is more than the ledger can hold would be kept as less.
        assert_eq!(Limit::Usd(PicoUsd::MOST_KEPT).plus(usd), None);
        assert_eq!(tokens.plus(Limit::Tokens(MAX_COUNT)), None);
    }
}
