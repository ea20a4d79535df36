//! The command line: what is asked, and who answers. Only here anything is printed.

pub mod args;
mod commands;
mod diff;
mod hints;
mod hook;
mod output;
mod scopes;
mod session;
mod statusline;
mod suggest;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use serde::Serialize;

use crate::allocation::{self, AllocationProgress, SessionAllocations};
use crate::calendar::Zone;
use crate::clients::ReadError;
use crate::config::Config;
use crate::domain::{OneLine as _, printable};
use crate::env::{Env, PLACES};
use crate::error::Error;
use crate::ingest::turn;
use crate::platform;
use crate::present::{Page, PageOptions, Present, left_out};
use crate::pricing::{PriceTable, read_user_prices};
use crate::regular;
use crate::render::{self, Style};
use crate::setup::SetupError;
use crate::setup::plan::Backups;
use crate::store::{CopiedFor, Ledger, LeftOut, SessionRow, StoreError};
use args::{ColorChoice, OutputFormat};
pub use commands::{Cli, Command};
pub use output::Console;
use output::Passes;

/// How many sessions' calls are looked for at once.
const SESSIONS_AT_ONCE: usize = 2_000;

/// Width of tables where there is no terminal to ask, nor `COLUMNS`.
const DEFAULT_WIDTH: u16 = 80;
/// How often progress is shown.
const PROGRESS_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    platform::survive_file_size_limits();
    let env = Env::from_process();
    let console = Console::of_process();
    let args: Vec<OsString> = std::env::args_os().collect();
    let words = words(&args);
    // The hook must not fail over an argument, so it is not left to clap.
    if hook::is_hook(&words) {
        platform::end_instead_of_abort(0);
        return hook::run(&words, &env, &console);
    }
    // Nor must the status line, which is as hot.
    if statusline::is_statusline(&words) {
        platform::end_instead_of_abort(0);
        return statusline::run(&words, &env, &console);
    }
    platform::end_instead_of_abort(1);
    let stderr = console.clone();
    std::panic::set_hook(Box::new(move |fault| {
        let place = fault.location().map(ToString::to_string).unwrap_or_default();
        let text = format!(
            "tallyhook: internal error at {place}; everything stored so far is safe. Please report it, \
             with the command you ran\n"
        );
        // If nobody reads it, the exit code still tells.
        stderr.tell(&text, Passes::Text);
        std::process::exit(1);
    }));
    ExitCode::from(run(&args, env, console))
}

/// Whether a path names a descriptor of a process, just as it is written: `/dev/stdin`, `/dev/fd/63` or, as zsh has it,
/// `/proc/self/fd/11`.
fn is_descriptor(path: &Path) -> bool {
    let Some(path) = path.to_str() else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = path.strip_prefix("/dev/fd/") {
        return is_number(number);
    }
    let in_process = path.strip_prefix("/proc/").and_then(|rest| rest.split_once("/fd/"));
    if let Some((process, number)) = in_process {
        return (process == "self" || is_number(process)) && is_number(number);
    }
    matches!(path, "/dev/stdin" | "/dev/stdout" | "/dev/stderr")
}

/// The arguments as text, without the program's own name.
fn words(args: &[OsString]) -> Vec<String> {
    args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Runs a command other than the hook and the status line, which no command of people's is: they speak to the process's own
/// streams alone. `args` begins with the name of the program. Returns the exit code.
#[must_use]
pub fn run(args: &[OsString], env: Env, console: Console) -> u8 {
    let Cli { global: mut options, command } = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let words = words(args);
            return say_usage(&console, &hints::shortened(hints::with_tips(error, &words)), &words);
        }
    };
    for path in [&mut options.db, &mut options.config].into_iter().flatten() {
        *path = env.expand(path);
    }
    let context = Context {
        zone: Zone::of_user(&env),
        env,
        console,
        options,
        is_report: command.is_report(),
        copies: Cell::new(Copies::Unless),
        left_out: RefCell::default(),
    };
    let done = context.run_report(command);
    context.say_what_is_left_out();
    match done {
        Ok(()) => 0,
        Err(error) if error.is_broken_pipe() => 0,
        Err(error) => {
            context.say(&format!("tallyhook: {error}"));
            if matches!(&error, Error::Store(fault) if fault.is_unwritable()) {
                context.say("`tallyhook doctor` has details");
            }
            error.exit_code()
        }
    }
}

