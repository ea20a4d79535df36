//! What a transcript teaches: between two responses of one context it grows by what the first one's calls returned.

use std::collections::HashMap;

use super::Added;
use crate::domain::{AgentId, ContextEntry, MessageId, ModelId, ResponseRecord, ToolKind, ToolUseId};

/// A call of a gap that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredCall {
    /// The call.
    pub call: ToolUseId,
    /// What it returned.
    pub kind: ToolKind,
    /// Tokens of `cl100k_base`, as the transcript has it.
    pub tokens: u64,
}

/// What came into a context between two responses, and by how much it grew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The response that read it.
    pub reader: MessageId,
    /// Its model.
    pub model: ModelId,
    /// The results.
    pub answers: Vec<AnsweredCall>,
    /// Text that the client sent for the calls besides (a skill's), in tokens of `cl100k_base`.
    pub for_calls: u64,
    /// Words of the client's own: reminders, notes on changed files, hooks' contexts. In tokens of `cl100k_base`.
    pub words: u64,
    /// By how much the prompt has grown besides the first response's own output, in tokens.
    pub growth: u64,
    /// What the first response has written, where its log has no final output and it made calls alone: then `growth` holds
    /// that output too.
    pub wrote: Option<Wrote>,
}

/// Calls as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrote {
    /// Tokens of `cl100k_base`.
    pub tokens: u64,
    /// How many calls.
    pub calls: u64,
}

impl Gap {
    /// What was added. `counted` knows what a call was counted at when it was estimated; where it does not, the
    /// transcript's text is what the estimator would have seen.
    pub fn added(&self, mut counted: impl FnMut(&ToolUseId) -> Option<u64>) -> Added {
        let mut added = Added::default();
        for AnsweredCall { call, kind, tokens } in &self.answers {
            added.add(*kind, counted(call).unwrap_or(*tokens));
        }
        added.add_told(self.for_calls, self.words);
        if let Some(wrote) = self.wrote {
            added.add_wrote(wrote);
        }
        added
    }
}

/// What a complete response wrote, and what was billed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBy {
    /// The model.
    pub model: ModelId,
    /// Counted with `cl100k_base`.
    pub tokens: u64,
    /// Tool calls in it.
    pub calls: u64,
    /// The provider's output tokens.
    pub output: u64,
}

/// What a model can learn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalibrationSample {
    /// From what was returned.
    Gap(Gap),
    /// From what was written.
    Written(WrittenBy),
}

/// What is known of a context since its last response.
#[derive(Debug, Default)]
struct ContextState<'a> {
    last: Option<&'a ResponseRecord>,
    calls: HashMap<ToolUseId, ToolKind>,
    /// Text and calls, calls, and whether there was thinking, which can be hidden.
    written: (u64, u64, bool),
    has_text: bool,
    answers: Vec<AnsweredCall>,
    for_calls: u64,
    words: u64,
    /// Something came in whose size is not known, or that the user brought.
    is_spoilt: bool,
}

/// Finds what a transcript's entries teach, one entry after the other. Gaps are left out that hold a prompt, a summary or an
/// image, whose predecessor is not complete and wrote anything but calls, between two models, or beside an advisor's answer,
/// which is billed with the response.
#[derive(Debug)]
pub struct SampleFinder<'m> {
    messages: &'m HashMap<&'m MessageId, &'m ResponseRecord>,
    states: HashMap<Option<AgentId>, ContextState<'m>>,
    of: Option<AgentId>,
}

impl<'m> SampleFinder<'m> {
    /// Nothing yet. `messages` are the transcript's responses as far as they are known.
    #[must_use]
    pub fn new(messages: &'m HashMap<&'m MessageId, &'m ResponseRecord>) -> Self {
        Self { messages, states: HashMap::new(), of: None }
    }

