//! `capture-cost`: what a pasted cost screen says, beside what the ledger has of the session.
//!
//! The screen rounds (`1.7m`) and shortens names (`claude-haiku`), so two figures agree if the exact one would be shown
//! as the other. Where the screen has only a cost, tokens are estimated from what the session, else the whole ledger,
//! got for its money.

use std::collections::BTreeMap;

use serde::Serialize;

use super::allocations::NO_KEY;
use super::{KnownCost, PricedSum};
use crate::domain::{CapturedCost, CapturedLimit, PicoUsd, ShownCost, ShownUsage, UnreadLine, Usage};
use crate::store::{BucketFilter, Grain, Ledger, SessionRecord, SessionUsage, StoreError};

/// `capture-cost --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptureReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// The session that it was kept for; null if there is none.
    pub session: Option<String>,
    /// Whether it is new; false if this very capture was already saved, or cannot be kept.
    pub kept: bool,
    /// What was read.
    pub captured: CapturedFigures,
    /// What the ledger has of the session; null without one.
    pub ledger: Option<LedgerFigures>,
    /// What the screen has more than the ledger; null without a session.
    pub difference: Option<Difference>,
    /// Tokens where the screen has only a cost.
    pub estimate: Option<TokenEstimate>,
}

/// What was read of a paste.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CapturedFigures {
    pub total_usd: Option<PicoUsd>,
    /// Whether the client warns that models without a price are in it.
    pub inaccurate: bool,
    pub api_seconds: Option<f64>,
    pub wall_seconds: Option<f64>,
    pub lines_added: Option<u64>,
    pub lines_removed: Option<u64>,
    pub by_model: Vec<CapturedModelFigures>,
    /// Of all models, where the screen does not list them.
    pub usage: Option<CapturedUsage>,
    /// The subscription that pays for it.
    pub subscription: Option<String>,
    pub limits: Vec<CapturedLimit>,
    pub notices: Vec<String>,
    /// Lines that couldn't be read.
    pub unread: Vec<UnreadLine>,
}

/// What the screen says of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CapturedModelFigures {
    pub model: String,
    #[serde(flatten)]
    pub usage: CapturedUsage,
    pub cost_usd: Option<PicoUsd>,
}

/// Tokens as the screen shows them; it does not split cache writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct CapturedUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub web_searches: u64,
    pub total_tokens: u64,
}

/// What the ledger has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LedgerFigures {
    pub usage: Usage,
    pub total_tokens: u64,
    /// Of the models that have a price; null if none has.
    pub cost_usd: Option<PicoUsd>,
    pub unpriced_models: Vec<String>,
}

/// What the screen has more than the ledger; negative where it has less, null where it does not say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Of the whole cost.
    pub cost_usd: Option<PicoUsd>,
    /// Of all tokens.
    pub total_tokens: Option<i64>,
    /// Whether the two agree as far as the screen's figures go; null if it has none to compare.
    pub agrees: Option<bool>,
    /// What the screen has more than the ledger, by model.
    pub by_model: Vec<ModelDifference>,
}

/// What the screen has more than the ledger of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelDifference {
    /// The screen's name; of a model that only the ledger has, the ledger's.
    pub model: String,
    /// The ledger's models of that name.
    pub ledger_models: Vec<String>,
    /// What the screen says; null if it does not have the model.
    pub captured: Option<CapturedUsage>,
    /// What the screen says that it cost.
    pub captured_usd: Option<PicoUsd>,
    /// What the ledger has.
    pub ledger: LedgerFigures,
    /// What the screen has more.
    pub total_tokens: i64,
    /// By how much the screen's cost is higher than the ledger's; negative where it is lower, null where it is not
    /// known.
    pub cost_usd: Option<PicoUsd>,
    /// Whether the two agree as far as the screen's figures go.
    pub agrees: bool,
}

