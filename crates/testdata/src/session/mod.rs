//! A session while it is made: its files, its contexts, what it has used.

mod response;

use std::collections::BTreeMap;

use crate::clock::{MINUTE, rfc3339};
use crate::log::{Common, Log, Whose, push};
use crate::models::{Era, slope};
use crate::prices::{Processing, plain};
use crate::tools::{Call, Setting};
use crate::tree::{Feature, Maker};
use crate::truth::{Figures, Spender, Usage};
use crate::words::{Kind, Line, millitokens, name, push_lines, word};

/// How a client logs the output of a response that is streamed in several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streaming {
    /// Every line has the whole usage.
    Whole,
    /// The last line has it, those before have less and no `stop_reason`.
    Growing,
    /// No line has more than the start value, and none a `stop_reason`.
    StartValue,
}

/// How long the caches last that a session writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CacheTime {
    FiveMinutes,
    OneHour,
    Both,
}

/// What a model has before it.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// All of it, in tokens.
    size: u64,
    /// As much as a cache holds, and until when.
    cached: u64,
    cached_until: i64,
}

/// Whose words a response is.
#[derive(Debug, Clone)]
struct Voice {
    /// Where its lines stand; `None` if only echoes in the main file show them.
    log: Option<usize>,
    context: Context,
    model: &'static str,
    agent: Option<Agent>,
    /// Whether the client repeats its lines in the main file.
    is_echoed: bool,
}

#[derive(Debug, Clone)]
struct Agent {
    /// Unknown in sidechains within the main file.
    id: Option<String>,
    kind: &'static str,
    /// The type as far as the log tells it.
    known_kind: Option<&'static str>,
}

impl Voice {
    fn whose(&self) -> Whose<'_> {
        let agent = self.agent.as_ref();
        Whose { is_sidechain: agent.is_some(), agent: agent.and_then(|agent| agent.id.as_deref()) }
    }
}

/// A block of what a model writes.
enum Block<'b> {
    Text(&'b [Line]),
    /// Tokens of a thought that is not shown.
    Thought(u64),
    Call(&'b Call<'b>),
}

