//! `docs/` says what is so: every member of every JSON, every column of the ledger, every exit code, and for each fact
//! a source that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use regex::Regex;
use serde_json::{Value, json};
use tallyhook::calendar::{Day, Zone};
use tallyhook::cli::Cli;
use tallyhook::domain::Timestamp;
use tallyhook::report::trends::Trends;
use tallyhook::report::usage::UsageReport;
use tallyhook::store;

use crate::support::{Example, Ledger, Ran, Session, With, repository};
use crate::tidy::{anchor, tree};

/// A page below `docs/`.
fn page(name: &str) -> String {
    std::fs::read_to_string(repository().join("docs").join(name)).unwrap()
}

/// The part of a page from one heading to the next, with the heading's text.
fn sections(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in page.lines() {
        match line.starts_with('#').then(|| line.trim_start_matches('#')) {
            Some(heading) if heading.starts_with(' ') => sections.push((heading.trim(), Vec::new())),
            _ => {}
        }
        if let Some((_, lines)) = sections.last_mut() {
            lines.push(line);
        }
    }
    sections
}

/// The cells of a row of a Markdown table; `None` for other lines and for the line below a table's head.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.strip_prefix("| ")?.strip_suffix(" |")?;
    (!row.starts_with("---")).then(|| row.split(" | ").map(str::trim).collect())
}

// Sources.

#[test]
fn every_fact_says_where_it_comes_from() {
    let page = page("facts.md");
    let (_, facts) = page.split_once("\n## The hook process\n").unwrap();
    let words: Vec<&str> = sections(&page)
        .iter()
        .find(|(heading, _)| *heading == "How to read this page")
        .unwrap()
        .1
        .iter()
        .filter_map(|line| cells(line))
        .map(|cells| cells[0])
        .collect();
    let source = Regex::new(r"\[(test|command|code|fixture|seen): ([^\]]+)\]").unwrap();
    // A fact is an item of a list, with the lines that go on with it, or a row of a table.
    let mut found: Vec<String> = Vec::new();
    let mut is_head = true;
    for line in facts.lines() {
        if line.starts_with("| ") {
            let is_row = !is_head && !line.starts_with("| ---");
            is_head = false;
            if is_row {
                found.push(line.to_owned());
            }
            continue;
        }
        is_head = true;
        if line.starts_with("- ") {
            found.push(line.to_owned());
        } else if let (Some(fact), true) = (found.last_mut(), line.starts_with("  ")) {
            fact.push_str(line);
        }
    }
    assert!(found.len() > 120, "{} facts", found.len());
    for fact in &found {
        assert!(source.is_match(fact), "no source: {fact}");
        for seen in source.captures_iter(fact).filter(|found| &found[1] == "seen") {
            assert!(words.contains(&&seen[2]), "{:?} is no word of the table: {fact}", &seen[2]);
        }
        for test in source.captures_iter(fact).filter(|found| &found[1] == "test") {
            assert!(test[2].contains("::"), "which test? {fact}");
        }
    }
}

