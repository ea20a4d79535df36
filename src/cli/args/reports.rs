//! Options of the commands that report.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};

use crate::calendar::{AskedDay, Zone};
use crate::domain::amount::{self, AmountFault};
use crate::export::{Cursor, FORMATS, FileFormat, RecordKind};
use crate::report::allocations::AllocationKey;
use crate::report::cost::By;
use crate::report::history;

/// Options of `show-usage`.
#[derive(Debug, Clone, Default, Args)]
pub struct ShowUsageArgs {
    /// A session, by its ID or the start of it
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Add tables by model, step, skill, and MCP server
    #[arg(long)]
    pub detailed: bool,
    /// Add the project's recent sessions
    #[arg(long)]
    pub history: bool,
    /// Only one agent: main, or a subagent type
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only one tool
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// Only one step, by its name or number
    #[arg(long, value_name = "NAME|N")]
    pub step: Option<String>,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `tools`.
#[derive(Debug, Clone, Args)]
pub struct ToolsArgs {
    /// First day: 2026-11-01, today, yesterday, monday, week, month, or 7d, 2w, 3m
    #[arg(long, value_name = "DATE", value_parser = super::values::day)]
    pub since: Option<AskedDay>,
    /// Last day, in the same formats as --since
    #[arg(long, value_name = "DATE", value_parser = super::values::day)]
    pub until: Option<AskedDay>,
    /// Only sessions in this folder or below
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models whose name contains this
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub tz: Option<Zone>,
    /// Show every row; formats other than text always do
    #[arg(long)]
    pub all: bool,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `agents`.
#[derive(Debug, Clone, Args)]
pub struct AgentsArgs {
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `step`.
#[derive(Debug, Clone, Args)]
pub struct StepArgs {
    /// A session, by its ID or the start of it [default: the one this runs in, or this project's most recent]
    #[arg(long, value_name = "ID", global = true)]
    pub session: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub action: StepAction,
}

/// What `step` does.
#[derive(Debug, Clone, Subcommand)]
pub enum StepAction {
    /// Start a step; if several are open, usage counts toward the latest
    Start {
        /// Name of the step
        name: String,
    },
    /// End the latest step, or one by name
    End {
        /// Name of the step
        name: Option<String>,
    },
    /// List the session's steps and what they cost
    List {
        /// How to print it
        #[command(flatten)]
        output: FormatArgs,
    },
}

/// Options of `cost`.
#[derive(Debug, Clone, Args)]
pub struct CostArgs {
    /// What each row represents
    #[arg(long, value_name = "KEY", default_value = "day")]
    pub by: CostBy,
    /// First day: 2026-11-01, today, yesterday, monday, week, month, or 7d, 2w, 3m
    #[arg(long, value_name = "DATE", value_parser = super::values::day)]
    pub since: Option<AskedDay>,
    /// Last day, in the same formats as --since
    #[arg(long, value_name = "DATE", value_parser = super::values::day)]
    pub until: Option<AskedDay>,
    /// Only sessions in this folder or below
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models whose name contains this
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub tz: Option<Zone>,
    /// Compare with the previous period of the same length, or each session with the previous one
    ///
    /// Without --since, the period is the last seven days, or this week with --by week, or this month with --by
    /// month.
    #[arg(long)]
    pub compare: bool,
    /// Split the cost into input, output, cache reads, cache writes, and web searches
    #[arg(long)]
    pub detail: bool,
    /// Show every row; formats other than text always do
    #[arg(long)]
    pub all: bool,
    /// How to print it.
    #[command(flatten)]
    pub output: FormatArgs,
}

/// How a report is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct FormatArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: OutputFormat,
}

impl FormatArgs {
    /// The format that is asked for.
    #[must_use]
    pub const fn format(&self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.format }
    }
}

/// The format of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Tables for the terminal
    #[default]
    Text,
    /// JSON, the same as --json
    Json,
    /// CSV of the first table
    Csv,
    /// Markdown tables
    Markdown,
}

/// Options of `dashboard`.
#[derive(Debug, Clone, Args)]
pub struct DashboardArgs {
    /// The file; created if it doesn't exist
    #[arg(long, value_name = "FILE")]
    pub markdown: PathBuf,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub tz: Option<Zone>,
}

