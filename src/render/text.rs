//! Text for the terminal: dense tables that fit 80 columns, an estimate always with its `~`.

use std::io;

use comfy_table::{Attribute, CellAlignment, Color, ContentArrangement, LineStyle, TableStyle};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::calendar::Zone;
use crate::domain::{BudgetState, PicoUsd, clean_name, grouped, printable};
use crate::present::number::{cost, difference, per_million, rough, scaled, signed, span};
use crate::present::{Align, Cell, Column, Finding, FindingState, Table};
use crate::report::KnownCost;

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
pub(super) const MIN_NAME_WIDTH: usize = 10;
/// Before names are cut below this, sums lose their cents.
const TELLING_NAME_WIDTH: usize = 12;
/// A bar is no wider, however wide the terminal is, and a share has one only where there is that much room.
const MAX_BAR_WIDTH: usize = 60;
const MIN_BAR_WIDTH: usize = 8;
/// Bars of shares, which have a figure beside them.
const MAX_SHARE_WIDTH: usize = 20;
/// So many rows are laid out at once: each takes kilobytes.
const ROWS_AT_ONCE: usize = if cfg!(test) { 3 } else { 256 };
/// Longest text of a cell, in characters.
const MAX_CELL_CHARS: usize = 1_024;
/// Between two columns.
pub(super) const GAP: usize = 2;
/// Of the labels before lines.
pub(super) const LABEL_WIDTH: usize = 10;
/// Digits behind the point of sums of money, and where all of them are below one dollar.
const CENTS: usize = 2;
const SMALL_SUMS: usize = 4;

/// A table with its title above and a rule below the headings.
///
/// If it is too wide for the terminal, first the columns go that are for wide ones alone, then heads of two words take two
/// lines, then large numbers lose digits (`12.4M`), then large sums their cents, then names are cut, and at last the percentages go. Cells are never wrapped:
/// figures are to be read in columns.
///
/// Pieces of whole lines go to `each`: the text of a long table takes as much memory as the table.
///
/// # Errors
/// If `each` fails.
pub(super) fn write_table(
    mut table: Table,
    style: Style,
    each: &mut dyn FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    let width = usize::from(style.width);
    fit_extra_columns(&mut table, width, style);
    add_bars(&mut table, width, style);
    let (mut layout, heads) = loop {
        let (layout, heads) = fitting_layout(&table, width, style);
        let is_too_wide = natural_width(&layout.widths, &heads) > width;
        match last_percentages(&table).filter(|_| is_too_wide) {
            Some(at) => remove_column(&mut table, at),
            None => break (layout, heads),
        }
    };
    layout.draw_bars(&table, width, &heads);

    each(&style.shown(style.paint(&table.title, "1") + "\n"))?;
    // One line as wide as the widest cells, which makes each part's columns those of the whole, and is not shown.
    let ruler: Vec<String> = layout.widths.iter().map(|width| ".".repeat(*width)).collect();
    let mut rows = all_rows(&table).enumerate().peekable();
    let mut is_first = true;
    while is_first || rows.peek().is_some() {
        let mut part = comfy_table::Table::new();
        part.load_style(RULED).set_content_arrangement(ContentArrangement::Disabled);
        if style.color {
            part.enforce_styling();
        } else {
            part.force_no_tty();
        }
        if is_first {
            part.set_header(
                heads.iter().map(|head| comfy_table::Cell::new(head).add_attribute(Attribute::Dim)),
            );
        }
        for (at, row) in rows.by_ref().take(ROWS_AT_ONCE) {
            let is_total = at == table.rows.len();
            part.add_row(row.iter().enumerate().map(|(column, cell)| {
                let cell = styled(cell, layout.shown(cell, column));
                if is_total { cell.add_attribute(Attribute::Bold) } else { cell }
            }));
        }
        part.add_row(heads.iter().zip(&ruler).map(|(head, ruler)| {
            let missing = head_width(head).saturating_sub(ruler.width());
            format!("{ruler}{}", ".".repeat(missing))
        }));
        let last = table.columns.len().saturating_sub(1);
        for (at, (column, shown)) in table.columns.iter().zip(part.column_iter_mut()).enumerate() {
            // The renderer itself puts one space between columns.
            shown.set_padding((0, if at == last { 0 } else { 1 }));
            shown.set_cell_alignment(match column.align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        let lines: Vec<String> = part.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        each(&style.shown(lines[..lines.len().saturating_sub(1)].concat()))?;
        is_first = false;
    }
    Ok(())
}

/// How the columns are laid out that the table has, and its headings. They may be too wide even so.
fn fitting_layout<'z>(table: &Table, width: usize, style: Style<'z>) -> (Layout<'z>, Vec<String>) {
    let decimals = decimals(all_rows(table).flatten());
    let mut layout = Layout::of(table, plain, decimals, style);
    if natural_width(&layout.widths, &fitting_heads(table, &layout.widths, width)) > width {
        layout = Layout::of(table, short, decimals, style);
    }
    if least_width(table, &layout.widths, &fitting_heads(table, &layout.widths, width)) > width
        && decimals == CENTS
    {
        // Whole dollars.
        layout = Layout::of(table, short, 0, style);
    }
    let heads = fitting_heads(table, &layout.widths, width);
    layout.fit_names(table, width, &heads);
    (layout, heads)
}

/// The rows, the total's last.
fn all_rows(table: &Table) -> impl Iterator<Item = &Vec<Cell>> {
    table.rows.iter().chain(&table.total)
}

/// How the cells of a table are shown. Texts are made where they are needed: of a long table, all of them would take more than
/// the table itself.
struct Layout<'s> {
    style: Style<'s>,
    text: fn(&Cell, usize, &Zone) -> String,
    decimals: usize,
    /// To how many columns of the terminal each column's cells are cut.
    limits: Vec<usize>,
    /// How wide a full bar is.
    bar_width: usize,
    /// The width of each column's widest cell.
    widths: Vec<usize>,
}

