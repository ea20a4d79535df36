//! Where a session's transcripts are. Paths come from payloads: only regular `.jsonl` files are ever opened, and
//! folders are followed a few levels deep.
//!
//! Links are followed as the client follows them: people link a project's folder or a transcript to where they keep it, and
//! the client links subagents' files of a fork to its parent's. What is found twice by that is taken once, a link into what is
//! searched anyway or above it is passed over, and what it leads to must be a regular file like any other.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::clients::{AgentMeta, Buffer, FoundLogs, Lines, LogFile, ReadError};
use crate::domain::{AgentId, MAX_NAME_CHARS, SessionId, clean_name};
use crate::json::Object;
use crate::regular;

/// Subagents can start subagents; deeper than this nobody goes.
const MAX_DEPTH: usize = 6;
/// An import, which may be given any folder, goes at most this many levels below it.
const MAX_IMPORT_DEPTH: usize = 32;
/// More than stands in any `.meta.json`.
const MAX_META_BYTES: u64 = 64 << 10;
/// More subagents than any session has.
const MAX_FILES: usize = 10_000;

/// Reads the file beside a subagent's transcript; empty if there is none.
#[must_use]
pub(super) fn agent_meta(log: &LogFile) -> AgentMeta {
    let Ok(text) = regular::read_text(&log.path.with_extension("meta.json"), MAX_META_BYTES) else {
        return AgentMeta::default();
    };
    let Ok(meta) = Object::parse(&text) else { return AgentMeta::default() };
    let name = |field: &str| meta.text(field).and_then(|text| clean_name(&text, MAX_NAME_CHARS));
    AgentMeta { agent_type: name("agentType"), tool_use_id: name("toolUseId") }
}

/// All transcripts below `root`, at any depth and whatever their names, in the order of their paths; `root` can be a
/// file too. And the folders that cannot be read; that `root` is not there is nothing wrong.
#[must_use]
pub(super) fn find(root: &Path) -> FoundLogs {
    let mut paths = Vec::new();
    if is_transcript(root) {
        paths.push(root.to_path_buf());
    }
    let mut search = Search::below(root);
    if search.is_folder(root) {
        search.find(root, MAX_IMPORT_DEPTH, false, &mut |path| {
            paths.push(path);
            true
        });
    }
    paths.sort();
    FoundLogs { logs: paths.into_iter().filter_map(log_at).collect(), unread: search.unread }
}

/// What a `.jsonl` file is by its name and place.
fn log_at(path: PathBuf) -> Option<LogFile> {
    let stem = path.file_stem()?.to_str()?;
    let agent = agent_of_name(stem);
    let folder = path.ancestors().skip(1).find(|folder| folder.file_name() == Some(OsStr::new("subagents")));
    let session = folder.and_then(|folder| folder.parent()?.file_name()?.to_str());
    let session = SessionId::new(session.unwrap_or(stem))?;
    Some(LogFile { session, agent, path })
}

/// A search for `.jsonl` files.
struct Search {
    /// What is searched, by its real path.
    root: PathBuf,
    /// Real paths of what links have led to.
    seen: HashSet<PathBuf>,
    /// Folders that cannot be read, and links that lead nobody may know where.
    unread: Vec<ReadError>,
}

impl Search {
    fn below(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        Self { root, seen: HashSet::new(), unread: Vec::new() }
    }

