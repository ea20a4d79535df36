//! Are the prices of today, and is there one for each model?

use super::{Check, Subject};
use crate::present::diagnosis::{Diagnosis, Topic};

/// From this age on they are probably out of date.
const OLD_DAYS: u64 = 90;
/// How many models are named.
const MAX_NAMED: usize = 3;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let prices = &subject.prices;
    let date = prices.date();
    let days = subject.env.now().since(date).as_secs() / 86_400;
    let mut checks = vec![if days < OLD_DAYS {
        Check::ok(Diagnosis::PriceDate { date, days: None })
    } else {
        Check::warning(Diagnosis::PriceDate { date, days: Some(days) })
    }];
    if let Some(fault) = &subject.prices_fault {
        checks.push(Check::failed(Diagnosis::PricesFault(fault.clone())));
    }
    let Some(ledger) = subject.open_ledger() else { return checks };
    let (mut named, mut models) = (Vec::new(), 0_u64);
    let read = ledger.sessions().for_each_model(|used| {
        if let Some(model) = used.model.filter(|model| used.tokens > 0 && prices.find(model).is_none()) {
            models += 1;
            if named.len() < MAX_NAMED {
                named.push(model);
            }
        }
    });
    if let Err(error) = read {
        return vec![Check::unanswered(Topic::Prices, &error)];
    }
    if models > 0 {
        checks.push(Check::warning(Diagnosis::Unpriced { models, named }));
    }
    checks
}
