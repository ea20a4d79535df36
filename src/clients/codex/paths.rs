//! Where rollouts are: `sessions/<year>/<month>/<day>/rollout-<start>-<thread>.jsonl`, in `archived_sessions` when the user has
//! put them away. A thread goes on in a second file, with a mark after its id, once an earlier message was edited.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::clients::{LogFile, line_log};
use crate::domain::{AgentId, SessionId, Timestamp};

/// The beginning of a rollout that is searched for the session that it belongs to, in bytes. It stands at the start of the first
/// line; the client's instructions, which are long, come later.
const HEAD_BYTES: usize = 2_048;
/// Digits of a thread's id, with its dashes.
const THREAD_CHARS: usize = 36;
/// More rollouts than anyone writes in the days of one session.
const MAX_FILES: usize = 10_000;

/// What a file is by its name; `None` if it is no rollout.
pub(super) fn log_at(path: PathBuf) -> Option<LogFile> {
    let session = thread_of(&path)?;
    Some(LogFile { path, session, agent: None })
}

/// The thread whose rollout a file is by its name. Of a main conversation it is the session.
pub(super) fn thread_of(path: &Path) -> Option<SessionId> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".jsonl")?.strip_prefix("rollout-")?;
    let begin = name.len().checked_sub(THREAD_CHARS);
    let ids = name.split_inclusive('-').scan(0, |at, part| {
        let begin = *at;
        *at += part.len();
        Some(begin)
    });
    // After the time of its start, before the mark of a second file.
    let mut found = ids.filter_map(|at| name.get(at..at + THREAD_CHARS)).filter(|id| is_thread(id));
    let id = found.next().or_else(|| begin.and_then(|begin| name.get(begin..))).unwrap_or(name);
    SessionId::new(id)
}

fn is_thread(id: &str) -> bool {
    id.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// What stands in a rollout's name after its thread's id: the mark of a second file.
pub(super) fn segment_of(path: &Path, thread: &str) -> String {
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    stem.split_once(thread).map(|(_, mark)| mark.to_owned()).unwrap_or_default()
}

/// The folder of all rollouts in which this one is, or the one that it lies in.
pub(super) fn sessions_folder(rollout: &Path) -> PathBuf {
    let is_whole = |folder: &&Path| {
        let name = folder.file_name().and_then(OsStr::to_str);
        matches!(name, Some("sessions" | "archived_sessions"))
    };
    let folder = rollout.ancestors().skip(1).find(is_whole).or_else(|| rollout.parent());
    folder.unwrap_or(rollout).to_path_buf()
}

/// The rollouts of a session's days, in the order of their paths, and those that were put away. A folder's name tells its day, and
/// the session's ID when it began.
fn since(main: &Path, session: &SessionId) -> Vec<PathBuf> {
    let sessions = sessions_folder(main);
    let home = sessions.parent().unwrap_or(&sessions);
    let first = first_day(session);
    let mut paths = Vec::new();
    for root in [home.join("sessions"), home.join("archived_sessions"), sessions.clone()] {
        if paths.iter().any(|path: &PathBuf| path.starts_with(&root)) {
            continue;
        }
        let found =
            line_log::find_within(&root, &log_at, &|folder| is_before(&root, folder, first.as_deref()));
        paths.extend(found.logs.into_iter().map(|log| log.path));
    }
    paths.retain(|path| path != main);
    // The newest, should there be more than anyone writes.
    paths.drain(..paths.len().saturating_sub(MAX_FILES));
    paths
}

/// The day before a session began, as folders of days are named (`2026/11/29`): these go by local time. `None` if the ID tells no
/// time.
fn first_day(session: &SessionId) -> Option<String> {
    const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
    let digits: String = session.as_str().chars().filter(|c| *c != '-').take(13).collect();
    let (time, version) = digits.split_at_checked(12)?;
    let millis = i64::from_str_radix(time, 16).ok().filter(|_| version == "7")?;
    let day = Timestamp::from_millis(millis - DAY_MILLIS).to_date();
    Some(day.get(..10)?.replace('-', "/"))
}

/// Whether all rollouts in a folder of a day, month, or year are from before a day.
fn is_before(root: &Path, folder: &Path, day: Option<&str>) -> bool {
    let name = folder.strip_prefix(root).ok().and_then(Path::to_str).map(|name| name.replace('\\', "/"));
    let (Some(day), Some(name)) = (day, name) else { return false };
    name.starts_with(|c: char| c.is_ascii_digit()) && day.get(..name.len()).is_some_and(|day| *name < *day)
}

/// The other rollouts of a session: of its sub-threads, and of its own thread after an earlier message was edited.
pub(super) fn other_logs(main: &Path, session: &SessionId) -> Vec<LogFile> {
    let of_session = |path: PathBuf| {
        let thread = thread_of(&path)?;
        if thread == *session {
            return Some(LogFile { path, session: thread, agent: None });
        }
        let head = line_log::beginning(&path, HEAD_BYTES)?;
        let mark = format!("\"session_id\":\"{session}\"");
        memchr::memmem::find(&head, mark.as_bytes())?;
        Some(LogFile { agent: AgentId::new(thread.as_str()), session: session.clone(), path })
    };
    since(main, session).into_iter().filter_map(of_session).collect()
}

/// The rollout of one sub-thread. A `quick` look goes only where it lies as a rule: beside its session's.
pub(super) fn agent_log(main: &Path, session: &SessionId, agent: &AgentId, quick: bool) -> Option<LogFile> {
    let mark = format!("{agent}.jsonl");
    let is_its =
        |path: &Path| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(&mark));
    let path = if quick {
        let beside = std::fs::read_dir(main.parent()?).ok()?.flatten().map(|entry| entry.path());
        beside.take(MAX_FILES).find(|path| is_its(path))?
    } else {
        since(main, session).into_iter().find(|path| is_its(path))?
    };
    thread_of(&path)?;
    Some(LogFile { path, session: session.clone(), agent: Some(agent.clone()) })
}