#[test]
fn every_test_and_file_that_the_documentation_names_is_there() {
    let name = Regex::new(
        r"\b((?:crates/[\w/-]*)?(?:src|tests|benches|scripts|examples)/[\w./-]*\w(?:\.\w+)?)(?:::(\w+))?",
    )
    .unwrap();
    let mut checked = 0;
    for (path, text) in tree().iter().filter(|(path, _)| path.starts_with("docs/") && path.ends_with(".md")) {
        for found in name.captures_iter(text) {
            let file = repository().join(&found[1]);
            assert!(file.exists(), "{path}: {} doesn't exist", &found[1]);
            if let Some(test) = found.get(2) {
                let source = std::fs::read_to_string(&file).unwrap();
                let function = format!("fn {}(", test.as_str());
                let Some((before, _)) = source.split_once(&function) else {
                    panic!("{path}: {} has no {}", &found[1], test.as_str());
                };
                // The attribute may stand a few lines above, with others between; properties have it within a macro.
                let above: Vec<&str> = before.lines().rev().take(5).collect();
                assert!(above.iter().any(|line| line.trim() == "#[test]"), "{} is no test", test.as_str());
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked} tests are named");
}

// JSON.

/// What a value may be.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Whole,
    Signed,
    Number,
    Usd,
    Text,
    Time,
    Date,
    Boolean,
    Null,
    Exactly(Value),
    List(Box<Kind>),
    /// An object of a shape, or a word of a list of words.
    Shape(String),
}

/// A row of a shape's table.
#[derive(Debug, Clone)]
struct Member {
    name: String,
    is_optional: bool,
    kinds: Vec<Kind>,
}

impl Kind {
    fn parse(text: &str) -> Self {
        if let Some(item) = text.strip_prefix("list of ") {
            return Self::List(Box::new(Self::parse(item)));
        }
        if let Some((name, target)) = text.strip_prefix('[').and_then(|text| text.split_once("](#")) {
            assert_eq!(target, format!("{})", anchor(name)), "a link that leads elsewhere");
            return Self::Shape(anchor(name));
        }
        match text {
            "whole" => Self::Whole,
            "signed" => Self::Signed,
            "number" => Self::Number,
            "usd" => Self::Usd,
            "text" => Self::Text,
            "time" => Self::Time,
            "date" => Self::Date,
            "boolean" => Self::Boolean,
            "null" => Self::Null,
            exact => Self::Exactly(
                serde_json::from_str(exact.trim_matches('`'))
                    .unwrap_or_else(|_| panic!("{exact:?} is no kind")),
            ),
        }
    }
}

/// What `docs/json.md` says.
#[derive(Default)]
struct Contract {
    shapes: BTreeMap<String, Vec<Member>>,
    words: BTreeMap<String, BTreeSet<String>>,
    /// Members that were seen with something to look at.
    seen: BTreeSet<(String, String)>,
    faults: BTreeSet<String>,
}

impl Contract {
    fn read() -> Self {
        let mut contract = Self::default();
        for (heading, lines) in sections(&page("json.md")) {
            let mut rows = lines.iter().filter_map(|line| cells(line));
            let name = anchor(heading);
            match rows.next().as_deref() {
                Some(["member", "value", "meaning"]) => {
                    let members = rows.map(|row| {
                        let [member, value, meaning] = row[..] else { panic!("{heading}: {row:?}") };
                        assert!(!meaning.is_empty(), "{heading}: {member} has no meaning");
                        Member {
                            name: member.trim_end_matches('?').to_owned(),
                            is_optional: member.ends_with('?'),
                            kinds: value.split(" or ").map(Kind::parse).collect(),
                        }
                    });
                    contract.shapes.insert(name, members.collect());
                }
                Some(["word", "meaning"]) => {
                    contract.words.insert(name, rows.map(|row| row[0].to_owned()).collect());
                }
                _ => {}
            }
        }
        contract
    }

    /// The members of a shape, with those of the shapes that it takes in, and the shape in which each stands.
    fn members(&self, shape: &str) -> Vec<(String, Member)> {
        let own = self.shapes.get(shape).unwrap_or_else(|| panic!("there is no shape {shape:?}"));
        own.iter()
            .flat_map(|member| match (&*member.name, &member.kinds[..]) {
                ("…", [Kind::Shape(inner)]) => self.members(inner),
                _ => vec![(shape.to_owned(), member.clone())],
            })
            .collect()
    }

    fn check(&mut self, shape: &str, value: &Value, path: &str) {
        if let Some(words) = self.words.get(shape) {
            if !value.as_str().is_some_and(|word| words.contains(word)) {
                self.faults.insert(format!("{path} is {value}, which is no {shape}"));
            }
            return;
        }
        let Some(object) = value.as_object() else {
            self.faults.insert(format!("{path} is no object: {value}"));
            return;
        };
        let members = self.members(shape);
        for name in object.keys() {
            if !members.iter().any(|(_, member)| member.name == *name) {
                self.faults.insert(format!("{path}.{name} is not documented in {shape:?}"));
            }
        }
        for (stands_in, member) in members {
            let path = format!("{path}.{}", member.name);
            match object.get(&member.name) {
                Some(value) => {
                    if !value.is_null() && *value != json!([]) {
                        self.seen.insert((stands_in, member.name.clone()));
                    }
                    if !member.kinds.iter().any(|kind| self.is(kind, value, &path)) {
                        self.faults.insert(format!("{path} is {value}, not {:?}", member.kinds));
                    }
                }
                None if member.is_optional => {}
                None => {
                    self.faults.insert(format!("{path} is documented in {stands_in:?} and not printed"));
                }
            }
        }
    }

    /// Whether the value is of the kind. What is wrong within an object is noted and does not change the answer.
    fn is(&mut self, kind: &Kind, value: &Value, path: &str) -> bool {
        match kind {
            Kind::Whole => value.is_u64(),
            Kind::Signed => value.is_i64() || value.is_u64(),
            Kind::Number | Kind::Usd => value.is_number(),
            Kind::Text => value.is_string(),
            Kind::Time => {
                value.as_str().is_some_and(|time| time.ends_with('Z') && Timestamp::parse(time).is_some())
            }
            Kind::Date => value.as_str().is_some_and(|date| Day::parse(date).is_some()),
            Kind::Boolean => value.is_boolean(),
            Kind::Null => value.is_null(),
            Kind::Exactly(one) => value == one,
            Kind::List(item) => value.as_array().is_some_and(|items| {
                items.iter().enumerate().all(|(at, value)| self.is(item, value, &format!("{path}[{at}]")))
            }),
            Kind::Shape(shape) => {
                let is_one =
                    if self.words.contains_key(shape) { value.is_string() } else { value.is_object() };
                if is_one {
                    self.check(shape, value, path);
                }
                is_one
            }
        }
    }

    /// The members that are documented and of which nothing was seen.
    fn unseen(&self) -> Vec<String> {
        let all =
            self.shapes.iter().flat_map(|(shape, members)| members.iter().map(move |member| (shape, member)));
        all.filter(|(_, member)| member.name != "…")
            .filter(|(shape, member)| !self.seen.contains(&((*shape).clone(), member.name.clone())))
            .map(|(shape, member)| format!("{shape}: {}", member.name))
            .collect()
    }
}

/// The recorded session and a second one, with budgets, reports, a paste and a step: something for every member.
fn rich() -> Example {
    let example = Example::replayed();
    let ledger = &example.ledger;
    let s = Session::new(ledger, "second");
    let words = "one two three four five six seven eight nine ten ".repeat(40);
    s.transcript().write(&[
        s.says(1),
        s.call("msg_1", 2, 10),
        s.result(3),
        s.answer("msg_2", 4, 20).with("message.model", "house-model").with("attributionSkill", "changelog"),
        s.answer("msg_3", 5, 2)
            .with("message.stop_reason", Value::Null)
            .with("message.content", json!([{ "type": "text", "text": words }])),
    ]);
    ledger.hook(s.start()).hook(s.prompt("prompt-1")).hook(s.tool("mcp__tracker__get_issue", "toolu_1"));
    let tasks = [
        (
            "TaskCreate",
            json!({ "subject": "Find it" }),
            json!({ "task": { "id": "1", "subject": "Find it" } }),
        ),
        (
            "TaskUpdate",
            json!({ "taskId": "1", "status": "completed" }),
            json!({ "success": true, "taskId": "1" }),
        ),
        (
            "TaskCreate",
            json!({ "subject": "Mend it" }),
            json!({ "task": { "id": "2", "subject": "Mend it" } }),
        ),
    ];
    for (number, (tool, input, response)) in tasks.into_iter().enumerate() {
        let call = s.tool(tool, &format!("toolu_task_{number}"));
        ledger.hook(call.with("tool_input", input).with("tool_response", response));
    }
    ledger.hook(s.stop());
    for args in [
        &["step", "start", "naming", "--session", "second"][..],
        &["budget", "set", "5", "--per", "session", "--stop"],
        &["budget", "set", "1000", "--tokens", "--per", "total", "--stop"],
        &[
            "report-usage",
            "--agent-id",
            "a",
            "--task-id",
            "t",
            "--model",
            "claude-opus-5-5",
            "--input",
            "10",
            "--output",
            "1",
            "--event-id",
            "e",
        ],
        &["report-usage", "--agent-id", "a", "--operation", "read", "--chars", "400"],
    ] {
        let mut command = ledger.command(args);
        command.env("CLAUDE_CODE_SESSION_ID", "second").env("CLAUDE_PROJECT_DIR", ledger.project());
        let ran = Ran::of(command.stdin(std::process::Stdio::null()));
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    let next = Session::new(ledger, "third");
    next.transcript().write(&[next.says(61), next.answer("msg_9", 62, 7)]);
    ledger.hook(next.start()).hook(next.prompt("prompt-1")).hook(next.stop());
    // A session that is stopped, and what nobody has answered yet.
    assert_eq!(ledger.hook_answer(s.batch(&[("Bash", "toolu_1", json!("fine"))]))["continue"], false);
    ledger.hook(s.prompt("prompt-2")).hook(s.tool("Bash", "toolu_2"));
    ledger.hook(s.event("SubagentStart").with("agent_id", "a1").with("agent_type", "Explore"));
    example
}

/// A paste with everything that a cost screen can have.
const PASTE: &str = "Total cost:            $1.25
Total duration (API):  6m 19.7s
Total duration (wall): 1h 2m 3s
Total code changes:    10 lines added, 2 lines removed
Usage by model:
    claude-opus-5-5:  1.5k input, 50 output, 200 cache read, 20 cache write ($1.00)
    claude-haiku:  7 input, 0 output, 0 cache read, 0 cache write ($0.25)
what is this
Current session
█████ 10% used
Resets 5pm (UTC)
+50% more until Sunday
";

/// The commands that print JSON and are not among `others`, each with its section and as it is called without options. So a new
/// report is tested with no line here.
fn plain_commands(others: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut plain = Vec::new();
    for words in commands_with_json() {
        let section = words.replace(' ', "-");
        if !others.contains(&&*section) && !section.starts_with("export-") {
            plain.push((section, words.split(' ').chain(["--json"]).map(str::to_owned).collect()));
        }
    }
    assert!(plain.iter().any(|(section, _)| section == "agents"), "{plain:?}");
    plain
}

/// Runs a command of [`plain_commands`].
fn run_plain(ledger: &Ledger, args: &[String]) -> Ran {
    ledger.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What each command prints, by the section that documents it.
fn printed(example: &Example, text: &Path, transcripts: &Path) -> Vec<(String, Value)> {
    let ledger = &example.ledger;
    let (text, transcripts) = (text.to_str().unwrap(), transcripts.to_str().unwrap());
    let mut printed = Vec::new();
    let commands: &[(&'static str, &[&str])] = &[
        ("show-usage", &["show-usage", "--session", Example::SESSION, "--history", "--json"]),
        ("show-usage", &["show-usage", "--session", "second", "--json"]),
        (
            "show-usage",
            &[
                "show-usage",
                "--session",
                "second",
                "--agent",
                "main",
                "--tool",
                "Bash",
                "--step",
                "turn 1",
                "--json",
            ],
        ),
        ("cost", &["cost", "--json"]),
        ("cost", &["cost", "--by", "tool", "--since", "2026-11-22", "--until", "2100-01-01", "--json"]),
        (
            "cost",
            &["cost", "--by", "day", "--since", "2026-11-23", "--until", "2026-11-24", "--compare", "--json"],
        ),
        ("cost", &["cost", "--by", "session", "--compare", "--json"]),
        ("history", &["history", "--limit", "1", "--json"]),
        ("step-list", &["step", "list", "--session", "second", "--json"]),
        ("budget-status", &["budget", "status", "--session", "second", "--json"]),
        ("alerts", &["alerts", "--json"]),
        ("import", &["import", "--path", transcripts, "--json"]),
        ("count", &["count", text, "--model", "claude-opus-5-5", "--json"]),
        ("prices-list", &["prices", "list", "--json"]),
        ("prices-show", &["prices", "show", "claude-opus-4-7", "--json"]),
        ("prices-check", &["prices", "check", "--json"]),
        ("doctor", &["doctor", "--json"]),
        ("export-sessions", &["export", "--what", "sessions"]),
        ("export-calls", &["export", "--what", "calls"]),
        ("export-responses", &["export", "--what", "responses"]),
        ("export-days", &["export", "--what", "days"]),
        ("export-steps", &["export", "--what", "steps"]),
        ("export-compactions", &["export", "--what", "compactions"]),
        ("export-reports", &["export", "--what", "reports"]),
    ];
    for (section, args) in commands {
        printed.push(((*section).to_owned(), ledger.run(args).json()));
    }
    // `trends` depends on the day, and the others on what they are given.
    let mut others = vec!["trends", "capture-cost", "prices-set"];
    others.extend(commands.iter().map(|(section, _)| *section));
    for (section, args) in plain_commands(&others) {
        printed.push((section, run_plain(ledger, &args).json()));
    }
    // A change forgets that it has stopped a session.
    assert_eq!(ledger.run(&["budget", "override", "--for", "1h"]).code, Some(0));
    printed.push(("budget-status".to_owned(), ledger.run(&["budget", "status", "--json"]).json()));
    for (session, paste) in [("third", PASTE), ("second", "Total cost: $3.00\n")] {
        let command = &mut ledger.command(&["capture-cost", "--session", session, "--json"]);
        printed.push(("capture-cost".to_owned(), Ran::with_stdin(command, paste.as_bytes()).json()));
    }
    for case in serde_json::from_str::<Value>(include_str!("../fixtures/cost-screen/own.json"))
        .unwrap()
        .as_object()
        .unwrap()
        .values()
    {
        let cost = tallyhook::clients::claude_code::cost_screen::parse(case["paste"].as_str().unwrap());
        let report = tallyhook::report::capture::CaptureReport::without_session(&cost);
        printed.push(("capture-cost".to_owned(), serde_json::to_value(report).unwrap()));
    }
    printed
}

#[test]
fn the_json_of_every_command_is_what_the_documentation_says() {
    let example = rich();
    let ledger = &example.ledger;
    let text = ledger.dir().join("text.txt");
    std::fs::write(&text, "a text").unwrap();
    let transcripts = ledger.dir().join("more");
    std::fs::create_dir(&transcripts).unwrap();
    let mode = r#"{"type":"mode","mode":"normal","sessionId":"odd"}"#;
    std::fs::write(transcripts.join("odd.jsonl"), format!("{mode}\nno record\n")).unwrap();
    let mut contract = Contract::read();
    for (section, value) in printed(&example, &text, &transcripts) {
        contract.check(&section, &value, &section);
    }
    // The program's own clock is another day each day.
    let (zone, opened) =
        (Zone::named("UTC").unwrap(), store::Ledger::open_for_reports(&ledger.path()).unwrap());
    for now in ["2026-11-23T12:00:00Z", "2099-11-22T12:00:00Z"] {
        let now = Timestamp::parse(now).unwrap();
        let trends = Trends::of(Some(&opened), &zone, now, zone.day_of(now).unwrap(), 1).unwrap();
        contract.check("trends", &serde_json::to_value(&trends).unwrap(), "trends");
    }
    // Advice is rare; the member is what it is.
    let advised = UsageReport { advice: Some("less".to_owned()), ..UsageReport::none() };
    contract.check("show-usage", &serde_json::to_value(&advised).unwrap(), "show-usage");
    assert_eq!(contract.faults, BTreeSet::new());
    assert_eq!(contract.unseen(), Vec::<String>::new());
}

/// The commands that print JSON, by the words that call them; of `export` each kind.
fn commands_with_json() -> BTreeSet<String> {
    fn add(command: &clap::Command, words: &str, found: &mut BTreeSet<String>) {
        for inner in command.get_subcommands() {
            add(inner, format!("{words} {}", inner.get_name()).trim(), found);
        }
        let values = |name: &str| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == name);
            let values = argument.map(clap::Arg::get_possible_values).unwrap_or_default();
            values.iter().map(|value| value.get_name().to_owned()).collect::<Vec<_>>()
        };
        if values("format").contains(&"jsonl".to_owned()) {
            found.extend(values("what").iter().map(|what| format!("{words} {what}")));
        } else if command.get_arguments().any(|argument| argument.get_id() == "json") {
            found.insert(words.to_owned());
        }
    }
    let mut found = BTreeSet::new();
    add(&Cli::command(), "", &mut found);
    found
}

#[test]
fn every_command_that_prints_json_is_documented() {
    let page = page("json.md");
    let headings: BTreeSet<&str> = sections(&page).iter().map(|(heading, _)| *heading).collect();
    let mut commands = commands_with_json();
    // It answers as `prices show` does, which its section says.
    assert!(commands.remove("prices set"));
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        assert!(headings.contains(&*command), "docs/json.md has no section {command:?}");
    }
}

#[test]
fn without_data_the_json_is_whole_and_documented() {
    let ledger = Ledger::new();
    let mut contract = Contract::read();
    let commands: &[(&str, &[&str], i32)] = &[
        ("budget-status", &["budget", "status", "--json"], 4),
        ("alerts", &["alerts", "--json"], 0),
        ("capture-cost", &["capture-cost", "--json"], 4),
        ("import", &["import", "--json"], 4),
        ("import", &["import", "--path", "nowhere", "--json"], 4),
        ("prices-list", &["prices", "list", "no such model", "--json"], 4),
        ("prices-show", &["prices", "show", "no such model", "--json"], 4),
        ("prices-check", &["prices", "check", "--json"], 0),
        ("export-days", &["export", "--what", "days"], 4),
    ];
    // What these print depends on no data of the ledger.
    let mut others = vec!["count", "doctor", "prices-set"];
    others.extend(commands.iter().map(|(section, ..)| *section));
    let ask_reports = |contract: &mut Contract| {
        for (section, args) in plain_commands(&others) {
            let ran = run_plain(&ledger, &args);
            assert_eq!(ran.code, Some(4), "{args:?}: {ran:?}");
            contract.check(&section, &ran.json(), &section);
        }
    };
    ask_reports(&mut contract);
    assert!(!ledger.path().exists(), "a report makes no ledger");
    for (section, args, code) in commands {
        let ran = ledger.run(args);
        assert_eq!(ran.code, Some(*code), "{args:?}: {ran:?}");
        contract.check(section, &ran.json(), section);
    }
    // The import has made one, which is empty.
    ask_reports(&mut contract);
    assert_eq!(contract.faults, BTreeSet::new());
}

// Exit codes.

#[test]
fn every_exit_code_is_what_the_page_says() {
    let page = page("exit-codes.md");
    let rows: Vec<Vec<&str>> = page.lines().filter_map(cells).skip(1).collect();
    let example = Example::replayed();
    assert_eq!(example.ledger.run(&["budget", "set", "1", "--tokens"]).code, Some(0));
    let empty = Ledger::new();
    let mut codes = Vec::new();
    for row in &rows {
        let [code, _, command] = row[..] else { panic!("{row:?}") };
        let (command, place) = command.trim_start_matches('`').split_once('`').unwrap();
        let ledger = if place.contains("no ledger") { &empty } else { &example.ledger };
        let args: Vec<&str> = command.split(' ').skip(1).collect();
        // As in a hook of the session, so that this is the session that is shown.
        let mut command = ledger.command(&args);
        command.env("CLAUDE_CODE_SESSION_ID", Example::SESSION).stdin(std::process::Stdio::null());
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code.map(|code| code.to_string()).as_deref(), Some(code), "{args:?}: {ran:?}");
        codes.push(code);
    }
    assert_eq!(codes, ["0", "1", "2", "3", "4"]);
}

