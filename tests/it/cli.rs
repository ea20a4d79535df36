//! The commands that people and programs read: what they print, and the exit code.

use std::path::Path;

use serde_json::{Value, json};
use tallyhook::domain::Usage;
use unicode_width::UnicodeWidthStr as _;

use crate::support::{Example, Ledger, Ran, Session, With, answers, usage};

// What people see.

/// Runs a command on the example session.
fn run_on_example(args: &[&str]) -> Ran {
    Example::replayed().ledger.run(&[&["--color", "never"], args].concat())
}

/// Stdout of `show-usage` on the example session.
fn shown(args: &[&str]) -> String {
    let session = ["show-usage", "--session", Example::SESSION];
    run_on_example(&[&session, args].concat()).text().to_owned()
}

/// What a command says where it fails, without the names of temporary folders.
fn failure(ledger: &Ledger, args: &[&str]) -> String {
    let ran = ledger.run(args);
    assert_eq!(ran.stdout, "");
    let folder = ledger.dir().canonicalize().unwrap();
    let said = ran.stderr.replace(folder.to_str().unwrap(), "[folder]");
    let said = said.replace(ledger.dir().to_str().unwrap(), "[folder]");
    format!("{}exit code {}\n", said, ran.code.unwrap())
}

#[test]
fn show_usage() {
    insta::assert_snapshot!(shown(&[]));
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("$ tallyhook show-usage\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert!(shown(&[]).starts_with(example), "{}", shown(&[]));
}

#[test]
fn show_usage_detailed() {
    insta::assert_snapshot!(shown(&["--detailed"]));
}

#[test]
fn show_usage_history() {
    insta::assert_snapshot!(shown(&["--history"]));
}

#[test]
fn show_usage_of_one_agent() {
    insta::assert_snapshot!(shown(&["--agent", "Explore"]));
}

#[test]
fn show_usage_of_one_tool() {
    insta::assert_snapshot!(shown(&["--tool", "Read"]));
}

#[test]
fn show_usage_while_a_turn_goes_on() {
    let ledger = Ledger::new();
    let session =
        Session::new(&ledger, "8efa9846-317e-4207-a56e-a0276f6e897e").in_folder(Path::new("/work/shop"));
    session.transcript().write(&[session.says(1), session.call("msg_1", 2, 40)]);
    ledger.hook(session.start()).hook(session.prompt("prompt-1")).hook(session.tool("Bash", "toolu_1"));
    ledger.hook(session.event("SubagentStart").with("agent_id", "a1").with("agent_type", "Explore"));
    let shown = ledger.run(&["show-usage", "--session", "8efa"]).text().to_owned();
    insta::assert_snapshot!(shown);
}

#[test]
fn help() {
    insta::assert_snapshot!(Ledger::new().run(&["--help"]).text());
}

#[test]
fn help_of_show_usage() {
    insta::assert_snapshot!(Ledger::new().run(&["show-usage", "--help"]).text());
}

#[test]
fn help_of_export() {
    insta::assert_snapshot!(Ledger::new().run(&["export", "--help"]).text());
}

#[test]
fn failure_without_a_ledger() {
    insta::assert_snapshot!(failure(&Ledger::new(), &["show-usage"]));
}

#[test]
fn failure_without_a_session() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").in_folder(Path::new("/elsewhere")).start());
    insta::assert_snapshot!(failure(&ledger, &["show-usage"]));
}

#[test]
fn failure_with_an_unknown_session() {
    insta::assert_snapshot!(failure(&Example::replayed().ledger, &["show-usage", "--session", "0000"]));
}

#[test]
fn failure_with_an_unknown_agent() {
    let args = ["show-usage", "--session", "f7a1", "--agent", "Nobody"];
    insta::assert_snapshot!(failure(&Example::replayed().ledger, &args));
}

#[test]
fn failure_with_an_unknown_tool() {
    let args = ["show-usage", "--session", "f7a1", "--tool", "Hammer"];
    insta::assert_snapshot!(failure(&Example::replayed().ledger, &args));
}

#[test]
fn failure_with_an_unknown_argument() {
    insta::assert_snapshot!(failure(&Ledger::new(), &["show-usage", "--nonsense"]));
}

