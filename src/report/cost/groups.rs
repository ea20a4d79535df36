//! Rows of the ledger under the keys of a report. Pure but for the one question to the ledger.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::calendar::{Day, Days, Zone};
use crate::domain::{CostParts, MAIN_AGENT, PicoUsd, Timestamp, Usage, is_turn_name};
use crate::report::CostSum;
use crate::report::allocations::{AllocationKey, NO_KEY};
use crate::report::usage::UNTYPED_AGENT;
use crate::store::{
    AllocationRow, BucketFilter, Grain, HIDDEN_AGENT, Ledger, Phase, QuarterHour, QuarterRange, RunType,
    SessionPlace, SessionRow, StoreError, UsageBucket,
};

/// What a cost report is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum By {
    Day,
    Week,
    Month,
    Session,
    Project,
    Branch,
    Model,
    Client,
    Agent,
    /// What only attribution tells.
    AllocationKey(AllocationKey),
}

impl By {
    /// The name on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Session => "session",
            Self::Project => "project",
            Self::Branch => "branch",
            Self::Model => "model",
            Self::Client => "client",
            Self::Agent => "agent",
            Self::AllocationKey(AllocationKey::Tool) => "tool",
            Self::AllocationKey(AllocationKey::Skill) => "skill",
            Self::AllocationKey(AllocationKey::Mcp) => "mcp",
            Self::AllocationKey(AllocationKey::Step) => "step",
            Self::AllocationKey(AllocationKey::Action) => "action",
            Self::AllocationKey(AllocationKey::FileType) => "file-type",
        }
    }

    /// Whether the keys follow each other in time.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month)
    }

    /// The first day of the key that has this one, where keys are of time.
    fn first_day(self, day: Day) -> Option<Day> {
        match self {
            Self::Day => Some(day),
            Self::Week => Some(day.monday()),
            Self::Month => Some(day.first_of_month()),
            _ => None,
        }
    }
}

/// How far the days of an earlier period are moved so that they lie on those of the later one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Shift {
    #[default]
    None,
    Days(i32),
    Months(i32),
}

impl Shift {
    /// The day, moved back.
    pub(super) fn back(self, day: Day) -> Day {
        match self {
            Self::None => day,
            Self::Days(days) => day.plus_days(-days),
            Self::Months(months) => day.plus_months(-months),
        }
    }

    fn forth(self, day: Day) -> Day {
        match self {
            Self::None => day,
            Self::Days(days) => day.plus_days(days),
            Self::Months(months) => day.plus_months(months),
        }
    }
}

/// What the rows of a group come to, in one period.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupSum {
    pub(super) usage: Usage,
    pub(super) responses: u64,
    pub(super) cost: CostSum,
    /// Sessions, some of them more than once.
    sessions: Vec<SessionRow>,
    /// The first hour or day with a time.
    pub(super) first: Option<QuarterHour>,
    /// Cost of the first read and of later reads; both are zero in groups that are not made of allocations.
    pub(super) phases: (PicoUsd, PicoUsd),
}

impl GroupSum {
    fn add(&mut self, row: &UsageBucket<'_>) {
        self.cost.add_usage(row.model, &row.usage, row.cost);
        self.count(row);
    }

    /// Adds a part of a response, as [`CostSum::add_part`] does.
    fn add_part(&mut self, row: &UsageBucket<'_>, cost: Option<CostParts>) {
        self.cost.add_part(row.model, cost);
        self.count(row);
    }

    /// Adds what a row has besides its cost.
    fn count(&mut self, row: &UsageBucket<'_>) {
        self.usage += row.usage;
        self.responses += row.responses;
        if self.sessions.last() != Some(&row.session) {
            self.sessions.push(row.session);
        }
        // Rows do not all come in the order of time.
        self.first = self.first.min(row.quarter).or(self.first).or(row.quarter);
    }

    /// Adds what another one has.
    pub(super) fn merge(&mut self, other: &Self) {
        self.usage += other.usage;
        self.responses += other.responses;
        self.cost.merge(&other.cost);
        self.sessions.extend(&other.sessions);
        self.first = self.first.into_iter().chain(other.first).min();
        self.phases.0 += other.phases.0;
        self.phases.1 += other.phases.1;
    }

