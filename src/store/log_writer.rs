//! One transaction's worth of what transcripts tell, joined with what is known and written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::event::record_run;
use super::log::LogBatch;
use super::responses::{self, INSERT, REPLACE, execute, known_message};
use super::spending::{self, Spending};
use super::writer::{SessionRow, session_row, signed};
use super::{contexts, hidden, shares};
use crate::agents::claude_code::{Compaction, Facts, Prompt};
use crate::domain::{Agent, Message, MessageSource, ModelId, SessionId, SessionKind, Timestamp};
use crate::pricing::PriceTable;
use crate::reconcile;

/// A file among those of a transaction, and a response in it.
type Place = (usize, usize);
/// The responses of a file, and whose each is.
type OfFile = (Vec<Message>, Vec<SessionRow>);

/// A transaction that takes what was read of transcripts.
pub(super) struct LogWriter<'c> {
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
    messages: Vec<OfFile>,
    /// Sessions that have a copy of another's response, and that one, with the place in `messages`.
    copies: Vec<(Place, SessionRow, SessionRow)>,
    /// Whether the ledger is known to hold no responses yet.
    pub(super) knows_none: bool,
    /// Responses that were not known.
    new: u64,
}

impl<'c> LogWriter<'c> {
    pub(super) fn new(conn: &'c Connection, client: Agent, prices: &'c PriceTable) -> rusqlite::Result<Self> {
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
            knows_none: false,
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

    pub(super) fn add(&mut self, session: &SessionId, batch: LogBatch) -> rusqlite::Result<()> {
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
        let knows_none = self.knows_none;
        let mut fresh: Vec<Place> = Vec::new();
        let mut insert = self.conn.prepare_cached(INSERT)?;
        let mut order = in_order(&messages).peekable();
        let mut records: Vec<Place> = Vec::new();
        while let Some((beginning, place @ (file, at))) = order.next() {
            records.clear();
            records.push(place);
            let id = messages[file].0[at].id.clone();
            let is_same = |(other, next): Place| messages[other].0[next].id == id;
            while let Some((_, next)) = order.next_if(|next| next.0 == beginning && is_same(next.1)) {
                records.push(next);
            }
            // Of each file there is one: a fork's copy stands where its file first has the response.
            records.dedup_by(|later, first| {
                let is_same = later.0 == first.0;
                if is_same {
                    join_in_file(&mut messages[first.0], first.1, later.1);
                }
                is_same
            });
            let (message, row) = (&messages[file].0[at], messages[file].1[at]);
            if !knows_none && records.len() == 1 && execute(&mut insert, message, row)? > 0 {
                is_new[file][at] = true;
                continue;
            }
            let known = if knows_none { None } else { known_message(self.conn, &message.id)? };
            if known.is_some() || records.len() > 1 {
                let (first, others) = match &known {
                    Some(known) => (known.clone(), &records[..]),
                    None => ((message.clone(), row), &records[1..]),
                };
                (messages[file].0[at], messages[file].1[at]) = self.join(&messages, first, others)?;
            }
            let (message, row) = (&messages[file].0[at], messages[file].1[at]);
            match known {
                Some((known, known_row)) if known != *message => {
                    self.spending.add(&known, known_row, self.prices, -1);
                    self.spending.add(message, row, self.prices, 1);
                    execute(&mut *self.conn.prepare_cached(REPLACE)?, message, row)?;
                }
                Some(_) => {}
                None if knows_none => {
                    is_new[file][at] = true;
                    fresh.push(place);
                }
                None => is_new[file][at] = execute(&mut insert, message, row)? > 0,
            }
        }
        let record = |(file, at): &Place| (&messages[*file].0[*at], messages[*file].1[*at]);
        responses::insert_new(self.conn, &mut insert, &fresh.iter().map(record).collect::<Vec<_>>())?;
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

    /// Joins what is known of a response with other records of it. Returns whose it is, too.
    fn join(
        &mut self,
        messages: &[OfFile],
        mut known: (Message, SessionRow),
        others: &[Place],
    ) -> rusqlite::Result<(Message, SessionRow)> {
        for place @ (file, at) in others.iter().copied() {
            let (message, row) = (&messages[file].0[at], messages[file].1[at]);
            let (before, before_row) = known;
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
            known = (merged, owner);
        }
        Ok(known)
    }

    fn note_change(&mut self, message: &Message, session: SessionRow) {
        let at = message.at.filter(|_| message.agent.is_none()).map_or(0, Timestamp::as_millis);
        self.changed.entry(session.0).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }

    /// Writes what was added up, and the hidden calls that have changed with it.
    pub(super) fn finish(mut self) -> rusqlite::Result<u64> {
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

/// Joins two records of one response that stand in one file.
fn join_in_file((records, owners): &mut OfFile, first: usize, later: usize) {
    let merged = reconcile::merge(records[first].clone(), records[later].clone());
    if merged.session != records[first].session {
        owners[first] = owners[later];
    }
    records[first] = merged;
}

/// The places of `messages` in the order of their ids, each with the beginning of its id. Records of one response stay in the
/// order in which they were read.
fn in_order(messages: &[OfFile]) -> impl Iterator<Item = (u128, Place)> + use<> {
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
    order.into_iter()
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
        conn.prepare_cached("DELETE FROM prompts WHERE session = ?1 AND prompt_id = ?2 AND +uuid IS NULL")?
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
             WHERE session = ?1 AND +uuid IS NULL AND prompt_id IS NULL)",
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
        conn.prepare_cached("DELETE FROM compactions WHERE session = ?1 AND trigger = ?2 AND +uuid IS NULL")?
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
