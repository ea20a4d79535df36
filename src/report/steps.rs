//! `step list`: what a session has worked on, and what that cost.

use serde::Serialize;

use super::usage::StepUsage;
use crate::domain::TaskList;

/// `step list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// The session; null if there is no such session.
    pub session_id: Option<String>,
    /// Its steps, in the order of time.
    pub steps: Vec<StepUsage>,
    /// The step in progress; null if the session has not begun.
    pub current: Option<String>,
    /// The agent's own list of tasks.
    pub tasks: TaskCounts,
    /// Whether the session goes on: one that has ended works on nothing.
    #[serde(skip)]
    pub is_live: bool,
}

/// How many tasks there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TaskCounts {
    pub done: u64,
    pub total: u64,
}

impl From<TaskList> for TaskCounts {
    fn from(tasks: TaskList) -> Self {
        Self { done: tasks.done, total: tasks.total }
    }
}

impl StepsReport {
    /// The answer where there is no session.
    #[must_use]
    pub fn none() -> Self {
        Self {
            schema_version: 1,
            session_id: None,
            steps: Vec::new(),
            current: None,
            tasks: TaskCounts::default(),
            is_live: false,
        }
    }
}
