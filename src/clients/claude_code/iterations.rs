//! What a response's `usage` bills: itself, and what `usage.iterations` tells of the requests within it.
//!
//! A response can take several requests: after tools that the server runs, after a compaction on the server, after another
//! model has declined. Each is priced by its own prompt. The API describes the kinds like this (its pages on compaction, the
//! advisor tool and fallback, November 2026):
//!
//! - `message`, and `fallback_message` for the last request of a model that stepped in: the response itself. The usage
//!   beside the list sums them up, or has only the first one's prompt.
//! - `compaction`: billed too, and in no other number; the client's own totals leave it out.
//! - `advisor_message`: another model's, billed beside the response.
//! - A `message` of another model before a `fallback_message`: an attempt that was declined. It is billed only if it had
//!   written something by then.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;

use super::line::{UsageField, UsagePart};
use crate::domain::{Iteration, Iterations, ModelId, Usage};
use crate::json::{self, Object, Raw};

/// More requests than that are not told apart.
const MAX_ITERATIONS: usize = 256;

static PLAIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"message\""));

/// What a response bills.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Billed {
    /// All of its own requests.
    pub(super) usage: Usage,
    /// These one by one, unless it is one that the client tells whole.
    pub(super) iterations: Option<Box<Iterations>>,
    /// What other models are billed for besides.
    pub(super) beside: Vec<Beside>,
}

/// A request of another model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beside {
    /// Whether it gave advice; else it was an attempt that was declined.
    pub(super) is_advice: bool,
    pub(super) model: Option<ModelId>,
    pub(super) usage: Usage,
}

impl Billed {
    /// Reads the usage of a message that `model` has answered.
    pub(super) fn of(part: &UsagePart<'_>, model: Option<&ModelId>) -> Self {
        let usage = usage_of(part);
        let Some(iterations) = part.iterations().filter(|bytes| matters(bytes, part, &usage)) else {
            return Self { usage, ..Self::default() };
        };
        let iterations = json::lossy(iterations);
        let elements = Raw::parse(&iterations).map(json::array).unwrap_or_default();
        let objects: Vec<Object<'_>> = elements.into_iter().filter_map(Object::from_raw).collect();
        let parts: Vec<UsagePart<'_>> = objects.iter().map(UsagePart::of).collect();
        Self::with(part, usage, &parts, model)
    }

