//! Kimi's payloads, old and new: Claude Code's events, a call's members under other names, and no transcript.

use super::{AGENTS, MAIN, WIRE, Wires};
use crate::clients::hook_fields::{self, ToolFields};
use crate::clients::{HookAnswer, HookEvent, HookPayload, HookProtocol, LogReader as _};
use crate::domain::SessionId;
use crate::env::Env;
use crate::json::Object;

/// How the members of a tool call are named.
const TOOL_FIELDS: ToolFields = ToolFields { id: "tool_call_id", response: "tool_output" };

/// The protocol of Kimi's hooks.
#[derive(Debug, Clone, Copy)]
pub(in crate::clients) struct Hooks;

impl HookProtocol for Hooks {
    fn decode<'a>(&self, object: &Object<'a>, env: &Env) -> Option<HookPayload<'a>> {
        let event = match object.text("hook_event_name")?.as_ref() {
            "Interrupt" => HookEvent::TurnEnd { has_crons: false },
            // They say which type of subagent, and not which one.
            "SubagentStart" | "SubagentStop" => return None,
            name => hook_fields::event(object, name, &TOOL_FIELDS)?,
        };
        let mut payload = hook_fields::payload(object, event);
        // The ledger knows it from the session's start; a look into all folders of projects is for events that read it.
        if !payload.event.is_brief() {
            payload.transcript = payload.session.as_ref().and_then(|session| main_log(session, env));
        }
        // The name that the user's settings give the model is none that has a price.
        payload.model = None;
        Some(payload)
    }

    fn encode(&self, _event: &HookEvent<'_>, _answer: &HookAnswer) -> Option<String> {
        None
    }
}

/// The log of a session's main conversation, in one of the folders of projects.
fn main_log(session: &SessionId, env: &Env) -> Option<String> {
    // An id from a payload may say anything; as a name of a folder it stands for itself or not at all.
    if session.as_str().contains(['/', '\\']) || session.as_str().starts_with('.') {
        return None;
    }
    let projects = Wires.folders(env).into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    let mut sessions = projects.flatten().flatten().map(|project| project.path().join(session.as_str()));
    let found = sessions.find_map(|own| {
        [own.join(AGENTS).join(MAIN).join(WIRE), own.join(WIRE)].into_iter().find(|path| path.is_file())
    });
    Some(found?.to_str()?.to_owned())
}
