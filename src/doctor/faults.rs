//! What did the hook have to pass over?

use super::{Check, Subject};
use crate::domain::{OneLine as _, clean_name};
use crate::hook;
use crate::regular;

const NAME: &str = "hook errors";
/// Largest log that is read, in bytes; the hook begins a new one long before.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let path = hook::fault_log_path(subject.ledger_path);
    let text = match regular::read(&path, MAX_BYTES) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let found = format!("the hook's log {} can't be read: {error}", path.one_line());
            return vec![Check::warning(NAME, found, "move or delete it; the hook creates a new one")];
        }
    };
    let Some(last) = text.lines().last() else { return vec![Check::ok(NAME, "none logged")] };
    let count = text.lines().count();
    let last = clean_name(last, 300).unwrap_or_default();
    let found = format!("{count} logged; the most recent: {last}");
    let cure = format!("see {}; delete the file once you have dealt with it", path.one_line());
    vec![Check::warning(NAME, found, cure)]
}
