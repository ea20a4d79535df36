//! Where other counters went wrong (`docs/facts.md#known-mistakes`): for each mistake a log of a few lines whose numbers
//! are chosen so that the mistake gives another total, imported by the real program and asked back to the pico-dollar.

use serde_json::{Value, json};
use tallyhook::domain::Usage;

use crate::bill::{MICRO, OPUS, Row, SEARCH, cost_state, on_opus};
use crate::support::{Ledger, Session, With, answers, at};

/// Usage of nothing but output.
fn output(tokens: u64) -> Usage {
    Usage { output: tokens, ..Usage::default() }
}

/// A ledger and a session in it.
fn session() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    (ledger, session)
}

/// The ledger after the import of one transcript.
fn imported(lines: impl FnOnce(&Session) -> Vec<Value>) -> Ledger {
    let (ledger, session) = session();
    session.transcript().write(&lines(&session));
    ledger.import();
    ledger
}

/// Fails with the mistake's name, where a figure is that of a known one.
#[track_caller]
fn assert_figure(found: i128, right: i128, mistakes: &[(&str, i128)]) {
    for (mistake, figure) in mistakes {
        assert_ne!(*figure, right, "the fixture does not show this mistake: {mistake}");
        assert_ne!(found, *figure, "{mistake}; {right} would be right");
    }
    assert_eq!(found, right);
}

/// Fails unless the ledger holds exactly that many [`Session::answer`]s with that much output in all, at the price of
/// Opus 5.5. The mistakes are told by the output they give.
#[track_caller]
fn assert_answers(ledger: &Ledger, responses: u64, output: u64, mistakes: &[(&str, i128)]) {
    assert_usage(&ledger.total(), responses, answers(responses, output), mistakes);
}

#[track_caller]
fn assert_usage(total: &Row, responses: u64, usage: Usage, mistakes: &[(&str, i128)]) {
    assert_figure(total.usage.output.into(), usage.output.into(), mistakes);
    assert_eq!((total.responses, total.usage), (responses, usage));
    assert_eq!(total.pico, Some(on_opus(usage)));
    assert_eq!(total.unpriced_models, Vec::<String>::new());
}

/// Fails unless that is what everything cost, in pico-dollars.
#[track_caller]
fn assert_cost(ledger: &Ledger, pico: i128, mistakes: &[(&str, i128)]) {
    let total = ledger.total();
    assert_eq!(total.unpriced_models, Vec::<String>::new());
    assert_figure(total.pico.unwrap(), pico, mistakes);
}

// One response, many lines.

#[test]
fn the_lines_of_a_response_are_not_summed() {
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.call("msg_1", 2, 300),
            s.call("msg_1", 3, 300),
            s.result(4),
            // Not adjacent.
            s.call("msg_1", 5, 300),
            s.answer("msg_2", 6, 20),
        ]
    });
    assert_answers(&ledger, 2, 320, &[("every line summed", 920), ("adjacent lines merged", 620)]);
}

/// A line of an answer all counts of which were set to 0, as a proxy or a broken stream leaves it. The split of its cache
/// writes stays.
fn zeroed(answer: Value, hour: u64) -> Value {
    answer.with(
        "message.usage",
        json!({ "input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
                "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": hour } }),
    )
}

#[test]
fn a_zeroed_line_beats_no_full_one_and_its_cache_write_is_not_lost() {
    let full = |s: &Session| s.answer("msg_1", 2, 410).with("message.stop_reason", Value::Null);
    let mistakes = [("the line with a stop reason counts", 0)];
    // The full line has no stop reason; whichever comes first, in one reading or two.
    assert_answers(&imported(|s| vec![full(s), zeroed(s.answer("msg_1", 3, 0), 10)]), 1, 410, &mistakes);
    assert_answers(&imported(|s| vec![zeroed(s.answer("msg_1", 1, 0), 10), full(s)]), 1, 410, &mistakes);
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), full(&s)]);
    ledger.hook(s.stop());
    s.transcript().append(&[zeroed(s.answer("msg_1", 3, 0), 10)]);
    ledger.hook(s.stop());
    assert_answers(&ledger, 1, 410, &mistakes);
    // Alone it is what is known of the response, and beside the client's own total nothing of it is hidden.
    let written = Usage { cache_write_1h: 900, ..Usage::default() };
    for total in [None, Some(cost_state("session", &[(OPUS, written)]))] {
        let ledger = imported(|s| [zeroed(s.answer("msg_1", 2, 0), 900)].into_iter().chain(total).collect());
        assert_usage(&ledger.total(), 1, written, &[]);
    }
}

#[test]
fn the_line_with_the_largest_output_counts_and_not_the_first_or_the_last() {
    let ledger = imported(|s| {
        let streamed =
            |second, output| s.call("msg_1", second, output).with("message.stop_reason", Value::Null);
        vec![s.says(1), streamed(2, 8), s.call("msg_1", 3, 300), streamed(4, 31), s.answer("msg_2", 5, 1)]
    });
    let mistakes = [("the first line kept", 9), ("the last line kept", 32), ("every line summed", 340)];
    assert_answers(&ledger, 2, 301, &mistakes);
}

#[test]
fn a_response_without_a_request_id_counts() {
    let ledger = imported(|s| {
        vec![
            s.answer("msg_1", 1, 8).without("requestId"),
            s.answer("msg_1", 2, 40).without("requestId"),
            s.answer("msg_2", 3, 600).with("requestId", Value::Null),
            // Two messages of one request, and a line that is repeated with another one.
            s.answer("msg_3", 4, 1_000).with("requestId", "one"),
            s.answer("msg_4", 5, 5_000).with("requestId", "one"),
            s.answer("msg_5", 6, 20_000).with("requestId", "another"),
            s.answer("msg_5", 6, 20_000).with("requestId", "a third"),
        ]
    });
    let mistakes = [
        ("requestId required", 26_000),
        ("message and request together required", 46_000),
        ("lines without requestId summed", 26_648),
        ("requestId taken for the key", 45_640),
        ("message and request together taken for the key", 46_640),
    ];
    assert_answers(&ledger, 5, 26_640, &mistakes);
}

#[test]
fn a_response_without_an_id_is_known_by_its_request_and_then_by_its_line() {
    let ledger = imported(|s| {
        vec![
            s.answer("a", 1, 10).with("message.id", Value::Null),
            s.answer("a", 2, 30).without("message.id"),
            s.answer("b", 3, 500).without("message.id").without("requestId"),
            s.answer("b", 3, 500).without("message.id").without("requestId"),
            s.answer("c", 4, 7_000).without("message.id").with("requestId", Value::Null),
        ]
    });
    let mistakes =
        [("message.id required", 0), ("every line summed", 8_040), ("no id taken for one id", 7_000)];
    assert_answers(&ledger, 3, 7_530, &mistakes);
}