#[test]
fn failure_with_broken_settings() {
    let example = Example::replayed();
    let folder = example.ledger.home().join(".config").join("tallyhook");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "store_names = \"perhaps\"\n").unwrap();
    insta::assert_snapshot!(failure(&example.ledger, &["show-usage", "--session", "f7a1"]));
}

#[test]
fn failure_without_a_home() {
    let ledger = Ledger::new();
    let ran = Ran::of(ledger.command(&["show-usage"]).env_remove("HOME").env_remove("TALLYHOOK_DB"));
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""));
    insta::assert_snapshot!(ran.stderr);
}

#[test]
fn failure_with_an_empty_export() {
    insta::assert_snapshot!(failure(&Ledger::new(), &["export", "--format", "jsonl"]));
}

#[test]
fn every_line_fits_eighty_columns() {
    let text = shown(&["--detailed", "--history"]);
    for line in text.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
        assert_eq!(line, line.trim_end());
    }
}

#[test]
fn colour_is_a_matter_of_choice_not_of_content() {
    let example = Example::replayed();
    let run = |color: &str| {
        let args = ["show-usage", "--session", "f7a1", "--detailed", "--color", color];
        example.ledger.run(&args).text().to_owned()
    };
    let (always, never, auto) = (run("always"), run("never"), run("auto"));
    assert!(always.contains("\u{1b}["), "{always}");
    assert!(!never.contains('\u{1b}'), "{never}");
    assert_eq!(auto, never, "a pipe is no terminal");
    let mut plain = String::new();
    let mut parts = always.split("\u{1b}[");
    plain.push_str(parts.next().unwrap());
    for part in parts {
        plain.push_str(part.split_once('m').unwrap().1);
    }
    let trimmed = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(trimmed(&plain), trimmed(&never));
}

// What programs read.

/// Runs `show-usage --json`.
fn show_json(ledger: &Ledger, args: &[&str]) -> Value {
    let ran = ledger.run(&[&["show-usage", "--json"], args].concat());
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
    ran.json()
}

/// A session of two models with a skill, an MCP server, two subagents and a failed call.
fn rich_session() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let s = &session;
    s.transcript().write(&[
        s.says(1),
        s.call("msg_1", 2, 10).with(
            "message.usage.iterations",
            json!([{ "type": "advisor_message", "model": "claude-opus-5", "input_tokens": 7, "output_tokens": 1 }]),
        ),
        s.result(3),
        s.call("msg_2", 4, 20).with("attributionSkill", "changelog").with("message.model", "claude-haiku-5-5"),
        s.compaction(5, 9_000, 800),
        s.answer("msg_3", 6, 40).with("attributionSkill", "changelog"),
    ]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_4", 7, 80)]).meta("Explore");
    s.subagent("subagents", "a2").write(&[s.answer_of("a2", "msg_5", 8, 160)]).meta("Plan");
    ledger.hook(s.start()).hook(s.prompt("prompt-1")).hook(s.tool("Bash", "toolu_1"));
    ledger.hook(s.tool("mcp__tracker__get_issue", "toolu_2")).hook(s.tool("mcp__tracker__close", "toolu_3"));
    ledger.hook(s.tool("Skill", "toolu_4").with("tool_input", json!({ "skill": "changelog" })));
    let inside = |call: Value| call.with("agent_id", "a1").with("agent_type", "Explore");
    ledger.hook(inside(s.tool("Grep", "toolu_5")));
    let failed = s.tool("Bash", "toolu_6").with("hook_event_name", "PostToolUseFailure");
    ledger.hook(failed.without("tool_response").with("error", "no such file")).hook(s.stop());
    (ledger, session)
}

/// Fails unless `value` has these members: names, with `.` between levels and `[]` for an array's elements.
fn assert_has(value: &Value, paths: &str) {
    for path in paths.split_whitespace() {
        let mut places = vec![value];
        for part in path.split('.') {
            let name = part.trim_end_matches("[]");
            places = places
                .into_iter()
                .map(|place| {
                    let object = place.as_object().unwrap_or_else(|| panic!("{path}: no object: {place}"));
                    object.get(name).unwrap_or_else(|| panic!("{path} is missing: {place:#}"))
                })
                .collect();
            if part.ends_with("[]") {
                places = places.into_iter().flat_map(|place| place.as_array().unwrap()).collect();
                assert!(!places.is_empty(), "{path} has no element to look at");
            }
        }
    }
}

