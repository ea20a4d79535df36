//! What alerts have to say: a line for the user, once for each occurrence. Off by default; then no event of a tool call asks
//! for them at all. They stop nothing, and a fault of theirs is silence.

use super::Hook;
use crate::clients::HookEvent;
use crate::domain::{AlertKind, Alerts, CallLoop, EndedRun, MAIN_AGENT, Tool, UsedAmount};
use crate::error::Error;
use crate::present::alert_messages::{SUBAGENT, context_line, ended_lines, loop_line, spike_line};
use crate::store::Ledger;

/// The lines for this event.
pub(super) fn lines(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<Vec<String>, Error> {
    let event = &hook.payload.event;
    let wanted: &[AlertKind] = match event {
        HookEvent::ToolFinished(_) => &[AlertKind::Loop],
        HookEvent::ToolBatch(_) | HookEvent::TurnEnd { .. } => {
            &[AlertKind::Spike, AlertKind::Context, AlertKind::Subagents]
        }
        HookEvent::UserPromptSubmit { .. } => &[AlertKind::Spike, AlertKind::Loop],
        HookEvent::SubagentStop => &[AlertKind::Subagents],
        _ => return Ok(Vec::new()),
    };
    let alerts = match hook.alerts.get() {
        Some(alerts) => alerts.clone(),
        None => ledger.alerts().chosen()?,
    };
    if !wanted.iter().any(|kind| alerts.has(*kind)) {
        return Ok(Vec::new());
    }
    let session = hook.session();
    match event {
        HookEvent::ToolFinished(_) => repeated(hook, ledger, &alerts),
        HookEvent::UserPromptSubmit { .. } => {
            let unheard = ledger.alerts_mut().watch_costs(session, |watch, watched| {
                watch.begin_turn(watched.cost.to_i64(), &mut watched.habit);
                watch.take_unheard()
            })?;
            Ok(unheard.into_iter().flatten().map(loop_line).collect())
        }
        HookEvent::SubagentStop => note_run(hook, ledger).map(|()| Vec::new()),
        _ => at_work(hook, ledger, &alerts),
    }
}

/// What is said when an agent makes the same call again and again.
fn repeated(hook: &Hook<'_>, ledger: &mut Ledger, alerts: &Alerts) -> Result<Vec<String>, Error> {
    let HookEvent::ToolFinished(tool) = &hook.payload.event else { return Ok(Vec::new()) };
    let name = tool.tool.as_str();
    let agent = hook.payload.agent.as_ref().map_or("", |agent| agent.as_str());
    let known = Tool::named(name);
    let polls = known.is_some_and(|known| known.polls);
    let Some(&(call, id)) = hook.call.get().filter(|_| !polls) else { return Ok(Vec::new()) };
    let is_change = known.is_some_and(|known| known.edits_files) && !tool.failed;
    let payload = hook.payload;
    let loops = ledger.alerts_mut().watch_calls(hook.session(), |watch| {
        let times = if is_change {
            watch.forget_calls(agent);
            None
        } else {
            watch.note_call(agent, call, id, alerts.repeats)
        };
        let found = times.map(|times| {
            let unknown = if payload.agent.is_some() { SUBAGENT } else { MAIN_AGENT };
            let who = payload.agent_type.as_deref().unwrap_or(unknown).to_owned();
            CallLoop { who, tool: name.to_owned(), times }
        });
        // What is said at a subagent's events the client shows nobody; the next one of the main conversation says it.
        if payload.agent.is_some() {
            found.into_iter().for_each(|found| watch.keep_unheard(found));
            return Vec::new();
        }
        watch.take_unheard().into_iter().chain(found).collect()
    })?;
    Ok(loops.into_iter().flatten().map(loop_line).collect())
}

/// A turn that costs more than usual, a context that is nearly full, and subagents that have ended.
fn at_work(hook: &Hook<'_>, ledger: &mut Ledger, alerts: &Alerts) -> Result<Vec<String>, Error> {
    let session = hook.session();
    let mut lines = Vec::new();
    let is_main = hook.payload.agent.is_none();
    if alerts.has(AlertKind::Spike) && is_main {
        let spike = ledger
            .alerts_mut()
            .watch_costs(session, |watch, watched| watch.spike(watched.cost.to_i64(), &watched.habit))?;
        lines.extend(spike.flatten().map(spike_line));
    }
    if alerts.has(AlertKind::Context) && is_main {
        lines.extend(context(hook, ledger)?);
    }
    if alerts.has(AlertKind::Subagents) && is_main {
        lines.extend(runs(hook, ledger)?);
    }
    Ok(lines)
}

/// What a context can hold is the model's window, or less where the client has compacted the session's before.
fn context(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<Option<String>, Error> {
    let session = hook.session();
    let Some(known) = ledger.sessions().find(session.as_str())? else { return Ok(None) };
    let (Some(tokens), compacted) = ledger.alerts().context_of(known.row)? else { return Ok(None) };
    // A context that is larger than the window that is known shows that it has another one.
    let window = known.model.as_deref().and_then(|model| ledger.prices().context_window(model));
    let window = window.filter(|window| *window >= tokens);
    let Some(most) = window.into_iter().chain(compacted).min() else { return Ok(None) };
    if ledger.alerts_mut().watch_calls(session, |watch| watch.is_nearly_full(tokens, most))? != Some(true) {
        return Ok(None);
    }
    Ok(Some(context_line(tokens, most, Some(most) == window)))
}

/// A subagent's run has ended. The client shows nobody what is said at this event, so it is said at the next one of the main
/// conversation.
fn note_run(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<(), Error> {
    let Some(agent) = &hook.payload.agent else { return Ok(()) };
    let session = hook.session();
    let Some(row) = ledger.sessions().find(session.as_str())?.map(|record| record.row) else { return Ok(()) };
    let UsedAmount { cost, tokens, .. } = ledger.budgets().used_by(row, Some(agent))?;
    if tokens > 0 {
        let agent_type = hook.payload.agent_type.clone();
        let run = EndedRun { agent_type, cost: cost.to_i64(), tokens };
        ledger.alerts_mut().watch_calls(session, |watch| watch.end_run(agent.as_str(), run))?;
    }
    Ok(())
}

/// What subagents' runs have used that have ended since, and the session so far.
fn runs(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<Vec<String>, Error> {
    let told = ledger
        .alerts_mut()
        .watch_costs(hook.session(), |watch, watched| (watch.take_ended(), watched.cost, watched.tokens))?;
    let Some((ended, total_cost, total_tokens)) = told else { return Ok(Vec::new()) };
    Ok(ended_lines(&ended, (total_cost, total_tokens)))
}
