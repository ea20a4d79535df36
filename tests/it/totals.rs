//! The client's own totals beside the lines: under other names, by several processes, over several days; and responses that
//! took several requests.

use serde_json::{Value, json};
use tallyhook::domain::Usage;

use crate::bill::{MICRO, OPUS, cost_state, on_opus};
use crate::support::{Ledger, Session, With, answers, at};

const ARN: &str = "arn:aws:bedrock:us-east-2:000000000000:application-inference-profile/abc";
const SONNET: &str = "claude-sonnet-5-5";

fn output(tokens: u64) -> Usage {
    Usage { output: tokens, ..Usage::default() }
}

/// An answer of a model.
fn answer_of(s: &Session, model: &str, message: &str, second: u32, tokens: u64) -> Value {
    s.answer(message, second, tokens).with("message.model", model)
}

/// A total that began at a second.
fn total_from(second: u32, models: &[(&str, Usage)]) -> Value {
    let start = tallyhook::domain::Timestamp::parse(&at(second)).unwrap().as_millis();
    cost_state("session", models).with("startTime", start)
}

fn imported(lines: impl FnOnce(&Session) -> Vec<Value>) -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&lines(&session));
    ledger.import();
    ledger
}

fn hidden(ledger: &Ledger) -> Usage {
    ledger.actual("session").hidden.usage
}

/// Whether `doctor` finds that the lines and the client's total agree.
fn doctor_is_content(ledger: &Ledger) -> bool {
    let checks = ledger.run(&["doctor", "--json"]).json();
    let found = checks["checks"].as_array().unwrap().iter().find(|check| check["check"] == "totals");
    found.unwrap()["status"] == "ok"
}

// Under another name.

#[test]
fn a_total_under_another_name_than_the_lines_counts_nothing_twice() {
    for (asked, answered) in [
        (ARN, "claude-opus-4-6"),
        ("gateway/fast-and-good", "claude-opus-5-5"),
        ("claude-opus-5-5[1m]", "claude-opus-5-5"),
        ("us.anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6"),
        ("claude-opus-4-6@20260101", "claude-opus-4-6"),
        ("house-model[1m]", "house-model"),
        ("opusplan", "claude-fable-5"),
        // Refused, and answered by another.
        ("claude-fable-5", "claude-opus-4-8"),
    ] {
        let ledger = imported(|s| {
            let lines = [answer_of(s, answered, "msg_1", 2, 10), answer_of(s, answered, "msg_2", 3, 20)];
            let total = cost_state("session", &[(asked, answers(2, 30))]);
            [&[s.says(1)], &lines[..], &[total]].concat()
        });
        assert_eq!(ledger.cost_by("model").by_key().len(), 1, "{asked}");
        assert_eq!(ledger.total().usage, answers(2, 30), "{asked}");
        assert!(doctor_is_content(&ledger), "{asked}");
    }
}

#[test]
fn hidden_calls_of_an_alias_are_priced_as_the_one_model_that_answers_to_it() {
    let ledger = imported(|s| {
        let total = cost_state("session", &[(ARN, answers(1, 10) + output(500))]);
        vec![s.says(1), s.answer("msg_1", 2, 10), total]
    });
    let all = answers(1, 10) + output(500);
    assert_eq!((ledger.total().usage, ledger.total().pico), (all, Some(on_opus(all))));
    assert_eq!(ledger.cost_by("model").row(OPUS).usage, all);
}

#[test]
fn hidden_calls_of_an_alias_with_two_models_behind_it_have_no_price() {
    let ledger = imported(|s| {
        let total = cost_state("session", &[("gateway", answers(2, 30) + output(500))]);
        vec![s.says(1), s.answer("msg_1", 2, 10), answer_of(s, "claude-opus-5", "msg_2", 3, 20), total]
    });
    assert_eq!((hidden(&ledger), ledger.actual("session").hidden.pico), (output(500), None));
    assert_eq!(ledger.total().unpriced_models, ["gateway"]);
    // Nor are those of an alias that nobody answers to.
    let ledger = imported(|s| {
        let total = cost_state("session", &[(ARN, answers(1, 10)), ("gateway-small", output(500))]);
        vec![s.says(1), s.answer("msg_1", 2, 10), total]
    });
    assert_eq!(hidden(&ledger), output(500));
    assert_eq!(ledger.total().unpriced_models, ["gateway-small"]);
}

