//! What a tool's results are made of, as far as tokenizers care: program text, logs, paths, prose.

use crate::domain::ToolName;

/// A kind of result. Each has a slope of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Files with numbered lines.
    Read,
    /// Output of commands.
    Shell,
    /// Matches and paths.
    Search,
    /// The client's own sentences: files edited, tasks noted.
    Notice,
    /// A subagent's report.
    Subagent,
    /// Pages and search results of the web.
    Web,
    /// A skill: the client sends its instructions after the notice that it starts.
    Skill,
    /// MCP tools, and all that is not listed.
    Other,
}

impl Kind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Shell,
        Self::Search,
        Self::Notice,
        Self::Subagent,
        Self::Web,
        Self::Skill,
        Self::Other,
    ];

    /// The kind of what a tool returns.
    #[must_use]
    pub fn of(tool: &ToolName) -> Self {
        match tool.as_str() {
            "Read" | "NotebookRead" => Self::Read,
            "Bash" | "BashOutput" | "TaskOutput" | "Monitor" => Self::Shell,
            "Grep" | "Glob" | "LS" | "LSP" => Self::Search,
            "Edit" | "MultiEdit" | "Write" | "NotebookEdit" | "TodoWrite" | "TaskCreate" | "TaskUpdate"
            | "TaskGet" | "TaskList" => Self::Notice,
            "WebFetch" | "WebSearch" => Self::Web,
            "Skill" => Self::Skill,
            _ if tool.is_subagent() => Self::Subagent,
            _ => Self::Other,
        }
    }

    /// Its place in [`Kind::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// What such a call brings into the context besides the text it returns, in tokens of `cl100k_base`: the
    /// instructions of a skill, of which no payload tells. 11 in real transcripts have 173 to 18,454 characters, 8,985
    /// in the middle.
    pub(super) const fn unseen_tokens(self) -> u64 {
        match self {
            Self::Skill => 2_000,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_number() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
    }

    #[test]
    fn tools_have_the_kind_of_what_they_return() {
        for (tool, kind) in [
            ("Read", Kind::Read),
            ("Task", Kind::Subagent),
            ("Agent", Kind::Subagent),
            ("mcp__server__tool", Kind::Other),
            ("TaskOutput", Kind::Shell),
        ] {
            assert_eq!(Kind::of(&ToolName::new(tool)), kind, "{tool}");
        }
    }
}
