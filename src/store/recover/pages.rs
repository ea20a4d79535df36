//! The pages of a database file that SQLite refuses, read without it: b-trees, overflow, records, and what the log beside the
//! file has newer. Everything in them may be wrong, so every number is checked before it is used.
//!
//! The format is that of <https://sqlite.org/fileformat2.html>.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use rusqlite::types::Value;

/// What a ledger's pages measure where its header does not tell.
const USUAL_PAGE: usize = 4096;
/// Longest record that is believed; the longest of ours are some MB.
const MAX_RECORD: u64 = 64 << 20;
/// Bytes of the header on the first page.
const HEADER: usize = 100;
/// Deeper than any b-tree of a file.
const MAX_DEPTH: usize = 64;

/// What a page is, by its first byte.
const INDEX_INTERIOR: u8 = 2;
const TABLE_INTERIOR: u8 = 5;
const INDEX_LEAF: u8 = 10;
pub(super) const TABLE_LEAF: u8 = 13;

/// A record, with its row's number where its table has one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredRecord {
    pub(super) rowid: Option<i64>,
    pub(super) values: Vec<Value>,
}

/// A database file with its log.
pub(super) struct Pages {
    file: File,
    log: Option<File>,
    /// Where the newest content of a page is in the log.
    in_log: HashMap<u32, u64>,
    page_size: usize,
    pub(super) count: u32,
}

/// What was found of a b-tree, or of a page.
#[derive(Debug, Default)]
pub(super) struct FoundRecords {
    pub(super) records: Vec<StoredRecord>,
    /// Pages that were read, with those that records go on in.
    pub(super) seen: HashSet<u32>,
    /// Pages and records that could not be read.
    pub(super) faults: u64,
}

impl Pages {
    pub(super) fn open(path: &Path, log: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut header = [0; HEADER];
        let in_header = file.read_exact(&mut header).ok().and_then(|()| page_size(be(&header, 16, 2)?));
        let log = File::open(log).ok().and_then(|file| Log::read(file).ok().flatten());
        let page_size = log.as_ref().map(|log| log.page_size).or(in_header).unwrap_or(USUAL_PAGE);
        let in_file = size.div_ceil(page_size as u64);
        let count = u32::try_from(in_file).unwrap_or(u32::MAX);
        let (log, in_log, logged) = match log {
            Some(Log { file, frames, count, .. }) => (Some(file), frames, count),
            None => (None, HashMap::new(), 0),
        };
        Ok(Self { file, log, in_log, page_size, count: count.max(logged) })
    }

