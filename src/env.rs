//! Everything the process takes from outside: variables, working directory, clock.
//!
//! It is read once in `main` and passed down, so that every test can fix its own home, ledger and time.
//! Nothing else in the crate may call `std::env` or a clock (`clippy.toml` forbids it). Variables can hold
//! secrets: an [`Env`] is never logged and has no `Debug`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// What the process knows of its surroundings.
#[derive(Clone)]
pub struct Env {
    /// Variables; `None` for the process's own, which are looked up when they are asked for.
    vars: Option<HashMap<String, OsString>>,
    cwd: PathBuf,
    clock: Clock,
    /// What happens in place of waiting, with a fixed clock.
    meanwhile: Option<Arc<dyn Fn() + Send + Sync>>,
}

#[derive(Clone, Copy)]
enum Clock {
    /// The system's; the process was started, or nearly so, at that moment.
    System(Instant),
    Fixed(Timestamp),
}

impl Env {
    /// Reads the real process environment.
    #[must_use]
    pub fn from_process() -> Self {
        Self {
            vars: None,
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
            cwd: std::env::current_dir().unwrap_or_default(),
            clock: Clock::System(Instant::now()),
            meanwhile: None,
        }
    }

    /// An environment for tests: nothing but what is given.
    #[must_use]
    pub fn fixed(cwd: &Path, now: Timestamp, vars: &[(&str, &str)]) -> Self {
        Self {
            vars: Some(
                vars.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect(),
            ),
            cwd: cwd.to_path_buf(),
            clock: Clock::Fixed(now),
            meanwhile: None,
        }
    }

    /// The same in which something happens whenever the program waits.
    #[must_use]
    pub fn with_meanwhile(mut self, happens: impl Fn() + Send + Sync + 'static) -> Self {
        self.meanwhile = Some(Arc::new(happens));
        self
    }

