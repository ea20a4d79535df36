//! Usage by hour, by day and by session is what `usage_buckets` comes to, whatever has happened to it, and reports that read it say
//! what the quarters of an hour say.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::{Connection, params};
use tallyhook::calendar::{Day, Zone};
use tallyhook::domain::{PicoUsd, Timestamp, Usage};
use tallyhook::report::cost::{By, CostReport, Query};

use crate::bill::{OPUS, cost_state};
use crate::support::{Ledger, Session, With, answers, cases};

/// What it comes to: by hour, by day and by session.
const ROLLED_UP: &str = "
    SELECT grain.value, quarter_hour - quarter_hour % grain.value, session,
      iif(grain.value = 96 OR agent_id = '(hidden)', agent_id, ''), model, branch, priced, sum(responses),
      sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
      sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico), sum(cache_read_pico),
      sum(cache_write_pico), sum(web_search_pico)
    FROM (SELECT 4 AS value UNION ALL SELECT 96) AS grain, usage_buckets WHERE quarter_hour >= 0 GROUP BY 1, 2, 3, 4, 5, 6, 7
    UNION ALL
    SELECT 0, 0, session, iif(agent_id = '(hidden)', agent_id, ''), model, '', priced, sum(responses),
      sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_5m_tokens),
      sum(cache_write_1h_tokens), sum(web_searches), sum(input_pico), sum(output_pico), sum(cache_read_pico),
      sum(cache_write_pico), sum(web_search_pico)
    FROM usage_buckets WHERE quarter_hour >= 0 GROUP BY 3, 4, 5, 7";

/// Brings the table in line with rows of `usage_buckets` that a test has written itself.
pub(crate) fn roll_up(db: &Connection) {
    db.execute("DELETE FROM usage_rollups", []).unwrap();
    db.execute(&format!("INSERT INTO usage_rollups {ROLLED_UP}"), []).unwrap();
}

/// Fails unless the table is what `usage_buckets` comes to.
pub(crate) fn assert_rolled_up(ledger: &Ledger, how: &str) {
    let db = ledger.sqlite();
    let (own, other) = ("SELECT * FROM usage_rollups", format!("SELECT * FROM ({ROLLED_UP})"));
    for sql in [format!("{own} EXCEPT {other}"), format!("{other} EXCEPT {own}")] {
        let mut query = db.prepare(&sql).unwrap();
        let rows = query.query_map([], |row| Ok(format!("{row:?}"))).unwrap();
        let rows: Vec<String> = rows.map(Result::unwrap).collect();
        assert!(rows.is_empty(), "{how}: {rows:#?}");
    }
}

fn rows_of(ledger: &Ledger) -> i64 {
    ledger.sqlite().query_row("SELECT count(*) FROM usage_rollups", [], |row| row.get(0)).unwrap()
}

/// A session with a subagent, hidden calls, a model without a price and an answer that a later line corrects.
fn busy_session() -> Ledger {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "session");
    s.transcript().write(&[
        s.says(1),
        s.answer("msg_1", 2, 10),
        s.answer("msg_2", 2_000, 60),
        s.answer("msg_3", 3_000, 20).with("message.model", "house-model"),
        s.answer("msg_6", 0, 20).with("timestamp", "2099-11-23T00:10:00.000Z"),
        cost_state("session", &[(OPUS, answers(5, 190) + Usage { output: 500, ..Usage::default() })]),
    ]);
    s.subagent("subagents", "a1").write(&[s.answer_of("a1", "msg_4", 2_500, 80)]);
    ledger.import();
    ledger
}

#[test]
fn they_follow_an_answer_that_grows_and_a_total_that_changes() {
    let ledger = busy_session();
    assert_rolled_up(&ledger, "imported");
    assert!(rows_of(&ledger) > 6);
    let s = Session::new(&ledger, "session");
    s.transcript().append(&[s.answer("msg_2", 2_000, 90), s.answer("msg_5", 3_001, 7)]);
    ledger.hook(s.start()).hook(s.prompt("prompt-1")).hook(s.stop());
    assert_rolled_up(&ledger, "after Stop");
    s.transcript().append(&[cost_state("session", &[(OPUS, answers(4, 167))])]);
    ledger.import();
    assert_rolled_up(&ledger, "without hidden calls");
    let db = ledger.sqlite();
    let hidden = "SELECT count(*) FROM usage_buckets WHERE agent_id = '(hidden)'";
    assert!(db.query_row(hidden, [], |row| row.get::<_, i64>(0)).unwrap() <= 1);
}

#[test]
fn they_follow_the_prices() {
    let ledger = busy_session();
    let before = ledger.total();
    let set = ["prices", "set", "house-model", "--input", "3", "--output", "15"];
    assert_eq!(ledger.run(&set).code, Some(0));
    let after = ledger.total();
    assert!(after.pico > before.pico, "{after:?}");
    assert_rolled_up(&ledger, "with another price");
}

#[test]
fn they_follow_a_response_that_moves_to_another_session() {
    let ledger = Ledger::new();
    let (parent, fork) = (Session::new(&ledger, "parent"), Session::new(&ledger, "fork"));
    let common = [parent.says(1), parent.answer("msg_1", 2, 10)];
    fork.transcript().write(&common.clone().map(|line| line.with("sessionId", "fork")));
    fork.transcript().append(&[fork.says(3_000), fork.answer("msg_2", 3_001, 70)]);
    ledger.import();
    assert_rolled_up(&ledger, "the fork alone");
    parent.transcript().write(&common);
    ledger.import();
    assert_rolled_up(&ledger, "both");
    assert_eq!(ledger.total().usage, answers(2, 80));
}

