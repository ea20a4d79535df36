//! A Claude Code transcript, taken apart into what a hook would have been told and what the provider then counted.
//!
//! A *gap* lies between two consecutive responses of one context: what the first one's calls returned, and how much
//! the context had really grown when the second one read it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tallyhook::clients::claude_code::Transcripts;
use tallyhook::clients::{Buffer, ContentReader, LogReader as _, ReadFrom};
use tallyhook::domain::{ContextEntry, ModelId, SessionId, ToolName, Version, client_version};
use tallyhook::estimate::calibrate::{CalibrationSample, Gap as LessonGap, calibration_samples};
use tallyhook::estimate::{CallView, Era};
use tallyhook::json::Object;
use tallyhook::reconcile::merge_all;

/// Clients from these versions on send `tool_use_id` and `prompt_id` (`docs/facts.md#payloads-by-age`; the transcripts'
/// `promptId`).
const SENDS_TOOL_USE_ID: Version = (2, 1, 30);
const SENDS_PROMPT_ID: Version = (2, 1, 100);

/// A file's gaps.
pub(crate) struct File {
    /// The repository whose sessions share a ledger.
    pub(crate) repository: String,
    /// The file's name.
    pub(crate) session: String,
    /// Its gaps.
    pub(crate) gaps: Vec<Gap>,
}

/// A call as the hook hears of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Its id.
    pub(crate) id: String,
    /// The tool.
    pub(crate) tool: ToolName,
    /// The JSON of `PostToolUse` or `PostToolUseFailure`.
    pub(crate) payload: String,
    /// The client's version.
    pub(crate) version: Version,
}

impl Call {
    /// Characters of the response as the payload has it, in JSON.
    pub(crate) fn response_chars(&self) -> u64 {
        let payload = Object::parse(&self.payload).unwrap_or_default();
        let response = payload.raw("tool_response").or_else(|| payload.raw("error"));
        response.map_or(0, |response| response.get().chars().count() as u64)
    }

    /// Hands the payload on as the hook does: nothing but what it says, and the session's client version.
    pub(crate) fn with_view<T>(&self, then: impl FnOnce(&CallView<'_>) -> T) -> T {
        let payload = Object::parse(&self.payload).unwrap_or_default();
        let cwd = payload.text("cwd");
        let has = |name: &str| payload.raw(name).is_some();
        then(&CallView {
            tool: &self.tool,
            input: payload.raw("tool_input"),
            response: payload.raw("tool_response"),
            error: payload.raw("error"),
            cwd: cwd.as_deref(),
            era: match (has("tool_use_id"), has("prompt_id")) {
                (false, _) => Era::Early,
                (true, false) => Era::Middle,
                (true, true) => Era::Current,
            },
            version: Some(self.version),
        })
    }
}

/// What was added to a context between two of its responses.
#[derive(Debug, Clone)]
pub(crate) struct Gap {
    /// The response that made the calls.
    pub(crate) maker: String,
    /// The one that read their results: a copy in another file is the same gap.
    pub(crate) reader: String,
    /// When that one came, as the log writes it (RFC 3339 UTC, so texts sort as times).
    pub(crate) at: String,
    /// Its model.
    pub(crate) model: ModelId,
    /// The calls that the first response made and that came to an end.
    pub(crate) calls: Vec<Call>,
    /// Growth of input, cache reads and cache writes, less the first response's output. In tokens.
    pub(crate) growth: i64,
    /// Tokens of the first response's output.
    pub(crate) output: u64,
    /// What `cl100k_base` counts of it, as `estimate::written` counts; `None` if thinking is hidden in it.
    pub(crate) written: Option<u64>,
    /// Whether that output was logged whole.
    pub(crate) complete: bool,
    /// Whether a turn ended with it.
    pub(crate) ends_turn: bool,
    /// Why it tells nothing of tool results.
    pub(crate) excluded: Option<&'static str>,
    /// What the program itself finds in the transcript to learn from, afterwards.
    pub(crate) sample: Option<LessonGap>,
}

/// One response, as its lines add up.
#[derive(Debug, Default)]
struct Response {
    id: String,
    at: String,
    model: String,
    complete: bool,
    /// The context when it began: all of its input. In tokens.
    before: i64,
    /// The context when it ended, its own output included.
    after: i64,
    output: u64,
    content: Vec<Value>,
    /// Calls by `tool_use` id, in the order they were made; with the answer when it has come.
    calls: Vec<(String, Option<Call>)>,
    /// What came into the context after it besides results.
    excluded: Option<&'static str>,
}

/// The gaps of a file, in the order of its lines; each agent's context by itself.
pub(crate) fn gaps(path: &Path) -> Vec<Gap> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut contexts: Vec<(String, Vec<Response>)> = Vec::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let side = line["isSidechain"] == true;
        let context = line["agentId"].as_str().unwrap_or(if side { "sidechain" } else { "" }).to_owned();
        let at = contexts.iter().position(|(name, _)| *name == context).unwrap_or_else(|| {
            contexts.push((context, Vec::new()));
            contexts.len() - 1
        });
        add_line(&line, &mut contexts[at].1);
    }
    let mut calibration_samples = lessons_of(path);
    let gaps = contexts.iter().flat_map(|(_, responses)| responses.windows(2).filter_map(gap));
    gaps.map(|gap| Gap { sample: calibration_samples.remove(&gap.reader), ..gap }).collect()
}

