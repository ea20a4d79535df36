//! Whatever is in the place of a file, reading has an end: in time, and in memory.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::robustness::end_within;
use crate::support::{Ledger, Ran, Session, With, alone_if_large};

/// Memory that a process may have, in KB: what it makes itself, without its program.
const MEMORY_KB: u32 = 64 << 10;
/// Many times of what it takes; the machine may be at work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a command with little memory, and ends the test if it does not end.
fn bounded(ledger: &Ledger, args: &[&str], stdin: Option<&Value>) -> Ran {
    bounded_with(ledger, args, stdin.map(ToString::to_string).unwrap_or_default().as_bytes())
}

/// The same with any bytes on stdin.
fn bounded_with(ledger: &Ledger, args: &[&str], stdin: &[u8]) -> Ran {
    let command = ledger.command(args);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("ulimit -d {MEMORY_KB}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(args);
    shell.current_dir(ledger.project()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let _alone = alone_if_large(stdin);
    let input = ledger.dir().join("stdin");
    std::fs::write(&input, stdin).unwrap();
    shell.stdin(std::fs::File::open(&input).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = end_within(shell.spawn().unwrap(), PATIENCE);
    assert!(ran.code.is_some_and(|code| code < 5), "{args:?}: {ran:?}");
    assert!(!ran.stderr.contains("memory"), "{args:?}: {ran:?}");
    ran
}

/// Puts something into the place of a file that nobody can read to its end.
fn put(what: &str, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match what {
        "pipe" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        target => std::os::unix::fs::symlink(target, path).unwrap(),
    }
}

/// A session with a subagent, and the place of a file that `name` stands for.
fn world(name: &str) -> (Ledger, Session, PathBuf) {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    let path = match name {
        "the ledger" => ledger.path(),
        "the log" => ledger.path().with_file_name("hook-errors.log"),
        name => panic!("{name}"),
    };
    if name != "the ledger" {
        ledger.hook(s.start()).hook(s.tool("Bash", "toolu_1"));
    }
    s.transcript().write(&[s.says(1), s.answer("m1", 2, 5)]);
    (ledger, s, path)
}

#[test]
fn a_log_that_cannot_be_read_is_told_of() {
    let (ledger, _s, path) = world("the log");
    put("pipe", &path);
    let said = bounded(&ledger, &["doctor"], None).stdout;
    assert!(said.contains("it isn't a regular file"), "{said}");
}

#[test]
fn a_ledger_that_is_no_file_is_named_and_events_wait_beside_it() {
    let (ledger, s, path) = world("the ledger");
    put("pipe", &path);
    bounded(&ledger, &["hook"], Some(&s.tool("Bash", "toolu_1"))).assert_silent("a pipe for a ledger");
    let said = bounded(&ledger, &["show-usage", "--session", "s"], None).stderr;
    assert!(said.contains("isn't a regular file"), "{said}");
    std::fs::remove_file(&path).unwrap();
    ledger.hook(s.tool("Bash", "toolu_2"));
    assert_eq!(ledger.calls().len(), 2);
}

/// Each place of a file that we read, and a command that reads it.
#[test]
fn an_endless_file_in_any_place_ends_no_command_and_fills_no_memory() {
    let ledger = Ledger::on_disk();
    let s = Session::new(&ledger, "s");
    ledger.hook(s.start());
    s.transcript().write(&[s.says(1), s.answer("m1", 2, 5)]);
    s.subagent("subagents", "a1").meta("Explore").write(&[s.answer_of("a1", "m2", 3, 7)]);
    let (home, project, stop) = (ledger.home(), ledger.project(), s.stop());
    let agent = s.subagent("subagents", "a1").path().to_path_buf();
    let spool = ledger.path().with_file_name("ledger.db.spool");
    let projects = ledger.dir().join("projects").to_str().unwrap().to_owned();
    let import = ["import", "--path", &projects];
    let places: [(PathBuf, &[&str]); 15] = [
        (home.join(".config/tallyhook/config.toml"), &["hook"]),
        (home.join(".config/tallyhook/prices.toml"), &["cost"]),
        (project.join(".claude/tallyhook.toml"), &["show-usage", "--session", "s"]),
        (project.join(".claude/settings.json"), &["init", "--dry-run"]),
        (project.join(".claude/settings.local.json"), &["doctor"]),
        (project.join(".claude/hooks/hooks.json"), &["init", "--dry-run"]),
        (home.join(".claude/settings.json"), &["doctor"]),
        (s.transcript().path().to_path_buf(), &["hook"]),
        (agent.clone(), &["hook"]),
        (agent.with_extension("meta.json"), &import),
        (ledger.path().with_file_name("hook-errors.log"), &["doctor"]),
        (spool.join("0-1-1.json"), &["history"]),
        (project.join("a.txt"), &["count", "a.txt"]),
        (project.join("cost.txt"), &["capture-cost", "cost.txt"]),
        (ledger.path(), &["history"]),
    ];
    for (path, args) in places {
        let aside = path.with_extension("aside");
        let is_there = std::fs::rename(&path, &aside).is_ok();
        put("/dev/zero", &path);
        let ran = bounded(&ledger, args, Some(&stop).filter(|_| args == ["hook"]));
        if args == ["hook"] {
            ran.assert_silent("an endless file");
        }
        assert!(!ran.stderr.contains("internal error"), "{}: {ran:?}", path.display());
        // A waiting event that is none is set aside.
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(&path).unwrap();
        }
        if is_there {
            std::fs::rename(&aside, &path).unwrap();
        }
    }
    assert_eq!(ledger.responses("s"), 2);
}

#[test]
fn an_endless_file_is_not_counted_unless_it_is_called_a_descriptor() {
    // Below /dev, where there is a folder for it.
    let ledger = Ledger::new();
    put("/dev/zero", &ledger.project().join("a.txt"));
    put("pipe", &ledger.project().join("pipe"));
    let pipe = ledger.project().join("pipe").to_str().unwrap().to_owned();
    let beside = format!("/dev/..{pipe}");
    for file in ["a.txt", "pipe", &pipe, &beside, "/dev/zero"] {
        for command in ["count", "capture-cost"] {
            let ran = bounded(&ledger, &[command, file], None);
            assert!(ran.stderr.contains("it isn't a regular file"), "{file}: {ran:?}");
        }
    }
    for stdin in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let ran = Ran::with_stdin(&mut ledger.command(&["count", stdin]), b"four words of text");
        assert!(ran.stdout.contains('4'), "{stdin}: {ran:?}");
        let ran = Ran::with_stdin(&mut ledger.command(&["capture-cost", stdin]), b"no screen");
        assert!(ran.stderr.contains("doesn't look like"), "{stdin}: {ran:?}");
    }
}

/// More than is held: the event is stored with what can be told, and the log says what was left out.
#[test]
fn of_a_payload_without_measure_the_event_is_stored_and_the_cut_is_told() {
    let (ledger, s) = Session::started();
    let odd = [b"\"", &[0xff; 1 << 18][..], &vec![b'x'; 17 << 20], &[0xff; 1 << 18], b"\""].concat();
    let list = [b"[\"", &vec![b'x'; 15 << 20][..], b"\",", &b"[[{}]],".repeat(320_000), b"1]"].concat();
    for (number, member, content) in [(1, "tool_input", odd.as_slice()), (2, "tool_response", &list)] {
        let whole =
            s.tool("Write", &format!("toolu_{number}")).with(&format!("{member}.x"), "HERE").to_string();
        let (before, after) = whole.split_once("\"HERE\"").unwrap();
        let payload = [before.as_bytes(), content, after.as_bytes()].concat();
        bounded_with(&ledger, &["hook"], &payload).assert_silent("a large payload");
        let sql = "SELECT input_bytes, response_bytes FROM tool_calls WHERE tool_use_id = ?1";
        let (input, response): (u32, u32) = ledger
            .sqlite()
            .query_row(sql, [format!("toolu_{number}")], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let (long, short) = if member == "tool_input" { (input, response) } else { (response, input) };
        assert!(long as usize >= content.len() && short < 100, "{member}: {input}, {response}");
        let told = ledger.faults();
        assert_eq!(told.lines().count(), number, "{told}");
        assert!(told.contains("a payload was too large: "), "{told}");
    }
}

/// Text of brackets and commas, of which each takes many times its size in memory if it is read as what it says.
#[test]
fn many_small_parts_take_no_multiple_of_their_size() {
    let (ledger, s) = Session::started();
    let list = format!("[{}{{}}]", "{},".repeat(400_000));
    let todos = s.tool("TodoWrite", "toolu_1").with("tool_input.todos", "HERE");
    for payload in [todos, s.batch(&[]).with("tool_calls", "HERE")] {
        let payload = payload.to_string().replace("\"HERE\"", &list);
        bounded_with(&ledger, &["hook"], payload.as_bytes()).assert_silent("a long list");
    }
    assert_eq!((ledger.calls().len(), &*ledger.faults()), (1, ""));
}

#[test]
fn a_payload_whose_event_comes_after_all_measure_is_told_of() {
    let (ledger, s) = Session::started();
    let payload = s.tool("Bash", "toolu_1").to_string();
    let members = "\"k\":1,".repeat(300_000);
    for (input, told) in [
        (" ".repeat(11 << 20) + &payload, "more whitespace than tallyhook accepts"),
        (payload.replacen('{', &format!("{{{members}"), 1), "don't say which event"),
    ] {
        bounded_with(&ledger, &["hook"], input.as_bytes()).assert_silent(told);
        assert!(ledger.faults().contains(told), "{}", ledger.faults());
    }
    assert_eq!(ledger.calls().len(), 0);
}

#[test]
fn a_line_of_gigabytes_is_passed_over_in_several_goes_and_what_follows_is_read() {
    use std::io::{Seek as _, Write as _};
    let (ledger, s) = Session::started();
    s.transcript().write(&[s.says(1), s.answer("m1", 2, 5)]);
    let mut file = std::fs::File::options().write(true).open(s.transcript().path()).unwrap();
    file.seek(std::io::SeekFrom::End(200 << 20)).unwrap();
    writeln!(file, "\n{}", s.answer("m2", 3, 7)).unwrap();
    // One event may not get to its end; each goes on where the one before has stopped.
    for _ in 0..4 {
        bounded(&ledger, &["hook"], Some(&s.stop())).assert_silent("a long line");
    }
    assert_eq!((ledger.responses("s"), ledger.output("s")), (2, 12));
    let found =
        bounded(&ledger, &["import", "--path", ledger.dir().join("projects").to_str().unwrap()], None);
    assert_eq!(found.code, Some(0), "{found:?}");
}

#[test]
fn threads_that_cannot_start_leave_the_work_to_the_others() {
    let ledger = Ledger::new();
    for id in ["a", "b", "c"] {
        let s = Session::new(&ledger, id);
        s.transcript().write(&[s.says(1), s.answer(&format!("m-{id}"), 2, 5)]);
    }
    let projects = ledger.dir().join("projects");
    // A stack that no machine has room for.
    let run = |args: &[&str]| {
        Ran::of(ledger.command(args).env("RUST_MIN_STACK", "70368744177664").stdin(Stdio::null()))
    };
    let ran = run(&["import", "--path", projects.to_str().unwrap()]);
    assert!(ran.text().starts_with("Claude Code: 3 new responses"), "{ran:?}");
    let ran = run(&["tools"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn without_memory_a_hook_ends_with_0_and_a_command_with_a_message() {
    let (ledger, s) = Session::started();
    let payload = s.tool("Read", "toolu_1").with("tool_response", "word ".repeat(2_000_000));
    let input = ledger.dir().join("stdin");
    std::fs::write(&input, payload.to_string()).unwrap();
    // Without a place to cut it, it is held for 4 MB.
    std::fs::write(ledger.project().join("big.txt"), "x".repeat(10_000_000)).unwrap();
    let run = |args: &[&str], kilobytes: u32| {
        let command = ledger.command(args);
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("ulimit -d {kilobytes}; exec \"$0\" \"$@\"")])
            .arg(command.get_program())
            .args(args);
        shell.current_dir(ledger.project()).env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::of(shell.stdin(std::fs::File::open(&input).unwrap()))
    };
    let ran = run(&["hook"], 8 << 10);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
    let ran = run(&["count", "big.txt"], 4 << 10);
    assert!(ran.code == Some(1) && ran.stderr.contains("memory"), "{ran:?}");
}