/// Tokens that a cost probably stands for: an estimate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenEstimate {
    /// Whose mix of models and classes it was worked out from: `session` or `ledger`.
    pub basis: &'static str,
    /// By class.
    pub usage: Usage,
    /// In all.
    pub total_tokens: u64,
}

impl From<ShownUsage> for CapturedUsage {
    fn from(usage: ShownUsage) -> Self {
        Self {
            input_tokens: usage.input.value,
            output_tokens: usage.output.value,
            cache_read_tokens: usage.cache_read.value,
            cache_write_tokens: usage.cache_write.value,
            web_searches: usage.web_searches.value,
            total_tokens: usage.total(),
        }
    }
}

impl From<&CapturedCost> for CapturedFigures {
    fn from(cost: &CapturedCost) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a session")]
        let seconds = |millis: u64| millis as f64 / 1_000.0;
        let models = cost.models.iter().map(|model| CapturedModelFigures {
            model: model.model.clone(),
            usage: model.usage.into(),
            cost_usd: model.cost.map(|cost| cost.amount),
        });
        Self {
            total_usd: cost.total.map(|total| total.amount),
            inaccurate: cost.is_inaccurate,
            api_seconds: cost.api_ms.map(seconds),
            wall_seconds: cost.wall_ms.map(seconds),
            lines_added: cost.lines.map(|(added, _)| added),
            lines_removed: cost.lines.map(|(_, removed)| removed),
            by_model: models.collect(),
            usage: cost.usage.map(Into::into),
            subscription: cost.subscription.clone(),
            limits: cost.limits.clone(),
            notices: cost.notices.clone(),
            unread: cost.unread.clone(),
        }
    }
}

/// What the ledger has of a model, or of all.
#[derive(Debug, Clone, Copy, Default)]
struct LedgerSum {
    usage: Usage,
    cost: PricedSum,
}

impl LedgerSum {
    fn add(&mut self, row: &SessionUsage<'_>) {
        self.usage += row.usage;
        self.cost.add_if_used(&row.usage, row.cost);
    }

    fn merge(&mut self, other: &Self) {
        self.usage += other.usage;
        self.cost.merge(&other.cost);
    }

    /// What it comes to, with the names of the models without a price.
    fn figures(&self, unpriced_models: Vec<String>) -> LedgerFigures {
        LedgerFigures {
            usage: self.usage,
            total_tokens: self.usage.total(),
            cost_usd: self.cost.priced().map(|cost| cost.total()),
            unpriced_models,
        }
    }
}

impl LedgerFigures {
    /// The cost, and whether there is more of models without a price.
    #[must_use]
    pub fn known_cost(&self) -> KnownCost {
        KnownCost { amount: self.cost_usd, is_partial: !self.unpriced_models.is_empty() }
    }
}

impl CaptureReport {
    /// A capture that belongs to no session.
    #[must_use]
    pub fn without_session(cost: &CapturedCost) -> Self {
        Self {
            schema_version: 1,
            session: None,
            kept: false,
            captured: cost.into(),
            ledger: None,
            difference: None,
            estimate: None,
        }
    }

    /// Compares a capture with what the ledger has of a session.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of(ledger: &Ledger, record: &SessionRecord, cost: &CapturedCost) -> Result<Self, StoreError> {
        let mut models: BTreeMap<String, LedgerSum> = BTreeMap::new();
        let mut all = LedgerSum::default();
        // In the order of time, in which rows are read.
        let mut unpriced_models = Vec::new();
        ledger.usage().for_each_session_usage(record.row, |row| {
            let name = if row.model.is_empty() { NO_KEY } else { row.model };
            let model = models.entry(name.to_owned()).or_default();
            let was_partial = model.cost.is_partial();
            model.add(row);
            if model.cost.is_partial() && !was_partial {
                unpriced_models.push(name.to_owned());
            }
            all.add(row);
        })?;
        let all = all.figures(unpriced_models);
        let estimate = match cost.total.filter(|total| total.amount > PicoUsd::ZERO) {
            Some(total) if has_no_tokens(cost) => estimate(ledger, &all, total.amount)?,
            _ => None,
        };
        Ok(Self {
            session: Some(record.id.clone()),
            difference: Some(difference(cost, &models, &all)),
            ledger: Some(all),
            estimate,
            ..Self::without_session(cost)
        })
    }
}

