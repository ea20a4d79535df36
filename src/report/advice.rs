//! One line of advice, where the figures leave no doubt. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::allocation::CallCost;
use crate::domain::{AgentId, PicoUsd};

/// Less is not worth a word: 5 cents.
const LEAST: PicoUsd = PicoUsd::from_pico(50_000_000_000);
/// Less than that share of what the session has cost, in percent, is not worth a word either.
const LEAST_PERCENT: i128 = 5;
/// A result is large from so many tokens on.
const LARGE: u64 = 10_000;

/// Something that could have been cheaper.
struct Waste {
    cost: PicoUsd,
    text: String,
}

/// The most expensive thing that could have been cheaper: a file that was read again while it stood in the context, or
/// a large result that was carried through the session. `total` is what the session has cost; after a compaction a file
/// is read again for a reason.
#[must_use]
pub fn advice(calls: &[CallCost], total: PicoUsd, was_compacted: bool) -> Option<String> {
    let again = if was_compacted { Vec::new() } else { read_again(calls) };
    let found = again.into_iter().chain(large(calls));
    let worst = found.max_by_key(|waste| waste.cost)?;
    let is_worth = worst.cost >= LEAST && worst.cost.as_pico() * 100 >= total.as_pico() * LEAST_PERCENT;
    is_worth.then_some(worst.text)
}

/// `reading the same 18k-token file 3 times cost $0.84, 60% of it from re-reads`.
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
            let (cost, carry) = sum(&reads);
            let largest = reads.iter().map(|read| read.entry_tokens).max().unwrap_or(0);
            let text = format!(
                "reading the same {}-token file {} times cost {cost}, {}% of it from re-reads",
                short(largest),
                reads.len(),
                percent(carry, cost)
            );
            Waste { cost, text }
        })
        .collect()
}

/// `one Bash result of 25k tokens cost $1.20: 93% of it carry; a shorter one would be re-read for less`.
fn large(calls: &[CallCost]) -> Option<Waste> {
    let call = calls.iter().filter(|call| call.entry_tokens >= LARGE).max_by_key(|call| call.carry_cost)?;
    let (cost, carry) = sum(&[call]);
    let text = format!(
        "one {} result of {} tokens cost {cost}, {}% of it because later responses read it again",
        call.tool.as_str(),
        short(call.entry_tokens),
        percent(carry, cost)
    );
    (carry.as_pico() * 2 > cost.as_pico()).then_some(Waste { cost, text })
}

/// What calls have cost, and how much of it was paid after they came in.
fn sum(calls: &[&CallCost]) -> (PicoUsd, PicoUsd) {
    let carry: PicoUsd = calls.iter().map(|call| call.carry_cost).sum();
    let entry: PicoUsd = calls.iter().map(|call| call.entry_cost).sum();
    (entry + carry, carry)
}

fn percent(part: PicoUsd, whole: PicoUsd) -> i128 {
    if whole.as_pico() > 0 { part.as_pico() * 100 / whole.as_pico() } else { 0 }
}

fn short(tokens: u64) -> String {
    if tokens < 1_000 { tokens.to_string() } else { format!("{}k", (tokens + 500) / 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ToolName;

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
        let said = advice(&reads, PicoUsd::DOLLAR, false).unwrap();
        assert_eq!(said, "reading the same 18k-token file 3 times cost $0.84, 60% of it from re-reads");
        // After a compaction, or a change, it had to be read again; that it is large remains.
        assert!(advice(&reads, PicoUsd::DOLLAR, true).unwrap().starts_with("one Read result"));
        let edit = call("Edit", Some(1), 50, 1, 1);
        let said = advice(&[&reads[..], &[edit]].concat(), PicoUsd::DOLLAR, false).unwrap();
        assert!(said.starts_with("one Read result"), "{said}");
        // Of a bill of a hundred dollars it is not worth a word.
        assert_eq!(advice(&reads, PicoUsd::from_pico(100 * PicoUsd::DOLLAR.as_pico()), false), None);
    }

    #[test]
    fn a_large_result_is_named_only_if_its_carry_is_what_costs() {
        let said = advice(&[call("Bash", None, 25_000, 10, 110)], PicoUsd::DOLLAR, true).unwrap();
        assert!(
            said.starts_with(
                "one Bash result of 25k tokens cost $1.20, 91% of it because later responses read it again"
            ),
            "{said}"
        );
        assert_eq!(advice(&[call("Bash", None, 25_000, 110, 10)], PicoUsd::DOLLAR, true), None);
        assert_eq!(advice(&[], PicoUsd::ZERO, false), None);
    }
}
