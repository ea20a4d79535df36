//! Setting a price in the user's file: edited as text, so that everything else in it stays to the letter.

use std::path::Path;

use tallyhook_prices::{FileModel, Prices, Rates, Row, read};

use super::table::PriceTable;
use super::user::{PriceTableError, parse_user_prices};
use crate::domain::Modifiers;
use crate::domain::{ModelId, PicoUsd, Timestamp};

/// What a new file begins with.
const HEADER: &str = "\
# Your own prices, which override tallyhook's. Edit them here or with `tallyhook prices set`.
# USD per million tokens. `from` is the first day (UTC) of a price; without it, the price has no start date.
";

/// Cache prices of a Claude model where nobody gave any, as hundredths of the input's: Anthropic's usual factors.
const CLAUDE_CACHE: [u64; 3] = [10, 125, 200];

/// A price that the user sets, in pico-dollars a token, which is millionths of a dollar for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewPrice {
    /// The first day, at its first moment in UTC; `None` from the beginning.
    pub from: Option<Timestamp>,
    /// Input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Cache reads.
    pub cache_read: Option<u64>,
    /// Cache writes for 5 minutes.
    pub cache_write_5m: Option<u64>,
    /// Cache writes for 1 hour.
    pub cache_write_1h: Option<u64>,
}

/// What was done for the cache prices that a new price leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePriceSource {
    /// Nothing: all were given, or they are those of input.
    Nothing,
    /// They keep the share of the input's price that they had.
    AsBefore,
    /// They are a tenth, five quarters and twice the input's, as with most of Claude's models.
    AsClaude,
}

impl NewPrice {
    /// Fills in the cache prices that are left out, and says how.
    ///
    /// Other providers bill the cache's tokens as input where they name no price, and so does the table.
    pub fn complete(&mut self, model: &ModelId, prices: &PriceTable) -> CachePriceSource {
        let known = prices.price(model.as_str(), self.from, 0, Modifiers::default());
        let (shares, of, filled) = match known.filter(|known| known.input > 0) {
            Some(Rates { input, cache_read, cache_write_5m, cache_write_1h, .. }) => {
                ([cache_read, cache_write_5m, cache_write_1h], input, CachePriceSource::AsBefore)
            }
            None if PriceTable::normal_form(model.as_str()).starts_with("claude") => {
                (CLAUDE_CACHE, 100, CachePriceSource::AsClaude)
            }
            None => return CachePriceSource::Nothing,
        };
        let input = self.input;
        let rates = [&mut self.cache_read, &mut self.cache_write_5m, &mut self.cache_write_1h];
        let mut any = false;
        for (rate, share) in rates.into_iter().zip(shares) {
            any |= rate.is_none();
            // Rounded to what a price list can say; below it lies a millionth of a dollar for a million tokens.
            let part = (u128::from(input) * u128::from(share) + u128::from(of) / 2) / u128::from(of);
            rate.get_or_insert(u64::try_from(part).unwrap_or(u64::MAX));
        }
        if any { filled } else { CachePriceSource::Nothing }
    }

    fn row(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.from.map(|from| format!("from = {}", from.to_date())));
        let rates = [
            ("input", Some(self.input)),
            ("output", Some(self.output)),
            ("cache_read", self.cache_read),
            ("cache_write_5m", self.cache_write_5m),
            ("cache_write_1h", self.cache_write_1h),
        ];
        for (name, rate) in rates {
            parts.extend(
                rate.map(|rate| format!("{name} = {}", PicoUsd::times(1_000_000, rate).to_decimal())),
            );
        }
        format!("{{ {} }}", parts.join(", "))
    }
}