impl CapturedFigures {
    /// Tokens of all models, if the screen has any.
    #[must_use]
    pub fn total_tokens(&self) -> Option<u64> {
        match (&self.usage, self.by_model.is_empty()) {
            (Some(usage), _) => Some(usage.total_tokens),
            (None, false) => Some(self.by_model.iter().map(|model| model.usage.total_tokens).sum()),
            (None, true) => None,
        }
    }
}

fn has_no_tokens(cost: &CapturedCost) -> bool {
    cost.models.iter().map(|model| model.usage).chain(cost.usage).all(|usage| usage.total() == 0)
}

/// What so much money probably bought.
fn estimate(
    ledger: &Ledger,
    session: &LedgerFigures,
    total: PicoUsd,
) -> Result<Option<TokenEstimate>, StoreError> {
    let is_usable = |known: &LedgerFigures| {
        known.cost_usd.is_some_and(|cost| cost > PicoUsd::ZERO) && known.unpriced_models.is_empty()
    };
    let (basis, mix) = if is_usable(session) {
        ("session", (session.usage, session.cost_usd.unwrap_or_default()))
    } else {
        let mut mix = (Usage::default(), PicoUsd::ZERO);
        ledger.usage().for_each_bucket(
            &BucketFilter::default(),
            Grain::Hour,
            |_| false,
            |row| {
                if let Some(cost) = row.cost {
                    mix.0 += row.usage;
                    mix.1 += cost.total();
                }
            },
        )?;
        ("ledger", mix)
    };
    if mix.1 <= PicoUsd::ZERO {
        return Ok(None);
    }
    let part = |count: u64| {
        let scaled = i128::from(count).saturating_mul(total.as_pico()) / mix.1.as_pico();
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let usage = Usage {
        input: part(mix.0.input),
        output: part(mix.0.output),
        cache_read: part(mix.0.cache_read),
        cache_write_5m: part(mix.0.cache_write_5m),
        cache_write_1h: part(mix.0.cache_write_1h),
        web_searches: 0,
    };
    Ok(Some(TokenEstimate { basis, usage, total_tokens: usage.total() }))
}

fn difference(cost: &CapturedCost, models: &BTreeMap<String, LedgerSum>, all: &LedgerFigures) -> Difference {
    let mut rows: Vec<ModelDifference> = Vec::new();
    let names: Vec<&str> = cost.models.iter().map(|model| model.model.as_str()).collect();
    let owner: BTreeMap<&str, Option<&str>> =
        models.keys().map(|id| (id.as_str(), name_of(id, &names))).collect();
    for model in &cost.models {
        let mut sum = LedgerSum::default();
        let (mut ledger_models, mut unpriced_models) = (Vec::new(), Vec::new());
        for (id, of_model) in models {
            if owner.get(id.as_str()).copied().flatten() == Some(model.model.as_str()) {
                sum.merge(of_model);
                ledger_models.push(id.clone());
                unpriced_models.extend(of_model.cost.is_partial().then(|| id.clone()));
            }
        }
        let known = sum.figures(unpriced_models);
        let is_priced = known.unpriced_models.is_empty();
        let is_same_cost = model.cost.is_none_or(|shown| !is_priced || stands_for(shown, known.cost_usd));
        rows.push(ModelDifference {
            model: model.model.clone(),
            ledger_models,
            captured: Some(model.usage.into()),
            captured_usd: model.cost.map(|cost| cost.amount),
            total_tokens: less(model.usage.total(), known.total_tokens),
            cost_usd: model
                .cost
                .filter(|_| is_priced)
                .map(|cost| cost.amount - known.cost_usd.unwrap_or_default()),
            agrees: model.usage.stands_for(&known.usage) && is_same_cost,
            ledger: known,
        });
    }
    let is_listed = !cost.models.is_empty();
    for (id, sum) in models.iter().filter(|(id, sum)| {
        is_listed && owner.get(id.as_str()).copied().flatten().is_none() && sum.usage.total() > 0
    }) {
        let known = sum.figures(sum.cost.is_partial().then(|| id.clone()).into_iter().collect());
        rows.push(ModelDifference {
            model: id.clone(),
            ledger_models: vec![id.clone()],
            captured: None,
            captured_usd: None,
            total_tokens: less(0, known.total_tokens),
            cost_usd: known.cost_usd.map(|cost| PicoUsd::ZERO - cost),
            agrees: false,
            ledger: known,
        });
    }
    let is_priced = all.unpriced_models.is_empty();
    let same_total = cost.total.filter(|_| is_priced).map(|total| stands_for(total, all.cost_usd));
    let same_usage = cost.usage.map(|usage| usage.stands_for(&all.usage));
    let same_rows = is_listed.then(|| rows.iter().all(|row| row.agrees));
    let compared: Vec<bool> = [same_total, same_usage, same_rows].into_iter().flatten().collect();
    Difference {
        cost_usd: cost
            .total
            .filter(|_| is_priced)
            .map(|total| total.amount - all.cost_usd.unwrap_or_default()),
        total_tokens: CapturedFigures::from(cost).total_tokens().map(|tokens| less(tokens, all.total_tokens)),
        agrees: (!compared.is_empty()).then(|| compared.iter().all(|same| *same)),
        by_model: rows,
    }
}

fn stands_for(shown: ShownCost, known: Option<PicoUsd>) -> bool {
    shown.stands_for(known.unwrap_or_default())
}

fn less(one: u64, other: u64) -> i64 {
    let difference = i128::from(one) - i128::from(other);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}

/// Which of the screen's names a model of the ledger goes under: the longest that its id starts with, else the name of
/// its family (`claude-haiku` for `claude-3-5-haiku-20241022`).
fn name_of<'n>(id: &str, names: &[&'n str]) -> Option<&'n str> {
    let id = id.to_lowercase();
    // Clouds put their own names before the model's.
    let id = id.rfind("claude-").map_or(&*id, |at| &id[at..]);
    let begins = |name: &&&str| {
        id.strip_prefix(&*name.to_lowercase())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    let of_family = |name: &&&str| {
        let family = name.strip_prefix("claude-").filter(|family| !family.contains('-'));
        family.is_some_and(|family| {
            id.starts_with("claude-") && id.split(['-', '@']).any(|part| part == family)
        })
    };
    names
        .iter()
        .filter(begins)
        .max_by_key(|name| name.len())
        .or_else(|| names.iter().find(of_family))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_lead_to_the_models_of_the_ledger() {
        let names = ["claude-haiku", "claude-sonnet-4", "claude-sonnet-4-5", "grok-code-fast-1"];
        let name = |id: &str| name_of(id, &names);
        assert_eq!(name("claude-haiku-4-5-20251001"), Some("claude-haiku"));
        assert_eq!(name("claude-3-5-haiku-20241022"), Some("claude-haiku"));
        assert_eq!(name("claude-sonnet-4-5-20250929"), Some("claude-sonnet-4-5"));
        assert_eq!(name("claude-sonnet-4-20250514[1m]"), Some("claude-sonnet-4"));
        assert_eq!(name("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), Some("claude-sonnet-4-5"));
        assert_eq!(name("claude-opus-4-5"), None);
        assert_eq!(name("grok-code-fast-1"), Some("grok-code-fast-1"));
        assert_eq!(name("grok-code-fast-10"), None);
    }
}
