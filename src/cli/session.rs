//! Which session a command means.

use std::path::{Path, PathBuf};

use super::Context;
use crate::error::Error;
use crate::store::{Ledger, SessionRecord};

/// The session asked for; else the one whose tool calls this process is part of; else the newest of the project
/// that the working directory is in, the nearest project first.
pub(super) fn find(
    context: &Context,
    ledger: &Ledger,
    session: Option<&str>,
) -> Result<Option<SessionRecord>, Error> {
    if let Some(id) = session {
        return Ok(ledger.find_session(id)?);
    }
    if let Some(id) = context.env.var("CLAUDE_CODE_SESSION_ID")
        && let Some(record) = ledger.find_session(&id)?
    {
        return Ok(Some(record));
    }
    let mut projects: Vec<(usize, String)> = Vec::new();
    let here: Vec<PathBuf> = std::iter::once(context.env.cwd().to_path_buf())
        .chain(context.env.cwd().canonicalize().ok())
        .chain(
            context
                .env
                .path_var("PWD")
                .filter(|pwd| pwd.canonicalize().ok() == context.env.cwd().canonicalize().ok()),
        )
        .collect();
    for project in ledger.projects()? {
        let path = Path::new(&project);
        let known_as = [Some(path.to_path_buf()), path.canonicalize().ok()];
        let inside = known_as.iter().flatten().any(|path| here.iter().any(|here| here.starts_with(path)));
        if inside {
            projects.push((path.components().count(), project));
        }
    }
    projects.sort();
    match projects.pop() {
        Some((_, project)) => Ok(ledger.newest_session_of(&project)?),
        None => Ok(None),
    }
}

/// Why no session was found.
pub(super) fn not_found(context: &Context, session: Option<&str>) -> String {
    match session {
        Some(id) => {
            format!("no session, or more than one, starts with {id:?}; --history lists the recent ones")
        }
        None => {
            format!("no session of {} is recorded; name one with --session ID", context.env.cwd().display())
        }
    }
}
