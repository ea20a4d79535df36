//! By tool, skill, MCP server and step: what attribution tells, beside the estimates of the calls. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::agent_names::AgentNames;
use super::{AllocatedUsage, McpUsage, SkillUsage, StepUsage, ToolUsage, agent_of};
use crate::domain::{Timeline, Timestamp, ToolName, Usage};
use crate::report::allocations::{AllocationKey, AllocationSum, NO_KEY, add_to};
use crate::report::{Share, Whole};
use crate::store::{AllocationRow, CallGroup, HIDDEN_AGENT};

/// What the calls of a group come to.
#[derive(Debug, Default)]
struct CallSum {
    calls: u64,
    failures: u64,
    generated: u64,
    returned: u64,
    duration_ms: u64,
}

/// Sums the calls by `key`; those without one are left out.
fn sum_calls(calls: &[CallGroup], key: impl Fn(&CallGroup) -> Option<String>) -> BTreeMap<String, CallSum> {
    let mut sums: BTreeMap<String, CallSum> = BTreeMap::new();
    for call in calls {
        let Some(key) = key(call) else { continue };
        let sum = sums.entry(key).or_default();
        sum.calls += call.calls;
        sum.failures += call.failures;
        sum.generated += call.generated;
        sum.returned += call.returned;
        sum.duration_ms += call.duration_ms;
    }
    sums
}

/// The calls and the sums of costs under their keys. Keys that only one side has are there too.
fn join(
    calls: BTreeMap<String, CallSum>,
    sums: BTreeMap<String, AllocationSum>,
) -> Vec<(String, CallSum, AllocationSum)> {
    let mut both: BTreeMap<String, (CallSum, AllocationSum)> =
        calls.into_iter().map(|(key, calls)| (key, (calls, AllocationSum::default()))).collect();
    for (key, sum) in sums {
        both.entry(key).or_default().1 = sum;
    }
    both.into_iter().map(|(key, (calls, sum))| (key, calls, sum)).collect()
}

impl AllocatedUsage {
    /// What `sum` comes to, of all that was paid for.
    fn of(sum: &AllocationSum, whole: Whole) -> Self {
        let total_tokens = sum.usage.total();
        Self {
            total_tokens,
            entry_cost_usd: sum.known_part(sum.entry_cost),
            carry_cost_usd: sum.known_part(sum.carry_cost),
            cost_usd: sum.known(),
            share: whole.share(sum.known().amount, total_tokens),
        }
    }

    /// What `sum`, which calls have brought, comes to, of all that was paid for; where nothing was paid that is known
    /// of, the share is that of `estimated` tokens.
    fn of_calls(sum: &AllocationSum, calls: &CallSum, (whole, estimated): (Whole, u64)) -> Self {
        let paid = Self::of(sum, whole);
        let own = calls.generated + calls.returned;
        let share = if whole.tokens > 0 { paid.share } else { Share::of_tokens(own, estimated) };
        Self { share, ..paid }
    }
}

/// Allocations added up by one kind of key as they come: of all of a session's none needs to be kept.
pub(super) struct AllocationSums {
    by: AllocationKey,
    sums: BTreeMap<String, AllocationSum>,
    all: AllocationSum,
}

impl AllocationSums {
    pub(super) fn new(by: AllocationKey) -> Self {
        Self { by, sums: BTreeMap::new(), all: AllocationSum::default() }
    }

    pub(super) fn add(&mut self, row: &AllocationRow) {
        add_to(&mut self.sums, &self.by.key(row, false), row);
        self.all.add(row);
    }

    /// What all of them come to, of all that was paid for.
    pub(super) fn in_all(&self, whole: Whole) -> (Usage, AllocatedUsage) {
        (self.all.usage, AllocatedUsage::of(&self.all, whole))
    }
}

/// Tools by what they cost, then by estimate; what is none comes last.
pub(super) fn by_tool(tools: AllocationSums, calls: &[CallGroup]) -> Vec<ToolUsage> {
    let paid = tools.all.whole();
    let estimated: u64 = calls.iter().map(|call| call.generated + call.returned).sum();
    let mut rows: Vec<ToolUsage> = join(sum_calls(calls, |call| Some(call.tool.clone())), tools.sums)
        .into_iter()
        .map(|(tool, calls, sum)| ToolUsage {
            tool,
            // Of sessions that were only imported no hook has told.
            calls: calls.calls.max(sum.calls),
            failures: calls.failures,
            generated_tokens: calls.generated,
            returned_tokens: calls.returned,
            paid: AllocatedUsage::of_calls(&sum, &calls, (paid, estimated)),
            duration_seconds: calls.duration_ms / 1_000,
        })
        .collect();
    rows.sort_by_cached_key(|row| {
        let estimate = row.generated_tokens + row.returned_tokens;
        (
            row.tool.starts_with('('),
            Reverse((row.paid.cost_usd.amount, row.paid.total_tokens, estimate)),
            row.tool.clone(),
        )
    });
    rows
}

