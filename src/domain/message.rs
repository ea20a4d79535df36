//! One API response, as a log tells it.

use super::{AgentId, MessageId, ModelId, Modifiers, SessionId, Timestamp, Usage};

/// Which kind of record told of a response; the first is the best witness of whose it is.
///
/// A sidechain can replay messages of the main conversation (`/btw`), and old clients echo a subagent's
/// messages in `progress` lines of the main file (`docs/facts.md#subagents`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageSource {
    /// A line of the main conversation.
    Main = 0,
    /// A line of a subagent's own transcript, or one marked as a sidechain.
    Sidechain = 1,
    /// An echo in a `progress` line.
    Progress = 2,
}

impl MessageSource {
    /// The source of that rank.
    #[must_use]
    pub const fn from_rank(rank: i64) -> Self {
        match rank {
            0 => Self::Main,
            1 => Self::Sidechain,
            _ => Self::Progress,
        }
    }
}

/// One record of an API response. A response is streamed as several records with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The key of the response, the same in every file that tells of it.
    pub id: MessageId,
    /// The session whose file the record stands in.
    pub session: SessionId,
    /// When that file starts: a response belongs to the session whose file starts first (forks copy messages).
    pub file_start: Option<Timestamp>,
    /// Whether it is older than its file, and so a fork's copy of another session's record.
    pub copied: bool,
    /// Which kind of record it is.
    pub source: MessageSource,
    /// The subagent run it belongs to; `None` for the main conversation.
    pub agent: Option<AgentId>,
    /// The model that answered.
    pub model: Option<ModelId>,
    /// When the record was written.
    pub at: Option<Timestamp>,
    /// What the record says was used.
    pub usage: Usage,
    /// Whether the response is known to be complete (`stop_reason` is set). If not, `usage.output` may be only
    /// the value at the stream's start.
    pub complete: bool,
    /// The skill that the client says it worked for.
    pub skill: Option<String>,
    /// The branch that was checked out.
    pub branch: Option<String>,
    /// What changes its price.
    pub modifiers: Modifiers,
    /// tiktoken's count of what records without a final usage wrote; of no use once the response is complete.
    pub content_tokens: u64,
}

impl Message {
    /// What the log probably leaves out of an incomplete response's output, in tokens: an estimate. Logged numbers of
    /// that kind have a median of 1 % of the content, which Claude counts as 1.16 × `cl100k_base`
    /// (`docs/facts.md#incomplete-output`).
    #[must_use]
    pub fn shortfall(&self) -> u64 {
        let written = self.content_tokens.saturating_mul(116).div_ceil(100);
        if self.complete { 0 } else { written.saturating_sub(self.usage.output) }
    }
}
