//! Which records are of one response, and which records are copies of another session's.
//!
//! # Which records are of one response
//!
//! A response is written as several lines, and its lines are repeated in other files. Its key is `message.id`, or `requestId`
//! where there is none. No id is believed alone: gateways answer every request with a constant `message.id`, or count from 1 in each
//! session, and some send no ids at all. What a record is besides its id:
//!
//! - its **request**: `requestId`. Where a log names none, the first line of an unbroken run of lines stands for it. A run
//!   ends at a `user` line.
//! - its **line**: the `uuid`. A copy of a line keeps it, and its time.
//! - its **prompt**: what was read, cached or not. The lines of one response all name the same.
//!
//! Records with one key are of one response ([`crate::reconcile::is_same`])
//!
//! - if they are the same line (a copy, in whatever session);
//! - within a session, if they answer the same request or have the same time; if not both name their request and they have
//!   the same prompt (old clients: the lines of a response with results of its tools between them); if one is an echo
//!   (`progress`) and they have the same prompt; if one is of a side question (`/btw`, which repeats the conversation with
//!   other requests), they have the same prompt by class, and the output of neither is beyond that of a complete one;
//! - in two sessions only then.
//!
//! What follows a whole answer and a `user` line with another prompt is another answer, though both have one id and one request
//! (gateways that have one for all). Of records whose order is not known, both must be whole for that.
//!
//! Else they are two responses. The second is kept under a variant of the key ([`MessageId::variant`]).
//!
//! A record without either id belongs to the run that it stands in: the key is the `uuid` of the run's first line. A record
//! with a `stop_reason` ends the run, unless the next one repeats its usage (new clients write it on each line). A line
//! without a `uuid` is known by a hash of what it says.
//!
//! # Which records are copies
//!
//! A fork's file begins with its parent's lines, under the fork's own `sessionId`. They are known
//!
//! - by their marks: `forkedFrom` (`/branch`), `requestSessionId` (`--fork-session`), if they name another session;
//! - by their times: a headless fork's file begins with a note of the client's own (`queue-operation`), and its copies are
//!   older than that. A session whose clock was set back looks alike, so this holds only for what stands in one stretch
//!   between the note and the prompt that it announces, which is written within moments ([`Note`]);
//! - else by comparing sessions, which the ledger does (`store::owners`): a client of before these marks writes none when a
//!   fork is made in a terminal.
//!
//! Clients of 2.1.216 to 2.1.246 leave the parent's `sessionId` on the copies. Then they are the parent's own lines, in
//! another file.

use super::line::{Line, LineField, MessageField, MessagePart};
use super::{Progress, TranscriptReading};
use crate::domain::{LineTag, MessageId, RequestTag, SessionId, Timestamp, Usage};
use crate::json::Object;

/// Longest id that is kept as it is, in bytes; more is added to it where it is not unique. Real ones have 20 to 60.
const LONGEST_ID: usize = 120;

/// How long after its note a prompt is written at most, in milliseconds.
const MOMENTS: i64 = 60_000;

/// What a file's first dated line says of older lines after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Note {
    /// It is no note of the client's, or what follows is the session's own.
    #[default]
    None,
    /// It is a note, and no line of the conversation has followed yet.
    First,
    /// It is a note, older lines follow, and nothing tells yet whether these are copies.
    Older,
    /// Older lines are copies: the file is a fork's.
    Copies,
}

impl Note {
    /// From the ledger.
    #[must_use]
    pub(super) const fn from_rank(rank: i64) -> Self {
        match rank {
            1 => Self::First,
            2 => Self::Copies,
            3 => Self::Older,
            _ => Self::None,
        }
    }

    /// For the ledger.
    #[must_use]
    pub(super) const fn rank(self) -> i64 {
        match self {
            Self::None => 0,
            Self::First => 1,
            Self::Copies => 2,
            Self::Older => 3,
        }
    }