/// The contract of `show-usage --json` (`docs/json.md#show-usage`).
const MEMBERS: &str = "
    schema_version session.id session.client session.client_version session.kind session.project session.git_branch
    session.topic session.model session.state session.started_at session.last_activity_at session.ended_at
    session.duration_seconds session.turns session.tool_calls session.compactions
    actual.cost actual.usage.input_tokens actual.usage.output_tokens actual.usage.cache_read_tokens
    actual.usage.cache_write_5m_tokens actual.usage.cache_write_1h_tokens actual.usage.web_searches
    actual.total_tokens actual.cost_usd actual.responses actual.cache_hit_rate actual.cache_savings_usd
    actual.unpriced_models actual.hidden actual.output_shortfall
    estimate.calls estimate.generated_tokens estimate.returned_tokens estimate.total_tokens estimate.raw_tokens
    estimate.error_percent estimate.pending.calls estimate.pending.generated_tokens
    estimate.pending.returned_tokens estimate.pending.total_tokens estimate.pending.raw_tokens
    by_model[].model by_model[].usage by_model[].total_tokens by_model[].cost_usd
    by_agent[].agent by_agent[].invocations by_agent[].usage by_agent[].total_tokens by_agent[].cost_usd
    by_agent[].percent by_agent[].duration_seconds by_agent[].last_updated_at
    by_tool[].tool by_tool[].calls by_tool[].failures by_tool[].generated_tokens by_tool[].returned_tokens
    by_tool[].entry_cost_usd by_tool[].carry_cost_usd by_tool[].cost_usd by_tool[].percent
    by_step by_skill[].skill by_mcp_server[].mcp_server
    context.tokens context.window context.used_percent
    compaction_events[].at compaction_events[].trigger compaction_events[].tokens_before
    compaction_events[].tokens_after
    efficiency.tokens_per_minute efficiency.cost_per_minute_usd efficiency.lines_added efficiency.lines_removed
    efficiency.cost_per_line_usd
    budgets
";

#[test]
fn the_json_of_show_usage_has_every_member_of_the_contract() {
    let (ledger, _) = rich_session();
    let report = show_json(&ledger, &["--session", "s"]);
    assert_has(&report, MEMBERS);
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["session"]["kind"], "interactive");
    assert_has(&Example::replayed().report(), MEMBERS);
}

#[test]
fn what_has_no_source_yet_is_unknown_and_not_zero() {
    let (ledger, _) = rich_session();
    let report = show_json(&ledger, &["--session", "s"]);
    assert_eq!(report["estimate"]["error_percent"], Value::Null);
    assert_eq!(report["budgets"], json!([]));
}

#[test]
fn times_are_rfc_3339_in_utc() {
    let (ledger, _) = rich_session();
    let report = show_json(&ledger, &["--session", "s"]);
    assert_eq!(report["session"]["started_at"], "2099-11-22T10:00:01.000Z");
    assert_eq!(report["session"]["last_activity_at"], "2099-11-22T10:00:06.000Z");
    assert_eq!(report["session"]["duration_seconds"], 5);
    assert_eq!(report["compaction_events"][0]["at"], "2099-11-22T10:00:05.000Z");
}

/// Fails unless the parts of a report are its whole, in each class of tokens.
fn assert_parts_add_up(report: &Value) {
    let rows = |table: &str| report[table].as_array().unwrap().clone();
    let total = usage(&report["actual"]["usage"]);
    for table in ["by_agent", "by_model"] {
        assert_eq!(rows(table).iter().map(|row| usage(&row["usage"])).sum::<Usage>(), total, "{table}");
        for row in rows(table) {
            assert_eq!(row["total_tokens"], usage(&row["usage"]).total(), "{row}");
        }
    }
    assert_eq!(report["actual"]["total_tokens"], total.total());
    let responses: u64 = rows("by_model").iter().map(|row| row["responses"].as_u64().unwrap()).sum();
    assert_eq!(report["actual"]["responses"], responses);
    let estimate = &report["estimate"];
    for member in ["calls", "generated_tokens", "returned_tokens"] {
        let sum: u64 = rows("by_tool").iter().map(|row| row[member].as_u64().unwrap()).sum();
        assert_eq!(estimate[member], sum, "{member}");
    }
    let generated = estimate["generated_tokens"].as_u64().unwrap();
    assert_eq!(estimate["total_tokens"], generated + estimate["returned_tokens"].as_u64().unwrap());
    for table in ["by_agent", "by_tool"] {
        for member in ["percent", "cost_percent", "tokens_percent"] {
            // What has no price has no share of the cost.
            let percent: f64 = rows(table).iter().filter_map(|row| row[member].as_f64()).sum();
            assert!((percent - 100.0).abs() < 1e-6, "{table} {member}: {percent}");
        }
    }
}

