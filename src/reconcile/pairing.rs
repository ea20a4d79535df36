//! Which lines stand behind which name of a client's totals: the client counts under the name that was asked for, lines have
//! the name that answered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::total::{Models, ONE_OF_EACH, Total};
use crate::domain::{Timestamp, Usage};

/// What the client has counted under names that mean one model.
#[derive(Debug, Default)]
pub(super) struct ModelGroup {
    pub(super) total: Total,
    /// The name that has most of it.
    pub(super) name: String,
    pub(super) most: u64,
    pub(super) has_price: bool,
}

/// Which lines stood behind which name by the total before.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// By what stands for a model's names.
    nodes: BTreeMap<String, PreviousTotal>,
    /// By answered model, the lines that no name covered.
    uncovered: BTreeMap<String, Usage>,
}

/// What a name had by the total before.
#[derive(Debug, Default)]
struct PreviousTotal {
    /// By answered model.
    lines: BTreeMap<String, Usage>,
    /// What it had beyond them.
    left: Usage,
}

/// Which lines stand behind which name of the totals.
///
/// The lines that came with a total are looked for first in what each name has grown by since the total before, and only then
/// in all that names have: a line can have been counted before it was written. Either way whole lines go to a name. Their own
/// comes first if it has them in each class, then one without lines of its own. Only where lines do not fit whole are they
/// spread class by class.
pub(super) struct Pairing<'n> {
    pub(super) nodes: Vec<ModelNode<'n>>,
    /// What lines have and no total.
    pub(super) excess: BTreeMap<String, Usage>,
    /// The lines of models that no total names, as far as nothing covers them.
    uncovered: BTreeMap<&'n str, Usage>,
}

/// Lines by the model that answered.
type LinesByModel<'n> = BTreeMap<&'n str, Vec<Usage>>;

/// A model of the totals, and the lines that it covers.
pub(super) struct ModelNode<'n> {
    /// What stands for the model's names.
    pub(super) key: &'n str,
    pub(super) group: &'n ModelGroup,
    pub(super) models: &'n dyn Models,
    pub(super) at: Option<Timestamp>,
    lines: Usage,
    /// These lines by their model.
    pub(super) answered: BTreeMap<&'n str, Usage>,
    /// Whether lines have the very name.
    pub(super) is_exact: bool,
    /// What was hidden by the total before, while the lines since then look for what has grown since then.
    held: Usage,
}

impl ModelNode<'_> {
    fn used(&self, lines: &Usage) -> Usage {
        self.group.total.split(lines, |usage| self.models.cost(self.key, self.at, usage))
    }

    /// What it has beyond its lines.
    pub(super) fn left(&self) -> Usage {
        beyond(&self.used(&self.lines), &(self.lines + self.held))
    }

    /// What these lines have beyond it.
    fn excess_of(&self, lines: Usage) -> Usage {
        let all = self.lines + lines;
        beyond(&(all + self.held), &self.used(&all))
    }

    /// Whether there is room for these lines, too.
    fn covers(&self, lines: Usage) -> bool {
        let all = self.lines + lines;
        has_all(&self.used(&all), &(all + self.held))
    }

    /// How much of these lines there is room for.
    fn room_for(&self, lines: Usage) -> Usage {
        let room = beyond(&self.used(&(self.lines + lines)), &(self.lines + self.held));
        let writes = room.cache_write().min(lines.cache_write());
        let short = lines.cache_write_5m.min(writes);
        Usage { cache_write_5m: short, cache_write_1h: writes - short, ..least(room, lines) }
    }

    /// Whether another model can have answered in the place of this one. A model that declines is stood in for by none that
    /// costs more: what the total of a small model hides are no answers of a large one.
    fn may_be_answered_by(&self, model: &str) -> bool {
        let price = |model: &str| self.models.cost(model, self.at, &ONE_OF_EACH);
        let is_model = self.is_exact && self.group.has_price;
        !is_model || shares_word(&self.group.name, model) || price(self.key) >= price(model)
    }

    /// Whether lines of another name can be here as a whole.
    fn fits(&self, model: &str, lines: Usage) -> bool {
        self.covers(lines) && (self.left() == lines || self.may_be_answered_by(model))
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

    /// Smaller is likelier. Hidden calls seldom use each class, so those that come out even tell a name's own lines.
    fn likeliness(&self, model: &str, lines: Usage) -> (usize, (bool, u8), u64) {
        let left = self.left();
        let classes = |usage: &Usage| {
            [usage.input, usage.output, usage.cache_read, usage.cache_write(), usage.web_searches]
        };
        let uneven = classes(&left).into_iter().zip(classes(&lines)).filter(|(left, lines)| left != lines);
        (uneven.count(), self.rank(model), left.total())
    }
}

