//! The table of `tallyhook-prices` for the program's own types: responses, usage, times.

use tallyhook_prices::{Found, Model, PriceClass, Prices, Processing, Rates, UserPrices};

use crate::domain::{Cost, CostParts, ModelId, Modifiers, ResponseRecord, Timestamp, Usage};

/// The prices in force: the built-in ones and the user's.
#[derive(Debug, Clone, Default)]
pub struct PriceTable(Prices);

impl PriceTable {
    /// The table that is part of the program. It costs nothing to make.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// The built-in prices with the user's, which go first.
    #[must_use]
    pub const fn with_overrides(user: UserPrices) -> Self {
        Self(Prices::with_overrides(user))
    }

    /// A number that changes with every change of the prices: whatever was priced with another one is out of date.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.0.version()
    }

    /// When the built-in prices were looked up.
    #[must_use]
    pub const fn date(&self) -> Timestamp {
        Timestamp::from_millis(self.0.date())
    }

    /// What one request cost. A sum is priced by its class: its prompt would be taken for a long one.
    ///
    /// Without a time the prices of the
    /// table's [`date`](Self::date) hold. What used nothing cost nothing, whatever the model.
    #[must_use]
    pub fn cost(
        &self,
        model: &str,
        at: impl Into<Option<Timestamp>>,
        usage: &Usage,
        modifiers: Modifiers,
    ) -> Cost {
        match self.price(model, at, usage.prompt(), modifiers) {
            Some(rates) => Cost::known(usage.cost_at(&rates)),
            None if *usage == Usage::default() => Cost::default(),
            None => Cost::unpriced(model),
        }
    }

    /// The rates of a request with that many tokens of prompt; `None` if the model has no price.
    #[must_use]
    pub fn price(
        &self,
        model: &str,
        at: impl Into<Option<Timestamp>>,
        prompt: u64,
        modifiers: Modifiers,
    ) -> Option<Rates> {
        self.rates(self.class(model, at, prompt, modifiers)?)
    }

    /// The requests of a response, each with the rates of its own prompt; `None` if its model has no price.
    pub fn priced<'m>(
        &self,
        message: &'m ResponseRecord,
    ) -> impl Iterator<Item = (Usage, Option<Rates>)> + use<'_, 'm> {
        let model = message.model.as_ref().map_or("", ModelId::as_str);
        message
            .billed()
            .map(move |usage| (usage, self.price(model, message.at, usage.prompt(), message.modifiers)))
    }

    /// What a response cost: the sum of its requests.
    #[must_use]
    pub fn cost_of(&self, message: &ResponseRecord) -> Cost {
        let mut sum = CostParts::default();
        for (usage, rates) in self.priced(message) {
            match rates {
                Some(rates) => sum += usage.cost_at(&rates),
                None if usage == Usage::default() => {}
                None => return Cost::unpriced(message.model.as_ref().map_or("", ModelId::as_str)),
            }
        }
        Cost::known(sum)
    }

    /// The class of such a request; `None` if the model has no price.
    #[must_use]
    pub fn class(
        &self,
        model: &str,
        at: impl Into<Option<Timestamp>>,
        prompt: u64,
        modifiers: Modifiers,
    ) -> Option<PriceClass> {
        let Modifiers { fast, us, batch } = modifiers;
        let at = at.into().unwrap_or(self.date()).as_millis();
        self.0.class(model, at, prompt, Processing { fast, us, batch })
    }

    /// The rates of a class of this table; `None` if it is of another one.
    #[must_use]
    pub fn rates(&self, class: PriceClass) -> Option<Rates> {
        self.0.rates(class)
    }

    /// The largest context of a model, in tokens; `None` if it is not known.
    #[must_use]
    pub fn context_window(&self, model: &str) -> Option<u64> {
        self.0.context_window(model)
    }

    /// A model's name without what clouds, resellers and clients write around it.
    #[must_use]
    pub fn normal_form(model: &str) -> String {
        Prices::normal_form(model)
    }

    /// What the table has under a name that logs give a model.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<Found<'_>> {
        self.0.find(model)
    }

    /// All models, in the order of their ids; each once, with the user's prices where he has set some.
    #[must_use]
    pub fn models(&self) -> Vec<Found<'_>> {
        self.0.models()
    }

    /// All names in normal form under which a model is found, in order.
    #[must_use]
    pub fn names(&self, model: &Model) -> Vec<&str> {
        self.0.names(model)
    }
}
