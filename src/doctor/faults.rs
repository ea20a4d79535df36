//! What did the hook have to pass over?

use super::{Check, Subject};
use crate::domain::clean_name;
use crate::hook;
use crate::present::diagnosis::Diagnosis;
use crate::regular;

/// Largest log that is read, in bytes; the hook begins a new one long before.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let path = hook::fault_log_path(subject.ledger_path);
    let text = match regular::read(&path, MAX_BYTES) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let error = error.to_string();
            return vec![Check::warning(Diagnosis::HookLogUnreadable { path, error })];
        }
    };
    let Some(last) = text.lines().last() else { return vec![Check::ok(Diagnosis::NoHookErrors)] };
    let last = clean_name(last, 300).unwrap_or_default();
    vec![Check::warning(Diagnosis::HookErrors { count: text.lines().count(), last, path })]
}
