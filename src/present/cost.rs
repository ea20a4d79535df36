//! What people read of `cost`.

use std::collections::BTreeSet;

use super::cells::{name, phase_cells, share_cell, share_head, short_id};
use super::{Cell, Page, PageOptions, Present, ROWS_SHOWN, Table, grouped_note};
use crate::calendar::Day;
use crate::domain::{CostParts, PicoUsd, grouped, plural};
use crate::report::add_known;
use crate::report::allocations::NO_KEY;
use crate::report::cost::{
    Changes, CostChange, CostFigures, CostReport, CostRow, CostTotal, KeyLabel, PreviousCost,
};

/// The days with usage that have rows of their own where nobody has said which; the JSON has all.
const DAYS_SHOWN: usize = 14;
/// Most rows of a table of changes; the JSON has all.
const CHANGES_SHOWN: usize = 5;

impl Present for CostReport {
    fn has_data(&self) -> bool {
        !self.is_empty()
    }

    fn page(&self, options: &PageOptions<'_>) -> Page {
        let shown = if options.shows_all { ShownRows::all(self) } else { ShownRows::few(self) };
        let mut notes: Vec<String> = shown.joined_count().map(grouped_note).into_iter().collect();
        // What is said below the tables is of all rows.
        notes.extend(self.note());
        let note = (!notes.is_empty()).then(|| notes.join("\n"));
        Page::of_tables(self.tables(&shown, options.is_detailed)).with_note(note)
    }
}

/// The rows of a report that a table shows. The report can have very many, so that they are not copied.
struct ShownRows<'r> {
    /// Those before `own`, as one.
    earlier: Option<CostRow>,
    own: &'r [CostRow],
    /// Those after `own`, as one.
    others: Option<CostRow>,
    /// How many rows `earlier` or `others` is.
    joined: usize,
}

impl<'r> ShownRows<'r> {
    fn all(report: &'r CostReport) -> Self {
        Self { earlier: None, own: &report.rows, others: None, joined: 0 }
    }

    /// So few rows that they can be looked over: the most expensive ones, the latest sessions and days, and the rest as one.
    /// All rows where there are not many, and of days if a first one was asked for.
    fn few(report: &'r CostReport) -> Self {
        let rows = &report.rows;
        let most = if report.by == "day" { DAYS_SHOWN } else { ROWS_SHOWN };
        // What has no day is a row of its own, after them.
        let undated = usize::from(report.by == "day" && rows.last().is_some_and(|row| row.key == NO_KEY));
        let over = rows.len().saturating_sub(most + undated);
        if over < 2 || matches!(report.by, "week" | "month") || report.by == "day" && report.since.is_some() {
            return Self::all(report);
        }
        if matches!(report.by, "day" | "session") {
            let name = match report.by {
                "day" => plural(over as u64, "earlier day"),
                _ => format!("{} older", grouped(over as u64)),
            };
            let (before, own) = rows.split_at(over);
            return Self { earlier: Some(CostRow::joined(before, name)), own, others: None, joined: over };
        }
        let (own, after) = rows.split_at(ROWS_SHOWN);
        let mut others = CostRow::joined(after, format!("{over} others"));
        if others.entry_cost_usd.is_some() {
            let whole = report.total.sum.whole();
            others.share = Some(whole.share(others.sum.cost_usd, others.sum.total_tokens));
        }
        Self { earlier: None, own, others: Some(others), joined: over }
    }

    fn iter(&self) -> impl Iterator<Item = &CostRow> {
        self.earlier.iter().chain(self.own).chain(&self.others)
    }

    /// How many rows are one; `None` if each has its own.
    fn joined_count(&self) -> Option<usize> {
        (self.joined > 0).then_some(self.joined)
    }
}

impl CostReport {
    /// The tables for people. `detail` splits the cost.
    fn tables(&self, shown: &ShownRows<'_>, detail: bool) -> Vec<Table> {
        let mut tables = vec![self.main_table(shown, detail)];
        if let Some(changes) = &self.changes {
            let of = match (&changes.key, &changes.previous_key) {
                (Some(key), Some(previous)) => format!(", {} vs. {}", short_id(key), short_id(previous)),
                _ => String::new(),
            };
            for (by, rows) in changes.kinds() {
                if self.by != by && !rows.is_empty() {
                    tables.push(change_table(by, &of, rows));
                }
            }
        }
        tables
    }

