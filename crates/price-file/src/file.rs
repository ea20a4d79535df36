//! A file's text to models, checked.
//!
//! Prices are dollars for a million tokens, in decimal and exact to six digits. A binary float never takes part: its
//! shortest decimal form is what stands in the file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use chrono::{NaiveDate, NaiveTime};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;
use toml::value::Datetime;

use crate::model::{Model, Percent, Rates, Row};
use crate::model_id::Name;

/// A web search where the table says nothing else, in pico-dollars: Anthropic's and OpenAI's price.
const USUAL_WEB_SEARCH: u64 = 10_000_000_000;

const MAX_USD: u64 = 1_000_000;

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceFile {
    /// When its prices were looked up, in UTC milliseconds.
    pub date: Option<i64>,
    /// Its models, in the order of their names.
    pub models: Vec<FileModel>,
}

/// A model as one file tells of it. What it leaves out is unknown here, for another table may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileModel {
    /// The model.
    pub model: Model,
    /// Its other names, in normal form, and its id's among them.
    pub names: Vec<String>,
    /// Where its heading stands, in bytes.
    pub at: usize,
    /// Where its rows stand, in the file's order.
    pub spans: Vec<RowSpan>,
}

/// Where a row stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSpan {
    /// From its opening brace to behind the closing one, in bytes.
    pub at: Range<usize>,
    /// Its first moment.
    pub from: Option<i64>,
    /// Whether it holds at every hour and for every prompt.
    pub is_base: bool,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Where, in bytes.
    pub at: usize,
    /// What is wrong; of the file's text it repeats names only.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStanza {
    date: Option<Datetime>,
    #[serde(default)]
    providers: BTreeMap<String, ProviderStanza>,
    #[serde(default)]
    models: BTreeMap<Spanned<String>, ModelStanza>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ProviderStanza {
    web_search: Option<Micros>,
    batch: Option<Micros>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelStanza {
    provider: Option<String>,
    source: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    released: Option<Datetime>,
    window: Option<u64>,
    fast: Option<Micros>,
    fast_until: Option<Datetime>,
    us: Option<Micros>,
    regional: Option<Micros>,
    batch: Option<Micros>,
    web_search: Option<Micros>,
    prices: Vec<Spanned<RowStanza>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowStanza {
    from: Option<Datetime>,
    until: Option<Datetime>,
    #[serde(default)]
    over: u64,
    #[serde(default)]
    hours: Vec<String>,
    #[serde(default)]
    weekdays: bool,
    input: Micros,
    output: Micros,
    cache_read: Option<Micros>,
    cache_write_5m: Option<Micros>,
    cache_write_1h: Option<Micros>,
    web_search: Option<Micros>,
}

/// A decimal number in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Micros(u64);

/// Reads a decimal number that is not negative into millionths; `None` if it is none, too large or finer than that.
fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let value = format!("{whole}{fraction:0<6}").parse().ok()?;
    (value <= MAX_USD * 1_000_000).then_some(value)
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Micros;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number like 2.50, from 0 to {MAX_USD}, with at most six decimals")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Micros, E> {
                micros(text)
                    .map(Micros)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Other("this number"), &self))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Micros, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Micros, E> {
                // Rust writes the shortest decimal that reads back as the same float, without an exponent.
                self.visit_str(&value.to_string())
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// Reads a file's text.
///
/// # Errors
/// If it is no TOML, or says something that is no price; [`FileFault`] tells where.
pub fn read(text: &str) -> Result<PriceFile, FileFault> {
    let stanzas: FileStanza = toml::from_str(text).map_err(|error| FileFault {
        at: error.span().map_or(0, |span| span.start),
        reason: error.message().to_owned(),
    })?;
    let date = stanzas.date.map(|date| day(date, 0)).transpose()?;
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut models = Vec::new();
    for (id, stanza) in stanzas.models {
        let at = id.span().start;
        let id = id.into_inner();
        let model = file_model(&id, at, &stanza, &stanzas.providers)?;
        for name in &model.names {
            if let Some(other) = owners.insert(name.clone(), id.clone()) {
                let reason = format!("{name:?} names both {other:?} and {id:?}");
                return Err(FileFault { at, reason });
            }
        }
        models.push(model);
    }
    Ok(PriceFile { date, models })
}

fn file_model(
    id: &str,
    at: usize,
    stanza: &ModelStanza,
    providers: &BTreeMap<String, ProviderStanza>,
) -> Result<FileModel, FileFault> {
    let fault = |at, reason: &str| FileFault { at, reason: format!("model {id:?} {reason}") };
    let provider = match &stanza.provider {
        None => None,
        Some(name) => Some(providers.get(name).ok_or_else(|| fault(at, "has a provider that isn't listed"))?),
    };
    let web_search = stanza.web_search.or(provider.and_then(|provider| provider.web_search));
    let web_search = web_search.map_or(USUAL_WEB_SEARCH, picos_each);
    let percent = |factor: Option<Micros>| match factor {
        Some(Micros(micros)) if micros % 10_000 != 0 || micros == 0 || micros > 100_000_000 => {
            Err(fault(at, "has a factor that isn't between 0.01 and 100 with at most two decimals"))
        }
        Some(Micros(micros)) => Ok(Percent::try_from(micros / 10_000).ok()),
        None => Ok(None),
    };

    let mut rows = Vec::new();
    let mut spans = Vec::new();
    for spanned in &stanza.prices {
        let span = spanned.span();
        let row = row(spanned.get_ref(), web_search, span.start)
            .map_err(|FileFault { at, reason }| fault(at, &reason))?;
        spans.push(RowSpan { at: span, from: row.from, is_base: row.is_base() });
        rows.push(row);
    }
    if !rows.iter().any(Row::is_base) {
        return Err(fault(at, "has no price that applies to every prompt at every hour"));
    }
    rows.sort_by_key(|row| (row.group(), row.from));
    if rows.windows(2).any(|pair| (pair[0].group(), pair[0].from) == (pair[1].group(), pair[1].from)) {
        return Err(fault(at, "has two prices for the same time"));
    }

    let mut names: Vec<String> =
        std::iter::once(id).chain(stanza.aliases.iter().map(String::as_str)).map(key).collect();
    names.sort_unstable();
    names.dedup();
    if names.iter().any(String::is_empty) {
        return Err(fault(at, "has an empty name"));
    }
    let owned = |text: &Option<String>| Cow::Owned(text.clone().unwrap_or_default());
    let model = Model {
        id: Cow::Owned(id.to_owned()),
        provider: owned(&stanza.provider),
        source: owned(&stanza.source),
        released: stanza.released.map(|date| day(date, at)).transpose()?,
        window: stanza.window,
        fast: percent(stanza.fast)?,
        fast_until: stanza.fast_until.map(|date| day(date, at)).transpose()?,
        us: percent(stanza.us)?,
        regional: percent(stanza.regional)?,
        batch: percent(stanza.batch.or(provider.and_then(|provider| provider.batch)))?,
        rows: Cow::Owned(rows),
    };
    Ok(FileModel { model, names, at, spans })
}

fn row(stanza: &RowStanza, usual_web_search: u64, at: usize) -> Result<Row, FileFault> {
    let fault = |reason: &str| FileFault { at, reason: reason.to_owned() };
    let from = stanza.from.map(|date| day(date, at)).transpose()?;
    let until = stanza.until.map(|date| day(date, at)).transpose()?;
    let Micros(input) = stanza.input;
    let picos = |rate: Option<Micros>, otherwise: u64| rate.map_or(otherwise, |Micros(value)| value);
    // Who names no price for the cache bills those tokens as input.
    let cache_write_5m = picos(stanza.cache_write_5m, input);
    let row = Row {
        from,
        until,
        over: stanza.over,
        hours: hours(&stanza.hours).ok_or_else(|| fault("has hours that aren't like \"01:00-04:15\""))?,
        weekdays: stanza.weekdays,
        rates: Rates {
            input,
            output: stanza.output.0,
            cache_read: picos(stanza.cache_read, input),
            cache_write_5m,
            cache_write_1h: picos(stanza.cache_write_1h, cache_write_5m),
            web_search: stanza.web_search.map_or(usual_web_search, picos_each),
        },
    };
    if row.is_base() && until.is_some() {
        return Err(fault("has a price with `until` and nothing after it; give the next one a `from`"));
    }
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        return Err(fault("has a price that ends before it starts"));
    }
    Ok(row)
}

