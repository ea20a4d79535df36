//! Hooks of other clients than Claude Code: their payloads, in the shape that the real clients send, make sessions of theirs, and
//! their own logs say what these have used.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tallyhook::domain::Client;

use crate::support::{Ledger, Ran, copy_folder, files_below, repository};

/// A client at work: where it has left its logs, and what it sends.
struct AtWork {
    client: Client,
    /// A scenario below `tests/fixtures/<client>`.
    scenario: &'static str,
    /// Where the logs are, below HOME.
    place: &'static str,
    /// The session, and what its payloads hold beside the event.
    session: String,
    ledger: Ledger,
}

impl AtWork {
    fn new(client: Client, version: &str, scenario: &'static str, place: &'static str) -> Self {
        let ledger = Ledger::new();
        let from = repository().join("tests/fixtures").join(client.name()).join(version).join(scenario);
        copy_folder(&from, &ledger.home().join(place));
        let truth = std::fs::read_to_string(from.join("expected.json")).unwrap();
        let truth: Value = serde_json::from_str(&truth).unwrap();
        let session = truth.as_object().unwrap().keys().next().unwrap().clone();
        Self { client, scenario, place, session, ledger }
    }

    /// A log by the end of its path.
    fn log(&self, end: &str) -> PathBuf {
        let home = self.ledger.home().join(self.place);
        let found = files_below(&home).into_iter().find(|path| path.to_string_lossy().ends_with(end));
        found.unwrap_or_else(|| panic!("no {end} in {}", home.display()))
    }

    fn send(&self, payload: &Value) {
        let ran = self.run(&["hook", "--client", self.client.name()], &[], payload);
        ran.assert_silent(self.client.name());
    }

    fn run(&self, args: &[&str], vars: &[(&str, &str)], payload: &Value) -> Ran {
        let mut command = self.ledger.command(args);
        command.envs(vars.iter().copied());
        Ran::with_stdin(&mut command, payload.to_string().as_bytes())
    }

