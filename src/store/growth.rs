//! What a session's contexts have grown by, beside what its calls were estimated to return: what `error_percent` follows
//! from. It is kept with the session's allocations, for it is read from all of its contexts.
//!
//! Models go on learning, and what was learned says how much of a growth is the client's own words. So the gaps that have
//! such words are kept one by one, and the others as two sums.

use super::codec::{Packer, Unpacker};
use crate::domain::ModelId;
use crate::estimate::calibrate::{Added, Calibration, Gap};

/// What the contexts of a session have grown by, and what the calls in these gaps were estimated to bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth {
    /// The calls that it was worked out with, as [`fingerprint`] has them.
    fingerprint: u64,
    /// Tokens that were estimated for gaps in which nothing came in but results of tools.
    estimated: u64,
    /// Tokens that the contexts grew by in those gaps, as the provider counts them.
    grown: u64,
    /// The gaps in which something else came in, too, one by one.
    mixed_gaps: Vec<MixedGap>,
}

/// A gap in which, beside results of tools, there are words of the client's own, or what the response before has written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MixedGap {
    model: ModelId,
    estimated: u64,
    grown: u64,
    added: Added,
}

impl Growth {
    /// Nothing yet, of calls that have this [`fingerprint`].
    #[must_use]
    pub fn new(fingerprint: u64) -> Self {
        Self { fingerprint, ..Self::default() }
    }

    /// Whether it was worked out with calls that have this [`fingerprint`].
    #[must_use]
    pub const fn is_of(&self, fingerprint: u64) -> bool {
        self.fingerprint == fingerprint
    }

    /// Adds a gap whose calls were estimated to return so many tokens.
    pub fn add(&mut self, gap: &Gap, estimated: u64) {
        let added = gap.added(|_| None);
        if added.is_of_results_alone() {
            self.estimated = self.estimated.saturating_add(estimated);
            self.grown = self.grown.saturating_add(gap.growth);
        } else {
            self.mixed_gaps.push(MixedGap { model: gap.model.clone(), estimated, grown: gap.growth, added });
        }
    }

    /// By how much the estimates were off, in per cent of the growth, with what `learned` tells of a model; `None` if no growth
    /// is known.
    ///
    /// # Errors
    /// What `learned` returns.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn error_percent<E>(
        &self,
        mut learned: impl FnMut(&ModelId) -> Result<Calibration, E>,
    ) -> Result<Option<f64>, E> {
        let (mut estimated, mut grown) = (i128::from(self.estimated), i128::from(self.grown));
        let mut known: Option<(&ModelId, Calibration)> = None;
        for gap in &self.mixed_gaps {
            let calibration = match known {
                Some((model, calibration)) if *model == gap.model => calibration,
                _ => learned(&gap.model)?,
            };
            known = Some((&gap.model, calibration));
            estimated += i128::from(gap.estimated) + i128::from(calibration.told(&gap.added));
            grown += i128::from(gap.grown.saturating_sub(calibration.wrote(&gap.added)));
        }
        Ok((grown > 0).then(|| estimated.abs_diff(grown) as f64 * 100.0 / grown as f64))
    }
}

/// Adds a call to what tells that a session's calls are still those that something was worked out with: the row, and what it
/// was estimated to return. Their order does not matter.
#[must_use]
pub(super) fn fingerprint(of_others: u64, row: i64, returned: i64) -> u64 {
    // The mixing of SplitMix64, which spreads each bit over all.
    let mut mixed = row.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ returned.cast_unsigned();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    of_others.wrapping_add(mixed ^ (mixed >> 31))
}

/// The growth as the ledger keeps it: each model's name once.
pub(super) fn encode(growth: &Growth) -> Vec<u8> {
    let mut body = Packer::with_capacity(32 + growth.mixed_gaps.len() * 24);
    body.numbers([growth.fingerprint, growth.estimated, growth.grown]);
    let mut models: Vec<&ModelId> = growth.mixed_gaps.iter().map(|gap| &gap.model).collect();
    models.sort_unstable();
    models.dedup();
    body.texts(models.iter().map(|model| model.as_str()));
    for gap in &growth.mixed_gaps {
        let model = models.binary_search(&&gap.model).unwrap_or_default();
        body.numbers([model as u64, gap.estimated, gap.grown]);
        body.numbers(gap.added.numbers());
    }
    body.finish()
}

/// Reads what [`encode`] has written; `None` of what is not whole.
pub(super) fn decode(body: &[u8]) -> Option<Growth> {
    let mut body = Unpacker::new(body);
    let [fingerprint, estimated, grown] = body.numbers()?;
    let mut growth = Growth { fingerprint, estimated, grown, mixed_gaps: Vec::new() };
    let models: Vec<ModelId> = body.texts()?.into_iter().map(ModelId::new).collect::<Option<_>>()?;
    while !body.is_empty() {
        let [model, estimated, grown] = body.numbers()?;
        let model = models.get(usize::try_from(model).ok()?)?.clone();
        let numbers = body.numbers::<{ Added::NUMBERS }>()?;
        growth.mixed_gaps.push(MixedGap { model, estimated, grown, added: Added::from_numbers(numbers) });
    }
    Some(growth)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ToolKind;
    use crate::estimate::calibrate::Wrote;

    proptest! {
        #[test]
        fn bytes_that_nobody_has_written_are_refused_or_tell_a_growth(
            head in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..20),
            tail in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut named = Packer::default();
            named.numbers([1, 2, 3]);
            named.texts(["a"].into_iter());
            for bytes in [[head, tail.clone()].concat(), [named.finish(), tail].concat()] {
                if let Some(growth) = decode(&bytes) {
                    let _percent = growth.error_percent(|model| Ok::<_, ()>(Calibration::prior(model)));
                }
            }
        }
    }

    #[test]
    fn growth_is_read_as_it_was_written() {
        let mut words = Added::default();
        words.add(ToolKind::Skill, 300);
        words.add_told(u64::from(u32::MAX), 7);
        let mut wrote = Added::default();
        wrote.add_wrote(Wrote { tokens: 0, calls: 0 });
        let gaps =
            [("claude-opus-5-5", words), ("a", wrote), ("claude-opus-5-5", wrote)].map(|(model, added)| {
                MixedGap { model: ModelId::new(model).unwrap(), estimated: 1, grown: 128, added }
            });
        let growth = Growth { fingerprint: u64::MAX, estimated: 5, grown: 0, mixed_gaps: gaps.to_vec() };
        let body = encode(&growth);
        assert_eq!(decode(&body), Some(growth));
        // Of a part not the whole is read.
        assert!((0..body.len()).filter_map(|end| decode(&body[..end])).all(|part| part.mixed_gaps.len() < 3));
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn calls_have_one_fingerprint_in_any_order_and_another_if_one_of_them_changes() {
        let of =
            |calls: &[(i64, i64)]| calls.iter().fold(0, |sum, (row, tokens)| fingerprint(sum, *row, *tokens));
        assert_eq!(of(&[(1, 5), (2, 7)]), of(&[(2, 7), (1, 5)]));
        for other in [&[(1, 7), (2, 5)][..], &[(1, 4), (2, 8)], &[(1, 5)], &[(1, 5), (3, 7)], &[]] {
            assert_ne!(of(other), of(&[(1, 5), (2, 7)]), "{other:?}");
        }
    }
}