impl<'s> Layout<'s> {
    fn of(table: &Table, text: fn(&Cell, usize, &Zone) -> String, decimals: usize, style: Style<'s>) -> Self {
        let limits = vec![usize::MAX; table.columns.len()];
        let mut layout = Self { style, text, decimals, limits, bar_width: 0, widths: Vec::new() };
        layout.measure(table);
        layout
    }

    fn shown(&self, cell: &Cell, column: usize) -> String {
        if let (Cell::Bar(share), 1..) = (cell, self.bar_width) {
            return bar(*share, self.bar_width);
        }
        let text = self.style.shown((self.text)(cell, self.decimals, self.style.zone));
        match self.limits[column] {
            usize::MAX => text,
            limit if matches!(cell, Cell::Path(_)) => cut_start(&text, limit),
            limit => cut(&text, limit),
        }
    }

    fn measure(&mut self, table: &Table) {
        let mut widths = vec![0; table.columns.len()];
        for row in all_rows(table) {
            for (column, (cell, widest)) in row.iter().zip(&mut widths).enumerate() {
                *widest = self.shown(cell, column).width().max(*widest);
            }
        }
        self.widths = widths;
    }

    /// Cuts names, the widest column of them first, until the table fits or none can be cut any more.
    fn fit_names(&mut self, table: &Table, width: usize, heads: &[String]) {
        loop {
            let excess = natural_width(&self.widths, heads).saturating_sub(width);
            let names = (0..table.columns.len()).filter(|at| table.columns[*at].align == Align::Left);
            let widest = names.map(|at| (self.widths[at], at)).max();
            let Some((now, at)) = widest.filter(|(now, _)| excess > 0 && *now > MIN_NAME_WIDTH) else {
                return;
            };
            self.limits[at] = now.saturating_sub(excess).max(MIN_NAME_WIDTH).max(now / 2);
            self.measure(table);
        }
    }

    /// Draws the bars in the room that the other columns leave.
    fn draw_bars(&mut self, table: &Table, width: usize, heads: &[String]) {
        let has_share = table.columns.iter().any(|column| column.name.starts_with("of "));
        let most = if has_share { MAX_SHARE_WIDTH } else { MAX_BAR_WIDTH };
        self.bar_width = width.saturating_sub(natural_width(&self.widths, heads)).min(most);
        self.measure(table);
    }
}

/// Leaves as many of the columns for wide terminals, from the left, as there is room for beside all names and digits.
fn fit_extra_columns(table: &mut Table, width: usize, style: Style) {
    let decimals = decimals(all_rows(table).flatten());
    while let Some(at) = table.columns.iter().rposition(|column| column.is_extra) {
        let widths = Layout::of(table, plain, decimals, style).widths;
        if natural_width(&widths, &heads(table)) <= width {
            break;
        }
        remove_column(table, at);
    }
}

