//! The settings file, and the project's own: `config.toml` below the user's folder, `.claude/tallyhook.toml` in a
//! project.
//!
//! A project's file comes with a checkout and so from somebody else: it may name defaults for subagents and lower the
//! limits of budgets that the user has set, nothing more. A file that is not there is the normal case and costs one failed `open`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::amount::{self, AmountFault};
use crate::domain::{Limit, OneLine as _, Per, PicoUsd, clean_name};
use crate::estimate::subagents::{Defaults, Overrides, rule_of_thumb};
use crate::regular;

/// Largest settings file that is read.
const MAX_BYTES: u64 = 64 * 1024;
const MAX_REASON_CHARS: usize = 200;

/// A settings file that cannot be used. The hook goes on with the built-in values; commands stop.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there but cannot be read.
    #[error("can't read the settings in {path}: {source}", path = .path.one_line())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not valid, or names something that does not exist.
    #[error("can't use the settings in {path}: line {line}, column {column}: {reason}", path = .path.one_line())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file that the user has named is not there.
    #[error("the settings file {path} doesn't exist", path = .path.one_line())]
    Missing {
        /// The file.
        path: PathBuf,
    },
}

/// The settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether names from sessions (their titles) are kept. If not, sessions are shown by number.
    pub store_names: bool,
    /// Rows that replace those of the per-subagent defaults table.
    pub subagents: Overrides,
    /// What the project lowers the limits of budgets to.
    pub lowered: Lowered,
    /// What a power cut may take.
    pub durability: Durability,
}

/// What of the hook's events a power cut may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The turn at hand: the disk is waited for when a turn ends.
    #[default]
    Turn,
    /// Nothing: it is waited for at each event.
    Full,
}

/// What a project lowers the limits of budgets to, by the time that they last. It can raise none, and makes none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lowered(Vec<(Per, Limit)>);

impl Lowered {
    /// The limit that holds in the project.
    #[must_use]
    pub fn limit(&self, per: Per, limit: Limit) -> Limit {
        self.0.iter().filter(|(own, _)| *own == per).fold(limit, |limit, (_, own)| limit.min(*own))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store_names: true,
            subagents: Overrides::new(),
            lowered: Lowered::default(),
            durability: Durability::default(),
        }
    }
}

/// Which table subagents are estimated by.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    #[default]
    Measured,
    RuleOfThumb,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    store_names: Option<bool>,
    #[serde(default)]
    durability: Durability,
    #[serde(default)]
    subagent_defaults: Preset,
    #[serde(default)]
    subagents: BTreeMap<String, SubagentRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectFile {
    #[serde(default)]
    subagents: BTreeMap<String, SubagentRow>,
    #[serde(default)]
    budgets: BTreeMap<BudgetPeriod, LowerLimit>,
}

/// A key of `[budgets]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BudgetPeriod {
    Session,
    Day,
    Week,
    Month,
    Total,
}

impl From<BudgetPeriod> for Per {
    fn from(period: BudgetPeriod) -> Self {
        match period {
            BudgetPeriod::Session => Self::Session,
            BudgetPeriod::Day => Self::Day,
            BudgetPeriod::Week => Self::Week,
            BudgetPeriod::Month => Self::Month,
            BudgetPeriod::Total => Self::Total,
        }
    }
}

/// `session = { usd = "2.50", tokens = 1000000 }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LowerLimit {
    #[serde(default, deserialize_with = "usd")]
    usd: Option<PicoUsd>,
    #[serde(default, deserialize_with = "tokens")]
    tokens: Option<u64>,
}