/// A response whose lines are being written.
struct Response {
    id: Option<String>,
    request: Option<String>,
    usage: Usage,
    /// Output by line: how much each says.
    logged: Vec<u64>,
    thought: u64,
    stop_reason: &'static str,
    processing: Processing,
    advisor: Option<(&'static str, Usage)>,
}

/// The client's own total of what a session has used.
#[derive(Debug, Clone, Default)]
struct Total {
    started_at: i64,
    models: BTreeMap<String, (Usage, u128)>,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    era: Era,
    version: &'static str,
    project: String,
    folder: String,
    branch: String,
    common: Common,
    clock: i64,
    main: Voice,
    logs: Vec<Log>,
    metas: Vec<(String, String)>,
    streaming: Streaming,
    cache_time: CacheTime,
    processing: Processing,
    /// Whether lines name the request, and whether they name the response.
    has_ids: (bool, bool),
    tasks: u64,
    /// The skill that later responses of the turn are marked with.
    skill: Option<&'static str>,
    total: Total,
    /// The total that was written last.
    written: Option<Total>,
    /// What no line shows and no total has told yet.
    hidden: BTreeMap<&'static str, Usage>,
    last_at: i64,
    prompt_id: String,
}

/// A context at which the client makes a summary of it.
const FULL: u64 = 165_000;

impl Session {
    /// A new session. What it does follows by [`Self::turn`] and the like.
    pub(crate) fn new(maker: &mut Maker<'_>, era: Era, start: i64, is_long: bool) -> Self {
        let place = maker.chance.below(maker.projects.len() as u64) as usize;
        let (project, branch) = maker.projects[place].clone();
        let lacks = [Feature::FlatAgentFile, Feature::Echo].map(|feature| maker.made(feature) == 0);
        let chance = &mut maker.chance;
        // The clients of some versions alone do what a tree may still lack.
        let version = match (era, lacks) {
            (Era::Flat, [true, _]) => "2.0.64",
            (Era::Flat, [_, true]) => "2.1.29",
            _ => chance.pick(era.versions()),
        };
        let model = match is_long {
            // Models with prices for long prompts.
            true => match era {
                Era::Early => "claude-sonnet-4-20250514",
                Era::Flat => "claude-sonnet-4-5-20250929",
                Era::Middle => era.model(start, chance),
                Era::Current => era.small_model(start),
            },
            false => era.model(start, chance),
        };
        let streaming = match (era, number(version)) {
            (Era::Middle | Era::Current, _) => Streaming::Whole,
            (_, (2, 0, 42) | (2, 1, 62..)) => Streaming::Growing,
            _ if chance.percent(20) => Streaming::Growing,
            _ => Streaming::StartValue,
        };
        let cache_time = match era {
            Era::Early => CacheTime::FiveMinutes,
            _ => {
                chance.weighted(&[(CacheTime::FiveMinutes, 4), (CacheTime::OneHour, 4), (CacheTime::Both, 2)])
            }
        };
        let size = if is_long { chance.between(188_000, 206_000) } else { chance.between(15_000, 24_000) };
        let has_ids = match era {
            Era::Early => chance.pick(&[(true, true), (false, true), (true, false), (false, false)]),
            _ => (true, true),
        };
        let main = Voice {
            log: Some(0),
            context: Context {
                size: if is_long && model.contains("haiku") { size / 2 } else { size },
                cached: 0,
                cached_until: 0,
            },
            model,
            agent: None,
            is_echoed: false,
        };
        let id = chance.uuid();
        let folder = format!("projects/{}", project.replace('/', "-"));
        let mut session = Self {
            common: Common { members: String::new(), stand_first: era <= Era::Flat },
            logs: vec![Log::new(format!("{folder}/{id}.jsonl"))],
            id,
            era,
            version,
            project,
            folder,
            branch,
            clock: start,
            main,
            metas: Vec::new(),
            streaming,
            cache_time,
            processing: Processing::default(),
            has_ids,
            tasks: 0,
            skill: None,
            total: Total { started_at: start - 1_400, models: BTreeMap::new() },
            written: None,
            hidden: BTreeMap::new(),
            last_at: start,
            prompt_id: String::new(),
        };
        session.set_common();
        maker.truth.sessions.entry(session.id.clone()).or_default().project.clone_from(&session.project);
        if matches!(era, Era::Middle | Era::Current) && !is_long {
            let has_fast = maker
                .prices
                .find(model)
                .is_some_and(|model| model.fast.is_some_and(|(_, until)| start < until - 5 * MINUTE * 1_440));
            session.processing.fast = has_fast && maker.wants(Feature::Fast, 4);
            session.processing.us = !session.processing.fast && maker.wants(Feature::UnitedStates, 4);
        }
        session.begin(maker);
        session
    }

    fn set_common(&mut self) {
        let Self { project, id, version, branch, era, .. } = self;
        let entrypoint = if *era == Era::Current { "\"entrypoint\":\"cli\"," } else { "" };
        self.common.members = format!(
            "\"userType\":\"external\",{entrypoint}\"cwd\":\"{project}\",\"sessionId\":\"{id}\",\"version\":\"{version}\",\"gitBranch\":\"{branch}\""
        );
    }

    /// The lines before the first prompt.
    fn begin(&mut self, maker: &mut Maker<'_>) {
        let chance = &mut maker.chance;
        match self.era {
            Era::Early => {
                let line = format!(
                    "{{\"type\":\"summary\",\"summary\":\"{} the {}\",\"leafUuid\":\"{}\"}}",
                    word(chance),
                    word(chance),
                    chance.uuid()
                );
                self.logs[0].note(&line);
            }
            Era::Flat | Era::Middle => {}
            Era::Current => {
                let line = format!(
                    "{{\"type\":\"permission-mode\",\"permissionMode\":\"default\",\"sessionId\":\"{}\"}}",
                    self.id
                );
                self.logs[0].note(&line);
                // What the client has told the model, which is in no count of a tool.
                let size = maker.recipe.result_bytes * 12;
                let mut body =
                    String::from("\"attachment\":{\"type\":\"prompt_snapshot\",\"systemPrompt\":[\"");
                push_lines(&mut body, maker.words.passage(Kind::Prose, size, &mut maker.chance));
                body.push_str("\"]}");
                self.record(maker, 0, Whose::default(), "attachment", &body);
            }
        }
    }

