//! Where costs came from: the parts are the whole on real transcripts, whatever order they are read in, and steps, tools
//! and agents show them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tallyhook::allocation::{self, AllocationProgress};
use tallyhook::domain::{CostParts, Timestamp, Usage};
use tallyhook::store::{AllocationRow, BucketFilter, HIDDEN_AGENT, Phase, QuarterHour};

use crate::material::{TREE, captured, collected};
use crate::support::{Example, Ledger, Session, With, at, copy_folder, repository};

/// Everything that attribution tells apart.
const KEYS: [&str; 6] = ["tool", "skill", "mcp", "step", "action", "file-type"];

/// The recorded example, the captured scenarios, and a generated tree with all that they lack.
fn transcripts() -> [PathBuf; 3] {
    [repository().join("examples"), captured(), TREE.projects()]
}

fn imported(folder: &Path) -> Ledger {
    let ledger = Ledger::new();
    ledger.import_from(folder);
    ledger
}

#[test]
fn parts_are_the_whole_by_every_key() {
    assert_parts_are_the_whole(&transcripts());
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn parts_of_collected_transcripts_are_the_whole_by_every_key() {
    assert_parts_are_the_whole(&[collected("corpus/claude")]);
}

fn assert_parts_are_the_whole(folders: &[PathBuf]) {
    for folder in folders {
        let ledger = imported(folder);
        let total = ledger.cost_by("session").total;
        for by in KEYS {
            // `cost_by` fails unless the rows add up to the total.
            let bill = ledger.cost_by(by);
            assert_eq!((bill.total.usage, bill.total.pico), (total.usage, total.pico), "{by}");
            assert_eq!(bill.total.responses, total.responses, "{by}");
        }
    }
}

/// What shares come to: usage, cost, calls and responses.
type Sum = (Usage, CostParts, u64, u64);

/// Allocations by what is told apart when they are added up over time.
#[derive(Debug, Default, PartialEq)]
struct Sums(BTreeMap<([String; 4], Phase), Sum>);

impl Sums {
    fn add(&mut self, share: &AllocationRow) {
        let agent = match share.agent_id.as_str() {
            id if id.is_empty() || id == HIDDEN_AGENT => id,
            _ => "a subagent",
        };
        let names = [agent, &share.tool, &share.skill, &share.model].map(str::to_owned);
        let sum = self.0.entry((names, share.phase)).or_default();
        sum.0 += share.usage;
        sum.1 += share.cost.unwrap_or_default();
        sum.2 += share.calls;
        sum.3 += share.responses;
    }
}

#[test]
fn sums_answer_for_a_period_what_all_shares_do() {
    assert_sums_answer_what_shares_do(&transcripts());
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn sums_of_collected_transcripts_answer_for_a_period_what_all_shares_do() {
    assert_sums_answer_what_shares_do(&[collected("corpus/claude")]);
}

fn assert_sums_answer_what_shares_do(folders: &[PathBuf]) {
    let (mut whole, mut cut) = (0, 0);
    for folder in folders {
        let ledger = imported(folder);
        // Works the shares out.
        ledger.cost_by("tool");
        let store = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
        let mut quarters: BTreeSet<QuarterHour> = BTreeSet::new();
        store
            .allocations()
            .for_each(&BucketFilter::default(), |_, share| quarters.extend(share.quarter))
            .unwrap();
        let step = (quarters.len() / 6).max(1);
        let bounds: Vec<_> = [None].into_iter().chain(quarters.into_iter().step_by(step).map(Some)).collect();
        for (from, until) in bounds.iter().flat_map(|from| bounds.iter().map(move |until| (*from, *until))) {
            let filter = BucketFilter { from, until, ..BucketFilter::default() };
            let (mut all, mut summed) = (Sums::default(), Sums::default());
            store.allocations().for_each(&filter, |_, share| all.add(share)).unwrap();
            store
                .allocations()
                .for_each_summed(&filter, |_, share| {
                    summed.add(share);
                    whole += u32::from(share.quarter.is_none());
                    cut += u32::from(share.quarter.is_some());
                })
                .unwrap();
            assert_eq!(summed, all, "{} from {from:?} until {until:?}", folder.display());
        }
    }
    assert!(whole > 0 && cut > 0, "{whole} rows of sums, {cut} others");
}

#[test]
fn the_order_of_files_and_pieces_does_not_matter() {
    let folder = repository().join("examples/session/projects");
    let whole = imported(&folder);
    for seed in 0..4 {
        let ledger = Ledger::new();
        for percent in [40, 70, 100] {
            ledger.import_in_pieces(&folder, seed, percent);
            // A view in between reads what there is.
            ledger.cost_by("tool");
        }
        for by in KEYS {
            assert_eq!(ledger.cost_by(by).by_key(), whole.cost_by(by).by_key(), "seed {seed}, by {by}");
        }
        ledger.import();
        assert_eq!(ledger.cost_by("tool").by_key(), whole.cost_by("tool").by_key(), "imported twice");
    }
}

#[test]
fn hooks_and_imports_find_the_same() {
    let example = Example::replayed();
    let imported = Ledger::new();
    copy_folder(&repository().join("examples"), &imported.projects());
    imported.import();
    for by in ["tool", "skill", "mcp", "step", "file-type"] {
        assert_eq!(example.ledger.cost_by(by).by_key(), imported.cost_by(by).by_key(), "{by}");
    }
}

#[test]
fn copies_whose_original_comes_later_are_in_no_two_sums() {
    let ledger = Ledger::new();
    let (first, second) = (Session::new(&ledger, "first"), Session::new(&ledger, "second"));
    let common = [first.says(1), first.answer("msg_1", 2, 10)];
    second
        .transcript()
        .write(&common.clone().map(|line| line.with("sessionId", "second")))
        .append(&[second.says(61), second.answer("msg_2", 62, 20)]);
    ledger.import();
    // A view in between: the copies count for the session that has them.
    ledger.cost_by("tool");
    first.transcript().write(&[first.says(0)]).append(&common);
    ledger.import();
    for by in KEYS {
        assert_eq!(ledger.cost_by(by).total.usage, ledger.total().usage, "{by}");
    }
    assert_eq!(
        ledger.run(&["tools", "--json"]).json()["total"]["total_tokens"],
        ledger.total().usage.total()
    );
}

/// A session of three responses with the numbers of `src/attribution/README.md`.
fn worked() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&worked_lines(&session));
    (ledger, session)
}

