//! What is taken for true before anything was learned, by generation of tokenizer.
//!
//! `cargo bench --bench estimates` prints the figures that fit all of its transcripts best, the client's own words taken off
//! as the transcripts show them (November 2026: 472 gaps of Claude 4 to 4.6 in six repositories, 247 of Opus 5 in two). What a
//! text is made of was tried as well (digits, punctuation, line ends, words, capitals, letters beyond ASCII): fitted on some
//! repositories, such counts hardly bring the others' gaps nearer and often take them further away. Kinds differ by less than
//! repositories do, so one slope stands for all of them until a ledger has data of its own.

use super::filter::Prior;
use super::{PER_CALL, RETURNED, Tokenizer, WORDS, WRITTEN};
use crate::domain::ToolKind;

/// Slopes are between these: a result that is read as less than a quarter of tiktoken's count, or as more than five
/// times it, is none.
const SLOPES: (f64, f64) = (0.25, 5.0);
/// Tokens of a call besides its text are between these.
const PER_CALL_LIMITS: (f64, f64) = (0.0, 400.0);

/// Standard deviations of a slope: what kinds have in common, and what each has of its own.
const SLOPE_SHARED: f64 = 0.15;
const SLOPE_OWN: f64 = 0.10;
/// The client's own sentences are less sure: whether an edit returns a snippet was at times drawn by lot.
const SLOPE_OF_NOTICES: f64 = 0.30;
/// The client's words are as unsure: a line of a transcript does not hold all of the text that is sent.
const SLOPE_OF_WORDS: f64 = 0.30;
/// Standard deviation of the tokens of a call besides its text, in tokens.
const PER_CALL_OWN: f64 = 20.0;

/// One slope for each kind of [`ToolKind::ALL`], and the tokens of a call.
pub(super) fn returned(tokenizer: Tokenizer) -> Prior<RETURNED> {
    let means = match tokenizer {
        Tokenizer::Tiktoken => uniform(1.0, 10.0),
        Tokenizer::Claude4 => uniform(1.12, 25.0),
        Tokenizer::Claude5 => uniform(1.51, 8.8),
    };
    let mut prior = Prior {
        means,
        own: [SLOPE_OWN; RETURNED],
        shared: [SLOPE_SHARED; RETURNED],
        limits: [SLOPES; RETURNED],
    };
    prior.own[ToolKind::Notice.index()] = SLOPE_OF_NOTICES;
    prior.own[WORDS] = SLOPE_OF_WORDS;
    prior.own[PER_CALL] = PER_CALL_OWN;
    prior.shared[PER_CALL] = 0.0;
    prior.limits[PER_CALL] = PER_CALL_LIMITS;
    prior
}

/// Means with one slope for all kinds and for the client's words, and with the tokens of a call.
pub(super) fn uniform(slope: f64, per_call: f64) -> [f64; RETURNED] {
    let mut means = [slope; RETURNED];
    means[PER_CALL] = per_call;
    means
}

/// The slope of what the model wrote, and the tokens of a call.
pub(super) fn written(tokenizer: Tokenizer) -> Prior<WRITTEN> {
    let means = match tokenizer {
        Tokenizer::Tiktoken => [1.0, 10.0],
        Tokenizer::Claude4 => [1.2, 68.0],
        Tokenizer::Claude5 => [1.5, 69.0],
    };
    Prior {
        means,
        own: [SLOPE_OWN, PER_CALL_OWN],
        shared: [SLOPE_SHARED, 0.0],
        limits: [SLOPES, PER_CALL_LIMITS],
    }
}
