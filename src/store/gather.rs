//! Records with one id, put together by the response that they are of.
//!
//! A record is compared with each response under its id that its session has, whether that belongs to the session or to
//! another one (`shared_records`), and by one rule ([`reconcile::is_same`]) whether the ledger or the same transaction has it:
//! else it would depend on the order in which files are read what a record is taken for.

use std::collections::{BTreeSet, HashMap};

use rusqlite::Connection;

use super::owners::{self, Claim};
use super::writer::SessionRow;
use crate::domain::{LineTag, MessageId, RequestTag, ResponseRecord, Timestamp};
use crate::reconcile;

/// A file among those of a transaction, and a response in it.
pub(super) type Place = (usize, usize);

/// More responses of a session with one [`Mark`] than that are those of a gateway that has one request for all, or that
/// names no prompt: they are not compared with each other once more when all are read.
const MANY: usize = 64;

/// What two records of one response have in common, at least one of these ([`reconcile::is_same`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Mark {
    Line(LineTag),
    Request(SessionRow, RequestTag),
    Time(SessionRow, Timestamp),
    /// The tokens of the prompt.
    Prompt(SessionRow, u64),
}

/// What is known of one response.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) message: ResponseRecord,
    pub(super) row: SessionRow,
    /// What the ledger has of it.
    pub(super) known: Option<(ResponseRecord, SessionRow)>,
    /// What the ledger has of it under other keys, from when nothing told that it is one response.
    pub(super) doubles: Vec<(ResponseRecord, SessionRow)>,
    /// Its first record of this transaction; of no meaning where there is none.
    pub(super) place: Place,
    claims: Vec<Claim>,
    /// Whether `claims` has what the ledger knows of it.
    are_claims_read: bool,
}

impl Response {
    /// Adds those that the ledger knows to have it.
    fn read_claims(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if let Some((known, _)) = self.known.as_ref().filter(|_| !self.are_claims_read) {
            let claims = owners::claims_of(conn, known.id.as_str())?;
            claims.iter().for_each(|claim| self.claim(claim));
            self.are_claims_read = true;
        }
        Ok(())
    }

    fn join(&mut self, message: &ResponseRecord, row: SessionRow) {
        let merged = reconcile::merge(self.message.clone(), message.clone());
        if merged.session != self.message.session {
            self.row = row;
        }
        // Under the key that it has.
        self.message = ResponseRecord { id: self.message.id.clone(), ..merged };
        self.claim(&Claim::of(message, row));
    }

    fn claim(&mut self, claim: &Claim) {
        match self.claims.iter_mut().find(|known| known.session == claim.session) {
            Some(known) => known.join(claim),
            None => self.claims.push(*claim),
        }
    }

    /// Whether they are one response, as far as a session tells that has records of both.
    fn is_one_with(&self, other: &Self) -> bool {
        let shares_session = self.claims.iter().any(|claim| other.has(claim.session));
        reconcile::is_same(&self.message, &other.message, shares_session)
    }

    /// By what others are found that can be one with it.
    fn marks(&self) -> Vec<Mark> {
        let ResponseRecord { line, request, at, .. } = self.message;
        let prompt = self.message.by_client().prompt();
        let of_session = |session: SessionRow| {
            let request = request.map(|request| Mark::Request(session, request));
            let time = at.map(|at| Mark::Time(session, at));
            [request, time, Some(Mark::Prompt(session, prompt))].into_iter().flatten()
        };
        let of_sessions = self.claims.iter().flat_map(|claim| of_session(claim.session));
        line.map(Mark::Line).into_iter().chain(of_sessions).collect()
    }

    fn has(&self, session: SessionRow) -> bool {
        self.claims.iter().any(|claim| claim.session == session)
    }

    /// Takes what was taken for another response.
    fn take(&mut self, other: Self) {
        self.join(&other.message, other.row);
        other.claims.iter().for_each(|claim| self.claim(claim));
        self.doubles.extend(other.doubles);
        match (&self.known, other.known) {
            (None, Some(known)) => {
                self.message.id = known.0.id.clone();
                self.known = Some(known);
            }
            (Some(_), Some(known)) => self.doubles.push(known),
            (_, None) => {}
        }
    }

    /// Who has it.
    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }
}

/// The responses that are known by one id.
#[derive(Debug, Default)]
pub(super) struct Responses {
    list: Vec<Response>,
    /// The keys that are taken, and by which response.
    ids: HashMap<MessageId, usize>,
    by_line: HashMap<LineTag, usize>,
    by_request: HashMap<RequestTag, Vec<usize>>,
    by_time: HashMap<Timestamp, Vec<usize>>,
    by_prompt: HashMap<(SessionRow, u64), Vec<usize>>,
}

impl Responses {
    /// Adds what the ledger has, once. `reader` is the session whose record it could be of: it can have the response
    /// though that belongs to another one.
    pub(super) fn add_known(
        &mut self,
        conn: &Connection,
        (message, row): (ResponseRecord, SessionRow),
        reader: SessionRow,
    ) -> rusqlite::Result<()> {
        let at = match self.ids.get(&message.id) {
            Some(at) => *at,
            None => {
                let known = Some((message.clone(), row));
                self.push(message, row, known, (0, 0))
            }
        };
        let response = &mut self.list[at];
        if row != reader && !response.are_claims_read {
            response.read_claims(conn)?;
            let prompt = response.message.by_client().prompt();
            for claim in &response.claims {
                add(self.by_prompt.entry((claim.session, prompt)).or_default(), at);
            }
        }
        Ok(())
    }

