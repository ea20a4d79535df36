//! `tallyhook statusline`: prints one line and never fails the client.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::hook::{is_command, value};
use crate::env::Env;
use crate::error::Error;
use crate::platform;
use crate::statusline;

/// More than any payload has.
const MAX_BYTES: u64 = 1 << 20;
/// How long the wrapped status line may take. The client itself gives up at its next message.
const WRAPPED_TIMEOUT: Duration = Duration::from_secs(3);
/// For whoever starts it by hand.
const BY_HAND: &str = "statusline reads what Claude Code gives a status line, as JSON on stdin\n\
    set it up with: tallyhook init --statusline\n\
    or try it with: echo '{\"model\":{\"display_name\":\"Opus\"}}' | tallyhook statusline";

/// Whether the arguments ask for the status line (and not for its help).
pub(super) fn is_statusline(args: &[String]) -> bool {
    is_command(args, "statusline")
}

/// Prints the wrapped line and ours. The exit code is 0, for the client shows no line otherwise; from a terminal, where it is
/// not the client that asks, that of wrong usage.
pub(super) fn run(args: &[String], env: &Env) -> ExitCode {
    if std::io::stdin().is_terminal() {
        let error = Error::Usage { what: BY_HAND.to_owned() };
        let _told = writeln!(std::io::stderr(), "tallyhook: {error}").is_ok();
        return error.exit_code();
    }
    // A fault leaves the line empty.
    std::panic::set_hook(Box::new(|_| std::process::exit(0)));
    let mut bytes = Vec::with_capacity(4_096);
    if let Ok(stdin) = platform::stdin() {
        let _complete = stdin.take(MAX_BYTES).read_to_end(&mut bytes).is_ok();
    }
    let wrapped = value(args, "--wrap").and_then(|command| Wrapped::start(command, &bytes));
    let path = value(args, "--db")
        .map(|path| env.cwd().join(env.expand(Path::new(path))))
        .or_else(|| env.ledger_path());
    let text = String::from_utf8_lossy(&bytes);
    let (line, ledger) = statusline::line(&text, env, path.as_deref(), value(args, "--template"));
    let mut out = wrapped.map(Wrapped::finish).unwrap_or_default();
    out.push_str(&line);
    out.push('\n');
    // If the client has closed it, there is nobody to tell.
    let _written = std::io::stdout().lock().write_all(out.as_bytes()).is_ok();
    // The process ends here; what SQLite would put in order goes with it.
    std::mem::forget(ledger);
    ExitCode::SUCCESS
}

/// Somebody else's status line, at work.
struct Wrapped {
    child: Child,
    output: Receiver<Vec<u8>>,
}

impl Wrapped {
    fn start(command: &str, stdin: &[u8]) -> Option<Self> {
        let mut child = platform::shell(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (mut input, mut output) = (child.stdin.take()?, child.stdout.take()?.take(MAX_BYTES));
        let stdin = stdin.to_vec();
        std::thread::spawn(move || input.write_all(&stdin).is_ok());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _complete = output.read_to_end(&mut bytes).is_ok();
            sender.send(bytes).is_ok()
        });
        Some(Self { child, output: receiver })
    }

    /// What it has printed, with a newline at the end; nothing if it is too slow.
    fn finish(mut self) -> String {
        let Ok(bytes) = self.output.recv_timeout(WRAPPED_TIMEOUT) else {
            let _ended = self.child.kill().is_ok();
            return String::new();
        };
        let _ended = self.child.wait().is_ok();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() { String::new() } else { format!("{text}\n") }
    }
}
