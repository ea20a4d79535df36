//! The command lines that always run: calls of `tallyhook budget`, for they are what lifts a stop.
//!
//! Whoever is stopped may try to smuggle another command past the stop. So a line is read as its shell reads it, and
//! passes only if all that it can run is `tallyhook budget`, after changes of the folder or of variables that do not
//! choose which program runs. Quotes may hold anything that means nothing to the shell. What the shell would work out
//! first (`$(…)`, backticks, parentheses, pipes, files) is refused, whether it would do harm or not.

use crate::domain::variable_length;

/// Whose rules a line is read by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shell {
    Posix,
    PowerShell,
}

impl Shell {
    /// The shell that a tool of the client runs its `command` in.
    pub(super) fn of_tool(tool: &str) -> Option<Self> {
        match tool {
            "Bash" => Some(Self::Posix),
            "PowerShell" => Some(Self::PowerShell),
            _ => None,
        }
    }
}

/// Whether `line` runs `tallyhook budget` and nothing besides.
pub(super) fn lifts(line: &str, shell: Shell) -> bool {
    // Most lines are something else, and long prompts come by.
    if line.len() > MAX_BYTES || !line.contains("budget") {
        return false;
    }
    commands(line, shell).is_some_and(|commands| {
        let sets_variables = commands.iter().any(|command| command.sets_variables(shell));
        let kinds: Option<Vec<CommandKind>> =
            commands.iter().map(|command| command.kind(shell, sets_variables)).collect();
        kinds.is_some_and(|kinds| kinds.contains(&CommandKind::Budget))
    })
}

/// Longest line that can be a call, in bytes: what is longer is not looked into.
const MAX_BYTES: usize = 64 << 10;

/// Whether a prompt is a call of `tallyhook budget`, as one would type it into any shell.
pub(super) fn is_prompt(prompt: &str) -> bool {
    [Shell::Posix, Shell::PowerShell].iter().any(|shell| lifts(prompt.trim(), *shell))
}

/// What a command that may run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommandKind {
    Budget,
    /// It changes the folder or a variable, or does nothing.
    Harmless,
}

/// A word, without its quotes.
#[derive(Debug, Default)]
struct ShellWord {
    text: String,
    /// Whether the shell puts the value of a variable in it.
    has_variable: bool,
    /// Whether a part of it was quoted.
    is_quoted: bool,
    /// Whether its first `=` stands outside of quotes and behind no quoted part.
    is_assignment: bool,
    /// Whether what follows the first `=` begins with a quote.
    has_quoted_value: bool,
}

impl ShellWord {
    /// The name and value of `NAME=value`.
    fn assigned(&self) -> Option<(&str, &str)> {
        let (name, value) = self.text.split_once('=')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_name && !name.starts_with(|c: char| c.is_ascii_digit())).then_some((name, value))
    }
}

/// Whether a variable has no say in which program runs, or in what else runs with it.
fn is_free(name: &str) -> bool {
    const CHOOSING: [&str; 9] =
        ["PATH", "PATHEXT", "IFS", "ENV", "COMSPEC", "PSMODULEPATH", "SHELLOPTS", "GCONV_PATH", "LOCPATH"];
    let name = name.to_ascii_uppercase();
    let begins = ["LD_", "DYLD_", "BASH"].iter().any(|start| name.starts_with(start));
    !begins && !CHOOSING.contains(&&*name)
}

/// The words of one command.
#[derive(Debug, Default)]
struct ShellCommand {
    words: Vec<ShellWord>,
}

impl ShellCommand {
    fn sets_variables(&self, shell: Shell) -> bool {
        match shell {
            Shell::Posix => self.words.first().is_some_and(|word| {
                word.text == "export" || (word.is_assignment && self.words.iter().all(|w| w.is_assignment))
            }),
            Shell::PowerShell => sets_env(&self.words),
        }
    }

