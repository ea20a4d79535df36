//! Views beside a process that holds the ledger: they answer at once, and say what is not in their figures yet.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Ledger, Ran, Session, With as _};

/// More than any view takes on a machine that does other work, and less than any wait for a writer that stays.
const AT_ONCE: Duration = Duration::from_secs(4);

/// All that only show what is there.
const VIEWS: [&[&str]; 16] = [
    &["show-usage"],
    &["show-usage", "--history", "--json"],
    &["cost"],
    &["cost", "--by", "tool"],
    &["cost", "--compare"],
    &["tools"],
    &["agents"],
    &["history"],
    &["trends"],
    &["dashboard", "--markdown", "d.md"],
    &["export", "--what", "sessions"],
    &["export", "--what", "calls"],
    &["budget", "status", "--check"],
    &["alerts"],
    &["step", "list"],
    &["prices", "check"],
];

/// A session of which 100 tokens of output are known and 20 more stand in its transcript, and a writer who does not end; an
/// event has met him.
fn held() -> (Ledger, rusqlite::Connection) {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100)]);
    ledger.run(&["budget", "set", "5"]).text();
    ledger.hooks([s.start(), s.prompt("p1"), s.tool("Bash", "toolu_1"), s.stop()]);
    s.transcript().append(&[s.says(3), s.answer("msg_2", 4, 20)]);
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    ledger.hook(s.prompt("p2"));
    (ledger, writer)
}

fn left_out(ran: &Ran) -> &str {
    let line = ran.stderr.strip_prefix("tallyhook: another process holds the ledger; not in these figures yet: ");
    line.unwrap_or_else(|| panic!("{ran:?}")).lines().next().unwrap()
}

fn output_of(ran: &Ran) -> u64 {
    ran.json()["actual"]["usage"]["output_tokens"].as_u64().unwrap()
}

#[test]
fn every_view_beside_a_writer_answers_at_once() {
    let (ledger, writer) = held();
    let mut before = Vec::new();
    for view in VIEWS {
        let start = Instant::now();
        let ran = ledger.run(view);
        assert!(start.elapsed() < AT_ONCE, "{view:?} took {:?}", start.elapsed());
        assert!(left_out(&ran).contains("an event that waits beside it"), "{view:?}: {ran:?}");
        before.push(ran);
    }
    drop(writer);
    for (view, before) in VIEWS.iter().zip(before) {
        let ran = ledger.run(view);
        // Of the days that some look at, far before the test's, there is nothing.
        assert!(matches!(ran.code, Some(0 | 4)) && ran.code == before.code, "{view:?}: {before:?} {ran:?}");
        assert!(!ran.stderr.contains("another process"), "{view:?}: {ran:?}");
    }
}

#[test]
fn what_could_not_be_brought_in_is_named_and_comes_when_the_writer_ends() {
    let (ledger, writer) = held();
    let ran = ledger.run(&["show-usage", "--json"]);
    assert_eq!(output_of(&ran), 100);
    assert_eq!(left_out(&ran), "an event that waits beside it, what transcripts have new");
    drop(writer);
    let ran = ledger.run(&["show-usage", "--json"]);
    assert_eq!((output_of(&ran), &*ran.stderr), (120, ""));
    assert_eq!(ran.json()["session"]["turns"], 4);
}

#[test]
fn a_view_that_has_nothing_to_bring_in_says_nothing_of_a_writer() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    ledger.hooks([s.start(), s.stop()]);
    let before = ledger.run(&["show-usage", "--json"]).text().to_owned();
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(ledger.run(&["show-usage", "--json"]).text(), before);
    assert_eq!(ledger.run(&["tools"]).stderr, "");
}

#[test]
fn new_prices_and_origins_that_cannot_be_kept_are_named() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.call("msg_1", 2, 100), s.result_of(3, "toolu_1", "fine")]);
    ledger.run(&["import", "--path", ledger.dir().join("projects").to_str().unwrap()]).text();
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let prices = ledger.home().join(".config/tallyhook/prices.toml");
    std::fs::create_dir_all(prices.parent().unwrap()).unwrap();
    std::fs::write(&prices, "[models.\"claude-opus-5-5\"]\nprices = [{ input = 1, output = 1 }]\n").unwrap();
    let ran = ledger.run(&["tools"]);
    assert_eq!(left_out(&ran), "prices that have changed, where the last costs came from", "{ran:?}");
    // What a view works out itself it shows, kept or not.
    let ran = ledger.run(&["show-usage", "--session", "s", "--json"]);
    assert_eq!(left_out(&ran), "prices that have changed, where the last costs came from", "{ran:?}");
    drop(writer);
    assert_eq!(ledger.run(&["tools"]).stderr, "");
}

#[test]
fn how_budgets_stand_is_right_beside_a_writer() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    ledger.hooks([s.start(), s.stop()]);
    for (amount, per) in [("50", "session"), ("5000", "total")] {
        ledger.run(&["budget", "set", amount, "--tokens", "--per", per]).text();
    }
    let status = || ledger.run(&["budget", "status", "--session", "s", "--check", "--json"]);
    let before = status();
    assert_eq!(before.code, Some(3), "{before:?}");
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ran = status();
    // When it will have run out depends on the clock.
    let budgets = |ran: &Ran| {
        let budgets = ran.json()["budgets"].as_array().unwrap().clone();
        budgets.into_iter().map(|budget| budget.without("runs_out_at")).collect::<Vec<_>>()
    };
    assert_eq!((ran.code, budgets(&ran)), (Some(3), budgets(&before)), "{ran:?}");
}

#[test]
fn what_is_to_be_kept_waits_for_the_writer() {
    let (ledger, writer) = held();
    let mut command = ledger.command(&["step", "start", "build"]);
    let start = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(600));
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(Ran::end_of(start).text(), "started build\n");
}

/// Bytes that this thread has read from files since it began.
#[cfg(target_os = "linux")]
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

/// What a turn's end and a compaction read of a ledger in which other sessions have so many turns and compactions that no
/// transcript told of.
#[cfg(target_os = "linux")]
fn read_at_a_turns_end(others: u32) -> u64 {
    let (ledger, s) = Session::started();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    ledger.hook(s.stop());
    let sqlite = ledger.sqlite();
    for table in ["prompts (session, prompt_id, at)", "compactions (session, trigger, at)"] {
        let sql = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {others})
             INSERT INTO {table} SELECT 100 + n / 20, 'p' || n, n FROM n"
        );
        sqlite.execute_batch(&sql).unwrap();
    }
    sqlite.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(sqlite);
    s.transcript().append(&[s.says(3), s.answer("msg_2", 4, 20), s.compaction(5, 100, 10)]);
    let before = bytes_read();
    ledger.hook(s.event("PreCompact").with("trigger", "auto")).hook(s.stop());
    bytes_read() - before
}

#[cfg(target_os = "linux")]
#[test]
fn a_turns_end_reads_as_little_of_a_years_ledger_as_of_a_small_one() {
    let (small, large) = (read_at_a_turns_end(20), read_at_a_turns_end(40_000));
    // A tree of more rows is a page or two deeper.
    assert!(large < small + 40 * 4_096, "{small} bytes of a small ledger, {large} of a large one");
}