impl<'n> Pairing<'n> {
    /// Pairs the lines that have come since `past`; `shown` are the models of all lines.
    pub(super) fn of(
        groups: &'n BTreeMap<String, ModelGroup>,
        past: &'n Past,
        mut lines: LinesByModel<'n>,
        shown: &BTreeSet<&'n str>,
        models: &'n dyn Models,
        at: Option<Timestamp>,
    ) -> Self {
        let node = |(key, group): (&'n String, &'n ModelGroup)| {
            let held = past.nodes.get(key);
            let lines = held.into_iter().flat_map(|held| &held.lines);
            let answered: BTreeMap<&'n str, Usage> =
                lines.map(|(model, usage)| (model.as_str(), *usage)).collect();
            ModelNode {
                key,
                group,
                models,
                at,
                lines: answered.values().copied().sum(),
                answered,
                is_exact: shown.contains(key.as_str()),
                held: held.map(|held| held.left).unwrap_or_default(),
            }
        };
        let nodes = groups.iter().map(node).collect();
        let mut pairing = Self { nodes, excess: BTreeMap::new(), uncovered: BTreeMap::new() };
        pairing.place_whole(&mut lines);
        for node in &mut pairing.nodes {
            node.held = Usage::default();
        }
        let gone = past.nodes.iter().filter(|(key, _)| !groups.contains_key(*key));
        for (model, usage) in past.uncovered.iter().chain(gone.flat_map(|(_, held)| &held.lines)) {
            lines.entry(model).or_default().push(*usage);
        }
        pairing.place_whole(&mut lines);
        for (model, usages) in by_size(lines) {
            let usage = usages.into_iter().sum();
            match pairing.own(model) {
                Some(own) => pairing.nodes[own].take(model, usage),
                None => pairing.spread_rest(model, usage),
            }
        }
        for own in 0..pairing.nodes.len() {
            let (key, excess) = (pairing.nodes[own].key, pairing.nodes[own].excess_of(Usage::default()));
            if excess != Usage::default() {
                pairing.nodes[own].give(key, excess);
                if !pairing.place_excess(own, excess) {
                    pairing.nodes[own].take(key, excess);
                    *pairing.excess.entry(key.to_owned()).or_default() += excess;
                }
            }
        }
        for (model, usage) in &pairing.uncovered {
            *pairing.excess.entry((*model).to_owned()).or_default() += *usage;
        }
        pairing
    }

    /// What the next total goes on from.
    pub(super) fn past(&self) -> Past {
        let owned = |lines: &BTreeMap<&str, Usage>| -> BTreeMap<String, Usage> {
            lines.iter().map(|(model, usage)| ((*model).to_owned(), *usage)).collect()
        };
        let held = |node: &ModelNode<'_>| PreviousTotal { lines: owned(&node.answered), left: node.left() };
        let nodes = self.nodes.iter().map(|node| (node.key.to_owned(), held(node))).collect();
        Past { nodes, uncovered: owned(&self.uncovered) }
    }

