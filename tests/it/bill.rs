//! Logs that are imported, and what the reports then say of them: tokens, and money to the pico-dollar.
//!
//! Whatever is read here has to keep the laws of every report: rows add up to the total, parts to the whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tallyhook::domain::Usage;

use crate::support::{Ledger, Ran, files_below, shuffled, usage};

/// The model of the answers that tests write.
pub(crate) const OPUS: &str = "claude-opus-5-5";
/// A million pico-dollars: what a token costs at a dollar a million.
pub(crate) const MICRO: i128 = 1_000_000;
/// What a web search costs.
pub(crate) const SEARCH: i128 = 10_000 * MICRO;

/// Pico-dollars; `None` if there is no price.
type Pico = Option<i128>;

/// A row of `cost --json`, or its total.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Row {
    key: Option<String>,
    #[serde(deserialize_with = "classes")]
    pub(crate) usage: Usage,
    total_tokens: u64,
    cost: Option<Parts>,
    #[serde(rename = "cost_usd", deserialize_with = "pico")]
    pub(crate) pico: Pico,
    pub(crate) unpriced_models: Vec<String>,
    pub(crate) sessions: u64,
    pub(crate) responses: u64,
}

/// The cost of each class.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Parts {
    #[serde(rename = "input_usd", deserialize_with = "pico")]
    input: Pico,
    #[serde(rename = "output_usd", deserialize_with = "pico")]
    output: Pico,
    #[serde(rename = "cache_read_usd", deserialize_with = "pico")]
    cache_read: Pico,
    #[serde(rename = "cache_write_usd", deserialize_with = "pico")]
    cache_write: Pico,
    #[serde(rename = "web_search_usd", deserialize_with = "pico")]
    web_search: Pico,
}

/// What `cost --json` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Bill {
    rows: Vec<Row>,
    pub(crate) total: Row,
}

impl Bill {
    /// The row with that key.
    pub(crate) fn row(&self, key: &str) -> &Row {
        self.find(key).unwrap_or_else(|| panic!("no row {key}: {self:#?}"))
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.key.as_deref() == Some(key))
    }

    /// Usage, responses and pico-dollars by key; what used nothing is left out.
    pub(crate) fn by_key(&self) -> BTreeMap<String, (Usage, u64, i128)> {
        let figures = |row: &Row| (row.usage, row.responses, row.pico.unwrap_or(0));
        let rows = self.rows.iter().map(|row| (row.key.clone().unwrap(), figures(row)));
        rows.filter(|(_, figures)| *figures != (Usage::default(), 0, 0)).collect()
    }

    fn assert_lawful(&self) {
        for row in self.rows.iter().chain([&self.total]) {
            assert_eq!(row.total_tokens, tokens(&row.usage), "{row:#?}");
            let parts = row.cost.as_ref().map_or(0, |parts| {
                let parts =
                    [parts.input, parts.output, parts.cache_read, parts.cache_write, parts.web_search];
                parts.into_iter().flatten().sum()
            });
            assert_eq!(row.pico.unwrap_or(0), parts, "the parts are not the whole: {row:#?}");
            assert!(row.pico.is_some() || !row.unpriced_models.is_empty(), "{row:#?}");
        }
        let total = |row: fn(&Row) -> i128| self.rows.iter().map(row).sum::<i128>();
        assert_eq!(self.rows.iter().map(|row| row.usage).sum::<Usage>(), self.total.usage, "{self:#?}");
        assert_eq!(total(|row| row.pico.unwrap_or(0)), self.total.pico.unwrap_or(0), "{self:#?}");
        assert_eq!(total(|row| row.responses.into()), self.total.responses.into(), "{self:#?}");
    }
}

/// `actual` of `show-usage --json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Actual {
    #[serde(deserialize_with = "classes")]
    pub(crate) usage: Usage,
    total_tokens: u64,
    #[serde(rename = "cost_usd", deserialize_with = "pico")]
    pub(crate) pico: Pico,
    pub(crate) responses: u64,
    pub(crate) unpriced_models: Vec<String>,
    pub(crate) hidden: Hidden,
    pub(crate) output_shortfall: Shortfall,
}

/// What no line of a transcript shows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Hidden {
    #[serde(deserialize_with = "classes")]
    pub(crate) usage: Usage,
    #[serde(rename = "cost_usd", deserialize_with = "pico")]
    pub(crate) pico: Pico,
}

/// What is probably missing where a log has no final usage.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Shortfall {
    pub(crate) tokens: u64,
    #[serde(rename = "cost_usd", deserialize_with = "pico")]
    pub(crate) pico: Pico,
    pub(crate) responses: u64,
}

fn tokens(usage: &Usage) -> u64 {
    usage.input + usage.output + usage.cache_read + usage.cache_write()
}

fn classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Usage, D::Error> {
    Value::deserialize(deserializer).map(|value| usage(&value))
}

