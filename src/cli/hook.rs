//! `tallyhook hook`: reads stdin, hands it on, is silent unless a budget speaks.

use std::process::ExitCode;

use super::output::{Console, Passes};
use crate::env::Env;
use crate::hook::{self, Handled, HookOptions};
use crate::render;
use crate::stdin::{PATIENCE, Stdin};

/// Whether the arguments ask for the hook (and not for its help). Options may stand before the word.
pub(super) fn is_hook(args: &[String]) -> bool {
    is_command(args, "hook")
}

/// Whether the arguments ask for a command that is not left to clap.
pub(super) fn is_command(args: &[String], name: &str) -> bool {
    let mut takes_value = false;
    let command = args.iter().find(|arg| {
        let is_value = std::mem::replace(
            &mut takes_value,
            matches!(arg.as_str(), "--db" | "--config" | "--color" | "--template" | "--wrap"),
        );
        !is_value && !arg.starts_with('-')
    });
    command.is_some_and(|command| command == name)
        && !args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-h"))
}

/// The value of an option, as `--name VALUE` or `--name=VALUE`.
pub(super) fn value<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(name)? {
        "" => args.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

/// Handles one payload. The exit code is always 0: 2 would be shown to the model, anything else to the user.
pub(super) fn run(args: &[String], env: &Env, console: &Console) -> ExitCode {
    let options = HookOptions::from_args(args, env);
    hook::end_quietly_on_panic(env, &options);
    let Handled { ledger, answer } = hook::handle(Stdin::with_patience(PATIENCE), env, &options);
    if let Some(answer) = answer {
        // If nobody reads it, nobody is stopped.
        let _told = console.print(&render::harmless_json(answer), Passes::Text).is_ok();
    }
    if let Some(ledger) = ledger
        && !ledger.must_be_closed()
    {
        // The process ends here; what SQLite would put in order goes with it.
        std::mem::forget(ledger);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hook_is_found_among_its_options() {
        let is = |line: &str| is_hook(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(is("hook"));
        assert!(is("--db hook.db hook --client codex"));
        assert!(is("hook --nonsense"));
        assert!(!is("hook --help"));
        assert!(!is("--db hook show-usage"));
        assert!(!is("show-usage hook"));
        assert!(!is(""));
    }
}
