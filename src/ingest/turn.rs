//! Replaces estimates by the provider's own numbers: reads what the logs of one session have new and stores it.
//!
//! It runs at the end of every turn (`Stop` fires once per turn, many times a session), at the end of a subagent
//! and of the session, at the next session's start for sessions that never had an end, and when a view is asked
//! for. What a client writes after a session's end is read at the next of these events of any session. Running it twice
//! changes nothing. Its cost goes with the transcripts' new bytes, not with their length.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::{ABANDONED, LogSource, content_reader, is_unchanged};
use crate::clients::{self, Buffer, LogFile, LogReader, ReadError};
use crate::config::Config;
use crate::domain::{AgentId, Client, LogDelta, SessionId, ToolUseId};
use crate::env::Env;
use crate::store::{Ledger, LogBatch, SessionRecord, StoreError, TranscriptState};

/// The last message reaches the file 2 to 102 ms after `Stop` has started (`docs/facts.md#late-and-damaged-lines`).
const LATE_LINE: Duration = Duration::from_millis(250);
/// The answer whose tools have run can reach it as late, and each of them makes the next request wait.
const LATE_CALL: Duration = Duration::from_millis(150);
/// How often the file is looked at meanwhile.
const POLL: Duration = Duration::from_millis(5);
/// The client's own total of a session can come after the session's end, where the client goes on with another one. It comes
/// at once, but for a machine that is very busy or was asleep.
const LATE_TOTAL: Duration = Duration::from_secs(5 * 60);

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
pub struct MidTurnRequest<'a> {
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
    let mut is_complete = false;
    if let Some(main) = MainLog::of(task) {
        let log = main.log();
        is_complete = read_source(
            ledger,
            env,
            config,
            task,
            &main.conversation(&log, answer_of(task.wait == WaitFor::Main)),
            &mut faults,
        )?;
        // At the end of a turn the client waits, and a session can have hundreds of subagents; those that have ended and
        // whose answer is known are looked at again when the session ends and by the views.
        let settled = match task.wait {
            WaitFor::No => HashSet::new(),
            WaitFor::Main | WaitFor::Subagent(_) => {
                ledger.logs().settled_agent_files(&main.reader.agents_folder(main.path))?
            }
        };
        let version = ledger.events().client_version(task.session)?;
        for log in main.reader.other_logs(main.path, task.session, version.as_deref()) {
            let waits = matches!(task.wait, WaitFor::Subagent(agent) if log.agent.as_ref() == Some(agent));
            if !waits && !ledger.has_time() {
                is_complete = false;
                break;
            }
            if !waits && settled.contains(log.path.to_string_lossy().as_ref()) {
                continue;
            }
            let conversation = main.conversation(&log, answer_of(waits));
            is_complete &= read_source(ledger, env, config, task, &conversation, &mut faults)?;
        }
    }
    // What there was no time for is to be read by somebody, so the session stays unfinished.
    let is_late = !is_complete && !ledger.has_time();
    if task.turn_ended && !is_late {
        ledger.logs_mut().finish_turn(task.session, env.now(), is_complete)?;
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
    asks: &MidTurnRequest<'_>,
) -> Result<(Vec<LogBatch>, Vec<ReadError>), StoreError> {
    let (mut batches, mut faults) = (Vec::new(), Vec::new());
    let main = MainLog::of_folder(task);
    let mut read = |ledger: &mut Ledger, log: &LogFile, awaits| -> Result<(), StoreError> {
        match read_new(ledger, env, &main.conversation(log, awaits))? {
            Ok(Some((source, delta))) => batches.push(source.batch(delta, env, &config(), task.has_crons)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
        Ok(())
    };
    let patience = if asks.is_ahead { LATE_LINE } else { LATE_CALL };
    let awaits = if asks.calls.is_empty() { Awaited::Nothing } else { Awaited::Calls(asks.calls, patience) };
    let is_main = asks.agent.is_none();
    if (is_main || asks.whole) && main.is_there() {
        read(ledger, &main.log(), if is_main { awaits } else { Awaited::Nothing })?;
    }
    let agent_log = |agent, quick| main.reader.agent_log(main.path, task.session, agent, quick);
    if let Some(log) = asks.agent.and_then(|agent| agent_log(agent, false)) {
        read(ledger, &log, awaits)?;
    }
    let others = if asks.whole { ledger.agents().agents_at_work(task.session)? } else { Vec::new() };
    for agent in others.iter().filter(|agent| asks.agent != Some(agent)) {
        if let Some(log) = agent_log(agent, true) {
            read(ledger, &log, Awaited::Nothing)?;
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
    let moved = moved_transcript(ledger, env, (client, &session), record)?;
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
    let now = ledger.sessions().find(&record.id)?;
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

/// Where a session's transcript is now that is no more where it was: the session works in another folder, or the client's
/// own folder has moved.
fn moved_transcript(
    ledger: &Ledger,
    env: &Env,
    (client, session): (Client, &SessionId),
    record: &SessionRecord,
) -> Result<Option<PathBuf>, StoreError> {
    let reader = clients::reader_of(client);
    if record.transcript.as_deref().is_none_or(|known| reader.is_log(Path::new(known))) {
        return Ok(None);
    }
    let read = ledger.logs().session_transcripts(Some(record.row))?;
    let mains = read.into_iter().filter(|file| file.agent.is_none() && file.session == record.row);
    let mut mains: Vec<PathBuf> = mains.map(|file| PathBuf::from(file.path)).collect();
    mains.retain(|path| reader.session_of(path).as_ref() == Some(session) && reader.is_log(path));
    let mut folders = reader.folders(env).into_iter();
    Ok(mains.pop().or_else(|| folders.find_map(|folder| reader.find_main(&folder, session))))
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
        if has_news(ledger, record)? {
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
        let _noted = ledger.sessions_mut().forget_ended(&settled).is_ok();
    }
    Ok(faults)
}

/// Whether a session's main transcript has more than was read of it. One that is gone has not.
fn has_news(ledger: &Ledger, record: &SessionRecord) -> Result<bool, StoreError> {
    let Some(path) = &record.transcript else { return Ok(false) };
    let reader = clients::reader_of(Client::from_name(&record.client).unwrap_or_default());
    let seen @ (size, _) = reader.look_at(Path::new(path));
    let state = ledger.logs().transcript_state(path)?;
    let is_new = |state: TranscriptState| match reader.changes_in_place() {
        true => !is_unchanged(reader, Some(&state), seen),
        false => !reader.is_at_end(&state.position, size),
    };
    Ok(size > 0 && state.is_none_or(is_new))
}

/// The log of a session's main conversation, and how its client's logs are read.
struct MainLog<'a> {
    reader: &'static dyn LogReader,
    path: &'a Path,
    session: &'a SessionId,
}

impl<'a> MainLog<'a> {
    /// If it is there.
    fn of(task: &IngestRequest<'a>) -> Option<Self> {
        Some(Self::of_folder(task)).filter(Self::is_there)
    }

    /// Whether it is there or not: subagents' logs can be.
    fn of_folder(task: &IngestRequest<'a>) -> Self {
        Self { reader: clients::reader_of(task.client), path: task.transcript, session: task.session }
    }

    fn is_there(&self) -> bool {
        self.reader.is_log(self.path)
    }

    fn log(&self) -> LogFile {
        LogFile { path: self.path.to_path_buf(), session: self.session.clone(), agent: None }
    }

    fn conversation<'l>(&self, log: &'l LogFile, awaits: Awaited<'l>) -> Conversation<'l> {
        Conversation { reader: self.reader, log, awaits }
    }
}

/// A log that is to be read, and what may come late in it.
struct Conversation<'a> {
    reader: &'static dyn LogReader,
    log: &'a LogFile,
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

/// Reads what a log has new and stores it, in pieces if it is much. `false` if it could not be read to its end.
fn read_source(
    ledger: &mut Ledger,
    env: &Env,
    config: &Config,
    task: &IngestRequest<'_>,
    conversation: &Conversation<'_>,
    faults: &mut Vec<ReadError>,
) -> Result<bool, StoreError> {
    loop {
        let (source, delta) = match read_new(ledger, env, conversation)? {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(true),
            Err(fault) => {
                faults.push(fault);
                return Ok(false);
            }
        };
        let has_more = delta.has_more;
        ledger.logs_mut().record_log(task.session, source.batch(delta, env, config, task.has_crons))?;
        if !has_more {
            return Ok(true);
        }
        if !ledger.has_time() {
            return Ok(false);
        }
    }
}

/// A log, and what it has new; `None` if nothing.
type NewRecords<'a> = Option<(LogSource<'a>, LogDelta)>;

/// Reads what a log has new. If what is awaited may be late, it looks again until that is there.
fn read_new<'a>(
    ledger: &mut Ledger,
    env: &Env,
    conversation: &Conversation<'a>,
) -> Result<Result<NewRecords<'a>, ReadError>, StoreError> {
    let Conversation { reader, log, awaits } = *conversation;
    // Who makes a call is known by the content alone; clients of which that is not read write the answer before its tools run.
    let awaits = match awaits {
        Awaited::Calls(..) if !reader.reads_content() => Awaited::Nothing,
        awaits => awaits,
    };
    let path = log.path.to_string_lossy();
    let state = ledger.logs().transcript_state(&path)?;
    let state = state.filter(|state| state.client == Some(reader.client()));
    let seen = reader.look_at(&log.path);
    let is_unchanged = is_unchanged(reader, state.as_ref(), seen);
    if is_unchanged && matches!(awaits, Awaited::Nothing) {
        return Ok(Ok(None));
    }
    let mut source = LogSource::new(reader, log, state.as_ref(), seen, Some(content_reader(ledger)?));
    let mut buffer = Buffer::default();
    let mut delta = None;
    if !is_unchanged {
        match source.read(&mut buffer) {
            Ok(read) => delta = Some(read),
            Err(fault) => return Ok(Err(fault)),
        }
    }
    let was_answered = state.is_some_and(|state| state.position.answered);
    let is_there = |delta: Option<&LogDelta>| match (awaits, delta) {
        (Awaited::Nothing, _) => true,
        (Awaited::Answer, Some(delta)) => delta.position.answered || delta.has_more,
        (Awaited::Answer, None) => was_answered,
        (Awaited::Calls(calls, _), Some(delta)) => {
            delta.has_more || calls.iter().all(|call| delta.entries.iter().any(|entry| entry.makes(call)))
        }
        (Awaited::Calls(..), None) => false,
    };
    let patience = match awaits {
        _ if is_there(delta.as_ref()) => Duration::ZERO,
        Awaited::Nothing => Duration::ZERO,
        Awaited::Answer => LATE_LINE,
        // Somebody else may have read it: a view, or an event at the same time.
        Awaited::Calls(calls, _) if ledger.logs().has_read_calls(&path, calls)? => Duration::ZERO,
        Awaited::Calls(_, patience) => patience,
    };
    let mut looks = patience.as_millis() / POLL.as_millis();
    while looks > 0 {
        looks -= 1;
        env.sleep(POLL);
        ledger.note_waiting(POLL);
        if !source.has_grown() {
            continue;
        }
        let more = match source.read(&mut buffer) {
            Ok(more) => more,
            Err(fault) => return Ok(Err(fault)),
        };
        let joined = match delta {
            Some(earlier) => LogDelta::join(earlier, more),
            None => more,
        };
        if is_there(Some(&joined)) {
            looks = 0;
        }
        delta = Some(joined);
    }
    Ok(Ok(delta.map(|delta| (source, delta))))
}
