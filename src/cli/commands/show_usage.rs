//! `tallyhook show-usage`: finds the session, completes it from its transcript, shows it.

use super::args::{OutputFormat, ShowUsageArgs};
use super::session::{find, not_found, refreshed};
use super::suggest::did_you_mean;
use super::{Context, Extent, budget};
use crate::allocation;
use crate::domain::Timeline;
use crate::error::Error;
use crate::present::advice;
use crate::report::advice::worst_waste;
use crate::report::usage::{Basis, Filter, UsageReport};
use crate::report::{history, reported};
use crate::store::{Ledger, SessionRecord, SessionRow};

/// Sessions that `--history` lists.
const HISTORY_ROWS: u32 = 10;

pub(super) fn run(context: &Context, args: &ShowUsageArgs) -> Result<(), Error> {
    let prices = context.prices()?;
    let Some(mut ledger) = context.priced_ledger(&prices)? else {
        return nothing(context, args, context.no_ledger()?);
    };
    let Some(record) = find(context, &ledger, args.session.as_deref())? else {
        let what = not_found(context, Some(&ledger), args.session.as_deref())?;
        return nothing(context, args, Error::NoData { what });
    };
    let record = refreshed(context, &mut ledger, record)?;
    let allocations = context.session_allocations(&mut ledger, record.row)?;
    let timeline = allocation::timeline(&ledger, record.row)?;
    let filter = Filter {
        agent: args.agent.clone(),
        tool: args.tool.clone(),
        step: args.step.as_deref().map(|step| step_named(&timeline, step)),
    };
    let basis = Basis { timeline: &timeline, allocations: &allocations.rows, prices: &prices };
    let mut report = UsageReport::of_session(&ledger, &record, &filter, basis)?;
    if filter == Filter::default() {
        report.estimate.error_percent = allocations.error_percent;
    }
    let (budgets, work) = budget::of_session(context, &mut ledger, &record, &timeline)?;
    (report.budgets, report.work) = (budgets, Some(work));
    report.reported = reported::reported(&ledger, &record, context.env.now())?;
    if filter == Filter::default() {
        let cost = report.actual.as_ref().and_then(|actual| actual.cost_usd).unwrap_or_default();
        let was_compacted = !report.compaction_events.is_empty();
        let waste = worst_waste(&allocations.calls, cost, was_compacted);
        report.advice = waste.as_ref().map(advice::sentence);
    }
    if args.history {
        let mut records = Vec::new();
        let project = record.project.as_deref().unwrap_or_default();
        for record in ledger.sessions().recent(Some(project), HISTORY_ROWS, context.env.now())? {
            records.push(refreshed(context, &mut ledger, record)?);
        }
        let rows: Vec<SessionRow> = records.iter().map(|record| record.row).collect();
        context.refresh_calls(&mut ledger, &rows)?;
        report.history = Some(history::recent(&ledger, records)?);
    }
    let missing = missing(&ledger, &record, &report, &filter, basis)?;
    ledger.release_pages()?;
    let format = args.output.format();
    if missing.is_none() || format == OutputFormat::Json {
        context.show(format, &report, Extent { is_detailed: args.detailed, shows_all: true })?;
    }
    match missing {
        Some(what) => Err(Error::NoData { what }),
        None => Ok(()),
    }
}

/// The step that is meant: by its name, else by its number in the order of time, from 1.
fn step_named(timeline: &Timeline, asked: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for span in timeline.spans() {
        if !names.contains(&span.name.as_str()) {
            names.push(&span.name);
        }
    }
    let number = asked.parse::<usize>().ok().filter(|_| !names.contains(&asked));
    number.and_then(|number| names.get(number.checked_sub(1)?).copied()).unwrap_or(asked).to_owned()
}

/// Shows this project's newest session; `false` if there is none.
pub(super) fn show_newest(context: &Context) -> Result<bool, Error> {
    let args = ShowUsageArgs::default();
    let Some(ledger) = context.ledger()? else { return Ok(false) };
    if find(context, &ledger, None)?.is_none() {
        return Ok(false);
    }
    drop(ledger);
    run(context, &args).map(|()| true)
}

/// The answer where there is none: JSON all the same, and exit code 4.
fn nothing(context: &Context, args: &ShowUsageArgs, why: Error) -> Result<(), Error> {
    context.show(args.output.format(), &UsageReport::none(), Extent::default())?;
    Err(why)
}