    /// What is to be said below the tables: which models have no price.
    fn note(&self) -> Option<String> {
        let mut lines: Vec<String> = self.change_line().into_iter().collect();
        let before = self.total.change.as_ref().and_then(|change| change.previous.as_ref());
        let mut models: Vec<_> = self.total.sum.unpriced_models.iter().collect();
        models.extend(before.into_iter().flat_map(|previous| &previous.sum.unpriced_models));
        lines.extend(unpriced_note(models.into_iter().map(String::as_str)));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// `$1.20 more than before (+24%), most by model claude-x (+$1.00), by tool Bash (+$0.70) and by agent main (+$1.20)`:
    /// what has changed and why, in one line.
    fn change_line(&self) -> Option<String> {
        let changes = self.changes.as_ref()?;
        let of_last = self.rows.iter().find(|row| Some(&row.key) == changes.key.as_ref());
        let change = of_last.map_or(self.total.change.as_ref(), |row| row.change.as_ref())?;
        let total = change.change_usd.filter(|total| *total != PicoUsd::ZERO)?;
        let (amount, word) =
            if total > PicoUsd::ZERO { (total, "more") } else { (PicoUsd::ZERO - total, "less") };
        let percent = change.change_percent.map(|share| format!(" ({share:+.1}%)")).unwrap_or_default();
        let movers: Vec<String> = changes
            .kinds()
            .into_iter()
            .filter_map(|(by, rows)| {
                let of = |row: &CostRow| row.change.as_ref().and_then(|change| change.change_usd);
                let is_same_way = |row: &&CostRow| {
                    of(row).is_some_and(|own| (own > PicoUsd::ZERO) == (total > PicoUsd::ZERO))
                };
                // What cannot be placed explains nothing.
                let mover = rows.iter().filter(|row| row.key != NO_KEY).find(is_same_way)?;
                let own = of(mover)?;
                let sign = if own > PicoUsd::ZERO { "+" } else { "" };
                Some(format!("{by} {} ({sign}{own})", name(&mover.key)))
            })
            .collect();
        let why = if movers.is_empty() {
            String::new()
        } else {
            format!("; largest changes: {}", movers.join(", "))
        };
        let whose = changes.key.as_deref().map(|key| format!("{} cost ", short_id(key))).unwrap_or_default();
        Some(format!("{whose}{amount} {word} than before{percent}{why}"))
    }

    fn main_table(&self, shown: &ShownRows<'_>, detail: bool) -> Table {
        let is_session = self.by == "session";
        let mut columns = vec![heading(self.by)];
        // With the cost split there is no room for more.
        let has_started = is_session && !detail;
        columns.extend(has_started.then_some("started<"));
        columns.extend((self.by == "week").then_some("dates<"));
        columns.extend(is_session.then_some("title<"));
        let is_compared = self.total.change.is_some();
        let has_phases = !detail && !is_compared && shown.iter().any(|row| row.entry_cost_usd.is_some());
        if has_phases {
            columns.extend(["tokens", "first read", "re-reads", "cost"]);
            columns.push(share_head(shown.iter().filter_map(|row| row.share)));
        } else if detail {
            columns.extend(["input", "output", "cache read", "cache write", "web search", "cost"]);
        } else if is_compared || is_session {
            columns.extend(["tokens", "cost"]);
        } else {
            columns.extend(["input", "output", "cache read", "cache write", "total", "cost"]);
        }
        if is_compared {
            columns.extend(if detail { &["change"][..] } else { &["before", "change", "%"] });
        }
        let change_cells = |change: &CostChange| {
            let cells = change_cells(change);
            if detail { vec![cells[1].clone()] } else { cells.to_vec() }
        };
        let mut table = Table::new(self.title(), &columns);
        let is_long = !detail && !is_compared && !is_session && !has_phases;
        table.rows = shown
            .iter()
            .map(|row| {
                let mut cells = key_cells(row, self.by);
                if is_session && !has_started {
                    cells.remove(1);
                }
                let mut sums = sum_cells(&row.sum, detail, is_long);
                if has_phases {
                    let cost = row.sum.cost_usd;
                    sums.splice(1..1, phase_cells(row.entry_cost_usd, row.carry_cost_usd, cost));
                    sums.push(share_cell(row.share.unwrap_or_default()));
                }
                cells.extend(sums);
                cells.extend(row.change.iter().flat_map(&change_cells));
                cells
            })
            .collect();
        if shown.iter().nth(1).is_some() {
            let CostTotal { sum, change } = &self.total;
            let mut cells = vec![Cell::Text("total".to_owned())];
            cells.extend(has_started.then(|| Cell::Text(String::new())));
            cells.extend(is_session.then(|| Cell::Text(plural(sum.sessions, "session"))));
            cells.extend((self.by == "week").then(|| Cell::Text(String::new())));
            let mut sums = sum_cells(sum, detail, is_long);
            if has_phases {
                let all = |of: fn(&CostRow) -> Option<PicoUsd>| Some(shown.iter().filter_map(of).sum());
                let (entry, carry) = (all(|row| row.entry_cost_usd), all(|row| row.carry_cost_usd));
                sums.splice(1..1, phase_cells(entry, carry, sum.cost_usd));
                sums.push(Cell::Text(String::new()));
            }
            cells.extend(sums);
            cells.extend(change.iter().flat_map(&change_cells));
            table.total = Some(cells);
        }
        table
    }

    fn title(&self) -> String {
        let period = match (&self.since, &self.until) {
            (Some(since), Some(until)) if since == until => format!(", {since}"),
            (Some(since), Some(until)) => format!(", {since} to {until}"),
            (Some(since), None) => format!(" since {since}"),
            (None, Some(until)) => format!(" until {until}"),
            (None, None) => String::new(),
        };
        let compared = match &self.compared_with {
            Some(before) if before.since == before.until => format!(" (vs. {})", before.since),
            Some(before) => format!(" (vs. {} to {})", before.since, before.until),
            None if self.total.change.is_some() => {
                " (compared with the project's previous session)".to_owned()
            }
            None => String::new(),
        };
        format!("Cost by {}{period}{compared}", heading(self.by))
    }
}

impl CostRow {
    /// Rows as one. In how many sessions that was is not known: one can be in several of them.
    fn joined(rows: &[Self], key: String) -> Self {
        let topic = Some(plural(rows.len() as u64, "earlier session"));
        let mut all = Self {
            key,
            sum: CostFigures::joined(rows.iter().map(|row| &row.sum)),
            entry_cost_usd: None,
            carry_cost_usd: None,
            share: None,
            change: None,
            label: KeyLabel { topic, ..KeyLabel::default() },
        };
        for row in rows {
            add_known(&mut all.entry_cost_usd, row.entry_cost_usd);
            add_known(&mut all.carry_cost_usd, row.carry_cost_usd);
            if let Some(change) = &row.change {
                let none = CostChange { previous: None, change_usd: None, change_percent: None };
                add_known(&mut all.change.get_or_insert(none).change_usd, change.change_usd);
            }
        }
        let previous = || rows.iter().filter_map(|row| row.change.as_ref()?.previous.as_deref());
        if let Some(change) = &mut all.change
            && previous().next().is_some()
        {
            let sum = CostFigures::joined(previous().map(|previous| &previous.sum));
            change.previous = Some(Box::new(PreviousCost { key: None, sum }));
        }
        all
    }
}

impl CostFigures {
    /// What rows come to, but for the sessions that several may have.
    fn joined<'r>(rows: impl Iterator<Item = &'r Self>) -> Self {
        let mut all = Self::default();
        let mut unpriced = BTreeSet::new();
        for row in rows {
            all.usage += row.usage;
            all.total_tokens = all.total_tokens.saturating_add(row.total_tokens);
            all.responses += row.responses;
            add_known(&mut all.cost, row.cost);
            add_known(&mut all.cost_usd, row.cost_usd);
            unpriced.extend(row.unpriced_models.iter().map(String::as_str));
        }
        all.unpriced_models = unpriced.into_iter().map(str::to_owned).collect();
        all
    }
}

