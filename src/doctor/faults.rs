//! What did the hook have to pass over?

use super::{Check, Subject};
use crate::domain::clean_name;
use crate::hook;

const NAME: &str = "faults";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let path = hook::fault_log_path(subject.ledger_path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return vec![Check::ok(NAME, "the hook has noted none")];
    };
    let Some(last) = text.lines().last() else { return vec![Check::ok(NAME, "the hook has noted none")] };
    let count = text.lines().count();
    let last = clean_name(last, 300).unwrap_or_default();
    let found = format!("the hook has noted {count}, the last: {last}");
    let cure = format!("see {}; remove the file when you have dealt with it", path.display());
    vec![Check::warning(NAME, found, cure)]
}
