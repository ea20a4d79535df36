//! Can the settings be read, the user's and the project's?

use super::{Check, Subject};
use crate::config::Config;
use crate::present::diagnosis::Diagnosis;
use crate::setup::scope::{ScopeKind, SettingsScope};

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let usual = subject.env.config_path();
    let mut checks = Vec::new();
    let mut config = match Config::of_user(usual.as_deref(), subject.config) {
        Ok(config) => config,
        Err(error) => {
            checks.push(Check::failed(Diagnosis::SettingsFault(error.to_string())));
            Config::default()
        }
    };
    let project = SettingsScope::of(ScopeKind::Project, subject.env);
    if let Some(project) = project.as_ref().and_then(|scope| scope.folder.parent())
        && let Err(error) = config.add_project(project)
    {
        checks.push(Check::failed(Diagnosis::ProjectSettingsFault(error.to_string())));
    }
    checks
}
