//! Points in time: UTC milliseconds, the resolution of the client's own transcripts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, SecondsFormat, Timelike as _, Utc};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `millis` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Converts the system's clock; a time before the epoch is the epoch.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        Self(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// Reads RFC 3339, as transcripts write it (`2026-11-22T11:26:43.052Z`); `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_usual(text.as_bytes())
            .or_else(|| Some(Self(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())))
    }

    /// Reads the one form that transcripts have on every line; `None` for any other, and for leap seconds.
    #[must_use]
    pub fn parse_usual(text: &[u8]) -> Option<Self> {
        let text: &[u8; 24] = text.try_into().ok()?;
        let digits = usual_digits(text)?;
        let digit = |at: usize| u32::from(digits[at]);
        let two = |at: usize| digit(at) * 10 + digit(at + 1);
        let year = i32::try_from(two(0) * 100 + two(2)).ok()?;
        let date = NaiveDate::from_ymd_opt(year, two(5), two(8))?;
        let time = NaiveTime::from_hms_milli_opt(two(11), two(14), two(17), digit(20) * 100 + two(21))?;
        Some(Self(date.and_time(time).and_utc().timestamp_millis()))
    }

    /// Reads a date (`2026-11-22`): its first moment in UTC; `None` for anything else.
    #[must_use]
    pub fn parse_date(text: &str) -> Option<Self> {
        // Parts of a time would be taken for it otherwise.
        (text.len() == 10).then(|| Self::parse(&format!("{text}T00:00:00Z")))?
    }

    /// The date in UTC, as [`parse_date`](Self::parse_date) reads it.
    #[must_use]
    pub fn to_date(self) -> String {
        let mut text = self.to_rfc3339();
        text.truncate(text.find('T').unwrap_or(0));
        text
    }

    /// RFC 3339 in UTC with milliseconds; empty beyond the years that chrono can show.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match self.to_usual() {
            Some(usual) => String::from_utf8_lossy(&usual).into_owned(),
            None => self.to_unusual(),
        }
    }

    /// What [`parse_usual`](Self::parse_usual) reads; `None` beyond years of four digits.
    fn to_usual(self) -> Option<[u8; 24]> {
        let time = self.to_utc()?;
        let year = u32::try_from(time.year()).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |places: std::ops::Range<usize>, mut number: u32| {
            for digit in text[places].iter_mut().rev() {
                let value = (number % 10) as u8;
                *digit = b'0' + value;
                number /= 10;
            }
        };
        put(0..4, year);
        put(5..7, time.month());
        put(8..10, time.day());
        put(11..13, time.hour());
        put(14..16, time.minute());
        put(17..19, time.second());
        put(20..23, time.timestamp_subsec_millis());
        Some(text)
    }

    fn to_unusual(self) -> String {
        self.to_utc().map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// As chrono's type, for calendars.
    #[must_use]
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// The point in time that is so much later.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to `self`; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The digits of a time in the usual form, at their places; `None` for any other. Eight characters at once, for it is done
/// for each line of a log.
fn usual_digits(text: &[u8; 24]) -> Option<[u8; 24]> {
    const FORM: [[u8; 8]; 3] = [*b"0000-00-", *b"00T00:00", *b":00.000Z"];
    // All bits of what is no digit.
    const SEPARATORS: [u64; 3] = {
        let mut masks = [0; 3];
        let mut at = 0;
        while at < 24 {
            if FORM[at / 8][at % 8] != b'0' {
                masks[at / 8] |= 0xff << (at % 8 * 8);
            }
            at += 1;
        }
        masks
    };
    let mut digits = [0; 24];
    let mut is_other = 0;
    for (at, values) in digits.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        // What stands for a digit comes to it, what is as the form wants to 0. Only a digit may be other than 0, and only
        // up to 9: beyond it the addition sets the byte's first bit.
        let word = text.as_chunks::<8>().0[at];
        let difference = u64::from_le_bytes(word) ^ u64::from_le_bytes(FORM[at]);
        let beyond = (difference.wrapping_add(0x7676_7676_7676_7676) | difference) & 0x8080_8080_8080_8080;
        is_other |= difference & SEPARATORS[at] | beyond;
        *values = difference.to_le_bytes();
    }
    (is_other == 0).then_some(digits)
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.to_usual().as_ref().and_then(|usual| std::str::from_utf8(usual).ok()) {
            Some(usual) => serializer.serialize_str(usual),
            None => serializer.serialize_str(&self.to_unusual()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no time"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_written_as_chrono_writes_it(
            millis in prop_oneof![any::<i64>(), -62_200_000_000_000_i64..253_500_000_000_000],
        ) {
            let time = DateTime::from_timestamp_millis(millis);
            let expected = time.map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true));
            prop_assert_eq!(Timestamp(millis).to_rfc3339(), expected);
        }

        #[test]
        fn the_usual_form_is_read_as_any_other(
            (year, month, day) in (0..10_000, 0..14, 0..33),
            (hour, minute, second, millis) in (0..26, 0..62, 0..62, 0..1000),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
            let slowly = DateTime::parse_from_rfc3339(&text).ok();
            prop_assert_eq!(Timestamp::parse(&text), slowly.map(|time| Timestamp(time.timestamp_millis())));
            prop_assert_eq!(Timestamp::parse_usual(text.as_bytes()).is_some(), slowly.is_some() && second < 60);
        }
    }

    #[test]
    fn transcript_times_survive_the_round_trip() {
        let text = "2026-11-22T11:26:43.052Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_rfc3339(), text);
        assert_eq!(Timestamp::parse("2026-11-22T12:26:43.052+01:00").unwrap().to_rfc3339(), text);
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse_date("2026-11-22").unwrap().to_date(), "2026-11-22");
        assert_eq!(Timestamp::parse_date("2026-11-31"), None);
        assert_eq!(Timestamp::parse_date("2026-11-2"), None);
    }
}
