//! What a client's own totals tell beside the lines of its transcripts: which lines a total covers, which of its models has
//! answered under which name, and when what is left was used.
//!
//! - *Chains.* A total counts what follows its own start, and goes on when a session is resumed from the file. Totals of one
//!   start are one chain: the last one counts, and those of different starts add up. A process that finds no total in the
//!   file begins a new chain. What a process used that ended without a total is in none; the next one goes on from the last
//!   total in the file.
//! - *Names.* The client counts under the name that was asked for, lines have the name that answered. Names that mean one
//!   model are one. The lines that came with a total go whole to a name that has grown by as much: their own, or one that no
//!   line has, or one with room for them.
//! - *Days.* What was hidden up to a total keeps that time when a later total comes.

use std::collections::{BTreeMap, BTreeSet};

use super::pairing::{ModelGroup, ModelNode, Pairing, Past, has_all, least};
use super::total::ONE_OF_EACH;
pub use super::total::{Models, Total, Totals};
use crate::domain::{Modifiers, PicoUsd, Timestamp, Usage};

/// A client's total at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TotalState {
    /// The time of the last dated record before it. Without one it stands for all there is.
    pub at: Option<Timestamp>,
    /// When the client says that it began to count.
    pub started_at: Option<Timestamp>,
    /// What it has counted.
    pub totals: Totals,
}

/// A response, as far as totals go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownResponse {
    /// When it was written.
    pub at: Option<Timestamp>,
    /// From which moment on a total has it. `None` if all have.
    pub told_at: Option<Timestamp>,
    /// Its name's place in [`Session::names`].
    pub name: usize,
    /// What the client counts for it.
    pub usage: Usage,
    /// Whether it is an advisor's, which the client counts under its own name and no other.
    pub is_advice: bool,
    /// Whether it is from before a fork, so that only a total has it which does not go on from one of the parent's.
    pub is_before_fork: bool,
}

/// The model of responses, and how they were processed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelName {
    /// The model's name.
    pub model: String,
    /// What changes its price.
    pub modifiers: Modifiers,
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// Its totals, in the order of time.
    pub states: Vec<TotalState>,
    /// Its responses, in the order of [`ShownResponse::told_at`].
    pub lines: Vec<ShownResponse>,
    /// Their models.
    pub names: Vec<ModelName>,
    /// When the user has spoken, in order.
    pub turns: Vec<Timestamp>,
    /// What a fork's total went on from, by the start of that total.
    pub inherited: BTreeMap<Option<Timestamp>, Totals>,
}

/// What no line shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// When it was known.
    pub at: Option<Timestamp>,
    /// The model that it is priced as.
    pub name: ModelName,
    /// What was used.
    pub usage: Usage,
}

/// What totals tell beside the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TotalsFindings {
    /// What no line shows.
    pub hidden: Vec<Hidden>,
    /// By model, what the lines show and no total has: a disagreement.
    pub excess: BTreeMap<String, Usage>,
}

impl Session {
    /// What its totals tell beside its lines.
    #[must_use]
    pub fn told(&self, models: &dyn Models) -> TotalsFindings {
        let keys: Vec<String> = self.names.iter().map(|name| models.name(&name.model).0).collect();
        let mut coverage = Coverage::new(self, &keys, models);
        // By total: what is hidden up to then, and what to call it.
        let mut found: Vec<BTreeMap<String, (Usage, ModelName)>> = Vec::with_capacity(self.states.len());
        let mut told = TotalsFindings::default();
        let mut past = Past::default();
        for state in &self.states {
            let window = coverage.take(state);
            let groups = coverage.groups();
            let mut lines: BTreeMap<&str, Vec<Usage>> = BTreeMap::new();
            for at in &window {
                lines.entry(coverage.key_of(*at)).or_default().push(coverage.lines[*at].usage);
            }
            let pairing = Pairing::of(&groups, &past, lines, &coverage.shown, models, state.at);
            let left = pairing.nodes.iter().map(|node| (node, node.left()));
            let hidden = left.filter(|(_, left)| *left != Usage::default());
            found.push(
                hidden
                    .map(|(node, left)| (node.key.to_owned(), (left, coverage.name(node, &window))))
                    .collect(),
            );
            let next = pairing.past();
            told.excess = pairing.excess;
            past = next;
        }
        // What a later total shows to be none is none: a line was counted before it was written.
        for at in (1..found.len()).rev() {
            let (earlier, later) = found.split_at_mut(at);
            for (key, (usage, _)) in &mut earlier[at - 1] {
                let most = later[0].get(key).map(|(usage, _)| *usage).unwrap_or_default();
                *usage = least(*usage, most);
            }
        }
        let mut before: BTreeMap<String, Usage> = BTreeMap::new();
        for (state, hidden) in self.states.iter().zip(found) {
            for (key, (usage, name)) in hidden {
                let known = before.entry(key).or_default();
                let more = usage.saturating_sub(*known);
                *known += more;
                if more != Usage::default() {
                    told.hidden.push(Hidden { at: state.at, name, usage: more });
                }
            }
        }
        told
    }
}