#[test]
fn a_removed_session_leaves_nothing_in_them() {
    let ledger = busy_session();
    let mut store = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
    let id = tallyhook::domain::SessionId::new("session").unwrap();
    assert!(store.sessions_mut().remove(&id).unwrap());
    assert_eq!(rows_of(&ledger), 0);
}

/// A row of `usage_buckets`: quarter, session, run, model, tokens.
type Row = (i64, i64, usize, usize, i64);

const AGENTS: [&str; 4] = ["", "(hidden)", "a1", "a2"];
const MODELS: [&str; 2] = [OPUS, "claude-haiku-5-5"];

fn quarter_day(zone: &Zone, quarter: i64) -> Option<Day> {
    (quarter >= 0).then(|| zone.day_of(Timestamp::from_millis(quarter * 900_000)).unwrap())
}

#[test]
fn reports_say_what_the_quarters_of_an_hour_say_wherever_days_begin() {
    const ZONES: [&str; 7] = [
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Pacific/Chatham",
    ];
    const KEYS: [By; 4] = [By::Day, By::Model, By::Agent, By::Session];
    let ledger = Ledger::new();
    ledger.hook(Session::new(&ledger, "s").start());
    let store = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
    // Four days around a change of the clocks in Berlin and Lord Howe, so that many rows share hours and days.
    let first = Timestamp::parse("2026-10-24T00:00:00Z").unwrap().as_millis() / 900_000;
    let first_lord_howe = Timestamp::parse("2026-10-02T12:00:00Z").unwrap().as_millis() / 900_000;
    let quarter = prop_oneof![
        1 => Just(-1_i64),
        8 => first..first + 400,
        4 => first_lord_howe..first_lord_howe + 200,
    ];
    let row = (quarter, 1_i64..4, 0..AGENTS.len(), 0..MODELS.len(), 1_i64..1_000_000);
    let days = prop::option::of((0..30_i32, 0..30_i32));
    let strategy = (prop::collection::vec(row, 0..80), 0..ZONES.len(), days, prop::option::of(0..2_usize));
    proptest!(cases(80), |((rows, zone, days, model) in strategy)| {
        let mut db = ledger.sqlite();
        let tx = db.transaction().unwrap();
        tx.execute("DELETE FROM usage_buckets", []).unwrap();
        let rows: BTreeMap<_, _> = rows.into_iter().map(|row: Row| ((row.0, row.1, row.2, row.3), row)).collect();
        for (quarter, session, agent, model, tokens) in rows.values() {
            tx.execute(
                "INSERT INTO usage_buckets VALUES (?1, ?2, ?3, ?4, 'main', 1, 1, ?5, 0, 0, 0, 0, 0, ?5, 0, 0, 0, 0, 0, 0, 0, 0)",
                params![quarter, session, AGENTS[*agent], MODELS[*model], tokens],
            ).unwrap();
        }
        roll_up(&tx);
        tx.commit().unwrap();

        let zone = Zone::named(ZONES[zone]).unwrap();
        let start = Day::parse("2026-10-01").unwrap();
        let (since, until) = days.map_or((None, None), |(from, length)| {
            (Some(start.plus_days(from)), Some(start.plus_days(from + length)))
        });
        let is_asked = |row: &&Row| {
            let is_in_time = match quarter_day(&zone, row.0) {
                Some(day) => since.is_none_or(|since| since <= day) && until.is_none_or(|until| day <= until),
                None => since.is_none(),
            };
            is_in_time && model.is_none_or(|model| model == row.3)
        };
        for by in KEYS {
            let model = model.map(|model| MODELS[model].to_owned());
            let today = Day::parse("2026-11-22").unwrap();
            let query = Query { by, since, until, projects: None, model, compare: false, today, zone: zone.clone() };
            let report = CostReport::of(&store, &query).unwrap();
            let found: BTreeMap<String, (u64, i128)> = report
                .rows
                .iter()
                .map(|row| (row.key.clone(), (row.sum.usage.input, row.sum.cost_usd.map_or(0, PicoUsd::as_pico))))
                .collect();
            let mut expected: BTreeMap<String, (u64, i128)> = BTreeMap::new();
            for row in rows.values().filter(is_asked) {
                let key = match by {
                    By::Day => match quarter_day(&zone, row.0) {
                        Some(day) => day.to_string(),
                        None if AGENTS[row.2] == "(hidden)" => "(hidden)".to_owned(),
                        None => "(none)".to_owned(),
                    },
                    By::Model => MODELS[row.3].to_owned(),
                    By::Agent => match AGENTS[row.2] {
                        "" => "main".to_owned(),
                        "(hidden)" => "(hidden)".to_owned(),
                        _ => "subagent".to_owned(),
                    },
                    // Only the first session is known by name.
                    _ if row.1 == 1 => "s".to_owned(),
                    _ => "(none)".to_owned(),
                };
                let sum = expected.entry(key).or_default();
                sum.0 += row.4.cast_unsigned();
                sum.1 += i128::from(row.4);
            }
            prop_assert_eq!(found, expected, "by {:?}", by);
        }
    });
}
