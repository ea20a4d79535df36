//! What people read of budgets: the table, and what it leaves out.

use super::budget_messages::{amount_text, forecast, standing_line, used_line};
use super::{Block, Cell, Fit, Page, PageLine, PageOptions, Phrase, Present, Room, Table};
use crate::calendar::Zone;
use crate::domain::{BudgetState, Limit, Mode, OneLine as _, PicoUsd, Timestamp};
use crate::report::budgets::{BudgetCommands, BudgetInfo, BudgetsReport, SessionWork};

impl Present for BudgetsReport {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, options: &PageOptions<'_>) -> Page {
        if self.budgets.is_empty() {
            let note = "no budget is set; `tallyhook budget set 5` limits each session to $5.00";
            return Page::default().with_note(Some(note.to_owned()));
        }
        let mut page = self.page_with(self.notes(options.zone, options.now));
        page.blocks.extend(self.budgets.iter().filter_map(BudgetInfo::options_block));
        page.blocks.extend(pause(&self.budgets).map(Block::Footnote));
        page
    }
}

/// What stands beside a budget's name above its options: `options for `, and a colon.
const BESIDE_BUDGET: usize = 13;

impl BudgetsReport {
    /// What is shown after a change: all budgets, and until when they stop nobody.
    #[must_use]
    pub fn page_after_change(&self, options: &PageOptions<'_>) -> Page {
        self.page_with(self.pauses(options.zone, options.now))
    }

    fn page_with(&self, notes: Vec<String>) -> Page {
        let mut page = Page::of_tables([self.table()]);
        page.blocks.extend(notes.into_iter().map(Block::Footnote));
        page
    }

    /// The table for people.
    pub(super) fn table(&self) -> Table {
        let columns = ["for", "per<", "used", "limit", "of limit", "left", "warn at?", "action<", "state<"];
        let mut table = Table::new("Budgets", &columns);
        let usd = |amount: PicoUsd| Cell::usd(Some(amount));
        for budget in &self.budgets {
            let (used, limit) = match (budget.limit_usd, budget.limit_tokens.unwrap_or(0)) {
                (Some(limit), _) if budget.is_rough() => (Cell::Rough(budget.used_usd), usd(limit)),
                (Some(limit), _) => (usd(budget.used_usd), usd(limit)),
                (None, limit) if budget.is_rough() => {
                    (Cell::Estimate(budget.used_tokens), Cell::Tokens(limit))
                }
                (None, limit) => (Cell::Count(budget.used_tokens), Cell::Tokens(limit)),
            };
            table.rows.push(vec![
                Cell::Text(budget.scope.clone()),
                Cell::Text(budget.per.to_owned()),
                used,
                limit,
                Cell::Percent(budget.percent),
                budget.left_cell(),
                Cell::Percent(f64::from(budget.warn_percent)),
                Cell::Text(budget.mode.to_owned()),
                Cell::State(budget.standing()),
            ]);
        }
        table
    }

    /// Until when budgets stop nobody, by the user's clock.
    fn pauses(&self, zone: &Zone, now: Timestamp) -> Vec<String> {
        let stopping = self.budgets.iter().filter(|budget| budget.mode == Mode::Stop.name());
        let paused = stopping.filter_map(|budget| Some((budget.name(), budget.override_until?)));
        paused.map(|(name, until)| format!("{name}: paused until {}", zone.clock(until, now))).collect()
    }

    /// What the table leaves out: rates, stops, overrides, models without a price. Times are those of the user's clock.
    fn notes(&self, zone: &Zone, now: Timestamp) -> Vec<String> {
        let mut notes: Vec<String> = self.work.iter().filter_map(work_line).collect();
        for budget in &self.budgets {
            let name = budget.name();
            if budget.used_tokens > 0 {
                notes.push(format!("{name}: {}", forecast(&budget.status, budget.used_for)));
            }
            notes.extend(budget.at_completion().map(|sum| {
                format!("{name}: {sum}, if the remaining tasks cost as much as the finished ones")
            }));
            if budget.stopped_at.is_some() {
                notes.push(format!("{name}: stopped a session"));
            }
            if !budget.unpriced_models.is_empty() {
                notes.push(format!(
                    "{name}: doesn't count {}, which has no price",
                    budget.unpriced_models.join(", ")
                ));
            }
        }
        notes.extend(self.pauses(zone, now));
        notes
    }
}

