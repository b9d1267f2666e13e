//! A program that waits, and one that runs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpgid, getpgrp, pidfd_open,
    pidfd_send_signal, waitpid,
};

use super::error::LaunchError;
use super::process::{
    CHOSEN, ChildPlan, ChildReport, EXECUTE, EXECUTE_TEXT, FORBIDDEN, NEVER, NO_TERMINAL,
    NONE_FOUND, NOT_EXECUTED, NOT_USER,
};
use super::program::{ResolvedProgram, candidates};
use super::terminal::{ProgramTerminal, TerminalSize, describe_terminal};
use super::user::LaunchUser;

/// Added to the number of a signal, this is the exit code that a shell gives.
const BY_SIGNAL: i32 = 128;

/// Time for a child to end that was told to.
const ENDING: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// A program to start.
#[derive(Clone, Debug, Default)]
pub struct LaunchSpec {
    /// The program, by its path or its name in `PATH`, and its arguments.
    pub command: Vec<OsString>,
    /// The user that it runs as. `None`: that of this process.
    pub user: Option<LaunchUser>,
    /// The size of a terminal of its own, which replaces those of its standard streams that are
    /// terminals. `None`: it keeps ours.
    pub terminal: Option<TerminalSize>,
}

impl LaunchSpec {
    /// A command that runs as `user`, as the user who called `sudo`, or as that of this process.
    ///
    /// # Errors
    /// There is no such user, or `sudo` left variables that are no numbers.
    pub fn new(command: Vec<OsString>, user: Option<&str>) -> Result<Self, LaunchError> {
        let user = match user {
            Some(name) => Some(LaunchUser::named(name)?),
            None => LaunchUser::of_sudo()?,
        };
        Ok(Self {
            command,
            user,
            terminal: None,
        })
    }

    /// Forks a process that waits to execute the program.
    ///
    /// Best called before this process has threads and gives up privileges, which the program would
    /// lack. Signals and limits are those that this process was started with.
    ///
    /// # Errors
    /// There is no such program, this user may not execute it, or its interpreter is missing.
    pub fn launch(&self) -> Result<WaitingProgram, LaunchError> {
        let Some(name) = self.command.first().filter(|name| !name.is_empty()) else {
            return Err(LaunchError::Empty);
        };
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let path = std::env::var_os("PATH");
        let candidates = candidates(name, path.as_deref());
        // A user that this process is already takes no privilege, but the environment may be root's.
        if let Some(user) = &self.user {
            user.change(&mut environment);
        }
        let (terminal, of_child) = match self.terminal {
            Some(size) => {
                describe_terminal(&mut environment);
                let owner = self.user.as_ref().map(|user| user.uid);
                let (terminal, of_child) =
                    ProgramTerminal::open(size, owner).map_err(LaunchError::Terminal)?;
                (Some(terminal), Some(of_child))
            }
            None => (None, None),
        };
        let become_user = self.user.as_ref().filter(|user| !user.is_own());
        let environment = environment.into_iter().map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.into_vec());
            variable
        });
        let plan = ChildPlan::new(&candidates, &self.command, environment, become_user)?;
        let plan = plan.on_terminal(of_child);
        let child = plan.fork().map_err(LaunchError::Fork)?;
        // While we hold the child's side, its output never ends.
        drop(plan);
        let process = Arc::new(ChildProcess::new(child.pid).map_err(LaunchError::Fork)?);
        let mut waiting = WaitingProgram {
            gate: StartGate {
                release: Some(child.release),
                process: Arc::clone(&process),
            },
            process,
            report: File::from(child.report),
            candidates,
            program: None,
            terminal,
        };
        let user = self.user.as_ref().map(|user| user.name.as_str());
        let chosen = waiting.chosen(name, user.unwrap_or_default())?;
        waiting.program = Some(ResolvedProgram::read(&chosen)?);
        Ok(waiting)
    }
}

/// A child process of ours. It is waited for at most once.
#[derive(Debug)]
struct ChildProcess {
    pid: Pid,
    pidfd: OwnedFd,
}

impl ChildProcess {
    fn new(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the kernel gave no pid"))?;
        Ok(Self {
            pid,
            pidfd: pidfd_open(pid, PidfdFlags::empty())?,
        })
    }

    fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits for the end of a child that is about to end, for a bounded time: a terminal may have
    /// stopped it. It is gone with this process at the latest.
    fn reap(&self) {
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let _ = poll(&mut ended, Some(&ENDING));
        let _ = self.wait(WaitOptions::NOHANG);
    }

    fn wait(&self, options: WaitOptions) -> io::Result<Option<LaunchOutcome>> {
        loop {
            match waitpid(Some(self.pid), options) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(None) => return Ok(None),
                Ok(Some((_, status))) => return Ok(Some(LaunchOutcome::from(status))),
            }
        }
    }
}

/// The way to let a child execute its program. Dropped before, the child ends.
#[derive(Debug)]
struct StartGate {
    release: Option<OwnedFd>,
    process: Arc<ChildProcess>,
}

impl StartGate {
    fn open(mut self, byte: u8) {
        if let Some(release) = self.release.take() {
            // A signal may have ended the child, which its outcome says.
            let _ = rustix::io::write(&release, &[byte]);
        }
    }
}

impl Drop for StartGate {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            // A later child may hold a copy of the descriptor, so that closing it would not do.
            let _ = rustix::io::write(&release, &[NEVER]);
            self.process.reap();
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchOutcome {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
}

impl From<WaitStatus> for LaunchOutcome {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (_, Some(signal)) => Self::Killed(signal),
            (code, None) => Self::Exited(code.unwrap_or_default()),
        }
    }
}

impl LaunchOutcome {
    /// Returns the exit code that a shell would give.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => BY_SIGNAL + signal,
        };
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

