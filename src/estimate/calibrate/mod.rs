//! Learns, for each model, how many tokens it reads where tiktoken counts so many.
//!
//! Claude's tokenizers are not public. But between two responses of one context its size grows by what the calls of
//! the first one returned, and the provider tells that size: growth of input, cache reads and cache writes, less the
//! first one's output. From what was added (tokens of `cl100k_base` by [`Kind`], number of calls) and that growth a
//! fit learns a slope for each kind, and what a call takes besides its text. It begins with a [`prior`] for the model's
//! [`Tokenizer`], doubts it soon and forgets slowly, and gaps that something else got into count for little. What the
//! client itself puts in (12 to 20 % of the growth in transcripts of August 2026) no payload tells, so it is in no
//! call's estimate, but learned apart: [`Calibration::surplus`].
//!
//! Pure: no file, no clock, no ledger. Nothing that comes in can make an estimate absurd ([`filter`]).

mod filter;
mod gaps;
mod kind;
mod prior;
mod stored;
#[cfg(test)]
mod tests;
mod tokenizer;

use crate::domain::{MAX_COUNT, ModelId};
use filter::Filter;
pub use gaps::{Gap, Lesson, WrittenBy, lessons};
pub use kind::Kind;
pub use tokenizer::Tokenizer;

/// Coefficients of a result's fit: a slope for each kind, and the tokens of a call besides.
const RETURNED: usize = Kind::ALL.len() + 1;
/// Coefficients of a response's fit: the slope, and the tokens of a call besides.
const WRITTEN: usize = 2;

/// Noise of a gap's growth with the right coefficients, in tokens, and as a share of it.
const NOISE_TOKENS: f64 = 5.0;
const NOISE_SHARE: f64 = 0.06;
/// Share of the prior's variance that comes back with each gap: what was learned fades over thousands of gaps.
const FORGETTING: f64 = 0.0003;
/// The same when a session begins, for sessions differ more than gaps.
const FORGETTING_BY_SESSION: f64 = 0.3;
/// How much of the running sums a new gap leaves: they look back over about 200 gaps.
const FADING: f64 = 0.995;
/// The surplus's own weight, in calls: with fewer observed it stays near the prior's.
const SURPLUS_PRIOR_CALLS: f64 = 20.0;
/// Most tokens of surplus that one gap can tell of: more was no reminder.
const MAX_SURPLUS: f64 = 4_000.0;
/// Growth beyond this, in tokens, is no tool's doing.
const MAX_GROWTH: u64 = 2_000_000;

/// What came into a context between two responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    tokens: [u64; Kind::ALL.len()],
    calls: u64,
}

impl Added {
    /// Adds one call's result: its count with `cl100k_base`.
    pub fn add(&mut self, kind: Kind, raw_tokens: u64) {
        let tokens = &mut self.tokens[kind.index()];
        *tokens = tokens.saturating_add(raw_tokens).saturating_add(kind.unseen_tokens()).min(MAX_COUNT);
        self.calls += 1;
    }

    /// Calls that were added.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether results so large can have come into a context.
    fn is_possible(&self) -> bool {
        self.tokens.iter().fold(0_u64, |sum, tokens| sum.saturating_add(*tokens)) <= MAX_GROWTH
    }

    fn inputs(&self) -> [f64; RETURNED] {
        let mut inputs = [0.0; RETURNED];
        for (input, tokens) in inputs.iter_mut().zip(self.tokens) {
            *input = real(tokens);
        }
        inputs[RETURNED - 1] = real(self.calls);
        inputs
    }
}

/// What is known of one model's tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    tokenizer: Tokenizer,
    returned: Filter<RETURNED>,
    written: Filter<WRITTEN>,
    gaps: u64,
    responses: u64,
    sums: Sums,
}

/// Running sums with fading, of estimated gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    estimated: f64,
    grown: f64,
    /// What gaps grew by more than estimated, and the calls in them.
    surplus: f64,
    calls: f64,
}

impl Calibration {
    /// What is known before anything was learned: the figures of the model's generation, for a model that nobody
    /// knows those of the newest.
    #[must_use]
    pub fn prior(model: &ModelId) -> Self {
        Self::of(Tokenizer::of(model))
    }

    fn of(tokenizer: Tokenizer) -> Self {
        Self {
            tokenizer,
            returned: Filter::new(&prior::returned(tokenizer)),
            written: Filter::new(&prior::written(tokenizer)),
            gaps: 0,
            responses: 0,
            sums: Sums::default(),
        }
    }

    /// What is known when somebody else's data gave a slope and the tokens of a call besides: the replay begins with
    /// such figures, fitted on other repositories than those it tests.
    #[must_use]
    pub fn uniform(model: &ModelId, slope: f64, per_call: f64) -> Self {
        let mut calibration = Self::prior(model);
        calibration.returned.means = prior::uniform(slope, per_call);
        calibration.begin_session();
        calibration
    }