    pub(super) fn page(&mut self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.count {
            return None;
        }
        let (file, at) = match (self.in_log.get(&number), &mut self.log) {
            (Some(at), Some(log)) => (log, *at),
            _ => (&mut self.file, u64::from(number - 1) * self.page_size as u64),
        };
        let mut page = vec![0; self.page_size];
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut page).ok()?;
        Some(page)
    }

    /// All records of the b-tree whose root this is, as far as it can be followed.
    pub(super) fn tree(&mut self, root: u32) -> FoundRecords {
        let mut found = FoundRecords::default();
        let is_table = |kind: u8| kind == TABLE_INTERIOR || kind == TABLE_LEAF;
        let Some(kind) = self.page(root).and_then(|page| Some(TreePage::of(&page, root)?.kind)) else {
            return FoundRecords { faults: 1, ..found };
        };
        let mut open = vec![(root, 0)];
        while let Some((number, depth)) = open.pop() {
            if depth > MAX_DEPTH || !found.seen.insert(number) {
                found.faults += 1;
                continue;
            }
            let page = self.page(number);
            let node = page.as_deref().and_then(|page| TreePage::of(page, number));
            let (Some(page), Some(node)) = (&page, node.filter(|node| is_table(node.kind) == is_table(kind)))
            else {
                // Nothing says that it is of this tree.
                found.seen.remove(&number);
                found.faults += 1;
                continue;
            };
            self.read_records(page, &node, &mut found);
            open.extend(node.children(page).into_iter().map(|child| (child, depth + 1)));
        }
        found
    }

    /// The records of one page, if it is one that has some. Its kind comes with them.
    pub(super) fn records_of(&mut self, number: u32) -> Option<(u8, FoundRecords)> {
        let page = self.page(number)?;
        let node = TreePage::of(&page, number).filter(|node| node.kind != TABLE_INTERIOR)?;
        let mut found = FoundRecords::default();
        found.seen.insert(number);
        self.read_records(&page, &node, &mut found);
        Some((node.kind, found))
    }

    fn read_records(&mut self, page: &[u8], node: &TreePage, found: &mut FoundRecords) {
        if node.kind == TABLE_INTERIOR {
            return;
        }
        found.faults += node.bad_cells;
        for &cell in &node.cells {
            match self.record(page, node.kind, cell, &mut found.seen) {
                Some(record) => found.records.push(record),
                None => found.faults += 1,
            }
        }
    }

    fn record(
        &mut self,
        page: &[u8],
        kind: u8,
        cell: usize,
        seen: &mut HashSet<u32>,
    ) -> Option<StoredRecord> {
        let mut at = cell + if kind == INDEX_INTERIOR { 4 } else { 0 };
        let length = varint(page, &mut at)?;
        let rowid = match kind {
            TABLE_LEAF => Some(varint(page, &mut at)?.cast_signed()),
            _ => None,
        };
        if length > MAX_RECORD {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        let usable = self.page_size;
        let most = if kind == TABLE_LEAF { usable - 35 } else { (usable - 12) * 64 / 255 - 23 };
        let least = (usable - 12) * 32 / 255 - 23;
        let local = if length <= most {
            length
        } else {
            let local = least + (length - least) % (usable - 4);
            if local <= most { local } else { least }
        };
        let mut payload = page.get(at..at.checked_add(local)?)?.to_vec();
        if local < length {
            let mut next = u32::try_from(be(page, at + local, 4)?).ok()?;
            let mut chain = HashSet::new();
            while payload.len() < length {
                let overflow = self.page(next).filter(|_| chain.insert(next))?;
                let part = (length - payload.len()).min(usable - 4);
                payload.extend_from_slice(overflow.get(4..4 + part)?);
                next = u32::try_from(be(&overflow, 0, 4)?).ok()?;
            }
            seen.extend(chain);
        }
        Some(StoredRecord { rowid, values: values(&payload)? })
    }

    /// The pages that hold nothing, as far as their list can be followed.
    pub(super) fn free(&mut self) -> HashSet<u32> {
        let mut free = HashSet::new();
        let mut trunk = self.page(1).and_then(|page| be(&page, 32, 4)).unwrap_or(0);
        while let Ok(number @ 1..) = u32::try_from(trunk) {
            let Some(page) = self.page(number).filter(|_| !free.contains(&number)) else { break };
            let length = be(&page, 4, 4).unwrap_or(0);
            if length > self.page_size as u64 / 4 {
                break;
            }
            free.insert(number);
            let leaves = (0..usize::try_from(length).unwrap_or(0)).filter_map(|at| be(&page, 8 + 4 * at, 4));
            free.extend(leaves.filter_map(|leaf| u32::try_from(leaf).ok()));
            trunk = be(&page, 0, 4).unwrap_or(0);
        }
        free
    }
}

/// A page of a b-tree.
struct TreePage {
    kind: u8,
    /// Where its cells begin.
    cells: Vec<usize>,
    /// Cells that lie outside of it.
    bad_cells: u64,
    right: Option<u32>,
}

impl TreePage {
    fn of(page: &[u8], number: u32) -> Option<Self> {
        let start = if number == 1 { HEADER } else { 0 };
        let kind = *page.get(start)?;
        let is_interior = match kind {
            INDEX_INTERIOR | TABLE_INTERIOR => true,
            INDEX_LEAF | TABLE_LEAF => false,
            _ => return None,
        };
        let pointers = start + if is_interior { 12 } else { 8 };
        let count = usize::try_from(be(page, start + 3, 2)?).ok()?;
        let end = pointers + 2 * count;
        if end > page.len() {
            return None;
        }
        let all = (0..count).filter_map(|at| usize::try_from(be(page, pointers + 2 * at, 2)?).ok());
        let cells: Vec<usize> = all.filter(|cell| (end..page.len()).contains(cell)).collect();
        let bad_cells = (count - cells.len()) as u64;
        let right = if is_interior { u32::try_from(be(page, start + 8, 4)?).ok() } else { None };
        Some(Self { kind, cells, bad_cells, right })
    }

