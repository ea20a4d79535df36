//! The line of advice of `show-usage`.

use crate::domain::PicoUsd;
use crate::report::advice::{Cause, Waste};

/// What could have been cheaper, in a sentence without a period.
#[must_use]
pub fn sentence(waste: &Waste) -> String {
    let Waste { cost, carry_cost, cause } = waste;
    let percent = percent(*carry_cost, *cost);
    match cause {
        Cause::ReadAgain { tokens, times } => format!(
            "reading the same {}-token file {times} times cost {cost}, {percent}% of it from re-reads",
            thousands(*tokens)
        ),
        Cause::LargeResult { tool, tokens } => format!(
            "one {} result of {} tokens cost {cost}, {percent}% of it because later responses read it again",
            tool.as_str(),
            thousands(*tokens)
        ),
    }
}

fn percent(part: PicoUsd, whole: PicoUsd) -> i128 {
    if whole.as_pico() > 0 { part.as_pico() * 100 / whole.as_pico() } else { 0 }
}

/// `800`, `18k`.
fn thousands(tokens: u64) -> String {
    if tokens < 1_000 { tokens.to_string() } else { format!("{}k", (tokens + 500) / 1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ToolName;

    #[test]
    fn it_says_what_cost_how_much_and_why() {
        let cents = |cents: i128| PicoUsd::from_pico(cents * 10_000_000_000);
        let cause = Cause::ReadAgain { tokens: 18_000, times: 3 };
        assert_eq!(
            sentence(&Waste { cost: cents(84), carry_cost: cents(51), cause }),
            "reading the same 18k-token file 3 times cost $0.84, 60% of it from re-reads"
        );
        let cause = Cause::LargeResult { tool: ToolName::new("Bash"), tokens: 25_000 };
        assert_eq!(
            sentence(&Waste { cost: cents(120), carry_cost: cents(110), cause }),
            "one Bash result of 25k tokens cost $1.20, 91% of it because later responses read it again"
        );
    }
}
