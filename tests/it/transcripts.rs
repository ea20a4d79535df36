//! Transcripts as the client really leaves them: streamed, resumed, copied, cut, late. Each response counts once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use tallyhook::domain::Usage;

use crate::support::{Ledger, Session, Transcript, With, answers, cases};

/// A session and its transcript in a new ledger.
fn session() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    (ledger, session)
}

/// The ledger after one `Stop` with these lines in the transcript.
fn ledger_of(lines: impl FnOnce(&Session) -> Vec<Value>) -> Ledger {
    let (ledger, session) = session();
    session.transcript().write(&lines(&session));
    ledger.hook(session.stop());
    ledger
}

// One response, many lines.

#[test]
fn a_streamed_response_counts_once_with_its_largest_output() {
    let ledger = ledger_of(|s| {
        vec![
            s.says(1),
            s.call("msg_1", 2, 4),
            s.call("msg_1", 3, 300),
            s.result(4),
            // Not adjacent, and not the largest.
            s.call("msg_1", 5, 120),
            s.answer("msg_2", 6, 20),
        ]
    });
    assert_eq!(ledger.usage("s"), answers(2, 320));
    assert_eq!(ledger.responses("s"), 2);
}

#[test]
fn the_record_with_the_largest_output_counts_whole() {
    let ledger = ledger_of(|s| {
        vec![
            s.answer("msg_1", 1, 4).with("message.usage.input_tokens", 900),
            s.answer("msg_1", 2, 300).with("message.usage.input_tokens", 5),
        ]
    });
    assert_eq!(ledger.usage("s"), Usage { input: 5, ..answers(1, 300) });
}

#[test]
fn a_response_without_an_id_is_known_by_its_request_and_then_by_its_line() {
    let ledger = ledger_of(|s| {
        vec![
            s.answer("a", 1, 10).with("message.id", Value::Null),
            s.answer("a", 2, 30).without("message.id"),
            s.answer("b", 3, 5).without("message.id").without("requestId"),
            s.result(4),
            s.answer("c", 5, 5).without("message.id").with("requestId", Value::Null),
        ]
    });
    assert_eq!((ledger.responses("s"), ledger.output("s")), (3, 40));
}

#[test]
fn a_line_that_is_repeated_with_another_request_is_one_response() {
    let ledger = ledger_of(|s| {
        vec![
            s.answer("msg_1", 1, 10).with("requestId", "r1"),
            s.answer("msg_1", 1, 10).with("requestId", "r2"),
        ]
    });
    assert_eq!(ledger.responses("s"), 1);
}

#[test]
fn synthetic_lines_are_no_responses() {
    let ledger = ledger_of(|s| {
        vec![s.answer("msg_1", 1, 7), s.answer("msg_2", 2, 5_000).with("message.model", "<synthetic>")]
    });
    assert_eq!(ledger.usage("s"), answers(1, 7));
    assert_eq!(ledger.report("s")["session"]["model"], "claude-opus-5-5");
}

#[test]
fn an_advisor_is_a_response_besides() {
    let ledger = ledger_of(|s| {
        vec![s.answer("msg_1", 1, 7).with(
            "message.usage.iterations",
            json!([
                { "type": "message", "input_tokens": 3, "output_tokens": 7 },
                { "type": "advisor_message", "model": "claude-opus-5", "input_tokens": 40, "output_tokens": 2 },
                { "type": "fallback_message", "model": "claude-opus-4-6", "input_tokens": 900, "output_tokens": 9 },
            ]),
        )]
    });
    assert_eq!(ledger.usage("s"), answers(1, 7) + Usage { input: 40, output: 2, ..Usage::default() });
    assert_eq!(ledger.report("s")["by_model"].as_array().unwrap().len(), 2);
}

