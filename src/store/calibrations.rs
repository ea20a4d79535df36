//! What was learned of models' tokens: a value of `meta` for each model.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::responses::known_message;
use super::writer::unsigned;
use super::{Ledger, SessionRow, StoreError};
use crate::agents::claude_code::Reading;
use crate::domain::{ContextEntry, Message, MessageId, ModelId, ToolUseId};
use crate::estimate::calibrate::{Calibration, Lesson, lessons};

/// What the names in `meta` begin with.
pub(super) const PREFIX: &str = "calibration:";

/// Learns from what a transcript has new, after the last response `before` it. `is_start` says that these are its first
/// lines.
pub(super) fn learn(
    conn: &Connection,
    before: Vec<ContextEntry>,
    reading: &Reading,
    messages: Vec<Message>,
    is_start: bool,
) -> rusqlite::Result<()> {
    let mut messages = messages;
    let mut joined = before;
    if let Some(ContextEntry::Response { id, .. }) = joined.first() {
        messages.extend(known_message(conn, id)?.map(|(message, _)| message));
    }
    let entries = if joined.is_empty() {
        &reading.entries
    } else {
        joined.extend_from_slice(&reading.entries);
        &joined
    };
    // What a fork has copied its parent's file teaches.
    let own = messages.iter().filter(|message| !message.copied);
    let known: HashMap<&MessageId, &Message> = own.map(|message| (&message.id, message)).collect();
    let mut changed: BTreeMap<ModelId, Calibration> = BTreeMap::new();
    for lesson in lessons(entries, &known) {
        let model = match &lesson {
            Lesson::Gap(gap) => &gap.model,
            Lesson::Written(written) => &written.model,
        };
        if !changed.contains_key(model) {
            let mut calibration = read(conn, model)?;
            if is_start {
                calibration.begin_session();
            }
            changed.insert(model.clone(), calibration);
        }
        let Some(calibration) = changed.get_mut(model) else { continue };
        match lesson {
            Lesson::Gap(gap) if gap.is_injected => calibration.learn_injected(&gap.added, gap.growth),
            Lesson::Gap(gap) => calibration.learn(&gap.added, gap.growth),
            Lesson::Written(written) => {
                calibration.learn_written(written.tokens, written.calls, written.output);
            }
        }
    }
    for (model, calibration) in changed {
        conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?
            .execute(params![format!("{PREFIX}{model}"), calibration.to_json()])?;
    }
    Ok(())
}

fn read(conn: &Connection, model: &ModelId) -> rusqlite::Result<Calibration> {
    let text: Option<String> = conn
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([format!("{PREFIX}{model}")], |row| row.get(0))
        .optional()?;
    Ok(text.map_or_else(|| Calibration::prior(model), |text| Calibration::from_json(model, &text)))
}

impl Ledger {
    /// What was learned of each model.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn calibrations(&self) -> Result<Vec<(ModelId, Calibration)>, StoreError> {
        const SQL: &str = "SELECT substr(name, length(?1) + 1), value FROM meta
          WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name";
        let rows = self.all("read the calibrations", SQL, [PREFIX], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let of = |(model, text): (String, String)| {
            let model = ModelId::new(&model)?;
            let calibration = Calibration::from_json(&model, &text);
            Some((model, calibration))
        };
        Ok(rows.into_iter().filter_map(of).collect())
    }

    /// What each call of a session was estimated to return, in tokens.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn returned_estimates(&self, session: SessionRow) -> Result<HashMap<ToolUseId, u64>, StoreError> {
        const SQL: &str = "SELECT tool_use_id, returned_tokens FROM tool_calls
          WHERE session = ?1 AND tool_use_id IS NOT NULL";
        let rows = self.all("read the estimates", SQL, [session.0], |row| {
            Ok((ToolUseId::new(&row.get::<_, String>(0)?), unsigned(row.get(1)?)))
        })?;
        Ok(rows.into_iter().filter_map(|(call, tokens)| Some((call?, tokens))).collect())
    }

    /// What was learned of a model.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn calibration(&self, model: &ModelId) -> Result<Calibration, StoreError> {
        read(&self.conn, model).map_err(StoreError::query("read the calibration"))
    }
}
