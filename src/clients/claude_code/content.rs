//! What the lines of a transcript add to a conversation's context: sizes and names, in the order of the lines.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::context::{LineContext, message_key};
use super::tasks::task_change;
use super::{ContentReader, TranscriptReading};
use crate::domain::{
    ContextCall, ContextEntry, MAX_NAME_CHARS, TaskChange, ToolName, ToolUseId, clean_name, file_type,
};
use crate::json::{self, Object, Raw};

/// So many calls of one line are told apart: many times what any response has. The others count as its text.
const MOST_CALLS: usize = 1 << 13;
/// Attachments that never reach the model, or that the system prompt holds already.
const NOT_SENT: [&str; 5] = [
    "hook_success",
    "hook_system_message",
    "prompt_snapshot",
    "deferred_tools_record",
    "command_permissions",
];
/// Attachments that the user brings in.
const OF_THE_USER: [&str; 2] = ["file", "queued_command"];
/// Where an attachment's text stands if its line does not tell how it was rendered.
const TEXTS: [&str; 8] =
    ["content", "text", "snippet", "prompt", "files", "addedLines", "addedBlocks", "skills"];

/// What the client writes around an attachment, in tokens of `cl100k_base`: `<system-reminder>`, two line breaks and the
/// closing mark. Lines since 2.1.330 tell the whole text as it was sent (`rendered`); older ones only what is in it.
const WRAPPER: u64 = 10;
/// The client's sentence before it, by kind; what is not listed has none. Set by what contexts have grown by in transcripts
/// of 2.1.227 to 2.1.237, where 63 reminders of tasks, 33 hooks' contexts and 5 changed files came alone.
const SENTENCES: [(&str, u64); 3] =
    [("task_reminder", 70), ("edited_text_file", 60), ("hook_additional_context", 12)];

/// Adds what `line` puts into the context that it belongs to.
pub(super) fn add(
    kind: &str,
    line: &Object<'_>,
    context: &LineContext,
    content: &ContentReader,
    reading: &mut TranscriptReading,
) {
    let before = reading.delta.entries.len();
    match kind {
        "assistant" => add_assistant(line, context, content, reading),
        "user" => add_user(line, context, content, reading),
        "attachment" => add_attachment(line, content, reading),
        "system" if line.text("subtype").as_deref() == Some("compact_boundary") => {
            reading.delta.entries.push(ContextEntry::Compaction);
        }
        _ => {}
    }
    let agent = context.agent().filter(|_| !context.is_of_file());
    if reading.delta.entries.len() > before && reading.entries_of.as_ref() != agent {
        reading.delta.entries.insert(before, ContextEntry::Of { agent: agent.cloned() });
        reading.entries_of = agent.cloned();
    }
}

fn add_assistant(
    line: &Object<'_>,
    context: &LineContext,
    content: &ContentReader,
    reading: &mut TranscriptReading,
) {
    let Some(message) = line.object("message") else { return };
    let Some(id) = reading.line_key.clone().or_else(|| message_key(line, &message)) else { return };
    let (mut text, mut thinking, mut calls) = (0, 0, Vec::new());
    if let Some(blocks) = message.raw("content") {
        if blocks.get().starts_with('"') {
            text = (content.written)(blocks);
        }
        for raw in json::array(blocks) {
            let Some(block) = Object::from_raw(raw) else { continue };
            let tokens = (content.written)(raw);
            match block.text("type").as_deref() {
                // Newer clients keep no text of it; that there was some must be known.
                Some("thinking" | "redacted_thinking") => thinking += tokens.max(1),
                Some("tool_use") => {
                    match read_call(&block, tokens, content).filter(|_| calls.len() < MOST_CALLS) {
                        Some(call) => {
                            if call.tool.as_str() == "TaskCreate" {
                                reading.task_creates.insert(call.id.clone());
                            }
                            note_task(&block, &call, context, reading);
                            calls.push(call);
                        }
                        None => text += tokens,
                    }
                }
                _ => text += tokens,
            }
        }
    }
    reading.last_skill_call =
        calls.iter().rfind(|call| call.tool.as_str() == "Skill").map(|call| call.id.clone());
    let skill = line.text("attributionSkill").and_then(|skill| clean_name(&skill, MAX_NAME_CHARS));
    reading.delta.entries.push(ContextEntry::Response { id, skill, text, thinking, calls });
}

