//! Which session a command means.

use std::path::{Path, PathBuf};

use super::Context;
use super::suggest::did_you_mean;
use crate::domain::OneLine as _;
use crate::error::Error;
use crate::ingest::turn;
use crate::store::{Ledger, SessionRecord};

/// The session asked for; else the one whose tool calls this process is part of; else the newest of the project
/// that the working directory is in, the nearest project first.
pub(super) fn find(
    context: &Context,
    ledger: &Ledger,
    session: Option<&str>,
) -> Result<Option<SessionRecord>, Error> {
    if let Some(id) = session {
        return Ok(ledger.sessions().find(id)?);
    }
    if let Some(id) = context.env.var("CLAUDE_CODE_SESSION_ID")
        && let Some(record) = ledger.sessions().find(&id)?
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
    for project in ledger.sessions().projects()? {
        let path = Path::new(&project);
        let known_as = [Some(path.to_path_buf()), path.canonicalize().ok()];
        let inside = known_as.iter().flatten().any(|path| here.iter().any(|here| here.starts_with(path)));
        if inside {
            projects.push((path.components().count(), project));
        }
    }
    projects.sort();
    match projects.pop() {
        Some((_, project)) => Ok(ledger.sessions().newest_of(&project, context.env.now())?),
        None => Ok(None),
    }
}

/// Characters of an id that are shown.
const SHORT_ID: usize = 8;
/// Sessions that are named where none or too many are meant.
const NAMED: usize = 5;

/// Why no session was found, and which one may be meant.
pub(super) fn not_found(
    context: &Context,
    ledger: Option<&Ledger>,
    session: Option<&str>,
) -> Result<String, Error> {
    let Some(asked) = session else {
        let here = context.env.cwd().one_line();
        return Ok(format!(
            "no sessions are recorded for {here}; choose one from another project with --session ID"
        ));
    };
    let mut places = ledger.map_or_else(|| Ok(Vec::new()), |ledger| ledger.usage().session_places())?;
    if places.is_empty() {
        return Ok(format!("no session ID starts with {asked:?}; no sessions are recorded yet"));
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.started_at));
    let short = |id: &str| id.chars().take(SHORT_ID).collect::<String>();
    let meant: Vec<String> =
        places.iter().filter(|place| place.id.starts_with(asked)).map(|place| place.id.clone()).collect();
    if meant.len() > 1 {
        let shown = meant.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = if meant.len() > NAMED { ", …" } else { "" };
        return Ok(format!("{} session IDs start with {asked:?}: {shown}{more}", meant.len()));
    }
    let ids: Vec<String> = places.iter().map(|place| short(&place.id)).collect();
    let near = did_you_mean(&short(asked), ids.iter().map(String::as_str));
    let latest = ids.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    Ok(format!(
        "no session ID starts with {asked:?}{near}\nthe most recent session is {latest}; `tallyhook history` lists all"
    ))
}

/// The session's record after its transcript's new lines were read.
pub(super) fn refreshed(
    context: &Context,
    ledger: &mut Ledger,
    record: SessionRecord,
) -> Result<SessionRecord, Error> {
    let config = context.config(record.project.as_deref())?;
    let read = turn::catch_up(ledger, &context.env, &config, &record);
    for fault in ledger.without_if_held(read)?.unwrap_or_default() {
        // What is in the ledger is still right, only not the newest.
        context.say(&format!("tallyhook: {fault}"));
    }
    Ok(ledger.sessions().find(&record.id)?.unwrap_or(record))
}
