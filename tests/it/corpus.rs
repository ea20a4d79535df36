//! The real client's payloads and transcripts: those captured for this project, and, where somebody has them, collected
//! ones. The collected ones are other people's work under its own licenses, so nothing of it is in this repository.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tallyhook::domain::Usage;

use crate::material::{captured, captured_sets, collected, folders_in, with_extension};
use crate::support::{Ledger, Session, With, copy_folder, expected_classes, four_classes, sum};

/// Hands payloads to a ledger and fails unless each tool call of theirs is one row.
pub(crate) fn assert_each_call_is_a_row<'p>(payloads: impl Iterator<Item = (&'p str, Value)>) {
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
    for client in folders_in(&captured()) {
        let files = with_extension(&client.join("payloads"), "json");
        let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert_each_call_is_a_row(texts.iter().map(|text| (&**text, serde_json::from_str(text).unwrap())));
    }
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn every_tool_call_of_the_collected_payloads_is_a_row() {
    let files = with_extension(&collected("corpus/hooks"), "jsonl");
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    assert_each_call_is_a_row(lines.map(|line| (line, serde_json::from_str(line).unwrap())));
}

/// What the provider had counted in a scenario, by session.
fn expected_of(set: &Path) -> serde_json::Map<String, Value> {
    serde_json::from_slice(&std::fs::read(set.join("expected.json")).unwrap()).unwrap()
}

/// Runs a `Stop` for each main transcript of all scenarios, and compares with the mock's own count.
fn assert_stops_tell_what_the_provider_counted(reversed: bool) {
    let ledger = Ledger::new();
    let mut transcripts = Vec::new();
    for set in captured_sets() {
        let folder = ledger.projects().join(set.file_name().unwrap());
        copy_folder(&set, &folder);
        let mut files = with_extension(&folder, "jsonl");
        files.retain(|path| path.parent().and_then(Path::parent) == Some(&folder));
        transcripts.extend(files);
    }
    if reversed {
        transcripts.reverse();
    }
    let id = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for path in &transcripts {
        let stop = Session::new(&ledger, &id(path)).stop();
        ledger.hook(stop.with("transcript_path", path.to_str().unwrap()));
    }
    let mut sessions = 0;
    for set in captured_sets() {
        for (session, parts) in expected_of(&set) {
            let what = format!("{} {session}", set.display());
            let (main, subagent) = (&parts["main"], &parts["subagent"]);
            // What no line shows (a compaction's own call) is told by the client's total, which is written at its exit.
            let compact = expected_classes(&parts["compact"]);
            let all = sum(sum(expected_classes(main), expected_classes(subagent)), compact);
            assert_eq!(four_classes(&ledger.usage(&session)), all, "{what}");
            let of_main = ledger.usage_of_agent(&session, "main");
            assert_eq!(four_classes(&of_main), expected_classes(main), "{what}");
            let responses = [main, subagent].map(|part| part["responses"].as_u64().unwrap_or(0));
            assert_eq!(ledger.responses(&session), responses.iter().sum::<u64>(), "{what}");
            sessions += 1;
        }
    }
    assert!(sessions >= 18 && sessions <= transcripts.len(), "{sessions} sessions");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn totals_of_captured_transcripts_are_the_providers_own() {
    assert_stops_tell_what_the_provider_counted(false);
    assert_stops_tell_what_the_provider_counted(true);
}

/// Counts of a response by a reader of our own that shares no line with the program's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
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

    pub(crate) fn from(usage: Usage) -> Self {
        let classes = four_classes(&usage);
        Self { classes, one_hour: usage.cache_write_1h, web_searches: usage.web_searches }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            classes: sum(self.classes, other.classes),
            one_hour: self.one_hour + other.one_hour,
            web_searches: self.web_searches + other.web_searches,
        }
    }
}

/// What shows a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Line,
    /// An iteration within a line.
    Advisor,
    /// An echo, and nothing else.
    Echo,
}

/// The record of a response that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Best {
    shown: Shown,
    is_complete: bool,
    counts: Counts,
}

