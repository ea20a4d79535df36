//! The worked example, and the rule that holds whatever a transcript says.

use proptest::prelude::*;

use super::*;

fn usage(input: u64, write: u64, read: u64, output: u64) -> Usage {
    Usage { input, output, cache_read: read, cache_write_5m: write, ..Usage::default() }
}

fn message(number: usize) -> MessageId {
    MessageId::new(&format!("msg_{number}")).unwrap()
}

fn response(number: usize, text: u64, calls: &[(&str, &str, u64)]) -> ContextEntry {
    let calls = calls
        .iter()
        .map(|(id, tool, tokens)| ContextCall {
            id: ToolUseId::new(id).unwrap(),
            tool: ToolName::new(tool),
            tokens: *tokens,
            starts: None,
            file_type: None,
            file: None,
        })
        .collect();
    ContextEntry::Response { id: message(number), skill: None, text, thinking: 0, calls }
}

fn result(call: &str, tokens: u64) -> ContextEntry {
    ContextEntry::Result { call: ToolUseId::new(call).unwrap(), tokens, media: false }
}

/// A response of one request.
fn paid(usage: Usage, bucket: Option<usize>, percent: u64) -> Paid {
    Paid { usage, last: usage, bucket, others: Vec::new(), percent }
}

fn run(entries: &[ContextEntry], usages: &[Usage]) -> Attribution {
    attribute(entries, None, |id, _| {
        let number: usize = id.as_str()[4..].parse().unwrap();
        Some(paid(usages[number], Some(0), 100))
    })
}

fn of(attribution: &Attribution, kind: &ItemKind) -> (Usage, Usage) {
    attribution
        .shares
        .iter()
        .filter(|share| attribution.items[share.item].kind == *kind)
        .fold(Default::default(), |(entry, carry): (Usage, Usage), share| {
            (entry + share.entry, carry + share.carry)
        })
}

fn sum(attribution: &Attribution) -> Usage {
    attribution.shares.iter().map(|share| share.entry + share.carry).sum()
}

/// The example of `README.md` beside this file, number for number.
#[test]
fn the_worked_example() {
    let entries = [
        ContextEntry::Prompt { tokens: 100 },
        response(0, 0, &[("a", "Read", 20)]),
        result("a", 2_000),
        response(1, 50, &[("b", "Bash", 50)]),
        result("b", 300),
        response(2, 80, &[]),
    ];
    let usages = [usage(0, 10_000, 0, 20), usage(0, 2_020, 10_000, 100), usage(0, 400, 12_020, 80)];
    let shared = run(&entries, &usages);
    let read = ItemKind::Tool(ToolName::new("Read"));
    let bash = ItemKind::Tool(ToolName::new("Bash"));
    assert_eq!(of(&shared, &ItemKind::System), (usage(0, 9_900, 0, 0), usage(0, 0, 19_800, 0)));
    assert_eq!(of(&shared, &ItemKind::Prompts), (usage(0, 100, 0, 0), usage(0, 0, 200, 0)));
    assert_eq!(of(&shared, &read), (usage(0, 2_020, 0, 20), usage(0, 0, 2_020, 0)));
    assert_eq!(of(&shared, &bash), (usage(0, 350, 0, 50), Usage::default()));
    assert_eq!(of(&shared, &ItemKind::Output), (usage(0, 50, 0, 130), Usage::default()));
    assert_eq!(sum(&shared), usages.into_iter().sum());
}

#[test]
fn a_compaction_drops_what_stood_before() {
    let entries = [
        ContextEntry::Prompt { tokens: 100 },
        response(0, 0, &[("a", "Read", 20)]),
        result("a", 2_000),
        response(1, 50, &[]),
        ContextEntry::Compaction,
        ContextEntry::Summary { tokens: 400 },
        response(2, 80, &[]),
    ];
    let usages = [usage(0, 10_000, 0, 20), usage(0, 2_020, 10_000, 50), usage(0, 500, 9_900, 80)];
    let shared = run(&entries, &usages);
    assert_eq!(of(&shared, &ItemKind::Tool(ToolName::new("Read"))).1, Usage::default());
    assert_eq!(of(&shared, &ItemKind::Summary), (usage(0, 500, 0, 0), Usage::default()));
    assert_eq!(sum(&shared), usages.into_iter().sum());
}

#[test]
fn an_expired_cache_is_paid_by_what_stood_there() {
    let entries = [ContextEntry::Prompt { tokens: 100 }, response(0, 10, &[]), response(1, 10, &[])];
    let usages = [usage(0, 10_000, 0, 10), usage(0, 10_010, 0, 10)];
    let shared = run(&entries, &usages);
    assert_eq!(of(&shared, &ItemKind::System).1, usage(0, 9_900, 0, 0));
    assert_eq!(of(&shared, &ItemKind::Output).0, usage(0, 10, 0, 20));
}

