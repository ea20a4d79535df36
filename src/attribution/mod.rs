//! Where the tokens of a conversation came from.
//!
//! A result is paid for when it enters the context and again by every later response that reads it, until a compaction
//! drops it. So each response's usage is divided among what stands in its context, class by class, in whole tokens:
//!
//! - *Sizes.* All entries of a context together are as large as the prompt of the response that read them, which the
//!   provider tells. What the prompt has grown by is what came in since the response before: that response's own output,
//!   and, by their counts, results, prompts and notes. What nothing in the transcript explains belongs to the system.
//! - *New entries* pay uncached input and cache writes first, as far as they go.
//! - *The rest*, which are the cache reads and what had to be written to the cache again, is shared by size among what
//!   stood there before.
//! - *Output* is shared by size among what was written: text with thinking, and each tool call.
//!
//! What an entry pays when it is written and when it comes in is its *entry*, all else its *carry*. The parts of a class
//! add up to the class, to the token: a share ends where the next one begins. `README.md` beside this file has an example
//! that can be checked by hand, and the rules in full.

mod context;
mod share;

use std::collections::{BTreeMap, HashMap};

use crate::domain::{AgentId, ContextCall, ContextEntry, MessageId, ToolName, ToolUseId, Usage};
use context::AgentContext;

/// What an item of a context is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// The system prompt, the tools' descriptions, what the client adds by itself and what nothing else explains.
    System,
    /// What the user wrote.
    Prompts,
    /// A response's text and thinking.
    Output,
    /// What a compaction left.
    Summary,
    /// A tool call and its result.
    Tool(ToolName),
}

/// An item of a context, which pays its share of each response that reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// The skill that it is of.
    pub skill: Option<String>,
    /// The extension of the file that a tool has read or changed.
    pub file_type: Option<String>,
    /// The call, of a tool.
    pub call: Option<ToolUseId>,
    /// The file's keyed hash.
    pub file: Option<u64>,
}

/// A response as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// What it used, but for [`Self::others`].
    pub usage: Usage,
    /// Its last request, whose prompt and output are the context that it leaves.
    pub last: Usage,
    /// Under what its shares are added up: responses of one bucket have one price. `None` for a response that another
    /// conversation pays for (a fork's copy): it says how large the context is, and shares nothing.
    pub bucket: Option<usize>,
    /// Requests within it that have another price, with their buckets.
    pub others: Vec<(usize, Usage)>,
    /// How many tokens the model reads where tiktoken counts 100.
    pub percent: u64,
}

/// What an item paid in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemShare {
    /// The bucket.
    pub bucket: usize,
    /// The item's place in [`Attribution::items`].
    pub item: usize,
    /// When it was written and when it came in.
    pub entry: Usage,
    /// After that.
    pub carry: Usage,
    /// Responses whose output it is.
    pub responses: u64,
    /// Calls that were made: 1 where this is a tool's, and the bucket that of its response.
    pub calls: u64,
}

/// How a conversation's usage is divided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The items.
    pub items: Vec<Item>,
    /// Their shares.
    pub shares: Vec<ItemShare>,
}

/// Divides the usage of the responses that `entries` name, in the order of the transcript. `agent` is the run whose file it is.
/// `paid` tells what the ledger knows of a response of a run; what it does not know is passed over.
#[must_use]
pub fn attribute(
    entries: &[ContextEntry],
    agent: Option<&AgentId>,
    mut paid: impl FnMut(&MessageId, Option<&AgentId>) -> Option<Paid>,
) -> Attribution {
    let mut shares = Vec::new();
    let mut attributor = Attributor::new(agent);
    for entry in entries {
        attributor.add(entry, &mut paid, |_, share| shares.push(share));
    }
    let items = attributor.finish(|_, share| shares.push(share));
    Attribution { items, shares }
}

/// Divides the usage of responses as [`attribute`] does, entry by entry. Of a long session neither its entries nor its shares need to be
/// in memory.
#[derive(Debug, Default)]
pub struct Attributor {
    accounts: Accounts,
    /// In a fixed order, though nothing depends on it.
    contexts: BTreeMap<Option<AgentId>, Box<AgentContext>>,
    /// The run whose file it is.
    agent: Option<AgentId>,
    /// The run that the next entry is of.
    of: Option<AgentId>,
}

impl Attributor {
    /// Nothing yet, of a file of a run; `None` for the main conversation's.
    #[must_use]
    pub fn new(agent: Option<&AgentId>) -> Self {
        Self { agent: agent.cloned(), of: agent.cloned(), ..Self::default() }
    }

    /// The next entry of the transcript. Each share is handed to `each` as soon as it is known, with the items so far.
    pub fn add(
        &mut self,
        entry: &ContextEntry,
        paid: impl FnOnce(&MessageId, Option<&AgentId>) -> Option<Paid>,
        each: impl FnMut(&[Item], ItemShare),
    ) {
        if let ContextEntry::Of { agent: other } = entry {
            self.of.clone_from(if other.is_some() { other } else { &self.agent });
            return;
        }
        if !self.contexts.contains_key(&self.of) {
            self.contexts.insert(self.of.clone(), Box::default());
        }
        let Some(context) = self.contexts.get_mut(&self.of) else { return };
        let accounts = &mut self.accounts;
        match entry {
            ContextEntry::Of { .. } => {}
            ContextEntry::Response { id, skill, text, thinking, calls } => {
                if !context.goes_on(id) {
                    let of = self.of.as_ref();
                    let Some(paid) = paid(id, of).filter(|_| context.is_new(id)) else { return };
                    context.answer(id.clone(), paid, skill.as_deref(), accounts);
                }
                context.write(*text, *thinking, calls, skill.as_deref(), accounts);
            }
            ContextEntry::Result { call, tokens, .. } => context.add_result(call, *tokens, accounts),
            ContextEntry::CallText { call, tokens } => {
                context.add_call_text(call.as_ref(), *tokens, accounts);
            }
            ContextEntry::Prompt { tokens } => context.add_prompt(*tokens, accounts),
            ContextEntry::Note { tokens } => context.add(ItemKind::System, *tokens, accounts),
            ContextEntry::Compaction => context.compact(accounts),
            ContextEntry::Summary { tokens } => context.add(ItemKind::Summary, *tokens, accounts),
        }
        accounts.hand_on(each);
    }