impl Changes {
    /// What made the change, by each kind of key.
    fn kinds(&self) -> [(&'static str, &[CostRow]); 3] {
        [("model", &self.by_model), ("tool", &self.by_tool), ("agent", &self.by_agent)]
    }
}

/// What stands for a model that no log names.
const UNNAMED: &str = "(none)";

/// `claude-x and y have no price…`: what to do about models without one; `None` if there are none.
fn unpriced_note<'m>(models: impl Iterator<Item = &'m str>) -> Option<String> {
    const NAMED: usize = 5;
    let mut names: Vec<String> = models.map(name).collect();
    names.sort_unstable();
    names.dedup();
    // What a log names no model of can be given no price.
    let all = names.len();
    names.retain(|name| name != UNNAMED);
    let is_unnamed = names.len() < all;
    let Some(first) = names.first().cloned() else {
        let note = "some responses name no model: their tokens are counted, their cost isn't";
        return is_unnamed.then(|| note.to_owned());
    };
    let (verb, whose) = if names.len() == 1 { ("has", "its") } else { ("have", "their") };
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(NAMED);
    let names = names.join(", ");
    Some(format!(
        "{names}{more} {verb} no price: {whose} tokens are counted, {whose} cost isn't\n\
         set one with `tallyhook prices set {first} --input USD --output USD`"
    ))
}

