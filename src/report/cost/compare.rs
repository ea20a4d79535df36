//! What has changed since the period, or the session, before.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::groups::{self, By, CostGroup, CostGroups, GroupSum, QuarterSpan, SessionPlaces, Shift};
use super::{
    Changes, CostChange, CostFigures, CostReport, CostTotal, Period, PreviousCost, Query, row, total,
    total_of,
};
use crate::calendar::Day;
use crate::report::allocations::AllocationKey;
use crate::store::{BucketFilter, Ledger, SessionRow, StoreError};

/// What a change is put down to. Allocations hold all that was spent, so that one reading tells all three.
const CAUSES: [By; 3] = [By::Model, By::AllocationKey(AllocationKey::Tool), By::Agent];

/// Two periods of equal length, and how the earlier one is laid on the later.
struct Periods {
    since: Day,
    until: Day,
    before: (Day, Day),
    shift: Shift,
}

impl Periods {
    /// The period that is asked for, else the last seven days, this week or this month. `None` for sessions without a
    /// first day: each of those has its own predecessor.
    fn of(query: &Query) -> Option<Self> {
        let until = query.until.unwrap_or(query.today.max(query.since.unwrap_or(query.today)));
        let since = match (query.since, query.by) {
            (Some(since), _) => since,
            (None, By::Session) => return None,
            (None, By::Week) => until.monday(),
            (None, By::Month) => until.first_of_month(),
            (None, _) => until.plus_days(-6),
        };
        let days = until.days_since(since) + 1;
        let shift = match query.by {
            By::Month => Shift::Months(until.months_since(since) + 1),
            // Weeks lie on weeks.
            By::Week => Shift::Days((days + 6) / 7 * 7),
            _ => Shift::Days(days),
        };
        let mut before = (shift.back(since), shift.back(until));
        if matches!(shift, Shift::Months(_)) && until == until.last_of_month() {
            before.1 = before.1.last_of_month();
        }
        Some(Self { since, until, before, shift })
    }
}

pub(super) fn report(
    ledger: &Ledger,
    query: &Query,
    places: &SessionPlaces,
    filter: &BucketFilter,
) -> Result<CostReport, StoreError> {
    let periods = Periods::of(query);
    let (since, until) =
        periods.as_ref().map_or((query.since, query.until), |both| (Some(both.since), Some(both.until)));
    let span = QuarterSpan::of_days(since, until, &query.zone);
    let before = periods.as_ref().map(|both| {
        (QuarterSpan::of_days(Some(both.before.0), Some(both.before.1), &query.zone), both.shift)
    });
    let whose = (places, &query.zone);
    let groups = groups::read(ledger, filter, (span, before), query.by, whose)?;
    let groups = groups.into_sorted();
    let now = total(groups.iter().map(|group| &group.now));
    let earlier = total(groups.iter().filter_map(|group| group.before.as_deref()));

    let mut report = CostReport {
        since: since.map(|day| day.to_string()),
        until: until.map(|day| day.to_string()),
        compared_with: periods
            .as_ref()
            .map(|both| Period { since: both.before.0.to_string(), until: both.before.1.to_string() }),
        total: CostTotal {
            sum: total_of(&now),
            change: Some(CostChange::between(&now, periods.is_some().then_some(&earlier), None)),
        },
        ..CostReport::none(query.by)
    };
    if query.by == By::Session {
        add_sessions(&mut report, ledger, query, places, filter, &groups)?;
    } else {
        report.rows = groups
            .into_iter()
            .map(|group| {
                let change = CostChange::of(&group);
                row(query, places, group, Some(change))
            })
            .collect();
    }
    if periods.is_some() {
        let causes = groups::read_allocations(ledger, filter, (span, before), CAUSES, whose)?;
        report.changes = Some(changes(query, places, causes));
    }
    Ok(report)
}

