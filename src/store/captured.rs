//! Figures of the client's own that people or the status line brought: kept beside the ledger's, never added to them.

use std::hash::Hasher as _;
use std::ops::{Deref, DerefMut};

use rusqlite::params;
use serde_json::{Value, json};
use siphasher::sip::SipHasher13;

use super::Witnesses;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{CapturedCost, PicoUsd, ShownCost, ShownUsage, Timestamp};

/// A session whose cost the client tells otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessedCost {
    /// The session.
    pub session_id: String,
    /// What the client says.
    pub client: PicoUsd,
    /// How far that is rounded.
    pub step: PicoUsd,
    /// What the ledger has.
    pub ledger: PicoUsd,
}

impl<L: Deref<Target = Ledger>> Witnesses<L> {
    /// Sessions of which the client's own last word, from a paste or the status line, is another than the ledger's, the
    /// largest difference first. Sessions with a turn under way and those with unpriced models are left out.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn witnessed_otherwise(&self) -> Result<Vec<WitnessedCost>, StoreError> {
        const SQL: &str = "WITH
          said (session, at, cost_pico, rounding_pico) AS (
            SELECT session, at, cost_pico, 0 FROM status_line_costs UNION ALL
            SELECT session, at, cost_pico, rounding_pico FROM captured_costs WHERE cost_pico IS NOT NULL),
          newest (session, at, cost_pico, rounding_pico) AS (
            SELECT session, max(at), cost_pico, rounding_pico FROM said GROUP BY session),
          ours (session, cost_pico, is_priced) AS (
            SELECT session, total(input_pico) + total(output_pico) + total(cache_read_pico) + total(cache_write_pico)
              + total(web_search_pico), min(priced)
            FROM usage_buckets WHERE session IN (SELECT session FROM newest) GROUP BY session)
          SELECT s.session_id, newest.cost_pico, newest.rounding_pico, CAST(ours.cost_pico AS INTEGER)
          FROM newest JOIN sessions s ON s.id = newest.session JOIN ours ON ours.session = s.id
          WHERE s.finalized_at IS NOT NULL AND ours.is_priced
          ORDER BY abs(newest.cost_pico - ours.cost_pico) DESC, s.id";
        let pico = |value: i64| PicoUsd::from_pico(value.into());
        let all = self.0.all("compare with the client's costs", SQL, [], |row| {
            Ok(WitnessedCost {
                session_id: row.get(0)?,
                client: pico(row.get(1)?),
                step: pico(row.get(2)?),
                ledger: pico(row.get(3)?),
            })
        })?;
        Ok(all.into_iter().filter(WitnessedCost::disagrees).collect())
    }
}

impl<L: DerefMut<Target = Ledger>> Witnesses<L> {
    /// Keeps what a pasted cost screen says of a session; `false` if that is known already.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn keep_captured(
        &mut self,
        session: SessionRow,
        cost: &CapturedCost,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let fingerprint = fingerprint(cost);
        let body = body(cost).to_string();
        self.0.write("save the captured cost", |tx| {
            let known = tx
                .prepare("SELECT 1 FROM captured_costs WHERE session = ?1 AND fingerprint = ?2")?
                .exists(params![session.0, fingerprint])?;
            tx.execute(
                "INSERT OR REPLACE INTO captured_costs VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    session.0,
                    fingerprint,
                    at.as_millis(),
                    cost.total.map(|total| total.amount.to_i64()),
                    cost.total.map(|total| total.step.to_i64()),
                    body,
                ],
            )?;
            Ok(!known)
        })
    }
}

impl WitnessedCost {
    /// Whether the two differ by more than rounding and a hundredth: the client's prices are not ours to the last digit.
    fn disagrees(&self) -> bool {
        let difference = (self.client - self.ledger).as_pico().unsigned_abs();
        let allowed = (self.client.as_pico().unsigned_abs() / 100).max(self.step.as_pico().unsigned_abs());
        difference > allowed.max(PicoUsd::DOLLAR.as_pico().unsigned_abs() / 1_000)
    }
}

/// The figures as they are kept.
fn body(cost: &CapturedCost) -> Value {
    let usage = |usage: &ShownUsage| {
        let classes = usage.classes().map(|shown| [shown.value, shown.step]);
        json!(classes)
    };
    let pico = |cost: Option<ShownCost>| cost.map(|cost| [cost.amount.to_i64(), cost.step.to_i64()]);
    let models: Vec<Value> = cost
        .models
        .iter()
        .map(|model| json!({ "model": model.model, "usage": usage(&model.usage), "pico": pico(model.cost) }))
        .collect();
    json!({
        "models": models,
        "usage": cost.usage.as_ref().map(usage),
        "inaccurate": cost.is_inaccurate,
        "api_ms": cost.api_ms,
        "wall_ms": cost.wall_ms,
        "lines": cost.lines,
        "subscription": cost.subscription,
        "limits": cost.limits,
    })
}

/// Tells readings apart. What is shown and not kept does not count.
fn fingerprint(cost: &CapturedCost) -> i64 {
    let kept = CapturedCost { notices: Vec::new(), unread: Vec::new(), ..cost.clone() };
    let mut hasher = SipHasher13::new();
    hasher.write(format!("{kept:?}").as_bytes());
    hasher.finish().cast_signed()
}
