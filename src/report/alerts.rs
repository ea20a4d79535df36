//! `alerts`: which ones are on.

use serde::Serialize;

use crate::domain::{AlertKind, Alerts};

/// `alerts --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertsReport {
    /// Version of this structure.
    pub schema_version: u32,
    /// All alerts.
    pub alerts: Vec<AlertInfo>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertInfo {
    /// Its name.
    pub alert: &'static str,
    /// Whether it is on.
    pub on: bool,
    /// How often the same call is made before it is told; only `loop` has it.
    pub repeats: Option<u32>,
    /// The alert that `alert` names.
    #[serde(skip)]
    pub kind: AlertKind,
}

impl From<&Alerts> for AlertsReport {
    fn from(alerts: &Alerts) -> Self {
        let info = |kind: AlertKind| AlertInfo {
            alert: kind.name(),
            on: alerts.has(kind),
            repeats: (kind == AlertKind::Loop).then_some(alerts.repeats),
            kind,
        };
        Self { schema_version: 1, alerts: AlertKind::ALL.map(info).into() }
    }
}
