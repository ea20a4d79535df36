//! One rollout: its lines, and what of them is an answer.

use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::paths;
use crate::clients::line_log::{self, LineKind, LineLog};
use crate::clients::{Buffer, Lines, ReadError, ReadFrom};
use crate::domain::{
    AgentId, CompactionRecord, CompactionTrigger, LogDelta, LoggedRun, MAX_NAME_CHARS, ModelId, PromptRecord,
    ResponseRecord, SessionId, SessionKind, Timestamp, Usage, Version, clean_name, client_version,
};
use crate::json::Object;

/// So many answers wait at most for what tells their model; in real rollouts it is one, a compaction that opens a turn.
const MAX_WAITING: usize = 6;
/// The first version for certain that writes a record for each answer, so that its totals count nothing.
const WRITES_RECORDS: Version = (0, 153, 0);
/// So many models' context windows are known; a thread has one or two.
const MAX_WINDOWS: usize = 4;
/// So many answers of the thread that a fork goes on from are compared with its own.
const MAX_COPIED: usize = 1 << 20;

/// What the lines so far say of those that follow. Its names are short, since it is kept with each rollout.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RolloutState {
    /// The thread, by the first line.
    #[serde(rename = "i", default)]
    thread: Option<String>,
    /// The session: the thread that all began with.
    #[serde(rename = "g", default)]
    session: Option<String>,
    /// The thread that this one was forked from.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    forked_from: Option<String>,
    /// When a fork began, in milliseconds.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    began: Option<i64>,
    /// The branch that was checked out.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The turn that was last begun.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
    /// What was last said of a turn's model.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    context: Option<TurnContext>,
    /// How much each model can read, in tokens.
    #[serde(rename = "w", default, skip_serializing_if = "BTreeMap::is_empty")]
    windows: BTreeMap<String, u64>,
    /// Answers whose model is not known yet.
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    /// Whether the client writes a record for each answer, so that its totals tell nothing new.
    #[serde(rename = "r", default)]
    has_records: bool,
    /// The last total of a client that writes no records.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    total: Option<Counts>,
    /// How many totals there were.
    #[serde(rename = "n", default)]
    totals: u64,
    /// Whether an answer was seen that is the fork's own.
    #[serde(rename = "o", default)]
    has_own: bool,
    /// The context's size after the last answer and after the one before, in tokens.
    #[serde(rename = "p", default)]
    sizes: [u64; 2],
}

/// A turn's beginning.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    #[serde(rename = "i")]
    turn: String,
    /// How much the model can read, in tokens.
    #[serde(rename = "w")]
    window: u64,
    /// Whether the client says who began it, as it does of all but a `/compact`.
    #[serde(rename = "a")]
    is_attributed: bool,
}

/// A turn's model.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct TurnContext {
    #[serde(rename = "i")]
    turn: String,
    #[serde(rename = "m")]
    model: String,
    /// What tells models apart that cannot read each other's compactions.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// An answer whose model is not known yet.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "t")]
    turn: String,
    /// The thread and the session that the record names, if they are not the rollout's.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    owner: Option<(String, String)>,
    /// What the thread has used by then, all tokens together: no two answers of a thread have the same.
    #[serde(rename = "n", default)]
    thread_total: u64,
    #[serde(rename = "u")]
    counts: Counts,
    #[serde(rename = "a")]
    at: Option<i64>,
    /// The model before, and its mark, if the answer is a compaction that opens a turn.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    before: Option<(String, Option<String>)>,
}

/// The client's counts: input (with what the cache had and took), read from the cache, written to it, output (with reasoning),
/// reasoning, and all together by the API's own word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Counts([u64; 6]);

impl Counts {
    const NAMES: [&'static str; 6] = [
        "input_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
        "total_tokens",
    ];

    /// `None` if the object lacks what no version leaves out.
    fn of(object: &Object<'_>) -> Option<Self> {
        let counts = Self::NAMES.map(|name| object.count(name));
        // One that is there and no count would make the others wrong.
        let is_odd = |(name, count): (&str, Option<u64>)| count.is_none() && object.raw(name).is_some();
        if Self::NAMES.into_iter().zip(counts).any(is_odd) {
            return None;
        }
        (counts[0].is_some() && counts[1].is_some() && counts[3].is_some())
            .then(|| Self(counts.map(Option::unwrap_or_default)))
    }

