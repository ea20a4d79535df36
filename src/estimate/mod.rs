//! Estimates a tool call's tokens the moment it happens.
//!
//! Two numbers, each with its method: what the model *generated* to make the call (its output), and what it will
//! read as the *returned* result. The second is about what the model really gets, which often is not what the
//! payload carries (`docs/facts.md#what-the-model-reads`): an `Edit` payload holds the whole file, the model reads one sentence.
//! `PostToolBatch` later brings the exact text ([`delivered`]), and the estimate is replaced.
//!
//! The figures are tiktoken's, which Claude's own tokenizers exceed by a factor that depends on the model.

pub mod calibrate;
pub mod media;
pub mod subagents;
mod tools;

use std::borrow::Cow;

use tallyhook_counter::Encoding;

use crate::domain::{Client, Estimate, LineDelta, Method, ModelId, ToolName, Version};
use crate::json::{self, Raw, Scalar};

pub use tools::lines_changed;

/// A call of which nothing is known but that it was made (`fallback_call` in `docs/json.md#method`).
const TOKENS_PER_CALL: u64 = 50;

/// How much text of a payload is encoded, in bytes; what is beyond is measured by its length. The client waits.
const MAX_COUNTED_BYTES: usize = 1 << 20;

/// How many texts of a payload are looked at one by one. The rest is measured by its length.
const MAX_TEXTS: usize = 1 << 16;

/// The encoding for a client's sessions, or for the session's model where that is known.
///
/// Claude's text is predicted as well by `cl100k_base` as by `o200k_base` (`docs/facts.md#claudes-tokenizers`).
#[must_use]
pub fn encoding_of(client: Client, model: Option<&ModelId>) -> Encoding {
    let openai = match model {
        Some(model) => {
            let id = model.as_str().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
            ["gpt-", "o1", "o3", "o4", "codex", "chatgpt"].iter().any(|start| id.starts_with(start))
        }
        None => client == Client::Codex,
    };
    if openai { Encoding::O200kBase } else { Encoding::Cl100kBase }
}

/// How a client of some time hands results to the model; told by the fields it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025: no `tool_use_id`. Lines are numbered with padding and an arrow, edits return a snippet.
    Early,
    /// February 2026 on: `tool_use_id`, no `prompt_id`. As above, but edits return a sentence.
    Middle,
    /// `prompt_id` is sent. Lines are numbered with a tab.
    Current,
}

/// A tool call as its payload tells it.
#[derive(Debug, Clone, Copy)]
pub struct CallView<'a> {
    /// The tool.
    pub tool: &'a ToolName,
    /// `tool_input`.
    pub input: Option<Raw<'a>>,
    /// `tool_response`.
    pub response: Option<Raw<'a>>,
    /// `error`, where the tool failed.
    pub error: Option<Raw<'a>>,
    /// The client's working directory; some tools show paths below it without it.
    pub cwd: Option<&'a str>,
    /// The client's habits.
    pub era: Era,
    /// The client's version, where the session's transcript has told it.
    pub version: Option<Version>,
}

impl CallView<'_> {
    /// Whether the client is older than `version`; where nobody told its version, whether its habits are those of
    /// one of `eras`.
    fn is_before(&self, version: Version, eras: &[Era]) -> bool {
        self.version.map_or_else(|| eras.contains(&self.era), |own| own < version)
    }
}

/// What the model reads: texts to count, and tokens that are known without counting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelInput<'a> {
    texts: Vec<Cow<'a, str>>,
    literals: String,
    tokens: u64,
    method: Method,
}

impl<'a> ModelInput<'a> {
    fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self { texts: vec![text.into()], ..Self::tokens(0, Method::PayloadText) }
    }

    fn notice(text: impl Into<Cow<'a, str>>) -> Self {
        Self { method: Method::Notice, ..Self::text(text) }
    }

    fn media(Estimate { tokens, method }: Estimate) -> Self {
        Self::tokens(tokens, method)
    }

    fn tokens(tokens: u64, method: Method) -> Self {
        Self { texts: Vec::new(), literals: String::new(), tokens, method }
    }

    /// Adds a scalar of a JSON value. Literals are counted together, for there can be millions of them. What would not be
    /// encoded any more is measured at once, so that a reading takes no multiple of its payload's size in memory.
    fn push_scalar(&mut self, scalar: Scalar<'a>) {
        match scalar {
            Scalar::Name(text) | Scalar::Text(text) if self.texts.len() >= MAX_TEXTS => self.measure(&text),
            Scalar::Literal(literal) if self.literals.len() > MAX_COUNTED_BYTES => self.measure(literal),
            Scalar::Name(text) | Scalar::Text(text) => self.texts.push(text),
            Scalar::Literal(literal) => {
                if !self.literals.is_empty() {
                    self.literals.push(' ');
                }
                self.literals.push_str(literal);
            }
        }
    }

    /// Adds an image or a document. Of several, one that is guessed makes the sum a guess.
    fn push_media(&mut self, media: Estimate) {
        self.tokens += media.tokens;
        if self.method != Method::FallbackMedia {
            self.method = media.method;
        }
    }

    fn measure(&mut self, text: &str) {
        self.tokens += tallyhook_counter::by_length(text).tokens;
        self.method = Method::FallbackChars;
    }

    fn with_method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn count(&self, encoding: Encoding) -> Estimate {
        let mut estimate = Estimate { tokens: self.tokens, method: self.method };
        let mut budget = MAX_COUNTED_BYTES;
        for text in self.texts.iter().map(AsRef::as_ref).chain([self.literals.as_str()]) {
            let is_within = text.len() <= budget;
            let count = if is_within {
                tallyhook_counter::count(encoding, text)
            } else {
                tallyhook_counter::by_length(text)
            };
            budget = budget.saturating_sub(text.len());
            estimate.tokens += count.tokens;
            if !is_within {
                estimate.method = Method::FallbackChars;
            } else if !count.exact && estimate.method != Method::FallbackChars {
                estimate.method = Method::CountedInParts;
            }
        }
        estimate
    }
}

