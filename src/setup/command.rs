//! The command that the client runs for each event.
//!
//! The client hands a command line to `/bin/sh -c`. A missing binary, or one that is not for this machine, would be an
//! error message at every tool call, so a guard stands around it: where the binary does not start, the line does nothing
//! and succeeds. In a file that others share the line names no path of this machine: it looks for `tallyhook` where
//! commands are looked for. On Windows the client uses a shell of the same kind (Git Bash), so the line is the same; that
//! could not be tried.
//!
//! With `args` beside it a command is run without a shell. People write such lines by hand; they are known again too.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::domain::{Client, is_plain_word, single_quoted, variable_length};
use crate::hook::manifest::{GUARD_END, GUARD_START, SEARCH};

/// What the binary is called where people write the line themselves; releases have the system's name behind a hyphen.
const PROGRAM: &str = "tallyhook";
/// What stands before a line that brings its own shell.
const SHELL: &str = "exec /bin/sh -c ";
/// The option that names the client.
const CLIENT: &str = "--client";
/// The guards of earlier releases.
const OLD_GUARD: (&str, &str) = ("[ -x ", " ] || exit 0; exec ");
const OLD_SEARCH: &str = "for t in \"$(command -v tallyhook)\" \"$HOME/.cargo/bin/tallyhook\" \
    \"$HOME/.local/bin/tallyhook\"; do [ -x \"$t\" ] && exec \"$t\" hook; done; exit 0";

/// What a line is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The binary at this path.
    At(PathBuf),
    /// The one that is found on the `PATH`, or where installers put it.
    OnPath,
    /// Whatever it runs already.
    AsItIs,
}

/// What a line is to be brought to. What it does not name stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The binary.
    pub program: Program,
    /// The client that the hook is for, if it is to be named.
    pub client: Option<Client>,
    /// The ledger, if another one is to be named.
    pub ledger: Option<PathBuf>,
    /// The settings file, if another one is to be named.
    pub config: Option<PathBuf>,
    /// Whether the client hands the line to whatever shell the user has, be it one that is not like `/bin/sh`.
    pub is_for_any_shell: bool,
}

/// A command as a settings file has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegisteredCommand {
    /// A line for the shell; with `args` the program.
    pub command: String,
    /// The arguments, if no shell is to run it.
    pub args: Option<Vec<String>>,
}

/// What stands around a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    None,
    /// It does nothing where there is no file that could be run.
    Old,
    /// It does nothing, too, where the file does not run.
    Current,
    /// Without a shell there can be none.
    NoShell,
}

/// A call of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The binary that it runs.
    pub binary: String,
    /// The words behind it, without their quotes.
    pub arguments: Vec<String>,
    /// The binary and the words behind it as they are written.
    written_binary: String,
    tail: String,
    guard: Guard,
    /// Whether a variable is part of the binary's path: then the line suits more than one machine.
    is_portable: bool,
    /// Whether the line brings its own shell.
    has_shell: bool,
}

impl Call {
    /// The ledger that it names, if it names one, as it is written: no shell may have expanded it.
    #[must_use]
    pub fn ledger(&self) -> Option<&str> {
        value(&self.arguments, "--db")
    }

    /// The settings file that it names.
    #[must_use]
    pub fn config(&self) -> Option<&str> {
        value(&self.arguments, "--config")
    }

    /// The status line whose output it puts before its own.
    #[must_use]
    pub fn wrapped(&self) -> Option<&str> {
        value(&self.arguments, "--wrap")
    }

    /// Whether it does nothing, and succeeds, where the binary does not run. Without a shell nothing can see to that.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        matches!(self.guard, Guard::Current | Guard::NoShell)
    }

    /// Whether it names a path of this machine.
    #[must_use]
    pub fn names_a_path(&self) -> bool {
        !self.is_portable && Path::new(&self.binary).components().count() > 1
    }
}

impl RegisteredCommand {
    /// A line for the shell.
    #[must_use]
    pub fn line(command: impl Into<String>) -> Self {
        Self { command: command.into(), args: None }
    }

