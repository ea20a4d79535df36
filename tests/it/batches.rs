//! The end of a batch of tools: what the provider has billed by then is read at once, so that views, budgets and what is
//! learned are as far as the session is.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Ledger, Session, With, answers, usage};

/// The end of a batch of one call.
fn batch(s: &Session, call: &str) -> Value {
    s.batch(&[("Bash", call, json!("fine"))])
}

/// What is kept of what was learned: the numbers, of which the last digits are rounded at each turn.
fn learned(ledger: &Ledger) -> Vec<f64> {
    let db = ledger.sqlite();
    let mut query =
        db.prepare("SELECT value FROM meta WHERE name LIKE 'calibration:%' ORDER BY name").unwrap();
    let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let text: String = rows.map(Result::unwrap).collect();
    text.split(|c: char| !"0123456789.-e".contains(c)).filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn views_are_current_after_each_batch() {
    let (ledger, s) = Session::started();
    s.transcript().write(&[s.says(1), s.call_of("msg_1", 2, "toolu_1")]);
    ledger.hook(s.tool("Bash", "toolu_1")).hook(batch(&s, "toolu_1"));
    assert_eq!(usage(&ledger.report("s")["actual"]["usage"]), answers(1, 40));
    s.transcript().append(&[s.result_of(3, "toolu_1", "fine"), s.call_of("msg_2", 4, "toolu_2")]);
    ledger.hook(batch(&s, "toolu_2")).hook(batch(&s, "toolu_2"));
    let report = ledger.report("s");
    assert_eq!(usage(&report["actual"]["usage"]), answers(2, 80));
    assert_eq!(report["session"]["state"], "live");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_subagents_batch_reads_the_subagents_transcript() {
    let (ledger, s) = Session::started();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    for (folder, agent) in [("subagents", "a1"), ("subagents/deep", "a2")] {
        s.subagent(folder, agent).write(&[s.answer_of(agent, &format!("msg_{agent}"), 3, 5)]);
        ledger.hook(s.batch(&[]).with("agent_id", agent).with("agent_type", "Explore"));
    }
    assert_eq!(usage(&ledger.report("s")["actual"]["usage"]), answers(2, 10));
    for agent in ["../../s", "a\\b", "none"] {
        ledger.hook(s.batch(&[]).with("agent_id", agent));
    }
    assert_eq!(usage(&ledger.report("s")["actual"]["usage"]), answers(2, 10));
    assert_eq!(ledger.faults(), "");
}

/// What a session of twelve calls teaches that is read at once at its end, or after each batch by `read`.
fn calibration_samples(read: Option<fn(&Ledger, Value)>) -> Vec<f64> {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let text = "fn main() { println!(\"one line of code\"); }\n".repeat(40);
    let mut lines = vec![s.says(1)];
    ledger.hook(s.start());
    for turn in 1..=12_u32 {
        let call = format!("toolu_{turn}");
        let context = 20_000 + 900 * u64::from(turn);
        lines.push(
            s.call_of(&format!("msg_{turn}"), 2 * turn, &call)
                .with("message.usage.cache_read_input_tokens", context),
        );
        s.transcript().write(&lines);
        if let Some(read) = read {
            read(&ledger, s.batch(&[("Bash", &call, json!(text))]));
        }
        lines.push(s.result_of(2 * turn + 1, &call, &text));
        s.transcript().write(&lines);
    }
    ledger.hook(s.stop());
    assert_eq!(ledger.faults(), "");
    learned(&ledger)
}

fn assert_near(learned: &[f64], expected: &[f64]) {
    assert!(expected.len() > 20 && learned.len() == expected.len(), "{learned:?}");
    for (one, other) in learned.iter().zip(expected) {
        assert!((one - other).abs() <= 1e-4 * other.abs(), "{one} is not {other}: {learned:?}");
    }
}

#[test]
fn reading_by_batch_teaches_what_reading_at_once_teaches() {
    let by_batch = |ledger: &Ledger, batch: Value| drop(ledger.hook_answer(batch));
    assert_near(&calibration_samples(Some(by_batch)), &calibration_samples(None));
}

#[test]
fn hooks_that_read_the_same_at_once_teach_once() {
    // As a plugin and by the settings: the client starts both.
    let twice = |ledger: &Ledger, batch: Value| {
        assert_eq!(ledger.run_hooks_at_once([batch.clone(), batch.clone(), batch]), [] as [String; 0]);
    };
    assert_near(&calibration_samples(Some(twice)), &calibration_samples(None));
}

#[test]
fn with_a_budget_the_answer_that_comes_late_is_waited_for() {
    let late = |budget: Option<&str>, comes: bool| {
        let (ledger, s) = Session::started();
        if let Some(tokens) = budget {
            ledger.run(&["budget", "set", tokens, "--tokens", "--stop"]).text();
        }
        s.transcript().write(&[s.says(1)]);
        let (transcript, line) = (s.transcript(), s.call_of("msg_1", 2, "toolu_1"));
        let waits = std::sync::Arc::new(AtomicUsize::new(0));
        let counted = waits.clone();
        let answer = ledger.hook_answer_meanwhile(batch(&s, "toolu_1"), move || {
            if counted.fetch_add(1, Ordering::Relaxed) == 3 && comes {
                transcript.append(std::slice::from_ref(&line));
            }
        });
        let again = ledger.hook_answer(batch(&s, "toolu_1"));
        assert_eq!(ledger.faults(), "");
        (answer["continue"].clone(), waits.load(Ordering::Relaxed), again["continue"].clone())
    };
    assert_eq!(late(Some("100"), true), (json!(false), 4, json!(false)));
    // 30 looks of 5 ms.
    assert_eq!(late(Some("100"), false), (Value::Null, 30, Value::Null));
    assert_eq!(late(None, true), (Value::Null, 0, Value::Null));
}

#[test]
fn a_prompt_that_is_blocked_is_no_turn() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    ledger.hooks([s.start(), s.prompt("prompt-1")]);
    ledger.run(&["budget", "set", "100", "--tokens", "--stop"]).text();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    ledger.hook(s.stop());
    assert_eq!(ledger.hook_answer(s.prompt("prompt-2"))["decision"], "block");
    assert_eq!(ledger.report("s")["session"]["turns"], 1);
    ledger.run(&["budget", "add", "1000", "--tokens"]).text();
    assert_eq!(ledger.hook_answer(s.prompt("prompt-3")), Value::Null);
    assert_eq!(ledger.report("s")["session"]["turns"], 2);
}

#[test]
fn a_used_up_budget_blocks_a_session_that_nobody_has_heard_of() {
    let ledger = Ledger::new();
    let (one, two) = (Session::new(&ledger, "one"), Session::new(&ledger, "two"));
    one.transcript().write(&[one.says(1), one.answer("msg_1", 2, 100)]);
    ledger.hooks([one.start(), one.stop()]);
    ledger.run(&["budget", "set", "100", "--tokens", "--stop", "--per", "total"]).text();
    assert_eq!(ledger.hook_answer(two.prompt("prompt-1"))["decision"], "block");
    assert_eq!(ledger.report("two")["session"]["turns"], 0);
    assert_eq!(ledger.faults(), "");
}
