//! What people read of `alerts`.

use super::{Block, Fit, Page, PageLine, PageOptions, Present};
use crate::domain::AlertKind;
use crate::report::alerts::{AlertInfo, AlertsReport};

impl Present for AlertsReport {
    fn has_data(&self) -> bool {
        true
    }

    fn page(&self, _: &PageOptions<'_>) -> Page {
        let line = |info: &AlertInfo| {
            let state = if info.on { "on" } else { "off" };
            PageLine::bare(
                vec![format!("{:<10} {state:<3} {}", info.alert, meaning(info)).into()],
                Fit::Whole,
            )
        };
        Page { blocks: vec![Block::Lines(self.alerts.iter().map(line).collect())] }
    }
}

/// When an alert is told.
fn meaning(info: &AlertInfo) -> String {
    match info.kind {
        AlertKind::Spike => "a turn costs three times as much as usual".to_owned(),
        AlertKind::Loop => {
            let repeats = info.repeats.unwrap_or_default();
            format!("the same call is made {repeats} times with no change in between")
        }
        AlertKind::Context => "the context is nearly full".to_owned(),
        AlertKind::Subagents => "a subagent ends: what it used, and the session total so far".to_owned(),
    }
}
