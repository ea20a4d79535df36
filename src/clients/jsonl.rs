//! Files of one JSON object a line that grow while they are read.

use std::fs::File;
use std::hash::Hasher as _;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use siphasher::sip::SipHasher13;

use super::ReadError;
use crate::regular;

/// How much of a file's head tells whether it is still the same file, in bytes.
const HEAD_BYTES: u64 = 512;
/// How much before the offset does, in bytes.
const TAIL_BYTES: u64 = 256;
/// A line longer than this is skipped; images of 12 MB do occur (`docs/facts.md#which-lines-count`).
const MAX_LINE_BYTES: usize = 16 << 20;
/// After so much of one line, in bytes, the reader may do something else: the next one goes on within the line.
const MAX_PASSED_BYTES: u64 = 32 << 20;
/// How much is read at a time, in bytes.
const BLOCK_BYTES: usize = 128 << 10;
/// How much of the memory for long lines is kept for the next file's, in bytes.
const KEPT_BYTES: usize = 1 << 20;
/// Addresses this far apart, in bytes, look alike to a processor that copies ("4K aliasing"), whatever the size of a page.
const ALIAS_BYTES: usize = 4 << 10;
/// Held by who reads a long line: the memory for one is enough for all threads together.
static LONG_LINE: Mutex<()> = Mutex::new(());

/// Tells a file that has grown from one that was written anew: a hash of its head and of what stands before the
/// offset up to which it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// A fingerprint from the ledger.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// For the ledger.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The fingerprint of `file` when it was read up to `offset`; `None` if it is shorter.
    fn of(file: &mut File, offset: u64) -> io::Result<Option<Self>> {
        let mut hasher = SipHasher13::new();
        let tail = offset.saturating_sub(TAIL_BYTES);
        let mut buffer = [0; HEAD_BYTES as usize];
        for (start, length) in [(0, offset.min(HEAD_BYTES)), (tail, offset - tail)] {
            file.seek(SeekFrom::Start(start))?;
            let part = &mut buffer[..usize::try_from(length).unwrap_or(0)];
            match file.read_exact(part) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            hasher.write(part);
        }
        Ok(Some(Self(hasher.finish())))
    }
}

/// The memory that a file is read into. Who reads many files has one for all.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// Room for a first read of `bytes`.
    fn prepare(&mut self, bytes: usize) -> &mut Vec<u8> {
        // A block may begin that much behind the start.
        let wanted = bytes.clamp(ALIAS_BYTES, BLOCK_BYTES) + ALIAS_BYTES;
        if self.0.len() < wanted {
            self.0.resize(wanted, 0);
        }
        &mut self.0
    }
}

/// The lines of a file from an offset on. Read in blocks and handed out in place, so that a line costs no copy.
#[derive(Debug)]
pub struct Lines<'b> {
    file: File,
    /// The blocks; of `begin..end` no line was handed out yet, and up to `searched` there is no newline in it.
    buffer: &'b mut Vec<u8>,
    begin: usize,
    end: usize,
    searched: usize,
    is_at_end: bool,
    /// Whether it has stopped within a line.
    is_within_line: bool,
    /// While the buffer is large.
    alone: Option<MutexGuard<'static, ()>>,
    /// Up to where the file was read.
    position: u64,
    start: u64,
    /// After the last line that ends in a newline.
    offset: u64,
    path: PathBuf,
    /// Lines that were too long to be read.
    too_long: u64,
}

impl<'b> Lines<'b> {
    /// Opens `path` where it was read up to, or at its start if it is not the file that was read.
    ///
    /// # Errors
    /// If it cannot be read, or is no regular file (a payload may name anything).
    pub fn open(
        buffer: &'b mut Buffer,
        path: &Path,
        known: Option<(u64, Fingerprint)>,
    ) -> Result<Self, ReadError> {
        let error = |source| ReadError { path: path.to_path_buf(), source };
        let mut file = regular::open(path).map_err(error)?;
        let metadata = file.metadata().map_err(error)?;
        let start = match known {
            Some((offset, fingerprint)) => {
                let is_same = Fingerprint::of(&mut file, offset).map_err(error)? == Some(fingerprint);
                if is_same { offset } else { 0 }
            }
            None => 0,
        };
        file.seek(SeekFrom::Start(start)).map_err(error)?;
        let left = usize::try_from(metadata.len().saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(Self {
            file,
            // One byte more than there is, so that the end is seen by the first read.
            buffer: buffer.prepare(left.saturating_add(1)),
            begin: 0,
            end: 0,
            searched: 0,
            is_at_end: false,
            is_within_line: false,
            alone: None,
            position: start,
            start,
            offset: start,
            path: path.to_path_buf(),
            too_long: 0,
        })
    }

    /// The next line, without its newline. The last one may have none yet: it is returned, but stays to be read
    /// again. Lines that no client writes (16 MB and more) are passed over without being held; one of gigabytes in several
    /// goes ([`Self::is_within_line`]).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.next(true)
    }

