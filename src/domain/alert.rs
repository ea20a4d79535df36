//! Alerts: what the user may be told though no budget asks. Which are switched on, what is remembered from event to event,
//! and when something is worth a word. Pure; whatever is remembered has a fixed size.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How often a call may be repeated before it is told, unless the user says otherwise.
const USUAL_REPEATS: u32 = 5;
/// Calls of one agent whose repeats are counted.
const CALLS: usize = 12;
/// Agents of a session that are remembered.
const AGENTS: usize = 32;
/// Calls of a session that are remembered, so that an event that comes twice counts once.
const RECENT: usize = 48;
/// Turns after which a habit is one, and how many turns it looks back over.
const FIRST_TURNS: u32 = 5;
const MOST_TURNS: i64 = 20;
/// Runs that have ended and that nobody was told of yet; of more the last ones are told.
const ENDED: usize = 8;
/// Loops that the user is still to be told of; of more the last ones are told.
const UNHEARD: usize = 4;
/// A turn is a spike from so many times the habit on, and from five cents on.
const SPIKE: i64 = 3;
const LEAST_SPIKE_PICO: i64 = 50_000_000_000;
/// A context is nearly full at this share of what it can hold, in per cent, and no more below the second.
const NEARLY_FULL: u64 = 80;
const EMPTIED: u64 = 50;

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertKind {
    /// A turn costs much more than turns of the session and the project do.
    Spike,
    /// An agent makes the same call again and again.
    Loop,
    /// The context is nearly full.
    Context,
    /// What a subagent has cost, and the session so far.
    Subagents,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spike, Self::Loop, Self::Context, Self::Subagents];

    /// The name on the command line and in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::Loop => "loop",
            Self::Context => "context",
            Self::Subagents => "subagents",
        }
    }
}

/// The alerts that are switched on; none by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    kinds: Vec<AlertKind>,
    /// How often the same call is made before it is told.
    pub repeats: u32,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { kinds: Vec::new(), repeats: USUAL_REPEATS }
    }
}

impl Alerts {
    /// Reads what [`fmt::Display`] has written: `spike,loop=5`. What a newer release knows is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut alerts = Self::default();
        for word in text.split(',') {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if let Some(kind) = AlertKind::ALL.into_iter().find(|kind| kind.name() == name) {
                alerts.switch(kind, true);
            }
            alerts.repeats = value.parse().unwrap_or(alerts.repeats).max(2);
        }
        alerts
    }

    /// Whether one is on.
    #[must_use]
    pub fn has(&self, kind: AlertKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Switches one on or off.
    pub fn switch(&mut self, kind: AlertKind, is_on: bool) {
        self.kinds.retain(|own| *own != kind);
        if is_on {
            self.kinds.push(kind);
            self.kinds.sort_unstable();
        }
    }
}

impl fmt::Display for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, kind) in self.kinds.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{}", kind.name())?;
            if *kind == AlertKind::Loop {
                write!(f, "={}", self.repeats)?;
            }
        }
        Ok(())
    }
}

/// What turns usually cost, in pico-dollars: a mean that looks back over some turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Baseline {
    turns: u32,
    mean: i64,
}

impl Baseline {
    fn learn(&mut self, cost: i64) {
        self.turns = self.turns.saturating_add(1);
        self.mean += cost.saturating_sub(self.mean) / i64::from(self.turns).min(MOST_TURNS);
    }

    /// The mean, once there were enough turns.
    #[must_use]
    pub fn usual(&self) -> Option<i64> {
        (self.turns >= FIRST_TURNS && self.mean > 0).then_some(self.mean)
    }
}

/// A call, and how often it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Repeated(u64, u32);

/// What is remembered of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertState {
    /// Calls by agent, `""` for the main conversation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    calls: BTreeMap<String, Vec<Repeated>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recent: Vec<u64>,
    /// What the session had cost when the turn began, in pico-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_start: Option<i64>,
    habit: Baseline,
    /// Whether the spike of this turn was told.
    spike_told: bool,
    /// Whether the full context was.
    context_told: bool,
    /// Tokens of each subagent's run when it ended.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    runs: BTreeMap<String, u64>,
    /// Runs that have ended and are to be told of: type, cost in pico-dollars, tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ended: Vec<EndedRun>,
    /// Loops of subagents that the user is still to be told of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unheard: Vec<CallLoop>,
}

