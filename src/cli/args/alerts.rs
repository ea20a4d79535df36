//! Options of `alerts`.

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::AlertKind;
use crate::domain::amount::{self, AmountFault};

/// Options of `alerts`.
#[derive(Debug, Clone, Args)]
pub struct AlertsArgs {
    /// What to do; without it, show which are on
    #[command(subcommand)]
    pub action: Option<AlertsAction>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `alerts` does.
#[derive(Debug, Clone, Subcommand)]
pub enum AlertsAction {
    /// Turn alerts on: all, or those you name
    On {
        /// Alerts to turn on [default: all]
        names: Vec<AlertArg>,
        /// Notify after this many identical calls [default: 5]
        #[arg(long, value_name = "N", value_parser = repeats, allow_negative_numbers = true)]
        repeats: Option<u32>,
    },
    /// Turn alerts off: all, or those you name
    Off {
        /// Alerts to turn off [default: all]
        names: Vec<AlertArg>,
    },
    /// Show which are on
    Status,
}

/// An alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AlertArg {
    /// A turn costs three times as much as usual in the session and the project
    Spike,
    /// An agent repeats the same call with no change in between
    Loop,
    /// The context is nearly full, so a compaction is near
    Context,
    /// A subagent ends: what it used, and the session total so far
    Subagents,
}

impl From<AlertArg> for AlertKind {
    fn from(alert: AlertArg) -> Self {
        match alert {
            AlertArg::Spike => Self::Spike,
            AlertArg::Loop => Self::Loop,
            AlertArg::Context => Self::Context,
            AlertArg::Subagents => Self::Subagents,
        }
    }
}

fn repeats(text: &str) -> Result<u32, AmountFault> {
    amount::count(text, 2, 1_000)
}
