//! What every reader of a client's logs must hold (`clients::LogReader`), whatever the client: each is given logs that the
//! client itself has written, and reads them twice, in any order, in pieces, cut off, beside foreign files, and without ever
//! writing to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tallyhook::clients::{Buffer, CLIENTS, LogReader, ReadFrom};
use tallyhook::domain::{Client, LogDelta, LogPosition};

use crate::support::{Ledger, files_below, repository};

/// A client's own logs, below `tests/fixtures`.
struct Sample {
    client: Client,
    folder: &'static str,
    /// A log that is none: its path below the sample's folder, with `{}` for its name.
    other: &'static str,
    /// Lines of a foreign log that a careless reader takes for its own.
    foreign: &'static str,
}

const SAMPLES: [Sample; 27] = [
    claude_code("agents"),
    claude_code("compact-auto"),
    claude_code("resume"),
    claude_code("slowstream"),
    codex("archive"),
    codex("compact-auto"),
    codex("fork"),
    codex("model-switch"),
    codex("subagents-v1"),
    other(Client::GeminiCli, "agent"),
    other(Client::GeminiCli, "compact"),
    other(Client::GeminiCli, "resume"),
    other(Client::CopilotCli, "agent"),
    other(Client::CopilotCli, "compact"),
    other(Client::Qwen, "agent"),
    other(Client::Qwen, "compact"),
    other(Client::Kimi, "agent"),
    other(Client::Kimi, "compact"),
    other(Client::Kimi, "fork"),
    other(Client::Kimi, "old-agent"),
    other(Client::Kimi, "old-resume"),
    other(Client::OpenCode, "agent"),
    other(Client::OpenCode, "compact"),
    other(Client::OpenCode, "fork"),
    other(Client::OpenCode, "resume"),
    other(Client::Pi, "compact"),
    other(Client::Pi, "fork"),
];

const fn claude_code(scenario: &'static str) -> Sample {
    Sample {
        client: Client::ClaudeCode,
        folder: scenario,
        other: "{}.jsonl",
        foreign: r#"{"type":"assistant","message":{"content":"hi","role":"assistant"},"timestamp":"2026-11-01T10:00:00Z"}"#,
    }
}

const fn codex(scenario: &'static str) -> Sample {
    Sample {
        client: Client::Codex,
        folder: scenario,
        other: "rollout-{}.jsonl",
        foreign: r#"{"type":"token_count","info":{"total_token_usage":{"input_tokens":5,"output_tokens":5}}}"#,
    }
}

const fn other(client: Client, scenario: &'static str) -> Sample {
    let (other, foreign) = match client {
        Client::GeminiCli => (
            "p/chats/session-{}.jsonl",
            r#"{"id":"a","type":"gemini","tokens":{"input":5,"output":5,"cached":0},"model":"gemini-2.5-pro"}"#,
        ),
        Client::CopilotCli => (
            "{}/events.jsonl",
            r#"{"type":"session.usage_record","usage":{"model":"a","inputTokens":5,"outputTokens":5},"id":"a"}"#,
        ),
        Client::Qwen => (
            "p/chats/{}.jsonl",
            r#"{"type":"system","subtype":"ui_telemetry","systemPayload":{"uiEvent":{"event.name":"qwen-code.api_response"}}}"#,
        ),
        Client::Kimi => (
            "w/session_{}/agents/main/wire.jsonl",
            r#"{"type":"usage.record","usage":{"inputOther":5,"output":5}}"#,
        ),
        Client::OpenCode => ("opencode-{}.db", "SQLite format 4, which no database begins with"),
        _ => (
            "p/2026-11-30T03-15-37-267Z_{}.jsonl",
            r#"{"type":"message","id":"a","message":{"role":"assistant","usage":{"input":5,"output":5}}}"#,
        ),
    };
    Sample { client, folder: scenario, other, foreign }
}

/// Responses, input, cache reads and writes, and output.
type Counts = [u64; 5];

