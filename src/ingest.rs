//! Replaces estimates by the provider's own numbers: reads what the transcripts have new and stores it.
//!
//! It runs at the end of every turn (`Stop` fires once per turn, many times a session), at the end of a subagent
//! and of the session, at the next session's start for sessions that never had an end, and when a view is asked
//! for. What a client writes after a session's end is read at the next of these events of any session. Running it twice
//! changes nothing. Its cost goes with the transcripts' new bytes, not with their length.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::clients::ReadError;
use crate::clients::claude_code::{
    self, AgentFile, AgentMeta, ContentReader, NUMBERED_TOPIC_RANK, ReadFrom, Reading,
};
use crate::config::Config;
use crate::domain::{AgentId, Client, SessionId, SessionKind, Timestamp, ToolUseId, Version, client_version};
use crate::env::Env;
use crate::estimate;
use crate::estimate::subagents::defaults_for;
use crate::store::{AgentObservation, Ledger, LogBatch, SessionRecord, StoreError};

/// The last message reaches the file 2 to 102 ms after `Stop` has started (`docs/facts.md#late-and-damaged-lines`).
const LATE_LINE: Duration = Duration::from_millis(250);
/// The answer whose tools have run can reach it as late, and each of them makes the next request wait.
const LATE_CALL: Duration = Duration::from_millis(150);
/// How often the file is looked at meanwhile.
const POLL: Duration = Duration::from_millis(5);
/// A session without a sign of life for this long is taken to be over, though nobody said so.
pub(crate) const ABANDONED: Duration = Duration::from_secs(30 * 60);
/// The client's own total of a session can come after the session's end, where the client goes on with another one. It comes
/// at once, but for a machine that is very busy or was asleep.
const LATE_TOTAL: Duration = Duration::from_secs(5 * 60);
/// First client version that lays no subagent transcripts beside the main one, for certain.
const NO_FLAT_AGENTS: Version = (2, 1, 100);

/// What is to be completed.
#[derive(Debug, Clone)]
pub struct IngestRequest<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// Its client.
    pub client: Client,
    /// Its main transcript.
    pub transcript: &'a Path,
    /// Whose last message may come late and is to be waited for.
    pub wait: WaitFor<'a>,
    /// Whether a turn has ended, so that the session's figures are final for now.
    pub turn_ended: bool,
    /// Whether the client says that jobs of its scheduler are set in this session.
    pub has_crons: bool,
}

/// Who asks in mid-turn, and for how much.
#[derive(Debug, Clone, Copy)]
pub struct Asks<'a> {
    /// The subagent that sends the event; `None` for the main conversation.
    pub agent: Option<&'a AgentId>,
    /// The calls whose answer is waited for.
    pub calls: &'a [ToolUseId],
    /// Whether they are still to be made: then nothing that can stop what they start comes after, and the wait is longer.
    pub is_ahead: bool,
    /// Whether the session's other conversations are read too.
    pub whole: bool,
}

/// Whose last message is to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor<'a> {
    /// Nobody's.
    No,
    /// The main conversation's.
    Main,
    /// A subagent's.
    Subagent(&'a AgentId),
}