fn read_call(block: &Object<'_>, tokens: u64, content: &ContentReader) -> Option<ContextCall> {
    let id = ToolUseId::new(&block.text("id")?)?;
    let tool = ToolName::new(&block.text("name").unwrap_or_default());
    let input = block.object("input").unwrap_or_default();
    let starts = match tool.as_str() {
        "Skill" => input
            .text("skill")
            .or_else(|| input.text("command"))
            .and_then(|name| name.split_whitespace().next().map(str::to_owned)),
        _ if tool.is_subagent() => input.text("subagent_type").map(String::from),
        _ => None,
    };
    let is_part = input.raw("offset").is_some() || input.raw("limit").is_some();
    let path = input.text("file_path").or_else(|| input.text("notebook_path"));
    let hash = |path: &str| {
        let mut hasher = SipHasher13::new_with_key(&content.hash_key?);
        hasher.write(path.as_bytes());
        Some(hasher.finish())
    };
    Some(ContextCall {
        id,
        tool,
        tokens,
        starts: starts.and_then(|name| clean_name(&name, MAX_NAME_CHARS)),
        file_type: path.as_deref().and_then(file_type),
        // A part of a file is another text than the next part.
        file: path.as_deref().filter(|_| !is_part).and_then(hash),
    })
}

/// Notes what the call does to the agent's list of tasks; what makes an item is known from its result.
fn note_task(block: &Object<'_>, call: &ContextCall, context: &LineContext, reading: &mut TranscriptReading) {
    let change = task_change(&call.tool, block.object("input").as_ref(), None);
    if let Some(kind) = change.filter(|_| context.is_main()) {
        reading.delta.task_changes.push(TaskChange { call: call.id.clone(), at: context.at(), kind });
    }
}

fn add_user(
    line: &Object<'_>,
    context: &LineContext,
    content: &ContentReader,
    reading: &mut TranscriptReading,
) {
    let Some(raw) = line.object("message").and_then(|message| message.raw("content")) else { return };
    if line.is_true("isCompactSummary") {
        reading.delta.entries.push(ContextEntry::Summary { tokens: (content.read)(raw).0 });
        return;
    }
    let mut other = 0;
    if raw.get().starts_with('"') {
        other = (content.read)(raw).0;
    }
    for raw in json::array(raw) {
        let block = Object::from_raw(raw);
        let call = block
            .as_ref()
            .filter(|block| block.text("type").as_deref() == Some("tool_result"))
            .and_then(|block| ToolUseId::new(&block.text("tool_use_id")?));
        let (Some(block), Some(call)) = (block, call) else {
            other += (content.read)(raw).0;
            continue;
        };
        if let Some(kind) = line
            .object("toolUseResult")
            .and_then(|result| task_change(&ToolName::new("TaskCreate"), None, Some(&result)))
            .filter(|_| context.is_main() && reading.task_creates.remove(&call))
        {
            reading.delta.task_changes.push(TaskChange { call: call.clone(), at: context.at(), kind });
        }
        let (tokens, media) = block.raw("content").map_or((0, false), content.read);
        reading.delta.entries.push(ContextEntry::Result { call, tokens, media });
    }
    if other == 0 {
        return;
    }
    let source = line.text("sourceToolUseID").and_then(|id| ToolUseId::new(&id));
    let is_for_call = line.is_true("isMeta") && (source.is_some() || reading.last_skill_call.is_some());
    reading.delta.entries.push(if is_for_call {
        ContextEntry::CallText { call: source.or_else(|| reading.last_skill_call.clone()), tokens: other }
    } else {
        ContextEntry::Prompt { tokens: other }
    });
}

fn add_attachment(line: &Object<'_>, content: &ContentReader, reading: &mut TranscriptReading) {
    let Some(attachment) = line.object("attachment") else { return };
    let kind = attachment.text("type").unwrap_or_default();
    if NOT_SENT.contains(&kind.as_ref()) {
        return;
    }
    let is_users = OF_THE_USER.contains(&kind.as_ref());
    let rendered = line.array("rendered");
    let tokens = if rendered.is_empty() {
        let found = TEXTS.iter().find_map(|name| attachment.raw(name)).map_or(0, |raw| match kind.as_ref() {
            "task_reminder" => reminded(raw, content),
            _ => (content.read)(inner(raw)).0,
        });
        let sentence = SENTENCES.iter().find(|(name, _)| *name == kind).map_or(0, |(_, tokens)| *tokens);
        let wrapper = if is_users || found + sentence == 0 { 0 } else { WRAPPER };
        found + sentence + wrapper
    } else {
        let texts = rendered.into_iter().filter_map(|part| Object::from_raw(part)?.raw("content"));
        texts.map(|text| (content.read)(text).0).sum()
    };
    if tokens > 0 {
        reading.delta.entries.push(if is_users {
            ContextEntry::Prompt { tokens }
        } else {
            ContextEntry::Note { tokens }
        });
    }
}

/// A reminder of the list of tasks: a line for each, with its number, state and subject. Their descriptions stay out.
fn reminded(tasks: Raw<'_>, content: &ContentReader) -> u64 {
    const NUMBER_AND_STATE: u64 = 6;
    let subjects = json::array(tasks).into_iter().filter_map(|task| Object::from_raw(task)?.raw("subject"));
    subjects.map(|subject| (content.read)(subject).0 + NUMBER_AND_STATE).sum()
}

/// The text of a file's record: its path and sizes are not sent.
fn inner(found: Raw<'_>) -> Raw<'_> {
    Object::from_raw(found).and_then(|record| record.raw("content")).unwrap_or(found)
}