/// Dollars for one thing, in pico-dollars.
fn picos_each(Micros(micros): Micros) -> u64 {
    micros * 1_000_000
}

/// A number that tells one file from another, the same everywhere and for ever (FNV-1a).
#[must_use]
pub fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// An id's normal form.
fn key(id: &str) -> String {
    Name::new(id).key
}

/// The start of a day, in UTC milliseconds.
fn day(date: Datetime, at: usize) -> Result<i64, FileFault> {
    let (Some(date), None, None) = (date.date, date.time, date.offset) else {
        return Err(FileFault { at, reason: "write dates like 2026-11-22".to_owned() });
    };
    NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
        .map(|date| date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
        .ok_or_else(|| FileFault { at, reason: "write dates like 2026-11-22".to_owned() })
}

/// Quarters of the day as bits; 0 if none are named. Whole quarters, because that is how the ledger's roll-ups divide
/// the day.
fn hours(spans: &[String]) -> Option<u128> {
    let quarter = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour <= 24 && minute < 60 && minute % 15 == 0 && hour * 60 + minute <= 24 * 60)
            .then_some(hour * 4 + minute / 15)
    };
    let mut bits = 0;
    for span in spans {
        let (start, end) = span.split_once('-')?;
        let (start, end) = (quarter(start)?, quarter(end)?);
        if start >= end {
            return None;
        }
        bits |= ((1_u128 << end) - 1) & !((1_u128 << start) - 1);
    }
    Some(bits)
}
