//! What people look at: every table and text on one ledger, at 80 and at 160 columns, in colour, and of ledgers that hold
//! nothing, one session, and many. Where a snapshot changes, read it as a user would.

use tallyhook::calendar::Zone;
use tallyhook::domain::Timestamp;
use tallyhook::present::{PageOptions, Present as _};
use tallyhook::render;
use tallyhook::report::budgets::BudgetsReport;
use tallyhook::report::dashboard::Dashboard;
use tallyhook::report::trends::Trends;
use unicode_width::UnicodeWidthStr as _;

use crate::agree::{FIRST, two_projects};
use crate::support::{Example, Ledger, Session, With};

/// Every report with a table; none of them asks for the time.
const TABLES: [&[&str]; 28] = [
    &["cost"],
    &["cost", "--by", "week"],
    &["cost", "--by", "month"],
    &["cost", "--by", "session"],
    &["cost", "--by", "project"],
    &["cost", "--by", "branch"],
    &["cost", "--by", "model"],
    &["cost", "--by", "client"],
    &["cost", "--by", "agent"],
    &["cost", "--by", "tool"],
    &["cost", "--by", "skill"],
    &["cost", "--by", "mcp"],
    &["cost", "--by", "step"],
    &["cost", "--by", "action"],
    &["cost", "--by", "file-type"],
    &["cost", "--by", "model", "--detail"],
    &["cost", "--by", "session", "--compare"],
    &["cost", "--since", "2025-10-26", "--until", "2025-10-26", "--compare"],
    &["history"],
    &["tools"],
    &["agents"],
    &["step", "list", "--session", FIRST],
    &["budget", "status"],
    &["alerts"],
    &["prices", "list", "sonnet"],
    &["prices", "show", "claude-opus-4-6"],
    &["show-usage", "--session", FIRST, "--detailed", "--history"],
    &["show-usage", "--session", FIRST, "--tool", "Read"],
];

/// Two projects, with a budget that is used up and one of tokens that is not.
fn ledger(columns: &str) -> Ledger {
    let ledger = two_projects().with_var("COLUMNS", columns);
    for args in [
        &["budget", "set", "0.01", "--per", "total", "--stop"][..],
        &["budget", "set", "5000000", "--per", "total", "--tokens", "--project", "/work/shop"],
        &["alerts", "on", "loop"],
    ] {
        assert_eq!(ledger.run(args).code, Some(0), "{args:?}");
    }
    ledger
}

/// What is printed, without what the real clock makes of it: how much a budget is used an hour.
fn look(ledger: &Ledger, asked: &[&[&str]], color: &str) -> String {
    let answer = |args: &&[&str]| {
        let ran = ledger.run(&[*args, &["--color", color]].concat());
        let text =
            format!("{}{}", ran.stdout, ran.stderr).replace(ledger.dir().to_str().unwrap(), "[folder]");
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" per hour")).collect();
        format!("$ tallyhook {}\n{}\n\n", args.join(" "), lines.join("\n"))
    };
    asked.iter().map(answer).collect()
}

fn assert_fits(text: &str, columns: usize) {
    for line in text.lines() {
        // A command to copy is one line.
        let is_bound = !line.starts_with('$') && !line.contains("tallyhook budget");
        assert!(!is_bound || line.width() <= columns, "{} columns: {line}", line.width());
    }
}