pub(super) fn by_skill(skills: AllocationSums, calls: &[CallGroup]) -> Vec<SkillUsage> {
    let paid = skills.all.whole();
    let mut rows: Vec<SkillUsage> = join(sum_calls(calls, |call| call.skill.clone()), skills.sums)
        .into_iter()
        .filter(|(skill, ..)| !is_none(skill))
        .map(|(skill, calls, sum)| SkillUsage {
            skill,
            invocations: calls.calls,
            usage: sum.usage,
            paid: AllocatedUsage::of(&sum, paid),
        })
        .collect();
    rows.sort_by_key(|row| Reverse((row.paid.cost_usd.amount, row.paid.total_tokens)));
    rows
}

pub(super) fn by_mcp_server(servers: AllocationSums, calls: &[CallGroup]) -> Vec<McpUsage> {
    let paid = servers.all.whole();
    let estimated: u64 = calls.iter().map(|call| call.generated + call.returned).sum();
    let server = |call: &CallGroup| ToolName::new(&call.tool).mcp_server().map(str::to_owned);
    let mut rows: Vec<McpUsage> = join(sum_calls(calls, server), servers.sums)
        .into_iter()
        .filter(|(server, ..)| !is_none(server))
        .map(|(mcp_server, calls, sum)| McpUsage {
            mcp_server,
            calls: calls.calls.max(sum.calls),
            failures: calls.failures,
            generated_tokens: calls.generated,
            returned_tokens: calls.returned,
            paid: AllocatedUsage::of_calls(&sum, &calls, (paid, estimated)),
        })
        .collect();
    rows.sort_by_key(|row| {
        Reverse((row.paid.cost_usd.amount, row.paid.total_tokens, row.generated_tokens + row.returned_tokens))
    });
    rows
}

/// Allocations added up by step as they come: of all of a session's none needs to be kept.
pub(super) struct StepSums<'n> {
    names: &'n AgentNames<'n>,
    places: BTreeMap<String, usize>,
    sums: Vec<StepSum<'n>>,
    /// The place of the last one: allocations that follow each other mostly have one step.
    last: usize,
}

struct StepSum<'n> {
    step: String,
    sum: AllocationSum,
    agents: BTreeSet<&'n str>,
}

impl<'n> StepSums<'n> {
    pub(super) fn new(names: &'n AgentNames<'n>) -> Self {
        Self { names, places: BTreeMap::new(), sums: Vec::new(), last: 0 }
    }

    pub(super) fn add(&mut self, row: &AllocationRow) {
        let key = AllocationKey::Step.key(row, false);
        if self.sums.get(self.last).is_none_or(|last| last.step != key) {
            self.last = match self.places.get(key.as_ref()) {
                Some(place) => *place,
                None => {
                    let step = key.into_owned();
                    self.places.insert(step.clone(), self.sums.len());
                    self.sums.push(StepSum { step, sum: AllocationSum::default(), agents: BTreeSet::new() });
                    self.sums.len() - 1
                }
            };
        }
        if let Some(last) = self.sums.get_mut(self.last) {
            last.sum.add(row);
            last.agents.insert(agent_of(row, self.names));
        }
    }

    /// Tool calls that came in, of all steps.
    pub(super) fn calls(&self) -> u64 {
        self.sums.iter().map(|step| step.sum.calls).sum()
    }

    /// Steps in the order of time; what belongs to none comes last.
    pub(super) fn rows(self, timeline: &Timeline, last: Option<Timestamp>) -> Vec<StepUsage> {
        /// Its place in time, how often it was begun, and for how long.
        type Course = (usize, u64, u64);
        let mut courses: BTreeMap<&str, Course> = BTreeMap::new();
        for (place, span) in timeline.spans().iter().enumerate() {
            let course = courses.entry(&span.name).or_insert((place, 0, 0));
            course.1 += 1;
            // A step is worked on until nothing more happens, if the next one begins only after that.
            let end = span.until.into_iter().chain(last).min().unwrap_or(span.from);
            course.2 += end.since(span.from).as_secs();
        }
        let mut paid = Whole::default();
        for whole in self.sums.iter().map(|step| step.sum.whole()) {
            paid.cost += whole.cost;
            paid.tokens += whole.tokens;
        }
        let row = |StepSum { step, sum, agents }| {
            let course = courses.get(step.as_str());
            let row = StepUsage {
                usage: sum.usage,
                paid: AllocatedUsage::of(&sum, paid),
                duration_seconds: course.map(|course| course.2),
                agents: agents.into_iter().map(str::to_owned).collect(),
                iterations: course.map_or(0, |course| course.1),
                step,
            };
            (course.map_or(usize::MAX, |course| course.0), row)
        };
        let mut rows: Vec<(usize, StepUsage)> = self.sums.into_iter().map(row).collect();
        rows.sort_by(|one, other| (one.0, &one.1.step).cmp(&(other.0, &other.1.step)));
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// Whether the key stands for having none.
fn is_none(key: &str) -> bool {
    key == NO_KEY || key == HIDDEN_AGENT
}