#[test]
fn both_kinds_of_cache_writes_and_web_searches_are_kept_apart() {
    let ledger = ledger_of(|s| {
        vec![
            s.answer("msg_1", 1, 7)
                .with("message.usage.cache_creation_input_tokens", 30)
                .with("message.usage.cache_creation.ephemeral_1h_input_tokens", 20)
                .with("message.usage.cache_creation.ephemeral_5m_input_tokens", 10)
                .with("message.usage.server_tool_use.web_search_requests", 2),
        ]
    });
    assert_eq!(ledger.usage("s"), Usage { cache_write_1h: 20, web_searches: 2, ..answers(1, 7) });
}

#[test]
fn usage_of_tool_results_and_of_inputs_does_not_count() {
    let ledger = ledger_of(|s| {
        let noise =
            json!({ "type": "assistant", "message": { "id": "msg_9", "usage": { "output_tokens": 9 } } });
        vec![
            s.call("msg_1", 1, 7).with("message.content", json!([{ "type": "tool_use", "input": noise }])),
            s.result(2).with("toolUseResult", noise),
            s.result(3).with("toolUseResult.usage.output_tokens", 500),
        ]
    });
    assert_eq!(ledger.usage("s"), answers(1, 7));
}

// Sessions that go on, and copies.

#[test]
fn a_resumed_session_is_not_counted_twice() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), s.result(3), s.answer("msg_2", 4, 20)]);
    ledger.hook(s.start()).hook(s.prompt("prompt-1")).hook(s.stop()).hook(s.end());
    assert_eq!(ledger.usage("s"), answers(2, 30));
    s.transcript().append(&[s.says(60), s.answer("msg_3", 61, 5)]);
    ledger.hook(s.start().with("source", "resume")).hook(s.prompt("prompt-60")).hook(s.stop()).hook(s.end());
    assert_eq!(ledger.usage("s"), answers(3, 35));
    assert_eq!(ledger.report("s")["session"]["turns"], 2);
}

#[test]
fn a_message_that_a_resumed_session_writes_again_is_one_response() {
    let (ledger, s) = session();
    s.transcript().write(&[s.answer("msg_1", 1, 10)]);
    ledger.hook(s.stop());
    s.transcript().append(&[s.answer("msg_1", 9, 10), s.answer("msg_1", 10, 12)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(1, 12));
}

#[test]
fn stop_fired_twice_is_the_same_as_once() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10), s.compaction(3, 9_000, 800)]);
    ledger.hook(s.stop());
    let once = ledger.report("s");
    ledger.hook(s.stop()).hook(s.stop());
    assert_eq!(ledger.report("s"), once);
}

/// A parent and its fork: the fork's file starts later and repeats the parent's first answer.
fn parent_and_fork(ledger: &Ledger) -> [Session; 2] {
    let (parent, fork) = (Session::new(ledger, "parent"), Session::new(ledger, "fork"));
    parent.transcript().write(&[
        parent.says(1),
        parent.answer("msg_1", 2, 10),
        parent.answer("msg_2", 90, 20),
    ]);
    let copy = |line: Value| line.with("sessionId", "fork");
    fork.transcript().write(&[
        json!({ "type": "queue-operation", "timestamp": crate::support::at(60), "sessionId": "fork" }),
        copy(parent.says(1)),
        copy(parent.answer("msg_1", 2, 10)),
        fork.says(61),
        fork.answer("msg_3", 62, 300),
    ]);
    [parent, fork]
}

#[test]
fn a_forks_copy_belongs_to_the_parent_whichever_is_read_first() {
    for fork_first in [false, true] {
        let ledger = Ledger::new();
        let mut sessions = parent_and_fork(&ledger);
        if fork_first {
            sessions.reverse();
        }
        for session in &sessions {
            ledger.hook(session.stop());
        }
        assert_eq!(ledger.usage("parent"), answers(2, 30), "fork first: {fork_first}");
        assert_eq!(ledger.usage("fork"), answers(1, 300), "fork first: {fork_first}");
        let turns = |session| ledger.report(session)["session"]["turns"].clone();
        assert_eq!((turns("parent"), turns("fork")), (json!(1), json!(1)), "fork first: {fork_first}");
    }
}

