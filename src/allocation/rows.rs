//! The rows that a session's allocations are added up to.

use std::collections::{BTreeMap, HashMap};

use super::{OUTPUT, PROMPTS, SUMMARY, SYSTEM};
use crate::attribution::{self, Item, ItemKind};
use crate::domain::{AgentId, Interner, ModelId, ResponseRecord, Timeline, Usage};
use crate::pricing::{PriceTable, Rates};
use crate::store::{Phase, QuarterHour};

/// So many rows of a session are kept; what would be in others stays unplaced. At a hundred bytes a row these are 7 MB, for
/// some six thousand steps with ten tools each.
pub(super) const MOST_ROWS: usize = if cfg!(test) { 120 } else { 1 << 16 };

/// Responses that are added up together. Texts are numbers of [`Buckets::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    pub(super) quarter: Option<QuarterHour>,
    pub(super) agent: u32,
    pub(super) model: u32,
    pub(super) branch: u32,
    pub(super) step: u32,
    pub(super) priced: bool,
    /// Which of [`Buckets::rates`].
    rates: Option<u32>,
}

/// What rows are added up by: the place of the bucket in [`Buckets::list`], the kind, and when it was paid.
pub(super) type RowKey = (u32, u32, Phase);

#[derive(Debug, Default)]
pub(super) struct RowSums {
    pub(super) responses: u64,
    pub(super) calls: u64,
    pub(super) usage: Usage,
}

/// Rows in the making. One rate holds for a bucket, so a row is priced as its parts are.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) sums: BTreeMap<RowKey, RowSums>,
    /// Tool, skill and type of file, as numbers of `names`.
    kinds: Vec<[u32; 3]>,
    index: HashMap<[u32; 3], u32>,
    names: Interner,
}

impl Rows {
    pub(super) fn kind(&mut self, name: [&str; 3]) -> u32 {
        let name = name.map(|text| self.names.number(text));
        if let Some(kind) = self.index.get(&name) {
            return *kind;
        }
        let kind = number(self.kinds.len());
        self.kinds.push(name);
        self.index.insert(name, kind);
        kind
    }

    /// Tool, skill and type of file of a kind.
    pub(super) fn names_of(&self, kind: u32) -> Option<[&str; 3]> {
        Some(self.kinds.get(kind as usize)?.map(|name| self.names.text(name)))
    }

    pub(super) fn add(&mut self, key: RowKey, (responses, calls): (u64, u64), usage: Usage) {
        if responses + calls == 0 && usage == Usage::default() {
            return;
        }
        if self.sums.len() >= MOST_ROWS && !self.sums.contains_key(&key) {
            return;
        }
        let sums = self.sums.entry(key).or_default();
        sums.responses += responses;
        sums.calls += calls;
        sums.usage += usage;
    }
}

/// Allocations on their way into [`Rows`]: those of one bucket, by what their items are. Buckets come one after the other, each with
/// a share for every item of a context, and rows know items by these three alone.
#[derive(Debug, Default)]
pub(super) struct Adding {
    /// By item of the context that is being read: its kind.
    of_items: Vec<Option<u32>>,
    bucket: Option<usize>,
    /// By kind, its place in [`Self::paid`] if it has paid.
    places: Vec<Option<u32>>,
    /// The kinds that have paid, and what.
    paid: Vec<Paying>,
}

/// What the items of one kind have paid.
#[derive(Debug, Default)]
struct Paying {
    kind: u32,
    responses: u64,
    calls: u64,
    entry: Usage,
    carry: Usage,
}

impl Adding {
    pub(super) fn add(&mut self, items: &[Item], share: &attribution::ItemShare, rows: &mut Rows) {
        if self.bucket != Some(share.bucket) {
            self.finish_bucket(rows);
            self.bucket = Some(share.bucket);
        }
        let kind = self.kind_of(share.item, &items[share.item], rows);
        if self.places.len() <= kind as usize {
            self.places.resize(kind as usize + 1, None);
        }
        let next = self.paid.len();
        let place = *self.places[kind as usize].get_or_insert(number(next)) as usize;
        if place == next {
            self.paid.push(Paying { kind, ..Paying::default() });
        }
        let paid = &mut self.paid[place];
        paid.responses += share.responses;
        paid.calls += share.calls;
        paid.entry += share.entry;
        paid.carry += share.carry;
    }

