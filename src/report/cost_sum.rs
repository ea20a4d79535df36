//! The one way in which reports add up costs: the part that has a price, and the models that have none.
//!
//! [`CostSum`] is what adds, class by class and with the models' names, and [`PricedSum`] adds without the names.
//! [`KnownCost`] is what a row of a report shows of either: an amount, and whether it is all. None takes a model without a
//! price for free.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use super::add_known;
use super::allocations::NO_KEY;
use crate::domain::{CostParts, PicoUsd, Usage};

/// What some usage cost, with the names of the models without a price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CostSum {
    sum: PricedSum,
    /// The models of what has no price.
    unpriced: BTreeSet<String>,
}

/// What some usage cost, without names: a report with many rows keeps no list of models for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PricedSum {
    /// By class of tokens, of what has a price; `None` until something has.
    priced: Option<CostParts>,
    /// Whether a model without a price is part of it.
    is_partial: bool,
}

impl PricedSum {
    /// Adds what `usage` cost; `None` where the model has no price. What used nothing cost nothing, whatever the model.
    pub fn add_usage(&mut self, usage: &Usage, cost: Option<CostParts>) {
        self.add_part(cost.or_else(|| free(usage)));
    }

    /// Adds what `usage` cost, as [`CostSum::add_if_used`] does.
    pub fn add_if_used(&mut self, usage: &Usage, cost: Option<CostParts>) {
        if cost.is_some() || *usage != Usage::default() {
            self.add_part(cost);
        }
    }

    /// Adds what a part of a response cost, as [`CostSum::add_part`] does.
    pub fn add_part(&mut self, cost: Option<CostParts>) {
        match cost {
            Some(cost) => *self.priced.get_or_insert_default() += cost,
            None => self.is_partial = true,
        }
    }

    /// Adds what another sum has.
    pub fn merge(&mut self, other: &Self) {
        add_known(&mut self.priced, other.priced);
        self.is_partial |= other.is_partial;
    }

    /// The part that has a price, by class; `None` if nothing has, as where nothing was added.
    #[must_use]
    pub const fn priced(&self) -> Option<CostParts> {
        self.priced
    }

    /// The part that has a price, by class; `None` if nothing has. The cost of nothing at all is known: zero.
    #[must_use]
    pub fn parts(&self) -> Option<CostParts> {
        self.priced.or_else(|| (!self.is_partial).then(CostParts::default))
    }

    /// The cost by class of what used `usage`; `None` if no row tells. If that is nothing it cost nothing.
    #[must_use]
    pub fn parts_of(&self, usage: &Usage) -> Option<CostParts> {
        self.priced.or_else(|| self.parts().and_then(|_| free(usage)))
    }

    /// Whether a model without a price is part of it.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// All classes together, as a row shows them. The cost of nothing at all is known: zero.
    #[must_use]
    pub fn known(&self) -> KnownCost {
        KnownCost { amount: self.parts().map(|parts| parts.total()), is_partial: self.is_partial }
    }
}

/// The cost of no usage, whatever its model; `None` of any other.
fn free(usage: &Usage) -> Option<CostParts> {
    (*usage == Usage::default()).then(CostParts::default)
}

impl CostSum {
    /// Adds what `usage` of a model cost; `None` where the model has no price. What used nothing cost nothing, whatever the
    /// model.
    pub fn add_usage(&mut self, model: &str, usage: &Usage, cost: Option<CostParts>) {
        self.add_part(model, cost.or_else(|| free(usage)));
    }

    /// Adds what `usage` of a model cost; `None` where the model has no price. Of a model without a price that used nothing
    /// nothing is added, so that it alone makes no cost known.
    pub fn add_if_used(&mut self, model: &str, usage: &Usage, cost: Option<CostParts>) {
        if cost.is_some() || *usage != Usage::default() {
            self.add_part(model, cost);
        }
    }

    /// Adds what a part of a response cost; `None` where the model has no price, be the part itself of no tokens.
    pub fn add_part(&mut self, model: &str, cost: Option<CostParts>) {
        self.sum.add_part(cost);
        if cost.is_none() {
            let model = if model.is_empty() { NO_KEY } else { model };
            if !self.unpriced.contains(model) {
                self.unpriced.insert(model.to_owned());
            }
        }
    }

