//! A place in the changes of a ledger, as a short text that whoever keeps a copy of the ledger remembers.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::store::{ChangeNumber, LedgerId};

/// Where to go on. As text it is opaque: `1.LEDGER.NUMBER`, the first part being the version of the form, the others in
/// hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub(super) ledger: LedgerId,
    /// The last change that was handed over with all before it.
    pub(super) number: ChangeNumber,
}

/// Why a cursor leads nowhere. Whoever has it begins anew, without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is no text of a cursor, or that of a newer release.
    #[error(
        "this cursor isn't valid in this release; leave out --since-cursor and use --changes to get everything again"
    )]
    Malformed,
    /// It is of another ledger, or of this one before it was recovered.
    #[error(
        "this cursor belongs to another ledger; use --changes without a cursor to get everything in this one"
    )]
    OtherLedger,
    /// It is of a later state of this ledger, which was put back from a backup.
    #[error(
        "this cursor is newer than the ledger, which was probably restored from a backup; use --changes without a cursor to get everything again"
    )]
    Ahead,
}

/// The version of the text.
const VERSION: &str = "1";

impl Cursor {
    /// Reads the text of one.
    ///
    /// # Errors
    /// [`CursorError::Malformed`] if it is none.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.trim().split('.');
        let (Some(VERSION), Some(ledger), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CursorError::Malformed);
        };
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if ledger.len() != 32 || !is_hex(ledger) || !is_hex(number) {
            return Err(CursorError::Malformed);
        }
        let ledger = u128::from_str_radix(ledger, 16).map_err(|_| CursorError::Malformed)?;
        let number = u64::from_str_radix(number, 16).map_err(|_| CursorError::Malformed)?;
        Ok(Self { ledger: LedgerId::from_bits(ledger), number: ChangeNumber::new(number) })
    }

    /// The ledger that it is of.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.ledger
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{:032x}.{:x}", self.ledger.to_bits(), self.number.get())
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_as_it_was_written(ledger: u128, number in 0_u64..1 << 53) {
            let cursor = Cursor { ledger: LedgerId::from_bits(ledger), number: ChangeNumber::new(number) };
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }

        #[test]
        fn any_other_text_is_refused(text in "[0-9a-f.+ ]{0,50}") {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
            }
        }
    }

    #[test]
    fn texts_of_other_forms_are_refused() {
        let ledger = "0123456789abcdef0123456789abcdef";
        for text in
            ["", "1", "1..", &format!("2.{ledger}.1"), &format!("1.{ledger}.1.2"), &format!("1.{ledger}.+1")]
        {
            assert_eq!(Cursor::parse(text), Err(CursorError::Malformed), "{text:?}");
        }
        assert!(Cursor::parse(&format!("1.{ledger}.1f\n")).is_ok());
    }
}
