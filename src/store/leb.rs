//! Numbers as LEB128: seven bits a byte, the lowest first, and a high bit on all bytes but the last.

use std::borrow::Cow;

/// Appends a number.
pub(super) fn put(body: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        body.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most seven bits are left")]
    body.push(number as u8);
}

/// Takes a number from the front; `None` if none is there. Most are of one byte.
#[inline]
pub(super) fn take(rest: &mut &[u8]) -> Option<u64> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    if *first < 0x80 { Some(u64::from(*first)) } else { take_more(*first, rest) }
}

fn take_more(first: u8, rest: &mut &[u8]) -> Option<u64> {
    let mut number = u64::from(first & 0x7f);
    let mut last = first;
    let mut shift = 7;
    while last & 0x80 != 0 {
        // A value that is none of ours.
        if shift > 63 {
            return None;
        }
        let (next, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(next & 0x7f) << shift;
        last = *next;
        shift += 7;
    }
    Some(number)
}

/// Appends a text with its length before it.
pub(super) fn put_text(body: &mut Vec<u8>, text: &str) {
    put(body, text.len() as u64);
    body.extend_from_slice(text.as_bytes());
}

/// Takes such a text; what is no UTF-8 in it is replaced.
pub(super) fn take_text<'b>(rest: &mut &'b [u8]) -> Option<Cow<'b, str>> {
    let length = usize::try_from(take(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(String::from_utf8_lossy(text))
}
