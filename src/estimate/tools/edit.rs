//! `Edit`, `MultiEdit`, `Write`, `NotebookEdit`: whole files in the payload, one sentence for the model.

use std::fmt::Write as _;

use super::super::{CallView, Era, ModelInput};
use super::input_text;
use super::read::{MAX_LINES, numbered};
use crate::domain::{Estimate, LineDelta, Method, Version};
use crate::json::{self, Object, Raw};

/// The clients that return a sentence and no more a snippet of the file: for an edit, and for a file written anew.
const EDIT_SENTENCE: Version = (2, 1, 5);
const UPDATE_SENTENCE: Version = (2, 1, 38);

/// Lines of the file that a snippet shows before and after what was replaced.
const CONTEXT_LINES: usize = 4;

const STATE_CURRENT: &str = " (file state is current in your context — no need to Read it back)";

pub(super) fn reading<'a>(call: &CallView<'a>, response: &Object<'a>) -> Option<ModelInput<'a>> {
    if call.tool.as_str() == "NotebookEdit" {
        let cell = response.text("cell_id").unwrap_or_default();
        let source = response.text("new_source").unwrap_or_default();
        return Some(ModelInput::notice(format!("Updated cell {cell} with {source}")));
    }
    let path = response.text("filePath").or_else(|| input_text(call, "file_path"))?;
    let current = if call.era == Era::Current { STATE_CURRENT } else { "" };
    if response.text("type").as_deref() == Some("create") {
        return Some(ModelInput::notice(format!("File created successfully at: {path}{current}")));
    }
    let is_update = response.text("type").as_deref() == Some("update");
    let sentence_since = if is_update { UPDATE_SENTENCE } else { EDIT_SENTENCE };
    if call.is_before(sentence_since, &[Era::Early]) {
        return Some(ModelInput::notice(format!(
            "The file {path} has been updated. Here's the result of running `cat -n` on a snippet of the edited \
             file:\n{}",
            snippet(response)
        )));
    }
    let done = if response.is_true("replaceAll") {
        "has been updated. All occurrences were successfully replaced."
    } else {
        "has been updated successfully."
    };
    Some(ModelInput::notice(format!("The file {path} {done}{current}")))
}

/// The edited part of the file with line numbers, as clients of 2025 return it; all of a file that was written anew.
fn snippet(response: &Object<'_>) -> String {
    if let Some(content) = response.text("content") {
        return numbered(&content, 1, Era::Early);
    }
    let text = |name| response.text(name);
    match (text("originalFile"), text("oldString"), text("newString")) {
        (Some(original), Some(old), Some(new)) => around(&original, &old, &new),
        _ => patched(response),
    }
}

/// The replaced text and [`CONTEXT_LINES`] lines on both sides of it.
fn around(original: &str, old: &str, new: &str) -> String {
    let (before, after) = original.split_once(old).unwrap_or((original, ""));
    let edited = [before, new, after].concat();
    let line = before.matches('\n').count();
    let first = line.saturating_sub(CONTEXT_LINES);
    let last = line + new.matches('\n').count().min(MAX_LINES) + 1 + CONTEXT_LINES;
    let lines: Vec<&str> = edited.split('\n').skip(first).take(last - first).collect();
    numbered(&lines.join("\n"), first as u64 + 1, Era::Early)
}

/// What a patch leaves, hunk by hunk: for edits of several places, and payloads without the file.
fn patched(response: &Object<'_>) -> String {
    let mut text = String::new();
    for hunk in response.array("structuredPatch").into_iter().filter_map(Object::from_raw) {
        let lines = hunk.array("lines");
        let kept = lines.iter().filter_map(|line| json::text(*line)).filter(|line| !line.starts_with('-'));
        for (number, line) in (hunk.count("newStart").unwrap_or(1)..).zip(kept) {
            // Writing into a String cannot fail.
            let _ignored = writeln!(text, "{number:>6}→{}", line.get(1..).unwrap_or_default()).is_ok();
        }
    }
    text
}

/// The fallback for an edit whose input is missing: 0.5 × read + 0.3 × write, each at 0.25 tokens a character.
pub(in super::super) fn edit_without_input(call: &CallView<'_>) -> Option<Estimate> {
    if !call.tool.edits_files() {
        return None;
    }
    let response = Object::from_raw(call.response?)?;
    let chars = |names: &[&str]| {
        names.iter().find_map(|name| response.text(name)).map_or(0, |text| text.chars().count() as u64)
    };
    let read = chars(&["originalFile", "originalFileContents", "original_file"]);
    let written = chars(&["newString", "content", "new_source"]);
    // 0.25 × (0.5 × read + 0.3 × written) = (5 × read + 3 × written) ÷ 40
    let tokens = (5 * read + 3 * written).div_ceil(40);
    (tokens > 0).then_some(Estimate { tokens, method: Method::FallbackChars })
}

/// Counts the lines that a response's patch adds and removes; a created file adds all of its lines.
#[must_use]
pub fn lines_changed(response: Raw<'_>) -> LineDelta {
    let mut delta = LineDelta::default();
    let Some(response) = Object::from_raw(response) else { return delta };
    for hunk in response.array("structuredPatch").into_iter().filter_map(Object::from_raw) {
        for line in hunk.array("lines") {
            match line.get().as_bytes().get(1) {
                Some(b'+') => delta.added += 1,
                Some(b'-') => delta.removed += 1,
                _ => {}
            }
        }
    }
    if delta == LineDelta::default()
        && response.text("type").as_deref() == Some("create")
        && let Some(content) = response.text("content")
    {
        delta.added = content.lines().count() as u64;
    }
    delta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_has_four_lines_on_both_sides() {
        let original = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let shown = around(original, "6\n", "six\nand\n");
        let lines: Vec<&str> = shown.lines().map(|line| line.split('→').next_back().unwrap()).collect();
        assert_eq!(lines, ["2", "3", "4", "5", "six", "and", "7", "8", "9", "10", "11"]);
        assert!(shown.starts_with("     2→2\n"));
        assert_eq!(around("a", "a", "b"), "     1→b");
        assert_eq!(around("a", "none", "b").lines().count(), 1);
    }

    #[test]
    fn a_patch_tells_the_lines_it_changed() {
        let patch = r#"{"structuredPatch":[{"lines":["-a","+b","+c"," d"]},{"lines":["\u002bx"]},null],"content":"y"}"#;
        assert_eq!(lines_changed(Raw::parse(patch).unwrap()), LineDelta { added: 2, removed: 1 });
        let created = r#"{"type":"create","content":"a\nb\n"}"#;
        assert_eq!(lines_changed(Raw::parse(created).unwrap()), LineDelta { added: 2, removed: 0 });
    }
}
