//! What a session's model says: responses, the calls in them, what those return, subagents.

use super::{Agent, Block, CacheTime, Context, Response, Session, Streaming, Voice, number, tokens};
use crate::clock::{MINUTE, rfc3339};
use crate::log::{Log, Whose, push};
use crate::models::{Era, per_call, per_result, slope};
use crate::prices::Processing;
use crate::tools::{self, Call, Returned};
use crate::tree::{Feature, Maker};
use crate::truth::{Figures, Spender, Usage};
use crate::words::{Kind, millitokens, push_lines};

impl Session {
    /// A response, the tools that it calls, and what they return.
    pub(super) fn step(&mut self, maker: &mut Maker<'_>, voice: &mut Voice, is_last: bool, depth: u32) {
        let words = maker.words;
        let mut calls = Vec::new();
        if !is_last {
            let count = maker.chance.weighted(&[(1, 6), (2, 2), (3, 1)]);
            for _ in 0..count {
                let setting = self.setting(maker);
                let mut tasks = self.tasks;
                calls.push(tools::any_call(setting, &mut tasks, words, &mut maker.chance));
                self.tasks = tasks;
            }
            let feature = if depth == 0 { Feature::Subagent } else { Feature::NestedSubagent };
            let may_start = depth == 0 || depth == 1 && self.era == Era::Current;
            let percent = if depth == 0 { 5 } else { 2 };
            if may_start && (maker.wants(feature, percent) || self.lacks_subagent(maker)) {
                let setting = self.setting(maker);
                calls.push(tools::call("Agent", setting, &mut self.tasks.clone(), words, &mut maker.chance));
            }
        }
        let says = is_last || maker.chance.percent(45);
        let bytes = maker.chance.around(if is_last { 500 } else { 160 }, 2);
        let text = words.passage(Kind::Prose, bytes, &mut maker.chance);
        let mut blocks = Vec::new();
        if maker.chance.percent(30) {
            blocks.push(Block::Thought(maker.chance.around(260, 3)));
        }
        if says || calls.is_empty() {
            blocks.push(Block::Text(text));
        }
        blocks.extend(calls.iter().map(Block::Call));
        if self.has_ids == (false, false) {
            // Nothing but the line's own uuid names such a response, so it has one line.
            let last = blocks.pop();
            blocks.clear();
            blocks.extend(last);
            calls.drain(..calls.len().saturating_sub(1));
            blocks = match calls.last() {
                Some(call) => vec![Block::Call(call)],
                None => vec![Block::Text(text)],
            };
        }
        let response = self.open(maker, voice, &blocks);
        // Today's client writes a result as soon as it is there, between the lines of one response.
        let is_between =
            self.era == Era::Current && calls.len() > 1 && maker.wants(Feature::ResultsBetweenLines, 30);
        for (number, block) in blocks.iter().enumerate() {
            self.line(maker, voice, &response, number, block);
            if let (true, Block::Call(call)) = (is_between, block) {
                self.answer(maker, voice, call, depth);
            }
        }
        if !is_between {
            for call in &calls {
                self.answer(maker, voice, call, depth);
            }
        }
        for call in &calls {
            *maker.truth.tools.entry(call.tool.to_owned()).or_default() += 1;
        }
        maker.session(&self.id).tool_calls += calls.len() as u64;
        if self.era >= Era::Middle
            && !calls.is_empty()
            && voice.agent.is_none()
            && maker.wants(Feature::ClientsWords, 8)
        {
            self.remind(maker, voice);
        }
    }

    /// Whether the tree has no subagent yet of the kind that this client leaves behind.
    fn lacks_subagent(&self, maker: &Maker<'_>) -> bool {
        let feature = match self.era {
            Era::Early => Feature::Sidechain,
            Era::Flat if number(self.version) < (2, 1, 0) => Feature::FlatAgentFile,
            Era::Flat => Feature::Echo,
            Era::Middle => Feature::Subagent,
            Era::Current => Feature::WorkflowAgent,
        };
        maker.made(feature) == 0
    }