/// Reads the session's transcripts and stores what is new. Without a transcript only the turn's end is stored.
///
/// A transcript that cannot be read is passed over; what is wrong with it is returned. A process that has no time
/// left stores what it has; the next one goes on.
///
/// # Errors
/// If the ledger cannot be read or written.
pub fn complete(
    ledger: &mut Ledger,
    env: &Env,
    config: &Config,
    task: &IngestRequest<'_>,
) -> Result<Vec<ReadError>, StoreError> {
    let mut faults = Vec::new();
    let mut is_complete = claude_code::is_transcript(task.transcript);
    if is_complete {
        let main =
            Source { path: task.transcript, agent: None, awaits: answer_of(task.wait == WaitFor::Main) };
        is_complete = read_source(ledger, env, config, task, &main, &mut faults)?;
        // At the end of a turn the client waits, and a session can have hundreds of subagents; those that have ended and
        // whose answer is known are looked at again when the session ends and by the views.
        let settled = match task.wait {
            WaitFor::No => HashSet::new(),
            WaitFor::Main | WaitFor::Subagent(_) => {
                ledger.settled_agent_files(&claude_code::agents_folder(task.transcript))?
            }
        };
        let flat = may_have_flat_agents(ledger.client_version(task.session)?.as_deref());
        for file in claude_code::agent_files(task.transcript, task.session, flat) {
            let waits = task.wait == WaitFor::Subagent(&file.agent);
            if !waits && !ledger.has_time() {
                is_complete = false;
                break;
            }
            if !waits && settled.contains(file.path.to_string_lossy().as_ref()) {
                continue;
            }
            let source = Source { path: &file.path, agent: Some(&file), awaits: answer_of(waits) };
            is_complete &= read_source(ledger, env, config, task, &source, &mut faults)?;
        }
    }
    // What there was no time for is to be read by somebody, so the session stays unfinished.
    let is_late = !is_complete && !ledger.has_time();
    if task.turn_ended && !is_late {
        ledger.finish_turn(task.session, env.now(), is_complete)?;
    }
    Ok(faults)
}

