//! Brings up to date where costs came from: reads the content of transcripts that were only imported, allocates what
//! sessions have spent since ([`attribution`]) and keeps it in the ledger.
//!
//! Hooks keep what is needed of the content when a turn ends. Everything else is done here, when a view first asks.

mod rows;

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::attribution::{self, Item, ItemKind, Paid};
use crate::domain::{
    AgentId, CostParts, MessageId, ModelId, PicoUsd, ResponseRecord, Timeline, ToolName, Usage,
};
use crate::estimate::calibrate::{Calibration, CalibrationSample, SampleFinder, Tokenizer};
use crate::ingest::contents::{self, are_read};
use crate::pricing::Rates;
use crate::store::{
    AllocationRow, AllocationWriter, Allocations, Estimates, Growth, HIDDEN_AGENT, Ledger, Phase,
    QuarterHour, SessionRow, SessionTranscript, StaleSession, StoreError,
};
use rows::{Adding, Bucket, Buckets, RowSums, Rows};

/// What is no tool, in the place of its name.
pub const SYSTEM: &str = "(system prompt)";
/// What the user wrote.
pub const PROMPTS: &str = "(prompts)";
/// A model's texts and thinking.
pub const OUTPUT: &str = "(output)";
/// What compactions left.
pub const SUMMARY: &str = "(summary)";
/// The provider's advisor, as the client's own transcripts name it: another model that is asked within a response. It reads
/// the context on its own account, and what it answers is part of that response. No call of the client, so it counts none.
pub const ADVISOR: &str = "advisor";
/// What cannot be placed.
pub const NONE: &str = "(none)";

/// Sessions that are stored at once. All of their allocations are in memory until then.
const SESSIONS_AT_ONCE: usize = 40;
/// No further session is allocated before they are stored, once they are so large, in bytes.
const BYTES_AT_ONCE: usize = 4 << 20;
/// So many responses of a session are looked at, the first in the order of time, so that the memory for it has a bound. What
/// later ones used is in all sums and in no tool's, skill's or step's. Of responses before that whose entries are beyond
/// [`MOST_ENTRIES`], skill and step are known.
const MOST_RESPONSES: usize = if cfg!(test) { 40 } else { 16_384 };
/// So many prompts of a session begin a turn of their own; what follows belongs to the last of these turns.
const MOST_PROMPTS: usize = MOST_RESPONSES;
/// So many entries of a transcript are looked at, of which a call of a response is eight more: what it costs is kept apart.
const MOST_ENTRIES: usize = 16 * MOST_RESPONSES;
/// So many rows of what cannot be placed keep the names of their models; the others' is [`OTHER`].
const MOST_UNPLACED: usize = if cfg!(test) { 20 } else { 4_096 };
/// The model of what cannot be placed, beyond the first [`MOST_UNPLACED`] rows.
const OTHER: &str = "(other)";
/// Once so many rows of a session were read, the pages of the file that SQLite keeps (up to 16 MB) are given back before as
/// much is made of the rows.
const MANY_ROWS: usize = 4_096;
/// How often files are read that have come in while others were; what comes later is left to the next view.
const MOST_READINGS: usize = 3;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocationProgress {
    /// Transcripts that were read, of all that must be.
    Reading(usize, usize),
    /// Sessions whose usage was allocated, of all that must be.
    Sharing(usize, usize),
}

/// Allocates what was spent in all sessions that have changed, or in some of them. `keeps_names` says whether tasks may be
/// named.
///
/// # Errors
/// If the ledger cannot be read or written. A transcript that cannot be read is passed over: its part stays unplaced.
pub fn refresh(
    ledger: &mut Ledger,
    keeps_names: bool,
    only: Option<&[SessionRow]>,
    mut tell: impl FnMut(AllocationProgress),
) -> Result<(), StoreError> {
    let only: Option<HashSet<SessionRow>> = only.map(|only| only.iter().copied().collect());
    let is_wanted = |session: &StaleSession| only.as_ref().is_none_or(|only| only.contains(&session.row));
    let work = StaleWork::read(ledger, keeps_names, |ledger| StaleWork::find(ledger, is_wanted), &mut tell)?;
    let (mut allocations, mut bytes) = (Vec::new(), 0);
    for (number, session) in (1..).zip(&work.stale) {
        let files = work.files_of(session.row);
        let estimates = ledger.calibrations().returned_estimates(session.row)?;
        let allocated = allocate(ledger, session.row, files, &estimates, false)?;
        bytes += allocated.allocations.size();
        allocations.push((session.good_if(are_read(files)), allocated.allocations, allocated.growth));
        if allocations.len() == SESSIONS_AT_ONCE || bytes > BYTES_AT_ONCE || number == work.stale.len() {
            ledger.allocations_mut().store(&allocations)?;
            allocations.clear();
            bytes = 0;
            tell(AllocationProgress::Sharing(number, work.stale.len()));
        }
    }
    Ok(())
}

