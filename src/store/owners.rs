//! Whose the records are that several sessions have: a fork's file repeats its parent's lines.
//!
//! Marks tell most copies (`clients::claude_code::identity`). Where nothing in the lines tells, it follows from what else the
//! sessions have. All that have a record are kept (`shared_records`), and who owns it is worked out of these facts whenever they
//! change, so that neither the order in which files are read matters nor the pieces, nor the sessions' ids.
//!
//! Of two sessions that share records the older is, by the first of these that tells ([`Pair::order`]):
//!
//! 1. the one whose records the other has as marked copies;
//! 2. the one that has a record of its own among those that both have: a fork's own are younger than what it copies;
//! 3. the one whose file does not start with a note of the client's that is younger than all that both have;
//! 4. the one that has gone on later, or not at all: a fork is made for the next prompt, and copies all that is there;
//! 5. the one whose file starts first.
//!
//! A record belongs to the oldest session that has it. A session is the fork of the one that its latest copy belongs to.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::SessionRow;
use crate::domain::{RecordSource, ResponseRecord, Timestamp};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SharedKind {
    Response = 0,
    Prompt = 1,
    Compaction = 2,
}

impl SharedKind {
    const fn from_rank(rank: i64) -> Self {
        match rank {
            0 => Self::Response,
            1 => Self::Prompt,
            _ => Self::Compaction,
        }
    }
}

/// That a session has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) session: SessionRow,
    pub(super) source: RecordSource,
    /// Whether it is known to be a copy.
    pub(super) copied: bool,
    pub(super) file_start: Option<Timestamp>,
    pub(super) at: Option<Timestamp>,
}

impl Claim {
    pub(super) fn of(message: &ResponseRecord, session: SessionRow) -> Self {
        let ResponseRecord { source, copied, file_start, at, .. } = *message;
        Self { session, source, copied, file_start, at }
    }

    /// Adds another record of the same session.
    pub(super) fn join(&mut self, other: &Self) {
        let first = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        (self.copied, self.file_start) = match self.source.cmp(&other.source) {
            Ordering::Less => (self.copied, self.file_start),
            Ordering::Equal => (self.copied && other.copied, first(self.file_start, other.file_start)),
            Ordering::Greater => (other.copied, other.file_start),
        };
        self.source = self.source.min(other.source);
        self.at = first(self.at, other.at);
    }
}

/// Notes that a session has a record.
pub(super) fn note(conn: &Connection, key: &str, kind: SharedKind, claim: &Claim) -> rusqlite::Result<()> {
    let known = conn
        .prepare_cached(
            "SELECT session, source, copied, file_started_at, at FROM shared_records WHERE key = ?1 AND session = ?2",
        )?
        .query_row(params![key, claim.session.0], |row| read_claim(row, 0))
        .optional()?;
    let mut claim = *claim;
    if let Some(known) = known {
        claim.join(&known);
    }
    conn.prepare_cached("INSERT OR REPLACE INTO shared_records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            key,
            claim.session.0,
            kind as i64,
            claim.source as i64,
            claim.copied,
            claim.file_start.map(Timestamp::as_millis),
            claim.at.map(Timestamp::as_millis),
        ])?;
    Ok(())
}

/// Who is known to have a record, if these are several.
pub(super) fn claims_of(conn: &Connection, key: &str) -> rusqlite::Result<Vec<Claim>> {
    conn.prepare_cached(
        "SELECT session, source, copied, file_started_at, at FROM shared_records WHERE key = ?1",
    )?
    .query_map([key], |row| read_claim(row, 0))?
    .collect()
}

/// Forgets who has a record that is kept under another key from now on.
pub(super) fn forget(conn: &Connection, key: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM shared_records WHERE key = ?1")?.execute([key])?;
    Ok(())
}

/// Whether a session is known to have a record.
pub(super) fn has(conn: &Connection, key: &str, session: SessionRow) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM shared_records WHERE key = ?1 AND session = ?2")?
        .exists(params![key, session.0])
}