    /// Works out what a response uses, and counts it.
    pub(super) fn open(
        &mut self,
        maker: &mut Maker<'_>,
        voice: &mut Voice,
        blocks: &[Block<'_>],
    ) -> Response {
        let model = voice.model;
        let mut thought = 0;
        let mut output = 3;
        for block in blocks {
            output += match block {
                Block::Text(lines) => tokens(millitokens(lines), slope(model, "")) + 2,
                Block::Thought(tokens) => {
                    thought += tokens;
                    *tokens
                }
                Block::Call(call) => tokens(call.millitokens, slope(model, "")) + per_call(model),
            };
        }
        let context = &mut voice.context;
        if self.clock >= context.cached_until {
            context.cached = 0;
        }
        let prompt = context.size;
        let fresh = prompt.saturating_sub(context.cached);
        let input = fresh.min(maker.chance.between(1, 9));
        let writes = fresh - input;
        let long = match self.cache_time {
            CacheTime::FiveMinutes => 0,
            CacheTime::OneHour => writes,
            CacheTime::Both => writes * 2 / 3,
        };
        let has_search = voice.agent.is_none() && self.era >= Era::Flat && maker.wants(Feature::WebSearch, 2);
        let usage = Usage {
            input,
            output,
            cache_read: prompt - fresh,
            cache_write_5m: writes - long,
            cache_write_1h: long,
            web_searches: if has_search { maker.chance.between(1, 4) } else { 0 },
        };
        context.size += output;
        context.cached = prompt;
        let time = if self.cache_time == CacheTime::FiveMinutes { 5 } else { 60 };
        context.cached_until = self.clock + time * MINUTE;

        let count = blocks.len();
        let start_value = maker.chance.pick(&[1, 1, 2, 4, 8, 31]);
        let start_value = start_value.min(output);
        let logged: Vec<u64> = match self.streaming {
            Streaming::Whole => vec![output; count],
            Streaming::Growing => {
                (1..=count).map(|at| if at == count { output } else { start_value }).collect()
            }
            Streaming::StartValue => vec![start_value; count],
        };
        let response = Response {
            id: self.has_ids.1.then(|| format!("msg_01{}", maker.chance.letters(22))),
            request: self.has_ids.0.then(|| format!("req_011C{}", maker.chance.letters(20))),
            usage,
            logged,
            thought,
            stop_reason: if blocks.iter().any(|block| matches!(block, Block::Call(_))) {
                "tool_use"
            } else {
                "end_turn"
            },
            processing: if voice.agent.is_none() {
                self.processing
            } else {
                Processing { fast: false, ..self.processing }
            },
            advisor: self.advisor(maker, voice),
        };
        self.count(maker, voice, &response);
        response
    }

    /// Another model that is asked within a response; billed besides. Only for models whose price does not depend on the
    /// length of a prompt, for the response's own usage is the sum of several prompts then.
    fn advisor(&self, maker: &mut Maker<'_>, voice: &Voice) -> Option<(&'static str, Usage)> {
        let is_plain = maker
            .prices
            .find(voice.model)
            .is_some_and(|model| model.prices.iter().all(|price| price.above == 0));
        if self.era < Era::Current || !is_plain || !self.may_hide() {
            return None;
        }
        let model = self.era.model(self.clock, &mut maker.chance);
        if model.contains("haiku") || !maker.wants(Feature::Advisor, 2) {
            return None;
        }
        let usage = Usage {
            input: voice.context.size / 2,
            output: maker.chance.between(80, 900),
            ..Usage::default()
        };
        Some((model, usage))
    }

    fn count(&mut self, maker: &mut Maker<'_>, voice: &Voice, response: &Response) {
        let logged = response.logged.iter().copied().max().unwrap_or(0);
        let usage = Usage { output: logged, ..response.usage };
        let spender = match &voice.agent {
            None => Spender::Main,
            Some(agent) => Spender::Agent(agent.known_kind.unwrap_or("subagent")),
        };
        let prompt = usage.prompt();
        let cost =
            maker.prices.cost(voice.model, self.clock, prompt, &usage, response.processing).unwrap_or(0);
        if let Some(rates) = maker.prices.rates(voice.model, self.clock, prompt, response.processing)
            && maker.prices.rates(voice.model, self.clock, 0, response.processing) != Some(rates)
        {
            maker.note(Feature::LongPrompt);
        }
        let figures =
            Figures { responses: 1, usage, pico_usd: cost, unlogged_output: response.usage.output - logged };
        maker.truth.spend(&self.id, spender, voice.model, self.clock, figures);
        self.add_to_total(maker, voice.model, &response.usage, prompt, response.processing);
        if let Some((model, usage)) = response.advisor {
            let processing = Processing::default();
            let cost = maker.prices.cost(model, self.clock, usage.prompt(), &usage, processing).unwrap_or(0);
            let figures = Figures { responses: 1, usage, pico_usd: cost, unlogged_output: 0 };
            maker.truth.spend(&self.id, spender, model, self.clock, figures);
            self.add_to_total(maker, model, &usage, usage.prompt(), processing);
        }
    }

    /// Writes a line of a response.
    pub(super) fn line(
        &mut self,
        maker: &mut Maker<'_>,
        voice: &Voice,
        response: &Response,
        number: usize,
        block: &Block<'_>,
    ) {
        if number > 0 {
            self.wait(maker, 40, 300);
        }
        let is_whole = match self.streaming {
            Streaming::Whole => true,
            Streaming::Growing => number + 1 == response.logged.len(),
            Streaming::StartValue => false,
        };
        let mut message = String::from("{");
        if let Some(id) = &response.id {
            push(&mut message, &["\"id\":\"", id, "\","]);
        }
        push(
            &mut message,
            &["\"type\":\"message\",\"role\":\"assistant\",\"model\":\"", voice.model, "\",\"content\":["],
        );
        match block {
            Block::Text(lines) => {
                message.push_str("{\"type\":\"text\",\"text\":\"");
                push_lines(&mut message, lines);
                message.push_str("\"}");
            }
            Block::Thought(_) => {
                let signature = maker.chance.letters(90);
                push(
                    &mut message,
                    &["{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"", &signature, "\"}"],
                );
            }
            Block::Call(call) => {
                let parts = [
                    "{\"type\":\"tool_use\",\"id\":\"",
                    &call.id,
                    "\",\"name\":\"",
                    call.tool,
                    "\",\"input\":",
                    &call.input,
                    "}",
                ];
                push(&mut message, &parts);
            }
        }
        message.push_str("],\"stop_reason\":");
        match is_whole {
            true => push(&mut message, &["\"", response.stop_reason, "\""]),
            false => message.push_str("null"),
        }
        push(
            &mut message,
            &[",\"stop_sequence\":null,\"usage\":", &self.usage_json(response, response.logged[number]), "}"],
        );

        let uuid = maker.chance.uuid();
        let mut body = String::with_capacity(message.len() + 200);
        push(&mut body, &["\"message\":", &message]);
        if let Some(request) = &response.request {
            push(&mut body, &[",\"requestId\":\"", request, "\""]);
        }
        if self.era == Era::Current {
            if let Some(agent) = &voice.agent {
                push(&mut body, &[",\"attributionAgent\":\"", agent.kind, "\""]);
            }
            if let (Some(skill), None) = (self.skill, &voice.agent) {
                push(&mut body, &[",\"attributionSkill\":\"", skill, "\""]);
            }
        }
        if let Some(log) = voice.log {
            self.logs[log].record(&self.common, voice.whose(), "assistant", &body, self.clock, &uuid);
            if log == 0 {
                self.last_at = self.clock;
            }
        }
        if voice.is_echoed {
            let body = format!(
                "\"data\":{{\"message\":{{\"type\":\"assistant\",\"timestamp\":\"{}\",{body},\"uuid\":\"{uuid}\"}},\"normalizedMessages\":[],\"type\":\"agent_progress\",\"prompt\":\"\",\"agentId\":\"{}\"}},\"toolUseID\":\"agent_{uuid}\"",
                rfc3339(self.clock),
                voice.whose().agent.unwrap_or_default()
            );
            maker.note(Feature::Echo);
            self.record(maker, 0, Whose::default(), "progress", &body);
        }
    }

    fn usage_json(&self, response: &Response, output: u64) -> String {
        let Usage { input, cache_read, cache_write_5m: short, cache_write_1h: long, web_searches, .. } =
            response.usage;
        let writes = short + long;
        let counts = format!(
            "\"input_tokens\":{input},\"cache_creation_input_tokens\":{writes},\"cache_read_input_tokens\":{cache_read},\"output_tokens\":{output}"
        );
        if self.era == Era::Early {
            return format!("{{{counts},\"service_tier\":\"standard\"}}");
        }
        let split = format!(
            "\"cache_creation\":{{\"ephemeral_5m_input_tokens\":{short},\"ephemeral_1h_input_tokens\":{long}}}"
        );
        let searches = match web_searches {
            0 if self.era < Era::Current => String::new(),
            count => {
                format!(",\"server_tool_use\":{{\"web_search_requests\":{count},\"web_fetch_requests\":0}}")
            }
        };
        if self.era == Era::Flat {
            return format!("{{{counts},{split}{searches},\"service_tier\":\"standard\"}}");
        }
        let speed = if response.processing.fast { "fast" } else { "standard" };
        let place = if response.processing.us { "us" } else { "not_available" };
        let thought = response.thought;
        let iterations = match &response.advisor {
            None => String::new(),
            Some((model, asked)) => format!(
                "{{\"type\":\"message\",{counts},{split}}},{{\"type\":\"advisor_message\",\"model\":\"{model}\",\"input_tokens\":{},\"output_tokens\":{},\"cache_read_input_tokens\":0,\"cache_creation_input_tokens\":0}}",
                asked.input, asked.output
            ),
        };
        format!(
            "{{{counts},\"output_tokens_details\":{{\"thinking_tokens\":{thought}}}{searches},\"service_tier\":\"standard\",{split},\"inference_geo\":\"{place}\",\"iterations\":[{iterations}],\"speed\":\"{speed}\"}}"
        )
    }

    /// Runs a tool and writes what it returned.
    fn answer(&mut self, maker: &mut Maker<'_>, voice: &mut Voice, call: &Call<'_>, depth: u32) {
        self.wait(maker, 60, 4_000);
        let returned = match call.agent_type() {
            Some(kind) => self.subagent(maker, kind, &call.id, depth + 1),
            None => call.run(self.setting(maker), maker.words, &mut maker.chance),
        };
        let Returned { content, response, millitokens } = returned;
        let mut body = String::with_capacity(content.len() + response.len() + 300);
        if self.era >= Era::Middle && voice.agent.is_none() {
            push(&mut body, &["\"promptId\":\"", &self.prompt_id, "\","]);
        }
        push(
            &mut body,
            &[
                "\"message\":{\"role\":\"user\",\"content\":[{\"tool_use_id\":\"",
                &call.id,
                "\",\"type\":\"tool_result\",\"content\":",
                &content,
                "}]},\"toolUseResult\":",
                &response,
            ],
        );
        if let Some(log) = voice.log {
            self.record(maker, log, voice.whose(), "user", &body);
        }
        voice.context.size += tokens(millitokens, slope(voice.model, call.tool)) + per_result(voice.model);
        if let Some(skill) = call.skill() {
            self.load_skill(maker, voice, skill);
        }
    }

    /// What follows the call of a skill: its text.
    fn load_skill(&mut self, maker: &mut Maker<'_>, voice: &mut Voice, skill: &'static str) {
        let Some(log) = voice.log else { return };
        let bytes = tools::SKILLS.iter().find(|(name, _)| *name == skill).map_or(0, |(_, bytes)| *bytes);
        let lines = maker.words.passage(Kind::Prose, bytes, &mut maker.chance);
        let mut body = String::from(
            "\"isMeta\":true,\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"",
        );
        push_lines(&mut body, lines);
        body.push_str("\"}]}");
        self.record(maker, log, voice.whose(), "user", &body);
        voice.context.size += tokens(millitokens(lines), slope(voice.model, "")) + 6;
        if voice.agent.is_none() {
            self.skill = Some(skill);
        }
    }

    /// Words of the client's own that come with the results.
    fn remind(&mut self, maker: &mut Maker<'_>, voice: &mut Voice) {
        let Some(log) = voice.log else { return };
        let line = maker.words.sentence(&mut maker.chance);
        let text = &line.escaped;
        let body = format!(
            "\"attachment\":{{\"type\":\"hook_additional_context\",\"content\":[\"{text}\"]}},\"rendered\":[{{\"content\":\"{text}\"}}]"
        );
        self.record(maker, log, voice.whose(), "attachment", &body);
        voice.context.size += tokens(line.millitokens + 10_000, slope(voice.model, ""));
    }

    /// A subagent at work; what the main conversation gets of it.
    fn subagent(&mut self, maker: &mut Maker<'_>, kind: &'static str, call: &str, depth: u32) -> Returned {
        let small = self.era.small_model(self.clock);
        let model = maker.chance.pick(&[self.main.model, small, small]);
        let version = number(self.version);
        let is_flat = self.era == Era::Flat && version < (2, 1, 0);
        let id = format!("a{}", maker.chance.hex(if is_flat { 7 } else { 16 }));
        let folder = format!("{}/{}/subagents", self.folder, self.id);
        let is_echoed = self.era == Era::Flat && version >= (2, 1, 0);
        let path = match self.era {
            // A sidechain within the main file.
            Era::Early => None,
            Era::Flat if is_flat => {
                maker.note(Feature::FlatAgentFile);
                Some(format!("{}/agent-{id}.jsonl", self.folder))
            }
            Era::Flat if maker.wants(Feature::EchoWithoutFile, 30) => None,
            Era::Current if maker.wants(Feature::WorkflowAgent, 15) => {
                Some(format!("{folder}/workflows/wf_{}/agent-{id}.jsonl", maker.chance.hex(8)))
            }
            _ => Some(format!("{folder}/agent-{id}.jsonl")),
        };
        let has_meta = self.era >= Era::Middle;
        if let (Some(path), true) = (&path, has_meta) {
            let meta = format!("{{\"agentType\":\"{kind}\",\"toolUseId\":\"{call}\"}}");
            self.metas.push((path.replace(".jsonl", ".meta.json"), meta));
        }
        let main_parent = self.logs[0].parent.clone();
        let log = match (path, self.era) {
            (Some(path), _) => {
                self.logs.push(Log::new(path));
                Some(self.logs.len() - 1)
            }
            (None, Era::Early) => {
                maker.note(Feature::Sidechain);
                self.logs[0].parent = None;
                Some(0)
            }
            (None, _) => None,
        };
        let size = maker.chance.between(8_000, 15_000);
        let mut voice = Voice {
            log,
            context: Context { size, cached: 0, cached_until: 0 },
            model,
            agent: Some(Agent {
                id: (self.era > Era::Early).then(|| id.clone()),
                kind,
                known_kind: has_meta.then_some(kind),
            }),
            is_echoed,
        };
        let prompt = maker.words.passage(Kind::Prose, 600, &mut maker.chance);
        let mut body = String::from("\"message\":{\"role\":\"user\",\"content\":\"");
        push_lines(&mut body, prompt);
        body.push_str("\"}");
        if let Some(log) = log {
            self.record(maker, log, voice.whose(), "user", &body);
        }
        let steps = maker.chance.around(maker.recipe.responses_a_turn, 1).max(2);
        let before = maker.session(&self.id).tool_calls;
        for at in 1..=steps {
            self.wait(maker, 1_200, 7_000);
            self.step(maker, &mut voice, at == steps, depth);
        }
        if log == Some(0) {
            self.logs[0].parent = main_parent;
        }
        let calls = maker.session(&self.id).tool_calls - before;
        let bytes = maker.chance.around(1_500, 2);
        let text = maker.words.passage(Kind::Prose, bytes, &mut maker.chance);
        // Its last response alone, as the client has it: a trap for readers.
        let size = voice.context.size;
        let usage = format!(
            "{{\"input_tokens\":4,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":{size},\"output_tokens\":20}}"
        );
        tools::report(&id, kind, text, &usage, size + 24, calls)
    }
}
