//! Where hooks may be registered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Context;
use crate::domain::OneLine as _;
use crate::setup::other_clients::{OTHER_CLIENTS, OtherClient};
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

/// The files of other clients that a hook of ours may be registered in: the user's, and those of the projects among `scopes`.
pub(super) fn other_files(
    context: &Context,
    scopes: &[SettingsScope],
) -> BTreeMap<PathBuf, &'static OtherClient> {
    let projects = scopes.iter().filter(|scope| scope.is_shared());
    let projects: Vec<&Path> = projects.filter_map(|scope| scope.folder.parent()).collect();
    let files_of = |other: &'static OtherClient| {
        let user = other.file_of(ScopeKind::User, &context.env);
        let own = other.file_of(ScopeKind::Project, &context.env);
        let known = projects.iter().map(|project| other.project_file(project));
        known.chain(user).chain(own).map(move |path| (path, other)).collect::<Vec<_>>()
    };
    OTHER_CLIENTS.iter().flat_map(files_of).collect()
}

/// What is said of a file that another program wrote at the same time.
pub(super) fn contested_note(path: &Path) -> String {
    format!("another program changed {} at the same time; its changes were kept", path.one_line())
}
