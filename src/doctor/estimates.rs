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
        .map(|(model, error, n)| {
            format!("{model}: off by {:.1}% over its last calls (n = {n})", error * 100.0)
        })
        .collect();
    vec![if models.is_empty() {
        Check::ok(NAME, "not calibrated yet; that takes a model's first few turns")
    } else if errors().any(|(_, error, _)| error >= FAR_OFF) {
        let cure = "don't rely on its figures with ~ yet; billed figures aren't affected, and estimates improve with more calls";
        Check::warning(NAME, models.join("; "), cure)
    } else {
        Check::ok(NAME, models.join("; "))
    }]
}
