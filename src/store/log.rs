//! What readers of logs write: one transcript's new lines are one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::event::{self, Event, record_run};
use super::hidden;
use super::kept::Pending;
use super::responses::{INSERT, REPLACE, execute, known_message};
use super::spending::{self, Spending};
use super::writer::{SessionRow, session_row, signed, unsigned};
use super::{AgentSighting, Ledger, StoreError};
use super::{alerts, contexts, kept, shares};
use crate::agents::Fingerprint;
use crate::agents::claude_code::{Compaction, Facts, Progress, Prompt, Reading};
use crate::domain::{Agent, Message, MessageSource, ModelId, SessionId, SessionKind, Timestamp};
use crate::pricing::PriceTable;
use crate::reconcile;

/// One transcript's new lines, to be stored together.
#[derive(Debug)]
pub struct LogBatch {
    /// The file.
    pub path: String,
    /// The subagent run whose file it is; `None` for a main transcript.
    pub run: Option<AgentSighting>,
    /// The file's size when it was read, in bytes.
    pub size: u64,
    /// And its time of change.
    pub modified_at: Option<Timestamp>,
    /// What was read.
    pub reading: Reading,
}

impl LogBatch {
    /// How much was read, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.reading.progress.offset.saturating_sub(self.reading.start)
    }
}

/// How far a transcript was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptState {
    /// Size when it was read, in bytes.
    pub size: u64,
    /// Its time of change then.
    pub modified_at: Option<Timestamp>,
    /// Where to go on.
    pub progress: Progress,
}