fn add_line(line: &Value, responses: &mut Vec<Response>) {
    let exclude = |responses: &mut Vec<Response>, why| {
        if let Some(last) = responses.last_mut() {
            last.excluded.get_or_insert(why);
        }
    };
    match line["type"].as_str() {
        Some("assistant") => add_assistant(line, responses),
        Some("user") => add_user(line, responses),
        Some("system") if line["subtype"] == "compact_boundary" => exclude(responses, "compaction"),
        Some("attachment") if line["attachment"]["type"] == "queued_command" => exclude(responses, "prompt"),
        _ => {}
    }
}

fn add_assistant(line: &Value, responses: &mut Vec<Response>) {
    let message = &line["message"];
    let (Some(id), Some(model)) = (message["id"].as_str(), message["model"].as_str()) else { return };
    if model == "<synthetic>" {
        return;
    }
    if !responses.iter().any(|response| response.id == id) {
        responses.push(Response {
            id: id.to_owned(),
            at: line["timestamp"].as_str().unwrap_or_default().to_owned(),
            model: model.to_owned(),
            ..Response::default()
        });
    }
    let Some(response) = responses.iter_mut().find(|response| response.id == id) else { return };
    response.complete |= message["stop_reason"].is_string();
    let usage = &message["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    if count("output_tokens") >= response.output {
        response.output = count("output_tokens");
        (response.before, response.after) = context(usage);
    }
    for block in message["content"].as_array().into_iter().flatten() {
        if let (Some("tool_use"), Some(id)) = (block["type"].as_str(), block["id"].as_str()) {
            response.calls.push((id.to_owned(), None));
        }
        response.content.push(block.clone());
    }
}

/// The context before and after a response. Where an advisor was asked within, the usage is the sum of several
/// passes, each of which read the context again, so that the first and the last one tell.
fn context(usage: &Value) -> (i64, i64) {
    let count = |part: &Value, name: &str| part[name].as_i64().unwrap_or(0);
    let input = |part: &Value| {
        count(part, "input_tokens")
            + count(part, "cache_read_input_tokens")
            + count(part, "cache_creation_input_tokens")
    };
    let passes = usage["iterations"].as_array().into_iter().flatten();
    let passes: Vec<&Value> = passes.filter(|part| part["type"] == "message").collect();
    let (first, last) = match passes.as_slice() {
        [first, .., last] => (*first, *last),
        _ => (usage, usage),
    };
    (input(first), input(last) + count(last, "output_tokens"))
}

fn add_user(line: &Value, responses: &mut [Response]) {
    let content = &line["message"]["content"];
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    let results: Vec<&Value> = blocks.iter().filter(|block| block["type"] == "tool_result").collect();
    for result in &results {
        let Some(id) = result["tool_use_id"].as_str() else { continue };
        let owner = responses.iter_mut().find(|response| response.calls.iter().any(|(call, _)| call == id));
        let Some(owner) = owner else { continue };
        let has_media = result["content"].as_array().is_some_and(|parts| {
            parts.iter().any(|part| part["type"] == "image" || part["type"] == "document")
        });
        if has_media {
            owner.excluded.get_or_insert("image");
        }
        let call = call(line, result, id, owner);
        if let Some((_, answer)) = owner.calls.iter_mut().find(|(call, _)| call == id) {
            *answer = call;
        }
    }
    if results.is_empty()
        && line["isMeta"] != true
        && let Some(last) = responses.last_mut()
    {
        let is_summary = line["isCompactSummary"] == true;
        last.excluded.get_or_insert(if is_summary { "compaction" } else { "prompt" });
    }
}