fn worked_lines(session: &Session) -> [Value; 6] {
    let answer = |id: &str, second: u32, write: u64, read: u64, output: u64, content: Value, stop: &str| {
        session
            .answer(id, second, output)
            .with("message.content", content)
            .with("message.stop_reason", stop)
            .with(
                "message.usage",
                json!({ "input_tokens": 0, "output_tokens": output, "cache_creation_input_tokens": write,
                    "cache_read_input_tokens": read }),
            )
    };
    let call = |id: &str, tool: &str| json!({ "type": "tool_use", "id": id, "name": tool, "input": {} });
    let result = |second: u32, id: &str, text: &str| {
        session
            .result(second)
            .with("message.content", json!([{ "type": "tool_result", "tool_use_id": id, "content": text }]))
    };
    [
        session.says(1),
        answer("msg_1", 2, 10_000, 0, 20, json!([call("toolu_1", "Read")]), "tool_use"),
        result(3, "toolu_1", &"word ".repeat(1_100)),
        answer("msg_2", 4, 2_020, 10_000, 100, json!([call("toolu_2", "mcp__tracker__get")]), "tool_use"),
        result(5, "toolu_2", "done"),
        answer("msg_3", 6, 400, 12_020, 80, json!([{ "type": "text", "text": "Finished." }]), "end_turn"),
    ]
}

#[test]
fn a_result_is_paid_for_again_by_every_response_that_reads_it() {
    let (ledger, _) = worked();
    ledger.import();
    let tools = ledger.run(&["tools", "--json"]).json();
    let row = |name: &str| -> Value {
        tools["rows"].as_array().unwrap().iter().find(|row| row["tool"] == name).unwrap().clone()
    };
    let read = row("Read");
    assert_eq!(
        (&read["calls"], &read["entry_tokens"], &read["carry_tokens"]),
        (&json!(1), &json!(2_040), &json!(2_020))
    );
    // 2,020 written to the cache at $5, 20 of output at $20, 2,020 read again at $0.20 a million.
    assert_eq!(read["entry_cost_usd"].to_string(), "0.0105");
    assert_eq!(read["carry_cost_usd"].to_string(), "0.000404");
    let server = ledger.cost_by("mcp");
    assert_eq!(server.row("tracker").usage.output, 100);
    let carried: u64 =
        tools["rows"].as_array().unwrap().iter().map(|row| row["carry_tokens"].as_u64().unwrap()).sum();
    assert_eq!(carried, 10_000 + 12_020);
}

