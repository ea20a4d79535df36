//! What is read, and what is refused with which words.

use proptest::prelude::*;

use super::*;

fn said<T: fmt::Debug>(read: Result<T, AmountFault>) -> String {
    read.unwrap_err().to_string()
}

#[test]
fn sums_have_one_form() {
    for (text, pico) in [
        ("5", 5_000_000_000_000),
        ("2.50", 2_500_000_000_000),
        (" $0.25\n", 250_000_000_000),
        (".5", 500_000_000_000),
        ("1,234.50", 1_234_500_000_000_000),
        ("1,234,567", 1_234_567_000_000_000_000),
        ("1_000", 1_000_000_000_000_000),
        ("1.000", 1_000_000_000_000),
        ("3e-05", 30_000_000),
        ("0.031924600000000004", 31_924_600_000),
        ("007", 7_000_000_000_000),
        ("0", 0),
        ("9223372.03", 9_223_372_030_000_000_000),
    ] {
        assert_eq!(usd(text), Ok(PicoUsd::from_pico(pico)), "{text}");
    }
}

#[test]
fn what_is_not_plainly_a_sum_is_refused_with_the_form_that_is_meant() {
    for (text, expected) in [
        ("2,50", "write 2.50"),
        ("0,5", "write 0.5"),
        ("0,500", "write 0.500"),
        ("$1.234,56", "write 1234.56"),
        ("1234,567", "write 1234.567"),
        ("1.000.000", "write 1000000"),
        ("1'000.50", "write 1000.50"),
        ("1 000", "write 1000"),
        ("1\u{202f}000,5", "write 1000.5"),
        ("1,000", "it could mean 1000 or 1.000; write the one you mean"),
        ("12,345", "it could mean 12345 or 12.345; write the one you mean"),
        ("+5", "write 5"),
        ("-5", "it can't be negative"),
        ("\u{2212}5", "it can't be negative"),
        ("$-5", "it can't be negative"),
        ("٣", "use the digits 0 to 9"),
        ("２.５０", "use the digits 0 to 9"),
        ("5 USD", "write 5, without a unit"),
        ("5$", "write 5, without a unit"),
        ("2.50€", "write 2.50, without a unit"),
        ("5k", "write 5000, without a unit"),
        ("9300000", "the maximum is $9,223,372"),
        ("9223372.04", "the maximum is $9,223,372"),
        ("1e400", "the maximum is $9,223,372"),
        ("1e40", "the maximum is $9,223,372"),
        ("1e-400", "the minimum is 0.000000000001"),
    ] {
        assert_eq!(said(usd(text)), expected, "{text}");
    }
    for text in [
        "",
        " ",
        "\u{a0}",
        "nan",
        "NaN",
        "inf",
        "1,2,3",
        "1.2.3",
        "5.",
        ".",
        "$",
        "$$5",
        "€5",
        "0x1f",
        "1e",
        "1e+",
        "1__000",
        "1,00,000",
        "1,000_000",
        "--5",
    ] {
        let fault = said(usd(text));
        assert!(fault == "write it like 2.50" || fault.starts_with("it can't"), "{text}: {fault}");
    }
    assert_eq!(said(usd(&"1".repeat(300))), "write it like 2.50");
}

#[test]
fn tokens_are_whole_and_may_be_thousands() {
    for (text, count) in [
        ("500000", 500_000),
        ("500k", 500_000),
        ("1.5M", 1_500_000),
        ("2b", 2_000_000_000),
        ("1,234,567", 1_234_567),
        ("500_000", 500_000),
        ("1000B", MAX_COUNT),
    ] {
        assert_eq!(tokens(text), Ok(count), "{text}");
    }
    for (text, expected) in [
        ("1,5", "write it like 500000, 500k, or 1.5M"),
        ("1,5M", "write 1.5M"),
        ("500,000", "it could mean 500000 or 500.000; write the one you mean"),
        ("500.000", "it could mean 500000 or 500.000; write the one you mean"),
        ("1.5", "it must be a whole number"),
        ("1.0005k", "it must be a whole number"),
        ("-1", "it can't be negative"),
        ("+1k", "write 1k"),
        ("1e6", "write it like 500000, 500k, or 1.5M"),
        ("5 tokens", "write 5, without a unit"),
        ("1001B", "the maximum is 1,000,000,000,000"),
        ("99999999999999999999999", "the maximum is 1,000,000,000,000"),
        ("", "write it like 500000, 500k, or 1.5M"),
        ("５００", "use the digits 0 to 9"),
    ] {
        assert_eq!(said(tokens(text)), expected, "{text}");
    }
}

