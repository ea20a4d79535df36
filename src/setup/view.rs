//! What the client makes of all its settings together: which of our hooks run in a project, and which do not.
//!
//! It reads four kinds of files, the first of which decides where they differ: what an administrator has managed, the
//! user's own for the project, the project's, the user's for all projects. Hooks of all of them run, unless they are
//! switched off. Files that it does not read are looked at too, for a registration in one of them does nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::scope::{ScopeKind, SettingsScope};
use super::settings::{self, RegisteredHook};
use super::{SetupError, files};
use crate::env::Env;
use crate::platform;

/// Whose settings a file holds, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The administrator's.
    Managed,
    /// The user's, for one project.
    Local,
    /// The project's.
    Project,
    /// The user's, for all projects.
    User,
}

impl Layer {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Local => "local",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A file of settings.
#[derive(Debug)]
pub struct File {
    /// Whose it is.
    pub layer: Layer,
    /// Where it is.
    pub path: PathBuf,
    /// Its text, if it could be read.
    pub text: String,
    /// Our hooks in it.
    pub found: Vec<RegisteredHook>,
    value: Value,
}

/// Where and why hooks are switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// The file.
    pub path: PathBuf,
    /// The member of it.
    pub member: &'static str,
}

/// Whether events are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// A hook of ours runs.
    Runs,
    /// It is registered but switched off.
    SwitchedOff(Switch),
    /// It is registered in a file that the client does not read.
    Unread(PathBuf),
    /// It is not registered.
    Nowhere,
}

/// All settings that hold in a project.
#[derive(Debug)]
pub struct SettingsView {
    /// The files that the client reads and understands, the strongest first.
    pub files: Vec<File>,
    /// Those that it cannot use.
    pub faults: Vec<(Layer, SetupError)>,
    /// Files with hooks of ours that it does not read.
    pub unread: Vec<PathBuf>,
}

impl SettingsView {
    /// The settings in the project that `env` is in.
    #[must_use]
    pub fn of(env: &Env) -> Self {
        let project = SettingsScope::of(ScopeKind::Project, env);
        Self::of_folders(
            SettingsScope::of(ScopeKind::User, env).as_ref(),
            project.as_ref(),
            &platform::managed_settings(),
        )
    }

    /// The settings in another project.
    #[must_use]
    pub fn of_project(env: &Env, project: &Path) -> Self {
        let project = SettingsScope { kind: ScopeKind::Project, folder: project.join(".claude") };
        let user = SettingsScope::of(ScopeKind::User, env);
        Self::of_folders(user.as_ref(), Some(&project), &platform::managed_settings())
    }

    /// The settings in the folders of a user and a project, and in an administrator's files, the last of which is the
    /// strongest.
    #[must_use]
    pub fn of_folders(
        user: Option<&SettingsScope>,
        project: Option<&SettingsScope>,
        managed: &[PathBuf],
    ) -> Self {
        let is_one = user.map(|scope| &scope.folder) == project.map(|scope| &scope.folder);
        let mut read: Vec<(Layer, PathBuf)> =
            managed.iter().rev().map(|path| (Layer::Managed, path.clone())).collect();
        let mut unread: Vec<PathBuf> = Vec::new();
        if let Some(project) = project {
            read.push((Layer::Local, project.local_settings()));
            read.extend((!is_one).then(|| (Layer::Project, project.settings())));
            unread.push(project.hooks_file());
        }
        if let Some(user) = user {
            read.push((Layer::User, user.settings()));
            if !is_one {
                unread.extend([user.local_settings(), user.hooks_file()]);
            }
        }
        let mut view = Self { files: Vec::new(), faults: Vec::new(), unread: Vec::new() };
        for (layer, path) in read {
            match File::read(layer, path) {
                Ok(Some(file)) => view.files.push(file),
                Ok(None) => {}
                Err(error) => view.faults.push((layer, error)),
            }
        }
        view.unread = unread
            .into_iter()
            .filter(|path| {
                let text = files::read(path).ok().flatten().unwrap_or_default();
                settings::registered(&text).is_ok_and(|found| !found.is_empty())
            })
            .collect();
        view
    }

