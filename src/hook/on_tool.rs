//! `PostToolUse`, `PostToolUseFailure`, `PostToolBatch`: estimate the calls, record them; and at the end of a batch what the
//! provider has billed for the answer that made it.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use tallyhook_counter::Encoding;

use super::Hook;
use super::intake::LeftOutBytes;
use crate::clients::{HookEvent, HookPayload, ToolPayload};
use crate::domain::{
    ActionType, AgentId, Alerts, Client, Estimate, LineDelta, MAX_NAME_CHARS, Method, ModelId, RawCounts,
    TaskChangeKind, ToolCall, ToolName, ToolOutcome, ToolUseId, clean_name, client_version,
};
use crate::error::Error;
use crate::estimate::calibrate::Calibration;
use crate::estimate::subagents::defaults_for;
use crate::estimate::{self, CallView, Era, encoding_of};
use crate::json::{Object, Raw};
use crate::store::{AgentObservation, EventKind, Ledger, Pending, SessionKnowledge};

/// A tool has run, or has failed.
pub(super) fn finished(
    hook: &Hook<'_>,
    ledger: Option<&mut Ledger>,
    tool: &ToolPayload<'_>,
) -> Result<(), Error> {
    let known = PriorKnowledge::of(hook, ledger.as_deref());
    let view = view(tool, hook.payload, known.session.client_version.as_deref());
    let outcome = if tool.failed { ToolOutcome::Failed } else { ToolOutcome::Ok };
    let returned = estimate::returned(known.encoding, &view, |agent_type| {
        defaults_for(agent_type, &hook.config().subagents).returned
    });
    let generated = estimate::generated(known.encoding, &view);
    let call = Box::new(known.call(hook, tool, outcome, (generated, returned), estimate::lines(&view)));
    if let (Some(hash), Some(key)) = (call.input_hash, known.session.hash_key) {
        let id = call.id.as_ref().map(|id| hash_of(&key, id.as_str(), ""));
        let _first = hook.call.set((hash, id)).is_ok();
    }
    hook.record(
        ledger,
        EventKind::ToolCall { call, started: started_run(hook, tool), task: task(hook, tool) },
    )
}

