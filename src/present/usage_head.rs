//! The lines above the tables of `show-usage`: which session, how large, how sure.

use super::budgets::{pause, work_line};
use super::number::{cost, rough, span};
use super::{Fit, Keep, PageLine, Phrase, Room, Tone};
use crate::calendar::Zone;
use crate::domain::{BudgetState, PicoUsd, grouped, plural};
use crate::report::SessionInfo;
use crate::report::budgets::BudgetInfo;
use crate::report::usage::{SessionPart, UsageReport};

/// Digits behind the point where a sum stands alone.
const SMALL_SUMS: usize = 4;
/// Columns that the label and what follows a filter's name take.
const BESIDE_FILTER: usize = 20;
/// Columns that are kept from the names of models without a price.
const BESIDE_MODELS: usize = 30;

/// The lines above the tables. Times are those of a zone.
pub(super) fn head(report: &UsageReport, zone: &Zone) -> Vec<PageLine> {
    let mut lines: Vec<PageLine> = Vec::new();
    if let Some(session) = &report.session {
        lines.extend(session_lines(session, zone));
    }
    if let Some(part) = &report.part {
        lines.push(part_line(part));
        // All that follows is told of whole responses and of the session.
        if !part.is_within_responses() {
            lines.extend(cost_lines(report));
            lines.push(tokens_line(report));
            lines.extend(estimate_lines(report));
        }
        return lines;
    }
    lines.extend(cost_lines(report));
    lines.extend(context_line(report));
    lines.extend(report.budgets.iter().flat_map(budget_lines));
    let pause = pause(&report.budgets);
    lines.extend(pause.iter().flat_map(|text| text.lines()).map(|line| PageLine::whole("", line)));
    let work = report.work.as_ref().filter(|work| work.tasks_total > 0 || !report.budgets.is_empty());
    lines.extend(work.and_then(work_line).map(|line| PageLine::wrapped("work", line)));
    lines.push(tokens_line(report));
    lines.extend(pace_line(report));
    lines.extend(estimate_lines(report));
    lines
}

/// Which session it is, where, and since when.
fn session_lines(session: &SessionInfo, zone: &Zone) -> Vec<PageLine> {
    // Its id, and the longer one of the words for its state, with the gaps before them.
    let beside_title = session.id.chars().count() + "ended".len() + 4;
    let title = session.topic.as_deref().unwrap_or("session");
    let state = match session.state {
        "live" => Phrase::from("live").in_tone(Tone::Good),
        _ => "ended".into(),
    };
    let name = Phrase::name(title, Room::AllBut(beside_title)).in_tone(Tone::Strong);
    let mut facts = Vec::new();
    facts.extend(session.project.as_deref().map(|project| {
        let mut phrase = Phrase::name(project, Room::AllBut(0));
        phrase.name.iter_mut().for_each(|name| name.keep = Keep::End);
        phrase
    }));
    facts.extend(session.git_branch.as_ref().map(|branch| Phrase::with_name("on ", branch, Room::Half, "")));
    facts.extend(session.model.as_deref().map(|model| Phrase::name(model, Room::Half)));
    let mut counts = Vec::new();
    counts.extend(session.started_at.map(|at| format!("started {}", zone.minute(at))));
    counts.push(span(session.duration_seconds));
    counts.push(plural(session.turns, "turn"));
    counts.push(plural(session.tool_calls, "tool call"));
    if session.compactions > 0 {
        counts.push(plural(session.compactions, "compaction"));
    }
    vec![
        PageLine::bare(vec![name, session.id.as_str().into(), state], Fit::Spaced),
        PageLine::bare(facts, Fit::Stacked),
        PageLine::bare(vec![counts.join(" · ").into()], Fit::Whole),
        PageLine::bare(Vec::new(), Fit::Whole),
    ]
}

/// What the part that was asked for has come to. Its name says that nothing below is of the whole session.
fn part_line(part: &SessionPart) -> PageLine {
    let named = [("agent", &part.agent), ("tool", &part.tool), ("step", &part.step)];
    let named = named.into_iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
    let name = named.collect::<Vec<_>>().join(", ");
    let mut parts = vec![
        Phrase::name(&name, Room::AllBut(BESIDE_FILTER)).in_tone(Tone::Strong),
        format!("{} tokens", grouped(part.paid.total_tokens)).into(),
    ];
    if part.paid.cost_usd.amount.is_some() || part.paid.cost_usd.is_partial {
        parts.push(cost(part.paid.cost_usd, SMALL_SUMS).into());
    }
    let share = part.paid.share;
    let what = if share.cost_percent.is_some() { "cost" } else { "tokens" };
    parts.extend(share.percent.map(|share| format!("{share:.1}% of the session's {what}").into()));
    PageLine::joined("filter", parts)
}

/// How a budget stands, and what can be done once it is to be warned of.
fn budget_lines(budget: &BudgetInfo) -> Vec<PageLine> {
    let tone = match budget.standing() {
        BudgetState::Ok => Tone::Plain,
        BudgetState::Warning => Tone::Warning,
        BudgetState::Exceeded => Tone::Exceeded,
    };
    let mut lines = vec![PageLine::wrapped("budget", Phrase::from(budget.line()).in_tone(tone))];
    lines.extend(budget.advice().into_iter().map(|line| PageLine::whole("", line)));
    lines
}