/// The responses of a transcript: its assistant lines, the advisors within them, and what only echoes show.
pub(crate) fn count_independently(text: &str) -> HashMap<String, Best> {
    let mut lines: HashMap<String, Best> = HashMap::new();
    let mut echoes: HashMap<String, Best> = HashMap::new();
    // An id alone does not tell: in another session only the same line is the same response.
    let mut owners: HashMap<String, String> = HashMap::new();
    let mut known: HashMap<String, String> = HashMap::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line.trim_matches(['\0', '\u{feff}', '\r', ' '])) else {
            continue;
        };
        let (record, shown, responses) = match line["type"].as_str() {
            Some("assistant") => (&line, Shown::Line, &mut lines),
            Some("progress") if line["data"]["message"]["type"] == "assistant" => {
                (&line["data"]["message"], Shown::Echo, &mut echoes)
            }
            _ => continue,
        };
        let (message, usage) = (&record["message"], &record["message"]["usage"]);
        if message["model"] == "<synthetic>" || !usage.is_object() {
            continue;
        }
        let names = [&message["id"], &record["requestId"], &record["uuid"]];
        let Some(id) = names.iter().find_map(|name| name.as_str()) else { continue };
        let session = line["sessionId"].as_str().unwrap_or_default();
        let is_owners = *owners.entry(id.to_owned()).or_insert_with(|| session.to_owned()) == session;
        let own = if is_owners { id.to_owned() } else { format!("{id} of {session}") };
        let key = match (shown, record["uuid"].as_str()) {
            (Shown::Line, Some(uuid)) => known.entry(uuid.to_owned()).or_insert(own).clone(),
            _ => id.to_owned(),
        };
        let mut keep = |key: String, shown: Shown, usage: &Value| {
            let found =
                Best { shown, is_complete: message["stop_reason"].is_string(), counts: Counts::of(usage) };
            let best = responses.entry(key).or_insert(found);
            // With stop_reason set the number is right.
            let rank = |best: &Best| (best.is_complete, best.counts.classes[1]);
            if rank(&found) > rank(best) {
                *best = found;
            }
        };
        keep(key.clone(), shown, usage);
        let iterations = usage["iterations"].as_array().into_iter().flatten();
        for (number, advisor) in iterations.filter(|part| part["type"] == "advisor_message").enumerate() {
            keep(format!("{key} advisor {number}"), Shown::Advisor, advisor);
        }
    }
    for (key, echo) in echoes {
        lines.entry(key).or_insert(echo);
    }
    lines
}

/// How many responses there are, and their counts together.
pub(crate) fn sum_of<'r>(responses: impl Iterator<Item = &'r Best>) -> (u64, Counts) {
    responses.fold((0, Counts::default()), |(number, sum), best| (number + 1, sum.plus(best.counts)))
}

