//! `tallyhook statusline`: prints one line and never fails the client.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::hook::{is_command, value};
use super::output::{Console, Passes};
use crate::child::{Running, Take};
use crate::env::Env;
use crate::error::Error;
use crate::platform;
use crate::statusline;
use crate::stdin::{Stdin, read_object};

/// More than any payload has.
const MAX_BYTES: usize = 1 << 20;
/// How long the client may take to say what is to be shown.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the wrapped status line may take. The client itself gives up at its next message.
const WRAPPED_PATIENCE: Duration = Duration::from_secs(3);
/// For whoever starts it by hand.
const BY_HAND: &str = "`tallyhook statusline` reads from stdin the JSON that Claude Code sends\n\
    set it up with: tallyhook init --statusline\n\
    or try it with: echo '{\"model\":{\"display_name\":\"Opus\"}}' | tallyhook statusline";

/// Whether the arguments ask for the status line (and not for its help).
pub(super) fn is_statusline(args: &[String]) -> bool {
    is_command(args, "statusline")
}

/// Prints the wrapped line and ours. The exit code is 0, for the client shows no line otherwise; from a terminal, where it is
/// not the client that asks, that of wrong usage.
pub(super) fn run(args: &[String], env: &Env, console: &Console) -> ExitCode {
    if console.is_stdin_typed() {
        let error = Error::Usage { what: BY_HAND.to_owned() };
        console.tell(&format!("tallyhook: {error}\n"), Passes::Text);
        return ExitCode::from(error.exit_code());
    }
    // A fault leaves the line empty.
    std::panic::set_hook(Box::new(|_| std::process::exit(0)));
    let bytes = read_object(&mut Stdin::with_patience(PATIENCE), MAX_BYTES);
    let wrapped = value(args, "--wrap").and_then(|command| {
        Running::start(platform::shell(command), bytes.clone(), Take::Output, WRAPPED_PATIENCE).ok()
    });
    let path = value(args, "--db")
        .map(|path| env.cwd().join(env.expand(Path::new(path))))
        .or_else(|| env.ledger_path());
    let text = String::from_utf8_lossy(&bytes);
    let (line, ledger) = statusline::line(&text, env, path.as_deref(), value(args, "--template"));
    let mut out = wrapped.map(above).unwrap_or_default();
    out.push_str(&line);
    out.push('\n');
    // If the client has closed it, there is nobody to tell.
    let _written = console.print(&out, Passes::AnyColours).is_ok();
    // The process ends here; what SQLite would put in order goes with it.
    std::mem::forget(ledger);
    ExitCode::SUCCESS
}

/// What the wrapped status line has printed, with a newline at the end.
fn above(wrapped: Running) -> String {
    let output = wrapped.finish().output;
    let text = String::from_utf8_lossy(&output);
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}
