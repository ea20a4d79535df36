//! Money: whole pico-dollars, so that tokens times a price is exact and sums do not depend on their order.

use std::collections::BTreeSet;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Digits behind the point of a dollar.
const DECIMALS: usize = 12;
/// Digits that a sum below one dollar is shown with.
const SIGNIFICANT: usize = 3;

/// A sum of money in pico-dollars (1 USD = 10¹²), the unit in which a price per token is a whole number.
///
/// It is shown to people as `$12.34` ([`Display`](fmt::Display)) and written to JSON as a number of dollars with all
/// its digits, whatever a binary float could hold. That needs `serde_json`; no other format is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(i128);

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One dollar.
    pub const DOLLAR: Self = Self(1_000_000_000_000);
    /// The largest sum that the ledger can hold: $9,223,372 and some cents.
    pub const MOST_KEPT: Self = Self(i64::MAX as i128);

    /// The sum of that many pico-dollars.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// The sum in pico-dollars.
    #[must_use]
    pub const fn as_pico(self) -> i128 {
        self.0
    }

    /// The sum as SQLite can hold it; beyond nine million dollars it stays at the limit.
    #[must_use]
    pub fn to_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// What `count` things cost that cost `each` pico-dollars.
    #[must_use]
    pub const fn times(count: u64, each: u64) -> Self {
        Self((count as i128).saturating_mul(each as i128))
    }

    /// The sum, if it can be held.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// In dollars, for shares and bars. Never add these up.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for pictures, not for sums")]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / Self::DOLLAR.0 as f64
    }

    /// The sum as a part of `whole`, 0 to 100; `None` of nothing.
    #[must_use]
    pub fn percent_of(self, whole: Self) -> Option<f64> {
        (whole > Self::ZERO).then(|| self.to_f64() * 100.0 / whole.to_f64())
    }

    /// Reads dollars as programs write them, in JSON for instance: `12`, `0.0123`, `3e-05`. What is finer than a
    /// pico-dollar is rounded, because the client writes the noise of its floats (`0.031924600000000004`). `None` if it
    /// is no such number. What people type is read by [`amount::usd`](super::amount::usd).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || all.len() > 200 || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // The value is 0.all × 10^point dollars.
        let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
        let kept = usize::try_from(point.checked_add(DECIMALS as i32)?).ok();
        let pico = match kept {
            Some(kept) if kept >= all.len() => {
                let zeros = u32::try_from(kept - all.len()).ok()?;
                let value = all.parse::<i128>().ok()?;
                if value == 0 { 0 } else { value.checked_mul(10_i128.checked_pow(zeros)?)? }
            }
            Some(kept) => {
                let value = if kept == 0 { 0 } else { all[..kept].parse::<i128>().ok()? };
                value + i128::from(all.as_bytes()[kept] >= b'5')
            }
            None => 0,
        };
        Some(Self(if negative { -pico } else { pico }))
    }

    /// The exact number of dollars, with as many digits as it takes: `0.0123`, `12`.
    #[must_use]
    pub fn to_decimal(self) -> String {
        let mut text = self.with_decimals(DECIMALS);
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        text
    }

    /// `$1,234.50`: with that many digits behind the point, so that a column of sums is read at one glance.
    #[must_use]
    pub fn to_dollars(self, decimals: usize) -> String {
        let text = self.with_decimals(decimals.min(DECIMALS));
        let (sign, text) = text.strip_prefix('-').map_or(("", &*text), |text| ("-", text));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut shown = format!("{sign}$");
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                shown.push(',');
            }
            shown.push(digit);
        }
        if decimals > 0 {
            shown.push('.');
            shown.push_str(fraction);
        }
        shown
    }

    /// With `decimals` digits behind the point, at most twelve, rounded.
    fn with_decimals(self, decimals: usize) -> String {
        let unit = 10_u128.pow(u32::try_from(DECIMALS - decimals).unwrap_or(0));
        let rounded = (self.0.unsigned_abs() + unit / 2) / unit;
        let sign = if self.0 < 0 && rounded > 0 { "-" } else { "" };
        let digits = format!("{rounded:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        format!("{sign}{whole}.{fraction}")
    }
}