/// The text of the user's file with that price in it: in the place of the one of the same day, else behind the model's
/// others, else in a stanza of its own. `text` is what the file holds now, and `path` where, for the errors.
///
/// # Errors
/// If the file cannot be used as it is, or if the price cannot be put into it without changing another one.
pub fn set(text: &str, model: &ModelId, price: &NewPrice, path: &Path) -> Result<String, PriceTableError> {
    let invalid = |text: &str, fault| PriceTableError::invalid(path, text, &fault);
    let before = read(text).map_err(|fault| invalid(text, fault))?;
    let row = price.row();
    let known = before.models.iter().find(|known| is_same(known, model.as_str()));
    let edited = match known {
        Some(known) => with_row(text, known, price, &row),
        None => with_stanza(text, model, &row),
    };
    // The file is read again: only this price may have changed.
    let layout = || PriceTableError::Layout {
        path: path.to_path_buf(),
        model: model.as_str().to_owned(),
        row: row.clone(),
    };
    let after = read(&edited).map_err(|_| layout())?;
    let wanted = read(&with_stanza("", model, &row)).map_err(|fault| invalid(&row, fault))?;
    let new_row = wanted.models.first().and_then(|wanted| wanted.model.rows.first().copied());
    let others = |models: &[FileModel]| -> Vec<_> {
        let others = models.iter().filter(|other| !is_same(other, model.as_str()));
        others.map(|other| (other.model.clone(), other.names.clone())).collect()
    };
    let mut rows: Vec<Row> = known.map(|known| known.model.rows.to_vec()).unwrap_or_default();
    rows.retain(|row| !row.is_base() || row.from != price.from.map(Timestamp::as_millis));
    rows.extend(new_row);
    rows.sort_by_key(|row| (row.group(), row.from));
    let now = after.models.iter().find(|now| is_same(now, model.as_str()));
    let as_wanted = now
        .is_some_and(|now| now.model.rows.iter().zip(&rows).all(|(one, other)| same_price(one, other)))
        && now.map(|now| now.model.rows.len()) == Some(rows.len())
        && others(&before.models) == others(&after.models);
    if !as_wanted {
        return Err(layout());
    }
    // And it must go with the built-in table too.
    parse_user_prices(&edited, path)?;
    Ok(edited)
}

/// Whether two rows differ in nothing that `set` writes; the price of a search is the stanza's.
fn same_price(one: &Row, other: &Row) -> bool {
    let mut other = *other;
    other.rates.web_search = one.rates.web_search;
    *one == other
}

/// Whether a stanza of the file is about that model, under whatever name.
fn is_same(known: &FileModel, model: &str) -> bool {
    known.names.contains(&PriceTable::normal_form(model)) || Prices::is_one_builtin(model, &known.model.id)
}

fn with_row(text: &str, known: &FileModel, price: &NewPrice, row: &str) -> String {
    let from = price.from.map(Timestamp::as_millis);
    let same = known.spans.iter().find(|span| span.from == from && span.is_base);
    let (range, new) = match (same, known.spans.last()) {
        (Some(span), _) => (span.at.clone(), row.to_owned()),
        (None, Some(last)) => (last.at.end..last.at.end, format!(",\n  {row}")),
        // A stanza without a price is refused when it is read.
        (None, None) => return text.to_owned(),
    };
    let mut edited = text.to_owned();
    edited.replace_range(range, &new);
    edited
}