#[test]
fn parts_add_up_to_the_whole() {
    let example = Example::replayed();
    assert_parts_add_up(&show_json(&example.ledger, &["--session", Example::SESSION]));
    let (ledger, _) = rich_session();
    let report = show_json(&ledger, &["--session", "s"]);
    assert_parts_add_up(&report);
    let advisor = Usage { input: 7, output: 1, ..Usage::default() };
    assert_eq!(usage(&report["actual"]["usage"]), answers(5, 310) + advisor);
    assert_eq!(report["by_agent"].as_array().unwrap().len(), 3);
    assert_eq!(report["by_model"].as_array().unwrap().len(), 3);
    let server = &report["by_mcp_server"];
    assert_eq!((&server[0]["mcp_server"], &server[0]["calls"]), (&json!("tracker"), &json!(2)));
    let skill = &report["by_skill"][0];
    assert_eq!((&skill["skill"], &skill["invocations"]), (&json!("changelog"), &json!(1)));
    // What was written for it; no response has read it again.
    assert_eq!(usage(&skill["usage"]).output, 60);
    assert_eq!(report["context"]["tokens"], 3 + 100 + 10 + 40);
}

#[test]
fn a_filter_keeps_what_it_names_and_nothing_else() {
    let (ledger, _) = rich_session();
    let explore = show_json(&ledger, &["--session", "s", "--agent", "Explore"]);
    assert_eq!(usage(&explore["actual"]["usage"]), answers(1, 80));
    assert_eq!((&explore["by_tool"][0]["tool"], &explore["estimate"]["calls"]), (&json!("Grep"), &json!(1)));
    assert_parts_add_up(&explore);
    let bash = show_json(&ledger, &["--session", "s", "--tool", "Bash"]);
    assert_eq!((&bash["estimate"]["calls"], &bash["by_tool"][0]["failures"]), (&json!(2), &json!(1)));
    assert_parts_add_up(&bash);
}

#[test]
fn history_has_the_sessions_of_the_project_the_newest_first() {
    let ledger = Ledger::new();
    for (id, output) in [("a", 10), ("b", 20), ("c", 40)] {
        let session = Session::new(&ledger, id);
        session.transcript().write(&[session.says(1), session.answer(&format!("msg_{id}"), 2, output)]);
        ledger.hook(session.start()).hook(session.stop());
    }
    ledger.hook(Session::new(&ledger, "elsewhere").in_folder(Path::new("/elsewhere")).start());
    let report = show_json(&ledger, &["--history"]);
    assert_eq!(report["session"]["id"], "c");
    let rows = report["history"].as_array().unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row["id"].as_str().unwrap(), usage(&row["usage"]))).collect();
    assert_eq!(seen, [("c", answers(1, 40)), ("b", answers(1, 20)), ("a", answers(1, 10))]);
    assert!(show_json(&ledger, &[]).get("history").is_none());
}

#[test]
fn without_data_the_json_is_whole_and_the_exit_code_4() {
    let no_ledger = Ledger::new();
    let no_session = Ledger::new();
    no_session.hook(Session::new(&no_session, "s").in_folder(Path::new("/elsewhere")).start());
    for (ledger, args) in [
        (&no_ledger, &["show-usage", "--json"][..]),
        (&no_session, &["show-usage", "--json"]),
        (&no_session, &["show-usage", "--json", "--session", "0000"]),
        (&no_session, &["show-usage", "--json", "--session", ""]),
    ] {
        let ran = ledger.run(args);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        let report = ran.json();
        assert_has(
            &report,
            "schema_version session actual estimate.pending by_model by_agent by_tool context budgets",
        );
        assert_eq!((&report["session"], &report["actual"]), (&Value::Null, &Value::Null));
        assert!(ran.stderr.starts_with("tallyhook: "), "{}", ran.stderr);
    }
    assert!(!no_ledger.path().exists(), "asking makes no ledger");
    let ran = no_session.run(&["show-usage", "--json", "--session", "s", "--agent", "Nobody"]);
    assert_eq!((ran.code, &ran.json()["by_agent"]), (Some(4), &json!([])));
}