/// What was asked for and is not in the session.
fn missing(
    ledger: &Ledger,
    record: &SessionRecord,
    report: &UsageReport,
    filter: &Filter,
    basis: Basis<'_>,
) -> Result<Option<String>, Error> {
    let all = || UsageReport::of_session(ledger, record, &Filter::default(), basis);
    if let Some(step) = filter.step.as_ref().filter(|_| report.by_step.is_empty()) {
        let known = all()?;
        let names: Vec<&str> = known.by_step.iter().map(|step| step.step.as_str()).collect();
        return Ok(Some(not_in_session("step", step, &names)));
    }
    if let Some(agent) =
        filter.agent.as_ref().filter(|_| report.by_agent.is_empty() && report.by_tool.is_empty())
    {
        let known = all()?;
        return Ok(Some(not_in_session("agent", agent, &known.agent_names())));
    }
    if let Some(tool) = filter.tool.as_ref().filter(|_| report.by_tool.is_empty()) {
        let known = all()?;
        let names: Vec<&str> = known
            .by_tool
            .iter()
            .map(|tool| tool.tool.as_str())
            .filter(|tool| !tool.starts_with('('))
            .collect();
        return Ok(Some(not_in_session("tool", tool, &names)));
    }
    Ok(None)
}

fn not_in_session(kind: &str, asked: &str, names: &[&str]) -> String {
    let meant = did_you_mean(asked, names.iter().copied());
    format!("no {kind} {asked:?} in this session{meant}\nchoose from: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::domain::{Timestamp, Usage};
    use crate::env::Env;
    use crate::ingest::backfill;
    use crate::store::Ledger;

    fn read_by(number: i64) -> i64 {
        900 + 100 * number
    }

    /// A turn with a call of a tool of its own, a second after the one before.
    fn turn(number: i64) -> [Value; 3] {
        let line = |kind: &str, part: i64, message: Value| {
            let at = Timestamp::from_millis(1_790_000_000_000 + number * 1_000 + part).to_rfc3339();
            json!({ "type": kind, "sessionId": "s", "uuid": format!("{number}-{part}"), "timestamp": at, "message": message,
                    "requestId": format!("req_{number}") })
        };
        let call = format!("toolu_{number}");
        let made = json!([{ "type": "tool_use", "id": call, "name": format!("Tool{number}"), "input": {} }]);
        let usage =
            json!({ "input_tokens": 2, "output_tokens": 30, "cache_read_input_tokens": read_by(number) });
        let answer = json!({ "id": format!("msg_{number}"), "model": "claude-opus-5-5", "stop_reason": "tool_use",
                             "content": made, "usage": usage });
        let result = json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": call, "content": "a" }] });
        let prompt = json!({ "role": "user", "content": "go on" });
        [line("user", 1, prompt), line("assistant", 2, answer), line("user", 3, result)]
    }

    /// The limits are small in unit tests: 40 responses, 120 rows.
    #[test]
    fn what_comes_after_all_measure_is_in_the_sum_and_unplaced() {
        for (turns, has_all) in [(5, true), (30, false), (60, false)] {
            let dir = tempfile::tempdir().unwrap();
            let lines: String =
                (0..turns).flat_map(turn).map(|line: Value| line.to_string() + "\n").collect();
            std::fs::write(dir.path().join("s.jsonl"), lines).unwrap();
            let mut ledger = Ledger::open_or_create(&dir.path().join("ledger.db")).unwrap();
            let env = Env::fixed(dir.path(), Timestamp::from_millis(0), &[]);
            backfill::run(
                &mut ledger,
                &env,
                &Config::default(),
                &[backfill::LogRoot::of_any(dir.path().to_path_buf())],
                |_| {},
            )
            .unwrap();
            let row = ledger.sessions().find("s").unwrap().unwrap().row;
            let found = allocation::of_session(&mut ledger, true, row, |_| {}).unwrap();
            let (mut all, mut unplaced, mut rows) = (Usage::default(), Usage::default(), 0);
            found.rows.for_each(|row| {
                all += row.usage;
                rows += 1;
                if row.tool == allocation::NONE {
                    unplaced += row.usage;
                }
            });
            let expected: i64 = (0..turns).map(|number| 32 + read_by(number)).sum();
            assert_eq!(all.total(), u64::try_from(expected).unwrap(), "{turns}");
            assert_eq!(unplaced == Usage::default(), has_all, "{turns}");
            assert!(all.total() > unplaced.total() && rows <= 121 + turns, "{turns}: {rows}");
            assert!(found.calls.len() <= 40);
            assert_eq!(allocation::timeline(&ledger, row).unwrap().spans().len(), turns.min(40) as usize);
        }
    }
}
