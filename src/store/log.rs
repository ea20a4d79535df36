//! What readers of logs ask and store: a transcript's new lines, and with them how far it was read, are never apart.

use std::collections::{HashMap, HashSet};
use std::ops::{Deref, DerefMut};
use std::path::Path;

use rusqlite::{OptionalExtension as _, params};

use super::Logs;
use super::budget_totals::Pending;
use super::event::{self, Event};
use super::log_batch::LogBatch;
use super::log_writer::LogWriter;
use super::writer::{SessionRow, unsigned};
use super::{Ledger, StoreError};
use super::{allocations, budget_totals, responses};
use crate::domain::{Client, LogPosition, SessionId, Timestamp};

/// What is done with the new lines of transcripts.
pub(super) const RECORD_TRANSCRIPTS: &str = "record the transcripts";

/// How far a transcript was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptState {
    /// The client whose reader has read it: what another one makes of it says nothing.
    pub client: Option<Client>,
    /// Size when it was read, in bytes.
    pub size: u64,
    /// Its time of change then.
    pub modified_at: Option<Timestamp>,
    /// Where to go on.
    pub position: LogPosition,
}

impl<L: Deref<Target = Ledger>> Logs<L> {
    /// How far all transcripts below `folder` were read, by path.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn transcript_states(&self, folder: &Path) -> Result<HashMap<String, TranscriptState>, StoreError> {
        let sql = format!("SELECT {STATE}, path FROM transcripts WHERE path > ?1 AND path < ?1 || ?2");
        let below = below(folder);
        let read = || -> rusqlite::Result<HashMap<String, TranscriptState>> {
            let mut query = self.0.conn.prepare(&sql)?;
            query
                .query_map([below.as_str(), LAST_CHAR], |row| Ok((row.get(7)?, transcript_state(row)?)))?
                .collect()
        };
        read().map_err(StoreError::query("look up the transcripts"))
    }

    /// The transcripts below `folder` of subagents that have ended and whose last record is an answer.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn settled_agent_files(&self, folder: &Path) -> Result<HashSet<String>, StoreError> {
        const SQL: &str = "SELECT t.path FROM transcripts t
            JOIN agent_runs r ON r.session = t.session AND r.agent_id = t.agent_id
          WHERE t.path > ?1 AND t.path < ?1 || ?2 AND t.answered AND r.ended_at IS NOT NULL";
        let below = below(folder);
        let read = || -> rusqlite::Result<HashSet<String>> {
            let mut query = self.0.conn.prepare(SQL)?;
            query.query_map([below.as_str(), LAST_CHAR], |row| row.get(0))?.collect()
        };
        read().map_err(StoreError::query("look up the subagents' transcripts"))
    }

    /// Lines that readers did not know, by client and its version; the most first, ten at most.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn unknown_lines(&self) -> Result<Vec<(Client, Option<String>, u64)>, StoreError> {
        const SQL: &str = "SELECT s.client, s.client_version, sum(t.unknown_lines) AS lines
            FROM transcripts t JOIN sessions s ON s.id = t.session WHERE t.unknown_lines > 0
            GROUP BY 1, 2 ORDER BY lines DESC, 1, 2 LIMIT 10";
        let read = || -> rusqlite::Result<Vec<(Client, Option<String>, u64)>> {
            let mut query = self.0.conn.prepare(SQL)?;
            let row = |row: &rusqlite::Row<'_>| {
                let client = Client::from_name(row.get_ref(0)?.as_str()?).unwrap_or_default();
                Ok((client, row.get(1)?, unsigned(row.get(2)?)))
            };
            query.query_map([], row)?.collect()
        };
        read().map_err(StoreError::query("look for lines that weren't understood"))
    }

    /// How far `path` was read.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn transcript_state(&self, path: &str) -> Result<Option<TranscriptState>, StoreError> {
        self.0
            .conn
            .prepare_cached(&format!("SELECT {STATE} FROM transcripts WHERE path = ?1"))
            .and_then(|mut query| query.query_row([path], transcript_state).optional())
            .map_err(StoreError::query("look up the transcript"))
    }
}