impl fmt::Display for PicoUsd {
    /// `$1,234.50`; below one dollar with three significant digits: `$0.0123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().checked_ilog10().map_or(0, |log| log as usize + 1);
        let decimals = if digits > DECIMALS || digits == 0 {
            2
        } else {
            (DECIMALS - digits + SIGNIFICANT).clamp(2, DECIMALS)
        };
        let mut shown = self.to_dollars(decimals);
        let cents = shown.find('.').map_or(shown.len(), |point| point + 3);
        shown.truncate(shown.trim_end_matches('0').len().max(cents));
        f.pad(&shown)
    }
}

impl Serialize for PicoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_decimal()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl Add for PicoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for PicoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for PicoUsd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for PicoUsd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

/// A cost by what it was paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CostParts {
    /// Input that was neither read from nor written to the cache.
    #[serde(rename = "input_usd")]
    pub input: PicoUsd,
    /// Output.
    #[serde(rename = "output_usd")]
    pub output: PicoUsd,
    /// Reading from the cache.
    #[serde(rename = "cache_read_usd")]
    pub cache_read: PicoUsd,
    /// Writing to the cache, for 5 minutes and for 1 hour.
    #[serde(rename = "cache_write_usd")]
    pub cache_write: PicoUsd,
    /// Web searches.
    #[serde(rename = "web_search_usd")]
    pub web_search: PicoUsd,
}

impl CostParts {
    /// All parts together.
    #[must_use]
    pub fn total(&self) -> PicoUsd {
        self.input + self.output + self.cache_read + self.cache_write + self.web_search
    }
}

impl CostParts {
    /// Whether no part of `other` is larger.
    #[must_use]
    pub fn has(&self, other: &Self) -> bool {
        self.input >= other.input
            && self.output >= other.output
            && self.cache_read >= other.cache_read
            && self.cache_write >= other.cache_write
            && self.web_search >= other.web_search
    }

    /// What is left without `other`, part by part.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            input: self.input - other.input,
            output: self.output - other.output,
            cache_read: self.cache_read - other.cache_read,
            cache_write: self.cache_write - other.cache_write,
            web_search: self.web_search - other.web_search,
        }
    }
}

impl Add for CostParts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            web_search: self.web_search + other.web_search,
        }
    }
}

impl AddAssign for CostParts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for CostParts {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}

/// What usage cost: the part that has a price, and the models that have none.
///
/// A model without a price is named, never taken for free: a zero would read as free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    priced: Option<CostParts>,
    unpriced: BTreeSet<String>,
}

impl Cost {
    /// A cost that is known.
    #[must_use]
    pub const fn known(parts: CostParts) -> Self {
        Self { priced: Some(parts), unpriced: BTreeSet::new() }
    }

    /// The cost of a model that has no price.
    #[must_use]
    pub fn unpriced(model: impl Into<String>) -> Self {
        Self { priced: None, unpriced: BTreeSet::from([model.into()]) }
    }

    /// The known part; `None` if nothing of it is known. The cost of nothing at all is known: zero.
    #[must_use]
    pub fn parts(&self) -> Option<CostParts> {
        match self.priced {
            None if self.unpriced.is_empty() => Some(CostParts::default()),
            priced => priced,
        }
    }

    /// The sum of the known part.
    #[must_use]
    pub fn total(&self) -> Option<PicoUsd> {
        self.parts().map(|parts| parts.total())
    }

