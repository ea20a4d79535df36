//! Amounts that people type or paste: money, tokens, percentages, durations.
//!
//! A number can be written in many ways, and some of them mean something else elsewhere: `2,50` is two and a half in
//! Berlin, `1,000` a thousand in Boston. What is typed has one form, with a point before the decimals, and what a
//! comma could make ambiguous is refused with the form that is meant. Every option, argument and settings file reads
//! its amounts here. What is pasted was written by a program, in a locale that nobody knows: there a number is read if
//! only one reading of it exists ([`pasted`]).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{MAX_COUNT, PicoUsd, grouped};

/// Longest number that is looked at, in bytes.
const MAX_BYTES: usize = 200;
/// Longest duration: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Examples of each form, for what is no number at all.
const USD: &str = "2.50";
const TOKENS: &str = "500000, 500k, or 1.5M";
const PERCENT: &str = "80";
const DURATION: &str = "30m, 1h, or 2d";
const COUNT: &str = "30";

/// Why an amount was refused, in words that say what to write instead. They hold digits of the input, nothing else of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AmountFault {
    /// It is written in a form that is not ours, but can only mean this.
    Meant(String),
    /// It can mean either of these.
    Either(String, String),
    /// There is a unit behind it that it does not take.
    Unit(String),
    /// It is below zero.
    Negative,
    /// It has digits other than 0 to 9.
    Digits,
    /// It must be a whole number.
    Whole,
    /// It is more than can be kept.
    Most(String),
    /// It is less than can be kept, or nothing.
    Least(String),
    /// It is not plainly a number; these are.
    Form(&'static str),
}

impl fmt::Display for AmountFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meant(form) => write!(f, "write {form}"),
            Self::Either(one, other) => write!(f, "it could mean {one} or {other}; write the one you mean"),
            Self::Unit(form) => write!(f, "write {form}, without a unit"),
            Self::Negative => f.write_str("it can't be negative"),
            Self::Digits => f.write_str("use the digits 0 to 9"),
            Self::Whole => f.write_str("it must be a whole number"),
            Self::Most(most) => write!(f, "the maximum is {most}"),
            Self::Least(least) => write!(f, "the minimum is {least}"),
            Self::Form(examples) => write!(f, "write it like {examples}"),
        }
    }
}

impl Error for AmountFault {}

/// A number without a sign: the digits before the point, those behind it, and the power of ten it is multiplied by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    whole: String,
    fraction: String,
    exponent: i32,
}

impl Decimal {
    fn new(whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        Self { whole: whole.to_owned(), fraction: fraction.to_owned(), exponent: 0 }
    }

    /// Digits behind the point.
    #[must_use]
    pub fn decimals(&self) -> usize {
        self.fraction.len()
    }

    /// The number times `unit`, if that is a whole number that can be held.
    #[must_use]
    pub fn times(&self, unit: u64) -> Option<u64> {
        self.times_with_rest(unit).filter(|(_, is_whole)| *is_whole).map(|(product, _)| product)
    }

    /// The number times `unit`, without what is left behind the point.
    #[must_use]
    pub fn times_cut(&self, unit: u64) -> Option<u64> {
        self.times_with_rest(unit).map(|(product, _)| product)
    }

    fn times_with_rest(&self, unit: u64) -> Option<(u64, bool)> {
        let fraction = self.fraction.trim_end_matches('0');
        let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let all: u128 = [&self.whole, fraction].concat().parse().ok()?;
        let product = all.checked_mul(unit.into()).filter(|_| self.exponent == 0)?;
        Some((u64::try_from(product / scale).ok()?, product.is_multiple_of(scale)))
    }

    /// The number as a sum of dollars, rounded to what can be held; `None` if that is less than the number.
    #[must_use]
    pub fn dollars(&self) -> Option<PicoUsd> {
        PicoUsd::parse(&format!("{self}e{}", self.exponent))
    }

    fn is_zero(&self) -> bool {
        [&*self.whole, &self.fraction].concat().bytes().all(|digit| digit == b'0')
    }

    fn is_same(&self, other: &Self) -> bool {
        self.whole == other.whole
            && self.fraction.trim_end_matches('0') == other.fraction.trim_end_matches('0')
    }
}

impl fmt::Display for Decimal {
    /// In the form that is read: `1234.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{}{point}{}", self.whole, self.fraction)
    }
}