    /// The hook's command where none is registered yet.
    #[must_use]
    pub fn hook(target: &Target) -> Self {
        let line = guarded(&target.program, &with_options("hook", target));
        Self::line(if target.is_for_any_shell { with_shell(&line) } else { line })
    }

    /// The status line's, below another one if there is one.
    #[must_use]
    pub fn status_line(target: &Target, wrapped: Option<&str>) -> Self {
        let wrapped = wrapped.map(|command| format!(" --wrap {}", quoted(command))).unwrap_or_default();
        Self::line(guarded(&target.program, &(with_options("statusline", target) + &wrapped)))
    }

    /// Takes a hook of ours apart; `None` if it is not ours, or is more than ours.
    ///
    /// Ours is exactly the guarded line, whatever the binary's name, or a plain call of a program named `tallyhook`, as
    /// people write it by hand. A line in which the shell does anything else belongs to whoever wrote it.
    #[must_use]
    pub fn as_hook(&self) -> Option<Call> {
        self.call("hook")
    }

    /// Takes a status line of ours apart.
    #[must_use]
    pub fn as_status_line(&self) -> Option<Call> {
        self.call("statusline")
    }

    /// The command with what `target` says, and everything else that the user has put in it. Where nothing has to be
    /// changed it comes back to the letter.
    #[must_use]
    pub fn renewed(&self, call: &Call, target: &Target) -> Self {
        match &self.args {
            Some(args) => self.renewed_without_shell(args, call, target),
            None => {
                let tail = with_options(&call.tail, target);
                let line = match &target.program {
                    // It suits other machines as it is.
                    _ if call.is_portable => {
                        format!("{GUARD_START}{} {tail}{GUARD_END}", call.written_binary)
                    }
                    Program::AsItIs if call.names_a_path() => {
                        guarded(&Program::At(PathBuf::from(&call.binary)), &tail)
                    }
                    Program::AsItIs => guarded(&Program::OnPath, &tail),
                    program => guarded(program, &tail),
                };
                Self::line(if target.is_for_any_shell || call.has_shell { with_shell(&line) } else { line })
            }
        }
    }

    fn renewed_without_shell(&self, args: &[String], call: &Call, target: &Target) -> Self {
        let mut args = args.to_vec();
        for (name, given) in target.options() {
            match args.iter().position(|arg| arg == name).filter(|at| at + 1 < args.len()) {
                Some(at) => args[at + 1] = given,
                None => {
                    args.retain(|arg| !arg.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
                    args.extend([name.to_owned(), given]);
                }
            }
        }
        let command = match &target.program {
            Program::At(path) if !call.is_portable => path.to_string_lossy().into_owned(),
            Program::OnPath if call.names_a_path() => {
                // It would be an error on every machine that has no such path; only a shell can guard it.
                let words: Vec<String> = args.iter().map(|arg| word(arg)).collect();
                return Self::line(guarded(&Program::OnPath, &words.join(" ")));
            }
            _ => self.command.clone(),
        };
        Self { command, args: Some(args) }
    }

    fn call(&self, command: &str) -> Option<Call> {
        let call = match &self.args {
            Some(args) => Call {
                binary: self.command.clone(),
                arguments: args.clone(),
                written_binary: String::new(),
                tail: String::new(),
                guard: Guard::NoShell,
                is_portable: self.command.contains('$'),
                has_shell: false,
            },
            None => call_of_line(self.command.trim())?,
        };
        let is_named_so = matches!(call.guard, Guard::Old | Guard::Current) || is_our_name(&call.binary);
        (is_named_so && asked(&call.arguments)? == command).then_some(call)
    }
}

impl Target {
    /// The options that are to be named, with their values.
    fn options(&self) -> impl Iterator<Item = (&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let client = self.client.map(|client| client.name().to_owned());
        [(CLIENT, client), ("--db", path(&self.ledger)), ("--config", path(&self.config))]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Whether a program is named as ours is.
fn is_our_name(program: &str) -> bool {
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name);
    name == PROGRAM || name.strip_prefix(PROGRAM).is_some_and(|rest| rest.starts_with('-'))
}

/// The command among the arguments.
fn asked(arguments: &[String]) -> Option<&str> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--db" | "--config" | "--color" => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => return Some(word),
        }
    }
    None
}