#[test]
fn synthetic_messages_are_no_responses() {
    let ledger = imported(|s| {
        vec![s.answer("msg_1", 1, 7), s.answer("msg_2", 2, 5_000).with("message.model", "<synthetic>")]
    });
    assert_answers(&ledger, 1, 7, &[("a synthetic message counted", 5_007)]);
}

#[test]
fn usage_of_tool_results_and_in_inputs_does_not_count() {
    let ledger = imported(|s| {
        let noise = json!({
            "type": "assistant", "sessionId": "session", "timestamp": at(9), "isSidechain": false,
            "message": { "id": "msg_9", "model": OPUS, "usage": { "input_tokens": 3, "output_tokens": 900 } },
        });
        vec![
            s.call("msg_1", 1, 7)
                .with("message.content", json!([{ "type": "tool_use", "name": "Write", "input": noise }])),
            s.result(2).with("toolUseResult", noise.clone()),
            s.result(3).with(
                "toolUseResult",
                json!({ "totalTokens": 80_500, "usage": { "output_tokens": 80_000 } }),
            ),
            s.says(4).with("message.content", noise.to_string()),
        ]
    });
    let mistakes = [("toolUseResult.usage counted", 80_007), ("a tool's input or text counted", 907)];
    assert_answers(&ledger, 1, 7, &mistakes);
}

#[test]
fn a_stops_own_usage_which_is_always_zero_does_not_count() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 70)]);
    ledger.hook(s.stop().with("usage", json!({ "input_tokens": 0, "output_tokens": 0 })));
    assert_answers(&ledger, 1, 70, &[("the Stop payload believed", 0)]);
}

// Copies.

#[test]
fn a_message_in_two_files_counts_once() {
    let (ledger, s) = session();
    let lines = [s.says(1), s.answer("msg_1", 2, 10), s.answer("msg_2", 3, 200)];
    s.transcript().write(&lines);
    // The project was moved, and the session went on there.
    let moved = ledger.projects().join("-moved");
    std::fs::create_dir_all(&moved).unwrap();
    std::fs::copy(s.transcript().path(), moved.join("session.jsonl")).unwrap();
    s.transcript().write(&lines[..2]);
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("dedup per file only", 220), ("one file of a session read", 10)]);
}

/// A parent, and its fork whose name sorts before it, whose file starts later and repeats the first answers.
fn parent_and_fork(ledger: &Ledger) -> [Session; 2] {
    let (parent, fork) = (Session::new(ledger, "parent"), Session::new(ledger, "fork"));
    let common = [parent.says(1), parent.answer("msg_1", 2, 10), parent.call("msg_2", 3, 200)];
    parent.transcript().write(&common).append(&[parent.says(90), parent.answer("msg_3", 91, 3_000)]);
    let note = json!({ "type": "queue-operation", "timestamp": at(60), "sessionId": "fork" });
    let copies = common.map(|line| line.with("sessionId", "fork"));
    fork.transcript()
        .write(&[note])
        .append(&copies)
        .append(&[fork.says(61), fork.answer("msg_4", 62, 40_000)]);
    [parent, fork]
}

#[test]
fn a_forks_copies_count_once_and_for_the_parent() {
    let ledger = Ledger::new();
    parent_and_fork(&ledger);
    ledger.import();
    assert_answers(
        &ledger,
        4,
        43_210,
        &[("the fork's copies counted", 43_420), ("the fork left out", 3_210)],
    );
    let sessions = ledger.cost_by("session");
    let of = |session: &str| (sessions.row(session).responses, sessions.row(session).usage);
    assert_eq!(of("parent"), (3, answers(3, 3_210)));
    assert_eq!(of("fork"), (1, answers(1, 40_000)));
    assert_eq!(sessions.total.sessions, 2);
}

#[test]
fn a_side_question_adds_only_its_own_answer() {
    let (ledger, s) = session();
    let main = [s.says(1), s.answer("msg_1", 2, 10), s.answer("msg_2", 3, 200)];
    // `/btw` repeats the conversation in a sidechain, with new request ids, and starts its file later.
    let replay = |line: &Value| {
        line.clone().with("isSidechain", true).with("agentId", "aside").with("requestId", "another")
    };
    s.transcript().write(&main);
    s.subagent("subagents", "aside")
        .write(&main.each_ref().map(replay))
        .append(&[s.answer_of("aside", "msg_3", 4, 5_000)]);
    ledger.import();
    let mistakes = [("/btw counted twice", 5_420), ("/btw left out", 210)];
    assert_answers(&ledger, 3, 5_210, &mistakes);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(2, 210));
}

#[test]
fn a_sidechain_in_the_main_file_that_repeats_it_adds_only_its_own_answer() {
    let ledger = imported(|s| {
        let replay = |line: Value| line.with("isSidechain", true).with("requestId", "another");
        vec![
            s.answer("msg_1", 1, 10),
            s.answer("msg_2", 2, 200),
            replay(s.answer("msg_1", 1, 10)),
            replay(s.answer("msg_2", 2, 200)),
            replay(s.answer("msg_3", 3, 5_000)),
        ]
    });
    let mistakes = [("requestId taken for the key", 5_420), ("sidechains left out", 210)];
    assert_answers(&ledger, 3, 5_210, &mistakes);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(2, 210));
}

// Subagents.

#[test]
fn a_subagent_in_the_sessions_folder_counts() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 200)]).meta("Explore");
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("subagents missed", 10)]);
    assert_eq!(ledger.cost_by("session").row("session").usage, answers(2, 210));
    assert_eq!(ledger.cost_by("agent").row("Explore").usage, answers(1, 200));
}

#[test]
fn a_subagent_counts_however_deep_it_lies() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 200)]);
    s.subagent("subagents/workflows", "a2").write(&[s.answer_of("a2", "msg_3", 4, 3_000)]);
    s.subagent("subagents/workflows/wf_1/agent-a2/subagents", "a3")
        .write(&[s.answer_of("a3", "msg_4", 5, 40_000)]);
    ledger.import();
    let mistakes = [("subagents missed", 10), ("one level read", 210), ("two levels read", 3_210)];
    assert_answers(&ledger, 4, 43_210, &mistakes);
    assert_eq!(ledger.cost_by("session").row("session").responses, 4);
}

#[test]
fn a_subagent_of_an_old_client_beside_the_main_file_counts_for_its_session() {
    let (ledger, s) = session();
    let old = |line: Value| line.with("version", "2.0.40");
    s.transcript().write(&[old(s.says(1)), old(s.answer("msg_1", 2, 10))]);
    let flat = s.subagent("subagents", "a1");
    flat.write(&[old(s.answer_of("a1", "msg_2", 3, 200))]);
    std::fs::rename(flat.path(), s.transcript().path().with_file_name("agent-a1.jsonl")).unwrap();
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("flat subagents missed", 10)]);
    let sessions = ledger.cost_by("session");
    assert_eq!(sessions.row("session").usage, answers(2, 210));
    assert_eq!(sessions.total.sessions, 1);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
}