/// What a session's conversations have new while its turn goes on, to be stored with the event that asks: the one that sends
/// it (the main one, or a subagent's), and if `whole` the others at work, in whichever of them the session has spent. Of a
/// great deal it is the first piece. The answer that makes `calls` is waited for a little, for it can come while the hook
/// runs; without any nobody waits. A transcript that cannot be read is passed over; what is wrong with it is returned.
///
/// # Errors
/// If the ledger cannot be read.
pub fn read_on(
    ledger: &mut Ledger,
    env: &Env,
    config: impl Fn() -> Config,
    task: &IngestRequest<'_>,
    asks: &Asks<'_>,
) -> Result<(Vec<LogBatch>, Vec<ReadError>), StoreError> {
    let (mut batches, mut faults) = (Vec::new(), Vec::new());
    let mut read = |ledger: &mut Ledger, source: &Source<'_>| -> Result<(), StoreError> {
        match read_new(ledger, env, task, source)? {
            Ok(Some(new)) => batches.push(new.into_batch(env, &config(), task, source)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
        Ok(())
    };
    let patience = if asks.is_ahead { LATE_LINE } else { LATE_CALL };
    let awaits = if asks.calls.is_empty() { Awaited::Nothing } else { Awaited::Calls(asks.calls, patience) };
    let is_main = asks.agent.is_none();
    if (is_main || asks.whole) && claude_code::is_transcript(task.transcript) {
        let awaits = if is_main { awaits } else { Awaited::Nothing };
        read(ledger, &Source { path: task.transcript, agent: None, awaits })?;
    }
    if let Some(file) = asks.agent.and_then(|agent| claude_code::agent_file(task.transcript, agent)) {
        read(ledger, &Source { path: &file.path, agent: Some(&file), awaits })?;
    }
    let others = if asks.whole { ledger.agents_at_work(task.session)? } else { Vec::new() };
    for agent in others.iter().filter(|agent| asks.agent != Some(agent)) {
        if let Some(file) = claude_code::usual_agent_file(task.transcript, agent) {
            read(ledger, &Source { path: &file.path, agent: Some(&file), awaits: Awaited::Nothing })?;
        }
    }
    Ok((batches, faults))
}

/// Completes a session that the ledger knows, as a view or another session's start asks for it. If nobody has heard
/// of it for long, its last turn is taken to have ended.
///
/// # Errors
/// If the ledger cannot be read or written.
pub fn catch_up(
    ledger: &mut Ledger,
    env: &Env,
    config: &Config,
    record: &SessionRecord,
) -> Result<Vec<ReadError>, StoreError> {
    let (Some(session), Some(client)) = (SessionId::new(&record.id), Client::from_name(&record.client))
    else {
        return Ok(Vec::new());
    };
    let moved = moved_transcript(ledger, env, &session, record)?;
    let known = Path::new(record.transcript.as_deref().unwrap_or_default());
    let mut task = IngestRequest {
        session: &session,
        client,
        transcript: moved.as_deref().unwrap_or(known),
        wait: WaitFor::No,
        turn_ended: false,
        has_crons: false,
    };
    let mut faults = complete(ledger, env, config, &task)?;
    let now = ledger.find_session(&record.id)?;
    let is_abandoned = now.is_some_and(|now| {
        let silent = now.last_activity_at.is_none_or(|last| env.now().since(last) > ABANDONED);
        now.finalized_at.is_none() && silent
    });
    if is_abandoned {
        task.turn_ended = true;
        faults = complete(ledger, env, config, &task)?;
    }
    Ok(faults)
}

/// The folders where Claude Code keeps its transcripts.
#[must_use]
pub fn usual_folders(env: &Env) -> Vec<PathBuf> {
    match env.place("CLAUDE_CONFIG_DIR") {
        Some(folder) => vec![folder.join("projects")],
        None => env
            .home()
            .map(|home| vec![home.join(".claude/projects"), home.join(".config/claude/projects")])
            .unwrap_or_default(),
    }
}

/// Where a session's transcript is now that is no more where it was: the session works in another folder, or the client's
/// own folder has moved.
fn moved_transcript(
    ledger: &Ledger,
    env: &Env,
    session: &SessionId,
    record: &SessionRecord,
) -> Result<Option<PathBuf>, StoreError> {
    if record.transcript.as_deref().is_none_or(|known| claude_code::is_transcript(Path::new(known))) {
        return Ok(None);
    }
    let read = ledger.session_transcripts(Some(record.row))?;
    let mains = read.into_iter().filter(|file| file.agent.is_none() && file.session == record.row);
    let mut mains: Vec<PathBuf> = mains.map(|file| PathBuf::from(file.path)).collect();
    mains.retain(|path| {
        claude_code::session_of_path(path).as_ref() == Some(session) && claude_code::is_transcript(path)
    });
    let mut folders = usual_folders(env).into_iter();
    Ok(mains.pop().or_else(|| folders.find_map(|folder| claude_code::find_main(&folder, session))))
}

/// Reads on in the logs of those sessions that had ended and to which their clients have written since. `prepare` gives the
/// settings for a project, and the ledger its prices if it has none; it is called only if there is something to read.
///
/// # Errors
/// If the ledger cannot be read or written.
pub fn read_ended(
    ledger: &mut Ledger,
    env: &Env,
    mut prepare: impl FnMut(&mut Ledger, Option<&str>) -> Config,
    ended: &[SessionRecord],
) -> Result<Vec<ReadError>, StoreError> {
    let (mut faults, mut settled) = (Vec::new(), Vec::new());
    for record in ended {
        if !ledger.has_time() {
            break;
        }
        if has_grown(ledger, record)? {
            let config = prepare(ledger, record.project.as_deref());
            faults.extend(catch_up(ledger, env, &config, record)?);
        }
        let may_grow = record.ended_at.is_some_and(|ended| env.now().since(ended) <= LATE_TOTAL);
        if !may_grow && ledger.has_time() {
            settled.push((record.row, record.ended_at));
        }
    }
    if !settled.is_empty() {
        // Whoever cannot note it, as a report of a ledger that is read-only, looks again the next time.
        let _noted = ledger.forget_ended(&settled).is_ok();
    }
    Ok(faults)
}

/// Whether a session's main transcript has more than was read of it. One that is gone has not.
fn has_grown(ledger: &Ledger, record: &SessionRecord) -> Result<bool, StoreError> {
    let Some(path) = &record.transcript else { return Ok(false) };
    let (size, _) = look_at(Path::new(path));
    Ok(size > 0 && ledger.transcript_state(path)?.is_none_or(|state| state.progress.offset < size))
}

/// A file to be read.
struct Source<'a> {
    path: &'a Path,
    agent: Option<&'a AgentFile>,
    awaits: Awaited<'a>,
}