    fn setting<'s>(&'s self, maker: &Maker<'_>) -> Setting<'s> {
        Setting {
            era: self.era,
            version: number(self.version),
            project: &self.project,
            bytes: maker.recipe.result_bytes,
        }
    }

    fn record(&mut self, maker: &mut Maker<'_>, log: usize, whose: Whose<'_>, kind: &str, body: &str) {
        let uuid = maker.chance.uuid();
        self.logs[log].record(&self.common, whose, kind, body, self.clock, &uuid);
        if log == 0 {
            self.last_at = self.clock;
        }
    }

    fn wait(&mut self, maker: &mut Maker<'_>, low: i64, end: i64) {
        self.clock += maker.chance.between(low.unsigned_abs(), end.unsigned_abs()) as i64;
    }

    /// A prompt and all that the model does about it.
    pub(crate) fn turn(&mut self, maker: &mut Maker<'_>) {
        self.prompt(maker);
        let calls = maker.chance.around(maker.recipe.responses_a_turn, 2).max(2);
        let mut main = self.main.clone();
        for at in 1..=calls {
            self.wait(maker, 1_500, 9_000);
            self.step(maker, &mut main, at == calls, 0);
        }
        self.main = main;
        self.skill = None;
        if maker.wants(Feature::ApiError, 3) {
            let body = "\"message\":{\"id\":\"none\",\"model\":\"<synthetic>\",\"role\":\"assistant\",\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"\",\"type\":\"message\",\"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0},\"content\":[{\"type\":\"text\",\"text\":\"API Error: 529 overloaded_error\"}]},\"isApiErrorMessage\":true";
            self.record(maker, 0, Whose::default(), "assistant", body);
        }
        if self.main.context.size > FULL && !self.is_long()
            || maker.chance.percent(2)
            || self.wants_compaction(maker)
        {
            self.compact(maker);
        }
        self.wait(maker, 20, 200);
        let body =
            format!("\"subtype\":\"turn_duration\",\"durationMs\":{}", maker.chance.between(4_000, 400_000));
        self.record(maker, 0, Whose::default(), "system", &body);
        if self.era == Era::Current {
            let line = format!(
                "{{\"type\":\"last-prompt\",\"lastPrompt\":\"{}\",\"sessionId\":\"{}\"}}",
                word(&mut maker.chance),
                self.id
            );
            self.logs[0].note(&line);
        }
        self.wait(maker, 15_000, 12 * MINUTE);
    }

    fn is_long(&self) -> bool {
        self.main.context.size > 175_000 || self.main.model.contains("haiku")
    }

    fn wants_compaction(&self, maker: &mut Maker<'_>) -> bool {
        // Each kind of client once, so that one is there even where no context gets full.
        let kind = if self.era == Era::Current { Feature::HiddenCompaction } else { Feature::Compaction };
        maker.made(kind) == 0 && !self.is_long() && self.may_hide()
    }

    /// Whether the session's hidden calls cost what any call of their model does: no long prompts, no dearer processing.
    fn may_hide(&self) -> bool {
        self.processing == Processing::default()
    }

