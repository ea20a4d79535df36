//! What people read of `count`.

use super::{Cell, Page, PageOptions, Present, Table};
use crate::domain::clean_name;
use crate::report::count::CountReport;

/// Longest path that is shown, in characters.
const MAX_PATH_CHARS: usize = 400;

impl Present for CountReport {
    fn has_data(&self) -> bool {
        !self.files.is_empty()
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        Page::of_tables([self.table()])
    }
}

impl CountReport {
    fn table(&self) -> Table {
        let columns: &[&str] = if self.model.is_some() {
            &["file", "bytes", "tokens", "estimate"]
        } else {
            &["file", "bytes", "tokens"]
        };
        let title = match &self.model {
            Some(model) => format!("Tokens ({}), with an estimate for {model}", self.encoding),
            None => format!("Tokens ({})", self.encoding),
        };
        let mut table = Table::new(title, columns);
        let row = |name: &str, bytes, tokens, estimate: Option<u64>| {
            let mut row = vec![Cell::Text(name.to_owned()), Cell::Count(bytes), tokens];
            row.extend(estimate.map(Cell::Estimate));
            row
        };
        let tokens = |exact, tokens| if exact { Cell::Count(tokens) } else { Cell::Estimate(tokens) };
        for file in &self.files {
            let name = clean_name(&file.file, MAX_PATH_CHARS).unwrap_or_default();
            table.rows.push(row(&name, file.bytes, tokens(file.exact, file.tokens), file.estimate_tokens));
        }
        if self.files.len() > 1 {
            let bytes = self.files.iter().map(|file| file.bytes).sum();
            let exact = self.files.iter().all(|file| file.exact);
            table.total =
                Some(row("total", bytes, tokens(exact, self.total_tokens), self.total_estimate_tokens));
        }
        table
    }
}
