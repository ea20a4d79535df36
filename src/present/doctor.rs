//! What `doctor` says of a [`Diagnosis`]: the check's name, what was found, and what to do.

use std::path::Path;

use super::diagnosis::{
    BinaryState, Diagnosis, LedgerState, ModelError, OtherLedger, PluginState, RegistrationState,
    SpoolFinding, Topic,
};
use super::{Finding, FindingState};
use crate::domain::{OneLine as _, plural};

const CHECK_AGAIN: &str = "run `tallyhook doctor` again";
const REGISTER: &str = "run `tallyhook init` in a project, or `tallyhook init --scope user` for all projects";
const ABSOLUTE: &str = "use an absolute path, or one that starts with ~/";
const INSTALL: &str = "install tallyhook there, or run `tallyhook init` again from its current location";
const USE_CLIENT: &str = "use Claude Code in a project where the hook is registered, then check again";
const REPORT: &str = "please report this, with the output of `tallyhook --version`";
const ENOUGH: &str = "no action needed if the other hooks are enough";

/// What was found, and what to do about it.
struct Words {
    found: String,
    cure: Option<String>,
}

fn well(found: impl Into<String>) -> Words {
    Words { found: found.into(), cure: None }
}

fn ill(found: impl Into<String>, cure: impl Into<String>) -> Words {
    Words { found: found.into(), cure: Some(cure.into()) }
}

impl Topic {
    const fn name(self) -> &'static str {
        match self {
            Self::Hooks => "hooks",
            Self::Binary => "binary",
            Self::Client => "client",
            Self::Events => "events",
            Self::Latency => "latency",
            Self::Ledger => "ledger",
            Self::Spool => "spool",
            Self::Settings => "settings",
            Self::Prices => "prices",
            Self::Totals => "totals",
            Self::Logs => "logs",
            Self::Estimates => "estimates",
            Self::ClientCosts => "client costs",
            Self::Permissions => "permissions",
            Self::FileSystem => "file system",
            Self::HookErrors => "hook errors",
            Self::Counter => "counter",
        }
    }
}

impl Diagnosis {
    /// What people read of it.
    #[must_use]
    pub fn finding(&self, state: FindingState) -> Finding {
        let Words { found, cure } = self.words();
        Finding { name: self.name(), state, found, cure }
    }

    fn topic(&self) -> Topic {
        match self {
            Self::Unanswered { topic, .. } => *topic,
            Self::SettingsUnreadable { .. }
            | Self::NotRegistered
            | Self::Registered { .. }
            | Self::Plugin { .. }
            | Self::RegisteredTwice(_)
            | Self::Unread { .. }
            | Self::HooksFileDiffers { .. } => Topic::Hooks,
            Self::Binary(_) => Topic::Binary,
            Self::NoClient | Self::Client { .. } => Topic::Client,
            Self::LastEvent(_) | Self::LastEventUnknown(_) => Topic::Events,
            Self::Latency { .. } => Topic::Latency,
            Self::OtherLedger(_) | Self::Ledger(_) => Topic::Ledger,
            Self::Spool(_) => Topic::Spool,
            Self::SettingsFault(_) | Self::ProjectSettingsFault(_) => Topic::Settings,
            Self::PriceDate { .. } | Self::PricesFault(_) | Self::Unpriced { .. } => Topic::Prices,
            Self::TotalsAgree | Self::TotalsDiffer { .. } => Topic::Totals,
            Self::UnknownLines { .. } => Topic::Logs,
            Self::Estimates { .. } => Topic::Estimates,
            Self::CostsAgree | Self::CostsDiffer { .. } => Topic::ClientCosts,
            Self::Private | Self::ReadableByOthers(_) => Topic::Permissions,
            Self::OnNetwork(_) => Topic::FileSystem,
            Self::HookLogUnreadable { .. } | Self::NoHookErrors | Self::HookErrors { .. } => {
                Topic::HookErrors
            }
            Self::CounterUnverified(_) | Self::Counter { .. } => Topic::Counter,
        }
    }

    /// The check's name, and which part of it where it looks at several.
    fn name(&self) -> String {
        let name = self.topic().name();
        match self {
            Self::SettingsUnreadable { layer, .. } | Self::Registered { layer, .. } => {
                format!("{name} ({layer})")
            }
            Self::Plugin { .. } => format!("{name} (plugin)"),
            Self::HooksFileDiffers { scope, .. } => format!("{name} file ({scope})"),
            Self::ProjectSettingsFault(_) => format!("{name} (project)"),
            _ => name.to_owned(),
        }
    }

