//! Cells and heads that several tables have.

use super::{Cell, MAX_NAME, SHORT_ID};
use crate::domain::{PicoUsd, clean_name};
use crate::report::Share;

/// What something cost when it came in, and when it was read again. Blank where that is not known of any of its cost, as of
/// what no transcript shows: a zero would not add up to the cost beside it.
pub(super) fn phase_cells(
    entry: Option<PicoUsd>,
    carry: Option<PicoUsd>,
    cost: Option<PicoUsd>,
) -> [Cell; 2] {
    let is_zero = |amount: Option<PicoUsd>| amount.unwrap_or_default() == PicoUsd::ZERO;
    let is_unknown = is_zero(entry) && is_zero(carry) && !is_zero(cost);
    [entry, carry].map(|amount| match is_unknown {
        true => Cell::Text(String::new()),
        false => Cell::usd(amount),
    })
}

/// The cell of a part of a whole.
pub(super) fn share_cell(share: Share) -> Cell {
    Cell::percent(share.percent)
}

/// The head of a column of shares: it says what they are parts of.
pub(super) fn share_head(shares: impl IntoIterator<Item = Share>) -> &'static str {
    let is_of_cost = shares.into_iter().any(|share| share.cost_percent.is_some());
    if is_of_cost { "of cost" } else { "of tokens" }
}

/// A number of times; blank if there is none.
pub(super) fn count_or_blank(count: u64) -> Cell {
    if count == 0 { Cell::Text(String::new()) } else { Cell::Count(count) }
}

/// A name from the ledger, which may be older than the care that is taken of names.
pub(super) fn name(text: &str) -> String {
    clean_name(text, MAX_NAME).unwrap_or_else(|| "-".to_owned())
}

/// The start of a session's id.
pub(super) fn short_id(id: &str) -> String {
    name(&id.chars().take(SHORT_ID).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Whole;

    #[test]
    fn the_head_says_what_shares_are_of() {
        let whole = Whole { cost: PicoUsd::DOLLAR, tokens: 1_000 };
        assert_eq!(share_head([whole.share(Some(PicoUsd::DOLLAR), 9), whole.share(None, 100)]), "of cost");
        assert_eq!(share_head([Share::of_tokens(100, 1_000)]), "of tokens");
    }
}