impl Ledger {
    /// Stores what a transcript told.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_log(
        &mut self,
        session: &SessionId,
        client: Agent,
        mut batch: LogBatch,
    ) -> Result<(), StoreError> {
        batch.reading.messages = reconcile::merge_all(batch.reading.messages);
        self.record_logs(client, [(session.clone(), batch)]).map(|_| ())
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
        let prices = self.prices.clone();
        let sighting = &event.sighting;
        self.record_with(|tx| {
            let session = event::apply(tx, event)?;
            if !logs.is_empty() {
                let mut writer = LogWriter::new(tx, sighting.client, &prices)?;
                for log in logs {
                    writer.add(&sighting.id, log)?;
                }
                writer.finish()?;
            }
            pending.map_or(Ok(()), |pending| kept::note_pending(tx, session, pending))
        })
    }

    /// Gives a process that stores much at once the memory for it.
    ///
    /// # Errors
    /// If SQLite refuses.
    pub fn expect_much(&self) -> Result<(), StoreError> {
        // 16 MB of pages, and a checkpoint for every 16 MB of the log.
        let set = || {
            self.conn.pragma_update(None, "cache_size", -16_000)?;
            self.conn.pragma_update(None, "wal_autocheckpoint", 4_000)
        };
        set().map_err(StoreError::query("set up the ledger"))
    }

    /// Stores what a number of transcripts told, in one transaction. Returns how many responses were new. Whoever joins
    /// the records of a response before ([`reconcile::merge_all`]) saves a look-up for each.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn record_logs(
        &mut self,
        client: Agent,
        batches: impl IntoIterator<Item = (SessionId, LogBatch)>,
    ) -> Result<u64, StoreError> {
        let prices = self.prices.clone();
        self.write("record the transcripts", |tx| {
            let mut writer = LogWriter::new(tx, client, &prices)?;
            for (session, batch) in batches {
                writer.add(&session, batch)?;
            }
            writer.finish()
        })
    }

    /// How far all transcripts below `folder` were read, by path.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn transcript_states(&self, folder: &Path) -> Result<HashMap<String, TranscriptState>, StoreError> {
        let sql = format!("SELECT {STATE}, path FROM transcripts WHERE path > ?1 AND path < ?1 || ?2");
        let below = below(folder);
        let read = || -> rusqlite::Result<HashMap<String, TranscriptState>> {
            let mut query = self.conn.prepare(&sql)?;
            query
                .query_map([below.as_str(), LAST_CHAR], |row| Ok((row.get(8)?, transcript_state(row)?)))?
                .collect()
        };
        read().map_err(StoreError::query("look up the transcripts"))
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
        self.write("record the sessions' ends", |tx| {
            let mut update = tx.prepare_cached(
                "UPDATE sessions SET finalized_at = ?3,
                   settled_call = coalesce((SELECT max(id) FROM tool_calls WHERE session = sessions.id), settled_call)
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
        self.write("record the turn's end", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(()) };
            if complete {
                let gone = tx.execute(
                    "DELETE FROM prompts WHERE session = ?1 AND uuid IS NULL AND prompt_id IS NULL",
                    [row],
                )?;
                if gone > 0 {
                    // Turns have other numbers.
                    shares::touch(tx, SessionRow(row))?;
                }
                tx.execute("DELETE FROM compactions WHERE session = ?1 AND uuid IS NULL", [row])?;
            }
            tx.execute(
                "UPDATE sessions SET finalized_at = ?2,
                   settled_call = coalesce((SELECT max(id) FROM tool_calls WHERE session = ?1), settled_call)
                 WHERE id = ?1",
                params![row, at.as_millis()],
            )?;
            Ok(())
        })
    }

    /// Removes a session and all of its rows; `false` if there is none.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn remove_session(&mut self, session: &SessionId) -> Result<bool, StoreError> {
        const ROWS: [&str; 15] = [
            "DELETE FROM meta WHERE name GLOB 'lines_of:' || ?1 || ':*'",
            "DELETE FROM pending WHERE session = ?1",
            "DELETE FROM context_parts WHERE path IN (SELECT path FROM transcripts WHERE session = ?1)",
            "DELETE FROM shares WHERE session IN (?1, -?1)",
            "DELETE FROM task_changes WHERE session = ?1",
            "DELETE FROM steps WHERE session = ?1",
            "DELETE FROM cost_states WHERE session = ?1",
            "DELETE FROM spent WHERE session = ?1",
            "DELETE FROM spent_sums WHERE session = ?1",
            "DELETE FROM tool_calls WHERE session = ?1",
            "DELETE FROM responses WHERE session = ?1",
            "DELETE FROM prompts WHERE session = ?1",
            "DELETE FROM compactions WHERE session = ?1",
            "DELETE FROM agent_runs WHERE session = ?1",
            "DELETE FROM transcripts WHERE session = ?1",
        ];
        self.write("remove the session", |tx| {
            let row: Option<i64> = tx
                .query_row("SELECT id FROM sessions WHERE session_id = ?1", [session.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(row) = row else { return Ok(false) };
            for sql in ROWS {
                tx.execute(sql, [row])?;
            }
            tx.execute("DELETE FROM sessions WHERE id = ?1", [row])?;
            alerts::forget(tx, SessionRow(row))?;
            kept::void(tx)?;
            Ok(true)
        })
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
            let mut query = self.conn.prepare(SQL)?;
            query.query_map([below.as_str(), LAST_CHAR], |row| row.get(0))?.collect()
        };
        read().map_err(StoreError::query("look up the subagents' transcripts"))
    }

    /// How far `path` was read.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn transcript_state(&self, path: &str) -> Result<Option<TranscriptState>, StoreError> {
        self.conn
            .prepare_cached(&format!("SELECT {STATE} FROM transcripts WHERE path = ?1"))
            .and_then(|mut query| query.query_row([path], transcript_state).optional())
            .map_err(StoreError::query("look up the transcript"))
    }
}

/// The columns of [`transcript_state`].
const STATE: &str = "offset, size, modified_at, fingerprint, file_start, starts_with_note, answered, last_at";
/// No path has a character above it.
const LAST_CHAR: &str = "\u{10ffff}";

/// The beginning of all paths below a folder, which are a range of the key.
fn below(folder: &Path) -> String {
    format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR)
}

