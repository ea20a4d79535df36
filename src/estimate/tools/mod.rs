//! What each tool's result looks like to the model: one file for each family of tools with a shape of its own.
//!
//! The texts were compared with real transcripts of clients 1.0 to 2.1.330. A tool that is not listed is read by
//! [`content`] if its response is text or content blocks, else by all of its scalars.

mod agent;
mod ask;
mod bash;
mod blocks;
mod edit;
mod read;
mod search;
mod task;
mod tool_search;
mod web;

use std::borrow::Cow;

use super::{CallView, ModelInput, TOKENS_PER_CALL};
use crate::domain::{Method, Tool};
use crate::json::{self, Object, Raw};

pub(super) use blocks::content;
pub(super) use edit::edit_without_input;
pub use edit::lines_changed;

/// A tool's way to a [`ModelInput`]; `None` if the response has not the shape it knows.
type Reader = for<'a> fn(&CallView<'a>, &Object<'a>) -> Option<ModelInput<'a>>;

/// The tools whose result differs from what the payload carries.
const REGISTRY: &[(&[&str], Reader)] = &[
    (&["Read"], read::reading),
    (&["Bash"], bash::reading),
    (&["Edit", "MultiEdit", "Write", "NotebookEdit"], edit::reading),
    (&["Grep"], search::grep),
    (&["Glob"], search::glob),
    (&["TodoWrite", "TaskCreate", "TaskUpdate", "TaskGet", "TaskList", "Skill"], task::reading),
    (&["WebFetch", "WebSearch"], web::reading),
    (&["AskUserQuestion"], ask::reading),
    (&["ToolSearch"], tool_search::reading),
    (&["LSP"], search::language_server),
];

/// What stands around an error that the client finds before the tool runs.
const ERROR_MARKS: &str = "<tool_use_error></tool_use_error>";

/// What the model reads of `call`.
pub(super) fn reading<'a>(call: &CallView<'a>, subagent: &dyn Fn(Option<&str>) -> u64) -> ModelInput<'a> {
    if let Some(error) = call.error {
        let mut reading = content(error);
        if Tool::named(call.tool.as_str()).is_some_and(|tool| tool.is_checked_first) {
            reading.texts.push(Cow::Borrowed(ERROR_MARKS));
        }
        return reading;
    }
    let response = call.response.and_then(Object::from_raw);
    if call.tool.is_subagent() {
        return agent::reading(call, response.as_ref(), subagent);
    }
    let Some(raw) = call.response else {
        return ModelInput::tokens(TOKENS_PER_CALL, Method::FallbackCall);
    };
    let reader = REGISTRY.iter().find(|(names, _)| names.contains(&call.tool.as_str()));
    if let (Some((_, reader)), Some(response)) = (reader, &response)
        && let Some(reading) = reader(call, response)
    {
        return reading;
    }
    content(raw)
}

/// A text member of `tool_input`.
fn input_text<'a>(call: &CallView<'a>, name: &str) -> Option<Cow<'a, str>> {
    Object::from_raw(call.input?)?.text(name)
}

/// How much of a saved result the model sees, in characters.
const PREVIEW_CHARS: usize = 2_000;

/// What stands in the place of a result of `size` bytes that was too long and was saved to `path`.
fn preview(result: &str, size: u64, path: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let kilobytes = size as f64 / 1024.0;
    let size =
        if kilobytes < 1024.0 { format!("{kilobytes:.1}KB") } else { format!("{:.1}MB", kilobytes / 1024.0) };
    let shown: String = result.chars().take(PREVIEW_CHARS).collect();
    format!(
        "<persisted-output>\nOutput too large ({size}). Full output saved to: {path}\n\n\
         Preview (first 2KB):\n{shown}\n...\n</persisted-output>"
    )
}

/// `path` as the model sees it: without the working directory in front.
fn relative<'p>(path: &'p str, cwd: Option<&str>) -> &'p str {
    cwd.and_then(|cwd| path.strip_prefix(cwd)).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

/// The strings of an array, joined by newlines.
fn joined(values: &[Raw<'_>], mut each: impl FnMut(&str) -> String) -> String {
    values
        .iter()
        .filter_map(|value| json::text(*value))
        .map(|text| each(&text))
        .collect::<Vec<_>>()
        .join("\n")
}