    /// How many sessions.
    pub(super) fn session_count(&self) -> u64 {
        let mut sessions = self.sessions.clone();
        sessions.sort_unstable();
        sessions.dedup();
        sessions.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

/// A key and what is under it, now and in the period before.
#[derive(Debug, Clone, Default)]
pub(super) struct CostGroup {
    pub(super) key: String,
    /// The session, where groups are sessions.
    pub(super) session: Option<SessionRow>,
    pub(super) now: GroupSum,
    /// Nothing unless it is compared: most reports are not, and may have many groups.
    pub(super) before: Option<Box<GroupSum>>,
}

/// So many keys of one kind are told apart, the first in the order in which the ledger is read; what the others have spent is
/// in one row, [`OTHER`]. Nobody has so many; a log that somebody has made up can name any number of models. Sessions are
/// told apart whatever their number: of each there is a file.
const MOST_KEYS: usize = 16_384;
/// The key of what has none of the first [`MOST_KEYS`].
const OTHER: &str = "(other)";

/// Where sessions and runs belong.
#[derive(Debug)]
pub(super) struct SessionPlaces {
    pub(super) sessions: HashMap<SessionRow, SessionPlace>,
    /// By session and id.
    runs: Vec<RunType>,
}

impl SessionPlaces {
    pub(super) fn read(ledger: &Ledger, with_agents: bool) -> Result<Self, StoreError> {
        let sessions = ledger.usage().session_places()?.into_iter().map(|place| (place.row, place)).collect();
        let runs = if with_agents { ledger.usage().run_types()? } else { Vec::new() };
        Ok(Self { sessions, runs })
    }

    /// When a group's session began, as far as is known.
    pub(super) fn started_at(&self, group: &CostGroup) -> Option<Timestamp> {
        let place = group.session.and_then(|session| self.sessions.get(&session));
        place.and_then(|place| place.started_at).or(group.now.first.map(QuarterHour::start))
    }

    fn agent(&self, row: &UsageBucket<'_>) -> &str {
        match row.agent_id {
            "" => MAIN_AGENT,
            HIDDEN_AGENT => HIDDEN_AGENT,
            run => {
                let key = (row.session, run);
                let found =
                    self.runs.binary_search_by(|known| (known.session, known.agent_id.as_str()).cmp(&key));
                let known = found.ok().and_then(|at| self.runs[at].agent_type.as_deref());
                known.unwrap_or(UNTYPED_AGENT)
            }
        }
    }
}

/// Groups under the keys of one kind.
#[derive(Debug)]
pub(super) struct CostGroups<'a> {
    by: By,
    places: &'a SessionPlaces,
    days: Days<'a>,
    /// How many groups there are at most, those in brackets aside.
    most: usize,
    groups: Vec<CostGroup>,
    index: HashMap<String, usize>,
    /// The group that a row was added to last: the next one often has the same key.
    last: usize,
    /// Groups of sessions, for the keys that a session has one of.
    of_sessions: HashMap<SessionRow, usize>,
    /// The last time and its group: most rows come in the order of time.
    of_time: Option<(Option<QuarterHour>, bool, usize)>,
}

impl<'a> CostGroups<'a> {
    pub(super) fn new(by: By, places: &'a SessionPlaces, zone: &'a Zone) -> Self {
        Self {
            by,
            places,
            days: Days::new(zone),
            most: if by == By::Session { usize::MAX } else { MOST_KEYS },
            groups: Vec::new(),
            index: HashMap::new(),
            last: 0,
            of_sessions: HashMap::new(),
            of_time: None,
        }
    }

    /// Adds a row of the later period.
    pub(super) fn add(&mut self, row: &UsageBucket<'_>) {
        let at = self.group_of(row, Shift::None);
        self.groups[at].now.add(row);
    }

    /// Adds a row of the period before, under the key of the day that `shift` moves it to.
    pub(super) fn add_before(&mut self, row: &UsageBucket<'_>, shift: Shift) {
        let at = self.group_of(row, shift);
        self.groups[at].before.get_or_insert_default().add(row);
    }

    /// Adds an allocation, under the key of the day that `shift` moves it to if it is of the period before.
    pub(super) fn add_allocation(
        &mut self,
        session: SessionRow,
        allocation: &AllocationRow,
        before: Option<Shift>,
    ) {
        let row = UsageBucket {
            quarter: allocation.quarter,
            session,
            agent_id: &allocation.agent_id,
            model: &allocation.model,
            branch: &allocation.branch,
            responses: allocation.responses,
            usage: allocation.usage,
            cost: allocation.cost,
        };
        let at = match (self.by, allocation.agent_type()) {
            (By::AllocationKey(by), _) => {
                let place = self.places.sessions.get(&session);
                let key = by.key(allocation, place.is_some_and(|place| place.is_scheduled));
                // The fourth turn of one session has nothing to do with that of another.
                let is_turn = by == AllocationKey::Step && is_turn_name(&key);
                self.named(if is_turn { TURNS } else { &key })
            }
            (By::Agent, Some(name)) => self.named(if name.is_empty() { UNTYPED_AGENT } else { name }),
            _ => self.group_of(&row, before.unwrap_or_default()),
        };
        let group = &mut self.groups[at];
        let sum = if before.is_some() { group.before.get_or_insert_default() } else { &mut group.now };
        sum.add_part(&row, allocation.cost);
        let cost = allocation.cost.unwrap_or_default().total();
        match allocation.phase {
            Phase::Entry => sum.phases.0 += cost,
            Phase::Carry => sum.phases.1 += cost,
            Phase::Unplaced => {}
        }
    }