#[test]
fn a_named_step_has_what_was_spent_in_it() {
    let (ledger, session) = worked();
    ledger.hook(session.start());
    assert_eq!(
        ledger.run(&["step", "start", "  write\u{1b}the parser "]).text(),
        "started write the parser\n"
    );
    assert_eq!(ledger.run(&["step", "end", "another"]).code, Some(4));
    assert_eq!(ledger.run(&["step", "end"]).text(), "ended write the parser\n");
    let again = ledger.run(&["step", "end"]);
    assert_eq!((again.code, again.stderr.contains("no step is open")), (Some(4), true), "{again:?}");
    // All of the transcript lies in 2099, after the step.
    ledger.hook(session.stop());
    let list = ledger.run(&["step", "list", "--json"]).json();
    let names: Vec<&str> =
        list["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["turn 1"]);
    assert_eq!(list["steps"][0]["total_tokens"], 10_020 + 12_120 + 12_500);
}

#[test]
fn the_task_in_progress_is_the_step_live_and_from_the_log() {
    let update = |session: &Session, id: &str, status: &str| {
        session
            .tool("TaskUpdate", &format!("toolu_{id}{status}"))
            .with("tool_input", json!({ "taskId": id, "status": status }))
            .with("tool_response", json!({ "success": true, "taskId": id }))
    };
    let (ledger, session) = worked();
    let create = session
        .tool("TaskCreate", "toolu_c")
        .with("tool_input", json!({ "subject": "Find the bug", "description": "x" }))
        .with("tool_response", json!({ "task": { "id": "1", "subject": "Find the bug" } }));
    ledger.hook(session.prompt("p")).hook(create).hook(update(&session, "1", "in_progress"));
    let list = ledger.run(&["step", "list", "--json"]).json();
    assert_eq!(
        (&list["current"], &list["tasks"]),
        (&json!("Find the bug"), &json!({ "done": 0, "total": 1 }))
    );
    ledger.hook(update(&session, "1", "completed"));
    assert_eq!(ledger.run(&["step", "list", "--json"]).json()["tasks"]["done"], 1);
    // The same events again change nothing.
    ledger.hook(update(&session, "1", "in_progress"));
    assert_eq!(ledger.run(&["step", "list", "--json"]).json()["tasks"]["done"], 1);

    let (ledger, session) = worked();
    let todos = json!({ "todos": [{ "content": "Look around", "status": "in_progress" }] });
    let call = json!([{ "type": "tool_use", "id": "toolu_9", "name": "TodoWrite", "input": todos }]);
    let line =
        session.answer("msg_4", 7, 5).with("message.content", call).with("message.stop_reason", "tool_use");
    session.transcript().append(&[line, session.answer("msg_5", 9, 7)]);
    ledger.import();
    assert_eq!(ledger.cost_by("step").row("Look around").responses, 2);
    let one = ledger.run(&["show-usage", "--session", "session", "--step", "Look around", "--json"]).json();
    assert_eq!(one["by_step"].as_array().unwrap().len(), 1);
    assert_eq!(
        ledger.run(&["show-usage", "--session", "session", "--step", "2", "--json"]).json()["by_step"],
        one["by_step"]
    );
    let wrong = ledger.run(&["show-usage", "--session", "session", "--step", "nothing"]);
    assert_eq!((wrong.code, wrong.stderr.contains("Look around")), (Some(4), true), "{wrong:?}");
}

#[test]
fn names_of_steps_are_numbers_for_those_who_want_none_kept() {
    let (ledger, session) = worked();
    let config = ledger.dir().join("config.toml");
    std::fs::write(&config, "store_names = false\n").unwrap();
    let todos = json!({ "todos": [{ "content": "a secret plan", "status": "in_progress" }] });
    let call = json!([{ "type": "tool_use", "id": "toolu_9", "name": "TodoWrite", "input": todos }]);
    session.transcript().append(&[session.answer("msg_4", 7, 5).with("message.content", call)]);
    let payload = session.tool("TodoWrite", "toolu_8").with("tool_input", todos);
    let config = config.to_str().unwrap();
    let projects = ledger.projects();
    ledger.run(&["--config", config, "import", "--path", projects.to_str().unwrap()]).text();
    let hook = ledger.command(&["--config", config, "hook"]);
    crate::support::Ran::with_stdin(&mut { hook }, payload.to_string().as_bytes()).assert_silent("hook");
    let started =
        ledger.run(&["--config", config, "step", "--session", "session", "start", "another secret"]);
    assert_eq!(started.text(), "started step 1\n");
    ledger.run(&["--config", config, "cost", "--by", "step"]).text();
    let bytes = ledger.bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
}

#[test]
fn runs_of_a_type_teach_what_the_next_one_will_use() {
    let ledger = Ledger::new();
    for number in 0..6 {
        let session = Session::new(&ledger, &format!("session-{number}"));
        session.transcript().write(&[session.says(1), session.answer(&format!("msg_{number}"), 2, 10)]);
        session
            .subagent("subagents", &format!("a{number}"))
            .write(&[session.answer_of(&format!("a{number}"), &format!("sub_{number}"), 3, 1_000 + number)])
            .meta("Surveyor");
    }
    ledger.import();
    let agents = ledger.run(&["agents", "--json"]).json();
    let row = agents["rows"].as_array().unwrap().iter().find(|row| row["agent"] == "Surveyor").unwrap();
    assert_eq!(
        (&row["runs"], &row["learned"]["n"], &row["in_force"]),
        (&json!(6), &json!(6), &json!("learned"))
    );
    assert_eq!(row["default"]["n"], 0);
    let learned = row["learned"]["billed_tokens"].clone();
    // A new run is taken to use as much until its own transcript tells.
    let session = Session::new(&ledger, "new");
    let start = session.event("SubagentStart").with("agent_id", "fresh").with("agent_type", "Surveyor");
    ledger.hook(session.prompt("p")).hook(start);
    let pending = ledger.report("new")["estimate"]["pending"]["subagent_tokens"].clone();
    assert_eq!(pending, learned);
    let all: u64 =
        agents["rows"].as_array().unwrap().iter().map(|row| row["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!(agents["total"]["total_tokens"], all);
}

#[test]
fn turns_teach_how_a_model_counts() {
    let (ledger, session) = worked();
    let call = session.tool("Read", "toolu_1").with(
        "tool_response",
        json!({ "type": "text", "file": {
        "content": "word ".repeat(1_100), "numLines": 1, "startLine": 1, "totalLines": 1 } }),
    );
    ledger.hook(session.prompt("p")).hook(&call).hook(session.stop());
    let checks = ledger.run(&["doctor", "--json"]).json();
    let check =
        checks["checks"].as_array().unwrap().iter().find(|check| check["check"] == "estimates").unwrap();
    assert!(check["found"].as_str().unwrap().contains("n = 2"), "{check}");
    let report = ledger.run(&["show-usage", "--session", "session", "--json"]).json();
    assert!(report["estimate"]["error_percent"].as_f64().unwrap() < 100.0, "{report}");
    let (raw, estimated) =
        (report["estimate"]["raw_tokens"].as_u64(), report["estimate"]["total_tokens"].as_u64());
    assert!(estimated > raw, "{report}");
    // The same transcript read again teaches nothing new.
    let before = learned(&ledger);
    ledger.hook(session.stop());
    ledger.import();
    ledger.run(&["tools"]).text();
    assert_eq!(learned(&ledger), before);
}

/// What the ledger has learned, as it is kept.
fn learned(ledger: &Ledger) -> String {
    ledger
        .sqlite()
        .query_row("SELECT value FROM meta WHERE name LIKE 'calibration:%'", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_file_teaches_the_same_in_whatever_pieces_it_is_read() {
    let (whole, session) = worked();
    whole.hook(session.stop());
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    let transcript = session.transcript();
    for line in worked_lines(&session) {
        transcript.append(&[line]);
        ledger.hook(session.stop());
    }
    assert_eq!(numbers(&ledger), numbers(&whole));
}

/// The numbers that were learned, as far as they do not depend on how often they were rounded to be kept.
fn numbers(ledger: &Ledger) -> Vec<String> {
    let value: Value = serde_json::from_str(&learned(ledger)).unwrap();
    let lists = ["sums", "returned", "written"].map(|name| value[name].as_array().unwrap().clone());
    let numbers = lists.into_iter().flatten().map(|number| format!("{:.4e}", number.as_f64().unwrap()));
    [value["gaps"].to_string(), value["responses"].to_string()].into_iter().chain(numbers).collect()
}

#[test]
fn what_was_counted_for_the_estimate_is_what_is_learned_from() {
    let (known, session) = worked();
    let call = session.tool("Read", "toolu_1").with("tool_response", json!({ "text": "x ".repeat(3_000) }));
    known.hook(&call).hook(session.stop());
    let (unknown, session) = worked();
    unknown.hook(session.stop());
    let slope = |ledger: &Ledger| -> f64 {
        serde_json::from_str::<Value>(&learned(ledger)).unwrap()["returned"][0].as_f64().unwrap()
    };
    assert!(slope(&known) < slope(&unknown), "more was counted than came in, so less comes in for each");
}

#[test]
fn an_advisors_pass_is_the_advisors() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    let pass = |kind: &str, input: u64, output: u64| json!({ "type": kind, "model": "claude-opus-5-5", "input_tokens": input, "output_tokens": output });
    let advised = session.answer("msg_1", 2, 10).with(
        "message.usage",
        json!({
        "input_tokens": 40, "output_tokens": 30,
        "iterations": [pass("message", 20, 10), pass("advisor_message", 900, 70), pass("message", 20, 20)] }),
    );
    session.transcript().write(&[session.says(1), advised, session.answer("msg_2", 3, 5)]);
    ledger.import();
    let tools = ledger.run(&["tools", "--json"]).json();
    let row = |name: &str| tools["rows"].as_array().unwrap().iter().find(|row| row["tool"] == name).cloned();
    let advisor = row("advisor").unwrap();
    assert_eq!(
        (&advisor["calls"], &advisor["entry_tokens"], &advisor["carry_tokens"]),
        (&json!(0), &json!(970), &json!(0))
    );
    assert_eq!(row("(none)"), None);
    assert_eq!(ledger.cost_by("tool").total.usage, ledger.total().usage);
    assert_eq!(
        ledger.report("session")["session"]["tool_calls"],
        0,
        "it is the provider's, no call of the client"
    );
}

#[test]
fn lines_of_several_sessions_in_one_file_are_each_sessions_own() {
    let ledger = Ledger::new();
    let (first, second) = (Session::new(&ledger, "first"), Session::new(&ledger, "second"));
    let lines = |session: &Session, at: u32, response: &str, call: &str| {
        let id = format!("{response}_call");
        let made = json!([{ "type": "tool_use", "id": id, "name": call, "input": {} }]);
        let result = json!([{ "type": "tool_result", "tool_use_id": id, "content": "word ".repeat(40) }]);
        [
            session.says(at),
            session.answer(response, at + 1, 20).with("message.content", made),
            session.result(at + 2).with("message.content", result),
            session.answer(&format!("{response}_end"), at + 3, 30),
        ]
    };
    first.transcript().write(&lines(&first, 1, "msg_1", "Read")).append(&lines(&second, 11, "msg_2", "Bash"));
    ledger.import();
    let tools = |session: &str| -> Vec<(String, u64)> {
        let report = ledger.run(&["show-usage", "--session", session, "--json"]).json();
        let rows = report["by_tool"].as_array().unwrap().iter();
        rows.map(|row| (row["tool"].as_str().unwrap().to_owned(), row["calls"].as_u64().unwrap()))
            .filter(|(tool, _)| !tool.starts_with('(') || tool == "(none)")
            .collect()
    };
    assert_eq!(tools("first"), [("Read".to_owned(), 1)]);
    assert_eq!(tools("second"), [("Bash".to_owned(), 1)]);
    assert_eq!(ledger.cost_by("tool").total.usage, ledger.total().usage);
    assert!(!ledger.cost_by("tool").by_key().contains_key("(none)"));
}

#[test]
fn tasks_of_a_file_of_two_sessions_are_its_own_sessions() {
    let ledger = Ledger::new();
    let (parent, fork) = (Session::new(&ledger, "parent"), Session::new(&ledger, "fork"));
    let todo = |session: &Session, at: u32, name: &str| {
        let input = json!({ "todos": [{ "content": name, "status": "in_progress" }] });
        let made = json!([{ "type": "tool_use", "id": name, "name": "TodoWrite", "input": input }]);
        [
            session.answer(&format!("{name}_1"), at, 20).with("message.content", made),
            session.result_of(at + 1, name, "done"),
            session.answer(&format!("{name}_2"), at + 2, 30),
        ]
    };
    parent.transcript().write(&[parent.says(1)]).append(&todo(&parent, 2, "ours"));
    fork.transcript()
        .write(&todo(&fork, 11, "theirs"))
        .append(&[parent.answer("late", 20, 5).with("sessionId", "parent")]);
    ledger.import();
    let steps = |session: &str| -> Vec<String> {
        let report = ledger.run(&["show-usage", "--session", session, "--json"]).json();
        let rows = report["by_step"].as_array().unwrap().iter();
        rows.map(|row| row["step"].as_str().unwrap().to_owned())
            .filter(|step| !step.starts_with('('))
            .collect()
    };
    for _ in 0..2 {
        assert!(steps("parent").contains(&"ours".to_owned()), "{:?}", steps("parent"));
        assert!(!steps("parent").contains(&"theirs".to_owned()), "{:?}", steps("parent"));
        assert!(steps("fork").contains(&"theirs".to_owned()), "{:?}", steps("fork"));
    }
}

#[test]
fn shares_of_an_older_format_are_worked_out_anew() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&lines_with_a_call(&session, "a", "Read"));
    ledger.import();
    let tools = || ledger.run(&["tools", "--json"]).json();
    let known = tools();
    // As another release has left them: names and numbers that mean something else now.
    ledger
        .sqlite()
        .execute_batch("UPDATE allocations SET version = version - (1 << 48), body = x'00'")
        .unwrap();
    assert_eq!(tools(), known);
}

/// A session of one call of a tool, which a second response has read.
fn lines_with_a_call(session: &Session, name: &str, tool: &str) -> [Value; 4] {
    let (response, call) = (format!("{name}_1"), format!("{name}_call"));
    let made = json!([{ "type": "tool_use", "id": call, "name": tool, "input": {} }]);
    [
        session.says(1),
        session.answer(&response, 2, 20).with("message.content", made),
        session.result_of(3, &call, &"word ".repeat(40)),
        session.answer(&format!("{name}_2"), 4, 30),
    ]
}

#[test]
fn sessions_and_files_that_come_while_contents_are_read_are_shared_out_like_all() {
    let ledger = Ledger::new();
    let (first, second) = (Session::new(&ledger, "first"), Session::new(&ledger, "second"));
    first.transcript().write(&lines_with_a_call(&first, "a", "Read"));
    ledger.import();
    let meanwhile = std::cell::Cell::new(0);
    let comes = |progress: AllocationProgress| {
        if !matches!(progress, AllocationProgress::Reading(..)) {
            return;
        }
        match meanwhile.replace(meanwhile.get() + 1) {
            0 => second.transcript().write(&lines_with_a_call(&second, "b", "Bash")),
            1 => second.subagent("subagents", "x").write(&lines_of_a_run(&second, "c", "Grep")),
            _ => return,
        };
        ledger.import();
    };
    allocation::refresh(&mut ledger.open(), true, None, comes).unwrap();
    let by_tool = ledger.cost_by("tool");
    assert!(meanwhile.get() >= 3, "{}", meanwhile.get());
    assert!(!by_tool.by_key().contains_key("(none)"), "{by_tool:?}");
    for tool in ["Read", "Bash", "Grep"] {
        assert!(by_tool.row(tool).usage.output > 0, "{tool}");
    }
}

/// A line of a subagent as the subagent's own file has it.
fn lines_of_a_run(session: &Session, name: &str, tool: &str) -> Vec<Value> {
    let lines = lines_with_a_call(session, name, tool).into_iter().zip(1..);
    let of_run = |(line, at): (Value, u32)| {
        line.with("isSidechain", true).with("agentId", "x").with("uuid", format!("{name}-{at}"))
    };
    lines.map(of_run).collect()
}

#[test]
fn a_file_that_comes_while_its_sessions_are_read_is_not_lost() {
    for keeps_coming in [false, true] {
        let ledger = Ledger::new();
        let session = Session::new(&ledger, "session");
        session.transcript().write(&lines_with_a_call(&session, "a", "Read"));
        ledger.import();
        let runs = std::cell::Cell::new(0);
        let comes = |_: AllocationProgress| {
            if keeps_coming || runs.get() == 0 {
                let run = format!("x{}", runs.replace(runs.get() + 1));
                let lines = lines_of_a_run(&session, &run, "Grep").into_iter();
                let lines: Vec<Value> = lines.map(|line| line.with("agentId", &*run)).collect();
                session.subagent("subagents", &run).write(&lines);
                ledger.import();
            }
        };
        let mut open = ledger.open();
        let row = open.sessions().find("session").unwrap().unwrap().row;
        let found = allocation::of_session(&mut open, true, row, comes).unwrap();
        let mut of_all = Usage::default();
        found.rows.for_each(|row| of_all += row.usage);
        assert_eq!(of_all, ledger.total().usage);
        let by_tool = ledger.cost_by("tool");
        assert!(!by_tool.by_key().contains_key("(none)"), "{by_tool:?}");
        assert_eq!(by_tool.row("Grep").usage.output, 20 * runs.get());
    }
}

#[test]
fn agents_show_what_came_in_and_what_was_read_again() {
    let ledger = imported(&repository().join("examples"));
    let agents = ledger.run(&["agents", "--json"]).json();
    let rows = agents["rows"].as_array().unwrap();
    for field in ["entry_tokens", "carry_tokens"] {
        let sum: u64 = rows.iter().map(|row| row[field].as_u64().unwrap()).sum();
        assert_eq!(agents["total"][field], sum);
    }
    for row in rows.iter().filter(|row| row["agent"] != "(hidden)") {
        let part = |field: &str| row[field].as_u64().unwrap();
        assert_eq!(part("entry_tokens") + part("carry_tokens"), part("total_tokens"), "{row}");
        assert!(part("entry_tokens") > 0 && row["entry_cost_usd"].as_f64().unwrap() > 0.0, "{row}");
    }
    let tools = ledger.run(&["tools", "--json"]).json();
    assert_eq!(agents["total"]["entry_tokens"], tools["total"]["entry_tokens"]);
    assert_eq!(agents["total"]["carry_cost_usd"], tools["total"]["carry_cost_usd"]);
}

#[test]
fn a_background_agent_counts_while_it_runs() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&[session.says(1), session.call("msg_1", 2, 10)]);
    let file = session.subagent("subagents", "a1");
    file.write(&[session.answer_of("a1", "sub_1", 3, 40)]).meta("Explore");
    let launched = session
        .tool("Agent", "toolu_1")
        .with("tool_input", json!({ "subagent_type": "Explore", "run_in_background": true }))
        .with("tool_response", json!({ "status": "async_launched", "agentId": "a1" }));
    let start = session.event("SubagentStart").with("agent_id", "a1").with("agent_type", "Explore");
    let stop = session.stop().with("background_tasks", json!([{ "id": "a1", "status": "running" }]));
    ledger.hook(session.prompt("p")).hook(start).hook(launched).hook(stop);
    let explore = || -> (Value, Value) {
        let report = ledger.run(&["show-usage", "--session", "session", "--json"]).json();
        let rows = report["by_agent"].as_array().unwrap();
        let row = rows.iter().find(|row| row["agent"] == "Explore").unwrap();
        (row["total_tokens"].clone(), row["pending_tokens"].clone())
    };
    // What its own transcript tells takes the place of the table's figure.
    assert_eq!(explore(), (json!(153), json!(0)));
    file.append(&[session.answer_of("a1", "sub_2", 4, 60)]);
    assert_eq!(explore(), (json!(153 + 173), json!(0)));
    let agents = ledger.run(&["agents", "--json"]).json();
    let row = agents["rows"].as_array().unwrap().iter().find(|row| row["agent"] == "Explore").unwrap();
    assert_eq!((&row["runs"], &row["total_tokens"]), (&json!(1), &json!(326)));
}

