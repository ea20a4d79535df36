//! Records of a transcript beside its responses: what it says of a session, prompts, compactions.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::owners::Claim;
use super::writer::{SessionRow, signed};
use crate::domain::{
    CompactionRecord, ModelId, PromptRecord, RecordSource, SessionFacts, SessionKind, Timestamp,
};

/// Where facts of a session come from.
pub(super) struct FactsSource<'a> {
    pub(super) path: &'a str,
    /// Whether it is the session's own file.
    pub(super) is_home: bool,
    /// Whether it was read from its start.
    pub(super) is_start: bool,
}

/// Stores what a main transcript says of a session. What its lines say in turn is taken from the latest one, in whatever file
/// that stands; its project from the first one that names it. What a file goes on with is later than what it had, whatever
/// the clock said.
pub(super) fn record_facts(
    conn: &Connection,
    session: SessionRow,
    facts: &SessionFacts,
    source: &FactsSource<'_>,
) -> rusqlite::Result<()> {
    let (topic_rank, topic) = match &facts.topic {
        Some((rank, topic)) => (*rank, Some(topic.as_str())),
        None => (0, None),
    };
    conn.prepare_cached(
        "UPDATE sessions SET
           client_version = iif(?12 AND ?10 < log_last_at, coalesce(client_version, ?2), coalesce(?2, client_version)),
           kind = CASE WHEN ?3 = 'scheduled' THEN ?3 ELSE coalesce(kind, ?3) END,
           project = CASE WHEN project_named THEN project
             WHEN ?12 AND coalesce(?9 <= log_first_at, 1) THEN coalesce(?4, project) ELSE coalesce(project, ?4) END,
           git_branch = iif(?12 AND ?10 < log_last_at, coalesce(git_branch, ?5), coalesce(?5, git_branch)),
           model = iif(?12 AND ?10 < log_last_at, coalesce(model, ?6), coalesce(?6, model)),
           topic = CASE WHEN ?7 = 0 OR ?7 < topic_rank OR ?7 = topic_rank AND ?12 AND ?10 < log_last_at THEN topic
             WHEN ?8 = '' THEN 'session ' || id ELSE ?8 END,
           topic_rank = max(topic_rank, ?7),
           log_first_at = coalesce(min(log_first_at, ?9), log_first_at, ?9),
           log_last_at = coalesce(max(log_last_at, ?10), log_last_at, ?10),
           last_seen_at = max(last_seen_at, coalesce(?10, 0)),
           transcript_path = CASE WHEN transcript_path IS NULL THEN ?11
             WHEN ?13 AND (?10 > log_last_at OR transcript_path NOT LIKE '%' || session_id || '.jsonl') THEN ?11
             ELSE transcript_path END
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
        source.path,
        source.is_start,
        source.is_home,
    ])?;
    Ok(())
}

/// Stores a prompt of the transcript; a hook's row of the same prompt becomes it. If another session has it, returns the
/// claims of both.
pub(super) fn record_log_prompt(
    conn: &Connection,
    session: SessionRow,
    prompt: &PromptRecord,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<Vec<Claim>> {
    if let Some(prompt_id) = &prompt.prompt_id {
        conn.prepare_cached("DELETE FROM prompts WHERE session = ?1 AND prompt_id = ?2 AND +uuid IS NULL")?
            .execute(params![session.0, prompt_id])?;
    }
    let inserted = conn
        .prepare_cached(
            "INSERT INTO prompts (session, uuid, prompt_id, at, file_started_at) VALUES (?1, ?2, ?3, ?4, ?5)
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
    if inserted > 0 {
        return Ok(Vec::new());
    }
    claims(
        conn,
        PROMPTS,
        &prompt.uuid,
        Claim { session, source: RecordSource::Main, copied: false, file_start, at: prompt.at },
    )
}

/// Stores a compaction of the transcript; `None` if it is new, which makes it what hooks have told of before
/// ([`forget_told_boundaries`]). If another session has it, returns the claims of both.
pub(super) fn record_boundary(
    conn: &Connection,
    session: SessionRow,
    compaction: &CompactionRecord,
    file_start: Option<Timestamp>,
) -> rusqlite::Result<Option<Vec<Claim>>> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO compactions (session, uuid, trigger, at, tokens_before, tokens_after, file_started_at)
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
        return Ok(None);
    }
    let claims = claims(
        conn,
        COMPACTIONS,
        &compaction.uuid,
        Claim { session, source: RecordSource::Main, copied: false, file_start, at: compaction.at },
    )?;
    Ok(Some(claims))
}

