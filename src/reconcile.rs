//! Makes one response out of all the records that tell of it. Pure: reads no file, no ledger and no clock.
//!
//! [`merge`] is associative, commutative and idempotent, so records may come in any order, from any file, any
//! number of times (`docs/facts.md#records-of-one-response`).

mod pairing;
pub mod totals;

use std::collections::HashMap;

use crate::domain::{
    AgentId, Iterations, Message, MessageId, MessageSource, ModelId, Modifiers, SessionId, Timestamp, Usage,
};

/// Joins two records of one response.
///
/// The usage is that of the record that is known to be complete, else of the one with the most output: a stream's
/// earlier records have its start value. Whose the response is, and when it came, says the best witness: the main
/// conversation before a sidechain before an echo, an original before a fork's copy, then the file that starts first.
#[must_use]
pub fn merge(mut a: Message, mut b: Message) -> Message {
    merge_into(&mut a, &mut b);
    a
}

/// Makes `a` what both are; nothing is left in `b` that anyone would want.
fn merge_into(a: &mut Message, b: &mut Message) {
    let best = if usage_rank(b) > usage_rank(a) { &*b } else { &*a };
    let (usage, complete, model, modifiers) = (best.usage, best.complete, best.model.clone(), best.modifiers);
    let iterations = best.iterations.clone();
    // Files that repeat a response repeat all of it; one that is cut has less.
    let content_tokens = a.content_tokens.max(b.content_tokens);
    // Any record that names the skill will do; the order must not matter.
    let skill = a.skill.take().max(b.skill.take());
    if owner_rank(b) < owner_rank(a) {
        std::mem::swap(a, b);
    }
    (a.usage, a.complete, a.model, a.modifiers) = (usage, complete, model, modifiers);
    (a.content_tokens, a.skill, a.iterations) = (content_tokens, skill, iterations);
}

/// Joins the records of each response that follow each other, as most do.
pub fn merge_neighbours(records: &mut Vec<Message>) {
    records.dedup_by(|later, earlier| {
        let is_same = later.id == earlier.id;
        if is_same {
            merge_into(earlier, later);
        }
        is_same
    });
}

/// Larger is better: a row whose counts were set to 0 is the worst witness, whatever else it says. The fields after the output
/// only make the choice between equals the same in any order.
type UsageRank<'a> = (bool, bool, u64, [u64; 5], Option<&'a ModelId>, Modifiers, Option<&'a Iterations>);

fn usage_rank(message: &Message) -> UsageRank<'_> {
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = message.usage;
    let has_counts = input + output + cache_read > 0;
    let rest = [cache_write_1h, cache_write_5m, cache_read, input, web_searches];
    let iterations = message.iterations.as_deref();
    (has_counts, message.complete, output, rest, message.model.as_ref(), message.modifiers, iterations)
}

/// Smaller is better. The fields after the file's start only make the choice between equals the same in any order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OwnerRank<'a> {
    source: MessageSource,
    copied: bool,
    file_start: Dated,
    session: &'a SessionId,
    agent: Option<&'a AgentId>,
    at: Dated,
    branch: Option<&'a str>,
}

/// A time, or none, which comes after all times.
type Dated = (bool, Option<Timestamp>);

fn owner_rank(message: &Message) -> OwnerRank<'_> {
    OwnerRank {
        source: message.source,
        copied: message.copied,
        file_start: (message.file_start.is_none(), message.file_start),
        session: &message.session,
        agent: message.agent.as_ref(),
        at: (message.at.is_none(), message.at),
        branch: message.branch.as_deref(),
    }
}

/// Joins all records of each response; the result has each id once.
#[must_use]
pub fn merge_all(records: Vec<Message>) -> Vec<Message> {
    let mut position: HashMap<MessageId, usize> = HashMap::with_capacity(records.len());
    // Each place is empty only while its records are joined.
    let mut merged: Vec<Option<Message>> = Vec::with_capacity(records.len());
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

    fn record(session: &str, source: MessageSource, start: i64, output: u64) -> Message {
        Message {
            id: MessageId::new("msg_1").unwrap(),
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
            record("s", MessageSource::Main, 1, 4),
            record("s", MessageSource::Main, 1, 300),
            record("s", MessageSource::Main, 1, 300),
        ];
        let merged = merge_all(records);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].usage.output, 300);
    }

    #[test]
    fn a_forks_copy_belongs_to_the_parent() {
        let merged =
            merge(record("fork", MessageSource::Main, 9, 5), record("parent", MessageSource::Main, 1, 5));
        assert_eq!(merged.session.as_str(), "parent");
    }

    #[test]
    fn a_sidechains_replay_belongs_to_the_main_conversation() {
        let mut replay = record("s", MessageSource::Sidechain, 1, 5);
        replay.agent = AgentId::new("btw");
        assert_eq!(merge(replay, record("s", MessageSource::Main, 2, 5)).agent, None);
    }

    fn any_record() -> impl Strategy<Value = Message> {
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
                )| {
                    Message {
                        id: MessageId::new("msg_1").unwrap(),
                        session: SessionId::new(session).unwrap(),
                        file_start: start.map(Timestamp::from_millis),
                        copied,
                        source: MessageSource::from_rank(source.into()),
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
            let of = |(record, is_first): (Message, bool)| Message {
                id: MessageId::new(if is_first { "msg_1" } else { "msg_2" }).unwrap(),
                ..record
            };
            let records: Vec<Message> = records.into_iter().map(of).collect();
            let mut joined = records.clone();
            merge_neighbours(&mut joined);
            prop_assert!(joined.windows(2).all(|pair| pair[0].id != pair[1].id));
            prop_assert_eq!(merge_all(joined), merge_all(records));
        }
    }
}