/// Adds a bar behind the last share of a whole (`of cost`), where there is room beside all names and digits.
fn add_bars(table: &mut Table, width: usize, style: Style) {
    let Some(at) = table.columns.iter().rposition(|column| column.name.starts_with("of ")) else {
        return;
    };
    let decimals = decimals(all_rows(table).flatten());
    let widths = Layout::of(table, plain, decimals, style).widths;
    let needed = natural_width(&widths, &heads(table)) + GAP + MIN_BAR_WIDTH;
    if needed <= width {
        table.columns.insert(at + 1, Column { name: "", align: Align::Left, is_extra: false });
        for row in table.rows.iter_mut().chain(&mut table.total) {
            let share = if let Cell::Percent(share) = row[at] { share / 100.0 } else { 0.0 };
            row.insert(at + 1, Cell::Bar(share));
        }
    }
}

/// The last column of percentages, which can go: what they are worked out from stands beside them.
fn last_percentages(table: &Table) -> Option<usize> {
    let is_percent = |at: &usize| table.rows.iter().any(|row| matches!(row[*at], Cell::Percent(_)));
    (0..table.columns.len()).rev().find(is_percent)
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
fn fitting_heads(table: &Table, widths: &[usize], width: usize) -> Vec<String> {
    let mut heads = heads(table);
    for at in 0..heads.len() {
        if natural_width(widths, &heads) <= width {
            break;
        }
        if heads[at].width() > widths[at] {
            heads[at] = heads[at].replace(' ', "\n");
        }
    }
    heads
}

fn head_width(head: &str) -> usize {
    head.lines().map(|line| line.width()).max().unwrap_or(0)
}

fn natural_width(widths: &[usize], heads: &[String]) -> usize {
    let columns = widths.iter().zip(heads).map(|(width, head)| head_width(head).max(*width));
    columns.sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The width with names cut as far as they can be and still say what they name.
fn least_width(table: &Table, widths: &[usize], heads: &[String]) -> usize {
    let columns = table.columns.iter().zip(widths).zip(heads).map(|((column, widest), head)| {
        let least = if column.align == Align::Left { TELLING_NAME_WIDTH.min(*widest) } else { *widest };
        least.max(head_width(head))
    });
    columns.sum::<usize>() + GAP * widths.len().saturating_sub(1)
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
pub(super) fn cut(text: &str, limit: usize) -> String {
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

/// The last characters of `text` that fit in `limit` columns, with an ellipsis if that is not all: what tells paths
/// apart is at their ends.
pub(super) fn cut_start(text: &str, limit: usize) -> String {
    let turned = |text: &str| text.chars().rev().collect::<String>();
    turned(&cut(&turned(text), limit))
}

/// A rule below the headings and nothing else: figures, not lines, are what a table is for.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A colour says one thing: yellow is a warning, red a limit that is exceeded, green that all is well. Money has none.
fn styled(cell: &Cell, shown: String) -> comfy_table::Cell {
    let text = comfy_table::Cell::new_owned(shown);
    match cell {
        Cell::Cost(KnownCost { amount: None, is_partial: true }) => text.fg(Color::DarkYellow),
        Cell::State(BudgetState::Ok) => text.fg(Color::DarkGreen),
        Cell::State(BudgetState::Warning) => text.fg(Color::DarkYellow),
        Cell::State(BudgetState::Exceeded) => text.fg(Color::DarkRed),
        Cell::Estimate(_) | Cell::Rough(_) | Cell::Unknown | Cell::Percent(_) | Cell::ChangePercent(_) => {
            text.add_attribute(Attribute::Dim)
        }
        _ => text,
    }
}

/// Digits behind the point of a table's sums: the same for all, so that they are read in columns.
fn decimals<'c>(cells: impl Iterator<Item = &'c Cell>) -> usize {
    let sums = cells.filter_map(|cell| match cell {
        Cell::Cost(cost) => cost.amount,
        Cell::Change(sum) | Cell::Rough(sum) => Some(*sum),
        _ => None,
    });
    let largest = sums.map(|sum| sum.as_pico().unsigned_abs()).max().unwrap_or(0);
    if largest == 0 || largest >= PicoUsd::DOLLAR.as_pico().unsigned_abs() { CENTS } else { SMALL_SUMS }
}

fn plain(cell: &Cell, decimals: usize, zone: &Zone) -> String {
    match cell {
        Cell::Cost(sum) => cost(*sum, decimals),
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
        Cell::Rough(amount) => format!("~{}", cost(KnownCost::whole(Some(*amount)), decimals)),
        Cell::Tokens(value) => format!("{} tokens", grouped(*value)),
        Cell::Time(at) => zone.minute(*at),
        Cell::Unknown => "-".to_owned(),
    }
}

/// The text of a cell as [`plain`] has it, with three digits of large numbers.
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
    decimals(all_rows(table).flatten())
}

/// A text that moves no cursor and turns no line around: names are made so when they are read, but a ledger can be older
/// than that, or written by somebody else.
pub(super) fn harmless(text: &str) -> String {
    clean_name(text, MAX_CELL_CHARS).unwrap_or_default()
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
pub(super) fn pairs(pairs: &[(&str, Cell)], style: Style) -> String {
    let indent = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0) + GAP;
    let lines = pairs.iter().map(|(name, value)| {
        let name = style.paint(&format!("{name:<indent$}"), "2");
        name + &indented(&plain(value, CENTS, style.zone), indent, style)
    });
    style.shown(lines.collect::<Vec<_>>().join("\n") + "\n")
}

/// Outcomes of checks, one below the other, each failure with its cure; what is long goes on below itself.
#[must_use]
pub(super) fn findings(findings: &[Finding], style: Style) -> String {
    let name_width = findings.iter().map(|finding| finding.name.width()).max().unwrap_or(0);
    let indent = name_width + 8;
    let mut lines = Vec::new();
    for finding in findings {
        let code = match finding.state {
            FindingState::Ok => "32",
            FindingState::Note => "33",
            FindingState::Failed => "31",
        };
        let word = style.paint(&format!("{:<4}", finding.state.word()), code);
        let found = indented(&finding.found, indent, style);
        lines.push(format!("{word}  {:<name_width$}  {found}", finding.name));
        let cure = finding.cure.as_ref().map(|cure| indented(&format!("→ {cure}"), indent, style));
        lines.extend(cure.map(|cure| format!("{}{cure}", " ".repeat(indent))));
    }
    style.shown(lines.join("\n") + "\n")
}

/// A text whose lines after the first begin so many columns further right. What is in it may come from outside.
pub(super) fn indented(text: &str, indent: usize, style: Style) -> String {
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

    fn text(table: &Table, style: Style) -> String {
        let mut text = String::new();
        let written = write_table(table.clone(), style, &mut |piece| {
            text.push_str(piece);
            Ok(())
        });
        written.unwrap();
        text
    }

    #[test]
    fn a_terminal_without_more_shows_ascii_in_the_same_columns() {
        let mut table = Table::new("A · b", &["name", "cost", "share"]);
        for (name, share) in
            [("a very long name that is cut somewhere, as there is no room for it", 1.0), ("表x", 0.01)]
        {
            let cost = Cell::Cost(KnownCost { amount: Some(PicoUsd::DOLLAR), is_partial: share < 1.0 });
            table.rows.push(vec![Cell::Text(name.to_owned()), cost, Cell::Percent(share)]);
        }
        let style = Style { width: 60, color: false, ascii: true, zone: &Zone::utc() };
        let text = text(&table, style);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("------") && text.contains(">= $1.00") && text.contains("??x"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
        let rich = self::text(&table, Style { ascii: false, ..style });
        assert_eq!(to_ascii(&bar(0.51, 10)), "#####|");
        assert!(rich.contains('─') && rich.contains("≥ $1.00") && rich.contains("表x"), "{rich}");
    }

    #[test]
    fn rows_that_are_laid_out_apart_stand_in_the_same_columns() {
        let mut table = Table::new("Long", &["name", "tokens"]);
        let names = ["a", "b", "c", "d", "e", "f", "the longest name"];
        table.rows.extend(
            names
                .iter()
                .zip(1..)
                .map(|(name, n)| vec![Cell::Text((*name).to_owned()), Cell::Count(10_u64.pow(n))]),
        );
        assert!(table.rows.len() > 2 * ROWS_AT_ONCE);
        let text = text(&table, Style { width: 80, color: false, ascii: false, zone: &Zone::utc() });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3 + names.len(), "{text}");
        let widths: Vec<usize> = lines[1..].iter().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
    }
}
