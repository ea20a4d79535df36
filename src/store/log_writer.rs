//! One transaction's worth of what transcripts tell, joined with what is known and written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, Statement, params};

use super::bucket_writer::{self, BucketWriter};
use super::event::record_run;
use super::gather::{self, Place, Response, Responses};
use super::log_batch::LogBatch;
use super::log_records::{
    COMPACTIONS, FORGET_COPIES, FORGET_EARLIER, FactsSource, PROMPTS, forget_told_boundaries, give,
    record_boundary, record_facts, record_log_prompt,
};
use super::owners::{self, Claim, SharedKind, Sharing};
use super::responses::{self, INSERT, REPLACE, execute, known_message};
use super::writer::{SessionRow, session_id, session_row_and_own, signed};
use super::{allocations, changes, contexts, hidden};
use crate::domain::{Client, CopiedBefore, MessageId, ResponseRecord, SessionId, Timestamp};
use crate::pricing::PriceTable;
use crate::reconcile;

/// The responses of a file, and whose each is.
type OfFile = (Vec<ResponseRecord>, Vec<SessionRow>);

/// A transaction that takes what was read of transcripts.
pub(super) struct LogWriter<'c> {
    conn: &'c Connection,
    /// The client of the log that is being added.
    client: Client,
    prices: &'c PriceTable,
    rows: HashMap<SessionId, SessionRow>,
    /// Of sessions that share records with others: up to when what they have is of matter for whose these are.
    sharing: HashMap<SessionRow, Timestamp>,
    /// Sessions for which that must be worked out anew.
    disputed: BTreeSet<SessionRow>,
    /// Sessions some of whose earlier records have turned out to be copies.
    found_copies: Vec<(SessionRow, CopiedBefore)>,
    spending: BucketWriter,
    /// Sessions whose responses have changed, and the earliest time of these; totals count up to a time. A subagent's
    /// answer counts from the beginning, for it can come after the last dated line before the total.
    changed: BTreeMap<i64, i64>,
    /// Sessions in which the user has spoken, and the earliest time of that. A subagent's answer from after it is not in a
    /// total from before.
    spoken: BTreeMap<i64, i64>,
    /// Sessions with new totals, or a parent that is newly known.
    totals: BTreeSet<i64>,
    /// Responses that are not stored yet and whose they are, in the order in which they were read: file by file, for
    /// they are too many to be moved.
    messages: Vec<OfFile>,
    /// Whether the ledger is known to hold no responses yet.
    pub(super) knows_none: bool,
    /// Responses that were not known.
    new: u64,
}

impl<'c> LogWriter<'c> {
    pub(super) fn new(conn: &'c Connection, prices: &'c PriceTable) -> rusqlite::Result<Self> {
        bucket_writer::check_version(conn, prices)?;
        Ok(Self {
            conn,
            client: Client::default(),
            prices,
            rows: HashMap::new(),
            sharing: HashMap::new(),
            disputed: BTreeSet::new(),
            found_copies: Vec::new(),
            spending: BucketWriter::default(),
            changed: BTreeMap::new(),
            spoken: BTreeMap::new(),
            totals: BTreeSet::new(),
            messages: Vec::new(),
            knows_none: false,
            new: 0,
        })
    }

    fn row(&mut self, session: &SessionId) -> rusqlite::Result<SessionRow> {
        if let Some(row) = self.rows.get(session) {
            return Ok(*row);
        }
        let (row, own_at) = session_row_and_own(self.conn, session, self.client)?;
        if let Some(own_at) = own_at {
            self.sharing.insert(row, own_at);
        }
        self.rows.insert(session.clone(), row);
        Ok(row)
    }

