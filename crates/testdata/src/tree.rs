//! A tree of sessions: what it is to contain, and the making of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::chance::Chance;
use crate::clock::{DAY, MINUTE};
use crate::models::Era;
use crate::prices::Prices;
use crate::session::Session;
use crate::truth::{self, Truth};
use crate::words::{Words, word};

/// What a tree is to be like.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What chance starts from: the same seed gives the same bytes.
    pub seed: u64,
    /// Sessions are made until the files have this many bytes. A tree of all eras grows beyond it until it has every feature
    /// that the recipe allows.
    pub bytes: u64,
    /// The clients that have written the transcripts.
    pub eras: Vec<Era>,
    /// How many working directories there are.
    pub projects: usize,
    /// The median of the turns between a session's beginning and its end or pause.
    pub turns: u64,
    /// The median of the responses in a turn.
    pub responses_a_turn: u64,
    /// The median of the bytes that a tool returns.
    pub result_bytes: u64,
    /// Whether sessions are forked in a terminal too, where nothing but the copies says that it is a fork.
    pub terminal_forks: bool,
    /// Whether sessions are resumed days later. Without it no session with a total of the client's goes beyond a day.
    pub overnight: bool,
    /// Whether sessions are resumed that ended without a total of the client's.
    pub crashes: bool,
}

impl Recipe {
    /// A tree as large as a developer's after some months, with sessions of usual size.
    #[must_use]
    pub fn of_megabytes(megabytes: u64, seed: u64) -> Self {
        Self {
            seed,
            bytes: megabytes * 1_000_000,
            eras: Era::ALL.to_vec(),
            projects: 40,
            turns: 8,
            responses_a_turn: 6,
            result_bytes: 2_200,
            terminal_forks: true,
            overnight: true,
            crashes: true,
        }
    }

    /// A tree of short sessions with small results, for tests: about a megabyte, with every feature in it.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        Self {
            bytes: 0,
            projects: 3,
            turns: 2,
            responses_a_turn: 3,
            result_bytes: 160,
            ..Self::of_megabytes(0, seed)
        }
    }
}

/// What can be in a tree. The first chance for it is taken, later ones at times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// A fork that begins with a note of its own time.
    HeadlessFork,
    /// A fork that begins with its copies.
    TerminalFork,
    /// A session that goes on in its file.
    Resume,
    /// A session that is resumed though its client wrote no total.
    Crash,
    /// A side question, which repeats the conversation.
    Aside,
    /// A subagent.
    Subagent,
    /// A subagent of a subagent.
    NestedSubagent,
    /// A subagent in a folder of a workflow.
    WorkflowAgent,
    /// A subagent's conversation within the main file.
    Sidechain,
    /// A subagent's file beside the main file.
    FlatAgentFile,
    /// A subagent's message that the main file repeats.
    Echo,
    /// A subagent that only echoes tell of.
    EchoWithoutFile,
    /// A compaction that nothing but its record tells of.
    Compaction,
    /// A compaction that costs a hidden call.
    HiddenCompaction,
    /// A title, made by a hidden call.
    Title,
    /// A total of the client's own.
    ClientsTotal,
    /// Such a total that names a model with a mark of its long context.
    TotalWithMark,
    /// A web search.
    WebSearch,
    /// A session in fast mode.
    Fast,
    /// A session whose inference stays in the United States.
    UnitedStates,
    /// A request beyond the length from which on prompts cost more.
    LongPrompt,
    /// Another model that is asked within a response.
    Advisor,
    /// Results of tools between the lines of one response.
    ResultsBetweenLines,
    /// Words that the client has put into a context by itself.
    ClientsWords,
    /// A line in place of a response that failed.
    ApiError,
}

