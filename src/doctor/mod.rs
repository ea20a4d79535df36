//! `tallyhook doctor`: is the hook registered and current, does it run, do events arrive, is the ledger sound?
//!
//! One check a file. A check finds out and returns a [`Diagnosis`], whose words are in `present::doctor`; it changes nothing.
//! What `--fix` may do is a [`Fix`], carried out afterwards.

mod client;
mod client_costs;
mod command;
mod config;
mod estimates;
mod events;
mod faults;
mod integrity;
mod latency;
mod logs;
mod permissions;
mod place;
mod prices;
mod registration;
mod report;
mod spool;
mod totals;
mod verify;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::Mode;
use crate::env::Env;
use crate::present::diagnosis::{Diagnosis, Topic};
use crate::pricing::PriceTable;
use crate::setup::client::InstalledClient;
use crate::setup::scope::SettingsScope;
use crate::setup::view::SettingsView;
use crate::store::{Ledger, StoreError};
pub use report::DoctorReport;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is well.
    Ok,
    /// Something is worth knowing; everything works.
    Warning,
    /// Something does not work.
    Failed,
}

/// What `--fix` can do without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// Bring the registration of a scope up to date.
    Register(SettingsScope),
    /// Take other users' permissions from a file or folder.
    MakePrivate(PathBuf),
    /// Set a damaged ledger aside and make a new one of what can still be read.
    Recover,
}

/// A check's outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub found: Diagnosis,
    /// What `--fix` would do.
    pub fix: Option<Fix>,
}

impl Check {
    const fn ok(found: Diagnosis) -> Self {
        Self { status: Status::Ok, found, fix: None }
    }

    const fn warning(found: Diagnosis) -> Self {
        Self { status: Status::Warning, found, fix: None }
    }

    const fn failed(found: Diagnosis) -> Self {
        Self { status: Status::Failed, found, fix: None }
    }

    /// The outcome where the ledger does not answer.
    fn unanswered(topic: Topic, error: &StoreError) -> Self {
        Self::failed(Diagnosis::Unanswered { topic, error: error.to_string() })
    }

    fn with_fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }
}

/// What the checks look at.
pub struct Subject<'a> {
    /// The surroundings.
    pub env: &'a Env,
    /// Where the ledger is.
    pub ledger_path: &'a Path,
    /// The ledger, if it is there and can be opened.
    pub ledger: Result<Option<Ledger>, StoreError>,
    /// The scopes to look at.
    pub scopes: Vec<SettingsScope>,
    /// What the client makes of all its settings.
    pub view: SettingsView,
    /// The settings file, if not the usual one.
    pub config: Option<&'a Path>,
    /// The installed client.
    pub client: Option<InstalledClient>,
    /// The prices in force.
    pub prices: PriceTable,
    /// Why they are not the user's own.
    pub prices_fault: Option<String>,
    /// Whether the counter is to be compared with tiktoken-rs.
    pub verify: bool,
}

impl Subject<'_> {
    fn open_ledger(&self) -> Option<&Ledger> {
        self.ledger.as_ref().ok().and_then(Option::as_ref)
    }

    /// Whether there is a budget that stops, for which the client asks before each call of a tool.
    fn is_gated(&self) -> bool {
        let budgets = self.open_ledger().and_then(|ledger| ledger.budgets().all().ok()).unwrap_or_default();
        budgets.iter().any(|budget| budget.mode == Mode::Stop)
    }
}

/// All checks, in the order in which they are shown.
const CHECKS: &[fn(&Subject<'_>) -> Vec<Check>] = &[
    registration::check,
    command::check,
    client::check,
    events::check,
    latency::check,
    integrity::check,
    spool::check,
    config::check,
    prices::check,
    totals::check,
    logs::check,
    estimates::check,
    client_costs::check,
    permissions::check,
    place::check,
    faults::check,
    verify::check,
];

/// Runs all checks.
#[must_use]
pub fn examine(subject: &Subject<'_>) -> DoctorReport {
    CHECKS.iter().flat_map(|check| check(subject)).collect::<Vec<_>>().into()
}