#[test]
fn a_side_question_that_repeats_the_conversation_adds_only_its_own_answer() {
    let ledger = ledger_of(|s| {
        let replay = |line: Value| line.with("isSidechain", true).with("requestId", "another");
        vec![
            s.answer("msg_1", 1, 10),
            s.answer("msg_2", 2, 20),
            replay(s.answer("msg_1", 1, 10)),
            replay(s.answer("msg_2", 2, 20)),
            replay(s.answer("msg_3", 3, 5)),
        ]
    });
    assert_eq!(ledger.usage("s"), answers(3, 35));
    assert_eq!(ledger.usage_of_agent("s", "main"), answers(2, 30));
}

// Subagents.

#[test]
fn subagents_count_however_deep_they_are() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 20)]).meta("Explore");
    s.subagent("subagents/nested", "a2").write(&[s.answer_of("a2", "msg_3", 4, 40)]).meta("Plan");
    s.subagent("subagents/agent-a1/subagents/deep", "a3").write(&[s.answer_of("a3", "msg_4", 5, 80)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(4, 150));
    for (agent, output) in [("main", 10), ("Explore", 20), ("Plan", 40), ("subagent", 80)] {
        assert_eq!(ledger.usage_of_agent("s", agent), answers(1, output), "{agent}");
    }
}

#[test]
fn a_subagents_transcript_is_read_when_it_stops() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    let file = s.subagent("subagents", "a1");
    file.write(&[s.answer_of("a1", "msg_2", 3, 20)]);
    let stop = s
        .event("SubagentStop")
        .with("agent_id", "a1")
        .with("agent_type", "Explore")
        .with("agent_transcript_path", file.path().to_str().unwrap());
    ledger.hook(&stop).hook(&stop);
    assert_eq!(ledger.usage_of_agent("s", "Explore"), answers(1, 20));
    assert_eq!(ledger.report("s")["session"]["state"], "live");
}

#[test]
fn the_subagent_of_a_compaction_is_none() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    let stop = s.event("SubagentStop").with("agent_id", "a4b9").with("agent_type", "");
    ledger.hook(stop.with("agent_transcript_path", "/nowhere/agent-a4b9.jsonl")).hook(s.stop());
    let agents = ledger.report("s")["by_agent"].clone();
    assert_eq!(agents.as_array().unwrap().len(), 1, "{agents:#}");
}

#[test]
fn old_clients_lay_subagents_beside_the_main_transcript() {
    let (ledger, s) = session();
    let old = |line: Value| line.with("version", "2.0.40");
    s.transcript().write(&[old(s.says(1)), old(s.answer("msg_1", 2, 10))]);
    let beside = |agent: &str| {
        let path = s.transcript().path().with_file_name(format!("agent-{agent}.jsonl"));
        (path.clone(), s.subagent("subagents", agent), path)
    };
    let lay = |agent: &str, lines: &[Value]| {
        let (to, made, _) = beside(agent);
        made.write(lines);
        std::fs::rename(made.path(), to).unwrap();
    };
    lay("a1", &[old(s.answer_of("a1", "msg_2", 3, 20))]);
    let other = Session::new(&ledger, "other");
    lay("b1", &[old(other.answer_of("b1", "msg_3", 4, 1_000))]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(2, 30));
    assert_eq!(ledger.usage_of_agent("s", "main"), answers(1, 10));
    assert!(ledger.report("other").is_null(), "a subagent of another session was taken");
}