    /// The next entry. Of the last response of each context more may come, so it teaches when the next one is there.
    pub fn add(&mut self, entry: &ContextEntry, mut each: impl FnMut(CalibrationSample)) {
        if let ContextEntry::Of { agent } = entry {
            self.of.clone_from(agent);
            return;
        }
        if !self.states.contains_key(&self.of) {
            self.states.insert(self.of.clone(), ContextState::default());
        }
        let Some(state) = self.states.get_mut(&self.of) else { return };
        match entry {
            ContextEntry::Of { .. } => {}
            ContextEntry::Response { id, text, thinking, calls, .. } => {
                if state.last.is_none_or(|last| last.id != *id) {
                    state.written().map(CalibrationSample::Written).into_iter().for_each(&mut each);
                    let next = self.messages.get(id).copied();
                    next.and_then(|next| state.gap(next))
                        .map(CalibrationSample::Gap)
                        .into_iter()
                        .for_each(&mut each);
                    let last = next.filter(|next| !has_advisor(next, self.messages));
                    *state = ContextState { last, ..ContextState::default() };
                }
                state.has_text |= *text > 0;
                state.written.0 += text + calls.iter().map(|call| call.tokens).sum::<u64>();
                state.written.1 += calls.len() as u64;
                state.written.2 |= *thinking > 0;
                state.calls.extend(calls.iter().map(|call| (call.id.clone(), call.tool.kind())));
            }
            ContextEntry::Result { call, tokens, media } => match state.calls.get(call) {
                Some(kind) if !media => {
                    state.answers.push(AnsweredCall { call: call.clone(), kind: *kind, tokens: *tokens });
                }
                _ => state.is_spoilt = true,
            },
            ContextEntry::CallText { tokens, .. } => state.for_calls += tokens,
            ContextEntry::Note { tokens } => state.words += tokens,
            ContextEntry::Prompt { .. } | ContextEntry::Compaction | ContextEntry::Summary { .. } => {
                state.is_spoilt = true;
            }
        }
    }
}

/// What `entries` teach, as [`SampleFinder`] finds it.
#[must_use]
pub fn calibration_samples(
    entries: &[ContextEntry],
    messages: &HashMap<&MessageId, &ResponseRecord>,
) -> Vec<CalibrationSample> {
    let mut finder = SampleFinder::new(messages);
    let mut found = Vec::new();
    entries.iter().for_each(|entry| finder.add(entry, |sample| found.push(sample)));
    found
}

fn has_advisor(message: &ResponseRecord, messages: &HashMap<&MessageId, &ResponseRecord>) -> bool {
    message.id.of_advisor(0).is_some_and(|id| messages.contains_key(&id))
}

