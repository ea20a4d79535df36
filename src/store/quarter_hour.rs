//! What buckets of usage are told apart by: quarters of an hour, and the run that stands for what no log shows.

use crate::domain::Timestamp;

/// The run that stands for what no line of a transcript shows.
pub const HIDDEN_AGENT: &str = "(hidden)";

/// A quarter of an hour, the finest time that is kept of what was spent. All time zones begin their days at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuarterHour(pub(super) i64);

impl QuarterHour {
    /// Its length.
    pub const MILLIS: i64 = 900_000;
    /// Stands for a time that is not known.
    pub(super) const UNKNOWN: i64 = -1;

    /// The first one that does not begin before `at`.
    #[must_use]
    pub const fn from_time(at: Timestamp) -> Self {
        let millis = at.as_millis();
        Self(millis.div_euclid(Self::MILLIS) + (millis.rem_euclid(Self::MILLIS) > 0) as i64)
    }

    /// The quarter of that number since 1970.
    #[must_use]
    pub(super) fn from_number(number: u64) -> Self {
        Self(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// Its number since 1970.
    #[must_use]
    pub(super) fn to_number(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// The quarter that `at` is in.
    #[must_use]
    pub const fn containing(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(Self::MILLIS))
    }

    /// Its number since 1970.
    pub(super) const fn number(self) -> i64 {
        self.0
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(Self::MILLIS))
    }
}