    /// What it does; `None` if that may be anything.
    fn kind(&self, shell: Shell, variables_are_set: bool) -> Option<CommandKind> {
        let words = match shell {
            Shell::Posix => match posix_program(&self.words)? {
                [] => return Some(CommandKind::Harmless),
                words => words,
            },
            Shell::PowerShell if sets_env(&self.words) => return Some(CommandKind::Harmless),
            Shell::PowerShell => &self.words,
        };
        let (program, arguments) = words.split_first()?;
        let name = match shell {
            Shell::Posix => program.text.clone(),
            Shell::PowerShell => program.text.to_ascii_lowercase(),
        };
        let changes_folder = match shell {
            Shell::Posix => name == "cd",
            Shell::PowerShell => matches!(&*name, "cd" | "chdir" | "sl" | "set-location"),
        };
        let does_nothing = shell == Shell::Posix && matches!(&*name, "true" | ":");
        if changes_folder || does_nothing {
            return Some(CommandKind::Harmless);
        }
        (is_ours(program, variables_are_set) && is_budget(arguments)).then_some(CommandKind::Budget)
    }
}

/// The words of a POSIX command from its program on; none if it only sets variables.
fn posix_program(words: &[ShellWord]) -> Option<&[ShellWord]> {
    let set = words.iter().take_while(|word| word.is_assignment && word.assigned().is_some()).count();
    let (set, mut words) = words.split_at(set);
    if !set.iter().filter_map(ShellWord::assigned).all(|(name, _)| is_free(name)) {
        return None;
    }
    let Some(first) = words.first() else { return Some(words) };
    match first.text.as_str() {
        "export" => {
            let are_free = words[1..].iter().all(|word| {
                !word.has_variable && is_free(word.assigned().map_or(&word.text, |(name, _)| name))
            });
            return are_free.then_some(&[]);
        }
        "command" | "exec" => words = &words[1..],
        "env" | "/usr/bin/env" | "/bin/env" => words = behind_env(&words[1..])?,
        _ => {}
    }
    Some(words)
}

/// What `env` runs.
fn behind_env(mut words: &[ShellWord]) -> Option<&[ShellWord]> {
    while let [word, rest @ ..] = words {
        words = match word.text.as_str() {
            // A variable in here could be words of its own.
            _ if word.has_variable => return None,
            "-i" | "-" | "--" | "--ignore-environment" => rest,
            "-u" | "--unset" => rest.get(1..)?,
            _ => match word.assigned() {
                Some((name, _)) if is_free(name) => rest,
                Some(_) => return None,
                None => return Some(words),
            },
        };
    }
    None
}

/// Whether a PowerShell command is `$env:NAME = 'text'`. Without quotes the value would be a command.
fn sets_env(words: &[ShellWord]) -> bool {
    let variable = |text: &str| text.to_ascii_lowercase().strip_prefix("$env:").is_some_and(is_free);
    match words {
        [name, equals, value] => {
            variable(&name.text) && equals.text == "=" && value.is_quoted && !name.is_quoted
        }
        [whole] => {
            let name = whole.text.split('=').next().unwrap_or_default();
            whole.is_assignment && whole.has_quoted_value && variable(name)
        }
        _ => false,
    }
}

/// Whether a program is called `tallyhook`, wherever it lies.
fn is_ours(program: &ShellWord, variables_are_set: bool) -> bool {
    const KNOWN: [&str; 5] = ["HOME", "PWD", "CLAUDE_PROJECT_DIR", "env:LOCALAPPDATA", "env:USERPROFILE"];
    if program.has_variable {
        // Its value is the client's, unless this very line sets it.
        let mut parts = program.text.split(['/', '\\']);
        let variable = parts.next().unwrap_or_default().trim_matches(['$', '{', '}']);
        let is_known = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(variable));
        if variables_are_set || !is_known || parts.any(|part| part.contains('$')) {
            return false;
        }
    }
    let name = program.text.rsplit(['/', '\\']).next().unwrap_or_default();
    name == "tallyhook" || name.eq_ignore_ascii_case("tallyhook.exe")
}