#[test]
fn echoes_count_only_where_no_other_line_shows_the_message() {
    let (ledger, s) = session();
    s.transcript().write(&[
        s.says(1),
        s.call("msg_1", 2, 10),
        s.echo_of("a1", "msg_2", 3, 1),
        s.echo_of("a1", "msg_2", 3, 20),
        s.echo_of("a2", "msg_3", 4, 40),
        // An echo of what stands in the main conversation.
        s.echo_of("a1", "msg_1", 5, 10),
    ]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(3, 70));
    assert_eq!(ledger.usage_of_agent("s", "main"), answers(1, 10));
    // The subagent's own file turns up.
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 20)]).meta("Explore");
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(3, 70));
    assert_eq!(ledger.usage_of_agent("s", "Explore"), answers(1, 20));
}

#[test]
fn an_echo_that_names_no_agent_gives_way_to_the_agents_own_transcript() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.echo_of("a1", "msg_1", 2, 20).without("data.agentId")]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(1, 20));
    assert_eq!(ledger.usage_of_agent("s", "main"), Usage::default());
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_1", 2, 20)]).meta("Explore");
    s.transcript().append(&[s.answer("msg_2", 3, 40)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(2, 60));
    assert_eq!(ledger.usage_of_agent("s", "Explore"), answers(1, 20));
}

#[test]
fn a_synthetic_echo_is_no_response() {
    let ledger =
        ledger_of(|s| vec![s.echo_of("a1", "msg_1", 1, 9).with("data.message.message.model", "<synthetic>")]);
    assert_eq!(ledger.usage("s"), Usage::default());
}

// Files in an odd state.

#[test]
fn a_cut_last_line_counts_when_it_is_whole() {
    let (ledger, s) = session();
    let whole = format!("{}\n", s.answer("msg_2", 2, 20)).into_bytes();
    for cut in [1, whole.len() / 2, whole.len() - 2, whole.len() - 1] {
        let ledger = Ledger::new();
        s.transcript().write(&[s.answer("msg_1", 1, 10)]).append_bytes(&whole[..cut]);
        ledger.hook(s.stop());
        // Without its newline alone it is whole already.
        let known = if cut == whole.len() - 1 { answers(2, 30) } else { answers(1, 10) };
        assert_eq!(ledger.usage("s"), known, "{cut} bytes");
        s.transcript().append_bytes(&whole[cut..]).append(&[s.answer("msg_3", 3, 40)]);
        ledger.hook(s.stop());
        assert_eq!(ledger.usage("s"), answers(3, 70), "{cut} bytes");
    }
    drop(ledger);
}

#[test]
fn a_file_written_anew_is_read_from_its_start() {
    let (ledger, s) = session();
    let long: Vec<Value> = (1..20).map(|second| s.answer("msg_1", second, 10)).collect();
    s.transcript().write(&long);
    ledger.hook(s.stop());
    // Shorter, with another head.
    s.transcript().write(&[s.answer("msg_2", 30, 20)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(2, 30));
    // Longer than before, with another head: its first line counts too.
    let other: Vec<Value> = (41..90).map(|second| s.answer("msg_4", second, 80)).collect();
    s.transcript().write(&[s.answer("msg_3", 40, 40)]).append(&other);
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(4, 150));
}

#[test]
fn a_file_that_shrank_is_read_from_its_start() {
    let (ledger, s) = session();
    let lines = [s.says(1), s.answer("msg_1", 2, 10), s.answer("msg_2", 3, 20), s.answer("msg_3", 4, 40)];
    s.transcript().write(&lines);
    ledger.hook(s.stop());
    s.transcript().write(&lines[..2]).append(&[s.answer("msg_4", 9, 80)]);
    ledger.hook(s.stop());
    // What was billed stays billed.
    assert_eq!(ledger.usage("s"), answers(4, 150));
}