#[test]
fn a_subagent_whose_main_file_is_gone_counts() {
    let (ledger, s) = session();
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_1", 3, 200)]);
    Session::new(&ledger, "other")
        .transcript()
        .write(&[s.answer("msg_2", 4, 3_000).with("sessionId", "other")]);
    ledger.import();
    assert_answers(&ledger, 2, 3_200, &[("subagents only read beside their main file", 3_000)]);
    assert_eq!(ledger.cost_by("session").row("session").usage, answers(1, 200));
}

#[test]
fn a_first_import_stores_each_of_many_responses() {
    // Sixteen go into one statement.
    let ledger = imported(|s| {
        let answer = |number: u32| s.answer(&format!("msg_{number:02}"), number, 10 * u64::from(number));
        (1..=40).map(answer).collect()
    });
    assert_answers(
        &ledger,
        40,
        8_200,
        &[("only whole statements", 5_280), ("only what is left over", 2_920)],
    );
    ledger.import();
    assert_eq!(ledger.responses_of_all(), 40);
}

#[test]
fn an_echo_of_a_subagents_message_is_no_second_one() {
    let (ledger, s) = session();
    s.transcript().write(&[
        s.says(1),
        s.call("msg_1", 2, 10),
        s.echo_of("a1", "msg_2", 3, 5),
        s.echo_of("a1", "msg_2", 4, 200),
        // And one of what stands in the main conversation.
        s.echo_of("a1", "msg_1", 5, 10),
    ]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 200)]).meta("Explore");
    ledger.import();
    assert_answers(
        &ledger,
        2,
        210,
        &[("echoes counted besides", 425), ("one of each echo counted besides", 420)],
    );
    assert_eq!(ledger.cost_by("agent").row("Explore").usage, answers(1, 200));
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
}

#[test]
fn an_echo_counts_where_the_subagents_own_file_is_missing() {
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.call("msg_1", 2, 10),
            s.echo_of("a1", "msg_2", 3, 5),
            s.echo_of("a1", "msg_2", 4, 200),
            s.echo_of("a2", "msg_3", 5, 3_000),
        ]
    });
    let mistakes = [("echoes left out", 10), ("every echo summed", 3_215), ("the first echo kept", 3_015)];
    assert_answers(&ledger, 3, 3_210, &mistakes);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
}

// Prices.

/// The ledger after the import of one answer of a model at a time, with nothing but this usage.
fn priced(model: &str, time: &str, usage: Value) -> Ledger {
    imported(|s| {
        let answer = s.answer("msg_1", 1, 0).with("message.model", model).with("timestamp", time);
        vec![answer.with("message.usage", usage)]
    })
}

#[test]
fn an_hours_cache_write_costs_more_than_that_of_five_minutes() {
    let writes = json!({
        "cache_creation_input_tokens": 1_010,
        "cache_creation": { "ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 1_000 },
    });
    let ledger = priced(OPUS, &at(1), writes);
    let mistakes = [
        ("1 h writes at the 5 m price", 5_050 * MICRO),
        ("5 m writes at the 1 h price", 8_080 * MICRO),
        ("the sum and its parts counted", 13_100 * MICRO),
        ("writes at the price of input", 4_040 * MICRO),
    ];
    assert_cost(&ledger, 8_050 * MICRO, &mistakes);
}

#[test]
fn writes_without_a_split_and_those_that_it_leaves_out_last_five_minutes() {
    let unsplit = priced(OPUS, &at(1), json!({ "cache_creation_input_tokens": 1_000 }));
    assert_cost(&unsplit, 5_000 * MICRO, &[("taken for 1 h", 8_000 * MICRO), ("writes lost", 0)]);
    let partly = json!({
        "cache_creation_input_tokens": 1_000,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300 },
    });
    let mistakes = [("the split believed", 2_400 * MICRO), ("all taken for 1 h", 8_000 * MICRO)];
    assert_cost(&priced(OPUS, &at(1), partly), (2_400 + 3_500) * MICRO, &mistakes);
}

#[test]
fn cache_reads_have_a_price_of_their_own() {
    // A tenth of the input's price is the rule, but not for these.
    for (model, pico) in [
        (OPUS, 200_000),
        ("claude-sonnet-5-5", 100_000),
        ("claude-fable-5-1", 250_000),
        ("claude-opus-4-5", 500_000),
    ] {
        let ledger = priced(model, "2026-11-20T10:00:00Z", json!({ "cache_read_input_tokens": 1_000 }));
        assert_cost(&ledger, 1_000 * pico, &[]);
    }
}

#[test]
fn a_model_without_a_price_is_unknown_and_not_free() {
    let (ledger, s) = session();
    let house = |message: &str| s.answer(message, 1, 10).with("message.model", "house-model-1");
    s.transcript().write(&[house("msg_1")]);
    ledger.import();
    let total = ledger.total();
    assert_eq!((total.usage, total.pico), (answers(1, 10), None), "unknown shown as a sum");
    assert_eq!(total.unpriced_models, ["house-model-1"]);

    s.transcript().append(&[s.answer("msg_2", 2, 200)]);
    ledger.import();
    let total = ledger.total();
    assert_eq!((total.usage, total.pico), (answers(2, 210), Some(on_opus(answers(1, 200)))));
    assert_eq!(total.unpriced_models, ["house-model-1"]);
    let models = ledger.cost_by("model");
    assert_eq!((models.row("house-model-1").pico, models.row(OPUS).unpriced_models.len()), (None, 0));
}

#[test]
fn all_names_of_a_model_have_its_price() {
    for name in [
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-5@20250929",
        "anthropic/claude-sonnet-4.5",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ] {
        let ledger = priced(name, "2026-01-10T10:00:00Z", json!({ "input_tokens": 7, "output_tokens": 1 }));
        assert_cost(&ledger, (7 * 3 + 15) * MICRO, &[("unknown", 0)]);
    }
}