    /// What is known after another line. `starts_turn` tells of a `user` line whether it is a prompt.
    #[must_use]
    pub(super) fn after(
        self,
        kind: &[u8],
        at: Option<Timestamp>,
        file_start: Option<Timestamp>,
        starts_turn: impl FnOnce() -> bool,
    ) -> Self {
        if matches!(self, Self::None | Self::Copies) {
            return self;
        }
        match (kind, at.zip(file_start)) {
            (b"user" | b"assistant", Some((at, start))) if at < start => Self::Older,
            (b"user" | b"assistant", Some(_)) if self == Self::First => Self::None,
            (b"user", Some((at, start))) => {
                let is_announced = at.as_millis().saturating_sub(start.as_millis()) <= MOMENTS;
                if is_announced && starts_turn() { Self::Copies } else { Self::None }
            }
            (b"assistant", Some(_)) => Self::None,
            // What the client writes for itself is not copied, so lines before it were the session's own.
            (
                b"queue-operation" | b"last-prompt" | b"mode" | b"permission-mode" | b"api-request"
                | b"cost-state",
                _,
            ) if self == Self::Older => Self::None,
            _ => self,
        }
    }
}

/// The last response of a file, for what goes on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastResponse {
    /// The key under which it is kept.
    id: MessageId,
    request: Option<RequestTag>,
    at: Option<Timestamp>,
    /// Whether no `user` line has followed.
    is_open: bool,
    is_complete: bool,
    /// Whether neither it nor its request has an id.
    is_nameless: bool,
    /// Whether it shows next to nothing ([`Usage::is_zeroed`]).
    is_zeroed: bool,
    prompt: u64,
    output: u64,
}

impl LastResponse {
    /// For the ledger.
    #[must_use]
    pub(super) fn to_text(&self) -> String {
        let request = self.request.map_or(0, RequestTag::to_bits);
        let at = self.at.map_or(i64::MIN, Timestamp::as_millis);
        let flags = u8::from(self.is_open)
            | u8::from(self.is_complete) << 1
            | u8::from(self.is_nameless) << 2
            | u8::from(self.is_zeroed) << 3;
        format!("{request} {at} {flags} {} {} {}", self.prompt, self.output, self.id)
    }

    /// From the ledger.
    #[must_use]
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ' ');
        let request: i64 = parts.next()?.parse().ok()?;
        let at: i64 = parts.next()?.parse().ok()?;
        let flags: u8 = parts.next()?.parse().ok()?;
        Some(Self {
            request: (request != 0).then(|| RequestTag::from_bits(request)),
            at: (at != i64::MIN).then(|| Timestamp::from_millis(at)),
            is_open: flags & 1 != 0,
            is_complete: flags & 2 != 0,
            is_nameless: flags & 4 != 0,
            is_zeroed: flags & 8 != 0,
            prompt: parts.next()?.parse().ok()?,
            output: parts.next()?.parse().ok()?,
            id: MessageId::new(parts.next()?)?,
        })
    }

    /// Whether a record with the same id is of this response, as far as the file tells.
    fn is_of(&self, request: Option<RequestTag>, at: Option<Timestamp>, usage: Usage) -> bool {
        let prompt = usage.prompt();
        let is_named = |tag: Option<RequestTag>| tag.is_some_and(RequestTag::is_named);
        if at.is_some() && at == self.at {
            return true;
        }
        if request.is_some() && request == self.request {
            // Some gateways have one request for all, too: what follows a whole answer with another prompt is another answer.
            return self.is_open
                || !(self.is_complete && prompt != self.prompt && prompt.min(self.prompt) > 0)
                || self.is_zeroed
                || usage.is_zeroed();
        }
        match (is_named(self.request), is_named(request)) {
            (true, true) => false,
            _ => self.is_open || (prompt > 0 && prompt == self.prompt) || self.is_zeroed || usage.is_zeroed(),
        }
    }
}