impl<L: DerefMut<Target = Ledger>> Logs<L> {
    /// Stores what a transcript told.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_log(&mut self, session: &SessionId, batch: LogBatch) -> Result<(), StoreError> {
        self.0.logs_mut().record_logs([(session.clone(), batch)]).map(|_| ())
    }

    /// Stores the end of a batch of tools in one transaction: the event, what the session's transcripts have new by
    /// then, and what the results at hand will add, where budgets are to know it.
    ///
    /// # Errors
    /// If the ledger cannot be written. If [`StoreError::is_busy`] the event may go to the spool, and the next event reads
    /// the transcripts.
    pub fn record_batch(
        &mut self,
        event: &Event,
        logs: Vec<LogBatch>,
        pending: Option<&Pending<'_>>,
    ) -> Result<(), StoreError> {
        let prices = self.0.prices.clone();
        let observation = &event.observation;
        self.0.record_with(|tx| {
            let session = event::apply(tx, event)?;
            if !logs.is_empty() {
                let mut writer = LogWriter::new(tx, &prices)?;
                for log in logs {
                    writer.add(&observation.id, log)?;
                }
                writer.finish()?;
            }
            pending.map_or(Ok(()), |pending| budget_totals::note_pending(tx, session, pending))
        })
    }

    /// Stores what a number of transcripts told, in one transaction. Returns how many responses were new.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_logs(
        &mut self,
        batches: impl IntoIterator<Item = (SessionId, LogBatch)>,
    ) -> Result<u64, StoreError> {
        let prices = self.0.prices.clone();
        let expects_much = self.0.expects_much;
        self.0.write(RECORD_TRANSCRIPTS, |tx| {
            let mut writer = LogWriter::new(tx, &prices)?;
            writer.knows_none = expects_much && responses::is_without(tx)?;
            for (session, batch) in batches {
                writer.add(&session, batch)?;
            }
            writer.finish()
        })
    }

    /// Takes the turns of sessions to have ended that were last heard of before `before`.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn finish_old_sessions(
        &mut self,
        sessions: &HashSet<SessionId>,
        before: Timestamp,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.0.write("record the sessions' ends", |tx| {
            let mut update = tx.prepare_cached(
                "UPDATE sessions SET finalized_at = ?3, changed = -abs(changed),
                   last_settled_call = coalesce((SELECT max(id) FROM tool_calls WHERE session = sessions.id), last_settled_call)
                 WHERE session_id = ?1 AND finalized_at IS NULL AND last_seen_at < ?2",
            )?;
            for session in sessions {
                update.execute(params![session.as_str(), before.as_millis(), at.as_millis()])?;
            }
            Ok(())
        })
    }

    /// Stores that a turn has ended: all its tool calls were followed by a response. `complete` says that all
    /// transcripts were read to their ends, so that what only hooks told of was a repeat, or did not happen.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn finish_turn(
        &mut self,
        session: &SessionId,
        at: Timestamp,
        complete: bool,
    ) -> Result<(), StoreError> {
        // The session's figures are whole now, and the hooks' estimates up to here are in no log.
        self.0.sync_each()?;
        self.0.write("record the turn's end", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(()) };
            if complete {
                // `+`: of all sessions' rows without a uuid its unique index would be read, at the end of each turn.
                let gone = tx.execute(
                    "DELETE FROM prompts WHERE session = ?1 AND +uuid IS NULL AND prompt_id IS NULL",
                    [row],
                )?;
                if gone > 0 {
                    // Turns have other numbers.
                    allocations::touch(tx, SessionRow(row))?;
                }
                tx.execute("DELETE FROM compactions WHERE session = ?1 AND +uuid IS NULL", [row])?;
            }
            tx.execute(
                "UPDATE sessions SET finalized_at = ?2, changed = -abs(changed),
                   last_settled_call = coalesce((SELECT max(id) FROM tool_calls WHERE session = ?1), last_settled_call)
                 WHERE id = ?1",
                params![row, at.as_millis()],
            )?;
            Ok(())
        })
    }
}

impl Ledger {
    /// Gives a process that stores much at once the memory for it, and lets it store a first import by larger statements.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn expect_much(&mut self) -> Result<(), StoreError> {
        self.expects_much = true;
        // 16 MB of pages, and a checkpoint for every 16 MB of the log.
        let set = || {
            self.conn.pragma_update(None, "cache_size", -16_000)?;
            self.conn.pragma_update(None, "wal_autocheckpoint", 4_000)
        };
        set().map_err(StoreError::query("set up the ledger"))
    }
}

/// The columns of [`transcript_state`].
const STATE: &str = "offset, size, modified_at, fingerprint, answered, reader_state, client";
/// No path has a character above it.
const LAST_CHAR: &str = "\u{10ffff}";

/// The beginning of all paths below a folder, which are a range of the key.
fn below(folder: &Path) -> String {
    format!("{}{}", folder.to_string_lossy(), std::path::MAIN_SEPARATOR)
}

fn transcript_state(row: &rusqlite::Row<'_>) -> rusqlite::Result<TranscriptState> {
    Ok(TranscriptState {
        client: Client::from_name(row.get_ref(6)?.as_str()?),
        size: unsigned(row.get(1)?),
        modified_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_millis),
        position: LogPosition {
            offset: unsigned(row.get(0)?),
            fingerprint: row.get::<_, i64>(3)?.cast_unsigned(),
            answered: row.get(4)?,
            reader_state: row.get(5)?,
        },
    })
}
