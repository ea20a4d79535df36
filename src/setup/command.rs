//! The command line that the client runs for each event.
//!
//! The client hands it to `/bin/sh -c`. A missing binary would be an error message at every tool call, so a guard
//! stands before it: without the binary the hook does nothing and succeeds. On Windows the client uses a shell of
//! the same kind (Git Bash), so the line is the same; that could not be tried.

use std::path::Path;

/// The name that the binary goes by.
const PROGRAM: &str = "tallyhook";

/// The line that runs `binary` as a hook, with the ledger named if it is not the usual one.
#[must_use]
pub fn registered(binary: &Path, ledger: Option<&Path>) -> String {
    let binary = quoted(&binary.to_string_lossy());
    let ledger = ledger.map(|path| format!(" --db {}", quoted(&path.to_string_lossy()))).unwrap_or_default();
    format!("[ -x {binary} ] || exit 0; exec {binary} hook{ledger}")
}

/// Quotes `text` for a POSIX shell: in double quotes where nothing in it means anything to the shell.
fn quoted(text: &str) -> String {
    if text.contains(['"', '$', '`', '\\', '!', '\n']) {
        format!("'{}'", text.replace('\'', r"'\''"))
    } else {
        format!("\"{text}\"")
    }
}

/// The binary that a command line of ours runs; `None` if the line is not ours.
///
/// Ours is a line whose last command is a program named `tallyhook` with the argument `hook`: with the guard, as
/// [`registered`] writes it and as earlier releases did, or bare, as people write it by hand.
#[must_use]
pub fn binary_of(line: &str) -> Option<String> {
    let last = line.rsplit("exit 0;").next().unwrap_or(line).trim();
    let last = last.strip_prefix("exec ").unwrap_or(last).trim_start();
    let (program, rest) = first_word(last)?;
    let is_ours = Path::new(&program)
        .file_stem()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name == PROGRAM || name.ends_with(&format!("\\{PROGRAM}")));
    let (argument, _) = first_word(rest.trim_start())?;
    (is_ours && argument == "hook").then_some(program)
}

/// The first word of a shell line, without its quotes, and what follows.
fn first_word(line: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        match c {
            '"' | '\'' => {
                let (quoted, after) = rest[1..].split_once(c)?;
                word.push_str(quoted);
                rest = after;
            }
            '\\' => {
                let mut chars = rest[1..].chars();
                word.push(chars.next()?);
                rest = chars.as_str();
            }
            c if c.is_whitespace() || c == ';' => break,
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

    #[test]
    fn our_lines_are_told_from_others() {
        for (line, binary) in [
            (
                r#"[ -x "/opt/a b/tallyhook" ] || exit 0; exec "/opt/a b/tallyhook" hook"#,
                Some("/opt/a b/tallyhook"),
            ),
            (
                r"[ -x '/opt/$x/tallyhook' ] || exit 0; exec '/opt/$x/tallyhook' hook --db '/l.db'",
                Some("/opt/$x/tallyhook"),
            ),
            ("tallyhook hook", Some("tallyhook")),
            ("/usr/bin/tallyhook hook --client codex", Some("/usr/bin/tallyhook")),
            ("tallyhook.exe hook", Some("tallyhook.exe")),
            ("tallyhook show-usage", None),
            ("my-tallyhook hook", None),
            ("echo tallyhook hook", None),
            ("/usr/bin/other hook", None),
            ("", None),
        ] {
            assert_eq!(binary_of(line).as_deref(), binary, "{line}");
        }
    }

    #[test]
    fn what_is_registered_is_recognised() {
        for path in ["/usr/bin/tallyhook", "/a b/tallyhook", "/it's/tallyhook", "/$HOME/`x`/tallyhook"] {
            for ledger in [None, Some(Path::new("/some where/l.db"))] {
                let line = registered(Path::new(path), ledger);
                assert_eq!(binary_of(&line).as_deref(), Some(path), "{line}");
            }
        }
    }
}