#[test]
fn agents_counts_runs_that_nothing_else_tells_of_and_moves_them_once_their_type_is_known() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 10),
        session.echo_of("a1", "sub_1", 3, 40),
        session.echo_of("a1", "sub_2", 4, 50),
        session.echo_of("a2", "sub_3", 5, 60),
    ]);
    ledger.import();
    let rows = || -> Vec<(String, u64, u64)> {
        let report = ledger.run(&["agents", "--json"]).json();
        let rows = report["rows"].as_array().unwrap().iter();
        let number = |value: &Value| value.as_u64().unwrap();
        let rows = rows.map(|row| {
            (
                row["agent"].as_str().unwrap().into(),
                number(&row["runs"]),
                number(&row["usage"]["output_tokens"]),
            )
        });
        rows.collect()
    };
    let row = |agent: &str, runs, output| (agent.to_owned(), runs, output);
    let sorted = |mut rows: Vec<(String, u64, u64)>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(rows()), [row("main", 1, 10), row("subagent", 2, 150)]);
    // Nothing new was spent since.
    ledger.hook(session.event("SubagentStart").with("agent_id", "a2"));
    assert_eq!(sorted(rows()), [row("main", 1, 10), row("subagent", 2, 150)]);
    let stop = session.event("SubagentStop").with("agent_id", "a2").with("agent_type", "Explore");
    ledger.hook(stop);
    assert_eq!(sorted(rows()), [row("Explore", 1, 60), row("main", 1, 10), row("subagent", 1, 90)]);
    let of_cost = ledger.cost_by("agent");
    assert_eq!(of_cost.row("Explore").usage.output, 60);
}