/// What is to be allocated.
struct StaleWork {
    stale: Vec<StaleSession>,
    files: HashMap<SessionRow, Vec<SessionTranscript>>,
}

impl StaleWork {
    /// Finds the sessions and then their files, so that a file that comes in between makes its session stale once more.
    fn find(ledger: &Ledger, is_wanted: impl Fn(&StaleSession) -> bool) -> Result<Self, StoreError> {
        let mut stale = ledger.allocations().stale_sessions(None)?;
        stale.retain(is_wanted);
        let mut files: HashMap<SessionRow, Vec<SessionTranscript>> = HashMap::new();
        if stale.is_empty() {
            return Ok(Self { stale, files });
        }
        let rows: HashSet<SessionRow> = stale.iter().map(|session| session.row).collect();
        for file in ledger.logs().session_transcripts(None)? {
            if rows.contains(&file.session) {
                files.entry(file.session).or_default().push(file);
            }
        }
        Ok(Self { stale, files })
    }

    /// One session, whether it has changed or not. Its stamp before its files, so that what changes meanwhile makes it stale.
    fn of(ledger: &Ledger, session: SessionRow) -> Result<Self, StoreError> {
        let stale = ledger.allocations().stale_sessions(Some(session))?;
        let files = HashMap::from([(session, ledger.logs().session_transcripts(Some(session))?)]);
        Ok(Self { stale, files })
    }

    /// What `find` finds, once the contents are read that are of matter for it.
    fn read(
        ledger: &mut Ledger,
        keeps_names: bool,
        find: impl Fn(&Ledger) -> Result<Self, StoreError>,
        tell: &mut impl FnMut(AllocationProgress),
    ) -> Result<Self, StoreError> {
        let mut work = find(ledger)?;
        for _ in 0..MOST_READINGS {
            if work.stale.is_empty() || work.is_read() {
                break;
            }
            let files = work.files.values().flatten();
            let read = contents::read(ledger, keeps_names, files, |done, all| {
                tell(AllocationProgress::Reading(done, all));
            });
            let is_stored = ledger.without_if_held(read)?.is_some();
            work = find(ledger)?;
            if !is_stored {
                break;
            }
        }
        Ok(work)
    }

    fn is_read(&self) -> bool {
        self.files.values().all(|files| are_read(files))
    }

    fn files_of(&self, session: SessionRow) -> &[SessionTranscript] {
        self.files.get(&session).map_or(&[][..], Vec::as_slice)
    }
}

/// Where a session's costs came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionAllocations {
    /// All that it has spent, as [`refresh`] keeps it in the ledger.
    pub rows: Allocations,
    /// Its calls, each with what it has cost.
    pub calls: Vec<CallCost>,
    /// By how much the calls' estimates were off, in per cent of what its contexts have grown by; `None` if no such growth
    /// is known. Left out is what the client's own words came into.
    pub error_percent: Option<f64>,
}

