//! What the table says, held against the client's own figures, the hand-merged list and the errors of other programs
//! (`docs/facts.md#known-mistakes`).

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;
use tallyhook_testdata::collected;

use super::*;
use crate::domain::{Cost, CostParts, PicoUsd, Timestamp, Usage};

const NOW: &str = "2026-11-22T00:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn usd(text: &str) -> PicoUsd {
    PicoUsd::parse(text).unwrap()
}

fn rates(model: &str, when: &str, prompt: u64, modifiers: Modifiers) -> [u64; 5] {
    let Rates { input, output, cache_read, cache_write_5m, cache_write_1h, .. } =
        PriceTable::builtin().price(model, at(when), prompt, modifiers).unwrap();
    [input, output, cache_read, cache_write_5m, cache_write_1h]
}

/// Dollars for a million tokens, of input, output, cache reads, 5 m writes and 1 h writes.
fn per_million(rates: [f64; 5]) -> [u64; 5] {
    rates.map(|rate| u64::try_from(PicoUsd::parse(&rate.to_string()).unwrap().as_pico() / 1_000_000).unwrap())
}

fn base(model: &str) -> [u64; 5] {
    rates(model, NOW, 0, Modifiers::default())
}

const FAST: Modifiers = Modifiers { fast: true, us: false, batch: false };
const US: Modifiers = Modifiers { fast: false, us: true, batch: false };
const BATCH: Modifiers = Modifiers { fast: false, us: false, batch: true };

fn jsonl(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The usage and the cost that a `cost-state` line gives each model, where all its writes are of one hour.
fn cost_states(line: &Value) -> Vec<(String, Usage, PicoUsd)> {
    let Some(models) = line["modelUsage"].as_object() else { return Vec::new() };
    let each = models.iter().map(|(model, usage)| {
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        let writes = count("cacheCreationInputTokens");
        let short = count("cacheCreationEphemeral5mInputTokens");
        let usage_of = Usage {
            input: count("inputTokens"),
            output: count("outputTokens"),
            cache_read: count("cacheReadInputTokens"),
            cache_write_5m: short,
            cache_write_1h: writes - short,
            web_searches: count("webSearchRequests"),
        };
        (model.clone(), usage_of, usd(&usage["costUSD"].to_string()))
    });
    each.collect()
}

fn cost(model: &str, when: &str, usage: &Usage) -> Cost {
    PriceTable::builtin().cost(model, at(when), usage, Modifiers::default())
}

#[test]
fn the_clients_own_costs_come_out_to_the_last_digit() {
    let usage = |input, output, cache_read, cache_write_1h| Usage {
        input,
        output,
        cache_read,
        cache_write_1h,
        ..Usage::default()
    };
    for (model, usage, expected) in [
        ("claude-haiku-4-5-20251001", usage(368, 516, 106_786, 9_149), "0.031924600000000004"),
        ("claude-sonnet-5", usage(604, 459, 247_603, 64_384), "0.3128546"),
    ] {
        let rates = PriceTable::builtin().price(model, at(NOW), 0, Modifiers::default()).unwrap();
        let cost = usage.cost_at(&rates);
        assert_eq!(cost.total(), usd(expected), "{model}");
        // The price of 5 minutes for writes of 1 hour is a known error of other programs.
        let usage = Usage { cache_write_5m: usage.cache_write_1h, cache_write_1h: 0, ..usage };
        let wrong = usage.cost_at(&rates);
        assert!(wrong.total() < usd(expected));
    }
    // With 5 m writes, from a session that was captured for this project.
    let opus =
        Usage { input: 30, output: 171, cache_read: 36_462, cache_write_5m: 74_550, ..Usage::default() };
    assert_eq!(cost("claude-opus-5-5", NOW, &opus).total(), Some(usd("0.3835824")));
}

/// Fails unless the totals that clients have written come out of their own token counts; how many there were.
fn assert_cost_states_are_reproduced(folder: PathBuf) -> usize {
    let mut records = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jsonl") {
                for (model, usage, expected) in jsonl(&path).iter().flat_map(cost_states) {
                    let rates = PriceTable::builtin().price(&model, at(NOW), 0, Modifiers::default());
                    let total = usage.cost_at(&rates.unwrap_or_else(|| panic!("{model}"))).total();
                    // The client adds floats up, so its last digits are noise.
                    let noise = (total - expected).as_pico().abs();
                    assert!(noise <= 10, "{}: {model}: {total:?} is not {expected:?}", path.display());
                    records += 1;
                }
            }
        }
    }
    records
}

