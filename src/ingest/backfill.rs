//! Back-fills the ledger from logs: what hooks did not see, and the history that the client deletes.
//!
//! Files are read by several threads and stored by one, forty thousand responses to a transaction (a few tenths of a
//! second, for which hooks can wait), so that an import that is stopped loses nothing that was stored. It reads what
//! each file has new since the last time, by the same reader and into the same tables as the hook: importing before,
//! after or beside it, twice and in any order comes to the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::parallel::{self, HandOver, ReadPlan, Stopped};
use super::source::{ABANDONED, LogSource, is_unchanged};
use crate::clients::{self, Buffer, LogFile, LogReader, ReadError};
use crate::config::Config;
use crate::domain::{Client, SessionId, Timestamp};
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
    /// Lines, or rows, of a kind that is not known; a newer client's.
    pub unknown_lines: u64,
    /// The files that have such lines, and the files and folders that could not be read, with the reason.
    pub skipped: Vec<Skipped>,
    /// What was found of each client of which anything was.
    pub clients: Vec<ClientReport>,
}

/// What an import has found of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClientReport {
    /// The client.
    pub client: Client,
    /// Files that were found.
    pub files: u64,
    /// Files that had nothing new.
    pub files_unchanged: u64,
    /// Files that are no log of it.
    pub files_refused: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines, or rows of a database, that were read.
    pub lines: u64,
    /// Responses that were not known before.
    pub responses: u64,
    /// Sessions that the files with something new belong to.
    pub sessions: u64,
    /// Lines that could not be understood.
    pub skipped_lines: u64,
    /// Lines, or rows, of a kind that is not known.
    pub unknown_lines: u64,
}

impl ClientReport {
    fn new(client: Client) -> Self {
        Self {
            client,
            files: 0,
            files_unchanged: 0,
            files_refused: 0,
            bytes: 0,
            lines: 0,
            responses: 0,
            sessions: 0,
            skipped_lines: 0,
            unknown_lines: 0,
        }
    }
}

/// Where logs are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRoot {
    /// The folder, or a log.
    pub path: PathBuf,
    /// Whose logs; `None` for those of any client.
    pub client: Option<Client>,
}

impl LogRoot {
    /// Any client's logs.
    #[must_use]
    pub fn of_any(path: PathBuf) -> Self {
        Self { path, client: None }
    }
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

/// The folders where the clients keep their logs, whether they are there or not; of one client, or of all.
#[must_use]
pub fn usual_roots(env: &Env, only: Option<Client>) -> Vec<LogRoot> {
    let readers = clients::log_readers().filter(|reader| only.is_none_or(|only| only == reader.client()));
    let roots = readers.flat_map(|reader| {
        let of = |path| LogRoot { path, client: Some(reader.client()) };
        reader.folders(env).into_iter().map(of)
    });
    roots.collect()
}

/// How many logs are below `roots`.
#[must_use]
pub fn count_files(roots: &[LogRoot]) -> usize {
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
    roots: &[LogRoot],
    mut tell: impl FnMut(ImportProgress),
) -> Result<ImportReport, StoreError> {
    ledger.expect_much()?;
    clients::expect_much();
    let mut report = ImportReport::default();
    let work = find_work(ledger, roots, &mut report)?;
    let total = (work.len(), work.iter().map(BackfillJob::bytes).sum());
    let mut done = ImportProgress { files: (0, total.0), bytes: (0, total.1) };
    let mut sessions: HashMap<SessionId, Client> = HashMap::new();
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
                    let named = batch.delta.facts_by_session(&session).map(|(named, _)| named.clone());
                    sessions.extend(named.chain([session.clone()]).map(|named| (named, batch.client)));
                    waiting.push((session, *batch));
                }
                Piece::PassedOver(skipped) => {
                    done.files.0 += 1;
                    report.of(skipped.client).files_refused += u64::from(skipped.is_refused);
                    report.skipped.extend(skipped.what);
                }
            }
            if responses >= RESPONSES_AT_ONCE || waiting.len() >= FILES_AT_ONCE {
                report.store(ledger, &mut waiting)?;
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
    report.store(ledger, &mut waiting)?;
    tell(done);
    for client in sessions.values() {
        report.of(*client).sessions += 1;
    }
    report.add_up();
    if !sessions.is_empty() {
        let now = env.now();
        let before =
            Timestamp::from_millis(now.as_millis() - i64::try_from(ABANDONED.as_millis()).unwrap_or(0));
        let sessions = sessions.into_keys().collect();
        ledger.logs_mut().finish_old_sessions(&sessions, before, now)?;
    }
    Ok(report)
}

impl ImportReport {
    /// What was found of a client.
    fn of(&mut self, client: Client) -> &mut ClientReport {
        let at = self.clients.iter().position(|known| known.client == client).unwrap_or_else(|| {
            self.clients.push(ClientReport::new(client));
            self.clients.len() - 1
        });
        &mut self.clients[at]
    }