#[test]
fn a_long_prompt_puts_the_whole_request_on_the_higher_price() {
    // What is read from the cache and written to it belongs to the prompt.
    let prompt = |input: u64| {
        json!({
            "input_tokens": input, "cache_read_input_tokens": 150_000, "cache_creation_input_tokens": 50_000,
            "output_tokens": 10,
        })
    };
    let day = "2026-01-10T10:00:00Z";
    let low = 150_000 * 3 * MICRO / 10 + 50_000 * 15 * MICRO / 4 + 150 * MICRO;
    assert_cost(&priced("claude-sonnet-4-5", day, prompt(0)), low, &[]);
    let high = 6 * MICRO + 150_000 * 6 * MICRO / 10 + 50_000 * 15 * MICRO / 2 + 225 * MICRO;
    let mistakes =
        [("the tier ignored", low + 3 * MICRO), ("only what is above at the higher price", low + 6 * MICRO)];
    assert_cost(&priced("claude-sonnet-4-5", day, prompt(1)), high, &mistakes);
    // A sum of short requests is no long one.
    let short = imported(|s| {
        let answer = |message: &str| s.answer(message, 1, 0).with("message.model", "claude-sonnet-4-5");
        ["msg_1", "msg_2"].map(|message| answer(message).with("message.usage", prompt(0))).to_vec()
    });
    assert_cost(&short, 2 * low, &[]);
    // Haiku 5.5 has its threshold at half of it and another factor.
    let haiku =
        |tokens: u64| priced("claude-haiku-5-5", "2026-11-10T10:00:00Z", json!({ "input_tokens": tokens }));
    assert_cost(&haiku(100_000), 10_000 * MICRO, &[]);
    assert_cost(&haiku(100_001), 100_001 * MICRO / 2, &[("the tier ignored", 100_001 * MICRO / 10)]);
}

#[test]
fn a_price_holds_from_its_day_on() {
    let read = |time| priced("claude-sonnet-5-5", time, json!({ "cache_read_input_tokens": 1_000 }));
    assert_cost(&read("2026-10-06T23:59:59.999Z"), 200 * MICRO, &[("the price of today", 100 * MICRO)]);
    assert_cost(&read("2026-10-07T00:00:00.000Z"), 100 * MICRO, &[("the first price", 200 * MICRO)]);
    // Opus 4.6 had a higher price for long prompts until then.
    let long = |time| priced("claude-opus-4-6", time, json!({ "input_tokens": 200_001 }));
    assert_cost(
        &long("2026-03-12T23:59:59.999Z"),
        2_000_010 * MICRO,
        &[("the tier ignored", 1_000_005 * MICRO)],
    );
    assert_cost(
        &long("2026-03-13T00:00:00.000Z"),
        1_000_005 * MICRO,
        &[("the tier kept", 2_000_010 * MICRO)],
    );
}

#[test]
fn fast_mode_and_inference_in_the_us_cost_more_and_searches_as_before() {
    let usage = |name: &str, value: &str| {
        let usage = json!({ "input_tokens": 10, "server_tool_use": { "web_search_requests": 1 } });
        usage.with(name, value)
    };
    let cost = |model, time, usage| priced(model, time, usage);
    let (spring, autumn) = ("2026-04-10T10:00:00Z", "2026-11-10T10:00:00Z");
    let fast = || usage("speed", "fast");
    assert_cost(
        &cost(OPUS, autumn, fast()),
        80 * MICRO + SEARCH,
        &[("fast mode ignored", 40 * MICRO + SEARCH), ("the search made dearer", 80 * MICRO + 2 * SEARCH)],
    );
    assert_cost(
        &cost("claude-opus-4-6", spring, fast()),
        300 * MICRO + SEARCH,
        &[("fast mode ignored", 50 * MICRO + SEARCH), ("another model's factor", 100 * MICRO + SEARCH)],
    );
    assert_cost(&cost(OPUS, autumn, usage("speed", "standard")), 40 * MICRO + SEARCH, &[]);
    let us = || usage("inference_geo", "us");
    assert_cost(&cost(OPUS, autumn, us()), 44 * MICRO + SEARCH, &[("the US ignored", 40 * MICRO + SEARCH)]);
    assert_cost(&cost("claude-opus-4-5", spring, us()), 50 * MICRO + SEARCH, &[]);
    assert_cost(&cost(OPUS, autumn, usage("inference_geo", "not_available")), 40 * MICRO + SEARCH, &[]);
}

#[test]
fn each_web_search_costs_a_cent() {
    let tools = json!({ "web_search_requests": 3, "web_fetch_requests": 5 });
    let ledger = priced(OPUS, &at(1), json!({ "output_tokens": 1, "server_tool_use": tools }));
    let mistakes = [("searches ignored", 20 * MICRO), ("fetches charged", 20 * MICRO + 8 * SEARCH)];
    assert_cost(&ledger, 20 * MICRO + 3 * SEARCH, &mistakes);
    assert_eq!(ledger.total().usage.web_searches, 3);
}

#[test]
fn an_advisor_is_billed_besides_under_its_own_model() {
    let answer = |s: &Session| {
        let iterations = json!([
            { "type": "message", "input_tokens": 3, "output_tokens": 7 },
            { "type": "advisor_message", "model": "claude-fable-5", "input_tokens": 40, "output_tokens": 200 },
            { "type": "fallback_message", "model": "claude-opus-4-6", "input_tokens": 900, "output_tokens": 5_000 },
        ]);
        s.answer("msg_1", 1, 7).with("message.usage.iterations", iterations)
    };
    let ledger = imported(|s| vec![answer(s), answer(s)]);
    let (own, advisor) = (on_opus(answers(1, 7)), (40 * 10 + 200 * 50) * MICRO);
    let mistakes = [
        ("advisors missed", own),
        ("the advisor at the main model's price", own + (40 * 4 + 200 * 20) * MICRO),
        ("a fallback that failed billed", own + advisor + (900 * 5 + 5_000 * 25) * MICRO),
        ("the advisor of every line summed", own + 2 * advisor),
        ("the message's own iteration billed besides", own + advisor + (3 * 4 + 7 * 20) * MICRO),
    ];
    assert_cost(&ledger, own + advisor, &mistakes);
    let usage = answers(1, 7) + Usage { input: 40, output: 200, ..Usage::default() };
    assert_eq!(ledger.total().usage, usage);
    assert_eq!(ledger.cost_by("model").row("claude-fable-5").pico, Some(advisor));
}

#[test]
fn what_a_log_leaves_out_stands_beside_the_total() {
    // 400 tokens of text in cl100k at the very least, and the stream's start value beside it.
    let text = "one two three four five six seven eight nine ten ".repeat(40);
    let ledger = imported(|s| {
        let streamed =
            s.answer("msg_1", 1, 2).with("version", "2.1.50").with("message.stop_reason", Value::Null);
        vec![
            streamed.with("message.content", json!([{ "type": "text", "text": text }])),
            s.answer("msg_2", 2, 10),
        ]
    });
    assert_answers(&ledger, 2, 12, &[]);
    let shortfall = ledger.actual("session").output_shortfall;
    assert_eq!(shortfall.responses, 1);
    assert!((400..600).contains(&shortfall.tokens), "{shortfall:?}");
    assert_eq!(shortfall.pico, Some(i128::from(shortfall.tokens) * 20 * MICRO));
}

