//! The words that the tests are written in: a [`Ledger`] of one's own, [`Session`]s that send payloads and grow
//! transcripts, the [`Example`] session of the repository.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tallyhook::cli::Console;
use tallyhook::domain::{Timestamp, Usage};
use tallyhook::env::Env;
use tallyhook::export::ExportedCall;
use tallyhook::hook::{self, HookOptions};
use tallyhook::pricing::PriceTable;
use tallyhook::report::usage::{Basis, Filter, UsageReport};
use tallyhook::store;

/// When the first event comes; each later one comes a second after the one before.
///
/// It is far in the future: to the real program, with its real clock, no session of a test is an abandoned one.
const FIRST_EVENT: &str = "2099-11-22T15:00:00Z";

/// A folder in memory with room for all tests, from which programs can be started: without it a fourth of the time is the
/// disk's.
static MEMORY: LazyLock<Option<&Path>> = LazyLock::new(|| {
    #[cfg(target_os = "linux")]
    {
        const ROOM: u64 = 1 << 30;
        let found = rustix::fs::statvfs("/dev/shm").ok()?;
        let starts_programs = !found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
        (starts_programs && found.f_bavail * found.f_frsize > ROOM).then(|| Path::new("/dev/shm"))
    }
    #[cfg(not(target_os = "linux"))]
    None
});

