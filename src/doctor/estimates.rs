//! How far off are the estimates, model by model?

use super::{Check, Subject};

const NAME: &str = "estimates";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let learned = match ledger.calibrations() {
        Ok(learned) => learned,
        Err(error) => return vec![Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again")],
    };
    let models: Vec<String> = learned
        .iter()
        .filter_map(|(model, calibration)| {
            let error = calibration.error()? * 100.0;
            Some(format!("{model} {error:.1} % off over its last calls (n = {})", calibration.n()))
        })
        .collect();
    vec![Check::ok(
        NAME,
        if models.is_empty() {
            "nothing was learned yet: a model's first turns teach how it counts".to_owned()
        } else {
            models.join("; ")
        },
    )]
}
