//! Points in time: UTC milliseconds, the resolution of the client's own transcripts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

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
        Some(Self(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()))
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
        self.to_utc().map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// As chrono's type, for calendars.
    #[must_use]
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// The time from `earlier` to `self`; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_rfc3339())
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
    use super::*;

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