    /// The groups in the order of the report: by time, or the most expensive first.
    pub(super) fn into_sorted(self) -> Vec<CostGroup> {
        let mut groups = self.groups;
        match self.by {
            // What has no time comes last.
            by if by.is_time() => groups.sort_by(|one, other| {
                (one.key.starts_with('('), &one.key).cmp(&(other.key.starts_with('('), &other.key))
            }),
            By::Session => groups.sort_by_cached_key(|group| {
                let started_at = self.places.started_at(group);
                (started_at.is_none(), started_at, group.key.clone())
            }),
            _ => groups.sort_by_cached_key(|group| {
                let cost = group.now.cost.priced().map_or(PicoUsd::ZERO, |cost| cost.total());
                (Reverse(cost), Reverse(group.now.usage.total()), group.key.clone())
            }),
        }
        groups
    }

    fn group_of(&mut self, row: &UsageBucket<'_>, shift: Shift) -> usize {
        let places = self.places;
        let is_hidden = row.agent_id == HIDDEN_AGENT;
        match self.by {
            By::Day | By::Week | By::Month => {
                if let Some((quarter, hidden, at)) = self.of_time
                    && (quarter, hidden) == (row.quarter, is_hidden)
                {
                    return at;
                }
                let key = self.time_key(row.quarter, is_hidden, shift);
                let at = self.named(&key);
                self.of_time = Some((row.quarter, is_hidden, at));
                at
            }
            By::Session | By::Project | By::Client => {
                if let Some(at) = self.of_sessions.get(&row.session) {
                    return *at;
                }
                let place = places.sessions.get(&row.session);
                let key = place.and_then(|place| match self.by {
                    By::Session => Some(place.id.as_str()),
                    By::Client => Some(place.client.as_str()),
                    _ => place.project.as_deref(),
                });
                let at = self.named(key.filter(|key| !key.is_empty()).unwrap_or(NO_KEY));
                self.of_sessions.insert(row.session, at);
                if self.by == By::Session {
                    self.groups[at].session = Some(row.session);
                }
                at
            }
            By::Branch if row.branch.is_empty() => self.named(if is_hidden { HIDDEN_AGENT } else { NO_KEY }),
            By::Branch => self.named(row.branch),
            By::Model if row.model.is_empty() => self.named(NO_KEY),
            By::Model => self.named(row.model),
            By::Agent => self.named(places.agent(row)),
            // Rows of what was spent don't know what caused it; allocations come through `add_allocation`.
            By::AllocationKey(_) => self.named(NO_KEY),
        }
    }

    fn time_key(&mut self, quarter: Option<QuarterHour>, is_hidden: bool, shift: Shift) -> String {
        match quarter.and_then(|quarter| self.days.of(quarter.start())) {
            Some(day) => {
                let day = shift.forth(day);
                match self.by {
                    By::Week => day.week(),
                    By::Month => day.month(),
                    _ => day.to_string(),
                }
            }
            None if is_hidden => HIDDEN_AGENT.to_owned(),
            None => NO_KEY.to_owned(),
        }
    }

    fn named(&mut self, key: &str) -> usize {
        if self.groups.get(self.last).is_none_or(|last| last.key != key) {
            self.last = match self.index.get(key) {
                Some(known) => *known,
                None if self.groups.len() >= self.most && !key.starts_with('(') => {
                    return self.named(OTHER);
                }
                None => self.groups.len(),
            };
        }
        if self.last == self.groups.len() {
            self.groups.push(CostGroup { key: key.to_owned(), ..CostGroup::default() });
            self.index.insert(key.to_owned(), self.last);
        }
        self.last
    }
}

/// The row of all turns that belong to no named step and no task.
const TURNS: &str = "(turns)";

/// Quarters of an hour from one on, before another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct QuarterSpan {
    pub(super) from: Option<QuarterHour>,
    pub(super) until: Option<QuarterHour>,
}

impl QuarterSpan {
    /// From the start of a day to the end of another, in a zone.
    pub(super) fn of_days(since: Option<Day>, until: Option<Day>, zone: &Zone) -> Self {
        let start = |day: Day| QuarterHour::from_time(zone.start_of(day));
        Self { from: since.map(start), until: until.map(|day| start(day.plus_days(1))) }
    }