/// The rollout of the thread that another one was forked from.
pub(super) fn rollout_of(thread: &str, beside: &Path) -> Option<PathBuf> {
    let sessions = sessions_folder(beside);
    let archived = sessions.parent().map(|home| home.join("archived_sessions"));
    let active = sessions.parent().map(|home| home.join("sessions"));
    let mut folders = vec![sessions];
    folders.extend([active, archived].into_iter().flatten());
    folders.dedup();
    folders.iter().find_map(|folder| {
        let found = line_log::find(folder, &log_at).logs.into_iter();
        found.map(|log| log.path).find(|path| thread_of(path).is_some_and(|known| known.as_str() == thread))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_before_a_session_are_passed_over() {
        let session = SessionId::new("01a22a75-a540-7950-994c-efe7636452e9").unwrap();
        let first = first_day(&session);
        assert_eq!(first.as_deref(), Some("2026/11/29"));
        let root = Path::new("/x/sessions");
        let is_before = |name: &str| is_before(root, &root.join(name), first.as_deref());
        for (name, before) in [
            ("2025", true),
            ("2026", false),
            ("2026/10", true),
            ("2026/11", false),
            ("2026/11/28", true),
            ("2026/11/29", false),
            ("2026/12/01", false),
            ("other", false),
        ] {
            assert_eq!(is_before(name), before, "{name}");
        }
        assert_eq!(first_day(&SessionId::new("6f1e-no-time").unwrap()), None);
    }

    #[test]
    fn a_rollout_is_named_after_its_thread() {
        let thread = "01a22a75-a540-7950-994c-efe7636452e9";
        for name in [
            format!("rollout-2026-11-30T03-18-02-{thread}.jsonl"),
            format!("rollout-2026-11-30T03-18-02-{thread}_01a22a88-d008-71f1-9277-e22aa0e62989.jsonl"),
        ] {
            let path = Path::new("/x/sessions/2026/11/30").join(&name);
            assert_eq!(thread_of(&path).unwrap().as_str(), thread, "{name}");
            assert_eq!(sessions_folder(&path), Path::new("/x/sessions"));
        }
        assert_eq!(thread_of(Path::new("rollout-10.jsonl")).unwrap().as_str(), "10");
        assert_eq!(thread_of(Path::new("/x/history.jsonl")), None);
        let second = Path::new("rollout-2026-11-30T03-18-02-01a22a75-a540-7950-994c-efe7636452e9_ab.jsonl");
        assert_eq!(segment_of(second, thread), "_ab");
    }
}
