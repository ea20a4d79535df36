//! The command line's definition, and no behaviour.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::budget_args::BudgetArgs;
use crate::domain::{ModelId, Timestamp};
use crate::estimate::counter::Encoding;
use crate::report::calendar::{AskedDay, Zone};
use crate::report::cost::By;
use crate::report::origins::Origin;

/// Token and cost ledger for coding agents.
///
/// Every tool call of Claude Code is estimated the moment it happens; every figure is corrected to the provider's
/// own numbers when the turn ends. Nothing leaves this machine, and no content is kept.
#[derive(Debug, Parser)]
#[command(name = "tallyhook", version, about, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of all commands.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Use this ledger instead of $TALLYHOOK_DB
    #[arg(long, global = true, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// Use this settings file
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// When to colour the output
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

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record one hook payload from stdin
    ///
    /// Claude Code runs this for every tool call. It prints nothing and always exits with 0, whatever it is given.
    Hook(HookArgs),
    /// Register the hook with Claude Code
    ///
    /// Adds tallyhook's hooks to the client's settings and leaves everything else in them as it is. Running it again
    /// changes nothing, or brings an older registration up to date.
    #[command(after_help = "Examples:\n  tallyhook init                 # this project\n  \
                            tallyhook init --scope user    # all projects\n  tallyhook init --dry-run")]
    Init(InitArgs),
    /// Remove the hook from Claude Code
    ///
    /// Removes what is ours from the settings of this project, of all projects that the ledger knows, and of the
    /// user. The ledger stays, unless --purge is given.
    Uninstall(UninstallArgs),
    /// Check that everything works, and say what to do where it does not
    #[command(
        after_help = "Examples:\n  tallyhook doctor\n  tallyhook doctor --fix\n  tallyhook doctor --json"
    )]
    Doctor(DoctorArgs),
    /// Show what a session has used so far
    ///
    /// Without options: this project's session with the latest activity. Numbers with ~ are estimates; all others
    /// are the provider's own, read from the session's transcript.
    #[command(
        alias = "usage",
        after_help = "Examples:\n  tallyhook show-usage\n  tallyhook show-usage --detailed\n  \
                      tallyhook show-usage --session 8efa9846 --json\n  tallyhook show-usage --agent Explore"
    )]
    ShowUsage(ShowUsageArgs),
    /// Show what was spent, by day or by what it was spent on
    ///
    /// These are the provider's own numbers, subagents included, at the prices that held when they were spent. Days are
    /// those of your time zone. A model without a price is shown as unknown, never as free.
    #[command(
        after_help = "Examples:\n  tallyhook cost --since 7d\n  tallyhook cost --by model --since 2026-11-01\n  \
                            tallyhook cost --by session --project . --detail\n  tallyhook cost --by month --compare\n  \
                            tallyhook cost --by agent --since 30d --json"
    )]
    Cost(CostArgs),
    /// Show what tools cost, when their results came in and each time they were read again
    ///
    /// A result is paid for when it enters the context (entry) and again by every later response that reads it (carry),
    /// until a compaction drops it. What is no tool stands in brackets; all rows make up the whole.
    #[command(after_help = "Examples:\n  tallyhook tools\n  tallyhook tools --since 7d --project .")]
    Tools(ToolsArgs),
    /// Show what agents cost, and what a run of each type is taken to use
    #[command(after_help = "Examples:\n  tallyhook agents\n  tallyhook agents --json")]
    Agents(AgentsArgs),
    /// Name the work of a session, to see what it costs
    ///
    /// Without a name the step is the task in progress on the agent's own list, else the turn.
    #[command(
        after_help = "Examples:\n  tallyhook step start \"write the parser\"\n  tallyhook step end\n  \
                      tallyhook step list\n  tallyhook show-usage --step \"write the parser\""
    )]
    Step(StepArgs),
    /// Set limits for what is spent, that warn or really stop
    ///
    /// What counts is what the provider has billed, subagents and hidden calls included, and with ~ what the last results
    /// are estimated to add. With --stop a session ends before the next request that would be paid.
    #[command(
        after_help = "Examples:\n  tallyhook budget set 5                       # USD, each session, warn at 80 %\n  \
                            tallyhook budget set 20 --per day --stop     # and stop there\n  \
                            tallyhook budget set 2000000 --tokens --agent Explore\n  tallyhook budget status\n  \
                            tallyhook budget add 5\n  tallyhook budget override --for 1h"
    )]
    Budget(BudgetArgs),
    /// Write out what the ledger holds
    #[command(after_help = "Examples:\n  tallyhook export --what calls --format jsonl > calls.jsonl")]
    Export(ExportArgs),
    /// Fill the ledger from the transcripts that are there
    ///
    /// Reads all transcripts of Claude Code, or all below a folder, and stores what is new in them. It can be stopped and
    /// run again at any time, and counts nothing twice that the hook has stored.
    #[command(
        after_help = "Examples:\n  tallyhook import\n  tallyhook import --path ~/backup/claude-projects"
    )]
    Import(ImportArgs),
    /// Count the tokens of files, or of stdin
    ///
    /// The number is tiktoken's own. Claude's tokenizers are not public; with --model the second number says what that
    /// model is estimated to read.
    #[command(after_help = "Examples:\n  tallyhook count README.md src/*.rs\n  \
                            git diff | tallyhook count --model claude-opus-5-5\n  \
                            tallyhook count --encoding o200k_base --json notes.txt")]
    Count(CountArgs),
    /// Show, set and check the prices of models
    ///
    /// The built-in table has a date, and prices change: a price that you set goes first. A model without a price is
    /// shown as unknown, never as free.
    #[command(
        after_help = "Examples:\n  tallyhook prices list claude\n  tallyhook prices show claude-sonnet-5-5\n  \
                            tallyhook prices set my-model --input 0.25 --output 1 --from 2026-12-01\n  \
                            tallyhook prices check"
    )]
    Prices(PricesArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  tallyhook completions bash > ~/.local/share/bash-completion/completions/tallyhook"
    )]
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(after_help = "Examples:\n  tallyhook man > ~/.local/share/man/man1/tallyhook.1")]
    Man,
}

