//! `tallyhook count`.

use std::path::{Path, PathBuf};

use super::Context;
use super::args::CountArgs;
use crate::domain::{Agent, ModelId};
use crate::error::Error;
use crate::estimate::calibrate::Tokenizer;
use crate::estimate::counter::{self, Encoding};
use crate::render;
use crate::report::count::{CountReport, CountedFile};

/// The name of stdin, as an argument and in the result.
const STDIN: &str = "-";

/// Counts every file that can be; the others are named on stderr.
pub(super) fn run(context: &Context, args: &CountArgs) -> Result<(), Error> {
    let model = args.model.as_deref().and_then(ModelId::new);
    let own_encoding = Encoding::of(Agent::ClaudeCode, model.as_ref());
    let encoding = args.encoding.map_or(own_encoding, Into::into);
    let tokenizer = model.as_ref().map(Tokenizer::of);
    let stdin = [PathBuf::from(STDIN)];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files[..] };
    let mut counted = Vec::with_capacity(files.len());
    let mut failures = 0;
    for file in files {
        match read(context, file) {
            Ok(text) => {
                let count = counter::count(encoding, &text);
                counted.push(CountedFile {
                    file: file.display().to_string(),
                    tokens: count.tokens,
                    // It is made from the encoding that is nearest to the model's, whatever was asked for.
                    estimate_tokens: tokenizer.map(|tokenizer| {
                        let nearest = if encoding == own_encoding {
                            count
                        } else {
                            counter::count(own_encoding, &text)
                        };
                        tokenizer.estimate(nearest.tokens)
                    }),
                    bytes: text.len() as u64,
                    exact: count.exact,
                });
            }
            Err(fault) => {
                failures += 1;
                context.say(&format!("tallyhook: {}: {fault}", file.display()));
            }
        }
    }
    let report = CountReport::new(encoding.name(), model.map(|model| model.to_string()), counted);
    if args.json {
        context.print(&render::json(&report).map_err(|source| Error::Output { source })?)?;
    } else if !report.files.is_empty() {
        context.print_painted(&render::table(&report.table(), context.style()))?;
    }
    if failures > 0 { Err(Error::NotCounted { failures }) } else { Ok(()) }
}

fn read(context: &Context, file: &Path) -> Result<String, String> {
    let read = if file == Path::new(STDIN) {
        context.console.read_stdin(u64::MAX)
    } else {
        std::fs::read(context.env.cwd().join(file))
    };
    let bytes = read.map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8 (byte {at}); only text has tokens, so convert it first, as in `iconv -f LATIN1 -t UTF-8`")
    })
}
