//! What the client writes on the status line's stdin. Whatever is missing or odd is absent.

use crate::domain::{MAX_NAME_CHARS, PicoUsd, SessionId, Version, clean_name, client_version};
use crate::json::{Object, Raw};

/// Since then a client's `total_input_tokens` is what stands in the context. Before, it was the sum of all requests of the
/// session, which soon is a multiple of the window.
const TOTAL_IS_CONTEXT: Version = (2, 1, 132);

/// A limit of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanLimit {
    /// `5h`, `7d`, or the client's own name.
    pub name: String,
    /// The share that is used, 0 to 100.
    pub used_percent: f64,
}

/// The parts that can be shown.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Payload {
    pub session: Option<SessionId>,
    pub model: Option<String>,
    pub project: Option<String>,
    pub version: Option<String>,
    /// The client's own cost of the session.
    pub cost: Option<PicoUsd>,
    pub duration_ms: Option<u64>,
    pub api_duration_ms: Option<u64>,
    pub lines_added: Option<u64>,
    pub lines_removed: Option<u64>,
    /// Tokens in the context, and how many it can hold.
    pub context: Option<u64>,
    pub window: Option<u64>,
    pub context_percent: Option<f64>,
    /// Cache reads of the last request as a share of its input.
    pub cache_hit_rate: Option<f64>,
    pub limits: Vec<PlanLimit>,
}

impl Payload {
    /// Reads a payload; an empty one if it is no object.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let Ok(object) = Object::parse(text.trim_matches(|c: char| c == '\u{feff}' || c.is_whitespace()))
        else {
            return Self::default();
        };
        let name = |object: &Object<'_>, member: &str| {
            object.text(member).and_then(|text| clean_name(&text, MAX_NAME_CHARS))
        };
        let cost = object.object("cost").unwrap_or_default();
        let context = object.object("context_window").unwrap_or_default();
        let model = object.object("model").unwrap_or_default();
        let workspace = object.object("workspace").unwrap_or_default();
        let usage = context.object("current_usage");
        let (tokens, cache_hit_rate) = usage.as_ref().map_or((None, None), usage_of);
        let version = name(&object, "version");
        let is_current =
            version.as_deref().is_some_and(|version| client_version(version) >= TOTAL_IS_CONTEXT);
        let total = context.count("total_input_tokens").filter(|tokens| is_current && *tokens > 0);
        let tokens = tokens.or(total);
        // A context that is larger than the window has another one.
        let window = context.count("context_window_size").filter(|window| *window > 0);
        let window = window.filter(|window| tokens.is_none_or(|tokens| tokens <= *window));
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = tokens.zip(window).map(|(tokens, window)| tokens as f64 * 100.0 / window as f64);
        Self {
            session: object.text("session_id").and_then(|id| SessionId::new(&id)),
            model: name(&model, "display_name").or_else(|| name(&model, "id")),
            project: name(&workspace, "project_dir").or_else(|| name(&object, "cwd")),
            version,
            cost: cost.raw("total_cost_usd").and_then(|raw| PicoUsd::parse(raw.get())),
            duration_ms: cost.count("total_duration_ms"),
            api_duration_ms: cost.count("total_api_duration_ms"),
            lines_added: cost.count("total_lines_added"),
            lines_removed: cost.count("total_lines_removed"),
            context: tokens,
            window,
            context_percent: context
                .raw("used_percentage")
                .and_then(percent)
                .filter(|used| *used <= 100.0)
                .or(share),
            cache_hit_rate,
            limits: object.object("rate_limits").map(|limits| limits_of(&limits)).unwrap_or_default(),
        }
    }
}

/// The context after the last request, and what of its input came from the cache.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn usage_of(usage: &Object<'_>) -> (Option<u64>, Option<f64>) {
    let count = |name: &str| usage.count(name).unwrap_or(0);
    let read = count("cache_read_input_tokens");
    let prompt =
        count("input_tokens").saturating_add(read).saturating_add(count("cache_creation_input_tokens"));
    let tokens = prompt.saturating_add(count("output_tokens"));
    ((tokens > 0).then_some(tokens), (prompt > 0).then(|| read as f64 / prompt as f64))
}

fn limits_of(limits: &Object<'_>) -> Vec<PlanLimit> {
    limits
        .members()
        .filter_map(|(name, value)| {
            let used_percent = percent(Object::from_raw(value)?.raw("used_percentage")?)?;
            let name = match name {
                "five_hour" => "5h".to_owned(),
                "seven_day" => "7d".to_owned(),
                other => clean_name(&other.replace("seven_day_", "7d ").replace('_', " "), MAX_NAME_CHARS)?,
            };
            Some(PlanLimit { name, used_percent })
        })
        .collect()
}

fn percent(raw: Raw<'_>) -> Option<f64> {
    raw.get().parse().ok().filter(|share: &f64| share.is_finite() && (0.0..1e6).contains(share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_read_where_the_plan_has_them() {
        let payload = Payload::read(
            r#"{"rate_limits":{"five_hour":{"used_percentage":83.2,"resets_at":1},"seven_day":{"used_percentage":47},
               "seven_day_opus":{"used_percentage":7},"odd":3,"none":{"used_percentage":null}}}"#,
        );
        let limits: Vec<_> =
            payload.limits.iter().map(|limit| (limit.name.as_str(), limit.used_percent)).collect();
        assert_eq!(limits, [("5h", 83.2), ("7d", 47.0), ("7d opus", 7.0)]);
    }

    #[test]
    fn a_cumulative_total_is_no_context() {
        let read = |version: &str, context: &str| {
            let payload = Payload::read(&format!(r#"{{"version":{version},"context_window":{context}}}"#));
            (payload.context, payload.context_percent)
        };
        let total = r#"{"total_input_tokens":150000,"context_window_size":200000,"current_usage":null}"#;
        // It would fit into the window all the same.
        for version in [r#""2.0.65""#, r#""2.0.70""#, r#""2.1.131""#, r#""odd""#, "null"] {
            assert_eq!(read(version, total), (None, None), "{version}");
        }
        for version in [r#""2.1.132""#, r#""2.1.330""#, r#""3.0.0""#] {
            assert_eq!(read(version, total), (Some(150_000), Some(75.0)), "{version}");
        }
        let usage = r#"{"total_input_tokens":2500000,"context_window_size":200000,"current_usage":{"input_tokens":50000}}"#;
        assert_eq!(read(r#""2.0.70""#, usage), (Some(50_000), Some(25.0)));
        let large =
            r#"{"context_window_size":200000,"used_percentage":175,"current_usage":{"input_tokens":350000}}"#;
        assert_eq!(read(r#""2.0.70""#, large), (Some(350_000), None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_fault(text in "\\PC{0,40}|\\{(\"(cost|context_window|rate_limits|model)\":(null|1|\\{\\}|\\[\\])),?\\}") {
            let _payload = Payload::read(&text);
        }
    }
}