/// An amount as people write it, as a number or as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAmount {
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl WrittenAmount {
    /// Its text. Rust writes the shortest decimal that reads back as the same float, which is what stands in the file.
    fn text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// Reads an amount. The error repeats nothing of the file.
fn typed<'de, T, D: serde::Deserializer<'de>>(
    deserializer: D,
    read: impl Fn(&str) -> Result<T, AmountFault>,
    wrong: &str,
) -> Result<Option<T>, D::Error> {
    let amount = WrittenAmount::deserialize(deserializer).ok();
    let read = amount.and_then(|amount| read(&amount.text()).ok());
    read.map(Some).ok_or_else(|| serde::de::Error::custom(wrong))
}

fn usd<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PicoUsd>, D::Error> {
    typed(deserializer, amount::usd, "this isn't an amount in USD; write it like 2.50")
}

fn tokens<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    typed(deserializer, amount::tokens, "this isn't a number of tokens; write it like 500000 or \"500k\"")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubagentRow {
    returned_tokens: u32,
    final_context_tokens: u32,
    billed_tokens: u32,
}

impl From<SubagentRow> for Defaults {
    fn from(row: SubagentRow) -> Self {
        Self {
            returned: row.returned_tokens.into(),
            final_context: row.final_context_tokens.into(),
            billed: row.billed_tokens.into(),
            runs: 0,
        }
    }
}

impl Config {
    /// Reads the user's file; a given one must be there.
    ///
    /// # Errors
    /// If it cannot be read or used.
    pub fn of_user(usual: Option<&Path>, given: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let file: Option<UserFile> = match (given, usual) {
            (Some(path), _) => {
                Some(read(path)?.ok_or_else(|| ConfigError::Missing { path: path.to_path_buf() })?)
            }
            (None, Some(path)) => read(path)?,
            (None, None) => None,
        };
        if let Some(file) = file {
            config.store_names = file.store_names.unwrap_or(config.store_names);
            config.durability = file.durability;
            if file.subagent_defaults == Preset::RuleOfThumb {
                config.subagents = rule_of_thumb();
            }
            config.subagents.extend(rows(file.subagents));
        }
        Ok(config)
    }

    /// What the user's file says of durability alone. Each event asks, so a file that has no word of it is not parsed, and
    /// one that cannot be used says nothing.
    #[must_use]
    pub fn durability_of_user(usual: Option<&Path>, given: Option<&Path>) -> Durability {
        let Some(path) = given.or(usual) else { return Durability::default() };
        let text = text_of(path).ok().flatten().filter(|text| text.contains("durability"));
        let file = text.and_then(|text| toml::from_str::<UserFile>(&text).ok());
        file.map(|file| file.durability).unwrap_or_default()
    }

    /// Adds what a project's file says; the user's rows win.
    ///
    /// # Errors
    /// If the file is there but cannot be read or used. Then nothing of it is taken.
    pub fn add_project(&mut self, project: &Path) -> Result<(), ConfigError> {
        let file: Option<ProjectFile> = read(&project.join(".claude").join("tallyhook.toml"))?;
        let Some(file) = file else { return Ok(()) };
        for (name, row) in rows(file.subagents) {
            self.subagents.entry(name).or_insert(row);
        }
        for (period, lower) in file.budgets {
            let limits = [lower.usd.map(Limit::Usd), lower.tokens.map(Limit::Tokens)];
            self.lowered.0.extend(limits.into_iter().flatten().map(|limit| (period.into(), limit)));
        }
        Ok(())
    }

    /// The values to go on with when the user's file cannot be used: nothing is kept that he may have forbidden.
    #[must_use]
    pub fn cautious() -> Self {
        Self { store_names: false, ..Self::default() }
    }
}

fn rows(rows: BTreeMap<String, SubagentRow>) -> Overrides {
    rows.into_iter().map(|(name, row)| (name.to_lowercase(), row.into())).collect()
}

/// Reads a file's text; `None` if there is none. A checkout can hold anything under that name, so only a regular file of a
/// sensible size is read.
fn text_of(path: &Path) -> Result<Option<String>, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.to_path_buf(), source };
    match regular::read_text(path, MAX_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(fail(source)),
    }
}

