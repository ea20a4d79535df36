//! Back-fills the ledger from logs: what hooks did not see, and the history that the client deletes.
//!
//! Files are read by several threads and stored by one, forty thousand responses to a transaction (a few tenths of a
//! second, for which hooks can wait), so that an import that is stopped loses nothing that was stored. It reads what
//! each file has new since the last time, by the same reader and into the same tables as the hook: importing before,
//! after or beside it, twice and in any order comes to the same.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use serde::Serialize;

use crate::clients::claude_code::{self, FoundFile, ReadFrom};
use crate::clients::{self, Buffer, ReadError};
use crate::config::Config;
use crate::domain::{Client, SessionId, Timestamp};
use crate::env::Env;
use crate::estimate;
pub use crate::ingest::usual_folders;
use crate::ingest::{self, ABANDONED};
use crate::reconcile;
use crate::store::{Ledger, LogBatch, StoreError, TranscriptState};

/// How many responses are stored at once; hooks wait meanwhile.
const RESPONSES_AT_ONCE: usize = 40_000;
/// How many files are stored at once at most.
const FILES_AT_ONCE: usize = 1_000;
/// How much a reader hands over at once, in bytes of its files: each time costs the writer's thread a wake.
const BYTES_AT_ONCE: u64 = 4 << 20;
/// More threads do not make one writer faster.
const MAX_THREADS: usize = 4;

/// What an import has done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Files that were found.
    pub files: u64,
    /// Files that had nothing new.
    pub files_unchanged: u64,
    /// Files that are no transcripts of Claude Code; nothing of them is stored.
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

/// How many transcripts are below `roots`.
#[must_use]
pub fn count_files(roots: &[PathBuf]) -> usize {
    roots.iter().map(|root| claude_code::find_files(root).0.len()).sum()
}

/// Reads all transcripts below `roots` and stores what they have new. `tell` is told how far it is.
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
    let tasks = find_work(ledger, roots, &mut report)?;
    let total = (tasks.len(), tasks.iter().map(Task::bytes).sum());
    let mut done = ImportProgress { files: (0, total.0), bytes: (0, total.1) };
    let mut sessions = HashSet::new();
    let next = AtomicUsize::new(0);
    let next_task = || tasks.get(next.fetch_add(1, Ordering::Relaxed));
    let mut waiting: Vec<(SessionId, LogBatch)> = Vec::new();
    let mut responses = 0;
    let mut store = |pieces: Vec<Piece>| {
        for piece in pieces {
            match piece {
                Piece::Read(session, batch) => {
                    report.note(&batch);
                    done.bytes.0 += batch.bytes();
                    done.files.0 += usize::from(!batch.reading.has_more);
                    responses += batch.reading.messages.len();
                    sessions.insert(session.clone());
                    sessions.extend(batch.reading.facts_of_others.iter().map(|(named, _)| named.clone()));
                    waiting.push((session, *batch));
                }
                Piece::PassedOver(skipped) => {
                    done.files.0 += 1;
                    report.files_refused += u64::from(skipped.is_refused);
                    report.skipped.extend(skipped.what);
                }
            }
            if responses >= RESPONSES_AT_ONCE || waiting.len() >= FILES_AT_ONCE {
                report.responses += ledger.record_logs(Client::ClaudeCode, waiting.drain(..))?;
                responses = 0;
                tell(done);
            }
        }
        Ok::<(), StoreError>(())
    };
    let threads =
        std::thread::available_parallelism().map_or(1, usize::from).clamp(1, MAX_THREADS).min(tasks.len());
    std::thread::scope(|scope| {
        // Readers wait for the writer, so that what was read does not pile up.
        let (sender, receiver) = sync_channel::<Vec<Piece>>(2);
        for _ in 0..threads {
            let (sender, next_task) = (sender.clone(), &next_task);
            let reads = move || {
                let (mut buffer, mut send) =
                    (Buffer::default(), |pieces| sender.send(pieces).map_err(|_| ()));
                let mut parcel = PieceBatch::new(&mut send);
                while let Some(task) = next_task() {
                    if task.read(env, config, &mut buffer, &mut parcel).is_err() {
                        break;
                    }
                }
                // An error says that the writer has given up.
                parcel.send().unwrap_or_default();
            };
            if std::thread::Builder::new().spawn_scoped(scope, reads).is_err() {
                // The user may have no more threads: those that there are do it, and this one what is left.
                break;
            }
        }
        drop(sender);
        receiver.into_iter().try_for_each(&mut store)
    })?;
    let (mut buffer, mut fault) = (Buffer::default(), None);
    let mut send = |pieces| store(pieces).map_err(|error| fault = Some(error));
    let mut parcel = PieceBatch::new(&mut send);
    // An error is the writer's own.
    let is_read = std::iter::from_fn(next_task)
        .try_for_each(|task| task.read(env, config, &mut buffer, &mut parcel))
        .and_then(|()| parcel.send());
    if let (Err(()), Some(fault)) = (is_read, fault) {
        return Err(fault);
    }
    report.responses += ledger.record_logs(Client::ClaudeCode, waiting)?;
    tell(done);
    report.sessions = sessions.len() as u64;
    report.skipped.sort();
    if !sessions.is_empty() {
        let now = env.now();
        let before =
            Timestamp::from_millis(now.as_millis() - i64::try_from(ABANDONED.as_millis()).unwrap_or(0));
        ledger.finish_old_sessions(&sessions, before, now)?;
    }
    Ok(report)
}

