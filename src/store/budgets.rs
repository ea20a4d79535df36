//! The budgets that the user has set.

use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, Row, params};

use super::Budgets;
use super::writer::signed;
use super::{Ledger, StoreError};
use crate::domain::{Budget, Limit, Mode, Per, PicoUsd, Scope, Timestamp};

/// `unit` of money and of tokens.
const USD: i64 = 0;
const TOKENS: i64 = 1;
/// The columns of [`budget`].
pub(super) const COLUMNS: &str =
    "b.id, b.unit, b.amount, b.per, b.project, b.agent, b.model, b.warn_percent, b.stops, b.override_until";

impl<L: Deref<Target = Ledger>> Budgets<L> {
    /// All budgets, in the order in which they were set.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn all(&self) -> Result<Vec<Budget>, StoreError> {
        all(&self.0.conn).map_err(StoreError::query("list the budgets"))
    }
}

impl<L: DerefMut<Target = Ledger>> Budgets<L> {
    /// Sets a budget. One of the same kind, time and scope is replaced.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn set(&mut self, budget: &Budget) -> Result<(), StoreError> {
        self.0.write("set the budget", |tx| {
            let same = all(tx)?.into_iter().find(|known| {
                known.per == budget.per
                    && known.scope == budget.scope
                    && std::mem::discriminant(&known.limit) == std::mem::discriminant(&budget.limit)
            });
            change(tx, &Budget { id: same.map_or(0, |same| same.id), ..budget.clone() })
        })
    }

    /// Changes a budget that is there.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn change(&mut self, budget: &Budget) -> Result<(), StoreError> {
        self.0.write("change the budget", |tx| change(tx, budget))
    }

    /// Removes budgets.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn clear(&mut self, budgets: &[Budget]) -> Result<(), StoreError> {
        self.0.write("clear the budgets", |tx| {
            for budget in budgets {
                tx.execute("DELETE FROM budget_totals WHERE budget = ?1", [budget.id])?;
                tx.execute("DELETE FROM budgets WHERE id = ?1", [budget.id])?;
            }
            Ok(())
        })
    }
}

/// Writes a budget. What was said of it is forgotten, for it was said of another limit.
fn change(conn: &Connection, budget: &Budget) -> rusqlite::Result<()> {
    let (unit, amount) = match budget.limit {
        Limit::Usd(limit) => (USD, limit.to_i64()),
        Limit::Tokens(limit) => (TOKENS, signed(limit)),
    };
    let id = (budget.id != 0).then_some(budget.id);
    let scope = &budget.scope;
    conn.execute(
        "INSERT OR REPLACE INTO budgets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            id,
            unit,
            amount,
            budget.per.name(),
            scope.project,
            scope.agent,
            scope.model,
            budget.warn_percent,
            budget.mode == Mode::Stop,
            budget.free_until.map(Timestamp::as_millis),
        ],
    )?;
    conn.execute("UPDATE budget_totals SET notified = 0, stopped_at = NULL WHERE budget = ?1", [id])?;
    Ok(())
}

/// All budgets; those that a newer release may have written in another way are left out.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Budget>> {
    let mut query = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM budgets b ORDER BY b.id"))?;
    let mut rows = query.query([])?;
    let mut budgets = Vec::new();
    while let Some(row) = rows.next()? {
        budgets.extend(budget(row)?);
    }
    Ok(budgets)
}

/// The budget of a row, if this release knows its kind.
pub(super) fn budget(row: &Row<'_>) -> rusqlite::Result<Option<Budget>> {
    let amount: i64 = row.get(2)?;
    let limit = match row.get(1)? {
        USD => Limit::Usd(PicoUsd::from_pico(amount.into())),
        TOKENS => Limit::Tokens(u64::try_from(amount).unwrap_or(0)),
        _ => return Ok(None),
    };
    let Some(per) = Per::from_name(&row.get::<_, String>(3)?) else { return Ok(None) };
    Ok(Some(Budget {
        id: row.get(0)?,
        limit,
        per,
        scope: Scope { project: row.get(4)?, agent: row.get(5)?, model: row.get(6)? },
        warn_percent: row.get(7)?,
        mode: if row.get(8)? { Mode::Stop } else { Mode::Warn },
        free_until: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
    }))
}
