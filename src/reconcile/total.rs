//! A client's own total of a session and model, and what must be known of models to read it.

use std::collections::BTreeMap;

use crate::domain::{PicoUsd, Timestamp, Usage};

/// A usage by which prices are compared.
pub(super) const ONE_OF_EACH: Usage =
    Usage { input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1, web_searches: 0 };

/// What is known of models and their names.
pub trait Models {
    /// What stands for all names of a model, and whether it has a price.
    fn name(&self, model: &str) -> (String, bool);
    /// What usage of a model costs if no request has a long prompt.
    fn cost(&self, model: &str, at: Option<Timestamp>, usage: &Usage) -> Option<PicoUsd>;
}

/// A client's own total of a session and model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// What was used. Without a split all cache writes stand as 5-minute ones.
    pub usage: Usage,
    /// Whether the cache writes are split.
    pub is_split: bool,
    /// What the client says that it cost.
    pub cost: Option<PicoUsd>,
}

impl Total {
    /// The usage with its cache writes split: as the lines are, and the rest so that it comes to the client's own cost.
    /// Where that cannot be told the rest is like most of the lines.
    #[must_use]
    pub fn split(&self, lines: &Usage, price: impl Fn(&Usage) -> Option<PicoUsd>) -> Usage {
        let total = self.usage.cache_write();
        if self.is_split || total == 0 {
            return self.usage;
        }
        let short = lines.cache_write_5m.min(total);
        let long = lines.cache_write_1h.min(total - short);
        let rest = total - short - long;
        let with_long = |more: u64| Usage {
            cache_write_5m: short + rest - more,
            cache_write_1h: long + more,
            ..self.usage
        };
        let prices = || Some((self.cost?, price(&with_long(0))?, price(&with_long(rest))?));
        let more = match prices() {
            Some((cost, none, all)) if rest > 0 => {
                // The cost grows by the same sum with each token, so two prices tell the number.
                let each = (all - none).as_pico().max(1);
                let more = ((cost - none).as_pico() * i128::from(rest) * 2 + each) / (each * 2);
                u64::try_from(more.clamp(0, i128::from(rest))).unwrap_or(rest)
            }
            _ if long > short => rest,
            _ => 0,
        };
        with_long(more)
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            usage: self.usage.saturating_sub(before.usage),
            is_split: self.is_split,
            cost: self.cost.map(|cost| cost - before.cost.unwrap_or_default()),
        }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            usage: self.usage + other.usage,
            is_split: self.is_split && other.is_split,
            cost: self.cost.zip(other.cost).map(|(one, other)| one + other),
        }
    }
}

/// Totals by the names that the client gives its models.
pub type Totals = BTreeMap<String, Total>;
