//! What all checks have found, as JSON and for people.

use serde::Serialize;

use super::{Check, Status};
use crate::present::{Block, Finding, FindingState, Page, PageOptions, Present};

/// `doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// How many checks have failed.
    pub failures: usize,
    /// All checks, in the order in which they are shown.
    pub checks: Vec<Check>,
}

impl From<Vec<Check>> for DoctorReport {
    fn from(checks: Vec<Check>) -> Self {
        let failures = checks.iter().filter(|check| check.status == Status::Failed).count();
        Self { schema_version: 1, failures, checks }
    }
}

impl Present for DoctorReport {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let finding = |check: &Check| Finding {
            name: check.check.clone(),
            state: match check.status {
                Status::Ok => FindingState::Ok,
                Status::Warning => FindingState::Note,
                Status::Failed => FindingState::Failed,
            },
            found: check.found.clone(),
            cure: check.cure.clone(),
        };
        Page { blocks: vec![Block::Findings(self.checks.iter().map(finding).collect())] }
    }
}
