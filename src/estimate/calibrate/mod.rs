//! Learns, for each model, how many tokens it reads where tiktoken counts so many.
//!
//! Claude's tokenizers are not public. But between two responses of one context its size grows by what the calls of
//! the first one returned, and the provider tells that size: growth of input, cache reads and cache writes, less the
//! first one's output. From what was added (tokens of `cl100k_base` by [`ToolKind`], number of calls, the client's own words as
//! the transcript shows them afterwards) and that growth a fit learns a slope for each kind, one for the client's words, and
//! what a call takes besides its text. It begins with a [`prior`] for the model's [`Tokenizer`], doubts it soon and forgets
//! slowly; gaps that do not fit pull less.
//!
//! Older clients log no final output. Where a response made calls alone, what it wrote is known, and how the model counts
//! that is learned from the others: such a gap teaches with its own calls taken off. Without these gaps a ledger of such
//! logs foresaw 6% too little in 85 calls of Opus 4.6, and 0.2% with them.
//!
//! What the client itself puts in (reminders, notes on changed files, hooks' contexts: 14 to 19% of the growth in three
//! long transcripts of August 2026) no payload tells, so it is in no call's estimate, but foreseen apart, by what came with
//! the last calls: [`Calibration::surplus`].
//!
//! Pure: no file, no clock, no ledger. Nothing that comes in can make an estimate absurd ([`filter`]).

mod filter;
mod gaps;
mod prior;
mod stored;
#[cfg(test)]
mod tests;
mod tokenizer;

use crate::domain::{MAX_COUNT, ModelId, ToolKind};
use filter::LearnedCoefficients;
pub use gaps::{AnsweredCall, CalibrationSample, Gap, SampleFinder, WrittenBy, Wrote, calibration_samples};
pub use tokenizer::Tokenizer;

/// Coefficients of a result's fit: a slope for each kind, the tokens of a call besides, and a slope for the client's words.
const RETURNED: usize = ToolKind::ALL.len() + 2;
/// Where the last two stand.
const PER_CALL: usize = RETURNED - 2;
const WORDS: usize = RETURNED - 1;
/// Coefficients of a response's fit: the slope, and the tokens of a call besides.
const WRITTEN: usize = 2;

/// Noise of a gap's growth with the right coefficients, in tokens, and as a share of it.
const NOISE_TOKENS: f64 = 5.0;
const NOISE_SHARE: f64 = 0.06;
/// Noise of the client's words as a share of them, for the transcript does not show all that is sent.
const NOISE_OF_WORDS: f64 = 0.25;
/// Share of the prior's variance that comes back with each gap: what was learned fades over thousands of gaps.
const FORGETTING: f64 = 0.0003;
/// Share of the prior's variance that comes back when a session begins, for sessions differ more than gaps.
const FORGETTING_BY_SESSION: f64 = 0.3;
/// How much of the running sums a new gap leaves: they look back over about 200 gaps.
const FADING: f64 = 0.995;
/// How much of the surplus's sums each new call leaves: they look back over about ten calls, for what the client puts in
/// comes in bursts, and what it put in is foreseen once again by and by.
const SURPLUS_FADING: f64 = 0.9;
/// Calls that have brought nothing, to begin with.
const SURPLUS_PRIOR_CALLS: f64 = 20.0;
/// Most tokens of surplus that one gap can tell of: more was no reminder.
const MAX_SURPLUS: f64 = 4_000.0;
/// Growth beyond this, in tokens, is no tool's doing.
const MAX_GROWTH: u64 = 2_000_000;

/// What came into a context between two responses. All in tokens of `cl100k_base`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    /// What the calls returned.
    tokens: [u64; ToolKind::ALL.len()],
    calls: u64,
    /// What the calls are known to bring besides, though no payload tells, as the estimate has it ([`unseen_tokens`]).
    unseen: u64,
    /// What they have really brought so.
    told: u64,
    /// The client's own words.
    words: u64,
    /// What the response before has written, where nobody tells how much the model counts it.
    wrote: Option<Wrote>,
}

/// What a call brings into the context besides the text it returns, in tokens of `cl100k_base`: the instructions of a skill, of
/// which no payload tells. 11 in real transcripts have 173 to 18,454 characters, 8,985 in the middle.
const fn unseen_tokens(kind: ToolKind) -> u64 {
    match kind {
        ToolKind::Skill => 2_000,
        _ => 0,
    }
}

impl Added {
    /// Adds one call's result.
    pub fn add(&mut self, kind: ToolKind, raw_tokens: u64) {
        let tokens = &mut self.tokens[kind.index()];
        *tokens = tokens.saturating_add(raw_tokens).min(MAX_COUNT);
        self.unseen = self.unseen.saturating_add(unseen_tokens(kind));
        self.calls += 1;
    }

    /// Adds what the transcript shows that came in besides results: text that the client sent for a call (a skill's), and
    /// words of its own.
    pub fn add_told(&mut self, for_calls: u64, words: u64) {
        self.told = self.told.saturating_add(for_calls).min(MAX_COUNT);
        self.words = self.words.saturating_add(words).min(MAX_COUNT);
    }

    /// Adds the calls of the response before, which the growth holds too.
    pub fn add_wrote(&mut self, wrote: Wrote) {
        self.wrote = Some(wrote);
    }

    /// Whether all that can have come into a context.
    fn is_possible(&self) -> bool {
        let wrote = self.wrote.map_or(0, |wrote| wrote.tokens);
        let parts = self.tokens.iter().chain([&self.told, &self.words, &wrote]);
        parts.fold(0_u64, |sum, tokens| sum.saturating_add(*tokens)) <= MAX_GROWTH
    }

