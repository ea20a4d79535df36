//! The per-subagent defaults table: what a run is taken to use until its own transcript tells.
//!
//! The rows were measured on real transcripts (`docs/facts.md#subagents-in-numbers`; n is the number of runs). Names that
//! people use but that nobody measured are mapped to the nearest measured row and say so with n = 0. The settings file can
//! replace any row (`[subagents.NAME]`).

use std::collections::BTreeMap;

/// What one run of a subagent type is taken to use, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Defaults {
    /// Text it returns to the agent that started it.
    pub returned: u64,
    /// Size of its context when it ends.
    pub final_context: u64,
    /// Everything it is billed for, over all its responses.
    pub billed: u64,
    /// Observed runs behind the row; 0 for a mapped one.
    pub runs: u32,
}

/// A row: the types it stands for, and its figures.
struct Row {
    names: &'static [&'static str],
    mapped: &'static [&'static str],
    returned: u64,
    final_context: u64,
    runs: u32,
}

/// One agent is billed about five times its final context (`docs/facts.md#subagents-in-numbers`).
const BILLED_PER_CONTEXT: u64 = 5;

/// The row for types that nobody measured.
const GENERAL: Row = Row {
    names: &["general-purpose", "general", "claude"],
    mapped: &["Designer"],
    returned: 400,
    final_context: 41_000,
    runs: 17,
};

const ROWS: &[Row] = &[
    Row { names: &["Explore"], mapped: &[], returned: 2_000, final_context: 74_000, runs: 108 },
    Row { names: &["Plan"], mapped: &["Architect"], returned: 4_600, final_context: 94_000, runs: 7 },
    Row { names: &["reviewer"], mapped: &[], returned: 500, final_context: 65_000, runs: 27 },
    Row { names: &["dev"], mapped: &["Coder", "Tester"], returned: 500, final_context: 67_000, runs: 26 },
    Row {
        names: &["code-reviewer"],
        mapped: &["Verifier"],
        returned: 1_400,
        final_context: 48_000,
        runs: 12,
    },
    Row {
        names: &["best-practices-researcher"],
        mapped: &["Research"],
        returned: 4_200,
        final_context: 44_000,
        runs: 5,
    },
    GENERAL,
];

impl Row {
    fn defaults(&self, runs: u32) -> Defaults {
        Defaults {
            returned: self.returned,
            final_context: self.final_context,
            billed: self.final_context * BILLED_PER_CONTEXT,
            runs,
        }
    }

    /// The figures for `agent_type`, if the row stands for it; a plugin's prefix (`plugin:type`) is ignored.
    fn for_type(&self, agent_type: &str) -> Option<Defaults> {
        let name = agent_type.rsplit(':').next().unwrap_or(agent_type);
        let is = |row_name: &&str| row_name.eq_ignore_ascii_case(name);
        if self.names.iter().any(is) {
            Some(self.defaults(self.runs))
        } else {
            self.mapped.iter().any(is).then(|| self.defaults(0))
        }
    }
}

/// Rows that the settings file replaces, by type.
pub type Overrides = BTreeMap<String, Defaults>;

/// The defaults for a subagent type: the user's row, else the measured or mapped one, else the general row.
#[must_use]
pub fn defaults_for(agent_type: Option<&str>, overrides: &Overrides) -> Defaults {
    let Some(agent_type) = agent_type else { return GENERAL.defaults(0) };
    overrides
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(agent_type))
        .map(|(_, row)| *row)
        .or_else(|| ROWS.iter().find_map(|row| row.for_type(agent_type)))
        .unwrap_or_else(|| GENERAL.defaults(0))
}

/// From so many of the user's own runs of a type on their median replaces the default.
pub const LEARNED_FROM: usize = 5;

/// The middle of some figures; of an even number the mean of both in the middle. `None` of none.
#[must_use]
pub fn median(mut figures: Vec<u64>) -> Option<u64> {
    figures.sort_unstable();
    let middle = figures.len() / 2;
    let upper = figures.get(middle)?;
    Some(if figures.len().is_multiple_of(2) { figures[middle - 1].midpoint(*upper) } else { *upper })
}

/// Figures that people give by the rule of thumb, per run: near the text that is returned, far below what is billed
/// (`docs/facts.md#subagents-in-numbers`). For those who want them all the same.
const RULE_OF_THUMB: [(&str, u64); 8] = [
    ("Explore", 4_000),
    ("Research", 5_000),
    ("Reviewer", 6_000),
    ("Architect", 8_000),
    ("Tester", 8_000),
    ("Designer", 10_000),
    ("Verifier", 10_000),
    ("Coder", 12_000),
];

/// The rows of the preset `rule-of-thumb`.
#[must_use]
pub fn rule_of_thumb() -> Overrides {
    RULE_OF_THUMB
        .into_iter()
        .map(|(name, tokens)| {
            let row = Defaults { returned: tokens, final_context: tokens, billed: tokens, runs: 0 };
            (name.to_owned(), row)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_names_say_that_nobody_measured_them() {
        let of = |name| defaults_for(Some(name), &Overrides::new());
        assert_eq!((of("Explore").returned, of("Explore").runs), (2_000, 108));
        assert_eq!((of("Architect").final_context, of("Architect").runs), (94_000, 0));
        assert_eq!((of("Reviewer").final_context, of("Reviewer").runs), (65_000, 27));
        assert_eq!(of("plugin:research:code-reviewer").returned, 1_400);
        assert_eq!(of("never-heard-of").runs, 0);
        assert_eq!(of("never-heard-of").billed, 205_000);
    }

    #[test]
    fn every_name_of_the_contract_has_a_row() {
        for name in
            ["Explore", "Research", "Reviewer", "Architect", "Tester", "Designer", "Verifier", "Coder"]
        {
            assert!(ROWS.iter().any(|row| row.for_type(name).is_some()), "{name}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        assert_eq!(median(vec![4, 1]), Some(2));
    }

    #[test]
    fn the_users_row_wins() {
        let mine = Defaults { returned: 1, final_context: 2, billed: 3, runs: 0 };
        let overrides = Overrides::from([("explore".to_owned(), mine)]);
        assert_eq!(defaults_for(Some("Explore"), &overrides), mine);
    }
}
