//! Makes one response out of all the records that tell of it. Pure: reads no file, no ledger and no clock.
//!
//! [`merge`] is associative, commutative and idempotent, so records may come in any order, from any file, any
//! number of times (`docs/facts.md#records-of-one-response`).

mod pairing;
mod total;
pub mod totals;

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::domain::{
    AgentId, Iterations, LineTag, MessageId, ModelId, Modifiers, RecordSource, RequestTag, ResponseRecord,
    SessionId, Timestamp, Usage,
};

/// Whether two records that have the same id, or lack one, are of one response.
///
/// An id alone does not say so: gateways answer with a constant one, or count from 1 in every session. Within a session a
/// record is of another response if its request, its line and its time are all others; in another session it is a copy
/// only if it is the same line (`clients::claude_code::identity` has the rules, each with its reason). `shares_session` says
/// whether the session of the one is known to have the response of the other.
#[must_use]
pub fn is_same(a: &ResponseRecord, b: &ResponseRecord, shares_session: bool) -> bool {
    if a.line.is_some() && a.line == b.line {
        return true;
    }
    let is_same_time = a.at.is_some() && a.at == b.at;
    let is_same_request = a.request.is_some() && a.request == b.request;
    let are_named = [a, b].map(|record| record.request.is_some_and(RequestTag::is_named));
    if !shares_session {
        return false;
    }
    let [a_prompt, b_prompt] = [a, b].map(|record| record.by_client().prompt());
    let has_same_prompt = a_prompt > 0 && a_prompt == b_prompt;
    if a.complete && b.complete && !a.is_zeroed() && !b.is_zeroed() && a_prompt != b_prompt {
        // Some gateways have one request for all, too.
        return is_same_time;
    }
    let is_echo = [a, b].iter().any(|record| record.source == RecordSource::Progress);
    is_same_request
        || is_same_time
        || match are_named {
            [true, true] if is_echo => has_same_prompt,
            // A side question can repeat the conversation with requests, lines and times of its own. What is read of it
            // may begin within a response: a record that is not complete has any output up to the response's.
            [true, true] => a.source != b.source && has_same_prompt && are_stages(a, b),
            // Of two of which nothing is known one is the other, repeated.
            _ => has_same_prompt || [a, b].iter().all(|record| is_bare(record)) && a.usage == b.usage,
        }
}

/// Whether two records can be of one response, the one taken later than the other: they have the same prompt by class, and no
/// record has more output than one that is complete.
fn are_stages(a: &ResponseRecord, b: &ResponseRecord) -> bool {
    let prompt = |record: &ResponseRecord| Usage { output: 0, web_searches: 0, ..record.by_client() };
    let output = |record: &ResponseRecord| record.by_client().output;
    let is_within =
        |part: &ResponseRecord, whole: &ResponseRecord| !whole.complete || output(part) <= output(whole);
    prompt(a) == prompt(b)
        && is_within(a, b)
        && is_within(b, a)
        && (!(a.complete && b.complete) || a.usage == b.usage)
}

fn is_bare(record: &ResponseRecord) -> bool {
    record.line.is_none() && record.request.is_none() && record.at.is_none()
}

/// Joins two records of one response.
///
/// The usage is that of the record that is known to be complete, else of the one with the most output: a stream's
/// earlier records have its start value. Whose the response is says the best witness: the main conversation before a
/// sidechain before an echo, an original before a fork's copy, then the file that starts first. Between sessions whose
/// records are equally good the ledger decides by what else these have (`store::owners`).
#[must_use]
pub fn merge(mut a: ResponseRecord, mut b: ResponseRecord) -> ResponseRecord {
    merge_into(&mut a, &mut b);
    a
}

/// Makes `a` what both are; nothing is left in `b` that anyone would want.
fn merge_into(a: &mut ResponseRecord, b: &mut ResponseRecord) {
    let best = if usage_rank(b) > usage_rank(a) { &*b } else { &*a };
    let (usage, complete, model, modifiers) = (best.usage, best.complete, best.model.clone(), best.modifiers);
    let iterations = best.iterations.clone();
    // Files that repeat a response repeat all of it; one that is cut has less.
    let content_tokens = a.content_tokens.max(b.content_tokens);
    // Any record that names the skill will do; the order must not matter.
    let skill = a.skill.take().max(b.skill.take());
    let (request, (at, line)) = match a.source.cmp(&b.source) {
        Ordering::Less => (a.request, (a.at, a.line)),
        Ordering::Greater => (b.request, (b.at, b.line)),
        Ordering::Equal => (better_request(a.request, b.request), earliest((a.at, a.line), (b.at, b.line))),
    };
    if owner_rank(b) < owner_rank(a) {
        std::mem::swap(a, b);
    }
    (a.usage, a.complete, a.model, a.modifiers) = (usage, complete, model, modifiers);
    (a.request, a.at, a.line) = (request, at, line);
    (a.content_tokens, a.skill, a.iterations) = (content_tokens, skill, iterations);
}

