//! What in a session could have been cheaper, where the figures leave no doubt. Pure; `present::advice` words it.

use std::collections::{BTreeMap, BTreeSet};

use crate::allocation::CallCost;
use crate::domain::{AgentId, PicoUsd, ToolName};

/// Less is not worth a word: 5 cents.
const LEAST: PicoUsd = PicoUsd::from_pico(50_000_000_000);
/// Less than that share of what the session has cost, in percent, is not worth a word either.
const LEAST_PERCENT: i128 = 5;
/// A result is large from so many tokens on.
const LARGE: u64 = 10_000;

/// Something that could have been cheaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waste {
    /// What it cost in all.
    pub cost: PicoUsd,
    /// The part of it that later responses paid for reading it again.
    pub carry_cost: PicoUsd,
    /// What it was.
    pub cause: Cause,
}

/// Why something cost more than it had to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A file was read again while it was in the context.
    ReadAgain {
        /// Tokens of the largest reading.
        tokens: u64,
        /// How often it was read.
        times: usize,
    },
    /// A large result stayed in the context.
    LargeResult {
        /// The tool that returned it.
        tool: ToolName,
        /// Its tokens.
        tokens: u64,
    },
}

/// The most expensive thing that could have been cheaper: a file that was read again while it stood in the context, or
/// a large result that was carried through the session. `total` is what the session has cost; after a compaction a file
/// is read again for a reason.
#[must_use]
pub fn worst_waste(calls: &[CallCost], total: PicoUsd, was_compacted: bool) -> Option<Waste> {
    let again = if was_compacted { Vec::new() } else { read_again(calls) };
    let found = again.into_iter().chain(large(calls));
    let worst = found.max_by_key(|waste| waste.cost)?;
    let is_worth = worst.cost >= LEAST && worst.cost.as_pico() * 100 >= total.as_pico() * LEAST_PERCENT;
    is_worth.then_some(worst)
}

/// Files that were read more than once.
fn read_again(calls: &[CallCost]) -> Vec<Waste> {
    // What was changed in between had to be read again.
    let changed: BTreeSet<u64> =
        calls.iter().filter(|call| call.tool.as_str() != "Read").filter_map(|call| call.file).collect();
    let mut files: BTreeMap<(Option<&AgentId>, u64), Vec<&CallCost>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.tool.as_str() == "Read") {
        if let Some(file) = call.file.filter(|file| !changed.contains(file)) {
            files.entry((call.agent.as_ref(), file)).or_default().push(call);
        }
    }
    files
        .into_values()
        .filter(|reads| reads.len() > 1)
        .map(|reads| {
            let (cost, carry_cost) = sum(&reads);
            let tokens = reads.iter().map(|read| read.entry_tokens).max().unwrap_or(0);
            Waste { cost, carry_cost, cause: Cause::ReadAgain { tokens, times: reads.len() } }
        })
        .collect()
}

/// The large result whose re-reads cost most, if they cost more than half of it.
fn large(calls: &[CallCost]) -> Option<Waste> {
    let call = calls.iter().filter(|call| call.entry_tokens >= LARGE).max_by_key(|call| call.carry_cost)?;
    let (cost, carry_cost) = sum(&[call]);
    let cause = Cause::LargeResult { tool: call.tool.clone(), tokens: call.entry_tokens };
    (carry_cost.as_pico() * 2 > cost.as_pico()).then_some(Waste { cost, carry_cost, cause })
}

/// What calls have cost, and how much of it was paid after they came in.
fn sum(calls: &[&CallCost]) -> (PicoUsd, PicoUsd) {
    let carry: PicoUsd = calls.iter().map(|call| call.carry_cost).sum();
    let entry: PicoUsd = calls.iter().map(|call| call.entry_cost).sum();
    (entry + carry, carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str, file: Option<u64>, tokens: u64, entry_cents: i128, carry_cents: i128) -> CallCost {
        let cents = |cents: i128| PicoUsd::from_pico(cents * 10_000_000_000);
        CallCost {
            tool: ToolName::new(tool),
            agent: None,
            file,
            entry_tokens: tokens,
            entry_cost: cents(entry_cents),
            carry_cost: cents(carry_cents),
        }
    }

    #[test]
    fn a_file_that_was_read_again_is_named_with_what_it_cost() {
        let reads = [
            call("Read", Some(1), 18_000, 11, 30),
            call("Read", Some(1), 18_000, 11, 15),
            call("Read", Some(1), 18_000, 11, 6),
            call("Read", Some(2), 500, 1, 1),
        ];
        let cents = |cents: i128| PicoUsd::from_pico(cents * 10_000_000_000);
        let waste = worst_waste(&reads, PicoUsd::DOLLAR, false).unwrap();
        let cause = Cause::ReadAgain { tokens: 18_000, times: 3 };
        assert_eq!(waste, Waste { cost: cents(84), carry_cost: cents(51), cause });
        // After a compaction, or a change, it had to be read again; that it is large remains.
        let is_large = |waste: Option<Waste>| matches!(waste.unwrap().cause, Cause::LargeResult { .. });
        assert!(is_large(worst_waste(&reads, PicoUsd::DOLLAR, true)));
        let edit = call("Edit", Some(1), 50, 1, 1);
        assert!(is_large(worst_waste(&[&reads[..], &[edit]].concat(), PicoUsd::DOLLAR, false)));
        // Of a bill of a hundred dollars it is not worth a word.
        assert_eq!(worst_waste(&reads, PicoUsd::from_pico(100 * PicoUsd::DOLLAR.as_pico()), false), None);
    }

    #[test]
    fn a_large_result_is_named_only_if_its_carry_is_what_costs() {
        let waste = worst_waste(&[call("Bash", None, 25_000, 10, 110)], PicoUsd::DOLLAR, true).unwrap();
        assert_eq!(waste.cause, Cause::LargeResult { tool: ToolName::new("Bash"), tokens: 25_000 });
        assert_eq!(worst_waste(&[call("Bash", None, 25_000, 110, 10)], PicoUsd::DOLLAR, true), None);
        assert_eq!(worst_waste(&[], PicoUsd::ZERO, false), None);
    }
}