// The client's own totals.

#[test]
fn hidden_calls_are_in_the_total_and_beside_it() {
    let ledger = imported(|s| {
        let hidden = Usage { input: 7, cache_read: 50, cache_write_1h: 6, web_searches: 1, ..output(5_000) };
        vec![s.says(1), s.answer("msg_1", 2, 10), cost_state("session", &[(OPUS, answers(1, 10) + hidden)])]
    });
    let hidden = Usage { input: 7, cache_read: 50, cache_write_1h: 6, web_searches: 1, ..output(5_000) };
    let mistakes = [("cost-state ignored", 10), ("cost-state added to the lines", 5_020)];
    assert_usage(&ledger.total(), 1, answers(1, 10) + hidden, &mistakes);
    let actual = ledger.actual("session");
    assert_eq!((actual.hidden.usage, actual.hidden.pico), (hidden, Some(on_opus(hidden))));
    assert_eq!(ledger.cost_by("agent").row("(hidden)").usage, hidden);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
}

#[test]
fn hidden_calls_of_a_model_that_no_line_shows_count() {
    let ledger = imported(|s| {
        let titles = Usage { input: 300, ..output(20) };
        let state = cost_state("session", &[(OPUS, answers(1, 10)), ("claude-haiku-4-5-20251001", titles)]);
        vec![s.says(1), s.answer("msg_1", 2, 10), state]
    });
    let own = on_opus(answers(1, 10));
    assert_cost(&ledger, own + (300 + 100) * MICRO, &[("models without a line ignored", own)]);
}

#[test]
fn hidden_calls_of_a_model_without_a_price_are_not_free() {
    let ledger = imported(|s| {
        let state = cost_state("session", &[(OPUS, answers(1, 10)), ("house-model-1", output(500))]);
        vec![s.says(1), s.answer("msg_1", 2, 10), state]
    });
    let total = ledger.total();
    assert_eq!((total.usage, total.pico), (answers(1, 10) + output(500), Some(on_opus(answers(1, 10)))));
    assert_eq!(total.unpriced_models, ["house-model-1"]);
}

#[test]
fn another_name_of_a_model_in_the_clients_total_is_no_other_model() {
    let ledger = imported(|s| {
        let answer = s.answer("msg_1", 2, 10).with("message.model", "claude-haiku-4-5-20251001");
        vec![s.says(1), answer, cost_state("session", &[("claude-haiku-4-5", answers(1, 10))])]
    });
    let total = ledger.total();
    assert_eq!((total.usage, total.responses), (answers(1, 10), 1));
    assert_eq!(ledger.actual("session").hidden.usage, Usage::default());
}

#[test]
fn the_last_total_of_a_resumed_session_counts_alone() {
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.answer("msg_1", 2, 10),
            cost_state("session", &[(OPUS, answers(1, 10) + output(500))]),
            s.says(61),
            s.answer("msg_2", 62, 200),
            cost_state("session", &[(OPUS, answers(2, 210) + output(7_500))]),
            cost_state("session", &[(OPUS, answers(2, 210) + output(7_500))]),
        ]
    });
    let mistakes = [
        ("cumulative rows summed", 510 + 7_710 + 7_710),
        ("the first row kept", 710),
        ("the hidden calls of each row summed", 210 + 500 + 7_500 + 7_500),
        ("cost-state ignored", 210),
    ];
    assert_usage(&ledger.total(), 2, answers(2, 210) + output(7_500), &mistakes);
}

#[test]
fn the_total_of_a_resumed_session_does_not_start_again() {
    let (ledger, s) = session();
    let first = cost_state("session", &[(OPUS, answers(1, 10) + output(500))]);
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10), first]);
    ledger.import();
    let second = cost_state("session", &[(OPUS, answers(2, 210) + output(7_500))]);
    s.transcript().append(&[s.says(61), s.answer("msg_2", 62, 200), second]);
    ledger.import();
    let mistakes = [
        ("only what came after", 7_200),
        ("the first total kept", 710),
        ("both totals", 510 + 7_710),
        ("hidden calls of the first time added again", 8_210),
    ];
    assert_usage(&ledger.total(), 2, answers(2, 210) + output(7_500), &mistakes);
}

#[test]
fn hidden_calls_stay_known_when_a_resumed_session_ends_without_a_total() {
    let ledger = imported(|s| {
        vec![
            s.says(1),
            s.answer("msg_1", 2, 10),
            cost_state("session", &[(OPUS, answers(1, 10) + output(500))]),
            // Resumed, and killed.
            s.says(61),
            s.answer("msg_2", 62, 7_000),
        ]
    });
    let mistakes =
        [("younger lines taken off an older total", 7_010), ("lines after the total ignored", 510)];
    assert_usage(&ledger.total(), 2, answers(2, 7_010) + output(500), &mistakes);
}

#[test]
fn a_side_question_after_a_resume_is_not_taken_off_the_older_total() {
    let (ledger, s) = session();
    let total = cost_state("session", &[(OPUS, answers(1, 10) + output(500))]);
    // Resumed, asked aside, and killed.
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10), total, s.says(61)]);
    s.subagent("subagents", "aside").write(&[s.answer_of("aside", "msg_2", 62, 7_000)]);
    ledger.import();
    let mistakes = [("the younger answer taken off the older total", 7_010)];
    assert_usage(&ledger.total(), 2, answers(2, 7_010) + output(500), &mistakes);
}

#[test]
fn an_answer_of_a_background_agent_after_the_last_dated_line_is_not_hidden() {
    let (ledger, s) = session();
    // The agent runs on after the main conversation's last line; then the client ends and writes its total.
    let all = answers(2, 7_010) + output(500);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), cost_state("session", &[(OPUS, all)])]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 30, 7_000)]);
    ledger.import();
    let mistakes = [("the agent's answer counted as hidden too", 14_510)];
    assert_usage(&ledger.total(), 2, all, &mistakes);
    assert_eq!(ledger.actual("session").hidden.usage, output(500));
}

/// The totals of a fork and its parent, see [`parent_and_fork`], after both have ended.
fn fork_with_totals(ledger: &Ledger) {
    let [parent, fork] = parent_and_fork(ledger);
    // When the fork was made the parent had ended once, with 500 hidden; later it went on, with 3 more.
    let common: Vec<Value> =
        vec![parent.says(1), parent.answer("msg_1", 2, 10), parent.call("msg_2", 3, 200)];
    parent
        .transcript()
        .write(&common)
        .append(&[cost_state("parent", &[(OPUS, answers(2, 210) + output(500))])])
        .append(&[parent.says(90), parent.answer("msg_3", 91, 3_000)])
        .append(&[cost_state("parent", &[(OPUS, answers(3, 3_210) + output(503))])]);
    // The fork's total goes on from what the parent's was then; 60,000 are its own hidden calls.
    fork.transcript().append(&[cost_state("fork", &[(OPUS, answers(3, 40_210) + output(60_500))])]);
}

