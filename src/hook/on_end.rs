//! The events at which transcripts are read: the ends of turns, subagents and sessions, and a session's start for
//! those before it that never had an end.

use std::path::Path;

use super::Hook;
use crate::domain::SessionId;
use crate::error::Error;
use crate::estimate::subagents::defaults_for;
use crate::finalize::{self, Task, Wait};
use crate::store::{AgentSighting, Ledger};

/// How many earlier sessions one session's start completes; the client waits for it.
const MAX_CATCH_UPS: u32 = 5;

/// A session starts or goes on.
pub(super) fn session_start(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    ledger.record_sighting(&hook.sighting)?;
    let Some((project, _)) = &hook.sighting.project else { return Ok(()) };
    let unfinished = ledger.unfinished_sessions(project, &hook.payload.session, MAX_CATCH_UPS)?;
    if unfinished.is_empty() {
        return Ok(());
    }
    let config = hook.config();
    for record in unfinished {
        for fault in finalize::catch_up(ledger, hook.env, &config, &record)? {
            hook.note(&fault);
        }
    }
    Ok(())
}

/// A subagent starts.
pub(super) fn subagent_start(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    match run(hook, true) {
        Some(run) => Ok(ledger.record_agent_run(&hook.sighting, &run)?),
        None => Ok(ledger.record_sighting(&hook.sighting)?),
    }
}

/// A subagent has ended. A compaction also says so, of an agent without type and transcript: that is none.
pub(super) fn subagent_stop(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    let payload = hook.payload;
    let has_transcript = payload.agent_transcript.as_deref().is_some_and(|path| Path::new(path).exists());
    match run(hook, false).filter(|_| payload.agent_type.is_some() || has_transcript) {
        Some(run) => {
            ledger.record_agent_run(&hook.sighting, &run)?;
            let wait = if has_transcript { Wait::Subagent(&run.id) } else { Wait::No };
            complete(hook, ledger, wait, false, false)
        }
        None => Ok(ledger.record_sighting(&hook.sighting)?),
    }
}

/// A turn has ended, well or not.
pub(super) fn turn_end(hook: &Hook<'_>, ledger: &mut Ledger, has_crons: bool) -> Result<(), Error> {
    ledger.record_sighting(&hook.sighting)?;
    complete(hook, ledger, Wait::Main, true, has_crons)
}

/// The client has closed the session.
pub(super) fn session_end(hook: &Hook<'_>, ledger: &mut Ledger, reason: Option<&str>) -> Result<(), Error> {
    ledger.record_session_end(&hook.sighting, reason)?;
    complete(hook, ledger, Wait::No, true, false)
}

fn complete(
    hook: &Hook<'_>,
    ledger: &mut Ledger,
    wait: Wait<'_>,
    turn_ended: bool,
    has_crons: bool,
) -> Result<(), Error> {
    let session: &SessionId = &hook.payload.session;
    let transcript = hook.payload.transcript.as_deref().unwrap_or_default();
    let task = Task {
        session,
        client: hook.options.client,
        transcript: Path::new(transcript),
        wait,
        turn_ended,
        has_crons,
    };
    for fault in finalize::complete(ledger, hook.env, &hook.config(), &task)? {
        hook.note(&fault);
    }
    Ok(())
}

/// The run that a subagent's event is about.
fn run(hook: &Hook<'_>, starts: bool) -> Option<AgentSighting> {
    let payload = hook.payload;
    let at = hook.sighting.at;
    Some(AgentSighting {
        id: payload.agent.clone()?,
        agent_type: payload.agent_type.clone(),
        tool_use_id: None,
        started_at: starts.then_some(at),
        ended_at: (!starts).then_some(at),
        logged: None,
        defaults: defaults_for(payload.agent_type.as_deref(), &hook.config().subagents),
    })
}