/// The payload that the client's hook got for a result; `None` where it ran none.
fn call(line: &Value, result: &Value, id: &str, owner: &Response) -> Option<Call> {
    let made = owner.content.iter().find(|block| block["id"] == id)?;
    let text = match &result["content"] {
        Value::String(text) => text.clone(),
        parts => {
            let parts = parts.as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
    };
    let refused = ["The user doesn't want to", "<tool_use_error>InputValidationError", "Permission to use"];
    if refused.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let version = client_version(line["version"].as_str().unwrap_or_default());
    let name = made["name"].as_str().unwrap_or_default();
    let mut payload = json!({
        "session_id": line["sessionId"], "cwd": line["cwd"], "hook_event_name": "PostToolUse",
        "tool_name": name, "tool_input": made["input"],
    });
    if version >= SENDS_TOOL_USE_ID {
        payload["tool_use_id"] = id.into();
    }
    if version >= SENDS_PROMPT_ID {
        payload["prompt_id"] = line["promptId"].as_str().unwrap_or("unknown").into();
    }
    match (result["is_error"] == true, &line["toolUseResult"]) {
        (true, Value::String(error)) => {
            payload["hook_event_name"] = "PostToolUseFailure".into();
            payload["error"] = error.strip_prefix("Error: ").unwrap_or(error).into();
        }
        (true, Value::Null) => {
            payload["hook_event_name"] = "PostToolUseFailure".into();
            payload["error"] = text.into();
        }
        // Where a file holds one result for several blocks, or none, the text is the best there is.
        (false, Value::Null) => payload["tool_response"] = text.into(),
        (_, response) => payload["tool_response"] = response.clone(),
    }
    Some(Call { id: id.to_owned(), tool: ToolName::new(name), payload: payload.to_string(), version })
}

fn gap(pair: &[Response]) -> Option<Gap> {
    let [first, second] = pair else { return None };
    let growth = second.before - first.after;
    let calls: Vec<Call> = first.calls.iter().filter_map(|(_, call)| call.clone()).collect();
    let hides_thinking = first
        .content
        .iter()
        .any(|block| matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking")));
    let content = Value::Array(first.content.clone()).to_string();
    let excluded = first
        .excluded
        .or((!first.complete).then_some("incomplete"))
        .or((first.model != second.model).then_some("model changed"))
        .or(calls.is_empty().then_some("no calls"))
        .or((growth <= 0).then_some("shrunk"));
    Some(Gap {
        maker: first.id.clone(),
        reader: second.id.clone(),
        at: second.at.clone(),
        model: ModelId::new(&second.model)?,
        growth,
        output: first.output,
        complete: first.complete,
        written: (!hides_thinking).then(|| tallyhook::estimate::written(&content)),
        ends_turn: calls.is_empty() || first.excluded.is_some(),
        calls,
        excluded,
        sample: None,
    })
}

/// What the program finds to learn from in a file, by the response that read it.
fn lessons_of(path: &Path) -> HashMap<String, LessonGap> {
    let content = ContentReader {
        written: tallyhook::estimate::written_block,
        read: tallyhook::estimate::read_by_model,
        hash_key: None,
    };
    let Some(session) = SessionId::new("replayed") else { return HashMap::new() };
    let mut from = ReadFrom { session, agent: None, position: None, count: |_| 0, content: Some(content) };
    let (mut entries, mut messages) = (Vec::new(), Vec::new());
    let mut buffer = Buffer::default();
    while let Ok(delta) = Transcripts.read(&mut buffer, path, &from) {
        entries.push(ContextEntry::Of { agent: None });
        entries.extend(delta.entries);
        messages.extend(delta.responses);
        if !delta.has_more {
            break;
        }
        from.position = Some(delta.position);
    }
    let messages = merge_all(messages);
    let known = messages.iter().map(|message| (&message.id, message)).collect();
    let gap = |sample| match sample {
        CalibrationSample::Gap(gap) => Some((gap.reader.as_str().to_owned(), gap)),
        CalibrationSample::Written(_) => None,
    };
    calibration_samples(&entries, &known).into_iter().filter_map(gap).collect()
}

/// The transcripts below `folder`; its sub-folders are repositories.
pub(crate) fn files(folder: &Path) -> Vec<File> {
    let mut paths = Vec::new();
    add_paths(folder, &mut paths);
    paths.sort();
    let file = |path: PathBuf| {
        let below = path.strip_prefix(folder).unwrap_or(&path);
        let name = below.components().next().map(|part| part.as_os_str().to_string_lossy().into_owned());
        File {
            repository: name.unwrap_or_default(),
            session: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            gaps: gaps(&path),
        }
    };
    paths.into_iter().map(file).collect()
}

fn add_paths(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            add_paths(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
}
