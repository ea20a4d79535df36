//! The command line's definition, and no behaviour.

mod alerts;
mod budget;
mod report_usage;
mod reports;
mod values;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use tallyhook_counter::Encoding;

use crate::calendar::AskedDay;
use crate::domain::{Client, ModelId, amount};

pub use alerts::*;
pub use budget::*;
pub use report_usage::*;
pub use reports::*;

/// Options of all commands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Ledger file [default: $TALLYHOOK_DB, then ~/.local/share/tallyhook/ledger.db]
    #[arg(long, global = true, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// Settings file [default: ~/.config/tallyhook/config.toml]
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// When to color the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// When to colour the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// In a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Options of `statusline`.
#[derive(Debug, Clone, Args)]
pub struct StatuslineArgs {
    /// What the line shows
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Run this status line with the same input and print its output first
    #[arg(long, value_name = "COMMAND")]
    pub wrap: Option<String>,
}

/// Options of `init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where to register the hook
    #[arg(long, value_name = "SCOPE", default_value = "project")]
    pub scope: ScopeArg,
    /// The client to register with: claude-code, codex, gemini-cli, copilot-cli, or qwen; generic prints instructions for an
    /// agent without hooks
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: String,
    /// Show the changes without making them
    #[arg(long)]
    pub dry_run: bool,
    /// Import existing transcripts without asking
    #[arg(long, conflicts_with = "no_import")]
    pub import: bool,
    /// Don't import existing transcripts, and don't ask
    #[arg(long)]
    pub no_import: bool,
    /// Show the cost in the status line without asking; an existing status line is kept above it
    #[arg(long, conflicts_with = "no_statusline")]
    pub statusline: bool,
    /// Leave the status line alone, and don't ask
    #[arg(long)]
    pub no_statusline: bool,
    /// Don't write .claude/hooks/hooks.json, which Claude Code doesn't read
    #[arg(long)]
    pub no_hooks_file: bool,
}

/// Where to register the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// This folder's .claude/settings.json, shared by everyone who works in it
    Project,
    /// This folder's .claude/settings.local.json, for you alone
    Local,
    /// Your user settings.json, for all your projects
    User,
}

/// Options of `uninstall`.
#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Also remove the ledger and tallyhook's own settings and prices
    #[arg(long)]
    pub purge: bool,
    /// Don't ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Show the changes without making them
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Apply safe fixes
    #[arg(long)]
    pub fix: bool,
    /// Also compare the token counter with tiktoken-rs on sample texts; takes a second
    #[arg(long)]
    pub verify: bool,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// A folder of logs, or one log, instead of the clients' own folders
    #[arg(long, value_name = "PATH")]
    pub path: Option<PathBuf>,
    /// The client whose logs to read
    #[arg(long, value_name = "NAME", default_value = "all", value_parser = import_client())]
    pub client: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The clients whose logs can be read, and `all`.
fn import_client() -> clap::builder::PossibleValuesParser {
    let is_read = |client: &Client| crate::clients::log_readers().any(|reader| reader.client() == *client);
    let names = Client::ALL.into_iter().filter(is_read).map(Client::name);
    clap::builder::PossibleValuesParser::new(names.chain(["all"]))
}

/// Options of `count`.
#[derive(Debug, Clone, Args)]
pub struct CountArgs {
    /// Files to count; omit or use - to read stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The encoding [default: the one --model uses, or cl100k_base]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<EncodingArg>,
    /// Also estimate what this model would read
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// An encoding of tiktoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// For GPT-4; also the basis of estimates for Claude
    #[value(name = "cl100k_base")]
    Cl100kBase,
    /// For OpenAI's models since GPT-4o
    #[value(name = "o200k_base")]
    O200kBase,
}

impl From<EncodingArg> for Encoding {
    fn from(encoding: EncodingArg) -> Self {
        match encoding {
            EncodingArg::Cl100kBase => Self::Cl100kBase,
            EncodingArg::O200kBase => Self::O200kBase,
        }
    }
}

/// Options of `prices`.
#[derive(Debug, Clone, Args)]
pub struct PricesArgs {
    /// What to do; list if nothing is said.
    #[command(subcommand)]
    pub command: Option<PricesCommand>,
}

/// What `prices` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum PricesCommand {
    /// List models and their prices, in USD per million tokens
    List(PricesListArgs),
    /// Show one model's names, dates, price tiers, and price source
    Show(PricesShowArgs),
    /// Set your own price, which overrides the built-in one
    ///
    /// Stored in prices.toml next to the settings file, in USD per million tokens. Cache prices you leave out keep
    /// their ratio to the input price. For an unknown model, they equal the input price or, for Claude, Anthropic's
    /// usual multiple of it.
    Set(PricesSetArgs),
    /// List models in the ledger that have no price, and show how old the prices are
    ///
    /// Exits with 1 if a model has no price.
    Check(PricesCheckArgs),
}

/// Options of `prices list`.
#[derive(Debug, Clone, Default, Args)]
pub struct PricesListArgs {
    /// Only models whose name or provider contains this
    pub filter: Option<String>,
    /// Include past and future prices, and those for long prompts
    #[arg(long)]
    pub all: bool,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `prices show`.
#[derive(Debug, Clone, Args)]
pub struct PricesShowArgs {
    /// The model, by any name it has in the logs
    pub model: String,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `prices set`.
#[derive(Debug, Clone, Args)]
pub struct PricesSetArgs {
    /// The model
    #[arg(value_parser = model_id)]
    pub model: ModelId,
    /// Price of input tokens
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub input: u64,
    /// Price of output tokens
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub output: u64,
    /// Price of cache reads
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_read: Option<u64>,
    /// Price of 5-minute cache writes
    #[arg(long = "cache-write-5m", value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_write_5m: Option<u64>,
    /// Price of 1-hour cache writes
    #[arg(long = "cache-write-1h", value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_write_1h: Option<u64>,
    /// First day the price applies (UTC): 2026-11-01, today, monday, or month [default: always in effect]
    #[arg(long, value_name = "DATE", value_parser = values::day)]
    pub from: Option<AskedDay>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `prices check`.
#[derive(Debug, Clone, Args)]
pub struct PricesCheckArgs {
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

fn model_id(text: &str) -> Result<ModelId, String> {
    ModelId::new(text.trim()).ok_or_else(|| "not a valid model name".to_owned())
}

/// Options of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Options of `hook`.
#[derive(Debug, Clone, Args)]
pub struct HookArgs {
    /// The client that runs the hook
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: String,
}