impl Sample {
    fn reader(&self) -> &'static dyn LogReader {
        tallyhook::clients::reader_of(self.client)
    }

    fn source(&self) -> PathBuf {
        let fixtures = repository().join("tests/fixtures").join(self.client.name());
        let version = std::fs::read_dir(fixtures).unwrap().flatten().map(|entry| entry.path());
        let places = version
            .flat_map(|version| [version.join("transcripts").join(self.folder), version.join(self.folder)]);
        places.into_iter().find(|at| at.exists()).unwrap()
    }

    /// The logs, by their paths below a folder.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let source = self.source();
        let files = files_below(&source).into_iter();
        let files = files.filter(|file| file.file_name().is_some_and(|name| name != "expected.json"));
        files
            .map(|file| (file.strip_prefix(&source).unwrap().to_path_buf(), std::fs::read(&file).unwrap()))
            .collect()
    }
}

/// Whether a file is a database, or lies beside one as a part of it.
fn is_of_database(name: &Path) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(".db") || name.contains(".db-"))
}

fn put(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Sample {
    /// What the API answered, by session and model; of Claude Code, whose samples do not say so, by session.
    fn truth(&self) -> BTreeMap<(String, String), Counts> {
        let text = std::fs::read_to_string(self.source().join("expected.json")).unwrap();
        let sessions: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>> =
            serde_json::from_str(&text).unwrap();
        let is_claude = self.client == Client::ClaudeCode;
        let names = match is_claude {
            true => [
                "responses",
                "input_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
                "output_tokens",
            ],
            false => ["responses", "input", "cache_read", "cache_write", "output"],
        };
        let mut truth = BTreeMap::new();
        for (session, parts) in sessions {
            // What compactions use stands in none of Claude Code's logs.
            for (part, counts) in parts.into_iter().filter(|(part, _)| !is_claude || part != "compact") {
                let model = if is_claude { String::new() } else { part };
                let sum: &mut Counts = truth.entry((session.clone(), model)).or_default();
                sum.iter_mut().zip(names).for_each(|(sum, name)| *sum += counts[name]);
            }
        }
        truth
    }
}

/// A ledger, the folder that it imports, and all that it holds of it.
struct World {
    ledger: Ledger,
    folder: PathBuf,
}

impl World {
    fn new() -> Self {
        let ledger = Ledger::new();
        let folder = ledger.dir().join("logs");
        std::fs::create_dir_all(&folder).unwrap();
        Self { ledger, folder }
    }

    fn of(files: &BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let world = Self::new();
        put(&world.folder, files);
        world
    }

    fn import(&self, path: &Path) -> Value {
        self.ledger.run(&["import", "--json", "--path", path.to_str().unwrap()]).json()
    }

    /// What the ledger counts, by session and model.
    fn counts(&self, sample: &Sample) -> BTreeMap<(String, String), Counts> {
        let ran = self.ledger.run(&["export", "--what", "responses", "--format", "jsonl"]);
        let mut counts = BTreeMap::new();
        for line in ran.text().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let number = |name: &str| row[name].as_u64().unwrap();
            let model = if sample.client == Client::ClaudeCode { String::new() } else { text("model") };
            let sum: &mut Counts = counts.entry((text("session_id"), model)).or_default();
            let writes = number("cache_write_5m_tokens") + number("cache_write_1h_tokens");
            let all =
                [1, number("input_tokens"), number("cache_read_tokens"), writes, number("output_tokens")];
            sum.iter_mut().zip(all).for_each(|(sum, more)| *sum += more);
        }
        counts
    }

    /// Everything that people see of it: responses, sessions, and where the costs came from.
    fn contents(&self) -> Vec<String> {
        let mut all = Vec::new();
        for what in ["responses", "sessions", "steps"] {
            let ran = self.ledger.run(&["export", "--what", what, "--format", "jsonl"]);
            let mut lines: Vec<String> =
                ran.text().lines().map(|line| line.replace(self.folder.to_str().unwrap(), "")).collect();
            lines.sort();
            all.extend(lines);
        }
        all.push(self.ledger.run(&["tools", "--json"]).json()["tools"].to_string());
        assert!(all.len() > 3, "nothing was stored");
        all
    }
}

/// Shows what differs, and not all that is alike.
fn assert_alike(found: &[String], expected: &[String], what: &str) {
    let others =
        |of: &[String], than: &[String]| of.iter().filter(|line| !than.contains(line)).cloned().collect();
    let (more, less): (Vec<String>, Vec<String>) = (others(found, expected), others(expected, found));
    assert!(found == expected, "{what}: found\n{}\nfor\n{}", more.join("\n"), less.join("\n"));
}