#[test]
fn a_transcript_that_is_gone_takes_nothing_away() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(s.stop());
    std::fs::remove_file(s.transcript().path()).unwrap();
    ledger.hook(s.stop()).hook(s.end());
    assert_eq!(ledger.usage("s"), answers(1, 10));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn odd_bytes_lose_at_most_their_own_line() {
    let (ledger, s) = session();
    let line = |message: &str, second| s.answer(message, second, 10).to_string();
    let not_utf8 = line("msg_4", 4).replace("Well.", "@").into_bytes();
    let at = not_utf8.iter().position(|byte| *byte == b'@').unwrap();
    s.transcript()
        .append_bytes(b"\xef\xbb\xbf")
        .append_bytes(format!("{}\r\n", line("msg_1", 1)).as_bytes())
        .append_bytes(b"\r\n\n\0\0\0\n")
        .append_bytes(format!("\0\0{}\0\r\n", line("msg_2", 2)).as_bytes())
        .append_bytes(b"{\"type\":\"assistant\",\"message\":{\"id\":\"msg_cut\",\"usage\":{\"out\n")
        .append_bytes(b"\xff\xfe{\"type\":\"assistant\"}\xc3\x28\n")
        .append_bytes(format!("[{}]\n", line("msg_array", 3)).as_bytes())
        .append_bytes(&not_utf8[..at])
        .append_bytes(b"\xff\xc3(")
        .append_bytes(&not_utf8[at + 1..])
        .append_bytes(b"\n")
        .append_bytes(line("msg_5", 5).replace(':', " : ").as_bytes())
        .append_bytes(b"\n");
    ledger.hook(s.stop());
    // In the last line the times are no times either.
    assert_eq!((ledger.responses("s"), ledger.output("s")), (4, 40));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn null_fields_lose_nothing() {
    let ledger = ledger_of(|s| {
        let whole = s.answer("msg_0", 1, 10);
        let mut lines = vec![whole.clone()];
        let names =
            whole.as_object().unwrap().keys().filter(|name| !["type", "message"].contains(&name.as_str()));
        for (number, name) in names.enumerate() {
            lines.push(whole.clone().with("message.id", format!("line_{number}")).with(name, Value::Null));
        }
        for name in ["model", "stop_reason", "content", "role"] {
            let message = whole.clone().with("message.id", format!("message_{name}"));
            lines.push(message.with(&format!("message.{name}"), Value::Null));
        }
        for name in ["cache_creation", "server_tool_use", "iterations"] {
            let message = whole.clone().with("message.id", format!("usage_{name}"));
            lines.push(message.with(&format!("message.usage.{name}"), Value::Null));
        }
        let input = json!([{ "type": "tool_use", "id": null, "name": null, "input": { "id": null } }]);
        lines.push(whole.clone().with("message.id", "input").with("message.content", input));
        lines.push(whole.clone().with("message", Value::Null));
        lines.push(whole.clone().with("message.usage", Value::Null).with("message.id", "no_usage"));
        lines.push(whole.with("type", Value::Null));
        lines
    });
    // The whole one, 9 members of the line, 4 of the message, 3 of the usage, and the input.
    assert_eq!(ledger.output("s"), 10 * ledger.responses("s"));
    assert_eq!(ledger.responses("s"), 1 + 9 + 4 + 3 + 1);
}

#[test]
fn an_unbelievable_count_is_no_count() {
    let ledger = ledger_of(|s| {
        vec![
            s.answer("msg_1", 1, 10).with("message.usage.input_tokens", -5),
            s.answer("msg_2", 2, 10).with("message.usage.input_tokens", 1e30),
            s.answer("msg_3", 3, 10).with("message.usage.input_tokens", "7"),
            s.answer("msg_4", 4, 10).with("message.usage.input_tokens", json!({ "n": 1 })),
        ]
    });
    assert_eq!(ledger.usage("s"), Usage { input: 7, ..answers(4, 40) });
}

#[test]
fn a_compaction_is_counted_once_and_has_its_tokens_from_the_transcript() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    let pre = s.event("PreCompact").with("trigger", "auto");
    let post = s.event("PostCompact").with("trigger", "auto");
    ledger.hook(&pre).hook(&post);
    let events = ledger.report("s")["compaction_events"].clone();
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    assert!(events[0]["tokens_before"].is_null(), "{events}");
    s.transcript().append(&[s.compaction(3, 9_000, 800), s.answer("msg_2", 4, 20)]);
    ledger.hook(s.stop());
    let events = ledger.report("s")["compaction_events"].clone();
    assert_eq!(events.as_array().unwrap().len(), 1, "{events}");
    assert_eq!((&events[0]["tokens_before"], &events[0]["tokens_after"]), (&json!(9_000), &json!(800)));
}