/// By what a record is known.
#[derive(Debug, Clone)]
pub(super) struct RecordKey {
    pub(super) id: MessageId,
    pub(super) request: Option<RequestTag>,
    pub(super) line: Option<LineTag>,
}

/// The key of a line that shows a response, which the next lines may go on with.
pub(super) fn key_of(
    line: &Line<'_>,
    message: &MessagePart<'_>,
    (at, usage, is_complete): (Option<Timestamp>, Usage, bool),
    progress: &mut Progress,
) -> Option<RecordKey> {
    let tag = tag_of(line, message);
    let named = line.word(LineField::RequestId).filter(|id| !id.is_empty()).map(|id| RequestTag::named(&id));
    let begun = Some(RequestTag::begun_by(tag));
    let (prompt, output) = (usage.prompt(), usage.output);
    let last = progress.last_response.as_ref();
    let mut is_nameless = false;
    let (id, request) = match last.filter(|last| message.is_written(MessageField::Id, last.id.base())) {
        Some(last) => goes_on(last, (named.or(begun), tag), at, usage)?,
        None => match given_id(line, message) {
            Some(base) => match last.filter(|last| last.id.base() == base.base()) {
                Some(last) => goes_on(last, (named.or(begun), tag), at, usage)?,
                None => (base, named.or(begun)),
            },
            None => {
                is_nameless = true;
                let goes_on = |last: &&LastResponse| {
                    let repeats = last.prompt == prompt && last.output == output;
                    last.is_nameless && last.is_open && (!last.is_complete || repeats)
                };
                match last.filter(goes_on) {
                    Some(last) => (last.id.clone(), last.request),
                    None => (own_id(line, message)?, begun),
                }
            }
        },
    };
    progress.last_response = Some(LastResponse {
        id: id.clone(),
        request,
        at,
        is_open: true,
        is_complete,
        is_nameless,
        is_zeroed: usage.is_zeroed(),
        prompt,
        output,
    });
    Some(RecordKey { id, request, line: Some(tag) })
}

/// The key and request of a record that has the id of the last response.
fn goes_on(
    last: &LastResponse,
    (request, line): (Option<RequestTag>, LineTag),
    at: Option<Timestamp>,
    usage: Usage,
) -> Option<(MessageId, Option<RequestTag>)> {
    if last.is_of(request, at, usage) {
        let is_named = request.is_some_and(RequestTag::is_named);
        return Some((last.id.clone(), if is_named { request } else { last.request.or(request) }));
    }
    let mark = match request {
        Some(request) if Some(request) != last.request => request.to_bits(),
        _ => line.to_bits(),
    };
    let mark = mark.cast_unsigned();
    Some((last.id.variant(mark)?, request))
}

/// The key of a line within another one (an echo): nothing goes on with it.
pub(super) fn key_of_echo(line: &Line<'_>, message: &MessagePart<'_>) -> Option<RecordKey> {
    let tag = tag_of(line, message);
    let named = line.word(LineField::RequestId).filter(|id| !id.is_empty()).map(|id| RequestTag::named(&id));
    let id = given_id(line, message).or_else(|| own_id(line, message))?;
    Some(RecordKey { id, request: named.or(Some(RequestTag::begun_by(tag))), line: Some(tag) })
}

/// The id of the response, else that of its request.
fn given_id(line: &Line<'_>, message: &MessagePart<'_>) -> Option<MessageId> {
    message
        .text(MessageField::Id)
        .and_then(|id| kept_id(&id))
        .or_else(|| kept_id(&line.text(LineField::RequestId)?))
}

/// An id from a log, or what stands for one that is too long.
pub(super) fn kept_id(text: &str) -> Option<MessageId> {
    if text.len() <= LONGEST_ID {
        return MessageId::new(text);
    }
    MessageId::new(&format!("long-{:016x}", LineTag::of(text.as_bytes()).to_bits()))
}