fn transcript_state(row: &rusqlite::Row<'_>) -> rusqlite::Result<TranscriptState> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
    };
    Ok(TranscriptState {
        size: unsigned(row.get(1)?),
        modified_at: time(2)?,
        progress: Progress {
            offset: unsigned(row.get(0)?),
            fingerprint: Fingerprint::from_bits(row.get::<_, i64>(3)?.cast_unsigned()),
            file_start: time(4)?,
            starts_with_note: row.get(5)?,
            last_at: time(7)?,
            answered: row.get(6)?,
        },
    })
}

/// A file among those of a transaction, and a response in it.
type Place = (usize, usize);

/// A transaction that takes what was read of transcripts.
struct LogWriter<'c> {
    conn: &'c Connection,
    client: Agent,
    prices: &'c PriceTable,
    rows: HashMap<SessionId, SessionRow>,
    spending: Spending,
    /// Sessions whose responses have changed, and the earliest time of these; totals count up to a time. A subagent's
    /// answer counts from the beginning, for it can come after the last dated line before the total.
    changed: BTreeMap<i64, i64>,
    /// Sessions with new totals, or a parent that is newly known.
    totals: BTreeSet<i64>,
    /// Responses that are not stored yet and whose they are, in the order in which they were read: file by file, for
    /// they are too many to be moved.
    messages: Vec<(Vec<Message>, Vec<SessionRow>)>,
    /// Sessions that have a copy of another's response, and that one, with the place in `messages`.
    copies: Vec<(Place, SessionRow, SessionRow)>,
    /// Responses that were not known.
    new: u64,
}

impl<'c> LogWriter<'c> {
    fn new(conn: &'c Connection, client: Agent, prices: &'c PriceTable) -> rusqlite::Result<Self> {
        spending::check_version(conn, prices)?;
        Ok(Self {
            conn,
            client,
            prices,
            rows: HashMap::new(),
            spending: Spending::default(),
            changed: BTreeMap::new(),
            totals: BTreeSet::new(),
            messages: Vec::new(),
            copies: Vec::new(),
            new: 0,
        })
    }

    fn row(&mut self, session: &SessionId) -> rusqlite::Result<SessionRow> {
        if let Some(row) = self.rows.get(session) {
            return Ok(*row);
        }
        let row = session_row(self.conn, session, self.client)?;
        self.rows.insert(session.clone(), row);
        Ok(row)
    }

    fn add(&mut self, session: &SessionId, batch: LogBatch) -> rusqlite::Result<()> {
        let conn = self.conn;
        let row = self.row(session)?;
        let reading = batch.reading;
        let progress = reading.progress;
        let file_start = progress.file_start;
        if let Some(run) = &batch.run {
            record_run(conn, row, run)?;
        } else {
            record_facts(conn, row, &reading.facts, &batch.path)?;
        }
        for (agent, agent_type) in &reading.agent_types {
            let named = conn
                .prepare_cached(
                    "UPDATE agent_runs SET agent_type = ?3 \
                     WHERE session = ?1 AND agent_id = ?2 AND agent_type IS NULL",
                )?
                .execute(params![row.0, agent.as_str(), agent_type])?;
            if named > 0 {
                shares::touch(conn, row)?;
            }
        }
        if reading.has_content {
            let source = contexts::Source {
                session: row,
                path: &batch.path,
                is_main: batch.run.is_none(),
                was_known: reading.start == 0 && contexts::is_known(conn, &batch.path)?,
            };
            contexts::record(conn, source, &reading)?;
            if !reading.entries.is_empty() {
                shares::touch(conn, row)?;
            }
        }
        let mut owners = Vec::with_capacity(reading.messages.len());
        for message in &reading.messages {
            let owner = if message.session == *session { row } else { self.row(&message.session)? };
            if owner.0 != row.0 {
                contexts::note_lines_of(conn, owner, &batch.path)?;
            }
            owners.push(owner);
        }
        if !owners.is_empty() {
            self.messages.push((reading.messages, owners));
        }
        for prompt in &reading.prompts {
            let owner = self.row(&prompt.session)?;
            record_log_prompt(conn, owner, prompt, file_start)?;
        }
        for compaction in &reading.compactions {
            let owner = self.row(&compaction.session)?;
            record_boundary(conn, owner, compaction, file_start)?;
        }
        for state in &reading.cost_states {
            let owner = self.row(&state.session)?;
            hidden::record(conn, owner, state)?;
            self.totals.insert(owner.0);
        }
        conn.prepare_cached(
            "INSERT INTO transcripts (path, session, agent_id, offset, size, modified_at, fingerprint, file_start,
               starts_with_note, answered, skipped_lines, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (path) DO UPDATE SET
               session = excluded.session, agent_id = excluded.agent_id, offset = excluded.offset,
               size = excluded.size, modified_at = excluded.modified_at, fingerprint = excluded.fingerprint,
               file_start = excluded.file_start, starts_with_note = excluded.starts_with_note,
               answered = excluded.answered, skipped_lines = skipped_lines + excluded.skipped_lines,
               last_at = excluded.last_at",
        )?
        .execute(params![
            batch.path,
            row.0,
            batch.run.as_ref().map(|run| run.id.as_str()),
            signed(progress.offset),
            signed(batch.size),
            batch.modified_at.map(Timestamp::as_millis),
            progress.fingerprint.to_bits().cast_signed(),
            file_start.map(Timestamp::as_millis),
            progress.starts_with_note,
            progress.answered,
            signed(reading.skipped_lines),
            progress.last_at.map(Timestamp::as_millis),
        ])?;
        Ok(())
    }