/// Options of `history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Only sessions in this folder or below
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// What comes first
    #[arg(long, value_name = "BY", default_value = "time")]
    pub sort: SessionOrder,
    /// How many sessions to list
    #[arg(long, value_name = "N", default_value = "20", value_parser = rows, allow_negative_numbers = true)]
    pub limit: u32,
    /// List every session
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// How to print it.
    #[command(flatten)]
    pub output: FormatArgs,
}

/// What comes first in a list of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionOrder {
    /// The most recent
    Time,
    /// The most expensive
    Cost,
    /// The most tokens
    Tokens,
}

impl From<SessionOrder> for history::Order {
    fn from(order: SessionOrder) -> Self {
        match order {
            SessionOrder::Time => Self::Time,
            SessionOrder::Cost => Self::Cost,
            SessionOrder::Tokens => Self::Tokens,
        }
    }
}

/// Options of `trends`.
#[derive(Debug, Clone, Args)]
pub struct TrendsArgs {
    /// How many days, ending today
    #[arg(long, value_name = "N", default_value = "7", value_parser = days, allow_negative_numbers = true)]
    pub days: u16,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub tz: Option<Zone>,
    /// How to print it.
    #[command(flatten)]
    pub output: FormatArgs,
}

/// What the rows of `cost` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CostBy {
    /// Days
    Day,
    /// Weeks, starting Monday
    Week,
    /// Months
    Month,
    /// Sessions
    Session,
    /// Folders the sessions ran in
    Project,
    /// Branches
    Branch,
    /// Models
    Model,
    /// Programs that ran the sessions, such as claude-code
    Client,
    /// The main conversation, and subagents by type
    Agent,
    /// What triggered the usage: a subagent, a skill, the scheduler, or the user
    Action,
    /// Tools: their calls and results, including re-reads
    Tool,
    /// Skills
    Skill,
    /// MCP servers
    Mcp,
    /// Named steps, or else the task in progress; all other turns share one row
    Step,
    /// Types of files read or changed
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
            CostBy::Action => Self::AllocationKey(AllocationKey::Action),
            CostBy::Tool => Self::AllocationKey(AllocationKey::Tool),
            CostBy::Skill => Self::AllocationKey(AllocationKey::Skill),
            CostBy::Mcp => Self::AllocationKey(AllocationKey::Mcp),
            CostBy::Step => Self::AllocationKey(AllocationKey::Step),
            CostBy::FileType => Self::AllocationKey(AllocationKey::FileType),
        }
    }
}

/// Options of `capture-cost`.
#[derive(Debug, Clone, Args)]
pub struct CaptureCostArgs {
    /// File with the pasted screen; omit or use - to read stdin
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The session it belongs to, by its ID or the start of it
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// How to print it
    #[command(flatten)]
    pub output: FormatArgs,
}

/// Options of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// What to export
    #[arg(long, value_name = "WHAT", default_value = "calls")]
    pub what: RecordKind,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].name, value_parser = super::values::file_format())]
    pub format: FileFormat,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub tz: Option<Zone>,
    /// Export everything as changes, one JSON object per line, to keep a copy of the ledger elsewhere
    ///
    /// After each page of changes comes a line with a cursor. To get what has changed since then, pass the last cursor you
    /// stored to `--since-cursor`.
    #[arg(long, conflicts_with_all = ["what", "format", "tz"])]
    pub changes: bool,
    /// Export only what has changed since this cursor, in the format of `--changes`
    #[arg(
        long,
        value_name = "CURSOR",
        value_parser = super::values::cursor,
        conflicts_with_all = ["what", "format", "tz"]
    )]
    pub since_cursor: Option<Cursor>,
}

impl ValueEnum for RecordKind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Sessions => "Sessions, each with its usage, cost, agents, and rates",
            Self::Calls => "Tool calls",
            Self::Responses => "API responses",
            Self::Days => "Days",
            Self::Steps => "Steps",
            Self::Compactions => "Compactions",
            Self::Reports => "Reports by agents without hooks",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

fn rows(text: &str) -> Result<u32, AmountFault> {
    amount::count(text, 0, u32::MAX)
}

fn days(text: &str) -> Result<u16, AmountFault> {
    amount::count(text, 1, 3_660)
}
