//! `cost`: what was spent, by day, session, project, model, agent and so on.
//!
//! The structs are the contract's JSON (`docs/json.md#cost`), name for name. The total is made of the rows, so they add up to it
//! in every class of tokens and to the pico-dollar; only sessions are counted anew, for one can be in many rows.
//!
//! # Comparing
//! A period is compared with the one of equal length before it; a day lies on the day so many days earlier, a month on
//! the month before. A session is compared with the one before it in the same project.

mod compare;
mod groups;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{KnownCost, Share, Whole};
use crate::calendar::{Day, Zone};
use crate::domain::{CostParts, PicoUsd, Usage};
use crate::store::{BucketFilter, Ledger, SessionRow, StoreError};
pub use groups::By;
use groups::{CostGroup, GroupSum, QuarterSpan, SessionPlaces};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Query {
    /// By what.
    pub by: By,
    /// From the start of this day.
    pub since: Option<Day>,
    /// To the end of this one.
    pub until: Option<Day>,
    /// Only sessions in one of these folders, or below.
    pub projects: Option<Vec<PathBuf>>,
    /// Only models whose id contains this.
    pub model: Option<String>,
    /// Whether to compare with what was before.
    pub compare: bool,
    /// Today.
    pub today: Day,
    /// Whose days.
    pub zone: Zone,
}

/// `cost --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// What the rows are by.
    pub by: &'static str,
    /// The first day; null for the ledger's.
    pub since: Option<String>,
    /// The last day; null for the ledger's.
    pub until: Option<String>,
    /// The period that this one is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<Period>,
    /// The rows.
    pub rows: Vec<CostRow>,
    /// All rows together.
    pub total: CostTotal,
    /// Which models, tools and agents made the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

/// First and last day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Period {
    pub since: String,
    pub until: String,
}

/// What was spent under a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostRow {
    /// The key.
    pub key: String,
    /// What was spent.
    #[serde(flatten)]
    pub sum: CostFigures,
    /// Cost of the first read, in USD; only in rows of tools, skills, MCP servers, steps, actions and file types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_cost_usd: Option<PicoUsd>,
    /// Cost of later reads, in USD; only in rows that have the cost of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry_cost_usd: Option<PicoUsd>,
    /// Its part of the total, where the rows are by what costs came from.
    #[serde(flatten)]
    pub share: Option<Share>,
    /// What has changed, if that was asked.
    #[serde(flatten)]
    pub change: Option<CostChange>,
    /// What a person is shown in place of the key.
    #[serde(skip)]
    pub(crate) label: KeyLabel,
}

/// What a person is shown of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyLabel {
    /// The first day, of a session.
    pub(crate) started: Option<String>,
    /// What a session is about.
    pub(crate) topic: Option<String>,
    /// As much of a session's ID as tells it from all others.
    pub(crate) short_id: Option<String>,
}

/// All rows together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostTotal {
    /// What was spent.
    #[serde(flatten)]
    pub sum: CostFigures,
    /// What has changed, if that was asked.
    #[serde(flatten)]
    pub change: Option<CostChange>,
}

/// What was used and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the contract's names say it")]
pub struct CostFigures {
    pub usage: Usage,
    /// Of the models that have a price; null if none has.
    pub cost: Option<CostParts>,
    pub total_tokens: u64,
    pub cost_usd: Option<PicoUsd>,
    pub unpriced_models: Vec<String>,
    pub sessions: u64,
    pub responses: u64,
}

/// What was before, and what has changed since.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostChange {
    /// What was spent then; null if there is nothing to compare with.
    pub previous: Option<Box<PreviousCost>>,
    /// How much more it is now, of what has a price; null if that is not known.
    pub change_usd: Option<PicoUsd>,
    /// How much more it is now, in percent of what was spent then; null if that is not known.
    pub change_percent: Option<f64>,
}

/// What was spent before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreviousCost {
    /// The session that was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was spent.
    #[serde(flatten)]
    pub sum: CostFigures,
}

/// Where a change comes from, the largest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Changes {
    /// The session that the rows are of; null if they are of the whole period.
    pub key: Option<String>,
    /// The one that it is compared with.
    pub previous_key: Option<String>,
    pub by_model: Vec<CostRow>,
    pub by_tool: Vec<CostRow>,
    pub by_agent: Vec<CostRow>,
}

impl From<&GroupSum> for CostFigures {
    fn from(sum: &GroupSum) -> Self {
        Self {
            usage: sum.usage,
            cost: sum.cost.parts(),
            total_tokens: sum.usage.total(),
            cost_usd: sum.cost.known().amount,
            unpriced_models: sum.cost.unpriced_models(),
            sessions: sum.session_count(),
            responses: sum.responses,
        }
    }
}

