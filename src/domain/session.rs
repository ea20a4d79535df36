//! A session's state, kind and compactions.

/// A client's version, comparable: major, minor, patch.
pub type Version = (u32, u32, u32);

/// Reads a client's version (`2.1.330`); what is no number counts as 0.
#[must_use]
pub fn client_version(text: &str) -> Version {
    let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether a session's figures are the provider's up to its last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// A turn is under way: part of the figures are estimates.
    Live,
    /// The transcript was read to its end after the last turn.
    Finalized,
}

impl SessionState {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Finalized => "finalized",
        }
    }
}

/// Who or what drove a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// A person in the terminal.
    Interactive,
    /// `-p` or the SDK.
    Headless,
    /// A session that the client's own scheduler started.
    Scheduled,
    /// Made of manual reports.
    Manual,
}

impl SessionKind {
    /// The name in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Headless => "headless",
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        }
    }

    /// Reads the client's entry point: `cli` is a person, `sdk-…` is not (`docs/facts.md#the-hook-process`). `None` if unknown.
    #[must_use]
    pub fn from_entrypoint(entrypoint: &str) -> Option<Self> {
        match entrypoint {
            "cli" => Some(Self::Interactive),
            _ if entrypoint.starts_with("sdk") => Some(Self::Headless),
            _ => None,
        }
    }
}

/// What set off a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompactionTrigger {
    /// The context was nearly full.
    Auto,
    /// The user asked for it.
    Manual,
    /// The client gave a reason that we do not know.
    Unknown,
}

impl CompactionTrigger {
    /// The name in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Unknown => "unknown",
        }
    }

    /// The client's word for it; anything new is [`Unknown`](Self::Unknown).
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "auto" => Self::Auto,
            "manual" => Self::Manual,
            _ => Self::Unknown,
        }
    }
}