impl ImportReport {
    fn note(&mut self, batch: &LogBatch) {
        let reading = &batch.reading;
        self.bytes += batch.bytes();
        self.lines += reading.lines;
        self.skipped_lines += reading.skipped_lines;
        if reading.skipped_lines > 0 {
            self.skipped.push(Skipped {
                file: batch.path.clone(),
                lines: Some(reading.skipped_lines),
                reason: "not a JSON object".to_owned(),
            });
        }
    }
}

/// A file with something new.
struct Task {
    file: FoundFile,
    size: u64,
    modified_at: Option<Timestamp>,
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
        if let Self::Read(_, batch) = self { batch.bytes() } else { 0 }
    }
}

/// What a reader has not handed over yet.
struct PieceBatch<'s> {
    /// Hands over; an error says that nobody listens any more.
    hand_over: &'s mut dyn FnMut(Vec<Piece>) -> Result<(), ()>,
    pieces: Vec<Piece>,
    bytes: u64,
}

impl<'s> PieceBatch<'s> {
    fn new(hand_over: &'s mut dyn FnMut(Vec<Piece>) -> Result<(), ()>) -> Self {
        Self { hand_over, pieces: Vec::new(), bytes: 0 }
    }

    /// An error says that nobody listens any more.
    fn add(&mut self, piece: Piece) -> Result<(), ()> {
        self.bytes += piece.bytes();
        self.pieces.push(piece);
        if self.bytes < BYTES_AT_ONCE {
            return Ok(());
        }
        self.bytes = 0;
        self.send()
    }

    fn send(&mut self) -> Result<(), ()> {
        (self.hand_over)(std::mem::take(&mut self.pieces))
    }
}

fn find_work(ledger: &Ledger, roots: &[PathBuf], report: &mut ImportReport) -> Result<Vec<Task>, StoreError> {
    let mut tasks = Vec::new();
    for root in roots {
        // Payloads name files by their real paths.
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        let mut states = ledger.transcript_states(if root.is_file() { parent(&root) } else { &root })?;
        let (files, unread) = claude_code::find_files(&root);
        report.unread_folders += unread.len() as u64;
        report.skipped.extend(unread.into_iter().map(|fault| Skipped {
            file: fault.path.to_string_lossy().into_owned(),
            lines: None,
            reason: format!("the folder can't be read: {}", fault.source),
        }));
        for file in files {
            report.files += 1;
            let (size, modified_at) = ingest::look_at(&file.path);
            let state = states.remove(file.path.to_string_lossy().as_ref());
            // A file can be stored in part: an import that was stopped, a hook that ran out of time.
            let is_unchanged = state.as_ref().is_some_and(|state| {
                state.size == size && state.modified_at == modified_at && state.progress.offset >= size
            });
            if is_unchanged {
                report.files_unchanged += 1;
            } else {
                tasks.push(Task { file, size, modified_at, state: state.map(Box::new) });
            }
        }
    }
    Ok(tasks)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

impl Task {
    fn bytes(&self) -> u64 {
        self.size.saturating_sub(self.state.as_ref().map_or(0, |state| state.progress.offset))
    }

    /// Reads the file to its end, piece by piece. An error says that nobody listens any more.
    fn read(
        &self,
        env: &Env,
        config: &Config,
        buffer: &mut Buffer,
        parcel: &mut PieceBatch<'_>,
    ) -> Result<(), ()> {
        let agent = self.file.as_agent();
        let mut from = ReadFrom {
            session: self.file.session.clone(),
            agent: self.file.agent.clone(),
            progress: self.state.as_ref().map(|state| state.progress.clone()),
            count: estimate::written,
            // Read when a view first asks where the cost came from.
            content: None,
        };
        // What is no transcript leaves nothing behind, so what is not understood is held back until a line is.
        let mut is_understood = self.state.is_some();
        let mut held = Vec::new();
        let mut session = from.session.clone();
        loop {
            let mut reading = match claude_code::read_with(buffer, &self.file.path, &from) {
                Ok(reading) => reading,
                Err(fault) => return parcel.add(unreadable(&fault)),
            };
            // Most responses are several records side by side: joined they take less memory while they wait. The writer
            // joins those that stand apart.
            reconcile::merge_neighbours(&mut reading.messages);
            reading.messages.shrink_to_fit();
            ingest::adjust_facts(&mut reading, env, config, false);
            let has_more = reading.has_more;
            let has_lines = reading.progress.offset > 0;
            is_understood |= reading.is_understood;
            from.progress = Some(reading.progress.clone());
            session = reading.session.clone().unwrap_or(session);
            let run = agent.as_ref().map(|file| ingest::run_of(file, &reading, config));
            let path = self.file.path.to_string_lossy().into_owned();
            let batch = LogBatch { path, run, size: self.size, modified_at: self.modified_at, reading };
            held.push(Piece::Read(session.clone(), Box::new(batch)));
            if is_understood {
                held.drain(..).try_for_each(|piece| parcel.add(piece))?;
            }
            if !has_more && !is_understood {
                return parcel.add(self.refused(has_lines));
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    /// A file in which nothing was understood. One without a whole line is a transcript that is only beginning; and what the client
    /// lays beside its subagents' transcripts is nothing that anyone meant to import.
    fn refused(&self, has_lines: bool) -> Piece {
        let is_beside_subagents =
            self.file.path.components().any(|part| part.as_os_str() == OsStr::new("subagents"));
        let what = (has_lines && !is_beside_subagents).then(|| Skipped {
            file: self.file.path.to_string_lossy().into_owned(),
            lines: None,
            reason: claude_code::foreign::describe(&self.file.path).to_owned(),
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