/// Prints what clap has to say: help, the version, or what is wrong with the arguments, which are repeated in it. Where they
/// could do something to the terminal that is said without colours.
fn say_usage(console: &Console, error: &clap::Error, words: &[String]) -> u8 {
    let is_harmless = words.iter().all(|arg| matches!(printable(arg), Cow::Borrowed(_)));
    let wants_colours =
        if error.use_stderr() { console.wants_colours_on_stderr() } else { console.wants_colours() };
    let (text, passes) = match is_harmless && wants_colours {
        true => (error.render().ansi().to_string(), Passes::AnyColours),
        false => (error.render().to_string(), Passes::Text),
    };
    let text = in_one_line_each(text, words);
    if error.use_stderr() {
        console.tell(&text, passes);
    } else if let Err(source) = console.print(&text, passes) {
        let error = Error::Output { source };
        return if error.is_broken_pipe() { 0 } else { error.exit_code() };
    }
    u8::try_from(error.exit_code()).unwrap_or(1)
}

/// The text without the line breaks of arguments that are repeated in it.
fn in_one_line_each(mut text: String, args: &[String]) -> String {
    for part in args.iter().flat_map(|arg| arg.split('\n').skip(1)).filter(|part| !part.is_empty()) {
        text = text.replace(&format!("\n{part}"), &format!(" {part}"));
    }
    text
}

/// What every command needs.
struct Context {
    env: Env,
    /// Where the user is.
    zone: Zone,
    console: Console,
    options: args::Global,
    /// Whether the command only shows what is there.
    is_report: bool,
    copies: Cell<Copies>,
    /// What its figures do not hold, ledger by ledger that it has opened.
    left_out: RefCell<Vec<LeftOut>>,
}

/// How much of a report is shown.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Whether with more columns or tables than usual.
    is_detailed: bool,
    /// Whether with every row, also in a terminal.
    shows_all: bool,
}

/// When a report reads a copy of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// If it cannot be opened for writing.
    Unless,
    /// In any case, for it could not be written.
    Always,
}

impl Context {
    /// Runs a command; a report once more if it turns out halfway that the ledger cannot be written. It has shown nothing
    /// by then.
    fn run_report(&self, command: Command) -> Result<(), Error> {
        if !self.is_report {
            return command.run(self);
        }
        match command.clone().run(self) {
            Err(Error::Store(error)) if error.is_unwritable() && self.copies.get() == Copies::Unless => {
                self.copies.set(Copies::Always);
                // A copy holds all, whoever holds the ledger.
                self.left_out.take();
                command.run(self).map_err(|second| match second {
                    Error::Store(second) => Error::Store(error.unless_told_by(second)),
                    second => second,
                })
            }
            result => result,
        }
    }

    /// Refuses relative paths in variables, which would make a ledger in each folder.
    fn check_places(&self) -> Result<(), Error> {
        let is_used = |name: &&str| *name != "TALLYHOOK_DB" || self.options.db.is_none();
        let used: Vec<&str> = PLACES.into_iter().filter(is_used).collect();
        self.env.misplaced(&used).map_or(Ok(()), |misplaced| Err(misplaced.into()))
    }

    fn ledger_path(&self) -> Result<PathBuf, Error> {
        let given = self.options.db.as_ref().map(|path| self.env.cwd().join(path));
        given.or_else(|| self.env.ledger_path()).ok_or(Error::NoLedgerPath)
    }

    /// Opens a file that is named on the command line. A pipe or device is read only where it is named as a descriptor is, by
    /// the user or by a shell for `<(…)`: anybody can put one under any other name, and it may never end.
    fn open(&self, file: &Path) -> std::io::Result<std::fs::File> {
        let path = self.env.cwd().join(file);
        if is_descriptor(file) { std::fs::File::open(&path) } else { regular::open(&path) }
    }

