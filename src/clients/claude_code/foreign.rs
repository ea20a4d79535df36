//! Files that are no transcripts of Claude Code: what tells them, and whose they are.

use std::path::Path;

use super::line::{Line, LineField};
use crate::clients::{Buffer, Lines};
use crate::json::{Object, lossy};

/// How many lines are looked at to name a log's client.
const MAX_LINES: usize = 20;

/// Types of lines that this client writes beside the conversation.
const NOTES: [&[u8]; 19] = [
    b"progress",
    b"attachment",
    b"queue-operation",
    b"cost-state",
    b"ai-title",
    b"custom-title",
    b"agent-name",
    b"mode",
    b"permission-mode",
    b"last-prompt",
    b"tools-used",
    b"atis-latch",
    b"api-request",
    b"api-request-shape",
    b"api-request-blob",
    b"pr-link",
    b"session-owner",
    b"usageReport",
    b"tag",
];

/// Whether a line is one of Claude Code's.
pub(super) fn is_own(kind: &[u8], line: &Line<'_>) -> bool {
    let has = |member| line.bytes(member).is_some();
    let names_itself = || has(LineField::SessionId) || has(LineField::Uuid);
    let content = line.message.filter(|message| message.content().is_some());
    match kind {
        b"user" => content.is_some() && names_itself(),
        b"assistant" => content.is_some_and(|message| message.usage.is_some() || names_itself()),
        b"system" => has(LineField::IsSidechain),
        // These name neither.
        b"summary" => has(LineField::LeafUuid),
        b"file-history-snapshot" | b"file-history-delta" => true,
        _ => NOTES.contains(&kind) && names_itself(),
    }
}

/// What a file is that is no transcript, as far as its first lines tell.
#[must_use]
pub(super) fn describe(path: &Path) -> &'static str {
    let mut buffer = Buffer::default();
    let Ok(mut lines) = Lines::open(&mut buffer, path, None) else { return UNKNOWN };
    for _ in 0..MAX_LINES {
        let Ok(Some(line)) = lines.next_line() else { break };
        let text = lossy(line);
        if let Some(found) = Object::parse(text.trim()).ok().and_then(|line| client_of(&line)) {
            return found;
        }
    }
    UNKNOWN
}

const UNKNOWN: &str = "it isn't a Claude Code transcript";

fn client_of(line: &Object<'_>) -> Option<&'static str> {
    const CODEX: [&str; 6] =
        ["session_meta", "turn_context", "event_msg", "response_item", "compacted", "token_usage_record"];
    let kind = line.text("type").unwrap_or_default();
    let has = |name: &str| line.raw(name).is_some();
    if CODEX.contains(&kind.as_ref()) && has("payload") {
        Some("it looks like a log of Codex, but isn't named and placed like one")
    } else if kind.contains('.') && has("data") {
        Some("it looks like a log of GitHub Copilot CLI, but isn't named and placed like one")
    } else if has("systemPayload")
        || has("usageMetadata")
        || line.object("message").is_some_and(|message| message.raw("parts").is_some())
    {
        Some("it looks like a log of Qwen Code, but isn't named and placed like one")
    } else if has("projectHash") || kind == "gemini" {
        Some("it looks like a log of Gemini CLI, but isn't named and placed like one")
    } else if kind == "session" && has("version") && has("id") {
        Some("it looks like a log of Pi, but isn't named and placed like one")
    } else if kind == "metadata" && has("protocol_version") {
        Some("it looks like a log of Kimi, but isn't named and placed like one")
    } else if has("hook_event_name") {
        Some("it contains hook payloads, not a log")
    } else {
        None
    }
}