    fn words(&self) -> Words {
        match self {
            Self::UnknownLines { client, version, lines } => {
                let version = version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
                ill(
                    format!("{client}{version}: {} not understood", plural(*lines, "line")),
                    "install the latest release; what these lines say was used isn't counted",
                )
            }
            Self::Unanswered { error, .. } => ill(error, CHECK_AGAIN),
            Self::SettingsUnreadable { error, .. } => {
                ill(error, "fix the file; Claude Code can't load it either")
            }
            Self::NotRegistered => ill("not registered", REGISTER),
            Self::Registered { layer, path, state } => registered(layer, &path.one_line(), state),
            Self::Plugin { path, state } => plugin(&path.one_line(), state),
            Self::RegisteredTwice(layers) => ill(
                format!(
                    "registered in several files ({}), so several processes record each event (it is counted once)",
                    layers.join(", ")
                ),
                "remove all but one of them",
            ),
            Self::Unread { path, is_alone } => ill(
                format!("{} has hooks, but Claude Code doesn't read it", path.one_line()),
                if *is_alone { REGISTER } else { "remove the hooks from that file" },
            ),
            Self::HooksFileDiffers { copy, settings, scope } => ill(
                format!(
                    "{} differs from {}, which is the one in effect",
                    copy.one_line(),
                    settings.one_line()
                ),
                register(scope),
            ),
            Self::Binary(state) => binary(state),
            Self::OtherLedger(other) => other_ledger(other),
            Self::NoClient => ill(
                "Claude Code wasn't found",
                "put `claude` on your PATH so that the hooks can be matched to its version",
            ),
            Self::Client { version, events, unsupported } if unsupported.is_empty() => {
                well(format!("Claude Code {version} supports all {events} events"))
            }
            Self::Client { version, unsupported, .. } => ill(
                format!("Claude Code {version} doesn't support {}", unsupported.join(", ")),
                "update Claude Code; estimates are less accurate without these",
            ),
            Self::LastEvent(Some(seconds)) => well(format!("last received {} ago", rough_age(*seconds))),
            Self::LastEvent(None) => ill("no events received yet", USE_CLIENT),
            Self::LastEventUnknown(error) => ill(error, USE_CLIENT),
            Self::Latency { median, p95, calls, is_slow } => {
                let found = format!(
                    "median {}, 95% below {} over the last {calls} tool calls",
                    millis(*median),
                    millis(*p95)
                );
                let cure = "check whether the machine or the ledger's disk is busy";
                if *is_slow { ill(found, cure) } else { well(found) }
            }
            Self::Ledger(state) => ledger(state),
            Self::Spool(finding) => spool(*finding),
            Self::SettingsFault(error) => ill(
                error,
                "fix the file; until then, the hook stores no names, and commands that need the settings fail",
            ),
            Self::ProjectSettingsFault(error) => ill(error, "fix the file; it has no effect until then"),
            Self::PriceDate { date, days: None } => well(format!("from {}", date.to_date())),
            Self::PriceDate { date, days: Some(days) } => ill(
                format!("from {}, {days} days old", date.to_date()),
                "install the latest release, or set prices with `tallyhook prices set`",
            ),
            Self::PricesFault(error) => ill(error, "fix the file; the built-in prices apply until then"),
            Self::Unpriced { models, named } => {
                let named = named.join(", ");
                let found = match models {
                    1 => format!("one model in the ledger has no price: {named}"),
                    models => format!("{models} models in the ledger have no price: {named}"),
                };
                ill(
                    found,
                    "set prices with `tallyhook prices set`; `tallyhook prices check` lists all models without one",
                )
            }
            Self::TotalsAgree => well("totals match Claude Code's"),
            Self::TotalsDiffer { sessions, tokens, session_id, model } => ill(
                format!(
                    "sessions whose transcript shows more than Claude Code's total: {sessions} ({tokens} tokens); the first: \
                     {session_id} ({model})"
                ),
                "no action needed: tallyhook uses the transcript's numbers; a subagent that outlives its session can cause this",
            ),
            Self::Estimates { models, more, is_far_off } => estimates(models, *more, *is_far_off),
            Self::CostsAgree => well("costs match Claude Code's"),
            Self::CostsDiffer { sessions, session_id, client, ledger } => ill(
                format!(
                    "sessions whose cost differs in Claude Code: {sessions}; the largest difference is in {session_id}: \
                     {client} vs. {ledger} in the ledger"
                ),
                "compare with `tallyhook show-usage --session ID --detailed`; a figure captured mid-session is \
                 smaller, and Claude Code's own prices may be older",
            ),
            Self::Private => well("only you can read the ledger"),
            Self::ReadableByOthers(path) => ill(
                "other users of this machine can read the ledger",
                format!("run `chmod go= {}`, or `tallyhook doctor --fix`", path.one_line()),
            ),
            Self::OnNetwork(Some(true)) => ill(
                "the ledger is on a network mount, where writes are slow and locks aren't reliable",
                "move it to a local disk with TALLYHOOK_DB",
            ),
            Self::OnNetwork(Some(false)) => well("the ledger is on a local disk"),
            Self::OnNetwork(None) => well("this system doesn't say whether the disk is local"),
            Self::HookLogUnreadable { path, error } => ill(
                format!("the hook's log {} can't be read: {error}", path.one_line()),
                "move or delete it; the hook creates a new one",
            ),
            Self::NoHookErrors => well("none logged"),
            Self::HookErrors { count, last, path } => ill(
                format!("{count} logged; the most recent: {last}"),
                format!("see {}; delete the file once you have dealt with it", path.one_line()),
            ),
            Self::CounterUnverified(error) => ill(error, REPORT),
            Self::Counter { encoding, different: 0, tokens } => {
                well(format!("sample counts match tiktoken-rs ({tokens} tokens, {encoding})"))
            }
            Self::Counter { encoding, different, .. } => {
                ill(format!("{different} samples differ from tiktoken-rs ({encoding})"), REPORT)
            }
        }
    }
}

