//! OpenCode's sessions: the database that holds them, or the files of older versions; how they are read, what counts.
//!
//! `README.md` beside this file has the rules, each with its reason.

mod database;
mod logged;
mod storage;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Buffer, FoundLogs, LogFile, LogReader, ReadError, ReadFrom};
use crate::domain::{AgentId, Client, LogDelta, LogPosition, SessionId, Timestamp};
use crate::env::Env;

/// Deeper than this below its folder nobody looks for logs.
const MAX_DEPTH: usize = 8;
/// What the client keeps beside its sessions, in which there can be a great many files and no log.
const OTHER_FOLDERS: [&str; 7] = ["bin", "log", "plans", "repos", "snapshot", "tool-output", "worktree"];

/// The reader of OpenCode's sessions.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionLogs;

/// What a log is.
enum LogKind {
    /// A database with all sessions.
    Database,
    /// The file that older versions keep of each session.
    SessionFile,
}

fn kind_of(path: &Path) -> Option<LogKind> {
    if is_database_name(path) {
        return Some(LogKind::Database);
    }
    storage::is_session_file(path).then_some(LogKind::SessionFile)
}

/// Whether a file is named as the client names its databases: `opencode.db`, with a suffix after `opencode` in other channels.
fn is_database_name(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_suffix(".db"));
    name.is_some_and(|name| name == "opencode" || name.starts_with("opencode-"))
}

fn log_at(path: PathBuf) -> Option<LogFile> {
    kind_of(&path)?;
    let session = SessionId::new(path.file_stem()?.to_str()?)?;
    Some(LogFile { path, session, agent: None })
}

/// Looks through a folder of the client's, or one above it.
fn search(folder: &Path, depth: usize, found: &mut FoundLogs) {
    let unread = |source| ReadError { path: folder.to_path_buf(), source };
    let entries = match std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(source) => return found.unread.push(unread(source)),
    };
    let is_home =
        entries.iter().any(|entry| is_database_name(&entry.path()) || entry.file_name() == "storage");
    let is_storage = storage::is_storage(folder);
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let name = entry.file_name();
                let is_other = is_home && OTHER_FOLDERS.iter().any(|other| name == *other)
                    || is_storage && name != "session";
                if !is_other && depth > 0 {
                    search(&entry.path(), depth - 1, found);
                }
            }
            Ok(kind) if kind.is_file() => found.logs.extend(log_at(entry.path())),
            _ => {}
        }
    }
}

impl LogReader for SessionLogs {
    fn client(&self) -> Client {
        Client::OpenCode
    }

    fn folders(&self, env: &Env) -> Vec<PathBuf> {
        let data = env.place("XDG_DATA_HOME").or_else(|| Some(env.home()?.join(".local/share")));
        data.map(|data| vec![data.join("opencode")]).unwrap_or_default()
    }

    fn find(&self, root: &Path) -> FoundLogs {
        let mut found = FoundLogs::default();
        match std::fs::metadata(root) {
            Ok(metadata) if metadata.is_file() => found.logs.extend(log_at(root.to_path_buf())),
            Ok(metadata) if metadata.is_dir() => search(root, MAX_DEPTH, &mut found),
            _ => {}
        }
        found.logs.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    fn is_log(&self, path: &Path) -> bool {
        path.is_file() && kind_of(path).is_some()
    }

    fn find_main(&self, folder: &Path, session: &SessionId) -> Option<PathBuf> {
        let logs = self.find(folder).logs;
        let holds = |log: &LogFile| match kind_of(&log.path) {
            Some(LogKind::Database) => database::holds(&log.path, session),
            Some(LogKind::SessionFile) => log.session == *session,
            None => false,
        };
        logs.into_iter().find_map(|log| holds(&log).then_some(log.path))
    }

    fn session_of(&self, main: &Path) -> Option<SessionId> {
        match kind_of(main)? {
            LogKind::Database => None,
            LogKind::SessionFile => SessionId::new(main.file_stem()?.to_str()?),
        }
    }

    fn agents_folder(&self, main: &Path) -> PathBuf {
        main.parent().unwrap_or(main).to_path_buf()
    }

    fn other_logs(&self, main: &Path, session: &SessionId, _version: Option<&str>) -> Vec<LogFile> {
        match kind_of(main) {
            // A database holds the subagents, too.
            Some(LogKind::Database) | None => Vec::new(),
            Some(LogKind::SessionFile) => storage::subagents(main, session),
        }
    }

    fn agent_log(&self, main: &Path, session: &SessionId, agent: &AgentId, _quick: bool) -> Option<LogFile> {
        match kind_of(main)? {
            LogKind::Database => None,
            LogKind::SessionFile => {
                let path = main.with_file_name(format!("{agent}.json"));
                let log = LogFile { path, session: session.clone(), agent: Some(agent.clone()) };
                // An ID is never used to build a path that leads elsewhere.
                (log.path.parent() == main.parent() && self.is_log(&log.path)).then_some(log)
            }
        }
    }

    fn look_at(&self, path: &Path) -> (u64, Option<Timestamp>) {
        match kind_of(path) {
            Some(LogKind::SessionFile) => storage::look_at(path),
            Some(LogKind::Database) | None => database::look_at(path),
        }
    }

    fn changes_in_place(&self) -> bool {
        true
    }

    fn read(&self, _buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
        match kind_of(path) {
            Some(LogKind::SessionFile) => storage::read(path, from),
            Some(LogKind::Database) | None => database::read(path, from),
        }
    }

    fn is_at_end(&self, position: &LogPosition, size: u64) -> bool {
        position.offset == size && !database::is_within_pass(position)
    }

    fn describe_foreign(&self, path: &Path) -> String {
        match kind_of(path) {
            Some(LogKind::Database) if database::is_clients(path) => {
                "not understood; a newer OpenCode?".to_owned()
            }
            Some(LogKind::Database) => "no database of OpenCode".to_owned(),
            Some(LogKind::SessionFile) | None => "no session of OpenCode".to_owned(),
        }
    }

    fn is_beside_logs(&self, path: &Path) -> bool {
        // One in which nobody has said anything yet.
        match kind_of(path) {
            Some(LogKind::Database) => database::is_empty(path),
            Some(LogKind::SessionFile) => storage::is_empty(path),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_of_every_channel_are_found_and_what_lies_beside_them_is_not() {
        for (name, is_one) in [
            ("opencode.db", true),
            ("opencode-dev.db", true),
            ("opencode.db-wal", false),
            ("opencode.db-shm", false),
            ("other.db", false),
            ("auth.json", false),
        ] {
            assert_eq!(log_at(Path::new("/d/opencode").join(name)).is_some(), is_one, "{name}");
        }
    }
}