    fn with(
        part: &UsagePart<'_>,
        usage: Usage,
        iterations: &[UsagePart<'_>],
        model: Option<&ModelId>,
    ) -> Self {
        let answered = |iteration: &Told| iteration.model.is_some() && iteration.model.as_ref() == model;
        let all: Vec<(&UsagePart<'_>, Told)> = iterations.iter().map(|part| (part, Told::of(part))).collect();
        let of_kind = |kind: IterationKind| {
            all.iter().map(|(_, iteration)| iteration).filter(move |own| own.kind == kind)
        };
        let asked: Usage = of_kind(IterationKind::Own).map(|iteration| iteration.usage).sum();
        let is_served = !is_same(&asked, &usage) && of_kind(IterationKind::Fallback).any(answered);
        let mut billed = Self::default();
        let mut own: Vec<(&UsagePart<'_>, Iteration)> = Vec::new();
        for (part, iteration) in all {
            let is_own = match iteration.kind {
                IterationKind::Compaction => true,
                IterationKind::Advice => false,
                IterationKind::Own => !is_served || answered(&iteration),
                IterationKind::Fallback => {
                    !is_same(&asked, &usage) && (iteration.model.is_none() || answered(&iteration))
                }
            };
            let Told { kind, model, usage } = iteration;
            if is_own {
                own.push((part, Iteration { usage, is_compaction: kind == IterationKind::Compaction }));
            } else if kind == IterationKind::Advice || (kind == IterationKind::Own && usage.output > 0) {
                billed.beside.push(Beside { is_advice: kind == IterationKind::Advice, model, usage });
            }
        }
        let told: Usage = own.iter().filter(|(_, own)| !own.is_compaction).map(|(_, own)| own.usage).sum();
        let is_told = has_all(&told, &usage) && told != Usage::default() && own.len() <= MAX_ITERATIONS;
        if is_told {
            spread_long_writes(part, &mut own);
        }
        let iterations = own.into_iter().map(|(_, iteration)| iteration);
        // Where nobody knows what a list leaves out, its sum counts as one request.
        let usage = if is_told { usage } else { with_writes_of(usage, &asked) };
        let mut each: Vec<Iteration> =
            iterations.filter(|iteration| is_told || iteration.is_compaction).collect();
        if !is_told && (each.is_empty() || usage != Usage::default()) {
            each.push(Iteration { usage, is_compaction: false });
        }
        if let Some(last) = each.iter_mut().rfind(|iteration| !iteration.is_compaction) {
            last.usage.web_searches = usage.web_searches;
        }
        billed.usage = each.iter().map(|iteration| iteration.usage).sum();
        if each.len() > 1 || !is_same(&billed.usage, &usage) {
            billed.iterations = Some(Box::new(Iterations { each, by_client: usage }));
        }
        billed
    }
}

/// What an iteration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IterationKind {
    Own,
    Fallback,
    Compaction,
    Advice,
}

#[derive(Debug)]
struct Told {
    kind: IterationKind,
    model: Option<ModelId>,
    usage: Usage,
}

impl Told {
    fn of(part: &UsagePart<'_>) -> Self {
        let kind = match part.word(UsageField::Type).as_deref() {
            Some(b"advisor_message") => IterationKind::Advice,
            Some(b"compaction") => IterationKind::Compaction,
            Some(b"fallback_message") => IterationKind::Fallback,
            _ => IterationKind::Own,
        };
        let model = part.text(UsageField::Model).and_then(|model| ModelId::new(&model));
        Self { kind, model, usage: usage_of(part) }
    }
}

/// Whether a list of iterations tells more than the usage that it stands in. Most have one `message` that repeats it.
fn matters(iterations: &[u8], part: &UsagePart<'_>, usage: &Usage) -> bool {
    let (short, long) = part.split();
    let mut opened = memchr::memchr_iter(b'{', iterations);
    let (first, second, third) = (opened.next(), opened.next(), opened.next());
    if first.is_none() {
        return false;
    }
    // The other object there may be is the split of the cache writes, within the first.
    let has_one = third.is_none() && second.is_none_or(|second| memchr(b'}', iterations) > Some(second));
    !has_one
        || PLAIN.find(iterations).is_none()
        || part.count(UsageField::CacheWrite).is_some_and(|total| short + long < total)
        || usage.total() == 0
        // An escape could stand for anything.
        || memchr(b'\\', iterations).is_some()
}

/// Whether these are the same counts, but for searches and the kinds of cache writes.
fn is_same(one: &Usage, other: &Usage) -> bool {
    has_all(one, other) && has_all(other, one)
}

/// Whether `sum` has all that `part` has, but for searches and the kinds of cache writes.
fn has_all(sum: &Usage, part: &Usage) -> bool {
    sum.input >= part.input
        && sum.output >= part.output
        && sum.cache_read >= part.cache_read
        && sum.cache_write() >= part.cache_write()
}

/// A usage whose cache writes are split as its requests split them, if they split all of them.
fn with_writes_of(usage: Usage, asked: &Usage) -> Usage {
    if asked.cache_write() != usage.cache_write() {
        return usage;
    }
    Usage { cache_write_5m: asked.cache_write_5m, cache_write_1h: asked.cache_write_1h, ..usage }
}

/// Where the whole usage knows of more writes for 1 hour than its requests, these are among the writes that they do not split.
fn spread_long_writes(whole: &UsagePart<'_>, own: &mut [(&UsagePart<'_>, Iteration)]) {
    let known: u64 =
        own.iter().filter(|(_, own)| !own.is_compaction).map(|(_, own)| own.usage.cache_write_1h).sum();
    let mut more = usage_of(whole).cache_write_1h.saturating_sub(known);
    for (part, iteration) in own.iter_mut().filter(|(_, own)| !own.is_compaction) {
        let (short, _) = part.split();
        let usage = &mut iteration.usage;
        let moved = usage.cache_write_5m.saturating_sub(short).min(more);
        usage.cache_write_5m -= moved;
        usage.cache_write_1h += moved;
        more -= moved;
    }
}

