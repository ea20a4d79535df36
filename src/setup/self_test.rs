//! Sends a made-up event through the registered command line, as the client would, and looks for it in the ledger.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::SetupError;
use crate::domain::SessionId;
use crate::store::Ledger;

/// The session of the made-up event; it is removed again.
const SESSION: &str = "tallyhook-self-test";

/// Runs `command` with a made-up event and takes the event out of `ledger` again.
///
/// # Errors
/// If the command fails, says anything, or the event does not arrive.
pub fn run(command: &str, ledger: &Path) -> Result<(), SetupError> {
    let fail = |reason: String| SetupError::SelfTest { reason };
    let payload = serde_json::json!({
        "session_id": SESSION,
        "hook_event_name": "PostToolUse",
        "tool_name": "Bash",
        "tool_use_id": "toolu_self_test",
        "tool_input": { "command": "true" },
        "tool_response": { "stdout": "", "stderr": "" },
    });
    let mut child = shell(command)
        .env("TALLYHOOK_DB", ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fail(format!("the shell could not be started: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(payload.to_string().as_bytes())
            .map_err(|error| fail(format!("the hook did not read its input: {error}")))?;
    }
    let output = child.wait_with_output().map_err(|error| fail(format!("the hook did not end: {error}")))?;
    if !output.status.success() {
        return Err(fail(format!("the hook ended with {}", output.status)));
    }
    if !output.stdout.is_empty() || !output.stderr.is_empty() {
        return Err(fail("the hook was not silent".to_owned()));
    }
    let arrived = SessionId::new(SESSION).is_some_and(|session| {
        Ledger::open_for_reports(ledger)
            .and_then(|mut ledger| ledger.remove_session(&session))
            .unwrap_or(false)
    });
    if arrived { Ok(()) } else { Err(fail(format!("it is not in {}", ledger.display()))) }
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new(if cfg!(windows) { "bash" } else { "/bin/sh" });
    shell.arg("-c").arg(command);
    shell
}