#[test]
fn every_captured_cost_state_is_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude-code");
    let records = assert_cost_states_are_reproduced(folder);
    assert!(records >= 30, "{records}");
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn every_collected_cost_state_is_reproduced() {
    let records = assert_cost_states_are_reproduced(collected("corpus/cost-state"));
    assert!(records >= 2, "{records}");
}

#[test]
#[ignore = "needs collected price tables: set TALLYHOOK_CORPUS to their folder"]
fn every_row_of_the_collected_list_is_ours() {
    let list = collected("pricing").join("anthropic-effective.json");
    let list = std::fs::read_to_string(list).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let five = |row: &Value| {
        per_million(["in", "out", "cr", "cw5m", "cw1h"].map(|name| row[name].as_f64().unwrap()))
    };
    let rows = list["rows"].as_array().unwrap();
    for row in rows {
        for id in row["ids"].as_array().unwrap() {
            let id = id.as_str().unwrap();
            assert_eq!(base(id), five(row), "{id}");
            if let Some(before) = row.get("before") {
                let mut old = row.clone();
                old.as_object_mut().unwrap().extend(before.as_object().unwrap().clone());
                assert_eq!(rates(id, "2026-10-06T23:59:59Z", 0, Modifiers::default()), five(&old), "{id}");
            } else {
                assert_eq!(rates(id, "2025-01-01T00:00:00Z", 0, Modifiers::default()), five(row), "{id}");
            }
            if let Some(tier) = row.get("long_context") {
                let threshold = tier["threshold"].as_u64().unwrap();
                let when = if tier.get("until").is_some() { "2026-03-12T23:59:59Z" } else { NOW };
                let at_length = |prompt| rates(id, when, prompt, Modifiers::default());
                assert_eq!(at_length(threshold), five(row), "{id}");
                assert_eq!(at_length(threshold + 1), five(tier), "{id}");
            } else {
                assert_eq!(rates(id, NOW, 999_999, Modifiers::default()), five(row), "{id}");
            }
            let fast = rates(id, "2026-07-01T00:00:00Z", 0, FAST);
            let factor = row.get("fast_multiplier").map_or(1, |factor| factor.as_u64().unwrap());
            assert_eq!(fast, rates(id, "2026-07-01T00:00:00Z", 0, Modifiers::default()).map(|r| r * factor));
        }
    }
    assert_eq!(rows.len(), 21);
}

/// Where our price is not litellm's, and why.
const NOT_LITELLMS: [(&str, &str); 10] = [
    ("claude-3-7-sonnet-20240620", "a price of GovCloud under a date that never was"),
    ("claude-mythos-preview", "Bedrock sold it at 2.75 times the maker's price"),
    ("vertex_ai/claude-3-5-haiku", "Vertex still had its first price"),
    ("grok-code-fast", "the model that the name leads to now"),
    ("dashscope/", "other makers' models at Alibaba's prices, and Qwen in mainland China"),
    ("mistral/", "other makers' models at Mistral's prices"),
    ("gemini-exp", "no price, written as 0"),
    ("vertex_ai/gemini-2.0-flash", "Vertex's price, not that of the Gemini API"),
    ("github_copilot/grok-4.5", "Copilot's price of its cache"),
    ("github_copilot/gpt-5.6-luna", "Copilot's tier"),
];