    /// What the ledger says of the session is what the API answered; and it is the client's.
    fn assert_true(&self, calls: u64) {
        let truth = repository().join("tests/fixtures").join(self.client.name());
        let version = std::fs::read_dir(truth).unwrap().flatten().map(|entry| entry.path());
        let place = version.map(|version| version.join(self.scenario)).find(|place| place.exists()).unwrap();
        let truth: Value =
            serde_json::from_str(&std::fs::read_to_string(place.join("expected.json")).unwrap()).unwrap();
        let models = truth[&self.session].as_object().unwrap();
        let sum = |name: &str| models.values().map(|model| model[name].as_u64().unwrap()).sum::<u64>();
        let shown = self.ledger.run(&["show-usage", "--session", &self.session, "--json"]).json();
        let usage = &shown["actual"]["usage"];
        let of = |name: &str| usage[name].as_u64().unwrap();
        let writes = of("cache_write_5m_tokens") + of("cache_write_1h_tokens");
        assert_eq!(
            [of("input_tokens"), of("cache_read_tokens"), writes, of("output_tokens")],
            [sum("input"), sum("cache_read"), sum("cache_write"), sum("output")],
            "{}",
            self.client.name()
        );
        let sessions = self.ledger.run(&["export", "--what", "sessions", "--format", "jsonl"]);
        let lines: Vec<Value> =
            sessions.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{}", sessions.text());
        assert_eq!(lines[0]["client"], self.client.name());
        assert_eq!((&lines[0]["id"], &lines[0]["tool_calls"]), (&json!(self.session), &json!(calls)));
        assert_eq!(lines[0]["responses"], sum("responses"));
        assert_eq!(self.ledger.faults(), "");
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn codex() {
    let work = AtWork::new(Client::Codex, "0.171.0", "subagents-v1", ".codex");
    let main = text(&work.log(&format!("{}.jsonl", work.session)));
    let agent = "01a22a89-54f2-77d3-9ec6-552604413054";
    let agents = text(&work.log(&format!("{agent}.jsonl")));
    let event = |name: &str, more: Value| {
        let mut payload = json!({ "session_id": work.session, "turn_id": "t1", "transcript_path": main, "cwd": "/p",
                                  "hook_event_name": name, "model": "gpt-5.5", "permission_mode": "default" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    work.send(&event("SessionStart", json!({ "source": "startup" })));
    work.send(&event("UserPromptSubmit", json!({ "prompt": "Go" })));
    let call = json!({ "tool_name": "Bash", "tool_input": { "command": "ls" }, "tool_response": "a\n",
                       "tool_use_id": "exec-1" });
    work.send(&event("PostToolUse", call));
    let inner = json!({ "agent_id": agent, "agent_type": "default", "transcript_path": agents });
    work.send(&event("SubagentStart", inner.clone()));
    let mut stop = inner;
    stop["transcript_path"] = json!(main);
    stop["agent_transcript_path"] = json!(agents);
    work.send(&event("SubagentStop", stop));
    work.send(&event("Stop", json!({ "stop_hook_active": false })));
    work.send(&event("SessionEnd", json!({ "reason": "other" })));
    work.assert_true(1);
    let shown = work.ledger.run(&["show-usage", "--session", &work.session, "--json"]).json();
    let agents: Vec<&str> =
        shown["by_agent"].as_array().unwrap().iter().map(|row| row["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["main", "default"]);
}

#[test]
fn a_codex_that_was_killed_is_read_by_the_next_view() {
    let work = AtWork::new(Client::Codex, "0.171.0", "compact-auto", ".codex");
    let main = text(&work.log(&format!("{}.jsonl", work.session)));
    work.send(&json!({ "session_id": work.session, "transcript_path": main, "cwd": "/p",
                       "hook_event_name": "SessionStart", "model": "gpt-6.2-sol", "source": "startup" }));
    work.assert_true(0);
}

#[test]
fn gemini_cli() {
    let work = AtWork::new(Client::GeminiCli, "0.61.0", "resume", ".gemini/tmp");
    let digits = work.session.get(..8).unwrap();
    let chat = text(&work.log(&format!("{digits}.jsonl")));
    let event = |name: &str, more: Value| {
        let mut payload = json!({ "session_id": work.session, "transcript_path": chat, "cwd": "/p",
                                  "hook_event_name": name, "timestamp": "2026-11-30T03:14:10.491Z" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    work.send(&event("SessionStart", json!({ "source": "startup" })));
    work.send(&event("BeforeAgent", json!({ "prompt": "Hello" })));
    work.send(&event("PreCompress", json!({ "trigger": "auto" })));
    let call = json!({ "tool_name": "read_file", "tool_input": { "file_path": "/p/a.txt" },
                       "tool_response": { "llmContent": "one\n", "returnDisplay": "" } });
    work.send(&event("AfterTool", call));
    work.send(&event(
        "AfterAgent",
        json!({ "prompt": "Hello", "prompt_response": "A", "stop_hook_active": false }),
    ));
    work.assert_true(1);
}

#[test]
fn qwen_code() {
    let work = AtWork::new(Client::Qwen, "0.24.4", "agent", ".qwen/projects");
    let chat = text(&work.log(&format!("{}.jsonl", work.session)));
    let event = |name: &str, more: Value| {
        let mut payload = json!({ "session_id": work.session, "transcript_path": chat, "cwd": "/p",
                                  "hook_event_name": name, "permission_mode": "yolo", "prompt_id": "x########0" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    work.send(&event("UserPromptSubmit", json!({ "prompt": "Hello" })));
    let call =
        json!({ "tool_name": "read_file", "tool_use_id": "call_1", "tool_input": {}, "tool_response": {} });
    work.send(&event("PostToolUse", call));
    work.send(&event("UserPromptSubmit", json!({ "prompt": "" })));
    work.send(&event("Stop", json!({ "stop_hook_active": false })));
    work.assert_true(1);
}

#[test]
fn kimi_code_names_no_transcript() {
    let work = AtWork::new(Client::Kimi, "2.1.0", "agent", ".kimi-code/sessions");
    let event = |name: &str, more: Value| {
        let mut payload = json!({ "hook_event_name": name, "session_id": work.session, "cwd": "/p",
                                  "client_type": "kimi_code_cli" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    work.send(&event("SessionStart", json!({ "source": "startup", "model": "alpha" })));
    work.send(&event(
        "UserPromptSubmit",
        json!({ "prompt": [{ "type": "text", "text": "Hello" }], "is_steer": false }),
    ));
    let call = json!({ "tool_name": "Read", "tool_input": { "path": "/p/a.txt" }, "tool_call_id": "call_1",
                       "tool_output": "1\tone" });
    work.send(&event("PostToolUse", call));
    work.send(&event("SubagentStop", json!({ "agent_name": "coder", "response": "Done." })));
    work.send(&event("Stop", json!({ "stop_hook_active": false })));
    work.assert_true(1);
}

#[test]
fn copilot_in_its_own_words() {
    let work = AtWork::new(Client::CopilotCli, "1.0.102", "agent", ".copilot/session-state");
    let event = |more: Value| {
        let mut payload =
            json!({ "sessionId": work.session, "timestamp": 1_796_008_597_855_u64, "cwd": "/p" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        payload
    };
    work.send(&event(json!({ "source": "new", "initialPrompt": "Hello" })));
    work.send(&event(json!({ "prompt": "Hello" })));
    work.send(&event(json!({ "toolName": "view", "toolArgs": { "path": "/p/a.txt" } })));
    let result = json!({ "resultType": "success", "textResultForLlm": "one\n" });
    work.send(&event(
        json!({ "toolName": "view", "toolArgs": { "path": "/p/a.txt" }, "toolResult": result }),
    ));
    work.send(&event(json!({ "stopReason": "end_turn", "stop_hook_active": false })));
    work.assert_true(1);
}

/// It runs the hooks of a project's Claude Code settings, with Claude Code's words, and sets `CLAUDE_PROJECT_DIR`.
#[test]
fn copilot_by_a_hook_that_was_registered_for_claude_code() {
    let work = AtWork::new(Client::CopilotCli, "1.0.102", "agent", ".copilot/session-state");
    let vars = [("COPILOT_CLI", "1"), ("CLAUDE_PROJECT_DIR", "/p")];
    let send = |name: &str, more: Value| {
        let mut payload = json!({ "hook_event_name": name, "session_id": work.session, "cwd": "/p",
                                  "timestamp": "2026-11-30T03:03:39.601Z" });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        work.run(&["hook"], &vars, &payload).assert_silent(name);
    };
    send("SessionStart", json!({ "source": "new", "initial_prompt": "Hello" }));
    let result = json!({ "result_type": "success", "text_result_for_llm": "one\n" });
    send(
        "PostToolUse",
        json!({ "tool_name": "Read", "tool_input": { "path": "/p/a.txt" }, "tool_result": result }),
    );
    send("Stop", json!({ "transcript_path": text(&work.log("events.jsonl")), "stop_reason": "end_turn" }));
    work.assert_true(1);
}

/// A hook of one client's that names the log of another one makes nothing of it, and takes nothing from it.
#[test]
fn a_log_that_another_clients_hook_has_named_is_still_read() {
    let work = AtWork::new(Client::Pi, "1.6.0", "compact", ".pi/agent/sessions");
    for log in files_below(&work.ledger.home().join(work.place)) {
        if log.extension().is_some_and(|ending| ending == "jsonl") {
            work.ledger.run_hook(json!({ "hook_event_name": "Stop", "session_id": work.session, "cwd": "/p",
                                         "transcript_path": text(&log) }));
        }
    }
    let report = work.ledger.run(&["import", "--json"]).json();
    assert_eq!((&report["responses"], &report["files_unchanged"]), (&json!(10), &json!(0)), "{report}");
    let client: String = work
        .ledger
        .sqlite()
        .query_row("SELECT client FROM sessions WHERE session_id = ?1", [&work.session], |row| row.get(0))
        .unwrap();
    assert_eq!(client, "pi");
}

/// Its folder can have any name, and a folder of Claude Code's can be named like a rollout.
#[test]
fn whose_a_payload_is_says_the_logs_name_and_place() {
    for (path, client) in [
        ("/data/copilot/session-state/a/events.jsonl", "copilot-cli"),
        ("/srv/rollout-svc/.claude/projects/p/x.jsonl", "claude-code"),
        ("/home/x/.codex/sessions/2026/11/30/rollout-2026-11-30T03-18-02-a.jsonl", "codex"),
        ("/home/x/.gemini/tmp/p/chats/session-2026-11-30T03-14-1835d5c4.jsonl", "gemini-cli"),
        ("/home/x/.qwen/projects/p/chats/a.jsonl", "qwen"),
    ] {
        let ledger = Ledger::new();
        ledger.run_hook(json!({ "hook_event_name": "SessionStart", "session_id": "s", "cwd": "/p",
                                 "transcript_path": path, "source": "startup" }));
        let found: String =
            ledger.sqlite().query_row("SELECT client FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!(found, client, "{path}");
    }
}

#[test]
fn whose_a_payload_is_says_its_transcript_before_the_environment() {
    // A hook of Claude Code's, in a shell that another client has started.
    let ledger = Ledger::new();
    let payload = json!({ "hook_event_name": "SessionStart", "session_id": "s", "cwd": "/p",
                          "transcript_path": "/home/x/.claude/projects/p/s.jsonl", "source": "startup" });
    let mut command = ledger.command(&["hook"]);
    command.env("GEMINI_SESSION_ID", "1").env("COPILOT_CLI", "1");
    Ran::with_stdin(&mut command, payload.to_string().as_bytes()).assert_silent("Claude Code's");
    let client: String =
        ledger.sqlite().query_row("SELECT client FROM sessions", [], |row| row.get(0)).unwrap();
    assert_eq!(client, "claude-code");
}

#[test]
fn a_budget_that_stops_blocks_codexs_prompt_and_only_warns_elsewhere() {
    let work = AtWork::new(Client::Codex, "0.171.0", "fork", ".codex");
    let main = text(&work.log(&format!("{}.jsonl", work.session)));
    work.ledger.run(&["import"]);
    work.ledger.run(&["budget", "set", "1000", "--tokens", "--stop"]);
    let payload = json!({ "session_id": work.session, "transcript_path": main, "cwd": "/p", "model": "gpt-5.5",
                          "hook_event_name": "UserPromptSubmit", "turn_id": "t", "prompt": "Go" });
    let answer = work.run(&["hook", "--client", "codex"], &[], &payload).json();
    assert_eq!(answer["decision"], "block", "{answer}");
    // What the turn has used by now decides at each call: no hook tells of it before.
    let work = AtWork::new(Client::Codex, "0.171.0", "compact-auto", ".codex");
    let main = text(&work.log(&format!("{}.jsonl", work.session)));
    work.ledger.run(&["budget", "set", "1000", "--tokens", "--stop"]);
    let payload = json!({ "session_id": work.session, "transcript_path": main, "cwd": "/p", "model": "gpt-6.2-sol",
                          "hook_event_name": "PreToolUse", "turn_id": "t", "tool_name": "Bash",
                          "tool_input": { "command": "ls" }, "tool_use_id": "exec-1" });
    let answer = work.run(&["hook", "--client", "codex"], &[], &payload).json();
    assert_eq!(answer["hookSpecificOutput"]["permissionDecision"], "deny", "{answer}");
    let work = AtWork::new(Client::GeminiCli, "0.61.0", "resume", ".gemini/tmp");
    let chat = text(&work.log(&format!("{}.jsonl", work.session.get(..8).unwrap())));
    work.ledger.run(&["import"]);
    work.ledger.run(&["budget", "set", "1000", "--tokens", "--stop"]);
    let payload = json!({ "session_id": work.session, "transcript_path": chat, "cwd": "/p",
                          "hook_event_name": "BeforeAgent", "prompt": "Go" });
    let answer = work.run(&["hook", "--client", "gemini-cli"], &[], &payload).json();
    assert!(answer["systemMessage"].is_string() && answer["decision"].is_null(), "{answer}");
}