    fn note(&mut self, batch: &LogBatch) {
        let delta = &batch.delta;
        let report = self.of(batch.client);
        report.bytes += delta.length();
        report.lines += delta.lines;
        report.skipped_lines += delta.skipped_lines;
        report.unknown_lines += delta.unknown_lines;
        let told = [
            (delta.skipped_lines, not_a_record(batch.client)),
            (
                delta.unknown_lines,
                format!("not understood; {} may be newer than tallyhook", batch.client.title()),
            ),
        ];
        for (lines, reason) in told.into_iter().filter(|(lines, _)| *lines > 0) {
            self.skipped.push(Skipped { file: batch.path.clone(), lines: Some(lines), reason });
        }
    }

    /// Stores what was read, and notes how much of it was new.
    fn store(
        &mut self,
        ledger: &mut Ledger,
        waiting: &mut Vec<(SessionId, LogBatch)>,
    ) -> Result<(), StoreError> {
        while let Some((_, first)) = waiting.first() {
            let client = first.client;
            let of_client = waiting.extract_if(.., |(_, batch)| batch.client == client);
            let new = ledger.logs_mut().record_logs(of_client)?;
            self.of(client).responses += new;
        }
        Ok(())
    }

    /// Makes the sums of what was found of each client.
    fn add_up(&mut self) {
        self.clients.sort_by_key(|report| report.client);
        for report in &self.clients {
            self.files += report.files;
            self.files_unchanged += report.files_unchanged;
            self.files_refused += report.files_refused;
            self.bytes += report.bytes;
            self.lines += report.lines;
            self.responses += report.responses;
            self.sessions += report.sessions;
            self.skipped_lines += report.skipped_lines;
            self.unknown_lines += report.unknown_lines;
        }
        self.skipped.sort();
    }
}

/// What a line is that was passed over.
fn not_a_record(client: Client) -> String {
    match client {
        Client::ClaudeCode => "not a JSON object".to_owned(),
        client => format!("not a record of {}", client.title()),
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
    /// Whose it would be.
    client: Client,
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

/// All logs below a root, each for the first client in the table that takes it for its own; and the folders that cannot be read.
fn find_logs(root: &LogRoot) -> (Vec<FoundLog>, Vec<ReadError>) {
    let (mut logs, mut unread) = (Vec::new(), BTreeMap::new());
    let mut taken = HashSet::new();
    let is_asked = |reader: &&dyn LogReader| root.client.is_none_or(|client| client == reader.client());
    for reader in clients::log_readers().filter(is_asked) {
        let found = reader.find(&root.path);
        unread.extend(found.unread.into_iter().map(|fault| (fault.path.clone(), fault)));
        logs.extend(
            found.logs.into_iter().filter(|log| taken.insert(log.path.clone())).map(|log| (reader, log)),
        );
    }
    (logs, unread.into_values().collect())
}

fn find_work(
    ledger: &Ledger,
    roots: &[LogRoot],
    report: &mut ImportReport,
) -> Result<Vec<BackfillJob>, StoreError> {
    let mut jobs = Vec::new();
    for root in roots {
        // Payloads name files by their real paths.
        let real = root.path.canonicalize();
        let root = LogRoot { path: real.unwrap_or_else(|_| root.path.clone()), ..*root };
        let folder = if root.path.is_file() { parent(&root.path) } else { &root.path };
        let mut states = ledger.logs().transcript_states(folder)?;
        let (logs, unread) = find_logs(&root);
        report.unread_folders += unread.len() as u64;
        report.skipped.extend(unread.into_iter().map(|fault| Skipped {
            file: fault.path.to_string_lossy().into_owned(),
            lines: None,
            reason: format!("the folder can't be read: {}", fault.source),
        }));
        for (reader, log) in logs {
            let found = report.of(reader.client());
            found.files += 1;
            let seen = reader.look_at(&log.path);
            let state = states.remove(log.path.to_string_lossy().as_ref());
            let state = state.filter(|state| state.client == Some(reader.client()));
            if is_unchanged(reader, state.as_ref(), seen) {
                found.files_unchanged += 1;
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
                Err(fault) => return pieces.add(unreadable(self.reader.client(), &fault)),
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
            reason: self.reader.describe_foreign(path),
        });
        let client = self.reader.client();
        Piece::PassedOver(PassedOver { client, is_refused: what.is_some(), what })
    }
}

fn unreadable(client: Client, fault: &ReadError) -> Piece {
    let what = Skipped {
        file: fault.path.to_string_lossy().into_owned(),
        lines: None,
        reason: format!("the file can't be read: {}", fault.source),
    };
    Piece::PassedOver(PassedOver { client, is_refused: false, what: Some(what) })
}
