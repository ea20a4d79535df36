//! Reads the content of transcripts that were only imported, several files at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::Progress;
use crate::agents::claude_code::{self, ReadFrom, Reading};
use crate::domain::SessionId;
use crate::finalize;
use crate::store::{Ledger, SessionTranscript, StoreError};

/// More readers than that wait for the disk.
const MAX_THREADS: usize = 8;
/// Files that are read before what is in them is stored.
const READ_AHEAD: usize = 4;

/// Whether the content of the files is known as far as their responses are.
pub(super) fn are_read(files: &[SessionTranscript]) -> bool {
    files.iter().all(|file| file.content_offset >= file.offset)
}

/// Reads those of the transcripts whose content is not known to where they were read, from their starts and several at once.
pub(super) fn read_contents<'t>(
    ledger: &mut Ledger,
    keeps_names: bool,
    files: impl IntoIterator<Item = &'t SessionTranscript>,
    tell: &mut impl FnMut(Progress),
) -> Result<(), StoreError> {
    let unread = files.into_iter().filter(|file| file.content_offset < file.offset);
    // A file of several sessions is read once.
    let unread: BTreeMap<&str, &SessionTranscript> = unread.map(|file| (file.path.as_str(), file)).collect();
    let files: Vec<&SessionTranscript> = unread.into_values().collect();
    let content = finalize::content_reader(ledger)?;
    let Some(session) = SessionId::new("unknown") else { return Ok(()) };
    let next = AtomicUsize::new(0);
    let threads =
        std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(files.len());
    let read_next = || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let file = files.get(at)?;
        let from = ReadFrom {
            session: session.clone(),
            agent: file.agent.clone(),
            progress: None,
            count: |_| 0,
            content: Some(content),
        };
        Some((at, read_content(Path::new(&file.path), from)))
    };
    let mut done = 0;
    let mut store = |(at, mut readings): (usize, Vec<Reading>)| {
        let changes = readings.iter_mut().flat_map(|reading| &mut reading.task_changes);
        changes.filter(|_| !keeps_names).for_each(|change| change.kind.take_names());
        ledger.replace_content(files[at], &readings)?;
        done += 1;
        tell(Progress::Reading(done, files.len()));
        Ok(())
    };
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<(usize, Vec<Reading>)>(READ_AHEAD);
        for _ in 0..threads {
            let (sender, read_next) = (sender.clone(), &read_next);
            let reads_on = move || while read_next().is_some_and(|read| sender.send(read).is_ok()) {};
            if std::thread::Builder::new().spawn_scoped(scope, reads_on).is_err() {
                // The user may have no more threads: those that there are do it, and this one what is left.
                break;
            }
        }
        drop(sender);
        receiver.into_iter().try_for_each(&mut store)
    })?;
    std::iter::from_fn(read_next).try_for_each(store)
}

/// Reads a file to its end, or as far as it can be read.
fn read_content(path: &Path, mut from: ReadFrom) -> Vec<Reading> {
    let mut readings = Vec::new();
    while let Ok(reading) = claude_code::read(path, &from) {
        let has_more = reading.has_more;
        from.progress = Some(reading.progress.clone());
        readings.push(reading);
        if !has_more {
            break;
        }
    }
    readings
}
