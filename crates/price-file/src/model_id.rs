//! A model's id in normal form: one name for the many that logs, clouds and resellers give one model.
//!
//! Nothing is guessed: what is taken off an id is known to change no price, and a name that is not in the table after that
//! has none.

/// Clouds' regions before an id, with whether inference there stays in the region and costs more (Bedrock).
const REGIONS: [(&str, bool); 10] = [
    ("global.", false),
    ("us-gov.", true),
    ("us.", true),
    ("eu.", true),
    ("au.", true),
    ("jp.", true),
    ("ca.", true),
    ("apac.", true),
    ("sa.", true),
    ("uk.", true),
];

/// Makers before an id, as Bedrock writes them.
const MAKERS: [&str; 10] = [
    "anthropic.",
    "openai.",
    "deepseek.",
    "moonshotai.",
    "moonshot.",
    "qwen.",
    "zai.",
    "minimax.",
    "mistral.",
    "google.",
];

/// Endings that say how much the model was asked to think, or that name its newest version. They change no price.
/// `-preview` is none of them: a preview can have a price of its own.
const ENDINGS: [&str; 15] = [
    "-latest",
    "@latest",
    "@default",
    // As it is left of `claude-…@default`.
    "-default",
    "-thinking",
    ":thinking",
    ":beta",
    "-xhigh",
    "-high",
    "-medium",
    "-low",
    "-minimal",
    "-none",
    "-non-reasoning",
    "-reasoning",
];

const CLAUDE_FAMILIES: [&str; 6] = ["opus", "sonnet", "haiku", "fable", "mythos", "instant"];

/// An id taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The id in normal form; dates and known endings are still on it.
    pub key: String,
    /// `[1m]`: the client asked for a context of a million tokens.
    pub long_context: bool,
    /// Inference stays in a cloud's region.
    pub regional: bool,
    /// The id itself names the fast variant (`claude-opus-4.8-fast`).
    pub fast: bool,
}

impl Name {
    /// Takes `id` apart.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let mut key = id.trim().to_ascii_lowercase();
        let mut name = Self { key: String::new(), long_context: false, regional: false, fast: false };
        if let Some(rest) = key.strip_suffix("[1m]") {
            name.long_context = true;
            key.truncate(rest.trim_end().len());
        }
        // Only the last part of a path names the model (`openrouter/anthropic/claude-…`, a Bedrock ARN).
        let mut rest = key.rsplit('/').next().unwrap_or(&key);
        if let Some((region, raises)) = REGIONS.iter().find(|(region, _)| rest.starts_with(region)) {
            let after = &rest[region.len()..];
            if MAKERS.iter().any(|maker| after.starts_with(maker)) {
                name.regional = *raises;
                rest = after;
            }
        }
        rest = MAKERS.iter().find_map(|maker| rest.strip_prefix(maker)).unwrap_or(rest);
        name.key = if rest.starts_with("claude") { name.claude(rest) } else { rest.to_owned() };
        name
    }

    /// `claude-4.5-sonnet@20250929`, `claude-sonnet-4-5-20250929-v1:0` → `claude-sonnet-4-5-20250929`.
    fn claude(&mut self, id: &str) -> String {
        let id = without_bedrock_version(id).replace(['.', '@'], "-");
        let id = id.strip_suffix("-fast").map_or(&*id, |rest| {
            self.fast = true;
            rest
        });
        // Old ids have the version first (`claude-3-5-haiku-…`): the family goes before it.
        let parts: Vec<&str> = id.split('-').collect();
        let family = parts.iter().position(|part| CLAUDE_FAMILIES.contains(part));
        match family {
            Some(at)
                if at > 1 && parts[1..at].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit())) =>
            {
                let mut ordered = vec![parts[0], parts[at]];
                ordered.extend(&parts[1..at]);
                ordered.extend(&parts[at + 1..]);
                ordered.join("-")
            }
            _ => id.to_owned(),
        }
    }

    /// The names to look up, from the whole one to the shortest: a date of its own can have a price of its own.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.key), |key| shorter(key))
    }
}

/// Takes Bedrock's `-v1:0` off, and what follows it (`:200k`).
fn without_bedrock_version(id: &str) -> &str {
    let Some((before, version)) = id.rsplit_once("-v") else { return id };
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':');
    if is_version { before } else { id }
}

/// `key` without one known ending or date; `None` if it has none.
fn shorter(key: &str) -> Option<&str> {
    let undated = |digits: &[usize]| {
        let mut rest = key;
        for &count in digits.iter().rev() {
            let at = rest.len().checked_sub(count + 1)?;
            let (before, part) = (rest.get(..at)?, rest.get(at..)?);
            let is_date = part.starts_with(['-', '@']) && part[1..].bytes().all(|byte| byte.is_ascii_digit());
            rest = is_date.then_some(before)?;
        }
        Some(rest)
    };
    let rest = ENDINGS
        .iter()
        .find_map(|ending| key.strip_suffix(ending))
        // 20250929, 2025-09-29, 09-2025, 09-29, and Gemini's 001.
        .or_else(|| [&[8][..], &[4, 2, 2], &[2, 4], &[2, 2], &[3]].into_iter().find_map(undated))?;
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_model_has_one_name() {
        for (id, key) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929"),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
            ("anthropic.claude-3-5-sonnet-20241022-v2:0:200k", "claude-sonnet-3-5-20241022"),
            ("vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
            ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
            ("Claude-4.5-Sonnet", "claude-sonnet-4-5"),
            ("claude-opus-4-6[1m]", "claude-opus-4-6"),
            ("claude-3-opus-latest", "claude-opus-3-latest"),
            (
                "arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-opus-4-6-v1",
                "claude-opus-4-6",
            ),
            ("moonshot-ai/kimi-k2.7-code", "kimi-k2.7-code"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("MiniMax-M2.1", "minimax-m2.1"),
            ("us.something", "us.something"),
        ] {
            assert_eq!(Name::new(id).key, key, "{id}");
            assert_eq!(Name::new(key).key, key, "a normal form stays as it is");
        }
    }

    #[test]
    fn what_an_id_says_beside_the_model_is_kept() {
        assert!(Name::new("claude-sonnet-4-5[1M]").long_context);
        assert!(Name::new("us.anthropic.claude-opus-4-8").regional);
        assert!(!Name::new("global.anthropic.claude-opus-4-8").regional);
        let fast = Name::new("github_copilot/claude-opus-4.8-fast");
        assert_eq!((&*fast.key, fast.fast), ("claude-opus-4-8", true));
        assert!(!Name::new("grok-code-fast").fast, "the name of a model, not a variant");
    }

    #[test]
    fn dates_and_known_endings_come_off_one_by_one() {
        let candidates = |id: &str| Name::new(id).candidates().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(candidates("gpt-4o-2024-05-13"), ["gpt-4o-2024-05-13", "gpt-4o"]);
        assert_eq!(
            candidates("gemini-2.5-pro-preview-06-05"),
            ["gemini-2.5-pro-preview-06-05", "gemini-2.5-pro-preview"]
        );
        assert_eq!(candidates("claude-opus-4-5-thinking"), ["claude-opus-4-5-thinking", "claude-opus-4-5"]);
        assert_eq!(candidates("gpt-5.4-ultra"), ["gpt-5.4-ultra"]);
        assert_eq!(candidates("gpt-4-1106-preview"), ["gpt-4-1106-preview"]);
        assert_eq!(candidates("mimo-v2.5-free"), ["mimo-v2.5-free"]);
        assert_eq!(candidates("-latest"), ["-latest"]);
        assert_eq!(candidates("é-20250929"), ["é-20250929", "é"]);
    }
}