    /// Stores the responses in the order of the table's key, so that each of its pages is touched once.
    fn store_messages(&mut self) -> rusqlite::Result<()> {
        let mut messages = std::mem::take(&mut self.messages);
        if messages.is_empty() {
            return Ok(());
        }
        let mut is_new: Vec<Vec<bool>> = messages.iter().map(|(file, _)| vec![false; file.len()]).collect();
        let mut insert = self.conn.prepare_cached(INSERT)?;
        let mut order = in_order(&messages).peekable();
        let mut records: Vec<Place> = Vec::new();
        while let Some(place @ (file, at)) = order.next() {
            records.clear();
            records.push(place);
            let id = |(file, at): Place| &messages[file].0[at].id;
            while let Some(next) = order.next_if(|next| id(*next) == id(place)) {
                records.push(next);
            }
            let (message, row) = (&messages[file].0[at], messages[file].1[at]);
            if records.len() == 1 && execute(&mut insert, message, row)? > 0 {
                is_new[file][at] = true;
                continue;
            }
            let known = known_message(self.conn, &message.id)?;
            let Some((joined, owner)) = self.join(&messages, known.clone(), &records)? else { continue };
            if let Some((known, known_row)) = known {
                if known != joined {
                    self.spending.add(&known, known_row, self.prices, -1);
                    self.spending.add(&joined, owner, self.prices, 1);
                    execute(&mut *self.conn.prepare_cached(REPLACE)?, &joined, owner)?;
                }
            } else if execute(&mut insert, &joined, owner)? > 0 {
                is_new[file][at] = true;
                messages[file].0[at] = joined;
                messages[file].1[at] = owner;
            }
        }
        // Added up as they were read: what stands together there is for the most part one sum.
        for ((file, owners), is_new) in messages.iter().zip(is_new) {
            for ((message, row), _) in file.iter().zip(owners).zip(is_new).filter(|(_, is_new)| *is_new) {
                self.new += 1;
                self.note_change(message, *row);
                self.spending.add(message, *row, self.prices, 1);
            }
        }
        // A fork's last copy tells whose it is: its parent's own responses stand behind those that both have copied.
        let mut copies = std::mem::take(&mut self.copies);
        copies.sort_unstable_by_key(|(place, ..)| *place);
        for (_, copy, owner) in copies {
            let linked = self
                .conn
                .prepare_cached("UPDATE sessions SET parent = ?2 WHERE id = ?1 AND parent IS NOT ?2")?
                .execute(params![copy.0, owner.0])?;
            if linked > 0 {
                self.totals.insert(copy.0);
            }
        }
        Ok(())
    }