#[test]
fn names_of_several_models_at_once_are_told_apart_by_what_they_cover() {
    let small = Usage { input: 900, ..output(40) };
    let line = |s: &Session, model: &str, message: &str, second: u32, tokens: u64| {
        answer_of(s, model, message, second, tokens)
    };
    type Case<'a> = (&'a str, Vec<(&'a str, Usage)>, Usage);
    let cases: [Case<'_>; 6] = [
        ("one alias, two models", vec![("gateway", answers(3, 360))], Usage::default()),
        ("two aliases", vec![("big", answers(2, 300)), ("little", answers(1, 60))], Usage::default()),
        (
            "two aliases, one hidden beside",
            vec![("a", answers(2, 300)), ("b", answers(1, 60) + small)],
            small,
        ),
        ("a fallback in part", vec![(OPUS, answers(3, 360))], Usage::default()),
        ("a name without lines", vec![(OPUS, answers(3, 360)), ("claude-haiku-4-5", small)], small),
        (
            "answers under each other's names",
            vec![(OPUS, answers(1, 60)), (SONNET, answers(2, 300))],
            Usage::default(),
        ),
    ];
    for (what, totals, expected) in cases {
        let ledger = imported(|s| {
            let lines = [
                line(s, OPUS, "msg_1", 2, 100),
                line(s, OPUS, "msg_2", 3, 200),
                line(s, SONNET, "msg_3", 4, 60),
            ];
            [&[s.says(1)], &lines[..], &[cost_state("session", &totals)]].concat()
        });
        assert_eq!((hidden(&ledger), ledger.total().responses), (expected, 3), "{what}");
        assert_eq!(ledger.total().usage, answers(3, 360) + expected, "{what}");
        assert!(doctor_is_content(&ledger), "{what}");
    }
}

#[test]
fn two_aliases_of_one_model_cover_its_lines_together() {
    let ledger = imported(|s| {
        let total = cost_state("session", &[("a", answers(1, 100)), ("b", answers(2, 260) + output(7))]);
        let lines = [s.answer("msg_1", 2, 100), s.answer("msg_2", 3, 200), s.answer("msg_3", 4, 60)];
        [&[s.says(1)], &lines[..], &[total]].concat()
    });
    let all = answers(3, 360) + output(7);
    assert_eq!((ledger.total().usage, ledger.total().pico), (all, Some(on_opus(all))));
}

#[test]
fn lines_that_are_more_than_all_totals_are_still_told() {
    let ledger = imported(|s| {
        let total = cost_state("session", &[(ARN, answers(1, 10))]);
        vec![s.says(1), s.answer("msg_1", 2, 10), s.answer("msg_2", 3, 20), total]
    });
    assert_eq!(ledger.total().usage, answers(2, 30));
    assert!(!doctor_is_content(&ledger));
}

#[test]
fn what_a_model_hides_is_not_taken_off_for_anothers_few_tokens_too_many() {
    let titles = Usage { input: 300, ..output(20) };
    let ledger = imported(|s| {
        let total = cost_state("session", &[(OPUS, answers(1, 10)), ("claude-haiku-4-5", titles)]);
        vec![s.says(1), s.answer("msg_1", 2, 15), total]
    });
    assert_eq!((hidden(&ledger), ledger.total().usage), (titles, answers(1, 15) + titles));
}

#[test]
fn a_total_that_does_not_cover_an_answer_whole_has_nothing_of_it() {
    let more = Usage { input: 1_988, cache_read: 500, cache_write_5m: 50, ..output(3_690) };
    for (tokens, is_covered) in [(3_691, false), (5_000, false), (3_690, true), (20, true)] {
        let answer = answers(1, tokens);
        let ledger = imported(|s| {
            let other = answer_of(s, "claude-haiku-4-5", "msg_2", 3, tokens);
            vec![
                s.says(1),
                s.answer("msg_1", 2, 10),
                other,
                cost_state("session", &[(OPUS, answers(1, 10) + more)]),
            ]
        });
        let expected = if is_covered { more.saturating_sub(answer) } else { more };
        assert_eq!(hidden(&ledger), expected, "{tokens}");
        assert_eq!(ledger.total().usage, answers(1, 10) + answer + expected, "{tokens}");
    }
}

/// An answer with this usage, whose cache writes are not split.
fn answer_with(s: &Session, model: &str, message: &str, second: u32, usage: Usage) -> Value {
    answer_of(s, model, message, second, usage.output)
        .with("message.usage.input_tokens", usage.input)
        .with("message.usage.cache_read_input_tokens", usage.cache_read)
}

#[test]
fn answers_after_a_switch_of_the_model_are_behind_the_other_name_whole() {
    let large = Usage { cache_read: 30_000, ..answers(1, 50) };
    let compaction = Usage { input: 20, ..output(1_200) };
    let small = answers(1, 40);
    // Switched, switched and back, and of an agent that asks for another model than its session.
    for (usages, asked, other) in [
        (vec![small, large], small, large),
        (vec![small, large, large, small], small + small, large + large),
        (vec![large, small, large, small], small + small, large + large),
    ] {
        let ledger = imported(|s| {
            let line = |(number, usage): (u32, &Usage)| {
                answer_with(s, OPUS, &format!("msg_{number}"), number + 1, *usage)
            };
            let lines: Vec<Value> = (1..).zip(&usages).map(line).collect();
            let total = cost_state("session", &[(OPUS, asked + compaction), (ARN, other)]);
            [&[s.says(1)], &lines[..], &[total]].concat()
        });
        let all = asked + other + compaction;
        assert_eq!((hidden(&ledger), ledger.total().usage), (compaction, all), "{usages:?}");
        assert!(doctor_is_content(&ledger));
    }
}

#[test]
fn hidden_calls_leave_the_classes_even_that_tell_which_name_has_lines() {
    let title = Usage { input: 300, ..output(9) };
    let large = Usage { cache_read: 30_000, ..answers(1, 100) };
    // The first of the lines is of the smaller name, and each name would cover it.
    let ledger = imported(|s| {
        let lines = [answer_of(s, SONNET, "msg_1", 2, 500), answer_with(s, OPUS, "msg_2", 3, large)];
        let total = cost_state("session", &[("big", large + title), ("small", answers(1, 500) + title)]);
        [&[s.says(1)], &lines[..], &[total]].concat()
    });
    assert_eq!(ledger.cost_by("model").row(OPUS).usage, large + title);
    assert_eq!(ledger.cost_by("model").row(SONNET).usage, answers(1, 500) + title);
    assert!(doctor_is_content(&ledger));
}

#[test]
fn an_answer_for_another_model_is_not_behind_the_titles_of_the_one_that_answered() {
    let titles = Usage { input: 200, ..output(60) };
    for asked in [OPUS, ARN, "claude-fable-5"] {
        let ledger = imported(|s| {
            let total = cost_state("session", &[("claude-haiku-5-5", titles), (asked, answers(1, 50))]);
            vec![s.says(1), answer_of(s, "claude-haiku-5-5", "msg_1", 2, 50), total]
        });
        assert_eq!((hidden(&ledger), ledger.total().usage), (titles, answers(1, 50) + titles), "{asked}");
        assert!(doctor_is_content(&ledger), "{asked}");
    }
}

#[test]
fn an_answer_that_no_total_has_is_not_behind_a_cheaper_models_hidden_calls() {
    let compaction = Usage { input: 9_000, cache_read: 9_000, cache_write_5m: 900, ..output(900) };
    for (lost, counted) in [(OPUS, "claude-haiku-5-5"), ("claude-fable-5", OPUS), (OPUS, SONNET)] {
        let ledger = imported(|s| {
            let lines = [answer_of(s, lost, "msg_1", 2, 40), answer_of(s, counted, "msg_2", 3, 50)];
            let total = cost_state("session", &[(counted, answers(1, 50) + compaction)]);
            [&[s.says(1)], &lines[..], &[total]].concat()
        });
        let all = answers(2, 90) + compaction;
        assert_eq!((hidden(&ledger), ledger.total().usage), (compaction, all), "{lost}");
    }
}

#[test]
fn an_answer_that_two_names_cover_only_together_is_in_both() {
    let ledger = imported(|s| {
        let total =
            cost_state("session", &[("a", answers(1, 60)), ("b", Usage { cache_read: 0, ..answers(1, 50) })]);
        vec![s.says(1), s.answer("msg_1", 2, 100).with("message.usage.input_tokens", 6), total]
    });
    let written = Usage { input: 6, ..answers(1, 100) };
    let left = Usage { cache_write_5m: 10, ..output(10) };
    assert_eq!((hidden(&ledger), ledger.total().usage), (left, written + left));
    assert!(doctor_is_content(&ledger));
}

#[test]
fn cache_writes_whose_lifetime_one_side_does_not_tell_are_the_same_writes() {
    let long = Usage { cache_write_5m: 0, cache_write_1h: 10, ..answers(1, 10) };
    let ledger =
        imported(|s| vec![s.says(1), s.answer("msg_1", 2, 10), cost_state("session", &[(ARN, long)])]);
    assert_eq!((hidden(&ledger), ledger.total().usage.total()), (Usage::default(), answers(1, 10).total()));
    assert!(doctor_is_content(&ledger));
}

// By several processes.

#[test]
fn a_total_does_not_cover_what_was_before_its_start() {
    let ledger = imported(|s| {
        let total = total_from(60, &[(OPUS, answers(1, 40) + output(700))]);
        vec![s.says(1), s.answer("msg_1", 2, 400), s.says(61), s.answer("msg_2", 62, 40), total]
    });
    assert_eq!((hidden(&ledger), ledger.total().usage), (output(700), answers(2, 440) + output(700)));
}

#[test]
fn totals_of_several_processes_add_up_and_of_each_the_last_counts() {
    let lines = |s: &Session| {
        vec![
            s.says(1),
            s.answer("msg_1", 2, 10),
            total_from(0, &[(OPUS, answers(1, 10) + output(500))]),
            s.says(31),
            s.answer("msg_2", 32, 20),
            total_from(0, &[(OPUS, answers(2, 30) + output(700))]),
            // The client was brought up to date, and begins anew; before that one was killed.
            s.says(41),
            s.answer("msg_3", 42, 7_000),
            s.says(61),
            s.answer("msg_4", 62, 40),
            total_from(60, &[(OPUS, answers(1, 40) + output(50))]),
        ]
    };
    let expected = answers(4, 7_070) + output(750);
    let ledger = imported(lines);
    assert_eq!((ledger.total().usage, hidden(&ledger)), (expected, output(750)));
    // Read line by line, too.
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    for line in lines(&session) {
        session.transcript().append(&[line]);
        ledger.import();
    }
    assert_eq!((ledger.total().usage, hidden(&ledger)), (expected, output(750)));
    assert!(doctor_is_content(&ledger));
}

#[test]
fn a_process_that_was_killed_is_in_no_total_of_the_one_that_goes_on_from_the_file() {
    // Seen with 2.1.330: the next process goes on from the total in the file, start and all.
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.answer("msg_1", 2, 10),
            cost_state("session", &[(OPUS, answers(1, 10))]),
            s.says(31),
            s.answer("msg_2", 32, 7_000),
            s.answer("msg_3", 33, 300),
            s.says(61),
            s.answer("msg_4", 62, 40),
            cost_state("session", &[(OPUS, answers(2, 50) + output(600))]),
        ]
    });
    assert_eq!((hidden(&ledger), ledger.total().usage), (output(600), answers(4, 7_350) + output(600)));
    assert!(doctor_is_content(&ledger));
}