/// How to bring the registration of a scope up to date.
fn register(scope: &str) -> String {
    format!("run `tallyhook init --scope {scope}`, or `tallyhook doctor --fix`")
}

fn registered(layer: &str, path: &str, state: &RegistrationState) -> Words {
    match state {
        RegistrationState::Current(events) => well(format!("{} in {path}", plural(*events, "event"))),
        RegistrationState::TurnedOff { events, member, by, others_run } => {
            let cure = match *member {
                _ if *others_run => ENOUGH,
                "disableAllHooks" => "remove that line to record events; it also turns off the status line",
                _ => "ask whoever manages the settings to add tallyhook's hooks",
            };
            let events = plural(*events, "event");
            ill(format!("{events} in {path}, but hooks are turned off: {member} in {}", by.one_line()), cure)
        }
        RegistrationState::Unsupported(events) => ill(
            format!(
                "{path} registers events that this version of Claude Code doesn't support: {}",
                events.join(", ")
            ),
            register(layer),
        ),
        RegistrationState::Unused(events) => ill(
            format!("{path} registers {}, which tallyhook doesn't use", events.join(", ")),
            register(layer),
        ),
        RegistrationState::Missing(events) => {
            let found = format!("{path} is missing {}", events.join(", "));
            match layer {
                "managed" => ill(found, "ask whoever manages the settings to add them"),
                layer => ill(found, register(layer)),
            }
        }
        RegistrationState::OwnPath => ill(
            format!("{path} is shared but contains a path that exists only on this machine"),
            register(layer),
        ),
        RegistrationState::Unguarded => {
            ill(format!("{path} has a command that fails where tallyhook isn't installed"), register(layer))
        }
        RegistrationState::Differs => {
            ill(format!("{path} has a registration that differs from what `init` writes"), register(layer))
        }
    }
}

fn plugin(path: &str, state: &PluginState) -> Words {
    match state {
        PluginState::Registers => well(format!("registered by the plugin, enabled in {path}")),
        PluginState::Disabled => {
            ill(format!("the plugin is disabled in {path}"), "enable it, or run `tallyhook init`")
        }
        PluginState::TurnedOff { member, by, others_run } => ill(
            format!("the plugin's hooks are turned off: {member} in {}", by.one_line()),
            if *others_run { ENOUGH } else { "remove that line, or ask whoever manages the settings" },
        ),
        PluginState::Twice => ill(
            "the plugin is enabled too, so two processes record each event (it is counted once)",
            "keep one: run `tallyhook uninstall`, or disable the plugin",
        ),
    }
}

fn binary(state: &BinaryState) -> Words {
    let nothing =
        |name: &str, what: &str| ill(format!("{name} is registered {what}, so nothing is recorded"), INSTALL);
    match state {
        BinaryState::NotOnPath(name) => nothing(name, "by name but isn't on your PATH"),
        BinaryState::Missing(path) => nothing(&path.one_line(), "but doesn't exist"),
        BinaryState::Foreign(path) => nothing(&path.one_line(), "but isn't tallyhook"),
        BinaryState::Broken { path, reason } => {
            nothing(&path.one_line(), &format!("but doesn't run ({reason})"))
        }
        BinaryState::Other { path, version, own } => ill(
            format!("{} ({version}) is registered; this is {}", path.one_line(), own.one_line()),
            "run `tallyhook init` to use this one",
        ),
        BinaryState::Own { path, version } => well(format!("{} ({version})", path.one_line())),
    }
}