    /// The next line that ends in a newline, without it: what follows the last one may still be written.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn next_whole_line(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.next(false)
    }

    fn next(&mut self, takes_rest: bool) -> Result<Option<&[u8]>, ReadError> {
        let mut passed_over: u64 = 0;
        loop {
            if let Some(found) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let line = self.begin..self.searched + found;
                self.offset += passed_over + (line.len() + 1) as u64;
                self.begin = line.end + 1;
                self.searched = self.begin;
                if passed_over == 0 && line.len() < MAX_LINE_BYTES {
                    return Ok(Some(&self.buffer[line]));
                }
                passed_over = 0;
                self.too_long += 1;
                continue;
            }
            self.searched = self.end;
            if self.is_at_end {
                let rest = std::mem::replace(&mut self.begin, self.end)..self.end;
                if passed_over > 0 {
                    // Nobody is to read all that again once the line has grown.
                    self.offset += passed_over + rest.len() as u64;
                    return Ok(None);
                }
                let is_line = takes_rest && !rest.is_empty();
                return Ok(if is_line { Some(&self.buffer[rest]) } else { None });
            }
            if self.end - self.begin >= MAX_LINE_BYTES || passed_over > 0 {
                passed_over += (self.end - self.begin) as u64;
                self.begin = self.end;
            }
            if passed_over >= MAX_PASSED_BYTES {
                self.offset += passed_over;
                self.is_within_line = true;
                return Ok(None);
            }
            self.fill().map_err(|source| ReadError { path: self.path.clone(), source })?;
        }
    }

    /// Reads the next block behind what is left of the last one.
    fn fill(&mut self) -> io::Result<()> {
        let left = self.end - self.begin;
        if left + ALIAS_BYTES >= self.buffer.len() {
            let wanted = (self.buffer.len() * 2).min(MAX_LINE_BYTES + BLOCK_BYTES + ALIAS_BYTES);
            if wanted > KEPT_BYTES && self.alone.is_none() {
                self.alone = Some(LONG_LINE.lock().unwrap_or_else(PoisonError::into_inner));
            }
            // Not a byte more than that, and in place where the system can.
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        let begin = self.aligned(left);
        if begin != self.begin {
            self.buffer.copy_within(self.begin..self.end, begin);
        }
        self.searched = self.searched - self.begin + begin;
        self.begin = begin;
        self.end = begin + left;
        // No more than a block, so that it is still in the cache when its lines are read.
        let room = self.end..self.buffer.len().min(self.end + BLOCK_BYTES);
        loop {
            match self.file.read(&mut self.buffer[room.clone()]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.is_at_end = read == 0;
                    self.end += read;
                    self.position += read as u64;
                    return Ok(());
                }
            }
        }
    }

    /// Where `left` bytes are to begin in the buffer so that what is read behind them is alike in its last bits by its
    /// address and by its place in the file, which is that in the kernel's memory. Where it stands 1 to 31 bytes further on
    /// the copy takes three times as long (4K aliasing), and large pieces of the heap begin 16 bytes into a page.
    fn aligned(&self, left: usize) -> usize {
        let in_file = usize::try_from(self.position % ALIAS_BYTES as u64).unwrap_or(0);
        let in_memory = self.buffer.as_ptr().addr().wrapping_add(left);
        in_file.wrapping_sub(in_memory) % ALIAS_BYTES
    }

    /// Where reading began: 0 if the file is not the one that was known.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// How many lines were passed over because they are too long.
    pub fn too_long(&self) -> u64 {
        self.too_long
    }

    /// Whether [`Self::next_line`] has returned nothing because it has passed over a great deal of one line, in which the next
    /// reader goes on. What is left of that line is then a line that nobody understands.
    #[must_use]
    pub fn is_within_line(&self) -> bool {
        self.is_within_line
    }

    /// The offset to go on from next time.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The file's fingerprint at [`Self::offset`].
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn fingerprint(mut self) -> Result<Fingerprint, ReadError> {
        let print = Fingerprint::of(&mut self.file, self.offset);
        let print = print.map_err(|source| ReadError { path: self.path.clone(), source })?;
        // A file that was cut since then has none that would match, so it is read anew.
        Ok(print.unwrap_or(Fingerprint(0)))
    }
}

