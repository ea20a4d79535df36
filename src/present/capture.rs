//! What people read of `capture-cost`.

use super::number::span;
use super::{Block, Cell, Page, PageLine, PageOptions, Phrase, Present, Table, Tone};
use crate::domain::{CapturedCost, PicoUsd, grouped, plural};
use crate::report::KnownCost;
use crate::report::capture::{CaptureReport, Difference};

impl Present for CaptureReport {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let mut page = Page { blocks: vec![Block::Lines(self.head())] };
        page.blocks.extend(self.tables().into_iter().map(Block::Table));
        page.blocks.extend(self.notes().into_iter().map(Block::Note));
        page
    }
}

impl CaptureReport {
    /// What the screen says of the whole session, and what became of it.
    fn head(&self) -> Vec<PageLine> {
        let read = &self.captured;
        let mut parts: Vec<Phrase> = Vec::new();
        parts.extend(read.total_usd.map(|total| Phrase::from(total.to_string()).in_tone(Tone::Strong)));
        parts.extend(read.total_tokens().map(|tokens| format!("{} tokens", grouped(tokens)).into()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a duration is not negative, and whole seconds are shown"
        )]
        let spanned = |name: &str, seconds: f64| format!("{name} {}", span(seconds.round() as u64)).into();
        parts.extend(read.api_seconds.map(|seconds| spanned("API", seconds)));
        parts.extend(read.wall_seconds.map(|seconds| spanned("wall", seconds)));
        if let (Some(added), Some(removed)) = (read.lines_added, read.lines_removed) {
            parts.push(format!("{} added, {} removed", plural(added, "line"), grouped(removed)).into());
        }
        if parts.is_empty() {
            let has_plan = read.subscription.is_some() || !read.limits.is_empty();
            parts.push(if has_plan { "no cost found" } else { "nothing recognized" }.into());
        }
        let mut lines = vec![PageLine::joined("captured", parts)];
        if let Some(session) = &self.session {
            let kept = if self.kept { "saved" } else { "already saved" };
            lines.push(PageLine::joined("session", vec![session.as_str().into(), kept.into()]));
        }
        lines
    }

    /// The tables for people.
    fn tables(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        let compared = self.difference.as_ref().filter(|difference| {
            difference.by_model.iter().any(|model| model.captured.is_some()) || difference.cost_usd.is_some()
        });
        tables.extend(compared.map(|difference| self.difference_table(difference)));
        if compared.is_none() && !self.captured.by_model.is_empty() {
            tables.push(self.model_table());
        }
        if let Some(estimate) = &self.estimate {
            let columns = ["tokens", "input", "output", "cache read", "cache write", "total"];
            let mut table = Table::new("Tokens estimated from the cost", &columns);
            let usage = &estimate.usage;
            let counts =
                [usage.input, usage.output, usage.cache_read, usage.cache_write(), estimate.total_tokens];
            let name = Cell::Text("estimate".to_owned());
            table.rows.push(std::iter::once(name).chain(counts.map(Cell::Estimate)).collect());
            tables.push(table);
        }
        if !self.captured.limits.is_empty() {
            let mut table = Table::new("Subscription limits", &["limit", "used", "resets<"]);
            #[expect(clippy::cast_precision_loss, reason = "a share")]
            table.rows.extend(self.captured.limits.iter().map(|limit| {
                vec![
                    Cell::Text(limit.limit.clone()),
                    Cell::Percent(limit.used_percent as f64),
                    limit.resets.clone().map_or(Cell::Unknown, Cell::Text),
                ]
            }));
            tables.push(table);
        }
        if !self.captured.unread.is_empty() {
            let mut table = Table::new("Lines that couldn't be read", &["line", "text<"]);
            table.rows.extend(
                self.captured
                    .unread
                    .iter()
                    .map(|unread| vec![Cell::Count(unread.line as u64), Cell::Text(unread.text.clone())]),
            );
            tables.push(table);
        }
        tables
    }

    fn difference_table(&self, difference: &Difference) -> Table {
        let columns = ["model", "tokens", "ledger", "diff", "cost", "ledger", "diff", "match<"];
        let mut table = Table::new("Captured vs. ledger", &columns);
        let usd = |cost: KnownCost| match cost.amount {
            None if !cost.is_partial => Cell::Unknown,
            _ => Cell::Cost(cost),
        };
        let yes = |agrees: bool| Cell::Text(if agrees { "yes" } else { "no" }.to_owned());
        let change = |change: Option<PicoUsd>| change.map_or(Cell::Unknown, Cell::Change);
        for row in &difference.by_model {
            table.rows.push(vec![
                Cell::Text(row.model.clone()),
                Cell::count(row.captured.map(|usage| usage.total_tokens)),
                Cell::Count(row.ledger.total_tokens),
                Cell::Difference(row.total_tokens),
                usd(KnownCost::whole(row.captured_usd)),
                usd(row.ledger.known_cost()),
                change(row.cost_usd),
                yes(row.agrees),
            ]);
        }
        let Some(ledger) = &self.ledger else { return table };
        let captured = self.captured.total_tokens();
        table.total = Some(vec![
            Cell::Text("total".to_owned()),
            Cell::count(captured),
            Cell::Count(ledger.total_tokens),
            difference.total_tokens.map_or(Cell::Unknown, Cell::Difference),
            usd(KnownCost::whole(self.captured.total_usd)),
            usd(ledger.known_cost()),
            change(difference.cost_usd),
            difference.agrees.map_or(Cell::Unknown, yes),
        ]);
        table
    }

    fn model_table(&self) -> Table {
        let columns = ["model", "input", "output", "cache read", "cache write", "searches", "cost"];
        let mut table = Table::new("Captured", &columns);
        table.rows.extend(self.captured.by_model.iter().map(|row| {
            let usage = &row.usage;
            let counts = [
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.web_searches,
            ];
            let cost = row.cost_usd.map_or(Cell::Unknown, |amount| Cell::usd(Some(amount)));
            std::iter::once(Cell::Text(row.model.clone()))
                .chain(counts.map(Cell::Count))
                .chain([cost])
                .collect()
        }));
        table
    }

    /// What is to be said below the tables.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(plan) = &self.captured.subscription {
            let plan = if plan == CapturedCost::UNNAMED_PLAN { String::new() } else { format!("{plan} ") };
            notes.push(format!("this session is covered by a Claude {plan}subscription"));
        }
        for unread in &self.captured.unread {
            notes.extend(unread.reason.as_ref().map(|reason| format!("line {}: {reason}", unread.line)));
        }
        if self.captured.inaccurate {
            notes.push(
                "Claude Code warns that its cost may be wrong because it doesn't have a price for every model".to_owned(),
            );
        }
        if let Some(estimate) = &self.estimate {
            let of = if estimate.basis == "session" { "this session" } else { "the whole ledger" };
            notes.push(format!(
                "the screen shows no tokens; these are estimated from its cost and the mix of models and prices in {of}"
            ));
        }
        notes.extend(self.captured.notices.iter().map(|notice| format!("notice from Claude Code: {notice}")));
        notes
    }
}