    fn prompt(&mut self, maker: &mut Maker<'_>) {
        if self.era >= Era::Flat {
            let chance = &mut maker.chance;
            let line = format!(
                "{{\"type\":\"file-history-snapshot\",\"messageId\":\"{}\",\"snapshot\":{{\"trackedFileBackups\":{{\"src/{}.rs\":{{\"version\":1}}}}}},\"isSnapshotUpdate\":false}}",
                chance.uuid(),
                name(chance)
            );
            self.logs[0].note(&line);
        }
        let bytes = maker.chance.around(220, 3);
        let lines = maker.words.passage(Kind::Prose, bytes, &mut maker.chance);
        self.prompt_id = maker.chance.uuid();
        let mut body = String::new();
        if self.era >= Era::Middle {
            push(&mut body, &["\"promptId\":\"", &self.prompt_id, "\","]);
        }
        body.push_str("\"message\":{\"role\":\"user\",\"content\":\"");
        push_lines(&mut body, lines);
        body.push_str("\"}");
        self.record(maker, 0, Whose::default(), "user", &body);
        self.main.context.size += tokens(millitokens(lines), slope(self.main.model, "")) + 8;
        maker.session(&self.id).turns += 1;
        if self.era == Era::Current && self.may_hide() && maker.wants(Feature::Title, 30) {
            let title = format!("{} the {}", word(&mut maker.chance), word(&mut maker.chance));
            let line =
                format!("{{\"type\":\"ai-title\",\"aiTitle\":\"{title}\",\"sessionId\":\"{}\"}}", self.id);
            self.logs[0].note(&line);
            let usage = Usage {
                input: maker.chance.between(250, 900),
                output: maker.chance.between(8, 40),
                ..Usage::default()
            };
            self.hide(maker, self.era.small_model(self.clock), usage);
        }
    }

    /// A call that no line shows.
    fn hide(&mut self, maker: &Maker<'_>, model: &'static str, usage: Usage) {
        *self.hidden.entry(model).or_default() += usage;
        self.add_to_total(maker, model, &usage, usage.prompt(), Processing::default());
    }

    fn add_to_total(
        &mut self,
        maker: &Maker<'_>,
        model: &str,
        usage: &Usage,
        prompt: u64,
        processing: Processing,
    ) {
        let cost = maker.prices.cost(model, self.clock, prompt, usage, processing).unwrap_or(0);
        let total = self.total.models.entry(model.to_owned()).or_default();
        total.0 += *usage;
        total.1 += cost;
    }

    /// A summary takes the place of the conversation. No line shows the call that made it.
    fn compact(&mut self, maker: &mut Maker<'_>) {
        if self.era == Era::Current && !self.may_hide() {
            return;
        }
        self.wait(maker, 8_000, 40_000);
        let before = self.main.context.size;
        let bytes = maker.recipe.result_bytes * 3;
        let summary = maker.words.passage(Kind::Prose, bytes, &mut maker.chance);
        let written = tokens(millitokens(summary), slope(self.main.model, ""));
        let after = 16_000 + written;
        if self.era == Era::Current {
            let usage = Usage { input: 4, output: written + 40, cache_read: before - 4, ..Usage::default() };
            self.hide(maker, self.main.model, usage);
            maker.note(Feature::HiddenCompaction);
        } else {
            maker.note(Feature::Compaction);
        }
        self.logs[0].parent = None;
        let body = format!(
            "\"subtype\":\"compact_boundary\",\"content\":\"Conversation compacted\",\"level\":\"info\",\"compactMetadata\":{{\"trigger\":\"auto\",\"preTokens\":{before},\"postTokens\":{after}}}"
        );
        self.record(maker, 0, Whose::default(), "system", &body);
        let mut body = String::from(
            "\"isVisibleInTranscriptOnly\":true,\"isCompactSummary\":true,\"message\":{\"role\":\"user\",\"content\":\"",
        );
        push_lines(&mut body, summary);
        body.push_str("\"}");
        self.record(maker, 0, Whose::default(), "user", &body);
        self.main.context = Context { size: after, cached: 0, cached_until: 0 };
        maker.session(&self.id).compactions += 1;
    }