/// Whether the arguments ask for `budget`.
fn is_budget(arguments: &[ShellWord]) -> bool {
    const VALUED: [&str; 3] = ["--db", "--config", "--color"];
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if VALUED.contains(&&*word.text) {
            words.next();
        } else if !word.text.starts_with("--") {
            return word.text == "budget";
        }
    }
    false
}

/// The commands of a line; `None` if there is anything in it that the shell would work out.
fn commands(line: &str, shell: Shell) -> Option<Vec<ShellCommand>> {
    let mut reader =
        ShellReader { rest: line.trim(), shell, command: ShellCommand::default(), commands: Vec::new() };
    while reader.step()? {}
    reader.end_command();
    Some(reader.commands)
}

struct ShellReader<'a> {
    rest: &'a str,
    shell: Shell,
    command: ShellCommand,
    commands: Vec<ShellCommand>,
}

impl<'a> ShellReader<'a> {
    /// Reads a word or what stands between words; `false` at the end.
    fn step(&mut self) -> Option<bool> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        let Some(first) = self.rest.chars().next() else { return Some(false) };
        if self.redirection() {
            return Some(true);
        }
        match first {
            '\n' | ';' => {
                self.skip(1);
                self.end_command();
            }
            '\r' if self.rest.starts_with("\r\n") => self.skip(1),
            '\r' => return None,
            '&' | '|' if self.rest.starts_with("&&") || self.rest.starts_with("||") => {
                self.skip(2);
                // A second operator where a command should be is an error that nothing of runs.
                self.end_command();
            }
            '&' if self.shell == Shell::PowerShell && self.command.words.is_empty() => self.skip(1),
            '#' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
            _ => {
                let word = self.word()?;
                self.command.words.push(word);
            }
        }
        Some(true)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn end_command(&mut self) {
        let command = std::mem::take(&mut self.command);
        if !command.words.is_empty() {
            self.commands.push(command);
        }
    }

