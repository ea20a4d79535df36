//! What all checks have found, as JSON and for people.

use serde::{Serialize, Serializer};

use super::{Check, Status};
use crate::present::{Block, Finding, FindingState, Page, PageOptions, Present};

/// `doctor --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// How many checks have failed.
    pub failures: usize,
    /// All checks, in the order in which they are shown.
    pub checks: Vec<Check>,
}

/// A check in the JSON.
#[derive(Serialize)]
struct CheckRow<'a> {
    check: &'a str,
    status: Status,
    found: &'a str,
    cure: Option<&'a str>,
}

impl From<Vec<Check>> for DoctorReport {
    fn from(checks: Vec<Check>) -> Self {
        let failures = checks.iter().filter(|check| check.status == Status::Failed).count();
        Self { schema_version: 1, failures, checks }
    }
}

impl Check {
    /// What people read of it.
    fn finding(&self) -> Finding {
        self.found.finding(match self.status {
            Status::Ok => FindingState::Ok,
            Status::Warning => FindingState::Note,
            Status::Failed => FindingState::Failed,
        })
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Finding { name, state: _, found, cure } = self.finding();
        CheckRow { check: &name, status: self.status, found: &found, cure: cure.as_deref() }
            .serialize(serializer)
    }
}

impl Present for DoctorReport {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        Page { blocks: vec![Block::Findings(self.checks.iter().map(Check::finding).collect())] }
    }
}
