//! How well tool calls are estimated: real transcripts played through the hook's own code.
//!
//! `cargo bench --bench estimates -- [FOLDER]...` reads the transcripts below each folder (by default the collected
//! ones beside this repository) and makes of them the payloads that the client would have sent. Each call is estimated from its
//! payload alone, before the response that reads it; then the calibration learns from what the context really grew by.
//! A folder's sub-folders are repositories: each has a ledger of its own, and begins with priors that were fitted on
//! the others.
//!
//! Left out are gaps after a response whose output was not logged whole, those with a compaction, an image or a user's
//! words in them, and each gap's copies in other files. Every figure comes twice: over all gaps that are left, and over
//! those without the client's own words, which no payload tells of.
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

use std::path::PathBuf;

use replay::Replay;

/// Where the collected transcripts are.
const COLLECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/claude");

fn main() {
    // Cargo adds `--bench`.
    let folders: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).map(PathBuf::from).collect();
    let folders = if folders.is_empty() { vec![PathBuf::from(COLLECTED)] } else { folders };
    let files: Vec<_> = folders.iter().flat_map(|folder| transcript::files(folder)).collect();
    if files.iter().all(|file| file.gaps.is_empty()) {
        println!("no transcripts in {folders:?}");
        return;
    }
    report::print(&Replay::new(&files));
}