#[test]
fn every_table_at_80_columns() {
    let text = look(&ledger("80"), &TABLES, "never");
    assert_fits(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn every_table_at_160_columns() {
    let text = look(&ledger("160"), &TABLES, "never");
    assert_fits(&text, 160);
    insta::assert_snapshot!(text);
}

#[test]
fn tables_in_colour() {
    let ledger = ledger("80");
    let asked: [&[&str]; 6] = [
        &["cost"],
        &["cost", "--since", "2025-10-26", "--until", "2025-10-26", "--compare"],
        &["agents"],
        &["budget", "status"],
        &["show-usage", "--session", FIRST],
        &["prices", "check"],
    ];
    let text = look(&ledger, &asked, "always");
    // Without colours it is the same text.
    let plain = look(&ledger, &asked, "never");
    let stripped: String = text
        .split('\u{1b}')
        .map(|part| {
            part.split_once('m').filter(|(code, _)| code.starts_with('[')).map_or(part, |(_, rest)| rest)
        })
        .collect();
    let words = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(words(&stripped), words(&plain));
    let seen = text.replace('\u{1b}', "^");
    let seen: Vec<&str> = seen.lines().filter(|line| !line.contains(" old")).collect();
    insta::assert_snapshot!(seen.join("\n"));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let ledger = ledger("80").with_var("NO_COLOR", "1");
    for args in TABLES {
        assert!(!ledger.run(args).stdout.contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn every_report_has_every_format() {
    let ledger = ledger("80");
    for args in
        TABLES.into_iter().filter(|args| args[0] != "alerts").chain([&["prices", "check"][..], &["doctor"]])
    {
        let ask = |format| ledger.run(&[args, &["--format", format]].concat()).stdout;
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        // By the program's own clock.
        if !["budget", "show-usage", "doctor"].contains(&args[0]) {
            let as_option = json(&ledger.run(&[args, &["--json"]].concat()).stdout);
            assert_eq!(json(&ask("json")), as_option, "{args:?}");
        }
        let rows = crate::faces::csv_rows(&ask("csv"));
        let markdown = ask("markdown");
        let heads = markdown.lines().find(|line| line.starts_with('|'));
        let heads = heads.unwrap_or_else(|| panic!("{args:?}: {markdown}"));
        let first: String = heads.trim_start_matches("| ").chars().take_while(|c| *c != ' ').collect();
        assert!(rows.len() > 1 && rows[0][0].starts_with(&first), "{args:?}: {rows:?} {markdown}");
    }
}

/// What commands say, each answer once with all that say it.
fn answers(ledger: &Ledger) -> String {
    let mut answers: Vec<(String, Vec<String>)> = Vec::new();
    for args in TABLES.into_iter().filter(|args| args[0] != "prices").chain([&["trends"][..]]) {
        let ran = ledger.run(args);
        let text = (ran.stdout + &ran.stderr).replace(ledger.dir().to_str().unwrap(), "[folder]");
        let answer = format!("{text}[exit {}]", ran.code.unwrap());
        let asked = format!("$ tallyhook {}", args.join(" "));
        match answers.iter_mut().find(|known| known.0 == answer) {
            Some(known) => known.1.push(asked),
            None => answers.push((answer, vec![asked])),
        }
    }
    answers.iter().map(|(answer, asked)| format!("{}\n{answer}\n\n", asked.join("\n"))).collect()
}

#[test]
fn nothing_at_all() {
    let ledger = Ledger::new();
    let none = answers(&ledger);
    assert!(!ledger.path().exists(), "looking makes no ledger");
    ledger.hook(Session::new(&ledger, "s").start());
    ledger.sqlite().execute("DELETE FROM sessions", []).unwrap();
    insta::assert_snapshot!(format!("# No ledger\n\n{none}# An empty ledger\n\n{}", answers(&ledger)));
}

#[test]
fn one_session() {
    let example = Example::replayed();
    let asked: [&[&str]; 8] = [
        &["cost"],
        &["cost", "--by", "tool"],
        &["history"],
        &["tools"],
        &["agents"],
        &["step", "list", "--session", Example::SESSION],
        &["show-usage", "--session", Example::SESSION, "--step", "1"],
        &["show-usage", "--session", Example::SESSION, "--agent", "Explore"],
    ];
    let text = look(&example.ledger, &asked, "never");
    assert_fits(&text, 80);
    insta::assert_snapshot!(text);
}

/// A ledger with many sessions of many projects, branches and tools.
fn many() -> Ledger {
    let ledger = Ledger::new();
    for number in 0..120_u32 {
        let session = Session::new(&ledger, &format!("{number:08x}-many"))
            .in_folder(std::path::Path::new(&format!("/work/project-{number}")));
        let call = serde_json::json!([{
            "type": "tool_use", "id": format!("toolu_{number}"), "name": format!("mcp__server__tool_{number}"), "input": {},
        }]);
        session.transcript().write(&[
            session.says(number),
            session
                .answer(&format!("msg_{number}"), number, 1_000 * u64::from(number))
                .with("message.content", call),
        ]);
    }
    ledger.import();
    ledger
}

#[test]
fn long_lists_are_cut_for_terminals_alone_and_still_make_their_total() {
    let ledger = many();
    for (args, earlier) in
        [(&["cost", "--by", "session"][..], true), (&["cost", "--by", "project"], false), (&["tools"], false)]
    {
        let text = ledger.run(args).text().to_owned();
        assert!(
            text.contains("more combined in one row (--all lists them)") && text.lines().count() < 60,
            "{text}"
        );
        let all = ledger.run(&[args, &["--all"]].concat()).text().to_owned();
        assert!(!all.contains("--all") && all.lines().count() > 120, "{all}");
        let total =
            |text: &str| text.lines().find(|line| line.starts_with("total")).unwrap().trim().to_owned();
        let squeezed = |line: String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(total(&text)), squeezed(total(&all)), "{args:?}");
        assert_eq!(text.contains("earlier sessions"), earlier, "{text}");
        assert_eq!(text.contains(" others "), !earlier, "{text}");
        let csv = ledger.run(&[args, &["--format", "csv"]].concat()).stdout;
        assert!(csv.lines().count() > 120, "{csv}");
        let markdown = ledger.run(&[args, &["--format", "markdown"]].concat()).stdout;
        assert!(markdown.lines().count() > 120, "{markdown}");
    }
    // The rows that are one cost what they cost each.
    let rows = |args: &[&str]| -> f64 {
        let text = ledger.run(args).text().to_owned();
        let cost = |line: &str| line.rsplit('$').next().and_then(|sum| sum.trim().parse::<f64>().ok());
        text.lines().filter(|line| !line.starts_with("total")).filter_map(cost).sum()
    };
    let (cut, all) = (rows(&["cost", "--by", "project"]), rows(&["cost", "--by", "project", "--all"]));
    // Each row is rounded to cents.
    assert!(all > 100.0 && (cut - all).abs() < 0.6, "{cut} {all}");
}

#[test]
fn trends_at_80_and_160_columns() {
    let ledger = two_projects();
    let ledger = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
    let zone = Zone::named("UTC").unwrap();
    let now = Timestamp::parse("2025-10-27T12:00:00Z").unwrap();
    let trends = Trends::of(Some(&ledger), &zone, now, zone.day_of(now).unwrap(), 5).unwrap();
    let at = |width| {
        let style = render::Style { width, color: false, ascii: false, zone: &zone };
        let options = PageOptions { zone: &zone, now, is_detailed: false, shows_all: true };
        let mut text = String::new();
        let written = render::write_text(trends.page(&options), style, |piece| {
            text.push_str(piece);
            Ok(())
        });
        written.unwrap();
        text
    };
    assert_fits(&at(80), 80);
    insta::assert_snapshot!([at(80), at(160)].join("\n"));
}

#[test]
fn the_dashboard_as_a_note() {
    let ledger = ledger("80");
    assert_eq!(ledger.run(&["tools"]).code, Some(0), "it is known where costs came from");
    let ledger = tallyhook::store::Ledger::open_for_reports(&ledger.path()).unwrap();
    let zone = Zone::named("UTC").unwrap();
    let today = zone.day_of(Timestamp::parse("2025-10-27T12:00:00Z").unwrap()).unwrap();
    let none = BudgetsReport { schema_version: 1, budgets: Vec::new(), session_id: None, work: None };
    let dashboard = Dashboard::of(&ledger, &zone, today, none).unwrap().unwrap();
    let now = Timestamp::parse("2025-10-27T12:00:00Z").unwrap();
    let options = PageOptions { zone: &zone, now, is_detailed: false, shows_all: true };
    insta::assert_snapshot!(render::markdown(dashboard.page(&options), &zone));
}

#[test]
fn what_commands_say_that_change_something() {
    let ledger = two_projects();
    let file = ledger.project().join("words.txt");
    std::fs::write(&file, "Some words to count.\n").unwrap();
    let asked: [&[&str]; 20] = [
        &["count", "words.txt", "--model", "claude-opus-5-5"],
        &["import"],
        &["step", "start", "the release", "--session", FIRST],
        &["step", "end", "--session", FIRST],
        &["step", "end", "--session", FIRST],
        &["budget", "set", "5"],
        &["budget", "add", "2.50", "--per", "session"],
        &["budget", "warn", "60"],
        &["budget", "set", "1000", "--per", "day", "--tokens", "--stop"],
        &["budget", "override", "--for", "1h"],
        &["budget", "clear", "--per", "day"],
        &["budget", "clear"],
        &["budget", "clear"],
        &["alerts", "on"],
        &["alerts", "off", "spike"],
        &["report-usage", "--agent-id", "nightly", "--tokens", "1200"],
        &["report-usage", "--agent-id", "nightly"],
        &["prices", "set", "house-model", "--input", "3", "--output", "15"],
        &["init", "--client", "generic"],
        &["uninstall"],
    ];
    let text = look(&ledger, &asked, "never").replace(env!("CARGO_BIN_EXE_tallyhook"), "[tallyhook]");
    // By the program's own clock.
    let until = regex::Regex::new("paused until .*").unwrap();
    insta::assert_snapshot!(until.replace_all(&text, "paused until [time]"));
}

#[test]
fn help_of_all_other_commands() {
    let ledger = Ledger::new();
    let asked: [&[&str]; 25] = [
        &["hook"],
        &["init"],
        &["uninstall"],
        &["doctor"],
        &["tools"],
        &["agents"],
        &["step"],
        &["step", "start"],
        &["step", "end"],
        &["step", "list"],
        &["budget"],
        &["budget", "set"],
        &["budget", "add"],
        &["budget", "warn"],
        &["budget", "status"],
        &["budget", "override"],
        &["budget", "clear"],
        &["alerts"],
        &["alerts", "on"],
        &["alerts", "off"],
        &["report-usage"],
        &["import"],
        &["count"],
        &["completions"],
        &["man"],
    ];
    let helps: Vec<Vec<&str>> = asked.iter().map(|args| [args, &["--help"][..]].concat()).collect();
    let helps: Vec<&[&str]> = helps.iter().map(Vec::as_slice).collect();
    insta::assert_snapshot!(look(&ledger, &helps, "never"));
}
