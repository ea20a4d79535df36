//! Real payloads and transcripts, where the folder that holds them (`../shared`) is beside this one. It is other
//! people's work under its own licences, so nothing of it is in this repository.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{
    Ledger, Session, With, copy_folder, expected_classes, files_below, four_classes, repository, sum,
};

/// A folder below `../shared`, or none where that is not here.
fn shared(folder: &str) -> Option<PathBuf> {
    let shared = repository().join("../shared");
    if !shared.is_dir() {
        println!("skipped: ../shared is not here");
        return None;
    }
    Some(shared.join(folder))
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    assert!(!files.is_empty(), "no .{extension} in {}", folder.display());
    files
}

/// Hands payloads to a ledger and fails unless each tool call of theirs is one row.
fn assert_each_call_is_a_row<'p>(payloads: impl Iterator<Item = (&'p str, Value)>) {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "first").start());
    // While a connection is open no event has to empty the write-ahead log, which is most of its time.
    let keep_open = ledger.sqlite();
    let (mut with_id, mut without_id) = (HashSet::new(), 0);
    for (text, payload) in payloads {
        // The paths of somebody's home could exist here.
        let mut text = text.to_owned();
        for member in ["transcript_path", "agent_transcript_path", "cwd"] {
            if let Some(path) = payload[member].as_str() {
                let moved =
                    format!("{}/elsewhere/{}", ledger.dir().display(), path.replace(['/', '\\', ':'], "_"));
                text = text.replace(&payload[member].to_string(), &Value::from(moved).to_string());
            }
        }
        ledger.hook(&text);
        if matches!(payload["hook_event_name"].as_str(), Some("PostToolUse" | "PostToolUseFailure")) {
            match payload["tool_use_id"].as_str() {
                Some(id) => {
                    with_id.insert((payload["session_id"].to_string(), id.to_owned()));
                }
                None => without_id += 1,
            }
        }
    }
    let calls = ledger.calls();
    assert_eq!(calls.len(), with_id.len() + without_id);
    assert!(!calls.is_empty());
    let ids: HashSet<_> = calls
        .iter()
        .filter_map(|call| Some((call["session_id"].to_string(), call["tool_use_id"].as_str()?.to_owned())))
        .collect();
    assert_eq!(ids, with_id);
    assert_eq!(ledger.faults(), "");
    ledger.assert_sound();
    drop(keep_open);
}

#[test]
fn every_tool_call_of_the_captured_payloads_is_a_row() {
    let Some(folder) = shared("claude-code/2.1.330") else { return };
    let mut files = with_extension(&folder, "json");
    files.retain(|file| file.parent() == Some(&folder));
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert_each_call_is_a_row(texts.iter().map(|text| (&**text, serde_json::from_str(text).unwrap())));
}

#[test]
fn every_tool_call_of_the_collected_payloads_is_a_row() {
    let Some(folder) = shared("corpus/hooks") else { return };
    let files = with_extension(&folder, "jsonl");
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    assert_each_call_is_a_row(lines.map(|line| (line, serde_json::from_str(line).unwrap())));
}

/// Runs a `Stop` for each main transcript of a captured set, and compares with the mock's own count.
fn assert_totals_are_the_providers(set: &Path, reversed: bool) {
    let expected: Value = serde_json::from_slice(&std::fs::read(set.join("expected.json")).unwrap()).unwrap();
    let ledger = Ledger::new();
    let projects = ledger.dir().join("projects");
    copy_folder(set, &projects);
    let mut transcripts = with_extension(&projects, "jsonl");
    transcripts.retain(|path| path.parent().and_then(Path::parent) == Some(&projects));
    assert!(!transcripts.is_empty(), "{}", set.display());
    if reversed {
        transcripts.reverse();
    }
    let id = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for path in &transcripts {
        let stop = Session::new(&ledger, &id(path)).stop();
        ledger.hook(stop.with("transcript_path", path.to_str().unwrap()));
    }
    for path in &transcripts {
        let (session, set) = (id(path), set.display());
        let (main, subagent) = (&expected[&session]["main"], &expected[&session]["subagent"]);
        // What no line shows (a compaction's own call) is told by the client's total, which is written at its exit.
        let compact = expected[&session].get("compact").map_or([0; 4], expected_classes);
        let all = sum(sum(expected_classes(main), expected_classes(subagent)), compact);
        assert_eq!(four_classes(&ledger.usage(&session)), all, "{set} {session}");
        let of_main = ledger.usage_of_agent(&session, "main");
        assert_eq!(four_classes(&of_main), expected_classes(main), "{set} {session}");
        let responses = [main, subagent].map(|part| part["responses"].as_u64().unwrap_or(0));
        assert_eq!(ledger.responses(&session), responses.iter().sum::<u64>(), "{set} {session}");
    }
    assert_eq!(ledger.faults(), "");
}

