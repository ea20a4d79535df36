//! Writes a tree of transcripts and its truth into a folder.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that says what it has done")]

use std::path::PathBuf;
use std::process::ExitCode;

use tallyhook_testdata::{Era, Prices, Recipe, write};

const USAGE: &str = "Write Claude Code transcripts whose usage and cost are known

usage: tallyhook-testdata FOLDER [--megabytes N] [--seed N] [--projects N] [--era NAME]... [--without NAME]... [--short]

FOLDER gets the transcripts in `projects`, and `truth.json`. The same arguments give the same bytes.

  --megabytes N    size of the tree (default: 10)
  --seed N         another tree (default: 1)
  --projects N     working directories (default: 40)
  --era NAME       clients of a time only: early, flat, middle, current
  --short          short sessions with small results
  --without NAME   leave out terminal-forks, overnight, crashes
";

fn recipe(arguments: &[String]) -> Result<(PathBuf, Recipe), String> {
    let mut folder = None;
    let mut recipe = Recipe::of_megabytes(10, 1);
    let mut eras = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if !argument.starts_with('-') {
            folder = Some(PathBuf::from(argument));
            continue;
        }
        if argument == "--short" {
            let Recipe { turns, responses_a_turn, result_bytes, .. } = Recipe::small(0);
            recipe = Recipe { turns, responses_a_turn, result_bytes, ..recipe };
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{argument} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{argument} {value} is not a whole number"));
        match argument.as_str() {
            "--megabytes" => recipe.bytes = number()? * 1_000_000,
            "--seed" => recipe.seed = number()?,
            "--projects" => recipe.projects = number()?.clamp(1, 10_000) as usize,
            "--era" => {
                let names = ["early", "flat", "middle", "current"];
                let at = names
                    .iter()
                    .position(|name| name == value)
                    .ok_or_else(|| format!("unknown era {value}"))?;
                eras.push(Era::ALL[at]);
            }
            "--without" => match value.as_str() {
                "terminal-forks" => recipe.terminal_forks = false,
                "overnight" => recipe.overnight = false,
                "crashes" => recipe.crashes = false,
                _ => return Err(format!("unknown feature {value}")),
            },
            _ => return Err(format!("unknown option {argument}")),
        }
    }
    if !eras.is_empty() {
        recipe.eras = eras;
    }
    Ok((folder.ok_or("no folder is given")?, recipe))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let made = recipe(&arguments).and_then(|(folder, recipe)| {
        write(&recipe, &Prices::list(), &folder)
            .map_err(|error| format!("cannot write {}: {error}", folder.display()))
    });
    match made {
        Ok(truth) => {
            let (megabytes, total) = (truth.bytes / 1_000_000, truth.total);
            println!(
                "{megabytes} MB in {} files, {} sessions, {} responses, {} tokens",
                truth.files,
                truth.sessions.len(),
                total.responses,
                total.usage.tokens()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}