/// Characters that group digits wherever they do; a comma and a point do so in some places only.
fn is_grouping(c: char) -> bool {
    matches!(c, '_' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// A number in one convention: `group` tells digits in threes, `point` the decimals. Digits need not be grouped.
fn in_convention(text: &str, group: impl Fn(char) -> bool, point: char) -> Option<Decimal> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match text.split_once(point) {
        Some((whole, fraction)) if digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    if whole.is_empty() && !fraction.is_empty() {
        return Some(Decimal::new("", fraction));
    }
    let groups: Vec<&str> = whole.split(&group).collect();
    let is_grouped = match groups.as_slice() {
        [one] => digits(one),
        // Nobody groups what begins with a zero, nor in two ways at once.
        [first, rest @ ..] => {
            let separators = || whole.chars().filter(|c| group(*c));
            (1..=3).contains(&first.len())
                && digits(first)
                && !first.starts_with('0')
                && rest.iter().all(|group| group.len() == 3 && digits(group))
                && separators().all(|c| Some(c) == separators().next())
        }
        [] => false,
    };
    is_grouped.then(|| Decimal::new(&groups.concat(), fraction))
}

/// What a number can mean, as people of one country or another write it; nothing if it is none. The first one is in our
/// form, where it is in it.
fn readings(text: &str) -> Vec<(Decimal, bool)> {
    let all = [
        (in_convention(text, |c| c == ',', '.'), true),
        (in_convention(text, |c| c == '_', '.'), true),
        (in_convention(text, |c| c == '.', ','), false),
        (in_convention(text, is_grouping, '.'), false),
        (in_convention(text, is_grouping, ','), false),
    ];
    let mut found: Vec<(Decimal, bool)> = Vec::new();
    for (reading, is_ours) in all {
        if let Some(reading) = reading
            && !found.iter().any(|(known, _)| known.is_same(&reading))
        {
            found.push((reading, is_ours));
        }
    }
    found
}

/// A typed number and the unit behind it.
fn typed<'t>(text: &'t str, examples: &'static str) -> Result<(Decimal, &'t str), AmountFault> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return Err(AmountFault::Form(examples));
    }
    if text.chars().any(|c| c.is_numeric() && !c.is_ascii()) {
        return Err(AmountFault::Digits);
    }
    if let Some(rest) = text.strip_prefix('+') {
        return match typed(rest, examples)? {
            (number, "") => Err(AmountFault::Meant(number.to_string())),
            (number, unit) => Err(AmountFault::Meant(format!("{number}{unit}"))),
        };
    }
    if text.starts_with(['-', '\u{2212}']) {
        return Err(AmountFault::Negative);
    }
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.' || c == ',' || is_grouping(c);
    let (number, unit) = text.split_at(text.find(|c| !is_of_number(c)).unwrap_or(text.len()));
    let number = number.trim_end();
    // A point is the decimal one. Only what has other marks in it can mean more than one thing.
    let is_plain =
        number.matches('.').count() <= 1 && number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let found = if is_plain {
        in_convention(number, |_| false, '.').into_iter().map(|reading| (reading, true)).collect()
    } else {
        readings(number)
    };
    match found.as_slice() {
        [(reading, true)] => with_exponent(reading.clone(), unit, examples),
        [(reading, false)] => Err(AmountFault::Meant(format!("{reading}{unit}"))),
        [(one, _), (other, _), ..] => {
            Err(AmountFault::Either(format!("{one}{unit}"), format!("{other}{unit}")))
        }
        [] => Err(AmountFault::Form(examples)),
    }
}

/// Takes the power of ten from the number's unit, as computers write very small numbers: `3e-05`.
fn with_exponent<'t>(
    number: Decimal,
    unit: &'t str,
    examples: &'static str,
) -> Result<(Decimal, &'t str), AmountFault> {
    let Some(power) = unit.strip_prefix(['e', 'E']) else { return Ok((number, unit)) };
    let digits = power.trim_start_matches(['-', '+']);
    let is_power =
        !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    match power.parse() {
        Ok(exponent) if is_power => Ok((Decimal { exponent, ..number }, "")),
        _ => Err(AmountFault::Form(examples)),
    }
}

