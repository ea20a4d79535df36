//! What stands in a conversation's context, as its transcript tells it: sizes and names, never content.
//!
//! Sizes are counts of `cl100k_base`: they say how large one entry is beside another. How many tokens all of them really
//! are is known from the usage of the responses.

use serde::{Deserialize, Serialize};

use super::{AgentId, MessageId, Timestamp, ToolName, ToolUseId};

/// One thing that a transcript adds to a context, in the order of its lines. Its JSON is what the ledger keeps, so the
/// names are short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k")]
pub enum ContextEntry {
    /// What follows belongs to this run; `None` for the conversation whose file it is.
    #[serde(rename = "c")]
    Of {
        /// The run.
        #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// Blocks of a response. One response can have several such entries, with results between them.
    #[serde(rename = "r")]
    Response {
        /// The response.
        #[serde(rename = "i")]
        id: MessageId,
        /// The skill that it worked for.
        #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
        skill: Option<String>,
        /// Size of its text.
        #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
        text: u64,
        /// Size of its thinking, which leaves the context at the next prompt.
        #[serde(rename = "h", default, skip_serializing_if = "is_zero")]
        thinking: u64,
        /// The calls it makes.
        #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ContextCall>,
    },
    /// What a tool returned.
    #[serde(rename = "o")]
    Result {
        /// The call.
        #[serde(rename = "i")]
        call: ToolUseId,
        /// Its size.
        #[serde(rename = "t")]
        tokens: u64,
        /// Whether it holds an image or a document, whose size is a guess.
        #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
        media: bool,
    },
    /// What the user wrote, or attached.
    #[serde(rename = "p")]
    Prompt {
        /// Its size.
        #[serde(rename = "t")]
        tokens: u64,
    },
    /// The text of a skill, or what else the client adds for a call.
    #[serde(rename = "x")]
    CallText {
        /// The call; `None` for the last one before it.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        call: Option<ToolUseId>,
        /// Its size.
        #[serde(rename = "t")]
        tokens: u64,
    },
    /// What the client adds by itself: instructions, reminders, lists of tools.
    #[serde(rename = "n")]
    Note {
        /// Its size.
        #[serde(rename = "t")]
        tokens: u64,
    },
    /// The context was compacted: what stood before is gone.
    #[serde(rename = "b")]
    Compaction,
    /// What the compaction left in its place.
    #[serde(rename = "y")]
    Summary {
        /// Its size.
        #[serde(rename = "t")]
        tokens: u64,
    },
}

impl ContextEntry {
    /// Whether it is of a response, and makes this call.
    #[must_use]
    pub fn makes(&self, call: &ToolUseId) -> bool {
        matches!(self, Self::Response { calls, .. } if calls.iter().any(|own| own.id == *call))
    }
}

/// A tool call within a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextCall {
    /// The provider's id.
    #[serde(rename = "i")]
    pub id: ToolUseId,
    /// The tool.
    #[serde(rename = "n")]
    pub tool: ToolName,
    /// Size of what was written to make the call.
    #[serde(rename = "t")]
    pub tokens: u64,
    /// The skill or the type of subagent that it starts.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<String>,
    /// The extension of the file that is read or changed.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// The file's keyed hash: equal files of one ledger can be told.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u64>,
}

/// What the agent's own list of tasks shows after a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskChange {
    /// The call, the same in payload and transcript.
    pub call: ToolUseId,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// What has changed.
    pub kind: TaskChangeKind,
}

/// A change of the list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskChangeKind {
    /// The whole list was written anew (`TodoWrite`).
    List {
        /// The item in progress.
        current: Option<String>,
        /// Items that are done.
        done: u64,
        /// All items.
        total: u64,
    },
    /// An item was added (`TaskCreate`).
    Created {
        /// Its number in the session.
        id: String,
        /// Its name.
        name: String,
    },
    /// An item has another state (`TaskUpdate`): `pending`, `in_progress`, `completed`, `deleted`.
    Updated {
        /// Its number in the session.
        id: String,
        /// Its new state.
        status: Option<String>,
        /// Its new name.
        name: Option<String>,
    },
}

impl TaskChangeKind {
    /// Puts numbers in the names' place, for users who want none kept.
    pub fn take_names(&mut self) {
        match self {
            Self::List { current, done, .. } => {
                if let Some(name) = current {
                    *name = format!("task {}", *done + 1);
                }
            }
            Self::Created { id, name } => *name = format!("task {id}"),
            Self::Updated { name, .. } => *name = None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The extension of a file's name as it is kept: up to twelve letters and digits, in lower case.
#[must_use]
pub fn file_type(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let is_plain =
        (1..=12).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_plain && !stem.is_empty()).then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_type_is_a_plain_extension() {
        for (path, expected) in [
            ("/src/main.rs", Some("rs")),
            ("C:\\Docs\\A.PDF", Some("pdf")),
            ("archive.tar.gz", Some("gz")),
            ("/home/.bashrc", None),
            ("/a.b/Makefile", None),
            ("x.\u{1b}[2J", None),
            ("x.averyverylongone", None),
        ] {
            assert_eq!(file_type(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn entries_are_short_in_the_ledger() {
        let entry = ContextEntry::Response {
            id: MessageId::new("msg_1").unwrap(),
            skill: None,
            text: 12,
            thinking: 0,
            calls: vec![ContextCall {
                id: ToolUseId::new("toolu_1").unwrap(),
                tool: ToolName::new("Read"),
                tokens: 9,
                starts: None,
                file_type: Some("rs".to_owned()),
                file: None,
            }],
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(text, r#"{"k":"r","i":"msg_1","t":12,"u":[{"i":"toolu_1","n":"Read","t":9,"f":"rs"}]}"#);
        assert_eq!(serde_json::from_str::<ContextEntry>(&text).unwrap(), entry);
    }
}
