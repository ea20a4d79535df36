//! Back-fills the ledger from logs: what hooks did not see, and the history that the client deletes.
//!
//! Files are read by several threads and stored by one, forty thousand responses to a transaction (a few tenths of a
//! second, for which hooks can wait), so that an import that is stopped loses nothing that was stored. It reads what
//! each file has new since the last time, by the same reader and into the same tables as the hook: importing before,
//! after or beside it, twice and in any order comes to the same.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::parallel::{self, HandOver, ReadPlan, Stopped};
use super::source::{ABANDONED, LogSource, is_unchanged, look_at};
use crate::clients::{self, Buffer, LogFile, LogReader, ReadError};
use crate::config::Config;
use crate::domain::{SessionId, Timestamp};
use crate::env::Env;
use crate::reconcile;
use crate::store::{Ledger, LogBatch, StoreError, TranscriptState};

/// How many responses are stored at once; hooks wait meanwhile.
const RESPONSES_AT_ONCE: usize = 24_000;
/// How many files are stored at once at most.
const FILES_AT_ONCE: usize = 1_000;
/// How much a reader hands over at once, in bytes of its files: each time costs the writer's thread a wake.
const BYTES_AT_ONCE: u64 = 4 << 20;
/// How many pieces of files a reader hands over at once at most: of small files, four megabytes are thousands, and what is
/// known of each of them takes kilobytes.
const PIECES_AT_ONCE: usize = 250;
/// More threads do not make one writer faster.
const MAX_THREADS: usize = 4;

/// What an import has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Files that were found.
    pub files: u64,
    /// Files that had nothing new.
    pub files_unchanged: u64,
    /// Files that are no log of any client; nothing of them is stored.
    pub files_refused: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines that were read.
    pub lines: u64,
    /// Responses that were not known before.
    pub responses: u64,
    /// Sessions that the files with something new belong to.
    pub sessions: u64,
    /// Lines that could not be understood.
    pub skipped_lines: u64,
    /// Folders that could not be read: what they hold is not known.
    pub unread_folders: u64,
    /// The files that have such lines, and the files and folders that could not be read, with the reason.
    pub skipped: Vec<Skipped>,
}

/// What was passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Skipped {
    /// The file, or a folder.
    pub file: String,
    /// How many lines; null if it is the whole.
    pub lines: Option<u64>,
    /// Why.
    pub reason: String,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportProgress {
    /// Files that are stored, and all that have something new.
    pub files: (usize, usize),
    /// Bytes of them.
    pub bytes: (u64, u64),
}

/// The folders where the clients keep their logs, whether they are there or not.
#[must_use]
pub fn usual_folders(env: &Env) -> Vec<PathBuf> {
    clients::log_readers().flat_map(|reader| reader.folders(env)).collect()
}

/// How many logs are below `roots`.
#[must_use]
pub fn count_files(roots: &[PathBuf]) -> usize {
    roots.iter().map(|root| find_logs(root).0.len()).sum()
}