/// Refuses a unit behind a number that has none.
fn without_unit((number, unit): (Decimal, &str), examples: &'static str) -> Result<Decimal, AmountFault> {
    if unit.is_empty() {
        return Ok(number);
    }
    if unit.contains(|c: char| c.is_ascii_digit()) {
        return Err(AmountFault::Form(examples));
    }
    // `5k` is meant as five thousand of whatever it is.
    let scaled = thousands(unit).and_then(|scale| number.times(scale));
    Err(AmountFault::Unit(scaled.map_or_else(|| number.to_string(), |scaled| scaled.to_string())))
}

/// Of a number that must be whole no form with decimals is meant.
fn whole(fault: AmountFault, examples: &'static str) -> AmountFault {
    match fault {
        AmountFault::Meant(form) if form.contains('.') && !form.ends_with(char::is_alphabetic) => {
            AmountFault::Form(examples)
        }
        fault => fault,
    }
}

/// What a suffix stands for.
fn thousands(suffix: &str) -> Option<u64> {
    match suffix {
        "k" | "K" => Some(1_000),
        "m" | "M" => Some(1_000_000),
        "b" | "B" => Some(1_000_000_000),
        _ => None,
    }
}

/// Reads a sum of dollars: `5`, `2.50`, `$0.25`, `3e-05`. What is finer than a pico-dollar is rounded, as
/// [`PicoUsd::parse`] does.
///
/// # Errors
/// If it is not plainly such a sum, or is more than the ledger can hold.
pub fn usd(text: &str) -> Result<PicoUsd, AmountFault> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text);
    let number = without_unit(typed(text, USD)?, USD)?;
    let most = || AmountFault::Most("$9,223,372".to_owned());
    let sum = number.dollars().filter(|sum| *sum <= PicoUsd::MOST_KEPT).ok_or_else(most)?;
    if sum == PicoUsd::ZERO && !number.is_zero() {
        return Err(AmountFault::Least("0.000000000001".to_owned()));
    }
    Ok(sum)
}

/// Reads a number of tokens: `500000`, `500k`, `1.5M`, `2B`.
///
/// # Errors
/// If it is not plainly such a number, or is more than is believed.
pub fn tokens(text: &str) -> Result<u64, AmountFault> {
    let (number, suffix) = typed(text, TOKENS).map_err(|fault| whole(fault, TOKENS))?;
    let scale = match suffix {
        "" => return whole_number(&number, TOKENS, MAX_COUNT),
        suffix => match thousands(suffix) {
            Some(scale) => scale,
            None => return Err(without_unit((number, suffix), TOKENS).err().unwrap_or(AmountFault::Whole)),
        },
    };
    match number.times(scale) {
        Some(tokens) if tokens <= MAX_COUNT => Ok(tokens),
        None if number.decimals() > 0 && number.whole.len() < 12 => Err(AmountFault::Whole),
        _ => Err(AmountFault::Most(grouped(MAX_COUNT))),
    }
}

/// A number without decimals, `most` at the most.
fn whole_number(number: &Decimal, examples: &'static str, most: u64) -> Result<u64, AmountFault> {
    if number.exponent != 0 {
        return Err(AmountFault::Form(examples));
    }
    match number.decimals() {
        0 => match number.times(1) {
            Some(count) if count <= most => Ok(count),
            _ => Err(AmountFault::Most(grouped(most))),
        },
        // In many countries these three digits are thousands.
        3 if number.whole != "0" && number.whole.len() <= 3 => {
            let grouped = format!("{}{}", number.whole, number.fraction);
            Err(AmountFault::Either(grouped, number.to_string()))
        }
        _ => Err(AmountFault::Whole),
    }
}

/// Reads a whole number from `least` to `most`.
///
/// # Errors
/// If it is not plainly such a number.
pub fn count<N: Copy + Into<u64> + TryFrom<u64>>(text: &str, least: N, most: N) -> Result<N, AmountFault> {
    let number = without_unit(typed(text, COUNT).map_err(|fault| whole(fault, COUNT))?, COUNT)?;
    match whole_number(&number, COUNT, most.into())? {
        count if count < least.into() => Err(AmountFault::Least(grouped(least.into()))),
        // It is not above `most`, so it fits.
        count => N::try_from(count).map_err(|_| AmountFault::Most(grouped(most.into()))),
    }
}

