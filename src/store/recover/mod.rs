//! What can be had of a ledger that SQLite calls damaged: a new ledger of all records that can still be read, in the place of
//! the old one, which is set aside under a name that says so.
//!
//! Records are found by the b-trees as far as these can be followed, then on pages that nothing leads to any more, where their
//! shape tells which table they are of. Caches are not taken over; they are made anew. What is known of transcripts that are
//! still there is not taken over either, so that an import reads them from the start and fills what is missing.

mod pages;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use self::pages::{FoundRecords, Pages, StoredRecord, TABLE_LEAF, be};
use super::meta::{LEDGER_ID, PRICE_VERSION};
use super::migrations::{migrate, migrate_to};
use super::open::APPLICATION_ID;
use super::wal::is_busy;
use super::writer::unsigned;
use super::{Ledger, SCHEMA_VERSION, StoreError};
use crate::domain::Timestamp;

/// How long another process's write may keep the recovery waiting.
const WAIT: Duration = Duration::from_secs(5);
/// Longer than a hook waits. One that has the old file open by now gives up, and its event goes to the spool.
const HOOKS_GIVE_UP: Duration = Duration::from_millis(1_300);
/// What is made anew from the rest.
const CACHES: [&str; 4] = ["usage_buckets", "usage_rollups", "allocations", "pending_input"];
/// Tables so narrow that a page of another one, or of an index, could be taken for theirs.
const NARROW: usize = 4;
/// Records that people ask about, and what they call them.
const TOLD: [(&str, &str); 8] = [
    ("sessions", "session"),
    ("responses", "response"),
    ("tool_calls", "tool call"),
    ("prompts", "prompt"),
    ("budgets", "budget"),
    ("usage_reports", "agent report"),
    ("captured_costs", "captured cost"),
    ("named_steps", "named step"),
];