/// Reads all logs below `roots` and stores what they have new. `tell` is told how far it is.
///
/// # Errors
/// If the ledger cannot be read or written. A file that cannot be read is passed over and named in the report.
pub fn run(
    ledger: &mut Ledger,
    env: &Env,
    config: &Config,
    roots: &[PathBuf],
    mut tell: impl FnMut(ImportProgress),
) -> Result<ImportReport, StoreError> {
    ledger.expect_much()?;
    clients::expect_much();
    let mut report = ImportReport::default();
    let work = find_work(ledger, roots, &mut report)?;
    let total = (work.len(), work.iter().map(BackfillJob::bytes).sum());
    let mut done = ImportProgress { files: (0, total.0), bytes: (0, total.1) };
    let mut sessions = HashSet::new();
    let mut waiting: Vec<(SessionId, LogBatch)> = Vec::new();
    let mut responses = 0;
    let store = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Read(session, batch) => {
                    report.note(&batch);
                    done.bytes.0 += batch.delta.length();
                    done.files.0 += usize::from(!batch.delta.has_more);
                    responses += batch.delta.responses.len();
                    sessions.extend(batch.delta.facts_by_session(&session).map(|(named, _)| named.clone()));
                    sessions.insert(session.clone());
                    waiting.push((session, *batch));
                }
                Piece::PassedOver(skipped) => {
                    done.files.0 += 1;
                    report.files_refused += u64::from(skipped.is_refused);
                    report.skipped.extend(skipped.what);
                }
            }
            if responses >= RESPONSES_AT_ONCE || waiting.len() >= FILES_AT_ONCE {
                report.responses += ledger.logs_mut().record_logs(waiting.drain(..))?;
                responses = 0;
                tell(done);
            }
        }
        Ok::<(), StoreError>(())
    };
    let plan = ReadPlan { jobs: work.len(), max_threads: MAX_THREADS, min_threads: 1 };
    let read =
        |jobs: &mut dyn Iterator<Item = usize>, buffer: &mut Buffer, output: HandOver<'_, Vec<Piece>>| {
            let mut pieces = PieceBatch::new(output);
            for job in jobs {
                work[job].read(env, config, buffer, &mut pieces)?;
            }
            pieces.send()
        };
    parallel::run(plan, read, store)?;
    report.responses += ledger.logs_mut().record_logs(waiting)?;
    tell(done);
    report.sessions = sessions.len() as u64;
    report.skipped.sort();
    if !sessions.is_empty() {
        let now = env.now();
        let before =
            Timestamp::from_millis(now.as_millis() - i64::try_from(ABANDONED.as_millis()).unwrap_or(0));
        ledger.logs_mut().finish_old_sessions(&sessions, before, now)?;
    }
    Ok(report)
}

impl ImportReport {
    fn note(&mut self, batch: &LogBatch) {
        let delta = &batch.delta;
        self.bytes += delta.length();
        self.lines += delta.lines;
        self.skipped_lines += delta.skipped_lines;
        if delta.skipped_lines > 0 {
            self.skipped.push(Skipped {
                file: batch.path.clone(),
                lines: Some(delta.skipped_lines),
                reason: "not a JSON object".to_owned(),
            });
        }
    }
}

/// A file with something new.
struct BackfillJob {
    reader: &'static dyn LogReader,
    log: LogFile,
    /// Its size and time of change when it was found.
    seen: (u64, Option<Timestamp>),
    /// How far the file was read before; `None` if it is new. Boxed, since most are.
    state: Option<Box<TranscriptState>>,
}

/// What a reader hands to the writer.
enum Piece {
    /// A part of a transcript, or all of it.
    Read(SessionId, Box<LogBatch>),
    /// A file of which nothing is stored.
    PassedOver(PassedOver),
}

/// A file of which nothing is stored.
struct PassedOver {
    /// Whether it is no transcript.
    is_refused: bool,
    /// What the user is told.
    what: Option<Skipped>,
}

impl Piece {
    fn bytes(&self) -> u64 {
        if let Self::Read(_, batch) = self { batch.delta.length() } else { 0 }
    }
}

/// What a reader has not handed over yet.
struct PieceBatch<'o> {
    output: HandOver<'o, Vec<Piece>>,
    pieces: Vec<Piece>,
    bytes: u64,
}

impl<'o> PieceBatch<'o> {
    fn new(output: HandOver<'o, Vec<Piece>>) -> Self {
        Self { output, pieces: Vec::new(), bytes: 0 }
    }

    fn add(&mut self, piece: Piece) -> Result<(), Stopped> {
        self.bytes += piece.bytes();
        self.pieces.push(piece);
        if self.bytes < BYTES_AT_ONCE && self.pieces.len() < PIECES_AT_ONCE {
            return Ok(());
        }
        self.bytes = 0;
        self.send()
    }

    fn send(&mut self) -> Result<(), Stopped> {
        (self.output)(std::mem::take(&mut self.pieces))
    }
}

