//! Rollouts of clients that write no record for each answer, and what no fixture has.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Rollouts;
use crate::clients::{Buffer, LogReader as _, ReadFrom};
use crate::domain::{LogDelta, SessionId};

const PARENT: &str = "019ed836-b1da-78f1-8a0c-e598363d10f4";
const FORK: &str = "019ed837-b1da-78f1-8a0c-e598363d10f4";

fn line(kind: &str, payload: &Value) -> String {
    let line = json!({ "timestamp": "2026-06-18T00:57:05.559Z", "type": kind, "payload": payload });
    format!("{line}\n")
}

fn meta(thread: &str, more: &Value) -> String {
    let mut meta = json!({ "id": thread, "cwd": "/p", "cli_version": "0.140.0", "source": "cli" });
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    line("session_meta", &meta)
}

fn counts(input: u64, output: u64) -> Value {
    json!({ "input_tokens": input, "cached_input_tokens": 0, "output_tokens": output, "reasoning_output_tokens": 0,
            "total_tokens": input + output })
}

fn total(all: [u64; 2], last: [u64; 2]) -> String {
    let info =
        json!({ "total_token_usage": counts(all[0], all[1]), "last_token_usage": counts(last[0], last[1]) });
    line("event_msg", &json!({ "type": "token_count", "info": info }))
}

fn context(turn: &str, model: &str, hash: &str) -> String {
    line("turn_context", &json!({ "turn_id": turn, "model": model, "comp_hash": hash }))
}

fn record(thread: &str, turn: &str, id: &str, input: u64, all: u64) -> String {
    line(
        "token_usage_record",
        &json!({ "thread_id": thread, "session_id": thread, "turn_id": turn, "response_id": id,
                "usage": counts(input, 1), "thread_token_usage": counts(all, 0) }),
    )
}

fn begun(turn: &str) -> String {
    let attribution = json!({ "turn_id": turn });
    line(
        "event_msg",
        &json!({ "type": "task_started", "turn_id": turn, "turn_attribution": attribution, "model_context_window": 100 }),
    )
}

fn write(folder: &Path, thread: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(format!("rollout-2026-06-18T00-57-05-{thread}.jsonl"));
    std::fs::write(&path, lines.concat()).unwrap();
    path
}

fn read(path: &Path) -> LogDelta {
    let session = Rollouts.session_of(path).unwrap();
    let from = ReadFrom { session, agent: None, position: None, count: |_| 0, content: None };
    Rollouts.read(&mut Buffer::default(), path, &from).unwrap()
}

/// Input and output of each answer.
fn answers(delta: &LogDelta) -> Vec<[u64; 2]> {
    delta.responses.iter().map(|answer| [answer.usage.input, answer.usage.output]).collect()
}

#[test]
fn without_records_a_changed_total_is_an_answer_worth_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        meta(PARENT, &json!({})),
        line("turn_context", &json!({ "model": "gpt-5.5" })),
        line("event_msg", &json!({ "type": "token_count", "info": null })),
        total([100, 10], [100, 10]),
        total([100, 10], [100, 10]),
        // An event is missing before it: the last one alone would be too little.
        total([400, 40], [50, 5]),
        // After a resume the total falls.
        total([70, 7], [70, 7]),
    ];
    let delta = read(&write(dir.path(), PARENT, &lines));
    assert_eq!(answers(&delta), [[100, 10], [300, 30], [70, 7]]);
    assert!(delta.responses.iter().all(|answer| answer.model.as_ref().unwrap().as_str() == "gpt-5.5"));
    assert_eq!((delta.unknown_lines, delta.skipped_lines), (0, 0));
}

#[test]
fn a_fork_of_an_old_client_repeats_its_parents_totals() {
    let dir = tempfile::tempdir().unwrap();
    let copied = [total([100, 10], [100, 10]), total([300, 30], [200, 20])];
    write(dir.path(), PARENT, &[vec![meta(PARENT, &json!({}))], copied.to_vec()].concat());
    let forked = meta(FORK, &json!({ "forked_from_id": PARENT }));
    let own = total([350, 35], [50, 5]);
    let lines = [vec![forked], copied.to_vec(), vec![own]].concat();
    assert_eq!(answers(&read(&write(dir.path(), FORK, &lines))), [[50, 5]]);
}