    /// What these have more than others; `None` if any is less.
    fn since(self, earlier: Self) -> Option<Self> {
        let mut more = [0; 6];
        for (more, (now, before)) in more.iter_mut().zip(self.0.iter().zip(earlier.0)) {
            *more = now.checked_sub(before)?;
        }
        Some(Self(more))
    }

    fn usage(self) -> Usage {
        let [input, cache_read, cache_write, output, ..] = self.0;
        line_log::usage_of_whole_input(input, cache_read, cache_write, output)
    }
}

/// Reads what a rollout has new.
pub(super) fn read(buffer: &mut Buffer, path: &Path, from: &ReadFrom) -> Result<LogDelta, ReadError> {
    let mut copied: Option<HashSet<u64>> = None;
    let mut delta = line_log::read(buffer, path, from, |log: &mut LineLog<RolloutState>, line| {
        if let Some(kind) = plain_kind(line) {
            return kind;
        }
        let kind = line_log::with_object(line, |object| {
            let mut reading = Reading { log, path, from, copied: &mut copied };
            reading.add(object)
        });
        kind.unwrap_or(LineKind::Foreign)
    })?;
    delta.responses.shrink_to_fit();
    Ok(delta)
}

/// What a line is whose beginning says that it tells nothing that counts: most of a rollout is content.
fn plain_kind(line: &[u8]) -> Option<LineKind> {
    const PLAIN: [&[u8]; 3] = [b"response_item\"", b"world_state\"", b"inter_agent_communication_metadata\""];
    const PLAIN_EVENTS: [&[u8]; 6] = [
        b"item_completed\"",
        b"agent_message\"",
        b"agent_reasoning\"",
        b"patch_apply_end\"",
        b"exec_command_end\"",
        b"mcp_tool_call_end\"",
    ];
    let head = &line[..line.len().min(160)];
    let head = head.strip_prefix(b"{\"timestamp\":\"")?;
    let at = memchr::memmem::find(head, b"\",\"type\":\"").map(|at| at + 10).or_else(|| {
        // Later versions have a number in between.
        memchr::memmem::find(head, b",\"type\":\"").map(|at| at + 9)
    })?;
    let rest = &head[at..];
    let is_plain = PLAIN.iter().any(|name| rest.starts_with(name));
    let event = rest.strip_prefix(b"event_msg\",\"payload\":{\"type\":\"");
    let is_plain =
        is_plain || event.is_some_and(|event| PLAIN_EVENTS.iter().any(|name| event.starts_with(name)));
    (is_plain && line.ends_with(b"}")).then_some(LineKind::Known)
}

/// A rollout while a line of it is read.
struct Reading<'r> {
    log: &'r mut LineLog<RolloutState>,
    path: &'r Path,
    from: &'r ReadFrom,
    /// The answers of the thread that this one was forked from, if they were needed.
    copied: &'r mut Option<HashSet<u64>>,
}

