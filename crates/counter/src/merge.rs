//! Tiktoken's byte pair merge: cuts one piece of a text into tokens.
//!
//! A piece starts as single bytes. Of all neighbours that together are a token, those with the lowest rank are
//! joined, the leftmost first, until no two neighbours are a token. Two ways to find the lowest: a scan over a small
//! array, and for long pieces a queue, because the scans add up to the square of the length.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::table::{NO_RANK, Table};

/// Longest piece that is merged by scanning, in bytes. Its positions must fit a byte.
const MAX_SCANNED: usize = 128;

/// Calls `token` with the start and the end of each token of `piece`, in order.
///
/// A piece that is itself a token is not looked up here: callers have done so.
#[inline(always)]
pub(super) fn merge(table: &Table, piece: &[u8], token: impl FnMut(usize, usize)) {
    match piece.len() {
        // The shorter array is there for speed: it is cleared and scanned for most pieces.
        0..=16 => scan::<16>(table, piece, token),
        17..=MAX_SCANNED => scan::<MAX_SCANNED>(table, piece, token),
        _ => queue(table, piece, token),
    }
}

/// A pair's place in the order of merges: its rank, then where it starts.
#[inline(always)]
fn key(rank: u32, start: u8) -> u32 {
    rank << 8 | u32::from(start)
}

/// At least this great is the key of two neighbours that are no token, and of a byte that starts no part any more.
const NO_KEY: u32 = NO_RANK << 8;

fn scan<const N: usize>(table: &Table, piece: &[u8], mut token: impl FnMut(usize, usize)) {
    // Parts are known by the byte they start at: `next` and `prev` link those that are left, and the key of a part
    // is that of the pair it makes with the next one. Keys of joined parts stay behind as `NO_KEY`, so the minimum
    // is taken over the whole array, which compiles to a few vector instructions.
    let length = piece.len();
    let mut keys = [u32::MAX; N];
    let mut next = [0_u8; N];
    let mut prev = [0_u8; N];
    for (start, pair) in (0..).zip(piece.windows(2)) {
        let at = usize::from(start);
        keys[at] = key(table.pair(pair[0], pair[1]), start);
        next[at] = start + 1;
        prev[at + 1] = start;
    }
    let Ok(end_of_piece) = u8::try_from(length) else { return };
    if let Some(last) = length.checked_sub(1) {
        next[last] = end_of_piece;
    }

    let scanned = length.next_multiple_of(16).min(N);
    loop {
        let lowest = keys[..scanned].iter().fold(u32::MAX, |lowest, &key| lowest.min(key));
        if lowest >= NO_KEY {
            break;
        }
        let [start, ..] = lowest.to_le_bytes();
        let left = usize::from(start);
        let right = usize::from(next[left]);
        let end = next[right];
        next[left] = end;
        keys[right] = u32::MAX;
        keys[left] = match next.get(usize::from(end)) {
            Some(&after) if end < end_of_piece => {
                prev[usize::from(end)] = start;
                key(table.rank(&piece[left..usize::from(after)]), start)
            }
            _ => u32::MAX,
        };
        if left > 0 {
            let before = prev[left];
            keys[usize::from(before)] =
                key(table.rank(&piece[usize::from(before)..usize::from(end)]), before);
        }
    }

    let mut start = 0;
    while start < length {
        let end = usize::from(next[start]);
        token(start, end);
        start = end;
    }
}

/// A part of a long piece, known by the byte it starts at.
#[derive(Clone, Copy)]
struct Part {
    prev: u32,
    /// Where the next part starts.
    next: u32,
    /// The rank of this part and the next one as one token. An entry of the queue with another rank is out of date.
    rank: u32,
}

