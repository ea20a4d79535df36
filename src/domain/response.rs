//! One API response, as a log tells it.

use std::cmp::Ordering;

use super::{AgentId, MessageId, ModelId, Modifiers, SessionId, Timestamp, Usage};

/// Which kind of record told of a response; the first is the best witness of whose it is.
///
/// A sidechain can replay messages of the main conversation (`/btw`), and old clients echo a subagent's
/// messages in `progress` lines of the main file (`docs/facts.md#subagents`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordSource {
    /// A line of the main conversation.
    Main = 0,
    /// A line of a subagent's own transcript, or one marked as a sidechain.
    Sidechain = 1,
    /// An echo in a `progress` line.
    Progress = 2,
}

impl RecordSource {
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

/// What stands in comparisons for an id from a log: few bytes, the same in every process.
fn hash(text: &[u8]) -> i64 {
    const FACTOR: u64 = 0xff51_afd7_ed55_8ccd;
    let mut hash = (text.len() as u64).wrapping_mul(FACTOR);
    for part in text.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        hash ^= hash >> 32;
    }
    // Never 0, which stands for none.
    (hash >> 1).cast_signed() | 1
}

macro_rules! tag {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// From the ledger.
            #[must_use]
            pub const fn from_bits(bits: i64) -> Self {
                Self(bits)
            }

            /// For the ledger.
            #[must_use]
            pub const fn to_bits(self) -> i64 {
                self.0
            }
        }
    };
}

tag!(
    /// Which line of a log a record is: a hash of the line's id. Copies of a line keep it.
    LineTag
);
tag!(
    /// Which request a record answers: a hash of the request's id. Where the log names none, the first line of the answer
    /// stands for the request, and the tag is not [named](Self::is_named).
    RequestTag
);

impl LineTag {
    /// The tag of the line with this id.
    #[must_use]
    pub fn of(uuid: &[u8]) -> Self {
        Self(hash(uuid))
    }
}

impl RequestTag {
    /// The tag of the request with this id.
    #[must_use]
    pub fn named(id: &[u8]) -> Self {
        Self(hash(id))
    }

    /// The tag of a request without an id whose answer begins with this line.
    #[must_use]
    pub const fn begun_by(line: LineTag) -> Self {
        Self(-line.0)
    }

    /// Whether the log names the request.
    #[must_use]
    pub const fn is_named(self) -> bool {
        self.0 > 0
    }
}

/// One record of an API response. A response is streamed as several records with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRecord {
    /// The key of the response, the same in every file that tells of it.
    pub id: MessageId,
    /// The request that it answers.
    pub request: Option<RequestTag>,
    /// The line, of several the earliest.
    pub line: Option<LineTag>,
    /// The session that the record names.
    pub session: SessionId,
    /// When its file starts.
    pub file_start: Option<Timestamp>,
    /// Whether it is known to be a fork's copy of another session's record.
    pub copied: bool,
    /// Which kind of record it is.
    pub source: RecordSource,
    /// The subagent run it belongs to; `None` for the main conversation.
    pub agent: Option<AgentId>,
    /// The model that answered.
    pub model: Option<ModelId>,
    /// When the record was written; of several the earliest time.
    pub at: Option<Timestamp>,
    /// What the record says was used.
    pub usage: Usage,
    /// The requests that it took, if the record tells them apart; their sum is [`Self::usage`].
    pub iterations: Option<Box<Iterations>>,
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

/// A request to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iteration {
    /// What it used.
    pub usage: Usage,
    /// Whether the server summed the conversation up by it, so that its prompt is not the context that is left.
    pub is_compaction: bool,
}

/// The requests that a response took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iterations {
    /// Each of them, in their order.
    pub each: Vec<Iteration>,
    /// What the client itself adds to its total for the response.
    pub by_client: Usage,
}

impl Iterations {
    /// One that the client's own total leaves out.
    #[must_use]
    pub fn unknown_to_client(usage: Usage) -> Box<Self> {
        Box::new(Self { each: vec![Iteration { usage, is_compaction: false }], by_client: Usage::default() })
    }

    /// All of it as numbers, to compare by.
    fn counts(&self) -> Vec<[u64; 7]> {
        let counts = |usage: &Usage, is_compaction: bool| {
            let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = *usage;
            [
                input,
                output,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                web_searches,
                u64::from(is_compaction),
            ]
        };
        let each = self.each.iter().map(|iteration| counts(&iteration.usage, iteration.is_compaction));
        [counts(&self.by_client, false)].into_iter().chain(each).collect()
    }
}

impl PartialOrd for Iterations {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Iterations {
    fn cmp(&self, other: &Self) -> Ordering {
        self.counts().cmp(&other.counts())
    }
}

impl ResponseRecord {
    /// The requests that it took.
    pub fn billed(&self) -> impl Iterator<Item = Usage> {
        let each = self.iterations.as_ref().map_or(&[][..], |iterations| &iterations.each);
        let whole = self.iterations.is_none().then_some(self.usage);
        each.iter().map(|iteration| iteration.usage).chain(whole)
    }

    /// The request whose prompt and output are the context that is left: the last one, compactions aside.
    #[must_use]
    pub fn last_iteration(&self) -> Usage {
        let each = self.iterations.as_ref().map_or(&[][..], |iterations| &iterations.each);
        let last = each.iter().rfind(|iteration| !iteration.is_compaction && iteration.usage.prompt() > 0);
        last.map_or(self.usage, |iteration| iteration.usage)
    }

    /// What the client itself adds to its total for it.
    #[must_use]
    pub fn by_client(&self) -> Usage {
        self.iterations.as_ref().map_or(self.usage, |iterations| iterations.by_client)
    }

    /// Whether it shows next to nothing: clients have written such records after whole ones, with a `stop_reason`.
    #[must_use]
    pub fn is_zeroed(&self) -> bool {
        self.usage.is_zeroed()
    }

    /// What the log probably leaves out of an incomplete response's output, in tokens: an estimate. Logged numbers of
    /// that kind have a median of 1% of the content, which Claude counts as 1.16 × `cl100k_base`
    /// (`docs/facts.md#incomplete-output`).
    #[must_use]
    pub fn shortfall(&self) -> u64 {
        let written = self.content_tokens.saturating_mul(116).div_ceil(100);
        if self.complete { 0 } else { written.saturating_sub(self.usage.output) }
    }
}
