//! The command line of `budget`, and no behaviour.

use std::path::PathBuf;
use std::time::Duration;

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
    /// Set a limit; one of the same kind, time and scope is replaced
    Set(BudgetSetArgs),
    /// Raise a limit
    Add {
        /// By how much, in USD (2.50), or with --tokens in tokens (500k, 1.5M)
        #[arg(allow_negative_numbers = true)]
        amount: String,
        /// Which budget, if there are several
        #[command(flatten)]
        which: Which,
    },
    /// Set the warning threshold
    Warn {
        /// In percent, from 1 to 100
        #[arg(value_parser = amount::percent, allow_negative_numbers = true)]
        percent: u8,
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
    /// Show what was used of each budget
    Status {
        /// Exit with 3 if one is used up
        #[arg(long)]
        check: bool,
        /// The session whose budgets are meant; else the one that this runs in, or this project's newest
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove budgets: all of them, or those that are named
    Clear {
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
    /// Let sessions go on for a while, whatever was used
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
    /// The limit in USD (2.50), or with --tokens in tokens (500k, 1.5M)
    #[arg(allow_negative_numbers = true)]
    pub amount: String,
    /// What it holds for
    #[command(flatten)]
    pub which: Which,
    /// The warning threshold, in percent
    #[arg(long, value_name = "PCT", default_value = "80", value_parser = amount::percent, allow_negative_numbers = true)]
    pub warn: u8,
    /// Stop a session at the limit, before its next paid request
    #[arg(long)]
    pub stop: bool,
}

/// What a budget holds for. To `set` this makes it, to all others it finds it.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// How long it lasts until it begins anew; a session's if nothing is said to `set`
    #[arg(long, value_name = "TIME")]
    pub per: Option<PerArg>,
    /// Only sessions of this folder, or below it
    #[arg(long, value_name = "PATH")]
    pub project: Option<PathBuf>,
    /// Only an agent: main, a subagent's type, or an id that was reported
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only models with this in their name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Tokens in place of USD
    #[arg(long)]
    pub tokens: bool,
}

/// How long a budget lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PerArg {
    /// Each session has one
    Session,
    /// A day
    Day,
    /// A week, from Monday on
    Week,
    /// A month
    Month,
    /// For ever
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