// The ledger's schema.

/// A column of a new ledger: its name and what SQLite says of it.
fn columns(db: &rusqlite::Connection, table: &str) -> Vec<(String, String)> {
    let sql = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1) ORDER BY cid";
    let mut query = db.prepare(sql).unwrap();
    let rows = query.query_map([table], |row| {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let (is_required, default, key): (bool, Option<String>, u32) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let mut words = vec![kind];
        words.extend(is_required.then(|| "not null".to_owned()));
        words.extend(default.map(|default| format!("default {default}")));
        words.extend((key > 0).then(|| format!("key {key}")));
        Ok((name, words.join(", ")))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The names of tables, or the definitions of indexes that were made by name.
fn defined(db: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// `docs/schema.md` as it should be: what it says already, with the tables, columns and indexes that a new ledger has. What
/// is new has a `?` for a meaning.
fn schema_page(db: &rusqlite::Connection, page: &str) -> String {
    let (preamble, described) = page.split_once("\n## Tables\n").unwrap();
    let described = sections(described);
    let tables = defined(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let mut out = format!("{preamble}\n## Tables\n");
    for table in tables {
        let lines =
            described.iter().find(|(heading, _)| *heading == table).map_or(&[][..], |(_, lines)| lines);
        let words: Vec<&str> = lines
            .iter()
            .skip(1)
            .take_while(|line| !line.starts_with('|'))
            .copied()
            .filter(|line| !line.is_empty())
            .collect();
        let words = if words.is_empty() { "?".to_owned() } else { words.join("\n") };
        writeln!(out, "\n### {table}\n\n{words}\n\n| column | type | meaning |\n| --- | --- | --- |")
            .unwrap();
        for (column, kind) in columns(db, &table) {
            let row = lines.iter().filter_map(|line| cells(line)).find(|row| row[0] == column);
            let meaning = row.and_then(|row| row.get(2).copied()).unwrap_or("?");
            writeln!(out, "| {column} | {kind} | {meaning} |").unwrap();
        }
        let sql = format!(
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL ORDER BY name"
        );
        for index in defined(db, &sql) {
            writeln!(out, "\n`{index}`").unwrap();
        }
    }
    out
}

#[test]
fn the_schema_is_that_of_a_new_ledger() {
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").start());
    let db = ledger.sqlite();
    let written = page("schema.md");
    let version = format!("The schema's version is {}.", store::SCHEMA_VERSION);
    let version_line = Regex::new(r"The schema's version is \d+\.").unwrap();
    let expected = schema_page(&db, &version_line.replace(&written, version.as_str()));
    #[expect(clippy::disallowed_methods, reason = "the same switch as that of the snapshots")]
    let is_blessed = std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always");
    if is_blessed {
        std::fs::write(repository().join("docs/schema.md"), &expected).unwrap();
    }
    assert!(
        is_blessed || written == expected,
        "docs/schema.md is not that of the migrations; write it anew with\n    INSTA_UPDATE=always cargo test --locked --test it \
         the_schema_is_that_of_a_new_ledger\nand say what the new columns mean"
    );
    let unknown: Vec<_> = expected.lines().filter(|line| *line == "?" || line.ends_with("| ? |")).collect();
    assert_eq!(unknown, Vec::<&str>::new(), "say in docs/schema.md what these mean");
}

#[test]
fn every_name_in_meta_is_documented() {
    let example = rich();
    let ledger = &example.ledger;
    ledger.run(&["alerts", "on"]).text();
    let s = Session::new(ledger, "second");
    ledger.hook(s.tool("Bash", "toolu_8"));
    let other = Session::new(ledger, "elsewhere");
    s.transcript().append(&[other.says(70), other.answer("msg_70", 71, 5)]);
    ledger.hook(s.stop());
    let page = page("schema.md");
    let (_, lines) = sections(&page).into_iter().find(|(heading, _)| *heading == "Names in meta").unwrap();
    let known: Vec<&str> = lines.iter().filter_map(|line| cells(line)).skip(1).map(|row| row[0]).collect();
    let names = defined(&ledger.sqlite(), "SELECT name FROM meta");
    let of_kind = |known: &str, name: &str| match known.split_once("NAME") {
        Some((before, _)) => name.starts_with(before),
        None => name == known,
    };
    for name in &names {
        assert!(known.iter().any(|known| of_kind(known, name)), "{name} is not documented");
    }
    for known in known {
        assert!(names.iter().any(|name| of_kind(known, name)), "there is no {known} in {names:?}");
    }
}
