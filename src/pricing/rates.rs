//! Tokens times rates, and what changes the rates.

use super::model::{Percent, Rates};
use crate::domain::{CostParts, PicoUsd, Usage};

impl Rates {
    /// What `usage` costs at these rates: exact, so the cost of a sum is the sum of the costs.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> CostParts {
        CostParts {
            input: PicoUsd::times(usage.input, self.input),
            output: PicoUsd::times(usage.output, self.output),
            cache_read: PicoUsd::times(usage.cache_read, self.cache_read),
            cache_write: PicoUsd::times(usage.cache_write_5m, self.cache_write_5m)
                + PicoUsd::times(usage.cache_write_1h, self.cache_write_1h),
            web_search: PicoUsd::times(usage.web_searches, self.web_search),
        }
    }

    /// What reading from the cache has saved: those tokens at the input's rate, less what they did cost.
    #[must_use]
    pub fn cache_savings(&self, usage: &Usage) -> PicoUsd {
        PicoUsd::times(usage.cache_read, self.input) - PicoUsd::times(usage.cache_read, self.cache_read)
    }

    /// These rates times `factors`, which change the price of tokens and not of searches. A rate that is then no whole
    /// number of pico-dollars is rounded; no price of today is.
    #[must_use]
    pub(super) fn times(self, factors: impl Iterator<Item = Percent>) -> Self {
        let (mut factor, mut whole) = (1_u128, 1_u128);
        for percent in factors {
            factor = factor.saturating_mul(percent.into());
            whole = whole.saturating_mul(100);
        }
        if factor == whole {
            return self;
        }
        let times = |rate: u64| {
            let product = u128::from(rate).saturating_mul(factor).saturating_add(whole / 2) / whole;
            u64::try_from(product).unwrap_or(u64::MAX)
        };
        Self {
            input: times(self.input),
            output: times(self.output),
            cache_read: times(self.cache_read),
            cache_write_5m: times(self.cache_write_5m),
            cache_write_1h: times(self.cache_write_1h),
            web_search: self.web_search,
        }
    }
}