/// Removes what hooks alone have told of compactions with a trigger, once a log has told of them. It looks at all compactions
/// of the session, so it is asked once for each reading and not for each compaction.
pub(super) fn forget_told_boundaries(
    conn: &Connection,
    session: SessionRow,
    trigger: &str,
) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM compactions WHERE session = ?1 AND trigger = ?2 AND +uuid IS NULL")?
        .execute(params![session.0, trigger])?;
    Ok(())
}

/// Statements for one kind of records that have a `uuid`.
pub(super) struct OfKind {
    known: &'static str,
    give: &'static str,
    forget: &'static str,
}

pub(super) const PROMPTS: &OfKind = &OfKind {
    known: "SELECT session, file_started_at, at FROM prompts WHERE uuid = ?1 AND session != ?2",
    give: "UPDATE prompts SET session = ?2, file_started_at = ?3 WHERE uuid = ?1 AND session != ?2",
    forget: "DELETE FROM prompts WHERE uuid = ?1",
};
pub(super) const COMPACTIONS: &OfKind = &OfKind {
    known: "SELECT session, file_started_at, at FROM compactions WHERE uuid = ?1 AND session != ?2",
    give: "UPDATE compactions SET session = ?2, file_started_at = ?3 WHERE uuid = ?1 AND session != ?2",
    forget: "DELETE FROM compactions WHERE uuid = ?1",
};

/// What nobody else has of a fork's copies: its parent's file will tell of it.
pub(super) const FORGET_COPIES: [&str; 2] = [
    "DELETE FROM prompts WHERE session = ?1 AND uuid IS NOT NULL AND at < ?2
       AND NOT EXISTS (SELECT 1 FROM shared_records WHERE key = uuid)",
    "DELETE FROM compactions WHERE session = ?1 AND uuid IS NOT NULL AND at < ?2
       AND NOT EXISTS (SELECT 1 FROM shared_records WHERE key = uuid)",
];

/// What a session was taken to have from before the note that its file starts with.
pub(super) const FORGET_EARLIER: [&str; 2] = [
    "DELETE FROM client_totals WHERE session = ?1 AND at < ?2 AND at > 0",
    "UPDATE sessions SET log_first_at = ?2 WHERE id = ?1 AND log_first_at < ?2",
];

/// The claim of the session that is known to have a record, if that is another one, and a further one.
fn claims(conn: &Connection, kind: &OfKind, uuid: &str, claim: Claim) -> rusqlite::Result<Vec<Claim>> {
    let time = |millis: Option<i64>| millis.map(Timestamp::from_millis);
    let known = conn
        .prepare_cached(kind.known)?
        .query_row(params![uuid, claim.session.0], |row| {
            Ok(Claim {
                session: SessionRow(row.get(0)?),
                file_start: time(row.get(1)?),
                at: time(row.get(2)?),
                ..claim
            })
        })
        .optional()?;
    Ok(known.map_or_else(Vec::new, |known| vec![known, claim]))
}

/// Gives a record to its owner. What is only known as a copy is told by the parent's file. Returns the number of rows.
pub(super) fn give(conn: &Connection, kind: &OfKind, uuid: &str, claim: &Claim) -> rusqlite::Result<usize> {
    if claim.copied {
        return conn.prepare_cached(kind.forget)?.execute([uuid]);
    }
    let file_start = claim.file_start.map(Timestamp::as_millis);
    conn.prepare_cached(kind.give)?.execute(params![uuid, claim.session.0, file_start])
}
