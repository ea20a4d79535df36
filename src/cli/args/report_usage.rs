//! Options of `report-usage`.

use clap::{Args, ValueEnum};

use crate::domain::{PicoUsd, amount};

/// Options of `report-usage`.
#[derive(Debug, Clone, Args)]
pub struct ReportUsageArgs {
    /// The agent's ID [default: $TALLYHOOK_AGENT_ID, then $ALT_AGENT_ID]
    #[arg(long, value_name = "ID")]
    pub agent_id: Option<String>,
    /// Total tokens [default: input plus output]
    #[arg(long, value_name = "N", value_parser = amount::tokens, allow_negative_numbers = true)]
    pub tokens: Option<u64>,
    /// Input tokens
    #[arg(long, value_name = "N", value_parser = amount::tokens, allow_negative_numbers = true)]
    pub input: Option<u64>,
    /// Output tokens
    #[arg(long, value_name = "N", value_parser = amount::tokens, allow_negative_numbers = true)]
    pub output: Option<u64>,
    /// Cost in USD [default: from the tokens and the model's price]
    #[arg(long, value_name = "USD", value_parser = amount::usd, allow_negative_numbers = true)]
    pub cost: Option<PicoUsd>,
    /// ID of the task the usage was for
    #[arg(long, value_name = "ID")]
    pub task_id: Option<String>,
    /// The model
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// An ID that makes repeats safe: reports with the same ID count once
    #[arg(long, value_name = "ID")]
    pub event_id: Option<String>,
    /// Record one operation, with estimated tokens, instead of token counts
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["tokens", "input", "output", "cost"])]
    pub operation: Option<Operation>,
    /// The tool; with --operation subagent, the agent type
    #[arg(long, value_name = "NAME", requires = "operation")]
    pub tool: Option<String>,
    /// How many characters were read or written
    #[arg(long, value_name = "N", requires = "operation", value_parser = amount::tokens, allow_negative_numbers = true)]
    pub chars: Option<u64>,
}

/// An operation that can be estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Text was read
    Read,
    /// Text was written
    Write,
    /// A file was changed
    Edit,
    /// A tool was called
    Tool,
    /// A subagent ran
    Subagent,
}