    /// Passes over a redirection that writes no file.
    fn redirection(&mut self) -> bool {
        let (marks, nowhere): (&[&str], &[&str]) = match self.shell {
            Shell::Posix => (&["2>>", "1>>", "&>>", ">>", "2>", "1>", "&>", ">", "<"], &["/dev/null"]),
            Shell::PowerShell => (&["2>>", "*>>", ">>", "2>", "*>", ">"], &["$null", "NUL"]),
        };
        let ends = |rest: &str| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n', ';', '&', '|']);
        for whole in ["2>&1", "1>&2", ">&2"] {
            if let Some(rest) = self.rest.strip_prefix(whole).filter(|rest| ends(rest)) {
                self.rest = rest;
                return true;
            }
        }
        let target = marks.iter().find_map(|mark| self.rest.strip_prefix(mark)).map(str::trim_start);
        let rest = target.and_then(|target| nowhere.iter().find_map(|name| target.strip_prefix(name)));
        match rest.filter(|rest| ends(rest)) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<ShellWord> {
        let mut word = ShellWord::default();
        while let Some(c) = self.rest.chars().next() {
            // Another way to write a quote, to PowerShell.
            if self.shell == Shell::PowerShell && ('\u{2018}'..='\u{201f}').contains(&c) {
                return None;
            }
            match c {
                ' ' | '\t' | '\n' | '\r' | ';' => break,
                '&' | '|' if self.rest.starts_with("&&") || self.rest.starts_with("||") => break,
                '\'' | '"' => {
                    word.has_quoted_value |=
                        word.text.ends_with('=') && word.text.find('=') == Some(word.text.len() - 1);
                    word.is_quoted = true;
                    self.quoted(c, &mut word)?;
                }
                '$' => self.variable(&mut word)?,
                '\\' if self.shell == Shell::Posix => self.escaped(&mut word)?,
                '`' if self.shell == Shell::PowerShell => self.escaped(&mut word)?,
                '@' if self.shell == Shell::PowerShell && word.text.is_empty() => return None,
                '`' | '(' | ')' | '{' | '}' | '<' | '>' | '&' | '|' => return None,
                c if c.is_control() => return None,
                c => {
                    if c == '=' && !word.text.contains('=') {
                        word.is_assignment = !word.is_quoted;
                    }
                    word.text.push(c);
                    self.skip(c.len_utf8());
                }
            }
        }
        // Everything behind it goes to the program as it stands, separators too, which is hard to tell.
        (self.shell != Shell::PowerShell || word.text != "--%").then_some(word)
    }

    /// A character that has lost its meaning, or the end of a line that goes on.
    fn escaped(&mut self, word: &mut ShellWord) -> Option<()> {
        let escaped = self.rest[1..].chars().next()?;
        self.skip(1 + escaped.len_utf8());
        match escaped {
            '\n' => {}
            '\r' => return None,
            c => {
                word.is_quoted = true;
                word.text.push(c);
            }
        }
        Some(())
    }

    /// What stands in quotes, up to the closing one.
    fn quoted(&mut self, quote: char, word: &mut ShellWord) -> Option<()> {
        self.skip(1);
        loop {
            let c = self.rest.chars().next()?;
            let next = self.rest[c.len_utf8()..].chars().next();
            match (self.shell, c) {
                (Shell::PowerShell, '\u{2018}'..='\u{201b}') if quote == '\'' => return None,
                (Shell::PowerShell, '\u{201c}'..='\u{201f}') if quote == '"' => return None,
                (Shell::PowerShell, c) if c == quote && next == Some(quote) => {
                    word.text.push(quote);
                    self.skip(2);
                }
                (_, c) if c == quote => {
                    self.skip(1);
                    return Some(());
                }
                (_, '$') if quote == '"' => self.variable(word)?,
                (Shell::Posix, '`') if quote == '"' => return None,
                (Shell::Posix, '\\') | (Shell::PowerShell, '`') if quote == '"' => {
                    let is_special = self.shell == Shell::PowerShell
                        || next.is_some_and(|next| matches!(next, '$' | '`' | '"' | '\\' | '\n'));
                    if !is_special {
                        word.text.push(c);
                    }
                    self.skip(1);
                    if is_special {
                        word.text.push(next?);
                        self.skip(next?.len_utf8());
                    }
                }
                (_, c) => {
                    word.text.push(c);
                    self.skip(c.len_utf8());
                }
            }
        }
    }

    /// `$NAME` or `${NAME}`, and nothing that a shell would work out.
    fn variable(&mut self, word: &mut ShellWord) -> Option<()> {
        let is_part =
            |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == ':' && self.shell == Shell::PowerShell);
        let whole = variable_length(self.rest, is_part)?;
        word.has_variable = true;
        word.text.push_str(&self.rest[..whole]);
        self.skip(whole);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_call_budget_passes() {
        for line in [
            "tallyhook budget add 5",
            "  /usr/local/bin/tallyhook budget override --for 1h ",
            "tallyhook --db /x/l.db budget status --json",
            "tallyhook --db=/x/l.db budget clear",
            "\"/opt/bin/tallyhook\" budget set 2.50 --per day",
            "tallyhook.exe budget add 5",
            "'C:\\Program Files\\tallyhook.exe' budget add 5",
            "\"C:\\Program Files\\Tallyhook.EXE\" budget add 5",
            "C:/tools/tallyhook.exe budget add 5",
            "$HOME/.local/bin/tallyhook budget add 5",
            "\"${HOME}/.cargo/bin/tallyhook\" budget add 5",
            "~/.local/bin/tallyhook budget add 5",
            "tallyhook budget add 5 --per session --project '/x/My (app)'",
            "tallyhook budget add 5 --project '/x/a & b; c [d] #e'",
            "tallyhook budget add 5 --project \"/x/a & b; c [d] #e <f> | g\"",
            "tallyhook budget add 5 --project '/x/it'\\''s'",
            "tallyhook budget add 5 --project /x/My\\ \\(app\\)\\;",
            "tallyhook budget add 5 --project \"$CLAUDE_PROJECT_DIR\"",
            "tallyhook budget add 5 --project /x/[app]",
            "env X=1 tallyhook budget add 5",
            "/usr/bin/env -u FOO TALLYHOOK_DB='/x y/l.db' tallyhook budget add 5",
            "env TALLYHOOK_DB=\"/a;b/l.db\" /opt/tallyhook budget clear",
            "TALLYHOOK_DB=/x/l.db tallyhook budget add 5",
            "export TALLYHOOK_DB=/x/l.db && tallyhook budget add 5",
            "cd 'x y' && tallyhook budget clear",
            "cd /x; tallyhook budget clear",
            "cd \"$CLAUDE_PROJECT_DIR\" && env A=b tallyhook budget add 5 && tallyhook budget status",
            "tallyhook budget add 5 2>&1",
            "tallyhook budget add 5 >/dev/null 2>&1 || true",
            "tallyhook budget add 5 # lift the stop",
            "# lift the stop\ntallyhook budget add 5\n",
            "tallyhook budget add 5 \\\n  --per day",
            "command tallyhook budget add 5",
        ] {
            assert!(lifts(line, Shell::Posix), "{line}");
        }
        for line in [
            "tallyhook budget add 5",
            "& \"C:\\Program Files (x86)\\tallyhook.exe\" budget add 5",
            "& 'C:\\tallyhook.exe' budget add 5 --project 'C:\\My (app); it''s #1'",
            ".\\tallyhook.exe budget add 5",
            "C:\\tools\\tallyhook budget add 5",
            "& \"$env:LOCALAPPDATA\\tallyhook\\tallyhook.exe\" budget add 5",
            "tallyhook budget add 5 --project \"C:\\a & b [c]\"",
            "tallyhook budget add 5 --project \"C:\\it's (1)\"",
            "tallyhook budget add 5 --project \"C:\\it\u{2019}s (1)\"",
            "Set-Location 'C:\\x y'; tallyhook budget clear",
            "cd \"C:\\x (y)\" && tallyhook.exe budget clear",
            "$env:TALLYHOOK_DB = 'C:\\l.db'; tallyhook budget add 5",
            "$env:TALLYHOOK_DB='C:\\l.db'; tallyhook budget add 5",
            "tallyhook budget status 2>$null",
            "tallyhook budget add 5 `\n  --per day",
        ] {
            assert!(lifts(line, Shell::PowerShell), "{line}");
        }
    }

    #[test]
    fn nothing_else_gets_past_a_stop() {
        for line in [
            "tallyhook show-usage",
            "tallyhook budget add 5; rm -rf /",
            "tallyhook budget status; rm -rf x",
            "tallyhook budget add 5 && make",
            "tallyhook budget add 5 & make",
            "tallyhook budget add 5 || make",
            "tallyhook budget add $(make)",
            "tallyhook budget add \"$(make)\"",
            "tallyhook budget add `make`",
            "tallyhook budget add \"`make`\"",
            "tallyhook budget add ${X:-$(make)}",
            "tallyhook budget status | sh",
            "tallyhook budget status > /x/precious",
            "tallyhook budget status >/dev/null/../x",
            "tallyhook budget status 2>/dev/sda",
            "tallyhook budget status < /x",
            "tallyhook budget status <(make)",
            "tallyhook budget status\nmake",
            "tallyhook budget status # no comment\nmake",
            "tallyhook budget add 5 --project 'x' ; make '",
            "tallyhook budget add 5 --project 'it's; make '",
            "tallyhook budget add 5 --project \"a\\\\\"; make \"b\"",
            "tallyhook budget add 5 --project 'unclosed",
            "(tallyhook budget add 5)",
            "{ tallyhook budget add 5; }",
            "make; tallyhook budget add 5",
            "cd x && make && tallyhook budget clear",
            "cd \"$(make)\" && tallyhook budget clear",
            "cd x",
            "env X=1 make",
            "env X=1",
            "env -S 'make' tallyhook budget add 5",
            "env X=$Y tallyhook budget add 5",
            "env PATH=./evil tallyhook budget add 5",
            "PATH=./evil:$PATH tallyhook budget add 5",
            "PATH=./evil; tallyhook budget add 5",
            "export PATH=./evil && tallyhook budget add 5",
            "LD_PRELOAD=./evil.so tallyhook budget add 5",
            "env 'DYLD_INSERT_LIBRARIES=x' tallyhook budget add 5",
            "export X='rm -rf x'; $X/tallyhook budget add 5",
            "$X/tallyhook budget add 5",
            "'X=/tallyhook' tallyhook budget add 5",
            "my-tallyhook budget add 5",
            "tallyhook.sh budget add 5",
            "a\\tallyhook budget add 5",
            "tallyhook --db budget hook",
            "please run tallyhook budget add 5",
            "exec 3>x tallyhook budget add 5",
            "! tallyhook budget add 5; make",
            "",
        ] {
            assert!(!lifts(line, Shell::Posix), "{line}");
        }
        for line in [
            "tallyhook budget add 5; Remove-Item x",
            "tallyhook budget add 5 | Out-File x",
            "tallyhook budget add 5 & make",
            "tallyhook budget add (make)",
            "tallyhook budget add \"$(make)\"",
            "tallyhook budget add @(make)",
            "tallyhook budget add {make}",
            "tallyhook budget add 5 > x",
            "tallyhook budget add \"a\u{201d}; make; \u{201c}b\"",
            "tallyhook budget add \u{2018}a; make\u{2019}",
            "tallyhook budget add 'a\u{2019}; make; \u{2018}b'",
            "tallyhook budget add --% ; make",
            "tallyhook budget add 'a'; make; 'b'",
            "tallyhook budget add \"a``\"; make; \"b\"",
            "$env:PATH = 'x'; tallyhook budget add 5",
            "$env:X = make; tallyhook budget add 5",
            "$env:X=make; tallyhook budget add 5",
            "$x = 'C:\\evil'; & \"$x\\tallyhook.exe\" budget add 5",
            "& make; tallyhook budget add 5",
            "iex 'tallyhook budget add 5'",
        ] {
            assert!(!lifts(line, Shell::PowerShell), "{line}");
        }
    }

    #[test]
    fn a_prompt_is_a_call_or_not() {
        assert!(is_prompt(" tallyhook budget add 5\n"));
        assert!(is_prompt("& \"C:\\x (y)\\tallyhook.exe\" budget add 5"));
        assert!(!is_prompt("please run tallyhook budget add 5"));
        assert!(!is_prompt("tallyhook budget add 5; then go on"));
    }

    proptest! {
        #[test]
        fn what_we_propose_for_any_project_passes(project in "[^\\p{Cc}]{1,30}") {
            let word = crate::domain::shell_word(&project);
            let line = format!("tallyhook budget add 5 --project {word}");
            prop_assert!(lifts(&line, Shell::Posix), "{line}");
        }

        #[test]
        fn what_we_propose_for_a_project_with_quotes_passes_in_each_shell(
            project in "(C:)?[a-z ();&#'\u{2019}/]{0,20}['\u{2018}][a-z (]{1,9}"
        ) {
            let word = crate::domain::shell_word(&project);
            for shell in [Shell::Posix, Shell::PowerShell] {
                let line = format!("tallyhook budget add 5 --project {word}");
                prop_assert!(lifts(&line, shell), "{shell:?} {line}");
            }
        }

        #[test]
        fn any_line_is_read_without_a_fault(line in "\\PC{0,60}") {
            let _lifts = is_prompt(&line);
        }
    }
}
