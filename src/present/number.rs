//! Numbers as people read them.

use crate::domain::PicoUsd;
use crate::report::KnownCost;

/// Sums below it are shown with their cents in any case. As wide as a thousand dollars without them.
const FEW_DOLLARS: PicoUsd = PicoUsd::from_pico(10 * PicoUsd::DOLLAR.as_pico());
/// Digits behind the point.
const CENTS: usize = 2;

/// `~12.4k`: an estimate with as many digits as it is worth.
#[must_use]
pub fn rough(value: u64) -> String {
    format!("~{}", scaled(value))
}

/// `12.4k`: a number with three digits.
#[must_use]
pub fn scaled(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = value as f64;
    let (scaled, unit) = match value {
        0..1_000 => return value.to_string(),
        1_000..999_500 => (number / 1e3, "k"),
        999_500..999_500_000 => (number / 1e6, "M"),
        _ => (number / 1e9, "B"),
    };
    if scaled < 99.95 { format!("{scaled:.1}{unit}") } else { format!("{scaled:.0}{unit}") }
}

/// `3.00`, `0.003625`: a price with all its digits, at least two behind the point.
#[must_use]
pub fn per_million(price: PicoUsd) -> String {
    let text = price.to_decimal();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}.{fraction:0<2}")
}

/// `$1.23`; `≥ $1.23` if part of it has no price, `?` if all of it has none, `<$0.01` for less than can be shown: a zero
/// would read as free. Without decimals sums of some dollars keep their cents: nearly all of them is behind the point.
#[must_use]
pub fn cost(cost: KnownCost, decimals: usize) -> String {
    let Some(amount) = cost.amount else { return if cost.is_partial { "?" } else { "-" }.to_owned() };
    let decimals =
        if decimals == 0 && amount.as_pico().abs() < FEW_DOLLARS.as_pico() { CENTS } else { decimals };
    let text = amount.to_dollars(decimals);
    let is_shown = amount == PicoUsd::ZERO || text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let text = match decimals {
        _ if is_shown => text,
        _ => format!("<$0.{:0>decimals$}", 1),
    };
    if cost.is_partial { format!("≥ {text}") } else { text }
}

/// `+$1.23`, `-$0.45`, `+<$0.01` for less than can be shown.
#[must_use]
pub fn signed(change: PicoUsd, decimals: usize) -> String {
    let (sign, size) = match change {
        PicoUsd::ZERO => ("", change),
        more if more > PicoUsd::ZERO => ("+", more),
        less => ("-", PicoUsd::ZERO - less),
    };
    format!("{sign}{}", cost(KnownCost::whole(Some(size)), decimals))
}

/// `+1,234`, `-12`, `0`.
#[must_use]
pub fn difference(more: i64, show: fn(u64) -> String) -> String {
    let sign = match more {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", show(more.unsigned_abs()))
}

/// `4 min 10 s`, `3 h 05 min`, `2 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grouped;

    #[test]
    fn numbers_have_separators_and_estimates_a_tilde() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(rough(999), "~999");
        assert_eq!(rough(12_431), "~12.4k");
        assert_eq!(rough(99_960), "~100k");
        assert_eq!(rough(999_499), "~999k");
        assert_eq!(rough(999_500), "~1.0M");
        assert_eq!(per_million(PicoUsd::from_pico(3_000_000_000_000)), "3.00");
        assert_eq!(per_million(PicoUsd::from_pico(3_625_000_000)), "0.003625");
        let usd = |text: &str| PicoUsd::parse(text);
        let cost = |amount, is_partial, decimals| cost(KnownCost { amount, is_partial }, decimals);
        assert_eq!(cost(usd("1234.567"), false, 2), "$1,234.57");
        assert_eq!(cost(usd("0.001"), false, 2), "<$0.01");
        assert_eq!(cost(usd("0.00001"), true, 4), "≥ <$0.0001");
        assert_eq!(
            ["0.4", "9.994", "10", "1999.5"].map(|sum| cost(usd(sum), false, 0)),
            ["$0.40", "$9.99", "$10", "$2,000"].map(str::to_owned)
        );
        assert_eq!(cost(usd("0"), false, 2), "$0.00");
        assert_eq!((cost(None, true, 2), cost(None, false, 2)), ("?".to_owned(), "-".to_owned()));
        assert_eq!(signed(usd("1.5").unwrap(), 2), "+$1.50");
        assert_eq!(signed(usd("-0.25").unwrap(), 4), "-$0.2500");
        assert_eq!(
            (signed(usd("-0.25").unwrap(), 0), signed(PicoUsd::ZERO, 2)),
            ("-$0.25".into(), "$0.00".into())
        );
        assert_eq!((difference(-1_234, grouped), difference(5, grouped)), ("-1,234".into(), "+5".into()));
        assert_eq!(span(250), "4 min 10 s");
        assert_eq!(span(11_100), "3 h 05 min");
    }
}
