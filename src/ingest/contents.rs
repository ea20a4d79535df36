//! Reads the content of transcripts that were only imported, several files at once.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::parallel::{self, HandOver, ReadPlan};
use super::source::{LogSource, content_reader, take_names};
use crate::clients::{self, Buffer, LogFile, LogReader};
use crate::domain::{LogDelta, SessionId};
use crate::store::{Ledger, SessionTranscript, StoreError};

/// More readers than that wait for the disk.
const MAX_THREADS: usize = 8;
/// A piece of the file at that place; `None` after the last one.
type ContentPiece = (usize, Option<Box<LogDelta>>);

/// Whether the content of the files is known as far as their responses are.
#[must_use]
pub fn are_read(files: &[SessionTranscript]) -> bool {
    files.iter().all(|file| file.content_offset >= file.offset)
}

/// Reads those of the logs whose content is not known to where they were read, from their starts and several at once. `tell` is
/// told how many are read, of how many.
///
/// # Errors
/// If the ledger cannot be read or written. A log that cannot be read is passed over.
pub fn read<'t>(
    ledger: &mut Ledger,
    keeps_names: bool,
    files: impl IntoIterator<Item = &'t SessionTranscript>,
    mut tell: impl FnMut(usize, usize),
) -> Result<(), StoreError> {
    let unread = files.into_iter().filter(|file| file.content_offset < file.offset);
    // A file of several sessions is read once.
    let unread: BTreeMap<&str, &SessionTranscript> = unread.map(|file| (file.path.as_str(), file)).collect();
    let files: Vec<(&SessionTranscript, Option<UnreadLog>)> =
        unread.into_values().map(|file| (file, UnreadLog::of(file))).collect();
    let content = content_reader(ledger)?;
    let plan = ReadPlan { jobs: files.len(), max_threads: MAX_THREADS, min_threads: 2 };
    let mut done = 0;
    let mut was_known: HashMap<usize, bool> = HashMap::new();
    let store = |(at, delta): ContentPiece| {
        let (file, _) = files[at];
        let Some(mut delta) = delta else {
            ledger.logs_mut().finish_content(file)?;
            done += 1;
            tell(done, files.len());
            return Ok(());
        };
        if !keeps_names {
            take_names(&mut delta);
        }
        let known = ledger.logs_mut().add_content(file, &delta, was_known.get(&at).copied())?;
        was_known.insert(at, known);
        Ok(())
    };
    let read_all =
        |jobs: &mut dyn Iterator<Item = usize>, buffer: &mut Buffer, output: HandOver<'_, ContentPiece>| {
            for at in jobs {
                if let Some(UnreadLog { reader, file }) = &files[at].1
                    && reader.reads_content()
                {
                    let mut source = LogSource::of_content(*reader, file, content);
                    // To the file's end, or as far as it can be read: of a long file not all fits into memory.
                    while let Ok(delta) = source.read(buffer) {
                        let has_more = delta.has_more;
                        output((at, Some(Box::new(delta))))?;
                        if !has_more {
                            break;
                        }
                    }
                }
                output((at, None))?;
            }
            Ok(())
        };
    parallel::run(plan, read_all, store)
}

/// A log whose client is known.
struct UnreadLog {
    reader: &'static dyn LogReader,
    file: LogFile,
}

impl UnreadLog {
    fn of(file: &SessionTranscript) -> Option<Self> {
        let session = SessionId::new(&file.session_id)?;
        let log = LogFile { path: PathBuf::from(&file.path), session, agent: file.agent.clone() };
        Some(Self { reader: clients::reader_of(file.client), file: log })
    }
}
