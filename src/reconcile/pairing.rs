//! Which lines stand behind which name of a client's totals: the client counts under the name that was asked for, lines have
//! the name that answered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::totals::{Models, Total};
use crate::domain::{Timestamp, Usage};

/// What the client has counted under names that mean one model.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) total: Total,
    /// The name that has most of it.
    pub(super) name: String,
    pub(super) most: u64,
    pub(super) has_price: bool,
}

/// Which lines stand behind which name of the totals.
pub(super) struct Pairing<'n> {
    pub(super) nodes: Vec<Node<'n>>,
    /// What lines have and no total.
    pub(super) excess: BTreeMap<String, Usage>,
}

/// A model of the totals, and the lines that it covers.
pub(super) struct Node<'n> {
    /// What stands for the model's names.
    pub(super) key: &'n str,
    pub(super) group: &'n Group,
    pub(super) models: &'n dyn Models,
    pub(super) at: Option<Timestamp>,
    lines: Usage,
    /// The models of these lines.
    pub(super) answered: BTreeSet<&'n str>,
    /// Whether lines have the very name.
    pub(super) is_exact: bool,
}

impl Node<'_> {
    fn used(&self, lines: &Usage) -> Usage {
        self.group.total.split(lines, |usage| self.models.cost(self.key, self.at, usage))
    }

    /// What it has beyond its lines.
    pub(super) fn left(&self) -> Usage {
        beyond(&self.used(&self.lines), &self.lines)
    }

    fn excess(&self) -> Usage {
        beyond(&self.lines, &self.used(&self.lines))
    }

    /// Whether there is room for these lines, too.
    fn covers(&self, lines: Usage) -> bool {
        let all = self.lines + lines;
        has_all(&self.used(&all), &all)
    }

    /// How much of these lines there is room for.
    fn room_for(&self, lines: Usage) -> Usage {
        let room = beyond(&self.used(&(self.lines + lines)), &self.lines);
        let writes = room.cache_write().min(lines.cache_write());
        let short = lines.cache_write_5m.min(writes);
        Usage { cache_write_5m: short, cache_write_1h: writes - short, ..least(room, lines) }
    }

    /// How likely lines of another name are to be among these; smaller is likelier.
    fn rank(&self, lines: &str) -> (bool, u8) {
        let is_alias = !self.group.has_price;
        let grade = match (self.is_exact, self.answered.is_empty()) {
            (false, true) if is_alias => 0,
            (false, true) => 1,
            (false, false) => 2,
            (true, _) => 3,
        };
        (!shares_word(&self.group.name, lines), grade)
    }
}

impl<'n> Pairing<'n> {
    pub(super) fn of(
        groups: &'n BTreeMap<String, Group>,
        shown: &BTreeMap<&'n str, Usage>,
        models: &'n dyn Models,
        at: Option<Timestamp>,
    ) -> Self {
        let node = |(key, group): (&'n String, &'n Group)| Node {
            key,
            group,
            models,
            at,
            lines: shown.get(key.as_str()).copied().unwrap_or_default(),
            answered: shown.contains_key(key.as_str()).then_some(key.as_str()).into_iter().collect(),
            is_exact: shown.contains_key(key.as_str()),
        };
        let mut pairing = Self { nodes: groups.iter().map(node).collect(), excess: BTreeMap::new() };
        let mut others: Vec<(&'n str, Usage)> = shown
            .iter()
            .filter(|(key, _)| !groups.contains_key(**key))
            .map(|(key, usage)| (*key, *usage))
            .collect();
        others.sort_by_key(|(key, usage)| (Reverse(usage.total()), *key));
        for (key, usage) in others {
            pairing.place(key, usage);
        }
        for at in 0..pairing.nodes.len() {
            pairing.place_excess(at);
        }
        pairing
    }

    /// Finds a name for lines whose own no total has.
    fn place(&mut self, key: &'n str, usage: Usage) {
        let rank = |node: &Node<'_>| (node.left() != usage, node.rank(key), node.left().total());
        let whole = self.nodes.iter_mut().filter(|node| node.covers(usage)).min_by_key(|node| rank(node));
        if let Some(node) = whole {
            node.take(key, usage);
            return;
        }
        let any = |_: &Node<'_>| true;
        if self.cover(|node| !node.is_exact, usage) {
            self.spread(key, usage, |node, _| !node.is_exact);
        } else if self.cover(any, usage) {
            self.spread(key, usage, |_, _| true);
        } else {
            // Nobody's own name for a model, or one that has less than these lines alone, is theirs all the same.
            let is_theirs = |node: &Node<'_>, rest: &Usage| {
                !node.group.has_price || (node.answered.is_empty() && has_all(rest, &node.left()))
            };
            let rest = self.spread(key, usage, is_theirs);
            if rest != usage {
                *self.excess.entry(key.to_owned()).or_default() += rest;
            }
        }
    }