/// What became of a damaged ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Where the damaged file is now.
    pub set_aside: PathBuf,
    /// What was kept: a word for each kind, and how many.
    pub kept: Vec<(&'static str, u64)>,
    /// What is known to be missing: indexes still name it.
    pub missing: Vec<(&'static str, u64)>,
    /// Pages and records that could not be read.
    pub unreadable: u64,
    /// Transcripts that are still there, to be read from the start.
    pub transcripts: Vec<PathBuf>,
}

/// A table of the ledger.
struct LedgerTable {
    name: String,
    /// Columns in the order of its records.
    columns: Vec<LedgerColumn>,
    has_rowid: bool,
}

struct LedgerColumn {
    name: String,
    kind: String,
    is_needed: bool,
    /// Whether it is the row's number, for which records hold nothing.
    is_rowid: bool,
}

/// Trees by the name of their table or index: where they begin.
type Roots = HashMap<String, Vec<u32>>;

impl Ledger {
    /// Puts a new ledger in the place of a damaged one, with all records that can still be read.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if nothing in the file is of a ledger, unless it `is_ours` by its place; [`StoreError::is_busy`] if
    /// another program is writing it; otherwise if a file cannot be read or written. Then the ledger is as it was.
    pub fn recover(path: &Path, is_ours: bool, now: Timestamp) -> Result<Recovered, StoreError> {
        // Where a link leads, everybody else goes.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let failed = |source| StoreError::Folder { path: path.clone(), source };
        let _lock = lock(path)?;
        // It stays open to the end: closing a file gives up the process's locks on it.
        let mut old = Pages::open(path, &beside(path, "-wal")).map_err(failed)?;
        let draft = beside(path, ".recovering");
        for ending in ["", "-wal", "-shm", "-journal"] {
            let _gone = std::fs::remove_file(beside(&draft, ending)).is_ok();
        }
        super::open::make_private(&draft)?;
        let filled = fill(&draft, &mut old).map_err(StoreError::query("recover the ledger"));
        let filled = filled.and_then(|filled| match filled {
            Some(filled) => Ok(filled),
            None if is_ours => Ok(RecoveredRows::default()),
            None => Err(StoreError::Foreign { path: path.clone() }),
        });
        let put = filled.and_then(|filled| Ok((filled, put(path, &draft, now).map_err(failed)?)));
        if put.is_err() {
            let _gone = std::fs::remove_file(&draft).is_ok();
        }
        let (RecoveredRows { kept, missing, unreadable, transcripts }, set_aside) = put?;
        std::thread::sleep(HOOKS_GIVE_UP);
        Ok(Recovered { set_aside, kept, missing, unreadable, transcripts })
    }
}

/// Keeps others from writing while the ledger is read and exchanged. One that is too damaged for this cannot be written by
/// others either.
fn lock(path: &Path) -> Result<Option<Connection>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let take = || {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(WAIT)?;
        // By then the log of this name is the new ledger's.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.execute_batch("BEGIN IMMEDIATE")?;
        Ok(conn)
    };
    match take() {
        Ok(conn) => Ok(Some(conn)),
        Err(error) if is_busy(&error) => Err(StoreError::query("recover the ledger")(error)),
        Err(_) => Ok(None),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Sets the damaged files aside and puts the new one in their place. Returns where the old one is.
fn put(path: &Path, draft: &Path, now: Timestamp) -> std::io::Result<PathBuf> {
    let date: String = now.to_rfc3339().chars().filter(char::is_ascii_alphanumeric).take(15).collect();
    let name = |number: u32| {
        let ending = if number == 0 { String::new() } else { format!("-{number}") };
        beside(path, &format!(".damaged-{date}{ending}"))
    };
    let aside = (0..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut go = || {
        // The log goes first: it must never stand beside the new ledger.
        for ending in ["-wal", "-shm", "-journal"] {
            let (from, to) = (beside(path, ending), beside(&aside, ending));
            if from.exists() {
                std::fs::rename(&from, &to)?;
                moved.push((from, to));
            }
        }
        std::fs::hard_link(path, &aside).or_else(|_| std::fs::copy(path, &aside).map(|_| ()))?;
        std::fs::rename(draft, path)
    };
    go().inspect_err(|_| {
        for (from, to) in &moved {
            let _back = std::fs::rename(to, from).is_ok();
        }
    })?;
    Ok(aside)
}

/// What went into a new ledger.
#[derive(Debug, Default)]
struct RecoveredRows {
    kept: Vec<(&'static str, u64)>,
    missing: Vec<(&'static str, u64)>,
    unreadable: u64,
    transcripts: Vec<PathBuf>,
}

/// Fills a new ledger; `None` if the old file holds nothing of one.
fn fill(draft: &Path, old: &mut Pages) -> rusqlite::Result<Option<RecoveredRows>> {
    let mut conn = Connection::open(draft)?;
    migrate_to(&mut conn, version(old))?;
    let free = old.free();
    let tables = tables(&conn)?;
    let (roots, mut seen, mut unreadable) = roots(old, &free);
    let is_ledger = ["sessions", "tool_calls"].iter().any(|table| roots.contains_key(*table));
    let mut by_table: HashMap<&str, Vec<StoredRecord>> = HashMap::new();
    for (name, roots) in &roots {
        for root in roots {
            let found = old.tree(*root);
            seen.extend(&found.seen);
            let table = tables.iter().find(|table| table.name == *name);
            // Indexes and caches are made anew.
            if let Some(table) = table.filter(|table| !CACHES.contains(&&*table.name)) {
                unreadable += found.faults;
                by_table.entry(&table.name).or_default().extend(found.records);
            }
        }
    }
    // Roots that are not known lead to nothing: then there are pages to be looked for, too.
    let is_complete = unreadable == 0 && tables.iter().all(|table| roots.contains_key(&table.name));
    if !is_complete {
        for number in (1..=old.count).filter(|number| !free.contains(number)) {
            if seen.contains(&number) {
                continue;
            }
            if let Some((table, records)) = stray(old, number, &tables) {
                by_table.entry(&table.name).or_default().extend(records);
            }
        }
    }
    if !is_ledger && by_table.values().all(Vec::is_empty) {
        drop(conn);
        Connection::open(draft).and_then(|mut conn| finish(&mut conn))?;
        return Ok(None);
    }
    let tx = conn.transaction()?;
    for table in &tables {
        for record in by_table.get(&*table.name).into_iter().flatten() {
            unreadable += u64::from(!insert(&tx, table, record)?);
        }
    }
    let indexed = indexed(old, &roots);
    name_sessions(&tx, &indexed.sessions)?;
    tx.commit()?;
    let transcripts = finish(&mut conn)?;
    let count = |table: &str| -> rusqlite::Result<u64> {
        conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).map(unsigned)
    };
    let mut kept = Vec::new();
    for (table, word) in TOLD {
        kept.push((word, count(table)?));
    }
    let is_missing = |sql: &str, value: &Value| -> rusqlite::Result<bool> {
        Ok(!conn.prepare_cached(sql)?.exists([value])?)
    };
    let mut missing = Vec::new();
    for (word, sql, keys) in [
        ("response", "SELECT 1 FROM responses WHERE message_id = ?1", &indexed.responses),
        ("tool call", "SELECT 1 FROM tool_calls WHERE id = ?1", &indexed.calls),
    ] {
        let mut number = 0;
        for key in keys {
            number += u64::from(is_missing(sql, key)?);
        }
        missing.extend((number > 0).then_some((word, number)));
    }
    kept.retain(|(_, number)| *number > 0);
    Ok(Some(RecoveredRows { kept, missing, unreadable, transcripts }))
}

/// The old ledger's schema, as its header says; this release's if that cannot be.
fn version(old: &mut Pages) -> i64 {
    let page = old.page(1).unwrap_or_default();
    let number = |at| be(&page, at, 4).and_then(|number| i64::try_from(number).ok());
    match (number(68), number(60)) {
        (Some(APPLICATION_ID), Some(version @ 1..)) if version <= SCHEMA_VERSION => version,
        _ => SCHEMA_VERSION,
    }
}

/// The tables of a new ledger.
fn tables(conn: &Connection) -> rusqlite::Result<Vec<LedgerTable>> {
    const TABLES: &str = "SELECT name, wr FROM pragma_table_list
      WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    // In records without a number the key comes first.
    const COLUMNS: &str =
        "SELECT name, upper(type), \"notnull\" AND dflt_value IS NULL, pk FROM pragma_table_info(?1)
      ORDER BY ?2 AND pk = 0, iif(?2, pk, 0), cid";
    let names: Vec<(String, bool)> = conn
        .prepare(TABLES)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut tables = Vec::new();
    for (name, without_rowid) in names {
        let columns = conn
            .prepare(COLUMNS)?
            .query_map(rusqlite::params![name, without_rowid], |row| {
                let (kind, key): (String, i64) = (row.get(1)?, row.get(3)?);
                let is_rowid = !without_rowid && key == 1 && kind == "INTEGER";
                Ok(LedgerColumn { name: row.get(0)?, kind, is_needed: row.get(2)?, is_rowid })
            })?
            .collect::<rusqlite::Result<_>>()?;
        tables.push(LedgerTable { name, columns, has_rowid: !without_rowid });
    }
    Ok(tables)
}

/// Where the old ledger's trees begin: what its schema says, as far as it can be read, and else what rows of it lie about.
fn roots(old: &mut Pages, free: &HashSet<u32>) -> (Roots, HashSet<u32>, u64) {
    let mut roots = Roots::new();
    let mut add = |found: &FoundRecords| {
        for record in &found.records {
            if let [Value::Text(kind), Value::Text(name), Value::Text(_), Value::Integer(root), sql] =
                &*record.values
                && matches!(&**kind, "table" | "index")
                && matches!(sql, Value::Null | Value::Text(_))
                && let Ok(root) = u32::try_from(*root)
            {
                let known: &mut Vec<u32> = roots.entry(name.clone()).or_default();
                if root > 1 && !known.contains(&root) {
                    known.push(root);
                }
            }
        }
    };
    let mut schema = old.tree(1);
    add(&schema);
    if schema.faults > 0 {
        for number in (2..=old.count).filter(|number| !free.contains(number)) {
            if !schema.seen.contains(&number)
                && let Some((TABLE_LEAF, found)) = old.records_of(number)
                && found.records.first().is_some_and(|record| {
                    matches!(
                        &*record.values,
                        [Value::Text(_), Value::Text(_), Value::Text(_), Value::Integer(_), _]
                    )
                })
            {
                add(&found);
                schema.seen.extend(found.seen);
            }
        }
    }
    (roots, schema.seen, schema.faults)
}

/// The records of a page that nothing leads to, and their table, if there is just one that has records of this kind.
fn stray<'t>(
    old: &mut Pages,
    number: u32,
    tables: &'t [LedgerTable],
) -> Option<(&'t LedgerTable, Vec<StoredRecord>)> {
    let (kind, found) = old.records_of(number)?;
    if found.records.is_empty() {
        return None;
    }
    let fits = |table: &&LedgerTable| {
        table.has_rowid == (kind == TABLE_LEAF)
            && table.columns.len() > NARROW
            && found.records.iter().all(|record| table.fits(record))
    };
    let mut fitting = tables.iter().filter(fits);
    let (table, None) = (fitting.next()?, fitting.next()) else { return None };
    (!CACHES.contains(&&*table.name)).then_some((table, found.records))
}

impl LedgerTable {
    /// Whether a record could be of this table. Columns that were added later can be missing at its end.
    fn fits(&self, record: &StoredRecord) -> bool {
        let length = record.values.len();
        length <= self.columns.len()
            && 2 * length > self.columns.len()
            && self.columns.iter().skip(length).all(|column| !column.is_needed)
            && self.columns.iter().zip(&record.values).all(|(column, value)| match value {
                Value::Null => column.is_rowid || !column.is_needed,
                Value::Integer(_) => column.kind.starts_with("INT") && !column.is_rowid,
                Value::Text(_) => column.kind == "TEXT",
                Value::Blob(_) => column.kind == "BLOB",
                Value::Real(_) => false,
            })
    }
}

/// Puts a record into the new ledger; `false` if it is none of the table's. One that is there already stays.
fn insert(conn: &Connection, table: &LedgerTable, record: &StoredRecord) -> rusqlite::Result<bool> {
    let given = table.columns.iter().zip(&record.values);
    let is_value = |(column, value): &(&LedgerColumn, &Value)| {
        !column.is_rowid && !matches!(value, Value::Text(_) if column.kind.starts_with("INT"))
    };
    if record.values.len() > table.columns.len()
        || !given.clone().all(|pair| pair.0.is_rowid || is_value(&pair))
    {
        return Ok(false);
    }
    let names: Vec<&str> = given.clone().map(|(column, _)| &*column.name).collect();
    let places: Vec<&str> = names.iter().map(|_| "?").collect();
    // A new ledger has keys of its own, for which those of the old one are meant.
    let verb = if table.name == "meta" { "REPLACE" } else { "IGNORE" };
    let sql = format!(
        "INSERT OR {verb} INTO \"{}\" ({}) VALUES ({})",
        table.name,
        names.join(", "),
        places.join(", ")
    );
    let values = given.map(|(column, value)| match (column.is_rowid, record.rowid) {
        (true, Some(rowid)) => Value::Integer(rowid),
        _ => value.clone(),
    });
    match conn.prepare_cached(&sql)?.execute(params_from_iter(values)) {
        Ok(_) => Ok(true),
        Err(error) if super::spool::is_events_fault(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What indexes still name.
#[derive(Default)]
struct Indexed {
    /// A session's row and its id.
    sessions: Vec<(i64, String)>,
    calls: Vec<Value>,
    responses: Vec<Value>,
}

fn indexed(old: &mut Pages, roots: &Roots) -> Indexed {
    let mut records = |name: &str| -> Vec<StoredRecord> {
        let roots = roots.get(name).map(Vec::as_slice).unwrap_or_default();
        roots.iter().flat_map(|root| old.tree(*root).records).collect()
    };
    let mut indexed = Indexed::default();
    for record in records("sqlite_autoindex_sessions_1") {
        if let [Value::Text(id), Value::Integer(row)] = &*record.values {
            indexed.sessions.push((*row, id.clone()));
        }
    }
    for record in records("sqlite_autoindex_tool_calls_1") {
        if let [Value::Integer(_), _, row @ Value::Integer(_)] = &*record.values {
            indexed.calls.push(row.clone());
        }
    }
    for record in records("responses_by_session") {
        if let [Value::Integer(_), _, id @ Value::Text(_)] = &*record.values {
            indexed.responses.push(id.clone());
        }
    }
    indexed
}

/// Gives sessions a row that others refer to and that could not be read: with the id that the index has, or that their
/// transcript's name tells, or else one that says so.
fn name_sessions(conn: &Connection, indexed: &[(i64, String)]) -> rusqlite::Result<()> {
    const MISSING: &str = "SELECT session, max(at) FROM (
        SELECT session, at FROM responses UNION ALL SELECT session, at FROM tool_calls
        UNION ALL SELECT session, at FROM prompts)
      WHERE session > 0 AND session NOT IN (SELECT id FROM sessions) GROUP BY session";
    const TRANSCRIPT: &str =
        "SELECT path FROM transcripts WHERE session = ?1 AND agent_id IS NULL ORDER BY path LIMIT 1";
    const INSERT: &str = "INSERT OR IGNORE INTO sessions (id, session_id, client, last_seen_at)
      VALUES (?1, ?2, 'claude-code', ?3)";
    let missing: Vec<(i64, Option<i64>)> = conn
        .prepare(MISSING)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (row, at) in missing {
        let in_index = indexed.iter().find(|(known, _)| *known == row).map(|(_, id)| id.clone());
        let by_name = || {
            let path: String =
                conn.prepare_cached(TRANSCRIPT).ok()?.query_row([row], |row| row.get(0)).ok()?;
            Some(Path::new(&path).file_stem()?.to_str()?.to_owned())
        };
        let id = in_index.or_else(by_name);
        for id in id.into_iter().chain([format!("recovered-{row}")]) {
            if conn.prepare_cached(INSERT)?.execute(rusqlite::params![row, id, at.unwrap_or(0)])? > 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Brings the new ledger to this release's schema, and voids what is to be made anew.
fn finish(conn: &mut Connection) -> rusqlite::Result<Vec<PathBuf>> {
    migrate(conn)?;
    let paths: Vec<String> = conn
        .prepare("SELECT path FROM transcripts")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let tx = conn.transaction()?;
    let there: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    for path in there.iter().filter_map(|path| path.to_str()) {
        tx.execute("DELETE FROM transcripts WHERE path = ?1", [path])?;
    }
    PRICE_VERSION.put(&tx, &0)?;
    // What cannot be read is in no list of what was removed: copies of the ledger elsewhere begin anew.
    LEDGER_ID.put(&tx, &tx.query_row("SELECT randomblob(16)", [], |row| row.get(0))?)?;
    super::budget_totals::void(&tx)?;
    tx.commit()?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    Ok(there)
}
