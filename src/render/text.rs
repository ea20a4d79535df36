//! Text for the terminal: dense tables that fit 80 columns, an estimate always with its `~`.

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, LineStyle, TableStyle};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::number::{cost, difference, per_million, rough, scaled, signed, span};
use crate::doctor::{Check, Status};
use crate::domain::{PicoUsd, State, clean_name, grouped, plural, printable};
use crate::report::budgets::pause;
use crate::report::calendar::Zone;
use crate::report::usage::{Part, UsageReport};
use crate::report::{Align, Cell, Column, Table};

/// How text is to look.
#[derive(Debug, Clone, Copy)]
pub struct Style<'z> {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether to colour.
    pub color: bool,
    /// Whether the terminal shows ASCII alone.
    pub ascii: bool,
    /// Where times are told.
    pub zone: &'z Zone,
}

impl Style<'_> {
    /// The text as the terminal can show it.
    pub(super) fn shown(self, text: String) -> String {
        if self.ascii { to_ascii(&text) } else { text }
    }

    pub(super) fn paint(self, text: &str, code: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Fewest characters to which a name is cut so that its table fits.
const MIN_NAME_WIDTH: usize = 10;
/// Before names are cut below this, sums lose their cents.
const TELLING_NAME_WIDTH: usize = 12;
/// A bar is no wider, however wide the terminal is, and a share has one only where there is that much room.
const MAX_BAR_WIDTH: usize = 60;
const MIN_BAR_WIDTH: usize = 8;
/// Bars of shares, which have a figure beside them.
const MAX_SHARE_WIDTH: usize = 20;
/// Longest text of a cell, in characters.
const MAX_CELL_CHARS: usize = 1_024;
/// Between two columns.
const GAP: usize = 2;
/// Of the labels before lines.
const LABEL_WIDTH: usize = 10;
/// Digits behind the point of sums of money, and where all of them are below one dollar.
const CENTS: usize = 2;
const SMALL_SUMS: usize = 4;

/// A table with its title above and a rule below the headings.
///
/// If it is too wide for the terminal, first the columns go that are for wide ones alone, then heads of two words take two
/// lines, then large numbers lose digits (`12.4M`), then large sums their cents, then names are cut, and at last the percentages go. Cells are never wrapped:
/// figures are to be read in columns.
#[must_use]
pub fn table(table: &Table, style: Style) -> String {
    let width = usize::from(style.width);
    let table = &with_bars(fitting(table, width, style), width, style);
    let rows = || table.rows.iter().chain(&table.total);
    let decimals = decimals(rows().flatten());
    let all = |shown: fn(&Cell, usize, &Zone) -> String, decimals: usize| -> Vec<Vec<String>> {
        rows()
            .map(|row| row.iter().map(|cell| style.shown(shown(cell, decimals, style.zone))).collect())
            .collect()
    };
    let mut cells = all(plain, decimals);
    if natural_width(table, &cells, &fitting_heads(table, &cells, width)) > width {
        cells = all(short, decimals);
    }
    if least_width(table, &cells, &fitting_heads(table, &cells, width)) > width && decimals == CENTS {
        // Whole dollars.
        cells = all(short, 0);
    }
    let heads = &fitting_heads(table, &cells, width);
    fit_names(table, &mut cells, width, heads);
    if natural_width(table, &cells, heads) > width
        && let Some(narrower) = without_percentages(table)
    {
        return self::table(&narrower, style);
    }
    draw_bars(table, &mut cells, width, heads);

    let mut text = comfy_table::Table::new();
    text.load_style(RULED).set_content_arrangement(ContentArrangement::Disabled);
    if style.color {
        text.enforce_styling();
    } else {
        text.force_no_tty();
    }
    text.set_header(heads.iter().map(|head| comfy_table::Cell::new(head).add_attribute(Attribute::Dim)));
    for (at, (row, shown)) in rows().zip(cells).enumerate() {
        let is_total = at == table.rows.len();
        text.add_row(row.iter().zip(shown).map(|(cell, shown)| {
            let cell = styled(cell, shown);
            if is_total { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
    }
    let last = table.columns.len().saturating_sub(1);
    for (at, (column, shown)) in table.columns.iter().zip(text.column_iter_mut()).enumerate() {
        // The renderer itself puts one space between columns.
        shown.set_padding((0, if at == last { 0 } else { 1 }));
        shown.set_cell_alignment(match column.align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    let mut lines = vec![style.paint(&table.title, "1")];
    lines.extend(text.lines().map(|line| line.trim_end().to_owned()));
    style.shown(lines.join("\n") + "\n")
}

/// The table with as many of the columns for wide terminals, from the left, as there is room for beside all names and digits.
fn fitting(table: &Table, width: usize, style: Style) -> Table {
    let mut table = table.clone();
    let decimals = decimals(table.rows.iter().chain(&table.total).flatten());
    while let Some(at) = table.columns.iter().rposition(|column| column.is_extra) {
        let rows = table.rows.iter().chain(&table.total);
        let cells: Vec<Vec<String>> = rows
            .map(|row| row.iter().map(|cell| style.shown(plain(cell, decimals, style.zone))).collect())
            .collect();
        if natural_width(&table, &cells, &heads(&table)) <= width {
            break;
        }
        remove_column(&mut table, at);
    }
    table
}

/// The table with a bar behind its last share of a whole (`of cost`), where there is room beside all names and digits.
fn with_bars(mut table: Table, width: usize, style: Style) -> Table {
    let Some(at) = table.columns.iter().rposition(|column| column.name.starts_with("of ")) else {
        return table;
    };
    let decimals = decimals(table.rows.iter().chain(&table.total).flatten());
    let cells: Vec<Vec<String>> = table
        .rows
        .iter()
        .chain(&table.total)
        .map(|row| row.iter().map(|cell| style.shown(plain(cell, decimals, style.zone))).collect())
        .collect();
    let needed = natural_width(&table, &cells, &heads(&table)) + GAP + MIN_BAR_WIDTH;
    if needed <= width {
        table.columns.insert(at + 1, Column { name: "", align: Align::Left, is_extra: false });
        for row in table.rows.iter_mut().chain(&mut table.total) {
            let share = if let Cell::Percent(share) = row[at] { share / 100.0 } else { 0.0 };
            row.insert(at + 1, Cell::Bar(share));
        }
    }
    table
}

/// The table without its last column of percentages: what they are worked out from stands beside them. `None` if it has none.
fn without_percentages(table: &Table) -> Option<Table> {
    let is_percent = |at: &usize| table.rows.iter().any(|row| matches!(row[*at], Cell::Percent(_)));
    let at = (0..table.columns.len()).rev().find(is_percent)?;
    let mut narrower = table.clone();
    remove_column(&mut narrower, at);
    Some(narrower)
}

fn remove_column(table: &mut Table, at: usize) {
    table.columns.remove(at);
    for row in table.rows.iter_mut().chain(&mut table.total) {
        row.remove(at);
    }
}

/// What a terminal without more than ASCII can show of a text, in as many columns where the text is ours and in a table.
fn to_ascii(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => shown.push(c),
            '─' | '·' => shown.push('-'),
            '█' | '▉' | '▊' | '▋' | '▌' => shown.push('#'),
            '▍' | '▎' | '▏' => shown.push('|'),
            // Something was cut here.
            '…' => shown.push('>'),
            '→' => shown.push_str("->"),
            '≥' => shown.push_str(">="),
            '×' => shown.push('x'),
            c => shown.push_str(&"?".repeat(c.width().unwrap_or(0))),
        }
    }
    shown
}

fn heads(table: &Table) -> Vec<String> {
    table.columns.iter().map(|column| column.name.to_owned()).collect()
}

/// The headings, from the left as many of them with their words below each other as it takes to fit.
fn fitting_heads(table: &Table, cells: &[Vec<String>], width: usize) -> Vec<String> {
    let mut heads = heads(table);
    for at in 0..heads.len() {
        if natural_width(table, cells, &heads) <= width {
            break;
        }
        let narrowest = cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
        if heads[at].width() > narrowest {
            heads[at] = heads[at].replace(' ', "\n");
        }
    }
    heads
}

fn head_width(head: &str) -> usize {
    head.lines().map(|line| line.width()).max().unwrap_or(0)
}

fn natural_width(table: &Table, cells: &[Vec<String>], heads: &[String]) -> usize {
    let columns = (0..table.columns.len())
        .map(|at| cells.iter().map(|row| row[at].width()).chain([head_width(&heads[at])]).max().unwrap_or(0));
    columns.sum::<usize>() + GAP * table.columns.len().saturating_sub(1)
}

/// The width with names cut as far as they can be and still say what they name.
fn least_width(table: &Table, cells: &[Vec<String>], heads: &[String]) -> usize {
    let columns = table.columns.iter().enumerate().map(|(at, column)| {
        let widest = cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
        let least = if column.align == Align::Left { widest.min(TELLING_NAME_WIDTH) } else { widest };
        least.max(head_width(&heads[at]))
    });
    columns.sum::<usize>() + GAP * table.columns.len().saturating_sub(1)
}

/// Cuts names, the widest column of them first, until the table fits or none can be cut any more.
fn fit_names(table: &Table, cells: &mut [Vec<String>], width: usize, heads: &[String]) {
    loop {
        let excess = natural_width(table, cells, heads).saturating_sub(width);
        let column_width = |at: usize| cells.iter().map(|row| row[at].width()).max().unwrap_or(0);
        let names = (0..table.columns.len()).filter(|at| table.columns[*at].align == Align::Left);
        let widest = names.map(|at| (column_width(at), at)).max();
        let Some((now, at)) = widest.filter(|(now, _)| excess > 0 && *now > MIN_NAME_WIDTH) else { return };
        let limit = now.saturating_sub(excess).max(MIN_NAME_WIDTH).max(now / 2);
        let shown = table.rows.iter().chain(&table.total).zip(cells.iter_mut());
        for (row, shown) in shown {
            let is_path = matches!(row[at], Cell::Path(_));
            shown[at] = if is_path { cut_start(&shown[at], limit) } else { cut(&shown[at], limit) };
        }
    }
}

/// Draws the bars in the room that the other columns leave.
fn draw_bars(table: &Table, cells: &mut [Vec<String>], width: usize, heads: &[String]) {
    let has_share = table.columns.iter().any(|column| column.name.starts_with("of "));
    let most = if has_share { MAX_SHARE_WIDTH } else { MAX_BAR_WIDTH };
    let room = width.saturating_sub(natural_width(table, cells, heads)).min(most);
    for (row, shown) in table.rows.iter().chain(&table.total).zip(cells) {
        for (cell, shown) in row.iter().zip(shown) {
            if let Cell::Bar(share) = cell {
                *shown = bar(*share, room);
            }
        }
    }
}

/// A bar for a share of `width` columns; what is not nothing is seen.
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if share <= 0.0 || width == 0 {
        return String::new();
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "columns of a terminal"
    )]
    let eighths = ((share.min(1.0) * width as f64 * 8.0).round() as usize).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The first characters of `text` that fit in `limit` columns, with an ellipsis if that is not all.
fn cut(text: &str, limit: usize) -> String {
    if text.width() <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        // The width of the whole, for a character can change that of the one before it.
        if kept.width() >= limit {
            kept.pop();
            break;
        }
    }
    while kept.width() >= limit && kept.pop().is_some() {}
    kept.push('…');
    kept
}

/// The same with the last characters, for what tells paths apart is at their ends.
fn cut_start(text: &str, limit: usize) -> String {
    let turned = |text: &str| text.chars().rev().collect::<String>();
    turned(&cut(&turned(text), limit))
}

/// A rule below the headings and nothing else: figures, not lines, are what a table is for.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A colour says one thing: yellow is a warning, red a limit that is exceeded, green that all is well. Money has none.
fn styled(cell: &Cell, shown: String) -> comfy_table::Cell {
    let text = comfy_table::Cell::new_owned(shown);
    match cell {
        Cell::Usd { amount: None, at_least: true } => text.fg(Color::DarkYellow),
        Cell::State(State::Ok) => text.fg(Color::DarkGreen),
        Cell::State(State::Warning) => text.fg(Color::DarkYellow),
        Cell::State(State::Exceeded) => text.fg(Color::DarkRed),
        Cell::Estimate(_) | Cell::Rough(_) | Cell::Unknown | Cell::Percent(_) | Cell::ChangePercent(_) => {
            text.add_attribute(Attribute::Dim)
        }
        _ => text,
    }
}

/// Digits behind the point of a table's sums: the same for all, so that they are read in columns.
fn decimals<'c>(cells: impl Iterator<Item = &'c Cell>) -> usize {
    let sums = cells.filter_map(|cell| match cell {
        Cell::Usd { amount, .. } => *amount,
        Cell::Change(sum) | Cell::Rough(sum) => Some(*sum),
        _ => None,
    });
    let largest = sums.map(|sum| sum.as_pico().unsigned_abs()).max().unwrap_or(0);
    if largest == 0 || largest >= PicoUsd::DOLLAR.as_pico().unsigned_abs() { CENTS } else { SMALL_SUMS }
}

fn plain(cell: &Cell, decimals: usize, zone: &Zone) -> String {
    match cell {
        Cell::Usd { amount, at_least } => cost(*amount, *at_least, decimals),
        Cell::Change(change) => signed(*change, decimals),
        Cell::ChangePercent(share) => format!("{share:+.1}"),
        Cell::Difference(more) => difference(*more, grouped),
        Cell::Text(text) | Cell::Path(text) => harmless(text),
        Cell::Span(seconds) => span(*seconds),
        Cell::Bar(_) => String::new(),
        Cell::State(state) => state.name().to_owned(),
        Cell::Count(value) => grouped(*value),
        Cell::Estimate(value) => rough(*value),
        Cell::Price(price) => per_million(*price),
        // Ten times as much as there is: nobody reads the tenths.
        Cell::Percent(share) if *share >= 1_000.0 => format!("{share:.0}%"),
        Cell::Percent(share) => format!("{share:.1}%"),
        Cell::Rough(amount) => format!("~{}", cost(Some(*amount), false, decimals)),
        Cell::Tokens(value) => format!("{} tokens", grouped(*value)),
        Cell::Time(at) => zone.minute(*at),
        Cell::Unknown => "-".to_owned(),
    }
}

/// As [`plain`], with three digits of large numbers.
fn short(cell: &Cell, decimals: usize, zone: &Zone) -> String {
    match cell {
        Cell::Count(value) => scaled(*value),
        Cell::Tokens(value) => format!("{} tokens", scaled(*value)),
        Cell::Difference(more) => difference(*more, scaled),
        cell => plain(cell, decimals, zone),
    }
}

/// A cell outside of a text table.
pub(super) fn plain_cell(cell: &Cell, decimals: usize, zone: &Zone) -> String {
    plain(cell, decimals, zone)
}

/// Digits behind the point of a table's sums.
pub(super) fn decimals_of(table: &Table) -> usize {
    decimals(table.rows.iter().chain(&table.total).flatten())
}

/// A text that moves no cursor and turns no line around: names are made so when they are read, but a ledger can be older
/// than that, or written by somebody else.
pub(super) fn harmless(text: &str) -> String {
    clean_name(text, MAX_CELL_CHARS).unwrap_or_default()
}

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
    let is_live = report.session.as_ref().is_some_and(|session| session.state == "live");
    let course = course.and_then(|work| work.line(is_live)).map(|line| beside_label(&line, style));
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

/// Parts of a line with dots between them, below each other where they are too wide.
pub(super) fn joined(label: &str, parts: &[String], style: Style) -> String {
    let mut text = label.to_owned();
    let mut used = LABEL_WIDTH;
    for (at, part) in parts.iter().enumerate() {
        // What is painted takes no more room for it.
        let plain: String = part
            .split('\u{1b}')
            .map(|piece| {
                piece
                    .split_once('m')
                    .filter(|(code, _)| code.starts_with('['))
                    .map_or(piece, |(_, rest)| rest)
            })
            .collect();
        if at > 0 && used + 3 + plain.width() > usize::from(style.width) {
            text.push('\n');
            text.push_str(&" ".repeat(LABEL_WIDTH));
            used = LABEL_WIDTH;
        } else if at > 0 {
            text.push_str(" · ");
            used += 3;
        }
        text.push_str(part);
        used += plain.width();
    }
    text
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

pub(super) fn label(name: &str, style: Style) -> String {
    style.paint(&format!("{name:<LABEL_WIDTH$}"), "2")
}

/// A remark below a table, in lines that fit. A line of its own in `text` stays one.
#[must_use]
pub fn note(text: &str, style: Style) -> String {
    let width = usize::from(style.width);
    let mut shown = String::new();
    for line in text.lines().map(harmless) {
        let mut used = 0;
        for word in line.split_whitespace() {
            let word = cut(word, width);
            if used > 0 {
                let fits = used + 1 + word.width() <= width;
                shown.push(if fits { ' ' } else { '\n' });
                used = if fits { used + 1 } else { 0 };
            }
            shown.push_str(&word);
            used += word.width();
        }
        shown.push('\n');
    }
    style.shown(shown)
}

/// Names and values, one below the other; a long value goes on below itself.
#[must_use]
pub fn pairs(pairs: &[(&str, Cell)], style: Style) -> String {
    let indent = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0) + GAP;
    let lines = pairs.iter().map(|(name, value)| {
        let name = style.paint(&format!("{name:<indent$}"), "2");
        name + &indented(&plain(value, CENTS, style.zone), indent, style)
    });
    style.shown(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// The checks of `doctor`, one below the other, each failure with its cure; what is long goes on below itself.
#[must_use]
pub fn checks(checks: &[Check], style: Style) -> String {
    let name_width = checks.iter().map(|check| check.check.width()).max().unwrap_or(0);
    let indent = name_width + 8;
    let mut lines = Vec::new();
    for check in checks {
        let (word, code) = match check.status {
            Status::Ok => ("ok", "32"),
            Status::Warning => ("note", "33"),
            Status::Failed => ("FAIL", "31"),
        };
        let word = style.paint(&format!("{word:<4}"), code);
        let found = indented(&check.found, indent, style);
        lines.push(format!("{word}  {:<name_width$}  {found}", check.check));
        let cure = check.cure.as_ref().map(|cure| indented(&format!("→ {cure}"), indent, style));
        lines.extend(cure.map(|cure| format!("{}{cure}", " ".repeat(indent))));
    }
    style.shown(lines.join("\n") + "\n")
}

/// A text whose lines after the first begin so many columns further right. What is in it may come from outside.
fn indented(text: &str, indent: usize, style: Style) -> String {
    let room = usize::from(style.width).saturating_sub(indent).max(MIN_NAME_WIDTH);
    let mut shown = String::new();
    let mut used = 0;
    let text = printable(text).replace(['\n', '\t'], " ");
    for word in text.split(' ') {
        if used > 0 && used + 1 + word.width() > room {
            shown.push('\n');
            shown.push_str(&" ".repeat(indent));
            used = 0;
        } else if used > 0 {
            shown.push(' ');
            used += 1;
        }
        shown.push_str(word);
        used += word.width();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_more_shows_ascii_in_the_same_columns() {
        let mut table = Table::new("A · b", &["name", "cost", "share"]);
        for (name, share) in
            [("a very long name that is cut somewhere, as there is no room for it", 1.0), ("表x", 0.01)]
        {
            let cost = Cell::Usd { amount: Some(PicoUsd::DOLLAR), at_least: share < 1.0 };
            table.rows.push(vec![Cell::Text(name.to_owned()), cost, Cell::Percent(share)]);
        }
        let style = Style { width: 60, color: false, ascii: true, zone: &Zone::utc() };
        let text = super::table(&table, style);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("------") && text.contains(">= $1.00") && text.contains("??x"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        let rich = super::table(&table, Style { ascii: false, ..style });
        assert_eq!(to_ascii(&bar(0.51, 10)), "#####|");
        assert!(rich.contains('─') && rich.contains("≥ $1.00") && rich.contains("表x"), "{rich}");
    }
}
