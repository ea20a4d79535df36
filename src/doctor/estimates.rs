//! How far off are the estimates, model by model?

use super::{Check, Subject};

const NAME: &str = "estimates";
/// From this share on an estimate is no help. Usual is a tenth of it.
const FAR_OFF: f64 = 0.25;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let learned = match ledger.calibrations() {
        Ok(learned) => learned,
        Err(error) => return vec![Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again")],
    };
    let errors =
        || learned.iter().filter_map(|(model, learned)| Some((model, learned.error()?, learned.n())));
    let models: Vec<String> = errors()
        .map(|(model, error, n)| format!("{model} {:.1} % off over its last calls (n = {n})", error * 100.0))
        .collect();
    vec![if models.is_empty() {
        Check::ok(NAME, "nothing was learned yet: a model's first turns teach how it counts")
    } else if errors().any(|(_, error, _)| error >= FAR_OFF) {
        let cure =
            "do not rely on figures with ~ there; what is billed is not estimated, and more calls teach more";
        Check::warning(NAME, models.join("; "), cure)
    } else {
        Check::ok(NAME, models.join("; "))
    }]
}
