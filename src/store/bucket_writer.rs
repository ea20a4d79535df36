//! Keeps `usage_buckets` and what it comes to by hour, day and session in step with the responses: what a transaction changes in them is
//! added up here and written at its end, so that a thousand responses of one quarter of an hour are one row written once.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, ToSql, params, params_from_iter};

use super::budget_totals::{self, BucketChange};
use super::columns::{bucket_columns, detail_columns};
use super::meta::PRICE_VERSION;
use super::quarter_hour::{HIDDEN_AGENT, QuarterHour};
use super::rollup::Grain;
use super::writer::{SessionRow, signed};
use super::{Ledger, StoreError};
use crate::domain::{AgentId, CostParts, ModelId, PicoUsd, ResponseRecord, Timestamp, Usage};
use crate::pricing::{PriceTable, Rates};

/// The quarter of what has no time.
const NO_QUARTER: i64 = -1;
/// The session of copies whose original is not known.
const NO_SESSION: i64 = 0;

/// What is added up together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct BucketKey {
    quarter: i64,
    session: i64,
    agent: String,
    model: String,
    branch: String,
    priced: bool,
}

/// So many changes are kept before they are written: where each response has a model, a branch or a time of its own, all
/// those of a transaction would take some 600 bytes a response. A usual transaction has a tenth.
const MOST_CHANGES: usize = if cfg!(test) { 3 } else { 8_192 };

/// The columns of `usage_buckets` that are sums, in their order.
type Amounts = [i64; 16];

/// Changes of `usage_buckets` that are not written yet.
#[derive(Debug, Default)]
pub(super) struct BucketWriter {
    changes: HashMap<BucketKey, Amounts>,
    /// What was added last, and is not among the changes yet: most responses are added up with the one before.
    latest: Option<(BucketKey, Amounts)>,
}

impl BucketWriter {
    /// Adds a response, or with `sign` -1 takes it away.
    pub(super) fn add(
        &mut self,
        message: &ResponseRecord,
        session: SessionRow,
        prices: &PriceTable,
        sign: i64,
    ) {
        let model = message.model.as_ref().map_or("", ModelId::as_str);
        let usage = message.usage;
        let last = message.last_iteration();
        let rates = prices.price(model, message.at, last.prompt(), message.modifiers);
        let shortfall = message.shortfall();
        let shortfall_cost = rates.map_or(0, |rates| PicoUsd::times(shortfall, rates.output).to_i64());
        let shortfall = [i64::from(shortfall > 0), signed(shortfall), shortfall_cost];
        let amounts = match message.iterations {
            None => amounts_of(1, usage, rates, shortfall),
            Some(_) => {
                let mut sums = amounts_of(1, Usage::default(), None, shortfall);
                for (usage, rates) in prices.priced(message) {
                    add(&mut sums, &amounts_of(0, usage, rates, [0; 3]), 1);
                }
                sums
            }
        };
        let quarter = quarter(message.at);
        let session = if message.copied { NO_SESSION } else { session.0 };
        let agent = message.agent.as_ref().map_or("", AgentId::as_str);
        let branch = message.branch.as_deref().unwrap_or_default();
        let priced = rates.is_some() || usage == Usage::default();
        if let Some((key, sums)) = &mut self.latest
            && (key.quarter, key.session, key.priced) == (quarter, session, priced)
            && (key.agent.as_str(), key.model.as_str(), key.branch.as_str()) == (agent, model, branch)
        {
            add(sums, &amounts, sign);
            return;
        }
        self.settle();
        let key = BucketKey {
            quarter,
            session,
            agent: agent.to_owned(),
            model: model.to_owned(),
            branch: branch.to_owned(),
            priced,
        };
        let mut sums = Amounts::default();
        add(&mut sums, &amounts, sign);
        self.latest = Some((key, sums));
    }

    /// Puts what was added last among the changes.
    fn settle(&mut self) {
        if let Some((key, amounts)) = self.latest.take() {
            self.change(key, amounts, 1);
        }
    }

    /// Adds what a session used beside its lines.
    pub(super) fn add_hidden(
        &mut self,
        session: SessionRow,
        at: Option<Timestamp>,
        model: &str,
        usage: Usage,
        rates: Option<Rates>,
    ) {
        let key = BucketKey {
            quarter: quarter(at),
            session: session.0,
            agent: HIDDEN_AGENT.to_owned(),
            model: model.to_owned(),
            branch: String::new(),
            priced: rates.is_some(),
        };
        self.change(key, amounts_of(0, usage, rates, [0; 3]), 1);
    }