fn contents_of(sample: &Sample) -> Vec<String> {
    let world = World::of(&sample.files());
    world.import(&world.folder);
    world.contents()
}

#[test]
fn every_client_whose_logs_are_read_has_a_sample() {
    for adapter in CLIENTS {
        let Some(reader) = adapter.logs else { continue };
        assert_eq!(reader.client(), adapter.client);
        assert!(
            SAMPLES.iter().any(|sample| sample.client == reader.client()),
            "{} has no sample in tests/it/contract.rs",
            reader.client().name()
        );
    }
}

#[test]
fn what_is_counted_is_what_the_api_answered() {
    for sample in &SAMPLES {
        let world = World::of(&sample.files());
        let report = world.import(&world.folder);
        assert_eq!(world.counts(sample), sample.truth(), "{} {}", sample.client.name(), sample.folder);
        let clients = report["clients"].as_array().unwrap();
        assert_eq!(clients.len(), 1, "{report}");
        assert_eq!(clients[0]["client"], sample.client.name());
        assert_eq!((&report["skipped_lines"], &report["unknown_lines"]), (&Value::from(0), &Value::from(0)));
        assert_eq!(report["files_refused"], 0, "{report}");
    }
}

/// A newer client may name its usage otherwise: then a sum is too small, and somebody says so.
#[test]
fn usage_under_another_name_is_noticed() {
    const NAMES: [(Client, &str, &str); 6] = [
        (Client::Codex, "\"token_usage_record\"", "\"token_usage_event\""),
        (Client::GeminiCli, "\"tokens\":", "\"tokenUsage\":"),
        (Client::CopilotCli, "\"session.usage_record\"", "\"session.model_usage\""),
        (Client::Qwen, "qwen-code.api_response", "qwen-code.model_response"),
        (Client::Kimi, "\"usage.record\"", "\"usage.recorded\""),
        (Client::Pi, "\"usage\":", "\"tokenUsage\":"),
    ];
    for (client, name, other) in NAMES {
        let is_its = |sample: &&Sample| sample.client == client && !sample.folder.starts_with("old-");
        let sample = SAMPLES.iter().find(is_its).unwrap();
        let mut files = sample.files();
        for bytes in files.values_mut() {
            let text = std::mem::take(bytes);
            *bytes = String::from_utf8(text).unwrap().replace(name, other).into_bytes();
        }
        let world = World::of(&files);
        let report = world.import(&world.folder);
        assert!(report["unknown_lines"].as_u64().unwrap() > 0, "{}: {report}", client.name());
        let said = world.ledger.run(&["doctor"]);
        assert!(said.stdout.contains("not understood"), "{}: {}", client.name(), said.stdout);
    }
}

/// Names and ids of any length leave a position small, and what is stored short.
#[test]
fn hostile_texts_leave_little_behind() {
    for sample in SAMPLES.iter().filter(|sample| sample.client != Client::ClaudeCode && is_lines(sample)) {
        let world = World::new();
        let mut files = sample.files();
        for bytes in files.values_mut() {
            let lines = String::from_utf8(std::mem::take(bytes)).unwrap();
            let grown = lines.lines().map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                lengthen(&mut line);
                line.to_string() + "\n"
            });
            *bytes = grown.collect::<String>().into_bytes();
        }
        put(&world.folder, &files);
        world.import(&world.folder);
        let longest: i64 = world
            .ledger
            .sqlite()
            .query_row(
                "SELECT max(coalesce((SELECT max(length(reader_state)) FROM transcripts), 0),
                   coalesce((SELECT max(length(uuid)) FROM prompts), 0),
                   coalesce((SELECT max(length(uuid)) FROM compactions), 0))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(longest < 2_500, "{} {}: {longest}", sample.client.name(), sample.folder);
    }
}

/// Whether a client's logs are files of lines.
fn is_lines(sample: &Sample) -> bool {
    sample.files().keys().all(|name| name.extension().is_some_and(|ending| ending == "jsonl"))
}

