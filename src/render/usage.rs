//! The lines above the tables of `show-usage`.

use unicode_width::UnicodeWidthStr as _;

use super::number::{cost, rough, span};
use super::text::{
    GAP, LABEL_WIDTH, MIN_NAME_WIDTH, SMALL_SUMS, Style, cut, cut_start, harmless, indented, joined, label,
};
use crate::domain::{PicoUsd, State, grouped, plural};
use crate::report::budgets::pause;
use crate::report::usage::{Part, UsageReport};

/// The lines above the tables of `show-usage`: which session, how large, how sure.
#[must_use]
pub fn usage_header(report: &UsageReport, style: Style) -> String {
    let mut lines = Vec::new();
    if let Some(session) = &report.session {
        let rest = session.id.width() + "ended".len() + 2 * GAP;
        let limit = usize::from(style.width).saturating_sub(rest).max(MIN_NAME_WIDTH);
        let name = &cut(&harmless(session.topic.as_deref().unwrap_or("session")), limit);
        let state = match session.state {
            "live" => style.paint("live", "32"),
            _ => "ended".to_owned(),
        };
        lines.push(format!("{}  {}  {state}", style.paint(name, "1"), session.id));
        let mut facts = Vec::new();
        // Each may be as long as it is, but no longer than the line.
        let width = usize::from(style.width);
        facts.extend(session.project.as_deref().map(|project| cut_start(&harmless(project), width)));
        facts.extend(
            session.git_branch.as_ref().map(|branch| format!("on {}", cut(&harmless(branch), width / 2))),
        );
        facts.extend(session.model.as_deref().map(|model| cut(&harmless(model), width / 2)));
        let line = facts.join(" · ");
        if line.width() <= width {
            lines.push(line);
        } else {
            lines.append(&mut facts);
        }
        let mut counts = Vec::new();
        counts.extend(session.started_at.map(|at| format!("started {}", style.zone.minute(at))));
        counts.push(span(session.duration_seconds));
        counts.push(plural(session.turns, "turn"));
        counts.push(plural(session.tool_calls, "tool call"));
        if session.compactions > 0 {
            counts.push(plural(session.compactions, "compaction"));
        }
        lines.push(counts.join(" · "));
        lines.push(String::new());
    }
    if let Some(part) = &report.part {
        lines.push(part_line(part, style));
        if part.is_within_responses() {
            // All that follows is told of whole responses and of the session.
            return style.shown(lines.join("\n") + "\n");
        }
    }
    if report.part.is_some() {
        lines.extend(cost_lines(report, style));
        lines.push(tokens_line(report, style));
        lines.push(estimate_line(report, style));
        return style.shown(lines.join("\n") + "\n");
    }
    lines.extend(cost_lines(report, style));
    lines.extend(context_line(report, style));
    let indent = " ".repeat(LABEL_WIDTH);
    for budget in &report.budgets {
        let code = match budget.standing {
            State::Ok => "0",
            State::Warning => "33",
            State::Exceeded => "31",
        };
        let line = beside_label(&budget.line(), style);
        lines.push(format!("{}{}", label("budget", style), style.paint(&line, code)));
        lines.extend(budget.advice().into_iter().map(|line| format!("{indent}{line}")));
    }
    let pause = pause(&report.budgets);
    lines.extend(pause.iter().flat_map(|text| text.lines()).map(|line| format!("{indent}{line}")));
    let course = report.work.as_ref().filter(|work| work.tasks_total > 0 || !report.budgets.is_empty());
    let course = course.and_then(|work| work.line()).map(|line| beside_label(&line, style));
    lines.extend(course.map(|line| format!("{}{line}", label("work", style))));
    lines.push(tokens_line(report, style));
    lines.extend(pace_line(report, style));
    lines.push(estimate_line(report, style));
    style.shown(lines.join("\n") + "\n")
}

/// A line with names in it, broken where it is wider than the room beside a label; of a word that is wider only the start.
fn beside_label(line: &str, style: Style) -> String {
    let room = usize::from(style.width).saturating_sub(LABEL_WIDTH).max(MIN_NAME_WIDTH);
    let words: Vec<String> = harmless(line).split(' ').map(|word| cut(word, room)).collect();
    indented(&words.join(" "), LABEL_WIDTH, style)
}

/// What the part that was asked for has come to. Its name says that nothing below is of the whole session.
fn part_line(part: &Part, style: Style) -> String {
    let room = usize::from(style.width).saturating_sub(LABEL_WIDTH + MIN_NAME_WIDTH);
    let mut parts = vec![
        style.paint(&cut(&harmless(&part.name()), room), "1"),
        format!("{} tokens", grouped(part.paid.total_tokens)),
    ];
    if part.paid.cost_usd.is_some() || part.paid.is_partly_priced {
        parts.push(cost(part.paid.cost_usd, part.paid.is_partly_priced, SMALL_SUMS));
    }
    let share = part.paid.share;
    let what = if share.cost_percent.is_some() { "cost" } else { "tokens" };
    parts.extend(share.percent.map(|share| format!("{share:.1}% of the session's {what}")));
    joined(&label("filter", style), &parts, style)
}

