//! Do events arrive?

use super::{Check, Subject};

const NAME: &str = "events";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let cure = "use Claude Code in a project where the hook is registered, then check again";
    vec![match ledger.last_event_at() {
        Ok(Some(at)) => {
            let age = subject.env.now().since(at).as_secs();
            Check::ok(NAME, format!("last received {} ago", rough_age(age)))
        }
        Ok(None) => Check::warning(NAME, "no events received yet", cure),
        Err(error) => Check::failed(NAME, error.to_string(), cure),
    }]
}

fn rough_age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
