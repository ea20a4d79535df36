//! How well tool calls are estimated: transcripts played through the hook's own code.
//!
//! `cargo bench --bench estimates -- [FOLDER]...` reads the transcripts below each folder and makes of them the payloads that
//! the client would have sent. Without a folder it reads `corpus/claude` in the folder that `TALLYHOOK_CORPUS` names, or, where
//! that is not set, a generated tree: its contexts grow by rules of its own, so its figures say whether the estimates work
//! and not how near they come to a real model. Each call is estimated from its payload alone, before the response that
//! reads it; then the calibration learns from what the context really grew by. A folder's sub-folders are repositories: each
//! has a ledger of its own, and begins with priors that were fitted on the others.
//!
//! **What is compared.** A gap lies between two responses of one context; its growth is that of input, cache reads and cache
//! writes less the first one's output. Left out are gaps after a response whose output was not logged whole (they teach
//! nevertheless where it made calls alone), those with a
//! compaction, an image or a user's words in them, and each gap's copies in other files; sidechains are contexts of their
//! own. No gap is left out for what the client put in by itself (reminders, notes on changed files, hooks' contexts), though
//! in three long sessions that is 14 to 19% of the growth, and no payload tells of it. So each figure comes in four readings:
//!
//! - *all that comes in, foreseen*: growth against the calls' estimates and what the client was foreseen to add, both made
//!   before the response. Nothing that is known afterwards is used: this is the session error. One gap's such words cannot
//!   be foreseen, sums of them can, so its figure by gap says little.
//! - *calls foreseen, client's words as seen*: growth against the calls' estimates and the client's words as the transcript
//!   shows them afterwards. This is the error by call: what is left of it is the calls' own.
//! - *calls alone, gaps without such words*, as a check on the second, and *calls alone, all gaps*, which takes what the
//!   client adds for an error.
//!
//! The slopes that a repository begins with were never fitted on it; the constants of the fit (noise, when a gap counts for
//! less, how fast it forgets) were chosen on a collection of real transcripts, and near them little changes.
//!
//! **When it learns.** The first block is how the hook does it ([`replay::Learning::AsTheHook`]); the others are bounds.
#![expect(clippy::print_stdout, reason = "a report for people")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares"
)]

mod fit;
mod replay;
mod report;
mod transcript;

use std::path::{Path, PathBuf};

use replay::Replay;
use tallyhook_testdata::{Era, Prices, Recipe, corpus, write};

/// Sessions of models of both tokenizers, with outputs that are logged whole.
fn generate(folder: &Path) -> std::io::Result<PathBuf> {
    let recipe = Recipe { eras: vec![Era::Middle, Era::Current], projects: 8, ..Recipe::of_megabytes(40, 1) };
    let truth = write(&recipe, &Prices::list(), folder)?;
    println!(
        "a generated tree of {} MB; give a folder of real transcripts for real figures",
        truth.bytes / 1_000_000
    );
    Ok(folder.join("projects"))
}

fn main() -> std::io::Result<()> {
    // Cargo adds `--bench`.
    let mut folders: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).map(PathBuf::from).collect();
    let generated = tempfile::tempdir()?;
    if folders.is_empty() {
        folders.push(match corpus() {
            Some(corpus) => corpus.join("corpus/claude"),
            None => generate(generated.path())?,
        });
    }
    let files: Vec<_> = folders.iter().flat_map(|folder| transcript::files(folder)).collect();
    if files.iter().all(|file| file.gaps.is_empty()) {
        return Err(std::io::Error::other(format!("no transcripts in {folders:?}")));
    }
    report::print(&Replay::new(&files));
    Ok(())
}
