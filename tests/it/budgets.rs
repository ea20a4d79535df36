//! Budgets: what counts, when the user is told, and that a session really stops and nobody is trapped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tallyhook::calendar::Zone;
use tallyhook::domain::Timestamp;

use crate::support::{Ledger, Ran, Session, With};

/// Tokens of an answer beside its output, see [`Session::answer`].
const INPUT: u64 = 113;

fn set(ledger: &Ledger, args: &[&str]) {
    ledger.run(&[&["budget", "set"], args].concat()).text();
}

/// A session that has started and that a budget holds for.
fn held_to(args: &[&str]) -> (Ledger, Session) {
    let (ledger, s) = Session::started();
    set(&ledger, args);
    (ledger, s)
}

/// A batch without calls: the model has answered, and its tools have run.
fn batch(s: &Session) -> Value {
    s.batch(&[])
}

fn asks(s: &Session, command: &str) -> Value {
    s.event("PreToolUse")
        .with("tool_name", "Bash")
        .with("tool_use_id", "toolu_next")
        .with("tool_input", json!({ "command": command }))
}

fn is_warning(answer: &Value) -> bool {
    assert!(answer.get("continue").is_none() && answer.get("decision").is_none(), "{answer}");
    answer["systemMessage"]
        .as_str()
        .is_some_and(|text| text.starts_with("tallyhook: ") && text.lines().count() == 2)
}

fn is_stop(answer: &Value) -> bool {
    answer["continue"] == false && answer["stopReason"].as_str().is_some_and(|why| why.contains("budget add"))
}

/// What is kept of the only budget.
fn kept_tokens(ledger: &Ledger) -> Vec<i64> {
    let db = ledger.sqlite();
    let mut query = db
        .prepare(
            "SELECT tokens FROM budget_totals WHERE until_quarter_hour IS NOT NULL ORDER BY budget, session",
        )
        .unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn without_a_budget_nothing_is_said() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 1_000_000)]);
    for event in [s.start(), s.prompt("p"), asks(&s, "make"), batch(&s), s.stop(), s.end()] {
        assert_eq!(ledger.hook_answer(event), Value::Null);
    }
}