/// Allocates what one session has spent, whether it has changed or not, and keeps the result if it has.
///
/// # Errors
/// If the ledger cannot be read or written. A transcript that cannot be read is passed over: its part stays unplaced.
pub fn of_session(
    ledger: &mut Ledger,
    keeps_names: bool,
    session: SessionRow,
    mut tell: impl FnMut(AllocationProgress),
) -> Result<SessionAllocations, StoreError> {
    let work = StaleWork::read(ledger, keeps_names, |ledger| StaleWork::of(ledger, session), &mut tell)?;
    let files = work.files_of(session);
    let Allocated { allocations: mut rows, mut growth, calls } =
        allocate(ledger, session, files, &ledger.calibrations().returned_estimates(session)?, true)?;
    if let Some(stale) = work.stale.first() {
        let kept = [(stale.good_if(are_read(files)), rows, growth)];
        ledger.allocations_mut().store(&kept)?;
        [(_, rows, growth)] = kept;
    }
    let error_percent = Calibrations::default().error_percent(ledger, &growth)?;
    Ok(SessionAllocations { rows, calls, error_percent })
}

/// What the contexts of a session have grown by, read from all that is known of them. The allocations' own
/// ([`for_each_of`](crate::store::AllocationTable::for_each_of)) is the same and at hand, as long as it is of the session's calls.
///
/// # Errors
/// If the ledger cannot be read.
pub fn growth(ledger: &Ledger, session: SessionRow) -> Result<Growth, StoreError> {
    let estimates = ledger.calibrations().returned_estimates(session)?;
    let mut growth = Growth::new(estimates.fingerprint);
    let messages = ledger.allocations().session_responses(session, MOST_RESPONSES)?;
    let known: HashMap<&MessageId, &ResponseRecord> =
        messages.iter().map(|message| (&message.id, message)).collect();
    for file in ledger.logs().session_transcripts(Some(session))? {
        let mut calibration_samples = SampleFinder::new(&known);
        ledger.logs().for_each_context_entry(&file.path, MOST_ENTRIES, |entry| {
            calibration_samples.add(entry, |sample| add_gap(&mut growth, &sample, &estimates));
            Ok(())
        })?;
    }
    Ok(growth)
}

/// Adds a gap all of whose calls were estimated.
fn add_gap(growth: &mut Growth, sample: &CalibrationSample, estimates: &Estimates) {
    let CalibrationSample::Gap(gap) = sample else { return };
    let estimated: Option<u64> = gap.answers.iter().map(|answer| estimates.returned.get(&answer.call)).sum();
    if let Some(estimated) = estimated {
        growth.add(gap, estimated);
    }
}

/// What a tool call has cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCost {
    /// The tool.
    pub tool: ToolName,
    /// The run that made it; `None` for the main conversation.
    pub agent: Option<AgentId>,
    /// The keyed hash of the file that it has read or changed, if all of it.
    pub file: Option<u64>,
    /// Tokens of input when it was written and its result came in.
    pub entry_tokens: u64,
    /// What was paid then; nothing without a price.
    pub entry_cost: PicoUsd,
    /// What later requests paid to read it again; nothing without a price.
    pub carry_cost: PicoUsd,
}

impl CallCost {
    /// A call of a run that has cost nothing yet; `None` of an item that is none.
    fn of(item: &Item, agent: Option<&AgentId>) -> Option<Self> {
        let (Some(_), ItemKind::Tool(tool)) = (&item.call, &item.kind) else { return None };
        Some(Self {
            tool: tool.clone(),
            agent: agent.cloned(),
            file: item.file,
            entry_tokens: 0,
            entry_cost: PicoUsd::ZERO,
            carry_cost: PicoUsd::ZERO,
        })
    }

    fn add(&mut self, share: &attribution::ItemShare, rates: Option<&Rates>) {
        let cost = |usage: &Usage| rates.map_or(PicoUsd::ZERO, |rates| usage.cost_at(rates).total());
        self.entry_tokens += share.entry.prompt();
        self.entry_cost += cost(&share.entry);
        self.carry_cost += cost(&share.carry);
    }
}

/// The steps of a session.
///
/// # Errors
/// If the ledger cannot be read.
pub fn timeline(ledger: &Ledger, session: SessionRow) -> Result<Timeline, StoreError> {
    let (steps, tasks) = (ledger.sessions().named_steps(session)?, ledger.logs().task_changes(session)?);
    Ok(Timeline::new(&steps, &tasks, &ledger.sessions().prompt_times(session, MOST_PROMPTS)?))
}

