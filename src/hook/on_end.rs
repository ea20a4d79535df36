//! The events at which transcripts are read: the ends of turns, subagents and sessions, and a session's start for
//! those before it that never had an end. At all of them but a subagent's, and at prompts, the logs of sessions that have ended are
//! looked at once more, for clients write to them after the last hook.

use std::path::Path;

use super::Hook;
use crate::domain::SessionId;
use crate::error::Error;
use crate::estimate::subagents::{LEARNED_FROM, defaults_for, median};
use crate::ingest::turn::{self, IngestRequest, WaitFor};
use crate::store::{AgentObservation, EventKind, Ledger};

/// How many earlier sessions one session's start completes; the client waits for it.
const MAX_CATCH_UPS: u32 = 5;

/// A session starts or goes on.
pub(super) fn session_start(hook: &Hook<'_>, mut ledger: Option<&mut Ledger>) -> Result<(), Error> {
    hook.record(ledger.as_deref_mut(), EventKind::Seen)?;
    let Some(ledger) = ledger else { return Ok(()) };
    let unfinished = match &hook.observation.project {
        Some((project, _)) => ledger.sessions().unfinished(project, hook.session(), MAX_CATCH_UPS)?,
        None => Vec::new(),
    };
    if !unfinished.is_empty() {
        let config = hook.config();
        ledger.set_prices(hook.prices());
        for record in unfinished {
            if !ledger.has_time() {
                break;
            }
            for fault in turn::catch_up(ledger, hook.env, &config, &record)? {
                hook.note(&fault);
            }
        }
    }
    read_ended(hook, ledger)
}

/// Reads what clients have written for sessions that had ended.
pub(super) fn read_ended(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    let ended = ledger.sessions().ended()?;
    if ended.is_empty() {
        return Ok(());
    }
    let prepare = |ledger: &mut Ledger, project: Option<&str>| {
        ledger.set_prices(hook.prices());
        hook.config_of(project)
    };
    let faults = match turn::read_ended(ledger, hook.env, prepare, &ended) {
        Err(error) if error.is_busy() => return Ok(()),
        faults => faults?,
    };
    faults.iter().for_each(|fault| hook.note(fault));
    Ok(())
}

/// A subagent starts.
pub(super) fn subagent_start(hook: &Hook<'_>, ledger: Option<&mut Ledger>) -> Result<(), Error> {
    let change = run(hook, true).map_or(EventKind::Seen, |mut run| {
        // The user's own runs know better than the table, once there are enough.
        let learned = run.agent_type.as_deref().zip(ledger.as_deref());
        let runs =
            learned.and_then(|(name, ledger)| ledger.agents().billed_runs(name).ok()).unwrap_or_default();
        if runs.len() >= LEARNED_FROM {
            run.defaults.billed = median(runs).unwrap_or(run.defaults.billed);
        }
        EventKind::AgentRun { run }
    });
    hook.record(ledger, change)
}

/// A subagent has ended. A compaction also says so, of an agent without type and transcript: that is none.
pub(super) fn subagent_stop(hook: &Hook<'_>, mut ledger: Option<&mut Ledger>) -> Result<(), Error> {
    let payload = hook.payload;
    let has_transcript = payload.agent_transcript.as_deref().is_some_and(|path| Path::new(path).exists());
    match run(hook, false).filter(|_| payload.agent_type.is_some() || has_transcript) {
        Some(run) => {
            let agent = run.id.clone();
            hook.record(ledger.as_deref_mut(), EventKind::AgentRun { run })?;
            let wait = if has_transcript { WaitFor::Subagent(&agent) } else { WaitFor::No };
            complete(hook, ledger, wait, false, false)
        }
        None => hook.record(ledger, EventKind::Seen),
    }
}

/// A turn has ended, well or not.
pub(super) fn turn_end(
    hook: &Hook<'_>,
    mut ledger: Option<&mut Ledger>,
    has_crons: bool,
) -> Result<(), Error> {
    hook.record(ledger.as_deref_mut(), EventKind::Seen)?;
    complete(hook, ledger.as_deref_mut(), WaitFor::Main, true, has_crons)?;
    ledger.map_or(Ok(()), |ledger| read_ended(hook, ledger))
}

/// The client has closed the session.
pub(super) fn session_end(
    hook: &Hook<'_>,
    mut ledger: Option<&mut Ledger>,
    reason: Option<String>,
) -> Result<(), Error> {
    hook.record(ledger.as_deref_mut(), EventKind::SessionEnd { reason })?;
    complete(hook, ledger.as_deref_mut(), WaitFor::No, true, false)?;
    ledger.map_or(Ok(()), |ledger| read_ended(hook, ledger))
}

/// Reads what the transcripts have new. Of a ledger without time for it the session stays unfinished, so that the next
/// turn's end, session or view does it.
fn complete(
    hook: &Hook<'_>,
    ledger: Option<&mut Ledger>,
    wait: WaitFor<'_>,
    turn_ended: bool,
    has_crons: bool,
) -> Result<(), Error> {
    let Some(ledger) = ledger else { return Ok(()) };
    ledger.set_prices(hook.prices());
    let session: &SessionId = hook.session();
    let transcript = hook.payload.transcript.as_deref().unwrap_or_default();
    let task = IngestRequest {
        session,
        client: hook.observation.client,
        transcript: Path::new(transcript),
        wait,
        turn_ended,
        has_crons,
    };
    let faults = match turn::complete(ledger, hook.env, &hook.config(), &task) {
        Err(error) if error.is_busy() => return Ok(()),
        faults => faults?,
    };
    for fault in faults {
        hook.note(&fault);
    }
    Ok(())
}

/// The run that a subagent's event is about.
fn run(hook: &Hook<'_>, starts: bool) -> Option<AgentObservation> {
    let payload = hook.payload;
    let at = hook.observation.at;
    Some(AgentObservation {
        id: payload.agent.clone()?,
        agent_type: payload.agent_type.clone(),
        tool_use_id: None,
        started_at: starts.then_some(at),
        ended_at: (!starts).then_some(at),
        logged: None,
        defaults: defaults_for(payload.agent_type.as_deref(), &hook.config().subagents),
    })
}
