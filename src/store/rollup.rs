//! The tables of usage by time: `usage_buckets`, and `usage_rollups`, its rows added up by hour, by day and by session, which are
//! written with it.
//!
//! A report reads the coarsest table that tells what it asks for. An hour or a day in which its answer changes, because
//! a local day or the period begins there, is read from `usage_buckets`, whose quarters all time zones keep to.

use super::quarter_hour::{HIDDEN_AGENT, QuarterHour};

/// How finely what was spent is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// All there is: quarters of an hour and subagent runs.
    QuarterHour,
    /// Hours; the runs of subagents are one with the main conversation.
    Hour,
    /// Days (UTC) and subagent runs.
    Day,
    /// Sessions, in all their time; neither runs of subagents nor branches. It knows no time, so that a question for a
    /// period reads hours in its place.
    Session,
}

/// The quarters of a row, the first and the last.
pub type QuarterRange = (QuarterHour, QuarterHour);

impl Grain {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::QuarterHour, Self::Hour, Self::Day, Self::Session];

    /// Its rows, as far as the condition that follows holds.
    pub(super) const fn rows(self) -> &'static str {
        match self {
            Self::QuarterHour => "FROM usage_buckets WHERE",
            Self::Hour => "FROM usage_rollups WHERE grain = 4 AND",
            Self::Day => "FROM usage_rollups WHERE grain = 96 AND",
            Self::Session => "FROM usage_rollups WHERE grain = 0 AND",
        }
    }

    /// Where a new row goes, as far as the values that follow.
    pub(super) const fn new_row(self) -> &'static str {
        match self {
            Self::QuarterHour => "INTO usage_buckets VALUES (",
            Self::Hour => "INTO usage_rollups VALUES (4, ",
            Self::Day => "INTO usage_rollups VALUES (96, ",
            Self::Session => "INTO usage_rollups VALUES (0, ",
        }
    }

    /// How many quarters a row has.
    pub(super) const fn quarters(self) -> i64 {
        match self {
            Self::QuarterHour => 1,
            Self::Hour => 4,
            Self::Day => 96,
            Self::Session => i64::MAX,
        }
    }

    /// The first quarter of the row that has this one; `None` if that is in `usage_buckets` alone, for it has no time.
    pub(super) const fn first_of(self, quarter: i64) -> Option<i64> {
        match self {
            Self::QuarterHour => Some(quarter),
            _ if quarter < 0 => None,
            _ => Some(quarter - quarter % self.quarters()),
        }
    }

    /// The run that a row of this one is added to.
    pub(super) fn run(self, agent_id: &str) -> &str {
        match self {
            Self::Hour | Self::Session if agent_id != HIDDEN_AGENT => "",
            _ => agent_id,
        }
    }

    /// The branch likewise.
    pub(super) const fn branch(self, branch: &str) -> &str {
        match self {
            Self::Session => "",
            _ => branch,
        }
    }
}
