//! Days, weeks and months as the user counts them: which one a moment belongs to depends on the time zone.
//!
//! Everything in the ledger is UTC. Here a [`Zone`] is asked, the system's or a named one; the rules of the named
//! ones are compiled in, for a container or Windows has none.

use std::fmt;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _};

use crate::domain::Timestamp;
use crate::env::Env;

/// Longest number of days that can be asked for, some 27 years.
const MAX_DAYS_BACK: u32 = 9_999;
const DAY_MILLIS: i64 = 86_400_000;

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

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

    /// The day of a moment; `None` beyond the years that calendars show.
    #[must_use]
    pub fn day_of(&self, at: Timestamp) -> Option<Day> {
        Days::new(self).of(at)
    }

    /// The first moment of a day. Where clocks go from 24:00 to 1:00 it is 1:00.
    #[must_use]
    pub fn start_of(&self, day: Day) -> Timestamp {
        let start = day.0.to_zoned(self.0.clone()).map(|start| start.timestamp().as_millisecond());
        Timestamp::from_millis(start.unwrap_or(if day.0.year() < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Zone {
    /// A moment as a calendar and a clock there show it, to the minute: `2026-11-22 03:21`; empty beyond the years that
    /// calendars show.
    #[must_use]
    pub fn minute(&self, at: Timestamp) -> String {
        jiff::Timestamp::from_millisecond(at.as_millis())
            .map(|at| at.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M").to_string())
            .unwrap_or_default()
    }

    /// What a clock there shows: `03:21` if that is today, else with its day.
    #[must_use]
    pub fn clock(&self, at: Timestamp, now: Timestamp) -> String {
        let shown = |at: Timestamp| {
            let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
            Some(at.to_zoned(self.0.clone()).datetime())
        };
        let Some(at) = shown(at) else { return "the end of time".to_owned() };
        let clock = format!("{:02}:{:02}", at.hour(), at.minute());
        let is_today = shown(now).is_some_and(|now| now.date() == at.date());
        if is_today { clock } else { format!("{} {clock}", at.date()) }
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// Reads `2026-11-22`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A time or an abbreviated date would be taken otherwise.
        let is_date = text.len() == 10 && text.as_bytes()[0].is_ascii_digit() && text.as_bytes()[4] == b'-';
        is_date.then(|| text.parse().ok().map(Self))?
    }

    /// The day that is so many days later; at the end of the calendar that end.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        self.plus(days.days())
    }

    /// The day of the same number so many months later, or the last of a shorter month.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        self.plus(months.months())
    }

    fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Days from `earlier` to this one.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i32 {
        earlier.0.until(self.0).map_or(0, |span| span.get_days())
    }

    /// Months from that of `earlier` to this one's, counted by their names.
    #[must_use]
    pub fn months_since(self, earlier: Self) -> i32 {
        let months = |day: Self| i32::from(day.0.year()) * 12 + i32::from(day.0.month());
        months(self) - months(earlier)
    }

    /// Monday of its week.
    #[must_use]
    pub fn monday(self) -> Self {
        self.plus_days(-i32::from(self.0.weekday().to_monday_zero_offset()))
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// The last day of its month.
    #[must_use]
    pub fn last_of_month(self) -> Self {
        Self(self.0.last_of_month())
    }

    /// The week by ISO 8601: `2026-W47`.
    #[must_use]
    pub fn week(self) -> String {
        let week = self.0.iso_week_date();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// The days of a week that is named as [`Self::week`] does: `Nov 16–22`, `Nov 30–Dec 6`. `None` for other texts.
    #[must_use]
    pub fn dates_of_week(name: &str) -> Option<String> {
        let AskedDay::Week(first) = AskedDay::parse_date(&name.to_ascii_lowercase())? else { return None };
        let last = first.plus_days(6);
        let month = |day: Self| MONTHS[usize::try_from(day.0.month()).map_or(0, |month| month - 1)];
        let end = if first.month() == last.month() { String::new() } else { format!("{} ", month(last)) };
        Some(format!("{} {}–{end}{}", month(first), first.0.day(), last.0.day()))
    }

    /// The month: `2026-11`.
    #[must_use]
    pub fn month(self) -> String {
        format!("{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

/// A day or a span of days as it is asked for, which can depend on today. As a beginning its first day is meant, as an
/// end its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedDay {
    /// That very day.
    On(Day),
    /// So many days before today.
    Back(u32),
    /// The latest day of that name, by its distance from Monday; today if it is one.
    Weekday(i8),
    /// The first of so many months, whose last day is today.
    MonthsBack(u32),
    /// This week.
    ThisWeek,
    /// This month.
    ThisMonth,
    /// The week that begins on that Monday.
    Week(Day),
    /// The month that begins on that day.
    Month(Day),
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The days of the week, from Monday on.
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

impl AskedDay {
    /// All forms, for help and errors.
    pub const FORMS: &str = "2026-11-01, today, yesterday, monday, week, month, 7d, 2w, or 3m";

    /// Reads `2026-11-22`, `20261122`, `today`, `yesterday`, a day of the week (`monday`, `mon`), `week`, `month`, `7d` (the
    /// first of seven days, of which today is the last), `2w`, `3m`, and the keys that reports show: `2026-W47`, `2026-11`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let weekday = WEEKDAYS.iter().position(|name| *name == text || name[..3] == text);
        if let Some(weekday) = weekday {
            return i8::try_from(weekday).ok().map(Self::Weekday);
        }
        match text.as_str() {
            "today" => Some(Self::Back(0)),
            "yesterday" => Some(Self::Back(1)),
            "week" => Some(Self::ThisWeek),
            "month" => Some(Self::ThisMonth),
            text => Self::parse_span(text).or_else(|| Self::parse_date(text)),
        }
    }

    /// `7d`, `2w`, `3m`.
    fn parse_span(text: &str) -> Option<Self> {
        let digits = text.get(..text.len().checked_sub(1)?)?;
        // A sign is none, whatever Rust says.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse::<u32>().ok().filter(|number| (1..=MAX_DAYS_BACK).contains(number))?;
        let within = |days: u32| (days <= MAX_DAYS_BACK).then_some(number);
        match text.as_bytes().last()? {
            b'd' => Some(Self::Back(number - 1)),
            b'w' => within(number * 7).map(|weeks| Self::Back(weeks * 7 - 1)),
            b'm' => within(number * 31).map(Self::MonthsBack),
            _ => None,
        }
    }

    /// `2026-11-22`, `20261122`, `2026-11`, `2026-w47`.
    fn parse_date(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        match text.len() {
            8 if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Day::parse(&[&text[..4], &text[4..6], &text[6..]].join("-")).map(Self::On)
            }
            7 => Day::parse(&format!("{text}-01")).map(Self::Month),
            8 => {
                let (year, week) = text.split_once("-w").filter(|(year, week)| {
                    [(year, 4), (week, 2)].iter().all(|(digits, length)| {
                        digits.len() == *length && digits.bytes().all(|byte| byte.is_ascii_digit())
                    })
                })?;
                let date = ISOWeekDate::new(year.parse().ok()?, week.parse().ok()?, Weekday::Monday).ok()?;
                Some(Self::Week(Day(date.date())))
            }
            _ => Day::parse(text).map(Self::On),
        }
    }

    /// The first day that is meant.
    #[must_use]
    pub fn first(self, today: Day) -> Day {
        match self {
            Self::On(day) | Self::Week(day) | Self::Month(day) => day,
            Self::Back(days) => today.plus_days(i32::try_from(days).map_or(i32::MIN, |days| -days)),
            Self::Weekday(weekday) => today
                .plus_days(-i32::from((today.0.weekday().to_monday_zero_offset() - weekday).rem_euclid(7))),
            Self::MonthsBack(months) => {
                today.plus_months(i32::try_from(months).map_or(i32::MIN, |months| -months)).plus_days(1)
            }
            Self::ThisWeek => today.monday(),
            Self::ThisMonth => today.first_of_month(),
        }
    }

    /// The last day that is meant: of a week or a month its last one, of all others the first, which is the only one.
    #[must_use]
    pub fn last(self, today: Day) -> Day {
        let first = self.first(today);
        match self {
            Self::Week(_) | Self::ThisWeek => first.plus_days(6),
            Self::Month(_) | Self::ThisMonth => first.last_of_month(),
            _ => first,
        }
    }

    /// Whether it goes on until today, so that as a beginning it says everything.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Back(days) => days != 1,
            Self::MonthsBack(_) | Self::ThisWeek | Self::ThisMonth => true,
            _ => false,
        }
    }
}

/// Tells the days of many moments. Those between two changes of the clocks cost an addition each.
#[derive(Debug)]
pub struct Days<'z> {
    zone: &'z Zone,
    /// In milliseconds, and from when until when it holds.
    offset: i64,
    from: i64,
    until: i64,
    /// The last day, by its number since 1970.
    last: Option<(i64, Day)>,
}

impl<'z> Days<'z> {
    /// For the days of `zone`.
    #[must_use]
    pub const fn new(zone: &'z Zone) -> Self {
        Self { zone, offset: 0, from: 0, until: 0, last: None }
    }

    /// The day of a moment; `None` beyond the years that calendars show.
    pub fn of(&mut self, at: Timestamp) -> Option<Day> {
        let at = at.as_millis();
        if !(self.from..self.until).contains(&at) {
            self.look_up(jiff::Timestamp::from_millisecond(at).ok()?);
        }
        let number = at.checked_add(self.offset)?.div_euclid(DAY_MILLIS);
        if let Some((last, day)) = self.last
            && last == number
        {
            return Some(day);
        }
        let date = Date::constant(1970, 1, 1).checked_add(i32::try_from(number).ok()?.days()).ok()?;
        self.last = Some((number, Day(date)));
        Some(Day(date))
    }

    fn look_up(&mut self, at: jiff::Timestamp) {
        let zone = &self.zone.0;
        self.offset = i64::from(zone.to_offset(at).seconds()) * 1_000;
        // A moment later, for the transition at this very moment is not before it.
        let next = at.checked_add(1.nanoseconds()).unwrap_or(at);
        self.from =
            zone.preceding(next).next().map_or(i64::MIN, |change| change.timestamp().as_millisecond());
        self.until = zone.following(at).next().map_or(i64::MAX, |change| change.timestamp().as_millisecond());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    fn day(zone_name: &str, at: &str) -> String {
        zone(zone_name).day_of(Timestamp::parse(at).unwrap()).unwrap().to_string()
    }

    fn start(zone_name: &str, date: &str) -> String {
        zone(zone_name).start_of(Day::parse(date).unwrap()).to_rfc3339()
    }

    #[test]
    fn a_day_begins_when_it_does_there() {
        assert_eq!(day("UTC", "2026-11-22T23:59:59Z"), "2026-11-22");
        assert_eq!(day("Europe/Berlin", "2026-11-22T22:59:59Z"), "2026-11-22");
        assert_eq!(day("Europe/Berlin", "2026-11-22T23:00:00Z"), "2026-11-23");
        assert_eq!(day("Asia/Kolkata", "2026-11-22T18:29:59Z"), "2026-11-22");
        assert_eq!(day("Asia/Kolkata", "2026-11-22T18:30:00Z"), "2026-11-23");
        assert_eq!(day("Asia/Kathmandu", "2026-11-22T18:15:00Z"), "2026-11-23");
        assert_eq!(day("Pacific/Auckland", "2026-11-22T11:00:00Z"), "2026-11-23");
        assert_eq!(day("America/St_Johns", "2026-11-23T03:15:00Z"), "2026-11-22");
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
    }

    #[test]
    fn the_fast_way_and_the_slow_way_agree() {
        for name in ["Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "UTC"] {
            let zone = zone(name);
            let mut days = Days::new(&zone);
            let first = Timestamp::parse("2025-12-30T00:00:00Z").unwrap().as_millis();
            for quarter in 0..35_500 {
                let at = first + quarter * 900_000;
                let slow = jiff::Timestamp::from_millisecond(at).unwrap().to_zoned(zone.0.clone()).date();
                assert_eq!(days.of(Timestamp::from_millis(at)), Some(Day(slow)), "{name} {at}");
            }
            assert_eq!(days.of(Timestamp::from_millis(first)).unwrap().month()[..3], *"202");
            assert_eq!(days.of(Timestamp::from_millis(i64::MAX)), None);
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        let week = |date: &str| Day::parse(date).unwrap().week();
        assert_eq!(week("2026-11-22"), "2026-W47");
        assert_eq!(week("2026-11-23"), "2026-W48");
        assert_eq!(week("2027-01-03"), "2026-W53");
        assert_eq!(week("2024-12-30"), "2025-W01");
        assert_eq!(Day::parse("2026-11-22").unwrap().monday().to_string(), "2026-11-16");
    }

    #[test]
    fn months_end_where_they_end() {
        let day = |date: &str| Day::parse(date).unwrap();
        assert_eq!(day("2026-03-31").plus_months(-1), day("2026-02-28"));
        assert_eq!(day("2026-02-28").last_of_month(), day("2026-02-28"));
        assert_eq!(day("2026-01-31").months_since(day("2025-12-01")), 1);
        assert_eq!(day("2026-03-01").days_since(day("2026-02-01")), 28);
        assert_eq!(day("9999-12-31").plus_days(5), day("9999-12-31"));
    }

    #[test]
    fn days_are_asked_for_by_date_or_from_today() {
        // A Sunday.
        let today = Day::parse("2026-11-22").unwrap();
        let first = |text: &str| AskedDay::parse(text).map(|asked| asked.first(today).to_string());
        for (text, day) in [
            ("today", "2026-11-22"),
            ("Yesterday", "2026-11-21"),
            ("1d", "2026-11-22"),
            ("7d", "2026-11-16"),
            ("2w", "2026-11-09"),
            ("1m", "2026-10-23"),
            ("3m", "2026-08-23"),
            ("week", "2026-11-16"),
            ("month", "2026-11-01"),
            ("monday", "2026-11-16"),
            ("SAT", "2026-11-21"),
            ("sunday", "2026-11-22"),
            ("2024-02-29", "2024-02-29"),
            ("20261101", "2026-11-01"),
            ("2026-10", "2026-10-01"),
            ("2026-W47", "2026-11-16"),
            ("2026-w01", "2025-12-29"),
        ] {
            assert_eq!(first(text).as_deref(), Some(day), "{text}");
        }
        for text in [
            "",
            "0d",
            "d",
            "-1d",
            "+7d",
            "٧d",
            "7",
            "99999d",
            "1500w",
            "400m",
            "7 days",
            "2026-02-30",
            "20260230",
            "2026-11-2",
            "2026-11-22T10",
            "+026-11-22",
            "2026-13",
            "2026-W54",
            "2026-W7",
            "11/01/2026",
            "01.11.2026",
            "week-1",
            "mo",
            "tomorrow",
            "x",
            "tägl",
        ] {
            assert_eq!(first(text), None, "{text}");
        }
    }

    #[test]
    fn as_an_end_a_week_and_a_month_are_whole() {
        let today = Day::parse("2026-11-18").unwrap();
        let last = |text: &str| AskedDay::parse(text).unwrap().last(today).to_string();
        assert_eq!((last("week"), last("month")), ("2026-11-22".to_owned(), "2026-11-30".to_owned()));
        assert_eq!((last("2026-W47"), last("2026-02")), ("2026-11-22".to_owned(), "2026-02-28".to_owned()));
        assert_eq!((last("yesterday"), last("monday")), ("2026-11-17".to_owned(), "2026-11-16".to_owned()));
    }

    #[test]
    fn weeks_are_those_of_the_reports_and_months_are_never_too_long() {
        for date in ["2026-11-22", "2027-01-03", "2026-03-31", "2028-02-29", "2026-01-01"] {
            let today = Day::parse(date).unwrap();
            let asked = |text: &str| AskedDay::parse(text).unwrap();
            assert_eq!(asked("week").first(today), asked(&today.week()).first(today), "{date}");
            assert_eq!(asked("month").first(today), asked(&today.month()).first(today), "{date}");
            assert_eq!(asked("1w").first(today), asked("7d").first(today), "{date}");
            let days = today.days_since(asked("1m").first(today)) + 1;
            assert!((28..=31).contains(&days), "{date}: {days}");
            for weekday in WEEKDAYS {
                let back = today.days_since(asked(weekday).first(today));
                assert!((0..7).contains(&back), "{date} {weekday}: {back}");
            }
        }
    }

    #[test]
    fn a_clock_shows_the_time_of_its_zone_and_another_day_with_its_date() {
        let (now, at) = (Timestamp::parse("2026-11-30T06:46:08Z").unwrap(), "2026-11-30T18:45:08Z");
        let shown = |name: &str| zone(name).clock(Timestamp::parse(at).unwrap(), now);
        assert_eq!((shown("UTC"), shown("America/New_York")), ("18:45".to_owned(), "13:45".to_owned()));
        // In Kolkata it is after midnight.
        assert_eq!(shown("Asia/Kolkata"), "2026-12-01 00:15");
        assert_eq!(zone("UTC").clock(Timestamp::from_millis(i64::MAX), now), "the end of time");
    }

    #[test]
    fn a_zone_needs_a_name_that_is_known() {
        assert!(Zone::named("Mars/Olympus").is_none());
        assert!(Zone::named("").is_none() && Zone::named("../etc/passwd").is_none());
        assert!(Zone::named("europe/berlin").is_some());
    }
}
