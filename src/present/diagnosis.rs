//! What `doctor`'s checks can find, as data; `present::doctor` has the words for it.

use std::path::PathBuf;

use crate::domain::{PicoUsd, Timestamp};

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Topic {
    Hooks,
    Binary,
    Client,
    Events,
    Latency,
    Ledger,
    Spool,
    Settings,
    Prices,
    Totals,
    Logs,
    Estimates,
    ClientCosts,
    Permissions,
    FileSystem,
    HookErrors,
    Counter,
}

/// What a check has found. Paths and names are as they came; [`Diagnosis::finding`] makes them harmless.
#[derive(Debug, Clone, PartialEq)]
pub enum Diagnosis {
    /// Lines of a client's logs that its reader doesn't know.
    UnknownLines {
        /// The client, as people call it.
        client: &'static str,
        /// Its version, where the logs tell.
        version: Option<String>,
        /// How many lines.
        lines: u64,
    },
    /// The ledger didn't answer a check's question.
    Unanswered {
        /// The check.
        topic: Topic,
        /// Why.
        error: String,
    },
    /// A settings file of the client that can't be read.
    SettingsUnreadable {
        /// Whose settings: `user`, `project`, `local`, or `managed`.
        layer: &'static str,
        /// Why.
        error: String,
    },
    /// No hook is registered anywhere.
    NotRegistered,
    /// Hooks in a settings file.
    Registered {
        /// Whose settings: `user`, `project`, `local`, or `managed`.
        layer: &'static str,
        /// The file.
        path: PathBuf,
        /// How they stand.
        state: RegistrationState,
    },
    /// The plugin registers the hooks, or would.
    Plugin {
        /// The settings file that turns it on or off.
        path: PathBuf,
        /// How it stands.
        state: PluginState,
    },
    /// Several files register hooks that differ. Whose they are.
    RegisteredTwice(Vec<&'static str>),
    /// A file with hooks that the client doesn't read.
    Unread {
        /// The file.
        path: PathBuf,
        /// Whether no other file has hooks.
        is_alone: bool,
    },
    /// The copy of a registration differs from the settings.
    HooksFileDiffers {
        /// The copy.
        copy: PathBuf,
        /// The settings file in effect.
        settings: PathBuf,
        /// The scope of both: `user`, `project`, or `local`.
        scope: &'static str,
    },
    /// The binary of a registered command.
    Binary(BinaryState),
    /// The hook writes to a ledger that isn't the one checked.
    OtherLedger(OtherLedger),
    /// No client is installed.
    NoClient,
    /// The installed client.
    Client {
        /// Its version.
        version: String,
        /// How many events tallyhook uses.
        events: usize,
        /// Those that it doesn't support.
        unsupported: Vec<&'static str>,
    },
    /// How long ago the last event came, in seconds; `None` if there was none.
    LastEvent(Option<u64>),
    /// The ledger doesn't say when the last event came. Why.
    LastEventUnknown(String),
    /// How long the hook takes.
    Latency {
        /// Half of the tool calls took no longer, in microseconds.
        median: u64,
        /// 95% of the tool calls took no longer, in microseconds.
        p95: u64,
        /// How many tool calls were measured.
        calls: usize,
        /// Whether people notice it.
        is_slow: bool,
    },
    /// The ledger's file.
    Ledger(LedgerState),
    /// Events that wait for the ledger.
    Spool(SpoolFinding),
    /// The user's settings can't be used. Why.
    SettingsFault(String),
    /// The project's settings can't be used. Why.
    ProjectSettingsFault(String),
    /// The price table's date.
    PriceDate {
        /// When it was made.
        date: Timestamp,
        /// Its age, if that is too much; days.
        days: Option<u64>,
    },
    /// The user's prices can't be used. Why.
    PricesFault(String),
    /// Models in the ledger without a price.
    Unpriced {
        /// How many.
        models: u64,
        /// The first of them.
        named: Vec<String>,
    },
    /// The transcripts and the client's totals agree.
    TotalsAgree,
    /// Transcripts show more than the client's totals.
    TotalsDiffer {
        /// In how many sessions.
        sessions: usize,
        /// How many tokens more.
        tokens: u64,
        /// One of the sessions.
        session_id: String,
        /// Its model.
        model: String,
    },
    /// How far off estimates are, by model.
    Estimates {
        /// The models and their errors.
        models: Vec<ModelError>,
        /// How many models more there are.
        more: u64,
        /// Whether one is so far off that it is no help.
        is_far_off: bool,
    },
    /// The client's costs and the ledger's agree.
    CostsAgree,
    /// The client shows other costs than the ledger.
    CostsDiffer {
        /// For how many sessions.
        sessions: usize,
        /// The one with the largest difference.
        session_id: String,
        /// What the client says it cost.
        client: PicoUsd,
        /// What the ledger says.
        ledger: PicoUsd,
    },
    /// Nobody else can read the ledger.
    Private,
    /// Others can read the ledger. Its path.
    ReadableByOthers(PathBuf),
    /// Whether the ledger is on a network mount; `None` if the system doesn't say.
    OnNetwork(Option<bool>),
    /// The hook's log can't be read.
    HookLogUnreadable {
        /// The log.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// The hook has logged no error.
    NoHookErrors,
    /// The hook has logged errors.
    HookErrors {
        /// How many.
        count: usize,
        /// The most recent.
        last: String,
        /// The log.
        path: PathBuf,
    },
    /// The counter can't be compared with tiktoken-rs. Why.
    CounterUnverified(String),
    /// Samples compared with tiktoken-rs.
    Counter {
        /// The encoding.
        encoding: &'static str,
        /// How many samples differ.
        different: usize,
        /// Tokens in all samples.
        tokens: u64,
    },
}

/// How hooks in a settings file stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    /// All is well. The number of events.
    Current(u64),
    /// Settings keep them from running.
    TurnedOff {
        /// The number of events.
        events: u64,
        /// The member of the settings that does.
        member: &'static str,
        /// The file that it is in.
        by: PathBuf,
        /// Whether other hooks run.
        others_run: bool,
    },
    /// Events that the installed client doesn't support.
    Unsupported(Vec<String>),
    /// Events that tallyhook doesn't use.
    Unused(Vec<String>),
    /// Events that aren't registered.
    Missing(Vec<&'static str>),
    /// A shared file has a path of this machine.
    OwnPath,
    /// A command that fails where tallyhook isn't installed.
    Unguarded,
    /// A registration that `init` would write otherwise.
    Differs,
}

/// How the client's plugin stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginState {
    /// It registers the hooks.
    Registers,
    /// It is turned off, and nothing else registers the hooks.
    Disabled,
    /// Settings keep its hooks from running.
    TurnedOff {
        /// The member of the settings that does.
        member: &'static str,
        /// The file that it is in.
        by: PathBuf,
        /// Whether other hooks run.
        others_run: bool,
    },
    /// Settings register the hooks, too.
    Twice,
}

/// The binary that a registered command names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryState {
    /// A name that isn't on `PATH`.
    NotOnPath(String),
    /// A path at which there is no program.
    Missing(PathBuf),
    /// Another program.
    Foreign(PathBuf),
    /// It doesn't start.
    Broken { path: PathBuf, reason: String },
    /// Another binary than the one that runs now.
    Other { path: PathBuf, version: String, own: PathBuf },
    /// The one that runs now.
    Own { path: PathBuf, version: String },
}