impl CostFigures {
    /// All classes of tokens together.
    #[must_use]
    pub fn known(&self) -> KnownCost {
        KnownCost { amount: self.cost_usd, is_partial: !self.unpriced_models.is_empty() }
    }

    /// This as a whole that others are parts of.
    #[must_use]
    pub fn whole(&self) -> Whole {
        Whole { cost: self.cost_usd.unwrap_or_default(), tokens: self.total_tokens }
    }
}

impl CostReport {
    /// The answer where there is no ledger.
    #[must_use]
    pub fn none(by: By) -> Self {
        Self {
            schema_version: 1,
            by: by.name(),
            since: None,
            until: None,
            compared_with: None,
            rows: Vec::new(),
            total: CostTotal {
                sum: CostFigures { cost: None, cost_usd: None, ..CostFigures::default() },
                change: None,
            },
            changes: None,
        }
    }

    /// Asks the ledger.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(ledger: &Ledger, query: &Query) -> Result<Self, StoreError> {
        let places = SessionPlaces::read(ledger, query.compare || query.by == By::Agent)?;
        let filter = BucketFilter {
            sessions: query.projects.as_ref().map(|folders| sessions_in(&places, folders)),
            model: query.model.clone(),
            ..BucketFilter::default()
        };
        if query.compare {
            return compare::report(ledger, query, &places, &filter);
        }
        let span = QuarterSpan::of_days(query.since, query.until, &query.zone);
        let groups = groups::read(ledger, &filter, (span, None), query.by, (&places, &query.zone))?;
        let groups = groups.into_sorted();
        let total = total_of(&total(groups.iter().map(|group| &group.now)));
        let mut rows: Vec<CostRow> =
            groups.into_iter().map(|group| row(query, &places, group, None)).collect();
        name_sessions(ledger, query, &mut rows)?;
        let whole = total.whole();
        for row in rows.iter_mut().filter(|row| row.entry_cost_usd.is_some()) {
            row.share = Some(whole.share(row.sum.cost_usd, row.sum.total_tokens));
        }
        Ok(Self {
            since: query.since.map(|day| day.to_string()),
            until: query.until.map(|day| day.to_string()),
            rows,
            total: CostTotal { sum: total, change: None },
            ..Self::none(query.by)
        })
    }

    /// Which rows of the ledger a query asks for, its days included.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn filter(ledger: &Ledger, query: &Query) -> Result<BucketFilter, StoreError> {
        let places = SessionPlaces::read(ledger, false)?;
        let span = QuarterSpan::of_days(query.since, query.until, &query.zone);
        Ok(BucketFilter {
            from: span.from,
            until: span.until,
            sessions: query.projects.as_ref().map(|folders| sessions_in(&places, folders)),
            model: query.model.clone(),
        })
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The sum of the rows; where there are none, its cost is not zero but nothing.
fn total_of(total: &GroupSum) -> CostFigures {
    if total.is_empty() { CostReport::none(By::Day).total.sum } else { total.into() }
}

fn total<'s>(sums: impl Iterator<Item = &'s GroupSum>) -> GroupSum {
    sums.fold(GroupSum::default(), |mut total, sum| {
        total.merge(sum);
        total
    })
}

fn row(query: &Query, places: &SessionPlaces, group: CostGroup, change: Option<CostChange>) -> CostRow {
    let mut label = KeyLabel::default();
    if let Some(place) = group.session.and_then(|session| places.sessions.get(&session)) {
        label.started =
            places.started_at(&group).and_then(|at| query.zone.day_of(at)).map(|day| day.to_string());
        let folder = place.project.as_deref().and_then(|project| Path::new(project).file_name());
        label.topic = place.topic.clone().or(folder.map(|name| name.to_string_lossy().into_owned()));
    }
    let phases = matches!(query.by, By::AllocationKey(_)).then_some(group.now.phases);
    CostRow {
        sum: (&group.now).into(),
        key: group.key,
        entry_cost_usd: phases.map(|phases| phases.0),
        carry_cost_usd: phases.map(|phases| phases.1),
        share: None,
        change,
        label,
    }
}

/// Gives rows of sessions the IDs that people are shown.
fn name_sessions(ledger: &Ledger, query: &Query, rows: &mut [CostRow]) -> Result<(), StoreError> {
    if query.by == By::Session {
        for row in rows {
            row.label.short_id = Some(ledger.sessions().short_id(&row.key)?);
        }
    }
    Ok(())
}

/// The sessions whose project is one of the folders or lies below it.
fn sessions_in(places: &SessionPlaces, folders: &[PathBuf]) -> Vec<SessionRow> {
    let is_in = |project: &str| folders.iter().any(|folder| Path::new(project).starts_with(folder));
    let mut rows: Vec<_> = places
        .sessions
        .values()
        .filter(|place| place.project.as_deref().is_some_and(is_in))
        .map(|place| place.row)
        .collect();
    rows.sort_unstable();
    rows
}