#[test]
fn steps_that_overlap_or_never_end_share_a_resumed_session() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    session.transcript().write(&[session.says(1), session.answer("msg_1", 2, 10)]);
    ledger.hook(session.start()).hook(session.stop());
    // As `step start` and `step end` keep them, at times of the transcript: the commands know no other time than now.
    let time = |second: u32| Timestamp::parse(&at(second)).unwrap().as_millis();
    let named = [("outer", time(10), None), ("inner", time(20), Some(time(40)))];
    for (name, from, until) in named {
        let insert = "INSERT INTO named_steps SELECT id, ?1, ?2, ?3 FROM sessions";
        ledger.sqlite().execute(insert, (from, until, name)).unwrap();
    }
    session.transcript().append(&[session.says(11), session.answer("msg_2", 12, 20)]);
    session.transcript().append(&[session.says(21), session.answer("msg_3", 22, 30)]);
    ledger.hook(session.end());
    // It goes on though nobody has ended the first one.
    ledger.hook(session.start().with("source", "resume"));
    session.transcript().append(&[session.says(31), session.answer("msg_4", 32, 40)]);
    session.transcript().append(&[session.says(41), session.answer("msg_5", 42, 50)]);
    ledger.hook(session.stop());
    let steps = ledger.cost_by("step");
    for (name, output) in [("(turns)", 10), ("outer", 20 + 50), ("inner", 30 + 40)] {
        assert_eq!(steps.row(name).usage.output, output, "{name}");
    }
    assert_eq!(steps.total.usage, ledger.total().usage);
    let outer = ledger.run(&["show-usage", "--session", "session", "--step", "outer", "--json"]).json();
    let row = &outer["by_step"][0];
    assert_eq!((&row["step"], &row["iterations"]), (&json!("outer"), &json!(2)));
    let part = |name: &str| row[name].as_f64().unwrap();
    assert!(part("entry_cost_usd") > 0.0 && part("carry_cost_usd") > 0.0, "{row}");
    let whole = part("entry_cost_usd") + part("carry_cost_usd");
    assert!((whole - part("cost_usd")).abs() < 1e-12, "{row}");
}

