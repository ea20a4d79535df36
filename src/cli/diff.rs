//! Shows a file's change as a unified diff, without the secrets that settings can hold.

use similar::TextDiff;

use crate::domain::OneLine as _;
use crate::setup::plan::FileChange;

/// Members of the client's settings whose values are nobody's business.
const SECRET: [&str; 4] = ["env", "apiKeyHelper", "awsAuthRefresh", "awsCredentialExport"];

/// The diff of a change, with the file's name above it; empty if nothing changes.
pub(super) fn unified(change: &FileChange) -> String {
    let name = change.path.one_line();
    let before = change.before.as_deref().unwrap_or_default();
    let after = change.after.as_deref().unwrap_or_default();
    let old = if change.before.is_some() { name.as_str() } else { "/dev/null" };
    let new = if change.after.is_some() { name.as_str() } else { "/dev/null" };
    let diff =
        TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(old, new).to_string();
    secrets(before).iter().chain(&secrets(after)).fold(diff, |diff, secret| diff.replace(secret, "\"…\""))
}

/// The values of secret members, as they are written, the longest first.
fn secrets(text: &str) -> Vec<String> {
    let settings =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or(serde_json::Value::Null);
    let mut found = Vec::new();
    for value in SECRET.iter().filter_map(|name| settings.get(name)) {
        collect(value, &mut found);
    }
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) if !text.is_empty() => found.push(value.to_string()),
        serde_json::Value::Object(members) => members.values().for_each(|value| collect(value, found)),
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