    /// Where copies of settings files are kept.
    fn backups(&self) -> Result<Backups, Error> {
        let folder = self.env.data_folder().ok_or(SetupError::NoHome)?;
        Ok(Backups::in_folder(folder.join("backups")))
    }

    /// What is said where there is no ledger.
    fn no_ledger(&self) -> Result<Error, Error> {
        let path = self.ledger_path()?;
        Ok(Error::NoData {
            what: format!(
                "there is no ledger at {} yet\n`tallyhook init` registers the hook that fills it; `tallyhook import` adds \
                 earlier sessions",
                path.one_line()
            ),
        })
    }

    /// Opens the ledger for reading, with the prices in force; `None` if there is none yet.
    fn ledger(&self) -> Result<Option<Ledger>, Error> {
        self.priced_ledger(&self.prices()?)
    }

    /// Opens the ledger for reading, with prices that are at hand; `None` if there is none yet. What was priced by
    /// others is priced anew before it is read.
    fn priced_ledger(&self, prices: &PriceTable) -> Result<Option<Ledger>, Error> {
        let mut ledger = self.open_ledger()??;
        if let Some(ledger) = &mut ledger {
            ledger.set_prices(prices.clone());
            let priced = ledger.reprice();
            ledger.without_if_held(priced)?;
            self.read_ended(ledger);
        }
        Ok(ledger)
    }

    /// Reads what clients have written for sessions that had ended. All else that is known is right without it.
    fn read_ended(&self, ledger: &mut Ledger) {
        let read = |ledger: &mut Ledger| -> Result<Vec<ReadError>, Error> {
            let ended = ledger.sessions().ended()?;
            let prepare = |_: &mut Ledger, project: Option<&str>| {
                // A project's file that does not parse is for those to mend who work there.
                self.config(project).unwrap_or_else(|_| Config::cautious())
            };
            Ok(turn::read_ended(ledger, &self.env, prepare, &ended)?)
        };
        let read = match read(ledger) {
            Err(Error::Store(error)) => {
                ledger.without_if_held(Err(error)).map(Option::unwrap_or_default).map_err(Error::from)
            }
            read => read,
        };
        match read {
            Ok(faults) => faults.iter().for_each(|fault| self.say(&format!("tallyhook: {fault}"))),
            Err(error) => {
                self.say(&format!("tallyhook: can't read the latest usage of ended sessions: {error}"));
            }
        }
    }

    /// Works out where costs came from, as far as that is not known yet.
    fn refresh_allocations(&self, ledger: &mut Ledger) -> Result<(), Error> {
        let keeps_names = self.config(None)?.store_names;
        self.with_progress(|tell| Ok(allocation::refresh(ledger, keeps_names, None, tell)?))
    }

    /// Works it out for those of some sessions whose calls no hook has told, as after an import.
    fn refresh_calls(&self, ledger: &mut Ledger, sessions: &[SessionRow]) -> Result<(), Error> {
        let counts = ledger.records().session_counts(sessions)?;
        let is_told = |row: &SessionRow| counts.get(row).is_some_and(|counts| counts.tool_calls > 0);
        let untold: Vec<SessionRow> = sessions.iter().copied().filter(|row| !is_told(row)).collect();
        if untold.is_empty() {
            return Ok(());
        }
        let keeps_names = self.config(None)?.store_names;
        // What is known of the logs of very many sessions takes much memory.
        for some in untold.chunks(SESSIONS_AT_ONCE) {
            let done =
                self.with_progress(|tell| Ok(allocation::refresh(ledger, keeps_names, Some(some), tell)?));
            if let Err(error) = done {
                // All else that is known of the sessions is right, as where the ledger cannot be written.
                self.say(&format!("tallyhook: can't read the calls of imported sessions: {error}"));
                break;
            }
        }
        Ok(())
    }

