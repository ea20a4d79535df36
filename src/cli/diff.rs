//! Shows a file's change as a unified diff.

use similar::TextDiff;

use crate::setup::plan::Change;

/// The diff of a change, with the file's name above it; empty if nothing changes.
pub(super) fn unified(change: &Change) -> String {
    let name = change.path.display().to_string();
    let before = change.before.as_deref().unwrap_or_default();
    let after = change.after.as_deref().unwrap_or_default();
    let old = if change.before.is_some() { name.as_str() } else { "/dev/null" };
    let new = if change.after.is_some() { name.as_str() } else { "/dev/null" };
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(old, new).to_string()
}