/// What the provider has billed.
fn tokens_line(report: &UsageReport, style: Style) -> String {
    let label = label("tokens", style);
    let Some(actual) = &report.actual else {
        return format!("{label}no responses yet");
    };
    let mut parts =
        vec![format!("{} billed", grouped(actual.total_tokens)), plural(actual.responses, "response")];
    parts.extend(actual.cache_hit_rate.map(|rate| format!("{:.1}% of input from cache", rate * 100.0)));
    joined(&label, &parts, style)
}

/// What it cost; nothing where nothing is known of it yet.
fn cost_lines(report: &UsageReport, style: Style) -> Vec<String> {
    let Some(actual) = &report.actual else { return Vec::new() };
    let is_partial = !actual.unpriced_models.is_empty();
    if actual.cost_usd.is_none() && !is_partial {
        return Vec::new();
    }
    // Of a sum alone all digits that say something are shown.
    let amount = match actual.cost_usd {
        Some(amount) if is_partial => format!("≥ {amount}"),
        Some(amount) => amount.to_string(),
        None => "unpriced".to_owned(),
    };
    let mut parts = vec![style.paint(&amount, "1")];
    let saved = actual.cache_savings_usd.filter(|saved| *saved != PicoUsd::ZERO);
    parts.extend(saved.map(|saved| format!("{saved} saved by caching")));
    let efficiency = &report.efficiency;
    let is_some = |cost: &PicoUsd| *cost > PicoUsd::ZERO;
    parts.extend(efficiency.cost_per_minute_usd.filter(is_some).map(|cost| format!("{cost} per minute")));
    parts.extend(efficiency.cost_per_line_usd.filter(is_some).map(|cost| format!("{cost} per line")));
    let mut lines = vec![joined(&label("cost", style), &parts, style)];
    let hidden = actual.hidden.as_ref().filter(|hidden| hidden.usage.total() > 0);
    lines.extend(hidden.map(|hidden| {
        let cost = hidden.cost_usd.map(|cost| format!(", {cost}")).unwrap_or_default();
        let tokens = grouped(hidden.usage.total());
        format!("{:<10}incl. {tokens} tokens not in the transcript{cost}", "")
    }));
    let missing = actual.output_shortfall.as_ref().filter(|missing| missing.tokens > 0);
    lines.extend(missing.map(|missing| {
        let cost = missing.cost_usd.map(|cost| format!(", ~{cost}")).unwrap_or_default();
        let tokens = rough(missing.tokens);
        let responses = plural(missing.responses, "response");
        format!("{:<10}probably {tokens} more output tokens{cost}: {responses} only partly logged", "")
    }));
    if is_partial {
        let models = harmless(&actual.unpriced_models.join(", "));
        let room = usize::from(style.width).saturating_sub(30).max(MIN_NAME_WIDTH);
        lines.push(format!("{:<10}no price for {}; see `tallyhook prices set`", "", cut(&models, room)));
    }
    lines
}

/// What hooks have told before the provider did. Once the turn is over all of it is one dim line.
fn estimate_line(report: &UsageReport, style: Style) -> String {
    let estimate = &report.estimate;
    if estimate.calls == 0 && report.session.as_ref().is_some_and(|session| session.tool_calls > 0) {
        return format!("{}none: imported, so there were no live estimates", label("estimate", style));
    }
    let mut parts = vec![
        format!("{} in {}", rough(estimate.total_tokens), plural(estimate.calls, "call")),
        format!("{} written, {} returned", rough(estimate.generated_tokens), rough(estimate.returned_tokens)),
    ];
    parts.extend(estimate.error_percent.map(|error| format!("off by {error:.1}%")));
    let dim = |parts: &mut Vec<String>| parts.iter_mut().for_each(|part| *part = style.paint(part, "2"));
    dim(&mut parts);
    let mut text = joined(&label("estimate", style), &parts, style);
    let pending = &estimate.pending;
    let mut next = |line: String| {
        text.push('\n');
        text.push_str(&" ".repeat(LABEL_WIDTH));
        text.push_str(&line);
    };
    if pending.calls > 0 {
        let calls = plural(pending.calls, "call");
        next(format!("{} in {calls} that the model hasn't read yet", rough(pending.total_tokens)));
    }
    if pending.client_tokens > 0 {
        next(format!("{} that Claude Code is likely to add", rough(pending.client_tokens)));
    }
    if pending.subagent_tokens > 0 {
        next(format!("{} for running subagents, from the defaults table", rough(pending.subagent_tokens)));
    }
    text
}

fn context_line(report: &UsageReport, style: Style) -> Option<String> {
    let context = report.context.as_ref()?;
    let used = context.used_percent.map(|used| format!(" ({used:.0}%)")).unwrap_or_default();
    Some(format!("{}{} tokens{used}", label("context", style), grouped(context.tokens)))
}

/// How fast tokens are used, and what has come of them.
fn pace_line(report: &UsageReport, style: Style) -> Option<String> {
    let mut parts = Vec::new();
    let efficiency = &report.efficiency;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and a whole number is shown"
    )]
    parts.extend(
        efficiency.tokens_per_minute.map(|rate| format!("{} per minute", grouped(rate.round() as u64))),
    );
    if efficiency.lines_added + efficiency.lines_removed > 0 {
        let [added, removed] = [efficiency.lines_added, efficiency.lines_removed].map(grouped);
        parts.push(format!("{added} lines added, {removed} removed"));
    }
    (!parts.is_empty()).then(|| joined(&" ".repeat(LABEL_WIDTH), &parts, style))
}