    fn kind_of(&mut self, at: usize, item: &Item, rows: &mut Rows) -> u32 {
        if self.of_items.len() <= at {
            self.of_items.resize(at + 1, None);
        }
        *self.of_items[at].get_or_insert_with(|| {
            let [skill, file_type] =
                [&item.skill, &item.file_type].map(|name| name.as_deref().unwrap_or_default());
            rows.kind([kind_name(item), skill, file_type])
        })
    }

    /// Adds what the items of the last bucket have paid.
    fn finish_bucket(&mut self, rows: &mut Rows) {
        let Some(bucket) = self.bucket.take().map(number) else { return };
        for Paying { kind, responses, calls, entry, carry } in self.paid.drain(..) {
            self.places[kind as usize] = None;
            rows.add((bucket, kind, Phase::Entry), (responses, calls), entry);
            rows.add((bucket, kind, Phase::Carry), (0, 0), carry);
        }
    }

    /// The end of a context: the next one has other items.
    pub(super) fn finish_context(&mut self, rows: &mut Rows) {
        self.finish_bucket(rows);
        self.of_items.clear();
    }
}

/// The buckets so far.
pub(super) struct Buckets<'a> {
    prices: &'a PriceTable,
    timeline: &'a Timeline,
    pub(super) names: Interner,
    list: Vec<Bucket>,
    index: HashMap<Bucket, u32>,
    rates: Vec<Rates>,
}

impl<'a> Buckets<'a> {
    pub(super) fn new(prices: &'a PriceTable, timeline: &'a Timeline) -> Self {
        let (names, list, index, rates) = Default::default();
        Self { prices, timeline, names, list, index, rates }
    }

    pub(super) fn get(&self, at: u32) -> Option<&Bucket> {
        self.list.get(at as usize)
    }

    /// What holds for all of a bucket; `None` without a price.
    pub(super) fn rates_of(&self, at: u32) -> Option<&Rates> {
        self.get(at)?.rates.and_then(|rates| self.rates.get(rates as usize))
    }

    /// Those of a response's requests, with what belongs to each; the one of its last request first.
    pub(super) fn of(&mut self, message: &ResponseRecord) -> Vec<(usize, Usage)> {
        let mut found: Vec<(usize, Usage)> = Vec::with_capacity(1);
        let mut last = None;
        for (usage, rates) in self.prices.priced(message) {
            let priced = rates.is_some() || message.usage == Usage::default();
            let at = self.place(message, rates, priced) as usize;
            last = Some(at);
            match found.iter_mut().find(|(known, _)| *known == at) {
                Some((_, sum)) => *sum += usage,
                None => found.push((at, usage)),
            }
        }
        found.sort_by_key(|(at, _)| Some(*at) != last);
        found
    }

    fn place(&mut self, message: &ResponseRecord, rates: Option<Rates>, priced: bool) -> u32 {
        // A price table has few.
        let rates = rates.map(|rates| match self.rates.iter().position(|known| *known == rates) {
            Some(known) => number(known),
            None => {
                self.rates.push(rates);
                number(self.rates.len() - 1)
            }
        });
        let bucket = Bucket {
            quarter: message.at.map(QuarterHour::containing),
            agent: self.names.number(message.agent.as_ref().map_or("", AgentId::as_str)),
            model: self.names.number(message.model.as_ref().map_or("", ModelId::as_str)),
            branch: self.names.number(message.branch.as_deref().unwrap_or_default()),
            step: self.names.number(message.at.and_then(|at| self.timeline.at(at)).unwrap_or_default()),
            priced,
            rates,
        };
        let next = number(self.list.len());
        let at = *self.index.entry(bucket).or_insert(next);
        if at == next {
            self.list.push(bucket);
        }
        at
    }
}

/// A place in a list as a key has it: of four billion rows none fits into memory.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn kind_name(item: &Item) -> &str {
    match &item.kind {
        ItemKind::System => SYSTEM,
        ItemKind::Prompts => PROMPTS,
        ItemKind::Output => OUTPUT,
        ItemKind::Summary => SUMMARY,
        ItemKind::Tool(tool) => tool.as_str(),
    }
}
