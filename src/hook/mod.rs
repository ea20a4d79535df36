//! The hook: one payload on stdin, one row in the ledger, nothing on stdout or stderr, exit code 0.
//!
//! Only where the user has set a budget or switched an alert on does it speak, by the answer that [`handle`] returns.
//!
//! It fails open. Whatever goes wrong, the client goes on; the fault goes to a small log beside the ledger, with
//! nothing of the payload but paths. An event that does not reach the ledger waits beside it; for a newer release's ledger it
//! does so without a word.

mod fault_log;
mod intake;
mod lifting;
pub mod manifest;
mod on_alert;
mod on_budget;
mod on_end;
mod on_tool;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use crate::clients::{self, HookAnswer, HookEvent, HookPayload, HookProtocol};
use crate::config::{Config, Durability};
use crate::domain::{Alerts, Client, SessionId, ToolUseId, plural, project_folder};
use crate::env::Env;
use crate::error::Error;
use crate::ingest::turn::{self, IngestRequest, MidTurnRequest, WaitFor};
use crate::json::{MAX_PARTS, Object, into_text};
use crate::pricing::{PriceTable, UserPrices, read_user_prices};
use crate::stdin::{Arriving, PATIENCE};
use crate::store::{Event, EventKind, Ledger, LogBatch, SessionObservation, Spool};
pub use fault_log::path_of as fault_log_path;
use intake::{Intake, LeftOutBytes};

/// Up to this size a payload is counted in well under a millisecond.
const BRIEF_BYTES: usize = 64 << 10;

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookOptions {
    /// The ledger, if not the usual one.
    pub ledger: Option<PathBuf>,
    /// The settings file, if not the usual one.
    pub config: Option<PathBuf>,
    /// The client that calls.
    pub client: Client,
}

impl HookOptions {
    /// Reads the arguments of `tallyhook … hook …`. What it does not know it ignores: an error would be shown to
    /// the model (exit code 2).
    #[must_use]
    pub fn from_args(args: &[String], env: &Env) -> Self {
        let value = |name: &str| {
            args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix(name)? {
                "" => args.get(at + 1).map(String::as_str),
                rest => rest.strip_prefix('='),
            })
        };
        Self {
            ledger: value("--db").map(|path| env.expand(Path::new(path))),
            config: value("--config").map(|path| env.expand(Path::new(path))),
            client: value("--client").and_then(Client::from_name).unwrap_or_default(),
        }
    }
}

/// What comes of a payload.
#[derive(Debug, Default)]
pub struct Handled {
    /// The ledger, open, if it was opened: a process that ends need not close it (see [`Ledger::must_be_closed`]).
    pub ledger: Option<Ledger>,
    /// What the client is to be told: JSON, if a budget or an alert speaks.
    pub answer: Option<String>,
}

/// Handles one payload. Never fails: see the module's description.
pub fn handle(stdin: impl Arriving, env: &Env, options: &HookOptions) -> Handled {
    let mut handled = Handled::default();
    let Some(path) = ledger_path(env, options) else { return handled };
    if options.ledger.is_none()
        && let Some(misplaced) = env.misplaced(&["TALLYHOOK_DB", "XDG_DATA_HOME"])
    {
        fault_log::append(&path, env.now(), &format!("{misplaced}; it was ignored"));
    }
    match run(stdin, env, options, &path, &mut handled) {
        Ok(()) => {}
        Err(error) => fault_log::append(&path, env.now(), &with_sources(&error)),
    }
    handled
}

/// Makes the process end without a word and with exit code 0 should there be a fault in the program itself (a panic).
/// What was not committed then is as if it had never come.
pub fn end_quietly_on_panic(env: &Env, options: &HookOptions) {
    let (path, now) = (ledger_path(env, options), env.now());
    std::panic::set_hook(Box::new(move |fault| {
        if let Some(path) = &path {
            let place = fault.location().map(ToString::to_string).unwrap_or_default();
            fault_log::append(path, now, &format!("an error in tallyhook itself (panic at {place})"));
        }
        std::process::exit(0);
    }));
}

fn ledger_path(env: &Env, options: &HookOptions) -> Option<PathBuf> {
    options.ledger.clone().map(|path| env.cwd().join(path)).or_else(|| env.ledger_path())
}