/// Tokens that the client is foreseen to add of its own beside the results of so many calls.
///
/// # Errors
/// If the ledger cannot be read.
pub fn foreseen(ledger: &Ledger, model: Option<&str>, calls: u64) -> Result<u64, StoreError> {
    Calibrations::default().foreseen(ledger, model, calls)
}

/// What was learned of models, each looked up once.
#[derive(Debug, Default)]
pub struct Calibrations(HashMap<ModelId, Calibration>);

impl Calibrations {
    fn of(&mut self, ledger: &Ledger, model: &ModelId) -> Result<Calibration, StoreError> {
        if let Some(known) = self.0.get(model) {
            return Ok(*known);
        }
        let learned = ledger.calibrations().of_model(model)?;
        self.0.insert(model.clone(), learned);
        Ok(learned)
    }

    /// Tokens that the client is foreseen to add of its own beside the results of `calls` calls; none without a model.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn foreseen(&mut self, ledger: &Ledger, model: Option<&str>, calls: u64) -> Result<u64, StoreError> {
        let Some(model) = model.and_then(ModelId::new).filter(|_| calls > 0) else { return Ok(0) };
        Ok(self.of(ledger, &model)?.surplus().saturating_mul(calls))
    }

    /// By how much a session's estimates were off, in per cent of what its contexts grew by; `None` if no growth is known.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn error_percent(&mut self, ledger: &Ledger, growth: &Growth) -> Result<Option<f64>, StoreError> {
        growth.error_percent(|model| self.of(ledger, model))
    }
}

/// A session's own responses that are kept under variants of an id that is not unique, by that id and in their order.
struct Variants<'m>(HashMap<&'m str, VecDeque<&'m ResponseRecord>>);

impl<'m> Variants<'m> {
    fn of(messages: &'m [ResponseRecord]) -> Self {
        let mut found: HashMap<&str, VecDeque<&ResponseRecord>> = HashMap::new();
        for message in messages.iter().filter(|message| message.id.is_variant() && !message.copied) {
            found.entry(message.id.base()).or_default().push_back(message);
        }
        Self(found)
    }

    /// The first one of a run that is not done.
    fn next(
        &mut self,
        id: &MessageId,
        of: Option<&AgentId>,
        done: &HashSet<MessageId>,
    ) -> Option<&'m ResponseRecord> {
        let variants = self.0.get_mut(id.base())?;
        while variants.front().is_some_and(|message| done.contains(&message.id)) {
            variants.pop_front();
        }
        variants.iter().find(|message| message.agent.as_ref() == of && !done.contains(&message.id)).copied()
    }
}

/// The response that an entry names under an id which none of the session's own is kept under, and whether it is the
/// session's own: one that the session has from another one, else, where the id is not unique, the next that is kept under a
/// variant of it.
fn of_another_or_variant(
    ledger: &Ledger,
    session: SessionRow,
    (id, of): (&MessageId, Option<&AgentId>),
    variants: &mut Variants<'_>,
    done: &HashSet<MessageId>,
) -> Result<(Option<ResponseRecord>, bool), StoreError> {
    if let Some(variant) = variants.next(id, of, done)
        && !ledger.allocations().has_as_copy(id, session)?
    {
        return Ok((Some(variant.clone()), true));
    }
    Ok((ledger.allocations().response(id)?, false))
}

/// What [`allocate`] finds.
struct Allocated {
    allocations: Allocations,
    calls: Vec<CallCost>,
    growth: Growth,
}