/// The value of an option, as `--name VALUE` or `--name=VALUE`.
fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(at, argument)| match argument.strip_prefix(name)? {
        "" => arguments.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

fn guarded(program: &Program, tail: &str) -> String {
    match program {
        Program::At(binary) => {
            format!("{GUARD_START}{} {tail}{GUARD_END}", quoted(&binary.to_string_lossy()))
        }
        Program::OnPath | Program::AsItIs => format!("{SEARCH}{GUARD_START}{PROGRAM} {tail}{GUARD_END}"),
    }
}

/// The words with the options that `target` names, in place of what they said before.
fn with_options(tail: &str, target: &Target) -> String {
    target.options().fold(tail.to_owned(), |tail, (name, given)| {
        // A client's name is no path, and needs no quotes.
        let named = format!("{name} {}", if name == CLIENT { given } else { quoted(&given) });
        let words = words(&tail).unwrap_or_default();
        let found = words.iter().enumerate().find_map(|(at, found)| match found.text.strip_prefix(name)? {
            "" => Some(found.at.start..words.get(at + 1)?.at.end),
            rest => rest.starts_with('=').then(|| found.at.clone()),
        });
        match found {
            Some(range) => format!("{}{named}{}", &tail[..range.start], &tail[range.end..]),
            None => format!("{tail} {named}"),
        }
    })
}

/// Quotes `text` for a POSIX shell, to the letter, for it is run: in double quotes where nothing in it means anything to the
/// shell. [`shell_word`](crate::domain::shell_word) is for what people read.
fn quoted(text: &str) -> String {
    if text.contains(['"', '$', '`', '\\', '!', '\n']) { single_quoted(text) } else { format!("\"{text}\"") }
}

/// `text` as one word of a POSIX shell line that is run, [quoted] only where that is needed.
fn word(text: &str) -> String {
    if is_plain_word(text) { text.to_owned() } else { quoted(text) }
}

/// A guarded line for shells that have another grammar than `/bin/sh`, such as fish, or that leave with an error where `exec`
/// fails whatever the guard says, such as zsh.
fn with_shell(line: &str) -> String {
    format!("{SHELL}{}", single_quoted(line))
}

fn call_of_line(line: &str) -> Option<Call> {
    if let Some(rest) = line.strip_prefix(SHELL) {
        let inner = first_word(rest, 0).filter(|word| word.at.end == rest.len() && !word.has_variable)?;
        let call =
            call_of_line(&inner.text).filter(|call| call.guard == Guard::Current && !call.has_shell)?;
        return Some(Call { has_shell: true, ..call });
    }
    if line == OLD_SEARCH {
        return Some(Call {
            binary: PROGRAM.to_owned(),
            arguments: vec!["hook".to_owned()],
            written_binary: PROGRAM.to_owned(),
            tail: "hook".to_owned(),
            guard: Guard::Old,
            is_portable: false,
            has_shell: false,
        });
    }
    let (inner, guard, guarded) = if let Some(rest) = line.strip_prefix(OLD_GUARD.0) {
        let first = first_word(rest, 0)?;
        (rest[first.at.end..].strip_prefix(OLD_GUARD.1)?, Guard::Old, Some(first.text))
    } else {
        let searched = line.strip_prefix(SEARCH);
        match searched.unwrap_or(line).strip_prefix(GUARD_START) {
            Some(rest) => (rest.strip_suffix(GUARD_END)?, Guard::Current, None),
            None => (line, Guard::None, None),
        }
    };
    let words = words(inner)?;
    let (binary, arguments) = words.split_first()?;
    if guarded.is_some_and(|guarded| guarded != binary.text) {
        return None;
    }
    let start = arguments.first()?.at.start;
    Some(Call {
        binary: binary.text.clone(),
        arguments: arguments.iter().map(|word| word.text.clone()).collect(),
        written_binary: inner[binary.at.clone()].to_owned(),
        tail: inner[start..].trim_end().to_owned(),
        guard,
        is_portable: binary.has_variable,
        has_shell: false,
    })
}

/// A word of a shell line, without its quotes. Variables in it stand as they are written.
struct Word {
    text: String,
    /// Where it stands in the line.
    at: Range<usize>,
    has_variable: bool,
}

/// The words of a simple command; `None` if the shell would do more than put variables into it and run it.
fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at += line[at..].len() - line[at..].trim_start().len();
        if at == line.len() {
            return Some(words);
        }
        let word = first_word(line, at)?;
        at = word.at.end;
        words.push(word);
    }
}

