//! What a person pasted from the client's own cost screen: the client's figures, as precisely as it shows them.

use serde::Serialize;

use super::{PicoUsd, Usage};

/// A number as the client shows it, which may be rounded: `1.7m` is anything from 1,650,000 to 1,750,000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// The number.
    pub value: u64,
    /// How far the next one that could be shown is; 1 for an exact number.
    pub step: u64,
}

impl Shown {
    /// A number that is shown with all its digits.
    #[must_use]
    pub const fn exact(value: u64) -> Self {
        Self { value, step: 1 }
    }

    /// Whether `exact` would be shown as this.
    #[must_use]
    pub const fn stands_for(self, exact: u64) -> bool {
        // The client may round or cut, so a whole step is allowed for.
        if self.step <= 1 { self.value == exact } else { self.value.abs_diff(exact) < self.step }
    }
}

/// Tokens by class, as the screen shows them. It does not tell how long cache writes hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShownUsage {
    /// Input that was neither read from nor written to the cache.
    pub input: Shown,
    /// Output.
    pub output: Shown,
    /// Read from the cache.
    pub cache_read: Shown,
    /// Written to the cache.
    pub cache_write: Shown,
    /// Web searches.
    pub web_searches: Shown,
}

impl ShownUsage {
    /// The classes in the order of the screen.
    #[must_use]
    pub const fn classes(&self) -> [Shown; 5] {
        [self.input, self.output, self.cache_read, self.cache_write, self.web_searches]
    }

    /// Tokens of all classes; web searches are no tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes()[..4].iter().map(|shown| shown.value).sum()
    }

    /// Whether `usage` would be shown as this.
    #[must_use]
    pub fn stands_for(&self, usage: &Usage) -> bool {
        let exact = [usage.input, usage.output, usage.cache_read, usage.cache_write(), usage.web_searches];
        self.classes().into_iter().zip(exact).all(|(shown, exact)| shown.stands_for(exact))
    }
}

/// A sum as the client shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownCost {
    /// The sum.
    pub amount: PicoUsd,
    /// How far the next one that could be shown is: a cent, or a hundredth of one for small sums.
    pub step: PicoUsd,
}

impl ShownCost {
    /// Whether `exact` would be shown as this.
    #[must_use]
    pub fn stands_for(self, exact: PicoUsd) -> bool {
        let difference = (self.amount - exact).as_pico().unsigned_abs();
        difference < self.step.as_pico().unsigned_abs().max(1)
    }
}

/// What the screen says of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedModel {
    /// The model's name, which the client shortens (`claude-haiku`).
    pub model: String,
    /// What it used.
    pub usage: ShownUsage,
    /// What it cost; old clients do not say.
    pub cost: Option<ShownCost>,
}

/// How much of a subscription's limit is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CapturedLimit {
    /// Its name (`Current week (all models)`).
    pub limit: String,
    /// The share that is used, 0 to 100.
    pub used_percent: u64,
    /// When it starts anew, in the client's words.
    pub resets: Option<String>,
}

/// A line of which nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadLine {
    /// Its number in the paste, from 1.
    pub line: usize,
    /// Its text, made harmless. It is shown and not kept.
    pub text: String,
    /// Why, where a number in it has two readings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a pasted cost screen says. What it does not show is `None`, which is not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapturedCost {
    /// The session's cost.
    pub total: Option<ShownCost>,
    /// Whether the client warns that models without a price are in it.
    pub is_inaccurate: bool,
    /// Time spent waiting for the provider, in milliseconds.
    pub api_ms: Option<u64>,
    /// Time that the session took, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Lines of code added and removed.
    pub lines: Option<(u64, u64)>,
    /// Usage by model.
    pub models: Vec<CapturedModel>,
    /// Usage of all models, where the screen has only that.
    pub usage: Option<ShownUsage>,
    /// The subscription that pays for it (`Max`, `Pro`).
    pub subscription: Option<String>,
    /// Subscription limits.
    pub limits: Vec<CapturedLimit>,
    /// Notices that say nothing of the session.
    pub notices: Vec<String>,
    /// What could not be read.
    pub unread: Vec<UnreadLine>,
}

impl CapturedCost {
    /// The plan of a subscription whose name the screen leaves out.
    pub const UNNAMED_PLAN: &str = "unnamed";

    /// Whether nothing recognized.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { unread: self.unread.clone(), notices: self.notices.clone(), ..Self::default() }
    }

    /// Whether it says anything of the session itself: a subscription's notice alone does not.
    #[must_use]
    pub fn tells_of_usage(&self) -> bool {
        self.total.is_some() || !self.models.is_empty() || self.usage.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rounded_number_stands_for_its_neighbours() {
        let shown = Shown { value: 1_700_000, step: 100_000 };
        assert!(shown.stands_for(1_651_000) && shown.stands_for(1_749_999) && shown.stands_for(1_700_000));
        assert!(!shown.stands_for(1_600_000) && !shown.stands_for(1_800_000));
        assert!(Shown::exact(39).stands_for(39) && !Shown::exact(39).stands_for(40));
        let cost = |text: &str| PicoUsd::parse(text).unwrap();
        let shown = ShownCost { amount: cost("2.63"), step: cost("0.01") };
        assert!(shown.stands_for(cost("2.6349")) && !shown.stands_for(cost("2.65")));
    }
}
