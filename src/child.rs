//! Starting other programs: with a deadline, and with nothing left behind.
//!
//! A program that we start can start others, and those can keep its output open long after it has ended. So each runs in
//! a process group of its own. Its end counts, not the end of its output; what it has printed by then, or by the
//! deadline, is taken. Then whatever in its group still holds the output, or runs past the deadline, is killed. A
//! process that has let go of the output lives on: it was sent to the background on purpose, like a refresh of a cache.
//!
//! While one is waited for, a signal that ends this process ends its group too.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// More than anything prints that is run here; what comes after it is not read.
const MAX_BYTES: usize = 1 << 20;

/// What came of a program.
#[derive(Debug)]
pub struct ChildOutcome {
    /// What it has printed.
    pub output: Vec<u8>,
    /// How it ended; `None` if it ran past its deadline and was killed.
    pub status: Option<ExitStatus>,
}

/// Which output of a program is taken. The rest goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// Its standard output.
    Output,
    /// That and its standard error, in the order in which they come.
    All,
}

/// A program at work.
pub struct Running(group::ProcessGroup);

impl Running {
    /// Starts a program that reads `input`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: Command, input: Vec<u8>, take: Take, patience: Duration) -> io::Result<Self> {
        group::ProcessGroup::start(command, input, take, patience).map(Self)
    }

    /// Waits for its end or the deadline.
    #[must_use]
    pub fn finish(self) -> ChildOutcome {
        self.0.finish()
    }
}

/// Runs a program to its end, or to the deadline.
///
/// # Errors
/// If it cannot be started.
pub fn run(command: Command, input: Vec<u8>, take: Take, patience: Duration) -> io::Result<ChildOutcome> {
    Running::start(command, input, take, patience).map(Running::finish)
}

/// Starts `command` with pipes in place of its input and output. The pipes' other ends are closed here, so that their end
/// is seen.
fn spawn(
    mut command: Command,
    has_input: bool,
    take: Take,
) -> io::Result<(std::process::Child, io::PipeReader)> {
    let (reader, writer) = io::pipe()?;
    command.stdin(if has_input { Stdio::piped() } else { Stdio::null() });
    command.stderr(match take {
        Take::Output => Stdio::null(),
        Take::All => writer.try_clone()?.into(),
    });
    command.stdout(writer);
    Ok((command.spawn()?, reader))
}

#[cfg(unix)]
mod group {
    use std::io::{self, PipeReader, Read as _, Write as _};
    use std::os::fd::AsFd;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, ChildStdin, Command};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    use crate::child::signals::Signals;
    use crate::child::{ChildOutcome, MAX_BYTES, Take, spawn};

    /// How long processes may hold the output of a program that has ended.
    const GRACE: Duration = Duration::from_millis(100);

    pub(super) struct ProcessGroup {
        child: Child,
        id: Pid,
        input: Option<(ChildStdin, Vec<u8>)>,
        /// `None` once its end was seen.
        output: Option<PipeReader>,
        read: Vec<u8>,
        deadline: Instant,
        signals: &'static Signals,
    }

    impl ProcessGroup {
        pub(super) fn start(
            mut command: Command,
            input: Vec<u8>,
            take: Take,
            patience: Duration,
        ) -> io::Result<Self> {
            let signals = Signals::watch()?;
            let deadline = Instant::now() + patience;
            command.process_group(0);
            let (mut child, output) = spawn(command, !input.is_empty(), take)?;
            let id = Pid::from_child(&child);
            // A pipe's two ends are apart, so the program does not notice.
            fcntl_setfl(output.as_fd(), OFlags::NONBLOCK)?;
            let input = child.stdin.take().map(|stdin| (stdin, input));
            if let Some((stdin, _)) = &input {
                fcntl_setfl(stdin.as_fd(), OFlags::NONBLOCK)?;
            }
            let mut group =
                Self { child, id, input, output: Some(output), read: Vec::new(), deadline, signals };
            group.write();
            Ok(group)
        }

        pub(super) fn finish(mut self) -> ChildOutcome {
            let mut has_ended = false;
            loop {
                self.read();
                self.write();
                if !has_ended && self.has_ended() {
                    has_ended = true;
                    self.input = None;
                    // What it has sent to the background may be about to let go of the output.
                    self.deadline = self.deadline.min(Instant::now() + GRACE);
                    self.read();
                }
                if has_ended && self.output.is_none() {
                    break;
                }
                let left = self.deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || self.read.len() >= MAX_BYTES || !self.wait(left) {
                    self.kill();
                    self.read();
                    break;
                }
            }
            let status = self.child.wait().ok().filter(|_| has_ended);
            self.signals.pass_on();
            ChildOutcome { output: std::mem::take(&mut self.read), status }
        }

        /// Takes what the program has printed so far.
        fn read(&mut self) {
            let Some(output) = &mut self.output else { return };
            let left = MAX_BYTES.saturating_sub(self.read.len());
            // It stops with an error where there is nothing more yet; what came before that is kept.
            if output.take(left as u64).read_to_end(&mut self.read).is_ok() && self.read.len() < MAX_BYTES {
                self.output = None;
            }
        }

        /// Hands over as much of the input as the program has room for.
        fn write(&mut self) {
            while let Some((stdin, left)) = &mut self.input {
                match stdin.write(left) {
                    Ok(written) if written > 0 && written < left.len() => drop(left.drain(..written)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // It has all of it, or wants no more.
                    _ => self.input = None,
                }
            }
        }

        /// Whether the program has ended. It is left for [`Child::wait`] to collect, so that its id stays its own.
        fn has_ended(&self) -> bool {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            !matches!(waitid(WaitId::Pid(self.id), options), Ok(None))
        }

        /// Waits until there is something to do; `false` if this process is to end.
        fn wait(&self, left: Duration) -> bool {
            let mut fds = vec![PollFd::new(&self.signals.wake, PollFlags::IN)];
            fds.extend(self.output.iter().map(|output| PollFd::new(output, PollFlags::IN)));
            fds.extend(self.input.iter().map(|(stdin, _)| PollFd::new(stdin, PollFlags::OUT)));
            let left = Timespec::try_from(left).ok();
            // Whatever it says, the loop looks at everything.
            let _ready = poll(&mut fds, left.as_ref()).is_ok();
            self.signals.clear();
            !self.signals.is_ending()
        }

        fn kill(&mut self) {
            // Where the group is gone there is nothing to kill.
            let _killed = kill_process_group(self.id, Signal::KILL).is_ok();
            let _killed = self.child.kill().is_ok();
        }
    }

    impl Drop for ProcessGroup {
        fn drop(&mut self) {
            self.signals.let_go();
        }
    }
}