/// Makes every text of a value that is no type or time a long one.
fn lengthen(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let is_kept = matches!(
                    name.as_str(),
                    "type" | "timestamp" | "role" | "subtype" | "event.name" | "source" | "startTime"
                );
                if !is_kept || !member.is_string() {
                    lengthen(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(lengthen),
        Value::String(text) => *text = format!("{text}{}", "x".repeat(20_000)),
        _ => {}
    }
}

#[test]
fn logs_that_are_read_twice_count_once_and_are_never_written_to() {
    for sample in &SAMPLES {
        let world = World::of(&sample.files());
        let seen = |folder: &Path| -> BTreeMap<PathBuf, _> {
            let of = |file: PathBuf| {
                let changed = std::fs::metadata(&file).unwrap().modified().unwrap();
                (file.clone(), (std::fs::read(&file).unwrap(), changed))
            };
            files_below(folder).into_iter().map(of).collect()
        };
        let before = seen(&world.folder);
        let first = world.import(&world.folder);
        let contents = world.contents();
        let second = world.import(&world.folder);
        assert!(first["responses"].as_u64().unwrap() > 0, "{}", sample.folder);
        assert_eq!((&second["responses"], &second["files_unchanged"]), (&Value::from(0), &first["files"]));
        assert_alike(&world.contents(), &contents, sample.folder);
        assert_eq!(seen(&world.folder), before, "{}", sample.folder);
    }
}

#[test]
fn logs_come_to_the_same_in_any_order() {
    for sample in &SAMPLES {
        let files = sample.files();
        let world = World::of(&files);
        // What lies beside a database is no log by itself.
        for name in files.keys().rev().filter(|name| sample.reader().is_log(&world.folder.join(name))) {
            world.import(&world.folder.join(name));
        }
        assert_alike(&world.contents(), &contents_of(sample), sample.folder);
    }
}

/// Brings a copy of a client's database to where it was when so many of its messages were there, the last of them on its way:
/// in one transaction for each, which its WAL keeps.
fn grow_database(from: &Path, to: &Path, (piece, pieces): (usize, usize)) {
    let [piece, pieces] = [piece, pieces].map(|count| i64::try_from(count).unwrap());
    let conn = rusqlite::Connection::open(to).unwrap();
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = off; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0")
        .unwrap();
    conn.execute("ATTACH ?1 AS whole", [from.to_str().unwrap()]).unwrap();
    if piece == 1 {
        let mut tables = conn.prepare("SELECT sql FROM whole.sqlite_schema WHERE type = 'table'").unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        conn.execute_batch(&tables.join(";")).unwrap();
        conn.execute_batch(
            "INSERT INTO project SELECT * FROM whole.project; INSERT INTO session SELECT * FROM whole.session",
        )
        .unwrap();
    }
    let all: i64 = conn.query_row("SELECT count(*) FROM whole.message", [], |row| row.get(0)).unwrap();
    // What was on its way is whole now.
    conn.execute_batch(
        "UPDATE message SET (time_updated, data) =
           (SELECT w.time_updated, w.data FROM whole.message w WHERE w.id = message.id)",
    )
    .unwrap();
    let known: i64 = conn.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    for row in known..all * piece / pieces {
        conn.execute_batch("BEGIN").unwrap();
        conn.execute(
            "INSERT INTO part SELECT p.* FROM whole.part p JOIN (SELECT id FROM whole.message ORDER BY rowid
               LIMIT 1 OFFSET ?1) m ON m.id = p.message_id",
            [row],
        )
        .unwrap();
        let is_on_its_way = row + 1 == all * piece / pieces && piece < pieces;
        conn.execute(
            "INSERT INTO message SELECT id, session_id, time_created, iif(?2, time_created, time_updated),
               iif(?2 AND data ->> '$.role' = 'assistant', json_remove(json_set(data, '$.tokens', json('{\"input\":0,
                 \"output\":0,\"reasoning\":0,\"cache\":{\"read\":0,\"write\":0}}')), '$.time.completed'), data)
             FROM whole.message ORDER BY rowid LIMIT 1 OFFSET ?1",
            (row, is_on_its_way),
        )
        .unwrap();
        conn.execute_batch("COMMIT").unwrap();
    }
}

#[test]
fn a_log_that_grows_comes_to_the_same_wherever_it_is_cut() {
    for sample in &SAMPLES {
        let files = sample.files();
        let expected = contents_of(sample);
        for pieces in [2, 7] {
            let world = World::new();
            let whole = World::of(&files);
            for piece in 1..=pieces {
                for name in files.keys().filter(|name| name.extension().is_some_and(|kind| kind == "db")) {
                    let (from, to) = (whole.folder.join(name), world.folder.join(name));
                    grow_database(&from, &to, (piece, pieces));
                    world.import(&world.folder);
                }
                let files = files.iter().filter(|(name, _)| !is_of_database(name));
                let grown = |bytes: &Vec<u8>| bytes[..bytes.len() * piece / pieces].to_vec();
                put(&world.folder, &files.map(|(name, bytes)| (name.clone(), grown(bytes))).collect());
                world.import(&world.folder);
            }
            assert_alike(&world.contents(), &expected, &format!("{} in {pieces} pieces", sample.folder));
        }
    }
}

#[test]
fn a_log_that_is_written_anew_is_read_from_its_start() {
    for sample in &SAMPLES {
        let files = sample.files();
        let world = World::new();
        let other = |bytes: &Vec<u8>| [b"{\"type\":\"nothing\"}\n".to_vec(), bytes.clone()].concat();
        put(&world.folder, &files.iter().map(|(name, bytes)| (name.clone(), other(bytes))).collect());
        world.import(&world.folder);
        put(&world.folder, &files);
        world.import(&world.folder);
        assert_alike(&world.contents(), &contents_of(sample), sample.folder);
    }
}

#[test]
fn foreign_empty_and_odd_files_leave_nothing_behind() {
    for sample in &SAMPLES {
        let world = World::of(&sample.files());
        let odd: [(&str, &[u8]); 5] = [
            ("empty", b""),
            ("foreign", sample.foreign.as_bytes()),
            ("binary", b"\0\xff\xfe\n\x80{}\n[1]\n"),
            ("deep", &[b'['; 100_000]),
            ("numbers", b"1\n2\n3\n"),
        ];
        for (name, bytes) in odd {
            let path = world.folder.join(sample.other.replace("{}", name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        world.import(&world.folder);
        assert_alike(&world.contents(), &contents_of(sample), sample.folder);
    }
}

/// All that a reader reads of a log, by itself.
fn read(reader: &dyn LogReader, path: &Path, mut from: ReadFrom) -> (LogDelta, Option<LogPosition>) {
    let mut buffer = Buffer::default();
    let mut all: Option<LogDelta> = None;
    loop {
        let delta = reader.read(&mut buffer, path, &from).unwrap();
        let has_more = delta.has_more;
        from.position = Some(delta.position.clone());
        all = Some(all.map_or(delta.clone(), |all| all.join(delta)));
        if !has_more {
            return (all.unwrap(), from.position);
        }
    }
}

#[test]
fn a_position_is_small_and_all_that_a_reader_needs_to_go_on() {
    for sample in &SAMPLES {
        let (reader, files) = (sample.reader(), sample.files());
        let world = World::of(&files);
        let found = reader.find(&world.folder);
        assert!(found.unread.is_empty());
        let mut paths: Vec<&Path> = found.logs.iter().map(|log| log.path.as_path()).collect();
        assert!(paths.is_sorted() && !paths.is_empty());
        paths.dedup();
        assert_eq!(paths.len(), found.logs.len());
        for log in &found.logs {
            let from = ReadFrom {
                session: log.session.clone(),
                agent: log.agent.clone(),
                position: None,
                count: |_| 0,
                content: None,
            };
            assert!(reader.is_log(&log.path));
            let (whole, position) = read(reader, &log.path, from.clone());
            assert!(whole.is_understood && !whole.responses.is_empty());
            let position = position.unwrap();
            let (size, _) = reader.look_at(&log.path);
            assert!(position.reader_state.len() < 1_000 && reader.is_at_end(&position, size));
            let nothing = read(reader, &log.path, ReadFrom { position: Some(position.clone()), ..from }).0;
            assert_eq!((nothing.responses.len(), nothing.length(), nothing.position), (0, 0, position));
        }
        let nowhere = reader.find(&world.folder.join("nowhere"));
        assert!(nowhere.logs.is_empty() && nowhere.unread.is_empty());
    }
}
