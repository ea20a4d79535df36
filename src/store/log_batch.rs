//! What was read of one log, to be stored in one transaction.

use super::AgentObservation;
use crate::domain::{Client, LogDelta, SessionId, Timestamp};

/// One transcript's new lines, to be stored together.
#[derive(Debug)]
pub struct LogBatch {
    /// The client whose log it is.
    pub client: Client,
    /// The file.
    pub path: String,
    /// The subagent run whose file it is; `None` for a main transcript.
    pub run: Option<AgentObservation>,
    /// The subagent runs of which a main transcript tells, each with its session if that is not the log's.
    pub inner_runs: Vec<(Option<SessionId>, AgentObservation)>,
    /// The file's size when it was read, in bytes.
    pub size: u64,
    /// The file's time of change when it was read.
    pub modified_at: Option<Timestamp>,
    /// What was read.
    pub delta: LogDelta,
}
