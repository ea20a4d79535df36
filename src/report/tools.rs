//! `tools`: what calls and their results cost, when they came in and each time they were read again.

use serde::Serialize;

use super::Share;
use super::allocations::{AllocationFigures, AllocationKey, AllocationSum, add_to};
use crate::store::{BucketFilter, Ledger, StoreError};

/// `tools --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// By what they cost; what is no tool comes last, in brackets.
    pub rows: Vec<ToolRow>,
    /// All rows together.
    pub total: ToolSum,
}

/// A tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolRow {
    /// Its name.
    pub tool: String,
    /// What it comes to.
    #[serde(flatten)]
    pub sum: ToolSum,
    /// Its part of all tools.
    #[serde(flatten)]
    pub share: Share,
}

/// What calls come to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ToolSum {
    /// Their number; 0 for what is no tool.
    pub calls: u64,
    /// What they and their results come to.
    #[serde(flatten)]
    pub figures: AllocationFigures,
}

impl From<&AllocationSum> for ToolSum {
    fn from(sum: &AllocationSum) -> Self {
        Self { calls: sum.calls, figures: sum.into() }
    }
}

impl ToolsReport {
    /// The answer where there is no ledger.
    #[must_use]
    pub fn none() -> Self {
        Self { schema_version: 1, rows: Vec::new(), total: ToolSum::default() }
    }

    /// Asks the ledger.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(ledger: &Ledger, filter: &BucketFilter) -> Result<Self, StoreError> {
        let mut sums: std::collections::BTreeMap<String, AllocationSum> = std::collections::BTreeMap::new();
        let mut total = AllocationSum::default();
        ledger.allocations().for_each_summed(filter, |_, share| {
            add_to(&mut sums, &AllocationKey::Tool.key(share, false), share);
            total.add(share);
        })?;
        let total = ToolSum::from(&total);
        let whole = total.figures.whole();
        let mut rows: Vec<ToolRow> = sums
            .into_iter()
            .map(|(tool, sum)| ToolRow {
                tool,
                share: whole.share(sum.known().amount, sum.usage.total()),
                sum: (&sum).into(),
            })
            .collect();
        rows.sort_by_cached_key(|row| {
            let rank = std::cmp::Reverse((row.sum.figures.cost_usd.amount, row.sum.figures.total_tokens));
            (row.tool.starts_with('('), rank, row.tool.clone())
        });
        Ok(Self { schema_version: 1, rows, total })
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