#[test]
#[ignore = "needs collected price tables: set TALLYHOOK_CORPUS to their folder"]
fn every_name_in_the_collected_table_of_litellm_leads_to_its_price() {
    let list = collected("pricing").join("litellm-1.109.1-trimmed.json");
    let list = std::fs::read_to_string(list).unwrap();
    let list: serde_json::Map<String, Value> = serde_json::from_str(&list).unwrap();
    let (mut compared, mut unknown, mut wrong) = (0, 0, Vec::new());
    for (id, entry) in &list {
        let million = |name: &str| {
            let dollars = entry.get(name).filter(|value| value.as_f64() > Some(0.0))?;
            Some(PicoUsd::parse(&dollars.to_string()).unwrap().as_pico())
        };
        let Some(input) = million("input_cost_per_token") else { continue };
        // A Monday noon at which no prices by the hour differ from theirs.
        let when = if entry.get("off_peak_pricing").is_some() { "2026-11-23T02:00:00Z" } else { NOW };
        let price = |prompt| PriceTable::builtin().price(id, at(when), prompt, Modifiers::default());
        let Some(rates) = price(0) else {
            assert!(!id.contains("claude-opus") && !id.contains("claude-sonnet"), "{id}");
            unknown += 1;
            continue;
        };
        let mut pairs = vec![(Some(input), rates.input), (million("output_cost_per_token"), rates.output)];
        pairs.push((million("cache_read_input_token_cost"), rates.cache_read));
        pairs.push((million("cache_creation_input_token_cost"), rates.cache_write_5m));
        if id.contains("claude") {
            pairs.push((million("cache_creation_input_token_cost_above_1hr"), rates.cache_write_1h));
        }
        for tier in [100, 200, 272, 512] {
            let above = price(tier * 1_000 + 1).unwrap();
            pairs.push((million(&format!("input_cost_per_token_above_{tier}k_tokens")), above.input));
            pairs.push((million(&format!("output_cost_per_token_above_{tier}k_tokens")), above.output));
            let read = format!("cache_read_input_token_cost_above_{tier}k_tokens");
            pairs.push((million(&read), above.cache_read));
        }
        compared += 1;
        let known = NOT_LITELLMS.iter().any(|(name, _)| id.contains(name));
        if !known
            && pairs.iter().any(|(theirs, ours)| theirs.is_some_and(|theirs| theirs != i128::from(*ours)))
        {
            wrong.push(format!("{id}: {pairs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 350, "{compared} compared, {unknown} unknown");
}

#[test]
fn a_dated_change_begins_at_midnight_utc() {
    let cache_read = |when| rates("claude-sonnet-5-5", when, 0, Modifiers::default())[2];
    assert_eq!(cache_read("2026-10-06T23:59:59.999Z"), 200_000);
    assert_eq!(cache_read("2026-10-07T00:00:00Z"), 100_000);
    assert_eq!(cache_read("2020-01-01T00:00:00Z"), 200_000, "the first price holds before its release too");
}

#[test]
fn a_tier_prices_the_whole_request_from_one_token_above_it() {
    let usage = |cache_read| Usage { input: 50_000, output: 1, cache_read, ..Usage::default() };
    // Input and cache reads together are compared.
    let below = cost("claude-sonnet-4-5", NOW, &usage(150_000)).parts().unwrap();
    assert_eq!(below.input, usd("0.15"));
    let above = cost("claude-sonnet-4-5", NOW, &usage(150_001)).parts().unwrap();
    assert_eq!(above.input, usd("0.30"));
    assert_eq!(above.output, usd("0.0000225"));
    assert_eq!(above.cache_read, PicoUsd::from_pico(150_001 * 600_000));

    let haiku = |prompt| rates("claude-haiku-5-5", NOW, prompt, Modifiers::default())[0];
    assert_eq!((haiku(100_000), haiku(100_001)), (100_000, 500_000));
    // A tier that ended.
    let opus = |when| rates("claude-opus-4-6", when, 200_001, Modifiers::default())[0];
    assert_eq!((opus("2026-03-12T23:59:59Z"), opus("2026-03-13T00:00:00Z")), (10_000_000, 5_000_000));
}

#[test]
fn fast_us_batch_and_regional_processing_change_the_price() {
    let times = |model: &str, when: &str, modifiers| {
        let base = rates(model, when, 0, Modifiers::default())[1] as f64;
        rates(model, when, 0, modifiers)[1] as f64 / base
    };
    assert_eq!(times("claude-opus-5-5", NOW, FAST), 2.0);
    assert_eq!(times("claude-opus-4-7", "2026-07-23T23:59:59Z", FAST), 6.0);
    assert_eq!(times("claude-opus-4-7", "2026-07-24T00:00:00Z", FAST), 1.0, "taken away on that day");
    assert_eq!(times("claude-sonnet-5", NOW, FAST), 1.0, "has no fast mode");
    assert_eq!(times("claude-opus-5-5", NOW, US), 1.1);
    assert_eq!(times("claude-opus-4-5", NOW, US), 1.0, "4.6 and later");
    assert_eq!(times("claude-opus-5-5", NOW, BATCH), 0.5);
    assert_eq!(times("claude-opus-5-5", NOW, Modifiers { fast: true, us: true, batch: true }), 1.1);
    assert_eq!(base("claude-opus-4.8-fast"), base("claude-opus-4-8").map(|rate| 2 * rate));
    assert_eq!(base("us.anthropic.claude-sonnet-4-5-20250929-v1:0")[0], 3_300_000);
    assert_eq!(base("us.anthropic.claude-sonnet-4-20250514-v1:0")[0], 3_000_000, "4.5 and later");
    assert_eq!(base("global.anthropic.claude-sonnet-4-5-20250929-v1:0")[0], 3_000_000);

    assert_eq!(Modifiers::from_log(Some(b"fast"), Some(b"not_available"), Some(b"standard")), FAST);
    assert_eq!(Modifiers::from_log(Some(b"standard"), Some(b"us"), None), US);
    assert_eq!(Modifiers::from_log(None, None, Some(b"batch")), BATCH);
}

#[test]
fn a_web_search_costs_a_cent_however_it_was_processed() {
    let usage = Usage { web_searches: 3, ..Usage::default() };
    let parts = PriceTable::builtin().cost("claude-opus-5-5", at(NOW), &usage, FAST).parts().unwrap();
    assert_eq!((parts.web_search, parts.total()), (usd("0.03"), usd("0.03")));
}

#[test]
fn a_model_without_a_price_is_never_free() {
    let usage = Usage { input: 1, ..Usage::default() };
    for model in
        ["claude-opus-9", "gpt-5.4-ultra", "gpt-5.4-preview", "opus", "", "<synthetic>", "mimo-v2.5-free"]
    {
        assert_eq!(PriceTable::builtin().class(model, at(NOW), 1, Modifiers::default()), None, "{model}");
        let cost = cost(model, NOW, &usage);
        assert_eq!((cost.total(), cost.unpriced_models().len()), (None, 1), "{model}");
    }
    // What used nothing cost nothing.
    assert_eq!(cost("<synthetic>", NOW, &Usage::default()).total(), Some(PicoUsd::ZERO));
}

#[test]
fn one_model_has_one_price_under_all_its_names() {
    for (one, other) in [
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4-5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "vertex_ai/claude-sonnet-4-5@20250929"),
        ("claude-sonnet-4-5", "claude-sonnet-4-5[1m]"),
        ("claude-opus-5-5", "vertex_ai/claude-opus-5-5@default"),
        ("claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-opus-4-0", "claude-4-opus-20250514"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "anthropic/claude-3.5-haiku"),
        ("claude-3-opus-20240229", "CLAUDE-3-OPUS"),
        ("claude-fable-5", "claude-mythos-preview"),
        ("gpt-5.4", "openai/gpt-5.4-2026-03-05"),
        ("gpt-5.2", "gpt-5.2-xhigh"),
        ("gpt-5.6-sol", "gpt-5.6"),
        ("gemini-2.5-pro", "models/gemini-2.5-pro-preview-06-05"),
        ("gemini-2.5-flash", "gemini-2.5-flash-preview-09-2025"),
        ("gemini-3-pro-preview", "gemini-3-pro-high"),
        ("grok-code-fast-1", "x-ai/grok-code-fast"),
        ("kimi-k2.7-code", "moonshot-ai/kimi-k2.7-code"),
        ("minimax-m2.1", "MiniMax-M2.1"),
    ] {
        assert_eq!(base(one), base(other), "{other}");
    }
    // Their dates have prices of their own.
    assert_ne!(base("gpt-4o"), base("gpt-4o-2024-05-13"));
    assert_ne!(base("gemini-2.5-flash"), base("gemini-2.5-flash-preview-05-20"));
    assert_ne!(base("gpt-4"), base("gpt-4-1106-preview"));
}

fn parse(text: &str) -> Result<PriceTable, String> {
    let user = parse_user_prices(text, Path::new("prices.toml")).map_err(|error| error.to_string())?;
    Ok(PriceTable::with_overrides(user))
}

#[test]
fn the_users_prices_go_first_from_their_day_on() {
    let table = parse(
        "[models.\"claude-sonnet-4.5\"]\nprices = [{ from = 2026-11-01, input = 1, output = 2, cache_read = 0.5 }]\n\
         [models.house-model]\nwindow = 32_000\nprices = [{ input = \"0.25\", output = 1 }]\n",
    )
    .unwrap();
    let input = |model: &str, when: &str, prompt| {
        table.price(model, at(when), prompt, Modifiers::default()).map(|rates| rates.input)
    };
    let sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(input("claude-sonnet-4-5", "2026-10-31T23:59:59Z", 0), Some(3_000_000));
    assert_eq!(input("claude-sonnet-4-5", "2026-10-31T23:59:59Z", 200_001), Some(6_000_000));
    assert_eq!(input("claude-sonnet-4-5", "2026-11-01T00:00:00Z", 0), Some(1_000_000));
    assert_eq!(
        input("claude-sonnet-4-5", NOW, 200_001),
        Some(1_000_000),
        "the tier has ended with its price"
    );
    assert_eq!(input(sonnet, NOW, 0), Some(1_100_000), "the factors are still the table's");
    assert_eq!(input("claude-opus-5-5", NOW, 0), Some(4_000_000));
    assert_eq!(table.context_window("claude-sonnet-4-5"), Some(200_000));

    let house = table.price("x/House-Model", at("2020-01-01T00:00:00Z"), 0, Modifiers::default()).unwrap();
    assert_eq!((house.input, house.cache_read, house.cache_write_1h), (250_000, 250_000, 250_000));
    assert_eq!(table.context_window("house-model"), Some(32_000));

    let (found, builtin) = (table.models(), PriceTable::builtin().models().len());
    assert_eq!(found.len(), builtin + 1);
    assert_eq!(found.iter().filter(|found| found.own).count(), 2);
    assert!(table.find("claude-sonnet-4-5").unwrap().own);
    assert_ne!(table.version(), PriceTable::builtin().version());
    assert_eq!(parse("").unwrap().version(), PriceTable::builtin().version());
}

#[test]
fn a_wrong_file_says_where_what_and_what_to_do() {
    for (text, expected) in [
        (
            "[models.x]\nprices = []\n",
            "line 1, column 9: model \"x\" has no price that applies to every prompt",
        ),
        ("[models.x]\nprices = [\n  { input = -1, output = 2 },\n]\n", "line 3, column 13: invalid value"),
        ("[models.x]\nprices = [{ input = 1 }]\n", "line 2, column 11: missing field `output`"),
        ("[models.x]\nprices = [{ input = 0.0000001, output = 2 }]\n", "at most six decimals"),
        ("[models.x]\nprice = 1\n", "line 2, column 1: unknown field `price`"),
        (
            "[models.x]\nprices = [{ input = 1, output = 1, from = 2026-01-01T00:00:00Z }]\n",
            "like 2026-11-22",
        ),
        (
            "[models.x]\nprices = [{ input = 1, output = 1 }, { input = 2, output = 1 }]\n",
            "two prices for the same",
        ),
        (
            "[models.x]\naliases = [\"y\"]\nprices = [{ input = 1, output = 1 }]\n[models.Y]\nprices = [{ input = 1, output = 1 }]\n",
            "names both",
        ),
        (
            "[models.claude-opus-4-5]\nprices = [{ input = 1, output = 1 }]\n[models.claude-4-5-opus-20251101]\nprices = [{ input = 1, output = 1 }]\n",
            "another name for a model",
        ),
        (
            "[models.x]\nprices = [{ input = 1, output = 1 }, { hours = [\"1-2\"], input = 1, output = 1 }]\n",
            "has hours that",
        ),
        ("nonsense", "line 1"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(expected), "{error} does not contain {expected}");
        assert!(error.starts_with("can't use the prices in prices.toml: line "), "{error}");
        assert!(error.ends_with("or delete the file to go back to the built-in prices"), "{error}");
    }
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let count = 0..1_000_000_000_u64;
    (count.clone(), count.clone(), count.clone(), count.clone(), count, 0..100_u64).prop_map(
        |(input, output, cache_read, cache_write_5m, cache_write_1h, web_searches)| Usage {
            input,
            output,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            web_searches,
        },
    )
}

proptest! {
    // No files in the source tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sum_costs_what_its_parts_cost(
        usages in proptest::collection::vec(any_usage(), 0..20),
        index in any::<proptest::sample::Index>(),
        millis in 1_600_000_000_000..1_900_000_000_000_i64,
        prompt in 0..1_000_000_u64,
        (fast, us, batch) in any::<(bool, bool, bool)>(),
    ) {
        let table = PriceTable::builtin();
        let models = table.models();
        let id = &models[index.index(models.len())].model.id;
        let class = table.class(id, Timestamp::from_millis(millis), prompt, Modifiers { fast, us, batch });
        let rates = table.rates(class.unwrap()).unwrap();
        let parts: CostParts = usages.iter().map(|usage| usage.cost_at(&rates)).sum();
        let sum: Usage = usages.iter().copied().sum();
        prop_assert_eq!(sum.cost_at(&rates), parts);
        prop_assert_eq!(parts.total(), usages.iter().map(|usage| usage.cost_at(&rates).total()).sum());
    }

    #[test]
    fn equal_classes_have_equal_rates_and_any_id_is_harmless(
        id in "\\PC{0,40}",
        millis in any::<i64>(),
        prompt in any::<u64>(),
    ) {
        let table = PriceTable::builtin();
        let price = table.price(&id, Timestamp::from_millis(millis), prompt, FAST);
        let class = table.class(&id, Timestamp::from_millis(millis), prompt, FAST);
        prop_assert_eq!(class.and_then(|class| table.rates(class)), price);
    }
}

/// A line of a pasted `/cost`: model, counts with half of their last digit (input, output, cache read, cache write),
/// web searches, and the cost with half of its last digit, in pico-dollars.
type Pasted = (&'static str, [(u64, u64); 4], u64, (i128, i128));

/// What real pastes show (`cost-output`), whose counts are rounded. Their names say no date.
const PASTED: [Pasted; 6] = [
    ("claude-haiku-4-5", [(13_500, 50), (222, 0), (0, 0), (0, 0)], 0, (14_600_000_000, 50_000_000)),
    (
        "claude-sonnet-4-5",
        [(38, 0), (1_200, 50), (51_100, 50), (17_900, 50)],
        0,
        (100_800_000_000, 50_000_000),
    ),
    ("claude-haiku-4-5", [(42_100, 50), (790, 0), (0, 0), (11_900, 50)], 0, (60_900_000_000, 50_000_000)),
    (
        "claude-opus-4-5",
        [(3_400, 50), (10_700, 50), (1_700_000, 50_000), (235_300, 50)],
        1,
        (2_630_000_000_000, 5_000_000_000),
    ),
    (
        "claude-sonnet-4-6",
        [(358_200, 50), (675_200, 50), (79_600_000, 50_000), (3_000_000, 50_000)],
        0,
        (46_340_000_000_000, 5_000_000_000),
    ),
    (
        "claude-haiku-4-5",
        [(3_000, 50), (3_700, 50), (141_200, 50), (15_300, 50)],
        0,
        (54_900_000_000, 50_000_000),
    ),
];

fn pasted_range(model: &str, counts: [(u64, u64); 4], web_searches: u64, prompt: u64) -> (i128, i128) {
    let rates =
        PriceTable::builtin().price(model, at("2026-02-01T00:00:00Z"), prompt, Modifiers::default()).unwrap();
    let cost = |of: fn((u64, u64)) -> u64| {
        let [input, output, cache_read, cache_write_5m] = counts.map(of);
        let usage = Usage { input, output, cache_read, cache_write_5m, cache_write_1h: 0, web_searches };
        usage.cost_at(&rates).total().as_pico()
    };
    (cost(|(count, half)| count - half), cost(|(count, half)| count + half))
}

#[test]
fn pasted_costs_agree_within_their_rounding() {
    for (model, counts, web_searches, (shown, half)) in PASTED {
        let (low, high) = pasted_range(model, counts, web_searches, 0);
        assert!(low <= shown + half && shown - half <= high, "{model}: {low} to {high}, shown {shown}");
    }
}

#[test]
fn a_paste_of_long_prompts_lies_between_the_two_tiers() {
    // 07 of `cost-output`: Sonnet 4.5 for $3.10. Some of its prompts were longer than 200,000 tokens, and a sum does not
    // tell which, so it cannot be reproduced from the paste; only a ledger that saw each response can.
    let counts = [(9_400, 50), (33_700, 50), (2_300_000, 50_000), (172_200, 50)];
    let (low, _) = pasted_range("claude-sonnet-4-5", counts, 0, 0);
    let (_, high) = pasted_range("claude-sonnet-4-5", counts, 0, 200_001);
    assert!((low..high).contains(&3_100_000_000_000), "{low} to {high}");
}
