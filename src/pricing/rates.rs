//! Tokens times rates.

use tallyhook_prices::Rates;

use crate::domain::{CostParts, PicoUsd, Usage};

impl Usage {
    /// What it costs at `rates`: exact, so the cost of a sum is the sum of the costs.
    #[must_use]
    pub fn cost_at(&self, rates: &Rates) -> CostParts {
        CostParts {
            input: PicoUsd::times(self.input, rates.input),
            output: PicoUsd::times(self.output, rates.output),
            cache_read: PicoUsd::times(self.cache_read, rates.cache_read),
            cache_write: PicoUsd::times(self.cache_write_5m, rates.cache_write_5m)
                + PicoUsd::times(self.cache_write_1h, rates.cache_write_1h),
            web_search: PicoUsd::times(self.web_searches, rates.web_search),
        }
    }

    /// What reading from the cache has saved at `rates`: those tokens at the input's rate, less what they did cost.
    #[must_use]
    pub fn cache_savings_at(&self, rates: &Rates) -> PicoUsd {
        PicoUsd::times(self.cache_read, rates.input) - PicoUsd::times(self.cache_read, rates.cache_read)
    }
}