/// What stands for the id of a response that has none: the line's, else what it says and when.
fn own_id(line: &Line<'_>, message: &MessagePart<'_>) -> Option<MessageId> {
    let of_text = || MessageId::new(&format!("line-{:016x}", tag_of(line, message).to_bits()));
    line.text(LineField::Uuid).and_then(|uuid| kept_id(&uuid)).or_else(of_text)
}

/// Which line it is: by its `uuid`, else by what it says and when.
fn tag_of(line: &Line<'_>, message: &MessagePart<'_>) -> LineTag {
    if let Some(uuid) = line.word(LineField::Uuid).filter(|uuid| !uuid.is_empty()) {
        return LineTag::of(&uuid);
    }
    let mut text = line.bytes(LineField::Timestamp).unwrap_or_default().to_vec();
    text.extend_from_slice(line.bytes(LineField::Message).unwrap_or_default());
    text.extend_from_slice(message.content().unwrap_or_default());
    LineTag::of(&text)
}

/// Whether a line is marked as a copy of another session's.
pub(super) fn is_marked_copy(line: &Line<'_>, session: &SessionId) -> bool {
    let is_other = |id: &str| !id.is_empty() && id != session.as_str();
    line.text(LineField::RequestSession).is_some_and(|id| is_other(&id))
        || line.json(LineField::ForkedFrom).is_some_and(|from| {
            let from =
                Object::parse(&from).ok().and_then(|from| from.text("sessionId").map(|id| is_other(&id)));
            from.unwrap_or(false)
        })
}

impl TranscriptReading {
    /// Notes a line that is marked as a copy. What the session's other lines say up to its time is not the session's own.
    pub(super) fn note_copy(&mut self, at: Option<Timestamp>) {
        self.copied_until = self.copied_until.max(at);
        let Some(until) = self.copied_until else { return };
        // The client's own note at the file's start is.
        let note =
            self.progress.file_start.filter(|start| self.progress.note != Note::None && *start > until);
        let facts = &mut self.facts;
        for time in [&mut facts.first_at, &mut facts.last_at] {
            *time = time.filter(|at| *at > until).or(note);
        }
    }

    /// Notes that a `user` line stands after the last response.
    pub(super) fn close_response(&mut self) {
        if let Some(last) = &mut self.progress.last_response {
            last.is_open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_response_is_stored_whole() {
        for (at, request) in [(None, None), (Some(5), Some(RequestTag::named(b"req_1")))] {
            let last = LastResponse {
                id: MessageId::new("an id with spaces").unwrap(),
                request,
                at: at.map(Timestamp::from_millis),
                is_open: true,
                is_complete: at.is_none(),
                is_nameless: at.is_some(),
                is_zeroed: at.is_some(),
                prompt: 10,
                output: 20,
            };
            assert_eq!(LastResponse::from_text(&last.to_text()), Some(last));
        }
        assert_eq!(LastResponse::from_text("1 2 3"), None);
    }

    #[test]
    fn older_lines_are_copies_only_up_to_the_prompt_that_the_note_announces() {
        let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
        let read = |lines: &[(&str, i64)]| {
            lines.iter().fold(Note::First, |note, (kind, second)| {
                note.after(kind.as_bytes(), at(*second), at(100), || true)
            })
        };
        assert_eq!(read(&[("user", 10), ("assistant", 20), ("user", 101)]), Note::Copies);
        assert_eq!(read(&[("user", 10), ("assistant", 20)]), Note::Older);
        assert_eq!(read(&[("user", 100)]), Note::None);
        // A clock that was set back comes to the note's time again in the middle of something, or much later.
        assert_eq!(read(&[("user", 10), ("assistant", 101)]), Note::None);
        assert_eq!(read(&[("user", 10), ("assistant", 20), ("user", 161)]), Note::None);
        assert_eq!(read(&[("user", 10), ("last-prompt", 0), ("assistant", 20), ("user", 101)]), Note::None);
    }
}
