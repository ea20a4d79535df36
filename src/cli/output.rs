//! The one place where anything is written to stdout or stderr: whatever it is, what could move a cursor, turn a line
//! around or speak to the terminal does not come through.
//!
//! Names, paths and settings come from outside, and from a checkout that somebody else has made. So nothing that is printed
//! has a character below a space but line breaks and tabs, none of C1, and none that sets a direction. Colours are the
//! exception: they pass only with a text whose values were cleaned before it was painted ([`Passes::OwnColours`]), and
//! only in the very sequences that [`render`](crate::render) writes.

use std::borrow::Cow;
use std::io::{self, BufRead as _, BufWriter, Cursor, IsTerminal as _, Read, StdoutLock, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{is_unsafe, printable};

/// What passes besides text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passes {
    /// Nothing.
    Text,
    /// The colours of our own tables.
    OwnColours,
    /// Any colour and any link that can be clicked: what a status line of the user's own, or clap, has painted.
    AnyColours,
}

/// The parameters of all sequences for colours that `render` writes, some of them by its library for tables.
const OWN: [&str; 11] = ["0", "1", "2", "22", "31", "32", "33", "39", "38;5;1", "38;5;2", "38;5;3"];
/// What begins the parameters of a sequence, and what a link.
const SEQUENCE: &str = "\u{1b}[";
const LINK: &str = "\u{1b}]8;";

/// The text as it may be printed.
fn clean(text: &str, passes: Passes) -> Cow<'_, str> {
    if passes == Passes::Text || !text.contains('\u{1b}') {
        return printable(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, from) = rest.split_at(at);
        out.push_str(&printable(before));
        let length = colour(from, passes).or_else(|| link(from, passes));
        match length {
            Some(length) => out.push_str(&from[..length]),
            None => out.push(' '),
        }
        rest = &from[length.unwrap_or(1)..];
    }
    out.push_str(&printable(rest));
    out.into()
}

/// The length of the sequence for a colour that `text` begins with, if it passes.
fn colour(text: &str, passes: Passes) -> Option<usize> {
    let parameters = text.strip_prefix(SEQUENCE)?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    let (parameters, rest) = parameters.split_at(end);
    let passes = passes == Passes::AnyColours || OWN.contains(&parameters);
    (passes && rest.starts_with('m')).then_some(SEQUENCE.len() + end + 1)
}

/// The length in bytes of the begin or end of a link that `text` starts with, if such may pass: `ESC ] 8 ; … ; address ESC \`,
/// or with a bell in place of the last two.
fn link(text: &str, passes: Passes) -> Option<usize> {
    let address = text.strip_prefix(LINK).filter(|_| passes == Passes::AnyColours)?;
    let end = address.find(|c: char| is_unsafe(c))?;
    let closing = ["\u{1b}\\", "\u{7}"].into_iter().find(|closing| address[end..].starts_with(closing))?;
    Some(LINK.len() + end + closing.len())
}

/// Where a command reads and writes.
#[derive(Clone)]
pub struct Console(Streams);

#[derive(Clone)]
enum Streams {
    /// Those of the process.
    Process,
    /// Given input, and output that is kept.
    Memory(Arc<Memory>),
}

struct Memory {
    stdin: Mutex<Cursor<Vec<u8>>>,
    stdout: Mutex<Vec<u8>>,
    stderr: Mutex<Vec<u8>>,
}

