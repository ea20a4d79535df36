//! What was really used in a tree of transcripts: counted while it is made, never read from what was written.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde_json::{Map, Value, json};

use crate::clock;

/// Tokens by the classes that are priced apart, and web searches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that no cache held.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache for 5 minutes.
    pub cache_write_5m: u64,
    /// Input written to a cache for 1 hour.
    pub cache_write_1h: u64,
    /// Requests of the provider's web search.
    pub web_searches: u64,
}

impl Usage {
    /// All that the model read.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt() + self.output
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write_5m: self.cache_write_5m + other.cache_write_5m,
            cache_write_1h: self.cache_write_1h + other.cache_write_1h,
            web_searches: self.web_searches + other.web_searches,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Usage with what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// API responses that some line shows.
    pub responses: u64,
    /// What the log says of them, and the hidden calls. Where the log has nothing but the start value of a stream, this is
    /// that value.
    pub usage: Usage,
    /// What that costs, in pico-dollars (10^-12 USD), as far as the models have prices.
    pub pico_usd: u128,
    /// Output that was billed and is in no log.
    pub unlogged_output: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.responses += other.responses;
        self.usage += other.usage;
        self.pico_usd += other.pico_usd;
        self.unlogged_output += other.unlogged_output;
    }
}

impl Figures {
    fn json(&self) -> Value {
        json!({
            "responses": self.responses,
            "input_tokens": self.usage.input,
            "output_tokens": self.usage.output,
            "cache_read_tokens": self.usage.cache_read,
            "cache_write_5m_tokens": self.usage.cache_write_5m,
            "cache_write_1h_tokens": self.usage.cache_write_1h,
            "web_searches": self.usage.web_searches,
            "total_tokens": self.usage.tokens(),
            "cost_pico_usd": u64::try_from(self.pico_usd).unwrap_or(u64::MAX),
            "unlogged_output_tokens": self.unlogged_output,
        })
    }
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The working directory.
    pub project: String,
    /// Everything.
    pub all: Figures,
    /// The main conversation.
    pub main: Figures,
    /// Subagents, side questions and advisors of subagents.
    pub subagents: Figures,
    /// Calls that no line shows, as far as a total of the client's tells of them.
    pub hidden: Figures,
    /// Prompts of the user, without those that a fork has copied.
    pub turns: u64,
    /// Compactions, without those that a fork has copied.
    pub compactions: u64,
    /// Calls of tools by the main conversation and by subagents with their own lines.
    pub tool_calls: u64,
    /// The session that this one is a fork of.
    pub fork_of: Option<String>,
}

/// Who spent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spender<'n> {
    /// The main conversation.
    Main,
    /// A subagent of a type; `subagent` where no line names it.
    Agent(&'n str),
    /// The client itself, in a call that no line shows.
    Hidden,
}

/// The agent that hidden calls stand under.
pub const HIDDEN: &str = "(hidden)";

/// What was used in a whole tree.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// All of the tree.
    pub total: Figures,
    /// By session id.
    pub sessions: BTreeMap<String, Session>,
    /// By model, as the lines name it; hidden calls without a mark of a long context.
    pub models: BTreeMap<String, Figures>,
    /// By type of agent: `main`, a subagent's type, `subagent` where none is named, `(hidden)`.
    pub agents: BTreeMap<String, Figures>,
    /// By day in UTC. Calls that no line shows belong to the day of the first total that has them.
    pub days: BTreeMap<String, Figures>,
    /// By working directory.
    pub projects: BTreeMap<String, Figures>,
    /// Calls by tool.
    pub tools: BTreeMap<String, u64>,
    /// How often each feature of the tree occurs, see [`FEATURES`](crate::FEATURES).
    pub made: BTreeMap<&'static str, u64>,
    /// Files, without those that describe a subagent.
    pub files: u64,
    /// Their lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Truth {
    /// Adds what was spent at a time.
    pub(crate) fn spend(
        &mut self,
        session: &str,
        spender: Spender<'_>,
        model: &str,
        at: i64,
        figures: Figures,
    ) {
        let entry = self.sessions.entry(session.to_owned()).or_default();
        entry.all += figures;
        let (part, agent) = match spender {
            Spender::Main => (&mut entry.main, "main"),
            Spender::Agent(agent) => (&mut entry.subagents, agent),
            Spender::Hidden => (&mut entry.hidden, HIDDEN),
        };
        *part += figures;
        let project = entry.project.clone();
        let add =
            |sums: &mut BTreeMap<String, Figures>, key: String| *sums.entry(key).or_default() += figures;
        add(&mut self.models, model.to_owned());
        add(&mut self.agents, agent.to_owned());
        add(&mut self.days, clock::date(at));
        add(&mut self.projects, project);
        self.total += figures;
    }

    /// The truth as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let sums = |sums: &BTreeMap<String, Figures>| -> Map<String, Value> {
            sums.iter().map(|(key, figures)| (key.clone(), figures.json())).collect()
        };
        let sessions: Map<String, Value> = self
            .sessions
            .iter()
            .map(|(id, session)| {
                let value = json!({
                    "project": session.project,
                    "all": session.all.json(),
                    "main": session.main.json(),
                    "subagents": session.subagents.json(),
                    "hidden": session.hidden.json(),
                    "turns": session.turns,
                    "compactions": session.compactions,
                    "tool_calls": session.tool_calls,
                    "fork_of": session.fork_of,
                });
                (id.clone(), value)
            })
            .collect();
        json!({
            "files": self.files,
            "lines": self.lines,
            "bytes": self.bytes,
            "total": self.total.json(),
            "by_session": sessions,
            "by_model": sums(&self.models),
            "by_agent": sums(&self.agents),
            "by_day": sums(&self.days),
            "by_project": sums(&self.projects),
            "tools": self.tools,
            "features": self.made,
        })
    }
}