#[test]
fn what_nothing_explains_is_the_systems() {
    let entries = [
        ContextEntry::Prompt { tokens: 100 },
        response(0, 0, &[("a", "Read", 10)]),
        result("a", 10),
        response(1, 10, &[]),
    ];
    let usages = [usage(0, 1_000, 0, 10), usage(0, 20_000, 1_000, 10)];
    let shared = run(&entries, &usages);
    // Ten tokens of a call, and of a result at most three times ten and 1,000.
    assert_eq!(of(&shared, &ItemKind::Tool(ToolName::new("Read"))).0, usage(0, 10 + 1_030, 0, 10));
    assert_eq!(of(&shared, &ItemKind::System).0, usage(0, 900 + 20_000 - 1_040, 0, 0));
}

#[test]
fn a_copy_says_how_large_the_context_is_and_pays_nothing() {
    let entries = [
        ContextEntry::Prompt { tokens: 100 },
        response(0, 0, &[("a", "Read", 20)]),
        result("a", 2_000),
        response(1, 50, &[]),
    ];
    let usages = [usage(0, 10_000, 0, 20), usage(0, 2_020, 10_000, 50)];
    let shared = attribute(&entries, None, |id, _| {
        let number: usize = id.as_str()[4..].parse().unwrap();
        Some(paid(usages[number], (number > 0).then_some(0), 100))
    });
    assert_eq!(
        of(&shared, &ItemKind::Tool(ToolName::new("Read"))),
        (usage(0, 2_020, 0, 0), Usage::default())
    );
    assert_eq!(sum(&shared), usages[1]);
}

#[test]
fn a_response_of_two_requests_leaves_the_context_of_the_last_and_each_pays_its_own_price() {
    let entries = [ContextEntry::Prompt { tokens: 100 }, response(0, 50, &[]), response(1, 10, &[])];
    let (first, second) = (usage(0, 1_000, 0, 30), usage(5, 200, 1_000, 20));
    let next = usage(0, 20, 1_205, 10);
    let shared = attribute(&entries, None, |id, _| {
        Some(match id.as_str() {
            "msg_0" => Paid { last: second, others: vec![(1, first)], ..paid(second, Some(0), 100) },
            _ => paid(next, Some(0), 100),
        })
    });
    let of_bucket = |bucket: usize| -> Usage {
        let shares = shared.shares.iter().filter(|share| share.bucket == bucket);
        shares.map(|share| share.entry + share.carry).sum()
    };
    assert_eq!((of_bucket(0), of_bucket(1)), (second + next, first));
    // What the second request wrote, 20 tokens, is all that the context has grown by.
    assert_eq!(of(&shared, &ItemKind::Output).0, usage(0, 20, 0, 30 + 20 + 10));
}

#[test]
fn of_more_entries_than_any_context_has_the_earlier_ones_go_on_by_kind() {
    const CALLS: usize = context::MOST_LIVE;
    let (mut entries, mut usages) = (vec![ContextEntry::Prompt { tokens: 100 }], Vec::new());
    for number in 0..4 {
        let names: Vec<String> = (0..CALLS).map(|call| format!("call_{number}_{call}")).collect();
        let calls: Vec<(&str, &str, u64)> =
            names.iter().enumerate().map(|(call, id)| (&**id, ["Read", "Bash"][call % 2], 5)).collect();
        entries.push(response(number, 0, &calls));
        entries.extend(names.iter().map(|id| result(id, 5)));
        let came_in = 10 * CALLS as u64;
        usages.push(usage(0, came_in, came_in * number as u64, 5 * CALLS as u64));
    }
    let shared = run(&entries, &usages);
    assert_eq!(sum(&shared), usages.into_iter().sum());
    // Of all that came in each half is of one tool, and so are reads of it.
    let [read, bash] = ["Read", "Bash"].map(|tool| of(&shared, &ItemKind::Tool(ToolName::new(tool))));
    assert!(read.1.cache_read.abs_diff(bash.1.cache_read) < read.1.cache_read / 1_000, "{read:?} {bash:?}");
    let is_tool = |share: &&ItemShare| matches!(shared.items[share.item].kind, ItemKind::Tool(_));
    let has_call = |share: &&ItemShare| shared.items[share.item].call.is_some();
    let (calls, earlier): (Vec<&ItemShare>, Vec<&ItemShare>) =
        shared.shares.iter().filter(is_tool).partition(has_call);
    assert_eq!((calls.len(), earlier.len()), (4 * CALLS, 2));
    // Of the last two responses.
    assert!(
        earlier.iter().all(|share| share.carry.cache_read > 10 * CALLS as u64 && share.calls == 0),
        "{earlier:?}"
    );
}