#[test]
fn a_late_event_of_a_compaction_is_no_second_compaction() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.compaction(3, 9_000, 800), s.answer("msg_2", 4, 20)]);
    ledger.hook(s.stop()).hook(s.event("PostCompact").with("trigger", "auto"));
    assert_eq!(ledger.report("s")["session"]["compactions"], 1);
}

// The last line comes late.

/// Hands a payload to the hook, and writes lines to a file when it waits for the first time. Returns how often it waited.
fn waits_with_late_lines(ledger: &Ledger, payload: &Value, file: &Transcript, late: Vec<Value>) -> usize {
    let waits = Arc::new(AtomicUsize::new(0));
    let (counted, file) = (Arc::clone(&waits), file.clone());
    let answer = ledger.hook_answer_meanwhile(payload.clone(), move || {
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            file.append(&late);
        }
    });
    assert_eq!(answer, Value::Null);
    waits.load(Ordering::Relaxed)
}

#[test]
fn stop_waits_for_the_last_line() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), s.result(3)]);
    let waits = waits_with_late_lines(&ledger, &s.stop(), &s.transcript(), vec![s.answer("msg_2", 4, 20)]);
    assert_eq!((waits, ledger.usage("s")), (1, answers(2, 30)));
}

#[test]
fn the_stop_of_a_subagent_waits_for_its_last_line() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    let file = s.subagent("subagents", "a1");
    file.write(&[s.says(3).with("isSidechain", true).with("agentId", "a1")]);
    let stop = s
        .event("SubagentStop")
        .with("agent_id", "a1")
        .with("agent_type", "Explore")
        .with("agent_transcript_path", file.path().to_str().unwrap());
    let waits = waits_with_late_lines(&ledger, &stop, &file, vec![s.answer_of("a1", "msg_2", 4, 20)]);
    assert_eq!((waits, ledger.usage("s")), (1, answers(2, 30)));
}

#[test]
fn stop_does_not_wait_where_the_answer_is_there() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    assert_eq!(waits_with_late_lines(&ledger, &s.stop(), &s.transcript(), Vec::new()), 0);
    assert_eq!(ledger.usage("s"), answers(1, 10));
}

#[test]
fn the_real_hook_waits_a_quarter_of_a_second_for_a_line_that_does_not_come() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10), s.result(3)]);
    let started = Instant::now();
    ledger.run_hook(s.stop()).assert_silent("a line that does not come");
    assert!(started.elapsed() >= Duration::from_millis(240), "{:?}", started.elapsed());
    assert_eq!(ledger.usage("s"), answers(1, 10));
}

// Sessions without an end.

#[test]
fn a_session_without_an_end_is_completed_when_the_next_one_starts() {
    let (ledger, s) = session();
    ledger.hook(s.start()).hook(s.prompt("prompt-1"));
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(Session::new(&ledger, "next").start());
    assert_eq!(ledger.usage("s"), answers(1, 10));
}

#[test]
fn a_session_that_is_silent_for_long_is_taken_to_be_over() {
    for (minutes, state) in [(5, "live"), (31, "finalized")] {
        let (ledger, s) = session();
        ledger.hook(s.start()).hook(s.prompt("prompt-1"));
        s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
        ledger.minutes_pass(minutes).hook(Session::new(&ledger, "next").start());
        assert_eq!(ledger.report("s")["session"]["state"], state, "after {minutes} minutes");
    }
}

#[test]
fn a_failed_turn_is_a_turns_end_too() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(s.prompt("prompt-1")).hook(s.event("StopFailure").with("error", "unknown"));
    assert_eq!(ledger.usage("s"), answers(1, 10));
    assert_eq!(ledger.report("s")["session"]["state"], "finalized");
}

