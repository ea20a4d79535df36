//! Views beside a process that holds the ledger: they answer at once, and say what is not in their figures yet. And what the
//! ledger costs and keeps: what a turn's end reads of a year's, and when the disk is waited for.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tallyhook::domain::Timestamp;
use tallyhook::env::Env;
use tallyhook::{hook, store};

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
    let line =
        ran.stderr.strip_prefix("tallyhook: another process has the ledger locked; not included yet: ");
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
        assert!(left_out(&ran).contains("1 queued event"), "{view:?}: {ran:?}");
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

/// Runs a command while a writer holds the ledger, which rolls back after a while.
fn run_until_rollback(ledger: &Ledger, writer: rusqlite::Connection, args: &[&str]) -> Ran {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(900));
            writer.execute_batch("ROLLBACK").unwrap();
        });
        ledger.run(args)
    })
}

#[test]
fn a_ledger_that_is_being_made_is_waited_for() {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.path().parent().unwrap()).unwrap();
    let writer = ledger.sqlite();
    writer.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let ran = run_until_rollback(&ledger, writer, &["history"]);
    assert!(begun.elapsed() >= Duration::from_millis(800), "it did not wait");
    assert!(!ran.stderr.contains("older release") && !ran.stderr.contains("locked"), "{ran:?}");
    assert_eq!(ran.code, ledger.run(&["history"]).code);
}