/// The signals that matter while a program is waited for.
#[cfg(unix)]
mod signals {
    use std::io::{self, PipeReader, Read as _};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Arc, OnceLock};

    use rustix::fs::{OFlags, fcntl_setfl};
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
    use signal_hook::{flag, low_level};

    /// Once set up they stay so, for a signal's first handling cannot be restored. While nothing is waited for, what
    /// ends a process ends this one as ever.
    static SIGNALS: OnceLock<Option<Signals>> = OnceLock::new();

    pub(super) struct Signals {
        /// Has bytes once a signal has come.
        pub(super) wake: PipeReader,
        /// The last signal that ends a process; 0 if none came.
        ending: Arc<AtomicUsize>,
        is_idle: Arc<AtomicBool>,
    }

    impl Signals {
        pub(super) fn watch() -> io::Result<&'static Self> {
            let signals = SIGNALS.get_or_init(|| Self::set_up().ok()).as_ref();
            let signals = signals.ok_or_else(|| io::Error::other("signals cannot be watched"))?;
            signals.is_idle.store(false, Ordering::SeqCst);
            Ok(signals)
        }

        fn set_up() -> io::Result<Self> {
            let (wake, sender) = io::pipe()?;
            fcntl_setfl(&wake, OFlags::NONBLOCK)?;
            let ending = Arc::new(AtomicUsize::new(0));
            let is_idle = Arc::new(AtomicBool::new(true));
            for signal in [SIGTERM, SIGINT, SIGHUP] {
                flag::register_conditional_default(signal, Arc::clone(&is_idle))?;
                flag::register_usize(
                    signal,
                    Arc::clone(&ending),
                    usize::try_from(signal).unwrap_or_default(),
                )?;
                low_level::pipe::register(signal, sender.try_clone()?)?;
            }
            low_level::pipe::register(SIGCHLD, sender)?;
            Ok(Self { wake, ending, is_idle })
        }

        pub(super) fn clear(&self) {
            let mut bytes = [0; 64];
            while (&self.wake).read(&mut bytes).is_ok_and(|read| read > 0) {}
        }

        pub(super) fn is_ending(&self) -> bool {
            self.ending.load(Ordering::SeqCst) != 0
        }

        /// Nothing is waited for any more.
        pub(super) fn let_go(&self) {
            self.is_idle.store(true, Ordering::SeqCst);
        }

        /// Ends this process by the signal that has come, if one has.
        pub(super) fn pass_on(&self) {
            if let Ok(signal @ 1..) = i32::try_from(self.ending.load(Ordering::SeqCst)) {
                let _ended = low_level::emulate_default_handler(signal).is_ok();
            }
        }
    }
}

/// Where there are no process groups: threads read and write, and only the program itself is killed.
#[cfg(not(unix))]
mod group {
    use std::io::{self, Read as _, Write as _};
    use std::process::{Child, Command};
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use crate::child::{ChildOutcome, MAX_BYTES, Take, spawn};

    /// How often it is looked whether the program has ended.
    const PAUSE: Duration = Duration::from_millis(5);
    /// How long what it printed last may take to get here.
    const GRACE: Duration = Duration::from_millis(20);

    pub(super) struct ProcessGroup {
        child: Child,
        chunks: Receiver<Vec<u8>>,
        deadline: Instant,
    }

