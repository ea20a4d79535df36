//! One conversation's context: what stands in it and how large it is.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::share::{self, Prompt, READ};
use super::{Accounts, ItemKind, Paid};
use crate::domain::{ContextCall, MessageId, ToolUseId, Usage};

/// More than so many times its estimate is not believed of an entry, and then some: the rest belongs to the system.
const MOST_TIMES: u64 = 3;
/// What an entry may have on top, in tokens: wrappers, markers, small reminders.
const MOST_MORE: u64 = 1_000;
/// So many entries of a context pay one by one. With more, all but the last half go on as one entry of each kind: every
/// response pays for each entry, so a context without a bound takes the square of its length.
pub(super) const MOST_LIVE: usize = 4_096;
/// So many kinds of earlier entries are told apart; the others go to the system's.
const MOST_KINDS: usize = MOST_LIVE / 4;

/// An entry with its size in tokens.
#[derive(Debug, Clone, Copy)]
struct Live {
    item: usize,
    size: u64,
}

/// Something written by the last response.
#[derive(Debug, Clone, Copy)]
struct Written {
    item: usize,
    weight: u64,
    is_thinking: bool,
}

/// The last response that is known.
#[derive(Debug)]
struct Last {
    id: MessageId,
    paid: Paid,
    written: Vec<Written>,
    /// The item of its text and thinking.
    output: usize,
    is_settled: bool,
}

#[derive(Debug, Default)]
pub(super) struct AgentContext {
    /// What the last response has read: as large together as its prompt.
    live: Vec<Live>,
    /// What came in since, by its count.
    pending: Vec<(usize, u64)>,
    has_prompt: bool,
    is_compacted: bool,
    last: Option<Last>,
    seen: HashSet<MessageId>,
    last_call: Option<usize>,
}

impl AgentContext {
    /// Whether this is another record of the last response.
    pub(super) fn goes_on(&self, id: &MessageId) -> bool {
        self.last.as_ref().is_some_and(|last| last.id == *id)
    }

    /// Whether the response was not seen before; a repeat changes nothing.
    pub(super) fn is_new(&self, id: &MessageId) -> bool {
        !self.seen.contains(id)
    }

    /// A response has read what stands here.
    pub(super) fn answer(&mut self, id: MessageId, paid: Paid, skill: Option<&str>, accounts: &mut Accounts) {
        self.settle(accounts);
        self.seen.insert(id.clone());
        if paid.last.prompt() > 0 {
            let fresh = self.grow(&paid, accounts);
            for (bucket, usage) in paid.requests() {
                accounts.turn_to(bucket);
                self.share_prompt(share::prompt(&usage), fresh, accounts);
            }
            self.join(fresh, accounts);
            self.pending.clear();
            self.has_prompt = false;
            self.is_compacted = false;
        }
        let output = accounts.output(skill);
        self.last = Some(Last { id, paid, written: Vec::new(), output, is_settled: false });
    }

    /// The last response has written this.
    pub(super) fn write(
        &mut self,
        text: u64,
        thinking: u64,
        calls: &[ContextCall],
        skill: Option<&str>,
        accounts: &mut Accounts,
    ) {
        let Some(last) = &mut self.last else { return };
        let output = last.output;
        for (weight, is_thinking) in [(thinking, true), (text, false)] {
            if weight > 0 {
                last.written.push(Written { item: output, weight, is_thinking });
            }
        }
        for call in calls {
            let is_known = accounts.calls.contains_key(&call.id);
            let item = accounts.call(call, skill);
            self.last_call = Some(item);
            if !is_known {
                last.written.push(Written { item, weight: call.tokens.max(1), is_thinking: false });
            }
        }
    }

    pub(super) fn add_result(&mut self, call: &ToolUseId, tokens: u64, accounts: &mut Accounts) {
        let item = accounts.calls.get(call).copied().unwrap_or_else(|| accounts.common(ItemKind::System));
        self.pending.push((item, tokens.max(1)));
    }