/// Estimates what the model wrote: the tool's name, the parameters' names and values.
///
/// Without a usable input the fallbacks apply: for an edit half of what was read and 0.3 of what was written,
/// for any other tool [`TOKENS_PER_CALL`].
#[must_use]
pub fn generated(encoding: Encoding, call: &CallView<'_>) -> Estimate {
    let Some(input) = call.input.filter(|input| input.get().starts_with(['{', '[', '"'])) else {
        return tools::edit_without_input(call)
            .unwrap_or(Estimate { tokens: TOKENS_PER_CALL, method: Method::FallbackCall });
    };
    let mut reading = ModelInput::text(call.tool.as_str());
    json::for_each_scalar(input, |scalar| reading.push_scalar(scalar));
    reading.count(encoding)
}

/// Estimates what the model will read as the result.
///
/// `subagent` gives the defaults table's returned text for a type; it is asked only if a subagent's payload
/// holds no report.
#[must_use]
pub fn returned(encoding: Encoding, call: &CallView<'_>, subagent: impl Fn(Option<&str>) -> u64) -> Estimate {
    tools::reading(call, &subagent).count(encoding)
}

/// Counts a result exactly as the model got it (`tool_calls[].tool_response` of `PostToolBatch`).
#[must_use]
pub fn delivered(encoding: Encoding, response: Raw<'_>) -> Estimate {
    let reading = tools::content(response);
    let method = if reading.method == Method::PayloadText { Method::ExactText } else { reading.method };
    reading.with_method(method).count(encoding)
}

/// Counts what a response wrote (`message.content` of a transcript) with `cl100k_base`: texts, thinking, tool calls with
/// their parameters' names and values; no signatures and ids.
#[must_use]
pub fn written(content: &str) -> u64 {
    let Ok(raw) = Raw::parse(content) else { return 0 };
    if raw.get().starts_with('"') {
        written_block(raw)
    } else {
        json::array(raw).into_iter().map(written_block).sum()
    }
}

/// Counts what one block of a response wrote, or a text, with `cl100k_base`, as [`written`] does.
#[must_use]
pub fn written_block(block: Raw<'_>) -> u64 {
    let count = |text: &str| tallyhook_counter::count(Encoding::Cl100kBase, text).tokens;
    if let Some(text) = json::text(block) {
        return count(&text);
    }
    let Some(block) = json::Object::from_raw(block) else { return 0 };
    let texts = ["text", "thinking", "name"].into_iter().filter_map(|name| block.text(name));
    let mut tokens: u64 = texts.map(|text| count(&text)).sum();
    if let Some(input) = block.raw("input") {
        let mut reading = ModelInput::tokens(0, Method::PayloadText);
        json::for_each_scalar(input, |scalar| reading.push_scalar(scalar));
        tokens += reading.count(Encoding::Cl100kBase).tokens;
    }
    tokens
}

/// Counts what a model reads with `cl100k_base`; `true` if it holds an image or a document, whose size is a guess.
#[must_use]
pub fn read_by_model(content: Raw<'_>) -> (u64, bool) {
    let estimate = delivered(Encoding::Cl100kBase, content);
    (estimate.tokens, estimate.method.is_media())
}

/// Lines of files that the call changed; nothing for tools that change none.
#[must_use]
pub fn lines(call: &CallView<'_>) -> LineDelta {
    call.response.map(lines_changed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_openai_models_take_o200k() {
        let of = |client, model: Option<&str>| encoding_of(client, model.and_then(ModelId::new).as_ref());
        assert_eq!(of(Client::ClaudeCode, None), Encoding::Cl100kBase);
        assert_eq!(of(Client::ClaudeCode, Some("openai/gpt-5.4")), Encoding::O200kBase);
        assert_eq!(of(Client::Codex, None), Encoding::O200kBase);
        assert_eq!(of(Client::Codex, Some("claude-opus-5-5")), Encoding::Cl100kBase);
    }
}