    /// Works out where the costs of one session came from.
    fn session_allocations(
        &self,
        ledger: &mut Ledger,
        session: SessionRow,
    ) -> Result<SessionAllocations, Error> {
        let keeps_names = self.config(None)?.store_names;
        self.with_progress(|tell| Ok(allocation::of_session(ledger, keeps_names, session, tell)?))
    }

    /// Asks in the terminal; without one the answer is no.
    fn confirms(&self, question: &str) -> bool {
        self.console.is_stdin_typed()
            && self.print(question).is_ok()
            && self.console.read_line().trim().eq_ignore_ascii_case("y")
    }

    /// Opens the ledger as the command needs it, for those who want to know what is wrong with it too; `None` if there
    /// is none yet.
    fn open_ledger(&self) -> Result<Result<Option<Ledger>, StoreError>, Error> {
        let path = self.ledger_path()?;
        let opened = match (self.is_report, self.copies.get()) {
            (false, _) => Ledger::open_for_changes(&path),
            (true, Copies::Unless) => Ledger::open_for_reports(&path),
            (true, Copies::Always) => Ledger::open_copy(&path, CopiedFor::Unwritable),
        };
        Ok(match opened {
            Ok(ledger) => {
                if let Some(why) = ledger.copied() {
                    let why = match why {
                        CopiedFor::Unwritable => "can't be written",
                        CopiedFor::Held => "is from an older release and locked by another process",
                    };
                    self.say(&format!(
                        "tallyhook: the ledger {} {why}, so these figures come from a copy, and nothing new was stored",
                        path.one_line()
                    ));
                }
                self.left_out.borrow_mut().push(ledger.left_out());
                Ok(Some(ledger))
            }
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// The settings, with those of a project; a project's file that cannot be used is only warned of, for it comes
    /// with a checkout.
    fn config(&self, project: Option<&str>) -> Result<Config, Error> {
        let mut config = Config::of_user(self.env.config_path().as_deref(), self.options.config.as_deref())?;
        if let Some(project) = project
            && let Err(error) = config.add_project(Path::new(project))
        {
            self.say(&format!("tallyhook: {error}"));
        }
        Ok(config)
    }

    /// The user's prices: beside the settings file that is in use.
    fn prices_path(&self) -> Result<PathBuf, Error> {
        self.env.prices_path(self.options.config.as_deref()).ok_or(Error::NoConfigPath)
    }

    /// The prices in force: the built-in ones and, first, the user's.
    fn prices(&self) -> Result<PriceTable, Error> {
        Ok(match self.prices_path() {
            Ok(path) => PriceTable::with_overrides(read_user_prices(&path)?),
            Err(_) => PriceTable::builtin(),
        })
    }

    /// Prints a report in a format. Without data only JSON is printed.
    fn show(&self, format: OutputFormat, report: &impl Present, extent: Extent) -> Result<(), Error> {
        let is_for_terminal = format == OutputFormat::Text;
        let page = || {
            let Extent { is_detailed, shows_all } = extent;
            let shows_all = shows_all || !is_for_terminal;
            report.page(&PageOptions { is_detailed, shows_all, ..self.page_options() })
        };
        match format {
            OutputFormat::Json => self.print_json(report),
            _ if !report.has_data() => Ok(()),
            OutputFormat::Text => self.print_page(page()),
            OutputFormat::Csv => self.print(&render::csv(page())),
            OutputFormat::Markdown => self.print(&render::markdown(page(), &self.zone)),
        }
    }

    /// Prints a page as text.
    fn print_page(&self, page: Page) -> Result<(), Error> {
        let mut out = self.console.stdout();
        render::write_text(page, self.style(), |piece| out.write(piece, Passes::OwnColours))
            .and_then(|()| out.finish())
            .map_err(|source| Error::Output { source })
    }

    /// How a report is shown unless somebody wants more of it.
    fn page_options(&self) -> PageOptions<'_> {
        PageOptions { zone: &self.zone, now: self.env.now(), is_detailed: false, shows_all: false }
    }

    fn style(&self) -> Style<'_> {
        let told = || self.env.var("COLUMNS").and_then(|columns| columns.parse().ok());
        let width = self.console.width().or_else(told);
        let color = match self.options.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => self.console.wants_colours(),
        };
        Style {
            width: width.unwrap_or(DEFAULT_WIDTH).clamp(60, 200),
            color,
            ascii: !self.env.shows_unicode(),
            zone: &self.zone,
        }
    }

