//! The commands: their help, what each of them is asked, and who answers, a file for each.
//!
//! A command's options are in `args`, or in its own file. [`Command`] is all there is to say of one: clap makes the help and the
//! parser of it, [`Command::run`] calls it, and the compiler asks for what is missing.

mod agents;
mod alerts;
mod budget;
mod capture_cost;
mod cost;
mod count;
mod dashboard;
mod doctor;
mod export;
mod history;
mod import;
mod init;
mod init_other;
mod prices;
mod report_usage;
mod show_usage;
mod step;
mod tools;
mod trends;
mod uninstall;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::args::*;
use super::{Context, Extent, args, diff, output, scopes, session, suggest};
use crate::error::Error;
use crate::statusline::FIELDS;

/// The token and cost ledger that lives in Claude Code's hooks
///
/// Estimates every Claude Code tool call as it happens, and replaces the estimates with the provider's numbers
/// when the turn ends. Nothing leaves this machine, and no content is stored.
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

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Record one hook payload from stdin
    ///
    /// Claude Code runs this on every hook event. It prints nothing unless a budget or an alert has something to say,
    /// and always exits with 0.
    Hook(HookArgs),
    /// Register the hook with Claude Code or another client
    ///
    /// Adds tallyhook's hook to the client's settings and leaves everything else unchanged. Running it again
    /// changes nothing or updates an older registration.
    #[command(after_help = "Examples:\n  tallyhook init                 # this project\n  \
                            tallyhook init --scope user    # all projects\n  \
                            tallyhook init --scope local   # this project, for you alone\n  tallyhook init --dry-run\n  \
                            tallyhook init --client codex  # in Codex instead of Claude Code")]
    Init(InitArgs),
    /// Remove the hook from Claude Code and all other clients
    ///
    /// Removes tallyhook's hook from the settings of this project, of every project in the ledger, and of your user
    /// account. Keeps the ledger unless --purge is given.
    Uninstall(UninstallArgs),
    /// Check the installation and explain how to fix problems
    #[command(
        after_help = "Examples:\n  tallyhook doctor\n  tallyhook doctor --fix\n  tallyhook doctor --json"
    )]
    Doctor(DoctorArgs),
    /// Show what a session has used so far
    ///
    /// Without options, shows this project's most recent session. Numbers with ~ are estimates; all others are the
    /// provider's own, read from the session's transcript.
    #[command(
        alias = "usage",
        after_help = "Examples:\n  tallyhook show-usage\n  tallyhook show-usage --detailed\n  \
                      tallyhook show-usage --session 8efa9846 --json\n  tallyhook show-usage --agent Explore"
    )]
    ShowUsage(ShowUsageArgs),
    /// Show spending by day, model, project, agent, or tool
    ///
    /// Token counts are the provider's own and include subagents; costs use the prices in effect at the time. Days are in
    /// your time zone. Text output lists the last 14 days with usage unless you ask for more (`--since`, `--all`). A model
    /// without a price is shown as unknown, never as free.
    #[command(
        after_help = "Examples:\n  tallyhook cost --since 7d\n  tallyhook cost --by model --since 2026-11-01\n  \
                            tallyhook cost --by session --project . --detail\n  tallyhook cost --by month --compare\n  \
                            tallyhook cost --by agent --since 30d --json"
    )]
    Cost(CostArgs),
    /// Show what tools cost, including re-reads of their results
    ///
    /// A tool's result is paid for when the model first reads it, and again with every later response, until a
    /// compaction drops it ("entry" and "carry" in JSON). Rows in parentheses are not tools: (hidden) is usage that Claude
    /// Code counts but no transcript shows, such as compactions. All rows add up to the total.
    #[command(after_help = "Examples:\n  tallyhook tools\n  tallyhook tools --since 7d --project .")]
    Tools(ToolsArgs),
    /// Show what agents cost, and what their runs are assumed to use
    ///
    /// The second table shows what a subagent run is assumed to use until its transcript is read: the built-in default,
    /// and the median of your own runs ("learned").
    #[command(after_help = "Examples:\n  tallyhook agents\n  tallyhook agents --json")]
    Agents(AgentsArgs),
    /// Name parts of a session to see what each one costs
    ///
    /// Work outside a named step counts toward the task in progress on the agent's to-do list or, if there is none, toward
    /// the turn.
    #[command(
        after_help = "Examples:\n  tallyhook step start \"write the parser\"\n  tallyhook step end\n  \
                      tallyhook step list\n  tallyhook show-usage --step \"write the parser\""
    )]
    Step(StepArgs),
    /// Set spending limits that warn or stop
    ///
    /// Counts what the provider billed, including subagents and hidden calls, plus an estimate (~) for the latest
    /// results. With --stop, a session that reaches its limit ends before its next paid request.
    #[command(
        after_help = "Examples:\n  tallyhook budget set 5                       # USD per session, warn at 80%\n  \
                            tallyhook budget set 20 --per day --stop     # stop at the limit\n  \
                            tallyhook budget set 2000000 --tokens --agent Explore\n  tallyhook budget status\n  \
                            tallyhook budget add 5\n  tallyhook budget override --for 1h"
    )]
    Budget(BudgetArgs),
    /// Get notified about cost spikes, loops, a nearly full context, and subagent costs
    ///
    /// All alerts are off until you turn them on. Claude Code shows them to you, not to the model, once each. They
    /// never stop anything.
    #[command(after_help = "Examples:\n  tallyhook alerts on                   # all of them\n  \
                            tallyhook alerts on loop --repeats 8\n  tallyhook alerts off spike\n  tallyhook alerts")]
    Alerts(AlertsArgs),
    /// Record the usage of an agent that has no hooks
    ///
    /// Reports are kept separate from usage read from logs, and budgets count them right away. `tallyhook init
    /// --client generic` prints what to add to the agent's instructions.
    #[command(
        after_help = "Examples:\n  tallyhook report-usage --agent-id nightly --model gpt-5.4 --input 12000 --output 800\n  \
                            tallyhook report-usage --agent-id nightly --cost 0.25 --event-id run-17\n  \
                            tallyhook report-usage --agent-id nightly --operation read --chars 40000"
    )]
    ReportUsage(ReportUsageArgs),
    /// Save a pasted /cost or /usage screen and compare it with the ledger
    ///
    /// Accepts the screen of any version of Claude Code, from a file or stdin, for this project's most recent
    /// session. Because the screen rounds its numbers, two figures match if they round to the same display. Lines that
    /// can't be read are listed.
    #[command(
        after_help = "Examples:\n  tallyhook capture-cost paste.txt\n  pbpaste | tallyhook capture-cost\n  \
                            tallyhook capture-cost --session 8efa9846 --json < paste.txt"
    )]
    CaptureCost(CaptureCostArgs),
    /// List recent sessions and what they used
    ///
    /// In a long list, the last row combines all other sessions, so the rows add up to the total.
    #[command(
        alias = "sessions",
        after_help = "Examples:\n  tallyhook history\n  tallyhook history --project . --all\n  \
                      tallyhook history --format csv > sessions.csv"
    )]
    History(HistoryArgs),
    /// Show recent spending, what changed, and a month-end forecast
    ///
    /// The forecast is this month's cost so far plus, for each remaining day, the daily average of the last four weeks. If
    /// daily costs keep varying as they have, the total should fall within the range in four months out of five.
    #[command(
        after_help = "Examples:\n  tallyhook trends\n  tallyhook trends --days 30\n  tallyhook trends --json"
    )]
    Trends(TrendsArgs),
    /// Write weekly and monthly totals, top spenders, and spikes to a Markdown file
    ///
    /// The tables go between two invisible comments. Running the command again updates the tables in place and leaves the
    /// rest of the file untouched.
    #[command(after_help = "Examples:\n  tallyhook dashboard --markdown ~/vault/Costs.md\n  \
                            tallyhook dashboard --markdown COSTS.md --tz UTC")]
    Dashboard(DashboardArgs),
    /// Print one line for Claude Code's status line
    ///
    /// Reads the JSON that Claude Code sends on stdin. `tallyhook init --statusline` sets this up. In a template, {braces}
    /// hold a field, and a part in square brackets is left out if any field in it is empty.
    #[command(after_help = statusline_help())]
    Statusline(StatuslineArgs),
    /// Export the ledger as JSON, JSONL, or CSV
    ///
    /// Every record has every field; unknown values are null (empty in CSV). The fields are described in
    /// examples/export.schema.json. In CSV, text that a spreadsheet would run as a formula starts with an apostrophe.
    #[command(after_help = "Examples:\n  tallyhook export --what calls --format jsonl > calls.jsonl\n  \
                            tallyhook export --what sessions --format csv > sessions.csv\n  \
                            tallyhook export --what days --tz UTC")]
    Export(ExportArgs),
    /// Add earlier sessions from their transcripts
    ///
    /// Reads the logs of all clients, or those in a folder, and stores what is new. You can stop it and run it
    /// again at any time; nothing is counted twice.
    #[command(
        after_help = "Examples:\n  tallyhook import\n  tallyhook import --path ~/backup/claude-projects"
    )]
    Import(ImportArgs),
    /// Count the tokens in files or stdin
    ///
    /// The count is exactly tiktoken's. Claude's tokenizers are not public; --model adds an estimate of the tokens that model
    /// would read.
    #[command(after_help = "Examples:\n  tallyhook count README.md src/*.rs\n  \
                            git diff | tallyhook count --model claude-opus-5-5\n  \
                            tallyhook count --encoding o200k_base --json notes.txt")]
    Count(CountArgs),
    /// Show, set, and check model prices
    ///
    /// Built-in prices can go out of date; a price you set overrides them. A model without a price is
    /// shown as unknown, never as free.
    #[command(
        after_help = "Examples:\n  tallyhook prices list claude\n  tallyhook prices show claude-sonnet-5-5\n  \
                            tallyhook prices set my-model --input 0.25 --output 1 --from 2026-12-01\n  \
                            tallyhook prices check"
    )]
    Prices(PricesArgs),
    /// Print shell completions
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
            Self::Hook(_)
            | Self::Init(_)
            | Self::ReportUsage(_)
            | Self::CaptureCost(_)
            | Self::Statusline(_)
            | Self::Import(_)
            | Self::Count(_)
            | Self::Completions(_)
            | Self::Man => false,
        }
    }

    /// Runs it.
    pub(super) fn run(self, context: &Context) -> Result<(), Error> {
        if !matches!(self, Self::Completions(_) | Self::Man | Self::Count(_)) {
            context.check_places()?;
        }
        match self {
            Self::Hook(_) | Self::Statusline(_) => Ok(()),
            Self::Init(args) => init::run(context, &args),
            Self::Uninstall(args) => uninstall::run(context, &args),
            Self::Doctor(args) => doctor::run(context, &args),
            Self::ShowUsage(args) => show_usage::run(context, &args),
            Self::Cost(args) => cost::run(context, &args),
            Self::Tools(args) => tools::run(context, &args),
            Self::Agents(args) => agents::run(context, &args),
            Self::Step(args) => step::run(context, &args),
            Self::Alerts(args) => alerts::run(context, &args),
            Self::Budget(args) => budget::run(context, &args),
            Self::ReportUsage(args) => report_usage::run(context, &args),
            Self::CaptureCost(args) => capture_cost::run(context, &args),
            Self::History(args) => history::run(context, &args),
            Self::Trends(args) => trends::run(context, &args),
            Self::Dashboard(args) => dashboard::run(context, &args),
            Self::Export(args) => export::run(context, &args),
            Self::Import(args) => import::run(context, &args),
            Self::Count(args) => count::run(context, &args),
            Self::Prices(args) => prices::run(context, args),
            Self::Completions(args) => {
                let mut script = Vec::new();
                clap_complete::generate(args.shell, &mut Cli::command(), "tallyhook", &mut script);
                context.print(&String::from_utf8_lossy(&script))
            }
            Self::Man => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command())
                    .render(&mut page)
                    .map_err(|source| Error::Output { source })?;
                context.print(&String::from_utf8_lossy(&page))
            }
        }
    }
}

/// What `statusline --help` ends with: the fields of a template, a line each, and examples.
fn statusline_help() -> String {
    let width = FIELDS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let fields: Vec<String> =
        FIELDS.iter().map(|(name, meaning)| format!("  {name:<width$}  {meaning}")).collect();
    format!(
        "Fields:\n{}\n\nExamples:\n  tallyhook statusline --template '{{model}}[ · {{costs}}][ · ctx {{context_percent}}]'\n  \
         tallyhook statusline --wrap ~/.claude/my-statusline.sh",
        fields.join("\n")
    )
}