/// Reads a file; `None` if there is none. An error shows nothing of what stands in it.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, ConfigError> {
    let Some(text) = text_of(path)? else { return Ok(None) };
    toml::from_str(&text).map(Some).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        ConfigError::Parse {
            path: path.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            reason: clean_name(error.message(), MAX_REASON_CHARS).unwrap_or_default(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".claude").join("tallyhook.toml");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        (dir, file)
    }

    #[test]
    fn a_project_may_set_defaults_and_nothing_else() {
        let row = "returned_tokens = 1\nfinal_context_tokens = 2\nbilled_tokens = 3\n";
        let (dir, file) = project(&format!("[subagents.Mine]\n{row}"));
        let mut config = Config::default();
        config.add_project(dir.path()).unwrap();
        assert_eq!(config.subagents["mine"].billed, 3);

        std::fs::write(&file, "\nstore_names = false\n").unwrap();
        let error = config.add_project(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("tallyhook.toml: line 2, column 1") && error.contains("store_names"),
            "{error}"
        );
        assert!(config.store_names);
    }

    #[test]
    fn a_project_lowers_limits_and_raises_none() {
        let (dir, file) =
            project("[budgets]\nsession = { usd = \"2.50\", tokens = 1000 }\nday = { usd = \"9\" }\n");
        let mut config = Config::default();
        config.add_project(dir.path()).unwrap();
        let usd = |text: &str| Limit::Usd(PicoUsd::parse(text).unwrap());
        assert_eq!(config.lowered.limit(Per::Session, usd("5")), usd("2.5"));
        assert_eq!(config.lowered.limit(Per::Session, usd("1")), usd("1"));
        assert_eq!(config.lowered.limit(Per::Session, Limit::Tokens(5_000)), Limit::Tokens(1_000));
        assert_eq!(config.lowered.limit(Per::Day, Limit::Tokens(5_000)), Limit::Tokens(5_000));
        assert_eq!(config.lowered.limit(Per::Week, usd("50")), usd("50"));
        let texts = [
            "session = { stop = false }",
            "year = { usd = \"1\" }",
            "day = { usd = \"2,50\" }",
            "day = { usd = \"1,000\" }",
            "day = { usd = -1 }",
            "day = { usd = nan }",
            "day = { usd = 1e400 }",
            "day = { usd = 9300000 }",
            "day = { usd = true }",
            "day = { tokens = \"1,5\" }",
            "day = { tokens = -1 }",
        ];
        for text in texts {
            let text = format!("[budgets]\n{text}\n");
            std::fs::write(&file, &text).unwrap();
            let error = Config::default().add_project(dir.path()).unwrap_err().to_string();
            assert!(error.contains("line 2, column"), "{text}: {error}");
            assert!(!error.contains("2,50") && !error.contains("9300000"), "{error}");
        }
    }

    #[test]
    fn amounts_are_numbers_or_texts() {
        let (dir, _file) = project("[budgets]\nday = { usd = 2.5, tokens = \"500k\" }\nweek = { usd = 3 }\n");
        let mut config = Config::default();
        config.add_project(dir.path()).unwrap();
        let usd = |text: &str| Limit::Usd(amount::usd(text).unwrap());
        assert_eq!(config.lowered.limit(Per::Day, usd("5")), usd("2.50"));
        assert_eq!(config.lowered.limit(Per::Week, usd("5")), usd("3"));
        assert_eq!(config.lowered.limit(Per::Day, Limit::Tokens(1_000_000)), Limit::Tokens(500_000));
    }

    #[test]
    fn durability_is_the_users_and_what_cannot_be_used_says_nothing_of_it() {
        let (dir, project_file) = project("durability = \"full\"\n");
        assert!(Config::default().add_project(dir.path()).is_err());
        let of = |text: &str| {
            let file = dir.path().join("config.toml");
            std::fs::write(&file, text).unwrap();
            let config =
                Config::of_user(Some(&file), None).map(|config| config.durability).unwrap_or_default();
            assert_eq!(Config::durability_of_user(Some(&file), None), config, "{text}");
            assert_eq!(Config::durability_of_user(Some(&project_file), Some(&file)), config, "{text}");
            config
        };
        assert_eq!(of("store_names = false\ndurability = \"full\"\n"), Durability::Full);
        for text in
            ["durability = \"turn\"\n", "", "store_names = true\n", "durability = \"never\"\n", "durability"]
        {
            assert_eq!(of(text), Durability::Turn, "{text}");
        }
        assert_eq!(Config::durability_of_user(Some(&dir.path().join("none")), None), Durability::Turn);
    }

    #[test]
    fn an_error_shows_nothing_of_the_file() {
        let (dir, _file) = project("aws_secret_access_key = AKIA\u{1b}[31mSECRET\n");
        let error = Config::default().add_project(dir.path()).unwrap_err().to_string();
        assert!(!error.contains("AKIA") && !error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn what_is_no_small_regular_file_is_not_read() {
        let (dir, file) = project("");
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert!(Config::default().add_project(dir.path()).is_err());
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, "#".repeat(70_000)).unwrap();
        assert!(Config::default().add_project(dir.path()).is_err());
    }

    #[test]
    fn no_file_means_the_built_in_values_unless_it_was_named() {
        let none = Path::new("/nowhere/none.toml");
        assert_eq!(Config::of_user(Some(none), None).unwrap(), Config::default());
        assert!(Config::of_user(None, Some(none)).is_err());
    }
}
