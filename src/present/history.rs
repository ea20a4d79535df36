//! What people read of `history`.

use std::path::Path;

use super::{Cell, Page, PageOptions, Present, Table};
use crate::domain::{grouped, plural};
use crate::report::history::{History, HistoryRow, Order, SessionsFigures};

/// The heads of a table of sessions; what they have used comes last.
const COLUMNS: [&str; 10] = [
    "session",
    "last activity<",
    "title<",
    "project<?",
    "time?",
    "model<",
    "turns?",
    "calls",
    "tokens",
    "cost",
];

/// Where the client stands if sessions of several are listed.
const CLIENT: usize = 3;

impl Present for History {
    fn has_data(&self) -> bool {
        self.totals.sum.sessions > 0
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        Page::of_tables([self.table()]).with_note(self.note())
    }
}

impl History {
    /// The table for people.
    fn table(&self) -> Table {
        let title = match self.order {
            Order::Time => "Recent sessions",
            Order::Cost => "Sessions by cost",
            Order::Tokens => "Sessions by tokens",
        };
        let mut table = sessions_table(title, &self.rows);
        let width = table.columns.len();
        if let Some(earlier) = &self.earlier {
            table.rows.push(sum_cells(earlier, format!("{} more", grouped(earlier.sessions)), width));
        }
        if table.rows.len() > 1 {
            let mut total = sum_cells(&self.totals.sum, "total".to_owned(), width);
            total[2] = Cell::Text(plural(self.totals.sum.sessions, "session"));
            table.total = Some(total);
        }
        table
    }

    /// What is to be said below the table.
    fn note(&self) -> Option<String> {
        let average = self.totals.average_cost_usd.filter(|_| self.totals.sum.sessions > 1)?;
        let earlier = match &self.earlier {
            Some(earlier) => {
                format!(
                    "; {} combined in one row (--all lists them)",
                    plural(earlier.sessions, "more session")
                )
            }
            None => String::new(),
        };
        Some(format!("average cost per session: {average}{earlier}"))
    }
}

/// A row of sums in a table of `width` columns.
fn sum_cells(sum: &SessionsFigures, name: String, width: usize) -> Vec<Cell> {
    let blank = || Cell::Text(String::new());
    let mut cells = vec![Cell::Text(name)];
    cells.resize_with(width - 2, blank);
    cells.extend([Cell::Count(sum.total_tokens), Cell::Cost(sum.cost_usd)]);
    cells
}

/// A table of sessions.
pub(super) fn sessions_table(title: &str, rows: &[HistoryRow]) -> Table {
    let mut columns = COLUMNS.to_vec();
    let first = rows.first().map(|row| &row.session.client);
    let has_several = rows.iter().any(|row| Some(&row.session.client) != first);
    if has_several {
        columns.insert(CLIENT, "client<");
        // Where there is no room for both.
        columns.iter_mut().filter(|head| **head == "calls").for_each(|head| *head = "calls?");
    }
    let mut table = Table::new(title, &columns);
    let text = |text: Option<&str>| text.map_or(Cell::Unknown, |text| Cell::Text(text.to_owned()));
    table.rows.extend(rows.iter().map(|row| {
        let session = &row.session;
        let folder = session.project.as_deref().and_then(|project| Path::new(project).file_name());
        let about = session.topic.as_deref().or(folder.and_then(|folder| folder.to_str()));
        let mut cells = vec![
            Cell::Text(row.short_id.clone()),
            session.last_activity_at.map_or(Cell::Unknown, Cell::Time),
            text(about),
            session.project.as_ref().map_or(Cell::Unknown, |project| Cell::Path(project.clone())),
            Cell::Span(session.duration_seconds),
            text(session.model.as_deref().map(short_model)),
            Cell::Count(session.turns),
            // An import alone knows no calls of a transcript that is gone.
            match session.tool_calls {
                0 if row.total_tokens > 0 && !row.has_calls => Cell::Unknown,
                calls => Cell::Count(calls),
            },
            Cell::Count(row.total_tokens),
            Cell::Cost(row.cost_usd),
        ];
        if has_several {
            cells.insert(CLIENT, Cell::Text(session.client.clone()));
        }
        cells
    }));
    table
}

/// A model's name without what all have: its maker's name before and its date behind.
fn short_model(model: &str) -> &str {
    let name = model.strip_prefix("claude-").unwrap_or(model);
    match name.rsplit_once('-') {
        Some((name, date)) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}