/// A ledger in a temporary folder with a home, a project and transcripts beside it.
pub(crate) struct Ledger {
    dir: tempfile::TempDir,
    clock: Cell<i64>,
    vars: Vec<(String, String)>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let in_memory = MEMORY.and_then(|folder| tempfile::tempdir_in(folder).ok());
        Self::in_folder(in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap()))
    }

    /// One that is not in a folder of devices, as one in memory may be.
    pub(crate) fn on_disk() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    fn in_folder(dir: tempfile::TempDir) -> Self {
        for folder in ["home", "project"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let clock = Cell::new(Timestamp::parse(FIRST_EVENT).unwrap().as_millis());
        Self { dir, clock, vars: Vec::new() }
    }

    /// The same with a variable set in the client's environment.
    pub(crate) fn with_var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets time pass between two events.
    pub(crate) fn minutes_pass(&self, minutes: i64) -> &Self {
        self.clock.set(self.clock.get() + minutes * 60_000);
        self
    }

    /// Sets the clock.
    pub(crate) fn it_is(&self, time: &str) -> &Self {
        self.clock.set(Timestamp::parse(time).unwrap().as_millis());
        self
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.dir().join("project")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir().join("data").join("ledger.db")
    }

    fn all_vars(&self) -> Vec<(String, String)> {
        let own = [("HOME", self.home()), ("TALLYHOOK_DB", self.path())]
            .map(|(name, path)| (name.to_owned(), path.to_str().unwrap().to_owned()));
        own.into_iter().chain(self.vars.clone()).collect()
    }

    /// Hands a payload to the hook, in this process.
    pub(crate) fn hook(&self, payload: impl Payload) -> &Self {
        self.hook_answer(payload);
        self
    }

    /// The same, and what the hook answers; null if it is silent.
    pub(crate) fn hook_answer(&self, payload: impl Payload) -> Value {
        self.hook_answer_meanwhile(payload, || {})
    }

    /// The same where something happens each time the hook waits.
    pub(crate) fn hook_answer_meanwhile(
        &self,
        payload: impl Payload,
        happens: impl Fn() + Send + Sync + 'static,
    ) -> Value {
        let vars = self.all_vars();
        let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (&**name, &**value)).collect();
        let now = self.clock.get();
        self.clock.set(now + 1_000);
        let env = Env::fixed(self.dir(), Timestamp::from_millis(now), &vars).with_meanwhile(happens);
        let handled = hook::handle(payload.bytes().as_slice(), &env, &HookOptions::default());
        handled.answer.map_or(Value::Null, |answer| serde_json::from_str(&answer).unwrap())
    }

    /// Hands a number of payloads to the hook, one after the other.
    pub(crate) fn hooks<P: Payload>(&self, payloads: impl IntoIterator<Item = P>) -> &Self {
        for payload in payloads {
            self.hook(payload);
        }
        self
    }

    /// The real program, not yet started: in the project, with nothing in its environment but its home, this
    /// ledger and a time zone.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallyhook"));
        command.args(args).current_dir(self.project()).env_clear().env("TZ", "UTC").envs(self.all_vars());
        command
    }

    /// Runs a command without input, in this process and as [`command`](Self::command) would.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_in(&self.project(), args)
    }

    /// The same in a folder.
    pub(crate) fn run_in(&self, folder: &Path, args: &[&str]) -> Ran {
        self.run_with_input(folder, args, b"")
    }

    /// The same with something on stdin.
    pub(crate) fn run_with_input(&self, folder: &Path, args: &[&str], stdin: &[u8]) -> Ran {
        // The first two are read from the process's own stdin, the others start programs that inherit its surroundings.
        let own_process = ["hook", "statusline", "init", "uninstall", "doctor"];
        if args.iter().any(|arg| own_process.contains(arg)) {
            return Ran::with_stdin(self.command(args).current_dir(folder), stdin);
        }
        let vars = self.all_vars();
        let vars = vars.iter().map(|(name, value)| (&**name, &**value));
        let vars: Vec<(&str, &str)> = [("TZ", "UTC")].into_iter().chain(vars).collect();
        let console = Console::in_memory(stdin);
        let words: Vec<OsString> = ["tallyhook"].iter().chain(args).map(OsString::from).collect();
        let env = Env::given(folder, &vars).with_binary(Path::new(env!("CARGO_BIN_EXE_tallyhook")));
        let code = tallyhook::cli::run(&words, env, console.clone());
        let (stdout, stderr) = console.written();
        Ran {
            code: Some(code.into()),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs the real `tallyhook hook` with a payload on its stdin.
    pub(crate) fn run_hook(&self, payload: impl Payload) -> Ran {
        Ran::with_stdin(&mut self.command(&["hook"]), &payload.bytes())
    }

    /// Runs the real `tallyhook hook` with all payloads at once. Returns what was said, without those who said nothing.
    pub(crate) fn run_hooks_at_once<P: Payload>(&self, payloads: impl IntoIterator<Item = P>) -> Vec<String> {
        let start = |payload: P| {
            let mut command = self.command(&["hook"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&payload.bytes()).unwrap();
            child
        };
        let running: Vec<_> = payloads.into_iter().map(start).collect();
        let said = running.into_iter().map(|child| child.wait_with_output().unwrap().stdout);
        said.filter(|said| !said.is_empty()).map(|said| String::from_utf8(said).unwrap()).collect()
    }

    pub(crate) fn open(&self) -> store::Ledger {
        store::Ledger::open_for_reports(&self.path()).unwrap()
    }

    /// What `show-usage --json` would say of a session if it read no transcript; null if the session is unknown.
    pub(crate) fn report(&self, session: &str) -> Value {
        let ledger = self.open();
        let Some(record) = ledger.sessions().find(session).unwrap() else { return Value::Null };
        let timeline = tallyhook::allocation::timeline(&ledger, record.row).unwrap();
        let prices = PriceTable::builtin();
        let allocations = ledger.allocations().of_session(record.row).unwrap();
        let basis = Basis { timeline: &timeline, allocations: &allocations, prices: &prices };
        let report = UsageReport::of_session(&ledger, &record, &Filter::default(), basis).unwrap();
        serde_json::to_value(report).unwrap()
    }

    /// The provider's figures for a session, subagents included; nothing if no response is known.
    pub(crate) fn usage(&self, session: &str) -> Usage {
        usage(&self.report(session)["actual"]["usage"])
    }

    /// The provider's figures for one agent of a session.
    pub(crate) fn usage_of_agent(&self, session: &str, agent: &str) -> Usage {
        let report = self.report(session);
        let rows = report["by_agent"].as_array().unwrap();
        rows.iter().filter(|row| row["agent"] == agent).map(|row| usage(&row["usage"])).sum()
    }

    /// API responses of a session.
    pub(crate) fn responses(&self, session: &str) -> u64 {
        self.report(session)["actual"]["responses"].as_u64().unwrap_or(0)
    }

    /// Output tokens of a session.
    pub(crate) fn output(&self, session: &str) -> u64 {
        self.usage(session).output
    }

    /// The provider's figures for all sessions together.
    pub(crate) fn usage_of_all(&self) -> Usage {
        let mut all = Usage::default();
        self.for_each_response_usage(|response| all += response.usage);
        all
    }

    fn for_each_response_usage(&self, mut each: impl FnMut(&store::ResponseUsage<'_>)) {
        let ledger = self.open();
        for session in ledger.sessions().all().unwrap() {
            ledger.usage().for_each_response_usage(session.row, &mut each).unwrap();
        }
    }

    /// All that `cost` counts, calls that no transcript shows too.
    pub(crate) fn usage_of_everything(&self) -> Usage {
        usage(&self.run(&["cost", "--json"]).json()["total"]["usage"])
    }

    /// API responses of all sessions together.
    pub(crate) fn responses_of_all(&self) -> u64 {
        let mut count = 0;
        self.for_each_response_usage(|_| count += 1);
        count
    }

    /// The tool calls as `export` has them; none without a ledger.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let mut calls = Vec::new();
        if self.path().exists() {
            self.open()
                .records()
                .for_each_call::<store::StoreError>(|call| {
                    calls.push(serde_json::to_value(ExportedCall::from(call)).unwrap());
                    Ok(())
                })
                .unwrap();
        }
        calls
    }

    /// The only tool call of the ledger.
    pub(crate) fn call(&self) -> Value {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1, "{calls:#?}");
        calls.remove(0)
    }

    /// SQLite's own view of the file, for what no report shows.
    pub(crate) fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    /// Fails unless SQLite finds the file sound and another event still gets its row.
    pub(crate) fn assert_sound(&self) {
        let probe = json!({
            "hook_event_name": "PostToolUse", "session_id": "probe", "tool_use_id": "toolu_probe",
            "tool_name": "Probe", "tool_input": {},
        });
        self.hook(probe);
        assert!(self.calls().iter().any(|call| call["tool"] == "Probe"), "the ledger takes no more events");
        let verdict: String =
            self.sqlite().pragma_query_value(None, "quick_check", |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    }

    /// Every byte of every file in the ledger's folder.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut files: Vec<PathBuf> = files_below(self.path().parent().unwrap());
        files.sort();
        files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// The hook's own fault log; empty if there is none.
    pub(crate) fn faults(&self) -> String {
        std::fs::read_to_string(self.path().with_file_name("hook-errors.log")).unwrap_or_default()
    }
}

/// Usage as the JSON of reports has it.
pub(crate) fn usage(value: &Value) -> Usage {
    let count = |name: &str| value[name].as_u64().unwrap_or(0);
    Usage {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_tokens"),
        cache_write_5m: count("cache_write_5m_tokens"),
        cache_write_1h: count("cache_write_1h_tokens"),
        web_searches: count("web_searches"),
    }
}

/// Held while a process is given much on its stdin: it has a deadline, and several at once on few cores would miss it.
pub(crate) fn alone_if_large(stdin: &[u8]) -> Option<MutexGuard<'static, ()>> {
    static LARGE: Mutex<()> = Mutex::new(());
    (stdin.len() > 4 << 20).then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What can be given to the hook on its stdin.
pub(crate) trait Payload {
    fn bytes(&self) -> Vec<u8>;
}

impl Payload for Value {
    /// As clients send it: one line with a newline.
    fn bytes(&self) -> Vec<u8> {
        format!("{self}\n").into_bytes()
    }
}

impl Payload for str {
    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Payload for String {
    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Payload for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }
}

impl<P: Payload + ?Sized> Payload for &P {
    fn bytes(&self) -> Vec<u8> {
        (**self).bytes()
    }
}

/// A finished process.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self::end_of(child)
    }

    pub(crate) fn with_stdin(command: &mut Command, stdin: &[u8]) -> Self {
        let _alone = alone_if_large(stdin);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A process that does not read its input is judged by how it ends.
        let _all_read = child.stdin.take().unwrap().write_all(stdin).is_ok();
        Self::end_of(child)
    }

    pub(crate) fn end_of(child: std::process::Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What a hook must be, whatever it is given: exit code 0 and not a word.
    pub(crate) fn assert_silent(&self, what: &str) {
        assert_eq!((self.code, &*self.stdout, &*self.stderr), (Some(0), "", ""), "{what}");
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Stdout of a command that went well. That no hook is registered may be said: most tests hand events over by
    /// themselves.
    pub(crate) fn text(&self) -> &str {
        let stderr = match self.stderr.strip_prefix("WARNING: tallyhook's hook isn't registered") {
            Some(rest) => rest.splitn(3, '\n').nth(2).unwrap_or_default(),
            None => &self.stderr,
        };
        assert_eq!((self.code, stderr), (Some(0), ""), "{self:?}");
        &self.stdout
    }
}

/// JSON objects that are changed a member at a time. `name` is a path: `message.usage.output_tokens`.
pub(crate) trait With {
    #[must_use]
    fn with(self, name: &str, value: impl Into<Value>) -> Self;
    #[must_use]
    fn without(self, name: &str) -> Self;
}

impl With for Value {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self;
        for part in name.split('.') {
            place = &mut place[part];
        }
        *place = value.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        let (parent, member) = name.rsplit_once('.').unwrap_or(("", name));
        let parent = parent.split('.').filter(|part| !part.is_empty());
        let object: &mut Map<String, Value> =
            parent.fold(&mut self, |place, part| &mut place[part]).as_object_mut().unwrap();
        object.remove(member);
        self
    }
}

/// A session of Claude Code: what its hooks send and what its transcript says.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    id: String,
    transcript: PathBuf,
    cwd: PathBuf,
}

