//! What `docs/facts.md` says of the client, held on the session that was recorded with it (`examples/session`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use tallyhook::domain::Timestamp;
use tallyhook::pricing::{Modifiers, PriceTable};

use crate::support::{Example, expected_classes, files_below, repository, sum};

/// The payloads, in the order in which the client started the hooks.
fn payloads() -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join("examples/session/payloads.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of the session's transcripts by file name, `main` for the main one.
fn transcripts() -> BTreeMap<String, Vec<Value>> {
    let files = files_below(&repository().join("examples/session/projects"));
    let logs = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    logs.map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let name = if name == Example::SESSION { "main" } else { name };
        let text = std::fs::read_to_string(file).unwrap();
        (name.to_owned(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    })
    .collect()
}

fn event(payload: &Value) -> &str {
    payload["hook_event_name"].as_str().unwrap()
}

fn of_event<'p>(payloads: &'p [Value], name: &str) -> Vec<&'p Value> {
    payloads.iter().filter(|payload| event(payload) == name).collect()
}

/// The place of the first payload that `is_it`.
fn place(payloads: &[Value], is_it: impl Fn(&Value) -> bool) -> usize {
    payloads.iter().position(is_it).unwrap()
}

/// Whether a member of that name stands anywhere in the value.
fn has_member(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(key, value)| key == name || has_member(value, name)),
        Value::Array(items) => items.iter().any(|item| has_member(item, name)),
        _ => false,
    }
}

/// What the model was given for each tool call, by the batches.
fn delivered(payloads: &[Value]) -> HashMap<&str, &Value> {
    let batches = of_event(payloads, "PostToolBatch");
    let calls = batches.into_iter().flat_map(|batch| batch["tool_calls"].as_array().unwrap());
    calls.map(|call| (call["tool_use_id"].as_str().unwrap(), &call["tool_response"])).collect()
}

/// The usage of each response of a transcript, in their order.
fn responses(lines: &[Value]) -> Vec<[u64; 4]> {
    let mut ids = Vec::new();
    let mut usage = HashMap::new();
    for line in lines.iter().filter(|line| line["type"] == "assistant") {
        let id = line["message"]["id"].as_str().unwrap();
        if usage.insert(id, expected_classes(&line["message"]["usage"])).is_none() {
            ids.push(id);
        }
    }
    ids.into_iter().map(|id| usage[id]).collect()
}

#[test]
fn every_payload_is_one_line_that_names_its_session() {
    let payloads = payloads();
    assert_eq!(payloads.len(), 79);
    for payload in &payloads {
        for name in ["session_id", "transcript_path", "cwd", "hook_event_name"] {
            assert!(payload[name].is_string(), "{name} of {payload}");
        }
        let starts = event(payload) == "SessionStart" && payload["source"] != "compact";
        assert_eq!(payload["prompt_id"].is_string(), !starts, "{payload}");
    }
}

#[test]
fn a_subagents_payloads_name_the_main_transcript() {
    let payloads = payloads();
    let inside: Vec<_> = payloads.iter().filter(|payload| !payload["agent_id"].is_null()).collect();
    assert!(inside.len() > 20);
    for payload in inside {
        assert!(payload["agent_type"].is_string());
        let transcript = payload["transcript_path"].as_str().unwrap();
        assert!(transcript.ends_with(&format!("/{}.jsonl", Example::SESSION)));
        if event(payload) == "SubagentStop" {
            let own = format!(
                "{}/subagents/agent-{}.jsonl",
                transcript.trim_end_matches(".jsonl"),
                payload["agent_id"].as_str().unwrap()
            );
            assert_eq!(payload["agent_transcript_path"], own);
        }
    }
}

#[test]
fn no_payload_tells_usage_but_that_of_a_finished_agent() {
    let payloads = payloads();
    for payload in &payloads {
        let is_finished_agent =
            payload["tool_name"] == "Agent" && payload["tool_response"]["status"] == "completed";
        assert_eq!(has_member(payload, "usage"), is_finished_agent, "{payload}");
        if payload.get("model").is_some() {
            assert_eq!(event(payload), "SessionStart");
        }
    }
    for start in of_event(&payloads, "SessionStart") {
        let is_resume = start["source"] == "resume";
        for name in ["context_tokens", "estimated_cache_write_usd"] {
            assert_eq!(start.get(name).is_some(), is_resume, "{name} of {start}");
        }
    }
}

#[test]
fn an_agents_total_is_that_of_its_last_response() {
    let (payloads, transcripts) = (payloads(), transcripts());
    let mut agents = 0;
    for payload in of_event(&payloads, "PostToolUse").iter().filter(|payload| payload["tool_name"] == "Agent")
    {
        let response = &payload["tool_response"];
        if response["status"] != "completed" {
            assert_eq!((response.get("usage"), response.get("totalTokens")), (None, None));
            continue;
        }
        let own = responses(&transcripts[&format!("agent-{}", response["agentId"].as_str().unwrap())]);
        let last: u64 = own.last().unwrap().iter().sum();
        let all: u64 = own.iter().flatten().sum();
        assert_eq!(response["totalTokens"], last);
        assert_eq!(expected_classes(&response["usage"]).iter().sum::<u64>(), last);
        assert!(last * 10 < all * 6, "{last} of {all}");
        agents += 1;
    }
    assert_eq!(agents, 3);
}

