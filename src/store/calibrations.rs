//! What was learned of models' tokens: a value of `meta` for each model.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::CalibrationTable;
use super::columns::name;
use super::meta::{self, CALIBRATIONS};
use super::responses::known_message;
use super::writer::unsigned;
use super::{Ledger, SessionRow, StoreError, growth};
use crate::domain::{ContextEntry, MessageId, ModelId, ResponseRecord, ToolUseId};
use crate::estimate::calibrate::{Calibration, CalibrationSample, calibration_samples};
use crate::reconcile;

/// What the calls of a session were estimated to return.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimates {
    /// Tokens by the call's id, of the calls that have one.
    pub returned: HashMap<ToolUseId, u64>,
    /// What tells whether something was worked out with these very calls ([`Growth::is_of`](super::Growth::is_of)).
    pub fingerprint: u64,
}

/// What a transcript has new.
#[derive(Debug, Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) session: SessionRow,
    pub(super) entries: &'a [ContextEntry],
    pub(super) messages: &'a [ResponseRecord],
    /// Whether these are a session's first lines.
    pub(super) is_start: bool,
}

/// Learns from what a transcript has new. `before` is what it ended with before that, from its last response on
/// ([`super::contexts`]), so that a gap teaches once, in whatever pieces the file is read.
pub(super) fn learn(conn: &Connection, news: News<'_>, before: &[ContextEntry]) -> rusqlite::Result<()> {
    let mut records = Vec::with_capacity(news.messages.len() + 1);
    if let Some(last) = before.iter().find_map(response_of) {
        records.extend(known_message(conn, last)?.map(|(message, _)| message));
        if let Some(advisor) = last.of_advisor(0) {
            records.extend(known_message(conn, &advisor)?.map(|(message, _)| message));
        }
    }
    records.extend_from_slice(news.messages);
    let records = reconcile::merge_all(records);
    // What a fork has copied its parent's file teaches.
    let own = records.iter().filter(|message| !message.copied);
    let known: HashMap<&MessageId, &ResponseRecord> = own.map(|message| (&message.id, message)).collect();
    let entries: Cow<'_, [ContextEntry]> = if before.is_empty() {
        Cow::Borrowed(news.entries)
    } else {
        Cow::Owned([before, &[ContextEntry::Of { agent: None }], news.entries].concat())
    };
    let mut changed: BTreeMap<ModelId, Calibration> = BTreeMap::new();
    for sample in calibration_samples(&entries, &known) {
        let model = match &sample {
            CalibrationSample::Gap(gap) => &gap.model,
            CalibrationSample::Written(written) => &written.model,
        };
        if !changed.contains_key(model) {
            let mut calibration = read(conn, model)?;
            if news.is_start {
                calibration.begin_session();
            }
            changed.insert(model.clone(), calibration);
        }
        let Some(calibration) = changed.get_mut(model) else { continue };
        match sample {
            CalibrationSample::Gap(gap) => {
                let mut counted = HashMap::with_capacity(gap.answers.len());
                for answer in &gap.answers {
                    counted.insert(&answer.call, raw_count(conn, news.session, &answer.call)?);
                }
                calibration.learn(&gap.added(|call| counted.get(call).copied().flatten()), gap.growth);
            }
            CalibrationSample::Written(written) => {
                calibration.learn_written(written.tokens, written.calls, written.output);
            }
        }
    }
    for (model, calibration) in changed {
        meta::calibration(&model).put(conn, &calibration.to_json())?;
    }
    Ok(())
}

pub(super) fn response_of(entry: &ContextEntry) -> Option<&MessageId> {
    if let ContextEntry::Response { id, .. } = entry { Some(id) } else { None }
}

/// What the estimator counted of a call's result; `None` where nobody told of the call or its size was no count of text.
/// An edit is learned as it is estimated, be it of a client that at times returns less than its payload says.
fn raw_count(conn: &Connection, session: SessionRow, call: &ToolUseId) -> rusqlite::Result<Option<u64>> {
    const SQL: &str = "SELECT raw_returned_tokens FROM tool_calls WHERE session = ?1 AND tool_use_id = ?2
      AND returned_method NOT IN ('image', 'pdf', 'fallback_media', 'subagent_default', 'fallback_call')";
    let count: Option<Option<i64>> = conn
        .prepare_cached(SQL)?
        .query_row(params![session.0, call.as_str()], |row| row.get(0))
        .optional()?;
    Ok(count.flatten().map(unsigned))
}

fn read(conn: &Connection, model: &ModelId) -> rusqlite::Result<Calibration> {
    let text = meta::calibration(model).get(conn)?;
    Ok(text.map_or_else(|| Calibration::prior(model), |text| Calibration::from_json(model, &text)))
}

impl<L: Deref<Target = Ledger>> CalibrationTable<L> {
    /// Hands what was learned of each model to `each`, by the models' ids: of a thousand models it takes a megabyte.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each(&self, mut each: impl FnMut(&ModelId, &Calibration)) -> Result<(), StoreError> {
        const SQL: &str = "SELECT substr(name, length(?1) + 1), value FROM meta
          WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name";
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let mut rows = query.query([CALIBRATIONS])?;
            while let Some(row) = rows.next()? {
                if let Some(model) = ModelId::new(name(row, 0)?) {
                    each(&model, &Calibration::from_json(&model, name(row, 1)?));
                }
            }
            Ok(())
        };
        read().map_err(StoreError::query("read the calibrations"))
    }

    /// What each call of a session was estimated to return, in tokens.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn returned_estimates(&self, session: SessionRow) -> Result<Estimates, StoreError> {
        const SQL: &str = "SELECT id, tool_use_id, returned_tokens FROM tool_calls WHERE session = ?1";
        let mut estimates = Estimates::default();
        let rows = self.0.all("read the estimates", SQL, [session.0], |row| {
            let returned: i64 = row.get(2)?;
            estimates.fingerprint = growth::fingerprint(estimates.fingerprint, row.get(0)?, returned);
            let call = row.get_ref(1)?.as_str_or_null()?.and_then(ToolUseId::new);
            Ok(call.map(|call| (call, unsigned(returned))))
        })?;
        estimates.returned = rows.into_iter().flatten().collect();
        Ok(estimates)
    }

    /// What was learned of a model.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn of_model(&self, model: &ModelId) -> Result<Calibration, StoreError> {
        read(&self.0.conn, model).map_err(StoreError::query("read the calibration"))
    }
}
