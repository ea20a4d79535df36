//! The rows that a session's shares are added up to.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::{OUTPUT, PROMPTS, SUMMARY, SYSTEM};
use crate::attribution::{self, Item, Source};
use crate::domain::{AgentId, CostParts, Message, ModelId, Timeline, Usage};
use crate::pricing::{PriceTable, Rates};
use crate::store::{Phase, Quarter};

/// Responses that are added up together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Bucket {
    pub(super) quarter: Option<Quarter>,
    pub(super) agent: String,
    pub(super) model: String,
    pub(super) branch: String,
    pub(super) priced: bool,
    pub(super) step: String,
}

/// What rows are added up by.
pub(super) type Key = (Rc<Bucket>, String, String, String, Phase);

#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) responses: u64,
    pub(super) calls: u64,
    pub(super) usage: Usage,
    pub(super) cost: CostParts,
}

/// Rows in the making.
#[derive(Debug, Default)]
pub(super) struct Rows(pub(super) BTreeMap<Key, Sums>);

impl Rows {
    pub(super) fn add(&mut self, key: Key, (responses, calls): (u64, u64), usage: Usage, cost: CostParts) {
        if responses + calls == 0 && usage == Usage::default() {
            return;
        }
        let sums = self.0.entry(key).or_default();
        sums.responses += responses;
        sums.calls += calls;
        sums.usage += usage;
        sums.cost += cost;
    }
}

/// Shares on their way into [`Rows`]: those of one bucket, by what their items are. Buckets come one after the other, each with
/// a share for every item of a context, and rows know items by these three alone.
#[derive(Debug, Default)]
pub(super) struct Adding {
    /// Tool, skill and type of file.
    kinds: Vec<[String; 3]>,
    index: HashMap<[String; 3], usize>,
    /// By item of the context that is being read: its kind.
    of_items: Vec<Option<usize>>,
    bucket: Option<usize>,
    /// By kind.
    paid: Vec<Paying>,
    /// The kinds that have paid.
    touched: Vec<usize>,
}

/// What the items of one kind have paid.
#[derive(Debug, Default, Clone, PartialEq)]
struct Paying {
    responses: u64,
    calls: u64,
    entry: Usage,
    carry: Usage,
}

impl Adding {
    pub(super) fn add(
        &mut self,
        items: &[Item],
        share: &attribution::Share,
        buckets: &Buckets<'_>,
        rows: &mut Rows,
    ) {
        if self.bucket != Some(share.bucket) {
            self.finish_bucket(buckets, rows);
            self.bucket = Some(share.bucket);
        }
        let kind = self.kind_of(share.item, &items[share.item]);
        let paid = &mut self.paid[kind];
        if *paid == Paying::default() {
            self.touched.push(kind);
        }
        paid.responses += share.responses;
        paid.calls += share.calls;
        paid.entry += share.entry;
        paid.carry += share.carry;
    }

    fn kind_of(&mut self, at: usize, item: &Item) -> usize {
        if self.of_items.len() <= at {
            self.of_items.resize(at + 1, None);
        }
        if let Some(kind) = self.of_items[at] {
            return kind;
        }
        let name = [
            source_name(item).to_owned(),
            item.skill.clone().unwrap_or_default(),
            item.file_type.clone().unwrap_or_default(),
        ];
        let next = self.kinds.len();
        let kind = *self.index.entry(name.clone()).or_insert(next);
        if kind == next {
            self.kinds.push(name);
            self.paid.push(Paying::default());
        }
        self.of_items[at] = Some(kind);
        kind
    }

    /// Adds what the items of the last bucket have paid. One rate holds for all of it, so the sum is priced as its parts are.
    fn finish_bucket(&mut self, buckets: &Buckets<'_>, rows: &mut Rows) {
        let Some((bucket, rates)) = self.bucket.take().and_then(|at| buckets.list.get(at)) else { return };
        let cost = |usage: &Usage| rates.map(|rates| rates.cost(usage)).unwrap_or_default();
        for kind in self.touched.drain(..) {
            let Paying { responses, calls, entry, carry } = std::mem::take(&mut self.paid[kind]);
            let [tool, skill, file_type] = &self.kinds[kind];
            let key = |phase| (Rc::clone(bucket), tool.clone(), skill.clone(), file_type.clone(), phase);
            rows.add(key(Phase::Entry), (responses, calls), entry, cost(&entry));
            rows.add(key(Phase::Carry), (0, 0), carry, cost(&carry));
        }
    }

    /// The end of a context: the next one has other items.
    pub(super) fn finish_context(&mut self, buckets: &Buckets<'_>, rows: &mut Rows) {
        self.finish_bucket(buckets, rows);
        self.of_items.clear();
    }
}

/// The buckets so far, each with its rates.
pub(super) struct Buckets<'a> {
    pub(super) prices: &'a PriceTable,
    pub(super) timeline: &'a Timeline,
    pub(super) list: Vec<(Rc<Bucket>, Option<Rates>)>,
    pub(super) index: HashMap<(Rc<Bucket>, Option<Rates>), usize>,
}

impl Buckets<'_> {
    /// Those of a response's requests, with what belongs to each; the one of its last request first.
    pub(super) fn of(&mut self, message: &Message) -> Vec<(usize, Usage)> {
        let mut found: Vec<(usize, Usage)> = Vec::with_capacity(1);
        let mut last = None;
        for (usage, rates) in self.prices.priced(message) {
            let priced = rates.is_some() || message.usage == Usage::default();
            let at = self.place(message, rates, priced);
            last = Some(at);
            match found.iter_mut().find(|(known, _)| *known == at) {
                Some((_, sum)) => *sum += usage,
                None => found.push((at, usage)),
            }
        }
        found.sort_by_key(|(at, _)| Some(*at) != last);
        found
    }

    fn place(&mut self, message: &Message, rates: Option<Rates>, priced: bool) -> usize {
        let bucket = Bucket {
            quarter: message.at.map(Quarter::containing),
            agent: message.agent.as_ref().map_or("", AgentId::as_str).to_owned(),
            model: message.model.as_ref().map_or("", ModelId::as_str).to_owned(),
            branch: message.branch.clone().unwrap_or_default(),
            priced,
            step: message.at.and_then(|at| self.timeline.at(at)).unwrap_or_default().to_owned(),
        };
        let key = (Rc::new(bucket), rates);
        if let Some(at) = self.index.get(&key) {
            return *at;
        }
        self.list.push(key.clone());
        self.index.insert(key, self.list.len() - 1);
        self.list.len() - 1
    }
}

fn source_name(item: &Item) -> &str {
    match &item.source {
        Source::System => SYSTEM,
        Source::Prompts => PROMPTS,
        Source::Output => OUTPUT,
        Source::Summary => SUMMARY,
        Source::Tool(tool) => tool.as_str(),
    }
}
