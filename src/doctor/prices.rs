//! Are the prices of today, and is there one for each model?

use super::{Check, Subject};

const NAME: &str = "prices";
/// From this age on they are probably out of date.
const OLD_DAYS: u64 = 90;
/// How many models are named.
const MAX_NAMED: usize = 3;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Check> {
    let prices = &subject.prices;
    let days = subject.env.now().since(prices.date()).as_secs() / 86_400;
    let date = prices.date().to_date();
    let mut checks = vec![if days < OLD_DAYS {
        Check::ok(NAME, format!("from {date}"))
    } else {
        let cure = "install the latest release, or set prices with `tallyhook prices set`";
        Check::warning(NAME, format!("from {date}, {days} days old"), cure)
    }];
    if let Some(fault) = &subject.prices_fault {
        checks.push(Check::failed(NAME, fault.clone(), "fix the file; the built-in prices apply until then"));
    }
    let Some(ledger) = subject.open_ledger() else { return checks };
    let (mut named, mut unpriced) = (Vec::new(), 0_u64);
    let read = ledger.sessions().for_each_model(|used| {
        if let Some(model) = used.model.filter(|model| used.tokens > 0 && prices.find(model).is_none()) {
            unpriced += 1;
            if named.len() < MAX_NAMED {
                named.push(model);
            }
        }
    });
    if let Err(error) = read {
        return vec![Check::failed(NAME, error.to_string(), "run `tallyhook doctor` again")];
    }
    if unpriced > 0 {
        let named = named.join(", ");
        let found = match unpriced {
            1 => format!("one model in the ledger has no price: {named}"),
            models => format!("{models} models in the ledger have no price: {named}"),
        };
        checks.push(Check::warning(
            NAME,
            found,
            "set prices with `tallyhook prices set`; `tallyhook prices check` lists all models without one",
        ));
    }
    checks
}