/// What may come late, and is to be waited for.
#[derive(Clone, Copy)]
enum Awaited<'a> {
    Nothing,
    /// The answer that ends the turn.
    Answer,
    /// The answer that makes these calls, for so long.
    Calls(&'a [ToolUseId], Duration),
}

fn answer_of(waits: bool) -> Awaited<'static> {
    if waits { Awaited::Answer } else { Awaited::Nothing }
}

/// Reads what a file has new and stores it, in pieces if it is much. `false` if it could not be read to its end.
fn read_source(
    ledger: &mut Ledger,
    env: &Env,
    config: &Config,
    task: &IngestRequest<'_>,
    source: &Source<'_>,
    faults: &mut Vec<ReadError>,
) -> Result<bool, StoreError> {
    loop {
        let new = match read_new(ledger, env, task, source)? {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(true),
            Err(fault) => {
                faults.push(fault);
                return Ok(false);
            }
        };
        let has_more = new.reading.has_more;
        let batch = new.into_batch(env, config, task, source);
        ledger.record_log(task.session, task.client, batch)?;
        if !has_more {
            return Ok(true);
        }
        if !ledger.has_time() {
            return Ok(false);
        }
    }
}

/// A transcript's new lines, and the file as it was then.
struct NewLines {
    path: String,
    size: u64,
    modified_at: Option<Timestamp>,
    reading: Reading,
}

impl NewLines {
    fn into_batch(
        self,
        env: &Env,
        config: &Config,
        task: &IngestRequest<'_>,
        source: &Source<'_>,
    ) -> LogBatch {
        let Self { path, size, modified_at, mut reading } = self;
        adjust_facts(&mut reading, env, config, task.has_crons);
        let run = source.agent.map(|file| run_of(file, &reading, config));
        LogBatch { path, run, size, modified_at, reading }
    }
}

