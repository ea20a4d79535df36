//! How far off are the estimates, model by model?

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, ModelError, Topic};

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
        models.push(ModelError { model: model.to_string(), error, n: learned.n() });
    });
    if let Err(error) = read {
        return vec![Check::unanswered(Topic::Estimates, &error)];
    }
    let found = Diagnosis::Estimates { models, more, is_far_off };
    vec![if is_far_off { Check::warning(found) } else { Check::ok(found) }]
}
