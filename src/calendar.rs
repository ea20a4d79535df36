//! Days, weeks and months as the user counts them: which one a moment belongs to depends on the time zone.
//!
//! Everything in the ledger is UTC. Here a [`Zone`] is asked, the system's or a named one; the rules of the named
//! ones are compiled in, for a container or Windows has none. Dates and all arithmetic with them are chrono's; of jiff, which
//! knows the zones, only `zone.rs` has anything, and says why it is there.

use std::fmt;

use chrono::{Datelike as _, Month, Months, NaiveDate, TimeDelta, Timelike as _, Weekday};

mod zone;

pub use zone::Zone;
use zone::ZoneSpan;

use crate::domain::Timestamp;

/// Longest number of days that can be asked for, some 27 years.
const MAX_DAYS_BACK: u32 = 9_999;
const DAY_MILLIS: i64 = 86_400_000;

impl Zone {
    /// The day of a moment; `None` beyond the years that calendars show.
    #[must_use]
    pub fn day_of(&self, at: Timestamp) -> Option<Day> {
        Some(Day(self.local(at)?.date()))
    }

    /// A moment as a calendar and a clock there show it, to the minute: `2026-11-22 03:21`; empty beyond the years that
    /// calendars show.
    #[must_use]
    pub fn minute(&self, at: Timestamp) -> String {
        let shown = |at: chrono::NaiveDateTime| format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute());
        self.local(at).map(shown).unwrap_or_default()
    }

    /// What a clock there shows: `03:21` if that is today, else with its day.
    #[must_use]
    pub fn clock(&self, at: Timestamp, now: Timestamp) -> String {
        let Some(at) = self.local(at) else { return "the end of time".to_owned() };
        let clock = format!("{:02}:{:02}", at.hour(), at.minute());
        let is_today = self.local(now).is_some_and(|now| now.date() == at.date());
        if is_today { clock } else { format!("{} {clock}", at.date()) }
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

impl Day {
    /// The first day that calendars show.
    const FIRST: Self = Self(NaiveDate::from_ymd_opt(-9_999, 1, 1).expect("it is a day"));
    /// The last day that calendars show.
    const LAST: Self = Self(NaiveDate::from_ymd_opt(9_999, 12, 31).expect("it is a day"));

    /// Reads `2026-11-22`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // chrono would take blanks and signs too.
        let is_date = text.len() == 10
            && text.bytes().zip(*b"0000-00-00").all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                _ => byte == form,
            });
        is_date.then(|| text.parse().ok().map(Self))?
    }

    /// The day that is so many days later; at the end of the calendar that end.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self::or_end(self.0.checked_add_signed(TimeDelta::days(days.into())), days)
    }

    /// The day of the same number so many months later, or the last of a shorter month.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let span = Months::new(months.unsigned_abs());
        let date = if months < 0 { self.0.checked_sub_months(span) } else { self.0.checked_add_months(span) };
        Self::or_end(date, months)
    }

    /// A date that was reached in that direction, or the end of the calendar on that side.
    fn or_end(date: Option<NaiveDate>, direction: i32) -> Self {
        let end = if direction < 0 { Self::FIRST } else { Self::LAST };
        date.map_or(end, |date| Self(date).clamp(Self::FIRST, Self::LAST))
    }

    /// Days from `earlier` to this one.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i32 {
        i32::try_from((self.0 - earlier.0).num_days()).unwrap_or(0)
    }

    /// Months from that of `earlier` to this one's, counted by their names.
    #[must_use]
    pub fn months_since(self, earlier: Self) -> i32 {
        let months = |day: Self| day.0.year() * 12 + day.0.month0().cast_signed();
        months(self) - months(earlier)
    }

    /// Monday of its week.
    #[must_use]
    pub fn monday(self) -> Self {
        self.plus_days(-self.0.weekday().num_days_from_monday().cast_signed())
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.with_day(1).unwrap_or(self.0))
    }

    /// The last day of its month.
    #[must_use]
    pub fn last_of_month(self) -> Self {
        Self(self.0.with_day(self.0.num_days_in_month().into()).unwrap_or(self.0))
    }

    /// The week by ISO 8601: `2026-W47`.
    #[must_use]
    pub fn week(self) -> String {
        let week = self.0.iso_week();
        format!("{:04}-W{:02}", week.year(), week.week())
    }

    /// The days of a week that is named as [`Self::week`] does: `Nov 16–22`, `Nov 30–Dec 6`. `None` for other texts.
    #[must_use]
    pub fn dates_of_week(name: &str) -> Option<String> {
        let AskedDay::Week(first) = AskedDay::parse_date(&name.to_ascii_lowercase())? else { return None };
        let last = first.plus_days(6);
        let month = |day: Self| {
            let month = u8::try_from(day.0.month()).ok().and_then(|month| Month::try_from(month).ok());
            month.map_or("", |month| &month.name()[..3])
        };
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
    /// The latest day of that name; today if it is one.
    Weekday(Weekday),
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

impl AskedDay {
    /// All forms, for help and errors.
    pub const FORMS: &str = "2026-11-01, today, yesterday, monday, week, month, 7d, 2w, or 3m";

    /// Reads `2026-11-22`, `20261122`, `today`, `yesterday`, a day of the week (`monday`, `mon`), `week`, `month`, `7d` (the
    /// first of seven days, of which today is the last), `2w`, `3m`, and the keys that reports show: `2026-W47`, `2026-11`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Ok(weekday) = text.parse() {
            return Some(Self::Weekday(weekday));
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
                let monday =
                    NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)?;
                Some(Self::Week(Day(monday)))
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
            Self::Weekday(weekday) => today.plus_days(-today.0.weekday().days_since(weekday).cast_signed()),
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
    span: ZoneSpan,
    /// The last day, by its number since 1970.
    last: Option<(i64, Day)>,
}

impl<'z> Days<'z> {
    /// For the days of `zone`.
    #[must_use]
    pub fn new(zone: &'z Zone) -> Self {
        Self { zone, span: ZoneSpan::default(), last: None }
    }

    /// The day of a moment; `None` beyond the years that calendars show.
    pub fn of(&mut self, at: Timestamp) -> Option<Day> {
        let at = at.as_millis();
        if !(self.span.from..self.span.until).contains(&at) {
            self.span = self.zone.span_around(at)?;
        }
        let number = at.checked_add(self.span.offset)?.div_euclid(DAY_MILLIS);
        if let Some((last, day)) = self.last
            && last == number
        {
            return Some(day);
        }
        let day = Day(NaiveDate::from_epoch_days(i32::try_from(number).ok()?)?);
        self.last = Some((number, day));
        Some(day)
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
    fn the_fast_way_and_the_slow_way_agree() {
        for name in [
            "Europe/Berlin",
            "Asia/Kolkata",
            "Pacific/Auckland",
            "Australia/Lord_Howe",
            "America/Havana",
            "UTC",
        ] {
            let zone = zone(name);
            let mut days = Days::new(&zone);
            let first = Timestamp::parse("2025-12-30T00:00:00Z").unwrap().as_millis();
            for quarter in 0..35_500 {
                let at = first + quarter * 900_000;
                let at = Timestamp::from_millis(at);
                assert_eq!(days.of(at), zone.day_of(at), "{name} {at:?}");
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
        assert_eq!(day("9999-12-01").plus_months(i32::MAX), Day::LAST);
        assert_eq!((Day::FIRST.plus_days(i32::MIN), Day::FIRST.monday()), (Day::FIRST, Day::FIRST));
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
            "2026- 1- 2",
            "2026-1-1  ",
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
            for weekday in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] {
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
}
