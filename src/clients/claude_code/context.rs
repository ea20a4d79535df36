//! What all kinds of lines say of themselves: the session, the run, the time.

use super::line::{Data, DataField, Line, LineField};
use super::{ReadFrom, TranscriptReading, UNNAMED_SIDECHAIN, identity};
use crate::domain::{AgentId, MessageId, RecordSource, SessionId, Timestamp};
use crate::json::Object;

/// What all kinds of lines say of themselves.
pub(super) struct LineContext {
    pub(super) session: SessionId,
    /// Whether the line names it.
    pub(super) is_named: bool,
    /// Whether the line is marked as a copy of another session's.
    pub(super) is_copy: bool,
    pub(super) agent: Option<AgentId>,
    pub(super) source: RecordSource,
    pub(super) at: Option<Timestamp>,
    is_of_file: bool,
}

impl LineContext {
    pub(super) fn of(line: &Line<'_>, from: &ReadFrom, before: &TranscriptReading) -> Self {
        // Every line repeats these two.
        let known = before.facts_of.as_ref().filter(|id| line.is_written(LineField::SessionId, id.as_str()));
        let named = known.cloned().or_else(|| SessionId::new(&line.text(LineField::SessionId)?));
        // Streams that were saved have no `sessionId`. In transcripts the other one can be of another session.
        let is_stream = named.is_none() && line.bytes(LineField::StreamSession).is_some();
        let named = named.or_else(|| SessionId::new(&line.text(LineField::StreamSession)?));
        let is_named = named.is_some();
        let session = named.or_else(|| before.facts_of.clone()).unwrap_or_else(|| from.session.clone());
        let known = from.agent.as_ref().filter(|id| line.is_written(LineField::AgentId, id.as_str()));
        let named = known.cloned().or_else(|| AgentId::new(&line.text(LineField::AgentId)?));
        let sidechain = from.agent.is_some()
            || named.is_some()
            || line.is_true(LineField::IsSidechain)
            || is_stream && line.bytes(LineField::ParentCall).is_some();
        let agent = named
            .or_else(|| from.agent.clone())
            .or_else(|| if sidechain { AgentId::new(UNNAMED_SIDECHAIN) } else { None });
        let source = if sidechain { RecordSource::Sidechain } else { RecordSource::Main };
        let at = line.time(LineField::Timestamp).or_else(|| line.time(LineField::StreamTime));
        let is_of_file = agent == from.agent;
        let is_copy = identity::is_marked_copy(line, &session);
        Self { session, is_named, is_copy, agent, source, at, is_of_file }
    }

    /// The context of an echo in a `progress` line, which itself has this context.
    pub(super) fn of_echo(&self, data: &Data<'_>, echo: &Line<'_>) -> Self {
        Self {
            session: self.session.clone(),
            is_named: self.is_named,
            is_copy: self.is_copy,
            agent: data
                .text(DataField::AgentId)
                .and_then(|id| AgentId::new(&id))
                .or_else(|| AgentId::new(UNNAMED_SIDECHAIN)),
            source: RecordSource::Progress,
            at: echo.time(LineField::Timestamp).or(self.at),
            is_of_file: false,
        }
    }

    /// The run whose line it is.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.agent.as_ref()
    }

    /// Whether that is the conversation whose file the line stands in.
    pub(super) fn is_of_file(&self) -> bool {
        self.is_of_file
    }

    /// When the line was written.
    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at
    }

    pub(super) fn is_main(&self) -> bool {
        self.source == RecordSource::Main
    }
}

/// The key of a line that shows no usage: the id of the response, else of its request, else of the line.
pub(super) fn message_key(line: &Object<'_>, message: &Object<'_>) -> Option<MessageId> {
    let candidates = [message.text("id"), line.text("requestId"), line.text("uuid")];
    candidates.into_iter().flatten().find_map(|key| identity::kept_id(&key))
}