impl Session {
    /// A new ledger with a session of its project that has started.
    pub(crate) fn started() -> (Ledger, Self) {
        let ledger = Ledger::new();
        let session = Self::new(&ledger, "s");
        ledger.hook(session.start());
        (ledger, session)
    }

    /// A session of the ledger's project. Its transcript does not exist before a line is written.
    pub(crate) fn new(ledger: &Ledger, id: &str) -> Self {
        let folder = ledger.dir().join("projects").join("-project");
        std::fs::create_dir_all(&folder).unwrap();
        Self { id: id.to_owned(), transcript: folder.join(format!("{id}.jsonl")), cwd: ledger.project() }
    }

    /// The same in another folder.
    pub(crate) fn in_folder(mut self, cwd: &Path) -> Self {
        self.cwd = cwd.to_path_buf();
        self
    }

    pub(crate) fn transcript(&self) -> Transcript {
        Transcript(self.transcript.clone())
    }

    /// The transcript of a subagent, in a folder below the session's (`subagents`, or deeper).
    pub(crate) fn subagent(&self, folder: &str, agent: &str) -> Transcript {
        let folder = self.transcript.with_extension("").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        Transcript(folder.join(format!("agent-{agent}.jsonl")))
    }

    /// An event with the fields that all events have.
    pub(crate) fn event(&self, name: &str) -> Value {
        json!({
            "session_id": self.id,
            "transcript_path": self.transcript,
            "cwd": self.cwd,
            "prompt_id": "prompt-1",
            "permission_mode": "default",
            "hook_event_name": name,
        })
    }

