//! Whole tokens shared out by size, with nothing lost and nothing added.

use crate::domain::Usage;

/// The classes of a prompt.
pub(super) const CLASSES: usize = 4;
/// The class of cache reads; the others are paid by what is new first.
pub(super) const READ: usize = 3;

/// Tokens by class: input, cache writes for 5 minutes, for 1 hour, cache reads.
pub(super) type Prompt = [u64; CLASSES];

/// The prompt of a response by class.
pub(super) fn prompt(usage: &Usage) -> Prompt {
    [usage.input, usage.cache_write_5m, usage.cache_write_1h, usage.cache_read]
}

/// The prompt as usage.
pub(super) fn usage(prompt: Prompt) -> Usage {
    Usage {
        input: prompt[0],
        cache_write_5m: prompt[1],
        cache_write_1h: prompt[2],
        cache_read: prompt[READ],
        ..Usage::default()
    }
}

/// Allocations `amount` out by size: each part ends at its sum of sizes so far, rounded down, so that the parts add up to the
/// amount. Where all sizes are 0 the first part takes all.
pub(super) fn share(amount: u64, sizes: &[u64]) -> Vec<u64> {
    let total: u64 = sizes.iter().sum();
    let Some(first) = sizes.first() else { return Vec::new() };
    if total == 0 {
        let mut parts = vec![*first; sizes.len()];
        parts[0] = amount;
        return parts;
    }
    let (mut sum, mut end) = (0_u64, 0_u64);
    sizes
        .iter()
        .map(|size| {
            sum += size;
            let start = std::mem::replace(&mut end, portion(amount, sum, total));
            end - start
        })
        .collect()
}

/// `amount × part ÷ whole`, rounded down.
pub(super) fn portion(amount: u64, part: u64, whole: u64) -> u64 {
    match amount.checked_mul(part) {
        Some(product) => product / whole,
        None => u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole)).unwrap_or(u64::MAX),
    }
}

/// What the new entries of a context pay of its prompt, and what the others pay. `new` and `old` are their sizes; all
/// of the prompt is shared.
pub(super) fn split(prompt: Prompt, new: u64, old: u64) -> (Prompt, Prompt) {
    let [input, short, long, read] = prompt;
    if old == 0 {
        return (prompt, [0; CLASSES]);
    }
    if new == 0 {
        return ([0; CLASSES], prompt);
    }
    let fresh = input.saturating_add(short).saturating_add(long);
    if fresh <= new {
        let rest = read.min(new - fresh);
        return ([input, short, long, rest], [0, 0, 0, read - rest]);
    }
    let parts = share(new, &[input, short, long]);
    let own = [parts[0], parts[1], parts[2], 0];
    (own, [input - parts[0], short - parts[1], long - parts[2], read])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        assert_eq!(share(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(share(10, &[0, 0]), [10, 0]);
        assert_eq!(share(0, &[5, 5]), [0, 0]);
        assert_eq!(share(7, &[]), Vec::<u64>::new());
        assert_eq!(share(u64::MAX / 2, &[u64::MAX / 4, u64::MAX / 4]).iter().sum::<u64>(), u64::MAX / 2);
    }

    #[test]
    fn what_is_new_pays_writes_first_and_reads_last() {
        assert_eq!(split([10, 90, 0, 900], 100, 900), ([10, 90, 0, 0], [0, 0, 0, 900]));
        // Less was written than came in: the rest was in the cache already.
        assert_eq!(split([10, 40, 0, 950], 100, 900), ([10, 40, 0, 50], [0, 0, 0, 900]));
        // The cache had expired: what stood there before is written again.
        assert_eq!(split([0, 1_000, 0, 0], 100, 900), ([0, 100, 0, 0], [0, 900, 0, 0]));
        assert_eq!(split([5, 5, 5, 5], 0, 20), ([0; 4], [5, 5, 5, 5]));
    }
}