    /// The node of a model's own name.
    fn own(&self, model: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.key == model)
    }

    /// Places the lines that names have room for, and leaves the others.
    fn place_whole(&mut self, lines: &mut LinesByModel<'n>) {
        let with_lines: BTreeSet<&str> = lines.keys().copied().collect();
        lines.retain(|model, usages| {
            let (own, usage) = (self.own(model), usages.iter().copied().sum());
            let own = own.filter(|own| self.nodes[*own].covers(usage));
            own.map(|own| self.nodes[own].take(model, usage)).is_none()
        });
        lines.retain(|model, usages| {
            self.own(model).is_none_or(|own| !self.place_parted(own, usages, &with_lines))
        });
        for (model, usages) in by_size(std::mem::take(lines)) {
            let usage = usages.iter().copied().sum();
            let is_placed = match self.own(model) {
                None => self.place(model, usage),
                Some(own) => {
                    let excess = self.nodes[own].excess_of(usage);
                    let is_placed = self.place_excess(own, excess);
                    if is_placed {
                        self.nodes[own].take(model, usage.saturating_sub(excess));
                    }
                    is_placed
                }
            };
            if !is_placed {
                lines.insert(model, usages);
            }
        }
    }

    /// Parts the lines of a model between its own name and names without lines of their own.
    fn place_parted(&mut self, own: usize, lines: &[Usage], with_lines: &BTreeSet<&str>) -> bool {
        let free = |at: &usize| *at != own && !with_lines.contains(self.nodes[*at].key);
        let free: Vec<usize> = (0..self.nodes.len()).filter(free).collect();
        let key = self.nodes[own].key;
        let Some(parts) = self.run_apart(own, lines, &free).or_else(|| self.each_apart(own, lines, &free))
        else {
            return false;
        };
        for (at, usage) in parts {
            self.nodes[at].take(key, usage);
        }
        true
    }

    /// The lines from one switch of the model to the next that another name covers, if their own has the rest.
    fn run_apart(&self, own: usize, lines: &[Usage], free: &[usize]) -> Option<Vec<(usize, Usage)>> {
        let mut before = vec![Usage::default()];
        for usage in lines {
            before.push(before[before.len() - 1] + *usage);
        }
        let (key, all) = (self.nodes[own].key, before[lines.len()]);
        let run = |first: usize, end: usize| before[end].saturating_sub(before[first]);
        let (mut end, mut best) = (0, None);
        for first in 0..lines.len() {
            end = end.max(first + 1);
            while end < lines.len() && !self.nodes[own].covers(all.saturating_sub(run(first, end))) {
                end += 1;
            }
            let (moved, kept) = (run(first, end), all.saturating_sub(run(first, end)));
            if !self.nodes[own].covers(kept) {
                break;
            }
            for at in free.iter().filter(|at| self.nodes[**at].fits(key, moved)) {
                let rank = self.nodes[*at].likeliness(key, moved);
                if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                    best = Some((rank, vec![(own, kept), (*at, moved)]));
                }
            }
        }
        best.map(|(_, parts)| parts)
    }

    /// Each line, the largest first, where the least room is that it fits in.
    fn each_apart(&self, own: usize, lines: &[Usage], free: &[usize]) -> Option<Vec<(usize, Usage)>> {
        let key = self.nodes[own].key;
        let mut parts: Vec<(usize, Usage)> = free.iter().map(|at| (*at, Usage::default())).collect();
        parts.retain(|(at, _)| self.nodes[*at].may_be_answered_by(key));
        parts.push((own, Usage::default()));
        let mut lines = lines.to_vec();
        lines.sort_by_key(|usage| Reverse(usage.total()));
        for usage in lines {
            let fitting = parts.iter_mut().filter(|(at, has)| self.nodes[*at].covers(*has + usage));
            let least = fitting.min_by_key(|(at, has)| self.nodes[*at].left().total() - has.total())?;
            least.1 += usage;
        }
        parts.retain(|(_, has)| *has != Usage::default());
        Some(parts)
    }

    /// Finds names with room for lines whose own no total has.
    fn place(&mut self, key: &'n str, usage: Usage) -> bool {
        let fitting = self.nodes.iter_mut().filter(|node| node.fits(key, usage));
        if let Some(node) = fitting.min_by_key(|node| node.likeliness(key, usage)) {
            node.take(key, usage);
            return true;
        }
        let is_other = |node: &ModelNode<'_>| !node.is_exact;
        let any = |node: &ModelNode<'_>| node.may_be_answered_by(key);
        if self.cover(is_other, usage) {
            self.spread(key, usage, |node, _| is_other(node));
        } else if self.cover(any, usage) {
            self.spread(key, usage, |node, _| any(node));
        } else {
            return false;
        }
        true
    }

    /// Lines that nothing has room for.
    fn spread_rest(&mut self, key: &'n str, usage: Usage) {
        // Nobody's own name for a model, or one that has less than these lines alone, is theirs all the same.
        let is_theirs = |node: &ModelNode<'_>, rest: &Usage| {
            !node.group.has_price || (node.answered.is_empty() && has_all(rest, &node.left()))
        };
        let rest = self.spread(key, usage, is_theirs);
        if rest != Usage::default() {
            self.uncovered.insert(key, rest);
        }
    }

    /// Where lines have more than the total of their own name, whole answers may have been asked for under another.
    fn place_excess(&mut self, own: usize, excess: Usage) -> bool {
        let key = self.nodes[own].key;
        if excess.prompt() == 0 || excess.output == 0 {
            return false;
        }
        let others =
            self.nodes.iter_mut().enumerate().filter(|(at, node)| *at != own && node.fits(key, excess));
        if let Some((_, node)) = others.min_by_key(|(_, node)| node.likeliness(key, excess)) {
            node.take(key, excess);
            return true;
        }
        let is_free = |node: &ModelNode<'_>| node.key != key && node.answered.is_empty();
        let is_covered = self.cover(is_free, excess);
        if is_covered {
            self.spread(key, excess, |node, _| is_free(node));
        }
        is_covered
    }

    /// Whether some of the names have room for these lines together.
    fn cover(&self, which: impl Fn(&ModelNode<'_>) -> bool, lines: Usage) -> bool {
        let room: Usage = self.nodes.iter().filter(|node| which(node)).map(ModelNode::left).sum();
        has_all(&room, &lines)
    }

    /// Spreads lines over some of the names, the likeliest first, as far as there is room. Returns the rest.
    fn spread(
        &mut self,
        key: &'n str,
        lines: Usage,
        which: impl Fn(&ModelNode<'_>, &Usage) -> bool,
    ) -> Usage {
        let mut rest = lines;
        let mut nodes: Vec<&mut ModelNode<'n>> = self.nodes.iter_mut().collect();
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

impl<'n> ModelNode<'n> {
    fn take(&mut self, key: &'n str, lines: Usage) {
        if lines != Usage::default() {
            self.lines += lines;
            *self.answered.entry(key).or_default() += lines;
        }
    }

    /// Gives lines of a model away.
    fn give(&mut self, key: &'n str, lines: Usage) {
        self.lines = self.lines.saturating_sub(lines);
        if let Some(known) = self.answered.get_mut(key) {
            *known = known.saturating_sub(lines);
        }
    }
}

/// Lines with those of the model first that has used most.
fn by_size<'n>(lines: LinesByModel<'n>) -> Vec<(&'n str, Vec<Usage>)> {
    let mut lines: Vec<(&'n str, Vec<Usage>)> = lines.into_iter().collect();
    lines.sort_by_key(|(model, usages)| (Reverse(usages.iter().map(Usage::total).sum::<u64>()), *model));
    lines
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