    /// Gaps it has learned from.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.gaps
    }

    /// Tokens that the model reads as one call's result, which counts `raw_tokens` with `cl100k_base`; what the call
    /// takes besides its text included.
    #[must_use]
    pub fn estimate(&self, kind: Kind, raw_tokens: u64) -> u64 {
        let mut added = Added::default();
        added.add(kind, raw_tokens);
        whole(self.returned.predict(&added.inputs()))
    }

    /// Tokens that the model wrote to make one call, which counts `raw_tokens` with `cl100k_base`.
    #[must_use]
    pub fn estimate_generated(&self, raw_tokens: u64) -> u64 {
        whole(self.written.predict(&[real(raw_tokens), 1.0]))
    }

    /// Tokens that come into the context with a call though it did not return them, on average: the client's
    /// reminders, notes on files that were changed, hooks' words. In no [`estimate`](Self::estimate); sums of a
    /// session's calls are nearer to its growth with it.
    #[must_use]
    pub fn surplus(&self) -> u64 {
        whole(self.mean_surplus())
    }

    fn mean_surplus(&self) -> f64 {
        let prior = prior::surplus(self.tokenizer) * SURPLUS_PRIOR_CALLS;
        (self.sums.surplus + prior) / (self.sums.calls + SURPLUS_PRIOR_CALLS)
    }

    /// By how much the sums of the last some hundred gaps were off, as a fraction of the real growth; `None` before
    /// the first gap.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let Sums { estimated, grown, .. } = self.sums;
        (grown > 0.0).then(|| ((estimated - grown) / grown).abs().min(1.0))
    }

    /// A session begins: what was learned is doubted a little, for sessions differ.
    pub fn begin_session(&mut self) {
        self.returned.forget(FORGETTING_BY_SESSION, &prior::returned(self.tokenizer));
        self.written.forget(FORGETTING_BY_SESSION, &prior::written(self.tokenizer));
    }

    /// Learns from a gap: `added` was returned to the model, and its context grew by `growth` tokens besides its own
    /// output. Gaps without a call tell nothing, nor do those of a context that shrank; those that the client's own
    /// words got into are for [`learn_injected`](Self::learn_injected).
    pub fn learn(&mut self, added: &Added, growth: u64) {
        if added.calls == 0 || !added.is_possible() || !(1..=MAX_GROWTH).contains(&growth) {
            return;
        }
        let prior = prior::returned(self.tokenizer);
        let (inputs, growth) = (added.inputs(), real(growth));
        let estimated = self.returned.predict(&inputs);
        self.sums.estimated = self.sums.estimated * FADING + estimated;
        self.sums.grown = self.sums.grown * FADING + growth;
        self.note_surplus(added, growth - estimated);
        self.gaps = self.gaps.saturating_add(1);
        self.returned.forget(FORGETTING, &prior);
        let noise = NOISE_TOKENS.hypot(NOISE_SHARE * estimated.abs().max(growth));
        self.returned.learn(&inputs, growth, noise, &prior);
    }

    /// Learns from a gap into which the client put words of its own (a reminder, a note on a changed file, a hook's
    /// context; the transcript shows them as `attachment`): nothing but what such words add up to.
    pub fn learn_injected(&mut self, added: &Added, growth: u64) {
        if added.calls > 0 && added.is_possible() && (1..=MAX_GROWTH).contains(&growth) {
            self.note_surplus(added, real(growth) - self.returned.predict(&added.inputs()));
        }
    }

    fn note_surplus(&mut self, added: &Added, surplus: f64) {
        self.sums.surplus = self.sums.surplus * FADING + surplus.clamp(-MAX_SURPLUS, MAX_SURPLUS);
        self.sums.calls = self.sums.calls * FADING + real(added.calls);
    }

    /// Learns from a response that hides no thinking and is complete: `raw_tokens` is what `cl100k_base` counts of
    /// what it wrote, with `calls` calls in it, `output` is what was billed.
    pub fn learn_written(&mut self, raw_tokens: u64, calls: u64, output: u64) {
        if ![raw_tokens, output].iter().all(|tokens| (1..=MAX_GROWTH).contains(tokens)) {
            return;
        }
        let prior = prior::written(self.tokenizer);
        let (inputs, output) = ([real(raw_tokens), real(calls)], real(output));
        self.responses = self.responses.saturating_add(1);
        self.written.forget(FORGETTING, &prior);
        let noise = NOISE_TOKENS.hypot(NOISE_SHARE * self.written.predict(&inputs).abs().max(output));
        self.written.learn(&inputs, output, noise, &prior);
    }
}

/// A number of tokens for the fit.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn real(tokens: u64) -> f64 {
    tokens.min(MAX_COUNT) as f64
}

/// A number of tokens from the fit.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn whole(tokens: f64) -> u64 {
    if tokens.is_finite() { tokens.round().clamp(0.0, real(MAX_COUNT)) as u64 } else { 0 }
}
