//! Whatever a ledger, a folder and settings are full of, a terminal is spoken to by nobody: all commands with all their
//! options, as the command line defines them, print text, line breaks and tabs, and where it is asked for our own colours.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, CommandFactory as _};
use regex::Regex;
use serde_json::json;

use crate::support::{Ledger, Ran, Session, With};

/// Clears the screen, sets a title, turns the line around, and does it again by C1; then what only looks like ours, and
/// begins a line.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\u{202e}\u{2066}\u{200f}\u{61c}\u{9b}31m\u{7f}\u{8}\r\u{1b}[32mok\u{1b}[0m\nforged";
/// The same as a line of settings can hold it: JSON has no control characters in strings.
const HOSTILE_IN_JSON: &str = "x\u{202e}\u{2066}\u{200f}\u{61c}\u{9b}31m\u{7f}\u{85}";
/// What a line of output begins with if a name began it.
const FORGED: &str = "forged";

/// A project in a hostile folder of a hostile home, with a ledger, settings and a client that are hostile too.
struct World {
    ledger: Ledger,
    _home: tempfile::TempDir,
    project: PathBuf,
}

impl World {
    fn new() -> Self {
        let name = "h\u{1b}[2J\u{202e}\u{9b}\nforged";
        let home = tempfile::Builder::new().prefix(name).tempdir().unwrap();
        let bin = home.path().join("bin");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let ledger = Ledger::new().with_var("HOME", home.path().to_str().unwrap()).with_var("PATH", &path);
        let project = ledger.dir().join(format!("p{}", HOSTILE.replace('/', "")));
        let write = |path: PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let hook = |args: &str| json!([{ "hooks": [{ "type": "command", "command": format!("/{HOSTILE_IN_JSON}\n{FORGED}/tallyhook hook{args}") }] }]);
        let settings = json!({
            "model": HOSTILE_IN_JSON, HOSTILE_IN_JSON: [HOSTILE_IN_JSON],
            "env": { "TALLYHOOK_DB": format!("{HOSTILE_IN_JSON}\n{FORGED}") }, "statusLine": { "type": "command", "command": HOSTILE_IN_JSON },
            "hooks": { "Stop": hook(""), "PostToolUse": hook(&format!(" --db {HOSTILE_IN_JSON}")), HOSTILE_IN_JSON: hook("") },
        });
        let settings = serde_json::to_string_pretty(&settings).unwrap();
        write(
            project.join(".claude/settings.json"),
            &format!("// {}\n{settings}\n", HOSTILE.replace('\n', "")),
        );
        write(project.join(".claude/settings.local.json"), &format!("{{ {HOSTILE}"));
        write(project.join(".claude/hooks/hooks.json"), &settings);
        write(project.join(".claude/tallyhook.toml"), &format!("\"{HOSTILE_IN_JSON}\" = 1\n"));
        write(home.path().join(".claude/settings.json"), &settings);
        write(project.join("cost.txt"), &format!("Total cost: $0.55 {HOSTILE}\n{HOSTILE}: 5 input\n"));
        write(bin.join("claude"), &format!("#!/bin/sh\nprintf '2.1.330{HOSTILE} (x)'\n"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(bin.join("claude"), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let world = Self { ledger, _home: home, project };
        world.fill();
        world
    }

    /// A session of hostile names, beside a budget and a step.
    fn fill(&self) {
        let ledger = &self.ledger;
        let s = Session::new(ledger, "s").in_folder(&self.project);
        let answer = |message: &str, second| {
            s.answer(message, second, 5)
                .with("message.model", HOSTILE)
                .with("gitBranch", HOSTILE)
                .with("attributionSkill", HOSTILE)
        };
        s.transcript().write(&[s.says(1), answer("m1", 2)]);
        s.subagent("subagents", "a1").meta(HOSTILE).write(&[s.answer_of("a1", "m2", 3, 7)]);
        ledger.hook(s.start()).hook(s.prompt("p"));
        ledger.hook(s.event("SubagentStart").with("agent_id", "a1").with("agent_type", HOSTILE));
        ledger.hook(s.tool(HOSTILE, "toolu_1")).hook(s.tool(&format!("mcp__{HOSTILE}__x"), "toolu_2"));
        ledger.hook(s.tool("Skill", "toolu_3").with("tool_input.skill", HOSTILE));
        ledger.hook(s.stop());
        for args in [&["budget", "set", "0.001"][..], &["step", "start", HOSTILE, "--session", "s"]] {
            self.run(args, b"");
        }
    }

    /// Writes hostile text into every column that takes it, as somebody else's program could have.
    fn poison(&self) {
        let sqlite = self.ledger.sqlite();
        let columns: Vec<(String, String)> = sqlite
            .prepare("SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let mut poisoned = 0;
        for (table, column) in columns.iter().filter(|(_, column)| !["id", "session_id"].contains(&&**column))
        {
            let sql = format!(
                "UPDATE OR IGNORE \"{table}\" SET \"{column}\" = ?1 || \"{column}\" WHERE typeof(\"{column}\") = 'text'"
            );
            poisoned += sqlite.execute(&sql, [HOSTILE]).unwrap_or(0);
        }
        assert!(poisoned > 10, "{poisoned} values");
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Ran {
        self.ledger.run_with_input(&self.project, args, stdin)
    }

    fn look(&self, args: &[&str]) -> Ran {
        let payload = self.payload(args);
        let ran = self.run(args, &payload);
        let wraps = args.contains(&"statusline");
        assert_speaks_to_nobody(&ran.stdout, args, wraps);
        assert_speaks_to_nobody(&ran.stderr, args, false);
        assert!(ran.code.is_some_and(|code| code < 5), "{args:?}: {ran:?}");
        ran
    }

    fn payload(&self, args: &[&str]) -> Vec<u8> {
        let s = Session::new(&self.ledger, "s").in_folder(&self.project);
        let event = match args.first() {
            Some(&"hook") => s.prompt("p2"),
            Some(&"statusline") => json!({
                "session_id": "s", "cwd": self.project, "version": HOSTILE, "model": { "display_name": HOSTILE },
                "workspace": { "project_dir": self.project }, "cost": { "total_cost_usd": 1.5 },
            }),
            _ => return Vec::new(),
        };
        event.to_string().into_bytes()
    }
}

/// Fails if `text` does more to a terminal than to be shown. `wraps`: it repeats what another program has painted.
fn assert_speaks_to_nobody(text: &str, args: &[&str], wraps: bool) {
    let colours = match (wraps, args.contains(&"always")) {
        (true, _) => r"\x1b\[[0-9;:]*m",
        (false, true) => r"\x1b\[(0|1|2|22|31|32|33|39|38;5;[123])m",
        (false, false) => "$^",
    };
    let text = Regex::new(colours).unwrap().replace_all(text, "");
    let harmful = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let forged = text.lines().find(|line| line.starts_with(FORGED));
    assert!(forged.is_none(), "{args:?}: a name begins a line of its own: {text}");
    if let Some(at) = text.find(harmful) {
        let line = text[..at].rsplit('\n').next().unwrap_or_default();
        panic!("{args:?} prints {:?} after {line:?}", text[at..].chars().next());
    }
}

/// What somebody types: he may begin a line with it, as with a template of the status line.
fn typed() -> String {
    HOSTILE.replace('\n', " ")
}

/// A value for an argument, by what the help calls it. One that is not known here fails the test.
fn samples(arg: &Arg) -> Vec<String> {
    let listed: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !listed.is_empty() {
        return listed;
    }
    let name = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let sample = match name {
        "ID" | "SESSION" => "s",
        "N" | "ROWS" | "LIMIT" => "5",
        "AMOUNT" | "USD" => "1.5",
        "PCT" | "PERCENT" => "50",
        "DATE" | "DAY" => "today",
        "ZONE" => "UTC",
        // Of no ledger that there is.
        "CURSOR" => "1.00000000000000000000000000000000.0",
        "TIME" => "1h",
        "PATH" | "DIR" => ".",
        "FILE" | "FILES" => "cost.txt",
        "COMMAND" => "printf 'w\\033[1mx\\033[2J\\033[0m'",
        "TEMPLATE" => "{model} {project} {version} {costs}",
        "MODEL" | "NAME" | "NAME|N" | "WHAT" | "CLIENT" | "KIND" => "claude-code",
        _ if arg.is_positional() => "claude-code",
        other => panic!("{:?} takes {other:?}, of which this test knows no value", arg.get_id()),
    };
    vec![sample.to_owned(), typed()]
}

/// Every command without subcommands, by its words.
fn leaves(command: &clap::Command, words: &[String], found: &mut Vec<(Vec<String>, clap::Command)>) {
    let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    let mut is_leaf = !command.is_subcommand_required_set();
    for sub in subcommands {
        let words = [words, &[sub.get_name().to_owned()]].concat();
        leaves(sub, &words, found);
        is_leaf &= !command.is_arg_required_else_help_set();
    }
    if is_leaf {
        found.push((words.to_vec(), command.clone()));
    }
}

/// All ways to ask a command that differ in one option, each option with each of its values.
fn calls(words: &[String], command: &clap::Command) -> Vec<Vec<String>> {
    let own = || {
        command
            .get_arguments()
            .filter(|arg| !["help", "version", "db", "config"].contains(&arg.get_id().as_str()))
    };
    let as_words = |arg: &Arg, value: Option<String>| -> Vec<String> {
        let option = arg.get_long().map(|long| format!("--{long}"));
        option.into_iter().chain(value).collect()
    };
    let is_needed = |arg: &&Arg| arg.is_required_set();
    let needed: Vec<String> =
        own().filter(is_needed).flat_map(|arg| as_words(arg, samples(arg).into_iter().next())).collect();
    let plain = [words, &needed].concat();
    let mut calls =
        vec![plain.clone(), [words, &["--help".to_owned()]].concat(), [&plain[..], &[typed()]].concat()];
    for arg in own() {
        let values = if arg.get_action().takes_values() {
            samples(arg).into_iter().map(Some).collect()
        } else {
            vec![None]
        };
        for value in values {
            let others = own().filter(is_needed).filter(|other| other.get_id() != arg.get_id());
            let others = others.flat_map(|arg| as_words(arg, samples(arg).into_iter().next()));
            calls.push(words.iter().cloned().chain(others).chain(as_words(arg, value)).collect());
        }
    }
    calls
}

/// All that every command prints, on a ledger as we write it and on one that somebody else has written into.
#[test]
fn whatever_is_printed_speaks_to_no_terminal() {
    let mut command = tallyhook::cli::Cli::command();
    command.build();
    let mut commands = Vec::new();
    leaves(&command, &[], &mut commands);
    assert!(commands.len() > 30, "{} commands", commands.len());
    let mut codes: BTreeMap<String, Vec<Option<i32>>> = BTreeMap::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .chunks(commands.len().div_ceil(2))
            .map(|commands| scope.spawn(|| look_at(commands)))
            .collect();
        for (name, found) in running.into_iter().flat_map(|running| running.join().unwrap()) {
            codes.insert(name, found);
        }
    });
    for (name, codes) in &codes {
        assert!(
            codes.iter().any(|code| matches!(code, Some(0 | 1 | 3 | 4))),
            "no call of {name:?} was understood: {codes:?}"
        );
    }
}

/// What commands print in a world of theirs, and in one that somebody else has written into. Those that take something
/// away have a world for each call. Returns the exit codes of each command.
fn look_at(commands: &[(Vec<String>, clap::Command)]) -> Vec<(String, Vec<Option<i32>>)> {
    let (world, poisoned) = (World::new(), World::new());
    poisoned.poison();
    commands
        .iter()
        .map(|(words, command)| (words.join(" "), look_at_one(words, command, &world, &poisoned)))
        .collect()
}

fn look_at_one(
    words: &[String],
    command: &clap::Command,
    world: &World,
    poisoned: &World,
) -> Vec<Option<i32>> {
    let calls = calls(words, command);
    let removes = words.iter().any(|word| ["uninstall", "remove", "reset"].contains(&&**word));
    let mut codes = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let own = removes.then(World::new);
        let world = own.as_ref().unwrap_or(world);
        let call: Vec<&str> = call.iter().map(String::as_str).collect();
        // Hook and status line know no colours.
        let color = if number % 2 == 0 { "always" } else { "never" };
        let call = if call.is_empty() { call } else { [&call[..], &["--color", color]].concat() };
        codes.push(world.look(&call).code);
        if call.contains(&"dashboard")
            && let Ok(note) = std::fs::read_to_string(world.project.join("cost.txt"))
        {
            let (_, block) = note.split_once("tallyhook").unwrap_or_default();
            assert_speaks_to_nobody(block, &call, false);
        }
    }
    let own = removes.then(|| {
        let world = World::new();
        world.poison();
        world
    });
    let poisoned = own.as_ref().unwrap_or(poisoned);
    for call in calls.iter().filter(|call| !call.contains(&"--help".to_owned())) {
        let call: Vec<&str> = call.iter().map(String::as_str).chain(["--color", "always"]).collect();
        // A ledger that holds anything may be refused, but in words that do no harm.
        poisoned.look(&call);
    }
    codes
}

/// The same of the colours themselves: a name that is written as ours are does not paint anything.
#[test]
fn a_name_that_looks_painted_is_in_no_colour() {
    let world = World::new();
    for args in [&["show-usage", "--session", "s", "--detailed"][..], &["init", "--dry-run"]] {
        let args = [args, &["--color", "always"]].concat();
        let ran = world.look(&args);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("[32mok") && !said.contains("\u{1b}[32mok"), "{args:?}: {said}");
    }
}