fn queue(table: &Table, piece: &[u8], mut token: impl FnMut(usize, usize)) {
    // Positions are `u32`. Nothing longer gets here: `count` cuts such pieces, and `encode` is for comparisons.
    let Ok(length) = u32::try_from(piece.len()) else { return };
    let mut parts: Vec<Part> = (0..length)
        .map(|start| Part { prev: start.wrapping_sub(1), next: start + 1, rank: NO_RANK })
        .collect();
    // A pair in the order of merges: its rank, then where it starts.
    let entry = |rank: u32, start: u32| u64::from(rank) << 32 | u64::from(start);
    let mut pairs = Vec::with_capacity(piece.len());
    for ((start, pair), part) in (0..).zip(piece.windows(2)).zip(&mut parts) {
        part.rank = table.pair(pair[0], pair[1]);
        if part.rank != NO_RANK {
            pairs.push(entry(part.rank, start));
        }
    }
    // Most pairs are known at the start. Sorted once they are read in a row, which suits the processor's cache
    // better than a heap of all of them: the heap has only what merging adds.
    pairs.sort_unstable();
    let mut pairs = pairs.into_iter().peekable();
    let mut added = BinaryHeap::new();

    loop {
        let lowest = match (pairs.peek(), added.peek()) {
            (Some(pair), Some(Reverse(other))) if other < pair => added.pop().map(|Reverse(pair)| pair),
            (Some(_), _) => pairs.next(),
            (None, _) => added.pop().map(|Reverse(pair)| pair),
        };
        let Some(lowest) = lowest else { break };
        let (rank, start) = ((lowest >> 32) as u32, lowest as u32);
        let left = start as usize;
        if parts[left].rank != rank {
            continue;
        }
        let right = parts[left].next as usize;
        let end = parts[right].next;
        parts[right].rank = NO_RANK;
        parts[left].next = end;

        let mut rank = NO_RANK;
        if let Some(following) = parts.get_mut(end as usize) {
            following.prev = start;
            rank = table.rank(&piece[left..following.next as usize]);
        }
        parts[left].rank = rank;
        if rank != NO_RANK {
            added.push(Reverse(entry(rank, start)));
        }
        if start > 0 {
            let before = parts[left].prev;
            let rank = table.rank(&piece[before as usize..end as usize]);
            parts[before as usize].rank = rank;
            if rank != NO_RANK {
                added.push(Reverse(entry(rank, before)));
            }
        }
    }

    let mut start = 0;
    while let Some(part) = parts.get(start) {
        let end = part.next as usize;
        token(start, end);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{CL100K, O200K};
    use super::*;

    /// The rule at the head of this file, word for word.
    fn by_definition(table: &Table, piece: &[u8]) -> Vec<usize> {
        let mut starts: Vec<usize> = (0..=piece.len()).collect();
        loop {
            let lowest = (0..starts.len().saturating_sub(2))
                .map(|i| (table.rank(&piece[starts[i]..starts[i + 2]]), i))
                .min()
                .filter(|&(rank, _)| rank != NO_RANK);
            let Some((_, i)) = lowest else { return starts };
            starts.remove(i + 1);
        }
    }

    fn boundaries(merge: impl FnOnce(&mut dyn FnMut(usize, usize))) -> Vec<usize> {
        let mut starts = vec![0];
        merge(&mut |start, end| {
            assert_eq!(starts.last(), Some(&start));
            starts.push(end);
        });
        starts
    }

    #[test]
    fn all_ways_cut_a_piece_alike() {
        let texts = [
            "",
            "a",
            "ab",
            "tokenization",
            "antidisestablishmentarianism",
            "kjhsdfkjhqwekjhzxcbvnmzxbcvqwoeiruyqwoeiruyalskjdfhalksjdfhzmxncbvqpwoeiruty",
            "あいうえおかきくけこさしすせそたちつてとなにぬねの",
            "=-=-=-=-==--==--===---",
        ];
        for table in [&CL100K, &O200K] {
            for text in texts {
                for piece in (0..=text.len()).map(|end| &text.as_bytes()[..end]) {
                    let expected = by_definition(table, piece);
                    assert_eq!(boundaries(|token| scan::<128>(table, piece, token)), expected, "{text}");
                    assert_eq!(boundaries(|token| queue(table, piece, token)), expected, "{text}");
                    if piece.len() <= 16 {
                        assert_eq!(boundaries(|token| scan::<16>(table, piece, token)), expected, "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_bound_between_the_ways_is_invisible() {
        for table in [&CL100K, &O200K] {
            for letters in ["a", "ab", "qz", "é", "the", "\u{1f600}"] {
                for length in MAX_SCANNED - 4..MAX_SCANNED + 4 {
                    let piece = &letters.repeat(length).into_bytes()[..length];
                    let merged = boundaries(|token| merge(table, piece, token));
                    assert_eq!(merged, by_definition(table, piece), "{length} bytes of {letters}");
                }
            }
        }
    }
}