    pub(crate) fn start(&self) -> Value {
        self.event("SessionStart").with("source", "startup").without("prompt_id")
    }

    pub(crate) fn prompt(&self, prompt_id: &str) -> Value {
        self.event("UserPromptSubmit").with("prompt", "Do it.").with("prompt_id", prompt_id)
    }

    pub(crate) fn stop(&self) -> Value {
        self.event("Stop").with("stop_hook_active", false).with("last_assistant_message", "Done.")
    }

    pub(crate) fn end(&self) -> Value {
        self.event("SessionEnd").with("reason", "other")
    }

    /// A call of `tool` that went well.
    pub(crate) fn tool(&self, tool: &str, id: &str) -> Value {
        self.event("PostToolUse")
            .with("tool_name", tool)
            .with("tool_input", json!({ "command": "true" }))
            .with("tool_response", json!({ "stdout": "fine", "stderr": "" }))
            .with("tool_use_id", id)
            .with("duration_ms", 12)
    }

    /// The batch that tells what the model reads of each call.
    pub(crate) fn batch(&self, calls: &[(&str, &str, Value)]) -> Value {
        let calls: Vec<Value> = calls
            .iter()
            .map(|(tool, id, response)| {
                json!({ "tool_name": tool, "tool_input": { "command": "true" }, "tool_use_id": id,
                        "tool_response": response })
            })
            .collect();
        self.event("PostToolBatch").with("tool_calls", calls)
    }

