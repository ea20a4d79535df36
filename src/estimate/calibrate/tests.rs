//! Laws of the calibration: it finds what made the data, and nothing that comes in makes it absurd.

use proptest::prelude::*;

use super::*;

fn model(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

fn old() -> Calibration {
    Calibration::prior(&model("claude-opus-4-6"))
}

fn added(results: &[(ToolKind, u64)]) -> Added {
    let mut added = Added::default();
    for (kind, tokens) in results {
        added.add(*kind, *tokens);
    }
    added
}

/// Gaps of a model that reads files with a slope of 1.4, output with 1.1, and takes 70 tokens a call.
fn synthetic(number: u64) -> (Added, u64) {
    let (read, shell) = (number * 37 % 3_000, number * 101 % 700);
    let growth = (read * 140 + shell * 110) / 100 + 140;
    (added(&[(ToolKind::Read, read), (ToolKind::Shell, shell)]), growth)
}

fn near(left: u64, right: u64, share: f64) -> bool {
    (real(left) - real(right)).abs() <= share * real(right)
}

#[test]
fn learning_finds_the_slopes_that_made_the_data() {
    let mut calibration = old();
    for number in 1..200 {
        let (added, growth) = synthetic(number);
        calibration.learn(&added, growth);
    }
    assert_eq!(calibration.n(), 199);
    for (kind, raw, expected) in [(ToolKind::Read, 2_000, 2_870), (ToolKind::Shell, 1_000, 1_170)] {
        let estimate = calibration.estimate(kind, raw);
        assert!(near(estimate, expected, 0.02), "{kind:?}: {estimate} for {expected}");
    }
    assert!(calibration.error().unwrap() < 0.03, "{:?}", calibration.error());
    assert!(calibration.surplus() < 10, "{}", calibration.surplus());
}

#[test]
fn answers_of_calls_alone_without_a_final_output_teach_as_the_others_do() {
    let mut with_output = old();
    let mut without = old();
    for number in 1..200 {
        let (mut added, growth) = synthetic(number);
        with_output.learn(&added, growth);
        let wrote = Wrote { tokens: number * 53 % 400 + 20, calls: 2 };
        added.add_wrote(wrote);
        // The model has written 1.2 tokens for each of theirs, and 68 for each call.
        without.learn(&added, growth + wrote.tokens * 12 / 10 + 136);
    }
    assert_eq!(without.n(), 199);
    for (kind, raw) in [(ToolKind::Read, 2_000), (ToolKind::Shell, 1_000)] {
        assert!(near(without.estimate(kind, raw), with_output.estimate(kind, raw), 0.01), "{kind:?}");
    }
    let mut added = added(&[(ToolKind::Read, 10)]);
    added.add_wrote(Wrote { tokens: 100, calls: 1 });
    assert_eq!((without.wrote(&added), without.wrote(&Added::default())), (188, 0));
    // An answer that is longer than all that came in teaches nothing.
    let before = without;
    without.learn(&added, 150);
    assert_eq!(without, before);
}

#[test]
fn few_gaps_move_all_kinds() {
    let mut calibration = old();
    let before = calibration.estimate(ToolKind::Web, 1_000);
    for _ in 0..5 {
        calibration.learn(&added(&[(ToolKind::Read, 4_000)]), 6_400);
    }
    assert!(near(calibration.estimate(ToolKind::Read, 4_000), 6_400, 0.03));
    assert!(calibration.estimate(ToolKind::Web, 1_000) > before + 150, "one tokenizer reads them all");
}

#[test]
fn outliers_do_little() {
    let mut calibration = old();
    for number in 1..50 {
        let (added, growth) = synthetic(number);
        calibration.learn(&added, growth);
    }
    let before = calibration.estimate(ToolKind::Read, 1_000);
    for growth in [5_000, 90_000, 1_500_000, 1] {
        calibration.learn(&added(&[(ToolKind::Read, 1_000)]), growth);
    }
    assert!(near(calibration.estimate(ToolKind::Read, 1_000), before, 0.04));
    calibration.learn(&added(&[(ToolKind::Read, 1_000)]), 0);
    calibration.learn(&Added::default(), 500);
    assert_eq!(calibration.n(), 53, "nothing grew, or nothing was added");
}

#[test]
fn what_the_client_adds_is_foreseen_and_moves_no_slope() {
    let mut calibration = old();
    for number in 1..200 {
        let (mut added, mut growth) = synthetic(number);
        if number % 5 == 0 {
            added.add_told(0, 500);
            growth += 600;
        }
        calibration.learn(&added, growth);
    }
    assert!(near(calibration.estimate(ToolKind::Read, 2_000), 2_870, 0.02));
    // 600 tokens in five gaps of two calls, so 60 a call; more right after a note, less before the next.
    assert!((25..=110).contains(&calibration.surplus()), "{}", calibration.surplus());
    let mut noted = added(&[(ToolKind::Read, 100)]);
    noted.add_told(0, 500);
    assert!((550..=650).contains(&calibration.told(&noted)), "{}", calibration.told(&noted));
    assert_eq!(calibration.told(&added(&[(ToolKind::Read, 100)])), 0);
}

#[test]
fn a_skills_text_is_told_afterwards() {
    let calibration = old();
    let mut skill = added(&[(ToolKind::Skill, 8)]);
    assert_eq!(calibration.told(&skill), 0, "nothing tells of it: the guess stands");
    skill.add_told(500, 0);
    assert!(calibration.told(&skill) < -1_000);
    skill.add_told(3_500, 0);
    assert!(calibration.told(&skill) > 1_000);
}

#[test]
fn the_same_again_changes_nothing() {
    let mut once = old();
    let gaps: Vec<_> = (1..100).map(synthetic).collect();
    gaps.iter().for_each(|(added, growth)| once.learn(added, *growth));
    let mut twice = once;
    gaps.iter().for_each(|(added, growth)| twice.learn(added, *growth));
    for kind in [ToolKind::Read, ToolKind::Shell, ToolKind::Other] {
        assert!(near(twice.estimate(kind, 1_500), once.estimate(kind, 1_500), 0.03));
    }
}

#[test]
fn a_model_that_changes_is_followed() {
    let mut calibration = old();
    (1..300).map(synthetic).for_each(|(added, growth)| calibration.learn(&added, growth));
    calibration.begin_session();
    (1..60).map(synthetic).for_each(|(added, growth)| calibration.learn(&added, growth * 12 / 10));
    assert!(near(calibration.estimate(ToolKind::Read, 2_000), 3_444, 0.05));
}

#[test]
fn a_model_that_nobody_knows_begins_as_the_newest() {
    let unknown = Calibration::prior(&model("somebodys-model-9"));
    assert_eq!(unknown, Calibration::prior(&model("claude-opus-5")));
    assert!(unknown.estimate(ToolKind::Shell, 1_000) > old().estimate(ToolKind::Shell, 1_000));
    let tiktoken = Calibration::prior(&model("gpt-5.4"));
    assert!(near(tiktoken.estimate(ToolKind::Shell, 1_000), 1_000, 0.02));
    assert_eq!(unknown.error(), None);
}

#[test]
fn a_skill_brings_its_instructions() {
    assert!(old().estimate(ToolKind::Skill, 8) > 1_500);
    assert!(old().estimate(ToolKind::Notice, 8) < 100);
}

#[test]
fn what_the_model_writes_is_learned_by_itself() {
    let mut calibration = old();
    for number in 1..100 {
        let raw = number * 53 % 900 + 10;
        calibration.learn_written(raw, 1, raw * 13 / 10 + 50);
    }
    assert!(near(calibration.estimate_generated(500), 700, 0.02));
    assert_eq!(calibration.n(), 0);
}

#[test]
fn the_text_is_short_and_comes_back_whole() {
    let mut calibration = old();
    (1..80).map(synthetic).for_each(|(added, growth)| calibration.learn(&added, growth));
    let text = calibration.to_json();
    assert!(text.len() < 1_500, "{} bytes", text.len());
    let mut back = Calibration::from_json(&model("claude-opus-4-6"), &text);
    for kind in ToolKind::ALL {
        assert_eq!(back.estimate(kind, 3_000), calibration.estimate(kind, 3_000));
    }
    assert_eq!((back.n(), back.surplus()), (calibration.n(), calibration.surplus()));
    let (added, growth) = synthetic(81);
    back.learn(&added, growth);
    calibration.learn(&added, growth);
    assert!(near(
        back.estimate(ToolKind::Read, 100_000),
        calibration.estimate(ToolKind::Read, 100_000),
        0.001
    ));
}

#[test]
fn garbage_gives_the_prior() {
    let text = old().to_json();
    let cut = &text[..text.len() - 2];
    let other = text.replace("\"shape\":2", "\"shape\":1");
    let short = text.replacen("\"returned\":[1.12,", "\"returned\":[", 1);
    assert_ne!(short, text);
    for text in ["", "null", "[]", "{}", "{\"shape\":2}", cut, &other, &short] {
        assert_eq!(Calibration::from_json(&model("claude-opus-4-6"), text), old(), "{text}");
    }
}

/// Sizes as they come, and as they should not.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_000_u64, 0..2_000_000_u64, any::<u64>()]
}

