//! The command line's definition, and no behaviour.

mod alerts;
mod budget;
mod report_usage;
mod reports;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use tallyhook_counter::Encoding;

use crate::domain::{ModelId, amount};
use crate::report::calendar::AskedDay;

pub use alerts::*;
pub use budget::*;
pub use report_usage::*;
pub use reports::*;

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
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Record one hook payload from stdin
    ///
    /// Claude Code runs this for every tool call. It prints nothing unless a budget or an alert speaks, and exits with
    /// 0, whatever it is given.
    Hook(HookArgs),
    /// Register the hook with Claude Code
    ///
    /// Adds tallyhook's hooks to the client's settings and leaves everything else in them as it is. Running it again
    /// changes nothing, or brings an older registration up to date.
    #[command(after_help = "Examples:\n  tallyhook init                 # this project\n  \
                            tallyhook init --scope user    # all projects\n  \
                            tallyhook init --scope local   # this project, for you alone\n  tallyhook init --dry-run")]
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
    /// Be told of spikes, loops, a full context and what subagents cost, as it happens
    ///
    /// All are off until you switch them on. They are said in Claude Code to you, not to the model, once each time, and stop
    /// nothing.
    #[command(after_help = "Examples:\n  tallyhook alerts on                   # all of them\n  \
                            tallyhook alerts on loop --repeats 8\n  tallyhook alerts off spike\n  tallyhook alerts")]
    Alerts(AlertsArgs),
    /// Report what an agent without hooks has used
    ///
    /// Reports are kept apart from what logs tell, and counted by budgets at once. `tallyhook init --client generic` prints
    /// what to add to the agent's instructions.
    #[command(
        after_help = "Examples:\n  tallyhook report-usage --agent-id nightly --model gpt-5.4 --input 12000 --output 800\n  \
                            tallyhook report-usage --agent-id nightly --cost 0.25 --event-id run-17\n  \
                            tallyhook report-usage --agent-id nightly --operation read --chars 40000"
    )]
    ReportUsage(ReportUsageArgs),
    /// Read a pasted /cost or /usage, keep it, and compare it with the ledger
    ///
    /// Takes what any version of Claude Code has shown, from a file or stdin, for this project's newest session. Its numbers
    /// are rounded; two figures agree if they would be shown alike. Lines that cannot be read are named.
    #[command(
        after_help = "Examples:\n  tallyhook capture-cost paste.txt\n  pbpaste | tallyhook capture-cost\n  \
                            tallyhook capture-cost --session 8efa9846 --json < paste.txt"
    )]
    CaptureCost(CaptureCostArgs),
    /// List sessions with what they used, the latest first
    ///
    /// The last row of a long list is all earlier sessions together, so that the rows make the total.
    #[command(
        alias = "sessions",
        after_help = "Examples:\n  tallyhook history\n  tallyhook history --project . --all\n  \
                      tallyhook history --format csv > sessions.csv"
    )]
    History(HistoryArgs),
    /// Show what the last days cost, what changed, and what the month will probably cost
    ///
    /// The forecast adds the mean of the last four weeks' days for each day after today, so on a month's last day it is what
    /// the month has cost. Its range holds four times out of five, if days stay as different from each other as they were.
    #[command(
        after_help = "Examples:\n  tallyhook trends\n  tallyhook trends --days 30\n  tallyhook trends --json"
    )]
    Trends(TrendsArgs),
    /// Write weekly and monthly totals, top agents, models and projects, and spikes into a Markdown file
    ///
    /// The tables stand between two comments that do not show; run it again and they are refreshed in their place. The rest
    /// of the file stays to the letter.
    #[command(after_help = "Examples:\n  tallyhook dashboard --markdown ~/vault/Costs.md\n  \
                            tallyhook dashboard --markdown COSTS.md --tz UTC")]
    Dashboard(DashboardArgs),
    /// Print one line for Claude Code's status line
    ///
    /// Reads the client's JSON on stdin. `tallyhook init` offers to register it. A template names its fields in braces; a part
    /// in brackets is left out where a field in it is empty.
    #[command(after_help = STATUSLINE_HELP)]
    Statusline(StatuslineArgs),
    /// Write out what the ledger holds
    ///
    /// Every record has all its members; what is not known is null (empty in CSV). examples/export.schema.json describes
    /// them. In CSV, a text that a spreadsheet would run as a formula begins with an apostrophe.
    #[command(after_help = "Examples:\n  tallyhook export --what calls --format jsonl > calls.jsonl\n  \
                            tallyhook export --what sessions --format csv > sessions.csv\n  \
                            tallyhook export --what days --tz UTC")]
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