    /// The strongest value of a member, and the file that it is in.
    fn value(&self, path: &[&str]) -> Option<(&Value, &File)> {
        self.files.iter().find_map(|file| {
            let value = path.iter().try_fold(&file.value, |value, name| value.get(name))?;
            Some((value, file))
        })
    }

    /// What switches off the hooks of a layer.
    #[must_use]
    pub fn switch(&self, layer: Layer) -> Option<Switch> {
        const ALL: &str = "disableAllHooks";
        const OTHERS: &str = "allowManagedHooksOnly";
        let managed = || self.files.iter().filter(|file| file.layer == Layer::Managed);
        let switch = |file: &File, member| Switch { path: file.path.clone(), member };
        if let Some((value, file)) = self.value(&[ALL])
            // What is managed only an administrator can switch off.
            && (layer != Layer::Managed || file.layer == Layer::Managed)
            && value == true
        {
            return Some(switch(file, ALL));
        }
        let only = managed().find_map(|file| Some((file.value.get(OTHERS)?, file)));
        match only {
            Some((value, file)) if layer != Layer::Managed && value == true => Some(switch(file, OTHERS)),
            _ => None,
        }
    }

    /// Whether our plugin is enabled, and the file that says so; `None` if no file speaks of it.
    #[must_use]
    pub fn plugin(&self) -> Option<(bool, &File)> {
        const MEMBER: &str = "enabledPlugins";
        let names = self.files.iter().filter_map(|file| file.value.get(MEMBER)?.as_object());
        let mut names: Vec<&String> =
            names.flat_map(|plugins| plugins.keys()).filter(|name| is_our_plugin(name)).collect();
        names.sort();
        names.dedup();
        let found = names.iter().filter_map(|name| self.value(&[MEMBER, name]));
        // One of several marketplaces is enough.
        found.map(|(value, file)| (value == true, file)).max_by_key(|(is_enabled, _)| *is_enabled)
    }

    /// The layer whose switches hold for the plugin's hooks.
    #[must_use]
    pub fn plugin_layer(&self) -> Option<Layer> {
        self.plugin().filter(|(is_enabled, _)| *is_enabled).map(|(_, file)| file.layer)
    }

    /// A variable that the settings set for the client and its hooks.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(&str, &Path)> {
        self.value(&["env", name]).and_then(|(value, file)| Some((value.as_str()?, file.path.as_path())))
    }

    /// Whether events are recorded here.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let registered = self.files.iter().filter(|file| !file.found.is_empty()).map(|file| file.layer);
        let layers: Vec<Layer> = registered.chain(self.plugin_layer()).collect();
        let mut switches: Vec<Option<Switch>> = layers.iter().map(|layer| self.switch(*layer)).collect();
        if switches.iter().any(Option::is_none) {
            return Recording::Runs;
        }
        match (switches.pop().flatten(), self.unread.first()) {
            (Some(switch), _) => Recording::SwitchedOff(switch),
            (None, Some(path)) => Recording::Unread(path.clone()),
            (None, None) => Recording::Nowhere,
        }
    }
}

impl File {
    fn read(layer: Layer, path: PathBuf) -> Result<Option<Self>, SetupError> {
        let Some(text) = files::read(&path)? else { return Ok(None) };
        if text.trim().is_empty() {
            return Ok(None);
        }
        let found = settings::registered(&text).map_err(|fault| super::plan::located(&path, fault))?;
        let value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
        Ok(Some(Self { layer, path, text, found, value }))
    }
}

