//! Reads the content of transcripts that were only imported, several files at once.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use super::Progress;
use crate::clients::claude_code::{self, ReadFrom, Reading};
use crate::domain::SessionId;
use crate::ingest;
use crate::store::{Ledger, SessionTranscript, StoreError};

/// More readers than that wait for the disk.
const MAX_THREADS: usize = 8;
/// Readings that wait to be stored.
const READ_AHEAD: usize = 2;

/// A reading of the file at that place; `None` after the last one.
type Part = (usize, Option<Box<Reading>>);

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
    let content = ingest::content_reader(ledger)?;
    let Some(session) = SessionId::new("unknown") else { return Ok(()) };
    let next = AtomicUsize::new(0);
    let threads =
        std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(files.len());
    // Hands over the readings of the next file, one after the other: of a long file all of them do not fit into memory. `None`
    // once there are no more files, or nobody takes them.
    let read_next = |hand_over: &mut dyn FnMut(Part) -> Option<()>| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let file = files.get(at)?;
        let mut from = ReadFrom {
            session: session.clone(),
            agent: file.agent.clone(),
            progress: None,
            count: |_| 0,
            content: Some(content),
        };
        // To the file's end, or as far as it can be read.
        while let Ok(reading) = claude_code::read(Path::new(&file.path), &from) {
            let has_more = reading.has_more;
            from.progress = Some(reading.progress.clone());
            hand_over((at, Some(Box::new(reading))))?;
            if !has_more {
                break;
            }
        }
        hand_over((at, None))
    };
    let mut done = 0;
    let mut was_known: HashMap<usize, bool> = HashMap::new();
    let mut store = |(at, reading): Part| {
        let Some(mut reading) = reading else {
            ledger.finish_content(files[at])?;
            done += 1;
            tell(Progress::Reading(done, files.len()));
            return Ok(());
        };
        reading.task_changes.iter_mut().filter(|_| !keeps_names).for_each(|change| change.kind.take_names());
        let known = ledger.add_content(files[at], &reading, was_known.get(&at).copied())?;
        was_known.insert(at, known);
        Ok(())
    };
    // One file is read by this thread alone, whose memory then serves what comes next.
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Part>(READ_AHEAD);
        for _ in 0..(if threads > 1 { threads } else { 0 }) {
            let (sender, read_next) = (sender.clone(), &read_next);
            let reads_on = move || while read_next(&mut |part| sender.send(part).ok()).is_some() {};
            if std::thread::Builder::new().spawn_scoped(scope, reads_on).is_err() {
                // The user may have no more threads: those that there are do it, and this one what is left.
                break;
            }
        }
        drop(sender);
        receiver.into_iter().try_for_each(&mut store)
    })?;
    let mut fault = None;
    while read_next(&mut |part| store(part).map_err(|error| fault = Some(error)).ok()).is_some() {}
    fault.map_or(Ok(()), Err)
}