#[test]
fn the_clients_words_are_as_large_as_what_is_sent() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    let attached = |attachment: Value| {
        session.result(3).with("type", "attachment").without("message").with("attachment", attachment)
    };
    let tasks = json!([{ "subject": "Tag", "description": "at length" }, { "subject": "Push" }]);
    let rendered = json!([{ "content": "one two three" }]);
    session.transcript().write(&[
        session.says(1),
        session.answer("msg_1", 2, 10),
        // A sentence of 70 and marks of 10, then 6 and the subject for each task.
        attached(json!({ "type": "task_reminder", "content": [] })),
        attached(json!({ "type": "task_reminder", "content": tasks })),
        attached(json!({ "type": "hook_additional_context", "content": ["one two three"] })),
        attached(json!({ "type": "nested_memory", "path": "/a/long/path", "content": { "path": "/a", "content": "one two three" } })),
        attached(json!({ "type": "hook_additional_context", "content": ["x"] })).with("rendered", rendered),
        attached(json!({ "type": "hook_success", "content": "never sent" })),
        session.answer("msg_2", 4, 10),
    ]);
    ledger.import();
    ledger.cost_by("tool");
    let entries: String =
        ledger.sqlite().query_row("SELECT entries FROM context_parts", [], |row| row.get(0)).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&entries).unwrap();
    let notes: Vec<u64> =
        entries.iter().filter(|entry| entry["k"] == "n").map(|entry| entry["t"].as_u64().unwrap()).collect();
    assert_eq!(notes, [80, 80 + 2 * 7, 22 + 3, 10 + 3, 3]);
}

