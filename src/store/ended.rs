//! Sessions that have ended a short while ago. Where a client goes on with another session (`/clear`) it writes the total of
//! the one before after that one's last hook, so these are looked at once more.

use std::ops::{Deref, DerefMut};

use rusqlite::{Connection, params};

use super::Sessions;
use super::meta::ENDED;
use super::writer::SessionRow;
use super::{Ledger, SessionRecord, StoreError};
use crate::domain::Timestamp;

/// Of more sessions that end at the same time the first are left to `import`: each one is a look that a hook pays for.
const MOST: usize = 8;

/// Notes that a session has ended.
pub(super) fn note(conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
    let mut ended = noted(conn)?;
    ended.retain(|row| *row != session.0);
    ended.push(session.0);
    put(conn, &ended[ended.len().saturating_sub(MOST)..])
}

impl<L: Deref<Target = Ledger>> Sessions<L> {
    /// The sessions that have ended and were not looked at since, the latest first.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub fn ended(&self) -> Result<Vec<SessionRecord>, StoreError> {
        let noted = noted(&self.0.conn).map_err(StoreError::query("look up ended sessions"))?;
        let found = noted.iter().rev().map(|row| self.0.session_of_row(SessionRow(*row)));
        found.filter_map(Result::transpose).collect()
    }
}

impl<L: DerefMut<Target = Ledger>> Sessions<L> {
    /// Looks no more at sessions that have ended, unless they have ended again since then.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn forget_ended(&mut self, sessions: &[(SessionRow, Option<Timestamp>)]) -> Result<(), StoreError> {
        self.0.write("record ended sessions", |tx| {
            let mut over = Vec::new();
            for (session, at) in sessions {
                if ended_then(tx, *session, *at)? {
                    over.push(*session);
                }
            }
            forget(tx, &over)
        })
    }
}

/// Takes sessions from the list.
pub(super) fn forget(conn: &Connection, sessions: &[SessionRow]) -> rusqlite::Result<()> {
    let mut ended = noted(conn)?;
    let before = ended.len();
    ended.retain(|row| !sessions.contains(&SessionRow(*row)));
    if ended.len() == before { Ok(()) } else { put(conn, &ended) }
}

/// Whether a session's last end is that one.
fn ended_then(conn: &Connection, session: SessionRow, at: Option<Timestamp>) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1 AND ended_at IS ?2")?
        .exists(params![session.0, at.map(Timestamp::as_millis)])
}

/// The numbers of the sessions; what is no number is passed over.
fn noted(conn: &Connection) -> rusqlite::Result<Vec<i64>> {
    let text = ENDED.get(conn)?;
    Ok(text.iter().flat_map(|text| text.split(' ')).filter_map(|row| row.parse().ok()).collect())
}

fn put(conn: &Connection, ended: &[i64]) -> rusqlite::Result<()> {
    if ended.is_empty() {
        return ENDED.delete(conn);
    }
    let text: Vec<String> = ended.iter().map(i64::to_string).collect();
    ENDED.put(conn, &text.join(" "))
}
