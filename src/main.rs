//! `tallyhook`: parse, dispatch, print the error, choose the exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    tallyhook::cli::main()
}