/// The request of two records of one response. One that the log names is the better witness.
fn better_request(a: Option<RequestTag>, b: Option<RequestTag>) -> Option<RequestTag> {
    let rank = |tag: &RequestTag| (!tag.is_named(), tag.to_bits());
    [a, b].into_iter().flatten().min_by_key(rank)
}

/// The first line of two records of one response.
fn earliest(a: FirstLine, b: FirstLine) -> FirstLine {
    let rank = |(at, line): &FirstLine| (at.is_none(), *at, line.is_none(), *line);
    if rank(&b) < rank(&a) { b } else { a }
}

/// When a line was written, and which it is.
type FirstLine = (Option<Timestamp>, Option<LineTag>);

/// Joins the records of each response that follow each other, as most do.
pub fn merge_neighbours(records: &mut Vec<ResponseRecord>) {
    records.dedup_by(|later, earlier| {
        // What stands side by side under one key and answers one request is one response, whatever it says.
        let answers_one = |a: &ResponseRecord, b: &ResponseRecord| {
            a.request.is_some() && (a.request, &a.session, a.source) == (b.request, &b.session, b.source)
        };
        let is_same = later.id == earlier.id
            && (is_same(earlier, later, earlier.session == later.session) || answers_one(earlier, later));
        if is_same {
            merge_into(earlier, later);
        }
        is_same
    });
}

/// Larger is better: a row whose counts were set to 0 is the worst witness, whatever else it says. The fields after the output
/// only make the choice between equals the same in any order.
type UsageRank<'a> = (bool, bool, u64, [u64; 5], Option<&'a ModelId>, Modifiers, Option<&'a Iterations>);

fn usage_rank(message: &ResponseRecord) -> UsageRank<'_> {
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = message.usage;
    let rest = [cache_write_1h, cache_write_5m, cache_read, input, web_searches];
    let iterations = message.iterations.as_deref();
    (
        !message.is_zeroed(),
        message.complete,
        output,
        rest,
        message.model.as_ref(),
        message.modifiers,
        iterations,
    )
}

/// Smaller is better. The fields after the file's start only make the choice between equals the same in any order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OwnerRank<'a> {
    source: RecordSource,
    copied: bool,
    file_start: Dated,
    session: &'a SessionId,
    agent: Option<&'a AgentId>,
    branch: Option<&'a str>,
}

/// A time, or none, which comes after all times.
type Dated = (bool, Option<Timestamp>);

fn owner_rank(message: &ResponseRecord) -> OwnerRank<'_> {
    OwnerRank {
        source: message.source,
        copied: message.copied,
        file_start: (message.file_start.is_none(), message.file_start),
        session: &message.session,
        agent: message.agent.as_ref(),
        branch: message.branch.as_deref(),
    }
}