/// Allocates what a session has spent. All that its rows of `usage_buckets` hold is in the result, and no more. `estimates` are of
/// its calls' results, for how far these are off. What each call has cost takes as much memory as all else.
fn allocate(
    ledger: &Ledger,
    session: SessionRow,
    files: &[SessionTranscript],
    estimates: &Estimates,
    with_calls: bool,
) -> Result<Allocated, StoreError> {
    let timeline = timeline(ledger, session)?;
    let messages = ledger.allocations().session_responses(session, MOST_RESPONSES)?;
    let is_long = messages.len() >= MANY_ROWS;
    if is_long {
        ledger.release_pages()?;
    }
    let known: HashMap<&MessageId, &ResponseRecord> =
        messages.iter().map(|message| (&message.id, message)).collect();
    let mut variants = Variants::of(&messages);
    let buckets = RefCell::new(Buckets::new(ledger.prices(), &timeline));
    let (mut rows, mut adding) = (Rows::default(), Adding::default());
    let mut calls = Vec::new();
    let mut done: HashSet<MessageId> = HashSet::new();
    let mut growth = Growth::new(estimates.fingerprint);
    // A subagent's own file knows more of it than the main one, which can echo its lines.
    let (subagents, main): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.agent.is_some());
    for file in subagents.into_iter().chain(main) {
        let mut by_call: BTreeMap<usize, CallCost> = BTreeMap::new();
        let mut add_share = |items: &[Item], share: attribution::ItemShare| {
            adding.add(items, &share, &mut rows);
            if !with_calls {
                return;
            }
            let call = match by_call.entry(share.item) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => match CallCost::of(&items[share.item], file.agent.as_ref()) {
                    Some(call) => place.insert(call),
                    None => return,
                },
            };
            let at = u32::try_from(share.bucket).unwrap_or(u32::MAX);
            call.add(&share, buckets.borrow().rates_of(at));
        };
        let mut attributor = attribution::Attributor::new(file.agent.as_ref());
        let mut calibration_samples = SampleFinder::new(&known);
        ledger.logs().for_each_context_entry(&file.path, MOST_ENTRIES, |entry| {
            let mut fault = None;
            let paid = |id: &MessageId, of: Option<&AgentId>| {
                let own = known.get(id).copied().filter(|message| !message.copied);
                let found = match own {
                    Some(own) if own.agent.as_ref() == of || !variants.0.contains_key(id.base()) => {
                        Ok((Some(own.clone()), true))
                    }
                    _ => of_another_or_variant(ledger, session, (id, of), &mut variants, &done),
                };
                match found {
                    Ok((Some(message), true)) => {
                        let is_own = message.agent.as_ref() == of && done.insert(message.id.clone());
                        let paid_in = if is_own { buckets.borrow_mut().of(&message) } else { Vec::new() };
                        Some(paid_of(&message, paid_in))
                    }
                    Ok((found, _)) => found.map(|message| paid_of(&message, Vec::new())),
                    Err(error) => {
                        fault = Some(error);
                        None
                    }
                }
            };
            attributor.add(entry, paid, &mut add_share);
            if !estimates.returned.is_empty() {
                calibration_samples.add(entry, |sample| add_gap(&mut growth, &sample, estimates));
            }
            fault.map_or(Ok(()), Err)
        })?;
        attributor.finish(&mut add_share);
        adding.finish_context(&mut rows);
        calls.extend(by_call.into_values());
    }
    let mut buckets = buckets.into_inner();
    let is_left = |message: &&ResponseRecord| !message.copied && !done.contains(&message.id);
    let mut left: Vec<&ResponseRecord> = messages.iter().filter(is_left).collect();
    left.sort_by(|one, other| one.id.cmp(&other.id));
    for message in left {
        for (number, (at, usage)) in (0..).zip(buckets.of(message)) {
            let skill = message.skill.as_deref().unwrap_or_default();
            let (tool, phase) = match message.id.is_advisors() {
                true => (ADVISOR, Phase::Entry),
                false => (NONE, Phase::Unplaced),
            };
            let kind = rows.kind([tool, skill, ""]);
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            rows.add((at, kind, phase), (u64::from(number == 0), 0), usage);
        }
    }
    // They take as much memory as the rows, which are written next.
    drop((variants, known, done, adding));
    drop(messages);
    if is_long {
        ledger.release_pages()?;
    }
    Ok(Allocated { allocations: complete(ledger, session, &rows, &buckets)?, calls, growth })
}

/// A response whose requests belong to these buckets, the first of which has its last one; none if another one pays for it.
fn paid_of(message: &ResponseRecord, buckets: Vec<(usize, Usage)>) -> Paid {
    let percent = message.model.as_ref().map_or(100, |model| Tokenizer::of(model).estimate(100));
    let mut others = buckets.into_iter();
    let (bucket, usage) = match others.next() {
        Some((bucket, usage)) => (Some(bucket), usage),
        None => (None, message.usage),
    };
    Paid { usage, last: message.last_iteration(), bucket, others: others.collect(), percent }
}