    pub(super) fn add(&mut self, session: &SessionId, batch: LogBatch) -> rusqlite::Result<()> {
        let conn = self.conn;
        self.client = batch.client;
        let row = self.row(session)?;
        let delta = batch.delta;
        if delta.start > 0 && batch.run.is_none() && !delta.has_sessions {
            contexts::note_earlier_session(conn, row, &batch.path)?;
        }
        let file_start = delta.file_start;
        if let Some(run) = &batch.run {
            record_run(conn, row, run)?;
        } else {
            for (named, facts) in delta.facts_by_session(session) {
                let of = self.row(named)?;
                let source =
                    FactsSource { path: &batch.path, is_home: of == row, is_start: delta.start == 0 };
                record_facts(conn, of, facts, &source)?;
            }
            self.found_copies.extend(delta.copied_before.iter().map(|before| (row, *before)));
        }
        // Whose a session is says its log, whatever a hook was registered for.
        if batch.run.is_none() && delta.is_understood {
            conn.prepare_cached("UPDATE sessions SET client = ?2 WHERE id = ?1 AND client <> ?2")?
                .execute(params![row.0, batch.client.name()])?;
        }
        for (of, run) in &batch.inner_runs {
            let of = of.as_ref().map_or(Ok(row), |of| self.row(of))?;
            record_run(conn, of, run)?;
        }
        for (agent, agent_type) in &delta.agent_types {
            let named = conn
                .prepare_cached(
                    "UPDATE agent_runs SET agent_type = ?3 \
                     WHERE session = ?1 AND agent_id = ?2 AND agent_type IS NULL",
                )?
                .execute(params![row.0, agent.as_str(), agent_type])?;
            if named > 0 {
                allocations::touch(conn, row)?;
            }
        }
        if delta.has_content {
            let source = contexts::ContentSource {
                session: row,
                path: &batch.path,
                is_main: batch.run.is_none(),
                was_known: delta.start == 0 && contexts::is_known(conn, &batch.path)?,
            };
            contexts::record(conn, source, &delta)?;
            if !delta.entries.is_empty() {
                allocations::touch(conn, row)?;
            }
        }
        for prompt in &delta.prompts {
            let owner = self.row(&prompt.session)?;
            let claims = record_log_prompt(conn, owner, prompt, file_start)?;
            self.claim(&prompt.uuid, SharedKind::Prompt, claims)?;
            self.note_record(owner, prompt.at);
            note_earliest(&mut self.spoken, owner, prompt.at);
        }
        let mut told = BTreeSet::new();
        for compaction in &delta.compactions {
            let owner = self.row(&compaction.session)?;
            match record_boundary(conn, owner, compaction, file_start)? {
                Some(claims) => self.claim(&compaction.uuid, SharedKind::Compaction, claims)?,
                None => {
                    told.insert((owner, compaction.trigger.name()));
                }
            }
        }
        for (owner, trigger) in told {
            forget_told_boundaries(conn, owner, trigger)?;
        }
        for state in &delta.client_totals {
            let owner = self.row(&state.session)?;
            hidden::record(conn, owner, state)?;
            self.totals.insert(owner.0);
        }
        let position = &delta.position;
        conn.prepare_cached(
            "INSERT INTO transcripts (path, session, agent_id, offset, size, modified_at, fingerprint, answered,
               skipped_lines, reader_state, unknown_lines, client)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?13)
             ON CONFLICT (path) DO UPDATE SET
               session = excluded.session, client = excluded.client, agent_id = excluded.agent_id, offset = excluded.offset,
               size = excluded.size, modified_at = excluded.modified_at, fingerprint = excluded.fingerprint,
               answered = excluded.answered, reader_state = excluded.reader_state,
               skipped_lines = skipped_lines * ?12 + excluded.skipped_lines,
               unknown_lines = unknown_lines * ?12 + excluded.unknown_lines",
        )?
        .execute(params![
            batch.path,
            row.0,
            batch.run.as_ref().map(|run| run.id.as_str()),
            signed(position.offset),
            signed(batch.size),
            batch.modified_at.map(Timestamp::as_millis),
            position.fingerprint.cast_signed(),
            position.answered,
            signed(delta.skipped_lines),
            position.reader_state,
            signed(delta.unknown_lines),
            // Of a file that is read anew nothing of before holds.
            delta.start > 0,
            batch.client.name(),
        ])?;
        let mut messages = delta.responses;
        reconcile::merge_neighbours(&mut messages);
        if delta.has_sessions {
            return self.add_messages_of_sessions(messages);
        }
        self.add_messages(
            session,
            row,
            &batch.path,
            messages,
            batch.run.is_none().then_some(delta.start == 0),
        )
    }

    /// Takes the responses of a log of several sessions.
    fn add_messages_of_sessions(&mut self, messages: Vec<ResponseRecord>) -> rusqlite::Result<()> {
        let owners = messages.iter().map(|message| self.row(&message.session));
        let owners = owners.collect::<rusqlite::Result<Vec<_>>>()?;
        if !owners.is_empty() {
            self.messages.push((messages, owners));
        }
        Ok(())
    }

    /// Takes a file's responses; `begins_session` says of a main transcript whether it was read from its start.
    fn add_messages(
        &mut self,
        session: &SessionId,
        row: SessionRow,
        path: &str,
        messages: Vec<ResponseRecord>,
        begins_session: Option<bool>,
    ) -> rusqlite::Result<()> {
        let mut owners = Vec::with_capacity(messages.len());
        // Some clients leave its parent's id on what a fork has copied: it stands before all that is the fork's.
        let (mut before, mut parent) = (None, None);
        for message in &messages {
            let owner = if message.session == *session { row } else { self.row(&message.session)? };
            if owner != row {
                contexts::note_lines_of(self.conn, owner, path)?;
                before = Some(owner);
            } else if parent.is_none() {
                parent = Some(before);
            }
            owners.push(owner);
        }
        // What it has copied can have been read before its first own response was there.
        let parent = match (parent, begins_session) {
            (Some(before), Some(true)) => before,
            (Some(None), Some(false)) => contexts::first_to_have_lines_of(self.conn, row, path)?,
            _ => None,
        };
        if let Some(parent) = parent {
            let linked = self
                .conn
                .prepare_cached("UPDATE sessions SET parent = ?2 WHERE id = ?1 AND parent IS NULL")?
                .execute([row.0, parent.0])?;
            if linked > 0 {
                self.totals.insert(row.0);
            }
        }
        if !owners.is_empty() {
            self.messages.push((messages, owners));
        }
        Ok(())
    }

    /// Notes that several sessions have a record.
    fn claim(
        &mut self,
        key: &str,
        kind: SharedKind,
        claims: impl IntoIterator<Item = Claim>,
    ) -> rusqlite::Result<()> {
        for claim in claims {
            owners::note(self.conn, key, kind, &claim)?;
            self.disputed.insert(claim.session);
        }
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
            let has_id = |(other, next): Place| messages[other].0[next].id.base() == id.base();
            while let Some((_, next)) = order.next_if(|next| next.0 == beginning && has_id(next.1)) {
                records.push(next);
            }
            if records.len() == 1 && !id.is_variant() {
                if knows_none {
                    is_new[file][at] = true;
                    fresh.push(place);
                    continue;
                }
                if execute(&mut insert, &messages[file].0[at], messages[file].1[at])? > 0 {
                    is_new[file][at] = true;
                    continue;
                }
            }
            for response in self.responses_of(&messages, &records)? {
                let (key, claims) = (response.message.id.as_str(), response.claims());
                let is_shared = match claims {
                    [one] => {
                        self.sharing.contains_key(&one.session) && owners::has(self.conn, key, one.session)?
                    }
                    _ => true,
                };
                if is_shared {
                    self.claim(key, SharedKind::Response, claims.iter().copied())?;
                }
                let Response { message, row, known, doubles, place: (file, at), .. } = response;
                for (double, row) in doubles {
                    self.note_change(&double, row);
                    self.spending.add(&double, row, self.prices, -1);
                    owners::forget(self.conn, double.id.as_str())?;
                    responses::delete(self.conn, &double.id)?;
                }
                match known {
                    Some((known, known_row)) => self.replace((&known, known_row), (&message, row))?,
                    None => {
                        (messages[file].0[at], messages[file].1[at]) = (message, row);
                        if knows_none {
                            is_new[file][at] = true;
                            fresh.push((file, at));
                        } else {
                            let (records, owners) = &mut messages[file];
                            is_new[file][at] = insert_somewhere(&mut insert, &mut records[at], owners[at])?;
                        }
                    }
                }
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
                self.spending.write_if_many(self.conn)?;
            }
        }
        Ok(())
    }

    /// Puts records with one id together that are of one response, and with what the ledger has of it.
    fn responses_of(&self, messages: &[OfFile], records: &[Place]) -> rusqlite::Result<Vec<Response>> {
        let mut found = Responses::default();
        let record = |(file, at): Place| (&messages[file].0[at], messages[file].1[at]);
        if !self.knows_none {
            let mut prompts: BTreeMap<SessionRow, HashSet<u64>> = BTreeMap::new();
            for (message, row) in records.iter().copied().map(record) {
                prompts.entry(row).or_default().insert(message.usage.prompt());
                for known in responses::known_by_id(self.conn, message, row)? {
                    found.add_known(self.conn, known, row)?;
                }
            }
            let id = records.first().map(|(file, at)| &messages[*file].0[*at].id);
            for (base, (row, prompts)) in
                id.into_iter().flat_map(|id| prompts.iter().map(|of| (id.base(), of)))
            {
                for known in responses::shared_variants(self.conn, base, *row, prompts)? {
                    found.add_known(self.conn, known, *row)?;
                }
            }
        }
        for place in records.iter().copied() {
            let (message, row) = record(place);
            found.add(message, row, place);
        }
        found.into_list(self.conn)
    }

    /// Stores what is known of a response now.
    fn replace(
        &mut self,
        (known, known_row): (&ResponseRecord, SessionRow),
        (message, row): (&ResponseRecord, SessionRow),
    ) -> rusqlite::Result<()> {
        if known == message {
            return Ok(());
        }
        self.note_change(known, known_row);
        self.note_change(message, row);
        self.spending.add(known, known_row, self.prices, -1);
        self.spending.add(message, row, self.prices, 1);
        self.spending.write_if_many(self.conn)?;
        execute(&mut *self.conn.prepare_cached(REPLACE)?, message, row)?;
        Ok(())
    }

    /// What a fork's file was read of before it was known to be one: its copies count, but not for the fork.
    fn note_found_copies(&mut self) -> rusqlite::Result<()> {
        for (session, CopiedBefore { at: start, has_responses }) in std::mem::take(&mut self.found_copies) {
            let kinds = [SharedKind::Prompt, SharedKind::Compaction, SharedKind::Response];
            owners::note_copies(self.conn, session, start, if has_responses { &kinds } else { &kinds[..2] })?;
            if self.sharing.contains_key(&session) {
                self.disputed.insert(session);
            }
            for sql in FORGET_COPIES {
                self.conn.prepare_cached(sql)?.execute(params![session.0, start.as_millis()])?;
            }
            if !has_responses {
                continue;
            }
            for sql in FORGET_EARLIER {
                self.conn.prepare_cached(sql)?.execute(params![session.0, start.as_millis()])?;
            }
            for id in responses::main_responses_before(self.conn, session, start)? {
                if let Some((known, row)) = known_message(self.conn, &id)? {
                    let copy = ResponseRecord { copied: true, ..known.clone() };
                    self.replace((&known, row), (&copy, row))?;
                }
            }
        }
        Ok(())
    }

    /// Works out anew to whom records belong that several sessions have, where that can have changed.
    fn settle_owners(&mut self) -> rusqlite::Result<()> {
        if self.disputed.is_empty() {
            return Ok(());
        }
        let disputed = std::mem::take(&mut self.disputed);
        let sharing = Sharing::read(self.conn, &disputed)?;
        let sessions: BTreeSet<i64> = sharing.sessions().map(|session| session.0).collect();
        let settled = sharing.settle();
        let mut given = 0;
        for (key, kind, claim) in settled.owners {
            match kind {
                SharedKind::Response => {
                    let Some((known, row)) =
                        MessageId::new(&key).map_or(Ok(None), |id| known_message(self.conn, &id))?
                    else {
                        continue;
                    };
                    let session = if row == claim.session {
                        known.session.clone()
                    } else {
                        let Some(session) = session_id(self.conn, claim.session)? else { continue };
                        session
                    };
                    let Claim { copied, file_start, .. } = claim;
                    let message = ResponseRecord { session, copied, file_start, ..known.clone() };
                    self.replace((&known, row), (&message, claim.session))?;
                }
                SharedKind::Prompt => given += give(self.conn, PROMPTS, &key, &claim)?,
                SharedKind::Compaction => given += give(self.conn, COMPACTIONS, &key, &claim)?,
            }
        }
        let parents: HashMap<SessionRow, SessionRow> =
            settled.parents.iter().filter_map(|(session, parent, _)| Some((*session, (*parent)?))).collect();
        // Whether a session is a fork of another one, of whatever depth.
        let comes_from = |session: SessionRow, other: SessionRow| {
            let ancestors = std::iter::successors(Some(session), |session| parents.get(session).copied());
            ancestors.skip(1).take(parents.len()).any(|ancestor| ancestor == other)
        };
        for (session, parent, forked_at) in settled.parents {
            let known: Option<i64> = self
                .conn
                .prepare_cached("SELECT parent FROM sessions WHERE id = ?1")?
                .query_row([session.0], |row| row.get(0))?;
            // One that the lines name is no matter of what both have, unless it is the other way round.
            let parent = parent.map(|parent| parent.0);
            let parent = parent.or(known.filter(|known| !comes_from(SessionRow(*known), session)));
            let linked = self
                .conn
                .prepare_cached(
                    "UPDATE sessions SET parent = ?2, forked_at = ?3
                     WHERE id = ?1 AND (parent IS NOT ?2 OR forked_at IS NOT ?3)",
                )?
                .execute(params![session.0, parent, forked_at.map(Timestamp::as_millis)])?;
            if linked > 0 {
                self.totals.insert(session.0);
            }
        }
        if given > 0 {
            // Turns have other numbers.
            sessions.iter().try_for_each(|session| allocations::touch(self.conn, SessionRow(*session)))?;
        }
        for (session, own_at) in settled.own {
            let own_at = own_at.map_or(i64::MAX, Timestamp::as_millis);
            self.conn
                .prepare_cached(
                    "UPDATE sessions SET first_own_at = ?2 WHERE id = ?1 AND first_own_at IS NOT ?2",
                )?
                .execute([session.0, own_at])?;
        }
        Ok(())
    }

    /// Notes that a session has a record of that time, which can be of matter for whose those are that it shares.
    fn note_record(&mut self, session: SessionRow, at: Option<Timestamp>) {
        if self.sharing.get(&session).is_some_and(|own_at| at.is_none_or(|at| at < *own_at)) {
            self.disputed.insert(session);
        }
    }

    fn note_change(&mut self, message: &ResponseRecord, session: SessionRow) {
        self.note_record(session, message.at);
        note_earliest(&mut self.changed, session, message.at.filter(|_| message.agent.is_none()));
    }

    /// Writes what was added up, and the hidden calls that have changed with it.
    pub(super) fn finish(mut self) -> rusqlite::Result<u64> {
        self.store_messages()?;
        self.note_found_copies()?;
        self.settle_owners()?;
        let changed = std::mem::take(&mut self.changed);
        for (session, first) in changed.iter().chain(&self.spoken) {
            if hidden::can_change(self.conn, SessionRow(*session), *first)? {
                self.totals.insert(*session);
            }
        }
        let mut all = self.totals.clone();
        // What a session without totals has used can be in those of its forks.
        for session in self.totals.iter().chain(changed.keys()) {
            all.extend(hidden::heirs(self.conn, *session)?);
        }
        for session in &all {
            hidden::refresh(self.conn, self.prices, SessionRow(*session), &mut self.spending)?;
        }
        all.extend(changed.into_keys());
        // Of the others their files may have told something, be it only that they go on.
        for session in self.rows.values().filter(|session| !all.contains(&session.0)) {
            changes::note(self.conn, *session)?;
        }
        for session in all {
            allocations::touch(self.conn, SessionRow(session))?;
        }
        self.spending.write(self.conn)?;
        Ok(self.new)
    }
}