/// A loop: an agent makes one call again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLoop {
    /// Who makes it: the agent's type.
    pub who: String,
    /// The tool.
    pub tool: String,
    /// How often so far.
    pub times: u32,
}

/// A subagent's run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRun {
    /// Its type.
    pub agent_type: Option<String>,
    /// What it has cost, in pico-dollars.
    pub cost: i64,
    /// Its tokens.
    pub tokens: u64,
}

/// A turn that costs more than usual, in pico-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spike {
    /// What it has cost so far.
    pub cost: i64,
    /// What turns of the session cost, where that is known.
    pub in_session: Option<i64>,
    /// What those of the project cost.
    pub in_project: Option<i64>,
}

impl AlertState {
    /// Notes a call by the hash of its tool and input; `id` is the hash of what names it. Returns how often it was made
    /// since something was changed, if that is to be told now.
    pub fn note_call(&mut self, agent: &str, call: u64, id: Option<u64>, repeats: u32) -> Option<u32> {
        if let Some(id) = id {
            if self.recent.contains(&id) {
                return None;
            }
            self.recent.push(id);
            self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        }
        if self.calls.len() >= AGENTS && !self.calls.contains_key(agent) {
            self.calls.pop_last();
        }
        let calls = self.calls.entry(agent.to_owned()).or_default();
        let before = calls.iter().position(|known| known.0 == call);
        let count = before.map_or(0, |at| calls.remove(at).1).saturating_add(1);
        calls.push(Repeated(call, count));
        calls.drain(..calls.len().saturating_sub(CALLS));
        (count == repeats).then_some(count)
    }

    /// Something was changed: to make the same call again is no repetition.
    pub fn forget_calls(&mut self, agent: &str) {
        self.calls.remove(agent);
    }

    /// A turn begins, when the session has cost `total`: the one before teaches what turns cost.
    pub fn begin_turn(&mut self, total: i64, project: &mut Baseline) {
        let cost = self.turn_start.map_or(0, |start| total.saturating_sub(start));
        if cost > 0 {
            self.habit.learn(cost);
            project.learn(cost);
        }
        self.turn_start = Some(total);
        self.spike_told = false;
        self.calls.remove("");
    }

    /// Whether the turn's cost is to be told, now that the session has cost `total`.
    pub fn spike(&mut self, total: i64, project: &Baseline) -> Option<Spike> {
        let cost = total.saturating_sub(*self.turn_start.get_or_insert(total));
        let (in_session, in_project) = (self.habit.usual(), project.usual());
        let usual = in_session.max(in_project)?;
        let is_one = cost >= LEAST_SPIKE_PICO && cost >= usual.saturating_mul(SPIKE) && !self.spike_told;
        self.spike_told |= is_one;
        is_one.then_some(Spike { cost, in_session, in_project })
    }

    /// Whether it is to be told that a context of `tokens` has come near to what it can hold.
    pub fn is_nearly_full(&mut self, tokens: u64, most: u64) -> bool {
        let share = u128::from(tokens) * 100;
        if share < u128::from(most) * u128::from(EMPTIED) {
            self.context_told = false;
        }
        let is_full = share >= u128::from(most) * u128::from(NEARLY_FULL) && !self.context_told;
        self.context_told |= is_full;
        is_full
    }

    /// A subagent's run has ended, or has gone on and ended again. An event that comes twice changes nothing.
    pub fn end_run(&mut self, agent: &str, run: EndedRun) {
        if self.runs.get(agent) == Some(&run.tokens) {
            return;
        }
        if self.runs.len() >= AGENTS && !self.runs.contains_key(agent) {
            self.runs.pop_first();
        }
        self.runs.insert(agent.to_owned(), run.tokens);
        self.ended.push(run);
        self.ended.drain(..self.ended.len().saturating_sub(ENDED));
    }

    /// A loop is to be told of later; of many the last ones are.
    pub fn keep_unheard(&mut self, found: CallLoop) {
        self.unheard.push(found);
        self.unheard.drain(..self.unheard.len().saturating_sub(UNHEARD));
    }