/// Joins all records of each response; the result has each id once.
#[must_use]
pub fn merge_all(records: Vec<ResponseRecord>) -> Vec<ResponseRecord> {
    let mut position: HashMap<MessageId, usize> = HashMap::with_capacity(records.len());
    // Each place is empty only while its records are joined.
    let mut merged: Vec<Option<ResponseRecord>> = Vec::with_capacity(records.len());
    for record in records {
        // Most records of a response follow each other.
        let last = merged.last().and_then(Option::as_ref);
        let at = match last.is_some_and(|last| last.id == record.id) {
            true => Some(merged.len() - 1),
            false => position.get(&record.id).copied(),
        };
        match at {
            Some(at) => {
                merged[at] = match merged[at].take() {
                    Some(known) => Some(merge(known, record)),
                    None => Some(record),
                }
            }
            None => {
                position.insert(record.id.clone(), merged.len());
                merged.push(Some(record));
            }
        }
    }
    merged.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, ModelId};
    use proptest::prelude::*;

    fn record(session: &str, source: RecordSource, start: i64, output: u64) -> ResponseRecord {
        ResponseRecord {
            id: MessageId::new("msg_1").unwrap(),
            request: Some(RequestTag::named(b"req_1")),
            line: None,
            session: SessionId::new(session).unwrap(),
            file_start: Some(Timestamp::from_millis(start)),
            copied: false,
            source,
            agent: None,
            model: ModelId::new("claude-opus-5-5"),
            at: Some(Timestamp::from_millis(1_000)),
            usage: Usage { output, ..Usage::default() },
            iterations: None,
            complete: true,
            skill: None,
            branch: None,
            modifiers: Modifiers::default(),
            content_tokens: 0,
        }
    }

    #[test]
    fn a_streams_last_record_counts_and_not_their_sum() {
        let records = vec![
            record("s", RecordSource::Main, 1, 4),
            record("s", RecordSource::Main, 1, 300),
            record("s", RecordSource::Main, 1, 300),
        ];
        let merged = merge_all(records);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].usage.output, 300);
    }

    #[test]
    fn a_forks_copy_belongs_to_the_parent() {
        let merged =
            merge(record("fork", RecordSource::Main, 9, 5), record("parent", RecordSource::Main, 1, 5));
        assert_eq!(merged.session.as_str(), "parent");
    }

    #[test]
    fn a_sidechains_replay_belongs_to_the_main_conversation() {
        let mut replay = record("s", RecordSource::Sidechain, 1, 5);
        replay.agent = AgentId::new("btw");
        assert_eq!(merge(replay, record("s", RecordSource::Main, 2, 5)).agent, None);
    }

    /// A record of a line, as most have them.
    fn line_of(session: &str, request: &str, line: &str, at: i64, input: u64) -> ResponseRecord {
        ResponseRecord {
            request: Some(RequestTag::named(request.as_bytes())),
            line: Some(LineTag::of(line.as_bytes())),
            at: Some(Timestamp::from_millis(at)),
            usage: Usage { input, output: 7, ..Usage::default() },
            ..record(session, RecordSource::Main, 1, 7)
        }
    }

    fn without_request(message: ResponseRecord) -> ResponseRecord {
        ResponseRecord { request: message.line.map(RequestTag::begun_by), ..message }
    }

    #[test]
    fn an_id_that_a_gateway_repeats_is_not_believed_alone() {
        let first = line_of("s", "req_1", "l1", 10, 100);
        let same = |other: &ResponseRecord| is_same(&first, other, first.session == other.session);
        assert!(!same(&line_of("s", "req_2", "l2", 20, 110)));
        assert!(same(&line_of("s", "req_1", "l2", 20, 100)), "streamed in several lines");
        assert!(same(&line_of("s", "req_2", "l1", 20, 100)), "the same line");
        assert!(same(&line_of("s", "req_2", "l2", 10, 100)), "at the same time");
        assert!(same(&without_request(line_of("s", "", "l2", 20, 100))), "nothing names another request");
        assert!(!same(&without_request(line_of("s", "", "l2", 20, 110))), "and the prompt is another one");
        // Two sessions that count from 1, with the requests or without.
        assert!(!same(&line_of("t", "req_1", "l2", 20, 100)));
        assert!(!same(&line_of("t", "req_2", "l2", 10, 100)), "at the same time by chance");
        assert!(
            !same(&line_of("t", "req_1", "l2", 10, 100)),
            "both count from 1, at the same time by chance"
        );
        let bare = |session| ResponseRecord {
            line: None,
            request: None,
            at: None,
            ..line_of(session, "", "", 0, 100)
        };
        assert!(!is_same(&bare("s"), &bare("t"), false), "nothing but the id is common");
        assert!(same(&line_of("t", "req_1", "l1", 10, 100)), "a fork's copy");
    }

    #[test]
    fn where_requests_have_no_ids_the_prompt_tells_responses_apart() {
        let first = without_request(line_of("s", "", "l1", 10, 100));
        let other = |line: &str, at, input| without_request(line_of("s", "", line, at, input));
        assert!(!is_same(&first, &other("l2", 20, 110), true));
        assert!(is_same(&first, &other("l2", 20, 100), true));
        let empty = without_request(line_of("s", "", "l1", 10, 0));
        assert!(!is_same(&empty, &other("l2", 20, 0), true), "no prompt tells nothing");
    }

    #[test]
    fn a_side_question_repeats_what_it_has_not_paid_for() {
        let first = line_of("s", "req_1", "l1", 10, 100);
        let replay = |input| ResponseRecord {
            source: RecordSource::Sidechain,
            agent: AgentId::new("aside"),
            ..line_of("s", "req_2", "l2", 20, input)
        };
        assert!(is_same(&first, &replay(100), true));
        assert!(!is_same(&first, &replay(110), true), "an answer of its own");
        let echo = ResponseRecord {
            source: RecordSource::Progress,
            usage: Usage { output: 1, ..first.usage },
            ..replay(100)
        };
        assert!(is_same(&first, &echo, true));

        let begun = |record: &ResponseRecord, output, input| ResponseRecord {
            complete: false,
            usage: Usage { output, input, cache_read: 100 - input, ..Usage::default() },
            ..record.clone()
        };
        let usage = Usage { output: 10, input: 20, cache_read: 80, ..Usage::default() };
        let whole = ResponseRecord { usage, ..first.clone() };
        for (a, b, same) in [
            (whole.clone(), begun(&replay(100), 9, 20), true),
            (whole.clone(), begun(&replay(100), 11, 20), false),
            (whole, begun(&replay(100), 9, 30), false),
            (begun(&first, 1, 20), begun(&replay(100), 9, 20), true),
            (begun(&first, 1, 20), begun(&replay(100), 9, 30), false),
        ] {
            assert_eq!((is_same(&a, &b, true), is_same(&b, &a, true)), (same, same), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_zeroed_record_beats_no_full_one_though_it_ends_the_response() {
        let full = ResponseRecord { complete: false, ..line_of("s", "req_1", "l1", 10, 100) };
        let usage = Usage { cache_write_1h: 900, ..Usage::default() };
        let zeroed = ResponseRecord { usage, ..line_of("s", "req_1", "l2", 20, 0) };
        assert_eq!(merge(full.clone(), zeroed.clone()).usage, full.usage);
        assert_eq!(merge(zeroed, full.clone()).usage, full.usage);
    }

    fn any_record() -> impl Strategy<Value = ResponseRecord> {
        (
            prop::sample::select(vec!["a", "b", "c"]),
            0_u8..3,
            prop::option::of(0_i64..3),
            prop::option::of(prop::sample::select(vec!["x", "y"])),
            prop::option::of(prop::sample::select(vec!["m", "n"])),
            prop::option::of(0_i64..3),
            (0_u64..3, 0_u64..3),
            any::<(bool, bool, bool)>(),
            (prop::option::of(prop::sample::select(vec!["p", "q"])), 0_i64..3, 0_u64..3),
            (prop::option::of((any::<bool>(), 0_u8..3)), prop::option::of(0_u8..3)),
        )
            .prop_map(
                |(
                    session,
                    source,
                    start,
                    agent,
                    model,
                    at,
                    (output, input),
                    (complete, copied, has_iterations),
                    (skill, bits, content),
                    (request, line),
                )| {
                    let line = line.map(|line| LineTag::of(&[line]));
                    let request = request.map(|(is_named, number)| {
                        let begun = RequestTag::begun_by(LineTag::of(&[number]));
                        if is_named { RequestTag::named(&[number]) } else { begun }
                    });
                    ResponseRecord {
                        id: MessageId::new("msg_1").unwrap(),
                        request,
                        line,
                        session: SessionId::new(session).unwrap(),
                        file_start: start.map(Timestamp::from_millis),
                        copied,
                        source: RecordSource::from_rank(source.into()),
                        agent: agent.and_then(AgentId::new),
                        model: model.and_then(ModelId::new),
                        at: at.map(Timestamp::from_millis),
                        usage: Usage { output, input, ..Usage::default() },
                        iterations: has_iterations.then(|| {
                            Iterations::unknown_to_client(Usage { output, input, ..Usage::default() })
                        }),
                        complete,
                        skill: skill.map(str::to_owned),
                        branch: skill.map(str::to_owned),
                        modifiers: Modifiers::from_bits(bits),
                        content_tokens: content,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn merging_is_the_same_in_any_order_and_twice_is_once(
            a in any_record(), b in any_record(), c in any_record()
        ) {
            prop_assert_eq!(&merge(a.clone(), a.clone()), &a);
            prop_assert_eq!(merge(a.clone(), b.clone()), merge(b.clone(), a.clone()));
            let left = merge(merge(a.clone(), b.clone()), c.clone());
            prop_assert_eq!(&merge(left.clone(), b.clone()), &left);
            prop_assert_eq!(left, merge(a, merge(b, c)));
        }

        #[test]
        fn neighbours_that_are_joined_first_change_nothing(
            records in prop::collection::vec((any_record(), any::<bool>()), 0..8)
        ) {
            let of = |(record, is_first): (ResponseRecord, bool)| ResponseRecord {
                id: MessageId::new(if is_first { "msg_1" } else { "msg_2" }).unwrap(),
                ..record
            };
            let records: Vec<ResponseRecord> = records.into_iter().map(of).collect();
            let mut joined = records.clone();
            merge_neighbours(&mut joined);
            prop_assert!(joined.len() <= records.len());
            prop_assert_eq!(merge_all(joined), merge_all(records));
        }

        #[test]
        fn two_records_are_of_one_response_whichever_comes_first(
            a in any_record(), b in any_record(), shares in any::<bool>()
        ) {
            prop_assert!(is_same(&a, &a, true));
            prop_assert_eq!(is_same(&a, &b, shares), is_same(&b, &a, shares));
            // What is known in the same session is no less alike than in another one.
            prop_assert!(!is_same(&a, &b, false) || is_same(&a, &b, true));
        }
    }
}