/// The places of `messages` in the order of the ids that their log gives them, each with the beginning of its id. Records of one
/// response stay in the order in which they were read.
fn in_order(messages: &[OfFile]) -> impl Iterator<Item = (u128, Place)> + use<> {
    // The beginnings of the ids stand beside each other in memory, the ids do not; few begin alike.
    let beginning = |message: &ResponseRecord| {
        let id = message.id.base().as_bytes();
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
    let id = |place: &Place| messages[place.0].0[place.1].id.base();
    order.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| id(a).cmp(id(b))));
    order.into_iter()
}

/// Stores a response that is not known under a key that is free.
fn insert_somewhere(
    insert: &mut Statement<'_>,
    message: &mut ResponseRecord,
    row: SessionRow,
) -> rusqlite::Result<bool> {
    if execute(insert, message, row)? > 0 {
        return Ok(true);
    }
    let ids: Vec<MessageId> = gather::marks(message).filter_map(|mark| message.id.variant(mark)).collect();
    for id in ids {
        message.id = id;
        if execute(insert, message, row)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes the time of a record of a session if it is the earliest; without one it counts from the beginning.
fn note_earliest(times: &mut BTreeMap<i64, i64>, session: SessionRow, at: Option<Timestamp>) {
    let at = at.map_or(0, Timestamp::as_millis);
    times.entry(session.0).and_modify(|first| *first = at.min(*first)).or_insert(at);
}