#[test]
fn what_could_not_be_brought_in_is_named_and_comes_when_the_writer_ends() {
    let (ledger, writer) = held();
    let ran = ledger.run(&["show-usage", "--json"]);
    assert_eq!(output_of(&ran), 100);
    assert_eq!(left_out(&ran), "1 queued event, new transcript lines");
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
fn new_prices_and_allocations_that_cannot_be_kept_are_named() {
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
    assert_eq!(
        left_out(&ran),
        "price changes, the breakdown of the latest costs by tool, skill, and step",
        "{ran:?}"
    );
    // What a view works out itself it shows, kept or not.
    let ran = ledger.run(&["show-usage", "--session", "s", "--json"]);
    assert_eq!(
        left_out(&ran),
        "price changes, the breakdown of the latest costs by tool, skill, and step",
        "{ran:?}"
    );
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
fn what_ended_sessions_have_last_used_is_left_out_beside_a_writer_and_named_once() {
    let ledger = Ledger::new();
    let sessions = ["first", "second"].map(|id| Session::new(&ledger, id));
    for s in &sessions {
        let id = s.event("Stop")["session_id"].as_str().unwrap().to_owned();
        s.transcript().write(&[s.says(1), s.answer(&format!("msg_{id}"), 2, 100)]);
        ledger.hooks([s.start(), s.prompt(&id), s.stop(), s.end().with("reason", "clear")]);
    }
    let output = || {
        let ran = ledger.run(&["export", "--what", "days"]);
        let days = ran.json()["days"].as_array().unwrap().clone();
        let rows = days.iter().map(|day| day["output_tokens"].as_u64().unwrap());
        (rows.sum::<u64>(), ran)
    };
    assert_eq!(output().0, 200);
    for s in &sessions {
        let id = s.event("Stop")["session_id"].as_str().unwrap().to_owned();
        s.transcript().append(&[s.says(3), s.answer(&format!("late_{id}"), 4, 20)]);
    }
    let writer = ledger.sqlite();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let (tokens, ran) = output();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!((tokens, ran.code, left_out(&ran)), (200, Some(0), "new transcript lines"), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    drop(writer);
    let (tokens, ran) = output();
    assert_eq!((tokens, &*ran.stderr), (240, ""));
}

#[test]
fn what_is_to_be_kept_waits_for_the_writer() {
    for (args, stdin, answer) in [
        (&["step", "start", "build"][..], &b""[..], "started build\n"),
        (&["capture-cost", "--json"], b"Total cost: $1.25\n", "\"kept\": true"),
    ] {
        let (ledger, writer) = held();
        let mut command = ledger.command(args);
        let mut start =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        start.stdin.take().unwrap().write_all(stdin).unwrap();
        std::thread::sleep(Duration::from_millis(600));
        writer.execute_batch("COMMIT").unwrap();
        let ran = Ran::end_of(start);
        assert!(ran.text().contains(answer), "{ran:?}");
    }
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

/// The latest session as `show-usage` finds it.
fn latest(ledger: &Ledger) -> String {
    ledger.run(&["show-usage", "--json"]).json()["session"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_event_of_a_clock_that_is_years_ahead_does_not_make_its_session_the_latest() {
    let ledger = Ledger::new();
    let [ahead, own, other] = ["ahead", "own", "other"].map(|id| Session::new(&ledger, id));
    ledger.it_is("2026-11-01T10:00:00Z").hook(ahead.start()).hook(other.start());
    ledger.it_is("2031-11-01T10:00:00Z").hook(ahead.prompt("p1"));
    ledger.it_is("2026-11-01T10:01:00Z").hook(own.start());
    assert_eq!(latest(&ledger), "own");
    let rows = |ran: Ran| -> Vec<String> {
        let json = ran.json();
        json["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(rows(ledger.run(&["history", "--json"]))[0], "own");
    // It is once more when it really says something, and its time is the true one again.
    ledger.it_is("2026-11-01T10:02:00Z").hook(ahead.prompt("p2"));
    assert_eq!(latest(&ledger), "ahead");
    let last = ledger.run(&["show-usage", "--json"]).json()["session"]["last_activity_at"].clone();
    assert_eq!(last, "2026-11-01T10:02:00.000Z");
    ledger.it_is("2026-11-01T10:03:00Z").hook(other.prompt("p3"));
    assert_eq!(latest(&ledger), "other");
}

/// Imports a folder as somebody who may not open those of mode 0 in the tests' folder.
#[cfg(target_os = "linux")]
fn import_with_closed(ledger: &Ledger, folder: &str, closed: &[&str]) -> Ran {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(ledger.dir(), 0o777);
    closed.iter().for_each(|closed| mode(&ledger.dir().join(closed), 0o000));
    let folder = ledger.dir().join(folder);
    let mut import = ledger.command(&["import", "--path", folder.to_str().unwrap(), "--json"]);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        import.uid(NOBODY);
    }
    let ran = Ran::of(import.stdin(Stdio::null()));
    closed.iter().for_each(|closed| mode(&ledger.dir().join(closed), 0o755));
    ran
}

/// How many folders an import says that it could not read, and the ends of their names.
#[cfg(target_os = "linux")]
fn unread(ran: &Ran) -> (u64, Vec<String>) {
    let json = ran.json();
    let skipped = json["skipped"].as_array().unwrap().iter();
    let names = skipped.map(|skipped| {
        assert!(skipped["reason"].as_str().unwrap().contains("os error 13"), "{json}");
        skipped["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    });
    (json["unread_folders"].as_u64().unwrap(), names.collect())
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_an_import_cannot_read_is_named_and_fails_it() {
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    std::fs::create_dir(ledger.dir().join("projects/closed")).unwrap();
    let ran = import_with_closed(&ledger, "projects", &["projects/closed"]);
    assert_eq!((ran.code, unread(&ran)), (Some(1), (1, vec!["closed".to_owned()])), "{ran:?}");
    assert_eq!(ran.json()["responses"], 1);
    assert!(ran.stderr.contains("folders that couldn't be read: 1"), "{ran:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_an_import_cannot_read_through_a_link_is_named_and_fails_it() {
    use std::os::unix::fs::symlink;
    let ledger = Ledger::new();
    let s = Session::new(&ledger, "s");
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    std::fs::create_dir_all(ledger.dir().join("kept/closed")).unwrap();
    std::fs::create_dir_all(ledger.dir().join("hidden/inner")).unwrap();
    let projects = ledger.dir().join("projects");
    symlink(ledger.dir().join("kept/closed"), projects.join("to-closed")).unwrap();
    // Nobody may even see whether there is something.
    symlink(ledger.dir().join("hidden/inner"), projects.join("to-hidden")).unwrap();
    // These hide nothing.
    symlink(ledger.dir().join("gone"), projects.join("to-nothing")).unwrap();
    symlink(projects.join("circle"), projects.join("circle")).unwrap();
    let ran = import_with_closed(&ledger, "projects", &["kept/closed", "hidden"]);
    let (folders, mut names) = unread(&ran);
    names.sort();
    assert_eq!(
        (ran.code, folders, names),
        (Some(1), 2, vec!["to-closed".into(), "to-hidden".into()]),
        "{ran:?}"
    );
    assert_eq!(ran.json()["responses"], 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_nobody_may_see_is_not_said_to_be_missing() {
    let ledger = Ledger::new();
    std::fs::create_dir_all(ledger.dir().join("hidden/inner")).unwrap();
    for folder in ["hidden", "hidden/inner"] {
        let ran = import_with_closed(&ledger, folder, &["hidden"]);
        let name = folder.rsplit('/').next().unwrap().to_owned();
        assert_eq!((ran.code, unread(&ran)), (Some(1), (1, vec![name])), "{ran:?}");
    }
    assert_eq!(import_with_closed(&ledger, "gone", &["hidden"]).code, Some(4));
}

#[test]
fn what_the_system_refuses_is_said_in_its_own_words() {
    let ledger = Ledger::new();
    let folder = ledger.dir().join("a-folder");
    std::fs::create_dir(&folder).unwrap();
    // A ledger whose folder takes no new file, for its name is as long as any can be.
    let name = ledger.dir().join("n".repeat(253));
    let ran = ledger.run(&["--db", name.to_str().unwrap(), "budget", "set", "5"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("(os error "), "{ran:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// Whether the hook has waited for the disk at its last write.
fn is_synced(ledger: &Ledger, payload: &serde_json::Value) -> bool {
    let [home, path] = [ledger.home(), ledger.path()].map(|path| path.to_str().unwrap().to_owned());
    let vars = [("HOME", &*home), ("TALLYHOOK_DB", &*path)];
    let now = Timestamp::parse("2099-11-22T15:00:00Z").unwrap();
    let env = Env::fixed(ledger.dir(), now, &vars);
    let handled = hook::handle(payload.to_string().as_bytes(), &env, &hook::HookOptions::default());
    handled.ledger.unwrap().syncs_each().unwrap()
}

#[test]
fn the_disk_is_waited_for_when_a_turn_ends_or_the_settings_say_so() {
    let (ledger, s) = Session::started();
    s.transcript().write(&[s.says(1), s.answer("msg_1", 2, 100)]);
    assert!(!is_synced(&ledger, &s.tool("Bash", "toolu_1")));
    assert!(is_synced(&ledger, &s.stop()));
    let settings = ledger.home().join(".config/tallyhook/config.toml");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(settings, "durability = \"full\"\n").unwrap();
    for event in [s.tool("Bash", "toolu_2"), s.prompt("p"), s.batch(&[]), s.stop()] {
        assert!(is_synced(&ledger, &event), "{event}");
    }
}

#[test]
fn the_disk_is_waited_for_where_the_user_tells_what_no_log_has() {
    let (ledger, _) = Session::started();
    let synced = |opened: Result<store::Ledger, store::StoreError>| opened.unwrap().syncs_each().unwrap();
    assert!(synced(store::Ledger::open_for_changes(&ledger.path())));
    assert!(synced(store::Ledger::open_or_create(&ledger.path())));
    assert!(
        !synced(store::Ledger::open_for_reports(&ledger.path())),
        "what a view keeps can be worked out again"
    );
}