    /// The end of the transcript. Returns the items.
    pub fn finish(self, mut each: impl FnMut(&[Item], ItemShare)) -> Vec<Item> {
        let Self { mut accounts, contexts, .. } = self;
        for mut context in contexts.into_values() {
            context.settle(&mut accounts);
            accounts.hand_on(&mut each);
        }
        accounts.close();
        accounts.hand_on(&mut each);
        accounts.items
    }
}

/// What an item has paid in a bucket so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ItemSums {
    entry: Usage,
    carry: Usage,
    responses: u64,
    calls: u64,
}

/// The items of all contexts of a file, and what they have paid so far.
#[derive(Debug, Default)]
struct Accounts {
    items: Vec<Item>,
    /// The place in [`Self::paid`] of each item that has paid in the current bucket. Most have paid nothing.
    places: Vec<Option<u32>>,
    /// What items have paid in the current bucket.
    paid: Vec<ItemSums>,
    /// The items that have.
    touched: Vec<usize>,
    bucket: Option<usize>,
    /// Those that were not handed on yet.
    shares: Vec<ItemShare>,
    calls: HashMap<ToolUseId, usize>,
    /// The items that stand for all of their kind.
    common: HashMap<ItemKind, usize>,
    /// The items that stand for earlier ones of a source, skill and type of file.
    earlier: HashMap<(ItemKind, Option<String>, Option<String>), usize>,
}

impl Accounts {
    fn add(&mut self, item: Item) -> usize {
        self.items.push(item);
        self.places.push(None);
        self.items.len() - 1
    }

    fn common(&mut self, kind: ItemKind) -> usize {
        if let Some(item) = self.common.get(&kind) {
            return *item;
        }
        let item =
            self.add(Item { kind: kind.clone(), skill: None, file_type: None, call: None, file: None });
        self.common.insert(kind, item);
        item
    }

    /// A response's text and thinking.
    fn output(&mut self, skill: Option<&str>) -> usize {
        match skill {
            None => self.common(ItemKind::Output),
            Some(skill) => self.add(Item {
                kind: ItemKind::Output,
                skill: Some(skill.to_owned()),
                file_type: None,
                call: None,
                file: None,
            }),
        }
    }

    fn call(&mut self, call: &ContextCall, skill: Option<&str>) -> usize {
        if let Some(item) = self.calls.get(&call.id) {
            return *item;
        }
        let own = if call.tool.as_str() == "Skill" { call.starts.as_deref() } else { None };
        let item = self.add(Item {
            kind: ItemKind::Tool(call.tool.clone()),
            skill: own.or(skill).map(str::to_owned),
            file_type: call.file_type.clone(),
            call: Some(call.id.clone()),
            file: call.file,
        });
        self.calls.insert(call.id.clone(), item);
        item
    }

    /// Goes on in another bucket.
    fn turn_to(&mut self, bucket: usize) {
        if self.bucket != Some(bucket) {
            self.close();
            self.bucket = Some(bucket);
        }
    }

    /// What an item has paid in the current bucket.
    fn paid(&mut self, item: usize) -> &mut ItemSums {
        let next = self.paid.len();
        let place = *self.places[item].get_or_insert(u32::try_from(next).unwrap_or(u32::MAX)) as usize;
        if place == next {
            self.paid.push(ItemSums::default());
            self.touched.push(item);
        }
        &mut self.paid[place]
    }

    fn close(&mut self) {
        let Some(bucket) = self.bucket else { return };
        self.touched.sort_unstable();
        for item in self.touched.drain(..) {
            let Some(place) = self.places[item].take() else { continue };
            let ItemSums { entry, carry, responses, calls } = self.paid[place as usize];
            if responses + calls > 0 || entry != Usage::default() || carry != Usage::default() {
                self.shares.push(ItemShare { bucket, item, entry, carry, responses, calls });
            }
        }
        self.paid.clear();
    }

    fn hand_on(&mut self, mut each: impl FnMut(&[Item], ItemShare)) {
        for share in self.shares.drain(..) {
            each(&self.items, share);
        }
    }

    /// The item that stands for earlier ones of the same kind, skill and type of file.
    fn earlier(&mut self, item: usize) -> usize {
        let Item { kind, skill, file_type, call, .. } = &self.items[item];
        if call.is_none() && skill.is_none() {
            return item;
        }
        let key = (kind.clone(), skill.clone(), file_type.clone());
        if let Some(known) = self.earlier.get(&key) {
            return *known;
        }
        let (kind, skill, file_type) = key.clone();
        let item = self.add(Item { kind, skill, file_type, call: None, file: None });
        self.earlier.insert(key, item);
        item
    }
}

#[cfg(test)]
mod tests;
