//! The one place where anything is written to stdout or stderr: whatever it is, what could move a cursor, turn a line
//! around or speak to the terminal does not come through.
//!
//! Names, paths and settings come from outside, and from a checkout that somebody else has made. So nothing that is printed
//! has a character below a space but line breaks and tabs, none of C1, and none that sets a direction. Colours are the
//! exception: they pass only with a text whose values were cleaned before it was painted ([`Passes::OwnColours`]), and
//! only in the very sequences that [`render`](crate::render) writes.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _};

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

/// Writes to stdout.
///
/// # Errors
/// If it cannot be written.
pub(super) fn print(text: &str, passes: Passes) -> io::Result<()> {
    let mut out = Stdout::lock();
    out.write(text, passes)?;
    out.finish()
}

/// Stdout for many small pieces.
pub(super) struct Stdout(BufWriter<StdoutLock<'static>>);

impl Stdout {
    /// Takes it for this thread.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to it")]
    pub(super) fn lock() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

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

/// Writes to stderr. If that is gone there is nobody to tell.
#[expect(clippy::disallowed_methods, reason = "this is the one place that writes to it")]
pub(super) fn tell(text: &str, passes: Passes) {
    let _told = io::stderr().lock().write_all(clean(text, passes).as_bytes()).is_ok();
}

/// Shows how far something is, in place of the last line of the terminal's that showed it; an empty text takes it away.
#[expect(clippy::disallowed_methods, reason = "this is the one place that writes to it")]
pub(super) fn show_progress(text: &str) {
    let text = printable(text);
    let _told = io::stderr().lock().write_all(format!("\r{text}\u{1b}[K").as_bytes()).is_ok();
}

/// Whether stderr is a terminal.
#[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
pub(super) fn is_stderr_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether text for stdout is to be in colours unless somebody says otherwise.
#[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
pub(super) fn wants_colours() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether text for stderr is to be in colours unless somebody says otherwise.
#[expect(clippy::disallowed_methods, reason = "it is only asked what it is")]
pub(super) fn wants_colours_on_stderr() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
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