/// A ledger that the hook writes to and that isn't the one checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum OtherLedger {
    /// A command names a relative path.
    Relative(String),
    /// A command names another ledger.
    Named(PathBuf),
    /// The client's settings name a relative path.
    RelativeVariable { value: String, settings: PathBuf },
    /// The client's settings name another ledger.
    NamedByVariable { path: PathBuf, settings: PathBuf },
}

/// How the ledger's file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LedgerState {
    /// There is none yet.
    Absent(PathBuf),
    /// All is well. The size is in bytes.
    Intact { path: PathBuf, bytes: u64, schema: i64 },
    /// SQLite calls it damaged when it opens it. Its message.
    Unopened(String),
    /// Its content is damaged.
    Damaged { path: PathBuf, fault: String },
    /// It can't be opened. Why.
    Inaccessible(String),
    /// A folder on its way is a file.
    NotAFolder { path: PathBuf, part: PathBuf },
    /// It can't be written.
    ReadOnly(PathBuf),
    /// The folder that it would be in can't be written.
    FolderReadOnly { path: PathBuf, folder: PathBuf },
    /// The disk is full that holds this folder.
    DiskFull(PathBuf),
}

/// How many events wait for the ledger, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFinding {
    /// None.
    Empty,
    /// Events that a later event stores.
    Waiting(usize),
    /// Events or folders of another user.
    Forbidden(usize),
    /// Events that this release can't read.
    Unreadable(usize),
}

/// How far off a model's estimates are.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelError {
    /// The model.
    pub model: String,
    /// 0 to 1.
    pub error: f64,
    /// How many calls it was measured with.
    pub n: u64,
}
