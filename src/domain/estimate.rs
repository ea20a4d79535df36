//! A number of tokens that we worked out ourselves, and how.

/// How an estimate was made. It is stored with it and shown by `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The encoding's count of the very text the model got (`PostToolBatch` carries it).
    ExactText,
    /// The encoding's count of the text as rebuilt from a `PostToolUse` payload.
    PayloadText,
    /// The encoding's count of the short message that the client sends in place of the payload's content.
    Notice,
    /// An image, by its size in pixels.
    Image,
    /// A PDF, by its pages.
    Pdf,
    /// The report a subagent returned, taken from its payload.
    SubagentReport,
    /// The per-subagent defaults table.
    SubagentDefault,
    /// The encoding's count, but for a word of more than 256 KB, which was counted in parts.
    CountedInParts,
    /// An image of unknown size or a PDF of unknown pages, such as one that is cut: a guess.
    FallbackMedia,
    /// 0.25 tokens for each character: there was too much text to encode it, or none to encode.
    FallbackChars,
    /// 50 tokens: nothing is known but that a tool was called.
    FallbackCall,
}

impl Method {
    /// The name in the ledger and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExactText => "exact_text",
            Self::PayloadText => "payload_text",
            Self::Notice => "notice",
            Self::Image => "image",
            Self::Pdf => "pdf",
            Self::SubagentReport => "subagent_report",
            Self::SubagentDefault => "subagent_default",
            Self::CountedInParts => "counted_in_parts",
            Self::FallbackMedia => "fallback_media",
            Self::FallbackChars => "fallback_chars",
            Self::FallbackCall => "fallback_call",
        }
    }

    /// Whether it is of an image or a document, whose tokens are no count of text.
    #[must_use]
    pub const fn is_media(self) -> bool {
        matches!(self, Self::Image | Self::Pdf | Self::FallbackMedia)
    }
}

/// Tokens that we estimated, and the method. There is no way to add it to a [`Usage`](super::Usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// The number of tokens.
    pub tokens: u64,
    /// How it was found.
    pub method: Method,
}