/// The counts of a usage, or of one of its iterations.
fn usage_of(part: &UsagePart<'_>) -> Usage {
    let count = |member| part.count(member).unwrap_or(0);
    let (short, cache_write_1h) = part.split();
    // What has no split is kept for 5 minutes. A row whose counts were set to 0 may still have its split.
    let cache_write_5m = short.max(count(UsageField::CacheWrite).saturating_sub(cache_write_1h));
    Usage {
        input: count(UsageField::Input),
        output: count(UsageField::Output),
        cache_read: count(UsageField::CacheRead),
        cache_write_5m,
        cache_write_1h,
        web_searches: part.web_searches(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a usage bills that a model has answered.
    fn billed(model: &str, usage: &str) -> Billed {
        Billed::of(&UsagePart::of(&Object::parse(usage).unwrap()), ModelId::new(model).as_ref())
    }

    /// A usage of `input`, `output` and cache reads with these iterations.
    fn usage(counts: [u64; 3], iterations: &[String]) -> String {
        let [input, output, read] = counts;
        format!(
            r#"{{"input_tokens":{input},"output_tokens":{output},"cache_read_input_tokens":{read},"cache_creation_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0}},"iterations":[{}]}}"#,
            iterations.join(",")
        )
    }

    fn iteration(kind: &str, model: &str, [input, output, read]: [u64; 3]) -> String {
        let model = if model.is_empty() { String::new() } else { format!(r#""model":"{model}","#) };
        format!(
            r#"{{"type":"{kind}",{model}"input_tokens":{input},"output_tokens":{output},"cache_read_input_tokens":{read},"cache_creation":{{"ephemeral_5m_input_tokens":0}}}}"#
        )
    }

    fn sums(billed: &Billed) -> Vec<[u64; 3]> {
        let counts = |usage: &Usage| [usage.input, usage.output, usage.cache_read];
        let each = billed.iterations.iter().flat_map(|iterations| &iterations.each);
        [counts(&billed.usage)].into_iter().chain(each.map(|iteration| counts(&iteration.usage))).collect()
    }

    #[test]
    fn each_message_of_a_response_is_a_request_of_its_own() {
        let parts = [[500, 100, 59_500], [700, 200, 60_300]].map(|counts| iteration("message", "", counts));
        let found = billed("m", &usage([1_200, 300, 119_800], &parts));
        assert_eq!(sums(&found), [[1_200, 300, 119_800], [500, 100, 59_500], [700, 200, 60_300]]);
    }

    #[test]
    fn one_message_that_repeats_the_usage_is_not_taken_apart() {
        let found = billed("m", &usage([5, 6, 7], &[iteration("message", "", [5, 6, 7])]));
        assert_eq!((found.iterations, found.usage.total()), (None, 18));
        for none in ["[]", "null", "7", "\"message\""] {
            let found = billed("m", &format!(r#"{{"input_tokens":5,"iterations":{none}}}"#));
            assert_eq!((found.iterations, found.usage.total()), (None, 5), "{none}");
        }
    }

    #[test]
    fn a_compaction_is_billed_beside_the_usage_and_unknown_to_the_client() {
        let parts =
            [iteration("compaction", "", [61_000, 1_200, 0]), iteration("message", "", [9_000, 300, 0])];
        let found = billed("m", &usage([9_000, 300, 0], &parts));
        assert_eq!(sums(&found), [[70_000, 1_500, 0], [61_000, 1_200, 0], [9_000, 300, 0]]);
        let iterations = found.iterations.unwrap();
        assert_eq!(iterations.by_client.total(), 9_300);
        assert_eq!(iterations.each.iter().map(|each| each.is_compaction).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_response_that_pauses_after_a_compaction_is_that_compaction() {
        let found = billed("m", &usage([0, 0, 0], &[iteration("compaction", "", [61_000, 1_200, 0])]));
        assert_eq!(sums(&found), [[61_000, 1_200, 0], [61_000, 1_200, 0]]);
    }

    #[test]
    fn where_the_usage_has_the_first_prompt_alone_the_iterations_tell_the_rest() {
        let parts = [
            iteration("message", "", [412, 89, 0]),
            iteration("advisor_message", "advisor", [823, 1_612, 0]),
            iteration("message", "", [1_348, 442, 412]),
        ];
        let found = billed("m", &usage([412, 531, 0], &parts));
        assert_eq!(sums(&found), [[1_760, 531, 412], [412, 89, 0], [1_348, 442, 412]]);
        assert_eq!(found.beside.len(), 1);
        assert!(found.beside[0].is_advice && found.beside[0].usage.total() == 2_435);
    }

    #[test]
    fn iterations_that_leave_something_out_are_not_believed() {
        let parts = [iteration("message", "", [10, 5, 0]), iteration("message", "", [20, 5, 0])];
        let found = billed("m", &usage([100, 5, 0], &parts));
        assert_eq!(sums(&found), [[100, 5, 0]]);
    }

    #[test]
    fn an_attempt_that_was_declined_is_billed_if_it_had_written_something() {
        let served = iteration("fallback_message", "served", [9_000, 300, 0]);
        for (output, expected) in [(0, 0), (20, 1)] {
            let parts = [iteration("message", "asked", [8_000, output, 0]), served.clone()];
            let found = billed("served", &usage([9_000, 300, 0], &parts));
            assert_eq!((sums(&found), found.beside.len()), (vec![[9_000, 300, 0]], expected));
            assert!(found.beside.iter().all(|beside| !beside.is_advice && beside.usage.input == 8_000));
        }
    }

    #[test]
    fn a_fallback_that_failed_is_not_billed() {
        let answer = iteration("message", "asked", [9_000, 300, 0]);
        let failed = iteration("fallback_message", "other", [9_000, 40, 0]);
        for parts in [[failed.clone(), answer.clone()], [answer, failed]] {
            let found = billed("asked", &usage([9_000, 300, 0], &parts));
            assert_eq!((sums(&found), found.beside), (vec![[9_000, 300, 0]], vec![]));
        }
    }

    #[test]
    fn a_row_whose_counts_were_set_to_zero_keeps_its_cache_write() {
        let text = r#"{"input_tokens":0,"output_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":900}}"#;
        assert_eq!(billed("m", text).usage.cache_write_1h, 900);
    }

    #[test]
    fn writes_for_an_hour_that_only_the_whole_knows_of_are_among_those_without_a_split() {
        let part = |write: u64| {
            format!(r#"{{"type":"message","input_tokens":1,"cache_creation_input_tokens":{write}}}"#)
        };
        let text = format!(
            r#"{{"input_tokens":2,"cache_creation_input_tokens":70,"cache_creation":{{"ephemeral_1h_input_tokens":50}},"iterations":[{},{}]}}"#,
            part(30),
            part(40)
        );
        let found = billed("m", &text);
        assert_eq!((found.usage.cache_write_5m, found.usage.cache_write_1h), (20, 50));
        let each: Vec<_> =
            found.iterations.unwrap().each.iter().map(|each| each.usage.cache_write_1h).collect();
        assert_eq!(each, [30, 20]);
    }
}
