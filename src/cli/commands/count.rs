//! `tallyhook count`.

use std::io::Read;
use std::path::{Path, PathBuf};

use tallyhook_counter::{Count, Counting, Encoding};

use super::args::CountArgs;
use super::{Context, Extent};
use crate::domain::{Client, ModelId, OneLine as _};
use crate::error::Error;
use crate::estimate::calibrate::Tokenizer;
use crate::estimate::encoding_of;
use crate::report::count::{CountReport, CountedFile};

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;
/// How much is counted at most, in bytes: a minute's work or two (less in the tests of this file).
const MAX_BYTES: u64 = if cfg!(test) { 16 << 20 } else { 1 << 30 };
/// The name of stdin, as an argument and in the result.
const STDIN: &str = "-";

/// Counts every file that can be; the others are named on stderr.
pub(super) fn run(context: &Context, args: &CountArgs) -> Result<(), Error> {
    let model = args.model.as_deref().and_then(ModelId::new);
    let own_encoding = encoding_of(Client::ClaudeCode, model.as_ref());
    let encoding = args.encoding.map_or(own_encoding, Into::into);
    let tokenizer = model.as_ref().map(Tokenizer::of);
    let stdin = [PathBuf::from(STDIN)];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files[..] };
    let mut counted = Vec::with_capacity(files.len());
    let mut failures = 0;
    for file in files {
        match count(context, file, encoding, tokenizer.map(|_| own_encoding)) {
            Ok(Counted { bytes, asked, own }) => counted.push(CountedFile {
                file: file.to_string_lossy().into_owned(),
                tokens: asked.tokens,
                // It is made from the encoding that is nearest to the model's, whatever was asked for.
                estimate_tokens: tokenizer.map(|tokenizer| tokenizer.estimate(own.unwrap_or(asked).tokens)),
                bytes,
                exact: asked.exact,
            }),
            Err(fault) => {
                failures += 1;
                context.say(&format!("tallyhook: {}: {fault}", file.one_line()));
            }
        }
    }
    let report = CountReport::new(encoding.name(), model.map(|model| model.to_string()), counted);
    context.show(args.output.format(), &report, Extent::default())?;
    if failures > 0 { Err(Error::NotCounted { failures }) } else { Ok(()) }
}

/// What a file came to.
struct Counted {
    bytes: u64,
    asked: Count,
    /// The count of the other encoding, where that is asked for, too.
    own: Option<Count>,
}

/// Counts a file, or stdin, piece by piece.
fn count(context: &Context, file: &Path, asked: Encoding, own: Option<Encoding>) -> Result<Counted, String> {
    let mut asked = Counting::new(asked);
    let mut own = own.filter(|own| *own != asked.encoding()).map(Counting::new);
    let each = |text: &str| {
        asked.push(text);
        own.iter_mut().for_each(|own| own.push(text));
    };
    let bytes = if file == Path::new(STDIN) {
        context.console.with_stdin(|stdin| read(stdin, each))
    } else {
        let opened = context.open(file).map_err(|error| format!("can't be read: {error}"))?;
        if opened.metadata().is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
            return Err(too_large());
        }
        read(opened, each)
    }?;
    Ok(Counted { bytes, asked: asked.finish(), own: own.map(Counting::finish) })
}

/// Hands on a text piece by piece; returns how many bytes it has.
fn read(mut input: impl Read, mut each: impl FnMut(&str)) -> Result<u64, String> {
    let mut held = Vec::with_capacity(PIECE);
    let mut bytes: u64 = 0;
    loop {
        let missing = (PIECE - held.len()) as u64;
        let read = (&mut input).take(missing).read_to_end(&mut held);
        let is_end = read.map_err(|error| format!("can't be read: {error}"))? == 0;
        let (text, rest) = match str::from_utf8(&held) {
            Ok(text) => (text, 0),
            Err(error) if is_end || error.error_len().is_some() => {
                let at = bytes + error.valid_up_to() as u64;
                return Err(format!(
                    "isn't UTF-8 (byte {at}); convert it first, for example with `iconv -f LATIN1 -t UTF-8`"
                ));
            }
            // Its end is the beginning of a character.
            Err(error) => {
                let end = error.valid_up_to();
                (str::from_utf8(&held[..end]).unwrap_or_default(), held.len() - end)
            }
        };
        each(text);
        bytes += text.len() as u64;
        if bytes > MAX_BYTES {
            return Err(too_large());
        }
        if is_end {
            return Ok(bytes);
        }
        held.drain(..held.len() - rest);
    }
}

fn too_large() -> String {
    let most = MAX_BYTES >> 20;
    format!("is larger than the limit of {most} MB; split it, for example with `split -b 512M`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_whole_wherever_the_pieces_end() {
        let text = "x\u{1f600}".repeat(PIECE / 4);
        let mut found = String::new();
        assert_eq!(read(text.as_bytes(), |part| found.push_str(part)), Ok(text.len() as u64));
        assert!(found == text);
        let mut bytes = text.into_bytes();
        bytes.pop();
        let at = bytes.len() - 3;
        let fault = read(&*bytes, |_| {}).unwrap_err();
        assert!(fault.starts_with(&format!("isn't UTF-8 (byte {at});")), "{fault}");
        bytes[7] = 0xff;
        assert!(read(&*bytes, |_| {}).unwrap_err().contains("(byte 6)"));
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut pieces = 0;
        let fault = read(std::io::repeat(b'x'), |_| pieces += 1).unwrap_err();
        assert!(fault.starts_with("is larger than the limit of 16 MB; split it"), "{fault}");
        assert_eq!(pieces, MAX_BYTES as usize / PIECE + 1);
    }
}