fn kind() -> impl Strategy<Value = ToolKind> {
    (0..ToolKind::ALL.len()).prop_map(|at| ToolKind::ALL[at])
}

proptest! {
    #[test]
    fn no_data_makes_an_estimate_absurd(
        gaps in prop::collection::vec((prop::collection::vec((kind(), size()), 0..5), size()), 0..60),
        raw in 0..100_000_u64,
    ) {
        let mut calibration = old();
        for (results, growth) in &gaps {
            calibration.begin_session();
            calibration.learn(&added(results), *growth);
            let mut noted = added(results);
            noted.add_told(*growth, raw);
            calibration.learn(&noted, *growth);
            calibration.learn_written(results.first().map_or(0, |(_, size)| *size), 1, *growth);
        }
        for kind in ToolKind::ALL {
            let estimate = calibration.estimate(kind, raw);
            prop_assert!(estimate <= (raw + 2_000) * 5 + 400, "{kind:?}: {estimate} of {raw}");
            prop_assert!(estimate >= raw / 4, "{kind:?}: {estimate} of {raw}");
        }
        prop_assert!(calibration.estimate_generated(raw) <= raw * 5 + 400);
        prop_assert!(calibration.surplus() <= 4_000);
        prop_assert!(calibration.error().is_none_or(|error| (0.0..=1.0).contains(&error)));
        let back = Calibration::from_json(&model("claude-opus-4-6"), &calibration.to_json());
        prop_assert_eq!(back.n(), calibration.n());
    }

    #[test]
    fn whatever_numbers_are_stored_estimates_stay_sane(
        returned in prop::collection::vec(any::<f64>(), 65),
        written in prop::collection::vec(any::<f64>(), 5),
        sums in prop::collection::vec(any::<f64>(), 4),
        (added_tokens, growth) in (size(), size()),
    ) {
        let text = format!(
            "{{\"shape\":2,\"gaps\":3,\"responses\":3,\"sums\":{sums:?},\"returned\":{returned:?},\"written\":{written:?}}}"
        );
        let mut calibration = Calibration::from_json(&model("claude-opus-4-6"), &text);
        calibration.learn(&added(&[(ToolKind::Read, added_tokens)]), growth);
        for kind in ToolKind::ALL {
            prop_assert!((250..=15_400).contains(&calibration.estimate(kind, 1_000)));
        }
        prop_assert!(calibration.surplus() <= 4_000);
    }
}