/// Reads a transcript by a `Stop` and by the independent reader; the number of responses.
fn assert_counted_alike(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "s");
    session.transcript().write_bytes(&bytes);
    ledger.hook(session.stop());
    let expected = count_independently(&String::from_utf8(bytes).unwrap());
    let found = (ledger.responses_of_all(), Counts::from(ledger.usage_of_all()));
    assert_eq!(found, sum_of(expected.values()), "{}", path.display());
    assert_eq!(ledger.faults(), "", "{}", path.display());
    expected.len()
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn totals_of_collected_transcripts_are_those_of_an_independent_count() {
    let files = with_extension(&collected("corpus/claude"), "jsonl");
    let responses: usize = files.iter().map(|file| assert_counted_alike(file)).sum();
    assert!(responses > 2_000, "{responses}");
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn totals_of_collected_and_scrubbed_transcripts_are_those_of_an_independent_count() {
    let mut files = with_extension(&collected("corpus/skeletons"), "jsonl");
    files.retain(|file| file.to_string_lossy().contains("skeletons/claude"));
    assert!(files.iter().map(|file| assert_counted_alike(file)).sum::<usize>() > 0);
}

// Imported.

/// The folders of collected transcripts, and of scrubbed ones.
fn collected_sets() -> Vec<PathBuf> {
    let mut sets = folders_in(&collected("corpus/claude"));
    let skeletons = folders_in(&collected("corpus/skeletons"));
    sets.extend(
        skeletons.into_iter().filter(|set| set.file_name().unwrap().to_string_lossy().starts_with("claude")),
    );
    sets
}

/// The ledger after the import of a folder.
fn imported(folder: &Path) -> Ledger {
    let ledger = Ledger::new();
    ledger.import_from(folder);
    ledger
}

#[test]
fn imported_captured_sets_are_what_the_provider_counted_hidden_calls_included() {
    let ledger = imported(&captured());
    let sessions = ledger.cost_by("session");
    let (mut of_main, mut of_all) = ([0; 4], [0; 4]);
    for set in captured_sets() {
        for (session, parts) in expected_of(&set) {
            let what = format!("{} {session}", set.display());
            let [main, subagent, hidden] =
                ["main", "subagent", "compact"].map(|part| expected_classes(&parts[part]));
            let responses = ["main", "subagent"].map(|part| parts[part]["responses"].as_u64().unwrap_or(0));
            let all = sum(sum(main, subagent), hidden);
            let row = sessions.row(&session);
            assert_eq!(four_classes(&row.usage), all, "{what}");
            assert_eq!(row.responses, responses.iter().sum::<u64>(), "{what}");
            if hidden != [0; 4] {
                assert_eq!(four_classes(&ledger.actual(&session).hidden.usage), hidden, "{what}");
            }
            (of_main, of_all) = (sum(of_main, main), sum(of_all, all));
        }
    }
    assert_eq!(four_classes(&ledger.cost_by("agent").row("main").usage), of_main);
    assert_eq!(four_classes(&sessions.total.usage), of_all);
}

/// Pico-dollars in a price that the client wrote from a float.
fn pico(dollars: &Value) -> i128 {
    (dollars.as_f64().unwrap() * 1e12).round() as i128
}

#[test]
fn what_the_client_writes_when_it_is_interrupted_is_no_turn() {
    // In the client's own words, which no list of ours may know otherwise.
    let folder = captured().join("2.1.330/transcripts/tty-interrupt");
    let [file] = &with_extension(&folder, "jsonl")[..] else {
        panic!("one transcript in {}", folder.display())
    };
    assert!(std::fs::read_to_string(file).unwrap().contains("interrupted by user"));
    let session = file.file_stem().unwrap().to_str().unwrap();
    assert_eq!(imported(&folder).report(session)["session"]["turns"], 2);
}

#[test]
fn imported_captured_sets_cost_what_the_client_took_them_to_cost() {
    // A total is cumulative, over resumes and forks too: all of these have the time when it began.
    let mut totals: HashMap<String, i128> = HashMap::new();
    for file in with_extension(&captured(), "jsonl") {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().filter(|line| line.contains("\"cost-state\"")) {
            let state: Value = serde_json::from_str(line).unwrap();
            let total = totals.entry(state["startTime"].to_string()).or_default();
            *total = pico(&state["totalCostUSD"]).max(*total);
        }
    }
    let pico = imported(&captured()).cost_by("session").total.pico;
    assert_eq!(pico, Some(totals.values().sum::<i128>()));
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn collected_totals_without_lines_cost_what_the_client_took_them_to_cost() {
    for file in with_extension(&collected("corpus/cost-state"), "jsonl") {
        let state: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        // One record is quoted with some of its models only.
        let costs: i128 =
            state["modelUsage"].as_object().unwrap().values().map(|model| pico(&model["costUSD"])).sum();
        let total = imported(&file).total();
        assert_eq!((total.pico, total.responses), (Some(costs), 0), "{}", file.display());
    }
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn collected_folders_are_what_an_independent_reader_counts() {
    for set in collected_sets() {
        let texts: Vec<String> = with_extension(&set, "jsonl")
            .iter()
            .map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned() + "\n")
            .collect();
        // One response may be in several files.
        let expected = count_independently(&texts.concat());
        let total = imported(&set).cost_by("session").total;
        assert_eq!(
            (total.responses, Counts::from(total.usage)),
            sum_of(expected.values()),
            "{}",
            set.display()
        );
    }
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn collected_transcripts_are_their_ground_truth() {
    let corpus = collected("corpus");
    let truths: Value =
        serde_json::from_slice(&std::fs::read(corpus.join("ground-truth.json")).unwrap()).unwrap();
    let truths = truths["claude"].as_object().unwrap();
    assert!(truths.len() > 50);
    for (name, truth) in truths {
        let file = corpus.join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        // It leaves out advisors and what only echoes show.
        let (others, besides) =
            sum_of(count_independently(&text).values().filter(|best| best.shown != Shown::Line));
        let total = imported(&file).cost_by("model").total;
        assert_eq!(total.responses, truth["messages"].as_u64().unwrap() + others, "{name}");
        let classes = sum(expected_classes(&truth["dedup_max"]), besides.classes);
        assert_eq!(four_classes(&total.usage), classes, "{name}");
        let split = ["cache_write_5m", "cache_write_1h"].map(|kind| truth[kind].as_u64().unwrap());
        if split.iter().sum::<u64>() == expected_classes(&truth["dedup_max"])[2] {
            assert_eq!(total.usage.cache_write_1h, split[1] + besides.one_hour, "{name}");
        }
    }
}

/// Fails unless a folder comes to the same by whatever way its files are imported.
fn assert_the_same_in_any_order(set: &Path, seeds: std::ops::Range<u64>) {
    let views = |ledger: &Ledger| ["session", "agent", "model", "day"].map(|by| ledger.cost_by(by).by_key());
    let whole = views(&imported(set));
    for seed in seeds {
        let ledger = Ledger::new();
        if seed > 0 {
            ledger.import_in_pieces(set, seed, 60);
        }
        ledger.import_in_pieces(set, seed + 10, 100);
        assert_eq!(views(&ledger), whole, "{}, seed {seed}", set.display());
        ledger.import();
        assert_eq!(views(&ledger), whole, "{}, seed {seed}, again", set.display());
    }
}

#[test]
fn captured_sets_are_the_same_in_whatever_order_and_pieces_they_are_imported() {
    for set in captured_sets() {
        // A single file has one order.
        if with_extension(&set, "jsonl").len() > 1 {
            assert_the_same_in_any_order(&set, 0..2);
        }
    }
}

#[test]
#[ignore = "needs collected transcripts: set TALLYHOOK_CORPUS to their folder"]
fn collected_sets_are_the_same_in_whatever_order_and_pieces_they_are_imported() {
    for set in collected_sets() {
        assert_the_same_in_any_order(&set, 0..3);
    }
}
