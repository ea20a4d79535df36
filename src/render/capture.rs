//! The lines above the tables of `capture-cost`.

use super::number::span;
use super::text::{Style, joined, label};
use crate::domain::{grouped, plural};
use crate::report::capture::CaptureReport;

/// What the screen says of the whole session, and what became of it.
#[must_use]
pub fn capture_header(report: &CaptureReport, style: Style) -> String {
    let read = &report.captured;
    let mut parts = Vec::new();
    parts.extend(read.total_usd.map(|total| style.paint(&total.to_string(), "1")));
    parts.extend(read.total_tokens().map(|tokens| format!("{} tokens", grouped(tokens))));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a duration is not negative, and whole seconds are shown"
    )]
    let spanned = |name: &str, seconds: f64| format!("{name} {}", span(seconds.round() as u64));
    parts.extend(read.api_seconds.map(|seconds| spanned("API", seconds)));
    parts.extend(read.wall_seconds.map(|seconds| spanned("wall", seconds)));
    if let (Some(added), Some(removed)) = (read.lines_added, read.lines_removed) {
        parts.push(format!("{} added, {} removed", plural(added, "line"), grouped(removed)));
    }
    if parts.is_empty() {
        let what = if read.subscription.is_some() || !read.limits.is_empty() {
            "no cost found"
        } else {
            "nothing recognized"
        };
        parts.push(what.to_owned());
    }
    let mut lines = vec![joined(&label("captured", style), &parts, style)];
    if let Some(session) = &report.session {
        let kept = if report.kept { "saved" } else { "already saved" };
        lines.push(format!("{}{session} · {kept}", label("session", style)));
    }
    style.shown(lines.join("\n") + "\n")
}