fn heading(by: &str) -> &'static str {
    match by {
        "day" => "day",
        "week" => "week",
        "month" => "month",
        "session" => "session",
        "project" => "project",
        "branch" => "branch",
        "model" => "model",
        "client" => "client",
        "tool" => "tool",
        "skill" => "skill",
        "mcp" => "MCP server",
        "step" => "step",
        "action" => "action",
        "file-type" => "file type",
        _ => "agent",
    }
}

fn key_cells(row: &CostRow, by: &str) -> Vec<Cell> {
    if by == "project" {
        return vec![Cell::Path(name(&row.key))];
    }
    if by == "week" {
        return vec![
            Cell::Text(name(&row.key)),
            Cell::Text(Day::dates_of_week(&row.key).unwrap_or_default()),
        ];
    }
    if by != "session" {
        return vec![Cell::Text(name(&row.key))];
    }
    let text = |text: &Option<String>| text.as_deref().map_or(Cell::Unknown, |text| Cell::Text(name(text)));
    let id = row.label.short_id.as_deref().map_or_else(|| short_id(&row.key), name);
    vec![Cell::Text(id), text(&row.label.started), text(&row.label.topic)]
}

fn sum_cells(sum: &CostFigures, detail: bool, is_long: bool) -> Vec<Cell> {
    let usage = &sum.usage;
    let mut cells = Vec::new();
    if detail {
        // That there is more is said once, at the whole cost.
        let part = |part: fn(&CostParts) -> PicoUsd| match &sum.cost {
            Some(cost) => Cell::usd(Some(part(cost))),
            None => Cell::Cost(sum.known()),
        };
        cells.extend([
            part(|cost| cost.input),
            part(|cost| cost.output),
            part(|cost| cost.cache_read),
            part(|cost| cost.cache_write),
            part(|cost| cost.web_search),
        ]);
    } else if is_long {
        cells.extend([usage.input, usage.output, usage.cache_read, usage.cache_write()].map(Cell::Count));
        cells.push(Cell::Count(sum.total_tokens));
    } else {
        cells.push(Cell::Count(sum.total_tokens));
    }
    cells.push(Cell::Cost(sum.known()));
    cells
}

fn change_cells(change: &CostChange) -> [Cell; 3] {
    [
        change.previous.as_ref().map_or(Cell::Unknown, |previous| Cell::Cost(previous.sum.known())),
        change.change_usd.map_or(Cell::Unknown, Cell::Change),
        change.change_percent.map_or(Cell::Unknown, Cell::ChangePercent),
    ]
}

fn change_table(by: &str, of: &str, rows: &[CostRow]) -> Table {
    let title = format!("What changed by {by}{of}");
    let mut table = Table::new(title, &[heading(by), "tokens", "cost", "before", "change", "%"]);
    table.rows = rows
        .iter()
        .take(CHANGES_SHOWN)
        .map(|row| {
            let mut cells = key_cells(row, by);
            cells.extend(sum_cells(&row.sum, false, false));
            cells.extend(row.change.iter().flat_map(change_cells));
            cells
        })
        .collect();
    table
}