/// Notes that what a session has from before `start` are copies, of the main conversation.
pub(super) fn note_copies(
    conn: &Connection,
    session: SessionRow,
    start: Timestamp,
    kinds: &[SharedKind],
) -> rusqlite::Result<()> {
    for kind in kinds {
        conn.prepare_cached(
            "UPDATE shared_records SET copied = 1 WHERE session = ?1 AND kind = ?2 AND source = 0 AND at < ?3",
        )?
        .execute(params![session.0, *kind as i64, start.as_millis()])?;
    }
    Ok(())
}

fn read_claim(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Claim> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(first + column)?.map(Timestamp::from_millis))
    };
    Ok(Claim {
        session: SessionRow(row.get(first)?),
        source: RecordSource::from_rank(row.get(first + 1)?),
        copied: row.get(first + 2)?,
        file_start: time(3)?,
        at: time(4)?,
    })
}

/// What is known of sessions that share records.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    sessions: BTreeMap<SessionRow, Has>,
    /// Who has a record, by the record's key.
    claims: BTreeMap<String, (SharedKind, Vec<Claim>)>,
    /// Those that were looked at, the lower number first: where marks tell, none has to be.
    pairs: RefCell<HashMap<(SessionRow, SessionRow), Pair>>,
}

/// What a session has.
#[derive(Debug, Default)]
struct Has {
    name: String,
    /// Its records, shared or not, when they were written, and whether in the main conversation.
    records: HashMap<String, (Option<Timestamp>, bool)>,
    /// Of those that are shared whether it has them as copies.
    shared: HashMap<String, bool>,
    file_start: Option<Timestamp>,
}

/// What two sessions that share records have beside these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    /// When the last one was written that both have.
    last: Option<Timestamp>,
    /// Whether the other one has records of this one as copies.
    marked: [bool; 2],
    /// Whether it has a record of its own that is older than the last one of both.
    is_older: [bool; 2],
    /// Whether its file starts later than that.
    starts_later: [bool; 2],
    /// When its first one of its own was written after that, in the main conversation: of others a fork copies none.
    goes_on_at: [Option<Timestamp>; 2],
}

impl Pair {
    fn of(sessions: [&Has; 2]) -> Self {
        let [one, other] = sessions;
        let mut pair = Self {
            last: None,
            marked: [false; 2],
            is_older: [false; 2],
            starts_later: [false; 2],
            goes_on_at: [None; 2],
        };
        for (key, copied) in &one.shared {
            let Some(copied_there) = other.shared.get(key) else { continue };
            let at = |has: &Has| has.records.get(key).and_then(|(at, _)| *at);
            pair.last = pair.last.max(at(one)).max(at(other));
            pair.marked[0] |= !copied && *copied_there;
            pair.marked[1] |= *copied && !copied_there;
        }
        for (place, own, others) in [(0, one, other), (1, other, one)] {
            pair.starts_later[place] = own.file_start > pair.last;
            let own = own.records.iter().filter(|(key, _)| !others.records.contains_key(*key));
            for (at, is_main) in own.filter_map(|(_, (at, is_main))| at.map(|at| (at, *is_main))) {
                if Some(at) < pair.last {
                    pair.is_older[place] = true;
                } else if is_main {
                    let first = &mut pair.goes_on_at[place];
                    *first = Some(first.map_or(at, |first| first.min(at)));
                }
            }
        }
        pair
    }

    /// How two sessions follow each other, as far as their records tell.
    fn order(&self) -> Ordering {
        let [a, b] = [0, 1].map(|one| {
            let never = self.goes_on_at[one].is_none();
            (never, self.goes_on_at[one])
        });
        let marks = self.marked[1].cmp(&self.marked[0]);
        let older = self.is_older[1].cmp(&self.is_older[0]);
        let starts = self.starts_later[0].cmp(&self.starts_later[1]);
        marks.then(older).then(starts).then(b.cmp(&a))
    }
}

/// What follows for the ledger.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// To whom each record belongs that is shared.
    pub(super) owners: Vec<(String, SharedKind, Claim)>,
    /// Of each session the one that it is a fork of, and when it was made.
    pub(super) parents: Vec<(SessionRow, Option<SessionRow>, Option<Timestamp>)>,
    /// When each session has its first record of its own, beside whoever it shares some with; `None` if it has none.
    pub(super) own: Vec<(SessionRow, Option<Timestamp>)>,
}