impl Drop for Lines<'_> {
    /// Gives the memory for a long line back before another thread takes it.
    fn drop(&mut self) {
        if self.buffer.len() > KEPT_BYTES {
            self.buffer.truncate(KEPT_BYTES);
            self.buffer.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(path: &Path, known: Option<(u64, Fingerprint)>) -> (Vec<String>, (u64, Fingerprint)) {
        let mut buffer = Buffer::default();
        let mut lines = Lines::open(&mut buffer, path, known).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(String::from_utf8_lossy(line).into_owned());
        }
        let offset = lines.offset();
        (all, (offset, lines.fingerprint().unwrap()))
    }

    #[test]
    fn a_growing_file_is_read_on_and_a_new_one_from_its_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        std::fs::write(&path, "one\ntw").unwrap();
        let (lines, known) = read_all(&path, None);
        assert_eq!((lines, known.0), (vec!["one".to_owned(), "tw".to_owned()], 4));

        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(read_all(&path, Some(known)).0, ["two", "three"]);
        std::fs::write(&path, "ONE\ntwo\nthree\n").unwrap();
        assert_eq!(read_all(&path, Some(known)).0, ["ONE", "two", "three"]);
        std::fs::write(&path, "on").unwrap();
        assert_eq!(read_all(&path, Some(known)).0, ["on"]);
    }

    #[test]
    fn lines_are_whole_whatever_blocks_they_begin_and_end_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let (mut text, mut starts) = (String::new(), Vec::new());
        for number in 0..400_usize {
            starts.push(text.len());
            let length = number * number * 7_919 % [60, 5_000, 40_000, 300_000][number % 4];
            let length = if number == 250 { 3 * KEPT_BYTES } else { length };
            text.extend(std::iter::repeat_n(['a', 'b', 'c'][number % 3], length));
            text.push('\n');
        }
        std::fs::write(&path, &text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut buffer = Buffer::default();
        for from in [0, 1, 17, 399] {
            let known = {
                let mut file = File::open(&path).unwrap();
                Fingerprint::of(&mut file, starts[from] as u64)
                    .unwrap()
                    .map(|print| (starts[from] as u64, print))
            };
            let mut read = Lines::open(&mut buffer, &path, known).unwrap();
            for line in &lines[from..] {
                assert!(read.next_line().unwrap() == Some(line.as_bytes()), "another line from {from} on");
                let address = read.buffer.as_ptr().addr() + read.end;
                assert_eq!(address % ALIAS_BYTES, read.position as usize % ALIAS_BYTES);
            }
            assert_eq!(read.next_line().unwrap(), None);
            assert_eq!(read.offset(), text.len() as u64);
        }
    }

    #[test]
    fn a_file_cut_and_grown_again_behind_its_head_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        let head = format!("{}\n", "h".repeat(600));
        std::fs::write(&path, format!("{head}two\n")).unwrap();
        let (_, known) = read_all(&path, None);
        std::fs::write(&path, format!("{head}2\n\n\nthree\n")).unwrap();
        assert_eq!(read_all(&path, Some(known)).0.len(), 5);
    }

    #[test]
    fn a_line_beyond_all_measure_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        for (length, expected) in [(MAX_LINE_BYTES - 1, 2), (MAX_LINE_BYTES, 1), (MAX_LINE_BYTES + 10, 1)] {
            let mut text = vec![b'x'; length];
            text.extend(b"\nnext\n");
            std::fs::write(&path, &text).unwrap();
            let (lines, (offset, _)) = read_all(&path, None);
            assert_eq!((lines.len(), offset), (expected, text.len() as u64), "{length}");
            assert_eq!(lines.last().unwrap(), "next");
        }
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lines::open(&mut Buffer::default(), dir.path(), None).is_err());
    }
}
