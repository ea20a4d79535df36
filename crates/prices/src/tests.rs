//! The table and its rules by themselves. That its prices are right is held by the program's tests (`src/pricing/tests.rs`),
//! against the costs that clients have written.

use chrono::DateTime;
use proptest::prelude::*;

use crate::{Model, PriceClass, Prices, Processing, Rates, Row, UserPrices};

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

#[test]
fn every_name_leads_to_its_model() {
    let prices = Prices::builtin();
    let models = prices.models();
    assert!(models.len() > 100, "{}", models.len());
    for found in models {
        let names = prices.names(found.model);
        assert!(!names.is_empty(), "{}", found.model.id);
        for name in names {
            assert_eq!(prices.find(name).unwrap().model.id, found.model.id, "{name}");
        }
        assert!(prices.class(&found.model.id, prices.date(), 0, Processing::default()).is_some());
    }
}

#[test]
fn the_date_is_the_first_moment_of_its_day() {
    assert_eq!(Prices::builtin().date() % 86_400_000, 0);
    assert!(Prices::builtin().date() >= at("2026-11-22T00:00:00Z"));
}

#[test]
fn the_context_is_known() {
    let window = |model| Prices::builtin().context_window(model);
    assert_eq!(window("claude-opus-5-5"), Some(1_000_000));
    assert_eq!(window("claude-sonnet-4-5"), Some(200_000));
    assert_eq!(window("claude-sonnet-4-5[1m]"), Some(1_000_000));
    assert_eq!(window("claude-opus-9"), None);
}

#[test]
fn a_class_is_kept_as_a_number() {
    let table = Prices::builtin();
    let fast = Processing { fast: true, ..Processing::default() };
    let class = table.class("claude-opus-4-6", at("2026-03-01T00:00:00Z"), 200_001, fast).unwrap();
    assert_eq!(PriceClass::from_i64(class.to_i64()), Some(class));
    assert_eq!(table.rates(class).unwrap().output, 6 * 37_500_000);
    assert_eq!(PriceClass::from_i64(0), None);
    assert_eq!(PriceClass::from_i64(-1), None);
    assert_eq!(table.rates(PriceClass::from_i64(i64::from(u32::MAX)).unwrap()), None);
    assert_eq!(PriceClass::from_i64(4095), None);
}

#[test]
fn no_price_of_today_is_rounded_by_any_factor() {
    for found in Prices::builtin().models() {
        let Model { fast, us, regional, batch, rows, id, .. } = found.model;
        let factors = [fast, us, regional, batch].map(|factor| u64::from(factor.unwrap_or(100)));
        let exact = |rate: u64| {
            // Fast, with any of the others.
            let all: u128 = factors.iter().map(|factor| u128::from(*factor)).product();
            (u128::from(rate) * all).is_multiple_of(100_000_000)
        };
        for Row { rates, .. } in rows.iter() {
            let Rates { input, output, cache_read, cache_write_5m, cache_write_1h, .. } = *rates;
            assert!(
                [input, output, cache_read, cache_write_5m, cache_write_1h].into_iter().all(exact),
                "{id}"
            );
        }
    }
}

#[test]
fn hours_and_weekdays_are_utc() {
    let user = UserPrices::parse(
        "[models.x]\nprices = [\n  { input = 1, output = 1 },\n  \
         { hours = [\"01:00-04:00\", \"22:45-24:00\"], weekdays = true, input = 2, output = 2 },\n]\n",
    )
    .unwrap();
    let table = Prices::with_overrides(user);
    let input = |when: &str| {
        let class = table.class("x", at(when), 0, Processing::default()).unwrap();
        table.rates(class).unwrap().input
    };
    // 2026-11-20 is a Friday.
    assert_eq!(input("2026-11-20T00:59:59Z"), 1_000_000);
    assert_eq!(input("2026-11-20T01:00:00Z"), 2_000_000);
    assert_eq!(input("2026-11-20T03:59:59Z"), 2_000_000);
    assert_eq!(input("2026-11-20T04:00:00Z"), 1_000_000);
    assert_eq!(input("2026-11-20T23:59:59Z"), 2_000_000);
    assert_eq!(input("2026-11-21T02:00:00Z"), 1_000_000, "Saturday");
    assert_eq!(input("2026-11-22T02:00:00Z"), 1_000_000, "Sunday");
    assert_eq!(input("2026-11-23T02:00:00Z"), 2_000_000);
    assert_eq!(input("1969-12-31T01:00:00Z"), 2_000_000, "a Wednesday before the epoch");
}

proptest! {
    // No files in the source tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_id_and_any_file_are_harmless(id in "\\PC{0,40}", text in "\\PC{0,200}", at in any::<i64>(), prompt: u64) {
        let prices = Prices::builtin();
        let class = prices.class(&id, at, prompt, Processing::default());
        prop_assert_eq!(class.is_some(), class.and_then(|class| prices.rates(class)).is_some());
        if let Err(fault) = UserPrices::parse(&text) {
            prop_assert!(fault.at <= text.len());
        }
    }
}