    /// Where lines have more than the total of their own name, whole answers may have been asked for under another.
    fn place_excess(&mut self, at: usize) {
        let (key, excess) = (self.nodes[at].key, self.nodes[at].excess());
        if excess == Usage::default() {
            return;
        }
        let rank = |node: &Node<'_>| (node.left() != excess, node.rank(key), node.left().total());
        let others =
            self.nodes.iter().enumerate().filter(|(other, node)| *other != at && node.covers(excess));
        let whole = others.min_by_key(|(_, node)| rank(node)).map(|(other, _)| other);
        let has_answers = excess.prompt() > 0 && excess.output > 0;
        let is_free = |node: &Node<'_>| node.answered.is_empty();
        if !has_answers || (whole.is_none() && !self.cover(is_free, excess)) {
            *self.excess.entry(key.to_owned()).or_default() += excess;
            return;
        }
        self.nodes[at].lines = self.nodes[at].lines.saturating_sub(excess);
        match whole {
            Some(other) => self.nodes[other].take(key, excess),
            None => {
                self.spread(key, excess, |node, _| is_free(node));
            }
        }
    }

    /// Whether some of the names have room for these lines together.
    fn cover(&self, which: impl Fn(&Node<'_>) -> bool, lines: Usage) -> bool {
        let room: Usage = self.nodes.iter().filter(|node| which(node)).map(Node::left).sum();
        has_all(&room, &lines)
    }

    /// Spreads lines over some of the names, the likeliest first, as far as there is room. Returns the rest.
    fn spread(&mut self, key: &'n str, lines: Usage, which: impl Fn(&Node<'_>, &Usage) -> bool) -> Usage {
        let mut rest = lines;
        let mut nodes: Vec<&mut Node<'n>> = self.nodes.iter_mut().collect();
        nodes.sort_by_key(|node| node.rank(key));
        for node in nodes {
            if !which(node, &rest) {
                continue;
            }
            let part = node.room_for(rest);
            if part != Usage::default() {
                node.take(key, part);
                rest = rest.saturating_sub(part);
            }
        }
        rest
    }
}

impl<'n> Node<'n> {
    fn take(&mut self, key: &'n str, lines: Usage) {
        self.lines += lines;
        self.answered.insert(key);
    }
}

/// Whether `all` has what `part` has, in each class. Cache writes are one class, for not every total splits them.
pub(super) fn has_all(all: &Usage, part: &Usage) -> bool {
    all.input >= part.input
        && all.output >= part.output
        && all.cache_read >= part.cache_read
        && all.cache_write() >= part.cache_write()
        && all.web_searches >= part.web_searches
}

/// What `all` has beyond `part`. Of cache writes only their sum counts: lines that do not tell how long theirs last are taken to
/// have them for 5 minutes, whatever the total says.
pub(super) fn beyond(all: &Usage, part: &Usage) -> Usage {
    let writes = all.cache_write().saturating_sub(part.cache_write());
    let long = all.cache_write_1h.saturating_sub(part.cache_write_1h).min(writes);
    Usage { cache_write_5m: writes - long, cache_write_1h: long, ..all.saturating_sub(*part) }
}

/// What both have, class by class.
pub(super) fn least(one: Usage, other: Usage) -> Usage {
    one.saturating_sub(one.saturating_sub(other))
}

/// Whether two names share a word that tells models of a maker apart.
fn shares_word(name: &str, other: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        let text = text.to_ascii_lowercase();
        let words =
            text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 3 && *word != "claude");
        words.map(str::to_owned).collect()
    };
    !words(name).is_disjoint(&words(other))
}