#[test]
fn a_batch_carries_what_the_model_reads() {
    let (payloads, transcripts) = (payloads(), transcripts());
    let mut read = HashMap::new();
    for line in transcripts.values().flatten().filter(|line| line["type"] == "user") {
        for block in line["message"]["content"].as_array().into_iter().flatten() {
            if block["type"] == "tool_result" {
                read.insert(block["tool_use_id"].as_str().unwrap(), &block["content"]);
            }
        }
    }
    assert_eq!(read.len(), 28);
    assert_eq!(delivered(&payloads), read);
    let mcp = of_event(&payloads, "PostToolUse");
    let mcp = mcp.iter().find(|payload| payload["tool_name"] == "mcp__tracker__get_issue").unwrap();
    assert_eq!(&mcp["tool_response"], read[mcp["tool_use_id"].as_str().unwrap()]);
}

#[test]
fn a_failed_call_has_an_error_and_no_response() {
    let payloads = payloads();
    let (failed, delivered) = (of_event(&payloads, "PostToolUseFailure"), delivered(&payloads));
    let tools: Vec<_> = failed.iter().map(|payload| payload["tool_name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["Bash", "Read"]);
    for payload in failed {
        assert!(payload.get("tool_response").is_none());
        let read = delivered[payload["tool_use_id"].as_str().unwrap()].as_str().unwrap();
        assert!(read.contains(payload["error"].as_str().unwrap()), "{read}");
    }
}

#[test]
fn an_edit_carries_the_file_and_the_model_reads_a_sentence() {
    let payloads = payloads();
    let delivered = delivered(&payloads);
    let mut edits = 0;
    for payload in of_event(&payloads, "PostToolUse") {
        let response = &payload["tool_response"];
        match payload["tool_name"].as_str().unwrap() {
            "Edit" => assert!(response["originalFile"].is_string()),
            "Write" => assert!(response["content"].is_string()),
            _ => continue,
        }
        let read = delivered[payload["tool_use_id"].as_str().unwrap()].as_str().unwrap();
        assert!((100..=140).contains(&read.len()), "{read}");
        edits += 1;
    }
    assert_eq!(edits, 4);
}

#[test]
fn a_subagent_stops_before_its_call_has_finished() {
    let payloads = payloads();
    let mut runs = BTreeSet::new();
    for (at, payload) in payloads.iter().enumerate() {
        if event(payload) == "PostToolUse" && payload["tool_response"]["status"] == "completed" {
            let agent = &payload["tool_response"]["agentId"];
            let of_agent = |name: &'static str| {
                let agent = agent.clone();
                move |payload: &Value| event(payload) == name && payload["agent_id"] == agent
            };
            let start = place(&payloads, of_agent("SubagentStart"));
            let first = place(&payloads, of_agent("PostToolUse"));
            let stop = place(&payloads, of_agent("SubagentStop"));
            assert!(start < first && first < stop && stop < at, "{start} {first} {stop} {at}");
            runs.insert(agent.to_string());
        }
    }
    assert_eq!(runs.len(), 3);
}

#[test]
fn stop_fires_while_a_background_agent_runs() {
    let payloads = payloads();
    let launched = place(&payloads, |payload| payload["tool_response"]["status"] == "async_launched");
    let agent = &payloads[launched]["tool_response"]["agentId"];
    let stop =
        place(&payloads, |payload| event(payload) == "Stop" && payload["background_tasks"] != json!([]));
    assert_eq!(payloads[stop]["background_tasks"][0]["id"], *agent);
    let end = place(&payloads, |payload| event(payload) == "SubagentStop" && payload["agent_id"] == *agent);
    let next = payloads[end..].iter().any(|payload| event(payload) == "Stop");
    assert!(launched < stop && stop < end && next);
}

#[test]
fn stop_fires_once_a_turn_and_not_for_a_compaction() {
    let payloads = payloads();
    // The background agent's end is a turn too: the client submits a prompt that nobody typed.
    let [prompts, stops, ends] =
        ["UserPromptSubmit", "Stop", "SessionEnd"].map(|name| of_event(&payloads, name).len());
    assert_eq!((prompts, stops, ends), (4, 4, 4));
    let compaction = place(&payloads, |payload| event(payload) == "PostCompact");
    assert_eq!(event(&payloads[compaction + 1]), "SessionEnd");
}

#[test]
fn a_compaction_ends_a_subagent_that_never_was() {
    let (payloads, transcripts) = (payloads(), transcripts());
    let start = place(&payloads, |payload| event(payload) == "PreCompact");
    let events: Vec<_> = payloads[start..start + 4].iter().map(event).collect();
    assert_eq!(events, ["PreCompact", "SubagentStop", "SessionStart", "PostCompact"]);
    let agent = &payloads[start + 1];
    assert_eq!(agent["agent_type"], "");
    assert!(!transcripts.contains_key(&format!("agent-{}", agent["agent_id"].as_str().unwrap())));
    assert_eq!(payloads[start + 2]["source"], "compact");
    for payload in &payloads[start..start + 4] {
        let members = payload.as_object().unwrap();
        assert!(!members.keys().any(|name| name.to_lowercase().contains("token")), "{payload}");
    }
    let lines = &transcripts["main"];
    let boundary = lines.iter().find(|line| line["subtype"] == "compact_boundary").unwrap();
    assert_eq!(boundary["compactMetadata"]["trigger"], "manual");
    assert!(
        boundary["compactMetadata"]["preTokens"].as_u64()
            > boundary["compactMetadata"]["postTokens"].as_u64()
    );
}

#[test]
fn a_resume_keeps_the_session_and_its_file() {
    let payloads = payloads();
    let sources: Vec<_> =
        of_event(&payloads, "SessionStart").iter().map(|start| start["source"].clone()).collect();
    assert_eq!(json!(sources), json!(["startup", "resume", "compact", "resume", "resume"]));
    for name in ["session_id", "transcript_path"] {
        let different: BTreeSet<_> = payloads.iter().map(|payload| payload[name].to_string()).collect();
        assert_eq!(different.len(), 1, "{name}");
    }
}

#[test]
fn a_response_is_written_in_several_lines() {
    let transcripts = transcripts();
    let main = &transcripts["main"];
    let lines = main.iter().filter(|line| line["type"] == "assistant").count();
    assert_eq!((lines, responses(main).len()), (27, 20));
}

#[test]
fn the_clients_last_total_is_what_the_provider_counted() {
    let transcripts = transcripts();
    let totals: Vec<_> = transcripts["main"].iter().filter(|line| line["type"] == "cost-state").collect();
    assert_eq!(totals.len(), 4);
    let classes = |total: &Value| {
        let usage = &total["modelUsage"]["claude-opus-5-5"];
        ["inputTokens", "outputTokens", "cacheCreationInputTokens", "cacheReadInputTokens"]
            .map(|name| usage[name].as_u64().unwrap())
    };
    for pair in totals.windows(2) {
        let grows = classes(pair[0]).iter().zip(classes(pair[1])).all(|(before, after)| *before <= after);
        assert!(grows && pair[0]["startTime"] == pair[1]["startTime"]);
    }
    assert!(totals.iter().all(|total| total.get("timestamp").is_none()));
    let expected = Example::expected();
    let [main, subagents, compaction] =
        ["main", "subagent", "compact"].map(|part| expected_classes(&expected[part]));
    assert_eq!(classes(totals[3]), sum(sum(main, subagents), compaction));
    // The lines alone leave the compaction out.
    let lines = transcripts.values().flat_map(|lines| responses(lines)).fold([0; 4], sum);
    assert_eq!(lines, sum(main, subagents));
}

#[test]
fn the_status_line_is_given_cost_and_context() {
    let text = std::fs::read_to_string(repository().join("examples/statusline.json")).unwrap();
    let payload: Value = serde_json::from_str(&text).unwrap();
    for path in [
        "/cost/total_cost_usd",
        "/cost/total_duration_ms",
        "/cost/total_api_duration_ms",
        "/cost/total_lines_added",
        "/cost/total_lines_removed",
        "/context_window/context_window_size",
        "/context_window/used_percentage",
        "/context_window/current_usage",
        "/model/id",
        "/exceeds_200k_tokens",
    ] {
        assert!(payload.pointer(path).is_some_and(|value| !value.is_null()), "{path}");
    }
}

#[test]
fn rates_of_the_cache_are_not_the_same_for_all_models() {
    let table = PriceTable::builtin();
    // Cache reads and both kinds of writes, in thousandths of the input's rate.
    let shares = |model: &str, at: &str| {
        let at = Timestamp::parse(at).unwrap();
        let rates = table.price(model, at, 0, Modifiers::default()).unwrap();
        [rates.cache_read, rates.cache_write_5m, rates.cache_write_1h].map(|rate| rate * 1_000 / rates.input)
    };
    let now = "2026-11-22T00:00:00Z";
    assert_eq!(shares("claude-opus-4-5", now), [100, 1_250, 2_000]);
    assert_eq!(shares("claude-fable-5-1", now), [25, 1_250, 2_000]);
    assert_eq!(shares("claude-fable-5-2", now), [25, 1_250, 2_000]);
    assert_eq!(shares("claude-opus-5-5", now), [50, 1_250, 2_000]);
    assert_eq!(shares("claude-sonnet-5-5", now), [50, 1_250, 2_000]);
    assert_eq!(shares("claude-sonnet-5-5", "2026-10-06T00:00:00Z"), [100, 1_250, 2_000]);
    assert_eq!(shares("claude-3-haiku-20240307", now), [120, 1_200, 2_000]);
}