    /// The models that have no price, in order.
    #[must_use]
    pub const fn unpriced_models(&self) -> &BTreeSet<String> {
        &self.unpriced
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.priced = match (self.priced, other.priced) {
            (Some(own), Some(others)) => Some(own + others),
            (own, others) => own.or(others),
        };
        self.unpriced.extend(other.unpriced);
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut sum, cost| {
            sum += cost;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> PicoUsd {
        PicoUsd::parse(text).unwrap()
    }

    #[test]
    fn dollars_are_read_to_the_last_digit() {
        assert_eq!(usd("0.0123").as_pico(), 12_300_000_000);
        assert_eq!(usd("1234.5"), PicoUsd::from_pico(1_234_500_000_000_000));
        assert_eq!(usd("3e-05").as_pico(), 30_000_000);
        assert_eq!(usd("1.5E2").as_pico(), 150_000_000_000_000);
        assert_eq!(usd("-.5").as_pico(), -500_000_000_000);
        assert_eq!(usd("0.031924600000000004"), usd("0.0319246"));
        assert_eq!(usd("0.14534899999999998"), usd("0.145349"));
        assert_eq!(usd("1e-13"), PicoUsd::ZERO);
        assert_eq!(usd("9e-13").as_pico(), 1);
        assert_eq!(usd("1e-40"), PicoUsd::ZERO);
        for text in
            ["", "-", "$", ".", "e5", "1.2.3", "0x1", "nan", "1e400", "12 €", "1e", "$5", "2,50", "1,000"]
        {
            assert_eq!(PicoUsd::parse(text), None, "{text}");
        }
    }

    #[test]
    fn small_sums_keep_their_digits_and_large_ones_their_cents() {
        let shown = |text: &str| usd(text).to_string();
        assert_eq!(shown("12.341"), "$12.34");
        assert_eq!(shown("1234567.895"), "$1,234,567.90");
        assert_eq!(shown("1"), "$1.00");
        assert_eq!(shown("0.1"), "$0.10");
        assert_eq!(shown("0.12345"), "$0.123");
        assert_eq!(shown("0.0123"), "$0.0123");
        assert_eq!(shown("0.000123456"), "$0.000123");
        assert_eq!(shown("0.9996"), "$1.00");
        assert_eq!(shown("0.000000000001"), "$0.000000000001");
        assert_eq!(shown("0"), "$0.00");
        assert_eq!(shown("-0.05"), "-$0.05");
        assert_eq!(format!("{:>8}", usd("0.05")), "   $0.05");
    }

    #[test]
    fn json_has_every_digit() {
        let json = |text: &str| serde_json::to_string(&usd(text)).unwrap();
        assert_eq!(json("0.0123"), "0.0123");
        assert_eq!(json("123456789.123456789012"), "123456789.123456789012");
        assert_eq!(json("12"), "12");
        assert_eq!(json("0"), "0");
        let parts = CostParts { input: usd("0.1"), output: usd("0.2"), ..CostParts::default() };
        assert_eq!(
            serde_json::to_string(&parts).unwrap(),
            r#"{"input_usd":0.1,"output_usd":0.2,"cache_read_usd":0,"cache_write_usd":0,"web_search_usd":0}"#
        );
        assert_eq!(parts.total(), usd("0.3"));
    }

    #[test]
    fn what_has_no_price_is_named_and_not_zero() {
        let known = Cost::known(CostParts { input: usd("1"), ..CostParts::default() });
        assert_eq!(Cost::unpriced("x").total(), None);
        assert_eq!(Cost::default().total(), Some(PicoUsd::ZERO));
        let sum: Cost = [Cost::unpriced("x"), known, Cost::unpriced("x")].into_iter().sum();
        assert_eq!(sum.total(), Some(usd("1")));
        assert_eq!(sum.unpriced_models().iter().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn sums_stop_at_the_limit() {
        let largest = PicoUsd::from_pico(i128::MAX);
        assert_eq!(largest + PicoUsd::DOLLAR, largest);
        assert_eq!(largest.checked_add(PicoUsd::DOLLAR), None);
        assert_eq!(largest.to_i64(), i64::MAX);
        assert_eq!(PicoUsd::times(u64::MAX, u64::MAX), largest);
    }

    proptest! {
        // No files in the source tree.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_printed_reads_back_the_same(pico in any::<i64>()) {
            let sum = PicoUsd::from_pico(pico.into());
            prop_assert_eq!(PicoUsd::parse(&sum.to_decimal()), Some(sum));
            prop_assert_eq!(serde_json::to_string(&sum).unwrap(), sum.to_decimal());
            // What people see is off by less than half of its last digit, one part in two hundred.
            let shown = PicoUsd::parse(&sum.to_string().replace(['$', ','], "")).unwrap();
            prop_assert!((shown - sum).as_pico().abs() * 200 <= sum.as_pico().abs());
        }
    }
}