/// All calls of one response are done; the batch has what the model reads of each.
pub(super) fn batch(
    hook: &Hook<'_>,
    ledger: Option<&mut Ledger>,
    tools: &[ToolPayload<'_>],
) -> Result<(), Error> {
    let known = PriorKnowledge::of(hook, ledger.as_deref());
    let mut calls = Vec::with_capacity(tools.len());
    // A ledger that makes readers wait is asked once and no more.
    let mut answers = ledger.is_some();
    for tool in tools {
        // Without an id it cannot be told which call it is.
        let (Some(id), Some(response)) = (&tool.id, tool.response) else { continue };
        // The text names tools whose whole descriptions the client sends; the payload's estimate knows that.
        if tool.tool.as_str() == "ToolSearch" {
            continue;
        }
        let returned = estimate::delivered(known.encoding, response);
        let found =
            ledger.as_deref().filter(|_| answers).map(|ledger| ledger.events().has_call(hook.session(), id));
        answers &= !matches!(found, Some(Err(_)));
        let is_recorded = matches!(found, Some(Ok(true)));
        // The rest of the row is its own event's, where that came first; then nothing is counted twice.
        let (generated, lines) = if is_recorded {
            (Estimate { tokens: 0, method: Method::ExactText }, LineDelta::default())
        } else {
            let view = view(tool, hook.payload, known.session.client_version.as_deref());
            (estimate::generated(known.encoding, &view), estimate::lines(&view))
        };
        calls.push(known.call(hook, tool, ToolOutcome::Unreported, (generated, returned), lines));
    }
    let change = EventKind::ToolBatch { calls };
    let Some(ledger) = ledger else { return hook.record(None, change) };
    let has_budgets = known.session.has_budgets;
    let ids: Vec<ToolUseId> = tools.iter().filter_map(|tool| tool.id.clone()).collect();
    let logs = hook.read_on(ledger, if has_budgets { &ids } else { &[] }, has_budgets);
    let (at, agent, model) = (hook.observation.at, hook.payload.agent.as_ref(), known.session.model.as_ref());
    // What is new in a context is written to the cache.
    let rates = model.and_then(|model| ledger.prices().price(model.as_str(), at, 0, Default::default()));
    let rate = rates.map_or(0, |rates| rates.cache_write_5m);
    let pending = has_budgets.then_some(Pending { at, agent, model, rate, calls: &ids });
    let event = hook.event(change);
    match ledger.logs_mut().record_batch(&event, logs, pending.as_ref()) {
        Ok(()) => Ok(()),
        Err(error) if error.is_busy() => hook.spool(&event),
        // Whatever is wrong with the transcript, the event is kept.
        Err(error) => {
            hook.note(&error);
            hook.record(Some(ledger), event.change)
        }
    }
}

/// The call as the estimator sees it; `version` is the client's, where it is known.
fn view<'v>(tool: &'v ToolPayload<'v>, payload: &'v HookPayload<'_>, version: Option<&str>) -> CallView<'v> {
    CallView {
        tool: &tool.tool,
        input: tool.input,
        response: tool.response,
        error: tool.error,
        cwd: payload.cwd.as_deref(),
        version: version.map(client_version),
        era: match (&tool.id, &payload.prompt_id) {
            (None, _) => Era::Early,
            (Some(_), None) => Era::Middle,
            (Some(_), Some(_)) => Era::Current,
        },
    }
}

/// What was learned of a model, or what is known of its generation.
fn calibration(model: &ModelId, learned: Option<&str>) -> Calibration {
    learned.map_or_else(|| Calibration::prior(model), |text| Calibration::from_json(model, text))
}

/// What the ledger knows before the call.
struct PriorKnowledge {
    encoding: Encoding,
    session: SessionKnowledge,
}

impl PriorKnowledge {
    /// Looks it up. A ledger that cannot be read must not cost the event: then it is what any session begins with.
    fn of(hook: &Hook<'_>, ledger: Option<&Ledger>) -> Self {
        let session = match ledger.map(|ledger| ledger.events().session_knowledge(hook.session())) {
            Some(Ok(session)) => session,
            Some(Err(error)) => {
                if !error.is_busy() {
                    hook.note(&error);
                }
                SessionKnowledge::default()
            }
            None => SessionKnowledge::default(),
        };
        let alerts = Alerts::parse(session.alerts.as_deref().unwrap_or_default());
        let _first = hook.alerts.set(alerts).is_ok();
        Self { encoding: encoding_of(hook.observation.client, session.model.as_ref()), session }
    }

    /// The encoding's counts as the session's model reads them. What is no count of text, or comes from somewhere that
    /// knows better, stays as it is. A model that nobody knows counts like the newest.
    fn calibrated(
        &self,
        client: Client,
        tool: &ToolName,
        (generated, returned): (Estimate, Estimate),
    ) -> (Estimate, Estimate) {
        let newest = ModelId::new("claude");
        let is_claude = client == Client::ClaudeCode || self.session.model.is_some();
        let model = self.session.likely_model.as_ref().or(newest.as_ref());
        let Some(model) = model.filter(|_| is_claude) else { return (generated, returned) };
        let calibration = calibration(model, self.session.calibration.as_deref());
        let is_text = |estimate: &Estimate| {
            !estimate.method.is_media()
                && !matches!(estimate.method, Method::SubagentDefault | Method::FallbackCall)
        };
        let mut both = (generated, returned);
        if is_text(&generated) && generated.tokens > 0 {
            both.0.tokens = calibration.estimate_generated(generated.tokens);
        }
        if is_text(&returned) {
            both.1.tokens = calibration.estimate(tool.kind(), returned.tokens);
        }
        both
    }

    fn call(
        &self,
        hook: &Hook<'_>,
        tool: &ToolPayload<'_>,
        outcome: ToolOutcome,
        (generated, returned): (Estimate, Estimate),
        lines: LineDelta,
    ) -> ToolCall {
        let (action, action_name) = action(hook, tool);
        let raw = RawCounts { generated: generated.tokens, returned: returned.tokens };
        let (generated, returned) =
            self.calibrated(hook.observation.client, &tool.tool, (generated, returned));
        // Only the event of a single call can be long enough for that.
        let is_single = matches!(hook.payload.event, HookEvent::ToolFinished(_));
        let left_out = if is_single { hook.left_out } else { LeftOutBytes::default() };
        let bytes = |raw: Option<Raw<'_>>| raw.map_or(0, |raw| raw.get().len() as u64);
        ToolCall {
            id: tool.id.clone(),
            tool: tool.tool.clone(),
            agent: hook.payload.agent.clone(),
            agent_type: hook.payload.agent_type.clone(),
            at: hook.observation.at,
            duration_ms: tool.duration_ms,
            outcome,
            generated,
            returned,
            raw: Some(raw),
            input_bytes: bytes(tool.input) + left_out.input,
            response_bytes: bytes(tool.response.or(tool.error)) + left_out.response,
            input_hash: self
                .session
                .hash_key
                .zip(tool.input)
                .map(|(key, input)| hash_of(&key, tool.tool.as_str(), input.get())),
            action,
            action_name,
            // A subagent can have a model of its own; it is known from its transcript.
            model: if hook.payload.agent.is_none() { self.session.model.clone() } else { None },
            lines,
            hook_us: hook.env.elapsed_micros(),
        }
    }
}

/// What the call does to the agent's list of tasks, in the main conversation.
fn task(hook: &Hook<'_>, tool: &ToolPayload<'_>) -> Option<TaskChangeKind> {
    let is_task = tool.tool.as_str().starts_with("Task") || tool.tool.as_str() == "TodoWrite";
    if !is_task || tool.failed || hook.payload.agent.is_some() {
        return None;
    }
    let (input, response) = (tool.input.and_then(Object::from_raw), tool.response.and_then(Object::from_raw));
    let mut change = hook.protocol.task_change(&tool.tool, input.as_ref(), response.as_ref())?;
    if !hook.config().store_names {
        change.take_names();
    }
    Some(change)
}

fn hash_of(key: &[u8; 16], name: &str, text: &str) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(name.as_bytes());
    hasher.write_u8(0);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// What the call was made for: the subagent or the skill that it starts, else the subagent that makes it.
fn action(hook: &Hook<'_>, tool: &ToolPayload<'_>) -> (ActionType, Option<String>) {
    let input = |name: &str| {
        tool.input.and_then(Object::from_raw)?.text(name).and_then(|name| clean_name(&name, MAX_NAME_CHARS))
    };
    if tool.tool.is_subagent() {
        (ActionType::Agent, input("subagent_type"))
    } else if tool.tool.as_str() == "Skill" {
        // Clients of 2025 put the skill's name and its arguments in one text; only the name is kept.
        let name = input("skill").or_else(|| input("command"));
        (ActionType::Skill, name.and_then(|name| name.split_whitespace().next().map(str::to_owned)))
    } else if hook.payload.agent.is_some() {
        (ActionType::Agent, hook.payload.agent_type.clone())
    } else {
        (ActionType::Manual, None)
    }
}

/// The subagent run that a call of `Agent` or `Task` has started, where its response names it.
fn started_run(hook: &Hook<'_>, tool: &ToolPayload<'_>) -> Option<AgentObservation> {
    if !tool.tool.is_subagent() {
        return None;
    }
    let response = Object::from_raw(tool.response?)?;
    let id = AgentId::new(&response.text("agentId")?)?;
    let input = tool.input.and_then(Object::from_raw).unwrap_or_default();
    let agent_type = response
        .text("agentType")
        .or_else(|| input.text("subagent_type"))
        .and_then(|name| clean_name(&name, MAX_NAME_CHARS));
    let done = response.text("status").as_deref() == Some("completed");
    Some(AgentObservation {
        id,
        defaults: defaults_for(agent_type.as_deref(), &hook.config().subagents),
        agent_type,
        tool_use_id: tool.id.as_ref().map(|id| id.as_str().to_owned()),
        started_at: None,
        ended_at: done.then_some(hook.observation.at),
        logged: None,
    })
}
