//! The tables of what was spent: `spent` itself, and `spent_sums`, its rows added up by hour and by day, which are written
//! with it.
//!
//! A report reads the coarsest table that tells what it asks for. An hour or a day in which its answer changes, because
//! a local day or the period begins there, is read from `spent`, whose quarters all time zones keep to.

use super::spent::{HIDDEN_AGENT, Quarter};

/// How finely what was spent is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// All there is: quarters of an hour and subagent runs.
    Quarter,
    /// Hours; the runs of subagents are one with the main conversation.
    Hour,
    /// Days (UTC) and subagent runs.
    Day,
}

/// The quarters of a row, the first and the last.
pub type Block = (Quarter, Quarter);

impl Grain {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Quarter, Self::Hour, Self::Day];

    /// Its rows, as far as the condition that follows holds.
    pub(super) const fn rows(self) -> &'static str {
        match self {
            Self::Quarter => "FROM spent WHERE",
            Self::Hour => "FROM spent_sums WHERE grain = 4 AND",
            Self::Day => "FROM spent_sums WHERE grain = 96 AND",
        }
    }

    /// Where a new row goes, as far as the values that follow.
    pub(super) const fn new_row(self) -> &'static str {
        match self {
            Self::Quarter => "INTO spent VALUES (",
            Self::Hour => "INTO spent_sums VALUES (4, ",
            Self::Day => "INTO spent_sums VALUES (96, ",
        }
    }

    /// How many quarters a row has.
    pub(super) const fn quarters(self) -> i64 {
        match self {
            Self::Quarter => 1,
            Self::Hour => 4,
            Self::Day => 96,
        }
    }

    /// The first quarter of the row that has this one; `None` if that is in `spent` alone, for it has no time.
    pub(super) const fn first_of(self, quarter: i64) -> Option<i64> {
        match self {
            Self::Quarter => Some(quarter),
            _ if quarter < 0 => None,
            _ => Some(quarter - quarter % self.quarters()),
        }
    }

    /// The run that a row of this one is added to.
    pub(super) fn run(self, agent_id: &str) -> &str {
        match self {
            Self::Hour if agent_id != HIDDEN_AGENT => "",
            _ => agent_id,
        }
    }
}