#[test]
fn of_more_kinds_than_any_context_has_the_last_are_the_systems() {
    let count = 3 * context::MOST_LIVE;
    let names: Vec<(String, String)> =
        (0..count).map(|number| (format!("call_{number}"), format!("tool_{number}"))).collect();
    let calls: Vec<(&str, &str, u64)> = names.iter().map(|(id, tool)| (&**id, &**tool, 10)).collect();
    let entries = [
        ContextEntry::Prompt { tokens: 10 },
        response(0, 0, &calls),
        response(1, 1, &[]),
        response(2, 1, &[]),
    ];
    let total = 10 * count as u64;
    let usages = [usage(0, 10, 0, total), usage(0, total, 10, 1), usage(0, 1, total + 10, 1)];
    let shared = run(&entries, &usages);
    assert_eq!(sum(&shared), usages.into_iter().sum());
    let paid_again = shared.shares.iter().filter(|share| share.carry != Usage::default()).count();
    assert!(paid_again <= context::MOST_LIVE, "{paid_again}");
}

fn entries() -> impl Strategy<Value = Vec<ContextEntry>> {
    let entry = prop_oneof![
        4 => (0..12_usize, 0..500_u64, prop::collection::vec((0..20_u8, 0..300_u64), 0..3)).prop_map(|(number, text, calls)| {
            let named: Vec<(String, u64)> = calls.into_iter().map(|(id, tokens)| (format!("call_{id}"), tokens)).collect();
            let calls: Vec<(&str, &str, u64)> = named.iter().map(|(id, tokens)| (id.as_str(), "Bash", *tokens)).collect();
            response(number, text, &calls)
        }),
        4 => (0..20_u8, 0..5_000_u64).prop_map(|(id, tokens)| result(&format!("call_{id}"), tokens)),
        1 => (0..500_u64).prop_map(|tokens| ContextEntry::Prompt { tokens }),
        1 => (0..500_u64).prop_map(|tokens| ContextEntry::Note { tokens }),
        1 => (0..500_u64).prop_map(|tokens| ContextEntry::CallText { call: None, tokens }),
        1 => Just(ContextEntry::Compaction),
        1 => (0..500_u64).prop_map(|tokens| ContextEntry::Summary { tokens }),
        1 => prop::option::of(Just(AgentId::new("x").unwrap())).prop_map(|agent| ContextEntry::Of { agent }),
    ];
    prop::collection::vec(entry, 0..60)
}

fn usages() -> impl Strategy<Value = Vec<Usage>> {
    let count = || prop_oneof![Just(0_u64), 0..10_u64, 0..100_000_u64, 0..crate::domain::MAX_COUNT];
    let usage = (count(), count(), count(), count(), count(), 0..3_u64).prop_map(
        |(input, write, long, read, output, searches)| Usage {
            input,
            output,
            cache_read: read,
            cache_write_5m: write,
            cache_write_1h: long,
            web_searches: searches,
        },
    );
    prop::collection::vec(usage, 12)
}

proptest! {
    /// Whatever the transcript says and in whatever order: the parts are the whole, in every class and bucket.
    #[test]
    fn the_parts_are_the_whole(entries in entries(), usages in usages(), owned in 0..4096_u32) {
        let mut expected = [Usage::default(); 3];
        let mut counted = std::collections::HashSet::new();
        let shared = attribute(&entries, None, |id, agent| {
            let number: usize = id.as_str()[4..].parse().unwrap();
            let is_owned = owned >> number & 1 == 1;
            let mut paid = paid(usages[number], is_owned.then_some(number % 3), 160);
            if is_owned && number > 8 && usages[number - 1].prompt() > 0 {
                paid.others = vec![(number % 2, usages[number - 1])];
                paid.last = usages[number - 1];
            }
            if is_owned && counted.insert((number, agent.cloned())) {
                paid.requests().for_each(|(bucket, usage)| expected[bucket] += usage);
            }
            Some(paid)
        });
        for (bucket, expected) in expected.into_iter().enumerate() {
            let parts = shared.shares.iter().filter(|share| share.bucket == bucket);
            let sum: Usage = parts.map(|share| share.entry + share.carry).sum();
            prop_assert_eq!(sum, expected);
        }
        let responses: u64 = shared.shares.iter().map(|share| share.responses).sum();
        prop_assert_eq!(responses, counted.len() as u64);
    }
}