impl Sharing {
    /// All that share records with any of `sessions`, and those that these share some with.
    pub(super) fn read(conn: &Connection, sessions: &BTreeSet<SessionRow>) -> rusqlite::Result<Self> {
        let mut sharing = Self::default();
        let mut waiting: Vec<SessionRow> = sessions.iter().copied().collect();
        while let Some(session) = waiting.pop() {
            if sharing.sessions.contains_key(&session) {
                continue;
            }
            sharing.read_session(conn, session)?;
            let mut query = conn.prepare_cached(
                "SELECT DISTINCT b.session FROM shared_records a JOIN shared_records b ON b.key = a.key WHERE a.session = ?1",
            )?;
            let mut rows = query.query([session.0])?;
            while let Some(row) = rows.next()? {
                waiting.push(SessionRow(row.get(0)?));
            }
        }
        Ok(sharing)
    }

    fn read_session(&mut self, conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
        const OWN: [&str; 2] = [
            "SELECT message_id, at, source = 0 FROM responses WHERE session = ?1 AND NOT copied",
            "SELECT uuid, at, 1 FROM prompts WHERE session = ?1 AND uuid IS NOT NULL",
        ];
        let name = conn
            .prepare_cached("SELECT session_id FROM sessions WHERE id = ?1")?
            .query_row([session.0], |row| row.get(0))
            .optional()?;
        let mut has = Has { name: name.unwrap_or_default(), ..Has::default() };
        for sql in OWN {
            let mut query = conn.prepare_cached(sql)?;
            let mut rows = query.query([session.0])?;
            while let Some(row) = rows.next()? {
                let at = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis);
                has.records.insert(row.get(0)?, (at, row.get(2)?));
            }
        }
        let mut query = conn.prepare_cached(
            "SELECT session, source, copied, file_started_at, at, key, kind FROM shared_records WHERE session = ?1",
        )?;
        let mut rows = query.query([session.0])?;
        while let Some(row) = rows.next()? {
            let (claim, key): (Claim, String) = (read_claim(row, 0)?, row.get(5)?);
            has.records.insert(key.clone(), (claim.at, claim.source == RecordSource::Main));
            has.shared.insert(key.clone(), claim.copied);
            if claim.source == RecordSource::Main {
                has.file_start = has.file_start.into_iter().chain(claim.file_start).min();
            }
            let kind = SharedKind::from_rank(row.get(6)?);
            self.claims.entry(key).or_insert_with(|| (kind, Vec::new())).1.push(claim);
        }
        self.sessions.insert(session, has);
        Ok(())
    }

    /// The sessions.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionRow> {
        self.sessions.keys().copied()
    }

    /// Works out whose each record is.
    pub(super) fn settle(mut self) -> Settled {
        // By name, for numbers follow the order in which sessions were read first.
        let mut claims = std::mem::take(&mut self.claims);
        for (_, claims) in claims.values_mut() {
            claims.sort_by_key(|claim| self.sessions.get(&claim.session).map(|has| &has.name));
        }
        let mut settled = Settled::default();
        let mut latest: HashMap<SessionRow, (Option<Timestamp>, SessionRow)> = HashMap::new();
        for (key, (kind, claims)) in &claims {
            let Some(owner) = self.owner(claims) else { continue };
            // A sidechain can replay messages too, and of a fork's copies; that it is one says its main conversation.
            let copies = claims.iter().filter(|claim| claim.session != owner.session);
            let copies = copies.filter(|claim| claim.source == RecordSource::Main);
            for copy in copies.filter(|_| *kind == SharedKind::Response && !owner.copied) {
                let found = (owner.at, owner.session);
                latest
                    .entry(copy.session)
                    .and_modify(|known| {
                        if found.0 > known.0 {
                            *known = found;
                        }
                    })
                    .or_insert(found);
            }
            settled.owners.push((key.clone(), *kind, owner));
        }
        for (session, has) in &self.sessions {
            let parent = latest.get(session).map(|(_, parent)| *parent);
            let pair = parent.and_then(|parent| self.pair(*session, parent));
            let forked_at = pair.and_then(|pair| {
                // A note of the client's at the file's start, else its first record of its own.
                has.file_start.filter(|start| Some(*start) > pair.last).or(pair.goes_on_at[0])
            });
            settled.parents.push((*session, parent, forked_at));
        }
        let pairs = self.pairs.borrow();
        for session in self.sessions.keys() {
            let own = pairs.iter().filter_map(|((a, b), pair)| match *session {
                session if session == *a => Some(pair.goes_on_at[0]),
                session if session == *b => Some(pair.goes_on_at[1]),
                _ => None,
            });
            // None, which is never, is later than all.
            let own = own.max_by_key(|at| (at.is_none(), *at)).flatten();
            settled.own.push((*session, own));
        }
        settled
    }

    /// What two sessions have, the first of them first.
    fn pair(&self, a: SessionRow, b: SessionRow) -> Option<Pair> {
        let is_turned = a > b;
        let (first, second) = if is_turned { (b, a) } else { (a, b) };
        let known = self.pairs.borrow().get(&(first, second)).copied();
        let mut pair = match known {
            Some(pair) => pair,
            None => {
                let pair = Pair::of([self.sessions.get(&first)?, self.sessions.get(&second)?]);
                *self.pairs.borrow_mut().entry((first, second)).or_insert(pair)
            }
        };
        if !is_turned {
            return Some(pair);
        }
        pair.marked.reverse();
        pair.is_older.reverse();
        pair.starts_later.reverse();
        pair.goes_on_at.reverse();
        Some(pair)
    }

    /// To whom a record belongs of those that have it.
    fn owner(&self, claims: &[Claim]) -> Option<Claim> {
        let best = claims.iter().map(|claim| (claim.source, claim.copied)).min()?;
        let best = claims.iter().filter(|claim| (claim.source, claim.copied) == best);
        best.copied().reduce(|one, other| if self.is_older(other.session, one.session) { other } else { one })
    }

    fn is_older(&self, a: SessionRow, b: SessionRow) -> bool {
        let order = self.pair(a, b).map_or(Ordering::Equal, |pair| pair.order());
        let rank = |session: SessionRow| {
            let has = self.sessions.get(&session);
            let start = has.and_then(|has| has.file_start);
            (start.is_none(), start, has.map(|has| has.name.as_str()))
        };
        order.then_with(|| rank(a).cmp(&rank(b))).is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(marked: [bool; 2], is_older: [bool; 2], goes_on_at: [Option<i64>; 2]) -> Pair {
        let goes_on_at = goes_on_at.map(|at| at.map(Timestamp::from_millis));
        Pair {
            last: Some(Timestamp::from_millis(10)),
            marked,
            is_older,
            starts_later: [false; 2],
            goes_on_at,
        }
    }

    #[test]
    fn of_two_sessions_the_older_is_the_one_that_has_been_copied() {
        let (no, a_only) = ([false; 2], [true, false]);
        assert_eq!(pair(a_only, [false, true], [Some(20), None]).order(), Ordering::Less);
        assert_eq!(pair([false, true], a_only, [None, Some(20)]).order(), Ordering::Greater);
        // No mark, or each marks the other.
        assert_eq!(pair([true; 2], a_only, [Some(20), None]).order(), Ordering::Less);
        assert_eq!(pair(no, no, [Some(30), Some(20)]).order(), Ordering::Less);
        assert_eq!(pair(no, no, [None, Some(20)]).order(), Ordering::Less);
        assert_eq!(pair(no, no, [Some(20), Some(30)]).order(), Ordering::Greater);
        assert_eq!(pair(no, no, [None, None]).order(), Ordering::Equal);
        let begun_with_note = Pair { starts_later: a_only, ..pair(no, no, [None, Some(20)]) };
        assert_eq!(begun_with_note.order(), Ordering::Greater);
    }
}