// Which session.

#[test]
fn the_nearest_enclosing_project_wins() {
    let ledger = Ledger::new();
    let outer = ledger.project();
    let inner = outer.join("inner");
    let sub = inner.join("src").join("deep");
    let beside = outer.join("inner-too");
    for folder in [&sub, &beside] {
        std::fs::create_dir_all(folder).unwrap();
    }
    // The outer one is the newer, and still not the one that is asked for.
    ledger.hook(Session::new(&ledger, "inner").in_folder(&inner).start());
    ledger.hook(Session::new(&ledger, "outer").in_folder(&outer).start());
    let seen =
        |folder: &Path| ledger.run_in(folder, &["show-usage", "--json"]).json()["session"]["id"].clone();
    assert_eq!(seen(&sub), "inner");
    assert_eq!(seen(&inner), "inner");
    assert_eq!(seen(&outer), "outer");
    assert_eq!(seen(&beside), "outer");
    assert_eq!(seen(&ledger.home()), Value::Null);
}

#[test]
fn of_a_projects_sessions_the_one_with_the_latest_activity_is_shown() {
    let ledger = Ledger::new();
    let [a, b] = ["a", "b"].map(|id| Session::new(&ledger, id));
    ledger.hook(a.start()).hook(b.start());
    assert_eq!(show_json(&ledger, &[])["session"]["id"], "b");
    ledger.hook(a.tool("Bash", "toolu_1"));
    assert_eq!(show_json(&ledger, &[])["session"]["id"], "a");
}

#[test]
fn the_project_is_the_one_that_the_client_names_wherever_the_model_goes() {
    let ledger = Ledger::new();
    let project = ledger.project();
    let ledger = ledger.with_var("CLAUDE_PROJECT_DIR", project.to_str().unwrap());
    for folder in [&ledger.home(), Path::new("/")] {
        ledger.hook(Session::new(&ledger, "s").in_folder(folder).tool("Bash", "toolu_1"));
    }
    assert_eq!(show_json(&ledger, &[])["session"]["project"], project.to_str().unwrap());
}

#[cfg(unix)]
#[test]
fn a_project_is_found_through_a_link() {
    let ledger = Ledger::new();
    let link = ledger.dir().join("link");
    std::os::unix::fs::symlink(ledger.project(), &link).unwrap();
    ledger.hook(Session::new(&ledger, "s").in_folder(&link).start());
    assert_eq!(show_json(&ledger, &[])["session"]["id"], "s");
}

#[test]
fn inside_a_session_that_session_is_shown() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "mine").start()).hook(Session::new(&ledger, "newer").start());
    let ran = Ran::of(ledger.command(&["show-usage", "--json"]).env("CLAUDE_CODE_SESSION_ID", "mine"));
    assert_eq!(ran.json()["session"]["id"], "mine");
    assert_eq!(show_json(&ledger, &[])["session"]["id"], "newer");
}

#[test]
fn a_session_can_be_named_by_enough_of_its_start() {
    let ledger = Ledger::new();
    for id in ["8efa9846-1", "8efa1111-2", "8efa", "a_b", "aXb", "50%"] {
        ledger.hook(Session::new(&ledger, id).in_folder(Path::new("/elsewhere")).start());
    }
    let seen = |prefix: &str| {
        let ran = ledger.run(&["show-usage", "--json", "--session", prefix]);
        (ran.code.unwrap(), ran.json()["session"]["id"].clone())
    };
    assert_eq!(seen("8efa9"), (0, json!("8efa9846-1")));
    assert_eq!(seen("8efa1111-2"), (0, json!("8efa1111-2")));
    // The whole id, though two others start so.
    assert_eq!(seen("8efa"), (0, json!("8efa")));
    assert_eq!(seen("8e"), (4, Value::Null));
    // No wildcards.
    assert_eq!(seen("a_"), (0, json!("a_b")));
    assert_eq!(seen("%"), (4, Value::Null));
}