#[test]
fn an_echoed_subagent_has_entry_and_carry_where_its_own_file_is_missing() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "session");
    let made = json!([{ "type": "tool_use", "id": "toolu_9", "name": "Grep", "input": {} }]);
    let result = json!([{ "type": "tool_result", "tool_use_id": "toolu_9", "content": "word ".repeat(40) }]);
    let echoes = [
        session.echo_of("a1", "sub_1", 3, 40).with("data.message.message.content", made),
        session
            .echo_of("a1", "sub_1", 4, 40)
            .with("data.message.type", "user")
            .with("data.message.message", json!({ "role": "user", "content": result })),
        session.echo_of("a1", "sub_2", 5, 60),
    ];
    session.transcript().write(&[session.says(1), session.answer("msg_1", 2, 10)]).append(&echoes);
    ledger.import();
    let tools = ledger.cost_by("tool");
    assert!(tools.row("Grep").usage.output > 0);
    assert!(!tools.by_key().contains_key("(none)"));
    assert_eq!(tools.total.usage, ledger.total().usage);
    // Its own file says the same, once.
    let own = [session.answer_of("a1", "sub_1", 3, 40), session.answer_of("a1", "sub_2", 5, 60)];
    session.subagent("subagents", "a1").write(&own);
    ledger.import();
    assert_eq!(ledger.cost_by("tool").total.usage, ledger.total().usage);
    assert!(!ledger.cost_by("tool").by_key().contains_key("(none)"));
}

#[test]
fn behind_a_gateway_with_one_id_a_subagents_calls_are_its_own() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let of = |run: &str, tool: &str, at: u32| {
        let id = format!("toolu_{run}");
        let made = json!([{ "type": "tool_use", "id": id, "name": tool, "input": {} }]);
        let line =
            s.answer("msg", at, 20).with("message.content", made).with("requestId", format!("req_{run}"));
        line.with("agentId", run).with("isSidechain", true)
    };
    s.transcript().write(&[s.says(1), s.answer("msg", 2, 10).with("requestId", "req_main")]);
    s.subagent("subagents", "one").write(&[of("one", "Read", 3)]);
    s.subagent("subagents", "two").write(&[of("two", "Bash", 4)]);
    ledger.import();
    let report = ledger.run(&["tools", "--json"]).json();
    let calls = |tool: &str| {
        let rows = report["rows"].as_array().unwrap().iter();
        rows.filter(|row| row["tool"] == tool).map(|row| row["calls"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((calls("Read"), calls("Bash")), (1, 1), "{report}");
}
