//! The command line of `budget`, and no behaviour.

use std::path::PathBuf;
use std::time::Duration;

use super::FormatArgs;
use clap::{Args, Subcommand, ValueEnum};

use crate::domain::{Per, amount};

/// Options of `budget`.
#[derive(Debug, Clone, Args)]
pub struct BudgetArgs {
    /// What to do
    #[command(subcommand)]
    pub action: BudgetAction,
}

/// What `budget` does.
#[derive(Debug, Clone, Subcommand)]
pub enum BudgetAction {
    /// Set a limit, replacing one with the same unit, period, and scope
    Set(BudgetSetArgs),
    /// Raise a limit
    Add {
        /// Amount to add, in USD (2.50) or, with --tokens, in tokens (500k, 1.5M)
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// Which budget, if there are several
        #[command(flatten)]
        which: Which,
    },
    /// Set the warning threshold
    Warn {
        /// Percentage of the limit, from 1 to 100
        #[arg(value_parser = amount::percent, allow_negative_numbers = true)]
        percent: u8,
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
    /// Show how much of each budget is used
    Status {
        /// Exit with 3 if a budget is used up
        #[arg(long)]
        check: bool,
        /// The session [default: the one this runs in, or this project's most recent]
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// How to print it
        #[command(flatten)]
        output: FormatArgs,
    },
    /// Remove all budgets, or those that match the options
    Clear {
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
    /// Let sessions continue for a while despite their budgets
    Override {
        /// How long: 30m, 1h, 1h30m, 2d
        #[arg(long = "for", value_name = "TIME", value_parser = amount::duration, allow_negative_numbers = true)]
        time: Duration,
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
}

/// Options of `budget set`.
#[derive(Debug, Clone, Args)]
pub struct BudgetSetArgs {
    /// The limit, in USD (2.50) or, with --tokens, in tokens (500k, 1.5M)
    #[arg(allow_negative_numbers = true)]
    pub amount: String,
    /// What it applies to
    #[command(flatten)]
    pub which: Which,
    /// Warn at this percentage of the limit
    #[arg(long, value_name = "PCT", default_value = "80", value_parser = amount::percent, allow_negative_numbers = true)]
    pub warn: u8,
    /// Stop sessions that reach the limit, before their next paid request
    #[arg(long)]
    pub stop: bool,
}

/// What a budget applies to. `set` makes such a budget; the other commands select by it.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// The period the limit covers [default for `set`: session]
    #[arg(long, value_name = "TIME")]
    pub per: Option<PerArg>,
    /// Only sessions in this folder or below
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only one agent: main, a subagent type, or a reported ID
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only models whose name contains this
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// A limit in tokens instead of USD
    #[arg(long)]
    pub tokens: bool,
}

/// The period after which a budget starts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PerArg {
    /// Per session
    Session,
    /// Per day
    Day,
    /// Per week, starting Monday
    Week,
    /// Per month
    Month,
    /// All time
    Total,
}

impl From<PerArg> for Per {
    fn from(per: PerArg) -> Self {
        match per {
            PerArg::Session => Self::Session,
            PerArg::Day => Self::Day,
            PerArg::Week => Self::Week,
            PerArg::Month => Self::Month,
            PerArg::Total => Self::Total,
        }
    }
}
