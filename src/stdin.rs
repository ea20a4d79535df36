//! Standard input as it arrives: read until the JSON is whole, and not until somebody closes the pipe.
//!
//! Whoever starts a hook or a status line may keep its end of the pipe open, and then no end ever comes. So both act at
//! the closing brace. What follows it is not read. JSON that never gets whole, whether nothing comes or more and more, is
//! read for no longer than [`PATIENCE`].

use std::io;
use std::time::Duration;

use crate::json::ValueExtent;

/// How long reading a payload may take, with all waits for it. The client gives up on a hook after 5 s, as it is registered.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// As much as most payloads have, and as much as a pipe holds.
pub const USUAL_BYTES: usize = 64 << 10;

/// Room that is made for one read at most, in bytes.
const MOST_ROOM: usize = 1 << 20;

/// Input that comes bit by bit.
pub trait Arriving {
    /// Appends what has come, waiting for it if need be: as much as `text` has room for, for which room is made if there
    /// is none. Returns how many bytes that was; 0 if it is the end.
    ///
    /// # Errors
    /// If it cannot be read; [`io::ErrorKind::TimedOut`] if nothing comes, or has not ended in time.
    fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize>;
}

/// What is there already.
impl Arriving for &[u8] {
    fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
        make_room(text);
        let (now, later) = self.split_at(self.len().min(text.capacity() - text.len()));
        text.extend_from_slice(now);
        *self = later;
        Ok(now.len())
    }
}

/// Reads the object that `input` begins with, and at most about `most` bytes. What could be read is returned, even if it
/// is not whole.
pub fn read_object(input: &mut impl Arriving, most: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(USUAL_BYTES.min(most));
    let mut extent = ValueExtent::default();
    while text.len() < most {
        let before = text.len();
        if !input.append(&mut text).is_ok_and(|came| came > 0) {
            break;
        }
        if let Some(end) = extent.follow(&text[before..]) {
            text.truncate(before + end);
            break;
        }
    }
    text
}

fn make_room(text: &mut Vec<u8>) {
    if text.len() == text.capacity() {
        // All of the room may be filled by one read, so there is never much.
        text.reserve_exact(text.len().clamp(USUAL_BYTES, MOST_ROOM));
    }
}

/// The process's own standard input, without the buffer of `std::io::stdin`, through which everything would be copied
/// once more.
pub struct Stdin {
    source: source::Source,
}

impl Stdin {
    /// Standard input, which is read for no longer than `patience` from now on.
    #[must_use]
    pub fn with_patience(patience: Duration) -> Self {
        Self { source: source::Source::new(patience) }
    }
}

impl Arriving for Stdin {
    fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
        make_room(text);
        self.source.append(text)
    }
}

#[cfg(unix)]
mod source {
    use std::io;
    use std::time::{Duration, Instant};

    use rustix::buffer::spare_capacity;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::stdio::stdin;

    pub(super) struct Source {
        /// Nothing is read after it.
        deadline: Instant,
        /// How many failures in a row are still taken to pass, such as a system that is short of memory.
        trials: u32,
    }

    const TRIALS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(2);

    impl Source {
        pub(super) fn new(patience: Duration) -> Self {
            Self { deadline: Instant::now() + patience, trials: TRIALS }
        }

        pub(super) fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
            loop {
                match self.append_once(text) {
                    // Nothing came, which stays so.
                    Err(error) if error.kind() != io::ErrorKind::TimedOut && self.trials > 0 => {
                        self.trials -= 1;
                        std::thread::sleep(PAUSE);
                    }
                    result => {
                        self.trials = TRIALS;
                        return result;
                    }
                }
            }
        }

        fn append_once(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
            loop {
                let left = self.deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                let left = Timespec::try_from(left).map_err(io::Error::other)?;
                match poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], Some(&left)) {
                    Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                    // What cannot be polled says so when it is read.
                    Ok(_) => {}
                    Err(Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                }
                match rustix::io::read(stdin(), spare_capacity(text)) {
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    read => return read.map_err(io::Error::from),
                }
            }
        }
    }
}

/// Where input cannot be waited for with a limit: a thread reads it. It ends with the process.
#[cfg(not(unix))]
mod source {
    use std::io::{self, Read as _};
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
    use std::time::{Duration, Instant};

    pub(super) struct Source {
        /// Nothing is taken after it.
        deadline: Instant,
        chunks: Receiver<io::Result<Vec<u8>>>,
    }

    impl Source {
        pub(super) fn new(patience: Duration) -> Self {
            let (sender, chunks) = mpsc::sync_channel(4);
            std::thread::spawn(move || {
                let mut stdin = io::stdin().lock();
                loop {
                    let mut chunk = vec![0; crate::stdin::USUAL_BYTES];
                    let read = stdin.read(&mut chunk).map(|length| {
                        chunk.truncate(length);
                        chunk
                    });
                    let is_last = read.as_ref().map_or(true, Vec::is_empty);
                    if sender.send(read).is_err() || is_last {
                        return;
                    }
                }
            });
            Self { deadline: Instant::now() + patience, chunks }
        }

        pub(super) fn append(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => chunk.map(|chunk| {
                    text.extend_from_slice(&chunk);
                    chunk.len()
                }),
                Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => Ok(0),
            }
        }
    }
}
