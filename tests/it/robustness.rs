//! What surrounds the hook: pipes that stay open, programs that leave others behind, signals, closed descriptors, variables
//! that no shell has expanded, ledgers that cannot be written.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Ledger, Payload, Ran, Session, With, files_below};

/// Long enough for a busy machine, and far from what would be too long.
const AT_ONCE: Duration = Duration::from_secs(20);

fn call(id: &str) -> Value {
    json!({
        "hook_event_name": "PostToolUse", "session_id": "s", "tool_use_id": id, "tool_name": "Bash",
        "tool_input": {"command": "ls"}, "tool_response": {"stdout": "x", "stderr": ""},
    })
}

/// Starts the program with a stdin that stays open after `input`, and returns how it ends.
fn with_open_stdin(ledger: &Ledger, args: &[&str], input: &[&[u8]]) -> Ran {
    let mut command = ledger.command(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for part in input {
        stdin.write_all(part).unwrap();
        stdin.flush().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let ran = end_within(child, AT_ONCE);
    drop(stdin);
    ran
}

pub(crate) fn end_within(mut child: Child, time: Duration) -> Ran {
    let deadline = Instant::now() + time;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it still runs after {time:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::end_of(child)
}

#[test]
fn the_hook_acts_when_the_json_is_whole_though_stdin_stays_open() {
    let ledger = Ledger::new();
    let text = call("t1").bytes();
    with_open_stdin(&ledger, &["hook"], &[&text]).assert_silent("one write");
    let text = call("t2").to_string().into_bytes();
    with_open_stdin(&ledger, &["hook"], &[&text[..30], &text[30..]]).assert_silent("two writes, no newline");
    let more = format!("\u{feff} \n{}}} trailing {{", call("t3")).into_bytes();
    with_open_stdin(&ledger, &["hook"], &[&more]).assert_silent("something behind it");
    let long = call("t4").with("tool_response.stdout", "}\"\\".repeat(100_000)).bytes();
    with_open_stdin(&ledger, &["hook"], &[&long]).assert_silent("more than a pipe holds");
    let ids: Vec<Value> = ledger.calls().into_iter().map(|call| call["tool_use_id"].clone()).collect();
    assert_eq!(ids, ["t1", "t2", "t3", "t4"]);
    assert_eq!(ledger.faults(), "");
}

#[test]
fn what_follows_the_object_is_ignored() {
    let ledger = Ledger::new();
    ledger.run_hook(format!("{}{}", call("t1"), call("t2"))).assert_silent("two objects");
    assert_eq!(ledger.call()["tool_use_id"], "t1");
    assert_eq!(ledger.faults(), "");
}

#[test]
fn the_status_line_acts_when_the_json_is_whole_though_stdin_stays_open() {
    let payload = br#"{"model":{"display_name":"Opus"}}"#;
    let ran = with_open_stdin(&Ledger::new(), &["statusline"], &[payload]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "Opus\n"), "{ran:?}");
}

#[test]
fn json_that_never_gets_whole_is_given_up_in_silence() {
    let ledger = Ledger::new();
    let half = call("t").to_string();
    with_open_stdin(&ledger, &["hook"], &[&half.as_bytes()[..half.len() - 1]])
        .assert_silent("half a payload");
    assert!(ledger.faults().contains("still incomplete after 4 s"), "{}", ledger.faults());
    let ran = with_open_stdin(&ledger, &["statusline"], &[b"{\"model\":"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "\n"), "{ran:?}");
}

/// A program in a folder that is put on the `PATH`.
#[cfg(unix)]
fn program(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_wrapped_line_that_leaves_a_child_behind_is_shown_at_once() {
    let ledger = Ledger::new();
    let payload = br#"{"model":{"display_name":"Opus"}}"#;
    let start = Instant::now();
    let wrap = "(sleep 60) & echo my line";
    let ran = Ran::with_stdin(&mut ledger.command(&["statusline", "--wrap", wrap]), payload);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "my line\nOpus\n"), "{ran:?}");
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    // One that hangs: what it has printed by the deadline is shown.
    let ran =
        Ran::with_stdin(&mut ledger.command(&["statusline", "--wrap", "echo early; sleep 60"]), payload);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "early\nOpus\n"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn a_status_line_that_is_told_to_end_ends_what_it_wraps() {
    let ledger = Ledger::new();
    let file = ledger.dir().join("id");
    let wrap = format!("echo $$ > {}; sleep 60", file.display());
    let mut command = ledger.command(&["statusline", "--wrap", &wrap]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{}").unwrap();
    let id = loop {
        match std::fs::read_to_string(&file) {
            Ok(id) if id.ends_with('\n') => break id,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let run = |line: String| Command::new("sh").args(["-c", &line]).status().unwrap().success();
    assert!(run(format!("kill -TERM {}", child.id())));
    assert_eq!(child.wait().unwrap().code(), None, "a signal ends it");
    let is_gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !run(format!("ps -o stat= -p {} | grep -qv Z", id.trim()))
    });
    assert!(is_gone);
}

#[cfg(unix)]
#[test]
fn a_client_that_leaves_a_child_behind_does_not_hold_doctor_or_init_up() {
    let ledger = Ledger::new();
    let bin = ledger.home().join(".local").join("bin");
    program(&bin, "claude", "sleep 60 &\necho '2.1.330 (Claude Code)'");
    let start = Instant::now();
    assert!(ledger.run(&["init"]).text().contains("Claude Code 2.1.330"));
    let report = ledger.run(&["doctor", "--json"]).json();
    let client =
        report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "client").unwrap();
    assert!(client["found"].as_str().unwrap().contains("2.1.330"), "{client}");
    assert!(start.elapsed() < 2 * AT_ONCE, "{:?}", start.elapsed());
}

/// Runs the program by a line of the shell, in which `$0` is the program.
#[cfg(unix)]
fn by_shell(ledger: &Ledger, line: &str, stdin: &[u8]) -> Ran {
    let inner = ledger.command(&[]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).arg(inner.get_program()).current_dir(ledger.project()).env_clear();
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::with_stdin(&mut shell, stdin)
}

#[cfg(unix)]
#[test]
fn a_limit_to_the_size_of_files_ends_nothing() {
    let ledger = Ledger::new();
    ledger.run_hook(call("t0")).assert_silent("without a limit");
    for limit in ["0", "1", "100"] {
        let payload = call(limit).bytes();
        by_shell(&ledger, &format!("ulimit -f {limit}; exec \"$0\" hook"), &payload).assert_silent(limit);
    }
    ledger.assert_sound();
    // A command says what is wrong in place of being killed.
    let ran = by_shell(&ledger, "ulimit -f 0; exec \"$0\" man > \"$HOME/out\"", b"");
    assert!(ran.code == Some(1) && ran.stderr.contains("can't write the output"), "{ran:?}");
    let ran = by_shell(&ledger, "ulimit -f 0; exec \"$0\" budget set 5", b"");
    assert!(ran.code == Some(1) && ran.stderr.contains("tallyhook doctor"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn closed_and_full_descriptors_end_nothing() {
    let ledger = Ledger::new();
    for (at, line) in [
        "exec \"$0\" hook <&-",
        "exec \"$0\" hook >&-",
        "exec \"$0\" hook 2>&-",
        "exec \"$0\" hook >&- 2>&-",
        "exec \"$0\" hook <&- >&- 2>&-",
        "exec \"$0\" hook </",
        "exec \"$0\" hook >/dev/full 2>/dev/full",
    ]
    .into_iter()
    .enumerate()
    {
        by_shell(&ledger, line, &call(&at.to_string()).bytes()).assert_silent(line);
    }
    // Where there was a payload, it is stored.
    assert_eq!(ledger.calls().len(), 4);
    let ran = by_shell(&ledger, "exec \"$0\" statusline >&- 2>&-", b"{}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = by_shell(&ledger, "exec \"$0\" man >&-", b"");
    assert!(ran.code.is_some() && !ran.stderr.contains("internal error"), "{ran:?}");
    let ran = by_shell(&ledger, "exec \"$0\" man >/dev/full", b"");
    assert!(ran.code == Some(1) && ran.stderr.contains("can't write the output"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_a_command_in_silence() {
    let ledger = Ledger::new();
    ledger.run_hook(call("t")).assert_silent("a call");
    for command in
        [&["man"][..], &["--help"], &["export", "--what", "calls"], &["prices", "list", "--all"], &["cost"]]
    {
        let mut child = ledger
            .command(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let code = child.wait().unwrap().code();
        assert!(
            code.is_some() && !said.contains("internal error") && !said.contains("panicked"),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn a_home_folder_that_no_shell_has_expanded_is_one_ledger() {
    let ledger = Ledger::new();
    for (at, value) in ["~/t/l.db", "$HOME/t/l.db", "${HOME}/t/l.db"].into_iter().enumerate() {
        for folder in [ledger.dir(), &ledger.project()] {
            let mut hook = ledger.command(&["hook"]);
            hook.current_dir(folder).env("TALLYHOOK_DB", value).env("CLAUDE_PROJECT_DIR", folder);
            let id = format!("{at}{}", folder.display());
            Ran::with_stdin(&mut hook, &call(&id).bytes()).assert_silent(value);
        }
        // The exec form hands an option over as it is written, and so does `--db=`.
        for args in [&["hook", "--db", value][..], &["hook", &format!("--db={value}")]] {
            let mut hook = ledger.command(args);
            Ran::with_stdin(&mut hook, &call(&args.concat()).bytes()).assert_silent(value);
        }
    }
    let made: Vec<_> = files_below(ledger.dir()).into_iter().filter(|file| file.ends_with("l.db")).collect();
    assert_eq!(made, [ledger.home().join("t").join("l.db")]);
    let ran = ledger.run(&["--db", "~/t/l.db", "export", "--what", "calls", "--format", "jsonl"]);
    assert_eq!(ran.text().lines().count(), 12);
    let mut status = ledger.command(&["statusline", "--db", "~/t/l.db"]);
    assert_eq!(Ran::with_stdin(&mut status, b"{}").code, Some(0));
}

#[test]
fn other_relative_places_are_refused_by_commands_and_noted_by_the_hook() {
    for (name, value) in [
        ("TALLYHOOK_DB", "l.db"),
        ("TALLYHOOK_DB", "~nobody/l.db"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "./config"),
        ("CLAUDE_CONFIG_DIR", ".claude"),
        ("HOME", "."),
    ] {
        let ledger = Ledger::new();
        for command in [&["cost"][..], &["init"], &["doctor"], &["budget", "set", "5"], &["import"]] {
            let mut command = ledger.command(command);
            let ran = Ran::of(command.env(name, value).stdin(Stdio::null()));
            assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{name}={value}: {ran:?}");
            assert!(ran.stderr.contains(name) && ran.stderr.contains("absolute path"), "{ran:?}");
        }
        let made = files_below(ledger.dir());
        assert!(made.is_empty(), "{name}: {made:?}");
    }
    // What is not asked for anything hinders nobody.
    let ledger = Ledger::new().with_var("TALLYHOOK_DB", "l.db");
    assert_eq!(ledger.run(&["completions", "bash"]).code, Some(0));
    let usual = ledger.home().join(".local/share/tallyhook");
    assert_eq!(ledger.run(&["--db", ledger.path().to_str().unwrap(), "cost"]).code, Some(4));
    Ran::with_stdin(&mut ledger.command(&["hook"]), &call("t").bytes()).assert_silent("a relative ledger");
    assert!(usual.join("ledger.db").exists() && !ledger.project().join("l.db").exists());
    let faults = std::fs::read_to_string(usual.join("hook-errors.log")).unwrap();
    assert!(faults.contains("TALLYHOOK_DB is set to \"l.db\""), "{faults}");
}

/// A ledger with a session whose transcript has grown since, and the usage that it had before.
fn grown() -> (Ledger, Session) {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    ledger.hook(s.start()).hook(s.stop());
    // Its log has something in it then, as it mostly has.
    ledger.run_hook(s.prompt("p2")).assert_silent("a prompt");
    s.transcript().append(&[s.says(3), s.answer("msg_2", 4, 20)]);
    (ledger, s)
}

fn output_of(ran: &Ran) -> u64 {
    ran.json()["actual"]["usage"]["output_tokens"].as_u64().unwrap()
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_reports_show_what_is_there_and_say_that_it_is_not_stored() {
    let (ledger, _) = grown();
    // No file may grow: what a disk without room does to a program, and needs no disk.
    let full = |command: &str| by_shell(&ledger, &format!("ulimit -f 0; exec \"$0\" {command}"), b"");
    let ran = full("show-usage --json");
    assert_eq!((ran.code, output_of(&ran)), (Some(0), 120), "{ran:?}");
    assert!(ran.stderr.contains("can't be written"), "{ran:?}");
    for command in
        ["cost", "history", "tools", "agents", "export --what sessions", "budget status", "prices check"]
    {
        let ran = full(command);
        assert!(ran.code == Some(0) && !ran.stdout.is_empty(), "{command}: {ran:?}");
    }
    // What is to be kept must be able to be.
    assert_eq!(full("alerts on").code, Some(1));
    let capture = by_shell(&ledger, "ulimit -f 0; exec \"$0\" capture-cost", b"Total cost: $1.25\n");
    assert!(capture.code == Some(1) && capture.stdout.is_empty(), "{capture:?}");
    assert_eq!(ledger.output("s"), 100);
    // With room again all is stored as if nothing had been.
    assert_eq!(output_of(&ledger.run(&["show-usage", "--json"])), 120);
    ledger.assert_sound();
}

#[test]
#[cfg(unix)]
fn on_a_full_disk_reports_of_a_ledger_beyond_16_mb_show_what_is_there_or_say_that_it_is_too_large() {
    use std::io::{Seek as _, SeekFrom};
    let (ledger, _) = grown();
    let filler = "CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(18000000));
        PRAGMA wal_checkpoint(TRUNCATE)";
    ledger.sqlite().execute_batch(filler).unwrap();
    let full = |command: &str| by_shell(&ledger, &format!("ulimit -f 0; exec \"$0\" {command}"), b"");
    let ran = full("show-usage --json");
    assert_eq!((ran.code, output_of(&ran)), (Some(0), 120), "{ran:?}");
    // It says itself how many pages it has, and almost none of them takes a block.
    let mut file = std::fs::OpenOptions::new().write(true).open(ledger.path()).unwrap();
    let pages: u32 = 100_000;
    file.set_len(u64::from(pages) * 4_096).unwrap();
    file.seek(SeekFrom::Start(28)).unwrap();
    file.write_all(&pages.to_be_bytes()).unwrap();
    drop(file);
    let ran = full("show-usage --json");
    assert!(ran.code == Some(1) && ran.stderr.contains("at 390 MB it's too large"), "{ran:?}");
}

/// Runs a command as somebody who may read the ledger and not write it; `None` if that cannot be tried here.
#[cfg(target_os = "linux")]
fn as_a_reader(ledger: &Ledger, command: &[&str], writable: bool) -> Option<Ran> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = ledger.path().parent().unwrap().to_path_buf();
    mode(ledger.dir(), 0o755);
    for file in files_below(ledger.dir()) {
        mode(&file, 0o444);
    }
    for part in std::fs::read_dir(&folder).unwrap().flatten().filter(|part| part.path().is_dir()) {
        mode(&part.path(), 0o755);
    }
    mode(&folder, if writable { 0o777 } else { 0o555 });
    let mut program = ledger.command(command);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        program.uid(NOBODY);
        let can_start = program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // The program may lie where only its builder may go.
        if can_start.is_err() {
            return None;
        }
    }
    let ran = Ran::with_stdin(&mut program, br#"{"session_id":"s","model":{"display_name":"Opus"}}"#);
    mode(&folder, 0o755);
    Some(ran)
}

#[test]
#[cfg(target_os = "linux")]
fn a_ledger_that_may_only_be_read_is_shown() {
    for writable_folder in [false, true] {
        let (ledger, s) = grown();
        // An event that waits is shown, and stays where it is. Who has the ledger open has made the log's index.
        let other = writable_folder.then(|| ledger.sqlite());
        if let Some(other) = &other {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            ledger.run_hook(s.prompt("p3")).assert_silent("a locked ledger");
            other.execute_batch("ROLLBACK").unwrap();
        }
        let beside = |name: &str| ledger.path().with_file_name(name);
        let log = std::fs::metadata(beside("ledger.db-wal"));
        assert!(log.is_ok_and(|log| log.len() > 0), "what is new is in the log");
        if !writable_folder && beside("ledger.db-shm").exists() {
            std::fs::remove_file(beside("ledger.db-shm")).unwrap();
        }
        let Some(ran) = as_a_reader(&ledger, &["show-usage", "--json"], writable_folder) else { return };
        assert_eq!((ran.code, output_of(&ran)), (Some(0), 120), "{ran:?}");
        assert_eq!(ran.json()["session"]["turns"], if writable_folder { 4 } else { 3 }, "{ran:?}");
        assert!(ran.stderr.contains("can't be written"), "{ran:?}");
        let status = as_a_reader(&ledger, &["statusline"], writable_folder).unwrap();
        assert!(status.stdout.starts_with("Opus · $"), "{status:?}");
        let doctor = as_a_reader(&ledger, &["doctor", "--json"], writable_folder).unwrap();
        let checks = doctor.json()["checks"].as_array().unwrap().clone();
        assert!(
            checks.iter().any(|check| check["check"] == "ledger" && check["status"] == "failed"),
            "{checks:#?}"
        );
        let set = as_a_reader(&ledger, &["budget", "set", "5"], writable_folder).unwrap();
        assert_eq!(set.code, Some(1), "{set:?}");
        assert_eq!(beside("ledger.db.spool").exists(), writable_folder, "what waits is kept");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_ledger_that_may_only_be_read_is_shown_whole_beside_a_writer() {
    let (ledger, s) = grown();
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.run_hook(s.prompt("p3")).assert_silent("a locked ledger");
    let start = Instant::now();
    let Some(ran) = as_a_reader(&ledger, &["show-usage", "--json"], true) else { return };
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((ran.code, output_of(&ran)), (Some(0), 120), "{ran:?}");
    assert_eq!(ran.json()["session"]["turns"], 4, "{ran:?}");
    // What it works in holds all, whoever holds the ledger.
    assert!(ran.stderr.contains("can't be written"), "{ran:?}");
    assert!(!ran.stderr.contains("another process"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn on_a_full_disk_and_beside_a_writer_reports_show_what_is_there() {
    let (ledger, s) = grown();
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.run_hook(s.prompt("p3")).assert_silent("a locked ledger");
    for command in ["show-usage", "cost", "tools", "export --what sessions", "budget status"] {
        let ran = by_shell(&ledger, &format!("ulimit -f 0; exec \"$0\" {command}"), b"");
        assert!(ran.code == Some(0) && !ran.stdout.is_empty(), "{command}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{command}: {ran:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_stop_is_lifted_from_any_shell_and_with_any_project() {
    let ledger = Ledger::new();
    let project = ledger.dir().join("My (app) & co; [1] #2");
    std::fs::create_dir(&project).unwrap();
    let s = Session::new(&ledger, "s").in_folder(&project);
    let named = project.to_str().unwrap();
    ledger.run(&["budget", "set", "1", "--tokens", "--stop", "--project", named]).text();
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    ledger.hook(s.start()).hook(s.stop());
    let reason = ledger.hook_answer(s.prompt("p")).to_string();
    let asks = |tool: &str, command: &str| {
        let payload = s.event("PreToolUse").with("tool_name", tool).with("tool_use_id", "t");
        ledger.hook_answer(payload.with("tool_input", json!({ "command": command })))
    };
    // What it proposes itself.
    let (_, proposed) = reason.split_once("`tallyhook budget add").expect(&reason);
    let (proposed, _) = proposed.split_once('`').unwrap();
    let proposed = format!("tallyhook budget add{}", proposed.replace("AMOUNT", "5"));
    let proposed: String = serde_json::from_str(&format!("\"{proposed}\"")).unwrap();
    assert!(proposed.contains("My (app) & co"), "{proposed}");
    assert_eq!(asks("Bash", &proposed), Value::Null, "{proposed}");
    assert_eq!(asks("PowerShell", &proposed), Value::Null, "{proposed}");
    assert_eq!(asks("PowerShell", "& \"C:\\a (b)\\tallyhook.exe\" budget add 5"), Value::Null);
    assert_eq!(asks("Bash", "cd 'x y' && env A=b tallyhook budget clear"), Value::Null);
    for (tool, command) in [
        ("Bash", format!("{proposed}; make")),
        ("PowerShell", "tallyhook budget add 5 | iex".to_owned()),
        ("Write", "tallyhook budget add 5".to_owned()),
    ] {
        assert_ne!(asks(tool, &command), Value::Null, "{tool} {command}");
    }
}