    /// Joins the records of a response with each other, and with what is known of it. Returns whose it is, too.
    fn join(
        &mut self,
        messages: &[(Vec<Message>, Vec<SessionRow>)],
        mut known: Option<(Message, SessionRow)>,
        places: &[Place],
    ) -> rusqlite::Result<Option<(Message, SessionRow)>> {
        for place @ (file, at) in places.iter().copied() {
            let (message, row) = (&messages[file].0[at], messages[file].1[at]);
            let Some((before, before_row)) = known else {
                known = Some((message.clone(), row));
                continue;
            };
            // A sidechain can replay messages too, and of a fork's copies; that it is one says its main conversation.
            let are_main = [message, &before].iter().all(|record| record.source == MessageSource::Main);
            let other = (are_main && message.session != before.session).then_some(row);
            let merged = reconcile::merge(before.clone(), message.clone());
            let owner = self.row(&merged.session)?;
            if let Some(other) = other {
                let copy = if other == owner { before_row } else { other };
                self.copies.push((place, copy, owner));
            }
            if before != merged {
                self.note_change(&before, before_row);
                self.note_change(&merged, owner);
            }
            known = Some((merged, owner));
        }
        Ok(known)
    }

    fn note_change(&mut self, message: &Message, session: SessionRow) {
        let at = message.at.filter(|_| message.agent.is_none()).map_or(0, Timestamp::as_millis);
        self.changed.entry(session.0).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }

    /// Writes what was added up, and the hidden calls that have changed with it.
    fn finish(mut self) -> rusqlite::Result<u64> {
        self.store_messages()?;
        let changed = std::mem::take(&mut self.changed);
        for (session, first) in &changed {
            let last = hidden::last_state(self.conn, SessionRow(*session))?;
            if last.is_some_and(|last| last == 0 || first <= &last) {
                self.totals.insert(*session);
            }
        }
        let mut all = self.totals.clone();
        for session in &self.totals {
            let mut children = self.conn.prepare_cached("SELECT id FROM sessions WHERE parent = ?1")?;
            let children: Vec<i64> =
                children.query_map([session], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            all.extend(children);
        }
        for session in &all {
            hidden::refresh(self.conn, self.prices, SessionRow(*session), &mut self.spending)?;
        }
        all.extend(changed.into_keys());
        for session in all {
            shares::touch(self.conn, SessionRow(session))?;
        }
        self.spending.write(self.conn)?;
        Ok(self.new)
    }
}

/// The places of `messages` in the order of their ids. Records of one response stay in the order in which they were read.
fn in_order(messages: &[(Vec<Message>, Vec<SessionRow>)]) -> impl Iterator<Item = Place> + use<> {
    // The beginnings of the ids stand beside each other in memory, the ids do not; few begin alike.
    let beginning = |message: &Message| {
        let id = message.id.as_str().as_bytes();
        let mut beginning = [0; 16];
        let length = id.len().min(beginning.len());
        beginning[..length].copy_from_slice(&id[..length]);
        u128::from_be_bytes(beginning)
    };
    let files = messages.iter().enumerate();
    let mut order: Vec<(u128, Place)> = files
        .flat_map(|(file, (messages, _))| {
            messages.iter().enumerate().map(move |(at, message)| (beginning(message), (file, at)))
        })
        .collect();
    let id = |place: &Place| &messages[place.0].0[place.1].id;
    order.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| id(a).cmp(id(b))));
    order.into_iter().map(|(_, place)| place)
}

