//! Markdown tables, as GitHub and Obsidian show them. What a name holds is text and never markup.

use super::text::{harmless, plain_cell};
use crate::calendar::Zone;
use crate::present::{Align, Cell, Table};

/// Cells that a bar is wide.
const BAR_WIDTH: usize = 20;

/// A table under a heading of the third level. Times are those of a zone.
#[must_use]
pub(super) fn markdown(table: &Table, zone: &Zone) -> String {
    let decimals = super::text::decimals_of(table);
    let mut out = format!("### {}\n\n", escaped(&table.title));
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    out.push_str(&row(table.columns.iter().map(|column| escaped(column.name)).collect()));
    let rule = |align: Align| if align == Align::Left { ":--" } else { "--:" }.to_owned();
    out.push_str(&row(table.columns.iter().map(|column| rule(column.align)).collect()));
    for cells in &table.rows {
        out.push_str(&row(cells.iter().map(|cell| shown(cell, decimals, zone)).collect()));
    }
    if let Some(total) = &table.total {
        let bold = |text: String| if text.is_empty() { text } else { format!("**{text}**") };
        out.push_str(&row(total.iter().map(|cell| bold(shown(cell, decimals, zone))).collect()));
    }
    out
}

fn shown(cell: &Cell, decimals: usize, zone: &Zone) -> String {
    match cell {
        Cell::Bar(share) => super::text::bar(*share, BAR_WIDTH),
        cell => escaped(&plain_cell(cell, decimals, zone)),
    }
}

/// A text of which nothing is markup, and that ends no cell.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_cell() {
        let mut table = Table::new("a|b", &["name", "share"]);
        table.rows.push(vec![Cell::Text("x | y\n# <b>`z`[q](u)".to_owned()), Cell::Percent(5.0)]);
        table.total = Some(vec![Cell::Text("total".to_owned()), Cell::Unknown]);
        let text = markdown(&table, &Zone::utc());
        let expected = "### a\\|b\n\n| name | share |\n| :-- | --: |\n\
                        | x \\| y \\# &lt;b&gt;\\`z\\`\\[q\\](u) | 5.0% |\n| **total** | **-** |\n";
        assert_eq!(text, expected);
    }
}