/// All features, by their names in [`Truth::made`].
pub const FEATURES: [(Feature, &str); 25] = [
    (Feature::HeadlessFork, "headless fork"),
    (Feature::TerminalFork, "terminal fork"),
    (Feature::Resume, "resume"),
    (Feature::Crash, "crash"),
    (Feature::Aside, "side question"),
    (Feature::Subagent, "subagent"),
    (Feature::NestedSubagent, "nested subagent"),
    (Feature::WorkflowAgent, "agent of a workflow"),
    (Feature::Sidechain, "sidechain in the main file"),
    (Feature::FlatAgentFile, "flat agent file"),
    (Feature::Echo, "echo"),
    (Feature::EchoWithoutFile, "echo without file"),
    (Feature::Compaction, "compaction"),
    (Feature::HiddenCompaction, "hidden compaction"),
    (Feature::Title, "hidden title"),
    (Feature::ClientsTotal, "client's total"),
    (Feature::TotalWithMark, "total with a marked model"),
    (Feature::WebSearch, "web search"),
    (Feature::Fast, "fast mode"),
    (Feature::UnitedStates, "inference in the United States"),
    (Feature::LongPrompt, "long prompt"),
    (Feature::Advisor, "advisor"),
    (Feature::ResultsBetweenLines, "results between lines"),
    (Feature::ClientsWords, "client's words"),
    (Feature::ApiError, "API error"),
];

impl Feature {
    /// Its name in [`Truth::made`].
    #[must_use]
    pub fn name(self) -> &'static str {
        FEATURES.iter().find(|(feature, _)| *feature == self).map_or("", |(_, name)| name)
    }
}

/// Where the files of a tree go.
pub trait Sink {
    /// Takes a file. `path` is relative, with `/` between folders.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn file(&mut self, path: &str, text: &str) -> io::Result<()>;
}

/// Files by their path, in memory.
impl Sink for BTreeMap<String, String> {
    fn file(&mut self, path: &str, text: &str) -> io::Result<()> {
        self.insert(path.to_owned(), text.to_owned());
        Ok(())
    }
}

/// Files in a folder.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Sink for Folder {
    fn file(&mut self, path: &str, text: &str) -> io::Result<()> {
        let path = self.0.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)
    }
}

/// Writes a tree into a folder: transcripts in `projects`, and what is true of them in `truth.json`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(recipe: &Recipe, prices: &Prices, folder: &Path) -> io::Result<Truth> {
    let mut sink = Folder(folder.to_path_buf());
    let truth = make(recipe, prices, &mut sink)?;
    sink.file("truth.json", &format!("{:#}\n", truth.to_json()))?;
    Ok(truth)
}

/// Makes a tree; what is true of it.
///
/// # Errors
/// If the sink refuses a file.
pub fn make(recipe: &Recipe, prices: &Prices, sink: &mut dyn Sink) -> io::Result<Truth> {
    let mut chance = Chance::new(recipe.seed);
    let words = Words::new(&mut chance);
    let projects = (0..recipe.projects)
        .map(|number| {
            let project = format!("/home/dev/src/{}-{number}", word(&mut chance));
            let branch = chance.weighted(&[("main", 3), ("fix/parser", 1), ("feature/cache", 1)]);
            (project, branch.to_owned())
        })
        .collect();
    let mut maker = Maker { recipe, prices, words: &words, chance, truth: Truth::default(), projects };
    let mut number = 0;
    while number < recipe.eras.len()
        || maker.truth.bytes < recipe.bytes
        || number < ENOUGH && maker.lacks_features()
    {
        for session in maker.family(number) {
            for (path, text, lines) in session.into_files() {
                sink.file(&path, &text)?;
                maker.truth.files += u64::from(lines > 0);
                maker.truth.lines += lines;
                maker.truth.bytes += if lines > 0 { text.len() as u64 } else { 0 };
            }
        }
        number += 1;
    }
    Ok(maker.truth)
}

/// Sessions after which a tree has all that it will have.
const ENOUGH: usize = 200;

/// What all sessions of a tree have in common while it is made.
pub(crate) struct Maker<'r> {
    pub(crate) recipe: &'r Recipe,
    pub(crate) prices: &'r Prices,
    pub(crate) words: &'r Words,
    pub(crate) chance: Chance,
    pub(crate) truth: Truth,
    /// Working directories, each with its branch.
    pub(crate) projects: Vec<(String, String)>,
}

/// The most bytes of a conversation that is copied.
const COPIED: usize = 1_500_000;