    /// Adds a record to the response that it is of.
    pub(super) fn add(&mut self, message: &ResponseRecord, row: SessionRow, place: Place) {
        if let Some(at) = self.find(message, row) {
            self.list[at].join(message, row);
            self.index(at, message, row);
            return;
        }
        let message = ResponseRecord { id: self.free_id(message), ..message.clone() };
        self.push(message, row, None, place);
    }

    /// The responses. Of two it can turn out last that they are one: a session that has records of both shows it.
    pub(super) fn into_list(self, conn: &Connection) -> rusqlite::Result<Vec<Response>> {
        let mut list = self.list;
        if list.len() < 2 {
            return Ok(list);
        }
        list.iter_mut().try_for_each(|response| response.read_claims(conn))?;
        let mut list: Vec<Option<Response>> = list.into_iter().map(Some).collect();
        let mut places: HashMap<Mark, Vec<usize>> = HashMap::new();
        for (at, response) in list.iter().enumerate() {
            response.iter().for_each(|response| note_marks(&mut places, response, at));
        }
        let mut at = 0;
        while at < list.len() {
            let Some(other) = other_of(&list, &places, at) else {
                at += 1;
                continue;
            };
            // What it has now can be of the ones before, too.
            let taken = list[at.max(other)].take();
            at = at.min(other);
            if let (Some(response), Some(taken)) = (&mut list[at], taken) {
                response.take(taken);
                note_marks(&mut places, response, at);
            }
        }
        Ok(list.into_iter().flatten().collect())
    }

    /// Adds a response. Returns where it is.
    fn push(
        &mut self,
        message: ResponseRecord,
        row: SessionRow,
        known: Option<(ResponseRecord, SessionRow)>,
        place: Place,
    ) -> usize {
        let at = self.list.len();
        self.ids.insert(message.id.clone(), at);
        self.index(at, &message, row);
        let claims = vec![Claim::of(&message, row)];
        let (doubles, are_claims_read) = (Vec::new(), false);
        self.list.push(Response { message, row, known, doubles, place, claims, are_claims_read });
        at
    }

    fn index(&mut self, at: usize, message: &ResponseRecord, row: SessionRow) {
        if let Some(line) = message.line {
            self.by_line.entry(line).or_insert(at);
        }
        if let Some(request) = message.request {
            add(self.by_request.entry(request).or_default(), at);
        }
        if let Some(time) = message.at {
            add(self.by_time.entry(time).or_default(), at);
        }
        add(self.by_prompt.entry((row, message.by_client().prompt())).or_default(), at);
    }

    fn find(&self, message: &ResponseRecord, row: SessionRow) -> Option<usize> {
        if let Some(at) = message.line.and_then(|line| self.by_line.get(&line)) {
            return Some(*at);
        }
        let by_request = message.request.and_then(|request| self.by_request.get(&request));
        let by_time = message.at.and_then(|time| self.by_time.get(&time));
        let by_prompt = self.by_prompt.get(&(row, message.by_client().prompt()));
        let places = [by_request, by_time, by_prompt].into_iter().flatten().flatten().copied();
        let candidates: BTreeSet<usize> = places.collect();
        let is_of = |at: &usize| {
            let response = &self.list[*at];
            reconcile::is_same(&response.message, message, response.has(row))
        };
        candidates.into_iter().find(is_of)
    }

    /// The id of a record, or a variant of it where that is taken.
    fn free_id(&self, message: &ResponseRecord) -> MessageId {
        let taken = |id: &MessageId| self.ids.contains_key(id);
        if !taken(&message.id) {
            return message.id.clone();
        }
        marks(message)
            .filter_map(|mark| message.id.variant(mark))
            .find(|id| !taken(id))
            .unwrap_or_else(|| message.id.clone())
    }
}

/// Notes where a response is, as far as it matters: of too many with one mark not all are needed.
fn note_marks(places: &mut HashMap<Mark, Vec<usize>>, response: &Response, at: usize) {
    for mark in response.marks() {
        let places = places.entry(mark).or_default();
        if places.len() <= MANY {
            add(places, at);
        }
    }
}

/// The first response that is one with the one at `at`.
fn other_of(list: &[Option<Response>], places: &HashMap<Mark, Vec<usize>>, at: usize) -> Option<usize> {
    let response = list[at].as_ref()?;
    let near = response.marks().into_iter().filter_map(|mark| places.get(&mark));
    let near: BTreeSet<usize> = near.filter(|near| near.len() <= MANY).flatten().copied().collect();
    let is_one = |other: &Response| response.is_one_with(other);
    near.into_iter().find(|other| *other != at && list[*other].as_ref().is_some_and(is_one))
}

fn add(places: &mut Vec<usize>, at: usize) {
    if !places.contains(&at) {
        places.push(at);
    }
}

/// What tells a response from others with its id.
pub(super) fn marks(message: &ResponseRecord) -> impl Iterator<Item = u64> {
    let request = message.request.map_or(0, RequestTag::to_bits).cast_unsigned();
    let line = message.line.map_or(0, LineTag::to_bits).cast_unsigned();
    let time = message.at.map_or(0, Timestamp::as_millis).cast_unsigned();
    [request, line, request ^ line.rotate_left(1) ^ time.rotate_left(2)].into_iter()
}
