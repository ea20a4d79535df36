//! `tallyhook alerts`: switches them on and off.

use serde::Serialize;

use super::args::{AlertArg, AlertsAction, AlertsArgs};
use super::{Context, budget};
use crate::domain::{AlertKind, Alerts};
use crate::error::Error;
use crate::store::Ledger;

/// `alerts --json`.
#[derive(Debug, Serialize)]
struct AlertsReport {
    schema_version: u32,
    alerts: Vec<AlertInfo>,
}

#[derive(Debug, Serialize)]
struct AlertInfo {
    alert: &'static str,
    on: bool,
    /// How often the same call is made before it is told; only `loop` has it.
    repeats: Option<u32>,
}

pub(super) fn run(context: &Context, args: &AlertsArgs) -> Result<(), Error> {
    let alerts = match &args.action {
        None | Some(AlertsAction::Status) => match context.ledger()? {
            Some(ledger) => ledger.alerts()?,
            None => Alerts::default(),
        },
        Some(AlertsAction::On { names, repeats }) => {
            let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
            let mut alerts = ledger.alerts()?;
            alerts.repeats = repeats.unwrap_or(alerts.repeats);
            let alerts = switch(&mut ledger, alerts, names, true)?;
            budget::warn_unless_heard(context, None, "you won't be notified");
            alerts
        }
        Some(AlertsAction::Off { names }) => {
            let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
            let alerts = ledger.alerts()?;
            switch(&mut ledger, alerts, names, false)?
        }
    };
    if args.json {
        let of = |kind: AlertKind| AlertInfo {
            alert: kind.name(),
            on: alerts.has(kind),
            repeats: (kind == AlertKind::Loop).then_some(alerts.repeats),
        };
        let report = AlertsReport { schema_version: 1, alerts: AlertKind::ALL.map(of).into() };
        return context.print_json(&report);
    }
    let lines: String = AlertKind::ALL.into_iter().map(|kind| line(kind, &alerts)).collect();
    context.print(&lines)
}

fn switch(ledger: &mut Ledger, mut alerts: Alerts, names: &[AlertArg], is_on: bool) -> Result<Alerts, Error> {
    for kind in AlertKind::ALL {
        if names.is_empty() || names.iter().any(|name| AlertKind::from(*name) == kind) {
            alerts.switch(kind, is_on);
        }
    }
    ledger.set_alerts(&alerts)?;
    Ok(alerts)
}

fn line(kind: AlertKind, alerts: &Alerts) -> String {
    let what = match kind {
        AlertKind::Spike => "a turn costs three times as much as usual".to_owned(),
        AlertKind::Loop => {
            format!("the same call is made {} times with no change in between", alerts.repeats)
        }
        AlertKind::Context => "the context is nearly full".to_owned(),
        AlertKind::Subagents => "a subagent ends: what it used, and the session so far".to_owned(),
    };
    format!("{:<10} {:<3} {what}\n", kind.name(), if alerts.has(kind) { "on" } else { "off" })
}