#[test]
fn a_tool_call_after_the_end_of_a_turn_makes_the_session_live_again() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
    ledger.hook(s.tool("Bash", "toolu_1")).hook(s.stop());
    assert_eq!(ledger.report("s")["estimate"]["pending"]["calls"], 0);
    ledger.hook(s.tool("Bash", "toolu_2"));
    let report = ledger.report("s");
    assert_eq!(report["session"]["state"], "live");
    assert_eq!(report["estimate"]["pending"]["calls"], 1);
    assert_eq!(report["estimate"]["calls"], 2);
}

#[test]
fn the_kind_of_a_session_does_not_depend_on_when_its_lines_are_read() {
    let kind = |stop_between: bool| {
        let (ledger, s) = session();
        s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 10)]);
        if stop_between {
            ledger.hook(s.stop());
        }
        let headless = |line: Value| line.with("entrypoint", "sdk-cli");
        s.transcript().append(&[headless(s.says(3)), headless(s.answer("msg_2", 4, 10))]);
        ledger.hook(s.stop());
        ledger.report("s")["session"]["kind"].clone()
    };
    assert_eq!(kind(true), kind(false));
}

#[test]
fn a_turn_of_a_client_without_prompt_ids_is_one_turn_at_any_time() {
    let (ledger, s) = session();
    s.transcript().write(&[s.says(1).without("promptId")]);
    ledger.hook(s.prompt("").without("prompt_id"));
    let turns = || ledger.report("s")["session"]["turns"].clone();
    assert_eq!(turns(), 1);
    // In the middle of the turn somebody looks.
    ledger.run(&["show-usage"]);
    assert_eq!(turns(), 1);
    s.transcript().append(&[s.answer("msg_1", 2, 10)]);
    ledger.hook(s.stop());
    assert_eq!(turns(), 1);
}

#[test]
fn a_subagent_beside_the_main_transcript_is_read_though_that_has_nothing_new() {
    let (ledger, s) = session();
    let old = |line: Value| line.with("version", "2.0.40");
    s.transcript().write(&[old(s.says(1)), old(s.answer("msg_1", 2, 10))]);
    ledger.hook(s.stop());
    let beside = s.transcript().path().with_file_name("agent-a1.jsonl");
    std::fs::write(beside, format!("{}\n", old(s.answer_of("a1", "msg_2", 3, 20)))).unwrap();
    ledger.hook(s.stop());
    assert_eq!(ledger.usage("s"), answers(2, 30));
}

// Laws.

/// What a line of a random transcript is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Says,
    Result,
    Answer { message: u8, output: u16 },
    Call { message: u8, output: u16 },
    Sidechain { message: u8, output: u16 },
    Echo { message: u8, output: u16 },
    Synthetic,
    Compaction,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let message = || (0..6_u8, 0..500_u16);
    prop_oneof![
        Just(Kind::Says),
        Just(Kind::Result),
        message().prop_map(|(message, output)| Kind::Answer { message, output }),
        message().prop_map(|(message, output)| Kind::Call { message, output }),
        message().prop_map(|(message, output)| Kind::Sidechain { message, output }),
        message().prop_map(|(message, output)| Kind::Echo { message, output }),
        Just(Kind::Synthetic),
        Just(Kind::Compaction),
    ]
}