/// Decodes what has arrived, opens the ledger, and does what the event asks for.
fn run(
    stdin: impl Arriving,
    env: &Env,
    options: &HookOptions,
    path: &Path,
    handled: &mut Handled,
) -> Result<(), Error> {
    let note = |fault: &str| fault_log::append(path, env.now(), fault);
    let Some((text, left_out)) = received(Intake::read(stdin), note) else { return Ok(()) };
    let Some(object) = parsed(&text, note) else { return Ok(()) };
    let client = clients::sender(&object, env, options.client);
    let protocol = clients::hooks_of(client);
    let Some(payload) = decoded(&object, protocol, env, note) else { return Ok(()) };
    let is_brief = text.len() <= BRIEF_BYTES && payload.event.is_brief();
    handled.ledger = opened(path, env, options, is_brief);
    let hook = Hook {
        env,
        options,
        protocol,
        observation: observation(&payload, env, client),
        payload: &payload,
        left_out,
        ledger_path: path,
        alerts: OnceCell::new(),
        call: OnceCell::new(),
        prices: OnceCell::new(),
    };
    let EventOutcome { recorded, answer } = hook.handle(handled.ledger.as_mut());
    handled.answer = protocol.encode(&payload.event, &answer);
    recorded
}

/// The text of a payload, and what of it was passed over; `None` if there is none.
fn received(intake: Intake, note: impl Fn(&str)) -> Option<(String, LeftOutBytes)> {
    let Intake { text, is_cut, left_out, is_given_up, timed_out, fault } = intake;
    if timed_out {
        note(&format!("a payload was skipped: it was still incomplete after {} s", PATIENCE.as_secs()));
        return None;
    }
    if let Some(fault) = fault {
        note(&format!("a payload couldn't be read completely: {fault}"));
    }
    if is_cut {
        let cut = match left_out.missing() {
            bytes if bytes < 1 << 10 => plural(bytes, "byte"),
            bytes => format!("{} KB", bytes >> 10),
        };
        note(&format!(
            "a payload was too large: {cut} of it was left out, and its event was stored without that part"
        ));
    }
    let text = into_text(text);
    if !text.trim_matches(is_padding).is_empty() {
        return Some((text, left_out));
    }
    if is_given_up {
        note("a payload was skipped: it began with more whitespace than tallyhook accepts");
    }
    None
}

fn is_padding(c: char) -> bool {
    c == '\u{feff}' || c == '\0' || c.is_ascii_whitespace()
}

/// A payload as an object; `None` if it is none.
fn parsed(text: &str, note: impl Fn(&str)) -> Option<Object<'_>> {
    match Object::parse(text.trim_matches(is_padding)) {
        Ok(object) => Some(object),
        Err(fault) => {
            if !fault.is_other_value() {
                note(&format!("a payload was skipped: {fault}"));
            }
            None
        }
    }
}

/// The event of a payload; `None` if the ledger keeps nothing of it.
fn decoded<'a>(
    object: &Object<'a>,
    protocol: &dyn HookProtocol,
    env: &Env,
    note: impl Fn(&str),
) -> Option<HookPayload<'a>> {
    let payload = protocol.decode(object, env);
    if payload.is_none() && object.members().count() >= MAX_PARTS {
        note(&format!("a payload was skipped: its first {MAX_PARTS} fields don't say which event it is"));
    }
    payload
}

/// The ledger; `None` if it can't be opened: then the event goes to the spool, whatever keeps it out.
fn opened(path: &Path, env: &Env, options: &HookOptions, is_brief: bool) -> Option<Ledger> {
    let note = |error: &dyn std::error::Error| fault_log::append(path, env.now(), &with_sources(error));
    let ledger = match Ledger::open_for_hook(path, is_brief) {
        Ok(ledger) => ledger,
        Err(error) => {
            if !error.is_passing() {
                note(&error);
            }
            return None;
        }
    };
    let durability = Config::durability_of_user(env.config_path().as_deref(), options.config.as_deref());
    if durability == Durability::Full
        && let Err(error) = ledger.sync_each()
    {
        note(&error);
    }
    Some(ledger)
}

/// What an event says of its session.
fn observation(payload: &HookPayload<'_>, env: &Env, client: Client) -> SessionObservation {
    SessionObservation {
        id: payload.session.clone().unwrap_or_else(SessionId::unknown),
        client,
        at: env.now(),
        project: match &payload.project {
            Some(project) => Some((project_folder(project.clone()), true)),
            None => payload.cwd.clone().map(|cwd| (project_folder(cwd), false)),
        },
        transcript: payload.transcript.clone(),
        kind: payload.kind,
        model: payload.model.clone(),
    }
}