impl Maker<'_> {
    pub(crate) fn note(&mut self, feature: Feature) {
        *self.truth.made.entry(feature.name()).or_default() += 1;
    }

    pub(crate) fn made(&self, feature: Feature) -> u64 {
        self.truth.made.get(feature.name()).copied().unwrap_or(0)
    }

    /// Whether a tree of all eras still lacks a feature that its recipe allows.
    fn lacks_features(&self) -> bool {
        let allows = |feature| match feature {
            Feature::TerminalFork => self.recipe.terminal_forks,
            Feature::Crash => self.recipe.crashes,
            _ => true,
        };
        self.recipe.eras == Era::ALL
            && FEATURES.iter().any(|(feature, _)| allows(*feature) && self.made(*feature) == 0)
    }

    /// Whether a feature is to be made now: where the tree has none yet, and in `percent` of 100 other cases. Says yes only
    /// to who makes it.
    pub(crate) fn wants(&mut self, feature: Feature, percent: u64) -> bool {
        let is_wanted = self.chance.percent(percent) || self.made(feature) == 0;
        if is_wanted {
            self.note(feature);
        }
        is_wanted
    }

    pub(crate) fn session(&mut self, id: &str) -> &mut truth::Session {
        self.truth.sessions.entry(id.to_owned()).or_default()
    }

    /// A session and its forks.
    fn family(&mut self, number: usize) -> Vec<Session> {
        let eras = &self.recipe.eras;
        let era = match eras.get(number % (2 * eras.len())) {
            Some(era) => *era,
            None => self.chance.pick(eras),
        };
        let is_long = match self.made(Feature::LongPrompt) {
            0 => number % 3 == 1,
            _ => number % 7 == 6,
        };
        let (from, until) = era.time();
        let day = from + self.chance.below((until - from).unsigned_abs() / DAY as u64) as i64 * DAY;
        // Early in the day, so that a session that may not go beyond it has time.
        let minutes = if self.recipe.overnight || era < Era::Current { (0, 1_440) } else { (240, 420) };
        let start = day
            + self.chance.between(minutes.0, minutes.1) as i64 * MINUTE
            + self.chance.below(60_000) as i64;
        let session = Session::new(self, era, start, is_long);
        let mut family = Vec::new();
        let parts = if number < 2 * self.recipe.eras.len() {
            2
        } else {
            self.chance.weighted(&[(1, 6), (2, 2), (3, 1)])
        };
        self.work(session, era, parts, 0, &mut family);
        family
    }

    /// A session from here to its end, with so many parts between pauses.
    fn work(&mut self, mut session: Session, era: Era, parts: u64, depth: u32, family: &mut Vec<Session>) {
        for part in 1..=parts {
            let turns = self.chance.around(self.recipe.turns, 2).max(1);
            for turn in 1..=turns {
                session.turn(self);
                let is_short = session.main_bytes() < COPIED;
                if era >= Era::Middle && is_short && self.wants(Feature::Aside, 2) {
                    session.aside(self);
                }
                // Not after the last one, for then nothing would say that the parent's total is younger than the fork.
                if is_short && turn < turns && self.chance.percent(2) {
                    self.fork(&session, era, depth, family);
                }
            }
            let is_last = part == parts;
            let has_total = session.has_total();
            let may_crash = era == Era::Current && (is_last || self.recipe.crashes && !has_total);
            let crashes =
                may_crash && if is_last { self.chance.percent(5) } else { self.wants(Feature::Crash, 10) };
            if !crashes {
                session.end(self);
            }
            let (is_wanted, is_short) = (self.wants_fork(era), session.main_bytes() < COPIED);
            if is_short && (is_wanted || self.chance.percent(8)) {
                self.fork(&session, era, depth, family);
            }
            if !is_last {
                let minutes =
                    if self.recipe.overnight && self.chance.percent(40) { (600, 4_000) } else { (10, 60) };
                session.resume(self, minutes);
            }
        }
        family.push(session);
    }

    /// Whether the tree still lacks a kind of fork.
    fn wants_fork(&self, era: Era) -> bool {
        let lacks = |feature| self.made(feature) == 0;
        era > Era::Early && lacks(Feature::HeadlessFork)
            || self.recipe.terminal_forks && lacks(Feature::TerminalFork)
    }

    fn fork(&mut self, session: &Session, era: Era, depth: u32, family: &mut Vec<Session>) {
        let may_be_headless = era > Era::Early;
        let in_terminal = match (may_be_headless, self.recipe.terminal_forks) {
            (_, false) => false,
            (false, true) => true,
            (true, true) => {
                self.made(Feature::TerminalFork) == 0
                    || self.made(Feature::HeadlessFork) > 0 && self.chance.percent(50)
            }
        };
        if depth < 2 && (in_terminal || may_be_headless) {
            let fork = session.fork(self, in_terminal);
            self.work(fork, era, 1, depth + 1, family);
        }
    }
}