#[test]
fn a_forks_total_counts_less_its_parents_at_the_fork() {
    let ledger = Ledger::new();
    fork_with_totals(&ledger);
    ledger.import();
    let mistakes = [
        ("the parent's hidden calls counted twice", 43_210 + 503 + 60_500),
        ("the parent's last total taken off", 43_210 + 503 + 60_500 - 503 - 3_000),
        ("the fork's hidden calls ignored", 43_210 + 503),
        ("the parent's total not taken off", 43_210 + 503 + 60_710),
    ];
    assert_usage(&ledger.total(), 4, answers(4, 43_210) + output(503 + 60_000), &mistakes);
    assert_eq!(ledger.actual("parent").hidden.usage, output(503));
    assert_eq!(ledger.actual("fork").hidden.usage, output(60_000));
}

#[test]
fn a_fork_of_a_fork_begins_with_its_own_parents_total() {
    let ledger = Ledger::new();
    fork_with_totals(&ledger);
    let (fork, next) = (Session::new(&ledger, "fork"), Session::new(&ledger, "a-next"));
    let note = json!({ "type": "queue-operation", "timestamp": at(120), "sessionId": "a-next" });
    let lines = std::fs::read_to_string(fork.transcript().path()).unwrap();
    let copies = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let copies: Vec<Value> = copies
        .filter(|line| !["queue-operation", "cost-state"].contains(&line["type"].as_str().unwrap()))
        .map(|line| line.with("sessionId", "a-next"))
        .collect();
    let own = [
        next.says(121),
        next.answer("msg_5", 122, 700_000),
        cost_state("a-next", &[(OPUS, answers(4, 740_210) + output(1_060_500))]),
    ];
    next.transcript().write(&[note]).append(&copies).append(&own);
    ledger.import();
    let hidden = output(503 + 60_000 + 1_000_000);
    assert_usage(&ledger.total(), 5, answers(5, 743_210) + hidden, &[]);
    assert_eq!(ledger.actual("a-next").usage, answers(1, 700_000) + output(1_000_000));
}

#[test]
fn a_fork_of_a_fork_may_repeat_a_response_late() {
    // The records of a response do not always stand side by side (`docs/facts.md#records-of-one-response`).
    for is_imported in [true, false] {
        let ledger = Ledger::new();
        fork_with_totals(&ledger);
        let (fork, next) = (Session::new(&ledger, "fork"), Session::new(&ledger, "a-next"));
        let lines = std::fs::read_to_string(fork.transcript().path()).unwrap();
        let mut copies: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["type"] == "user" || line["type"] == "assistant")
            .map(|line| line.with("sessionId", "a-next"))
            .collect();
        let first = copies.iter().find(|line| line["message"]["id"] == "msg_1").unwrap().clone();
        copies.push(first);
        let note = json!({ "type": "queue-operation", "timestamp": at(120), "sessionId": "a-next" });
        let total = cost_state("a-next", &[(OPUS, answers(4, 740_210) + output(1_060_500))]);
        let own = [next.says(121), next.answer("msg_5", 122, 700_000), total];
        next.transcript().write(&[note]).append(&copies).append(&own);
        if !is_imported {
            for session in ["parent", "fork", "a-next"] {
                ledger.hook(Session::new(&ledger, session).stop());
            }
        }
        ledger.import();
        // As that of one that does not: its parent is the fork, not the fork's parent.
        let hidden = output(503 + 60_000 + 1_000_000);
        assert_usage(&ledger.total(), 5, answers(5, 743_210) + hidden, &[]);
        assert_eq!(ledger.actual("a-next").usage, answers(1, 700_000) + output(1_000_000));
    }
}

#[test]
fn a_side_question_does_not_hide_whose_copies_a_fork_has() {
    for (name, asks) in [("a-fork", "fork"), ("z-fork", "fork"), ("a-fork", "parent"), ("z-fork", "parent")] {
        let ledger = Ledger::new();
        let (parent, fork) = (Session::new(&ledger, "parent"), Session::new(&ledger, name));
        let common = [parent.says(1), parent.answer("msg_1", 2, 10)];
        parent
            .transcript()
            .write(&common)
            .append(&[cost_state("parent", &[(OPUS, answers(1, 10) + output(500))])])
            .append(&[parent.says(90), parent.answer("msg_2", 91, 3_000)]);
        let note = json!({ "type": "queue-operation", "timestamp": at(60), "sessionId": name });
        let copies = common.map(|line| line.with("sessionId", name));
        let own = if asks == "fork" { answers(1, 40_000) } else { Usage::default() };
        let total = cost_state(name, &[(OPUS, answers(1, 10) + output(500) + own)]);
        fork.transcript().write(&[note]).append(&copies).append(&[fork.says(62), total]);
        // Its sidechain repeats the answer that the fork has copied.
        let (session, second) = if asks == "fork" { (&fork, 61) } else { (&parent, 95) };
        let replay = session.answer_of("aside", "msg_1", 2, 10).with("requestId", "another");
        session
            .subagent("subagents", "aside")
            .write(&[replay, session.answer_of("aside", "msg_3", second, 40_000)]);
        ledger.import();
        let mistakes = [("the parent's total not taken off the fork's", 43_010 + 500 + 510)];
        assert_usage(&ledger.total(), 3, answers(3, 43_010) + output(500), &mistakes);
        assert_eq!(ledger.actual("parent").responses, if asks == "fork" { 2 } else { 3 }, "{name}, {asks}");
        assert_eq!(ledger.cost_by("agent").row("main").usage, answers(2, 3_010), "{name}, {asks}");
    }
}

#[test]
fn a_fork_of_a_session_without_a_total_begins_with_nothing() {
    // The parent was killed, so nothing was written that a fork could go on from: it has another start.
    let ledger = Ledger::new();
    let [_, fork] = parent_and_fork(&ledger);
    let total = cost_state("fork", &[(OPUS, answers(1, 40_000) + output(500))]);
    fork.transcript().append(&[total.with("startTime", 4_099_024_859_900_i64)]);
    ledger.import();
    let mistakes = [("copies that are not in the total taken off it", 43_210 + 290)];
    assert_usage(&ledger.total(), 4, answers(4, 43_210) + output(500), &mistakes);
}

/// A `cost-state` whose writes are not split, as older clients write it, with what the client took it to cost.
fn unsplit(state: Value, dollars: &str) -> Value {
    let model = format!("modelUsage.{OPUS}");
    let dollars: Value = serde_json::from_str(dollars).unwrap();
    state
        .with(&format!("{model}.costUSD"), dollars)
        .without(&format!("{model}.cacheCreationEphemeral5mInputTokens"))
        .without(&format!("{model}.cacheCreationEphemeral1hInputTokens"))
}

