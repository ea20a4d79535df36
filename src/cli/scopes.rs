//! Where hooks may be registered.

use std::path::Path;

use super::Context;
use crate::domain::OneLine as _;
use crate::setup::scope::{ScopeKind, SettingsScope};

/// The user's scope and this project's, where they are two.
pub(super) fn own_scopes(context: &Context) -> Vec<SettingsScope> {
    let mut scopes: Vec<SettingsScope> = [ScopeKind::User, ScopeKind::Project]
        .into_iter()
        .filter_map(|kind| SettingsScope::of(kind, &context.env))
        .collect();
    scopes.dedup_by(|a, b| a.folder == b.folder);
    scopes
}

/// Every scope that a hook of ours may be registered in: the user's, this project's, and those of all projects that the
/// ledger knows.
pub(super) fn every_scope(context: &Context) -> Vec<SettingsScope> {
    let mut scopes = own_scopes(context);
    // A ledger that cannot be read must not keep anybody from leaving.
    let projects = context
        .ledger()
        .ok()
        .flatten()
        .and_then(|ledger| ledger.sessions().projects().ok())
        .unwrap_or_default();
    scopes.extend(projects.into_iter().map(|project| SettingsScope {
        kind: ScopeKind::Project,
        folder: Path::new(&project).join(".claude"),
    }));
    scopes
}

/// What is said of a file that another program wrote at the same time.
pub(super) fn contested_note(path: &Path) -> String {
    format!("another program changed {} at the same time; its changes were kept", path.one_line())
}
