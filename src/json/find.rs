//! Looks for bytes without asking what the processor can do.
//!
//! `memchr` finds a byte twice as fast in a long text, by instructions that it must ask for first: ten `cpuid`s, each of
//! which a virtual machine hands to its host. That takes 0.19 ms (19 µs for one, measured where a hook takes 1 ms as a
//! whole), and each hook is a process of its own. So the hot path stays with what every x86-64 and arm64 has.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, u8x16};

/// Bytes that are compared at once.
pub(super) const LANES: usize = 16;

/// The index of the first `byte` from `from` on.
#[must_use]
pub fn byte(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    first(bytes, from, |found| found == byte, |block| places(block, byte))
}

/// The index of the first `wanted` byte from `from` on, sooner than [`byte`] finds it if it is among the next [`LANES`]
/// bytes.
#[inline(always)]
pub(super) fn byte_nearby(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    let near = bytes.get(from..)?.first_chunk::<LANES>();
    let places = near.map_or(0, |near| places(near, wanted));
    if places == 0 { byte(bytes, from, wanted) } else { Some(from + places.trailing_zeros() as usize) }
}

/// The index of the first of two bytes from `from` on.
#[must_use]
pub fn either(bytes: &[u8], from: usize, one: u8, other: u8) -> Option<usize> {
    first(
        bytes,
        from,
        |found| found == one || found == other,
        |block| places(block, one) | places(block, other),
    )
}

/// Whether `byte` is among `bytes`.
#[must_use]
pub fn has(bytes: &[u8], byte: u8) -> bool {
    let Some(last) = bytes.last_chunk::<LANES>() else { return has_in_few(bytes, byte) };
    let is_in = |block: &[u8; LANES]| places(block, byte) != 0;
    // The last block overlaps the one before, so that no byte is looked at by itself.
    bytes.as_chunks::<LANES>().0.iter().any(is_in) || is_in(last)
}

/// Whether `byte` is among `bytes` where these are fewer than a block: by two words that overlap.
#[inline(always)]
fn has_in_few(bytes: &[u8], byte: u8) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is_in = |word: u64| {
        // The wanted byte is 0 now. Without one, no byte gets its highest bit by a subtraction of 1 that had none.
        let word = word ^ (ONES * u64::from(byte));
        word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
    };
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return is_in(u64::from_ne_bytes(*first)) || is_in(u64::from_ne_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let halves = [*first, *last].map(|half| u64::from(u32::from_ne_bytes(half)));
        return is_in(halves[0] << 32 | halves[1]);
    }
    bytes.contains(&byte)
}

/// Where `byte` stands in a block: bit 0 is its first byte.
#[inline(always)]
pub(super) fn places(block: &[u8; LANES], byte: u8) -> u64 {
    dispatch!(Level::baseline(), simd => u8x16::simd_from(simd, *block).simd_eq(byte).to_bitmask())
}

#[inline(always)]
fn first(
    bytes: &[u8],
    from: usize,
    is_wanted: impl Fn(u8) -> bool,
    wanted: impl Fn(&[u8; LANES]) -> u64,
) -> Option<usize> {
    let (blocks, rest) = bytes.get(from..)?.as_chunks::<LANES>();
    for (at, block) in blocks.iter().enumerate() {
        let places = wanted(block);
        if places != 0 {
            return Some(from + at * LANES + places.trailing_zeros() as usize);
        }
    }
    let searched = from + blocks.len() * LANES;
    rest.iter().position(|byte| is_wanted(*byte)).map(|found| searched + found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_found(bytes in prop::collection::vec(0..4_u8, 0..200), from in 0..210_usize) {
            let expected = |wanted: &[u8]| {
                bytes.iter().enumerate().position(|(at, byte)| at >= from && wanted.contains(byte))
            };
            prop_assert_eq!(byte(&bytes, from, 3), expected(&[3]));
            prop_assert_eq!(either(&bytes, from, 3, 2), expected(&[3, 2]));
            prop_assert_eq!(has(&bytes, 3), bytes.contains(&3));
        }

        #[test]
        fn one_among_few_is_found(bytes in prop::collection::vec(any::<u8>(), 0..20), near in -1_i8..=1) {
            // Bytes that differ from one that is there in their lowest or highest bits too.
            for byte in bytes.iter().flat_map(|byte| [byte.wrapping_add_signed(near), byte ^ 0x80]) {
                prop_assert_eq!(has(&bytes, byte), bytes.contains(&byte));
            }
        }
    }
}