    /// A line of the transcript with the fields that all lines have; `second` is its time.
    fn line(&self, kind: &str, second: u32, uuid: &str) -> Value {
        json!({
            "type": kind, "uuid": uuid, "sessionId": self.id, "timestamp": at(second), "isSidechain": false,
            "cwd": self.cwd, "version": "2.1.330", "gitBranch": "main", "entrypoint": "cli",
        })
    }

    /// What the user says.
    pub(crate) fn says(&self, second: u32) -> Value {
        self.line("user", second, &format!("{}-user-{second}", self.id))
            .with("message", json!({ "role": "user", "content": "Do it." }))
            .with("promptId", format!("prompt-{second}"))
    }

    /// What a tool returned.
    pub(crate) fn result(&self, second: u32) -> Value {
        self.line("user", second, &format!("{}-result-{second}", self.id)).with(
            "message",
            json!({ "role": "user", "content": [{ "type": "tool_result", "content": "fine" }] }),
        )
    }

    /// A whole answer of the model: 3 tokens of input, 100 read from the cache, 10 written to it.
    pub(crate) fn answer(&self, message: &str, second: u32, output: u64) -> Value {
        self.line("assistant", second, &format!("{}-{message}-{second}", self.id))
            .with("requestId", format!("req-{message}"))
            .with(
                "message",
                json!({
                    "id": message, "type": "message", "role": "assistant", "model": "claude-opus-5-5",
                    "stop_reason": "end_turn", "content": [{ "type": "text", "text": "Well." }],
                    "usage": {
                        "input_tokens": 3, "output_tokens": output, "cache_read_input_tokens": 100,
                        "cache_creation_input_tokens": 10,
                    },
                }),
            )
    }

