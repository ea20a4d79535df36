//! A ledger that a view has open: it brings in what is new if the ledger can be written, and else answers without it.
//!
//! Whoever writes shuts no reader out (the ledger keeps a WAL), so a view that waited would wait for what it can do without.
//! It waits for a moment once; then it writes no more, and says what it has left out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Ledger, StoreError};

/// How long a view waits for other writers, once. A hook's write takes some milliseconds.
pub(super) const MOMENT: Duration = Duration::from_millis(250);

/// What a view's figures do not hold, for another process has the ledger. Clones are of one view.
#[derive(Debug, Clone, Default)]
pub struct LeftOut(Arc<Mutex<BTreeSet<LeftOutPart>>>);

/// A part of a view's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOutPart {
    /// So many events of the spool.
    Events(usize),
    /// New lines of transcripts.
    Transcripts,
    /// Prices that have changed.
    Prices,
    /// The content of transcripts that were only imported, which says where costs came from.
    Allocations,
}

impl LeftOut {
    /// What is left out, each part once.
    #[must_use]
    pub fn parts(&self) -> Vec<LeftOutPart> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn add(&self, part: LeftOutPart) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(part);
    }
}

/// What a view remembers.
#[derive(Debug, Default)]
pub(super) struct ViewState {
    /// Whether another process was found to hold the ledger.
    pub(super) is_held: bool,
    left_out: LeftOut,
}

impl Ledger {
    /// What the figures of a view do not hold; grows as it asks.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.view.as_ref().map(|view| view.left_out.clone()).unwrap_or_default()
    }

    /// Lets all questions from now on be answered as of this moment. It must not be written after that.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn as_of_now(&self) -> Result<(), StoreError> {
        // Each statement by itself asks for locks, looks whether the log has grown and may lose the pages that it has read.
        self.conn.execute_batch("BEGIN").map_err(StoreError::query("read the ledger"))
    }

    /// The result of a write, or `None` if a view goes on without it. What that leaves out is noted.
    ///
    /// # Errors
    /// If it failed for another reason than a process that holds the ledger, or this is no view.
    pub fn without_if_held<T>(&self, written: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        let Some(view) = &self.view else { return written.map(Some) };
        match written {
            Err(StoreError::Query { what, source }) if super::wal::is_busy(&source) => {
                let part = match what {
                    super::event::STORE_WAITING => {
                        let waiting = self.spool.as_ref().map_or(0, |spool| spool.state().waiting);
                        (waiting > 0).then_some(LeftOutPart::Events(waiting))
                    }
                    super::log::RECORD_TRANSCRIPTS => Some(LeftOutPart::Transcripts),
                    super::bucket_writer::PRICE => Some(LeftOutPart::Prices),
                    super::contexts::RECORD => Some(LeftOutPart::Allocations),
                    // That a turn has ended changes no figure.
                    _ => None,
                };
                if let Some(part) = part {
                    view.left_out.add(part);
                }
                Ok(None)
            }
            written => written.map(Some),
        }
    }
}