#[test]
fn two_processes_at_once_are_both_covered() {
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.answer("msg_1", 2, 10),
            s.says(30),
            s.answer("msg_2", 32, 20),
            s.answer("msg_3", 33, 30),
            total_from(29, &[(OPUS, answers(1, 20) + output(5))]),
            total_from(0, &[(OPUS, answers(2, 40) + output(7))]),
        ]
    });
    assert_eq!((hidden(&ledger), ledger.total().usage), (output(12), answers(3, 60) + output(12)));
    assert!(doctor_is_content(&ledger));
}

#[test]
fn a_start_after_the_last_line_covers_no_line_unless_the_clock_was_set_back() {
    let titles = Usage { input: 300, ..output(20) };
    for (second, expected) in [(titles, titles), (answers(1, 10) + titles, titles)] {
        let ledger =
            imported(|s| vec![s.says(1), s.answer("msg_1", 2, 10), total_from(600, &[(OPUS, second)])]);
        assert_eq!((hidden(&ledger), ledger.total().usage), (expected, answers(1, 10) + expected));
    }
}

// Over several days.

/// A session of two days with a total each evening; what came of it by day.
fn two_days(s: &Session) -> [Vec<Value>; 2] {
    let next_day = |line: Value, time: &str| line.with("timestamp", format!("2099-11-23T{time}.000Z"));
    [
        vec![
            s.says(1),
            s.answer("msg_1", 2, 40),
            cost_state("session", &[(OPUS, answers(1, 40) + output(790))]),
        ],
        vec![
            next_day(s.says(3), "09:00:01"),
            next_day(s.answer("msg_2", 4, 50), "09:00:05"),
            cost_state("session", &[(OPUS, answers(2, 90) + output(800))]),
        ],
    ]
}