#[test]
fn a_view_reads_what_the_transcript_has_new() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    ledger.hook(session.start()).hook(session.prompt("prompt-1"));
    assert_eq!(show_json(&ledger, &[])["actual"], Value::Null);
    session.transcript().write(&[session.says(1), session.call("msg_1", 2, 10)]);
    assert_eq!(usage(&show_json(&ledger, &[])["actual"]["usage"]), answers(1, 10));
    session.transcript().append(&[session.call("msg_1", 3, 12)]);
    assert_eq!(usage(&show_json(&ledger, &[])["actual"]["usage"]), answers(1, 12));
    assert_eq!(ledger.usage("s"), answers(1, 12));
}

#[test]
fn titles_are_shown_unless_the_user_wants_no_names_kept() {
    for (settings, kept) in [("", true), ("store_names = false\n", false)] {
        let ledger = Ledger::new();
        let folder = ledger.home().join(".config").join("tallyhook");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), settings).unwrap();
        let session = Session::new(&ledger, "s");
        let title = json!({ "type": "ai-title", "aiTitle": "The fix", "sessionId": "s" });
        session.transcript().write(&[session.says(1), title]);
        ledger.hook(session.stop());
        assert_eq!(ledger.run(&["show-usage"]).text().contains("The fix"), kept, "{settings:?}");
        assert_eq!(String::from_utf8_lossy(&ledger.bytes()).contains("The fix"), kept, "{settings:?}");
    }
}

// Export.

/// The contract of a call in an export (`docs/json.md#exported-call`).
const CALL_MEMBERS: &str = "
    tool_use_id session_id agent tool at duration_ms ok generated_tokens returned_tokens raw_generated_tokens
    raw_returned_tokens method input_hash action_type action_name model skill mcp_server step
";

#[test]
fn both_formats_of_an_export_have_every_call_with_every_member() {
    let example = Example::replayed();
    let (rich, _) = rich_session();
    for ledger in [&example.ledger, &rich] {
        let document = ledger.run(&["export", "--what", "calls", "--format", "json"]);
        document.text();
        let document = document.json();
        let lines = ledger.run(&["export", "--format", "jsonl"]);
        let lines: Vec<Value> =
            lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["calls"], Value::from(lines.clone()));
        // The library's own list knows no steps.
        let without_step = |call: &Value| call.clone().without("step");
        let plain: Vec<Value> = lines.iter().map(without_step).collect();
        assert_eq!(plain, ledger.calls().iter().map(without_step).collect::<Vec<_>>());
        assert_has(
            &document,
            &CALL_MEMBERS.split_whitespace().map(|name| format!("calls[].{name} ")).collect::<String>(),
        );
        assert_eq!(ledger.run(&["export"]).json(), document, "calls as one document is what it does unasked");
    }
}

#[test]
fn an_exported_call_says_what_it_was_for() {
    let (ledger, _) = rich_session();
    let calls = ledger.calls();
    let of = |id: &str| calls.iter().find(|call| call["tool_use_id"] == *id).unwrap().clone();
    let purpose = |id: &str| {
        let call = of(id);
        json!([call["agent"], call["action_type"], call["action_name"], call["skill"], call["mcp_server"]])
    };
    assert_eq!(purpose("toolu_1"), json!(["main", "manual", null, null, null]));
    assert_eq!(purpose("toolu_2"), json!(["main", "manual", null, null, "tracker"]));
    assert_eq!(purpose("toolu_4"), json!(["main", "skill", "changelog", "changelog", null]));
    assert_eq!(purpose("toolu_5"), json!(["Explore", "agent", "Explore", null, null]));
    assert_eq!(
        (of("toolu_6")["ok"].clone(), of("toolu_6")["duration_ms"].clone()),
        (json!(false), json!(12))
    );
    assert_eq!(of("toolu_1")["at"], "2099-11-22T15:00:02.000Z");
}