    /// A question on the side (`/btw`): its own file repeats the main conversation under new request ids.
    pub(crate) fn aside(&mut self, maker: &mut Maker<'_>) {
        let id = format!("aside{}", maker.chance.hex(12));
        let mut log = Log::new(format!("{}/{}/subagents/agent-{id}.jsonl", self.folder, self.id));
        let sidechain = format!("\"isSidechain\":true,\"agentId\":\"{id}\",");
        for line in self.logs[0].text.lines() {
            let is_said = line.contains("\"type\":\"assistant\",\"uuid\"")
                || line.contains("\"type\":\"user\",\"uuid\"");
            if is_said && line.contains("\"isSidechain\":false,") {
                let request = format!("\"requestId\":\"req_aside{}", maker.chance.hex(6));
                log.note(
                    &line
                        .replace("\"isSidechain\":false,", &sidechain)
                        .replace("\"requestId\":\"req_", &request),
                );
            }
        }
        self.logs.push(log);
        let mut voice = Voice {
            log: Some(self.logs.len() - 1),
            agent: Some(Agent { id: Some(id), kind: "subagent", known_kind: None }),
            ..self.main.clone()
        };
        self.wait(maker, 1_000, 9_000);
        let text = maker.words.passage(Kind::Prose, 200, &mut maker.chance);
        let block = Block::Text(text);
        let response = self.open(maker, &mut voice, std::slice::from_ref(&block));
        let era = self.era;
        // Its lines have no mark of an agent's type.
        self.era = era.min(Era::Middle);
        self.line(maker, &voice, &response, 0, &block);
        self.era = era;
    }

    /// The client ends, in good order: today's writes its own total.
    pub(crate) fn end(&mut self, maker: &mut Maker<'_>) {
        if self.era < Era::Current {
            return;
        }
        let is_split = number(self.version) >= (2, 1, 260) || self.cache_time == CacheTime::Both;
        let mut models = String::new();
        let mut whole = 0;
        let has_mark = maker.wants(Feature::TotalWithMark, 10);
        for (model, (usage, cost)) in &self.total.models {
            let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = *usage;
            let writes = cache_write_5m + cache_write_1h;
            whole += cost;
            let mark = if has_mark && model.contains("opus") { "[1m]" } else { "" };
            let split = match is_split {
                true => format!(
                    "\"cacheCreationEphemeral5mInputTokens\":{cache_write_5m},\"cacheCreationEphemeral1hInputTokens\":{cache_write_1h},"
                ),
                false => String::new(),
            };
            let comma = if models.is_empty() { "" } else { "," };
            let cost = dollars(*cost);
            let text = format!(
                "{comma}\"{model}{mark}\":{{\"inputTokens\":{input},\"outputTokens\":{output},\"thinkingTokens\":0,\"cacheReadInputTokens\":{cache_read},\"cacheCreationInputTokens\":{writes},{split}\"webSearchRequests\":{web_searches},\"costUSD\":{cost}}}"
            );
            models.push_str(&text);
        }
        let line = format!(
            "{{\"type\":\"cost-state\",\"sessionId\":\"{}\",\"totalCostUSD\":{},\"totalAPIDuration\":7914,\"totalToolDuration\":2010,\"totalLinesAdded\":3,\"totalLinesRemoved\":1,\"totalDuration\":50401,\"startTime\":{},\"modelUsage\":{{{models}}},\"hasUnknownModelCost\":false}}",
            self.id,
            dollars(whole),
            self.total.started_at
        );
        self.logs[0].note(&line);
        maker.note(Feature::ClientsTotal);
        for (model, usage) in std::mem::take(&mut self.hidden) {
            let processing = Processing::default();
            // How long the prompts were is in no log, so no price for long ones can hold.
            let pico_usd = maker.prices.cost(model, self.last_at, 0, &usage, processing).unwrap_or(0);
            let figures = Figures { usage, pico_usd, ..Figures::default() };
            maker.truth.spend(&self.id, Spender::Hidden, plain(model), self.last_at, figures);
        }
        self.written = Some(self.total.clone());
    }

    /// The session goes on after a while, in the same file.
    pub(crate) fn resume(&mut self, maker: &mut Maker<'_>, minutes: (u64, u64)) {
        self.clock += maker.chance.between(minutes.0, minutes.1) as i64 * MINUTE;
        maker.note(Feature::Resume);
        if self.written.is_none() {
            // Nothing was written that the client could go on from.
            self.total = Total { started_at: self.clock - 900, models: BTreeMap::new() };
            self.hidden.clear();
        }
    }

