//! The tools of Claude Code, and what is known of each: the only list of them.

use super::ToolName;

/// What a tool's results are made of, as far as tokenizers care: program text, logs, paths, prose. Each has a slope of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToolKind {
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

impl ToolKind {
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

    /// Its place in [`ToolKind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What is known of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of the table")]
pub struct Tool {
    /// Its name in payloads and transcripts.
    pub name: &'static str,
    /// What its results are made of.
    pub kind: ToolKind,
    /// Whether it changes files: after it the same call as before is no repetition, and its payload carries whole files.
    pub edits_files: bool,
    /// Whether it looks again and again by its nature.
    pub polls: bool,
    /// Whether agents start by it, or go on, whose requests come before any event that could stop them.
    pub starts_agents: bool,
    /// Whether it fails for what it is given (a file that is not there, a text that is not in it), which the client marks as an
    /// error of the call. Others fail for what they do, and nothing is put around that.
    pub is_checked_first: bool,
}

impl Tool {
    /// The tool of that name, if it is one that is listed.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TOOLS.iter().find(|tool| tool.name == name)
    }
}

const fn tool(name: &'static str, kind: ToolKind) -> Tool {
    Tool { name, kind, edits_files: false, polls: false, starts_agents: false, is_checked_first: false }
}

const fn checked_first(tool: Tool) -> Tool {
    Tool { is_checked_first: true, ..tool }
}

const fn editing(name: &'static str) -> Tool {
    Tool { edits_files: true, ..checked_first(tool(name, ToolKind::Notice)) }
}

const fn polling(name: &'static str, kind: ToolKind) -> Tool {
    Tool { polls: true, ..tool(name, kind) }
}

const fn starting(name: &'static str, kind: ToolKind) -> Tool {
    Tool { starts_agents: true, ..tool(name, kind) }
}

/// The tools that differ from others in anything.
const TOOLS: [Tool; 26] = [
    checked_first(tool("Read", ToolKind::Read)),
    tool("NotebookRead", ToolKind::Read),
    tool("Bash", ToolKind::Shell),
    polling("BashOutput", ToolKind::Shell),
    polling("TaskOutput", ToolKind::Shell),
    tool("Monitor", ToolKind::Shell),
    checked_first(tool("Grep", ToolKind::Search)),
    checked_first(tool("Glob", ToolKind::Search)),
    tool("LS", ToolKind::Search),
    tool("LSP", ToolKind::Search),
    editing("Edit"),
    editing("MultiEdit"),
    editing("Write"),
    editing("NotebookEdit"),
    checked_first(tool("TodoWrite", ToolKind::Notice)),
    tool("TaskCreate", ToolKind::Notice),
    checked_first(tool("TaskUpdate", ToolKind::Notice)),
    polling("TaskGet", ToolKind::Notice),
    polling("TaskList", ToolKind::Notice),
    tool("WebFetch", ToolKind::Web),
    tool("WebSearch", ToolKind::Web),
    checked_first(starting("Skill", ToolKind::Skill)),
    // Called `Task` before March 2026.
    starting("Agent", ToolKind::Subagent),
    starting("Task", ToolKind::Subagent),
    starting("SendMessage", ToolKind::Other),
    starting("Workflow", ToolKind::Other),
];

impl ToolName {
    /// The kind of what the tool returns.
    #[must_use]
    pub fn kind(&self) -> ToolKind {
        Tool::named(self.as_str()).map_or(ToolKind::Other, |tool| tool.kind)
    }

    /// Whether the tool starts a subagent.
    #[must_use]
    pub fn is_subagent(&self) -> bool {
        self.kind() == ToolKind::Subagent
    }

    /// Whether the tool changes files.
    #[must_use]
    pub fn edits_files(&self) -> bool {
        Tool::named(self.as_str()).is_some_and(|tool| tool.edits_files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_number_and_every_tool_its_own_name() {
        for (index, kind) in ToolKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
        }
        let names: std::collections::BTreeSet<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        assert_eq!(names.len(), TOOLS.len());
    }

    #[test]
    fn tools_have_the_kind_of_what_they_return() {
        for (tool, kind) in [
            ("Read", ToolKind::Read),
            ("Task", ToolKind::Subagent),
            ("Agent", ToolKind::Subagent),
            ("mcp__server__tool", ToolKind::Other),
            ("TaskOutput", ToolKind::Shell),
        ] {
            assert_eq!(ToolName::new(tool).kind(), kind, "{tool}");
        }
    }
}