/// Which lines the totals so far have, and what these come to.
struct Coverage<'s> {
    session: &'s Session,
    models: &'s dyn Models,
    /// What stands for the name of each of [`Session::names`].
    keys: &'s [String],
    /// The lines that totals can have.
    lines: Vec<&'s ShownResponse>,
    is_covered: Vec<bool>,
    /// What stands for the names of the covered lines, and what these come to.
    shown: BTreeSet<&'s str>,
    all_shown: Usage,
    chains: BTreeMap<Option<Timestamp>, Chain>,
    has_dates: bool,
}

/// Totals of one start.
#[derive(Debug, Default)]
struct Chain {
    /// When the last one was; what no total had by then none of the chain has.
    last_at: Option<Timestamp>,
    has_begun: bool,
    totals: Totals,
}

impl<'s> Coverage<'s> {
    fn new(session: &'s Session, keys: &'s [String], models: &'s dyn Models) -> Self {
        let totals = session.states.iter().flat_map(|state| state.totals.keys());
        let counted: BTreeSet<String> = totals.map(|name| models.name(name).0).collect();
        let can_be_in = |line: &&ShownResponse| !line.is_advice || counted.contains(&keys[line.name]);
        let lines: Vec<&ShownResponse> = session.lines.iter().filter(can_be_in).collect();
        Self {
            session,
            models,
            keys,
            is_covered: vec![false; lines.len()],
            lines,
            shown: BTreeSet::new(),
            all_shown: Usage::default(),
            chains: BTreeMap::new(),
            has_dates: session.states.iter().any(|state| state.at.is_some()),
        }
    }

    /// Takes the next total in. Returns the lines that it has and none before had.
    fn take(&mut self, state: &TotalState) -> Vec<usize> {
        let (lines, start) = (&self.lines, state.started_at);
        let inherited = self.session.inherited.get(&start);
        let chain = self.chains.entry(start).or_default();
        let goes_on = chain.has_begun || inherited.is_some();
        // What the chain's last total did not have no later one has.
        let first = chain.last_at.map_or(0, |last| lines.partition_point(|line| line.told_at <= Some(last)));
        let end = match state.at {
            None if !self.has_dates => lines.len(),
            at => lines.partition_point(|line| line.told_at <= at),
        };
        let before = sum(&chain.totals);
        chain.totals = match inherited {
            Some(inherited) => since(&state.totals, inherited, self.models),
            None => state.totals.clone(),
        };
        (chain.last_at, chain.has_begun) = (state.at, true);
        let grown = sum(&chain.totals).saturating_sub(before);
        let in_reach: Vec<usize> = (first..end.max(first))
            .filter(|at| !(self.is_covered[*at] || lines[*at].is_before_fork && inherited.is_some()))
            .collect();
        let is_after_start =
            |at: &usize| lines[*at].at.is_none() || start.is_none() || lines[*at].at >= start;
        let mut window: Vec<usize> = in_reach.iter().copied().filter(is_after_start).collect();
        if state.at.is_some() && start > state.at && has_all(&grown, &self.sum_of(&in_reach)) {
            // It begins after the last line: only hidden calls followed, or the clock was set back.
            window = in_reach;
        }
        let all: Usage = self.chains.values().map(|chain| sum(&chain.totals)).sum();
        if goes_on && !has_all(&all, &(self.all_shown + self.sum_of(&window))) {
            // Some of the lines are of a process that ended without a total: it is the others that this one has.
            let later = |turn: &Timestamp| -> Vec<usize> {
                window.iter().copied().filter(|at| lines[*at].at >= Some(*turn)).collect()
            };
            let fits = |own: &Vec<usize>| !own.is_empty() && has_all(&grown, &self.sum_of(own));
            if let Some(own) = self.session.turns.iter().map(later).find(fits) {
                window = own;
            }
        }
        for at in &window {
            self.is_covered[*at] = true;
            self.shown.insert(&self.keys[lines[*at].name]);
            self.all_shown += lines[*at].usage;
        }
        window
    }

