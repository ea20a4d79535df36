//! The hash that places a token in the tables. `build.rs` includes this very file, so that the tables are written
//! and read with the same arithmetic.
//!
//! It needs to be fast and to spread a fixed vocabulary, not to withstand an attacker: nothing is inserted at run
//! time, so no input can make a table worse.

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
const FOLD: u64 = 0xd6e8_feb8_6659_fd93;
const SLOT: u64 = 0xa076_1d64_78bd_642f;

/// Lengths up to this one are hashed and compared as two words.
pub(crate) const MAX_IN_WORDS: usize = 16;

/// The bytes of a token of 3 to [`MAX_IN_WORDS`] bytes as two numbers.
///
/// Among tokens of one length no two give the same numbers: the reads overlap, but they cover every byte.
#[inline(always)]
pub(crate) fn words(bytes: &[u8]) -> (u64, u64) {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32, 0)
            }
            _ => (bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
        },
    }
}

/// The hash of a token given by its [`words`].
#[inline(always)]
pub(crate) fn of_words((first, last): (u64, u64), seed: u64) -> u64 {
    fold(first ^ seed, last ^ FOLD)
}

/// The hash of a token longer than [`MAX_IN_WORDS`].
pub(crate) fn of_long(bytes: &[u8], seed: u64) -> u64 {
    let (chunks, _) = bytes.as_chunks::<8>();
    let hash = chunks.iter().fold(seed, |hash, chunk| fold(hash ^ u64::from_le_bytes(*chunk), FOLD));
    // The last eight bytes again, for those that fill no chunk.
    let tail = bytes.last_chunk::<8>().map_or(0, |last| u64::from_le_bytes(*last));
    fold(hash ^ tail, MIX)
}

/// The bucket of a hash: an index below `buckets`. All tokens of a bucket share one pilot.
#[inline(always)]
pub(crate) fn bucket(hash: u64, buckets: u32) -> usize {
    scale(hash >> 32, buckets)
}

/// The slot of a hash under its bucket's pilot: an index below `slots`.
#[inline(always)]
pub(crate) fn slot(hash: u64, pilot: u8, slots: u32) -> usize {
    scale((hash ^ u64::from(pilot).wrapping_mul(MIX)).wrapping_mul(SLOT) >> 32, slots)
}

/// Maps 32 bits evenly to `0..bound`, without the division that a remainder would take.
#[inline(always)]
fn scale(bits: u64, bound: u32) -> usize {
    ((bits * u64::from(bound)) >> 32) as usize
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}