#[test]
fn a_total_without_a_split_takes_the_lines_split_and_the_rest_by_its_cost() {
    // The line: 3 in, 10 out, 100 read, 10 written for 5 minutes: $0.000282. Hidden: 1,000 written.
    let total = |dollars: &str| {
        imported(|s| {
            let all = answers(1, 10) + Usage { cache_write_5m: 1_000, ..Usage::default() };
            let state = unsplit(cost_state("session", &[(OPUS, all)]), dollars);
            vec![s.says(1), s.answer("msg_1", 2, 10), state]
        })
    };
    let own = on_opus(answers(1, 10));
    assert_eq!(own, 282 * MICRO);
    let (short, long) = (own + 5_000 * MICRO, own + 8_000 * MICRO);
    assert_cost(
        &total("0.008282"),
        long,
        &[("the rest taken for 5 m", short), ("the lines' too taken for 1 h", long + 30 * MICRO)],
    );
    assert_cost(&total("0.005282"), short, &[("the rest taken for 1 h", long)]);
    assert_cost(
        &total("0.006482"),
        own + (600 * 5 + 400 * 8) * MICRO,
        &[("all of one kind", short), ("all 1 h", long)],
    );
    let hidden = total("0.008282").actual("session").hidden.usage;
    assert_eq!(hidden, Usage { cache_write_1h: 1_000, ..Usage::default() });
}

#[test]
fn hidden_calls_have_the_day_of_the_last_dated_line_before_their_total() {
    let ledger = imported(|s| {
        let on = |line: Value, time: &str| line.with("timestamp", time);
        vec![
            on(s.says(1), "2026-11-01T23:58:00Z"),
            on(s.answer("msg_1", 2, 10), "2026-11-01T23:59:59.999Z"),
            on(s.answer("msg_2", 3, 200), "2026-11-02T00:00:00.000Z"),
            cost_state("session", &[(OPUS, answers(2, 210) + output(5_000))]),
        ]
    });
    let days = ledger.cost_by("day");
    assert_eq!(days.row("2026-11-01").usage, answers(1, 10));
    assert_eq!(days.row("2026-11-02").usage, answers(1, 200) + output(5_000));
}

// Files in an odd state.

/// The ledger after the import of a transcript with these bytes.
fn imported_bytes(bytes: impl FnOnce(&Session) -> Vec<u8>) -> (Ledger, Value) {
    let (ledger, session) = session();
    session.transcript().write_bytes(&bytes(&session));
    let said = ledger.import();
    (ledger, said)
}

#[test]
fn a_null_id_in_a_tools_input_does_not_lose_the_message() {
    let ledger = imported(|s| {
        let input = json!({ "id": null, "model": null, "usage": null, "message": { "id": null } });
        let content =
            json!([{ "type": "tool_use", "id": "toolu_1", "name": "mcp__tracker__edit", "input": input }]);
        vec![s.call("msg_1", 1, 200).with("message.content", content), s.answer("msg_2", 2, 10)]
    });
    assert_answers(&ledger, 2, 210, &[("the message dropped", 10)]);
}

#[test]
fn one_bad_byte_loses_neither_the_file_nor_the_line() {
    let (ledger, _) = imported_bytes(|s| {
        let mut bytes = format!("{}\n{}\n", s.answer("msg_1", 1, 10), s.answer("msg_2", 2, 200)).into_bytes();
        let place = bytes.windows(5).rposition(|text| text == b"Well.").unwrap();
        bytes[place..place + 2].copy_from_slice(b"\xff\xc3");
        bytes.extend(format!("{}\n", s.answer("msg_3", 3, 3_000)).bytes());
        bytes
    });
    let mistakes = [
        ("the file dropped", 0),
        ("reading ended at the bad byte", 10),
        ("the line dropped, though its numbers are whole", 3_010),
    ];
    assert_answers(&ledger, 3, 3_210, &mistakes);
}

#[test]
fn lines_may_end_as_on_windows() {
    let (ledger, said) = imported_bytes(|s| {
        format!("{}\r\n{}\r\n\r\n", s.answer("msg_1", 1, 10), s.answer("msg_2", 2, 200)).into_bytes()
    });
    assert_answers(&ledger, 2, 210, &[("lines with CR dropped", 0)]);
    assert_eq!(skipped(&said), 0, "{said:#}");
}

#[test]
fn nuls_lose_no_line() {
    // What a file system leaves of a write that a power loss cut short.
    let (ledger, _) = imported_bytes(|s| {
        let lines = [s.answer("msg_1", 1, 10), s.answer("msg_2", 2, 200), s.answer("msg_3", 3, 3_000)];
        let [first, second, third] = lines.map(|line| line.to_string());
        format!("{first}\n\0\0\0\0\n\0\0{second}\n\0\0\0{third}\0\n").into_bytes()
    });
    let mistakes = [("lines with NULs dropped", 10), ("a line that ends in NULs dropped", 210)];
    assert_answers(&ledger, 3, 3_210, &mistakes);
}

#[test]
fn a_cut_last_line_counts_once_it_is_whole() {
    let (ledger, s) = session();
    let line = s.answer("msg_2", 2, 200).to_string();
    s.transcript().write(&[s.answer("msg_1", 1, 10)]).append_bytes(&line.as_bytes()[..line.len() - 40]);
    ledger.import();
    assert_answers(&ledger, 1, 10, &[]);
    s.transcript().append_bytes(&line.as_bytes()[line.len() - 40..]).append_bytes(b"\n");
    s.transcript().append(&[s.answer("msg_3", 3, 3_000)]);
    ledger.import();
    let mistakes =
        [("the cut line lost", 3_010), ("lines after it lost", 10), ("the first line read again", 3_220)];
    assert_answers(&ledger, 3, 3_210, &mistakes);
}

#[test]
fn a_record_behind_a_cut_one_counts() {
    // Killed while it wrote, then resumed: the next record stands on the same line.
    let (ledger, _) = imported_bytes(|s| {
        let cut = s.answer("msg_2", 2, 200).to_string();
        let lines = [s.answer("msg_1", 1, 10), s.answer("msg_3", 3, 3_000), s.answer("msg_4", 4, 40_000)];
        let [first, third, fourth] = lines.map(|line| line.to_string());
        format!("{first}\n{}{third}\n{fourth}\n", &cut[..cut.len() / 2]).into_bytes()
    });
    let mistakes = [("the record behind the cut one lost", 40_010), ("reading ended there", 10)];
    assert_answers(&ledger, 3, 43_010, &mistakes);
}