    pub(super) fn add_call_text(&mut self, call: Option<&ToolUseId>, tokens: u64, accounts: &mut Accounts) {
        let named = call.and_then(|call| accounts.calls.get(call).copied());
        let item = named.or(self.last_call).unwrap_or_else(|| accounts.common(ItemKind::Prompts));
        self.pending.push((item, tokens));
    }

    pub(super) fn add_prompt(&mut self, tokens: u64, accounts: &mut Accounts) {
        self.has_prompt = true;
        self.add(ItemKind::Prompts, tokens, accounts);
    }

    pub(super) fn add(&mut self, kind: ItemKind, tokens: u64, accounts: &mut Accounts) {
        let item = accounts.common(kind);
        self.pending.push((item, tokens));
    }

    /// All but the system's part is gone.
    pub(super) fn compact(&mut self, accounts: &mut Accounts) {
        self.settle(accounts);
        self.pending.clear();
        self.is_compacted = true;
        if let Some(last) = &mut self.last {
            last.written.clear();
        }
    }

    /// Divides what the last response wrote, once all of its records are known.
    pub(super) fn settle(&mut self, accounts: &mut Accounts) {
        let Some(last) = self.last.as_mut().filter(|last| !last.is_settled) else { return };
        last.is_settled = true;
        let weights: Vec<u64> = last.written.iter().map(|written| written.weight).collect();
        for (bucket, usage) in last.paid.requests() {
            accounts.turn_to(bucket);
            let own = accounts.paid(last.output);
            own.entry += Usage { web_searches: usage.web_searches, ..Usage::default() };
            let parts = share::share(usage.output, &weights);
            if parts.is_empty() {
                own.entry.output += usage.output;
            }
            for (written, part) in last.written.iter().zip(parts) {
                accounts.paid(written.item).entry.output += part;
            }
        }
        let Some(bucket) = last.paid.bucket else { return };
        accounts.turn_to(bucket);
        accounts.paid(last.output).responses += 1;
        for written in last.written.iter().filter(|written| written.item != last.output) {
            accounts.paid(written.item).calls += 1;
        }
    }

    /// Lets in what is new, so that all entries are as large as the prompt. Returns where the new ones begin.
    fn grow(&mut self, paid: &Paid, accounts: &mut Accounts) -> usize {
        let total = paid.last.prompt();
        let system = accounts.common(ItemKind::System);
        if self.is_compacted {
            // Its part stays.
            let kept: u64 = self.live.iter().filter(|live| live.item == system).map(|live| live.size).sum();
            self.live = vec![Live { item: system, size: kept.min(total) }];
        }
        let is_first = self.live.is_empty();
        let written = self.written_sizes();
        let scaled = |count: u64| count.saturating_mul(paid.percent).div_ceil(100);
        let pending: Vec<Live> =
            self.pending.iter().map(|(item, count)| Live { item: *item, size: scaled(*count) }).collect();
        let sum = |part: &[Live]| part.iter().map(|live| live.size).fold(0, u64::saturating_add);
        let (from_output, from_outside) = (sum(&written), sum(&pending));
        let expected = from_output.saturating_add(from_outside);
        let old = sum(&self.live);
        let grown = total.saturating_sub(old);
        let fresh = self.live.len();
        if total < old {
            // Something was dropped without a word: what is left is smaller in proportion.
            let rest = total.saturating_sub(expected);
            scale(&mut self.live, rest);
            self.extend(written.into_iter().chain(pending), total - rest);
        } else if is_first {
            // The first prompt holds the system's part, which no line tells.
            let known = expected.min(total);
            self.live.push(Live { item: system, size: total - known });
            self.extend(written.into_iter().chain(pending), known);
        } else if grown < expected {
            self.extend(written.into_iter().chain(pending), grown);
        } else {
            let rest = grown - from_output;
            let believed = if pending.is_empty() {
                0
            } else {
                rest.min(from_outside.saturating_mul(MOST_TIMES).saturating_add(MOST_MORE))
            };
            self.live.extend(written);
            self.extend(pending.into_iter(), believed);
            if rest > believed {
                self.live.push(Live { item: system, size: rest - believed });
            }
        }
        fresh
    }