#[test]
fn totals_of_captured_transcripts_are_the_providers_own() {
    let Some(folder) = shared("claude-code/2.1.330/transcripts") else { return };
    let mut sets: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|set| set.is_dir())
        .collect();
    sets.sort();
    assert!(sets.len() >= 15, "{sets:?}");
    for set in sets {
        assert_totals_are_the_providers(&set, false);
        assert_totals_are_the_providers(&set, true);
    }
}

/// Counts of a response by a reader of our own that shares no line with the program's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Input, output, cache writes, cache reads.
    classes: [u64; 4],
    /// Of the cache writes those for an hour.
    one_hour: u64,
    web_searches: u64,
}

impl Counts {
    fn of(usage: &Value) -> Self {
        let one_hour =
            |usage: &Value| usage["cache_creation"]["ephemeral_1h_input_tokens"].as_u64().unwrap_or(0);
        let iterations = usage["iterations"].as_array().into_iter().flatten();
        let parts: u64 = iterations.filter(|part| part["type"] == "message").map(one_hour).sum();
        Self {
            classes: expected_classes(usage),
            // The split beside several iterations can be that of the first one.
            one_hour: one_hour(usage).max(parts),
            web_searches: usage["server_tool_use"]["web_search_requests"].as_u64().unwrap_or(0),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            classes: sum(self.classes, other.classes),
            one_hour: self.one_hour + other.one_hour,
            web_searches: self.web_searches + other.web_searches,
        }
    }
}

/// The responses of a transcript: its assistant lines, the advisors within them, and what only echoes show.
fn count_independently(text: &str) -> HashMap<String, Counts> {
    let mut lines: HashMap<String, Counts> = HashMap::new();
    let mut echoes: HashMap<String, Counts> = HashMap::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line.trim_matches(['\0', '\u{feff}', '\r', ' '])) else {
            continue;
        };
        let (record, responses) = match line["type"].as_str() {
            Some("assistant") => (&line, &mut lines),
            Some("progress") if line["data"]["message"]["type"] == "assistant" => {
                (&line["data"]["message"], &mut echoes)
            }
            _ => continue,
        };
        let (message, usage) = (&record["message"], &record["message"]["usage"]);
        if message["model"] == "<synthetic>" || !usage.is_object() {
            continue;
        }
        let names = [&message["id"], &record["requestId"], &record["uuid"]];
        let Some(key) = names.iter().find_map(|name| name.as_str()) else { continue };
        let mut keep = |key: String, usage: &Value| {
            let counts = Counts::of(usage);
            let kept = responses.entry(key).or_insert(counts);
            if counts.classes[1] > kept.classes[1] {
                *kept = counts;
            }
        };
        keep(key.to_owned(), usage);
        let iterations = usage["iterations"].as_array().into_iter().flatten();
        for (number, advisor) in iterations.filter(|part| part["type"] == "advisor_message").enumerate() {
            keep(format!("{key} advisor {number}"), advisor);
        }
    }
    for (key, counts) in echoes {
        lines.entry(key).or_insert(counts);
    }
    lines
}

/// Reads a transcript by a `Stop` and by the independent reader; the number of responses.
fn assert_counted_alike(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write_bytes(&bytes);
    ledger.hook(session.stop());
    let expected = count_independently(&String::from_utf8(bytes).unwrap());
    let total = expected.values().copied().fold(Counts::default(), Counts::plus);
    let usage = ledger.usage_of_all();
    let found = Counts {
        classes: four_classes(&usage),
        one_hour: usage.cache_write_1h,
        web_searches: usage.web_searches,
    };
    assert_eq!(found, total, "{}", path.display());
    assert_eq!(ledger.responses_of_all(), expected.len() as u64, "{}", path.display());
    assert_eq!(ledger.faults(), "", "{}", path.display());
    expected.len()
}

#[test]
fn totals_of_collected_transcripts_are_those_of_an_independent_count() {
    let Some(folder) = shared("corpus/claude") else { return };
    let files = with_extension(&folder, "jsonl");
    let responses: usize = files.iter().map(|file| assert_counted_alike(file)).sum();
    assert!(responses > 2_000, "{responses}");
}

#[test]
fn totals_of_scrubbed_transcripts_are_those_of_an_independent_count() {
    let Some(folder) = shared("corpus/skeletons") else { return };
    let mut files = with_extension(&folder, "jsonl");
    files.retain(|file| file.to_string_lossy().contains("skeletons/claude"));
    assert!(files.iter().map(|file| assert_counted_alike(file)).sum::<usize>() > 0);
}