#[test]
fn records_end_what_totals_tell() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        meta(PARENT, &json!({})),
        total([100, 10], [100, 10]),
        context("t", "gpt-5.5", "1"),
        record(PARENT, "t", "resp_1", 7, 117),
        total([107, 11], [7, 1]),
    ];
    assert_eq!(answers(&read(&write(dir.path(), PARENT, &lines))), [[100, 10], [7, 1]]);
}

#[test]
fn an_id_that_a_server_repeats_is_not_believed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = vec![meta(PARENT, &json!({})), context("t", "m", "1")];
    lines.extend((1..=3).map(|number| record(PARENT, "t", "chatcmpl-1", number, number * 10)));
    // The same record once more.
    lines.push(record(PARENT, "t", "chatcmpl-1", 3, 30));
    let delta = read(&write(dir.path(), PARENT, &lines));
    let mut ids: Vec<&str> = delta.responses.iter().map(|answer| answer.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_compaction_that_opens_a_turn_was_made_by_the_model_before() {
    let dir = tempfile::tempdir().unwrap();
    let before = |hash: &str| json!({ "model": "old", "comp_hash": hash });
    for (hash, model) in [("1", "old"), ("2", "new")] {
        let compacted = json!({ "compaction_response_id": "resp_1",
                                "resume_metadata": { "previous_turn_settings": before(hash) } });
        let lines = [
            meta(PARENT, &json!({})),
            begun("t"),
            record(PARENT, "t", "resp_1", 7, 7),
            line("compacted", &compacted),
            context("t", "new", "2"),
            record(PARENT, "t", "resp_2", 8, 15),
        ];
        let delta = read(&write(dir.path(), PARENT, &lines));
        let models: Vec<&str> =
            delta.responses.iter().map(|answer| answer.model.as_ref().unwrap().as_str()).collect();
        assert_eq!(models, [model, "new"]);
        assert_eq!(delta.compactions.len(), 1);
    }
}

#[test]
fn an_id_that_cannot_be_kept_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(201);
    let lines = [meta(PARENT, &json!({})), context("t", "m", "1"), record(PARENT, "t", &long, 7, 7)];
    let delta = read(&write(dir.path(), PARENT, &lines));
    assert_eq!((delta.responses.len(), delta.unknown_lines), (0, 1));
    assert_eq!(delta.session, SessionId::new(PARENT));
}

#[test]
fn a_file_whose_first_line_is_damaged_is_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [
        "{\"timestamp\":\"2026-06-1\n".to_owned(),
        context("t", "m", "1"),
        record(PARENT, "t", "resp_1", 7, 7),
    ];
    let delta = read(&write(dir.path(), PARENT, &lines));
    let answer = &delta.responses[0];
    assert_eq!((answer.session.as_str(), &answer.agent, answer.copied), (PARENT, &None, false));
    assert_eq!(delta.skipped_lines, 1);
}

#[test]
fn totals_of_a_client_that_writes_records_count_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let meta = meta(FORK, &json!({ "forked_from_id": PARENT, "cli_version": "0.171.0" }));
    let lines = [
        meta,
        begun("t"),
        total([800, 8], [800, 8]),
        context("t", "m", "1"),
        record(FORK, "t", "resp_1", 7, 807),
    ];
    assert_eq!(answers(&read(&write(dir.path(), FORK, &lines))), [[7, 1]]);
}

#[test]
fn answers_whose_turn_is_never_told_have_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = vec![meta(PARENT, &json!({})), context("t0", "old", "1"), begun("t1")];
    lines.extend((1..=6).map(|number| record(PARENT, "t1", &format!("resp_{number}"), number, number)));
    lines.push(begun("t2"));
    let models = |lines: &[String]| -> Vec<Option<String>> {
        let delta = read(&write(dir.path(), PARENT, lines));
        delta.responses.iter().map(|answer| answer.model.as_ref().map(ToString::to_string)).collect()
    };
    assert_eq!(models(&lines), vec![None; 6]);
    lines.pop();
    lines.push(context("t1", "new", "1"));
    assert_eq!(models(&lines), vec![Some("new".to_owned()); 6]);
}