    /// As it was foreseen when the calls were made.
    fn foreseen(&self) -> [f64; RETURNED] {
        let mut inputs = [0.0; RETURNED];
        for (input, tokens) in inputs.iter_mut().zip(self.tokens) {
            *input = real(tokens);
        }
        inputs[ToolKind::Skill.index()] += real(self.unseen);
        inputs[PER_CALL] = real(self.calls);
        inputs
    }

    /// As the transcript shows it afterwards.
    fn seen(&self) -> [f64; RETURNED] {
        let mut inputs = self.foreseen();
        // Where no skill's text stands the guess is the best there is.
        if self.told > 0 {
            inputs[ToolKind::Skill.index()] += real(self.told) - real(self.unseen);
        }
        inputs[WORDS] = real(self.words);
        inputs
    }
}

/// What is known of one model's tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    tokenizer: Tokenizer,
    returned: LearnedCoefficients<RETURNED>,
    written: LearnedCoefficients<WRITTEN>,
    gaps: u64,
    responses: u64,
    sums: FadingSums,
}

/// Running sums with fading.
#[derive(Debug, Clone, Copy, PartialEq)]
struct FadingSums {
    estimated: f64,
    grown: f64,
    /// What gaps grew by more than foreseen, and the calls in them; these fade by the call.
    surplus: f64,
    calls: f64,
}

impl FadingSums {
    const NONE: Self = Self { estimated: 0.0, grown: 0.0, surplus: 0.0, calls: SURPLUS_PRIOR_CALLS };
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
            returned: LearnedCoefficients::new(&prior::returned(tokenizer)),
            written: LearnedCoefficients::new(&prior::written(tokenizer)),
            gaps: 0,
            responses: 0,
            sums: FadingSums::NONE,
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
    pub fn estimate(&self, kind: ToolKind, raw_tokens: u64) -> u64 {
        let mut added = Added::default();
        added.add(kind, raw_tokens);
        whole(self.returned.predict(&added.foreseen()))
    }

    /// Tokens that the model wrote to make one call, which counts `raw_tokens` with `cl100k_base`.
    #[must_use]
    pub fn estimate_generated(&self, raw_tokens: u64) -> u64 {
        whole(self.written.predict(&[real(raw_tokens), 1.0]))
    }

    /// Tokens that come into the context with a call though it did not return them, by what came with the last ten or so:
    /// the client's reminders, notes on files that were changed, hooks' words. In no [`estimate`](Self::estimate); sums of a
    /// session's calls are near to its growth with it.
    #[must_use]
    pub fn surplus(&self) -> u64 {
        whole(self.sums.surplus / self.sums.calls)
    }

    /// What a gap grew by besides what its calls were estimated to bring, as far as the transcript shows it afterwards: the
    /// client's words, and a skill's text where that was guessed. In tokens of the model, less than nothing for a guess that
    /// was too high.
    #[must_use]
    pub fn told(&self, added: &Added) -> i64 {
        let more = self.returned.predict(&added.seen()) - self.returned.predict(&added.foreseen());
        if more < 0.0 { -whole(-more).cast_signed() } else { whole(more).cast_signed() }
    }

    /// Tokens of the growth that are the calls of the response before, as far as they are not told apart.
    #[must_use]
    pub fn wrote(&self, added: &Added) -> u64 {
        added.wrote.map_or(0, |wrote| whole(self.own(wrote)))
    }

    fn own(&self, wrote: Wrote) -> f64 {
        self.written.predict(&[real(wrote.tokens), real(wrote.calls)])
    }

    /// By how much the sums of the last some hundred gaps were off, as a fraction of the real growth, what the transcript
    /// shows of the client's words included on both sides; `None` before the first gap.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        let FadingSums { estimated, grown, .. } = self.sums;
        (grown > 0.0).then(|| ((estimated - grown) / grown).abs().min(1.0))
    }

    /// A session begins: what was learned is doubted a little, for sessions differ.
    pub fn begin_session(&mut self) {
        self.returned.forget(FORGETTING_BY_SESSION, &prior::returned(self.tokenizer));
        self.written.forget(FORGETTING_BY_SESSION, &prior::written(self.tokenizer));
    }

    /// Learns from a gap: `added` came in, and the context grew by `growth` tokens besides the first response's output, or
    /// with it, if that is among what was added. Gaps without a call tell nothing, nor do those of a context that shrank.
    pub fn learn(&mut self, added: &Added, growth: u64) {
        if added.calls == 0 || !added.is_possible() || !(1..=MAX_GROWTH).contains(&growth) {
            return;
        }
        let prior = prior::returned(self.tokenizer);
        let own = added.wrote.map_or(0.0, |wrote| self.own(wrote));
        let (inputs, growth) = (added.seen(), real(growth) - own);
        if growth < 1.0 {
            return;
        }
        let estimated = self.returned.predict(&inputs);
        self.sums.estimated = self.sums.estimated * FADING + estimated;
        self.sums.grown = self.sums.grown * FADING + growth;
        self.note_surplus(added, growth - self.returned.predict(&added.foreseen()));
        self.gaps = self.gaps.saturating_add(1);
        self.returned.forget(FORGETTING, &prior);
        let words = self.returned.means[WORDS] * inputs[WORDS];
        let noise =
            NOISE_TOKENS.hypot(NOISE_SHARE * estimated.abs().max(growth)).hypot(NOISE_OF_WORDS * words);
        let noise = noise.hypot(NOISE_SHARE * own);
        self.returned.learn(&inputs, growth, noise, &prior);
    }

    fn note_surplus(&mut self, added: &Added, surplus: f64) {
        let left = SURPLUS_FADING.powf(real(added.calls));
        self.sums.surplus = self.sums.surplus * left + surplus.clamp(-MAX_SURPLUS, MAX_SURPLUS);
        self.sums.calls = self.sums.calls * left + real(added.calls);
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