#[test]
fn an_empty_export_is_valid_and_the_exit_code_4() {
    let no_ledger = Ledger::new();
    let no_calls = Ledger::new();
    no_calls.hook(Session::new(&no_calls, "s").start());
    for ledger in [&no_ledger, &no_calls] {
        let document = ledger.run(&["export", "--format", "json"]);
        assert_eq!(document.code, Some(4));
        assert_eq!(document.json(), json!({ "schema_version": 1, "calls": [] }));
        let lines = ledger.run(&["export", "--format", "jsonl"]);
        assert_eq!((lines.code, &*lines.stdout), (Some(4), ""));
    }
    assert!(!no_ledger.path().exists(), "asking makes no ledger");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let example = Example::replayed();
    let mut child = example
        .ledger
        .command(&["export", "--format", "jsonl"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = Ran::end_of(child);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
}

// Hostile names.

/// Names that try to break out of a line, a column or a terminal.
fn hostile_names() -> Vec<String> {
    let names = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "two\nlines\r\nand\ttabs",
        "\u{202e}drawkcab\u{2066}\u{200f}",
        "nul\0del\u{7f}csi\u{9b}31m",
        "line\u{2028}paragraph\u{2029}end",
        "\u{feff}zero\u{200b}width\u{200d}",
        "Zalgo\u{301}\u{302}\u{303}\u{304}\u{305}",
        "العربية وעברית",
        "",
        "   ",
        "\"quoted\" \\ back",
        "mcp__\u{1b}[31m__tool",
    ];
    let repeated = ["x", "漢", "ﾊﾝ", "🎉", "👩‍👩‍👧‍👦", "🇩🇪", "e\u{301}", "ẞ"];
    names.into_iter().map(str::to_owned).chain(repeated.into_iter().flat_map(repetitions)).collect()
}

/// A name that fits, one that does not, and one of tens of thousands of bytes.
fn repetitions(text: &str) -> [String; 3] {
    [5, 40, 10_000].map(|times| text.repeat(times))
}

/// A session with these names for its tools, agents, skills and MCP servers.
fn session_of_names(names: &[String]) -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let s = &session;
    s.transcript().write(&[s.says(1)]);
    for (number, name) in names.iter().enumerate() {
        let second = u32::try_from(number).unwrap() + 2;
        let name = name.as_str();
        let (agent, message) = (format!("a{number}"), format!("msg_{number}"));
        let inside = |call: Value| call.with("agent_id", &*agent).with("agent_type", name);
        ledger.hook(s.event("SubagentStart").with("agent_id", &*agent).with("agent_type", name));
        ledger.hook(inside(s.tool(name, &format!("toolu_{number}"))));
        ledger.hook(s.tool("Agent", &format!("toolu_agent_{number}")).with("tool_input.subagent_type", name));
        ledger.hook(s.tool("Skill", &format!("toolu_skill_{number}")).with("tool_input.skill", name));
        ledger.hook(s.tool(&format!("mcp__{name}__x"), &format!("toolu_mcp_{number}")));
        let usage = json!({
            "input_tokens": 999_999_999_999_u64, "output_tokens": 1, "cache_read_input_tokens": 987_654_321_000_u64,
            "cache_creation_input_tokens": 123_456_789_000_u64,
        });
        let answer = s.answer_of(&agent, &message, second, 1).with("message.usage", usage);
        s.subagent("subagents", &agent).write(&[answer.with("attributionSkill", name)]).meta(name);
    }
    ledger.hook(s.stop());
    ledger
}

/// Fails if a terminal would do anything with `text` but show it from left to right, line by line.
fn assert_harmless(text: &str) {
    for line in text.split('\n') {
        let harmful = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!line.contains(harmful), "{line:?}");
    }
}

#[test]
fn hostile_names_do_no_harm() {
    let ledger = session_of_names(&hostile_names());
    for args in [
        &["show-usage", "--session", "s"][..],
        &["show-usage", "--session", "s", "--detailed", "--history"],
        &["export"],
        &["show-usage", "--json", "--session", "s"],
    ] {
        assert_harmless(ledger.run(args).text());
    }
    assert_harmless(&ledger.run(&["show-usage", "--session", "s", "--agent", "\u{1b}[2J\u{202e}"]).stderr);
    assert_harmless(&ledger.run(&["show-usage", "--session", "\u{1b}[2J\u{202e}\n"]).stderr);
    ledger.assert_sound();
}

#[test]
fn the_arabic_letter_mark_does_no_harm() {
    let ledger = session_of_names(&["a\u{61c}b".to_owned()]);
    assert!(!ledger.run(&["show-usage", "--session", "s"]).text().contains('\u{61c}'));
}

/// The lines of the tables, without what stands above them.
fn table_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip_while(|line| !line.starts_with("Usage by agent"))
}

