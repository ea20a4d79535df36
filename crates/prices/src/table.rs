//! Which rates hold for a model, a time, a prompt and a way of processing.

use tallyhook_price_file::{Model, Name, Percent, Rates};

use crate::builtin;
use crate::user::UserPrices;

/// How a request was processed, as far as it changes the price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processing {
    /// Fast mode; for OpenAI's models priority processing.
    pub fast: bool,
    /// Inference in the United States only.
    pub us: bool,
    /// Batch processing.
    pub batch: bool,
}

/// Changes whenever the same table would price differently: names read otherwise, rows chosen otherwise, requests and hidden
/// calls told apart otherwise.
const METHOD: u64 = 2;

/// Context of a model whose id ends in `[1m]`, in tokens.
const LONG_CONTEXT: u64 = 1_000_000;

const FAST: u32 = 1;
const US: u32 = 1 << 1;
const BATCH: u32 = 1 << 2;
const REGIONAL: u32 = 1 << 3;

/// Responses that are priced by the same rates. It fits into 32 bits and is never 0, so that a ledger can keep it.
///
/// It has a meaning only for the table that made it: keep the table's version beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceClass(u32);

impl PriceClass {
    /// As SQLite keeps it: from 1 on.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// The class that was kept as `value`; `None` if it can be none.
    #[must_use]
    pub fn from_i64(value: i64) -> Option<Self> {
        u32::try_from(value).ok().map(Self).filter(|class| class.0 >> 12 > 0)
    }

    /// A model's index, its row's, and what changes the rates, in 20, 8 and 4 bits.
    fn new(model: usize, row: usize, flags: u32) -> Option<Self> {
        let model = u32::try_from(model + 1).ok().filter(|model| *model < 1 << 20)?;
        let row = u32::try_from(row).ok().filter(|row| *row < 1 << 8)?;
        Some(Self(model << 12 | row << 4 | flags))
    }

    const fn model(self) -> usize {
        (self.0 >> 12) as usize - 1
    }

    const fn row(self) -> usize {
        (self.0 >> 4 & 0xff) as usize
    }
}

/// A model of the table, as `prices show` tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t> {
    /// The model.
    pub model: &'t Model,
    /// Whether the user's file has a price for it.
    pub own: bool,
}

/// The prices in force: the built-in ones and the user's.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    user: UserPrices,
}

impl Prices {
    /// The table that is part of the program. It costs nothing to make.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// The built-in prices with the user's, which go first.
    #[must_use]
    pub const fn with_overrides(user: UserPrices) -> Self {
        Self { user }
    }

    /// A number that changes with every change of the prices: whatever was priced with another one is out of date.
    #[must_use]
    pub const fn version(&self) -> u64 {
        builtin::VERSION.rotate_left(7).wrapping_add(METHOD) ^ self.user.version()
    }

    /// When the built-in prices were looked up, in UTC milliseconds.
    #[must_use]
    pub const fn date(&self) -> i64 {
        builtin::DATE
    }

    /// The class of a request at a time in UTC milliseconds with that many tokens of prompt; `None` if the model has no price.
    #[must_use]
    pub fn class(&self, model: &str, at: i64, prompt: u64, processing: Processing) -> Option<PriceClass> {
        let (index, name) = self.resolve(model)?;
        let model = self.model(index)?;
        let row = model.row_at(at, prompt)?;
        let (named_fast, regional) = name.map_or((false, false), |name| (name.fast, name.regional));
        let flag = |bit: u32, holds: bool| if holds { bit } else { 0 };
        // What changes no rate makes no class of its own.
        let flags = flag(FAST, (processing.fast || named_fast) && model.fast_at(at).is_some())
            | flag(US, processing.us && model.us.is_some())
            | flag(BATCH, processing.batch && model.batch.is_some())
            | flag(REGIONAL, regional && model.regional.is_some());
        PriceClass::new(index, row, flags)
    }

    /// The rates of a class of this table; `None` if it is of another one.
    #[must_use]
    pub fn rates(&self, class: PriceClass) -> Option<Rates> {
        let model = self.model(class.model())?;
        let row = model.rows.get(class.row())?;
        let factor = |bit: u32, percent| if class.0 & bit == 0 { None } else { percent };
        let factors = [(FAST, model.fast), (US, model.us), (BATCH, model.batch), (REGIONAL, model.regional)];
        Some(times(row.rates, factors.into_iter().filter_map(|(bit, percent)| factor(bit, percent))))
    }