    fn children(&self, page: &[u8]) -> Vec<u32> {
        let Some(right) = self.right else { return Vec::new() };
        let left = self.cells.iter().filter_map(|cell| u32::try_from(be(page, *cell, 4)?).ok());
        left.chain([right]).collect()
    }
}

/// The part of the log that was committed.
struct Log {
    file: File,
    page_size: usize,
    frames: HashMap<u32, u64>,
    /// Pages of the file after the last commit.
    count: u32,
}

impl Log {
    /// Reads the log up to its last whole transaction; `None` if there is none.
    fn read(mut file: File) -> io::Result<Option<Self>> {
        const LOG_HEADER: usize = 32;
        const FRAME_HEADER: usize = 24;
        const MAGIC: u64 = 0x377f_0682;
        let mut header = [0; LOG_HEADER];
        if file.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let magic = be(&header, 0, 4).unwrap_or(0);
        let page_size = be(&header, 8, 4).and_then(|size| page_size(if size == 1 << 16 { 1 } else { size }));
        let (Some(page_size), MAGIC | 0x377f_0683) = (page_size, magic) else { return Ok(None) };
        let is_big_endian = magic != MAGIC;
        let mut sum = checksum((0, 0), &header[..24], is_big_endian);
        if sum != (number(&header, 24), number(&header, 28)) {
            return Ok(None);
        }
        let (mut frames, mut open, mut count) = (HashMap::new(), Vec::new(), 0);
        let mut at = LOG_HEADER as u64;
        let mut frame = vec![0; FRAME_HEADER + page_size];
        while file.read_exact(&mut frame).is_ok() {
            sum = checksum(sum, &frame[..8], is_big_endian);
            sum = checksum(sum, &frame[FRAME_HEADER..], is_big_endian);
            if frame[8..16] != header[16..24] || sum != (number(&frame, 16), number(&frame, 20)) {
                break;
            }
            open.push((number(&frame, 0), at + FRAME_HEADER as u64));
            let committed = number(&frame, 4);
            if committed > 0 {
                frames.extend(open.drain(..));
                count = committed;
            }
            at += frame.len() as u64;
        }
        Ok((count > 0).then_some(Self { file, page_size, frames, count }))
    }
}

/// The log's own checksum.
fn checksum((mut first, mut second): (u32, u32), bytes: &[u8], is_big_endian: bool) -> (u32, u32) {
    let word = |word: &[u8]| {
        let word = [word[0], word[1], word[2], word[3]];
        if is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    for pair in bytes.chunks_exact(8) {
        first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
    }
    (first, second)
}

/// A page size as the header has it.
fn page_size(number: u64) -> Option<usize> {
    match number {
        1 => Some(1 << 16),
        512..=0x8000 if number.is_power_of_two() => usize::try_from(number).ok(),
        _ => None,
    }
}

/// A number of `length` bytes, the highest first.
pub(super) fn be(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A number of four bytes that are known to be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::try_from(be(bytes, at, 4).unwrap_or(0)).unwrap_or(0)
}

/// A number of one to nine bytes.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0;
    for position in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if position == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

/// The values of a record; `None` if it is not as long as it says.
fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(payload, &mut at)?).ok()?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(payload, &mut at)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        let bytes = payload.get(body..body.checked_add(length)?)?;
        body += length;
        values.push(match kind {
            0 => Value::Null,
            7 => Value::Real(f64::from_bits(be(bytes, 0, 8)?)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => {
                let unused = 64 - 8 * u32::try_from(length).ok()?;
                Value::Integer((be(bytes, 0, length)? << unused).cast_signed() >> unused)
            }
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(str::from_utf8(bytes).ok()?.to_owned()),
        });
    }
    (at == header && body == payload.len()).then_some(values)
}
