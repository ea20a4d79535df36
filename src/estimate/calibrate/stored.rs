//! A calibration as the ledger keeps it: one short line of JSON for each model.

use serde::{Deserialize, Serialize};

use super::filter::{LearnedCoefficients, short};
use super::{Added, Calibration, FadingSums, MAX_SURPLUS, Tokenizer, Wrote, prior};
use crate::domain::{MAX_COUNT, ModelId, ToolKind};

/// Of which shape the text is. Another shape is not read: the fit begins anew, which costs little.
const SHAPE: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Stored {
    shape: u32,
    gaps: u64,
    responses: u64,
    sums: [f64; 4],
    returned: Vec<f64>,
    written: Vec<f64>,
}

impl Added {
    /// How many numbers it is kept as.
    pub const NUMBERS: usize = ToolKind::ALL.len() + 6;

    /// Whether nothing came in but results: what was foreseen is then what is seen, whatever a model has learned.
    #[must_use]
    pub fn is_of_results_alone(&self) -> bool {
        self.told == 0 && self.words == 0 && self.wrote.is_none()
    }

    /// The numbers that a ledger keeps.
    #[must_use]
    pub fn numbers(&self) -> [u64; Self::NUMBERS] {
        let mut numbers = [0; Self::NUMBERS];
        let (tokens, rest) = numbers.split_at_mut(ToolKind::ALL.len());
        tokens.copy_from_slice(&self.tokens);
        // One more than its calls, so that zero is none.
        let wrote = self.wrote.map_or([0, 0], |wrote| [wrote.tokens, wrote.calls.saturating_add(1)]);
        rest.copy_from_slice(&[self.calls, self.unseen, self.told, self.words, wrote[0], wrote[1]]);
        numbers
    }

    /// What these numbers were made of.
    #[must_use]
    pub fn from_numbers(numbers: [u64; Self::NUMBERS]) -> Self {
        let mut tokens = [0; ToolKind::ALL.len()];
        tokens.copy_from_slice(&numbers[..ToolKind::ALL.len()]);
        let [calls, unseen, told, words, written, makers] =
            std::array::from_fn(|at| numbers[ToolKind::ALL.len() + at]);
        let wrote = makers.checked_sub(1).map(|calls| Wrote { tokens: written, calls });
        Self { tokens, calls, unseen, told, words, wrote }
    }
}

impl Calibration {
    /// The text that a ledger keeps.
    #[must_use]
    pub fn to_json(&self) -> String {
        let FadingSums { estimated, grown, surplus, calls } = self.sums;
        let stored = Stored {
            shape: SHAPE,
            gaps: self.gaps,
            responses: self.responses,
            sums: [estimated, grown, surplus, calls].map(short),
            returned: self.returned.numbers(),
            written: self.written.numbers(),
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// Reads the text of [`to_json`](Self::to_json); of anything else comes the model's prior.
    #[must_use]
    pub fn from_json(model: &ModelId, text: &str) -> Self {
        let tokenizer = Tokenizer::of(model);
        let stored: Option<Stored> = serde_json::from_str(text).ok();
        stored.and_then(|stored| stored.calibration(tokenizer)).unwrap_or_else(|| Self::of(tokenizer))
    }
}

impl Stored {
    fn calibration(&self, tokenizer: Tokenizer) -> Option<Calibration> {
        let [estimated, grown, surplus, calls] = self.sums;
        let sums = FadingSums { estimated, grown, surplus, calls };
        let is_sound = self.shape == SHAPE
            && self.sums.iter().all(|sum| sum.is_finite())
            && [estimated, grown].iter().all(|sum| (0.0..1e12).contains(sum))
            && (1e-3..1e12).contains(&calls)
            // No gap without a call, so no call can have told of more.
            && surplus.abs() <= calls * MAX_SURPLUS + 1.0;
        is_sound.then_some(())?;
        Some(Calibration {
            tokenizer,
            returned: LearnedCoefficients::from_numbers(&self.returned, &prior::returned(tokenizer))?,
            written: LearnedCoefficients::from_numbers(&self.written, &prior::written(tokenizer))?,
            gaps: self.gaps.min(MAX_COUNT),
            responses: self.responses.min(MAX_COUNT),
            sums,
        })
    }
}