/// The lines of a session's main transcript, a second apart.
fn lines_of(session: &Session, kinds: &[Kind], first_second: u32) -> Vec<Value> {
    let id = |message: u8| format!("msg_{message}");
    let line = |(second, kind): (u32, &Kind)| match *kind {
        Kind::Says => session.says(second),
        Kind::Result => session.result(second),
        Kind::Answer { message, output } => session.answer(&id(message), second, output.into()),
        Kind::Call { message, output } => session.call(&id(message), second, output.into()),
        Kind::Sidechain { message, output } => session.answer_of("a1", &id(message), second, output.into()),
        // Of another agent than sidechains, so a response of its own.
        Kind::Echo { message, output } => session.echo_of("a2", &id(message + 25), second, output.into()),
        Kind::Synthetic => session.answer("synthetic", second, 9).with("message.model", "<synthetic>"),
        Kind::Compaction => session.compaction(second, 9_000, 800),
    };
    (first_second..).zip(kinds).map(line).collect()
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn a_stop_after_every_few_lines_is_the_same_as_one_at_the_end(
        kinds in prop::collection::vec(any_kind(), 1..24),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let (whole, s) = session();
        // A line of the session's own comes first: without any, its times are those of the hooks.
        let lines: Vec<Value> = [s.says(0)].into_iter().chain(lines_of(&s, &kinds, 1)).collect();
        s.transcript().write(&lines);
        whole.hook(s.stop());

        let pieces = Ledger::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(lines.len())).collect();
        cuts.sort_unstable();
        s.transcript().write(&[]);
        let mut written = 0;
        for end in cuts.into_iter().chain([lines.len()]) {
            s.transcript().append(&lines[written..end]);
            pieces.hook(s.stop());
            written = end;
        }
        prop_assert_eq!(pieces.report("s"), whole.report("s"));
    }

    #[test]
    fn a_parent_and_its_fork_are_the_same_in_any_order(
        parents in prop::collection::vec(any_kind(), 1..12),
        later in prop::collection::vec(any_kind(), 0..6),
        forks in prop::collection::vec(any_kind(), 0..6),
        turns in prop::collection::vec(any::<bool>(), 0..4),
    ) {
        let ledger = Ledger::new();
        let (parent, fork) = (Session::new(&ledger, "parent"), Session::new(&ledger, "fork"));
        // A sidechain and an echo in it have messages of their own: what repeats the main conversation has its lines.
        let of_parent = |kinds: &[Kind]| -> Vec<Kind> {
            kinds.iter().map(|kind| match *kind {
                Kind::Sidechain { message, output } => Kind::Sidechain { message: message + 50, output },
                Kind::Echo { message, output } => Kind::Echo { message: message + 50, output },
                kind => kind,
            }).collect()
        };
        let common = lines_of(&parent, &of_parent(&parents), 0);
        parent.transcript().write(&common).append(&lines_of(&parent, &of_parent(&later), 200));
        let own: Vec<Kind> = forks.iter().map(|kind| match *kind {
            // Its own messages have ids of their own.
            Kind::Answer { message, output } => Kind::Answer { message: message + 100, output },
            Kind::Call { message, output } => Kind::Call { message: message + 100, output },
            Kind::Sidechain { message, output } => Kind::Sidechain { message: message + 100, output },
            Kind::Echo { message, output } => Kind::Echo { message: message + 100, output },
            kind => kind,
        }).collect();
        let copies: Vec<Value> =
            common.iter().map(|line| line.clone().with("sessionId", "fork")).collect();
        let first = json!({ "type": "queue-operation", "timestamp": crate::support::at(100), "sessionId": "fork" });
        fork.transcript().write(&[first]).append(&copies).append(&lines_of(&fork, &own, 101));

        let figures = |ledger: &Ledger| ["parent", "fork"].map(|session| {
            let report = ledger.report(session);
            json!([report["actual"], report["by_agent"], report["by_model"], report["session"]["turns"],
                report["compaction_events"]])
        });
        ledger.hook(parent.stop()).hook(fork.stop());
        let other = Ledger::new();
        for parent_next in turns.into_iter().chain([false, true]) {
            other.hook(if parent_next { parent.stop() } else { fork.stop() });
        }
        prop_assert_eq!(figures(&other), figures(&ledger));
        let twice = figures(&ledger);
        ledger.hook(fork.stop()).hook(parent.stop());
        prop_assert_eq!(figures(&ledger), twice);
    }
}
