//! Times in UTC, in milliseconds since 1970, and how logs write them.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
/// Milliseconds of a minute.
pub const MINUTE: i64 = 60_000;

/// The first millisecond of a day, which must be one of the calendar's.
#[must_use]
#[expect(clippy::expect_used, reason = "the days are constants of this crate")]
pub const fn midnight(year: i32, month: u32, day: u32) -> i64 {
    let date = NaiveDate::from_ymd_opt(year, month, day).expect("it is a day of the calendar");
    date.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

fn utc(at: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or_default()
}

/// The day as `2026-11-22`.
#[must_use]
pub fn date(at: i64) -> String {
    utc(at).date_naive().to_string()
}

/// The time as `2026-11-22T11:27:40.628Z`.
#[must_use]
pub fn rfc3339(at: i64) -> String {
    utc(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_logs_write_them() {
        assert_eq!(midnight(1970, 1, 1), 0);
        assert_eq!(rfc3339(1_795_346_860_628), "2026-11-22T11:27:40.628Z");
        assert_eq!(rfc3339(midnight(2026, 11, 22)), "2026-11-22T00:00:00.000Z");
        assert_eq!(date(midnight(2024, 2, 29) + DAY), "2024-03-01");
    }
}