fn is_our_plugin(name: &str) -> bool {
    name.split('@').next() == Some("tallyhook")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str = r#""hooks":{"Stop":[{"hooks":[{"type":"command","command":"tallyhook hook"}]}]}"#;

    /// The view of files with these texts.
    fn view(files: &[(&str, &str)]) -> (tempfile::TempDir, SettingsView) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let scope = |kind, name| SettingsScope { kind, folder: dir.path().join(name) };
        let view = SettingsView::of_folders(
            Some(&scope(ScopeKind::User, "user")),
            Some(&scope(ScopeKind::Project, "project")),
            &[dir.path().join("managed.json"), dir.path().join("managed.d")],
        );
        (dir, view)
    }

    fn recording(files: &[(&str, &str)]) -> String {
        let (dir, view) = view(files);
        let below = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
        match view.recording() {
            Recording::Runs => "runs".to_owned(),
            Recording::SwitchedOff(switch) => format!("{} in {}", switch.member, below(switch.path)),
            Recording::Unread(path) => format!("only in {}", below(path)),
            Recording::Nowhere => "nowhere".to_owned(),
        }
    }

    #[test]
    fn what_the_client_runs_is_told_from_what_it_does_not() {
        let hook = format!("{{{HOOK}}}");
        let (user, project, local) =
            ("user/settings.json", "project/settings.json", "project/settings.local.json");
        let managed = "managed.json";
        let on = r#"{"enabledPlugins":{"tallyhook@m":true}}"#;
        let off = r#"{"enabledPlugins":{"tallyhook@m":false}}"#;
        let all_off = r#"{"disableAllHooks":true}"#;
        let all_on = r#"{"disableAllHooks":false}"#;
        let only_managed = r#"{"allowManagedHooksOnly":true}"#;
        for (files, wanted) in [
            (&[][..], "nowhere"),
            (&[(user, "{}"), (project, "")], "nowhere"),
            (&[(user, &hook)], "runs"),
            (&[(project, &hook)], "runs"),
            (&[(local, &hook)], "runs"),
            (&[(managed, &hook)], "runs"),
            // Files that are not read.
            (&[("user/settings.local.json", &hook)], "only in user/settings.local.json"),
            (&[("project/hooks/hooks.json", &hook)], "only in project/hooks/hooks.json"),
            (&[("user/hooks/hooks.json", &hook)], "only in user/hooks/hooks.json"),
            // Switched off, and by whom.
            (&[(user, &hook), (managed, only_managed)], "allowManagedHooksOnly in managed.json"),
            (&[(user, &hook), (user, &hook), (project, only_managed)], "runs"),
            (&[(user, &hook), (managed, all_off)], "disableAllHooks in managed.json"),
            (&[(user, &hook), (project, all_off)], "disableAllHooks in project/settings.json"),
            (&[(user, &hook), (project, all_off), (local, all_on)], "runs"),
            (&[(project, &hook), (user, all_off)], "disableAllHooks in user/settings.json"),
            (&[(project, &hook), (user, all_off), (managed, all_on)], "runs"),
            // What is managed is not switched off by others.
            (&[(managed, &hook), (user, all_off)], "runs"),
            // The plugin, switched on and off by project.
            (&[(user, on)], "runs"),
            (&[(user, on), (project, off)], "nowhere"),
            (&[(user, off), (local, on)], "runs"),
            (&[(user, on), (managed, only_managed)], "allowManagedHooksOnly in managed.json"),
            (&[(managed, on), (user, all_off)], "runs"),
        ] {
            assert_eq!(recording(files), wanted, "{files:?}");
        }
        let managed_alone = format!("{{{HOOK},\"allowManagedHooksOnly\":true}}");
        assert_eq!(recording(&[(managed, &managed_alone), (user, &hook)]), "runs");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_a_fault_and_the_others_hold() {
        let (_dir, view) = view(&[("user/settings.json", "{ broken"), ("project/settings.json", "[]")]);
        let faults: Vec<Layer> = view.faults.iter().map(|(layer, _)| *layer).collect();
        assert_eq!(faults, [Layer::Project, Layer::User]);
        assert_eq!(view.recording(), Recording::Nowhere);
    }

    #[test]
    fn variables_come_from_the_strongest_file() {
        let (_dir, view) = view(&[
            ("user/settings.json", r#"{"env":{"TALLYHOOK_DB":"/u"}}"#),
            ("project/settings.json", r#"{"env":{"OTHER":"x"}}"#),
            ("project/settings.local.json", r#"{"env":{"TALLYHOOK_DB":"~/l"}}"#),
        ]);
        assert_eq!(view.variable("TALLYHOOK_DB").map(|(value, _)| value), Some("~/l"));
        assert_eq!(view.variable("NONE"), None);
    }
}
