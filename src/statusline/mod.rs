//! The status line: the client's payload and one question to the ledger, in one line.
//!
//! As hot as the hook: it runs after every message. It reads no transcript and no price table, settings only where there
//! is a budget, waits for nobody, and on any fault shows less. What the client itself says that the session has cost is kept as a witness for `doctor`.

mod payload;
mod template;

use std::path::Path;

use crate::budget;
use crate::calendar::Zone;
use crate::config::Config;
use crate::domain::{PicoUsd, SessionId};
use crate::env::Env;
use crate::store::{Ledger, QuarterHour, StatusFigures, StatusSum};
pub use payload::{Payload, PlanLimit};

/// What is shown unless the user has a template of his own.
pub const DEFAULT_TEMPLATE: &str = "{model}[ · {costs}][ · today {today}][ · budget {budget}][ · ctx {context}[ of \
                                    {window}][ ({context_percent})]][ · cache {cache}][ · {limits}]";
/// The fields of a template, and what they are.
pub const FIELDS: &[(&str, &str)] = &[
    ("model", "the model's name"),
    ("cost", "the session's cost from the ledger, or else from Claude Code"),
    ("client_cost", "the session's cost according to Claude Code"),
    ("costs", "`cost`, and `client_cost` if it differs"),
    ("today", "the cost of all sessions today"),
    ("budget", "share used of the budget closest to its limit"),
    ("context", "tokens in the context"),
    ("window", "size of the context window"),
    ("context_percent", "share of the context window used"),
    ("cache", "share of the session's input that came from the cache"),
    ("limits", "share used of each of the subscription's limits"),
    ("lines_added", "lines of code added"),
    ("lines_removed", "lines of code removed"),
    ("duration", "how long the session has been running"),
    ("api_duration", "how long of that was spent waiting for the provider"),
    ("project", "name of the project's folder"),
    ("version", "Claude Code's version"),
    ("session", "first eight characters of the session ID"),
];

/// A sum that the client tells otherwise by less than this is the same: it rounds, and prices by itself.
const SAME_PERCENT: u128 = 1;

/// The line, and the ledger if it was opened: a process that ends need not close it.
#[must_use]
pub fn line(
    text: &str,
    env: &Env,
    ledger: Option<&Path>,
    template: Option<&str>,
) -> (String, Option<Ledger>) {
    let payload = Payload::read(text);
    let mut ledger = ledger.and_then(|path| Ledger::open_for_status(path).ok().flatten());
    let figures = ledger.as_mut().map(|ledger| ask(ledger, &payload, env)).unwrap_or_default();
    let session = payload.session.as_ref();
    let budget = ledger.as_mut().zip(session).and_then(|(ledger, session)| fullest(ledger, session, env));
    let fill = |template| template::fill(template, |name| field(name, &payload, &figures, budget));
    let line = match template {
        Some(template) => fill(template),
        // Without a model nothing stands before the first separator.
        None => fill(DEFAULT_TEMPLATE).trim_start_matches(" · ").to_owned(),
    };
    (line, ledger)
}

/// What the ledger knows. The client's own cost is kept where it is news; if that fails, nothing is lost that matters.
fn ask(ledger: &mut Ledger, payload: &Payload, env: &Env) -> StatusFigures {
    let zone = Zone::of_user(env);
    let (Some(session), Some(today)) = (&payload.session, zone.day_of(env.now())) else {
        return StatusFigures::default();
    };
    // Of a clock that was set back, or of another machine's, tomorrow's spending may be there already.
    let day = [today, today.plus_days(1)].map(|day| QuarterHour::from_time(zone.start_of(day)));
    let figures = ledger.status(session, day).unwrap_or_default();
    if let (Some(row), Some(cost)) = (figures.session, payload.cost)
        && figures.client_cost != Some(cost)
    {
        let _kept = ledger.keep_client_cost(row, cost, env.now()).is_ok();
    }
    figures
}

/// How much is used of the budget that is nearest to its limit, in per cent, of those that hold for the session's project.
/// What is void is left out: a hook or a command adds it up, which may take longer than this line may.
fn fullest(ledger: &mut Ledger, session: &SessionId, env: &Env) -> Option<f64> {
    let now = env.now();
    let mut asked = ledger.budgets().of_session(session.as_str()).ok()??;
    let project = asked.project.clone();
    asked.budgets.retain(|(budget, kept)| {
        kept.is_some_and(|kept| kept.span.has(now)) && budget.scope.has_project(project.as_deref())
    });
    if asked.budgets.is_empty() {
        return None;
    }
    let mut config = Config::of_user(env.config_path().as_deref(), None).unwrap_or_default();
    if let Some(project) = project {
        // A project's file that cannot be used lowers nothing.
        let _lowered = config.add_project(Path::new(&project)).is_ok();
    }
    let held = budget::standings(ledger, asked, now, || Zone::of_user(env), &config.lowered).ok()?;
    held.iter().map(|held| held.standing.percent()).max_by(f64::total_cmp)
}

