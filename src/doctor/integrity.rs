//! Is the ledger there, ours, and sound?

use super::{Check, Subject};
use crate::store::SCHEMA_VERSION;

const NAME: &str = "ledger";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let path = subject.ledger_path.display();
    let ledger = match &subject.ledger {
        Ok(Some(ledger)) => ledger,
        Ok(None) => return vec![Check::ok(NAME, format!("{path} will be made by the first hook"))],
        Err(error) => {
            let cure = "move the file away, or name another one with --db or TALLYHOOK_DB";
            return vec![Check::failed(NAME, error.to_string(), cure)];
        }
    };
    let size = std::fs::metadata(subject.ledger_path).map_or(0, |metadata| metadata.len());
    vec![match ledger.fault() {
        Ok(None) => {
            let size = match size.div_ceil(1024) {
                kb @ 0..10_000 => format!("{kb} KB"),
                kb => format!("{} MB", kb.div_ceil(1024)),
            };
            Check::ok(NAME, format!("{path} is sound ({size}, schema {SCHEMA_VERSION})"))
        }
        Ok(Some(fault)) => Check::failed(
            NAME,
            format!("{path} is damaged: {fault}"),
            "move it away; a new one is made, and the transcripts that are left are read again",
        ),
        Err(error) => Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again"),
    }]
}
