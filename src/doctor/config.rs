//! Can the settings be read, the user's and the project's?

use super::{Check, Subject};
use crate::config::Config;
use crate::setup::scope::{Scope, ScopeKind};

const NAME: &str = "settings";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let usual = subject.env.config_path();
    let mut checks = Vec::new();
    let mut config = match Config::of_user(usual.as_deref(), subject.config) {
        Ok(config) => config,
        Err(error) => {
            let cure = "fix the file; until then, the hook stores no names, and commands that need the settings fail";
            checks.push(Check::failed(NAME, error.to_string(), cure));
            Config::default()
        }
    };
    let project = Scope::of(ScopeKind::Project, subject.env);
    if let Some(project) = project.as_ref().and_then(|scope| scope.folder.parent())
        && let Err(error) = config.add_project(project)
    {
        let cure = "fix the file; it has no effect until then";
        checks.push(Check::failed(format!("{NAME} (project)"), error.to_string(), cure));
    }
    checks
}