/// A log, and who reads it.
type FoundLog = (&'static dyn LogReader, LogFile);

/// All logs below a folder, each for the first client in the table that takes it for its own; and the folders that cannot be read.
fn find_logs(root: &Path) -> (Vec<FoundLog>, Vec<ReadError>) {
    let (mut logs, mut unread) = (Vec::new(), BTreeMap::new());
    let mut taken = HashSet::new();
    for reader in clients::log_readers() {
        let found = reader.find(root);
        unread.extend(found.unread.into_iter().map(|fault| (fault.path.clone(), fault)));
        logs.extend(
            found.logs.into_iter().filter(|log| taken.insert(log.path.clone())).map(|log| (reader, log)),
        );
    }
    (logs, unread.into_values().collect())
}

fn find_work(
    ledger: &Ledger,
    roots: &[PathBuf],
    report: &mut ImportReport,
) -> Result<Vec<BackfillJob>, StoreError> {
    let mut jobs = Vec::new();
    for root in roots {
        // Payloads name files by their real paths.
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        let mut states =
            ledger.logs().transcript_states(if root.is_file() { parent(&root) } else { &root })?;
        let (logs, unread) = find_logs(&root);
        report.unread_folders += unread.len() as u64;
        report.skipped.extend(unread.into_iter().map(|fault| Skipped {
            file: fault.path.to_string_lossy().into_owned(),
            lines: None,
            reason: format!("the folder can't be read: {}", fault.source),
        }));
        for (reader, log) in logs {
            report.files += 1;
            let seen = look_at(&log.path);
            let state = states.remove(log.path.to_string_lossy().as_ref());
            if is_unchanged(reader, state.as_ref(), seen) {
                report.files_unchanged += 1;
            } else {
                jobs.push(BackfillJob { reader, log, seen, state: state.map(Box::new) });
            }
        }
    }
    Ok(jobs)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

impl BackfillJob {
    fn bytes(&self) -> u64 {
        self.seen.0.saturating_sub(self.state.as_ref().map_or(0, |state| state.position.offset))
    }

    /// Reads the log to its end, piece by piece.
    fn read(
        &self,
        env: &Env,
        config: &Config,
        buffer: &mut Buffer,
        pieces: &mut PieceBatch<'_>,
    ) -> Result<(), Stopped> {
        // Its content is read when a view first asks where the cost came from.
        let mut source = LogSource::new(self.reader, &self.log, self.state.as_deref(), self.seen, None);
        // What is no log leaves nothing behind, so what is not understood is held back until a line is.
        let mut is_understood = self.state.is_some();
        let mut held = Vec::new();
        let mut session = self.log.session.clone();
        loop {
            let mut delta = match source.read(buffer) {
                Ok(delta) => delta,
                Err(fault) => return pieces.add(unreadable(&fault)),
            };
            // Most responses are several records side by side: joined they take less memory while they wait. The writer
            // joins those that stand apart.
            reconcile::merge_neighbours(&mut delta.responses);
            delta.responses.shrink_to_fit();
            let has_more = delta.has_more;
            let has_lines = delta.position.offset > 0;
            is_understood |= delta.is_understood;
            session = delta.session.clone().unwrap_or(session);
            let batch = source.batch(delta, env, config, false);
            held.push(Piece::Read(session.clone(), Box::new(batch)));
            if is_understood {
                held.drain(..).try_for_each(|piece| pieces.add(piece))?;
            }
            if !has_more && !is_understood {
                return pieces.add(self.refused(has_lines));
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    /// A file in which nothing was understood. One without a whole line is a log that is only beginning; and what the client
    /// lays beside its logs is nothing that anyone meant to import.
    fn refused(&self, has_lines: bool) -> Piece {
        let path = &self.log.path;
        let what = (has_lines && !self.reader.is_beside_logs(path)).then(|| Skipped {
            file: path.to_string_lossy().into_owned(),
            lines: None,
            reason: self.reader.describe_foreign(path).to_owned(),
        });
        Piece::PassedOver(PassedOver { is_refused: what.is_some(), what })
    }
}

fn unreadable(fault: &ReadError) -> Piece {
    let what = Skipped {
        file: fault.path.to_string_lossy().into_owned(),
        lines: None,
        reason: format!("the file can't be read: {}", fault.source),
    };
    Piece::PassedOver(PassedOver { is_refused: false, what: Some(what) })
}
