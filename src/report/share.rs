//! What part of a whole something is, in percent: of its cost, and of its tokens. They differ, because a token that is
//! read from a cache costs a fraction of one that is written.

use serde::Serialize;

use crate::domain::PicoUsd;

/// What parts are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole {
    /// The cost of what has a price.
    pub cost: PicoUsd,
    /// All tokens.
    pub tokens: u64,
}

impl Whole {
    /// The part that so much is of it. A part without a price has no share of the cost.
    #[must_use]
    pub fn share(self, cost: Option<PicoUsd>, tokens: u64) -> Share {
        let cost_percent = cost.and_then(|cost| cost.percent_of(self.cost));
        let tokens_percent = percent(tokens, self.tokens);
        let percent = if self.cost > PicoUsd::ZERO { cost_percent } else { tokens_percent };
        Share { percent, cost_percent, tokens_percent }
    }
}

/// A part of a whole, 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    /// What tables show: the share of the cost, or of the tokens where nothing of the whole has cost anything.
    pub percent: Option<f64>,
    /// Share of the cost; null without a price.
    pub cost_percent: Option<f64>,
    /// Share of the tokens.
    pub tokens_percent: Option<f64>,
}

impl Share {
    /// A share of tokens, where no cost is known.
    #[must_use]
    pub fn of_tokens(tokens: u64, whole: u64) -> Self {
        Whole { cost: PicoUsd::ZERO, tokens: whole }.share(None, tokens)
    }
}

/// So much of so many, in percent; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for people, not money")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_cost_and_only_without_one_of_the_tokens() {
        let usd = |dollars: i128| PicoUsd::from_pico(dollars * PicoUsd::DOLLAR.as_pico());
        let whole = Whole { cost: usd(4), tokens: 1_000 };
        let share = whole.share(Some(usd(1)), 900);
        let expected = Share { percent: Some(25.0), cost_percent: Some(25.0), tokens_percent: Some(90.0) };
        assert_eq!(share, expected);
        // What has no price is not shown with its share of the tokens beside others' shares of the cost.
        assert_eq!(whole.share(None, 100).percent, None);
        let unpriced = Share::of_tokens(100, 1_000);
        assert_eq!((unpriced.percent, unpriced.cost_percent), (Some(10.0), None));
        assert_eq!(Share::of_tokens(0, 0), Share::default());
    }
}
