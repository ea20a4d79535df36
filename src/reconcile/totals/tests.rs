//! Totals beside lines: other names, other starts, other days.

use proptest::prelude::*;

use super::super::pairing::beyond;
use super::*;

/// Names that begin with `m` have a price.
struct Known;

impl Models for Known {
    fn name(&self, model: &str) -> (String, bool) {
        (model.to_owned(), model.starts_with('m'))
    }

    fn cost(&self, model: &str, _: Option<Timestamp>, usage: &Usage) -> Option<PicoUsd> {
        let pico = i128::from(usage.cache_write_5m) * 5 + i128::from(usage.cache_write_1h) * 8;
        model.starts_with('m').then_some(PicoUsd::from_pico(pico))
    }
}

fn usage((input, output, read, write): (u64, u64, u64, u64)) -> Usage {
    Usage { input, output, cache_read: read, cache_write_5m: write, ..Usage::default() }
}

fn second(number: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(number * 1_000))
}

fn line(at: i64, name: usize, usage: Usage) -> ShownResponse {
    ShownResponse {
        at: second(at),
        told_at: second(at),
        name,
        usage,
        is_advice: false,
        is_before_fork: false,
    }
}

fn state(at: i64, totals: &[(&str, Usage)]) -> TotalState {
    let total = |(name, usage): &(&str, Usage)| {
        ((*name).to_owned(), Total { usage: *usage, is_split: true, cost: None })
    };
    TotalState { at: second(at), started_at: None, totals: totals.iter().map(total).collect() }
}

fn names(models: &[&str]) -> Vec<ModelName> {
    let name = |model: &&str| ModelName { model: (*model).to_owned(), modifiers: Modifiers::default() };
    models.iter().map(name).collect()
}

fn hidden(told: &TotalsFindings) -> Usage {
    told.hidden.iter().map(|hidden| hidden.usage).sum()
}

#[test]
fn writes_without_a_split_are_split_as_the_lines_and_the_rest_by_the_cost() {
    let total = Total { usage: usage((0, 0, 0, 100)), is_split: false, cost: Some(PicoUsd::from_pico(620)) };
    let lines = Usage { cache_write_1h: 10, ..usage((0, 0, 0, 20)) };
    let split = total.split(&lines, |usage| Known.cost("m", None, usage));
    assert_eq!((split.cache_write_5m, split.cache_write_1h), (60, 40));
    let unknown = total.split(&lines, |_| None);
    assert_eq!((unknown.cache_write_5m, unknown.cache_write_1h), (90, 10));
}

fn any_usage() -> impl Strategy<Value = Usage> {
    (0..50_u64, 0..50_u64, 0..500_u64, 0..50_u64).prop_map(usage)
}

proptest! {
    /// Whatever names the client gives the models: what is hidden is all that it counted less all lines.
    #[test]
    fn under_other_names_totals_less_lines_is_what_is_hidden(
        lines in prop::collection::vec((0..3_usize, 0..3_usize, any_usage()), 1..12),
        more in prop::collection::vec(any_usage(), 3),
        is_split in any::<bool>(),
    ) {
        const ASKED: [&str; 3] = ["a", "b", "m-asked"];
        let mut totals: BTreeMap<String, Total> = BTreeMap::new();
        for (name, more) in ASKED.iter().zip(&more) {
            totals.insert((*name).to_owned(), Total { usage: *more, is_split, cost: None });
        }
        let mut shown = Vec::new();
        for (at, (asked, answered, usage)) in (1..).zip(&lines) {
            totals.get_mut(ASKED[*asked]).unwrap().usage += *usage;
            shown.push(line(at, *answered, *usage));
        }
        let session = Session {
            states: vec![TotalState { at: second(100), started_at: None, totals }],
            lines: shown,
            names: names(&["m-1", "m-2", "house"]),
            ..Session::default()
        };
        let told = session.told(&Known);
        prop_assert_eq!(hidden(&told), more.into_iter().sum::<Usage>());
        prop_assert_eq!(told.excess, BTreeMap::new());
    }

    /// Totals of one start come to the last one, whatever day each part has.
    #[test]
    fn totals_of_one_start_come_to_the_last_of_them(
        lines in prop::collection::vec((1..40_i64, any_usage()), 0..10),
        grown in prop::collection::vec((1..40_i64, any_usage()), 1..6),
    ) {
        let (mut lines, mut grown) = (lines, grown);
        lines.sort_by_key(|(at, _)| *at);
        grown.sort_by_key(|(at, _)| *at);
        grown.dedup_by_key(|(at, _)| *at);
        let mut sum = Usage::default();
        let states: Vec<TotalState> = grown
            .iter()
            .map(|(at, more)| {
                sum += *more;
                state(*at, &[("m", sum)])
            })
            .collect();
        let last = states.last().and_then(|state| state.at).unwrap();
        let session = Session {
            states,
            lines: lines.iter().map(|(at, usage)| line(*at, 0, *usage)).collect(),
            names: names(&["m"]),
            ..Session::default()
        };
        let shown: Usage = session.lines.iter().filter(|line| line.at <= Some(last)).map(|line| line.usage).sum();
        let told = session.told(&Known);
        prop_assert_eq!(hidden(&told), beyond(&sum, &shown));
        for hidden in &told.hidden {
            prop_assert!(session.states.iter().any(|state| state.at == hidden.at));
        }
    }

    /// Totals of different starts add up.
    #[test]
    fn totals_of_different_starts_add_up(
        parts in prop::collection::vec((any_usage(), any_usage()), 1..5),
    ) {
        let mut session = Session { names: names(&["m"]), ..Session::default() };
        for (number, (shown, more)) in (0..).zip(&parts) {
            let start = number * 10;
            session.lines.push(line(start + 1, 0, *shown));
            session.states.push(TotalState { started_at: second(start), ..state(start + 2, &[("m", *shown + *more)]) });
        }
        let told = session.told(&Known);
        prop_assert_eq!(hidden(&told), parts.iter().map(|(_, more)| *more).sum::<Usage>());
        prop_assert_eq!(told.excess, BTreeMap::new());
    }
}