#[test]
fn what_was_hidden_by_monday_stays_mondays() {
    let expected =
        [("2099-11-22", answers(1, 40) + output(790)), ("2099-11-23", answers(1, 50) + output(10))];
    let by_day = |ledger: &Ledger| {
        let bill = ledger.cost_by("day");
        expected.map(|(day, _)| (day, bill.find(day).map_or(Usage::default(), |row| row.usage)))
    };
    assert_eq!(by_day(&imported(|s| two_days(s).concat())), expected);
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "session");
    let [monday, tuesday] = two_days(&s);
    s.transcript().write(&monday);
    ledger.hook(s.start()).hook(s.end());
    assert_eq!(by_day(&ledger)[0], expected[0]);
    s.transcript().append(&tuesday);
    ledger.hook(s.end());
    assert_eq!(by_day(&ledger), expected);
}

#[test]
fn what_was_hidden_by_monday_stays_mondays_whatever_tuesday_asks_for() {
    let title = Usage { input: 300, ..output(30) };
    let tuesdays = Usage { input: 1_000, ..answers(1, 50) };
    // The second day has another alias, or the model's very name; and its titles have Monday's or Tuesday's.
    for (second, name_of_titles) in
        [("gateway", None), (OPUS, None), ("gateway", Some(ARN)), (OPUS, Some(OPUS))]
    {
        let ledger = imported(|s| {
            let [first, last] = two_days(s);
            let monday = answers(1, 40) + title;
            let more = |name: &str| if name_of_titles == Some(name) { title } else { Usage::default() };
            let next = last[1].clone().with("message.usage.input_tokens", 1_000);
            let early = cost_state("session", &[(ARN, monday)]);
            let late = cost_state("session", &[(ARN, monday + more(ARN)), (second, tuesdays + more(second))]);
            [&first[..2], &[early], &last[..1], &[next, late]].concat()
        });
        let late = if name_of_titles.is_some() { title } else { Usage::default() };
        let bill = ledger.cost_by("day");
        assert_eq!(bill.row("2099-11-22").usage, answers(1, 40) + title, "{second}");
        assert_eq!(bill.row("2099-11-23").usage, tuesdays + late, "{second}");
    }
}