    /// The current time, in UTC milliseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.clock {
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
            Clock::System(_) => Timestamp::from_system_time(std::time::SystemTime::now()),
            Clock::Fixed(now) => now,
        }
    }

    /// How long the process has run, in microseconds; unknown with a fixed clock.
    #[must_use]
    pub fn elapsed_micros(&self) -> Option<u64> {
        match self.clock {
            Clock::System(start) => u64::try_from(start.elapsed().as_micros()).ok(),
            Clock::Fixed(_) => None,
        }
    }

    /// Waits, or with a fixed clock does not.
    pub fn sleep(&self, duration: Duration) {
        if matches!(self.clock, Clock::System(_)) {
            std::thread::sleep(duration);
        } else if let Some(meanwhile) = &self.meanwhile {
            meanwhile();
        }
    }

    /// A variable's value; empty ones count as absent, as the XDG specification asks.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<String> {
        self.os_var(name)?.into_string().ok()
    }

    /// Whether the terminal shows characters beyond ASCII, as far as the locale and `TERM` tell: not with a locale that is
    /// named and not UTF-8 (`C` and `POSIX` are none), nor on a terminal that draws none. Where nothing is named it is taken
    /// to: terminals of today do.
    #[must_use]
    pub fn shows_unicode(&self) -> bool {
        if self.var("TERM").is_some_and(|term| term == "dumb" || term == "linux") {
            return false;
        }
        // The first one that is set decides, as POSIX has it.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| self.var(name));
        locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }

    fn os_var(&self, name: &str) -> Option<OsString> {
        let value = match &self.vars {
            Some(vars) => vars.get(name).cloned(),
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
            None => std::env::var_os(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A variable that holds a path; relative ones are taken from the working directory.
    #[must_use]
    pub fn path_var(&self, name: &str) -> Option<PathBuf> {
        Some(self.cwd.join(self.os_var(name)?))
    }

    /// A path variable of the XDG specification, which says to ignore relative ones.
    fn absolute_path_var(&self, name: &str) -> Option<PathBuf> {
        self.os_var(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The working directory.
    #[must_use]
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// This program's own file, under the name by which it was started: a link stays right when what it leads to is
    /// replaced by a newer release. `None` in tests with a fixed clock, whose process is another program.
    #[must_use]
    pub fn binary(&self) -> Option<PathBuf> {
        match self.clock {
            Clock::System(_) => own_binary(),
            Clock::Fixed(_) => None,
        }
    }

    /// The user's home folder (`HOME`, on Windows `USERPROFILE`).
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.path_var("HOME").or_else(|| self.path_var("USERPROFILE"))
    }

    /// The ledger's path: `$TALLYHOOK_DB`, else `$XDG_DATA_HOME/tallyhook/ledger.db`, else below the home folder.
    #[must_use]
    pub fn ledger_path(&self) -> Option<PathBuf> {
        if let Some(path) = self.var("TALLYHOOK_DB") {
            // The client's working directory follows the model's `cd`; the project does not.
            let base = self.path_var("CLAUDE_PROJECT_DIR").unwrap_or_else(|| self.cwd.clone());
            return Some(base.join(path));
        }
        Some(self.data_folder()?.join("ledger.db"))
    }

    /// The folder for what belongs to no ledger (backups of settings): `$XDG_DATA_HOME/tallyhook`, else below the home
    /// folder.
    #[must_use]
    pub fn data_folder(&self) -> Option<PathBuf> {
        let data = match self.absolute_path_var("XDG_DATA_HOME") {
            Some(data) => data,
            None => self.home()?.join(".local").join("share"),
        };
        Some(data.join("tallyhook"))
    }

    /// The user's settings file: `$XDG_CONFIG_HOME/tallyhook/config.toml`, else below the home folder.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        let config = match self.absolute_path_var("XDG_CONFIG_HOME") {
            Some(config) => config,
            None => self.home()?.join(".config"),
        };
        Some(config.join("tallyhook").join("config.toml"))
    }

    /// The user's own prices: `prices.toml` beside the settings file.
    #[must_use]
    pub fn prices_path(&self, config: Option<&Path>) -> Option<PathBuf> {
        let config = config.map(|path| self.cwd.join(path)).or_else(|| self.config_path());
        Some(config?.with_file_name("prices.toml"))
    }
}

/// The path by which this process was started, if it leads to the file that runs; else that file.
fn own_binary() -> Option<PathBuf> {
    let running = std::env::current_exe().ok()?;
    let called = PathBuf::from(std::env::args_os().next()?);
    let candidates: Vec<PathBuf> = if called.components().count() > 1 {
        std::path::absolute(&called).into_iter().collect()
    } else {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(&called)).collect()
    };
    let real = running.canonicalize().ok();
    let found = candidates.into_iter().find(|path| path.is_absolute() && path.canonicalize().ok() == real);
    found.or(Some(running))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        Env::fixed(Path::new("/cwd"), Timestamp::from_millis(0), vars)
    }

    #[test]
    fn a_locale_that_is_not_utf_8_shows_ascii() {
        let shows = |vars: &[(&str, &str)]| env(vars).shows_unicode();
        assert!(shows(&[]));
        assert!(shows(&[("LANG", "de_DE.UTF-8")]) && shows(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!shows(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!shows(&[("LANG", "POSIX")]) && !shows(&[("LANG", "de_DE.ISO-8859-1")]));
        assert!(!shows(&[("TERM", "dumb"), ("LANG", "en_US.UTF-8")]) && !shows(&[("TERM", "linux")]));
        assert!(shows(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8"), ("TERM", "xterm-256color")]));
    }

    #[test]
    fn the_ledger_is_where_the_variables_say() {
        let path = |vars: &[(&str, &str)]| env(vars).ledger_path();
        assert_eq!(path(&[("TALLYHOOK_DB", "/x/l.db"), ("HOME", "/h")]), Some("/x/l.db".into()));
        assert_eq!(path(&[("TALLYHOOK_DB", "l.db")]), Some("/cwd/l.db".into()));
        assert_eq!(path(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), Some("/d/tallyhook/ledger.db".into()));
        assert_eq!(
            path(&[("XDG_DATA_HOME", ""), ("HOME", "/h")]),
            Some("/h/.local/share/tallyhook/ledger.db".into())
        );
        assert_eq!(
            path(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/share/tallyhook/ledger.db".into())
        );
        assert_eq!(path(&[("TALLYHOOK_DB", "l.db"), ("CLAUDE_PROJECT_DIR", "/p")]), Some("/p/l.db".into()));
        assert_eq!(path(&[]), None);
    }
}