    /// A fork: another session that begins with copies of all records so far. In a terminal it begins with nothing else;
    /// without one a note of its own time stands before them.
    pub(crate) fn fork(&self, maker: &mut Maker<'_>, in_terminal: bool) -> Self {
        let id = maker.chance.uuid();
        // Before the parent goes on, for a copy has all that is there.
        let pause = (self.clock - self.last_at).unsigned_abs();
        let start = self.last_at + 1 + maker.chance.below(pause / 2) as i64;
        let mut log = Log::new(format!("{}/{id}.jsonl", self.folder));
        if !in_terminal {
            let line = format!(
                "{{\"type\":\"queue-operation\",\"operation\":\"enqueue\",\"timestamp\":\"{}\",\"sessionId\":\"{id}\"}}",
                rfc3339(start)
            );
            log.note(&line);
        }
        let (old_name, new_name) =
            (format!("\"sessionId\":\"{}\"", self.id), format!("\"sessionId\":\"{id}\""));
        for line in self.logs[0].text.lines().filter(|line| line.contains("\",\"timestamp\":\"")) {
            let Some(uuid) = own_uuid(line) else { continue };
            let mut copy = line.replace(&old_name, &new_name);
            if self.era == Era::Current {
                let mark = match in_terminal {
                    true => format!(
                        ",\"forkedFrom\":{{\"sessionId\":\"{}\",\"messageUuid\":\"{uuid}\"}}}}",
                        self.id
                    ),
                    false if line.contains("\"requestSessionId\"") => "}".to_owned(),
                    false => format!(",\"requestSessionId\":\"{}\"}}", self.id),
                };
                copy.truncate(copy.len() - 1);
                copy.push_str(&mark);
            }
            log.note(&copy);
        }
        log.parent.clone_from(&self.logs[0].parent);
        let mut fork = Self {
            id,
            project: self.project.clone(),
            folder: self.folder.clone(),
            branch: self.branch.clone(),
            common: self.common.clone(),
            clock: start + 400,
            main: self.main.clone(),
            logs: vec![log],
            metas: Vec::new(),
            total: Total { started_at: start - 900, models: BTreeMap::new() },
            written: None,
            hidden: BTreeMap::new(),
            last_at: self.last_at,
            prompt_id: String::new(),
            ..*self
        };
        if let Some(written) = &self.written {
            fork.total = written.clone();
        }
        fork.set_common();
        let truth = maker.truth.sessions.entry(fork.id.clone()).or_default();
        truth.project.clone_from(&fork.project);
        truth.fork_of = Some(self.id.clone());
        maker.note(if in_terminal { Feature::TerminalFork } else { Feature::HeadlessFork });
        fork
    }

    /// Whether a total of the client's has been written.
    pub(crate) fn has_total(&self) -> bool {
        self.written.is_some()
    }

    /// The bytes of its main file.
    pub(crate) fn main_bytes(&self) -> usize {
        self.logs[0].text.len()
    }

    /// Its files: path, text and lines; those that describe subagents are without lines.
    pub(crate) fn into_files(self) -> impl Iterator<Item = (String, String, u64)> {
        let metas = self.metas.into_iter().map(|(path, meta)| (path, meta, 0));
        self.logs.into_iter().map(|log| (log.path, log.text, log.lines)).chain(metas)
    }
}

/// A record's own uuid, which its time follows.
fn own_uuid(line: &str) -> Option<&str> {
    let end = line.rfind("\",\"timestamp\":\"")?;
    let start = line[..end].rfind("\"uuid\":\"")? + "\"uuid\":\"".len();
    line.get(start..end)
}

/// Tokens of a model, from thousandths of a token of [`crate::words`] and a slope in thousandths.
fn tokens(millitokens: u64, slope: u64) -> u64 {
    (millitokens * slope).div_ceil(1_000_000)
}

/// A version by its numbers.
fn number(version: &str) -> (u64, u64, u64) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next())
}

/// Pico-dollars as a number of dollars in JSON.
fn dollars(pico: u128) -> String {
    let (whole, part) = (pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    format!("{whole}.{part:012}")
}
