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
    /// The program, where the surroundings are given.
    binary: Option<PathBuf>,
    /// What happens in place of waiting, with a fixed clock.
    meanwhile: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// The variables that say where files lie.
pub const PLACES: [&str; 5] =
    ["HOME", "TALLYHOOK_DB", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR"];
/// What stands for the home folder at the start of a path.
const HOME_NAMES: [&str; 4] = ["~", "$HOME", "${HOME}", "%USERPROFILE%"];

/// A variable holds a relative path where only an absolute one makes sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is set to {value:?}, a relative path, so it would be a different place in each folder; use an absolute path, or one that \
     starts with ~/"
)]
pub struct Misplaced {
    /// The variable.
    pub name: &'static str,
    /// The path in it.
    pub value: String,
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
            binary: None,
            meanwhile: None,
        }
    }

    /// An environment for tests, whose time goes by as it does: nothing but what is given.
    #[must_use]
    pub fn given(cwd: &Path, vars: &[(&str, &str)]) -> Self {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        Self {
            vars: Some(vars),
            cwd: cwd.to_path_buf(),
            clock: Clock::System(Instant::now()),
            binary: None,
            meanwhile: None,
        }
    }

    /// An environment for tests in which time stands still.
    #[must_use]
    pub fn fixed(cwd: &Path, now: Timestamp, vars: &[(&str, &str)]) -> Self {
        Self { clock: Clock::Fixed(now), ..Self::given(cwd, vars) }
    }

    /// These surroundings, with the program at a path, as [`binary`](Self::binary) tells it.
    #[must_use]
    pub fn with_binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_path_buf());
        self
    }

    /// These surroundings, in which something happens whenever the program waits.
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

    /// A variable that says where files lie. A relative path is ignored: it would be another place in each folder that
    /// the client works in. [`Self::misplaced`] names it.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<PathBuf> {
        Some(self.expand(Path::new(&self.os_var(name)?))).filter(|path| path.is_absolute())
    }

    /// The first of these variables that holds a relative path.
    #[must_use]
    pub fn misplaced(&self, names: &[&'static str]) -> Option<Misplaced> {
        names.iter().find_map(|name| {
            let value = self.os_var(name)?;
            let is_relative = self.expand(Path::new(&value)).is_relative();
            is_relative.then(|| Misplaced { name, value: value.to_string_lossy().into_owned() })
        })
    }

    /// The path with the home folder in place of a leading `~`, `$HOME` or `${HOME}`: settings files and lines that no
    /// shell runs have them as they were written.
    #[must_use]
    pub fn expand(&self, path: &Path) -> PathBuf {
        let rest = path.to_str().and_then(|text| {
            let rest = HOME_NAMES.iter().find_map(|name| text.strip_prefix(name))?;
            (rest.is_empty() || rest.starts_with(std::path::is_separator)).then_some(rest)
        });
        match (rest, self.home()) {
            (Some(rest), Some(home)) => home.join(rest.trim_start_matches(std::path::is_separator)),
            _ => path.to_path_buf(),
        }
    }

    /// The working directory.
    #[must_use]
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// This program's own file, under the name by which it was started: a link stays right when what it leads to is
    /// replaced by a newer release. In tests the process is another program: there it is what
    /// [`with_binary`](Self::with_binary) was told, else `None`.
    #[must_use]
    pub fn binary(&self) -> Option<PathBuf> {
        if self.vars.is_none() { own_binary() } else { self.binary.clone() }
    }

    /// The user's home folder (`HOME`, on Windows `USERPROFILE`).
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        let folder = |name| self.os_var(name).map(PathBuf::from).filter(|path| path.is_absolute());
        folder("HOME").or_else(|| folder("USERPROFILE"))
    }

    /// The ledger's path: `$TALLYHOOK_DB`, else `$XDG_DATA_HOME/tallyhook/ledger.db`, else below the home folder.
    #[must_use]
    pub fn ledger_path(&self) -> Option<PathBuf> {
        self.place("TALLYHOOK_DB").or_else(|| Some(self.data_folder()?.join("ledger.db")))
    }

    /// The folder for what belongs to no ledger (backups of settings): `$XDG_DATA_HOME/tallyhook`, else below the home
    /// folder.
    #[must_use]
    pub fn data_folder(&self) -> Option<PathBuf> {
        let data = match self.place("XDG_DATA_HOME") {
            Some(data) => data,
            None => self.home()?.join(".local").join("share"),
        };
        Some(data.join("tallyhook"))
    }

    /// The user's settings file: `$XDG_CONFIG_HOME/tallyhook/config.toml`, else below the home folder.
    #[must_use]
    pub fn config_path(&self) -> Option<PathBuf> {
        let config = match self.place("XDG_CONFIG_HOME") {
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
        assert_eq!(path(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")]), Some("/d/tallyhook/ledger.db".into()));
        assert_eq!(
            path(&[("XDG_DATA_HOME", ""), ("HOME", "/h")]),
            Some("/h/.local/share/tallyhook/ledger.db".into())
        );
        assert_eq!(
            path(&[("XDG_DATA_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.local/share/tallyhook/ledger.db".into())
        );
        assert_eq!(path(&[]), None);
    }

    #[test]
    fn the_home_folder_is_expanded_where_no_shell_has_done_it() {
        for value in ["~/t/l.db", "$HOME/t/l.db", "${HOME}/t/l.db", "~//t/l.db", "%USERPROFILE%/t/l.db"] {
            let env = env(&[("TALLYHOOK_DB", value), ("HOME", "/h")]);
            assert_eq!(env.ledger_path(), Some("/h/t/l.db".into()), "{value}");
            assert_eq!(env.misplaced(&PLACES), None, "{value}");
        }
        let env = env(&[("XDG_CONFIG_HOME", "~"), ("XDG_DATA_HOME", "$HOME"), ("HOME", "/h")]);
        assert_eq!(env.config_path(), Some("/h/tallyhook/config.toml".into()));
        assert_eq!(env.data_folder(), Some("/h/tallyhook".into()));
    }

    #[test]
    fn other_relative_places_are_ignored_and_named() {
        for value in ["l.db", "./l.db", "../l.db", "~user/l.db", "$HOMES/l.db", "$XDG_STATE_HOME/l.db", "~"] {
            let home = if value == "~" { "home" } else { "/h" };
            let env = env(&[("TALLYHOOK_DB", value), ("HOME", home), ("CLAUDE_PROJECT_DIR", "/p")]);
            assert_ne!(env.ledger_path(), Some(Path::new("/cwd").join(value)), "{value}");
            assert!(env.misplaced(&PLACES).is_some(), "{value}");
        }
        let relative = env(&[("XDG_DATA_HOME", "d"), ("HOME", "/h")]);
        assert_eq!(relative.ledger_path(), Some("/h/.local/share/tallyhook/ledger.db".into()));
        assert_eq!(relative.misplaced(&["TALLYHOOK_DB"]), None);
        assert_eq!(relative.misplaced(&PLACES).map(|wrong| wrong.name), Some("XDG_DATA_HOME"));
    }
}
