//! `Grep` and `Glob`: matches and file names, with paths below the working directory shown without it.

use super::super::{CallView, Era, ModelInput};
use super::{joined, preview, relative};
use crate::domain::Version;
use crate::json::Object;

/// Matches above this are saved to a file and only previewed, ...
const MAX_MATCHES_CHARS: usize = 20_000;
/// ... by clients from this one on.
const SAVES_MATCHES: Version = (2, 1, 2);
/// A path like those that the client saves them to; the payload does not name it.
const SAVED_MATCHES: &str = "/home/user/.claude/projects/-home-user-project/00000000-0000-4000-8000-000000000000/tool-results/toolu_01.txt";

pub(super) fn grep<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    let content = response.text("content");
    Some(match response.text("mode")?.as_ref() {
        "content" => {
            let content = content?;
            if content.is_empty() {
                return Some(ModelInput::notice("No matches found"));
            }
            if !call.is_before(SAVES_MATCHES, &[Era::Early]) && content.chars().count() > MAX_MATCHES_CHARS {
                let size = content.len() as u64;
                return Some(ModelInput::text(preview(&content, size, SAVED_MATCHES)));
            }
            match response.count("appliedLimit") {
                Some(limit) => ModelInput::text(format!(
                    "{content}\n\n[Showing results with pagination = limit: {limit}]"
                )),
                None => ModelInput::text(content),
            }
        }
        "count" => {
            let matches = response.count("numMatches").unwrap_or(0);
            let files = response.count("numFiles").unwrap_or(0);
            let plural = |n: u64, one, many| if n == 1 { one } else { many };
            ModelInput::text(format!(
                "{}\n\nFound {matches} total {} across {files} {}.",
                content.unwrap_or_default(),
                plural(matches, "occurrence", "occurrences"),
                plural(files, "file", "files"),
            ))
        }
        _ => {
            let files = response.array("filenames");
            if files.is_empty() {
                return Some(ModelInput::notice("No files found"));
            }
            let noun = if files.len() == 1 { "file" } else { "files" };
            let names = joined(&files, |path| relative(path, call.cwd).to_owned());
            ModelInput::text(format!("Found {} {noun}\n{names}", files.len()))
        }
    })
}

pub(super) fn glob<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    response.raw("filenames")?;
    let files = response.array("filenames");
    if files.is_empty() {
        return Some(ModelInput::notice("No files found"));
    }
    // Clients of before 2026 show whole paths here.
    let cwd = call.cwd.filter(|_| call.era == Era::Current);
    let mut text = joined(&files, |path| relative(path, cwd).to_owned());
    if response.is_true("truncated") {
        text.push_str("\n(Results are truncated. Consider using a more specific path or pattern.)");
    }
    Some(ModelInput::text(text))
}

/// A language server's answer: the text alone.
pub(super) fn language_server<'a>(_call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    response.text("result").map(ModelInput::text)
}