    /// Adds what another sum has.
    pub fn merge(&mut self, other: &Self) {
        self.sum.merge(&other.sum);
        self.unpriced.extend(other.unpriced.iter().cloned());
    }

    /// The sum without the names.
    #[must_use]
    pub const fn priced_sum(&self) -> PricedSum {
        self.sum
    }

    /// The part that has a price, by class; `None` if nothing has, as where nothing was added.
    #[must_use]
    pub const fn priced(&self) -> Option<CostParts> {
        self.sum.priced()
    }

    /// The part that has a price, by class; `None` if nothing has. The cost of nothing at all is known: zero.
    #[must_use]
    pub fn parts(&self) -> Option<CostParts> {
        self.sum.parts()
    }

    /// The models without a price, by name.
    #[must_use]
    pub fn unpriced_models(&self) -> Vec<String> {
        self.unpriced.iter().cloned().collect()
    }

    /// Whether a model without a price is part of it.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.sum.is_partial()
    }

    /// All classes together, as a row shows them. The cost of nothing at all is known: zero.
    #[must_use]
    pub fn known(&self) -> KnownCost {
        self.sum.known()
    }
}

/// What something cost as far as it is known. In JSON it is the amount alone, null where nothing has a price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KnownCost {
    /// The part that has a price; `None` if nothing has.
    pub amount: Option<PicoUsd>,
    /// Whether there is more, of models without a price.
    pub is_partial: bool,
}

impl KnownCost {
    /// A cost of which every part has a price; `None` where it is not known at all.
    #[must_use]
    pub const fn whole(amount: Option<PicoUsd>) -> Self {
        Self { amount, is_partial: false }
    }

    /// The known part, or zero.
    #[must_use]
    pub fn or_zero(self) -> PicoUsd {
        self.amount.unwrap_or_default()
    }

    /// Adds another cost.
    pub fn add(&mut self, other: Self) {
        add_known(&mut self.amount, other.amount);
        self.is_partial |= other.is_partial;
    }
}

impl Serialize for KnownCost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.amount.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(cents: i128) -> CostParts {
        CostParts { output: PicoUsd::from_pico(cents * 10_000_000_000), ..CostParts::default() }
    }

    #[test]
    fn nothing_costs_nothing_and_a_model_without_a_price_is_not_free() {
        let mut sum = CostSum::default();
        assert_eq!((sum.priced(), sum.known()), (None, KnownCost::whole(Some(PicoUsd::ZERO))));
        sum.add_if_used("free", &Usage::default(), None);
        assert_eq!(sum, CostSum::default());
        sum.add_usage("free", &Usage::default(), None);
        assert_eq!((sum.priced(), sum.is_partial()), (Some(CostParts::default()), false));
        let mut other = CostSum::default();
        other.add_usage("", &Usage { input: 1, ..Usage::default() }, None);
        assert_eq!(other.known(), KnownCost { amount: None, is_partial: true });
        // A share of no tokens can be of a response without a price.
        other.add_part("b", None);
        sum.merge(&other);
        sum.add_part("a", Some(parts(5)));
        assert_eq!(sum.known(), KnownCost { amount: Some(parts(5).total()), is_partial: true });
        assert_eq!(sum.unpriced_models(), [NO_KEY, "b"]);
    }

    #[test]
    fn what_used_nothing_is_free_unless_something_else_has_no_price() {
        let used = Usage { input: 1, ..Usage::default() };
        let mut sum = PricedSum::default();
        assert_eq!(sum.parts_of(&Usage::default()), Some(CostParts::default()));
        assert_eq!(sum.parts_of(&used), None, "no row tells");
        sum.add_usage(&used, None);
        assert_eq!((sum.parts_of(&Usage::default()), sum.is_partial()), (None, true));
        sum.add_usage(&used, Some(parts(5)));
        assert_eq!((sum.parts_of(&used), sum.is_partial()), (Some(parts(5)), true));
    }

    #[test]
    fn in_json_a_cost_is_its_known_part() {
        let json = |cost: KnownCost| serde_json::to_string(&cost).unwrap();
        assert_eq!(json(KnownCost { amount: PicoUsd::parse("1.5"), is_partial: true }), "1.5");
        assert_eq!(json(KnownCost { amount: None, is_partial: true }), "null");
    }
}