/// Rows of sessions, each with the one before it in the same project, which may be older than the period.
fn add_sessions(
    report: &mut CostReport,
    ledger: &Ledger,
    query: &Query,
    places: &SessionPlaces,
    filter: &BucketFilter,
    groups: &[CostGroup],
) -> Result<(), StoreError> {
    let is_all = (query.since, query.until) == (None, None);
    let read;
    let all = if is_all {
        groups
    } else {
        let whose = (places, &query.zone);
        let all = groups::read(ledger, filter, (QuarterSpan::default(), None), By::Session, whose)?;
        read = all.into_sorted();
        &read
    };
    let project = |group: &CostGroup| {
        let place = group.session.and_then(|session| places.sessions.get(&session));
        place.and_then(|place| place.project.as_deref())
    };
    let mut last_of: HashMap<Option<&str>, &CostGroup> = HashMap::new();
    let mut before: HashMap<&str, &CostGroup> = HashMap::new();
    for group in all {
        if let Some(last) = last_of.insert(project(group), group) {
            before.insert(&group.key, last);
        }
    }
    let mut rows = groups.iter().filter(|group| !group.now.is_empty());
    report.rows = rows
        .clone()
        .map(|group| {
            let previous = before.get(group.key.as_str());
            let change = CostChange::between(
                &group.now,
                previous.map(|group| &group.now),
                previous.map(|group| &*group.key),
            );
            row(query, places, group.clone(), Some(change))
        })
        .collect();
    super::name_sessions(ledger, query, &mut report.rows)?;
    // Without a period, what has changed is told of the last session.
    let last = rows.next_back().and_then(|last| Some((last, *before.get(last.key.as_str())?)));
    if let Some((last, previous)) = last.filter(|_| report.compared_with.is_none()) {
        report.changes = Some(Changes {
            key: Some(last.key.clone()),
            previous_key: Some(previous.key.clone()),
            ..changes_between(ledger, query, places, filter, (last.session, previous.session))?
        });
    }
    Ok(())
}

/// What makes the difference between two sessions.
fn changes_between(
    ledger: &Ledger,
    query: &Query,
    places: &SessionPlaces,
    filter: &BucketFilter,
    (now, before): (Option<SessionRow>, Option<SessionRow>),
) -> Result<Changes, StoreError> {
    let span = QuarterSpan::of_days(query.since, query.until, &query.zone);
    let mut causes = CAUSES.map(|by| CostGroups::new(by, places, &query.zone));
    for session in now.into_iter().chain(before) {
        let is_before = Some(session) != now;
        ledger.allocations().of_session(session)?.for_each(|allocation| {
            if filter.has_model(&allocation.model) && (is_before || span.holds(allocation.quarter)) {
                for groups in &mut causes {
                    groups.add_allocation(session, allocation, is_before.then_some(Shift::None));
                }
            }
        });
    }
    Ok(changes(query, places, causes))
}

fn changes(query: &Query, places: &SessionPlaces, causes: [CostGroups<'_>; 3]) -> Changes {
    let [by_model, by_tool, by_agent] = causes.map(|groups| changed(query, places, groups));
    Changes { key: None, previous_key: None, by_model, by_tool, by_agent }
}

/// The groups that have changed, the largest change first.
fn changed(query: &Query, places: &SessionPlaces, groups: CostGroups<'_>) -> Vec<super::CostRow> {
    let mut rows: Vec<_> = groups
        .into_sorted()
        .into_iter()
        .map(|group| {
            let change = CostChange::of(&group);
            row(query, places, group, Some(change))
        })
        .collect();
    let size = |row: &super::CostRow| {
        let change = row.change.as_ref().and_then(|change| change.change_usd);
        change.map(|change| change.as_pico().unsigned_abs())
    };
    rows.retain(|row| size(row) != Some(0));
    rows.sort_by_key(|row| Reverse(size(row)));
    rows
}

impl CostChange {
    /// What has changed in a group since the period before.
    fn of(group: &CostGroup) -> Self {
        let none = GroupSum::default();
        Self::between(&group.now, Some(group.before.as_deref().unwrap_or(&none)), None)
    }

    fn between(now: &GroupSum, before: Option<&GroupSum>, key: Option<&str>) -> Self {
        let previous =
            before.map(|before| Box::new(PreviousCost { key: key.map(str::to_owned), sum: before.into() }));
        let was = previous.as_ref().and_then(|previous| previous.sum.cost_usd);
        let change_usd = CostFigures::from(now).cost_usd.zip(was).map(|(now, was)| now - was);
        let change_percent = change_usd.zip(was).and_then(|(change, was)| change.percent_of(was));
        Self { previous, change_usd, change_percent }
    }
}
