//! The user's prices, laid over the built-in table.

use std::borrow::Cow;

use tallyhook_price_file::{FileFault, FileModel, Model, Row, fingerprint, read};

use crate::builtin;

/// The user's prices, laid over the built-in ones.
///
/// A model that the table knows under any of its names is replaced as a whole: where the user's rows begin, the built-in
/// rows and tiers end. What his file leaves out (window, factors) is the table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPrices {
    models: Vec<Model>,
    /// Names in order, with the model's index.
    names: Vec<(String, usize)>,
    /// Indexes of built-in models in order, with the index of what replaces them.
    replaced: Vec<(usize, usize)>,
    version: u64,
}

impl UserPrices {
    /// Reads the text of such a file.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn parse(text: &str) -> Result<Self, FileFault> {
        let file = read(text)?;
        let mut own = Self::default();
        for FileModel { model, names, at, .. } in file.models {
            let index = own.models.len();
            let model = match builtin::model_of(&model.id) {
                Some((replaced, known)) => {
                    if own.replacement(replaced).is_some() {
                        let reason =
                            format!("{:?} is another name for a model that already has prices", model.id);
                        return Err(FileFault { at, reason });
                    }
                    own.replaced.push((replaced, index));
                    own.replaced.sort_unstable();
                    laid_over(model, known)
                }
                None => model,
            };
            own.models.push(model);
            own.names.extend(names.into_iter().map(|name| (name, index)));
        }
        own.names.sort_unstable();
        own.version = if own.models.is_empty() { 0 } else { fingerprint(text) };
        Ok(own)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn models(&self) -> &[Model] {
        &self.models
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| &**name)
    }

    pub(super) fn index_of(&self, key: &str) -> Option<usize> {
        let at = self.names.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(self.names[at].1)
    }

    /// What replaces the built-in model of that index.
    pub(super) fn replacement(&self, builtin: usize) -> Option<usize> {
        let at = self.replaced.binary_search_by_key(&builtin, |(builtin, _)| *builtin).ok()?;
        Some(self.replaced[at].1)
    }
}

/// The user's model with what the built-in one says besides, and its rows from before his begin.
fn laid_over(own: Model, known: &Model) -> Model {
    let text =
        |own: Cow<'static, str>, known: &Cow<'static, str>| if own.is_empty() { known.clone() } else { own };
    // Without a date his prices hold from the beginning.
    let begin = own.rows.iter().filter(|row| row.is_base()).map(|row| row.from).min().flatten();
    let earlier = begin.into_iter().flat_map(|begin| {
        let rows = known.rows.iter().filter(move |row| row.from.is_none_or(|from| from < begin));
        // A later price takes the place of an earlier one; a tier would go before both.
        rows.map(move |row| match row.is_base() {
            true => *row,
            false => Row { until: Some(row.until.map_or(begin, |until| until.min(begin))), ..*row },
        })
    });
    let mut rows: Vec<Row> = earlier.chain(own.rows.iter().copied()).collect();
    rows.sort_by_key(|row| (row.group(), row.from));
    Model {
        id: known.id.clone(),
        provider: text(own.provider, &known.provider),
        source: text(own.source, &Cow::Borrowed("")),
        released: own.released.or(known.released),
        window: own.window.or(known.window),
        fast: own.fast.or(known.fast),
        fast_until: if own.fast.is_some() { own.fast_until } else { known.fast_until },
        us: own.us.or(known.us),
        regional: own.regional.or(known.regional),
        batch: own.batch.or(known.batch),
        rows: Cow::Owned(rows),
    }
}
