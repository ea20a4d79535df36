//! What budgets have to say: warnings, once for each threshold, and the hard stop.
//!
//! A session is stopped where the client lets it be stopped before the next paid request (`docs/facts.md#stopping-a-session`): a
//! prompt is blocked, the turn ends after a batch of tools, and what would still start within a batch is refused. A call of
//! `tallyhook budget` always passes, for it is what lifts the stop. A fault of ours stops nobody.

use std::borrow::Cow;

use super::Hook;
use super::lifting::{Shell, is_prompt, lifts};
use crate::budget::{self, BudgetStatus};
use crate::calendar::Zone;
use crate::clients::{HookAnswer, HookEvent, ToolPayload};
use crate::domain::MAIN_AGENT;
use crate::error::Error;
use crate::json::Object;
use crate::present::budget_messages;
use crate::store::{EventKind, Ledger, SessionRow};

/// What the client is to be told at this event.
pub(super) fn answer(hook: &Hook<'_>, ledger: &mut Ledger) -> Result<HookAnswer, Error> {
    let event = &hook.payload.event;
    let speaks = matches!(
        event,
        HookEvent::UserPromptSubmit { .. }
            | HookEvent::ToolAsked(_)
            | HookEvent::ToolBatch(_)
            | HookEvent::TurnEnd { .. }
    );
    // What is said when a subagent ends the client shows nobody (seen with 2.1.330); the next event says it.
    if !speaks {
        return Ok(HookAnswer::Nothing);
    }
    let session = hook.session().as_str();
    let Some(mut asked) = ledger.budgets().of_session(session)? else { return Ok(HookAnswer::Nothing) };
    // Prices that have changed since hold for this event already; those that cannot be read lift no stop.
    if hook.own_prices().is_some() {
        ledger.set_prices(hook.prices());
        match ledger.reprice() {
            Ok(true) => asked = ledger.budgets().of_session(session)?.unwrap_or(asked),
            Ok(false) => {}
            Err(error) => hook.note(&error),
        }
    }
    let looks = match event {
        // The turn before may have ended without a word (Esc). Mostly nothing is new, and costs a look at the file.
        HookEvent::UserPromptSubmit { .. } => Some(&[][..]),
        // Where it uses up the budget, the answer that asks for an agent starts none.
        HookEvent::ToolAsked(tool) if tool.starts_agents() && asked.stops(hook.observation.at) => {
            Some(tool.id.as_slice())
        }
        // Nothing else of a turn that goes on tells what it has used so far.
        HookEvent::ToolAsked(_) if !hook.protocol.sends_batches() && hook.protocol.can_stop(event) => {
            asked.stops(hook.observation.at).then_some(&[][..])
        }
        _ => None,
    };
    if let Some(calls) = looks {
        let logs = hook.read_on(ledger, calls, true);
        if !logs.is_empty() || asked.session == SessionRow::NONE {
            ledger.logs_mut().record_batch(&hook.event(EventKind::Seen), logs, None)?;
            asked = ledger.budgets().of_session(session)?.unwrap_or(asked);
        }
    }
    let (now, row) = (hook.observation.at, asked.session);
    let (project, model) = (asked.project.clone(), asked.model.clone());
    let zone = || Zone::of_user(hook.env);
    let mut held = budget::standings(ledger, asked, now, zone, &hook.config().lowered)?;
    held.retain(|held| held.budget.scope.has_project(project.as_deref()));
    let stop = held.iter().find(|held| held.stops(now) && holds(hook, held, model.as_deref()));
    // What is said at a subagent's events the client shows nobody either: the next one of the main conversation says it.
    let is_heard = hook.payload.agent.is_none();
    if let Some(stop) = stop
        && hook.protocol.can_stop(event)
        && !is_lifting(event)
    {
        // Where this cannot be written no `budget add` can either, and then nobody is stopped.
        ledger.budgets_mut().note_stop(&stop.budget, row, now, is_heard)?;
        return Ok(HookAnswer::Stop(budget_messages::stop_reason(stop, hook.observation.client, session)));
    }
    if matches!(event, HookEvent::ToolAsked(_)) || !is_heard {
        return Ok(HookAnswer::Nothing);
    }
    let mut lines = Vec::new();
    for held in &held {
        let state = held.standing.state();
        if held.totals.told < state && ledger.budgets_mut().note_told(&held.budget, row, state)? {
            let start = ledger.sessions().find(session)?.and_then(|record| record.started_at);
            let since = budget::used_for(ledger, held, start, now)?;
            lines.push(if held.stops(now) && !holds(hook, held, model.as_deref()) {
                budget_messages::stopped_elsewhere(held)
            } else {
                budget_messages::warning(held, since)
            });
        }
    }
    Ok(if lines.is_empty() { HookAnswer::Nothing } else { HookAnswer::Warning(lines.join("\n")) })
}

/// Whether a budget holds for who is at work: the agent that sends the event, and the session's model; or for the agent
/// that is about to be started.
fn holds(hook: &Hook<'_>, held: &BudgetStatus, model: Option<&str>) -> bool {
    let payload = hook.payload;
    let agent = match &payload.agent {
        Some(id) => [payload.agent_type.as_deref(), Some(id.as_str())],
        None => [Some(MAIN_AGENT), None],
    };
    let scope = &held.budget.scope;
    // A subagent may have a model of its own, which its events do not tell.
    (scope.has_agent(&agent) && (payload.agent.is_some() || scope.has_model(model)))
        || (scope.agent.is_some() && scope.has_agent(&[starting(&payload.event).as_deref(), None]))
}

/// The type of the agent that a call is about to start.
fn starting<'a>(event: &HookEvent<'a>) -> Option<Cow<'a, str>> {
    let HookEvent::ToolAsked(tool) = event else { return None };
    tool.input.filter(|_| tool.tool.is_subagent()).and_then(Object::from_raw)?.text("subagent_type")
}

/// Whether the event is a call of `tallyhook budget`.
fn is_lifting(event: &HookEvent<'_>) -> bool {
    match event {
        HookEvent::UserPromptSubmit { prompt } => prompt.as_deref().is_some_and(is_prompt),
        HookEvent::ToolAsked(tool) => is_budget_call(tool),
        _ => false,
    }
}

fn is_budget_call(tool: &ToolPayload<'_>) -> bool {
    let Some(shell) = Shell::of_tool(tool.tool.as_str()) else { return false };
    let input = tool.input.and_then(Object::from_raw).unwrap_or_default();
    input.text("command").is_some_and(|command| lifts(&command, shell))
}