    /// Whether it begins or ends within a block.
    pub(super) fn cuts(self, (first, last): QuarterRange) -> bool {
        self.from.into_iter().chain(self.until).any(|edge| first < edge && edge <= last)
    }

    pub(super) fn holds(self, quarter: Option<QuarterHour>) -> bool {
        match quarter {
            Some(quarter) => {
                self.from.is_none_or(|from| from <= quarter) && self.until.is_none_or(|until| quarter < until)
            }
            None => self.from.or(self.until).is_none(),
        }
    }
}

/// A span, and the one before it with how far its days are moved, if there is one.
pub(super) type Spans = (QuarterSpan, Option<(QuarterSpan, Shift)>);

/// Reads what lies in the spans under the keys of one kind.
pub(super) fn read<'a>(
    ledger: &Ledger,
    filter: &BucketFilter,
    spans: Spans,
    by: By,
    whose: (&'a SessionPlaces, &'a Zone),
) -> Result<CostGroups<'a>, StoreError> {
    if matches!(by, By::AllocationKey(_)) {
        let [groups] = read_allocations(ledger, filter, spans, [by], whose)?;
        return Ok(groups);
    }
    read_spent(ledger, filter, spans, by, whose)
}

/// Reads allocations, which know where costs came from, under the keys of several kinds at once: tools, models and agents.
pub(super) fn read_allocations<'a, const N: usize>(
    ledger: &Ledger,
    filter: &BucketFilter,
    (now, before): Spans,
    kinds: [By; N],
    (places, zone): (&'a SessionPlaces, &'a Zone),
) -> Result<[CostGroups<'a>; N], StoreError> {
    let mut all = kinds.map(|by| CostGroups::new(by, places, zone));
    // These are not told apart in what is added up.
    let is_fine =
        kinds.iter().any(|by| matches!(by, By::AllocationKey(AllocationKey::Step | AllocationKey::FileType)));
    let before = before.map(|(span, shift)| (span, Some(shift)));
    for (span, shift) in [Some((now, None)), before].into_iter().flatten() {
        let filter = BucketFilter { from: span.from, until: span.until, ..filter.clone() };
        let each = |session: SessionRow, allocation: &AllocationRow| {
            for groups in &mut all {
                groups.add_allocation(session, allocation, shift);
            }
        };
        if is_fine {
            ledger.allocations().for_each(&filter, each)?;
        } else {
            ledger.allocations().for_each_summed(&filter, each)?;
        }
    }
    Ok(all)
}

fn read_spent<'a>(
    ledger: &Ledger,
    filter: &BucketFilter,
    (now, before): Spans,
    by: By,
    (places, zone): (&'a SessionPlaces, &'a Zone),
) -> Result<CostGroups<'a>, StoreError> {
    let from = before.map_or(now.from, |(before, _)| before.from.min(now.from));
    let filter = BucketFilter { from, until: now.until, ..filter.clone() };
    let is_timeless = match by {
        // A session that nobody has seen begin began with its first response.
        By::Session => places.sessions.values().all(|place| place.started_at.is_some()),
        by => matches!(by, By::Project | By::Client | By::Model),
    };
    let grain = match by {
        By::Agent => Grain::Day,
        _ if is_timeless && from.or(now.until).is_none() => Grain::Session,
        _ => Grain::Hour,
    };
    let mut days = Days::new(zone);
    let is_split = |block: QuarterRange| {
        let mut first = |quarter: QuarterHour| by.first_day(days.of(quarter.start())?);
        now.cuts(block)
            || before.is_some_and(|(span, _)| span.cuts(block))
            || first(block.0) != first(block.1)
    };
    let mut groups = CostGroups::new(by, places, zone);
    ledger.usage().for_each_bucket(&filter, grain, is_split, |row| {
        if now.holds(row.quarter) {
            groups.add(row);
        } else if let Some((span, shift)) = before
            && span.holds(row.quarter)
        {
            groups.add_before(row, shift);
        }
    })?;
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_most_are_one_row() {
        let places = SessionPlaces { sessions: HashMap::new(), runs: Vec::new() };
        let zone = Zone::utc();
        let mut groups = CostGroups::new(By::Model, &places, &zone);
        groups.most = 3;
        let named = ["a", "b", "a", "c", "d", NO_KEY, "e", "d", "b"].map(|key| groups.named(key));
        assert_eq!(named, [0, 1, 0, 2, 3, 4, 3, 3, 1]);
        let keys: Vec<String> = groups.into_sorted().into_iter().map(|group| group.key).collect();
        assert_eq!(keys, [NO_KEY, OTHER, "a", "b", "c"]);
        assert_eq!(CostGroups::new(By::Session, &places, &zone).most, usize::MAX);
    }
}