    fn sum_of(&self, lines: &[usize]) -> Usage {
        lines.iter().map(|at| self.lines[*at].usage).sum()
    }

    /// What all chains come to, by the names that stand for models.
    fn groups(&self) -> BTreeMap<String, ModelGroup> {
        let mut groups: BTreeMap<String, ModelGroup> = BTreeMap::new();
        for (name, total) in self.chains.values().flat_map(|chain| &chain.totals) {
            let (key, has_price) = self.models.name(name);
            let group = groups.entry(key).or_insert_with(|| ModelGroup {
                total: Total { is_split: true, cost: Some(PicoUsd::ZERO), ..Total::default() },
                has_price,
                ..ModelGroup::default()
            });
            group.total = group.total.and(total);
            if group.name.is_empty() || total.usage.total() > group.most {
                (group.name, group.most) = (name.clone(), total.usage.total());
            }
        }
        groups
    }

    /// What the hidden calls of a name of the totals are priced as; `window` are the lines that have come with them.
    fn name(&self, node: &ModelNode<'_>, window: &[usize]) -> ModelName {
        if node.is_exact {
            return self.usual_name(node.key, window);
        }
        if node.group.has_price {
            let price = |model: &str| node.models.cost(model, node.at, &ONE_OF_EACH);
            let is_alike = price(node.key) == price(&node.group.name);
            let model = if is_alike { node.key } else { &node.group.name };
            return ModelName { model: model.to_owned(), modifiers: self.usual_modifiers() };
        }
        // Somebody's own name for a model is priced as the one that has answered to it, if that is certain.
        let came: BTreeSet<&str> = window.iter().map(|at| self.key_of(*at)).collect();
        let mut answered: Vec<&str> =
            node.answered.keys().copied().filter(|model| came.contains(model)).collect();
        if answered.is_empty() {
            answered.extend(node.answered.keys());
        }
        match answered[..] {
            [one] => self.usual_name(one, window),
            _ => ModelName { model: node.group.name.clone(), modifiers: Modifiers::default() },
        }
    }

    fn key_of(&self, line: usize) -> &'s str {
        &self.keys[self.lines[line].name]
    }

    /// The name that most tokens of a model have, of these lines or else of all that are covered.
    fn usual_name(&self, key: &str, window: &[usize]) -> ModelName {
        let covered: Vec<usize>;
        let mut lines = window;
        if !window.iter().any(|at| self.key_of(*at) == key) {
            covered = (0..self.is_covered.len()).filter(|at| self.is_covered[*at]).collect();
            lines = &covered;
        }
        let mut tokens: BTreeMap<usize, u64> = BTreeMap::new();
        for at in lines.iter().filter(|at| self.key_of(**at) == key) {
            let line = self.lines[*at];
            *tokens.entry(line.name).or_default() += line.usage.total();
        }
        let most = tokens.into_iter().max_by_key(|(name, tokens)| (*tokens, std::cmp::Reverse(*name)));
        most.and_then(|(name, _)| self.session.names.get(name)).cloned().unwrap_or_default()
    }

    /// How most tokens of the session were processed.
    fn usual_modifiers(&self) -> Modifiers {
        let mut tokens: BTreeMap<Modifiers, u64> = BTreeMap::new();
        for (line, _) in self.lines.iter().zip(&self.is_covered).filter(|(_, is_covered)| **is_covered) {
            *tokens.entry(self.session.names[line.name].modifiers).or_default() += line.usage.total();
        }
        let most =
            tokens.into_iter().max_by_key(|(modifiers, tokens)| (*tokens, std::cmp::Reverse(*modifiers)));
        most.map(|(modifiers, _)| modifiers).unwrap_or_default()
    }
}

/// Totals less what a fork has inherited, whatever the two call a model.
fn since(totals: &Totals, inherited: &Totals, models: &dyn Models) -> Totals {
    let mut before: BTreeMap<String, Total> = BTreeMap::new();
    for (name, total) in inherited {
        let known = before.entry(models.name(name).0);
        known.and_modify(|known| *known = known.and(total)).or_insert(*total);
    }
    let mut since = Totals::new();
    for (name, total) in totals {
        let rest = match before.get_mut(&models.name(name).0) {
            Some(before) => {
                let rest = total.since(before);
                *before = before.since(total);
                rest
            }
            None => *total,
        };
        since.insert(name.clone(), rest);
    }
    since
}

/// All models together, however their cache writes are split.
fn sum(totals: &Totals) -> Usage {
    totals.values().map(|total| total.usage).sum()
}

#[cfg(test)]
mod tests;