#[test]
fn a_line_that_was_counted_before_it_was_written_is_never_hidden() {
    // The first total has the answer of an agent already whose line comes with the next day's.
    let ledger = imported(|s| {
        let [first, second] = two_days(s);
        let early = cost_state("session", &[(OPUS, answers(2, 90) + output(500))]);
        let late = cost_state("session", &[(OPUS, answers(2, 90) + output(510))]);
        [&first[..2], &[early], &second[..2], &[late]].concat()
    });
    assert_eq!((hidden(&ledger), ledger.total().usage), (output(510), answers(2, 90) + output(510)));
}

// What changes the price.

#[test]
fn hidden_calls_keep_the_region_and_the_mode_of_the_sessions_lines() {
    type Change = fn(Value) -> Value;
    let same: Change = |line| line;
    let fast: Change = |line| line.with("message.usage.speed", "fast");
    let us: Change = |line| line.with("message.usage.inference_geo", "us");
    for (model, asked, change, percent) in [
        (OPUS, OPUS, same, 100),
        ("us.anthropic.claude-opus-5-5-v1", "us.anthropic.claude-opus-5-5-v1", same, 110),
        ("us.anthropic.claude-opus-5-5-v1", "claude-opus-5-5[1m]", same, 110),
        ("us.anthropic.claude-opus-5-5-v1", ARN, same, 110),
        (OPUS, OPUS, fast, 200),
        (OPUS, ARN, us, 110),
    ] {
        let ledger = imported(|s| {
            let line = change(answer_of(s, model, "msg_1", 2, 10));
            vec![s.says(1), line, cost_state("session", &[(asked, answers(1, 10) + output(500))])]
        });
        let hidden = ledger.actual("session").hidden;
        assert_eq!(
            (hidden.usage, hidden.pico),
            (output(500), Some(500 * 20 * MICRO * percent / 100)),
            "{model} {asked}"
        );
    }
}