/// A program that has a process and waits to be executed. Dropped, its process ends.
#[derive(Debug)]
pub struct WaitingProgram {
    process: Arc<ChildProcess>,
    gate: StartGate,
    report: File,
    candidates: Vec<PathBuf>,
    program: Option<ResolvedProgram>,
    terminal: Option<ProgramTerminal>,
}

impl WaitingProgram {
    /// Returns the pid that the program will have.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the program that will be executed.
    ///
    /// # Panics
    /// Never: [`LaunchSpec::launch`] gives none without its program.
    #[must_use]
    pub fn program(&self) -> &ResolvedProgram {
        self.program.as_ref().expect("it was resolved by `launch`")
    }

    /// Takes our side of the terminal that the program has of its own.
    pub fn take_terminal(&mut self) -> Option<ProgramTerminal> {
        self.terminal.take()
    }

    /// The path that the child found, as the user that it runs as.
    fn chosen(&mut self, name: &OsString, user: &str) -> Result<PathBuf, LaunchError> {
        let shown = name.to_string_lossy().into_owned();
        let report = read_report(&mut self.report).map_err(LaunchError::Fork)?;
        let report = report.ok_or_else(|| LaunchError::EndedEarly(shown.clone()))?;
        let path = candidate(&self.candidates, report);
        match report.stage {
            CHOSEN => Ok(path),
            FORBIDDEN => Err(LaunchError::NotExecutable {
                path,
                source: error_of(report),
            }),
            NOT_USER => Err(LaunchError::CannotBecome {
                user: user.to_owned(),
                source: error_of(report),
            }),
            NO_TERMINAL => Err(LaunchError::Terminal(error_of(report))),
            NONE_FOUND if shown.contains('/') => Err(LaunchError::NotFound(path)),
            NONE_FOUND => Err(LaunchError::NotInPath(shown)),
            _ => Err(LaunchError::EndedEarly(shown)),
        }
    }

    /// Lets the program run. Returns once it is executed.
    ///
    /// # Errors
    /// It cannot be executed any more.
    pub fn run(mut self) -> Result<RunningProgram, LaunchError> {
        let byte = if self.program().is_bare_script {
            EXECUTE_TEXT
        } else {
            EXECUTE
        };
        self.gate.open(byte);
        let report = read_report(&mut self.report).map_err(LaunchError::Fork)?;
        match report.filter(|report| report.stage == NOT_EXECUTED) {
            None => Ok(RunningProgram {
                process: self.process,
                program: self.program,
                outcome: None,
            }),
            Some(report) => {
                let path = candidate(&self.candidates, report);
                let source = error_of(report);
                self.process.reap();
                Err(match source.kind() {
                    io::ErrorKind::NotFound => LaunchError::NotFound(path),
                    _ => LaunchError::NotExecutable { path, source },
                })
            }
        }
    }
}

/// Reads the next report. `None` at the end: the program is executed, or the process has ended.
fn read_report(file: &mut File) -> io::Result<Option<ChildReport>> {
    let mut bytes = [0; ChildReport::BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(ChildReport::decode(bytes))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn candidate(candidates: &[PathBuf], report: ChildReport) -> PathBuf {
    let index = usize::try_from(report.index).unwrap_or(usize::MAX);
    candidates.get(index).cloned().unwrap_or_default()
}

fn error_of(report: ChildReport) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(report.errno).unwrap_or_default())
}

/// A program of ours that was executed. It goes on if this is dropped.
#[derive(Debug)]
pub struct RunningProgram {
    process: Arc<ChildProcess>,
    program: Option<ResolvedProgram>,
    outcome: Option<LaunchOutcome>,
}

impl RunningProgram {
    /// Returns its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the program that was executed. It may have executed another one since.
    #[must_use]
    pub fn program(&self) -> Option<&ResolvedProgram> {
        self.program.as_ref()
    }

    /// Returns a descriptor that becomes readable when the program ends.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd.as_fd()
    }

    /// Decides on a signal that this process was sent. Returns true if it was meant for the program.
    ///
    /// With `by_terminal`, a terminal sent it to its foreground group. Ctrl-C and Ctrl-\\ then reach a
    /// program of this group, too, so that nothing is left to do. All other signals are passed on. Once
    /// the program has ended, signals are meant for this process.
    ///
    /// # Errors
    /// It runs as another user, and this process may not signal it.
    pub fn take_signal(&mut self, signal: i32, by_terminal: bool) -> io::Result<bool> {
        if self.try_wait()?.is_some() {
            return Ok(false);
        }
        let is_of_keys = by_terminal && matches!(signal, libc::SIGINT | libc::SIGQUIT);
        let has_it = is_of_keys && getpgid(Some(self.process.pid)) == Ok(getpgrp());
        if !has_it && let Some(signal) = Signal::from_named_raw(signal) {
            self.send(signal)?;
        }
        Ok(true)
    }

    /// Sends it a signal, such as one that this process was sent. A program that has ended gets none.
    ///
    /// # Errors
    /// It runs as another user, and this process may not.
    pub fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.process.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Somebody else has waited for it.
    pub fn wait(&mut self) -> io::Result<LaunchOutcome> {
        if let Some(outcome) = self.outcome {
            return Ok(outcome);
        }
        let outcome = self.process.wait(WaitOptions::empty())?;
        let outcome = outcome.ok_or_else(|| io::Error::other("the kernel did not wait"))?;
        self.outcome = Some(outcome);
        Ok(outcome)
    }

    /// Returns how it ended, or `None` while it runs.
    ///
    /// # Errors
    /// As of [`Self::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<LaunchOutcome>> {
        if self.outcome.is_none() {
            self.outcome = self.process.wait(WaitOptions::NOHANG)?;
        }
        Ok(self.outcome)
    }
}
