//! The command line of `budget`, and no behaviour.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::Per;

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
        /// By how much: USD, or tokens with --tokens
        amount: String,
        /// Which budget, if there are several
        #[command(flatten)]
        which: Which,
    },
    /// Set the share at which to warn
    Warn {
        /// In per cent
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
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
        /// How long: 30m, 1h, 2d
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Duration,
        /// Which budgets
        #[command(flatten)]
        which: Which,
    },
}

/// Options of `budget set`.
#[derive(Debug, Clone, Args)]
pub struct BudgetSetArgs {
    /// The limit: USD, or tokens with --tokens
    pub amount: String,
    /// What it holds for
    #[command(flatten)]
    pub which: Which,
    /// Warn at this share, in per cent
    #[arg(long, value_name = "PCT", default_value = "80", value_parser = clap::value_parser!(u8).range(1..=100))]
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

/// Reads `90s`, `30m`, `1h`, `2d`.
fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: u64 = 366 * 86_400;
    let wrong = || "say how long, such as 30m, 1h or 2d".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let all = number.checked_mul(seconds).filter(|all| (1..=LONGEST).contains(all)).ok_or_else(wrong)?;
    Ok(Duration::from_secs(all))
}
