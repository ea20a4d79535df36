//! Every word that people read: the tables, heads, and sentences of all reports, made of the data that `report` returns.
//!
//! It owns what is said: titles, heads of columns, notes, which rows a table for a terminal leaves out, how numbers, sums of
//! money, and spans of time are written, and what a budget has to say. It refuses to ask the ledger, which `report` does,
//! and to know how wide a terminal is, which `render` does.
//!
//! There is one road. A report implements [`Present`]; [`Present::page`] makes a [`Page`], a list of [`Block`]s; `render` makes
//! text, CSV, and Markdown of any page, and JSON of the report itself. So a new report has every format at once.
//!
//! Hooks ask [`budget_messages`] and [`alert_messages`] for sentences, one at a time and only when they are to be said.

pub mod advice;
mod agents;
pub mod alert_messages;
mod alerts;
pub mod budget_messages;
mod budgets;
mod capture;
mod cells;
mod cost;
mod count;
mod dashboard;
pub mod diagnosis;
mod doctor;
mod history;
pub mod left_out;
mod line;
pub mod number;
mod prices;
mod steps;
mod table;
mod tools;
mod trends;
mod usage;
mod usage_head;

use serde::Serialize;

use crate::calendar::Zone;
use crate::domain::Timestamp;
pub use line::{Fit, Keep, Name, PageLine, Phrase, Room, Tone};
pub use table::{Align, Cell, Column, Table};

/// Most rows with names in a table for a terminal; what is over is one row.
const ROWS_SHOWN: usize = 40;
/// Characters of a session's id that tell it from others.
const SHORT_ID: usize = 8;
/// Longest name, in characters. The renderer cuts it further where it must.
const MAX_NAME: usize = 4_096;

/// What can be shown in every format. Its serialization is the JSON.
pub trait Present: Serialize {
    /// Whether there is anything to show; without it only JSON is printed.
    fn has_data(&self) -> bool;

    /// What people read of it.
    fn page(&self, options: &PageOptions<'_>) -> Page;
}

/// What a reader has asked for.
#[derive(Debug, Clone, Copy)]
pub struct PageOptions<'z> {
    /// Whose clock times are told by.
    pub zone: &'z Zone,
    /// The time.
    pub now: Timestamp,
    /// Whether the reader wants more columns or tables than usual.
    pub is_detailed: bool,
    /// Whether no row is left out or joined with others.
    pub shows_all: bool,
}

/// What people read of a report, from top to bottom.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Its parts.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Lines, most of them with a label before them.
    Lines(Vec<PageLine>),
    /// A table.
    Table(Table),
    /// Names and values.
    Pairs(Vec<(&'static str, Cell)>),
    /// Outcomes of checks.
    Findings(Vec<Finding>),
    /// A remark, apart from what stands above it.
    Note(String),
    /// A remark on what stands right above it.
    Footnote(String),
}

impl Page {
    /// A page of tables alone.
    #[must_use]
    pub fn of_tables(tables: impl IntoIterator<Item = Table>) -> Self {
        Self { blocks: tables.into_iter().map(Block::Table).collect() }
    }

    /// This page with a remark at its end, if there is one.
    #[must_use]
    pub fn with_note(mut self, note: Option<String>) -> Self {
        self.blocks.extend(note.map(Block::Note));
        self
    }

    /// Its tables. Outcomes of checks are one, too.
    #[must_use]
    pub fn into_tables(self) -> Vec<Table> {
        let table = |block: Block| match block {
            Block::Table(table) => Some(table),
            Block::Findings(findings) => Some(findings_table(&findings)),
            Block::Lines(_) | Block::Pairs(_) | Block::Note(_) | Block::Footnote(_) => None,
        };
        self.blocks.into_iter().filter_map(table).collect()
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingState {
    /// All is well.
    Ok,
    /// Something is worth knowing.
    Note,
    /// Something does not work.
    Failed,
}

impl FindingState {
    /// The word before the finding.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Failed => "FAIL",
        }
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub name: String,
    /// How it came out.
    pub state: FindingState,
    /// What was found.
    pub found: String,
    /// What to do, if there is anything to be done.
    pub cure: Option<String>,
}

fn findings_table(findings: &[Finding]) -> Table {
    let mut table = Table::new("Checks", &["check", "state<", "found<", "what to do<"]);
    table.rows.extend(findings.iter().map(|finding| {
        let cure = finding.cure.clone().unwrap_or_default();
        let texts = [finding.name.clone(), finding.state.word().to_owned(), finding.found.clone(), cure];
        texts.map(Cell::Text).into()
    }));
    table
}

/// What is said of rows that a table for the terminal has as one.
fn grouped_note(rows: usize) -> String {
    format!("{} more combined in one row (--all lists them)", crate::domain::grouped(rows as u64))
}