/// Options of `init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where to register the hook
    #[arg(long, value_name = "SCOPE", default_value = "project")]
    pub scope: ScopeArg,
    /// The agent to register with
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: String,
    /// Show the changes and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Import the transcripts that are there without asking
    #[arg(long, conflicts_with = "no_import")]
    pub import: bool,
    /// Do not import them, and do not ask
    #[arg(long)]
    pub no_import: bool,
}

/// Where to register the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// .claude/settings.json of the working directory
    Project,
    /// settings.json of the client's own folder, for all projects
    User,
}

/// Options of `uninstall`.
#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Remove the ledger and the settings file of tallyhook too
    #[arg(long)]
    pub purge: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show the changes and make none
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Mend what can be mended without harm
    #[arg(long)]
    pub fix: bool,
    /// Count samples with tiktoken-rs too, and compare; takes a second
    #[arg(long)]
    pub verify: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// A folder of transcripts, or one of them, in place of the client's own folders
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
    /// Whose logs to read
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: ImportClient,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whose logs can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportClient {
    /// Claude Code's transcripts
    ClaudeCode,
}

/// Options of `count`.
#[derive(Debug, Clone, Args)]
pub struct CountArgs {
    /// Files; - or none for stdin
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The encoding; else that of --model, else cl100k_base
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<EncodingArg>,
    /// Add what this model is estimated to read
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// An encoding of tiktoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// Of GPT-4; also what Claude's tokens are estimated from
    #[value(name = "cl100k_base")]
    Cl100kBase,
    /// Of OpenAI's models since GPT-4o
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
    /// List the models and their prices, in USD for a million tokens
    List(PricesListArgs),
    /// Show one model: its names, dates, tiers and where its prices were read
    Show(PricesShowArgs),
    /// Set a price of your own, which goes before the built-in one
    ///
    /// It is written to prices.toml beside the settings file. Prices are in USD for a million tokens. Cache prices that
    /// are not given keep the share of the input's that they had; those of an unknown model are the input's, or for
    /// Claude the provider's usual share of it.
    Set(PricesSetArgs),
    /// Say which models in the ledger have no price, and how old the prices are
    ///
    /// Exits with 1 if there is one.
    Check(PricesCheckArgs),
}