impl Command {
    /// Whether it only shows what is there. Others fail where the ledger cannot be written.
    #[must_use]
    pub fn is_report(&self) -> bool {
        match self {
            Self::ShowUsage(_)
            | Self::Cost(_)
            | Self::Tools(_)
            | Self::Agents(_)
            | Self::History(_)
            | Self::Trends(_)
            | Self::Dashboard(_)
            | Self::Export(_)
            | Self::Doctor(_)
            | Self::Uninstall(_) => true,
            Self::Budget(args) => matches!(args.action, BudgetAction::Status { .. }),
            Self::Alerts(args) => {
                !matches!(args.action, Some(AlertsAction::On { .. } | AlertsAction::Off { .. }))
            }
            Self::Step(args) => matches!(args.action, StepAction::List { .. }),
            Self::Prices(args) => !matches!(args.command, Some(PricesCommand::Set(_))),
            _ => false,
        }
    }
}

/// The fields of the status line's template; a test compares it with the list of them.
const STATUSLINE_HELP: &str = "Fields: model, cost, client_cost, costs, today, budget, context, window, context_percent, \
                               cache, limits, lines_added, lines_removed, duration, api_duration, project, version, \
                               session\n\nExamples:\n  tallyhook statusline --template '{model}[ · {costs}][ · ctx {context_percent}]'\n  \
                               tallyhook statusline --wrap ~/.claude/my-statusline.sh";

/// Options of `statusline`.
#[derive(Debug, Clone, Args)]
pub struct StatuslineArgs {
    /// What the line shows
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Run this status line with the same input, and print its line first
    #[arg(long, value_name = "COMMAND")]
    pub wrap: Option<String>,
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
    /// Show the cost in the status line without asking; one that is there is wrapped and stays above it
    #[arg(long, conflicts_with = "no_statusline")]
    pub statusline: bool,
    /// Leave the status line alone, and do not ask
    #[arg(long)]
    pub no_statusline: bool,
    /// Write no .claude/hooks/hooks.json, which Claude Code does not read
    #[arg(long)]
    pub no_hooks_file: bool,
}

/// Where to register the hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// .claude/settings.json of the working directory, for everybody who works in it
    Project,
    /// .claude/settings.local.json of the working directory, for you alone
    Local,
    /// settings.json of the client's own folder, for all projects
    User,
}

/// Options of `uninstall`.
#[derive(Debug, Clone, Args)]
pub struct UninstallArgs {
    /// Remove the ledger, and tallyhook's own settings and prices, too
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
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub input: u64,
    /// Output
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub output: u64,
    /// Reading from the cache
    #[arg(long, value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_read: Option<u64>,
    /// Writing to the cache for 5 minutes
    #[arg(long = "cache-write-5m", value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_write_5m: Option<u64>,
    /// Writing to the cache for 1 hour
    #[arg(long = "cache-write-1h", value_name = "USD", value_parser = amount::per_million, allow_negative_numbers = true)]
    pub cache_write_1h: Option<u64>,
    /// First day of the price (UTC): 2026-11-01, today, monday, month; without it, it holds from the beginning
    #[arg(long, value_name = "DATE", value_parser = super::cost::day)]
    pub from: Option<AskedDay>,
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
#[derive(Debug, Clone, Args)]
pub struct HookArgs {
    /// The agent that calls
    #[arg(long, value_name = "NAME", default_value = "claude-code")]
    pub client: String,
}
