//! The vocabularies, as `build.rs` laid them out: from the bytes of a token to its rank.
//!
//! Nothing is built or copied at run time. The tables are part of the program's image, so a page of them costs
//! something only when a text first needs it, and a process that counts nothing never reads them.
//!
//! - `singles` holds the ranks of tokens of one byte at their own index.
//! - `pairs` those of two bytes, which are what every merge starts with: a bit for each of the 65,536 says whether it is
//!   a token, and the number of bits before it where its rank stands. With a rank for every pair it would be eight times
//!   as large, and each hook would have to load more of it.
//! - Longer tokens stand on a *shelf* for their length, each as its bytes and three bytes of rank, so that neither
//!   offsets nor padding are stored. A perfect hash says where: the hash chooses a bucket, the bucket's *pilot*
//!   together with the hash chooses the slot, and no two tokens share one. So a lookup reads one byte of the
//!   pilots (they fit the processor's cache) and one entry, whether it finds something or not. A table with open
//!   addressing needs twice the room and several reads for a miss, and merging is mostly misses.

use super::hash;

/// What a lookup gives for bytes that are no token: more than any rank.
pub(super) const NO_RANK: u32 = 0xff_ffff;

/// Bytes in which a rank is stored.
const RANK_BYTES: usize = 3;

/// One vocabulary.
pub(super) struct Table {
    singles: &'static [u8; RANK_BYTES << 8],
    pairs: Pairs,
    pilots: &'static [u8],
    entries: &'static [u8],
    /// By length of token; the first three are empty.
    shelves: &'static [Shelf],
}

/// The tokens of two bytes, in their order.
struct Pairs {
    /// A word of bits for each 64 pairs.
    present: &'static [u8; (1 << 16) / 8],
    /// For each word how many tokens come before it, in two bytes.
    before: &'static [u8; WORDS * 2],
    ranks: &'static [u8],
}

/// Words of 64 pairs.
const WORDS: usize = (1 << 16) / 64;

impl Pairs {
    #[inline(always)]
    fn rank(&self, first: u8, second: u8) -> u32 {
        let pair = usize::from(u16::from_be_bytes([first, second]));
        let at = pair / 64;
        let word = u64::from_le_bytes(std::array::from_fn(|byte| self.present[at * 8 + byte]));
        let bit = 1 << (pair % 64);
        if word & bit == 0 {
            return NO_RANK;
        }
        let before = u16::from_le_bytes([self.before[at * 2], self.before[at * 2 + 1]]);
        let in_word = (word & (bit - 1)).count_ones() as usize;
        rank_at(self.ranks, (usize::from(before) + in_word) * RANK_BYTES)
    }
}

/// Where the tokens of one length are, and the parameters of their perfect hash.
struct Shelf {
    seed: u64,
    pilots_at: usize,
    buckets: u32,
    entries_at: usize,
    slots: u32,
}

include!(concat!(env!("OUT_DIR"), "/vocabularies.rs"));

impl Table {
    /// The rank of the token of two bytes.
    #[inline(always)]
    pub(super) fn pair(&self, first: u8, second: u8) -> u32 {
        self.pairs.rank(first, second)
    }

    /// The rank of a token of any length, or [`NO_RANK`].
    #[inline(always)]
    pub(super) fn rank(&self, token: &[u8]) -> u32 {
        match *token {
            [] => NO_RANK,
            [byte] => rank_at(self.singles, usize::from(byte) * RANK_BYTES),
            [first, second] => self.pair(first, second),
            _ => self.on_shelf(token),
        }
    }

    fn on_shelf(&self, token: &[u8]) -> u32 {
        let Some(shelf) = self.shelves.get(token.len()).filter(|shelf| shelf.slots > 0) else {
            return NO_RANK;
        };
        if token.len() <= hash::MAX_IN_WORDS {
            let words = hash::words(token);
            let entry = self.entry(shelf, token.len(), hash::of_words(words, shelf.seed));
            let (key, rank) = entry.split_at(token.len());
            if hash::words(key) == words { rank_at(rank, 0) } else { NO_RANK }
        } else {
            let entry = self.entry(shelf, token.len(), hash::of_long(token, shelf.seed));
            let (key, rank) = entry.split_at(token.len());
            if key == token { rank_at(rank, 0) } else { NO_RANK }
        }
    }

    /// The only entry of the shelf that can be the token with that hash: its bytes, then its rank.
    #[inline(always)]
    fn entry(&self, shelf: &Shelf, length: usize, hash: u64) -> &'static [u8] {
        let pilot = self.pilots[shelf.pilots_at + hash::bucket(hash, shelf.buckets)];
        let size = length + RANK_BYTES;
        let at = shelf.entries_at + hash::slot(hash, pilot, shelf.slots) * size;
        &self.entries[at..at + size]
    }

    /// Every token and its rank, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Vec<u8>, u32)> {
        let singles = (0..=u8::MAX).map(|byte| vec![byte]);
        let pairs = (0..=u16::MAX).map(|pair| pair.to_be_bytes().to_vec());
        let short = singles.chain(pairs).map(|token| {
            let rank = self.rank(&token);
            (token, rank)
        });
        let long = self.shelves.iter().enumerate().flat_map(|(length, shelf)| {
            let size = length + RANK_BYTES;
            self.entries[shelf.entries_at..][..shelf.slots as usize * size].chunks_exact(size).map(
                move |entry| {
                    let (token, rank) = entry.split_at(length);
                    (token.to_vec(), rank_at(rank, 0))
                },
            )
        });
        short.chain(long).filter(|&(_, rank)| rank != NO_RANK)
    }
}

#[inline(always)]
fn rank_at(ranks: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([ranks[at], ranks[at + 1], ranks[at + 2], 0])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_token_is_found_under_its_rank() {
        for (table, tokens) in [(&CL100K, 100_256), (&O200K, 199_998)] {
            let mut ranks: Vec<u32> = table
                .iter()
                .map(|(token, rank)| {
                    assert_eq!(table.rank(&token), rank);
                    rank
                })
                .collect();
            ranks.sort_unstable();
            assert!(ranks.into_iter().eq(0..tokens));
        }
    }

    #[test]
    fn what_is_no_token_has_no_rank() {
        for table in [&CL100K, &O200K] {
            assert_eq!(table.rank(b""), NO_RANK);
            // Zeroes are also what fills a free slot.
            let uniform: HashSet<_> = table
                .iter()
                .map(|(token, _)| token)
                .filter(|token| token.iter().all(|&byte| byte == token[0]))
                .collect();
            for length in 1..=300 {
                for byte in 0..=u8::MAX {
                    let token = vec![byte; length];
                    assert_eq!(
                        table.rank(&token) != NO_RANK,
                        uniform.contains(&token),
                        "{length} times {byte:#x}"
                    );
                }
            }
        }
    }
}