#[test]
fn hidden_calls_of_a_regional_name_without_lines_are_regional() {
    let ledger = imported(|s| {
        let titles = ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", output(100));
        vec![s.says(1), s.answer("msg_1", 2, 10), cost_state("session", &[(OPUS, answers(1, 10)), titles])]
    });
    assert_eq!(ledger.actual("session").hidden.pico, Some(100 * 5 * MICRO * 110 / 100));
}

// Several requests in one response.

/// `usage.iterations`: the kind of each, its input, what it read and wrote.
fn iterations(parts: &[(&str, u64, u64, u64)]) -> Value {
    let part = |(kind, input, read, output): &(&str, u64, u64, u64)| {
        json!({ "type": kind, "input_tokens": input, "cache_read_input_tokens": read, "output_tokens": output,
            "cache_creation_input_tokens": 0 })
    };
    parts.iter().map(part).collect()
}

/// An answer of Haiku 5.5 that took these requests, with the usage that the client writes beside them.
fn haiku(s: &Session, parts: &[(&str, u64, u64, u64)]) -> Value {
    let own = parts.iter().filter(|(kind, ..)| *kind == "message");
    let [input, read, output] =
        own.fold([0; 3], |sum, part| [sum[0] + part.1, sum[1] + part.2, sum[2] + part.3]);
    answer_of(s, "claude-haiku-5-5", "msg_1", 2, output)
        .with("message.usage.input_tokens", input)
        .with("message.usage.cache_read_input_tokens", read)
        .with("message.usage.cache_creation_input_tokens", 0)
        .with("message.usage.iterations", iterations(parts))
}

/// What a request costs on Haiku 5.5: $0.10 in, $0.50 out, $0.01 read; five times that with a prompt of over 100,000.
fn on_haiku((_, input, read, output): (&str, u64, u64, u64)) -> i128 {
    let factor = if input + read > 100_000 { 5 } else { 1 };
    (i128::from(input) * 10 + i128::from(output) * 50 + i128::from(read)) * factor * MICRO / 100
}

#[test]
fn two_requests_of_60_000_are_not_one_of_120_000() {
    let short = [("message", 500, 59_500, 100), ("message", 700, 60_300, 200)];
    let both = [("message", 500, 59_500, 100), ("message", 700, 120_300, 200)];
    let compacted = [("compaction", 900, 130_000, 1_000), ("message", 300, 20_000, 200)];
    for parts in [short, both, compacted] {
        let ledger = imported(|s| vec![s.says(1), haiku(s, &parts)]);
        let total = ledger.total();
        let cost: i128 = parts.into_iter().map(on_haiku).sum();
        assert_eq!((total.pico, total.responses), (Some(cost), 1), "{parts:?}");
        let tokens: u64 = parts.iter().map(|part| part.1 + part.2 + part.3).sum();
        assert_eq!(total.usage.total(), tokens, "{parts:?}");
        // Shared out by origin, exported and priced anew it is the same.
        for by in ["tool", "step", "skill"] {
            assert_eq!(ledger.cost_by(by).total.pico, Some(cost), "{parts:?} by {by}");
        }
        let exported = ledger.run(&["export", "--what", "responses"]).json();
        let dollars = exported["responses"][0]["cost_usd"].to_string();
        assert_eq!(dollars.parse::<f64>().unwrap(), cost as f64 / 1e12, "{parts:?}");
        // The context that is left is that of the last request.
        let context =
            ledger.run(&["show-usage", "--session", "session", "--json"]).json()["context"]["tokens"].clone();
        assert_eq!(context, parts[1].1 + parts[1].2 + parts[1].3, "{parts:?}");
    }
}