/// The word that starts at `start`; `None` if there is none, or the shell would work something out for it.
fn first_word(line: &str, start: usize) -> Option<Word> {
    let mut word = Word { text: String::new(), at: start..start, has_variable: false };
    let mut rest = &line[start..];
    let (mut is_quoted, mut has_quotes) = (false, false);
    while let Some(c) = rest.chars().next() {
        match c {
            '"' => {
                (is_quoted, has_quotes) = (!is_quoted, true);
                rest = &rest[1..];
            }
            '\'' if !is_quoted => {
                let (inner, after) = rest[1..].split_once('\'')?;
                word.text.push_str(inner);
                (rest, has_quotes) = (after, true);
            }
            '\\' => {
                let next = rest[1..].chars().next()?;
                if is_quoted && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.text.push('\\');
                }
                word.text.push(next);
                rest = &rest[1 + next.len_utf8()..];
            }
            '$' => {
                let whole = variable_length(rest, |c| c.is_ascii_alphanumeric() || c == '_')?;
                word.has_variable = true;
                word.text.push_str(&rest[..whole]);
                rest = &rest[whole..];
            }
            '`' => return None,
            _ if is_quoted => {
                word.text.push(c);
                rest = &rest[c.len_utf8()..];
            }
            c if c.is_whitespace() => break,
            '~' if word.text.is_empty() => {
                word.has_variable = true;
                word.text.push(c);
                rest = &rest[1..];
            }
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '*' | '?' | '#' | '{' => return None,
            c => {
                word.text.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    word.at.end = line.len() - rest.len();
    (!is_quoted && (has_quotes || !word.text.is_empty())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Option<Call> {
        RegisteredCommand::line(line).as_hook()
    }

    fn target(program: Program) -> Target {
        Target { program, client: None, ledger: None, config: None, is_for_any_shell: false }
    }

    fn at(path: &str) -> Target {
        target(Program::At(path.into()))
    }

    #[test]
    fn our_lines_are_told_from_others() {
        for (line, binary) in [
            (
                r#"[ -x "/opt/a b/tallyhook" ] || exit 0; exec "/opt/a b/tallyhook" hook"#,
                Some("/opt/a b/tallyhook"),
            ),
            (
                r#"[ -x "/x/tallyhook-linux-x64" ] || exit 0; exec "/x/tallyhook-linux-x64" hook"#,
                Some("/x/tallyhook-linux-x64"),
            ),
            ("tallyhook hook", Some("tallyhook")),
            ("/usr/bin/tallyhook hook --client codex", Some("/usr/bin/tallyhook")),
            ("tallyhook.exe hook", Some("tallyhook.exe")),
            ("/x/tallyhook-linux-x64 hook", Some("/x/tallyhook-linux-x64")),
            ("tallyhook --db /x/l.db hook", Some("tallyhook")),
            ("tallyhook hook --db \"$HOME/l.db\"", Some("tallyhook")),
            ("tallyhook hook --db ~/l.db --config=${XDG_CONFIG_HOME}/t.toml", Some("tallyhook")),
            ("~/.cargo/bin/tallyhook hook", Some("~/.cargo/bin/tallyhook")),
            ("\"$CLAUDE_PROJECT_DIR\"/bin/tallyhook hook", Some("$CLAUDE_PROJECT_DIR/bin/tallyhook")),
            (OLD_SEARCH, Some("tallyhook")),
            (r#"[ -x "/a/tallyhook" ] || exit 0; exec "/b/other" hook"#, None),
            ("tallyhook hook; /usr/local/bin/notify done", None),
            ("tallyhook hook | tee -a /tmp/log", None),
            ("tallyhook hook > /dev/null", None),
            ("tallyhook hook --db $(mktemp)", None),
            ("tallyhook hook --db ${X:-y}", None),
            ("test -f .off && exit 0; /home/u/tallyhook.sh hook", None),
            ("/home/u/tallyhook.sh hook", None),
            ("tallyhook show-usage", None),
            ("tallyhook --db hook show-usage", None),
            ("my-tallyhook hook", None),
            ("echo tallyhook hook", None),
            ("tallyhook \"hook", None),
            ("", None),
        ] {
            assert_eq!(call(line).map(|call| call.binary).as_deref(), binary, "{line}");
        }
    }

    #[test]
    fn what_is_registered_is_recognised() {
        for path in
            ["/usr/bin/tallyhook", "/a b/tallyhook", "/it's/tallyhook", "/$HOME/`x`/t\"h", "/back\\slash"]
        {
            for ledger in [None, Some("/some where/l.db"), Some("/it's $x/l.db")] {
                let target = Target { ledger: ledger.map(PathBuf::from), ..at(path) };
                let command = RegisteredCommand::hook(&target);
                let parsed = command.as_hook().unwrap();
                assert_eq!(parsed.binary, path, "{command:?}");
                assert_eq!(parsed.ledger(), ledger, "{command:?}");
                assert!(parsed.is_guarded() && parsed.names_a_path());
                assert_eq!(command.renewed(&parsed, &target), command);
                assert_eq!(command.renewed(&parsed, &self::target(Program::AsItIs)), command);
            }
        }
        let command = RegisteredCommand::hook(&target(Program::OnPath));
        let parsed = command.as_hook().unwrap();
        assert!(parsed.binary == "tallyhook" && parsed.is_guarded() && !parsed.names_a_path());
        assert_eq!(command.renewed(&parsed, &target(Program::AsItIs)), command);
    }

    #[test]
    fn a_line_for_any_shell_is_recognised_and_stays_one() {
        for ledger in [None, Some("/it's a $x/l.db")] {
            let target = Target {
                client: Some(Client::Codex),
                ledger: ledger.map(PathBuf::from),
                is_for_any_shell: true,
                ..target(Program::OnPath)
            };
            let command = RegisteredCommand::hook(&target);
            let parsed = command.as_hook().unwrap();
            assert_eq!((parsed.binary.as_str(), parsed.ledger()), ("tallyhook", ledger), "{command:?}");
            assert!(parsed.is_guarded() && !parsed.names_a_path());
            for again in [&target, &self::target(Program::AsItIs)] {
                assert_eq!(command.renewed(&parsed, again), command);
            }
            // A line without its own shell gets one.
            let plain = RegisteredCommand::line("tallyhook hook");
            assert_eq!(plain.renewed(&plain.as_hook().unwrap(), &target), command);
        }
        for foreign in [
            "exec /bin/sh -c 'tallyhook hook'",
            "exec /bin/sh -c 'echo tallyhook hook' x",
            "exec /bin/sh -c \"$LINE\"",
            "exec /bin/sh -c ",
        ] {
            assert!(call(foreign).is_none(), "{foreign}");
        }
    }

    #[test]
    fn a_renewed_line_keeps_the_arguments_that_were_put_in_it() {
        let renewed = |line: &str, target: &Target| {
            let command = RegisteredCommand::line(line);
            command.renewed(&command.as_hook().unwrap(), target).command
        };
        let guarded = |inner: &str| format!("{GUARD_START}{inner}{GUARD_END}");
        for (line, inner) in [
            ("/old/tallyhook hook --config /etc/team/t.toml", "\"/x/t\" hook --config /etc/team/t.toml"),
            (
                "tallyhook hook  --db '/srv/my db'  --new-option 5",
                "\"/x/t\" hook  --db '/srv/my db'  --new-option 5",
            ),
            ("tallyhook --color never hook", "\"/x/t\" --color never hook"),
            (
                r#"[ -x "/y/t" ] || exit 0; exec "/y/t" hook --db "$HOME/l.db""#,
                "\"/x/t\" hook --db \"$HOME/l.db\"",
            ),
        ] {
            assert_eq!(renewed(line, &at("/x/t")), guarded(inner));
        }
        // What suits every machine as it is stays so.
        let own = "\"$CLAUDE_PROJECT_DIR\"/bin/tallyhook hook --template ''";
        assert_eq!(renewed(own, &at("/x/t")), guarded(own));
        let with_db = Target { ledger: Some("/l".into()), ..at("/x/t") };
        for (line, tail) in [
            ("tallyhook hook --db /old --client codex", "hook --db \"/l\" --client codex"),
            ("tallyhook hook --db=/old", "hook --db \"/l\""),
            ("tallyhook hook", "hook --db \"/l\""),
        ] {
            assert_eq!(renewed(line, &with_db), guarded(&format!("\"/x/t\" {tail}")));
        }
        assert_eq!(renewed(own, &with_db), guarded(&format!("{own} --db \"/l\"")));
        assert_eq!(
            renewed("/home/me/bin/tallyhook hook --db /d", &target(Program::OnPath)),
            format!("{SEARCH}{}", guarded("tallyhook hook --db /d"))
        );
    }

    #[test]
    fn a_command_without_a_shell_is_recognised_and_stays_one() {
        let command = |program: &str, args: &[&str]| RegisteredCommand {
            command: program.to_owned(),
            args: Some(args.iter().map(|arg| (*arg).to_owned()).collect()),
        };
        let found = command("/old/tallyhook", &["hook", "--db", "~/l.db"]);
        let call = found.as_hook().unwrap();
        assert_eq!((call.ledger(), call.is_guarded()), (Some("~/l.db"), true));
        assert_eq!(found.renewed(&call, &at("/x/t")), command("/x/t", &["hook", "--db", "~/l.db"]));
        assert_eq!(found.renewed(&call, &target(Program::AsItIs)), found);
        let given = Target { ledger: Some("/l".into()), config: Some("/c".into()), ..at("/x/t") };
        assert_eq!(found.renewed(&call, &given), command("/x/t", &["hook", "--db", "/l", "--config", "/c"]));
        // In a shared file a path of this machine is no use, and an error where it is not.
        assert_eq!(
            found.renewed(&call, &target(Program::OnPath)).command,
            format!("{SEARCH}{GUARD_START}tallyhook hook --db \"~/l.db\"{GUARD_END}")
        );
        for foreign in
            [command("/x/other", &["hook"]), command("tallyhook", &["cost"]), command("tallyhook", &[])]
        {
            assert_eq!(foreign.as_hook(), None, "{foreign:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_line_whose_binary_does_not_run_succeeds_in_silence() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("tallyhook");
        let target = at(other.to_str().unwrap());
        let contents: [Option<&[u8]>; 4] =
            [None, Some(b"\x7fELF\x02\x01\x01other machine"), Some(b"#!/nowhere/at/all\n"), Some(b"")];
        for content in contents {
            if let Some(content) = content {
                std::fs::write(&other, content).unwrap();
                std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            for program in [target.program.clone(), Program::OnPath] {
                let command = RegisteredCommand::hook(&self::target(program));
                for shell in ["sh", "dash", "bash", "busybox"] {
                    let mut shell_command = std::process::Command::new(shell);
                    if shell == "busybox" {
                        shell_command.arg("sh");
                    }
                    let ran = shell_command
                        .args(["-c", &command.command])
                        .env_clear()
                        .env("PATH", dir.path())
                        .env("HOME", dir.path())
                        .stdin(std::process::Stdio::null())
                        .output();
                    // Not every machine has every shell.
                    let Ok(ran) = ran else { continue };
                    assert_eq!(ran.status.code(), Some(0), "{shell} {content:?}: {ran:?}");
                    assert!(ran.stdout.is_empty() && ran.stderr.is_empty(), "{shell} {content:?}: {ran:?}");
                }
            }
        }
    }
}