    /// Hands over what is in `folder`, which a link has led to or not, until `take` has enough.
    fn find(
        &mut self,
        folder: &Path,
        depth: usize,
        is_linked: bool,
        take: &mut impl FnMut(PathBuf) -> bool,
    ) -> bool {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(source) => {
                self.note_unread(folder, source);
                return true;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(source) => {
                    self.note_unread(folder, source);
                    break;
                }
            };
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            let is_link = kind.is_symlink();
            let (is_dir, is_file) = if is_link {
                (self.is_folder(&path), path.is_file())
            } else {
                (kind.is_dir(), kind.is_file())
            };
            let is_wanted = is_file && path.extension() == Some(OsStr::new("jsonl"));
            if !(is_wanted || is_dir && depth > 0) || (is_link || is_linked && is_file) && !self.is_new(&path)
            {
                continue;
            }
            let goes_on = if is_dir {
                let depth = if is_link { depth.min(MAX_DEPTH) } else { depth };
                self.find(&path, depth - 1, is_linked || is_link, take)
            } else {
                take(path)
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    /// Whether a folder is there; notes what nobody may look at.
    fn is_folder(&mut self, path: &Path) -> bool {
        match std::fs::metadata(path) {
            Ok(metadata) => metadata.is_dir(),
            Err(source) => {
                // A link that leads nowhere or round in a circle hides nothing.
                if source.kind() == ErrorKind::PermissionDenied {
                    self.note_unread(path, source);
                }
                false
            }
        }
    }

    fn note_unread(&mut self, path: &Path, source: std::io::Error) {
        // What is gone has nothing to read.
        if source.kind() != ErrorKind::NotFound {
            self.unread.push(ReadError { path: path.to_path_buf(), source });
        }
    }

    /// Whether what a link leads to is neither found without it, nor has been, nor leads round in a circle.
    fn is_new(&mut self, path: &Path) -> bool {
        let Ok(real) = path.canonicalize() else { return false };
        !real.starts_with(&self.root) && !self.root.starts_with(&real) && self.seen.insert(real)
    }
}

/// Whether `path` can be a transcript.
#[must_use]
pub(super) fn is_transcript(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("jsonl")) && path.is_file()
}

/// The main transcript of a session in one of the project folders below `root`, should it have moved.
#[must_use]
pub(super) fn find_main(root: &Path, session: &SessionId) -> Option<PathBuf> {
    // An id may say anything; as a name of a file it stands for itself or not at all.
    if session.as_str().contains(['/', '\\']) {
        return None;
    }
    let name = format!("{session}.jsonl");
    let folders = std::fs::read_dir(root).ok()?.flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        folders.map(|folder| folder.join(&name)).filter(|path| is_transcript(path)).collect();
    found.sort_by_cached_key(|path| {
        let changed = std::fs::metadata(path).and_then(|file| file.modified()).ok();
        (changed, path.clone())
    });
    found.pop()
}

/// The session that a main transcript is named after.
#[must_use]
pub(super) fn session_of_path(path: &Path) -> Option<SessionId> {
    SessionId::new(path.file_stem()?.to_str()?)
}

/// The folder of the subagents' transcripts, which clients lay beside the main one from 2.1 on.
#[must_use]
pub(super) fn agents_folder(main: &Path) -> PathBuf {
    main.with_extension("").join("subagents")
}

/// The transcripts of the session's subagents, below `<main without .jsonl>/subagents`, and, if `flat`, beside the
/// main transcript, as clients of 2025 lay them.
#[must_use]
pub(super) fn agent_files(main: &Path, session: &SessionId, flat: bool) -> Vec<LogFile> {
    let mut files = Vec::new();
    collect(&agents_folder(main), MAX_DEPTH, session, &mut files);
    if flat && let Some(folder) = main.parent() {
        let mut beside = Vec::new();
        collect(folder, 0, session, &mut beside);
        beside.retain(|file| first_session(&file.path).as_ref() == Some(session));
        files.extend(beside);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The transcript of one of the session's subagents, anywhere below `<main without .jsonl>/subagents`.
#[must_use]
pub(super) fn deeper_agent_file(main: &Path, session: &SessionId, agent: &AgentId) -> Option<LogFile> {
    let mut deeper = Vec::new();
    collect(&agents_folder(main), MAX_DEPTH, session, &mut deeper);
    deeper.into_iter().find(|file| file.agent.as_ref() == Some(agent))
}

/// The transcript of one of the session's subagents where clients of today lay it, those of subagents' subagents too;
/// one look, however many there are.
#[must_use]
pub(super) fn usual_agent_file(main: &Path, session: &SessionId, agent: &AgentId) -> Option<LogFile> {
    // An id from a payload may say anything; as a name of a file it stands for itself or not at all.
    let is_name = !agent.as_str().contains(['/', '\\']);
    let path = agents_folder(main).join(format!("agent-{agent}.jsonl"));
    let of_agent = |path| LogFile { path, session: session.clone(), agent: Some(agent.clone()) };
    (is_name && is_transcript(&path)).then(|| of_agent(path))
}

/// Adds the subagents' transcripts in `folder` and `depth` levels below it.
fn collect(folder: &Path, depth: usize, session: &SessionId, files: &mut Vec<LogFile>) {
    Search::below(folder).find(folder, depth, false, &mut |path| {
        if let Some(agent) = path.file_stem().and_then(OsStr::to_str).and_then(agent_of_name) {
            files.push(LogFile { path, session: session.clone(), agent: Some(agent) });
        }
        files.len() < MAX_FILES
    });
}

fn agent_of_name(stem: &str) -> Option<AgentId> {
    AgentId::new(stem.strip_prefix("agent-")?)
}

/// The session that the first line names.
fn first_session(path: &Path) -> Option<SessionId> {
    let mut buffer = Buffer::default();
    let mut lines = Lines::open(&mut buffer, path, None).ok()?;
    let line = lines.next_line().ok()??;
    SessionId::new(&Object::parse(str::from_utf8(line).ok()?).ok()?.text("sessionId")?)
}
