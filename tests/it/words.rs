//! What the program says of itself: every command teaches by examples, and they run.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Ledger, Ran, Session};

const BINARY: &str = env!("CARGO_BIN_EXE_tallyhook");

fn help(ledger: &Ledger, command: &str) -> String {
    ledger.run(&[command, "--help"]).text().to_owned()
}

/// The commands that the help names.
fn commands(ledger: &Ledger) -> Vec<String> {
    let help = ledger.run(&["--help"]).text().to_owned();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

fn examples(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("Examples:\n") else { return Vec::new() };
    list.lines()
        .map(|line| line.split(" #").next().unwrap().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A project with all that the examples name.
fn project() -> Ledger {
    let ledger = Ledger::new();
    let session = Session::new(&ledger, "8efa9846-0000-4000-8000-000000000001");
    session.transcript().write(&[session.says(1), session.answer("msg_1", 2, 900)]);
    session.subagent("subagents", "a1").meta("Explore").write(&[session.answer_of("a1", "msg_2", 3, 80)]);
    ledger.hook(session.start()).hook(session.prompt("p")).hook(session.tool("Bash", "toolu_1"));
    ledger.hook(session.stop());
    let paste = "Total cost:            $0.55\nTotal duration (API):  6m 19.7s\n";
    let write = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let (home, folder) = (ledger.home(), ledger.project());
    for (name, text) in [
        ("paste.txt", paste),
        ("README.md", "words"),
        ("notes.txt", "words"),
        ("src/main.rs", "fn main() {}"),
    ] {
        write(&folder.join(name), text);
    }
    for name in [
        ".local/share/bash-completion/completions/x",
        ".local/share/man/man1/x",
        "vault/x",
        "backup/claude-projects/x",
    ] {
        write(&home.join(name), "");
    }
    write(&home.join("bin/pbpaste"), &format!("#!/bin/sh\ncat '{}'\n", folder.join("paste.txt").display()));
    write(&home.join("bin/git"), "#!/bin/sh\necho changed\n");
    write(&home.join(".claude/my-statusline.sh"), "#!/bin/sh\necho mine\n");
    ledger
}

#[cfg(unix)]
#[test]
fn every_example_of_the_help_runs() {
    use std::os::unix::fs::PermissionsExt as _;
    let binaries = Path::new(BINARY).parent().unwrap();
    let mut ran = 0;
    let words = Ledger::new();
    for command in commands(&words) {
        let examples = examples(&help(&words, &command));
        assert!(
            !examples.is_empty() || ["hook", "uninstall"].contains(&&*command),
            "{command} has no example"
        );
        for example in examples {
            let ledger = project();
            for name in ["bin/pbpaste", "bin/git", ".claude/my-statusline.sh"] {
                let executable = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(ledger.home().join(name), executable).unwrap();
            }
            let path =
                format!("{}:{}:/usr/bin:/bin", ledger.home().join("bin").display(), binaries.display());
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(&example).current_dir(ledger.project()).stdin(Stdio::null()).env_clear();
            shell.env("PATH", &path).env("HOME", ledger.home()).env("TALLYHOOK_DB", ledger.path());
            let done = Ran::of(&mut shell);
            // 4: there is nothing of the kind in this ledger. A doctor without a client is not content.
            let allowed = if command == "doctor" { vec![0, 1] } else { vec![0, 4] };
            assert!(done.code.is_some_and(|code| allowed.contains(&code)), "{example}: {done:?}");
            ran += 1;
        }
    }
    assert!(ran > 40, "{ran} examples");
}

#[test]
fn every_command_says_in_one_line_what_to_ask_of_it() {
    let ledger = Ledger::new();
    for command in commands(&ledger) {
        let help = help(&ledger, &command);
        let first = help.lines().next().unwrap();
        assert!(
            !first.ends_with('.') && first.starts_with(|c: char| c.is_ascii_uppercase()),
            "{command}: {first}"
        );
    }
}

#[test]
fn what_is_misspelt_is_answered_with_what_was_meant() {
    let ledger = project();
    let asked: [(&[&str], &str); 8] = [
        (&["cots"], "'cost'"),
        (&["cost", "--since", "7d", "--compar"], "'--compare'"),
        (&["cost", "--by", "modl"], "'model'"),
        (&["prices", "show", "claude-opsu-5-5"], "\"claude-opus-5-5\""),
        (&["show-usage", "--session", "8efa9847"], "\"8efa9846\""),
        (&["show-usage", "--agent", "explor"], "\"Explore\""),
        (&["show-usage", "--tool", "bahs"], "\"Bash\""),
        (&["show-usage", "--step", "turm 1"], "\"turn 1\""),
    ];
    for (args, meant) in asked {
        let ran = ledger.run(args);
        assert!(ran.code != Some(0) && ran.stderr.contains(meant), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_terminal_without_unicode_is_shown_ascii() {
    for (name, value) in [("LC_ALL", "C"), ("LANG", "POSIX"), ("TERM", "dumb")] {
        let ledger = Ledger::new().with_var(name, value);
        let session = Session::new(&ledger, "s");
        session.transcript().write(&[session.says(1), session.answer("msg_1", 2, 900)]);
        ledger.import();
        for args in [
            &["cost"][..],
            &["history"],
            &["tools"],
            &["agents"],
            &["show-usage", "--session", "s"],
            &["doctor"],
        ] {
            let text = ledger.run(args).stdout;
            assert!(!text.is_empty() && text.is_ascii(), "{name}={value} {args:?}: {text}");
        }
    }
}