#[test]
fn iterations_come_through_a_ledger_that_is_priced_anew() {
    let parts = [("message", 500, 59_500, 100), ("message", 700, 60_300, 200)];
    let ledger = imported(|s| vec![s.says(1), haiku(s, &parts)]);
    ledger.sqlite().execute("UPDATE meta SET value = 0 WHERE name = 'price_version'", []).unwrap();
    assert_eq!(ledger.total().pico, Some(parts.into_iter().map(on_haiku).sum()));
}

#[test]
fn a_compaction_on_the_server_is_not_in_the_clients_total_and_hides_nothing() {
    let parts = [("compaction", 900, 80_000, 1_000), ("message", 300, 20_000, 200)];
    let ledger = imported(|s| {
        let client = Usage { input: 300, cache_read: 20_000, ..output(200) };
        vec![s.says(1), haiku(s, &parts), cost_state("session", &[("claude-haiku-5-5", client + output(30))])]
    });
    assert_eq!(hidden(&ledger), output(30));
    assert_eq!(ledger.total().usage.total(), 82_000 - 100 + 20_500 + 30);
    assert!(doctor_is_content(&ledger));
}

#[test]
fn an_advisor_is_counted_under_its_own_name_and_behind_no_other() {
    let parts = json!([
        { "type": "message", "input_tokens": 3, "output_tokens": 10, "cache_read_input_tokens": 100,
          "cache_creation_input_tokens": 10 },
        { "type": "advisor_message", "model": "claude-fable-5", "input_tokens": 40, "output_tokens": 200 },
    ]);
    let advice = Usage { input: 40, ..output(200) };
    let more = Usage { input: 900, ..output(800) };
    for (told, hidden_calls) in [
        (vec![(OPUS, answers(1, 10) + more)], more),
        (vec![(OPUS, answers(1, 10)), ("claude-fable-5", advice + more)], more),
    ] {
        let ledger = imported(|s| {
            let line = s.answer("msg_1", 2, 10).with("message.usage.iterations", parts.clone());
            vec![s.says(1), line, cost_state("session", &told)]
        });
        assert_eq!((hidden(&ledger), ledger.total().usage), (hidden_calls, answers(1, 10) + advice + more));
        assert!(doctor_is_content(&ledger));
    }
}

#[test]
fn an_attempt_that_was_declined_is_billed_under_its_own_model_and_is_in_no_total_of_the_clients() {
    let parts = json!([
        { "type": "message", "model": "claude-fable-5", "input_tokens": 900, "output_tokens": 30 },
        { "type": "fallback_message", "model": OPUS, "input_tokens": 3, "output_tokens": 10,
          "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10 },
    ]);
    let ledger = imported(|s| {
        let line = s.answer("msg_1", 2, 10).with("message.usage.iterations", parts);
        vec![s.says(1), line, cost_state("session", &[("claude-fable-5", answers(1, 10))])]
    });
    assert_eq!(hidden(&ledger), Usage::default());
    let bill = ledger.cost_by("model");
    assert_eq!(bill.row("claude-fable-5").usage, Usage { input: 900, ..output(30) });
    assert_eq!(bill.row(OPUS).usage, answers(1, 10));
    assert!(doctor_is_content(&ledger));
}

#[test]
fn totals_and_iterations_come_out_the_same_in_whatever_pieces_they_are_read() {
    let from = Ledger::new();
    let s = Session::new(&from, "session");
    let [first, second] = two_days(&s);
    let parts = [("compaction", 900, 130_000, 1_000), ("message", 300, 20_000, 200)];
    let early = [s.says(0), haiku(&s, &parts).with("message.id", "msg_0").with("timestamp", at(0))];
    s.transcript().write(&early).append(&first).append(&second);
    from.import();
    for seed in 0..4 {
        let ledger = Ledger::new();
        for percent in [20, 45, 70, 100] {
            ledger.import_in_pieces(&from.projects(), seed, percent);
        }
        assert_eq!(ledger.cost_by("day").by_key(), from.cost_by("day").by_key(), "{seed}");
        assert_eq!(ledger.total(), from.total(), "{seed}");
    }
}
