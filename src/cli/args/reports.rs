//! Options of the commands that report.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::amount::{self, AmountFault};
use crate::report::calendar::{AskedDay, Zone};
use crate::report::cost::By;
use crate::report::origins::Origin;

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
    /// First day: 2026-11-01, today, yesterday, monday, week, month, or 7d, 2w, 3m for the last days
    #[arg(long, value_name = "DATE", value_parser = crate::cli::cost::day)]
    pub since: Option<AskedDay>,
    /// Last day, in the same forms
    #[arg(long, value_name = "DATE", value_parser = crate::cli::cost::day)]
    pub until: Option<AskedDay>,
    /// Only the sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = crate::cli::cost::zone)]
    pub tz: Option<Zone>,
    /// Give every row a line, however many there are; other formats always do
    #[arg(long)]
    pub all: bool,
    /// How it is printed
    #[command(flatten)]
    pub face: FaceArgs,
}

/// Options of `agents`.
#[derive(Debug, Clone, Args)]
pub struct AgentsArgs {
    /// How it is printed
    #[command(flatten)]
    pub face: FaceArgs,
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
    /// First day: 2026-11-01, today, yesterday, monday, week, month, or 7d, 2w, 3m for the last days
    #[arg(long, value_name = "DATE", value_parser = crate::cli::cost::day)]
    pub since: Option<AskedDay>,
    /// Last day, in the same forms
    #[arg(long, value_name = "DATE", value_parser = crate::cli::cost::day)]
    pub until: Option<AskedDay>,
    /// Only the sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = crate::cli::cost::zone)]
    pub tz: Option<Zone>,
    /// Compare with the period of equal length before, or each session with the one before
    ///
    /// Without --since the period is the last seven days, with --by week this week, with --by month this month.
    #[arg(long)]
    pub compare: bool,
    /// Split the cost by input, output, cache reads, cache writes and web searches
    #[arg(long)]
    pub detail: bool,
    /// Give every row a line, however many there are; other formats always do
    #[arg(long)]
    pub all: bool,
    /// How to print it.
    #[command(flatten)]
    pub face: FaceArgs,
}

/// How a report is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct FaceArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Face,
}

impl FaceArgs {
    /// The format that is asked for.
    #[must_use]
    pub const fn face(&self) -> Face {
        if self.json { Face::Json } else { self.format }
    }
}

/// How a report can be printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Face {
    /// Tables for the terminal
    #[default]
    Text,
    /// JSON, the same as --json
    Json,
    /// The first table as CSV
    Csv,
    /// Markdown tables
    Markdown,
}

/// Options of `dashboard`.
#[derive(Debug, Clone, Args)]
pub struct DashboardArgs {
    /// The file; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    pub markdown: PathBuf,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = crate::cli::cost::zone)]
    pub tz: Option<Zone>,
}

/// Options of `history`.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Only the sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// How many sessions have a row
    #[arg(long, value_name = "N", default_value = "20", value_parser = rows, allow_negative_numbers = true)]
    pub limit: u32,
    /// Give every session a row
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// How to print it.
    #[command(flatten)]
    pub face: FaceArgs,
}

/// Options of `trends`.
#[derive(Debug, Clone, Args)]
pub struct TrendsArgs {
    /// How many days, of which today is the last
    #[arg(long, value_name = "N", default_value = "7", value_parser = days, allow_negative_numbers = true)]
    pub days: u16,
    /// Count days in this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = crate::cli::cost::zone)]
    pub tz: Option<Zone>,
    /// How to print it.
    #[command(flatten)]
    pub face: FaceArgs,
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

/// Options of `capture-cost`.
#[derive(Debug, Clone, Args)]
pub struct CaptureCostArgs {
    /// The paste; - or none for stdin
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The session that it is of, by its id or enough of its start
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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
    /// Days are those of this time zone, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = crate::cli::cost::zone)]
    pub tz: Option<Zone>,
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportWhat {
    /// Sessions, each with its usage, cost, agents and rates
    Sessions,
    /// Tool calls
    Calls,
    /// API responses
    Responses,
    /// Days
    Days,
    /// Steps
    Steps,
    /// Compactions
    Compactions,
    /// Reports by agents without hooks
    Reports,
}

impl ExportWhat {
    /// The name of the list in the JSON document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Calls => "calls",
            Self::Responses => "responses",
            Self::Days => "days",
            Self::Steps => "steps",
            Self::Compactions => "compactions",
            Self::Reports => "reports",
        }
    }
}

/// How it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
    /// CSV, with a line of headings
    Csv,
}

fn rows(text: &str) -> Result<u32, AmountFault> {
    amount::count(text, 0, u32::MAX)
}

fn days(text: &str) -> Result<u16, AmountFault> {
    amount::count(text, 1, 3_660)
}