    /// Says what the figures do not hold, for another process has the ledger.
    fn say_what_is_left_out(&self) {
        // A command that opens the ledger again leaves out the same.
        let left_out = self.left_out.borrow();
        if let Some(text) = left_out.iter().rev().find_map(|left_out| left_out::sentence(&left_out.parts())) {
            self.say(&format!("tallyhook: {text}"));
        }
    }

    /// Writes the result, or a part of it that is in no colour.
    fn print(&self, text: &str) -> Result<(), Error> {
        self.console.print(text, Passes::Text).map_err(|source| Error::Output { source })
    }

    /// Writes a result as JSON.
    fn print_json(&self, value: &impl Serialize) -> Result<(), Error> {
        let mut out = self.console.stdout();
        render::write_json(value, |piece| out.write(piece, Passes::Text))
            .and_then(|()| out.finish())
            .map_err(|source| Error::Output { source })
    }

    /// Tells the user something that is not the result.
    fn say(&self, text: &str) {
        match self.console.is_stderr_watched() {
            true => self.console.tell(&render::note(text, self.style()), Passes::Text),
            false => self.console.tell(&format!("{text}\n"), Passes::Text),
        }
    }

    /// Shows in the terminal how far something is that takes long.
    fn with_progress<T>(
        &self,
        run: impl FnOnce(&mut dyn FnMut(AllocationProgress)) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let is_watched = self.console.is_stderr_watched();
        let (mut shown_at, mut is_shown) = (std::time::Instant::now(), false);
        let done = run(&mut |progress| {
            if is_watched && shown_at.elapsed() >= PROGRESS_PAUSE {
                shown_at = std::time::Instant::now();
                is_shown = true;
                let (what, (done, all)) = match progress {
                    AllocationProgress::Reading(done, all) => ("reading transcripts", (done, all)),
                    AllocationProgress::Sharing(done, all) => ("assigning costs to tools", (done, all)),
                };
                self.console.show_progress(&format!("{what}: {done} of {all}"));
            }
        });
        if is_shown {
            self.console.show_progress("");
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_an_older_ledger_beside_a_writer_says_that_it_reads_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let history = || {
            let home = dir.path().to_str().unwrap();
            let words = ["tallyhook", "history", "--db", path.to_str().unwrap()].map(OsString::from);
            let console = Console::in_memory(b"");
            let _code = run(&words, Env::given(dir.path(), &[("HOME", home)]), console.clone());
            String::from_utf8(console.written().1).unwrap()
        };
        let writer = crate::store::older_ledger(&path);
        writer.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").unwrap();
        let told =
            "is from an older release and locked by another process, so these figures come from a copy";
        let stderr = history();
        assert!(stderr.contains(told), "{stderr}");
        drop(writer);
        assert_eq!(history(), "");
    }

    #[test]
    fn only_what_is_written_as_a_descriptor_is_read_as_one() {
        for path in
            ["/dev/stdin", "/dev/stderr", "/dev/fd/0", "/dev/fd/63", "/proc/self/fd/11", "/proc/77/fd/3"]
        {
            assert!(is_descriptor(Path::new(path)), "{path}");
        }
        for path in [
            "stdin",
            "dev/fd/0",
            "/dev/zero",
            "/dev/shm/pipe",
            "/dev/../tmp/pipe",
            "/dev/fd/",
            "/dev/fd/../zero",
            "/dev/fd/1/x",
            "/proc/self/fd/",
            "/proc/x/fd/1",
            "/proc/self/fd/../environ",
            "/proc//fd/1",
            "//dev/fd/1",
        ] {
            assert!(!is_descriptor(Path::new(path)), "{path}");
        }
    }
}
