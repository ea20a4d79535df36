//! What a session's events must know to be held against the budgets: each budget, and how much of it is used.

use std::ops::Deref;

use super::budget_totals::{self, BudgetTotals, Names, PENDING_MILLIS};
use super::writer::unsigned;
use super::{Budgets, Ledger, SessionRow, StoreError, budgets};
use crate::domain::{Budget, Per, PicoUsd, Timestamp};

/// All budgets, and what is kept of each for one session.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetQuery {
    /// The session.
    pub session: SessionRow,
    /// Its project.
    pub project: Option<String>,
    /// The model of its main conversation.
    pub model: Option<String>,
    /// The budgets in the order in which they were set. What is void is `None`.
    pub budgets: Vec<(Budget, Option<BudgetTotals>)>,
}

impl BudgetQuery {
    /// Whether one of them stops what goes beyond it, now.
    #[must_use]
    pub fn stops(&self, now: Timestamp) -> bool {
        self.budgets.iter().any(|(budget, _)| budget.stops(now))
    }
}

impl<L: Deref<Target = Ledger>> Budgets<L> {
    /// The budgets as a session's event finds them; `None` if there is no budget. One statement, which is all that a hook
    /// without budgets pays. Of a session that is not known the row is [`SessionRow::NONE`].
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of_session(&self, session: &str) -> Result<Option<BudgetQuery>, StoreError> {
        let sql = format!(
            "SELECT {}, {}, s.id, s.project, s.model
             FROM budgets b LEFT JOIN sessions s ON s.session_id = ?1
             LEFT JOIN budget_totals t ON t.budget = b.id AND t.session = iif(b.per = 'session', s.id, 0) ORDER BY b.id",
            budgets::COLUMNS,
            budget_totals::totals_columns!()
        );
        let read = || -> rusqlite::Result<Option<BudgetQuery>> {
            let mut query = self.0.conn.prepare_cached(&sql)?;
            let mut rows = query.query([session])?;
            let mut query: Option<BudgetQuery> = None;
            while let Some(row) = rows.next()? {
                let query = match &mut query {
                    Some(query) => query,
                    None => query.insert(BudgetQuery {
                        session: SessionRow(row.get::<_, Option<i64>>(18)?.unwrap_or_default()),
                        project: row.get(19)?,
                        model: row.get(20)?,
                        budgets: Vec::new(),
                    }),
                };
                if let Some(budget) = budgets::budget(row)? {
                    query.budgets.push((budget, budget_totals::totals(row, 10)?));
                }
            }
            Ok(query)
        };
        read().map_err(StoreError::query("look up the budgets"))
    }

    /// Adds to what is kept of budgets what the contexts at work are estimated to add: the results that no known response
    /// has read. There is a row for each context that was at work lately, whatever the history.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn add_pending(&self, query: &mut BudgetQuery, now: Timestamp) -> Result<(), StoreError> {
        const SQL: &str = "SELECT p.session, p.agent_id, p.at, p.model, p.tokens, p.cost_pico FROM pending_input p
            WHERE p.at > ?1 AND NOT EXISTS (SELECT 1 FROM responses r WHERE r.session = p.session AND r.at > p.at
              AND r.agent_id IS nullif(p.agent_id, ''))";
        let mut run = || -> rusqlite::Result<()> {
            let mut names = Names::new(&self.0.conn);
            let mut statement = self.0.conn.prepare_cached(SQL)?;
            let mut rows = statement.query([now.as_millis() - PENDING_MILLIS])?;
            while let Some(row) = rows.next()? {
                let (session, agent, model): (i64, String, Option<String>) =
                    (row.get(0)?, row.get(1)?, row.get(3)?);
                let at = Timestamp::from_millis(row.get(2)?);
                for (budget, totals) in &mut query.budgets {
                    let Some(totals) = totals.as_mut().filter(|totals| totals.span.has(at)) else { continue };
                    let is_own = budget.per != Per::Session || session == query.session.0;
                    if is_own
                        && names.has(&budget.scope, session, &agent, model.as_deref().unwrap_or_default())?
                    {
                        totals.used.pending_tokens += unsigned(row.get(4)?);
                        totals.used.pending_cost += PicoUsd::from_pico(row.get::<_, i64>(5)?.into());
                    }
                }
            }
            Ok(())
        };
        run().map_err(StoreError::query("read what is pending"))
    }
}
