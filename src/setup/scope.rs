//! Where the client reads hooks from.

use std::path::PathBuf;

use crate::env::Env;

/// A place where hooks can be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// One project, for everybody who works in it.
    Project,
    /// One project, for this user alone.
    Local,
    /// All projects of this user.
    User,
}

impl ScopeKind {
    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Local => "local",
            Self::User => "user",
        }
    }
}

/// A scope and its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsScope {
    /// Which kind.
    pub kind: ScopeKind,
    /// The client's folder in it (`.claude`).
    pub folder: PathBuf,
}

impl SettingsScope {
    /// The scope of that kind: the project is the working directory's, the user's folder is `$CLAUDE_CONFIG_DIR`,
    /// else `~/.claude`. `None` without a home.
    #[must_use]
    pub fn of(kind: ScopeKind, env: &Env) -> Option<Self> {
        let folder = match kind {
            ScopeKind::Project | ScopeKind::Local => project_root(env).join(".claude"),
            ScopeKind::User => match env.place("CLAUDE_CONFIG_DIR") {
                Some(folder) => folder,
                None => env.home()?.join(".claude"),
            },
        };
        Some(Self { kind, folder })
    }

    /// The file of this scope that the client reads.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        match self.kind {
            ScopeKind::Local => self.local_settings(),
            ScopeKind::Project | ScopeKind::User => self.folder.join("settings.json"),
        }
    }

    /// The user's own settings for the project. Beside the user's settings for all projects the client reads no such file.
    #[must_use]
    pub fn local_settings(&self) -> PathBuf {
        self.folder.join("settings.local.json")
    }

    /// The registration as a file of its own, which the client does not read.
    #[must_use]
    pub fn hooks_file(&self) -> PathBuf {
        self.folder.join("hooks").join("hooks.json")
    }

    /// Whether the files in this scope's folder are shared with other people.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.kind == ScopeKind::Project
    }
}

/// The folder that the client takes for the project when it is started here: the client says it in a hook or a
/// command that it runs, else it is the working directory.
pub(super) fn project_root(env: &Env) -> PathBuf {
    env.path_var("CLAUDE_PROJECT_DIR").unwrap_or_else(|| env.cwd().to_path_buf())
}
