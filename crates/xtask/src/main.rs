//! The repository's front door. `cargo xtask` lists its verbs; each runs the commands beside it, in the repository's root.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to people")]

use std::path::Path;
use std::process::{Command, ExitCode};

/// A verb, one line of help, and the commands it runs. Words after the verb are added to the last command.
type Verb = (&'static str, &'static str, &'static [Step]);
/// A command. Leading `NAME=VALUE` words are its environment; `xtask` is another verb of this table.
type Step = &'static [&'static str];

/// Stands for the path of the program that `cargo build` makes.
const BUILT: &str = "{tallyhook}";

#[rustfmt::skip]
const VERBS: &[Verb] = &[
    ("check", "Check all that CI checks in this checkout: lint, then test", &[&["xtask", "lint"], &["xtask", "test"]]),
    ("lint", "Check format, shell scripts, lints and docs", &[
        &["cargo", "fmt", "--all", "--check"],
        &["bash", "-c", "for script in scripts/*.sh .ci/run; do bash -n \"$script\" || exit; done"],
        &["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
        &["cargo", "check", "--locked", "--manifest-path", "crates/counter/fuzz/Cargo.toml"],
        &["RUSTDOCFLAGS=-D warnings", "cargo", "doc", "--locked", "--workspace", "--no-deps", "--document-private-items"],
    ]),
    ("test", "Run all tests", &[&["cargo", "test", "--locked"]]),
    ("bless", "Run the tests and take what they see as the new snapshots; read the diff", &[
        &["INSTA_UPDATE=always", "INSTA_FORCE_PASS=1", "cargo", "test", "--locked", "--no-fail-fast"],
    ]),
    ("e2e", "Run the real client against a mock of its API and compare the totals", &[
        &["cargo", "build", "--locked"],
        &["python3", "tests/e2e/run.py", "--binary", BUILT],
    ]),
    ("bench-hook", "Measure what a tool call pays for the hook", &[&["bash", "scripts/bench-hook.sh"]]),
    ("bench-import", "Measure an import and check its totals", &[&["bash", "scripts/bench-import.sh"]]),
    ("bench-reports", "Measure the reports on a million tool calls", &[&["bash", "scripts/bench-reports.sh"]]),
    ("bench-estimates", "Measure how far estimates are off", &[&["cargo", "bench", "--locked", "--bench", "estimates", "--"]]),
    ("bench-counter", "Measure the token counter", &[&["cargo", "bench", "--locked", "-p", "tallyhook-counter", "--bench", "counter", "--"]]),
    ("prove-counter", "Compare the token counter with tiktoken-rs in millions of texts", &[&["bash", "scripts/prove-counter.sh"]]),
    ("counts", "Compare the totals of transcripts with an independent count", &[&["bash", "scripts/check-counts.sh"]]),
    ("allocations", "Compare what the costs in a TRANSCRIPT are allocated to with an independent count", &[
        &["cargo", "build", "--locked"],
        &["python3", "scripts/allocations-independent.py", BUILT],
    ]),
    ("inject", "Make system calls of the hook and of commands fail, one at a time; needs strace", &[
        &["cargo", "build", "--locked"],
        &["python3", "scripts/inject-faults.py", "--binary", BUILT],
    ]),
    ("deny", "Check the licenses and advisories of all dependencies; needs cargo-deny", &[&["cargo", "deny", "check"]]),
    ("fuzz", "Fuzz the token counter; needs nightly and cargo-fuzz", &[&["cargo", "+nightly", "fuzz", "run", "--fuzz-dir", "crates/counter/fuzz", "counter"]]),
    ("prices", "Compare prices.toml with a newer price list", &[&["bash", "scripts/update-prices.sh"]]),
    ("release", "Build the static binary and print its path", &[&["bash", "scripts/build-release.sh"]]),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(verb) = words.next().filter(|word| !word.starts_with('-')) else {
        help();
        return ExitCode::SUCCESS;
    };
    match run(&verb, &words.collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn help() {
    println!("Usage: cargo xtask VERB [ARGUMENTS FOR ITS LAST COMMAND]\n");
    for (name, help, _) in VERBS {
        println!("  {name:16} {help}");
    }
}

fn run(verb: &str, arguments: &[String]) -> Result<(), String> {
    let Some((_, _, steps)) = VERBS.iter().find(|(name, ..)| *name == verb) else {
        return Err(format!("there is no verb {verb:?}; `cargo xtask` lists them"));
    };
    for (at, step) in steps.iter().enumerate() {
        let last = if at + 1 == steps.len() { arguments } else { &[] };
        match step {
            ["xtask", verb] => run(verb, last)?,
            _ => spawn(step, last)?,
        }
    }
    Ok(())
}

fn spawn(step: Step, arguments: &[String]) -> Result<(), String> {
    let variables = step.iter().map_while(|word| word.split_once('='));
    let mut words = step.iter().skip(variables.clone().count());
    let program = words.next().ok_or("a step without a command")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shown = format!("{} {}", step.join(" "), arguments.join(" "));
    eprintln!("xtask: {}", shown.trim_end());
    // Cargo puts all programs of a profile into one folder.
    let built = std::env::current_exe().map_err(|error| format!("who am I? {error}"))?;
    let built = built.with_file_name(format!("tallyhook{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.args(words.map(|word| if *word == BUILT { built.as_os_str() } else { word.as_ref() }));
    command.args(arguments).envs(variables).current_dir(root);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} has failed ({status})")),
        Err(error) => Err(format!("cannot run {program}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_runs_what_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (name, help, steps) in VERBS {
            assert!(!help.is_empty() && !help.ends_with('.'), "{name}: {help}");
            for word in steps.iter().flat_map(|step| step.iter()) {
                let is_file = word.starts_with("scripts/") || word.starts_with("tests/");
                assert!(!is_file || root.join(word).is_file(), "{name} runs {word}, which is not there");
            }
            for step in steps.iter().filter(|step| step[0] == "xtask") {
                assert!(VERBS.iter().any(|(name, ..)| *name == step[1]), "{name} runs {}", step[1]);
            }
        }
    }

    #[test]
    fn no_script_is_left_over() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let scripts = std::fs::read_dir(root.join("scripts")).unwrap().map(|entry| entry.unwrap().path());
        let scripts: Vec<_> = scripts.filter(|path| path.is_file()).collect();
        for script in &scripts {
            let name = script.file_name().unwrap().to_str().unwrap();
            let is_verb =
                VERBS.iter().any(|(.., steps)| steps.concat().iter().any(|word| word.ends_with(name)));
            let is_called = is_verb
                || read(&root.join("README.md")).contains(&format!("scripts/{name}"))
                || scripts.iter().any(|other| other != script && read(other).contains(name));
            assert!(is_called, "nothing calls scripts/{name}");
        }
    }

    #[test]
    fn every_verb_that_is_named_somewhere_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let pages = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let others =
            ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".ci/run", ".github/workflows/ci.yml"];
        let mut named = 0;
        for path in pages.chain(others.map(|name| root.join(name))) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (at, before) in text.match_indices("cargo xtask ") {
                let verb = &text[at + before.len()..];
                let verb =
                    &verb[..verb.find(|c: char| c != '-' && !c.is_ascii_lowercase() && c != '2').unwrap()];
                let is_there = VERBS.iter().any(|(name, ..)| *name == verb);
                assert!(is_there, "{} names `cargo xtask {verb}`", path.display());
                named += 1;
            }
        }
        assert!(named > 10, "{named}");
    }
}