impl ContextState<'_> {
    fn gap(&self, next: &ResponseRecord) -> Option<Gap> {
        let last = self.last.filter(|last| !self.is_spoilt && last.model == next.model)?;
        let left = last.last_iteration();
        let grown = next.last_iteration().prompt().checked_sub(left.prompt())?;
        let (tokens, calls, has_thinking) = self.written;
        let (growth, wrote) = if last.complete {
            (grown.checked_sub(left.output)?, None)
        } else if self.has_text || has_thinking {
            return None;
        } else {
            (grown, Some(Wrote { tokens, calls }))
        };
        let is_whole = !self.answers.is_empty() && self.answers.len() == self.calls.len();
        is_whole.then_some(())?;
        Some(Gap {
            reader: next.id.clone(),
            model: next.model.clone()?,
            answers: self.answers.clone(),
            for_calls: self.for_calls,
            words: self.words,
            growth,
            wrote,
        })
    }

    fn written(&self) -> Option<WrittenBy> {
        let last = self.last.filter(|last| last.complete)?;
        let (tokens, calls, has_thinking) = self.written;
        (!has_thinking && tokens > 0).then_some(())?;
        Some(WrittenBy { model: last.model.clone()?, tokens, calls, output: last.usage.output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ContextCall, Modifiers, RecordSource, SessionId, ToolName, Usage};

    fn message(id: &str, prompt: u64, output: u64) -> ResponseRecord {
        ResponseRecord {
            id: MessageId::new(id).unwrap(),
            request: None,
            line: None,
            session: SessionId::new("s").unwrap(),
            file_start: None,
            copied: false,
            source: RecordSource::Main,
            agent: None,
            model: ModelId::new("claude-opus-5-5"),
            at: None,
            usage: Usage { cache_read: prompt, output, ..Usage::default() },
            iterations: None,
            complete: true,
            skill: None,
            branch: None,
            modifiers: Modifiers::default(),
            content_tokens: 0,
        }
    }

    fn response(id: &str, call: &str) -> ContextEntry {
        let calls = vec![ContextCall {
            id: ToolUseId::new(call).unwrap(),
            tool: ToolName::new("Read"),
            tokens: 20,
            starts: None,
            file_type: None,
            file: None,
        }];
        ContextEntry::Response { id: MessageId::new(id).unwrap(), skill: None, text: 5, thinking: 0, calls }
    }

    fn result(call: &str) -> ContextEntry {
        ContextEntry::Result { call: ToolUseId::new(call).unwrap(), tokens: 100, media: false }
    }

    fn gaps(between: &[ContextEntry]) -> Vec<Gap> {
        gaps_after(&response("a", "one"), &message("a", 1_000, 50), between)
    }

    /// The gaps after a response, with what came between it and the next.
    fn gaps_after(first: &ContextEntry, answer: &ResponseRecord, between: &[ContextEntry]) -> Vec<Gap> {
        let messages = [answer.clone(), message("b", 1_230, 60)];
        let known = messages.iter().map(|message| (&message.id, message)).collect();
        let mut entries = vec![first.clone()];
        entries.extend(between.iter().cloned());
        entries.push(response("b", "two"));
        let gap = |sample| if let CalibrationSample::Gap(gap) = sample { Some(gap) } else { None };
        calibration_samples(&entries, &known).into_iter().filter_map(gap).collect()
    }

    #[test]
    fn a_context_grows_by_what_a_call_returned() {
        let found = gaps(&[result("one")]);
        assert_eq!((found.len(), found[0].growth, found[0].words), (1, 180, 0));
        let mut expected = Added::default();
        expected.add(ToolKind::Read, 100);
        assert_eq!(found[0].added(|_| None), expected);
        let noted = &gaps(&[result("one"), ContextEntry::Note { tokens: 30 }])[0];
        expected = Added::default();
        expected.add(ToolKind::Read, 90);
        expected.add_told(0, 30);
        assert_eq!(noted.added(|call| (call.as_str() == "one").then_some(90)), expected);
    }

    #[test]
    fn an_answer_of_calls_alone_teaches_without_its_final_output() {
        let started = ResponseRecord { complete: false, ..message("a", 1_000, 1) };
        let of = |written: u64, hidden: u64| match response("a", "one") {
            ContextEntry::Response { id, skill, calls, .. } => {
                ContextEntry::Response { id, skill, text: written, thinking: hidden, calls }
            }
            other => other,
        };
        let found = gaps_after(&of(0, 0), &started, &[result("one")]);
        assert_eq!((found.len(), found[0].growth), (1, 230), "the logged output is only the stream's start");
        assert_eq!(found[0].wrote, Some(Wrote { tokens: 20, calls: 1 }));
        // Nobody knows how long text and thinking became.
        assert_eq!(gaps_after(&of(5, 0), &started, &[result("one")]), []);
        assert_eq!(gaps_after(&of(0, 5), &started, &[result("one")]), []);
    }

    #[test]
    fn what_something_else_came_into_teaches_nothing() {
        assert_eq!(gaps(&[]), []);
        assert_eq!(gaps(&[result("one"), ContextEntry::Prompt { tokens: 9 }]), []);
        assert_eq!(gaps(&[result("one"), ContextEntry::Compaction]), []);
        assert_eq!(gaps(&[result("unknown")]), []);
    }

    #[test]
    fn a_response_teaches_by_what_it_wrote() {
        let messages = [message("a", 1_000, 50)];
        let known = messages.iter().map(|message| (&message.id, message)).collect();
        assert_eq!(calibration_samples(&[response("a", "one")], &known), [], "more of it may come");
        let found = calibration_samples(&[response("a", "one"), response("b", "two")], &known);
        let model = ModelId::new("claude-opus-5-5").unwrap();
        assert_eq!(
            found,
            [CalibrationSample::Written(WrittenBy { model, tokens: 25, calls: 1, output: 50 })]
        );
    }
}