/// What the provider has billed.
fn tokens_line(report: &UsageReport) -> PageLine {
    let Some(actual) = &report.actual else {
        return PageLine::whole("tokens", "no responses yet");
    };
    let mut parts: Vec<Phrase> = vec![
        format!("{} billed", grouped(actual.total_tokens)).into(),
        plural(actual.responses, "response").into(),
    ];
    parts
        .extend(actual.cache_hit_rate.map(|rate| format!("{:.1}% of input from cache", rate * 100.0).into()));
    PageLine::joined("tokens", parts)
}

/// What it cost; nothing where nothing is known of it yet.
fn cost_lines(report: &UsageReport) -> Vec<PageLine> {
    let Some(actual) = &report.actual else { return Vec::new() };
    let known = actual.known_cost();
    // Of a sum alone all digits that say something are shown.
    let amount = match (known.amount, known.is_partial) {
        (None, false) => return Vec::new(),
        (Some(amount), true) => format!("≥ {amount}"),
        (Some(amount), false) => amount.to_string(),
        (None, true) => "unpriced".to_owned(),
    };
    let mut parts = vec![Phrase::from(amount).in_tone(Tone::Strong)];
    let saved = actual.cache_savings_usd.filter(|saved| *saved != PicoUsd::ZERO);
    parts.extend(saved.map(|saved| format!("{saved} saved by caching").into()));
    let efficiency = &report.efficiency;
    let is_some = |cost: &PicoUsd| *cost > PicoUsd::ZERO;
    let per_minute = efficiency.cost_per_minute_usd.filter(is_some);
    parts.extend(per_minute.map(|cost| format!("{cost} per minute").into()));
    parts.extend(efficiency.cost_per_line_usd.filter(is_some).map(|cost| format!("{cost} per line").into()));
    let mut lines = vec![PageLine::joined("cost", parts)];
    let hidden = actual.hidden.as_ref().filter(|hidden| hidden.usage.total() > 0);
    lines.extend(hidden.map(|hidden| {
        let cost = hidden.cost_usd.map(|cost| format!(", {cost}")).unwrap_or_default();
        let tokens = grouped(hidden.usage.total());
        PageLine::whole("", format!("incl. {tokens} hidden tokens (not in the transcript){cost}"))
    }));
    let missing = actual.output_shortfall.as_ref().filter(|missing| missing.tokens > 0);
    lines.extend(missing.map(|missing| {
        let cost = missing.cost_usd.map(|cost| format!(", ~{cost}")).unwrap_or_default();
        let tokens = rough(missing.tokens);
        let responses = plural(missing.responses, "response");
        let were = if missing.responses == 1 { "was" } else { "were" };
        PageLine::wrapped(
            "",
            format!(
                "probably {tokens} more output tokens{cost}, because {responses} {were} only partly logged"
            ),
        )
    }));
    if known.is_partial {
        let models = actual.unpriced_models.join(", ");
        let room = Room::AllBut(BESIDE_MODELS);
        let cure = "; see `tallyhook prices set`";
        lines.push(PageLine::whole("", Phrase::with_name("no price for ", &models, room, cure)));
    }
    lines
}

/// What hooks have told before the provider did. Once the turn is over all of it is one dim line.
fn estimate_lines(report: &UsageReport) -> Vec<PageLine> {
    let estimate = &report.estimate;
    if estimate.calls == 0 && report.session.as_ref().is_some_and(|session| session.tool_calls > 0) {
        return vec![PageLine::whole(
            "estimate",
            "none: the session was imported, so nothing was estimated live",
        )];
    }
    let mut parts = vec![
        format!("{} in {}", rough(estimate.total_tokens), plural(estimate.calls, "call")),
        format!("{} written, {} returned", rough(estimate.generated_tokens), rough(estimate.returned_tokens)),
    ];
    parts.extend(estimate.error_percent.map(|error| format!("off by {error:.1}%")));
    let dim = |part| Phrase::from(part).in_tone(Tone::Dim);
    let mut lines = vec![PageLine::joined("estimate", parts.into_iter().map(dim).collect())];
    let pending = &estimate.pending;
    let mut next = |text: String| lines.push(PageLine::whole("", text));
    if pending.calls > 0 {
        let calls = plural(pending.calls, "call");
        next(format!(
            "{} of these in {calls} whose results the model hasn't read yet",
            rough(pending.total_tokens)
        ));
    }
    if pending.client_tokens > 0 {
        next(format!("{} that Claude Code is likely to add", rough(pending.client_tokens)));
    }
    if pending.subagent_tokens > 0 {
        next(format!(
            "{} assumed for running subagents (see `tallyhook agents`)",
            rough(pending.subagent_tokens)
        ));
    }
    lines
}

fn context_line(report: &UsageReport) -> Option<PageLine> {
    let context = report.context.as_ref()?;
    let used = context.used_percent.map(|used| format!(" ({used:.0}%)")).unwrap_or_default();
    Some(PageLine::whole("context", format!("{} tokens{used}", grouped(context.tokens))))
}

/// How fast tokens are used, and what has come of them.
fn pace_line(report: &UsageReport) -> Option<PageLine> {
    let mut parts: Vec<Phrase> = Vec::new();
    let efficiency = &report.efficiency;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and a whole number is shown"
    )]
    parts.extend(
        efficiency
            .tokens_per_minute
            .map(|rate| format!("{} per minute", grouped(rate.round() as u64)).into()),
    );
    if efficiency.lines_added + efficiency.lines_removed > 0 {
        let [added, removed] = [efficiency.lines_added, efficiency.lines_removed].map(grouped);
        parts.push(format!("{added} lines added, {removed} removed").into());
    }
    (!parts.is_empty()).then(|| PageLine::joined("", parts))
}