impl BudgetInfo {
    /// Whether part of what was used is an estimate.
    fn is_rough(&self) -> bool {
        let used = self.status.standing.used;
        match self.status.standing.limit {
            Limit::Usd(_) => used.pending_cost != PicoUsd::ZERO,
            Limit::Tokens(_) => used.pending_tokens > 0,
        }
    }

    /// `day (project /home/ana/shop)`: what tells it from others.
    fn name(&self) -> String {
        format!("{} ({})", self.per, self.scope)
    }

    /// What is left of the limit; below nothing once it is exceeded.
    fn left_cell(&self) -> Cell {
        if let (Some(left), Some(over)) = (self.left_usd, self.over_usd) {
            return Cell::usd(Some(left - over));
        }
        let of = |tokens: Option<u64>| i64::try_from(tokens.unwrap_or(0)).unwrap_or(i64::MAX);
        match (self.left_tokens, of(self.over_tokens)) {
            (Some(left), 0) => Cell::Count(left),
            (_, over) => Cell::Difference(-over),
        }
    }

    /// `session: $4.12 / $5.00 (82%), $0.88 left, ~$13.20 when all tasks are done`.
    pub(super) fn line(&self) -> String {
        let scope = if self.scope == "everything" { String::new() } else { format!(" ({})", self.scope) };
        let rest = self.at_completion().map(|sum| format!(", {sum}")).unwrap_or_default();
        let (used, standing) = (used_line(&self.status), standing_line(&self.status));
        format!("{}{scope}: {used}, {standing}{rest}", self.per)
    }

    /// `~$13.20 when all tasks are done`.
    fn at_completion(&self) -> Option<String> {
        let usd = self.at_completion_usd.map(Limit::Usd);
        let sum = usd.or(self.at_completion_tokens.map(Limit::Tokens))?;
        Some(format!("~{} once all tasks are done", amount_text(sum)))
    }

    /// What can be done, below the budget's name, once it is to be warned of.
    fn options_block(&self) -> Option<Block> {
        let advice = self.advice();
        let head = Phrase::with_name("options for ", &self.name(), Room::AllBut(BESIDE_BUDGET), ":");
        let mut lines = vec![PageLine::bare(vec![head], Fit::Whole)];
        lines.extend(advice.iter().map(|line| PageLine::bare(vec![line.clone().into()], Fit::Wrapped)));
        (!advice.is_empty()).then_some(Block::Lines(lines))
    }

    /// What can be done, a line each with the commands in one column, once it is to be warned of; nothing before.
    pub(super) fn advice(&self) -> Vec<String> {
        if self.standing() == BudgetState::Ok {
            return Vec::new();
        }
        let BudgetCommands { add, override_for, clear, .. } = &self.options;
        vec![
            format!("to raise the limit:   {add}"),
            format!("to ignore it for 1h:  {override_for}"),
            format!("to remove it:         {clear}"),
        ]
    }
}

/// `now: write it · 3 of 8 tasks done`, without the step where the session has ended; `None` where nothing is left to
/// say.
pub(super) fn work_line(work: &SessionWork) -> Option<String> {
    let step = work.step.as_ref().filter(|_| work.is_live);
    let step = step.map(|step| format!("now: {}", step.one_line()));
    let tasks =
        (work.tasks_total > 0).then(|| format!("{} of {} tasks done", work.tasks_done, work.tasks_total));
    let parts: Vec<String> = step.into_iter().chain(tasks).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// How to leave the session and go on with it later, if a budget is to be warned of.
pub(super) fn pause(budgets: &[BudgetInfo]) -> Option<String> {
    let warned = budgets.iter().find(|budget| budget.standing() != BudgetState::Ok)?;
    Some(format!(
        "to take a break, exit the session; resume it later with\n{}",
        warned.options.pause.as_ref()?
    ))
}