#[test]
fn an_echo_in_a_line_that_is_cut_is_no_message_of_the_main_conversation() {
    let (ledger, s) = session();
    // Read while the client wrote: the echoed message is there, the end of its line is not.
    let message = &s.echo_of("a1", "msg_2", 3, 200)["data"]["message"];
    let start = format!(r#"{{"type":"progress","data":{{"type":"agent_progress","message":{message},"#);
    let end = format!(r#""agentId":"a1"}},"sessionId":"session","timestamp":"{}"}}"#, at(3));
    s.transcript().write(&[s.answer("msg_1", 1, 10)]).append_bytes(start.as_bytes());
    ledger.import();
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
    s.transcript().append_bytes(end.as_bytes()).append_bytes(b"\n");
    ledger.import();
    assert_answers(&ledger, 2, 210, &[]);
    assert_eq!(ledger.cost_by("agent").row("main").usage, answers(1, 10));
}

#[test]
fn a_line_that_is_no_record_is_skipped_and_reported() {
    let (ledger, said) = imported_bytes(|s| {
        let lines = [s.answer("msg_1", 1, 10), s.answer("msg_2", 2, 200)];
        let [first, second] = lines.map(|line| line.to_string());
        format!("{first}\n{{\"type\":\"assistant\",\"message\":\n{second}\n").into_bytes()
    });
    assert_answers(&ledger, 2, 210, &[("lines after a broken one lost", 10), ("the file dropped", 0)]);
    assert_eq!(
        (&said["files"], &said["lines"], &said["responses"]),
        (&json!(1), &json!(3), &json!(2)),
        "{said:#}"
    );
    assert_eq!(skipped(&said), 1, "{said:#}");
    let [file] = &said["skipped"].as_array().unwrap()[..] else { panic!("{said:#}") };
    assert!(file["file"].as_str().unwrap().ends_with("session.jsonl"), "{said:#}");
    assert!(!file["reason"].as_str().unwrap().is_empty(), "{said:#}");
}

#[test]
fn spaces_and_the_order_of_members_change_nothing() {
    let (ledger, _) = imported_bytes(|s| {
        let spaced = r#"{ "message" : { "usage" : { "output_tokens" : 200, "cache_creation_input_tokens" : 10,
            "input_tokens" : 3, "cache_read_input_tokens" : 100 } , "stop_reason" : "end_turn",
            "model" : "claude-opus-5-5", "id" :"msg_2", "role": "assistant" } , "isSidechain" : false,
            "timestamp" : "2099-11-22T10:00:02.000Z", "sessionId" : "session", "type"  :  "assistant" }"#;
        let spaced = spaced.replace('\n', "\t");
        let python = s.answer("msg_3", 3, 3_000).to_string().replace("\":", "\": ").replace(",\"", ", \"");
        format!("{}\n{spaced}\n {python} \n", s.answer("msg_1", 1, 10)).into_bytes()
    });
    let mistakes = [("lines with spaces dropped", 10), ("lines with another order dropped", 3_010)];
    assert_answers(&ledger, 3, 3_210, &mistakes);
}

#[test]
fn a_transcript_counts_whatever_its_name_and_wherever_it_lies() {
    let (ledger, s) = session();
    let lay = |path: &str, line: Value| {
        let file = ledger.projects().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("{line}\n")).unwrap();
    };
    let other = |line: Value, session: &str| line.with("sessionId", session);
    s.transcript().write(&[s.answer("msg_1", 1, 10)]);
    lay("notes of a day.jsonl", other(s.answer("msg_2", 2, 200), "second"));
    lay("backup/2026/11/old/agent-a9.jsonl", other(s.answer_of("a9", "msg_3", 3, 3_000), "third"));
    lay("archive/transcript.jsonl", other(s.answer("msg_4", 4, 40_000), "fourth"));
    lay("archive/transcript.json", other(s.answer("msg_5", 5, 500_000), "fifth"));
    ledger.import();
    let mistakes = [("only two levels read", 40_210), ("only <project>/<session>.jsonl read", 10)];
    assert_answers(&ledger, 4, 43_210, &mistakes);
    let sessions = ledger.cost_by("session");
    let output = |session| sessions.find(session).map(|row| row.usage.output);
    assert_eq!(["session", "second", "third", "fourth"].map(output), [10, 200, 3_000, 40_000].map(Some));
}

#[test]
fn lines_without_a_session_belong_to_the_one_that_the_file_is_named_after() {
    let (ledger, s) = session();
    s.transcript().write(&[s.answer("msg_1", 1, 10).without("sessionId")]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 2, 200).without("sessionId")]);
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("lines without sessionId dropped", 0)]);
    assert_eq!(ledger.cost_by("session").row("session").responses, 2);
}

/// Lines that an import has skipped.
fn skipped(said: &Value) -> u64 {
    said["skipped_lines"].as_u64().unwrap()
}

// Again, and in another order.

#[test]
fn an_import_again_adds_only_what_is_new() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    let file = s.subagent("subagents", "a1");
    file.write(&[s.answer_of("a1", "msg_2", 3, 200)]).meta("Explore");
    ledger.import();
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("counted again", 420)]);
    s.transcript().append(&[s.answer("msg_1", 4, 3_000), s.answer("msg_3", 5, 40_000)]);
    file.append(&[s.answer_of("a1", "msg_4", 6, 500_000)]);
    ledger.import();
    assert_answers(&ledger, 4, 543_200, &[("a larger record of a known message ignored", 540_210)]);
}

#[test]
fn what_a_hook_has_read_is_not_imported_again() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 200)]).meta("Explore");
    ledger.hook(s.start()).hook(s.stop()).hook(s.end());
    ledger.import();
    assert_answers(&ledger, 2, 210, &[("counted again", 420)]);
    s.transcript().append(&[s.answer("msg_3", 4, 3_000)]);
    ledger.import();
    ledger.hook(s.stop());
    assert_answers(&ledger, 3, 3_210, &[("counted again", 6_210)]);
}

#[test]
fn a_fork_may_be_imported_before_its_parent() {
    let whole = Ledger::new();
    fork_with_totals(&whole);
    whole.import();
    for fork_first in [true, false] {
        let ledger = Ledger::new();
        fork_with_totals(&ledger);
        let (folder, hidden) = (ledger.projects().join("-project"), ledger.dir().join("later.jsonl"));
        let later = folder.join(if fork_first { "parent.jsonl" } else { "fork.jsonl" });
        std::fs::rename(&later, &hidden).unwrap();
        ledger.import();
        std::fs::rename(&hidden, &later).unwrap();
        ledger.import();
        for by in ["session", "agent", "day", "model"] {
            assert_eq!(ledger.cost_by(by).by_key(), whole.cost_by(by).by_key(), "fork first: {fork_first}");
        }
    }
}