/// What comes of an event.
struct EventOutcome {
    /// Whether it is in the ledger, or waits beside it.
    recorded: Result<(), Error>,
    /// What the client is to be told.
    answer: HookAnswer,
}

impl Hook<'_> {
    /// Reads what logs have new, records the event, decides whether the session may go on, and says what alerts have to say.
    /// What isn't known stops nobody.
    fn handle(&self, mut ledger: Option<&mut Ledger>) -> EventOutcome {
        let (recorded, answer) = if let HookEvent::UserPromptSubmit { .. } = self.payload.event {
            // What the session before has last used decides, too: `/clear` tells it after that one's end and this one's start.
            if let Some(Err(error)) = ledger.as_deref_mut().map(|ledger| on_end::read_ended(self, ledger)) {
                self.note(&error);
            }
            // A prompt that is blocked is no turn, so this comes first.
            let answer = self.decide(ledger.as_deref_mut());
            let recorded = match answer {
                HookAnswer::Stop(_) => self.record(ledger.as_deref_mut(), EventKind::Seen),
                HookAnswer::Nothing | HookAnswer::Warning(_) => record(self, ledger.as_deref_mut()),
            };
            (recorded, answer)
        } else {
            let recorded = record(self, ledger.as_deref_mut());
            // Whatever went wrong with the event, what is known decides.
            (recorded, self.decide(ledger.as_deref_mut()))
        };
        EventOutcome { recorded, answer: self.with_alerts(ledger, answer) }
    }

    /// What budgets have to say.
    fn decide(&self, ledger: Option<&mut Ledger>) -> HookAnswer {
        let Some(ledger) = ledger else { return HookAnswer::Nothing };
        on_budget::answer(self, ledger).unwrap_or_else(|error| {
            self.note(&error);
            HookAnswer::Nothing
        })
    }

    /// Adds what alerts have to say, unless the session is stopped.
    fn with_alerts(&self, ledger: Option<&mut Ledger>, answer: HookAnswer) -> HookAnswer {
        let Some(ledger) = ledger.filter(|_| !matches!(answer, HookAnswer::Stop(_))) else { return answer };
        match on_alert::lines(self, ledger) {
            Ok(lines) => answer.with(&lines),
            Err(error) => {
                self.note(&error);
                answer
            }
        }
    }
}

/// Stores what has happened.
fn record(hook: &Hook<'_>, ledger: Option<&mut Ledger>) -> Result<(), Error> {
    let prompt_id = || hook.payload.prompt_id.clone();
    match &hook.payload.event {
        HookEvent::SessionStart => on_end::session_start(hook, ledger),
        HookEvent::UserPromptSubmit { .. } => {
            hook.record(ledger, EventKind::Prompt { prompt_id: prompt_id() })
        }
        // What comes of the call is told after it.
        HookEvent::ToolAsked(_) => Ok(()),
        HookEvent::ToolFinished(tool) => on_tool::finished(hook, ledger, tool),
        HookEvent::ToolBatch(calls) => on_tool::batch(hook, ledger, calls),
        HookEvent::SubagentStart => on_end::subagent_start(hook, ledger),
        HookEvent::SubagentStop => on_end::subagent_stop(hook, ledger),
        HookEvent::Compaction { trigger, begins } => {
            let change = EventKind::Compaction { prompt_id: prompt_id(), trigger: *trigger, begins: *begins };
            hook.record(ledger, change)
        }
        HookEvent::TurnEnd { has_crons } => on_end::turn_end(hook, ledger, *has_crons),
        HookEvent::SessionEnd { reason } => on_end::session_end(hook, ledger, reason.clone()),
    }
}

/// An event with all that its handlers need.
struct Hook<'a> {
    env: &'a Env,
    options: &'a HookOptions,
    protocol: &'static dyn HookProtocol,
    payload: &'a HookPayload<'a>,
    /// What of the payload was passed over.
    left_out: LeftOutBytes,
    observation: SessionObservation,
    ledger_path: &'a Path,
    /// The alerts that are on, where somebody has looked.
    alerts: OnceCell<Alerts>,
    /// Hashes of the call that has finished: of its tool and input, and of its id.
    call: OnceCell<(u64, Option<u64>)>,
    /// The user's own prices, where somebody has asked; `None` if they cannot be read.
    prices: OnceCell<Option<UserPrices>>,
}