/// Adds what no response shows (hidden calls), so that the rows are all that the session has spent. Where they were
/// more than that, nothing is placed: better no answer than a wrong sum.
fn complete(
    ledger: &Ledger,
    session: SessionRow,
    rows: &Rows,
    buckets: &Buckets<'_>,
) -> Result<Allocations, StoreError> {
    if let Some(allocations) = with_rest(ledger, session, rows, buckets)? {
        return Ok(allocations);
    }
    Ok(with_rest(ledger, session, &Rows::default(), buckets)?.unwrap_or_default())
}

/// What rows of `usage_buckets` are by: a quarter; the run, the model and the branch as numbers of [`Buckets::names`]; whether there was
/// a price.
type BucketPlace = (Option<QuarterHour>, [u32; 3], bool);

/// What is placed, added up, and what it has cost.
#[derive(Default)]
struct PlacedSums {
    sums: RowSums,
    cost: CostParts,
}

/// The rows, and what is left of the session's rows of `usage_buckets` without them; `None` if they are more than these.
fn with_rest(
    ledger: &Ledger,
    session: SessionRow,
    rows: &Rows,
    buckets: &Buckets<'_>,
) -> Result<Option<Allocations>, StoreError> {
    let mut writer = AllocationWriter::default();
    let mut placed: HashMap<BucketPlace, PlacedSums> = HashMap::new();
    for ((at, kind, phase), sums) in &rows.sums {
        let (Some(bucket), Some(kind)) = (buckets.get(*at), rows.names_of(*kind)) else { continue };
        let Bucket { quarter, agent, model, branch, priced, step, .. } = *bucket;
        let cost = buckets.rates_of(*at).map(|rates| sums.usage.cost_at(rates)).unwrap_or_default();
        let place = placed.entry((quarter, [agent, model, branch], priced)).or_default();
        place.sums.responses += sums.responses;
        place.sums.usage += sums.usage;
        place.cost += cost;
        let [agent_id, model, branch, step] =
            [agent, model, branch, step].map(|name| buckets.names.text(name).to_owned());
        let [tool, skill, file_type] = kind.map(str::to_owned);
        writer.push(&AllocationRow {
            quarter,
            agent_id,
            model,
            branch,
            tool,
            skill,
            file_type,
            step,
            phase: *phase,
            responses: sums.responses,
            calls: sums.calls,
            usage: sums.usage,
            cost: priced.then_some(cost),
        });
    }
    let (mut is_within, mut found, mut unplaced) = (true, 0, 0);
    ledger.allocations().for_each_bucket_of(session, |row| {
        // What has another name is placed nowhere.
        let names = [row.agent_id, row.model, row.branch].map(|name| buckets.names.find(name));
        let none = PlacedSums::default();
        let known = match names {
            [Some(agent), Some(model), Some(branch)] => {
                placed.get(&(row.quarter, [agent, model, branch], row.cost.is_some()))
            }
            _ => None,
        };
        found += usize::from(known.is_some());
        let known = known.unwrap_or(&none);
        let rest = row.usage.saturating_sub(known.sums.usage);
        let cost = row.cost.unwrap_or_default();
        is_within &= known.sums.responses <= row.responses
            && rest + known.sums.usage == row.usage
            && cost.has(&known.cost);
        if !is_within || (known.sums.responses == row.responses && rest == Usage::default()) {
            return;
        }
        let tool = if row.agent_id == HIDDEN_AGENT { HIDDEN_AGENT } else { NONE };
        unplaced += 1;
        let model = if unplaced > MOST_UNPLACED { OTHER } else { row.model };
        writer.push(&AllocationRow {
            model: model.to_owned(),
            responses: row.responses - known.sums.responses,
            usage: rest,
            cost: row.cost.map(|cost| cost.minus(&known.cost)),
            ..AllocationRow::unplaced(row, tool)
        });
    })?;
    let is_all = is_within && found == placed.len();
    // The writer needs room for all that it has once more.
    drop(placed);
    if unplaced >= MANY_ROWS {
        ledger.release_pages()?;
    }
    Ok(is_all.then(|| writer.finish()))
}
