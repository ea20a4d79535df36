//! What one session used and called, added up: each of its rows is read once, in the order of an index, and added here. SQLite
//! would sort them to group them, which took longer than to read them.

use std::collections::HashMap;
use std::ops::Deref;

use super::UsageTables;
use super::columns::{count, integer, name, text, usage, usage_columns};
use super::growth;
use super::queries::CallGroup;
use super::writer::unsigned;
use super::{Ledger, SessionRow, StoreError};
use crate::domain::{Timestamp, Usage};

/// A session's tool calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionCalls {
    /// By tool, agent run and skill.
    pub groups: Vec<CallGroup>,
    /// Lines of files that they have added.
    pub lines_added: u64,
    /// Lines of files that they have removed.
    pub lines_removed: u64,
    /// Whether any has an id, so that a transcript can tell of it.
    pub has_ids: bool,
    /// What tells whether something was worked out with these very calls ([`Growth::is_of`](super::Growth::is_of)).
    pub fingerprint: u64,
}

/// What one response used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseUsage<'r> {
    /// The subagent run; `None` for the main conversation.
    pub agent_id: Option<&'r str>,
    /// The model; `None` if unknown.
    pub model: Option<&'r str>,
    /// What it used.
    pub usage: Usage,
    /// When it came.
    pub at: Option<Timestamp>,
}

/// A list whose entries are found by a key: several texts, each of which may be missing. It keeps the order in which they
/// were added.
struct KeyedList<T> {
    places: HashMap<Vec<u8>, usize>,
    list: Vec<T>,
    key: Vec<u8>,
}

impl<T> KeyedList<T> {
    fn new() -> Self {
        Self { places: HashMap::new(), list: Vec::new(), key: Vec::new() }
    }

    /// The one under these texts, made if need be.
    fn at(&mut self, texts: &[Option<&str>], new: impl FnOnce() -> T) -> &mut T {
        self.key.clear();
        for text in texts {
            // Before each text its length, so that no two lists of texts make one key.
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            self.key.extend_from_slice(&length.to_le_bytes());
            self.key.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        let place = match self.places.get(&self.key) {
            Some(place) => *place,
            None => {
                self.list.push(new());
                self.places.insert(self.key.clone(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        &mut self.list[place]
    }
}

impl<L: Deref<Target = Ledger>> UsageTables<L> {
    /// Hands what each response of a session used to `each`.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn for_each_response_usage(
        &self,
        session: SessionRow,
        mut each: impl FnMut(&ResponseUsage<'_>),
    ) -> Result<(), StoreError> {
        const SQL: &str = concat!(
            "SELECT agent_id, model, ",
            usage_columns!(),
            ", at FROM responses WHERE session = ?1 AND NOT copied"
        );
        let mut read = || -> rusqlite::Result<()> {
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let mut rows = query.query([session.0])?;
            while let Some(row) = rows.next()? {
                each(&ResponseUsage {
                    agent_id: text(row, 0)?,
                    model: text(row, 1)?,
                    usage: usage(row, 2)?,
                    at: integer(row, 8)?.map(Timestamp::from_millis),
                });
            }
            Ok(())
        };
        read().map_err(StoreError::query("read the session's usage"))
    }

    /// A session's tool calls. `last_response` tells when an agent run, or the main conversation, answered last, in
    /// milliseconds since 1970; 0 if it did not.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn session_calls(
        &self,
        session: SessionRow,
        last_response: impl Fn(Option<&str>) -> i64,
    ) -> Result<SessionCalls, StoreError> {
        const SETTLED: &str = "SELECT last_settled_call FROM sessions WHERE id = ?1";
        const SQL: &str = "SELECT id, returned_tokens, ok, tool, agent_id, agent_type,
            iif(action_type = 'skill', action_name, NULL), generated_tokens, at, duration_ms, lines_added, lines_removed,
            raw_generated_tokens, raw_returned_tokens, tool_use_id IS NOT NULL
          FROM tool_calls WHERE session = ?1";
        let read = || -> rusqlite::Result<SessionCalls> {
            let settled: i64 =
                self.0.conn.prepare_cached(SETTLED)?.query_row([session.0], |row| row.get(0))?;
            let mut calls = SessionCalls::default();
            let mut groups = KeyedList::new();
            let mut query = self.0.conn.prepare_cached(SQL)?;
            let mut rows = query.query([session.0])?;
            while let Some(row) = rows.next()? {
                let (id, returned) = (row.get(0)?, integer(row, 1)?.unwrap_or(0));
                calls.has_ids = calls.has_ids || row.get(14)?;
                calls.fingerprint = growth::fingerprint(calls.fingerprint, id, returned);
                let Some(ok) = integer(row, 2)? else { continue };
                let (agent_id, agent_type, skill) = (text(row, 4)?, text(row, 5)?, text(row, 6)?);
                let tool = name(row, 3)?;
                let group = groups.at(&[Some(tool), agent_id, agent_type, skill], || CallGroup {
                    tool: tool.to_owned(),
                    agent_id: agent_id.map(str::to_owned),
                    agent_type: agent_type.map(str::to_owned),
                    skill: skill.map(str::to_owned),
                    ..CallGroup::default()
                });
                let (generated, returned) = (count(row, 7)?, unsigned(returned));
                let raw_returned = integer(row, 13)?.map_or(returned, unsigned);
                let raw = integer(row, 12)?.map_or(generated, unsigned).saturating_add(raw_returned);
                let at = integer(row, 8)?.unwrap_or(0);
                group.calls += 1;
                group.failures += u64::from(ok == 0);
                group.generated = group.generated.saturating_add(generated);
                group.returned = group.returned.saturating_add(returned);
                group.raw = group.raw.saturating_add(raw);
                group.duration_ms = group.duration_ms.saturating_add(count(row, 9)?);
                group.last_at = group.last_at.max(Some(Timestamp::from_millis(at)));
                // A call is pending if it came after the last turn that was finalized, and after the last known
                // response of the agent that made it.
                if id > settled && at > last_response(agent_id) {
                    group.pending.calls += 1;
                    group.pending.generated = group.pending.generated.saturating_add(generated);
                    group.pending.returned = group.pending.returned.saturating_add(returned);
                    group.pending.raw = group.pending.raw.saturating_add(raw);
                }
                calls.lines_added = calls.lines_added.saturating_add(count(row, 10)?);
                calls.lines_removed = calls.lines_removed.saturating_add(count(row, 11)?);
            }
            calls.groups = groups.list;
            calls.groups.sort_by(|one, other| {
                (&one.tool, &one.agent_id, &one.skill, &one.agent_type).cmp(&(
                    &other.tool,
                    &other.agent_id,
                    &other.skill,
                    &other.agent_type,
                ))
            });
            Ok(calls)
        };
        read().map_err(StoreError::query("read the session's tool calls"))
    }
}