/// A lock that is held by nobody who panicked in the middle of a write: what is written is appended at once.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// The process's own streams.
    #[must_use]
    pub fn of_process() -> Self {
        Self(Streams::Process)
    }

    /// No terminal: input that is given, output that [`written`](Self::written) returns.
    #[must_use]
    pub fn in_memory(stdin: &[u8]) -> Self {
        Self(Streams::Memory(Arc::new(Memory {
            stdin: Mutex::new(Cursor::new(stdin.to_vec())),
            stdout: Mutex::default(),
            stderr: Mutex::default(),
        })))
    }

    /// What was written to stdout and to stderr since it was last asked, if it is in memory.
    #[must_use]
    pub fn written(&self) -> (Vec<u8>, Vec<u8>) {
        match &self.0 {
            Streams::Process => Default::default(),
            Streams::Memory(memory) => {
                (std::mem::take(&mut locked(&memory.stdout)), std::mem::take(&mut locked(&memory.stderr)))
            }
        }
    }

    /// Hands over stdin.
    pub(super) fn with_stdin<T>(&self, read: impl FnOnce(&mut dyn Read) -> T) -> T {
        match &self.0 {
            Streams::Process => read(&mut io::stdin().lock()),
            Streams::Memory(memory) => read(&mut *locked(&memory.stdin)),
        }
    }

    /// Reads a line of stdin; empty at its end, or where it cannot be read.
    pub(super) fn read_line(&self) -> String {
        let mut line = String::new();
        let _read = match &self.0 {
            Streams::Process => io::stdin().lock().read_line(&mut line).is_ok(),
            Streams::Memory(memory) => locked(&memory.stdin).read_line(&mut line).is_ok(),
        };
        line
    }

    /// Whether somebody types what is read.
    pub(super) fn is_stdin_typed(&self) -> bool {
        matches!(self.0, Streams::Process) && io::stdin().is_terminal()
    }

    /// Writes to stdout.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn print(&self, text: &str, passes: Passes) -> io::Result<()> {
        let mut out = self.stdout();
        out.write(text, passes)?;
        out.finish()
    }

    /// Stdout for many small pieces, taken for this thread.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to it")]
    pub(super) fn stdout(&self) -> Stdout<'_> {
        Stdout(BufWriter::new(match &self.0 {
            Streams::Process => Stream::Process(io::stdout().lock()),
            Streams::Memory(memory) => Stream::Memory(locked(&memory.stdout)),
        }))
    }

    /// Writes to stderr. If that is gone there is nobody to tell.
    pub(super) fn tell(&self, text: &str, passes: Passes) {
        self.write_stderr(clean(text, passes).as_bytes());
    }

    /// Shows how far something is, in place of the last line of the terminal's that showed it; an empty text takes it away.
    pub(super) fn show_progress(&self, text: &str) {
        self.write_stderr(format!("\r{}\u{1b}[K", printable(text)).as_bytes());
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to it")]
    fn write_stderr(&self, bytes: &[u8]) {
        let _told = match &self.0 {
            Streams::Process => io::stderr().lock().write_all(bytes).is_ok(),
            Streams::Memory(memory) => locked(&memory.stderr).write_all(bytes).is_ok(),
        };
    }

    /// Whether stderr is a terminal.
    #[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
    pub(super) fn is_stderr_watched(&self) -> bool {
        matches!(self.0, Streams::Process) && io::stderr().is_terminal()
    }

    /// The columns of the terminal that stdout, stderr or stdin is, if one of them is.
    pub(super) fn width(&self) -> Option<u16> {
        match self.0 {
            Streams::Process => terminal_size::terminal_size().map(|(width, _)| width.0),
            Streams::Memory(_) => None,
        }
    }

    /// Whether text for stdout is to be in colours unless somebody says otherwise.
    #[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
    pub(super) fn wants_colours(&self) -> bool {
        self.would_colour(&io::stdout())
    }

    /// Whether text for stderr is to be in colours unless somebody says otherwise.
    #[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
    pub(super) fn wants_colours_on_stderr(&self) -> bool {
        self.would_colour(&io::stderr())
    }

    fn would_colour(&self, stream: &impl anstream::stream::RawStream) -> bool {
        matches!(self.0, Streams::Process)
            && anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
    }
}

/// Stdout for many small pieces.
pub(super) struct Stdout<'c>(BufWriter<Stream<'c>>);

enum Stream<'c> {
    Process(StdoutLock<'static>),
    Memory(MutexGuard<'c, Vec<u8>>),
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Process(stream) => stream.write(bytes),
            Self::Memory(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Process(stream) => stream.flush(),
            Self::Memory(_) => Ok(()),
        }
    }
}

impl Stdout<'_> {
    /// Writes a piece. A sequence for a colour must be whole in it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&mut self, text: &str, passes: Passes) -> io::Result<()> {
        self.0.write_all(clean(text, passes).as_bytes())
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_text_passes_unless_it_was_painted() {
        let text = "a\u{1b}[1mb\u{1b}[0m\r\u{7}\u{9b}2J\u{202e}é\tx\n";
        assert_eq!(clean(text, Passes::Text), "a [1mb [0m   2J é\tx\n");
        assert_eq!(clean(text, Passes::OwnColours), "a\u{1b}[1mb\u{1b}[0m   2J é\tx\n");
        let plain = "nothing to do: é\t\n";
        assert!(matches!(clean(plain, Passes::OwnColours), Cow::Borrowed(_)));
    }

    #[test]
    fn of_sequences_only_colours_pass_and_in_tables_only_our_own() {
        for (text, own, any) in [
            ("\u{1b}[38;5;3m", true, true),
            ("\u{1b}[8m", false, true),
            ("\u{1b}[38;2;1;2;3m", false, true),
            ("\u{1b}[4:3m", false, true),
            ("\u{1b}[m", false, true),
            ("\u{1b}[2J", false, false),
            ("\u{1b}[1", false, false),
            ("\u{1b}[?25l", false, false),
            ("\u{1b}", false, false),
            ("\u{1b}\u{1b}[2K", false, false),
            ("\u{1b}]0;title\u{7}", false, false),
            ("\u{1b}]52;c;eA==\u{7}", false, false),
            ("\u{1b}]8;;https://example.com\u{1b}\\", false, true),
            ("\u{1b}]8;id=1;https://example.com\u{7}", false, true),
            ("\u{1b}]8;;a\u{1b}[2J", false, false),
        ] {
            assert_eq!(clean(text, Passes::OwnColours) == text, own, "{text:?}");
            assert_eq!(clean(text, Passes::AnyColours) == text, any, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_printed_speaks_to_no_terminal(text in "[\u{1b}\\[\\]8;0-9mJ\u{7}\\\\\u{9b}\u{202e}\r\n\tx]{0,24}") {
            let is_harmful = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\t');
            let text_alone = clean(&text, Passes::Text);
            prop_assert!(!text_alone.contains(is_harmful), "{:?}", text_alone);
            // Without our own sequences nothing else is left.
            let mut painted = clean(&text, Passes::OwnColours).into_owned();
            for own in OWN {
                painted = painted.replace(&format!("{SEQUENCE}{own}m"), "");
            }
            prop_assert!(!painted.contains(is_harmful), "{:?}", painted);
        }
    }
}