/// Stores what the main transcript `path` says of its session.
fn record_facts(conn: &Connection, session: SessionRow, facts: &Facts, path: &str) -> rusqlite::Result<()> {
    let (topic_rank, topic) = match &facts.topic {
        Some((rank, topic)) => (*rank, Some(topic.as_str())),
        None => (0, None),
    };
    conn.prepare_cached(
        "UPDATE sessions SET
           client_version = coalesce(?2, client_version),
           kind = CASE WHEN ?3 = 'scheduled' THEN ?3 ELSE coalesce(kind, ?3) END,
           project = CASE WHEN project_named THEN project ELSE coalesce(?4, project) END,
           git_branch = coalesce(?5, git_branch),
           model = coalesce(?6, model),
           topic = CASE WHEN ?7 = 0 OR ?7 < topic_rank THEN topic WHEN ?8 = '' THEN 'session ' || id ELSE ?8 END,
           topic_rank = max(topic_rank, ?7),
           log_first_at = coalesce(min(log_first_at, ?9), log_first_at, ?9),
           log_last_at = coalesce(max(log_last_at, ?10), log_last_at, ?10),
           last_seen_at = max(last_seen_at, coalesce(?10, 0)),
           transcript_path = coalesce(transcript_path, ?11)
         WHERE id = ?1",
    )?
    .execute(params![
        session.0,
        facts.client_version,
        facts.kind.map(SessionKind::name),
        facts.project,
        facts.git_branch,
        facts.model.as_ref().map(ModelId::as_str),
        topic_rank,
        topic,
        facts.first_at.map(Timestamp::as_millis),
        facts.last_at.map(Timestamp::as_millis),
        path,
    ])?;
    Ok(())
}

/// Stores a prompt of the transcript; a hook's row of the same prompt becomes it.
fn record_log_prompt(
    conn: &Connection,
    session: SessionRow,
    prompt: &Prompt,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    take_place(conn, TAKE_PROMPT, session, &prompt.uuid, file_start)?;
    if let Some(prompt_id) = &prompt.prompt_id {
        conn.prepare_cached("DELETE FROM prompts WHERE session = ?1 AND prompt_id = ?2 AND uuid IS NULL")?
            .execute(params![session.0, prompt_id])?;
    }
    let inserted = conn
        .prepare_cached(
            "INSERT INTO prompts (session, uuid, prompt_id, at, file_start) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (uuid) DO NOTHING",
        )?
        .execute(params![
            session.0,
            prompt.uuid,
            prompt.prompt_id,
            prompt.at.map(Timestamp::as_millis),
            file_start.map(Timestamp::as_millis),
        ])?;
    if inserted > 0 && prompt.prompt_id.is_none() {
        // A client that names no prompts: the oldest prompt of the hook's is this one.
        conn.prepare_cached(
            "DELETE FROM prompts WHERE id = (SELECT min(id) FROM prompts \
             WHERE session = ?1 AND uuid IS NULL AND prompt_id IS NULL)",
        )?
        .execute([session.0])?;
    }
    Ok(())
}

/// Stores a compaction of the transcript; the hooks' rows before it become it.
fn record_boundary(
    conn: &Connection,
    session: SessionRow,
    compaction: &Compaction,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    take_place(conn, TAKE_COMPACTION, session, &compaction.uuid, file_start)?;
    let inserted = conn
        .prepare_cached(
            "INSERT INTO compactions (session, uuid, trigger, at, tokens_before, tokens_after, file_start)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (uuid) DO NOTHING",
        )?
        .execute(params![
            session.0,
            compaction.uuid,
            compaction.trigger.name(),
            compaction.at.map(Timestamp::as_millis),
            compaction.tokens_before.map(signed),
            compaction.tokens_after.map(signed),
            file_start.map(Timestamp::as_millis),
        ])?;
    if inserted > 0 {
        conn.prepare_cached("DELETE FROM compactions WHERE session = ?1 AND trigger = ?2 AND uuid IS NULL")?
            .execute(params![session.0, compaction.trigger.name()])?;
    }
    Ok(())
}

const TAKE_PROMPT: &str = "DELETE FROM prompts WHERE uuid = ?1 AND session != ?2 AND file_start > ?3";
const TAKE_COMPACTION: &str = "DELETE FROM compactions WHERE uuid = ?1 AND session != ?2 AND file_start > ?3";

/// Removes a copy of the record `uuid` that stands in a file which starts later than `file_start`.
fn take_place(
    conn: &Connection,
    sql: &str,
    session: SessionRow,
    uuid: &str,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.execute(params![uuid, session.0, file_start.map(Timestamp::as_millis)])?;
    Ok(())
}