#[test]
fn percentages_and_counts_have_bounds() {
    assert_eq!((percent("80"), percent(" 80 % "), percent("100%")), (Ok(80), Ok(80), Ok(100)));
    for (text, expected) in [
        ("0", "the minimum is 1"),
        ("101", "the maximum is 100"),
        ("79.5", "it must be a whole number"),
        ("79,5", "write it like 80"),
        ("0.8", "it must be a whole number"),
        ("%", "write it like 80"),
        ("+80", "write 80"),
        ("٨٠", "use the digits 0 to 9"),
    ] {
        assert_eq!(said(percent(text)), expected, "{text}");
    }
    assert_eq!(count("30", 1_u16, 3_660), Ok(30));
    assert_eq!(said(count("30d", 1_u16, 3_660)), "write 30, without a unit");
    assert_eq!(said(count("3,660", 1_u16, 3_660)), "it could mean 3660 or 3.660; write the one you mean");
}

#[test]
fn durations_have_units() {
    for (text, seconds) in [
        ("90s", 90),
        ("30m", 1_800),
        ("30 min", 1_800),
        ("1h30m", 5_400),
        ("1h 30m", 5_400),
        ("1.5h", 5_400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("366d", 366 * 86_400),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for (text, expected) in [
        ("1,5h", "write 1.5h"),
        ("1,000h", "it could mean 1000h or 1.000h; write the one you mean"),
        ("30", "write it like 30m, 1h, or 2d; it needs a unit"),
        ("0m", "the minimum is 1s"),
        ("0.1s", "the minimum is 1s"),
        ("367d", "the maximum is 366d"),
        ("99999999999999999999w", "the maximum is 366d"),
        ("-1h", "it can't be negative"),
        ("+1h", "write 1h"),
        ("30m1h", "write it like 30m, 1h, or 2d"),
        ("1h1h", "write it like 30m, 1h, or 2d"),
        ("1y", "write it like 30m, 1h, or 2d"),
        ("h", "write it like 30m, 1h, or 2d"),
        ("", "write it like 30m, 1h, or 2d"),
        ("٣h", "use the digits 0 to 9"),
    ] {
        assert_eq!(said(duration(text)), expected, "{text}");
    }
}

#[test]
fn prices_have_six_decimals() {
    assert_eq!(per_million("0.000001"), Ok(1));
    assert_eq!(per_million("$3"), Ok(3_000_000));
    assert_eq!(said(per_million("2,5")), "write 2.5");
    assert_eq!(said(per_million("0.0000001")), "write it like 0.25, with at most six decimals");
    assert_eq!(said(per_million("1000001")), "the maximum is $1,000,000");
}

#[test]
fn pasted_numbers_are_read_where_only_one_reading_exists() {
    let read = |text: &str, is_count| pasted(text, is_count).map(|number| number.to_string());
    for (text, is_count, expected) in [
        ("1.234,56", false, "1234.56"),
        ("1,234.56", false, "1234.56"),
        ("0,0975", false, "0.0975"),
        ("0.123", false, "0.123"),
        ("18,5", false, "18.5"),
        ("1\u{202f}234,5", false, "1234.5"),
        ("1,234", true, "1234"),
        ("1.234", true, "1234"),
        ("1’234", true, "1234"),
        ("640", true, "640"),
    ] {
        assert_eq!(read(text, is_count).as_deref(), Ok(expected), "{text}");
    }
    for (text, is_count) in [
        ("1,234", false),
        ("1.234", false),
        ("1,5", true),
        ("1,2,3", false),
        ("-1", true),
        ("", true),
        ("1.", false),
    ] {
        assert!(read(text, is_count).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_without_a_fault(text in "[0-9.,_' eE+$%kMbsmhd٣-]{0,12}|\\PC{0,12}") {
        let _read = (usd(&text), tokens(&text), percent(&text), duration(&text), per_million(&text));
        let _pasted = (pasted(&text, true), pasted(&text, false));
    }

    #[test]
    fn a_comma_never_multiplies(whole in 0..10_000_u32, fraction in "[0-9]{1,5}") {
        // Whatever is accepted with a comma in it is not a thousand times what it says with a point.
        if let Ok(sum) = usd(&format!("{whole},{fraction}")) {
            prop_assert!(false, "{whole},{fraction} was read as {sum}");
        }
    }

    #[test]
    fn what_we_show_is_read_again(pico in 0..=i64::MAX) {
        let sum = PicoUsd::from_pico(pico.into());
        prop_assert_eq!(usd(&sum.to_decimal()), Ok(sum));
        // With its cents `$1,234.50` has one meaning.
        let cents = PicoUsd::from_pico(i128::from(pico) / 10_000_000_000 * 10_000_000_000);
        prop_assert_eq!(usd(&cents.to_dollars(2)), Ok(cents));
    }
}
