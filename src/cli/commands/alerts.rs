//! `tallyhook alerts`: switches them on and off.

use super::args::{AlertArg, AlertsAction, AlertsArgs, OutputFormat};
use super::{Context, Extent, budget};
use crate::domain::{AlertKind, Alerts};
use crate::error::Error;
use crate::report::alerts::AlertsReport;
use crate::store::Ledger;

pub(super) fn run(context: &Context, args: &AlertsArgs) -> Result<(), Error> {
    let alerts = match &args.action {
        None | Some(AlertsAction::Status) => match context.ledger()? {
            Some(ledger) => ledger.alerts().chosen()?,
            None => Alerts::default(),
        },
        Some(AlertsAction::On { names, repeats }) => {
            let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
            let mut alerts = ledger.alerts().chosen()?;
            alerts.repeats = repeats.unwrap_or(alerts.repeats);
            let alerts = switch(&mut ledger, alerts, names, true)?;
            budget::warn_unless_heard(context, None, "you won't be notified");
            alerts
        }
        Some(AlertsAction::Off { names }) => {
            let mut ledger = Ledger::open_or_create(&context.ledger_path()?)?;
            let alerts = ledger.alerts().chosen()?;
            switch(&mut ledger, alerts, names, false)?
        }
    };
    let format = if args.json { OutputFormat::Json } else { OutputFormat::Text };
    context.show(format, &AlertsReport::from(&alerts), Extent::default())
}

fn switch(ledger: &mut Ledger, mut alerts: Alerts, names: &[AlertArg], is_on: bool) -> Result<Alerts, Error> {
    for kind in AlertKind::ALL {
        if names.is_empty() || names.iter().any(|name| AlertKind::from(*name) == kind) {
            alerts.switch(kind, is_on);
        }
    }
    ledger.alerts_mut().choose(&alerts)?;
    Ok(alerts)
}