    /// Joins what came in at `fresh` with what stands beside it and is of the same item, which changes no share: each ends at
    /// the sum of sizes so far. Bounds the number of entries.
    fn join(&mut self, fresh: usize, accounts: &mut Accounts) {
        let new = self.live.split_off(fresh.saturating_sub(1).min(self.live.len()));
        for entry in new {
            match self.live.last_mut() {
                Some(last) if last.item == entry.item => last.size += entry.size,
                _ => self.live.push(entry),
            }
        }
        if self.live.len() <= MOST_LIVE {
            return;
        }
        let system = accounts.common(ItemKind::System);
        let latest = self.live.split_off(self.live.len() - MOST_LIVE / 2);
        let mut places: HashMap<usize, usize> = HashMap::new();
        let mut earlier: Vec<Live> = Vec::new();
        for Live { item, size } in self.live.drain(..) {
            let mut kind = accounts.earlier(item);
            if places.len() >= MOST_KINDS && !places.contains_key(&kind) {
                kind = system;
            }
            match places.entry(kind) {
                Entry::Occupied(place) => earlier[*place.get()].size += size,
                Entry::Vacant(place) => {
                    place.insert(earlier.len());
                    earlier.push(Live { item: kind, size });
                }
            }
        }
        self.live = earlier;
        self.live.extend(latest);
    }

    /// Adds entries which are `total` tokens together, by their estimates.
    fn extend(&mut self, entries: impl Iterator<Item = Live>, total: u64) {
        let start = self.live.len();
        self.live.extend(entries);
        scale(&mut self.live[start..], total);
    }

    /// What the last response wrote, as large as it is in the context: thinking is dropped when the user speaks again.
    fn written_sizes(&self) -> Vec<Live> {
        let Some(last) = &self.last else { return Vec::new() };
        let weights: Vec<u64> = last.written.iter().map(|written| written.weight).collect();
        let sizes = share::share(last.paid.last.output, &weights);
        let kept =
            last.written.iter().zip(sizes).filter(|(written, _)| !(written.is_thinking && self.has_prompt));
        kept.map(|(written, size)| Live { item: written.item, size }).collect()
    }

    fn share_prompt(&self, prompt: Prompt, fresh: usize, accounts: &mut Accounts) {
        let (old, new) = self.live.split_at(fresh);
        let size = |part: &[Live]| part.iter().map(|live| live.size).sum();
        let (for_new, for_old) = share::split(prompt, size(new), size(old));
        pay(new, for_new, |item, usage| accounts.paid(item).entry += usage);
        pay(old, for_old, |item, usage| accounts.paid(item).carry += usage);
    }
}

impl Paid {
    /// What it used, by bucket.
    pub(super) fn requests(&self) -> impl Iterator<Item = (usize, Usage)> + use<> {
        let whole = self.bucket.map(|bucket| (bucket, self.usage));
        whole.into_iter().chain(self.others.clone())
    }
}

/// Makes entries `total` tokens together.
fn scale(entries: &mut [Live], total: u64) {
    let sizes: Vec<u64> = entries.iter().map(|live| live.size).collect();
    for (live, size) in entries.iter_mut().zip(share::share(total, &sizes)) {
        live.size = size;
    }
}

/// Divides a prompt among entries.
fn pay(entries: &[Live], prompt: Prompt, mut to: impl FnMut(usize, Usage)) {
    let total: u64 = entries.iter().map(|live| live.size).sum();
    if total == 0 {
        if let Some(first) = entries.first() {
            to(first.item, share::usage(prompt));
        }
        return;
    }
    let mut ends: Prompt = [0; 4];
    let mut sum = 0;
    for live in entries.iter().filter(|live| live.size > 0) {
        sum += live.size;
        let mut part: Prompt = [0; 4];
        for class in 0..=READ {
            if prompt[class] > 0 {
                let end = share::portion(prompt[class], sum, total);
                part[class] = end - std::mem::replace(&mut ends[class], end);
            }
        }
        to(live.item, share::usage(part));
    }
}
