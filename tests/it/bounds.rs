//! Whatever is in the place of a file, reading has an end: in time, and in memory.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::robustness::end_within;
use crate::support::{Ledger, Ran, Session, With};

/// Memory that a process may have, in KB: what it makes itself, without its program.
const MEMORY_KB: u32 = 64 << 10;
/// Many times of what it takes; the machine may be at work.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a command with little memory, and ends the test if it does not end.
fn bounded(ledger: &Ledger, args: &[&str], stdin: Option<&Value>) -> Ran {
    let command = ledger.command(args);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("ulimit -d {MEMORY_KB}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(args);
    shell.current_dir(ledger.project()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let input = ledger.dir().join("stdin");
    std::fs::write(&input, stdin.map(ToString::to_string).unwrap_or_default()).unwrap();
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
    assert!(said.contains("it is not a regular file"), "{said}");
}

#[test]
fn a_ledger_that_is_no_file_is_named_and_events_wait_beside_it() {
    let (ledger, s, path) = world("the ledger");
    put("pipe", &path);
    bounded(&ledger, &["hook"], Some(&s.tool("Bash", "toolu_1"))).assert_silent("a pipe for a ledger");
    let said = bounded(&ledger, &["show-usage", "--session", "s"], None).stderr;
    assert!(said.contains("is not a regular file"), "{said}");
    std::fs::remove_file(&path).unwrap();
    ledger.hook(s.tool("Bash", "toolu_2"));
    assert_eq!(ledger.calls().len(), 2);
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
    assert!(ran.text().starts_with("3 new responses"), "{ran:?}");
    let ran = run(&["tools"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn without_memory_a_hook_ends_with_0_and_a_command_with_a_message() {
    let (ledger, s) = Session::started();
    let payload = s.tool("Read", "toolu_1").with("tool_response", "word ".repeat(2_000_000));
    let input = ledger.dir().join("stdin");
    std::fs::write(&input, payload.to_string()).unwrap();
    std::fs::write(ledger.project().join("big.txt"), "word ".repeat(2_000_000)).unwrap();
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
    let ran = run(&["count", "big.txt"], 8 << 10);
    assert!(ran.code == Some(1) && ran.stderr.contains("memory"), "{ran:?}");
}