fn with_stanza(text: &str, model: &ModelId, row: &str) -> String {
    let mut edited = if text.is_empty() { HEADER.to_owned() } else { text.to_owned() };
    if !edited.ends_with('\n') {
        edited.push('\n');
    }
    let id = model.as_str().trim();
    let is_bare =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    // What Rust escapes otherwise than TOML fails when the text is read again.
    let key = if is_bare { id.to_owned() } else { format!("{id:?}") };
    edited.push_str(&["\n[models.", &key, "]\nprices = [\n  ", row, ",\n]\n"].concat());
    edited
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::amount::per_million;

    fn price(input: &str, from: Option<&str>) -> NewPrice {
        NewPrice {
            from: from.map(|from| Timestamp::parse_date(from).unwrap()),
            input: per_million(input).unwrap(),
            output: 15_000_000,
            cache_read: None,
            cache_write_5m: None,
            cache_write_1h: None,
        }
    }

    fn set_in(text: &str, model: &str, price: &NewPrice) -> Result<String, String> {
        set(text, &ModelId::new(model).unwrap(), price, Path::new("p.toml"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_price_is_added_replaced_and_dated_and_the_rest_stays() {
        let first = set_in("", "house/model v2", &price("0.25", None)).unwrap();
        assert!(
            first.ends_with(
                "\n[models.\"house/model v2\"]\nprices = [\n  { input = 0.25, output = 15 },\n]\n"
            )
        );

        let text = format!("{first}# mine\n[models.x]\nprices = [ {{ input = 1, output = 2 }} ] # keep\n");
        let replaced = set_in(&text, "house/model v2", &price("0.5", None)).unwrap();
        assert_eq!(replaced, text.replace("input = 0.25", "input = 0.5"));
        let dated = set_in(&text, "X", &price("3", Some("2026-12-01"))).unwrap();
        let new = "{ input = 1, output = 2 },\n  { from = 2026-12-01, input = 3, output = 15 } ] # keep";
        assert_eq!(dated, text.replace("{ input = 1, output = 2 } ] # keep", new));
        let again = set_in(&dated, "x", &price("4", Some("2026-12-01"))).unwrap();
        assert_eq!(again, dated.replace("input = 3", "input = 4"));
    }

    #[test]
    fn a_model_is_found_under_all_its_names() {
        let text = "[models.\"claude-opus-4.5\"]\nprices = [{ input = 1, output = 2, web_search = 1 }]\n";
        let edited = set_in(text, "claude-opus-4-5-20251101", &price("3", Some("2026-12-01"))).unwrap();
        assert_eq!(edited.matches("[models").count(), 1);
        assert!(edited.contains("web_search = 1 },\n  { from = 2026-12-01"), "{edited}");
    }

    #[test]
    fn what_cannot_be_edited_without_harm_is_left_alone() {
        let error =
            set_in("[[models.x.prices]]\ninput = 1\noutput = 2\n", "x", &price("3", None)).unwrap_err();
        assert!(error.contains("add this line to \"x\" by hand: { input = 3, output = 15 }"), "{error}");
        let error = set_in("models = 1", "x", &price("3", None)).unwrap_err();
        assert!(error.starts_with("can't use the prices in p.toml: line 1, column 10"), "{error}");
    }

    #[test]
    fn cache_prices_that_are_left_out_follow_the_input() {
        let complete = |model: &str, new: &mut NewPrice| {
            new.complete(&ModelId::new(model).unwrap(), &PriceTable::builtin())
        };
        let mut new = price("3", None);
        assert_eq!(complete("anthropic/claude-opus-9", &mut new), CachePriceSource::AsClaude);
        assert_eq!(
            new.row(),
            "{ input = 3, output = 15, cache_read = 0.3, cache_write_5m = 3.75, cache_write_1h = 6 }"
        );
        assert_eq!(complete("claude-opus-9", &mut new), CachePriceSource::Nothing);
        // Opus 5.5 reads its cache for a twentieth.
        let mut new = price("2", None);
        assert_eq!(complete("claude-opus-5-5", &mut new), CachePriceSource::AsBefore);
        assert_eq!(new.cache_read, per_million("0.1").ok());
        assert_eq!(complete("house-model", &mut price("3", None)), CachePriceSource::Nothing);
    }

    proptest! {
        // No files in the source tree.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_set_is_what_is_read(
            models in proptest::collection::vec(("[a-zA-Z0-9./: _\"\\\\é-]{1,20}", 0..1_000_000_000_u64), 1..6),
        ) {
            let mut text = String::new();
            for (model, input) in &models {
                let new = NewPrice { input: *input, ..price("1", None) };
                if let Some(id) = ModelId::new(model)
                    && let Ok(edited) = set(&text, &id, &new, Path::new("p.toml"))
                {
                    let table = PriceTable::with_overrides(
                        parse_user_prices(&edited, Path::new("p.toml")).unwrap(),
                    );
                    let rates = table.price(model, None, 0, Modifiers::default());
                    prop_assert_eq!(rates.map(|rates| rates.input), Some(*input), "{}", edited);
                    text = edited;
                }
            }
        }
    }
}