/// A field's text, empty if there is nothing to show; `None` if there is no such field.
fn field(name: &str, payload: &Payload, figures: &StatusFigures, budget: Option<f64>) -> Option<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let count = |count: Option<u64>| count.map(scaled).unwrap_or_default();
    let own = sum(&figures.of_session);
    let client = payload.cost.map(|cost| cost.to_string()).unwrap_or_default();
    Some(match name {
        "model" => text(&payload.model),
        "cost" if own.is_empty() => client,
        "cost" => own,
        "client_cost" => client,
        "costs" => match (figures.of_session.cost, payload.cost) {
            (Some(ours), Some(theirs)) if !is_same(ours, theirs) => format!("{own} (client {client})"),
            (None, Some(_)) => client,
            _ => own,
        },
        "today" => sum(&figures.of_day),
        "budget" => budget.map(percent).unwrap_or_default(),
        "context" => count(payload.context),
        "window" => count(payload.window),
        "context_percent" => payload.context_percent.map(percent).unwrap_or_default(),
        "cache" => cache_hit_rate(payload, figures).map(|rate| percent(rate * 100.0)).unwrap_or_default(),
        "limits" => {
            let limits =
                payload.limits.iter().map(|limit| format!("{} {}", limit.name, percent(limit.used_percent)));
            limits.collect::<Vec<_>>().join(" ")
        }
        "lines_added" => count(payload.lines_added),
        "lines_removed" => count(payload.lines_removed),
        "duration" => payload.duration_ms.map(span).unwrap_or_default(),
        "api_duration" => payload.api_duration_ms.map(span).unwrap_or_default(),
        "project" => {
            let folder = payload.project.as_deref().and_then(|project| Path::new(project).file_name());
            folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
        "version" => text(&payload.version),
        "session" => {
            let id = payload.session.as_ref().map(|id| id.as_str().chars().take(8).collect());
            id.unwrap_or_default()
        }
        _ => return None,
    })
}

fn sum(sum: &StatusSum) -> String {
    match sum.cost {
        Some(cost) if sum.is_partly_priced => format!("≥ {cost}"),
        Some(cost) => cost.to_string(),
        None if sum.is_partly_priced => "unpriced".to_owned(),
        None => String::new(),
    }
}

fn is_same(ours: PicoUsd, theirs: PicoUsd) -> bool {
    let difference = (ours - theirs).as_pico().unsigned_abs();
    difference.saturating_mul(100) <= theirs.as_pico().unsigned_abs().saturating_mul(SAME_PERCENT)
}

/// Of the whole session where the ledger knows it, else of the last request.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn cache_hit_rate(payload: &Payload, figures: &StatusFigures) -> Option<f64> {
    let sum = &figures.of_session;
    let known = (sum.prompt > 0).then(|| sum.cache_read as f64 / sum.prompt as f64);
    known.or(payload.cache_hit_rate)
}

fn percent(share: f64) -> String {
    format!("{share:.0}%")
}

/// `18k`, `1M`: there is little room.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn scaled(value: u64) -> String {
    match value {
        0..1_000 => value.to_string(),
        1_000..999_500 => format!("{:.0}k", value as f64 / 1e3),
        _ => format!("{:.1}M", value as f64 / 1e6).replace(".0M", "M"),
    }
}

/// `1h05`, `12m`, `40s`.
fn span(millis: u64) -> String {
    match millis / 1_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds => format!("{}h{:02}", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_told_of_exists() {
        for (name, _) in FIELDS {
            assert!(field(name, &Payload::default(), &StatusFigures::default(), None).is_some(), "{name}");
        }
        assert_eq!(field("nonsense", &Payload::default(), &StatusFigures::default(), None), None);
    }

    #[test]
    fn the_clients_cost_is_shown_where_it_is_another() {
        let usd = |text: &str| PicoUsd::parse(text);
        let of = |ours: Option<PicoUsd>, theirs: Option<PicoUsd>| {
            let payload = Payload { cost: theirs, ..Payload::default() };
            let of_session = StatusSum { cost: ours, ..StatusSum::default() };
            field("costs", &payload, &StatusFigures { of_session, ..StatusFigures::default() }, None).unwrap()
        };
        assert_eq!(of(usd("1.00"), usd("1.005")), "$1.00");
        assert_eq!(of(usd("1.00"), usd("1.50")), "$1.00 (client $1.50)");
        assert_eq!(of(None, usd("1.50")), "$1.50");
        assert_eq!(of(usd("1.00"), None), "$1.00");
    }
}
