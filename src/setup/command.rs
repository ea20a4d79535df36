//! The command line that the client runs for each event.
//!
//! The client hands it to `/bin/sh -c`. A missing binary would be an error message at every tool call, so a guard
//! stands before it: without the binary the hook does nothing and succeeds. On Windows the client uses a shell of
//! the same kind (Git Bash), so the line is the same; that could not be tried.

use std::path::Path;

use crate::domain::single_quoted;

/// The names that the binary goes by where people write the line themselves.
const PROGRAMS: [&str; 2] = ["tallyhook", "tallyhook.exe"];
const GUARD_START: &str = "[ -x ";
const GUARD_END: &str = " ] || exit 0; exec ";

/// A command line of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookLine {
    /// The binary that it runs.
    pub binary: String,
    /// The ledger that it names, if it names one.
    pub ledger: Option<String>,
    /// Whether it does nothing when the binary has gone.
    pub is_guarded: bool,
}

/// A status line of ours, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// The binary that it runs.
    pub binary: String,
    /// The command whose line it prints before its own.
    pub wrapped: Option<String>,
}

/// The line that runs `binary` as a hook, with the ledger named if it is not the usual one.
#[must_use]
pub fn registered(binary: &Path, ledger: Option<&Path>) -> String {
    guarded(binary, "hook", ledger)
}

/// The line that runs `binary` as the status line, below that of another command if there is one.
#[must_use]
pub fn status_line(binary: &Path, ledger: Option<&Path>, wrapped: Option<&str>) -> String {
    let wrapped = wrapped.map(|command| format!(" --wrap {}", quoted(command))).unwrap_or_default();
    guarded(binary, "statusline", ledger) + &wrapped
}

fn guarded(binary: &Path, word: &str, ledger: Option<&Path>) -> String {
    let binary = quoted(&binary.to_string_lossy());
    let ledger = ledger.map(|path| format!(" --db {}", quoted(&path.to_string_lossy()))).unwrap_or_default();
    format!("{GUARD_START}{binary}{GUARD_END}{binary} {word}{ledger}")
}

/// Quotes `text` for a POSIX shell, to the letter, for it is run: in double quotes where nothing in it means anything to the
/// shell. [`shell_word`](crate::domain::shell_word) is for what people read.
fn quoted(text: &str) -> String {
    if text.contains(['"', '$', '`', '\\', '!', '\n']) { single_quoted(text) } else { format!("\"{text}\"") }
}

/// Takes a line of ours apart; `None` if it is not ours, or is more than ours.
///
/// Ours is exactly the guarded line, whatever the binary's name, or a plain call of a program named `tallyhook` with
/// `hook` as its first argument, as people write it by hand. A line in which the shell does anything else belongs to
/// whoever wrote it.
#[must_use]
pub fn parse(line: &str) -> Option<HookLine> {
    let (binary, arguments, is_guarded) = call(line, "hook")?;
    let ledger = value(&arguments, "--db");
    Some(HookLine { binary, ledger, is_guarded })
}

/// Takes a status line of ours apart; `None` if it is not ours, or is more than ours.
#[must_use]
pub fn parse_status_line(line: &str) -> Option<StatusLine> {
    let (binary, arguments, _) = call(line, "statusline")?;
    let wrapped = value(&arguments, "--wrap");
    Some(StatusLine { binary, wrapped })
}

fn value(arguments: &[String], name: &str) -> Option<String> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).cloned()
}

/// The binary, the arguments, and whether a guard stands before it, of a line that is exactly a call of ours.
fn call(line: &str, command: &str) -> Option<(String, Vec<String>, bool)> {
    let line = line.trim();
    let (words, guard) = match line.strip_prefix(GUARD_START) {
        Some(rest) => {
            let (binary, rest) = first_word(rest)?;
            (words(rest.strip_prefix(GUARD_END)?)?, Some(binary))
        }
        None => (words(line)?, None),
    };
    let (binary, arguments) = words.split_first()?;
    let is_ours = match &guard {
        Some(guarded) => guarded == binary,
        None => Path::new(binary)
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| PROGRAMS.contains(&name)),
    };
    if !is_ours || arguments.first()? != command {
        return None;
    }
    Some((binary.clone(), arguments.to_vec(), guard.is_some()))
}

/// The words of a simple command; `None` if the shell would do more than run it.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = first_word(rest)?;
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

/// The first word of a shell line, without its quotes, and what follows; `None` if there is none, or the shell would
/// change it.
fn first_word(line: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        match c {
            '"' | '\'' => {
                let (quoted, after) = rest[1..].split_once(c)?;
                if c == '"' && quoted.contains(['$', '`', '\\']) {
                    return None;
                }
                word.push_str(quoted);
                rest = after;
            }
            '\\' => {
                let mut chars = rest[1..].chars();
                word.push(chars.next()?);
                rest = chars.as_str();
            }
            c if c.is_whitespace() => break,
            ';' | '&' | '|' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '#' | '~' | '{' => return None,
            c => {
                word.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    (!word.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary_of(line: &str) -> Option<String> {
        parse(line).map(|line| line.binary)
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
            (r#"[ -x "/a/tallyhook" ] || exit 0; exec "/b/other" hook"#, None),
            ("tallyhook hook; /usr/local/bin/notify done", None),
            ("tallyhook hook | tee -a /tmp/log", None),
            ("tallyhook hook > /dev/null", None),
            ("test -f .off && exit 0; /home/u/tallyhook.sh hook", None),
            ("/home/u/tallyhook.sh hook", None),
            ("tallyhook show-usage", None),
            ("my-tallyhook hook", None),
            ("echo tallyhook hook", None),
            ("$X/tallyhook hook", None),
            ("", None),
        ] {
            assert_eq!(binary_of(line).as_deref(), binary, "{line}");
        }
    }

    #[test]
    fn what_is_registered_is_recognised() {
        for path in
            ["/usr/bin/tallyhook", "/a b/tallyhook", "/it's/tallyhook", "/$HOME/`x`/t\"h", "/back\\slash"]
        {
            for ledger in [None, Some("/some where/l.db"), Some("/it's $x/l.db")] {
                let line = registered(Path::new(path), ledger.map(Path::new));
                let parsed = parse(&line).unwrap();
                assert_eq!(parsed.binary, path, "{line}");
                assert_eq!(parsed.ledger.as_deref(), ledger, "{line}");
                assert!(parsed.is_guarded);
            }
        }
    }
}
