//! A table that any format can show: typed cells in named columns.

use crate::report::KnownCost;

/// A value and what kind it is; how it looks is the renderer's business.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A name. It may come from outside; ids and names are made harmless when they are read.
    Text(String),
    /// A folder, of which the end says most.
    Path(String),
    /// A number that is known.
    Count(u64),
    /// A number of ours, shown with `~`.
    Estimate(u64),
    /// A price, with all its digits: dollars for a million tokens, or for one request.
    Price(crate::domain::PicoUsd),
    /// What something cost; unknown if it has no price, and more than that if part of it has none.
    Cost(KnownCost),
    /// An estimate of what something cost, shown with `~`.
    Rough(crate::domain::PicoUsd),
    /// A number of tokens where others are sums of money.
    Tokens(u64),
    /// How much more or less something cost.
    Change(crate::domain::PicoUsd),
    /// How much more or less something cost, in percent of what it was.
    ChangePercent(f64),
    /// How much more or less there is of something.
    Difference(i64),
    /// A share, 0 to 100.
    Percent(f64),
    /// A number of seconds.
    Span(u64),
    /// A share of the largest, 0 to 1, as a picture that fills the room there is.
    Bar(f64),
    /// How a budget stands.
    State(crate::domain::BudgetState),
    /// A point in time.
    Time(crate::domain::Timestamp),
    /// Not known, which is not zero.
    Unknown,
}

impl Cell {
    /// A sum of money of which nothing is left out; `None` where it is not known.
    #[must_use]
    pub const fn usd(amount: Option<crate::domain::PicoUsd>) -> Self {
        Self::Cost(KnownCost::whole(amount))
    }

    /// A count, or unknown.
    #[must_use]
    pub fn count(value: Option<u64>) -> Self {
        value.map_or(Self::Unknown, Self::Count)
    }

    /// A share, or unknown.
    #[must_use]
    pub fn percent(value: Option<f64>) -> Self {
        value.map_or(Self::Unknown, Self::Percent)
    }
}

/// Which side a column's cells lean to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Its side.
    pub align: Align,
    /// Whether it is shown only where there is room: a terminal of 80 columns has none.
    pub is_extra: bool,
}

/// A table with a title.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// The sum of the rows, if they have one.
    pub total: Option<Vec<Cell>>,
}

impl Table {
    /// A table without rows. The first column leans left, a name that ends in `<` too; one that ends in `?` is for wide
    /// terminals.
    #[must_use]
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        let columns = columns
            .iter()
            .enumerate()
            .map(|(at, marked)| {
                let name = marked.trim_end_matches('?');
                let is_left = at == 0 || name.ends_with('<');
                Column {
                    name: name.trim_end_matches('<'),
                    align: if is_left { Align::Left } else { Align::Right },
                    is_extra: name != *marked,
                }
            })
            .collect();
        Self { title: title.into(), columns, rows: Vec::new(), total: None }
    }
}