/// Reads what a file has new; `None` if nothing. If what is awaited may be late, it looks again until that is there.
fn read_new(
    ledger: &mut Ledger,
    env: &Env,
    task: &IngestRequest<'_>,
    source: &Source<'_>,
) -> Result<Result<Option<NewLines>, ReadError>, StoreError> {
    let path = source.path.to_string_lossy().into_owned();
    let state = ledger.transcript_state(&path)?;
    let (mut size, mut modified_at) = look_at(source.path);
    let is_unchanged = state.as_ref().is_some_and(|state| {
        state.size == size && state.modified_at == modified_at && state.progress.offset >= size
    });
    if is_unchanged && matches!(source.awaits, Awaited::Nothing) {
        return Ok(Ok(None));
    }
    let mut from = ReadFrom {
        session: task.session.clone(),
        agent: source.agent.map(|file| file.agent.clone()),
        progress: state.as_ref().map(|state| state.progress.clone()),
        count: estimate::written,
        content: Some(content_reader(ledger)?),
    };
    let mut reading = None;
    if !is_unchanged {
        match claude_code::read(source.path, &from) {
            Ok(read) => reading = Some(read),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    let was_answered = state.as_ref().is_some_and(|state| state.progress.answered);
    let is_there = |reading: Option<&Reading>| match (source.awaits, reading) {
        (Awaited::Nothing, _) => true,
        (Awaited::Answer, Some(reading)) => reading.progress.answered || reading.has_more,
        (Awaited::Answer, None) => was_answered,
        (Awaited::Calls(calls, _), Some(reading)) => {
            reading.has_more || calls.iter().all(|call| reading.entries.iter().any(|entry| entry.makes(call)))
        }
        (Awaited::Calls(..), None) => false,
    };
    let patience = match source.awaits {
        _ if is_there(reading.as_ref()) => Duration::ZERO,
        Awaited::Nothing => Duration::ZERO,
        Awaited::Answer => LATE_LINE,
        // Somebody else may have read it: a view, or an event at the same time.
        Awaited::Calls(calls, _) if ledger.has_read_calls(&path, calls)? => Duration::ZERO,
        Awaited::Calls(_, patience) => patience,
    };
    let mut looks = patience.as_millis() / POLL.as_millis();
    while looks > 0 {
        looks -= 1;
        env.sleep(POLL);
        ledger.note_waiting(POLL);
        let (now_size, now_modified) = look_at(source.path);
        if now_size == size {
            continue;
        }
        (size, modified_at) = (now_size, now_modified);
        if let Some(reading) = &reading {
            from.progress = Some(reading.progress.clone());
        }
        let more = match claude_code::read(source.path, &from) {
            Ok(more) => more,
            Err(fault) => return Ok(Err(fault)),
        };
        let joined = match reading {
            Some(earlier) => earlier.join(more),
            None => more,
        };
        if is_there(Some(&joined)) {
            looks = 0;
        }
        reading = Some(joined);
    }
    Ok(Ok(reading.map(|reading| NewLines { path, size, modified_at, reading })))
}

pub(crate) fn look_at(path: &Path) -> (u64, Option<Timestamp>) {
    let Ok(metadata) = std::fs::metadata(path) else { return (0, None) };
    (metadata.len(), metadata.modified().ok().map(|time: SystemTime| Timestamp::from_system_time(time)))
}

/// How content is measured here.
pub(crate) fn content_reader(ledger: &Ledger) -> Result<ContentReader, StoreError> {
    Ok(ContentReader {
        written: estimate::written_block,
        read: estimate::read_by_model,
        hash_key: ledger.hash_key()?,
    })
}

/// Puts a number in the title's place if the user wants no names kept, tells scheduled runs from other headless ones,
/// and believes no time that has not come yet.
pub(crate) fn adjust_facts(reading: &mut Reading, env: &Env, config: &Config, has_crons: bool) {
    if !config.store_names {
        for change in &mut reading.task_changes {
            change.kind.take_names();
        }
    }
    for facts in reading.all_facts_mut() {
        if !config.store_names {
            facts.topic = Some((NUMBERED_TOPIC_RANK, String::new()));
        }
        if has_crons && facts.kind == Some(SessionKind::Headless) {
            facts.kind = Some(SessionKind::Scheduled);
        }
        facts.last_at = facts.last_at.map(|last| last.min(env.now()));
    }
}

/// The subagent run that a transcript is of.
pub(crate) fn run_of(file: &AgentFile, reading: &Reading, config: &Config) -> AgentObservation {
    let AgentMeta { agent_type, tool_use_id } = file.meta();
    let agent_type = agent_type.or_else(|| reading.agent_types.get(&file.agent).cloned());
    AgentObservation {
        id: file.agent.clone(),
        defaults: defaults_for(agent_type.as_deref(), &config.subagents),
        agent_type,
        tool_use_id,
        started_at: None,
        ended_at: None,
        logged: reading.facts.first_at.zip(reading.facts.last_at),
    }
}

/// Whether the session's client may be one that lays subagents' transcripts beside the main one. Looking there
/// costs a look into every project file, so it is done only where it can find something.
fn may_have_flat_agents(version: Option<&str>) -> bool {
    version.is_some_and(|version| client_version(version) < NO_FLAT_AGENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_clients_may_have_flat_agents() {
        assert!(may_have_flat_agents(Some("1.0.17")));
        assert!(may_have_flat_agents(Some("2.1.19")));
        assert!(!may_have_flat_agents(Some("2.1.330")));
        assert!(!may_have_flat_agents(Some("3.0.0")));
        assert!(!may_have_flat_agents(None));
    }
}
