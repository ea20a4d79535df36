//! Forks: a session that begins with what another one said. Each response counts once, for the session that asked for it,
//! whichever file is read first, by hooks or by an import, and whatever the ids of the sessions are.

use serde_json::{Value, json};
use tallyhook::domain::Usage;

use crate::bill::cost_state;
use crate::support::{Ledger, Session, With, answers, at};

/// What a fork made by `/branch` says of a line: where it was.
fn branched(line: &Value, fork: &str) -> Value {
    let from = json!({ "sessionId": line["sessionId"], "messageUuid": line["uuid"] });
    line.clone().with("sessionId", fork).with("forkedFrom", from)
}

/// What `--fork-session` says of an answer: which session asked for it.
fn asked_elsewhere(line: &Value, fork: &str) -> Value {
    let copy = line.clone().with("sessionId", fork);
    if line["type"] == "assistant" { copy.with("requestSessionId", line["sessionId"].clone()) } else { copy }
}

/// A copy of which nothing tells that it is one.
fn unmarked(line: &Value, fork: &str) -> Value {
    line.clone().with("sessionId", fork)
}

type Copy = fn(&Value, &str) -> Value;
const COPIES: [Copy; 3] = [branched, asked_elsewhere, unmarked];

/// A session's name and its transcript's lines.
type Log = (&'static str, Vec<Value>);

/// Reads the logs in every way that there is, and says what each session used.
fn assert_usage(make: impl Fn(&Ledger) -> Vec<Log>, expected: &[(&str, Usage)]) {
    for way in ["import", "hooks, the first first", "hooks, the last first", "one by one, then an import"] {
        let ledger = Ledger::new();
        let mut logs = make(&ledger);
        if way == "hooks, the last first" {
            logs.reverse();
        }
        for (name, lines) in &logs {
            let session = Session::new(&ledger, name);
            if way == "one by one, then an import" {
                // As they would be seen while they are written, the halves in turn.
                session.transcript().write(&lines[..lines.len() / 2]);
                ledger.hook(session.stop());
            } else {
                session.transcript().write(lines);
            }
        }
        for (name, lines) in &logs {
            let session = Session::new(&ledger, name);
            session.transcript().write(lines);
            if way.starts_with("hooks") {
                ledger.hook(session.stop());
            }
        }
        if way.ends_with("import") {
            let folder = ledger.dir().join("projects");
            ledger.run(&["import", "--path", &folder.display().to_string()]);
        }
        let found: Vec<(&str, Usage)> =
            expected.iter().map(|(name, _)| (*name, ledger.usage(name))).collect();
        assert_eq!(found, expected, "{way}");
        let sum = expected.iter().fold(Usage::default(), |sum, (_, usage)| sum + *usage);
        assert_eq!(ledger.usage_of_everything(), sum, "{way}");
    }
}

/// A parent of two turns, and its fork with one of its own.
fn pair(ledger: &Ledger, copy: Copy, [parent, fork]: [&'static str; 2]) -> Vec<Log> {
    let (p, f) = (Session::new(ledger, parent), Session::new(ledger, fork));
    let before = vec![p.says(1), p.answer("msg_1", 2, 40), p.says(3), p.answer("msg_2", 4, 50)];
    let mut own: Vec<Value> = before.iter().map(|line| copy(line, fork)).collect();
    own.extend([f.says(10), f.answer("msg_3", 11, 60)]);
    vec![(parent, before), (fork, own)]
}

#[test]
fn a_fork_in_a_terminal_takes_nothing_from_its_parent() {
    for copy in COPIES {
        for names in [["a", "b"], ["b", "a"]] {
            let expected = [(names[0], answers(2, 90)), (names[1], answers(1, 60))];
            assert_usage(|ledger| pair(ledger, copy, names), &expected);
        }
    }
}

#[test]
fn a_parent_that_goes_on_after_its_fork_keeps_both_parts() {
    for copy in COPIES {
        for names in [["a", "b"], ["b", "a"]] {
            let make = |ledger: &Ledger| {
                let mut logs = pair(ledger, copy, names);
                let p = Session::new(ledger, names[0]);
                logs[0].1.extend([p.says(20), p.answer("msg_4", 21, 70)]);
                logs
            };
            assert_usage(make, &[(names[0], answers(3, 160)), (names[1], answers(1, 60))]);
        }
    }
}

#[test]
fn a_fork_from_the_middle_leaves_the_rest_to_its_parent() {
    for copy in [branched as Copy, asked_elsewhere] {
        for names in [["a", "b"], ["b", "a"]] {
            let make = |ledger: &Ledger| {
                let mut logs = pair(ledger, copy, names);
                // The second turn was rewound before.
                logs[1].1.drain(2..4);
                logs
            };
            assert_usage(make, &[(names[0], answers(2, 90)), (names[1], answers(1, 60))]);
        }
    }
}

#[test]
fn a_fork_of_a_fork_has_what_it_said_itself() {
    for copy in COPIES {
        for names in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let make = |ledger: &Ledger| {
                let mut logs = pair(ledger, copy, [names[0], names[1]]);
                let second = Session::new(ledger, names[2]);
                let mut own: Vec<Value> = logs[1].1.iter().map(|line| copy(line, names[2])).collect();
                own.extend([second.says(30), second.answer("msg_5", 31, 80)]);
                logs.push((names[2], own));
                logs
            };
            let expected =
                [(names[0], answers(2, 90)), (names[1], answers(1, 60)), (names[2], answers(1, 80))];
            assert_usage(make, &expected);
        }
    }
}

#[test]
fn a_headless_fork_begins_with_a_note_that_is_younger_than_its_copies() {
    for names in [["a", "b"], ["b", "a"]] {
        let make = |ledger: &Ledger| {
            let mut logs = pair(ledger, unmarked, names);
            let note = json!({ "type": "queue-operation", "operation": "enqueue", "timestamp": at(9), "sessionId": names[1] });
            logs[1].1.insert(0, note);
            logs
        };
        assert_usage(make, &[(names[0], answers(2, 90)), (names[1], answers(1, 60))]);
    }
}

#[test]
fn a_forks_total_goes_on_from_its_parents() {
    let hidden = Usage { input: 500, output: 5, ..Usage::default() };
    for copy in COPIES {
        for names in [["a", "b"], ["b", "a"]] {
            let make = |ledger: &Ledger| {
                let mut logs = pair(ledger, copy, names);
                let parents = cost_state(names[0], &[("claude-opus-5-5", answers(2, 90) + hidden)]);
                let forks = cost_state(names[1], &[("claude-opus-5-5", answers(3, 150) + hidden + hidden)]);
                logs[0].1.push(parents);
                logs[1].1.push(forks);
                logs
            };
            let expected = [(names[0], answers(2, 90) + hidden), (names[1], answers(1, 60) + hidden)];
            assert_usage(make, &expected);
        }
    }
}

#[test]
fn a_fork_whose_parent_is_gone_counts_its_copies_for_nobody_in_particular() {
    for copy in [branched as Copy, asked_elsewhere] {
        let ledger = Ledger::new();
        let logs = pair(&ledger, copy, ["a", "b"]);
        let fork = Session::new(&ledger, "b");
        fork.transcript().write(&logs[1].1);
        ledger.hook(fork.stop());
        assert_eq!(ledger.usage("b"), answers(1, 60));
        assert_eq!(ledger.usage_of_everything(), answers(3, 150), "they were paid for");
    }
}

#[test]
fn a_side_question_counts_once() {
    // `/btw` repeats the conversation in a sidechain, with its own lines.
    let make = |ledger: &Ledger| {
        let s = Session::new(ledger, "a");
        let side = |line: Value| line.with("isSidechain", true).with("agentId", "side");
        let repeated = side(s.answer("msg_1", 2, 40)).with("uuid", "another").with("requestId", "req-other");
        vec![("a", vec![s.says(1), s.answer("msg_1", 2, 40), repeated, side(s.answer("msg_9", 5, 7))])]
    };
    assert_usage(make, &[("a", answers(2, 47))]);
}

/// The logs in every order in which they can be read.
fn orders(logs: usize) -> Vec<Vec<usize>> {
    let Some(last) = logs.checked_sub(1) else { return vec![Vec::new()] };
    let with_last =
        |order: Vec<usize>| (0..=last).map(move |at| [&order[..at], &[last], &order[at..]].concat());
    orders(last).into_iter().flat_map(with_last).collect()
}

#[test]
fn a_forks_side_question_repeats_what_its_parent_owns_whatever_is_read_first() {
    // A gateway counts from 1 in each session, so that whoever is read second has a variant of the id. The side question
    // has another request, line, and time than the response it repeats: only the fork has both.
    for order in orders(4) {
        let ledger = Ledger::new();
        let [other, parent, fork] = ["other", "parent", "fork"].map(|name| Session::new(&ledger, name));
        let answer =
            |s: &Session, second, output| s.answer("msg_3", second, output).with("requestId", "req_3");
        let asked = answer(&parent, 2, 40);
        let copy = branched(&asked, "fork");
        let repeated =
            copy.clone().with("uuid", "another").with("requestId", "req_other").with("timestamp", at(9));
        let repeated = repeated.with("isSidechain", true).with("agentId", "aside");
        let logs = [
            (other.transcript(), answer(&other, 5, 7).with("message.usage.input_tokens", 50)),
            (fork.transcript(), copy),
            (parent.transcript(), asked),
            (fork.subagent("subagents", "aside"), repeated),
        ];
        for log in &order {
            logs[*log].0.write(&[logs[*log].1.clone()]);
            ledger.import();
        }
        assert_eq!(ledger.usage("parent"), answers(1, 40), "{order:?}");
        assert_eq!(ledger.usage("fork"), Usage::default(), "{order:?}");
        assert_eq!(ledger.responses_of_all(), 2, "{order:?}");
        // Read anew, as after a repair, with what the ledger has of them.
        for log in &order {
            let (transcript, line) = &logs[*log];
            transcript.write(&[json!({ "type": "summary", "summary": "x" }), line.clone()]);
            ledger.import();
        }
        assert_eq!(ledger.responses_of_all(), 2, "{order:?}, read anew");
        ledger.assert_sound();
    }
}

#[test]
fn what_a_fork_goes_on_with_is_not_its_parents_though_a_gateway_has_one_id_and_request_for_all() {
    for order in orders(2) {
        let ledger = Ledger::new();
        let [parent, fork] = ["parent", "fork"].map(|name| Session::new(&ledger, name));
        let answer = |s: &Session, second: u32, output| {
            let answer = s.answer("msg", second, output).with("requestId", "req");
            answer.with("message.usage.input_tokens", 100 * second)
        };
        let asked = [parent.says(1), answer(&parent, 2, 40)];
        let copies = asked.clone().map(|line| branched(&line, "fork"));
        let logs = [(parent.transcript(), &asked), (fork.transcript(), &copies)];
        for log in order.iter().copied() {
            logs[log].0.write(logs[log].1);
            ledger.import();
        }
        fork.transcript().append(&[fork.says(3), answer(&fork, 4, 50)]);
        ledger.import();
        let of = |name: &str| (ledger.usage(name).input, ledger.output(name));
        assert_eq!([of("parent"), of("fork")], [(200, 40), (400, 50)], "{order:?}");
    }
}

#[test]
fn a_fork_whose_copies_keep_the_parents_id_is_linked_in_whatever_pieces_it_is_read() {
    // Clients 2.1.216 to 2.1.246 leave the parent's id on what they copy.
    let hidden = Usage { input: 500, output: 5, ..Usage::default() };
    for pieces in [1, 2, 3] {
        for then_forked_again in [false, true] {
            let ledger = Ledger::new();
            let (p, f) = (Session::new(&ledger, "p"), Session::new(&ledger, "f"));
            let before = vec![p.says(1), p.answer("msg_1", 2, 40), p.says(3), p.answer("msg_2", 4, 50)];
            let parents = cost_state("p", &[("claude-opus-5-5", answers(2, 90) + hidden)]);
            p.transcript().write(&before).append(&[parents]);
            ledger.hook(p.stop());
            let own = [f.says(10), f.answer("msg_3", 11, 60)];
            let total = cost_state("f", &[("claude-opus-5-5", answers(3, 150) + hidden)]);
            let parts: [&[Value]; 3] = [&before, &own, &[total]];
            for part in [&parts[..pieces - 1], &parts[pieces - 1..]] {
                part.iter().for_each(|lines| {
                    f.transcript().append(lines);
                });
                ledger.hook(f.stop());
            }
            if then_forked_again {
                let g = Session::new(&ledger, "g");
                let mut lines: Vec<Value> =
                    before.iter().chain(&own).map(|line| branched(line, "g")).collect();
                lines.extend([g.says(20), g.answer("msg_4", 21, 70)]);
                g.transcript().write(&lines);
                ledger.hook(g.stop());
                assert_eq!(ledger.usage("g"), answers(1, 70));
            }
            let found = (ledger.usage("p"), ledger.usage("f"));
            assert_eq!(found, (answers(2, 90) + hidden, answers(1, 60)), "{pieces} {then_forked_again}");
        }
    }
}

#[test]
fn a_fork_of_a_fork_that_goes_back_further_goes_on_from_its_own_parents_total() {
    let hidden = Usage { input: 500, output: 5, ..Usage::default() };
    let started = |line: Value, start: i64| line.with("startTime", start);
    for names in [["a", "b", "c"], ["c", "b", "a"]] {
        for copy in [branched as Copy, asked_elsewhere] {
            let make = |ledger: &Ledger| {
                let mut logs = pair(ledger, copy, [names[0], names[1]]);
                // The first fork began with a total of its own; the second has gone on from it, and back to the start.
                let first = cost_state(names[1], &[("claude-opus-5-5", answers(1, 60) + hidden)]);
                let c = Session::new(ledger, names[2]);
                let mut lines: Vec<Value> = logs[1].1[..2].iter().map(|line| copy(line, names[2])).collect();
                lines.extend([c.says(30), c.answer("msg_5", 31, 80)]);
                let second = cost_state(names[2], &[("claude-opus-5-5", answers(2, 140) + hidden)]);
                lines.push(started(second, 4_099_024_809_000));
                logs[1].1.push(started(first, 4_099_024_809_000));
                logs.push((names[2], lines));
                logs
            };
            let expected =
                [(names[0], answers(2, 90)), (names[1], answers(1, 60) + hidden), (names[2], answers(1, 80))];
            assert_usage(make, &expected);
        }
    }
}

#[test]
fn what_a_parent_adds_to_its_total_after_a_fork_is_not_taken_off_the_forks() {
    let hidden = Usage { input: 500, output: 5, ..Usage::default() };
    for names in [["a", "b"], ["b", "a"]] {
        let make = |ledger: &Ledger| {
            let mut logs = pair(ledger, branched, names);
            let total = |name: &str, usage: Usage| cost_state(name, &[("claude-opus-5-5", usage)]);
            // Before its second turn, and without a line at its end.
            logs[0].1.insert(2, total(names[0], answers(1, 40) + hidden));
            logs[0].1.push(total(names[0], answers(2, 90) + hidden + hidden + hidden));
            logs[1].1.push(total(names[1], answers(2, 100) + hidden + hidden));
            logs
        };
        let expected =
            [(names[0], answers(2, 90) + hidden + hidden + hidden), (names[1], answers(1, 60) + hidden)];
        assert_usage(make, &expected);
    }
}

#[test]
fn what_a_parents_subagent_used_is_not_hidden_in_a_forks_total_however_late_it_is_read() {
    for is_late in [false, true] {
        let ledger = Ledger::new();
        let mut logs = pair(&ledger, branched, ["a", "b"]);
        // The parent's own process was killed; the fork's total goes on from all that it had used.
        logs[1].1.push(cost_state("b", &[("claude-opus-5-5", answers(4, 157))]));
        for (name, lines) in &logs {
            Session::new(&ledger, name).transcript().write(lines);
        }
        let parent = Session::new(&ledger, "a");
        if is_late {
            ledger.import();
        }
        let of_run = parent.answer("msg_run", 3, 7).with("agentId", "run").with("isSidechain", true);
        parent.subagent("subagents", "run").write(&[of_run]);
        ledger.import();
        assert_eq!(ledger.usage("a"), answers(3, 97), "{is_late}");
        assert_eq!(ledger.usage("b"), answers(1, 60), "{is_late}");
    }
}

#[test]
fn a_fork_of_a_fork_that_was_rewound_goes_on_from_the_latest_total_of_its_process() {
    for copy in [branched as Copy, asked_elsewhere, unmarked] {
        let make = |ledger: &Ledger| {
            let mut logs = pair(ledger, copy, ["a", "b"]);
            // All three are of one process, which has counted on.
            logs[0].1.push(cost_state("a", &[("claude-opus-5-5", answers(2, 90))]));
            logs[1].1.push(cost_state("b", &[("claude-opus-5-5", answers(3, 150))]));
            let c = Session::new(ledger, "c");
            let mut lines: Vec<Value> = logs[1].1[..4].iter().map(|line| copy(line, "c")).collect();
            lines.extend([c.says(30), c.answer("msg_5", 31, 80)]);
            lines.push(cost_state("c", &[("claude-opus-5-5", answers(4, 230))]));
            logs.push(("c", lines));
            logs
        };
        assert_usage(make, &[("a", answers(2, 90)), ("b", answers(1, 60)), ("c", answers(1, 80))]);
    }
}