/// Reads a whole percentage from 1 to 100: `80`, `80%`.
///
/// # Errors
/// If it is not plainly such a percentage.
pub fn percent(text: &str) -> Result<u8, AmountFault> {
    let text = text.trim();
    let number = text.strip_suffix('%').unwrap_or(text);
    if number.trim().is_empty() {
        return Err(AmountFault::Form(PERCENT));
    }
    count(number, 1_u8, 100).map_err(|fault| match fault {
        AmountFault::Form(_) => AmountFault::Form(PERCENT),
        fault => fault,
    })
}

/// Reads a duration from a second to a year: `90s`, `30m`, `1h`, `1h30m`, `1.5h`, `2d`, `1w`.
///
/// # Errors
/// If it is not plainly such a duration.
pub fn duration(text: &str) -> Result<Duration, AmountFault> {
    let form = || AmountFault::Form(DURATION);
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    let mut last_unit = u64::MAX;
    if rest.is_empty() {
        return Err(form());
    }
    while !rest.is_empty() {
        // What follows the unit begins with a digit again.
        let unit_at = rest.find(char::is_alphabetic).ok_or_else(|| match typed(rest, DURATION) {
            Ok((number, "")) if number.decimals() == 0 => {
                AmountFault::Form("30m, 1h, or 2d; it needs a unit")
            }
            Ok(_) => form(),
            Err(fault) => fault,
        })?;
        let unit_end =
            rest[unit_at..].find(|c: char| !c.is_alphabetic()).map_or(rest.len(), |at| unit_at + at);
        let unit = &rest[unit_at..unit_end];
        let scale = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(form()),
        };
        let (number, _) = typed(&rest[..unit_at], DURATION).map_err(|fault| match fault {
            AmountFault::Meant(number) => AmountFault::Meant(format!("{number}{unit}")),
            AmountFault::Either(one, other) => {
                AmountFault::Either(format!("{one}{unit}"), format!("{other}{unit}"))
            }
            fault => fault,
        })?;
        // The largest unit comes first, and each once.
        if scale >= last_unit || number.exponent != 0 {
            return Err(form());
        }
        last_unit = scale;
        let most = || AmountFault::Most("366d".to_owned());
        let part = match number.times(scale) {
            Some(part) => part,
            None if number.decimals() > 0 && number.whole.len() < 9 => {
                return Err(AmountFault::Least("1s".to_owned()));
            }
            None => return Err(most()),
        };
        seconds = seconds.checked_add(part).filter(|all| *all <= LONGEST.as_secs()).ok_or_else(most)?;
        rest = rest[unit_end..].trim_start();
    }
    if seconds == 0 {
        return Err(AmountFault::Least("1s".to_owned()));
    }
    Ok(Duration::from_secs(seconds))
}

/// Reads a price in dollars for a million tokens, in millionths of a dollar: `3`, `0.25`, with six decimals at most.
///
/// # Errors
/// If it is not plainly such a price, or above a million dollars.
pub fn per_million(text: &str) -> Result<u64, AmountFault> {
    const MOST: u64 = 1_000_000;
    const DECIMALS: &str = "0.25, with at most six decimals";
    let sum = usd(text)?;
    if sum > PicoUsd::times(MOST, 1_000_000_000_000) {
        return Err(AmountFault::Most(format!("${}", grouped(MOST))));
    }
    let micros = sum.as_pico() / 1_000_000;
    if sum.as_pico() % 1_000_000 != 0 {
        return Err(AmountFault::Form(DECIMALS));
    }
    u64::try_from(micros).map_err(|_| AmountFault::Form(DECIMALS))
}

/// Reads a number that a program has written in the form of some country: `1,234.56`, `1.234,56`, `0,0975`. If `is_count`
/// it is a whole number, so that `1.234` can only be a thousand and more.
///
/// # Errors
/// If it is none, or could be one of two.
pub fn pasted(text: &str, is_count: bool) -> Result<Decimal, AmountFault> {
    if text.len() > MAX_BYTES {
        return Err(AmountFault::Form(USD));
    }
    let mut found = readings(text);
    if is_count {
        found.retain(|(reading, _)| reading.decimals() == 0);
    }
    match found.as_slice() {
        [(reading, _)] => Ok(reading.clone()),
        [(one, _), (other, _), ..] => Err(AmountFault::Either(one.to_string(), other.to_string())),
        [] => Err(AmountFault::Form(USD)),
    }
}

#[cfg(test)]
mod tests;