/// Fails if a line of the tables is wider than a terminal.
fn assert_tables_fit(ledger: &Ledger) {
    let ran = ledger.run(&["show-usage", "--session", "s", "--detailed", "--history"]);
    assert!(table_lines(ran.text()).count() > 3, "{}", ran.stdout);
    for line in table_lines(ran.text()) {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
}

#[test]
fn hostile_names_do_not_widen_a_table() {
    assert_tables_fit(&session_of_names(&hostile_names()));
}

#[test]
fn names_of_emoji_with_variation_selectors_do_not_widen_a_table() {
    for text in ["❤\u{fe0f}", "1\u{fe0f}\u{20e3}"] {
        assert_tables_fit(&session_of_names(&repetitions(text)));
    }
}

/// A session with these models.
fn session_of_models(models: &[String]) -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write(&[session.says(1)]);
    for (second, model) in (2..).zip(models) {
        let answer = session.answer(&format!("msg_{second}"), second, 5);
        session.transcript().append(&[answer.with("message.model", &**model)]);
    }
    ledger.hook(session.stop());
    ledger
}

#[test]
fn a_long_model_does_not_widen_the_history() {
    assert_tables_fit(&session_of_models(&["漢".repeat(150), "claude-".repeat(28)]));
}

#[test]
fn hostile_models_do_no_harm() {
    let ledger = session_of_models(&hostile_names());
    assert_harmless(ledger.run(&["show-usage", "--session", "s", "--detailed", "--history"]).text());
}

#[test]
fn names_stay_apart_in_json_however_alike_they_are_cut_in_tables() {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    let long = "a_very_long_name_".repeat(4);
    for (id, end) in [("toolu_1", "one"), ("toolu_2", "two")] {
        ledger.hook(session.tool(&format!("{long}{end}"), id));
    }
    assert_eq!(ledger.report("s")["by_tool"].as_array().unwrap().len(), 2);
}

#[test]
fn count_gives_tiktokens_number_and_a_models_estimate() {
    let ledger = Ledger::new();
    let file = ledger.dir().join("a.txt");
    std::fs::write(&file, "hello world, <|endoftext|> is text\n").unwrap();
    let file = file.to_str().unwrap();
    let expected =
        tiktoken_rs::cl100k_base().unwrap().encode_ordinary("hello world, <|endoftext|> is text\n").len();
    let plain = ledger.run(&["count", "--json", file, file]).json();
    assert_eq!(plain["encoding"], "cl100k_base");
    assert_eq!(plain["files"][0]["file"], file);
    assert_eq!(plain["files"][0]["tokens"], expected);
    assert_eq!(plain["files"][0]["bytes"], 35);
    assert_eq!(plain["files"][0]["estimate_tokens"], Value::Null);
    assert_eq!(plain["total_tokens"], 2 * expected);
    let model = |model: &str| ledger.run(&["count", "--json", "--model", model, file]).json();
    assert_eq!(model("claude-opus-4-6")["files"][0]["estimate_tokens"], (expected * 116).div_ceil(100));
    assert_eq!(model("gpt-5.4")["encoding"], "o200k_base");
    let stdin = ledger.run_with_input(&ledger.project(), &["count", "--encoding", "o200k_base"], b"ab cd");
    assert!(stdin.stdout.contains("Tokens (o200k_base)"), "{}", stdin.stdout);
}

#[test]
fn count_says_what_it_cannot_count_and_counts_the_rest() {
    let ledger = Ledger::new();
    std::fs::write(ledger.project().join("bin"), b"ab\xff").unwrap();
    std::fs::write(ledger.project().join("a\u{1b}[31m.txt"), "x").unwrap();
    let ran = ledger.run(&["count", "bin", "a\u{1b}[31m.txt", "missing"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("bin: isn't UTF-8 (byte 2)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("missing: can't be read"), "{}", ran.stderr);
    assert!(ran.stdout.contains("a [31m.txt"), "{}", ran.stdout);
}

#[test]
fn doctor_compares_the_counter_with_tiktoken() {
    let checks = Ledger::new().run(&["doctor", "--json", "--verify"]).json();
    let found: Vec<&Value> =
        checks["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "counter").collect();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|check| check["status"] == "ok"), "{found:?}");
}
