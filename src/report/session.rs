//! A session as reports show it.

use serde::Serialize;

use crate::domain::{SessionState, Timestamp};
use crate::store::{SessionCounts, SessionRecord};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SessionInfo {
    pub id: String,
    pub client: String,
    pub client_version: Option<String>,
    pub kind: Option<String>,
    pub project: Option<String>,
    pub git_branch: Option<String>,
    pub topic: Option<String>,
    pub model: Option<String>,
    pub state: &'static str,
    pub started_at: Option<Timestamp>,
    pub last_activity_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub duration_seconds: u64,
    pub turns: u64,
    pub tool_calls: u64,
    pub compactions: u64,
}

impl SessionInfo {
    /// A session, with what was counted of it.
    pub(super) fn of(record: &SessionRecord, counts: SessionCounts) -> Self {
        let state = if record.finalized_at.is_some() { SessionState::Finalized } else { SessionState::Live };
        let duration = match (record.started_at, record.last_activity_at) {
            (Some(start), Some(end)) => end.since(start).as_secs(),
            _ => 0,
        };
        Self {
            id: record.id.clone(),
            client: record.client.clone(),
            client_version: record.client_version.clone(),
            kind: record.kind.clone(),
            project: record.project.clone(),
            git_branch: record.git_branch.clone(),
            topic: record.topic.clone(),
            model: record.model.clone(),
            state: state.name(),
            started_at: record.started_at,
            last_activity_at: record.last_activity_at,
            ended_at: record.ended_at,
            duration_seconds: duration,
            turns: counts.turns,
            tool_calls: counts.tool_calls,
            compactions: counts.compactions,
        }
    }
}