fn other_ledger(other: &OtherLedger) -> Words {
    let check_it = |path: &Path| format!("run `tallyhook --db {} doctor`", path.one_line());
    match other {
        OtherLedger::Relative(ledger) => ill(
            format!(
                "the hook writes to {ledger}, a relative path, so it writes to a different file in each folder"
            ),
            ABSOLUTE,
        ),
        OtherLedger::Named(path) => ill(
            format!("the hook writes to {}, not to the ledger checked here", path.one_line()),
            check_it(path),
        ),
        OtherLedger::RelativeVariable { value, settings } => ill(
            format!(
                "TALLYHOOK_DB is {value:?} in {}: a relative path, so the hook ignores it",
                settings.one_line()
            ),
            ABSOLUTE,
        ),
        OtherLedger::NamedByVariable { path, settings } => ill(
            format!(
                "{} sets TALLYHOOK_DB, so the hook writes to {}, not to the ledger checked here",
                settings.one_line(),
                path.one_line()
            ),
            check_it(path),
        ),
    }
}

fn ledger(state: &LedgerState) -> Words {
    let damaged = |found: String| {
        ill(
            found,
            "run `tallyhook doctor --fix`: it sets the file aside, keeps everything still readable, and rereads the \
             transcripts for the rest; until then, events are queued",
        )
    };
    let unwritable = |found: String| {
        ill(
            found,
            "fix this, or choose another ledger with --db or TALLYHOOK_DB; until then, nothing is recorded",
        )
    };
    match state {
        LedgerState::Absent(path) => {
            well(format!("{} doesn't exist yet; the first hook event creates it", path.one_line()))
        }
        LedgerState::Intact { path, bytes, schema } => {
            let size = match bytes.div_ceil(1024) {
                kb @ 0..10_000 => format!("{kb} KB"),
                kb => format!("{} MB", kb.div_ceil(1024)),
            };
            well(format!("{} is intact ({size}, schema {schema})", path.one_line()))
        }
        LedgerState::Unopened(error) => damaged(error.clone()),
        LedgerState::Damaged { path, fault } => damaged(format!("{} is damaged: {fault}", path.one_line())),
        LedgerState::Inaccessible(error) => {
            ill(error, "make the file readable and writable, or choose another one with --db or TALLYHOOK_DB")
        }
        LedgerState::NotAFolder { path, part } => {
            unwritable(format!("{} can't be created: {} isn't a folder", path.one_line(), part.one_line()))
        }
        LedgerState::ReadOnly(path) => unwritable(format!(
            "you don't have permission to write to {}, so nothing is recorded",
            path.one_line()
        )),
        LedgerState::FolderReadOnly { path, folder } => unwritable(format!(
            "{} can't be created: you don't have permission to write to {}",
            path.one_line(),
            folder.one_line()
        )),
        LedgerState::DiskFull(folder) => {
            unwritable(format!("the disk that holds {} is full", folder.one_line()))
        }
    }
}

fn spool(finding: SpoolFinding) -> Words {
    match finding {
        SpoolFinding::Empty => well("queue empty"),
        SpoolFinding::Waiting(events) => {
            ill(format!("events queued: {events}"), "check whether another program has the ledger locked")
        }
        SpoolFinding::Forbidden(entries) => ill(
            format!("queued events or folders that belong to another user: {entries}"),
            "change the owner of the folder whose name ends in .spool to yourself (chown -R); the next event then stores them",
        ),
        SpoolFinding::Unreadable(events) => ill(
            format!("queued events that couldn't be read: {events}"),
            "install the latest release, or remove the folder whose name ends in .spool-unreadable",
        ),
    }
}

fn estimates(models: &[ModelError], more: u64, is_far_off: bool) -> Words {
    if models.is_empty() {
        return well("not calibrated yet; this takes a few turns per model");
    }
    let named = models.iter().map(|ModelError { model, error, n }| {
        format!("{model}: off by {:.1}% over its last calls (n = {n})", error * 100.0)
    });
    let more = (more > 0).then(|| format!("and {more} more"));
    let found = named.chain(more).collect::<Vec<_>>().join("; ");
    if is_far_off {
        ill(
            found,
            "don't rely on ~ figures for models that are far off; billed figures aren't affected, and estimates improve with more calls",
        )
    } else {
        well(found)
    }
}

fn rough_age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn millis(micros: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let millis = micros as f64 / 1_000.0;
    format!("{millis:.1} ms")
}
