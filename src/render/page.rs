//! A page in each format that people choose.

use std::cell::Cell;
use std::io;

use unicode_width::UnicodeWidthStr as _;

use super::text::{
    GAP, LABEL_WIDTH, MIN_NAME_WIDTH, Style, cut, cut_start, findings, harmless, indented, joined, label,
    note, pairs, write_table,
};
use crate::calendar::Zone;
use crate::present::{Block, Fit, Keep, Name, Page, PageLine, Phrase, Room, Tone};

/// Hands a page for a terminal to `each` in pieces of whole lines, with an empty line between its blocks.
///
/// # Errors
/// If `each` fails.
pub fn write_text(page: Page, style: Style, mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let is_empty = Cell::new(true);
    let mut each = |piece: &str| {
        is_empty.set(is_empty.get() && piece.is_empty());
        each(piece)
    };
    for block in page.blocks {
        if !is_empty.get() && !matches!(block, Block::Footnote(_)) {
            each("\n")?;
        }
        match block {
            Block::Lines(lines) => each(&self::lines(&lines, style))?,
            Block::Table(table) => write_table(table, style, &mut each)?,
            Block::Pairs(block) => each(&pairs(&block, style))?,
            Block::Findings(block) => each(&findings(&block, style))?,
            Block::Note(text) | Block::Footnote(text) => each(&note(&text, style))?,
        }
    }
    Ok(())
}

/// The first table of a page as CSV; nothing if there is none.
#[must_use]
pub fn csv(page: Page) -> String {
    page.into_tables().first().map(super::csv::csv).unwrap_or_default()
}

/// The tables of a page in Markdown. Times are those of a zone.
#[must_use]
pub fn markdown(page: Page, zone: &Zone) -> String {
    let tables = page.into_tables();
    let tables = tables.iter().map(|table| super::markdown::markdown(table, zone));
    tables.collect::<Vec<_>>().join("\n")
}

fn lines(lines: &[PageLine], style: Style) -> String {
    let lines: Vec<String> = lines.iter().map(|shown| line(shown, style)).collect();
    style.shown(lines.join("\n") + "\n")
}

fn line(line: &PageLine, style: Style) -> String {
    let label = match line.label {
        None => String::new(),
        Some("") => " ".repeat(LABEL_WIDTH),
        Some(name) => label(name, style),
    };
    let plain = || line.phrases.iter().map(|phrase| plain(phrase, style));
    let painted = || line.phrases.iter().map(|phrase| paint(&self::plain(phrase, style), phrase.tone, style));
    match line.fit {
        Fit::Joined => joined(&label, &painted().collect::<Vec<_>>(), style),
        Fit::Stacked => {
            let is_fitting = plain().collect::<Vec<_>>().join(" · ").width() <= usize::from(style.width);
            label + &painted().collect::<Vec<_>>().join(if is_fitting { " · " } else { "\n" })
        }
        Fit::Spaced => label + &painted().collect::<Vec<_>>().join(&" ".repeat(GAP)),
        Fit::Whole => label + &painted().collect::<String>(),
        Fit::Wrapped => {
            // Of a word that is wider than the room only the start is shown.
            let room = usize::from(style.width).saturating_sub(LABEL_WIDTH).max(MIN_NAME_WIDTH);
            let phrase = |phrase: &Phrase| {
                let words: Vec<String> =
                    harmless(&self::plain(phrase, style)).split(' ').map(|word| cut(word, room)).collect();
                paint(&indented(&words.join(" "), LABEL_WIDTH, style), phrase.tone, style)
            };
            label + &line.phrases.iter().map(phrase).collect::<String>()
        }
    }
}

/// A phrase with its name made harmless and no wider than it may be.
fn plain(phrase: &Phrase, style: Style) -> String {
    let name = phrase.name.as_ref().map(|name| fitted(name, style)).unwrap_or_default();
    [&*phrase.before, &name, &phrase.after].concat()
}

fn fitted(name: &Name, style: Style) -> String {
    let width = usize::from(style.width);
    let room = match name.room {
        Room::AllBut(others) => width.saturating_sub(others).max(MIN_NAME_WIDTH),
        Room::Half => width / 2,
    };
    let text = harmless(&name.text);
    match name.keep {
        Keep::Start => cut(&text, room),
        Keep::End => cut_start(&text, room),
    }
}

fn paint(text: &str, tone: Tone, style: Style) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Strong => style.paint(text, "1"),
        Tone::Dim => style.paint(text, "2"),
        Tone::Good => style.paint(text, "32"),
        Tone::Warning => style.paint(text, "33"),
        Tone::Exceeded => style.paint(text, "31"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::{Cell, Table};

    #[test]
    fn blocks_stand_apart_but_for_footnotes_and_other_formats_have_the_tables() {
        let mut table = Table::new("T", &["name"]);
        table.rows.push(vec![Cell::Text("x".to_owned())]);
        let page = Page {
            blocks: vec![
                Block::Lines(vec![PageLine::joined("label", vec!["a".into(), "b".into()])]),
                Block::Table(table),
                Block::Footnote("below".to_owned()),
                Block::Note("apart".to_owned()),
            ],
        };
        let zone = Zone::utc();
        let style = Style { width: 80, color: false, ascii: true, zone: &zone };
        let mut text = String::new();
        let written = write_text(page.clone(), style, |piece| {
            text.push_str(piece);
            Ok(())
        });
        written.unwrap();
        assert_eq!(text, "label     a - b\n\nT\nname\n----\nx\nbelow\n\napart\n");
        assert_eq!(csv(page.clone()), "name\nx\n");
        assert_eq!(markdown(page, &zone), "### T\n\n| name |\n| :-- |\n| x |\n");
        assert_eq!((csv(Page::default()), markdown(Page::default(), &zone)), Default::default());
    }

    #[test]
    fn names_are_cut_and_what_is_too_wide_is_stacked() {
        let zone = Zone::utc();
        let style = Style { width: 60, color: true, ascii: false, zone: &zone };
        let long = "x".repeat(80);
        let phrase = Phrase::with_name("on ", &long, Room::Half, "!").in_tone(Tone::Dim);
        let shown = line(&PageLine::bare(vec![phrase.clone()], Fit::Whole), style);
        assert_eq!(shown, format!("\u{1b}[2mon {}…!\u{1b}[0m", "x".repeat(29)));
        let stacked = line(&PageLine::bare(vec![phrase.clone(), phrase], Fit::Stacked), style);
        assert_eq!(stacked.lines().count(), 2);
    }
}