    /// The largest context of a model, in tokens; `None` if it is not known.
    #[must_use]
    pub fn context_window(&self, model: &str) -> Option<u64> {
        let (index, name) = self.resolve(model)?;
        let window = self.model(index)?.window;
        if name.is_some_and(|name| name.long_context) { window.max(Some(LONG_CONTEXT)) } else { window }
    }

    /// A model's name without what clouds, resellers and clients write around it.
    #[must_use]
    pub fn normal_form(model: &str) -> String {
        Name::new(model).key
    }

    /// Whether two names lead to one model of the built-in table.
    #[must_use]
    pub fn is_one_builtin(one: &str, other: &str) -> bool {
        let index = |id: &str| builtin::model_of(id).map(|(index, _)| index);
        index(one).is_some_and(|one| index(other) == Some(one))
    }

    /// What the table has under a name that logs give a model.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<Found<'_>> {
        let (index, _) = self.resolve(model)?;
        Some(Found { model: self.model(index)?, own: index >= builtin::MODELS.len() })
    }

    /// All models, in the order of their ids; each once, with the user's prices where he has set some.
    #[must_use]
    pub fn models(&self) -> Vec<Found<'_>> {
        let builtin = builtin::MODELS.iter().enumerate();
        let kept = builtin.filter(|(index, _)| self.user.replacement(*index).is_none());
        let mut models: Vec<_> = kept.map(|(_, model)| Found { model, own: false }).collect();
        models.extend(self.user.models().iter().map(|model| Found { model, own: true }));
        models.sort_by(|one, other| one.model.id.cmp(&other.model.id));
        models
    }

    /// All names in normal form under which a model is found, in order.
    #[must_use]
    pub fn names(&self, model: &Model) -> Vec<&str> {
        let Some(index) = self.index_of(&Name::new(&model.id).key) else { return Vec::new() };
        let all = builtin::NAMES.iter().map(|(name, _)| *name).chain(self.user.names());
        let mut names: Vec<_> = all.filter(|name| self.index_of(name) == Some(index)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The built-in models come first, then the user's.
    fn model(&self, index: usize) -> Option<&Model> {
        match index.checked_sub(builtin::MODELS.len()) {
            None => builtin::MODELS.get(index),
            Some(index) => self.user.models().get(index),
        }
    }

    /// A model's index, and its name taken apart where it was not found as it stands.
    fn resolve(&self, id: &str) -> Option<(usize, Option<Name>)> {
        // Nearly every id stands in the table as logs write it.
        if let Some(index) = self.index_of(id) {
            return Some((index, None));
        }
        let name = Name::new(id);
        let index = name.candidates().find_map(|key| self.index_of(key))?;
        Some((index, Some(name)))
    }

    fn index_of(&self, key: &str) -> Option<usize> {
        if let Some(own) = self.user.index_of(key) {
            return Some(builtin::MODELS.len() + own);
        }
        let index = builtin::index_of(key)?;
        Some(self.user.replacement(index).map_or(index, |own| builtin::MODELS.len() + own))
    }
}

/// Rates times `factors`, which change the price of tokens and not of searches. A rate that is then no whole
/// number of pico-dollars is rounded; no price of today is.
fn times(rates: Rates, factors: impl Iterator<Item = Percent>) -> Rates {
    let (mut factor, mut whole) = (1_u128, 1_u128);
    for percent in factors {
        factor = factor.saturating_mul(percent.into());
        whole = whole.saturating_mul(100);
    }
    if factor == whole {
        return rates;
    }
    let times = |rate: u64| {
        let product = u128::from(rate).saturating_mul(factor).saturating_add(whole / 2) / whole;
        u64::try_from(product).unwrap_or(u64::MAX)
    };
    Rates {
        input: times(rates.input),
        output: times(rates.output),
        cache_read: times(rates.cache_read),
        cache_write_5m: times(rates.cache_write_5m),
        cache_write_1h: times(rates.cache_write_1h),
        web_search: rates.web_search,
    }
}