#[test]
fn a_session_is_warned_once_at_the_threshold_and_once_at_the_limit() {
    let (ledger, s) = held_to(&["1000", "--tokens"]);
    let mut answers = Vec::new();
    let mut lines = vec![s.says(1)];
    for (at, output) in [(2, 87), (3, 487), (4, 10), (5, 400), (6, 10)] {
        lines.push(s.call(&format!("msg_{at}"), at, output));
        s.transcript().write(&lines);
        answers.push(ledger.hook_answer(batch(&s)));
    }
    let said: Vec<bool> = answers.iter().map(is_warning).collect();
    // 200, 800, 923, 1436, 1559
    assert_eq!(said, [false, true, false, true, false], "{answers:#?}");
    let text = answers[1]["systemMessage"].as_str().unwrap();
    assert!(text.contains("800 / 1,000 tokens (80%) used this session, 200 tokens left"), "{text}");
    assert!(text.lines().nth(1).unwrap().contains("per hour"), "{text}");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_hard_budget_stops_before_the_next_request_and_add_lifts_it() {
    let (ledger, s) = held_to(&["500", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    assert_eq!(ledger.hook_answer(s.prompt("p1")), Value::Null);
    assert_eq!(ledger.hook_answer(asks(&s, "make")), Value::Null);
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    s.transcript().append(&[s.call("msg_2", 3, 300)]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));

    let denied = ledger.hook_answer(asks(&s, "make"));
    assert_eq!(denied["hookSpecificOutput"]["permissionDecision"], "deny", "{denied}");
    let blocked = ledger.hook_answer(s.prompt("p2"));
    assert_eq!(blocked["decision"], "block", "{blocked}");
    for lifting in ["tallyhook budget add 500 --tokens", "tallyhook budget status"] {
        assert_eq!(ledger.hook_answer(asks(&s, lifting)), Value::Null, "{lifting}");
        assert_eq!(ledger.hook_answer(s.prompt("p3").with("prompt", lifting)), Value::Null, "{lifting}");
    }
    let status = ledger.run(&["budget", "status", "--json", "--session", "s", "--check"]);
    assert_eq!(status.code, Some(3));
    let status = &status.json()["budgets"][0];
    assert_eq!((&status["state"], &status["used_tokens"]), (&json!("exceeded"), &json!(400 + 2 * INPUT)));
    assert!(status["stopped_at"].is_string(), "{status}");

    ledger.run(&["budget", "add", "500", "--tokens"]).text();
    assert_eq!(ledger.hook_answer(asks(&s, "make")), Value::Null);
    assert_eq!(ledger.hook_answer(s.prompt("p4")), Value::Null);
    assert_eq!(ledger.run(&["budget", "status", "--session", "s", "--check"]).code, Some(0));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn an_override_lets_a_session_go_on_for_a_while() {
    let (ledger, s) = held_to(&["1", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
    // The program's clock is the real one; the events' are far in the future.
    ledger.sqlite().execute("UPDATE budgets SET override_until = 4102444800000", []).unwrap();
    assert!(!is_stop(&ledger.hook_answer(batch(&s))));
    ledger.it_is("2100-01-01T00:00:01Z");
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}

#[test]
fn what_subagents_spend_counts_and_they_are_stopped_too() {
    let (ledger, s) = held_to(&["500", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 400)]);
    let inside = |event: Value| inside("a1", event);
    assert_eq!(ledger.hook_answer(inside(s.event("SubagentStart"))), Value::Null);
    assert!(is_stop(&ledger.hook_answer(inside(batch(&s)))));
    assert_eq!(
        ledger.hook_answer(inside(asks(&s, "ls")))["hookSpecificOutput"]["permissionDecision"],
        "deny"
    );
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}

/// An event of a subagent.
fn inside(agent: &str, event: Value) -> Value {
    event.with("agent_id", agent).with("agent_type", "Explore")
}

#[test]
fn a_subagent_is_stopped_by_what_the_others_at_work_have_spent() {
    // In the main conversation, whose own batch ends after the subagent, and in a subagent that waits for its own.
    for spender in [None, Some("a2")] {
        let (ledger, s) = held_to(&["500", "--tokens", "--stop"]);
        s.transcript().write(&[s.says(1)]);
        for agent in ["a1", "a2"] {
            ledger.hook(inside(agent, s.event("SubagentStart")));
        }
        s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_1", 3, 10)]);
        assert_eq!(ledger.hook_answer(inside("a1", batch(&s))), Value::Null);
        match spender {
            None => s.transcript().append(&[s.call("msg_2", 4, 400)]),
            Some(agent) => s.subagent("subagents", agent).write(&[s.answer_of(agent, "msg_2", 4, 400)]),
        };
        assert!(is_stop(&ledger.hook_answer(inside("a1", batch(&s)))), "{spender:?}");
        assert_eq!(kept_tokens(&ledger), [410 + 2 * i64::try_from(INPUT).unwrap()]);
        assert_eq!(ledger.faults(), "");
    }
}

#[test]
fn the_main_conversation_is_stopped_by_what_a_subagent_has_spent_meanwhile() {
    let (ledger, s) = held_to(&["500", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    ledger.hook(inside("a1", s.event("SubagentStart")));
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 400)]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}

#[test]
fn an_answer_that_uses_up_the_budget_starts_no_subagent() {
    let (ledger, s) = held_to(&["500", "--tokens", "--stop"]);
    let (transcript, line) = (s.transcript(), s.call_of("msg_1", 2, "toolu_next"));
    transcript.write(&[s.says(1)]);
    let starts = asks(&s, "true").with("tool_name", "Agent");
    // The line comes while the hook waits for it.
    let looks = AtomicUsize::new(0);
    let answer = ledger.hook_answer_meanwhile(starts.clone(), move || {
        if looks.fetch_add(1, Ordering::Relaxed) == 3 {
            transcript.append(&[line.clone().with("message.usage.output_tokens", 400)]);
        }
    });
    assert_eq!(answer["hookSpecificOutput"]["permissionDecision"], "deny", "{answer}");
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
    ledger.run(&["budget", "add", "500", "--tokens"]).text();
    assert_eq!(ledger.hook_answer(starts.clone()), Value::Null);
    // One that never comes holds the client up for 50 looks of 5 ms.
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = looks.clone();
    let never = starts.with("tool_use_id", "toolu_never");
    let answer = ledger.hook_answer_meanwhile(never, move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!((answer, looks.load(Ordering::Relaxed)), (Value::Null, 50));
    assert_eq!(ledger.faults(), "");
}

#[test]
fn what_a_subagent_comes_to_is_said_by_the_main_conversation() {
    let (ledger, s) = held_to(&["1000", "--tokens"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 10)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 600)]);
    ledger.hook(inside("a1", s.event("SubagentStart")));
    for event in ["PostToolBatch", "SubagentStop", "Stop"] {
        assert_eq!(ledger.hook_answer(inside("a1", s.event(event))), Value::Null, "{event}");
    }
    assert!(is_warning(&ledger.hook_answer(batch(&s))));
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_budget_of_an_agent_holds_for_it_alone() {
    let (ledger, s) = held_to(&["500", "--tokens", "--stop", "--agent", "explore"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 9_000)]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_2", 3, 100)]);
    let inside = |event: Value| inside("a1", event);
    ledger.hook(inside(s.event("SubagentStart")));
    assert_eq!(ledger.hook_answer(inside(batch(&s))), Value::Null);
    s.subagent("subagents", "a1").append(&[s.answer_of("a1", "msg_3", 4, 300)]);
    assert!(is_stop(&ledger.hook_answer(inside(batch(&s)))));
    // The main conversation goes on, and its hooks say what those of the subagent can tell nobody.
    let told = ledger.hook_answer(batch(&s));
    assert!(
        is_warning(&told) && told["systemMessage"].as_str().unwrap().contains("This budget stops sessions"),
        "{told}"
    );
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    // Another one of that type would pay a request before it can be stopped.
    let starts = |agent: &str| {
        let asks =
            asks(&s, "").with("tool_name", "Agent").with("tool_input", json!({ "subagent_type": agent }));
        ledger.hook_answer(asks)["hookSpecificOutput"]["permissionDecision"] == "deny"
    };
    assert!(starts("Explore") && !starts("Plan"));
}

#[test]
fn a_budget_of_a_project_does_not_hold_elsewhere() {
    let ledger = Ledger::new();
    let other = ledger.dir().join("other");
    std::fs::create_dir(&other).unwrap();
    let (here, there) = (Session::new(&ledger, "here"), Session::new(&ledger, "there").in_folder(&other));
    let project = ledger.project();
    ledger.hook(here.start()).hook(there.start());
    set(&ledger, &["300", "--tokens", "--stop", "--per", "total", "--project", project.to_str().unwrap()]);
    for s in [&here, &there] {
        s.transcript().write(&[s.says(1), s.call(&format!("{:?}", s.transcript()), 2, 500)]);
    }
    assert_eq!(ledger.hook_answer(batch(&there)), Value::Null);
    assert!(is_stop(&ledger.hook_answer(batch(&here))));
    assert_eq!(ledger.hook_answer(batch(&there)), Value::Null);
    assert_eq!(kept_tokens(&ledger), [613]);
}

#[test]
fn a_budget_of_everything_sees_all_projects() {
    let ledger = Ledger::new();
    let (one, two) = (Session::new(&ledger, "one"), Session::new(&ledger, "two").in_folder(ledger.dir()));
    ledger.hook(one.start()).hook(two.start());
    set(&ledger, &["1000", "--tokens", "--stop", "--per", "total"]);
    one.transcript().write(&[one.says(1), one.call("msg_1", 2, 500)]);
    two.transcript().write(&[two.says(1), two.call("msg_2", 2, 500)]);
    assert_eq!(ledger.hook_answer(batch(&one)), Value::Null);
    assert!(is_stop(&ledger.hook_answer(batch(&two))));
    assert!(is_stop(&ledger.hook_answer(batch(&one))));
}

#[test]
fn a_project_lowers_a_limit_and_cannot_raise_it() {
    let (ledger, s) = held_to(&["1000", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 500)]);
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    let file = ledger.project().join(".claude").join("tallyhook.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "[budgets]\nsession = { tokens = 600 }\n").unwrap();
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
    s.transcript().append(&[s.call("msg_2", 3, 500)]);
    std::fs::write(&file, "[budgets]\nsession = { tokens = 600000 }\n").unwrap();
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}

/// A session that has written a million tokens on a model of the user's own, and a dollar a day.
fn on_a_house_model() -> (Ledger, Session) {
    let (ledger, s) = held_to(&["1", "--per", "day", "--stop"]);
    ledger.it_is("2099-11-22T10:05:00Z");
    let answer = s.answer("msg_1", 2, 1_000_000).with("message.model", "house-model");
    s.transcript().write(&[s.says(1), answer]);
    ledger.hook(s.stop());
    assert_eq!(ledger.hook_answer(s.prompt("p1")), Value::Null);
    (ledger, s)
}

#[test]
fn prices_that_are_set_while_a_budget_stops_hold_for_the_next_event() {
    let set = |ledger: &Ledger, output: &str| {
        ledger.run(&["prices", "set", "house-model", "--input", "1", "--output", output]).code
    };
    let (ledger, s) = on_a_house_model();
    assert_eq!(set(&ledger, "2"), Some(0));
    assert_eq!(ledger.hook_answer(s.prompt("p2"))["decision"], "block");
    assert_eq!(set(&ledger, "0.5"), Some(0));
    assert_eq!(ledger.hook_answer(s.prompt("p3")), Value::Null);
}

#[test]
fn prices_that_are_changed_by_hand_hold_for_the_next_event() {
    let file = |ledger: &Ledger| ledger.home().join(".config/tallyhook/prices.toml");
    type Next = fn(&Session) -> Value;
    let prompt: Next = |s| s.prompt("p2");
    for next in [prompt, |s| asks(s, "make"), batch] {
        let (ledger, s) = on_a_house_model();
        std::fs::create_dir_all(file(&ledger).parent().unwrap()).unwrap();
        for (output, stops) in [("2", true), ("0.5", false), ("3", true)] {
            let text = format!("[models.house-model]\nprices = [{{ input = 1, output = {output} }}]\n");
            std::fs::write(file(&ledger), text).unwrap();
            let answer = ledger.hook_answer(next(&s));
            assert_eq!(answer != Value::Null, stops, "{output}: {answer}");
        }
        // A file that nobody can read stops nobody, and lifts nothing.
        std::fs::write(file(&ledger), "[models.house-model").unwrap();
        assert_ne!(ledger.hook_answer(next(&s)), Value::Null);
        assert!(ledger.faults().contains("prices"), "{}", ledger.faults());
    }
}

#[test]
fn what_results_are_foreseen_to_cost_is_priced_anew_too() {
    let (ledger, s) = on_a_house_model();
    let pending = || -> (i64, i64) {
        let sql = "SELECT tokens, cost_pico FROM pending_input";
        ledger.sqlite().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let result = json!("a".repeat(4_000));
    ledger.hook(s.tool("Bash", "toolu_1")).hook(s.batch(&[("Bash", "toolu_1", result)]));
    let (tokens, pico) = pending();
    assert!(tokens > 0 && pico == 0, "{tokens} {pico}");
    let set = ledger.run(&["prices", "set", "house-model", "--input", "4", "--output", "0.5"]);
    assert_eq!((set.code, pending()), (Some(0), (tokens, tokens * 4_000_000)));
}

#[test]
fn a_changed_budget_warns_anew() {
    let (ledger, s) = held_to(&["600", "--tokens"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 400)]);
    assert!(is_warning(&ledger.hook_answer(batch(&s))));
    ledger.run(&["budget", "add", "100", "--tokens"]).text();
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    ledger.run(&["budget", "warn", "70"]).text();
    assert!(is_warning(&ledger.hook_answer(batch(&s))));
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
}

#[test]
fn results_that_nobody_has_read_count_as_estimates() {
    let (ledger, s) = held_to(&["5000", "--tokens"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    let text = "word ".repeat(6_000);
    ledger.hook(s.tool("Bash", "toolu_1"));
    let answer = ledger.hook_answer(s.batch(&[("Bash", "toolu_1", json!(text))]));
    assert!(is_warning(&answer), "{answer}");
    let status = ledger.run(&["budget", "status", "--session", "s"]).stdout;
    assert!(status.contains('~'), "{status}");
    // The next response has read it.
    s.transcript().append(&[s.call("msg_2", 30_000, 100)]);
    ledger.it_is("2099-11-22T20:00:00Z").hook(batch(&s));
    let used = &ledger.run(&["budget", "status", "--session", "s", "--json"]).json()["budgets"][0];
    assert_eq!(used["used_tokens"], json!(200 + 2 * INPUT), "{used}");
}

/// A session that answers once at each of these times, and whether the day's budget is warned of at each.
fn days(zone: &str, times: &[&str]) -> Vec<bool> {
    let ledger = Ledger::new().with_var("TZ", zone);
    let s = Session::new(&ledger, "s");
    ledger.hook(s.start());
    set(&ledger, &["1000", "--tokens", "--per", "day", "--warn", "90"]);
    let mut lines = vec![s.says(1)];
    let mut said = Vec::new();
    for (number, time) in times.iter().enumerate() {
        lines.push(s.call(&format!("msg_{number}"), 2, 487).with("timestamp", *time));
        s.transcript().write(&lines);
        said.push(is_warning(&ledger.it_is(time).hook_answer(batch(&s))));
    }
    assert_eq!(ledger.faults(), "");
    said
}

#[test]
fn days_begin_at_the_users_midnight() {
    let times = ["2099-11-22T21:00:00Z", "2099-11-22T23:30:00Z", "2099-11-22T23:45:00Z"];
    assert_eq!(days("UTC", &times), [false, true, false]);
    assert_eq!(days("Europe/Berlin", &times), [false, false, true]);
    assert_eq!(days("Asia/Kolkata", &["2099-11-22T18:29:00Z", "2099-11-22T18:30:00Z"]), [false, false]);
}

#[test]
fn a_day_with_a_change_of_the_clocks_is_whole() {
    // 2026-10-25 has 25 hours in Berlin: from 22:00Z to 23:00Z.
    let times = ["2026-10-24T22:00:00Z", "2026-10-25T22:59:00Z", "2026-10-25T23:00:00Z"];
    assert_eq!(days("Europe/Berlin", &times), [false, true, false]);
}

#[test]
fn a_clock_that_is_set_back_counts_the_day_that_it_shows() {
    let times =
        ["2099-11-22T10:00:00Z", "2099-11-21T10:00:00Z", "2099-11-21T11:00:00Z", "2099-11-22T11:00:00Z"];
    assert_eq!(days("UTC", &times), [false, false, true, true]);
}

#[test]
fn what_is_kept_is_what_the_ledger_comes_to() {
    let (ledger, s) = Session::started();
    for per in ["session", "total"] {
        set(&ledger, &["1000", "--per", per]);
    }
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    ledger.hook(batch(&s));
    // A later line corrects the response; another session comes by import, and one goes.
    s.transcript().append(&[s.call("msg_1", 2, 900), s.call("msg_2", 3, 50)]);
    ledger.hook(batch(&s));
    let other = Session::new(&ledger, "other");
    other.transcript().write(&[other.says(1), other.call("msg_3", 2, 10_000)]);
    ledger.run(&["import", "--path", other.transcript().path().to_str().unwrap()]).text();
    let before = kept_tokens(&ledger);
    ledger.sqlite().execute("UPDATE budget_totals SET until_quarter_hour = NULL", []).unwrap();
    ledger.hook(batch(&s));
    assert_eq!(kept_tokens(&ledger)[0], before[0]);
    let own = (950 + 2 * INPUT) as i64;
    assert!(before.contains(&own) && before.contains(&(own + 10_000 + INPUT as i64)), "{before:?}");
    assert_eq!(kept_tokens(&ledger), before);
}

#[test]
fn of_sixteen_hooks_at_once_one_warns_and_none_is_lost() {
    let ledger = Ledger::new();
    let main = Session::new(&ledger, "s");
    ledger.hook(main.start());
    set(&ledger, &["4000", "--tokens", "--per", "total", "--warn", "50"]);
    let sessions: Vec<Session> = (0..16).map(|n| Session::new(&ledger, &format!("s{n}"))).collect();
    for (number, s) in sessions.iter().enumerate() {
        ledger.hook(s.start());
        s.transcript().write(&[s.says(1), s.call(&format!("msg_{number}"), 2, 87)]);
    }
    let said = ledger.run_hooks_at_once(sessions.iter().map(batch));
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_eq!(kept_tokens(&ledger), [16 * 200]);
    assert_eq!(ledger.faults(), "");
}

#[test]
fn a_ledger_that_is_gone_locked_or_no_ledger_stops_nobody() {
    let (ledger, s) = held_to(&["1", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
    let silent = |ran: &Ran| ran.assert_silent("a ledger that cannot be used");

    let lock = ledger.sqlite();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    silent(&ledger.run_hook(s.prompt("p1")));
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);

    let folder = ledger.path().parent().unwrap().to_path_buf();
    std::fs::remove_dir_all(&folder).unwrap();
    silent(&ledger.run_hook(s.prompt("p2")));
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(ledger.path(), "this is no ledger").unwrap();
    silent(&ledger.run_hook(s.prompt("p3")));
}

#[test]
fn the_client_is_asked_for_each_call_only_while_a_budget_stops() {
    let ledger = Ledger::new();
    ledger.run(&["init", "--no-import"]).text();
    let settings = ledger.project().join(".claude").join("settings.json");
    let read = || std::fs::read_to_string(&settings).unwrap();
    let before = read();
    assert!(!before.contains("PreToolUse"));
    set(&ledger, &["5"]);
    assert_eq!(read(), before);
    set(&ledger, &["5", "--stop"]);
    assert_eq!(read().matches("PreToolUse").count(), 1);
    ledger.run(&["init", "--no-import"]).text();
    assert_eq!(read().matches("PreToolUse").count(), 1);
    ledger.run(&["budget", "clear"]).text();
    assert!(!read().contains("PreToolUse"));
}

#[test]
fn the_status_of_a_session_that_is_not_there_is_no_data() {
    let ledger = Ledger::new();
    for id in ["aaaa-1", "aaaa-2"] {
        let s = Session::new(&ledger, id);
        s.transcript().write(&[s.says(1), s.call(&format!("msg_{id}"), 2, 387)]);
        ledger.hooks([s.start(), s.stop()]);
    }
    set(&ledger, &["100", "--tokens"]);
    for (id, why) in [
        ("bbbb", "no session ID starts with"),
        ("aaaa", "2 session IDs start with"),
        ("", "session IDs start"),
    ] {
        for flags in [&["--check"][..], &["--check", "--json"], &[], &["--json"]] {
            let ran = ledger.run(&[&["budget", "status", "--session", id], flags].concat());
            assert_eq!(ran.code, Some(4), "{id:?} {flags:?}: {ran:?}");
            assert!(ran.stderr.contains(why), "{id:?} {flags:?}: {ran:?}");
            if flags.contains(&"--json") {
                assert_eq!((&ran.json()["session_id"], &ran.json()["budgets"]), (&Value::Null, &json!([])));
            } else {
                assert_eq!(ran.stdout, "", "{id:?} {flags:?}");
            }
        }
    }
    assert_eq!(ledger.run(&["budget", "status", "--session", "aaaa-1", "--check"]).code, Some(3));
}

#[test]
fn an_override_ends_by_the_users_clock() {
    let ledger = Ledger::new().with_var("TZ", "Asia/Kolkata");
    set(&ledger, &["1", "--per", "day", "--stop"]);
    let said = ledger.run(&["budget", "override", "--for", "1h"]).text().to_owned();
    let status = ledger.run(&["budget", "status"]).text().to_owned();
    let until = ledger.run(&["budget", "status", "--json"]).json()["budgets"][0]["override_until"].clone();
    let until = Timestamp::parse(until.as_str().unwrap()).unwrap();
    // Half an hour beside every whole one; around midnight the day stands before it.
    let clock = Zone::named("Asia/Kolkata").unwrap().clock(until, until);
    for text in [&said, &status] {
        let line =
            text.lines().find(|line| line.contains("paused until")).unwrap_or_else(|| panic!("{text}"));
        assert!(
            line.starts_with("day (everything): paused until ") && line.ends_with(&clock),
            "{line} {clock}"
        );
    }
    // Where nothing is stopped nothing pauses.
    set(&ledger, &["1", "--per", "day"]);
    ledger.run(&["budget", "override", "--for", "1h"]).text();
    assert!(!ledger.run(&["budget", "status"]).text().contains("paused"));
}

#[test]
fn show_usage_shows_the_budgets_that_hold() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 387)]);
    ledger.hooks([s.start(), s.stop()]);
    set(&ledger, &["1000", "--tokens"]);
    set(&ledger, &["5", "--project", "/somewhere/else"]);
    let report = ledger.run(&["show-usage", "--session", "s", "--json"]).json();
    assert_eq!(report["budgets"].as_array().unwrap().len(), 1, "{}", report["budgets"]);
    assert_eq!(report["budgets"][0]["used_tokens"], 500);
    let text = ledger.run(&["show-usage", "--session", "s"]).stdout;
    assert!(text.contains("500 / 1,000 tokens (50%), 500 tokens left"), "{text}");
}

#[test]
fn a_model_without_a_price_is_named_and_held_against_tokens_alone() {
    let (ledger, s) = held_to(&["0.01", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 90_000).with("message.model", "house-model")]);
    assert_eq!(ledger.hook_answer(batch(&s)), Value::Null);
    let status = ledger.run(&["budget", "status", "--session", "s", "--json"]).json();
    assert_eq!(status["budgets"][0]["unpriced_models"], json!(["house-model"]));
    set(&ledger, &["1000", "--tokens", "--stop"]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}

#[test]
fn what_agents_report_counts_at_once_and_once() {
    let ledger = Ledger::new();
    set(&ledger, &["1000", "--tokens", "--per", "total", "--agent", "nightly"]);
    let report = |args: &[&str]| ledger.run(&[&["report-usage"], args].concat());
    let used = || ledger.run(&["budget", "status", "--json"]).json()["budgets"][0].clone();
    let twice = ["--agent-id", "nightly", "--input", "500", "--output", "100", "--event-id", "run-1"];
    assert!(report(&twice).text().contains("600"));
    assert!(report(&twice).text().contains("already recorded"));
    report(&["--agent-id", "other", "--tokens", "5000"]).text();
    assert_eq!(used()["used_tokens"], 600);
    report(&["--agent-id", "nightly", "--operation", "read", "--chars", "1200"]).text();
    assert_eq!((&used()["used_tokens"], &used()["state"]), (&json!(900), &json!("warning")));
    // What is kept is what comes out when it is added up anew.
    assert_eq!(kept_tokens(&ledger), [600]);
    let exported = ledger.run(&["export", "--what", "reports"]).json()["reports"].clone();
    let brief: Vec<Value> =
        exported.as_array().unwrap().iter().map(|one| json!([one["agent"], one["is_estimate"]])).collect();
    assert_eq!(brief, [json!(["nightly", false]), json!(["other", false]), json!(["nightly", true])]);
    assert_eq!(report(&["--agent-id", "nightly"]).code, Some(2));
    assert_eq!(report(&["--tokens", "5"]).code, Some(2));
}

#[test]
fn a_report_is_priced_by_its_model() {
    let ledger = Ledger::new().with_var("ALT_AGENT_ID", "script");
    set(&ledger, &["5", "--per", "total"]);
    ledger.run(&["report-usage", "--model", "claude-opus-5-5", "--input", "1000000"]).text();
    let used = ledger.run(&["budget", "status", "--json"]).json()["budgets"][0]["used_usd"].clone();
    assert!(used.as_f64() > Some(0.5), "{used}");
    ledger.run(&["report-usage", "--cost", "0.25"]).text();
    let more = ledger.run(&["budget", "status", "--json"]).json()["budgets"][0]["used_usd"].clone();
    assert!((more.as_f64().unwrap() - used.as_f64().unwrap() - 0.25).abs() < 1e-9, "{more}");
    assert!(
        ledger.run(&["init", "--client", "generic"]).text().contains("tallyhook report-usage --agent-id")
    );
}

/// The list of tasks as the agent writes it: so many of four done, one in progress.
fn todos(s: &Session, id: &str, done: usize) -> Value {
    let names = ["Read", "Write it", "Test", "Ship"];
    let todos: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let status = match at.cmp(&done) {
                std::cmp::Ordering::Less => "completed",
                std::cmp::Ordering::Equal => "in_progress",
                std::cmp::Ordering::Greater => "pending",
            };
            json!({ "content": name, "status": status, "activeForm": name })
        })
        .collect();
    s.tool("TodoWrite", id).with("tool_input", json!({ "todos": todos })).with("tool_response", json!({}))
}

#[test]
fn status_tells_what_is_left_what_it_will_take_and_what_can_be_done() {
    let (ledger, s) = held_to(&["1000", "--tokens"]);
    set(&ledger, &["5", "--per", "day", "--agent", "Explore"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 187)]);
    ledger.hooks([todos(&s, "toolu_a", 0), batch(&s)]);
    let status = || ledger.run(&["budget", "status", "--session", "s", "--json"]).json();
    let first = status();
    assert_eq!(first["work"], json!({ "step": "Read", "tasks_done": 0, "tasks_total": 4 }));
    assert_eq!(first["budgets"][0]["at_completion_tokens"], Value::Null, "nothing is done yet");
    assert_eq!(first["budgets"][0]["left_tokens"], 700);

    // One of four took 300 tokens.
    ledger.hook(todos(&s, "toolu_b", 1));
    let budget = &status()["budgets"][0];
    assert_eq!(budget["at_completion_tokens"], 1_200);
    assert_eq!((&budget["left_tokens"], &budget["over_tokens"]), (&json!(700), &json!(0)));
    assert_eq!((&budget["left_usd"], &budget["over_usd"]), (&Value::Null, &Value::Null));
    assert_eq!(status()["budgets"][1]["at_completion_usd"], Value::Null, "the list says nothing of an agent");
    assert_eq!(
        budget["options"],
        json!({
            "add": "tallyhook budget add AMOUNT --per session --tokens",
            "override": "tallyhook budget override --for 1h --per session --tokens",
            "pause": "claude --resume s",
            "clear": "tallyhook budget clear --per session --tokens",
        })
    );
    let text = ledger.run(&["budget", "status", "--session", "s"]).text().to_owned();
    assert!(text.contains("now: Write it · 1 of 4 tasks done"), "{text}");
    assert!(text.contains("~1,200 tokens once all tasks are done"), "{text}");
    assert!(!text.contains("budget add"), "{text}");

    s.transcript().append(&[s.call("msg_2", 3, 787)]);
    ledger.hook(batch(&s));
    assert_eq!(status()["budgets"][0]["over_tokens"], 200);
    for command in [&["budget", "status", "--session", "s"][..], &["show-usage", "--session", "s"]] {
        // Wherever the lines are broken.
        let text = ledger.run(command).text().split_whitespace().collect::<Vec<_>>().join(" ");
        let stands = match command[0] {
            "budget" => ["1,200 1,000 tokens 120.0% -200", "exceeded"],
            _ => ["1,200 / 1,000 tokens (120%)", "over by 200 tokens"],
        };
        for part in [
            stands[0],
            stands[1],
            "~4,800 tokens once all tasks are done",
            "now: Write it · 1 of 4 tasks done",
            "budget add AMOUNT --per session --tokens",
            "claude --resume s",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

#[test]
fn what_agents_without_hooks_report_is_shown_apart() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let then = "2020-01-01T00:00:00Z";
    s.transcript()
        .write(&[s.says(1).with("timestamp", then), s.answer("msg_1", 2, 87).with("timestamp", then)]);
    ledger.it_is(then).hooks([s.start(), s.stop()]);
    let report =
        |args: &[&str]| ledger.run(&[&["report-usage", "--agent-id"], args].concat()).text().to_owned();
    report(&["nightly", "--tokens", "600", "--cost", "0.25"]);
    report(&["nightly", "--tokens", "400", "--cost", "0.05"]);
    report(&["nightly", "--operation", "read", "--chars", "400"]);
    ledger.run_in(ledger.dir(), &["report-usage", "--agent-id", "elsewhere", "--tokens", "9"]).text();
    let usage = ledger.run(&["show-usage", "--session", "s", "--json"]).json();
    assert_eq!(
        usage["reported"],
        json!([{ "agent": "nightly", "reports": 3, "tokens": 1_000, "estimated_tokens": 100, "cost_usd": 0.3 }])
    );
    assert_eq!(usage["actual"]["total_tokens"], 200, "it is in no sum");
    let text = ledger.run(&["show-usage", "--session", "s"]).text().to_owned();
    assert!(text.contains("Reported by agents without hooks") && text.contains("nightly"), "{text}");
}

/// Starts the hook as somebody whom permissions keep from writing: root is not kept.
#[cfg(target_os = "linux")]
fn run_restricted(ledger: &Ledger, payload: &Value) -> Ran {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;

    const NOBODY: u32 = 65_534;
    let hook = ledger.command(&["hook"]);
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        return Ran::with_stdin(&mut { hook }, payload.to_string().as_bytes());
    }
    // Nobody may not be let into the folder of the program, but whoever holds it open may start it.
    let program = std::fs::File::open(hook.get_program()).unwrap();
    let mut command = std::process::Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg("hook").current_dir("/").env_clear().uid(NOBODY);
    command.envs(hook.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::with_stdin(&mut command, payload.to_string().as_bytes())
}

/// A session that is stopped, and has used more since.
#[cfg(target_os = "linux")]
fn stopped(ledger: &Ledger) -> Session {
    let s = Session::new(ledger, "s");
    ledger.hook(s.start());
    set(ledger, &["1", "--tokens", "--stop"]);
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
    s.transcript().append(&[s.call("msg_2", 3, 100)]);
    s
}

/// The events at which it would be stopped, and others.
#[cfg(target_os = "linux")]
fn events(s: &Session) -> [Value; 5] {
    [s.prompt("p2"), asks(s, "make"), s.tool("Bash", "toolu_1"), batch(s), s.stop()]
}

#[test]
#[cfg(target_os = "linux")]
fn a_ledger_that_is_read_only_stops_nobody() {
    use std::os::unix::fs::PermissionsExt as _;

    for is_whole_folder in [true, false] {
        let ledger = Ledger::new();
        let s = stopped(&ledger);
        let mode = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let folder = ledger.path().parent().unwrap().to_path_buf();
        mode(ledger.dir(), 0o755);
        mode(&folder, if is_whole_folder { 0o555 } else { 0o777 });
        for file in crate::support::files_below(&folder) {
            mode(&file, 0o444);
        }
        for event in events(&s) {
            run_restricted(&ledger, &event).assert_silent("a ledger that is read-only");
        }
        mode(&folder, 0o755);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_stops_nobody() {
    let ledger = Ledger::new();
    let s = stopped(&ledger);
    for event in events(&s) {
        // No file may grow: what a disk without room does to a program, and needs no disk.
        let mut shell = std::process::Command::new("/bin/sh");
        let hook = ledger.command(&["hook"]);
        shell.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" hook"]).arg(hook.get_program()).env_clear();
        shell.envs(hook.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::with_stdin(&mut shell, &event.to_string().into_bytes()).assert_silent("a full disk");
    }
    ledger.assert_sound();
    assert!(is_stop(&ledger.hook_answer(batch(&s))));
}
