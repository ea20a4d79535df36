//! Does the registered command name a binary that is there, can be run, and is this one?

use std::collections::BTreeSet;
use std::path::Path;

use super::{Check, Subject};
use crate::platform::is_executable;
use crate::setup::{command, files, settings};

const NAME: &str = "binary";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let mut binaries = BTreeSet::new();
    for scope in &subject.scopes {
        let Ok(Some(text)) = files::read(&scope.settings()) else { continue };
        let found = settings::registered(&text).unwrap_or_default();
        binaries.extend(found.iter().filter_map(|hook| command::binary_of(&hook.command)));
    }
    binaries.into_iter().map(|binary| of_binary(subject, &binary)).collect()
}

fn of_binary(subject: &Subject<'_>, binary: &str) -> Check {
    let path = Path::new(binary);
    if path.is_absolute() && !is_executable(path) {
        let found = format!("{binary} is registered but cannot be run, so nothing is recorded");
        return Check::failed(
            NAME,
            found,
            "install tallyhook there, or run `tallyhook init` from where it is now",
        );
    }
    match subject.env.binary() {
        Some(own) if path.is_absolute() && own.canonicalize().ok() != path.canonicalize().ok() => {
            let found = format!("{binary} is registered, this is {}", own.display());
            Check::warning(NAME, found, "run `tallyhook init` if this one is to be used")
        }
        _ => Check::ok(NAME, format!("{binary} (tallyhook {})", env!("CARGO_PKG_VERSION"))),
    }
}
