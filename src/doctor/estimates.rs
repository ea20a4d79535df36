//! How far off are the estimates, model by model?

use super::{Check, Subject};

const NAME: &str = "estimates";
/// From this share on an estimate is no help. Usual is a tenth of it.
const FAR_OFF: f64 = 0.25;
/// How many models are named.
const MAX_NAMED: usize = 100;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let Some(ledger) = subject.open_ledger() else { return Vec::new() };
    let (mut models, mut more, mut is_far_off) = (Vec::new(), 0_u64, false);
    let read = ledger.calibrations().for_each(|model, learned| {
        let Some(error) = learned.error() else { return };
        is_far_off |= error >= FAR_OFF;
        if models.len() == MAX_NAMED {
            more += 1;
            return;
        }
        let n = learned.n();
        models.push(format!("{model}: off by {:.1}% over its last calls (n = {n})", error * 100.0));
    });
    if let Err(error) = read {
        return vec![Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again")];
    }
    if more > 0 {
        models.push(format!("and {more} more"));
    }
    vec![if models.is_empty() {
        Check::ok(NAME, "not calibrated yet; this takes a few turns per model")
    } else if is_far_off {
        let cure = "don't rely on ~ figures for models that are far off; billed figures aren't affected, and estimates improve with more calls";
        Check::warning(NAME, models.join("; "), cure)
    } else {
        Check::ok(NAME, models.join("; "))
    }]
}
