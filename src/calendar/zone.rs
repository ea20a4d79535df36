//! Time zones, by jiff: nothing else in the program knows it. Dates are chrono's, and so is all arithmetic with them.
//!
//! A zone answers three questions: how far its clocks are from UTC at a moment, until when, and when a day begins there.
//!
//! # Why jiff and not chrono-tz
//! Both were measured in a program of three lines, built as this one is (x86-64 Linux, November 2026):
//!
//! - It is smaller: jiff adds 0.50 MB to the binary with its compiled-in rules, chrono-tz 1.95 MB.
//! - It costs a hook nothing: 98 page faults in the whole process, of 89 without either. With chrono-tz there are 349, for its
//!   tables hold addresses that the loader must write at every start, whether or not a zone is asked for.
//! - It is as fast where it counts: a million moments in order take 37 to 45 ns each by spans ([`ZoneSpan`]), and 153 to 168 ns
//!   each if the zone is asked for every one; chrono-tz takes 132 to 147 ns. Finding a zone takes 20 to 70 µs, in commands only.
//! - It follows the system as the C library does: `TZ=EST5EDT,M3.2.0,M11.1.0`, `TZ=:Europe/Berlin`, a copied
//!   `/etc/localtime`. chrono-tz knows names only and would show UTC. What the system is set to it leaves to another crate,
//!   which ties the program to CoreFoundation on macOS, as chrono's own `clock` feature does.
//! - It knows when a day that was skipped would have begun (Pacific/Apia, 2011-12-30); chrono has no answer then.

use chrono::{DateTime, Datelike as _, NaiveDateTime};
use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use super::Day;
use crate::domain::Timestamp;
use crate::env::Env;

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

/// A time in which the clocks of a zone are not changed. All in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ZoneSpan {
    /// What the clocks show more than UTC; negative in the west.
    pub(super) offset: i64,
    /// The first moment.
    pub(super) from: i64,
    /// The first moment after it.
    pub(super) until: i64,
}

impl Zone {
    /// The system's: `TZ`, else what the system is set to, else UTC.
    fn of_system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// The user's: the `TZ` of the process's surroundings, else the system's.
    #[must_use]
    pub fn of_user(env: &Env) -> Self {
        env.var("TZ").and_then(|name| Self::named(&name)).unwrap_or_else(Self::of_system)
    }

    /// UTC.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of an IANA name (`Europe/Berlin`, `UTC`); `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    /// The first moment of a day. Where clocks go from 24:00 to 1:00 it is 1:00, and a day that was skipped begins and ends
    /// when the next one begins.
    #[must_use]
    pub fn start_of(&self, day: Day) -> Timestamp {
        let start = || {
            let (year, month, of_month) = (day.0.year(), day.0.month(), day.0.day());
            let midnight = jiff::civil::Date::new(
                i16::try_from(year).ok()?,
                i8::try_from(month).ok()?,
                i8::try_from(of_month).ok()?,
            );
            let midnight = midnight.ok()?.at(0, 0, 0, 0);
            self.0.to_ambiguous_timestamp(midnight).compatible().ok()
        };
        let beyond = if day.0.year() < 0 { i64::MIN } else { i64::MAX };
        Timestamp::from_millis(start().map_or(beyond, Moment::as_millisecond))
    }

    /// What calendars and clocks there show at a moment; `None` beyond the years that they show.
    pub(super) fn local(&self, at: Timestamp) -> Option<NaiveDateTime> {
        let moment = Moment::from_millisecond(at.as_millis()).ok()?;
        let local = at.as_millis() + i64::from(self.0.to_offset(moment).seconds()) * 1_000;
        Some(DateTime::from_timestamp_millis(local)?.naive_utc())
    }

    /// The time around a moment in which clocks are not changed; `None` beyond the years that calendars show.
    pub(super) fn span_around(&self, at: i64) -> Option<ZoneSpan> {
        let moment = Moment::from_millisecond(at).ok()?;
        // A moment later, for the transition at this very moment is not before it.
        let later = Moment::from_millisecond(at + 1).unwrap_or(moment);
        let (before, after) = (self.0.preceding(later).next(), self.0.following(moment).next());
        Some(ZoneSpan {
            offset: i64::from(self.0.to_offset(moment).seconds()) * 1_000,
            from: before.map_or(i64::MIN, |change| change.timestamp().as_millisecond()),
            until: after.map_or(i64::MAX, |change| change.timestamp().as_millisecond()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn start(zone_name: &str, date: &str) -> String {
        zone(zone_name).start_of(Day::parse(date).unwrap()).to_rfc3339()
    }

    #[test]
    fn days_with_a_change_of_the_clocks_have_23_or_25_hours() {
        assert_eq!(start("Europe/Berlin", "2026-03-29"), "2026-03-28T23:00:00.000Z");
        assert_eq!(start("Europe/Berlin", "2026-03-30"), "2026-03-29T22:00:00.000Z");
        assert_eq!(start("Europe/Berlin", "2026-10-25"), "2026-10-24T22:00:00.000Z");
        assert_eq!(start("Europe/Berlin", "2026-10-26"), "2026-10-25T23:00:00.000Z");
        assert_eq!(start("Pacific/Auckland", "2026-04-06"), "2026-04-05T12:00:00.000Z");
        assert_eq!(start("Australia/Lord_Howe", "2026-04-06"), "2026-04-05T13:30:00.000Z");
        // Midnight does not exist.
        assert_eq!(start("Africa/Cairo", "2026-04-24"), "2026-04-23T22:00:00.000Z");
        // Midnight comes twice; the day begins with the first.
        assert_eq!(start("America/Havana", "2024-11-03"), "2024-11-03T04:00:00.000Z");
        assert_eq!(start("America/Havana", "2024-11-04"), "2024-11-04T05:00:00.000Z");
    }

    #[test]
    fn a_day_that_was_skipped_has_no_hours() {
        assert_eq!(start("Pacific/Apia", "2011-12-29"), "2011-12-29T10:00:00.000Z");
        assert_eq!(start("Pacific/Apia", "2011-12-30"), "2011-12-30T10:00:00.000Z");
        assert_eq!(start("Pacific/Apia", "2011-12-31"), "2011-12-30T10:00:00.000Z");
        let day = |at: &str| zone("Pacific/Apia").day_of(Timestamp::parse(at).unwrap()).unwrap().to_string();
        assert_eq!(day("2011-12-30T09:59:59.999Z"), "2011-12-29");
        assert_eq!(day("2011-12-30T10:00:00Z"), "2011-12-31");
    }

    #[test]
    fn beyond_the_calendar_days_begin_at_the_end_of_time() {
        assert_eq!(zone("Asia/Kolkata").start_of(Day::LAST).as_millis(), 253_402_194_600_000);
        assert_eq!(zone("Europe/Berlin").start_of(Day::FIRST).as_millis(), i64::MIN);
    }

    #[test]
    fn a_zone_needs_a_name_that_is_known() {
        assert!(Zone::named("Mars/Olympus").is_none());
        assert!(Zone::named("").is_none() && Zone::named("../etc/passwd").is_none());
        assert!(Zone::named("europe/berlin").is_some());
    }
}