    /// Takes away what a session is known to have used beside its lines.
    pub(super) fn remove_hidden(&mut self, conn: &Connection, session: SessionRow) -> rusqlite::Result<()> {
        const SQL: &str = concat!(
            "SELECT ",
            bucket_columns!(),
            ", ",
            detail_columns!(),
            " FROM usage_buckets WHERE session = ?1 AND agent_id = ?2"
        );
        let mut query = conn.prepare_cached(SQL)?;
        let mut rows = query.query(params![session.0, HIDDEN_AGENT])?;
        while let Some(row) = rows.next()? {
            let key = BucketKey {
                quarter: row.get(0)?,
                session: session.0,
                agent: HIDDEN_AGENT.to_owned(),
                model: row.get(3)?,
                branch: row.get(4)?,
                priced: row.get(5)?,
            };
            let mut amounts = Amounts::default();
            for (column, amount) in (6..).zip(&mut amounts) {
                *amount = row.get(column)?;
            }
            self.change(key, amounts, -1);
        }
        Ok(())
    }

    fn change(&mut self, key: BucketKey, amounts: Amounts, sign: i64) {
        add(self.changes.entry(key).or_default(), &amounts, sign);
    }

    /// Writes the changes if they are many.
    pub(super) fn write_if_many(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        if self.changes.len() < MOST_CHANGES { Ok(()) } else { self.write(conn) }
    }

    /// Writes the changes.
    pub(super) fn write(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.settle();
        self.changes.retain(|_, amounts| *amounts != Amounts::default());
        let sum = |amounts: &[i64]| amounts.iter().fold(0_i64, |sum, amount| sum.saturating_add(*amount));
        let changes = self.changes.iter().map(|(key, amounts)| BucketChange {
            quarter: key.quarter,
            session: key.session,
            agent: &key.agent,
            model: &key.model,
            tokens: sum(&amounts[TOKENS]),
            pico: sum(&amounts[COST]),
        });
        budget_totals::add(conn, changes)?;
        for grain in Grain::ALL {
            write_changes(conn, grain, &self.added_up(grain))?;
        }
        self.changes.clear();
        Ok(())
    }

    /// The changes of a table, in the order of its key, so that its pages are touched one after the other.
    fn added_up(&self, grain: Grain) -> BTreeMap<BucketKey, Amounts> {
        let mut changes: BTreeMap<BucketKey, Amounts> = BTreeMap::new();
        for (key, amounts) in &self.changes {
            let Some(quarter) = grain.first_of(key.quarter) else { continue };
            let (agent, branch) = (grain.run(&key.agent).to_owned(), grain.branch(&key.branch).to_owned());
            let key = BucketKey { quarter, agent, branch, ..key.clone() };
            add(changes.entry(key).or_default(), amounts, 1);
        }
        changes
    }
}

/// The columns of `usage_buckets` that are sums, in the order of [`Amounts`].
const SUMS: [&str; 16] = [
    "responses",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "web_searches",
    "input_pico",
    "output_pico",
    "cache_read_pico",
    "cache_write_pico",
    "web_search_pico",
    "savings_pico",
    "shortfall_responses",
    "shortfall_tokens",
    "shortfall_pico",
];

/// Where among them the classes of tokens are, and the parts of the cost.
const TOKENS: std::ops::Range<usize> = 1..6;
const COST: std::ops::Range<usize> = 7..12;

/// The first sums, which `usage_rollups` has too.
const ROLLED_UP: usize = 12;

fn write_changes(
    conn: &Connection,
    grain: Grain,
    changes: &BTreeMap<BucketKey, Amounts>,
) -> rusqlite::Result<()> {
    const KEYS: usize = 6;
    let sums = if grain == Grain::QuarterHour { &SUMS[..] } else { &SUMS[..ROLLED_UP] };
    let values: Vec<String> = (1..=KEYS + sums.len()).map(|number| format!("?{number}")).collect();
    let updates: Vec<String> =
        sums.iter().zip(KEYS + 1..).map(|(sum, number)| format!("{sum} = {sum} + ?{number}")).collect();
    let upsert = format!(
        "INSERT {} {}) ON CONFLICT DO UPDATE SET {}",
        grain.new_row(),
        values.join(", "),
        updates.join(", ")
    );
    let delete = format!(
        "DELETE {} quarter_hour = ?1 AND session = ?2 AND agent_id = ?3 AND model = ?4 AND branch = ?5
           AND priced = ?6 AND responses = 0 AND input_tokens = 0 AND output_tokens = 0 AND cache_read_tokens = 0
           AND cache_write_5m_tokens = 0 AND cache_write_1h_tokens = 0 AND web_searches = 0",
        grain.rows()
    );
    if changes.is_empty() {
        return Ok(());
    }
    let mut upsert = conn.prepare_cached(&upsert)?;
    for (key, amounts) in changes {
        let amounts = &amounts[..sums.len()];
        if amounts.iter().all(|amount| *amount == 0) {
            continue;
        }
        let names: [&dyn ToSql; KEYS] =
            [&key.quarter, &key.session, &key.agent, &key.model, &key.branch, &key.priced];
        let amounts_to_write = amounts.iter().map(|amount| amount as &dyn ToSql);
        upsert.execute(params_from_iter(names.into_iter().chain(amounts_to_write)))?;
        // What is left of a row that nothing is in any more.
        if amounts.iter().any(|amount| *amount < 0) {
            conn.prepare_cached(&delete)?.execute(names)?;
        }
    }
    Ok(())
}

