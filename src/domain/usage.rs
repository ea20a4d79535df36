//! What the provider billed: five classes of tokens that never overlap, and web searches.

use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// Largest count that is believed; a larger one is a fault of the log and reads as 0. Nine million such counts fit
/// into one of SQLite's integers, so no sum overflows.
pub const MAX_COUNT: u64 = 1_000_000_000_000;

/// Tokens of one API response, or a sum of such, by class. No token is in two classes.
///
/// An [`Estimate`](super::Estimate) is a different thing and cannot be added to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the cache.
    #[serde(rename = "input_tokens")]
    pub input: u64,
    /// Output tokens, thinking included.
    #[serde(rename = "output_tokens")]
    pub output: u64,
    /// Input tokens read from the cache.
    #[serde(rename = "cache_read_tokens")]
    pub cache_read: u64,
    /// Input tokens written to the cache for 5 minutes.
    #[serde(rename = "cache_write_5m_tokens")]
    pub cache_write_5m: u64,
    /// Input tokens written to the cache for 1 hour.
    #[serde(rename = "cache_write_1h_tokens")]
    pub cache_write_1h: u64,
    /// Web searches the provider ran; a number of requests, not of tokens.
    pub web_searches: u64,
}

impl Usage {
    /// All token classes together; web searches are no tokens.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// Whether it shows next to nothing, cache writes at the most: clients have written such counts beside whole ones of the
    /// same response.
    #[must_use]
    pub fn is_zeroed(&self) -> bool {
        self.input == 0 && self.output == 0 && self.cache_read == 0
    }

    /// The input side: what the model read, cached or not. After the response this is its context's size.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }

    /// Cache writes of both kinds together, in tokens.
    #[must_use]
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// What is left of each class without `other`; nothing where it has more.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            cache_read: self.cache_read.saturating_sub(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_sub(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_sub(other.cache_write_1h),
            web_searches: self.web_searches.saturating_sub(other.web_searches),
        }
    }

    /// Cache reads as a share of the input side, 0 to 1; `None` if there was no input.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people, not money")]
    pub fn cache_hit_rate(&self) -> Option<f64> {
        let prompt = self.prompt();
        (prompt > 0).then(|| self.cache_read as f64 / prompt as f64)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            web_searches: self.web_searches.saturating_add(other.web_searches),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_counts_writes_as_misses() {
        let usage = Usage {
            input: 10,
            output: 99,
            cache_read: 60,
            cache_write_5m: 20,
            cache_write_1h: 10,
            web_searches: 3,
        };
        assert_eq!(usage.total(), 199);
        assert_eq!(usage.cache_hit_rate(), Some(0.6));
        assert_eq!(Usage::default().cache_hit_rate(), None);
    }
}