/// Options of `prices list`.
#[derive(Debug, Clone, Default, Args)]
pub struct PricesListArgs {
    /// Only models whose name or provider contains this
    pub filter: Option<String>,
    /// Add past and coming prices and those of long prompts
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `prices show`.
#[derive(Debug, Clone, Args)]
pub struct PricesShowArgs {
    /// The model, under any name that logs give it
    pub model: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `prices set`.
#[derive(Debug, Clone, Args)]
pub struct PricesSetArgs {
    /// The model
    #[arg(value_parser = model_id)]
    pub model: ModelId,
    /// Input
    #[arg(long, value_name = "USD", value_parser = super::prices::per_million)]
    pub input: u64,
    /// Output
    #[arg(long, value_name = "USD", value_parser = super::prices::per_million)]
    pub output: u64,
    /// Reading from the cache
    #[arg(long, value_name = "USD", value_parser = super::prices::per_million)]
    pub cache_read: Option<u64>,
    /// Writing to the cache for 5 minutes
    #[arg(long = "cache-write-5m", value_name = "USD", value_parser = super::prices::per_million)]
    pub cache_write_5m: Option<u64>,
    /// Writing to the cache for 1 hour
    #[arg(long = "cache-write-1h", value_name = "USD", value_parser = super::prices::per_million)]
    pub cache_write_1h: Option<u64>,
    /// First day of the price (UTC); without it, it holds from the beginning
    #[arg(long, value_name = "DATE", value_parser = super::prices::date)]
    pub from: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `prices check`.
#[derive(Debug, Clone, Args)]
pub struct PricesCheckArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn model_id(text: &str) -> Result<ModelId, String> {
    ModelId::new(text.trim()).ok_or_else(|| "this can be no model's name".to_owned())
}

/// Options of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Options of `hook`.
#[derive(Debug, Args)]
pub struct HookArgs {
    /// The agent that calls
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: String,
}

/// Options of `show-usage`.
#[derive(Debug, Clone, Default, Args)]
pub struct ShowUsageArgs {
    /// A session by its id, or by enough of its start
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Add tables by model, skill and MCP server
    #[arg(long)]
    pub detailed: bool,
    /// Add the project's recent sessions
    #[arg(long)]
    pub history: bool,
    /// Only one agent: main, or a subagent's type
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only one tool
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Only one step: its name, or its number in the order of time
    #[arg(long, value_name = "NAME|N")]
    pub step: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `tools`.
#[derive(Debug, Clone, Args)]
pub struct ToolsArgs {
    /// From this day on: a date, today, yesterday, or 7d for the last seven days
    #[arg(long, value_name = "DATE", value_parser = super::cost::day)]
    pub since: Option<AskedDay>,
    /// Up to this day, with it
    #[arg(long, value_name = "DATE", value_parser = super::cost::day)]
    pub until: Option<AskedDay>,
    /// Only the sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::cost::zone)]
    pub tz: Option<Zone>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `agents`.
#[derive(Debug, Clone, Args)]
pub struct AgentsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `step`.
#[derive(Debug, Clone, Args)]
pub struct StepArgs {
    /// A session by its id, or by enough of its start; else the one that this runs in, or this project's newest
    #[arg(long, value_name = "ID", global = true)]
    pub session: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub action: StepAction,
}

/// What `step` does.
#[derive(Debug, Clone, Subcommand)]
pub enum StepAction {
    /// Start a step; of steps that are open at once the one that was started last counts
    Start {
        /// Its name
        name: String,
    },
    /// End the step that was started last, or one by its name
    End {
        /// Its name
        name: Option<String>,
    },
    /// List the session's steps with what they cost
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Options of `cost`.
#[derive(Debug, Clone, Args)]
pub struct CostArgs {
    /// What the rows are
    #[arg(long, value_name = "KEY", default_value = "day")]
    pub by: CostBy,
    /// From this day on: a date, today, yesterday, or 7d for the last seven days
    #[arg(long, value_name = "DATE", value_parser = super::cost::day)]
    pub since: Option<AskedDay>,
    /// Up to this day, with it
    #[arg(long, value_name = "DATE", value_parser = super::cost::day)]
    pub until: Option<AskedDay>,
    /// Only the sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::cost::zone)]
    pub tz: Option<Zone>,
    /// Compare with the period of equal length before, or each session with the one before
    ///
    /// Without --since the period is the last seven days, with --by week this week, with --by month this month.
    #[arg(long)]
    pub compare: bool,
    /// Split the cost by input, output, cache reads, cache writes and web searches
    #[arg(long)]
    pub detail: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What the rows of `cost` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CostBy {
    /// Days
    Day,
    /// Weeks, from Monday on
    Week,
    /// Months
    Month,
    /// Sessions
    Session,
    /// The folders that the sessions ran in
    Project,
    /// Branches
    Branch,
    /// Models
    Model,
    /// Programs that ran the sessions
    Client,
    /// The main conversations, and subagents by their type
    Agent,
    /// What set it off: subagents, skills, the scheduler, the user
    Action,
    /// Tools: what their calls and results cost, when they came in and each time they were read again
    Tool,
    /// Skills
    Skill,
    /// MCP servers
    Mcp,
    /// Steps: named ones, else the task in progress, else the turn
    Step,
    /// The kinds of files that were read or changed
    FileType,
}

impl From<CostBy> for By {
    fn from(by: CostBy) -> Self {
        match by {
            CostBy::Day => Self::Day,
            CostBy::Week => Self::Week,
            CostBy::Month => Self::Month,
            CostBy::Session => Self::Session,
            CostBy::Project => Self::Project,
            CostBy::Branch => Self::Branch,
            CostBy::Model => Self::Model,
            CostBy::Client => Self::Client,
            CostBy::Agent => Self::Agent,
            CostBy::Action => Self::Origin(Origin::Action),
            CostBy::Tool => Self::Origin(Origin::Tool),
            CostBy::Skill => Self::Origin(Origin::Skill),
            CostBy::Mcp => Self::Origin(Origin::Mcp),
            CostBy::Step => Self::Origin(Origin::Step),
            CostBy::FileType => Self::Origin(Origin::FileType),
        }
    }
}

/// Options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// What to write out
    #[arg(long, value_name = "WHAT", default_value = "calls")]
    pub what: ExportWhat,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub format: ExportFormat,
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportWhat {
    /// Tool calls
    Calls,
}

/// How it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
}