/// Adds `amounts` to `sums`, or with `sign` -1 takes them away.
fn add(sums: &mut Amounts, amounts: &Amounts, sign: i64) {
    for (sum, amount) in sums.iter_mut().zip(amounts) {
        *sum = sum.saturating_add(amount.saturating_mul(sign));
    }
}

fn quarter(at: Option<Timestamp>) -> i64 {
    at.map_or(NO_QUARTER, |at| at.as_millis().div_euclid(QuarterHour::MILLIS))
}

fn amounts_of(responses: i64, usage: Usage, rates: Option<Rates>, shortfall: [i64; 3]) -> Amounts {
    let (cost, savings) = rates.map_or((CostParts::default(), PicoUsd::ZERO), |rates| {
        (usage.cost_at(&rates), usage.cache_savings_at(&rates))
    });
    [
        responses,
        signed(usage.input),
        signed(usage.output),
        signed(usage.cache_read),
        signed(usage.cache_write_5m),
        signed(usage.cache_write_1h),
        signed(usage.web_searches),
        cost.input.to_i64(),
        cost.output.to_i64(),
        cost.cache_read.to_i64(),
        cost.cache_write.to_i64(),
        cost.web_search.to_i64(),
        savings.to_i64(),
        shortfall[0],
        shortfall[1],
        shortfall[2],
    ]
}

/// What is done where prices have changed.
pub(super) const PRICE: &str = "price the responses";

impl Ledger {
    /// What responses are priced by.
    #[must_use]
    pub fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Prices what is stored from now on by `prices` in place of the built-in table.
    pub fn set_prices(&mut self, prices: PriceTable) {
        self.prices = prices;
    }

    /// Prices all that is stored anew if that was done with other prices than the ledger's own now. Whether it was.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub fn reprice(&mut self) -> Result<bool, StoreError> {
        let is_current = || -> rusqlite::Result<bool> {
            Ok(match PRICE_VERSION.get(&self.conn)? {
                Some(version) => version == stamp(&self.prices),
                None => super::responses::is_without(&self.conn)?,
            })
        };
        if is_current().map_err(StoreError::query("read the prices' version"))? {
            return Ok(false);
        }
        let prices = self.prices.clone();
        self.write(PRICE, |tx| {
            tx.execute("DELETE FROM usage_buckets", [])?;
            tx.execute("DELETE FROM usage_rollups", [])?;
            let mut spending = BucketWriter::default();
            super::responses::for_each_response(tx, |message, session| {
                spending.add(&message, session, &prices, 1);
                spending.write_if_many(tx)
            })?;
            super::hidden::add_all(tx, &prices, &mut spending)?;
            spending.write(tx)?;
            budget_totals::void(tx)?;
            budget_totals::reprice_pending(tx, &prices)?;
            super::changes::note_all(tx)?;
            PRICE_VERSION.put(tx, &stamp(&prices))
        })?;
        Ok(true)
    }
}

/// Notes with what prices rows of `usage_buckets` are written. Where they were written with others, or not at all for what is
/// there, the stamp is void and the next command prices all of it.
pub(super) fn check_version(conn: &Connection, prices: &PriceTable) -> rusqlite::Result<()> {
    let own = stamp(prices);
    match PRICE_VERSION.get(conn)? {
        Some(found) if found == own || found == 0 => Ok(()),
        Some(_) => PRICE_VERSION.put(conn, &0),
        None => {
            let stamp = if super::responses::is_without(conn)? { own } else { 0 };
            PRICE_VERSION.put(conn, &stamp)
        }
    }
}

fn stamp(prices: &PriceTable) -> i64 {
    prices.version().cast_signed()
}