    impl ProcessGroup {
        pub(super) fn start(
            command: Command,
            input: Vec<u8>,
            take: Take,
            patience: Duration,
        ) -> io::Result<Self> {
            let deadline = Instant::now() + patience;
            let (mut child, mut output) = spawn(command, !input.is_empty(), take)?;
            if let Some(mut stdin) = child.stdin.take() {
                std::thread::spawn(move || stdin.write_all(&input).is_ok());
            }
            let (sender, chunks) = mpsc::channel();
            std::thread::spawn(move || {
                let mut chunk = vec![0; 8_192];
                while let Ok(read @ 1..) = output.read(&mut chunk) {
                    if sender.send(chunk[..read].to_vec()).is_err() {
                        return;
                    }
                }
            });
            Ok(Self { child, chunks, deadline })
        }

        pub(super) fn finish(mut self) -> ChildOutcome {
            let mut output = Vec::new();
            let status = loop {
                if let Ok(Some(status)) = self.child.try_wait() {
                    break Some(status);
                }
                if Instant::now() >= self.deadline || output.len() >= MAX_BYTES {
                    let _killed = self.child.kill().is_ok();
                    let _reaped = self.child.wait().is_ok();
                    break None;
                }
                match self.chunks.recv_timeout(PAUSE) {
                    Ok(chunk) => output.extend(chunk),
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(PAUSE),
                }
            };
            while let Ok(chunk) = self.chunks.recv_timeout(GRACE) {
                output.extend(chunk);
            }
            ChildOutcome { output, status }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        shell
    }

    fn ran(script: &str, input: &str, patience: Duration) -> (String, Option<i32>, Duration) {
        let start = Instant::now();
        let outcome = run(sh(script), input.into(), Take::Output, patience).unwrap();
        let code = outcome.status.map(|status| status.code().unwrap_or(-1));
        (String::from_utf8(outcome.output).unwrap(), code, start.elapsed())
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);

    /// Whether the process whose id stands in `file` is alive; one that was just killed may take a moment to go.
    fn is_alive(file: &std::path::Path) -> bool {
        let id = std::fs::read_to_string(file).unwrap();
        let is_there = || {
            // A zombie is dead, whoever has yet to collect it.
            run(sh(&format!("ps -o stat= -p {} | grep -qv Z", id.trim())), Vec::new(), Take::All, LONG)
                .is_ok_and(|outcome| outcome.status.is_some_and(|status| status.success()))
        };
        (0..100).all(|_| {
            std::thread::sleep(Duration::from_millis(10));
            is_there()
        })
    }

    #[test]
    fn a_program_is_read_and_written_to_its_end() {
        let (output, code, _) = ran("cat; exit 3", "hello", LONG);
        assert_eq!((&*output, code), ("hello", Some(3)));
        let long = "x".repeat(300_000);
        assert_eq!(ran("cat", &long, LONG).0, long);
        // One that reads nothing.
        assert_eq!(ran("echo a", &long, LONG).0, "a\n");
        assert_eq!(ran("echo a; exec >&-; sleep 0.05", "", LONG).0, "a\n");
        assert!(run(Command::new("/nowhere/at/all"), Vec::new(), Take::Output, LONG).is_err());
    }

    #[test]
    fn a_grandchild_that_holds_the_output_costs_no_wait_and_does_not_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id");
        let (output, code, took) =
            ran(&format!("sleep 60 & echo $! > {}; echo line", file.display()), "", LONG);
        assert_eq!((&*output, code), ("line\n", Some(0)));
        assert!(took < Duration::from_secs(30), "{took:?}");
        assert!(!is_alive(&file));
    }

    #[test]
    fn what_was_sent_to_the_background_properly_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("done");
        let script = format!("(sleep 0.2; echo x > {}) >/dev/null 2>&1 & echo line", file.display());
        assert_eq!(ran(&script, "", LONG).0, "line\n");
        assert!((0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            file.exists()
        }));
    }

    #[test]
    fn at_the_deadline_what_was_printed_is_taken_and_the_whole_group_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id");
        let script =
            format!("trap '' TERM; echo early; sleep 60 & echo $! > {}; wait; echo late", file.display());
        let (output, code, _) = ran(&script, "", SHORT);
        assert_eq!((&*output, code), ("early\n", None));
        assert!(!is_alive(&file));
        // One that has closed its output.
        assert_eq!(ran("echo a; exec >&-; sleep 60", "", SHORT).1, None);
    }

    #[test]
    fn what_prints_without_an_end_is_stopped() {
        let (output, code, _) = ran("yes", "", LONG);
        assert_eq!((output.len(), code), (MAX_BYTES, None));
    }

    #[test]
    fn errors_are_taken_where_they_are_asked_for() {
        let outcome = run(sh("echo a; echo b >&2"), Vec::new(), Take::All, LONG).unwrap();
        assert_eq!(outcome.output, b"a\nb\n");
    }
}