impl Reading<'_> {
    fn add(&mut self, line: &Object<'_>) -> LineKind {
        let (Some(kind), Some(payload)) = (line.text("type"), line.object("payload")) else {
            return LineKind::Foreign;
        };
        let at = line_log::time(line, "timestamp");
        // What a fork has copied keeps its time.
        let began = self.log.state.began.map(Timestamp::from_millis);
        if at >= began {
            self.log.note_time(at);
        }
        match kind.as_ref() {
            "session_meta" => self.add_meta(&payload, at),
            "turn_context" => self.add_context(&payload),
            "token_usage_record" => self.add_record(&payload, at),
            "compacted" => self.add_compaction(&payload, at),
            "event_msg" => self.add_event(&payload, at),
            "response_item" | "world_state" | "inter_agent_communication_metadata" => LineKind::Known,
            _ => LineKind::Other,
        }
    }

    fn add_meta(&mut self, meta: &Object<'_>, at: Option<Timestamp>) -> LineKind {
        let id = line_log::id(meta, "id").or_else(|| line_log::id(meta, "session_id"));
        let Some(id) = id else { return LineKind::Unknown };
        // A second one is the parent's, copied.
        if self.log.state.thread.is_some() {
            return LineKind::Known;
        }
        let source = meta.object("source").and_then(|source| source.object("subagent"));
        let spawn = source.as_ref().and_then(|source| source.object("thread_spawn"));
        let parent = line_log::id(meta, "parent_thread_id")
            .or_else(|| line_log::id(spawn.as_ref()?, "parent_thread_id"));
        let session = line_log::id(meta, "session_id").or(parent).unwrap_or_else(|| id.clone());
        let thread = id;
        if thread != session {
            let name = |object: &Object<'_>, name| line_log::name(object, name, MAX_NAME_CHARS);
            let named = spawn
                .as_ref()
                .and_then(|spawn| name(spawn, "agent_role").or_else(|| name(spawn, "agent_type")));
            let by_source = || {
                let kind = meta.object("source")?.text("subagent")?;
                clean_name(&kind, MAX_NAME_CHARS)
            };
            let agent_type = named
                .or_else(by_source)
                .or_else(|| name(meta, "thread_source").filter(|kind| kind != "subagent" && kind != "user"));
            self.log.delta.run =
                AgentId::new(&thread).map(|id| LoggedRun { id, agent_type, session: None, logged: None });
        }
        self.log.delta.session = SessionId::new(&session);
        let facts = &mut self.log.facts;
        facts.client_version = line_log::name(meta, "cli_version", MAX_NAME_CHARS);
        facts.project = line_log::project(meta, "cwd");
        facts.git_branch =
            meta.object("git").and_then(|git| line_log::name(&git, "branch", line_log::MAX_BRANCH_CHARS));
        facts.kind = match meta.text("source").as_deref() {
            Some("exec" | "mcp") => Some(SessionKind::Headless),
            Some("cli" | "vscode") => Some(SessionKind::Interactive),
            _ => None,
        };
        let (branch, version) = (facts.git_branch.clone(), facts.client_version.clone());
        let state = &mut self.log.state;
        state.branch = branch;
        state.forked_from = line_log::id(meta, "forked_from_id");
        state.began = at.filter(|_| state.forked_from.is_some()).map(Timestamp::as_millis);
        state.has_records |= version.is_some_and(|version| client_version(&version) >= WRITES_RECORDS);
        (state.thread, state.session) = (Some(thread), Some(session));
        LineKind::Known
    }

    fn add_context(&mut self, context: &Object<'_>) -> LineKind {
        let Some(model) = line_log::id(context, "model") else { return LineKind::Unknown };
        let now = TurnContext {
            turn: line_log::id(context, "turn_id").unwrap_or_default(),
            model,
            hash: line_log::id(context, "comp_hash"),
        };
        let state = &mut self.log.state;
        let window = state.begun.as_ref().filter(|begun| begun.turn == now.turn).map(|begun| begun.window);
        if let Some(window) = window.filter(|window| *window > 0)
            && (state.windows.len() < MAX_WINDOWS || state.windows.contains_key(&now.model))
        {
            state.windows.insert(now.model.clone(), window);
        }
        state.context = Some(now);
        self.settle_waiting();
        LineKind::Known
    }

    /// Gives answers of the turn that is known now, which have waited for it, their model. Those of a turn of which nothing is
    /// told have none.
    fn settle_waiting(&mut self) {
        let Some(context) = self.log.state.context.clone() else { return };
        let (settled, waiting) = std::mem::take(&mut self.log.state.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.turn == context.turn);
        self.log.state.waiting = waiting;
        for answer in settled {
            let model = self.model_of(&answer, &context);
            let record = self.record(&answer, Some(&model));
            let known = record
                .as_ref()
                .and_then(|record| self.log.delta.responses.iter_mut().rfind(|known| known.id == record.id));
            match (known, record) {
                (Some(known), Some(record)) => *known = record,
                (None, Some(record)) => self.log.delta.responses.push(record),
                (_, None) => {}
            }
        }
    }

    /// The model of an answer in a turn. A compaction that opens a user's turn is made by the model before if the turn's own
    /// cannot read it or has less room.
    fn model_of(&self, answer: &Waiting, context: &TurnContext) -> String {
        let state = &self.log.state;
        let begun = state.begun.as_ref().filter(|begun| begun.turn == answer.turn);
        if let Some((model, hash)) = &answer.before
            && begun.is_some_and(|begun| begun.is_attributed)
        {
            let window = |model: &str| state.windows.get(model).copied().unwrap_or_default();
            if *hash != context.hash || window(model) > window(&context.model) {
                return model.clone();
            }
        }
        context.model.clone()
    }

    fn add_record(&mut self, record: &Object<'_>, at: Option<Timestamp>) -> LineKind {
        let text = |name: &str| line_log::id(record, name);
        let counts = record.object("usage").and_then(|usage| Counts::of(&usage));
        let (Some(id), Some(counts)) = (text("response_id"), counts) else { return LineKind::Unknown };
        let total = record.object("thread_token_usage").and_then(|usage| usage.count("total_tokens"));
        let (thread, session) = (text("thread_id"), text("session_id"));
        let state = &mut self.log.state;
        state.has_records = true;
        // A file whose first line is damaged is its name's.
        let own = state.thread.as_deref().unwrap_or(self.from.session.as_str());
        let is_own = thread.as_deref().is_none_or(|thread| thread == own);
        let owner = thread.zip(session).filter(|_| !is_own);
        let turn = text("turn_id").unwrap_or_default();
        let answer = Waiting {
            id,
            turn,
            owner,
            thread_total: total.unwrap_or_default(),
            counts,
            at: at.map(Timestamp::as_millis),
            before: None,
        };
        self.log.is_answered = true;
        if is_own {
            let usage = counts.usage();
            state.sizes = [usage.prompt().saturating_add(usage.output), state.sizes[0]];
        }
        let context = self.log.state.context.clone().filter(|context| context.turn == answer.turn);
        let model = context.as_ref().map(|context| context.model.as_str());
        let is_known = model.is_some();
        let Some(record) = self.record(&answer, model) else { return LineKind::Unknown };
        self.log.delta.responses.push(record);
        if !is_known && self.log.state.waiting.len() < MAX_WAITING {
            self.log.state.waiting.push(answer);
        }
        LineKind::Known
    }

    /// An answer as it is stored.
    fn record(&mut self, answer: &Waiting, model: Option<&str>) -> Option<ResponseRecord> {
        let state = &self.log.state;
        let own = || Some((state.thread.clone()?, state.session.clone()?));
        let owner = answer.owner.clone().or_else(own);
        let is_copy = answer.owner.is_some();
        let (thread, session) = match owner {
            Some((thread, session)) => (thread, SessionId::new(&session)?),
            None => (self.from.session.to_string(), self.from.session.clone()),
        };
        let agent = if thread == session.as_str() { None } else { AgentId::new(&thread) };
        if agent.is_none() && !is_copy && model.is_some() {
            self.log.facts.model = model.and_then(ModelId::new);
        }
        let answer = line_log::Answer {
            id: &format!("codex/{thread}/{}/{}", answer.id, answer.thread_total),
            session: &session,
            agent,
            model,
            at: answer.at.map(Timestamp::from_millis),
            usage: answer.counts.usage(),
            branch: state.branch.clone(),
            is_copy,
        };
        line_log::record(answer, self.log.delta.file_start)
    }

    fn add_compaction(&mut self, compaction: &Object<'_>, at: Option<Timestamp>) -> LineKind {
        let id = line_log::id(compaction, "compaction_response_id");
        let state = &mut self.log.state;
        let before = compaction.object("resume_metadata").and_then(|meta| {
            let settings = meta.object("previous_turn_settings")?;
            Some((line_log::id(&settings, "model")?, line_log::id(&settings, "comp_hash")))
        });
        if let Some(waiting) = state.waiting.iter_mut().find(|waiting| Some(&waiting.id) == id.as_ref()) {
            waiting.before = before;
        }
        let is_main = state.thread == state.session;
        let trigger = match &state.begun {
            Some(begun) if begun.is_attributed => CompactionTrigger::Auto,
            Some(_) if state.has_records => CompactionTrigger::Manual,
            _ => CompactionTrigger::Unknown,
        };
        let thread = state.thread.clone().unwrap_or_else(|| self.from.session.to_string());
        let millis = at.map_or(0, Timestamp::as_millis);
        // The answer that made it is the last one where it has a record.
        let tokens_before = if id.is_some() { state.sizes[1] } else { state.sizes[0] };
        if is_main && let Some(session) = state.session.as_deref().and_then(SessionId::new) {
            self.log.add_compaction(CompactionRecord {
                uuid: id.unwrap_or_else(|| format!("{thread}/compacted/{millis}")),
                session,
                trigger,
                at,
                tokens_before: (tokens_before > 0).then_some(tokens_before),
                tokens_after: None,
            });
        }
        LineKind::Known
    }

    fn add_event(&mut self, event: &Object<'_>, at: Option<Timestamp>) -> LineKind {
        match event.text("type").as_deref() {
            Some("task_started") => self.add_turn(event, at),
            Some("token_count") => return self.add_total(event, at),
            Some("user_message") if self.log.state.begun.is_none() => {
                let thread = self.log.state.thread.clone().unwrap_or_else(|| self.from.session.to_string());
                let millis = at.map_or(0, Timestamp::as_millis);
                self.add_prompt(format!("{thread}/prompt/{millis}"), None, at);
            }
            Some("task_complete" | "turn_aborted" | "user_message") => {}
            _ => return LineKind::Other,
        }
        LineKind::Known
    }

    fn add_turn(&mut self, event: &Object<'_>, at: Option<Timestamp>) {
        self.log.is_answered = false;
        let Some(turn) = line_log::id(event, "turn_id") else { return };
        self.log.state.begun = Some(Begun {
            turn: turn.clone(),
            window: event.count("model_context_window").unwrap_or_default(),
            is_attributed: event.raw("turn_attribution").is_some(),
        });
        self.add_prompt(turn.clone(), Some(turn), at);
    }

    fn add_prompt(&mut self, uuid: String, prompt_id: Option<String>, at: Option<Timestamp>) {
        let state = &self.log.state;
        let session = state.session.as_deref().and_then(SessionId::new);
        if state.thread == state.session
            && let Some(session) = session
        {
            self.log.add_prompt(PromptRecord { uuid, session, prompt_id, at });
        }
    }

    /// Adds a total of a client that writes no record for each answer: what it has more than the one before was used by one.
    fn add_total(&mut self, event: &Object<'_>, at: Option<Timestamp>) -> LineKind {
        let Some(info) = event.object("info") else { return LineKind::Known };
        if self.log.state.has_records {
            return LineKind::Known;
        }
        let counts = |name: &str| info.object(name).and_then(|counts| Counts::of(&counts));
        let (Some(total), Some(last)) = (counts("total_token_usage"), counts("last_token_usage")) else {
            return LineKind::Unknown;
        };
        let number = self.log.state.totals;
        self.log.state.totals += 1;
        let before = self.log.state.total.replace(total);
        let is_copy = !self.log.state.has_own && self.is_copied([total, last]);
        if is_copy {
            return LineKind::Known;
        }
        self.log.state.has_own = true;
        if before == Some(total) {
            return LineKind::Known;
        }
        let counts = before.and_then(|before| total.since(before)).unwrap_or(last);
        let thread = self.log.state.thread.clone().unwrap_or_else(|| self.from.session.to_string());
        let usage = counts.usage();
        let state = &mut self.log.state;
        state.sizes = [usage.prompt().saturating_add(usage.output), state.sizes[0]];
        let answer = Waiting {
            id: format!("{thread}{}/{number}/{}", paths::segment_of(self.path, &thread), total.0[5]),
            turn: String::new(),
            owner: None,
            thread_total: 0,
            counts,
            at: at.map(Timestamp::as_millis),
            before: None,
        };
        let model = state.context.as_ref().map(|context| context.model.clone());
        self.log.is_answered = true;
        let Some(record) = self.record(&answer, model.as_deref()) else { return LineKind::Unknown };
        self.log.delta.responses.push(record);
        LineKind::Known
    }

    /// Whether the thread that this one was forked from has the same total.
    fn is_copied(&mut self, counts: [Counts; 2]) -> bool {
        let Some(parent) = &self.log.state.forked_from else { return false };
        let copied = self.copied.get_or_insert_with(|| {
            paths::rollout_of(parent, self.path).map(|path| totals_of(&path)).unwrap_or_default()
        });
        copied.contains(&hash_of(&counts))
    }
}

/// What stands for a total and its last answer: there can be very many.
fn hash_of(counts: &[Counts; 2]) -> u64 {
    let mut hasher = SipHasher13::new();
    counts.hash(&mut hasher);
    hasher.finish()
}

/// The totals of a rollout, each with its last answer, as [`hash_of`] them.
fn totals_of(path: &Path) -> HashSet<u64> {
    let mut totals = HashSet::new();
    let mut buffer = Buffer::default();
    let Ok(mut lines) = Lines::open(&mut buffer, path, None) else { return totals };
    while let Ok(Some(line)) = lines.next_whole_line() {
        if totals.len() >= MAX_COPIED {
            break;
        }
        if memchr::memmem::find(line, b"\"token_count\"").is_none() {
            continue;
        }
        let found = line_log::with_object(line, |line| {
            let info = line.object("payload")?.object("info")?;
            let counts = |name: &str| info.object(name).and_then(|counts| Counts::of(&counts));
            Some(hash_of(&[counts("total_token_usage")?, counts("last_token_usage")?]))
        });
        totals.extend(found.flatten());
    }
    totals
}