/// Dollars as they are written: no float comes near them.
fn pico<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pico, D::Error> {
    let number = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(number.map(|number| pico_of(number.get())))
}

fn pico_of(dollars: &str) -> i128 {
    let (whole, fraction) = dollars.split_once('.').unwrap_or((dollars, ""));
    assert!(fraction.len() <= 12, "{dollars} is finer than a pico-dollar");
    format!("{whole}{fraction:0<12}").parse().unwrap_or_else(|error| panic!("{dollars}: {error}"))
}

fn parsed<'t, T: Deserialize<'t>>(ran: &'t Ran) -> T {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

impl Ledger {
    /// Where the transcripts of this ledger's sessions are.
    pub(crate) fn projects(&self) -> PathBuf {
        self.dir().join("projects")
    }

    /// Imports the transcripts below a folder.
    pub(crate) fn import_from(&self, folder: &Path) -> Value {
        let ran = self.run(&["import", "--path", folder.to_str().unwrap(), "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.json()
    }

    /// Imports the transcripts of this ledger's sessions.
    pub(crate) fn import(&self) -> Value {
        self.import_from(&self.projects())
    }

    /// Copies the files of a folder to this ledger's transcripts, as long as they were when so many percent of them
    /// were written, and imports after each few. The order is that of a seed.
    pub(crate) fn import_in_pieces(&self, from: &Path, seed: u64, percent: usize) {
        let files = shuffled(&files_below(from), seed);
        for group in files.chunks(1 + usize::try_from(seed % 4).unwrap()) {
            for file in group {
                let copy = self.projects().join(file.strip_prefix(from).unwrap());
                std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
                let bytes = std::fs::read(file).unwrap();
                std::fs::write(copy, &bytes[..bytes.len() * percent / 100]).unwrap();
            }
            self.import();
        }
    }

    /// What everything cost, by something.
    pub(crate) fn cost_by(&self, by: &str) -> Bill {
        let ran = self.run(&["cost", "--by", by, "--json", "--tz", "UTC"]);
        assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
        let bill: Bill = parsed(&ran);
        bill.assert_lawful();
        bill
    }

    /// The provider's figures of a session.
    pub(crate) fn actual(&self, session: &str) -> Actual {
        #[derive(Deserialize)]
        struct Shown {
            actual: Actual,
        }
        let ran = self.run(&["show-usage", "--session", session, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let Shown { actual } = parsed(&ran);
        assert_eq!(actual.total_tokens, tokens(&actual.usage), "{actual:#?}");
        actual
    }

    /// The total, after all views have been found to agree on it.
    pub(crate) fn total(&self) -> Row {
        let sessions = self.cost_by("session");
        for by in ["model", "agent", "day"] {
            assert_eq!(self.cost_by(by).total, sessions.total, "by {by}");
        }
        for row in &sessions.rows {
            let actual = self.actual(row.key.as_deref().unwrap());
            assert_eq!((actual.usage, actual.responses), (row.usage, row.responses), "{row:#?}");
            assert_eq!((actual.pico, &actual.unpriced_models), (row.pico, &row.unpriced_models), "{row:#?}");
        }
        sessions.total
    }
}

/// What usage costs on Claude Opus 5.5: $4 in, $20 out, $0.20 read, $5 and $8 written, $0.01 a search.
pub(crate) fn on_opus(usage: Usage) -> i128 {
    let Usage { input, output, cache_read, cache_write_5m, cache_write_1h, web_searches } = usage;
    let tokens = 4 * i128::from(input)
        + 20 * i128::from(output)
        + i128::from(cache_read) / 5
        + 5 * i128::from(cache_write_5m)
        + 8 * i128::from(cache_write_1h);
    assert_eq!(cache_read % 5, 0, "a fifth of a dollar needs five tokens");
    tokens * MICRO + SEARCH * i128::from(web_searches)
}

/// A `cost-state` line: the client's own total of a session so far, by model. It has no time of its own.
pub(crate) fn cost_state(session: &str, models: &[(&str, Usage)]) -> Value {
    let models: serde_json::Map<String, Value> = models
        .iter()
        .map(|(model, usage)| {
            let total = json!({
                "inputTokens": usage.input, "outputTokens": usage.output, "thinkingTokens": 0,
                "cacheReadInputTokens": usage.cache_read, "cacheCreationInputTokens": usage.cache_write(),
                "cacheCreationEphemeral5mInputTokens": usage.cache_write_5m,
                "cacheCreationEphemeral1hInputTokens": usage.cache_write_1h,
                "webSearchRequests": usage.web_searches,
            });
            ((*model).to_owned(), total)
        })
        .collect();
    json!({
        "type": "cost-state", "sessionId": session, "totalAPIDuration": 820, "totalLinesAdded": 0,
        "startTime": 4_099_024_799_900_i64, "modelUsage": models, "hasUnknownModelCost": false,
    })
}