    /// The loops that are to be told of.
    pub fn take_unheard(&mut self) -> Vec<CallLoop> {
        std::mem::take(&mut self.unheard)
    }

    /// The runs that are to be told of.
    pub fn take_ended(&mut self) -> Vec<EndedRun> {
        std::mem::take(&mut self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: i64 = 10_000_000_000;

    #[test]
    fn what_is_switched_on_is_read_as_it_was_written() {
        let mut alerts = Alerts::default();
        assert_eq!(alerts.to_string(), "");
        assert_eq!(Alerts::parse(""), alerts);
        alerts.switch(AlertKind::Loop, true);
        alerts.switch(AlertKind::Spike, true);
        alerts.repeats = 8;
        assert_eq!(alerts.to_string(), "spike,loop=8");
        assert_eq!(Alerts::parse("spike,loop=8"), alerts);
        assert_eq!(Alerts::parse("spike,loop=8,weather=sunny"), alerts);
        alerts.switch(AlertKind::Loop, false);
        assert!(alerts.has(AlertKind::Spike) && !alerts.has(AlertKind::Loop));
        assert_eq!(Alerts::parse("loop=0").repeats, 2);
    }

    #[test]
    fn the_same_call_is_told_once_until_something_is_changed() {
        let mut watch = AlertState::default();
        let told = |watch: &mut AlertState, ids: std::ops::Range<u64>| -> Vec<u64> {
            ids.filter(|id| watch.note_call("", 7, Some(*id), 3).is_some()).collect()
        };
        assert_eq!(told(&mut watch, 0..9), [2]);
        assert_eq!(told(&mut watch, 0..9), [] as [u64; 0], "events that come twice count once");
        watch.forget_calls("");
        assert_eq!(told(&mut watch, 10..19), [12]);
        assert_eq!(watch.note_call("a1", 7, Some(30), 2), None, "each agent has its own");
    }

    #[test]
    fn what_is_remembered_stays_small() {
        let mut watch = AlertState::default();
        for number in 0..5_000 {
            watch.note_call(&format!("agent {number}"), number, Some(number), 5);
            watch.note_call("", number, Some(number + 10_000), 5);
            let run = EndedRun { agent_type: Some("x".repeat(80)), cost: i64::MAX, tokens: number };
            watch.end_run(&format!("agent {number}"), run);
            watch.keep_unheard(CallLoop { who: "x".repeat(80), tool: "y".repeat(80), times: 5 });
        }
        let size = serde_json::to_string(&watch).unwrap().len();
        assert!(size < 6_000, "{size}");
        assert_eq!(
            serde_json::from_str::<AlertState>(&serde_json::to_string(&watch).unwrap()).unwrap(),
            watch
        );
    }

    #[test]
    fn a_turn_is_a_spike_beside_the_habit_of_both() {
        let (mut watch, mut project) = (AlertState::default(), Baseline::default());
        let mut total = 0;
        for _ in 0..FIRST_TURNS {
            watch.begin_turn(total, &mut project);
            assert_eq!(watch.spike(total + 40 * CENT, &project), None, "there is no habit yet");
            total += 4 * CENT;
        }
        watch.begin_turn(total, &mut project);
        assert_eq!(watch.spike(total + 11 * CENT, &project), None);
        let spike = watch.spike(total + 12 * CENT, &project).unwrap();
        assert_eq!(spike, Spike { cost: 12 * CENT, in_session: Some(4 * CENT), in_project: Some(4 * CENT) });
        assert_eq!(watch.spike(total + 90 * CENT, &project), None, "once a turn");
        // Where the project's turns cost as much it is none.
        let expensive = Baseline { turns: 9, mean: 30 * CENT };
        watch.begin_turn(total, &mut project);
        assert_eq!(watch.spike(total + 12 * CENT, &expensive), None);
    }

    #[test]
    fn a_full_context_is_told_once_until_it_was_emptied() {
        let mut watch = AlertState::default();
        let told = [100, 159, 160, 190, 120, 165, 40, 161].map(|tokens| watch.is_nearly_full(tokens, 200));
        assert_eq!(told, [false, false, true, false, false, false, false, true]);
    }
}