impl Hook<'_> {
    /// The session that the event is of.
    fn session(&self) -> &SessionId {
        &self.observation.id
    }

    fn event(&self, change: EventKind) -> Event {
        Event { observation: self.observation.clone(), change }
    }

    /// Records what has happened. What the ledger cannot take goes to the spool.
    fn record(&self, ledger: Option<&mut Ledger>, change: EventKind) -> Result<(), Error> {
        let event = self.event(change);
        match ledger.map(|ledger| ledger.events_mut().record(&event)) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) if !error.is_passing() => self.note(&error),
            Some(Err(_)) | None => {}
        }
        self.spool(&event)
    }

    /// Puts an event where the next writer finds it.
    fn spool(&self, event: &Event) -> Result<(), Error> {
        Spool::of(self.ledger_path).put(event).map_err(Error::Spool)
    }

    /// What the provider has billed since in the conversation that sends the event, and if `whole` in the session, to be
    /// stored with it. The answer that makes `calls` is waited for a little. Whatever goes wrong with it, the event is kept
    /// and the next one reads on.
    fn read_on(&self, ledger: &mut Ledger, calls: &[ToolUseId], whole: bool) -> Vec<LogBatch> {
        let payload = self.payload;
        let task = IngestRequest {
            session: self.session(),
            client: self.observation.client,
            transcript: Path::new(payload.transcript.as_deref().unwrap_or_default()),
            wait: WaitFor::No,
            turn_ended: false,
            has_crons: false,
        };
        ledger.set_prices(self.prices());
        let is_ahead = matches!(payload.event, HookEvent::ToolAsked(_));
        let asks = MidTurnRequest { agent: payload.agent.as_ref(), calls, is_ahead, whole };
        match turn::read_on(ledger, self.env, || self.config(), &task, &asks) {
            Ok((batches, faults)) => {
                faults.iter().for_each(|fault| self.note(fault));
                batches
            }
            Err(error) => {
                if !error.is_busy() {
                    self.note(&error);
                }
                Vec::new()
            }
        }
    }

    /// The settings. A file that cannot be used must not stop the hook: without the user's own nothing is kept that
    /// he may have forbidden, and a project's is passed over.
    fn config(&self) -> Config {
        if let Some(misplaced) = self.env.misplaced(&["XDG_CONFIG_HOME"]) {
            self.note(&misplaced);
        }
        self.config_of(self.observation.project.as_ref().map(|(project, _)| project.as_str()))
    }

    /// The user's settings, as far as they can be used, with those of `project`.
    fn config_of(&self, project: Option<&str>) -> Config {
        let usual = self.env.config_path();
        let mut config =
            Config::of_user(usual.as_deref(), self.options.config.as_deref()).unwrap_or_else(|error| {
                self.note(&error);
                Config::cautious()
            });
        if let Some(project) = project
            && let Err(error) = config.add_project(Path::new(project))
        {
            self.note(&error);
        }
        config
    }

    /// The prices in force, for what transcripts tell. The user's own that cannot be read are passed over; the next
    /// command says so and prices all of it.
    fn prices(&self) -> PriceTable {
        self.own_prices().cloned().map_or_else(PriceTable::builtin, PriceTable::with_overrides)
    }

    /// The user's own prices; `None` if they cannot be read.
    fn own_prices(&self) -> Option<&UserPrices> {
        let read = || match self.env.prices_path(self.options.config.as_deref()) {
            Some(path) => read_user_prices(&path).inspect_err(|error| self.note(error)).ok(),
            None => Some(UserPrices::default()),
        };
        self.prices.get_or_init(read).as_ref()
    }

    /// Notes a fault that the hook goes on after.
    fn note(&self, error: &dyn std::error::Error) {
        fault_log::append(self.ledger_path, self.env.now(), &with_sources(error));
    }
}

/// An error with the errors behind it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_arguments_are_ignored() {
        let args = ["--bogus", "hook", "--client=codex", "--db", "/x/l.db", "extra"].map(str::to_owned);
        let env = Env::fixed(Path::new("/cwd"), crate::domain::Timestamp::from_millis(0), &[("HOME", "/h")]);
        let options = HookOptions::from_args(&args, &env);
        assert_eq!(options.client, Client::Codex);
        assert_eq!(options.ledger, Some(PathBuf::from("/x/l.db")));
        assert_eq!(options.config, None);
        assert_eq!(HookOptions::from_args(&["hook".into(), "--db".into()], &env), HookOptions::default());
        let options = HookOptions::from_args(&["hook".into(), "--db=~/l.db".into()], &env);
        assert_eq!(options.ledger, Some(PathBuf::from("/h/l.db")));
    }
}