    /// The same that calls a tool.
    pub(crate) fn call(&self, message: &str, second: u32, output: u64) -> Value {
        self.answer(message, second, output).with("message.stop_reason", "tool_use").with(
            "message.content",
            json!([{ "type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {} }]),
        )
    }

    /// The same whose call has an id of its own.
    pub(crate) fn call_of(&self, message: &str, second: u32, call: &str) -> Value {
        self.call(message, second, 40).with(
            "message.content",
            json!([{ "type": "tool_use", "id": call, "name": "Bash",
            "input": { "command": format!("echo {call}") } }]),
        )
    }

    /// What that call returned.
    pub(crate) fn result_of(&self, second: u32, call: &str, text: &str) -> Value {
        self.result(second)
            .with("message.content", json!([{ "type": "tool_result", "tool_use_id": call, "content": text }]))
    }

    /// An answer as a subagent's transcript has it.
    pub(crate) fn answer_of(&self, agent: &str, message: &str, second: u32, output: u64) -> Value {
        self.answer(message, second, output).with("isSidechain", true).with("agentId", agent)
    }

    /// A subagent's answer as old clients echo it in the main transcript.
    pub(crate) fn echo_of(&self, agent: &str, message: &str, second: u32, output: u64) -> Value {
        let answer = self.answer(message, second, output);
        self.line("progress", second, &format!("{}-echo-{message}-{second}", self.id))
            .with("version", "2.1.20")
            .with(
                "data",
                json!({
                    "type": "agent_progress", "agentId": agent,
                    "message": {
                        "type": "assistant", "uuid": answer["uuid"], "timestamp": answer["timestamp"],
                        "requestId": answer["requestId"], "message": answer["message"],
                    },
                }),
            )
    }

    /// The record of a compaction.
    pub(crate) fn compaction(&self, second: u32, before: u64, after: u64) -> Value {
        self.line("system", second, &format!("{}-compact-{second}", self.id))
            .with("subtype", "compact_boundary")
            .with("compactMetadata", json!({ "trigger": "auto", "preTokens": before, "postTokens": after }))
    }
}

/// The input side of `responses` answers with `output` tokens in all, see [`Session::answer`].
pub(crate) fn answers(responses: u64, output: u64) -> Usage {
    Usage {
        input: 3 * responses,
        output,
        cache_read: 100 * responses,
        cache_write_5m: 10 * responses,
        ..Usage::default()
    }
}

/// The time of a transcript's line.
pub(crate) fn at(second: u32) -> String {
    format!("2099-11-22T10:{:02}:{:02}.000Z", second / 60, second % 60)
}

/// A transcript's file.
#[derive(Debug, Clone)]
pub(crate) struct Transcript(PathBuf);

impl Transcript {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the file anew.
    pub(crate) fn write(&self, lines: &[Value]) -> &Self {
        self.write_bytes(&joined(lines))
    }

    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> &Self {
        std::fs::write(&self.0, bytes).unwrap();
        self
    }

    /// Goes on with the file.
    pub(crate) fn append(&self, lines: &[Value]) -> &Self {
        self.append_bytes(&joined(lines))
    }

    pub(crate) fn append_bytes(&self, bytes: &[u8]) -> &Self {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.0).unwrap();
        file.write_all(bytes).unwrap();
        self
    }

    /// Writes what new clients put beside a subagent's transcript.
    pub(crate) fn meta(&self, agent_type: &str) -> &Self {
        let meta = json!({ "agentType": agent_type, "toolUseId": "toolu_agent" });
        std::fs::write(self.0.with_extension("meta.json"), meta.to_string()).unwrap();
        self
    }
}

fn joined(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

/// The recorded session below `examples/session`, in a folder of its own.
pub(crate) struct Example {
    pub(crate) ledger: Ledger,
    pub(crate) payloads: Vec<String>,
}

impl Example {
    pub(crate) const SESSION: &str = "f7a1d297-8230-4cbd-9dea-8b2f2e893d87";

    pub(crate) fn new() -> Self {
        let ledger = Ledger::new();
        let projects = ledger.dir().join("projects");
        copy_folder(&repository().join("examples/session/projects"), &projects);
        let payloads = std::fs::read_to_string(repository().join("examples/session/payloads.jsonl")).unwrap();
        let payloads = payloads.replace("@PROJECTS@", projects.to_str().unwrap());
        Self { ledger, payloads: payloads.lines().map(str::to_owned).collect() }
    }

    /// The same, with all its events in the ledger.
    pub(crate) fn replayed() -> Self {
        let example = Self::new();
        example.ledger.hooks(&example.payloads);
        example
    }

    /// What the mock of the provider had counted.
    pub(crate) fn expected() -> Value {
        let path = repository().join("examples/session/expected.json");
        let expected: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        expected[Self::SESSION].clone()
    }

    pub(crate) fn report(&self) -> Value {
        self.ledger.report(Self::SESSION)
    }
}

/// Usage without the split of cache writes, which `expected.json` does not have:
/// input, output, cache writes, cache reads.
pub(crate) fn four_classes(usage: &Usage) -> [u64; 4] {
    [usage.input, usage.output, usage.cache_write(), usage.cache_read]
}

/// The same from a part of an `expected.json`.
pub(crate) fn expected_classes(part: &Value) -> [u64; 4] {
    ["input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
        .map(|name| part[name].as_u64().unwrap_or(0))
}

/// The sum of two.
pub(crate) fn sum(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    std::array::from_fn(|at| a[at] + b[at])
}

/// This crate's folder.
/// A text without the name of the ledger's folder, which some systems have two of.
pub(crate) fn without_folder(ledger: &Ledger, text: &str) -> String {
    let real = ledger.dir().canonicalize().unwrap();
    text.replace(real.to_str().unwrap(), "[folder]").replace(ledger.dir().to_str().unwrap(), "[folder]")
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder and of all below it.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for file in files_below(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&file, &copy).unwrap();
    }
}

/// The items in an order that looks like chance and is always the same for a seed.
pub(crate) fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut items = items.to_vec();
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    for last in (1..items.len()).rev() {
        // The multiplier of Knuth's MMIX generator; its low bits are poor, so the high ones are used.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap() % (last + 1);
        items.swap(last, other);
    }
    items
}

/// Settings of property tests: the same cases in every run, and no files written into the source tree.
pub(crate) fn cases(number: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: number,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_122),
        ..proptest::test_runner::Config::default()
    }
}
