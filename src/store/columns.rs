//! Columns as questions read them that add rows up: without a copy, and lenient. A value of a type that no release writes is
//! as good as none, so that one damaged row hides no other.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::writer::unsigned;
use crate::domain::Usage;

/// A text; `None` if there is none.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r str>> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) => Ok(std::str::from_utf8(bytes).ok()),
        _ => Ok(None),
    }
}

/// A part of a key, in which no text is the empty one.
pub(super) fn name<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(text(row, column)?.unwrap_or_default())
}

/// A number; `None` if there is none.
pub(super) fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    match row.get_ref(column)? {
        ValueRef::Integer(value) => Ok(Some(value)),
        _ => Ok(None),
    }
}

/// A number that is not below 0; none is 0.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(integer(row, column)?.map_or(0, unsigned))
}

/// The columns that [`usage`] reads, in the order of the schema.
macro_rules! usage_columns {
    () => {
        "input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, web_searches"
    };
}

/// The parts of a cost, in the order of the schema.
macro_rules! cost_columns {
    () => {
        "input_pico, output_pico, cache_read_pico, cache_write_pico, web_search_pico"
    };
}

/// The columns that `usage_buckets` and `usage_rollups` have in common, in the order of the schema.
macro_rules! bucket_columns {
    () => {
        concat!(
            "quarter_hour, session, agent_id, model, branch, priced, responses, ",
            $crate::store::columns::usage_columns!(),
            ", ",
            $crate::store::columns::cost_columns!()
        )
    };
}

/// What `usage_buckets` has besides [`bucket_columns`].
macro_rules! detail_columns {
    () => {
        "savings_pico, shortfall_responses, shortfall_tokens, shortfall_pico"
    };
}

pub(super) use {bucket_columns, cost_columns, detail_columns, usage_columns};

/// The six columns of a usage, from input to searches.
pub(super) fn usage(row: &Row<'_>, first: usize) -> rusqlite::Result<Usage> {
    Ok(Usage {
        input: count(row, first)?,
        output: count(row, first + 1)?,
        cache_read: count(row, first + 2)?,
        cache_write_5m: count(row, first + 3)?,
        cache_write_1h: count(row, first + 4)?,
        web_searches: count(row, first + 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_release_writes_is_as_good_as_none() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let read = |sql: &str| -> (Option<String>, String, u64, Usage) {
            conn.query_row(sql, [], |row| {
                Ok((
                    text(row, 0)?.map(str::to_owned),
                    name(row, 0)?.to_owned(),
                    count(row, 1)?,
                    usage(row, 1)?,
                ))
            })
            .unwrap()
        };
        let usage = Usage {
            input: 1,
            output: 2,
            cache_read: 3,
            cache_write_5m: 4,
            cache_write_1h: 5,
            web_searches: 6,
        };
        assert_eq!(read("SELECT 'a', 1, 2, 3, 4, 5, 6"), (Some("a".to_owned()), "a".to_owned(), 1, usage));
        let nothing = (None, String::new(), 0, Usage::default());
        assert_eq!(read("SELECT NULL, NULL, NULL, -1, 'x', x'00', 1.5"), nothing);
        assert_eq!(read("SELECT CAST(x'ff' AS TEXT), -5, 0, 0, 0, 0, 0"), nothing);
        assert_eq!(read("SELECT 5, 0, 0, 0, 0, 0, 0"), nothing);
    }
}
