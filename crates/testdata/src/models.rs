//! Which models the clients of a time used, and how many tokens each makes of a text.

use crate::chance::Chance;
use crate::clock::midnight;

/// A generation of clients, which wrote their transcripts alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Clients 1.0.x of 2025: no split of cache writes, often without request ids, some lines without any id of the
    /// response, subagents as sidechains within the main file, output mostly logged as the stream's start value.
    Early,
    /// Clients 2.0.x and 2.1.0 to 2.1.99: `stop_reason` null and start values in most files, flat files of subagents and,
    /// later, echoes of their messages in the main file.
    Flat,
    /// Clients from 2.1.100 on: whole usage in each line, nested folders of subagents.
    Middle,
    /// Clients since August 2026: the client's own totals (`cost-state`), hidden calls, advisors, marks of forks.
    Current,
}

impl Era {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::Early, Self::Flat, Self::Middle, Self::Current];

    /// From when until when sessions of such clients begin.
    pub(crate) const fn time(self) -> (i64, i64) {
        match self {
            Self::Early => (midnight(2025, 6, 8), midnight(2025, 9, 20)),
            Self::Flat => (midnight(2025, 11, 8), midnight(2026, 3, 12)),
            Self::Middle => (midnight(2026, 4, 18), midnight(2026, 8, 18)),
            Self::Current => (midnight(2026, 8, 26), midnight(2026, 11, 20)),
        }
    }

    /// Versions of clients of the time.
    pub(crate) const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Early => &["1.0.17", "1.0.24", "1.0.58"],
            Self::Flat => &["2.0.42", "2.0.64", "2.0.76", "2.1.5", "2.1.29", "2.1.41", "2.1.62", "2.1.72"],
            Self::Middle => &["2.1.119", "2.1.181", "2.1.227"],
            Self::Current => &["2.1.251", "2.1.289", "2.1.330"],
        }
    }

    /// A model that somebody works with at a time.
    pub(crate) fn model(self, at: i64, chance: &mut Chance) -> &'static str {
        let before = |year, month, day| at < midnight(year, month, day);
        let opus = match self {
            Self::Early => "claude-opus-4-1-20250805",
            Self::Flat if before(2026, 2, 5) => "claude-opus-4-5-20251101",
            Self::Flat => "claude-opus-4-6",
            Self::Middle if before(2026, 5, 28) => "claude-opus-4-7",
            Self::Middle if before(2026, 7, 24) => "claude-opus-4-8",
            Self::Middle => "claude-opus-5",
            Self::Current if before(2026, 9, 22) => "claude-opus-5",
            Self::Current => "claude-opus-5-5",
        };
        let sonnet = match self {
            Self::Early => "claude-sonnet-4-20250514",
            Self::Flat => "claude-sonnet-4-5-20250929",
            Self::Middle if before(2026, 7, 1) => "claude-sonnet-4-6",
            Self::Middle => "claude-sonnet-5",
            Self::Current => "claude-sonnet-5-5",
        };
        chance.weighted(&[(opus, 11), (sonnet, 7), (self.small_model(at), 2)])
    }

    /// The small model of a time, which also writes titles.
    pub(crate) const fn small_model(self, at: i64) -> &'static str {
        match self {
            Self::Early => "claude-3-5-haiku-20241022",
            Self::Current if at >= midnight(2026, 10, 8) => "claude-haiku-5-5",
            _ => "claude-haiku-4-5-20251001",
        }
    }
}

/// Whether a model has the tokenizer of today, which makes more tokens of a text than the one before.
fn is_new(model: &str) -> bool {
    let old = [
        "claude-3",
        "claude-opus-4-1",
        "claude-opus-4-5",
        "claude-opus-4-6",
        "claude-sonnet-4",
        "claude-haiku-4",
    ];
    !old.iter().any(|start| model.starts_with(start))
}

/// Tokens that a model makes of one token of [`crate::words`], in thousandths, by the tool that returned the text.
pub(crate) fn slope(model: &str, tool: &str) -> u64 {
    match (is_new(model), tool) {
        (false, "Read") => 1_250,
        (false, "Bash") => 1_340,
        (false, "Grep" | "Glob") => 1_400,
        (false, _) => 1_290,
        (true, "Read") => 1_670,
        (true, "Bash") => 1_600,
        (true, _) => 1_700,
    }
}

/// Tokens that surround each result of a tool.
pub(crate) fn per_result(model: &str) -> u64 {
    if is_new(model) { 24 } else { 18 }
}

/// Tokens that surround each call in what a model writes.
pub(crate) fn per_call(model: &str) -> u64 {
    if is_new(model) { 70 } else { 50 }
}
