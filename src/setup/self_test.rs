//! Sends a made-up event through the registered command line, as the client would, and looks for it in the ledger.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::SetupError;
use super::command::RegisteredCommand;
use super::other_clients::TEST_SESSION;
use crate::child::{self, Take};
use crate::domain::{OneLine as _, SessionId};
use crate::store::Ledger;

/// Twice as long as the client waits for a hook as it is registered.
const PATIENCE: Duration = Duration::from_secs(10);

/// A made-up event of Claude Code.
pub const CLAUDE_CODE_EVENT: &str = r#"{"session_id": "tallyhook-self-test", "hook_event_name": "PostToolUse",
    "tool_name": "Bash", "tool_use_id": "toolu_self_test", "tool_input": {"command": "true"},
    "tool_response": {"stdout": "", "stderr": ""}}"#;

/// Runs `command` with a made-up event of the session [`TEST_SESSION`] and takes the session out of `ledger` again.
///
/// # Errors
/// If the command fails, says anything, or the event does not arrive.
pub fn run(command: &RegisteredCommand, event: &str, ledger: &Path) -> Result<(), SetupError> {
    let fail = |reason: String| SetupError::SelfTest { reason };
    let mut process = process(command);
    process.env("TALLYHOOK_DB", ledger);
    let outcome = child::run(process, event.as_bytes().to_vec(), Take::All, PATIENCE)
        .map_err(|error| fail(format!("the hook couldn't be started: {error}")))?;
    match outcome.status {
        Some(status) if status.success() => {}
        Some(status) => return Err(fail(format!("the hook exited with {status}"))),
        None => return Err(fail(format!("the hook didn't finish within {} s", PATIENCE.as_secs()))),
    }
    if !outcome.output.is_empty() {
        return Err(fail("the hook printed something".to_owned()));
    }
    let arrived = SessionId::new(TEST_SESSION).is_some_and(|session| {
        Ledger::open_for_reports(ledger)
            .and_then(|mut ledger| ledger.sessions_mut().remove(&session))
            .unwrap_or(false)
    });
    if arrived { Ok(()) } else { Err(fail(format!("it isn't in {}", ledger.one_line()))) }
}

fn process(command: &RegisteredCommand) -> Command {
    let (program, args) = match &command.args {
        Some(args) => (command.command.as_str(), args.clone()),
        None => {
            (if cfg!(windows) { "bash" } else { "/bin/sh" }, vec!["-c".to_owned(), command.command.clone()])
        }
    };
    let mut process = Command::new(program);
    process.args(args);
    process
}
