//! Times in UTC, in milliseconds since 1970, and how logs write them.

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;
/// Milliseconds of a minute.
pub const MINUTE: i64 = 60_000;

/// The first millisecond of a day.
#[must_use]
pub const fn midnight(year: i64, month: i64, day: i64) -> i64 {
    // Counted from March, so that the leap day is the last of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // Days from March 1 of year 0 to 1970.
    (days - 719_468) * DAY
}

/// Year, month and day of a time after year 0.
const fn civil(at: i64) -> (i64, i64, i64) {
    let days = at.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year + next, month, day)
}

/// The day as `2026-11-22`.
#[must_use]
pub fn date(at: i64) -> String {
    let (year, month, day) = civil(at);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The time as `2026-11-22T11:27:40.628Z`.
#[must_use]
pub fn rfc3339(at: i64) -> String {
    let (year, month, day) = civil(at);
    let (minutes, of_minute) = (at.rem_euclid(DAY) / MINUTE, at.rem_euclid(MINUTE));
    let (hour, minute) = (minutes / 60, minutes % 60);
    let (second, millisecond) = (of_minute / 1_000, of_minute % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        assert_eq!(midnight(1970, 1, 1), 0);
        assert_eq!(rfc3339(1_795_346_860_628), "2026-11-22T11:27:40.628Z");
        assert_eq!(date(midnight(2024, 2, 29) + DAY), "2024-03-01");
        for day in 0..30_000 {
            let (year, month, of_month) = civil(day * DAY);
            assert_eq!(midnight(year, month, of_month), day * DAY);
        }
    }
}
